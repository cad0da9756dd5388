package router

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
	"leasehold/dhcp/server"
	"leasehold/dhcp/wire"
	"leasehold/firmware/config"
	"leasehold/firmware/link"
	"leasehold/firmware/ring"
	"leasehold/firmware/status"
)

// lan is one network of the serving side, with those behind its relay agents: a
// loop that owns their servers and tables.
type lan struct {
	log   *slog.Logger
	board *board
	watch *watch
	store *store
	os    platform

	configs mailbox[lanConfig]
	dns     mailbox[[]netip.Addr] // the resolvers that the WAN side learned
	beat    func()

	cfg      lanConfig
	was      link.Presence // of the device when the loop began
	upstream []netip.Addr
	subnets  []*subnet // our own network, then those behind relay agents
	conn     conn
	queue    *queue
	asking   map[netip.Addr]question // messages that wait for a probe of an address
	asked    chan answer
	unasked  uint64 // messages that were dropped for want of a probe
	seeking  int    // probes for which no message waits
	mended   int    // how often the ring was mended, as far as we have seen to it
}

// A question is a message that waits, after so many probes for it before.
type question struct {
	dhcp.Datagram
	tries int
	stale bool // its sender has said something else meanwhile
}

// An answer is what a probe found.
type answer struct {
	addr netip.Addr
	seek bool        // it was asked only to tell the owner
	user dhcp.HWAddr // zero: nobody
	err  error
}

// askAtOnce is how many addresses are probed at a time. What comes while so many
// are is answered without, if it can be kept, and not at all if it is to be lent.
const askAtOnce = 8

// mostTries is how many addresses are probed for one message. Where all are in
// use, the client may ask again.
const mostTries = 4

// lanConfig is the part of the configuration that is one network's.
type lanConfig struct {
	config.LAN
	Hosts   []config.Host
	Clients config.Clients
	// Relayed are the networks behind relay agents on this one.
	Relayed []lanConfig
	// OnWAN: the device is the WAN port, where we never serve.
	OnWAN bool
	// AwaitDNS: the clients' resolvers are those that the WAN side learns.
	AwaitDNS bool
	// MayMove: the WAN side may find that the network is in its way.
	MayMove bool
}

// untilDNS is how long a client holds its address while there are no resolvers to
// tell it, or while the network may yet move: after a power failure the house is up
// before the modem is, and must not be without names until half of a day-long lease
// has gone.
const untilDNS = 2 * time.Minute

// The page follows what happens every publishEvery at most, and less often
// where that would take more of the loop's time than a hundredth.
const (
	publishEvery = 200 * time.Millisecond
	publishShare = 100
)

// run serves until ctx ends, the interface goes, or serving is switched on or
// off. What it knows comes from the ring, so it can be started
// again at any time.
func (l *lan) run(ctx context.Context) error {
	l.beat()
	l.was = l.os.present(l.cfg.Device)
	if l.cfg.OnWAN {
		l.cfg.Serve = false
	} else if err := l.os.addAddr(l.cfg.Device, l.cfg.Addr); err != nil {
		return err
	}
	l.conn = nil
	l.subnets = nil
	l.divide()
	l.asking, l.asked, l.seeking = map[netip.Addr]question{}, make(chan answer, 2*askAtOnce), 0
	l.recall(time.Now(), l.subnets)
	if !l.cfg.Serve {
		return l.idle(ctx)
	}
	c, err := l.os.listen(l.cfg.Device, dhcp.ServerPort)
	if err != nil {
		return err
	}
	defer c.Close()
	l.conn, l.queue = c, newQueue()
	l.watch.port(c.HW(), l.cfg.Name)
	l.log.Info("serving", "device", l.cfg.Device, "addr", l.cfg.Addr, "from", l.cfg.First, "to", l.cfg.Last)
	answers := make(chan dhcp.Datagram, 16)
	overhear := offer(answers)
	return l.loop(ctx, answers, receive(c, func(d dhcp.Datagram) {
		if d.Msg.OpCode == dhcpv4.OpcodeBootReply {
			overhear(d)
		} else {
			l.queue.put(d)
		}
	}, l.log))
}

// receive reads c in a goroutine of its own, which ends when c is closed.
func receive(c conn, put func(dhcp.Datagram), log *slog.Logger) <-chan error {
	broken := make(chan error, 1)
	go func() { broken <- contain(func() error { return receiveAll(c, put, log) }) }()
	return broken
}

