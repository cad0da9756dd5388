package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"
	"strconv"

	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz/lzma"
)

var errTooLarge = errors.New("it unpacks to more than is allowed here")

// take reads all of r, and as much as may still be unpacked.
func (d *dissector) take(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, d.unpack+1))
	if int64(len(b)) > d.unpack {
		return nil, errTooLarge
	}
	d.unpack -= int64(len(b))
	return b, err
}

// unpacked adds to a packed layer what was in it, or why it could not be read.
func (d *dissector) unpacked(l *Layer, b []byte, err error) {
	size := int(l.Size)
	if errors.Is(err, errTooLarge) {
		l.Unpacked = -1
		l.fact("not opened", "%v", err)
		return
	}
	if err != nil {
		l.fault(0, size, "it cannot be unpacked: %v", err)
		return
	}
	l.Unpacked = int64(len(b))
	l.fact("unpacked", "%d", len(b))
	if len(b) == 0 {
		return
	}
	from, to := l.place.span(0, size)
	inside := *l
	inside.Layers = nil
	inside.place = place{b: b, spans: func(int64, int64) (int64, int64) { return from, to }}
	in := d.in(&inside, "", 0, len(b))
	l.Layers, l.Faults = inside.Layers, inside.Faults
	if v := linuxVersion(b); v != "" {
		in.fact("linux", "%q", v)
	}
}

// linuxVersion is how a kernel introduces itself.
func linuxVersion(b []byte) string {
	const banner = "Linux version "
	i := bytes.Index(b, []byte(banner))
	if i < 0 {
		return ""
	}
	rest := b[i+len(banner):]
	end := slices.IndexFunc(rest, func(c byte) bool { return c <= ' ' || c > '~' })
	if end < 0 || end > 80 {
		return ""
	}
	return string(rest[:end])
}

const lzmaHeader = 13

// isLZMA judges by the header, which has no magic: properties, a dictionary as
// encoders make them, and a size that is possible.
func isLZMA(b []byte) bool {
	if len(b) < lzmaHeader+5 || b[0] >= 9*5*5 || b[lzmaHeader] != 0 {
		return false
	}
	dict := binary.LittleEndian.Uint32(b[1:])
	size := binary.LittleEndian.Uint64(b[5:])
	ones := bits.OnesCount32(dict)
	return dict >= 4096 && ones <= 2 && (ones == 1 || dict&(dict<<1) != 0) && (size < 1<<32 || size == 1<<64-1)
}

func (d *dissector) lzma(l *Layer) {
	b := slices.Clone(l.place.b)
	p := int(b[0])
	dict := binary.LittleEndian.Uint32(b[1:])
	size := int64(binary.LittleEndian.Uint64(b[5:]))
	l.fact("properties", "lc%d lp%d pb%d", p%9, p/9%5, p/45)
	l.fact("dictionary", "%d", dict)
	if size > d.unpack {
		d.unpacked(l, nil, errTooLarge)
		return
	}
	// Nothing refers further back than to the beginning, so this is enough.
	binary.LittleEndian.PutUint32(b[1:], min(dict, uint32(max(d.unpack, lzma.MinDictCap))))
	in := bytes.NewReader(b)
	r, err := lzma.ReaderConfig{DictCap: maxUnpacked}.NewReader(in)
	if err != nil {
		d.unpacked(l, nil, err)
		return
	}
	out, err := d.take(r)
	if err == nil && size < 0 {
		l.fact("end", "marker")
	}
	if err == nil {
		l.Size = int64(len(b) - in.Len())
	}
	d.unpacked(l, out, err)
}

func isGzip(b []byte) bool {
	return len(b) >= 18 && b[0] == 0x1f && b[1] == 0x8b && b[2] == 8
}

