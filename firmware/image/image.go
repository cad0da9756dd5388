// Package image writes the files that boot loaders and OpenWrt's sysupgrade
// take, reads them, and finds out whether one is damaged.
//
// It runs on the build host. It knows formats, not boards: sizes, addresses and
// names are given by the caller. Every writer is a function of its arguments:
// no clock is read and no map is walked, so the same arguments give the same
// octets. What is packed they are given packed; see Packed.
//
// # Formats
//
//	uImage       U-Boot's legacy image, of one part or several
//	FIT          U-Boot's flattened image tree, which is a device tree
//	LZMA         the format of "lzma e", with the size in its header
//	xz           of one stream, with a dictionary the kernel can afford
//	metadata     the blocks that fwtool appends: JSON, and a signature
//	sysupgrade   a kernel padded to erase blocks, or a tar, with metadata
//	TRX          version 1, of Broadcom's CFE
//	TP-Link v1   the header of TP-Link's older boot loaders
//	SafeLoader   TP-Link's factory image
//	UBI          erase blocks with volumes, as ubinize makes them
//
// gzip, cpio, squashfs, zImage and arm64 Image are recognised inside of these.
//
// # Damage
//
// Inspect takes an image apart, one layer inside the other; Verify tells what is
// wrong in any of them. A flipped bit is found wherever a checksum, a magic, a
// length or a rule about padding says what the bit has to be. The formats do not
// say that of every octet; with metadata appended, a checksum covers them all.
package image

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	maxUnpacked = 64 << 20 // octets that all layers of an image may unpack to, together
	maxDepth    = 16       // layers inside of layers
	maxLayers   = 4096     // of one image
)

// A Layer is a part of an image.
type Layer struct {
	Kind     string // its format: "uImage", "LZMA", ...
	Name     string // what it is to the layer around it: "kernel-1"; may be empty
	Off      int64  // where it begins in the file; below a packed layer, in what that unpacks to
	Size     int64  // octets
	Unpacked int64  // octets that it unpacks to; 0: it is not packed, or cannot be read; -1: more than is opened here
	Facts    []Fact // for people, in the order of the format
	Layers   []*Layer
	Faults   []Fault // its own, without those of Layers

	place place
	path  string
}

// A Fact is what a layer says of itself.
type Fact struct{ Key, Value string }

// A Fault is one thing that is wrong with an image. It is also the error of the
// parsers.
type Fault struct {
	Layer    string // from the outermost layer inwards: "sysupgrade/uImage/kernel: LZMA"
	From, To int64  // the octets of the file; of the whole packed layer if the fault is inside of one
	What     string
}

func (f Fault) Error() string {
	return fmt.Sprintf("%s, octets %#x to %#x: %s", f.Layer, f.From, f.To, f.What)
}

// Inspect takes an image apart. It never fails: what it cannot read is a layer
// with faults. It unpacks at most 64 MiB.
func Inspect(b []byte) *Layer {
	d := &dissector{unpack: maxUnpacked, layers: maxLayers}
	root := &Layer{Kind: "file", Size: int64(len(b)), place: place{b: b}, path: "file"}
	if len(b) == 0 {
		root.fault(0, 0, "it is empty")
		return root
	}
	d.file(root)
	if d.layers == 0 {
		root.fault(0, len(b), "it has more than %d layers", maxLayers)
	}
	if len(root.Layers) == 1 && root.Layers[0].Size == root.Size && len(root.Faults) == 0 {
		return root.Layers[0]
	}
	return root
}

// Verify returns what is wrong with an image, the first octets first. An image
// of a format that is not known is wrong too.
func Verify(b []byte) []Fault { return Inspect(b).AllFaults() }

