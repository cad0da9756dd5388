// Package link sets up the router's ports: addresses, the default route, the
// resolver file, and word of when a cable goes in. It speaks netlink, runs no
// program and knows nothing of DHCP.
package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A port is one interface with a netlink connection to speak about it.
type port struct {
	ifi  *net.Interface
	conn *rtnetlink.Conn
}

func open(ifname string) (port, error) {
	ifi, err := findInterface(ifname)
	if err != nil {
		return port{}, err
	}
	conn, err := rtnetlink.Dial(nil)
	if err != nil {
		return port{}, fmt.Errorf("netlink: %w", err)
	}
	return port{ifi, conn}, nil
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

func (p port) close() { p.conn.Close() }

func (p port) addrs() ([]rtnetlink.AddressMessage, error) {
	list, err := p.conn.Address.List()
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", p.ifi.Name, err)
	}
	return slices.DeleteFunc(list, func(m rtnetlink.AddressMessage) bool {
		return m.Index != uint32(p.ifi.Index) || m.Family != unix.AF_INET || m.Attributes == nil
	}), nil
}

// prefix is the address of a message that the kernel sent.
func prefix(m rtnetlink.AddressMessage) netip.Prefix {
	a, _ := netip.AddrFromSlice(m.Attributes.Local.To4())
	return netip.PrefixFrom(a, int(m.PrefixLength))
}

// message names an address of the port. The kernel takes one without Local for
// any address of that network.
func (p port) message(a netip.Prefix) *rtnetlink.AddressMessage {
	ip := a.Addr().AsSlice()
	m := &rtnetlink.AddressMessage{
		Family:       unix.AF_INET,
		PrefixLength: uint8(a.Bits()),
		Scope:        unix.RT_SCOPE_UNIVERSE,
		Index:        uint32(p.ifi.Index),
		Attributes:   &rtnetlink.AddressAttributes{Address: ip, Local: ip},
	}
	if a.Bits() < 31 {
		m.Attributes.Broadcast = broadcast(a)
	}
	return m
}

func (p port) add(a netip.Prefix) error {
	if err := p.conn.Address.New(p.message(a)); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add %v to %s: %w", a, p.ifi.Name, err)
	}
	return nil
}

// remove takes an address off. One that is gone already is fine: the kernel
// removes the others of a network together with the first.
func (p port) remove(a netip.Prefix) error {
	if err := p.conn.Address.Delete(p.message(a)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove %v from %s: %w", a, p.ifi.Name, err)
	}
	return nil
}

func (p port) up() error { return p.setUp(true) }

func (p port) setUp(up bool) error {
	m := &rtnetlink.LinkMessage{Index: uint32(p.ifi.Index), Change: unix.IFF_UP}
	word := "down"
	if up {
		m.Flags, word = unix.IFF_UP, "up"
	}
	if err := p.conn.Link.Set(m); err != nil {
		return fmt.Errorf("set %s %s: %w", p.ifi.Name, word, err)
	}
	return nil
}

// Up sets an interface up and leaves its addresses alone.
func Up(ifname string) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	return p.up()
}

// AddAddr sets an interface up with the address, beside those that it has.
func AddAddr(ifname string, a netip.Prefix) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.add(a); err != nil {
		return err
	}
	return p.up()
}

// RemoveAddr takes the address off an interface.
func RemoveAddr(ifname string, a netip.Prefix) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	return p.remove(a)
}

// Carrier is what is known of the cable of a port: whether it is in, and how often
// it was lost since the watch began.
type Carrier struct {
	Up   bool
	Lost uint32
}

// WatchCarrier calls changed with what is true of the cable, once at the start and
// at every change, until ctx ends or the interface is gone. A cable that is out for
// less than a second may be in again when the first word of it comes: Lost tells.
func WatchCarrier(ctx context.Context, ifname string, changed func(Carrier)) error {
	conn, end, err := listen(ctx, unix.RTMGRP_LINK)
	if err != nil {
		return err
	}
	defer end()
	was, changes, err := carrier(ifname)
	if err != nil {
		return err
	}
	changed(was)
	// What the kernel sends only says that something is new, and may be late or
	// lost (ENOBUFS); what is true it is asked for.
	for {
		_, err := conn.Receive()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("carrier of %s: %w", ifname, err)
		}
		now, n, err := carrier(ifname)
		if err != nil {
			return err
		}
		now.Lost = was.Lost
		if was.Up && n != changes {
			now.Lost++
		}
		if changes = n; now != was {
			changed(now)
			was = now
		}
	}
}

// listen subscribes to what the kernel tells groups of listeners. The subscription
// ends with ctx, or by end.
func listen(ctx context.Context, groups uint32) (conn *netlink.Conn, end func(), err error) {
	conn, err = netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: groups})
	if err != nil {
		return nil, nil, fmt.Errorf("netlink: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return conn, func() {
		if stop() {
			conn.Close()
		}
	}, nil
}

// carrier asks whether a cable is in, and how often that changed. It is in by
// IFF_LOWER_UP: IFF_RUNNING follows it as late as a second after the interface was
// set up.
func carrier(ifname string) (now Carrier, changes uint32, err error) {
	p, err := open(ifname)
	if err != nil {
		return Carrier{}, 0, err
	}
	defer p.close()
	l, err := p.conn.Link.Get(uint32(p.ifi.Index))
	if err != nil {
		return Carrier{}, 0, fmt.Errorf("carrier of %s: %w", ifname, err)
	}
	if l.Attributes != nil && l.Attributes.CarrierChanges != nil {
		changes = *l.Attributes.CarrierChanges
	}
	return Carrier{Up: l.Flags&unix.IFF_LOWER_UP != 0}, changes, nil
}

// broadcast is the last address of p's network.
func broadcast(p netip.Prefix) net.IP {
	a := p.Addr().As4()
	for i, m := range net.CIDRMask(p.Bits(), 32) {
		a[i] |= ^m
	}
	return a[:]
}
