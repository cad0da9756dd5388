package main

import (
	"bytes"
	"runtime"
	"syscall"
	"testing"
)

// TestStory plays what `make run SHORT=1` plays: three clients bind, renew,
// release, and keep their addresses over a power cut of the router, without a
// refusal. Each step is asserted on what the clients report.
func TestStory(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	s, err := newStory(&told, shipped(t, runtime.GOARCH), true)
	check(t, err)
	defer func() {
		s.end()
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Log(told.String())
	}()
	if err := s.tell(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// end ends everybody who is still there.
func (s *story) end() {
	all := []*process{s.isp, s.box.proc}
	for _, l := range append(s.laptops, s.guest) {
		if l != nil {
			all = append(all, l.proc)
		}
	}
	for _, p := range all {
		if p != nil {
			p.end(syscall.SIGKILL)
		}
	}
}
