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

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/jsimonetti/rtnetlink/v2/rtnl"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A port is one interface with a netlink connection to speak about it.
type port struct {
	ifi  *net.Interface
	conn *rtnl.Conn
}

func open(ifname string) (port, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return port{}, fmt.Errorf("interface %s: %w", ifname, err)
	}
	conn, err := rtnl.Dial(nil)
	if err != nil {
		return port{}, fmt.Errorf("netlink: %w", err)
	}
	return port{ifi, conn}, nil
}

func (p port) close() { p.conn.Close() }

func (p port) addrs() ([]netip.Prefix, error) {
	list, err := p.conn.Addrs(p.ifi, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", p.ifi.Name, err)
	}
	var out []netip.Prefix
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP.To4()); ok {
			ones, _ := n.Mask.Size()
			out = append(out, netip.PrefixFrom(a, ones))
		}
	}
	return out, nil
}

func (p port) add(a netip.Prefix) error {
	err := p.conn.AddrAdd(p.ifi, ipNet(a))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add %v to %s: %w", a, p.ifi.Name, err)
	}
	return nil
}

func (p port) remove(a netip.Prefix) error {
	if err := p.conn.AddrDel(p.ifi, ipNet(a)); err != nil {
		return fmt.Errorf("remove %v from %s: %w", a, p.ifi.Name, err)
	}
	return nil
}

func (p port) up() error {
	if err := p.conn.LinkUp(p.ifi); err != nil {
		return fmt.Errorf("set %s up: %w", p.ifi.Name, err)
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

// An Uplink is what a port that leads outside is to have.
type Uplink struct {
	Addr    netip.Prefix
	Gateway netip.Addr // invalid: no default route
	Metric  int        // of the default route
}

// SetUplink gives an interface exactly one address and the default route. What
// an earlier run left behind goes; what is right already is not touched.
func SetUplink(ifname string, u Uplink) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.keepOnly(u.Addr); err != nil {
		return err
	}
	if err := p.add(u.Addr); err != nil {
		return err
	}
	if !u.Gateway.IsValid() {
		return nil
	}
	err = p.conn.RouteReplace(p.ifi, defaultNet, u.Gateway.AsSlice(), rtnl.WithRouteAttrs(rtnetlink.RouteAttributes{
		OutIface: uint32(p.ifi.Index),
		Gateway:  u.Gateway.AsSlice(),
		Priority: uint32(u.Metric),
	}))
	if err != nil {
		return fmt.Errorf("default route by %v on %s: %w", u.Gateway, p.ifi.Name, err)
	}
	return nil
}

// ClearUplink takes every address off an interface; the kernel takes its routes
// with them.
func ClearUplink(ifname string) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	return p.keepOnly(netip.Prefix{})
}

func (p port) keepOnly(keep netip.Prefix) error {
	have, err := p.addrs()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range have {
		if a != keep {
			errs = append(errs, p.remove(a))
		}
	}
	return errors.Join(errs...)
}

// WatchCarrier calls changed with whether a cable is in, once at the start and
// at every change, until ctx ends or the interface is gone.
func WatchCarrier(ctx context.Context, ifname string, changed func(up bool)) error {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return fmt.Errorf("interface %s: %w", ifname, err)
	}
	conn, err := rtnetlink.Dial(&netlink.Config{Groups: unix.RTMGRP_LINK})
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		if stop() {
			conn.Close()
		}
	}()
	up := ifi.Flags&net.FlagRunning != 0
	changed(up)
	for {
		msgs, _, err := conn.Receive()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("carrier of %s: %w", ifname, err)
		}
		for _, m := range msgs {
			l, ok := m.(*rtnetlink.LinkMessage)
			if !ok || int(l.Index) != ifi.Index {
				continue
			}
			if now := l.Flags&unix.IFF_RUNNING != 0; now != up {
				up = now
				changed(up)
			}
		}
	}
}

var defaultNet = net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