func receiveAll(c conn, put func(dhcp.Datagram), log *slog.Logger) error {
	for {
		d, err := c.Receive()
		if bad := (*wire.Malformed)(nil); errors.As(err, &bad) {
			log.Debug("not DHCP", "err", err)
			continue
		}
		if err != nil {
			return err
		}
		put(d)
	}
}

func (l *lan) loop(ctx context.Context, answers <-chan dhcp.Datagram, broken <-chan error) error {
	mend := time.NewTicker(mendEvery)
	defer mend.Stop()
	refresh := time.NewTimer(0)
	defer refresh.Stop()
	due := true // refresh is running
	pause := publishEvery
	batch := make([]dhcp.Datagram, 0, batchLen)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	seek := time.NewTimer(seekFirst)
	defer seek.Stop()
	for {
		l.beat()
		batch = batch[:0]
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case cfg := <-l.configs:
			if err := l.reconfigure(cfg); err != nil {
				return err
			}
		case l.upstream = <-l.dns:
			l.divide()
		case d := <-l.queue.finish:
			batch = append(batch, d)
		case d := <-l.queue.begin:
			batch = append(batch, d)
		case a := <-l.asked:
			l.heard(time.Now(), a)
		case d := <-answers:
			l.overhear(time.Now(), d)
		case <-seek.C:
			l.seek()
			seek.Reset(seekEvery)
		case <-mend.C:
			l.mend(time.Now())
		case <-beat.C:
		case <-refresh.C:
			began := time.Now()
			l.publish()
			pause = max(publishEvery, publishShare*time.Since(began))
			due = false
			continue
		}
		if len(batch) > 0 {
			now := time.Now()
			l.handle(now, l.withoutOwn(now, l.queue.drain(batch)))
		}
		if !due {
			refresh.Reset(pause)
			due = true
		}
	}
}

// idle waits for another configuration.
func (l *lan) idle(ctx context.Context) error {
	mend := time.NewTicker(mendEvery)
	defer mend.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		l.beat()
		l.publish()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case cfg := <-l.configs:
			if err := l.reconfigure(cfg); err != nil {
				return err
			}
		case l.upstream = <-l.dns:
		case <-beat.C:
		case <-mend.C:
			l.mend(time.Now())
		}
	}
}

// pause waits after a failure. Another configuration ends it: it may have what
// was missing. So does a bridge that comes, or comes back.
func (l *lan) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	device, was := l.cfg.Device, l.was
	found := make(chan struct{})
	go func() {
		l.os.await(ctx, l.log, device, was)
		close(found)
	}()
	select {
	case <-found:
	case cfg := <-l.configs:
		l.cfg = cfg
	}
}

// mend looks after the ring. One that is there again may know more than we do.
func (l *lan) mend(now time.Time) {
	mended := l.store.mend(now)
	if mended == l.mended {
		return
	}
	l.mended = mended
	l.log.Info("the ring takes leases again", "ring", l.store.place)
	l.recall(now, l.subnets)
	var known []ring.Entry // to it, perhaps not: it may be another one
	for _, n := range l.subnets {
		for s := range n.server.Table().All() {
			if s.State == lease.Bound && s.Kept && now.Before(s.Until) {
				if e, err := entry(keyOf(s.Addr), s.Binding); err == nil {
					known = append(known, e)
				}
			}
		}
	}
	if err := l.keep(now, known); err != nil {
		l.log.Error("leases not kept", "leases", len(known), "err", err)
	}
}

// recall fills tables with what the ring remembers, and with what is lent. Of
// two addresses of one client in one network, as a power cut in the middle of a
// move leaves them, the later counts and the earlier is forgotten.
func (l *lan) recall(now time.Time, subnets []*subnet) {
	l.mended = l.store.times()
	n := 0
	var moved []ring.Entry
	for b, err := range l.store.bindings() {
		if err != nil {
			l.log.Error("lease in the ring skipped", "ring", l.store.place, "err", err)
			continue
		}
		s := holding(subnets, b.Addr)
		if s == nil {
			continue
		}
		old, known := s.server.Table().Holder(b.ID)
		if !s.server.Recall(now, b) {
			continue
		}
		if known && old.Addr != b.Addr {
			moved = append(moved, ring.Entry{Key: keyOf(old.Addr)})
		} else {
			n++
		}
	}
	if len(moved) > 0 && l.store.memory(now) == server.KeepsAll {
		if err := l.store.put(now, moved...); err != nil {
			l.log.Error("old addresses not forgotten", "err", err)
		}
	}
	for _, b := range l.store.loans(now) {
		if s := holding(subnets, b.Addr); s != nil {
			s.server.Lent(now, b)
		}
	}
	for _, s := range subnets {
		s.server.BeWary(l.store.unknown(now))
	}
	l.log.Info("leases recalled", "leases", n, "ring", l.store.place)
}

