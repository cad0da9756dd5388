package server

import (
	"net/netip"
	"time"

	"leasehold/dhcp"
)

// commit answers a DISCOVER with an ACK that has the Rapid Commit option in it,
// for a lease that is bound as any other is (RFC 4039, section 3.1).
func (s *Server) commit(now time.Time, q query, a netip.Addr) Decision {
	if s.unsure(now, a, q.id) {
		s.table.Hold(now, a, q.id, now.Add(holdTime))
		return Decision{Probe: a, Why: Probing, Addr: a}
	}
	d := s.acknowledge(now, q, a, Bound)
	d.Reply.Msg.Options[optRapidCommit] = []byte{}
	return d
}

// bootp answers a client that knows nothing of leases: "Messages without the
// DHCP Message Type option are assumed to have been sent by a BOOTP client"
// (RFC 1534, section 2). What it is given is its own for ever. So it is given
// the address that is reserved for it, and one of the pool only if that is
// wanted.
func (s *Server) bootp(now time.Time, q query) Decision {
	r := s.reservation(q)
	a, ok := s.pick(now, q)
	switch {
	case !s.cfg.BOOTP && !r.IsValid():
		return Decision{Why: NoBOOTP}
	case !s.cfg.BOOTP && a != r:
		return Decision{Why: TakenByAnother, Addr: r}
	case !ok:
		return Decision{Why: PoolFull}
	case s.memory != KeepsAll && !s.keepsForEver(a, q.id):
		return Decision{Why: NotKept, Addr: a}
	case s.unsure(now, a, q.id):
		s.table.Hold(now, a, q.id, now.Add(holdTime))
		return Decision{Probe: a, Why: Probing, Addr: a}
	}
	d := s.acknowledge(now, q, a, Bound)
	for _, code := range []uint8{optType, optServer, optTime, optT1, optT2, optClientID} {
		delete(d.Reply.Msg.Options, code)
	}
	d.Reply.Msg.ClientIPAddr = q.Msg.ClientIPAddr
	return d
}

// keepsForEver reports whether a is bound to the client without end as flash has
// it, and flash is there.
func (s *Server) keepsForEver(a netip.Addr, id dhcp.ID) bool {
	held, _ := s.table.Holder(id)
	return !s.Lends(a, id) && held.Term == dhcp.Infinite
}
