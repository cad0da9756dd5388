package client

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// bind installs l, which is known to be free or in use by us already.
func (m *Machine) bind(now time.Time, l *Lease) Step {
	m.held, m.last = l, l.Last()
	// Who was driven off an address, or refused, may be so again.
	m.acq = acquisition{conflicts: m.acq.conflicts, naks: m.acq.naks}
	s := m.hold(now)
	s.Lease = l
	return s
}

// hold enters the state that the installed lease is in by now: BOUND, unless
// its ACK came late.
func (m *Machine) hold(now time.Time) Step {
	switch l := m.held; {
	case l.Expires.IsZero() || now.Before(l.Renew):
		m.state = bound{until: l.Renew}
		return Step{}
	case now.Before(l.Rebind):
		return m.extend(now, Renewing)
	}
	return m.extend(now, Rebinding)
}

// bound is BOUND.
type bound struct {
	silent
	until time.Time // T1; zero: for ever
}

func (b bound) name() State     { return Bound }
func (b bound) wake() time.Time { return b.until }

func (b bound) tick(m *Machine, now time.Time) Step { return m.hold(now) }

// extending is RENEWING or REBINDING. Each of its REQUESTs is an exchange of
// its own: they are minutes or days apart, and an answer has to tell which of
// them the lease counts from.
type extending struct {
	as    State
	xid   dhcpv4.TransactionID
	sent  time.Time
	again time.Time
}

func (e *extending) name() State                           { return e.as }
func (e *extending) wake() time.Time                       { return e.again }
func (e *extending) expects(xid dhcpv4.TransactionID) bool { return e.xid == xid }

// extend asks for more time: at T1 the server that gave the lease, by unicast;
// from T2 on any server. RFC 2131, section 4.4.5.
func (m *Machine) extend(now time.Time, as State) Step {
	l := m.held
	e := &extending{as: as, xid: m.xid(), sent: now}
	msg := m.extension(l, e.xid, m.secs(now))
	until, s := l.Rebind, Step{Send: unicast(msg, l)}
	s.Why = Event{Reason: Extending, Addr: l.Addr.Addr(), Server: l.Server}
	if as == Rebinding {
		until, s.Send, s.Why.Server = l.Expires, broadcast(msg), netip.Addr{}
	}
	e.again = now.Add(patience(until.Sub(now), l.Term))
	if until.Before(e.again) {
		e.again = until
	}
	m.state = e
	return s
}

// patience is how long to wait for the answer to an extension that can wait for
// left: "one-half of the remaining time until T2 (in RENEWING state) and
// one-half of the remaining lease time (in REBINDING state), down to a minimum
// of 60 seconds". RFC 2131, section 4.4.5. For the leases of some modems that
// minimum is longer than the lease; they get a second.
func patience(left, term time.Duration) time.Duration {
	if term < 2*time.Minute {
		return max(left/2, time.Second)
	}
	return max(left/2, time.Minute)
}

func (e *extending) tick(m *Machine, now time.Time) Step {
	as := e.as
	if !now.Before(m.held.Rebind) {
		as = Rebinding
	}
	return m.extend(now, as)
}

// receive takes an ACK from whoever has our xid: RFC 2131 asks for no more, and
// some providers answer a renewal from another of their servers. A NAK takes
// the address away, so in RENEWING only who gave it may say that.
func (e *extending) receive(m *Machine, now time.Time, a answer) Step {
	switch a.kind {
	case dhcpv4.MessageTypeAck:
		return m.extended(now, e.sent, a)
	case dhcpv4.MessageTypeNak:
		_, rejected := within(m.cfg.Reject, a.server)
		if e.as == Rebinding && !rejected || a.server == m.held.Server {
			return m.refused(now, a)
		}
	}
	return Step{}
}

// extended takes an ACK while a lease is installed.
//
// "If the client is given a new network address, it MUST NOT continue using the
// previous network address". RFC 2131, section 4.4.5.
func (m *Machine) extended(now, sent time.Time, a answer) Step {
	l, err := m.lease(now, sent, a, m.held.Server)
	if err != nil {
		return unusable(a, err)
	}
	if l.Addr.Addr() != m.held.Addr.Addr() {
		return m.probe(now, l)
	}
	m.acq = acquisition{}
	s := m.bind(now, l)
	s.Why = Event{Reason: Extended, Addr: l.Addr.Addr(), Server: l.Server, For: l.Term}
	return s
}
