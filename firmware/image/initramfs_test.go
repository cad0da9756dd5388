package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"

	"leasehold/boards"
	"leasehold/firmware/config"
)

// small is an initramfs with a bit of everything.
func small() Initramfs {
	return Initramfs{
		Board:     []byte("config board\n"),
		Config:    []byte("config interface 'lan'\n"),
		Leasehold: []byte("\x7fELF the binary"),
		Modules: Modules{Release: "6.1.0", Load: []Module{
			{"llc", "", ko(binary.LittleEndian, "")},
			{"bridge", "", ko(binary.LittleEndian, "llc")},
			{"block2mtd", "block2mtd=/dev/vda,65536", ko(binary.LittleEndian, "")},
		}, Firmware: map[string][]byte{"vendor/phy.bin": []byte("for a chip")}},
	}
}

func pack(t *testing.T, i Initramfs) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := i.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack returns the records by name, and their content.
func unpack(t *testing.T, b []byte) (map[string]cpio.Record, map[string]string) {
	t.Helper()
	records, err := readArchive(b)
	if err != nil {
		t.Fatal(err)
	}
	byName, content := map[string]cpio.Record{}, map[string]string{}
	for _, r := range records {
		byName[r.Name] = r
		text := make([]byte, r.FileSize)
		if _, err := r.ReadAt(text, 0); r.FileSize > 0 && err != nil {
			t.Fatal(err)
		}
		content[r.Name] = string(text)
	}
	return byName, content
}

func TestInitramfsHasWhatABootNeeds(t *testing.T) {
	records, content := unpack(t, pack(t, small()))
	for name, want := range map[string]string{
		"init":                        "bin/leasehold",
		"bin/leasehold":               "\x7fELF the binary",
		"etc/leasehold/board":         "config board\n",
		"etc/config/leasehold":        "config interface 'lan'\n",
		"etc/resolv.conf":             "../tmp/resolv.conf",
		"lib/modules/6.1.0/llc.ko":    string(ko(binary.LittleEndian, "")),
		"lib/firmware/vendor/phy.bin": "for a chip",
		"etc/modules-load": "/lib/modules/6.1.0/llc.ko\n/lib/modules/6.1.0/bridge.ko\n" +
			"/lib/modules/6.1.0/block2mtd.ko block2mtd=/dev/vda,65536\n",
	} {
		if content[name] != want {
			t.Errorf("/%s is %q; want %q", name, content[name], want)
		}
	}
	for name, want := range map[string][3]uint64{ // mode, major, minor
		"dev/console":   {0o020600, 5, 1},
		"dev/null":      {0o020666, 1, 3},
		"bin/leasehold": {0o100755, 0, 0},
		"init":          {0o120777, 0, 0},
		"tmp":           {0o041777, 0, 0},
		"etc/leasehold": {0o040755, 0, 0},
		"state":         {0o040755, 0, 0},
	} {
		r, ok := records[name]
		if got := [3]uint64{r.Mode, r.Rmajor, r.Rminor}; !ok || got != want {
			t.Errorf("/%s: mode, major and minor are %o; want %o", name, got, want)
		}
	}
}

// The kernel makes no directory that is not in the archive, nor one that comes
// after its files.
func TestInitramfsHasDirectoriesFirst(t *testing.T) {
	records, err := readArchive(pack(t, small()))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{".": true}
	for _, r := range records {
		if !seen[path.Dir(r.Name)] {
			t.Errorf("%s comes before %s", r.Name, path.Dir(r.Name))
		}
		seen[r.Name] = true
	}
}

func TestInitramfsIsReproducible(t *testing.T) {
	first := pack(t, small())
	for range 10 {
		if !bytes.Equal(pack(t, small()), first) {
			t.Fatal("the same content made other bytes")
		}
	}
	records, err := readArchive(first)
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[uint64]bool{}
	for _, r := range records {
		if r.MTime != 0 || r.UID != 0 || r.GID != 0 || r.NLink != 1 || inodes[r.Ino] {
			t.Errorf("%s: time %d, user %d, links %d, inode %d", r.Name, r.MTime, r.UID, r.NLink, r.Ino)
		}
		inodes[r.Ino] = true
	}
}

