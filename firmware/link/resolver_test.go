package link

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestWriteResolver(t *testing.T) {
	for _, tc := range []struct {
		name   string
		dns    []netip.Addr
		search []string
		want   string
	}{
		{"nothing known", nil, nil, ""},
		{"servers keep their order", addrs("192.0.2.9", "192.0.2.1"), nil, "nameserver 192.0.2.9\nnameserver 192.0.2.1\n"},
		{"the domain is searched", addrs("192.0.2.1"), []string{"isp.example"}, "search isp.example\nnameserver 192.0.2.1\n"},
		{"several are searched", addrs("192.0.2.1"), []string{"a.example", "", "b c", "d.example"}, "search a.example d.example\nnameserver 192.0.2.1\n"},
		{"a domain adds no line", addrs("192.0.2.1"), []string{"a\nnameserver 203.0.113.6"}, "nameserver 192.0.2.1\n"},
		{"a domain is one word", addrs("192.0.2.1"), []string{"a b"}, "nameserver 192.0.2.1\n"},
		{"a domain is ASCII", addrs("192.0.2.1"), []string{"a\u0085b"}, "nameserver 192.0.2.1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if err := WriteResolver(path, tc.dns, tc.search); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("WriteResolver(%v, %q) wrote %q; want %q", tc.dns, tc.search, got, tc.want)
			}
		})
	}
}

func TestWriteResolverIsReadableByAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := WriteResolver(path, addrs("192.0.2.1"), nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o644 {
		t.Errorf("mode %v; want -rw-r--r--", got)
	}
}

func TestWriteResolverUnchangedIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(dns string) os.FileInfo {
		t.Helper()
		if err := WriteResolver(path, addrs(dns), []string{"lan"}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := write("192.0.2.1")
	if second := write("192.0.2.1"); !os.SameFile(first, second) {
		t.Error("a file that said the same was replaced")
	}
	if third := write("192.0.2.2"); os.SameFile(first, third) {
		t.Error("a file that said something else was not replaced")
	}
}

// A reader that opens the file at any moment reads one version or the other.
func TestWriteResolverIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	short, long := addrs("192.0.2.1"), addrs("192.0.2.2", "192.0.2.3", "192.0.2.4")
	if err := WriteResolver(path, short, nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			dns := short
			if i%2 == 0 {
				dns = long
			}
			if err := WriteResolver(path, dns, nil); err != nil {
				t.Error(err)
			}
		}
	}()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(got), "nameserver 192.0.2."); n != 1 && n != 3 || !strings.HasSuffix(string(got), "\n") {
			t.Fatalf("read %q; want one version or the other", got)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestWriteResolverFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "no", "resolv.conf")
	if err := WriteResolver(path, addrs("192.0.2.1"), nil); err == nil {
		t.Error("WriteResolver in a directory that is not there = nil; want an error")
	}
	path = filepath.Join(dir, "resolv.conf")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteResolver(path, addrs("192.0.2.1"), nil); err == nil {
		t.Error("WriteResolver over a directory = nil; want an error")
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("left behind: %v; want no temporary file", left)
	}
}
