package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"leasehold/boards"
	"leasehold/firmware/config"
)

// An emulation is a board in QEMU. Its flash is in files, which outlive it.
type emulation struct {
	board config.Board
	dir   string // of its flash, or of the disk that it has instead
	image string // what mkfirmware packed: a directory, or a FIT for U-Boot
	ram   string // "": as much as the board has
}

func newEmulation(name, dir, image string) (emulation, error) {
	text, err := boards.Text(name)
	if err != nil {
		return emulation{}, err
	}
	b, problems := config.ParseBoard(name, text)
	if len(problems) > 0 {
		return emulation{}, errors.New(problems[0].String())
	}
	if b.QEMU.System == "" {
		return emulation{}, fmt.Errorf("%s: QEMU does not have this board", name)
	}
	e := emulation{board: b, dir: dir, image: image}
	return e, e.makeDrives()
}

func (e emulation) file(name string) string { return filepath.Join(e.dir, name) }

// drives are the files of the board's flash chips, or of the disk that it has
// instead.
func (e emulation) drives() []string {
	var files []string
	for _, f := range e.board.Flashes {
		files = append(files, e.file("flash-"+f.Name))
	}
	if e.board.State.Device != "" {
		files = append(files, e.file("disk"))
	}
	return files
}

// makeDrives makes the chips, erased, or the disk, with a file system, unless they
// are there.
func (e emulation) makeDrives() error {
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return err
	}
	for _, f := range e.board.Flashes {
		if err := erased(e.file("flash-"+f.Name), f.Size); err != nil {
			return err
		}
	}
	disk := e.file("disk")
	if _, err := os.Stat(disk); err == nil || e.board.State.Device == "" {
		return nil
	}
	mkfs, err := find("mkfs." + e.board.State.FS)
	if err != nil {
		return err
	}
	draft := disk + ".new"
	if err := erased(draft, diskSize); err != nil {
		return err
	}
	if out, err := exec.Command(mkfs, "-q", "-F", draft).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", mkfs, err, out)
	}
	return os.Rename(draft, disk)
}

const diskSize = 16 << 20

// erased makes a file of ones, unless it is there.
func erased(path string, size int64) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer out.Close()
	blank := bytes.Repeat([]byte{0xff}, 1<<16)
	for at := int64(0); at < size; at += int64(len(blank)) {
		if _, err := out.WriteAt(blank[:min(int64(len(blank)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// byUBoot reports whether the image is one that U-Boot starts.
func (e emulation) byUBoot() bool {
	info, err := os.Stat(e.image)
	return err == nil && !info.IsDir()
}

// A cable is the other end of a port of the board: QEMU's words for it.
type cable struct{ port, mac, netdev string }

// arguments is QEMU with the cables plugged in; more is for the kernel.
func (e emulation) arguments(more string, cables ...cable) []string {
	args := e.board.Arguments()
	if e.ram != "" {
		args = append(args, "-m", e.ram)
	}
	if e.byUBoot() {
		args = append(args, "-bios", fmt.Sprintf(uBoot, e.board.CPU.Arch),
			"-device", "loader,force-raw=on,addr="+fitAt+",file="+e.image)
	} else {
		args = append(args, "-kernel", filepath.Join(e.image, "kernel"), "-initrd", filepath.Join(e.image, "initramfs.cpio"),
			"-append", strings.TrimSpace(e.board.CommandLine()+" "+more))
		if e.board.Kernel.DTB != "" {
			args = append(args, "-dtb", filepath.Join(e.image, "board.dtb"))
		}
	}
	for _, file := range e.drives() {
		args = append(args, "-drive", "if="+e.board.QEMU.Drive+",format=raw,file="+file)
	}
	for _, c := range cables {
		args = append(args, "-netdev", c.netdev+",id="+c.port)
		args = append(args, e.board.QEMU.NICs(c.port, c.mac)...)
	}
	return args
}
