package server

import (
	"bytes"
	"cmp"
	"flag"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

var seed = flag.Uint64("seed", 0, "replay the model test of this seed")

// TestNothingAcknowledgedIsLostOrGivenTwice lives with a server through batches
// in any order, writes that fail, changes of the configuration and power cuts.
// A ledger has what every client was told; no address may be offered or
// acknowledged to one client while another counts on it.
func TestNothingAcknowledgedIsLostOrGivenTwice(t *testing.T) {
	live(t, func(m *model) {})
}

// TestNothingLentIsGivenTwice is the same with flash that does not always keep
// what it is to keep. What was lent a power cut forgets; the clients do not, and
// answer for their addresses.
func TestNothingLentIsGivenTwice(t *testing.T) {
	live(t, func(m *model) {
		if m.IntN(20) == 0 {
			m.keeps(Memory(m.IntN(3)))
		}
	})
}

// TestNothingNewIsGivenUnprobed is the same with a server that asks who uses an
// address before it gives it to a client that is new to it.
func TestNothingNewIsGivenUnprobed(t *testing.T) {
	live(t, func(m *model) {
		m.change(probing)
		if m.IntN(20) == 0 {
			m.keeps(Memory(m.IntN(3)))
		}
	})
}

// live takes many short lives; step is done to the model besides its own.
func live(t *testing.T, step func(*model)) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for n := first; n < first+60 && !t.Failed(); n++ {
		m := newModel(t, n)
		for range 500 {
			step(m)
			m.step()
			m.sound()
			if t.Failed() {
				t.Fatalf("go test ./dhcp/server -run %s -seed %d", t.Name(), n)
			}
		}
	}
}

// longest is the longest term that there is in these lives.
const longest = 12 * time.Hour

// A record is what flash keeps under the key of an address.
type record struct {
	addr  netip.Addr
	value []byte
}

// A promise is what a client was told.
type promise struct {
	client dhcp.ID
	user   dhcp.HWAddr // who answers for the address meanwhile
	until  time.Time
	kept   time.Time // until when by a binding on flash
	known  time.Time // until when the server has to know of it
	epoch  int       // when it was told
}

// A question is a message that waits for a probe.
type question struct {
	dhcp.Datagram
	user dhcp.HWAddr // who is going to answer
}

type model struct {
	*house
	*rand.Rand
	memory Memory
	flash  []record // in the order in which they were written
	ledger map[netip.Addr]promise
	asking map[netip.Addr]question

	probed map[netip.Addr]promise // for whom nobody else answered

	stranger netip.Addr // used by somebody who never asks
	calm     bool       // flash says that it knows of every client
	loans    time.Time  // when the last of what is lent is over
	boot     int        // the epoch of the last power cut
	recalled time.Time  // when flash was read: all terms run once more
	epoch    int        // goes up with every power cut and change of the configuration
}

func newModel(t *testing.T, seed uint64) *model {
	return &model{
		house:  newHouse(t, pool("192.168.1.100", "192.168.1.109")),
		Rand:   rand.New(rand.NewPCG(seed, 0)),
		ledger: map[netip.Addr]promise{},
		asking: map[netip.Addr]question{},
		probed: map[netip.Addr]promise{},
		calm:   true,
	}
}

func (m *model) step() {
	m.Helper()
	switch n := m.IntN(24); {
	case n < 13:
		var batch []dhcp.Datagram
		for range 1 + m.IntN(5) {
			if d := m.message(); !asksTwice(batch, d) {
				batch = append(batch, d)
			}
		}
		m.exchange(batch...)
	case n < 15:
		m.answer()
	case n < 20:
		m.now = m.now.Add(time.Duration(m.Int64N(int64(time.Minute))))
		m.settle()
	case n < 21:
		m.answer() // they do not take that long
		m.now = m.now.Add(time.Duration(m.Int64N(int64([]time.Duration{LentTerm, 20 * time.Hour}[m.IntN(2)]))))
		m.settle()
	case n < 22:
		m.stranger = m.any()
	case n < 23:
		m.reconfigure()
	default:
		m.powerCut()
	}
}

