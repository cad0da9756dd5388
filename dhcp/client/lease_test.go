package client

import (
	"bytes"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

func TestLeaseHasWhatTheServerSaid(t *testing.T) {
	p := playRequesting(t)
	p.at(2 * s).hears(ack("192.0.2.7",
		with(dhcpv4.OptSubnetMask(net.CIDRMask(20, 32))),
		with(dhcpv4.OptRouter(net.IP{192, 0, 2, 1}, net.IP{0, 0, 0, 0}, net.IP{192, 0, 2, 2}, net.IP{192, 0, 2, 1})),
		with(dhcpv4.OptDNS(net.IP{224, 0, 0, 1}, net.IP{198, 51, 100, 53}, net.IP{255, 255, 255, 255})),
		with(dhcpv4.OptDomainName("isp.example.\x00")),
		times(3600*s, 600*s, 1200*s)))
	p.probes("192.0.2.7").at(4 * s).free("192.0.2.7").installs("192.0.2.7/20")
	want := &Lease{
		Addr:    netip.MustParsePrefix("192.0.2.7/20"),
		Server:  ip("192.0.2.1"),
		Routes:  list(Route{netip.MustParsePrefix("0.0.0.0/0"), ip("192.0.2.1")}),
		DNS:     list(ip("198.51.100.53")),
		Domain:  "isp.example",
		Term:    time.Hour,
		Renew:   p.zero.Add(600 * s),
		Rebind:  p.zero.Add(1200 * s),
		Expires: p.zero.Add(3600 * s),
		hop:     dhcp.HWAddr{2, 0, 0, 0, 0, 0xff},
	}
	if got := p.m.Lease(); !reflect.DeepEqual(got, want) {
		t.Errorf("Lease() = %+v; want %+v", got, want)
	}
	if got, want := p.m.Lease().Last(), (Last{ip("192.0.2.7"), ip("192.0.2.1")}); got != want {
		t.Errorf("Last() = %v; want %v", got, want)
	}
}

func TestAddressesThatCannotBeOurs(t *testing.T) {
	mask := func(m ...byte) edit { return with(dhcpv4.OptSubnetMask(m)) }
	for _, tt := range []struct {
		addr string
		mask edit
		want string // network, or what is wrong
	}{
		{"192.0.2.7", mask(255, 255, 255, 0), "192.0.2.7/24"},
		{"192.0.2.7", mask(255, 255, 255, 255), "192.0.2.7/32"},
		{"192.0.2.6", mask(255, 255, 255, 254), "192.0.2.6/31"},
		{"10.1.2.3", mask(255, 0, 0, 0), "10.1.2.3/8"},
		{"10.1.2.3", without(dhcpv4.OptionSubnetMask), "10.1.2.3/24"},
		{"10.1.2.3", mask(255, 255), "10.1.2.3/24"}, // as if it were missing
		{"192.0.2.7", mask(255, 0, 255, 0), "192.0.2.7/24"},
		{"192.0.2.7", mask(0, 0, 0, 0), "192.0.2.7/24"},
		{"192.0.2.0", mask(255, 255, 255, 0), "192.0.2.0/24"},
		{"192.0.2.255", mask(255, 255, 255, 0), "192.0.2.255/24"},
		{"192.0.2.255", mask(255, 255, 254, 0), "192.0.2.255/23"},
		{"0.0.0.0", mask(255, 255, 255, 0), `address 0.0.0.0 is of "this network"`},
		{"127.0.0.1", mask(255, 255, 255, 0), "address 127.0.0.1 is a loopback address"},
		{"224.0.0.5", mask(255, 255, 255, 0), "address 224.0.0.5 is a multicast address"},
		{"255.255.255.255", mask(255, 255, 255, 0), "address 255.255.255.255 is a broadcast or reserved address"},
	} {
		msg := ack(tt.addr, tt.mask)(&dhcpv4.DHCPv4{ClientHWAddr: hw[:]})
		p, err := answer{msg: msg}.addr()
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("addr(%s, mask %v) = %s; want %s", tt.addr, msg.SubnetMask(), got, tt.want)
		}
	}
}

