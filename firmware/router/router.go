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
func Run(ctx context.Context, opt Options) error { return run(ctx, opt, linux) }

func run(ctx context.Context, opt Options, os platform) error {
	cfg, problems := opt.Load()
	s := openStore(os.openRing, cfg.Ring.Path, leases(cfg))
	defer s.close()
	if s.trouble != "" {
		opt.Log.Error("leases are not kept over a reboot and therefore short", "err", s.trouble)
	}
	r := &router{
		log:   opt.Log,
		os:    os,
		board: newBoard(status.Report{Version: opt.Version, Started: time.Now(), Ring: s.health()}),
		store: s,
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
			if err := contain(func() error { r.reload(ctx, opt.Load); return nil }); err != nil {
				r.log.Error("configuration not read", "err", err)
			}
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
	r.lanT = r.launch(ctx, task{"lan", r.lan.run, r.lan.failed, r.lan.pause})
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
	r.wanT = r.launch(ctx, task{name: "wan", run: w.run, failed: w.failed})
}

func (r *router) startPage(ctx context.Context) {
	if r.cfg.Page.Port == 0 {
		r.pg = nil
		return
	}
	at := netip.AddrPortFrom(r.cfg.LAN.Addr.Addr(), r.cfg.Page.Port)
	r.pg = r.launch(ctx, task{name: "page", run: func(ctx context.Context) error {
		return r.servePage(ctx, at)
	}})
}

// servePage listens on the LAN address only.
func (r *router) servePage(ctx context.Context, at netip.AddrPort) error {
	l, err := r.os.listenPage(at)
	if err != nil {
		return err
	}
	r.log.Info("status page", "at", fmt.Sprintf("http://%v/", at))
	return status.Serve(ctx, l, r.board.read)
}

// reload moves to another configuration and leaves alone what is the same.
func (r *router) reload(ctx context.Context, load func() (config.Config, []config.Problem)) {
	cfg, problems := load()
	r.tell(problems)
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
