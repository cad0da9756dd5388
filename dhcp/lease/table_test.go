package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"leasehold/dhcp"
)

const term = time.Hour

var boot = time.Unix(12, 0) // no clock on this board

func at(d time.Duration) time.Time { return boot.Add(d) }

// id is the identity of client n.
func id(n int) dhcp.ID { return dhcp.HardwareID(hw(n)) }

func hw(n int) dhcp.HWAddr { return dhcp.HWAddr{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

func binding(a string, n int) Binding {
	return Binding{Addr: ip(a), ID: id(n), HW: hw(n), Term: term, Grant: term}
}

func pool(first, last string, except ...string) Pool {
	p := Pool{First: ip(first), Last: ip(last), Except: map[netip.Addr]bool{}}
	for _, a := range except {
		p.Except[ip(a)] = true
	}
	return p
}

// A checked table is tested for its invariants when the test ends, and whenever
// sound is called.
type checked struct {
	*testing.T
	*Table
}

func newTable(t *testing.T, p Pool) checked {
	c := checked{t, NewTable(p)}
	t.Cleanup(c.sound)
	return c
}

// sound checks what holds between the maps at all times; it also means that
// none of them can outgrow the addresses.
func (c checked) sound() {
	c.Helper()
	for a, s := range c.slots {
		if queued := s.pile != nil; queued != c.pool.Contains(a) || s.Addr != a {
			c.Errorf("%v: in a heap %v, in the pool %v", a, queued, c.pool.Contains(a))
		}
		if s.User != (dhcp.HWAddr{}) && (s.State != Declined || c.users[s.User] == 0) {
			c.Errorf("%v is %v, and used by %v", a, s.State, s.User)
		}
	}
	for _, p := range []*pile{&c.busy, &c.idle} {
		for i, s := range p.slots {
			if s.pile != p || s.index != i || c.slots[s.Addr] != s {
				c.Errorf("the slot of %v is lost in the heap", s.Addr)
			}
			if i > 0 && p.before(s, p.slots[(i-1)/2]) {
				c.Errorf("the slot of %v is misplaced in the heap", s.Addr)
			}
		}
	}
	for _, s := range c.busy.slots {
		if s.State == Free || s.Until.Before(s.due) {
			c.Errorf("the slot of %v is among the busy ones, %v until %v, due %v", s.Addr, s.State, s.Until, s.due)
		}
	}
	for _, s := range c.slots {
		if used := s.State == Bound || s.State == Offered; used && s.Until.Before(s.promised) || s.State == Bound && s.Until.Before(s.granted) {
			c.Errorf("%v is free at %v, promised until %v and granted until %v", s.Addr, s.Until, s.promised, s.granted)
		}
		if (s.State == Offered) != (s.offered != "") {
			c.Errorf("%v is %v and offered to %v", s.Addr, s.State, s.offered)
		}
	}
	for id, s := range c.byID {
		if s.ID != id || c.slots[s.Addr] != s {
			c.Errorf("%v is said to have %v, which has %v", id, s.Addr, s.ID)
		}
	}
	for a, s := range c.slots {
		if s.ID != "" && c.byID[s.ID] != s || s.Kept && (s.record != s.ID || c.records[s.ID] != s) {
			c.Errorf("%v is %v's, who is said to have something else: %+v", a, s.ID, s)
		}
	}
	for id, s := range c.records {
		if s.record != id || c.slots[s.Addr] != s {
			c.Errorf("%v is said to be recorded with %v, which is recorded with %v", id, s.Addr, s.record)
		}
	}
	for id, s := range c.offers {
		if s.State != Offered || s.offered != id || c.slots[s.Addr] != s {
			c.Errorf("%v is said to be offered %v, which is %v to %v", id, s.Addr, s.State, s.offered)
		}
	}
	for _, s := range c.declined {
		if s.State != Declined {
			c.Errorf("%v is %v in the list of the declined", s.Addr, s.State)
		}
	}
}

// picks asserts what Pick says to client n, who wants an address or "".
func (c checked) picks(now time.Duration, n int, want, expect string) {
	c.Helper()
	var w netip.Addr
	if want != "" {
		w = ip(want)
	}
	a, ok := c.Pick(at(now), id(n), w)
	got := ""
	if ok {
		got = a.String()
	}
	if got != expect {
		c.Errorf("at %v: Pick(client %d, want %q) = %q; want %q", now, n, want, got, expect)
	}
}

func (c checked) free(now time.Duration, a string, n int, want bool) {
	c.Helper()
	if got := c.Free(at(now), ip(a), id(n)); got != want {
		c.Errorf("at %v: Free(%s, client %d) = %v; want %v", now, a, n, got, want)
	}
}

// full binds every address of a pool to clients 100, 101, ... one second after
// the other, for a term each.
func full(t *testing.T, first string, n int) checked {
	p := Pool{First: ip(first), Last: address(number(ip(first)) + uint32(n-1))}
	c := newTable(t, p)
	a := p.First
	for i := range n {
		c.Bind(at(time.Duration(i)*time.Second), binding(a.String(), 100+i))
		a = a.Next()
	}
	return c
}

func TestPickPrefersTheAddressThatTheClientHas(t *testing.T) {
	c := newTable(t, pool("192.168.1.10", "192.168.1.19"))
	c.Bind(at(0), binding("192.168.1.13", 1))
	c.picks(time.Minute, 1, "192.168.1.15", "192.168.1.13")
}

func TestPickPrefersTheAddressThatTheClientHad(t *testing.T) {
	c := newTable(t, pool("192.168.1.10", "192.168.1.19"))
	c.Bind(at(0), binding("192.168.1.13", 1))
	c.picks(term+time.Minute, 1, "192.168.1.15", "192.168.1.13")

	c.Bind(at(0), binding("192.168.1.14", 2))
	if !c.Release(at(time.Minute), ip("192.168.1.14"), id(2)) {
		t.Error("the binding was not released")
	}
	c.picks(2*time.Minute, 2, "192.168.1.15", "192.168.1.14")
	c.picks(1000*time.Hour, 2, "", "192.168.1.14")
}

func TestPickPrefersTheAddressThatTheClientWasOffered(t *testing.T) {
	c := newTable(t, pool("192.168.1.10", "192.168.1.19"))
	c.Hold(at(0), ip("192.168.1.13"), id(1), at(time.Minute))
	c.picks(time.Second, 1, "192.168.1.15", "192.168.1.13")
}

func TestPickGrantsTheAddressThatTheClientWants(t *testing.T) {
	c := newTable(t, pool("192.168.1.10", "192.168.1.19", "192.168.1.11"))
	c.Bind(at(0), binding("192.168.1.13", 9))
	c.picks(0, 1, "192.168.1.15", "192.168.1.15")
	own, _ := c.Pick(at(0), id(1), netip.Addr{})
	for _, want := range []string{
		"192.168.1.13", // another client's
		"192.168.1.11", // reserved
		"192.168.1.20", // behind the pool
		"10.0.0.1", "0.0.0.0", "255.255.255.255", "2001:db8::1",
	} {
		c.picks(0, 1, want, own.String())
	}
	c.picks(term, 1, "192.168.1.13", "192.168.1.13") // no longer another client's
}

func TestPickFindsTheSameAddressWhenAllRecordsAreLost(t *testing.T) {
	p := pool("192.168.1.100", "192.168.1.249")
	before, after := newTable(t, p), newTable(t, p)
	kept := 0
	for n := range 40 {
		a, _ := before.Pick(at(0), id(n), netip.Addr{})
		before.Bind(at(0), binding(a.String(), n))
	}
	for n := 39; n >= 0; n-- { // they come back in another order
		a, _ := after.Pick(at(0), id(n), netip.Addr{})
		after.Bind(at(0), binding(a.String(), n))
		if s, _ := before.Holder(id(n)); s.Addr == a {
			kept++
		}
	}
	if kept < 30 {
		t.Errorf("%d of 40 clients were given the address that they had; want most", kept)
	}
}

func TestPickTakesAnUnusedAddressBeforeAnExpiredOne(t *testing.T) {
	c := newTable(t, pool("10.0.0.0", "10.0.0.99"))
	for n := range 99 { // all but one, so that the hash will hardly point there
		c.Bind(at(0), binding(fmt.Sprintf("10.0.0.%d", n), n))
	}
	for n := 200; n < 250; n++ {
		c.picks(2*term, n, "", "10.0.0.99")
	}
}

func TestPickTakesTheLongestExpired(t *testing.T) {
	c := full(t, "10.0.0.1", 4)
	c.picks(term-time.Second, 1, "", "")
	c.picks(term, 1, "", "10.0.0.1")
	c.Bind(at(term), binding("10.0.0.1", 100)) // its holder is back
	c.picks(term+time.Minute, 1, "", "10.0.0.2")
	c.Release(at(0), ip("10.0.0.4"), id(103)) // long ago
	c.picks(term+time.Minute, 1, "", "10.0.0.4")
}

// An offer that is not taken up does not make an address look used.
func TestOfferLeavesTheAddressAsIdleAsItWas(t *testing.T) {
	for _, end := range []func(c checked){
		func(c checked) { c.Unhold(at(2*term), id(50)) },
		func(c checked) {}, // it is just not taken
	} {
		c := full(t, "10.0.0.1", 4)
		c.picks(2*term, 50, "", "10.0.0.1")
		c.Hold(at(2*term), ip("10.0.0.1"), id(50), at(2*term+time.Minute))
		c.picks(2*term, 51, "", "10.0.0.2")
		end(c)
		c.picks(2*term+time.Minute, 51, "", "10.0.0.1")
	}
}

func TestPickTakesStrangersAddressesBeforeThoseOfRegulars(t *testing.T) {
	c := full(t, "10.0.0.1", 4)
	c.Bind(at(0), binding("10.0.0.1", 100))
	c.Bind(at(regularAfter), binding("10.0.0.1", 100)) // it comes back
	c.Release(at(regularAfter), ip("10.0.0.1"), id(100))
	for _, want := range []string{"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.1"} {
		a, _ := c.Pick(at(3*term), id(1), netip.Addr{})
		if a != ip(want) {
			t.Errorf("Pick = %v; want %s", a, want)
		}
		c.Promise(at(3*term), a, id(int(number(a))), at(100*term))
	}
}

func TestRegularIsWhoComesBackAfterADayOrAReboot(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c checked)
		want bool
	}{
		{"bound once", func(c checked) {}, false},
		{"renewed the same day", func(c checked) { c.Bind(at(regularAfter-1), binding("10.0.0.1", 1)) }, false},
		{"renewed after a day", func(c checked) { c.Bind(at(regularAfter), binding("10.0.0.1", 1)) }, true},
		{"lent after a day", func(c checked) { c.Lend(at(regularAfter), loan("10.0.0.1", 1)) }, true},
		{"moved after a day", func(c checked) { c.Bind(at(regularAfter), binding("10.0.0.2", 1)) }, true},
		{"its address is another's", func(c checked) { c.Bind(at(2*term), binding("10.0.0.1", 2)) }, false},
		{"recalled", func(c checked) { *c.Table = *NewTable(c.pool); c.Recall(at(0), binding("10.0.0.1", 1)) }, false},
		{"recalled and heard", func(c checked) {
			*c.Table = *NewTable(c.pool)
			c.Recall(at(0), binding("10.0.0.1", 1))
			c.Bind(at(0), binding("10.0.0.1", 1))
		}, true},
		{"recalled, over, and another's", func(c checked) { c.Recall(at(0), binding("10.0.0.1", 2)); c.Bind(at(term), binding("10.0.0.1", 1)) }, false},
	} {
		c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
		c.Bind(at(0), binding("10.0.0.1", 1))
		test.do(c)
		if got := c.Regular(id(1)); got != test.want {
			t.Errorf("%s: Regular = %v; want %v", test.name, got, test.want)
		}
	}
}

