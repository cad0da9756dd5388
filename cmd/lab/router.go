package main

import (
	"fmt"
	"os"
	"syscall"

	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
	"leasehold/firmware/router"
)

// A box is the router: the namespace with its ports, and leasehold in it.
type box struct {
	*network
	binary []string // leasehold, with what it runs under
	hear   func(string)
	proc   *process
}

func (b *box) config() string { return b.dir + "/leasehold.conf" }
func (b *box) ring() string   { return b.dir + "/leasehold.ring" }
func (b *box) resolv() string { return b.dir + "/resolv.conf" }

// configure writes the router's configuration: the defaults, but for where the
// lab keeps its files, and what more says.
func (b *box) configure(more string) error {
	text := fmt.Sprintf("config leasehold\n\toption ring '%s'\n\toption resolv_file '%s'\n\n%s\n", b.ring(), b.resolv(), more)
	return os.WriteFile(b.config(), []byte(text), 0o644)
}

// powerOn starts leasehold as it is shipped.
func (b *box) powerOn() (err error) {
	b.proc, err = start(b.router, b.hear, append(b.binary, "run", "-v", "-c", b.config())...)
	return err
}

// powerCut kills leasehold in the middle of whatever it does, pulls the cables,
// and takes from the router what does not survive without power: addresses,
// routes and files in memory.
func (b *box) powerCut() error {
	if _, err := b.proc.end(syscall.SIGKILL); err != nil {
		return err
	}
	if err := b.cable("down"); err != nil {
		return err
	}
	os.Remove(b.resolv())
	return ip(b.router, "addr flush dev br-lan", "addr flush dev wan")
}

// powerBack plugs the cables in and starts leasehold again.
func (b *box) powerBack() error {
	if err := b.cable("up"); err != nil {
		return err
	}
	return b.powerOn()
}

// usedRing makes the ring of a router that knows of every address in use: it
// need not ask by ARP before it gives one. A ring that is there stays as it is.
func usedRing(path string) error {
	dev, err := flash.OpenFile(path, 4*flash.FileBlockSize)
	if err != nil {
		return err
	}
	defer dev.Close()
	r, err := ring.Open(dev)
	if err != nil {
		return err
	}
	return r.Put(ring.Entry{Key: router.CalmKey, Value: []byte{}})
}