// reconfigure goes on with another configuration for the same device and
// address, or returns errRestart where a socket is to be opened or closed.
func (l *lan) reconfigure(cfg lanConfig) error {
	old := l.cfg
	l.cfg = cfg
	if old.Serve != cfg.Serve || old.OnWAN != cfg.OnWAN {
		return errRestart
	}
	if added := l.divide(); len(added) > 0 {
		l.recall(time.Now(), added)
	}
	return nil
}

func (l *lan) serverConfig(n lanConfig) server.Config {
	cfg := server.Config{
		Tags:          append([]string{n.Name}, n.Tags...),
		Addr:          n.Addr,
		Term:          n.LeaseTime,
		Routers:       n.Gateways,
		DNS:           n.DNS,
		Domain:        n.Domain,
		Options:       serverOptions(n.Clients.Options, n.Options),
		Classes:       serverClasses(n.Clients.Classes),
		Boots:         serverBoots(n.Clients.Boots),
		Authoritative: n.Authoritative,
		Probe:         n.Probe,
		Sequential:    n.Sequential,
		RapidCommit:   n.Clients.RapidCommit,
		BOOTP:         n.BOOTP,
	}
	if n.Carrier.IsValid() {
		cfg.Carrier = netip.PrefixFrom(n.Carrier, l.cfg.Addr.Bits())
	}
	if !n.StaticOnly {
		cfg.First, cfg.Last = n.First, n.Last
	}
	if len(cfg.DNS) == 0 && !n.NoDNS {
		cfg.DNS = l.upstream
	}
	if len(cfg.DNS) == 0 && n.AwaitDNS || l.cfg.MayMove {
		cfg.Longest = untilDNS
	}
	for _, h := range n.Hosts {
		cfg.Hosts = append(cfg.Hosts, serverHost(h))
	}
	return cfg
}

// handle answers what was heard.
func (l *lan) handle(now time.Time, batch []dhcp.Datagram) {
	for a, q := range l.asking {
		q.stale = q.stale || slices.ContainsFunc(batch, func(d dhcp.Datagram) bool {
			return bytes.Equal(d.Msg.ClientHWAddr, q.Msg.ClientHWAddr)
		})
		l.asking[a] = q
	}
	questions := make([]question, len(batch))
	for i, d := range batch {
		questions[i].Datagram = d
	}
	l.answer(now, questions)
}

// answer decides on a batch of messages, makes durable what was decided in one
// write, then binds and sends in the order of arrival. What a client says twice is
// answered one after the other, since the second depends on what became of the
// first; what has to do without a probe, once more.
func (l *lan) answer(now time.Time, batch []question) {
	for len(batch) > 0 {
		first, rest := l.once(batch)
		batch = append(l.carryOut(now, first), rest...)
	}
}

// once takes the first message of each client out of a batch.
func (l *lan) once(batch []question) (first, rest []question) {
	if len(batch) == 1 {
		return batch, nil
	}
	seen := make(map[dhcp.ID]bool, len(batch))
	for _, q := range batch {
		id := l.about(q.Datagram).server.Identity(q.Msg)
		if seen[id] && id != "" {
			rest = append(rest, q)
			continue
		}
		seen[id] = true
		first = append(first, q)
	}
	return first, rest
}

