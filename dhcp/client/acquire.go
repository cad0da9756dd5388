package client

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

const (
	// settling is the longest wait before the first message. "The client SHOULD
	// wait a random time between one and ten seconds to desynchronize the use of
	// DHCP at startup." RFC 2131, section 4.4.1. A WAN port has no neighbours
	// that start with it, and people who wait.
	settling = time.Second

	// debounce is the shortest wait after the carrier came back.
	debounce = settling / 2

	// collecting is how long we wait for better offers after the first.
	collecting = time.Second

	// "A client retransmitting as described in section 4.1 might retransmit the
	// DHCPREQUEST message four times, for a total delay of 60 seconds, before
	// restarting the initialization procedure." RFC 2131, section 3.1, step 5.
	requestTries = 4

	// rebootTries is less: a server that does not know us "MUST remain silent"
	// (section 4.3.2), and a DISCOVER that names the address does as well.
	rebootTries = 2

	// probePatience is when we ask for a probe again that was not answered.
	probePatience = 10 * time.Second

	// "The client SHOULD wait a minimum of ten seconds before restarting the
	// configuration process to avoid excessive network traffic in case of
	// looping." RFC 2131, section 3.1, step 5. It is doubled while addresses turn
	// out to be in use, up to the RATE_LIMIT_INTERVAL of RFC 5227.
	declineWait    = 10 * time.Second
	declineWaitMax = 60 * time.Second

	// A server that offers what it then refuses would keep us busy: the wait
	// after a NAK is doubled while they follow each other.
	nakWait    = time.Second
	nakWaitMax = 30 * time.Minute

	// So would one that grants what it then does not extend; but there some time
	// of use is gained by each round. A lease that was held for longer than
	// nakForgotten was no part of such a loop.
	nakHeldMax   = time.Minute
	nakForgotten = 2 * time.Minute
)

// backoff is how long to wait for an answer to the message that was sent for
// the n-th time, counted from 0: "4 seconds randomized by the value of a uniform
// random number chosen from the range -1 to +1", then doubled "up to a maximum
// of 64 seconds". RFC 2131, section 4.1. We stay there and never give up.
func (m *Machine) backoff(n int) time.Duration {
	return 4*time.Second<<min(n, 4) + m.upTo(2*time.Second) - time.Second
}

// doubled is first, doubled for each of the n-1 times that it was waited
// before, and at most limit.
func doubled(first time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 1 && first < limit; n-- {
		first *= 2
	}
	return min(first, limit)
}

// silent is what is common to states that wait for no message.
type silent struct{}

func (silent) expects(dhcpv4.TransactionID) bool               { return false }
func (silent) receive(*Machine, time.Time, answer) (none Step) { return }

// stopped is before Start and after Release.
type stopped struct{ silent }

func (stopped) name() State                          { return Stopped }
func (stopped) wake() (never time.Time)              { return }
func (stopped) tick(*Machine, time.Time) (none Step) { return }

// waiting is INIT or INIT-REBOOT: the first message is sent at until.
type waiting struct {
	silent
	as    State
	until time.Time
}

func (w waiting) name() State     { return w.as }
func (w waiting) wake() time.Time { return w.until }

func (w waiting) tick(m *Machine, now time.Time) Step {
	if w.as == InitReboot {
		return m.verify(now)
	}
	return m.discover(now)
}

// settle begins anew in a moment, after least.
func (m *Machine) settle(now time.Time, least time.Duration) Step {
	m.acq = acquisition{}
	w := waiting{as: Init, until: now.Add(least + m.upTo(settling-least))}
	if m.last.Server.IsValid() && m.last.Addr.IsValid() {
		w.as = InitReboot
	}
	m.state = w
	return Step{}
}

// selecting is SELECTING without an offer yet.
type selecting struct {
	xid   dhcpv4.TransactionID
	secs  uint16 // in the latest DISCOVER
	again time.Time
}

func (s *selecting) name() State                           { return Selecting }
func (s *selecting) wake() time.Time                       { return s.again }
func (s *selecting) expects(xid dhcpv4.TransactionID) bool { return s.xid == xid }

// discover enters SELECTING.
func (m *Machine) discover(now time.Time) Step {
	s := &selecting{xid: m.xid()}
	m.state = s
	step := s.tick(m, now)
	step.Why = Event{Reason: Searching}
	return step
}

func (s *selecting) tick(m *Machine, now time.Time) Step {
	wait := m.backoff(m.acq.discovers)
	m.acq.discovers++
	s.secs, s.again = m.secs(now), now.Add(wait)
	msg := m.query(dhcpv4.MessageTypeDiscover, s.xid, s.secs)
	if m.last.Addr.IsValid() {
		msg.Options.Update(dhcpv4.OptRequestedIPAddress(dhcp.IP(m.last.Addr)))
	}
	return Step{Send: broadcast(msg), Why: Event{Reason: NoAnswer, For: wait}}
}

