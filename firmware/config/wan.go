package config

import (
	"fmt"
	"math"
)

// readWAN reads config interface 'wan'. It comes after the LAN, which keeps
// the device if both want the same.
func (r *reader) readWAN(b *block) {
	wan := &r.WAN
	proto := "dhcp"
	set(b, "proto", &proto, word)
	wan.Enabled = proto == "dhcp" && !b.off()
	r.readWANDevice(b)
	if proto != "dhcp" {
		if proto != "none" {
			b.bad("proto", b.lineOf("proto"),
				fmt.Errorf("%s is not supported; the WAN port is left alone", show(proto)))
		}
		return // the other options are those of another protocol
	}
	r.readClient(b)
	setAll(b, "dns", &wan.DNS, resolver)
	set(b, "peerdns", &wan.PeerDNS, boolean)
	set(b, "metric", &wan.Metric, number(0, math.MaxInt32))
	lead := !wan.NoDefault
	set(b, "defaultroute", &lead, boolean)
	wan.NoDefault = !lead
	b.rest("customroutes", "delegate", "dns_metric", "dns_search", "dynamic", "force_link",
		"gateway", "iface6rd", "igmp_snooping", "ip4table", "ip6assign", "ip6class", "ip6deprecated", "ip6hint",
		"ip6ifaceid", "ip6prefix", "ip6table", "ip6weight", "ipaddr", "ipv6", "macaddr", "mtu", "mtu6rd",
		"multipath", "netmask", "nohostroute", "sourcefilter", "stp", "tags", "timeout", "type", "zone",
		"zone6rd")
}

func (r *reader) readWANDevice(b *block) {
	name := "device"
	if _, old := b.take("ifname"); old && b.values[name] == nil {
		name = "ifname"
	}
	set(b, name, &r.WAN.Device, deviceName)
	if r.WAN.Enabled && r.WAN.Device == r.LAN.Device {
		b.bad(name, b.lineOf(name),
			fmt.Errorf("%s is the LAN; the WAN port is left alone", show(r.WAN.Device)))
		r.WAN.Enabled = false
	}
}

// readClient reads what is said to the provider's server.
func (r *reader) readClient(b *block) {
	wan := &r.WAN
	set(b, "hostname", &wan.Hostname, printable)
	if wan.Hostname == "*" { // OpenWrt's way to say: none
		wan.Hostname = ""
	}
	var id identity
	set(b, "clientid", &id, clientID)
	wan.ClientID, wan.ClientDUID = id.octets, id.duid
	set(b, "vendorid", &wan.VendorID, printable)
	set(b, "broadcast", &wan.Broadcast, boolean)
	r.readClientOptions(b)
	setAll(b, "accept", &wan.Accept, network)
	setAll(b, "reject", &wan.Reject, network)
	keep := !wan.Release
	set(b, "norelease", &keep, boolean)
	wan.Release = !keep
}

// readClientOptions reads what is sent and asked for beyond the usual.
func (r *reader) readClientOptions(b *block) {
	wan := &r.WAN
	room := roomForOptions - len(wan.Hostname) - len(wan.VendorID) - len(wan.ClientID)
	for _, it := range b.words("sendopts") {
		o, ok := parsed(b, "sendopts", it, sendOption)
		if !ok {
			continue
		}
		if room -= 2 + len(o.value); room < 0 {
			b.bad("sendopts", it.line, fmt.Errorf("%s does not fit into a message beside the others", show(it.text)))
			break
		}
		if wan.Send == nil {
			wan.Send = map[uint8][]byte{}
		}
		wan.Send[o.code] = o.value
	}
	setAll(b, "reqopts", &wan.Request, requestOption)
	usual := !wan.RequestOnly
	set(b, "defaultreqopts", &usual, boolean)
	wan.RequestOnly = !usual
	classless := !wan.NoClassless
	set(b, "classlessroute", &classless, boolean)
	wan.NoClassless = !classless
}

// readLeasehold reads what OpenWrt has no name for.
func (r *reader) readLeasehold(b *block) {
	r.readRing(b)
	set(b, "page_port", &r.Page.Port, number[uint16](0, math.MaxUint16))
	set(b, "resolv_file", &r.WAN.ResolvFile, absolutePath)
	b.rest()
}

func (r *reader) readRing(b *block) {
	set(b, "ring", &r.Ring.Path, ringPath)
	set(b, "flash_cycles", &r.Ring.Cycles, number(1, 10_000_000))
	set(b, "flash_years", &r.Ring.Years, number(1, 100))
	_, written := b.values["at_end"]
	end := int64(-1)
	set(b, "at_end", &end, Octets)
	switch {
	case end >= 0:
		r.Ring.AtEnd = end
	case written && r.Ring.OnMTD():
		r.Ring.Path = "" // the whole partition, in place of its end, would be a disaster
	}
	if r.Ring.AtEnd != 0 && !r.Ring.OnMTD() {
		b.bad("at_end", b.lineOf("at_end"), fmt.Errorf("%s is a plain file; only an MTD partition has a part at its end", show(r.Ring.Path)))
		r.Ring.AtEnd = 0
	}
}
