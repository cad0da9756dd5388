package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A tool is a program that the lab or the tests run.
type tool struct {
	program string
	besides string   // a file that it needs
	pkgs    []string // the Debian or Ubuntu packages that have it, the first that there is
}

// labTools are for the lab, testTools for the tests besides.
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
		i := slices.IndexFunc(t.pkgs, func(p string) bool {
			return exec.Command("apt-cache", append([]string{"show"}, strings.Fields(p)...)...).Run() == nil
		})
		if i < 0 {
			return fmt.Errorf("no package for %s: tried %s", t.program, strings.Join(t.pkgs, ", "))
		}
		pkgs = append(pkgs, strings.Fields(t.pkgs[i])...)
	}
	return apt(append([]string{"install", "-y", "-qq", "--no-install-recommends"}, pkgs...)...)
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
