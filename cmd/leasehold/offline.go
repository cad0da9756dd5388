package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"leasehold/firmware/config"
	"leasehold/firmware/router"
	"leasehold/firmware/status"
)

// runCheck prints the problems of a configuration and what is in force in spite
// of them. It fails if there is a mistake, not for a warning.
func runCheck(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	path := cmp.Or(flags.Arg(0), defaultConfig)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	cfg, problems := config.Parse(path, text)
	mistakes := 0
	for _, p := range problems {
		fmt.Fprintln(stdout, p)
		if !p.Warning {
			mistakes++
		}
	}
	fmt.Fprintf(stdout, "# in force:\n%s", config.Format(cfg))
	if mistakes > 0 {
		return fmt.Errorf("%s: %s", path, count(mistakes, "mistake"))
	}
	return nil
}

// runLeases prints a ring file as a table, also while a router writes it.
func runLeases(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("leases: which ring file?")
	}
	list, err := router.ReadRing(flags.Arg(0))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tHARDWARE ADDRESS\tNAME\tLEASE TIME\tCLIENT")
	for _, b := range list.Bindings {
		term := "infinite"
		if b.Term != config.Infinite {
			term = status.Duration(b.Term)
		}
		fmt.Fprintf(w, "%v\t%v\t%s\t%s\t%v\n", b.Addr, b.HW, cmp.Or(b.Name, "-"), term, b.ID)
	}
	w.Flush()
	for _, bad := range list.Bad {
		fmt.Fprintln(stdout, "not readable:", bad)
	}
	if list.WAN.Addr.IsValid() {
		from := "given back"
		if list.WAN.Server.IsValid() {
			from = "from " + list.WAN.Server.String()
		}
		fmt.Fprintf(stdout, "\nWAN port last had %v (%s).\n", list.WAN.Addr, from)
	}
	fmt.Fprintf(stdout, "\n%s; the ring holds %d of %d octets, segments erased %v times.\n",
		count(len(list.Bindings), "lease"), list.Health.Live, list.Health.Capacity, list.Health.Erases)
	if bad := len(list.Bad) + list.Health.Damaged; bad > 0 {
		return fmt.Errorf("%s: %s cannot be read", flags.Arg(0), count(bad, "record"))
	}
	return nil
}

// count says how many there are: "1 lease", "2 leases".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
