package ring

import (
	"bytes"
	"container/list"
	"fmt"
)

// Put makes every change of the batch, in its order, and returns nil once all
// of them survive a power cut. What is already there is not written again, and
// a batch that fits into the segment in use is programmed at once.
//
// It returns ErrFull if the values would take more than Stats.Capacity octets,
// ErrEntry if one of them has no place in a ring, ErrWornOut if no segment
// accepts writes, and ErrReadOnly. On an error all old values stand, but after
// ErrWornOut the next Open may find some of the new ones.
func (r *Ring) Put(batch ...Entry) error {
	if len(batch) == 0 {
		return nil
	}
	if r.readOnly {
		return ErrReadOnly
	}
	if err := check(batch); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := r.changes(batch)
	if len(changes) == 0 && !r.moving {
		return nil
	}
	if err := r.room(changes); err != nil {
		return err
	}
	return r.keep(changes)
}

func check(batch []Entry) error {
	for _, e := range batch {
		if len(e.Key) == 0 || len(e.Key) > MaxKey || len(e.Value) > MaxValue {
			return fmt.Errorf("key of %d octets, value of %d: %w", len(e.Key), len(e.Value), ErrEntry)
		}
	}
	return nil
}

// changes returns those of the batch that change something, as copies.
func (r *Ring) changes(batch []Entry) []Entry {
	var changes []Entry
	soon := map[string][]byte{}
	for _, e := range batch {
		old, changed := soon[e.Key]
		if was, ok := r.live[e.Key]; ok && !changed {
			old = was.Value.(Entry).Value
		}
		if (old == nil) == (e.Value == nil) && bytes.Equal(old, e.Value) {
			continue
		}
		e.Value = bytes.Clone(e.Value)
		soon[e.Key] = e.Value
		changes = append(changes, e)
	}
	return changes
}

// room returns ErrFull unless the snapshot fits after every single change, for
// any of them may be the last to survive.
func (r *Ring) room(changes []Entry) error {
	size := r.bytes
	soon := map[string]int{}
	for _, e := range changes {
		old, changed := soon[e.Key]
		if was, ok := r.live[e.Key]; ok && !changed {
			old = sizeOf(was.Value.(Entry))
		}
		soon[e.Key] = sizeOf(e)
		size += soon[e.Key] - old
		if size > r.capacity() && soon[e.Key] > old {
			return fmt.Errorf("%w: %d octets would be in use, %d are to be had", ErrFull, size, r.capacity())
		}
	}
	return nil
}

// sizeOf returns the octets that an entry takes in a snapshot.
func sizeOf(e Entry) int {
	if e.Value == nil {
		return 0
	}
	return recordSize(len(e.Key), len(e.Value))
}

func (r *Ring) sizeOf(order *list.List) (n int) {
	for e := order.Front(); e != nil; e = e.Next() {
		n += sizeOf(e.Value.(Entry))
	}
	return n
}

// keep appends the changes to the segment in use. If they do not fit, or it
// does not take them, they go into the snapshot of another. Only what is
// durable gets into the map.
func (r *Ring) keep(changes []Entry) error {
	if !r.moving {
		err := r.append(changes)
		if err == nil {
			r.applyAll(changes)
			return nil
		}
		if err != errNoRoom {
			// What was programmed may be read at the next Open or not. Nothing
			// may be promised before a newer segment settles that.
			r.moving, r.lost[r.current.index] = true, true
		}
	}
	order := list.New()
	live := map[string]*list.Element{}
	for e := r.order.Front(); e != nil; e = e.Next() {
		r.apply(order, live, e.Value.(Entry))
	}
	for _, e := range changes {
		r.apply(order, live, e)
	}
	if err := r.moveAnywhere(order); err != nil {
		return err
	}
	r.order, r.live, r.bytes = order, live, r.sizeOf(order)
	return nil
}

func (r *Ring) applyAll(changes []Entry) {
	for _, e := range changes {
		if was, ok := r.live[e.Key]; ok {
			r.bytes -= sizeOf(was.Value.(Entry))
		}
		r.bytes += sizeOf(e)
		r.apply(r.order, r.live, e)
	}
}

// apply makes one change in a map and its order.
func (r *Ring) apply(order *list.List, live map[string]*list.Element, e Entry) {
	if was, ok := live[e.Key]; ok {
		order.Remove(was)
		delete(live, e.Key)
	}
	if e.Value != nil {
		live[e.Key] = order.PushBack(e)
	}
}

// append programs one batch at the end of the segment in use.
func (r *Ring) append(changes []Entry) error {
	key := seed(r.current.header.sequence)
	var b []byte
	for i, e := range changes {
		rec := recordOf(e)
		if i == 0 {
			rec.kind |= first
		}
		b, _ = r.place(b, r.end, rec, key)
	}
	if r.end+len(b) > r.size {
		return errNoRoom
	}
	if err := r.program(b, r.current.off+int64(r.end)); err != nil {
		return err
	}
	r.end += len(b)
	r.used += int64(len(b))
	r.proven = true
	return nil
}

// place appends a record to b, whose octets are for the offset at within a
// segment, and says of how many records it became part. No erase block inside a
// segment may begin as a segment does: what stands in a record is not ours, and
// Open may look for segments there. Where one would, a record that means nothing
// moves it on.
func (r *Ring) place(b []byte, at int, rec record, key uint32) ([]byte, int) {
	for n := 1; ; n++ {
		placed := rec.append(b, key)
		if !r.feigns(placed, at, len(b)) {
			return placed, n
		}
		filler := record{kind: kindForget | rec.kind&first, key: fillerKey}
		b, rec.kind = filler.append(b, key), rec.kind&^first
	}
}

// fillerKey is nobody's.
const fillerKey = "\x00"

// feigns reports whether a block that begins after b[from] looks like a segment.
// The octets of b are for the offset at within a segment.
func (r *Ring) feigns(b []byte, at, from int) bool {
	blockSize := r.dev.BlockSize()
	begin := (at + from + blockSize - 1) / blockSize * blockSize
	for off := begin - at; off < len(b); off += blockSize {
		if n := min(len(b)-off, len(magic)); n > 0 && string(b[off:off+n]) == magic[:n] {
			return true
		}
	}
	return false
}

func recordOf(e Entry) record {
	if e.Value == nil {
		return record{kind: kindForget, key: e.Key}
	}
	return record{kind: kindPut, key: e.Key, value: e.Value}
}

// entryValue returns a copy of what a record says about its key: nil if it is
// to be forgotten.
func (rec record) entryValue() []byte {
	if rec.kind&^first == kindForget {
		return nil
	}
	return append([]byte{}, rec.value...)
}
