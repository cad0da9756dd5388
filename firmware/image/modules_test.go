package image

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// ko makes a kernel module that has nothing but what it depends on: an ELF file
// with the sections .modinfo and .shstrtab, big-endian or little-endian.
func ko(order binary.AppendByteOrder, depends string) []byte {
	const header, section = 52, 40
	info := "license=GPL\x00depends=" + depends + "\x00"
	names := "\x00.modinfo\x00.shstrtab\x00"
	data := byte(1)
	if order == binary.BigEndian {
		data = 2
	}
	b := append([]byte("\x7fELF\x01"), data, 1)
	b = append(b, make([]byte, 16-len(b))...)
	half := func(v ...uint16) {
		for _, n := range v {
			b = order.AppendUint16(b, n)
		}
	}
	word := func(v ...uint32) {
		for _, n := range v {
			b = order.AppendUint32(b, n)
		}
	}
	half(1, 8)                                            // relocatable, MIPS
	word(1, 0, 0, uint32(header+len(info)+len(names)), 0) // version, ..., sections
	half(header, 0, 0, section, 3, 2)
	b = append(append(b, info...), names...)
	word(make([]uint32, 10)...)
	word(1, 1, 0, 0, header, uint32(len(info)), 0, 0, 1, 0)
	word(10, 3, 0, 0, uint32(header+len(info)), uint32(len(names)), 0, 0, 1, 0)
	return b
}

// kernelDir makes lib/modules/RELEASE.
func kernelDir(t *testing.T, content map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range content {
		path := filepath.Join(dir, "lib/modules/6.1.0", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func packXZ(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func packZSTD(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	dir := kernelDir(t, map[string][]byte{
		"kernel/net/bridge/bridge.ko":         ko(le, "stp,llc"),
		"kernel/net/802/stp.ko":               ko(be, "llc"),
		"kernel/net/llc/llc.ko.xz":            packXZ(t, ko(le, "")),
		"kernel/drivers/net/virtio_net.ko":    ko(le, "virtio_ring,net_failover"),
		"kernel/net/net-failover.ko.zst":      packZSTD(t, ko(le, "")),
		"kernel/drivers/mtd/spi-nor.ko":       ko(le, "mtd"),
		"kernel/drivers/net/not-a-module.txt": nil,
		"modules.builtin":                     []byte("kernel/drivers/virtio/virtio_ring.ko\nkernel/drivers/mtd/mtd.ko\n"),
	})
	for _, at := range []string{dir, filepath.Join(dir, "lib/modules/6.1.0")} {
		m, err := FindModules(at, []string{"virtio_net", "spi_nor", "bridge", "mtd", "stp", "virtio-net"})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range m.Load {
			names = append(names, l.Name)
		}
		if got, want := strings.Join(names, " "), "net-failover virtio_net spi-nor llc stp bridge"; got != want || m.Release != "6.1.0" {
			t.Errorf("FindModules(%s) = %s of %s; want %s of 6.1.0", at, got, m.Release, want)
		}
		for _, l := range m.Load {
			if !bytes.HasPrefix(l.Content, []byte("\x7fELF")) {
				t.Errorf("%s is still compressed", l.Name)
			}
		}
	}
}

func TestModuleKeepsItsParameters(t *testing.T) {
	dir := kernelDir(t, map[string][]byte{"kernel/block2mtd.ko": ko(binary.LittleEndian, "")})
	m, err := FindModules(dir, []string{"block2mtd  block2mtd=/dev/vda,65536"})
	if err != nil || len(m.Load) != 1 || m.Load[0].Params != "block2mtd=/dev/vda,65536" {
		t.Errorf("FindModules = %+v, %v; want one module with its parameters", m.Load, err)
	}
}

func TestModulesAsOpenWrtHasThem(t *testing.T) {
	dir := kernelDir(t, map[string][]byte{"phy.ko": ko(binary.LittleEndian, "")})
	if m, err := FindModules(dir, []string{"phy"}); err != nil || len(m.Load) != 1 {
		t.Errorf("FindModules = %v, %v; want the one", m.Load, err)
	}
}

func TestModulesThatCannotBe(t *testing.T) {
	le := binary.LittleEndian
	dir := kernelDir(t, map[string][]byte{
		"kernel/bridge.ko": ko(le, "stp"),
		"kernel/a.ko":      ko(le, "b"),
		"kernel/b.ko":      ko(le, "a"),
		"kernel/text.ko":   []byte("this is not one at all"),
		"kernel/cut.ko":    ko(le, "")[:60],
	})
	for root, want := range map[string]string{
		"e1000":  "module e1000: neither in " + dir,
		"bridge": "module stp: not in " + dir,
		"a":      "module a: depends on itself by way of a, b",
		"text":   "text.ko: bad magic number",
		"cut":    "cut.ko: ",
	} {
		if m, err := FindModules(dir, []string{root}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("FindModules(%s) = %v, %v; want %q", root, m.Load, err, want)
		}
	}
	if _, err := FindModules(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "neither lib/modules/RELEASE nor any .ko") {
		t.Errorf("FindModules of nothing = %v; want an error", err)
	}
	other := filepath.Join(dir, "lib/modules/6.2.0/kernel")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := FindModules(dir, nil); err == nil || !strings.Contains(err.Error(), "of several kernels") {
		t.Errorf("FindModules of two kernels = %v; want an error", err)
	}
}

func FuzzDepends(f *testing.F) {
	f.Add(ko(binary.LittleEndian, "llc,stp"))
	f.Add(ko(binary.BigEndian, ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		if needs, err := depends(b); err != nil && needs != nil {
			t.Errorf("depends = %v, %v", needs, err)
		}
	})
}
