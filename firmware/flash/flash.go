// Package flash is the flash under the ring, for those who have none: a plain
// file that is divided into erase blocks.
//
// It keeps the promises of firmware/ring.Device, that what was programmed or
// erased is durable when nil is returned, and that only one process changes it
// at a time. It is not a flash translation layer: it neither levels wear nor
// keeps the rules of NOR flash. Those are the ring's, and package flashtest
// checks them.
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

var (
	// ErrLocked: another process has the file open for writing.
	ErrLocked = errors.New("in use by another process")
	// ErrSize: the length of the file is not a whole number of erase blocks.
	ErrSize = errors.New("not a whole number of erase blocks")

	errReadOnly = errors.New("opened read-only")
	errOutside  = errors.New("outside the file")
)

// A File is a device in a plain file.
type File struct {
	f        *os.File
	blocks   int
	readOnly bool
}

// OpenFile opens the device at path for this process alone. If there is none,
// it makes one of size octets, rounded up to whole blocks; one that is there
// keeps the size it has. It returns ErrLocked while another process has the
// device, and ErrSize if the file was cut short.
func OpenFile(path string, size int64) (*File, error) {
	f, err := openOrCreate(path, size)
	if err != nil {
		return nil, err
	}
	d, err := newFile(f, false)
	if err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

// OpenFileReadOnly opens the device at path to look at it, also while another
// process writes to it.
func OpenFileReadOnly(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d, err := newFile(f, true)
	if err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

func openOrCreate(path string, size int64) (*os.File, error) {
	f, err := openLocked(path)
	if !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	if err := create(path, size); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
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
		return nil, err
	}
	return f, nil
}

// lock takes f for this process, or returns ErrLocked.
func lock(f *os.File) error {
	err := control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		err = ErrLocked
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

func newFile(f *os.File, readOnly bool) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: not a plain file", f.Name())
	}
	if n := info.Size(); n == 0 || n%FileBlockSize != 0 {
		return nil, fmt.Errorf("open %s: %d octets: %w of %d", f.Name(), n, ErrSize, FileBlockSize)
	}
	return &File{f: f, blocks: int(info.Size() / FileBlockSize), readOnly: readOnly}, nil
}

// create makes a blank device under another name and only then gives it its
// own, so that a power cut leaves either no device or a whole one. It returns
// os.ErrExist if somebody else was faster: the lock on the directory lets one
// at a time do this.
func create(path string, size int64) error {
	if size <= 0 {
		return fmt.Errorf("create %s: a size of %d octets", path, size)
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
	blocks := int((size + FileBlockSize - 1) / FileBlockSize)
	if err := writeBlank(path+".new", blocks); err != nil {
		os.Remove(path + ".new")
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return dir.Sync()
}

// writeBlank writes every octet, so that later writes neither run out of space
// nor change the metadata of the file.
func writeBlank(path string, blocks int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	blank := blankBlock()
	for range blocks {
		if _, err := f.Write(blank); err != nil {
			f.Close()
			return err
		}
	}
	return errors.Join(f.Sync(), f.Close())
}

func blankBlock() []byte {
	b := make([]byte, FileBlockSize)
	for i := range b {
		b[i] = 0xff
	}
	return b
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
	if _, err := d.f.WriteAt(blankBlock(), off); err != nil {
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

// where says which block of which file it was that failed. The path error of
// package os would name the file a second time.
func (d *File) where(off int64, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("erase block %d of %s: %w", off/FileBlockSize, d.f.Name(), err)
}
