package server

import (
	"bytes"
	"flag"
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
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for n := first; n < first+60 && !t.Failed(); n++ {
		m := newModel(t, n)
		for range 500 {
			m.step()
			if t.Failed() {
				t.Fatalf("go test ./dhcp/server -run TestNothingAcknowledgedIsLostOrGivenTwice -seed %d", n)
			}
		}
	}
}

// A record is what flash keeps under the key of an address.
type record struct {
	addr  netip.Addr
	value []byte
}

// A promise is what a client was told.
type promise struct {
	client dhcp.ID
	until  time.Time
}

type model struct {
	*house
	*rand.Rand
	flash  []record // in the order in which they were written
	ledger map[netip.Addr]promise
}

func newModel(t *testing.T, seed uint64) *model {
	return &model{
		house:  newHouse(t, pool("192.168.1.100", "192.168.1.109")),
		Rand:   rand.New(rand.NewPCG(seed, 0)),
		ledger: map[netip.Addr]promise{},
	}
}

func (m *model) step() {
	m.Helper()
	switch n := m.IntN(20); {
	case n < 13:
		m.exchange()
	case n < 17:
		m.now = m.now.Add(time.Duration(m.Int64N(int64(time.Minute))))
	case n < 18:
		m.now = m.now.Add(time.Duration(m.Int64N(int64(20 * time.Hour))))
	case n < 19:
		m.reconfigure()
	default:
		m.powerCut()
	}
}

// exchange is one batch: decide on all, write once, then bind and send.
func (m *model) exchange() {
	m.Helper()
	var all []*answer
	for range 1 + m.IntN(5) {
		a := m.decides(m.message())
		all = append(all, a)
		m.gaveBack(a)
	}
	if m.IntN(6) == 0 {
		return // the write failed: nobody is told
	}
	for _, a := range all {
		m.write(a.Decision)
	}
	for _, a := range all {
		if a.Bind != nil {
			m.Bound(m.now, *a.Bind)
		}
		if a.Reply != nil {
			m.sent(a)
		}
	}
}

func (m *model) message() dhcp.Datagram {
	n := m.IntN(14)
	where := netip.AddrFrom4([4]byte{192, 168, 1, byte(98 + m.IntN(14))}).String()
	if s, ok := m.Table().Holder(id(n)); ok && m.IntN(3) > 0 {
		where = s.Addr.String()
	}
	ask := leaseTime(time.Duration(m.IntN(15)) * time.Hour)
	switch m.IntN(10) {
	case 0, 1, 2:
		return discover(n, wants(where))
	case 3, 4:
		return selecting(n, where, ask)
	case 5:
		return rebooting(n, where)
	case 6:
		return renewing(n, where, ask)
	case 7:
		return request(n, wants(where), server("192.168.1.2"))
	case 8:
		return release(n, where)
	}
	return decline(n, where)
}

// gaveBack strikes out what its client says that it does not use, where the
// server took note.
func (m *model) gaveBack(a *answer) {
	if p := m.ledger[a.Addr]; p.client == a.Client && (a.Why == Released || a.Why == DeclinedInUse) {
		delete(m.ledger, a.Addr)
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
	until := m.now.Add(a.Bind.Grant)
	if p.client == a.Client && p.until.After(until) {
		until = p.until // it may miss this message
	}
	for other, p := range m.ledger {
		if p.client == a.Client {
			delete(m.ledger, other) // it has moved
		}
	}
	m.ledger[a.Addr] = promise{a.Client, until}
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
	}
}

func (m *model) forget(a netip.Addr) {
	m.flash = slices.DeleteFunc(m.flash, func(r record) bool { return r.addr == a })
}

// powerCut starts anew from flash, with no idea how long it was dark.
func (m *model) powerCut() {
	m.Helper()
	m.now = m.now.Add(time.Duration(m.Int64N(int64(time.Hour))))
	m.Server = New(m.cfg)
	for _, r := range m.flash {
		var b lease.Binding
		if err := b.UnmarshalBinary(r.value); err != nil {
			m.Error(err)
		}
		m.Recall(m.now, b)
	}
}

func (m *model) reconfigure() {
	m.change(
		[]func(*Config){pool("192.168.1.100", "192.168.1.109"), pool("192.168.1.105", "192.168.1.111")}[m.IntN(2)],
		term(time.Duration(1+m.IntN(12))*time.Hour),
		hosts([]Host{
			{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.106")},
			{HW: []dhcp.HWAddr{hw(2), hw(3)}, Addr: ip("192.168.1.98")},
		}[:m.IntN(3)]...))
}
