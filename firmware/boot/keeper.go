package boot

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"leasehold/firmware/config"
)

// An ending is how the machine is to end.
type ending struct {
	cmd int    // of reboot(2)
	why string // for the console
}

const (
	// untilReboot is how long the console shows why the router ended, and Enter
	// opens a shell instead; and how often at most a router that crashes at every
	// boot does so.
	untilReboot = 10 * time.Second
	// untilStopped is how long the router may take to end when told to.
	untilStopped = 10 * time.Second
	// untilDumped is how long it may take to say what hangs.
	untilDumped = 5 * time.Second
	// pulseLost is how long no pulse may be felt: the loops' own patience is in
	// the pulse.
	pulseLost = 4 * pulseEvery
)

// A keeper starts the router and stays with it.
type keeper struct {
	system
	opt     Options
	dog     *watchdog
	board   config.Board
	signals chan os.Signal
	console *console

	enter     chan struct{} // Enter was pressed
	shellOver chan struct{}
	shell     int // its process; 0: none runs

	pid   int
	dead  string           // why the router ended; "": it has not
	over  <-chan time.Time // the machine is rebooted for that; nil: not while a shell is open
	kills string           // of processes for want of memory, when it was started
	said  tail
	quiet chan struct{} // closed when it has said all
	beats chan struct{}
	felt  time.Time // the last pulse; zero: none yet
}

func newKeeper(s system, opt Options, dog *watchdog, b config.Board) *keeper {
	k := &keeper{
		system: s, opt: opt, dog: dog, board: b,
		signals: make(chan os.Signal, 16), beats: make(chan struct{}, 1),
		console: &console{w: opt.Console}, enter: make(chan struct{}), shellOver: make(chan struct{}),
	}
	s.notify(k.signals, unix.SIGTERM, unix.SIGINT, unix.SIGUSR2, unix.SIGHUP, unix.SIGCHLD)
	// Ctrl-Alt-Del is to be a signal to us, and not a reset.
	s.reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)
	return k
}

// run ends when the machine is to end.
func (k *keeper) run() ending {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := make(chan error, 1)
	if k.hasShell() {
		go k.awaitEnter(k.opt.Keys)
	}
	prepare := func() { ready <- k.network(ctx, k.board) }
	go prepare()
	feed := time.NewTicker(k.dog.interval())
	defer feed.Stop()
	again := time.NewTimer(0)
	again.Stop()
	for {
		select {
		case err := <-ready:
			if err == nil {
				err = k.startRouter()
			}
			if err != nil {
				k.log.Error("NOT SERVING", "err", err, "again_in", untilNetwork)
				again.Reset(untilNetwork)
			}
		case <-again.C:
			go prepare()
		case <-k.enter:
			k.openShell()
		case <-k.beats:
			k.felt = time.Now()
		case <-feed.C:
			if k.hangs(time.Now()) {
				k.died("no sign of life from the router; " + k.dump())
				break
			}
			k.dog.feed()
		case sig := <-k.signals:
			if e, over := k.signalled(sig.(unix.Signal)); over {
				return e
			}
		case <-k.over:
			return ending{unix.LINUX_REBOOT_CMD_RESTART, "the router has ended"}
		}
	}
}

// hangs reports whether the router has a pulse no more. A router that never had
// one cannot be judged by it.
func (k *keeper) hangs(now time.Time) bool {
	return k.dead == "" && k.pid != 0 && !k.felt.IsZero() && now.Sub(k.felt) > pulseLost
}

// signalled does what a signal asks for.
func (k *keeper) signalled(sig unix.Signal) (e ending, over bool) {
	switch sig {
	case unix.SIGCHLD:
		if status, ended := k.reapAll(); ended {
			k.died(k.describe(status) + ": " + k.lastSaid())
		}
	case unix.SIGHUP:
		if k.pid != 0 {
			k.kill(k.pid, unix.SIGHUP)
		}
	case unix.SIGINT:
		if !k.first {
			k.hint() // it was Ctrl-C
			break
		}
		return k.told(unix.LINUX_REBOOT_CMD_RESTART, "Ctrl-Alt-Del"), true
	case unix.SIGUSR2: // as poweroff of busybox has it
		return k.told(unix.LINUX_REBOOT_CMD_POWER_OFF, "switched off"), true
	default:
		return k.told(unix.LINUX_REBOOT_CMD_RESTART, sig.String()), true
	}
	return ending{}, false
}

// told ends the router because the machine is told to end.
func (k *keeper) told(cmd int, why string) ending {
	k.stop(unix.SIGTERM, untilStopped)
	return ending{cmd, why}
}

// reapAll buries the dead, who are our children once nobody else is their
// parent, and reports whether the router is among them.
func (k *keeper) reapAll() (router unix.WaitStatus, ended bool) {
	for {
		pid, status := k.reap()
		if pid <= 0 {
			return router, ended
		}
		switch pid {
		case k.pid:
			router, ended, k.pid = status, true, 0
		case k.shell:
			k.closeShell()
		}
	}
}

func (k *keeper) describe(s unix.WaitStatus) string {
	switch {
	case s.Signaled() && s.Signal() == unix.SIGKILL && k.oomKills() != k.kills:
		return "memory ran out, and the kernel ended the router"
	case s.Signaled():
		return "the router was ended by " + unix.SignalName(s.Signal())
	case s.ExitStatus() != 0:
		return fmt.Sprintf("the router ended with status %d", s.ExitStatus())
	}
	return "the router ended"
}

