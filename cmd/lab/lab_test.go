package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the tests in namespaces of their own, as the lab runs. What
// they start ends with them.
func TestMain(m *testing.M) {
	if inside() {
		if err := settle(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			os.Exit(1)
		}
		flag.Parse()
		flag.Set("test.parallel", "8") // they wait more than they work
		os.Exit(m.Run())
	}
	os.Exit(outsideTest())
}

func outsideTest() int {
	if err := provideTest("../../build"); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	cmd := enter()
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", noNamespaces(err))
		return 1
	}
	if err := cmd.Wait(); err != nil {
		return 1
	}
	return 0
}

// shipped is the binary that `make build` made for a CPU.
func shipped(t *testing.T, cpu string) string {
	t.Helper()
	path, err := filepath.Abs("../../build/leasehold-" + cpu)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; run make build first", err)
	}
	return path
}

var networks atomic.Int32

// A street is a network for one test, with everything that is sent on the
// router's two sides captured.
type street struct {
	*testing.T
	*box
	captures map[string]*process // by file
}

// newStreet builds a network with a configured router that is not switched on.
// At the end of the test tshark looks at everything that the router sent.
func newStreet(t *testing.T, conf string) *street {
	t.Helper()
	n, err := newNetwork(fmt.Sprintf("t%d", networks.Add(1)))
	check(t, err)
	s := &street{T: t, box: &box{network: n, binary: []string{shipped(t, runtime.GOARCH)}}, captures: map[string]*process{}}
	check(t, s.configure(conf))
	s.record(n.router, "br-lan", n.dir+"/lan.pcapng")
	s.record(n.isp, "eth0", n.dir+"/wan.pcapng") // the far end of the cable is never switched off
	t.Cleanup(s.dissect)
	return s
}

func (s *street) record(ns, ifname, file string) {
	s.Helper()
	p := s.spawn(ns, "dumpcap", "-q", "-i", ifname, "-w", file)
	s.says(p, 0, "^File: ")
	s.captures[file] = p
}

// recorded ends the captures. dumpcap hands on what it has a few times a second,
// and throws away the rest when it is told to end.
func (s *street) recorded() {
	paused := false
	for _, p := range s.captures {
		select {
		case <-p.done:
			continue
		default:
		}
		if !paused {
			time.Sleep(time.Second)
			paused = true
		}
		p.end(syscall.SIGINT)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spawn starts a program that ends with the test.
func (s *street) spawn(ns string, args ...string) *process {
	s.Helper()
	p, err := start(ns, nil, args...)
	check(s.T, err)
	s.owns(p)
	return p
}

// owns has a process end with the test.
func (s *street) owns(p *process) {
	s.Cleanup(func() {
		select {
		case <-p.done:
		default:
			p.end(syscall.SIGKILL)
		}
	})
}

// on switches the router on.
func (s *street) on() {
	s.Helper()
	check(s.T, s.powerOn())
	s.owns(s.proc)
}

// says waits for a line.
func (s *street) says(p *process, mark int, pattern string) []string {
	s.Helper()
	return s.saysIn(patience, p, mark, pattern)
}

// saysIn waits for a line that may take longer.
func (s *street) saysIn(d time.Duration, p *process, mark int, pattern string) []string {
	s.Helper()
	ctx, cancel := within(s.Context(), d)
	defer cancel()
	m, err := p.await(ctx, mark, pattern)
	if err != nil {
		s.Fatalf("%v; what was said:\n%s", err, p)
	}
	return m
}

// provider starts dnsmasq as the ISP.
func (s *street) provider(leaseTime string, more ...string) *process {
	s.Helper()
	p, err := s.startISP(nil, leaseTime, more...)
	check(s.T, err)
	s.owns(p)
	return p
}

// laptop plugs a laptop in, switched off.
func (s *street) laptop(name string, port int, c client) *laptop {
	s.Helper()
	l, err := s.newLaptop(name, port, c, nil, nil)
	check(s.T, err)
	return l
}

// boot switches a laptop on.
func (s *street) boot(l *laptop) {
	s.Helper()
	check(s.T, l.powerOn())
	s.owns(l.proc)
}

// reports waits for an outcome.
func (s *street) reports(l *laptop, mark int, kinds ...string) outcome {
	s.Helper()
	ctx, cancel := within(s.Context(), patience)
	defer cancel()
	o, err := l.await(ctx, mark, kinds...)
	if err != nil {
		s.Fatalf("%v\nthe router said:\n%s", err, s.proc)
	}
	return o
}

// eventually waits for something that is seen only by looking.
func (s *street) eventually(what string, ok func() bool) {
	s.Helper()
	for began := time.Now(); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > patience {
			s.Fatalf("not seen in %v: %s; the router said:\n%s", patience, what, s.proc)
		}
	}
}

// packets are the lines that tshark prints of what was captured.
func (s *street) packets(filter string, fields ...string) []string {
	s.Helper()
	s.recorded()
	var lines []string
	for file := range s.captures {
		args := []string{"-r", file, "-Y", filter}
		if len(fields) > 0 {
			args = append(args, "-T", "fields")
		}
		for _, f := range fields {
			args = append(args, "-e", f)
		}
		var stderr strings.Builder
		cmd := exec.Command("tshark", args...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			s.Fatalf("tshark %q: %v: %s", filter, err, stderr.String())
		}
		for line := range strings.Lines(string(out)) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// ours is every UDP packet that the router sent, by the addresses of its ports.
const ours = "udp && (eth.src == 02:00:5e:00:01:01 || eth.src == 02:00:5e:00:02:01 || eth.src == 02:00:5e:00:02:02 || eth.src == " + clonedMAC + ")"

// clonedMAC is what the router's WAN port may be told to have.
const clonedMAC = "02:00:5e:00:01:09"

// dissect has tshark, with its defaults, read all that the router sent: every
// packet is DHCP and nothing is to be warned of.
func (s *street) dissect() {
	if len(s.packets(ours)) == 0 {
		s.Error("the router sent nothing")
	}
	for _, filter := range []string{"!dhcp", "_ws.malformed", `_ws.expert.severity >= "Warning"`} {
		if bad := s.packets(ours + " && (" + filter + ")"); len(bad) > 0 {
			s.Errorf("tshark finds %s in:\n%s", filter, strings.Join(bad, "\n"))
		}
	}
	if s.Failed() && s.proc != nil {
		s.Logf("the router said:\n%s", s.proc)
	}
}

// page is what a browser in the router's network is shown.
func (s *street) page() string {
	s.Helper()
	return s.seen("/")
}

// seen is what it is shown at another path.
func (s *street) seen(path string) string {
	s.Helper()
	out, err := run(s.router, "busybox", "wget", "-q", "-O", "-", "http://"+routerIP+path)
	check(s.T, err)
	return out
}
