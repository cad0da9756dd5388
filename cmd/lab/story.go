package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A story is one run of the lab, told as it happens.
type story struct {
	out     io.Writer
	short   bool
	began   time.Time
	mu      sync.Mutex // one voice at a time
	box     *box
	isp     *process
	laptops []*laptop
	guest   *laptop
}

// patience is how long the lab waits for anything.
const patience = time.Minute

func newStory(out io.Writer, binary string, short bool) (*story, error) {
	path, err := filepath.Abs(binary)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("-leasehold: %w", err)
	}
	s := &story{out: out, short: short, began: time.Now()}
	n, err := newNetwork("street")
	if err != nil {
		return nil, err
	}
	s.box = &box{network: n, binary: []string{path}, hear: s.onRouter}
	for i, c := range []client{udhcpc{}, dhclient{}, dhcpcd{}} {
		l, err := n.newLaptop([]string{"anna", "ben", "carla"}[i], i+1, c, s.onLaptop, nil)
		if err != nil {
			return nil, err
		}
		s.laptops = append(s.laptops, l)
	}
	return s, nil
}

// tell runs the whole story, or until ctx ends.
func (s *story) tell(ctx context.Context) error {
	s.title()
	if err := s.opening(ctx); err != nil {
		return err
	}
	if !s.short {
		s.chapter("Everybody has an address. The lab goes on until Ctrl-C.")
		if at, err := forwardPage(ctx, s.box.router, routerIP+":80"); err != nil {
			return err
		} else if at != "" {
			s.say("page", "the router's status page is at http://%s/", at)
		}
		<-ctx.Done()
		return ctx.Err()
	}
	for _, act := range []func(context.Context) error{s.renewals, s.releases, s.powerCut} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	s.chapter("All of it happened: bound, renewed, released, and every address kept over a power cut.")
	return nil
}

func (s *story) title() {
	version, _ := exec.Command(s.box.binary[0], "version").Output()
	router := strings.TrimSpace(string(version))
	pad := strings.Repeat(" ", len(router))
	fmt.Fprintf(s.out, `A street on this machine: each of its parts is a network namespace.

                                  %[2]s         ┌── anna   (busybox udhcpc)
  ISP (dnsmasq) ────── wan [ %[1]s ] br-lan ────┼── ben    (ISC dhclient)
  %[3]s               %[2]s  %[4]s  └── carla  (dhcpcd)
`, router, pad, ispAddr, routerIP)
}

// opening starts everybody and waits until all have an address.
func (s *story) opening(ctx context.Context) error {
	s.chapter("The ISP and the router are switched on")
	conf, ispOptions := "", []string(nil)
	if s.short {
		conf = "config dhcp 'lan'\n\toption leasetime '30s'\n"
		ispOptions = []string{"--dhcp-option=option:T1,10", "--dhcp-option=option:T2,60"}
	}
	if err := s.box.configure(conf); err != nil {
		return err
	}
	var err error
	if s.isp, err = s.box.startISP(s.onISP, "1h", ispOptions...); err != nil {
		return err
	}
	if err := s.box.powerOn(); err != nil {
		return err
	}
	ctx, cancel := within(ctx, patience)
	defer cancel()
	if err := s.routerSays(ctx, 0, `msg=serving`); err != nil {
		return err
	}
	if err := s.routerSays(ctx, 0, `msg=bound side=wan`); err != nil {
		return err
	}
	s.chapter("The laptops are switched on")
	for _, l := range s.laptops {
		if err := l.powerOn(); err != nil {
			return err
		}
	}
	return s.all(func(l *laptop) error {
		o, err := l.await(ctx, 0, "bound")
		if err != nil {
			return err
		}
		if have := l.addr(); have != o.ip {
			return fmt.Errorf("%s was given %s and has %s", l.name, o.ip, have)
		}
		return nil
	})
}

// renewals waits until each laptop, and the router at the ISP, has had its
// lease prolonged.
func (s *story) renewals(ctx context.Context) error {
	s.chapter("Half of the term goes by: everybody renews by itself")
	ctx, cancel := within(ctx, patience)
	defer cancel()
	err := s.all(func(l *laptop) error {
		return l.keeps(ctx, l.reports.mark(), l.addr(), "renewed")
	})
	if err != nil {
		return err
	}
	return s.routerSays(ctx, 0, `msg=renewed side=wan`)
}

