package flash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const procMTD = `dev:    size   erasesize  name
mtd0: 00020000 00001000 "u-boot"
mtd5: 00010800 00001000 "leases"
mtd12: 00010000 00001000 "board data "old""
`

func TestParseTable(t *testing.T) {
	for text, want := range map[string][]partition{
		"":                                 nil,
		"dev:    size   erasesize  name\n": nil,
		procMTD:                            {{0, "u-boot"}, {5, "leases"}, {12, `board data "old"`}},
		`mtd1: 00080000 00010000 ""`:       {{1, ""}},
		"mtd1: 00080000 00010000 \"cut":    nil,
		"mtd: 0 0 \"a\"\nmtdx: 0 0 \"b\"":  nil,
		"mtd99999: 0 0 \"a\"":              nil,
		"mtd1: 0 0 \"a: mtd2\"\r\nrubbish": {{1, "a: mtd2"}},
	} {
		if got := parseTable(text); !reflect.DeepEqual(got, want) {
			t.Errorf("parseTable(%q) = %v; want %v", text, got, want)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add(procMTD)
	f.Fuzz(func(t *testing.T, text string) {
		table := parseTable(text)
		var again strings.Builder
		for _, p := range table {
			fmt.Fprintf(&again, "mtd%d: 00000000 00000000 \"%s\"\n", p.number, p.name)
		}
		if got := parseTable(again.String()); !reflect.DeepEqual(got, table) {
			t.Errorf("%v became %v", table, got)
		}
	})
}

const (
	sector  = 4096
	sectors = 16
)

// A fakeChip is NOR flash as the kernel shows it, with an odd tail that is no
// whole sector.
type fakeChip struct {
	unix.MtdInfo
	cells    []byte
	fails    map[int]error // what to program or to erase a sector returns
	bad      map[int]bool
	locked   map[int]bool
	deaf     bool  // a locked sector ignores writes instead of returning EIO
	mute     bool  // cannot be asked for bad blocks and locks
	keyhole  int   // writes end early after so many octets; 0: never
	noUnlock error // what unlock returns
	claimed  bool
	syncs    int

	unlocked []unix.EraseInfo
}

func newChip() *fakeChip {
	size := sectors*sector + sector/2
	return &fakeChip{
		MtdInfo: unix.MtdInfo{
			Type: unix.MTD_NORFLASH, Flags: unix.MTD_CAP_NORFLASH,
			Size: uint32(size), Erasesize: sector, Writesize: 1,
		},
		cells: make([]byte, size),
		fails: map[int]error{}, bad: map[int]bool{}, locked: map[int]bool{},
	}
}

// An open fakeChip.
type fakeFile struct {
	*fakeChip
	flag int
	mine bool // it has the claim
}

func (f *fakeFile) info() (unix.MtdInfo, error) { return f.MtdInfo, nil }

func (f *fakeFile) Close() error {
	if f.mine {
		f.claimed = false
	}
	return nil
}

func (f *fakeFile) claim() error {
	if f.claimed {
		return ErrLocked
	}
	f.claimed, f.mine = true, true
	return nil
}

func (f *fakeFile) ReadAt(p []byte, off int64) (int, error) {
	if f.bad[int(off)/sector] {
		return 0, &os.PathError{Op: "read", Path: "/dev/mtd5", Err: unix.EIO}
	}
	return bytes.NewReader(f.cells).ReadAt(p, off)
}

func (f *fakeFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.refuses(int(off) / sector)
	if err != nil {
		return 0, &os.PathError{Op: "write", Path: "/dev/mtd5", Err: err}
	}
	if f.locked[int(off)/sector] {
		return len(p), nil
	}
	n := len(p)
	if f.keyhole > 0 {
		n = min(n, f.keyhole)
		err = io.ErrShortWrite
	}
	for i, b := range p[:n] {
		f.cells[int(off)+i] &= b
	}
	return n, err
}

func (f *fakeFile) erase(at unix.EraseInfo) error {
	block := int(at.Start) / sector
	if err := f.refuses(block); err != nil {
		return err
	}
	if at.Start%sector != 0 || at.Length != sector {
		return unix.EINVAL
	}
	if !f.locked[block] {
		fillBlank(f.cells[at.Start : at.Start+at.Length])
	}
	return nil
}

func (f *fakeFile) refuses(block int) error {
	switch {
	case f.flag == os.O_RDONLY:
		return unix.EBADF
	case f.locked[block] && !f.deaf:
		return unix.EIO
	}
	return f.fails[block]
}

func (f *fakeFile) isBad(off int64) (bool, error) {
	if f.mute {
		return false, unix.EOPNOTSUPP
	}
	return f.bad[int(off)/sector], nil
}

func (f *fakeFile) isLocked(at unix.EraseInfo) (bool, error) {
	if f.mute {
		return false, unix.EOPNOTSUPP
	}
	return f.locked[int(at.Start)/sector], nil
}

func (f *fakeFile) unlock(at unix.EraseInfo) error {
	f.unlocked = append(f.unlocked, at)
	if f.noUnlock != nil {
		return f.noUnlock
	}
	for block := at.Start / sector; block < (at.Start+at.Length)/sector; block++ {
		delete(f.locked, int(block))
	}
	return nil
}

func (f *fakeFile) sync() error {
	f.syncs++
	return nil
}

// board is a system whose mtd0, mtd5 and mtd12 are all c.
func board(t *testing.T, c *fakeChip) system {
	t.Helper()
	dir := t.TempDir()
	s := system{table: filepath.Join(dir, "mtd"), dev: dir}
	s.openChip = func(node string, flag int) (chip, error) {
		if _, err := os.Stat(node); err != nil {
			return nil, err
		}
		if flag != os.O_RDONLY && c.Flags&unix.MTD_WRITEABLE == 0 {
			return nil, &os.PathError{Op: "open", Path: node, Err: unix.EACCES}
		}
		return &fakeFile{fakeChip: c, flag: flag}, nil
	}
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(s.table, procMTD)
	for _, node := range []string{"mtd0", "mtd5", "mtd12"} {
		write(filepath.Join(dir, node), "")
	}
	return s
}

func openLeases(t *testing.T, c *fakeChip, atEnd int64) Device {
	t.Helper()
	d, err := board(t, c).open(Place{"mtd:leases", atEnd})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func wantError(t *testing.T, what string, err error, why string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: %v; want %q", what, err, why)
	}
}

func TestMTDsAreFoundByNameAndByNode(t *testing.T) {
	s := board(t, newChip())
	for path, want := range map[string]partition{
		"mtd:leases":           {5, "leases"},
		`mtd:board data "old"`: {12, `board data "old"`},
		"/dev/mtd5":            {5, "leases"},
		"/dev//mtd0":           {0, "u-boot"},
	} {
		if got, err := s.find(path); got != want || err != nil {
			t.Errorf("find(%q) = %v, %v; want %v", path, got, err, want)
		}
	}
}

func TestAnMTDNeedsNoProc(t *testing.T) {
	s := board(t, newChip())
	os.Remove(s.table)
	d, err := s.open(Place{Path: "/dev/mtd5"})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	_, err = s.open(Place{Path: "mtd:leases"})
	wantError(t, "by name", err, s.table)
}

func TestAPlainFileIsNoMTD(t *testing.T) {
	s := board(t, newChip())
	s.openChip = openMTD
	_, err := s.open(Place{Path: "/dev/mtd5"})
	if errors.Is(err, unix.ENOSYS) {
		t.Skip("qemu-user knows no MTD: ", err)
	}
	wantError(t, "open", err, `open mtd5 "leases": not the node of an MTD`)
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	s := board(t, newChip())
	os.Remove(filepath.Join(s.dev, "mtd12"))
	three := `there are mtd0 "u-boot", mtd5 "leases", mtd12 "board data \"old\""`
	for path, why := range map[string]string{
		"mtd:lease":  `named "lease": ` + three,
		"mtd:":       `named "": ` + three,
		"/dev/mtd7":  "mtd7: " + three,
		"/dev/mtd12": `mtd12: mknod ` + s.dev + "/mtd12 c 90 24",
		"/dev/mtd/5": "mtd:NAME or /dev/mtdN",
	} {
		_, err := s.open(Place{Path: path})
		wantError(t, path, err, why)
	}
	os.WriteFile(s.table, []byte("mtd1: 0 0 \"a\"\nmtd3: 0 0 \"a\"\n"), 0o600)
	_, err := s.open(Place{Path: "mtd:a"})
	wantError(t, "two of the same name", err, `choose one as /dev/mtdN: mtd1 "a", mtd3 "a"`)
}

func TestOnlyFlashThatSuitsIsOpened(t *testing.T) {
	nor := newChip().MtdInfo
	with := func(change func(i *unix.MtdInfo)) unix.MtdInfo {
		i := nor
		change(&i)
		return i
	}
	tests := []struct {
		name string
		info unix.MtdInfo
		want error
		why  string
	}{
		{"NOR", nor, nil, ""},
		{"NOR in double words", with(func(i *unix.MtdInfo) { i.Writesize = 8 }), nil, ""},
		{"RAM", with(func(i *unix.MtdInfo) { i.Type, i.Flags = unix.MTD_RAM, unix.MTD_CAP_RAM }), nil, ""},
		{"NOR with ECC", with(func(i *unix.MtdInfo) { i.Writesize = 16 }), ErrUnsuitable, "a write size of 16 octets does not suit"},
		{"odd writes", with(func(i *unix.MtdInfo) { i.Writesize = 3 }), ErrUnsuitable, "a write size of 3 octets"},
		{"no writes", with(func(i *unix.MtdInfo) { i.Writesize = 0 }), ErrUnsuitable, "a write size of 0 octets"},
		{"no erase", with(func(i *unix.MtdInfo) { i.Erasesize = 0 }), ErrUnsuitable, "an erase block of 0 octets"},
		{"NAND", with(func(i *unix.MtdInfo) { i.Type = unix.MTD_NANDFLASH }), ErrUnsuitable, "NAND flash does not suit: put a file on UBIFS"},
		{"MLC NAND", with(func(i *unix.MtdInfo) { i.Type = unix.MTD_MLCNANDFLASH }), ErrUnsuitable, "NAND flash does not suit: put a file on UBIFS"},
		{"UBI", with(func(i *unix.MtdInfo) { i.Type = unix.MTD_UBIVOLUME }), ErrUnsuitable, "file on UBIFS"},
		{"DataFlash", with(func(i *unix.MtdInfo) { i.Type = unix.MTD_DATAFLASH }), ErrUnsuitable, "DataFlash"},
		{"ROM", with(func(i *unix.MtdInfo) { i.Type = unix.MTD_ROM }), ErrUnsuitable, "ROM"},
		{"absent", with(func(i *unix.MtdInfo) { i.Type = unix.MTD_ABSENT }), ErrUnsuitable, "type 0"},
		{"protected", with(func(i *unix.MtdInfo) { i.Flags &^= unix.MTD_WRITEABLE }), ErrWriteProtected, ""},
	}
	for _, test := range tests {
		c := newChip()
		c.MtdInfo = test.info
		d, err := board(t, c).open(Place{Path: "mtd:leases"})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v; want %v", test.name, err, test.want)
		}
		if err == nil {
			d.Close()
			continue
		}
		wantError(t, test.name, err, test.why)
		wantError(t, test.name, err, `open mtd5 "leases": `)
	}
}

func TestAProtectedPartitionCanBeRead(t *testing.T) {
	c := newChip()
	c.Flags &^= unix.MTD_WRITEABLE
	d, err := board(t, c).openReadOnly(Place{Path: "mtd:leases"})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "Erase", d.Erase(0), errReadOnly.Error())
	wantError(t, "Program", d.Program([]byte{0}, 0), errReadOnly.Error())
}

