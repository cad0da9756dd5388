package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Tag says what becomes of a socket priority on a VLAN port.
type Tag struct {
	Priority int // of the socket; 0: of everything else
	PCP      int // in the VLAN tag, 0 to 7
}

// readPort reads what config interface 'wan' says of the port itself.
func (r *reader) readPort(b *block) {
	wan := &r.WAN
	set(b, "macaddr", &wan.MAC, macAddr)
	set(b, "skpriority", &wan.Priority, number(0, 7))
	set(b, "script", &wan.Script, absolutePath)
}

// readDevices reads config device of the WAN port, where OpenWrt has had the MAC
// address and the priorities since release 21.02. Those of other ports are
// nothing to us.
func (r *reader) readDevices(devices []*block) {
	for _, b := range devices {
		var name, kind, parent string
		set(b, "name", &name, word)
		set(b, "type", &kind, word)
		set(b, "ifname", &parent, word)
		if vid := ""; kind == "8021q" && name == "" {
			set(b, "vid", &vid, word)
			name = parent + "." + vid
		}
		if name != r.WAN.Device || !r.WAN.Enabled {
			r.warn(b.Line, "%s is not ours", b)
			continue
		}
		r.readVLAN(b, kind, parent, name)
		set(b, "macaddr", &r.WAN.MAC, macAddr)
		b.rest("acceptlocal", "arp_accept", "auto", "autoneg", "conduit", "drop_gratuitous_arp", "duplex", "eee", "flags",
			"gro", "igmpversion", "ingress_qos_mapping", "ip6segmentrouting", "ipv6", "loose_binding", "mldversion", "mtu",
			"mtu6", "multicast", "pause", "promisc", "rpfilter", "rxpause", "sendredirects", "speed", "txpause", "txqueuelen")
	}
}

// readVLAN checks that a VLAN is called as we find and make it.
func (r *reader) readVLAN(b *block, kind, parent, name string) {
	id := 0
	set(b, "vid", &id, number(1, 4094))
	if want := fmt.Sprintf("%s.%d", parent, id); kind == "8021q" && id != 0 && name != want {
		b.bad("name", b.lineOf("name"), fmt.Errorf("%s: call VLAN %d of %s %s, here and in config interface 'wan'", show(name), id, show(parent), want))
	}
	setAll(b, "egress_qos_mapping", &r.WAN.Tags, vlanTag)
}

// vlanTag accepts 6:5: what has the socket priority 6 leaves with 5 in its tag.
func vlanTag(s string) (Tag, error) {
	from, to, _ := strings.Cut(s, ":")
	var t Tag
	var err error
	if t.Priority, err = number(0, 15)(from); err == nil {
		t.PCP, err = number(0, 7)(to)
	}
	if err != nil {
		return Tag{}, fmt.Errorf("%s is no pair such as 6:5, of a socket's priority and 0 to 7 in the tag", show(s))
	}
	return t, nil
}

// VLANTags are Tags with that of DHCP messages: where nobody has said otherwise,
// it is their socket's priority.
func (w WAN) VLANTags() []Tag {
	said := slices.ContainsFunc(w.Tags, func(t Tag) bool { return t.Priority == w.Priority })
	if w.Priority == 0 || said {
		return w.Tags
	}
	return append(slices.Clone(w.Tags), Tag{w.Priority, w.Priority})
}

// device is what there is to say of the port in a section of its own.
func (w WAN) device() (Section, bool) {
	s := Section{Type: "device"}
	s.option("name", w.Device)
	for _, t := range w.Tags {
		s.list("egress_qos_mapping", strconv.Itoa(t.Priority)+":"+strconv.Itoa(t.PCP))
	}
	return s, len(w.Tags) > 0
}

// port adds what config interface 'wan' says of the port itself.
func (w WAN) port(s *Section) {
	if w.MAC != [6]byte{} {
		s.option("macaddr", formatMAC(w.MAC))
	}
	if w.Priority != 0 {
		s.option("skpriority", strconv.Itoa(w.Priority))
	}
	s.option("script", w.Script)
}
