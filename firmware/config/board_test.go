package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"leasehold/boards"
)

// read parses a board of ours, which has to be without problems.
func readBoard(t *testing.T, name string) Board {
	t.Helper()
	text, err := boards.Text(name)
	if err != nil {
		t.Fatal(err)
	}
	b, problems := ParseBoard(name, text)
	for _, p := range problems {
		t.Errorf("boards/%v", p)
	}
	return b
}

func TestEveryBoardIsConsistent(t *testing.T) {
	if len(boards.Names()) == 0 {
		t.Fatal("there are no boards")
	}
	for _, name := range boards.Names() {
		t.Run(name, func(t *testing.T) {
			b := readBoard(t, name)
			again, problems := Parse(name, Format(b.Config()))
			if len(problems) > 0 || again.LAN.Device != b.Ports.LAN || again.WAN.Device != b.Ports.WAN {
				t.Errorf("its configuration reads as %s and %s, %v", again.LAN.Device, again.WAN.Device, problems)
			}
		})
	}
}

func TestEveryBoardHasACPUOfTheMakefile(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	arches := regexp.MustCompile(`(?m)^ARCHES\s*:=(.*)$`).FindSubmatch(makefile)
	if arches == nil {
		t.Fatal("the Makefile has no ARCHES")
	}
	for _, name := range boards.Names() {
		if cpu := readBoard(t, name).CPU.String(); !slices.Contains(strings.Fields(string(arches[1])), cpu) {
			t.Errorf("%s: make builds for %s, not for %s", name, arches[1], cpu)
		}
	}
}

func TestBoardIsReadWhole(t *testing.T) {
	b := readBoard(t, "glinet_gl-mt300n-v2")
	firmware, _ := b.ImagePartition()
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"CPU", b.CPU.String(), "mipsle"},
		{"RAM", b.RAM, int64(128 << 20)},
		{"console", b.CommandLine(), "console=ttyS0,115200"},
		{"image partition", firmware, Partition{"firmware", "nor", 0x50000, 0xfb0000, UseImage}},
		{"room", b.Room(), int64(15808 << 10)},
		{"load", b.Image.Load, uint32(0x80000000)},
		{"WAN", b.Ports.WAN, "eth0.2"},
		{"bridged", b.Ports.Bridged[0], "eth0.1"},
		{"VLAN of WAN", b.VLANs[1].ID, 2},
		{"CPU port", b.VLANs[1].Ports[1], SwitchPort{6, true}},
		{"MAC", b.MACs[0], MACSource{"lan", "factory", 4, 0}},
		{"ring", b.Config().Ring, Ring{"mtd:firmware", 256 << 10, 10_000, 10}},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v; want %v", c.what, c.got, c.want)
		}
	}
}

func TestStateSaysWhereTheRingIs(t *testing.T) {
	for name, want := range map[string]string{
		"glinet_gl-mt3000": "/state/leasehold.ring",
		"qemu_virt-arm64":  "/state/leasehold.ring",
		"qemu_ast2600-evb": "mtd:rwfs",
		"qemu_malta-be":    "mtd:User FS",
	} {
		if got := readBoard(t, name).Config().Ring.Path; got != want {
			t.Errorf("the ring of %s is %s; want %s", name, got, want)
		}
	}
	if got, want := (State{}).Ring(), Default().Ring; got != want {
		t.Errorf("without a state the ring is %v; want %v", got, want)
	}
}

func TestEmulatedBoardsAreStarted(t *testing.T) {
	b := readBoard(t, "qemu_malta-le")
	if got, want := strings.Join(b.Arguments(), " "), "qemu-system-mipsel -M malta -m 128M -nographic -no-reboot -vga none"; got != want {
		t.Errorf("Arguments = %s; want %s", got, want)
	}
	if got, want := strings.Join(b.QEMU.NICs("wan", "52:54:00:00:00:01"), " "),
		"-device virtio-net-pci,romfile=,netdev=wan,mac=52:54:00:00:00:01"; got != want {
		t.Errorf("NICs = %s; want %s", got, want)
	}
	if got, want := b.CommandLine(), "console=ttyS0,115200 panic=-1 nohz=off highres=off"; got != want {
		t.Errorf("CommandLine = %s; want %s", got, want)
	}
	b = readBoard(t, "qemu_ast2600-evb")
	if got, want := strings.Join(b.QEMU.NICs("wan", "52:54:00:00:00:01"), " "), "-net nic,netdev=wan,macaddr=52:54:00:00:00:01"; got != want {
		t.Errorf("NICs = %s; want %s", got, want)
	}
}

