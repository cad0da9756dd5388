// Package boot turns a kernel into this router: it is what /init does.
//
// It mounts what has to be mounted, loads the kernel modules of the image, finds
// out which board it is on, keeps LAN and WAN apart and brings their ports up.
// Then it starts the router as a second process, of the same program, and stays
// with it:
//
//	kernel ─► init (process 1) ─► leasehold run
//	            │  ◄── stderr ──────┤   to the console; the end of it is kept
//	            │  ◄── pulse ───────┘   while all loops live
//	            └──► watchdog           while the pulse is felt
//
// Process 1 may not end, or the kernel panics. So it does little, and nothing
// that a packet can reach. If the router ends, whether by a panic, by running out
// of memory or because it hangs, its last words are kept where they survive the
// reboot, which follows. Nothing is restarted in silence.
//
// The mounts are our own, not those of u-root's libinit: that makes the image
// larger by a tenth (112 kB of xz on mipsle), insists on devtmpfs, which
// OpenWrt's kernels do not have, and brings crypto/rand with 32 MiB of .bss,
// which a kernel with little memory refuses to start. Under u-root's init, which
// has mounted everything, it works as well, and Enter on the console opens
// u-root's shell beside the router.
package boot

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"leasehold/firmware/config"
	"leasehold/firmware/link"
)

// Options are what init is started with.
type Options struct {
	Version string
	Log     *slog.Logger
	Console io.Writer // for what the router says
	Keys    io.Reader // what is typed on the console, line by line
	// Load reads the configuration as the router does.
	Load func() (config.Config, []config.Problem)
	// Router are the arguments that the program is started with to be the router.
	Router []string
}

// ErrNoInitramfs keeps who only tries it from rebooting his PC.
var ErrNoInitramfs = errors.New("this machine does not run from an initramfs: it is not ours to boot")

// Run boots the machine, and reboots it. It returns only ErrNoInitramfs, on a
// machine like any other.
func Run(opt Options) error {
	s := linux
	s.log, s.first = opt.Log, os.Getpid() == 1
	if !s.first && !inMemory("/") {
		return ErrNoInitramfs
	}
	if s.first {
		s.openConsole()
	}
	// A shell that has the terminal must not stop us.
	signal.Ignore(unix.SIGTTIN, unix.SIGTTOU)
	s.end(boot(s, opt))
	select {} // the kernel would not: the watchdog will
}

// inMemory reports whether path is on a file system that is gone at the next boot.
func inMemory(path string) bool {
	var s unix.Statfs_t
	kind := uint32(0) // a signed number on some CPUs
	if unix.Statfs(path, &s) == nil {
		kind = uint32(s.Type)
	}
	return kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC
}

// boot ends when the machine is to end.
func boot(s system, opt Options) ending {
	s.mountAll()
	s.makeNodes()
	s.loadModules()
	board, known := s.findBoard()
	if known {
		s.mountState(board.State)
	}
	cfg, _ := opt.Load()
	s.tellLastWords(cfg.Ring)
	dog := s.openWatchdog()
	return newKeeper(s, opt, dog, board).run()
}

// A system is what boot touches of the machine. Tests put another one in its
// place.
type system struct {
	log    *slog.Logger
	first  bool   // we are process 1
	root   string // that all paths are under: /
	mount  func(source, target, fstype string, flags uintptr, data string) error
	mknod  func(path string, mode uint32, dev int) error
	module func(path, params string) error
	reboot func(cmd int) error
	start  func(s startup) (pid int, err error)
	kill   func(pid int, sig unix.Signal) error
	reap   func() (pid int, status unix.WaitStatus)
	notify func(c chan<- os.Signal, sig ...os.Signal)
	// startShell gives the terminal to a shell, and regain takes it back.
	startShell func(path string) (pid int, err error)
	regain     func()
	nic        nic
	dog        func(path string) (kicker, error)
}

// A nic is what boot does to network interfaces.
type nic struct {
	await     func(ctx context.Context, names ...string) (missing []string, err error)
	setSwitch func(link.SwitchSetup) error
	addVLAN   func(ifname string) error
	addBridge func(ifname string) error
	enslave   func(bridge, ifname string) error
	setMAC    func(ifname string, mac [6]byte) error
	up        func(ifname string) error
}

var linux = system{
	root:   "/",
	mount:  unix.Mount,
	mknod:  unix.Mknod,
	module: loadModule,
	reboot: unix.Reboot,
	start:  startProcess,
	kill:   unix.Kill,
	reap:   reap,
	notify: signal.Notify,

	startShell: startShell,
	regain:     regainTerminal,

	nic: nic{
		await:     link.AwaitPorts,
		setSwitch: link.SetUpSwitch,
		addVLAN:   link.AddVLAN,
		addBridge: link.AddBridge,
		enslave:   link.Enslave,
		setMAC:    link.SetMAC,
		up:        link.Up,
	},
	dog: openDog,
}

func (s system) path(p string) string { return filepath.Join(s.root, p) }

func (s system) read(p string) ([]byte, error) { return os.ReadFile(s.path(p)) }

// openConsole has standard input, output and error lead to the console also
// where the image has no node for it.
func (s system) openConsole() {
	s.mountDev()
	f, err := os.OpenFile(s.path("/dev/console"), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return // what the kernel opened has to do
	}
	defer f.Close()
	for fd := range 3 {
		unix.Dup3(int(f.Fd()), fd, 0)
	}
}

// absent reports an error that only says that the kernel has no such thing.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO)
}

const (
	// untilPorts is how long ports may take to appear.
	untilPorts = 10 * time.Second
	// untilNetwork is how soon a network that could not be set up safely is tried
	// again.
	untilNetwork = 30 * time.Second
)
