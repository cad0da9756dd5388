package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A site is a network that a provider serves: .100 to .110 of it, as and by way
// of one of its first addresses.
type site struct {
	net  string // "203.0.113"
	host int    // of the server, which is the gateway as well
}

func (a site) addr() string   { return fmt.Sprintf("%s.%d", a.net, a.host) }
func (a site) first() string  { return a.net + ".100" }
func (a site) last() string   { return a.net + ".110" }
func (a site) subnet() string { return a.net + ".0" }

// A provider is a DHCP server of another maker. Its leases are of providerTerm,
// and survive its end by SIGTERM.
type provider struct {
	name  string
	start func(s *street, a site) *process

	acks     string // what it logs of an address
	declined string // the same; empty: nothing
	// longer says that it refuses to make leases as short as that.
	longer bool
}

const providerTerm = 24 * time.Second

var providers = []provider{
	{"dnsmasq", (*street).dnsmasqAt, `DHCPACK\(eth0\) %s 02:00:5e:00:01:01`, `DHCPDECLINE\(eth0\) %s`, true},
	{"dhcpd", (*street).dhcpdAt, `DHCPACK on %s to 02:00:5e:00:01:01`, `DHCPDECLINE of %s from 02:00:5e:00:01:01`, false},
	{"kea", (*street).keaAt, `DHCP4_LEASE_ALLOC .*02:00:5e:00:01:01.* lease %s has been allocated`, `DHCP4_DECLINE_LEASE.*%s`, false},
	{"udhcpd", (*street).udhcpdAt, `sending ACK to %s`, ``, false},
}

func (s *street) dnsmasqAt(a site) *process {
	s.Helper()
	return s.provider("2m", "--dhcp-authoritative", "--dhcp-option-force=58,10", "--dhcp-option-force=59,20",
		fmt.Sprintf("--dhcp-range=%s,%s,2m", a.first(), a.last()), "--dhcp-option=option:router,"+a.addr())
}

func (s *street) dhcpdAt(a site) *process {
	s.Helper()
	leases := s.dir + "/dhcpd.leases"
	s.touch(leases)
	return s.peerAt("dhcpd", nil, "-4", "-d", "-f", "--no-pid", "-lf", leases, "eth0", "-cf", s.file("dhcpd.conf", fmt.Sprintf(
		"authoritative;\nping-check false;\nddns-update-style none;\nmin-lease-time 5;\n"+
			"default-lease-time %d;\nmax-lease-time %[1]d;\n"+
			"subnet %s netmask 255.255.255.0 {\n\trange %s %s;\n\toption routers %s;\n\toption domain-name-servers %s;\n}\n",
		providerTerm/time.Second, a.subnet(), a.first(), a.last(), a.addr(), ispDNS)))
}

func (s *street) keaAt(a site) *process {
	s.Helper()
	path, _, err := locate("kea-dhcp4", peersAt(s.T))
	check(s.T, err)
	env := []string{"KEA_PIDFILE_DIR=" + s.dir, "KEA_LOCKFILE_DIR=" + s.dir, "KEA_DHCP_DATA_DIR=" + s.dir,
		"KEA_LFC_EXECUTABLE=" + filepath.Dir(path) + "/kea-lfc"}
	return s.peerAt("kea-dhcp4", env, "-c", s.file("kea.conf", fmt.Sprintf(`{"Dhcp4": {
	"interfaces-config": {"interfaces": ["eth0"]},
	"lease-database": {"type": "memfile", "persist": true, "name": "%s/kea.leases"},
	"authoritative": true, "valid-lifetime": %d,
	"subnet4": [{"id": 1, "subnet": "%s/24", "pools": [{"pool": "%s - %s"}],
		"option-data": [{"name": "routers", "data": "%s"}, {"name": "domain-name-servers", "data": "%s"}]}],
	"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout", "flush": true}]}]
}}`, s.dir, providerTerm/time.Second, a.subnet(), a.first(), a.last(), a.addr(), ispDNS)))
}

