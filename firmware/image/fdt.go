package image

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/u-root/u-root/pkg/dt"
)

const (
	fdtHeader  = 40
	fdtVersion = 17
	fdtCompat  = 16
	fdtDepth   = 32      // levels of nodes: a device tree has some ten
	fdtEntries = 1 << 16 // nodes and properties: a large one has some thousands

	fdtBegin = 1
	fdtEnd   = 2
	fdtProp  = 3
	fdtNop   = 4
	fdtLast  = 9
)

// A node is one of a flattened device tree, with the places of its properties.
// The reader of u-root's package dt does not tell those. It also allocates what
// an image claims, ignores padding and takes names for Latin-1, so only its
// writer is used.
type node struct {
	name  string
	props []prop
	nodes []*node
	begin int // of the node in the tree's octets
}

type prop struct {
	name     string
	from, to int // of the value in the tree's octets
}

func (n *node) child(name string) *node {
	for _, c := range n.nodes {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (n *node) prop(name string) (prop, bool) {
	for _, p := range n.props {
		if p.name == name {
			return p, true
		}
	}
	return prop{}, false
}

// An fdt is a flattened device tree that was read.
type fdt struct {
	b        []byte // all of it
	reserved []dt.ReserveEntry
	root     *node
}

// text returns a string property, or "".
func (t fdt) text(n *node, name string) string {
	p, ok := n.prop(name)
	if !ok {
		return ""
	}
	return text(t.b[p.from:p.to])
}

// number returns a property of one cell.
func (t fdt) number(n *node, name string) (uint32, bool) {
	p, ok := n.prop(name)
	if !ok || p.to-p.from != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(t.b[p.from:]), true
}

func isFDT(b []byte) bool {
	return len(b) >= fdtHeader && binary.BigEndian.Uint32(b) == dt.Magic
}

// fdt reads the flattened device tree at the beginning of the layer. ok is false
// if it cannot be used; the layer has the faults.
func (l *Layer) fdt() (t fdt, ok bool) {
	b := l.place.b
	if !isFDT(b) {
		l.fault(0, min(4, len(b)), "no flattened device tree")
		return fdt{}, false
	}
	word := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[4*i:])) }
	total, tree, names, reserve := word(1), word(2), word(3), word(4)
	sizeNames, sizeTree := word(8), word(9)
	if total > int64(len(b)) || total < fdtHeader {
		l.fault(4, 8, "it says %d octets, there are %d", total, len(b))
		return fdt{}, false
	}
	if word(5) != fdtVersion || word(6) != fdtCompat {
		l.fault(20, 28, "version %d, compatible with %d, instead of %d and %d", word(5), word(6), fdtVersion, fdtCompat)
		return fdt{}, false
	}
	if reserve < fdtHeader || reserve%8 != 0 || tree < reserve+16 || (tree-reserve)%16 != 0 || names < tree+sizeTree || names+sizeNames > total {
		l.fault(8, fdtHeader, "its blocks are not one after the other within %d octets", total)
		return fdt{}, false
	}
	l.Size = total
	l.filled(fdtHeader, int(reserve), 0, "padding")
	if end := b[tree-16 : tree]; !bytes.Equal(end, make([]byte, 16)) {
		l.fault(int(tree)-16, int(tree), "the list of reserved memory does not end")
	}
	w := fdtWalk{l: l, b: b, at: int(tree), end: int(tree + sizeTree), names: b[names : names+sizeNames]}
	t = fdt{b: b[:total], root: w.tree()}
	for at := reserve; at+16 < tree; at += 16 {
		e := dt.ReserveEntry{Address: binary.BigEndian.Uint64(b[at:]), Size: binary.BigEndian.Uint64(b[at+8:])}
		t.reserved = append(t.reserved, e)
	}
	return t, t.root != nil
}

// An fdtWalk reads the block of nodes and properties.
type fdtWalk struct {
	l       *Layer
	b       []byte
	at, end int
	names   []byte // the block of the names of properties
	entries int
}

