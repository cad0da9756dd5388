package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
)

// Modules are parts of a kernel that are loaded when it runs.
type Modules struct {
	Release string   // of the kernel, as uname -r says it
	Load    []Module // each after those it depends on
	// Firmware is what modules load into chips, by path below /lib/firmware.
	Firmware map[string][]byte
}

// A Module is one of them.
type Module struct {
	Name    string // as in its file's name
	Params  string
	Content []byte // not compressed
}

// FindModules returns the modules that are named in roots, in this order, and
// those that they depend on. After a blank, a root has parameters. Dir is
// lib/modules/RELEASE of the kernel, or a directory with that in it; what is
// built into the kernel needs no module.
func FindModules(dir string, roots []string) (Modules, error) {
	dir, err := releaseDir(dir)
	if err != nil {
		return Modules{}, err
	}
	s := moduleSearch{dir: dir, files: map[string]string{}, builtin: map[string]bool{}}
	if err := s.index(); err != nil {
		return Modules{}, fmt.Errorf("modules in %s: %w", dir, err)
	}
	for _, root := range roots {
		name, params, _ := strings.Cut(root, " ")
		if err := s.add(name, strings.TrimSpace(params), nil); err != nil {
			return Modules{}, err
		}
	}
	return Modules{Release: filepath.Base(dir), Load: s.order}, nil
}

// releaseDir finds the one lib/modules/RELEASE in dir.
func releaseDir(dir string) (string, error) {
	for _, pattern := range []string{"", "lib/modules/*", "usr/lib/modules/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		found = slices.DeleteFunc(found, func(d string) bool { return !isRelease(d) })
		if len(found) > 1 {
			return "", fmt.Errorf("modules in %s: of several kernels, %s; name one", dir, strings.Join(found, " and "))
		}
		if len(found) == 1 {
			return filepath.Abs(found[0])
		}
	}
	return "", fmt.Errorf("modules in %s: neither lib/modules/RELEASE nor any .ko", dir)
}

// isRelease tells whether dir has modules itself.
func isRelease(dir string) bool {
	for _, sign := range []string{"kernel", "modules.builtin", "*.ko", "*.ko.*"} {
		if found, err := filepath.Glob(filepath.Join(dir, sign)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// A moduleSearch walks from modules to what they depend on.
type moduleSearch struct {
	dir     string
	files   map[string]string // by canonical name
	builtin map[string]bool
	order   []Module
}

// canonical is how the kernel compares names.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// index finds out what there is.
func (s *moduleSearch) index() error {
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if name, isModule := moduleName(path); isModule && err == nil && !d.IsDir() {
			s.files[canonical(name)] = path
		}
		return err
	})
	if err != nil {
		return err
	}
	list, err := os.ReadFile(filepath.Join(s.dir, "modules.builtin"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // OpenWrt's image need not have it
	}
	for path := range strings.FieldsSeq(string(list)) {
		if name, ok := moduleName(path); ok {
			s.builtin[canonical(name)] = true
		}
	}
	return err
}

// moduleName takes the path of kernel/net/llc/llc.ko.xz for llc.
func moduleName(path string) (name string, ok bool) {
	name, compression, ok := strings.Cut(filepath.Base(path), ".ko")
	return name, ok && slices.Contains([]string{"", ".xz", ".zst"}, compression)
}

// add puts a module behind those it depends on; via is who wants it.
func (s *moduleSearch) add(name, params string, via []string) error {
	name = canonical(name)
	if slices.ContainsFunc(s.order, func(m Module) bool { return canonical(m.Name) == name }) || s.builtin[name] {
		return nil
	}
	if slices.Contains(via, name) {
		return fmt.Errorf("module %s: depends on itself by way of %s", name, strings.Join(via, ", "))
	}
	path, ok := s.files[name]
	if !ok && len(via) > 0 {
		return fmt.Errorf("module %s: not in %s; %s needs it", name, s.dir, via[len(via)-1])
	}
	if !ok {
		return fmt.Errorf("module %s: neither in %s nor built into the kernel", name, s.dir)
	}
	content, err := readModule(path)
	if err != nil {
		return fmt.Errorf("module %s: %w", path, err)
	}
	needs, err := depends(content)
	if err != nil {
		return fmt.Errorf("module %s: %w", path, err)
	}
	for _, n := range needs {
		if err := s.add(n, "", append(slices.Clone(via), name)); err != nil {
			return err
		}
	}
	file, _ := moduleName(path)
	s.order = append(s.order, Module{file, params, content})
	return nil
}

func readModule(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(path) {
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case ".zst":
		r, err := zstd.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return content, nil
}

// depends reads what the module itself says: modules.dep is made only when a
// kernel is installed.
func depends(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("no .modinfo: not a kernel module")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}

// FindFirmware adds files of lib/firmware, which is beside lib/modules.
func (m *Modules) FindFirmware(dir string, names []string) error {
	dir, err := releaseDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, "../../firmware", name))
		if err != nil {
			return fmt.Errorf("firmware: %w", err)
		}
		if m.Firmware == nil {
			m.Firmware = map[string][]byte{}
		}
		m.Firmware[name] = content
	}
	return nil
}

// ExtractModules writes the kernel modules and the firmware in a cpio archive
// that is not compressed under dir, which FindModules then reads.
func ExtractModules(archive []byte, dir string) error {
	records, err := readArchive(archive)
	if err != nil {
		return err
	}
	for _, r := range records {
		_, isModule := moduleName(r.Name)
		wanted := isModule || filepath.Base(r.Name) == "modules.builtin" || strings.HasPrefix(r.Name, "lib/firmware/")
		if !wanted || r.Mode&cpio.S_IFMT != cpio.S_IFREG || r.FileSize == 0 || !filepath.IsLocal(r.Name) {
			continue
		}
		content := make([]byte, r.FileSize)
		if _, err := r.ReadAt(content, 0); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		path := filepath.Join(dir, r.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
