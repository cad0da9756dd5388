package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ulikunitz/xz"

	"leasehold/firmware/config"
	"leasehold/firmware/image"
)

// recipes are the ways in which kernel and initramfs come together.
var recipes = map[config.How]func(*job) error{
	config.Builtin: (*job).builtin,
	config.FITSwap: (*job).swap,
	config.FIT:     (*job).fit,
	config.Multi:   (*job).multi,
	config.Files:   (*job).files,
	config.Side:    (*job).side,
}

// architectures are what U-Boot calls the CPUs.
var architectures = map[string]struct {
	number uint8
	name   string
}{
	"mips":   {image.ArchMIPS, "mips"},
	"mipsle": {image.ArchMIPS, "mips"},
	"arm":    {image.ArchARM, "arm"},
	"arm64":  {image.ArchARM64, "arm64"},
}

// swap puts our ramdisk into the place of the one in OpenWrt's image for
// recovery, whose kernel modules it takes over.
func (j *job) swap() error {
	f, _, err := image.ParseFIT(j.kernel)
	if err != nil {
		return fmt.Errorf("-kernel: %w; want OpenWrt's initramfs image", err)
	}
	if err := j.fitsBoard(f); err != nil {
		return err
	}
	if j.modules == "" && len(j.board.Kernel.Modules) > 0 {
		dir, err := takeModules(f)
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		j.modules = dir
	}
	if err := j.ramdisk(); err != nil {
		return err
	}
	swapped, err := image.SwapRamdisk(j.kernel, j.packed)
	if err != nil {
		return err
	}
	return j.finish(swapped)
}

func (j *job) fitsBoard(f image.FIT) error {
	for _, i := range f.Images {
		if i.Type == "flat_dt" {
			if err := j.checkTree(i.Data); err != nil {
				return fmt.Errorf("-kernel: %s: %w", i.Name, err)
			}
		}
		if i.Type != "kernel" {
			continue
		}
		if want := architectures[j.board.CPU.Arch].name; i.Arch != want {
			return fmt.Errorf("-kernel: the kernel is for %s, the board has %s", i.Arch, want)
		}
		if want := j.board.Image.Load; i.Load != want {
			return fmt.Errorf("-kernel: the kernel is to be loaded to %#x, the board has %#x: is it another's?", i.Load, want)
		}
	}
	return nil
}

// takeModules unpacks the kernel modules in the ramdisk of a FIT.
func takeModules(f image.FIT) (dir string, err error) {
	var ramdisk []byte
	for _, i := range f.Images {
		if i.Type == "ramdisk" {
			ramdisk = i.Data
		}
	}
	if r, err := xz.NewReader(bytes.NewReader(ramdisk)); err == nil {
		if ramdisk, err = io.ReadAll(r); err != nil {
			return "", fmt.Errorf("-kernel: the ramdisk: %w", err)
		}
	}
	dir, err = os.MkdirTemp("", "leasehold-modules-")
	if err != nil {
		return "", err
	}
	if err := image.ExtractModules(ramdisk, dir); err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("-kernel: the ramdisk: %w", err)
	}
	return dir, nil
}

// fit makes a FIT. The kernel and its tree may come in one of OpenWrt's.
func (j *job) fit() error {
	if err := j.takeKernel(); err != nil {
		return err
	}
	if err := j.ramdisk(); err != nil {
		return err
	}
	return j.finishFIT()
}

// finishFIT puts kernel, ramdisk and tree into a FIT. QEMU makes its own tree.
func (j *job) finishFIT() error {
	kernel, comp, err := j.fitKernel()
	if err != nil {
		return err
	}
	i, arch := j.board.Image, architectures[j.board.CPU.Arch].name
	f := image.FIT{
		Description: j.board.Model,
		Hashes:      []string{"crc32", "sha1"}, // all that old boot loaders know
		Images: []image.FITImage{
			{Name: "kernel-1", Type: "kernel", Arch: arch, OS: "linux", Compression: comp, Load: i.Load, Entry: i.Entry, Data: kernel},
			{Name: "initrd-1", Type: "ramdisk", Arch: arch, OS: "linux", Compression: "none", Load: i.RamdiskLoad, Data: j.packed},
		},
		Default: i.Config,
	}
	config := image.FITConfig{Name: i.Config, Kernel: "kernel-1", Ramdisk: "initrd-1"}
	if j.dtb != nil {
		f.Images = append(f.Images, image.FITImage{Name: "fdt-1", Type: "flat_dt", Arch: arch, Compression: "none", Load: i.FDTLoad, Data: j.dtb})
		config.FDT = "fdt-1"
	}
	f.Configs = []image.FITConfig{config}
	b, err := f.Append(nil)
	if err != nil {
		return err
	}
	return j.finish(b)
}