func TestNewBoardIsWithoutProblems(t *testing.T) {
	b, problems := ParseBoard("vendor_model-v1", NewBoard("vendor_model-v1"))
	if len(problems) > 0 || b.Name != "vendor_model-v1" {
		t.Errorf("ParseBoard(NewBoard) = %s, %v", b.Name, problems)
	}
}

// Each slip is one that a pair of eyes misses: the line is named.
func TestBoardSlips(t *testing.T) {
	good := string(NewBoard("b"))
	for _, tc := range []struct {
		name     string
		old, new string
		want     string // after the file's name
	}{
		{"unknown section", "config recovery", "config recover", ": a board has no config recover"},
		{"misspelt option", "option limit", "option limits", "option 'limits' is not known in config image: did you mean 'limit'?"},
		{"twice", "config recovery", "config image\n\nconfig recovery", "config image is there twice"},
		{"other name", "option name 'b'", "option name 'c'", "name must be that of the file, 'b'"},
		{"no such CPU", "'mipsle' ", "'mips64'", "'mips64' is none of mips, mipsle, arm, arm64"},
		{"hard float", "option gomips 'softfloat'\n", "\n", "gomips 'softfloat' belongs to mips"},
		{"arm without its version", "option goarch 'mipsle'", "option goarch 'arm'", "goarm is missing"},
		{"hole", "'0x40000'", "'0x50000'", "partition 'factory' begins at 0x50000, the one before it ends at 0x40000"},
		{"overlap", "option size '0x30000'", "option size '0x40000'", "partition 'u-boot-env' begins at 0x30000, the one before it ends at 0x40000"},
		{"behind the end", "'0xfb0000'", "'0xfc0000'", "partition 'firmware' ends at 0x1010000, behind the end"},
		{"not up to the end", "'0xfb0000'", "'0xfa0000'", "the partitions end at 0xff0000, the chip at 0x1000000"},
		{"half a block", "option erase '64k'", "option erase '128k'", "partition 'u-boot' is not in whole erase blocks of 128k"},
		{"same name", "option name 'factory'", "option name 'u-boot'", "partition 'u-boot' is there twice"},
		{"no such flash", "option name 'firmware'", "option name 'firmware'\n\toption flash 'nand'", "no flash is called 'nand'"},
		{"limit over the partition", "'15808k'", "'16128k'", "limit is more than the partition 'firmware' has"},
		{"image over the ring", "'15808k'", "'15872k'", "the image may reach the ring"},
		{"ring too small", "option at_end '256k'", "option at_end '128k'", "at least three erase blocks"},
		{"ring not in blocks", "option at_end '256k'", "option at_end '250k'", "not in whole erase blocks"},
		{"ring on the image", "option at_end '256k'\n", "\n", "at_end is missing: the image is there too"},
		{"ring in the boot loader", "partition 'firmware'", "partition 'u-boot'", "partition 'u-boot' is not ours to write"},
		{"ring nowhere", "partition 'firmware'", "partition 'rootfs'", "config state: no partition is called 'rootfs'"},
		{"ring on a disk without a file system", "option partition 'firmware'\n\toption at_end '256k'", "option device '/dev/sda1'", "partition is missing, or device, fs and file"},
		{"MAC behind the end", "option offset '0x4'", "option offset '0xfffb'", "offset 0xfffb is behind the end of partition 'factory'"},
		{"MAC in the image", "option partition 'factory'", "option partition 'firmware'", "partition 'firmware' is overwritten by us"},
		{"MAC of nobody", "config mac 'wan'", "config mac 'dmz'", "a board has 'lan' and 'wan'"},
		{"WAN in the LAN", "list ports 'eth0.1'", "list ports 'eth0.2'", "'eth0.2' is a port of the LAN"},
		{"no WAN", "config interface 'wan'\n\toption device 'eth0.2'", "", "config interface 'wan' with its device is missing"},
		{"bridge of nobody", "option name 'br-lan'", "option name 'br-guest'", "the bridge 'br-guest' is not that of interface 'lan'"},
		{"VLANs off", "option enable_vlan '1'", "option enable_vlan '0'", "or LAN and WAN are one network"},
		{"WAN without a VLAN", "option vlan '2'", "option vlan '3'", "no switch_vlan with a tagged port is for 'eth0.2'"},
		{"VLAN without the CPU", "'0 6t'", "'0'", "no switch_vlan with a tagged port is for 'eth0.2'"},
		{"port in both VLANs", "'0 6t'", "'1 6t'", "port 1 is in two VLANs without a tag"},
		{"no such switch", "option device 'switch0'\n\toption vlan '2'", "option device 'switch1'\n\toption vlan '2'", "no switch is called 'switch1'"},
		{"no erase blocks", "option kind 'nor'\n\toption size '16M'\n\toption erase '64k'", "option kind 'emmc'\n\toption size '16M'", "are for flash with erase blocks"},
		{"files that are an image", "how 'builtin'  ", "how 'files'", "how 'files' makes no such out"},
		{"an image that is files", "list out 'sysupgrade'", "list out 'files'", "how 'builtin' makes no such out"},
		{"no load address", "option load '0x80000000'\n", "\n", "load is missing"},
		{"emulated, but how", "config recovery", "config qemu\n\toption system 'mips'\n\nconfig recovery", "system, machine and nic are needed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(good, tc.old, tc.new, 1)
			if text == good {
				t.Fatalf("%q is not in the description", tc.old)
			}
			_, problems := ParseBoard("b", []byte(text))
			if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.String(), tc.want) }) {
				t.Errorf("problems: %v; want %q", problems, tc.want)
			}
			for _, p := range problems {
				if p.Line == 0 && !strings.Contains(tc.want, "is missing") {
					t.Errorf("%v names no line", p)
				}
			}
		})
	}
}

