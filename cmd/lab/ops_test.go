package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSIGTERMEndsWithinASecond, with everything running. The bound is what the
// owner is promised; an idle machine takes a tenth of it.
func TestSIGTERMEndsWithinASecond(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.provider("1h")
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	s.says(s.proc, 0, `msg="status page"`)
	took, err := s.proc.end(syscall.SIGTERM)
	check(t, err)
	if took > time.Second {
		t.Errorf("took %v", took)
	}
	if !strings.Contains(s.proc.String(), `msg="leasehold ends"`) {
		t.Errorf("it did not end in an orderly way:\n%s", s.proc)
	}
}

// TestSIGHUPReadsTheConfigurationAgain: new lease time, a reservation, and a
// mistake that spoils only itself; nobody loses a lease.
func TestSIGHUPReadsTheConfigurationAgain(t *testing.T) {
	t.Parallel()
	const base = "config interface 'wan'\n\toption proto 'none'\n"
	s := newStreet(t, base)
	s.on()
	anna := s.laptop("anna", 1, udhcpc{})
	s.boot(anna)
	before := s.reports(anna, 0, "bound")
	check(t, s.configure(base+`
config dhcp 'lan'
	option leasetime '2h'
	option limit 'many'
config host
	option name 'ben'
	option mac '02:00:5e:00:03:02'
	option ip '192.168.1.77'
`))
	mark := s.proc.mark()
	s.proc.signal(syscall.SIGHUP)
	s.says(s.proc, mark, "reading the configuration again")
	s.says(s.proc, mark, "leasehold.conf:[0-9]+: .*limit")
	mark = anna.reports.mark()
	check(t, anna.client.renew(anna))
	after := s.reports(anna, mark, "renewed")
	if before.term != 12*time.Hour || after.term != 2*time.Hour || before.ip != after.ip {
		t.Errorf("before %+v, after %+v", before, after)
	}
	ben := s.laptop("ben", 2, dhclient{})
	s.boot(ben)
	if o := s.reports(ben, 0, "bound"); o.ip != "192.168.1.77" {
		t.Errorf("ben has %s", o.ip)
	}
	s.eventually("the mistake on the page", func() bool { return strings.Contains(s.page(), "limit") })
}

// TestOneSideDiesAlone: the LAN bridge goes away and comes back. The WAN side
// notices nothing, and the LAN serves again by itself.
func TestOneSideDiesAlone(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	isp := s.provider("1h", "--dhcp-option=option:T1,10", "--dhcp-option=option:T2,20")
	s.on()
	anna := s.laptop("anna", 1, udhcpc{})
	s.boot(anna)
	before := s.reports(anna, 0, "bound").ip
	s.says(s.proc, 0, `msg=bound side=wan`)

	check(t, ip(s.router, "link del br-lan"))
	s.says(s.proc, 0, `msg="lan stopped"`)
	mark := isp.mark()
	s.says(isp, mark, "DHCPACK") // a renewal, while the LAN is down
	back := s.proc.mark()        // it is found at once
	check(t, ip(s.router,
		"link add br-lan address 02:00:5e:00:02:01 type bridge forward_delay 0",
		"link set br-lan up", "link set lan1 master br-lan"))
	s.says(s.proc, back, "msg=serving")
	mark = anna.reports.mark()
	check(t, anna.client.renew(anna))
	if o := s.reports(anna, mark, "renewed"); o.ip != before {
		t.Errorf("had %s and now has %s", before, o.ip)
	}
	if strings.Contains(s.proc.String(), `msg="wan stopped"`) {
		t.Error("the WAN side went down with the LAN")
	}
}