func TestUserOfManyAddressesIsEverywhere(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.40"))
	for n := 1; n <= 10; n++ {
		if c.Everywhere(hw(7)) {
			t.Fatalf("everywhere with %d addresses of 40", n-1)
		}
		c.Seize(at(0), ip(fmt.Sprintf("10.0.0.%d", n)), id(1), hw(7), at(time.Hour))
	}
	if !c.Everywhere(hw(7)) || c.Everywhere(hw(8)) {
		t.Errorf("Everywhere = %v, %v; want it of the one with a quarter of the pool", c.Everywhere(hw(7)), c.Everywhere(hw(8)))
	}
	c.Yield(ip("10.0.0.1"), hw(8))
	if c.Free(at(0), ip("10.0.0.1"), id(1)) {
		t.Error("an address is yielded to who does not use it")
	}
	c.Yield(ip("10.0.0.1"), hw(7))
	if !c.Free(at(0), ip("10.0.0.1"), id(1)) || c.Everywhere(hw(7)) || c.Suspect(ip("10.0.0.1")) {
		t.Error("an address is not yielded to who uses it")
	}
}

func TestPickFromAFullPool(t *testing.T) {
	c := full(t, "10.0.0.1", 4)
	c.picks(time.Minute, 1, "", "")
	c.picks(time.Minute, 1, "10.0.0.2", "")
	c.picks(time.Minute, 102, "", "10.0.0.3")
}