// releases has the first laptop leave and come back: it finds its address.
func (s *story) releases(ctx context.Context) error {
	anna := s.laptops[0]
	s.chapter("anna leaves and gives her address back; then she returns")
	ctx, cancel := within(ctx, patience)
	defer cancel()
	before, heard, reported := anna.addr(), s.box.proc.mark(), anna.reports.mark()
	if err := anna.client.release(anna); err != nil {
		return err
	}
	if err := s.routerSays(ctx, heard, `msg=released .*addr=`+before); err != nil {
		return err
	}
	if _, err := anna.proc.end(syscall.SIGKILL); err != nil {
		return err
	}
	if err := anna.powerOn(); err != nil {
		return err
	}
	return anna.keeps(ctx, reported, before, "bound")
}

// powerCut takes the router's power away and gives it back.
func (s *story) powerCut(ctx context.Context) error {
	s.chapter("The power of the router fails, and returns")
	ctx, cancel := within(ctx, patience)
	defer cancel()
	before := map[*laptop]string{}
	for _, l := range s.laptops {
		before[l] = l.addr()
	}
	uplink := s.box.uplink()
	if err := s.box.powerCut(); err != nil {
		return err
	}
	s.say("router", "is dark: its process was killed, its addresses are gone, its cables are dead")
	if err := s.box.powerBack(); err != nil {
		return err
	}
	if err := s.routerSays(ctx, 0, `msg="leases recalled" .*leases=3`); err != nil {
		return err
	}
	if err := s.stranger(ctx, before[s.laptops[0]]); err != nil {
		return err
	}
	if err := s.routerSays(ctx, 0, `msg=bound side=wan`); err != nil {
		return err
	}
	if now := s.box.uplink(); now != uplink {
		return fmt.Errorf("the router had %q at the ISP and has %q after the power cut", uplink, now)
	}
	err := s.all(func(l *laptop) error {
		mark := l.reports.mark()
		if err := l.client.reboot(l); err != nil {
			return err
		}
		return l.keeps(ctx, mark, before[l], "bound", "rebooted")
	})
	if err != nil {
		return err
	}
	for _, line := range s.box.proc.since(0) {
		if strings.Contains(line, "answer=NAK") {
			return fmt.Errorf("the router refused somebody after the power cut: %s", line)
		}
	}
	return nil
}

// stranger has a new laptop ask for an address that is somebody else's, before
// that one has spoken: only a router that remembers gives it another one.
func (s *story) stranger(ctx context.Context, wanted string) error {
	dora, err := s.box.newLaptop("dora", len(s.laptops)+1, udhcpc{[]string{"-r", wanted}}, s.onLaptop, nil)
	if err != nil {
		return err
	}
	s.say("dora", "is new here and asks for %s, which is %s's", wanted, s.laptops[0].name)
	if err := dora.powerOn(); err != nil {
		return err
	}
	s.guest = dora
	o, err := dora.await(ctx, 0, "bound")
	if err == nil && o.ip == wanted {
		err = fmt.Errorf("the router gave %s to a stranger", wanted)
	}
	return err
}

// keeps waits for one of the outcomes and checks that the address is the one
// the laptop had, by the client's account and by the kernel's, and that nobody
// refused it in between.
func (l *laptop) keeps(ctx context.Context, mark int, before string, kinds ...string) error {
	o, err := l.await(ctx, mark, kinds...)
	switch {
	case err != nil:
		return err
	case o.ip != before:
		return fmt.Errorf("%s had %s and was %s with %s", l.name, before, o.what, o.ip)
	case l.addr() != before:
		return fmt.Errorf("%s was %s with %s and has %q", l.name, o.what, o.ip, l.addr())
	}
	if bad := l.refusals(mark); len(bad) > 0 {
		return fmt.Errorf("%s was refused: %v", l.name, bad)
	}
	return nil
}

// uplink is the WAN port's address, by the kernel's account.
func (b *box) uplink() string { return addrOf(b.router, "wan") }

