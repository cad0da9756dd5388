package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"leasehold/firmware/config"
	"leasehold/firmware/link"
)

// A bench is a machine in a directory, that notes what is done to it.
type bench struct {
	system
	t     *testing.T
	mu    sync.Mutex
	did   []string
	said  *bytes.Buffer
	fails map[string]error // by the beginning of what is done
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, said: new(bytes.Buffer), fails: map[string]error{}}
	b.system = system{
		log:  slog.New(slog.NewTextHandler(b.said, &slog.HandlerOptions{ReplaceAttr: dateless})),
		root: t.TempDir(),
		mount: func(source, target, fstype string, _ uintptr, data string) error {
			return b.does("mount %s %s %s %s", source, b.rel(target), fstype, data)
		},
		mknod: func(path string, mode uint32, dev int) error {
			kind := map[uint32]string{unix.S_IFCHR: "c", unix.S_IFBLK: "b"}[mode&unix.S_IFMT]
			return b.does("mknod %s %s %d:%d %o", b.rel(path), kind, unix.Major(uint64(dev)), unix.Minor(uint64(dev)), mode&0o777)
		},
		module: func(path, params string) error { return b.does("module %s %s", b.rel(path), params) },
		reboot: func(cmd int) error { return b.does("reboot %#x", uint32(cmd)) },
		nic: nic{
			await: func(_ context.Context, names ...string) ([]string, error) {
				b.does("await %s", strings.Join(names, " "))
				return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n != "missing" }), nil
			},
			setSwitch: func(s link.SwitchSetup) error { return b.does("switch %s %v", s.Name, s.VLANs) },
			addVLAN:   func(name string) error { return b.does("vlan %s", name) },
			addBridge: func(name string) error { return b.does("bridge %s", name) },
			enslave:   func(bridge, name string) error { return b.does("enslave %s to %s", name, bridge) },
			setMAC:    func(name string, mac [6]byte) error { return b.does("mac %s %x", name, mac) },
			up:        func(name string) error { return b.does("up %s", name) },
		},
		dog: func(string) (kicker, error) { return nil, os.ErrNotExist },
	}
	return b
}

func dateless(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func (b *bench) rel(path string) string { return strings.TrimPrefix(path, b.root) }

func (b *bench) does(format string, args ...any) error {
	what := strings.TrimSpace(fmt.Sprintf(format, args...))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, what)
	for prefix, err := range b.fails {
		if strings.HasPrefix(what, prefix) {
			return err
		}
	}
	return nil
}

func (b *bench) done() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.did)
}

func (b *bench) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) didExactly(want ...string) {
	b.t.Helper()
	if !slices.Equal(b.did, want) {
		b.t.Errorf("did\n  %s\nwant\n  %s", strings.Join(b.did, "\n  "), strings.Join(want, "\n  "))
	}
}

func (b *bench) saidOnly(want ...string) {
	b.t.Helper()
	lines := strings.Split(strings.TrimSpace(b.said.String()), "\n")
	if b.said.Len() == 0 {
		lines = nil
	}
	ok := len(lines) == len(want)
	for i := range min(len(lines), len(want)) {
		ok = ok && strings.Contains(lines[i], want[i])
	}
	if !ok {
		b.t.Errorf("said\n%s\nwant\n%s", b.said, strings.Join(want, "\n"))
	}
}

func TestMountsInOrder(t *testing.T) {
	b := newBench(t)
	b.fails["mount pstore"] = unix.ENODEV // not every kernel has it
	b.mountDev()
	b.mountAll()
	b.didExactly(
		"mount devtmpfs /dev devtmpfs mode=755",
		"mount proc /proc proc",
		"mount sysfs /sys sysfs",
		"mount devpts /dev/pts devpts mode=620,ptmxmode=666",
		"mount tmpfs /tmp tmpfs mode=1777",
		"mount tmpfs /run tmpfs mode=755",
		"mount pstore /sys/fs/pstore pstore",
	)
	b.saidOnly()
}

func TestMountThatFailsIsSaid(t *testing.T) {
	b := newBench(t)
	b.fails["mount proc"] = unix.EPERM
	b.mountAll()
	b.saidOnly(`msg="not mounted" path=/proc err="operation not permitted"`)
	if len(b.did) != len(mountPoints) {
		t.Errorf("did %q; want all of them tried", b.did)
	}
}

// TestMountedIsLeftAlone: under u-root's init all of it is there.
func TestMountedIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.root = "/"
	if !b.isMount("/proc") {
		t.Skip("/proc is not mounted")
	}
	if err := b.mountOne(mountPoint{fstype: "proc", path: "/proc"}); err != nil {
		t.Error(err)
	}
	b.didExactly()
}

