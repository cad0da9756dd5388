package config

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Format writes everything that is in force as UCI text, defaults included.
// Parse makes the same Config of it, but for the lines of the hosts.
func Format(c Config) []byte {
	dhcp := c.LAN.dhcp()
	if c.LAN.Domain == "" {
		dhcp.list("dhcp_option", "15")
	}
	sections := []Section{c.LAN.network(), c.WAN.network(), dhcp}
	for _, n := range c.Others {
		dhcp := n.dhcp()
		dhcp.list("dhcp_option", strings.TrimSuffix("15,"+n.Domain, ","))
		if n.Via == "" {
			sections = append(sections, n.network())
		}
		sections = append(sections, dhcp)
	}
	sections = append(sections, c.Clients.sections()...)
	for _, h := range c.Hosts {
		sections = append(sections, h.section())
	}
	if port, ok := c.WAN.device(); ok {
		sections = append(sections, port)
	}
	return AppendUCI(nil, append(sections, c.dnsmasq(), c.leasehold()))
}

func (l LAN) network() Section {
	s := Section{Type: "interface", Name: l.Name}
	s.option("device", l.Device)
	s.option("proto", "static")
	s.list("ipaddr", l.Addr.String())
	s.flag("renumber", l.Renumber)
	return s
}

func (w WAN) network() Section {
	s := Section{Type: "interface", Name: "wan"}
	s.option("device", w.Device)
	s.option("proto", "dhcp")
	s.flag("disabled", !w.Enabled)
	s.option("hostname", w.Hostname)
	s.option("clientid", w.identity())
	s.option("vendorid", w.VendorID)
	for _, code := range slices.Sorted(maps.Keys(w.Send)) {
		s.list("sendopts", fmt.Sprintf("%d:%x", code, w.Send[code]))
	}
	for _, code := range w.Request {
		s.list("reqopts", strconv.Itoa(int(code)))
	}
	s.flag("defaultreqopts", !w.RequestOnly)
	s.flag("classlessroute", !w.NoClassless)
	s.flag("defaultroute", !w.NoDefault)
	for _, p := range w.Accept {
		s.list("accept", p.String())
	}
	for _, p := range w.Reject {
		s.list("reject", p.String())
	}
	s.flag("broadcast", w.Broadcast)
	s.flag("norelease", !w.Release)
	s.flag("peerdns", w.PeerDNS)
	for _, a := range w.DNS {
		s.list("dns", a.String())
	}
	s.option("metric", strconv.Itoa(w.Metric))
	w.port(&s)
	return s
}

func (w WAN) identity() string {
	switch {
	case w.ClientDUID:
		return "duid"
	case w.ClientID != nil && len(w.ClientID) == 0:
		return "none"
	}
	return hex.EncodeToString(w.ClientID)
}

func (l LAN) dhcp() Section {
	s := Section{Type: "dhcp", Name: l.Name}
	network, first, last := toUint(l.Addr.Masked().Addr()), toUint(l.First), toUint(l.Last)
	if l.Via == "" {
		s.option("interface", l.Name)
	} else {
		s.option("interface", l.Via)
		s.option("subnet", l.Addr.String())
	}
	s.option("start", strconv.FormatUint(uint64(first-network), 10))
	s.option("limit", strconv.FormatUint(uint64(last-first)+1, 10))
	s.option("leasetime", formatLeaseTime(l.LeaseTime))
	s.flag("dynamicdhcp", !l.StaticOnly)
	s.flag("ignore", !l.Serve)
	if l.Via == "" && !slices.Equal(l.Gateways, []netip.Addr{l.Addr.Addr()}) || l.Via != "" && len(l.Gateways) > 0 {
		s.list("dhcp_option", formatAddrs("3", l.Gateways))
	}
	if l.NoDNS || len(l.DNS) > 0 {
		s.list("dhcp_option", formatAddrs("6", l.DNS))
	}
	for _, t := range l.Tags {
		s.list("tag", t)
	}
	for _, o := range l.Options {
		s.dhcpOption(o)
	}
	s.flag("bootp_dynamic", l.BOOTP)
	return s
}

func (h Host) section() Section {
	s := Section{Type: "host"}
	s.option("name", h.Name)
	for _, m := range h.MACs {
		s.list("mac", formatMAC(m))
	}
	for _, p := range h.Patterns {
		s.list("mac", formatPattern(p))
	}
	for _, id := range h.ClientIDs {
		s.list("clientid", hex.EncodeToString(id))
	}
	for _, id := range h.DUIDs {
		s.list("duid", hex.EncodeToString(id))
	}
	for _, id := range h.Circuits {
		s.list("circuitid", "0x"+hex.EncodeToString(id))
	}
	for _, t := range h.Need {
		s.list("match_tag", t)
	}
	for _, t := range h.Tags {
		s.list("tag", t)
	}
	for _, o := range h.Options {
		s.dhcpOption(o)
	}
	s.flag("broadcast", h.Broadcast)
	switch {
	case h.Ignore:
		s.option("ip", "ignore")
	case h.Addr.IsValid():
		s.option("ip", h.Addr.String())
	}
	if h.LeaseTime != 0 {
		s.option("leasetime", formatLeaseTime(h.LeaseTime))
	}
	return s
}

func (c Config) dnsmasq() Section {
	s := Section{Type: "dnsmasq"}
	s.option("domain", c.LAN.Domain)
	s.flag("authoritative", c.LAN.Authoritative)
	s.flag("noping", !c.LAN.Probe)
	s.flag("sequential_ip", c.LAN.Sequential)
	s.flag("rapidcommit", c.Clients.RapidCommit)
	s.flag("readethers", c.ReadEthers)
	return s
}

func (c Config) leasehold() Section {
	s := Section{Type: "leasehold"}
	s.option("ring", c.Ring.Path)
	s.option("at_end", strconv.FormatInt(c.Ring.AtEnd, 10))
	s.option("flash_cycles", strconv.Itoa(c.Ring.Cycles))
	s.option("flash_years", strconv.Itoa(c.Ring.Years))
	s.option("page_port", strconv.Itoa(int(c.Page.Port)))
	s.option("resolv_file", c.WAN.ResolvFile)
	return s
}

// option adds an option; an empty value is no value in UCI.
func (s *Section) option(name, value string) {
	if value != "" {
		s.Options = append(s.Options, Option{Name: name, Value: value})
	}
}

func (s *Section) list(name, value string) {
	s.Options = append(s.Options, Option{Name: name, Value: value, List: true})
}

func (s *Section) flag(name string, on bool) {
	value := "0"
	if on {
		value = "1"
	}
	s.option(name, value)
}

func formatAddrs(code string, addrs []netip.Addr) string {
	var b strings.Builder
	b.WriteString(code)
	for _, a := range addrs {
		b.WriteString("," + a.String())
	}
	return b.String()
}

func formatMAC(m [6]byte) string {
	b := make([]byte, 0, 17)
	for i, c := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = hex.AppendEncode(b, []byte{c})
	}
	return string(b)
}

func formatPattern(p MACPattern) string {
	parts := strings.Split(formatMAC(p.MAC), ":")
	for i, m := range p.Mask {
		if m == 0 {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ":")
}

// formatLeaseTime uses the largest unit that divides the time.
func formatLeaseTime(d time.Duration) string {
	switch {
	case d == Infinite:
		return "infinite"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}
