package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// qemuEnv has the machines booted.
	qemuEnv = "LEASEHOLD_QEMU"
	// toBoot is how long a machine may take, emulated on a busy one.
	toBoot = 4 * time.Minute
)

// A booted is a street whose router is a machine.
type booted struct {
	*street
	*machine
}

// newBooted builds a street with a board in it that is switched off. The image is
// made as everybody makes it, of the kernel that make kernel got.
func newBooted(t *testing.T, board, ram, kind, init string) *booted {
	t.Helper()
	if os.Getenv(qemuEnv) == "" {
		t.Skipf("%s is not set", qemuEnv)
	}
	image := filepath.Join(t.TempDir(), "image")
	cmd := exec.Command("build/mkfirmware", "pack", "-board", board, "-kind", kind, "-init", init, "-o", image)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "no kernel") {
		t.Skipf("%s", out)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := newStreet(t, "")
	m, err := newMachine(s.network, board, image)
	check(t, err)
	m.ram = ram
	return &booted{s, m}
}

// on switches the machine on and waits until it serves.
func (b *booted) on() time.Duration {
	b.Helper()
	ctx, cancel := within(b.Context(), toBoot)
	defer cancel()
	check(b.T, b.machine.powerOn())
	b.street.proc = b.machine.proc
	b.owns(b.machine.proc)
	if b.byUBoot() {
		check(b.T, b.bootFIT(ctx))
	}
	return b.saysBy("msg=serving")
}

// saysBy waits for a line on the console and returns how long that was after the
// power came.
func (b *booted) saysBy(pattern string) time.Duration {
	b.Helper()
	ctx, cancel := within(b.Context(), toBoot)
	defer cancel()
	took, err := b.until(ctx, 0, pattern)
	check(b.T, err)
	return took
}

// types enters a line, and waits for what it comes to.
func (b *booted) types(line, pattern string) []string {
	b.Helper()
	mark := b.machine.proc.mark()
	check(b.T, b.enter(line))
	return b.street.says(b.machine.proc, mark, pattern)
}

// seen is what a laptop is shown of the machine.
func (b *booted) seen(l *laptop, path string) string {
	page, err := run(l.ns, "busybox", "wget", "-q", "-O", "-", "http://"+routerIP+path)
	if err != nil {
		return "" // it may boot, or be slow
	}
	return page
}

