package router

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"leasehold/dhcp/client"
	"leasehold/dhcp/lease"
	"leasehold/dhcp/server"
	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
	"leasehold/firmware/status"
)

// The ring's keys: "L" and the four octets of an address for a binding, "wan"
// for the address that the WAN port had, "calm", and "words", which package boot
// puts there: why a router ended.
//
// Calm stands in the ring while every address that somebody may be using has its
// binding there. It is put down before an address is lent, and put back when
// nothing is lent any more; a ring that is new, or was formatted, has none. So a
// boot that finds none knows that it does not know everything.
const (
	bindingKey = "L"
	wanKey     = "wan"
	CalmKey    = "calm"
	wordsKey   = "words"
	movesKey   = "moved" // networks that are not where they are configured to be
)

func keyOf(a netip.Addr) string { return bindingKey + string(a.AsSlice()) }

// A store keeps what has to survive a power cut, within what the flash can take.
// What it cannot keep it remembers in memory, which outlives the crash of a
// loop, and it says so.
type store struct {
	open  func(flash.Place, int64) (device, error)
	look  func(flash.Place) (device, error) // read-only
	place flash.Place
	life  config.Ring

	mu        sync.Mutex
	networks  []netip.Prefix // that are served
	longest   time.Duration  // of their lease times
	mended    int            // how often the ring began to take bindings again
	size      int64          // that a plain file is to have
	device    device
	ring      *ring.Ring // nil: it could not be opened
	trouble   string     // why nothing can be kept; "": it can
	full      bool       // the ring took no more
	fullSince time.Time  // it was tried last
	opened    time.Time
	tried     time.Time     // to open the ring, or to write to it, last
	pause     time.Duration // until the next time
	budget    *ring.Budget
	calm      bool
	wary      time.Time // until when what was not recorded may be in use
	lent      map[netip.Addr]loan
	last      []byte // the WAN port's address
}

// A loan is a binding that is in memory only.
type loan struct {
	lease.Binding
	until time.Time
}

// openStore opens the ring. A store without a ring is better than no router, so
// there always is one.
func openStore(now time.Time, os platform, cfg config.Config) *store {
	s := &store{
		open: os.openRing, look: os.readRing, place: flash.Place{Path: cfg.Ring.Path, AtEnd: cfg.Ring.AtEnd}, life: cfg.Ring,
		size: sizeFor(leases(cfg)), lent: map[netip.Addr]loan{},
	}
	s.serve(cfg.Networks())
	s.reopen(now)
	return s
}

// serve notes which networks there are.
func (s *store) serve(networks []config.LAN) {
	s.networks, s.longest = nil, 0
	for _, n := range networks {
		s.networks = append(s.networks, n.Addr)
		s.longest = max(s.longest, n.LeaseTime)
	}
}

func sizeFor(leases int) int64 {
	return ring.Size(leases+spareRecords, maxRecord, flash.FileBlockSize)
}

const (
	// spareRecords is for what is not a lease and for reservations outside the pool.
	spareRecords = 64
	maxRecord    = len(bindingKey) + 4 + lease.MaxBinding
)

// reopen opens the ring, or opens it anew. One that can only be read is better
// than none.
func (s *store) reopen(now time.Time) {
	s.tried = now
	earned := s.earned(now)
	s.close()
	s.trouble = ""
	if s.place.Path == "" {
		s.trouble = "the configuration does not say where the ring is"
		return
	}
	dev, err := s.open(s.place, s.size)
	if err == nil {
		err = s.use(now, dev)
	}
	if err == nil {
		s.budget.Resume(earned)
		return
	}
	s.trouble = err.Error()
	if dev, err := s.look(s.place); err == nil {
		s.use(now, dev)
	}
}

// earned is the credit of the ring that is open, if there is one.
func (s *store) earned(now time.Time) *int64 {
	if s.ring == nil {
		return nil
	}
	c := s.credit(now)
	return &c
}

