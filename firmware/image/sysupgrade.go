package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Sysupgrade returns what sysupgrade takes for NOR flash: an image, padded to
// whole erase blocks as they read when erased, its metadata, and a signature
// unless key is nil.
func Sysupgrade(image []byte, eraseBlock int, m Metadata, key *SecretKey) ([]byte, error) {
	b, err := AppendMetadata(Pad(bytes.Clone(image), eraseBlock, 0xff), m)
	if err != nil || key == nil {
		return b, err
	}
	return AppendSignature(b, *key), nil
}

// A SysupgradeTar is what sysupgrade takes for NAND flash: it puts the kernel,
// and the root if there is one, each in its volume.
type SysupgradeTar struct {
	Board  string // OpenWrt's name of the board; a comma becomes an underscore
	Kernel []byte
	Root   []byte
	Time   time.Time // of the files; to the second
}

// Append appends the archive, without metadata.
func (s SysupgradeTar) Append(b []byte) ([]byte, error) {
	board := strings.ReplaceAll(s.Board, ",", "_")
	dir := "sysupgrade-" + board + "/"
	out := bytes.NewBuffer(b)
	w := tar.NewWriter(out)
	put := func(name string, kind byte, mode int64, content []byte) error {
		h := &tar.Header{Typeflag: kind, Name: dir + name, Mode: mode, Size: int64(len(content)), ModTime: s.Time, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	if err := put("", tar.TypeDir, 0o755, nil); err != nil {
		return nil, err
	}
	files := []struct {
		name    string
		content []byte
	}{{"CONTROL", []byte("BOARD=" + board + "\n")}, {"kernel", s.Kernel}, {"root", s.Root}}
	for _, f := range files {
		if f.content == nil {
			continue
		}
		if err := put(f.name, tar.TypeReg, 0o644, f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

const tarBlock = 512

func isTar(b []byte) bool {
	return len(b) >= tarBlock && string(b[257:262]) == "ustar" && bytes.HasPrefix(b, []byte("sysupgrade-"))
}

// tar reads the archive: headers with a checksum, contents without one.
func (d *dissector) tar(l *Layer) {
	b := l.place.b
	for at := 0; ; {
		if at+2*tarBlock > len(b) {
			l.fault(at, len(b), "the archive does not end")
			return
		}
		if h := b[at : at+tarBlock]; h[0] == 0 {
			l.Size = int64(at + 2*tarBlock)
			l.filled(at, int(l.Size), 0, "the end of the archive")
			return
		}
		name, size, err := tarEntry(b[at : at+tarBlock])
		if err == nil && size > int64(len(b)-at-2*tarBlock) {
			err = fmt.Errorf("it says %d octets, there are %d", size, len(b)-at-2*tarBlock)
		}
		if err != nil {
			l.fault(at, at+tarBlock, "an entry: %v", err)
			return
		}
		from := at + tarBlock
		end := from + int(size)
		at = (end + tarBlock - 1) &^ (tarBlock - 1)
		l.filled(end, min(at, len(b)), 0, "padding")
		if size > 0 {
			in := d.in(l, name[strings.LastIndexByte(name, '/')+1:], from, end)
			if in.Name == "CONTROL" {
				in.fact("text", "%q", b[from:min(end, from+80)])
			}
		}
	}
}

// tarEntry reads a header and checks it: the sum of its octets, with spaces in
// place of the sum.
func tarEntry(h []byte) (name string, size int64, err error) {
	says, err := strconv.ParseInt(strings.Trim(text(h[148:156]), " "), 8, 32)
	if err != nil {
		return "", 0, fmt.Errorf("the checksum is no number")
	}
	is := int64(8 * ' ')
	for i, c := range h {
		if i < 148 || i >= 156 {
			is += int64(c)
		}
	}
	if says != is {
		return "", 0, fmt.Errorf("checksum says %d, is %d", says, is)
	}
	size, err = strconv.ParseInt(strings.Trim(text(h[124:136]), " "), 8, 64)
	if err != nil || size < 0 {
		return "", 0, fmt.Errorf("the size is no number")
	}
	return text(h[:100]), size, nil
}
