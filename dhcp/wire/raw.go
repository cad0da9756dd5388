package wire

import (
	"net"
	"slices"
	"time"

	"github.com/mdlayher/raw"
	"golang.org/x/net/bpf"

	"leasehold/dhcp"
)

// A link is a packet socket on one interface and one EtherType. It carries what
// follows the Ethernet header; the kernel writes that header.
//
// This file is the only one that knows github.com/mdlayher/raw, which its
// author has deprecated in favour of mdlayher/packet.
type link struct{ conn *raw.Conn }

// openLink has the filter in place before the socket is bound, so that nothing
// that it would have dropped is ever queued. The filter sees the packet from its
// network header on.
func openLink(ifi *net.Interface, etherType uint16, filter []bpf.Instruction) (link, error) {
	prog, err := assemble(filter)
	if err != nil {
		return link{}, err
	}
	conn, err := raw.ListenPacket(ifi, etherType, &raw.Config{
		LinuxSockDGRAM: true,
		Filter:         prog,
		// raw would add its counters up with 64-bit atomics that are not aligned
		// on 32-bit CPUs, and panic there.
		NoCumulativeStats: true,
	})
	return link{conn}, err
}

func assemble(filter []bpf.Instruction) ([]bpf.RawInstruction, error) {
	return bpf.Assemble(append(slices.Clone(forUs), filter...))
}

// setFilter puts another filter in place of the one that is.
func (l link) setFilter(filter []bpf.Instruction) error {
	prog, err := assemble(filter)
	if err != nil {
		return err
	}
	return l.conn.SetBPF(prog)
}

// forUs drops frames that are addressed to other stations; a port in promiscuous
// mode, as under a packet sniffer, is shown them too.
var forUs = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOtherHost, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
}

const packetOtherHost = 3 // PACKET_OTHERHOST, packet(7)

func (l link) read(b []byte) (int, dhcp.HWAddr, error) {
	n, from, err := l.conn.ReadFrom(b)
	if err != nil {
		return 0, dhcp.HWAddr{}, err
	}
	var hw dhcp.HWAddr
	if a, ok := from.(*raw.Addr); ok {
		copy(hw[:], a.HardwareAddr)
	}
	return n, hw, nil
}

func (l link) write(b []byte, to dhcp.HWAddr) error {
	_, err := l.conn.WriteTo(b, &raw.Addr{HardwareAddr: to[:]})
	return err
}

func (l link) setReadDeadline(t time.Time) { l.conn.SetReadDeadline(t) }

// drops is how many packets passed the filter and found the queue full, since
// it was last asked.
func (l link) drops() uint64 {
	s, err := l.conn.Stats()
	if err != nil {
		return 0
	}
	return s.Drops
}

func (l link) close() error { return l.conn.Close() }
