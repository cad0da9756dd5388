package router

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
	"leasehold/dhcp/server"
	"leasehold/dhcp/wire"
	"leasehold/firmware/config"
	"leasehold/firmware/ring"
)

// A guest is a machine on the LAN.
type guest struct {
	hw   dhcp.HWAddr
	name string
}

func (h *house) guest(n int) guest {
	return guest{dhcp.HWAddr{2, 0, 0, 0, byte(n >> 8), byte(n)}, fmt.Sprintf("guest-%d", n)}
}

var router1 = netip.MustParseAddr("192.168.1.1")

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func (g guest) says(kind dhcpv4.MessageType, opts ...dhcpv4.Option) dhcp.Datagram {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: g.hw[:],
		Options: dhcpv4.OptionsFromList(append(opts, dhcpv4.OptMessageType(kind), dhcpv4.OptHostName(g.name))...),
	}
	return dhcp.Datagram{
		Msg: m, HW: g.hw,
		From: netip.AddrPortFrom(netip.IPv4Unspecified(), dhcp.ClientPort),
		To:   netip.AddrPortFrom(dhcp.Broadcast, dhcp.ServerPort),
	}
}

func (g guest) discover() dhcp.Datagram { return g.says(dhcpv4.MessageTypeDiscover) }

// request takes up an offer.
func (g guest) request(a netip.Addr) dhcp.Datagram {
	return g.says(dhcpv4.MessageTypeRequest,
		dhcpv4.OptRequestedIPAddress(dhcp.IP(a)), dhcpv4.OptServerIdentifier(dhcp.IP(router1)))
}

// reboot asks for the address that the guest had, in INIT-REBOOT.
func (g guest) reboot(a netip.Addr) dhcp.Datagram {
	return g.says(dhcpv4.MessageTypeRequest, dhcpv4.OptRequestedIPAddress(dhcp.IP(a)))
}

func (g guest) renew(a netip.Addr) dhcp.Datagram {
	d := g.says(dhcpv4.MessageTypeRequest)
	d.Msg.ClientIPAddr = dhcp.IP(a)
	return d
}

func (g guest) release(a netip.Addr) dhcp.Datagram {
	d := g.says(dhcpv4.MessageTypeRelease, dhcpv4.OptServerIdentifier(dhcp.IP(router1)))
	d.Msg.ClientIPAddr = dhcp.IP(a)
	return d
}

// tell puts messages on the LAN.
func (h *house) tell(ds ...dhcp.Datagram) {
	h.Helper()
	p := h.port(lanDev)
	for _, d := range ds {
		p.in <- d
	}
	synctest.Wait()
}

// hears puts messages on the LAN and returns what is answered.
func (h *house) hears(ds ...dhcp.Datagram) []dhcp.Datagram {
	h.Helper()
	h.sent(lanDev)
	h.tell(ds...)
	return h.sent(lanDev)
}

// hearsAtOnce is hears while the flash is busy, so that the messages queue up.
func (h *house) hearsAtOnce(ds ...dhcp.Datagram) []dhcp.Datagram {
	h.Helper()
	busy := h.guest(0xffff)
	h.sent(lanDev)
	p := h.port(lanDev)
	h.flash.slow = time.Second
	p.in <- busy.reboot(addr("192.168.1.249"))
	synctest.Wait()
	h.look()
	for _, d := range ds {
		p.in <- d
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	h.flash.slow = 0
	return slices.DeleteFunc(h.sent(lanDev), func(d dhcp.Datagram) bool { return dhcp.HWAddr(d.Msg.ClientHWAddr) == busy.hw })
}

// answers fails unless exactly this is answered.
func (h *house) answers(d dhcp.Datagram, want ...string) {
	h.Helper()
	var got []string
	for _, a := range h.hears(d) {
		got = append(got, say(a))
	}
	if !slices.Equal(got, want) {
		h.Errorf("%s is answered by %q; want %q\n%s", say(d), got, want, h.log)
	}
}

// bind has a guest get an address in the usual four messages.
func (h *house) bind(g guest) netip.Addr {
	h.Helper()
	offers := h.hears(g.discover())
	if len(offers) != 1 {
		h.Fatalf("%d offers; want 1\n%s", len(offers), h.log)
	}
	a := dhcp.Addr(offers[0].Msg.YourIPAddr)
	request := g.request(a)
	request.Msg.UpdateOption(dhcpv4.OptServerIdentifier(offers[0].Msg.ServerIdentifier()))
	h.answers(request, "ACK "+a.String())
	return a
}

// Promise 1 of the ring is worth nothing if the ACK goes out first.
func TestAckLeavesAfterItsBindingIsOnFlash(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.look()
		g, other := h.guest(1), h.guest(2)

		a := dhcp.Addr(h.hears(g.discover())[0].Msg.YourIPAddr)
		h.wants("br-lan: OFFER " + a.String())
		h.hears(g.request(a))
		h.wants("program", "br-lan: ACK "+a.String())
		h.hears(g.request(a)) // the ACK was lost
		h.wants("br-lan: ACK " + a.String())
		h.hears(g.renew(a))
		h.wants("br-lan: ACK " + a.String() + " ciaddr " + a.String())
		h.hears(g.reboot(a))
		h.wants("br-lan: ACK " + a.String())

		h.hears(other.reboot(a))
		h.wants("br-lan: NAK")
		b := addr("192.168.1.200")
		h.hears(other.reboot(b))
		h.wants("program", "br-lan: ACK 192.168.1.200")

		c := addr("192.168.1.201")
		h.hears(g.request(c)) // and gives up the other one
		h.wants("program", "br-lan: ACK 192.168.1.201")
		h.hears(g.release(c))
		h.wants()
	})
}

