// Package ring is a small durable map on erase blocks: the lease ring.
//
// It is made for values that are few, small and seldom changed, on NOR flash
// whose power may fail at any instant. It is not a file system and not a log:
// it keeps the last value of every key and nothing else. It reads no clock,
// starts no goroutine and knows neither DHCP nor files.
//
// # Format
//
// The device is divided into four segments of whole erase blocks, of equal
// size; three where it has only three blocks. One segment tells the whole
// story; the others are older versions of it, or blank.
//
//	segment
//	+--------+----------+----------+-----+--------+-------+-------+-----+------+
//	| header | record   | record   | ... | commit | batch | batch | ... | 0xff |
//	+--------+----------+----------+-----+--------+-------+-------+-----+------+
//	          `------- snapshot --------'          `---- appended -----'
//
//	header
//	 0        8         10     11    12     16         24           24+4n    28+4n
//	+--------+---------+------+-----+------+----------+------------+--------+----+
//	| magic  | version | n    | no. | size | sequence | erases * n | CRC-32C| pad|
//	+--------+---------+------+-----+------+----------+------------+--------+----+
//
//	record
//	 0         4      5       6         8
//	+---------+------+-------+---------+---------+-----------+-----+
//	| CRC-32C | kind | len k | len val | key ... | value ... | pad |
//	+---------+------+-------+---------+---------+-----------+-----+
//
// Numbers are little-endian on every CPU, lengths and sizes in octets, and what
// pads to a multiple of 8 is 0xff. The checksum of a record begins with that of
// the sequence of its segment and covers all that follows it, so a record means
// something only in the segment that it was written for. Kinds are put (0x10),
// forget (0x20) and commit (0x40); 0x01 is added to the record that begins a
// batch. The value of the commit record is the number of records in the
// snapshot and the checksum of all their octets. The counts in the header are
// the erases of every segment so far, this latest one included; the highest bit
// is set for a segment that has no header of its own. n is the number of
// segments, no. which of them this one is, from 0.
//
// Open believes the segment with the highest sequence that has a commit record,
// and replays it. The first Put after it, also one that changes nothing, copies
// it forward into another segment, freshly erased, before it promises anything:
// what a power cut has torn may read as valid now and as garbage at the next
// boot, and then nothing may have been promised on its strength. That takes a
// third segment, because the second may turn out to be torn as well, and a
// fourth allows for one that is bad.
//
// A segment says itself where and how large it is. So a ring is found again, and
// moves to the new division at the first Put, on a device that grew or shrank, or
// whose beginning is elsewhere now, as long as the segment is still whole and
// there is nothing but the ring on the device. No erase block inside a segment
// begins with the magic: where what is stored would have it so, a record that
// means nothing (key 0x00) stands before it.
//
// # Promises
//
//  1. Nothing acknowledged is lost. When Put returns nil, the values survive a
//     power cut at any later instant, also one during the recovery from an
//     earlier cut. Should every torn bit always read at its worst, the ring
//     still stands one cut fewer in a row, without one Put getting through in
//     between, than it has good segments: three with four.
//  2. All or nothing. After a cut, an entry of a Put that did not return has
//     its old value or its new one, and no entry survives without those before
//     it in its batch.
//  3. Program once. Only octets that were erased since Open are programmed,
//     each once, and within an erase block in ascending order.
//  4. Even wear. The erase counts of the segments differ by at most 1. A move
//     after Open that is cut off may add 1, since it must not touch the story.
//     Later erases make up for that, unless the cut came before the count was
//     written down, or the device changes its size.
//  5. Write amplification is at most 2: a snapshot takes at most half of a
//     segment, and Put returns ErrFull rather than go beyond that. Open refuses
//     a device on which that leaves no room.
//  6. Silence is free. Open programs nothing, nor does Put for a value that is
//     already there, once the story has been copied forward.
//  7. Erases are few: at most one segment for every Open that a Put follows,
//     and one for every half segment of changes.
//  8. Wear has a bound. Stats.Used counts the octets of flash that are used up,
//     those that were left blank included: Used divided by the octets of a
//     segment is the erases that they will have cost. A Budget kept by it holds
//     over any number of changes that anybody can provoke.
//  9. Bad blocks cost capacity, not data. Every program and every erase is read
//     back. A segment that fails is left alone until the next Open and the
//     story moves to another. When none takes it, Put returns ErrWornOut, and
//     the old values stand and can be read.
package ring

import (
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"iter"
	"sync"
)

