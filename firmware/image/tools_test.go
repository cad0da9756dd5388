package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tool returns where a program is, or skips the test.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if p, err := exec.LookPath(path); err == nil {
			return p
		}
	}
	t.Skipf("%s is not installed; the package %s has it", name, pkg)
	return ""
}

// runs runs a program, which must succeed, and returns what it says.
func runs(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(path), strings.Join(args, " "), err, out)
	}
	return string(out)
}

func file(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// contains fails the test unless a program said all of these.
func contains(t *testing.T, said string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("%q is not in\n%s", w, said)
		}
	}
}

func TestMkimageListsOurs(t *testing.T) {
	mkimage := tool(t, "mkimage", "u-boot-tools")
	said := runs(t, mkimage, "-l", file(t, "uimage", sampleUImage.Append(nil, golden(t, "kernel.lzma"))))
	contains(t, said, "MIPS OpenWrt Linux-6.12", "MIPS Linux Kernel Image (lzma compressed)", "Load Address: 80000000", "Entry Point:  80000400")
	for _, hashes := range [][]string{{"crc32", "sha1"}, {"crc32", "sha256"}} {
		f := sampleFIT(t)
		f.Hashes = hashes
		said = runs(t, mkimage, "-l", file(t, "fit", must[[]byte](t)(f.Append(nil))))
		contains(t, said, "Image 0 (kernel-1)", "Image 1 (initrd-1)", "Image 2 (fdt-1)", "Default Configuration: 'config-1'", "Hash algo:    "+hashes[1])
	}
}

// dumpimage checks nothing, so it is what it takes out that counts.
func TestDumpimageTakesApart(t *testing.T) {
	dumpimage := tool(t, "dumpimage", "u-boot-tools")
	ramdisk := []byte("another ramdisk, of another length")
	swapped := must[[]byte](t)(SwapRamdisk(golden(t, "fit.itb"), ramdisk))
	fit := file(t, "fit", swapped)
	for i, want := range [][]byte{golden(t, "kernel.lzma"), ramdisk, golden(t, "board.dtb")} {
		out := filepath.Join(t.TempDir(), "part")
		runs(t, dumpimage, "-T", "flat_dt", "-p", fmt.Sprint(i), "-o", out, fit)
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint("image ", i), got, want)
	}
}

// binwalk looks for what an image is made of without being told what it is.
func TestBinwalkFindsTheLayers(t *testing.T) {
	binwalk := tool(t, "binwalk", "binwalk")
	uimage := sampleUImage.Append(nil, golden(t, "kernel.lzma"))
	for name, tt := range map[string]struct {
		image []byte
		want  []string
	}{
		"uimage": {uimage, []string{"uImage header, header size: 64 bytes", "LZMA compressed data"}},
		"fit":    {must[[]byte](t)(sampleFIT(t).Append(nil)), []string{"Flattened device tree", "LZMA compressed data", "xz compressed data"}},
		"trx":    {must[[]byte](t)(TRX{[][]byte{golden(t, "kernel.lzma")}}.Append(nil)), []string{"TRX firmware header, little endian"}},
		"ubi": {must[[]byte](t)(UBI{PEB: 8192, MinIO: 512, Volumes: []Volume{{Name: "kernel", Data: uimage}}}.Append(nil)),
			[]string{"UBI erase count header, version: 1, EC: 0x0, VID header offset: 0x200"}},
	} {
		contains(t, runs(t, binwalk, file(t, name, tt.image)), tt.want...)
	}
}

func TestFdtgetReadsOurs(t *testing.T) {
	fdtget := tool(t, "fdtget", "device-tree-compiler")
	fit := file(t, "fit", must[[]byte](t)(sampleFIT(t).Append(nil)))
	if got := runs(t, fdtget, "-t", "x", fit, "/images/kernel-1", "load"); strings.TrimSpace(got) != "48000000" {
		t.Errorf("fdtget reads the load address %q", got)
	}
	if got := runs(t, fdtget, fit, "/configurations", "default"); strings.TrimSpace(got) != "config-1" {
		t.Errorf("fdtget reads the default %q", got)
	}
}

