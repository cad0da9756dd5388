package client

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

func TestAcquire(t *testing.T) {
	p := play(t).silent().in(Init)
	p.after(0, s).sends("DISCOVER to broadcast").in(Selecting).because("looking for a server")
	p.hears(offer("192.0.2.7")).silent().because("offered 192.0.2.7 by 192.0.2.1")
	p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast").in(Requesting)
	p.because("asking 192.0.2.1 for 192.0.2.7")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").in(Probing).holds("nothing")
	p.because("granted 192.0.2.7 by 192.0.2.1 for 17 min, asking the link whether it is free")
	p.free("192.0.2.7").installs("192.0.2.7/24").in(Bound).holds("192.0.2.7")
	p.because("bound to 192.0.2.7 by 192.0.2.1 for 17 min")
}

func TestLifeOfALease(t *testing.T) {
	p := playBound(t, term(1000*s))
	p.at(499 * s).silent()
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1").in(Renewing) // T1
	p.because("asking 192.0.2.1 to renew 192.0.2.7")
	p.at(687500 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1") // half of what remains to T2
	p.at(781250 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(841250 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")           // at least a minute
	p.at(875 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast").in(Rebinding) // T2
	p.because("asking any server to renew 192.0.2.7")
	p.at(937500 * ms).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.at(997500 * ms).sends("REQUEST ciaddr=192.0.2.7 to broadcast").holds("192.0.2.7")
	p.at(1000 * s).drops().sends("DISCOVER requested=192.0.2.7 to broadcast").in(Selecting)
	p.because("lease of 192.0.2.7 has expired").holds("nothing")
	if got := p.sent.Msg.NumSeconds; got != 0 {
		t.Errorf("secs %d in the DISCOVER; want 0, \"as if the client were uninitialized\"", got)
	}
}

func TestRenewedLeaseStartsAnew(t *testing.T) {
	p := playBound(t)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(502 * s).hears(ack("192.0.2.7")).installs("192.0.2.7/24").in(Bound)
	p.because("192.0.2.7 renewed by 192.0.2.1 for 17 min")
	p.at(1000 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1") // T1 of the REQUEST at 500 s
}

func TestRenewalIsCountedFromTheRequestThatWasAnswered(t *testing.T) {
	p := playBound(t)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(687500 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(690 * s).hears(ack("192.0.2.7")).installs("192.0.2.7/24")
	if got := p.m.Lease().Expires.Sub(p.zero); got != 1687500*ms {
		t.Errorf("expires at %v; want 1000 s after the REQUEST at 687.5 s", got)
	}
}

func TestAnswerToAnEarlierRenewalIsIgnored(t *testing.T) {
	p := playBound(t)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	early := p.sent
	p.at(687500 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	if early.Msg.TransactionID == p.sent.Msg.TransactionID {
		t.Error("two renewals minutes apart share an xid")
	}
	p.sent = early
	p.hears(ack("192.0.2.7")).silent().in(Renewing)
}

func TestRebindingTakesAnotherServer(t *testing.T) {
	p := playBound(t)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(687500 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(781250 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(841250 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(875 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.hears(ack("192.0.2.7", from("192.0.2.2"))).installs("192.0.2.7/24").in(Bound)
	p.at(1375 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.2")
}

func TestRenewalWithAnotherAddressDropsTheOldAndProbesTheNew(t *testing.T) {
	p := playBound(t)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(ack("192.0.2.8")).drops().probes("192.0.2.8").in(Probing).holds("nothing")
	p.free("192.0.2.8").installs("192.0.2.8/24").in(Bound)
}

func TestInfiniteLeaseNeverWakes(t *testing.T) {
	p := playBound(t, term(dhcp.Infinite))
	p.at(announceInterval)
	if !p.wake.IsZero() {
		t.Errorf("wakes after %v; want never", p.wake.Sub(p.now))
	}
	if l := p.m.Lease(); l.Term != dhcp.Infinite || !l.Expires.IsZero() || !l.Renew.IsZero() {
		t.Errorf("lease %+v; want no times", l)
	}
	p.at(200 * 365 * 24 * h).silent().in(Bound)
}

func TestShortLeaseIsObeyed(t *testing.T) {
	p := playBound(t, term(40*s)) // a modem's, while it has no line
	for i := range time.Duration(100) {
		p.at((i + 1) * 20 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
		p.hears(ack("192.0.2.7", term(40*s))).installs("192.0.2.7/24")
	}
	p.at(2020 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(2027500 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1") // half of what remains
	p.at(2031250 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(2033125 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(2034125 * ms).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1") // at least a second
	p.at(2035 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.at(2037500 * ms).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.at(2038750 * ms).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.at(2039750 * ms).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.at(2040 * s).drops().sends("DISCOVER requested=192.0.2.7 to broadcast")
}

func TestServerThatWantsARenewalEverySecondIsNotObeyed(t *testing.T) {
	p := playBound(t, times(1000*s, 1*s, 2*s))
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(ack("192.0.2.7", times(1000*s, 1*s, 100*s))).installs("192.0.2.7/24")
	p.at(510 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
}

func TestLateACKRenewsAtOnce(t *testing.T) {
	p := playRequesting(t)
	p.after(3*s, 5*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.after(7*s, 9*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.at(14 * s).hears(ack("192.0.2.7", term(20*s))).probes("192.0.2.7")
	p.free("192.0.2.7").installs("192.0.2.7/24").sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1").in(Renewing)
}

func TestACKAfterItsLeaseIsIgnored(t *testing.T) {
	p := playRequesting(t)
	p.after(3*s, 5*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.after(7*s, 9*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.at(20 * s).hears(ack("192.0.2.7", term(20*s))).silent().in(Requesting)
	p.because("answer of 192.0.2.1 is not usable: came when its lease was over")
}

func TestLeaseThatRunsOutWhileProbedIsNotInstalled(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7", term(20*s))).probes("192.0.2.7")
	p.at(10 * s).probes("192.0.2.7") // it was not answered
	p.at(20 * s).sends("DISCOVER requested=192.0.2.7 to broadcast")
	p.free("192.0.2.7").silent().holds("nothing")
}

func TestUnansweredProbeIsRepeated(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.at(10 * s).probes("192.0.2.7")
	p.at(20 * s).probes("192.0.2.7")
	p.free("192.0.2.9").silent() // of something else
	p.free("192.0.2.7").installs("192.0.2.7/24")
}

func TestDuplicateACKsAreIgnored(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.hears(ack("192.0.2.7")).silent()
	p.free("192.0.2.7").installs("192.0.2.7/24")
	p.hears(ack("192.0.2.7")).silent().in(Bound)
	p.inUse("192.0.2.7").silent().in(Bound) // nobody asked
}

func TestOffersAreChosen(t *testing.T) {
	strange := offer("198.51.100.5", from("198.51.100.1"))
	other := offer("192.0.2.99")
	for name, tt := range map[string]struct {
		last   Last
		offers []func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4
		want   string
	}{
		"the first of strangers":               {Last{}, list(strange, other), "198.51.100.5 server=198.51.100.1"},
		"the server that we had":               {Last{ip("192.0.2.7"), ip("192.0.2.1")}, list(strange, other), "192.0.2.99 server=192.0.2.1"},
		"the address that we had, at once":     {Last{ip("192.0.2.7"), ip("192.0.2.1")}, list(strange, other, offer("192.0.2.7")), "192.0.2.7 server=192.0.2.1"},
		"not our address of another server":    {Last{ip("192.0.2.7"), ip("192.0.2.1")}, list(other, offer("192.0.2.7", from("192.0.2.2"))), "192.0.2.99 server=192.0.2.1"},
		"an offer after one that is nonsense":  {Last{}, list(offer("127.0.0.1"), other), "192.0.2.99 server=192.0.2.1"},
		"an offer before one that is nonsense": {Last{}, list(other, offer("127.0.0.1")), "192.0.2.99 server=192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t)
			p.m.last = tt.last
			if tt.last.Addr.IsValid() {
				p.after(0, s).sends(fmt.Sprintf("DISCOVER requested=%v to broadcast", tt.last.Addr))
			} else {
				p.after(0, s).sends("DISCOVER to broadcast")
			}
			for _, o := range tt.offers {
				p.hears(o)
			}
			if len(p.done) == 0 {
				p.after(s, s)
			}
			p.sends("REQUEST requested=" + tt.want + " to broadcast").in(Requesting)
		})
	}
}

func list[T any](v ...T) []T { return v }

func TestServerThatOffersAndDoesNotAcknowledgeIsLeftForAnother(t *testing.T) {
	p := playRequesting(t)
	for range 3 {
		p.after(3*s, 33*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	}
	p.after(31*s, 33*s).sends("DISCOVER to broadcast").because("no answer from 192.0.2.1, starting over")
	p.hears(offer("192.0.2.7"))
	p.hears(offer("192.0.2.50", from("192.0.2.2")))
	p.after(s, s).sends("REQUEST requested=192.0.2.50 server=192.0.2.2 to broadcast")
}

func TestBackoffIsKeptWhenAServerDoesNotAcknowledge(t *testing.T) {
	p := playRequesting(t)
	for range 3 {
		p.after(3*s, 33*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	}
	p.after(31*s, 33*s).sends("DISCOVER to broadcast")
	p.after(7*s, 9*s).sends("DISCOVER to broadcast") // not 4 s again
	p.after(15*s, 17*s).sends("DISCOVER to broadcast")
}

func TestNAKsAreDamped(t *testing.T) {
	p := play(t)
	lo, hi := time.Duration(0), s
	for range 20 {
		p.after(lo, hi).sends("DISCOVER to broadcast")
		p.hears(offer("192.0.2.7"))
		p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
		p.hears(nak(with(dhcpv4.OptMessage("no\nmore leases")))).silent().in(Init)
		lo, hi = min(max(2*lo, s), 30*time.Minute), min(max(2*hi, 2*s), 30*time.Minute)
	}
	p.because("refused by 192.0.2.1 (nomore leases), again in 30 min")
	p.after(lo, hi).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7"))
	p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	p.zero = p.now
	p.at(500*s-s).after(s-1, s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(nak()).drops()
	p.after(s, 2*s).sends("DISCOVER to broadcast") // it was bound in between
}

func TestNAKIsBelievedOnlyFromWhoMaySayIt(t *testing.T) {
	elsewhere := func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ }
	another := func(m *dhcpv4.DHCPv4) { m.ClientHWAddr[5]++ }
	for name, no := range map[string]func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4{
		"another exchange": nak(elsewhere),
		"another client":   nak(another),
		"another server":   nak(from("192.0.2.2")),
		"no server":        nak(without(dhcpv4.OptionServerIdentifier)),
	} {
		t.Run(name, func(t *testing.T) {
			p := playRequesting(t)
			p.hears(no).silent().in(Requesting)
			p = playBound(t)
			p.hears(no).silent().in(Bound)
			p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
			p.hears(no).silent().in(Renewing)
		})
	}
	p := playBound(t)
	p.hears(nak()).silent().in(Bound) // too late
}

func TestNAKWhileExtendingDropsTheLeaseAtOnce(t *testing.T) {
	p := playBound(t, times(1000*s, 500*s, 520*s))
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(nak()).drops().in(Init)
	p.after(s, 2*s).sends("DISCOVER to broadcast") // without the address that was refused

	p = playBound(t, times(1000*s, 500*s, 520*s))
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(520 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.hears(nak(from("192.0.2.2"))).drops().in(Init) // whoever is authoritative by now
}

func TestConflictsAreDamped(t *testing.T) {
	p := playRequesting(t)
	for _, wait := range []time.Duration{10 * s, 20 * s, 40 * s, 60 * s, 60 * s} {
		p.hears(ack("192.0.2.7")).probes("192.0.2.7")
		p.inUse("192.0.2.7").sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast").in(Init)
		p.after(wait, wait).sends("DISCOVER to broadcast") // without the address that is in use
		p.hears(offer("192.0.2.7"))
		p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	}
}

func TestRebootAsksForTheAddressThatWasHeld(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1")).in(InitReboot)
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast").in(Rebooting).holds("nothing")
	p.because("asking whether 192.0.2.7 is still ours")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").holds("nothing")
	p.free("192.0.2.7").installs("192.0.2.7/24").in(Bound)
}

func TestRebootUnansweredFallsBackToDiscover(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	xid := p.sent.Msg.TransactionID
	p.after(3*s, 5*s).sends("REQUEST requested=192.0.2.7 to broadcast")
	if p.sent.Msg.TransactionID != xid {
		t.Error("retransmission has another xid")
	}
	p.after(7*s, 9*s).sends("DISCOVER requested=192.0.2.7 to broadcast").in(Selecting)
	p.hears(offer("192.0.2.7")).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast") // at once
}

func TestRebootIntoAnotherNetwork(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(nak(from("198.51.100.1"))).silent().in(Init) // any server may know
	p.after(s, 2*s).sends("DISCOVER to broadcast")
}

func TestNonsenseFromBeforeTheRebootIsForgotten(t *testing.T) {
	p := play(t, last("255.255.255.255", "192.0.2.1")).in(Init)
	p.after(0, s).sends("DISCOVER to broadcast")
}

func TestLinkUpVerifiesTheLeaseAndKeepsItInstalled(t *testing.T) {
	p := playBound(t)
	p.at(100 * s).linkUp().silent().in(InitReboot).because("link is back")
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast").in(Rebooting).holds("192.0.2.7")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").in(Probing).holds("192.0.2.7") // the neighbours may be others
	p.free("192.0.2.7").installs("192.0.2.7/24").in(Bound)
}

func TestLinkUpInAnotherNetworkDropsTheLease(t *testing.T) {
	p := playBound(t)
	p.at(100 * s).linkUp()
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(nak(from("198.51.100.1"))).drops().in(Init)
}

func TestLinkUpWithASquatterOnOurAddress(t *testing.T) {
	p := playBound(t)
	p.at(100 * s).linkUp()
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.inUse("192.0.2.7").drops().sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast")
}

func TestLinkUpUnansweredKeepsTheLease(t *testing.T) {
	p := playBound(t)
	p.at(100 * s).linkUp()
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	for range 3 {
		p.after(3*s, 33*s).sends("REQUEST requested=192.0.2.7 to broadcast")
	}
	p.at(170 * s).silent().in(Bound).holds("192.0.2.7")
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1").in(Renewing)
}

func TestLinkUpUnansweredPastT1(t *testing.T) {
	p := playBound(t)
	p.at(490 * s).linkUp()
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	for range 3 {
		p.after(3*s, 33*s).sends("REQUEST requested=192.0.2.7 to broadcast")
	}
	p.after(31*s, 33*s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1").in(Renewing)
}

func TestLinkUpUnansweredUntilExpiry(t *testing.T) {
	p := playBound(t, times(100*s, 90*s, 95*s))
	p.at(60 * s).linkUp()
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	for range 3 {
		p.after(3*s, 17*s).sends("REQUEST requested=192.0.2.7 to broadcast")
	}
	p.at(100 * s).drops().sends("DISCOVER requested=192.0.2.7 to broadcast")
}

func TestFlappingLinkSendsNothing(t *testing.T) {
	p := playBound(t)
	for i := range time.Duration(300) {
		p.at(100*s + i*500*ms).linkUp().silent()
	}
	p.after(500*ms, s).sends("REQUEST requested=192.0.2.7 to broadcast")
}

func TestLinkUpCutsTheBackoffShort(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	for range 10 {
		p.after(3*s, 65*s).sends("DISCOVER to broadcast")
	}
	p.linkUp().after(0, s).sends("DISCOVER to broadcast")
	p.after(3*s, 5*s).sends("DISCOVER to broadcast")
}

func TestRelease(t *testing.T) {
	p := playBound(t)
	p.at(100 * s).release().drops().sends("RELEASE ciaddr=192.0.2.7 server=192.0.2.1 to 192.0.2.1").in(Stopped)
	p.because("released 192.0.2.7 to 192.0.2.1").holds("nothing")
	if want := (dhcp.HWAddr{2, 0, 0, 0, 0, 0xff}); p.sent.HW != want {
		t.Errorf("frame to %v; want %v, where the lease came from", p.sent.HW, want)
	}
	p.linkUp().release().hears(ack("192.0.2.7")).at(h).silent().in(Stopped)
}

func TestReleaseOfNothing(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.release().silent().in(Stopped)
}

func TestEarlyTickIsHarmless(t *testing.T) {
	p := playBound(t)
	wake := p.wake
	for range 100 {
		p.did(p.m.Tick(p.now))
	}
	if p.silent(); !p.wake.Equal(wake) {
		t.Errorf("wakes at %v after early ticks; want %v", p.wake, wake)
	}
}

func TestLateTickSkipsWhatIsOver(t *testing.T) {
	for _, tt := range []struct {
		at   time.Duration
		want []string
	}{
		{600 * s, list("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")},
		{900 * s, list("REQUEST ciaddr=192.0.2.7 to broadcast")},
		{2000 * s, list("drop", "DISCOVER requested=192.0.2.7 to broadcast")},
	} {
		p := playBound(t)
		p.did(p.m.Tick(p.now.Add(tt.at)))
		if !slices.Equal(p.done, tt.want) {
			t.Errorf("Tick at %v = %q; want %q", tt.at, p.done, tt.want)
		}
	}
}

func TestExpiryIsNotOverlooked(t *testing.T) {
	for name, happens := range map[string]func(*Machine, time.Time) Step{
		"Receive": func(m *Machine, now time.Time) Step { return m.Receive(now, dhcp.Datagram{}) },
		"Probed":  func(m *Machine, now time.Time) Step { return m.Probed(now, ip("192.0.2.7"), nobody) },
		"LinkUp":  (*Machine).LinkUp,
	} {
		p := playBound(t)
		p.did(happens(p.m, p.zero.Add(1000*s)))
		if want := list("drop", "DISCOVER requested=192.0.2.7 to broadcast"); !slices.Equal(p.done, want) {
			t.Errorf("%s after the lease: %q; want %q", name, p.done, want)
		}
	}
	p := playBound(t)
	p.did(p.m.Release(p.zero.Add(1000 * s)))
	p.drops().silent() // and no RELEASE of what is not ours
}

// A wall clock that jumps moves neither Sub nor Add of times with a monotonic
// reading; so the machine must not lose that reading, and must not compare with
// anything but what it was told.
func TestTimesKeepTheMonotonicReading(t *testing.T) {
	p := playRequesting(t)
	now := time.Now()
	p.m.state.(*requesting).sent = now
	p.now = now
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	l := p.m.Lease()
	for name, at := range map[string]time.Time{"Renew": l.Renew, "Rebind": l.Rebind, "Expires": l.Expires} {
		if at == at.Round(0) {
			t.Errorf("%s has lost its monotonic reading", name)
		}
	}
}

// An outage ends with a lease in one wait and one exchange.
func TestOutageOfThreeDays(t *testing.T) {
	for seed := range uint64(50) {
		p := playBound(t, term(1*h))
		p.m.rnd = rand.New(rand.NewPCG(seed, 0))
		messages := 0
		for back := p.zero.Add(72 * h); p.wake.Before(back); {
			if p.tick(); slices.ContainsFunc(p.done, func(s string) bool { return strings.Contains(s, " to ") }) {
				messages++
			}
			p.done = nil
		}
		p.in(Selecting).holds("nothing")
		if got := p.sent.Msg.NumSeconds; got != 65535 {
			t.Errorf("secs %d after two days; want all that the field holds", got)
		}
		if messages > 72*60 {
			t.Errorf("%d messages in three days", messages)
		}
		back := p.zero.Add(72 * h)
		for len(p.done) == 0 {
			p.tick()
		}
		p.done = nil
		if p.now.Sub(back) > 65*s {
			t.Errorf("first DISCOVER %v after the server is back; want at most 65 s", p.now.Sub(back))
		}
		p.hears(offer("192.0.2.7")).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
		p.hears(ack("192.0.2.7")).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	}
}

// An outage that is shorter than the lease is not noticed.
func TestOutageShorterThanTheLease(t *testing.T) {
	p := playBound(t, term(7*24*h))
	for p.wake.Before(p.zero.Add((84 + 72) * h)) {
		p.tick()
		p.holds("192.0.2.7")
		p.done = nil
	}
	p.hears(ack("192.0.2.7")).installs("192.0.2.7/24").in(Bound)
}