func TestTheEndOfAPartition(t *testing.T) {
	for _, test := range []struct {
		atEnd  int64
		blocks int // 0: refused
		from   int
	}{
		{0, 16, 0},
		{1, 1, 15},
		{sector, 1, 15},
		{sector + 1, 2, 14},
		{16 * sector, 16, 0},
		{16*sector + 1, 0, 0},
		{1 << 62, 0, 0},
		{-1, 0, 0},
	} {
		c := newChip()
		d, err := board(t, c).open(Place{"mtd:leases", test.atEnd})
		if test.blocks == 0 {
			wantError(t, fmt.Sprint(test.atEnd, " octets"), err, "the partition has 67584")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if d.Blocks() != test.blocks || d.BlockSize() != sector {
			t.Errorf("%d octets are %d blocks of %d; want %d of %d", test.atEnd, d.Blocks(), d.BlockSize(), test.blocks, sector)
		}
		if err := d.Erase(0); err != nil {
			t.Error(err)
		}
		if at := bytes.IndexByte(c.cells, 0xff); at != test.from*sector {
			t.Errorf("%d octets begin at %#x; want %#x", test.atEnd, at, test.from*sector)
		}
		d.Close()
	}
}

func TestAnMTDReadsWhatWasProgrammed(t *testing.T) {
	c := newChip()
	d := openLeases(t, c, 4*sector)
	for block := range 4 {
		if err := d.Erase(block); err != nil {
			t.Fatal(err)
		}
	}
	want := blank(4 * sector)
	for _, off := range []int{0, sector - 8, 2*sector - 4, 4*sector - 8} {
		copy(want[off:], "12345678")
		if err := d.Program([]byte("12345678"), int64(off)); err != nil {
			t.Error(err)
		}
	}
	got := make([]byte, 4*sector)
	if n, err := d.ReadAt(got, 0); n != len(got) || err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAt = %d, %v, and what was programmed: %t", n, err, bytes.Equal(got, want))
	}
	if n := bytes.Count(c.cells, []byte{0}); n != len(c.cells)-4*sector {
		t.Errorf("%d octets outside of the device have changed", len(c.cells)-4*sector-n)
	}
}

