package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// readHosts reads all config host. It comes last: addresses are checked with
// the LAN's, and of two that want the same, the first good one gets it.
func (r *reader) readHosts(all []*block) {
	c := claims{addrs: map[netip.Addr]int{}, macs: map[[6]byte]int{}}
	for _, b := range all {
		h, ok := r.readHost(b, &c)
		if !ok {
			continue
		}
		r.Hosts = append(r.Hosts, h)
		if h.Addr.IsValid() {
			c.addrs[h.Addr] = h.Line
		}
		for _, m := range h.MACs {
			c.macs[m] = h.Line
		}
	}
}

// claims are the lines of the hosts that have an address or a card already.
type claims struct {
	addrs map[netip.Addr]int
	macs  map[[6]byte]int
}

func (r *reader) readHost(b *block, c *claims) (Host, bool) {
	h := Host{Line: b.Line}
	enabled := true
	set(b, "enable", &enabled, boolean)
	if !enabled {
		return h, false
	}
	if _, written := b.values["mac"]; !written {
		b.warn(b.Line, "%s is left out: a host without a mac is not supported yet", b)
		return h, false
	}
	h.MACs = r.readMACs(b, c)
	at, ok := r.readWhere(b, c)
	h.Addr, h.Ignore = at.addr, at.ignore
	set(b, "name", &h.Name, domainName)
	set(b, "leasetime", &h.LeaseTime, leaseTime)
	b.rest("broadcast", "dns", "duid", "force", "hostid", "instance", "match_tag", "networkid", "tag")
	return h, ok && h.MACs != nil
}

// readMACs returns those that are good and not somebody else's.
func (r *reader) readMACs(b *block, c *claims) (macs [][6]byte) {
	own := map[[6]byte]bool{}
	for _, it := range b.words("mac") {
		mac, ok := parsed(b, "mac", it, macAddr)
		if !ok || own[mac] {
			continue
		}
		if line, taken := c.macs[mac]; taken {
			b.bad("mac", it.line, fmt.Errorf("%s belongs to the host in line %d", show(it.text), line))
			continue
		}
		own[mac] = true
		macs = append(macs, mac)
	}
	return macs
}

// A where is what `ip` says; neither: any address from the pool.
type where struct {
	addr   netip.Addr
	ignore bool
}

// readWhere returns false if the host is to be left out because of its `ip`.
func (r *reader) readWhere(b *block, c *claims) (w where, ok bool) {
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
func (r *reader) reservable(s string, c *claims) (netip.Addr, error) {
	a, err := hostAddr(s)
	if err != nil {
		return a, err
	}
	lan := r.networkOf(a)
	line, taken := c.addrs[a]
	switch {
	case !lan.IsValid() && len(r.Others) == 0:
		err = fmt.Errorf("%s is outside the LAN %v", show(s), r.LAN.Addr.Masked())
	case !lan.IsValid():
		err = fmt.Errorf("%s is outside all our networks", show(s))
	case a == lan.Addr():
		err = errors.New(show(s) + " is the router's own address")
	case !usable(lan, a):
		err = fmt.Errorf("%s is the first or last of the network %v and no machine's", show(s), lan.Masked())
	case taken:
		err = fmt.Errorf("%s belongs to the host in line %d", show(s), line)
	}
	return a, err
}

// networkOf returns our own address in a's network; invalid: it is in none.
func (r *reader) networkOf(a netip.Addr) netip.Prefix {
	for _, n := range r.Networks() {
		if n.Addr.Contains(a) {
			return n.Addr
		}
	}
	return netip.Prefix{}
}
