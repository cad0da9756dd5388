package ring

import (
	"fmt"
	"slices"
)

// A segment is what one segment was found to hold.
type segment struct {
	index      int   // -1: it is of another division of the device
	off        int64 // where it begins
	size       int
	headerSize int
	header     header
	body       []byte // what follows the header

	headed    bool // the header is readable
	committed bool // and so is the commit record
	intact    bool // the snapshot is, octet for octet, what was committed
	proven    bool // something follows the commit record, so its program got through
	blank     bool
	marked    bool  // the magic stands there
	alien     bool  // under it is the header of another division
	nascent   bool  // it may be blank but for what the cut of a first format left
	zeroed    bool  // it may be blank but for what the cut of a first erase left
	damaged   []int // where in the body records are damaged
	records   int   // of the story
	fill      int   // octets up to the last that is not blank
	story     []record
}

// forget lets go of what is needed of the best segment only.
func (s *segment) forget() {
	s.records, s.fill = len(s.story), s.end()
	s.story, s.body = nil, nil
}

// better reports whether s is to be believed rather than o. A snapshot that was
// damaged is believed only if it was certainly whole once: a segment whose
// erase was cut off can look like that.
func (s *segment) better(o *segment) bool {
	if o == nil {
		return true
	}
	if a, b := s.intact || s.proven, o.intact || o.proven; a != b {
		return a
	}
	return s.header.sequence > o.header.sequence
}

// scan reads every segment once, notes what it finds, and returns the best one.
func (r *Ring) scan() (best *segment, err error) {
	buffers := &pair{}
	aliens := r.dev.Blocks()%r.segments != 0 // there may be a ring of another division
	for i := range r.segments {
		s := r.slot(i)
		b := buffers.spare(s.size)
		if err := r.read(b, s.off); err != nil {
			return nil, err
		}
		if err := r.examine(s, b); err != nil {
			return nil, err
		}
		r.found = append(r.found, s)
		aliens = aliens || s.alien
		if s.headed && (s.committed || !r.rules.commit) && s.better(best) {
			best = buffers.keep(s, best)
		} else {
			s.forget()
		}
	}
	if best == nil || aliens {
		if best, err = r.scanAliens(best, buffers); err != nil {
			return nil, err
		}
	}
	switch {
	case r.natural():
		return best, nil
	case best == nil && !ours(r.found):
		return nil, r.foreign(0)
	case best == nil && len(r.rings) == 0:
		return nil, nil
	}
	if ok, err := r.alone(); !ok {
		return nil, err
	}
	return best, nil
}

// natural reports whether there is a segment of this device's division.
func (r *Ring) natural() bool {
	return slices.ContainsFunc(r.found, func(s *segment) bool { return s.index >= 0 && s.marked && !s.alien })
}

// alone reports whether there is nothing on the device outside the ring of another
// division that was found: where it was told a place that is too large, it must
// not spread over what else is there.
func (r *Ring) alone() (bool, error) {
	b := make([]byte, r.dev.BlockSize())
	for n := range r.dev.Blocks() {
		off := int64(n) * int64(len(b))
		if slices.ContainsFunc(r.rings, func(e extent) bool { return e.from <= off && off < e.to }) {
			continue
		}
		if err := r.read(b, off); err != nil {
			return false, err
		}
		if !blank(b) && !zeroed(b, len(b)) && !nascent(b, r.headerSize) {
			return false, r.foreign(off)
		}
	}
	return true, nil
}

// An extent is where a segment says that its ring is.
type extent struct{ from, to int64 }

