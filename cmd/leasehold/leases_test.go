package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"leasehold/dhcp"
	"leasehold/dhcp/client"
	"leasehold/dhcp/lease"
	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
)

// ringFile makes a ring with what put is given.
func ringFile(t *testing.T, entries ...ring.Entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "leasehold.ring")
	dev, err := flash.OpenFile(path, ring.Size(100, 100, flash.FileBlockSize))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() }) // a router has it open meanwhile
	r, err := ring.Open(dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Put(entries...); err != nil {
		t.Fatal(err)
	}
	return path
}

func binding(t *testing.T, b lease.Binding) ring.Entry {
	t.Helper()
	v, err := b.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return ring.Entry{Key: "L" + string(b.Addr.AsSlice()), Value: v}
}

// household is a ring with all that a listing has to cope with.
func household(t *testing.T) string {
	t.Helper()
	hw := dhcp.HWAddr{2, 0, 0, 0, 0, 1}
	wan, err := client.Last{Addr: netip.MustParseAddr("203.0.113.7"), Server: netip.MustParseAddr("203.0.113.1")}.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return ringFile(t,
		binding(t, lease.Binding{Addr: netip.MustParseAddr("192.168.1.101"), ID: "\xff\x01\x02", HW: dhcp.HWAddr{2, 0, 0, 0, 0, 2}, Term: config.Infinite}),
		binding(t, lease.Binding{Addr: netip.MustParseAddr("192.168.1.100"), ID: dhcp.HardwareID(hw), HW: hw, Name: "laptop", Term: 12 * time.Hour}),
		binding(t, lease.Binding{Addr: netip.MustParseAddr("192.168.1.9"), ID: "\x20\x01", Name: "sensor", Term: time.Hour}),
		ring.Entry{Key: "L\xc0\xa8\x01\x66", Value: []byte("?")},
		ring.Entry{Key: "wan", Value: wan},
	)
}

// leases prints a ring and returns what was printed.
func leases(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(append([]string{"leases"}, args...), &out, io.Discard)
	return out.String(), err
}

func TestLeases(t *testing.T) {
	out, _ := leases(t, household(t))
	want := []string{
		`^ADDRESS +HARDWARE ADDRESS +NAME +LEASE TIME +CLIENT$`,
		`^192\.168\.1\.9 +00:00:00:00:00:00 +sensor +1 h +2001$`,
		`^192\.168\.1\.100 +02:00:00:00:00:01 +laptop +12 h +02:00:00:00:00:01$`,
		`^192\.168\.1\.101 +02:00:00:00:00:02 +- +infinite +ff0102$`,
		`^not readable: record "L\\xc0\\xa8\\x01f": `,
		`^$`,
		`^WAN port last had 203\.0\.113\.7 \(from 203\.0\.113\.1\)\.$`,
		`^$`,
		`^3 leases; the ring holds \d+ of \d+ octets, segments erased \[`,
		`^A ring does not say which of them are over`,
		`^$`,
	}
	lines := strings.Split(out, "\n")
	if len(lines) != len(want) {
		t.Fatalf("leases printed\n%s\nwant %d lines", out, len(want))
	}
	for i, re := range want {
		if !regexp.MustCompile(re).MatchString(lines[i]) {
			t.Errorf("line %d is %q; want %s", i+1, lines[i], re)
		}
	}
}

