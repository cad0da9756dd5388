package router

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/firmware/config"
)

const guestDev = "br-guest"

var guestRouter = addr("192.168.2.1")

// guestNet is a network beside the LAN.
func guestNet() config.LAN {
	n := config.Default().LAN
	n.Name, n.Device, n.Addr = "guest", guestDev, netip.MustParsePrefix("192.168.2.1/24")
	n.First, n.Last = addr("192.168.2.100"), addr("192.168.2.109")
	n.Gateways, n.LeaseTime = []netip.Addr{guestRouter}, time.Hour
	return n
}

// on puts messages on a device and returns what is answered there.
func (h *house) on(device string, ds ...dhcp.Datagram) []dhcp.Datagram {
	h.Helper()
	h.sent(device)
	p := h.port(device)
	for _, d := range ds {
		p.in <- d
	}
	time.Sleep(time.Second) // for a probe
	return h.sent(device)
}

// visits has a guest get an address on the guests' network.
func (h *house) visits(g guest) netip.Addr {
	h.Helper()
	offers := h.on(guestDev, g.discover())
	if len(offers) != 1 {
		h.Fatalf("%d offers on %s; want 1\n%s", len(offers), guestDev, h.log)
	}
	a := dhcp.Addr(offers[0].Msg.YourIPAddr)
	acks := h.on(guestDev, g.says(dhcpv4.MessageTypeRequest,
		dhcpv4.OptRequestedIPAddress(dhcp.IP(a)), dhcpv4.OptServerIdentifier(dhcp.IP(guestRouter))))
	if len(acks) != 1 || say(acks[0]) != "ACK "+a.String() {
		h.Fatalf("%v is answered by %v\n%s", a, acks, h.log)
	}
	return a
}

// Each network has its own pool, lease time and answers; one client can be on
// both, and both are in one ring.
func TestNetworksAreServedEachOnItsOwn(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{guestNet()}
		h.cfg.Hosts = []config.Host{{MACs: [][6]byte{h.guest(7).hw}, Addr: addr("192.168.2.20")}}
		h.boot()
		g := h.guest(1)
		a, b := h.bind(g), h.visits(g)
		if !netip.MustParsePrefix("192.168.1.0/24").Contains(a) || !netip.MustParsePrefix("192.168.2.96/27").Contains(b) {
			t.Errorf("on the LAN %v, as a guest %v", a, b)
		}
		if got := h.on(guestDev, g.renew(b))[0].Msg; got.IPAddressLeaseTime(0) != time.Hour || dhcp.Addr(got.ServerIdentifier()) != guestRouter ||
			len(got.Router()) != 1 || dhcp.Addr(got.Router()[0]) != guestRouter {
			t.Errorf("as a guest: %v", got.Summary())
		}
		if got := h.hears(g.renew(a))[0].Msg; got.IPAddressLeaseTime(0) != 12*time.Hour {
			t.Errorf("on the LAN: %v", got.Summary())
		}
		if got := h.on(guestDev, g.reboot(a)); len(got) != 1 || say(got[0]) != "NAK" {
			t.Errorf("the LAN's address is asked for among guests: %v; want NAK", got)
		}
		h.logged("side=lan network=guest client=02:00:00:00:00:01 name=guest-1 addr=" + b.String())
		h.pageHas("Network “guest”")
		h.pageHas("guest: guest-1: bound (" + b.String() + ")")

		// The reservation is of one network, its client of both.
		if got := h.on(guestDev, h.guest(7).discover()); say(got[0]) != "OFFER 192.168.2.20" {
			t.Errorf("reserved: %s", say(got[0]))
		}
		if got := h.hearsSoon(h.guest(7).discover()); !strings.HasPrefix(say(got[0]), "OFFER 192.168.1.") {
			t.Errorf("on the LAN: %s", say(got[0]))
		}

		h.powerOff()
		h.boot()
		if got := h.on(guestDev, g.renew(b)); say(got[0]) != "ACK "+b.String()+" ciaddr "+b.String() {
			t.Errorf("after a power cut: %v", got)
		}
		h.answers(h.guest(2).reboot(a), "NAK")
		if got := h.on(guestDev, h.guest(2).reboot(b)); say(got[0]) != "NAK" {
			t.Errorf("somebody else asks for it: %v; want NAK", got)
		}
	})
}

// One network that is not there, or crashes, leaves the others alone.
func TestNetworkThatFailsLeavesTheOthersAlone(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{guestNet()}
		h.setMissing(guestDev, true)
		h.boot()
		a := h.bind(h.guest(1))
		h.pageHas("interface br-guest: no such network interface")
		h.setMissing(guestDev, false)
		time.Sleep(time.Minute)
		b := h.visits(h.guest(2))

		h.onceIn("send " + guestDev)
		h.port(guestDev).in <- h.guest(3).discover()
		h.logged(`msg="network guest stopped"`)
		h.answers(h.guest(1).renew(a), "ACK "+a.String()+" ciaddr "+a.String())
		time.Sleep(2 * time.Second)
		if got := h.on(guestDev, h.guest(3).reboot(b)); say(got[0]) != "NAK" {
			t.Errorf("after the crash: %v; want NAK", got)
		}
		if n := h.openings(lanDev); n != 1 {
			t.Errorf("the LAN was opened %d times; want once", n)
		}
	})
}

