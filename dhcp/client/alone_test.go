package client

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"leasehold/dhcp"
)

// The address that hw's seed leads to first, and the next.
const (
	firstLocal  = "169.254.117.101"
	secondLocal = "169.254.78.94"
)

// playAlone starts a machine that no server answers, up to the first probe for
// an address of its own.
func playAlone(t *testing.T, edits ...func(*Config)) *player {
	t.Helper()
	p := play(t, edits...)
	p.alone = true
	p.after(0, s).sends("DISCOVER to broadcast")
	for range 3 {
		p.after(3*s, 17*s).sends("DISCOVER to broadcast")
	}
	return p.at(60 * s).probes(firstLocal).holds("nothing")
}

// playLocal goes on until that address is installed. Between 60 s and that the
// DISCOVER of the fifth attempt is heard.
func playLocal(t *testing.T) *player {
	t.Helper()
	p := playAlone(t)
	for p.m.alone.clean < probeNum {
		if p.now = p.now.Add(400 * ms); len(p.done) == 0 {
			p.free(firstLocal)
		}
		p.skipDiscover()
		for p.m.alone.clean < probeNum && len(p.done) == 0 {
			p.tick()
			p.skipDiscover()
		}
		p.done = nil
	}
	for len(p.done) == 0 {
		p.tick()
		p.skipDiscover()
	}
	return p.installs(firstLocal + "/16")
}

// meanwhile lets time pass to d, whatever happens before.
func (p *player) meanwhile(d time.Duration) *player {
	p.Helper()
	for until := p.zero.Add(d); p.now.Before(until); {
		p.done = nil
		if p.wake.After(until) {
			p.now = until
			break
		}
		p.tick()
	}
	return p
}

// skipDiscover forgets the DISCOVERs that go on meanwhile.
func (p *player) skipDiscover() {
	p.done = slices.DeleteFunc(p.done, func(s string) bool { return s == "DISCOVER to broadcast" })
}

func TestNoServerForAMinuteLeadsToALinkLocalAddress(t *testing.T) {
	p := playLocal(t).in(Selecting).holds(firstLocal)
	p.because("no server for a minute, 169.254.117.101 taken meanwhile")
	if d := p.now.Sub(p.zero); d < 64*s || d > 68*s {
		t.Errorf("installed after %v; want a minute, two to four seconds of probes, and two to listen", d)
	}
	l := p.m.Lease()
	if !l.LinkLocal || l.Routes != nil || l.DNS != nil || l.Gateway().IsValid() || l.Server.IsValid() {
		t.Errorf("lease %+v; want nothing but an address", l)
	}
}

// "the retransmission delay [...] a maximum of 64 seconds": DHCP goes on.
func TestLinkLocalAddressDoesNotEndTheSearch(t *testing.T) {
	p := playLocal(t)
	p.after(0, 65*s).sends("DISCOVER to broadcast")
	for range 100 {
		p.after(63*s, 65*s).sends("DISCOVER to broadcast").holds(firstLocal)
		if got := p.sent.From.Addr(); !got.IsUnspecified() {
			t.Fatalf("DISCOVER comes from %v; want 0.0.0.0", got)
		}
	}
}

func TestLinkLocalAddressGoesWhenALeaseComes(t *testing.T) {
	p := playLocal(t)
	p.after(0, 65*s).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7")).after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast").holds(firstLocal)
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").holds(firstLocal)
	p.free("192.0.2.7").installs("192.0.2.7/24").holds("192.0.2.7")
	if p.m.Lease().LinkLocal {
		t.Error("the lease is called link-local")
	}
	p.zero = p.now
	p.at(490 * s).silent()
}

