package link

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// WriteResolver writes the name servers and the domains that are searched as
// resolv.conf(5) has them. Readers see the old file or the new one; a file that
// says the same already is not written again. A domain that would be more than
// one word of the file is left out.
func WriteResolver(path string, dns []netip.Addr, search []string) error {
	var b bytes.Buffer
	line := "search"
	for _, domain := range search {
		if domain != "" && !strings.ContainsFunc(domain, notInName) {
			line += " " + domain
		}
	}
	if line != "search" {
		b.WriteString(line + "\n")
	}
	for _, a := range dns {
		fmt.Fprintf(&b, "nameserver %v\n", a)
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b.Bytes())
	if err := firstError(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func notInName(r rune) bool { return r <= ' ' || r > '~' }

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
