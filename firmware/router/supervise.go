package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// errRestart ends a task that wants to begin anew at once.
var errRestart = errors.New("starting anew")

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
	// failed is told why the task ended, and nothing while it runs.
	failed func(why string)
}

// supervise runs a task until ctx ends: again after an error and after a panic,
// with pauses that double from a second to a minute. Tasks share nothing that a
// panic could leave locked, so one that crashes takes no other down.
func supervise(ctx context.Context, log *slog.Logger, t task) {
	pause := shortestPause
	for ctx.Err() == nil {
		began := time.Now()
		err := contain(ctx, t.run)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRestart) {
			continue
		}
		if time.Since(began) >= settled {
			pause = shortestPause
		}
		log.Error(t.name+" stopped", "err", err, "again_in", pause)
		t.failed(err.Error())
		sleep(ctx, pause)
		pause = min(2*pause, longestPause)
	}
}

// contain turns a panic, or a return without a reason, into an error.
func contain(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("crashed: %v\n%s", p, debug.Stack())
		}
	}()
	if err := run(ctx); err != nil {
		return err
	}
	return errors.New("ended without a reason")
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