func (s *street) udhcpdAt(a site) *process {
	s.Helper()
	s.touch(s.dir + "/udhcpd.leases")
	return s.spawn(s.isp, "busybox", "udhcpd", "-f", "-a", "1", s.file("udhcpd.conf", fmt.Sprintf(
		"start %s\nend %s\ninterface eth0\nmin_lease 5\nlease_file %s/udhcpd.leases\npidfile %[3]s/udhcpd.pid\n"+
			"option subnet 255.255.255.0\noption router %s\noption dns %s\noption lease %d\n",
		a.first(), a.last(), s.dir, a.addr(), ispDNS, providerTerm/time.Second)))
}

// peersAt is where programs are that are not installed.
func peersAt(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../build/" + peersDir)
	check(t, err)
	return dir
}

// peerAt starts one of them at the ISP's.
func (s *street) peerAt(program string, env []string, args ...string) *process {
	s.Helper()
	path, more, err := locate(program, peersAt(s.T))
	check(s.T, err)
	return s.spawn(s.isp, append(append(append([]string{"env"}, env...), append(more, path)...), args...)...)
}

// file writes a file of the street's and returns its path.
func (s *street) file(name, text string) string {
	s.Helper()
	path, err := s.write(name, text)
	check(s.T, err)
	return path
}

// touch makes a file if there is none.
func (s *street) touch(path string) {
	s.Helper()
	f, err := os.OpenFile(path, os.O_CREATE, 0o644)
	check(s.T, err)
	check(s.T, f.Close())
}

// moves gives the ISP another address.
func (s *street) moves(a site) {
	s.Helper()
	check(s.T, ip(s.isp, "addr flush dev eth0", "addr add "+a.addr()+"/24 dev eth0"))
}

// cableOut pulls the WAN cable at the far end for a moment.
func (s *street) cableOut() {
	s.Helper()
	check(s.T, ip(s.isp, "link set eth0 down"))
	time.Sleep(time.Second)
	check(s.T, ip(s.isp, "link set eth0 up"))
	s.eventually("the carrier", func() bool { // some servers do not wait for it
		state, _ := run(s.isp, "cat", "/sys/class/net/eth0/operstate")
		return state == "up\n"
	})
}

// neighbour is another station on the ISP's wire, with these addresses.
func (s *street) neighbour(name string, addrs ...string) (ns string) {
	s.Helper()
	ns = s.prefix + name
	check(s.T, addNamespace(ns))
	check(s.T, ip(s.isp, "link add link eth0 name mv0 type macvlan mode bridge", "link set mv0 netns "+ns))
	check(s.T, ip(ns, "link set mv0 name eth0", "link set eth0 up"))
	for _, a := range addrs {
		check(s.T, ip(ns, "addr add "+a+" dev eth0"))
	}
	return ns
}

// isBound waits until the router says that it is, and looks at the kernel: the
// address and the default route are there, and nothing else.
func (s *street) isBound(mark int, how string, a site) string {
	s.Helper()
	had := s.says(s.proc, mark, `msg=`+how+` side=wan addr=(`+regexp.QuoteMeta(a.net)+`\.\S+)`)[1]
	s.hasWAN(had+"/24", a.net+".0/24", "default via "+a.addr())
	return had
}

// hasWAN looks at the port as ip -j shows it.
func (s *street) hasWAN(addr string, routes ...string) {
	s.Helper()
	var links []struct {
		Info []struct {
			Local     string
			Prefixlen int
		} `json:"addr_info"`
	}
	s.json(&links, "-4", "addr", "show", "dev", "wan")
	var have []string
	for _, l := range links {
		for _, a := range l.Info {
			have = append(have, fmt.Sprintf("%s/%d", a.Local, a.Prefixlen))
		}
	}
	if got := strings.Join(have, " "); got != addr {
		s.Errorf("the port has %q; want %q", got, addr)
	}
	got, want := strings.Join(s.routes("wan"), ", "), strings.Join(routes, ", ")
	if got != want {
		s.Errorf("routes %q; want %q", got, want)
	}
}

// TestProviders: with the servers of four makers the router acquires, renews,
// reboots, has its cable pulled, finds somebody on its address, outlives the
// death of the server, is moved to another network, and loses what expires.
func TestProviders(t *testing.T) {
	t.Parallel()
	for _, p := range providers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			newStreet(t, "").liveWith(p)
		})
	}
}

