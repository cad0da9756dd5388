package router

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/client"
	"leasehold/firmware/config"
)

// collide gives the house a provider that is behind a router like ours.
func (h *house) collide() *provider {
	p := h.connect(time.Hour)
	p.addr = addr("192.168.1.50")
	p.more = []dhcpv4.Option{dhcpv4.OptRouter(net.IP{192, 168, 1, 254})}
	return p
}

const collided = "wan is 192.168.1.50/24 by 192.168.1.254 metric 0"

func TestLeaseInsideTheLANIsHeld(t *testing.T) {
	live(t, func(h *house) {
		p := h.collide()
		h.boot()
		time.Sleep(5 * time.Second)
		for _, s := range h.look("wan: ", wanDown) {
			if strings.HasPrefix(s, "wan is") || strings.Contains(s, lanDev+" loses") {
				t.Errorf("the router did %q", s)
			}
		}
		h.pageHas("the provider&#39;s network 192.168.1.0/24 and ours, 192.168.1.0/24 (lan), are in each other&#39;s way; 192.168.1.50 is not used. Give")
		if got := h.hears(h.guest(1).discover()); len(got) != 1 || len(got[0].Msg.DNS()) != 0 {
			t.Errorf("clients are told %v", got)
		}

		// It goes on to be ours, by messages that need no address on the port.
		p.listened()
		h.sent(wanDev)
		time.Sleep(3 * time.Hour)
		heard := p.listened()
		if len(heard) < 3 || slices.ContainsFunc(heard, func(s string) bool { return s != "REQUEST ciaddr 192.168.1.50" }) {
			t.Errorf("the provider heard %q; want renewals", heard)
		}
		for _, d := range h.sent(wanDev) {
			if d.HW != dhcp.BroadcastHW {
				t.Errorf("a renewal went to %v, which the kernel could not route", d.HW)
			}
		}
		if n := strings.Count(h.log.String(), "network conflict"); n != 1 {
			t.Errorf("the log has the conflict %d times; want once", n)
		}

		// The owner does what the page says.
		h.look()
		h.configure(func(c *config.Config) { *c = c.Move("lan", netip.MustParsePrefix("10.0.0.1/24")) })
		if got := h.look("wan: "); !slices.Contains(got, collided) {
			t.Errorf("when nothing is in the way any more the router did %q", got)
		}
		if strings.Contains(h.page(), "<p class=bad>") {
			t.Error("the page still has what is over")
		}
	})
}

func TestLANMovesOutOfTheProvidersWay(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.Renumber = true
		h.cfg.LAN.DNS = []netip.Addr{addr("9.9.9.9")} // so that nobody waits for resolvers
		h.cfg.Hosts = []config.Host{{MACs: [][6]byte{h.guest(2).hw}, Addr: addr("192.168.1.20")}}
		p := h.collide()
		p.keepSilent(true)
		h.boot()
		a := h.bind(h.guest(1))
		if ack := h.hears(h.guest(1).renew(a)); len(ack) != 1 || ack[0].Msg.IPAddressLeaseTime(0) > untilDNS {
			t.Errorf("before it is known whether the network can stay a client gets %v; want a short lease", ack)
		}
		h.look()
		p.keepSilent(false)
		time.Sleep(3 * time.Minute)
		var moves []string
		for _, s := range h.look("wan: ", "/tmp", "program", "wan is down") {
			if s != "wan has 192.168.51.1/24" {
				moves = append(moves, s)
			}
		}
		want := []string{"br-lan loses 192.168.1.1/24", "br-lan has 192.168.51.1/24", "br-lan is replugged", collided}
		slices.Sort(moves[min(1, len(moves)):]) // they are of several goroutines
		if !slices.Equal(moves, want) {
			t.Errorf("the router did\n\t%q\nwant\n\t%q", moves, want)
		}

		h.answers(h.guest(1).renew(a), "NAK")
		if b := h.bind(h.guest(1)); !netip.MustParsePrefix("192.168.51.0/24").Contains(b) {
			t.Errorf("after the move a client has %v", b)
		} else if ack := h.hears(h.guest(1).renew(b)); ack[0].Msg.IPAddressLeaseTime(0) != 12*time.Hour {
			t.Errorf("after the move a client has it for %v", ack[0].Msg.IPAddressLeaseTime(0))
		}
		if b := h.bind(h.guest(2)); b != addr("192.168.51.20") {
			t.Errorf("the reserved address is now %v; want 192.168.51.20", b)
		}
		if got := h.pageSeenFrom(addr("192.168.51.100")); !strings.Contains(got, "192.168.51.1/24, moved from 192.168.1.1/24 out of the provider&#39;s way") {
			t.Errorf("the page is\n%s", got)
		}

		h.powerOff()
		h.look()
		h.boot()
		if got := h.look("wan", "/tmp", "program"); !slices.Equal(got, []string{"br-lan has 192.168.51.1/24"}) {
			t.Errorf("after a reboot the router did %q; want the network where it was", got)
		}
		time.Sleep(time.Minute)
		if got := h.look("wan: "); !slices.Contains(got, collided) || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "loses") }) {
			t.Errorf("then it did %q", got)
		}

		// The owner has the last word.
		h.configure(func(c *config.Config) { *c = c.Move("lan", netip.MustParsePrefix("10.0.0.1/24")) })
		if got := h.look("wan", "/tmp", "program"); !slices.Equal(got, []string{"br-lan loses 192.168.51.1/24", "br-lan has 10.0.0.1/24"}) {
			t.Errorf("for another address in the configuration the router did %q", got)
		}
		h.configure(func(c *config.Config) {
			*c = c.Move("lan", netip.MustParsePrefix("192.168.1.1/24"))
			c.LAN.Renumber = false
		})
		if got := h.look("wan", "/tmp", "program"); !slices.Equal(got, []string{"br-lan loses 10.0.0.1/24", "br-lan has 192.168.1.1/24"}) {
			t.Errorf("without option renumber the router did %q", got)
		}
		h.pageHas("is not used")
	})
}

