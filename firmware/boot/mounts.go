package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"leasehold/firmware/config"
)

// A mountPoint is one line of what other systems have in /etc/fstab.
type mountPoint struct {
	fstype, path string
	flags        uintptr
	data         string
	optional     bool // not every kernel has it
}

const quiet = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// mountPoints are those besides /dev, in order.
var mountPoints = []mountPoint{
	{"proc", "/proc", quiet, "", false},
	{"sysfs", "/sys", quiet, "", false},
	{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=620,ptmxmode=666", true},
	{"tmpfs", "/tmp", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777", false},
	{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755", false},
	{"pstore", pstoreDir, quiet, "", true},
}

// mountAll mounts what is not mounted already.
func (s system) mountAll() {
	for _, m := range mountPoints {
		if err := s.mountOne(m); err != nil && !m.optional {
			s.log.Error("not mounted", "path", m.path, "err", err)
		}
	}
}

func (s system) mountOne(m mountPoint) error {
	if s.isMount(m.path) {
		return nil
	}
	err := os.MkdirAll(s.path(m.path), 0o755)
	if err != nil && !s.isDir(m.path) {
		return err
	}
	return s.mount(m.fstype, s.path(m.path), m.fstype, m.flags, m.data)
}

func (s system) isDir(p string) bool {
	info, err := os.Stat(s.path(p))
	return err == nil && info.IsDir()
}

// isMount reports whether something is mounted at p, as its device tells.
func (s system) isMount(p string) bool {
	var at, above unix.Stat_t
	return unix.Stat(s.path(p), &at) == nil && unix.Stat(s.path(filepath.Dir(p)), &above) == nil && at.Dev != above.Dev
}

// mountDev mounts the device nodes, or where the kernel makes none, room for
// them, which makeNodes fills.
func (s system) mountDev() error {
	const flags = unix.MS_NOSUID | unix.MS_NOEXEC
	err := s.mountOne(mountPoint{fstype: "devtmpfs", path: "/dev", flags: flags, data: "mode=755"})
	if err == nil {
		return nil
	}
	if err := s.mountOne(mountPoint{fstype: "tmpfs", path: "/dev", flags: flags, data: "mode=755"}); err != nil {
		return err
	}
	// /sys is not there yet, and the console is wanted before it.
	return errors.Join(
		s.node(device{name: "console", char: true, major: 5, minor: 1, mode: 0o600}),
		s.node(device{name: "null", char: true, major: 1, minor: 3, mode: 0o666}),
	)
}

// makeNodes makes a node for every device that has none, unless the kernel does.
func (s system) makeNodes() {
	if mounts, err := s.read("/proc/mounts"); err == nil && strings.Contains(string(mounts), " /dev devtmpfs ") {
		return
	}
	for _, kind := range []string{"char", "block"} {
		dir := filepath.Join("/sys/dev", kind)
		entries, err := os.ReadDir(s.path(dir))
		if err != nil {
			s.log.Error("no device nodes made", "err", err)
			return
		}
		for _, e := range entries {
			text, err := s.read(filepath.Join(dir, e.Name(), "uevent"))
			if err != nil {
				continue // unplugged meanwhile
			}
			d, ok := parseUevent(string(text))
			d.char = kind == "char"
			if !ok {
				continue
			}
			if err := s.node(d); err != nil {
				s.log.Error("no device node", "err", err)
			}
		}
	}
}

// A device is what a uevent says of one.
type device struct {
	name         string // under /dev: mtd0, bus/usb/001/001
	char         bool
	major, minor uint32
	mode         uint32
}

// parseUevent reads a device's uevent file: KEY=value, one a line. One that
// names no node under /dev is not ok.
func parseUevent(text string) (d device, ok bool) {
	d.mode = 0o600
	seen := 0
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		var err error
		switch key {
		case "DEVNAME":
			d.name = value
		case "MAJOR":
			d.major, err = number(value, 10, 12)
			seen++
		case "MINOR":
			d.minor, err = number(value, 10, 20)
			seen++
		case "DEVMODE":
			d.mode, err = number(value, 8, 9)
		}
		if err != nil {
			return device{}, false
		}
	}
	return d, seen == 2 && d.name != "" && filepath.IsLocal(d.name) && filepath.Clean(d.name) == d.name && d.name != "."
}

func number(s string, base, bits int) (uint32, error) {
	n, err := strconv.ParseUint(s, base, bits)
	return uint32(n), err
}

// node makes the node of a device, unless it is there.
func (s system) node(d device) error {
	path := s.path(filepath.Join("/dev", d.name))
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	kind := uint32(unix.S_IFBLK)
	if d.char {
		kind = unix.S_IFCHR
	}
	err := s.mknod(path, kind|d.mode, int(unix.Mkdev(d.major, d.minor)))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("mknod %s: %w", path, err)
	}
	return nil
}

// mountState mounts the file system that the ring is a file on. If that cannot
// be, the directory goes: a ring in memory that looks like one on flash would
// have leases promised that are not kept.
func (s system) mountState(at config.State) {
	m := mountPoint{path: config.StateDir, flags: quiet}
	source := at.Device
	switch {
	case at.File == "":
		return
	case at.Volume != "":
		source, m.fstype = "ubi0:"+at.Volume, "ubifs"
	default:
		m.fstype = at.FS
	}
	if s.isMount(m.path) {
		return
	}
	err := os.MkdirAll(s.path(m.path), 0o755)
	if err == nil {
		err = s.mount(source, s.path(m.path), m.fstype, m.flags, m.data)
	}
	if err != nil {
		s.log.Error("no place for the leases", "mount", source, "fs", m.fstype, "err", err)
		os.Remove(s.path(m.path))
	}
}
