package router

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
	"leasehold/firmware/config"
)

var rogueHW = dhcp.HWAddr{2, 0xbb, 0, 0, 0, 1}

// answered is what another server says to a client.
func answered(kind dhcpv4.MessageType, server string, from dhcp.HWAddr) dhcp.Datagram {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: iana.HWTypeEthernet, ClientHWAddr: []byte{2, 0, 0, 0, 0, 9},
		YourIPAddr: dhcp.IP(addr("192.168.1.200")),
		Options:    dhcpv4.OptionsFromList(dhcpv4.OptMessageType(kind), dhcpv4.OptServerIdentifier(dhcp.IP(addr(server)))),
	}
	return dhcp.Datagram{
		Msg: m, HW: from,
		From: netip.AddrPortFrom(addr(server), dhcp.ServerPort), To: netip.AddrPortFrom(dhcp.Broadcast, dhcp.ClientPort),
	}
}

func (h *house) alarms() []string {
	h.Helper()
	page := h.page()
	var all []string
	for _, part := range strings.Split(page, "<div class=box><b class=bad>")[1:] {
		text, _, _ := strings.Cut(part, "</b>")
		all = append(all, text)
	}
	return all
}

// seeks returns what was sent on the LAN to find other servers.
func (h *house) seeks() []dhcp.Datagram {
	h.Helper()
	synctest.Wait()
	p := h.port(lanDev)
	h.mu.Lock()
	defer h.mu.Unlock()
	return p.seeks
}

func (h *house) wantsAlarms(want ...string) {
	h.Helper()
	if got := h.alarms(); fmt.Sprint(got) != fmt.Sprint(want) {
		h.Errorf("alarms %q; want %q\n%s", got, want, h.log)
	}
}

// Another server is noticed by what it says, by who takes its offers, and by
// asking; the alarm ends when it has gone.
func TestAnotherServerRaisesTheAlarm(t *testing.T) {
	const rogue = "another DHCP server answers on lan: 192.168.1.66"
	for name, tt := range map[string]struct {
		happens func(h *house)
		want    string
	}{
		"an offer": {func(h *house) { h.tell(answered(dhcpv4.MessageTypeOffer, "192.168.1.66", rogueHW)) }, rogue + " (02:bb:00:00:00:01)"},
		"an ACK":   {func(h *house) { h.tell(answered(dhcpv4.MessageTypeAck, "192.168.1.66", rogueHW)) }, rogue + " (02:bb:00:00:00:01)"},
		"a client that takes its offer": {func(h *house) {
			h.tell(h.guest(1).says(dhcpv4.MessageTypeRequest,
				dhcpv4.OptRequestedIPAddress(dhcp.IP(addr("192.168.1.200"))), dhcpv4.OptServerIdentifier(dhcp.IP(addr("192.168.1.66")))))
		}, rogue},
		"both, in any order": {func(h *house) {
			h.tell(answered(dhcpv4.MessageTypeOffer, "192.168.1.66", rogueHW))
			h.tell(h.guest(1).says(dhcpv4.MessageTypeRequest,
				dhcpv4.OptRequestedIPAddress(dhcp.IP(addr("192.168.1.200"))), dhcpv4.OptServerIdentifier(dhcp.IP(addr("192.168.1.66")))))
		}, rogue + " (02:bb:00:00:00:01)"},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(h *house) {
				h.boot()
				h.wantsAlarms()
				tt.happens(h)
				h.wantsAlarms(tt.want)
				h.logged("msg=alarm side=lan network=lan what=\"" + rogue)
				time.Sleep(10 * time.Minute)
				tt.happens(h)
				time.Sleep(10 * time.Minute)
				h.wantsAlarms(tt.want)
				if n := strings.Count(h.log.String(), "msg=alarm"); n != 1 {
					t.Errorf("it is on the log %d times; want once", n)
				}
				time.Sleep(3 * time.Minute)
				h.wantsAlarms()
			})
		})
	}
}

