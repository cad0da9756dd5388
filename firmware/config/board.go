package config

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// A Board is what a piece of hardware is, as far as an image is packed for it
// and leasehold runs on it: ParseBoard makes it of a text in package boards.
//
//	config board
//		option name 'glinet_gl-mt300n-v2' # OpenWrt's name, which is the file's too
//		option model 'GL.iNet GL-MT300N-V2'
//		list compatible 'glinet,gl-mt300n-v2'
//		list supported 'glinet,gl-mt300n-v2'
//		option goarch 'mipsle'            # with gomips or goarm
//		option gomips 'softfloat'
//		option ram '128M'
//		option console 'ttyS0,115200'
//		option status 'untested'          # built, qemu, hardware
//		option source 'where these facts are from'
//
//	config flash 'nor'                        # one for each chip
//		option kind 'nor'                 # nand, emmc
//		option size '16M'
//		option erase '64k'
//
//	config partition                          # in ascending order, without holes
//		option name 'firmware'
//		option flash 'nor'                # not needed if there is one chip
//		option offset '0x50000'
//		option size '0xfb0000'
//		option use 'image'                # loader, env, mac, image, state, keep, gap
//
//	config image
//		option how 'builtin'              # fit-swap, fit, multi, files, qemu
//		option wrap 'uimage-lzma'         # what the boot loader takes the kernel in;
//		                                  # uimage-none, tplink, trx, fit, zimage
//		option volume 'kernel'            # the UBI volume for it
//		option load '0x80000000'          # with entry, ramdisk_load, fdt_load
//		option config 'config-1'          # of a FIT
//		option ramdisk 'none'             # xz, if the kernel unpacks that
//		option limit '15808k'             # what the boot loader reads, and no more
//		option max_unpacked '12M'         # what it unpacks
//		list out 'sysupgrade'             # sysupgrade-tar, itb, uimage, factory-ubi or
//		                                  # safeloader; files or qemu where how is that
//
//	config kernel
//		list module 'mv88e6xxx'           # loaded at boot, after what it depends on
//		list firmware 'airoha/EthMD32.dm.bin'  # what modules load into chips
//		option package 'linux-image-...'  # of Debian, for emulated boards
//		option source 'linux-source'      # or of its sources, to build one from
//		option arch 'mipsel'              # of either
//		option dtb 'vendor-board.dtb'     # in that package
//		option args 'panic=5'             # more arguments of the kernel
//
//	config switch                             # and config switch_vlan, config device,
//		option name 'switch0'             # config interface: as in OpenWrt
//
//	config mac 'wan'                          # or 'lan'; where none is, the kernel knows
//		option partition 'factory'
//		option offset '0x4'
//		option add '1'
//
//	config state                              # the lease ring; without it, in RAM
//		option partition 'firmware'
//		option at_end '256k'
//		option volume 'state'             # or a file on UBIFS,
//		option device '/dev/vda'          # or on a block device with a file system
//		option fs 'ext4'
//		option file 'leasehold.ring'
//
//	config recovery
//		option how 'Hold reset while powering on.'
//
//	config safeloader                         # of boards that have out 'safeloader'
//		option soft_version 'soft_ver:7.0.0'
//		list support '{product_name:...}' # lines of the support list
//		list partition 'os-image 0xc0000 0x120000'  # as the vendor's table has them
//
//	config qemu
//		option system 'mipsel'            # of qemu-system-*
//		option machine 'malta'
//		option cpu '24Kc'
//		option nic 'virtio-net-pci,romfile='  # or onboard; WAN first
//		option drive 'mtd'                # how a chip's file is attached
//		list arg '-vga none'
type Board struct {
	Name       string // OpenWrt's: glinet_gl-mt300n-v2
	Model      string
	Compatible []string // as in /proc/device-tree/compatible; empty on an emulated board without one
	Supported  []string // names that sysupgrade knows it by
	Compat     string   // compatibility version of OpenWrt's layout: 1.0
	CPU        CPU
	RAM        int64
	Console    Console
	Status     Status
	Source     string
	Flashes    []Flash
	Partitions []Partition // by flash, ascending
	Image      Image
	Kernel     Kernel
	Switches   []Switch
	VLANs      []SwitchVLAN
	Ports      Ports
	MACs       []MACSource
	State      State
	SafeLoader SafeLoader
	Recovery   string
	QEMU       QEMU
}

