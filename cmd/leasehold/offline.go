package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"

	"leasehold/firmware/config"
)

// runCheck prints the problems of a configuration and what is in force in spite
// of them. It fails if there is a mistake, not for a warning.
func runCheck(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	return check(cmp.Or(flags.Arg(0), defaultConfig), config.EthersFile, stdout)
}

func check(path, ethers string, stdout io.Writer) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	cfg, problems := understand(path, text, ethers)
	cfg.ReadEthers = false // its hosts stand with the others
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

// count says how many there are: "1 lease", "2 leases".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