// The archive is one for others too.
func TestInitramfsIsReadByCpio(t *testing.T) {
	program, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio on this machine")
	}
	cmd := exec.Command(program, "-it", "--quiet")
	cmd.Stdin = bytes.NewReader(pack(t, small()))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\nlib/modules/6.1.0/bridge.ko\n") {
		t.Errorf("cpio: %v\n%s", err, out)
	}
}

func TestInitramfsWithToolsBeginsWithThem(t *testing.T) {
	i := small()
	i.Tools = &Tools{[]cpio.Record{
		cpio.StaticFile("bbin/bb", "the tools", 0o755),
		cpio.Symlink("bbin/init", "bb"),
		cpio.Symlink("init", "bbin/init"),
		cpio.Symlink("bin/sh", "../bbin/gosh"),
	}}
	b := pack(t, i)
	_, content := unpack(t, b)
	for name, want := range map[string]string{"init": "bbin/init", "bin/uinit": "leasehold", "bin/sh": "../bbin/gosh"} {
		if content[name] != want {
			t.Errorf("/%s is %q; want %q", name, content[name], want)
		}
	}
	if !bytes.Equal(pack(t, i), b) {
		t.Error("the tools cannot be packed twice")
	}
}

func TestSharesAreBySize(t *testing.T) {
	i := small()
	i.Leasehold = make([]byte, 10_000)
	shares, err := Shares(pack(t, i))
	if err != nil || len(shares) < 3 || shares[0] != (Share{"bin/leasehold", 10_000}) || shares[1].Name != "kernel modules" {
		t.Errorf("Shares = %v, %v", shares, err)
	}
	if _, err := Shares([]byte("no archive")); err == nil {
		t.Error("Shares of no archive has no error")
	}
}