func TestOtherServersAreLookedFor(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		time.Sleep(time.Hour)
		p, seeks := h.port(lanDev), h.seeks()
		if n := len(seeks); n < 11 || n > 13 {
			t.Fatalf("other servers were looked for %d times in an hour; want 12", n)
		}
		d := seeks[0]
		if d.Msg.MessageType() != dhcpv4.MessageTypeDiscover || d.Msg.Flags != 0x8000 || dhcp.HWAddr(d.Msg.ClientHWAddr) != p.HW() || d.Msg.TransactionID == seeks[1].Msg.TransactionID {
			t.Errorf("by %v", d.Msg.Summary())
		}
	})
	live(t, func(h *house) {
		h.cfg.LAN.Authoritative = false
		h.boot()
		time.Sleep(time.Hour)
		h.tell(answered(dhcpv4.MessageTypeOffer, "192.168.1.66", rogueHW))
		if n := len(h.seeks()); n != 0 {
			t.Errorf("other servers may serve this LAN, and were looked for %d times", n)
		}
		h.wantsAlarms()
	})
}

// A cable between LAN and WAN port: the client of the WAN port is not served, and
// does not take what a server of ours says.
func TestWiresThatAreConnectedRaiseTheAlarm(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Enabled = true
		var asked []dhcp.Datagram
		h.isp = func(d dhcp.Datagram) []dhcp.Datagram {
			d.HW = wanHW
			asked = append(asked, d)
			return nil
		}
		h.boot()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(asked) == 0 {
			t.Fatal("the WAN port asked nobody")
		}
		if got := h.hearsSoon(asked[len(asked)-1]); len(got) > 0 {
			t.Errorf("the LAN offers %v to our own WAN port", got)
		}
		h.wantsAlarms("lan and the WAN port are connected to each other")
		own := answered(dhcpv4.MessageTypeOffer, "192.168.1.1", h.port(lanDev).HW())
		own.Msg.TransactionID = asked[len(asked)-1].Msg.TransactionID
		own.Msg.ClientHWAddr = wanHW[:]
		h.port(wanDev).in <- own
		time.Sleep(10 * time.Second)
		h.pageHas("lan and the WAN port are connected to each other")
		h.notLogged("wan addr=192.168.1.200")

		// A laptop with the WAN port's address is a laptop.
		g := guest{hw: wanHW, name: "cloned"}
		if got := h.hearsSoon(g.discover()); len(got) != 1 {
			t.Errorf("a laptop whose address the WAN port has is answered by %v", got)
		}
	})
}

func TestLoopInOneNetworkRaisesTheAlarm(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{guestNet()}
		h.boot()
		time.Sleep(seekFirst + time.Second)
		p := h.port(lanDev)
		back := h.seeks()[0]
		back.HW = p.HW()
		if got := h.hearsSoon(back); len(got) > 0 {
			t.Errorf("it answers itself: %v", got)
		}
		h.wantsAlarms("what is sent on lan comes back: two of its ports are connected to each other")
		h.tell(answered(dhcpv4.MessageTypeOffer, "192.168.1.1", p.HW()))
		h.wantsAlarms("what is sent on lan comes back: two of its ports are connected to each other")
		h.port(guestDev).in <- answered(dhcpv4.MessageTypeOffer, "192.168.1.1", p.HW())
		h.pageHas("guest and lan are connected to each other")
	})
}

