package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
)

// ringDo runs leasehold ring and returns what was printed.
func ringDo(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(append([]string{"ring"}, args...), &out, io.Discard)
	return out.String(), err
}

// content is what stands in a file.
func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// change writes a file anew.
func change(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// put opens the ring at path once more, as a boot does, and puts entries.
func put(t *testing.T, path string, entries ...ring.Entry) {
	t.Helper()
	dev, err := flash.OpenFile(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	r, err := ring.Open(dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Put(entries...); err != nil {
		t.Fatal(err)
	}
}

// spoil changes the end of a lease's name, wherever it stands in a file, and
// returns the places of the records that are damaged by it.
func spoil(t *testing.T, path, name string) (places []string) {
	t.Helper()
	const key = "L\xc0\xa8\x01"
	b := content(t, path)
	for i := bytes.Index(b, []byte(name)); i >= 0; i = bytes.Index(b, []byte(name)) {
		b[i+len(name)-1] ^= 0x40
		record := bytes.LastIndex(b[:i], []byte(key)) - 8
		places = append(places, fmt.Sprintf("offset %#x: ", record))
	}
	if len(places) == 0 {
		t.Fatalf("no %q in %s", name, path)
	}
	change(t, path, b)
	return places
}

const (
	good = `^%s: good; 100 leases in 4 segments\n$`
	head = "OFFSET   OCTETS  FILLED  SEQUENCE  RECORDS  STATE\n"
)

func TestRingInfo(t *testing.T) {
	out, err := ringDo(t, "info", writeRing(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	const want = head +
		`0x0      65536   \d{4}    1         100      in use\n` +
		`0x10000  65536   -       -         -        blank\n` +
		`0x20000  65536   -       -         -        blank\n` +
		`0x30000  65536   -       -         -        blank\n` +
		`\n100 leases; 100 records in \d{4} of \d+ octets; segments erased \[1 0 0 0\] times\.\n$`
	if !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("ring info printed\n%s\nwant\n%s", out, want)
	}
}

func TestRingIsReadWhileARouterHasIt(t *testing.T) {
	path := household(t)
	before := content(t, path)
	if out, err := ringDo(t, "info", path); err != nil || !strings.Contains(out, "3 leases; 5 records") {
		t.Errorf("ring info = %v\n%s", err, out)
	}
	out, err := ringDo(t, "verify", path)
	if err == nil || err.Error() != path+": 1 record damaged; 3 leases can be read" {
		t.Errorf("ring verify = %v; want 1 record damaged, 3 leases", err)
	}
	if !strings.HasPrefix(out, `record "L\xc0\xa8\x01f": `) {
		t.Errorf("ring verify printed %q; want the key of what cannot be read", out)
	}
	if !bytes.Equal(before, content(t, path)) {
		t.Error("looking at the ring changed it")
	}
}

// What is no ring is said by every command, with the place, and stays as it is.
func TestRingOfSomethingElse(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		name    string
		content string
		err     string // with the path for %s
	}{
		{"empty", "", "open %s: 0 octets: shorter than an erase block of 65536"},
		{"short", "a note", "open %s: 6 octets: shorter than an erase block of 65536"},
		{"squashfs", "hsqs" + strings.Repeat("\x07", 256<<10-4), "%s: erase block 0, offset 0x0: not a ring and not blank: 68 73 71 73 07 07 07 07, perhaps a SquashFS"},
		{"text at the end", strings.Repeat("\xff", 200<<10) + strings.Repeat("text", 14<<10), "%s: erase block 3, offset 0x32000: not a ring and not blank: 74 65 78 74 74 65 78 74"},
		{"two blocks", strings.Repeat("text", 32<<10), "%s: device does not suit a ring"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, tc.name)
			change(t, path, []byte(tc.content))
			want := fmt.Sprintf(tc.err, path)
			for _, what := range []string{"info", "verify", "format"} {
				_, err := ringDo(t, what, path)
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("ring %s = %v; want %s", what, err, want)
				}
				if what == "format" && !strings.HasSuffix(fmt.Sprint(err), "; -force overwrites it") {
					t.Errorf("ring format = %v; want a word about -force", err)
				}
			}
			if !bytes.Equal(content(t, path), []byte(tc.content)) {
				t.Error("the file was changed")
			}
			if out, err := ringDo(t, "format", path, "-force"); err != nil || !strings.HasPrefix(out, path+": an empty ring on ") {
				t.Errorf("ring format -force = %v, printed %q", err, out)
			}
			if out, err := ringDo(t, "verify", path); err != nil || !strings.Contains(out, "good; 0 leases") {
				t.Errorf("then ring verify = %v, printed %q", err, out)
			}
		})
	}
}

func TestRingOfNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, what := range []string{"info", "verify"} {
		if _, err := ringDo(t, what, dir+"/none"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir+"/none") {
			t.Errorf("ring %s of nothing = %v", what, err)
		}
	}
	for _, path := range []string{dir, "/dev/null"} {
		want := "open " + path + ": neither a plain file nor an MTD partition (mtd:NAME or /dev/mtdN)"
		for _, args := range [][]string{{"info"}, {"verify"}, {"format"}, {"format", "-force"}} {
			if _, err := ringDo(t, append(args, path)...); err == nil || err.Error() != want {
				t.Errorf("ring %v %s = %v; want %s", args, path, err, want)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v was made", left)
	}
}

func TestRingThatIsConfigured(t *testing.T) {
	_, got := ringDo(t, "info")
	_, want := ringDo(t, "info", config.Default().Ring.Path)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ring info = %v; want %v", got, want)
	}
	at, err := place("", "256k")
	if want := (flash.Place{Path: config.Default().Ring.Path, AtEnd: 256 << 10}); err != nil || at != want {
		t.Errorf("with -at-end 256k and no path it is %v, %v; want %v", at, err, want)
	}
}

func TestRingOfBlankFlash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	change(t, path, bytes.Repeat([]byte{0xff}, 4*flash.FileBlockSize))
	out, err := ringDo(t, "info", path)
	if err != nil || strings.Count(out, "  -       -         -        blank\n") != 4 || !strings.Contains(out, "\n0 leases; ") {
		t.Errorf("ring info = %v\n%s", err, out)
	}
	if out, err := ringDo(t, "verify", path); err != nil || out != path+": blank, which is an empty ring\n" {
		t.Errorf("ring verify = %v, %q", err, out)
	}
	if _, err := ringDo(t, "format", path); err != nil {
		t.Errorf("ring format = %v; want no need of -force", err)
	}
}

func TestRingVerifyNamesThePlace(t *testing.T) {
	path := writeRing(t, t.TempDir())
	out, err := ringDo(t, "verify", path)
	if err != nil || !regexp.MustCompile(fmt.Sprintf(good, path)).MatchString(out) {
		t.Fatalf("ring verify of a good one = %v, %q", err, out)
	}
	places := append(spoil(t, path, "host-107"), spoil(t, path, "host-150")...)
	out, err = ringDo(t, "verify", path)
	if err == nil || err.Error() != path+": 2 records damaged; 98 leases can be read" {
		t.Errorf("ring verify = %v; want 2 records damaged", err)
	}
	for _, place := range places {
		if !strings.Contains(out, place+"damaged record in the segment at 0x0, which is in use\n") {
			t.Errorf("ring verify printed\n%s\nwant %s", out, place)
		}
	}
	if out, err := ringDo(t, "info", path); err != nil || !strings.Contains(out, "  98       in use; 2 records damaged\n") {
		t.Errorf("ring info = %v\n%s\nwant the damage in it", err, out)
	}
}

// Damage where nothing is in force any more costs no lease, but is a sign.
func TestRingVerifyOfAnOlderSegment(t *testing.T) {
	path := writeRing(t, t.TempDir())
	put(t, path, ring.Entry{Key: "L\xc0\xa8\x01\x6b"}) // the lease that is damaged in the older one
	places := spoil(t, path, "host-107")
	out, err := ringDo(t, "verify", path)
	if err == nil || err.Error() != path+": 1 record damaged; 99 leases can be read" {
		t.Errorf("ring verify = %v; want 1 record damaged and the 99 leases that there are", err)
	}
	if out != places[0]+"damaged record in the segment at 0x0, which is older\n" {
		t.Errorf("ring verify printed %q; want %s", out, places[0])
	}
}

