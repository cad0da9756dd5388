package flash

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FileBlockSize is the size of an erase block of a File: that of the NOR flash
// of most routers.
const FileBlockSize = 64 << 10

// A File is a device in a plain file.
type File struct {
	f        *os.File
	blocks   int
	readOnly bool
}

// OpenFile opens the device in the file at path for this process alone, as Open
// does.
func OpenFile(path string, size int64) (*File, error) {
	if err := isPlain(path); err != nil {
		return nil, err
	}
	f, err := openOrCreate(path, size)
	if err != nil {
		return nil, err
	}
	// What a cut has left of an earlier attempt to create it.
	os.Remove(path + ".new")
	if err := lengthen(f, size); err != nil {
		f.Close()
		return nil, err
	}
	return newFile(f, false)
}

// OpenFileReadOnly opens the device in the file at path to look at it, also
// while another process writes to it. It returns ErrSize if there is not even
// one block; part of one does not count.
func OpenFileReadOnly(path string) (*File, error) {
	if err := isPlain(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return newFile(f, true)
}

func openOrCreate(path string, size int64) (*os.File, error) {
	f, err := openLocked(path)
	if !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	if err := create(path, size); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return openLocked(path)
}

// openLocked opens what is there. The lock goes with the open file, so that the
// end of the process, however it comes, is the end of the lock.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_DSYNC, 0)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// lock takes f for this process, or returns ErrLocked.
func lock(f *os.File) error {
	err := control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return err
}

// newFile makes a device of the whole blocks of f, or closes it.
func newFile(f *os.File, readOnly bool) (*File, error) {
	info, err := f.Stat()
	if err == nil && info.Size() < FileBlockSize {
		err = fmt.Errorf("open %s: %d octets: %w of %d", f.Name(), info.Size(), ErrSize, FileBlockSize)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{f: f, blocks: int(info.Size() / FileBlockSize), readOnly: readOnly}, nil
}

// create makes a blank device under another name and only then gives it its
// own, so that a power cut leaves either no device or a whole one. It returns
// os.ErrExist if somebody else was faster: the lock on the directory lets one
// at a time do this.
func create(path string, size int64) error {
	if size <= 0 {
		return fmt.Errorf("a size of %d octets", size)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := lock(dir); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, os.ErrExist)
	}
	err = createBlank(path+".new", wholeBlocks(size))
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		os.Remove(path + ".new")
		return cause(err)
	}
	return dir.Sync()
}

func createBlank(path string, size int64) error {
	os.Remove(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(writeBlank(f, 0, size), f.Sync(), f.Close())
}

// lengthen gives f at least size octets in whole blocks. A power cut leaves
// some of them: the next time goes on from there, and what the file system made
// of the last block is no worse than a block whose erase was cut.
func lengthen(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	was := info.Size()
	err = writeBlank(f, was, wholeBlocks(max(size, was)))
	if err == nil {
		return nil
	}
	err = errors.Join(err, f.Truncate(was))
	if was >= FileBlockSize && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)) {
		return nil // Better the device as it was than none.
	}
	return fmt.Errorf("make %s longer: %w", f.Name(), cause(err))
}

// writeBlank writes every octet between from and to, so that later writes
// neither run out of space nor change the metadata of the file.
func writeBlank(f *os.File, from, to int64) error {
	var fs unix.Statfs_t
	err := control(f, func(fd int) error { return unix.Fstatfs(fd, &fs) })
	if err == nil && fs.Bavail*uint64(fs.Bsize) < uint64(max(0, to-from)) {
		return unix.ENOSPC // at once: to try again and again must not wear the flash
	}
	block := blank(FileBlockSize)
	for from < to {
		n := min(FileBlockSize-from%FileBlockSize, to-from)
		if _, err := f.WriteAt(block[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// wholeBlocks rounds up.
func wholeBlocks(size int64) int64 {
	return (size + FileBlockSize - 1) / FileBlockSize * FileBlockSize
}

func blank(n int) []byte {
	b := make([]byte, n)
	fillBlank(b)
	return b
}

func fillBlank(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

// control runs fn on the descriptor and keeps it from being closed meanwhile.
func control(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Close gives the device free for other processes.
func (d *File) Close() error { return d.f.Close() }

// BlockSize returns the octets of an erase block.
func (d *File) BlockSize() int { return FileBlockSize }

// Blocks returns the number of erase blocks.
func (d *File) Blocks() int { return d.blocks }

// ReadAt reads len(p) octets at off.
func (d *File) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.f.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = d.where(off, err)
	}
	return n, err
}

// Program writes p at off. It is on the medium when nil is returned.
func (d *File) Program(p []byte, off int64) error {
	if err := d.check(off, len(p)); err != nil {
		return d.where(off, err)
	}
	if _, err := d.f.WriteAt(p, off); err != nil {
		return d.where(off, err)
	}
	return nil
}

// Erase fills a block with 0xff. It is on the medium when nil is returned.
func (d *File) Erase(block int) error {
	off := int64(block) * FileBlockSize
	if err := d.check(off, FileBlockSize); err != nil {
		return d.where(off, err)
	}
	if _, err := d.f.WriteAt(blank(FileBlockSize), off); err != nil {
		return d.where(off, err)
	}
	return nil
}

func (d *File) check(off int64, n int) error {
	if d.readOnly {
		return errReadOnly
	}
	if off < 0 || off+int64(n) > int64(d.blocks)*FileBlockSize {
		return errOutside
	}
	return nil
}

// where says which block of which file it was that failed.
func (d *File) where(off int64, err error) error {
	return fmt.Errorf("erase block %d of %s: %w", off/FileBlockSize, d.f.Name(), cause(err))
}

// cause is err without the path error of package os, which would name the file
// a second time.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Gone returns an error if the file is not what was opened any more: if it was
// removed, replaced, or cut short.
func (d *File) Gone() error {
	now, err := os.Stat(d.f.Name())
	if err != nil {
		return err
	}
	then, err := d.f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(now, then) || then.Size() < int64(d.blocks)*FileBlockSize {
		return fmt.Errorf("%s was replaced, or cut short", d.f.Name())
	}
	return nil
}