func TestLeasesInAnyFormat(t *testing.T) {
	path := household(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for format := range formats {
		out, err := leases(t, "-f", format, path)
		if err == nil || !strings.HasSuffix(err.Error(), "1 record cannot be read") {
			t.Errorf("leases -f %s = %v; want an error for the record that cannot be read", format, err)
		}
		nine, hundred := strings.Index(out, "192.168.1.9"), strings.Index(out, "192.168.1.100")
		if nine < 0 || hundred < nine || !strings.HasSuffix(out, "\n") {
			t.Errorf("leases -f %s printed\n%s\nwant lines by address", format, out)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("leases changed the file")
	}
}

func TestLeasesInJSON(t *testing.T) {
	path := household(t)
	out, _ := leases(t, "-f", "json", path)
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	health, _ := got["ring"].(map[string]any)
	erases, _ := health["erases"].([]any)
	if health["path"] != path || health["records"] != 5.0 || health["bad_segments"] != 0.0 || len(erases) < 2 {
		t.Errorf("ring is %v", health)
	}
	delete(got, "ring")
	unreadable, _ := got["unreadable"].([]any)
	if len(unreadable) != 1 || !strings.HasPrefix(fmt.Sprint(unreadable...), `record "L\xc0\xa8\x01f": `) {
		t.Errorf("unreadable is %q", unreadable)
	}
	delete(got, "unreadable")
	want := map[string]any{
		"leases": []any{
			map[string]any{"address": "192.168.1.9", "hardware_address": nil, "client_id": "20:01", "name": "sensor", "term_seconds": 3600.0},
			map[string]any{"address": "192.168.1.100", "hardware_address": "02:00:00:00:00:01", "client_id": "01:02:00:00:00:00:01", "name": "laptop", "term_seconds": 43200.0},
			map[string]any{"address": "192.168.1.101", "hardware_address": "02:00:00:00:00:02", "client_id": "ff:01:02", "name": "", "term_seconds": nil},
		},
		"wan": map[string]any{"address": "203.0.113.7", "server": "203.0.113.1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("leases printed\n%v\nwant\n%v", got, want)
	}
}

// Who reads the JSON can loop over its lists without looking.
func TestLeasesInJSONOfNothing(t *testing.T) {
	gone, err := client.Last{Addr: netip.MustParseAddr("203.0.113.7")}.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		path string
		wan  string
	}{
		{"an empty ring", ringFile(t), `"wan": null`},
		{"an address that was given back", ringFile(t, ring.Entry{Key: "wan", Value: gone}), `"server": null`},
	} {
		out, err := leases(t, "-f", "json", tc.path)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		for _, want := range []string{`"leases": []`, `"unreadable": []`, tc.wan} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: leases printed\n%s\nwant %s", tc.name, out, want)
			}
		}
	}
}

func TestLeasesForDnsmasq(t *testing.T) {
	var out bytes.Buffer
	flags := flag.NewFlagSet("leasehold leases", flag.ContinueOnError)
	runLeases(time.Unix(1_700_000_000, 0), flags, []string{"-f", "dnsmasq", household(t)}, &out)
	const want = "1700003600 00- 192.168.1.9 sensor 20:01\n" +
		"1700043200 02:00:00:00:00:01 192.168.1.100 laptop *\n" +
		"0 02:00:00:00:00:02 192.168.1.101 * ff:01:02\n"
	if out.String() != want {
		t.Errorf("leases printed\n%swant\n%s", &out, want)
	}
}

func TestLeasesOfTheRingThatIsConfigured(t *testing.T) {
	_, got := leases(t)
	_, want := leases(t, config.Default().Ring.Path)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("leases = %v; want %v", got, want)
	}
}

func TestLeasesOfADamagedRing(t *testing.T) {
	path := writeRing(t, t.TempDir())
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte("host-107"), []byte("host-x07"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := leases(t, path)
	if err == nil || !strings.HasSuffix(err.Error(), "1 record cannot be read") {
		t.Errorf("leases = %v; want an error for the record", err)
	}
	if strings.Count(out, "host-") != 99 || strings.Contains(out, "host-x07") {
		t.Errorf("leases printed\n%s\nwant all others", out)
	}
}

// A listing that is cut short must not pass for a whole one.
func TestLeasesOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for format := range formats {
		if err := run([]string{"leases", "-f", format, ringFile(t)}, full, io.Discard); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("leases -f %s = %v; want ENOSPC", format, err)
		}
	}
}

func TestLeasesOfSomethingElse(t *testing.T) {
	path := write(t, "ring", strings.Repeat("not a ring ", 3*flash.FileBlockSize)[:3*flash.FileBlockSize])
	for format := range formats {
		out, err := leases(t, "-f", format, path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("leases -f %s = %v; want an error that names the file", format, err)
		}
		if out != "" {
			t.Errorf("leases -f %s printed %q; want nothing", format, out)
		}
	}
}