// What encloses the LAN leaves a way out; only what is there of the provider's
// cannot be reached.
func TestProviderThatEnclosesTheLAN(t *testing.T) {
	for _, renumber := range []bool{false, true} {
		live(t, func(h *house) {
			h.cfg = h.cfg.Move("lan", netip.MustParsePrefix("10.1.1.1/24"))
			h.cfg.LAN.MovedFrom = netip.Prefix{}
			h.cfg.LAN.Renumber = renumber
			p := h.connect(time.Hour)
			p.addr = addr("10.200.0.7")
			p.more = []dhcpv4.Option{dhcpv4.OptSubnetMask(net.CIDRMask(8, 32)), dhcpv4.OptRouter(net.IP{10, 0, 0, 1})}
			h.boot()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			got := h.look("wan: ")
			if !slices.Contains(got, "wan is 10.200.0.7/8 by 10.0.0.1 metric 0") {
				t.Errorf("renumber %v: the router did %q", renumber, got)
			}
			if moved := slices.Contains(got, "br-lan has 192.168.51.1/24"); moved != renumber {
				t.Errorf("renumber %v: the router did %q", renumber, got)
			}
			if !renumber {
				h.pageHas("10.0.0.0/8 and ours, 10.1.1.0/24 (lan), are in each other&#39;s way: what the provider has there cannot be reached")
			}
		})
	}
}

// A route of the provider's to our own network would take the LAN away.
func TestRouteThatLeadsHomeIsLeftOut(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		p.more = []dhcpv4.Option{dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{
			24, 192, 168, 1, 203, 0, 113, 9,
			25, 192, 168, 1, 128, 203, 0, 113, 9,
			16, 192, 168, 203, 0, 113, 9, // encloses it: the LAN's own counts there
			0, 203, 0, 113, 1,
		})}
		h.boot()
		time.Sleep(5 * time.Second)
		if got := h.look("wan: "); !slices.Contains(got, wanUp+", 192.168.0.0/16 by 203.0.113.9") {
			t.Errorf("the router did %q", got)
		}
		h.logged("route of the provider left out")
	})
}

func TestDamagedMovesAreForgotten(t *testing.T) {
	for _, bad := range []string{"", "\x02123456789", "\x0112345678\x21", "\x011234"} {
		live(t, func(h *house) {
			h.cfg.LAN.Renumber = true
			h.put(ringEntry(movesKey, bad))
			h.boot()
			h.logged("networks are where they are configured to be")
			h.bind(h.guest(1))
		})
	}
}