// TestWallClockDoesNotMatter: the router boots in 1970 and its clock jumps by
// fifty years and back while it runs. It is the binary for MIPS under
// qemu-user, whose view of the wall clock libfaketime sets.
func TestWallClockDoesNotMatter(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config dhcp 'lan'\n\toption leasetime '1h'\n")
	clock := s.dir + "/clock"
	set := func(year int) {
		check(t, os.WriteFile(clock, []byte(fmt.Sprintf("@%d-01-01 00:00:10\n", year)), 0o644))
	}
	s.binary = []string{"env",
		"LD_PRELOAD=" + fakeTime(t), "FAKETIME_TIMESTAMP_FILE=" + clock, "FAKETIME_NO_CACHE=1",
		"FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_RESET=1", "TZ=UTC",
		"qemu-mipsel", shipped(t, "mipsle")}
	set(1970)
	s.provider("1h")
	s.on()
	anna, ben := s.laptop("anna", 1, udhcpc{}), s.laptop("ben", 2, dhclient{})
	s.boot(anna)
	bound := s.reports(anna, 0, "bound")
	s.says(s.proc, 0, `msg=bound side=wan`)
	uplink := s.uplink()
	s.pageAgrees(1970)

	for _, year := range []int{2020, 1971, 2069} {
		set(year)
		s.seesYear(year)
		mark := anna.reports.mark()
		check(t, anna.client.renew(anna))
		if o := s.reports(anna, mark, "renewed"); o.ip != bound.ip || o.term != time.Hour {
			t.Errorf("in %d %s became %s for %v", year, bound.ip, o.ip, o.term)
		}
		if now := s.uplink(); now != uplink {
			t.Errorf("in %d the uplink %s became %q", year, uplink, now)
		}
		s.pageAgrees(year)
	}
	s.boot(ben)
	if o := s.reports(ben, 0, "bound"); o.ip == bound.ip || o.term != time.Hour {
		t.Errorf("ben got %+v while anna has %s", o, bound.ip)
	}
	if said := s.proc.String(); strings.Contains(said, "expired") || strings.Contains(said, "link is back") && strings.Count(said, "bound to") > 1 {
		t.Errorf("something happened by the clock:\n%s", said)
	}
}

// fakeTime is where Debian's packages have the library.
func fakeTime(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if err != nil || len(found) == 0 {
		t.Fatalf("libfaketimeMT.so.1 is not there: %v", err)
	}
	return found[0]
}

// seesYear makes sure that the clock that the router is shown has jumped: a
// program that prints the year is asked, built and run in the same way.
func (s *street) seesYear(year int) {
	s.Helper()
	witness := s.dir + "/year"
	if _, err := os.Stat(witness); err != nil {
		build := exec.Command("go", "build", "-o", witness, "testdata/year.go")
		build.Env = append(os.Environ(), "GOARCH=mipsle", "GOMIPS=softfloat", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			s.Fatalf("%v: %s", err, out)
		}
	}
	env := s.binary[:len(s.binary)-1]
	out, err := run(s.router, append(slices.Clone(env), witness)...)
	check(s.T, err)
	if strings.TrimSpace(out) != fmt.Sprint(year) {
		s.Fatalf("the clock says %s; want %d", out, year)
	}
}

// pageAgrees looks for what a wrong clock would show: another year, or a time
// left that is not that of an hour's lease.
func (s *street) pageAgrees(year int) {
	s.Helper()
	s.eventually("anna on the page", func() bool { return strings.Contains(s.page(), "<td>anna<td>") })
	page := s.page()
	if m := regexp.MustCompile(`<td>anna<td>\d+ min.*<td>bound<td>`).FindString(page); m == "" {
		s.Errorf("in %d the page says:\n%s", year, page)
	}
	if m := regexp.MustCompile(`up for \d+ (s|min)`).FindString(page); m == "" || strings.Contains(page, "1970") {
		s.Errorf("in %d the page says:\n%s", year, page)
	}
}

// TestThirtyTwoBits runs a binary for a 32-bit CPU on this kernel, with all of
// its system calls: an emulator of user programs leaves some out. Routers have
// 32 bits, and Go's 64-bit atomics panic there if they are not aligned.
func TestThirtyTwoBits(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("only x86-64 kernels run programs for 386")
	}
	binary := t.TempDir() + "/leasehold-386"
	build := exec.Command("go", "build", "-o", binary, "../leasehold")
	build.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := exec.Command(binary, "version").Run(); errors.Is(err, syscall.ENOEXEC) {
		t.Skip("this kernel runs no programs for 386")
	}
	s := newStreet(t, "")
	s.binary = []string{binary}
	s.provider("1h")
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	l := s.laptop("anna", 1, udhcpc{})
	s.boot(l)
	s.reports(l, 0, "bound")
	s.eventually("anna on the page", func() bool { return strings.Contains(s.page(), "<td>anna<td>") })
	if said := s.proc.String(); strings.Contains(said, "level=ERROR") {
		t.Errorf("the router complains:\n%s", said)
	}
}
