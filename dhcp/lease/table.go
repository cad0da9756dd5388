// Package lease is the DHCP server's memory: one slot per address, with who
// holds it or had it last.
//
// It is told the time, keeps everything in RAM and writes nothing; what has to
// be durable is a Binding, and the caller stores it before it calls Bind. A
// binding that has ended keeps its slot, so that the client finds its address
// again until somebody else needs it.
//
// Where a pool gets tight, who comes and goes gives way to who belongs there. A
// client that came back after a day, or after a reboot, is a regular: strangers
// get what was never used, then what strangers have left, and the last sixteenth
// of the pool waits for the regulars that are away.
package lease

import (
	"container/heap"
	"encoding/binary"
	"hash/fnv"
	"iter"
	"net/netip"
	"slices"
	"time"

	"leasehold/dhcp"
)

// A State says what an address is used for.
type State int

const (
	Free     State = iota + 1 // nobody's; the slot may name who had it last
	Offered                   // held for a client that was offered it
	Bound                     // acknowledged; over, though nothing changes it, once Until has passed
	Declined                  // a client found somebody else using it
)

// String returns the word that the status page shows.
func (s State) String() string {
	switch s {
	case Free:
		return "free"
	case Offered:
		return "offered"
	case Bound:
		return "bound"
	case Declined:
		return "declined"
	}
	return "unused"
}

// A Slot is what is known about one address.
type Slot struct {
	Binding // the holder, or the last one; without an ID there was none
	State   State
	Until   time.Time   // when the State ends and the address is free
	Heard   bool        // the holder was heard since we started
	Kept    bool        // the Binding is on flash as it stands here
	User    dhcp.HWAddr // who was found using it while it is Declined; zero: not known

	offered  dhcp.ID   // to whom, while Offered
	promised time.Time // while Offered or Bound: the client may be told until then that it is Bound
	granted  time.Time // the holder was told that the address is its own until then, or gave it back then
	since    time.Time // when the holder was first heard
	regular  bool      // the holder came back after a day, or after a reboot
	suspect  bool      // was found in use, or taken from its holder, and nobody has asked since
	silent   time.Time // until then nobody but the prober is taken to use the address, since nobody else answered for it
	prober   dhcp.ID   // for whom it was asked
	asker    dhcp.ID   // for whom PickUnheard chose it
	asked    time.Time // until then it chooses others for others
	answered bool      // somebody answered for it when another wanted it
	recalled bool      // is in Table.recalled
	record   dhcp.ID   // whose binding of the address is on flash: the last holder's still, while it is lent to another
	due      time.Time // its place in Table.busy: not after Until
	pile     *pile     // Table.busy or Table.idle; nil: the pool does not have it
	index    int       // in pile
}

// free reports whether the slot's address could be given to id.
func (s *Slot) free(now time.Time, id dhcp.ID) bool {
	switch {
	case s == nil, s.State == Free, !now.Before(s.Until):
		return true
	case s.State == Bound:
		return s.ID == id
	case s.State == Offered:
		return s.offered == id
	}
	return false
}

// A Pool is which addresses may be given to anyone.
type Pool struct {
	First, Last netip.Addr
	Except      map[netip.Addr]bool // the router's own and the reserved ones
	Sequential  bool                // a new client gets the first address that was never used
}

// Contains reports whether the pool gives a to anyone who asks.
func (p Pool) Contains(a netip.Addr) bool {
	return a.Is4() && !a.Less(p.First) && !p.Last.Less(a) && !p.Except[a]
}

// Size is the number of addresses from First to Last.
func (p Pool) Size() int {
	if !p.First.Is4() || p.Last.Less(p.First) {
		return 0
	}
	return int(number(p.Last)-number(p.First)) + 1
}

// capacity is how many addresses the pool may give.
func (p Pool) capacity() int {
	n := p.Size()
	for a := range p.Except {
		if p.Except[a] && a.Is4() && !a.Less(p.First) && !p.Last.Less(a) {
			n--
		}
	}
	return max(n, 0)
}