func TestDtcReadsOurs(t *testing.T) {
	dtc := tool(t, "dtc", "device-tree-compiler")
	fit := file(t, "fit", must[[]byte](t)(sampleFIT(t).Append(nil)))
	ours := runs(t, dtc, "-q", "-s", "-I", "dtb", "-O", "dts", fit)
	theirs := runs(t, dtc, "-q", "-s", "-I", "dtb", "-O", "dts", "testdata/fit.itb")
	if ours != theirs {
		t.Errorf("dtc, sorting, reads from ours\n%s\nand from mkimage's\n%s", ours, theirs)
	}
}

func TestXZReadsOurs(t *testing.T) {
	path := tool(t, "xz", "xz-utils")
	text := bytes.Repeat([]byte("Told the time, it answers what to do next. "), 3000)
	ours := must[Packed](t)(goXZ(text))
	host := must[Packed](t)(CompressXZ(text))
	lzma := must[Packed](t)(OpenWrtLZMA.Compress(text))
	for _, tt := range []struct {
		name string
		data []byte
	}{{"a.xz", ours.Data}, {"b.xz", host.Data}, {"c.lzma", lzma.Data}} {
		if got := runs(t, path, "--format=auto", "-dc", file(t, tt.name, tt.data)); got != string(text) {
			t.Errorf("xz reads %d octets from %s; want %d", len(got), tt.name, len(text))
		}
	}
	if !strings.HasPrefix(host.By, "xz ") {
		t.Errorf("CompressXZ was done by %q", host.By)
	}
}

func TestTarReadsOurs(t *testing.T) {
	path := tool(t, "tar", "tar")
	s := SysupgradeTar{Board: "example,router", Kernel: golden(t, "fit.itb"), Root: []byte("root"), Time: time.Unix(sampleTime, 0)}
	b := must[[]byte](t)(s.Append(nil))
	archive := file(t, "sysupgrade.tar", must[[]byte](t)(AppendMetadata(b, sampleMetadata)))
	said := runs(t, path, "--utc", "--numeric-owner", "-tvf", archive)
	const want = `drwxr-xr-x 0/0               0 2023-11-14 22:13 sysupgrade-example_router/
-rw-r--r-- 0/0              21 2023-11-14 22:13 sysupgrade-example_router/CONTROL
-rw-r--r-- 0/0            3120 2023-11-14 22:13 sysupgrade-example_router/kernel
-rw-r--r-- 0/0               4 2023-11-14 22:13 sysupgrade-example_router/root
`
	if said != want {
		t.Errorf("tar lists\n%swant\n%s", said, want)
	}
	if got := runs(t, path, "-xOf", archive, "sysupgrade-example_router/kernel"); got != string(golden(t, "fit.itb")) {
		t.Errorf("tar takes a kernel of %d octets out", len(got))
	}
}

func TestSignifyAgrees(t *testing.T) {
	signify := tool(t, "signify-openbsd", "signify-openbsd")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) []byte { return must[[]byte](t)(os.ReadFile(path(name))) }
	runs(t, signify, "-G", "-n", "-c", "test", "-p", path("key.pub"), "-s", path("key.sec"))
	key := must[SecretKey](t)(ParseSecretKey(read("key.sec")))
	image := golden(t, "uimage.bin")
	if err := os.WriteFile(path("image"), image, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("ours.sig"), key.Sign(image), 0o644); err != nil {
		t.Fatal(err)
	}
	contains(t, runs(t, signify, "-V", "-p", path("key.pub"), "-m", path("image"), "-x", path("ours.sig")), "Signature Verified")
	runs(t, signify, "-S", "-s", path("key.sec"), "-m", path("image"), "-x", path("theirs.sig"))
	_, ours, _ := bytes.Cut(key.Sign(image), []byte("\n"))
	_, theirs, _ := bytes.Cut(read("theirs.sig"), []byte("\n"))
	same(t, "signature", ours, theirs)
	pub := must[PublicKey](t)(ParsePublicKey(read("key.pub")))
	if err := pub.Verify(image, read("theirs.sig")); err != nil {
		t.Error(err)
	}
	if err := pub.Verify(image[1:], read("theirs.sig")); !errors.Is(err, ErrForged) {
		t.Errorf("Verify of another message = %v", err)
	}
}

