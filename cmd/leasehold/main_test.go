package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"leasehold/firmware/config"
)

// write puts text into a file of the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunTable(t *testing.T) {
	for _, tc := range []struct {
		args           string
		stdout, stderr string // parts of them
		err            string
	}{
		{"version", "leasehold development\n", "", ""},
		{"help", "usage: leasehold", "", ""},
		{"-h", "", "usage: leasehold", "help requested"},
		{"run -h", "", "usage: leasehold", "help requested"},
		{"check -h", "", "usage: leasehold", "help requested"},
		{"serve", "", "", `no command "serve"; there are run, check, leases, ring, init, version and help`},
		{"run now", "", "", `leasehold run: what is "now"?`},
		{"run -x", "", "usage: leasehold", "flag provided but not defined: -x"},
		{"check a b", "", "", `leasehold check: what is "b"?`},
		{"check /nowhere/leasehold", "", "", "no such file"},
		{"leases -h", "", "usage: leasehold", "help requested"},
		{"leases -f xml /nowhere/ring", "", "", `leases: no format "xml"; there are table, json and dnsmasq`},
		{"leases -f", "", "usage: leasehold", "flag needs an argument: -f"},
		{"leases a b", "", "", `leasehold leases: what is "b"?`},
		{"leases /nowhere/ring", "", "", "no such file"},
		{"leases -at-end 64k /nowhere/ring", "", "", "open /nowhere/ring: only an MTD partition has a part at its end"},
		{"ring", "", "", "ring: info, verify or format?"},
		{"ring -h", "", "usage: leasehold", "help requested"},
		{"ring info -h", "", "usage: leasehold", "help requested"},
		{"ring erase /nowhere/ring", "", "", `ring: no command "erase"; there are info, verify and format`},
		{"ring verify a b", "", "", `ring verify: what is "b"?`},
		{"ring info -force /nowhere/ring", "", "", "ring info: -force is for format only"},
		{"ring info -at-end lots /nowhere/ring", "", "", "-at-end: 'lots' is no size such as 256k or 1M"},
		{"ring info -at-end -1 /nowhere/ring", "", "", "-at-end: '-1' is no size such as 256k or 1M"},
		{"ring verify -at-end 64k /nowhere/ring", "", "", "open /nowhere/ring: only an MTD partition has a part at its end"},
		{"ring format -force", "", "", "ring format: which ring? All leases in it will be forgotten"},
		{"ring format /nowhere/ring", "", "", "create /nowhere/ring: "},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(strings.Fields(tc.args), &stdout, &stderr)
			switch {
			case tc.err == "" && err != nil:
				t.Errorf("run = %v; want no error", err)
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("run = %v; want an error with %q", err, tc.err)
			}
			for _, out := range []struct{ name, got, want string }{
				{"stdout", stdout.String(), tc.stdout}, {"stderr", stderr.String(), tc.stderr},
			} {
				if !strings.Contains(out.got, out.want) || out.want == "" && out.got != "" {
					t.Errorf("%s = %q; want %q", out.name, out.got, out.want)
				}
			}
		})
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	if err := run([]string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("run(-h) = %v; want flag.ErrHelp, which main takes for success", err)
	}
}

func TestCheckGood(t *testing.T) {
	path := write(t, "leasehold", "config dhcp 'lan'\n\toption leasetime '30m'\n")
	var out bytes.Buffer
	if err := run([]string{"check", path}, &out, io.Discard); err != nil {
		t.Errorf("check = %v; want no error", err)
	}
	in, ok := strings.CutPrefix(out.String(), "# in force:\n")
	if !ok {
		t.Fatalf("check printed %q; want what is in force, and nothing before it", out.String())
	}
	cfg, problems := config.Parse("again", []byte(in))
	if len(problems) > 0 || cfg.LAN.LeaseTime != 30*time.Minute {
		t.Errorf("what check prints reads as %v, %v; want 30 minutes and no problems", cfg.LAN.LeaseTime, problems)
	}
}

func TestCheckWarningIsNoFailure(t *testing.T) {
	path := write(t, "leasehold", "config interface 'guest'\n\toption device 'br-guest'\n")
	var out bytes.Buffer
	if err := run([]string{"check", path}, &out, io.Discard); err != nil {
		t.Errorf("check = %v; want no error for a warning", err)
	}
	if !strings.HasPrefix(out.String(), path+":1: warning: ") {
		t.Errorf("check printed %q; want the warning with its line", out.String())
	}
}

