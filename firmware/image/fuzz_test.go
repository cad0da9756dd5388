package image

import (
	"bytes"
	"testing"
)

// seeds are the samples of a kind, or all, as they are and cut in half.
func seeds(f *testing.F, kind string) {
	for _, s := range samples(f) {
		if kind != "" && Inspect(s.image).Kind != kind {
			continue
		}
		f.Add(s.image)
		f.Add(s.image[:len(s.image)/2])
	}
}

// Whatever the octets are: no panic, no layer or fault outside of them, and not
// more unpacked than is allowed.
func FuzzInspect(f *testing.F) {
	seeds(f, "")
	f.Fuzz(func(t *testing.T, b []byte) {
		l := Inspect(b)
		for _, fault := range l.AllFaults() {
			if fault.From < 0 || fault.To < fault.From || fault.To > int64(len(b)) {
				t.Errorf("of %d octets: %v", len(b), fault)
			}
		}
		var unpacked int64
		var walk func(l *Layer)
		walk = func(l *Layer) {
			unpacked += max(l.Unpacked, 0)
			if l.Off < 0 || l.Size < 0 {
				t.Errorf("layer %s at %d, of %d octets", l.path, l.Off, l.Size)
			}
			for _, in := range l.Layers {
				walk(in)
			}
		}
		walk(l)
		if unpacked > maxUnpacked {
			t.Errorf("%d octets were unpacked", unpacked)
		}
		_ = l.String()
		_ = Weigh(l, Limits{Partition: 1 << 20, State: 1 << 16}).String()
	})
}

// An archive is read as a whole or not at all, and no size in it is believed.
func FuzzArchive(f *testing.F) {
	var b bytes.Buffer
	if err := small().Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(bytes.Replace(b.Bytes(), []byte("0000000F"), []byte("FFFFFFF0"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		shares, err := Shares(b)
		if err != nil {
			return
		}
		var size int64
		for _, s := range shares {
			size += s.Size
		}
		if size > int64(len(b)) {
			t.Errorf("%d octets are in an archive of %d", size, len(b))
		}
		_ = FileIn(b, BoardFile)
	})
}

func FuzzUImage(f *testing.F) {
	seeds(f, "uImage")
	f.Fuzz(func(t *testing.T, b []byte) {
		u, data, rest, err := ParseUImage(b)
		if err != nil {
			return
		}
		// Nothing but a name with octets behind its end is written differently.
		if got := append(u.Append(nil, data), rest...); !bytes.Equal(got, b) && bytes.Count(b[32:64], []byte{0}) == 32-len(u.Name) {
			t.Errorf("append(parse(%x)) = %x", b, got)
		}
	})
}

func FuzzParts(f *testing.F) {
	f.Add(Parts([]byte("kernel"), []byte("ramdisk"), []byte("fdt")))
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := ParseParts(b)
		if err != nil {
			return
		}
		if got := Parts(parts...); !bytes.Equal(got, b) {
			t.Errorf("Parts(ParseParts(%x)) = %x", b, got)
		}
	})
}

// A tree may be laid out in many ways; ours is the same the second time.
func FuzzFIT(f *testing.F) {
	seeds(f, "FIT")
	f.Fuzz(func(t *testing.T, b []byte) {
		fit, _, err := ParseFIT(b)
		if err != nil {
			return
		}
		once, err := fit.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ParseFIT(once)
		if err != nil {
			return // its images may have fewer hashes, or no data
		}
		if twice, _ := again.Append(nil); !bytes.Equal(once, twice) {
			t.Errorf("written twice, %x and %x", once, twice)
		}
		_, _ = SwapRamdisk(b, []byte("ramdisk"))
	})
}

func FuzzTRX(f *testing.F) {
	seeds(f, "TRX")
	f.Fuzz(func(t *testing.T, b []byte) { _, _, _ = ParseTRX(b) })
}

func FuzzTPLink(f *testing.F) {
	seeds(f, "TP-Link v1")
	f.Fuzz(func(t *testing.T, b []byte) { _, _, _, _ = ParseTPLink(b) })
}

func FuzzSafeLoader(f *testing.F) {
	seeds(f, "SafeLoader")
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSafeLoader(b)
		if err != nil {
			return
		}
		for _, p := range s.Parts {
			if len(p.Data) > len(b) {
				t.Errorf("%s has %d octets of %d", p.Name, len(p.Data), len(b))
			}
		}
	})
}

func FuzzUBI(f *testing.F) {
	seeds(f, "UBI")
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = ParseUBI(b) })
}

func FuzzMetadata(f *testing.F) {
	seeds(f, "sysupgrade")
	f.Fuzz(func(t *testing.T, b []byte) {
		m, bare, _, err := ParseMetadata(b)
		if err != nil {
			return
		}
		if _, err := AppendMetadata(bare, m); err != nil {
			t.Errorf("metadata that were read cannot be written: %v", err)
		}
	})
}

func FuzzKeyFiles(f *testing.F) {
	f.Add(sampleKeyFile(f, 0))
	f.Add(golden(f, "example.pub"))
	f.Add(sampleKey(f).Sign(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseSecretKey(b)
		if k, err := ParsePublicKey(b); err == nil {
			_ = k.Verify(nil, b)
		}
		if _, err := parseSignature(b); err == nil && len(b) < signatureSize {
			t.Errorf("%q is a signature", b)
		}
	})
}
