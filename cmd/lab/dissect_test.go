package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"leasehold/dhcp"
)

// TestTsharkReadsTheSame has tshark and Parse read the same messages: random
// headers, options in any order, with padding between them, and continued in the
// file and sname fields.
func TestTsharkReadsTheSame(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	dice := rand.New(rand.NewPCG(seed, 0))
	const messages = 500
	var payloads [][]byte
	pcap := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	pcap = append(pcap, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0) // Ethernet, at most 64 KiB each
	for range messages {
		p := randomMessage(dice)
		payloads = append(payloads, p)
		frame := ethernet(p)
		pcap = append(pcap, make([]byte, 8)...)
		pcap = binary.LittleEndian.AppendUint32(pcap, uint32(len(frame)))
		pcap = binary.LittleEndian.AppendUint32(pcap, uint32(len(frame)))
		pcap = append(pcap, frame...)
	}
	file := t.TempDir() + "/messages.pcap"
	check(t, os.WriteFile(file, pcap, 0o644))
	args := []string{"-r", file, "-T", "fields", "-E", "separator=;"}
	for _, f := range []string{"id", "hops", "secs", "flags", "ip.client", "ip.your", "ip.server", "ip.relay", "hw.mac_addr", "option.type", "option.value"} {
		args = append(args, "-e", "dhcp."+f)
	}
	out, err := exec.Command("tshark", args...).Output()
	check(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != messages {
		t.Fatalf("tshark reads %d messages; want %d", len(lines), messages)
	}
	for i, line := range lines {
		if err := sameReading(payloads[i], strings.Split(line, ";")); err != nil {
			t.Fatalf("message %d of seed %d, %x: %v", i, seed, payloads[i], err)
		}
	}
}

// sameReading compares what Parse reads with a line of tshark's.
func sameReading(payload []byte, theirs []string) error {
	m, err := dhcp.Parse(payload)
	if err != nil {
		return err
	}
	hw, _, _ := strings.Cut(theirs[8], ",") // again in the client identifier
	ours := []string{
		fmt.Sprintf("0x%08x", binary.BigEndian.Uint32(m.TransactionID[:])), fmt.Sprint(m.HopCount), fmt.Sprint(m.NumSeconds),
		fmt.Sprintf("0x%04x", m.Flags), dhcp.Addr(m.ClientIPAddr).String(), dhcp.Addr(m.YourIPAddr).String(),
		dhcp.Addr(m.ServerIPAddr).String(), dhcp.Addr(m.GatewayIPAddr).String(), m.ClientHWAddr.String(),
	}
	for i, want := range append(append([]string{}, theirs[:8]...), hw) {
		if ours[i] != want {
			return fmt.Errorf("field %d is %s; tshark reads %s", i, ours[i], want)
		}
	}
	options := map[uint8][]byte{}
	values := strings.Split(theirs[10], ",")
	for _, text := range strings.Split(theirs[9], ",") {
		code, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("option %q", text)
		}
		if code == 0 || code == 255 {
			continue
		}
		if len(values) == 0 {
			return fmt.Errorf("option %d has no value in %s", code, theirs[10])
		}
		v, err := hex.DecodeString(values[0])
		if err != nil {
			return err
		}
		options[uint8(code)], values = append(options[uint8(code)], v...), values[1:]
	}
	delete(options, 52) // it speaks of the octets, not of the message
	if !maps.EqualFunc(m.Options, options, bytes.Equal) {
		return fmt.Errorf("options are %v; tshark reads %v", m.Options, options)
	}
	return nil
}

// randomMessage is a request with a type, and up to a dozen of other options in
// the option field, in file and in sname.
func randomMessage(dice *rand.Rand) []byte {
	b := make([]byte, 240)
	for i := range 44 { // up to the end of chaddr
		b[i] = byte(dice.Uint32())
	}
	b[0], b[1], b[2] = 1, 1, 6
	b[8] = 0 // tshark guesses that larger seconds are in the wrong byte order
	copy(b[34:44], make([]byte, 10))
	copy(b[236:], []byte{99, 130, 83, 99})
	lengths := map[uint8]int{50: 4, 54: 4, 51: 4, 57: 2, 53: 1} // of those that have one
	codes := []uint8{50, 51, 54, 57, 60, 61, 224, 225, 230, 240, 250, 254}
	dice.Shuffle(len(codes), func(i, j int) { codes[i], codes[j] = codes[j], codes[i] })
	option := func(room int) []byte {
		if len(codes) == 0 {
			return nil
		}
		n, fixed := lengths[codes[0]]
		if !fixed {
			n = 1 + dice.IntN(40)
		}
		if n+2 > room {
			return nil
		}
		o := []byte{codes[0], byte(n)}
		for range n {
			o = append(o, 'a'+byte(dice.IntN(26)))
		}
		codes = codes[1:]
		return append(o, make([]byte, min(dice.IntN(3), room-n-2))...) // padding
	}
	fill := func(field []byte) {
		at := 0
		for range dice.IntN(4) {
			at += copy(field[at:], option(len(field)-1-at))
		}
		field[at] = 255
	}
	overload := byte(dice.IntN(4))
	b = append(b, 53, 1, byte(1+dice.IntN(8)))
	if overload != 0 {
		b = append(b, 52, 1, overload)
	}
	if overload&1 != 0 {
		fill(b[108:236])
	}
	if overload&2 != 0 {
		fill(b[44:108])
	}
	for range dice.IntN(6) {
		b = append(b, option(100)...)
	}
	return append(b, 255)
}

// ethernet puts a message into a frame to everybody, without a UDP checksum.
func ethernet(payload []byte) []byte {
	b := append(bytes.Repeat([]byte{0xff}, 6), 2, 0, 0, 0, 0, 1, 8, 0)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(28+len(payload)))
	b = append(b, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0)
	b = append(b, netip.MustParseAddr("255.255.255.255").AsSlice()...)
	b = append(b, 0, 68, 0, 67)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}
