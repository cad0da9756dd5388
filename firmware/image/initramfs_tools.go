package image

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/u-root/gobusybox/src/pkg/golang"
	"github.com/u-root/mkuimage/uimage"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/u-root/uio/llog"

	"leasehold/firmware/config"
)

// Tools are u-root's init and the commands of a rescue shell, for one CPU, in
// one binary.
type Tools struct{ records []cpio.Record }

// commandsGo lists the commands where go mod finds them too.
//
//go:embed initramfs_commands.go
var commandsGo string

// commands returns the packages of the commands.
func commands() ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), "initramfs_commands.go", commandsGo, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, s := range f.Imports {
		path, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// ToolsID names what BuildTools would make: other sources, another compiler or
// another CPU have another name.
func ToolsID(module string, cpu config.CPU) (string, error) {
	compiler, err := exec.Command("go", "version").Output()
	if err != nil {
		return "", fmt.Errorf("go version: %w", err)
	}
	h := sha256.New()
	h.Write(compiler)
	h.Write([]byte(commandsGo))
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		h.Write(text)
	}
	return fmt.Sprintf("%s-%x", cpu, h.Sum(nil)[:6]), nil
}

// BuildTools compiles the tools; module is the directory of leasehold's own
// sources. It takes a minute or two, and is not to be called twice at once: it
// sets what Go compiles for in the environment.
func BuildTools(module string, cpu config.CPU) (*Tools, error) {
	t, err := buildTools(module, cpu)
	if err != nil {
		return nil, fmt.Errorf("build the u-root tools for %s: %w", cpu, err)
	}
	return t, nil
}

func buildTools(module string, cpu config.CPU) (*Tools, error) {
	packages, err := commands()
	if err != nil {
		return nil, err
	}
	module, err = filepath.Abs(module)
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	dir, err := os.MkdirTemp("", "leasehold-tools-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	defer setenv(map[string]string{
		"GOARM": cpu.ARM, "GOMIPS": cpu.MIPS, "GOARM64": "", "GOFLAGS": "", "GOEXPERIMENT": "", "GOWORK": "off",
	})()
	out := filepath.Join(dir, "tools.cpio")
	err = uimage.Create(llog.New(slog.LevelError, func(string, ...any) {}),
		uimage.WithReplaceEnv(golang.Default(golang.DisableCGO(), golang.WithGOOS("linux"), golang.WithGOARCH(cpu.Arch),
			golang.WithGOROOT(strings.TrimSpace(string(root))), golang.WithWorkingDir(module),
			golang.WithBuildTag("goshsmall"))), // a shell without a line editor of 3 MB
		uimage.WithBusyboxCommands(packages...),
		uimage.WithInit("init"),
		uimage.WithShell("gosh"),
		uimage.WithSkipLDD(),
		uimage.WithTempDir(dir),
		uimage.WithCPIOOutput(out))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	records, err := readArchive(text)
	return &Tools{records}, err
}

// Write writes the tools as an archive that ReadTools reads.
func (t *Tools) Write(w io.Writer) error {
	a := archive{}
	for _, r := range t.records {
		a.add(r)
	}
	return a.write(w)
}

// ReadTools reads what Write wrote.
func ReadTools(text []byte) (*Tools, error) {
	records, err := readArchive(text)
	if err == nil && !slices.ContainsFunc(records, func(r cpio.Record) bool { return r.Name == "bbin/bb" }) {
		err = errors.New("there are none in it")
	}
	if err != nil {
		return nil, fmt.Errorf("u-root tools: %w", err)
	}
	return &Tools{records}, nil
}

// setenv sets variables and returns what puts back the old ones.
func setenv(vars map[string]string) (restore func()) {
	old := map[string]string{}
	for name, value := range vars {
		if was, set := os.LookupEnv(name); set {
			old[name] = was
		}
		os.Setenv(name, value)
	}
	return func() {
		for name := range vars {
			if was, set := old[name]; set {
				os.Setenv(name, was)
			} else {
				os.Unsetenv(name)
			}
		}
	}
}
