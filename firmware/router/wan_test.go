package router

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/firmware/config"
	"leasehold/firmware/link"
)

// A provider answers the WAN port.
type provider struct {
	addr netip.Addr
	term time.Duration
	dns  []net.IP
	more []dhcpv4.Option // in every answer

	mu      sync.Mutex
	silent  bool
	refuses bool // answers every REQUEST by NAK
	heard   []string
}

// keepSilent has the provider answer nothing, or everything again.
func (p *provider) keepSilent(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
}

// listened returns what the provider has heard since the last time.
func (p *provider) listened() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := p.heard
	p.heard = nil
	return heard
}

// connect gives the house a provider, who grants addr for term.
func (h *house) connect(term time.Duration) *provider {
	p := &provider{addr: addr("203.0.113.7"), term: term, dns: []net.IP{{203, 0, 113, 53}}}
	h.cfg.WAN.Enabled = true
	h.isp = p.hears
	return p
}

func (p *provider) hears(d dhcp.Datagram) []dhcp.Datagram {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, say(d))
	if p.silent {
		return nil
	}
	switch d.Msg.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return []dhcp.Datagram{p.says(dhcpv4.MessageTypeOffer, d)}
	case dhcpv4.MessageTypeRequest:
		if p.refuses {
			nak := p.says(dhcpv4.MessageTypeNak, d)
			nak.Msg.UpdateOption(dhcpv4.OptMessage("go away"))
			return []dhcp.Datagram{nak}
		}
		return []dhcp.Datagram{p.says(dhcpv4.MessageTypeAck, d)}
	}
	return nil
}

func (p *provider) says(kind dhcpv4.MessageType, to dhcp.Datagram) dhcp.Datagram {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: to.Msg.HWType, ClientHWAddr: to.Msg.ClientHWAddr,
		TransactionID: to.Msg.TransactionID, YourIPAddr: dhcp.IP(p.addr),
		Options: dhcpv4.OptionsFromList(
			dhcpv4.OptMessageType(kind),
			dhcpv4.OptServerIdentifier(net.IP{203, 0, 113, 2}),
			dhcpv4.OptIPAddressLeaseTime(p.term),
			dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)),
			dhcpv4.OptRouter(net.IP{203, 0, 113, 1}),
			dhcpv4.OptDNS(p.dns...),
			dhcpv4.OptDomainName("isp.example"),
		),
	}
	for _, o := range p.more {
		m.UpdateOption(o)
	}
	return dhcp.Datagram{
		Msg: m, HW: dhcp.HWAddr{2, 0, 0, 0, 0xee, 1},
		From: netip.MustParseAddrPort("203.0.113.2:67"), To: netip.AddrPortFrom(dhcp.Broadcast, dhcp.ClientPort),
	}
}

// bound boots a house and waits for its uplink.
func (h *house) bound(term time.Duration) *provider {
	h.Helper()
	p := h.connect(term)
	h.boot()
	time.Sleep(5 * time.Second)
	synctest.Wait()
	h.logged("msg=bound side=wan addr=203.0.113.7")
	return p
}

const (
	wanUp     = "wan is 203.0.113.7/24 by 203.0.113.1 metric 0"
	wanDown   = "wan is down"
	resolvUp  = "/tmp/resolv.conf: [203.0.113.53] isp.example"
	resolvOff = "/tmp/resolv.conf: [] "
)

func TestWANIsSetUp(t *testing.T) {
	live(t, func(h *house) {
		h.connect(time.Hour)
		h.boot()
		h.look()
		time.Sleep(3 * time.Second)
		h.wants("wan: DISCOVER", "wan: REQUEST requested 203.0.113.7", wanUp, resolvUp, "program")
		for _, want := range []string{"BOUND", "203.0.113.7/24", "203.0.113.1", "203.0.113.2", "203.0.113.53", "isp.example", "Renews</dt><dd>in 2", "Ends</dt><dd>in 59 min", "WAN: bound to 203.0.113.7"} {
			h.pageHas(want)
		}
	})
}