func TestSlipsOfOtherBoards(t *testing.T) {
	for _, tc := range []struct{ board, line, want string }{
		{"glinet_gl-a1300", "\toption volume 'kernel'\n", "on NAND the image needs a volume of UBI"},
		{"glinet_gl-a1300", "\toption volume 'state'\n", "on NAND the ring needs a volume of UBI and a file"},
		{"glinet_gl-a1300", "\toption fdt_load '0x86000000'\n", "a FIT needs ramdisk_load, fdt_load and config"},
		{"turris_omnia", "\toption ramdisk_load '0x03000000'\n", "files need load, ramdisk_load and fdt_load"},
	} {
		text, err := boards.Text(tc.board)
		if err != nil {
			t.Fatal(err)
		}
		_, problems := ParseBoard(tc.board, []byte(strings.Replace(string(text), tc.line, "\n", 1)))
		if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.Text, tc.want) }) {
			t.Errorf("%s without%s: %v; want %q", tc.board, tc.line, problems, tc.want)
		}
	}
}

func TestSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "4096": 4096, "64k": 64 << 10, "16M": 16 << 20, "8G": 8 << 30, "0x50000": 0x50000, "0X1": -1,
		"0x-1000": -1, "": -1, "-1": -1, "1T": -1, "0x": -1, "0xg": -1, "G": -1, "99999999999G": -1, "0xffffffffffffffff": -1,
	} {
		got, err := Size(s)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("Size(%q) = %d, %v; want %d", s, got, err, want)
		}
		if want > 0 {
			if again, err := Size(formatSize(want)); err != nil || again != want {
				t.Errorf("Size(%q) = %d, %v; want %d", formatSize(want), again, err, want)
			}
		}
	}
}

func FuzzParseBoard(f *testing.F) {
	for _, name := range boards.Names() {
		text, err := boards.Text(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(NewBoard("b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, problems := ParseBoard("b", text)
		if len(problems) > 0 {
			return
		}
		if b.Room() < 0 || b.CPU.Arch == "" || b.Ports.LAN == b.Ports.WAN {
			t.Errorf("ParseBoard(%q) = %+v without a problem", text, b)
		}
	})
}