func TestCheckBad(t *testing.T) {
	path := write(t, "leasehold", "config dhcp 'lan'\n\toption leasetime 'soon'\n\toption limit '10'\n")
	var out bytes.Buffer
	err := run([]string{"check", path}, &out, io.Discard)
	if err == nil || err.Error() != path+": 1 mistake" {
		t.Errorf("check = %v; want 1 mistake", err)
	}
	first, rest, _ := strings.Cut(out.String(), "\n")
	if !strings.HasPrefix(first, path+":2: ") || !strings.Contains(first, "leasetime") {
		t.Errorf("check printed %q; want %s:2 and the option", first, path)
	}
	if !strings.Contains(rest, "option limit '10'") || !strings.Contains(rest, "option leasetime '12h'") {
		t.Errorf("check printed %q; want the good entry and the default in force", rest)
	}
}

// What readethers asks for is read as the router reads it, and is in force.
func TestCheckReadsEthers(t *testing.T) {
	asks := write(t, "leasehold", "config dnsmasq\n\toption readethers '1'\n")
	asksNot := write(t, "leasehold", "config dnsmasq\n\toption readethers '0'\n")
	ethers := write(t, "ethers", "02:00:00:00:00:01 192.168.1.20\n02:00:00:00:00:02 10.0.0.1\n")
	var out bytes.Buffer
	if err := check(asks, ethers, &out); err == nil || err.Error() != asks+": 1 mistake" {
		t.Errorf("check = %v; want 1 mistake", err)
	}
	if !strings.HasPrefix(out.String(), ethers+":2: '10.0.0.1' is outside the LAN") || !strings.Contains(out.String(), "option ip '192.168.1.20'") {
		t.Errorf("check printed\n%s\nwant the mistake with its file and line, and the other host in force", &out)
	}
	out.Reset()
	if err := check(asksNot, ethers, &out); err != nil || strings.Contains(out.String(), "192.168.1.20") {
		t.Errorf("without being asked: check = %v, printed\n%s", err, &out)
	}
}

// A router does not know the date, so its log must not pretend to.
func TestLogHasNoDates(t *testing.T) {
	for verbose, want := range map[bool]string{
		false: `^up=1m\d+\.\d+s level=INFO msg=bound addr=192\.0\.2\.7\n$`,
		true:  `^up=1m\d+\.\d+s level=INFO msg=bound addr=192\.0\.2\.7\nup=1m\S+ level=DEBUG msg=offered time=x\n$`,
	} {
		var out bytes.Buffer
		log := newLog(&out, verbose, time.Now().Add(-72*time.Second-345*time.Millisecond))
		log.Info("bound", "addr", "192.0.2.7")
		log.Debug("offered", "time", "x")
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the log is %q; want %s", &out, want)
		}
	}
}

func TestLoad(t *testing.T) {
	cfg, problems := load(filepath.Join(t.TempDir(), "none"))
	if len(problems) != 1 || !problems[0].Warning || cfg.LAN.Device != "br-lan" {
		t.Errorf("load of no file = %v on %s; want the defaults and a warning", problems, cfg.LAN.Device)
	}
	cfg, problems = load(t.TempDir())
	if len(problems) != 1 || problems[0].Warning || cfg.LAN.Device != "br-lan" {
		t.Errorf("load of a directory = %v on %s; want the defaults and a problem", problems, cfg.LAN.Device)
	}
	cfg, problems = load(write(t, "leasehold", "config interface 'lan'\n\toption device 'lan1'\n"))
	if len(problems) != 0 || cfg.LAN.Device != "lan1" {
		t.Errorf("load = %v on %s; want lan1", problems, cfg.LAN.Device)
	}
}

// A console is a log that can be read while it is written.
type console struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

func (c *console) has(word string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.b.String(), word)
}

func (c *console) awaits(t *testing.T, word string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !c.has(word); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log never had %q:\n%s", word, c.b.String())
		}
	}
}

// The router of this test has ports that do not exist, so it touches nothing.
func TestServeLivesAndEndsInOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "leasehold")
	text := "config interface 'lan'\n\toption device 'none0'\n" +
		"config interface 'wan'\n\toption proto 'none'\n" +
		"config leasehold\n\toption page_port '0'\n\toption ring '" + dir + "/ring'\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hup := make(chan os.Signal, 1)
	out := &console{}
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, path, false, hup, out) }()
	out.awaits(t, "leasehold starts")
	out.awaits(t, "interface none0")

	text = strings.Replace(text, "none0", "none1", 1)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	hup <- syscall.SIGHUP
	out.awaits(t, "reading the configuration again")
	out.awaits(t, "interface none1")

	began := time.Now()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("serve = %v; want nil", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("serve goes on after its context has ended")
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("it took %v to end; want less than a second", d)
	}
	out.awaits(t, "leasehold ends")
	if err := run([]string{"leases", dir + "/ring"}, io.Discard, io.Discard); err != nil {
		t.Errorf("the ring that is left: %v", err)
	}
}
