package router

import (
	"encoding"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"time"

	"leasehold/dhcp/client"
	"leasehold/dhcp/lease"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
	"leasehold/firmware/status"
)

// The ring's keys: "L" and the four octets of an address for a binding, "wan"
// for the address that the WAN port had.
const (
	bindingKey = "L"
	wanKey     = "wan"
)

func keyOf(a netip.Addr) string { return bindingKey + string(a.AsSlice()) }

// A store keeps what has to survive a power cut. Without a ring it keeps it in
// memory, which outlives the crash of a loop, and says so.
type store struct {
	path    string
	trouble string // why there is no ring
	small   bool   // the ring may not hold all leases that there can be
	device  device

	mu      sync.Mutex
	ring    *ring.Ring   // nil: there is none
	entries []ring.Entry // in its place, the earliest changed first
	revived time.Time    // when the ring was last opened anew
}

// openStore opens the ring file, and creates one that holds the pool if there
// is none. A store without a ring is better than no router, so there always is
// one.
func openStore(open func(path string, size int64) (device, error), path string, leases int) *store {
	s := &store{path: path}
	size := ring.Size(leases+spareRecords, maxRecord, flash.FileBlockSize)
	dev, err := open(path, size)
	if err != nil {
		s.trouble = err.Error()
		return s
	}
	r, err := ring.Open(dev)
	if err != nil {
		s.trouble = fmt.Sprintf("%s: %v", path, err)
		s.salvage(dev)
		dev.Close()
		return s
	}
	s.ring, s.device = r, dev
	s.small = int64(dev.Blocks())*int64(dev.BlockSize()) < size
	return s
}

// salvage reads what a ring that takes nothing more still holds.
func (s *store) salvage(dev device) {
	old, err := ring.OpenReadOnly(dev)
	if err != nil {
		return
	}
	for key, value := range old.All() {
		s.entries = append(s.entries, ring.Entry{Key: key, Value: value})
	}
}

const (
	// spareRecords is for the WAN port and for reservations outside the pool.
	spareRecords = 64
	maxRecord    = len(bindingKey) + 4 + lease.MaxBinding
)

func (s *store) close() {
	if s.device != nil {
		s.device.Close()
	}
}

// durable reports whether what put accepts survives a power cut.
func (s *store) durable() bool { return s.trouble == "" }

// put makes the entries durable. Without a ring they are only remembered: who
// gives out leases then makes them short.
func (s *store) put(entries ...ring.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		s.remember(entries)
		return nil
	}
	err := s.ring.Put(entries...)
	if errors.Is(err, ring.ErrWornOut) && s.revive() {
		err = s.ring.Put(entries...)
	}
	return err
}

func (s *store) remember(entries []ring.Entry) {
	for _, e := range entries {
		s.entries = slices.DeleteFunc(s.entries, func(old ring.Entry) bool { return old.Key == e.Key })
		if e.Value != nil {
			s.entries = append(s.entries, e)
		}
	}
}

// reviveEvery is how often a ring that takes nothing more is opened anew.
const reviveEvery = time.Minute

// revive gives the segments that have failed another chance: what failed may
// have been the device and not its flash.
func (s *store) revive() bool {
	if now := time.Now(); s.revived.IsZero() || now.Sub(s.revived) >= reviveEvery {
		s.revived = now
		if r, err := ring.Open(s.device); err == nil {
			s.ring = r
			return true
		}
	}
	return false
}

// all yields what is kept as it is when the loop begins, the earliest changed
// first.
func (s *store) all() iter.Seq2[string, []byte] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != nil {
		return s.ring.All()
	}
	entries := slices.Clone(s.entries)
	return func(yield func(string, []byte) bool) {
		for _, e := range entries {
			if !yield(e.Key, e.Value) {
				return
			}
		}
	}
}

// bindings yields the bindings that are stored, the earliest written first, and
// an error for each that cannot be read.
func (s *store) bindings() iter.Seq2[lease.Binding, error] {
	return func(yield func(lease.Binding, error) bool) {
		for key, value := range s.all() {
			if key != wanKey && !yield(decodeBinding(key, value)) {
				return
			}
		}
	}
}

func decodeBinding(key string, value []byte) (lease.Binding, error) {
	var b lease.Binding
	if err := b.UnmarshalBinary(value); err != nil {
		return b, fmt.Errorf("record %q: %w", key, err)
	}
	if key != keyOf(b.Addr) {
		return b, fmt.Errorf("record %q: is about %v", key, b.Addr)
	}
	return b, nil
}

// last returns the address that the WAN port had.
func (s *store) last() (client.Last, error) {
	for key, value := range s.all() {
		if key == wanKey {
			var l client.Last
			err := l.UnmarshalBinary(value)
			return l, err
		}
	}
	return client.Last{}, nil
}

// outside lists, to be forgotten, the bindings that are not of the network, or
// cannot be read.
func (s *store) outside(network netip.Prefix) (forget []ring.Entry) {
	for key, value := range s.all() {
		if b, err := decodeBinding(key, value); key != wanKey && (err != nil || !network.Contains(b.Addr)) {
			forget = append(forget, ring.Entry{Key: key})
		}
	}
	return forget
}

func entry(key string, v encoding.BinaryMarshaler) (ring.Entry, error) {
	b, err := v.MarshalBinary()
	return ring.Entry{Key: key, Value: b}, err
}

func (s *store) health() status.Ring {
	h := status.Ring{Path: s.path, Trouble: s.trouble}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		return h
	}
	st := s.ring.Stats()
	h.Records, h.Live, h.Capacity = st.Records, st.LiveBytes, st.Capacity
	h.Programmed, h.Erases = st.Programmed, st.Erases
	h.Damaged, h.Bad = st.Skipped, st.Bad
	return h
}

// volatileTerm is the longest lease that is given while nothing can be kept: a
// client that we forget in a power cut is soon back.
const volatileTerm = 10 * time.Minute

// A Listing is what a ring file holds.
type Listing struct {
	Bindings []lease.Binding // by address
	WAN      client.Last     // zero: none
	Bad      []error         // records that cannot be read
	Health   status.Ring
}

// ReadRing reads a ring file and changes nothing in it, also while a router has
// it open.
func ReadRing(path string) (Listing, error) {
	dev, err := flash.OpenFileReadOnly(path)
	if err != nil {
		return Listing{}, err
	}
	defer dev.Close()
	r, err := ring.OpenReadOnly(dev)
	if err != nil {
		return Listing{}, fmt.Errorf("%s: %w", path, err)
	}
	s := &store{ring: r, path: path}
	l := Listing{Health: s.health()}
	for b, err := range s.bindings() {
		if err != nil {
			l.Bad = append(l.Bad, err)
			continue
		}
		l.Bindings = append(l.Bindings, b)
	}
	slices.SortFunc(l.Bindings, func(a, b lease.Binding) int { return a.Addr.Compare(b.Addr) })
	if l.WAN, err = s.last(); err != nil {
		l.Bad = append(l.Bad, err)
	}
	return l, nil
}
