package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const (
	trxMagic  = "HDR0"
	trxHeader = 28
	trxParts  = 3
	trxAlign  = 4096
	trxCRC    = 12 // where what the checksum covers begins
)

// A TRX is an image of version 1 for Broadcom's CFE, of up to three parts.
//
//	 0       4        8     12      14        16            28
//	+-------+--------+-----+-------+---------+-------------+-------+---------+
//	| magic | length | CRC | flags | version | offset[3]   | parts | padding |
//	+-------+--------+-----+-------+---------+-------------+-------+---------+
//
// Numbers are little-endian. The checksum is a CRC-32 that is not inverted at
// its end. Parts begin at multiples of 4, the image ends at one of 4096, and
// what pads is zero.
type TRX struct{ Parts [][]byte }

// Append appends the image.
func (t TRX) Append(b []byte) ([]byte, error) {
	if len(t.Parts) == 0 || len(t.Parts) > trxParts {
		return nil, fmt.Errorf("a TRX has 1 to %d parts, not %d", trxParts, len(t.Parts))
	}
	x := make([]byte, trxHeader)
	copy(x, trxMagic)
	binary.LittleEndian.PutUint16(x[14:], 1)
	for i, p := range t.Parts {
		binary.LittleEndian.PutUint32(x[16+4*i:], uint32(len(x)))
		x = Pad(append(x, p...), 4, 0)
	}
	x = Pad(x, trxAlign, 0)
	binary.LittleEndian.PutUint32(x[4:], uint32(len(x)))
	binary.LittleEndian.PutUint32(x[8:], ^crc32.ChecksumIEEE(x[trxCRC:]))
	return append(b, x...), nil
}

// ParseTRX reads an image and checks it, and returns what follows as well. Parts
// keep the padding behind them, since nothing says where they end. The error is
// a Fault.
func ParseTRX(b []byte) (t TRX, rest []byte, err error) {
	l := alone("TRX", b)
	for _, s := range l.trx() {
		t.Parts = append(t.Parts, b[s[0]:s[1]])
	}
	if err := l.damage(); err != nil {
		return TRX{}, nil, err
	}
	return t, b[l.Size:], nil
}

func isTRX(b []byte) bool {
	return len(b) >= trxHeader && bytes.HasPrefix(b, []byte(trxMagic))
}

// trx reads the header and returns where the parts begin and end.
func (l *Layer) trx() (spans [][2]int) {
	b := l.place.b
	if !isTRX(b) {
		l.fault(0, min(4, len(b)), "no TRX")
		return nil
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	size := int64(word(4))
	if size < trxHeader || size > int64(len(b)) {
		l.fault(4, 8, "it says %d octets, there are %d", size, len(b))
		return nil
	}
	l.Size = size
	l.checksum("checksum", word(8), ^crc32.ChecksumIEEE(b[trxCRC:size]), trxCRC, int(size))
	if v := word(12) >> 16; v != 1 {
		l.fault(14, 16, "version %d instead of 1", v)
		return nil
	}
	for i := range trxParts {
		at := int64(word(16 + 4*i))
		if at == 0 {
			break
		}
		if at < trxHeader || at > size || i > 0 && at < int64(spans[i-1][0]) {
			l.fault(16+4*i, 20+4*i, "part %d begins at %#x", i, at)
			return spans
		}
		if i > 0 {
			spans[i-1][1] = int(at)
		}
		spans = append(spans, [2]int{int(at), int(size)})
	}
	if len(spans) == 0 {
		l.fault(16, trxHeader, "there are no parts")
	}
	return spans
}

func (d *dissector) trx(l *Layer) {
	for i, s := range l.trx() {
		if s[0] < s[1] {
			d.in(l, fmt.Sprint("part ", i), s[0], s[1])
		}
	}
}