func (s *store) use(now time.Time, dev device) error {
	r, err := ring.Open(dev)
	if err != nil {
		dev.Close()
		return notARing(s.place, err)
	}
	s.device, s.ring, s.full, s.opened = dev, r, false, now
	s.budget = ring.NewBudget(now, r.Stats(), s.life.Cycles, time.Duration(s.life.Years)*365*24*time.Hour)
	_, calm := r.Get(CalmKey)
	s.calm = calm && r.Stats().Skipped == 0
	return nil
}

func (s *store) close() {
	if s.device != nil {
		s.device.Close()
	}
	s.device, s.ring = nil, nil
}

// fit has the ring grow with what is configured.
func (s *store) fit(now time.Time, cfg config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve(cfg.Networks())
	size := sizeFor(leases(cfg))
	if size <= s.size {
		return
	}
	s.size = size
	switch {
	case s.trouble != "":
		s.tried, s.pause = time.Time{}, 0 // mend will, and have what is found recalled
	case s.short():
		calm := s.calm
		s.reopen(now)
		s.calm = s.calm && calm
	}
}

// small reports whether the ring may not hold all leases that there can be.
func (s *store) small() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device != nil && s.short()
}

func (s *store) short() bool { return int64(s.device.Blocks())*int64(s.device.BlockSize()) < s.size }

const (
	// mendEvery is how soon what does not work is tried again, at first.
	mendEvery = time.Minute
	// mendSeldom is how seldom it is when it goes on to fail: flash that fails
	// must not be worn out by trying.
	mendSeldom = time.Hour
)

// mend does what has to be done from time to time: it tries again what did not
// work, and notes that nothing is lent any more. It returns how often so far the
// ring took bindings again that it had not taken: who has not seen to the last
// time yet has to.
func (s *store) mend(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tend(now) {
		s.mended++
	}
	return s.mended
}

// times returns what mend did.
func (s *store) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mended
}

func (s *store) tend(now time.Time) bool {
	for a, l := range s.lent {
		if !now.Before(l.until) {
			delete(s.lent, a)
		}
	}
	if s.trouble == "" {
		s.examine()
	}
	if s.trouble != "" {
		return s.retry(now)
	}
	if now.Sub(s.opened) >= mendSeldom {
		s.pause = 0
	}
	if !s.calm && len(s.lent) == 0 && !now.Before(s.wary) && s.credit(now) > 0 {
		s.calm = s.write(now, ring.Entry{Key: CalmKey, Value: []byte{}}) == nil
	}
	return false
}

// examine sees whether the ring is still what was opened: a plain file may have
// been removed, or something else written to it.
func (s *store) examine() {
	err := s.ring.Check()
	if d, ok := s.device.(interface{ Gone() error }); ok && err == nil {
		err = d.Gone()
	}
	if err != nil {
		s.trouble, s.tried = fmt.Sprintf("%v: %v", s.place, err), time.Time{}
	}
}

// notARing says what can be done about a ring that did not open.
func notARing(p flash.Place, err error) error {
	if errors.Is(err, ring.ErrForeign) {
		return fmt.Errorf("%v: %w; leasehold ring format -force would erase it", p, err)
	}
	return fmt.Errorf("%v: %w", p, err)
}

// retry opens the ring again and has it take something, even if that changes
// nothing.
func (s *store) retry(now time.Time) bool {
	if now.Sub(s.tried) < max(s.pause, mendEvery)-mendEvery/2 {
		return false // it is not due: the ticks that call us are no sooner and no later than half of one
	}
	s.reopen(now)
	if s.trouble == "" {
		s.write(now, ring.Entry{Key: CalmKey})
	}
	s.pause = min(max(2*s.pause, mendEvery), mendSeldom)
	if s.trouble != "" {
		return false
	}
	s.calm = false
	return true
}