func TestSilenceIsFree(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Page.Port = 80
		h.boot()
		g := h.guest(1)
		a := h.bind(g)
		before := h.flash.wear()
		for range 100 {
			h.hears(h.guest(2).discover())
			h.hears(g.renew(a))
			time.Sleep(time.Hour)
			h.page()
		}
		h.hears(g.release(a))
		h.hears(g.discover())
		h.hears(g.request(a))
		if n := h.flash.wear() - before; n != 0 {
			t.Errorf("%d octets were programmed; want 0", n)
		}
	})
}

// hearsSoon is hears where an address is probed before the answer.
func (h *house) hearsSoon(ds ...dhcp.Datagram) []dhcp.Datagram {
	h.Helper()
	h.sent(lanDev)
	h.tell(ds...)
	time.Sleep(time.Second)
	synctest.Wait()
	return h.sent(lanDev)
}

// grants returns the answer to d and the lease time in it.
func (h *house) grants(d dhcp.Datagram) string {
	h.Helper()
	got := h.hearsSoon(d)
	if len(got) != 1 {
		return fmt.Sprintf("%d answers", len(got))
	}
	m := got[0].Msg
	return fmt.Sprintf("%v %v", m.MessageType(), m.IPAddressLeaseTime(0))
}

func (h *house) is(what, got, want string) {
	h.Helper()
	if got != want {
		h.Errorf("%s: %s; want %s\n%s", what, got, want, h.log)
	}
}

func TestWhileTheFlashFailsLeasesAreLent(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		g, known := h.guest(1), h.guest(2)
		b := h.bind(known)
		a := dhcp.Addr(h.hears(g.discover())[0].Msg.YourIPAddr)
		h.flash.breakDown()
		if got := h.hearsSoon(g.request(a)); len(got) != 1 || say(got[0]) != "ACK "+a.String() || got[0].Msg.IPAddressLeaseTime(0) != server.LentTerm {
			t.Errorf("after the probe: %v; want a short lease of %v", got, a)
		}
		h.logged("leases not kept, and therefore short")
		h.logged("input/output error")
		h.is("renewed meanwhile, a lease that is kept", h.grants(known.renew(b)), "ACK 10m0s")
		h.is("renewed, one that is lent", h.grants(g.renew(a)), "ACK 10m0s")
		h.is("a third guest", h.grants(h.guest(3).discover()), "OFFER 10m0s")
		h.answers(h.guest(4).reboot(addr("10.0.0.7")), "NAK")
		h.answers(h.guest(4).reboot(a), "NAK")
		h.pageHas("<td>lent")
		h.pageHas("are therefore short")

		h.flash.mend()
		time.Sleep(3 * mendEvery)
		h.logged("the ring takes leases again")
		h.is("renewed when the flash works again", h.grants(g.renew(a)), "ACK 12h0m0s")
		h.powerOff()
		h.boot()
		h.answers(h.guest(4).reboot(a), "NAK")
		h.answers(h.guest(4).reboot(b), "NAK")
	})
}

// What its client has given back, or found in use, is lent to nobody when the ring
// works again.
func TestLoanThatWasGivenUpStaysSo(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.flash.breakDown()
		a, b, g, gone := addr("192.168.1.150"), addr("192.168.1.151"), h.guest(1), h.guest(2)
		h.is("one guest", h.grants(g.reboot(a)), "ACK 10m0s")
		h.is("another", h.grants(gone.reboot(b)), "ACK 10m0s")
		h.hears(g.says(dhcpv4.MessageTypeDecline, dhcpv4.OptRequestedIPAddress(dhcp.IP(a)), dhcpv4.OptServerIdentifier(dhcp.IP(router1))))
		h.hears(gone.release(b))
		h.flash.mend()
		h.awaits("the ring takes leases again")
		if got := h.hearsSoon(g.discover()); len(got) != 1 || dhcp.Addr(got[0].Msg.YourIPAddr) == a {
			t.Errorf("who found %v in use is answered %v; want an offer of another", a, got)
		}
		h.is("who wants what was given back", h.grants(h.guest(3).reboot(b)), "ACK 12h0m0s")
	})
}

