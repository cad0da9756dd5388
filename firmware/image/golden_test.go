package image

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The files in testdata were made by the programs that the formats come from:
//
//	kernel.lzma          xz --format=lzma --lzma1=lc=1,lp=2,pb=2,dict=8MiB
//	ramdisk.xz           cpio -o -H newc | xz --check=crc32 --lzma2=dict=1MiB
//	board.dtb            dtc
//	uimage.bin           mkimage -T kernel
//	multi.bin            mkimage -T multi
//	fit.itb              mkimage -f, with a source in the form of OpenWrt's
//	fit-external.itb     mkimage -E -B 0x100 -p 0x800 -f
//	trx.bin              trx of openwrt/firmware-utils
//	tplink-combined.bin  mktplinkfw -c of openwrt/firmware-utils
//	tplink-full.bin      mktplinkfw -s
//	safeloader.bin       tplink-safeloader -B ARCHER-C7-V5 -V 7
//	sysupgrade.bin       fwtool -I, signify -S, fwtool -S
//	example.pub          signify -G -n
//	ubi-static.bin       ubinize -p 8KiB -m 512 -s 512 -Q 1700000000
//	ubi-dynamic.bin      ubinize -p 8KiB -m 512 -s 256 -O 1024 -Q 7
//
// with SOURCE_DATE_EPOCH=1700000000.

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// same fails the test at the first octet that differs.
func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s has %d octets, and at %#x %x; want %d, and %x", what,
		len(got), at, got[at:min(at+8, len(got))], len(want), want[at:min(at+8, len(want))])
}

const sampleTime = 1700000000

var sampleUImage = UImage{
	Time: sampleTime, Load: 0x80000000, Entry: 0x80000400,
	OS: OSLinux, Arch: ArchMIPS, Type: TypeKernel, Comp: CompLZMA, Name: "MIPS OpenWrt Linux-6.12",
}

func sampleFIT(t testing.TB) FIT {
	return FIT{
		Description: "ARM64 OpenWrt FIT (Flattened Image Tree)", Time: sampleTime, Hashes: []string{"crc32", "sha1"},
		Images: []FITImage{
			{Name: "kernel-1", Description: "ARM64 OpenWrt Linux-6.12", Type: "kernel", Arch: "arm64", OS: "linux", Compression: "lzma", Load: 0x48000000, Entry: 0x48000000, Data: golden(t, "kernel.lzma")},
			{Name: "initrd-1", Description: "ARM64 OpenWrt initrd", Type: "ramdisk", Arch: "arm64", OS: "linux", Compression: "none", Data: golden(t, "ramdisk.xz")},
			{Name: "fdt-1", Description: "ARM64 OpenWrt device tree blob", Type: "flat_dt", Arch: "arm64", Compression: "none", Load: 0x47f00000, Data: golden(t, "board.dtb")},
		},
		Default: "config-1",
		Configs: []FITConfig{{Name: "config-1", Description: "OpenWrt", Kernel: "kernel-1", Ramdisk: "initrd-1", FDT: "fdt-1"}},
	}
}