// Ports of one machine often have one address: VLANs do, and on some boards the
// WAN port too.
func TestPortsWithOneAddressAreToldApart(t *testing.T) {
	w, hw := newWatch(), dhcp.HWAddr{2, 1}
	m := &dhcpv4.DHCPv4{HWType: iana.HWTypeEthernet, ClientHWAddr: hw[:], TransactionID: dhcpv4.TransactionID{7}}
	for _, where := range []string{"lan", "guest", onWAN, "lan"} {
		w.port(hw, where)
	}
	if where, ok := w.isOurs(m); ok {
		t.Errorf("a message that nobody sent is of %q", where)
	}
	w.asks(m, onWAN)
	if where, ok := w.isOurs(m); !ok || where != onWAN {
		t.Errorf("the WAN port's message is of %q, %v", where, ok)
	}
	if there, ok := w.isPort(hw, "lan"); !ok || there != "guest" {
		t.Errorf("the address, seen on lan, is that of %q, %v", there, ok)
	}
	if there, ok := w.isPort(dhcp.HWAddr{2, 9}, "lan"); ok {
		t.Errorf("the address of a stranger is that of %q", there)
	}
	now := time.Unix(1000, 0)
	w.sees(now, rogueHW, "lan")
	if elsewhere := w.sees(now, rogueHW, "guest"); elsewhere != "" {
		t.Errorf("a server on two networks is told to be elsewhere, on %q", elsewhere)
	}
	if elsewhere := w.sees(now, rogueHW, onWAN); elsewhere != "guest" {
		t.Errorf("a server on both sides is elsewhere on %q; want guest", elsewhere)
	}
}

// The provider's server answers on the LAN: the cables were swapped, or a switch
// connects the two.
func TestServerOnBothSidesRaisesTheAlarm(t *testing.T) {
	live(t, func(h *house) {
		h.bound(time.Hour)
		h.port(wanDev).in <- answered(dhcpv4.MessageTypeOffer, "203.0.113.1", rogueHW)
		time.Sleep(time.Second)
		h.wantsAlarms()
		h.tell(answered(dhcpv4.MessageTypeOffer, "203.0.113.1", rogueHW))
		h.wantsAlarms("02:bb:00:00:00:01 answers on lan and on the WAN port: the two are connected, or were swapped",
			"another DHCP server answers on lan: 203.0.113.1 (02:bb:00:00:00:01)")
	})
}

// Whoever makes servers up gets no more of our memory, no longer page, and does not
// push off what matters.
func TestServersThatAreMadeUp(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.tell(answered(dhcpv4.MessageTypeOffer, "192.168.1.1", h.port(lanDev).HW())) // comes back by a loop
		for i := range 500 {
			h.tell(answered(dhcpv4.MessageTypeOffer, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), dhcp.HWAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}))
		}
		got := h.alarms()
		if len(got) != 1+mostServers+1 || !strings.Contains(got[0], "what is sent on lan comes back") {
			t.Errorf("alarms %q; want the loop, %d servers, and that there are more", got, mostServers)
		}
		if last := got[len(got)-1]; last != "more than 4 other DHCP servers answer on lan, or somebody makes them up" {
			t.Errorf("the last alarm is %q", last)
		}
		if n := strings.Count(h.log.String(), "msg=alarm"); n != len(got) {
			t.Errorf("%d alarms are on the log; want %d", n, len(got))
		}
	})
	live(t, func(h *house) { // those of one network hide none on another
		h.cfg.Others = []config.LAN{guestNet()}
		h.boot()
		for i := range 2 * mostServers {
			h.port(guestDev).in <- answered(dhcpv4.MessageTypeOffer, fmt.Sprintf("10.0.0.%d", i+1), dhcp.HWAddr{2, 0, 0, 0, 0, byte(i)})
		}
		h.tell(answered(dhcpv4.MessageTypeOffer, "192.168.1.66", rogueHW))
		h.pageHas("another DHCP server answers on lan: 192.168.1.66")
	})
	w, now := newWatch(), time.Unix(1000, 0)
	for i := range 1000 {
		w.sees(now.Add(time.Duration(i)*time.Second), dhcp.HWAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}, "lan")
		w.sees(now.Add(time.Duration(i)*time.Second), rogueHW, "lan")
	}
	for _, hw := range []dhcp.HWAddr{rogueHW, {2, 0, 0, 0, 3, 231}} {
		if _, ok := w.servers[hw]; !ok || len(w.servers) != sightings {
			t.Errorf("of %d servers %v is forgotten", len(w.servers), hw)
		}
	}
}