// A Table maps addresses to clients. It belongs to one goroutine.
type Table struct {
	pool   Pool
	size   int        // how many addresses it may give
	cursor netip.Addr // every address of the pool before it has a slot

	slots    map[netip.Addr]*Slot
	byID     map[dhcp.ID]*Slot     // the slot in which the client is the holder or was the last one
	byHW     map[dhcp.HWAddr]*Slot // the slot that was last bound to a client with this address
	offers   map[dhcp.ID]*Slot     // the slot that is held for the client
	records  map[dhcp.ID]*Slot     // the slot of which flash says, last, that it is the client's
	busy     pile                  // the slots of the pool that are somebody's, the first to become free on top
	idle     pile                  // and those that are nobody's, the first to be given to another on top
	declined []*Slot               // in the order in which they were
	users    map[dhcp.HWAddr]int   // how many addresses are out of use because of each
	recalled []*Slot               // in the order in which they were; some have been heard since
}

// NewTable returns an empty table.
func NewTable(p Pool) *Table {
	t := &Table{
		slots:   map[netip.Addr]*Slot{},
		byID:    map[dhcp.ID]*Slot{},
		byHW:    map[dhcp.HWAddr]*Slot{},
		offers:  map[dhcp.ID]*Slot{},
		records: map[dhcp.ID]*Slot{},
		users:   map[dhcp.HWAddr]int{},
	}
	t.SetPool(p)
	return t
}

// SetPool changes which addresses Pick may choose. Bindings stay as they are.
func (t *Table) SetPool(p Pool) {
	t.pool, t.size = p, p.capacity()
	t.cursor = p.First
	t.busy, t.idle = pile{before: dueFirst}, pile{before: goneFirst}
	for _, s := range t.slots {
		s.pile = nil
		t.place(s)
	}
}

// Pick chooses an address for a client in the order of RFC 2131, section 4.3.1:
// the one it has or had, the one it was offered, the one it wants, a new one. A
// new one is looked for first where the client's identity points, so that it
// would be found again if all records were lost, unless the pool is Sequential;
// then among those that were never used; then the one that has been idle for the
// longest time, those of regulars last.
func (t *Table) Pick(now time.Time, id dhcp.ID, want netip.Addr) (netip.Addr, bool) {
	for _, s := range []*Slot{t.byID[id], t.offers[id]} {
		if s != nil && t.pool.Contains(s.Addr) && s.free(now, id) {
			return s.Addr, true
		}
	}
	if t.pool.Contains(want) && t.Free(now, want, id) && !t.Withheld(now, want, id) {
		return want, true
	}
	if a, ok := t.pickByHash(id); ok && !t.pool.Sequential {
		return a, true
	}
	if a, ok := t.pickUnused(); ok {
		return a, true
	}
	return t.pickIdle(now, id)
}

const hashTries = 16