func TestAnMTDEndsWhereItsLastWholeBlockEnds(t *testing.T) {
	d := openLeases(t, newChip(), 0)
	end := int64(sectors * sector)
	b := make([]byte, 16)
	if n, err := d.ReadAt(b, end-8); n != 8 || err != io.EOF {
		t.Errorf("across the end: %d, %v; want 8, EOF", n, err)
	}
	if n, err := d.ReadAt(b, end+8); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d, %v; want 0, EOF", n, err)
	}
	if n, err := d.ReadAt(b, -1); n != 0 || !errors.Is(err, errOutside) {
		t.Errorf("before the beginning: %d, %v", n, err)
	}
	for _, err := range []error{d.Erase(sectors), d.Erase(-1), d.Program(b, end-8), d.Program(b, -1)} {
		if !errors.Is(err, errOutside) {
			t.Errorf("%v; want outside", err)
		}
	}
	if err := d.Program(nil, end); err != nil {
		t.Errorf("nothing at the end: %v", err)
	}
}

func TestABadBlockIsBlankAndRefused(t *testing.T) {
	c := newChip()
	c.bad[14] = true
	d := openLeases(t, c, 4*sector)
	if err := d.Erase(1); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3*sector)
	want := append(blank(2*sector), make([]byte, sector)...)
	if n, err := d.ReadAt(got, sector); n != len(got) || err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadAt around it = %d, %v", n, err)
	}
	for _, err := range []error{d.Erase(2), d.Program([]byte{0}, 2*sector), d.Program(make([]byte, 16), 2*sector-8)} {
		if !errors.Is(err, errBad) {
			t.Errorf("%v; want a bad block", err)
		}
	}
}

