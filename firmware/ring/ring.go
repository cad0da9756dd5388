// Package ring is a small durable map on erase blocks: the lease ring.
//
// It is made for values that are few, small and seldom changed, on NOR flash
// whose power may fail at any instant. It is not a file system and not a log:
// it keeps the last value of every key and nothing else. It reads no clock,
// starts no goroutine and knows neither DHCP nor files.
//
// # Format
//
// The device is divided into three segments of whole erase blocks, of equal
// size. One segment tells the whole story; the others are older versions of it,
// or blank.
//
//	segment
//	+--------+----------+----------+-----+--------+-------+-------+-----+------+
//	| header | record   | record   | ... | commit | batch | batch | ... | 0xff |
//	+--------+----------+----------+-----+--------+-------+-------+-----+------+
//	          `------- snapshot --------'          `---- appended -----'
//
//	header
//	 0        8         10         12     16         24           24+4n    28+4n
//	+--------+---------+----------+------+----------+------------+--------+----+
//	| magic  | version | segments | size | sequence | erases * n | CRC-32C| pad|
//	+--------+---------+----------+------+----------+------------+--------+----+
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
// the erases of every segment so far, this latest one included.
//
// Open believes the segment with the highest sequence that has a commit record,
// replays it, and copies it forward into another segment, freshly erased,
// before it promises anything: what a power cut has torn may read as valid now
// and as garbage at the next boot, and then nothing may have been promised on
// its strength. That takes a third segment, because the second may turn out to
// be torn as well.
//
// # Promises
//
//  1. Nothing acknowledged is lost. When Put returns nil, the values survive a
//     power cut at any later instant, also one during the recovery from an
//     earlier cut. Should every torn bit always read at its worst, the ring
//     still stands one cut fewer in a row, without one Open getting through in
//     between, than it has good segments: two with three.
//  2. All or nothing. After a cut, an entry of a Put that did not return has
//     its old value or its new one, and no entry survives without those before
//     it in its batch.
//  3. Program once. Only octets that were erased since Open are programmed,
//     each once, and within an erase block in ascending order.
//  4. Even wear. The erase counts of the segments differ by at most 1. An Open
//     that is cut off may add 1, since it must not touch the story. Later erases
//     make up for that, unless the cut came before the count was written down.
//  5. Write amplification is at most 2: a snapshot takes at most half of a
//     segment, and Put returns ErrFull rather than go beyond that. Open refuses
//     a device on which that leaves no room.
//  6. Silence is free. Put programs nothing for a value that is already there.
//  7. Erases are few: at most one segment for every Open, and one for every
//     half segment of changes.
//  8. (Reserved for the budget for new keys.)
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
	Programmed int64    // octets programmed since Open
	Erases     []uint32 // of each segment, over its life
	Sequence   uint64   // of the segment in use
	Skipped    int      // damaged records that were left out
	Bad        int      // segments that no longer hold data
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
	size       int // octets of a segment
	headerSize int

	mu       sync.Mutex
	live     map[string]*list.Element // of Entry
	order    *list.List               // of Entry, the earliest changed first
	bytes    int                      // octets that the live records take
	current  int                      // the segment that tells the story; -1 if none does yet
	end      int                      // its first octet that is blank
	moving   bool                     // current must not be appended to: it may have a torn end, or a rival
	proven   bool                     // current is certain to be whole
	sequence uint64                   // the highest ever used
	inUse    uint64                   // that of current
	erases   []uint32
	lost     []bool // segments that failed since Open
	segments []*segment
	written  int64
	skipped  int
}

// rules are what the ring has learnt. Only tests change them, to show what each
// is good for.
type rules struct {
	segments    int
	commit      bool // only a segment with a commit record is believed
	commitFirst bool // the commit record stands before the snapshot
	append      bool // Open goes on where the last one ended
	eraseBest   bool // Open erases the segment that it has just read
	blind       bool // nothing is read back
}

var shipped = rules{segments: 3, commit: true}

// Open reads the ring on dev and moves it to a fresh segment. A blank device
// becomes an empty ring. It returns ErrForeign if there is something else on
// the device, ErrGeometry if the device is too small, and ErrWornOut if no
// segment takes the data, which OpenReadOnly can still read. On any other error
// the device could not be read.
func Open(dev Device) (*Ring, error) { return open(dev, shipped) }

// OpenReadOnly reads the ring on dev and changes nothing. While another process
// writes to dev, it may see the ring as it was a moment ago.
func OpenReadOnly(dev Device) (*Ring, error) {
	r, err := newRing(dev, shipped)
	if err != nil {
		return nil, err
	}
	r.readOnly = true
	if err := r.load(); err != nil {
		return nil, err
	}
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
	if rules.append && r.current >= 0 {
		return r, nil
	}
	if rules.eraseBest && r.current >= 0 {
		err = r.move(r.current, r.order)
	} else {
		err = r.moveAnywhere(r.order)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
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
	size := dev.Blocks() / rules.segments * dev.BlockSize()
	if size < minSegment || dev.BlockSize()%align != 0 {
		return nil, fmt.Errorf("%w: %d erase blocks of %d octets; it takes %d segments of at least %d octets",
			ErrGeometry, dev.Blocks(), dev.BlockSize(), rules.segments, minSegment)
	}
	return &Ring{
		dev: dev, rules: rules, size: size, headerSize: headerSize(rules.segments),
		live: map[string]*list.Element{}, order: list.New(), current: -1, moving: true,
		erases: make([]uint32, rules.segments), lost: make([]bool, rules.segments),
	}, nil
}

// load replays the best segment.
func (r *Ring) load() error {
	all, best, err := r.scan()
	if err != nil {
		return err
	}
	r.segments = all
	r.countErases(all)
	for _, s := range all {
		r.sequence = max(r.sequence, s.header.sequence)
		if best == nil && s.marked && !s.nascent {
			r.skipped += max(1, s.skipped)
		}
	}
	if best == nil {
		return nil
	}
	for _, rec := range best.story {
		r.apply(r.order, r.live, Entry{rec.key, rec.entryValue()})
	}
	r.bytes = r.sizeOf(r.order)
	r.current, r.inUse, r.proven = best.index, best.header.sequence, best.proven
	r.skipped = best.skipped
	r.end = best.end(r.headerSize)
	r.moving = !r.rules.append
	best.story, best.body = nil, nil
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

// Stats returns the figures of the ring.
func (r *Ring) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	bad := 0
	for _, lost := range r.lost {
		if lost {
			bad++
		}
	}
	return Stats{
		Records: r.order.Len(), LiveBytes: r.bytes, Capacity: r.capacity(),
		Programmed: r.written, Erases: append([]uint32(nil), r.erases...),
		Sequence: r.inUse, Skipped: r.skipped, Bad: bad,
	}
}

// capacity keeps a snapshot, with all that stands around it, within half of a
// segment.
func (r *Ring) capacity() int { return r.size/2 - r.headerSize - commitSize }
