// Lab builds a whole small network on one machine, in network namespaces: an
// ISP with dnsmasq, a router that runs leasehold as it is shipped, and three
// laptops with three DHCP clients of other makers. It tells what happens and
// serves the router's page. When it ends nothing is left of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	err := lab(os.Args[1:])
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.As(err, new(*exec.ExitError)): // the program inside has said why
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func lab(args []string) error {
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	binary := flags.String("leasehold", "", "the leasehold `binary` to run on the router")
	page := flags.String("page", "127.0.0.1:8080", "where to serve the router's status page")
	short := flags.Bool("short", false, "short leases: show renewal, release, a power cut and the reboot, then end")
	measured := flags.String("measure", "", "measure leasehold beside other servers, with their stores in this `directory`")
	boot := flags.String("boot", "", "boot the emulated board of that `name` from -image, at this terminal")
	image := flags.String("image", "", "what mkfirmware packed for the board: a directory, or a FIT for U-Boot")
	need := flags.String("need", "", "only install what the lab (run), the tests (test), the emulated boards (qemu) or a kernel that is built (kernel) need")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *boot != "":
		return bootBoard(*boot, *image, *page)
	case *need == "test":
		return provideTest("build")
	case *need == "qemu":
		return provide(qemuTools)
	case *need == "kernel":
		return provide(kernelTools)
	case *need != "":
		return provide(labTools)
	case inside():
		return play(func(ctx context.Context) error {
			if *measured != "" {
				return measure(*binary, *measured)
			}
			s, err := newStory(os.Stdout, *binary, *short)
			if err != nil {
				return err
			}
			err = s.tell(ctx)
			switch {
			case ctx.Err() == nil:
				return err
			case *short:
				return errors.New("interrupted: not all of it happened")
			}
			return nil // an endless lab ends well by Ctrl-C
		})
	}
	if err := provide(labTools); err != nil {
		return err
	}
	if *measured != "" {
		if err := provideBench(*measured); err != nil {
			return err
		}
	}
	return outside(*page, *short || *measured != "")
}

// outside owns what belongs to the machine: the terminal, Ctrl-C and the port
// of the page, which it hands to the program inside.
func outside(page string, brief bool) error {
	cmd := enter()
	if l, err := net.Listen("tcp", page); err == nil {
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
		cmd.Env = append(cmd.Env, pageEnv+"="+page)
	} else if !brief {
		return fmt.Errorf("the status page: %w (make run PAGE=127.0.0.1:8081 moves it)", err)
	}
	if err := cmd.Start(); err != nil {
		return noNamespaces(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })()
	return cmd.Wait()
}

// play is the program inside: it runs one act until that ends, or we are told
// to.
func play(act func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	unix.CloseOnExec(pageFD) // it is nothing to those that we start
	if err := settle(); err != nil {
		return err
	}
	err := act(ctx)
	if ctx.Err() != nil {
		fmt.Println("\nThe lab is taken down; nothing is left of it.")
	}
	return err
}
