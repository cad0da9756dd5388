package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// An other is what is said about one network beside LAN and WAN; nil: nothing.
type other struct {
	name          string
	network, dhcp *block
}

// other returns what is said about the network of that name.
func (b *blocks) other(name string) *other {
	i := slices.IndexFunc(b.others, func(o *other) bool { return o.name == name })
	if i < 0 {
		i = len(b.others)
		b.others = append(b.others, &other{name: name})
	}
	return b.others[i]
}

// readOthers reads the networks beside LAN and WAN. They come after those two,
// which keep what more than one of them wants; common is what all have.
func (r *reader) readOthers(b blocks, common LAN) {
	for _, o := range b.others {
		switch {
		case o.network == nil:
			o.dhcp.warn(o.dhcp.Line, "%s for interface %s: there is no config interface of that name", o.dhcp, show(o.name))
			continue
		case o.dhcp == nil:
			o.network.warn(o.network.Line, "%s is left alone: there is no config dhcp for it", o.network)
			continue
		case !o.static() && o.ignored():
			continue // `ignore 1` for whatever leads outside; we never serve there
		}
		if n, err := r.readOther(o, common); err != nil {
			o.network.fault(o.network.Line, "%s is left out: %v", o.network, err)
		} else {
			r.Others = append(r.Others, n)
		}
	}
	for _, b := range b.relayed {
		if n, err := r.readRelayed(b, common); err != nil {
			b.fault(b.Line, "%s is left out: %v", b, err)
		} else {
			r.Others = append(r.Others, n)
		}
	}
}

// network is one more network before anything is said about it but common.
func (r *reader) network(name string, common LAN) *reader {
	one := reader{Config: r.Config, report: r.report}
	one.LAN = common
	one.LAN.Name, one.LAN.Device, one.LAN.Addr, one.LAN.Serve = name, "", netip.Prefix{}, true
	one.LAN.Gateways, one.LAN.DNS, one.LAN.Renumber = nil, nil, false
	return &one
}

// readRelayed reads a network whose clients reach us through relay agents.
func (r *reader) readRelayed(b *block, common LAN) (LAN, error) {
	one := r.network(b.Name, common)
	n := &one.LAN
	n.Via = lanName
	set(b, "interface", &n.Via, word)
	length := ""
	set(b, "netmask", &length, word)
	set(b, "subnet", &n.Addr, func(s string) (netip.Prefix, error) {
		if length != "" && !strings.Contains(s, "/") {
			s += "/" + length
		}
		return subnet(s)
	})
	i := slices.IndexFunc(r.Networks(), func(c LAN) bool { return c.Name == n.Via && c.Device != "" })
	switch {
	case b.Name == "" || b.Name == wanName:
		return LAN{}, errors.New("it needs a name of its own")
	case i < 0:
		return LAN{}, fmt.Errorf("there is no network %s for relay agents to be on", show(n.Via))
	}
	n.Carrier = r.Networks()[i].Addr.Addr()
	if err := r.admit(*n); err != nil {
		return LAN{}, err
	}
	one.readDHCP(b)
	return *n, nil
}

func (o *other) static() bool {
	proto := "static"
	set(o.network, "proto", &proto, word)
	return proto == "static"
}

func (o *other) ignored() bool {
	ignore := false
	set(o.dhcp, "ignore", &ignore, boolean)
	return ignore
}

// readOther reads one network as readLAN and readDHCP do the first.
func (r *reader) readOther(o *other, common LAN) (LAN, error) {
	if !o.static() {
		return LAN{}, errors.New("only with proto 'static' it could be served")
	}
	one := r.network(o.name, common)
	one.readLAN(o.network)
	if err := r.admit(one.LAN); err != nil {
		return LAN{}, err
	}
	one.readDHCP(o.dhcp)
	return one.LAN, nil
}

// admit says why a network cannot be served beside those that are.
func (r *reader) admit(n LAN) error {
	switch {
	case n.Device == "" && n.Via == "":
		return errors.New("it has no device")
	case n.Device == r.WAN.Device:
		return fmt.Errorf("%s is the WAN port, where nobody is served", show(n.Device))
	case n.Addr == netip.Prefix{} && n.Via != "":
		return errors.New("it has no subnet such as 10.9.0.0/24")
	case n.Addr == netip.Prefix{}:
		return errors.New("it has no ipaddr")
	}
	for _, other := range r.Networks() {
		switch {
		case n.Name == other.Name:
			return errors.New("there is another network of that name")
		case n.Device == other.Device && n.Device != "":
			return fmt.Errorf("%s is the device of %s", show(n.Device), show(other.Name))
		case n.Addr.Overlaps(other.Addr):
			return fmt.Errorf("%v overlaps %v of %s", n.Addr.Masked(), other.Addr.Masked(), show(other.Name))
		}
	}
	return nil
}
