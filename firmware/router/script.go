package router

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"leasehold/dhcp/client"
)

// A script is told of every change of the WAN side as that of busybox's udhcpc
// is, so that one that was written for udhcpc will do. It is run in a goroutine
// of its own, once at a time and in the order of the events; the loop never waits
// for it.
type script struct {
	log    *slog.Logger
	path   string
	run    func(ctx context.Context, path, what string, env []string) (said string, err error)
	events chan scriptEvent
	ended  chan struct{}
	cancel context.CancelFunc
}

// A scriptEvent is the argument of a script, and its environment.
type scriptEvent struct {
	what string
	env  []string
}

const (
	// scriptLimit is how long a script may run.
	scriptLimit = 30 * time.Second
	// scriptQueue is how many events wait for a slow one.
	scriptQueue = 16
	// lastScript is how long the end of the router waits for it.
	lastScript = 5 * time.Second
	// killedWithin is how long one takes to end that is killed. Both together,
	// and what else ends, are to take less than the keeper allows (10 s).
	killedWithin = 2 * time.Second
)

func (r *router) startScript(path string) *script {
	if path == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &script{
		log: r.log.With("script", path), path: path, run: r.os.runScript,
		events: make(chan scriptEvent, scriptQueue), ended: make(chan struct{}), cancel: cancel,
	}
	go func() {
		defer close(s.ended)
		for e := range s.events {
			if ctx.Err() != nil {
				s.log.Error("script was not told: there was no time left", "event", e.what)
				continue // not to be started only to be killed
			}
			s.call(ctx, e)
		}
	}()
	return s
}

func (s *script) call(ctx context.Context, e scriptEvent) {
	ctx, cancel := context.WithTimeout(ctx, scriptLimit)
	defer cancel()
	var said string
	err := contain(func() (err error) {
		said, err = s.run(ctx, s.path, e.what, e.env)
		return err
	})
	for line := range strings.Lines(said) {
		s.log.Info("script says", "event", e.what, "line", strings.TrimSpace(line))
	}
	if ctx.Err() == context.DeadlineExceeded {
		s.log.Error("script was ended: it took too long", "event", e.what, "limit", scriptLimit)
	} else if err != nil {
		s.log.Error("script failed", "event", e.what, "err", err)
	}
}

// tell has the script run, after those before. Where it is slower than what
// happens, the earliest event is left out: the last one says how things are.
func (s *script) tell(what string, env []string) {
	if s == nil {
		return
	}
	for {
		select {
		case s.events <- scriptEvent{what, env}:
			return
		default:
		}
		select {
		case e := <-s.events:
			s.log.Error("script is too slow, and was not told of everything", "left_out", e.what)
		default:
		}
	}
}

// end waits, not for ever, until the script has been told of everything.
func (s *script) end() {
	if s == nil {
		return
	}
	close(s.events)
	defer s.cancel()
	select {
	case <-s.ended:
		return
	case <-time.After(lastScript):
	}
	s.cancel()
	select {
	case <-s.ended:
	case <-time.After(killedWithin): // it hangs in the kernel
		s.log.Error("script cannot be ended")
	}
}

// happens tells the script what a step means to the port.
func (w *wan) happens(s client.Step) {
	if s.Why.Reason != 0 && s.Why.Reason != client.NoAnswer {
		w.unanswered = 0
	}
	l := w.machine.Lease()
	switch {
	case s.Why.Reason == client.Refused:
		w.script.tell("nak", w.scriptEnv("serverid="+addrText(s.Why.Server), "message="+s.Why.Detail))
	case s.Why.Reason == client.NoAnswer && (l == nil || l.LinkLocal):
		if w.unanswered++; w.unanswered%failedAfter == 0 {
			w.script.tell("leasefail", w.scriptEnv())
		}
	}
	if s.Lease == nil {
		return
	}
	w.installed(*s.Lease)
}