func TestPoolOfOne(t *testing.T) {
	c := newTable(t, pool("10.0.0.7", "10.0.0.7"))
	c.picks(0, 1, "", "10.0.0.7")
	c.Bind(at(0), binding("10.0.0.7", 1))
	c.picks(0, 2, "", "")
	c.picks(term, 2, "", "10.0.0.7")
	if !c.Decline(at(term), ip("10.0.0.7"), id(1), at(2*term)) {
		t.Error("not declined")
	}
	c.picks(term, 2, "", "")
	c.picks(2*term, 2, "", "10.0.0.7")
}

func TestEmptyPools(t *testing.T) {
	for _, p := range []Pool{{}, pool("10.0.0.7", "10.0.0.6"), pool("10.0.0.7", "10.0.0.7", "10.0.0.7")} {
		c := newTable(t, p)
		c.picks(0, 1, "", "")
		c.picks(0, 1, "10.0.0.7", "")
	}
}

func TestPoolAtTheEndOfAllAddresses(t *testing.T) {
	c := newTable(t, pool("255.255.255.254", "255.255.255.255"))
	for n := range 2 {
		a, ok := c.Pick(at(0), id(n), netip.Addr{})
		if !ok {
			t.Fatalf("no address for client %d", n)
		}
		c.Bind(at(0), binding(a.String(), n))
	}
	c.picks(0, 3, "", "")
}