// scanAliens looks at every erase block for a segment of a ring that was made
// for a device of another size. What is not certain to be whole does not count.
func (r *Ring) scanAliens(best *segment, buffers *pair) (*segment, error) {
	blockSize := int64(r.dev.BlockSize())
	total := blockSize * int64(r.dev.Blocks())
	head := make([]byte, min(headerSize(maxSegments), int(blockSize)))
	for off := int64(0); off < total; off += blockSize {
		if err := r.read(head, off); err != nil {
			return nil, err
		}
		h, ver, ok := parseHeader(head)
		if !ok || ver != version || r.isNatural(h, off) {
			continue
		}
		begin := off - int64(h.index)*int64(h.size)
		r.rings = append(r.rings, extent{begin, begin + int64(len(h.erases))*int64(h.size)})
		if int64(h.size) > total-off {
			continue
		}
		s := &segment{index: -1, off: off, size: int(h.size), headerSize: headerSize(len(h.erases))}
		b := buffers.spare(s.size)
		if err := r.read(b, s.off); err != nil {
			return nil, err
		}
		s.header, s.headed, s.body = h, true, b[s.headerSize:]
		s.read()
		if s.committed && (s.intact || s.proven) {
			r.found = append(r.found, s)
			if s.better(best) {
				best, r.resized = buffers.keep(s, best), true
				continue
			}
		}
		s.forget()
	}
	return best, nil
}

// A pair is the two buffers that a scan needs: one for the best story so far,
// and one for the next.
type pair struct{ best, next []byte }

func (p *pair) spare(size int) []byte {
	if cap(p.next) < size {
		p.next = make([]byte, size)
	}
	return p.next[:size]
}

// keep has s stay as it is in its buffer, in place of old.
func (p *pair) keep(s, old *segment) *segment {
	p.best, p.next = p.next, p.best
	if old != nil {
		old.forget()
	}
	return s
}

// isNatural reports whether h, found at off, is of the division that is used on
// this device.
func (r *Ring) isNatural(h header, off int64) bool {
	return int(h.size) == r.size && len(h.erases) == r.segments && int64(h.index)*int64(r.size) == off
}

func (r *Ring) examine(s *segment, b []byte) error {
	h, ver, ok := parseHeader(b)
	s.blank = blank(b)
	s.marked = string(b[:len(magic)]) == magic
	s.nascent = nascent(b, r.headerSize)
	s.zeroed = zeroed(b, r.dev.BlockSize())
	switch {
	case !ok:
		return nil
	case ver != version:
		return fmt.Errorf("segment %d: %w that we know: it is of version %d", s.index, ErrForeign, ver)
	case !r.isNatural(h, s.off):
		s.alien = true
		return nil
	}
	s.header, s.headed, s.body = h, true, b[r.headerSize:]
	if r.rules.commitFirst || !r.rules.commit {
		s.readLoose()
	} else {
		s.read()
	}
	return nil
}

// read takes the snapshot, the commit record and what was appended.
func (s *segment) read() {
	key := seed(s.header.sequence)
	off := 0
	for off < len(s.body) {
		if blank(s.body[off:min(off+recordHeader, len(s.body))]) {
			return // a snapshot has no gaps
		}
		rec, size, ok := parseRecord(s.body[off:], key)
		switch {
		case !ok:
			next, found := nextRecord(s.body, off+align, key, 0)
			if !found {
				return
			}
			s.damaged = append(s.damaged, off)
			off = next
			continue
		case rec.kind == kindCommit:
			s.committed = true
			s.intact = string(s.body[off:off+size]) == string(commitRecord(len(s.story), checksum(s.body[:off])).append(nil, key))
			s.readAppended(off+size, key)
			return
		}
		s.story = append(s.story, rec)
		off += size
	}
}

// readAppended takes the batches after the commit record. The last one may be
// torn: it ends there, so that no entry survives without those before it. A
// batch that another follows was whole once, and what is damaged in it now is
// left out alone.
func (s *segment) readAppended(off int, key uint32) {
	later := 0 // where a batch begins
	for off < len(s.body) {
		rec, size, ok := parseRecord(s.body[off:], key)
		if ok && rec.kind != kindCommit {
			s.proven = true
			s.story = append(s.story, rec)
			off += size
			continue
		}
		if later <= off {
			var found bool
			if n, whole := claimed(s.body[off:]); whole && (off+n+recordHeader > len(s.body) || blank(s.body[off+n:off+n+recordHeader])) {
				return // the last one, torn: what stands in it is no batch
			}
			if later, found = nextRecord(s.body, off+align, key, first); !found {
				return
			}
		}
		s.damaged = append(s.damaged, off)
		off, _ = nextRecord(s.body, off+align, key, 0)
	}
}

