package lease

import (
	"fmt"
	"testing"
	"time"
)

const lent = 10 * time.Minute

// loan is what binding is in memory only.
func loan(a string, n int) Binding {
	b := binding(a, n)
	b.Term, b.Grant = lent, lent
	return b
}

func (c checked) recorded(n int, want string) {
	c.Helper()
	got := ""
	if a, ok := c.Recorded(id(n)); ok {
		got = a.String()
	}
	if got != want {
		c.Errorf("flash has client %d at %q; want %q", n, got, want)
	}
}

func TestLentAddressIsTheClientsUntilItIsOver(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.1"))
	c.Promise(at(0), ip("10.0.0.1"), id(1), at(time.Minute))
	c.Lend(at(0), loan("10.0.0.1", 1))
	if got := c.Promised(at(0), ip("10.0.0.1")); got != "" {
		t.Errorf("still promised to %v", got)
	}
	c.free(lent-1, "10.0.0.1", 2, false)
	c.free(lent, "10.0.0.1", 2, true)
	c.picks(lent, 2, "", "10.0.0.1")
	c.picks(lent, 1, "", "10.0.0.1")
	c.recorded(1, "")
	if s, _ := c.Holder(id(1)); !s.Heard || s.Kept {
		t.Errorf("Holder = %+v; want it heard, and not kept", s)
	}
}

func TestLendToWhoIsOnFlashLeavesTheRecordInForce(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	kept := binding("10.0.0.1", 1)
	kept.Name = "laptop"
	c.Bind(at(0), kept)
	c.Lend(at(2*term), loan("10.0.0.1", 1))
	want := kept
	want.Grant = lent
	if s, _ := c.Holder(id(1)); s.Binding != want || !s.Kept {
		t.Errorf("Holder = %+v; want %+v, kept", s, want)
	}
	c.free(2*term+lent-1, "10.0.0.1", 2, false)
	c.free(2*term+lent, "10.0.0.1", 2, true)
}

func TestLendToAnotherLeavesTheRecordToItsClient(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Lend(at(term), loan("10.0.0.1", 2))
	for n := 1; n <= 2; n++ {
		if c.Keeps(ip("10.0.0.1"), id(n)) {
			t.Errorf("client %d is said to be kept as it is", n)
		}
	}
	c.recorded(1, "10.0.0.1")
	c.recorded(2, "")
	if _, ok := c.Holder(id(1)); ok {
		t.Error("client 1 still has an address")
	}
	if s, _ := c.Holder(id(2)); s.Kept || s.Binding != loan("10.0.0.1", 2) {
		t.Errorf("Holder = %+v; want what was lent", s)
	}
}

func TestLendOfAnotherAddressFreesTheEarlierButForItsRecord(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Lend(at(0), loan("10.0.0.2", 1))
	c.free(0, "10.0.0.1", 2, true)
	c.picks(0, 1, "", "10.0.0.2")
	c.recorded(1, "10.0.0.1")
	c.Lend(at(0), loan("10.0.0.1", 1)) // and back: memory no longer knows how it is stored
	if c.Keeps(ip("10.0.0.1"), id(1)) {
		t.Error("what was lent is said to be kept as it is")
	}
}

func TestRecordedFollowsFlash(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.recorded(1, "")
	c.Recall(at(0), binding("10.0.0.1", 1))
	c.recorded(1, "10.0.0.1")
	c.Recall(at(0), binding("10.0.0.2", 1)) // the later one
	c.recorded(1, "10.0.0.2")
	c.Bind(at(0), binding("10.0.0.3", 1))
	c.recorded(1, "10.0.0.3")
	c.Lend(at(term), loan("10.0.0.3", 2))
	c.recorded(1, "10.0.0.3")
	c.Bind(at(term), binding("10.0.0.3", 2))
	c.recorded(1, "")
	c.recorded(2, "10.0.0.3")
}

func TestLendNeverShortensWhatTheClientWasTold(t *testing.T) {
	b, l := binding("10.0.0.1", 1), loan("10.0.0.1", 1)
	for _, test := range []struct {
		name  string
		after func(c checked)
		until time.Duration
	}{
		{"bound", func(c checked) { c.Bind(at(0), b); c.Lend(at(0), l) }, term},
		{"recalled", func(c checked) { c.Recall(at(0), b); c.Lend(at(0), l) }, term},
		{"bound, lent, bound for less", func(c checked) {
			short := b
			short.Grant = 2 * time.Minute
			c.Bind(at(0), b)
			c.Lend(at(0), l)
			c.Bind(at(time.Minute), short)
		}, term},
		{"bound, lent, lent", func(c checked) { c.Bind(at(0), b); c.Lend(at(0), l); c.Lend(at(time.Minute), l) }, term},
		{"lent, bound, lent", func(c checked) { c.Lend(at(0), l); c.Bind(at(time.Minute), b); c.Lend(at(2*time.Minute), l) }, term + time.Minute},
		{"bound, lent beyond its end", func(c checked) { c.Bind(at(0), b); c.Lend(at(term-time.Minute), l) }, term - time.Minute + lent},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
			test.after(c)
			c.free(test.until-1, "10.0.0.1", 2, false)
			c.free(test.until, "10.0.0.1", 2, true)
		})
	}
}