// The kernel is not to take an address for that of a network.
func TestFirstAndLastAddressOfANetwork(t *testing.T) {
	for _, tt := range []struct {
		addr string
		bits int
		want string
	}{
		{"192.0.2.0", 24, "192.0.2.0/32, 192.0.2.0/24, 0.0.0.0/0 192.0.2.1"},
		{"192.0.2.255", 24, "192.0.2.255/32, 192.0.2.0/24, 0.0.0.0/0 192.0.2.1"},
		{"192.0.2.255", 23, "192.0.2.255/23, 0.0.0.0/0 192.0.2.1"},
		{"192.0.2.0", 31, "192.0.2.0/31, 0.0.0.0/0 192.0.2.1"},
		{"192.0.2.0", 32, "192.0.2.0/32, 0.0.0.0/0 192.0.2.1"},
	} {
		p := playRequesting(t)
		p.at(2 * s).hears(ack(tt.addr, with(dhcpv4.OptSubnetMask(net.CIDRMask(tt.bits, 32))), with(dhcpv4.OptRouter(net.IP{192, 0, 2, 1}))))
		p.probes(tt.addr).at(4 * s).free(tt.addr)
		l := p.m.Lease()
		got := l.Addr.String()
		for _, r := range l.Routes {
			got += ", " + r.Prefix.String()
			if r.Gateway.IsValid() {
				got += " " + r.Gateway.String()
			}
		}
		if got != tt.want {
			t.Errorf("of %s/%d there are %s; want %s", tt.addr, tt.bits, got, tt.want)
		}
	}
}

func TestUnusableAnswersAreIgnored(t *testing.T) {
	for name, bad := range map[string]edit{
		"another exchange":    func(m *dhcpv4.DHCPv4) { m.TransactionID[3]++ },
		"another client":      func(m *dhcpv4.DHCPv4) { m.ClientHWAddr[0]++ },
		"another identifier":  with(dhcpv4.OptClientIdentifier([]byte("somebody"))),
		"another server":      from("192.0.2.2"),
		"a client's":          func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest },
		"address of a group":  func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IP{224, 0, 0, 1} },
		"not of Ethernet":     func(m *dhcpv4.DHCPv4) { m.HWType = 6 },
		"not an ACK":          with(dhcpv4.OptMessageType(dhcpv4.MessageTypeInform)),
		"an offer, once more": with(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer)),
	} {
		t.Run(name, func(t *testing.T) {
			p := playRequesting(t)
			p.hears(ack("192.0.2.7", bad)).silent().in(Requesting)
			p.hears(ack("192.0.2.7")).probes("192.0.2.7")
		})
	}
}

func TestOfferWithoutServerIsNotTaken(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7", without(dhcpv4.OptionServerIdentifier))).silent().in(Selecting)
	p.because("answer of a server is not usable: no server identifier")
	p.after(2*s, 5*s).sends("DISCOVER to broadcast")
}

func TestNoMoreHostsThanMakeSense(t *testing.T) {
	var many []net.IP
	for i := range 300 {
		many = append(many, net.IP{0, 0, 0, 0}, net.IP{192, 0, 2, byte(i)})
	}
	got := hosts(many)
	if len(got) != maxHosts || got[0] != ip("192.0.2.0") || got[maxHosts-1] != ip("192.0.2.7") {
		t.Errorf("%v; want the first %d", got, maxHosts)
	}
}