// owner writes an owner's files.
func owner(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func board(t *testing.T, name string) config.Board {
	t.Helper()
	text, err := boards.Text(name)
	if err != nil {
		t.Fatal(err)
	}
	b, problems := config.ParseBoard(name, text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return b
}

func TestConfigWithoutAnOwnerIsTheBoards(t *testing.T) {
	for _, name := range boards.Names() {
		b := board(t, name)
		text, problems, err := ReadConfig(b, "")
		if err != nil || len(problems) > 0 {
			t.Errorf("ReadConfig(%s) = %v, %v", name, problems, err)
		}
		c, problems := config.Parse(name, text)
		want := b.Config()
		if len(problems) > 0 || c.LAN.Device != want.LAN.Device || c.WAN.Device != want.WAN.Device || c.Ring != want.Ring {
			t.Errorf("%s: %v\n%s", name, problems, text)
		}
	}
}

func TestConfigOfTheOwnerOverridesTheBoards(t *testing.T) {
	b := board(t, "glinet_gl-mt300n-v2")
	dir := owner(t, map[string]string{
		"network": "config interface 'lan'\n\toption ipaddr '10.0.0.1'\n\toption netmask '255.255.255.0'\n" +
			"config interface 'wan'\n\toption device 'eth1'\n\toption hostname 'me'\n",
		"dhcp":      "config dhcp 'lan'\n\toption leasetime '1h'\nconfig host\n\tlist mac '00:11:22:33:44:55'\n\toption ip '10.0.0.20'\n",
		"leasehold": "config leasehold\n\toption page_port '8080'\n",
		"wireless":  "this is not read at all",
	})
	text, problems, err := ReadConfig(b, dir)
	if err != nil || len(problems) > 0 {
		t.Fatalf("ReadConfig = %v, %v", problems, err)
	}
	c, problems := config.Parse("merged", text)
	if len(problems) > 0 {
		t.Errorf("what it made has problems: %v\n%s", problems, text)
	}
	for _, v := range []struct {
		what      string
		got, want any
	}{
		{"LAN device, of the board", c.LAN.Device, "br-lan"},
		{"LAN address, of the owner", c.LAN.Addr.String(), "10.0.0.1/24"},
		{"WAN device, of the owner", c.WAN.Device, "eth1"},
		{"lease time, of the owner", c.LAN.LeaseTime.Hours(), 1.0},
		{"hosts, of the owner", len(c.Hosts), 1},
		{"ring, of the board", c.Ring.Path, "mtd:firmware"},
		{"end of it, of the board", c.Ring.AtEnd, int64(256 << 10)},
		{"page, of the owner", c.Page.Port, uint16(8080)},
	} {
		if v.got != v.want {
			t.Errorf("%s: %v; want %v", v.what, v.got, v.want)
		}
	}
}

func TestConfigWithARingOfTheOwnersOwn(t *testing.T) {
	dir := owner(t, map[string]string{"leasehold": "config leasehold\n\toption ring '/state/ring'\n"})
	text, problems, err := ReadConfig(board(t, "glinet_gl-mt300n-v2"), dir)
	c, _ := config.Parse("merged", text)
	if err != nil || len(problems) > 0 || c.Ring.Path != "/state/ring" || c.Ring.AtEnd != 0 {
		t.Errorf("ReadConfig = %v, %v; the ring is %v", problems, err, c.Ring)
	}
}

func TestConfigMistakesHaveTheirFileAndLine(t *testing.T) {
	dir := owner(t, map[string]string{
		"network": "config interface 'lan'\n\tlist ipaddr '10.0.0.1/24'\n", // makes the host below wrong
		"dhcp":    "\nconfig host\n\tlist mac '00:11:22:33:44:55'\n\toption ip '192.168.1.20'\nconfig dhcp 'lan'\n\toption leasetim '1h'",
	})
	text, problems, err := ReadConfig(board(t, "glinet_gl-mt1300"), dir)
	if err == nil || text != nil {
		t.Errorf("ReadConfig = %v; want an error", err)
	}
	for _, want := range []string{filepath.Join(dir, "dhcp") + ":4: ", filepath.Join(dir, "dhcp") + ":6: "} {
		if !slices.ContainsFunc(problems, func(p config.Problem) bool { return strings.HasPrefix(p.String(), want) }) {
			t.Errorf("problems %v; want one at %s", problems, want)
		}
	}
}

func TestConfigOfNothing(t *testing.T) {
	_, _, err := ReadConfig(board(t, "glinet_gl-mt1300"), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "has none of network, dhcp, leasehold") {
		t.Errorf("ReadConfig = %v; want an error", err)
	}
}

// Every command can be found: what go.mod does not have cannot be compiled.
func TestToolsAreInTheModule(t *testing.T) {
	packages, err := commands()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"init", "gosh", "ls", "cat", "ps", "dmesg", "ip", "mount", "ping", "wget", "shutdown", "insmod"} {
		if !slices.ContainsFunc(packages, func(p string) bool { return path.Base(p) == want }) {
			t.Errorf("the rescue shell has no %s", want)
		}
	}
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", "{{with .Error}}{{.}}{{end}}"}, packages...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=mipsle", "CGO_ENABLED=0")
	var stderr bytes.Buffer // also says what it downloads
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("go list: %v\n%s%s", err, out, stderr.String())
	}
}

// Compiling takes minutes: LEASEHOLD_TOOLS=1 has it done, twice.
func TestToolsAreReproducible(t *testing.T) {
	if os.Getenv("LEASEHOLD_TOOLS") == "" {
		t.Skip("LEASEHOLD_TOOLS is not set")
	}
	var first [32]byte
	for n := range 2 {
		tools, err := BuildTools("../..", config.CPU{Arch: "mipsle", MIPS: "softfloat"})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := tools.Write(&b); err != nil {
			t.Fatal(err)
		}
		again, err := ReadTools(b.Bytes())
		if err != nil || len(again.records) != len(tools.records) {
			t.Errorf("ReadTools = %d records, %v; want %d", len(again.records), err, len(tools.records))
		}
		switch sum := sha256.Sum256(b.Bytes()); {
		case n == 0:
			first = sum
		case sum != first:
			t.Error("the tools are others the second time")
		}
	}
}
