package client

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// inState returns a player whose machine has just come into a state.
func inState(t *testing.T, s State) *player {
	t.Helper()
	const second = time.Second
	switch s {
	case Stopped:
		p := playBound(t)
		return p.release().drops().sends("RELEASE ciaddr=192.0.2.7 server=192.0.2.1 to 192.0.2.1")
	case Init:
		return play(t)
	case Selecting:
		return play(t).after(0, second).sends("DISCOVER to broadcast")
	case Requesting:
		return playRequesting(t)
	case InitReboot:
		return play(t, last("192.0.2.7", "192.0.2.1"))
	case Rebooting:
		return inState(t, InitReboot).after(0, second).sends("REQUEST requested=192.0.2.7 to broadcast")
	case Probing:
		return playRequesting(t).hears(ack("192.0.2.7")).probes("192.0.2.7")
	case Bound:
		return playBound(t, times(1000*second, 500*second, 520*second))
	case Renewing:
		return inState(t, Bound).at(500 * second).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	}
	return inState(t, Renewing).at(520 * second).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
}

// Figure 5, with what it leaves unsaid: where each event leads from each state.
func TestFigure5(t *testing.T) {
	events := []struct {
		name string
		tell func(p *player)
	}{
		{"OFFER", func(p *player) { p.hear(offer("192.0.2.7")) }},
		{"ACK", func(p *player) { p.hear(ack("192.0.2.7")) }},
		{"NAK", func(p *player) { p.hear(nak()) }},
		{"free", func(p *player) { p.free("192.0.2.7") }},
		{"in use", func(p *player) { p.inUse("192.0.2.7") }},
		{"two claims", func(p *player) {
			p.did(p.m.Conflict(p.now, ip("192.0.2.7"), squatter))
			p.did(p.m.Conflict(p.now, ip("192.0.2.7"), squatter))
		}},
		{"link is back", func(p *player) { p.linkUp() }},
	}
	for _, row := range []struct {
		from State
		to   [7]State
	}{
		//            OFFER       ACK         NAK         free        in use      two claims  link is back
		{Stopped, [...]State{Stopped, Stopped, Stopped, Stopped, Stopped, Stopped, Stopped}},
		{Init, [...]State{Init, Init, Init, Init, Init, Init, Init}},
		{Selecting, [...]State{Selecting, Selecting, Selecting, Selecting, Selecting, Selecting, Init}},
		{Requesting, [...]State{Requesting, Probing, Init, Requesting, Requesting, Requesting, Init}},
		{InitReboot, [...]State{InitReboot, InitReboot, InitReboot, InitReboot, InitReboot, InitReboot, InitReboot}},
		{Rebooting, [...]State{Rebooting, Probing, Init, Rebooting, Rebooting, Rebooting, InitReboot}},
		{Probing, [...]State{Probing, Probing, Probing, Bound, Init, Probing, InitReboot}},
		{Bound, [...]State{Bound, Bound, Bound, Bound, Bound, Init, InitReboot}},
		{Renewing, [...]State{Renewing, Bound, Init, Renewing, Renewing, Init, InitReboot}},
		{Rebinding, [...]State{Rebinding, Bound, Init, Rebinding, Rebinding, Init, InitReboot}},
	} {
		for i, e := range events {
			p := inState(t, row.from).in(row.from)
			if e.tell(p); p.m.State() != row.to[i] {
				t.Errorf("in %v, %s leads to %v; want %v", row.from, e.name, p.m.State(), row.to[i])
			}
		}
	}
}

// hear is hears for a machine that has said nothing yet.
func (p *player) hear(answer func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4) {
	p.Helper()
	if p.sent == nil {
		p.sent = &dhcp.Datagram{Msg: &dhcpv4.DHCPv4{ClientHWAddr: hw[:]}}
	}
	p.hears(answer)
}

// Every state that waits has a time when it goes on by itself; only a lease for
// ever needs nothing.
func TestEveryStateGoesOnByItself(t *testing.T) {
	for st, want := range map[State][2]time.Duration{
		Init:       {0, settling},
		Selecting:  {3 * s, 5 * s},
		Requesting: {3 * s, 5 * s},
		InitReboot: {0, settling},
		Rebooting:  {3 * s, 5 * s},
		Probing:    {probePatience, probePatience},
		Bound:      {498 * s, 500 * s},
		Renewing:   {20 * s, 20 * s},   // the least would be a minute: T2 is sooner
		Rebinding:  {239 * s, 241 * s}, // half of what remains
	} {
		p := inState(t, st)
		for p.m.claim.due.After(p.now) { // announcements are no progress
			p.tick()
		}
		if d := p.m.state.wake().Sub(p.now); d < want[0] || d > want[1] {
			t.Errorf("%v goes on in %v; want %v to %v", st, d, want[0], want[1])
		}
	}
	if p := inState(t, Stopped); !p.wake.IsZero() {
		t.Errorf("STOPPED goes on in %v; want never", p.wake.Sub(p.now))
	}
}

