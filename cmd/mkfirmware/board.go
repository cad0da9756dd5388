package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"leasehold/boards"
	"leasehold/firmware/config"
)

// runBoards prints the table of boards.
func runBoards(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	name := flags.String("new", "", "print a description to start from, for a board of this `name`")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	if *name != "" {
		_, err := stdout.Write(config.NewBoard(*name))
		return err
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BOARD\tCPU\tRAM\tFLASH\tROOM\tIMAGE\tPROVEN")
	for _, name := range boards.Names() {
		b, _, err := readBoard(name, stdout)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			b.Name, b.CPU, mebibytes(b.RAM), flashes(b), room(b), strings.Join(b.Image.Outputs, ", "), b.Status)
	}
	return t.Flush()
}

func flashes(b config.Board) string {
	var all []string
	for _, f := range b.Flashes {
		all = append(all, mebibytes(f.Size)+" "+f.Kind)
	}
	if all == nil {
		return "-"
	}
	return strings.Join(all, " + ")
}

func room(b config.Board) string {
	if b.Room() == 0 || b.QEMU.System != "" {
		return "-"
	}
	return mebibytes(b.Room())
}

func mebibytes(n int64) string {
	return strings.Replace(fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)), ".0 ", " ", 1)
}

// readBoard reads a board of ours, or one of the user's own if it is a path. Its
// problems are printed.
func readBoard(name string, stdout io.Writer) (config.Board, []byte, error) {
	text, err := boards.Text(name)
	if strings.ContainsRune(name, filepath.Separator) {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return config.Board{}, nil, err
	}
	b, problems := config.ParseBoard(name, text)
	return b, text, mistakes(problems, stdout)
}

// mistakes prints problems, and is an error if one is more than a warning.
func mistakes(problems []config.Problem, w io.Writer) error {
	n, where := 0, ""
	for _, p := range problems {
		fmt.Fprintln(w, p)
		if !p.Warning {
			n, where = n+1, p.File
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s: 1 mistake", where)
	}
	return fmt.Errorf("%d mistakes", n)
}
