// Package router is the shell around the protocol: it opens sockets, reads the
// clock, keeps the ring and runs one loop for each network of the LAN side, one
// for the WAN and one for the page, each of which can crash and begin anew
// without the others. What they see of other servers, and of wires that are
// connected to each other, they tell the owner.
//
// It is the only package that knows both the protocol and the firmware.
package router

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
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
	// LastWords is why the router ended before the last reboot; "": that stands in
	// the ring, or nowhere.
	LastWords string
	// Pulse is told that the loops live; nil: nobody wants to know.
	Pulse Pulse
}

// A Pulse is felt while every loop that has beaten beats again within 90
// seconds, or has been laid to rest. Who feels none resets the machine.
type Pulse interface {
	Beat(loop string)
	Rest(loop string)
}

// unfelt is the Pulse of a router that nobody watches.
type unfelt struct{}

func (unfelt) Beat(string) {}
func (unfelt) Rest(string) {}

// beatEvery is how often a loop beats that has nothing to do.
const beatEvery = 30 * time.Second

// Run is the router: it serves until ctx ends.
func Run(ctx context.Context, opt Options) error { return run(ctx, opt, linux) }

func run(ctx context.Context, opt Options, os platform) error {
	if opt.Pulse == nil {
		opt.Pulse = unfelt{}
	}
	cfg, problems := opt.Load()
	s := openStore(time.Now(), os, cfg)
	defer s.close()
	tellRing(opt.Log, s)
	r := &router{
		log:   opt.Log,
		os:    os,
		board: newBoard(status.Report{Version: opt.Version, Started: time.Now(), LastWords: cmp.Or(opt.LastWords, s.words()), Ring: s.health(time.Now())}),
		store: s,
		watch: newWatch(),
		pulse: opt.Pulse,

		verdicts: newMailbox[verdict](),
	}
	r.tell(problems)
	r.recallMoves()
	r.start(ctx, cfg)
	told := time.NewTimer(wordsFor)
	defer told.Stop()
	for {
		select {
		case <-ctx.Done():
			r.stop()
			return nil
		case v := <-r.verdicts:
			if err := contain(func() error { r.verdict(ctx, v); return nil }); err != nil {
				r.log.Error("conflict of networks not resolved", "err", err)
			}
		case <-told.C:
			r.forgetWords(time.Now())
		case <-opt.Reload:
			r.log.Info("reading the configuration again")
			if err := contain(func() error { r.reload(ctx, opt.Load); return nil }); err != nil {
				r.log.Error("configuration not read", "err", err)
			}
		}
	}
}

// wordsFor is how long a router has to run for the last words of the one before
// it to be forgotten at the next reboot. One that crashes sooner leaves them as
// they are, which costs no flash.
const wordsFor = time.Hour

// forgetWords leaves them on the page, until the next reboot.
func (r *router) forgetWords(now time.Time) {
	if err := r.store.forgetWords(now); err != nil {
		r.log.Error("last words not forgotten", "err", err)
	}
}

// tellRing says at the start what the ring cannot promise.
func tellRing(log *slog.Logger, s *store) {
	h := s.health(time.Now())
	if h.Trouble != "" {
		log.Error("leases are not kept over a reboot and therefore short", "err", h.Trouble)
	}
	if s.small() {
		log.Warn("the ring was made for fewer leases; once it is full, new clients get short ones that are not kept", "ring", h.Path)
	}
	if h.Damaged > 0 {
		log.Warn("damaged records in the ring were skipped", "ring", h.Path, "records", h.Damaged)
	}
}

// leases is how many bindings a configuration can lead to.
func leases(cfg config.Config) int {
	n := len(cfg.Hosts)
	for _, l := range cfg.Networks() {
		n += lease.Pool{First: l.First, Last: l.Last}.Size()
	}
	return n
}

// A router is the running whole.
type router struct {
	log   *slog.Logger
	os    platform
	board *board
	store *store
	watch *watch
	pulse Pulse

	written   config.Config // what the owner wrote
	cfg       config.Config // that with the networks where they are
	moves     []move
	settled   bool // the WAN side had a lease that no network of ours was in the way of
	lans      []*network
	resolvers spring[[]netip.Addr] // that the WAN side learns
	verdicts  mailbox[verdict]     // of the WAN side
	wan       *wan                 // nil: there is none
	wanT, pg  *running
	disguise  disguise // of the WAN port, which the WAN side changes while it runs
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
		r.pulse.Rest(t.name)
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
	r.written, r.cfg = cfg, moved(cfg, r.moves)
	r.store.fit(time.Now(), r.cfg)
	r.startLANs(ctx, r.parts())
	r.startWAN(ctx)
	r.startPage(ctx)
}

