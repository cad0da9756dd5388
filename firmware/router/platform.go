package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"leasehold/dhcp"
	"leasehold/dhcp/wire"
	"leasehold/firmware/flash"
	"leasehold/firmware/link"
	"leasehold/firmware/ring"
	"leasehold/firmware/status"
)

// A conn carries DHCP messages on one interface.
type conn interface {
	Receive() (dhcp.Datagram, error) // *wire.Malformed: the next one may be fine
	Send(dhcp.Datagram) error
	HW() dhcp.HWAddr
	Drops() uint64
	Refused() uint64
	SetPriority(int) error // of what is sent
	Close() error
}

// A device is the flash under the ring.
type device interface {
	ring.Device
	io.Closer
}

// A platform is what the loops touch of the machine. Tests put another one in
// its place.
type platform struct {
	openRing      func(p flash.Place, size int64) (device, error)
	readRing      func(p flash.Place) (device, error)
	listenPage    func(at netip.AddrPort) (net.Listener, error)
	listen        func(ifname string, port uint16) (conn, error)
	probe         func(ifname string, from, a netip.Addr) (dhcp.HWAddr, error)
	announce      func(ifname string, a netip.Addr) error
	guard         func(ctx context.Context, ifname string, a netip.Addr, claimed func(by dhcp.HWAddr)) error
	present       func(ifname string) link.Presence
	awaitPort     func(ctx context.Context, ifname string, was link.Presence) error
	addVLAN       func(ifname string) error
	mapPriority   func(ifname string, priority, tag int) error
	cloneMAC      func(ifname string, mac [6]byte) (had [6]byte, err error)
	permanentMAC  func(ifname string) ([6]byte, error)
	up            func(ifname string) error
	replug        func(bridge string) error
	addAddr       func(ifname string, a netip.Prefix) error
	removeAddr    func(ifname string, a netip.Prefix) error
	setUplink     func(ifname string, u link.Uplink) error
	clearUplink   func(ifname string) error
	hasUplink     func(ifname string, u link.Uplink) (bool, error)
	watchUplink   func(ctx context.Context, ifname string, lost func()) error
	watchCarrier  func(ctx context.Context, ifname string, changed func(link.Carrier)) error
	memory        func() status.Memory
	runScript     func(ctx context.Context, path, what string, env []string) (said string, err error)
	writeResolver func(path string, dns []netip.Addr, search []string) error
}

var linux = platform{
	openRing:      openFlash,
	readRing:      func(p flash.Place) (device, error) { return flash.OpenReadOnly(p) },
	listenPage:    listenPage,
	listen:        func(ifname string, port uint16) (conn, error) { return wire.Listen(ifname, port) },
	probe:         wire.Probe,
	announce:      wire.Announce,
	guard:         wire.Guard,
	present:       link.Present,
	awaitPort:     link.AwaitPort,
	addVLAN:       link.AddVLAN,
	mapPriority:   link.MapPriority,
	cloneMAC:      link.CloneMAC,
	permanentMAC:  link.PermanentMAC,
	up:            link.Up,
	replug:        link.Replug,
	addAddr:       link.AddAddr,
	removeAddr:    link.RemoveAddr,
	setUplink:     link.SetUplink,
	clearUplink:   link.ClearUplink,
	hasUplink:     link.HasUplink,
	watchUplink:   link.WatchUplink,
	watchCarrier:  link.WatchCarrier,
	memory:        readMemory,
	runScript:     runScript,
	writeResolver: link.WriteResolver,
}

// openFlash opens the flash under the ring. What that would change, a file that is
// to be made longer or an MTD that is to be unlocked, is looked at before, so that
// a wrong path harms nobody.
func openFlash(p flash.Place, size int64) (device, error) {
	if !isLong(p.Path, size) {
		if err := isRing(p); errors.Is(err, ring.ErrForeign) {
			return nil, notARing(p, err)
		}
	}
	return flash.Open(p, size)
}

func isLong(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() >= size
}

func isRing(p flash.Place) error {
	dev, err := flash.OpenReadOnly(p)
	if err != nil {
		return err
	}
	defer dev.Close()
	_, err = ring.Open(dev)
	return err
}

// listenPage listens also where the LAN's address is not yet set, or not any
// more (IP_FREEBIND), so that the page needs no turn after the LAN.
func listenPage(at netip.AddrPort) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if cerr := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_FREEBIND, 1)
		}); cerr != nil {
			return cerr
		}
		return err
	}}
	return lc.Listen(context.Background(), "tcp4", at.String())
}

// readMemory is what the kernel says: statm is in pages, meminfo in KiB.
func readMemory() (m status.Memory) {
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size, resident int64
		fmt.Sscan(string(text), &size, &resident)
		m.Resident = resident * int64(os.Getpagesize())
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, after, found := strings.Cut(string(text), "MemAvailable:"); found {
			fmt.Sscan(after, &m.Free)
			m.Free *= 1024
		}
	}
	return m
}
