package image

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// Where the boot finds what the packer put there.
const (
	BoardFile   = "/etc/leasehold/board"  // the board's description
	ConfigFile  = "/etc/config/leasehold" // what its owner wrote, upon the board's defaults
	ModulesList = "/etc/modules-load"     // in the order of loading: path, and parameters after a blank
	modulesDir  = "/lib/modules"
	firmwareDir = "/lib/firmware"
)

// An Initramfs is the root of the router: what the kernel unpacks into RAM.
type Initramfs struct {
	Board     []byte // the text of its description
	Config    []byte // of ConfigFile
	Leasehold []byte // the binary
	Modules   Modules
	Tools     *Tools // u-root's init and a rescue shell; nil: leasehold is process 1
}

// Write writes a cpio archive. The same content makes the same bytes.
func (i Initramfs) Write(w io.Writer) error {
	a := archive{}
	a.base()
	a.file("bin/leasehold", i.Leasehold, 0o755)
	a.file(BoardFile, i.Board, 0o644)
	a.file(ConfigFile, i.Config, 0o644)
	a.modules(i.Modules)
	if i.Tools == nil {
		a.add(cpio.Symlink("init", "bin/leasehold"))
	} else {
		a.tools(i.Tools)
	}
	return a.write(w)
}

// An archive is records by their names.
type archive map[string]cpio.Record

func (a archive) add(r cpio.Record) {
	r.Name = cpio.Normalize(r.Name)
	a[r.Name] = r
}

func (a archive) file(name string, content []byte, mode uint64) {
	a.add(cpio.StaticFile(name, string(content), mode))
}

// base is what a kernel without devtmpfs needs to have a console, and mount
// points.
func (a archive) base() {
	for _, dir := range []string{"bin", "dev", "etc", "lib", "proc", "run", "state", "sys", "var"} {
		a.add(cpio.Directory(dir, 0o755))
	}
	a.add(cpio.Directory("tmp", 0o1777))
	a.add(cpio.CharDev("dev/console", 0o600, 5, 1))
	a.add(cpio.CharDev("dev/tty", 0o666, 5, 0))
	a.add(cpio.CharDev("dev/null", 0o666, 1, 3))
	a.add(cpio.CharDev("dev/urandom", 0o666, 1, 9))
	a.add(cpio.CharDev("dev/kmsg", 0o600, 1, 11))
	a.add(cpio.Symlink("etc/resolv.conf", "../tmp/resolv.conf"))
}

// modules are in a directory below that of the release, so that u-root's init,
// which loads what it finds above in the order of the alphabet, finds none.
func (a archive) modules(m Modules) {
	var list strings.Builder
	for _, mod := range m.Load {
		name := path.Join(modulesDir, m.Release, mod.Name+".ko")
		a.file(name, mod.Content, 0o644)
		list.WriteString(strings.TrimSpace(name + " " + mod.Params))
		list.WriteByte('\n')
	}
	a.file(ModulesList, []byte(list.String()), 0o644)
	for name, content := range m.Firmware {
		a.file(path.Join(firmwareDir, name), content, 0o644)
	}
}

// tools has u-root's init start leasehold, and a shell once that has ended.
func (a archive) tools(t *Tools) {
	for _, r := range t.records {
		a.add(r)
	}
	a.add(cpio.Symlink("bin/uinit", "leasehold"))
}

// write gives each record a number of its own and no date.
func (a archive) write(w io.Writer) error {
	a.parents()
	rw := cpio.Newc.Writer(w)
	for i, name := range sortedNames(a) {
		r := cpio.MakeReproducible(a[name])
		r.Ino = uint64(i + 1)
		r.NLink = 1
		if err := rw.WriteRecord(r); err != nil {
			return fmt.Errorf("initramfs: %s: %w", name, err)
		}
	}
	if err := cpio.WriteTrailer(rw); err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	return nil
}

// parents adds the directories that only their files name.
func (a archive) parents() {
	for _, name := range sortedNames(a) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := a[dir]; !ok {
				a.add(cpio.Directory(dir, 0o755))
			}
		}
	}
}

// sortedNames has directories before what is in them.
func sortedNames(a archive) []string {
	names := make([]string, 0, len(a))
	for name := range a {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// readArchive returns the records of a cpio archive that is not compressed. The
// reader of the library believes what sizes it is told, so they are looked at
// before.
func readArchive(text []byte) ([]cpio.Record, error) {
	for _, err := range cpioEntries(text) {
		if err != nil {
			return nil, fmt.Errorf("cpio archive: %w", err)
		}
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("cpio archive: %w", err)
	}
	return records, nil
}

// FileIn returns the content of a file in a cpio archive that is not compressed,
// or nil. What follows the archive does not matter.
func FileIn(archive []byte, name string) []byte {
	for e, err := range cpioEntries(archive) {
		if err == nil && cpio.Normalize(e.nameIn(archive)) == cpio.Normalize(name) {
			return archive[e.data : e.data+e.size]
		}
	}
	return nil
}

// A Share is how much of an archive a part of it takes.
type Share struct {
	Name string
	Size int64
}

// Shares says what takes the space in a cpio archive that is not compressed,
// the largest first.
func Shares(text []byte) ([]Share, error) {
	records, err := readArchive(text)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, r := range records {
		if r.FileSize > 0 {
			sizes[shareOf(r.Name)] += int64(r.FileSize)
		}
	}
	var shares []Share
	for name, size := range sizes {
		shares = append(shares, Share{name, size})
	}
	slices.SortFunc(shares, func(a, b Share) int {
		if a.Size != b.Size {
			return int(b.Size - a.Size)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return shares, nil
}

// shareOf puts modules and configuration into one line each.
func shareOf(name string) string {
	switch {
	case strings.HasPrefix(name, "lib/modules/"), strings.HasPrefix(name, "lib/firmware/"):
		return "kernel modules"
	case name == "bbin/bb":
		return "u-root tools"
	case strings.HasPrefix(name, "etc/"):
		return "configuration"
	}
	return name
}
