package image

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

const (
	ubiECMagic  = "UBI#"
	ubiVIDMagic = "UBI!"
	ubiVersion  = 1
	ubiHeader   = 64 // of either kind
	ubiHeadCRC  = 60 // where its checksum is

	ubiDynamic = 1
	ubiStatic  = 2

	ubiLayoutID     = 0x7fffefff // of the volume that holds the table
	ubiLayoutCompat = 5          // to be refused by who does not know it
	ubiLayoutCopies = 2
	ubiRecord       = 172
	ubiRecordCRC    = 168
	ubiMaxVolumes   = 128
	ubiMaxName      = 127
	ubiAutoresize   = 1
)

// A UBI is an image of erase blocks as "ubinize" makes it, to be written to an
// empty partition. UBI moves its blocks later, so a newer one looks different.
//
//	one erase block
//	 0           VID header at                data at
//	+-----------+-------+--------------+-----+------------------------+------+
//	| EC header | 0xff  | VID header   | 0xff| logical erase block    | 0xff |
//	+-----------+-------+--------------+-----+------------------------+------+
//
// The first two blocks hold the table of the volumes, twice. Numbers are
// big-endian. Checksums are CRC-32, not inverted at their end: of each header,
// of each record of the table, and of the data of static volumes.
type UBI struct {
	PEB       int    // octets of an erase block
	MinIO     int    // octets of a page: the data begin at a multiple of it
	VIDHeader int    // where the VID header begins; 0: after the first page
	Sequence  uint32 // a number that all blocks of this image have
	Volumes   []Volume
}

// A Volume is one of a UBI. The data of a static one have a checksum, and it
// must be written as a whole.
type Volume struct {
	ID         uint32
	Name       string
	Static     bool
	Autoresize bool  // to grow at the first attach until all space is taken
	Size       int64 // octets to reserve; 0: as many as Data take
	Data       []byte
}

func (u UBI) vidAt() int  { return cmp.Or(u.VIDHeader, max(u.MinIO, ubiHeader)) }
func (u UBI) dataAt() int { return (u.vidAt() + ubiHeader + u.MinIO - 1) / u.MinIO * u.MinIO }
func (u UBI) leb() int    { return u.PEB - u.dataAt() }

// records is how many volumes the table has room for.
func (u UBI) records() int { return min(ubiMaxVolumes, u.leb()/ubiRecord) }

func (u UBI) check() error {
	if u.MinIO < 1 || u.PEB <= 0 || u.vidAt() < ubiHeader || u.vidAt()%8 != 0 || u.leb() < ubiRecord {
		return fmt.Errorf("UBI of blocks of %d octets, pages of %d and the VID header at %d: not possible", u.PEB, u.MinIO, u.vidAt())
	}
	seen := map[uint32]bool{}
	for _, v := range u.Volumes {
		switch {
		case v.ID >= uint32(u.records()) || seen[v.ID]:
			return fmt.Errorf("volume %q: its number %d is taken, or beyond the table", v.Name, v.ID)
		case v.Name == "" || len(v.Name) > ubiMaxName:
			return fmt.Errorf("volume %d: its name is empty, or longer than %d octets", v.ID, ubiMaxName)
		case v.Size != 0 && v.Size < int64(len(v.Data)):
			return fmt.Errorf("volume %q: %d octets do not fit into %d", v.Name, len(v.Data), v.Size)
		}
		seen[v.ID] = true
	}
	return nil
}

// Append appends the image.
func (u UBI) Append(b []byte) ([]byte, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	table := u.table()
	for i := range uint32(ubiLayoutCopies) {
		b = u.block(b, vidHeader{kind: ubiDynamic, compat: ubiLayoutCompat, volume: ubiLayoutID, leb: i}, table)
	}
	for _, v := range u.Volumes {
		h := vidHeader{kind: ubiDynamic, volume: v.ID}
		chunks := slices.Collect(slices.Chunk(v.Data, u.leb()))
		if v.Static {
			h.kind, h.used = ubiStatic, uint32(len(chunks))
		}
		for i, chunk := range chunks {
			h.leb = uint32(i)
			if v.Static {
				h.size, h.crc = uint32(len(chunk)), ^crc32.ChecksumIEEE(chunk)
			}
			b = u.block(b, h, chunk)
		}
	}
	return b, nil
}

