package ring

// A Finding is what was found at one place of a device.
type Finding struct {
	Off      int64
	Size     int     // octets
	What     string  // for people
	Sequence uint64  // 0: there is no ring's header
	Records  int     // in all that is readable of the story
	Fill     int     // octets up to the last that is not blank
	Damaged  []int64 // where records are damaged
}

// Inspect says what stands in every segment of a device, and changes nothing.
// With the findings it returns what Open would return.
func Inspect(dev Device) ([]Finding, error) {
	r, err := newRing(dev, shipped)
	if err != nil {
		return nil, err
	}
	err = r.load()
	var all []Finding
	for _, s := range r.found {
		f := Finding{Off: s.off, Size: s.size, What: r.describe(s), Sequence: s.header.sequence, Records: s.records, Fill: s.fill}
		for _, at := range s.damaged {
			f.Damaged = append(f.Damaged, s.off+int64(s.headerSize+at))
		}
		all = append(all, f)
	}
	return all, err
}

func (r *Ring) describe(s *segment) string {
	switch {
	case s == r.current && s.index < 0:
		return "in use, made for a device of another size"
	case s == r.current:
		return "in use"
	case s.alien:
		return "of a ring for a device of another size"
	case s.headed && s.committed:
		return "older"
	case s.headed:
		return "torn: no commit record"
	case s.blank:
		return "blank"
	case s.marked:
		return "torn: no header"
	case s.nascent || s.zeroed:
		return "torn: cut off while it was made"
	}
	return "something else, or torn in the middle of an erase"
}
