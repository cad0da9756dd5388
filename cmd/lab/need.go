package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A tool is a program that the lab or the tests run.
type tool struct {
	program string
	besides string   // a file that it needs
	pkgs    []string // the Debian or Ubuntu packages that have it, the first that there is
}

// labTools are for the lab, testTools for the tests besides, qemuTools for the
// emulated boards, kernelTools for a kernel that is built, and benchTools for the
// measurement. The peers are what leasehold is tested with, and measured beside.
var (
	labTools = []tool{
		{"ip", "", []string{"iproute2"}},
		{"dnsmasq", "", []string{"dnsmasq-base"}},
		{"busybox", "", []string{"busybox"}},
		{"dhclient", "", []string{"isc-dhcp-client"}},
		{"dhcpcd", "", []string{"dhcpcd-base", "dhcpcd5"}},
	}
	testTools = []tool{
		{"gcc", "/usr/include/stdlib.h", []string{"gcc libc6-dev"}},
		{"tshark", "", []string{"tshark"}},
		{"strace", "", []string{"strace"}},
		{"file", "", []string{"file"}},
		{"xz", "", []string{"xz-utils"}},
		{"qemu-mips", "", []string{"qemu-user"}},
		{"faketime", "", []string{"faketime"}},
		{"chromium", "", []string{"chromium"}},
		{"mkimage", "", []string{"u-boot-tools"}},
		{"dtc", "", []string{"device-tree-compiler"}},
		{"signify-openbsd", "", []string{"signify-openbsd"}},
		{"ubinize", "", []string{"mtd-utils"}},
		{"cpio", "", []string{"cpio"}},
		{"binwalk", "", []string{"binwalk"}},
		{"bootpc", "", []string{"bootpc"}},
		{"qemu-system-x86_64", "/usr/lib/ipxe/qemu/pxe-e1000.rom", []string{"qemu-system-x86 ipxe-qemu"}},
		{"networkctl", "/lib/systemd/systemd-networkd", []string{"systemd"}},
	}
	qemuTools = []tool{
		{"qemu-system-arm", "", []string{"qemu-system-arm"}},
		{"qemu-system-mipsel", "", []string{"qemu-system-mips"}},
		{"mkfs.ext4", "", []string{"e2fsprogs"}},
		{"mkimage", "/usr/lib/u-boot/qemu_arm64/u-boot.bin", []string{"u-boot-tools u-boot-qemu"}},
	}
	kernelTools = []tool{
		{"mips-linux-gnu-gcc", "", []string{"gcc-mips-linux-gnu"}},
		{"make", "", []string{"make"}},
		{"gcc", "/usr/include/stdlib.h", []string{"gcc libc6-dev"}},
		{"flex", "", []string{"flex"}},
		{"bison", "", []string{"bison"}},
		{"bc", "", []string{"bc"}},
		{"xz", "", []string{"xz-utils"}},
	}
	benchTools = []tool{
		{"strace", "", []string{"strace"}},
	}
	peers = []tool{
		{"dhcpd", "", []string{"isc-dhcp-server"}},
		{"kea-dhcp4", "", []string{"kea-dhcp4-server"}},
		{"dhcrelay", "", []string{"isc-dhcp-relay"}},
		{"perfdhcp", "", []string{"kea-admin"}},
	}
)

// find looks for a program also where ordinary users do not have their PATH.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if err != nil {
			path, err = exec.LookPath(dir + program)
		}
	}
	return path, err
}

// provide installs the tools that are missing, or says which they are.
func provide(tools []tool) error {
	missing := slices.DeleteFunc(slices.Clone(tools), func(t tool) bool {
		_, err := find(t.program)
		if err == nil && t.besides != "" {
			_, err = os.Stat(t.besides)
		}
		return err == nil
	})
	if len(missing) == 0 {
		return nil
	}
	var names, pkgs []string
	for _, t := range missing {
		names = append(names, t.program)
		pkgs = append(pkgs, t.pkgs[0])
	}
	fmt.Printf("Missing: %s.\n", strings.Join(names, ", "))
	install := "apt-get install -y --no-install-recommends " + strings.Join(pkgs, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("please install them first; on Debian or Ubuntu, as root:\n  %s", install)
	}
	fmt.Printf("Installing them: %s\n", install)
	if err := apt("update", "-qq"); err != nil {
		return err
	}
	return installEach(missing)
}

