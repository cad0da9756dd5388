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
// oldest. As long as the one in use may prove to be torn, the newest of the
// others stays out of it, unless nothing else is left.
func (r *Ring) targets() []int {
	var free []*segment
	for _, s := range r.segments {
		if s.index != r.current && !r.lost[s.index] {
			free = append(free, s)
		}
	}
	slices.SortFunc(free, func(a, b *segment) int {
		return cmp.Or(
			cmp.Compare(r.erases[a.index], r.erases[b.index]),
			cmp.Compare(a.age(), b.age()),
		)
	})
	if !r.proven && r.current >= 0 {
		if at := newest(free); at >= 0 {
			spare := free[at]
			free = append(slices.Delete(free, at, at+1), spare)
		}
	}
	var order []int
	for _, s := range free {
		order = append(order, s.index)
	}
	return order
}

// newest returns the place of the segment to fall back to, or -1.
func newest(free []*segment) int {
	at, age := -1, uint64(0)
	for i, s := range free {
		if s.age() > age {
			at, age = i, s.age()
		}
	}
	return at
}

// age is the sequence of a segment that tells a story, and 0 for any other.
func (s *segment) age() uint64 {
	if !s.committed {
		return 0
	}
	return s.header.sequence
}

// move erases segment i and tells the story there. It is the segment in use
// when nil is returned.
func (r *Ring) move(i int, order *list.List) error {
	r.sequence++
	if err := r.erase(i); err != nil {
		return err
	}
	h := header{size: uint32(r.size), sequence: r.sequence, erases: r.erases}
	w := &writer{r: r, off: r.offset(i)}
	w.program(h.append(nil))
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
	r.segments[i] = &segment{index: i, header: h, headed: true, committed: true}
	r.current, r.inUse, r.end = i, r.sequence, int(w.off-r.offset(i))
	r.moving, r.proven = false, true
	return nil
}

// A writer programs one piece after another, up to the first error.
type writer struct {
	r   *Ring
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
		start := len(b)
		b = recordOf(e.Value.(Entry)).append(b, key)
		sum = crc32.Update(sum, castagnoli, b[start:])
		count++
		if len(b) >= programChunk {
			w.program(b)
			b = b[:0]
		}
	}
	w.program(b)
	return count, sum
}

// erase erases all blocks of segment i, the one with the header first, so that
// what a power cut leaves is soon no story at all.
func (r *Ring) erase(i int) error {
	r.segments[i] = &segment{index: i}
	r.erases[i]++
	blockSize := r.dev.BlockSize()
	from := int(r.offset(i) / int64(blockSize))
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

func (r *Ring) offset(segment int) int64 { return int64(segment) * int64(r.size) }

// checksum is that of a snapshot.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