func (r *router) startWAN(ctx context.Context) {
	if !r.cfg.WAN.Enabled {
		r.wanT, r.wan = nil, nil
		r.resolvers.put(nil)
		r.board.publish(func(rep *status.Report) { rep.WAN = status.WAN{} })
		return
	}
	w := &wan{
		log: r.log.With("side", "wan"), board: r.board, watch: r.watch, store: r.store, os: r.os,
		resolvers: r.resolvers.put, cfg: r.cfg.WAN,
		beat: func() { r.pulse.Beat("wan") },
		nets: newMailbox[[]config.LAN](), lans: r.cfg.Networks(), verdicts: r.verdicts.put,
		script: r.startScript(r.cfg.WAN.Script), disguise: &r.disguise,
	}
	r.wan = w
	r.wanT = r.launch(ctx, task{"wan", w.run, w.failed, w.pause})
}

func (r *router) stopWAN() {
	r.wanT.stop()
	if r.wan != nil {
		r.wan.script.end()
	}
}

func (r *router) startPage(ctx context.Context) {
	if r.cfg.Page.Port == 0 {
		r.pg = nil
		return
	}
	lan, port := r.cfg.LAN.Addr, r.cfg.Page.Port
	r.pg = r.launch(ctx, task{name: "page", run: func(ctx context.Context) error {
		return r.servePage(ctx, lan, port)
	}})
}

// servePage listens on the LAN address only, for the LAN only.
func (r *router) servePage(ctx context.Context, lan netip.Prefix, port uint16) error {
	at := netip.AddrPortFrom(lan.Addr(), port)
	l, err := r.os.listenPage(at)
	if err != nil {
		return err
	}
	r.log.Info("status page", "at", fmt.Sprintf("http://%v/", at))
	return status.Serve(ctx, neighbours{l, lan}, r.report)
}

// report is what the page shows, as of now.
func (r *router) report() *status.Report {
	now := *r.board.read()
	now.Memory = r.os.memory()
	return &now
}

// neighbours hangs up on everybody who is not of the network: the kernel takes
// packets for the LAN's address from the WAN port too.
type neighbours struct {
	net.Listener
	network netip.Prefix
}

func (n neighbours) Accept() (net.Conn, error) {
	for {
		c, err := n.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from, ok := c.RemoteAddr().(*net.TCPAddr); ok && n.network.Contains(from.AddrPort().Addr().Unmap()) {
			return c, nil
		}
		c.Close()
	}
}

// reload reads the configuration again.
func (r *router) reload(ctx context.Context, load func() (config.Config, []config.Problem)) {
	cfg, problems := load()
	r.tell(problems)
	r.use(ctx, cfg)
}

// use moves to a configuration, with networks where they have moved, and leaves
// alone what is the same.
func (r *router) use(ctx context.Context, written config.Config) {
	old, cfg := r.cfg, moved(written, r.moves)
	r.written, r.cfg = written, cfg
	if cfg.Ring != old.Ring {
		r.log.Warn("what is said about the ring holds from the next start on", "ring", old.Ring.Path)
	}
	r.store.fit(time.Now(), cfg)
	r.startLANs(ctx, r.parts())
	if !reflect.DeepEqual(cfg.WAN, old.WAN) {
		r.stopWAN()
		r.unmask(cfg.WAN)
		r.startWAN(ctx)
	}
	if r.wan != nil && !slices.EqualFunc(cfg.Networks(), old.Networks(), sameToWAN) {
		r.wan.nets.put(cfg.Networks())
	}
	if cfg.Page != old.Page || cfg.LAN.Addr != old.LAN.Addr {
		r.pg.stop()
		r.startPage(ctx)
	}
}

// stop ends the tasks at once and waits for all.
func (r *router) stop() {
	for _, n := range r.lans {
		n.stop()
	}
	r.stopWAN()
	r.unmask(config.WAN{})
	r.pg.stop()
}

// toldProblems is how many mistakes go to the log one by one: a file of garbage
// has hundreds.
const toldProblems = 10

// tell shows what is wrong with the configuration on log and page.
func (r *router) tell(problems []config.Problem) {
	var lines []string
	warnings := 0
	for _, p := range problems {
		if p.Warning {
			warnings++
			continue
		}
		lines = append(lines, p.String())
		if len(lines) <= toldProblems {
			r.log.Warn("configuration", "problem", p)
		}
	}
	if more := len(lines) - toldProblems; more > 0 {
		r.log.Warn("configuration", "more_problems", more)
	}
	if warnings > 0 {
		r.log.Info("configuration has entries without effect; leasehold check lists them", "entries", warnings)
	}
	r.board.publish(func(rep *status.Report) { rep.Problems = lines })
}
