package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestModemIsPulledAndPluggedIn: a port that is made anew by its driver, twice,
// the second time when pauses between attempts have grown long.
func TestModemIsPulledAndPluggedIn(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption device 'usb0'\n")
	// The provider's end of the cable stays: there is a switch in between.
	check(t, ip(s.isp,
		"link add modem type bridge forward_delay 0",
		"addr add 198.51.100.1/24 dev modem",
		"link set modem up"))
	s.record(s.isp, "modem", s.dir+"/modem.pcapng")
	plug := func() {
		check(t, ip(s.router, "link add usb0 address 02:00:5e:00:01:01 type veth peer name usb netns "+s.isp,
			"-n "+s.isp+" link set usb master modem up"))
	}
	isp := s.provider("1h", "--interface=modem", "--dhcp-range=198.51.100.100,198.51.100.199,1h")
	s.on()
	s.says(s.proc, 0, "interface usb0: no such network interface")
	plug()
	granted := s.says(s.proc, 0, `msg=bound side=wan addr=(\S+)`)[1]
	for _, away := range []time.Duration{0, 9 * time.Second} {
		check(t, ip(s.router, "link del usb0"))
		time.Sleep(away) // longer, and the pauses between attempts are longer than what is allowed below
		mark, heard := s.proc.mark(), isp.mark()
		plug()
		began := time.Now()
		if again := s.says(s.proc, mark, `msg=bound side=wan addr=(\S+)`)[1]; again != granted {
			t.Errorf("had %s; after %v without a modem it has %s", granted, away, again)
		}
		t.Logf("bound %v after the modem came back", time.Since(began).Round(100*time.Millisecond))
		if m := s.says(isp, heard, `DHCP(DISCOVER|REQUEST)\(modem\) (\S+)`); m[1] != "REQUEST" || m[2] != granted {
			t.Errorf("the router began with %s", m[0])
		}
		if !strings.Contains(strings.Join(s.routes("usb0"), "\n"), "default via "+ispAddr) {
			t.Errorf("routes of the modem: %q", s.routes("usb0"))
		}
	}
}

// TestCableIsPulledAndPluggedIn: the last address is asked for at once, and kept.
func TestCableIsPulledAndPluggedIn(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	isp := s.provider("1h")
	s.on()
	granted := s.says(s.proc, 0, `msg=bound side=wan addr=(\S+)`)[1]
	s.recorded() // what is recorded next is at an end that goes down
	mark, heard := s.proc.mark(), isp.mark()
	for range 3 { // a plug that is not yet all the way in
		out := s.proc.mark()
		check(t, ip(s.isp, "link set eth0 down"))
		s.says(s.proc, out, `msg="cable is out" side=wan`)
		check(t, ip(s.isp, "link set eth0 up"))
		s.says(s.proc, out, `msg="cable is in" side=wan`)
	}
	s.says(s.proc, mark, `msg="?(bound|renewed)"? side=wan addr=`+granted)
	if m := s.says(isp, heard, `DHCP(DISCOVER|REQUEST)\(eth0\) (\S+)`); m[1] != "REQUEST" || m[2] != granted {
		t.Errorf("the router began with %s", m[0])
	}
	s.hasAddress(granted)
	requests := 0
	for _, line := range isp.since(heard) {
		if strings.Contains(line, " DHCPREQUEST(eth0) ") {
			requests++
		}
	}
	if requests > 2 {
		t.Errorf("%d requests; carrier that comes and goes is to cause one", requests)
	}
}

func (s *street) hasAddress(addr string) {
	s.Helper()
	if have := s.uplink(); have != addr {
		s.Errorf("the port has %q; want %s", have, addr)
	}
}

// TestPortIsSetDown: somebody sets the port down; it is up and bound again.
func TestPortIsSetDown(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.provider("1h")
	s.on()
	granted := s.says(s.proc, 0, `msg=bound side=wan addr=(\S+)`)[1]
	for range 3 {
		mark := s.proc.mark()
		check(t, ip(s.router, "link set wan down"))
		s.says(s.proc, mark, `msg="port is down" side=wan`)
		s.says(s.proc, mark, `msg=bound side=wan addr=`+granted)
		s.hasAddress(granted)
	}
}

// TestClonedMAC: the provider sees the address that is configured, in frames and
// in messages; and the port's own once it is configured no more.
func TestClonedMAC(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption macaddr '"+clonedMAC+"'\n")
	isp := s.provider("1h")
	s.on()
	s.says(isp, 0, `DHCPACK\(eth0\) (\S+) `+clonedMAC)
	s.says(s.proc, 0, `msg=bound side=wan`)
	if n := len(s.packets("dhcp && eth.src == " + clonedMAC + " && dhcp.hw.mac_addr == " + clonedMAC)); n < 2 {
		t.Errorf("%d DHCP messages came from %s", n, clonedMAC)
	}
	if bad := s.packets("eth.src == 02:00:5e:00:01:01 && dhcp"); len(bad) > 0 {
		t.Errorf("these came from the port's own address:\n%s", strings.Join(bad, "\n"))
	}
	check(t, s.configure(""))
	mark, heard := s.proc.mark(), isp.mark()
	s.proc.signal(syscall.SIGHUP)
	s.says(s.proc, mark, `msg=bound side=wan`)
	s.says(isp, heard, `DHCPACK\(eth0\) (\S+) 02:00:5e:00:01:01`)
}
