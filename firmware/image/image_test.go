package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestInspectOpensLayers(t *testing.T) {
	tests := []struct {
		file string
		want []string // of every layer: its name, kind and size
	}{
		{"sysupgrade.bin", []string{"sysupgrade 4483", " uImage 491", "  kernel: LZMA 427", "   data 4251", " padding 3605", " metadata 227", " signature 160"}},
		{"fit.itb", []string{"FIT 3120", " kernel-1: LZMA 427", "  data 4251", " initrd-1: xz 200", "  cpio 732", "  padding 292", " fdt-1: device tree 353"}},
		{"ubi-static.bin", []string{"UBI 24576", " kernel: volume 491", "  uImage 491", "   kernel: LZMA 427", "    data 4251"}},
		{"safeloader.bin", []string{"SafeLoader 9465", " partition-table: text 2048", " soft-version: text 25", " support-list: text 526",
			" os-image: uImage 491", "  kernel: LZMA 427", "   data 4251", " file-system: xz 200", "  cpio 732", "  padding 292", " extra-para: text 11"}},
	}
	for _, tt := range tests {
		if got := outline(Inspect(golden(t, tt.file)), ""); !slices.Equal(got, tt.want) {
			t.Errorf("Inspect(%s) =\n%s\nwant\n%s", tt.file, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

func outline(l *Layer, indent string) []string {
	all := []string{indent + l.label() + " " + fmt.Sprint(l.Size)}
	for _, in := range l.Layers {
		all = append(all, outline(in, indent+" ")...)
	}
	return all
}

func TestInspectTellsFacts(t *testing.T) {
	l := Inspect(golden(t, "fit.itb"))
	tests := []struct{ kind, key, want string }{
		{"FIT", "default", "config-1"},
		{"LZMA", "properties", "lc1 lp2 pb2"},
		{"LZMA", "load", "0x48000000"},
		{"data", "linux", `"6.12.0"`},
		{"xz", "dictionary", "4096"},
		{"cpio", "entries", "5"},
		{"cpio", "init", "true"},
		{"device tree", "compatible", `"example,router vendor,soc"`},
	}
	for _, tt := range tests {
		if got := l.Find(tt.kind).Fact(tt.key); got != tt.want {
			t.Errorf("%s of %s = %s; want %s", tt.key, tt.kind, got, tt.want)
		}
	}
}

func TestFaultNamesThePlace(t *testing.T) {
	tests := []struct {
		file string
		at   int
		want string
	}{
		{"uimage.bin", 12, "uImage, octets 0x0 to 0x40: header checksum says"},
		{"uimage.bin", 100, "uImage, octets 0x40 to 0x1eb: data checksum says"},
		{"sysupgrade.bin", 0x800, "sysupgrade/padding, octets 0x800 to 0x801: padding is not all 0xff"},
		{"fit.itb", 0x100, "FIT, octets 0xe8 to 0x293: crc32 of kernel-1 says"},
		{"ubi-static.bin", 0x2030, "UBI, octets 0x2000 to 0x2040: the EC header is broken"},
		{"ubi-static.bin", 0x2430, "UBI, octets 0x2400 to 0x24ac: record 0 of the table is broken"},
		{"trx.bin", 0x700, "TRX, octets 0xc to 0x1000: checksum says"},
		{"ramdisk.xz", 199, "xz, octets 0xbc to 0xc8: the footer is broken"},
	}
	for _, tt := range tests {
		b := golden(t, tt.file)
		b[tt.at] ^= 4
		faults := Verify(b)
		at := slices.IndexFunc(faults, func(f Fault) bool { return strings.HasPrefix(f.Error(), tt.want) })
		if at < 0 {
			t.Errorf("Verify(%s, octet %#x changed) = %v; want %q", tt.file, tt.at, faults, tt.want)
		}
		if !slices.IsSortedFunc(faults, func(a, b Fault) int { return int(a.From - b.From) }) {
			t.Errorf("Verify(%s) is not sorted: %v", tt.file, faults)
		}
	}
}

// A fault inside of something packed is where that is in the file.
func TestFaultInsidePackedLayer(t *testing.T) {
	archive := []byte("070701 this is not an entry of cpio, though it is as long as one" + strings.Repeat(".", 100))
	packed := must[Packed](t)(goXZ(archive))
	b := UImage{Type: TypeRamdisk}.Append(nil, packed.Data)
	faults := Verify(b)
	if len(faults) != 1 || faults[0].From != uImageHeader || faults[0].To != int64(len(b)) || faults[0].Layer != "uImage/ramdisk: xz/cpio" {
		t.Errorf("Verify = %v", faults)
	}
}

func TestVerifyUnknown(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("something else"), bytes.Repeat([]byte("x"), 1<<16)} {
		if len(Verify(b)) == 0 {
			t.Errorf("Verify(%d octets of nothing) finds no fault", len(b))
		}
	}
}

func TestManyLayersEnd(t *testing.T) {
	deep := []byte("the innermost")
	for range 3 * maxDepth {
		deep = UImage{Type: TypeKernel}.Append(nil, deep)
	}
	if n := strings.Count(Inspect(deep).String(), "\n"); n > maxDepth+2 {
		t.Errorf("%d layers in each other were opened", n)
	}
	many := make([][]byte, 2*maxLayers)
	for i := range many {
		many[i] = []byte{1, 2, 3, 4}
	}
	if n := len(Inspect(UImage{Type: TypeMulti}.Append(nil, Parts(many...))).Layers); n > maxLayers {
		t.Errorf("%d layers beside each other were opened", n)
	}
}

// What claims a dictionary of 4 GiB gets what it can use.
func TestLargeDictionaryIsNotAllocated(t *testing.T) {
	p := must[Packed](t)(OpenWrtLZMA.Compress(bytes.Repeat([]byte("some text. "), 1000)))
	binary.LittleEndian.PutUint32(p.Data[1:], 1<<31)
	if l := Inspect(p.Data); l.Unpacked != 11000 {
		t.Errorf("Inspect = %v", l)
	}
}

func TestCompress(t *testing.T) {
	text := bytes.Repeat([]byte("An address that was acknowledged is never lost. "), 5000)
	host := must[Packed](t)(CompressXZ(text))
	ours := must[Packed](t)(goXZ(text))
	for _, p := range []Packed{host, ours} {
		l := Inspect(p.Data)
		if l.Kind != "xz" || l.Fact("check") != "CRC-32" || l.Fact("dictionary") != "1048576" || l.Unpacked != int64(len(text)) {
			t.Errorf("xz by %s: %v", p.By, l)
		}
	}
	if again := must[Packed](t)(CompressXZ(text)); !bytes.Equal(again.Data, host.Data) {
		t.Errorf("%s gives other octets the second time", host.By)
	}
	for want, params := range map[string]LZMA{"lc1 lp2 pb2": OpenWrtLZMA, "lc3 lp0 pb2": PlainLZMA} {
		p := must[Packed](t)(params.Compress(text))
		l := Inspect(p.Data)
		if l.Kind != "LZMA" || l.Fact("properties") != want || l.Fact("end") != "" || l.Unpacked != int64(len(text)) || len(l.AllFaults()) > 0 {
			t.Errorf("LZMA: %v", l)
		}
		if size := binary.LittleEndian.Uint64(p.Data[5:]); size != uint64(len(text)) {
			t.Errorf("the header of LZMA says %d octets; want %d", size, len(text))
		}
	}
}

func TestSwapRamdisk(t *testing.T) {
	ramdisk := must[Packed](t)(goXZ([]byte("another ramdisk")))
	for _, file := range []string{"fit.itb", "with padding"} {
		old := golden(t, "fit.itb")
		if file == "with padding" {
			old = Pad(old, 1<<16, 0)
		}
		b := must[[]byte](t)(SwapRamdisk(old, ramdisk.Data))
		f, rest, err := ParseFIT(b)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%s: ParseFIT leaves %d octets, %v", file, len(rest), err)
		}
		want := sampleFIT(t)
		want.Images[1].Data = ramdisk.Data
		same(t, file, must[[]byte](t)(f.Append(nil)), must[[]byte](t)(want.Append(nil)))
	}
}

func TestSwapRamdiskRefuses(t *testing.T) {
	damaged := golden(t, "fit.itb")
	damaged[0x100] ^= 1
	without, two := sampleFIT(t), sampleFIT(t)
	without.Images = slices.Delete(without.Images, 1, 2)
	without.Configs[0].Ramdisk = ""
	two.Images = append(two.Images, FITImage{Name: "initrd-2", Type: "ramdisk", Data: []byte("x")})
	tests := []struct {
		what string
		fit  []byte
		want string
	}{
		{"damaged", damaged, "crc32 of kernel-1"},
		{"without a ramdisk", must[[]byte](t)(without.Append(nil)), "there is none"},
		{"with two", must[[]byte](t)(two.Append(nil)), "there are two"},
		{"data outside", golden(t, "fit-external.itb"), "outside of the tree"},
		{"no FIT", golden(t, "board.dtb"), "no node images"},
		{"a uImage", golden(t, "uimage.bin"), "no flattened device tree"},
	}
	for _, tt := range tests {
		if _, err := SwapRamdisk(tt.fit, []byte("new")); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: SwapRamdisk = %v; want %q", tt.what, err, tt.want)
		}
	}
}

func TestFITRefuses(t *testing.T) {
	hash, image, config := sampleFIT(t), sampleFIT(t), sampleFIT(t)
	hash.Hashes = []string{"crc16"}
	image.Images[0].Name = "kernel 1"
	config.Configs[0].Name = ""
	for what, f := range map[string]FIT{"a hash that is not known": hash, "an image with a space": image, "a configuration without a name": config} {
		if _, err := f.Append(nil); err == nil {
			t.Errorf("Append writes %s", what)
		}
	}
}

func TestUBIRefuses(t *testing.T) {
	vol := Volume{ID: 0, Name: "fit"}
	tests := []struct {
		what string
		ubi  UBI
	}{
		{"no room behind the headers", UBI{PEB: 2048, MinIO: 1024, Volumes: []Volume{vol}}},
		{"no page", UBI{PEB: 2048, Volumes: []Volume{vol}}},
		{"two volumes of one number", UBI{PEB: 8192, MinIO: 512, Volumes: []Volume{vol, vol}}},
		{"a number beyond the table", UBI{PEB: 8192, MinIO: 512, Volumes: []Volume{{ID: 99, Name: "x"}}}},
		{"no name", UBI{PEB: 8192, MinIO: 512, Volumes: []Volume{{}}}},
		{"more data than reserved", UBI{PEB: 8192, MinIO: 512, Volumes: []Volume{{Name: "x", Size: 1, Data: []byte("ab")}}}},
	}
	for _, tt := range tests {
		if _, err := tt.ubi.Append(nil); err == nil {
			t.Errorf("%s: Append returns no error", tt.what)
		}
	}
}

func TestWeigh(t *testing.T) {
	l := Inspect(golden(t, "sysupgrade.bin"))
	tests := []struct {
		what string
		lim  Limits
		room int64
		over string
	}{
		{"no limits", Limits{}, 0, ""},
		{"it fits", Limits{Partition: 8192, State: 3709, Boot: 4483, Unpacked: 4251}, 4483, ""},
		{"the partition", Limits{Partition: 4096}, 4096, "the partition: 4483 octets, 387 too many"},
		{"the leases", Limits{Partition: 8192, State: 4096}, 4096, "the partition without what the leases need: 4483 octets, 387 too many"},
		{"the boot loader", Limits{Partition: 8192, Boot: 4482}, 4482, "what the boot loader reads: 4483 octets, 1 too many"},
		{"unpacked", Limits{Unpacked: 4250}, 0, "what the boot loader can unpack: sysupgrade/uImage/kernel: LZMA: 4251 octets, 1 too many"},
	}
	for _, tt := range tests {
		w := Weigh(l, tt.lim)
		if w.Room != tt.room || strings.Join(w.Over, "; ") != tt.over {
			t.Errorf("%s: Weigh = room %d, over %q; want %d, %q", tt.what, w.Room, w.Over, tt.room, tt.over)
		}
	}
	const want = `
sysupgrade/uImage/kernel: LZMA                  427   unpacks to 4251
sysupgrade/padding                             3605
sysupgrade/metadata                             227
sysupgrade/signature                            160
headers                                          64
total                                          4483
room                                           4096
left                                           -387
too large for the partition: 4483 octets, 387 too many
`
	if got := "\n" + Weigh(l, Limits{Partition: 4096}).String(); got != want {
		t.Errorf("the table is%s\nwant%s", got, want)
	}
}

// The kernel unpacks the ramdisk, not the boot loader.
func TestWeighLeavesRamdiskToTheKernel(t *testing.T) {
	l := Inspect(golden(t, "fit.itb"))
	if w := Weigh(l, Limits{Unpacked: 4251}); len(w.Over) > 0 {
		t.Errorf("Weigh finds %q", w.Over)
	}
	f := sampleFIT(t)
	f.Images[1].Data = must[Packed](t)(goXZ(make([]byte, 10000))).Data
	if w := Weigh(Inspect(must[[]byte](t)(f.Append(nil))), Limits{Unpacked: 4251}); len(w.Over) > 0 {
		t.Errorf("Weigh finds %q", w.Over)
	}
}
