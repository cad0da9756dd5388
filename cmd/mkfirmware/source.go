package main

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"leasehold/firmware/config"
)

// kernelConfigs are what the kernels that are built from sources have, by board.
//
//go:embed kernels
var kernelConfigs embed.FS

// buildKernel builds the kernel of a board that Debian has none for from Debian's
// sources, and leaves it in dir as a package would.
func buildKernel(b config.Board, dir string, stdout io.Writer) error {
	fragment, err := kernelConfigs.ReadFile("kernels/" + b.Name + ".config")
	if err != nil {
		return err
	}
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return fmt.Errorf("dpkg: %w", err)
	}
	d := debian{filepath.Join(filepath.Dir(dir), "apt"), strings.TrimSpace(string(arch))}
	archive, err := d.download(b.Kernel.Source)
	if err != nil {
		return err
	}
	defer os.Remove(archive)
	tree := dir + ".build"
	defer os.RemoveAll(tree)
	if err := unpackSource(archive, tree); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "building the kernel of %s; this takes minutes\n", b.Name)
	return makeKernel(tree, dir, fragment)
}

// unpackSource unpacks a package that has the sources as an archive.
func unpackSource(archive, tree string) error {
	pkg := tree + ".deb"
	defer os.RemoveAll(pkg)
	if err := command("", "dpkg-deb", "-x", archive, pkg); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(pkg, "usr/src/linux-source-*.tar.xz"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s: want one archive of sources, there are %d", archive, len(found))
	}
	if err := os.RemoveAll(tree); err != nil {
		return err
	}
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	return command(tree, "tar", "--strip-components=1", "-xf", found[0])
}

// makeKernel configures and builds. All that it takes from the sources is the
// kernel.
func makeKernel(tree, dir string, fragment []byte) error {
	if err := os.WriteFile(filepath.Join(tree, "leasehold.config"), fragment, 0o644); err != nil {
		return err
	}
	mips := []string{"ARCH=mips", "CROSS_COMPILE=mips-linux-gnu-", "KCONFIG_ALLCONFIG=leasehold.config", fmt.Sprintf("-j%d", runtime.NumCPU())}
	for _, target := range []string{"allnoconfig", "vmlinux"} {
		if err := command(tree, "make", append(mips, target)...); err != nil {
			return err
		}
	}
	version, err := exec.Command("make", "-s", "-C", tree, "kernelversion").Output()
	if err != nil {
		return fmt.Errorf("make kernelversion: %w", err)
	}
	kernel, err := os.ReadFile(filepath.Join(tree, "vmlinux"))
	if err != nil {
		return err
	}
	boot := filepath.Join(dir, "boot")
	if err := os.MkdirAll(boot, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(boot, "vmlinuz-"+strings.TrimSpace(string(version))), kernel, 0o644)
}

// command runs a program in dir, and has the end of what it said in the error.
func command(dir, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		const octets = 2000
		end := said.Bytes()[max(0, said.Len()-octets):]
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, end)
	}
	return nil
}