// A lease of twenty seconds, which some modems grant, is held for as long as the
// server answers.
func TestTwentySecondsAreHeld(t *testing.T) {
	p := playBound(t, term(20*s))
	for i := range time.Duration(1000) {
		p.at((i + 1) * 10 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1").holds("192.0.2.7")
		p.hears(ack("192.0.2.7", term(20*s))).installs("192.0.2.7/24")
	}
}

// A modem that grants twenty seconds and then refuses is not run after; a lease
// that was held for a while is another matter.
func TestRefusedExtensionsAreDamped(t *testing.T) {
	p := playBound(t, term(20*s))
	for lo := s; lo < 200*s; lo *= 2 {
		p.after(8*s, 10*s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
		p.hears(nak()).drops()
		p.after(min(lo, nakHeldMax), min(2*lo, nakHeldMax)).sends("DISCOVER to broadcast")
		p.hears(offer("192.0.2.7")).after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
		p.hears(ack("192.0.2.7", term(20*s))).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	}
	p.after(8*s, 10*s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(ack("192.0.2.7", term(20*s))).installs("192.0.2.7/24")
	p.after(8*s, 10*s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(nak()).drops().after(s, 2*s).sends("DISCOVER to broadcast")
}

// "The client SHOULD broadcast an ARP reply to announce the client's new IP
// address and clear any outdated ARP cache entries in hosts on the client's
// subnet." RFC 2131, section 4.4.1; by RFC 5227 a request does that better.
func TestSection441_NewAddressIsAnnounced(t *testing.T) {
	p := playBound(t)
	p.at(100*s).announced("192.0.2.7 announced at 0s", "192.0.2.7 announced at 2s")
}

// Whatever a server, or who pretends to be one, does for an hour: what we send
// and how often we wake is bounded.
func TestNobodyKeepsUsBusy(t *testing.T) {
	second := func(m *dhcpv4.DHCPv4) { times(s, s, s)(m) }
	for name, tt := range map[string]struct {
		most   int // wake-ups and messages in an hour
		answer func(p *player)
	}{
		"offers and refuses": {60, func(p *player) { p.replies(offer("192.0.2.7"), nak()) }},
		"offers and says no more": {500, func(p *player) {
			if p.sent.Msg.MessageType() == dhcpv4.MessageTypeDiscover {
				p.hear(offer("192.0.2.7"))
			}
		}},
		"grants a second":       {1500, func(p *player) { p.replies(offer("192.0.2.7"), ack("192.0.2.7", second)) }},
		"grants what is in use": {300, func(p *player) { p.by = squatter; p.replies(offer("192.0.2.7"), ack("192.0.2.7")) }},
		"grants another one each time": {1500, func(p *player) {
			p.replies(offer("192.0.2.7"), ack(fmt.Sprintf("192.0.2.%d", 1+p.now.Unix()%200), second))
		}},
		"is against the lists": {200, func(p *player) {
			p.m.cfg.Reject = networks(list("192.0.2.0/24"))
			p.replies(offer("192.0.2.7"), ack("192.0.2.7"))
		}},
		"drives us off": {400, func(p *player) {
			p.replies(offer("192.0.2.7"), ack("192.0.2.7"))
			for range 3 {
				p.did(p.m.Conflict(p.now, ip("192.0.2.7"), squatter))
			}
		}},
		"refuses extensions": {700, func(p *player) {
			if p.m.State() == Renewing {
				p.hear(nak())
			} else {
				p.replies(offer("192.0.2.7"), ack("192.0.2.7", term(20*s)))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t)
			p.m.rnd = rand.New(rand.NewPCG(7, 7))
			n := 0
			for end := p.now.Add(h); p.now.Before(end); n++ {
				p.done = nil
				before := p.sent
				p.tick()
				if a := &p.m.alone; a.lease == nil && a.asked.Equal(p.now) {
					p.did(p.m.Probed(p.now, a.addr, nobody))
				}
				if p.sent != before && p.sent != nil {
					n++
					p.done = nil
					tt.answer(p)
				}
			}
			t.Logf("%d wake-ups and messages", n)
			if n > tt.most {
				t.Errorf("%d wake-ups and messages in an hour; want at most %d", n, tt.most)
			}
		})
	}
}

// replies answers as a quick server does, and the probe after it.
func (p *player) replies(offer, ack func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4) {
	p.Helper()
	switch p.sent.Msg.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		p.hear(offer)
	case dhcpv4.MessageTypeRequest:
		p.hear(ack)
	}
	p.done = nil
	if q, ok := p.m.state.(*probing); ok {
		p.did(p.m.Probed(p.now, q.lease.Addr.Addr(), p.by))
	}
	p.done = nil
}
