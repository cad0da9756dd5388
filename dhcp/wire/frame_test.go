package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"leasehold/dhcp"
)

// octets reads commented hex.
func octets(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	fromServer = netip.MustParseAddrPort("192.168.1.1:67")
	toClient   = netip.MustParseAddrPort("192.168.1.150:68")
	nobody     = netip.MustParseAddrPort("0.0.0.0:68")
	everybody  = netip.MustParseAddrPort("255.255.255.255:67")
)

const golden = `
	45 00 00 20 00 00 00 00   // version 4, 20 octets of header; 32 in all; no fragment
	40 11 f6 e5               // TTL 64, UDP, header checksum
	c0 a8 01 01  c0 a8 01 96  // 192.168.1.1 to 192.168.1.150
	00 43 00 44  00 0c b3 8e  // port 67 to 68, 12 octets, checksum
	64 68 63 70               // "dhcp"
`

func TestAppendFrameGolden(t *testing.T) {
	want := octets(t, golden)
	if got := appendFrame(nil, fromServer, toClient, []byte("dhcp")); !bytes.Equal(got, want) {
		t.Errorf("appendFrame = %x; want %x", got, want)
	}
	before := []byte("before")
	if got := appendFrame(before, fromServer, toClient, []byte("dhcp")); !bytes.Equal(got, append(before, want...)) {
		t.Errorf("appended to %q: %x", before, got)
	}
}

func TestParseFrameGolden(t *testing.T) {
	from, to, payload, err := parseFrame(octets(t, golden))
	if from != fromServer || to != toClient || string(payload) != "dhcp" || err != nil {
		t.Errorf("parseFrame = %v, %v, %q, %v", from, to, payload, err)
	}
}

func TestParseFrameOfAppendFrameIsTheIdentity(t *testing.T) {
	for n := range 600 {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * n)
		}
		from, to, got, err := parseFrame(appendFrame(nil, nobody, everybody, payload))
		if from != nobody || to != everybody || !bytes.Equal(got, payload) || err != nil {
			t.Errorf("%d octets: parseFrame = %v, %v, %x, %v", n, from, to, got, err)
		}
	}
}

// "If the computed checksum is zero, it is transmitted as all ones [...]. An all
// zero transmitted checksum value means that the transmitter generated no
// checksum". RFC 768.
func TestChecksumThatComesOutAsZero(t *testing.T) {
	payload := []byte{0, 0}
	b := appendFrame(nil, fromServer, toClient, payload)
	copy(payload, b[26:28]) // what was the checksum brings the sum to all ones
	b = appendFrame(nil, fromServer, toClient, payload)
	if got := binary.BigEndian.Uint16(b[26:]); got != 0xffff {
		t.Errorf("checksum %04x; want ffff", got)
	}
	if _, _, got, err := parseFrame(b); !bytes.Equal(got, payload) || err != nil {
		t.Errorf("parseFrame = %x, %v; want %x", got, err, payload)
	}
}

func TestChecksumsThatAreAccepted(t *testing.T) {
	for _, test := range []struct {
		name  string
		check uint16
		ok    bool
	}{
		{"the right one", 0xb38e, true},
		{"none", 0, true},
		{"the sum of the pseudo header, which a card was to complete", 0x8405, true},
		{"its complement", ^uint16(0x8405), false},
		{"off by one", 0xb38f, false},
		{"all ones", 0xffff, false},
	} {
		b := octets(t, golden)
		binary.BigEndian.PutUint16(b[26:], test.check)
		if _, _, _, err := parseFrame(b); (err == nil) != test.ok {
			t.Errorf("%s: parseFrame with checksum %04x: %v; want accepted %v", test.name, test.check, err, test.ok)
		}
	}
}

// packet is the golden one with octets replaced, and the header checksum made
// good again if fix is set.
func packet(t testing.TB, fix bool, at int, v ...byte) []byte {
	t.Helper()
	b := octets(t, golden)
	copy(b[at:], v)
	if fix {
		copy(b[10:], []byte{0, 0})
		binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b[:20])))
	}
	return b
}

// withOptions has an IPv4 header of 24 octets.
func withOptions(t testing.TB) []byte {
	g := octets(t, golden)
	b := append(bytes.Clone(g[:20]), 1, 1, 1, 0) // no operation three times, end
	b = append(b, g[20:]...)
	b[0], b[3] = 0x46, b[3]+4
	copy(b[10:], []byte{0, 0})
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b[:24])))
	return b
}

func TestParseFrameAccepts(t *testing.T) {
	padded := append(octets(t, golden), make([]byte, 14)...)
	dontFragment := packet(t, true, 6, 0x40)
	for name, b := range map[string][]byte{
		"Ethernet padding": padded, "don't fragment": dontFragment, "IP options": withOptions(t),
	} {
		from, to, payload, err := parseFrame(b)
		if from != fromServer || to != toClient || string(payload) != "dhcp" || err != nil {
			t.Errorf("%s: parseFrame = %v, %v, %q, %v", name, from, to, payload, err)
		}
	}
}

func TestParseFrameTakesUDPsLengthWhereItIsShorter(t *testing.T) {
	b := packet(t, true, 24, 0, 10, 0, 0)
	if _, _, payload, err := parseFrame(b); string(payload) != "dh" || err != nil {
		t.Errorf("parseFrame = %q, %v; want dh", payload, err)
	}
}

