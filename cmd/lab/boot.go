package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// bootBoard becomes QEMU with a board that mkfirmware packed into image, at this
// terminal. Both of its ports are at networks of QEMU's own that lead nowhere, each
// with a DHCP server: one is the provider, and the other one a stranger in the LAN.
// Page is where this machine is shown the page. What is on the flash stays.
func bootBoard(name, image, page string) error {
	host, port, err := net.SplitHostPort(page)
	if err != nil {
		return fmt.Errorf("the status page: %w", err)
	}
	e, err := newEmulation(name, image+".flash", image)
	if err != nil {
		return err
	}
	lan := e.board.Config().LAN.Addr
	args := e.arguments("",
		cable{"wan", machineWAN, "user,restrict=on"},
		cable{"lan", machineLAN, fmt.Sprintf("user,restrict=on,net=%v,host=%v,hostfwd=tcp:%s:%s-%v:80", lan.Masked(), lan.Addr().Next(), host, port, lan.Addr())})
	program, err := find(args[0])
	if err != nil {
		return err
	}
	fmt.Printf("%s\n\n%s\nThe page: http://%s/   Ctrl-A X ends it, as a reboot does, and %s.flash keeps what it wrote.\n\n", e.board.Model, strings.Join(args, " "), page, image)
	return syscall.Exec(program, args, os.Environ())
}