func TestReloadAddsAndRemovesNetworks(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.bind(h.guest(1))
		h.look()
		h.configure(func(c *config.Config) { c.Others = []config.LAN{guestNet()} })
		h.wants("br-guest has 192.168.2.1/24")
		b := h.visits(h.guest(2))
		h.look()

		moved := guestNet()
		moved.Device = "eth9"
		h.configure(func(c *config.Config) { c.Others = []config.LAN{moved} })
		h.wants("br-guest loses 192.168.2.1/24", "eth9 has 192.168.2.1/24")
		if got := h.on("eth9", h.guest(2).renew(b)); say(got[0]) != "ACK "+b.String()+" ciaddr "+b.String() {
			t.Errorf("on the other device: %v", got)
		}
		h.look()

		h.configure(func(c *config.Config) { c.Others = nil })
		h.wants("eth9 loses 192.168.2.1/24")
		if page := h.page(); strings.Contains(page, "Network “guest”") {
			t.Error("the network that went is on the page")
		}
		h.mu.Lock()
		open := len(h.ports)
		h.mu.Unlock()
		if open != 1 || h.openings(lanDev) != 1 {
			t.Errorf("%d devices are open, the LAN was %d times; want 1 and 1", open, h.openings(lanDev))
		}

		// Who comes back finds its lease.
		h.configure(func(c *config.Config) { c.Others = []config.LAN{guestNet()} })
		if got := h.on(guestDev, h.guest(3).reboot(b)); say(got[0]) != "NAK" {
			t.Errorf("another client: %v; want NAK", got)
		}
	})
}

// Two networks that change places never hold one address at the same time.
func TestReloadSwapsNetworks(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{guestNet()}
		h.boot()
		h.look()
		h.configure(func(c *config.Config) {
			c.LAN.Device, c.Others[0].Device = guestDev, lanDev
		})
		got := h.look()
		if want := []string{"br-lan loses 192.168.1.1/24", "br-guest loses 192.168.2.1/24"}; len(got) != 4 || !slices.Equal(got[:2], want) {
			t.Errorf("the router did %q; want first %q", got, want)
		}
		synctest.Wait()
		if got := h.on(guestDev, h.guest(1).discover()); !strings.HasPrefix(say(got[0]), "OFFER 192.168.1.") {
			t.Errorf("the LAN on the guests' bridge: %v", got)
		}
	})
}

// A network that comes later learns which resolvers there are.
func TestNewNetworkLearnsTheResolvers(t *testing.T) {
	live(t, func(h *house) {
		h.bound(time.Hour)
		h.configure(func(c *config.Config) { c.Others = []config.LAN{guestNet()} })
		b := h.visits(h.guest(1))
		if got := h.on(guestDev, h.guest(1).renew(b))[0].Msg; len(got.DNS()) == 0 || got.IPAddressLeaseTime(0) != time.Hour {
			t.Errorf("renewed: %v", got.Summary())
		}
	})
}

// config and boot see to it too; this is the last door.
func TestNobodyIsServedOnTheWANPort(t *testing.T) {
	for name, wan := range map[string]bool{"client": true, "left alone": false} {
		t.Run(name, func(t *testing.T) {
			live(t, func(h *house) {
				n := guestNet()
				n.Device = wanDev
				h.cfg.Others = []config.LAN{n}
				if h.boot(); wan {
					h.connect(time.Hour)
					h.configure(func(c *config.Config) { c.WAN.Enabled = true })
				}
				h.pageHas("the device is the WAN port, where nobody is served")
				if got := h.look("wan: ", "/tmp"); slices.Contains(got, "wan has 192.168.2.1/24") {
					t.Errorf("the router did %q", got)
				}
			})
		})
	}
}

// Every network sees to its leases after the ring was mended.
func TestMendedRingHasTheLeasesOfEveryNetwork(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Others = []config.LAN{guestNet()}
		h.boot()
		a, b := h.bind(h.guest(1)), h.visits(h.guest(2))
		h.flash.breakDown()
		h.is("while the flash is broken", h.grants(h.guest(3).reboot(addr("192.168.1.150"))), "ACK 10m0s")
		h.flash.mend()
		h.awaits("the ring takes leases again")
		time.Sleep(5 * time.Minute)
		if n := strings.Count(h.log.String(), "the ring takes leases again"); n != 2 {
			t.Errorf("%d networks saw that the ring is mended; want 2\n%s", n, h.log)
		}
		h.powerOff()
		h.boot()
		h.answers(h.guest(4).reboot(a), "NAK")
		if got := h.on(guestDev, h.guest(4).reboot(b)); say(got[0]) != "NAK" {
			t.Errorf("another client asks for %v: %v; want NAK", b, got)
		}
	})
}

// A full ring forgets leases of networks that are gone, and no others.
func TestFullRingKeepsEveryNetworkThatIsServed(t *testing.T) {
	live(t, func(h *house) {
		h.put(record(t, addr("192.168.1.9"), h.guest(1)), record(t, addr("192.168.2.9"), h.guest(2)), record(t, addr("192.168.3.9"), h.guest(3)))
		h.cfg.Others = []config.LAN{guestNet()}
		s := openStore(time.Now(), h.platform(), h.cfg)
		if got := s.outside(); len(got) != 1 || got[0].Key != keyOf(addr("192.168.3.9")) {
			t.Errorf("with guests: %q; want 192.168.3.9 only", got)
		}
		h.cfg.Others = nil
		s.fit(time.Now(), h.cfg)
		if got := s.outside(); len(got) != 2 {
			t.Errorf("without: %q; want two", got)
		}
	})
}
