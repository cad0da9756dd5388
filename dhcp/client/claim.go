package client

import (
	"net/netip"
	"time"

	"leasehold/dhcp"
)

// The times of RFC 5227, section 1.1. The probes themselves are the caller's.
const (
	announceNum      = 2
	announceInterval = 2 * time.Second
	defendInterval   = 10 * time.Second
)

// A claim is what the neighbours are told about the address that is installed.
type claim struct {
	left   int       // announcements
	due    time.Time // of the next; zero: none
	fought time.Time // when it was last defended; zero: never
}

// announce has all neighbours learn who has the address from now on.
func (m *Machine) announce(now time.Time) {
	m.claim.left, m.claim.due = announceNum, now
}

// announcement is the address if it is to be announced now.
//
// "The Host then broadcasts ANNOUNCE_NUM ARP Announcements, spaced
// ANNOUNCE_INTERVAL seconds apart." RFC 5227, section 2.3.
func (m *Machine) announcement(now time.Time) (none netip.Addr) {
	c := &m.claim
	l := m.Lease()
	if l == nil {
		*c = claim{}
		return none
	}
	if c.due.IsZero() || now.Before(c.due) {
		return none
	}
	c.left--
	c.due = now.Add(announceInterval)
	if c.left <= 0 {
		c.due = time.Time{}
	}
	return l.Addr.Addr()
}

// Conflict says that another station claims a: it has sent an ARP packet of which
// a is the sender.
//
// "If this is the first conflicting ARP packet that the host has seen, or if the
// time of the last conflict ARP packet is longer than DEFEND_INTERVAL ago, then
// the host [...] broadcasts one ARP Announcement [...]. However, if this is not
// the first conflicting ARP packet the host has seen, and the time recorded for
// the previous conflicting ARP packet is within DEFEND_INTERVAL seconds, then the
// host MUST immediately cease using this address". RFC 5227, section 2.4, (b).
func (m *Machine) Conflict(now time.Time, a netip.Addr, by dhcp.HWAddr) Step {
	if s, over := m.expire(now); over {
		return m.done(now, s)
	}
	l := m.Lease()
	if l == nil || l.Addr.Addr() != a || !l.usedBy(by) {
		return m.done(now, Step{})
	}
	if f := m.claim.fought; f.IsZero() || now.Sub(f) >= defendInterval {
		m.claim.fought = now
		m.claim.left, m.claim.due = 1, now
		return m.done(now, Step{Why: Event{Reason: Defended, Addr: a}})
	}
	if l == m.alone.lease {
		return m.done(now, m.moveAway(now))
	}
	return m.done(now, m.decline(now, l))
}
