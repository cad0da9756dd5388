package image

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/dt"
)

// A FIT is U-Boot's flattened image tree: images, and configurations that say
// which of them boot together.
//
//	/
//	├── images
//	│   ├── kernel-1    data, type, arch, os, compression, load, entry
//	│   │   ├── hash-1  algo, value
//	│   │   └── hash-2
//	│   ├── initrd-1
//	│   └── fdt-1
//	└── configurations  default
//	    └── config-1    kernel, ramdisk, fdt
type FIT struct {
	Description string
	Time        uint32 // seconds since 1970
	Hashes      []string
	Images      []FITImage
	Default     string // the name of a configuration
	Configs     []FITConfig
}

// A FITImage is one image of a FIT. A U-Boot whose environment does not set
// initrd_high and fdt_high uses a ramdisk and a device tree where they lie, and
// overwrites what is behind the tree, unless they have load addresses.
type FITImage struct {
	Name        string // "kernel-1"
	Description string
	Type        string // "kernel", "ramdisk", "flat_dt"
	Arch        string // "arm", "arm64", "mips"
	OS          string // "linux"; empty for a device tree
	Compression string // "none" for a ramdisk: the kernel unpacks it
	Load, Entry uint32 // addresses; zero: not written
	Data        []byte
}

// A FITConfig names images that boot together. Ramdisk may be empty.
type FITConfig struct {
	Name, Description    string
	Kernel, Ramdisk, FDT string
}

// Append appends the FIT. Hashes are "crc32", "md5", "sha1", "sha256" or
// "sha512"; OpenWrt, and with it old U-Boots, have crc32 and sha1.
func (f FIT) Append(b []byte) ([]byte, error) {
	images := &dt.Node{Name: "images"}
	for _, i := range f.Images {
		n, err := i.node(f.Hashes)
		if err != nil {
			return nil, err
		}
		images.Children = append(images.Children, n)
	}
	configs := &dt.Node{Name: "configurations", Properties: []dt.Property{dt.PropertyString("default", f.Default)}}
	for _, c := range f.Configs {
		if c.Name == "" || !proper(c.Name) {
			return nil, fmt.Errorf("configuration %q: not a name for a node", c.Name)
		}
		configs.Children = append(configs.Children, c.node())
	}
	root := &dt.Node{
		Properties: []dt.Property{
			dt.PropertyU32("timestamp", f.Time),
			dt.PropertyString("description", f.Description),
			dt.PropertyU32("#address-cells", 1),
		},
		Children: []*dt.Node{images, configs},
	}
	return appendFDT(b, nil, root)
}

func (i FITImage) node(hashes []string) (*dt.Node, error) {
	if i.Name == "" || !proper(i.Name) {
		return nil, fmt.Errorf("image %q: not a name for a node", i.Name)
	}
	n := &dt.Node{Name: i.Name}
	text := func(name, value string) {
		if value != "" {
			n.Properties = append(n.Properties, dt.PropertyString(name, value))
		}
	}
	text("description", i.Description)
	n.Properties = append(n.Properties, dt.Property{Name: "data", Value: i.Data})
	text("type", i.Type)
	text("arch", i.Arch)
	text("os", i.OS)
	text("compression", i.Compression)
	if i.Load != 0 {
		n.Properties = append(n.Properties, dt.PropertyU32("load", i.Load))
	}
	if i.Entry != 0 {
		n.Properties = append(n.Properties, dt.PropertyU32("entry", i.Entry))
	}
	for k, algo := range hashes {
		value, ok := digest(algo, i.Data)
		if !ok {
			return nil, fmt.Errorf("hash of %s: %q is not known", i.Name, algo)
		}
		n.Children = append(n.Children, &dt.Node{
			Name:       fmt.Sprint("hash-", k+1),
			Properties: []dt.Property{dt.PropertyString("algo", algo), {Name: "value", Value: value}},
		})
	}
	return n, nil
}

func (c FITConfig) node() *dt.Node {
	n := &dt.Node{Name: c.Name}
	for _, p := range [][2]string{{"description", c.Description}, {"kernel", c.Kernel}, {"fdt", c.FDT}, {"ramdisk", c.Ramdisk}} {
		if p[1] != "" {
			n.Properties = append(n.Properties, dt.PropertyString(p[0], p[1]))
		}
	}
	return n
}

