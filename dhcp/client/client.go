// Package client is the WAN side of RFC 2131: the state machine of figure 5.
//
// A Machine is told what happened and when, and answers what to do next. It
// opens no socket, reads no clock and starts no goroutine; firmware/router does.
//
//	INIT-REBOOT ─► REBOOTING ─────────┐
//	    │ silence, NAK                │ ACK
//	    ▼                             ▼
//	INIT ─► SELECTING ─► REQUESTING ─► PROBING ─► BOUND ◄─► RENEWING ─► REBINDING
//	  ▲                       │           │                    │            │
//	  └── NAK, silence ───────┴── in use ─┴──── NAK, expiry ───┴────────────┘
//
// PROBING is ours: an address is granted, and the link is asked whether somebody
// else uses it. No address is ever installed before that, and none for a moment
// longer than its lease.
//
// Beside all this, where no server has answered for a minute, an address of RFC
// 3927 is looked for and installed until a lease takes its place.
package client

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// A Config says who we are to the server.
type Config struct {
	HW        dhcp.HWAddr
	ID        []byte // option 61; nil: 01 and HW; empty: none is sent
	Hostname  string // option 12; empty: none is sent
	VendorID  string // option 60; empty: none is sent
	Broadcast bool   // ask for broadcast answers
	// Send are more options for every DISCOVER and REQUEST, in place of what would
	// be said there otherwise. Not those that make the exchange: 50 to 55, 57, 61.
	Send    dhcpv4.Options
	Request []byte // options to ask for beside those that a Lease has room for
	// RequestOnly leaves those out.
	RequestOnly bool
	// NoClassless keeps to the routers of option 3 and the static routes of 33;
	// those of 121 and 249 are not asked for, and ignored.
	NoClassless bool
	// Accept and Reject are networks, of one address perhaps. An answer counts if
	// neither the address that it gives nor the server is in one of Reject, and,
	// where there are any, one of them is in one of Accept.
	Accept, Reject []netip.Prefix
	Last           Last // held before the reboot, and asked for first; zero: nothing
}

// A Step is what the caller is to do next, in field order.
type Step struct {
	Lease    *Lease         // install it; one without an address: take the old one down
	Announce netip.Addr     // say once, by an ARP request of which it is sender and target, that it is ours
	Probe    netip.Addr     // ask by ARP (RFC 5227) whether it is free, then call Probed
	Send     *dhcp.Datagram // not to be changed: it may be sent again
	Wake     time.Time      // call Tick then; zero: only a message can move us on
	Why      Event          // for the log and the page; zero: nothing notable
}

// A Machine is a DHCP client on one link. It belongs to one goroutine.
type Machine struct {
	cfg Config
	rnd *rand.Rand

	state state
	held  *Lease    // of a server, and installed; nil: none
	since time.Time // when its address was installed
	last  Last      // asked for first; that of held, while there is one
	acq   acquisition
	alone alone
	claim claim
}

// An acquisition is how the search for a lease, or for its extension, goes. It
// ends when bound, and starts anew when the link comes back.
type acquisition struct {
	began     time.Time  // when its first message was sent; zero: not yet
	discovers int        // sent since a server was last heard
	naks      int        // in a row
	conflicts int        // granted addresses that were in use, in a row
	avoid     netip.Addr // the server that let us down: taken only when alone
}

// A state is where in figure 5 the machine is, with the data that is valid
// there.
type state interface {
	name() State
	wake() time.Time                       // zero: never
	tick(m *Machine, now time.Time) Step   // wake has come
	expects(xid dhcpv4.TransactionID) bool // an answer to this exchange
	receive(m *Machine, now time.Time, a answer) Step
}

// New returns a machine that does nothing before Start. All its chance comes
// from rnd.
func New(cfg Config, rnd *rand.Rand) *Machine {
	if cfg.ID == nil {
		cfg.ID = []byte(dhcp.HardwareID(cfg.HW))
	}
	cfg.ID = slices.Clone(cfg.ID)
	m := &Machine{cfg: cfg, rnd: rnd, state: stopped{}, alone: newAlone(cfg.HW)}
	if cfg.Last.check() == nil && cfg.wants(cfg.Last.Addr, cfg.Last.Server) == nil {
		m.last = cfg.Last
	}
	return m
}

// Start begins: with the address that was held before, where there is one, else
// by looking for a server.
func (m *Machine) Start(now time.Time) Step {
	return m.done(now, m.settle(now, 0))
}

// Receive takes a message from the link, whatever it is.
func (m *Machine) Receive(now time.Time, d dhcp.Datagram) Step {
	if s, over := m.expire(now); over {
		return m.done(now, s)
	}
	a, ok := m.read(d)
	m.alone.down = m.alone.down && !ok // who answers us is there
	if !ok || !m.state.expects(a.xid) {
		return m.done(now, Step{})
	}
	return m.done(now, m.state.receive(m, now, a))
}