// TestNodesWithoutDevtmpfs: as OpenWrt's kernels need it. The console comes
// before /sys.
func TestNodesWithoutDevtmpfs(t *testing.T) {
	b := newBench(t)
	b.fails["mount devtmpfs"] = unix.ENODEV
	for file, text := range map[string]string{
		"char/1:3":   "MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n",
		"char/90:2":  "MAJOR=90\nMINOR=2\nDEVNAME=mtd1\nDEVTYPE=mtd\n",
		"char/10:0":  "DRIVER=x\n",
		"char/1:9":   "MAJOR=1\nMINOR=9\nDEVNAME=../etc/passwd\n",
		"block/31:0": "MAJOR=31\nMINOR=0\nDEVNAME=mtdblock0\nDEVTYPE=disk\n",
	} {
		b.write("sys/dev/"+file+"/uevent", text)
	}
	b.write("dev/there", "")
	b.write("sys/dev/char/4:4/uevent", "MAJOR=4\nMINOR=4\nDEVNAME=there\n")
	b.mountDev()
	b.makeNodes()
	slices.Sort(b.did[4:])
	b.didExactly(
		"mount devtmpfs /dev devtmpfs mode=755",
		"mount tmpfs /dev tmpfs mode=755",
		"mknod /dev/console c 5:1 600",
		"mknod /dev/null c 1:3 666",
		"mknod /dev/mtd1 c 90:2 600",
		"mknod /dev/mtdblock0 b 31:0 600",
		"mknod /dev/null c 1:3 666",
	)
	b.saidOnly()
}

// TestKernelMakesTheNodes: then nothing is looked for.
func TestKernelMakesTheNodes(t *testing.T) {
	b := newBench(t)
	b.write("proc/mounts", "rootfs / rootfs rw 0 0\ndevtmpfs /dev devtmpfs rw 0 0\n")
	b.makeNodes()
	b.didExactly()
	b.saidOnly()
}

func TestParseUevent(t *testing.T) {
	for _, tc := range []struct {
		text string
		want device
		ok   bool
	}{
		{"MAJOR=90\nMINOR=2\nDEVNAME=mtd1\n", device{name: "mtd1", major: 90, minor: 2, mode: 0o600}, true},
		{"DEVMODE=0666\nMAJOR=10\nMINOR=200\nDEVNAME=net/tun", device{name: "net/tun", major: 10, minor: 200, mode: 0o666}, true},
		{"", device{mode: 0o600}, false},
		{"MAJOR=1\nDEVNAME=x\n", device{name: "x", major: 1, mode: 0o600}, false},
		{"MAJOR=x\nMINOR=1\nDEVNAME=y\n", device{}, false},
		{"MAJOR=1\nMINOR=1\nDEVNAME=x\nDEVMODE=7777\n", device{}, false},
	} {
		if got, ok := parseUevent(tc.text); got != tc.want || ok != tc.ok {
			t.Errorf("parseUevent(%q) = %+v, %v; want %+v, %v", tc.text, got, ok, tc.want, tc.ok)
		}
	}
}

// FuzzUevent: no uevent leads out of /dev.
func FuzzUevent(f *testing.F) {
	f.Add("MAJOR=90\nMINOR=2\nDEVNAME=mtd1\nDEVMODE=0644\n")
	f.Add("MAJOR=1\nMINOR=1\nDEVNAME=../x\n")
	f.Add("MAJOR=1\nMINOR=1\nDEVNAME=a/./b\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := parseUevent(text)
		if !ok {
			return
		}
		if path := filepath.Join("/dev", d.name); !strings.HasPrefix(path, "/dev/") || path != "/dev/"+d.name {
			t.Errorf("parseUevent(%q): the node is %s", text, path)
		}
		if d.mode > 0o777 {
			t.Errorf("parseUevent(%q): mode %o", text, d.mode)
		}
	})
}

func TestModulesInOrderAndInSpiteOfFailures(t *testing.T) {
	b := newBench(t)
	b.write(modulesFile, "/lib/modules/6/llc.ko\n\n# the bridge\n/lib/modules/6/bridge.ko\n/lib/modules/6/block2mtd.ko  block2mtd=/dev/vda,65536,leases \n/lib/modules/6/last.ko\n")
	b.fails["module /lib/modules/6/bridge.ko"] = errors.New("/lib/modules/6/bridge.ko: exec format error")
	b.write("sys/dev/char/.keep", "")
	b.write("sys/dev/block/254:0/uevent", "MAJOR=254\nMINOR=0\nDEVNAME=vda\n")
	b.loadModules()
	b.didExactly(
		"module /lib/modules/6/llc.ko",
		"mknod /dev/vda b 254:0 600",
		"module /lib/modules/6/bridge.ko",
		"module /lib/modules/6/block2mtd.ko block2mtd=/dev/vda,65536,leases",
		"mknod /dev/vda b 254:0 600", // the bench makes none
		"module /lib/modules/6/last.ko",
		"mknod /dev/vda b 254:0 600",
	)
	b.saidOnly(`msg="kernel module not loaded" err="/lib/modules/6/bridge.ko: exec format error"`)
}

func TestNoModulesIsFine(t *testing.T) {
	b := newBench(t)
	b.loadModules()
	b.saidOnly()
}