// AllFaults returns the faults of a layer and of those inside of it, the first
// octets first, and of those that begin at the same octet the shortest.
func (l *Layer) AllFaults() []Fault {
	all := slices.Clone(l.Faults)
	for _, in := range l.Layers {
		all = append(all, in.AllFaults()...)
	}
	slices.SortStableFunc(all, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return all
}

// Checked reports whether anything in the layer has a checksum of its own.
func (l *Layer) Checked() bool {
	switch l.Kind {
	case "uImage", "FIT", "TRX", "UBI", "TP-Link v1", "SafeLoader", "xz", "gzip", "signature":
		return true
	case "cpio": // some of its files may have
		return false
	}
	return slices.ContainsFunc(l.Layers, (*Layer).Checked)
}

// Fact returns what the layer says under a key, or "".
func (l *Layer) Fact(key string) string {
	for _, f := range l.Facts {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// Find returns the first layer of a kind, from the outside inwards, or nil.
func (l *Layer) Find(kind string) *Layer {
	if l.Kind == kind {
		return l
	}
	for _, in := range l.Layers {
		if found := in.Find(kind); found != nil {
			return found
		}
	}
	return nil
}

// String draws the tree, a line for every layer.
func (l *Layer) String() string {
	var s strings.Builder
	l.draw(&s, "")
	return s.String()
}

func (l *Layer) draw(s *strings.Builder, indent string) {
	fmt.Fprintf(s, "%s%#08x %8d  %s", indent, l.Off, l.Size, l.label())
	for _, f := range l.Facts {
		fmt.Fprintf(s, ", %s %s", f.Key, f.Value)
	}
	s.WriteByte('\n')
	for _, f := range l.Faults {
		fmt.Fprintf(s, "%s  ! %v\n", indent, f)
	}
	for _, in := range l.Layers {
		in.draw(s, indent+"  ")
	}
}

func (l *Layer) label() string {
	if l.Name == "" {
		return l.Kind
	}
	return l.Name + ": " + l.Kind
}

// way is the path of a layer inside of l.
func (l *Layer) way(label string) string {
	if l.Kind == "file" {
		return label
	}
	return l.path + "/" + label
}

func (l *Layer) fact(key, format string, args ...any) {
	l.Facts = append(l.Facts, Fact{key, fmt.Sprintf(format, args...)})
}

// fault notes that the octets from..to of the layer are wrong.
func (l *Layer) fault(from, to int, format string, args ...any) {
	f := Fault{Layer: l.path, What: fmt.Sprintf(format, args...)}
	f.From, f.To = l.place.span(from, to)
	l.Faults = append(l.Faults, f)
}

// damage is the first fault as an error.
func (l *Layer) damage() error {
	if all := l.AllFaults(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// alone makes a layer of octets that are in no file, for a parser.
func alone(kind string, b []byte) *Layer {
	return &Layer{Kind: kind, Size: int64(len(b)), place: place{b: b}, path: kind}
}

// checksum notes a fault of the octets from..to unless says and is are equal:
// two numbers, or two digests as arrays.
func (l *Layer) checksum(name string, says, is any, from, to int) {
	if says != is {
		l.fault(from, to, "%s says %08x, is %08x", name, says, is)
	}
}

// filled notes a fault where the octets from..to are not all of one value.
func (l *Layer) filled(from, to int, fill byte, what string) {
	for i := from; i < to; i++ {
		if l.place.b[i] == fill {
			continue
		}
		end := to
		for l.place.b[end-1] == fill {
			end--
		}
		l.fault(i, end, "%s is not all %#02x", what, fill)
		return
	}
}

// A place is a stretch of the file, or of what a packed layer unpacks to.
type place struct {
	b     []byte
	off   int64
	spans func(from, to int64) (int64, int64) // where offsets are in the file; nil: they are its own
}

func (p place) sub(from, to int) place {
	return place{p.b[from:to:to], p.off + int64(from), p.spans}
}

func (p place) span(from, to int) (int64, int64) {
	a, z := p.off+int64(from), p.off+int64(to)
	if p.spans != nil {
		return p.spans(a, z)
	}
	return a, z
}

// A dissector takes images apart.
type dissector struct {
	unpack int64 // octets that may still be unpacked
	layers int   // that may still be opened
	depth  int
}

// in opens the octets from..to as a layer inside of l, and what may follow it
// there as further ones.
func (d *dissector) in(l *Layer, name string, from, to int) *Layer {
	in := d.open(l, name, l.place.sub(from, to))
	d.sequence(l, from+int(in.Size), to)
	return in
}

// open opens a layer inside of l, and adds it unless there are too many already.
func (d *dissector) open(l *Layer, name string, p place) *Layer {
	f := identify(p.b)
	in := &Layer{Kind: f.kind, Name: name, Off: p.off, Size: int64(len(p.b)), place: p}
	in.path = l.way(in.label())
	if d.layers == 0 {
		return in
	}
	d.layers--
	l.Layers = append(l.Layers, in)
	if d.depth == maxDepth {
		in.fact("not opened", "too deep")
		return in
	}
	d.depth++
	if f.open != nil {
		f.open(d, in)
	}
	d.depth--
	return in
}

// A format is a kind of layer. Its open takes a layer apart that may be followed
// by something else, and corrects its size.
type format struct {
	kind string
	is   func(b []byte) bool
	open func(d *dissector, l *Layer)
}

// Kind says by its first octets what b is: a Kind of Layer.
func Kind(b []byte) string { return identify(b).kind }

// identify says by its first octets what b is.
func identify(b []byte) format {
	for _, f := range formats() {
		if f.is(b) {
			return f
		}
	}
	return format{kind: "data"}
}

// formats is a function because the formats open each other.
func formats() []format {
	return []format{
		{"uImage", isUImage, (*dissector).uImage},
		{"FIT", isFIT, (*dissector).fit},
		{"device tree", isFDT, (*dissector).deviceTree},
		{"TRX", isTRX, (*dissector).trx},
		{"UBI", isUBI, (*dissector).ubi},
		{"TP-Link v1", isTPLink, (*dissector).tplink},
		{"SafeLoader", isSafeLoader, (*dissector).safeLoader},
		{"sysupgrade tar", isTar, (*dissector).tar},
		{"xz", isXZ, (*dissector).xz},
		{"gzip", isGzip, (*dissector).gzip},
		{"cpio", isCPIO, (*dissector).cpio},
		{"squashfs", isSquashfs, (*dissector).squashfs},
		{"zImage", isZImage, nil},
		{"arm64 Image", isImage, nil},
		{"LZMA", isLZMA, (*dissector).lzma},
	}
}

// file takes a whole file apart: blocks of metadata at its end, and before them
// one layer after the other.
func (d *dissector) file(l *Layer) {
	end := d.blocks(l)
	blocks := l.Layers
	l.Layers = nil
	d.sequence(l, 0, end)
	l.Layers = append(l.Layers, blocks...)
}

// sequence takes octets apart in which layers follow each other, with padding
// between them and at the end.
func (d *dissector) sequence(l *Layer, from, end int) {
	for from < end && d.layers > 0 {
		rest := l.place.b[from:end]
		if identify(rest).kind != "data" {
			from += int(d.open(l, "", l.place.sub(from, end)).Size)
			continue
		}
		pad := run(rest)
		if pad < len(rest) && (pad == 0 || identify(rest[pad:]).kind == "data") {
			d.unknown(l, from, end)
			return
		}
		l.padding(from, from+pad)
		from += pad
	}
}

// run counts the octets at the beginning of b that are all zero or all 0xff.
func run(b []byte) int {
	if b[0] != 0 && b[0] != 0xff {
		return 0
	}
	n := slices.IndexFunc(b, func(c byte) bool { return c != b[0] })
	if n < 0 {
		return len(b)
	}
	return n
}

func (l *Layer) padding(from, to int) *Layer {
	p := l.place.sub(from, to)
	in := &Layer{Kind: "padding", Off: p.off, Size: int64(len(p.b)), place: p, path: l.way("padding")}
	in.fact("fill", "%#02x", p.b[0])
	l.Layers = append(l.Layers, in)
	return in
}

// unknown is for octets that are of no known format: padding with something in
// it, if most of them are alike, or else data.
func (d *dissector) unknown(l *Layer, from, to int) {
	b := l.place.b[from:to]
	for _, fill := range []byte{0xff, 0} {
		n := 0
		for _, c := range b {
			if c == fill {
				n++
			}
		}
		if 2*n > len(b) {
			in := l.padding(from, to)
			in.Facts = nil
			in.filled(0, len(b), fill, "padding")
			return
		}
	}
	in := d.open(l, "", l.place.sub(from, to))
	in.fault(0, len(b), "of no known format, and not padding")
}

// text is what a field of fixed length holds: up to its first zero.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