func TestKeepsIsAsLongAsTheRecordStands(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c checked)
		want bool
	}{
		{"bound", func(c checked) {}, true},
		{"recalled", func(c checked) { c.Recall(at(0), binding("10.0.0.1", 1)) }, true},
		{"lent", func(c checked) { c.Lend(at(0), loan("10.0.0.1", 1)) }, true},
		{"released", func(c checked) { c.Release(at(0), ip("10.0.0.1"), id(1)) }, true},
		{"declined", func(c checked) { c.Decline(at(0), ip("10.0.0.1"), id(1), at(term)) }, true},
		{"over and offered to another", func(c checked) { c.Hold(at(term), ip("10.0.0.1"), id(2), at(2*term)) }, true},
		{"over and bound to another", func(c checked) { c.Bind(at(term), binding("10.0.0.1", 2)) }, false},
		{"over and lent to another", func(c checked) { c.Lend(at(term), loan("10.0.0.1", 2)) }, false},
		{"moved", func(c checked) { c.Bind(at(0), binding("10.0.0.2", 1)) }, false},
		{"lent another address", func(c checked) { c.Lend(at(0), loan("10.0.0.2", 1)) }, false},
	} {
		c := newTable(t, pool("10.0.0.1", "10.0.0.99"))
		c.Bind(at(0), binding("10.0.0.1", 1))
		test.do(c)
		if got := c.Keeps(ip("10.0.0.1"), id(1)); got != test.want {
			t.Errorf("%s: Keeps = %v; want %v", test.name, got, test.want)
		}
		if c.Keeps(ip("10.0.0.1"), id(3)) || c.Keeps(ip("10.0.0.77"), id(1)) {
			t.Errorf("%s: keeps what was never bound", test.name)
		}
	}
}

func TestUsingIsToHaveBeenHeardOnIt(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c checked)
		now  time.Duration
		want bool
	}{
		{"never seen", func(c checked) {}, 0, false},
		{"offered", func(c checked) { c.Hold(at(0), ip("10.0.0.1"), id(1), at(time.Minute)) }, 0, false},
		{"recalled", func(c checked) { c.Recall(at(0), binding("10.0.0.1", 1)) }, 0, false},
		{"recalled and bound", func(c checked) { c.Recall(at(0), binding("10.0.0.1", 1)); c.Bind(at(0), binding("10.0.0.1", 1)) }, 0, true},
		{"bound", func(c checked) { c.Bind(at(0), binding("10.0.0.1", 1)) }, term - 1, true},
		{"bound, and over", func(c checked) { c.Bind(at(0), binding("10.0.0.1", 1)) }, term, false},
		{"lent", func(c checked) { c.Lend(at(0), loan("10.0.0.1", 1)) }, lent - 1, true},
		{"lent, and over", func(c checked) { c.Lend(at(0), loan("10.0.0.1", 1)) }, lent, false},
		{"bound, over, and held", func(c checked) {
			c.Bind(at(0), binding("10.0.0.1", 1))
			c.Hold(at(term), ip("10.0.0.1"), id(1), at(term+time.Minute))
		}, term, false},
		{"lent and recalled", func(c checked) {
			c.Lend(at(0), loan("10.0.0.1", 1))
			c.Recall(at(lent-1), binding("10.0.0.1", 1))
		}, lent, true},
		{"lent, over, and recalled", func(c checked) {
			c.Lend(at(0), loan("10.0.0.1", 1))
			c.Recall(at(lent), binding("10.0.0.1", 1))
		}, lent, false},
		{"bound to another", func(c checked) { c.Bind(at(0), binding("10.0.0.1", 2)) }, 0, false},
		{"released", func(c checked) {
			c.Bind(at(0), binding("10.0.0.1", 1))
			c.Release(at(0), ip("10.0.0.1"), id(1))
		}, 0, false},
		{"declined", func(c checked) {
			c.Bind(at(0), binding("10.0.0.1", 1))
			c.Decline(at(0), ip("10.0.0.1"), id(1), at(term))
		}, 0, false},
	} {
		c := newTable(t, pool("10.0.0.1", "10.0.0.99"))
		test.do(c)
		if got := c.Using(at(test.now), ip("10.0.0.1"), id(1)); got != test.want {
			t.Errorf("%s: Using = %v; want %v", test.name, got, test.want)
		}
		heard := test.want || test.name == "bound to another"
		if got := c.Heard(at(test.now), ip("10.0.0.1")); got != heard {
			t.Errorf("%s: Heard = %v; want %v", test.name, got, heard)
		}
	}
}

