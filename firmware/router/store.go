package router

import (
	"encoding"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
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

// A store keeps what has to survive a power cut. Without a ring it keeps
// nothing and says so.
type store struct {
	ring    *ring.Ring
	device  io.Closer
	path    string
	trouble string // why there is no ring
}

// openStore opens the ring file, and creates one that holds the pool if there
// is none. A store without a ring is better than no router, so there always is
// one.
func openStore(path string, leases int) *store {
	s := &store{path: path}
	dev, err := flash.OpenFile(path, ring.Size(leases+spareRecords, maxRecord, flash.FileBlockSize))
	if err != nil {
		s.trouble = err.Error()
		return s
	}
	r, err := ring.Open(dev)
	if err != nil {
		dev.Close()
		s.trouble = fmt.Sprintf("%s: %v", path, err)
		return s
	}
	s.ring, s.device = r, dev
	return s
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
func (s *store) durable() bool { return s.ring != nil }

// put makes the entries durable. Without a ring it does nothing: who gives out
// leases then makes them short.
func (s *store) put(entries ...ring.Entry) error {
	if s.ring == nil {
		return nil
	}
	return s.ring.Put(entries...)
}

// bindings yields the bindings that are stored, the earliest written first, and
// an error for each that cannot be read.
func (s *store) bindings() iter.Seq2[lease.Binding, error] {
	return func(yield func(lease.Binding, error) bool) {
		if s.ring == nil {
			return
		}
		for key, value := range s.ring.All() {
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
	var l client.Last
	if s.ring == nil {
		return l, nil
	}
	v, ok := s.ring.Get(wanKey)
	if !ok {
		return l, nil
	}
	return l, l.UnmarshalBinary(v)
}

func entry(key string, v encoding.BinaryMarshaler) (ring.Entry, error) {
	b, err := v.MarshalBinary()
	return ring.Entry{Key: key, Value: b}, err
}

func (s *store) health() status.Ring {
	h := status.Ring{Path: s.path, Trouble: s.trouble}
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