// A vidHeader says of an erase block which part of which volume it is.
type vidHeader struct {
	kind, compat byte
	volume, leb  uint32
	size, used   uint32 // of static volumes: octets here, and blocks in all
	crc          uint32 // of the data, of static volumes
}

func (h vidHeader) bytes() []byte {
	b := make([]byte, ubiHeader)
	copy(b, ubiVIDMagic)
	b[4], b[5], b[7] = ubiVersion, h.kind, h.compat
	put := func(at int, v uint32) { binary.BigEndian.PutUint32(b[at:], v) }
	put(8, h.volume)
	put(12, h.leb)
	put(20, h.size)
	put(24, h.used)
	put(32, h.crc)
	return sealed(b, ubiHeadCRC)
}

// sealed puts the checksum of what is before it at an offset.
func sealed(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], ^crc32.ChecksumIEEE(b[:at]))
	return b
}

// unbroken reports whether the checksum at an offset is that of what is before.
func unbroken(b []byte, at int) bool {
	return binary.BigEndian.Uint32(b[at:]) == ^crc32.ChecksumIEEE(b[:at])
}

// block appends one erase block.
func (u UBI) block(b []byte, h vidHeader, content []byte) []byte {
	peb := bytes.Repeat([]byte{0xff}, u.PEB)
	ec := make([]byte, ubiHeader)
	copy(ec, ubiECMagic)
	ec[4] = ubiVersion
	binary.BigEndian.PutUint32(ec[16:], uint32(u.vidAt()))
	binary.BigEndian.PutUint32(ec[20:], uint32(u.dataAt()))
	binary.BigEndian.PutUint32(ec[24:], u.Sequence)
	copy(peb, sealed(ec, ubiHeadCRC))
	copy(peb[u.vidAt():], h.bytes())
	copy(peb[u.dataAt():], content)
	return append(b, peb...)
}

// table is the table of the volumes: a record for each that there might be.
func (u UBI) table() []byte {
	b := make([]byte, u.records()*ubiRecord)
	for i := range u.records() {
		r := b[i*ubiRecord:][:ubiRecord]
		if k := slices.IndexFunc(u.Volumes, func(v Volume) bool { return v.ID == uint32(i) }); k >= 0 {
			u.record(r, u.Volumes[k])
		}
		sealed(r, ubiRecordCRC)
	}
	return b
}

func (u UBI) record(r []byte, v Volume) {
	size := max(v.Size, int64(len(v.Data)))
	blocks := (size + int64(u.leb()) - 1) / int64(u.leb())
	binary.BigEndian.PutUint32(r, uint32(blocks))
	binary.BigEndian.PutUint32(r[4:], 1) // alignment
	r[12] = ubiDynamic
	if v.Static {
		r[12] = ubiStatic
	}
	binary.BigEndian.PutUint16(r[14:], uint16(len(v.Name)))
	copy(r[16:], v.Name)
	if v.Autoresize {
		r[144] = ubiAutoresize
	}
}

// ParseUBI reads an image and checks it. The data of a dynamic volume end with
// the 0xff that fills their last erase block; Size is what is reserved. The
// error is a Fault.
func ParseUBI(b []byte) (UBI, error) {
	l := alone("UBI", b)
	u, _ := l.ubi()
	if err := l.damage(); err != nil {
		return UBI{}, err
	}
	return u, nil
}

func isUBI(b []byte) bool { return len(b) >= ubiHeader && string(b[:4]) == ubiECMagic }

