package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ParseBoard reads the description of a board; name is the file's name, in
// problems and as what the board has to be called. A board with problems that
// are no warnings is not fit for use.
func ParseBoard(name string, text []byte) (Board, []Problem) {
	sections, problems := ParseUCI(name, text)
	r := boardReader{report: report{name, problems}}
	r.Status = Untested
	r.Compat = "1.0"
	r.Image.Ramdisk = "none"
	seen := map[string]bool{}
	for _, s := range sections {
		r.read(newBlock(&r.report, s), seen)
	}
	r.joinPorts()
	if !slices.ContainsFunc(r.problems, func(p Problem) bool { return !p.Warning }) {
		r.check(name)
	}
	r.sort()
	return r.Board, r.problems
}

// A boardReader fills in a Board section by section.
type boardReader struct {
	Board
	report
	lines   map[string]int // of sections, by type and what they are about
	devices []bridge
}

// A bridge is a `config device`.
type bridge struct {
	name  string
	ports []string
	line  int
}

// at remembers where something is, for what is found out later about it.
func (r *boardReader) at(line int, what ...string) {
	if r.lines == nil {
		r.lines = map[string]int{}
	}
	r.lines[strings.Join(what, " ")] = line
}

func (r *boardReader) lineOf(what ...string) int { return r.lines[strings.Join(what, " ")] }

// readers are the sections that a board may have.
var readers = map[string]struct {
	read func(*boardReader, *block)
	many bool
}{
	"board":       {(*boardReader).readBoard, false},
	"flash":       {(*boardReader).readFlash, true},
	"partition":   {(*boardReader).readPartition, true},
	"image":       {(*boardReader).readImage, false},
	"kernel":      {(*boardReader).readKernel, false},
	"switch":      {(*boardReader).readSwitch, true},
	"switch_vlan": {(*boardReader).readVLAN, true},
	"device":      {(*boardReader).readDevice, true},
	"interface":   {(*boardReader).readInterface, true},
	"mac":         {(*boardReader).readMAC, true},
	"state":       {(*boardReader).readState, false},
	"safeloader":  {(*boardReader).readSafeLoader, false},
	"recovery":    {(*boardReader).readRecovery, false},
	"qemu":        {(*boardReader).readQEMU, false},
}

func (r *boardReader) read(b *block, seen map[string]bool) {
	section, known := readers[b.Type]
	switch {
	case !known:
		r.fault(b.Line, "a board has no %s", b)
		return
	case seen[b.Type] && !section.many:
		r.fault(b.Line, "%s is there twice", b)
		return
	}
	seen[b.Type] = true
	r.at(b.Line, b.Type)
	section.read(r, b)
	b.rest()
}

func (r *boardReader) readBoard(b *block) {
	set(b, "name", &r.Name, printable)
	set(b, "model", &r.Model, printable)
	setEach(b, "compatible", &r.Compatible, printable)
	setEach(b, "supported", &r.Supported, printable)
	set(b, "compat_version", &r.Compat, printable)
	set(b, "goarch", &r.CPU.Arch, oneOf("mips", "mipsle", "arm", "arm64"))
	set(b, "goarm", &r.CPU.ARM, oneOf("5", "7"))
	set(b, "gomips", &r.CPU.MIPS, oneOf("softfloat"))
	set(b, "ram", &r.RAM, Size)
	set(b, "console", &r.Console, console)
	set(b, "status", &r.Status, oneOf(Untested, Built, Emulated, Hardware))
	set(b, "source", &r.Source, printable)
}

func (r *boardReader) readFlash(b *block) {
	f := Flash{Name: b.Name}
	set(b, "kind", &f.Kind, oneOf("nor", "nand", "emmc"))
	set(b, "size", &f.Size, Size)
	set(b, "erase", &f.Erase, Size)
	r.Flashes = append(r.Flashes, f)
	r.at(b.Line, "flash", f.Name)
}

func (r *boardReader) readPartition(b *block) {
	var p Partition
	if len(r.Flashes) > 0 {
		p.Flash = r.Flashes[0].Name
	}
	set(b, "name", &p.Name, printable)
	set(b, "flash", &p.Flash, printable)
	set(b, "offset", &p.Offset, Size)
	set(b, "size", &p.Size, Size)
	set(b, "use", &p.Use, oneOf(UseLoader, UseEnv, UseMAC, UseImage, UseState, UseKeep, UseGap))
	r.at(b.Line, "partition", strconv.Itoa(len(r.Partitions)))
	r.Partitions = append(r.Partitions, p)
}

