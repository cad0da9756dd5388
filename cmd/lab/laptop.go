package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An outcome is what a DHCP client says that it came to, in one vocabulary for
// all clients.
type outcome struct {
	what   string // bound, renewed, rebooted, released, refused, failed, expired
	ip     string
	term   time.Duration
	renew  time.Duration // T1, where the client says what it was told
	server string
	router string
	dns    string
	domain string
	raw    string // the client's own word
}

// A client is a DHCP client program that we did not write. All of them call a
// script with what happened, each in words of its own.
type client interface {
	program() string
	// script returns the body of the shell script that the client calls: it
	// sets the address and ends with a line for the report.
	script() string
	start(l *laptop) (*process, error)
	// renew asks for more time now, if the client can be told to.
	renew(l *laptop) error
	// reboot has the client begin again with what it remembers.
	reboot(l *laptop) error
	release(l *laptop) error
	word(raw string) string // in the vocabulary of outcome
}

// A laptop is a namespace on the LAN with a client in it.
type laptop struct {
	*network
	name, ns, mac string
	client        client
	proc          *process
	reports       *journal
	hear          func(string)
}

// newLaptop plugs a laptop in; its client is not started yet. told is called
// with each outcome, hear with each line that the client prints.
func (n *network) newLaptop(name string, port int, c client, told func(*laptop, outcome), hear func(string)) (*laptop, error) {
	ns, mac, err := n.addLaptop(name, port)
	if err != nil {
		return nil, err
	}
	l := &laptop{network: n, name: name, ns: ns, mac: mac, client: c, hear: hear}
	l.reports = newJournal(func(line string) {
		if told != nil {
			told(l, l.parse(line))
		}
	})
	if err := l.openReports(); err != nil {
		return nil, err
	}
	script := "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nreport=" + l.file("reports") + "\n" + c.script()
	return l, os.WriteFile(l.file("script"), []byte(script), 0o755)
}

func (l *laptop) file(name string) string { return l.dir + "/" + l.name + "." + name }

// openReports makes the pipe through which the script speaks to us.
func (l *laptop) openReports() error {
	if err := syscall.Mkfifo(l.file("reports"), 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(l.file("reports"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	go l.reports.readFrom(f)
	return nil
}

func (l *laptop) powerOn() (err error) {
	l.proc, err = l.client.start(l)
	return err
}

// parse reads the line that a script prints: the client's word, then key=value.
func (l *laptop) parse(line string) outcome {
	fields := strings.Fields(line)
	o := outcome{raw: line}
	for i, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		switch {
		case i == 0 && !ok:
			o.what = l.client.word(f)
		case key == "ip":
			o.ip = value
		case key == "lease":
			o.term = seconds(value)
		case key == "t1":
			o.renew = seconds(value)
		case key == "server":
			o.server = value
		case key == "router":
			o.router = value
		case key == "dns":
			o.dns = value
		case key == "domain":
			o.domain = value
		}
	}
	return o
}

func seconds(s string) time.Duration {
	n, _ := strconv.Atoi(s)
	return time.Duration(n) * time.Second
}

// await waits for an outcome of one of the kinds, told after mark.
func (l *laptop) await(ctx context.Context, mark int, kinds ...string) (outcome, error) {
	for {
		m, err := l.reports.await(ctx, mark, ".+")
		if err != nil {
			said := ""
			if l.proc != nil {
				said = l.proc.String()
			}
			return outcome{}, fmt.Errorf("%s (%s) was not %s in time; its client said:\n%s\nand reported:\n%s",
				l.name, l.client.program(), strings.Join(kinds, " or "), said, l.reports)
		}
		mark++
		o := l.parse(m[0])
		for _, k := range kinds {
			if o.what == k {
				return o, nil
			}
		}
	}
}

// refusals are what the client's script says of a NAK since mark, and what the
// client itself says.
func (l *laptop) refusals(mark int) []string {
	var bad []string
	for _, line := range l.reports.since(mark) {
		if l.parse(line).what == "refused" {
			bad = append(bad, line)
		}
	}
	for _, line := range l.proc.since(0) {
		if strings.Contains(line, "NAK") {
			bad = append(bad, line)
		}
	}
	return bad
}

// addr is the IPv4 address that the laptop's card has, by the kernel's account.
func (l *laptop) addr() string { return addrOf(l.ns, "eth0") }

func addrOf(ns, ifname string) string {
	out, _ := run(ns, "ip", "-4", "-o", "addr", "show", "dev", ifname)
	f := strings.Fields(out)
	for i, w := range f {
		if w == "inet" && i+1 < len(f) {
			a, _, _ := strings.Cut(f[i+1], "/")
			return a
		}
	}
	return ""
}
