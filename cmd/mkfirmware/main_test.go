package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"debug/elf"
	"encoding/base64"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/u-root/u-root/pkg/dt"
	"github.com/ulikunitz/xz"

	"leasehold/boards"
	"leasehold/firmware/config"
	"leasehold/firmware/image"
)

// a workshop is a directory with what a user has at hand.
type workshop struct {
	*testing.T
	dir string
}

func newWorkshop(t *testing.T) workshop { return workshop{t, t.TempDir()} }

func (w workshop) path(name string) string { return filepath.Join(w.dir, name) }

func (w workshop) put(name string, b []byte) string {
	w.Helper()
	path := w.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		w.Fatal(err)
	}
	return path
}

func (w workshop) get(name string) []byte {
	w.Helper()
	b, err := os.ReadFile(w.path(name))
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// do runs a command as a user types it; @ is the directory.
func (w workshop) do(line string) (string, error) {
	var stdout, stderr bytes.Buffer
	err := run(strings.Fields(strings.ReplaceAll(line, "@", w.dir+"/")), &stdout, &stderr)
	return stdout.String(), err
}

func (w workshop) works(line string) string {
	w.Helper()
	out, err := w.do(line)
	if err != nil {
		w.Fatalf("mkfirmware %s: %v\n%s", line, err, out)
	}
	return out
}

func (w workshop) fails(line, want string) {
	w.Helper()
	out, err := w.do(line)
	if err == nil || !strings.Contains(out+err.Error(), strings.ReplaceAll(want, "@", w.dir+"/")) {
		w.Errorf("mkfirmware %s: %v; want %q\n%s", line, err, want, out)
	}
}

// program makes the head of an ELF file for a CPU, which is all that is looked at.
func program(cpu config.CPU) []byte {
	m := machines[cpu.Arch]
	class, data, size := byte(1), byte(1), 52
	if m.Machine == elf.EM_AARCH64 {
		class, size = 2, 64
	}
	if m.ByteOrder == binary.BigEndian {
		data = 2
	}
	b := append([]byte("\x7fELF"), class, data, 1)
	b = append(b, make([]byte, size-len(b))...)
	put := func(at int, v uint16) { m.PutUint16(b[at:], v) }
	put(16, 2)
	put(18, uint16(m.Machine))
	m.PutUint32(b[20:], 1)
	put(size-12, uint16(size))
	return b
}

// outfit puts the programs for all CPUs there.
func (w workshop) outfit() workshop {
	w.Helper()
	for _, name := range boards.Names() {
		b, _, err := readBoard(name, io.Discard)
		if err != nil {
			w.Fatal(err)
		}
		w.put("leasehold-"+b.CPU.String(), program(b.CPU))
	}
	return w
}

// linux is a kernel, as far as packing goes.
func linux(size int) []byte {
	b := []byte("Linux version 6.12.1 (someone@somewhere)")
	for n := uint32(1); len(b) < min(size, 1<<18); n = n*1664525 + 1013904223 {
		b = append(b, byte(n>>24))
	}
	return append(b, make([]byte, size-len(b))...)
}

// zImage has the magic that U-Boot looks for.
func zImage() []byte {
	b := linux(5000)
	binary.LittleEndian.PutUint32(b[0x24:], 0x016f2818)
	return b
}

// initramfsKernel is what OpenWrt makes for a MIPS board.
func (w workshop) initramfsKernel(load uint32, unpacked int, change func(*image.UImage)) []byte {
	w.Helper()
	p, err := image.OpenWrtLZMA.Compress(linux(unpacked))
	if err != nil {
		w.Fatal(err)
	}
	u := image.UImage{Load: load, Entry: load, OS: image.OSLinux, Arch: image.ArchMIPS,
		Type: image.TypeKernel, Comp: image.CompLZMA, Name: "MIPS OpenWrt Linux-6.12.1"}
	if change != nil {
		change(&u)
	}
	return u.Append(nil, p.Data)
}

func packXZ(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	x, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	x.Write(b)
	x.Close()
	return out.Bytes()
}

// recovery is what OpenWrt makes for a board with a ramdisk of its own.
func (w workshop) recovery(compatible string, load uint32, arch string, ramdisk []byte) []byte {
	w.Helper()
	f := image.FIT{
		Description: "ARM64 OpenWrt FIT", Hashes: []string{"crc32", "sha1"}, Default: "config-1",
		Images: []image.FITImage{
			{Name: "kernel-1", Type: "kernel", Arch: arch, OS: "linux", Compression: "none", Load: load, Entry: load, Data: linux(3000)},
			{Name: "initrd-1", Type: "ramdisk", Arch: arch, OS: "linux", Compression: "none", Data: ramdisk},
			{Name: "fdt-1", Type: "flat_dt", Arch: arch, Compression: "none", Data: tree(w, compatible, "vendor,soc")},
		},
		Configs: []image.FITConfig{{Name: "config-1", Kernel: "kernel-1", Ramdisk: "initrd-1", FDT: "fdt-1"}},
	}
	b, err := f.Append(nil)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// tree is a device tree that is for boards.
func tree(w workshop, compatible ...string) []byte {
	w.Helper()
	list := strings.Join(compatible, "\x00") + "\x00"
	var out bytes.Buffer
	t := dt.FDT{
		Header:   dt.Header{Magic: dt.Magic, Version: 17, LastCompVersion: 16},
		RootNode: &dt.Node{Properties: []dt.Property{{Name: "compatible", Value: []byte(list)}}},
	}
	if _, err := t.Write(&out); err != nil {
		w.Fatal(err)
	}
	return out.Bytes()
}

// module is a kernel module that needs no other.
func module() []byte {
	order := binary.LittleEndian
	info, names := "license=GPL\x00depends=\x00", "\x00.modinfo\x00.shstrtab\x00"
	b := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	b = order.AppendUint32(b, 1|8<<16)
	for _, v := range []uint32{1, 0, 0, uint32(52 + len(info) + len(names)), 0, 52, 40 << 16, 3 | 2<<16} {
		b = order.AppendUint32(b, v)
	}
	b = append(b[:52], info+names...)
	section := func(v ...uint32) {
		for _, n := range v {
			b = order.AppendUint32(b, n)
		}
	}
	section(make([]uint32, 10)...)
	section(1, 1, 0, 0, 52, uint32(len(info)), 0, 0, 1, 0)
	section(10, 3, 0, 0, uint32(52+len(info)), uint32(len(names)), 0, 0, 1, 0)
	return b
}

// keys makes a pair of keys as signify does.
func (w workshop) keys() {
	w.Helper()
	seed := sha512.Sum512([]byte("of this test only"))
	secret := ed25519.NewKeyFromSeed(seed[:32])
	sum := sha512.Sum512(secret)
	id := "12345678"
	s := append([]byte("EdBK\x00\x00\x00\x00"), make([]byte, 16)...)
	s = append(append(append(s, sum[:8]...), id...), secret...)
	p := append([]byte("Ed"+id), secret.Public().(ed25519.PublicKey)...)
	for name, b := range map[string][]byte{"key.sec": s, "key.pub": p} {
		w.put(name, []byte("untrusted comment: test\n"+base64.StdEncoding.EncodeToString(b)+"\n"))
	}
}

func TestRunTable(t *testing.T) {
	w := newWorkshop(t)
	w.put("text", []byte("this is text and nothing else"))
	for line, want := range map[string]string{
		"":                              "which command?",
		"flash":                         `no command "flash"; there are boards, initramfs, pack,`,
		"boards now":                    `mkfirmware boards: what is "now"?`,
		"inspect":                       "mkfirmware inspect: which file?",
		"inspect @none":                 "no such file",
		"verify @text":                  "@text: damaged",
		"pack":                          "mkfirmware pack: -board is missing",
		"pack -board x -o @y":           `no board is called "x"; there are glinet_gl-a1300, `,
		"pack -board @none -o @y":       "no such file",
		"pack -board openwrt_one -o @y": "-kernel is missing",
		"pack -board glinet_gl-mt1300 -kernel @none -o @y":               "no such file",
		"pack -board glinet_gl-mt1300 -init none -o @y":                  `-init: "none" is neither full nor slim`,
		"pack -board glinet_gl-mt1300 -kind floppy -kernel @x -o @y":     `there is no "floppy" for it; there are sysupgrade`,
		"initramfs -board glinet_gl-mt1300 -leasehold @text -o @y":       "@text: bad magic number",
		"initramfs -board glinet_gl-mt1300 -leasehold @none -o @y":       "run make build, or give one with -leasehold",
		"initramfs -board openwrt_one -o @y":                             "build/leasehold-arm64: no such file",
		"pack -board tplink_archer-c7-v5 -kind safeloader -key @x -o @y": "-key: an image of the kind safeloader takes no signature; sysupgrade,",
		"fetch-kernel":                    "mkfirmware fetch-kernel: -board is missing",
		"fetch-kernel -board openwrt_one": "Debian has no kernel for it",
	} {
		w.fails(line, want)
	}
	if out := w.works("help"); !strings.HasPrefix(out, "usage: mkfirmware") {
		t.Errorf("help = %q", out)
	}
}

func TestBoardsAreInATable(t *testing.T) {
	out := newWorkshop(t).works("boards")
	for _, want := range []string{
		`(?m)^BOARD +CPU +RAM +FLASH +ROOM +IMAGE +PROVEN$`,
		`(?m)^glinet_gl-mt300n-v2 +mipsle +128 MiB +16 MiB nor +15.4 MiB +sysupgrade +untested$`,
		`(?m)^glinet_gl-a1300 +armv7 +256 MiB +4 MiB nor \+ 128 MiB nand +32 MiB +sysupgrade-tar, factory-ubi +untested$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the table has no %s:\n%s", want, out)
		}
	}
	if lines := strings.Count(out, "\n"); lines != 1+len(boards.Names()) {
		t.Errorf("the table has %d lines for %d boards", lines, len(boards.Names()))
	}
}

// A user's own board is a file, from -new to the image.
func TestOwnBoard(t *testing.T) {
	w := newWorkshop(t)
	text := w.works("boards -new vendor_model")
	w.put("vendor_model", []byte(text))
	w.put("kernel", w.initramfsKernel(0x80000000, 5000, nil))
	w.works("pack -board @vendor_model -kernel @kernel -o @image")
	w.works("verify @image")
	w.put("other_name", []byte(text))
	w.fails("pack -board @other_name -kernel @kernel -o @image", "1 mistake")
}

func TestPackBuiltin(t *testing.T) {
	w := newWorkshop(t)
	w.keys()
	w.put("kernel", w.initramfsKernel(0x80001000, 100_000, nil))
	out := w.works("pack -board glinet_gl-mt1300 -kernel @kernel -key @key.sec -o @image")
	for _, want := range []string{"kernel: LZMA", "unpacks to 100000", "room", "left"} {
		if !strings.Contains(out, want) {
			t.Errorf("pack does not say %q:\n%s", want, out)
		}
	}
	m, bare, signature, err := image.ParseMetadata(w.get("image"))
	if err != nil || !slices.Equal(m.Devices, []string{"glinet,gl-mt1300"}) || m.Compat != "1.1" || len(signature) == 0 {
		t.Errorf("metadata %+v, signature of %d octets, %v", m, len(signature), err)
	}
	if len(bare)%(64<<10) != 0 || !bytes.HasPrefix(bare, w.get("kernel")) {
		t.Errorf("the image has %d octets, not whole erase blocks that begin with the kernel", len(bare))
	}
	if out := w.works("verify @image"); !strings.Contains(out, "good, by its own checksums") {
		t.Errorf("verify says %q", out)
	}
	if out := w.works("verify -key @key.pub @image"); !strings.Contains(out, "good, and signed with") {
		t.Errorf("verify says %q", out)
	}
	if out := w.works("inspect @image"); !strings.Contains(out, "MIPS OpenWrt Linux-6.12.1") {
		t.Errorf("inspect says %s", out)
	}
	// What this made can be packed again: its metadata are replaced.
	w.works("pack -board glinet_gl-mt1300 -kernel @image -key @key.sec -o @again")
	if !bytes.Equal(w.get("again"), w.get("image")) {
		t.Error("packing the image again makes another")
	}
}

// Boot loaders that want other headers get them.
func TestPackBuiltinInOtherWraps(t *testing.T) {
	kernel, err := image.OpenWrtLZMA.Compress(linux(50_000))
	if err != nil {
		t.Fatal(err)
	}
	trx, err := image.TRX{Parts: [][]byte{linux(3000), kernel.Data}}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	tplink := func(load uint32) []byte {
		return image.TPLink{Vendor: "TP-LINK", Load: load, Entry: 0x80000000}.Append(nil, kernel.Data)
	}
	for wrap, tc := range map[string]struct {
		good, bad []byte
		why       string
	}{
		"tplink": {tplink(0x80000000), tplink(0x80060000), "-kernel: the kernel is for 0x80060000, entry 0x80000000"},
		"trx":    {trx, trx[:len(trx)-1], "-kernel: "},
	} {
		w := newWorkshop(t)
		w.put(wrap, []byte(strings.Replace(string(config.NewBoard(wrap)), "wrap 'uimage-lzma'", "wrap '"+wrap+"'", 1)))
		pack := "pack -board @" + wrap + " -kernel @kernel -o @image"
		w.put("kernel", tc.good)
		w.works(pack)
		w.works("verify @image")
		if b := w.get("image"); !bytes.HasPrefix(b, tc.good) {
			t.Errorf("%s: the image does not begin with the kernel as it came", wrap)
		}
		w.put("kernel", tc.bad)
		w.fails(pack, tc.why)
		w.put("kernel", linux(5000))
		w.fails(pack, "want what OpenWrt calls the initramfs-kernel")
	}
}

// The kernel has our initramfs in it, or that of a neighbour.
func TestPackLooksIntoTheKernel(t *testing.T) {
	w := newWorkshop(t).outfit()
	for _, board := range []string{"glinet_gl-mt300n-v2", "glinet_gl-mt1300"} {
		w.works("initramfs -board " + board + " -init slim -leasehold @leasehold-mipsle -o @" + board)
	}
	pack := "pack -board glinet_gl-mt1300 -kernel @kernel -o @image"
	w.put("kernel", w.initramfsKernel(0x80001000, 5000, nil))
	if out := w.works(pack); !strings.Contains(out, "warning: no initramfs of leasehold is seen") {
		t.Errorf("a kernel without an initramfs is packed without a word:\n%s", out)
	}
	for _, packed := range []func([]byte) []byte{
		func(b []byte) []byte { return b },
		func(b []byte) []byte { return packXZ(t, b) },
	} {
		ours, others := packed(w.get("glinet_gl-mt1300")), packed(w.get("glinet_gl-mt300n-v2"))
		w.put("kernel", w.kernelWith(ours))
		if out := w.works(pack); strings.Contains(out, "warning") {
			t.Errorf("our initramfs is not seen:\n%s", out)
		}
		w.put("kernel", w.kernelWith(others))
		w.fails(pack, "the initramfs in the kernel is for another board")
	}
}

// The owner's files are in such a kernel, or they are not: packing puts none in.
func TestPackBuiltinHasTheConfigurationOrSaysSo(t *testing.T) {
	w := newWorkshop(t).outfit()
	w.put("etc/dhcp", []byte("config dhcp 'lan'\n\toption leasetime '30m'\n"))
	w.works("initramfs -board glinet_gl-mt1300 -init slim -leasehold @leasehold-mipsle -config @etc -o @root.cpio")
	w.put("kernel", w.kernelWith(w.get("root.cpio")))
	pack := "pack -board glinet_gl-mt1300 -kernel @kernel -o @image"
	w.works(pack + " -config @etc")
	w.put("etc/dhcp", []byte("config dhcp 'lan'\n\toption leasetime '31m'\n"))
	w.fails(pack+" -config @etc", "-config: not what the initramfs in the kernel has")
	w.put("etc/dhcp", []byte("config dhcp 'lan'\n\toption leasetime 'soon'\n"))
	w.fails(pack+" -config @etc", "@etc/dhcp:2: option 'leasetime': ")
	w.fails(pack+" -config @none", "has none of network, dhcp, leasehold")
	w.fails(pack+" -modules @etc", "-modules: the initramfs is in the kernel already")
	w.fails(pack+" -init slim", "-init: the initramfs is in the kernel already")
}

// kernelWith is an initramfs-kernel with something in the middle of it.
func (w workshop) kernelWith(root []byte) []byte {
	w.Helper()
	p, err := image.OpenWrtLZMA.Compress(slices.Concat(linux(3000), root, linux(1000)))
	if err != nil {
		w.Fatal(err)
	}
	return image.UImage{Load: 0x80001000, Entry: 0x80001000, OS: image.OSLinux, Arch: image.ArchMIPS,
		Type: image.TypeKernel, Comp: image.CompLZMA}.Append(nil, p.Data)
}

func TestVerifyFindsDamage(t *testing.T) {
	w := newWorkshop(t)
	w.keys()
	w.put("kernel", w.initramfsKernel(0x80001000, 20_000, nil))
	w.works("pack -board glinet_gl-mt1300 -kernel @kernel -key @key.sec -o @image")
	w.works("pack -board glinet_gl-mt1300 -kernel @kernel -o @unsigned")
	for _, at := range []int{70, 5000, 40_000} {
		b := w.get("image")
		b[at] ^= 1
		w.put("damaged", b)
		w.fails("verify @damaged", "@damaged: damaged")
	}
	w.fails("verify -key @key.pub @unsigned", "image is not signed")
	w.fails("verify -key @key.sec @image", "not a file of signify or usign")
	w.fails("pack -board glinet_gl-mt1300 -kernel @kernel -key @key.pub -o @x", "not a file of signify or usign")
}

func TestPackRefusesKernelsOfOthers(t *testing.T) {
	w := newWorkshop(t)
	pack := "pack -board glinet_gl-mt1300 -kernel @kernel -o @image"
	for _, tc := range []struct {
		want   string
		load   uint32
		change func(*image.UImage)
	}{
		{"is for 0x80000000, entry 0x80000000; the board has 0x80001000", 0x80000000, nil},
		{"is for another CPU", 0x80001000, func(u *image.UImage) { u.Arch = image.ArchARM }},
		{"is no Linux kernel", 0x80001000, func(u *image.UImage) { u.Type = image.TypeRamdisk }},
		{"is not packed as the boot loader wants it: uimage-lzma", 0x80001000, func(u *image.UImage) { u.Comp = image.CompNone }},
	} {
		w.put("kernel", w.initramfsKernel(tc.load, 5000, tc.change))
		w.fails(pack, tc.want)
	}
	w.put("kernel", linux(100))
	w.fails(pack, "want what OpenWrt calls the initramfs-kernel")
	b := w.initramfsKernel(0x80001000, 5000, nil)
	b[100] ^= 1
	w.put("kernel", b)
	w.fails(pack, "data checksum")
	if _, err := os.Stat(w.path("image")); err == nil {
		t.Error("an image was written all the same")
	}
}

func TestPackRefusesWhatDoesNotFit(t *testing.T) {
	w := newWorkshop(t)
	w.put("kernel", w.initramfsKernel(0x80000000, 13<<20, nil))
	w.fails("pack -board glinet_gl-mt300n-v2 -kernel @kernel -o @image", "too large for what the boot loader can unpack")
	w.fails("pack -board glinet_gl-mt300n-v2 -kernel @kernel -o @image", "nothing was written")

	text := strings.Replace(string(config.NewBoard("small")), "limit '15808k'", "limit '64k'", 1)
	w.put("small", []byte(text))
	w.put("kernel", w.initramfsKernel(0x80000000, 70_000, nil))
	w.fails("pack -board @small -kernel @kernel -o @image", "too large for what the boot loader reads")
	if _, err := os.Stat(w.path("image")); err == nil {
		t.Error("an image was written all the same")
	}
}

func TestPackSafeLoader(t *testing.T) {
	w := newWorkshop(t)
	w.put("kernel", w.initramfsKernel(0x80060000, 50_000, nil))
	w.works("pack -board tplink_archer-c7-v5 -kernel @kernel -kind safeloader -o @factory")
	w.works("verify @factory")
	s, err := image.ParseSafeLoader(w.get("factory"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Parts {
		for name, want := range map[string]string{
			"partition-table": "partition os-image base 0xc0000 size 0x10000\npartition file-system base 0xd0000 size 0xef0000\n",
			"support-list":    "SupportList:\n{product_name:Archer C7,product_ver:5.0.0,special_id:00000000}\n",
			"soft-version":    "soft_ver:7.0.0\n",
			"os-image":        "OpenWrt",
		} {
			if p.Name == name && !bytes.Contains(p.Data, []byte(want)) {
				t.Errorf("%s has no %q:\n%.600s", name, want, p.Data)
			}
		}
	}
	if len(s.Parts) != 5 {
		t.Errorf("there are %d parts; want 5", len(s.Parts))
	}
}

func TestPackSwapsTheRamdiskAndKeepsTheModules(t *testing.T) {
	w := newWorkshop(t).outfit()
	theirs := cpioOf(t, map[string]string{
		"lib/modules/6.12.1/air_en8811h.ko":  string(module()),
		"lib/modules/6.12.1/mt7915e.ko":      string(module()),
		"lib/firmware/airoha/EthMD32.dm.bin": "one", "lib/firmware/airoha/EthMD32.DSP.bin": "two",
		"sbin/procd": "theirs",
	})
	w.put("recovery.itb", w.recovery("openwrt,one", 0x44000000, "arm64", packXZ(t, theirs)))
	pack := "pack -board openwrt_one -kernel @recovery.itb -init slim -leasehold @leasehold-arm64 -o @image.itb"
	out := w.works(pack)
	for _, want := range []string{"initramfs, of which", "the initramfs is packed by "} {
		if !strings.Contains(out, want) {
			t.Errorf("pack does not say %q:\n%s", want, out)
		}
	}
	w.works("verify @image.itb")
	f, _, err := image.ParseFIT(w.get("image.itb"))
	if err != nil || len(f.Images) != 3 || !bytes.Equal(f.Images[0].Data, linux(3000)) {
		t.Fatalf("the FIT has %d images, %v; want the kernel as it was", len(f.Images), err)
	}
	names := cpioNames(t, f.Images[1].Data)
	for name, want := range map[string]bool{
		"init": true, "bin/leasehold": true, "etc/leasehold/board": true,
		"lib/firmware/airoha/EthMD32.dm.bin": true, "lib/modules/6.12.1/air_en8811h.ko": true, "lib/modules/6.12.1/mt7915e.ko": false, "sbin/procd": false,
	} {
		if slices.Contains(names, name) != want {
			t.Errorf("the ramdisk has %v; want %s: %v", names, name, want)
		}
	}
	first := w.get("image.itb")
	w.works(pack)
	if !bytes.Equal(w.get("image.itb"), first) {
		t.Error("the same things made another image")
	}

	w.put("recovery.itb", w.recovery("openwrt,one", 0x48000000, "arm64", packXZ(t, theirs)))
	w.fails(pack, "the kernel is to be loaded to 0x48000000, the board has 0x44000000: is it another's?")
	w.put("recovery.itb", w.recovery("openwrt,one", 0x44000000, "arm", packXZ(t, theirs)))
	w.fails(pack, "the kernel is for arm, the board has arm64")
	w.put("recovery.itb", w.recovery("openwrt,one", 0x44000000, "arm64", packXZ(t, cpioOf(t, map[string]string{"init": "x"}))))
	w.fails(pack, "neither lib/modules/RELEASE nor any .ko")
	w.put("recovery.itb", w.recovery("openwrt,one", 0x44000000, "arm64", packXZ(t, cpioOf(t, map[string]string{
		"lib/modules/6.12.1/air_en8811h.ko": string(module()),
	}))))
	w.fails(pack, "firmware/airoha/EthMD32.dm.bin: no such file")
	w.put("recovery.itb", w.recovery("glinet,gl-mt3000", 0x44000000, "arm64", packXZ(t, theirs)))
	w.fails(pack, "-kernel: fdt-1: the device tree is for glinet,gl-mt3000, vendor,soc, not for openwrt,one")
	w.put("recovery.itb", zImage())
	w.fails(pack, "want OpenWrt's initramfs image")
}

func TestPackFIT(t *testing.T) {
	w := newWorkshop(t).outfit()
	w.put("zImage", zImage())
	w.put("board.dtb", tree(w, "glinet,gl-a1300"))
	pack := "pack -board glinet_gl-a1300 -init slim -leasehold @leasehold-armv7 "
	w.fails(pack+"-kernel @zImage -o @image", "-dtb is missing")
	w.put("other.dtb", tree(w, "vendor,other"))
	w.fails(pack+"-kernel @zImage -dtb @other.dtb -o @image", "the device tree is for vendor,other, not for glinet,gl-a1300")
	w.fails(pack+"-kernel @zImage -dtb @zImage -o @image", "-dtb: no device tree")
	w.works(pack + "-kernel @zImage -dtb @board.dtb -o @image")
	w.works("verify @image")
	l := image.Inspect(w.get("image"))
	if l.Find("FIT") == nil || l.Find("cpio") == nil || l.Find("zImage") == nil {
		t.Errorf("the archive has no kernel or no initramfs in it:\n%s", l)
	}
	if !strings.Contains(string(w.get("image")), "config@ap.dk01.1-c2") {
		t.Error("the configuration has not the name that the boot loader asks for")
	}

	w.works(pack + "-kernel @zImage -dtb @board.dtb -kind factory-ubi -o @ubi")
	w.works("verify @ubi")
	u, err := image.ParseUBI(w.get("ubi"))
	if err != nil || len(u.Volumes) != 1 || u.Volumes[0].Name != "kernel" {
		t.Fatalf("ParseUBI = %+v, %v", u.Volumes, err)
	}
	f, _, err := image.ParseFIT(u.Volumes[0].Data)
	if err != nil || f.Images[0].Load != 0x80208000 || f.Images[1].Load != 0x88000000 || f.Images[2].Load != 0x86000000 {
		t.Errorf("ParseFIT: %v; addresses %#x %#x %#x", err, f.Images[0].Load, f.Images[1].Load, f.Images[2].Load)
	}

	// Kernel and tree of a FIT that is there already.
	w.put("theirs.itb", w.recovery("glinet,gl-a1300", 0x80208000, "arm", []byte("theirs")))
	w.works(pack + "-kernel @theirs.itb -o @image2")
	w.works("verify @image2")
}

func TestPackMulti(t *testing.T) {
	w := newWorkshop(t).outfit()
	text := strings.Replace(string(config.NewBoard("multi")), "how 'builtin'", "how 'multi'", 1)
	w.put("multi", []byte(strings.Replace(text, "list out 'sysupgrade'", "list out 'uimage'", 1)))
	w.put("zImage", zImage())
	w.put("board.dtb", tree(w, "vendor,model"))
	w.works("pack -board @multi -kernel @zImage -dtb @board.dtb -init slim -leasehold @leasehold-mipsle -o @image")
	w.works("verify @image")
	_, data, _, err := image.ParseUImage(w.get("image"))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := image.ParseParts(data)
	if err != nil || len(parts) != 3 || !bytes.Equal(parts[0], zImage()) || !bytes.Equal(parts[2], tree(w, "vendor,model")) {
		t.Errorf("ParseParts = %d parts, %v", len(parts), err)
	}
}

// packOmnia packs an image that is made of files into usb.
const packOmnia = "pack -board turris_omnia -kernel @zImage -dtb @board.dtb -modules @modules -init slim -leasehold @leasehold-armv7 -o @usb"

// omnia has what packOmnia takes.
func (w workshop) omnia() workshop {
	w.Helper()
	w.put("zImage", zImage())
	w.put("board.dtb", tree(w, "cznic,turris-omnia"))
	for _, m := range []string{"mv88e6xxx", "nls_cp437", "nls_iso8859-1", "vfat"} {
		w.put("modules/lib/modules/6.12.1/"+m+".ko", module())
	}
	return w
}

func TestPackFiles(t *testing.T) {
	w := newWorkshop(t).outfit().omnia()
	w.fails(strings.Replace(packOmnia, "-modules @modules", "", 1), "-modules is missing: turris_omnia needs mv88e6xxx, ")
	w.works(packOmnia)
	_, data, _, err := image.ParseUImage(w.get("usb/boot.scr"))
	if err != nil || !bytes.Contains(data, []byte("load ${devtype} ${devnum}:${distro_bootpart} 0x1000000 zImage\n")) ||
		!bytes.Contains(data, []byte("bootz 0x1000000 0x3000000:${filesize} 0x2000000\n")) {
		t.Errorf("the script is %v\n%s", err, data)
	}
	if !bytes.Equal(w.get("usb/zImage"), zImage()) || !bytes.Equal(w.get("usb/board.dtb"), tree(w, "cznic,turris-omnia")) {
		t.Error("kernel or tree are not as they were")
	}
	if !slices.Contains(cpioNames(t, w.get("usb/initramfs.cpio")), "lib/modules/6.12.1/mv88e6xxx.ko") {
		t.Error("the initramfs has no switch driver")
	}
}

// Files have no partition, but they lie side by side in the memory.
func TestPackRefusesFilesThatDoNotFit(t *testing.T) {
	w := newWorkshop(t).outfit().omnia()
	if out := w.works(packOmnia); !regexp.MustCompile(`(?m)^zImage +5000\n(.+\n)*total +\d+\nroom +\d+\nleft +\d+$`).MatchString(out) {
		t.Errorf("pack does not say what takes the space:\n%s", out)
	}
	if err := os.RemoveAll(w.path("usb")); err != nil {
		t.Fatal(err)
	}
	w.put("zImage", append(zImage(), make([]byte, 16<<20-4999)...))
	w.fails(packOmnia, "too large for the memory between zImage and board.dtb: 16777217 octets, 1 too many; nothing was written")
	if _, err := os.Stat(w.path("usb")); err == nil {
		t.Error("files were written all the same")
	}
	weight := weighParts([]part{{"kernel", 0, make([]byte, 70)}, {"initramfs.cpio", 0, make([]byte, 20)}}, 11, 100)
	if want := "the memory, with the initramfs unpacked: 101 octets, 1 too many"; len(weight.Over) != 1 || weight.Over[0] != want {
		t.Errorf("weighParts is over %q; want %q", weight.Over, want)
	}
}

// Files that have no checksum of their own have one beside them.
func TestVerifyDirectory(t *testing.T) {
	w := newWorkshop(t).outfit().omnia()
	w.works(packOmnia)
	if out := w.works("verify @usb"); !strings.Contains(out, "good, by SHA256SUMS") {
		t.Errorf("verify says %q", out)
	}
	if out := w.works("inspect @usb"); !strings.Contains(out, "type script") {
		t.Errorf("inspect says %s", out)
	}
	for _, name := range []string{"zImage", "board.dtb", "initramfs.cpio", "boot.scr"} {
		good := w.get("usb/" + name)
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 0x10
		w.put("usb/"+name, bad)
		w.fails("verify @usb", "@usb: damaged")
		w.put("usb/"+name, good)
	}
	w.fails("verify @usb/initramfs.cpio", "nothing in it has a checksum")
	w.keys()
	w.fails("verify -key @key.pub @usb", "-key: files in a directory carry no signature")
	w.put("usb/SHA256SUMS", []byte("../x\n"))
	w.fails("verify @usb", "SHA256SUMS:1: no hash and name")
	w.fails("verify @modules", "SHA256SUMS: no such file")
}

// An emulated board takes what fetch-kernel unpacked.
func TestPackEmulated(t *testing.T) {
	w := newWorkshop(t).outfit()
	w.put("deb/boot/vmlinuz-6.1.0", zImage())
	w.put("deb/usr/lib/linux-image-6.1.0/aspeed-ast2600-evb.dtb", tree(w, "aspeed,ast2600-evb"))
	for _, m := range []string{"bridge", "ofpart", "spi-nor", "spi-aspeed-smc", "mdio-aspeed", "ftgmac100"} {
		w.put("deb/lib/modules/6.1.0/kernel/"+m+".ko", module())
	}
	out := w.works("pack -board qemu_ast2600-evb -kernel @deb -init slim -leasehold @leasehold-armv7 -o @run")
	if want := "qemu-system-arm -M ast2600-evb -m 256M -nographic -no-reboot -kernel " + w.path("run/kernel"); !strings.Contains(out, want) {
		t.Errorf("pack does not say %q:\n%s", want, out)
	}
	for name, want := range map[string][]byte{"run/kernel": zImage(), "run/board.dtb": tree(w, "aspeed,ast2600-evb")} {
		if !bytes.Equal(w.get(name), want) {
			t.Errorf("%s is not as it was", name)
		}
	}
	w.fails("pack -board qemu_malta-le -kernel @deb -init slim -leasehold @leasehold-mipsle -o @run", "-kernel: no ELF file for mipsle")
	w.fails("pack -board qemu_virt-arm64 -kernel @deb -init slim -leasehold @leasehold-arm64 -o @run", "-kernel: no arm64 Image")
	w.put("deb/boot/vmlinuz-6.1.0", w.get("leasehold-mipsle")) // an ELF file
	w.fails("pack -board qemu_malta-le -kernel @deb -init slim -leasehold @leasehold-mipsle -o @run", "module virtio_pci: neither in")
	w.fails("pack -board qemu_virt-arm -kernel @deb -init slim -leasehold @leasehold-armv7 -o @run", "-kernel: no zImage")
	w.put("deb/boot/vmlinuz-6.1.0", packXZ(t, zImage()))
	w.fails("pack -board qemu_virt-arm -kernel @deb -init slim -leasehold @leasehold-armv7 -o @run", "-kernel: no zImage")
	w.fails("pack -board qemu_virt-arm -init slim -o @run", "no kernel: give one with -kernel, or run mkfirmware fetch-kernel -board qemu_virt-arm")
}

func TestConfigStopsThePacking(t *testing.T) {
	w := newWorkshop(t).outfit()
	w.put("etc/dhcp", []byte("config dhcp 'lan'\n\toption leasetime 'soon'\n"))
	line := "initramfs -board glinet_gl-mt1300 -init slim -leasehold @leasehold-mipsle -config @etc -o @root.cpio"
	w.fails(line, "@etc/dhcp:2: option 'leasetime': ")
	w.put("etc/dhcp", []byte("config dhcp 'lan'\n\toption leasetime '30m'\nconfig dhcp 'guest'\n"))
	if out := w.works(line); !strings.Contains(out, w.path("etc/dhcp")+":3: warning: ") {
		t.Errorf("the warning is not shown:\n%s", out)
	}
	if !bytes.Contains(w.get("root.cpio"), []byte("option leasetime '30m'")) {
		t.Error("the owner's configuration is not in the initramfs")
	}
	w.fails("initramfs -board glinet_gl-mt1300 -init slim -leasehold @leasehold-mipsle -config @none -o @x", "has none of network, dhcp, leasehold")
}

func TestBinaryOfAnotherCPU(t *testing.T) {
	w := newWorkshop(t).outfit()
	for _, name := range boards.Names() {
		b, _, err := readBoard(name, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, cpu := range []string{"mips", "mipsle", "armv7", "arm64"} {
			j := job{options: options{leasehold: w.path("leasehold-" + cpu)}, board: b}
			if _, err := j.binary(); (err == nil) != (cpu == b.CPU.String()) {
				t.Errorf("leasehold for %s on %s: %v", cpu, name, err)
			}
		}
	}
}

func TestFullInitramfsHasTheTools(t *testing.T) {
	w := newWorkshop(t).outfit()
	w.put("tools.cpio", cpioOf(t, map[string]string{"bbin/bb": "the tools"}))
	w.works("initramfs -board glinet_gl-mt1300 -tools @tools.cpio -leasehold @leasehold-mipsle -o @root.cpio")
	names := cpioNames(t, w.get("root.cpio"))
	if !slices.Contains(names, "bbin/bb") || !slices.Contains(names, "bin/uinit") {
		t.Errorf("the initramfs has %v", names)
	}
	w.put("tools.cpio", cpioOf(t, map[string]string{"init": "x"}))
	w.fails("initramfs -board glinet_gl-mt1300 -tools @tools.cpio -leasehold @leasehold-mipsle -o @x", "u-root tools: there are none in it")
}

// The packer's libraries stay on the build host.
func TestDeviceDoesNotCarryThePacker(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "leasehold/cmd/leasehold").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, host := range []string{"leasehold/firmware/image", "leasehold/boards", "github.com/u-root/mkuimage", "github.com/u-root/u-root", "github.com/u-root/gobusybox"} {
			if dep == host || strings.HasPrefix(dep, host+"/") {
				t.Errorf("leasehold imports %s", dep)
			}
		}
	}
}

func TestSourcesOfTheMachine(t *testing.T) {
	w := newWorkshop(t)
	list := w.put("debian.sources", []byte("Types: deb\nURIs: http://mirror.example/debian\nSigned-By: /usr/share/keyrings/some.gpg\n"))
	line := w.put("one.list", []byte("deb [arch=amd64 signed-by=/etc/keys/k.asc] http://mirror.example/debian stable main\n"))
	for entry, want := range map[string]string{
		list + ":1":           "[signed-by=/usr/share/keyrings/some.gpg] ",
		line + ":1":           "[signed-by=/etc/keys/k.asc] ",
		w.path("none") + ":1": "",
		"":                    "",
	} {
		if got := signedBy(entry); got != want {
			t.Errorf("signedBy(%s) = %q; want %q", entry, got, want)
		}
	}
	got := indexes("Release: stable\nRepo-URI: http://mirror.example/debian/\n\nRelease: stable-updates\nRepo-URI: x\n")
	if len(got) != 2 || got[0]["Release"] != "stable" || got[0]["Repo-URI"] != "http://mirror.example/debian/" || got[1]["Release"] != "stable-updates" {
		t.Errorf("indexes = %v", got)
	}
}
