package ring

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

const (
	magic   = "LEASERNG"
	version = 1
	align   = 8 // every record begins and ends at a multiple of it

	headerFixed  = len(magic) + 2 + 1 + 1 + 4 + 8
	recordHeader = 8
	commitSize   = recordHeader + 8

	maxSegments = 8       // that a header may speak of
	maxSequence = 1 << 62 // out of reach: what claims as much is not ours

	// MaxKey and MaxValue are the octets that a key and a value may have.
	MaxKey   = 255
	MaxValue = 2048
)

// A kind says what a record does. Its first bit is used by no kind: it marks
// the record that begins a batch.
type kind uint8

const (
	kindPut    kind = 0x10
	kindForget kind = 0x20
	kindCommit kind = 0x40

	first kind = 0x01
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A header is the beginning of a segment.
type header struct {
	index    int      // of this segment
	size     uint32   // octets of a segment
	sequence uint64   // the highest one is the newest
	erases   []uint32 // of each segment, this one's latest included
	bare     []bool   // which of them had no header then, so that its latest erase is counted here only
}

// bareBit is set in the count of a segment that is bare.
const bareBit = 1 << 31

func headerSize(segments int) int { return padded(headerFixed + 4*segments + 4) }

func padded(n int) int { return (n + align - 1) &^ (align - 1) }

func (h header) append(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, byte(len(h.erases)), byte(h.index))
	b = binary.LittleEndian.AppendUint32(b, h.size)
	b = binary.LittleEndian.AppendUint64(b, h.sequence)
	for i, n := range h.erases {
		if h.bare[i] {
			n |= bareBit
		}
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
	return pad(b, start)
}

// parseHeader reads any header of ours, also one of another version or for
// another number of segments.
func parseHeader(b []byte) (h header, ver uint16, ok bool) {
	if len(b) < headerFixed || string(b[:len(magic)]) != magic {
		return header{}, 0, false
	}
	f := b[len(magic):]
	ver = binary.LittleEndian.Uint16(f)
	n := int(f[2])
	h.index = int(f[3])
	if n == 0 || n > maxSegments || h.index >= n {
		return header{}, 0, false
	}
	end := headerFixed + 4*n
	if len(b) < end+4 || binary.LittleEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return header{}, 0, false
	}
	h.size = binary.LittleEndian.Uint32(f[4:])
	h.sequence = binary.LittleEndian.Uint64(f[8:])
	h.erases, h.bare = make([]uint32, n), make([]bool, n)
	for i := range h.erases {
		count := binary.LittleEndian.Uint32(b[headerFixed+4*i:])
		h.erases[i], h.bare[i] = count&^bareBit, count&bareBit != 0
	}
	return h, ver, h.size >= minSegment && h.sequence < maxSequence
}

// A record is one step of the story that a segment tells.
type record struct {
	kind  kind
	key   string
	value []byte
}

func recordSize(key, value int) int { return padded(recordHeader + key + value) }

// seed makes the checksums of one segment useless in another, so that what an
// erase left behind is never taken for news.
func seed(sequence uint64) uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, sequence), castagnoli)
}

func (rec record) append(b []byte, seed uint32) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(rec.kind), byte(len(rec.key)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(rec.value)))
	b = append(b, rec.key...)
	b = append(b, rec.value...)
	b = pad(b, start)
	binary.LittleEndian.PutUint32(b[start:], crc32.Update(seed, castagnoli, b[start+4:]))
	return b
}

// parseRecord reads the record at the beginning of b and says how many octets
// it takes. The value shares memory with b.
func parseRecord(b []byte, seed uint32) (rec record, size int, ok bool) {
	if len(b) < recordHeader {
		return record{}, 0, false
	}
	rec.kind = kind(b[4])
	keyLen, valueLen := int(b[5]), int(binary.LittleEndian.Uint16(b[6:]))
	size = recordSize(keyLen, valueLen)
	end := recordHeader + keyLen + valueLen
	if size > len(b) || !rec.kind.fits(keyLen, valueLen) || !blank(b[end:size]) {
		return record{}, 0, false
	}
	if binary.LittleEndian.Uint32(b) != crc32.Update(seed, castagnoli, b[4:size]) {
		return record{}, 0, false
	}
	rec.key = string(b[recordHeader : recordHeader+keyLen])
	rec.value = b[recordHeader+keyLen : end]
	return rec, size, true
}

// fits reports whether a record of this kind may have such a key and value.
func (k kind) fits(key, value int) bool {
	switch k &^ first {
	case kindPut:
		return key > 0 && value <= MaxValue
	case kindForget:
		return key > 0 && value == 0
	case kindCommit:
		return key == 0 && value == commitSize-recordHeader && k&first == 0
	}
	return false
}

// commitRecord vouches for a snapshot: for the number of its records and for
// all their octets together.
func commitRecord(records int, snapshot uint32) record {
	v := binary.LittleEndian.AppendUint32(nil, uint32(records))
	return record{kind: kindCommit, value: binary.LittleEndian.AppendUint32(v, snapshot)}
}

func pad(b []byte, start int) []byte {
	for (len(b)-start)%align != 0 {
		b = append(b, 0xff)
	}
	return b
}

// blank reports whether b reads as erased.
func blank(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0xff })
}
