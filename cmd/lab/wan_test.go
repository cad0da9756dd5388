package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWANConfiguresThePort: what dnsmasq granted is on the port, in the routes,
// in the resolver file and on the page, and a restart asks for it again.
func TestWANConfiguresThePort(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption device 'wan'\n\toption hostname 'home'\n\toption metric '7'\n")
	isp := s.provider("1h")
	s.on()
	granted := s.says(isp, 0, `DHCPACK\(eth0\) (\S+) 02:00:5e:00:01:01 home`)[1]
	s.says(s.proc, 0, `msg=bound side=wan`)
	s.hasUplink(granted)

	mark := isp.mark()
	check(t, s.powerCut())
	check(t, s.powerBack())
	s.owns(s.proc)
	if m := s.says(isp, mark, `DHCP(DISCOVER|REQUEST)\(eth0\) (\S+)`); m[1] != "REQUEST" || m[2] != granted {
		t.Errorf("after the power cut the router began with %s", m[0])
	}
	s.says(s.proc, 0, `msg=bound side=wan`)
	s.hasUplink(granted)
	if page := s.page(); !strings.Contains(page, granted+"/24") || !strings.Contains(page, ispDNS) {
		t.Errorf("the page does not show %s and %s:\n%s", granted, ispDNS, page)
	}
}

// hasUplink looks at the kernel and at the resolver file.
func (s *street) hasUplink(addr string) {
	s.Helper()
	if have := s.uplink(); have != addr {
		s.Errorf("the port has %q; want %s", have, addr)
	}
	route, err := run(s.router, "ip", "route", "show", "default")
	check(s.T, err)
	if want := fmt.Sprintf("default via %s dev wan", ispAddr); !strings.HasPrefix(route, want) || !strings.Contains(route, "metric 7") {
		s.Errorf("default route %q; want %q with metric 7", route, want)
	}
	if said := s.proc.String(); strings.Contains(said, "level=ERROR") {
		s.Errorf("the router complains:\n%s", said)
	}
	resolv, err := os.ReadFile(s.resolv())
	check(s.T, err)
	if want := "search isp.example\nnameserver " + ispDNS + "\n"; string(resolv) != want {
		s.Errorf("resolver file %q; want %q", resolv, want)
	}
}

