package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// xzDict is the dictionary of what CompressXZ makes. The kernel allocates as
// much to unpack it: a router with 64 MB cannot spare the 64 MiB of xz -9.
const xzDict = 1 << 20

// Packed is what a compressor made. The octets depend on which compressor it
// was, and on its version: to get the same image again, have the same one.
type Packed struct {
	Data []byte
	By   string // "xz (XZ Utils) 5.4.1", or "Go" for the encoder that is built in
}

// CompressXZ packs an initramfs for the kernel: xz with a dictionary of 1 MiB
// and a CRC-32, which are all that it can read on a small router. It runs the
// xz of the host if there is one, since the encoder in Go leaves some 20 % more.
func CompressXZ(data []byte) (Packed, error) {
	path, err := exec.LookPath("xz")
	if err != nil {
		return goXZ(data)
	}
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return Packed{}, fmt.Errorf("%s --version: %w", path, err)
	}
	by, _, _ := strings.Cut(string(version), "\n")
	cmd := exec.Command(path, "--format=xz", "--check=crc32", "--threads=1", "--lzma2=preset=9e,dict=1MiB", "--stdout")
	cmd.Env = []string{} // XZ_OPT and XZ_DEFAULTS would change the octets
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		return Packed{}, fmt.Errorf("%s: %w", path, stderr(err))
	}
	return Packed{out, by}, nil
}

// stderr adds to the error of a program what it wrote.
func stderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

func goXZ(data []byte) (Packed, error) {
	var out bytes.Buffer
	w, err := xz.WriterConfig{DictCap: xzDict, CheckSum: xz.CRC32}.NewWriter(&out)
	if err != nil {
		return Packed{}, err
	}
	return finish(w, &out, data)
}

// LZMA says how a boot loader wants its kernels packed.
type LZMA struct {
	LC, LP, PB int
	Dict       int // octets
}

var (
	// OpenWrtLZMA is what OpenWrt packs kernels with.
	OpenWrtLZMA = LZMA{LC: 1, LP: 2, PB: 2, Dict: 8 << 20}
	// PlainLZMA has the parameters that the LZMA SDK begins with.
	PlainLZMA = LZMA{LC: 3, LP: 0, PB: 2, Dict: 8 << 20}
)

// Compress packs a kernel, with its size in the header and no marker at its end.
// It uses the encoder in Go: xz writes the marker and no size, and the marker,
// which is coded like any other symbol, cannot be cut off afterwards.
func (p LZMA) Compress(data []byte) (Packed, error) {
	var out bytes.Buffer
	w, err := lzma.WriterConfig{
		Properties:   &lzma.Properties{LC: p.LC, LP: p.LP, PB: p.PB},
		DictCap:      p.Dict,
		SizeInHeader: true,
		Size:         int64(len(data)),
	}.NewWriter(&out)
	if err != nil {
		return Packed{}, err
	}
	return finish(w, &out, data)
}

func finish(w io.WriteCloser, out *bytes.Buffer, data []byte) (Packed, error) {
	if _, err := w.Write(data); err != nil {
		return Packed{}, err
	}
	if err := w.Close(); err != nil {
		return Packed{}, err
	}
	return Packed{out.Bytes(), "Go"}, nil
}