func TestElsewhere(t *testing.T) {
	for _, tc := range []struct {
		bits  int
		avoid string
		want  string // empty: there is none
	}{
		{24, "192.168.1.0/24", "192.168.51.0/24"},
		{24, "192.168.51.0/24", "192.168.52.0/24"},
		{24, "192.168.48.0/20 192.168.64.9/24", "192.168.65.0/24"},
		{24, "192.168.0.0/16", "10.51.0.0/24"},
		{24, "192.168.0.0/16 10.0.0.0/8", "172.16.0.0/24"},
		{28, "192.168.51.0/28", "192.168.51.16/28"},
		{20, "10.0.0.0/20", "192.168.48.0/20"},
		{16, "192.168.0.0/24", "10.51.0.0/16"},
		{12, "10.0.0.0/24", "10.48.0.0/12"},
		{8, "192.168.0.0/24", "10.0.0.0/8"},
		{8, "10.0.0.0/24", ""},
		{24, "0.0.0.0/0", ""},
	} {
		var avoid []netip.Prefix
		for _, s := range strings.Fields(tc.avoid) {
			avoid = append(avoid, netip.MustParsePrefix(s))
		}
		got, ok := elsewhere(tc.bits, avoid)
		if ok != (tc.want != "") || ok && got.String() != tc.want {
			t.Errorf("elsewhere(%d, %s) = %v, %v; want %s", tc.bits, tc.avoid, got, ok, tc.want)
		}
	}
}

// A link-local address says nothing of the provider's network: clients have to be
// ready to move until there is a lease.
func TestLinkLocalAddressDoesNotSettleTheNetworks(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.Renumber = true
		h.cfg.LAN.DNS = []netip.Addr{addr("9.9.9.9")}
		p := h.connect(time.Hour)
		p.keepSilent(true)
		h.boot()
		h.awaits("link-local address taken")
		a := h.bind(h.guest(1))
		if ack := h.hears(h.guest(1).renew(a)); len(ack) != 1 || ack[0].Msg.IPAddressLeaseTime(0) > untilDNS {
			t.Errorf("without a lease a client gets %v; want a short one", ack)
		}
		p.keepSilent(false)
		time.Sleep(3 * time.Minute)
		if ack := h.hears(h.guest(1).renew(a)); len(ack) != 1 || ack[0].Msg.IPAddressLeaseTime(0) != 12*time.Hour {
			t.Errorf("with one a client gets %v; want 12 hours", ack)
		}
	})
}

// A provider may lead all private networks to itself, or everything in halves;
// that is no reason to stay in its way.
func TestLANMovesThoughTheProviderHasRoutesToEverywhere(t *testing.T) {
	for _, tc := range []struct {
		routes []byte
		want   string
	}{
		{[]byte{1, 0, 192, 168, 1, 254, 1, 128, 192, 168, 1, 254}, "br-lan has 192.168.51.1/24"},
		{[]byte{8, 10, 192, 168, 51, 1, 12, 172, 16, 192, 168, 1, 254, 16, 192, 168, 192, 168, 1, 254}, "br-lan has 192.168.52.1/24"}, // a gateway is in .51
	} {
		live(t, func(h *house) {
			h.cfg.LAN.Renumber = true
			p := h.collide()
			p.more = append(p.more, dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, tc.routes))
			h.boot()
			time.Sleep(5 * time.Second)
			got := h.look("/tmp")
			if !slices.Contains(got, tc.want) || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "wan is 192.168.1.50/24") }) {
				t.Errorf("the router did %q; want %q, and the lease used", got, tc.want)
			}
		})
	}
}

func TestLeaseThatIsOverIsNotForEver(t *testing.T) {
	l := client.Lease{Addr: netip.MustParsePrefix("203.0.113.7/24"), Expires: time.Now().Add(-time.Millisecond)}
	if got := new(wan).uplink(l).Valid; got <= 0 || got > time.Second {
		t.Errorf("the kernel is to keep the address for %v (0: for ever)", got)
	}
}

func TestMovesDoNotWearOutTheFlash(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Ring.Cycles, h.cfg.Ring.Years = 1, 100
		s := openStore(time.Now(), h.platform(), h.cfg)
		defer s.close()
		home, a, b := netip.MustParsePrefix("192.168.1.1/24"), netip.MustParsePrefix("192.168.51.1/24"), netip.MustParsePrefix("192.168.52.1/24")
		n := 0
		for ; s.putMoves(time.Now(), []move{{home, a}}) == nil; n++ {
			a, b = b, a
			if n > 20000 {
				t.Fatal("the budget is never used up")
			}
		}
		wear := h.flash.wear()
		for range 10 {
			s.putMoves(time.Now(), []move{{home, a}})
		}
		if got := h.flash.wear() - wear; n < 10 || got != 0 {
			t.Errorf("after %d moves %d more octets were programmed; want 0", n, got)
		}
		if got, err := s.moves(); err != nil || !slices.Equal(got, []move{{home, b}}) {
			t.Errorf("%v, %v are remembered; want the last that was within the budget", got, err)
		}
	})
}