// keeps has flash take more, or less, than before.
func (m *model) keeps(memory Memory) {
	back := m.memory == KeepsNothing && memory != KeepsNothing
	if m.memory = memory; back {
		m.recall()
	}
}

// settle puts down on flash that nothing is lent.
func (m *model) settle() {
	if m.memory == KeepsAll && !m.now.Before(m.loans) && !m.now.Before(m.wary) {
		m.calm = true
	}
}

// exchange is one batch: decide on all, write once, then bind and send. What
// could not be written is decided anew.
func (m *model) exchange(batch ...dhcp.Datagram) {
	m.Helper()
	all := make([]*answer, len(batch))
	open := make([]int, len(batch))
	for i := range batch {
		open[i] = i
	}
	for memory := m.memory; len(open) > 0; memory++ {
		m.Remember(memory)
		var bind []int
		for _, i := range open {
			all[i] = m.decides(batch[i])
			m.gaveBack(all[i])
			m.permitted(memory, all[i])
			if all[i].Bind != nil {
				bind = append(bind, i)
			}
		}
		if m.IntN(6) > 0 {
			break
		}
		open = bind
	}
	for _, a := range all {
		if m.IntN(100) == 0 {
			m.powerCut()
			return
		}
		m.write(a.Decision)
	}
	for i, a := range all {
		if a.Probe.IsValid() {
			m.ask(a.Probe, batch[i])
		}
		if a.Lend != nil {
			m.Lent(m.now, *a.Lend)
			m.calm = false
			m.loans = latest(m.loans, m.now.Add(a.Lend.Grant))
		}
		if a.Bind != nil {
			m.Bound(m.now, *a.Bind)
		}
		if a.Reply != nil {
			m.sent(a)
		}
	}
}

// ask sends a probe. Who believes that the address is its own will answer.
func (m *model) ask(a netip.Addr, d dhcp.Datagram) {
	q, busy := m.asking[a]
	if q.Datagram = d; !busy {
		q.user = m.user(a)
	}
	m.asking[a] = q
}

func (m *model) user(a netip.Addr) dhcp.HWAddr {
	if p := m.ledger[a]; m.now.Before(p.until) {
		return p.user
	}
	if a == m.stranger {
		return hw(1000)
	}
	return dhcp.HWAddr{}
}

// answer goes on with what waits for probes.
func (m *model) answer() {
	m.Helper()
	for _, a := range slices.SortedFunc(maps.Keys(m.asking), netip.Addr.Compare) {
		q, ok := m.asking[a]
		if !ok {
			return // the power was cut meanwhile
		}
		delete(m.asking, a)
		hw, _ := dhcp.ClientHW(q.Msg)
		if taken := m.Probed(m.now, q.Datagram, a, q.user); taken && (q.user == nobody || q.user == hw) {
			m.Errorf("%v is taken out of use, used by %v", a, q.user)
		}
		if q.user == nobody || q.user == hw {
			m.probed[a] = promise{client: dhcp.ClientID(q.Msg), until: m.now.Add(silence)}
		}
		m.exchange(q.Datagram)
	}
}

func (m *model) any() netip.Addr {
	return netip.AddrFrom4([4]byte{192, 168, 1, byte(98 + m.IntN(14))})
}

func (m *model) message() dhcp.Datagram {
	n := m.IntN(14)
	where := m.any().String()
	if s, ok := m.Table().Holder(id(n)); ok && m.IntN(3) > 0 {
		where = s.Addr.String()
	}
	ask := leaseTime(time.Duration(m.IntN(15)) * time.Hour)
	switch m.IntN(10) {
	case 0, 1, 2:
		return discover(n, wants(where))
	case 3:
		return selecting(n, where, ask)
	case 4:
		return rebooting(n, where)
	case 5, 6:
		if a, ok := m.believes(n); ok {
			return renewing(n, a.String(), ask)
		}
		return selecting(n, where, ask)
	case 7:
		return request(n, wants(where), server("192.168.1.2"))
	case 8:
		return release(n, where)
	}
	return decline(n, where)
}