// What a power cut leaves is no damage: the end of a batch, or half a segment.
func TestRingVerifyOfATornRing(t *testing.T) {
	path := writeRing(t, t.TempDir())
	b := content(t, path)
	last := bytes.LastIndex(b, []byte("host-199"))
	copy(b[last:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	change(t, path, b)
	if out, err := ringDo(t, "verify", path); err != nil || !strings.Contains(out, "good; 99 leases") {
		t.Errorf("without the end of the last record: ring verify = %v, %q", err, out)
	}
	put(t, path, ring.Entry{Key: "wan"})
	b = content(t, path)
	half := bytes.Index(b[flash.FileBlockSize:], []byte("host-150"))
	copy(b[flash.FileBlockSize+half:2*flash.FileBlockSize], bytes.Repeat([]byte{0xff}, flash.FileBlockSize))
	change(t, path, b)
	if out, err := ringDo(t, "verify", path); err != nil || !strings.Contains(out, "good; 99 leases") {
		t.Errorf("with half a snapshot: ring verify = %v, %q", err, out)
	}
	if out, err := ringDo(t, "info", path); err != nil || !strings.Contains(out, "torn: no commit record") {
		t.Errorf("with half a snapshot: ring info = %v\n%s", err, out)
	}
}

// Of a ring whose only header is damaged nothing can be read, and that is not
// the same as an empty one.
func TestRingVerifyWithoutAHeader(t *testing.T) {
	path := writeRing(t, t.TempDir())
	b := content(t, path)
	b[20] ^= 1
	change(t, path, b)
	out, err := ringDo(t, "verify", path)
	if err == nil || !strings.Contains(err.Error(), path+": there was a ring, but no segment of it can be read") {
		t.Errorf("ring verify = %v, %q; want an error", err, out)
	}
}

// A file that lost its end, as on a full disk, is read as far as it goes.
func TestRingOfOddLength(t *testing.T) {
	for _, lost := range []int64{1, 512, flash.FileBlockSize, flash.FileBlockSize + 1} {
		path := writeRing(t, t.TempDir())
		if err := os.Truncate(path, 4*flash.FileBlockSize-lost); err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"info", "verify"} {
			out, err := ringDo(t, what, path)
			if lost > flash.FileBlockSize && errors.Is(err, ring.ErrGeometry) {
				continue // two blocks are no device for a ring
			}
			if err != nil || !strings.Contains(out, "100 leases") {
				t.Errorf("without %d octets: ring %s = %v\n%s", lost, what, err, out)
			}
		}
	}
}

func TestRingFormat(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "new")
	if out, err := ringDo(t, "format", made); err != nil || out != made+": an empty ring on 4 erase blocks of 65536 octets\n" {
		t.Errorf("ring format of nothing = %v, %q", err, out)
	}
	path := writeRing(t, dir)
	put(t, path, ring.Entry{Key: "wan", Value: []byte("?")}) // a second segment is erased
	if _, err := ringDo(t, "format", path); err == nil || !strings.Contains(err.Error(), "holds 100 leases; -force forgets them") {
		t.Errorf("ring format = %v; want a warning", err)
	}
	if _, err := ringDo(t, "format", "-force", path); err != nil {
		t.Errorf("ring format -force = %v", err)
	}
	out, err := ringDo(t, "info", path)
	if err != nil || !strings.Contains(out, "\n0 leases; 0 records") {
		t.Errorf("then ring info = %v\n%s\nwant nothing in it", err, out)
	}
	if !strings.Contains(out, "erased [2 2 1 0] times") {
		t.Errorf("ring info printed\n%s\nwant the erases counted on", out)
	}
}

// A partition must not be emptied under the router that serves from it.
func TestRingFormatOfALockedRing(t *testing.T) {
	path := household(t)
	before := content(t, path)
	for _, args := range [][]string{{"format", "-force", path}} {
		if _, err := ringDo(t, args...); !errors.Is(err, flash.ErrLocked) || !strings.Contains(err.Error(), path) {
			t.Errorf("ring %v = %v; want ErrLocked and the path", args, err)
		}
	}
	if !bytes.Equal(before, content(t, path)) {
		t.Error("the ring was changed")
	}
}

// An empty path is a variable that was not set, and not the ring of the router.
func TestRingFormatOfNoPath(t *testing.T) {
	if _, err := ringDo(t, "format", "-force", ""); err == nil || !strings.HasPrefix(err.Error(), "ring format: which ring?") {
		t.Errorf("ring format '' = %v", err)
	}
}