// What is lent is forgotten in a power cut. So the next boot asks on the wire
// before it gives an address to somebody.
func TestWhatWasLentBeforeAPowerCutIsNotGivenTwice(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Ring.Cycles, h.cfg.Ring.Years = 1, 100
		h.boot()
		for n := 1; !strings.Contains(h.page(), "New devices get short leases"); n++ {
			if n > 9000 {
				t.Fatal("the budget is never used up")
			}
			g := h.guest(n)
			h.hears(g.release(dhcp.Addr(h.hearsSoon(g.reboot(addr("192.168.1.150")))[0].Msg.YourIPAddr)))
		}
		borrower, other := h.guest(1000), h.guest(1001)
		a := dhcp.Addr(h.hearsSoon(borrower.discover())[0].Msg.YourIPAddr)
		h.is("a new guest", h.grants(borrower.request(a)), "ACK 10m0s")
		h.powerOff()

		h.cfg.Ring.Cycles, h.cfg.Ring.Years = 10_000, 10
		h.boot()
		h.mu.Lock()
		h.inUse[a] = borrower.hw
		h.mu.Unlock()
		if got := h.hearsSoon(other.reboot(a)); len(got) != 1 || say(got[0]) != "NAK" {
			t.Errorf("another guest is answered %v; want NAK", got)
		}
		h.logged("address is in use without a lease")
		h.pageHas(fmt.Sprintf("%v is in use by %v without a lease", a, borrower.hw))
		if got := h.hearsSoon(other.discover()); len(got) != 1 || dhcp.Addr(got[0].Msg.YourIPAddr) == a {
			t.Errorf("and then %v; want an offer of another address", got)
		}
	})
}

func TestTheBorrowerFindsItsAddressAgain(t *testing.T) {
	live(t, func(h *house) {
		h.flash.octets = nil // new, so that nothing is known
		h.boot()
		g := h.guest(1)
		h.inUse[addr("192.168.1.150")] = g.hw // which still uses it
		h.is("a guest from before", h.grants(g.reboot(addr("192.168.1.150"))), "ACK 12h0m0s")
		h.answers(h.guest(2).discover()) // is probed first
		time.Sleep(13 * time.Hour)
		h.powerOff()
		h.boot()
		if got := h.hears(h.guest(3).discover()); len(got) != 1 {
			t.Errorf("%d offers; want one at once: by now everything is known", len(got))
		}
	})
}

// After a reboot the pool is full of leases that may be long over. Several newcomers
// at once have several addresses probed for them, not all of them the same.
func TestNewcomersToAFullPoolAreProbedForAtOnce(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.First, h.cfg.LAN.Last = addr("192.168.1.100"), addr("192.168.1.109")
		for i := range 10 {
			h.put(record(t, addr(fmt.Sprintf("192.168.1.%d", 100+i)), h.guest(i)))
		}
		h.boot()
		var ds []dhcp.Datagram
		for i := range askAtOnce {
			ds = append(ds, h.guest(100+i).discover())
		}
		offered := map[netip.Addr]bool{}
		for _, d := range h.hearsSoon(ds...) {
			offered[dhcp.Addr(d.Msg.YourIPAddr)] = true
		}
		if len(offered) != askAtOnce {
			t.Errorf("%d addresses are offered; want %d", len(offered), askAtOnce)
		}
	})
}

// Nobody has asked for the address, and somebody uses it all the same.
func TestSquatterIsProbedAndShown(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.Probe, h.cfg.LAN.Sequential = true, true
		h.boot()
		squatter := h.guest(0x99)
		h.inUse[addr("192.168.1.100")] = squatter.hw
		h.answers(h.guest(1).discover()) // not before the probe
		time.Sleep(time.Second)
		got := h.sent(lanDev)
		if len(got) != 1 || say(got[0]) != "OFFER 192.168.1.101" {
			t.Errorf("answers %v; want an offer of the next address", got)
		}
		h.answers(h.guest(1).request(addr("192.168.1.101")), "ACK 192.168.1.101")
		h.answers(h.guest(1).reboot(addr("192.168.1.101")), "ACK 192.168.1.101") // it has it: no probe
		h.logged("address is in use without a lease")
		h.pageHas("<td>in use by somebody else<td>" + squatter.hw.String() + "\n")
	})
}

func TestUserOfADeclinedAddressIsSought(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		g, squatter := h.guest(1), h.guest(0x99)
		a := h.bind(g)
		h.inUse[a] = squatter.hw
		declines := g.says(dhcpv4.MessageTypeDecline, dhcpv4.OptRequestedIPAddress(dhcp.IP(a)), dhcpv4.OptServerIdentifier(dhcp.IP(router1)))
		h.answers(declines)
		if got := h.hears(g.discover()); len(got) != 1 || dhcp.Addr(got[0].Msg.YourIPAddr) == a {
			t.Errorf("meanwhile %v; want an offer of another address at once", got)
		}
		time.Sleep(time.Second)
		h.logged("address is in use without a lease")
		h.pageHas("<td>in use by somebody else<td>" + squatter.hw.String() + "\n")
		h.pageHas(fmt.Sprintf("%v is in use by %v without a lease", a, squatter.hw))

		b := h.bind(g)
		h.answers(g.says(dhcpv4.MessageTypeDecline, dhcpv4.OptRequestedIPAddress(dhcp.IP(b)), dhcpv4.OptServerIdentifier(dhcp.IP(router1))))
		time.Sleep(time.Second)
		h.logged("nobody answers for the declined address")
	})
}