func TestEveryAddressOfALargePoolIsGivenOnce(t *testing.T) {
	p := pool("10.1.0.0", "10.1.255.255", "10.1.0.0", "10.1.0.1", "10.1.7.7", "10.1.255.255")
	c := newTable(t, p)
	given := map[netip.Addr]bool{}
	for n := range 1<<16 - 4 {
		a, ok := c.Pick(at(0), id(n), netip.Addr{})
		if !ok || given[a] || !p.Contains(a) {
			t.Fatalf("client %d: Pick = %v, %v; given before: %v", n, a, ok, given[a])
		}
		given[a] = true
		c.Hold(at(0), a, id(n), at(time.Minute))
		c.Bind(at(0), Binding{Addr: a, ID: id(n), Term: term, Grant: term})
	}
	c.picks(0, 1<<20, "", "")
}

func TestHeldAddressIsNobodyElses(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.1"))
	c.Hold(at(0), ip("10.0.0.1"), id(1), at(time.Minute))
	c.free(time.Second, "10.0.0.1", 1, true)
	c.free(time.Second, "10.0.0.1", 2, false)
	c.picks(time.Second, 2, "", "")
	c.free(time.Minute, "10.0.0.1", 2, true)
	c.picks(time.Minute, 2, "", "10.0.0.1")
}