// unknown notes until when addresses may be in use that the ring knows nothing
// of, because it did not know everything when it was opened.
func (s *store) unknown(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wary.IsZero() && !s.calm {
		s.wary = now.Add(min(max(s.longest, server.LentTerm), waryAtMost))
	}
	return s.wary
}

const waryAtMost = 24 * time.Hour

// memory says what can be kept now.
func (s *store) memory(now time.Time) server.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.trouble != "":
		return server.KeepsNothing
	case s.credit(now) <= 0, s.full && now.Sub(s.fullSince) < mendEvery:
		return server.KeepsKnown
	}
	return server.KeepsAll
}

func (s *store) credit(now time.Time) int64 { return s.budget.Credit(now, s.ring.Stats().Used) }

// put makes the entries durable, or returns an error.
func (s *store) put(now time.Time, entries ...ring.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(now, entries...)
}

func (s *store) write(now time.Time, entries ...ring.Entry) error {
	if s.trouble != "" {
		return errors.New(s.trouble)
	}
	before := s.ring.Stats().LiveBytes
	err := s.ring.Put(entries...)
	switch {
	case errors.Is(err, ring.ErrFull):
		s.full, s.fullSince = true, now
	case errors.Is(err, ring.ErrWornOut):
		s.trouble, s.tried = fmt.Sprintf("%v: %v", s.place, err), now
	case s.ring.Stats().LiveBytes > before:
		s.full = false
	}
	return err
}

// lend remembers a binding that is not kept; that there are such stands in the
// ring before.
func (s *store) lend(now time.Time, b lease.Binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calm {
		s.calm = s.write(now, ring.Entry{Key: CalmKey}) != nil
	}
	s.repay(b)
	s.lent[b.Addr] = loan{b, now.Add(b.Grant)}
}

// settle notes that a binding is kept, and no loan any more.
func (s *store) settle(b lease.Binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repay(b)
}

// takeBack ends the loan of an address that its client has no use for any more.
func (s *store) takeBack(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lent, a)
}

// repay ends the loans of an address and of a client that now has another one in
// the same network.
func (s *store) repay(b lease.Binding) {
	network := netip.Prefix{}
	if i := slices.IndexFunc(s.networks, func(n netip.Prefix) bool { return n.Contains(b.Addr) }); i >= 0 {
		network = s.networks[i]
	}
	maps.DeleteFunc(s.lent, func(a netip.Addr, l loan) bool { return a == b.Addr || l.ID == b.ID && network.Contains(a) })
}

// loans returns the bindings that are lent, each with what is left of it.
func (s *store) loans(now time.Time) (all []lease.Binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lent {
		if l.Grant = l.until.Sub(now); l.Grant > 0 {
			all = append(all, l.Binding)
		}
	}
	return all
}

// all yields what is kept as it is when the loop begins, the earliest changed
// first.
func (s *store) all() iter.Seq2[string, []byte] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		return func(func(string, []byte) bool) {}
	}
	return s.ring.All()
}

// bindings yields the bindings that are stored, the earliest written first, and
// an error for each that cannot be read.
func (s *store) bindings() iter.Seq2[lease.Binding, error] {
	return func(yield func(lease.Binding, error) bool) {
		for key, value := range s.all() {
			if isBinding(key) && !yield(decodeBinding(key, value)) {
				return
			}
		}
	}
}

func isBinding(key string) bool {
	return key != wanKey && key != CalmKey && key != wordsKey && key != movesKey
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

// wan returns the address that the WAN port had.
func (s *store) wan() (client.Last, error) {
	s.mu.Lock()
	value := s.last
	if value == nil && s.ring != nil {
		value, _ = s.ring.Get(wanKey)
	}
	s.mu.Unlock()
	var l client.Last
	if value == nil {
		return l, nil
	}
	err := l.UnmarshalBinary(value)
	return l, err
}

// putWAN remembers the address that the WAN port has. It is only what to ask for
// after a reboot, so where the flash has had enough, memory will do.
func (s *store) putWAN(now time.Time, l client.Last) error {
	e, err := entry(wanKey, l)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = e.Value
	if s.trouble != "" || s.credit(now) <= 0 {
		return nil
	}
	if old, ok := s.ring.Get(wanKey); ok && bytes.Equal(old, e.Value) {
		return nil // nothing is promised on its strength: not even the first Put of a boot is due
	}
	return s.write(now, e)
}

// words are the last ones of an earlier router, if it left any in the ring.
func (s *store) words() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil {
		return ""
	}
	words, _ := s.ring.Get(wordsKey)
	return string(words)
}

