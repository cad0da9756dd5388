package client

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A Route is the way to a network other than that of the lease's address.
type Route struct {
	Prefix  netip.Prefix // masked; 0.0.0.0/0: the default route
	Gateway netip.Addr   // invalid: its hosts are on the link
}

// optMSRoutes is where Windows looked for what RFC 3442 then put into 121.
const optMSRoutes = dhcpv4.GenericOptionCode(249)

// maxRoutes bounds what one answer can put into the kernel.
const maxRoutes = 128

// routes are where an answer sends us; own is the address that it grants.
//
// "If the DHCP server returns both a Classless Static Routes option and a Router
// option, the DHCP client MUST ignore the Router option. Similarly, if the DHCP
// server returns both a Classless Static Routes option and a Static Routes
// option, the DHCP client MUST ignore the Static Routes option." RFC 3442. One
// that cannot be read counts as none.
func (m *Machine) routes(o dhcpv4.Options, own netip.Addr) []Route {
	var list []Route
	if !m.cfg.NoClassless {
		list = classless(o.Get(dhcpv4.OptionClasslessStaticRoute))
		if list == nil {
			list = classless(o.Get(optMSRoutes))
		}
	}
	if list == nil {
		list = classful(o.Get(dhcpv4.OptionStaticRoutingTable))
		if routers := hosts(dhcpv4.GetIPs(dhcpv4.OptionRouter, o)); len(routers) > 0 {
			list = append(list, Route{netip.PrefixFrom(netip.IPv4Unspecified(), 0), routers[0]})
		}
	}
	var out []Route
	for _, r := range list {
		if r.Gateway == own { // as a few say "on the link"
			r.Gateway = netip.Addr{}
		}
		known := slices.ContainsFunc(out, func(o Route) bool { return o.Prefix == r.Prefix })
		if !known && len(out) < maxRoutes {
			out = append(out, r)
		}
	}
	return out
}

// classless reads the value of option 121, nil where it is nonsense: for each
// route the length of the mask, the octets of the network that are not zero for
// it, and the router.
func classless(b []byte) []Route {
	var list []Route
	for len(b) > 0 {
		bits := int(b[0])
		n := (bits + 7) / 8
		if bits > 32 || len(b) < 1+n+4 {
			return nil
		}
		var network [4]byte
		copy(network[:], b[1:1+n])
		list = appendRoute(list, netip.PrefixFrom(netip.AddrFrom4(network), bits), b[1+n:])
		b = b[1+n+4:]
	}
	return list
}

// classful reads option 33: pairs of a destination, of which the class says how
// much is network, and a router. "The default route (0.0.0.0) is an illegal
// destination for a static route." RFC 2132, section 5.8.
func classful(b []byte) []Route {
	var list []Route
	for ; len(b) >= 8; b = b[8:] {
		to := netip.AddrFrom4([4]byte(b))
		bits := 24
		switch first := b[0]; {
		case first < 128:
			bits = 8
		case first < 192:
			bits = 16
		}
		if netip.PrefixFrom(to, bits).Masked().Addr() != to {
			bits = 32
		}
		if !to.IsUnspecified() {
			list = appendRoute(list, netip.PrefixFrom(to, bits), b[4:])
		}
	}
	return list
}

// appendRoute leaves out what leads nowhere. Router 0.0.0.0 is on the link.
func appendRoute(list []Route, to netip.Prefix, router []byte) []Route {
	to = to.Masked()
	gateway := netip.AddrFrom4([4]byte(router))
	switch {
	case to.Bits() >= 8 && usable(to.Addr()) != nil:
		return list
	case gateway.IsUnspecified():
		gateway = netip.Addr{}
	case usable(gateway) != nil:
		return list
	}
	return append(list, Route{to, gateway})
}

// minMTU is the least that is believed: "every internet module must be able
// [...] to receive a datagram of 576 octets", RFC 791. Option 26 may say as
// little as 68, which is known from servers that are broken only.
const minMTU = 576

// mtu is option 26, zero where it says nothing or nonsense.
func mtu(o dhcpv4.Options) int {
	b := o.Get(dhcpv4.OptionInterfaceMTU)
	if len(b) != 2 || binary.BigEndian.Uint16(b) < minMTU {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

// maxSearch is how many names a resolver looks at (resolv.conf(5), once).
const maxSearch = 6

// search reads option 119, as far as it makes sense: names as DNS has them, each
// of which may end in a pointer to an earlier one (RFC 3397). Those that may not
// stand in a resolver file are left out.
func search(b []byte) []string {
	var list []string
	for at := 0; at < len(b) && len(list) < maxSearch; {
		name, next, ok := dnsName(b, at)
		if !ok {
			break
		}
		if name = domain(name); name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
		at = next
	}
	return list
}

// dnsName reads the name at the given offset and says where the next begins.
// Pointers lead backwards only, so that they come to an end.
func dnsName(b []byte, at int) (name string, next int, ok bool) {
	var labels []string
	for length := 0; length <= 255; {
		if at >= len(b) {
			return "", 0, false
		}
		n := int(b[at])
		switch {
		case n == 0:
			return strings.Join(labels, "."), max(next, at+1), true
		case n >= 0xc0:
			if at+1 >= len(b) {
				return "", 0, false
			}
			to := n&0x3f<<8 | int(b[at+1])
			if to >= at {
				return "", 0, false
			}
			next, at = max(next, at+2), to
		case n >= 0x40 || at+1+n > len(b):
			return "", 0, false
		default:
			labels = append(labels, string(b[at+1:at+1+n]))
			at += 1 + n
			length += 1 + n
		}
	}
	return "", 0, false
}

// wanted is what a Lease has room for, in the order in which it is asked for.
//
// "[...] the Classless Static Routes option code MUST appear in the parameter
// request list prior to both the Router option code and the Static Routes option
// code, if present." RFC 3442.
var wanted = dhcpv4.OptionCodeList{
	dhcpv4.OptionSubnetMask,
	dhcpv4.OptionClasslessStaticRoute,
	optMSRoutes,
	dhcpv4.OptionRouter,
	dhcpv4.OptionStaticRoutingTable,
	dhcpv4.OptionDomainNameServer,
	dhcpv4.OptionDomainName,
	dhcpv4.OptionDNSDomainSearchList,
	dhcpv4.OptionInterfaceMTU,
	dhcpv4.OptionNTPServers,
	dhcpv4.OptionIPAddressLeaseTime,
	dhcpv4.OptionRenewTimeValue,
	dhcpv4.OptionRebindingTimeValue,
}

// asked is the parameter request list of a client so configured.
func (cfg Config) asked() dhcpv4.OptionCodeList {
	var list dhcpv4.OptionCodeList
	for _, c := range wanted {
		switch classless := c == dhcpv4.OptionClasslessStaticRoute || c == optMSRoutes; {
		case cfg.RequestOnly, classless && cfg.NoClassless:
		default:
			list = append(list, c)
		}
	}
	for _, n := range cfg.Request {
		if !slices.ContainsFunc(list, func(c dhcpv4.OptionCode) bool { return c.Code() == n }) {
			list = append(list, dhcpv4.GenericOptionCode(n))
		}
	}
	return list
}
