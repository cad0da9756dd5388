package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"

	"leasehold/dhcp"
)

const (
	ipv4HeaderLen = 20
	udpHeaderLen  = 8
	protoUDP      = 17
	ttl           = 64
)

// appendFrame appends an IPv4 packet with one UDP datagram.
func appendFrame(b []byte, from, to netip.AddrPort, payload []byte) []byte {
	udpLen := udpHeaderLen + len(payload)
	start := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4HeaderLen+udpLen))
	b = append(b, 0, 0, 0, 0, ttl, protoUDP, 0, 0)
	b = append(b, from.Addr().AsSlice()...)
	b = append(b, to.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(b[start+10:], ^fold(sum(0, b[start:])))

	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpLen))
	b = append(b, 0, 0)
	b = append(b, payload...)
	check := ^fold(sum(pseudoSum(b[start:], udpLen), b[udp:]))
	if check == 0 {
		check = 0xffff // zero would mean "no checksum": RFC 768
	}
	binary.BigEndian.PutUint16(b[udp+6:], check)
	return b
}

// parseFrame takes apart an IPv4 packet with one UDP datagram. The payload
// aliases b.
func parseFrame(b []byte) (from, to netip.AddrPort, payload []byte, err error) {
	if len(b) < ipv4HeaderLen || b[0]>>4 != 4 {
		return from, to, nil, fmt.Errorf("packet of %d octets: no IPv4 header", len(b))
	}
	headerLen := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case headerLen < ipv4HeaderLen || total < headerLen+udpHeaderLen || total > len(b):
		return from, to, nil, fmt.Errorf("IPv4 packet of %d octets: header says %d of %d", len(b), headerLen, total)
	case b[9] != protoUDP:
		return from, to, nil, fmt.Errorf("IP protocol %d: not UDP", b[9])
	case binary.BigEndian.Uint16(b[6:])&0x3fff != 0:
		return from, to, nil, fmt.Errorf("IPv4 fragment")
	case fold(sum(0, b[:headerLen])) != 0xffff:
		return from, to, nil, fmt.Errorf("IPv4 header checksum is wrong")
	}
	udp := b[headerLen:total]
	udpLen := int(binary.BigEndian.Uint16(udp[4:]))
	if udpLen < udpHeaderLen || udpLen > len(udp) {
		return from, to, nil, fmt.Errorf("UDP datagram of %d octets in %d", udpLen, len(udp))
	}
	udp = udp[:udpLen]
	if !checksumOK(b, udp) {
		return from, to, nil, fmt.Errorf("UDP checksum is wrong")
	}
	from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(udp))
	to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(udp[2:]))
	return from, to, udp[udpHeaderLen:], nil
}

// checksumOK accepts, beside a right checksum and none, what a local sender
// leaves for a network card to complete: on virtual links nobody does, and the
// field holds the sum of the pseudo header only.
func checksumOK(ip, udp []byte) bool {
	check := binary.BigEndian.Uint16(udp[6:])
	pseudo := pseudoSum(ip, len(udp))
	return check == 0 || check == fold(pseudo) || fold(sum(pseudo, udp)) == 0xffff
}

func pseudoSum(ip []byte, udpLen int) uint32 {
	return sum(protoUDP+uint32(udpLen), ip[12:20])
}

// sum adds b, as big-endian 16-bit words, to s (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// dhcpFilter passes whole UDP datagrams to port, and what servers send to clients
// in any case: to the client's port only from the server's, so that an NTP packet
// between odd ports is not taken for DHCP. Messages of the origins that are shut out
// do not pass.
func dhcpFilter(port uint16, shut ...origin) []bpf.Instruction {
	const drop = 255 // patched below to the distance to the last instruction
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoUDP, SkipTrue: drop},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: drop},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 2, Size: 2},
	}
	if port == dhcp.ServerPort {
		// It is for us, or another server's answer: ours are not shown to us.
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: dhcp.ServerPort, SkipTrue: uint8(8*len(shut) + 1)})
		for _, o := range shut {
			p = append(p,
				bpf.LoadIndirect{Off: udpHeaderLen + chaddrOff, Size: 4},
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: head(o.client), SkipTrue: 6},
				bpf.LoadIndirect{Off: udpHeaderLen + chaddrOff + 4, Size: 2},
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: tail(o.client), SkipTrue: 4},
				bpf.LoadAbsolute{Off: stationOff, Size: 4},
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: head(o.station), SkipTrue: 2},
				bpf.LoadAbsolute{Off: stationOff + 4, Size: 2},
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: tail(o.station), SkipTrue: drop})
		}
		p = append(p, bpf.RetConstant{Val: 0xffff})
	}
	p = append(p,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: dhcp.ClientPort, SkipTrue: drop},
		bpf.LoadIndirect{Off: 0, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: dhcp.ServerPort, SkipTrue: drop},
		bpf.RetConstant{Val: 0xffff}, bpf.RetConstant{Val: 0})
	for i, ins := range p {
		if j, ok := ins.(bpf.JumpIf); ok && j.SkipTrue == drop {
			j.SkipTrue = uint8(len(p) - 2 - i)
			p[i] = j
		}
	}
	return p
}

// stationOff is where a filter finds the source of the frame that a packet came in:
// SKF_LL_OFF, linux/filter.h, and behind the destination.
const stationOff = 0xffe00000 + 6

// head and tail are what of a hardware address is compared at a time.
func head(hw dhcp.HWAddr) uint32 { return binary.BigEndian.Uint32(hw[:]) }
func tail(hw dhcp.HWAddr) uint32 { return uint32(binary.BigEndian.Uint16(hw[4:])) }
