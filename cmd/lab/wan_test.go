package main

import (
	"fmt"
	"os"
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
	check(t, ip(s.isp, "addr add "+squatted+"/32 dev lo"))
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