// Everything that came with the lease is on the port or on the page.
func TestWANSettings(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		p.more = []dhcpv4.Option{
			dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{8, 10, 203, 0, 113, 9, 0, 203, 0, 113, 8}),
			dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{5, 120}),
			dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, []byte("\x01a\x07example\x00\x01b\xc0\x02")),
			dhcpv4.OptNTPServers(net.IP{203, 0, 113, 123}),
		}
		h.boot()
		h.look()
		time.Sleep(5 * time.Second)
		h.wants("wan: DISCOVER", "wan: REQUEST requested 203.0.113.7",
			"wan is 203.0.113.7/24 by 203.0.113.8 metric 0, 10.0.0.0/8 by 203.0.113.9, MTU 1400",
			"/tmp/resolv.conf: [203.0.113.53] a.example b.example", "program")
		for _, want := range []string{"10.0.0.0/8 by 203.0.113.9", ">1400<", "a.example, b.example", "203.0.113.123", "isp.example"} {
			h.pageHas(want)
		}
	})
}

// Which answers were not used, and why, is on the page for as long as people may
// ask.
func TestRefusedOffersAreOnThePage(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Reject = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		h.connect(time.Hour)
		h.boot()
		time.Sleep(time.Hour)
		page := h.page()
		if n := strings.Count(page, "<dt>Not used</dt><dd>203.0.113.7 of 203.0.113.2 is not wanted: "); n != 1 {
			t.Errorf("the page has the refused offer %d times; want once:\n%s", n, page[strings.Index(page, "<main>"):])
		}
	})
}

// A route that the kernel does not take costs neither the address nor the
// resolvers.
func TestWANWithoutARoute(t *testing.T) {
	live(t, func(h *house) {
		h.routesErr = fmt.Errorf("%w of wan: add 10.0.0.0/8: no", link.ErrRoutes)
		h.bound(time.Hour)
		if got := h.look("wan: "); !slices.Contains(got, wanUp) || !slices.Contains(got, resolvUp) {
			t.Errorf("the router did %q", got)
		}
		h.notLogged("wan stopped")
		h.pageHas("<p class=bad>routes of wan: add 10.0.0.0/8: no")
		h.pageHas("203.0.113.7/24")
	})
}

func TestDefaultRouteIsLeftToTheOwner(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.NoDefault = true
		p := h.connect(time.Hour)
		p.more = []dhcpv4.Option{dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{8, 10, 203, 0, 113, 9, 0, 203, 0, 113, 1})}
		h.boot()
		time.Sleep(5 * time.Second)
		if got, want := h.look("wan: "), "wan is 203.0.113.7/24 by invalid IP metric 0, 10.0.0.0/8 by 203.0.113.9"; !slices.Contains(got, want) {
			t.Errorf("the router did %q; want %q", got, want)
		}
	})
}

// What a router that was killed has left on the port is of unknown age.
func TestWANBeginsWithAPortThatIsDown(t *testing.T) {
	live(t, func(h *house) {
		h.connect(time.Hour)
		h.cfg.WAN.DNS = []netip.Addr{addr("9.9.9.9")}
		h.boot()
		if got := h.look("program", lanDev); !slices.Equal(got, []string{wanDown, "/tmp/resolv.conf: [9.9.9.9] "}) {
			t.Errorf("the router did %q; want the port down, and the owner's resolvers", got)
		}
	})
}

func TestWANRenewalWritesNothing(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(1000 * time.Second)
		wear := h.flash.wear()
		p.listened()
		time.Sleep(time.Hour)
		heard := p.listened()
		if n := len(heard); n < 6 || n > 8 {
			t.Errorf("%d messages in an hour of leases of 1000 s; want 6 to 8: %q", n, heard)
		}
		for _, s := range heard {
			if s != "REQUEST ciaddr 203.0.113.7" {
				t.Errorf("the provider heard %s; want renewals alone", s)
			}
		}
		if n := h.flash.wear() - wear; n != 0 {
			t.Errorf("%d octets were programmed; want 0", n)
		}
	})
}

func TestWANExpiryTakesTheUplinkDown(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(1000 * time.Second)
		p.keepSilent(true)
		h.look()
		time.Sleep(980 * time.Second)
		if got := h.look("wan: "); len(got) > 0 {
			t.Errorf("before the lease has ended the router did %q; want nothing", got)
		}
		time.Sleep(20 * time.Second)
		if got := h.look("wan: "); !slices.Equal(got, []string{wanDown, resolvOff}) {
			t.Errorf("when the lease has ended the router did %q; want the port down", got)
		}
		h.pageHas("WAN: lease of 203.0.113.7 has expired")
		p.keepSilent(false)
		time.Sleep(2 * time.Minute)
		if got := h.look("wan: "); !slices.Equal(got, []string{wanUp, resolvUp}) {
			t.Errorf("when the provider is back the router did %q", got)
		}
	})
}

