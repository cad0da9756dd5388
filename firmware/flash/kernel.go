package flash

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errNoMTD = errors.New("not the node of an MTD")

// kernel is the one that we run on.
var kernel = system{table: "/proc/mtd", dev: "/dev", openChip: openMTD}

// An mtdFile is the character device of an MTD.
type mtdFile struct{ *os.File }

func openMTD(node string, flag int) (chip, error) {
	f, err := os.OpenFile(node, flag, 0)
	if err != nil {
		return nil, err
	}
	return mtdFile{f}, nil
}

func (f mtdFile) claim() error { return lock(f.File) }

func (f mtdFile) info() (unix.MtdInfo, error) {
	var i unix.MtdInfo
	_, err := f.ioctl(unix.MEMGETINFO, unsafe.Pointer(&i))
	if err == unix.ENOTTY {
		err = errNoMTD
	}
	return i, err
}

func (f mtdFile) erase(at unix.EraseInfo) error {
	_, err := f.ioctl(unix.MEMERASE, unsafe.Pointer(&at))
	return err
}

func (f mtdFile) isBad(off int64) (bool, error) {
	n, err := f.ioctl(unix.MEMGETBADBLOCK, unsafe.Pointer(&off))
	return n != 0, err
}

func (f mtdFile) isLocked(at unix.EraseInfo) (bool, error) {
	n, err := f.ioctl(unix.MEMISLOCKED, unsafe.Pointer(&at))
	return n != 0, err
}

func (f mtdFile) unlock(at unix.EraseInfo) error {
	_, err := f.ioctl(unix.MEMUNLOCK, unsafe.Pointer(&at))
	return err
}

// sync opens the MTD once more: its driver is told to sync when somebody who
// might have written closes it, and in no other way.
func (f mtdFile) sync() error {
	again, err := os.OpenFile(f.Name(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return again.Close()
}

// ioctl asks until no signal comes between: to erase or to unlock twice does no
// harm.
func (f mtdFile) ioctl(request uint, arg unsafe.Pointer) (int, error) {
	for {
		var n uintptr
		err := control(f.File, func(fd int) error {
			r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
			if errno != 0 {
				return errno
			}
			n = r
			return nil
		})
		if err != unix.EINTR {
			return int(n), err
		}
	}
}
