package boot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"leasehold/firmware/config"
)

const (
	boardFile      = "/etc/leasehold/board"
	compatibleFile = "/proc/device-tree/compatible"
)

// findBoard reads which board the image was made for. An image for another one
// is better than none: the wrong ports are easier to find than a dead router.
func (s system) findBoard() (config.Board, bool) {
	b, err := readBoard(s.path(boardFile))
	if errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("the image names no board; ports are as the kernel has them", "file", boardFile)
		return config.Board{}, false
	}
	if err != nil {
		s.log.Error("board not understood", "file", boardFile, "err", err)
		return config.Board{}, false
	}
	s.checkCompatible(b)
	return b, true
}

// checkCompatible says loudly if the image is for another board.
func (s system) checkCompatible(b config.Board) {
	text, err := s.read(compatibleFile)
	if err != nil || len(b.Compatible) == 0 {
		return // a kernel without a device tree knows nothing of boards
	}
	have := splitCompatible(text)
	for _, c := range b.Compatible {
		if slices.Contains(have, c) {
			return
		}
	}
	s.log.Error("THIS IMAGE IS FOR ANOTHER BOARD", "image", b.Name, "board", strings.Join(have, " "))
}

// splitCompatible reads a property of the device tree that is a list of words,
// each with a NUL at its end.
func splitCompatible(text []byte) []string {
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == 0 })
}

func readBoard(file string) (config.Board, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return config.Board{}, err
	}
	b, problems := config.ParseBoard(boardName(text), text)
	for _, p := range problems {
		if !p.Warning {
			return config.Board{}, errors.New(p.String())
		}
	}
	return b, nil
}

// boardName is how the text calls the board: in the image its file is called by
// what it is for.
func boardName(text []byte) string {
	sections, _ := config.ParseUCI(boardFile, text)
	for _, s := range sections {
		for _, o := range s.Options {
			if s.Type == "board" && o.Name == "name" {
				return o.Value
			}
		}
	}
	return path.Base(boardFile)
}

// fit has the board decide where the configuration says nothing: what its ports
// are called and where its ring is.
func fit(c config.Config, b config.Board) config.Config {
	d := config.Default()
	if c.LAN.Device == d.LAN.Device && b.Ports.LAN != "" {
		c.LAN.Device = b.Ports.LAN
	}
	if c.WAN.Device == d.WAN.Device && b.Ports.WAN != "" {
		c.WAN.Device = b.Ports.WAN
	}
	if c.WAN.Device == c.LAN.Device {
		c.WAN.Enabled = false // its owner made the WAN port the LAN
	}
	if c.Ring.Path == d.Ring.Path {
		r := b.State.Ring()
		c.Ring.Path, c.Ring.AtEnd = r.Path, r.AtEnd
	}
	if b.Name != "" && c.Ring.Path == d.Ring.Path {
		// There is no such directory. A ring in the memory that an initramfs is
		// in would have leases promised that are not kept.
		c.Ring.Path = path.Join(config.StateDir, path.Base(d.Ring.Path))
	}
	return c
}

// FitHere fits c to the board that the image was made for, and leaves it alone
// on any other machine.
func FitHere(c config.Config) config.Config {
	b, err := readBoard(boardFile)
	if err != nil {
		return c // init has said so
	}
	return fit(c, b)
}