func (s *selecting) receive(m *Machine, now time.Time, a answer) Step {
	c := &choosing{xid: s.xid, secs: s.secs, until: now.Add(collecting)}
	step := c.receive(m, now, a)
	if step.Why.Reason == Offered {
		m.state = c
	}
	return step
}

// choosing is SELECTING with an offer in hand: better ones may come until then.
type choosing struct {
	xid   dhcpv4.TransactionID
	secs  uint16
	until time.Time
	best  candidate
}

func (c *choosing) name() State                           { return Selecting }
func (c *choosing) wake() time.Time                       { return c.until }
func (c *choosing) expects(xid dhcpv4.TransactionID) bool { return c.xid == xid }

func (c *choosing) tick(m *Machine, now time.Time) Step { return m.request(now, c) }

func (c *choosing) receive(m *Machine, now time.Time, a answer) Step {
	if a.kind != dhcpv4.MessageTypeOffer {
		return Step{}
	}
	o, err := m.judge(a)
	if err != nil {
		return unusable(a, err)
	}
	e := Event{Reason: Offered, Addr: o.addr, Server: o.server}
	switch {
	case o.rank > c.best.rank && c.best.rank > 0:
		e.Detail = fmt.Sprintf("preferred to %v by %v", c.best.addr, c.best.server)
	case o.rank <= c.best.rank:
		e.Detail = fmt.Sprintf("passed over for %v by %v", c.best.addr, c.best.server)
	}
	if o.rank > c.best.rank {
		c.best = o
	}
	if o.rank == sameAddress {
		return m.request(now, c)
	}
	return Step{Why: e}
}

// A repeated message is sent as it is until it is answered.
type repeated struct {
	say   *dhcp.Datagram
	sent  time.Time // the first time: the lease counts from here
	tries int
	again time.Time
}

func (r *repeated) wake() time.Time                       { return r.again }
func (r *repeated) expects(xid dhcpv4.TransactionID) bool { return r.say.Msg.TransactionID == xid }

func (r *repeated) repeat(m *Machine, now time.Time) Step {
	wait := m.backoff(r.tries)
	r.tries++
	r.again = now.Add(wait)
	return Step{Send: r.say, Why: Event{Reason: NoAnswer, For: wait}}
}

// requesting is REQUESTING: a server is asked for what it offered.
type requesting struct {
	repeated
	offer candidate
}

func (r *requesting) name() State { return Requesting }

// request enters REQUESTING.
//
// "The DHCPREQUEST message MUST use the same value in the DHCP message header's
// 'secs' field and be sent to the same IP broadcast address as the original
// DHCPDISCOVER message." RFC 2131, section 3.1, step 3.
func (m *Machine) request(now time.Time, c *choosing) Step {
	o := c.best
	msg := m.query(dhcpv4.MessageTypeRequest, c.xid, c.secs,
		dhcpv4.OptRequestedIPAddress(dhcp.IP(o.addr)),
		dhcpv4.OptServerIdentifier(dhcp.IP(o.server)))
	r := &requesting{repeated{say: broadcast(msg), sent: now}, o}
	m.state = r
	s := r.repeat(m, now)
	s.Why = Event{Reason: Asking, Addr: o.addr, Server: o.server}
	return s
}

func (r *requesting) tick(m *Machine, now time.Time) Step {
	if r.tries < requestTries {
		return r.repeat(m, now)
	}
	m.acq.avoid = r.offer.server
	s := m.discover(now)
	s.Why = Event{Reason: GaveUp, Server: r.offer.server}
	return s
}

func (r *requesting) receive(m *Machine, now time.Time, a answer) Step {
	switch {
	case a.kind == dhcpv4.MessageTypeAck && r.from(a):
		return m.granted(now, r.sent, a, r.offer.server)
	case a.kind == dhcpv4.MessageTypeNak && a.server == r.offer.server:
		m.acq.avoid = a.server
		return m.refused(now, a)
	}
	return Step{}
}

// from reports whether an ACK is of the server that was asked. Of several that
// stand in for each other another one may grant what this one has offered; that
// is believed once this one has kept silent.
func (r *requesting) from(a answer) bool {
	return a.server == r.offer.server || !a.server.IsValid() ||
		r.tries > 1 && dhcp.Addr(a.msg.YourIPAddr) == r.offer.addr
}

// rebooting is REBOOTING: any server is asked whether an address is still ours.
type rebooting struct {
	repeated
	most int // tries
}

func (r *rebooting) name() State { return Rebooting }

// verify enters REBOOTING. There is hurry only while nothing is installed.
func (m *Machine) verify(now time.Time) Step {
	msg := m.query(dhcpv4.MessageTypeRequest, m.xid(), m.secs(now),
		dhcpv4.OptRequestedIPAddress(dhcp.IP(m.last.Addr)))
	r := &rebooting{repeated{say: broadcast(msg), sent: now}, rebootTries}
	if m.held != nil {
		r.most = requestTries
	}
	m.state = r
	s := r.repeat(m, now)
	s.Why = Event{Reason: Verifying, Addr: m.last.Addr}
	return s
}

