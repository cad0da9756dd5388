package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"text/tabwriter"

	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
	"leasehold/firmware/router"
)

// runRing looks after the ring on a device.
func runRing(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	end := atEnd(flags)
	force := flags.Bool("force", false, "format what is no ring too")
	what, path, err := ringWords(flags, args)
	if err != nil {
		return err
	}
	switch {
	case *force && what != "format":
		return fmt.Errorf("ring %s: -force is for format only", what)
	case what == "format" && path == "":
		return errors.New("ring format: which ring? All leases in it will be forgotten")
	}
	at, err := place(path, *end)
	if err != nil {
		return err
	}
	switch what {
	case "info":
		return showRing(at, stdout)
	case "verify":
		return verifyRing(at, stdout)
	}
	return formatRing(at, *force, stdout)
}

// ringWords returns the command and the path from among the flags, which may
// stand anywhere.
func ringWords(flags *flag.FlagSet, args []string) (what, path string, err error) {
	var words []string
	for {
		if err := flags.Parse(args); err != nil {
			return "", "", err
		}
		if flags.NArg() == 0 {
			break
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
	words = append(words, "", "")
	switch what, path = words[0], words[1]; {
	case what == "":
		return "", "", errors.New("ring: info, verify or format?")
	case what != "info" && what != "verify" && what != "format":
		return "", "", fmt.Errorf("ring: no command %q; there are info, verify and format", what)
	case len(words) > 4:
		return "", "", fmt.Errorf("ring %s: what is %q?", what, words[2])
	}
	return what, path, nil
}

// atEnd adds the flag for rings that are at the end of a partition.
func atEnd(flags *flag.FlagSet) *string {
	return flags.String("at-end", "0", "the ring is in the last `octets` (256k) of the partition")
}

// place is where a ring is: where the arguments say, or where the router that
// the default configuration makes has it.
func place(path, end string) (flash.Place, error) {
	octets, err := config.Octets(end)
	if err != nil {
		return flash.Place{}, fmt.Errorf("-at-end: %w", err)
	}
	if path == "" {
		cfg, _ := load(defaultConfig)
		return flash.Place{Path: cfg.Ring.Path, AtEnd: cmp.Or(octets, cfg.Ring.AtEnd)}, nil
	}
	return flash.Place{Path: path, AtEnd: octets}, nil
}

// inspect returns what stands on a device.
func inspect(at flash.Place) ([]ring.Finding, error) {
	dev, err := flash.OpenReadOnly(at)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	found, err := ring.Inspect(dev)
	if err != nil {
		err = fmt.Errorf("%v: %w", at, err)
	}
	return found, err
}

// showRing prints a ring segment by segment, and what is in force of it.
func showRing(at flash.Place, stdout io.Writer) error {
	found, err := inspect(at)
	if len(found) > 0 {
		table(stdout, found)
	}
	if err != nil {
		return err
	}
	list, err := router.ReadRing(at)
	if err != nil {
		return err
	}
	h := list.Health
	_, err = fmt.Fprintf(stdout, "\n%s; %s in %d of %d octets; segments erased %v times.\n",
		count(len(list.Bindings), "lease"), count(h.Records, "record"), h.Live, h.Capacity, h.Erases)
	return err
}

func table(stdout io.Writer, found []ring.Finding) {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OFFSET\tOCTETS\tFILLED\tSEQUENCE\tRECORDS\tSTATE")
	for _, f := range found {
		filled, sequence, records := "-", "-", "-" // without a header nothing is known of it
		if f.Sequence > 0 {
			filled, sequence, records = strconv.Itoa(f.Fill), strconv.FormatUint(f.Sequence, 10), strconv.Itoa(f.Records)
		}
		fmt.Fprintf(w, "%#x\t%d\t%s\t%s\t%s\t%s\n", f.Off, f.Size, filled, sequence, records, state(f))
	}
	w.Flush()
}

func state(f ring.Finding) string {
	if n := len(f.Damaged); n > 0 {
		return fmt.Sprintf("%s; %s damaged", f.What, count(n, "record"))
	}
	return f.What
}

// verifyRing reads all there is and fails if some of it is damaged, or all of it
// is not a ring's. What a power cut left torn is no damage: a ring is made for
// that.
func verifyRing(at flash.Place, stdout io.Writer) error {
	found, err := inspect(at)
	if err != nil {
		return err
	}
	list, err := router.ReadRing(at)
	if err != nil {
		return err
	}
	bad, headed := 0, false
	for _, f := range found {
		headed = headed || f.Sequence > 0
		for _, off := range f.Damaged {
			bad++
			fmt.Fprintf(stdout, "offset %#x: damaged record in the segment at %#x, which is %s\n", off, f.Off, f.What)
		}
	}
	for _, unreadable := range list.Bad {
		bad++
		fmt.Fprintln(stdout, unreadable)
	}
	leases := count(len(list.Bindings), "lease")
	switch {
	case bad > 0:
		return fmt.Errorf("%v: %s damaged; %s can be read", at, count(bad, "record"), leases)
	case list.Health.Damaged > 0:
		return fmt.Errorf("%v: there was a ring, but no segment of it can be read any more", at)
	case !headed:
		_, err = fmt.Fprintf(stdout, "%v: blank, which is an empty ring\n", at)
	default:
		_, err = fmt.Fprintf(stdout, "%v: good; %s in %s\n", at, leases, count(len(found), "segment"))
	}
	return err
}

// formatRing makes an empty ring. What is neither a ring nor blank it leaves
// alone unless it is forced.
func formatRing(at flash.Place, force bool, stdout io.Writer) error {
	if !force {
		if err := unforced(at); err != nil {
			return err
		}
	}
	dev, err := flash.Open(at, 4*flash.FileBlockSize)
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := ring.Format(dev); err != nil {
		return fmt.Errorf("%v: %w", at, err)
	}
	_, err = fmt.Fprintf(stdout, "%v: an empty ring on %s of %d octets\n", at, count(dev.Blocks(), "erase block"), dev.BlockSize())
	return err
}

// unforced returns an error if there is something that may not be a ring, or one
// with leases. It only looks: to open a file for a ring would make it longer.
func unforced(at flash.Place) error {
	_, err := inspect(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it will be made
	case errors.Is(err, ring.ErrForeign), errors.Is(err, ring.ErrGeometry), errors.Is(err, flash.ErrSize):
		return fmt.Errorf("%w; -force overwrites it", err)
	case err != nil:
		return err
	}
	list, err := router.ReadRing(at)
	if n := len(list.Bindings); n > 0 {
		return fmt.Errorf("%v: holds %s; -force forgets them", at, count(n, "lease"))
	}
	return err
}