// oomKills is how many processes the kernel has ended for want of memory; "": it
// does not say.
func (s system) oomKills() string {
	text, err := s.read("/proc/vmstat")
	if err != nil {
		return ""
	}
	_, n, _ := strings.Cut(string(text), "\noom_kill ")
	n, _, _ = strings.Cut(n, "\n")
	return n
}

// died keeps the last words for the next boot. Who has a shell open is not thrown
// out of it.
func (k *keeper) died(words string) {
	if k.dead != "" {
		return // it hung, and was ended
	}
	k.dead = words
	cfg, _ := k.opt.Load()
	if err := k.keepWords(cfg.Ring, words); err != nil {
		k.log.Error("last words not kept", "err", err)
	}
	if k.shell != 0 {
		k.log.Error("the router has ended; the machine is rebooted once the shell is", "why", words)
		return
	}
	k.countDown()
}

// countDown leaves the time to read why, and to press Enter.
func (k *keeper) countDown() {
	k.log.Error("the router has ended; the machine is rebooted", "in", untilReboot, "why", k.dead)
	k.over = time.After(untilReboot)
	k.hint()
}

// dump has a router that hangs say where, and ends it.
func (k *keeper) dump() string {
	k.stop(unix.SIGQUIT, untilDumped)
	return k.lastSaid()
}

// lastSaid is what the router said in the end. What it started may hold the line
// open.
func (k *keeper) lastSaid() string {
	select {
	case <-k.quiet:
	case <-time.After(time.Second):
	}
	return k.said.String()
}

// stop ends the router, by force if a signal does not do it in time. One that
// waits in the kernel, for flash that does not answer, is left behind.
func (k *keeper) stop(sig unix.Signal, patience time.Duration) {
	for _, sig := range []unix.Signal{sig, unix.SIGKILL} {
		if k.pid == 0 {
			return
		}
		k.kill(k.pid, sig)
		// A SIGCHLD may be lost among others.
		for began := time.Now(); k.pid != 0 && time.Since(began) < patience; k.reapAll() {
			time.Sleep(100 * time.Millisecond)
		}
	}
	if k.pid != 0 {
		k.log.Error("the router does not end")
	}
}

// startRouter says what this is, and starts it.
func (k *keeper) startRouter() error {
	k.greet()
	hear, say, err := os.Pipe()
	if err != nil {
		return err
	}
	feel, beat, err := os.Pipe()
	if err != nil {
		hear.Close()
		say.Close()
		return err
	}
	k.kills = k.oomKills()
	k.pid, err = k.start(startup{args: k.opt.Router, output: say, pulse: beat})
	say.Close()
	beat.Close()
	if err != nil {
		hear.Close()
		feel.Close()
		return fmt.Errorf("start the router: %w", err)
	}
	k.quiet = make(chan struct{})
	go func() {
		defer close(k.quiet)
		k.listen(hear)
	}()
	go k.feel(feel)
	debug.FreeOSMemory() // what it took to get here is not needed again
	return nil
}

// listen passes on what the router says.
func (k *keeper) listen(r io.ReadCloser) {
	defer r.Close()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadSlice('\n') // a line that is too long comes in pieces
		if len(line) > 0 {
			k.said.add(line)
			k.console.Write(line)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (k *keeper) feel(r io.ReadCloser) {
	defer r.Close()
	var buf [16]byte
	for {
		if _, err := r.Read(buf[:]); err != nil {
			return
		}
		select {
		case k.beats <- struct{}{}:
		default:
		}
	}
}

// greet says in five lines what this is.
func (k *keeper) greet() {
	cfg, _ := k.opt.Load()
	name := k.board.Model
	if name == "" {
		name = "a board that it does not know"
	}
	wan, page := "left alone", "none"
	if cfg.WAN.Enabled {
		wan = cfg.WAN.Device + ", asks for an address by DHCP"
	}
	if cfg.Page.Port != 0 {
		page = fmt.Sprintf("http://%v/", cfg.LAN.Addr.Addr())
		if cfg.Page.Port != 80 {
			page = fmt.Sprintf("http://%v:%d/", cfg.LAN.Addr.Addr(), cfg.Page.Port)
		}
	}
	lan := cfg.LAN.Device
	if ports := strings.Join(k.board.Ports.Bridged, " "); ports != "" {
		lan += " (" + ports + ")"
	}
	k.console.say(fmt.Sprintf("\nleasehold %s on %s\n  LAN   %s, %v to %v by DHCP\n  WAN   %s\n  ring  %s\n  page  %s\n\n",
		k.opt.Version, name, lan, cfg.LAN.First, cfg.LAN.Last, wan, ringPlace(cfg.Ring), page))
	k.hint()
}

// hint says how to get a shell, where there is one.
func (k *keeper) hint() {
	if k.hasShell() && k.shell == 0 {
		k.console.say(enterHint + "\n")
	}
}

// end is the end of the machine.
func (s system) end(e ending) {
	s.log.Warn("the end", "why", e.why)
	unix.Sync()
	if s.isMount(config.StateDir) {
		unix.Unmount(s.path(config.StateDir), unix.MNT_DETACH)
		unix.Sync()
	}
	if err := s.reboot(e.cmd); err != nil {
		s.log.Error("not rebooted", "err", err)
	}
}