// forgetWords removes the last words of an earlier router, if it left any.
func (s *store) forgetWords(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == nil || s.trouble != "" {
		return nil // the router says what is wrong with the ring
	}
	if _, left := s.ring.Get(wordsKey); !left {
		return nil
	}
	return s.write(now, ring.Entry{Key: wordsKey})
}

// outside lists, to be forgotten, the bindings that are of no network that is
// served, or cannot be read.
func (s *store) outside() (forget []ring.Entry) {
	s.mu.Lock()
	networks := s.networks
	s.mu.Unlock()
	for key, value := range s.all() {
		b, err := decodeBinding(key, value)
		served := slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(b.Addr) })
		if isBinding(key) && (err != nil || !served) {
			forget = append(forget, ring.Entry{Key: key})
		}
	}
	return forget
}

func entry(key string, v encoding.BinaryMarshaler) (ring.Entry, error) {
	b, err := v.MarshalBinary()
	return ring.Entry{Key: key, Value: b}, err
}

// health is what the page shows.
func (s *store) health(now time.Time) status.Ring {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := status.Ring{Path: s.place.String(), Trouble: s.trouble, Lent: len(s.lent)}
	if s.ring == nil {
		return h
	}
	st := s.ring.Stats()
	h.Records, h.Live, h.Capacity, h.Segment = st.Records, st.LiveBytes, st.Capacity, st.Segment
	h.Programmed, h.Erases = st.Programmed, st.Erases
	h.Damaged, h.Bad = st.Skipped, st.Bad
	h.Cycles, h.Years = s.life.Cycles, s.life.Years
	if s.budget == nil {
		return h // it is only looked at
	}
	h.Credit, h.Burst, h.PerDay = s.credit(now), s.budget.Burst, s.budget.PerDay
	if since := now.Sub(s.opened); since >= paceAfter {
		h.Pace = st.Years(s.life.Cycles, since)
	}
	switch {
	case s.full:
		h.Sparing = "the ring is full"
	case h.Credit <= 0:
		h.Sparing = fmt.Sprintf("more was written than the flash can take for %d years", s.life.Years)
	}
	return h
}

// paceAfter is how long a ring is watched before its life is foretold: a boot
// costs an erase at once.
const paceAfter = time.Hour

// A Listing is what a ring file holds.
type Listing struct {
	Bindings []lease.Binding // by address
	WAN      client.Last     // zero: none
	Bad      []error         // records that cannot be read
	Health   status.Ring
}

// ReadRing reads a ring and changes nothing in it, also while a router has it
// open.
func ReadRing(p flash.Place) (Listing, error) {
	dev, err := flash.OpenReadOnly(p)
	if err != nil {
		return Listing{}, err
	}
	defer dev.Close()
	r, err := ring.OpenReadOnly(dev)
	if err != nil {
		return Listing{}, fmt.Errorf("%v: %w", p, err)
	}
	s := &store{ring: r, place: p}
	l := Listing{Health: s.health(time.Time{})}
	for b, err := range s.bindings() {
		if err != nil {
			l.Bad = append(l.Bad, err)
			continue
		}
		l.Bindings = append(l.Bindings, b)
	}
	slices.SortFunc(l.Bindings, func(a, b lease.Binding) int { return a.Addr.Compare(b.Addr) })
	if l.WAN, err = s.wan(); err != nil {
		l.Bad = append(l.Bad, err)
	}
	return l, nil
}
