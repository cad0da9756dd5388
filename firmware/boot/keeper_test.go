package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"leasehold/firmware/config"
)

// A dogBench is a watchdog that notes when it was fed.
type dogBench struct {
	takes time.Duration // the longest timeout that it can
	set   time.Duration
	mu    sync.Mutex
	fed   []time.Time
}

func (d *dogBench) setTimeout(t time.Duration) error {
	if t > d.takes {
		return unix.EINVAL
	}
	d.set = t
	return nil
}
func (d *dogBench) timeout() (time.Duration, error) { return d.set, nil }

func (d *dogBench) kick() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fed = append(d.fed, time.Now())
	return nil
}

func (d *dogBench) feedings() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.fed)
}

// longestHunger is the longest time between two feedings, up to now.
func (d *dogBench) longestHunger() time.Duration {
	longest := time.Duration(0)
	fed := append(d.feedings(), time.Now())
	for i, at := range fed[1:] {
		longest = max(longest, at.Sub(fed[i]))
	}
	return longest
}

// A keeperBench is a keeper whose router is made up.
type keeperBench struct {
	*bench
	keeper *keeper
	beast  *dogBench
	dead   chan unix.WaitStatus // the router, to be buried
	pids   chan int             // others
	over   chan ending
	shown  *bytes.Buffer // on the console
	keys   io.Reader     // of its keyboard
}

const routerPID = 42

// keep starts a keeper.
func keep(t *testing.T, says string, heeds ...unix.Signal) *keeperBench {
	k := newKeeperBench(t, says, heeds...)
	k.begin()
	return k
}

// newKeeperBench returns one that has not begun. The router says something, and
// ends by the signals that it heeds.
func newKeeperBench(t *testing.T, says string, heeds ...unix.Signal) *keeperBench {
	b := newBench(t)
	k := &keeperBench{
		bench: b, beast: &dogBench{takes: time.Hour}, dead: make(chan unix.WaitStatus, 4), pids: make(chan int, 4),
		over: make(chan ending, 1), shown: new(bytes.Buffer),
	}
	b.system.notify = func(chan<- os.Signal, ...os.Signal) {}
	b.system.dog = func(string) (kicker, error) { return k.beast, nil }
	b.start = func(s startup) (int, error) {
		io.WriteString(s.output, says)
		return routerPID, b.does("start %s", strings.Join(s.args, " "))
	}
	b.kill = func(pid int, sig unix.Signal) error {
		for _, h := range append(heeds, unix.SIGKILL) {
			if sig == h {
				k.dead <- unix.WaitStatus(sig)
			}
		}
		return b.does("kill %d %v", pid, sig)
	}
	b.reap = func() (int, unix.WaitStatus) {
		select {
		case s := <-k.dead:
			return routerPID, s
		case pid := <-k.pids:
			return pid, 0
		default:
			return 0, 0
		}
	}
	return k
}

const shellPID = 77

// newShellBench returns one whose image has a shell, and what is typed to open it.
func newShellBench(t *testing.T, says string, heeds ...unix.Signal) (*keeperBench, *io.PipeWriter) {
	k := newKeeperBench(t, says, heeds...)
	keys, typed := io.Pipe()
	k.keys = keys
	k.write("bin/sh", "")
	k.startShell = func(path string) (int, error) { return shellPID, k.does("shell %s", path) }
	k.regain = func() { k.does("regain") }
	return k, typed
}

func (k *keeperBench) begin() {
	cfg := config.Default()
	cfg.Ring.Path = filepath.Join(k.root, "ring")
	opt := Options{
		Log: k.log, Console: k.shown, Keys: k.keys, Router: []string{"leasehold", "run"},
		Load: func() (config.Config, []config.Problem) { return cfg, nil },
	}
	k.keeper = newKeeper(k.system, opt, k.system.openWatchdog(), config.Board{})
	go func() { k.over <- k.keeper.run() }()
	synctest.Wait()
}

