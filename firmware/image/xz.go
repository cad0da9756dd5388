package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"slices"

	"github.com/ulikunitz/xz/lzma"
)

const (
	xzMagic     = "\xfd7zXZ\x00"
	xzHeader    = 12
	xzFooter    = 12
	xzMaxBlocks = 1024
	xzLZMA2     = 0x21 // the number of its filter

	xzNone   = 0
	xzCRC32  = 1
	xzCRC64  = 4
	xzSHA256 = 10
)

var (
	xzChecks   = map[byte]string{xzNone: "none", xzCRC32: "CRC-32", xzCRC64: "CRC-64", xzSHA256: "SHA-256"}
	xzSizes    = map[byte]int{xzNone: 0, xzCRC32: 4, xzCRC64: 8, xzSHA256: 32}
	crc64Table = crc64.MakeTable(crc64.ECMA)
	errXZ      = errors.New("the xz stream is broken")
	errFilter  = errors.New("it is filtered by something else than LZMA2")
)

// An xzStream is read here, down to the blocks of LZMA2: the reader of the
// library allocates whatever dictionary a block asks for.
//
//	+--------+-------+-----+-------+-------+--------+
//	| header | block | ... | block | index | footer |
//	+--------+-------+-----+-------+-------+--------+
type xzStream struct {
	d     *dissector
	b     []byte
	at    int
	check byte
	dict  int64
	sizes [][2]uint64 // of each block, as the index has to say them
	out   []byte
	wrong [2]int // where an error is
}

func isXZ(b []byte) bool { return len(b) >= xzHeader+xzFooter && string(b[:6]) == xzMagic }

func (d *dissector) xz(l *Layer) {
	s := &xzStream{d: d, b: l.place.b}
	err := s.read()
	if errors.Is(err, errFilter) {
		l.fact("not opened", "%v", err)
		return
	}
	if err != nil && !errors.Is(err, errTooLarge) {
		l.fault(s.wrong[0], min(s.wrong[1], len(s.b)), "%v", err)
		return
	}
	if err == nil {
		l.Size = int64(s.at)
	}
	l.fact("check", "%s", xzChecks[s.check])
	l.fact("dictionary", "%d", s.dict)
	d.unpacked(l, s.out, err)
}

func (s *xzStream) fail(from, to int, format string, args ...any) error {
	s.wrong = [2]int{from, to}
	return fmt.Errorf(format, args...)
}

func (s *xzStream) read() error {
	flags := s.b[6:8]
	if _, known := xzSizes[flags[1]]; flags[0] != 0 || !known || binary.LittleEndian.Uint32(s.b[8:]) != crc32.ChecksumIEEE(flags) {
		return s.fail(0, xzHeader, "the header is broken")
	}
	s.check, s.at = flags[1], xzHeader
	for s.at < len(s.b) && s.b[s.at] != 0 {
		if err := s.block(); err != nil {
			return err
		}
	}
	from := s.at
	if !s.index() {
		return s.fail(from, len(s.b), "the index is broken")
	}
	footer := s.b[s.at:]
	if len(footer) < xzFooter || string(footer[10:12]) != "YZ" || !bytes.Equal(footer[8:10], flags) ||
		binary.LittleEndian.Uint32(footer) != crc32.ChecksumIEEE(footer[4:10]) ||
		int64(binary.LittleEndian.Uint32(footer[4:])) != int64(s.at-from)/4-1 {
		return s.fail(s.at, s.at+xzFooter, "the footer is broken")
	}
	s.at += xzFooter
	return nil
}