// takeKernel takes kernel and tree out of a FIT, if that is what they are in.
func (j *job) takeKernel() error {
	if f, _, err := image.ParseFIT(j.kernel); err == nil {
		for _, i := range f.Images {
			switch want := architectures[j.board.CPU.Arch].name; {
			case i.Type == "kernel" && i.Arch != want:
				return fmt.Errorf("-kernel: the kernel is for %s, the board has %s", i.Arch, want)
			case i.Type == "kernel":
				j.kernel, j.comp = i.Data, i.Compression
			case i.Type == "flat_dt" && j.dtb == nil:
				j.dtb = i.Data
			}
		}
	}
	if err := j.checkKernel(); err != nil {
		return err
	}
	if j.dtb == nil {
		return errors.New("-dtb is missing")
	}
	return j.checkTree(j.dtb)
}

// checkKernel sees to it that a kernel that is not packed is one, and for this CPU.
func (j *job) checkKernel() error {
	want := map[string]string{"arm": "zImage", "arm64": "arm64 Image"}[j.board.CPU.Arch]
	if j.board.Image.Wrap == "elf" {
		want = "ELF file for " + j.board.CPU.Arch
	}
	switch {
	case j.comp != "": // a FIT has said whose it is
	case want == "": // the octets of a bare MIPS kernel look like nothing
	case want != j.kindOfKernel():
		return fmt.Errorf("-kernel: no %s", want)
	}
	return nil
}

// kindOfKernel is what the kernel is by its first octets.
func (j *job) kindOfKernel() string {
	if f, err := elf.NewFile(bytes.NewReader(j.kernel)); err == nil {
		if m := machines[j.board.CPU.Arch]; f.Machine == m.Machine && f.ByteOrder == m.ByteOrder {
			return "ELF file for " + j.board.CPU.Arch
		}
	}
	return image.Kind(j.kernel)
}

// checkTree sees to it that a device tree is for this board: with that of
// another the kernel writes to the wrong parts of the flash.
func (j *job) checkTree(dtb []byte) error {
	l := image.Inspect(dtb).Find("device tree")
	if l == nil {
		return errors.New("-dtb: no device tree")
	}
	list := strings.Fields(strings.Trim(l.Fact("compatible"), `"`))
	for _, c := range j.board.Compatible {
		if slices.Contains(list, c) {
			return nil
		}
	}
	return fmt.Errorf("the device tree is for %s, not for %s", strings.Join(list, ", "), strings.Join(j.board.Compatible, ", "))
}

// takeBareKernel is takeKernel where nobody will unpack the kernel but itself.
func (j *job) takeBareKernel() error {
	if err := j.takeKernel(); err != nil {
		return err
	}
	if j.comp != "" && j.comp != "none" {
		return fmt.Errorf("-kernel: packed with %s; want a zImage", j.comp)
	}
	return nil
}

// fitKernel packs a kernel that does not unpack itself.
func (j *job) fitKernel() (b []byte, comp string, err error) {
	switch {
	case j.comp != "":
		return j.kernel, j.comp, nil
	case image.Kind(j.kernel) == "zImage":
		return j.kernel, "none", nil
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, "", err
	}
	_, err = w.Write(j.kernel)
	err = errors.Join(err, w.Close())
	return out.Bytes(), "gzip", err
}

// multi makes a uImage of several parts.
func (j *job) multi() error {
	if err := j.takeBareKernel(); err != nil {
		return err
	}
	if err := j.ramdisk(); err != nil {
		return err
	}
	return j.finish(image.UImage{
		Load: j.board.Image.Load, Entry: j.board.Image.Entry, OS: image.OSLinux,
		Arch: architectures[j.board.CPU.Arch].number, Type: image.TypeMulti, Name: "leasehold",
	}.Append(nil, image.Parts(j.kernel, j.packed, j.dtb)))
}

