package ring

import (
	"bytes"
	"fmt"
	"slices"
)

// magics are what else is found on the flash of routers, by how it begins.
var magics = []struct{ what, begins string }{
	{"a SquashFS", "hsqs"}, {"a SquashFS", "sqsh"},
	{"JFFS2", "\x85\x19"}, {"JFFS2", "\x19\x85"}, {"JFFS2's end mark", "\xde\xad\xc0\xde"},
	{"UBI", "UBI#"}, {"UBIFS", "\x31\x18\x10\x06"},
	{"a uImage", "\x27\x05\x19\x56"}, {"a FIT image or device tree", "\xd0\x0d\xfe\xed"},
	{"a TRX image", "HDR0"}, {"an ELF program", "\x7fELF"},
	{"gzip", "\x1f\x8b"}, {"xz", "\xfd7zXZ"}, {"LZMA", "\x5d\x00\x00"},
}

// foreign says what is there from off on, and where it begins.
func (r *Ring) foreign(off int64) error {
	b := make([]byte, r.dev.BlockSize())
	for n := int(off / int64(len(b))); n < r.dev.Blocks(); n++ {
		off := int64(n) * int64(len(b))
		if err := r.read(b, off); err != nil {
			return err
		}
		if i := slices.IndexFunc(b, func(c byte) bool { return c != 0xff }); i >= 0 {
			return fmt.Errorf("erase block %d, offset %#x: %w and not blank: %s", n, off+int64(i), ErrForeign, identify(b[i:]))
		}
	}
	return ErrForeign
}

// identify says what b may be the beginning of.
func identify(b []byte) string {
	begins := b[:min(8, len(b))]
	for _, m := range magics {
		if bytes.HasPrefix(b, []byte(m.begins)) {
			return fmt.Sprintf("% x, perhaps %s", begins, m.what)
		}
	}
	return fmt.Sprintf("% x", begins)
}
