package ring

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"leasehold/firmware/flash/flashtest"
)

// aged is the image of a ring that has been moved about on a device.
func aged(t *testing.T, g geometry, changes int) []byte {
	t.Helper()
	nor := flashtest.New(g.blockSize, g.blocks)
	r := mustOpen(t, nor)
	mustPut(t, r, put("kept", "always"))
	work(t, r, changes)
	return nor.Image()
}

func blankOctets(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }

func TestRingMovesToAnotherDivision(t *testing.T) {
	const block = 512
	tests := []struct {
		name   string
		blocks int
		change func(image []byte) []byte
		same   bool // the division
	}{
		{"grown at its end", 8, func(b []byte) []byte { return append(b, blankOctets(4*block)...) }, false},
		{"grown at its end by an odd block", 8, func(b []byte) []byte { return append(b, blankOctets(block)...) }, true},
		{"grown at its beginning", 8, func(b []byte) []byte { return append(blankOctets(8*block), b...) }, false},
		{"grown at its beginning by one block", 4, func(b []byte) []byte { return append(blankOctets(block), b...) }, true},
		{"from three segments to four", 3, func(b []byte) []byte { return append(b, blankOctets(block)...) }, false},
	}
	for _, test := range tests {
		for _, changes := range []int{5, 40, 77, 131, 200, 313} {
			t.Run(fmt.Sprintf("%s, %d changes", test.name, changes), func(t *testing.T) {
				image := test.change(aged(t, geometry{block, test.blocks}, changes))
				nor := flashtest.Load(image, block)
				r := mustOpen(t, nor)
				want := fmt.Sprintf("kept=always k=%d", changes-1)
				expect(t, r, want)
				if got := r.Stats().Resized; !got && !test.same {
					t.Errorf("Stats().Resized = %v", got)
				}
				for i := range 300 {
					mustPut(t, r, put("k", fmt.Sprint(i)))
				}
				r = reopen(t, nor)
				expect(t, r, "kept=always k=299")
				if r.Stats().Resized {
					t.Error("it was not moved to the new division")
				}
				if n := spread(t, nor); n > 2 {
					t.Errorf("erases differ by %d", n)
				}
				if err := nor.Violation(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Of a device that shrank, the story is there or it is not: what opens is a
// state that the ring once had, and it works.
func TestRingOnADeviceThatShrank(t *testing.T) {
	const block = 512
	kept := 0
	for changes := range 300 {
		image := aged(t, geometry{block, 8}, changes)
		for name, rest := range map[string][]byte{"end": image[:5*block], "beginning": image[3*block:]} {
			nor := flashtest.Load(rest, block)
			r, err := Open(nor)
			if errors.Is(err, ErrForeign) && !bytes.Contains(rest, []byte(magic)) {
				continue
			}
			if err != nil {
				t.Fatalf("%d changes, without its %s: %v", changes, name, err)
			}
			if got := dump(r); got != "" && !strings.HasPrefix(got, "kept=always") {
				t.Fatalf("%d changes, without its %s: it holds %q", changes, name, got)
			}
			if dump(r) != "" {
				kept++
			}
			mustPut(t, r, put("new", "1"))
			if v, ok := reopen(t, nor).Get("new"); !ok || string(v) != "1" {
				t.Fatalf("%d changes, without its %s: a new value is lost", changes, name)
			}
		}
	}
	if kept == 0 {
		t.Error("nothing was ever found again")
	}
}

// The move to another division can be cut off like any other.
func TestPowerCutWhileTheRingMovesToAnotherDivision(t *testing.T) {
	const block = 256
	for _, g := range []geometry{{block, 4}, {block, 8}} {
		image := append(aged(t, g, 30), blankOctets(5*block)...)
		whole := flashtest.Load(image, block)
		begin(t, whole)
		cuts := 0
		for at := range whole.Steps() {
			for _, tear := range flashtest.Tears() {
				nor := flashtest.Load(image, block)
				nor.CutAt(at, tear)
				touch(mustOpen(t, nor))
				for range 3 {
					nor.Reboot()
					r := mustOpen(t, nor)
					expect(t, r, "kept=always k=29")
				}
				expect(t, reopen(t, nor), "kept=always k=29")
				if err := nor.Violation(); err != nil {
					t.Fatal(err)
				}
				cuts++
			}
		}
		t.Logf("%v: %d cuts", g, cuts)
	}
}

func TestFormatForgetsAndCountsOn(t *testing.T) {
	nor := flashtest.New(512, 4)
	r := mustOpen(t, nor)
	work(t, r, 200)
	before := r.Stats().Erases
	nor.Reboot()
	if err := Format(nor); err != nil {
		t.Fatal(err)
	}
	nor.Reboot()
	r = mustOpen(t, nor)
	expect(t, r, "")
	if got, want := fmt.Sprint(r.Stats().Erases), fmt.Sprint(segmentErases(t, nor)); got != want {
		t.Errorf("Stats().Erases = %s; want %s, since it was %v", got, want, before)
	}
	mustPut(t, r, put("a", "1"))
	expect(t, reopen(t, nor), "a=1")
}

func TestFormatTakesWhatIsForeign(t *testing.T) {
	image := bytes.Repeat([]byte("hsqs is a file system "), 100)[:4*512]
	nor := flashtest.Load(image, 512)
	if _, err := Open(nor); err == nil || !strings.Contains(err.Error(), "68 73 71 73 20 69 73 20, perhaps a SquashFS") {
		t.Errorf("Open = %v; want what is there", err)
	}
	if err := Format(nor); err != nil {
		t.Fatal(err)
	}
	expect(t, reopen(t, nor), "")
}

func TestFormatWithABadBlock(t *testing.T) {
	for block := range 4 {
		nor := flashtest.New(512, 4)
		nor.Break(block, flashtest.FailErase)
		if err := Format(nor); err != nil {
			t.Fatalf("block %d: %v", block, err)
		}
		r := reopen(t, nor)
		mustPut(t, r, put("a", "1"))
		expect(t, reopen(t, nor), "a=1")
	}
}

// A place that was told too large holds something else too.
func TestRingDoesNotSpreadOverWhatElseIsThere(t *testing.T) {
	const block = 512
	for _, blocks := range []int{4, 8} {
		for changes := range 60 {
			image := aged(t, geometry{block, blocks}, changes)
			other := bytes.Repeat([]byte("hsqs, a file system "), 100)[:block]
			for _, before := range []int{1, 2, 4, 12} {
				whole := append(bytes.Repeat(other, before), image...)
				nor := flashtest.Load(whole, block)
				_, err := Open(nor)
				if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "offset 0x0: not a ring and not blank: 68 73 71 73 2c 20 61 20, perhaps a SquashFS") {
					t.Fatalf("%d blocks of something else before a ring of %d: %v", before, blocks, err)
				}
				if !bytes.Equal(nor.Image(), whole) {
					t.Fatal("it was written to")
				}
			}
		}
	}
}

// What clients say stands in the records. They must not be able to make it look
// like a segment.
func TestNoBlockInsideASegmentLooksLikeOne(t *testing.T) {
	const block = 64
	forged := header{index: 0, size: minSegment, sequence: maxSequence - 2, erases: []uint32{1}, bare: []bool{false}}.append(nil)
	for shift := range 70 {
		nor := flashtest.New(block, 512)
		r := begin(t, nor)
		mustPut(t, r, put("pad", strings.Repeat("p", shift)))
		want := map[string]string{"pad": strings.Repeat("p", shift)}
		for i := range 12 {
			k, v := fmt.Sprint("k", i), strings.Repeat("v", i)+string(forged)+string(forged)
			mustPut(t, r, put(k, v), put("l"+k, v))
			want[k], want["l"+k] = v, v
		}
		r = reopen(t, nor)
		if got := contents(r); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("the ring holds %q; want %q", got, want)
		}
		image := nor.Image()
		for off := 0; off < len(image); off += block {
			if off%r.size != 0 && bytes.HasPrefix(image[off:], []byte(magic)) {
				t.Fatalf("a segment seems to begin at %#x, inside one of %d octets", off, r.size)
			}
		}
	}
}

func TestFormatThatIsCutOff(t *testing.T) {
	const block = 256
	image := aged(t, geometry{block, 4}, 60)
	whole := flashtest.Load(image, block)
	if err := Format(whole); err != nil {
		t.Fatal(err)
	}
	for at := range whole.Steps() {
		for _, tear := range flashtest.Tears() {
			nor := flashtest.Load(image, block)
			nor.CutAt(at, tear)
			Format(nor)
			nor.Reboot()
			if got := dump(mustOpen(t, nor)); got != "" && got != "kept=always k=59" {
				t.Fatalf("%v at %d: %q; want all or nothing", tear, at, got)
			}
		}
	}
}