// A declined address is not given without a probe, however busy we are.
func TestSuspectAddressWaitsForItsProbe(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.Probe = true
		h.boot()
		a := addr("192.168.1.150")
		g := h.guest(0x98)
		h.hearsSoon(g.reboot(a))
		h.hears(g.says(dhcpv4.MessageTypeDecline, dhcpv4.OptRequestedIPAddress(dhcp.IP(a)), dhcpv4.OptServerIdentifier(dhcp.IP(router1))))
		time.Sleep(2 * time.Hour)
		var crowd []dhcp.Datagram
		for n := range askAtOnce {
			crowd = append(crowd, h.guest(n).discover())
		}
		h.tell(crowd...)
		if got := h.hears(h.guest(50).discover()); len(got) != 1 {
			t.Errorf("%d offers of a new address; want one without a probe", len(got))
		}
		h.answers(h.guest(51).reboot(a))
		time.Sleep(time.Second)
		if got := h.hearsSoon(h.guest(51).reboot(a)); len(got) != 1 || say(got[0]) != "ACK "+a.String() {
			t.Errorf("after a probe %v; want an ACK of %v", got, a)
		}
	})
}

// When too much is to be probed, what can be kept is given without.
func TestProbesAreSkippedUnderLoad(t *testing.T) {
	live(t, func(h *house) {
		h.flash.octets = nil
		h.boot()
		var ds []dhcp.Datagram
		for n := range 20 {
			ds = append(ds, h.guest(n).discover())
		}
		if got := h.hears(ds...); len(got) != 20-askAtOnce {
			t.Errorf("%d offers at once; want %d", len(got), 20-askAtOnce)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := h.sent(lanDev); len(got) != askAtOnce {
			t.Errorf("%d offers after the probes; want %d", len(got), askAtOnce)
		}
	})
}

func TestProbeThatFails(t *testing.T) {
	live(t, func(h *house) {
		h.flash.octets = nil
		h.boot()
		h.onceIn("probe")
		h.is("what can be kept", h.grants(h.guest(1).discover()), "OFFER 12h0m0s")
		h.logged("address not probed")
		h.flash.breakDown()
		h.onceIn("probe")
		h.is("what cannot, after a second probe", h.grants(h.guest(2).reboot(addr("192.168.1.150"))), "ACK 10m0s")
		h.onceIn("probe")
		h.is("what cannot", h.grants(h.guest(3).reboot(addr("192.168.1.151"))), "0 answers")
	})
}

// Trying again must not itself wear out flash that fails for good.
func TestFailingFlashIsSeldomTried(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.flash.breakDown()
		for range 600 {
			h.hears(h.guest(1).reboot(addr("192.168.1.150")))
			time.Sleep(time.Second)
		}
		if n := h.flash.erased(); n > 50 {
			t.Errorf("%d erases were tried in ten minutes; want at most 50", n)
		}
	})
}

func TestGroupCommit(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.bind(h.guest(0x1000)) // the first write of a boot is a larger one
		const n = 50
		var ds []dhcp.Datagram
		for i := range n {
			ds = append(ds, h.guest(i).reboot(addr(fmt.Sprintf("192.168.1.%d", 100+i))))
		}
		programs := h.flash.count()
		got := h.hearsAtOnce(ds...)
		if len(got) != n {
			t.Fatalf("%d answers; want %d", len(got), n)
		}
		for i, d := range got {
			if want := fmt.Sprintf("ACK 192.168.1.%d", 100+i); say(d) != want {
				t.Errorf("answer %d is %s; want %s", i, say(d), want)
			}
		}
		// One for the message that kept the flash busy, and one for all others.
		if n := h.flash.count() - programs; n > 2 {
			t.Errorf("%d programs; want 2", n)
		}
		done := h.look("erase")
		if i := slices.Index(done, "program"); i < 0 || slices.Contains(done[i+1:], "program") && i > 1 {
			t.Errorf("the router did %q", done)
		}
	})
}

// Those who are not probed for, since too many are, share one write; those who are,
// and whose probes end together, another.
func TestGroupCommitAroundProbes(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.Probe = true
		h.boot()
		h.hearsSoon(h.guest(0x1000).reboot(addr("192.168.1.248")))
		const n = 50
		var ds []dhcp.Datagram
		for i := range n {
			ds = append(ds, h.guest(i).reboot(addr(fmt.Sprintf("192.168.1.%d", 100+i))))
		}
		programs := h.flash.count()
		if got := h.hearsAtOnce(ds...); len(got) != n {
			t.Fatalf("%d answers; want %d", len(got), n)
		}
		if n := h.flash.count() - programs; n > 12 {
			t.Errorf("%d programs; want few", n)
		}
	})
}

