package main

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"leasehold/firmware/config"
	"leasehold/firmware/image"
)

// version is set by the linker.
var version = "development"

// options are the flags of initramfs and pack.
type options struct {
	board, kernel, dtb, modules, config, init, tools, leasehold, key, kind, out string
}

func (o *options) add(flags *flag.FlagSet) {
	flags.StringVar(&o.board, "board", "", "`name` of the board, or the path of its description")
	flags.StringVar(&o.dtb, "dtb", "", "device tree")
	flags.StringVar(&o.modules, "modules", "", "`directory` of the kernel's modules")
	flags.StringVar(&o.config, "config", "", "`directory` with the owner's files")
	flags.StringVar(&o.init, "init", "", "full, the default, or slim")
	flags.StringVar(&o.tools, "tools", "", "`file` that tools made")
	flags.StringVar(&o.leasehold, "leasehold", "", "the binary")
	flags.StringVar(&o.out, "o", "", "output `file`")
}

// A job is one image in the making.
type job struct {
	options
	board  config.Board
	text   []byte // of the board
	kernel []byte
	comp   string // of the kernel, if a FIT said so
	dtb    []byte
	root   []byte // the initramfs
	packed []byte // the same, as the kernel takes it
	stdout io.Writer
}

// runInitramfs packs what is built into a kernel.
func runInitramfs(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	j := job{stdout: stdout}
	j.add(flags)
	if err := j.begin(flags, args, "board", "o"); err != nil {
		return err
	}
	if err := j.initramfs(); err != nil {
		return err
	}
	if err := j.write(j.out, j.root); err != nil {
		return err
	}
	return j.tellShares()
}

// runPack packs an image.
func runPack(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	j := job{stdout: stdout}
	j.add(flags)
	flags.StringVar(&j.options.kernel, "kernel", "", "kernel `file`, or a directory of fetch-kernel")
	flags.StringVar(&j.key, "key", "", "secret key `file`")
	flags.StringVar(&j.kind, "kind", "", "which of the board's kinds of image")
	if err := j.begin(flags, args, "board"); err != nil {
		return err
	}
	j.kind = cmp.Or(j.kind, j.board.Image.Outputs[0])
	if !slices.Contains(j.board.Image.Outputs, j.kind) {
		return fmt.Errorf("%s: there is no %q for it; there are %s", j.board.Name, j.kind, strings.Join(j.board.Image.Outputs, ", "))
	}
	if j.key != "" && !slices.Contains(signed, j.kind) {
		return fmt.Errorf("-key: an image of the kind %s takes no signature; %s do", j.kind, strings.Join(signed, ", "))
	}
	j.out = cmp.Or(j.out, filepath.Join("build/images", j.board.Name+suffixes[j.kind]))
	if err := j.findKernel(); err != nil {
		return err
	}
	how, ok := recipes[j.board.Image.How]
	if !ok {
		return fmt.Errorf("%s: no way to make %q", j.board.Name, j.board.Image.How)
	}
	if err := how(&j); err != nil {
		return fmt.Errorf("%s: %w", j.board.Name, err)
	}
	return nil
}

// signed are the kinds that carry a signature.
var signed = []string{"sysupgrade", "sysupgrade-tar", "itb"}

// suffixes are what an image is called after its board. Some are directories.
var suffixes = map[string]string{
	"sysupgrade":     "-sysupgrade.bin",
	"sysupgrade-tar": "-sysupgrade.bin",
	"safeloader":     "-factory.bin",
	"factory-ubi":    "-factory.ubi",
	"itb":            "-sysupgrade.itb",
	"uimage":         "-uimage.bin",
}

func (j *job) begin(flags *flag.FlagSet, args []string, needed ...string) error {
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	if err := need(flags, needed...); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "full", "slim"}, j.init) {
		return fmt.Errorf("-init: %q is neither full nor slim", j.init)
	}
	var err error
	j.board, j.text, err = readBoard(j.options.board, j.stdout)
	return err
}

// findKernel reads the kernel and what came with it.
func (j *job) findKernel() error {
	path := j.options.kernel
	if path == "" && j.board.Kernel.Dir() != "" {
		path = filepath.Join(kernels, j.board.Kernel.Dir())
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("no kernel: give one with -kernel, or run mkfirmware fetch-kernel -board %s", j.board.Name)
		}
	}
	if path == "" {
		return errors.New("-kernel is missing")
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if path, err = j.findPackage(path); err != nil {
			return err
		}
	}
	if j.kernel, err = os.ReadFile(path); err != nil {
		return err
	}
	if j.options.dtb != "" {
		j.dtb, err = os.ReadFile(j.options.dtb)
	}
	return err
}

