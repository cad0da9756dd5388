package link

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// WatchUplink calls lost once it listens, and whenever an address or a route of an
// interface was removed or replaced, by ourselves perhaps, until ctx ends. Whether
// that was one of ours HasUplink tells.
func WatchUplink(ctx context.Context, ifname string, lost func()) error {
	ifi, err := findInterface(ifname)
	if err != nil {
		return err
	}
	conn, end, err := listen(ctx, unix.RTMGRP_IPV4_IFADDR|unix.RTMGRP_IPV4_ROUTE)
	if err != nil {
		return err
	}
	defer end()
	lost()
	for {
		messages, err := conn.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOBUFS): // some are missing
			lost()
		case err != nil:
			return fmt.Errorf("addresses and routes of %s: %w", ifname, err)
		case slices.ContainsFunc(messages, func(m netlink.Message) bool { return takes(m, ifi.Index) }):
			lost()
		}
	}
}

// takes reports whether a message says that an interface has lost something. What a
// route has replaced is not said; it may have been on another interface.
func takes(m netlink.Message, index int) bool {
	switch m.Header.Type {
	case unix.RTM_DELADDR:
		var a rtnetlink.AddressMessage
		return a.UnmarshalBinary(m.Data) == nil && a.Index == uint32(index)
	case unix.RTM_DELROUTE:
		var r rtnetlink.RouteMessage
		return r.UnmarshalBinary(m.Data) == nil && r.Attributes.OutIface == uint32(index)
	case unix.RTM_NEWROUTE:
		return m.Header.Flags&netlink.Replace != 0
	}
	return false
}

// HasUplink reports whether nothing of u is missing on an interface.
func HasUplink(ifname string, u Uplink) (bool, error) {
	p, err := open(ifname)
	if err != nil {
		return false, err
	}
	defer p.close()
	have, err := p.addrs()
	if err != nil {
		return false, err
	}
	if !slices.ContainsFunc(have, func(m rtnetlink.AddressMessage) bool { return isOurs(m) && prefix(m) == u.Addr }) {
		return false, nil
	}
	_, missing, err := p.compare(p.routes(u))
	return len(missing) == 0, err
}
