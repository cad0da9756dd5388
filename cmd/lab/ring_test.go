package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

const (
	noWAN = "config interface 'wan'\n\toption proto 'none'\n"
	// lent is how long an address is lent that cannot be kept on flash.
	lent = 10 * time.Minute
	// mended is how soon the router has tried again what did not work.
	mended = 90 * time.Second
)

// TestFloodDoesNotWearTheFlashOut: when forged clients have used the budget up,
// new clients get short leases that nothing is written for, and the old ones go
// on as before. A power cut forgets the short ones, but gives nobody an address
// that is still in use.
func TestFloodDoesNotWearTheFlashOut(t *testing.T) {
	t.Parallel()
	// Options before the first section belong to that with which the lab begins.
	s := newStreet(t, "\toption flash_cycles '1'\n\toption flash_years '100'\n"+noWAN)
	check(t, usedRing(s.ring()))
	s.on()
	anna, ben := s.laptop("anna", 1, udhcpc{}), s.laptop("ben", 2, udhcpc{})
	s.boot(anna)
	kept := s.reports(anna, 0, "bound")
	f := s.flood(3)
	f.until(t, func(term time.Duration) bool { return term <= lent })
	s.says(s.proc, 0, `kept="in memory only"`)
	s.eventually("the router sparing the flash", func() bool { return s.metric("ring_sparing") == 1 })

	s.boot(ben)
	short := s.reports(ben, 0, "bound")
	if short.term != lent {
		t.Errorf("ben reports %+v; want %v", short, lent)
	}
	row := regexp.MustCompile("<td>" + regexp.QuoteMeta(short.ip) + "<td>ben<td>.*<td>lent<td>")
	s.eventually("ben on the page", func() bool { return row.MatchString(s.page()) })
	if why := "more was written than the flash can take for 100 years"; !strings.Contains(s.page(), why) {
		t.Errorf("the page does not say %q", why)
	}
	s.renews(anna, kept.ip, 12*time.Hour)
	before, programmed := s.stored(s.ring()), s.metric("ring_programmed_bytes_total")
	f.takes(t, 60, lent)
	s.renews(anna, kept.ip, 12*time.Hour)
	if !bytes.Equal(before, s.stored(s.ring())) || s.metric("ring_programmed_bytes_total") != programmed {
		t.Error("the ring was written to although it is to be spared")
	}

	check(t, s.powerCut())
	check(t, s.powerBack())
	s.owns(s.proc)
	s.says(s.proc, 0, "msg=serving")
	if answer := f.claims(t, short.ip); answer != dhcpv4.MessageTypeNak {
		t.Errorf("who asked for %s, which ben uses, heard %v", short.ip, answer)
	}
	s.says(s.proc, 0, `address is in use without a lease.*addr=`+regexp.QuoteMeta(short.ip)+` by=`+ben.mac)
	stranger, err := run(f.ns, "busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", "/bin/true", "-r", short.ip)
	check(t, err)
	if m := regexp.MustCompile(`lease of (\S+) obtained`).FindStringSubmatch(stranger); m == nil || m[1] == short.ip || m[1] == kept.ip {
		t.Errorf("a stranger asked for %s, which ben uses; anna has %s:\n%s", short.ip, kept.ip, stranger)
	}
	s.renews(anna, kept.ip, 12*time.Hour)

	offer := s.frame("dhcp.option.dhcp == 2 && dhcp.hw.mac_addr == " + ben.mac)
	if probe := s.frame("arp.opcode == 1 && arp.src.proto_ipv4 == 192.168.1.1 && arp.dst.proto_ipv4 == " + short.ip); probe > offer {
		t.Errorf("%s was offered in frame %d and probed first in frame %d", short.ip, offer, probe)
	}
}

