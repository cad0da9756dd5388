package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

// newLog writes key=value lines. They carry the seconds since the start, as a
// kernel's do, and no date: a router does not know it.
func newLog(w io.Writer, verbose bool, start time.Time) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
				return slog.Duration("up", time.Since(start).Truncate(time.Millisecond))
			}
			return a
		},
	}))
}

// A backlog passes lines on to a writer from a goroutine of its own and drops
// those that it has no room for: a serial line that is slow, or a reader that
// is stuck, must not hold up a lease.
type backlog struct {
	lines      chan []byte
	lost       atomic.Int64
	stop, done chan struct{}
}

const (
	// backlogLines is how many lines wait: some 50 kB.
	backlogLines = 500
	// lastWords is how long the end waits for them.
	lastWords = 200 * time.Millisecond
)

func newBacklog(w io.Writer) *backlog {
	c := &backlog{lines: make(chan []byte, backlogLines), stop: make(chan struct{}), done: make(chan struct{})}
	go c.run(w)
	return c
}

// run writes until it is stopped and nothing waits any more.
func (c *backlog) run(w io.Writer) {
	defer close(c.done)
	for {
		select {
		case line := <-c.lines:
			c.print(w, line)
		case <-c.stop:
			for len(c.lines) > 0 {
				c.print(w, <-c.lines)
			}
			return
		}
	}
}

func (c *backlog) print(w io.Writer, line []byte) {
	if n := c.lost.Swap(0); n > 0 {
		fmt.Fprintf(w, "level=WARN msg=\"log lines lost\" lines=%d\n", n)
	}
	w.Write(line)
}

// Write never blocks and never fails.
func (c *backlog) Write(line []byte) (int, error) {
	select {
	case c.lines <- bytes.Clone(line):
	default:
		c.lost.Add(1)
	}
	return len(line), nil
}

// close waits a moment for the lines that were written before.
func (c *backlog) close() {
	close(c.stop)
	select {
	case <-c.done:
	case <-time.After(lastWords):
	}
}
