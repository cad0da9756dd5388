package lease

import (
	"flag"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"leasehold/dhcp"
)

var seed = flag.Uint64("seed", 0, "replay the model test of this seed")

// TestNoAddressHasTwoClients does to a table what clients may do, in any order,
// at any time, several at once and with writes that fail, with bindings that are
// on flash or in memory only, and with probes that find somebody. A model keeps
// books on who was promised what; the table must never give that to anybody else.
func TestNoAddressHasTwoClients(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for n := first; n < first+40 && !t.Failed(); n++ {
		m := newModel(t, n)
		for range 1000 {
			m.step()
			if t.Failed() {
				t.Fatalf("go test ./dhcp/lease -run TestNoAddressHasTwoClients -seed %d", n)
			}
		}
	}
}

// A promise is what a client may count on.
type promise struct {
	id    dhcp.ID
	until time.Time
	told  bool // and not only recorded
}

type model struct {
	checked
	*rand.Rand
	now     time.Time
	acked   map[netip.Addr]promise // acknowledged
	held    map[netip.Addr]promise // offered, or acknowledged as soon as it is durable
	pending []Binding              // wait for one write
	flash   map[netip.Addr]Binding
	pools   []Pool
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		Rand:  rand.New(rand.NewPCG(seed, 0)),
		now:   boot,
		acked: map[netip.Addr]promise{},
		held:  map[netip.Addr]promise{},
		flash: map[netip.Addr]Binding{},
		pools: []Pool{pool("10.0.0.1", "10.0.0.12", "10.0.0.3"), pool("10.0.0.5", "10.0.0.20"), pool("10.0.0.9", "10.0.0.9")},
	}
	m.checked = checked{t, NewTable(m.pools[0])}
	return m
}

func (m *model) step() {
	m.Helper()
	who := id(m.IntN(15))
	switch m.IntN(14) {
	case 0, 1, 2:
		m.discover(who)
	case 3, 4, 5, 6:
		m.request(who)
	case 7:
		if a := m.addr(who); m.Release(m.now, a, who) {
			m.was(a, who)
			delete(m.acked, a)
			delete(m.held, a)
		}
	case 8:
		if a := m.addr(who); m.Decline(m.now, a, who, m.now.Add(time.Hour)) {
			m.was(a, who)
			delete(m.acked, a)
			delete(m.held, a)
		}
		if len(m.declined) > max(1, m.pool.Size()/4) {
			m.Errorf("%d addresses of %d are out of use", len(m.declined), m.pool.Size())
		}
	case 9:
		m.Unhold(m.now, who)
		m.unhold(who)
	case 10:
		m.write()
		if m.IntN(4) == 0 {
			m.now = m.now.Add(time.Duration(m.Int64N(int64(2 * term))))
		} else {
			m.now = m.now.Add(time.Duration(m.Int64N(int64(time.Minute))))
		}
	case 11:
		if len(m.declined) == 0 { // a smaller pool may leave more than a quarter declined
			m.SetPool(m.pools[m.IntN(len(m.pools))])
		}
	case 12:
		m.probe(who)
	case 13:
		if m.IntN(10) == 0 {
			m.powerCut()
		}
	}
	m.sound()
	m.keeps()
}

// addr is any address, most often one that the client has to do with.
func (m *model) addr(who dhcp.ID) netip.Addr {
	if s, ok := m.Holder(who); ok && m.IntN(2) == 0 {
		return s.Addr
	}
	if s := m.offers[who]; s != nil && m.IntN(2) == 0 {
		return s.Addr
	}
	return address(number(ip("10.0.0.0")) + uint32(m.IntN(22)))
}

func (m *model) discover(who dhcp.ID) {
	m.Helper()
	a, ok := m.Pick(m.now, who, m.addr(who))
	if !ok {
		return
	}
	if !m.pool.Contains(a) {
		m.Errorf("%v picked outside the pool", a)
	}
	m.available(a, who)
	m.Hold(m.now, a, who, m.now.Add(time.Minute))
	m.hold(a, who)
}

func (m *model) request(who dhcp.ID) {
	m.Helper()
	a := m.addr(who)
	if !m.Free(m.now, a, who) {
		return
	}
	m.available(a, who)
	m.Promise(m.now, a, who, m.now.Add(time.Minute))
	m.hold(a, who)
	grant := term / time.Duration(1+m.IntN(20))
	b := Binding{Addr: a, ID: who, Term: term, Grant: grant}
	if m.Keeps(a, who) && m.IntN(2) == 0 {
		b.Name = "another" // than the one stored
	}
	m.pending = append(m.pending, b)
	if m.IntN(2) == 0 {
		m.write()
	}
}

// write makes what is pending durable, or lends it, or fails.
func (m *model) write() {
	m.Helper()
	fate := m.IntN(5)
	for _, b := range m.pending {
		switch fate {
		case 0:
			continue
		case 1:
			m.lend(b)
		default:
			if a, ok := m.Recorded(b.ID); ok && a != b.Addr {
				delete(m.flash, a)
			}
			m.flash[b.Addr] = b
			m.Bind(m.now, b)
		}
		m.ack(b)
	}
	m.pending = nil
}