// TestBoardBoots: a board boots from nothing but a kernel and leasehold. Both of
// its sides work with programs of others, its power is cut again and again while
// addresses are given out, and at the next boot from the same flash every lease
// that was acknowledged is there.
func TestBoardBoots(t *testing.T) {
	for _, test := range []struct {
		board, ram, kind string
		cuts             int
		leases           int // before each, at least; all of them fit into the pool
	}{
		{"qemu_ast2600-evb", "", "qemu", 20, 4},
		{"qemu_malta-le", "64M", "qemu", 1, 20},
		{"qemu_malta-be", "64M", "qemu", 1, 20},
		{"qemu_virt-arm", "64M", "qemu", 1, 20},
		{"qemu_virt-arm", "", "itb", 1, 4},
		{"qemu_virt-arm64", "64M", "qemu", 1, 20},
		{"qemu_virt-arm64", "", "itb", 1, 4},
	} {
		t.Run(test.board+" "+test.kind, func(t *testing.T) {
			b := newBooted(t, test.board, test.ram, test.kind, "slim")
			provider := b.provider("1h")
			serving := b.on()
			anna := b.street.laptop("anna", 1, udhcpc{})
			b.boot(anna)
			lease := b.reports(anna, 0, "bound")
			first := time.Since(b.machine.on)
			if lease.server != routerIP {
				t.Errorf("anna reports %+v", lease)
			}
			if test.kind == "itb" {
				b.saysBy(`Hash\(es\) for Image 0 \(kernel-1\): crc32\+ sha1\+ *`)
				b.saysBy(`Hash\(es\) for Image 1 \(initrd-1\): crc32\+ sha1\+ *`)
			}
			b.saysBy("side=wan.*msg=bound|msg=bound.*side=wan")
			b.street.says(provider, 0, "DHCPACK.*"+machineWAN)
			b.eventually("anna on the page", func() bool { return strings.Contains(b.seen(anna, "/"), anna.mac) })
			t.Logf("serving %.1f s after power, first lease after %.1f s", serving.Seconds(), first.Seconds())

			ns, _, err := b.addLaptop("storm", 2)
			check(t, err)
			l, err := newLoad(ns)
			check(t, err)
			acked := map[uint32]netip.Addr{}
			for cut := range test.cuts {
				fresh := b.storm(t, l, uint32(cut)*1000, test.leases)
				again := b.on()
				t.Logf("serving again after %.1f s; %d leases were acknowledged before the cut", again.Seconds(), len(fresh))
				b.remembers(t, l, fresh)
				maps.Copy(acked, fresh)
			}
			b.remembers(t, l, acked)
			mark := anna.reports.mark()
			check(t, anna.client.renew(anna))
			if o := b.reports(anna, mark, "renewed"); o.ip != lease.ip || o.term != 12*time.Hour || o.dns != ispDNS {
				t.Errorf("anna had %s and reports %+v", lease.ip, o)
			}
			for line := range strings.Lines(b.seen(anna, "/metrics")) {
				if measured.MatchString(line) {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// measured are the figures of a board.
var measured = regexp.MustCompile("^leasehold_(ring_erases|ring_programmed|resident|free)")

// TestRescueShell: Enter opens a shell beside the router, with the tools of
// u-root. A router that is killed from it is started again, by a reboot, and its
// page has its last words.
func TestRescueShell(t *testing.T) {
	b := newBooted(t, "qemu_virt-arm64", "", "qemu", "full")
	b.on()
	b.saysBy(enterHint)
	b.types("", "shutdown -r reboots")
	b.types("cat /etc/leasehold/board", "option name 'qemu_virt-arm64'")
	b.types("ip a", "inet "+routerIP+"/24")
	b.types("echo $((6*7))", `(^|\$ )42\s*$`)
	b.types("ping -c 1 "+routerIP, "64 bytes from "+routerIP)
	router := b.types("ps", `^ *(\d+) .*leasehold`)[1]
	check(t, b.enter("kill -SIGHUP "+router))
	check(t, b.enter("sleep 1"))
	b.types("dmesg", "leasehold: .*reading the configuration again")
	b.types("leasehold leases", "the ring holds")
	check(t, b.enter("sleep 100"))
	check(t, b.press(ctrlZ)) // does nothing
	check(t, b.press(ctrlC))
	b.types("echo $((6*9))", `(^|\$ )54\s*$`)
	b.leaves(enterHint)
	b.types("", "shutdown -r reboots")
	b.types("kill -SIGQUIT "+router, "the machine is rebooted once the shell is.*the router ended with status 2.*SIGQUIT")
	const countdown = "the machine is rebooted.*in=10s.*the router ended with status 2.*SIGQUIT"
	b.leaves(countdown)
	b.types("", "The router has ended") // it stops
	b.leaves(countdown)
	b.saysBy("reboot: Restarting system")
	<-b.machine.proc.done
	b.on()
	anna := b.street.laptop("anna", 1, udhcpc{})
	b.boot(anna)
	b.reports(anna, 0, "bound")
	b.eventually("the last words", func() bool {
		return strings.Contains(b.seen(anna, "/"), "Its last words:</b>\n<pre>the router ended with status 2: SIGQUIT: quit")
	})
}

// leaves ends the shell, and waits for what that comes to.
func (b *booted) leaves(pattern string) {
	b.Helper()
	mark := b.machine.proc.mark()
	check(b.T, b.press(ctrlD))
	b.street.says(b.machine.proc, mark, pattern)
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlZ = "\x1a"
)

const enterHint = "Enter opens a shell"

// stormAtOnce is how many clients come at a time.
const stormAtOnce = 4

// storm has new clients take addresses, cuts the power meanwhile, when so many
// have one, and returns who was told that it has which.
func (b *booted) storm(t *testing.T, l *load, first uint32, most int) map[uint32]netip.Addr {
	t.Helper()
	var mu sync.Mutex
	acked := map[uint32]netip.Addr{}
	cut := make(chan struct{})
	enough := make(chan struct{})
	var crowd sync.WaitGroup
	for i := range stormAtOnce {
		crowd.Go(func() {
			for n := first + uint32(i); ; n += stormAtOnce {
				select {
				case <-cut:
					return
				default:
				}
				addr, err := l.lease(n)
				if err != nil {
					continue // nobody was told anything
				}
				mu.Lock()
				acked[n] = addr
				if len(acked) == most {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(patience):
	}
	time.Sleep(rand.N(100 * time.Millisecond))
	check(t, b.machine.powerCut())
	close(cut)
	crowd.Wait()
	if len(acked) < most {
		t.Fatalf("only %d leases before the cut; the machine said:\n%s", len(acked), b.machine.proc)
	}
	return acked
}

// lease has client n get an address from nothing.
func (l *load) lease(n uint32) (netip.Addr, error) {
	offer, err := l.ask(message(n, dhcpv4.MessageTypeDiscover))
	if err != nil {
		return netip.Addr{}, err
	}
	request := message(n, dhcpv4.MessageTypeRequest)
	request.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
	request.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
	ack, err := l.ask(request)
	if err != nil {
		return netip.Addr{}, err
	}
	addr, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	if ack.MessageType() != dhcpv4.MessageTypeAck || !ok {
		return netip.Addr{}, fmt.Errorf("client %d heard %v", n, ack.MessageType())
	}
	return addr, nil
}

// remembers has a stranger ask for each of the addresses, who must not get it,
// and then the client that has it.
func (b *booted) remembers(t *testing.T, l *load, acked map[uint32]netip.Addr) {
	t.Helper()
	users := map[netip.Addr]uint32{}
	for n, addr := range acked {
		if other, twice := users[addr]; twice {
			t.Errorf("%v was given to client %d and to client %d", addr, other, n)
		}
		users[addr] = n
		const stranger = 1 << 20
		if got := l.claims(t, stranger+n, addr); got != dhcpv4.MessageTypeNak {
			t.Errorf("%v is client %d's; a stranger who asked for it heard %v", addr, n, got)
		}
		if got := l.claims(t, n, addr); got != dhcpv4.MessageTypeAck {
			t.Errorf("client %d has %v, and heard %v", n, addr, got)
		}
	}
}

// claims has client n ask for an address as after a reboot.
func (l *load) claims(t *testing.T, n uint32, addr netip.Addr) dhcpv4.MessageType {
	t.Helper()
	request := message(n, dhcpv4.MessageTypeRequest)
	request.UpdateOption(dhcpv4.OptRequestedIPAddress(net.IP(addr.AsSlice())))
	for began := time.Now(); time.Since(began) < patience; { // an emulated machine may be slow
		if answer, err := l.ask(request); err == nil {
			return answer.MessageType()
		}
	}
	t.Errorf("client %d asked for %v for %v and was not answered", n, addr, patience)
	return dhcpv4.MessageTypeNone
}