func TestOnlyWhatIsCalledRAMIsSynced(t *testing.T) {
	for kind, want := range map[uint8]int{unix.MTD_NORFLASH: 0, unix.MTD_RAM: 2} {
		c := newChip()
		c.Type = kind
		d := openLeases(t, c, 0)
		if err := errors.Join(d.Erase(0), d.Program([]byte("12345678"), 0)); err != nil {
			t.Error(err)
		}
		if c.syncs != want {
			t.Errorf("type %d: %d syncs; want %d", kind, c.syncs, want)
		}
	}
}

func TestFailuresNameThePlaceOnce(t *testing.T) {
	c := newChip()
	c.fails[13] = unix.EIO
	d := openLeases(t, c, 4*sector)
	for _, err := range []error{d.Erase(1), d.Program([]byte{0}, sector+8)} {
		if !errors.Is(err, unix.EIO) {
			t.Errorf("%v; want EIO", err)
		}
	}
	const want = `erase block 1 of mtd5 "leases" (0xd000): input/output error`
	if got := fmt.Sprint(d.Erase(1)); got != want {
		t.Errorf("Erase says %q; want %q", got, want)
	}
	const want2 = `erase block 1 of mtd5 "leases" (0xd008): input/output error`
	if got := fmt.Sprint(d.Program([]byte{0}, sector+8)); got != want2 {
		t.Errorf("Program says %q; want %q", got, want2)
	}
}