// A Device is flash as the ring sees it. Errors need not say where: the ring
// adds it.
type Device interface {
	BlockSize() int // octets of an erase block
	Blocks() int    // number of erase blocks
	ReadAt(p []byte, off int64) (int, error)
	Program(p []byte, off int64) error // durable when nil
	Erase(block int) error             // durable when nil
}

// An Entry is a change: Key is to have Value, or to be forgotten if Value is
// nil.
type Entry struct {
	Key   string
	Value []byte
}

// Stats are the figures of a ring.
type Stats struct {
	Records    int      // live records
	LiveBytes  int      // octets they take in a segment
	Capacity   int      // octets they may take
	Segment    int      // octets of a segment
	Programmed int64    // octets programmed since Open
	Used       int64    // octets used up since Open: programmed, or abandoned blank
	Erases     []uint32 // of each segment, over its life
	Sequence   uint64   // of the segment in use
	Skipped    int      // damaged records that were left out
	Bad        int      // segments that no longer hold data
	Blank      bool     // there was nothing on the device
	Resized    bool     // the ring was made for a device of another size
}

var (
	// ErrReadOnly: the ring was opened to be looked at.
	ErrReadOnly = errors.New("ring is open read-only")
	// ErrFull: the entries would not fit. Forget some, or make the device larger.
	ErrFull = errors.New("ring is full")
	// ErrWornOut: no segment takes the data any more. What is there can be read.
	ErrWornOut = errors.New("ring is worn out")
	// ErrForeign: something else is on the device, and was left alone.
	ErrForeign = errors.New("not a ring")
	// ErrGeometry: the device has too few erase blocks, or too small ones.
	ErrGeometry = errors.New("device does not suit a ring")
	// ErrEntry: the key is empty, or longer than MaxKey, or the value is longer
	// than MaxValue.
	ErrEntry = errors.New("no entry for a ring")
)

// A Ring is a durable map. It is safe for concurrent use.
type Ring struct {
	dev        Device
	rules      rules
	readOnly   bool
	segments   int
	size       int // octets of a segment
	headerSize int

	mu       sync.Mutex
	live     map[string]*list.Element // of Entry
	order    *list.List               // of Entry, the earliest changed first
	bytes    int                      // octets that the live records take
	current  *segment                 // the one that tells the story; nil if none does yet
	end      int                      // its first octet that is blank
	moving   bool                     // current must not be appended to: it may have a torn end, or a rival
	proven   bool                     // current is certain to be whole
	sequence uint64                   // the highest ever used
	erases   []uint32
	lost     []bool     // segments that failed since Open
	found    []*segment // what is on the device
	rings    []extent   // where segments of other divisions say that their rings are
	written  int64
	used     int64
	skipped  int
	blank    bool
	resized  bool
}

// rules are what the ring has learnt. Only tests change them, to show what each
// is good for.
type rules struct {
	segments    int  // at most
	commit      bool // only a segment with a commit record is believed
	commitFirst bool // the commit record stands before the snapshot
	append      bool // Put goes on where the last power cycle ended
	eraseBest   bool // the first Put erases the segment that Open has read
	blind       bool // nothing is read back
}

var shipped = rules{segments: 4, commit: true}

// fewest is how many segments a ring needs.
const fewest = 3

// Open reads the ring on dev and writes nothing: the first Put does. A blank
// device is an empty ring. It returns ErrForeign if there is something else on
// the device, ErrGeometry if the device is too small; on any other error it
// could not be read.
func Open(dev Device) (*Ring, error) { return open(dev, shipped) }

// OpenReadOnly is Open for a ring that takes no Put. While another process
// writes to dev, it may see the ring as it was a moment ago.
func OpenReadOnly(dev Device) (*Ring, error) {
	r, err := Open(dev)
	if err != nil {
		return nil, err
	}
	r.readOnly = true
	return r, nil
}

func open(dev Device, rules rules) (*Ring, error) {
	r, err := newRing(dev, rules)
	if err != nil {
		return nil, err
	}
	if err := r.load(); err != nil {
		return nil, err
	}
	return r, nil
}

// Format makes an empty ring on dev, whatever there was. The erase counts of an
// earlier ring are kept.
func Format(dev Device) error {
	r, err := newRing(dev, shipped)
	if err != nil {
		return err
	}
	if err := r.load(); err != nil && !errors.Is(err, ErrForeign) {
		return err
	}
	r.current = nil
	r.proven = true
	if err := r.moveAnywhere(list.New()); err != nil {
		return err
	}
	for i := range r.segments {
		if s := r.slot(i); i != r.current.index && !r.isBlank(s) {
			r.erase(s) // one that fails holds an older story, which nobody believes
		}
	}
	return nil
}

