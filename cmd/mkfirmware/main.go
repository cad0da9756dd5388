// Mkfirmware packs what leasehold boots from: an initramfs, and around it the
// image that a board's boot loader takes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: mkfirmware command

commands:
  boards [-new NAME]   list the boards, or print a description to start from
  initramfs -board NAME [options] -o FILE
                       pack the initramfs alone, to be built into a kernel
  pack -board NAME -kernel FILE [options] [-kind KIND] [-o FILE]
                       pack an image that can be flashed, of the first of the
                       board's kinds; into build/images if not said otherwise
  inspect FILE|DIR     say what is in an image
  verify [-key FILE] FILE|DIR
                       find out whether an image is damaged, and who signed it
  fetch-kernel -board NAME [-o DIR]
                       get Debian's kernel for an emulated board, or build one
                       from Debian's sources where there is none

options of initramfs and pack:
  -dtb FILE            device tree, where the kernel does not have it
  -modules DIR         lib/modules/RELEASE of the kernel
  -config DIR          the owner's files: network, dhcp, leasehold
  -init full|slim      full: u-root's init and a rescue shell; slim: leasehold alone
  -tools FILE          the tools that are compiled otherwise, into build/
  -leasehold FILE      the binary; default build/leasehold-CPU
  -key FILE            secret key to sign the image with (pack only)

NAME is a board's name, or the path of a description of one's own. -kernel may
be a directory that fetch-kernel made, and has not to be given if that is in
build/kernels. For some boards -o is a directory.
`

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkfirmware:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errors.New("which command?")
	}
	command, args := args[0], args[1:]
	flags := flag.NewFlagSet("mkfirmware "+command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	switch command {
	case "boards":
		return runBoards(flags, args, stdout)
	case "initramfs":
		return runInitramfs(flags, args, stdout)
	case "pack":
		return runPack(flags, args, stdout)
	case "inspect":
		return runInspect(flags, args, stdout)
	case "verify":
		return runVerify(flags, args, stdout)
	case "fetch-kernel":
		return runFetch(flags, args, stdout)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	return fmt.Errorf("no command %q; there are boards, initramfs, pack, inspect, verify and fetch-kernel", command)
}

// parse reads flags and as many arguments after them as there have to be.
func parse(flags *flag.FlagSet, args []string, want int) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch n := flags.NArg(); {
	case n > want:
		return fmt.Errorf("%s: what is %q?", flags.Name(), flags.Arg(want))
	case n < want:
		return fmt.Errorf("%s: which file?", flags.Name())
	}
	return nil
}

// need complains of flags without which nothing can be done.
func need(flags *flag.FlagSet, names ...string) error {
	for _, name := range names {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%s: -%s is missing", flags.Name(), name)
		}
	}
	return nil
}