// Who asks for two addresses in one batch leaves no record of the first behind.
func TestOneClientTwiceInABatch(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		g, a, b := h.guest(1), addr("192.168.1.150"), addr("192.168.1.151")
		var said []string
		for _, d := range h.hearsAtOnce(g.request(a), g.request(b)) {
			said = append(said, say(d))
		}
		if want := []string{"ACK " + a.String(), "ACK " + b.String()}; !slices.Equal(said, want) {
			t.Fatalf("answers %q; want %q", said, want)
		}
		kept, err := ring.OpenReadOnly(h.flash)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := kept.Get(keyOf(a)); ok {
			t.Errorf("flash has a record of %v, which the guest has left", a)
		}
	})
}

func TestFailedWriteLendsTheWholeBatch(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		known := h.bind(h.guest(9))
		h.flash.breakDown()
		got := h.hearsAtOnce(
			h.guest(1).reboot(addr("192.168.1.150")),
			h.guest(2).reboot(addr("192.168.1.151")),
			h.guest(3).reboot(known))
		var said []string
		for _, d := range got {
			said = append(said, say(d))
			if d.Msg.MessageType() == dhcpv4.MessageTypeAck && d.Msg.IPAddressLeaseTime(0) != server.LentTerm {
				t.Errorf("%s for %v", say(d), d.Msg.IPAddressLeaseTime(0))
			}
		}
		slices.Sort(said)
		if want := []string{"ACK 192.168.1.150", "ACK 192.168.1.151", "NAK"}; !slices.Equal(said, want) {
			t.Errorf("answers %q; want %q", said, want)
		}
	})
}

func TestTwoClientsNeverGetOneAddress(t *testing.T) {
	for name, hears := range map[string]func(*house, ...dhcp.Datagram) []dhcp.Datagram{
		"one by one": (*house).hears, "in one batch": (*house).hearsAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(h *house) {
				h.boot()
				var ds []dhcp.Datagram
				for i := range 40 {
					ds = append(ds, h.guest(i).reboot(addr("192.168.1.150")))
				}
				acks := 0
				for _, d := range hears(h, ds...) {
					if d.Msg.MessageType() == dhcpv4.MessageTypeAck {
						acks++
					}
				}
				if acks != 1 {
					t.Errorf("%d guests have 192.168.1.150; want 1", acks)
				}
			})
		})
	}
}

// One guest leaves an address behind in the batch in which another one gets it.
// The record must be the other one's, not gone.
func TestBatchForgetsNoAddressThatItBinds(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.LeaseTime = 10 * time.Minute
		h.boot()
		a, b := h.guest(1), h.guest(2)
		x := h.bind(a)
		y := addr("192.168.1.222")
		time.Sleep(11 * time.Minute)
		got := h.hearsAtOnce(b.reboot(x), a.request(y))
		if len(got) != 2 || say(got[0]) != "ACK "+x.String() || say(got[1]) != "ACK "+y.String() {
			t.Fatalf("answers %v; want two ACKs", got)
		}
		h.powerOff()
		h.boot()
		h.answers(h.guest(3).reboot(x), "NAK")
		h.answers(h.guest(3).reboot(y), "NAK")
		h.answers(b.reboot(x), "ACK "+x.String())
		h.answers(a.reboot(y), "ACK "+y.String())
	})
}

func TestRebootKeepsEveryAddress(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		had := map[int]netip.Addr{}
		for i := range 20 {
			had[i] = h.bind(h.guest(i))
		}
		for range 3 {
			h.powerOff()
			time.Sleep(time.Minute)
			h.boot()
		}
		h.logged("leases=20")
		h.pageHas("not heard since the reboot")
		for i, a := range had {
			stranger := h.guest(1000 + i)
			h.answers(stranger.reboot(a), "NAK")
			h.answers(h.guest(i).reboot(a), "ACK "+a.String())
		}
		if page := h.page(); strings.Contains(page, "not heard since") {
			t.Error("guests that were heard count as unheard")
		}
	})
}

// put writes entries into the flash of a house that is switched off.
func (h *house) put(entries ...ring.Entry) {
	h.Helper()
	r, err := ring.Open(h.flash)
	if err != nil {
		h.Fatal(err)
	}
	if err := r.Put(entries...); err != nil {
		h.Fatal(err)
	}
}