// files lays kernel, tree, initramfs and a script for U-Boot into a directory.
func (j *job) files() error {
	if err := j.takeBareKernel(); err != nil {
		return err
	}
	if err := j.ramdisk(); err != nil {
		return err
	}
	script := image.UImage{
		OS: image.OSLinux, Arch: architectures[j.board.CPU.Arch].number, Type: image.TypeScript, Name: "leasehold",
	}.Append(nil, image.Parts([]byte(j.script())))
	i := j.board.Image
	return j.directory([]part{
		{"zImage", i.Load, j.kernel}, {"board.dtb", i.FDTLoad, j.dtb}, {"initramfs.cpio", i.RamdiskLoad, j.packed}, {"boot.scr", 0, script},
	})
}

// script loads the files from where the boot loader found the script itself; an
// old one that does not say where that was has found it on the eMMC.
func (j *job) script() string {
	i := j.board.Image
	var s strings.Builder
	s.WriteString("test -n \"${devtype}\" || setenv devtype mmc\n" +
		"test -n \"${devnum}\" || setenv devnum 0\n" +
		"test -n \"${distro_bootpart}\" || setenv distro_bootpart 1\n")
	fmt.Fprintf(&s, "setenv bootargs %q\n", j.board.CommandLine())
	for _, f := range []struct {
		at   uint32
		name string
	}{{i.Load, "zImage"}, {i.FDTLoad, "board.dtb"}, {i.RamdiskLoad, "initramfs.cpio"}} {
		fmt.Fprintf(&s, "load ${devtype} ${devnum}:${distro_bootpart} %#x %s\n", f.at, f.name)
	}
	fmt.Fprintf(&s, "bootz %#x %#x:${filesize} %#x\n", i.Load, i.RamdiskLoad, i.FDTLoad)
	return s.String()
}

// side lays kernel and initramfs into a directory, and says how to start them; or
// puts them into a FIT for a U-Boot in QEMU.
func (j *job) side() error {
	if err := j.checkKernel(); err != nil {
		return err
	}
	if j.dtb != nil {
		if err := j.checkTree(j.dtb); err != nil {
			return err
		}
	}
	if err := j.ramdisk(); err != nil {
		return err
	}
	if j.kind == "itb" {
		return j.finishFIT()
	}
	parts := []part{{"kernel", 0, j.kernel}, {"initramfs.cpio", 0, j.packed}}
	args := append(j.board.Arguments(), "-kernel", filepath.Join(j.out, "kernel"), "-initrd", filepath.Join(j.out, "initramfs.cpio"))
	if j.dtb != nil {
		parts = append(parts, part{"board.dtb", 0, j.dtb})
		args = append(args, "-dtb", filepath.Join(j.out, "board.dtb"))
	}
	if err := j.directory(parts); err != nil {
		return err
	}
	fmt.Fprintf(j.stdout, "%s -append '%s'\n", strings.Join(args, " "), j.board.CommandLine())
	return nil
}

// A part is one of the files that are an image together.
type part struct {
	name string
	at   uint32 // where the boot loader loads it to; 0: that is not ours to say
	data []byte
}

// directory weighs the parts and writes them, and their checksums beside them.
func (j *job) directory(parts []part) error {
	if err := j.accept(weighParts(parts, int64(len(j.root)), j.board.RAM)); err != nil {
		return err
	}
	var sums strings.Builder
	for _, p := range parts {
		if err := j.write(filepath.Join(j.out, p.name), p.data); err != nil {
			return err
		}
		sums.WriteString(sumOf(p.name, p.data).String())
	}
	return j.write(filepath.Join(j.out, sumsFile), []byte(sums.String()))
}

// weighParts compares files with the memory, which what the initramfs unpacks to
// has to have room in too, and with what is between the places that they are
// loaded to.
func weighParts(parts []part, unpacked, memory int64) image.Weight {
	w := image.Weight{Room: max(memory-unpacked, 0)}
	for _, p := range parts {
		w.Add(p.name, int64(len(p.data)))
		for _, next := range parts {
			if p.at != 0 && p.at <= next.at && p.name != next.name {
				w.Limit(int64(len(p.data)), int64(next.at-p.at), fmt.Sprintf("the memory between %s and %s", p.name, next.name))
			}
		}
	}
	w.Limit(w.Total+unpacked, memory, "the memory, with the initramfs unpacked")
	return w
}

