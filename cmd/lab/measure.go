package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

const (
	homePool = 1000
	widePool = 64000
)

// measure compares leasehold with other servers. Stores are made under dir:
// what a sync costs there is part of the figures.
func measure(binary, dir string) error {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // as strace prints it
	}
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "measure")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := measureSpeed(binary, tmp); err != nil {
		return err
	}
	fmt.Println()
	if err := measurePerf(binary, tmp, filepath.Join(dir, peersDir)); err != nil {
		return err
	}
	fmt.Println()
	return measureWritten(binary, tmp, filepath.Join(dir, peersDir))
}

// measureSpeed compares with dnsmasq, which too has an ACK wait until the lease
// is on disk, one after the other on the same wires.
func measureSpeed(binary, tmp string) error {
	fmt.Printf("%-10s %14s %9s %9s %6s %12s %12s %14s\n", "", "new leases/s", "p50", "p99", "lost",
		"RSS, 3", "RSS, 250", "first OFFER")
	for i := range 2 {
		c, err := newCrowd(fmt.Sprintf("m%d", i))
		if err != nil {
			return err
		}
		s := c.server(i, binary)
		if err := s.measure(c.load, tmp+"/"+s.name); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	fmt.Println(`
new leases/s: 32 clients at a time, each exchange by a client not seen before, for 5 s, from a pool of 64000;
p50 and p99: from DISCOVER to ACK; RSS: resident memory with so many leases; first OFFER: from exec to the first answered DISCOVER with 250 leases stored`)
	return nil
}

// A crowd is a network whose only laptop is many clients.
type crowd struct {
	*network
	*load
	ns string // of the laptop
}

func newCrowd(name string) (crowd, error) {
	n, err := newNetwork(name)
	if err != nil {
		return crowd{}, err
	}
	ns, _, err := n.addLaptop("crowd", 1)
	if err != nil {
		return crowd{}, err
	}
	l, err := newLoad(ns)
	return crowd{n, l, ns}, err
}

func (s server) measure(l *load, store string) error {
	home := plan{pool: homePool, term: time.Hour, store: store}
	p, err := s.up(l, home, 1<<24)
	if err != nil {
		return err
	}
	var rss [2]string
	n := uint32(0)
	for i, leases := range []uint32{3, 250} {
		for ; n < leases; n++ {
			if err := l.exchange(n); err != nil {
				return err
			}
		}
		rss[i] = resident(p.cmd.Process.Pid)
	}
	if _, err := p.end(syscall.SIGKILL); err != nil {
		return err
	}
	if p, err = s.up(l, home, 2<<24); err != nil {
		return err
	}
	first := time.Since(p.began)
	p.end(syscall.SIGKILL)
	if p, err = s.up(l, plan{pool: widePool, term: time.Hour, store: store + ".wide"}, 3<<24); err != nil {
		return err
	}
	r := l.run(1000, 32, 5*time.Second)
	fmt.Printf("%-10s %14.0f %9s %9s %6d %12s %12s %14s\n", s.name, r.perSecond,
		r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), r.lost, rss[0], rss[1], first.Round(time.Millisecond))
	_, err = p.end(syscall.SIGKILL)
	return err
}

// up starts the server and returns when it has answered a client; the numbers
// of those that ask begin at first.
func (s server) up(l *load, pl plan, first uint32) (*process, error) {
	p, err := s.start(pl)
	if err != nil {
		return nil, err
	}
	if err := l.firstOffer(first); err != nil {
		return nil, fmt.Errorf("%w; it said:\n%s", err, p)
	}
	return p, nil
}

// resident is the resident memory of a process.
func resident(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+ kB)`).FindSubmatch(b)
	if m == nil {
		return "?"
	}
	return string(m[1])
}