func (r *Ring) isBlank(s *segment) bool {
	b := make([]byte, s.size)
	return r.read(b, s.off) == nil && blank(b)
}

// Size returns the octets of a device, in erase blocks of blockSize, on which n
// keys have room whose records have at most maxRecord octets of key and value.
func Size(n, maxRecord, blockSize int) int64 {
	need := 2 * (headerSize(shipped.segments) + commitSize + n*recordSize(maxRecord, 0))
	blocks := (max(need, minSegment) + blockSize - 1) / blockSize
	return int64(shipped.segments) * int64(blocks) * int64(blockSize)
}

// minSegment is the smallest segment, in octets.
const minSegment = 256

func newRing(dev Device, rules rules) (*Ring, error) {
	n := min(rules.segments, dev.Blocks())
	if n < min(fewest, rules.segments) {
		n = rules.segments
	}
	size := dev.Blocks() / n * dev.BlockSize()
	if size < minSegment || dev.BlockSize()%align != 0 {
		return nil, fmt.Errorf("%w: erase blocks of %[3]d octets: %[2]d; it takes %[4]d segments of at least %[5]d octets",
			ErrGeometry, dev.Blocks(), dev.BlockSize(), fewest, minSegment)
	}
	return &Ring{
		dev: dev, rules: rules, segments: n, size: size, headerSize: headerSize(n),
		live: map[string]*list.Element{}, order: list.New(), moving: true,
		erases: make([]uint32, n), lost: make([]bool, n),
	}, nil
}

// load replays the best segment.
func (r *Ring) load() error {
	best, err := r.scan()
	if err != nil {
		return err
	}
	r.countErases()
	for _, s := range r.found {
		r.sequence = max(r.sequence, s.header.sequence)
		if best == nil && s.marked && !s.nascent {
			r.skipped += max(1, len(s.damaged))
		}
	}
	if best == nil {
		r.blank = r.skipped == 0
		return nil
	}
	for _, rec := range best.story {
		r.apply(r.order, r.live, Entry{rec.key, rec.entryValue()})
	}
	r.bytes = r.sizeOf(r.order)
	r.current, r.proven = best, best.proven
	r.skipped = len(best.damaged)
	for _, s := range r.found {
		if s != best && s.committed && s.header.sequence > best.header.sequence {
			r.skipped += max(1, len(s.damaged)) // it was newer, and is not whole any more
		}
	}
	r.moving = !r.rules.append
	best.forget()
	r.end = best.fill
	return nil
}

// Get returns a copy of the value of key.
func (r *Ring) Get(key string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.live[key]
	if !ok {
		return nil, false
	}
	return bytes.Clone(e.Value.(Entry).Value), true
}

// All yields the keys and copies of their values as they are when the loop
// begins, in the order of their last change, the earliest first. The loop may
// use the ring.
func (r *Ring) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, e := range r.entries() {
			if !yield(e.Key, bytes.Clone(e.Value)) {
				return
			}
		}
	}
}

func (r *Ring) entries() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Entry, 0, r.order.Len())
	for e := r.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(Entry))
	}
	return all
}

// Check reports whether the segment in use still begins as it was found, or made.
func (r *Ring) Check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		return nil
	}
	b := make([]byte, r.current.headerSize)
	if err := r.read(b, r.current.off); err != nil {
		return err
	}
	if h, _, ok := parseHeader(b); !ok || h.sequence != r.current.header.sequence {
		return r.at(r.current.off, "check", errReadBack)
	}
	return nil
}

// Stats returns the figures of the ring.
func (r *Ring) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Stats{
		Records: r.order.Len(), LiveBytes: r.bytes, Capacity: r.capacity(), Segment: r.size,
		Programmed: r.written, Used: r.used, Erases: append([]uint32(nil), r.erases...),
		Skipped: r.skipped, Blank: r.blank, Resized: r.resized,
	}
	if r.current != nil {
		st.Sequence = r.current.header.sequence
	}
	for _, lost := range r.lost {
		if lost {
			st.Bad++
		}
	}
	return st
}

// capacity keeps a snapshot, with all that stands around it, within half of a
// segment.
func (r *Ring) capacity() int { return r.size/2 - r.headerSize - commitSize }
