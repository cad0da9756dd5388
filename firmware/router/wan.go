package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"leasehold/dhcp"
	"leasehold/dhcp/client"
	"leasehold/firmware/config"
	"leasehold/firmware/link"
	"leasehold/firmware/status"
)

// wan is the side that asks: one loop that owns the client's machine and
// carries out its steps.
type wan struct {
	log   *slog.Logger
	board *board
	watch *watch
	store *store
	os    platform
	// resolvers is told which name servers there are: the owner's, and with an
	// uplink the provider's.
	resolvers func([]netip.Addr)

	beat func()
	cfg  config.WAN
	was  link.Presence // of the port when the loop began
	// disguise outlives the WAN side, so that the port can have its own again.
	disguise *disguise
	machine  *client.Machine
	conn     conn
	probed   chan probeResult
	claimed  chan claim // by others, of the address that the port has
	guarded  netip.Addr // who listens for that; unguard ends it
	unguard  context.CancelFunc
	trouble  string         // what could not be set up
	refused  []status.Event // the answers that were not used, each once, the latest last
	lans     []config.LAN   // the networks that we serve
	nets     mailbox[[]config.LAN]
	held     bool   // the lease is not on the port: one of lans is in its way
	clashed  string // what was said of that last
	script   *script
	// configured is the address that the script was told of, idle that it was told
	// of there being none; unanswered is how many messages were not answered in a
	// row.
	configured netip.Prefix
	idle       bool
	unanswered int
	// verdicts is told what we make of a lease.
	verdicts func(verdict)
	partial  bool // the kernel does not take all routes of the lease
	mending  mending
	cable    link.Carrier // as the kernel says
	up       bool         // whether it is in, as far as we know
}

// A claim is another station's, to an address of ours.
type claim struct {
	addr netip.Addr
	by   dhcp.HWAddr
}

type probeResult struct {
	addr netip.Addr
	by   dhcp.HWAddr // who uses it; zero: nobody
}

// run holds a lease until ctx ends or the interface goes. The address that the
// port had before is in the ring and is asked for first.
//
// The port has an address of ours only while the loop runs, which sees to it that
// none outlives its lease. One that a killed router left behind goes at the start.
func (w *wan) run(ctx context.Context) error {
	w.beat()
	if err := w.prepare(); err != nil {
		return err
	}
	w.clear()
	defer w.clear()
	c, err := w.os.listen(w.cfg.Device, dhcp.ClientPort)
	if err != nil {
		return err
	}
	w.watch.port(c.HW(), onWAN)
	defer c.Close()
	w.conn, w.probed, w.claimed = c, make(chan probeResult), make(chan claim)
	w.guarded, w.unguard = netip.Addr{}, func() {}
	w.prioritize()
	w.machine = client.New(w.clientConfig(), rand.New(rand.NewPCG(rand.Uint64(), seed(c.HW()))))
	if err := w.loop(ctx); !errors.Is(err, syscall.ENETDOWN) {
		return err
	}
	return w.wasDown(ctx)
}

// seed mixes the port's address into the chance of the machine: two routers of
// one make may boot with the same entropy.
func seed(hw dhcp.HWAddr) (s uint64) {
	for _, b := range hw {
		s = s<<8 | uint64(b)
	}
	return s
}

func (w *wan) clientConfig() client.Config {
	last, err := w.store.wan()
	if err != nil {
		w.log.Error("last address forgotten", "ring", w.store.place, "err", err)
	}
	id := w.cfg.ClientID
	if w.cfg.ClientDUID {
		id = client.NodeID(w.conn.HW())
	}
	return client.Config{
		HW:          w.conn.HW(),
		ID:          id,
		Hostname:    w.cfg.Hostname,
		VendorID:    w.cfg.VendorID,
		Broadcast:   w.cfg.Broadcast,
		Send:        w.cfg.Send,
		Request:     w.cfg.Request,
		RequestOnly: w.cfg.RequestOnly,
		NoClassless: w.cfg.NoClassless,
		Accept:      w.cfg.Accept,
		Reject:      w.cfg.Reject,
		Last:        last,
	}
}