var sampleMetadata = Metadata{
	Devices: []string{"example,router"}, Dist: "leasehold", Version: "0.1.0", Revision: "r1",
	Target: "ramips/mt76x8", Board: "example_router",
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestUImageIsThatOfMkimage(t *testing.T) {
	want, kernel := golden(t, "uimage.bin"), golden(t, "kernel.lzma")
	same(t, "uImage", sampleUImage.Append(nil, kernel), want)
	u, data, rest, err := ParseUImage(append(slices.Clone(want), "rest"...))
	if err != nil || u != sampleUImage || !bytes.Equal(data, kernel) || string(rest) != "rest" {
		t.Errorf("ParseUImage = %+v, %d octets, %q, %v", u, len(data), rest, err)
	}
}

func TestMultiIsThatOfMkimage(t *testing.T) {
	u := UImage{Time: sampleTime, Load: 0x40008000, Entry: 0x40008000, OS: OSLinux, Arch: ArchARM, Type: TypeMulti, Name: "multi"}
	parts := [][]byte{golden(t, "kernel.lzma"), golden(t, "ramdisk.xz"), golden(t, "board.dtb")}
	want := golden(t, "multi.bin")
	same(t, "uImage", u.Append(nil, Parts(parts...)), want)
	_, data, _, err := ParseUImage(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseParts(data)
	if err != nil || !slices.EqualFunc(got, parts, bytes.Equal) {
		t.Errorf("ParseParts = %d parts, %v", len(got), err)
	}
}

// The tree is not laid out as by dtc, so here it is what is read that counts.
func TestFITReadsAsThatOfMkimage(t *testing.T) {
	want := sampleFIT(t)
	ours := must[[]byte](t)(want.Append(nil))
	for name, b := range map[string][]byte{"mkimage": golden(t, "fit.itb"), "mkimage -E": golden(t, "fit-external.itb"), "ours": ours} {
		f, rest, err := ParseFIT(append(slices.Clone(b), "rest"...))
		if err != nil {
			t.Errorf("ParseFIT(%s): %v", name, err)
			continue
		}
		if name != "mkimage -E" && string(rest) != "rest" {
			t.Errorf("ParseFIT(%s) leaves %q", name, rest)
		}
		if len(f.Images) != 3 {
			t.Fatalf("ParseFIT(%s) = %d images", name, len(f.Images))
		}
		for i := range f.Images {
			same(t, name+" "+f.Images[i].Name, f.Images[i].Data, want.Images[i].Data)
			f.Images[i].Data = want.Images[i].Data
		}
		again := must[[]byte](t)(f.Append(nil))
		same(t, name+" written anew", again, ours)
	}
}

func TestTRXIsThatOfOpenWrt(t *testing.T) {
	want := golden(t, "trx.bin")
	got := must[[]byte](t)(TRX{[][]byte{golden(t, "kernel.lzma"), golden(t, "ramdisk.xz")}}.Append(nil))
	same(t, "TRX", got, want)
	x, rest, err := ParseTRX(append(want, 0xff))
	if err != nil || len(x.Parts) != 2 || len(rest) != 1 || !bytes.HasPrefix(x.Parts[1], golden(t, "ramdisk.xz")) {
		t.Errorf("ParseTRX = %d parts, %d octets, %v", len(x.Parts), len(rest), err)
	}
}

func TestTPLinkIsThatOfOpenWrt(t *testing.T) {
	x := TPLink{Vendor: "OpenWrt", Release: "r12345", ID: 0xc7000002, Revision: 1, Load: 0x80060000, Entry: 0x80060000}
	kernel, want := golden(t, "kernel.lzma"), golden(t, "tplink-combined.bin")
	same(t, "TP-Link v1", x.Append(nil, kernel), want)
	for _, name := range []string{"tplink-combined.bin", "tplink-full.bin"} {
		got, k, _, err := ParseTPLink(golden(t, name))
		got.Load, got.Entry = x.Load, x.Entry
		if err != nil || got != x || !bytes.Equal(k, kernel) {
			t.Errorf("ParseTPLink(%s) = %+v, %d octets, %v", name, got, len(k), err)
		}
	}
}

func TestSafeLoaderIsThatOfOpenWrt(t *testing.T) {
	want := golden(t, "safeloader.bin")
	s, err := ParseSafeLoader(want)
	if err != nil {
		t.Fatal(err)
	}
	const list = "SupportList:\n" +
		"{product_name:Archer C7,product_ver:5.0.0,special_id:00000000}\n"
	kernel := golden(t, "uimage.bin")
	at := int64(0xc0000+len(kernel)+0xffff) &^ 0xffff
	// The size of "file-system" is what tplink-safeloader says, though it is not
	// what is left of the partition.
	table := must[[]byte](t)(SafePartitions([]FlashPart{
		{"factory-boot", 0, 0x20000}, {"fs-uboot", 0x20000, 0x20000}, {"partition-table", 0x40000, 0x10000},
		{"radio", 0x50000, 0x10000}, {"default-mac", 0x60000, 0x200}, {"pin", 0x60200, 0x200},
		{"device-id", 0x60400, 0x100}, {"product-info", 0x60500, 0xfb00}, {"soft-version", 0x70000, 0x1000},
		{"extra-para", 0x71000, 0x1000}, {"support-list", 0x72000, 0xa000}, {"profile", 0x7c000, 0x4000},
		{"user-config", 0x80000, 0x40000}, {"os-image", 0xc0000, int64(len(kernel))},
		{"file-system", at, 0xf00000 - at}, {"log", 0xfc0000, 0x20000},
		{"certificate", 0xfe0000, 0x10000}, {"default-config", 0xff0000, 0x10000},
	}))
	same(t, "partition-table", table, s.Parts[0].Data)
	if !bytes.HasPrefix(s.Parts[2].Data[8:], []byte(list)) {
		t.Errorf("support-list begins with %q", s.Parts[2].Data[8:80])
	}
	got := SafeLoader{Parts: []SafePart{
		{"partition-table", table},
		{"soft-version", SafeMeta([]byte("soft_ver:7.0.0\n\x00"), 0)},
		{"support-list", SafeMeta([]byte(strings.TrimSuffix(string(s.Parts[2].Data[8:]), "\x00")), 0)},
		{"os-image", kernel},
		{"file-system", golden(t, "ramdisk.xz")},
		{"extra-para", SafeMeta([]byte{1, 0}, 0)},
	}}
	same(t, "SafeLoader", must[[]byte](t)(got.Append(nil)), want)
}

func TestSysupgradeIsThatOfFwtool(t *testing.T) {
	want := golden(t, "sysupgrade.bin")
	got, err := Sysupgrade(golden(t, "uimage.bin"), 4096, sampleMetadata, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, bare, signature, err := ParseMetadata(want)
	if err != nil || len(bare) != 4096 || m.Board != "example_router" {
		t.Fatalf("ParseMetadata = %+v, %d octets, %v", m, len(bare), err)
	}
	same(t, "sysupgrade", appendBlock(got, blockSignature, signature), want)
}

func TestUBIIsThatOfUbinize(t *testing.T) {
	tests := []struct {
		name string
		ubi  UBI
	}{
		{"ubi-static.bin", UBI{PEB: 8192, MinIO: 512, Sequence: sampleTime, Volumes: []Volume{
			{ID: 0, Name: "kernel", Static: true, Size: 14 << 10, Data: golden(t, "uimage.bin")}}}},
		{"ubi-dynamic.bin", UBI{PEB: 8192, MinIO: 512, VIDHeader: 1024, Sequence: 7, Volumes: []Volume{
			{ID: 3, Name: "fit", Autoresize: true, Data: golden(t, "fit.itb")}}}},
	}
	for _, tt := range tests {
		want := golden(t, tt.name)
		same(t, tt.name, must[[]byte](t)(tt.ubi.Append(nil)), want)
		u, err := ParseUBI(want)
		if err != nil || len(u.Volumes) != 1 || u.Volumes[0].Name != tt.ubi.Volumes[0].Name || !bytes.HasPrefix(u.Volumes[0].Data, tt.ubi.Volumes[0].Data) {
			t.Errorf("ParseUBI(%s) = %+v, %v", tt.name, u, err)
		}
	}
}

func TestSignifysSignatureIsGood(t *testing.T) {
	key := must[PublicKey](t)(ParsePublicKey(golden(t, "example.pub")))
	b := golden(t, "sysupgrade.bin")
	if err := key.VerifyImage(b); err != nil {
		t.Error(err)
	}
	other := sampleKey(t).Public()
	tests := []struct {
		what  string
		key   PublicKey
		image []byte
		want  error
	}{
		{"another key", other, b, ErrOtherKey},
		{"no signature", key, b[:4096], ErrUnsigned},
		{"the key's number, but not the key", PublicKey{key.id, other.key}, b, ErrForged},
	}
	for _, tt := range tests {
		if err := tt.key.VerifyImage(tt.image); !errors.Is(err, tt.want) {
			t.Errorf("%s: VerifyImage = %v; want %v", tt.what, err, tt.want)
		}
	}
}

// sampleKeyFile is a secret key in the form of "signify -G -n". It is in no use.
func sampleKeyFile(t testing.TB, rounds byte) []byte {
	t.Helper()
	return secretFile(bytes.Repeat([]byte{7}, 32), [keyID]byte{1, 2, 3, 4, 5, 6, 7, 8}, rounds)
}

func sampleKey(t testing.TB) SecretKey {
	t.Helper()
	return must[SecretKey](t)(ParseSecretKey(sampleKeyFile(t, 0)))
}

func TestSysupgradeSigned(t *testing.T) {
	key := sampleKey(t)
	b := must[[]byte](t)(Sysupgrade(golden(t, "uimage.bin"), 65536, sampleMetadata, &key))
	if err := key.Public().VerifyImage(b); err != nil {
		t.Error(err)
	}
	if faults := Verify(b); len(faults) > 0 {
		t.Error(faults)
	}
	if again := must[[]byte](t)(Sysupgrade(golden(t, "uimage.bin"), 65536, sampleMetadata, &key)); !bytes.Equal(again, b) {
		t.Error("the same arguments give other octets")
	}
}

func TestSecretKeyRefused(t *testing.T) {
	good := sampleKeyFile(t, 0)
	tests := []struct {
		what string
		file []byte
		want error
	}{
		{"with a passphrase", sampleKeyFile(t, 42), ErrLocked},
		{"a public key", golden(t, "example.pub"), ErrKey},
		{"no comment", good[len(comment):], ErrKey},
		{"a digit of base64 changed", bytes.Replace(good, []byte("BwcH"), []byte("BwcI"), 1), ErrKey},
		{"empty", nil, ErrKey},
	}
	for _, tt := range tests {
		if _, err := ParseSecretKey(tt.file); !errors.Is(err, tt.want) {
			t.Errorf("%s: ParseSecretKey = %v; want %v", tt.what, err, tt.want)
		}
	}
}

func TestMetadataOfAnotherCompat(t *testing.T) {
	m := Metadata{Devices: []string{"a,b"}, Compat: "2.0", CompatMessage: "Erase the configuration."}
	b := must[[]byte](t)(AppendMetadata([]byte("image"), m))
	const want = `"compat_version":"2.0","compat_message":"Erase the configuration.","new_supported_devices":["a,b"],"supported_devices":["Erase the configuration."]`
	if !bytes.Contains(b, []byte(want)) {
		t.Errorf("metadata are %q", b)
	}
	got, bare, sig, err := ParseMetadata(b)
	if err != nil || string(bare) != "image" || sig != nil || got.Compat != m.Compat || got.Devices[0] != "a,b" {
		t.Errorf("ParseMetadata = %+v, %q, %q, %v", got, bare, sig, err)
	}
}

func TestSysupgradeTar(t *testing.T) {
	s := SysupgradeTar{Board: "example,router", Kernel: golden(t, "fit.itb"), Time: time.Unix(sampleTime, 0)}
	b := must[[]byte](t)(s.Append(nil))
	l := Inspect(b)
	if l.Kind != "sysupgrade tar" || l.Find("FIT") == nil || len(l.AllFaults()) > 0 {
		t.Errorf("Inspect = %v", l)
	}
	if got := l.Layers[0].Fact("text"); got != `"BOARD=example_router\n"` {
		t.Errorf("CONTROL is %s", got)
	}
}

func secretFile(seed []byte, id [keyID]byte, rounds byte) []byte {
	key := ed25519.NewKeyFromSeed(seed)
	sum := sha512.Sum512(key)
	b := append([]byte(keyAlgorithm+keyKDF), 0, 0, 0, rounds)
	b = append(b, make([]byte, 16)...)
	b = append(b, sum[:8]...)
	b = append(append(b, id[:]...), key...)
	return []byte(comment + "example\n" + base64.StdEncoding.EncodeToString(b) + "\n")
}