// block reads one block: its header, LZMA2, padding and the check.
func (s *xzStream) block() error {
	from := s.at
	head := (int(s.b[from]) + 1) * 4
	if from+head > len(s.b) || len(s.sizes) == xzMaxBlocks {
		return s.fail(from, len(s.b), "a block has no end")
	}
	h := s.b[from : from+head]
	if binary.LittleEndian.Uint32(h[head-4:]) != crc32.ChecksumIEEE(h[:head-4]) {
		return s.fail(from, from+head, "the header of a block is broken")
	}
	dict, err := xzBlockDict(h[1 : head-4])
	if err != nil {
		return s.fail(from, from+head, "%w", err)
	}
	s.dict = max(s.dict, dict)
	in := bytes.NewReader(s.b[from+head:])
	// Nothing refers further back than to the beginning, so this is enough.
	dict = min(dict, max(s.d.unpack, lzma.MinDictCap))
	r, err := lzma.Reader2Config{DictCap: int(dict)}.NewReader2(in)
	if err != nil {
		return s.fail(from, from+head, "%w", err)
	}
	out, err := s.d.take(r)
	if err != nil {
		return s.fail(from+head, len(s.b), "LZMA2: %w", err)
	}
	s.out = append(s.out, out...)
	end := len(s.b) - in.Len()
	if s.chunks(from+head) != end {
		return s.fail(from+head, end, "the sizes of the chunks are broken")
	}
	check := (end + 3) &^ 3 // every block begins at a multiple of 4
	s.at = check + xzSizes[s.check]
	if s.at > len(s.b) || !bytes.Equal(s.b[end:check], make([]byte, check-end)) {
		return s.fail(end, len(s.b), "a block is not padded with zeros")
	}
	if says, is := s.b[check:s.at], s.sum(out); !bytes.Equal(says, is) {
		return s.fail(from, s.at, "%s says %x, is %x", xzChecks[s.check], says, is)
	}
	s.sizes = append(s.sizes, [2]uint64{uint64(s.at - from - (check - end)), uint64(len(out))})
	return nil
}

// chunks returns where LZMA2 ends by the sizes that its chunks say. The decoder
// of the library does not look at those of packed ones.
func (s *xzStream) chunks(at int) int {
	for at+6 <= len(s.b) && s.b[at] != 0 {
		size := int(binary.BigEndian.Uint16(s.b[at+1:])) + 1
		head := 3
		if control := s.b[at]; control >= 0x80 {
			size = int(binary.BigEndian.Uint16(s.b[at+3:])) + 1
			head = 5
			if control >= 0xc0 {
				head = 6 // with new properties
			}
		}
		at += head + size
	}
	return at + 1
}

// xzBlockDict reads the header of a block and returns its dictionary.
func xzBlockDict(h []byte) (int64, error) {
	flags, h := h[0], h[1:]
	if flags&0x3c != 0 {
		return 0, errXZ
	}
	for _, has := range []byte{0x40, 0x80} { // the sizes, packed and not, which the index says too
		if flags&has != 0 {
			_, n := binary.Uvarint(h)
			if n <= 0 {
				return 0, errXZ
			}
			h = h[n:]
		}
	}
	if flags&3 != 0 || len(h) < 3 || h[0] != xzLZMA2 {
		return 0, errFilter
	}
	if h[1] != 1 || slices.ContainsFunc(h[3:], func(c byte) bool { return c != 0 }) {
		return 0, errXZ
	}
	return lzma.DecodeDictCap(h[2])
}

func (s *xzStream) sum(b []byte) []byte {
	switch s.check {
	case xzCRC32:
		return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	case xzCRC64:
		return binary.LittleEndian.AppendUint64(nil, crc64.Checksum(b, crc64Table))
	case xzSHA256:
		d := sha256.Sum256(b)
		return d[:]
	}
	return nil
}

// index compares the index with what the blocks were.
func (s *xzStream) index() bool {
	want := binary.AppendUvarint([]byte{0}, uint64(len(s.sizes)))
	for _, size := range s.sizes {
		want = binary.AppendUvarint(binary.AppendUvarint(want, size[0]), size[1])
	}
	want = Pad(want, 4, 0)
	want = binary.LittleEndian.AppendUint32(want, crc32.ChecksumIEEE(want))
	ok := bytes.HasPrefix(s.b[s.at:], want)
	s.at += len(want)
	return ok && s.at <= len(s.b)
}
