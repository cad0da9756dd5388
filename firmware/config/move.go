package config

import (
	"net/netip"
	"slices"
)

// Move returns c with the network of that name elsewhere, which is to be of the
// same size: to is the router's own address there. Whatever is the address of a
// host of the network, also as said to clients of others, is that of the same
// host afterwards.
func (c Config) Move(name string, to netip.Prefix) Config {
	var from netip.Prefix
	for _, n := range c.Networks() {
		if n.Name == name {
			from = n.Addr
		}
	}
	m := mover{from, to}
	c.LAN = m.network(c.LAN)
	c.Others = each(c.Others, m.network)
	c.Hosts = each(c.Hosts, m.host)
	c.Clients.Options = each(c.Clients.Options, m.option)
	c.Clients.Boots = each(c.Clients.Boots, m.boot)
	return c
}

func each[T any](list []T, change func(T) T) []T {
	list = slices.Clone(list)
	for i := range list {
		list[i] = change(list[i])
	}
	return list
}

// A mover takes addresses from one network to another.
type mover struct{ from, to netip.Prefix }

func (m mover) addr(a netip.Addr) netip.Addr {
	if !m.from.Contains(a) {
		return a
	}
	host := toUint(a) - toUint(m.from.Masked().Addr())
	return fromUint(toUint(m.to.Masked().Addr()) + host)
}

func (m mover) network(l LAN) LAN {
	if l.Addr == m.from {
		l.MovedFrom, l.Addr = l.Addr, m.to
		l.First, l.Last = m.addr(l.First), m.addr(l.Last)
	}
	l.Gateways, l.DNS = each(l.Gateways, m.addr), each(l.DNS, m.addr)
	l.Options = each(l.Options, m.option)
	return l
}

func (m mover) host(h Host) Host {
	h.Addr = m.addr(h.Addr)
	h.Options = each(h.Options, m.option)
	return h
}

func (m mover) boot(b Boot) Boot {
	b.Server = m.addr(b.Server)
	return b
}

func (m mover) option(o DHCPOption) DHCPOption {
	if !o.Addrs {
		return o
	}
	var value []byte
	for a := range slices.Chunk(o.Value, 4) {
		if len(a) == 4 {
			a = m.addr(netip.AddrFrom4([4]byte(a))).AsSlice()
		}
		value = append(value, a...)
	}
	if o.Value != nil {
		o.Value = append([]byte{}, value...)
	}
	return o
}