// ubiPEB finds the size of an erase block, which nothing says: the smallest at
// which most of the blocks begin as they should.
func ubiPEB(b []byte) int {
	for size := 1024; size <= 4<<20 && size <= len(b); size *= 2 {
		var n, good int
		for at := 0; at+ubiHeader <= len(b); at += size {
			n++
			if isUBI(b[at:]) {
				good++
			}
		}
		if 2*good > n {
			return size
		}
	}
	return 0
}

// A peb is an erase block that belongs to a volume.
type peb struct {
	vidHeader
	data int // where its data begin in the image
}

func (l *Layer) ubi() (u UBI, blocks []peb) {
	b := l.place.b
	u.PEB = ubiPEB(b)
	if !isUBI(b) || u.PEB == 0 {
		l.fault(0, min(4, len(b)), "no UBI")
		return u, nil
	}
	word := func(at int) int { return int(binary.BigEndian.Uint32(b[at:])) }
	u.VIDHeader, u.Sequence = word(16), binary.BigEndian.Uint32(b[24:])
	dataAt := word(20)
	if u.VIDHeader < ubiHeader || dataAt < u.VIDHeader+ubiHeader || dataAt+ubiRecord > u.PEB || len(b)%u.PEB != 0 {
		l.fault(0, ubiHeader, "blocks of %d octets, the VID header at %d and the data at %d: not possible", u.PEB, u.VIDHeader, dataAt)
		return u, nil
	}
	u.MinIO = dataAt - u.VIDHeader
	for at := 0; at < len(b); at += u.PEB {
		if p, ok := l.ubiBlock(u, at, dataAt); ok {
			blocks = append(blocks, p)
		}
	}
	slices.SortStableFunc(blocks, func(a, b peb) int {
		return cmp.Or(cmp.Compare(a.volume, b.volume), cmp.Compare(a.leb, b.leb))
	})
	l.ubiTable(&u, blocks)
	for i := range u.Volumes {
		v := &u.Volumes[i]
		for _, p := range blocksOf(blocks, v.ID) {
			n := u.PEB - dataAt
			if v.Static {
				n = int(p.size)
			}
			v.Data = append(v.Data, b[p.data:p.data+n]...)
		}
	}
	l.fact("erase block", "%d", u.PEB)
	l.fact("VID header", "%d", u.VIDHeader)
	l.fact("data", "%d", dataAt)
	return u, blocks
}

// blocksOf returns the blocks of one volume from a sorted list.
func blocksOf(blocks []peb, volume uint32) []peb {
	return slices.Collect(func(yield func(peb) bool) {
		for _, p := range blocks {
			if p.volume == volume && !yield(p) {
				return
			}
		}
	})
}

// ubiBlock checks the erase block at an offset.
func (l *Layer) ubiBlock(u UBI, at, dataAt int) (p peb, ok bool) {
	b := l.place.b[at : at+u.PEB]
	ec := b[:ubiHeader]
	if !isUBI(b) || !unbroken(ec, ubiHeadCRC) {
		l.fault(at, at+ubiHeader, "the EC header is broken")
		return p, false
	}
	if ec[4] != ubiVersion || !bytes.Equal(ec[16:28], l.place.b[16:28]) {
		l.fault(at, at+ubiHeader, "the EC header is not like that of the first block")
		return p, false
	}
	l.filled(at+ubiHeader, at+u.VIDHeader, 0xff, "padding")
	l.filled(at+u.VIDHeader+ubiHeader, at+dataAt, 0xff, "padding")
	h := b[u.VIDHeader : u.VIDHeader+ubiHeader]
	if run(h) == ubiHeader && h[0] == 0xff {
		l.filled(at+dataAt, at+u.PEB, 0xff, "an empty block")
		return p, false
	}
	if string(h[:4]) != ubiVIDMagic || h[4] != ubiVersion || !unbroken(h, ubiHeadCRC) {
		l.fault(at+u.VIDHeader, at+u.VIDHeader+ubiHeader, "the VID header is broken")
		return p, false
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(h[i:]) }
	p = peb{vidHeader{h[5], h[7], word(8), word(12), word(20), word(24), word(32)}, at + dataAt}
	if p.kind != ubiStatic {
		return p, true
	}
	if int64(p.size) > int64(u.PEB-dataAt) {
		l.fault(at+u.VIDHeader+20, at+u.VIDHeader+24, "it says %d octets of data", p.size)
		return p, false
	}
	end := p.data + int(p.size)
	l.checksum("checksum of the data", p.crc, ^crc32.ChecksumIEEE(l.place.b[p.data:end]), p.data, end)
	l.filled(end, at+u.PEB, 0xff, "padding")
	return p, true
}

