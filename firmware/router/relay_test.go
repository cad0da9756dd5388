package router

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/firmware/config"
)

// officeNet is a network behind relay agents on the LAN.
func officeNet() config.LAN {
	n := config.Default().LAN
	n.Name, n.Device, n.Addr = "office", "", netip.MustParsePrefix("10.9.0.0/24")
	n.Via, n.Carrier = "lan", router1
	n.First, n.Last = addr("10.9.0.100"), addr("10.9.0.199")
	n.Gateways, n.LeaseTime = nil, time.Hour
	return n
}

// forwarded is a message as a relay agent on the LAN passes it on.
func forwarded(d dhcp.Datagram) dhcp.Datagram {
	d.Msg.GatewayIPAddr = dhcp.IP(addr("10.9.0.1"))
	d.From, d.To = netip.MustParseAddrPort("10.9.0.1:67"), netip.AddrPortFrom(router1, dhcp.ServerPort)
	d.HW = dhcp.HWAddr{2, 0xee, 0, 0, 0, 1}
	return d
}

// directly is a message that a client behind a router sends to us alone.
func directly(d dhcp.Datagram) dhcp.Datagram {
	d.From, d.To = netip.AddrPortFrom(dhcp.Addr(d.Msg.ClientIPAddr), 68), netip.AddrPortFrom(router1, dhcp.ServerPort)
	d.HW = dhcp.HWAddr{2, 0xee, 0, 0, 0, 1}
	return d
}

// joins has a guest get an address through the relay agent.
func (h *house) joins(g guest) netip.Addr {
	h.Helper()
	offers := h.hearsSoon(forwarded(g.discover()))
	if len(offers) != 1 {
		h.Fatalf("%d offers; want 1\n%s", len(offers), h.log)
	}
	a := dhcp.Addr(offers[0].Msg.YourIPAddr)
	h.answers(forwarded(g.request(a)), "ACK "+a.String())
	return a
}

// Clients behind a relay agent have a network of their own in the loop of that
// on which the agent is; their leases are in the ring with all others.
func TestNetworkBehindARelayAgent(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{officeNet()}
		h.boot()
		a, b := h.bind(h.guest(1)), h.joins(h.guest(2))
		if !netip.MustParsePrefix("10.9.0.0/24").Contains(b) {
			t.Fatalf("behind the agent: %v", b)
		}
		got := h.hears(forwarded(h.guest(2).renew(b)))[0]
		if got.To != netip.MustParseAddrPort("10.9.0.1:67") || got.HW != (dhcp.HWAddr{}) || got.Msg.IPAddressLeaseTime(0) != time.Hour {
			t.Errorf("rebinding: to %v at %v: %v", got.To, got.HW, got.Msg.Summary())
		}
		got = h.hears(directly(h.guest(2).renew(b)))[0]
		if say(got) != "ACK "+b.String()+" ciaddr "+b.String() || got.To.Addr() != b || got.HW != (dhcp.HWAddr{2, 0xee, 0, 0, 0, 1}) {
			t.Errorf("renewing: to %v at %v: %v", got.To, got.HW, got.Msg.Summary())
		}
		h.answers(h.guest(2).renew(b), "NAK") // to everybody, so it is on the LAN itself
		h.answers(directly(h.guest(3).renew(b)), "NAK")
		h.answers(forwarded(h.guest(1).reboot(a)), "NAK")
		h.logged("side=lan network=lan client=02:00:00:00:00:02 relayed=office name=guest-2 addr=" + b.String())
		h.pageHas("Network “office”")
		h.pageHas("on lan")
		h.pageHas("office: guest-2: bound (" + b.String() + ")")

		h.powerOff()
		h.boot()
		h.answers(forwarded(h.guest(3).reboot(b)), "NAK")
		h.answers(h.guest(3).reboot(a), "NAK")
		h.answers(forwarded(h.guest(2).reboot(b)), "ACK "+b.String())
		h.tell(directly(h.guest(2).release(b)))
		h.logged("msg=released side=lan network=lan client=02:00:00:00:00:02 relayed=office")
	})
}

// ARP does not reach behind a relay agent: nobody is asked, and what cannot be
// kept is lent all the same.
func TestNobodyIsProbedBehindARelayAgent(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{officeNet()}
		h.breakIn("probe", func() { panic("somebody was probed") })
		h.boot()
		h.joins(h.guest(1))
		h.flash.breakDown()
		h.is("lent", h.grants(forwarded(h.guest(2).reboot(addr("10.9.0.150")))), "ACK 10m0s")
		h.flash.mend()
		h.tell(forwarded(h.guest(2).says(dhcpv4.MessageTypeDecline,
			dhcpv4.OptRequestedIPAddress(dhcp.IP(addr("10.9.0.150"))), dhcpv4.OptServerIdentifier(dhcp.IP(router1)))))
		h.logged("address is in use by somebody else")
		time.Sleep(time.Minute)
		h.notLogged("somebody was probed")
	})
}

func TestReloadAddsAndRemovesNetworksBehindARelayAgent(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.tell(forwarded(h.guest(1).discover()))
		h.logged("comes from a relay on a network that is not configured")
		h.configure(func(c *config.Config) { c.Others = []config.LAN{officeNet()} })
		b := h.joins(h.guest(1))
		h.configure(func(c *config.Config) { c.LAN.LeaseTime = 2 * time.Hour })
		h.answers(forwarded(h.guest(2).reboot(b)), "NAK")
		h.look()
		h.configure(func(c *config.Config) { c.Others = nil })
		h.wants() // no address was taken down
		if got := h.hears(forwarded(h.guest(1).reboot(b))); len(got) > 0 {
			t.Errorf("answered %v", got)
		}
		if strings.Contains(h.page(), "office”") {
			t.Error("the network that went is on the page")
		}
		h.configure(func(c *config.Config) { c.Others = []config.LAN{officeNet()} })
		h.answers(forwarded(h.guest(2).reboot(b)), "NAK")
		if n := h.openings(lanDev); n != 1 {
			t.Errorf("the LAN was opened %d times; want once", n)
		}
	})
}

// The relay agents of one network are nothing to another.
func TestRelayAgentsAreOfOneNetwork(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{guestNet(), officeNet()}
		h.boot()
		d := forwarded(h.guest(1).discover())
		d.To = netip.AddrPortFrom(guestRouter, dhcp.ServerPort)
		if got := h.on(guestDev, d); len(got) > 0 {
			t.Errorf("a guest that says it is a relay agent gets %v", got)
		}
		var names []string
		for _, l := range lanParts(h.cfg) {
			names = append(names, l.Name)
		}
		if !slices.Equal(names, []string{"lan", "guest"}) {
			t.Errorf("loops for %q; want lan and guest", names)
		}
	})
}
