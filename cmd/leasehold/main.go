// Leasehold is the DHCP heart of a small router: it serves addresses on the LAN
// bridge, holds the WAN port's lease, keeps both in a ring that survives power
// cuts, and shows what it does on a page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the linker.
var version = "development"

const usage = `usage: leasehold [command]

commands:
  run [-c FILE] [-v]   be the router (the default command)
  check [FILE]         say what is wrong with a configuration, and what is in force
  leases [-f FORMAT] [RING]
                       print the leases in a ring; FORMAT is table, json or dnsmasq
  ring info [RING]     say what stands where in a ring
  ring verify [RING]   read all of it, and name the places that are damaged
  ring format [-force] RING
                       make an empty ring; -force: also where there are leases,
                       or something else
  init                 boot the machine that an initramfs is on, and be its router
  version              print the version

FILE is ` + defaultConfig + ` where none is given; a router without that
file serves 192.168.1.1/24 on br-lan. SIGHUP has it read again. RING is a plain
file, mtd:NAME or /dev/mtdN, with -at-end 256k only the end of that partition;
where none is given it is the ring that FILE names.
`

const defaultConfig = "/etc/config/leasehold"

func main() {
	err := run(arguments(os.Args), os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "leasehold:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	command := "run"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("leasehold "+command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	switch command {
	case "run":
		return runRouter(flags, args, stderr)
	case "check":
		return runCheck(flags, args, stdout)
	case "ring":
		return runRing(flags, args, stdout)
	case "leases":
		return runLeases(time.Now(), flags, args, stdout)
	case "init":
		return runInit(flags, args, stderr)
	case "version":
		fmt.Fprintln(stdout, "leasehold", version)
		return nil
	case "help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	return fmt.Errorf("no command %q; there are run, check, leases, ring, init, version and help", command)
}

func runRouter(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	path := flags.String("c", defaultConfig, "configuration `file`")
	verbose := flags.Bool("v", false, "log offers and renewals too")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // who reads our log may go; we stay
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	return serve(ctx, *path, *verbose, hup, stderr)
}

// parse reads flags and the arguments after them, of which there may be most.
func parse(flags *flag.FlagSet, args []string, most int) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > most {
		return fmt.Errorf("%s: what is %q?", flags.Name(), flags.Arg(most))
	}
	return nil
}