// ubiTable reads the volumes from the two copies of the table.
func (l *Layer) ubiTable(u *UBI, blocks []peb) {
	b := l.place.b
	copies := blocksOf(blocks, ubiLayoutID)
	if len(copies) != ubiLayoutCopies || copies[0].leb != 0 || copies[1].leb != 1 {
		l.fault(0, len(b), "there are %d copies of the table instead of %d", len(copies), ubiLayoutCopies)
		return
	}
	leb := u.PEB - (copies[0].data % u.PEB)
	records := min(ubiMaxVolumes, leb/ubiRecord)
	for _, c := range copies {
		for i := range records {
			at := c.data + i*ubiRecord
			if !unbroken(b[at:at+ubiRecord], ubiRecordCRC) {
				l.fault(at, at+ubiRecord, "record %d of the table is broken", i)
			}
		}
		l.filled(c.data+records*ubiRecord, c.data+leb, 0xff, "padding")
	}
	if !bytes.Equal(b[copies[0].data:][:leb], b[copies[1].data:][:leb]) {
		l.fault(copies[1].data, copies[1].data+leb, "the copies of the table differ")
	}
	for i := range records {
		r := b[copies[0].data+i*ubiRecord:][:ubiRecord]
		n := binary.BigEndian.Uint32(r)
		if n == 0 {
			continue
		}
		v := Volume{
			ID: uint32(i), Name: text(r[16:144]), Static: r[12] == ubiStatic,
			Autoresize: r[144]&ubiAutoresize != 0, Size: int64(n) * int64(leb),
		}
		u.Volumes = append(u.Volumes, v)
		l.ubiComplete(v, blocksOf(blocks, v.ID))
	}
}

// ubiComplete checks that no block of a static volume is missing, and that those
// of a dynamic one follow each other.
func (l *Layer) ubiComplete(v Volume, blocks []peb) {
	for i, p := range blocks {
		if p.leb != uint32(i) || v.Static != (p.kind == ubiStatic) || v.Static && int(p.used) != len(blocks) {
			l.fault(p.data, p.data+1, "block %d of volume %q is found where block %d belongs", p.leb, v.Name, i)
			return
		}
	}
}

func (d *dissector) ubi(l *Layer) {
	u, blocks := l.ubi()
	for _, v := range u.Volumes {
		in := &Layer{Kind: "volume", Name: v.Name, Size: int64(len(v.Data)), path: l.way(v.Name)}
		in.fact("number", "%d", v.ID)
		in.fact("static", "%t", v.Static)
		in.fact("reserved", "%d", v.Size)
		if v.Autoresize {
			in.fact("flag", "autoresize")
		}
		l.Layers = append(l.Layers, in)
		of := blocksOf(blocks, v.ID)
		if len(of) == 0 {
			continue
		}
		in.Off = l.place.off + int64(of[0].data)
		in.place = place{v.Data, 0, l.place.volume(of, u.PEB)}
		d.sequence(in, 0, len(v.Data))
	}
}

// volume tells where octets of a volume are in the file: from its first to its
// last.
func (p place) volume(blocks []peb, size int) func(from, to int64) (int64, int64) {
	leb := size - blocks[0].data%size
	at := func(off int64) int {
		i := min(int(off)/leb, len(blocks)-1)
		return blocks[i].data + int(off) - i*leb
	}
	return func(from, to int64) (int64, int64) {
		first, last := at(from), at(max(to-1, from))+1
		return p.span(min(first, last), max(first, last))
	}
}
