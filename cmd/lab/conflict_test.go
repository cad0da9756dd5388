package main

import (
	"strings"
	"syscall"
	"testing"
)

// twin makes the provider a router with the network that ours has by default.
func (s *street) twin() *process {
	s.Helper()
	check(s.T, ip(s.isp, "addr flush dev eth0", "addr add 192.168.1.254/24 dev eth0"))
	return s.spawn(s.isp, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root",
		"--no-ping", "--port=0", "--log-dhcp", "--interface=eth0", "--bind-interfaces",
		"--pid-file="+s.dir+"/dnsmasq.pid", "--dhcp-leasefile="+s.dir+"/dnsmasq.leases",
		"--dhcp-range=192.168.1.50,192.168.1.60,1h", "--dhcp-option=option:router,192.168.1.254")
}

// TestProviderHasTheNetworkOfTheLAN: its lease is not put on the port, the page
// says why, the LAN goes on, and when the owner has moved the LAN the lease is
// used.
func TestProviderHasTheNetworkOfTheLAN(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.twin()
	s.on()
	s.says(s.proc, 0, `msg="network conflict" side=wan provider=192.168.1.\d+/24 ours=192.168.1.1/24`)
	s.says(s.proc, 0, `msg=bound side=wan`)
	if s.uplink() != "" || len(s.routes("wan")) > 0 {
		t.Errorf("the port has %q and routes %q; want nothing", s.uplink(), s.routes("wan"))
	}
	if page := s.page(); !strings.Contains(page, "network 192.168.1.0/24 and ours, 192.168.1.0/24 (lan), are in each other&#39;s way") {
		t.Errorf("the page does not say so:\n%s", page)
	}
	l := s.laptop("anna", 1, udhcpc{})
	s.boot(l)
	s.reports(l, 0, "bound")

	check(t, s.configure("config interface 'lan'\n\tlist ipaddr '10.0.0.1/24'\n"))
	s.proc.signal(syscall.SIGHUP)
	s.eventually("the lease on the port", func() bool { return strings.HasPrefix(s.uplink(), "192.168.1.") })
	if got := strings.Join(s.routes("wan"), "\n"); got != "192.168.1.0/24\ndefault via 192.168.1.254" {
		t.Errorf("routes %q", got)
	}
}

// TestLANMovesOutOfTheProvidersWay: with option renumber, every client follows,
// and the network stays where it is over a power cut.
func TestLANMovesOutOfTheProvidersWay(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'lan'\n\toption renumber '1'\nconfig dhcp 'lan'\n\toption leasetime '30s'\n")
	s.on()
	laptops := map[*laptop]int{}
	port := 1
	for name, c := range allClients {
		l := s.laptop(name, port, c)
		s.boot(l)
		if o := s.reports(l, 0, "bound"); !strings.HasPrefix(o.ip, "192.168.1.") {
			t.Errorf("%s begins with %s", name, o.ip)
		}
		laptops[l] = l.reports.mark()
		port++
	}
	s.twin()
	s.says(s.proc, 0, `msg="network moves out of the provider's way" network=lan from=192.168.1.1/24 to=192.168.51.1/24`)
	s.eventually("the lease on the port", func() bool { return strings.HasPrefix(s.uplink(), "192.168.1.") })
	for l, mark := range laptops {
		if o := s.reports(l, mark, "bound"); !strings.HasPrefix(o.ip, "192.168.51.") || o.router != "192.168.51.1" {
			t.Errorf("%s moved to %s with the gateway %s", l.name, o.ip, o.router)
		}
		if out, err := run(l.ns, "busybox", "ping", "-c", "1", "-W", "5", "192.168.51.1"); err != nil {
			t.Errorf("%s: %v %s", l.name, err, out)
		}
	}
	if out, err := run(s.router, "ip", "route", "get", "192.168.1.254"); err != nil || !strings.Contains(out, "dev wan") {
		t.Errorf("the provider is reached by %s, %v", out, err)
	}
	page, err := run(s.router, "busybox", "wget", "-q", "-O", "-", "http://192.168.51.1/")
	check(t, err)
	if !strings.Contains(page, "moved from 192.168.1.1/24") {
		t.Errorf("the page does not say so:\n%s", page)
	}

	check(t, s.powerCut())
	check(t, s.powerBack())
	s.owns(s.proc)
	s.says(s.proc, 0, `msg=serving .*addr=192.168.51.1/24`)
	s.says(s.proc, 0, `msg=bound side=wan addr=192.168.1.`)
	if said := s.proc.String(); strings.Contains(said, "network moves") || strings.Contains(said, "network conflict") {
		t.Errorf("after the power cut it moved again:\n%s", said)
	}
	s.eventually("the lease on the port again", func() bool { return strings.HasPrefix(s.uplink(), "192.168.1.") })
}
