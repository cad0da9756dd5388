package flash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// atom is what the ring programs at once: 8 octets, at a multiple of 8.
const atom = 8

var (
	errBad     = errors.New("bad block")
	errIgnored = errors.New("nothing was written")
)

// A chip is an open MTD, as the kernel shows it.
type chip interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	claim() error // for this process alone, or ErrLocked
	info() (unix.MtdInfo, error)
	erase(at unix.EraseInfo) error
	isBad(off int64) (bool, error)
	isLocked(at unix.EraseInfo) (bool, error)
	unlock(at unix.EraseInfo) error
	sync() error
}

// A system is where MTDs are found and opened.
type system struct {
	table    string // the file that lists them
	dev      string // the directory of their nodes
	openChip func(node string, flag int) (chip, error)
}

// A partition is a line of /proc/mtd.
type partition struct {
	number int
	name   string
}

func (p partition) node() string { return fmt.Sprintf("mtd%d", p.number) }

func (p partition) String() string {
	if p.name == "" {
		return p.node()
	}
	return fmt.Sprintf("%s %q", p.node(), p.name)
}

// parseTable reads /proc/mtd. What it does not understand, as the headline, it
// leaves out.
func parseTable(text string) []partition {
	var table []partition
	for line := range strings.Lines(text) {
		if p, ok := parseLine(line); ok {
			table = append(table, p)
		}
	}
	return table
}

// parseLine reads `mtd0: 00080000 00010000 "u-boot"`. The name may hold
// anything, blanks and quotes as well.
func parseLine(line string) (partition, bool) {
	node, rest, _ := strings.Cut(line, ":")
	number, ok := parseNode(node)
	from, to := strings.IndexByte(rest, '"'), strings.LastIndexByte(rest, '"')
	if !ok || from == to {
		return partition{}, false
	}
	return partition{number, rest[from+1 : to]}, true
}

func parseNode(node string) (number int, ok bool) {
	digits, ok := strings.CutPrefix(node, "mtd")
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), ok && err == nil
}

// find returns the partition that path means.
func (s system) find(path string) (partition, error) {
	text, err := os.ReadFile(s.table)
	table := parseTable(string(text))
	if name, ok := strings.CutPrefix(path, byName); ok {
		if err != nil {
			return partition{}, fmt.Errorf("find the MTD partition %q: %w", name, err)
		}
		return findName(table, name)
	}
	number, ok := parseNode(strings.TrimPrefix(filepath.Clean(path), "/dev/"))
	if !ok {
		return partition{}, fmt.Errorf("open %s: an MTD partition is %sNAME or %sN", path, byName, byNode)
	}
	return s.findNumber(table, number)
}

func findName(table []partition, name string) (partition, error) {
	var found []partition
	for _, p := range table {
		if p.name == name {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return partition{}, fmt.Errorf("no MTD partition is named %q: %s", name, thereAre(table))
	case 1:
		return found[0], nil
	}
	return partition{}, fmt.Errorf("%d MTD partitions are named %q: choose one as %sN: %s", len(found), name, byNode, list(found))
}

// findNumber also finds what is not in the table: /proc may not be mounted.
func (s system) findNumber(table []partition, number int) (partition, error) {
	for _, p := range table {
		if p.number == number {
			return p, nil
		}
	}
	p := partition{number: number}
	if _, err := os.Stat(filepath.Join(s.dev, p.node())); err != nil {
		return partition{}, fmt.Errorf("no MTD partition %s: %s", p, thereAre(table))
	}
	return p, nil
}

func thereAre(table []partition) string {
	if len(table) == 0 {
		return "there are none"
	}
	return "there are " + list(table)
}

func list(table []partition) string {
	var names []string
	for _, p := range table {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// An mtd is a device in the last blocks of an MTD partition.
type mtd struct {
	chip     chip
	part     partition
	from     int64 // octets of the partition before the device
	size     int   // of an erase block
	ram      bool  // or a disk that is called so
	bad      []bool
	locked   []bool // would not be unlocked
	whyNot   error  // what the kernel said to that
	readOnly bool
}

// open opens the device at p for this process alone.
func (s system) open(p Place) (Device, error) {
	d, err := s.inspect(p, os.O_RDWR|unix.O_SYNC)
	if err != nil {
		return nil, err
	}
	if err := d.chip.claim(); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", d.part, err)
	}
	d.unlock()
	return d, nil
}

// openReadOnly opens the device at p to look at it.
func (s system) openReadOnly(p Place) (Device, error) {
	d, err := s.inspect(p, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	d.readOnly = true
	return d, nil
}

// inspect opens the device at p with flag if it suits.
func (s system) inspect(p Place, flag int) (*mtd, error) {
	part, err := s.find(p.Path)
	if err != nil {
		return nil, err
	}
	info, err := s.info(part)
	if err == nil {
		err = suits(info, flag != os.O_RDONLY)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", part, err)
	}
	c, err := s.openNode(part, flag)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", part, err)
	}
	d, err := newMTD(c, part, info, p.AtEnd)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("open %s: %w", part, err)
	}
	return d, nil
}

// info opens the partition only to read it: to somebody who wants to write to a
// protected one, the kernel says no more than permission denied.
func (s system) info(part partition) (unix.MtdInfo, error) {
	c, err := s.openNode(part, os.O_RDONLY)
	if err != nil {
		return unix.MtdInfo{}, err
	}
	defer c.Close()
	return c.info()
}

func (s system) openNode(part partition, flag int) (chip, error) {
	node := filepath.Join(s.dev, part.node())
	c, err := s.openChip(node, flag)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the kernel has it, but there is no %s: mknod %s c 90 %d", node, node, 2*part.number)
	}
	if err != nil {
		return nil, cause(err)
	}
	return c, nil
}