// all does something for each laptop at once.
func (s *story) all(do func(*laptop) error) error {
	errs := make([]error, len(s.laptops))
	var wg sync.WaitGroup
	for i, l := range s.laptops {
		wg.Go(func() { errs[i] = do(l) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// routerSays waits for a line of leasehold's after mark.
func (s *story) routerSays(ctx context.Context, mark int, pattern string) error {
	if _, err := s.box.proc.await(ctx, mark, pattern); err != nil {
		return fmt.Errorf("%w; the router said:\n%s", err, s.box.proc)
	}
	return nil
}

func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%v have passed", d))
}

func (s *story) chapter(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n%s\n", title)
}

// say tells one event: when, who, what.
func (s *story) say(who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%6.1f s  %-7s %s\n", time.Since(s.began).Seconds(), who, fmt.Sprintf(format, args...))
}

// onISP tells what dnsmasq logs of its side of the WAN cable.
func (s *story) onISP(line string) {
	for word, meaning := range map[string]string{
		"DHCPDISCOVER": "hears DHCPDISCOVER: somebody looks for a server",
		"DHCPOFFER":    "sends DHCPOFFER: offers %s",
		"DHCPREQUEST":  "hears DHCPREQUEST: the router wants %s",
		"DHCPACK":      "sends DHCPACK: %s is the router's",
		"DHCPNAK":      "sends DHCPNAK: refuses %s",
		"DHCPRELEASE":  "hears DHCPRELEASE: %s is given back",
	} {
		_, rest, ok := strings.Cut(line, " "+word+"(eth0) ")
		if !ok {
			continue
		}
		if strings.Contains(meaning, "%s") {
			addr, _, _ := strings.Cut(rest, " ")
			meaning = fmt.Sprintf(meaning, addr)
		}
		s.say("ISP", "%s", meaning)
	}
}

// onRouter tells what leasehold logs.
func (s *story) onRouter(line string) {
	f := logFields(line)
	if f["side"] == "wan" && f["level"] == "INFO" {
		s.onWAN(f)
		return
	}
	who := cmp.Or(f["name"], f["client"])
	switch f["msg"] {
	case "serving":
		s.say("router", "serves %s on %s: gives out %s to %s", f["addr"], f["device"], f["from"], f["to"])
	case "leases recalled":
		if f["leases"] != "0" {
			s.say("router", "remembers %s leases from its ring", f["leases"])
		}
	case "offered":
		s.say("router", "%s asked for an address (DHCPDISCOVER); offers %s (DHCPOFFER)", who, f["addr"])
	case "bound":
		s.say("router", "%s wants %s (DHCPREQUEST); it is in the ring now, so: yes, for %s (DHCPACK)", who, f["addr"], f.span("term"))
	case "renewed":
		s.say("router", "%s renews %s for another %s", who, f["addr"], f.span("term"))
	case "kept its address over a reboot":
		s.say("router", "%s asks to keep %s: yes, for %s", who, f["addr"], f.span("term"))
	case "released":
		s.say("router", "%s gives %s back (DHCPRELEASE)", who, f["addr"])
	default:
		if f["answer"] == "NAK" {
			s.say("router", "refuses %s to %s (DHCPNAK): %s", f["addr"], who, f["msg"])
		} else if f["level"] == "ERROR" || f["level"] == "WARN" {
			s.say("router", "%s", line)
		}
	}
}

// onWAN tells what the router's WAN side came to.
func (s *story) onWAN(f fields) {
	switch f["msg"] {
	case "looking for a server":
		s.say("router", "WAN: asks who has an address for it (DHCPDISCOVER)")
	case "offered":
		s.say("router", "WAN: is offered %s by %s (DHCPOFFER)", f["addr"], f["server"])
	case "asking":
		s.say("router", "WAN: wants %s of %s (DHCPREQUEST)", f["addr"], f["server"])
	case "asking whether the address is still ours":
		s.say("router", "WAN: remembers %s and asks whether it is still its own (DHCPREQUEST)", f["addr"])
	case "granted, asking the link whether it is free":
		s.say("router", "WAN: is granted %s (DHCPACK); asks by ARP whether somebody uses it", f["addr"])
	case "bound":
		s.say("router", "WAN: has %s for %s, will renew in %s", f["addr"], f.span("for"), f.span("renew_in"))
	case "asking for more time":
		s.say("router", "WAN: wants to keep %s (DHCPREQUEST)", f["addr"])
	case "renewed":
		s.say("router", "WAN: has %s for another %s, will renew in %s", f["addr"], f.span("for"), f.span("renew_in"))
	default:
		s.say("router", "WAN: %s %s", f["msg"], f["addr"])
	}
}

// onLaptop tells what a client reports.
func (s *story) onLaptop(l *laptop, o outcome) {
	switch o.what {
	case "bound", "renewed", "rebooted":
		when := "after half of that"
		if o.renew > 0 {
			when = "in " + span(o.renew)
		}
		s.say(l.name, "%s reports %q: has %s for %s from %s, will renew %s",
			l.client.program(), strings.Fields(o.raw)[0], o.ip, span(o.term), o.server, when)
	case "refused", "failed":
		s.say(l.name, "%s reports %q", l.client.program(), strings.Fields(o.raw)[0])
	case "expired":
		s.say(l.name, "%s reports %q: gives its address up for now", l.client.program(), strings.Fields(o.raw)[0])
	}
}