// TestForeignFileIsNoRing: something else where the ring should be stays as it
// is, and the router works without a ring. Once the owner has formatted it, the
// router takes it by itself.
func TestForeignFileIsNoRing(t *testing.T) {
	t.Parallel()
	s := newStreet(t, noWAN)
	something := []byte("hsqs" + strings.Repeat("\x07", 256<<10-4))
	check(t, os.WriteFile(s.ring(), something, 0o600))
	const what = "offset 0x0: not a ring and not blank: 68 73 71 73 .*perhaps a SquashFS"
	s.on()
	s.says(s.proc, 0, "leases are not kept over a reboot and therefore short.*"+what)
	anna := s.laptop("anna", 1, dhcpcd{})
	s.boot(anna)
	o := s.reports(anna, 0, "bound")
	if o.term != lent {
		t.Errorf("anna reports %+v; want %v", o, lent)
	}
	s.eventually("the reason on the page", func() bool { return regexp.MustCompile(what).MatchString(s.page()) })
	if out, err := s.command("ring", "format", s.ring()); err == nil || !regexp.MustCompile(what+"; -force").MatchString(out) {
		t.Errorf("ring format: %v\n%s", err, out)
	}
	if !bytes.Equal(s.stored(s.ring()), something) {
		t.Error("what is no ring was changed")
	}
	out, err := s.command("ring", "format", "-force", s.ring())
	check(t, err)
	if !strings.Contains(out, "an empty ring on 4 erase blocks") {
		t.Errorf("ring format -force said %s", out)
	}
	s.mends(anna, o.ip, s.ring())
	if out, err := s.command("ring", "format", "-force", s.ring()); err == nil || !strings.Contains(out, "in use by another process") {
		t.Errorf("ring format of the router's ring: %v\n%s", err, out)
	}
}

// TestRingWithNoPlaceToBe: on a full or a read-only file system the router works
// without a ring, and makes one as soon as it can.
func TestRingWithNoPlaceToBe(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		why  string
		full bool
	}{
		{"full", "no space left on device", true},
		{"read-only", "read-only file system", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, "")
			dir, free := s.fullDisk, s.freeDisk
			if !tc.full {
				dir, free = s.readOnlyDisk, s.writableDisk
			}
			path := dir() + "/ring"
			check(t, s.configure("\toption ring '"+path+"'\n"+noWAN))
			s.on()
			s.says(s.proc, 0, "leases are not kept over a reboot and therefore short.*"+tc.why)
			anna := s.laptop("anna", 1, udhcpc{})
			s.boot(anna)
			o := s.reports(anna, 0, "bound")
			if o.term != lent {
				t.Errorf("anna reports %+v; want %v", o, lent)
			}
			s.eventually("the reason on the page", func() bool { return strings.Contains(s.page(), tc.why) })
			free()
			s.mends(anna, o.ip, path)
		})
	}
}

func (s *street) disk() string { return s.dir + "/disk" }

// fullDisk mounts a file system on which there is no room for a ring.
func (s *street) fullDisk() string {
	s.mount("lab", s.disk(), "tmpfs", 0, "size=512k")
	check(s.T, os.WriteFile(s.disk()+"/filler", make([]byte, 400<<10), 0o600))
	return s.disk()
}

func (s *street) freeDisk() { check(s.T, os.Remove(s.disk()+"/filler")) }