// suits returns ErrUnsuitable unless the ring can program the MTD piece by
// piece, and ErrWriteProtected if it cannot at all. RAM is there for trials.
func suits(info unix.MtdInfo, writing bool) error {
	switch {
	case info.Type != unix.MTD_NORFLASH && info.Type != unix.MTD_RAM:
		return fmt.Errorf("%s %w", kind(info.Type), ErrUnsuitable)
	case info.Writesize == 0 || atom%info.Writesize != 0:
		return fmt.Errorf("a write size of %d octets %w", info.Writesize, ErrUnsuitable)
	case info.Erasesize < atom:
		return fmt.Errorf("an erase block of %d octets %w", info.Erasesize, ErrUnsuitable)
	case writing && info.Flags&unix.MTD_WRITEABLE == 0:
		return ErrWriteProtected
	}
	return nil
}

func kind(t uint8) string {
	switch t {
	case unix.MTD_ROM:
		return "ROM"
	case unix.MTD_NANDFLASH, unix.MTD_MLCNANDFLASH:
		return "NAND flash"
	case unix.MTD_DATAFLASH:
		return "DataFlash"
	case unix.MTD_UBIVOLUME:
		return "a UBI volume"
	}
	return fmt.Sprintf("an MTD of type %d", t)
}

// newMTD makes a device of the last whole blocks that hold atEnd octets, or of
// all of them.
func newMTD(c chip, part partition, info unix.MtdInfo, atEnd int64) (*mtd, error) {
	size := int64(info.Erasesize)
	there := int64(info.Size) / size
	blocks := (atEnd + size - 1) / size
	if atEnd == 0 {
		blocks = there
	}
	if blocks < 1 || blocks > there {
		return nil, fmt.Errorf("%d octets at the end: the partition has %d, in erase blocks of %d", atEnd, info.Size, size)
	}
	d := &mtd{
		chip: c, part: part, from: (there - blocks) * size, size: int(size),
		ram: info.Type == unix.MTD_RAM, locked: make([]bool, blocks),
	}
	var err error
	d.bad, err = d.badBlocks(int(blocks))
	return d, err
}

func (d *mtd) badBlocks(blocks int) ([]bool, error) {
	bad := make([]bool, blocks)
	for i := range bad {
		var err error
		bad[i], err = d.chip.isBad(d.from + int64(i)*int64(d.size))
		if errors.Is(err, unix.EOPNOTSUPP) {
			return bad, nil
		}
		if err != nil {
			return nil, fmt.Errorf("is block %d bad: %w", i, err)
		}
	}
	return bad, nil
}

