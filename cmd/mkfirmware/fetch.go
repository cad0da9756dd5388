package main

import (
	"flag"
	"fmt"
	"io"
)

// kernels is where kernels of Debian are unpacked.
const kernels = "build/kernels"

func runFetch(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	name := flags.String("board", "", "`name` of an emulated board")
	dir := flags.String("o", kernels, "`directory` for kernels")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	if err := need(flags, "board"); err != nil {
		return err
	}
	b, _, err := readBoard(*name, stdout)
	if err != nil {
		return err
	}
	there, err := fetchKernel(b, *dir, stdout)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, there)
	return nil
}