// TestWANSettings: classless routes of which one is on the link, a gateway that
// only that one leads to, MTU, search list and metric, as dnsmasq has them, are
// the kernel's; a renewal touches nothing but the lifetime of the address, and of
// a router that is killed nothing outlives the lease.
func TestWANSettings(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption device 'wan'\n\toption metric '7'\n")
	s.provider("1h",
		"--dhcp-option=option:classless-static-route,198.51.100.1/32,0.0.0.0,0.0.0.0/0,198.51.100.1,10.20.0.0/16,"+ispAddr,
		"--dhcp-option=option:router,203.0.113.254", "--dhcp-option=option:mtu,1400",
		"--dhcp-option=option:domain-search,a.example,b.a.example", "--dhcp-option=option:ntp-server,203.0.113.123",
		"--dhcp-option=option:T1,12")
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	want := []string{
		"10.20.0.0/16 via 203.0.113.1 metric 7 mtu 1400", "198.51.100.1 metric 7 mtu 1400",
		"203.0.113.0/24 metric 7 mtu 1400", "default via 198.51.100.1 metric 7 mtu 1400",
	}
	if got := s.routes("wan"); !slices.Equal(got, want) {
		t.Errorf("routes\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	resolv, err := os.ReadFile(s.resolv())
	check(t, err)
	if want := "search a.example b.a.example\nnameserver " + ispDNS + "\n"; string(resolv) != want {
		t.Errorf("resolver file %q; want %q", resolv, want)
	}
	for _, want := range []string{"10.20.0.0/16 by " + ispAddr, ">1400<", "a.example, b.a.example", "203.0.113.123"} {
		if !strings.Contains(s.page(), want) {
			t.Errorf("the page does not show %q", want)
		}
	}

	monitor := s.spawn(s.router, "stdbuf", "-oL", "ip", "monitor", "address", "route", "link")
	s.eventually("that ip monitor listens", func() bool {
		check(t, ip(s.router, "addr replace 127.0.0.9/32 dev lo", "addr del 127.0.0.9/32 dev lo"))
		return strings.Contains(monitor.String(), "127.0.0.9")
	})
	s.says(s.proc, s.proc.mark(), `msg=renewed side=wan`)
	check(t, ip(s.router, "addr replace 127.0.0.8/32 dev lo"))
	s.says(monitor, 0, "127.0.0.8")
	for _, line := range monitor.since(0) {
		if strings.Contains(line, "fe80::") {
			continue // the kernel's own IPv6, settling
		}
		if (strings.Contains(line, "wan") || strings.Contains(line, "203.0.113")) && !strings.Contains(line, "wan    inet 203.0.113.") {
			t.Errorf("a renewal that changes nothing touched the port: %s", line)
		}
	}

	_, err = s.proc.end(syscall.SIGKILL)
	check(t, err)
	var links []struct {
		Info []struct {
			Life float64 `json:"valid_life_time"`
		} `json:"addr_info"`
	}
	s.json(&links, "-4", "addr", "show", "dev", "wan")
	if len(links) != 1 || len(links[0].Info) != 1 || links[0].Info[0].Life > 3600 || links[0].Info[0].Life < 3000 {
		t.Errorf("of a router that was killed the port has %+v; want an address that goes with its lease", links)
	}
}

// json runs ip -j in the router's namespace.
func (s *street) json(to any, args ...string) {
	s.Helper()
	out, err := run(s.router, append([]string{"ip", "-j"}, args...)...)
	check(s.T, err)
	check(s.T, json.Unmarshal([]byte(out), to))
}

// routes are those of a port of the router, sorted: "10.0.0.0/8 via 192.0.2.1
// metric 5 mtu 1400".
func (s *street) routes(device string) []string {
	s.Helper()
	var routes []struct {
		Dst, Gateway string
		Metric       int
		Metrics      []struct{ MTU int }
	}
	s.json(&routes, "-4", "route", "show", "dev", device)
	var list []string
	for _, r := range routes {
		line := r.Dst
		if r.Gateway != "" {
			line += " via " + r.Gateway
		}
		if r.Metric != 0 {
			line += fmt.Sprintf(" metric %d", r.Metric)
		}
		for _, m := range r.Metrics {
			line += fmt.Sprintf(" mtu %d", m.MTU)
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}

// TestWANLosesWhatExpires: with the ISP gone the router asks it, asks
// everybody, and takes the address down when its time is over; it is back when
// the ISP is. busybox's udhcpd grants twenty seconds.
func TestWANLosesWhatExpires(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	isp := s.udhcpd("20", "203.0.113.100", "203.0.113.110")
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	had := s.uplink()
	s.says(s.proc, 0, `msg=renewed side=wan`)
	_, err := isp.end(syscall.SIGKILL)
	check(t, err)
	mark := s.proc.mark()
	s.says(s.proc, mark, `msg="lease expired" side=wan`)
	if now := s.uplink(); now != "" {
		t.Errorf("had %s; the lease is over and the port has %s", had, now)
	}
	if route, _ := run(s.router, "ip", "route", "show", "default"); route != "" {
		t.Errorf("the default route is still there: %s", route)
	}
	if resolv, _ := os.ReadFile(s.resolv()); len(resolv) != 0 {
		t.Errorf("the resolver file still says %q", resolv)
	}
	mark = s.proc.mark()
	s.udhcpd("20", "203.0.113.100", "203.0.113.110")
	s.says(s.proc, mark, `msg=bound side=wan`)
	if now := s.uplink(); now != had {
		t.Errorf("had %s; the ISP is back and the port has %s", had, now)
	}
	if len(s.packets("dhcp.option.dhcp == 3 && ip.dst == "+ispAddr+" && ip.src == "+had)) == 0 {
		t.Error("no renewal went to the server alone")
	}
	if len(s.packets("dhcp.option.dhcp == 3 && ip.dst == 255.255.255.255 && ip.src == "+had)) == 0 {
		t.Error("no renewal went to everybody")
	}
}

// udhcpd starts busybox's server as the ISP.
func (s *street) udhcpd(lease, first, last string) *process {
	s.Helper()
	conf := s.dir + "/udhcpd.conf"
	check(s.T, os.WriteFile(conf, []byte(fmt.Sprintf(
		"start %s\nend %s\ninterface eth0\nmin_lease 5\nlease_file %s/udhcpd.leases\npidfile %s/udhcpd.pid\n"+
			"conflict_time 60\noption subnet 255.255.255.0\noption router %s\noption dns %s\noption lease %s\n",
		first, last, s.dir, s.dir, ispAddr, ispDNS, lease)), 0o644))
	check(s.T, os.WriteFile(s.dir+"/udhcpd.leases", nil, 0o644))
	return s.spawn(s.isp, "busybox", "udhcpd", "-f", conf)
}

// TestWANDeclinesWhatIsInUse: an address that answers ARP is not installed but
// declined.
func TestWANDeclinesWhatIsInUse(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	const squatted, free = "203.0.113.101", "203.0.113.100" // udhcpd offers the former first
	s.neighbour("squat", squatted+"/32")
	s.udhcpd("60", free, squatted)
	s.on()
	s.says(s.proc, 0, `msg="address is in use" .*addr=`+squatted)
	if s.uplink() == squatted {
		t.Error("the port has an address that is in use")
	}
	s.says(s.proc, 0, `msg=bound side=wan addr=`+free)
	if len(s.packets("dhcp.option.dhcp == 4 && dhcp.option.requested_ip_address == "+squatted)) == 0 {
		t.Error("it was not declined")
	}
}

// TestLateProvider: laptops that boot before the provider is there get short
// leases without resolvers, and all of it as soon as there is more to tell.
func TestLateProvider(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.on()
	anna := s.laptop("anna", 1, udhcpc{})
	s.boot(anna)
	if o := s.reports(anna, 0, "bound"); o.dns != "" || o.term > 2*time.Minute {
		t.Errorf("without a provider: %+v", o)
	}
	s.provider("1h")
	s.eventually("the resolver on the page", func() bool { return strings.Contains(s.page(), ispDNS) })
	mark := anna.reports.mark()
	check(t, anna.client.renew(anna))
	if o := s.reports(anna, mark, "renewed"); o.dns != ispDNS || o.term != 12*time.Hour {
		t.Errorf("with one: %+v", o)
	}
}

// TestWANReleasesWhenAskedTo: only with norelease '0' is the lease given back,
// and in both cases the port is cleared.
func TestWANReleasesWhenAskedTo(t *testing.T) {
	t.Parallel()
	for option, want := range map[string]bool{"": false, "\toption norelease '0'\n": true} {
		s := newStreet(t, "config interface 'wan'\n"+option)
		isp := s.provider("1h")
		s.on()
		s.says(s.proc, 0, `msg=bound side=wan`)
		took, err := s.proc.end(syscall.SIGTERM)
		check(t, err)
		t.Logf("SIGTERM to exit: %v", took)
		if s.uplink() != "" {
			t.Errorf("%q: the port still has %s", option, s.uplink())
		}
		_, err = isp.end(syscall.SIGTERM)
		check(t, err)
		s.eventually("the last line of dnsmasq", func() bool { return strings.Contains(isp.String(), "exiting on receipt of SIGTERM") })
		if released := strings.Contains(isp.String(), "DHCPRELEASE"); released != want {
			t.Errorf("%q: released %v; dnsmasq said:\n%s", option, released, isp)
		}
	}
}

// TestOwnersAddressOnThePort: how the owner reaches his modem, an address and a
// route of his own, outlives a lease, a renewal, a power cut of the router's
// program and its end.
func TestOwnersAddressOnThePort(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.provider("1h", "--dhcp-option=option:T1,12")
	check(t, ip(s.router, "link set wan up", "addr add 192.168.100.2/24 dev wan", "route add 10.100.0.0/16 via 192.168.100.1 dev wan",
		"route add "+ispAddr+"/32 dev wan src 192.168.100.2"))
	const own, route = "192.168.100.2/24", "10.100.0.0/16 via 192.168.100.1"
	still := func(when string, addrs int) {
		t.Helper()
		out, err := run(s.router, "ip", "-o", "-4", "addr", "show", "dev", "wan")
		check(t, err)
		if n := strings.Count(out, "inet "); n != addrs || !strings.Contains(out, own) || !slices.Contains(s.routes("wan"), route) {
			t.Errorf("%s the port has\n%s\nand %q; want %s and %s, and %d addresses in all", when, out, s.routes("wan"), own, route, addrs)
		}
	}
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	still("with a lease", 2)
	s.says(s.proc, 0, `msg=renewed side=wan`)
	still("with a renewal", 2)
	_, err := s.proc.end(syscall.SIGKILL)
	check(t, err)
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	still("after the program was killed", 2)
	_, err = s.proc.end(syscall.SIGTERM)
	check(t, err)
	still("without the router", 1)
	if bad := s.packets("dhcp && ip.src == 192.168.100.2"); len(bad) > 0 {
		t.Errorf("these came from the owner's address:\n%s", strings.Join(bad, "\n"))
	}
}

// TestPortThatOthersTouch: what another program takes from the port is back in a
// few seconds, and the lease is not asked for again.
func TestPortThatOthersTouch(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	isp := s.provider("1h")
	s.on()
	granted := s.says(s.proc, 0, `msg=bound side=wan addr=(\S+)`)[1]
	heard := isp.mark()
	for _, touch := range []string{
		"addr flush dev wan", "route flush dev wan", "route replace default via 192.168.1.9 dev br-lan",
	} {
		check(t, ip(s.router, touch))
		began := time.Now()
		s.eventually("what ip "+touch+" took", func() bool {
			return s.uplink() == granted && slices.Equal(s.routes("wan"), []string{"203.0.113.0/24", "default via " + ispAddr})
		})
		t.Logf("after ip %s it took %v", touch, time.Since(began).Round(100*time.Millisecond))
	}
	if said := strings.Count(s.proc.String(), "another program has taken"); said != 1 {
		t.Errorf("it was logged %d times; want once", said)
	}
	if said := isp.since(heard); len(said) > 0 {
		t.Errorf("meanwhile the provider heard\n%s", strings.Join(said, "\n"))
	}
}
