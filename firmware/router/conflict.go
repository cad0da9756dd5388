package router

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"leasehold/dhcp"
	"leasehold/dhcp/client"
	"leasehold/firmware/config"
	"leasehold/firmware/ring"
	"leasehold/firmware/status"
)

// A verdict is what the WAN side makes of its lease.
type verdict struct {
	near  []netip.Prefix // its own network and its gateways
	far   []netip.Prefix // the networks that it leads to, but for the whole Internet
	clash netip.Prefix   // of a network of ours that is in its way; invalid: none is
}

// clash looks for a network of ours that is in the way of a lease. With fatal,
// the port's own address or a gateway would be taken for one of its hosts, and
// nothing could be reached. Without, the provider's network encloses it, and only
// such hosts of the provider cannot be reached as would be there; that is no
// reason to be without the Internet, but is one to move.
func (w *wan) clash(l client.Lease) (ours config.LAN, fatal, found bool) {
	for _, n := range w.lans {
		inside := n.Addr.Contains(l.Addr.Addr()) ||
			slices.ContainsFunc(l.Routes, func(r client.Route) bool { return n.Addr.Contains(r.Gateway) })
		if inside || l.Addr.Overlaps(n.Addr) {
			return n, inside || n.Renumber, true
		}
	}
	return ours, false, false
}

// judge decides whether a lease can be used, and says so to whom it concerns. An
// address that nobody granted says nothing about the provider.
func (w *wan) judge(l client.Lease) (use bool) {
	ours, fatal, found := w.clash(l)
	v := verdict{near: []netip.Prefix{l.Addr.Masked()}}
	for _, r := range l.Routes {
		if r.Gateway.IsValid() {
			v.near = append(v.near, netip.PrefixFrom(r.Gateway, r.Gateway.BitLen()))
		}
		if r.Prefix.Bits() > 0 {
			v.far = append(v.far, r.Prefix)
		}
	}
	if found {
		v.clash = ours.Addr.Masked()
	}
	if !l.LinkLocal {
		w.verdicts(v)
	}
	if found {
		w.trouble = clashText(l.Addr, ours, fatal)
		if w.clashed != w.trouble {
			w.log.Error("network conflict", "provider", l.Addr, "ours", ours.Addr, "network", ours.Name, "lease_used", !fatal)
			w.board.note(status.Event{At: time.Now(), Text: "WAN: " + w.trouble})
		}
	}
	w.clashed, w.held = w.trouble, fatal
	return !fatal
}

func clashText(provider netip.Prefix, ours config.LAN, fatal bool) string {
	text := fmt.Sprintf("the provider's network %v and ours, %v (%s), are in each other's way", provider.Masked(), ours.Addr.Masked(), ours.Name)
	if !fatal {
		return text + ": what the provider has there cannot be reached"
	}
	text += fmt.Sprintf("; %v is not used", provider.Addr())
	if !ours.Renumber {
		text += fmt.Sprintf(". Give the interface '%s' another ipaddr, or set option renumber '1' there", ours.Name)
	}
	return text
}

// leadsHome reports whether a route of a lease would take packets for a network
// of ours elsewhere.
func (w *wan) leadsHome(to netip.Prefix) bool {
	return slices.ContainsFunc(w.lans, func(n config.LAN) bool {
		return to.Bits() >= n.Addr.Bits() && n.Addr.Contains(to.Addr())
	})
}

// sendable is d as it can be sent: what the kernel would route from an address
// that the port does not have goes to everybody.
func (w *wan) sendable(d dhcp.Datagram) dhcp.Datagram {
	if w.held && d.HW == (dhcp.HWAddr{}) {
		d.HW = dhcp.BroadcastHW
	}
	return d
}

// recallMoves takes from the ring where networks have moved.
func (r *router) recallMoves() {
	var err error
	if r.moves, err = r.store.moves(); err != nil {
		r.log.Error("networks are where they are configured to be", "err", err)
	}
}

// verdict takes what the WAN side makes of its lease. Once one is in nobody's
// way, clients need not be ready to move any more.
func (r *router) verdict(ctx context.Context, v verdict) {
	if v.clash.IsValid() {
		r.renumber(ctx, v)
		return
	}
	if !r.settled {
		r.settled = true
		r.startLANs(ctx, r.parts())
	}
}

// sameToWAN reports whether two networks are one in the WAN side's eyes.
func sameToWAN(a, b config.LAN) bool {
	return a.Name == b.Name && a.Addr == b.Addr && a.Renumber == b.Renumber
}