func (t *Table) pickByHash(id dhcp.ID) (netip.Addr, bool) {
	n := t.pool.Size()
	if n == 0 {
		return netip.Addr{}, false
	}
	h := fnv.New32a()
	h.Write([]byte(id))
	start := int(h.Sum32() % uint32(n))
	for i := range min(hashTries, n) {
		a := address(number(t.pool.First) + uint32((start+i)%n))
		if t.slots[a] == nil && t.pool.Contains(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// pickUnused moves the cursor on; no address is looked at twice.
func (t *Table) pickUnused() (netip.Addr, bool) {
	for ; t.cursor.IsValid() && !t.pool.Last.Less(t.cursor); t.cursor = t.cursor.Next() {
		if t.slots[t.cursor] == nil && t.pool.Contains(t.cursor) {
			return t.cursor, true
		}
	}
	return netip.Addr{}, false
}

func (t *Table) pickIdle(now time.Time, id dhcp.ID) (netip.Addr, bool) {
	t.tidy(now)
	if len(t.idle.slots) == 0 || t.Withheld(now, t.idle.slots[0].Addr, id) {
		return netip.Addr{}, false
	}
	return t.idle.slots[0].Addr, true
}

const (
	// regularAfter is how long after its first lease a client has to come back to
	// be a regular: who makes up a new hardware address every day does not.
	regularAfter = 24 * time.Hour
	// regularShare is the part of the pool that waits for regulars that are away,
	// regularAbsence how long it does.
	regularShare   = 16
	regularAbsence = 30 * 24 * time.Hour
)

// Withheld reports whether a waits for a regular that is away: the client is
// none, and only addresses of such are left, no more than are kept for them.
func (t *Table) Withheld(now time.Time, a netip.Addr, id dhcp.ID) bool {
	s := t.slots[a]
	if s == nil || !s.regular || s.ID == id || t.offers[id] == s || !now.Before(s.granted.Add(regularAbsence)) || t.Regular(id) {
		return false
	}
	left, _ := t.Room(now)
	return left == 0
}

// Withholds reports whether the pool has addresses left, but none for the client.
func (t *Table) Withholds(now time.Time, id dhcp.ID) bool {
	t.tidy(now)
	return len(t.idle.slots) > 0 && t.Withheld(now, t.idle.slots[0].Addr, id)
}

// Regular reports whether the client came back after a day, or after a reboot.
func (t *Table) Regular(id dhcp.ID) bool {
	s := t.byID[id]
	return s != nil && s.regular
}

// Used is how many addresses of the pool are somebody's, and how many there are.
func (t *Table) Used(now time.Time) (used, all int) {
	t.tidy(now)
	return len(t.busy.slots), t.size
}

// Room is how many addresses of the pool a stranger may still get, and how many
// it might in an empty one: all but those that are kept for regulars.
func (t *Table) Room(now time.Time) (left, all int) {
	used, size := t.Used(now)
	all = size - size/regularShare
	return max(all-used, 0), all
}

// Contains reports whether the pool gives a to anyone who asks.
func (t *Table) Contains(a netip.Addr) bool { return t.pool.Contains(a) }

// Free reports whether a could be given to the client: nobody else holds it,
// was offered it, or was found using it. It need not be in the pool.
func (t *Table) Free(now time.Time, a netip.Addr, id dhcp.ID) bool {
	return t.slots[a].free(now, id)
}

// Holder returns the slot in which the client is the holder, or was the last.
func (t *Table) Holder(id dhcp.ID) (Slot, bool) {
	if s := t.byID[id]; s != nil {
		return *s, true
	}
	return Slot{}, false
}

// HolderOn returns the slot that was last bound to a client with this hardware
// address, which is still the one that names it.
func (t *Table) HolderOn(hw dhcp.HWAddr) (Slot, bool) {
	if s := t.byHW[hw]; s != nil {
		return *s, true
	}
	return Slot{}, false
}

// Last returns the slot of an address that is somebody's, or was.
func (t *Table) Last(a netip.Addr) (Slot, bool) {
	if s := t.slots[a]; s != nil && s.ID != "" {
		return *s, true
	}
	return Slot{}, false
}

// Hold keeps a for the client until the given time, or longer where it is bound
// to the client for longer. The caller has made sure that it is Free, or that nobody
// answers for it: see PickUnheard. Another address that was held for the client is
// given back.
func (t *Table) Hold(now time.Time, a netip.Addr, id dhcp.ID, until time.Time) {
	t.Unhold(now, id)
	s := t.slot(a)
	if s.State == Bound && s.ID == id {
		if s.Until.Before(until) {
			t.setUntil(s, until)
		}
		return
	}
	if s.State == Bound && now.Before(s.Until) {
		s.suspect = true // its holder, whom we have not heard, may still use it
	}
	t.unlist(s)
	s.State, s.offered = Offered, id
	t.offers[id] = s
	t.setUntil(s, until)
}

// Promise holds a for a client whose binding is on its way to flash. Until Bind
// is called, or until the given time if the binding could not be kept, nothing
// that the client sends gives the address back: the client may be told at any
// moment that the address is its own.
func (t *Table) Promise(now time.Time, a netip.Addr, id dhcp.ID, until time.Time) {
	t.Hold(now, a, id, until)
	t.slots[a].promised = until
}

// Promised returns to whom a is promised, "" if to nobody.
func (t *Table) Promised(now time.Time, a netip.Addr) dhcp.ID {
	s := t.slots[a]
	switch {
	case s == nil || !now.Before(s.promised):
		return ""
	case s.State == Bound:
		return s.ID
	}
	return s.offered
}

// Unhold gives back what was held for the client, if anything.
func (t *Table) Unhold(now time.Time, id dhcp.ID) {
	if s := t.offers[id]; s != nil && !now.Before(s.promised) {
		t.unlist(s)
		t.setFree(s, time.Time{})
	}
}

// Bind makes b's client the holder of b's address for b.Grant, or for as long as
// it was told before if that is longer: it may miss the message that shortens
// its lease. (One without end would never come back; that one is shortened.)
// Bind is to be called once b is durable. The client's earlier address, if it
// had another one, becomes free.
func (t *Table) Bind(now time.Time, b Binding) {
	s := t.bind(now, b, now.Add(b.Grant))
	t.heard(now, s)
	t.keep(s)
}

// heard notes that the holder was, and when it is a regular.
func (t *Table) heard(now time.Time, s *Slot) {
	if rebooted := s.Kept && !s.Heard; rebooted || now.Sub(s.since) >= regularAfter {
		s.regular = true
	}
	s.Heard = true
}

// Lend is Bind for a binding that is not on flash. A record of the same client
// and address that is there stays in force: it will hold again.
func (t *Table) Lend(now time.Time, b Binding) {
	kept := t.Keeps(b.Addr, b.ID)
	if kept {
		grant := b.Grant
		b = t.slots[b.Addr].Binding
		b.Grant = grant
	}
	s := t.bind(now, b, now.Add(b.Grant))
	t.heard(now, s)
	s.Kept = kept
}

// Recorded returns the address that the client would have after a power cut.
// Where it is given another, that record has to go: it may be the later one.
func (t *Table) Recorded(id dhcp.ID) (netip.Addr, bool) {
	if s := t.records[id]; s != nil {
		return s.Addr, true
	}
	return netip.Addr{}, false
}

// Keeps reports whether the binding of a to the client is on flash.
func (t *Table) Keeps(a netip.Addr, id dhcp.ID) bool {
	s := t.slots[a]
	return s != nil && s.Kept && s.ID == id
}

// Recall puts back what was read from flash at boot: one full term, during
// which we wait to hear from the client.
func (t *Table) Recall(now time.Time, b Binding) {
	heard := t.Using(now, b.Addr, b.ID)
	s := t.bind(now, b, now.Add(b.Term))
	s.Heard = heard
	t.keep(s)
	if !s.recalled {
		s.recalled = true
		t.recalled = append(t.recalled, s)
	}
}

// PickUnheard chooses an address for who would otherwise get none: one whose
// holder we know from flash only. Its lease may be long over, or given back, for
// neither is written down. The one recalled last goes first: who has been here
// for years is more likely to come back than the stranger of yesterday. It is to
// be probed before it is given to anyone; meanwhile another client gets another one,
// unless too many are waited for.
func (t *Table) PickUnheard(now time.Time, id dhcp.ID) (a netip.Addr, ok bool) {
	others := 0
	for n := len(t.recalled) - 1; n >= 0 && others < mostAsked; n-- {
		s := t.recalled[n]
		switch gone := s.State != Bound || s.Heard || s.answered || !now.Before(s.Until) || !t.pool.Contains(s.Addr); {
		case gone:
			s.recalled = false
			t.recalled = slices.Delete(t.recalled, n, n+1)
		case now.Before(s.promised):
		case now.Before(s.asked) && s.asker != id:
			others++
			a, ok = s.Addr, true
		default:
			s.asker, s.asked = id, now.Add(askTime)
			return s.Addr, true
		}
	}
	return a, ok
}

const (
	askTime   = 2 * time.Second // an ARP probe takes less
	mostAsked = 8
)

// Answered notes that somebody is there where PickUnheard hoped for nobody.
func (t *Table) Answered(a netip.Addr) { t.slot(a).answered = true }

// Recent reports whether the client holds a, or did not long ago.
func (t *Table) Recent(now time.Time, a netip.Addr, id dhcp.ID) bool {
	s := t.slots[a]
	return s != nil && s.ID == id && now.Before(s.granted.Add(recently))
}

const recently = 24 * time.Hour

// Using reports whether the client was heard since we started, and told that a
// is its own until some time to come.
func (t *Table) Using(now time.Time, a netip.Addr, id dhcp.ID) bool {
	s := t.slots[a]
	return s != nil && s.State == Bound && s.ID == id && s.Heard && now.Before(s.granted)
}

// Heard reports whether whoever holds a was heard since we started.
func (t *Table) Heard(now time.Time, a netip.Addr) bool {
	s := t.slots[a]
	return s != nil && t.Using(now, a, s.ID)
}

// Silent notes that nobody answered for a but the client that is to have it, if
// that one does; until then that is taken to hold.
func (t *Table) Silent(a netip.Addr, id dhcp.ID, until time.Time) {
	s := t.slot(a)
	s.silent, s.prober, s.suspect = until, id, false
}

// Suspect reports whether a was found in use, or taken from its holder, and nobody
// has asked since.
func (t *Table) Suspect(a netip.Addr) bool {
	s := t.slots[a]
	return s != nil && s.suspect
}

// IsSilent reports whether a is taken to be used by nobody but the client.
func (t *Table) IsSilent(now time.Time, a netip.Addr, id dhcp.ID) bool {
	s := t.slots[a]
	return s != nil && s.prober == id && now.Before(s.silent)
}

func (t *Table) bind(now time.Time, b Binding, until time.Time) *Slot {
	s := t.slot(b.Addr)
	if s.State == Bound && s.ID == b.ID && s.Grant != dhcp.Infinite && until.Before(s.granted) {
		until = s.granted
	}
	t.unlist(s)
	t.Unhold(now, b.ID)
	old := t.byID[b.ID]
	switch {
	case old == nil:
		s.since, s.regular = now, false
	case old != s:
		s.since, s.regular = old.since, old.regular
		t.forget(old)
	}
	t.disown(s)
	if s.ID != b.ID {
		s.Heard, s.Kept = false, false
	}
	s.Binding, s.State = b, Bound
	s.promised, s.granted, s.suspect = time.Time{}, until, false
	t.byID[b.ID] = s
	if b.HW.IsUnicast() {
		t.byHW[b.HW] = s
	}
	t.setUntil(s, until)
	return s
}

// keep notes that the binding is on flash, in place of the one that was.
func (t *Table) keep(s *Slot) {
	if t.records[s.record] == s {
		delete(t.records, s.record)
	}
	s.Kept, s.record = true, s.ID
	t.records[s.ID] = s
}

// forget takes the holder's name off a slot.
func (t *Table) forget(s *Slot) {
	t.disown(s)
	s.Binding, s.Kept = Binding{Addr: s.Addr}, false
	s.granted, s.regular = time.Time{}, false
	if s.State == Bound {
		s.promised = time.Time{}
		t.setFree(s, time.Time{})
	}
	t.place(s)
}

// disown takes a slot from where its holder is looked for.
func (t *Table) disown(s *Slot) {
	if t.byID[s.ID] == s {
		delete(t.byID, s.ID)
	}
	if t.byHW[s.HW] == s {
		delete(t.byHW, s.HW)
	}
}

// Release ends the client's binding of a and reports whether there was one. The
// address stays the client's favourite.
func (t *Table) Release(now time.Time, a netip.Addr, id dhcp.ID) bool {
	s := t.slots[a]
	if s == nil || s.State != Bound || s.ID != id || now.Before(s.promised) {
		return false
	}
	s.granted = now
	t.setFree(s, now)
	return true
}

// Decline takes a out of use until the given time, because the client that held
// it, or was offered it, found it in use. It reports whether the client did. At
// most a quarter of the pool is out of use that way; beyond that the one that
// was declined first comes back. The slot goes on to name its last holder, until
// that one has another address.
func (t *Table) Decline(now time.Time, a netip.Addr, id dhcp.ID, until time.Time) bool {
	s := t.slots[a]
	if s == nil || now.Before(s.promised) || !(s.State == Bound && s.ID == id || s.State == Offered && s.offered == id) {
		return false
	}
	t.quarantine(now, s, until)
	t.declined = append(t.declined, s)
	if len(t.declined) > t.quarter() {
		first := t.declined[0]
		t.unlist(first)
		t.setFree(first, time.Time{})
	}
	return true
}

// Seize takes a out of use until the given time, because we found somebody else
// using it when the client was to have it. It reports whether it did: what has
// become another client's meanwhile stays that, and so does what the client was
// heard on. A promise to the client does not count: nothing is on its way to
// flash while the answer to a probe is dealt with.
func (t *Table) Seize(now time.Time, a netip.Addr, id dhcp.ID, user dhcp.HWAddr, until time.Time) bool {
	s := t.slot(a)
	if !s.free(now, id) || t.Using(now, a, id) {
		return false
	}
	s.promised = time.Time{}
	t.quarantine(now, s, until)
	t.Found(a, user)
	return true
}

// Found notes who uses an address that is out of use.
func (t *Table) Found(a netip.Addr, user dhcp.HWAddr) {
	if s := t.slots[a]; s != nil && s.State == Declined && user != (dhcp.HWAddr{}) {
		t.unname(s)
		s.User = user
		t.users[user]++
	}
}

// unname takes the user's name off a slot that is out of use.
func (t *Table) unname(s *Slot) {
	if t.users[s.User]--; t.users[s.User] <= 0 {
		delete(t.users, s.User)
	}
	s.User = dhcp.HWAddr{}
}

// Everywhere reports whether so many addresses are out of use because of one
// user that it must be a machine which answers for everybody: at most a quarter
// of the pool is lost to one.
func (t *Table) Everywhere(user dhcp.HWAddr) bool { return t.users[user] >= max(t.quarter(), 4) }

func (t *Table) quarter() int { return max(1, t.pool.Size()/4) }

// Yield puts a back into use for the one who was found using it, and asks for it: a
// client whose lease we have forgotten. It reports whether it is.
func (t *Table) Yield(a netip.Addr, user dhcp.HWAddr) bool {
	s := t.slots[a]
	if s == nil || s.State != Declined || user == (dhcp.HWAddr{}) || s.User != user {
		return false
	}
	t.unlist(s)
	s.suspect = false
	t.setFree(s, time.Time{})
	return true
}

// quarantine takes a slot out of use. Nobody gets it before somebody has asked
// whether it is still in use: see Suspect.
func (t *Table) quarantine(now time.Time, s *Slot, until time.Time) {
	t.unlist(s)
	s.State, s.silent, s.suspect = Declined, time.Time{}, true
	if now.Before(s.granted) {
		s.granted = now
	}
	t.setUntil(s, until)
}

// All yields a slot for every address that was ever held, in no particular order.
func (t *Table) All() iter.Seq[Slot] {
	return func(yield func(Slot) bool) {
		for _, s := range t.slots {
			if !yield(*s) {
				return
			}
		}
	}
}

func (t *Table) slot(a netip.Addr) *Slot {
	s := t.slots[a]
	if s == nil {
		s = &Slot{Binding: Binding{Addr: a}, State: Free}
		t.slots[a] = s
		t.place(s)
	}
	return s
}

// place puts a slot where it belongs: to the busy ones, or to the idle ones. One
// that is only busy for longer stays where it is until it is its turn, so that a
// renewal costs the same however many leases there are.
func (t *Table) place(s *Slot) {
	switch {
	case !t.pool.Contains(s.Addr):
	case s.State == Free:
		t.move(s, &t.idle)
	case s.pile != &t.busy || s.Until.Before(s.due):
		s.due = s.Until
		t.move(s, &t.busy)
	}
}

func (t *Table) move(s *Slot, p *pile) {
	if s.pile == p {
		heap.Fix(p, s.index)
		return
	}
	if s.pile != nil {
		heap.Remove(s.pile, s.index)
	}
	s.pile = p
	heap.Push(p, s)
}

// tidy moves what is over to the idle ones.
func (t *Table) tidy(now time.Time) {
	for len(t.busy.slots) > 0 && !now.Before(t.busy.slots[0].due) {
		s := t.busy.slots[0]
		if now.Before(s.Until) {
			s.due = s.Until
			t.move(s, &t.busy)
		} else {
			t.move(s, &t.idle)
		}
	}
}

// unlist takes a slot out of the lists that belong to being Offered or Declined.
func (t *Table) unlist(s *Slot) {
	switch s.State {
	case Offered:
		if t.offers[s.offered] == s {
			delete(t.offers, s.offered)
		}
		s.offered = ""
	case Declined:
		if i := slices.Index(t.declined, s); i >= 0 {
			t.declined = slices.Delete(t.declined, i, i+1)
		}
		t.unname(s)
	}
}

func (t *Table) setUntil(s *Slot, until time.Time) {
	s.Until = until
	t.place(s)
}

func (t *Table) setFree(s *Slot, until time.Time) {
	s.State = Free
	t.setUntil(s, until)
}

// A pile is a heap of slots.
type pile struct {
	slots  []*Slot
	before func(a, b *Slot) bool
}

// dueFirst orders slots by when they become free, as far as that has been looked
// at.
func dueFirst(a, b *Slot) bool { return a.due.Before(b.due) }

// goneFirst orders slots by how long their last holder has been gone, with those
// of strangers before those of regulars.
func goneFirst(a, b *Slot) bool {
	if a.regular != b.regular {
		return b.regular
	}
	if c := a.granted.Compare(b.granted); c != 0 {
		return c < 0
	}
	return a.Addr.Less(b.Addr)
}

func (p *pile) Len() int           { return len(p.slots) }
func (p *pile) Less(i, j int) bool { return p.before(p.slots[i], p.slots[j]) }
func (p *pile) Swap(i, j int) {
	p.slots[i], p.slots[j] = p.slots[j], p.slots[i]
	p.slots[i].index, p.slots[j].index = i, j
}

func (p *pile) Push(x any) {
	s := x.(*Slot)
	s.index = len(p.slots)
	p.slots = append(p.slots, s)
}

func (p *pile) Pop() any {
	last := len(p.slots) - 1
	s := p.slots[last]
	p.slots[last] = nil
	p.slots = p.slots[:last]
	return s
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}
