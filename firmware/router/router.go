// Package router is the shell around the protocol: it opens sockets, reads the
// clock, keeps the ring and runs one loop for the LAN, one for the WAN and one
// for the page, each of which can crash and begin anew without the others.
//
// It is the only package that knows both the protocol and the firmware.
package router

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"time"

	"leasehold/dhcp/lease"
	"leasehold/firmware/config"
	"leasehold/firmware/status"
)

// Options are what the router is started with.
type Options struct {
	Version string
	Log     *slog.Logger
	// Load reads the configuration; it is called at the start and at every
	// reload. What it cannot use it leaves out and lists.
	Load func() (config.Config, []config.Problem)
	// Reload asks for the configuration to be read again.
	Reload <-chan struct{}
}

// Run is the router: it serves until ctx ends.
func Run(ctx context.Context, opt Options) error {
	cfg, problems := opt.Load()
	r := &router{
		log:   opt.Log,
		os:    linux,
		board: newBoard(status.Report{Version: opt.Version, Started: time.Now()}),
		store: openStore(cfg.Ring.Path, leases(cfg)),
	}
	defer r.store.close()
	if r.store.trouble != "" {
		r.log.Error("leases are not kept over a reboot and therefore short", "err", r.store.trouble)
	}
	r.tell(problems)
	r.start(ctx, cfg)
	for {
		select {
		case <-ctx.Done():
			r.stop()
			return nil
		case <-opt.Reload:
			r.log.Info("reading the configuration again")
			cfg, problems := opt.Load()
			r.tell(problems)
			r.apply(ctx, cfg)
		}
	}
}

// leases is how many bindings a configuration can lead to.
func leases(cfg config.Config) int {
	pool := lease.Pool{First: cfg.LAN.First, Last: cfg.LAN.Last}
	return pool.Size() + len(cfg.Hosts)
}

// A router is the running whole.
type router struct {
	log   *slog.Logger
	os    platform
	board *board
	store *store

	cfg            config.Config
	lan            *lan
	lanT, wanT, pg *running
}

// A running task can be stopped and waited for.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *router) launch(ctx context.Context, t task) *running {
	ctx, cancel := context.WithCancel(ctx)
	run := &running{cancel, make(chan struct{})}
	go func() {
		defer close(run.done)
		supervise(ctx, r.log, t)
	}()
	return run
}

func (t *running) stop() {
	if t != nil {
		t.cancel()
		<-t.done
	}
}

func (r *router) start(ctx context.Context, cfg config.Config) {
	r.cfg = cfg
	r.lan = &lan{
		log: r.log.With("side", "lan"), board: r.board, store: r.store, os: r.os,
		configs: newMailbox[lanConfig](), dns: newMailbox[[]netip.Addr](),
		cfg: lanConfig{cfg.LAN, cfg.Hosts},
	}
	r.lanT = r.launch(ctx, task{"lan", r.lan.run, r.lan.failed})
	r.startWAN(ctx)
	r.startPage(ctx)
}

func (r *router) startWAN(ctx context.Context) {
	if !r.cfg.WAN.Enabled {
		r.wanT = nil
		r.board.publish(func(rep *status.Report) { rep.WAN = status.WAN{} })
		return
	}
	w := &wan{
		log: r.log.With("side", "wan"), board: r.board, store: r.store, os: r.os,
		resolvers: r.lan.dns.put, cfg: r.cfg.WAN,
	}
	r.wanT = r.launch(ctx, task{"wan", w.run, w.failed})
}

func (r *router) startPage(ctx context.Context) {
	if r.cfg.Page.Port == 0 {
		r.pg = nil
		return
	}
	at := netip.AddrPortFrom(r.cfg.LAN.Addr.Addr(), r.cfg.Page.Port)
	r.pg = r.launch(ctx, task{"page", func(ctx context.Context) error {
		return servePage(ctx, r.log, at, r.board.read)
	}, func(string) {}})
}

// servePage listens on the LAN address only. That address may be about to be
// set; until then there is nothing to listen on and the supervisor tries again.
func servePage(ctx context.Context, log *slog.Logger, at netip.AddrPort, report func() *status.Report) error {
	l, err := net.Listen("tcp4", at.String())
	if err != nil {
		return err
	}
	log.Info("status page", "at", fmt.Sprintf("http://%v/", at))
	return status.Serve(ctx, l, report)
}

// apply moves to another configuration and leaves alone what is the same.
func (r *router) apply(ctx context.Context, cfg config.Config) {
	old := r.cfg
	r.cfg = cfg
	if cfg.Ring != old.Ring {
		r.log.Warn("the ring moves at the next start only", "ring", old.Ring.Path)
	}
	r.lan.configs.put(lanConfig{cfg.LAN, cfg.Hosts})
	if !reflect.DeepEqual(cfg.WAN, old.WAN) {
		r.wanT.stop()
		r.startWAN(ctx)
	}
	if cfg.Page != old.Page || cfg.LAN.Addr != old.LAN.Addr {
		r.pg.stop()
		r.startPage(ctx)
	}
}

// stop ends the tasks at once and waits for all.
func (r *router) stop() {
	for _, t := range []*running{r.lanT, r.wanT, r.pg} {
		t.stop()
	}
}

// tell shows what is wrong with the configuration on log and page.
func (r *router) tell(problems []config.Problem) {
	var lines []string
	for _, p := range problems {
		r.log.Warn("configuration", "problem", p)
		if !p.Warning {
			lines = append(lines, p.String())
		}
	}
	r.board.publish(func(rep *status.Report) { rep.Problems = lines })
}
