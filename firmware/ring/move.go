package ring

import (
	"cmp"
	"container/list"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

var (
	errNoRoom   = errors.New("the segment has no room")
	errReadBack = errors.New("reads back otherwise")
)

// programChunk is how many octets of a snapshot are programmed at once.
const programChunk = 4 << 10

// moveAnywhere tells the whole story in a fresh segment, and tries them all
// until one takes it.
func (r *Ring) moveAnywhere(order *list.List) error {
	// A segment that fails late may be found whole by the next Open. From here
	// on, only a newer one may be promised upon.
	r.moving = true
	var failed []error
	for _, i := range r.targets() {
		err := r.move(i, order)
		if err == nil {
			return nil
		}
		r.lost[i] = true
		failed = append(failed, fmt.Errorf("segment %d: %w", i, err))
	}
	return fmt.Errorf("%w: %w", ErrWornOut, errors.Join(append(failed, errNoTarget(len(failed)))...))
}

// errNoTarget explains a failure that has no other cause.
func errNoTarget(failed int) error {
	if failed > 0 {
		return nil
	}
	return errors.New("no other segment is good")
}

// targets returns the segments that may be erased, the one to take first: that
// with the fewest erases, and among equals the one without a story, then the
// oldest. As long as the one in use may prove to be torn, age comes before wear,
// for any of the others may be what is fallen back to.
func (r *Ring) targets() []int {
	if r.rules.eraseBest && r.current != nil && r.written == 0 {
		return []int{r.current.index}
	}
	var free []int
	for i := range r.segments {
		if !r.lost[i] && !r.slot(i).overlaps(r.current) {
			free = append(free, i)
		}
	}
	torn := !r.proven && r.current != nil // perhaps
	slices.SortStableFunc(free, func(a, b int) int {
		wear, age := cmp.Compare(r.erases[a], r.erases[b]), cmp.Compare(r.ageOf(a), r.ageOf(b))
		if torn {
			return cmp.Or(age, wear)
		}
		return cmp.Or(wear, age)
	})
	return free
}

// ageOf returns the age of the newest story in slot i.
func (r *Ring) ageOf(i int) (age uint64) {
	for _, s := range r.foundIn(i) {
		age = max(age, s.age())
	}
	return age
}

// foundIn returns what is on the device where slot i is.
func (r *Ring) foundIn(i int) (in []*segment) {
	for _, s := range r.found {
		if s.overlaps(r.slot(i)) {
			in = append(in, s)
		}
	}
	return in
}

// slot returns segment i of the division of this device, as if it were blank.
func (r *Ring) slot(i int) *segment {
	return &segment{index: i, off: int64(i) * int64(r.size), size: r.size, headerSize: r.headerSize}
}

// age is the sequence of a segment that tells a story, and 0 for any other.
func (s *segment) age() uint64 {
	if !s.committed {
		return 0
	}
	return s.header.sequence
}

// overlaps reports whether two segments, of which one may be of an earlier
// division of the device, share octets.
func (s *segment) overlaps(o *segment) bool {
	return o != nil && s.off < o.off+int64(o.size) && o.off < s.off+int64(s.size)
}

// move erases segment i and tells the story there. It is the segment in use
// when nil is returned.
func (r *Ring) move(i int, order *list.List) error {
	r.sequence++
	s := r.slot(i)
	if r.current != nil {
		r.used += int64(r.current.size - r.end)
		r.end = r.current.size
	}
	r.used += int64(r.size) // unless it works
	if err := r.erase(s); err != nil {
		return err
	}
	s.header = header{index: i, size: uint32(r.size), sequence: r.sequence, erases: slices.Clone(r.erases), bare: r.bare(i)}
	w := &writer{r: r, at: s.off, off: s.off}
	w.program(s.header.append(nil))
	if r.rules.commitFirst {
		w.program(commitRecord(0, 0).append(nil, seed(r.sequence)))
	}
	count, sum := w.snapshot(order, seed(r.sequence))
	if r.rules.commit && !r.rules.commitFirst {
		w.program(commitRecord(count, sum).append(nil, seed(r.sequence)))
	}
	if w.err != nil {
		return w.err
	}
	s.headed, s.committed = true, true
	r.replace(s)
	r.current, r.end = s, int(w.off-s.off)
	r.used -= int64(r.size - r.end)
	r.moving, r.proven = false, true
	return nil
}

// bare says which segments have no header, but for the one that is to get one.
func (r *Ring) bare(but int) []bool {
	bare := slices.Repeat([]bool{true}, r.segments)
	bare[but] = false
	for _, s := range r.found {
		if s.headed && s.index >= 0 {
			bare[s.index] = false
		}
	}
	return bare
}

// replace notes that s is now where something else was.
func (r *Ring) replace(s *segment) {
	r.found = append(slices.DeleteFunc(r.found, s.overlaps), s)
}

// A writer programs one piece after another, up to the first error.
type writer struct {
	r   *Ring
	at  int64 // where the segment begins
	off int64
	err error
}

func (w *writer) program(b []byte) {
	if w.err != nil || len(b) == 0 {
		return
	}
	w.err = w.r.program(b, w.off)
	w.off += int64(len(b))
}

// snapshot programs a record for every entry, and returns what the commit
// record has to say about them.
func (w *writer) snapshot(order *list.List, key uint32) (count int, sum uint32) {
	var b []byte
	for e := order.Front(); e != nil && w.err == nil; e = e.Next() {
		start, records := len(b), 0
		b, records = w.r.place(b, int(w.off-w.at), recordOf(e.Value.(Entry)), key)
		sum = crc32.Update(sum, castagnoli, b[start:])
		count += records
		if len(b) >= programChunk {
			w.program(b)
			b = b[:0]
		}
	}
	w.program(b)
	return count, sum
}

// erase erases all blocks of a segment, the one with the header first, so that
// what a power cut leaves is soon no story at all.
func (r *Ring) erase(s *segment) error {
	r.replace(s)
	r.erases[s.index]++
	blockSize := r.dev.BlockSize()
	from := int(s.off / int64(blockSize))
	b := make([]byte, blockSize)
	for n := from; n < from+r.size/blockSize; n++ {
		if err := r.eraseBlock(n, b); err != nil {
			return fmt.Errorf("erase block %d: %w", n, err)
		}
	}
	return nil
}

// eraseBlock erases a block and reads it back into b.
func (r *Ring) eraseBlock(n int, b []byte) error {
	if err := r.dev.Erase(n); err != nil || r.rules.blind {
		return err
	}
	if err := r.read(b, int64(n)*int64(len(b))); err != nil {
		return err
	}
	if slices.ContainsFunc(b, func(c byte) bool { return c != 0xff }) {
		return errReadBack
	}
	return nil
}

// program programs b and reads it back.
func (r *Ring) program(b []byte, off int64) error {
	if err := r.dev.Program(b, off); err != nil {
		return r.at(off, "program", err)
	}
	r.written += int64(len(b))
	if r.rules.blind {
		return nil
	}
	back := make([]byte, len(b))
	if err := r.read(back, off); err != nil {
		return err
	}
	if !slices.Equal(back, b) {
		return r.at(off, "program", errReadBack)
	}
	return nil
}

func (r *Ring) read(b []byte, off int64) error {
	if n, err := r.dev.ReadAt(b, off); n < len(b) {
		return r.at(off, "read", err)
	}
	return nil
}

func (r *Ring) at(off int64, what string, err error) error {
	return fmt.Errorf("%s erase block %d, offset %#x: %w", what, off/int64(r.dev.BlockSize()), off, err)
}

// checksum is that of a snapshot.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
