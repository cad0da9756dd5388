package image

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

const (
	uImageMagic  = 0x27051956
	uImageHeader = 64
	uImageName   = 32
)

// The numbers of U-Boot's legacy image format.
const (
	OSLinux = 5

	ArchARM   = 2
	ArchX86   = 3
	ArchMIPS  = 5
	ArchARM64 = 22

	TypeStandalone = 1
	TypeKernel     = 2
	TypeRamdisk    = 3
	TypeMulti      = 4
	TypeFirmware   = 5
	TypeScript     = 6
	TypeFDT        = 8

	CompNone  = 0
	CompGzip  = 1
	CompBzip2 = 2
	CompLZMA  = 3
)

var (
	archNames = map[uint8]string{ArchARM: "arm", ArchX86: "x86", ArchMIPS: "mips", ArchARM64: "arm64"}
	typeNames = map[uint8]string{
		TypeStandalone: "standalone", TypeKernel: "kernel", TypeRamdisk: "ramdisk", TypeMulti: "multi",
		TypeFirmware: "firmware", TypeScript: "script", TypeFDT: "flat_dt",
	}
	compNames = map[uint8]string{CompNone: "none", CompGzip: "gzip", CompBzip2: "bzip2", CompLZMA: "lzma"}
)

// A UImage is the header of U-Boot's legacy image.
//
//	 0       4            8      12     16     20      24          28   29     30     31     32
//	+-------+------------+------+------+------+-------+-----------+----+------+------+------+----------+
//	| magic | CRC header | time | size | load | entry | CRC data  | os | arch | type | comp | name[32] |
//	+-------+------------+------+------+------+-------+-----------+----+------+------+------+----------+
//
// Numbers are big-endian. The checksum of the header is made with its own field
// zero.
type UImage struct {
	Time        uint32 // seconds since 1970
	Load, Entry uint32 // addresses
	OS          uint8
	Arch        uint8
	Type        uint8
	Comp        uint8
	Name        string // at most 32 octets; what is longer is cut
}

// Append appends the header and its data.
func (u UImage) Append(b, data []byte) []byte {
	h := make([]byte, uImageHeader)
	for i, v := range []uint32{uImageMagic, 0, u.Time, uint32(len(data)), u.Load, u.Entry, crc32.ChecksumIEEE(data)} {
		binary.BigEndian.PutUint32(h[4*i:], v)
	}
	h[28], h[29], h[30], h[31] = u.OS, u.Arch, u.Type, u.Comp
	copy(h[32:], u.Name)
	binary.BigEndian.PutUint32(h[4:], crc32.ChecksumIEEE(h))
	return append(append(b, h...), data...)
}

// Parts makes the data of a UImage of TypeMulti: the sizes, zero, and the parts,
// which begin at multiples of 4.
func Parts(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
	}
	b = binary.BigEndian.AppendUint32(b, 0)
	for i, p := range parts {
		b = append(b, p...)
		if i < len(parts)-1 {
			b = Pad(b, 4, 0)
		}
	}
	return b
}

// Pad appends fill until the length is a multiple of align.
func Pad(b []byte, align int, fill byte) []byte {
	if n := len(b) % align; n != 0 {
		b = append(b, slices.Repeat([]byte{fill}, align-n)...)
	}
	return b
}

// ParseUImage reads a header and checks it and its data, and returns what
// follows as well. The error is a Fault.
func ParseUImage(b []byte) (u UImage, data, rest []byte, err error) {
	l := alone("uImage", b)
	u, data = l.uImage()
	if err := l.damage(); err != nil {
		return UImage{}, nil, nil, err
	}
	return u, data, b[l.Size:], nil
}

// ParseParts takes apart what Parts put together.
func ParseParts(data []byte) ([][]byte, error) {
	l := alone("multi", data)
	var parts [][]byte
	for _, s := range l.parts(0) {
		parts = append(parts, data[s[0]:s[1]])
	}
	return parts, l.damage()
}

func isUImage(b []byte) bool {
	return len(b) >= uImageHeader && binary.BigEndian.Uint32(b) == uImageMagic
}

func (l *Layer) uImage() (u UImage, data []byte) {
	b := l.place.b
	if !isUImage(b) {
		l.fault(0, min(4, len(b)), "no uImage")
		return UImage{}, nil
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	u = UImage{
		Time: word(2), Load: word(4), Entry: word(5),
		OS: b[28], Arch: b[29], Type: b[30], Comp: b[31], Name: text(b[32:uImageHeader]),
	}
	h := slices.Clone(b[:uImageHeader])
	clear(h[4:8])
	l.checksum("header checksum", word(1), crc32.ChecksumIEEE(h), 0, uImageHeader)
	end := len(b)
	if size := int64(word(3)); size > int64(len(b)-uImageHeader) {
		l.fault(12, 16, "it says %d octets of data, there are %d", size, len(b)-uImageHeader)
	} else {
		end = uImageHeader + int(size)
	}
	data = b[uImageHeader:end:end]
	l.checksum("data checksum", word(6), crc32.ChecksumIEEE(data), uImageHeader, end)
	l.Size = int64(end)
	l.fact("name", "%q", u.Name)
	l.fact("arch", "%s", nameOf(archNames, u.Arch))
	l.fact("type", "%s", nameOf(typeNames, u.Type))
	l.fact("compression", "%s", nameOf(compNames, u.Comp))
	l.fact("load", "%#x", u.Load)
	l.fact("entry", "%#x", u.Entry)
	l.fact("time", "%d", u.Time)
	return u, data
}

func nameOf(names map[uint8]string, n uint8) string {
	if s, ok := names[n]; ok {
		return s
	}
	return fmt.Sprint(n)
}

func (d *dissector) uImage(l *Layer) {
	u, data := l.uImage()
	if u.Type == TypeMulti {
		names := []string{"kernel", "ramdisk", "fdt"}
		for i, s := range l.parts(uImageHeader) {
			name := fmt.Sprint("part ", i)
			if i < len(names) {
				name = names[i]
			}
			d.in(l, name, s[0], s[1])
		}
		return
	}
	if len(data) == 0 {
		return
	}
	in := d.in(l, nameOf(typeNames, u.Type), uImageHeader, int(l.Size))
	want := map[uint8]string{CompGzip: "gzip", CompLZMA: "LZMA"}[u.Comp]
	if want != "" && in.Kind != want {
		in.fault(0, len(data), "this is %s, the header says %s", in.Kind, want)
	}
}

// parts returns where the parts of a multi-file image begin and end, whose sizes
// are found at from.
func (l *Layer) parts(from int) [][2]int {
	b := l.place.b[:l.Size]
	var sizes []int64
	at := from
	for ; ; at += 4 {
		if at+4 > len(b) {
			l.fault(from, len(b), "the list of parts does not end")
			return nil
		}
		n := binary.BigEndian.Uint32(b[at:])
		if n == 0 {
			break
		}
		sizes = append(sizes, int64(n))
	}
	at += 4
	var spans [][2]int
	for i, n := range sizes {
		if n > int64(len(b)-at) {
			l.fault(from+4*i, from+4*i+4, "part %d says %d octets, there are %d", i, n, len(b)-at)
			return spans
		}
		end := at + int(n)
		spans = append(spans, [2]int{at, end})
		at = end
		if pad := min((4-end%4)%4, len(b)-end); i < len(sizes)-1 {
			l.filled(end, end+pad, 0, "padding")
			at += pad
		}
	}
	if at != len(b) {
		l.fault(at, len(b), "%d octets belong to no part", len(b)-at)
	}
	return spans
}