func TestParseFrameRefuses(t *testing.T) {
	g := octets(t, golden)
	for _, test := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "packet of 0 octets: no IPv4 header"},
		{"half a header", g[:19], "packet of 19 octets: no IPv4 header"},
		{"version 6", packet(t, true, 0, 0x65), "packet of 32 octets: no IPv4 header"},
		{"a header length of 16", packet(t, true, 0, 0x44), "IPv4 packet of 32 octets: header says 16 of 32"},
		{"a header longer than the packet", packet(t, true, 0, 0x4f), "IPv4 packet of 32 octets: header says 60 of 32"},
		{"a header that leaves no room for UDP", packet(t, true, 0, 0x47), "IPv4 packet of 32 octets: header says 28 of 32"},
		{"cut", g[:31], "IPv4 packet of 31 octets: header says 20 of 32"},
		{"a length of 27", packet(t, true, 2, 0, 27), "IPv4 packet of 32 octets: header says 20 of 27"},
		{"a length of 33", packet(t, true, 2, 0, 33), "IPv4 packet of 32 octets: header says 20 of 33"},
		{"TCP", packet(t, true, 9, 6), "IP protocol 6: not UDP"},
		{"the first fragment", packet(t, true, 6, 0x20), "IPv4 fragment"},
		{"the last fragment", packet(t, true, 6, 0, 1), "IPv4 fragment"},
		{"a wrong header checksum", packet(t, false, 10, 0, 0), "IPv4 header checksum is wrong"},
		{"a UDP length of 7", packet(t, true, 24, 0, 7), "UDP datagram of 7 octets in 12"},
		{"a UDP length of 13", packet(t, true, 24, 0, 13), "UDP datagram of 13 octets in 12"},
		{"another payload", packet(t, true, 28, 'D'), "UDP checksum is wrong"},
		{"another sender", packet(t, true, 12, 10), "UDP checksum is wrong"},
	} {
		if _, _, payload, err := parseFrame(test.in); err == nil || err.Error() != test.want {
			t.Errorf("%s: parseFrame = %q, %v; want %q", test.name, payload, err, test.want)
		}
	}
}

// FuzzParseFrame takes arbitrary octets apart. What can be taken apart is put
// together again and then reads the same.
func FuzzParseFrame(f *testing.F) {
	f.Add(octets(f, golden))
	f.Add(withOptions(f))
	f.Add(packet(f, true, 26, 0, 0))
	f.Add(packet(f, true, 6, 0x20))
	f.Add(appendFrame(nil, nobody, everybody, make([]byte, 301)))
	f.Fuzz(func(t *testing.T, b []byte) {
		from, to, payload, err := parseFrame(b)
		if err != nil {
			return
		}
		again := appendFrame(nil, from, to, payload)
		from2, to2, payload2, err := parseFrame(again)
		if from2 != from || to2 != to || !bytes.Equal(payload2, payload) || err != nil {
			t.Errorf("%x reads back as %v, %v, %x, %v; want %v, %v, %x", again, from2, to2, payload2, err, from, to, payload)
		}
	})
}

func machine(t testing.TB, prog []bpf.Instruction) *bpf.VM {
	t.Helper()
	if _, err := bpf.Assemble(prog); err != nil {
		t.Fatal(err)
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func TestDHCPFilter(t *testing.T) {
	frame := func(from, to uint16) []byte {
		return appendFrame(nil, netip.AddrPortFrom(nobody.Addr(), from), netip.AddrPortFrom(everybody.Addr(), to), make([]byte, 300))
	}
	with := func(b []byte, at int, v byte) []byte {
		b[at] = v
		return b
	}
	moved := withOptions(t) // ports are where X says, not at octet 20
	for _, test := range []struct {
		name                   string
		packet                 []byte
		passServer, passClient bool
	}{
		{"a client's message", frame(68, 67), true, false},
		{"a relay's message", frame(67, 67), true, false},
		{"a message from an odd port", frame(1024, 67), true, false},
		{"a server's reply", frame(67, 68), true, true},
		{"a reply from an odd port", frame(123, 68), false, false},
		{"DNS", frame(53, 1024), false, false},
		{"behind IP options", moved, true, true},
		{"don't fragment", with(frame(68, 67), 6, 0x40), true, false},
		{"the first fragment", with(frame(68, 67), 6, 0x20), false, false},
		{"a later fragment", with(frame(68, 67), 7, 0x10), false, false},
		{"TCP", with(frame(68, 67), 9, 6), false, false},
		{"cut before the ports", frame(68, 67)[:22], false, false},
		{"cut in the header", frame(68, 67)[:9], false, false},
		{"nothing", nil, false, false},
	} {
		for port, want := range map[uint16]bool{dhcp.ServerPort: test.passServer, dhcp.ClientPort: test.passClient} {
			n, err := machine(t, dhcpFilter(port)).Run(test.packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := n >= len(test.packet) && n > 0; got != want || n != 0 && !got {
				t.Errorf("%s: the filter of port %d lets %d of %d octets pass; want passed %v", test.name, port, n, len(test.packet), want)
			}
		}
	}
}

// What the filter lets pass and what parseFrame takes differ only in what a
// filter cannot know.
func TestDHCPFilterPassesWhatParseFrameTakes(t *testing.T) {
	vm := machine(t, dhcpFilter(dhcp.ClientPort))
	for name, b := range map[string][]byte{"golden": octets(t, golden), "options": withOptions(t), "no checksum": packet(t, true, 26, 0, 0)} {
		if n, err := vm.Run(b); n < len(b) || err != nil {
			t.Errorf("%s: %d of %d octets pass, %v", name, n, len(b), err)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	payload := make([]byte, 300)
	frame := appendFrame(nil, nobody, everybody, payload)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame = appendFrame(frame[:0], nobody, everybody, payload)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, _, err := parseFrame(frame); err != nil {
				b.Fatal(err)
			}
		}
	})
}