func record(t *testing.T, a netip.Addr, g guest) ring.Entry {
	t.Helper()
	e, err := entry(keyOf(a), lease.Binding{Addr: a, ID: dhcp.HardwareID(g.hw), HW: g.hw, Name: g.name, Term: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A power cut between the binding and what it frees leaves both.
func TestOfTwoRecordsOfAClientTheLaterCounts(t *testing.T) {
	live(t, func(h *house) {
		g := h.guest(1)
		x, y := addr("192.168.1.150"), addr("192.168.1.120")
		h.put(record(t, x, g), record(t, y, g))
		h.boot()
		kept, err := ring.OpenReadOnly(h.flash)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := kept.Get(keyOf(x)); ok {
			t.Errorf("the record of %v is still there", x)
		}
		h.answers(h.guest(2).reboot(y), "NAK")
		h.answers(h.guest(2).reboot(x), "ACK "+x.String())
		h.answers(g.reboot(y), "ACK "+y.String())
	})
}

func TestDamagedRecordsAreSkipped(t *testing.T) {
	live(t, func(h *house) {
		good, g := addr("192.168.1.150"), h.guest(1)
		elsewhere := record(t, addr("192.168.1.152"), g)
		elsewhere.Key = keyOf(addr("192.168.1.153"))
		h.put(
			ring.Entry{Key: keyOf(addr("192.168.1.151")), Value: []byte{99, 1, 2}},
			elsewhere,
			ring.Entry{Key: "future", Value: []byte("?")},
			record(t, good, g),
		)
		h.boot()
		h.logged("lease in the ring skipped")
		h.logged("is about 192.168.1.152")
		h.logged("leases=1")
		h.answers(h.guest(2).reboot(good), "NAK")
		h.answers(g.reboot(good), "ACK 192.168.1.150")
		h.answers(h.guest(2).reboot(addr("192.168.1.151")), "ACK 192.168.1.151")
	})
}

func TestWithoutARingLeasesAreShort(t *testing.T) {
	live(t, func(h *house) {
		h.flash.openErr = fmt.Errorf("open /etc/leasehold.ring: read-only file system")
		h.cfg.Hosts = []config.Host{{MACs: [][6]byte{h.guest(7).hw}, Addr: addr("192.168.1.7"), LeaseTime: config.Infinite}}
		h.boot()
		h.logged("leases are not kept over a reboot")
		for n, want := range map[int]string{1: "", 7: "192.168.1.7"} {
			h.is("lease", h.grants(h.guest(n).reboot(addr(max(want, "192.168.1.150")))), "ACK 10m0s")
		}
		h.pageHas("Leases are not kept over a reboot, and are therefore short; this is tried again by itself: open /etc/leasehold.ring: read-only file system")
		h.configure(func(c *config.Config) { c.LAN.LeaseTime = 2 * time.Minute })
		h.is("renewal", h.grants(h.guest(1).renew(addr("192.168.1.150"))), "ACK 2m0s")
	})
}

// The loop's memory is lost in a crash, and there is no ring to read it from.
func TestWithoutARingACrashForgetsNothing(t *testing.T) {
	live(t, func(h *house) {
		h.flash.openErr = fmt.Errorf("no flash")
		h.boot()
		a := addr("192.168.1.150")
		h.is("lease", h.grants(h.guest(1).reboot(a)), "ACK 10m0s")
		h.onceIn("send " + lanDev)
		h.tell(h.guest(2).discover())
		time.Sleep(2 * time.Second)
		h.answers(h.guest(2).reboot(a), "NAK")
		h.answers(h.guest(1).renew(a), "ACK "+a.String()+" ciaddr "+a.String())
	})
}

func TestWornOutRingIsStillRead(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		a := h.bind(h.guest(1))
		h.powerOff()
		h.flash.breakDown()
		h.boot()
		h.answers(h.guest(2).reboot(a), "NAK")
		h.is("who has it", h.grants(h.guest(1).reboot(a)), "ACK 10m0s")
		h.pageHas("are therefore short")
		h.pageHas("ring is worn out")
	})
}

// A ring that comes late, such as a file on a file system that is mounted after
// we start, may know leases that we do not.
func TestRingThatComesLate(t *testing.T) {
	live(t, func(h *house) {
		a, b := addr("192.168.1.150"), addr("192.168.1.151")
		h.put(record(t, a, h.guest(1)), record(t, b, h.guest(2)))
		h.flash.openErr = fmt.Errorf("open /overlay/ring: no such file or directory")
		h.boot()
		h.is("somebody else, meanwhile", h.grants(h.guest(3).reboot(b)), "ACK 10m0s")
		h.flash.appear()
		time.Sleep(2 * mendEvery)
		h.logged("the ring takes leases again")
		h.answers(h.guest(4).reboot(a), "NAK")
		h.is("who holds the other one", h.grants(h.guest(3).renew(b)), "ACK 12h0m0s")
		h.is("who had it", h.grants(h.guest(2).reboot(b)), "NAK 0s")
		h.is("who had the first", h.grants(h.guest(1).reboot(a)), "ACK 12h0m0s")
	})
}

func TestForeignFlashIsLeftAloneAndSaid(t *testing.T) {
	live(t, func(h *house) {
		h.flash.octets = bytes.Repeat([]byte("hsqs a file system "), chipBlock*chipBlocks)[:chipBlock*chipBlocks]
		before := bytes.Clone(h.flash.octets)
		h.boot()
		h.is("a lease", h.grants(h.guest(1).reboot(addr("192.168.1.150"))), "ACK 10m0s")
		h.pageHas("perhaps a SquashFS")
		time.Sleep(time.Hour)
		if !bytes.Equal(before, h.flash.octets) {
			t.Error("it was written to")
		}
	})
}

// Over budget, new leases are short; those that are kept go on as they were.
func TestWearBudget(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Ring.Cycles, h.cfg.Ring.Years = 1, 100
		h.boot()
		known := h.guest(0x1000)
		a := h.bind(known)
		n := 1
		for ; ; n++ {
			got := h.grants(h.guest(n).reboot(addr("192.168.1.200")))
			if got == "ACK 10m0s" {
				break
			}
			h.is("within the budget", got, "ACK 12h0m0s")
			h.hears(h.guest(n).release(addr("192.168.1.200")))
			if n > 9000 {
				t.Fatal("the budget is never used up")
			}
		}
		t.Logf("%d new leases until the budget of a ring of %d octets was used up", n-1, chipBlock*chipBlocks)
		h.pageHas("more was written than the flash can take for 100 years")
		wear := h.flash.wear()
		h.is("renewed, a lease that is kept", h.grants(known.renew(a)), "ACK 12h0m0s")
		renamed := known
		renamed.name = "another-name"
		h.is("renewed under another name", h.grants(renamed.renew(a)), "ACK 12h0m0s")
		for i := range 50 {
			h.grants(h.guest(n + 1 + i).discover())
			h.grants(h.guest(n).renew(addr("192.168.1.200")))
		}
		if got := h.flash.wear() - wear; got != 0 {
			t.Errorf("%d octets were programmed over budget", got)
		}
		h.powerOff()
		h.boot()
		h.answers(h.guest(3).reboot(a), "NAK")
	})
}

