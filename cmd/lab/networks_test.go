package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	guestIP  = "192.168.2.1"
	guestNet = `
config interface 'wan'
	option proto 'none'
config interface 'guest'
	option device 'br-guest'
	option proto 'static'
	list ipaddr '192.168.2.1/24'
config dhcp 'guest'
	option interface 'guest'
	option leasetime '30m'
	option start '50'
	option limit '20'
	list dhcp_option '6,192.0.2.54'
	list dhcp_option '15,guest.example'
`
)

// guestBridge builds the guests' bridge, which is recorded like the others.
func (s *street) guestBridge() {
	s.Helper()
	check(s.T, ip(s.router,
		"link add br-guest address 02:00:5e:00:02:02 type bridge forward_delay 0",
		"link set br-guest up"))
	s.record(s.router, "br-guest", s.dir+"/guest.pcapng")
}

// visitor plugs a laptop into the guests' bridge.
func (s *street) visitor(name, port string, n int, c client) *laptop {
	s.Helper()
	l := s.laptop(name, n, c)
	check(s.T, ip(s.router, "link set "+port+" master br-guest"))
	return l
}

// TestGuestsHaveTheirOwnNetwork: the bridge for guests comes later than the
// router does, and has a pool, a lease time and options of its own; a device
// that moves from one network to the other gets an address of that one, and a
// power cut spares both.
func TestGuestsHaveTheirOwnNetwork(t *testing.T) {
	t.Parallel()
	s := newStreet(t, guestNet)
	s.on()
	anna := s.laptop("anna", 1, udhcpc{})
	s.boot(anna)
	home := s.reports(anna, 0, "bound")
	s.says(s.proc, 0, `msg="network guest stopped" err="interface br-guest: no such network interface"`)
	s.guestBridge()
	s.says(s.proc, 0, "msg=serving side=lan network=guest")

	ben, cleo := s.visitor("ben", "lan2", 2, dhclient{}), s.visitor("cleo", "lan3", 3, udhcpc{})
	had := map[*laptop]string{anna: home.ip}
	for _, l := range []*laptop{ben, cleo} {
		s.boot(l)
		o := s.reports(l, 0, "bound")
		had[l] = o.ip
		if !strings.HasPrefix(o.ip, "192.168.2.") || o.term != 30*time.Minute || o.server != guestIP || o.router != guestIP ||
			o.dns != "192.0.2.54" || o.domain != "guest.example" {
			t.Errorf("%s reports %+v", l.name, o)
		}
	}
	if !strings.HasPrefix(home.ip, "192.168.1.") || home.server != routerIP || home.term != 12*time.Hour {
		t.Errorf("anna reports %+v", home)
	}
	s.says(s.proc, 0, "msg=bound side=lan network=guest .*name=ben addr="+had[ben])
	s.eventually("both networks on the page", func() bool {
		page := s.page()
		guest := strings.Index(page, "Network “guest”")
		return guest > strings.Index(page, had[anna]) && strings.Index(page, had[ben]) > guest
	})

	_, err := s.proc.end(syscall.SIGKILL)
	check(t, err)
	s.on()
	s.says(s.proc, 0, "msg=serving side=lan network=guest")
	for _, l := range []*laptop{anna, cleo} {
		mark := l.reports.mark()
		check(t, l.client.renew(l))
		if o := s.reports(l, mark, "renewed"); o.ip != had[l] {
			t.Errorf("%s had %s and renewed %s", l.name, had[l], o.ip)
		}
	}

	check(t, ip(s.router, "link set lan1 master br-guest"))
	mark := anna.reports.mark()
	check(t, anna.client.reboot(anna))
	if o := s.reports(anna, mark, "bound"); !strings.HasPrefix(o.ip, "192.168.2.") {
		t.Errorf("among the guests anna reports %+v", o)
	}
}
