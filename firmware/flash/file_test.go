package flash

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func mustOpen(t *testing.T, path string, size int64) *File {
	t.Helper()
	d, err := OpenFile(path, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestOpenFileCreatesABlankDevice(t *testing.T) {
	dir := t.TempDir()
	d := mustOpen(t, filepath.Join(dir, "ring"), 3*FileBlockSize-1)
	if d.Blocks() != 3 || d.BlockSize() != FileBlockSize {
		t.Errorf("%d blocks of %d octets; want 3 of %d", d.Blocks(), d.BlockSize(), FileBlockSize)
	}
	b := make([]byte, 3*FileBlockSize)
	if _, err := d.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte{0xff}); n != len(b) {
		t.Errorf("%d of %d octets are not blank", len(b)-n, len(b))
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 1 {
		t.Errorf("%d files in the directory; want 1", len(files))
	}
}

func TestOpenFileAfterACutCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	if err := os.WriteFile(path+".new", []byte("half a device"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d := mustOpen(t, path, 3*FileBlockSize); d.Blocks() != 3 {
		t.Errorf("%d blocks; want 3", d.Blocks())
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the cut left is still there: %v", err)
	}
}

func TestOneOfManyCreatesAndHasTheDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	won := make(chan *File, 8)
	var wg sync.WaitGroup
	for range cap(won) {
		wg.Go(func() {
			d, err := OpenFile(path, FileBlockSize)
			if err == nil {
				won <- d
			} else if !errors.Is(err, ErrLocked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(won)
	n := 0
	for d := range won {
		n++
		d.Close()
	}
	if n != 1 {
		t.Errorf("%d have the device; want 1", n)
	}
}

func TestOpenFileKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	d := mustOpen(t, path, 3*FileBlockSize)
	if err := d.Program([]byte("lease"), FileBlockSize+7); err != nil {
		t.Fatal(err)
	}
	d.Close()
	d = mustOpen(t, path, FileBlockSize)
	b := make([]byte, 5)
	if _, err := d.ReadAt(b, FileBlockSize+7); err != nil || string(b) != "lease" || d.Blocks() != 3 {
		t.Errorf("ReadAt = %q, %v on %d blocks", b, err, d.Blocks())
	}
	if err := d.Erase(1); err != nil {
		t.Fatal(err)
	}
	if d.ReadAt(b, FileBlockSize+7); !bytes.Equal(b, blank(5)) {
		t.Errorf("after the erase it reads %q", b)
	}
}

func TestOpenFileMakesAShortFileLonger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	for _, test := range []struct{ was, size, want int }{
		{0, 3 * FileBlockSize, 3},
		{100, 3 * FileBlockSize, 3},
		{FileBlockSize + 1, 3*FileBlockSize - 4096, 3},
		{3*FileBlockSize - 4096, 3 * FileBlockSize, 3},
		{2 * FileBlockSize, 3 * FileBlockSize, 3},
		{2*FileBlockSize + 5, FileBlockSize, 3},
		{3 * FileBlockSize, 1, 3},
		{100, 0, 1},
	} {
		old := bytes.Repeat([]byte{0xa5}, test.was)
		if err := os.WriteFile(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
		d := mustOpen(t, path, int64(test.size))
		d.Close()
		got, _ := os.ReadFile(path)
		want := append(old, blank(test.want*FileBlockSize-test.was)...)
		if d.Blocks() != test.want || !bytes.Equal(got, want) {
			t.Errorf("%d octets opened for %d: %d blocks in a file of %d; want %d, the rest blank",
				test.was, test.size, d.Blocks(), len(got), test.want)
		}
	}
}

func TestOpenFileCleansUpAfterACutCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	mustOpen(t, path, FileBlockSize).Close()
	if err := os.WriteFile(path+".new", []byte("half a device"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path, FileBlockSize)
	if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the cut left is still there: %v", err)
	}
}

// smallDisk mounts a file system of some octets.
func smallDisk(t *testing.T, size int, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skip("cannot mount: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestOpenFileOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 2*FileBlockSize+4096, 0)
	path := filepath.Join(dir, "ring")
	_, err := OpenFile(path, 3*FileBlockSize)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Errorf("a new one: %v; want ENOSPC", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v is left behind", left)
	}
	mustOpen(t, path, FileBlockSize).Close()
	if d := mustOpen(t, path, 9*FileBlockSize); d.Blocks() != 1 {
		t.Errorf("an old one has %d blocks now; want 1", d.Blocks())
	}
	if info, _ := os.Stat(path); info.Size() != FileBlockSize {
		t.Errorf("the file has %d octets now", info.Size())
	}
}

func TestOpenFileOnAReadOnlyDisk(t *testing.T) {
	path := filepath.Join(smallDisk(t, FileBlockSize, unix.MS_RDONLY), "ring")
	if _, err := OpenFile(path, FileBlockSize); !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v; want EROFS", err)
	}
}

func TestOpenFileIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	d := mustOpen(t, path, FileBlockSize)
	if _, err := OpenFile(path, FileBlockSize); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second OpenFile = %v; want ErrLocked", err)
	}
	r, err := OpenFileReadOnly(path)
	if err != nil {
		t.Fatalf("OpenFileReadOnly beside the daemon = %v", err)
	}
	r.Close()
	d.Close()
	mustOpen(t, path, FileBlockSize)
}

func TestReadOnlyChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	if _, err := OpenFileReadOnly(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenFileReadOnly of nothing = %v", err)
	}
	mustOpen(t, path, FileBlockSize).Close()
	d, err := OpenFileReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, err := range []error{d.Erase(0), d.Program([]byte{0}, 0)} {
		if err == nil || !strings.Contains(err.Error(), "erase block 0 of "+path) {
			t.Errorf("%v; want an error that names the place", err)
		}
	}
}

func TestReadOnlySeesWholeBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	for _, test := range []struct {
		size   int
		blocks int
		err    error
	}{
		{0, 0, ErrSize},
		{FileBlockSize - 1, 0, ErrSize},
		{FileBlockSize, 1, nil},
		{3*FileBlockSize - 1, 2, nil},
	} {
		if err := os.WriteFile(path, blank(test.size), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := OpenFileReadOnly(path)
		if !errors.Is(err, test.err) {
			t.Errorf("%d octets: %v; want %v", test.size, err, test.err)
		}
		if err != nil {
			continue
		}
		if d.Blocks() != test.blocks {
			t.Errorf("%d octets: %d blocks; want %d", test.size, d.Blocks(), test.blocks)
		}
		d.Close()
	}
}

func TestOpenFileSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenFile(dir, FileBlockSize); err == nil {
		t.Error("a directory was opened")
	}
	if _, err := OpenFile(filepath.Join(dir, "no", "ring"), FileBlockSize); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := OpenFile(filepath.Join(dir, "other"), 0); err == nil {
		t.Error("a device of no octets was made")
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(empty, 0); !errors.Is(err, ErrSize) {
		t.Errorf("an empty file for nothing: %v", err)
	}
}

func TestOutsideIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	d := mustOpen(t, path, 2*FileBlockSize)
	for _, err := range []error{
		d.Erase(2), d.Erase(-1),
		d.Program([]byte{1, 2}, 2*FileBlockSize-1), d.Program([]byte{1}, -1),
	} {
		if err == nil {
			t.Error("an operation outside the file returned nil")
		}
	}
	if info, _ := os.Stat(path); info.Size() != 2*FileBlockSize {
		t.Errorf("the file has %d octets now", info.Size())
	}
	if err := d.Program(nil, 2*FileBlockSize); err != nil {
		t.Errorf("nothing at the end: %v", err)
	}
}