const someBoard = `
config board
	option name 'acme_box'
	option model 'Acme Box'
	list compatible 'acme,box'
	list compatible 'acme,box-v2'
	option goarch 'arm64'
	option ram '64M'
	option console 'ttyS0,115200'
	option source 'made up'
config image
	option how 'multi'
	option wrap 'raw'
	option load '0x1000'
	list out 'uimage'
config interface 'lan'
	option device 'eth1'
config interface 'wan'
	option device 'eth0'
`

func TestFindBoard(t *testing.T) {
	for _, tc := range []struct {
		name, text, compatible string
		known                  bool
		said                   []string
	}{
		{"matches", someBoard, "acme,box-v2\x00vendor,soc\x00", true, nil},
		{"another board", someBoard, "vendor,other\x00vendor,soc\x00", true,
			[]string{`msg="THIS IMAGE IS FOR ANOTHER BOARD" image=acme_box board="vendor,other vendor,soc"`}},
		{"no device tree", someBoard, "", true, nil},
		{"no board", "", "acme,box\x00", false, []string{"the image names no board"}},
		{"garbage", "config board\n\toption name 'x'\n", "", false, []string{"board not understood"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			if tc.text != "" {
				b.write(boardFile, tc.text)
			}
			if tc.compatible != "" {
				b.write(compatibleFile, tc.compatible)
			}
			board, known := b.findBoard()
			if known != tc.known || known && board.Ports.WAN != "eth0" {
				t.Errorf("findBoard = %+v, %v", board, known)
			}
			b.saidOnly(tc.said...)
		})
	}
}

// TestInMemory: a machine whose root stays is nobody's to reboot.
func TestInMemory(t *testing.T) {
	for path, want := range map[string]bool{"/proc": false, "/dev/shm": true, "/no/such/path": false} {
		if _, err := os.Stat(path); err != nil && want {
			continue
		}
		if got := inMemory(path); got != want {
			t.Errorf("inMemory(%s) = %v; want %v", path, got, want)
		}
	}
}

// TestFit: the board decides what the owner left open, and nothing else.
func TestFit(t *testing.T) {
	board := config.Board{
		Name:  "acme_box",
		Ports: config.Ports{LAN: "br-lan", Bridged: []string{"eth0.1"}, WAN: "eth0.2"},
		State: config.State{Partition: "firmware", AtEnd: 256 << 10},
	}
	own := config.Default()
	own.WAN.Device, own.Ring.Path = "usb0", "/mnt/ring"
	lan := config.Default()
	lan.LAN.Device = "eth0.2"
	ram := board
	ram.State = config.State{}
	for _, tc := range []struct {
		name           string
		c              config.Config
		b              config.Board
		lan, wan, ring string
		atEnd          int64
		wanEnabled     bool
	}{
		{"nothing written", config.Default(), board, "br-lan", "eth0.2", "mtd:firmware", 256 << 10, true},
		{"the owner's", own, board, "br-lan", "usb0", "/mnt/ring", 0, true},
		{"the WAN port is the LAN", lan, board, "eth0.2", "eth0.2", "mtd:firmware", 256 << 10, false},
		{"a board without flash", config.Default(), ram, "br-lan", "eth0.2", "/state/leasehold.ring", 0, true},
		{"no board", config.Default(), config.Board{}, "br-lan", "wan", "/etc/leasehold.ring", 0, true},
	} {
		got := fit(tc.c, tc.b)
		if got.LAN.Device != tc.lan || got.WAN.Device != tc.wan || got.Ring.Path != tc.ring || got.Ring.AtEnd != tc.atEnd || got.WAN.Enabled != tc.wanEnabled {
			t.Errorf("%s: LAN %s, WAN %s %v, ring %s %d", tc.name, got.LAN.Device, got.WAN.Device, got.WAN.Enabled, got.Ring.Path, got.Ring.AtEnd)
		}
	}
}

// TestStateThatIsNotMountedIsNoDirectory: or the ring would be in memory, and
// look like one on flash.
func TestStateThatIsNotMountedIsNoDirectory(t *testing.T) {
	ubi := config.State{Partition: "ubi", Volume: "state", File: "ring"}
	disk := config.State{Device: "/dev/vda", FS: "ext4", File: "ring"}
	for _, tc := range []struct {
		at    config.State
		err   error
		want  []string
		there bool
	}{
		{ubi, nil, []string{"mount ubi0:state /state ubifs"}, true},
		{disk, nil, []string{"mount /dev/vda /state ext4"}, true},
		{disk, unix.EINVAL, []string{"mount /dev/vda /state ext4"}, false},
		{config.State{Partition: "firmware", AtEnd: 1}, nil, nil, false},
	} {
		b := newBench(t)
		b.fails["mount"] = tc.err
		b.mountState(tc.at)
		b.didExactly(tc.want...)
		if _, err := os.Stat(filepath.Join(b.root, "state")); (err == nil) != tc.there {
			t.Errorf("%+v, %v: /state is there: %v; want %v", tc.at, tc.err, err == nil, tc.there)
		}
		if (b.said.Len() > 0) != (tc.err != nil) {
			t.Errorf("said %s", b.said)
		}
	}
}
