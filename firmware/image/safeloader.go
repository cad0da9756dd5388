package image

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	safePreamble = 0x14
	safeTable    = 0x1014 // where the table of parts begins, and the parts count from
	safeTableLen = 0x800
	safePrefix   = "fwup-ptn "
	safeMaxParts = 32
)

var safeSalt = []byte{0x7a, 0x2b, 0x15, 0xed, 0x9b, 0x98, 0x59, 0x6d, 0xe5, 0x04, 0xab, 0x44, 0xac, 0x2a, 0x9f, 0x4e}

// A SafeLoader is the factory image that TP-Link's newer boot loaders and web
// pages take.
//
//	 0        4     14              1014                                 1814
//	+--------+-----+---------------+------------------------------------+-------+
//	| length | MD5 | vendor, 0xff  | table of the parts, zero, 0xff     | parts |
//	+--------+-----+---------------+------------------------------------+-------+
//
// The length is big-endian and of all, the MD5 is of a salt and of all that is
// behind it.
type SafeLoader struct {
	Vendor string // may be empty
	Parts  []SafePart
}

// A SafePart is something that is written to the partition of its name. The
// boot loader wants "partition-table" and "support-list" among them; see
// SafePartitions and SafeMeta.
type SafePart struct {
	Name string
	Data []byte
}

// A FlashPart is a partition of a board's flash, in octets.
type FlashPart struct {
	Name         string
	Offset, Size int64
}

// SafePartitions is the data of the part "partition-table".
func SafePartitions(parts []FlashPart) ([]byte, error) {
	b := []byte{0, 4, 0, 0}
	for _, p := range parts {
		b = fmt.Appendf(b, "partition %s base 0x%05x size 0x%05x\n", p.Name, p.Offset, p.Size)
	}
	b = append(b, 0)
	if len(b) > safeTableLen {
		return nil, fmt.Errorf("the partitions take %d octets, there is room for %d", len(b), safeTableLen)
	}
	return Pad(b, safeTableLen, 0xff), nil
}

// SafeMeta is the data of a part that is a text with its length: the
// "soft-version", the "support-list" or the "extra-para". The trail is one octet
// that a board wants behind it; it is left out if it is negative.
func SafeMeta(text []byte, trail int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	b = append(append(b, 0, 0, 0, 0), text...)
	if trail >= 0 {
		b = append(b, byte(trail))
	}
	return b
}

// Append appends the image.
func (s SafeLoader) Append(b []byte) ([]byte, error) {
	head := bytes.Repeat([]byte{0xff}, safeTable)
	if s.Vendor != "" {
		binary.BigEndian.PutUint32(head[safePreamble:], uint32(len(s.Vendor)))
		copy(head[safePreamble+4:], s.Vendor)
	}
	var table, parts []byte
	for _, p := range s.Parts {
		table = fmt.Appendf(table, "%s%s base 0x%05x size 0x%05x\t\r\n", safePrefix, p.Name, safeTableLen+len(parts), len(p.Data))
		parts = append(parts, p.Data...)
	}
	table = append(table, 0)
	if len(table) > safeTableLen || len(s.Parts) > safeMaxParts {
		return nil, fmt.Errorf("%d parts do not fit into the table", len(s.Parts))
	}
	image := append(append(head, Pad(table, safeTableLen, 0xff)...), parts...)
	binary.BigEndian.PutUint32(image, uint32(len(image)))
	copy(image[4:], safeSum(image))
	return append(b, image...), nil
}

func safeSum(image []byte) []byte {
	h := md5.New()
	h.Write(safeSalt)
	h.Write(image[safePreamble:])
	return h.Sum(nil)
}

// ParseSafeLoader reads an image and checks it. The error is a Fault.
func ParseSafeLoader(b []byte) (SafeLoader, error) {
	l := alone("SafeLoader", b)
	s, _ := l.safeLoader()
	if err := l.damage(); err != nil {
		return SafeLoader{}, err
	}
	return s, nil
}

func isSafeLoader(b []byte) bool {
	return len(b) >= safeTable+safeTableLen && string(b[safeTable:safeTable+len(safePrefix)]) == safePrefix
}

// safeLoader reads the image, with the places of the parts.
func (l *Layer) safeLoader() (s SafeLoader, spans [][2]int) {
	b := l.place.b
	if !isSafeLoader(b) {
		l.fault(0, min(4, len(b)), "no SafeLoader")
		return s, nil
	}
	size := int64(binary.BigEndian.Uint32(b))
	if size < safeTable+safeTableLen || size > int64(len(b)) {
		l.fault(0, 4, "it says %d octets, there are %d", size, len(b))
		return s, nil
	}
	l.Size = size
	b = b[:size]
	if is := safeSum(b); !bytes.Equal(b[4:safePreamble], is) {
		l.fault(safePreamble, len(b), "MD5 says %x, is %x", b[4:safePreamble], is)
	}
	if n := binary.BigEndian.Uint32(b[safePreamble:]); n <= safeTable-safePreamble-4 {
		s.Vendor = text(b[safePreamble+4:][:n])
		l.fact("vendor", "%q", s.Vendor)
	}
	table := text(b[safeTable : safeTable+safeTableLen])
	end := safeTable + len(table)
	l.filled(min(end+1, safeTable+safeTableLen), safeTable+safeTableLen, 0xff, "padding")
	for line := range strings.Lines(table) {
		var p SafePart
		var at, n int64
		if _, err := fmt.Sscanf(line, safePrefix+"%s base 0x%x size 0x%x", &p.Name, &at, &n); err != nil || len(s.Parts) == safeMaxParts {
			l.fault(safeTable, end, "the table has the line %q", line)
			return s, spans
		}
		if at < safeTableLen || n < 0 || at > size || n > size || safeTable+at+n > size {
			l.fault(safeTable, end, "%s is outside of the image", p.Name)
			return s, spans
		}
		span := [2]int{int(safeTable + at), int(safeTable + at + n)}
		p.Data = b[span[0]:span[1]:span[1]]
		s.Parts, spans = append(s.Parts, p), append(spans, span)
	}
	return s, spans
}

func (d *dissector) safeLoader(l *Layer) {
	s, spans := l.safeLoader()
	for i, p := range s.Parts {
		if len(p.Data) == 0 {
			continue
		}
		if p.Name == "os-image" || p.Name == "file-system" {
			d.in(l, p.Name, spans[i][0], spans[i][1])
			continue
		}
		sub := l.place.sub(spans[i][0], spans[i][1])
		l.Layers = append(l.Layers, &Layer{Kind: "text", Name: p.Name, Off: sub.off, Size: int64(len(p.Data)), place: sub, path: l.way(p.Name)})
	}
}
