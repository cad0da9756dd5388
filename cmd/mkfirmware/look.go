package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"leasehold/firmware/image"
)

// runInspect draws an image.
func runInspect(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	b, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, image.Inspect(b))
	return nil
}

// runVerify finds out whether an image is what it was made.
func runVerify(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	key := flags.String("key", "", "public key `file` that the image has to be signed with")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	path := flags.Arg(0)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	faults := image.Verify(b)
	for _, f := range faults {
		fmt.Fprintf(stdout, "%s: %v\n", path, f)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s: damaged", path)
	}
	if *key == "" {
		fmt.Fprintf(stdout, "%s: good, by its own checksums\n", path)
		return nil
	}
	text, err := os.ReadFile(*key)
	if err != nil {
		return err
	}
	k, err := image.ParsePublicKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", *key, err)
	}
	if err := k.VerifyImage(b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(stdout, "%s: good, and signed with %s\n", path, *key)
	return nil
}