func TestSilenceIsForTheClientThatItWasAskedFor(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.99"))
	silent := func(now time.Duration, n int, want bool) {
		t.Helper()
		if got := c.IsSilent(at(now), ip("10.0.0.1"), id(n)); got != want {
			t.Errorf("at %v: IsSilent(client %d) = %v; want %v", now, n, got, want)
		}
	}
	silent(0, 1, false)
	c.Silent(ip("10.0.0.1"), id(1), at(time.Minute))
	silent(time.Minute-1, 1, true)
	silent(time.Minute, 1, false)
	silent(0, 2, false) // it may have been client 1 that was asked about
	c.Silent(ip("10.0.0.1"), id(2), at(time.Minute))
	silent(0, 2, true)
	c.Seize(at(0), ip("10.0.0.1"), id(2), hw(9), at(time.Second))
	silent(time.Second, 2, false)
}

func TestSeize(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c checked)
		want bool
	}{
		{"never seen", func(c checked) {}, true},
		{"held for the client", func(c checked) { c.Hold(at(0), ip("10.0.0.1"), id(1), at(time.Minute)) }, true},
		{"promised to the client, and not kept", func(c checked) { c.Promise(at(0), ip("10.0.0.1"), id(1), at(time.Minute)) }, true},
		{"recalled as the client's", func(c checked) { c.Recall(at(0), binding("10.0.0.1", 1)) }, true},
		{"the client's, over, and held for it", func(c checked) {
			c.Bind(at(-term), binding("10.0.0.1", 1))
			c.Hold(at(0), ip("10.0.0.1"), id(1), at(time.Minute))
		}, true},
		{"another's, and over", func(c checked) { c.Bind(at(-term), binding("10.0.0.1", 2)) }, true},
		{"bound to the client meanwhile", func(c checked) { c.Bind(at(0), binding("10.0.0.1", 1)) }, false},
		{"lent to the client meanwhile", func(c checked) { c.Lend(at(0), loan("10.0.0.1", 1)) }, false},
		{"held for another meanwhile", func(c checked) { c.Hold(at(0), ip("10.0.0.1"), id(2), at(time.Minute)) }, false},
		{"promised to another meanwhile", func(c checked) { c.Promise(at(0), ip("10.0.0.1"), id(2), at(time.Minute)) }, false},
		{"bound to another meanwhile", func(c checked) { c.Bind(at(0), binding("10.0.0.1", 2)) }, false},
		{"lent to another meanwhile", func(c checked) { c.Lend(at(0), loan("10.0.0.1", 2)) }, false},
		{"recalled as another's meanwhile", func(c checked) { c.Recall(at(0), binding("10.0.0.1", 2)) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTable(t, pool("10.0.0.1", "10.0.0.99"))
			test.do(c)
			before := State(0)
			if s := c.slots[ip("10.0.0.1")]; s != nil {
				before = s.State
			}
			if got := c.Seize(at(0), ip("10.0.0.1"), id(1), hw(9), at(time.Hour)); got != test.want {
				t.Fatalf("Seize = %v; want %v", got, test.want)
			}
			if s := c.slots[ip("10.0.0.1")]; !test.want && s.State != before {
				t.Errorf("it is %v now; want it %v as before", s.State, before)
			}
			if !test.want {
				return
			}
			for n := 1; n < 4; n++ {
				c.free(time.Hour-1, "10.0.0.1", n, false)
				c.free(time.Hour, "10.0.0.1", n, true)
			}
			c.Hold(at(time.Hour), ip("10.0.0.1"), id(3), at(2*time.Hour))
			if p := c.Promised(at(0), ip("10.0.0.1")); p != "" {
				t.Errorf("promised to %v", p)
			}
		})
	}
}

// What clients say may be a lie; what we heard is not.
func TestSeizedAddressesAreOutOfUseHoweverMany(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.40"))
	for n := 1; n < 40; n++ {
		c.Seize(at(0), ip(fmt.Sprintf("10.0.0.%d", n)), id(1), hw(n), at(time.Hour))
	}
	c.Hold(at(0), ip("10.0.0.40"), id(1), at(time.Minute))
	c.Decline(at(0), ip("10.0.0.40"), id(1), at(time.Hour))
	c.picks(time.Hour-1, 1, "", "")
	for n := 1; n <= 40; n++ {
		c.free(time.Hour-1, fmt.Sprintf("10.0.0.%d", n), 99, false)
		c.free(time.Hour, fmt.Sprintf("10.0.0.%d", n), 99, true)
	}
}