// end returns the place after the last octet that is not blank.
func (s *segment) end() int {
	n := len(s.body)
	for n > 0 && s.body[n-1] == 0xff {
		n--
	}
	return padded(s.headerSize + n)
}

// nextRecord finds the next record from off on, and if first is asked for, the
// next that begins a batch.
func nextRecord(b []byte, off int, key uint32, mark kind) (int, bool) {
	for ; off < len(b); off += align {
		rec, _, ok := parseRecord(b[off:], key)
		if ok && rec.kind&mark == mark {
			return off, true
		}
	}
	return 0, false
}

// readLoose takes what records there are. It is how a ring would read that had
// not learnt its lessons; see the mutants in the tests.
func (s *segment) readLoose() {
	key := seed(s.header.sequence)
	for off := 0; off < len(s.body); {
		rec, size, ok := parseRecord(s.body[off:], key)
		if !ok {
			return
		}
		off += size
		if rec.kind == kindCommit {
			s.committed, s.intact = true, true
			continue
		}
		s.story = append(s.story, rec)
	}
}

// ours reports whether the device may be written to: there is a magic of ours
// on it, or it is blank, or its first format was cut off.
func ours(all []*segment) bool {
	spare := false
	for _, s := range all {
		if s.marked {
			return true
		}
		spare = spare || s.blank
	}
	for _, s := range all {
		if !s.nascent && !(s.zeroed && spare) {
			return false
		}
	}
	return true
}

// nascent reports whether b may be what a power cut left of a first format:
// nothing but some of the bits of a header and a commit record.
func nascent(b []byte, headerSize int) bool {
	for i := range len(magic) {
		if b[i]&magic[i] != magic[i] {
			return false
		}
	}
	return blank(b[headerSize+commitSize:])
}

// zeroed reports whether b may be what a power cut left of the first erase: one
// block with nothing but zeros, which is how an erase begins, and octets that
// it had done with.
func zeroed(b []byte, blockSize int) bool {
	odd := func(c byte) bool { return c != 0 && c != 0xff }
	used := 0
	for block := range slices.Chunk(b, blockSize) {
		if !blank(block) {
			used++
		}
	}
	return used == 1 && !slices.ContainsFunc(b, odd)
}

// countErases takes the erase counts from the headers. A segment whose header
// is gone was erased once more than was written down, unless it was written down
// after that. What was counted for another division holds for each segment of
// this one.
func (r *Ring) countErases() {
	newest := header{bare: make([]bool, r.segments)}
	for _, s := range r.found {
		if s.index >= 0 && s.headed && s.header.sequence >= newest.sequence {
			newest = s.header
		}
		for i := range r.erases {
			if s.index < 0 {
				r.erases[i] = max(r.erases[i], slices.Max(s.header.erases))
			} else if s.headed {
				r.erases[i] = max(r.erases[i], s.header.erases[i])
			}
		}
	}
	for _, s := range r.found {
		if i := s.index; i >= 0 && !s.headed && !s.alien && !newest.bare[i] && (!s.blank || r.erases[i] > 0) {
			r.erases[i]++
		}
	}
}

// claimed is how long the record at the beginning of b says it is.
func claimed(b []byte) (n int, ok bool) {
	if len(b) < recordHeader {
		return 0, false
	}
	k, v := int(b[5]), int(b[6])|int(b[7])<<8
	n = recordSize(k, v)
	return n, n <= len(b) && kind(b[4]).fits(k, v)
}