// finish wraps the boot loader's image in what it is flashed with, weighs it and
// writes it.
func (j *job) finish(bare []byte) error {
	b, err := j.wrap(bare)
	if err != nil {
		return err
	}
	l := image.Inspect(b)
	if faults := l.AllFaults(); len(faults) > 0 {
		return fmt.Errorf("the image is damaged: %w", faults[0])
	}
	weighed := l
	if j.kind != "sysupgrade" && j.kind != "uimage" && j.kind != "itb" {
		weighed = image.Inspect(bare) // the file is not what is on the flash
	}
	if err := j.accept(image.Weigh(weighed, j.limits())); err != nil {
		return err
	}
	return j.write(j.out, b)
}

// accept shows what takes the space, and refuses what is too large.
func (j *job) accept(w image.Weight) error {
	fmt.Fprint(j.stdout, w)
	if j.root != nil {
		if err := j.tellShares(); err != nil {
			return err
		}
	}
	if len(w.Over) > 0 {
		return fmt.Errorf("the image is too large for %s; nothing was written", strings.Join(w.Over, ", and for "))
	}
	return nil
}

func (j *job) limits() image.Limits {
	p, _ := j.board.ImagePartition()
	lim := image.Limits{Partition: p.Size, Boot: j.board.Image.Limit, Unpacked: j.board.Image.MaxUnpacked}
	if j.board.State.Partition == p.Name {
		lim.State = j.board.State.AtEnd
	}
	return lim
}

// otherPorts is shown by a sysupgrade that is older than the layout.
const otherPorts = "The ports have other names now. Flash without keeping the configuration, in LuCI or with sysupgrade -F -n."

// wrap makes of the image for the boot loader the one for who flashes it.
func (j *job) wrap(bare []byte) ([]byte, error) {
	key, err := j.secret()
	if err != nil {
		return nil, err
	}
	b := j.board
	meta := image.Metadata{Devices: b.Supported, Compat: b.Compat, Dist: "leasehold", Version: version, Board: b.Name}
	if b.Compat != "1.0" {
		meta.CompatMessage = otherPorts
	}
	p, _ := b.ImagePartition()
	f, _ := b.Flash(p.Flash)
	switch j.kind {
	case "sysupgrade":
		return image.Sysupgrade(bare, int(f.Erase), meta, key)
	case "sysupgrade-tar":
		tar, err := image.SysupgradeTar{Board: b.Name, Kernel: bare, Time: time.Unix(0, 0)}.Append(nil)
		if err != nil {
			return nil, err
		}
		return image.Sysupgrade(tar, 1, meta, key)
	case "itb":
		return image.Sysupgrade(bare, 1, meta, key)
	case "factory-ubi":
		return image.UBI{PEB: int(f.Erase), MinIO: pageSize, Volumes: []image.Volume{{Name: b.Image.Volume, Data: bare}}}.Append(nil)
	case "safeloader":
		return safeLoader(b, bare, int(f.Erase))
	case "uimage":
		return bare, nil
	}
	return nil, fmt.Errorf("no way to make %q", j.kind)
}

// pageSize is that of every NAND chip with blocks of 128 KiB.
const pageSize = 2048

// safeLoader makes TP-Link's factory image. It wants a file system too: an
// erase block of it, empty.
func safeLoader(b config.Board, bare []byte, erase int) ([]byte, error) {
	kernel := image.Pad(bytes.Clone(bare), erase, 0xff)
	root := bytes.Repeat([]byte{0xff}, erase)
	var parts []image.FlashPart
	for _, p := range b.SafeLoader.Partitions {
		if p.Name != "firmware" {
			parts = append(parts, image.FlashPart{Name: p.Name, Offset: p.Offset, Size: p.Size})
			continue
		}
		n := int64(len(kernel))
		parts = append(parts, image.FlashPart{Name: "os-image", Offset: p.Offset, Size: n},
			image.FlashPart{Name: "file-system", Offset: p.Offset + n, Size: p.Size - n})
	}
	table, err := image.SafePartitions(parts)
	if err != nil {
		return nil, err
	}
	support := "SupportList:\n" + strings.Join(b.SafeLoader.Support, "\n") + "\n"
	return image.SafeLoader{Parts: []image.SafePart{
		{Name: "partition-table", Data: table},
		{Name: "soft-version", Data: image.SafeMeta([]byte(b.SafeLoader.SoftVersion+"\n"), 0)},
		{Name: "support-list", Data: image.SafeMeta([]byte(support), 0)},
		{Name: "os-image", Data: kernel},
		{Name: "file-system", Data: root},
	}}.Append(nil)
}
