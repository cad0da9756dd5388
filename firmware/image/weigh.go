package image

import (
	"fmt"
	"strings"
)

// Limits are what a board allows. Zero: no limit is known.
type Limits struct {
	Partition int64 // octets of the partition that the image is written to
	State     int64 // octets at its end that are kept for the leases
	Boot      int64 // octets that the boot loader reads
	Unpacked  int64 // octets to which it can unpack a kernel
}

// A Weight is what an image takes, and what there is room for.
type Weight struct {
	Items []Item   // in the order of the file; what they leave are headers
	Total int64    // octets of the file
	Room  int64    // octets that it may have; 0: no limit is known
	Over  []string // the limits that it exceeds, for people; none: it fits
}

// An Item is one part of an image that is not made of others, unless it is
// packed.
type Item struct {
	Name     string // the way to it: "uImage/kernel: LZMA"
	Off      int64
	Size     int64 // octets of the file
	Unpacked int64 // as of Layer
}

// Weigh compares an image with the limits of a board. The image has to be one
// that Inspect read.
func Weigh(image *Layer, lim Limits) Weight {
	w := Weight{Total: image.Size, Room: room(lim)}
	w.collect(image)
	if lim.Partition > 0 && lim.State > lim.Partition {
		w.Over = append(w.Over, fmt.Sprintf("the leases: %d octets of a partition of %d", lim.State, lim.Partition))
	}
	w.Limit(w.Total, lim.Partition, "the partition")
	if lim.Partition > 0 && w.Total <= lim.Partition {
		w.Limit(w.Total, lim.Partition-lim.State, "the partition without what the leases need")
	}
	w.Limit(w.Total, lim.Boot, "what the boot loader reads")
	for _, i := range w.Items {
		if strings.Contains(i.Name, "ramdisk") || strings.Contains(i.Name, "initrd") {
			continue // the kernel unpacks it
		}
		is := i.Unpacked
		if is < 0 {
			is = maxUnpacked + 1 // at least
		}
		w.Limit(is, lim.Unpacked, "what the boot loader can unpack: "+i.Name)
	}
	return w
}

// Add counts a file that is not of a format of ours.
func (w *Weight) Add(name string, size int64) {
	w.Items = append(w.Items, Item{Name: name, Size: size})
	w.Total += size
}

// Limit notes that so many octets are too many for something, if they are. A
// limit of 0 is none.
func (w *Weight) Limit(is, limit int64, what string) {
	if limit > 0 && is > limit {
		w.Over = append(w.Over, fmt.Sprintf("%s: %d octets, %d too many", what, is, is-limit))
	}
}

// room is the smallest of the limits that concern the whole file.
func room(lim Limits) int64 {
	n := lim.Partition
	if n > 0 {
		n = max(n-lim.State, 0)
	}
	if lim.Boot > 0 && (n == 0 || lim.Boot < n) {
		n = lim.Boot
	}
	return n
}

// collect adds the parts that are in the file as they are.
func (w *Weight) collect(l *Layer) {
	if len(l.Layers) == 0 || l.Unpacked != 0 {
		w.Items = append(w.Items, Item{l.path, l.Off, l.Size, l.Unpacked})
		return
	}
	for _, in := range l.Layers {
		w.collect(in)
	}
}

// String is a table of the parts, with the headers between them as a whole.
func (w Weight) String() string {
	var s strings.Builder
	left := w.Total
	row := func(name string, size int64, note string) {
		fmt.Fprintf(&s, "%-40s %10d%s\n", name, size, note)
	}
	for _, i := range w.Items {
		note := ""
		switch {
		case i.Unpacked > 0:
			note = fmt.Sprintf("   unpacks to %d", i.Unpacked)
		case i.Unpacked < 0:
			note = fmt.Sprintf("   unpacks to more than %d", maxUnpacked)
		}
		row(i.Name, i.Size, note)
		left -= i.Size
	}
	if left > 0 {
		row("headers", left, "")
	}
	row("total", w.Total, "")
	if w.Room > 0 {
		row("room", w.Room, "")
		row("left", w.Room-w.Total, "")
	}
	for _, o := range w.Over {
		fmt.Fprintf(&s, "too large for %s\n", o)
	}
	return s.String()
}
