package router

import (
	"net/netip"
	"slices"
	"time"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
	"leasehold/dhcp/server"
)

// A subnet is one pool with the server that gives it out: our own network's, or
// that of a network behind relay agents on it.
type subnet struct {
	cfg    lanConfig
	server *server.Server
	diary  *diary
}

// has returns the address that is a client's now.
func (n *subnet) has(now time.Time, id dhcp.ID) netip.Addr {
	s, ok := n.server.Table().Holder(id)
	if !ok || s.State != lease.Bound || !now.Before(s.Until) {
		return netip.Addr{}
	}
	return s.Addr
}

// divide makes the subnets what the configuration says. What is there stays, with
// all that it knows; what is new is returned, and knows nothing yet.
func (l *lan) divide() (added []*subnet) {
	was := l.subnets
	l.subnets = nil
	for _, cfg := range append([]lanConfig{l.cfg}, l.cfg.Relayed...) {
		i := slices.IndexFunc(was, func(s *subnet) bool { return s.cfg.Name == cfg.Name && s.cfg.Addr == cfg.Addr })
		if i >= 0 {
			was[i].cfg = cfg
			was[i].server.Reconfigure(l.serverConfig(cfg))
			l.subnets = append(l.subnets, was[i])
			continue
		}
		s := &subnet{cfg, server.New(l.serverConfig(cfg)), newDiary()}
		l.subnets = append(l.subnets, s)
		added = append(added, s)
	}
	return added
}

// holding returns the subnet that an address is in; nil: it is in none.
func holding(subnets []*subnet, a netip.Addr) *subnet {
	for _, s := range subnets {
		if s.cfg.Addr.Contains(a) {
			return s
		}
	}
	return nil
}

// about returns the subnet that a message is for: that of the link which a relay
// agent names, or that of the address for which its sender, behind one, asks us
// directly. Any other message is for our own.
func (l *lan) about(d dhcp.Datagram) *subnet {
	a := server.Link(d.Msg)
	if !a.IsValid() && d.To.Addr() == l.cfg.Addr.Addr() {
		a = dhcp.Addr(d.Msg.ClientIPAddr)
	}
	if s := holding(l.subnets, a); s != nil {
		return s
	}
	return l.subnets[0]
}
