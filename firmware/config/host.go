package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// readHosts reads all config host. It comes last: addresses are checked with
// the LAN's, and of two that want the same, the first good one gets it.
func (r *reader) readHosts(all []*block) {
	c := claims{}
	for _, b := range all {
		if h, ok := r.readHost(b, c); ok {
			r.Hosts = append(r.Hosts, h)
			c.add(h)
		}
	}
}

// claims are the lines of the hosts that have an address, a card or another mark
// already, by what mark makes of it.
type claims map[string]int

func mark(kind string, v []byte) string { return kind + " " + string(v) }

func (c claims) add(h Host) {
	if h.Addr.IsValid() {
		c[mark("ip", h.Addr.AsSlice())] = h.Line
	}
	for _, m := range h.MACs {
		c[mark("mac", m[:])] = h.Line
	}
	for kind, ids := range map[string][][]byte{"clientid": h.ClientIDs, "duid": h.DUIDs, "circuitid": h.Circuits} {
		for _, id := range ids {
			c[mark(kind, id)] = h.Line
		}
	}
	if h.ByName {
		c[mark("name", []byte(h.Name))] = h.Line
	}
}

// marks are the options by which a host is known.
var marks = []string{"mac", "clientid", "duid", "circuitid", "match_tag"}

func (r *reader) readHost(b *block, c claims) (Host, bool) {
	h := Host{Line: b.Line}
	enabled := true
	set(b, "enable", &enabled, boolean)
	if !enabled {
		return h, false
	}
	set(b, "name", &h.Name, domainName)
	known := r.readMarks(b, c, &h)
	at, ok := r.readWhere(b, c)
	h.Addr, h.Ignore = at.addr, at.ignore
	set(b, "leasetime", &h.LeaseTime, leaseTime)
	set(b, "broadcast", &h.Broadcast, boolean)
	h.Tags = b.tags()
	h.Options = b.dhcpOptions(nil, nil)
	b.rest("dns", "hostid", "instance")
	return h, ok && known
}

// readMarks reads what the host is known by, and returns false if that is
// nothing.
func (r *reader) readMarks(b *block, c claims, h *Host) bool {
	octets := func(v []byte) []byte { return v }
	written := false
	for _, name := range marks {
		_, ok := b.values[name]
		written = written || ok
	}
	h.MACs, h.Patterns = readMACs(b, c)
	h.ClientIDs = claimed(b, c, "clientid", hexBytes, octets)
	h.DUIDs = claimed(b, c, "duid", hexBytes, octets)
	h.Circuits = claimed(b, c, "circuitid", func(s string) ([]byte, error) { return classValue(s), nil }, octets)
	h.Need = claimed(b, nil, "match_tag", tag, func(t string) []byte { return []byte(t) })
	if written {
		return h.MACs != nil || h.Patterns != nil || h.ClientIDs != nil || h.DUIDs != nil || h.Circuits != nil || h.Need != nil
	}
	line, taken := c[mark("name", []byte(h.Name))]
	switch {
	case h.Name == "":
		b.warn(b.Line, "%s is left out: it has no mac, nor a name or another mark to be known by", b)
	case taken:
		b.bad("name", b.lineOf("name"), fmt.Errorf("%s belongs to the host in line %d", show(h.Name), line))
	default:
		h.ByName = true
	}
	return h.ByName
}

// tags reads the tags that clients get.
func (b *block) tags() (all []string) {
	for _, name := range []string{"tag", "networkid"} {
		all = append(all, claimed(b, nil, name, tag, func(t string) []byte { return []byte(t) })...)
	}
	return all
}

// claimed returns what is good of an option and not somebody else's.
func claimed[T any](b *block, c claims, name string, parse func(string) (T, error), octets func(T) []byte) (all []T) {
	own := map[string]bool{}
	for _, it := range b.words(name) {
		v, ok := parsed(b, name, it, parse)
		m := mark(name, octets(v))
		if !ok || own[m] {
			continue
		}
		if line, taken := c[m]; taken {
			b.bad(name, it.line, fmt.Errorf("%s belongs to the host in line %d", show(it.text), line))
			continue
		}
		own[m] = true
		all = append(all, v)
	}
	return all
}

// readMACs reads cards, and patterns of cards.
func readMACs(b *block, c claims) (macs [][6]byte, patterns []MACPattern) {
	var none MACPattern
	all := claimed(b, c, "mac", func(s string) (MACPattern, error) {
		mac, err := macAddr(s)
		if err == nil {
			return MACPattern{mac, whole}, nil
		}
		if p, perr := macPattern(s); perr == nil && p.Mask != whole {
			return p, nil
		}
		return none, err
	}, func(p MACPattern) []byte {
		if p.Mask == whole {
			return p.MAC[:]
		}
		return append(p.MAC[:], p.Mask[:]...)
	})
	for _, p := range all {
		if p.Mask == whole {
			macs = append(macs, p.MAC)
		} else {
			patterns = append(patterns, p)
		}
	}
	return macs, patterns
}

// whole is the mask of one card.
var whole = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// A where is what `ip` says; neither: any address from the pool.
type where struct {
	addr   netip.Addr
	ignore bool
}

// readWhere returns false if the host is to be left out because of its `ip`.
func (r *reader) readWhere(b *block, c claims) (w where, ok bool) {
	_, written := b.values["ip"]
	set(b, "ip", &w, func(s string) (where, error) {
		if s == "ignore" {
			return where{ignore: true}, nil
		}
		a, err := r.reservable(s, c)
		if err != nil {
			return where{}, fmt.Errorf("%w; the host is left out", err)
		}
		return where{addr: a}, nil
	})
	return w, !written || w != where{}
}

// reservable accepts an address of one of our networks that nobody else has.
func (c *Config) reservable(s string, taken claims) (netip.Addr, error) {
	a, err := hostAddr(s)
	if err != nil {
		return a, err
	}
	lan := c.networkOf(a)
	line, claimed := taken[mark("ip", a.AsSlice())]
	switch {
	case !lan.IsValid() && len(c.Others) == 0:
		err = fmt.Errorf("%s is outside the LAN %v", show(s), c.LAN.Addr.Masked())
	case !lan.IsValid():
		err = fmt.Errorf("%s is outside all our networks", show(s))
	case a == lan.Addr():
		err = errors.New(show(s) + " is the router's own address")
	case !usable(lan, a):
		err = fmt.Errorf("%s is the first or last of the network %v and no machine's", show(s), lan.Masked())
	case claimed:
		err = fmt.Errorf("%s belongs to the host in line %d", show(s), line)
	}
	return a, err
}

// networkOf returns our own address in a's network; invalid: it is in none.
func (c *Config) networkOf(a netip.Addr) netip.Prefix {
	for _, n := range c.Networks() {
		if n.Addr.Contains(a) {
			return n.Addr
		}
	}
	return netip.Prefix{}
}
