package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"leasehold/firmware/config"
)

// A debian is what an apt is told that knows of another CPU than this machine's:
// all its state is in a directory of its own, so that this machine's stays as it
// is.
type debian struct {
	dir  string
	arch string
}

// fetchKernel gets the kernel of an emulated board into dir, unless it is there,
// and returns where: unpacked from Debian's package, or built from its sources. The
// sources of this machine are asked.
func fetchKernel(b config.Board, dir string, stdout io.Writer) (string, error) {
	if b.Kernel.Dir() == "" {
		return "", fmt.Errorf("%s: Debian has no kernel for it: build one, and give it to pack with -kernel", b.Name)
	}
	there, err := filepath.Abs(filepath.Join(dir, b.Kernel.Dir()))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(there); err == nil {
		return there, nil
	}
	draft := there + ".new"
	if err := os.RemoveAll(draft); err != nil { // of a run that was ended
		return "", err
	}
	defer os.RemoveAll(draft)
	if b.Kernel.Source != "" {
		err = buildKernel(b, draft, stdout)
	} else {
		err = unpackKernel(b, draft)
	}
	if err != nil {
		return "", fmt.Errorf("kernel of %s: %w", b.Name, err)
	}
	return there, os.Rename(draft, there)
}

func unpackKernel(b config.Board, dir string) error {
	d := debian{filepath.Join(filepath.Dir(dir), "apt"), b.Kernel.Arch}
	archive, err := d.download(b.Kernel.Package)
	if err != nil {
		return err
	}
	defer os.Remove(archive)
	return command("", "dpkg-deb", "-x", archive, dir)
}

// download fetches the package that a meta-package stands for.
func (d debian) download(meta string) (string, error) {
	if err := d.prepare(); err != nil {
		return "", err
	}
	if _, err := d.run("apt-get", "update", "-qq"); err != nil {
		return "", err
	}
	out, err := d.run("apt-cache", "depends", meta)
	if err != nil {
		return "", fmt.Errorf("%w; has this machine's distribution a kernel for %s?", err, d.arch)
	}
	pkg := regexp.MustCompile(`(?m)^ *Depends: (linux-(?:image|source)-\S+)`).FindStringSubmatch(out)
	if pkg == nil {
		return "", fmt.Errorf("%s stands for no kernel:\n%s", meta, out)
	}
	if _, err := d.run("apt-get", "download", "-qq", pkg[1]); err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(d.dir, pkg[1]+"_*.deb"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("apt-get download %s: left no package", pkg[1])
	}
	return found[len(found)-1], nil
}

// prepare lays out apt's directories and writes its configuration.
func (d debian) prepare() error {
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(d.dir, sub), 0o755); err != nil {
			return err
		}
	}
	source, err := machineSource()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"sources.list": source,
		"status":       "",
		"apt.conf": fmt.Sprintf(`APT::Architecture %q;
APT::Architectures { %q; };
APT::Sandbox::User "root";
Dir::State %q;
Dir::State::status %q;
Dir::Cache %q;
Dir::Etc::sourcelist %q;
Dir::Etc::sourceparts "/dev/null";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
`, d.arch, d.arch, d.dir+"/state", d.dir+"/status", d.dir+"/cache", d.dir+"/sources.list"),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (d debian) run(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+d.dir+"/apt.conf", "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// An index is what apt says of one list of packages.
type index map[string]string

// machineSource is the source of this machine's own release, without updates
// and what others than the distribution have added.
func machineSource() (string, error) {
	release, err := codename()
	if err != nil {
		return "", err
	}
	out, err := exec.Command("apt-get", "indextargets", "Created-By: Packages", "Component: main").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	all := indexes(string(out))
	i := slices.IndexFunc(all, func(x index) bool { return x["Release"] == release })
	if i < 0 {
		return "", fmt.Errorf("this machine's apt has no source for %s main", release)
	}
	x := all[i]
	return fmt.Sprintf("deb %s%s %s main\n", signedBy(x["Sourcesentry"]), x["Repo-URI"], release), nil
}

func codename() (string, error) {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	name := regexp.MustCompile(`(?m)^VERSION_CODENAME="?([a-z]+)"?$`).FindSubmatch(text)
	if name == nil {
		return "", errors.New("/etc/os-release names no release: is this Debian or Ubuntu?")
	}
	return string(name[1]), nil
}

func indexes(text string) []index {
	var all []index
	for stanza := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		x := index{}
		for line := range strings.Lines(stanza) {
			key, value, _ := strings.Cut(line, ":")
			x[key] = strings.TrimSpace(value)
		}
		all = append(all, x)
	}
	return all
}

// signedBy is the option that names the keys, if the file of the source does.
func signedBy(entry string) string {
	path := entry[:max(0, strings.LastIndexByte(entry, ':'))]
	text, err := os.ReadFile(path)
	if err != nil {
		return "" // apt's own keys it is
	}
	key := regexp.MustCompile(`(?i)signed-by[:=]\s*(/[^\s\]]+)`).FindSubmatch(text)
	if key == nil {
		return ""
	}
	return fmt.Sprintf("[signed-by=%s] ", key[1])
}