func (r *boardReader) readImage(b *block) {
	i := &r.Image
	set(b, "how", &i.How, oneOf(Builtin, FITSwap, FIT, Multi, Files, Side))
	set(b, "wrap", &i.Wrap, oneOf("uimage-lzma", "uimage-none", "tplink", "trx", "fit", "zimage", "elf", "raw"))
	set(b, "volume", &i.Volume, printable)
	set(b, "load", &i.Load, address)
	set(b, "entry", &i.Entry, address)
	set(b, "ramdisk_load", &i.RamdiskLoad, address)
	set(b, "fdt_load", &i.FDTLoad, address)
	set(b, "config", &i.Config, printable)
	set(b, "ramdisk", &i.Ramdisk, oneOf("none", "xz"))
	set(b, "limit", &i.Limit, Size)
	set(b, "max_unpacked", &i.MaxUnpacked, Size)
	setEach(b, "out", &i.Outputs, oneOf("sysupgrade", "sysupgrade-tar", "safeloader", "factory-ubi",
		"uimage", "itb", "files", "qemu"))
}

func (r *boardReader) readKernel(b *block) {
	k := &r.Kernel
	setEach(b, "module", &k.Modules, printable)
	setEach(b, "firmware", &k.Firmware, localPath)
	set(b, "package", &k.Package, printable)
	set(b, "source", &k.Source, printable)
	set(b, "arch", &k.Arch, printable)
	set(b, "dtb", &k.DTB, printable)
	set(b, "args", &k.Args, printable)
}

func (r *boardReader) readSwitch(b *block) {
	var s Switch
	set(b, "name", &s.Name, printable)
	set(b, "reset", &s.Reset, boolean)
	set(b, "enable_vlan", &s.VLAN, boolean)
	r.Switches = append(r.Switches, s)
}

func (r *boardReader) readVLAN(b *block) {
	var v SwitchVLAN
	set(b, "device", &v.Switch, printable)
	set(b, "vlan", &v.ID, number(1, 4094))
	setAll(b, "ports", &v.Ports, switchPort)
	r.VLANs = append(r.VLANs, v)
}

func (r *boardReader) readDevice(b *block) {
	d := bridge{line: b.Line}
	kind := ""
	set(b, "name", &d.name, deviceName)
	set(b, "type", &kind, oneOf("bridge"))
	setAll(b, "ports", &d.ports, deviceName)
	if kind == "" {
		b.fault(b.Line, "%s: type must be 'bridge'", b)
	}
	r.devices = append(r.devices, d)
}

func (r *boardReader) readInterface(b *block) {
	switch b.Name {
	case "lan":
		set(b, "device", &r.Ports.LAN, deviceName)
	case "wan":
		set(b, "device", &r.Ports.WAN, deviceName)
	default:
		b.fault(b.Line, "%s: a board has 'lan' and 'wan'", b)
	}
	r.at(b.Line, "interface", b.Name)
}

// joinPorts gives the LAN its bridge, which may be written above it or below.
func (r *boardReader) joinPorts() {
	for _, d := range r.devices {
		if d.name != r.Ports.LAN {
			r.fault(d.line, "config device: the bridge %s is not that of interface 'lan'", show(d.name))
			continue
		}
		r.Ports.Bridged = d.ports
		r.at(d.line, "device")
	}
}

func (r *boardReader) readMAC(b *block) {
	m := MACSource{Port: b.Name}
	set(b, "partition", &m.Partition, printable)
	set(b, "offset", &m.Offset, Size)
	set(b, "add", &m.Add, number(0, 255))
	if m.Port != "lan" && m.Port != "wan" {
		b.fault(b.Line, "%s: a board has 'lan' and 'wan'", b)
	}
	r.at(b.Line, "mac", m.Port)
	r.MACs = append(r.MACs, m)
}

func (r *boardReader) readState(b *block) {
	s := &r.State
	set(b, "partition", &s.Partition, printable)
	set(b, "at_end", &s.AtEnd, Size)
	set(b, "volume", &s.Volume, printable)
	set(b, "device", &s.Device, absolutePath)
	set(b, "fs", &s.FS, printable)
	set(b, "file", &s.File, fileName)
}

