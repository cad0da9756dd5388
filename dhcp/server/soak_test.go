package server

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/client"
	"leasehold/dhcp/lease"
)

// TestYearOfHouseholds lets four households live a quarter of a year each, in
// simulated time: devices that are the client of package client come, go, sleep,
// reboot and give their addresses back, strangers pass by, somebody sets an
// address by hand, and the router's power fails. The link loses messages, and
// delivers others twice, late and out of order; ARP gets through.
//
// No two devices ever use one address, no device that renews is refused, the
// server never forgets a lease that a device counts on, and it does not grow.
func TestYearOfHouseholds(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	// A household a quarter of the year; -count makes it more.
	const households = 4
	for n := range uint64(households) {
		w := newStreet(t, first+n)
		w.live(365 * 24 * time.Hour / households)
		t.Log(w.stats)
		if t.Failed() {
			t.Fatalf("go test ./dhcp/server -run TestYearOfHouseholds -seed %d", first+n)
		}
	}
}

// A street is a server, the link, and everybody on it.
type street struct {
	*testing.T
	*rand.Rand
	*Server
	cfg   Config
	now   time.Time
	zero  time.Time
	queue agenda
	seq   int

	flash  map[netip.Addr][]byte // what the ring keeps
	order  []netip.Addr          // in the order in which it was written
	homes  []*machine            // the devices of the house, then strangers
	squats netip.Addr            // set by hand on a machine that never asks
	deaf   time.Time             // until then the router is rebooting
	stats  stats
	used   map[netip.Addr]*machine
}

type stats struct{ sent, lost, doubled, cuts, leases, strangers, unserved, slots int }

func (s stats) String() string {
	return fmt.Sprintf("%d messages, %d of them lost and %d doubled; %d power cuts; %d leases taken up; %d strangers, of whom %d got no address; %d slots",
		s.sent, s.lost, s.doubled, s.cuts, s.leases, s.strangers, s.unserved, s.slots)
}

// An event is something to be done at a time.
type event struct {
	at  time.Time
	seq int
	do  func()
}

type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*a = old[:len(old)-1]
	return e
}

// A machine is a device with a client on it.
type machine struct {
	w     *street
	n     int
	hw    dhcp.HWAddr
	m     *client.Machine
	on    bool
	epoch int           // of its life: what was meant for an earlier one is void
	lease *client.Lease // installed; nil: none
	last  client.Last
	ever  bool // it had an address
}

const ownDevices = 14

// newStreet has a pool of 24 addresses, in which there is hardly room for all.
func newStreet(t *testing.T, seed uint64) *street {
	w := &street{
		T: t, Rand: rand.New(rand.NewPCG(seed, 1)), flash: map[netip.Addr][]byte{}, used: map[netip.Addr]*machine{},
		cfg: Config{
			Addr: netip.MustParsePrefix("192.168.1.1/24"), First: ip("192.168.1.100"), Last: ip("192.168.1.123"),
			Term: 12 * time.Hour, Routers: []netip.Addr{ip("192.168.1.1")}, DNS: []netip.Addr{ip("192.168.1.1")},
			Authoritative: true, Probe: true,
		},
		now: time.Unix(12, 0), squats: ip("192.168.1.110"),
	}
	w.zero = w.now
	w.Server = New(w.cfg)
	for n := range ownDevices {
		hw := dhcp.HWAddr{0, 0x1b, 0x2c, 0, 0, byte(n)}
		if n%2 == 1 {
			hw = dhcp.HWAddr{2, 0x1b, 0x2c, 0, 0, byte(n)} // phones make theirs up
		}
		w.homes = append(w.homes, &machine{w: w, n: n, hw: hw})
		w.after(w.upTo(time.Hour), w.homes[n].powerOn)
	}
	w.after(w.upTo(24*time.Hour), w.stranger)
	w.after(w.upTo(14*24*time.Hour), w.powerCut)
	w.after(time.Hour, w.inspect)
	return w
}

func (w *street) upTo(d time.Duration) time.Duration { return time.Duration(w.Int64N(int64(d))) }

func (w *street) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now.Add(d), w.seq, do})
}

