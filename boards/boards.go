// Package boards describes the hardware that leasehold runs on: one UCI text a
// board, called by the name that OpenWrt has for the device. It is data and
// imports nothing of ours; what the words mean is told in firmware/config.
package boards

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed *
var files embed.FS

// Names returns the boards there are, sorted.
func Names() []string {
	var names []string
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // embedded
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") {
			names = append(names, e.Name())
		}
	}
	return names
}

// Text returns the description of a board.
func Text(name string) ([]byte, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("no board is called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return files.ReadFile(name)
}
