package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

var (
	// errRestart ends a task that wants to begin anew at once.
	errRestart  = errors.New("starting anew")
	errNoReason = errors.New("ended without a reason")
)

const (
	shortestPause = time.Second
	longestPause  = time.Minute
	// settled is how long a task has to run for its next failure to count as
	// the first one.
	settled = time.Minute
)

// A task is one of the router's loops. It owns what it opens, and closes it
// before it returns.
type task struct {
	name string
	run  func(context.Context) error
	// failed is told why the task ended, and nothing while it runs; nil: nobody
	// wants to know.
	failed func(why string)
	// pause waits before the next attempt, at most d; nil waits for d.
	pause func(ctx context.Context, d time.Duration)
}

// supervise runs a task until ctx ends: again after an error and after a panic,
// with pauses that double from a second to a minute. Tasks share nothing that a
// panic could leave locked, so one that crashes takes no other down.
func supervise(ctx context.Context, log *slog.Logger, t task) {
	if t.pause == nil {
		t.pause = sleep
	}
	pause := shortestPause
	for ctx.Err() == nil {
		began := time.Now()
		err := contain(func() error { return t.run(ctx) })
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errNoReason
		}
		if errors.Is(err, errRestart) {
			continue
		}
		if time.Since(began) >= settled {
			pause = shortestPause
		}
		attrs := []any{"err", err, "again_in", pause}
		if c := (*crash)(nil); errors.As(err, &c) {
			attrs = append(attrs, "stack", string(c.stack))
		}
		log.Error(t.name+" stopped", attrs...)
		if t.failed != nil {
			t.failed(err.Error())
		}
		t.pause(ctx, pause)
		pause = min(2*pause, longestPause)
	}
}

// A crash is a panic that was contained.
type crash struct {
	why   any
	stack []byte
}

func (c *crash) Error() string { return fmt.Sprintf("crashed: %v", c.why) }

// contain turns a panic into an error. Every goroutine that is not a task's own
// needs it: a panic in any of them would end the router.
func contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &crash{p, debug.Stack()}
		}
	}()
	return f()
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