// A CPU is what Go compiles for.
type CPU struct {
	Arch string // GOARCH
	ARM  string // GOARM: 5 or 7; empty on others
	MIPS string // GOMIPS: softfloat; empty on others
}

// String names the CPU as the Makefile does: mipsle, armv7.
func (c CPU) String() string {
	if c.ARM != "" {
		return c.Arch + "v" + c.ARM
	}
	return c.Arch
}

// A Console is where the kernel prints.
type Console struct {
	Device string // without /dev/
	Baud   int
}

// A Status says what has been proven about a board.
type Status string

// From nothing but the sources to the thing itself.
const (
	Untested Status = "untested" // the facts are from sources, nothing was booted
	Built    Status = "built"    // images are built and verified
	Emulated Status = "qemu"     // boots in QEMU
	Hardware Status = "hardware" // boots on the board
)

// A Flash is one chip.
type Flash struct {
	Name  string
	Kind  string // nor, nand, emmc
	Size  int64
	Erase int64 // block; 0 for emmc
}

// A Partition is a part of a flash that has a name, or a gap.
type Partition struct {
	Name   string // empty only of a gap
	Flash  string
	Offset int64
	Size   int64
	Use    Use
}

// A Use is what a partition is for.
type Use string

// Only an image and the state are ours to write.
const (
	UseLoader Use = "loader"
	UseEnv    Use = "env" // of the boot loader
	UseMAC    Use = "mac" // factory data: addresses, calibration
	UseImage  Use = "image"
	UseState  Use = "state"
	UseKeep   Use = "keep" // the vendor's; left alone
	UseGap    Use = "gap"  // nobody's
)

// An Image is what the boot loader boots.
type Image struct {
	How         How
	Wrap        string // uimage-lzma, uimage-none, fit, zimage, elf or raw
	Volume      string // of UBI; empty: the partition itself
	Load        uint32
	Entry       uint32
	RamdiskLoad uint32
	FDTLoad     uint32
	Config      string // name of the FIT's configuration
	Ramdisk     string // compression of an initramfs beside the kernel: none or xz
	Limit       int64  // octets that the boot loader reads at most; 0: all of the partition
	MaxUnpacked int64  // octets that it unpacks at most; 0: not known
	Outputs     []string
}

// A How says in which way kernel and initramfs come together.
type How string

// Ways to make an image.
const (
	Builtin How = "builtin"  // the kernel is built with the initramfs in it
	FITSwap How = "fit-swap" // the ramdisk of a FIT is replaced
	FIT     How = "fit"      // a FIT of kernel, initramfs and device tree
	Multi   How = "multi"    // a uImage of the three
	Files   How = "files"    // the three and a boot script, side by side
	Side    How = "qemu"     // kernel and initramfs, given to QEMU
)

// A Kernel is what has to be known about the board's kernel.
type Kernel struct {
	Modules  []string // roots, in order; parameters after a blank
	Firmware []string // files below /lib/firmware that modules ask for
	Package  string   // Debian's meta-package
	Source   string   // Debian's meta-package of sources, where it has no kernel
	Arch     string   // Debian's name of the CPU
	DTB      string
	Args     string
}

// Dir is where the kernel is below the directory of all kernels; "": Debian has
// neither it nor its sources.
func (k Kernel) Dir() string {
	if p := cmp.Or(k.Package, k.Source); p != "" {
		return path.Join(k.Arch, p)
	}
	return ""
}

// A Switch is one that the kernel drives with swconfig. Until it is told of its
// VLANs, it bridges LAN and WAN.
type Switch struct {
	Name  string
	Reset bool
	VLAN  bool // enable_vlan
}

// A SwitchVLAN is one VLAN of a switch.
type SwitchVLAN struct {
	Switch string
	ID     int
	Ports  []SwitchPort
}

// A SwitchPort is a port as a member of a VLAN.
type SwitchPort struct {
	Port   int
	Tagged bool // 6t
}