func TestWANAsksForItsLastAddressAfterAReboot(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(time.Hour)
		h.powerOff()
		p.listened()
		wear := h.flash.wear()
		h.boot()
		programmedByOpen := h.flash.wear() - wear
		time.Sleep(5 * time.Second)
		if got, want := p.listened(), []string{"REQUEST requested 203.0.113.7"}; !slices.Equal(got, want) {
			t.Errorf("the provider heard %q; want %q", got, want)
		}
		if n := h.flash.wear() - wear - programmedByOpen; n != 0 {
			t.Errorf("%d octets were programmed for what was known; want 0", n)
		}
	})
}

func TestWANForgetsADamagedLastAddress(t *testing.T) {
	live(t, func(h *house) {
		h.put(ringEntry(wanKey, "?"))
		p := h.bound(time.Hour)
		h.logged("last address forgotten")
		if got := p.listened(); got[0] != "DISCOVER" {
			t.Errorf("the provider heard %q; want DISCOVER first", got)
		}
	})
}

func TestWANReleasesOnlyWhenAsked(t *testing.T) {
	for _, tc := range []struct {
		release, bound bool
		heard          []string
	}{
		{false, true, nil},
		{true, true, []string{"RELEASE ciaddr 203.0.113.7"}},
		{true, false, nil},
	} {
		t.Run(fmt.Sprintf("release %v, bound %v", tc.release, tc.bound), func(t *testing.T) {
			live(t, func(h *house) {
				p := h.connect(time.Hour)
				p.silent = !tc.bound
				h.cfg.WAN.Release = tc.release
				h.boot()
				time.Sleep(5 * time.Second)
				h.look()
				p.listened()
				h.powerOff()
				if got := p.listened(); !slices.Equal(got, tc.heard) {
					t.Errorf("at the end the provider heard %q; want %q", got, tc.heard)
				}
				if got := h.look("wan: "); len(got) < 2 || got[0] != wanDown || got[1] != resolvOff {
					t.Errorf("at the end the router did %q; want the port down", got)
				}
			})
		})
	}
}

func TestWANDeclinesWhatIsInUse(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		h.inUse[p.addr] = dhcp.HWAddr{2, 0, 0, 0, 0xee, 9}
		h.boot()
		h.look()
		time.Sleep(5 * time.Second)
		h.wants("wan: DISCOVER", "wan: REQUEST requested 203.0.113.7", "wan: DECLINE requested 203.0.113.7")
		h.logged("by=02:00:00:00:ee:09")
		h.pageHas("in use by another station")
		h.mu.Lock()
		clear(h.inUse)
		h.mu.Unlock()
		time.Sleep(time.Minute)
		if got := h.look("wan: "); !slices.Equal(got, []string{wanUp, resolvUp, "program"}) {
			t.Errorf("then the router did %q", got)
		}
	})
}

func TestLANGetsTheResolversOfTheWAN(t *testing.T) {
	own := []netip.Addr{addr("9.9.9.9")}
	for _, tc := range []struct {
		name string
		edit func(*config.Config)
		want string
	}{
		{"nothing configured", func(*config.Config) {}, "[203.0.113.53]"},
		{"LAN's own", func(c *config.Config) { c.LAN.DNS = own }, "[9.9.9.9]"},
		{"none for the LAN", func(c *config.Config) { c.LAN.NoDNS = true }, "[]"},
		{"WAN's own first", func(c *config.Config) { c.WAN.DNS = own }, "[9.9.9.9 203.0.113.53]"},
		{"not the provider's", func(c *config.Config) { c.WAN.DNS, c.WAN.PeerDNS = own, false }, "[9.9.9.9]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live(t, func(h *house) {
				tc.edit(&h.cfg)
				h.bound(time.Hour)
				got := h.hears(h.guest(1).discover())
				if len(got) != 1 || fmt.Sprint(got[0].Msg.DNS()) != tc.want {
					t.Errorf("resolvers %v; want %s", got[0].Msg.DNS(), tc.want)
				}
			})
		})
	}
}