func (w *street) live(d time.Duration) {
	var early uint64
	for end := w.now.Add(d); len(w.queue) > 0 && w.now.Before(end) && !w.Failed(); {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
		if early == 0 && w.now.Sub(w.zero) > d/4 {
			early = heapInUse()
		}
	}
	// A quarter of the time has seen everything that there is.
	if late := heapInUse(); late > early+1<<20 {
		w.Errorf("%d octets in use after a quarter of the time, %d after all of it", early, late)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// toServer carries a message from a device to the server.
func (w *street) toServer(from *machine, d dhcp.Datagram) {
	b := dhcp.Encode(d.Msg, d.Asked, d.Limit)
	w.carry(func() {
		m, err := dhcp.Parse(b)
		if err != nil {
			w.Fatal(err)
		}
		w.serve(from, dhcp.Datagram{Msg: m, From: d.From, To: d.To, HW: from.hw})
	})
}

// carry delivers something: late, twice, or not at all.
func (w *street) carry(deliver func()) {
	w.stats.sent++
	switch n := w.IntN(100); {
	case n < 10:
		w.stats.lost++
		return
	case n < 15:
		w.stats.doubled++
		w.after(w.upTo(3*time.Second), deliver)
	case n < 20:
		w.after(w.upTo(3*time.Second), deliver)
		return
	}
	w.after(time.Millisecond+w.upTo(20*time.Millisecond), deliver)
}

// serve is the router: what has to be kept is kept before the answer leaves.
func (w *street) serve(from *machine, d dhcp.Datagram) {
	if w.now.Before(w.deaf) {
		return
	}
	dec := w.Handle(w.now, d)
	if dec.Probe.IsValid() {
		server, now := w.Server, w.now
		w.after(400*time.Millisecond, func() {
			if w.Server == server && now.Before(w.now) { // the router was not reset meanwhile
				w.Probed(w.now, d, dec.Probe, w.answers(dec.Probe))
				w.serve(from, d)
			}
		})
		return
	}
	if dec.Bind != nil {
		w.keep(*dec.Bind, dec.Free)
		w.Bound(w.now, *dec.Bind)
	}
	if dec.Reply == nil {
		return
	}
	w.fair(from, d, dec)
	b := dhcp.Encode(dec.Reply.Msg, dec.Reply.Asked, dec.Reply.Limit)
	to, src := dec.Reply.To, dec.Reply.From
	w.carry(func() {
		m, err := dhcp.Parse(b)
		if err != nil {
			w.Fatal(err)
		}
		if from.on {
			from.does(from.m.Receive(w.now, dhcp.Datagram{Msg: m, From: src, To: to, HW: dhcp.HWAddr{2, 1, 1, 1, 1, 1}}))
		}
	})
}

// fair fails where a device that renews the lease which it has is refused.
func (w *street) fair(from *machine, d dhcp.Datagram, dec Decision) {
	ciaddr := dhcp.Addr(d.Msg.ClientIPAddr)
	holds := from.on && from.holds() && from.lease.Addr.Addr() == ciaddr
	if holds && d.Msg.MessageType() == dhcpv4.MessageTypeRequest && dec.Reply.Msg.MessageType() == dhcpv4.MessageTypeNak {
		w.Errorf("at %v: device %d renews %v and is refused: %v", w.now.Sub(w.zero), from.n, ciaddr, dec.Why)
	}
}

// keep writes to flash; what is unchanged stays where it is.
func (w *street) keep(b lease.Binding, free netip.Addr) {
	v, err := b.MarshalBinary()
	if err != nil {
		w.Fatal(err)
	}
	if old, ok := w.flash[b.Addr]; !ok || string(old) != string(v) {
		w.forget(b.Addr)
		w.flash[b.Addr] = v
		w.order = append(w.order, b.Addr)
	}
	if free.IsValid() {
		w.forget(free)
	}
}

func (w *street) forget(a netip.Addr) {
	delete(w.flash, a)
	for i, o := range w.order {
		if o == a {
			w.order = append(w.order[:i], w.order[i+1:]...)
			return
		}
	}
}

// answers is who answers an ARP probe: who has a lease does; a machine with an
// address of its own now and then does not.
func (w *street) answers(a netip.Addr) dhcp.HWAddr {
	switch m := w.used[a]; {
	case m != nil && m.on && m.holds():
		return m.hw
	case a == w.squats && w.IntN(20) > 0:
		return dhcp.HWAddr{2, 9, 9, 9, 9, 9}
	}
	return dhcp.HWAddr{}
}

// powerCut has the router start anew from flash a minute later.
func (w *street) powerCut() {
	w.stats.cuts++
	w.deaf = w.now.Add(time.Minute)
	w.after(time.Minute, func() {
		w.Server = New(w.cfg)
		for _, a := range w.order {
			var b lease.Binding
			if err := b.UnmarshalBinary(w.flash[a]); err != nil {
				w.Fatal(err)
			}
			w.Recall(w.now, b)
		}
	})
	w.after(w.upTo(28*24*time.Hour), w.powerCut)
}

// stranger passes by, with an address that it has made up.
func (w *street) stranger() {
	w.stats.strangers++
	n := w.Uint64()
	m := &machine{w: w, n: ownDevices + w.stats.strangers, hw: dhcp.HWAddr{6, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32)}}
	w.homes = append(w.homes, m)
	m.start()
	w.after(10*time.Minute+w.upTo(4*time.Hour), func() {
		if !m.ever {
			w.stats.unserved++
		}
		m.stop()
		for i, o := range w.homes {
			if o == m {
				w.homes = append(w.homes[:i], w.homes[i+1:]...)
				break
			}
		}
	})
	w.after(w.upTo(6*time.Hour), w.stranger)
}

// inspect looks at what everybody counts on.
func (w *street) inspect() {
	if !w.now.Before(w.deaf) {
		for _, m := range w.homes {
			// Who sleeps counts on its lease as well.
			if m.lease != nil && w.now.Before(m.lease.Expires) && w.Table().Free(w.now, m.lease.Addr.Addr(), id(0xffffff)) {
				w.Errorf("at %v: device %d counts on %v for another %v; the server would give it away",
					w.now.Sub(w.zero), m.n, m.lease.Addr.Addr(), m.lease.Expires.Sub(w.now))
			}
		}
	}
	slots := 0
	for range w.Table().All() {
		slots++
	}
	w.stats.slots = max(w.stats.slots, slots)
	if slots > 24 || len(w.assumed) > 24 {
		w.Errorf("at %v: %d slots, %d assumptions, for 24 addresses", w.now.Sub(w.zero), slots, len(w.assumed))
	}
	w.after(time.Hour, w.inspect)
}

// powerOn starts a device of the house, and plans what it does next.
func (m *machine) powerOn() {
	m.start()
	w := m.w
	w.after(time.Hour+w.upTo(3*24*time.Hour), func() {
		switch w.IntN(5) {
		case 0: // it is shut down, and gives its address back
			if m.lease != nil && m.holds() {
				m.does(m.m.Release(w.now))
			}
			m.last = client.Last{}
			m.stop()
		case 1: // its battery is out, and it has forgotten everything
			m.last = client.Last{}
			m.stop()
		case 2:
			m.on = false
			w.after(time.Minute+w.upTo(24*time.Hour), m.wake)
			return
		default:
			m.stop()
		}
		w.after(time.Minute+w.upTo(24*time.Hour), m.powerOn)
	})
}

// wake ends a sleep, in which a lease may have ended too.
func (m *machine) wake() {
	m.on = true
	m.does(m.m.Tick(m.w.now))
	m.does(m.m.LinkUp(m.w.now))
	m.w.after(m.w.upTo(24*time.Hour), func() {
		m.stop()
		m.w.after(time.Minute+m.w.upTo(time.Hour), m.powerOn)
	})
}

func (m *machine) start() {
	m.epoch++
	m.on = true
	m.m = client.New(client.Config{HW: m.hw, Hostname: fmt.Sprint("device-", m.n), Last: m.last},
		rand.New(rand.NewPCG(m.w.Uint64(), 0)))
	m.does(m.m.Start(m.w.now))
}

func (m *machine) stop() {
	m.epoch++
	m.on = false
	m.drop()
}

func (m *machine) drop() {
	if m.lease != nil && m.w.used[m.lease.Addr.Addr()] == m {
		delete(m.w.used, m.lease.Addr.Addr())
	}
	m.lease = nil
}

func (m *machine) holds() bool { return m.lease != nil && m.w.now.Before(m.lease.Expires) }

// does carries out a step in the order of its fields.
func (m *machine) does(s client.Step) {
	w, epoch := m.w, m.epoch
	if s.Lease != nil && !s.Lease.LinkLocal {
		m.install(s.Lease)
	}
	if s.Probe.IsValid() {
		w.after(400*time.Millisecond, func() {
			if m.epoch == epoch && m.on {
				by := w.answers(s.Probe)
				if by == m.hw {
					by = dhcp.HWAddr{}
				}
				m.does(m.m.Probed(w.now, s.Probe, by))
			}
		})
	}
	if s.Send != nil {
		w.toServer(m, *s.Send)
	}
	if !s.Wake.IsZero() {
		w.after(max(s.Wake.Sub(w.now), 0), func() {
			if m.epoch == epoch && m.on {
				m.does(m.m.Tick(w.now))
			}
		})
	}
}

func (m *machine) install(l *client.Lease) {
	w := m.w
	if l.Addr.Addr().IsValid() && m.lease != nil && m.lease.Addr == l.Addr {
		m.lease = l
		return
	}
	m.drop()
	if !l.Addr.Addr().IsValid() {
		return
	}
	w.stats.leases++
	a := l.Addr.Addr()
	if other := w.used[a]; other != nil && other.holds() {
		w.Errorf("at %v: %v is device %d's, and now device %d's too", w.now.Sub(w.zero), a, other.n, m.n)
	}
	m.lease, m.last, m.ever = l, l.Last(), true
	w.used[a] = m
}
