package image

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A sample is an image, and the octets of it that nothing vouches for.
type sample struct {
	name  string
	image []byte
	free  []span
}

type span struct {
	from, to int
	why      string
}

func samples(t testing.TB) []sample {
	key := sampleKey(t)
	fit := must[[]byte](t)(sampleFIT(t).Append(nil))
	external := golden(t, "fit-external.itb")
	tarred := must[[]byte](t)(SysupgradeTar{Board: "example,router", Kernel: fit, Time: time.Unix(sampleTime, 0)}.Append(nil))
	signed := must[[]byte](t)(Sysupgrade(golden(t, "multi.bin"), 512, sampleMetadata, &key))
	withMetadata := must[[]byte](t)(AppendMetadata(slices.Clip(tarred), sampleMetadata))
	return []sample{
		{"uImage", golden(t, "uimage.bin"), nil},
		{"multi", golden(t, "multi.bin"), nil},
		{"FIT", fit, freeInFIT(t, fit)},
		{"FIT of mkimage -E", external, append(freeInFIT(t, external),
			span{4, 8, "the size of the tree, which room follows"}, span{32, 36, "the size of the names, which room follows"},
			span{0x600, 0x800, "the room"}, span{0x9ab, 0xa00, "between the data"}, span{0xac8, 0xb00, "between the data"})},
		{"TRX", golden(t, "trx.bin"), nil},
		{"TP-Link v1", golden(t, "tplink-combined.bin"), []span{
			{0x04, tplinkMD5, "names and numbers: no checksum in this form"}, {0x74, 0x7c, "addresses"},
			{0x98, 0x9e, "the version"}, {0x120, 0x160, "the region"}, {0x200, 0x214, "LZMA has no checksum"}}},
		{"TP-Link v1 with a root", golden(t, "tplink-full.bin"), nil},
		{"SafeLoader", golden(t, "safeloader.bin"), nil},
		{"sysupgrade", golden(t, "sysupgrade.bin"), nil},
		{"sysupgrade signed by us", signed, nil},
		{"sysupgrade tar", tarred, append(shifted(freeInFIT(t, fit), 0x800), span{0x400, 0x415, "CONTROL"},
			span{0x800, 0x804, "its magic: a kernel may be of another format"},
			span{0x9a, 0x9c, "behind the sum"}, span{0x29a, 0x29c, "behind the sum"}, span{0x69a, 0x69c, "behind the sum"})},
		{"sysupgrade tar with metadata", withMetadata, nil},
		{"UBI, static", golden(t, "ubi-static.bin"), nil},
		{"UBI, dynamic, of a FIT", golden(t, "ubi-dynamic.bin"), append(shifted(freeInFIT(t, golden(t, "fit.itb")), 0x4600),
			span{0x4604, 0x4608, "the size of the tree, which room follows"}, span{0x4620, 0x4624, "the size of the names, which room follows"})},
		{"LZMA", golden(t, "kernel.lzma"), []span{{0, 5, "other parameters may do"}, {13, 19, "no checksum: a first literal may differ alone"}}},
		{"xz", golden(t, "ramdisk.xz"), nil},
	}
}

// freeInFIT lists what no hash is of: all but the data, the hashes, and what has
// to be one of a few words or the name of another node.
func freeInFIT(t testing.TB, b []byte) []span {
	l := alone("FIT", b)
	tree, ok := l.fdt()
	if !ok {
		t.Fatal(l.damage())
	}
	at := 40 // the header says where the rest is
	var free []span
	var walk func(n *node)
	walk = func(n *node) {
		for _, p := range n.props {
			switch p.name {
			case "data", "value", "algo", "type", "default", "kernel", "ramdisk", "fdt":
				free = append(free, span{at, p.from, "addresses, names and descriptions"})
				at = p.to
			}
		}
		for _, c := range n.nodes {
			walk(c)
		}
	}
	walk(tree.root)
	return append(free, span{at, len(tree.b), "the names of properties"}, span{28, 32, "the CPU that boots"})
}

func shifted(free []span, by int) []span {
	var all []span
	for _, s := range free {
		all = append(all, span{s.from + by, s.to + by, s.why})
	}
	return all
}

// Every octet is changed, in three ways if the image is small, and every fifth if
// it is large. Every change must be found, except where the format says nothing
// of the octet.
func TestEveryFlippedBitIsFound(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if faults := Verify(s.image); len(faults) > 0 {
				t.Fatalf("the image as it was made: %v", faults)
			}
			free := make([]string, len(s.image))
			for _, f := range s.free {
				for i := f.from; i < f.to; i++ {
					free[i] = f.why
				}
			}
			bits, stride := []byte{0x01, 0x80, 0x20}, 1
			if len(s.image) > 1500 {
				bits = bits[:1]
			}
			if len(s.image) > 4000 {
				stride = 5
			}
			var missed missing
			for i := 0; i < len(s.image); i += stride {
				for _, bit := range bits {
					s.image[i] ^= bit
					if free[i] == "" && len(Verify(s.image)) == 0 {
						missed = missed.add(i)
					}
					s.image[i] ^= bit
				}
			}
			if len(missed) > 0 {
				t.Errorf("of %d octets, changes are not found at %v", len(s.image), missed)
			}
		})
	}
}

// missing collects octets as ranges.
type missing []span

func (m missing) add(i int) missing {
	if n := len(m); n > 0 && m[n-1].to >= i {
		m[n-1].to = i + 1
		return m
	}
	return append(m, span{i, i + 1, ""})
}

func (m missing) String() string {
	var all []string
	for _, s := range m {
		all = append(all, fmt.Sprintf("%#x..%#x", s.from, s.to))
	}
	return strings.Join(all, " ")
}
