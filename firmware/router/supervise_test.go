package router

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// starts supervises a task for a while and returns when it was started, from
// the beginning on.
func starts(t *testing.T, during time.Duration, run func(n int, ctx context.Context) error) (at []time.Duration, log string) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), during)
		defer cancel()
		notes := &notebook{}
		began := time.Now()
		supervise(ctx, slog.New(slog.NewTextHandler(notes, nil)), task{name: "loop", run: func(ctx context.Context) error {
			at = append(at, time.Since(began))
			return run(len(at), ctx)
		}})
		log = notes.String()
	})
	return at, log
}

func seconds(list ...int) (ds []time.Duration) {
	for _, s := range list {
		ds = append(ds, time.Duration(s)*time.Second)
	}
	return ds
}

func TestSuperviseBacksOff(t *testing.T) {
	want := seconds(0, 1, 3, 7, 15, 31, 63, 123, 183) // pauses of 1, 2, 4, 8, 16, 32, 60, 60
	for name, run := range map[string]func(int, context.Context) error{
		"after an error":           func(int, context.Context) error { return errors.New("no such device") },
		"after a panic":            func(int, context.Context) error { panic("oops") },
		"after a nil dereference":  func(int, context.Context) error { var l *lan; l.cfg.Serve = true; return nil },
		"after no reason at all":   func(int, context.Context) error { return nil },
		"after somebody's context": func(int, context.Context) error { return context.Canceled },
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := starts(t, 200*time.Second, run); !slices.Equal(got, want) {
				t.Errorf("started at %v; want %v", got, want)
			}
		})
	}
}

func TestSuperviseForgivesWhoRanForAMinute(t *testing.T) {
	got, _ := starts(t, 150*time.Second, func(n int, _ context.Context) error {
		if n == 4 {
			time.Sleep(settled)
		}
		return errors.New("broken")
	})
	if want := seconds(0, 1, 3, 7, 68, 70, 74, 82, 98, 130); !slices.Equal(got, want) {
		t.Errorf("started at %v; want %v", got, want)
	}
}

func TestSuperviseRestartsAtOnce(t *testing.T) {
	got, log := starts(t, 10*time.Second, func(n int, ctx context.Context) error {
		if n <= 3 {
			time.Sleep(time.Second)
			return errRestart
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if want := seconds(0, 1, 2, 3); !slices.Equal(got, want) {
		t.Errorf("started at %v; want %v", got, want)
	}
	if log != "" {
		t.Errorf("log %q; want nothing said of what is in order", log)
	}
}

func TestSuperviseEndsAtOnce(t *testing.T) {
	for name, run := range map[string]func(context.Context) error{
		"while the task runs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"during a pause":      func(context.Context) error { return errors.New("broken") },
		"with a last panic":   func(ctx context.Context) error { <-ctx.Done(); panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const until = 40 * time.Second // in the middle of the pause of 32 s
				ctx, cancel := context.WithTimeout(t.Context(), until)
				defer cancel()
				began := time.Now()
				supervise(ctx, slog.New(slog.DiscardHandler), task{name: "loop", run: run})
				if d := time.Since(began); d != until {
					t.Errorf("ended after %v; want %v", d, until)
				}
			})
		})
	}
}

func TestSuperviseTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		notes := &notebook{}
		var told []string
		supervise(ctx, slog.New(slog.NewTextHandler(notes, nil)), task{
			name:   "loop",
			run:    func(context.Context) error { panic("oops") },
			failed: func(why string) { told = append(told, why) },
		})
		if want := []string{"crashed: oops", "crashed: oops"}; !slices.Equal(told, want) {
			t.Errorf("told %q; want %q", told, want)
		}
		for _, want := range []string{`msg="loop stopped"`, `err="crashed: oops"`, "again_in=1s", "again_in=2s", "supervise_test.go"} {
			if !strings.Contains(notes.String(), want) {
				t.Errorf("the log has no %s:\n%s", want, notes)
			}
		}
	})
}