// beating has the router live for a while.
func (k *keeperBench) beating(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(pulseEvery) {
		k.keeper.beats <- struct{}{}
	}
}

func (k *keeperBench) ended(t *testing.T) ending {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-k.over:
		return e
	default:
		t.Fatal("it goes on")
		return ending{}
	}
}

func (k *keeperBench) goesOn(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-k.over:
		t.Fatalf("it ended: %+v", e)
	default:
	}
}

// dies has the router end.
func (k *keeperBench) dies(status unix.WaitStatus) {
	k.dead <- status
	k.keeper.signals <- unix.SIGCHLD
	synctest.Wait()
}

// leaves has the shell end.
func (k *keeperBench) leaves() {
	k.pids <- shellPID
	k.keeper.signals <- unix.SIGCHLD
	synctest.Wait()
}

// rebooted waits for the reboot that is announced.
func (k *keeperBench) rebooted(t *testing.T, why string) {
	t.Helper()
	time.Sleep(untilReboot - time.Second)
	k.goesOn(t)
	time.Sleep(time.Second)
	if e := k.ended(t); e.cmd != unix.LINUX_REBOOT_CMD_RESTART || k.keeper.dead != why {
		t.Errorf("ended %+v for %q; want %q", e, k.keeper.dead, why)
	}
}

// finish ends a keeper that the test has no more to do with.
func (k *keeperBench) finish() {
	k.keeper.signals <- unix.SIGTERM
	<-k.over
}

// TestFedWhileThePulseIsFelt, and the machine is told to end.
func TestFedWhileThePulseIsFelt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "", unix.SIGTERM)
		k.beating(10 * time.Minute)
		k.goesOn(t)
		if h := k.beast.longestHunger(); h > bite/4 {
			t.Errorf("the watchdog was not fed for %v", h)
		}
		k.keeper.signals <- unix.SIGHUP
		k.keeper.signals <- unix.SIGTERM
		time.Sleep(time.Second)
		if e := k.ended(t); e.cmd != unix.LINUX_REBOOT_CMD_RESTART {
			t.Errorf("ended %+v", e)
		}
		k.didExactly("reboot 0x0", "up lo", "await", "start leasehold run", "kill 42 hangup", "kill 42 terminated")
	})
}

// TestHangingRouterIsRebooted: it is asked where it hangs, and that is kept.
func TestHangingRouterIsRebooted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "up=1s msg=serving\nSIGQUIT: quit\ngoroutine 7 [sync.Mutex.Lock]\n", unix.SIGQUIT)
		k.beating(time.Minute)
		last := time.Now().Add(-pulseEvery)
		k.goesOn(t)
		fed := len(k.beast.feedings())
		time.Sleep(pulseLost + time.Second)
		meals := k.beast.feedings()
		if hungry := meals[len(meals)-1].Sub(last); hungry > pulseLost || len(meals) <= fed {
			t.Errorf("the watchdog was fed %v after the last pulse", hungry)
		}
		const want = "no sign of life from the router; SIGQUIT: quit\ngoroutine 7 [sync.Mutex.Lock]"
		k.rebooted(t, want)
		if got := k.lastWords(config.Ring{Path: filepath.Join(k.root, "ring")}); got != want {
			t.Errorf("last words %q; want %q", got, want)
		}
	})
}

// TestRouterWithoutAPulseIsNotJudged: it may be one that has none.
func TestRouterWithoutAPulseIsNotJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "", unix.SIGTERM)
		time.Sleep(time.Hour)
		k.goesOn(t)
		k.finish()
	})
}

// TestDeadRouterIsRebooted: nothing is started again in silence.
func TestDeadRouterIsRebooted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "up=1s msg=serving\npanic: index out of range\n\ngoroutine 1 [running]:\n")
		k.write("dev/pmsg0", "")
		k.dies(unix.WaitStatus(2 << 8))
		const want = "the router ended with status 2: panic: index out of range\n\ngoroutine 1 [running]:"
		k.rebooted(t, want)
		if got, _ := k.read(pmsgNode); string(got) != want {
			t.Errorf("pstore has %q", got)
		}
	})
}

