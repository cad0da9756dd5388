package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"time"

	"leasehold/firmware/boot"
	"leasehold/firmware/config"
)

// arguments has a program that is called /init, or as what u-root's init starts,
// boot the machine. What follows the name is then what the kernel did not
// understand of its command line.
func arguments(argv []string) []string {
	switch filepath.Base(argv[0]) {
	case "init", "uinit":
		return []string{"init"}
	}
	return argv[1:]
}

// runInit does not return as process 1: the kernel would panic.
func runInit(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	return boot.Run(boot.Options{
		Version: version,
		Log:     newLog(stderr, false, time.Now()),
		Console: stderr,
		Keys:    os.Stdin,
		Load:    func() (config.Config, []config.Problem) { return load(defaultConfig) },
		Router:  []string{"leasehold", "run"},
	})
}