// tick gives up in time: "the client MAY choose to use the previously allocated
// network address and configuration parameters for the remainder of the
// unexpired lease." RFC 2131, section 3.2, step 3. What was held before a reboot
// is of unknown age, so that may be only where the lease is installed.
func (r *rebooting) tick(m *Machine, now time.Time) Step {
	if r.tries < r.most {
		return r.repeat(m, now)
	}
	if m.held == nil {
		s := m.discover(now)
		s.Why = Event{Reason: GaveUp, Addr: m.last.Addr}
		return s
	}
	m.acq = acquisition{}
	s := m.hold(now)
	s.Why = Event{Reason: Kept, Addr: m.held.Addr.Addr(), For: m.held.left(now)}
	return s
}

func (r *rebooting) receive(m *Machine, now time.Time, a answer) Step {
	switch a.kind {
	case dhcpv4.MessageTypeAck:
		return m.granted(now, r.sent, a, m.last.Server)
	case dhcpv4.MessageTypeNak:
		if _, rejected := within(m.cfg.Reject, a.server); !rejected {
			return m.refused(now, a)
		}
	}
	return Step{}
}

// granted takes an ACK for an address that is not yet known to be free.
func (m *Machine) granted(now, sent time.Time, a answer, server netip.Addr) Step {
	l, err := m.lease(now, sent, a, server)
	if err != nil {
		return unusable(a, err)
	}
	return m.probe(now, l)
}

// unusable ignores an OFFER or ACK: our message will be repeated, and in the end
// another server asked.
func unusable(a answer, err error) Step {
	e := Event{Reason: Unusable, Server: a.server, Detail: err.Error()}
	if errors.As(err, new(unwanted)) {
		e.Reason, e.Addr = Unwanted, dhcp.Addr(a.msg.YourIPAddr)
	}
	return Step{Why: e}
}

// refused takes a NAK that we believe. Nothing that it refers to is ours any
// more.
func (m *Machine) refused(now time.Time, a answer) Step {
	most := nakWaitMax
	if m.held != nil {
		most = nakHeldMax
		if now.Sub(m.since) >= nakForgotten {
			m.acq.naks = 0
		}
	}
	s := m.drop()
	m.last.Addr = netip.Addr{}
	m.acq.discovers = 0
	m.acq.naks++
	wait := doubled(nakWait+m.upTo(nakWait), m.acq.naks, most)
	m.state = waiting{as: Init, until: now.Add(wait)}
	s.Why = Event{Reason: Refused, Server: a.server, For: wait, Detail: printable(a.msg.Message())}
	return s
}

// probing is PROBING: an address was granted, and the link is asked about it.
type probing struct {
	silent
	lease *Lease
	again time.Time
}

func (p *probing) name() State     { return Probing }
func (p *probing) wake() time.Time { return p.again }

// probe enters PROBING. Where the server has given us another address than the
// one we use, that one is no longer ours.
func (m *Machine) probe(now time.Time, l *Lease) Step {
	var s Step
	if m.held != nil && m.held.Addr.Addr() != l.Addr.Addr() {
		s = m.drop()
	}
	m.last = l.Last()
	m.state = &probing{lease: l, again: now.Add(probePatience)}
	s.Probe = l.Addr.Addr()
	s.Why = Event{Reason: Granted, Addr: l.Addr.Addr(), Server: l.Server, For: l.Term}
	return s
}

// tick asks again: we must not hang on a probe that was lost.
func (p *probing) tick(m *Machine, now time.Time) Step {
	p.again = now.Add(probePatience)
	return Step{Probe: p.lease.Addr.Addr()}
}

// decline gives back an address that somebody else uses.
//
// "If the network address appears to be in use, the client MUST send a
// DHCPDECLINE message to the server." RFC 2131, section 4.4.1. "Because the
// client is declining the use of the IP address supplied by the server, the
// client broadcasts DHCPDECLINE messages." Section 4.4.4.
func (m *Machine) decline(now time.Time, l *Lease) Step {
	s := m.drop()
	m.last.Addr = netip.Addr{}
	m.acq.discovers = 0
	m.acq.conflicts++
	wait := doubled(declineWait, m.acq.conflicts, declineWaitMax)
	m.state = waiting{as: Init, until: now.Add(wait)}
	s.Send = broadcast(m.message(dhcpv4.MessageTypeDecline, m.xid(),
		dhcpv4.OptRequestedIPAddress(dhcp.IP(l.Addr.Addr())),
		dhcpv4.OptServerIdentifier(dhcp.IP(l.Server)),
		dhcpv4.OptMessage("address in use")))
	s.Why = Event{Reason: InUse, Addr: l.Addr.Addr(), Server: l.Server, For: wait}
	return s
}