// readOnlyDisk mounts a file system twice: what is changed by the first mount is
// seen by the second also in the router's namespace, which has a copy of both.
func (s *street) readOnlyDisk() string {
	s.mount("lab", s.disk(), "tmpfs", 0, "")
	s.mount(s.disk(), s.dir+"/seen", "", unix.MS_BIND, "")
	s.mount("", s.disk(), "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	return s.dir + "/seen"
}

func (s *street) writableDisk() { s.mount("", s.disk(), "", unix.MS_REMOUNT, "") }

func (s *street) mount(from, to, kind string, flags uintptr, options string) {
	s.Helper()
	check(s.T, os.MkdirAll(to, 0o755))
	check(s.T, unix.Mount(from, to, kind, flags, options))
}

// wide is a network that has room for a large pool of a given size.
const wide = noWAN + "config interface 'lan'\n\tlist ipaddr '192.168.1.1/16'\nconfig dhcp 'lan'\n\toption start '356'\n\toption limit '%d'\n"

// TestRingFollowsThePool: a larger pool has the ring grow with all that is in
// it, and of a ring that was cut short is read what can be.
func TestRingFollowsThePool(t *testing.T) {
	t.Parallel()
	s := newStreet(t, fmt.Sprintf(wide, 20))
	s.on()
	had := map[*laptop]string{}
	for i, name := range []string{"anna", "ben"} {
		l := s.laptop(name, i+1, udhcpc{})
		s.boot(l)
		had[l] = s.reports(l, 0, "bound").ip
	}
	small := len(s.stored(s.ring()))
	check(t, s.configure(fmt.Sprintf(wide, 2000)))
	reboot := func() {
		t.Helper()
		check(t, s.powerBack())
		s.owns(s.proc)
		s.says(s.proc, 0, "msg=serving")
	}
	check(t, s.powerCut())
	reboot()
	s.says(s.proc, 0, `msg="leases recalled" .*leases=2`)
	large := len(s.stored(s.ring()))
	if large <= small {
		t.Errorf("for 20 leases the ring has %d octets, and for 2000 %d", small, large)
	}
	for _, left := range []int{large, large - 64<<10, large - 64<<10 - 1, large/2 + 3, 100, 0} {
		for l, ip := range had {
			s.renews(l, ip, 12*time.Hour)
		}
		check(t, s.powerCut())
		check(t, os.Truncate(s.ring(), int64(left)))
		reboot()
		if got := len(s.stored(s.ring())); got != large {
			t.Errorf("after all but %d octets were lost, the ring has %d; want %d", left, got, large)
		}
	}
	for l, ip := range had {
		s.renews(l, ip, 12*time.Hour)
		if bad := l.refusals(0); len(bad) > 0 {
			t.Errorf("%s was refused: %v", l.name, bad)
		}
		if out, err := s.command("leases", s.ring()); err != nil || !strings.Contains(out, ip+" ") {
			t.Errorf("%s, which %s has, is not in the ring: %v\n%s", ip, l.name, err, out)
		}
	}
}

// TestRingWithoutRoomToGrow: where the file system has no room for the larger
// ring, the smaller one goes on.
func TestRingWithoutRoomToGrow(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.mount("lab", s.disk(), "tmpfs", 0, "size=400k")
	where := "\toption ring '" + s.disk() + "/ring'\n"
	check(t, s.configure(where+fmt.Sprintf(wide, 20)))
	s.on()
	anna, ben := s.laptop("anna", 1, udhcpc{}), s.laptop("ben", 2, dhclient{})
	s.boot(anna)
	had := s.reports(anna, 0, "bound").ip
	small := s.stored(s.disk() + "/ring")
	check(t, s.powerCut())
	check(t, s.configure(where+fmt.Sprintf(wide, 2000)))
	check(t, s.powerBack())
	s.owns(s.proc)
	s.says(s.proc, 0, "the ring was made for fewer leases")
	s.renews(anna, had, 12*time.Hour)
	s.boot(ben)
	if o := s.reports(ben, 0, "bound"); o.term != 12*time.Hour {
		t.Errorf("ben reports %+v; want 12 h", o)
	}
	if left := s.stored(s.disk() + "/ring"); len(left) != len(small) {
		t.Errorf("the ring had %d octets and has %d", len(small), len(left))
	}
}

// renews has a client ask for more time, and wants it to keep its address.
func (s *street) renews(l *laptop, ip string, term time.Duration) {
	s.Helper()
	mark := l.reports.mark()
	check(s.T, l.client.renew(l))
	if o := s.reports(l, mark, "renewed"); o.ip != ip || o.term != term {
		s.Errorf("%s had %s and renewed %s for %v; want %v", l.name, ip, o.ip, o.term, term)
	}
}

// mends waits for the router to keep leases again that it could not keep, and
// has a client renew.
func (s *street) mends(l *laptop, ip, path string) {
	s.Helper()
	ctx, cancel := within(s.Context(), mended)
	defer cancel()
	if _, err := s.proc.await(ctx, 0, "the ring takes leases again"); err != nil {
		s.Fatalf("%v; the router said:\n%s", err, s.proc)
	}
	s.renews(l, ip, 12*time.Hour)
	out, err := s.command("leases", path)
	check(s.T, err)
	if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(ip) + ` .* 12 h `).MatchString(out) {
		s.Errorf("the ring does not have %s for 12 h:\n%s", ip, out)
	}
	s.eventually("no trouble", func() bool { return s.metric("ring_trouble") == 0 })
}

// command runs leasehold as the owner does on the router's console.
func (s *street) command(args ...string) (string, error) {
	return run(s.router, append(slices.Clone(s.binary), args...)...)
}