// TestCtrlAltDel reboots.
func TestCtrlAltDel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "", unix.SIGTERM)
		k.keeper.first = true
		k.keeper.signals <- unix.SIGINT
		time.Sleep(time.Second)
		if e := k.ended(t); e.cmd != unix.LINUX_REBOOT_CMD_RESTART {
			t.Errorf("ended %+v", e)
		}
	})
}

// TestEnterOpensAShell, in an image that has one, while the router goes on. What
// that says is in dmesg meanwhile, and Ctrl-C ends nothing.
func TestEnterOpensAShell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, typed := newShellBench(t, "", unix.SIGTERM)
		k.write("dev/kmsg", "")
		k.begin()
		k.keeper.signals <- unix.SIGINT
		k.goesOn(t)
		k.keeper.console.Write([]byte("up=1s msg=before\n"))
		io.WriteString(typed, "\xff\x00noise\n") // of a line that is open
		k.goesOn(t)
		io.WriteString(typed, "\n")
		k.goesOn(t)
		k.keeper.console.Write([]byte("up=2s msg=during\n"))
		if got, _ := k.read(kmsgNode); string(got) != "<6>leasehold: up=2s msg=during\n" {
			t.Errorf("dmesg has %q", got)
		}
		k.leaves()
		k.goesOn(t)
		k.keeper.console.Write([]byte("up=3s msg=after\n"))
		io.WriteString(typed, "\n") // and once more
		k.goesOn(t)
		k.leaves()
		k.goesOn(t)
		typed.CloseWithError(os.ErrClosed)
		k.finish()
		k.didExactly("reboot 0x0", "up lo", "await", "start leasehold run",
			"shell /bin/sh", "regain", "shell /bin/sh", "regain", "kill 42 terminated")
		const after = "msg=after"
		for text, want := range map[string]int{enterHint: 4, "msg=before": 1, "msg=during": 0, after: 1} {
			if got := strings.Count(k.shown.String(), text); got != want {
				t.Errorf("the console shows %q %d times; want %d", text, got, want)
			}
		}
	})
}

// TestShellThatDoesNotStart: the console comes back.
func TestShellThatDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, typed := newShellBench(t, "", unix.SIGTERM)
		k.startShell = func(string) (int, error) { return 0, unix.ENOEXEC }
		k.begin()
		for range 2 {
			io.WriteString(typed, "\n")
			k.goesOn(t)
		}
		if n := strings.Count(k.said.String(), `msg="no shell" err="exec format error"`); n != 2 {
			t.Errorf("said\n%s", k.said)
		}
		typed.CloseWithError(os.ErrClosed)
		k.finish()
	})
}

// TestOrphansAreBuried: of any other process nothing is made.
func TestOrphansAreBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "", unix.SIGTERM)
		orphans := 3
		k.keeper.reap = func() (int, unix.WaitStatus) {
			if orphans--; orphans < 0 {
				return 0, 0
			}
			return 100 + orphans, 0
		}
		k.keeper.signals <- unix.SIGCHLD
		k.goesOn(t)
		if orphans >= 0 {
			t.Errorf("%d orphans are left", orphans+1)
		}
		k.keeper.reap = k.reap
		k.finish()
	})
}

// TestRouterThatWillNotEndIsKilled: to be switched off.
func TestRouterThatWillNotEndIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "")
		k.keeper.signals <- unix.SIGUSR2
		time.Sleep(time.Minute)
		if e := k.ended(t); e.cmd != unix.LINUX_REBOOT_CMD_POWER_OFF {
			t.Errorf("ended %+v", e)
		}
		k.didExactly("reboot 0x0", "up lo", "await", "start leasehold run", "kill 42 terminated", "kill 42 killed")
	})
}

