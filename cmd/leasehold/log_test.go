package main

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// A stuckWriter takes nothing until it is let go.
type stuckWriter struct {
	free chan struct{}
	mu   sync.Mutex
	got  strings.Builder
}

func (w *stuckWriter) Write(b []byte) (int, error) {
	<-w.free
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.Write(b)
}

func TestStuckConsoleHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{free: make(chan struct{})}
		c := newBacklog(w)
		for range backlogLines + 11 {
			c.Write([]byte("line\n"))
			synctest.Wait()
		}
		close(w.free)
		synctest.Wait()
		c.Write([]byte("after\n"))
		c.close()
		if got := w.got.String(); !strings.Contains(got, "lines=10\n") || !strings.HasSuffix(got, "after\n") {
			t.Errorf("%d lines written, the last %q", strings.Count(got, "\n"), got[max(0, len(got)-80):])
		}
	})
}

func TestConsoleThatStaysStuckDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{free: make(chan struct{})}
		c := newBacklog(w)
		c.Write([]byte("line\n"))
		c.close()
		close(w.free)
	})
}
