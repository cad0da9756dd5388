package server

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

const broadcastFlag = 0x8000

// reply builds an OFFER or an ACK of a.
func (s *Server) reply(q query, t dhcpv4.MessageType, a netip.Addr) *dhcp.Datagram {
	m := s.message(q, t)
	m.YourIPAddr = dhcp.IP(a)
	if t == dhcpv4.MessageTypeAck && requested(q.Msg).IsUnspecified() {
		m.ClientIPAddr = q.Msg.ClientIPAddr // who asks for an address in option 50 has none yet
	}
	s.times(m, q)
	to, hw := destination(q, m)
	return s.datagram(q, m, to, hw)
}

// times adds the settings, and how long they hold. Configured T1 and T2 have to
// be in order.
func (s *Server) times(m *dhcpv4.DHCPv4, q query) {
	grant := s.grant(q)
	_, t2 := dhcp.DefaultTimes(grant)
	setTimes(m, t1(grant, q.id), t2)
	s.settings(m, q)
	m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(grant))
	if grant == dhcp.Infinite {
		delete(m.Options, optT1)
		delete(m.Options, optT2)
		return
	}
	checkTimes(m, grant, t1(grant, q.id), t2)
}

func (s *Server) informed(q query, ciaddr netip.Addr) *dhcp.Datagram {
	m := s.message(q, dhcpv4.MessageTypeAck)
	m.ClientIPAddr = q.Msg.ClientIPAddr
	s.settings(m, q)
	for _, code := range []uint8{optTime, optT1, optT2} {
		delete(m.Options, code)
	}
	return s.datagram(q, m, netip.AddrPortFrom(ciaddr, dhcp.ClientPort), q.HW)
}

// nak refuses. "If 'giaddr' is set in the DHCPREQUEST message [...] the server
// MUST set the broadcast bit in the DHCPNAK, so that the relay agent will
// broadcast the DHCPNAK to the client." RFC 2131, section 4.3.2.
func (s *Server) nak(q query, why Reason) *dhcp.Datagram {
	m := s.message(q, dhcpv4.MessageTypeNak)
	m.UpdateOption(dhcpv4.OptMessage(why.String()))
	if relay := dhcp.Addr(m.GatewayIPAddr); !relay.IsUnspecified() {
		m.Flags |= broadcastFlag
		return s.datagram(q, m, netip.AddrPortFrom(relay, dhcp.ServerPort), dhcp.HWAddr{})
	}
	return s.datagram(q, m, netip.AddrPortFrom(dhcp.Broadcast, dhcp.ClientPort), dhcp.BroadcastHW)
}

// message is what all replies have in common (RFC 2131, section 4.3.1, table
// 3). The client identifier is returned unchanged (RFC 6842, section 3), the
// relay agent's information too (RFC 3046, section 2.2), and the subnet that was
// selected, so that who selected it sees that we heeded it (RFC 3011).
func (s *Server) message(q query, t dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootReply,
		HWType:        q.Msg.HWType,
		ClientHWAddr:  q.Msg.ClientHWAddr,
		TransactionID: q.Msg.TransactionID,
		Flags:         q.Msg.Flags,
		GatewayIPAddr: q.Msg.GatewayIPAddr,
		Options: dhcpv4.OptionsFromList(
			dhcpv4.OptMessageType(t),
			dhcpv4.OptServerIdentifier(s.serverID(q).AsSlice()),
		),
	}
	for _, echo := range echoed {
		if v := q.Msg.Options.Get(echo); v != nil {
			m.Options[echo.Code()] = v
		}
	}
	return m
}

// destination says where an OFFER or ACK goes: to the relay, to an address that
// the client uses already, to everybody if it asks for that, else to the new
// address in a frame for the client, which cannot answer ARP yet (RFC 2131,
// section 4.1).
func destination(q query, m *dhcpv4.DHCPv4) (netip.AddrPort, dhcp.HWAddr) {
	giaddr, ciaddr := dhcp.Addr(m.GatewayIPAddr), dhcp.Addr(m.ClientIPAddr)
	switch {
	case !giaddr.IsUnspecified():
		return netip.AddrPortFrom(giaddr, dhcp.ServerPort), dhcp.HWAddr{} // routed: it need not be on the link
	case !ciaddr.IsUnspecified():
		return netip.AddrPortFrom(ciaddr, dhcp.ClientPort), q.HW
	case m.Flags&broadcastFlag != 0 || !q.hw.IsUnicast() || q.host != nil && q.host.Broadcast:
		return netip.AddrPortFrom(dhcp.Broadcast, dhcp.ClientPort), dhcp.BroadcastHW
	}
	return netip.AddrPortFrom(dhcp.Addr(m.YourIPAddr), dhcp.ClientPort), q.hw
}

func (s *Server) datagram(q query, m *dhcpv4.DHCPv4, to netip.AddrPort, hw dhcp.HWAddr) *dhcp.Datagram {
	d := &dhcp.Datagram{
		Msg:   m,
		From:  netip.AddrPortFrom(s.self(), dhcp.ServerPort),
		To:    to,
		HW:    hw,
		Asked: q.Msg.ParameterRequestList(),
	}
	// "the maximum length DHCP message that it is willing to accept", with the
	// IP and UDP headers: RFC 2132, section 9.10.
	if n, err := q.Msg.MaxMessageSize(); err == nil {
		d.Limit = int(min(n, linkMTU)) - 28
	}
	if q.isBOOTP() {
		d.Limit = bootpLimit
	}
	return d
}

const (
	linkMTU    = 1500
	bootpLimit = 300 // "the minimal BOOTP header of 300 octets": RFC 1542, section 2.1
)
