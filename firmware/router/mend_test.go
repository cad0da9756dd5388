package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"leasehold/firmware/link"
)

const taken = "another program has taken"

func TestWhatIsTakenFromThePortIsPutBack(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		h.bound(time.Hour)
		h.look()
		h.touched() // by us
		time.Sleep(time.Minute)
		h.wants()
		h.notLogged(taken)
		h.take(true)
		h.touched()
		h.wants()
		time.Sleep(mendAfter)
		h.wants(wanUp) // a script that has taken it would take it again
		h.logged(taken)
		h.pageHas(taken)
	})
}

// Two programs that want the same port do not keep it in a stir, nor the log.
func TestMendingIsNoFight(t *testing.T) {
	live(t, func(h *house) {
		h.bound(100 * time.Hour)
		fight := func() (mended int) {
			for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(100 * time.Millisecond) {
				if h.look("program"); !h.isTaken() {
					mended++
					h.take(true)
					h.touched()
				}
			}
			return mended
		}
		if n := fight(); n < 60 || n > 70 {
			t.Errorf("in an hour it was put back %d times; want once a minute", n)
		}
		if n := strings.Count(h.log.String(), taken); n != 1 {
			t.Errorf("it was logged %d times; want once", n)
		}
		time.Sleep(2 * mendCalm)
		h.look()
		h.take(true)
		h.touched()
		time.Sleep(mendAfter)
		if got := h.look(); !slices.Equal(got, []string{wanUp}) {
			t.Errorf("when there was peace the router did %q; want %q at once", got, wanUp)
		}
		if n := strings.Count(h.log.String(), taken); n != 2 {
			t.Errorf("it was logged %d times; want twice", n)
		}
	})
}

func (h *house) isTaken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken
}

// Without a lease nothing is missing, and at the end of one nothing is put back.
func TestNothingIsPutBackWithoutALease(t *testing.T) {
	live(t, func(h *house) {
		h.connect(time.Hour).keepSilent(true)
		h.boot()
		h.take(true)
		h.touched()
		time.Sleep(10 * time.Second)
		h.notLogged(taken)
	})
}

func TestPortThatIsGoneIsNotMended(t *testing.T) {
	live(t, func(h *house) {
		h.bound(time.Hour)
		h.breakIn("setUplink", func() {
			h.breakIn("setUplink", nil)
			h.setMissing(wanDev, true)
		})
		h.take(true)
		h.touched()
		time.Sleep(2 * mendAfter)
		h.logged("wan stopped")
		h.setMissing(wanDev, false)
		time.Sleep(5 * time.Second)
		if got := h.look(); !slices.Contains(got, wanUp) {
			t.Errorf("when the port is back the router did %q", got)
		}
	})
}

// A route that the kernel does not take was taken by nobody.
func TestRouteThatWasRefusedIsNotMissing(t *testing.T) {
	live(t, func(h *house) {
		h.routesErr = fmt.Errorf("%w of wan: no", link.ErrRoutes)
		h.bound(time.Hour)
		h.look()
		h.touched()
		time.Sleep(time.Minute)
		h.wants()
		h.notLogged(taken)
	})
}