func (s *street) liveWith(p provider) {
	home := site{"203.0.113", 1}
	isp := p.start(s, home)
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("%s said:\n%s", p.name, isp)
		}
	})
	s.on()

	// Acquire.
	had := s.isBound(0, "bound", home)
	acked := fmt.Sprintf(p.acks, regexp.QuoteMeta(had))
	s.says(isp, 0, acked)

	// Renew.
	mark, ispMark := s.proc.mark(), isp.mark()
	if now := s.isBound(mark, "renewed", home); now != had {
		s.Errorf("renewed %s; had %s", now, had)
	}
	s.says(isp, ispMark, acked)

	// Reboot.
	check(s.T, s.powerCut())
	ispMark = isp.mark()
	check(s.T, s.powerBack())
	s.owns(s.proc)
	s.says(s.proc, 0, `msg="asking whether the address is still ours" side=wan addr=`+had)
	if now := s.isBound(0, "bound", home); now != had {
		s.Errorf("after a reboot %s; had %s", now, had)
	}
	s.says(isp, ispMark, acked)

	// Cable.
	mark, ispMark = s.proc.mark(), isp.mark()
	s.cableOut()
	s.says(s.proc, mark, `msg="link is back" side=wan addr=`+had)
	if now := s.isBound(mark, "bound", home); now != had {
		s.Errorf("with the cable back %s; had %s", now, had)
	}
	s.says(isp, ispMark, acked)

	// A squatter.
	check(s.T, s.powerCut())
	squat := s.neighbour("squat", had+"/32")
	mark, ispMark = 0, isp.mark()
	check(s.T, s.powerBack())
	s.owns(s.proc)
	s.says(s.proc, mark, `msg="address is in use" side=wan addr=`+had)
	if p.declined != "" {
		s.says(isp, ispMark, fmt.Sprintf(p.declined, regexp.QuoteMeta(had)))
	}
	now := s.isBound(mark, "bound", home)
	if now == had {
		s.Errorf("%s is in use, and the port has it", now)
	}
	had = now
	check(s.T, ip(squat, "link set eth0 down"))

	// The server dies, and another one takes its place.
	_, err := isp.end(syscall.SIGTERM)
	check(s.T, err)
	next := site{home.net, 2}
	s.moves(next)
	mark = s.proc.mark()
	isp = p.start(s, next)
	s.says(s.proc, mark, `msg=renewed side=wan addr=`+had+` server=`+next.addr())
	s.hasWAN(had+"/24", home.net+".0/24", "default via "+next.addr())
	s.says(isp, 0, fmt.Sprintf(p.acks, regexp.QuoteMeta(had)))

	// Another network.
	_, err = isp.end(syscall.SIGTERM)
	check(s.T, err)
	away := site{"198.51.100", 1}
	s.forgetLeases()
	mark = s.proc.mark()
	s.moves(away)
	s.cableOut()
	isp = p.start(s, away)
	s.says(s.proc, mark, `msg=refused side=wan server=`+away.addr())
	had = s.isBound(mark, "bound", away)
	s.says(isp, 0, fmt.Sprintf(p.acks, regexp.QuoteMeta(had)))

	// Expiry.
	_, err = isp.end(syscall.SIGKILL)
	check(s.T, err)
	mark = s.proc.mark()
	term := providerTerm
	if p.longer {
		term = 2 * time.Minute
	}
	s.saysIn(term+10*time.Second, s.proc, mark, `msg="lease expired" side=wan addr=`+had)
	s.hasWAN("")

	s.heardOnTheWire(next, home)
}

// forgetLeases takes the servers' memory: Kea refuses an address of another
// network only to who is a stranger.
func (s *street) forgetLeases() {
	s.Helper()
	files, err := filepath.Glob(s.dir + "/*.leases*")
	check(s.T, err)
	for _, f := range files {
		check(s.T, os.Remove(f))
	}
}