// stored is what stands in a ring file.
func (s *street) stored(path string) []byte {
	s.Helper()
	b, err := os.ReadFile(path)
	check(s.T, err)
	return b
}

// metric is one of the figures that a monitor reads from the router.
func (s *street) metric(name string) float64 {
	s.Helper()
	out := s.seen("/metrics")
	m := regexp.MustCompile(`(?m)^leasehold_` + name + ` (\S+)$`).FindStringSubmatch(out)
	if m == nil {
		s.Fatalf("no %s in:\n%s", name, out)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	check(s.T, err)
	return n
}

// frame is the number of the first frame that was captured on the LAN.
func (s *street) frame(filter string) int {
	s.Helper()
	numbers := s.packets(filter, "frame.number")
	if len(numbers) == 0 {
		s.Fatalf("no frame with %s", filter)
	}
	n, err := strconv.Atoi(numbers[0])
	check(s.T, err)
	return n
}

// A flood is clients without end, none seen before, on a few addresses: each
// takes one and gives it back.
type flood struct {
	*load
	ns   string
	next uint32
}

// flood plugs in the machine from which it comes.
func (s *street) flood(port int) *flood {
	s.Helper()
	ns, _, err := s.addLaptop("crowd", port)
	check(s.T, err)
	l, err := newLoad(ns)
	check(s.T, err)
	return &flood{load: l, ns: ns, next: 1}
}

const (
	// floodAtOnce is how many of its clients come at a time: no more than the
	// router probes addresses for.
	floodAtOnce = 6
	// floodAtMost is more than any budget of these tests.
	floodAtMost = 20_000
)

// until has clients come until one of them is told a term that is met.
func (f *flood) until(t *testing.T, met func(term time.Duration) bool) {
	t.Helper()
	for i := 0; i < floodAtMost; i += floodAtOnce {
		for _, term := range f.wave(t) {
			if met(term) {
				return
			}
		}
	}
	t.Fatalf("%d forged clients, and none was told what the test waits for", floodAtMost)
}

// takes has n clients come, of which all are to be told the same term.
func (f *flood) takes(t *testing.T, n int, want time.Duration) {
	t.Helper()
	for i := 0; i < n; i += floodAtOnce {
		for _, term := range f.wave(t) {
			if term != want {
				t.Fatalf("a forged client was told %v; want %v", term, want)
			}
		}
	}
}

// wave returns the terms that the next clients are told.
func (f *flood) wave(t *testing.T) []time.Duration {
	t.Helper()
	terms, errs := make([]time.Duration, floodAtOnce), make([]error, floodAtOnce)
	var crowd sync.WaitGroup
	for i := range floodAtOnce {
		n := f.next
		f.next++
		crowd.Go(func() { terms[i], errs[i] = f.visit(n, net.IPv4(192, 168, 1, byte(240+i))) })
	}
	crowd.Wait()
	for _, err := range errs {
		check(t, err)
	}
	return terms
}

// visit has client n take an address and give it back.
func (f *flood) visit(n uint32, addr net.IP) (time.Duration, error) {
	request := message(n, dhcpv4.MessageTypeRequest)
	request.UpdateOption(dhcpv4.OptRequestedIPAddress(addr))
	ack, err := f.ask(request)
	if err != nil {
		return 0, err
	}
	if ack.MessageType() != dhcpv4.MessageTypeAck {
		return 0, fmt.Errorf("client %d asked for %v and heard %v", n, addr, ack.MessageType())
	}
	release := message(n, dhcpv4.MessageTypeRelease)
	release.ClientIPAddr = addr
	release.UpdateOption(dhcpv4.OptServerIdentifier(ack.ServerIdentifier()))
	return ack.IPAddressLeaseTime(0), f.shout(release)
}

// claims has a client that nobody knows ask for an address as if it had had it
// before its reboot, and returns what it is answered.
func (f *flood) claims(t *testing.T, addr string) dhcpv4.MessageType {
	t.Helper()
	request := message(f.next, dhcpv4.MessageTypeRequest)
	f.next++
	request.UpdateOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(addr)))
	answer, err := f.ask(request)
	check(t, err)
	return answer.MessageType()
}
