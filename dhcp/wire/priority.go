package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"

	"leasehold/dhcp"
)

// A sender is a packet socket that receives nothing. What leaves it has a
// priority, which the socket of mdlayher/raw cannot be given.
type sender struct {
	fd  int
	ifi *net.Interface
}

// SetPriority has what is sent from now on carry a socket priority (SO_PRIORITY,
// socket(7)), which a VLAN port turns into the priority in its tag: some
// providers drop DHCP messages with another.
func (c *Conn) SetPriority(p int) error {
	if err := c.setPriority(p); err != nil {
		return fmt.Errorf("priority %d on %s: %w", p, c.ifi.Name, err)
	}
	return nil
}

func (c *Conn) setPriority(p int) error {
	udp, err := c.udp.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := udp.Control(func(fd uintptr) {
		serr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PRIORITY, p)
	}); err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return errors.Join(serr, err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_PRIORITY, p); err != nil {
		syscall.Close(fd)
		return errors.Join(serr, err)
	}
	c.sender.close()
	c.sender = &sender{fd, c.ifi}
	return serr
}

// write sends an IPv4 packet in a frame to an address.
func (s *sender) write(b []byte, to dhcp.HWAddr) error {
	at := &syscall.SockaddrLinklayer{Protocol: networkOrder(etherTypeIPv4), Ifindex: s.ifi.Index, Halen: uint8(len(to))}
	copy(at.Addr[:], to[:])
	return syscall.Sendto(s.fd, b, 0, at)
}

func (s *sender) close() error {
	if s == nil {
		return nil
	}
	return syscall.Close(s.fd)
}

// networkOrder is n as sll_protocol has it.
func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}
