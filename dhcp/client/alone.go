package client

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"leasehold/dhcp"
)

// patientFor is how long no server has to answer before we take an address that
// needs none (RFC 3927). It leads nowhere but to what is on the link, such as
// the modem that ought to have answered.
const patientFor = time.Minute

// The times of RFC 3927, section 9.
const (
	probeNum      = 3
	probeMin      = time.Second
	probeMax      = 2 * time.Second
	announceWait  = 2 * time.Second
	maxConflicts  = 10
	rateLimitWait = time.Minute
)

// linkLocal is the network of RFC 3927; its first and last 256 addresses are
// reserved.
var linkLocal = netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, 0, 0}), 16)

// An alone is the search for a link-local address, and what came of it. DHCP
// goes on meanwhile, and has the last word.
type alone struct {
	rnd *rand.Rand // seeded by the port's address only

	addr      netip.Addr // looked at, or in use
	due       time.Time  // of the next thing to do; zero: nothing is
	asked     time.Time  // when the latest probe was
	clean     int        // probes in a row that nobody answered
	conflicts int        // in a row
	lease     *Lease     // installed; nil: none
	down      bool       // the carrier
}

// newAlone seeds the addresses: "The pseudo-random number generation algorithm
// MUST be chosen so that different hosts do not generate the same sequence of
// numbers. If the host has access to persistent information that is different
// for each host, such as its IEEE 802 MAC address, then the pseudo-random number
// generator SHOULD be seeded using a value derived from this information."
// RFC 3927, section 2.1. So it is the same address after a reboot.
func newAlone(hw dhcp.HWAddr) alone {
	var seed uint64
	for _, b := range hw {
		seed = seed<<8 | uint64(b)
	}
	a := alone{rnd: rand.New(rand.NewPCG(seed, 3927))}
	a.pick()
	return a
}

// pick takes the next address of 169.254.1.0 to 169.254.254.255.
func (a *alone) pick() {
	n := 256 + a.rnd.IntN(254*256)
	a.addr = netip.AddrFrom4([4]byte{169, 254, byte(n >> 8), byte(n)})
	a.clean = 0
}

// follow has the search begin, wait and end by what s is and came of.
func (m *Machine) follow(now time.Time, s *Step) {
	a := &m.alone
	switch {
	case m.held != nil || m.State() == Stopped:
		if a.lease != nil && s.Lease == nil {
			s.Lease = &Lease{}
		}
		a.lease, a.due, a.conflicts = nil, time.Time{}, 0
	case a.lease != nil || a.down:
	case a.due.IsZero() || s.Why.Reason.answered():
		a.due, a.clean = now.Add(patientFor), 0
	}
}

// answered reports whether a server that we would have has spoken.
func (r Reason) answered() bool {
	return r == Offered || r == Asking || r == Granted || r == InUse || r == Refused
}

// seek does what is due of the search, as part of s.
//
// "When ready to begin probing, the host should [...] send PROBE_NUM probe
// packets, each of these probe packets spaced randomly, PROBE_MIN to PROBE_MAX
// seconds apart." RFC 3927, section 2.2.1. A Probe of the caller is at least one.
func (m *Machine) seek(now time.Time, s *Step) {
	a := &m.alone
	if a.due.IsZero() || now.Before(a.due) || m.held != nil {
		return
	}
	if a.clean < probeNum && s.Probe.IsValid() { // of what was granted: that comes first
		a.due = now.Add(time.Second)
		return
	}
	if a.clean < probeNum {
		s.Probe = a.addr
		a.asked, a.due = now, now.Add(probePatience) // it may be lost
		return
	}
	a.due = time.Time{}
	a.lease = &Lease{Addr: netip.PrefixFrom(a.addr, linkLocal.Bits()), LinkLocal: true, Term: dhcp.Infinite}
	s.Lease = a.lease
	s.Why = Event{Reason: Alone, Addr: a.addr}
	m.announce(now)
}

// sought takes the answer to a probe of the search.
func (m *Machine) sought(now time.Time, by dhcp.HWAddr) Step {
	a := &m.alone
	if by != (dhcp.HWAddr{}) {
		return m.moveAway(now)
	}
	wait := probeMin + m.upTo(probeMax-probeMin)
	if a.clean++; a.clean == probeNum {
		wait = announceWait
	}
	if a.due = a.asked.Add(wait); a.due.Before(now) {
		a.due = now
	}
	return Step{}
}

// moveAway leaves an address to somebody else. "A host should maintain a counter
// of the number of address conflicts it has experienced [...] If the number of
// conflicts exceeds MAX_CONFLICTS then the host MUST limit the rate at which it
// probes for new addresses to no more than one new address per
// RATE_LIMIT_INTERVAL." RFC 3927, section 2.2.1.
func (m *Machine) moveAway(now time.Time) Step {
	a := &m.alone
	wait := m.upTo(time.Second)
	if a.conflicts++; a.conflicts >= maxConflicts {
		wait = rateLimitWait
	}
	s := Step{Why: Event{Reason: Contested, Addr: a.addr}}
	if a.lease != nil {
		a.lease, s.Lease = nil, &Lease{}
	}
	a.pick()
	a.due = now.Add(wait)
	return s
}
