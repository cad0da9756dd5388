package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"leasehold/firmware/image"
)

// builtin takes a kernel that was built with the initramfs in it, and that is
// wrapped for the boot loader.
func (j *job) builtin() error {
	for _, flag := range []struct{ name, value string }{
		{"dtb", j.options.dtb}, {"modules", j.modules}, {"init", j.init}, {"tools", j.tools}, {"leasehold", j.leasehold},
	} {
		if flag.value != "" {
			return fmt.Errorf("-%s: the initramfs is in the kernel already; give it to mkfirmware initramfs, and build the kernel with that", flag.name)
		}
	}
	unwrap := unwrappers[j.board.Image.Wrap]
	if unwrap == nil {
		return fmt.Errorf("no way to read a kernel in %q", j.board.Image.Wrap)
	}
	data, rest, err := unwrap(j)
	if err != nil {
		return fmt.Errorf("-kernel: %w", err)
	}
	if err := j.checkRoot(data); err != nil {
		return err
	}
	// What follows is metadata of who built it.
	return j.finish(j.kernel[:len(j.kernel)-len(rest)])
}

// unwrappers take a kernel out of what the boot loader wants it in, as OpenWrt's
// initramfs-kernel is, and return what follows as well.
var unwrappers = map[string]func(*job) (kernel, rest []byte, err error){
	"uimage-lzma": (*job).unwrapUImage,
	"uimage-none": (*job).unwrapUImage,
	"tplink":      (*job).unwrapTPLink,
	"trx":         (*job).unwrapTRX,
}

var errInitramfsKernel = errors.New("want what OpenWrt calls the initramfs-kernel")

func (j *job) unwrapUImage() (kernel, rest []byte, err error) {
	u, kernel, rest, err := image.ParseUImage(j.kernel)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; %w", err, errInitramfsKernel)
	}
	wrap := j.board.Image.Wrap
	comp := map[string]uint8{"uimage-lzma": image.CompLZMA, "uimage-none": image.CompNone}[wrap]
	switch {
	case u.Arch != architectures[j.board.CPU.Arch].number:
		return nil, nil, errors.New("the kernel is for another CPU")
	case u.OS != image.OSLinux || u.Type != image.TypeKernel:
		return nil, nil, errors.New("the kernel is no Linux kernel")
	case u.Comp != comp:
		return nil, nil, fmt.Errorf("the kernel is not packed as the boot loader wants it: %s", wrap)
	}
	return kernel, rest, j.checkPlace(u.Load, u.Entry)
}

func (j *job) unwrapTPLink() (kernel, rest []byte, err error) {
	t, kernel, rest, err := image.ParseTPLink(j.kernel)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; %w", err, errInitramfsKernel)
	}
	return kernel, rest, j.checkPlace(t.Load, t.Entry)
}

// unwrapTRX joins the parts: what unpacks the kernel may be one of them.
func (j *job) unwrapTRX() (kernel, rest []byte, err error) {
	t, rest, err := image.ParseTRX(j.kernel)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; %w", err, errInitramfsKernel)
	}
	return bytes.Join(t.Parts, nil), rest, nil
}

// checkPlace sees to it that a kernel is loaded where the board has its memory.
func (j *job) checkPlace(load, entry uint32) error {
	if i := j.board.Image; load != i.Load || entry != i.Entry {
		return fmt.Errorf("the kernel is for %#x, entry %#x; the board has %#x and %#x", load, entry, i.Load, i.Entry)
	}
	return nil
}

// checkRoot looks for our initramfs in the kernel. It may be packed so that it
// cannot be found, so only one that is for another board is a mistake, or for
// another configuration than the one given.
func (j *job) checkRoot(data []byte) error {
	kernel := data
	if r, err := lzma.NewReader(bytes.NewReader(data)); err == nil {
		if b, err := io.ReadAll(r); err == nil {
			kernel = b
		}
	}
	board, conf := findRoot(kernel)
	switch {
	case board != nil && !bytes.Equal(board, j.text):
		return fmt.Errorf("-kernel: the initramfs in the kernel is for another board, or an older description; it begins with\n%.200s", board)
	case j.config != "":
		return j.checkConfig(conf)
	case board == nil:
		fmt.Fprintln(j.stdout, "warning: no initramfs of leasehold is seen in the kernel: was it built with CONFIG_EXTERNAL_CPIO?")
	}
	return nil
}

// checkConfig sees to it that the owner's files are those in the kernel, where
// they cannot be put any more.
func (j *job) checkConfig(built []byte) error {
	text, problems, err := image.ReadConfig(j.board, j.config)
	if wrong := mistakes(problems, j.stdout); wrong != nil || err != nil {
		return cmp.Or(wrong, err)
	}
	if !bytes.Equal(text, built) {
		return fmt.Errorf("-config: not what the initramfs in the kernel has; it goes in by mkfirmware initramfs -config %s, before the kernel is built", j.config)
	}
	return nil
}

// findRoot returns what the initramfs in a kernel, plain or packed with xz, has as
// the description of the board and as configuration; nil: nothing.
func findRoot(kernel []byte) (board, conf []byte) {
	for at := range occurrences(kernel, "070701") {
		if board = image.FileIn(kernel[at:], image.BoardFile); board != nil {
			return board, image.FileIn(kernel[at:], image.ConfigFile)
		}
	}
	for at := range occurrences(kernel, "\xfd7zXZ\x00") {
		root := unpackXZ(kernel[at:])
		if board = image.FileIn(root, image.BoardFile); board != nil {
			return board, image.FileIn(root, image.ConfigFile)
		}
	}
	return nil, nil
}

// occurrences yields where a magic is, and after the first archive no more: its
// files begin with the same.
func occurrences(b []byte, magic string) func(func(int) bool) {
	return func(yield func(int) bool) {
		at := bytes.Index(b, []byte(magic))
		for range 8 {
			if at < 0 || !yield(at) {
				return
			}
			next := bytes.Index(b[at+1:], []byte(magic))
			if next < 0 {
				return
			}
			at += 1 + next
		}
	}
}

// unpackXZ unpacks what begins here, whatever follows it.
func unpackXZ(b []byte) []byte {
	const most = 64 << 20
	r, err := xz.ReaderConfig{SingleStream: true}.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(r, most)) // what follows is an error
	return out
}
