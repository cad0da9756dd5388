package wire

import (
	"bytes"
	"net/netip"
	"testing"

	"leasehold/dhcp"
)

var (
	self   = dhcp.HWAddr{2, 0, 0, 0, 0, 1}
	other  = dhcp.HWAddr{2, 0, 0, 0, 0, 2}
	probed = netip.MustParseAddr("192.0.2.7")
)

const probeBytes = `
	00 01 08 00 06 04         // Ethernet, IPv4, lengths of their addresses
	00 01                     // request
	02 00 00 00 00 01         // we
	00 00 00 00               // who have no address yet
	00 00 00 00 00 00         // ask for whom
	c0 00 02 07               // 192.0.2.7 is
`

func TestARPProbe(t *testing.T) {
	want := octets(t, probeBytes)
	if got := appendARPRequest(nil, self, netip.Addr{}, probed); !bytes.Equal(got, want) || len(got) != arpLen {
		t.Errorf("appendARPRequest = %x; want %x", got, want)
	}
	copy(want[14:], []byte{192, 0, 2, 1})
	if got := appendARPRequest(nil, self, netip.MustParseAddr("192.0.2.1"), probed); !bytes.Equal(got, want) {
		t.Errorf("appendARPRequest = %x; want %x: who has an address asks from it", got, want)
	}
}

// arp is what somebody else says about addresses.
func arp(t testing.TB, op byte, sender, target string) []byte {
	b := octets(t, probeBytes)
	b[7] = op
	copy(b[8:], other[:])
	copy(b[14:], netip.MustParseAddr(sender).AsSlice())
	copy(b[24:], netip.MustParseAddr(target).AsSlice())
	return b
}

// RFC 5227, section 2.1.1: any ARP packet "where the packet's 'sender IP
// address' is the address being probed for" is a conflict, and so is another
// host's probe "where the packet's 'target IP address' is the address being
// probed for".
func TestARPUser(t *testing.T) {
	const request, reply = 1, 2
	short := arp(t, reply, "192.0.2.7", "0.0.0.0")[:27]
	wrong := func(at int, v byte) []byte {
		b := arp(t, reply, "192.0.2.7", "0.0.0.0")
		b[at] = v
		return b
	}
	for _, test := range []struct {
		name   string
		packet []byte
		used   bool // arpUser says that other uses the address
		passes bool // the filter of a probe lets it pass
		claims bool // and that of a guard does
	}{
		{"an answer", arp(t, reply, "192.0.2.7", "0.0.0.0"), true, true, true},
		{"an announcement", arp(t, request, "192.0.2.7", "192.0.2.7"), true, true, true},
		{"its holder asks for somebody", arp(t, request, "192.0.2.7", "192.0.2.1"), true, true, true},
		{"another probe", arp(t, request, "0.0.0.0", "192.0.2.7"), true, true, false},
		{"somebody asks for its holder", arp(t, request, "192.0.2.1", "192.0.2.7"), false, true, false},
		{"somebody answers its holder", arp(t, reply, "192.0.2.1", "192.0.2.7"), false, true, false},
		{"an answer that names no sender", arp(t, reply, "0.0.0.0", "192.0.2.7"), false, true, false},
		{"an answer about another address", arp(t, reply, "192.0.2.8", "0.0.0.0"), false, false, false},
		{"a probe for another address", arp(t, request, "0.0.0.0", "192.0.2.8"), false, false, false},
		{"padded", append(arp(t, reply, "192.0.2.7", "0.0.0.0"), make([]byte, 18)...), true, true, true},
		{"cut", short, false, true, true},
		{"nothing", nil, false, false, false},
		{"not Ethernet", wrong(1, 6), true, false, false}, // arpUser relies on the filter for that
		{"not IPv4", wrong(2, 0x86), true, false, false},
	} {
		want := dhcp.HWAddr{}
		if test.used {
			want = other
		}
		if got := arpUser(test.packet, probed); got != want {
			t.Errorf("%s: arpUser = %v; want %v", test.name, got, want)
		}
		n, err := machine(t, arpFilter(probed)).Run(test.packet)
		if got := n >= arpLen; got != test.passes || err != nil || n != 0 && !got {
			t.Errorf("%s: the filter lets %d octets pass, %v; want passed %v", test.name, n, err, test.passes)
		}
		n, err = machine(t, claimFilter(probed)).Run(test.packet)
		if got := n >= arpLen; got != test.claims || err != nil || n != 0 && !got {
			t.Errorf("%s: the filter of a guard lets %d octets pass, %v; want passed %v", test.name, n, err, test.claims)
		}
	}
}
