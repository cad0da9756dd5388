package server

import (
	"bytes"
	"maps"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

// Link is an address on the link of the client where a relay agent forwarded its
// message, in this order: that of the agent's link selection (RFC 3527), that of
// a subnet selection (RFC 3011), that of the agent itself. It is invalid where
// the message came directly.
//
// Both selections count only with an agent's address: without one, any client
// could help itself from the pool of a network that it is not on.
func Link(m *dhcpv4.DHCPv4) netip.Addr {
	agent := dhcp.Addr(m.GatewayIPAddr)
	if agent.IsUnspecified() {
		return netip.Addr{}
	}
	if a, ok := agentAddr(m, dhcpv4.LinkSelectionSubOption); ok {
		return a
	}
	if a, ok := netip.AddrFromSlice(m.Options.Get(dhcpv4.OptionSubnetSelection)); ok && a.Is4() {
		return a
	}
	return agent
}

// vouched leaves out what only a relay agent may say where none has spoken. A
// relay agent drops a message that has its option 82 and no agent's address (RFC
// 3046, section 2.1), since anybody can have written that option. We drop the
// option: switches that snoop on DHCP put it into the messages of honest clients.
func vouched(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	if Link(m).IsValid() {
		return m
	}
	for _, c := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionSubnetSelection} {
		if m.Options.Has(c) {
			own := *m
			own.Options = maps.Clone(m.Options)
			own.Options.Del(dhcpv4.OptionRelayAgentInformation)
			own.Options.Del(dhcpv4.OptionSubnetSelection)
			return &own
		}
	}
	return m
}

// echoed are the options that a reply has from the message that it answers.
var echoed = []dhcpv4.OptionCode{
	dhcpv4.OptionClientIdentifier, dhcpv4.OptionSubnetSelection, dhcpv4.OptionRelayAgentInformation,
}

// oversized reports whether what is to be sent back, pieced together from several
// options (RFC 3396), is so long that there might be no frame for the answer.
func oversized(m *dhcpv4.DHCPv4) bool {
	n := 0
	for _, c := range echoed {
		n += len(m.Options[c.Code()])
	}
	return n > mostEchoed
}

const mostEchoed = 1000 // octets; a frame holds 1500

// here is our own address, and the network in which it is.
func (s *Server) here() netip.Prefix {
	if s.cfg.Carrier.IsValid() {
		return s.cfg.Carrier
	}
	return s.cfg.Addr
}

// self is our own address, as clients reach us.
func (s *Server) self() netip.Addr { return s.here().Addr() }

// serverID is what we call ourselves to the client: the relay agent's address
// where that one wants to hear renewals too (RFC 5107, section 4).
func (s *Server) serverID(q query) netip.Addr {
	if a, ok := agentAddr(q.Msg, dhcpv4.ServerIdentifierOverrideSubOption); ok {
		return a
	}
	return s.self()
}

// isOurs reports whether a client that names a as its server means us.
func (s *Server) isOurs(q query, a netip.Addr) bool { return a == s.serverID(q) || a == s.self() }

func relayed(q query) bool { return !dhcp.Addr(q.Msg.GatewayIPAddr).IsUnspecified() }

// A place is what relay agents have said of where a client is.
type place struct {
	agent netip.Addr // that is in the client's network, and so is its router; else invalid
	info  []byte     // option 82
}

// place is where the sender is. A renewal does not pass the agent; then it is what
// was said when the client was given its address.
func (s *Server) place(q query) (p place) {
	if relayed(q) {
		if agent := dhcp.Addr(q.Msg.GatewayIPAddr); s.cfg.Addr.Contains(agent) {
			p.agent = agent
		}
		p.info = q.Msg.Options[dhcpv4.OptionRelayAgentInformation.Code()]
	} else if held, ok := s.table.Holder(q.id); ok && held.State == lease.Bound {
		p = s.places[held.Addr]
	}
	return p
}

// settle remembers where a client is that is given an address, as far as anything
// depends on that.
func (s *Server) settle(q query, a netip.Addr) {
	var p place
	if s.routedByAgents() {
		p.agent = q.place.agent
	}
	if s.placed {
		p.info = bytes.Clone(q.place.info)
	}
	if p.agent.IsValid() || len(p.info) > 0 {
		s.places[a] = p
	} else {
		delete(s.places, a)
	}
}

// routedByAgents reports whether the relay agents are the clients' routers, since
// nothing else is configured.
func (s *Server) routedByAgents() bool { return s.cfg.Carrier.IsValid() && len(s.cfg.Routers) == 0 }

// lacksRouter reports whether a client that renews past its relay agent could not
// be told its router again, because nobody has forwarded for it since we started.
// It would take it for gone. So it hears nothing, and soon asks through the agent.
func (s *Server) lacksRouter(q query) bool {
	if relayed(q) || !s.routedByAgents() {
		return false
	}
	c := s.choose(q)
	return c.index(optRouters, 0) < 0
}

// agentAddr returns an address that a relay agent has put into its option 82.
func agentAddr(m *dhcpv4.DHCPv4, sub dhcpv4.OptionCode) (netip.Addr, bool) {
	v, _ := inside(m.Options.Get(dhcpv4.OptionRelayAgentInformation), sub.Code())
	a, ok := netip.AddrFromSlice(v)
	return a, ok && a.Is4() && !a.IsUnspecified()
}