func digest(algo string, b []byte) ([]byte, bool) {
	switch algo {
	case "crc32":
		return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)), true
	case "md5":
		s := md5.Sum(b)
		return s[:], true
	case "sha1":
		s := sha1.Sum(b)
		return s[:], true
	case "sha256":
		s := sha256.Sum256(b)
		return s[:], true
	case "sha512":
		s := sha512.Sum512(b)
		return s[:], true
	}
	return nil, false
}

// ParseFIT reads a FIT, also one whose data are outside of its tree, and checks
// its hashes. It returns what follows as well. The error is a Fault. Hashes are
// those of the first image.
func ParseFIT(b []byte) (f FIT, rest []byte, err error) {
	l := alone("FIT", b)
	t, ok := l.fdt()
	if !ok {
		return FIT{}, nil, l.damage()
	}
	f, _ = l.fitTree(t)
	if err := l.damage(); err != nil {
		return FIT{}, nil, err
	}
	return f, b[l.Size:], nil
}

// SwapRamdisk returns a FIT with another ramdisk in place of the only one that
// it has, and its hashes computed anew. All else in the tree stays. What follows
// the FIT is left out. It refuses a FIT that is damaged, or signed, or that
// keeps its data outside of its tree.
func SwapRamdisk(fit, ramdisk []byte) ([]byte, error) {
	l := alone("FIT", fit)
	t, ok := l.fdt()
	if !ok {
		return nil, l.damage()
	}
	f, _ := l.fitTree(t)
	if err := l.damage(); err != nil {
		return nil, err
	}
	var name string
	for _, i := range f.Images {
		if i.Type != "ramdisk" {
			continue
		}
		if name != "" {
			return nil, fmt.Errorf("swap the ramdisk: there are two, %s and %s", name, i.Name)
		}
		name = i.Name
	}
	if name == "" {
		return nil, errors.New("swap the ramdisk: there is none")
	}
	root := t.editable(t.root)
	if _, signed := root.Find(func(n *dt.Node) bool { return strings.HasPrefix(n.Name, "signature") }); signed {
		return nil, errors.New("swap the ramdisk: the FIT is signed")
	}
	images, _ := root.LookupChildByName("images")
	n, _ := images.LookupChildByName(name)
	data, ok := n.LookProperty("data")
	if !ok {
		return nil, fmt.Errorf("swap %s: its data are outside of the tree", name)
	}
	data.Value = ramdisk
	for _, h := range n.Children {
		algo, ok := h.LookProperty("algo")
		if !ok {
			continue
		}
		value, _ := digest(text(algo.Value), ramdisk)
		h.UpdateProperty("value", value)
	}
	return appendFDT(nil, t.reserved, root)
}

// isFIT tells a FIT from other device trees: it alone has a node "images".
func isFIT(b []byte) bool {
	if !isFDT(b) {
		return false
	}
	t, ok := alone("", b).fdt()
	return ok && t.root.child("images") != nil
}

// fitTree reads the tree of a FIT, with the places of the images' data.
func (l *Layer) fitTree(t fdt) (f FIT, spans [][2]int) {
	f.Description = t.text(t.root, "description")
	f.Time, _ = t.number(t.root, "timestamp")
	l.fact("description", "%q", f.Description)
	l.fact("time", "%d", f.Time)
	images := t.root.child("images")
	if images == nil {
		l.fault(t.root.begin, t.root.begin+4, "there is no node images")
		return f, nil
	}
	for _, n := range images.nodes {
		i, hashes, span := l.fitImage(t, n)
		if len(f.Images) == 0 {
			f.Hashes = hashes
		}
		f.Images = append(f.Images, i)
		spans = append(spans, span)
	}
	l.fitConfigs(t, &f)
	return f, spans
}