func TestBudgetRecovers(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Ring.Cycles, h.cfg.Ring.Years = 100, 1
		h.boot()
		n := 1
		for ; h.grants(h.guest(n).reboot(addr("192.168.1.200"))) != "ACK 10m0s"; n++ {
			h.hears(h.guest(n).release(addr("192.168.1.200")))
		}
		time.Sleep(9 * time.Minute)
		h.is("a lent lease, renewed a little later", h.grants(h.guest(n).renew(addr("192.168.1.200"))), "ACK 12h0m0s")
		h.is("a new guest", h.grants(h.guest(n+1).discover()), "OFFER 12h0m0s")
	})
}

func TestFullRingForgetsOtherNetworks(t *testing.T) {
	live(t, func(h *house) {
		r, err := ring.Open(h.flash)
		if err != nil {
			t.Fatal(err)
		}
		for a, n := addr("10.0.0.1"), 0; err == nil; a, n = a.Next(), n+1 {
			err = r.Put(record(t, a, h.guest(n)))
		}
		h.boot()
		h.logged("leases=0")
		a := h.bind(h.guest(1))
		h.logged("leases of other networks are forgotten")
		h.powerOff()
		h.boot()
		h.answers(h.guest(2).reboot(a), "NAK")
	})
}

func TestMessageWithoutASenderIsNoMystery(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		d := h.guest(1).discover()
		d.Msg.ClientHWAddr, d.Msg.Options = nil, dhcpv4.OptionsFromList(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover))
		h.answers(d)
		h.logged(`msg="message names no client"`)
	})
}

func TestWhatIsNotDHCPIsPassedOver(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.port(lanDev).broken <- &wire.Malformed{From: h.guest(1).hw, Err: errors.New("UDP checksum is wrong")}
		h.bind(h.guest(1))
		h.logged("UDP checksum is wrong")
		h.notLogged("lan stopped")
	})
}

func TestAnswerThatIsNotSentIsNoCrash(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.port(lanDev).sendErr = errors.New("no buffer space available")
		h.tell(h.guest(1).discover())
		h.port(lanDev).sendErr = nil
		h.pageHas("guest-1: answer not sent")
		h.bind(h.guest(1))
		h.notLogged("lan stopped")
	})
}

func TestPageShowsLeases(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Hosts = []config.Host{{MACs: [][6]byte{h.guest(1).hw}, Name: "printer", LeaseTime: config.Infinite}}
		h.boot()
		h.bind(h.guest(1))
		h.bind(h.guest(2))
		h.tell(h.guest(3).release(h.bind(h.guest(3))))
		h.tell(h.guest(4).says(dhcpv4.MessageTypeDecline,
			dhcpv4.OptRequestedIPAddress(dhcp.IP(h.bind(h.guest(4)))), dhcpv4.OptServerIdentifier(dhcp.IP(router1))))
		h.hears(h.guest(5).discover()) // is no lease
		for _, want := range []string{
			"<td>printer<td>for ever<td>bound<td>02:00:00:00:00:01\n",
			"<td>guest-2<td>11 h 59 min<td>bound<td>02:00:00:00:00:02\n",
			"<td>guest-3<td>–<td>released<td>02:00:00:00:00:03\n",
			"<td>–<td>59 min 59 s<td>in use by somebody else<td>–\n",
			"<dt>In use</dt><dd>4 of 150</dd>", // two bound, one declined, one offered
		} {
			h.pageHas(want)
		}
		page := h.page()
		if n := strings.Count(page[:strings.Index(page, "<h3>")], "<tr><td>"); n != 4 {
			t.Errorf("%d leases; want 4", n)
		}
		time.Sleep(13 * time.Hour)
		h.pageHas("<td>guest-2<td>–<td>expired<td>02:00:00:00:00:02\n")
	})
}