func TestLinkLocalAddressComesAMinuteAfterALeaseExpired(t *testing.T) {
	p := playBound(t, times(1000*s, 998*s, 999*s))
	p.alone = true
	p.at(998 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(999 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.at(1000 * s).drops().sends("DISCOVER requested=192.0.2.7 to broadcast")
	p.meanwhile(1060 * s).probes(firstLocal)
}

func TestServerThatAnswersIsWaitedFor(t *testing.T) {
	p := play(t)
	p.alone = true
	p.after(0, s).sends("DISCOVER to broadcast")
	for range 3 {
		p.after(3*s, 17*s).sends("DISCOVER to broadcast")
	}
	p.at(50 * s).hears(offer("192.0.2.7"))
	p.at(51 * s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.meanwhile(111 * s).probes(firstLocal) // a minute after we last had hope
}

func TestServerThatIsRejectedIsNone(t *testing.T) {
	p := play(t, reject("192.0.2.0/24"))
	p.alone = true
	p.after(0, s).sends("DISCOVER to broadcast")
	for range 3 {
		p.after(3*s, 17*s).sends("DISCOVER to broadcast")
		p.hears(offer("192.0.2.7")).silent()
	}
	p.at(60 * s).probes(firstLocal)
}

func TestLinkLocalAddressInUseIsLeftToOthers(t *testing.T) {
	p := playAlone(t)
	p.inUse(firstLocal).silent().because("169.254.117.101 is in use by another station, trying another")
	p.free(firstLocal).silent() // of the probe before
	for asked := p.now; ; p.skipDiscover() {
		if p.tick(); slices.Contains(p.done, "probe "+secondLocal) {
			break
		}
		if p.now.Sub(asked) > 2*s {
			t.Fatalf("%v after a conflict: %v; want another address asked for", p.now.Sub(asked), p.done)
		}
	}
}

// "If the number of conflicts exceeds MAX_CONFLICTS then the host MUST limit the
// rate at which it probes for new addresses to no more than one new address per
// RATE_LIMIT_INTERVAL." RFC 3927, section 2.2.1.
func TestLinkLocalConflictsAreDamped(t *testing.T) {
	p := playAlone(t)
	asked := time.Time{}
	for i := range 30 {
		p.done = nil
		p.inUse(p.m.alone.addr.String())
		for before := p.m.alone.asked; p.m.alone.asked.Equal(before); p.done = nil {
			p.tick()
		}
		if wait := p.now.Sub(asked); i > 10 && wait < time.Minute {
			t.Fatalf("attempt %d came %v after the one before; want a minute", i, wait)
		}
		asked = p.now
	}
}

func TestProbeOfALinkLocalAddressThatWasLostIsRepeated(t *testing.T) {
	p := playAlone(t)
	for range 5 {
		for p.done = nil; len(p.done) == 0; p.skipDiscover() {
			p.tick()
		}
		p.probes(firstLocal).holds("nothing")
	}
}

func TestLinkLocalAddressIsTheSameAfterAReboot(t *testing.T) {
	for seed := range uint64(10) {
		if got := New(Config{HW: hw}, rand.New(rand.NewPCG(seed, seed))).alone.addr.String(); got != firstLocal {
			t.Errorf("with seed %d it begins with %s; want %s", seed, got, firstLocal)
		}
	}
	other := dhcp.HWAddr{2, 0, 0, 0, 0, 2}
	if got := newAlone(other).addr.String(); got == firstLocal {
		t.Errorf("%v begins with the address of %v", other, hw)
	}
}

// "[...] uniformly distributed over the range from 169.254.1.0 to
// 169.254.254.255 inclusive." RFC 3927, section 2.1.
func TestLinkLocalAddressesAreInTheRange(t *testing.T) {
	a := newAlone(hw)
	lowest, highest := a.addr, a.addr
	for range 300_000 {
		a.pick()
		if a.addr.Less(lowest) {
			lowest = a.addr
		}
		if highest.Less(a.addr) {
			highest = a.addr
		}
	}
	if lowest.String() != "169.254.1.0" || highest.String() != "169.254.254.255" {
		t.Errorf("from %v to %v; want 169.254.1.0 to 169.254.254.255", lowest, highest)
	}
}

func TestLinkUpTakesTheLinkLocalAddressDown(t *testing.T) {
	p := playLocal(t)
	p.linkUp().drops().holds("nothing")
	p.after(500*ms, s).sends("DISCOVER to broadcast")
}

func TestReleaseTakesTheLinkLocalAddressDown(t *testing.T) {
	p := playLocal(t)
	p.release().drops().holds("nothing").in(Stopped)
	if !p.wake.IsZero() {
		t.Error("wakes again")
	}
}

func TestNoLinkLocalAddressWithoutACable(t *testing.T) {
	p := playLocal(t)
	p.did(p.m.LinkDown(p.now))
	p.drops().holds("nothing")
	for until := p.now.Add(h); p.now.Before(until); p.skipDiscover() {
		p.tick()
	}
	p.silent().holds("nothing")
	p.linkUp()
	p.zero = p.now
	p.meanwhile(60 * s).probes(firstLocal)
}

// What nobody could hear was not answered.
func TestProbeThatTheCableWentOutUnderIsNone(t *testing.T) {
	p := playAlone(t)
	p.did(p.m.LinkDown(p.now))
	p.free(firstLocal)
	for until := p.now.Add(h); p.now.Before(until); p.skipDiscover() {
		p.tick()
	}
	p.silent().holds("nothing")
}

// The kernel may be late to say that the cable is in.
func TestAnswerIsWordOfTheCable(t *testing.T) {
	p := playAlone(t)
	p.did(p.m.LinkDown(p.now))
	p.after(0, 65*s).sends("DISCOVER to broadcast").hears(offer("192.0.2.7"))
	p.zero = p.now
	p.meanwhile(61 * s).probes(firstLocal) // it offered, and no more was heard of it
}

func TestLinkDownLeavesALeaseAlone(t *testing.T) {
	p := playBound(t)
	p.at(10 * s)
	p.did(p.m.LinkDown(p.now))
	p.silent().holds("192.0.2.7").in(Bound)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
}