// TestRouterThatCannotBeKilled: it does not keep the machine from its reboot.
func TestRouterThatCannotBeKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "")
		k.keeper.kill = func(int, unix.Signal) error { return nil }
		k.keeper.signals <- unix.SIGTERM
		time.Sleep(2*untilStopped + time.Second)
		if e := k.ended(t); e.cmd != unix.LINUX_REBOOT_CMD_RESTART {
			t.Errorf("ended %+v", e)
		}
		if !strings.Contains(k.said.String(), "the router does not end") {
			t.Errorf("said %s", k.said)
		}
	})
}

// TestNobodyIsServedWithoutTheSwitch: it is tried again, and the watchdog fed
// meanwhile: a reboot would mend nothing.
func TestNobodyIsServedWithoutTheSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, "", unix.SIGTERM)
		k.finish()
		var tried atomic.Int32
		k.did = nil
		k = &keeperBench{bench: k.bench, beast: k.beast, dead: k.dead, over: make(chan ending, 1)}
		k.nic.await = func(context.Context, ...string) ([]string, error) {
			if tried.Add(1) == 3 {
				delete(k.fails, "switch")
			}
			return nil, nil
		}
		k.fails["switch"] = errors.New("switch0: no such switch")
		k.keeper = newKeeper(k.system, Options{Log: k.log, Console: io.Discard, Load: func() (config.Config, []config.Problem) { return config.Default(), nil }},
			&watchdog{k.beast, time.Second}, mango)
		go func() { k.over <- k.keeper.run() }()
		time.Sleep(untilNetwork + time.Second)
		k.goesOn(t)
		if s := strings.Join(k.done(), ", "); strings.Contains(s, "start") || tried.Load() != 2 {
			t.Errorf("tried %d times, did %s", tried.Load(), s)
		}
		time.Sleep(untilNetwork)
		k.goesOn(t)
		if s := strings.Join(k.done(), ", "); !strings.Contains(s, "up eth0.2, start") {
			t.Errorf("tried %d times, did %s", tried.Load(), s)
		}
		k.finish()
		if !strings.Contains(k.said.String(), `msg="NOT SERVING" err="LAN and WAN may be one network: switch switch0: no such switch" again_in=30s`) {
			t.Errorf("said %s", k.said)
		}
	})
}

func TestWatchdogThatCannotWaitLong(t *testing.T) {
	for _, tc := range []struct{ takes, set, every, interval time.Duration }{
		{time.Hour, 0, bite / 4, pulseEvery},
		{time.Second, 8 * time.Second, 2 * time.Second, 2 * time.Second},
		{time.Second, 2 * time.Second, time.Second, time.Second},
	} {
		b := newBench(t)
		b.dog = func(string) (kicker, error) { return &dogBench{takes: tc.takes, set: tc.set}, nil }
		if d := b.openWatchdog(); d.every != tc.every || d.interval() != tc.interval {
			t.Errorf("%+v: fed every %v, in fact %v", tc, d.every, d.interval())
		}
	}
	var none *watchdog
	none.feed()
	if none.interval() != pulseEvery {
		t.Errorf("without a watchdog: %v", none.interval())
	}
}

// A line is where a pulse goes.
type line struct{ beats atomic.Int32 }

func (l *line) Write(p []byte) (int, error) {
	l.beats.Add(int32(len(p)))
	return len(p), nil
}

// TestPulse: it is lost when one loop is silent for 90 seconds, but not when that
// loop was ended.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &Pulse{}, &line{}
		ctx, cancel := context.WithCancel(t.Context())
		go p.run(ctx, l)
		feels := func(d time.Duration, want bool) {
			t.Helper()
			synctest.Wait()
			before := l.beats.Load()
			time.Sleep(d)
			synctest.Wait()
			if got := l.beats.Load() > before; got != want {
				t.Errorf("felt in the next %v: %v; want %v", d, got, want)
			}
		}
		feels(time.Minute, true) // nothing has begun
		p.Beat("lan")
		p.Beat("wan")
		feels(silence, true)
		p.Beat("lan")
		feels(10*time.Second, false) // for the sake of wan
		p.Rest("wan")
		feels(10*time.Second, true)
		p.Beat("wan")
		feels(10*time.Second, true)
		feels(silence, true)
		feels(time.Hour, false)
		p.Beat("lan")
		p.Beat("wan")
		feels(2*pulseEvery, true)
		cancel()
	})
}