// unlock unlocks the sectors of the device, since some chips lock them at every
// power-up. It goes on if it cannot: what is locked tells when it is written to.
func (d *mtd) unlock() {
	first, last, err := d.lockedBlocks()
	if err == nil && first > last {
		return
	}
	// One range and all at once: the chips that lock by a bit mask could not
	// keep a hole in it. Those that cannot be asked get all of the device.
	err = d.chip.unlock(d.sectors(first, last+1-first))
	if err == nil || errors.Is(err, unix.EOPNOTSUPP) {
		return
	}
	d.whyNot = err
	for i := first; i <= last; i++ {
		d.locked[i] = true
	}
}

// lockedBlocks returns the range of blocks to unlock: all of them if the chip
// cannot be asked.
func (d *mtd) lockedBlocks() (first, last int, err error) {
	first, last = d.Blocks(), -1
	for i := range d.Blocks() {
		locked, err := d.chip.isLocked(d.sectors(i, 1))
		if err != nil {
			return 0, d.Blocks() - 1, err
		}
		if locked {
			first, last = min(first, i), i
		}
	}
	return first, last, nil
}

// sectors are n blocks as the kernel counts them.
func (d *mtd) sectors(block, n int) unix.EraseInfo {
	return unix.EraseInfo{Start: uint32(d.from) + uint32(block*d.size), Length: uint32(n * d.size)}
}

func (d *mtd) Close() error   { return d.chip.Close() }
func (d *mtd) BlockSize() int { return d.size }
func (d *mtd) Blocks() int    { return len(d.bad) }

// ReadAt reads len(p) octets at off. A bad block reads as blank.
func (d *mtd) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, d.where(off, errOutside)
	}
	for n := 0; n < len(p); {
		at := off + int64(n)
		block := at / int64(d.size)
		if block >= int64(len(d.bad)) {
			return n, io.EOF
		}
		piece := p[n:min(len(p), n+d.size-int(at%int64(d.size)))]
		if d.bad[block] {
			fillBlank(piece)
		} else if m, err := d.chip.ReadAt(piece, d.from+at); m < len(piece) {
			return n + m, d.where(at, cause(err))
		}
		n += len(piece)
	}
	return len(p), nil
}

// Program writes p at off. It is on the medium when nil is returned.
func (d *mtd) Program(p []byte, off int64) error {
	if err := d.check(off, len(p)); err != nil || len(p) == 0 {
		return d.where(off, err)
	}
	_, err := d.chip.WriteAt(p, d.from+off)
	if err == nil {
		err = d.settle()
	}
	return d.where(off, d.heeded(p, off, cause(err)))
}

// Erase erases a block. It is on the medium when nil is returned.
func (d *mtd) Erase(block int) error {
	off := int64(block) * int64(d.size)
	if err := d.check(off, d.size); err != nil {
		return d.where(off, err)
	}
	err := d.chip.erase(d.sectors(block, 1))
	if err == nil {
		err = d.settle()
	}
	return d.where(off, d.heeded(blank(d.size), off, cause(err)))
}

// settle makes durable what the kernel may still keep to itself. Flash is
// written to at once. A disk under block2mtd, which calls itself RAM, is not,
// whatever O_SYNC asks for.
func (d *mtd) settle() error {
	if !d.ram {
		return nil
	}
	return d.chip.sync()
}

func (d *mtd) check(off int64, n int) error {
	if d.readOnly {
		return errReadOnly
	}
	if off < 0 || off+int64(n) > int64(len(d.bad))*int64(d.size) {
		return errOutside
	}
	for block := off / int64(d.size); block*int64(d.size) < off+int64(n); block++ {
		if d.bad[block] {
			return errBad
		}
	}
	return nil
}

// heeded adds to err that the sector is locked, and finds out whether want is
// there now if err is nil: some chips do nothing in a locked sector and say so
// to nobody.
func (d *mtd) heeded(want []byte, off int64, err error) error {
	first, last := off/int64(d.size), (off+int64(len(want))-1)/int64(d.size)
	if !slices.Contains(d.locked[first:last+1], true) {
		return err
	}
	if err == nil {
		got := make([]byte, len(want))
		if d.chip.ReadAt(got, d.from+off); bytes.Equal(got, want) {
			return nil
		}
		err = errIgnored
	}
	return fmt.Errorf("%w: the sector would not be unlocked: %w", err, d.whyNot)
}

// where says which block of the device it was that failed, and where that is in
// the partition.
func (d *mtd) where(off int64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("erase block %d of %s (%#x): %w", off/int64(d.size), d.part, d.from+off, err)
}
