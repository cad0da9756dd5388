package client

import (
	"slices"
	"testing"
	"time"
)

func (p *player) conflict(addr string) *player {
	p.Helper()
	p.quiet()
	p.did(p.m.Conflict(p.now, ip(addr), squatter))
	return p
}

// announced checks what was announced since it was last asked.
func (p *player) announced(want ...string) *player {
	p.Helper()
	if !slices.Equal(p.said, want) {
		p.Fatalf("at %v: %q; want %q", p.now.Sub(p.zero), p.said, want)
	}
	p.said = nil
	return p
}

func TestNewAddressIsAnnouncedTwice(t *testing.T) {
	p := playBound(t).announced("192.0.2.7 announced at 0s")
	p.at(400 * s).announced("192.0.2.7 announced at 2s")
}

func TestRenewalIsNotAnnounced(t *testing.T) {
	p := playBound(t)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.said = nil
	p.hears(ack("192.0.2.7")).installs("192.0.2.7/24")
	p.at(900 * s).announced()
}

func TestAddressThatIsDroppedIsNotAnnounced(t *testing.T) {
	p := playBound(t)
	p.said = nil
	p.at(s).release().drops().sends("RELEASE ciaddr=192.0.2.7 server=192.0.2.1 to 192.0.2.1")
	p.at(100 * s).announced()
}

func TestFirstConflictIsFoughtTheSecondIsLost(t *testing.T) {
	p := playBound(t)
	p.at(100*s).announced("192.0.2.7 announced at 0s", "192.0.2.7 announced at 2s")
	p.conflict("192.0.2.7").silent().in(Bound).announced("192.0.2.7 announced at 1m40s")
	p.because("another station claims 192.0.2.7, defended")
	p.at(110 * s).conflict("192.0.2.7").silent().in(Bound).announced("192.0.2.7 announced at 1m50s")
	p.at(120*s - 1).conflict("192.0.2.7").drops()
	p.sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast").in(Init).announced()
	p.after(10*s, 11*s).sends("DISCOVER to broadcast")
}

func TestConflictAboutAnotherAddressIsNone(t *testing.T) {
	p := playBound(t)
	for range 3 {
		p.conflict("192.0.2.8").silent().in(Bound)
	}
	p = play(t)
	for range 3 {
		p.conflict("192.0.2.7").silent().in(Init)
	}
}

// A neighbour who drives us off every address that we get does not keep us busy.
func TestLostAddressesAreDamped(t *testing.T) {
	p := playBound(t)
	for _, wait := range []time.Duration{10 * s, 20 * s, 40 * s, 60 * s, 60 * s} {
		p.conflict("192.0.2.7").silent()
		p.conflict("192.0.2.7").drops().sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast")
		p.after(wait, wait).sends("DISCOVER to broadcast")
		p.hears(offer("192.0.2.7"))
		p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
		p.hears(ack("192.0.2.7")).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	}
	p.zero = p.now
	p.after(490*s, 500*s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1") // quiet for long enough
	p.hears(ack("192.0.2.7")).installs("192.0.2.7/24")
	p.conflict("192.0.2.7").conflict("192.0.2.7").drops().sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.after(10*s, 10*s).sends("DISCOVER to broadcast")
}

func TestLinkLocalAddressIsDefendedAndThenLeft(t *testing.T) {
	p := playLocal(t)
	p.said = nil
	p.now = p.now.Add(3 * s)
	for p.wake.Before(p.now) {
		p.tick()
		p.skipDiscover()
	}
	p.said = nil
	p.conflict(firstLocal).silent().holds(firstLocal)
	if len(p.said) != 1 {
		t.Errorf("%q; want one announcement", p.said)
	}
	p.conflict(firstLocal).drops().holds("nothing").because("169.254.117.101 is in use by another station, trying another")
	for len(p.done) == 0 {
		p.tick()
		p.skipDiscover()
	}
	p.probes(secondLocal)
}

// A provider that keeps neighbours apart answers ARP for all of them, and so for
// the address that it has just granted.
func TestGatewayThatAnswersForEverybodyIsNoSquatter(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.did(p.m.Probed(p.now, ip("192.0.2.7"), gateway))
	p.installs("192.0.2.7/24").in(Bound)
	for range 3 {
		p.did(p.m.Conflict(p.now, ip("192.0.2.7"), gateway))
		p.silent().in(Bound)
	}
	p.announced("192.0.2.7 announced at 0s")
}

// An address of our own choice was granted by nobody.
func TestGatewayThatAnswersForALinkLocalAddressHasIt(t *testing.T) {
	p := playAlone(t)
	p.did(p.m.Probed(p.now, ip(firstLocal), gateway))
	p.silent().because("169.254.117.101 is in use by another station, trying another")
}