func TestOverloadIsShown(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.port(lanDev).drops = 3
		h.hears(h.guest(1).discover())
		h.pageHas("3 messages came faster than they could be answered")
	})
}

func TestRingThatIsTooSmall(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.First, h.cfg.LAN.Last = addr("192.168.1.2"), addr("192.168.1.9")
		h.boot()
		h.notLogged("made for fewer leases")
		h.powerOff()
		h.cfg.LAN.Addr = netip.MustParsePrefix("192.168.1.1/16")
		h.cfg.LAN.First, h.cfg.LAN.Last = addr("192.168.1.2"), addr("192.168.200.1")
		h.cfg.Ring.Cycles = 1_000_000
		h.boot()
		h.logged("made for fewer leases")
		n := 0
		for a := addr("192.168.2.0"); ; a, n = a.Next(), n+1 {
			got := h.grants(h.guest(n).reboot(a))
			if got == "ACK 10m0s" {
				break
			}
			h.is(fmt.Sprint("guest ", n), got, "ACK 12h0m0s")
			if n > 5000 {
				t.Fatal("the ring is never full")
			}
		}
		h.pageHas("New devices get short leases that a reboot forgets: the ring is full")
		h.is("a guest from before", h.grants(h.guest(0).renew(addr("192.168.2.0"))), "ACK 12h0m0s")
	})
}

// What a client says while an earlier message of its waits for a probe makes
// that one void.
func TestMessageThatWaitsForAProbeGoesStale(t *testing.T) {
	live(t, func(h *house) {
		h.flash.octets = nil // so that addresses are probed
		h.boot()
		g := h.guest(1)
		h.tell(g.reboot(addr("192.168.1.150")))
		h.tell(g.renew(addr("192.168.1.151")))
		time.Sleep(time.Second)
		var said []string
		for _, d := range h.sent(lanDev) {
			said = append(said, say(d))
		}
		if want := []string{"ACK 192.168.1.151 ciaddr 192.168.1.151"}; !slices.Equal(said, want) {
			t.Errorf("answers %q; want %q", said, want)
		}
	})
}

// Of what was lent, a crash of the loop must not bring back what is over.
func TestLoanEndsWhereItsClientHasAnotherAddress(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		g := h.guest(1)
		h.flash.breakDown()
		h.is("lent", h.grants(g.reboot(addr("192.168.1.150"))), "ACK 10m0s")
		h.flash.mend()
		time.Sleep(3 * mendEvery)
		h.is("bound elsewhere", h.grants(g.request(addr("192.168.1.151"))), "ACK 12h0m0s")
		h.onceIn("send " + lanDev)
		h.tell(h.guest(2).discover())
		time.Sleep(2 * time.Second)
		h.is("the other one, after a crash", h.grants(h.guest(3).reboot(addr("192.168.1.150"))), "ACK 12h0m0s")
		h.is("its own", h.grants(g.renew(addr("192.168.1.151"))), "ACK 12h0m0s")
	})
}

// What is on flash that takes no writes holds all the same.
func TestReadOnlyRingIsRecalled(t *testing.T) {
	live(t, func(h *house) {
		a := addr("192.168.1.150")
		h.put(record(t, a, h.guest(1)))
		h.flash.openErr = fmt.Errorf("open /etc/leasehold.ring: %w", syscall.EROFS)
		h.boot()
		h.answers(h.guest(2).reboot(a), "NAK")
		h.is("who has it", h.grants(h.guest(1).reboot(a)), "ACK 10m0s")
		h.pageHas("read-only file system")
		h.flash.appear()
		time.Sleep(3 * mendEvery)
		h.is("renewed on flash that works", h.grants(h.guest(1).renew(a)), "ACK 12h0m0s")
	})
}

// A ring that somebody else has written to is noticed, and made anew of what is
// known.
func TestRingThatIsOverwrittenIsMadeAnew(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		a := h.bind(h.guest(1))
		h.flash.mu.Lock()
		h.flash.octets = nil
		h.flash.mu.Unlock()
		time.Sleep(3 * mendEvery)
		h.logged("the ring takes leases again")
		h.powerOff()
		h.boot()
		h.answers(h.guest(2).reboot(a), "NAK")
	})
}