// Probed takes what came of Step.Probe: who else uses a, zero for nobody.
func (m *Machine) Probed(now time.Time, a netip.Addr, by dhcp.HWAddr) Step {
	if s, over := m.expire(now); over {
		return m.done(now, s)
	}
	p, ok := m.state.(*probing)
	if !ok || p.lease.Addr.Addr() != a {
		if m.held == nil && a == m.alone.addr && m.alone.lease == nil && !m.alone.down {
			return m.done(now, m.sought(now, by))
		}
		return m.done(now, Step{})
	}
	if p.lease.usedBy(by) {
		return m.done(now, m.decline(now, p.lease))
	}
	s := m.bind(now, p.lease)
	m.since = now
	m.announce(now)
	s.Why = Event{Reason: Leased, Addr: a, Server: p.lease.Server, For: p.lease.Term}
	return m.done(now, s)
}

// Tick does what is due. Calling it early is harmless; the Wake that it returns
// is after now.
func (m *Machine) Tick(now time.Time) Step {
	s, over := m.expire(now)
	if w := m.state.wake(); !over && !w.IsZero() && !now.Before(w) {
		s = m.state.tick(m, now)
	}
	m.seek(now, &s)
	return m.done(now, s)
}

// LinkDown says that the carrier is gone. A lease stays; an address of our own
// choice cannot be looked for where nobody hears us.
func (m *Machine) LinkDown(now time.Time) Step {
	s, over := m.expire(now)
	if m.alone.down = true; !over && m.alone.lease != nil {
		m.alone.lease, s.Lease = nil, &Lease{}
	}
	m.alone.due = time.Time{}
	return m.done(now, s)
}

// LinkUp says that the carrier is back. The network may be another one: "A
// client SHOULD use DHCP to reacquire or verify its IP address and network
// parameters whenever the local network parameters may have changed; e.g., at
// system boot time or after a disconnection from the local network". RFC 2131,
// section 3.7. The lease stays installed meanwhile, until it expires.
//
// Carrier that comes and goes in less than half a second causes no message.
func (m *Machine) LinkUp(now time.Time) Step {
	if m.State() == Stopped {
		return Step{}
	}
	if s, over := m.expire(now); over {
		return m.done(now, s)
	}
	s := m.settle(now, debounce)
	if m.alone.lease != nil { // the neighbours may be others
		m.alone.lease, s.Lease = nil, &Lease{}
	}
	m.alone.due, m.alone.down = time.Time{}, false
	s.Why = Event{Reason: LinkBack, Addr: m.last.Addr}
	return m.done(now, s)
}

// Release gives the lease back and stops until Start, which then begins from
// nothing. It is for an orderly shutdown on which the user wants that; without
// it the server keeps the address for us.
func (m *Machine) Release(now time.Time) Step {
	l := m.held
	s := m.drop()
	m.state, m.last, m.acq = stopped{}, Last{}, acquisition{}
	if l != nil && (l.Expires.IsZero() || now.Before(l.Expires)) {
		s.Send = m.release(l)
		s.Why = Event{Reason: Released, Addr: l.Addr.Addr(), Server: l.Server}
	}
	return m.done(now, s)
}

// State is where in figure 5 we are.
func (m *Machine) State() State { return m.state.name() }

// Lease is what is installed, nil when nothing is. It is never changed.
func (m *Machine) Lease() *Lease {
	if m.held == nil {
		return m.alone.lease
	}
	return m.held
}

// done completes what a public method returns.
func (m *Machine) done(now time.Time, s Step) Step {
	m.follow(now, &s)
	s.Announce = m.announcement(now)
	for _, w := range []time.Time{m.state.wake(), m.expiry(), m.claim.due, m.alone.due} {
		if s.Wake.IsZero() || !w.IsZero() && w.Before(s.Wake) {
			s.Wake = w
		}
	}
	return s
}

// expiry is when the lease at hand ends, zero for never. While the link is
// asked about an address, that is the lease which was just granted.
func (m *Machine) expiry() time.Time {
	if p, ok := m.state.(*probing); ok {
		return p.lease.Expires
	}
	if m.held == nil {
		return time.Time{}
	}
	return m.held.Expires
}

// expire ends a lease whose time is over, in whatever state we are.
//
// "If the lease expires before the client receives a DHCPACK, the client moves
// to INIT state, MUST immediately stop any other network processing and requests
// network initialization parameters as if the client were uninitialized."
// RFC 2131, section 4.4.5.
func (m *Machine) expire(now time.Time) (Step, bool) {
	e := m.expiry()
	if e.IsZero() || now.Before(e) {
		return Step{}, false
	}
	down := m.drop()
	m.acq = acquisition{}
	s := m.discover(now)
	s.Lease = down.Lease
	s.Why = Event{Reason: Expired, Addr: m.last.Addr}
	return s, true
}

// drop has the caller take down what is installed, if anything is.
func (m *Machine) drop() Step {
	if m.held == nil {
		return Step{}
	}
	m.held = nil
	return Step{Lease: &Lease{}}
}
