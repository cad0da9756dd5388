package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"leasehold/boards"
	"leasehold/firmware/config"
	"leasehold/firmware/image"
)

// The machine's two ports. What it sends has these addresses, as what the lab's
// other router sends.
const (
	machineWAN = "02:00:5e:00:01:01"
	machineLAN = "02:00:5e:00:02:01"
)

// machineLimit is how long QEMU runs at most, whatever becomes of the lab.
const machineLimit = 15 * time.Minute

// A machine is a board in QEMU with an image of ours, where the router of a
// network was. Its flash is in files, which outlive it.
type machine struct {
	*network
	board   config.Board
	kernel  string // directory of Debian's package
	console func(string)
	proc    *process
	on      time.Time
}

// newMachine puts a board into a network whose router is not switched on.
// Kernels is where the packer unpacks those of Debian.
func newMachine(n *network, name, kernels string, console func(string)) (*machine, error) {
	text, err := boards.Text(name)
	if err != nil {
		return nil, err
	}
	b, problems := config.ParseBoard(name, text)
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	m := &machine{network: n, board: b, kernel: filepath.Join(kernels, b.Kernel.Dir()), console: console}
	if err := m.cableUp(); err != nil {
		return nil, err
	}
	return m, m.blankDrives()
}

// cableUp makes of the router's namespace the cables of the machine: its WAN
// port to the provider, its LAN port to the laptops.
func (m *machine) cableUp() error {
	return ip(m.router,
		"link set br-lan address 02:00:5e:00:02:02", // or it takes what is for the machine
		"link set wan address 02:00:5e:00:01:02 up",
		"link add br-wan type bridge forward_delay 0",
		"link set wan master br-wan",
		"link set br-wan up",
		"tuntap add dev tap-wan mode tap",
		"tuntap add dev tap-lan mode tap",
		"link set tap-wan master br-wan up",
		"link set tap-lan master br-lan up")
}

func (m *machine) file(name string) string { return filepath.Join(m.dir, name) }

// drives are the files of the machine's flash chips, or of the disk that it has
// instead.
func (m *machine) drives() []string {
	var files []string
	for _, f := range m.board.Flashes {
		files = append(files, m.file(f.Name))
	}
	if m.board.State.Device != "" {
		files = append(files, m.file("disk"))
	}
	return files
}

// blankDrives makes the chips, erased, or the disk, with a file system.
func (m *machine) blankDrives() error {
	for _, f := range m.board.Flashes {
		if err := erased(m.file(f.Name), f.Size); err != nil {
			return err
		}
	}
	if m.board.State.Device == "" {
		return nil
	}
	mkfs, err := find("mkfs." + m.board.State.FS)
	if err != nil {
		return err
	}
	if err := erased(m.file("disk"), diskSize); err != nil {
		return err
	}
	if out, err := exec.Command(mkfs, "-q", "-F", m.file("disk")).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", mkfs, err, out)
	}
	return nil
}

const diskSize = 16 << 20

// erased makes a file of ones.
func erased(path string, size int64) error {
	out, err := os.Create(path)
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

// pack packs the initramfs: leasehold alone, and the board's modules.
func (m *machine) pack(leasehold string) error {
	text, err := boards.Text(m.board.Name)
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(leasehold)
	if err != nil {
		return err
	}
	modules, err := image.FindModules(m.kernel, m.board.Kernel.Modules)
	if err != nil {
		return err
	}
	conf, _, err := image.ReadConfig(m.board, "")
	if err != nil {
		return err
	}
	f, err := os.Create(m.file("initramfs"))
	if err != nil {
		return err
	}
	defer f.Close()
	return image.Initramfs{Board: text, Config: conf, Leasehold: binary, Modules: modules}.Write(f)
}

// powerOn starts QEMU. What the machine prints on its serial line is what the
// process says.
func (m *machine) powerOn(more ...string) error {
	args, err := m.arguments(strings.Join(more, " "))
	if err != nil {
		return err
	}
	m.on = time.Now()
	limit := fmt.Sprint(machineLimit.Seconds())
	m.proc, err = start(m.router, m.console, append([]string{"nice", "timeout", "-s", "KILL", limit}, args...)...)
	return err
}

func (m *machine) arguments(more string) ([]string, error) {
	kernel, err := one(filepath.Join(m.kernel, "boot/vmlinuz-*"))
	if err != nil {
		return nil, err
	}
	args := append(m.board.Arguments(), "-serial", "stdio", "-monitor", "none",
		"-kernel", kernel, "-initrd", m.file("initramfs"),
		"-append", strings.TrimSpace(m.board.CommandLine()+" quiet "+more))
	if m.board.Kernel.DTB != "" {
		dtb, err := one(filepath.Join(m.kernel, "usr/lib/linux-image-*", m.board.Kernel.DTB))
		if err != nil {
			return nil, err
		}
		args = append(args, "-dtb", dtb)
	}
	for _, file := range m.drives() {
		args = append(args, "-drive", "if="+m.board.QEMU.Drive+",format=raw,file="+file)
	}
	for _, port := range []struct{ name, mac string }{{"wan", machineWAN}, {"lan", machineLAN}} {
		args = append(args, "-netdev", "tap,script=no,downscript=no,id="+port.name+",ifname=tap-"+port.name)
		args = append(args, m.board.QEMU.NICs(port.name, port.mac)...)
	}
	return args, nil
}

// one is the one file that there is.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s: %d files; one is wanted", pattern, len(found))
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// until waits for the machine to say something, and returns how long that was
// after it was switched on.
func (m *machine) until(ctx context.Context, mark int, pattern string) (time.Duration, error) {
	if _, err := m.proc.await(ctx, mark, pattern); err != nil {
		return 0, fmt.Errorf("%s: %w; it said:\n%s", m.board.Name, err, m.proc)
	}
	return time.Since(m.on), nil
}

// powerCut takes the power away in the middle of whatever the machine does.
func (m *machine) powerCut() error {
	_, err := m.proc.end(syscall.SIGKILL)
	return err
}
