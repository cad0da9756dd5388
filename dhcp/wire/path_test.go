package wire

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
	"leasehold/dhcp/server"
)

// FuzzPath has arbitrary frames go the whole way: through the filter, apart, to
// a server, and what that answers into a frame and apart again. Where fix is
// set, the lengths and the sum of the IPv4 header are made right, since chance
// hardly ever finds them.
func FuzzPath(f *testing.F) {
	discover := frameOf(dhcpv4.MessageTypeDiscover)
	request := frameOf(dhcpv4.MessageTypeRequest,
		dhcpv4.OptRequestedIPAddress([]byte{192, 168, 1, 100}), dhcpv4.OptServerIdentifier([]byte{192, 168, 1, 1}))
	reboot := frameOf(dhcpv4.MessageTypeRequest, dhcpv4.OptRequestedIPAddress([]byte{192, 168, 1, 101}))
	decline := frameOf(dhcpv4.MessageTypeDecline,
		dhcpv4.OptRequestedIPAddress([]byte{192, 168, 1, 100}), dhcpv4.OptServerIdentifier([]byte{192, 168, 1, 1}))
	long := frameOf(dhcpv4.MessageTypeInform, dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, make([]byte, 200)))
	for _, fix := range []bool{false, true} {
		f.Add(discover, request, fix)
		f.Add(reboot, decline, fix)
		f.Add(long, discover[:100], fix)
	}
	filter := machine(f, dhcpFilter(dhcp.ServerPort))
	f.Fuzz(func(t *testing.T, first, second []byte, fix bool) {
		network := netip.MustParsePrefix("192.168.1.1/24")
		s := server.New(server.Config{
			Addr: network, First: netip.MustParseAddr("192.168.1.100"), Last: netip.MustParseAddr("192.168.1.102"),
			Term: time.Hour, Routers: []netip.Addr{network.Addr()}, Domain: "lan", Authoritative: true, Probe: true,
		})
		now := time.Unix(12, 0)
		for range 2 {
			for _, b := range [][]byte{first, second} {
				if fix {
					b = mended(b)
				}
				n, err := filter.Run(b)
				if err != nil {
					t.Fatal(err)
				}
				d, err := parseDatagram(b[:min(n, len(b))], self)
				if err != nil {
					continue
				}
				dec := s.Handle(now, d)
				if dec.Probe.IsValid() {
					s.Probed(now, d, dec.Probe, dhcp.HWAddr{})
					dec = s.Handle(now, d)
				}
				if dec.Bind != nil {
					s.Bound(now, *dec.Bind)
				}
				if dec.Reply != nil {
					readsBack(t, *dec.Reply, network)
				}
				now = now.Add(time.Minute)
			}
		}
	})
}

// readsBack checks that a reply is the same when its frame is taken apart, and
// gives away nothing but addresses of the network.
func readsBack(t *testing.T, r dhcp.Datagram, network netip.Prefix) {
	t.Helper()
	payload := dhcp.Encode(r.Msg, r.Asked, r.Limit)
	got, err := parseDatagram(appendFrame(nil, r.From, r.To, payload), r.HW)
	if err != nil {
		t.Fatalf("reply %+v in a frame: %v", r.Msg, err)
	}
	yiaddr := dhcp.Addr(got.Msg.YourIPAddr)
	switch {
	case got.From != r.From || got.To != r.To || got.Msg.MessageType() != r.Msg.MessageType() ||
		got.Msg.TransactionID != r.Msg.TransactionID || yiaddr != dhcp.Addr(r.Msg.YourIPAddr):
		t.Errorf("reply %+v reads back as %+v", r, got)
	case !yiaddr.IsUnspecified() && (!network.Contains(yiaddr) || yiaddr == network.Addr()):
		t.Errorf("%v of %v", got.Msg.MessageType(), yiaddr)
	case len(payload) < 300:
		t.Errorf("a reply of %d octets", len(payload))
	}
}

// frameOf is what a client on Ethernet sends to everybody.
func frameOf(t dhcpv4.MessageType, options ...dhcpv4.Option) []byte {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: self[:],
		Options: dhcpv4.OptionsFromList(append(options, dhcpv4.OptMessageType(t))...),
	}
	return appendFrame(nil, netip.AddrPortFrom(nobody.Addr(), dhcp.ClientPort),
		netip.AddrPortFrom(everybody.Addr(), dhcp.ServerPort), dhcp.Encode(m, nil, 1400))
}

// mended is a frame whose lengths and header sum are right, without a UDP
// checksum.
func mended(b []byte) []byte {
	if len(b) < ipv4HeaderLen+udpHeaderLen || len(b) > 1<<16-1 {
		return b
	}
	b = append([]byte(nil), b...)
	b[0], b[6], b[7], b[9] = 0x45, 0, 0, protoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b[:ipv4HeaderLen])))
	binary.BigEndian.PutUint16(b[22:], dhcp.ServerPort)
	binary.BigEndian.PutUint16(b[24:], uint16(len(b)-ipv4HeaderLen))
	binary.BigEndian.PutUint16(b[26:], 0)
	return b
}