func TestTail(t *testing.T) {
	for _, tc := range []struct{ name, said, want string }{
		{"a panic", "up=1s msg=x\npanic: boom\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: boom\n\ngoroutine 1 [running]:\nmain.main()"},
		{"out of memory", "msg=x\nfatal error: runtime: out of memory\n\nruntime stack:\n", "fatal error: runtime: out of memory\n\nruntime stack:"},
		{"a dump", "SIGQUIT: quit\n\ngoroutine 0 gp=0x1 [idle]:\nfutex()\n\tsys.s:1\n\ngoroutine 1 [select]:\nruntime.gopark()\n\tproc.go:1\nmain.main()\n\tmain.go:2\n",
			"SIGQUIT: quit\n\ngoroutine 1 [select]:\nmain.main()\n\tmain.go:2"},
		{"an error", "leasehold: no\n", "leasehold: no"},
		{"nothing special", "up=1s msg=one\nup=2s msg=two\n", "up=2s msg=two"},
		{"nothing", "", ""},
		{"too much", "panic: " + strings.Repeat("x", 2*mostWords), "panic: " + strings.Repeat("x", mostWords-len("panic: "))},
	} {
		var tl tail
		for line := range strings.Lines(tc.said) {
			tl.add([]byte(line))
		}
		if got := tl.String(); got != tc.want {
			t.Errorf("%s: %q; want %q", tc.name, got, tc.want)
		}
	}
}

// TestWordsInTheRing: the same ones again, but for their numbers, cost no flash.
func TestWordsInTheRing(t *testing.T) {
	b := newBench(t)
	at := config.Ring{Path: filepath.Join(b.root, "ring")}
	if got := b.lastWords(at); got != "" {
		t.Errorf("last words of nobody: %q", got)
	}
	var files [3]string
	for i := range files {
		if err := b.keepWords(at, fmt.Sprintf("panic: boom at 0x%x", 7+i)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(at.Path)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = string(text)
	}
	if files[1] != files[0] || files[2] != files[0] {
		t.Error("the same words were written again")
	}
	b.tellLastWords(at)
	b.saidOnly(`msg="the router failed not long ago" words="panic: boom at 0x7"`)
	if err := b.keepWords(at, "panic: bang"); err != nil || b.lastWords(at) != "panic: bang" {
		t.Errorf("other words are not kept: %q, %v", b.lastWords(at), err)
	}
}

func TestWordsFromPstore(t *testing.T) {
	b := newBench(t)
	b.write(pstoreDir+"/console-ramoops-0", "kernel")
	b.write(pstoreDir+"/pmsg-ramoops-0", "panic: boom\n\x00\x00")
	if got := b.lastWords(config.Ring{}); got != "panic: boom" {
		t.Errorf("last words %q", got)
	}
}

// TestKernelPanicFromPstore: those of the kernel, where the router left none.
func TestKernelPanicFromPstore(t *testing.T) {
	b := newBench(t)
	b.write(pstoreDir+"/pmsg-ramoops-0", "\x00")
	b.write(pstoreDir+"/dmesg-ramoops-0", "Panic#1 Part1\n<6>[   12.1] br-lan: up\n<0>[   13.2] Kernel panic - not syncing: Out of memory: system-wide\n<4>[   13.3] CPU: 0\n")
	at := config.Ring{Path: filepath.Join(t.TempDir(), "ring")}
	b.tellLastWords(at)
	const words = "Kernel panic - not syncing: Out of memory: system-wide"
	b.saidOnly(fmt.Sprintf("msg=\"the router failed not long ago\" words=%q", words))
	if left := b.pstored("dmesg-*"); len(left) > 0 {
		t.Errorf("%v is there for the next boot to tell again", left)
	}
	if got := b.lastWords(at); got != words {
		t.Errorf("last words %q", got)
	}
}

// TestRouterDiesBesideAShell: who has it open is not thrown out.
func TestRouterDiesBesideAShell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, typed := newShellBench(t, "panic: boom\n")
		k.begin()
		io.WriteString(typed, "\n")
		k.goesOn(t)
		k.dies(unix.WaitStatus(2 << 8))
		time.Sleep(time.Hour)
		k.goesOn(t)
		if h := k.beast.longestHunger(); h > bite/4 {
			t.Errorf("the watchdog was not fed for %v", h)
		}
		k.leaves()
		k.rebooted(t, "the router ended with status 2: panic: boom")
		typed.CloseWithError(os.ErrClosed)
	})
}

