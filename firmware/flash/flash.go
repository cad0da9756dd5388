// Package flash is the flash under the ring: an MTD partition, or a part of
// one, and for those who have none a plain file that is divided into erase
// blocks.
//
// It keeps the promises of firmware/ring.Device, that what was programmed or
// erased is durable when nil is returned, and that only one process changes it
// at a time. It is not a flash translation layer: it neither levels wear nor
// keeps the rules of NOR flash, of which a file knows none. Those are the
// ring's, and package flashtest checks them. It looks at nothing that is
// stored: whether a partition is free to be written to is for its caller to
// find out.
//
// A partition has to be NOR flash that takes writes of 8 octets. On NAND flash,
// which does not, a file on UBIFS is the place for a ring.
package flash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

var (
	// ErrLocked: another process has the device open for writing.
	ErrLocked = errors.New("in use by another process")
	// ErrSize: the file has no whole erase block.
	ErrSize = errors.New("shorter than an erase block")
	// ErrUnsuitable: the MTD cannot be written in pieces as small as the ring's.
	ErrUnsuitable = errors.New("does not suit: put a file on UBIFS there instead")
	// ErrWriteProtected: the kernel lets nobody write to the MTD partition.
	ErrWriteProtected = errors.New("the partition is write-protected")

	errReadOnly = errors.New("opened read-only")
	errOutside  = errors.New("outside the device")
)

// A Device is flash in erase blocks.
type Device interface {
	BlockSize() int // octets of an erase block
	Blocks() int    // number of erase blocks
	ReadAt(p []byte, off int64) (int, error)
	Program(p []byte, off int64) error // durable when nil
	Erase(block int) error             // durable when nil
	Close() error                      // gives it free for other processes
}

// A Place says where a device is.
type Place struct {
	Path  string // a plain file; /dev/mtdN; or mtd:NAME, the MTD partition of that name
	AtEnd int64  // octets at the end of the partition, rounded up to whole erase blocks; 0: all of it. For MTD only.
}

func (p Place) String() string {
	switch {
	case p.AtEnd == 0:
		return p.Path
	case p.AtEnd%1024 != 0:
		return fmt.Sprintf("%s, last %d octets", p.Path, p.AtEnd)
	}
	return fmt.Sprintf("%s, last %d KiB", p.Path, p.AtEnd/1024)
}

// Open opens the device at p for this process alone. A plain file is to have
// size octets, rounded up to whole erase blocks: one that is not there is made,
// one that is shorter is made longer, and one that the file system has no room
// to make longer stays as it is. An MTD keeps its size. It returns ErrLocked
// while another process has the device.
func Open(p Place, size int64) (Device, error) {
	mtd, err := p.isMTD()
	if err != nil {
		return nil, err
	}
	if mtd {
		return kernel.open(p)
	}
	d, err := OpenFile(p.Path, size)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// OpenReadOnly opens the device at p to look at it, also while another process
// writes to it.
func OpenReadOnly(p Place) (Device, error) {
	mtd, err := p.isMTD()
	if err != nil {
		return nil, err
	}
	if mtd {
		return kernel.openReadOnly(p)
	}
	d, err := OpenFileReadOnly(p.Path)
	if err != nil {
		return nil, err
	}
	return d, nil
}

const (
	byName = "mtd:"
	byNode = "/dev/mtd"
)

// isMTD tells an MTD from a plain file by its path alone: one that is not there
// must not become a file in /dev, which is gone at the next boot.
func (p Place) isMTD() (bool, error) {
	path := filepath.Clean(p.Path)
	switch {
	case strings.HasPrefix(path, "/dev/mtdblock"):
		return false, fmt.Errorf("open %s: a block device hides what the flash does: use %s%s",
			p.Path, byNode, strings.TrimPrefix(path, "/dev/mtdblock"))
	case strings.HasPrefix(p.Path, byName), strings.HasPrefix(path, byNode):
		return true, nil
	case p.AtEnd != 0:
		return false, fmt.Errorf("open %s: only an MTD partition has a part at its end", p.Path)
	}
	return false, isPlain(p.Path)
}

// isPlain returns an error if there is something at path that is no file. To
// open a pipe would be to wait for whoever writes to it.
func isPlain(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("open %s: neither a plain file nor an MTD partition (%sNAME or %sN)", path, byName, byNode)
}
