// Package dhcp is the vocabulary that both sides of DHCPv4 share: hardware
// addresses, client identities, datagrams, the reading and writing of messages,
// lease times and host names.
//
// It is pure: it opens no socket and no file, reads no clock and starts no
// goroutine, and neither do lease, server and client below it (purity_test.go).
// Only wire touches the network. Option values are coded by
// github.com/insomniacslk/dhcp/dhcpv4; what that library reads too strictly or
// writes in an order that clients stumble over, Parse and Encode do here.
package dhcp

import (
	"encoding/hex"
	"hash/fnv"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// The UDP ports of RFC 2131, section 4.1.
const (
	ServerPort = 67
	ClientPort = 68
)

// Broadcast is the limited broadcast address.
var Broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// An HWAddr is an Ethernet address. The zero value means "none".
type HWAddr [6]byte

// BroadcastHW addresses a frame to every station on the link.
var BroadcastHW = HWAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// String returns the usual colon form, 02:00:00:00:00:01.
func (a HWAddr) String() string { return net.HardwareAddr(a[:]).String() }

// IsUnicast reports whether a can be one station's address.
func (a HWAddr) IsUnicast() bool { return a != HWAddr{} && a[0]&1 == 0 }

// IsLocal reports whether a was made up by its machine and not by the maker of
// its card: phones take one at random for each network.
func (a HWAddr) IsLocal() bool { return a[0]&2 != 0 }

// ClientHW is the hardware address in a message's chaddr field, and false when
// the client's link is not Ethernet.
func ClientHW(m *dhcpv4.DHCPv4) (HWAddr, bool) {
	if m.HWType != iana.HWTypeEthernet || len(m.ClientHWAddr) != 6 {
		return HWAddr{}, false
	}
	return HWAddr(m.ClientHWAddr), true
}

// An ID is who a client is to a server: its client identifier (option 61), or
// its hardware type and address where it sends none (RFC 2131, section 4.2).
// A client that sends the usual identifier, 01 and its Ethernet address, and a
// boot loader on the same card that sends none are therefore the same client.
//
// An ID is at most MaxID octets long: of a longer identifier it is a digest, so
// that no client can make us keep more. Who finds two identifiers with one
// digest gains nothing, since identifiers are not secret in the first place.
type ID string

// MaxID is how many octets an ID may have. The usual forms of RFC 4361 take 19
// and 23.
const MaxID = 32

// ClientID returns the identity of the sender of m, empty when m carries none.
func ClientID(m *dhcpv4.DHCPv4) ID {
	if id := m.Options.Get(dhcpv4.OptionClientIdentifier); len(id) > 1 {
		return IdentifierID(id)
	}
	if hw, ok := ClientHW(m); ok && !hw.IsUnicast() {
		return ""
	}
	if len(m.ClientHWAddr) == 0 {
		return ""
	}
	return ID(append([]byte{byte(m.HWType)}, m.ClientHWAddr...))
}

// IdentifierID is the identity of a client that sends this identifier.
func IdentifierID(v []byte) ID {
	if len(v) <= MaxID {
		return ID(v)
	}
	digest := fnv.New128a()
	digest.Write(v)
	return ID(digest.Sum([]byte{0xff}))
}

// HardwareID is the identity of an Ethernet client that sends no identifier.
func HardwareID(a HWAddr) ID {
	return ID(append([]byte{byte(iana.HWTypeEthernet)}, a[:]...))
}

// String returns the Ethernet address where the identity is one, else hex.
func (id ID) String() string {
	if len(id) == 7 && id[0] == byte(iana.HWTypeEthernet) {
		return HWAddr([]byte(id[1:])).String()
	}
	return hex.EncodeToString([]byte(id))
}

// A Datagram is one message with the addresses it travels under.
type Datagram struct {
	Msg *dhcpv4.DHCPv4

	From, To netip.AddrPort
	// HW is the other end on the link: who sent the frame that was received, or
	// whom the frame to be sent is for.
	HW HWAddr

	// Asked is the parameter request list of who will read the datagram: its
	// options are written in this order.
	Asked dhcpv4.OptionCodeList
	// Limit is how many octets of DHCP message the reader takes; less than the
	// 300 that every BOOTP message has means DefaultLimit.
	Limit int
}

// Addr converts an address field of a message; one that is absent or malformed
// becomes 0.0.0.0.
func Addr(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok {
		return netip.IPv4Unspecified()
	}
	return a
}

// IP converts back, for the fields of a message literal.
func IP(a netip.Addr) net.IP {
	if !a.Is4() {
		return net.IPv4zero.To4()
	}
	return a.AsSlice()
}

// LastAddr is the last address of a network, its broadcast address.
func LastAddr(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for i, m := range net.CIDRMask(p.Bits(), 32) {
		a[i] |= ^m
	}
	return netip.AddrFrom4(a)
}