func TestUnheldAddressIsFreeAtOnce(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.1"))
	c.Hold(at(0), ip("10.0.0.1"), id(1), at(time.Minute))
	c.Unhold(at(1), id(1))
	c.picks(time.Second, 2, "", "10.0.0.1")
	c.Unhold(at(1), id(7)) // nothing was held for it
}

func TestHoldOfAnotherAddressGivesTheFirstBack(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.2"))
	c.Hold(at(0), ip("10.0.0.1"), id(1), at(time.Minute))
	c.Hold(at(0), ip("10.0.0.2"), id(1), at(time.Minute))
	c.free(0, "10.0.0.1", 2, true)
	c.free(0, "10.0.0.2", 2, false)
}

func TestHoldNeverShortensABinding(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.2"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Hold(at(0), ip("10.0.0.1"), id(1), at(time.Minute))
	c.Unhold(at(0), id(1))
	c.free(term-1, "10.0.0.1", 2, false)

	c.Hold(at(2*term), ip("10.0.0.1"), id(1), at(2*term+time.Minute)) // it has expired
	c.free(2*term+time.Second, "10.0.0.1", 2, false)
	c.free(2*term+time.Minute, "10.0.0.1", 2, true)
}

func TestOfferDoesNotTakeTheAddressFromItsLastHolder(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Hold(at(2*term), ip("10.0.0.1"), id(2), at(2*term+time.Minute))
	if a, _ := c.Pick(at(2*term), id(1), netip.Addr{}); a == ip("10.0.0.1") {
		t.Error("client 1 is given what client 2 was offered")
	}
	c.picks(2*term+time.Minute, 1, "", "10.0.0.1") // client 2 did not take it
}

func TestPromisedAddressIsNotGivenBack(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c checked)
	}{
		{"chooses another server", func(c checked) { c.Unhold(at(0), id(1)) }},
		{"releases", func(c checked) {
			if c.Release(at(0), ip("10.0.0.1"), id(1)) {
				t.Error("released")
			}
		}},
		{"declines", func(c checked) {
			if c.Decline(at(0), ip("10.0.0.1"), id(1), at(time.Minute)) {
				t.Error("declined")
			}
		}},
		{"is offered another", func(c checked) { c.Hold(at(0), ip("10.0.0.2"), id(1), at(time.Minute)) }},
		{"is promised another", func(c checked) { c.Promise(at(0), ip("10.0.0.2"), id(1), at(time.Minute)) }},
	} {
		for _, bound := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, bound %v", test.name, bound), func(t *testing.T) {
				c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
				if bound {
					c.Bind(at(0), binding("10.0.0.1", 1))
				}
				c.Promise(at(0), ip("10.0.0.1"), id(1), at(time.Minute))
				test.do(c)
				c.sound()
				if got := c.Promised(at(0), ip("10.0.0.1")); got != id(1) {
					t.Errorf("promised to %v; want client 1", got)
				}
				c.free(time.Minute-1, "10.0.0.1", 2, false)
				if !bound {
					c.free(time.Minute, "10.0.0.1", 2, true) // it could not be kept
				}
				c.Bind(at(0), binding("10.0.0.1", 1))
				c.free(term-1, "10.0.0.1", 2, false)
				if got := c.Promised(at(0), ip("10.0.0.1")); got != "" {
					t.Errorf("still promised to %v", got)
				}
				if !c.Release(at(0), ip("10.0.0.1"), id(1)) {
					t.Error("a bound address is not released")
				}
			})
		}
	}
}

func TestBindFreesTheEarlierAddress(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Bind(at(0), binding("10.0.0.2", 1))
	c.free(0, "10.0.0.1", 2, true)
	c.picks(0, 1, "", "10.0.0.2")
	if s, ok := c.Holder(id(1)); !ok || s.Addr != ip("10.0.0.2") || !s.Heard {
		t.Errorf("Holder = %+v, %v", s, ok)
	}
}

