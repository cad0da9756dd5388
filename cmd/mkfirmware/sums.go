package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// sumsFile is beside files that are an image together, of which some have no
// checksum of their own; sha256sum -c reads it.
const sumsFile = "SHA256SUMS"

// A sum is one line of it.
type sum struct{ hash, name string }

func sumOf(name string, b []byte) sum {
	h := sha256.Sum256(b)
	return sum{hex.EncodeToString(h[:]), name}
}

func (s sum) String() string { return s.hash + "  " + s.name + "\n" }

func readSums(dir string) (sums []sum, err error) {
	path := filepath.Join(dir, sumsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		hash, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%s:%d: no hash and name of a file in the directory", path, n)
		}
		sums = append(sums, sum{hash, name})
	}
	if n == 0 {
		return nil, fmt.Errorf("%s: empty", path)
	}
	return sums, nil
}

// verifyDirectory finds out whether the files of a directory are what they were
// made.
func verifyDirectory(dir string, stdout io.Writer) error {
	sums, err := readSums(dir)
	if err != nil {
		return err
	}
	damaged := false
	for _, s := range sums {
		path := filepath.Join(dir, s.name)
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if sumOf(s.name, b) != s {
			fmt.Fprintf(stdout, "%s: not what %s says, octets 0x0 to %#x\n", path, sumsFile, len(b))
			damaged = true
		}
	}
	if damaged {
		return fmt.Errorf("%s: damaged", dir)
	}
	fmt.Fprintf(stdout, "%s: good, by %s\n", dir, sumsFile)
	return nil
}