// Ports are the network devices.
type Ports struct {
	LAN     string   // the bridge, or a port
	Bridged []string // the bridge's; empty: LAN is a port
	WAN     string
}

// A MACSource is where a MAC address is, six octets from Offset on.
type MACSource struct {
	Port      string // lan or wan
	Partition string
	Offset    int64
	Add       int // to the last three octets
}

// A State is where the lease ring lives: at the end of an MTD partition, in a
// file on a volume or a block device, or, if zero, in RAM only.
type State struct {
	Partition string
	AtEnd     int64  // 0: all of the partition
	Volume    string // of UBI, in Partition
	Device    string // /dev/vda
	FS        string // of Device
	File      string // in the file system of Volume or Device, without /
}

// A SafeLoader is what TP-Link's boot loader wants to see in a factory image.
// Its partitions are the vendor's, not those of the kernel; "firmware" is taken
// apart into the image and what follows it.
type SafeLoader struct {
	SoftVersion string
	Support     []string
	Partitions  []Partition // by name, offset and size
}

// StateDir is where a volume or a block device for the state is mounted.
const StateDir = "/state"

// Ring returns where the configuration has to say that the ring is.
func (s State) Ring() Ring {
	r := Default().Ring
	switch {
	case s.File != "":
		r.Path = path.Join(StateDir, s.File)
	case s.Partition != "":
		r.Path, r.AtEnd = mtdName+s.Partition, s.AtEnd
	}
	return r
}

// QEMU is what an emulated board is started with.
type QEMU struct {
	System  string // of qemu-system-*; empty: not an emulated board
	Machine string
	CPU     string
	NIC     string // a -device, or onboard
	Drive   string // interface of -drive for each flash: mtd, pflash, virtio; empty: none
	Args    []string
}

// NICs are the arguments that connect a network backend to the next port.
func (q QEMU) NICs(netdev, mac string) []string {
	if q.NIC == onboard {
		return []string{"-net", "nic,netdev=" + netdev + ",macaddr=" + mac}
	}
	return []string{"-device", q.NIC + ",netdev=" + netdev + ",mac=" + mac}
}

const onboard = "onboard"

// Arguments starts QEMU's command line: all but kernel, drives and networks.
func (b Board) Arguments() []string {
	args := []string{"qemu-system-" + b.QEMU.System, "-M", b.QEMU.Machine,
		"-m", formatSize(b.RAM), "-nographic", "-no-reboot"}
	if b.QEMU.CPU != "" {
		args = append(args, "-cpu", b.QEMU.CPU)
	}
	for _, a := range b.QEMU.Args {
		args = append(args, strings.Fields(a)...)
	}
	return args
}

// CommandLine is what the kernel is told.
func (b Board) CommandLine() string {
	s := "console=" + b.Console.Device + "," + formatInt(int64(b.Console.Baud))
	if b.Kernel.Args != "" {
		s += " " + b.Kernel.Args
	}
	return s
}

// Flash returns the chip of that name.
func (b Board) Flash(name string) (Flash, bool) {
	return find(b.Flashes, func(f Flash) bool { return f.Name == name })
}

// Partition returns the partition of that name.
func (b Board) Partition(name string) (Partition, bool) {
	return find(b.Partitions, func(p Partition) bool { return p.Name == name && name != "" })
}

// ImagePartition returns where the image goes, if flash it is.
func (b Board) ImagePartition() (Partition, bool) {
	return find(b.Partitions, func(p Partition) bool { return p.Use == UseImage })
}

// Room is how many octets an image may have; 0: no limit is known.
func (b Board) Room() int64 {
	p, ok := b.ImagePartition()
	room := p.Size
	if ok && b.State.Partition == p.Name {
		room -= b.State.AtEnd
	}
	if b.Image.Limit > 0 && (!ok || b.Image.Limit < room) {
		room = b.Image.Limit
	}
	return room
}

func find[T any](all []T, is func(T) bool) (T, bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	var none T
	return none, false
}

// Config returns what is in force on the board if its owner writes nothing.
func (b Board) Config() Config {
	c := Default()
	c.LAN.Device = b.Ports.LAN
	c.WAN.Device = b.Ports.WAN
	c.Ring = b.State.Ring()
	return c
}
