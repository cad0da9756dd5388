package main

import (
	"fmt"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// measurePerf has Kea's perfdhcp ask leasehold for leases at a steady rate, each
// faster until something is lost. For IPv4 it is always a relay agent: of the LAN
// itself, to everybody and to us alone, and of a network behind one.
func measurePerf(binary, tmp, apart string) error {
	c, err := newCrowd("perf")
	if err != nil {
		return err
	}
	if err := ip(c.ns, "addr add 192.168.0.2/16 dev eth0", "addr add 10.9.0.2/16 dev eth0"); err != nil {
		return err
	}
	path, env, err := locate("perfdhcp", apart)
	if err != nil {
		fmt.Printf("perfdhcp is left out: %v\n", err)
		return nil
	}
	command := append(append([]string{"env"}, env...), path, "-4", "-p", strconv.Itoa(int(perfTime/time.Second)), "-R", "60000", "-u",
		"-W", "1000000") // what is under way at the end is not lost
	fmt.Printf("%-28s %12s %14s %8s %8s %10s\n", "perfdhcp as relay agent", "asked/s", "exchanges/s", "sent", "dropped", "avg delay")
	for i, mode := range []struct {
		name string
		args []string
	}{
		{"of the LAN, to everybody", []string{"-l", "eth0", "-B", "all"}},
		{"of the LAN", []string{"-l", "192.168.0.2", "192.168.1.1"}},
		{"of another network", []string{"-l", "10.9.0.2", "192.168.1.1"}},
	} {
		for _, r := range []int{250, 500, 1000, 2000, 4000, 8000} {
			store := fmt.Sprintf("%s/perf%d-%d", tmp, i, r)
			p, err := c.leasehold(binary)(plan{pool: widePool, term: time.Hour, store: store, more: office})
			if err != nil {
				return err
			}
			if err := c.firstOffer(uint32(10+i)<<20 + uint32(r)); err != nil {
				return fmt.Errorf("%w; it said:\n%s", err, p)
			}
			if err := ip("", "-n "+c.router+" route replace 10.9.0.0/16 dev br-lan"); err != nil {
				return err
			}
			out, _ := run(c.ns, append(append(command, "-r", strconv.Itoa(r)), mode.args...)...) // it fails where something was lost
			p.end(syscall.SIGKILL)
			f := perfFigures(out)
			fmt.Printf("%-28s %12d %14d %8d %8d %10s\n", mode.name, r, f.perSecond(), f.sent, f.dropped, f.delay)
			if f.sent == 0 {
				return fmt.Errorf("perfdhcp said:\n%s", out)
			}
			if f.dropped > 0 {
				break
			}
		}
	}
	return nil
}

// office is a network behind relay agents.
const office = "config dhcp 'office'\n\toption subnet '10.9.0.0/16'\n\toption start '1000'\n\toption limit '60000'\n"

const perfTime = 5 * time.Second

// A perf is what perfdhcp says: messages of both kinds together.
type perf struct {
	delay         string
	sent, dropped int
}

// perSecond is how many exchanges there were, two messages each.
func (f perf) perSecond() int { return (f.sent - f.dropped) / 2 / int(perfTime/time.Second) }

func perfFigures(out string) (f perf) {
	if m := regexp.MustCompile(`avg delay: (.*)`).FindStringSubmatch(out); m != nil {
		f.delay = m[1]
	}
	sum := func(what string) (n int) {
		for _, m := range regexp.MustCompile(what+`: (\d+)`).FindAllStringSubmatch(out, -1) {
			i, _ := strconv.Atoi(m[1])
			n += i
		}
		return n
	}
	f.sent, f.dropped = sum("sent packets"), sum("drops")
	return f
}
