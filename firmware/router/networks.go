package router

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"leasehold/firmware/config"
	"leasehold/firmware/status"
)

// A network is one of the networks of the LAN side: a loop of its own, which can
// fail, crash and begin anew without the others.
type network struct {
	*running
	lan *lan
	cfg lanConfig // that the loop was given last
}

// lanParts are the parts of the configuration that are the networks', each with
// those behind its relay agents.
func lanParts(cfg config.Config) []lanConfig {
	var parts []lanConfig
	for _, n := range cfg.Networks() {
		p := lanConfig{
			LAN:      n,
			Hosts:    cfg.Hosts,
			Clients:  cfg.Clients,
			OnWAN:    n.Device == cfg.WAN.Device && (cfg.WAN.Enabled || n.Name != cfg.LAN.Name),
			AwaitDNS: len(n.DNS) == 0 && !n.NoDNS && cfg.WAN.Enabled && (cfg.WAN.PeerDNS || len(cfg.WAN.DNS) > 0),
		}
		if i := slices.IndexFunc(parts, func(q lanConfig) bool { return q.Name == n.Via }); i >= 0 {
			p.Carrier = parts[i].Addr.Addr() // it may have moved
			parts[i].Relayed = append(parts[i].Relayed, p)
		} else {
			parts = append(parts, p)
		}
	}
	return parts
}

// parts are those of what is in force. Until the WAN side has a lease that they
// are not in the way of, networks that may move are ready to.
func (r *router) parts() []lanConfig {
	parts := lanParts(r.cfg)
	for i := range parts {
		parts[i].MayMove = parts[i].Renumber && r.cfg.WAN.Enabled && !r.settled
	}
	return parts
}

// startLANs has exactly these networks served. Who goes or moves ends before
// anybody begins, so that no address is in two loops' hands.
func (r *router) startLANs(ctx context.Context, parts []lanConfig) {
	for _, n := range r.lans {
		i := slices.IndexFunc(parts, func(p lanConfig) bool { return p.Name == n.cfg.Name })
		if i < 0 || parts[i].Device != n.cfg.Device || parts[i].Addr != n.cfg.Addr {
			r.endLAN(n)
		}
	}
	var all []*network
	for _, p := range parts {
		i := slices.IndexFunc(r.lans, func(n *network) bool { return n.cfg.Name == p.Name && n.running != nil })
		if i < 0 {
			all = append(all, &network{cfg: p})
			continue
		}
		n := r.lans[i]
		n.cfg = p
		n.lan.configs.put(p)
		all = append(all, n)
	}
	r.lans = all
	r.board.arrange(parts)
	for _, n := range all {
		if n.running == nil {
			r.startLAN(ctx, n)
		}
	}
}

func (r *router) startLAN(ctx context.Context, n *network) {
	name := taskName(n.cfg.Name)
	n.lan = &lan{
		log: r.log.With("side", "lan", "network", n.cfg.Name), board: r.board, watch: r.watch, store: r.store, os: r.os,
		configs: newMailbox[lanConfig](), dns: newMailbox[[]netip.Addr](),
		cfg:  n.cfg,
		beat: func() { r.pulse.Beat(name) },
	}
	r.resolvers.join(n.cfg.Name, n.lan.dns)
	n.running = r.launch(ctx, task{name, n.lan.run, n.lan.failed, n.lan.pause})
}

// taskName is what a network's loop is called.
func taskName(network string) string {
	if network == "lan" {
		return network
	}
	return "network " + network
}

// endLAN stops a network and takes its address down.
func (r *router) endLAN(n *network) {
	n.stop()
	n.running = nil
	r.resolvers.leave(n.cfg.Name)
	if err := r.os.removeAddr(n.cfg.Device, n.cfg.Addr); err != nil {
		r.log.Error("old address not taken off", "err", err)
	}
}

// A spring tells everybody the latest of the values that were put in, also who
// comes later.
type spring[T any] struct {
	mu    sync.Mutex
	last  T
	known bool
	to    map[string]mailbox[T]
}

func (s *spring[T]) put(v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.known = v, true
	for _, m := range s.to {
		m.put(v)
	}
}

func (s *spring[T]) join(name string, m mailbox[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to == nil {
		s.to = map[string]mailbox[T]{}
	}
	s.to[name] = m
	if s.known {
		m.put(s.last)
	}
}

func (s *spring[T]) leave(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.to, name)
}

// arrange has the page show these networks, in this order.
func (b *board) arrange(parts []lanConfig) {
	b.publish(func(r *status.Report) {
		var views []status.LAN
		for _, p := range parts {
			for _, n := range append([]lanConfig{p}, p.Relayed...) {
				v := view(n, "")
				if i := slices.IndexFunc(r.LANs, func(l status.LAN) bool { return l.Name == n.Name }); i >= 0 {
					v = r.LANs[i]
				}
				views = append(views, v)
			}
		}
		r.LANs = views
	})
}

// showLANs replaces what the report has of networks, as far as they still are.
func showLANs(r *status.Report, views []status.LAN) {
	r.LANs = slices.Clone(r.LANs)
	for _, v := range views {
		if i := slices.IndexFunc(r.LANs, func(l status.LAN) bool { return l.Name == v.Name }); i >= 0 {
			r.LANs[i] = v
		}
	}
}