// The same geometry as two boards have, and more than one volume.
func TestUbinizeAgrees(t *testing.T) {
	ubinize := tool(t, "ubinize", "mtd-utils")
	fit := golden(t, "fit.itb")
	big := bytes.Repeat(fit, 60)
	tests := []struct {
		args []string
		ubi  UBI
	}{
		{[]string{"-p", "128KiB", "-m", "2048"}, UBI{PEB: 128 << 10, MinIO: 2048}},
		{[]string{"-p", "128KiB", "-m", "2048", "-s", "512"}, UBI{PEB: 128 << 10, MinIO: 2048, VIDHeader: 512}},
		{[]string{"-p", "16KiB", "-m", "512", "-O", "1024"}, UBI{PEB: 16 << 10, MinIO: 512, VIDHeader: 1024}},
		{[]string{"-p", "64KiB", "-m", "1"}, UBI{PEB: 64 << 10, MinIO: 1}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			tt.ubi.Sequence = 4711
			tt.ubi.Volumes = []Volume{
				{ID: 0, Name: "fit", Static: true, Size: 400 << 10, Data: big},
				{ID: 2, Name: "rootfs_data", Autoresize: true, Data: fit},
			}
			ini := fmt.Sprintf("[a]\nmode=ubi\nimage=%s\nvol_id=0\nvol_type=static\nvol_name=fit\nvol_size=400KiB\n"+
				"[b]\nmode=ubi\nimage=%s\nvol_id=2\nvol_type=dynamic\nvol_name=rootfs_data\nvol_flags=autoresize\n",
				file(t, "big", big), file(t, "small", fit))
			out := filepath.Join(t.TempDir(), "ubi")
			runs(t, ubinize, append(tt.args, "-Q", "4711", "-o", out, file(t, "ini", []byte(ini)))...)
			want := must[[]byte](t)(os.ReadFile(out))
			same(t, "UBI", must[[]byte](t)(tt.ubi.Append(nil)), want)
			if faults := Verify(want); len(faults) > 0 {
				t.Error(faults)
			}
		})
	}
}

func TestBombIsNotOpened(t *testing.T) {
	zeros := file(t, "zeros", make([]byte, maxUnpacked+1))
	lz := []byte(runs(t, tool(t, "xz", "xz-utils"), "-1", "--format=lzma", "-kc", zeros))
	binary.LittleEndian.PutUint64(lz[5:], maxUnpacked+1) // boot loaders want to know
	for kind, b := range map[string][]byte{
		"LZMA": lz,
		"xz":   []byte(runs(t, tool(t, "xz", "xz-utils"), "-1", "-kc", zeros)),
		"gzip": []byte(runs(t, tool(t, "gzip", "gzip"), "-1c", zeros)),
	} {
		l := Inspect(b)
		if l.Kind != kind || l.Unpacked != -1 || l.Fact("not opened") == "" || len(l.AllFaults()) > 0 {
			t.Errorf("Inspect(%s of 64 MiB and an octet) = %v", kind, l)
		}
		if w := Weigh(l, Limits{Unpacked: 1 << 20}); len(w.Over) != 1 {
			t.Errorf("%s of 64 MiB and an octet is over %q", kind, w.Over)
		}
	}
}
