package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// A server is a DHCP server for the router's LAN, to be measured.
type server struct {
	name string
	// start starts it with a pool of a size and its leases in a file.
	start func(pool int, store string) (*process, error)
}

const (
	homePool = 1000
	widePool = 64000
)

// measure compares leasehold with dnsmasq, which too has an ACK wait until the
// lease is on disk, one after the other on the same wires. Stores are made under
// dir: what a sync costs there is part of the figures.
func measure(binary, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "measure")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fmt.Printf("%-10s %14s %9s %9s %6s %12s %12s %14s\n", "", "new leases/s", "p50", "p99", "lost",
		"RSS, 3", "RSS, 250", "first OFFER")
	for i, name := range []string{"leasehold", "dnsmasq"} {
		n, err := newNetwork(fmt.Sprintf("m%d", i))
		if err != nil {
			return err
		}
		ns, _, err := n.addLaptop("crowd", 1)
		if err != nil {
			return err
		}
		l, err := newLoad(ns)
		if err != nil {
			return err
		}
		s := server{"leasehold", n.leasehold(binary)}
		if name == "dnsmasq" {
			s = server{name, n.dnsmasq}
		}
		if err := s.measure(l, tmp+"/"+name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	fmt.Println(`
new leases/s: 32 clients at a time, each exchange by a client not seen before, for 5 s, from a pool of 64000;
p50 and p99: from DISCOVER to ACK; RSS: resident memory with so many leases; first OFFER: from exec to the first answered DISCOVER with 250 leases stored`)
	return nil
}

// leasehold serves 192.168.0.0/16 on br-lan.
func (n *network) leasehold(binary string) func(int, string) (*process, error) {
	return func(pool int, store string) (*process, error) {
		conf := n.dir + "/leasehold.conf"
		text := fmt.Sprintf("config leasehold\n\toption ring '%s'\n\toption resolv_file '%s/resolv.conf'\n"+
			"config interface 'lan'\n\tlist ipaddr '192.168.1.1/16'\nconfig interface 'wan'\n\toption proto 'none'\n"+
			"config dhcp 'lan'\n\toption start '1000'\n\toption limit '%d'\n\toption leasetime '1h'\n", store, n.dir, pool)
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return start(n.router, nil, binary, "run", "-c", conf)
	}
}

// dnsmasq does the same.
func (n *network) dnsmasq(pool int, store string) (*process, error) {
	path, err := find("dnsmasq")
	if err != nil {
		return nil, err
	}
	if err := ip(n.router, "addr replace 192.168.1.1/16 dev br-lan"); err != nil {
		return nil, err
	}
	first := netip.MustParseAddr("192.168.3.232").As4()
	last := first
	binary.BigEndian.PutUint32(last[:], binary.BigEndian.Uint32(first[:])+uint32(pool)-1)
	return start(n.router, nil, path, "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root",
		"--port=0", "--no-ping", "--quiet-dhcp", "--interface=br-lan", "--bind-interfaces", "--dhcp-authoritative",
		"--pid-file="+n.dir+"/dnsmasq.pid", "--dhcp-leasefile="+store, "--dhcp-lease-max=70000",
		fmt.Sprintf("--dhcp-range=%v,%v,255.255.0.0,1h", netip.AddrFrom4(first), netip.AddrFrom4(last)))
}

func (s server) measure(l *load, store string) error {
	p, err := s.up(l, homePool, store, 1<<24)
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
	began := time.Now()
	if p, err = s.up(l, homePool, store, 2<<24); err != nil {
		return err
	}
	first := time.Since(began)
	p.end(syscall.SIGKILL)
	if p, err = s.up(l, widePool, store+".wide", 3<<24); err != nil {
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
func (s server) up(l *load, pool int, store string, first uint32) (*process, error) {
	p, err := s.start(pool, store)
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