func TestBindTakesTheNameOffTheLastHolder(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Bind(at(2*term), binding("10.0.0.1", 2))
	if s, ok := c.Holder(id(1)); ok {
		t.Errorf("client 1 still has %+v", s)
	}
	c.Bind(at(2*term), binding("10.0.0.2", 1))
	c.free(2*term, "10.0.0.1", 3, false)
}

func TestRenewalNeverShortensWhatTheClientWasTold(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	short := binding("10.0.0.1", 1)
	short.Grant = 2 * time.Minute // the client may miss this answer
	c.Bind(at(0), short)
	c.free(term-1, "10.0.0.1", 2, false)
	c.free(term, "10.0.0.1", 2, true)

	c.Bind(at(2*term), short)
	c.free(2*term+2*time.Minute, "10.0.0.1", 2, true)

	c.Release(at(2*term), ip("10.0.0.1"), id(1))
	c.Bind(at(2*term), short)
	c.free(2*term+2*time.Minute, "10.0.0.1", 2, true)
}

func TestEndlessLeaseIsShortened(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	endless := binding("10.0.0.1", 1)
	endless.Term, endless.Grant = dhcp.Infinite, dhcp.Infinite
	c.Bind(at(0), endless)
	c.free(100*365*24*time.Hour, "10.0.0.1", 2, false)
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.free(term, "10.0.0.1", 2, true)
}

func TestReleaseIsForTheHolder(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Hold(at(0), ip("10.0.0.2"), id(2), at(time.Minute))
	for _, test := range []struct {
		a    string
		n    int
		want bool
	}{
		{"10.0.0.1", 2, false},
		{"10.0.0.2", 2, false}, // only offered
		{"10.0.0.3", 1, false},
		{"10.0.0.1", 1, true},
		{"10.0.0.1", 1, false},
	} {
		if got := c.Release(at(0), ip(test.a), id(test.n)); got != test.want {
			t.Errorf("Release(%s, client %d) = %v; want %v", test.a, test.n, got, test.want)
		}
	}
}

func TestDeclineIsForWhoHoldsOrWasOffered(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.99"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Hold(at(0), ip("10.0.0.2"), id(2), at(time.Minute))
	for _, test := range []struct {
		a    string
		n    int
		want bool
	}{
		{"10.0.0.1", 2, false},
		{"10.0.0.3", 1, false},
		{"10.0.0.1", 1, true},
		{"10.0.0.1", 1, false},
		{"10.0.0.2", 2, true},
	} {
		if got := c.Decline(at(0), ip(test.a), id(test.n), at(time.Hour)); got != test.want {
			t.Errorf("Decline(%s, client %d) = %v; want %v", test.a, test.n, got, test.want)
		}
	}
	for _, a := range []string{"10.0.0.1", "10.0.0.2"} {
		for n := 1; n < 4; n++ {
			c.free(time.Hour-1, a, n, false)
			c.free(time.Hour, a, n, true)
		}
	}
}

func TestDeclinedSlotNamesItsHolderUntilThatOneHasAnother(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.99"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Decline(at(0), ip("10.0.0.1"), id(1), at(time.Hour))
	if s, ok := c.Holder(id(1)); !ok || s.Addr != ip("10.0.0.1") || s.State != Declined {
		t.Errorf("Holder = %+v, %v; want the declined slot, whose record is still on flash", s, ok)
	}
	c.Bind(at(0), binding("10.0.0.2", 1))
	if s := c.slots[ip("10.0.0.1")]; s.State != Declined || s.ID != "" {
		t.Errorf("the declined slot is %+v; want it declined and nobody's", s)
	}
}

func TestDeclinesTakeAtMostAQuarterOfThePool(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.40"))
	for n := 1; n <= 40; n++ {
		a := fmt.Sprintf("10.0.0.%d", n)
		c.Hold(at(0), ip(a), id(n), at(time.Minute))
		c.Decline(at(0), ip(a), id(n), at(time.Hour))
		if len(c.declined) > 10 {
			t.Fatalf("%d of 40 addresses are out of use", len(c.declined))
		}
	}
	for n := 1; n <= 40; n++ {
		c.free(0, fmt.Sprintf("10.0.0.%d", n), 99, n <= 30) // the first are back
	}
}

