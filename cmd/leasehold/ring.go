package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
	"leasehold/firmware/router"
)

// runRing looks after the ring on a device.
func runRing(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("ring: info, verify or format?")
	}
	what, args := args[0], args[1:]
	end := atEnd(flags)
	force := flags.Bool("force", false, "format what is no ring too")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if what == "format" && flags.NArg() == 0 {
		return errors.New("ring format: which ring? All leases in it will be forgotten")
	}
	at, err := place(flags.Arg(0), *end)
	if err != nil {
		return err
	}
	switch what {
	case "info":
		return showRing(at, stdout)
	case "verify":
		return verifyRing(at, stdout)
	case "format":
		return formatRing(at, *force, stdout)
	}
	return fmt.Errorf("ring: no command %q; there are info, verify and format", what)
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
		return flash.Place{Path: cfg.Ring.Path, AtEnd: cfg.Ring.AtEnd}, nil
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
		fmt.Fprintf(w, "%#x\t%d\t%d\t%d\t%d\t%s\n", f.Off, f.Size, f.Fill, f.Sequence, f.Records, f.What)
	}
	w.Flush()
}

// verifyRing reads all there is and fails if some of it is damaged, or is not a
// ring's. What a power cut left torn is no damage: a ring is made for that.
func verifyRing(at flash.Place, stdout io.Writer) error {
	found, err := inspect(at)
	if err != nil {
		return err
	}
	bad := 0
	for _, f := range found {
		for _, off := range f.Damaged {
			bad++
			fmt.Fprintf(stdout, "offset %#x: damaged record in the segment at %#x, which is %s\n", off, f.Off, f.What)
		}
	}
	list, err := router.ReadRing(at)
	if err != nil {
		return err
	}
	for _, unreadable := range list.Bad {
		bad++
		fmt.Fprintln(stdout, unreadable)
	}
	if bad > 0 {
		return fmt.Errorf("%v: %s damaged; %s can be read", at, count(bad, "record"), count(len(list.Bindings), "lease"))
	}
	_, err = fmt.Fprintf(stdout, "%v: good; %s in %s\n", at, count(len(list.Bindings), "lease"), count(len(found), "segment"))
	return err
}

// formatRing makes an empty ring. What is neither a ring nor blank it leaves
// alone unless it is forced.
func formatRing(at flash.Place, force bool, stdout io.Writer) error {
	dev, err := flash.Open(at, 4*flash.FileBlockSize)
	if err != nil {
		return err
	}
	defer dev.Close()
	if _, err := ring.Open(dev); errors.Is(err, ring.ErrForeign) && !force {
		return fmt.Errorf("%v: %w; -force erases it", at, err)
	}
	if err := ring.Format(dev); err != nil {
		return fmt.Errorf("%v: %w", at, err)
	}
	_, err = fmt.Fprintf(stdout, "%v: an empty ring on %s of %d octets\n", at, count(dev.Blocks(), "erase block"), dev.BlockSize())
	return err
}