// findPackage finds kernel, modules and device tree in Debian's package.
func (j *job) findPackage(dir string) (kernel string, err error) {
	found, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s: want one boot/vmlinuz-*, there are %d", dir, len(found))
	}
	j.modules = cmp.Or(j.modules, dir)
	if j.board.Kernel.DTB == "" || j.options.dtb != "" {
		return found[0], nil
	}
	trees, err := filepath.Glob(filepath.Join(dir, "usr/lib/linux-image-*", j.board.Kernel.DTB))
	if err != nil || len(trees) != 1 {
		return "", fmt.Errorf("%s: want one %s, there are %d", dir, j.board.Kernel.DTB, len(trees))
	}
	j.options.dtb = trees[0]
	return found[0], nil
}

// initramfs packs root.
func (j *job) initramfs() error {
	binary, err := j.binary()
	if err != nil {
		return err
	}
	text, problems, err := image.ReadConfig(j.board, j.config)
	if wrong := mistakes(problems, j.stdout); wrong != nil || err != nil {
		return cmp.Or(wrong, err)
	}
	root := image.Initramfs{Board: j.text, Config: text, Leasehold: binary}
	if len(j.board.Kernel.Modules) > 0 {
		if j.modules == "" {
			return fmt.Errorf("-modules is missing: %s needs %s", j.board.Name, strings.Join(j.board.Kernel.Modules, ", "))
		}
		if root.Modules, err = image.FindModules(j.modules, j.board.Kernel.Modules); err != nil {
			return err
		}
		if err := root.Modules.FindFirmware(j.modules, j.board.Kernel.Firmware); err != nil {
			return err
		}
	}
	if j.init != "slim" {
		if root.Tools, err = j.findTools(); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	if err := root.Write(&out); err != nil {
		return err
	}
	j.root = out.Bytes()
	return nil
}

// ramdisk packs packed, the initramfs as the kernel unpacks it.
func (j *job) ramdisk() error {
	if err := j.initramfs(); err != nil {
		return err
	}
	j.packed = j.root
	if j.board.Image.Ramdisk == "xz" {
		p, err := image.CompressXZ(j.root)
		if err != nil {
			return err
		}
		fmt.Fprintf(j.stdout, "the initramfs is packed by %s\n", p.By)
		j.packed = p.Data
	}
	return nil
}

// findTools reads the tools, or compiles them if nobody has done so yet.
func (j *job) findTools() (*image.Tools, error) {
	path := j.tools
	if path == "" {
		id, err := image.ToolsID(".", j.board.CPU)
		if err != nil {
			return nil, fmt.Errorf("the tools are compiled from leasehold's sources, run this in their directory: %w", err)
		}
		path = filepath.Join("build", "tools-"+id+".cpio")
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintf(j.stdout, "compiling the rescue tools for %s; this takes a minute or two\n", j.board.CPU)
			return j.makeTools(path)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return image.ReadTools(text)
}

func (j *job) makeTools(path string) (*image.Tools, error) {
	tools, err := image.BuildTools(".", j.board.CPU)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := tools.Write(&text); err != nil {
		return nil, err
	}
	return tools, j.write(path, text.Bytes())
}

// machines are what ELF calls the CPUs.
var machines = map[string]struct {
	elf.Machine
	binary.ByteOrder
}{
	"mips":   {elf.EM_MIPS, binary.BigEndian},
	"mipsle": {elf.EM_MIPS, binary.LittleEndian},
	"arm":    {elf.EM_ARM, binary.LittleEndian},
	"arm64":  {elf.EM_AARCH64, binary.LittleEndian},
}

// binary reads leasehold, and sees to it that it is the one for this CPU: the
// kernel's only word on any other is a panic.
func (j *job) binary() ([]byte, error) {
	path := cmp.Or(j.leasehold, "build/leasehold-"+j.board.CPU.String())
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; run make build, or give one with -leasehold", err)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if want := machines[j.board.CPU.Arch]; f.Machine != want.Machine || f.ByteOrder != want.ByteOrder {
		return nil, fmt.Errorf("%s: it is for %v, %v; %s has %s", path, f.Machine, f.ByteOrder, j.board.Name, j.board.CPU)
	}
	return b, nil
}

// secret returns the key that the user gave, or nil.
func (j *job) secret() (*image.SecretKey, error) {
	if j.key == "" {
		return nil, nil
	}
	text, err := os.ReadFile(j.key)
	if err != nil {
		return nil, err
	}
	k, err := image.ParseSecretKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.key, err)
	}
	return &k, nil
}

// write leaves no half of a file behind.
func (j *job) write(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, b, 0o644); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		os.Remove(draft)
		return fmt.Errorf("write %s: %w", path, err)
	}
	fmt.Fprintf(j.stdout, "%s: %d octets\n", path, len(b))
	return nil
}

// tellShares says what takes the space in the initramfs.
func (j *job) tellShares() error {
	shares, err := image.Shares(j.root)
	if err != nil {
		return err
	}
	fmt.Fprintf(j.stdout, "%-40s %10d   initramfs, of which\n", "", len(j.root))
	const worthALine = 4096
	for _, s := range shares {
		if s.Size >= worthALine {
			fmt.Fprintf(j.stdout, "  %-38s %10d\n", s.Name, s.Size)
		}
	}
	return nil
}
