package lease

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"leasehold/dhcp"
)

var hw1 = dhcp.HWAddr{2, 0, 0, 0, 0, 1}

// stored pairs a binding with what the ring keeps of it.
var stored = []struct {
	name string
	b    Binding
	hex  string // version | address | term | hardware address | length of the identity | identity | name
}{
	{"the identity follows from the hardware address",
		Binding{Addr: ip("192.168.1.100"), ID: dhcp.HardwareID(hw1), HW: hw1, Name: "laptop", Term: 12 * time.Hour},
		"01 c0a80164 0000a8c0 020000000001 00 6c6170746f70"},
	{"an identity of its own, no name",
		Binding{Addr: ip("192.168.1.100"), ID: "\xff\x00\x01", HW: hw1, Term: time.Hour},
		"01 c0a80164 00000e10 020000000001 03 ff0001"},
	{"a link that is not Ethernet",
		Binding{Addr: ip("192.168.1.100"), ID: "\x20\x01\x02", Name: "x", Term: time.Hour},
		"01 c0a80164 00000e10 000000000000 03 200102 78"},
	{"an identity that looks like the hardware address that is not there",
		Binding{Addr: ip("192.168.1.100"), ID: dhcp.HardwareID(dhcp.HWAddr{}), Term: time.Hour},
		"01 c0a80164 00000e10 000000000000 07 01000000000000"},
	{"an identity that looks like a group's hardware address",
		Binding{Addr: ip("192.168.1.100"), ID: dhcp.HardwareID(dhcp.BroadcastHW), HW: dhcp.BroadcastHW, Term: time.Hour},
		"01 c0a80164 00000e10 ffffffffffff 07 01ffffffffffff"},
	{"for ever",
		Binding{Addr: ip("10.0.0.1"), ID: dhcp.HardwareID(hw1), HW: hw1, Term: dhcp.Infinite},
		"01 0a000001 ffffffff 020000000001 00"},
	{"as long as it gets",
		Binding{Addr: ip("10.0.0.1"), ID: dhcp.ID(strings.Repeat("i", dhcp.MaxID)), HW: hw1, Name: strings.Repeat("n", 63), Term: 1},
		"01 0a000001 00000000 020000000001 20" + strings.Repeat("69", 32) + strings.Repeat("6e", 63)},
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBindingIsStoredAndReadBack(t *testing.T) {
	for _, test := range stored {
		want := unhex(t, test.hex)
		v, err := test.b.MarshalBinary()
		if err != nil || !bytes.Equal(v, want) {
			t.Errorf("%s: MarshalBinary = %x, %v; want %x", test.name, v, err, want)
		}
		if len(v) > MaxBinding {
			t.Errorf("%s: %d octets; want at most %d", test.name, len(v), MaxBinding)
		}
		var got Binding
		if err := got.UnmarshalBinary(want); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		b := test.b
		b.Term = b.Term.Truncate(time.Second)
		b.Grant = b.Term // all of it, since nobody knows how much was left
		if got != b {
			t.Errorf("%s: UnmarshalBinary = %+v; want %+v", test.name, got, b)
		}
	}
}

func TestMaxBindingIsReached(t *testing.T) {
	v, err := stored[len(stored)-1].b.MarshalBinary()
	if err != nil || len(v) != MaxBinding {
		t.Errorf("the longest binding takes %d octets, %v; want %d", len(v), err, MaxBinding)
	}
}

func TestGrantIsNotStored(t *testing.T) {
	b := stored[0].b
	short, _ := b.MarshalBinary()
	b.Grant = time.Minute
	long, _ := b.MarshalBinary()
	if !bytes.Equal(short, long) {
		t.Errorf("another grant is stored as %x; want %x", long, short)
	}
}

func TestWhatCannotBeStored(t *testing.T) {
	ok := stored[0].b
	for _, test := range []struct {
		name string
		edit func(*Binding)
	}{
		{"no address", func(b *Binding) { b.Addr = netip.Addr{} }},
		{"IPv6", func(b *Binding) { b.Addr = ip("2001:db8::1") }},
		{"nobody", func(b *Binding) { b.ID = "" }},
		{"a long identity", func(b *Binding) { b.ID = dhcp.ID(strings.Repeat("i", dhcp.MaxID+1)) }},
		{"a long name", func(b *Binding) { b.Name = strings.Repeat("n", 64) }},
	} {
		b := ok
		test.edit(&b)
		if v, err := b.MarshalBinary(); err == nil {
			t.Errorf("%s: MarshalBinary = %x; want an error", test.name, v)
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, test := range []struct{ name, hex, want string }{
		{"nothing", "", "binding of 0 octets: at least 16 expected"},
		{"cut", "01 c0a80164 0000a8c0 020000000001", "binding of 15 octets: at least 16 expected"},
		{"a later version", "02 c0a80164 0000a8c0 020000000001 00", "binding of version 2: only 1 is known"},
		{"an identity that is cut", "01 c0a80164 0000a8c0 020000000001 03 0102", "identity of 3 octets: 2 are there and 32 allowed"},
		{"an identity that is too long", "01 c0a80164 0000a8c0 020000000001 21" + strings.Repeat("69", 40), "identity of 33 octets: 40 are there and 32 allowed"},
		{"nobody", "01 c0a80164 0000a8c0 000000000000 00", "binding without a client"},
		{"everybody", "01 c0a80164 0000a8c0 ffffffffffff 00", "binding without a client"},
	} {
		b := stored[1].b
		err := b.UnmarshalBinary(unhex(t, test.hex))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: UnmarshalBinary(%s) = %v; want %q", test.name, test.hex, err, test.want)
		}
		if b != stored[1].b {
			t.Errorf("%s: the binding was changed to %+v", test.name, b)
		}
	}
}

func TestUnmarshalCleansTheName(t *testing.T) {
	v := append(unhex(t, "01 c0a80164 0000a8c0 020000000001 00"), "<b>x</b>"...)
	var b Binding
	if err := b.UnmarshalBinary(v); err != nil || b.Name != "bxb" {
		t.Errorf("name %q, %v; want bxb", b.Name, err)
	}
}

// FuzzBinding reads arbitrary octets as a binding. What can be read can be
// stored, and reads the same from then on.
func FuzzBinding(f *testing.F) {
	for _, test := range stored {
		f.Add(unhex(f, test.hex))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		var b, again Binding
		if b.UnmarshalBinary(v) != nil {
			return
		}
		out, err := b.MarshalBinary()
		if err != nil || len(out) > MaxBinding {
			t.Fatalf("%+v is stored as %x, %v", b, out, err)
		}
		if err := again.UnmarshalBinary(out); err != nil || again != b {
			t.Errorf("%+v reads back as %+v, %v", b, again, err)
		}
	})
}
