package image

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
)

const (
	tplinkHeader = 512
	tplinkMD5    = 0x4c
)

// A salt stands in the field of the MD5 while that is computed: another one if
// there is a boot loader in the image.
var (
	tplinkSalt     = [md5.Size]byte{0xdc, 0xd7, 0x3a, 0xa5, 0xc3, 0x95, 0x98, 0xfb, 0xdd, 0xf9, 0xe7, 0xf4, 0x0e, 0xae, 0x47, 0x38}
	tplinkBootSalt = [md5.Size]byte{0x8c, 0xef, 0x33, 0x5b, 0xd5, 0xc5, 0xce, 0xfa, 0xa7, 0x9c, 0x28, 0xda, 0xb2, 0xe9, 0x0f, 0x42}
)

// A TPLink is the header of version 1 of TP-Link's older boot loaders, in the
// form for a kernel alone, with an initramfs in it. That form has no checksum.
//
//	 0         4            1c            40    44    48       4c      74     78
//	+---------+------------+-------------+-----+-----+--------+-------+------+-------+
//	| version | vendor[24] | release[36] | id  | rev | region | MD5...| load | entry |
//	+---------+------------+-------------+-----+-----+--------+-------+------+-------+
//	 7c        80            88           90                             200
//	+---------+-------------+------------+------------------------------+--------+
//	| length  | kernel at,n | root at, n | zeros                        | kernel |
//	+---------+-------------+------------+------------------------------+--------+
//
// Numbers are big-endian. Length, root and MD5 are zero in this form.
type TPLink struct {
	Vendor, Release string // at most 24 and 36 octets; what is longer is cut
	ID, Revision    uint32 // of the hardware
	Region          uint32 // zero: any
	Load, Entry     uint32 // addresses
}

// Append appends the header and the kernel.
func (t TPLink) Append(b, kernel []byte) []byte {
	h := make([]byte, tplinkHeader)
	put := func(at int, v uint32) { binary.BigEndian.PutUint32(h[at:], v) }
	put(0, 0x01000000)
	copy(h[0x04:0x1c], t.Vendor)
	copy(h[0x1c:0x40], t.Release)
	put(0x40, t.ID)
	put(0x44, t.Revision)
	put(0x48, t.Region)
	put(0x74, t.Load)
	put(0x78, t.Entry)
	put(0x80, tplinkHeader)
	put(0x84, uint32(len(kernel)))
	return append(append(b, h...), kernel...)
}

// ParseTPLink reads a header, also of the form with a root and an MD5, which it
// checks. It returns the kernel, and what follows that. The error is a Fault.
func ParseTPLink(b []byte) (t TPLink, kernel, rest []byte, err error) {
	l := alone("TP-Link v1", b)
	t, kernel = l.tplink()
	if err := l.damage(); err != nil {
		return TPLink{}, nil, nil, err
	}
	return t, kernel, b[tplinkHeader+len(kernel):], nil
}

func isTPLink(b []byte) bool {
	return len(b) >= tplinkHeader && binary.BigEndian.Uint32(b) == 0x01000000 && binary.BigEndian.Uint32(b[0x80:]) == tplinkHeader
}

func (l *Layer) tplink() (t TPLink, kernel []byte) {
	b := l.place.b
	if !isTPLink(b) {
		l.fault(0, min(4, len(b)), "no TP-Link v1")
		return TPLink{}, nil
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	t = TPLink{text(b[0x04:0x1c]), text(b[0x1c:0x40]), word(0x40), word(0x44), word(0x48), word(0x74), word(0x78)}
	n := int64(word(0x84))
	if n > int64(len(b)-tplinkHeader) {
		l.fault(0x84, 0x88, "it says %d octets of kernel, there are %d", n, len(b)-tplinkHeader)
		n = int64(len(b) - tplinkHeader)
	}
	end := tplinkHeader + int(n)
	l.Size = int64(end)
	if says := [md5.Size]byte(b[tplinkMD5:]); says != [md5.Size]byte{} {
		l.Size = int64(len(b))
		l.tplinkMD5(says)
	} else {
		l.filled(tplinkMD5, 0x74, 0, "MD5, without a root,")
		l.filled(0x7c, 0x80, 0, "the length, without a root,")
		l.filled(0x88, 0x98, 0, "the root")
	}
	l.filled(0x9e, 0x120, 0, "padding")
	l.filled(0x160, tplinkHeader, 0, "padding")
	l.fact("vendor", "%q", t.Vendor)
	l.fact("release", "%q", t.Release)
	l.fact("hardware", "%#08x rev %d", t.ID, t.Revision)
	l.fact("load", "%#x", t.Load)
	l.fact("entry", "%#x", t.Entry)
	return t, b[tplinkHeader:end:end]
}

func (l *Layer) tplinkMD5(says [md5.Size]byte) {
	b := bytes.Clone(l.place.b)
	salt := tplinkSalt
	if binary.BigEndian.Uint32(b[0x94:]) != 0 {
		salt = tplinkBootSalt
	}
	copy(b[tplinkMD5:], salt[:])
	if is := md5.Sum(b); is != says {
		l.fault(0, len(b), "MD5 says %x, is %x", says, is)
	}
}

func (d *dissector) tplink(l *Layer) {
	if _, kernel := l.tplink(); len(kernel) > 0 {
		d.in(l, "kernel", tplinkHeader, tplinkHeader+len(kernel))
	}
	if root := int(min(int64(binary.BigEndian.Uint32(l.place.b[0x88:])), l.Size)); root >= tplinkHeader && int64(root) < l.Size {
		d.in(l, "root", root, int(l.Size))
	}
}