// renumber moves the network that is in the provider's way, if it may, for as
// long as it is configured to be there.
func (r *router) renumber(ctx context.Context, v verdict) {
	all := r.cfg.Networks()
	i := slices.IndexFunc(all, func(n config.LAN) bool { return n.Addr.Masked() == v.clash && n.Renumber })
	if i < 0 {
		return
	}
	n := all[i]
	avoid := v.near
	for _, other := range all {
		avoid = append(avoid, other.Addr.Masked(), other.MovedFrom)
	}
	network, ok := elsewhere(n.Addr.Bits(), slices.Concat(avoid, v.far))
	if !ok { // where all private networks are the provider's, or a half of all addresses
		network, ok = elsewhere(n.Addr.Bits(), avoid)
	}
	if !ok {
		r.log.Error("network not moved: there is no private one that is free", "network", n.Name)
		return
	}
	from := n.Addr
	if n.MovedFrom.IsValid() {
		from = n.MovedFrom
	}
	to := sameHost(n.Addr, network)
	r.log.Warn("network moves out of the provider's way", "network", n.Name, "from", n.Addr, "to", to)
	r.board.note(status.Event{At: time.Now(), Text: fmt.Sprintf("%s moves to %v, out of the provider's way", n.Name, to)})
	r.moves = append(slices.DeleteFunc(r.moves, func(m move) bool { return m.from == from }), move{from, to})
	if err := r.store.putMoves(time.Now(), r.moves); err != nil {
		r.log.Error("move not remembered", "err", err)
	}
	r.use(ctx, r.written)
	go r.replug(n.Device)
}

// replug has clients that are at the other end of a cable ask anew, and hear
// that their address is none of this network's. All others ask when their short
// leases are half over.
func (r *router) replug(device string) {
	if err := contain(func() error { return r.os.replug(device) }); err != nil {
		r.log.Error("cables not unplugged and plugged in", "device", device, "err", err)
	}
}

// elsewhere is a private network of that size (RFC 1918) that nothing is in the
// way of. It is the same one each time, and none that devices have when they are
// bought, as far as there is a choice.
func elsewhere(bits int, avoid []netip.Prefix) (netip.Prefix, bool) {
	for _, pool := range []string{"192.168.51.0/16", "10.51.0.0/8", "172.16.0.0/12"} {
		p := netip.MustParsePrefix(pool)
		if bits < p.Bits() {
			continue
		}
		for c := netip.PrefixFrom(p.Addr(), bits).Masked(); p.Contains(c.Addr()); c = after(c) {
			if !slices.ContainsFunc(avoid, c.Overlaps) {
				return c, true
			}
		}
	}
	return netip.Prefix{}, false
}

// after is the network of the same size that follows p.
func after(p netip.Prefix) netip.Prefix {
	b := p.Addr().As4()
	n := binary.BigEndian.Uint32(b[:]) + 1<<(32-p.Bits())
	binary.BigEndian.PutUint32(b[:], n)
	return netip.PrefixFrom(netip.AddrFrom4(b), p.Bits())
}

// sameHost is the host that a is in its network, in another one.
func sameHost(a, network netip.Prefix) netip.Prefix {
	b, host := network.Addr().As4(), a.Addr().As4()
	mask := uint32(1)<<(32-a.Bits()) - 1
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|binary.BigEndian.Uint32(host[:])&mask)
	return netip.PrefixFrom(netip.AddrFrom4(b), a.Bits())
}

// A move is where a network of ours is, in place of where it is configured to
// be. It is known by its own addresses: once the owner changes that, or takes
// option renumber away, the move is over.
type move struct{ from, to netip.Prefix }

// moved is a configuration with the moves that concern it.
func moved(cfg config.Config, moves []move) config.Config {
	for _, n := range cfg.Networks() {
		for _, m := range moves {
			if n.Renumber && n.Addr == m.from {
				cfg = cfg.Move(n.Name, m.to)
			}
		}
	}
	return cfg
}

const movesVersion = 1

// moveLen is how long one is in the ring: two addresses and the size of their
// network.
const moveLen = 9

// putMoves remembers the moves. Where the ring cannot, the next boot will come
// to the same ones, a minute later. A provider that goes after us wherever we move
// does not wear out the flash.
func (s *store) putMoves(now time.Time, moves []move) error {
	value := []byte{movesVersion}
	for _, m := range moves {
		value = append(value, m.from.Addr().AsSlice()...)
		value = append(value, m.to.Addr().AsSlice()...)
		value = append(value, byte(m.from.Bits()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == "" && s.credit(now) <= 0 {
		return errors.New("more was written than the flash can take")
	}
	return s.write(now, ring.Entry{Key: movesKey, Value: value})
}

// moves returns what was remembered.
func (s *store) moves() ([]move, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		return nil, nil
	}
	value, ok := s.ring.Get(movesKey)
	if !ok {
		return nil, nil
	}
	if len(value)%moveLen != 1 || value[0] != movesVersion {
		return nil, errors.New("moved networks: the record cannot be read")
	}
	var list []move
	for m := range slices.Chunk(value[1:], moveLen) {
		bits := int(m[8])
		from, to := netip.PrefixFrom(netip.AddrFrom4([4]byte(m)), bits), netip.PrefixFrom(netip.AddrFrom4([4]byte(m[4:])), bits)
		if !from.IsValid() {
			return nil, fmt.Errorf("moved networks: /%d is no network", bits)
		}
		list = append(list, move{from, to})
	}
	return list, nil
}
