package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A journal is what an actor said, line by line.
type journal struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed at the next line
	hear  func(line string)
}

// newJournal returns a journal that passes every line on to hear.
func newJournal(hear func(string)) *journal {
	return &journal{more: make(chan struct{}), hear: hear}
}

func (j *journal) add(line string) {
	j.mu.Lock()
	j.lines = append(j.lines, line)
	close(j.more)
	j.more = make(chan struct{})
	j.mu.Unlock()
	if j.hear != nil {
		j.hear(line)
	}
}

// readFrom adds what r says until it ends.
func (j *journal) readFrom(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		j.add(s.Text())
	}
	io.Copy(io.Discard, r) // after a line that is too long: nobody waits for us
}

// mark is the place after the last line so far.
func (j *journal) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.lines)
}

// since returns the lines from a mark on.
func (j *journal) since(mark int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines[mark:]
}

func (j *journal) String() string { return strings.Join(j.since(0), "\n") }

// await returns the first line from mark on that matches, as the whole and its
// groups.
func (j *journal) await(ctx context.Context, mark int, pattern string) ([]string, error) {
	re := regexp.MustCompile(pattern)
	for {
		j.mu.Lock()
		lines, more := j.lines[mark:], j.more
		j.mu.Unlock()
		for _, l := range lines {
			if m := re.FindStringSubmatch(l); m != nil {
				return m, nil
			}
		}
		mark += len(lines)
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("nothing like %q was said: %w", pattern, context.Cause(ctx))
		}
	}
}

// A process is a running program in one of the lab's network namespaces.
type process struct {
	*journal
	cmd   *exec.Cmd
	began time.Time     // just before it was started
	done  chan struct{} // closed when it has ended and all that it said was read
	ended time.Time     // valid once done is closed
}

// stragglers is how long the last words of a process are waited for: what it
// started may outlive it and keep its output open.
const stragglers = 2 * time.Second

// start runs a program in a namespace. It is killed when the lab ends.
func start(ns string, hear func(string), args ...string) (*process, error) {
	return startReading(ns, nil, hear, args...)
}

// startReading starts a program that reads what stdin has.
func startReading(ns string, stdin *os.File, hear func(string), args ...string) (*process, error) {
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if stdin != nil {
		cmd.Stdin = stdin
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	began := time.Now()
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	p := &process{journal: newJournal(hear), cmd: cmd, began: began, done: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		p.readFrom(r)
		close(read)
	}()
	go func() {
		cmd.Wait()
		p.ended = time.Now()
		select {
		case <-read:
		case <-time.After(stragglers):
		}
		close(p.done)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// end signals the process and those that it started, and waits until it has
// gone. It returns how long the process itself took.
func (p *process) end(s syscall.Signal) (time.Duration, error) {
	began := time.Now()
	syscall.Kill(-p.cmd.Process.Pid, s)
	select {
	case <-p.done:
		return p.ended.Sub(began), nil
	case <-time.After(10 * time.Second):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		return 0, fmt.Errorf("%s did not end by %v:\n%s", p.cmd.Path, s, p)
	}
}

// run runs a program in a namespace to its end and returns what it said.
func run(ns string, args ...string) (string, error) {
	out, err := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