func (r *boardReader) readSafeLoader(b *block) {
	s := &r.SafeLoader
	set(b, "soft_version", &s.SoftVersion, printable)
	setEach(b, "support", &s.Support, printable)
	setEach(b, "partition", &s.Partitions, vendorPartition)
}

// vendorPartition accepts os-image 0xc0000 0x120000.
func vendorPartition(s string) (p Partition, err error) {
	words := strings.Fields(s)
	if len(words) == 3 {
		p.Name = words[0]
		var errs [2]error
		p.Offset, errs[0] = Size(words[1])
		p.Size, errs[1] = Size(words[2])
		err = errors.Join(errs[:]...)
	}
	if len(words) != 3 || err != nil {
		return Partition{}, fmt.Errorf("%s is no name, offset and size", show(s))
	}
	return p, nil
}

func (r *boardReader) readRecovery(b *block) { set(b, "how", &r.Recovery, word) }

func (r *boardReader) readQEMU(b *block) {
	q := &r.QEMU
	set(b, "system", &q.System, printable)
	set(b, "machine", &q.Machine, printable)
	set(b, "cpu", &q.CPU, printable)
	set(b, "nic", &q.NIC, printable)
	set(b, "drive", &q.Drive, oneOf("mtd", "pflash", "virtio"))
	setEach(b, "arg", &q.Args, printable)
}

// setEach is setAll for values with blanks in them.
func setEach[T any](b *block, name string, dst *[]T, parse func(string) (T, error)) {
	v, _ := b.take(name)
	for _, it := range v {
		if got, ok := parsed(b, name, it, parse); ok {
			*dst = append(*dst, got)
		}
	}
}

// oneOf returns a reader of words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if slices.Contains(words, T(s)) {
			return T(s), nil
		}
		return "", fmt.Errorf("%s is none of %s", show(s), join(words))
	}
}

func join[T ~string](words []T) string {
	var s []string
	for _, w := range words {
		s = append(s, string(w))
	}
	return strings.Join(s, ", ")
}

// Size accepts what Octets does, 0x50000, and sizes of flash that it has no
// room for: 8G.
func Size(s string) (int64, error) {
	if digits, isHex := strings.CutPrefix(s, "0x"); isHex {
		n, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%s is no number in hex", show(s))
		}
		return n, nil
	}
	if digits, giga := strings.CutSuffix(strings.ToUpper(s), "G"); giga {
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%s is no size such as 8G", show(s))
		}
		return n << 30, nil
	}
	return Octets(s)
}

// formatSize uses the largest unit that divides the size.
func formatSize(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return formatInt(n>>30) + "G"
	case n >= 1<<20 && n%(1<<20) == 0:
		return formatInt(n>>20) + "M"
	case n >= 1<<10 && n%(1<<10) == 0:
		return formatInt(n>>10) + "k"
	}
	return formatInt(n)
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

func address(s string) (uint32, error) {
	n, err := Size(s)
	if err != nil || n > math.MaxUint32 {
		return 0, fmt.Errorf("%s is no address such as 0x80000000", show(s))
	}
	return uint32(n), nil
}

// console accepts ttyS0,115200.
func console(s string) (Console, error) {
	device, baud, _ := strings.Cut(s, ",")
	n, err := strconv.Atoi(baud)
	if err != nil || device == "" || n <= 0 {
		return Console{}, fmt.Errorf("%s is no console such as ttyS0,115200", show(s))
	}
	return Console{device, n}, nil
}

// switchPort accepts 1 and 6t.
func switchPort(s string) (SwitchPort, error) {
	digits, tagged := strings.CutSuffix(s, "t")
	n, err := strconv.ParseUint(digits, 10, 6)
	if err != nil {
		return SwitchPort{}, fmt.Errorf("%s is no port such as 1 or 6t", show(s))
	}
	return SwitchPort{int(n), tagged}, nil
}

// localPath accepts a path that stays below where it begins.
func localPath(s string) (string, error) {
	if !filepath.IsLocal(s) {
		return "", fmt.Errorf("%s is no path below a directory", show(s))
	}
	return printable(s)
}

// fileName accepts one component of a path.
func fileName(s string) (string, error) {
	if strings.Contains(s, "/") || s == "." || s == ".." {
		return "", errors.New("only a name: the file is at the top of its file system")
	}
	return printable(s)
}
