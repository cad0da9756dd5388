package router

import (
	"errors"
	"time"

	"leasehold/firmware/link"
	"leasehold/firmware/status"
)

const (
	// mendAfter is how long another program has to finish what it does to the port
	// before we look what it has left of ours. The next time it is twice as long,
	// and so on: two programs that want the same port are not to keep it in a stir.
	mendAfter = time.Second
	mendMost  = time.Minute
	// mendCalm is after how long the next time counts as the first one.
	mendCalm = 10 * time.Minute
)

// A mending says when to look whether the port has still what it was given.
type mending struct {
	look *time.Timer
	set  bool          // the timer
	wait time.Duration // before the next look
	last time.Time     // when something was put back; zero: never
}

// start begins with nothing to look after. How long to wait is remembered.
func (m *mending) start() {
	m.look, m.set = time.NewTimer(mendMost), false
	m.look.Stop()
}

// soon says that something may have been taken.
func (m *mending) soon(now time.Time) {
	if m.set {
		return
	}
	if m.calm(now) {
		m.wait = mendAfter
	}
	m.look.Reset(m.wait)
	m.set = true
}

func (m *mending) calm(now time.Time) bool { return m.last.IsZero() || now.Sub(m.last) >= mendCalm }

// mend puts back what another program has taken from the port. It fails where
// install does.
func (w *wan) mend(now time.Time) error {
	m := &w.mending
	m.set = false
	l := w.machine.Lease()
	if l == nil || w.held {
		return nil
	}
	u := w.uplink(*l)
	look := u
	if w.partial {
		look.Routes = nil
	}
	if has, err := w.os.hasUplink(w.cfg.Device, look); has || err != nil {
		return err
	}
	if m.calm(now) {
		w.log.Warn("another program has taken from the port what is ours; it is put back", "device", w.cfg.Device, "addr", l.Addr)
		w.board.note(status.Event{At: now, Text: "WAN: another program has taken the address or a route from the port; it is put back"})
	}
	m.last, m.wait = now, min(2*m.wait, mendMost)
	if err := w.os.setUplink(w.cfg.Device, u); !errors.Is(err, link.ErrRoutes) {
		return err
	}
	return nil
}
