package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// TestAnotherServerIsFound: dnsmasq on the LAN, to which no client has spoken
// yet, is found and shown; and that it has gone is seen.
func TestAnotherServerIsFound(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	rogue, mac, err := s.addLaptop("rogue", 1)
	check(t, err)
	check(t, ip(rogue, "addr add 192.168.1.66/24 brd + dev eth0"))
	dnsmasq := s.spawn(rogue, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--no-ping",
		"--port=0", "--log-dhcp", "--interface=eth0", "--bind-interfaces", "--pid-file="+s.dir+"/rogue.pid",
		"--dhcp-leasefile="+s.dir+"/rogue.leases", "--dhcp-range=192.168.1.200,192.168.1.210,1h")
	s.on()
	want := "another DHCP server answers on lan: 192.168.1.66 (" + mac + ")"
	s.says(s.proc, 0, `msg=alarm side=lan network=lan what="another DHCP server answers on lan: 192.168.1.66 \(`+mac+`\)"`)
	s.says(dnsmasq, 0, `DHCPDISCOVER\(eth0\) 02:00:5e:00:02:01`)
	s.eventually("the alarm on the page", func() bool { return strings.Contains(s.page(), want) })
	if leases := s.packets("dhcp.option.dhcp == 3 && dhcp.hw.mac_addr == 02:00:5e:00:02:01"); len(leases) > 0 {
		t.Errorf("the router took a lease:\n%s", strings.Join(leases, "\n"))
	}
}

// TestLANAndWANConnected: somebody has put a cable between the switch of the LAN
// and that of the provider. The router does not become its own client.
func TestLANAndWANConnected(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.connect()
	s.on()
	s.says(s.proc, 0, `msg=alarm side=lan network=lan what="lan and the WAN port are connected to each other"`)
	s.eventually("the alarm on the page", func() bool {
		return strings.Contains(s.page(), "lan and the WAN port are connected to each other")
	})
	l := s.laptop("anna", 1, udhcpc{})
	s.boot(l)
	s.reports(l, 0, "bound")
	time.Sleep(5 * time.Second) // the WAN side asks again meanwhile
	if had := s.uplink(); had != "" || strings.Contains(s.proc.String(), "msg=bound side=wan") {
		t.Errorf("the WAN port has %q", had)
	}
	if own := s.packets("dhcp.type == 2 && dhcp.hw.mac_addr == 02:00:5e:00:01:01"); len(own) > 0 {
		t.Errorf("the router answered itself:\n%s", strings.Join(own, "\n"))
	}
}

// connect puts a cable between the LAN and the bridge "street", on which the
// provider then is.
func (s *street) connect() {
	s.Helper()
	check(s.T, ip(s.isp,
		"link add street type bridge forward_delay 0",
		"link set street up",
		"addr flush dev eth0",
		"addr add "+ispNet+" brd + dev street",
		"link set eth0 master street",
		"link add cable type veth peer name lan8 netns "+s.router,
		"link set cable master street up"))
	check(s.T, ip(s.router, "link set lan8 master br-lan up"))
}

// TestFloodIsNotRead: who sends a thousand messages a second is held back before
// they are read, and soon by the kernel. Another client notices nothing, not even
// the one in whose name they are sent.
func TestFloodIsNotRead(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	s.on()
	s.says(s.proc, 0, "msg=serving")
	ns, _, err := s.addLaptop("flood", 1)
	check(t, err)
	l, err := newLoad(ns)
	check(t, err)
	anna, ben := s.laptop("anna", 2, udhcpc{}), s.laptop("ben", 3, udhcpc{})
	forged := message(7, dhcpv4.MessageTypeDiscover)
	forged.ClientHWAddr, err = net.ParseMAC(anna.mac)
	check(t, err)
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			case <-time.After(time.Millisecond):
				l.shout(forged)
			}
		}
	}()
	began := time.Now()
	s.eventually("the flood on the page", func() bool { return strings.Contains(s.page(), "messages of a flood") })
	time.Sleep(time.Second) // by now the kernel keeps them
	for _, l := range []*laptop{anna, ben} {
		s.boot(l)
		s.reports(l, 0, "bound")
	}
	close(stop)
	t.Logf("%d messages of one client in %v", <-done, time.Since(began).Round(time.Second))
	if out := s.seen("/metrics"); !strings.Contains(out, `leasehold_lan_refused_messages_total{network="lan"}`) {
		t.Errorf("the metrics do not count them:\n%s", out)
	}
}
