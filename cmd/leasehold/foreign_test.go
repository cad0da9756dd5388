package main

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
)

// emulators run the binary for a CPU on this one.
var emulators = map[string]string{
	"mips":   "qemu-mips",
	"mipsle": "qemu-mipsel",
	"armv5":  "qemu-arm",
	"armv7":  "qemu-arm",
	"arm64":  "qemu-aarch64",
	"amd64":  "qemu-x86_64",
}

// TestShippedBinaries runs what `make build` made: each is static, says its
// version, checks a configuration and reads a ring file that this machine
// wrote, whatever its byte order. What it has to complain of is its exit status
// too.
func TestShippedBinaries(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("config dhcp 'lan'\n\toption leasetime '1h'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := writeRing(t, dir)
	damaged := dir + "/damaged"
	change(t, damaged, content(t, path))
	place := spoil(t, damaged, "host-107")[0]
	for cpu, emulator := range emulators {
		t.Run(cpu, func(t *testing.T) {
			binary := "../../build/leasehold-" + cpu
			if _, err := os.Stat(binary); err != nil {
				t.Fatalf("%v; run make build first", err)
			}
			isStatic(t, binary)
			for _, c := range []struct{ args, want string }{
				{"version", "leasehold "},
				{"check " + conf, "option leasetime '1h'"},
				{"leases " + path, "192.168.1.100  02:00:00:00:00:64  host-100  12 h"},
				{"leases " + path, "100 leases;"},
				{"leases -f json " + path, `"client_id": "01:02:00:00:00:00:64",`},
				{"ring info " + path, "100 leases; 100 records in"},
				{"ring verify " + path, path + ": good; 100 leases in 4 segments"},
			} {
				if out, status := emulate(t, emulator, binary, c.args); status != 0 || !strings.Contains(out, c.want) {
					t.Errorf("leasehold %s: status %d; want %q in:\n%s", c.args, status, c.want, out)
				}
			}
			for _, c := range []struct{ args, want string }{
				{"leases " + damaged, "leasehold: " + damaged + ": 1 record cannot be read"},
				{"ring verify " + damaged, place + "damaged record in the segment at 0x0, which is in use"},
				{"ring verify " + damaged, "leasehold: " + damaged + ": 1 record damaged; 99 leases can be read"},
				{"ring format " + conf, "shorter than an erase block of 65536; -force overwrites it"},
				{"ring format", "leasehold: ring format: which ring?"},
			} {
				if out, status := emulate(t, emulator, binary, c.args); status != 1 || !strings.Contains(out, c.want) {
					t.Errorf("leasehold %s: status %d; want 1 and %q in:\n%s", c.args, status, c.want, out)
				}
			}
		})
	}
}

// emulate runs a binary and returns what it printed and its exit status.
func emulate(t *testing.T, emulator, binary, args string) (string, int) {
	t.Helper()
	cmd := exec.Command(emulator, append([]string{binary}, strings.Fields(args)...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func isStatic(t *testing.T, binary string) {
	t.Helper()
	out, err := exec.Command("file", binary).Output()
	if err != nil || !strings.Contains(string(out), "statically linked") || !strings.Contains(string(out), ", stripped") {
		t.Errorf("file says %s (%v)", out, err)
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libs, _ := f.ImportedLibraries(); len(libs) > 0 {
		t.Errorf("%s needs %v", binary, libs)
	}
}

// writeRing makes a ring file with a hundred leases.
func writeRing(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ring")
	dev, err := flash.OpenFile(path, ring.Size(200, 128, flash.FileBlockSize))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	r, err := ring.Open(dev)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		hw := dhcp.HWAddr{2, 0, 0, 0, 0, byte(100 + i)}
		b := lease.Binding{Addr: netip.AddrFrom4([4]byte{192, 168, 1, byte(100 + i)}), ID: dhcp.HardwareID(hw), HW: hw,
			Name: fmt.Sprintf("host-%d", 100+i), Term: 12 * 3600 * 1e9}
		v, err := b.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Put(ring.Entry{Key: "L" + string(b.Addr.AsSlice()), Value: v}); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestBuildIsReproducible builds from two copies of the sources, in directories
// and environments that differ: the same bytes come out.
func TestBuildIsReproducible(t *testing.T) {
	binaries := []string{"build/leasehold-amd64", "build/leasehold-arm64", "build/leasehold-mips"}
	here := builtIn(t, "here", binaries)
	there := builtIn(t, "some/where else", binaries, "GOFLAGS=-tags=elsewhere", "GOAMD64=v3")
	for _, name := range binaries {
		a, b := content(t, filepath.Join(here, name)), content(t, filepath.Join(there, name))
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %x here, %x there", name, sha256.Sum256(a), sha256.Sum256(b))
		}
	}
}

// builtIn makes binaries in a copy of the sources.
func builtIn(t *testing.T, where string, binaries []string, env ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), where)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Makefile", "go.mod", "go.sum", "boards", "cmd", "dhcp", "firmware"} {
		if out, err := exec.Command("cp", "-r", "../../"+part, dir).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
	}
	cmd := exec.Command("make", append([]string{"-s"}, binaries...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "MAKEFLAGS="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	return dir
}