// The kernel may take a second to call a port up that carries already.
func TestLateWordOfTheCarrierChangesNothing(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		h.boot()
		h.cable(false)
		time.Sleep(time.Second + 100*time.Millisecond) // the OFFER is here
		h.cable(true)
		time.Sleep(5 * time.Second)
		if got, want := p.listened(), []string{"DISCOVER", "REQUEST requested 203.0.113.7"}; !slices.Equal(got, want) {
			t.Errorf("the provider heard %q; want %q", got, want)
		}
		h.notLogged("cable is in")
	})
}

func TestCableThatComesInStartsAnew(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		p.silent = true
		h.boot()
		h.cable(false)
		time.Sleep(10 * time.Minute) // by now it asks about once a minute
		p.keepSilent(false)
		h.cable(true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		h.logged("msg=bound side=wan addr=203.0.113.7")

		p.listened()
		for range 3 {
			h.cable(true) // is no news
		}
		time.Sleep(time.Minute)
		if got := p.listened(); len(got) > 0 {
			t.Errorf("the provider heard %q; want nothing", got)
		}
		h.cable(false)
		h.pageHas("wan, no cable")
		h.pageHas("WAN: cable is out")
		time.Sleep(time.Minute)
		h.cable(true)
		time.Sleep(5 * time.Second)
		if got, want := p.listened(), []string{"REQUEST requested 203.0.113.7"}; !slices.Equal(got, want) {
			t.Errorf("after the cable was out the provider heard %q; want %q", got, want)
		}
	})
}

// What the kernel says of a cable comes up to a second late, and then it may be in
// again, in another socket.
func TestCableOutForAMomentIsSeen(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(time.Hour)
		h.cable(true)
		p.listened()
		h.blink()
		h.pageHas("WAN: cable is out")
		time.Sleep(5 * time.Second)
		if got, want := p.listened(), []string{"REQUEST requested 203.0.113.7"}; !slices.Equal(got, want) {
			t.Errorf("after the cable was out for a moment the provider heard %q; want %q", got, want)
		}
	})
}

// An answer that was under way when the cable was pulled does not put it in again.
func TestAnswerFromBeforeTheCableWasOut(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(time.Hour)
		h.cable(true)
		h.cable(false)
		time.Sleep(40 * time.Minute) // it has asked for more time, and was answered
		h.logged("msg=renewed")
		p.listened()
		h.cable(true)
		time.Sleep(5 * time.Second)
		if got, want := p.listened(), []string{"REQUEST requested 203.0.113.7"}; !slices.Equal(got, want) {
			t.Errorf("with the cable back the provider heard %q; want %q", got, want)
		}
	})
}

// Without a cable the lease is neither forgotten nor kept for ever.
func TestCableThatIsOutEndsNoTimer(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(time.Hour)
		p.keepSilent(true)
		h.look()
		h.cable(false)
		time.Sleep(59 * time.Minute)
		if got := h.look("wan: "); len(got) > 0 {
			t.Errorf("before the lease has ended the router did %q; want nothing", got)
		}
		time.Sleep(time.Minute)
		if got := h.look("wan: "); !slices.Equal(got, []string{wanDown, resolvOff}) {
			t.Errorf("when the lease has ended the router did %q; want the port down", got)
		}
	})
}

// Whatever goroutine breaks, the router goes on: the LAN keeps its socket, and
// the WAN port, which nobody looks after meanwhile, has no address.
func TestWANCrash(t *testing.T) {
	for _, where := range []string{"receive wan", "parse wan", "send wan", "setUplink"} {
		t.Run(where, func(t *testing.T) {
			live(t, func(h *house) {
				h.bound(time.Hour)
				a := h.bind(h.guest(1))
				h.look()
				h.onceIn(where) // at the renewal
				h.awaits("wan stopped")
				got := h.look("wan: ")
				if n := len(got); n < 2 || got[n-2] != wanDown || got[n-1] != resolvOff {
					t.Errorf("the router did %q; want the port down", got)
				}
				if h.openings(lanDev) != 1 {
					t.Errorf("the LAN was opened %d times; want once", h.openings(lanDev))
				}
				h.answers(h.guest(1).renew(a), "ACK "+a.String()+" ciaddr "+a.String())
				time.Sleep(10 * time.Second)
				if got := h.look("wan: "); !slices.Contains(got, wanUp) {
					t.Errorf("then the router did %q; want the port up again\n%s", got, h.log)
				}
			})
		})
	}
}