func (w *wan) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan dhcp.Datagram, 16)
	broken := receive(w.conn, offer(messages), w.log)
	carrier := newMailbox[link.Carrier]()
	go supervise(ctx, w.log, task{name: "carrier watch", run: func(ctx context.Context) error {
		return w.os.watchCarrier(ctx, w.cfg.Device, carrier.put)
	}})
	lost := newMailbox[struct{}]()
	go supervise(ctx, w.log, task{name: "uplink watch", run: func(ctx context.Context) error {
		return w.os.watchUplink(ctx, w.cfg.Device, func() { lost.put(struct{}{}) })
	}})
	wake := time.NewTimer(0)
	defer wake.Stop()
	w.mending.start()
	defer w.mending.look.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	w.cable, w.up = link.Carrier{}, true
	step := w.machine.Start(time.Now())
	for {
		w.beat()
		if err := w.carry(ctx, step, wake); err != nil {
			return err
		}
		step = client.Step{Wake: step.Wake}
		select {
		case <-ctx.Done():
			if w.cfg.Release {
				w.release(ctx, wake)
			}
			return ctx.Err()
		case err := <-broken:
			return err
		case d := <-messages:
			if w.suspect(time.Now(), d) {
				break
			}
			step = w.machine.Receive(time.Now(), d)
			// Who answers us is at the other end of a cable, even where the
			// kernel takes a second longer to say so. Once one was pulled, the
			// answer may come from before that.
			w.up = w.up || step.Why.Reason != 0 && w.cable.Lost == 0
		case p := <-w.probed:
			step = w.machine.Probed(time.Now(), p.addr, p.by)
			if r := step.Why.Reason; r == client.InUse || r == client.Contested {
				w.log.Warn("address is in use", "addr", p.addr, "by", p.by)
			}
		case c := <-w.claimed:
			if step = w.machine.Conflict(time.Now(), c.addr, c.by); step.Why.Reason != 0 {
				w.log.Warn("address is claimed", "addr", c.addr, "by", c.by)
			}
		case w.lans = <-w.nets:
			if l := w.machine.Lease(); l != nil {
				step = client.Step{Lease: l, Announce: l.Addr.Addr(), Wake: step.Wake}
			}
		case now := <-carrier:
			step = w.carrier(now, step)
		case <-lost:
			w.mending.soon(time.Now())
		case <-w.mending.look.C:
			if err := w.mend(time.Now()); err != nil {
				return err
			}
		case <-wake.C:
			step = w.machine.Tick(time.Now())
		case <-beat.C:
		}
	}
}

// carrier takes word of the cable; where that is no news, next is what was. What is
// plugged in may lead elsewhere now.
func (w *wan) carrier(now link.Carrier, next client.Step) client.Step {
	blinked := now.Up && w.up && now.Lost != w.cable.Lost
	w.cable = now
	if now.Up == w.up && !blinked {
		return next
	}
	if w.up {
		w.log.Info("cable is out", "device", w.cfg.Device)
		w.board.note(status.Event{At: time.Now(), Text: "WAN: cable is out"})
	}
	if w.up = now.Up; !now.Up {
		return w.machine.LinkDown(time.Now())
	}
	w.log.Info("cable is in", "device", w.cfg.Device)
	return w.machine.LinkUp(time.Now())
}

// release gives the lease back. The address stays a wish for the next time.
func (w *wan) release(ctx context.Context, wake *time.Timer) {
	l := w.machine.Lease()
	if err := w.carry(ctx, w.machine.Release(time.Now()), wake); err != nil {
		w.log.Error("not released", "err", err)
	}
	if l != nil && !l.LinkLocal {
		w.remember(client.Last{Addr: l.Addr.Addr()})
	}
}

// offer puts messages into ch while there is room: whoever floods a client with
// answers gets the first few read.
func offer(ch chan<- dhcp.Datagram) func(dhcp.Datagram) {
	return func(d dhcp.Datagram) {
		select {
		case ch <- d:
		default:
		}
	}
}