// Some providers' servers stand in for each other.
func TestACKOfAnotherServerIsTakenWhereTheAskedOneIsSilent(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7", from("192.0.2.2"))).silent().in(Requesting)
	p.after(3*s, 5*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.hears(ack("192.0.2.8", from("192.0.2.2"))).silent().in(Requesting)
	p.hears(ack("192.0.2.7", from("192.0.2.2"))).probes("192.0.2.7")
	p.free("192.0.2.7").installs("192.0.2.7/24")
	p.because("bound to 192.0.2.7 by 192.0.2.2 for 17 min")
}

func TestACKWithoutServerIsFromWhomWeAsked(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7", without(dhcpv4.OptionServerIdentifier))).probes("192.0.2.7")
	p.free("192.0.2.7").installs("192.0.2.7/24")
	if got := p.m.Lease().Server; got != ip("192.0.2.1") {
		t.Errorf("server %v; want 192.0.2.1", got)
	}
}

func TestDomain(t *testing.T) {
	for raw, want := range map[string]string{
		"isp.example":           "isp.example",
		"isp.example.":          "isp.example",
		"isp.example\x00":       "isp.example",
		"isp.example b.example": "isp.example",
		"local":                 "local",
		"":                      "",
		".":                     "",
		"a..b":                  "",
		"-a.example":            "",
		"<script>.example":      "",
		"x\nnameserver 6.6.6.6": "",
		string(bytes.Repeat([]byte("a234567."), 40)): "",
	} {
		if got := domain(raw); got != want {
			t.Errorf("domain(%q) = %q; want %q", raw, got, want)
		}
	}
}

func TestLastSurvivesAReboot(t *testing.T) {
	want := Last{ip("192.0.2.7"), ip("192.0.2.1")}
	b, err := want.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if golden := []byte{
		1,            // version
		192, 0, 2, 7, // address
		192, 0, 2, 1, // server
	}; !bytes.Equal(b, golden) {
		t.Errorf("MarshalBinary() = %x; want %x", b, golden)
	}
	var got Last
	if err := got.UnmarshalBinary(b); err != nil || got != want {
		t.Errorf("UnmarshalBinary(%x) = %v, %v; want %v", b, got, err, want)
	}
}

func TestAnAddressThatWasGivenBackIsOnlyAWish(t *testing.T) {
	given := Last{Addr: ip("192.0.2.7")}
	b, err := given.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Last
	if err := back.UnmarshalBinary(b); err != nil || back != given {
		t.Fatalf("UnmarshalBinary(%x) = %v, %v; want %v", b, back, err, given)
	}
	p := play(t, func(c *Config) { c.Last = back })
	p.after(0, s).sends("DISCOVER requested=192.0.2.7 to broadcast")
}

func TestRenewalsDoNotChangeLast(t *testing.T) {
	p := playBound(t)
	before, _ := p.m.Lease().Last().MarshalBinary()
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(ack("192.0.2.7", term(2000*s))).installs("192.0.2.7/24")
	if after, _ := p.m.Lease().Last().MarshalBinary(); !bytes.Equal(after, before) {
		t.Errorf("%x after the renewal; want %x", after, before)
	}
}

func TestLastRejectsNonsense(t *testing.T) {
	for _, tt := range []struct {
		b    []byte
		want string
	}{
		{nil, "last lease : not of version 1"},
		{[]byte{2, 192, 0, 2, 7, 192, 0, 2, 1}, "last lease 02c0000207c0000201: not of version 1"},
		{[]byte{1, 192, 0, 2, 7}, "last lease of 5 octets: version 1 has 9"},
		{[]byte{1, 192, 0, 2, 7, 192, 0, 2, 1, 0}, "last lease of 10 octets: version 1 has 9"},
		{[]byte{1, 0, 0, 0, 0, 192, 0, 2, 1}, `last lease: address 0.0.0.0 is of "this network"`},
		{[]byte{1, 192, 0, 2, 7, 255, 255, 255, 255}, "last lease: server 255.255.255.255 is a broadcast or reserved address"},
	} {
		l := Last{ip("198.51.100.1"), ip("198.51.100.2")}
		before := l
		if err := l.UnmarshalBinary(tt.b); err == nil || err.Error() != tt.want || l != before {
			t.Errorf("UnmarshalBinary(%x) = %v, %v; want %q and no change", tt.b, l, err, tt.want)
		}
	}
	if b, err := (Last{}).MarshalBinary(); err == nil {
		t.Errorf("Last{}.MarshalBinary() = %x; want an error", b)
	}
}

func FuzzLast(f *testing.F) {
	f.Add([]byte{1, 192, 0, 2, 7, 192, 0, 2, 1})
	f.Add([]byte{1, 127, 0, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Last
		if l.UnmarshalBinary(b) != nil {
			return
		}
		if again, err := l.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x read and written is %x, %v", b, again, err)
		}
	})
}