// installed tells the script what the port has from now on. An address of our own
// choice is told as busybox's zcip tells of it, which a script that was written for
// udhcpc alone does not know.
func (w *wan) installed(l client.Lease) {
	if !l.Addr.IsValid() || w.held {
		w.deconfigured()
		return
	}
	again := w.configured == l.Addr
	if w.configured.IsValid() && !again {
		w.deconfigured()
	}
	w.configured, w.idle = l.Addr, false
	switch {
	case l.LinkLocal && !again:
		w.script.tell("config", w.scriptEnv(addrEnv(l.Addr)...))
	case l.LinkLocal:
	case again:
		w.script.tell("renew", w.scriptEnv(leaseEnv(l)...))
	default:
		w.script.tell("bound", w.scriptEnv(leaseEnv(l)...))
	}
}

// failedAfter is how many messages go unanswered before it is a failure: as many
// as udhcpc sends in a row.
const failedAfter = 3

// deconfigured tells the script that the port has nothing, unless that is what it
// was told last.
func (w *wan) deconfigured() {
	if w.idle {
		return
	}
	w.configured, w.idle = netip.Prefix{}, true
	w.script.tell("deconfig", w.scriptEnv())
}

// scriptEnv is the environment of the script: what it finds its programs by,
// what the port is called, and more.
func (w *wan) scriptEnv(more ...string) []string {
	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = "/usr/sbin:/usr/bin:/sbin:/bin"
	}
	return append([]string{"PATH=" + path, "interface=" + w.cfg.Device}, more...)
}

// leaseEnv is a lease in udhcpc's variables. What the lease does not say is not
// set.
func leaseEnv(l client.Lease) []string {
	env := append(addrEnv(l.Addr), "serverid="+addrText(l.Server), "lease="+fmt.Sprint(int64(l.Term/time.Second)))
	var routes []string
	classless := false
	for _, r := range l.Routes {
		via := "0.0.0.0"
		if r.Gateway.IsValid() {
			via = r.Gateway.String()
		}
		routes = append(routes, r.Prefix.String(), via)
		classless = classless || r.Prefix.Bits() > 0 || !r.Gateway.IsValid()
	}
	if !classless {
		routes = nil // the router says it all
	}
	mtu := ""
	if l.MTU != 0 {
		mtu = fmt.Sprint(l.MTU)
	}
	for _, v := range []struct{ name, value string }{
		{"router", addrText(l.Gateway())},
		{"staticroutes", strings.Join(routes, " ")},
		{"dns", addrTexts(l.DNS)},
		{"domain", l.Domain},
		{"search", strings.Join(l.Search, " ")},
		{"ntpsrv", addrTexts(l.NTP)},
		{"mtu", mtu},
	} {
		if v.value != "" {
			env = append(env, v.name+"="+v.value)
		}
	}
	return env
}

func addrEnv(a netip.Prefix) []string {
	return []string{
		"ip=" + a.Addr().String(),
		"mask=" + fmt.Sprint(a.Bits()),
		"subnet=" + net.IP(net.CIDRMask(a.Bits(), 32)).String(),
	}
}

// addrText is a, or nothing.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func addrTexts(list []netip.Addr) string {
	var words []string
	for _, a := range list {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

// mostSaid is how much of what a script says is read.
const mostSaid = 4 << 10

// runScript runs a program with one argument, and kills it and all that it
// started when ctx ends.
func runScript(ctx context.Context, path, what string, env []string) (said string, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return "", err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	p, err := os.StartProcess(path, []string{path, what}, &os.ProcAttr{
		Dir: "/", Env: env, Files: []*os.File{null, w, w}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	w.Close()
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-p.Pid, syscall.SIGKILL) })
	defer stop()
	read := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(r, mostSaid))
		io.Copy(io.Discard, r)
		read <- string(b)
	}()
	state, err := p.Wait()
	// Who was left in the background may hold the other end open.
	r.SetReadDeadline(time.Now().Add(time.Second))
	said = <-read
	if err == nil && !state.Success() {
		err = fmt.Errorf("%v", state)
	}
	return said, err
}