func TestSetPoolKeepsBindings(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Bind(at(0), binding("10.0.0.1", 1))
	c.Bind(at(0), binding("10.0.0.5", 2))
	c.SetPool(pool("10.0.0.5", "10.0.0.6"))
	c.free(0, "10.0.0.1", 3, false)
	c.picks(0, 2, "", "10.0.0.5")
	c.picks(0, 1, "", "10.0.0.6") // not where it is: that is no longer ours to give
	c.Bind(at(0), binding("10.0.0.6", 1))
	c.picks(0, 3, "", "")
	c.SetPool(pool("10.0.0.1", "10.0.0.6", "10.0.0.2", "10.0.0.3", "10.0.0.4"))
	c.picks(0, 3, "", "10.0.0.1") // its holder has moved
}

// Its record may still be on flash, and is to go when its client moves.
func TestExpiredAddressOutsideThePoolIsRememberedAndNotPicked(t *testing.T) {
	c := full(t, "10.0.0.1", 4)
	c.SetPool(pool("10.0.0.3", "10.0.0.4"))
	c.picks(term+time.Minute, 1, "", "10.0.0.3")
	if s, ok := c.Holder(id(100)); !ok || s.Addr != ip("10.0.0.1") {
		t.Errorf("Holder = %+v, %v; want the slot of 10.0.0.1", s, ok)
	}
	c.picks(term+time.Minute, 100, "", "10.0.0.3")
	c.SetPool(pool("10.0.0.1", "10.0.0.4"))
	c.picks(term+time.Minute, 100, "", "10.0.0.1")
}

func TestRecalledBindingRunsOneFullTerm(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	b := binding("10.0.0.1", 1)
	b.Grant = time.Minute
	c.Recall(at(0), b)
	c.free(term-1, "10.0.0.1", 2, false)
	c.free(term, "10.0.0.1", 2, true)
	if s, _ := c.Holder(id(1)); s.Heard {
		t.Error("the client was heard; want that said only after Bind")
	}
	c.Bind(at(0), b)
	if s, _ := c.Holder(id(1)); !s.Heard {
		t.Error("the client was not heard")
	}
}

func TestOfTwoRecalledBindingsOfOneClientTheLaterWins(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	c.Recall(at(0), binding("10.0.0.1", 1))
	c.Recall(at(0), binding("10.0.0.2", 1))
	c.picks(0, 1, "", "10.0.0.2")
	c.free(0, "10.0.0.1", 2, true)
	c.free(0, "10.0.0.2", 2, false)
}

// While an address is probed for one client, others get others, as far as there are.
func TestPickUnheardForSeveral(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.99"))
	for i := range 2 * mostAsked {
		c.Recall(at(0), binding(fmt.Sprintf("10.0.0.%d", 1+i), i))
	}
	picked := map[netip.Addr]dhcp.ID{}
	for n := range mostAsked {
		a, ok := c.PickUnheard(at(0), id(100+n))
		if again, _ := c.PickUnheard(at(time.Second), id(100+n)); !ok || picked[a] != "" || again != a {
			t.Errorf("client %d gets %v, %v and then %v, when %v have been picked", n, a, ok, again, picked)
		}
		picked[a] = id(100 + n)
	}
	if a, ok := c.PickUnheard(at(time.Second), id(200)); !ok || picked[a] == "" {
		t.Errorf("one more gets %v, %v; want to wait for one that is asked for", a, ok)
	}
	if a, ok := c.PickUnheard(at(time.Second+askTime), id(200)); !ok || a != ip("10.0.0.16") {
		t.Errorf("later it gets %v, %v; want the one recalled last", a, ok)
	}
}

