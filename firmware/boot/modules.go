package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// modulesFile lists the kernel modules of the image, in the order that they
// need: a path, and after a blank its parameters.
const modulesFile = "/etc/modules-load"

// loadModules loads them all. One that fails takes no other down: the board may
// do without it.
func (s system) loadModules() {
	text, err := s.read(modulesFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Error("kernel modules not loaded", "err", err)
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		path, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path == "" {
			continue
		}
		if err := s.module(s.path(path), strings.TrimSpace(params)); err != nil {
			s.log.Error("kernel module not loaded", "err", err)
			continue
		}
		s.makeNodes() // the next one may be for a device of this one
	}
}

// loadModule loads one. One that is there already is fine.
func loadModule(path, params string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), params, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