// installEach takes for each tool the first of its packages that there is.
func installEach(missing []tool) error {
	var pkgs []string
	for _, t := range missing {
		p, err := t.packages()
		if err != nil {
			return err
		}
		pkgs = append(pkgs, p...)
	}
	return apt(append([]string{"install", "-y", "-qq", "--no-install-recommends"}, pkgs...)...)
}

// packages returns the first of the tool's packages that there are.
func (t tool) packages() ([]string, error) {
	i := slices.IndexFunc(t.pkgs, func(p string) bool {
		return exec.Command("apt-cache", append([]string{"show"}, strings.Fields(p)...)...).Run() == nil
	})
	if i < 0 {
		return nil, fmt.Errorf("no package for %s: tried %s", t.program, strings.Join(t.pkgs, ", "))
	}
	return strings.Fields(t.pkgs[i]), nil
}

func apt(args ...string) error {
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// peersDir is where, beside the stores that are measured, the peers are.
const peersDir = "peers"

// provideBench provides what measuring needs, with peersDir in dir.
func provideBench(dir string) error {
	if err := provide(benchTools); err != nil {
		return err
	}
	return providePeers(dir)
}

// provideTest provides what the tests need, with peersDir in dir.
func provideTest(dir string) error {
	if err := provide(append(labTools, testTools...)); err != nil {
		return err
	}
	return providePeers(dir)
}

func providePeers(dir string) error {
	dir, err := filepath.Abs(filepath.Join(dir, peersDir))
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(peers), func(t tool) bool {
		_, _, err := locate(t.program, dir)
		return err == nil
	})
	fetchPeers(missing, dir)
	return nil
}

// fetchPeers unpacks peers under dir. They are not installed: that would start
// them on the machine's own network. One that cannot be had is no reason not to
// measure the others.
func fetchPeers(missing []tool, dir string) {
	if len(missing) > 0 && os.Geteuid() == 0 {
		apt("update", "-qq") // if it fails, the old lists may do
	}
	for _, t := range missing {
		fmt.Printf("Unpacking %s under %s\n", strings.Join(t.pkgs, " or "), dir)
		if err := t.unpack(filepath.Join(dir, t.program)); err != nil {
			fmt.Printf("%s is left out: %v\n", t.program, err)
		}
	}
}

// unpack puts the files of a tool's packages under dir, with those of the
// packages that they need and that are not installed.
func (t tool) unpack(dir string) error {
	pkgs, err := t.packages()
	if err != nil {
		return err
	}
	draft := dir + ".new"
	defer os.RemoveAll(draft)
	if err := os.MkdirAll(draft+"/partial", 0o755); err != nil {
		return err
	}
	if err := apt(append([]string{"install", "-y", "-qq", "--no-install-recommends", "--download-only",
		"-o", "Dir::Cache::archives=" + draft + "/", "-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User="},
		pkgs...)...); err != nil {
		return err
	}
	archives, err := filepath.Glob(draft + "/*.deb")
	if err != nil {
		return err
	}
	for _, a := range archives {
		if out, err := exec.Command("dpkg-deb", "-x", a, draft).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", a, err, out)
		}
		if err := os.Remove(a); err != nil {
			return err
		}
	}
	return os.Rename(draft, dir)
}

// locate returns where a program is that is installed, or unpacked under dir,
// and the environment that it then needs.
func locate(program, dir string) (path string, env []string, err error) {
	path, err = find(program)
	if err == nil || dir == "" {
		return path, nil, err
	}
	root := filepath.Join(dir, program)
	for _, sub := range []string{"/usr/sbin/", "/sbin/"} {
		if path, err = exec.LookPath(root + sub + program); err == nil {
			libs, err := filepath.Glob(root + "/usr/lib/*-linux-*")
			if len(libs) > 0 {
				env = []string{"LD_LIBRARY_PATH=" + strings.Join(libs, ":")}
			}
			return path, env, err
		}
	}
	return "", nil, fmt.Errorf("%s is neither installed nor could it be unpacked", program)
}
