package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"leasehold/firmware/config"
)

// configNames are the files of an owner that say something to us, in the order
// in which they are read.
var configNames = []string{"network", "dhcp", "leasehold"}

// errConfig: there are mistakes in what the owner wrote.
var errConfig = errors.New("the configuration has mistakes")

// ReadConfig makes one text of the board's defaults and the files of dir, which
// may be /etc/config of an OpenWrt: what is written there overrides the board.
// Without dir it is the defaults alone. What is wrong, or without effect, is
// listed with its file and line; if anything is wrong it returns errConfig.
func ReadConfig(b config.Board, dir string) ([]byte, []config.Problem, error) {
	written, err := readFiles(dir)
	if err != nil {
		return nil, nil, err
	}
	_, problems := config.Parse("", written.text)
	written.locate(problems)
	if slices.ContainsFunc(problems, func(p config.Problem) bool { return !p.Warning }) {
		return nil, problems, errConfig
	}
	sections, _ := config.ParseUCI("", written.text)
	text := config.AppendUCI(nil, underlay(sections, defaults(b)))
	if _, clash := config.Parse("", text); len(clash) > len(problems) {
		p := clash[len(clash)-1]
		return nil, problems, fmt.Errorf("with the defaults of %s: %s", b.Name, p.Text)
	}
	return text, problems, nil
}

// files are several read as one, so that each knows of what is in the others.
type files struct {
	text  []byte
	paths []string
	first []int // line of text at which each begins
}

func readFiles(dir string) (files, error) {
	var f files
	if dir == "" {
		return f, nil
	}
	for _, name := range configNames {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return f, err
		}
		f.paths = append(f.paths, path)
		f.first = append(f.first, 1+strings.Count(string(f.text), "\n"))
		f.text = append(append(f.text, text...), '\n')
	}
	if f.paths == nil {
		return f, fmt.Errorf("configuration: %s has none of %s", dir, strings.Join(configNames, ", "))
	}
	return f, nil
}

// locate says for each problem in which file it is.
func (f files) locate(problems []config.Problem) {
	for n := range problems {
		p := &problems[n]
		i := sort.SearchInts(f.first, p.Line+1) - 1
		if i >= 0 && p.Line > 0 {
			p.File, p.Line = f.paths[i], p.Line-f.first[i]+1
		}
	}
}

// defaults are what is particular about the board.
func defaults(b config.Board) []config.Section {
	option := func(name, value string) config.Option { return config.Option{Name: name, Value: value} }
	ring := b.State.Ring()
	own := config.Section{Type: "leasehold", Options: []config.Option{option("ring", ring.Path)}}
	if ring.AtEnd > 0 {
		own.Options = append(own.Options, option("at_end", fmt.Sprint(ring.AtEnd)))
	}
	return []config.Section{
		{Type: "interface", Name: "lan", Options: []config.Option{option("device", b.Ports.LAN)}},
		{Type: "interface", Name: "wan", Options: []config.Option{option("device", b.Ports.WAN)}},
		own,
	}
}

// underlay adds to the sections of the owner what the board has to say on the
// same things, and its sections for other things. Where the owner names a ring
// or a device, the board's is not meant.
func underlay(sections, board []config.Section) []config.Section {
	merged := slices.Clone(sections)
	var missing []config.Section
	for _, b := range board {
		i := slices.IndexFunc(merged, func(s config.Section) bool {
			return s.Type == b.Type && (s.Name == b.Name || b.Name == "")
		})
		switch {
		case i < 0:
			missing = append(missing, b)
		case !names(sections, b.Type, b.Name, b.Options[0].Name):
			merged[i].Options = append(slices.Clone(b.Options), merged[i].Options...)
		}
	}
	return append(missing, merged...)
}

// names tells whether any section of the kind sets the option.
func names(sections []config.Section, kind, name, option string) bool {
	for _, s := range sections {
		if s.Type != kind || name != "" && s.Name != name {
			continue
		}
		if slices.ContainsFunc(s.Options, func(o config.Option) bool { return o.Name == option && o.Value != "" }) {
			return true
		}
	}
	return false
}
