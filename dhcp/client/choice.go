package client

import (
	"errors"
	"fmt"
	"net/netip"
)

// A candidate is an offer, with how we like it.
type candidate struct {
	addr, server netip.Addr
	rank         rank
}

// A rank orders offers; of equal ones the first counts.
type rank int

const (
	lastResort  rank = iota + 1 // the server let us down a moment ago
	stranger                    // not the server that we had
	sameServer                  // as before
	sameAddress                 // of the same server: nothing better can come
)

var errNoServer = errors.New("no server identifier")

// judge says how we like an offer, or why we do not.
func (m *Machine) judge(a answer) (candidate, error) {
	p, err := a.addr()
	if err != nil {
		return candidate{}, err
	}
	if !a.server.IsValid() {
		return candidate{}, errNoServer
	}
	if err := m.cfg.wants(p.Addr(), a.server); err != nil {
		return candidate{}, err
	}
	o := candidate{addr: p.Addr(), server: a.server, rank: stranger}
	switch {
	case o.server == m.acq.avoid:
		o.rank = lastResort
	case Last{o.addr, o.server} == m.last:
		o.rank = sameAddress
	case o.server == m.last.Server:
		o.rank = sameServer
	}
	return o, nil
}

// An unwanted error says which of the user's lists an address is against.
type unwanted string

func (u unwanted) Error() string { return string(u) }

// wants says why the user would not have an address of a server.
func (cfg Config) wants(addr, server netip.Addr) error {
	for _, a := range []netip.Addr{addr, server} {
		if p, ok := within(cfg.Reject, a); ok {
			return unwanted(fmt.Sprintf("%v is to be rejected", p))
		}
	}
	if len(cfg.Accept) == 0 {
		return nil
	}
	for _, a := range []netip.Addr{addr, server} {
		if _, ok := within(cfg.Accept, a); ok {
			return nil
		}
	}
	return unwanted("is not among what is to be accepted")
}

func within(list []netip.Prefix, a netip.Addr) (netip.Prefix, bool) {
	for _, p := range list {
		if p.Contains(a) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
