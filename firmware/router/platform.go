package router

import (
	"context"
	"net/netip"

	"leasehold/dhcp"
	"leasehold/dhcp/wire"
	"leasehold/firmware/link"
)

// A conn carries DHCP messages on one interface.
type conn interface {
	Receive() (dhcp.Datagram, error) // *wire.Malformed: the next one may be fine
	Send(dhcp.Datagram) error
	HW() dhcp.HWAddr
	Drops() uint64
	Close() error
}

// A platform is what the loops touch of the machine. Tests put another one in
// its place.
type platform struct {
	listen        func(ifname string, port uint16) (conn, error)
	probe         func(ifname string, a netip.Addr) (dhcp.HWAddr, error)
	up            func(ifname string) error
	addAddr       func(ifname string, a netip.Prefix) error
	removeAddr    func(ifname string, a netip.Prefix) error
	setUplink     func(ifname string, u link.Uplink) error
	clearUplink   func(ifname string) error
	watchCarrier  func(ctx context.Context, ifname string, changed func(up bool)) error
	writeResolver func(path string, dns []netip.Addr, domain string) error
}

var linux = platform{
	listen:        func(ifname string, port uint16) (conn, error) { return wire.Listen(ifname, port) },
	probe:         wire.Probe,
	up:            link.Up,
	addAddr:       link.AddAddr,
	removeAddr:    link.RemoveAddr,
	setUplink:     link.SetUplink,
	clearUplink:   link.ClearUplink,
	watchCarrier:  link.WatchCarrier,
	writeResolver: link.WriteResolver,
}
