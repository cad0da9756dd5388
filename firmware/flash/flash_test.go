package flash

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPlaceIsForPeople(t *testing.T) {
	for want, p := range map[string]Place{
		"/etc/leases.ring":            {Path: "/etc/leases.ring"},
		"mtd:leases":                  {Path: "mtd:leases"},
		"mtd:firmware, last 256 KiB":  {"mtd:firmware", 256 << 10},
		"/dev/mtd5, last 1000 octets": {"/dev/mtd5", 1000},
	} {
		if got := p.String(); got != want {
			t.Errorf("String() = %q; want %q", got, want)
		}
	}
}

func TestOpenMakesAFileOfAPath(t *testing.T) {
	p := Place{Path: filepath.Join(t.TempDir(), "ring")}
	d, err := Open(p, 2*FileBlockSize)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r, err := OpenReadOnly(p)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if d.Blocks() != 2 || r.Blocks() != 2 {
		t.Errorf("%d and %d blocks; want 2", d.Blocks(), r.Blocks())
	}
}

func TestOpenRefusesWhatIsNoFlash(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		place Place
		why   string
	}{
		{Place{Path: dir}, "neither a plain file nor an MTD"},
		{Place{Path: pipe}, "neither a plain file nor an MTD"},
		{Place{Path: "/dev/null"}, "neither a plain file nor an MTD"},
		{Place{Path: "/dev/mtdblock5"}, "use /dev/mtd5"},
		{Place{Path: "/dev//mtdblock5", AtEnd: 1}, "use /dev/mtd5"},
		{Place{Path: "/dev/mtdleases"}, "mtd:NAME"},
		{Place{Path: "/dev/mtd4095"}, "no MTD partition mtd4095"},
		{Place{filepath.Join(dir, "ring"), 1}, "only an MTD partition"},
		{Place{}, "no such file"},
	}
	for _, test := range tests {
		_, err := Open(test.place, FileBlockSize)
		_, err2 := OpenReadOnly(test.place)
		for _, err := range []error{err, err2} {
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%v: %v; want %q", test.place, err, test.why)
			}
		}
	}
}
