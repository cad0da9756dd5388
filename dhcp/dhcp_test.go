package dhcp

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

func TestClientID(t *testing.T) {
	const ethernet, infiniband = iana.HWTypeEthernet, iana.HWTypeInfiniband
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for _, test := range []struct {
		name   string
		htype  iana.HWType
		chaddr net.HardwareAddr
		opt61  string
		want   string // hex
	}{
		{"no identifier", ethernet, mac, "", "01020000000001"},
		{"the usual identifier is the same client", ethernet, mac, "01020000000001", "01020000000001"},
		{"another card, the same identifier", ethernet, net.HardwareAddr{2, 0, 0, 0, 0, 9}, "01020000000001", "01020000000001"},
		{"any identifier", ethernet, mac, "ff000000010003", "ff000000010003"},
		{"text", ethernet, mac, "006162", "006162"},
		{"an identifier of one octet is none", ethernet, mac, "07", "01020000000001"},
		{"the longest that is kept as it is", ethernet, mac, hexOf(7, MaxID), hexOf(7, MaxID)},
		{"a longer one becomes a digest", ethernet, mac, hexOf(7, MaxID+1), "ff1985667649b23d8d113a94b008b3cf2e"},
		{"no address and no identifier", ethernet, net.HardwareAddr{0, 0, 0, 0, 0, 0}, "", ""},
		{"nobody's address with an identifier", ethernet, net.HardwareAddr{0, 0, 0, 0, 0, 0}, "0102", "0102"},
		{"a group's address", ethernet, net.HardwareAddr{1, 0, 0x5e, 0, 0, 1}, "", ""},
		{"broadcast", ethernet, net.HardwareAddr(BroadcastHW[:]), "", ""},
		{"another link", infiniband, net.HardwareAddr{1, 2, 3, 4, 5, 6, 7, 8}, "", "200102030405060708"},
		{"another link without an address", infiniband, nil, "", ""},
	} {
		m := &dhcpv4.DHCPv4{HWType: test.htype, ClientHWAddr: test.chaddr, Options: dhcpv4.Options{}}
		if test.opt61 != "" {
			m.Options[61], _ = hex.DecodeString(test.opt61)
		}
		if got := hex.EncodeToString([]byte(ClientID(m))); got != test.want {
			t.Errorf("%s: ClientID = %s; want %s", test.name, got, test.want)
		}
	}
}

func hexOf(b byte, n int) string { return hex.EncodeToString(bytes.Repeat([]byte{b}, n)) }

func TestLongIdentifiersStayApart(t *testing.T) {
	seen := map[ID]int{}
	for n := 2; n < 300; n++ {
		m := &dhcpv4.DHCPv4{Options: dhcpv4.Options{61: bytes.Repeat([]byte{7}, n)}}
		id := ClientID(m)
		if other, taken := seen[id]; taken || len(id) > MaxID {
			t.Errorf("identifiers of %d and %d octets are both %v", n, other, id)
		}
		seen[id] = n
	}
}

func TestHardwareIDIsTheIdentityOfABareClient(t *testing.T) {
	hw := HWAddr{2, 0, 0, 0, 0, 1}
	m := &dhcpv4.DHCPv4{HWType: iana.HWTypeEthernet, ClientHWAddr: hw[:]}
	if got := ClientID(m); got != HardwareID(hw) {
		t.Errorf("ClientID = %v; want %v", got, HardwareID(hw))
	}
}

func TestIDString(t *testing.T) {
	for _, test := range []struct{ id, want string }{
		{"\x01\x02\x00\x00\x00\x00\x01", "02:00:00:00:00:01"},
		{"\x01\x02\x00\x00\x00\x00", "010200000000"},
		{"\x00<b>", "003c623e"},
		{"", ""},
	} {
		if got := ID(test.id).String(); got != test.want {
			t.Errorf("ID(%q).String() = %q; want %q", test.id, got, test.want)
		}
	}
}

func TestClientHW(t *testing.T) {
	for _, test := range []struct {
		htype  iana.HWType
		chaddr net.HardwareAddr
		want   HWAddr
		ok     bool
	}{
		{iana.HWTypeEthernet, net.HardwareAddr{2, 0, 0, 0, 0, 1}, HWAddr{2, 0, 0, 0, 0, 1}, true},
		{iana.HWTypeEthernet, net.HardwareAddr{2, 0, 0, 0, 0}, HWAddr{}, false},
		{iana.HWTypeEthernet, nil, HWAddr{}, false},
		{iana.HWTypeInfiniband, net.HardwareAddr{2, 0, 0, 0, 0, 1}, HWAddr{}, false},
	} {
		got, ok := ClientHW(&dhcpv4.DHCPv4{HWType: test.htype, ClientHWAddr: test.chaddr})
		if got != test.want || ok != test.ok {
			t.Errorf("ClientHW(%v %v) = %v, %v; want %v, %v", test.htype, test.chaddr, got, ok, test.want, test.ok)
		}
	}
}

func TestHWAddrIsUnicast(t *testing.T) {
	for _, test := range []struct {
		a    HWAddr
		want bool
	}{
		{HWAddr{2, 0, 0, 0, 0, 1}, true},
		{HWAddr{0, 0, 0, 0, 0, 1}, true},
		{HWAddr{}, false},
		{HWAddr{1, 0, 0x5e, 0, 0, 1}, false},
		{BroadcastHW, false},
	} {
		if got := test.a.IsUnicast(); got != test.want {
			t.Errorf("%v.IsUnicast() = %v; want %v", test.a, got, test.want)
		}
	}
}

func TestAddrAndIP(t *testing.T) {
	for _, test := range []struct {
		ip   net.IP
		want string
	}{
		{net.IP{192, 0, 2, 1}, "192.0.2.1"},
		{net.IPv4(192, 0, 2, 1), "192.0.2.1"}, // sixteen octets
		{nil, "0.0.0.0"},
		{net.IP{1, 2, 3}, "0.0.0.0"},
		{net.ParseIP("2001:db8::1"), "0.0.0.0"},
	} {
		got := Addr(test.ip)
		if got != netip.MustParseAddr(test.want) {
			t.Errorf("Addr(%v) = %v; want %s", []byte(test.ip), got, test.want)
		}
		if back := IP(got); len(back) != 4 || Addr(back) != got {
			t.Errorf("IP(%v) = %v", got, []byte(back))
		}
	}
	for _, a := range []netip.Addr{{}, netip.MustParseAddr("2001:db8::1")} {
		if got := IP(a); !got.Equal(net.IPv4zero) || len(got) != 4 {
			t.Errorf("IP(%v) = %v; want 0.0.0.0", a, []byte(got))
		}
	}
}