func (w *fdtWalk) tree() *node {
	var root *node
	var open []*node // from the root to the node at hand
	for {
		begin := w.at
		token, ok := w.word()
		if w.entries++; !ok || w.entries > fdtEntries {
			return w.bad(begin, "the tree does not end")
		}
		switch {
		case token == fdtBegin && len(open) < fdtDepth && (root == nil || len(open) > 0):
			n := &node{begin: begin}
			if n.name, ok = w.nodeName(); !ok {
				return w.bad(begin, "a node has no proper name")
			}
			if root == nil {
				root = n
			} else {
				parent := open[len(open)-1]
				parent.nodes = append(parent.nodes, n)
			}
			open = append(open, n)
		case token == fdtProp && len(open) > 0:
			p, ok := w.prop()
			if !ok {
				return w.bad(begin, "a property is broken")
			}
			n := open[len(open)-1]
			n.props = append(n.props, p)
		case token == fdtEnd && len(open) > 0:
			open = open[:len(open)-1]
		case token == fdtNop:
		case token == fdtLast && len(open) == 0 && root != nil:
			if w.at != w.end {
				return w.bad(w.at, "the tree ends before its block")
			}
			return root
		default:
			return w.bad(begin, "token %d is out of place", token)
		}
	}
}

func (w *fdtWalk) bad(at int, format string, args ...any) *node {
	w.l.fault(at, min(at+4, len(w.b)), format, args...)
	return nil
}

func (w *fdtWalk) word() (uint32, bool) {
	if w.at+4 > w.end {
		return 0, false
	}
	w.at += 4
	return binary.BigEndian.Uint32(w.b[w.at-4:]), true
}

func (w *fdtWalk) nodeName() (string, bool) {
	n := bytes.IndexByte(w.b[w.at:w.end], 0)
	if n < 0 || n > 255 {
		return "", false
	}
	name := string(w.b[w.at : w.at+n])
	return name, proper(name) && w.skip(n+1)
}

func (w *fdtWalk) prop() (prop, bool) {
	size, ok1 := w.word()
	name, ok2 := w.word()
	if !ok1 || !ok2 || int64(size) > int64(w.end-w.at) || int64(name) >= int64(len(w.names)) {
		return prop{}, false
	}
	n := bytes.IndexByte(w.names[name:], 0)
	if n < 1 || n > 255 {
		return prop{}, false
	}
	p := prop{string(w.names[name : int(name)+n]), w.at, w.at + int(size)}
	return p, proper(p.name) && w.skip(int(size))
}

// skip goes beyond n octets and the padding after them.
func (w *fdtWalk) skip(n int) bool {
	pad := (4 - n%4) % 4
	if n+pad > w.end-w.at {
		return false
	}
	w.l.filled(w.at+n, w.at+n+pad, 0, "padding")
	w.at += n + pad
	return true
}

// proper reports whether a name has the characters of a device tree's names.
func proper(name string) bool {
	const marks = ",._+*#?-@/"
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(marks, r)
	}) < 0
}

func (d *dissector) deviceTree(l *Layer) {
	t, ok := l.fdt()
	if !ok {
		return
	}
	l.fact("model", "%q", t.text(t.root, "model"))
	if p, ok := t.root.prop("compatible"); ok {
		list := strings.TrimRight(string(t.b[p.from:p.to]), "\x00")
		l.fact("compatible", "%q", strings.ReplaceAll(list, "\x00", " "))
	}
}

// editable copies a tree into the form of the package that writes it.
func (t fdt) editable(n *node) *dt.Node {
	e := &dt.Node{Name: n.name}
	for _, p := range n.props {
		e.Properties = append(e.Properties, dt.Property{Name: p.name, Value: t.b[p.from:p.to]})
	}
	for _, c := range n.nodes {
		e.Children = append(e.Children, t.editable(c))
	}
	return e
}

// appendFDT appends a flattened device tree.
func appendFDT(b []byte, reserved []dt.ReserveEntry, root *dt.Node) ([]byte, error) {
	out := bytes.NewBuffer(b)
	tree := dt.FDT{
		Header:         dt.Header{Magic: dt.Magic, Version: fdtVersion, LastCompVersion: fdtCompat},
		ReserveEntries: reserved,
		RootNode:       root,
	}
	_, err := tree.Write(out)
	return out.Bytes(), err
}
