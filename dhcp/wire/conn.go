// Package wire carries DHCP messages and ARP probes over Ethernet. It is the
// only place that opens a socket for them.
//
// A DHCP server answers clients that have no address yet and cannot answer ARP,
// and a client speaks before it has one; so messages travel as frames that we
// address ourselves, over packet sockets with a filter that was in place before
// they were bound. A UDP socket beside them keeps the kernel from answering
// "port unreachable" for a port that it knows nothing of, and sends what the
// kernel is to route.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"leasehold/dhcp"
)

const (
	etherTypeIPv4 = 0x0800
	etherTypeARP  = 0x0806
	maxPacket     = 1 << 16 // jumbo frames included
)

// A Conn sends and receives DHCP messages on one interface.
type Conn struct {
	ifi  *net.Interface
	link link
	udp  *net.UDPConn
	buf  []byte
	out  []byte
	lost uint64

	gate    gate // belongs to who calls Receive
	refused atomic.Uint64
	door    door

	sender *sender // in place of link; nil: nobody asked for a priority
}

// Listen opens the interface for messages to port, dhcp.ServerPort or
// dhcp.ClientPort. The error says when another program has that port.
func Listen(ifname string, port uint16) (*Conn, error) {
	ifi, err := findInterface(ifname)
	if err != nil {
		return nil, err
	}
	if len(ifi.HardwareAddr) != 6 {
		return nil, fmt.Errorf("interface %s: not Ethernet", ifname)
	}
	udp, err := listenUDP(ifname, port)
	if err != nil {
		return nil, err
	}
	l, err := openLink(ifi, etherTypeIPv4, dhcpFilter(port))
	if err != nil {
		udp.Close()
		return nil, fmt.Errorf("packet socket on %s: %w", ifname, err)
	}
	return &Conn{ifi: ifi, link: l, udp: udp, buf: make([]byte, maxPacket), door: door{link: l}}, nil
}

// findInterface is net.InterfaceByName without its words about routes.
func findInterface(ifname string) (*net.Interface, error) {
	ifi, err := net.InterfaceByName(ifname)
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", ifname, err)
	}
	return ifi, nil
}

// listenUDP takes the port on one interface. What arrives there is read from
// the packet socket; this queue is kept as small as the kernel allows.
func listenUDP(ifname string, port uint16) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptString(int(fd), syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, ifname)
		}); cerr != nil {
			return cerr
		}
		return err
	}}
	pc, err := lc.ListenPacket(context.Background(), "udp4", fmt.Sprintf("0.0.0.0:%d", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("UDP port %d on %s: another DHCP program has it", port, ifname)
	} else if err != nil {
		return nil, fmt.Errorf("UDP port %d on %s: %w", port, ifname, err)
	}
	udp := pc.(*net.UDPConn)
	udp.SetReadBuffer(1)
	return udp, nil
}

// HW is the interface's own address.
func (c *Conn) HW() dhcp.HWAddr { return dhcp.HWAddr(c.ifi.HardwareAddr) }

// A Malformed error is about one packet; the next one may be fine.
type Malformed struct {
	From dhcp.HWAddr
	Err  error
}

func (m *Malformed) Error() string { return fmt.Sprintf("packet from %v: %v", m.From, m.Err) }
func (m *Malformed) Unwrap() error { return m.Err }

// Receive waits for the next message. It returns *Malformed for a packet that
// is none; any other error means that the Conn was closed, or that the interface
// is down or gone and the Conn has to be opened anew.
func (c *Conn) Receive() (dhcp.Datagram, error) {
	n, hw, err := c.read()
	if err != nil {
		return dhcp.Datagram{}, fmt.Errorf("receive on %s: %w", c.ifi.Name, err)
	}
	began := time.Now()
	defer func() { c.gate.spent(time.Since(began)) }()
	d, err := parseDatagram(c.buf[:n], hw)
	if err != nil {
		return dhcp.Datagram{}, &Malformed{hw, err}
	}
	return d, nil
}

// read waits for the next packet that is to be looked at.
func (c *Conn) read() (int, dhcp.HWAddr, error) {
	for {
		n, hw, err := c.link.read(c.buf)
		if err != nil {
			return n, hw, err
		}
		from := originOf(c.buf[:n], hw)
		ok, flood := c.gate.admit(time.Now(), from)
		if ok {
			return n, hw, nil
		}
		c.refused.Add(1)
		if flood {
			c.door.shut(from)
		}
	}
}

// Refused is how many messages were not read, because their sender or all
// together sent too many.
func (c *Conn) Refused() uint64 { return c.refused.Load() }

// parseDatagram reads the IPv4 packet that came in a frame from hw.
func parseDatagram(b []byte, hw dhcp.HWAddr) (dhcp.Datagram, error) {
	from, to, payload, err := parseFrame(b)
	if err != nil {
		return dhcp.Datagram{}, err
	}
	m, err := dhcp.Parse(payload)
	if err != nil {
		return dhcp.Datagram{}, err
	}
	return dhcp.Datagram{Msg: m, From: from, To: to, HW: hw}, nil
}

// Send sends d in a frame to d.HW, or has the kernel route it where d.HW is
// zero. It is for one goroutine at a time.
func (c *Conn) Send(d dhcp.Datagram) error {
	payload := dhcp.Encode(d.Msg, d.Asked, d.Limit)
	if d.HW == (dhcp.HWAddr{}) {
		if _, _, err := c.udp.WriteMsgUDPAddrPort(payload, source(d.From.Addr()), d.To); err != nil {
			return fmt.Errorf("send on %s: %w", c.ifi.Name, err)
		}
		return nil
	}
	if !d.From.Addr().Is4() || !d.To.Addr().Is4() {
		return fmt.Errorf("send on %s from %v to %v: not IPv4", c.ifi.Name, d.From, d.To)
	}
	c.out = appendFrame(c.out[:0], d.From, d.To, payload)
	write := c.link.write
	if c.sender != nil {
		write = c.sender.write
	}
	if err := write(c.out, d.HW); err != nil {
		return fmt.Errorf("send on %s to %v: %w", c.ifi.Name, d.HW, err)
	}
	return nil
}

// source has the kernel send from an address of ours. Where the interface has
// several it would choose by the route.
func source(from netip.Addr) []byte {
	if !from.Is4() || from.IsUnspecified() {
		return nil
	}
	return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4()})
}

// Drops is how many messages the kernel threw away because we were too slow. It
// is for one goroutine at a time.
func (c *Conn) Drops() uint64 {
	c.lost += c.link.drops()
	return c.lost
}

// Close ends Receive.
func (c *Conn) Close() error {
	return errors.Join(c.link.close(), c.udp.Close(), c.sender.close())
}