func TestWANFailureIsOnThePage(t *testing.T) {
	live(t, func(h *house) {
		h.setMissing(wanDev, true)
		h.connect(time.Hour)
		h.boot()
		h.pageHas("interface wan: no such network interface")
		h.setMissing(wanDev, false)
		time.Sleep(10 * time.Second)
		h.pageHas("203.0.113.7/24")
		if strings.Contains(h.page(), "no such network interface") {
			t.Error("the page still has what is over")
		}
	})
}

func TestWANSaysWhatItCouldNotSetUp(t *testing.T) {
	live(t, func(h *house) {
		h.connect(time.Hour)
		h.boot()
		h.setMissing(wanDev, true)
		time.Sleep(5 * time.Second)
		h.logged(`msg="wan stopped" err="interface wan: no such network interface"`)
		h.pageHas("<p class=bad>interface wan: no such network interface")
	})
}

func TestProbeThatBreaksIsNoAnswer(t *testing.T) {
	live(t, func(h *house) {
		h.onceIn("probe")
		h.bound(time.Hour)
		h.logged(`not probed" side=wan err="crashed: probe broke"`)
		h.notLogged("wan stopped")
	})
}

func TestCarrierWatchThatBreaksIsStartedAgain(t *testing.T) {
	live(t, func(h *house) {
		h.onceIn("watchCarrier")
		h.bound(time.Hour)
		h.logged("carrier watch stopped")
		h.notLogged("wan stopped")
		h.cable(false)
		h.cable(true)
		h.logged("cable is in")
	})
}

// A probe that was asked for by a loop that is no more must not reach the next.
func TestProbeOfAnEarlierLoopIsForgotten(t *testing.T) {
	live(t, func(h *house) {
		h.connect(time.Hour)
		h.boot()
		h.awaits("granted")
		h.port(wanDev).broken <- errors.New("network is down")
		synctest.Wait()
		h.logged("wan stopped")
		time.Sleep(30 * time.Second)
		h.pageHas("203.0.113.7/24")
	})
}

func TestNewAddressIsAnnouncedTwiceAndARenewalIsNot(t *testing.T) {
	live(t, func(h *house) {
		h.bound(1000 * time.Second)
		if got, want := h.announcements(), []netip.Addr{addr("203.0.113.7"), addr("203.0.113.7")}; !slices.Equal(got, want) {
			t.Errorf("announced %v; want %v", got, want)
		}
		time.Sleep(time.Hour)
		if got := h.announcements(); len(got) > 0 {
			t.Errorf("after renewals %v were announced; want nothing", got)
		}
	})
}

func TestAddressIsDefendedOnceAndThenGivenUp(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(time.Hour)
		h.announcements()
		h.look()
		h.claim(p.addr)
		if got, want := h.announcements(), []netip.Addr{p.addr}; !slices.Equal(got, want) {
			t.Errorf("announced %v; want %v", got, want)
		}
		h.wants()
		h.logged("by=02:00:00:00:ee:09")
		h.claim(p.addr)
		h.wants(wanDown, resolvOff, "wan: DECLINE requested 203.0.113.7")
		h.pageHas("203.0.113.7 is in use by another station")
		h.mu.Lock()
		n := len(h.guards)
		h.mu.Unlock()
		if n > 0 {
			t.Errorf("%d guards for no address", n)
		}
		time.Sleep(time.Minute)
		h.pageHas("203.0.113.7/24") // nobody says so any more
	})
}

func TestGuardThatBreaksIsStartedAgain(t *testing.T) {
	live(t, func(h *house) {
		h.onceIn("guard")
		p := h.bound(time.Hour)
		h.logged("address guard stopped")
		h.claim(p.addr)
		h.logged("another station claims our address, defended")
	})
}

// What nobody granted is neither given back nor remembered.
func TestLinkLocalAddressIsNotReleased(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		p.silent = true
		h.cfg.WAN.Release = true
		h.boot()
		h.awaits("link-local address taken")
		wear := h.flash.wear()
		p.listened()
		h.powerOff()
		if got, n := p.listened(), h.flash.wear()-wear; len(got) > 0 || n > 0 {
			t.Errorf("at the end the provider heard %q, and %d octets were programmed; want nothing", got, n)
		}
	})
}