// carryOut does what is decided on messages, each of another client. It returns
// those that go on without the probe that they were to wait for.
func (l *lan) carryOut(now time.Time, batch []question) (unprobed []question) {
	for i, dec := range l.decide(now, batch) {
		q := batch[i]
		if dec.Probe.IsValid() && l.await(now, dec, &q) {
			unprobed = append(unprobed, q)
		}
		l.chose(now, dec, q.Datagram)
		again := l.about(q.Datagram).diary.note(now, dec, q.Msg, func() string { return l.name(dec.Client, q.Datagram) })
		l.remember(now, dec)
		if dec.Reply != nil {
			if err := l.conn.Send(*dec.Reply); err != nil {
				l.say(slog.LevelError, "answer not sent", dec, q.Datagram, "err", err)
				continue
			}
		}
		at := level(dec.Why)
		if again && dec.Reply == nil {
			at = slog.LevelDebug // it will ask for hours
		}
		l.say(at, dec.Why.String(), dec, q.Datagram)
		if l.cfg.Addr.Contains(dec.Seek) && l.seeking < askAtOnce {
			l.seeking++
			l.probe(dec.Seek, true)
		}
	}
	return unprobed
}

// await has a message wait for a probe, and reports whether it goes on without.
func (l *lan) await(now time.Time, dec server.Decision, q *question) (unprobed bool) {
	if q.tries >= mostTries {
		l.about(q.Datagram).diary.dropped(now, dec.Client, q.Msg, dec.Probe, "probe: every address that was tried is in use")
		return false
	}
	q.tries++
	return !l.ask(dec.Probe, *q) && l.unprobed(now, dec.Probe, *q)
}

// remember notes what a decision means to the leases; what has to be on flash is.
func (l *lan) remember(now time.Time, dec server.Decision) {
	if dec.Why == server.Released || dec.Why == server.DeclinedInUse {
		l.store.takeBack(dec.Addr)
	}
	if dec.Lend != nil {
		l.store.lend(now, *dec.Lend)
		holding(l.subnets, dec.Lend.Addr).server.Lent(now, *dec.Lend)
	}
	if dec.Bind != nil {
		l.store.settle(*dec.Bind)
		holding(l.subnets, dec.Bind.Addr).server.Bound(now, *dec.Bind)
	}
}

// decide returns a decision on every message; what is to be bound is on flash
// then. What the ring does not take is decided anew, knowing that.
func (l *lan) decide(now time.Time, batch []question) []server.Decision {
	decisions := make([]server.Decision, len(batch))
	memory := l.store.memory(now)
	for open := all(len(batch)); len(open) > 0; memory++ {
		for _, s := range l.subnets {
			s.server.Remember(memory)
		}
		var bind []int
		var changes []ring.Entry
		for _, i := range open {
			d := batch[i].Datagram
			decisions[i] = l.about(d).server.Handle(now, d)
			if decisions[i].Bind != nil {
				bind = append(bind, i)
				changes = append(changes, entries(decisions[i])...)
			}
		}
		err := l.keep(now, changes)
		if err == nil {
			break
		}
		l.log.Error("leases not kept, and therefore short", "leases", len(bind), "err", err)
		open = bind
	}
	return decisions
}