func TestAShortWriteIsAnError(t *testing.T) {
	c := newChip()
	c.keyhole = 4
	d := openLeases(t, c, 0)
	wantError(t, "Program", d.Program(make([]byte, 8), 0), "short write")
}

func TestLockedSectorsAreUnlocked(t *testing.T) {
	c := newChip()
	c.locked = map[int]bool{0: true, 12: true, 14: true}
	d := openLeases(t, c, 4*sector)
	if want := []unix.EraseInfo{{Start: 12 * sector, Length: 3 * sector}}; !reflect.DeepEqual(c.unlocked, want) {
		t.Errorf("unlocked %v; want %v", c.unlocked, want)
	}
	if err := d.Erase(2); err != nil {
		t.Error(err)
	}
	if !c.locked[0] {
		t.Error("a sector outside of the device was unlocked")
	}
}

func TestNothingIsUnlockedWithoutNeed(t *testing.T) {
	c := newChip()
	c.locked[0] = true
	openLeases(t, c, 4*sector)
	c = newChip()
	c.locked[15] = true
	d, err := board(t, c).openReadOnly(Place{Path: "mtd:leases"})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if len(c.unlocked) != 0 {
		t.Errorf("unlocked %v", c.unlocked)
	}
}

func TestAChipThatCannotBeAsked(t *testing.T) {
	c := newChip()
	c.mute, c.locked[15] = true, true
	d := openLeases(t, c, 2*sector)
	if want := []unix.EraseInfo{{Start: 14 * sector, Length: 2 * sector}}; !reflect.DeepEqual(c.unlocked, want) {
		t.Errorf("unlocked %v; want %v", c.unlocked, want)
	}
	if err := d.Erase(1); err != nil {
		t.Error(err)
	}
	c = newChip()
	c.mute, c.noUnlock, c.fails[15] = true, unix.EOPNOTSUPP, unix.EIO
	if err := openLeases(t, c, 0).Erase(15); err == nil || strings.Contains(err.Error(), "unlock") {
		t.Errorf("%v; want no word of a lock", err)
	}
}

func TestALockThatHoldsIsNamed(t *testing.T) {
	const why = `the sector would not be unlocked: operation not permitted`
	for name, deaf := range map[string]bool{"EIO": false, "silence": true} {
		c := newChip()
		c.locked[14], c.deaf, c.noUnlock = true, deaf, unix.EPERM
		d := openLeases(t, c, 4*sector)
		if err := d.Erase(1); err != nil {
			t.Errorf("%s: another sector: %v", name, err)
		}
		wantError(t, name+": Erase", d.Erase(2), why)
		wantError(t, name+": Program", d.Program([]byte("12345678"), 2*sector), why)
		wantError(t, name+": Program into it", d.Program([]byte("12345678"), 2*sector-4), why)
		wantError(t, name+": Program", d.Program([]byte("12345678"), 2*sector), `mtd5 "leases" (0xe000)`)
		delete(c.locked, 14)
		if err := d.Erase(2); err != nil {
			t.Errorf("%s: not locked after all: %v", name, err)
		}
	}
}

func TestAnMTDIsForOneProcess(t *testing.T) {
	s := board(t, newChip())
	d, err := s.open(Place{Path: "mtd:leases"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := s.open(Place{Path: "/dev/mtd5"}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), `mtd5 "leases"`) {
		t.Errorf("a second open = %v; want ErrLocked", err)
	}
	r, err := s.openReadOnly(Place{Path: "mtd:leases"})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}