func (d *dissector) gzip(l *Layer) {
	in := bytes.NewReader(l.place.b)
	r, err := gzip.NewReader(in)
	if err != nil {
		d.unpacked(l, nil, err)
		return
	}
	r.Multistream(false)
	if r.Name != "" {
		l.fact("name", "%q", r.Name)
	}
	out, err := d.take(r)
	if err == nil {
		l.Size = int64(len(l.place.b) - in.Len())
	}
	d.unpacked(l, out, err)
}

const cpioHeader = 110

func isCPIO(b []byte) bool {
	return len(b) >= cpioHeader && (string(b[:6]) == "070701" || string(b[:6]) == "070702")
}

// cpio reads an archive of the kind "newc", which an initramfs is.
//
//	 0       6                     54          94         102   110
//	+-------+-----+---------------+-----------+----------+-----+------+-----+---------+-----+
//	| magic | ... | size of data  | ...       | size of  | sum | name | pad | data    | pad |
//	+-------+-----+---------------+-----------+----------+-----+------+-----+---------+-----+
//
// Numbers are 8 hexadecimal digits; what pads to a multiple of 4 is zero.
func (d *dissector) cpio(l *Layer) {
	b := l.place.b
	var files, octets int
	var init bool
	for at := 0; ; {
		e, err := cpioEntryAt(b, at)
		if err != nil {
			l.fault(at, min(at+cpioHeader, len(b)), "%v", err)
			return
		}
		l.filled(e.name+e.nameLen-1, e.data, 0, "padding")
		l.filled(e.data+e.size, e.end, 0, "padding")
		at = e.end
		name := e.nameIn(b)
		if name == cpio.Trailer {
			l.Size = int64(at)
			break
		}
		files++
		octets += e.size
		init = init || name == "init"
	}
	l.fact("entries", "%d", files)
	l.fact("octets", "%d", octets)
	l.fact("init", "%t", init)
}

// A cpioEntry is where the parts of an entry are in the archive.
type cpioEntry struct {
	name, nameLen, data, size, end int
}

func (e cpioEntry) nameIn(b []byte) string { return text(b[e.name : e.name+e.nameLen]) }

// cpioEntries yields the entries of an archive, and an error where it is broken.
func cpioEntries(b []byte) iter.Seq2[cpioEntry, error] {
	return func(yield func(cpioEntry, error) bool) {
		for at := 0; ; {
			e, err := cpioEntryAt(b, at)
			if err == nil && e.nameIn(b) == cpio.Trailer || !yield(e, err) || err != nil {
				return
			}
			at = e.end
		}
	}
}

func cpioEntryAt(b []byte, at int) (e cpioEntry, err error) {
	if !isCPIO(b[at:]) {
		return e, errors.New("there is no entry, and the archive has not ended")
	}
	field := func(i int) int {
		v, notHex := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
		if notHex != nil {
			err = fmt.Errorf("field %d is not a number", i)
		}
		return int(v)
	}
	for i := range 13 {
		field(i)
	}
	e.size, e.nameLen = field(6), field(11)
	e.name = at + cpioHeader
	e.data = (e.name + e.nameLen + 3) &^ 3
	e.end = (e.data + e.size + 3) &^ 3
	if err == nil && (e.size < 0 || e.nameLen < 1 || e.nameLen > 4096 || e.end > len(b)) {
		err = errors.New("an entry reaches beyond the archive")
	}
	return e, err
}

func isSquashfs(b []byte) bool { return len(b) >= 96 && string(b[:4]) == "hsqs" }

func (d *dissector) squashfs(l *Layer) {
	used := binary.LittleEndian.Uint64(l.place.b[40:])
	if used < 96 || used > uint64(len(l.place.b)) {
		l.fault(40, 48, "it says %d octets, there are %d", used, len(l.place.b))
		return
	}
	l.Size = int64(used)
}

func isZImage(b []byte) bool {
	return len(b) >= 0x40 && binary.LittleEndian.Uint32(b[0x24:]) == 0x016f2818
}

func isImage(b []byte) bool { return len(b) >= 64 && string(b[56:60]) == "ARMd" }
