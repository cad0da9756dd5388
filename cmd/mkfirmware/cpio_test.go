package main

import (
	"bytes"
	"slices"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
)

// cpioOf makes an archive of files.
func cpioOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	for _, name := range names {
		if err := w.WriteRecord(cpio.StaticFile(name, files[name], 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// cpioNames lists what is in an archive, compressed or not.
func cpioNames(t *testing.T, b []byte) []string {
	t.Helper()
	if r, err := xz.NewReader(bytes.NewReader(b)); err == nil {
		var out bytes.Buffer
		if _, err := out.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		b = out.Bytes()
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range records {
		names = append(names, r.Name)
	}
	return names
}