func (l *Layer) fitImage(t fdt, n *node) (i FITImage, hashes []string, span [2]int) {
	i = FITImage{
		Name: n.name, Description: t.text(n, "description"), Type: t.text(n, "type"), Arch: t.text(n, "arch"),
		OS: t.text(n, "os"), Compression: t.text(n, "compression"),
	}
	i.Load, _ = t.number(n, "load")
	i.Entry, _ = t.number(n, "entry")
	if !slices.Contains([]string{"kernel", "ramdisk", "flat_dt", "filesystem", "firmware", "script", "loadable", "standalone"}, i.Type) {
		l.fault(n.begin, n.begin+4, "%s has the type %q, which is none", n.name, i.Type)
	}
	if !slices.Contains([]string{"", "none", "gzip", "bzip2", "lzma", "lzo", "lz4", "zstd"}, i.Compression) {
		l.fault(n.begin, n.begin+4, "%s has the compression %q, which is none", n.name, i.Compression)
	}
	span, ok := l.fitData(t, n)
	if !ok {
		return i, nil, span
	}
	i.Data = l.place.b[span[0]:span[1]:span[1]]
	for _, h := range n.nodes {
		if strings.HasPrefix(h.name, "hash") {
			hashes = append(hashes, l.fitHash(t, n, h, i.Data, span))
		} else if !strings.HasPrefix(h.name, "signature") {
			l.fault(h.begin, h.begin+4, "%s of %s is neither a hash nor a signature", h.name, n.name)
		}
	}
	return i, hashes, span
}

// fitData finds the data of an image: in the tree, at a position in the file, or
// at an offset from the end of the tree.
func (l *Layer) fitData(t fdt, n *node) (span [2]int, ok bool) {
	if p, ok := n.prop("data"); ok {
		return [2]int{p.from, p.to}, true
	}
	size, ok := t.number(n, "data-size")
	if !ok {
		l.fault(n.begin, n.begin+4, "%s has no data", n.name)
		return span, false
	}
	at, ok := t.number(n, "data-position")
	from := int64(at)
	if !ok {
		at, ok = t.number(n, "data-offset")
		from = int64(at) + (int64(len(t.b))+3)&^3
	}
	if end := from + int64(size); !ok || end > int64(len(l.place.b)) || end > math.MaxInt32 {
		l.fault(n.begin, n.begin+4, "the data of %s are outside of the file", n.name)
		return span, false
	}
	span = [2]int{int(from), int(from) + int(size)}
	l.Size = max(l.Size, int64(span[1]))
	return span, true
}

func (l *Layer) fitHash(t fdt, image, h *node, data []byte, span [2]int) string {
	algo := t.text(h, "algo")
	is, ok := digest(algo, data)
	if !ok {
		l.fault(h.begin, h.begin+4, "%s of %s is made with %q, which is not known", h.name, image.name, algo)
		return algo
	}
	p, ok := h.prop("value")
	if !ok {
		l.fault(h.begin, h.begin+4, "%s of %s has no value", h.name, image.name)
		return algo
	}
	if says := t.b[p.from:p.to]; !slices.Equal(says, is) {
		l.fault(span[0], span[1], "%s of %s says %x, is %x", algo, image.name, says, is)
	}
	return algo
}

func (l *Layer) fitConfigs(t fdt, f *FIT) {
	configs := t.root.child("configurations")
	if configs == nil {
		l.fault(t.root.begin, t.root.begin+4, "there is no node configurations")
		return
	}
	f.Default = t.text(configs, "default")
	l.fact("default", "%s", f.Default)
	if configs.child(f.Default) == nil {
		l.fault(configs.begin, configs.begin+4, "the default configuration %q does not exist", f.Default)
	}
	for _, n := range configs.nodes {
		c := FITConfig{n.name, t.text(n, "description"), t.text(n, "kernel"), t.text(n, "ramdisk"), t.text(n, "fdt")}
		f.Configs = append(f.Configs, c)
		for _, name := range []string{c.Kernel, c.Ramdisk, c.FDT} {
			if name != "" && !slices.ContainsFunc(f.Images, func(i FITImage) bool { return i.Name == name }) {
				l.fault(n.begin, n.begin+4, "%s names %q, which does not exist", n.name, name)
			}
		}
	}
}

func (d *dissector) fit(l *Layer) {
	t, ok := l.fdt()
	if !ok {
		return
	}
	f, spans := l.fitTree(t)
	for k, i := range f.Images {
		if len(i.Data) == 0 {
			continue
		}
		in := d.in(l, i.Name, spans[k][0], spans[k][1])
		in.fact("type", "%s", i.Type)
		in.fact("arch", "%s", i.Arch)
		in.fact("compression", "%s", i.Compression)
		if i.Load != 0 {
			in.fact("load", "%#x", i.Load)
		}
		want := map[string]string{"gzip": "gzip", "lzma": "LZMA"}[i.Compression]
		if want != "" && in.Kind != want {
			in.fault(0, len(i.Data), "this is %s, the FIT says %s", in.Kind, want)
		}
	}
}
