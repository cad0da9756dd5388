package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"leasehold/firmware/image"
)

// runInspect draws an image, or each of the files that are one together.
func runInspect(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	files := []string{flags.Arg(0)}
	if sums, err := readSums(flags.Arg(0)); err == nil {
		files = nil
		for _, s := range sums {
			files = append(files, filepath.Join(flags.Arg(0), s.name))
		}
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(files) > 1 {
			fmt.Fprintf(stdout, "%s:\n", path)
		}
		fmt.Fprint(stdout, image.Inspect(b))
	}
	return nil
}

// runVerify finds out whether an image is what it was made.
func runVerify(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	key := flags.String("key", "", "public key `file` that the image has to be signed with")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	path := flags.Arg(0)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if *key != "" {
			return fmt.Errorf("-key: files in a directory carry no signature, and %s has none", path)
		}
		return verifyDirectory(path, stdout)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	l := image.Inspect(b)
	faults := l.AllFaults()
	for _, f := range faults {
		fmt.Fprintf(stdout, "%s: %v\n", path, f)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s: damaged", path)
	}
	if !l.Checked() {
		return fmt.Errorf("%s: nothing in it has a checksum, so whether it is damaged cannot be told", path)
	}
	if *key == "" {
		fmt.Fprintf(stdout, "%s: good, by its own checksums\n", path)
		return nil
	}
	if err := verifySignature(b, *key); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(stdout, "%s: good, and signed with %s\n", path, *key)
	return nil
}

// verifySignature finds out whether an image is signed with the key in a file.
func verifySignature(b []byte, key string) error {
	text, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	k, err := image.ParsePublicKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return k.VerifyImage(b)
}
