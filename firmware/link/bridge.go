package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// AwaitPorts waits until every interface is there or ctx ends, and returns those
// that are still missing.
func AwaitPorts(ctx context.Context, names ...string) ([]string, error) {
	absent := missing(names)
	err := awaitLinks(ctx, func() bool {
		absent = missing(names)
		return len(absent) == 0
	})
	return absent, err
}

func missing(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := findInterface(name)
		return err == nil
	})
}

// SplitVLAN takes eth0.2 apart. Any other name is an interface of its own.
func SplitVLAN(ifname string) (parent string, id int, ok bool) {
	parent, digits, ok := strings.Cut(ifname, ".")
	n, err := strconv.ParseUint(digits, 10, 12)
	if !ok || err != nil || parent == "" || n == 0 || n == 4095 {
		return "", 0, false
	}
	return parent, int(n), true
}

// AddVLAN makes eth0.2 of eth0 and sets eth0 up. One that is there is fine.
func AddVLAN(ifname string) error {
	parent, id, ok := SplitVLAN(ifname)
	if !ok {
		return fmt.Errorf("%s: no VLAN such as eth0.2", ifname)
	}
	p, err := open(parent)
	if err != nil {
		return err
	}
	defer p.close()
	attrs := netlink.NewAttributeEncoder()
	attrs.Uint16(unix.IFLA_VLAN_ID, uint16(id))
	data, err := attrs.Encode()
	if err != nil {
		return err
	}
	err = p.conn.Link.New(&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Name: ifname,
		Type: uint32(p.ifi.Index),
		Info: &rtnetlink.LinkInfo{Kind: "vlan", Data: &rtnetlink.LinkData{Name: "vlan", Data: data}},
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add VLAN %s: %w", ifname, err)
	}
	return p.up()
}

// AddBridge makes a bridge. One that is there is fine.
func AddBridge(ifname string) error {
	conn, err := rtnetlink.Dial(nil)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer conn.Close()
	err = conn.Link.New(&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Name: ifname,
		Info: &rtnetlink.LinkInfo{Kind: "bridge"},
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add bridge %s: %w", ifname, err)
	}
	return nil
}

// Enslave makes an interface a port of a bridge and sets it up.
func Enslave(bridge, ifname string) error {
	b, err := findInterface(bridge)
	if err != nil {
		return err
	}
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	master := uint32(b.Index)
	err = p.conn.Link.Set(&rtnetlink.LinkMessage{
		Index:      uint32(p.ifi.Index),
		Attributes: &rtnetlink.LinkAttributes{Master: &master},
	})
	if err != nil {
		return fmt.Errorf("put %s into %s: %w", ifname, bridge, err)
	}
	return p.up()
}

// SetMAC gives an interface that is down another MAC address.
func SetMAC(ifname string, mac [6]byte) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	return p.setMAC(mac)
}
