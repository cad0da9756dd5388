package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/bpf"

	"leasehold/dhcp"
)

const (
	arpLen     = 28
	arpRequest = 1

	probes    = 2
	probeWait = 200 * time.Millisecond
)

// Probe asks whether somebody on the link uses a, by ARP requests. It sends two
// of them, 200 ms apart, where RFC 5227 has three over several seconds: a house
// that waits for its uplink, or for an address, cannot wait for that. Who wants a
// for itself leaves from invalid, which makes them ARP probes (section 2.1.1).
// Who has an address on the link asks from that one, as for any neighbour: a
// client that is just taking a would have to see a claim in a probe. Probe
// returns who answered, or who else is probing for a, and the zero HWAddr if
// nobody did.
func Probe(ifname string, from, a netip.Addr) (dhcp.HWAddr, error) {
	ifi, err := findInterface(ifname)
	if err != nil {
		return dhcp.HWAddr{}, err
	}
	l, err := openLink(ifi, etherTypeARP, arpFilter(a))
	if err != nil {
		return dhcp.HWAddr{}, fmt.Errorf("ARP socket on %s: %w", ifname, err)
	}
	defer l.close()
	self := dhcp.HWAddr(ifi.HardwareAddr)
	for range probes {
		if err := l.write(appendARPRequest(nil, self, from, a), dhcp.BroadcastHW); err != nil {
			return dhcp.HWAddr{}, fmt.Errorf("probe for %v on %s: %w", a, ifname, err)
		}
		hw, err := awaitUser(l, self, a, time.Now().Add(probeWait))
		if err != nil {
			return dhcp.HWAddr{}, fmt.Errorf("probe for %v on %s: %w", a, ifname, err)
		}
		if hw != (dhcp.HWAddr{}) {
			return hw, nil
		}
	}
	return dhcp.HWAddr{}, nil
}

func awaitUser(l link, self dhcp.HWAddr, a netip.Addr, deadline time.Time) (dhcp.HWAddr, error) {
	l.setReadDeadline(deadline)
	b := make([]byte, 64)
	for {
		n, _, err := l.read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return dhcp.HWAddr{}, nil
		}
		if err != nil {
			return dhcp.HWAddr{}, err
		}
		if hw := arpUser(b[:n], a); hw != (dhcp.HWAddr{}) && hw != self {
			return hw, nil
		}
	}
}

func appendARPRequest(b []byte, self dhcp.HWAddr, from, a netip.Addr) []byte {
	b = binary.BigEndian.AppendUint16(b, 1) // Ethernet
	b = binary.BigEndian.AppendUint16(b, etherTypeIPv4)
	b = append(b, 6, 4)
	b = binary.BigEndian.AppendUint16(b, arpRequest)
	b = append(b, self[:]...)
	if !from.Is4() {
		from = netip.IPv4Unspecified()
	}
	b = append(b, from.AsSlice()...)
	b = append(b, make([]byte, 6)...)
	return append(b, a.AsSlice()...)
}

// arpUser returns who claims a in an ARP packet: its sender, or another probe's.
func arpUser(b []byte, a netip.Addr) dhcp.HWAddr {
	if len(b) < arpLen {
		return dhcp.HWAddr{}
	}
	sender, target := [4]byte(b[14:18]), [4]byte(b[24:28])
	probe := sender == [4]byte{} && binary.BigEndian.Uint16(b[6:]) == arpRequest && target == a.As4()
	if sender != a.As4() && !probe {
		return dhcp.HWAddr{}
	}
	return dhcp.HWAddr(b[8:14])
}

// arpFilter passes ARP for IPv4 over Ethernet that names a.
func arpFilter(a netip.Addr) []bpf.Instruction {
	b := a.As4()
	want := binary.BigEndian.Uint32(b[:])
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1<<16 | etherTypeIPv4, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 14, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: want, SkipTrue: 2},
		bpf.LoadAbsolute{Off: 24, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: want, SkipTrue: 1},
		bpf.RetConstant{Val: arpLen},
		bpf.RetConstant{Val: 0},
	}
}
