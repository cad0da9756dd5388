package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// readLAN reads config interface 'lan'. What depends on its address and is not
// set otherwise follows it: the gateway and the pool.
func (r *reader) readLAN(b *block) {
	lan := &r.LAN
	r.readLANDevice(b)
	r.readLANAddr(b)
	setAll(b, "dns", &lan.DNS, resolver)
	if len(lan.DNS) > maxAddrs {
		b.bad("dns", b.lineOf("dns"), fmt.Errorf("only the first %d addresses are used", maxAddrs))
		lan.DNS = lan.DNS[:maxAddrs]
	}

	set(b, "renumber", &lan.Renumber, boolean)
	proto := "static"
	set(b, "proto", &proto, word)
	if proto != "static" {
		b.bad("proto", b.lineOf("proto"), fmt.Errorf("%s: the LAN needs 'static'; it is not served", show(proto)))
		lan.Serve = false
	}
	if b.off() {
		lan.Serve = false
	}
	b.rest("auto", "bridge_empty", "broadcast", "defaultroute", "delegate", "dns_metric",
		"dns_search", "force_link", "gateway", "igmp_snooping", "ip4table", "ip6addr",
		"ip6assign", "ip6class", "ip6deprecated", "ip6gw", "ip6hint", "ip6ifaceid",
		"ip6prefix", "ip6table", "ipv6", "macaddr", "metric", "mtu", "multicast_querier",
		"multipath", "peerdns", "stp", "zone")
}

// off tells whether an interface is switched off.
func (b *block) off() bool {
	disabled, auto := false, true
	set(b, "disabled", &disabled, boolean)
	set(b, "auto", &auto, boolean)
	return disabled || !auto
}

// readLANDevice also understands how bridges were written before OpenWrt 21.
func (r *reader) readLANDevice(b *block) {
	kind := ""
	set(b, "type", &kind, word)
	ports := b.words("ifname")
	switch _, written := b.values["device"]; {
	case written || len(ports) == 0:
		set(b, "device", &r.LAN.Device, deviceName)
	case kind == "bridge":
		r.LAN.Device = "br-" + r.LAN.Name
	default:
		set(b, "ifname", &r.LAN.Device, deviceName)
	}
}

func (r *reader) readLANAddr(b *block) {
	_, masked := b.take("netmask")
	addrs := b.words("ipaddr")
	if len(addrs) == 0 {
		return
	}
	own := addrs[0]
	if len(addrs) > 1 {
		b.warn(addrs[1].line, "option 'ipaddr': only the first address, %s, is served", show(own.text))
	}
	if !strings.Contains(own.text, "/") {
		length := 24
		if masked {
			set(b, "netmask", &length, netmask)
		} else {
			b.warn(own.line, "option 'ipaddr': %s has no netmask; /24 is used", show(own.text))
		}
		own.text = fmt.Sprintf("%s/%d", own.text, length)
	}
	if p, ok := parsed(b, "ipaddr", own, lanPrefix); ok {
		r.LAN.Addr = p
		r.LAN.Gateways = []netip.Addr{p.Addr()}
	}
}

// readDNSMasq reads what of config dnsmasq is about DHCP; the rest is about
// DNS and nothing to us.
func (r *reader) readDNSMasq(b *block) {
	set(b, "domain", &r.LAN.Domain, domainName)
	set(b, "authoritative", &r.LAN.Authoritative, boolean)
	noping := !r.LAN.Probe
	set(b, "noping", &noping, boolean)
	r.LAN.Probe = !noping
	set(b, "sequential_ip", &r.LAN.Sequential, boolean)
	set(b, "rapidcommit", &r.Clients.RapidCommit, boolean)
	set(b, "readethers", &r.ReadEthers, boolean)
	r.readDHCPBoot(b)
	b.restElsewhere()
}

// readDHCP reads config dhcp 'lan'.
func (r *reader) readDHCP(b *block) {
	lan := &r.LAN
	r.readPool(b)
	set(b, "leasetime", &lan.LeaseTime, leaseTime)
	r.readOptions(b)
	set(b, "bootp_dynamic", &lan.BOOTP, boolean)
	lan.Tags = b.tags()

	ignore, dynamic := false, true
	set(b, "ignore", &ignore, boolean)
	set(b, "dynamicdhcp", &dynamic, boolean)
	lan.StaticOnly = !dynamic
	if ignore || !r.wantsServer(b) {
		lan.Serve = false
	}
	b.rest("dhcpv6", "dns", "dns_service", "domain", "force", "instance",
		"leasetime6", "master", "max_preferred_lifetime", "max_valid_lifetime", "ndp",
		"ndproxy_routing", "ndproxy_slave", "netmask", "options",
		"preferred_lifetime", "prefix_filter", "ra", "ra_advrouter", "ra_default", "ra_dns",
		"ra_flags", "ra_hoplimit", "ra_lifetime", "ra_management", "ra_maxinterval",
		"ra_mininterval", "ra_mtu", "ra_offlink", "ra_preference", "ra_pref64",
		"ra_reachabletime", "ra_retranstime", "ra_slaac", "ra_useleasetime", "router")
}