// asksTwice reports whether the client requests another address in this batch.
// It would not before it is answered.
func asksTwice(batch []dhcp.Datagram, d dhcp.Datagram) bool {
	asks := func(d dhcp.Datagram) bool { return d.Msg.MessageType() == dhcpv4.MessageTypeRequest }
	about := func(d dhcp.Datagram) netip.Addr { return cmp.Or(requested(d.Msg), dhcp.Addr(d.Msg.ClientIPAddr)) }
	return asks(d) && slices.ContainsFunc(batch, func(e dhcp.Datagram) bool {
		return asks(e) && e.HW == d.HW && about(e) != about(d)
	})
}

// believes returns the address that the client holds: only that it renews.
func (m *model) believes(n int) (netip.Addr, bool) {
	for a, p := range m.ledger {
		if p.client == id(n) && m.now.Before(p.until) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// gaveBack strikes out what its client says that it does not use, where the
// server took note.
func (m *model) gaveBack(a *answer) {
	if p := m.ledger[a.Addr]; p.client == a.Client && (a.Why == Released || a.Why == DeclinedInUse) {
		delete(m.ledger, a.Addr)
	}
}

// permitted checks a decision against what flash can take, and that a client
// which renews what it was told is its own goes on with it.
func (m *model) permitted(memory Memory, a *answer) {
	m.Helper()
	switch {
	case memory == KeepsAll && a.Lend != nil, memory == KeepsNothing && a.Bind != nil:
		m.Errorf("lent %+v, bound %+v with memory %d", a.Lend, a.Bind, memory)
	case memory == KeepsKnown && a.Bind != nil:
		v, _ := a.Bind.MarshalBinary()
		if !slices.ContainsFunc(m.flash, func(r record) bool { return r.addr == a.Bind.Addr && bytes.Equal(r.value, v) }) {
			m.Errorf("%+v would be written", a.Bind)
		}
	}
	p := m.ledger[a.Addr]
	heard := p.client == a.Client && p.epoch >= m.boot && m.now.Before(latest(p.known, m.recalled.Add(longest)))
	probed := m.probed[a.Addr].client == a.Client && m.now.Before(m.probed[a.Addr].until)
	guessed := a.Why == Offer || a.Why == Bound || a.Why == Rebooted
	strange := m.cfg.Probe && !m.Table().Recent(m.now, a.Addr, a.Client)
	if unsure := a.Lend != nil || memory == KeepsNothing || m.now.Before(m.wary) || strange; guessed && unsure && !heard && !probed {
		m.Errorf("%v: %v of %v without a probe", a.Client, a.Why, a.Addr)
	}
	q := a.to.Msg
	p = m.ledger[dhcp.Addr(q.ClientIPAddr)]
	renews := q.MessageType() == dhcpv4.MessageTypeRequest && !dhcp.Addr(q.ClientIPAddr).IsUnspecified()
	if renews && p.client == a.Client && m.now.Before(p.known) && p.epoch == m.epoch && a.Why != Renewed && a.Why != HasReservation {
		m.Errorf("%v renews %v: %v", a.Client, dhcp.Addr(q.ClientIPAddr), a.Why)
	}
}

// sent enters into the ledger what the client is told.
func (m *model) sent(a *answer) {
	m.Helper()
	mt := a.Reply.Msg.MessageType()
	if mt != dhcpv4.MessageTypeOffer && mt != dhcpv4.MessageTypeAck {
		return
	}
	p, ok := m.ledger[a.Addr]
	if ok && p.client != a.Client && m.now.Before(p.until) {
		m.Errorf("%v of %v to %v; %v counts on it for another %v", mt, a.Addr, a.Client, p.client, p.until.Sub(m.now))
	}
	if mt == dhcpv4.MessageTypeOffer {
		return
	}
	told := promise{client: a.Client, epoch: m.epoch}
	told.user, _ = dhcp.ClientHW(a.to.Msg)
	if p.client == a.Client { // it may miss this message
		told.until, told.known = p.until, p.known
		if !p.known.IsZero() { // but not if it is the first since flash could not be read
			told.kept = p.kept
		}
	}
	for other, p := range m.ledger {
		if p.client == a.Client {
			delete(m.ledger, other) // it has moved
		}
	}
	if a.Bind != nil {
		told.kept = latest(told.kept, m.now.Add(a.Bind.Grant))
	}
	until := m.now.Add(a.Reply.Msg.IPAddressLeaseTime(0))
	told.until, told.known = latest(told.until, until), latest(told.known, until)
	m.ledger[a.Addr] = told
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sound fails when the table would give away what it has to know about.
func (m *model) sound() {
	m.Helper()
	for a, p := range m.ledger {
		if m.now.Before(p.known) && m.Table().Free(m.now, a, id(999)) {
			m.Errorf("%v is free; it is %v's for another %v", a, p.client, p.known.Sub(m.now))
		}
	}
}

// write is what the ring does: what is unchanged stays where it is.
func (m *model) write(d Decision) {
	if d.Bind == nil {
		return
	}
	v, err := d.Bind.MarshalBinary()
	if err != nil {
		m.Error(err)
	}
	i := slices.IndexFunc(m.flash, func(r record) bool { return r.addr == d.Bind.Addr })
	if i < 0 || !bytes.Equal(m.flash[i].value, v) {
		m.forget(d.Bind.Addr)
		m.flash = append(m.flash, record{d.Bind.Addr, v})
	}
	if d.Free.IsValid() {
		m.forget(d.Free)
		if m.ledger[d.Free].client == d.Client {
			delete(m.ledger, d.Free) // who asks for another address does not use this one
		}
	}
}

func (m *model) forget(a netip.Addr) {
	m.flash = slices.DeleteFunc(m.flash, func(r record) bool { return r.addr == a })
}

// powerCut starts anew from flash, with no idea how long it was dark. Flash that
// takes nothing may be unreadable as well.
func (m *model) powerCut() {
	m.Helper()
	m.now = m.now.Add(time.Duration(m.Int64N(int64([]time.Duration{LentTerm, time.Hour}[m.IntN(2)]))))
	m.Server = New(m.cfg)
	m.epoch++
	m.boot = m.epoch
	m.asking, m.probed = map[netip.Addr]question{}, map[netip.Addr]promise{}
	m.loans = time.Time{}
	for a, p := range m.ledger {
		p.known = time.Time{}
		m.ledger[a] = p
	}
	switch {
	case m.memory == KeepsNothing && m.IntN(2) == 0:
		m.calm = false
		m.BeWary(m.now.Add(longest))
		return
	case !m.calm:
		m.BeWary(m.now.Add(LentTerm))
	}
	m.recall()
}

// recall reads flash. What a client was told since the power cut counts for it
// in place of what flash says.
func (m *model) recall() {
	m.recalled = m.now
	for _, r := range m.flash {
		var b lease.Binding
		if err := b.UnmarshalBinary(r.value); err != nil {
			m.Error(err)
		}
		m.Recall(m.now, b)
	}
	for a, p := range m.ledger {
		if p.known.IsZero() {
			p.known = p.kept
			m.ledger[a] = p
		}
	}
}

func (m *model) reconfigure() {
	m.epoch++
	m.change(
		[]func(*Config){pool("192.168.1.100", "192.168.1.109"), pool("192.168.1.105", "192.168.1.111")}[m.IntN(2)],
		term(time.Duration(1+m.IntN(int(longest/time.Hour)))*time.Hour),
		hosts([]Host{
			{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.106")},
			{HW: []dhcp.HWAddr{hw(2), hw(3)}, Addr: ip("192.168.1.98")},
		}[:m.IntN(3)]...))
}