// carry does what a step says, in its order, and sets the timer. It fails where
// the port cannot be made to have the lease: then all begins anew, and soon.
func (w *wan) carry(ctx context.Context, s client.Step, wake *time.Timer) error {
	if s.Lease != nil {
		if err := w.install(*s.Lease); err != nil {
			return err
		}
		a := s.Lease.Addr.Addr()
		if w.held {
			a = netip.Addr{}
		}
		w.guard(ctx, a)
	}
	w.publish() // before what takes time
	if s.Why.Reason != 0 {
		w.tell(s)
	}
	w.happens(s)
	if s.Announce.IsValid() && !w.held {
		if err := w.os.announce(w.cfg.Device, s.Announce); err != nil {
			w.log.Error("not announced", "err", err)
		}
	}
	if s.Probe.IsValid() {
		go w.probe(ctx, s.Probe, w.probed)
	}
	if s.Send != nil {
		w.watch.asks(s.Send.Msg, onWAN)
		if err := w.conn.Send(w.sendable(*s.Send)); err != nil {
			w.log.Error("not sent", "err", err)
		}
	}
	if s.Wake.IsZero() {
		wake.Stop()
	} else {
		wake.Reset(time.Until(s.Wake))
	}
	return nil
}

// tell says on log and page what a step came of.
func (w *wan) tell(s client.Step) {
	var attrs []any
	for _, a := range []struct {
		key  string
		addr netip.Addr
	}{{"addr", s.Why.Addr}, {"server", s.Why.Server}} {
		if a.addr.IsValid() {
			attrs = append(attrs, a.key, a.addr)
		}
	}
	if s.Why.For != 0 {
		attrs = append(attrs, "for", s.Why.For.Round(time.Second))
	}
	if s.Lease != nil && !s.Lease.Renew.IsZero() {
		attrs = append(attrs, "renew_in", time.Until(s.Lease.Renew).Round(time.Second))
	}
	if s.Why.Detail != "" {
		attrs = append(attrs, "detail", s.Why.Detail)
	}
	w.log.Info(s.Why.Reason.String(), attrs...)
	if s.Why.Reason == client.Unwanted || s.Why.Reason == client.Unusable {
		w.refuse(s.Why.String())
	}
	w.board.note(status.Event{At: time.Now(), Text: fmt.Sprintf("WAN: %v", s.Why)})
}

// guard listens, in a goroutine of its own, for who else claims the address that
// the port has from now on.
func (w *wan) guard(ctx context.Context, a netip.Addr) {
	if a == w.guarded {
		return
	}
	w.unguard()
	ctx, w.unguard = context.WithCancel(ctx)
	if w.guarded = a; !a.IsValid() {
		return
	}
	claimed := w.claimed // of this loop, not of the next
	go supervise(ctx, w.log, task{name: "address guard", run: func(ctx context.Context) error {
		return w.os.guard(ctx, w.cfg.Device, a, func(by dhcp.HWAddr) {
			select {
			case claimed <- claim{a, by}:
			case <-ctx.Done():
			}
		})
	}})
}

// mostRefused is how many servers there may be that are not listened to.
const mostRefused = 5

// refuse remembers for the page an answer that was not used.
func (w *wan) refuse(why string) {
	list := slices.DeleteFunc(slices.Clone(w.refused), func(e status.Event) bool { return e.Text == why })
	list = append(list, status.Event{At: time.Now(), Text: why})
	w.refused = list[max(0, len(list)-mostRefused):]
}

// probe asks by ARP in a goroutine of its own, which ends within half a second.
// An address that could not be asked for is taken for free: it was granted.
func (w *wan) probe(ctx context.Context, a netip.Addr, probed chan<- probeResult) {
	var by dhcp.HWAddr
	err := contain(func() (err error) {
		by, err = w.os.probe(w.cfg.Device, netip.Addr{}, a)
		return err
	})
	if err != nil {
		w.log.Error("not probed", "err", err)
	}
	select {
	case probed <- probeResult{a, by}:
	case <-ctx.Done():
	}
}

