package ring

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"leasehold/firmware/flash/flashtest"
)

// The format, octet for octet: it is on flash in the field, and every later
// version has to read it.
func TestFormatIsStable(t *testing.T) {
	want := octets(t, `
		4c45415345524e47                            magic
		0100 03 01 00010000                         version, segments, which, size
		0200000000000000                            sequence
		01000000 01000000 00000080                  erases; the third is bare
		d5ca8444                                    CRC-32C
		d056f738 10 03 0200 77616e0102 ffffff       put wan = 01 02
		fb1266fe 10 01 0000 4c ffffffffffffff       put L = nothing
		fec2e675 40 00 0800 02000000 f9422f68       commit 2 records
		a2a1a1be 21 03 0000 77616e ffffffffff       forget wan, begins a batch
		acd62911 10 01 0100 6b76 ffffffffffff       put k = v
	`)
	nor := flashtest.New(256, 3)
	r := begin(t, nor)
	mustPut(t, r, put("wan", "\x01\x02"), Entry{Key: "x"}, put("L", ""))
	r = reopen(t, nor)
	mustPut(t, r, Entry{Key: "wan"}, put("k", "v"))
	got := nor.Image()[256:512]
	if !bytes.Equal(got[:len(want)], want) || !blank(got[len(want):]) {
		t.Errorf("a segment is\n%swant\n%s", hex.Dump(got), hex.Dump(want))
	}
	if read, _, _ := parseHeader(want); read.sequence != 2 {
		t.Errorf("sequence %d; want 2", read.sequence)
	}
}

// octets reads commented hex: a comment follows three spaces.
func octets(t *testing.T, text string) []byte {
	t.Helper()
	var all []byte
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "   ")
		b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func FuzzRecord(f *testing.F) {
	f.Add(record{kind: kindPut | first, key: "k", value: []byte("value")}.append(nil, seed(1)), uint64(1))
	f.Add(record{kind: kindForget, key: "key"}.append(nil, seed(9)), uint64(9))
	f.Add(commitRecord(3, 4).append(nil, seed(2)), uint64(2))
	f.Fuzz(func(t *testing.T, b []byte, sequence uint64) {
		rec, size, ok := parseRecord(b, seed(sequence))
		if !ok {
			return
		}
		if got := rec.append(nil, seed(sequence)); !bytes.Equal(got, b[:size]) {
			t.Errorf("append(parse(%x)) = %x", b[:size], got)
		}
	})
}

func FuzzRecordRoundTrip(f *testing.F) {
	f.Add("k", []byte("value"), uint64(7))
	f.Fuzz(func(t *testing.T, key string, value []byte, sequence uint64) {
		if len(key) == 0 || len(key) > MaxKey || len(value) > MaxValue {
			return
		}
		b := record{kind: kindPut, key: key, value: value}.append(nil, seed(sequence))
		rec, size, ok := parseRecord(append(b, "what follows"...), seed(sequence))
		if !ok || size != len(b) || rec.key != key || !bytes.Equal(rec.value, value) {
			t.Errorf("parse(append(%q, %x)) = %+v, %d, %v", key, value, rec, size, ok)
		}
		if _, _, ok := parseRecord(b, seed(sequence+1)); ok {
			t.Error("a record is believed in another segment")
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(header{index: 2, size: 256, sequence: 5, erases: []uint32{1, 2, 3}, bare: make([]bool, 3)}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ver, ok := parseHeader(b)
		if !ok || ver != version {
			return
		}
		got := h.append(nil)
		if end := headerFixed + 4*len(h.erases) + 4; !bytes.Equal(got[:end], b[:end]) {
			t.Errorf("append(parse(%x)) = %x", b, got)
		}
	})
}

// FuzzOpen opens any image, and what opens must then work.
func FuzzOpen(f *testing.F) {
	const blockSize = 256
	const blocks = 5
	nor := flashtest.New(blockSize, blocks)
	f.Add(nor.Image())
	f.Add(flashtest.New(blockSize, 3).Image())
	for _, batch := range script() {
		r := reopen(f, nor)
		if err := r.Put(batch...); err != nil {
			f.Fatal(err)
		}
		f.Add(nor.Image())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		image := bytes.Repeat([]byte{0xff}, blocks*blockSize)
		copy(image, b)
		nor := flashtest.Load(image, blockSize)
		r, err := Open(nor)
		if err != nil {
			return
		}
		for k, v := range r.All() {
			if !vouched(image, blockSize, k, v) {
				t.Errorf("%q = %q is invented: no record of it has a valid checksum", k, v)
			}
		}
		before := dump(r)
		if got := dump(reopen(t, nor)); got != before {
			t.Errorf("reopened, it holds %q; want %q", got, before)
		}
		if err := nor.Violation(); err != nil {
			t.Error(err)
		}
	})
}

// vouched reports whether the image has a record of an entry with the checksum
// that it has in a segment whose header is there too.
func vouched(image []byte, blockSize int, k string, v []byte) bool {
	for off := 0; off < len(image); off += blockSize {
		h, _, ok := parseHeader(image[off:])
		if !ok {
			continue
		}
		for _, mark := range []kind{0, first} {
			if bytes.Contains(image, record{kind: kindPut | mark, key: k, value: v}.append(nil, seed(h.sequence))) {
				return true
			}
		}
	}
	return false
}
