package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Presence is which interface stands behind a name now: one that is made anew,
// as by a USB modem that starts again, has another index. Zero: none.
type Presence struct {
	Port   int
	Parent int // of a VLAN such as eth0.2: that of eth0
}

// Present looks for an interface.
func Present(ifname string) Presence {
	p := Presence{Port: index(ifname)}
	if parent, _, ok := SplitVLAN(ifname); ok {
		p.Parent = index(parent)
	}
	return p
}

func index(ifname string) int {
	ifi, err := findInterface(ifname)
	if err != nil {
		return 0
	}
	return ifi.Index
}

// AwaitPort waits until the interface, or what its VLAN is on, is there and is
// not what it was, or until ctx ends.
func AwaitPort(ctx context.Context, ifname string, was Presence) error {
	return awaitLinks(ctx, func() bool {
		is := Present(ifname)
		return is.Port != 0 && is.Port != was.Port || is.Parent != 0 && is.Parent != was.Parent
	})
}

// awaitLinks waits until ready says so, which it asks at every change of a link,
// or until ctx ends.
func awaitLinks(ctx context.Context, ready func() bool) error {
	conn, end, err := listen(ctx, unix.RTMGRP_LINK)
	if err != nil {
		return err
	}
	defer end()
	for {
		// After the subscription, so that none comes unseen in between.
		if ready() || ctx.Err() != nil {
			return nil
		}
		_, err := conn.Receive()
		if err != nil && ctx.Err() == nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("netlink: %w", err)
		}
	}
}

// MapPriority has a VLAN port send what has the socket priority n (SO_PRIORITY)
// with so many as the priority in its tag.
func MapPriority(ifname string, n, tag int) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	attrs := netlink.NewAttributeEncoder()
	attrs.Nested(unix.IFLA_VLAN_EGRESS_QOS, func(e *netlink.AttributeEncoder) error {
		pair := binary.NativeEndian.AppendUint32(nil, uint32(n))
		e.Bytes(unix.IFLA_VLAN_QOS_MAPPING, binary.NativeEndian.AppendUint32(pair, uint32(tag)))
		return nil
	})
	data, err := attrs.Encode()
	if err != nil {
		return err
	}
	// RTM_SETLINK would not look at what is the VLAN's own.
	_, err = p.conn.Execute(&rtnetlink.LinkMessage{
		Index: uint32(p.ifi.Index),
		Attributes: &rtnetlink.LinkAttributes{
			Info: &rtnetlink.LinkInfo{Kind: "vlan", Data: &rtnetlink.LinkData{Name: "vlan", Data: data}},
		},
	}, unix.RTM_NEWLINK, netlink.Request|netlink.Acknowledge)
	if err != nil {
		return fmt.Errorf("priority %d of %s: %w", tag, ifname, err)
	}
	return nil
}

// CloneMAC gives an interface another MAC address, and sets it down for that
// where its driver asks for it. What is right already is not touched. It returns
// the address that the interface had.
func CloneMAC(ifname string, mac [6]byte) (had [6]byte, err error) {
	p, err := open(ifname)
	if err != nil {
		return had, err
	}
	defer p.close()
	copy(had[:], p.ifi.HardwareAddr)
	if had == mac {
		return had, nil
	}
	err = p.setMAC(mac)
	if errors.Is(err, unix.EBUSY) {
		if err := p.setUp(false); err != nil {
			return had, err
		}
		err = errors.Join(p.setMAC(mac), p.up())
	}
	return had, err
}

// PermanentMAC is the MAC address that the driver of an interface has found in it;
// zero where there is none, or the kernel does not tell (before 5.6).
func PermanentMAC(ifname string) (mac [6]byte, err error) {
	ifi, err := findInterface(ifname)
	if err != nil {
		return mac, err
	}
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return mac, fmt.Errorf("netlink: %w", err)
	}
	defer conn.Close()
	request, err := (&rtnetlink.LinkMessage{Index: uint32(ifi.Index)}).MarshalBinary()
	if err != nil {
		return mac, err
	}
	answers, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request},
		Data:   request,
	})
	if err != nil {
		return mac, fmt.Errorf("permanent MAC address of %s: %w", ifname, err)
	}
	for _, a := range answers {
		if len(a.Data) < unix.SizeofIfInfomsg {
			continue
		}
		attrs, err := netlink.NewAttributeDecoder(a.Data[unix.SizeofIfInfomsg:])
		if err != nil {
			return mac, err
		}
		for attrs.Next() {
			if attrs.Type() == unix.IFLA_PERM_ADDRESS {
				copy(mac[:], attrs.Bytes())
			}
		}
	}
	return mac, nil
}

func (p port) setMAC(mac [6]byte) error {
	err := p.conn.Link.Set(&rtnetlink.LinkMessage{
		Index:      uint32(p.ifi.Index),
		Attributes: &rtnetlink.LinkAttributes{Address: net.HardwareAddr(mac[:])},
	})
	if err != nil {
		return fmt.Errorf("set the MAC address of %s to %v: %w", p.ifi.Name, net.HardwareAddr(mac[:]), err)
	}
	return nil
}

// unplugged is how long Replug leaves cables out: long enough for every driver
// at the other end to see it.
const unplugged = 2 * time.Second

// Replug takes the carrier from the cables of a bridge for a moment, so that who
// is at the other end asks DHCP again. Ports without a cable are left alone: what
// makes an access point of them does not expect that.
func Replug(bridge string) error {
	b, err := open(bridge)
	if err != nil {
		return err
	}
	defer b.close()
	links, err := b.conn.Link.List()
	if err != nil {
		return fmt.Errorf("ports of %s: %w", bridge, err)
	}
	var ports []port
	for _, l := range links {
		if at := l.Attributes; at != nil && at.Master != nil && *at.Master == uint32(b.ifi.Index) &&
			l.Flags&unix.IFF_UP != 0 && !wireless(at.Name) {
			ports = append(ports, port{&net.Interface{Index: int(l.Index), Name: at.Name}, b.conn})
		}
	}
	var errs []error
	for _, p := range ports {
		errs = append(errs, p.setUp(false))
	}
	time.Sleep(unplugged)
	for _, p := range ports {
		errs = append(errs, p.up())
	}
	return errors.Join(errs...)
}

func wireless(ifname string) bool {
	_, err := os.Stat("/sys/class/net/" + ifname + "/phy80211")
	return err == nil
}