// clear takes from the port what it has.
func (w *wan) clear() {
	w.install(client.Lease{})
	w.deconfigured()
}

// install makes the port have the lease, or nothing where l has no address. A
// port that cannot be cleared is gone, or soon will be; that is no error. Nor is
// a route that the kernel does not take: the address is worth more.
func (w *wan) install(l client.Lease) error {
	w.trouble = ""
	w.held = false
	if !l.Addr.IsValid() {
		w.clashed = ""
		w.check(w.os.clearUplink(w.cfg.Device))
		w.resolve(nil, nil)
		return nil
	}
	if !w.judge(l) {
		w.check(w.os.clearUplink(w.cfg.Device))
		w.resolve(nil, nil)
		w.remember(l.Last())
		return nil
	}
	err := w.os.setUplink(w.cfg.Device, w.uplink(l))
	if w.partial = errors.Is(err, link.ErrRoutes); err != nil && !w.partial {
		return err
	}
	w.check(err)
	w.resolve(l.DNS, searched(l))
	if !l.LinkLocal {
		w.remember(l.Last())
	}
	return nil
}

// uplink is what the port is to have for a lease. The kernel keeps the address
// for no longer than that lasts, whatever becomes of us.
func (w *wan) uplink(l client.Lease) link.Uplink {
	u := link.Uplink{Addr: l.Addr, Metric: w.cfg.Metric, MTU: l.MTU}
	if !l.Expires.IsZero() {
		u.Valid = max(time.Until(l.Expires), time.Second) // none would be for ever
	}
	for _, r := range l.Routes {
		if w.cfg.NoDefault && r.Prefix.Bits() == 0 {
			continue
		}
		if w.leadsHome(r.Prefix) {
			w.log.Warn("route of the provider left out: it leads to a network of ours", "to", r.Prefix)
			continue
		}
		u.Routes = append(u.Routes, link.Route{To: r.Prefix, Via: r.Gateway})
	}
	return u
}

// searched is where names without a dot are looked for: the list that was made
// for that, or else the provider's own domain.
func searched(l client.Lease) []string {
	if len(l.Search) > 0 || l.Domain == "" {
		return l.Search
	}
	return []string{l.Domain}
}

// remember keeps what the next boot will ask for. A renewal changes nothing of
// it and so writes nothing.
func (w *wan) remember(last client.Last) {
	if err := w.store.putWAN(time.Now(), last); err != nil {
		w.log.Error("address not remembered", "err", err)
	}
}

// resolve writes the resolver file: the owner's name servers first.
func (w *wan) resolve(learned []netip.Addr, search []string) {
	dns := w.cfg.DNS
	if w.cfg.PeerDNS {
		dns = slices.Concat(dns, learned)
	} else {
		search = nil
	}
	w.check(w.os.writeResolver(w.cfg.ResolvFile, dns, search))
	w.resolvers(dns)
}

func (w *wan) check(err error) {
	if err != nil {
		w.trouble = cmp.Or(w.trouble, err.Error())
		w.log.Error("uplink not set up", "err", err)
	}
}

func (w *wan) publish() {
	view := status.WAN{Device: w.cfg.Device, State: w.machine.State().String(), Trouble: w.trouble, NoCable: !w.up, Held: w.held, Refused: w.refused}
	if l := w.machine.Lease(); l != nil {
		view.Addr, view.Server, view.Gateway, view.MTU = l.Addr, l.Server, l.Gateway(), l.MTU
		view.DNS, view.Domain, view.Search, view.NTP = l.DNS, l.Domain, l.Search, l.NTP
		view.Renew, view.Expires = l.Renew, l.Expires
		for _, r := range l.Routes {
			view.Routes = append(view.Routes, status.Route{To: r.Prefix, Via: r.Gateway})
		}
	}
	w.board.publish(func(r *status.Report) { r.WAN = view })
}

func (w *wan) failed(why string) {
	w.board.publish(func(r *status.Report) {
		r.WAN = status.WAN{Device: w.cfg.Device, State: client.Stopped.String(), Trouble: why}
	})
}
