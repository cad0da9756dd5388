package wire

import (
	"context"
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

// Announce says once to all on the link that a is ours, by an ARP Announcement:
// "an ARP Announcement is identical to an ARP Probe, except that now the sender
// and target IP addresses are both set to the host's newly selected IPv4
// address". RFC 5227, section 2.3.
func Announce(ifname string, a netip.Addr) error {
	ifi, err := findInterface(ifname)
	if err != nil {
		return err
	}
	l, err := openLink(ifi, etherTypeARP, claimFilter(a))
	if err != nil {
		return fmt.Errorf("ARP socket on %s: %w", ifname, err)
	}
	defer l.close()
	if err := l.write(appendARPRequest(nil, dhcp.HWAddr(ifi.HardwareAddr), a, a), dhcp.BroadcastHW); err != nil {
		return fmt.Errorf("announce %v on %s: %w", a, ifname, err)
	}
	return nil
}

// Guard calls claimed with every other station that says that a is its own,
// until ctx ends or the interface is down or gone. All else that is on the link
// the kernel drops.
func Guard(ctx context.Context, ifname string, a netip.Addr, claimed func(by dhcp.HWAddr)) error {
	ifi, err := findInterface(ifname)
	if err != nil {
		return err
	}
	l, err := openLink(ifi, etherTypeARP, claimFilter(a))
	if err != nil {
		return fmt.Errorf("ARP socket on %s: %w", ifname, err)
	}
	stop := context.AfterFunc(ctx, func() { l.close() })
	defer func() {
		if stop() {
			l.close()
		}
	}()
	b := make([]byte, 64)
	for {
		n, _, err := l.read(b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("guard %v on %s: %w", a, ifname, err)
		}
		if by := arpUser(b[:n], a); by != (dhcp.HWAddr{}) && by != dhcp.HWAddr(ifi.HardwareAddr) {
			claimed(by)
		}
	}
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

// claimFilter passes ARP for IPv4 over Ethernet that comes from a.
func claimFilter(a netip.Addr) []bpf.Instruction {
	b := a.As4()
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1<<16 | etherTypeIPv4, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 14, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(b[:]), SkipTrue: 1},
		bpf.RetConstant{Val: arpLen},
		bpf.RetConstant{Val: 0},
	}
}
