package main

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envScript writes down what it is called with, a file for each event.
const envScript = `#!/bin/sh
env | sort >"$dir/$1.tmp" && mv "$dir/$1.tmp" "$dir/$1"
echo "$1 $ip" >>"$dir/events"
echo "heard of $1"
`

// TestScriptIsCalledAsByUdhcpc: for the same provider busybox's own client calls
// a script with the same events and variables; leasefail, bound, renew, nak and
// deconfig are told in this order.
func TestScriptIsCalledAsByUdhcpc(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	path := s.dir + "/script"
	check(t, os.WriteFile(path, []byte(strings.ReplaceAll(envScript, "$dir", s.dir)), 0o755))
	check(t, s.configure("config interface 'wan'\n\toption script '"+path+"'\n"))
	options := []string{"--dhcp-authoritative", "--dhcp-option=option:T1,12", "--dhcp-option=option:ntp-server,203.0.113.123",
		"--dhcp-option=option:mtu,1400", "--dhcp-option=option:domain-search,a.example,b.a.example",
		"--dhcp-option=option:classless-static-route,198.51.100.1/32,0.0.0.0,0.0.0.0/0,198.51.100.1,10.20.0.0/16," + ispAddr}
	isp := s.provider("1h", options...)

	check(t, ip(s.router, "link set wan up"))
	_, err := run(s.router, "busybox", "udhcpc", "-f", "-n", "-q", "-i", "wan", "-s", path, "-O", "staticroutes", "-O", "search",
		"-O", "ntpsrv", "-O", "mtu", "-x", "0x3d:0102005e000101")
	check(t, err)
	theirs := s.scriptVars("bound")
	isp.end(syscall.SIGTERM)
	for _, f := range []string{"events", "bound"} {
		os.Remove(s.dir + "/" + f)
	}

	s.on()
	s.says(s.proc, 0, `msg="script says" .*event=leasefail line="heard of leasefail"`)
	isp = s.provider("1h", options...)
	s.says(s.proc, 0, `msg="script says" .*event=bound`)
	ours := s.scriptVars("bound")
	for _, name := range []string{"interface", "ip", "mask", "subnet", "dns", "domain", "search", "lease", "serverid", "mtu", "ntpsrv"} {
		if ours[name] != theirs[name] || ours[name] == "" {
			t.Errorf("%s is %q; udhcpc says %q", name, ours[name], theirs[name])
		}
	}
	// udhcpc hands option 3 on although option 121 takes its place.
	if ours["router"] != "198.51.100.1" {
		t.Errorf("router is %q; the default route is by 198.51.100.1", ours["router"])
	}
	if got, want := sortedRoutes(ours["staticroutes"]), sortedRoutes(theirs["staticroutes"]); !slices.Equal(got, want) || len(got) != 3 {
		t.Errorf("staticroutes is %q; udhcpc says %q", ours["staticroutes"], theirs["staticroutes"])
	}
	s.says(s.proc, 0, `msg="script says" .*event=renew`)
	isp.end(syscall.SIGTERM)
	os.Remove(s.dir + "/dnsmasq.leases")
	check(t, ip(s.isp, "addr del "+ispNet+" dev eth0", "addr add 198.51.100.1/24 dev eth0"))
	s.provider("1h", append(options, "--dhcp-range=198.51.100.100,198.51.100.199,1h")...)
	check(t, ip(s.isp, "addr add "+ispAddr+"/32 dev eth0")) // where renewals go
	mark := s.proc.mark()
	check(t, ip(s.isp, "link set eth0 down"))
	s.says(s.proc, mark, "cable is out")
	check(t, ip(s.isp, "link set eth0 up"))
	s.says(s.proc, mark, `msg="script says" .*event=nak`)
	s.says(s.proc, mark, `msg="script says" .*event=bound`)
	_, err = s.proc.end(syscall.SIGTERM)
	check(t, err)
	events, err := os.ReadFile(s.dir + "/events")
	check(t, err)
	var told []string
	for line := range strings.Lines(string(events)) {
		told = append(told, strings.Fields(line)[0])
	}
	want := []string{"deconfig", "leasefail", "bound", "renew", "nak", "deconfig", "bound", "deconfig"}
	if told = slices.Compact(told); !slices.Equal(told, want) {
		t.Errorf("the script was told %q; want %q", told, want)
	}
}

// scriptVars is the environment of the latest event of a kind.
func (s *street) scriptVars(event string) map[string]string {
	s.Helper()
	text, err := os.ReadFile(s.dir + "/" + event)
	check(s.T, err)
	vars := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		vars[name] = value
	}
	return vars
}

// sortedRoutes takes pairs of a network and a router apart.
func sortedRoutes(text string) []string {
	var list []string
	for pair := range slices.Chunk(strings.Fields(text), 2) {
		list = append(list, strings.Join(pair, " "))
	}
	slices.Sort(list)
	return list
}

// TestScriptThatHangsAtTheEnd: the router ends in less than the ten seconds that
// who supervises it allows, and what the script has started is gone.
func TestScriptThatHangsAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	path := s.dir + "/script"
	check(t, os.WriteFile(path, []byte("#!/bin/sh\ntest $1 = deconfig || exit 0\necho $$ >>"+s.dir+"/pids\nsleep 600\n"), 0o755))
	check(t, s.configure("config interface 'wan'\n\toption script '"+path+"'\n"))
	s.provider("1h")
	s.on()
	s.says(s.proc, 0, "msg=bound side=wan")
	s.eventually("the script", func() bool { _, err := os.Stat(s.dir + "/pids"); return err == nil })
	took, err := s.proc.end(syscall.SIGTERM)
	check(t, err)
	if took > 8*time.Second {
		t.Errorf("SIGTERM to exit: %v", took)
	}
	pids, err := os.ReadFile(s.dir + "/pids")
	check(t, err)
	for _, pid := range strings.Fields(string(pids)) {
		if _, err := os.Stat("/proc/" + pid); err == nil {
			t.Errorf("the script is still there")
		}
	}
}