func TestWithoutAServerThePortHasALinkLocalAddress(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		p.silent = true
		h.boot()
		h.look()
		wear := h.flash.wear()
		time.Sleep(70 * time.Second)
		got := h.look("wan: ")
		if len(got) != 2 || !strings.HasPrefix(got[0], "wan is 169.254.") || !strings.Contains(got[0], "/16 by invalid IP") || got[1] != resolvOff {
			t.Errorf("after a minute without a server the router did %q; want an address of 169.254/16 without a route", got)
		}
		if n := len(h.announcements()); n != 2 {
			t.Errorf("it was announced %d times; want twice", n)
		}
		if n := h.flash.wear() - wear; n != 0 {
			t.Errorf("%d octets were programmed; want 0", n)
		}
		h.pageHas("169.254.")
		h.pageHas("nobody: no server answers")
		p.listened()
		time.Sleep(time.Hour)
		if n := len(p.listened()); n < 55 || n > 58 {
			t.Errorf("%d messages in an hour; want one in 64 s", n)
		}
		p.keepSilent(false)
		time.Sleep(70 * time.Second)
		if got := h.look("wan: "); len(got) < 2 || got[0] != wanUp || got[1] != resolvUp {
			t.Errorf("when a server is there the router did %q; want %q", got, []string{wanUp, resolvUp})
		}
	})
}

func TestModemIsNotListenedTo(t *testing.T) {
	live(t, func(h *house) {
		p := h.connect(time.Hour)
		p.addr = addr("192.168.100.10")
		h.cfg.WAN.Reject = []netip.Prefix{netip.MustParsePrefix("192.168.100.0/24")}
		h.boot()
		time.Sleep(5 * time.Second)
		h.logged(`msg="answer not wanted" side=wan addr=192.168.100.10 server=203.0.113.2 detail="192.168.100.0/24 is to be rejected"`)
		h.pageHas("192.168.100.10 of 203.0.113.2 is not wanted: 192.168.100.0/24 is to be rejected")
		if got, want := p.listened(), []string{"DISCOVER"}; !slices.Equal(got[:1], want) || slices.ContainsFunc(got, func(s string) bool { return s != "DISCOVER" }) {
			t.Errorf("the provider heard %q; want DISCOVER only", got)
		}
	})
}

func TestProviderHearsWhatWasConfigured(t *testing.T) {
	live(t, func(h *house) {
		h.connect(time.Hour)
		w := &h.cfg.WAN
		w.Hostname, w.VendorID, w.ClientDUID, w.Broadcast = "router", "box", true, true
		w.Send, w.Request, w.NoClassless = map[uint8][]byte{77: []byte("\x03box")}, []byte{43}, true
		h.boot()
		time.Sleep(time.Second)
		m := h.sent(wanDev)[0].Msg
		id := append([]byte{255}, wanHW[2:]...)
		id = append(append(id, 0, 3, 0, 1), wanHW[:]...)
		for code, want := range map[uint8]string{
			12: "router", 60: "box", 77: "\x03box", 61: string(id), 55: "\x01\x03\x21\x06\x0f\x77\x1a\x2a\x33\x3a\x3b\x2b",
		} {
			if got := string(m.Options[code]); got != want {
				t.Errorf("option %d is %q; want %q", code, got, want)
			}
		}
		if !m.IsBroadcast() {
			t.Error("the broadcast bit is not set")
		}
	})
}

// The provider is away for three days. A minute and one exchange after it is
// back, so is the uplink; and what was done meanwhile is little.
func TestOutageOfThreeDays(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(time.Hour)
		wear := h.flash.wear()
		p.keepSilent(true)
		p.listened()
		time.Sleep(72 * time.Hour)
		if n := len(p.listened()); n > 72*60 {
			t.Errorf("%d messages in three days; want one a minute at most", n)
		}
		h.pageHas("169.254.")
		h.look()
		p.keepSilent(false)
		back := time.Now()
		for !slices.Contains(h.look(), wanUp) {
			if time.Since(back) > 64*time.Second+time.Second+2*time.Second {
				t.Fatalf("%v after the provider is back the uplink is not", time.Since(back))
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("up %v after the provider is back", time.Since(back))
		if n := h.flash.wear() - wear; n != 0 {
			t.Errorf("%d octets were programmed; want 0: it is the address that it was", n)
		}
	})
}
