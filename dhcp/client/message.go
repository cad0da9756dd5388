package client

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
)

// maxMessage is how long an answer may be (option 57). RFC 2132 does not say
// whether the IP and UDP headers count; either way 1472 fits into one Ethernet
// frame.
const maxMessage = 1472

// NodeID is an identifier as RFC 4361 wants it: 255, an IAID and a DUID. Both are
// of the port's address (DUID-LL, RFC 8415, section 11.4), which is soldered on;
// nothing has to be remembered.
func NodeID(hw dhcp.HWAddr) []byte {
	id := append([]byte{255}, hw[2:]...)
	id = append(id, 0, 3, 0, byte(iana.HWTypeEthernet))
	return append(id, hw[:]...)
}

// message returns a message with what every message of ours carries.
func (m *Machine) message(kind dhcpv4.MessageType, xid dhcpv4.TransactionID, opts ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	msg := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootRequest,
		HWType:        iana.HWTypeEthernet,
		TransactionID: xid,
		ClientHWAddr:  m.cfg.HW[:],
		Options:       dhcpv4.OptionsFromList(dhcpv4.OptMessageType(kind)),
	}
	if len(m.cfg.ID) > 0 {
		msg.Options.Update(dhcpv4.OptClientIdentifier(m.cfg.ID))
	}
	for _, o := range opts {
		msg.Options.Update(o)
	}
	return msg
}

// query returns a DISCOVER or REQUEST: a message that wants an answer.
func (m *Machine) query(kind dhcpv4.MessageType, xid dhcpv4.TransactionID, secs uint16, opts ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	msg := m.message(kind, xid, opts...)
	msg.NumSeconds = secs
	if list := m.cfg.asked(); list != nil {
		msg.Options.Update(dhcpv4.OptParameterRequestList(list...))
	}
	msg.Options.Update(dhcpv4.OptMaxMessageSize(maxMessage))
	if m.cfg.Hostname != "" {
		msg.Options.Update(dhcpv4.OptHostName(m.cfg.Hostname))
	}
	if m.cfg.VendorID != "" {
		msg.Options.Update(dhcpv4.OptClassIdentifier(m.cfg.VendorID))
	}
	for code, value := range m.cfg.Send {
		msg.Options[code] = value
	}
	if m.cfg.Broadcast {
		msg.SetBroadcast()
	}
	return msg
}

// extension returns the REQUEST that renews or rebinds l. Its answer comes to
// the address that we have, so nobody need broadcast it.
func (m *Machine) extension(l *Lease, xid dhcpv4.TransactionID, secs uint16) *dhcpv4.DHCPv4 {
	msg := m.query(dhcpv4.MessageTypeRequest, xid, secs)
	msg.ClientIPAddr = dhcp.IP(l.Addr.Addr())
	msg.SetUnicast()
	return msg
}

// release returns the RELEASE of l.
//
// By the time it is sent the address is down, and the kernel would not send
// from it; so it goes in a frame to where the lease came from.
func (m *Machine) release(l *Lease) *dhcp.Datagram {
	msg := m.message(dhcpv4.MessageTypeRelease, m.xid(), dhcpv4.OptServerIdentifier(dhcp.IP(l.Server)))
	msg.ClientIPAddr = dhcp.IP(l.Addr.Addr())
	d := unicast(msg, l)
	if l.hop.IsUnicast() {
		d.HW = l.hop
	}
	return d
}

// unicast addresses msg from the leased address to the server; the kernel
// routes it.
func unicast(msg *dhcpv4.DHCPv4, l *Lease) *dhcp.Datagram {
	return &dhcp.Datagram{
		Msg:  msg,
		From: netip.AddrPortFrom(l.Addr.Addr(), dhcp.ClientPort),
		To:   netip.AddrPortFrom(l.Server, dhcp.ServerPort),
	}
}

// broadcast addresses msg to every server. "DHCP messages broadcast by a client
// prior to that client obtaining its IP address must have the source address
// field in the IP header set to 0." RFC 2131, section 4.1.
func broadcast(msg *dhcpv4.DHCPv4) *dhcp.Datagram {
	return &dhcp.Datagram{
		Msg:  msg,
		From: netip.AddrPortFrom(dhcp.Addr(msg.ClientIPAddr), dhcp.ClientPort),
		To:   netip.AddrPortFrom(dhcp.Broadcast, dhcp.ServerPort),
		HW:   dhcp.BroadcastHW,
	}
}

// xid draws the number of a new exchange.
func (m *Machine) xid() dhcpv4.TransactionID {
	var x dhcpv4.TransactionID
	binary.BigEndian.PutUint32(x[:], m.rnd.Uint32())
	return x
}

// secs is how long we have been asking for a lease, or for more of it.
func (m *Machine) secs(now time.Time) uint16 {
	if m.acq.began.IsZero() {
		m.acq.began = now
	}
	return uint16(min(max(now.Sub(m.acq.began)/time.Second, 0), 65535))
}

// upTo is a random time, at least one nanosecond and at most d.
func (m *Machine) upTo(d time.Duration) time.Duration {
	return 1 + time.Duration(m.rnd.Int64N(int64(d)))
}