// TestEnterStopsTheCountdown: who is at the console sees why it failed, and gets
// to look around before it is gone. It begins anew once he has done so.
func TestEnterStopsTheCountdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, typed := newShellBench(t, "panic: boom\n")
		k.begin()
		k.dies(unix.WaitStatus(2 << 8))
		for range 2 {
			if !strings.HasSuffix(k.shown.String(), enterHint+"\n") {
				t.Errorf("Enter is not offered:\n%s", k.shown)
			}
			time.Sleep(untilReboot - time.Second)
			io.WriteString(typed, "\n")
			time.Sleep(time.Hour)
			k.goesOn(t)
			if !strings.HasSuffix(k.shown.String(), "The router has ended. Ctrl-D ends the shell, and the machine is rebooted.\n") {
				t.Errorf("the shell begins with\n%s", k.shown)
			}
			k.leaves()
		}
		k.rebooted(t, "the router ended with status 2: panic: boom")
		if n := strings.Count(k.said.String(), `msg="the router has ended; the machine is rebooted" in=10s`); n != 3 {
			t.Errorf("the reboot is announced %d times; want 3:\n%s", n, k.said)
		}
		typed.CloseWithError(os.ErrClosed)
	})
}

// TestOutOfMemoryIsSaid: the kernel's signal alone does not.
func TestOutOfMemoryIsSaid(t *testing.T) {
	for killed, want := range map[int]string{0: "the router was ended by SIGKILL: up=1s msg=serving", 1: "memory ran out, and the kernel ended the router: up=1s msg=serving"} {
		synctest.Test(t, func(t *testing.T) {
			k := newKeeperBench(t, "up=1s msg=serving\n")
			k.write("proc/vmstat", "pgfault 12\noom_kill 3\nthp 0\n")
			k.begin()
			k.write("proc/vmstat", fmt.Sprintf("pgfault 12\noom_kill %d\nthp 0\n", 3+killed))
			k.dies(unix.WaitStatus(unix.SIGKILL))
			k.rebooted(t, want)
		})
	}
}

// TestGreetingIsFiveLines: what it is, what it does, and where the page is.
func TestGreetingIsFiveLines(t *testing.T) {
	var out strings.Builder
	k := &keeper{console: &console{w: &out}, system: system{root: t.TempDir()}, opt: Options{
		Version: "1.0",
		Load: func() (config.Config, []config.Problem) {
			c := config.Default()
			c.Page.Port = 8080
			return fit(c, config.Board{Name: "x", Ports: config.Ports{WAN: "eth0"}, State: config.State{Partition: "rwfs", AtEnd: 256 << 10}}), nil
		},
	}, board: config.Board{Model: "Acme Box", Ports: config.Ports{Bridged: []string{"lan1", "lan2"}}}}
	k.greet()
	const want = `
leasehold 1.0 on Acme Box
  LAN   br-lan (lan1 lan2), 192.168.1.100 to 192.168.1.249 by DHCP
  WAN   eth0, asks for an address by DHCP
  ring  mtd:rwfs, last 256 KiB
  page  http://192.168.1.1:8080/

`
	if out.String() != want {
		t.Errorf("greeting\n%s\nwant\n%s", fmt.Sprint(out.String()), want)
	}
}