// all returns the numbers below n.
func all(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

// ask has an address probed, and the message wait for it. It reports false, and does
// nothing, where too many are probed already.
func (l *lan) ask(a netip.Addr, q question) bool {
	_, busy := l.asking[a]
	if !busy && len(l.asking) >= askAtOnce {
		return false
	}
	l.asking[a] = q
	if !busy {
		l.probe(a, false)
	}
	return true
}

// unprobed reports whether a message goes on without the probe that it was to wait
// for. Otherwise it is dropped: the client will ask again.
func (l *lan) unprobed(now time.Time, a netip.Addr, q question) bool {
	s := holding(l.subnets, a)
	if s == nil {
		return false // it is served no more
	}
	if !s.server.Unprobed(now, q.Datagram, a) {
		l.unasked++
		s.diary.dropped(now, s.server.Identity(q.Msg), q.Msg, a, "the address could not be probed")
		return false
	}
	return !q.stale
}

// probe asks who uses an address. Behind a relay agent ARP reaches nobody: there
// it is for the clients to find out.
func (l *lan) probe(a netip.Addr, seek bool) {
	device, from, asked := l.cfg.Device, l.cfg.Addr.Addr(), l.asked
	here := l.cfg.Addr.Contains(a)
	go func() {
		r := answer{addr: a, seek: seek}
		if !here {
			asked <- r
			return
		}
		if err := contain(func() error { r.user, r.err = l.os.probe(device, from, a); return nil }); err != nil {
			r.err = err
		}
		asked <- r
	}()
}

// heard goes on with the messages that waited for probes, of which this is one and
// others may have ended by now.
func (l *lan) heard(now time.Time, r answer) {
	var on []question
	for more := true; more; {
		if q, ok := l.probed(now, r); ok {
			on = append(on, q)
		}
		select {
		case r = <-l.asked:
		default:
			more = false
		}
	}
	l.answer(now, on)
}

// probed takes what a probe found, and returns the message that waited for it if
// that one is to be handled now.
func (l *lan) probed(now time.Time, r answer) (q question, ok bool) {
	if r.err != nil {
		l.log.Error("address not probed", "addr", r.addr, "err", r.err)
	}
	if r.seek {
		l.found(now, r)
		return q, false
	}
	q = l.asking[r.addr]
	delete(l.asking, r.addr)
	s := holding(l.subnets, r.addr)
	switch {
	case s == nil: // it is served no more
		return q, false
	case r.err != nil:
		return q, l.unprobed(now, r.addr, q)
	}
	if s.server.Probed(now, q.Datagram, r.addr, r.user) {
		l.inUse(now, r)
		s.diary.conflict(now, s.server.Identity(q.Msg), q.Msg, r.addr, r.user)
	}
	return q, !q.stale
}

// found tells the owner who uses an address that a client has declined.
func (l *lan) found(now time.Time, r answer) {
	l.seeking--
	switch {
	case r.user != (dhcp.HWAddr{}):
		l.subnets[0].server.Found(r.addr, r.user)
		l.inUse(now, r)
	case r.err == nil:
		l.log.Info("nobody answers for the declined address", "addr", r.addr)
	}
}

func (l *lan) inUse(now time.Time, r answer) {
	l.log.Warn("address is in use without a lease", "addr", r.addr, "by", r.user)
	l.note(now, holding(l.subnets, r.addr).cfg, fmt.Sprintf("%v is in use by %v without a lease", r.addr, r.user))
}

// entries is what a decision has to leave on flash: the binding first, so that
// a cut between the two leaves both, of which the later one counts.
func entries(dec server.Decision) []ring.Entry {
	e, err := entry(keyOf(dec.Bind.Addr), *dec.Bind)
	if err != nil {
		panic(err) // the server makes no binding that cannot be stored
	}
	if !dec.Free.IsValid() {
		return []ring.Entry{e}
	}
	return []ring.Entry{e, {Key: keyOf(dec.Free)}}
}

// keep makes the entries durable. Where the ring has no room for them, leases
// of networks that are no longer served make room.
func (l *lan) keep(now time.Time, entries []ring.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	err := l.store.put(now, entries...)
	if !errors.Is(err, ring.ErrFull) {
		return err
	}
	forget := l.store.outside()
	if len(forget) == 0 {
		return err
	}
	l.log.Warn("ring is full, leases of other networks are forgotten", "leases", len(forget))
	return l.store.put(now, append(forget, entries...)...)
}

// level keeps a serial console readable: what an owner wants to see is Info,
// what every client does all day is Debug.
func level(why server.Reason) slog.Level {
	switch why {
	case server.Offer, server.Renewed, server.Informed, server.Probing, server.ChoseAnotherServer, server.Unknown,
		server.NotARequest, server.NotForUs, server.OtherRelay, server.AgentUnknown, server.IgnoredHost, server.NoIdentity, server.Oversized,
		server.NoAddress:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// say puts a decision on the log and, where an owner wants to see it, on the
// page. What nobody will read is not put together: it is most of the traffic.
func (l *lan) say(at slog.Level, what string, dec server.Decision, d dhcp.Datagram, more ...any) {
	if at < slog.LevelInfo && !l.log.Enabled(context.Background(), at) {
		return
	}
	attrs := []any{"client", dec.Client}
	network := l.about(d).cfg
	if network.Via != "" {
		attrs = append(attrs, "relayed", network.Name)
	}
	name := l.name(dec.Client, d)
	if name != "" {
		attrs = append(attrs, "name", name)
	}
	if dec.Addr.IsValid() && !dec.Addr.IsUnspecified() {
		attrs = append(attrs, "addr", dec.Addr)
	}
	if dec.Reply != nil && dec.Reply.Msg.MessageType() != dhcpv4.MessageTypeNone {
		attrs = append(attrs, "answer", dec.Reply.Msg.MessageType())
	}
	if dec.Bind != nil {
		attrs = append(attrs, "term", dec.Bind.Grant)
	}
	if dec.Lend != nil {
		attrs = append(attrs, "term", dec.Lend.Grant, "kept", "in memory only")
	}
	l.log.Log(context.Background(), at, what, append(attrs, more...)...)
	if at >= slog.LevelInfo {
		l.note(time.Now(), network, sentence(what, dec, name, more))
	}
}

// note puts an event on the page. That it was in the LAN goes without saying.
func (l *lan) note(now time.Time, network lanConfig, text string) {
	if network.Name != "lan" {
		text = network.Name + ": " + text
	}
	l.board.note(status.Event{At: now, Text: text})
}

// name is what a client calls itself, or did when it was bound: not every
// message says it.
func (l *lan) name(id dhcp.ID, d dhcp.Datagram) string {
	name := dhcp.ClientName(d.Msg)
	if s, ok := l.about(d).server.Table().Holder(id); ok && name == "" {
		return s.Name
	}
	return name
}

// sentence says for the page what the log says in keys.
func sentence(what string, dec server.Decision, name string, more []any) string {
	s := fmt.Sprintf("%s: %s", cmp.Or(name, dec.Client.String(), "somebody"), what)
	if dec.Addr.IsValid() && !dec.Addr.IsUnspecified() {
		s += fmt.Sprintf(" (%v)", dec.Addr)
	}
	if len(more) == 2 {
		s += fmt.Sprintf(": %v", more[1])
	}
	return s
}

// publish shows the table as it is now.
func (l *lan) publish() {
	trouble := ""
	switch {
	case l.cfg.OnWAN:
		trouble = "the device is the WAN port, where nobody is served"
	case !l.cfg.Serve:
		trouble = "DHCP is switched off in the configuration"
	}
	now := time.Now()
	var views []status.LAN
	for _, n := range l.subnets {
		v := view(n.cfg, trouble)
		v.Used, v.Size = n.server.Table().Used(now)
		v.Tight = n.server.Tight(now)
		for s := range n.server.Table().All() {
			if e, ok := leaseView(now, s); ok {
				v.Leases = append(v.Leases, e)
			}
		}
		v.Devices = n.diary.devices(func(id dhcp.ID) netip.Addr { return n.has(now, id) })
		views = append(views, v)
	}
	if l.conn != nil {
		views[0].Refused = l.conn.Refused()
		views[0].Lost = l.conn.Drops() + l.queue.lost.Load() + l.unasked
	}
	health := l.store.health(now)
	l.board.publish(func(r *status.Report) {
		showLANs(r, views)
		r.Ring = health
	})
}

func leaseView(now time.Time, s lease.Slot) (status.Lease, bool) {
	over := !now.Before(s.Until)
	v := status.Lease{Addr: s.Addr, HW: s.ID.String(), Name: s.Name, State: s.State.String(), Until: s.Until, Heard: s.Heard}
	if s.HW.IsUnicast() {
		v.HW = s.HW.String()
	}
	switch {
	case s.State == lease.Bound && !s.Kept && !over:
		v.State = "lent"
	case s.State == lease.Bound && s.Grant == dhcp.Infinite:
		v.Until = time.Time{}
	case s.State == lease.Declined && !over:
		v.State, v.Name, v.HW, v.Heard = "in use by somebody else", "", "", true
		if s.User.IsUnicast() {
			v.HW = s.User.String()
		}
	case s.State == lease.Free && s.ID != "":
		v.State = "released"
	case s.State != lease.Bound:
		return v, false
	}
	return v, true
}

func (l *lan) failed(why string) {
	var views []status.LAN
	for _, n := range append([]lanConfig{l.cfg}, l.cfg.Relayed...) {
		views = append(views, view(n, why))
	}
	l.board.publish(func(r *status.Report) { showLANs(r, views) })
}

// view is what the page shows of a network before any lease.
func view(n lanConfig, trouble string) status.LAN {
	return status.LAN{
		Name: n.Name, Device: n.Device, Via: n.Via, Addr: n.Addr, MovedFrom: n.MovedFrom, First: n.First, Last: n.Last, Trouble: trouble,
	}
}
