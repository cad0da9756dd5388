package ring

import (
	"fmt"
	"slices"
)

// A segment is what one segment was found to hold.
type segment struct {
	index  int
	header header
	body   []byte // what follows the header

	headed    bool // the header is readable
	committed bool // and so is the commit record
	intact    bool // the snapshot is, octet for octet, what was committed
	proven    bool // something follows the commit record, so its program got through
	blank     bool
	marked    bool // the magic stands there
	nascent   bool // it may be blank but for what the cut of a first format left
	zeroed    bool // it may be blank but for what the cut of a first erase left
	skipped   int  // damaged records
	story     []record
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

// scan reads every segment once and returns them all. Only the best one, if
// there is any, keeps its story.
func (r *Ring) scan() (all []*segment, best *segment, err error) {
	for i := range r.rules.segments {
		b := make([]byte, r.size)
		if err := r.read(b, r.offset(i)); err != nil {
			return nil, nil, err
		}
		s, err := r.examine(i, b)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, s)
		drop := s
		if s.headed && (s.committed || !r.rules.commit) && s.better(best) {
			best, drop = s, best
		}
		if drop != nil {
			drop.story, drop.body = nil, nil
		}
	}
	if !ours(all) {
		return nil, nil, r.foreign()
	}
	return all, best, nil
}

func (r *Ring) examine(i int, b []byte) (*segment, error) {
	s := &segment{index: i, blank: blank(b)}
	h, ver, ok := parseHeader(b)
	s.marked = string(b[:len(magic)]) == magic
	s.nascent = nascent(b, r.headerSize)
	s.zeroed = zeroed(b, r.dev.BlockSize())
	if !ok {
		return s, nil
	}
	if ver != version {
		return nil, fmt.Errorf("segment %d: %w that we know: it is of version %d", i, ErrForeign, ver)
	}
	if int(h.size) != r.size || len(h.erases) != r.rules.segments {
		return nil, fmt.Errorf("segment %d: %w of this size: it has %d segments of %d octets", i, ErrForeign, len(h.erases), h.size)
	}
	s.header, s.headed, s.body = h, true, b[r.headerSize:]
	if r.rules.commitFirst || !r.rules.commit {
		s.readLoose()
	} else {
		s.read()
	}
	return s, nil
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
			s.skipped++
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
			if later, found = nextRecord(s.body, off+align, key, first); !found {
				return
			}
		}
		s.skipped++
		off, _ = nextRecord(s.body, off+align, key, 0)
	}
}

// end returns the place after the last octet that is not blank.
func (s *segment) end(headerSize int) int {
	n := len(s.body)
	for n > 0 && s.body[n-1] == 0xff {
		n--
	}
	return padded(headerSize + n)
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

// foreign names the place of the first octet that is not blank.
func (r *Ring) foreign() error {
	b := make([]byte, r.size)
	for i := range r.rules.segments {
		if err := r.read(b, r.offset(i)); err != nil {
			return err
		}
		if n := slices.IndexFunc(b, func(c byte) bool { return c != 0xff }); n >= 0 {
			off := r.offset(i) + int64(n)
			return fmt.Errorf("erase block %d, offset %#x: %w and not blank", off/int64(r.dev.BlockSize()), off, ErrForeign)
		}
	}
	return ErrForeign
}

// countErases takes the erase counts from the headers. A segment whose header
// is gone was erased once more than anybody wrote down.
func (r *Ring) countErases(all []*segment) {
	for _, s := range all {
		for i, n := range s.header.erases {
			r.erases[i] = max(r.erases[i], n)
		}
	}
	for _, s := range all {
		if !s.headed && (!s.blank || r.erases[s.index] > 0) {
			r.erases[s.index]++
		}
	}
}