// heardOnTheWire looks for a renewal of each kind, for the DECLINE, and for the
// announcements.
func (s *street) heardOnTheWire(next, home site) {
	s.Helper()
	for what, filter := range map[string]string{
		"a renewal to the server alone":  "dhcp.option.dhcp == 3 && ip.src == " + home.net + ".0/24 && ip.dst == " + home.addr(),
		"a renewal to everybody":         "dhcp.option.dhcp == 3 && ip.src == " + home.net + ".0/24 && ip.dst == 255.255.255.255",
		"a REQUEST after a reboot":       "dhcp.option.dhcp == 3 && ip.src == 0.0.0.0 && dhcp.option.requested_ip_address && !dhcp.option.dhcp_server_id",
		"a DECLINE":                      "dhcp.option.dhcp == 4 && ip.src == 0.0.0.0 && ip.dst == 255.255.255.255",
		"an announcement of an address":  "arp.opcode == 1 && arp.isgratuitous && arp.src.proto_ipv4 == " + home.net + ".0/24 && eth.src == 02:00:5e:00:01:01",
		"a probe from no address at all": "arp.opcode == 1 && arp.src.proto_ipv4 == 0.0.0.0 && arp.dst.proto_ipv4 == " + home.net + ".0/24 && eth.src == 02:00:5e:00:01:01",
	} {
		if len(s.packets(filter)) == 0 {
			s.Errorf("%s was not sent", what)
		}
	}
}

// TestMasks: whatever mask a provider gives with whatever address of it, the
// router reaches the gateway and answers it.
func TestMasks(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	r := newRascal(s)
	const far = "198.51.100.1"
	check(t, ip(s.isp, "addr add "+far+"/32 dev eth0"))
	lan := "203.0.113.0/24"
	for _, tc := range []struct {
		addr    string
		mask    []byte
		gateway string
		has     string
		routes  []string
	}{
		{"203.0.113.255", []byte{255, 255, 255, 0}, ispAddr, "203.0.113.255/32", []string{lan, "default via " + ispAddr}},
		{"203.0.113.0", []byte{255, 255, 255, 0}, ispAddr, "203.0.113.0/32", []string{lan, "default via " + ispAddr}},
		{"203.0.112.255", []byte{255, 255, 254, 0}, ispAddr, "203.0.112.255/23", []string{"203.0.112.0/23", "default via " + ispAddr}},
		{"203.0.113.0", []byte{255, 255, 255, 254}, ispAddr, "203.0.113.0/31", []string{"203.0.113.0/31", "default via " + ispAddr}},
		{"203.0.113.7", []byte{255, 255, 255, 255}, far, "203.0.113.7/32", []string{"default via " + far}},
		{"203.0.113.7", []byte{0, 0, 0, 0}, ispAddr, "203.0.113.7/24", []string{lan, "default via " + ispAddr}},
		{"203.0.113.7", []byte{255, 0, 255, 0}, ispAddr, "203.0.113.7/24", []string{lan, "default via " + ispAddr}},
		{"203.0.113.7", nil, far, "203.0.113.7/24", []string{lan, "default via " + far}},
		{"203.0.113.0", nil, far, "203.0.113.0/32", []string{lan, "default via " + far}},
	} {
		check(t, ip(s.isp, "route replace "+tc.addr+"/32 dev eth0"))
		r.plays(trick{edit: func(m *dhcpv4.DHCPv4) {
			m.YourIPAddr = net.ParseIP(tc.addr).To4()
			m.UpdateOption(dhcpv4.OptRouter(net.ParseIP(tc.gateway)))
			if delete(m.Options, 1); tc.mask != nil {
				m.UpdateOption(dhcpv4.OptSubnetMask(tc.mask))
			}
		}})
		s.on()
		s.says(s.proc, 0, `msg=bound side=wan addr=`+tc.addr)
		s.hasWAN(tc.has, tc.routes...)
		if out, err := run(s.router, "busybox", "ping", "-c1", "-W2", tc.gateway); err != nil {
			t.Errorf("%s with mask %v: the gateway does not answer: %v\n%s", tc.addr, tc.mask, err, out)
		}
		_, err := s.proc.end(syscall.SIGTERM)
		check(t, err)
	}
}