func (r *reader) wantsServer(b *block) bool {
	mode := "server"
	set(b, "dhcpv4", &mode, word)
	switch mode {
	case "server":
		return true
	case "disabled":
		return false
	case "relay":
		b.bad("dhcpv4", b.lineOf("dhcpv4"), errors.New("relaying is not supported; the LAN is not served"))
		return false
	}
	b.bad("dhcpv4", b.lineOf("dhcpv4"), fmt.Errorf("%s is neither server nor disabled", show(mode)))
	return true
}

// What OpenWrt has in its file of the first boot.
const (
	defaultStart = 100
	defaultLimit = 150
)

// readPool finds the pool in the network that is served. Only what somebody
// wrote is complained about: a network too small for our defaults is not.
func (r *reader) readPool(b *block) {
	lan := &r.LAN
	start, limit := uint32(defaultStart), uint32(defaultLimit)
	set(b, "start", &start, poolStart(lan.Addr))
	set(b, "limit", &limit, number[uint32](1, 1<<24))
	_, hasStart := b.values["start"]
	_, hasLimit := b.values["limit"]

	first, last, ok := pool(lan.Addr, start, limit)
	asked := ok && hasLimit
	if !ok && (hasStart || hasLimit) {
		b.fault(b.lineOf("start"), "start %d and limit %d: no address of %v for clients there",
			start, limit, lan.Addr.Masked())
	}
	if !ok {
		first, last, ok = pool(lan.Addr, defaultStart, defaultLimit)
	}
	if !ok {
		first, last, _ = pool(lan.Addr, 1, MaxPool)
	}
	lan.First, lan.Last = first, last
	if n := toUint(last) - toUint(first) + 1; asked && n < limit {
		b.warn(b.lineOf("limit"), "start %d and limit %d: the pool is %v to %v, %d addresses",
			start, limit, first, last, n)
	}
}

// pool is the addresses from start on, counted from the network's own, as far
// as the network has them for machines; ok: for one other than ourselves.
func pool(lan netip.Prefix, start, limit uint32) (first, last netip.Addr, ok bool) {
	size := uint64(1) << (32 - lan.Bits())
	lo := max(uint64(start), 1)
	hi := min(uint64(start)+uint64(limit)-1, size-2, lo+MaxPool-1)
	if lo > hi {
		return first, last, false
	}
	network := toUint(lan.Masked().Addr())
	first = fromUint(network + uint32(lo))
	last = fromUint(network + uint32(hi))
	return first, last, first != last || first != lan.Addr()
}

// poolStart returns a reader of `start`: a number, or an address as old
// OpenWrt had it, of which the host part counts.
func poolStart(lan netip.Prefix) func(string) (uint32, error) {
	return func(s string) (uint32, error) {
		if a, err := netip.ParseAddr(s); err == nil && lan.Contains(a) {
			return toUint(a) - toUint(lan.Masked().Addr()), nil
		}
		return number[uint32](0, 1<<24)(s)
	}
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func fromUint(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// readOptions reads dhcp_option and dhcp_option_force. What every client is
// told of routers, resolvers and domain stands in LAN by name.
func (r *reader) readOptions(b *block) {
	var gateways, dns addrOption
	r.LAN.Options = b.dhcpOptions(nil, func(it item) bool {
		code, list := cutWord(it.text)
		switch code {
		case "3", "option:router":
			r.readAddrs(b, &gateways, it.line, list)
		case "6", "option:dns-server":
			r.readAddrs(b, &dns, it.line, list)
		case "15", "option:domain-name":
			r.readDomain(b, it.line, list)
		default:
			return false
		}
		return true
	})
	if gateways.given {
		r.LAN.Gateways = gateways.addrs
	}
	if dns.given {
		r.LAN.DNS, r.LAN.NoDNS = dns.addrs, dns.addrs == nil
	}
}

// An addrOption is a DHCP option made of addresses; none: it is not sent.
type addrOption struct {
	given bool
	addrs []netip.Addr
}

func (r *reader) readAddrs(b *block, o *addrOption, line int, list string) {
	if list == "" {
		o.given = true
		return
	}
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		a, ok := r.LAN.Addr.Addr(), true
		if text != "0.0.0.0" {
			a, ok = parsed(b, "dhcp_option", item{text: text, line: line}, hostAddr)
		}
		if ok && len(o.addrs) == maxAddrs {
			b.bad("dhcp_option", line, fmt.Errorf("more than %d addresses", maxAddrs))
			return
		}
		if ok {
			o.given = true
			o.addrs = append(o.addrs, a)
		}
	}
}

func (r *reader) readDomain(b *block, line int, text string) {
	if text == "" {
		r.LAN.Domain = ""
		return
	}
	if domain, ok := parsed(b, "dhcp_option", item{text: text, line: line}, domainName); ok {
		r.LAN.Domain = domain
	}
}