// Whose binding is on its way to flash is passed over, not forgotten; who was heard
// is forgotten; and who is recalled again is not there twice.
func TestPickUnheard(t *testing.T) {
	c := newTable(t, pool("10.0.0.1", "10.0.0.9"))
	picks := func(now time.Duration, want string) {
		t.Helper()
		if a, ok := c.PickUnheard(at(now), id(9)); ok != (want != "") || ok && a != ip(want) {
			t.Errorf("PickUnheard = %v, %v; want %q", a, ok, want)
		}
	}
	for range 3 {
		for i, a := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			c.Recall(at(0), binding(a, i))
		}
	}
	if n := len(c.recalled); n != 3 {
		t.Errorf("%d are recalled; want 3", n)
	}
	picks(0, "10.0.0.3")
	c.Promise(at(0), ip("10.0.0.3"), id(2), at(time.Minute))
	picks(0, "10.0.0.2")
	picks(time.Minute, "10.0.0.3")
	c.Bind(at(time.Minute), binding("10.0.0.3", 2))
	picks(time.Minute, "10.0.0.2")
	c.Answered(ip("10.0.0.2"))
	picks(time.Minute, "10.0.0.1")
	picks(term, "")
	if n := len(c.recalled); n != 0 {
		t.Errorf("%d are remembered for nothing", n)
	}
}

func TestAllYieldsEverySlot(t *testing.T) {
	c := full(t, "10.0.0.1", 5)
	c.Hold(at(2*term), ip("10.0.0.2"), id(1), at(3*term))
	seen := map[netip.Addr]State{}
	for s := range c.All() {
		seen[s.Addr] = s.State
	}
	if len(seen) != 5 || seen[ip("10.0.0.2")] != Offered || seen[ip("10.0.0.3")] != Bound {
		t.Errorf("All = %v", seen)
	}
	for range c.All() {
		break
	}
}

func TestStateString(t *testing.T) {
	for s, want := range map[State]string{0: "unused", Free: "free", Offered: "offered", Bound: "bound", Declined: "declined"} {
		if got := s.String(); got != want {
			t.Errorf("State(%d).String() = %q; want %q", s, got, want)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	for _, n := range []int{100, 10_000, 60_000} {
		first := ip("10.0.0.0")
		last := address(number(first) + 1<<16 - 1)
		loaded := func() *Table {
			t := NewTable(Pool{First: first, Last: last})
			for i := range n {
				a, _ := t.Pick(boot, id(i), netip.Addr{})
				t.Bind(boot, Binding{Addr: a, ID: id(i), HW: hw(i), Term: term, Grant: term})
			}
			return t
		}
		b.Run(fmt.Sprintf("new/%d", n), func(b *testing.B) {
			t, i := loaded(), n
			b.ReportAllocs()
			for b.Loop() {
				if i == n+4096 { // stay near n
					b.StopTimer()
					t, i = loaded(), n
					b.StartTimer()
				}
				a, ok := t.Pick(boot, id(i), netip.Addr{})
				if !ok {
					b.Fatal("no address")
				}
				t.Promise(boot, a, id(i), boot.Add(time.Minute))
				t.Bind(boot, Binding{Addr: a, ID: id(i), HW: hw(i), Term: term, Grant: term})
				i++
			}
		})
		b.Run(fmt.Sprintf("renew/%d", n), func(b *testing.B) {
			t, i := loaded(), 0
			b.ReportAllocs()
			for b.Loop() {
				now := boot.Add(time.Duration(i) * time.Millisecond)
				s, _ := t.Holder(id(i % n))
				t.Promise(now, s.Addr, s.ID, now.Add(time.Minute))
				t.Bind(now, s.Binding)
				i++
			}
		})
	}
	b.Run("reuse/65536", func(b *testing.B) { // every address was used; the one that expired first goes
		t := NewTable(Pool{First: ip("10.0.0.0"), Last: ip("10.0.255.255")})
		take := func(now time.Time, i int) {
			a, ok := t.Pick(now, id(i), netip.Addr{})
			if !ok {
				b.Fatal("no address")
			}
			t.Promise(now, a, id(i), now.Add(time.Minute))
			t.Bind(now, Binding{Addr: a, ID: id(i), HW: hw(i), Term: term, Grant: term})
		}
		for i := range 1 << 16 {
			take(boot, i)
		}
		now, i := boot.Add(2*term), 1<<16
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Second)
			take(now, i)
			i++
		}
	})
}
