package router

import (
	"sync"
	"sync/atomic"

	"leasehold/firmware/status"
)

// A board is where the tasks put what the page shows. The page reads one
// immutable report; who changes a part of it publishes a new one.
type board struct {
	change sync.Mutex
	report atomic.Pointer[status.Report]
}

func newBoard(r status.Report) *board {
	b := &board{}
	b.report.Store(&r)
	return b
}

func (b *board) read() *status.Report { return b.report.Load() }

// publish has change alter a copy; what it replaces in it, slices included, it
// replaces whole.
func (b *board) publish(change func(*status.Report)) {
	b.change.Lock()
	defer b.change.Unlock()
	r := *b.report.Load()
	change(&r)
	b.report.Store(&r)
}

// remembered is how many events the page shows.
const remembered = 20

func (b *board) note(e status.Event) {
	b.publish(func(r *status.Report) {
		old := r.Events[max(0, len(r.Events)-remembered+1):]
		r.Events = append(append(make([]status.Event, 0, remembered), old...), e)
	})
}

// A mailbox hands its owner the latest of the values that were put in.
type mailbox[T any] chan T

func newMailbox[T any]() mailbox[T] { return make(mailbox[T], 1) }

// put replaces a value that was not taken yet. It is for one goroutine.
func (m mailbox[T]) put(v T) {
	select {
	case <-m:
	default:
	}
	m <- v
}