// lend leaves what is on flash as it is, and known as that.
func (m *model) lend(b Binding) {
	m.Helper()
	kept := m.Keeps(b.Addr, b.ID)
	if b.Term = b.Grant; !kept && m.IntN(2) == 0 {
		b.Name = "loan"
	}
	m.Lend(m.now, b)
	if m.Keeps(b.Addr, b.ID) != kept {
		m.Errorf("%v is kept: %v, and was not before it was lent", b.Addr, !kept)
	}
}

// ack enters what the client is told now.
func (m *model) ack(b Binding) {
	until := m.now.Add(b.Grant)
	if p := m.acked[b.Addr]; p.id == b.ID && p.until.After(until) {
		until = p.until
	}
	for a, p := range m.acked {
		if p.id == b.ID {
			delete(m.acked, a) // it has moved
		}
	}
	m.acked[b.Addr] = promise{b.ID, until, true}
	delete(m.held, b.Addr)
	m.unhold(b.ID) // it needs no offer any more
}

// probe finds somebody on an address that the client is to have, or nobody. What
// is pending then is so no more: it was answered, or its write has failed.
func (m *model) probe(who dhcp.ID) {
	m.Helper()
	m.write()
	a := m.addr(who)
	if m.IntN(2) == 0 {
		m.Silent(a, who, m.now.Add(time.Minute))
		return
	}
	p, ok := m.acked[a]
	h, offered := m.held[a]
	others := ok && p.id != who && m.now.Before(p.until) || offered && h.id != who && m.now.Before(h.until)
	own := ok && p.id == who && p.told && m.now.Before(p.until)
	if m.Seize(m.now, a, who, hw(m.IntN(3)), m.now.Add(time.Hour)) {
		if others || own {
			m.Errorf("%v taken out of use for %v; it was %+v's", a, who, p)
		}
		delete(m.acked, a)
		delete(m.held, a)
		m.out(a)
	}
}

// out fails when a is anybody's.
func (m *model) out(a netip.Addr) {
	m.Helper()
	for n := range 15 {
		if m.Free(m.now, a, id(n)) {
			m.Errorf("%v is free for client %d; it was found in use", a, n)
		}
		if m.IsSilent(m.now, a, id(n)) {
			m.Errorf("%v is silent for client %d; it was found in use", a, n)
		}
	}
}

// powerCut starts anew with what is on flash.
func (m *model) powerCut() {
	p := m.pool
	m.Table = NewTable(p)
	m.pending = nil
	m.acked, m.held = map[netip.Addr]promise{}, map[netip.Addr]promise{}
	for a, b := range m.flash {
		m.Recall(m.now, b)
		m.acked[a] = promise{id: b.ID, until: m.now.Add(b.Term)}
	}
}

func (m *model) hold(a netip.Addr, who dhcp.ID) {
	m.unhold(who)
	m.held[a] = promise{id: who, until: m.now.Add(time.Minute)}
}

// unhold gives back what the client was offered, but nothing that is pending.
func (m *model) unhold(who dhcp.ID) {
	for a, p := range m.held {
		if p.id == who && !m.isPending(a) {
			delete(m.held, a)
		}
	}
}

func (m *model) isPending(a netip.Addr) bool {
	for _, b := range m.pending {
		if b.Addr == a {
			return true
		}
	}
	return false
}

// available fails when a is somebody else's.
func (m *model) available(a netip.Addr, who dhcp.ID) {
	m.Helper()
	for _, books := range []map[netip.Addr]promise{m.acked, m.held} {
		if p, ok := books[a]; ok && p.id != who && m.now.Before(p.until) {
			m.Errorf("%v given to %v; it is %v's for another %v", a, who, p.id, p.until.Sub(m.now))
		}
	}
}

// was fails when the client gives back what is not its own, or what it may be
// told in a moment that it is.
func (m *model) was(a netip.Addr, who dhcp.ID) {
	m.Helper()
	m.available(a, who)
	if m.isPending(a) {
		m.Errorf("%v gave back %v, which is on its way to flash", who, a)
	}
}

// keeps fails when the table would give away what was promised.
func (m *model) keeps() {
	m.Helper()
	stranger := id(99)
	for a, p := range m.acked {
		if m.now.Before(p.until) && m.Free(m.now, a, stranger) {
			m.Errorf("%v is free; it is %v's for another %v", a, p.id, p.until.Sub(m.now))
		}
	}
	if a, ok := m.Pick(m.now, stranger, netip.Addr{}); ok {
		m.available(a, stranger)
	}
	for s := range m.All() {
		if s.Kept && (m.flash[s.Addr].ID != s.ID || m.flash[s.Addr].Name != s.Name || m.flash[s.Addr].Term != s.Term) {
			m.Errorf("%+v is said to be on flash, which has %+v", s.Binding, m.flash[s.Addr])
		}
	}
	for a, b := range m.flash {
		if got, ok := m.Recorded(b.ID); !ok || got != a {
			m.Errorf("flash has %v at %v; the table says at %v", b.ID, a, got)
		}
	}
}
