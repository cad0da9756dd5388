package server

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

// lendsTo lends addr to client n, which nobody answers for.
func (h *house) lendsTo(n int, addr string) {
	h.Helper()
	h.hears(discover(n, wants(addr))).probes(addr).answered(nobody).offers(addr)
	h.hears(selecting(n, addr)).acks(addr, Bound).lends(LentTerm)
}

// reboots cuts the power: what was on flash is recalled.
func (h *house) reboots(records ...lease.Binding) {
	h.Server = New(h.cfg)
	for _, b := range records {
		h.Recall(h.now, b)
	}
}

func laptop() edit { return option(12, []byte("laptop")...) }

func TestKnownClientIsGrantedWhatIsStored(t *testing.T) {
	h := newHouse(t)
	stored := *h.hears(selecting(1, "192.168.1.150", laptop())).Bind
	was, _ := stored.MarshalBinary()
	for _, cut := range []bool{false, true} {
		if cut {
			h.reboots(stored)
		}
		for _, configured := range []time.Duration{24 * time.Hour, 12 * time.Hour, time.Hour, dhcp.Infinite} {
			h.change(term(configured))
			h.Remember(KeepsKnown)
			for name, d := range map[string]dhcp.Datagram{
				"renewing":      renewing(1, "192.168.1.150", option(12, []byte("desktop")...)),
				"renewing bare": renewing(1, "192.168.1.150"),
				"rebooting":     rebooting(1, "192.168.1.150", leaseTime(48*time.Hour)),
				"selecting":     selecting(1, "192.168.1.150", laptop()),
			} {
				a := h.hears(d)
				if a.Bind == nil {
					t.Fatalf("%s, %v configured: %v, lent %+v", name, configured, a.Why, a.Lend)
				}
				is, _ := a.Bind.MarshalBinary()
				if !bytes.Equal(was, is) {
					t.Errorf("%s, %v configured: stored %x; want %x as before", name, configured, is, was)
				}
				if want := min(configured, stored.Term); a.Bind.Grant != want {
					t.Errorf("%s, %v configured: granted %v; want %v", name, configured, a.Bind.Grant, want)
				}
			}
			if _, _, got := h.hears(discover(1)).offers("192.168.1.150").times(); got != min(configured, stored.Term) {
				t.Errorf("%v configured: offered for %v", configured, got)
			}
		}
	}
}

func TestKnownClientThatLeftIsStillKnown(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(release(1, "192.168.1.150")).silent(Released)
	h.Remember(KeepsKnown)
	h.binds(1, "192.168.1.150")
	h.at(1000*time.Hour).binds(1, "192.168.1.150")
}

func TestNewClientIsLentWhatNobodyUses(t *testing.T) {
	for _, memory := range []Memory{KeepsKnown, KeepsNothing} {
		for _, d := range []dhcp.Datagram{selecting(1, "192.168.1.150"), rebooting(1, "192.168.1.150")} {
			h := newHouse(t)
			h.Remember(memory)
			a := h.hears(d).probes("192.168.1.150")
			h.holder("192.168.1.150", 0)
			a.answered(nobody).lends(LentTerm).has(51, 0, 0, 0x02, 0x58)
			h.at(LentTerm-1).holder("192.168.1.150", 1)
			h.at(LentTerm).holder("192.168.1.150", 0)
			if len(h.written) > 0 {
				t.Errorf("memory %d: written: %v", memory, h.written)
			}
		}
	}
}

func TestOfferOfALoanSaysSo(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	_, _, got := h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150").answered(nobody).offers("192.168.1.150").times()
	if got != LentTerm {
		t.Errorf("offered for %v; want %v", got, LentTerm)
	}
}

func TestProbedAddressWaitsForTheAnswer(t *testing.T) {
	for _, d := range []dhcp.Datagram{discover(1, wants("192.168.1.150")), selecting(1, "192.168.1.150"), rebooting(1, "192.168.1.150")} {
		h := newHouse(t)
		h.Remember(KeepsNothing)
		h.hears(d).probes("192.168.1.150")
		h.at(time.Second).hears(selecting(2, "192.168.1.150")).naks(TakenByAnother)
		h.hears(d).probes("192.168.1.150") // it asks again
		h.at(time.Second + holdTime).hears(selecting(2, "192.168.1.150")).probes("192.168.1.150")
	}
}

func TestProbeCountsForAMinute(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsKnown)
	h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
	h.at(silence - 1).hears(discover(1)).offers("192.168.1.150")
	h.at(silence).hears(discover(1)).probes("192.168.1.150")
	h.hears(selecting(1, "192.168.1.150")).probes("192.168.1.150").answered(nobody).lends(LentTerm)
}

func TestClientThatWasHeardIsLentWithoutAProbe(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	h.lendsTo(1, "192.168.1.150")
	h.at(5*time.Minute).hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted).lends(LentTerm)
	h.at(10*time.Minute).hears(renewing(1, "192.168.1.150", leaseTime(3*time.Minute))).acks("192.168.1.150", Renewed).lends(3 * time.Minute)
	h.at(15*time.Minute - 1).hears(discover(1, wants("192.168.1.160"))).offers("192.168.1.150")
	h.at(15 * time.Minute).hears(discover(1)).probes("192.168.1.150") // that was over
}

// Who renews uses the address, and would not answer a probe for another.
func TestRenewalIsNotProbed(t *testing.T) {
	for _, memory := range []Memory{KeepsAll, KeepsKnown, KeepsNothing} {
		h := newHouse(t)
		h.Remember(memory)
		h.BeWary(h.now.Add(time.Hour))
		h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed)
		h.hears(rebinding(2, "192.168.1.151")).acks("192.168.1.151", Renewed)
		h.holder("192.168.1.150", 1)
		h.holder("192.168.1.151", 2)
	}
}

func TestLoanIsNoLongerThanTheTerm(t *testing.T) {
	for _, test := range []struct{ term, longest, asks, want time.Duration }{
		{12 * time.Hour, 0, 12 * time.Hour, LentTerm},
		{12 * time.Hour, 0, 5 * time.Minute, 5 * time.Minute},
		{12 * time.Hour, 0, time.Second, shortestGrant},
		{5 * time.Minute, 0, 12 * time.Hour, 5 * time.Minute},
		{12 * time.Hour, 3 * time.Minute, 12 * time.Hour, 3 * time.Minute},
		{dhcp.Infinite, 0, dhcp.Infinite, LentTerm},
	} {
		h := newHouse(t, term(test.term), func(c *Config) { c.Longest = test.longest })
		h.Remember(KeepsNothing)
		a := h.hears(renewing(1, "192.168.1.150", leaseTime(test.asks)))
		if a.lends(test.want); a.Lend != nil && a.Lend.Term != test.want {
			t.Errorf("lent with a term of %v; want %v", a.Lend.Term, test.want)
		}
	}
}

func TestClientThatMovesIsLentItsNewAddress(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.Remember(KeepsKnown)
	h.hears(selecting(1, "192.168.1.151")).probes("192.168.1.151").answered(nobody).acks("192.168.1.151", Bound).lends(LentTerm)
	h.holder("192.168.1.150", 0)
	h.holder("192.168.1.151", 1)
	h.hears(renewing(1, "192.168.1.151")).lends(LentTerm) // it does not become known by that
}

func TestAddressOfAKnownClientIsLentToAnotherWhenItsLeaseIsOver(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.Remember(KeepsKnown)
	h.at(12*time.Hour).lendsTo(2, "192.168.1.150")
	h.hears(rebooting(1, "192.168.1.150")).naks(TakenByAnother)
	h.hears(rebooting(2, "192.168.1.150")).acks("192.168.1.150", Rebooted).lends(LentTerm)
}

func TestWithoutFlashTheKnownAreLentTheirs(t *testing.T) {
	h := newHouse(t)
	stored := *h.hears(selecting(1, "192.168.1.150", laptop())).Bind
	h.Remember(KeepsNothing)
	for _, d := range []dhcp.Datagram{renewing(1, "192.168.1.150"), rebooting(1, "192.168.1.150"), selecting(1, "192.168.1.150")} {
		h.hears(d).lends(LentTerm)
	}
	if s, _ := h.Table().Holder(id(1)); !s.Kept || s.Name != "laptop" || s.Term != stored.Term {
		t.Errorf("the table has %+v; want it kept as %+v", s, stored)
	}
	h.at(12*time.Hour-1).holder("192.168.1.150", 1) // as it was told before

	h.reboots(stored)
	h.Remember(KeepsNothing)
	h.hears(rebooting(1, "192.168.1.150")).probes("192.168.1.150") // not heard yet
	h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed).lends(LentTerm)
	h.hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted).lends(LentTerm)
}

func TestLoanIsKeptAtTheNextRenewal(t *testing.T) {
	for _, memory := range []Memory{KeepsKnown, KeepsNothing} {
		h := newHouse(t)
		h.Remember(memory)
		h.lendsTo(1, "192.168.1.150")
		h.Remember(KeepsAll)
		a := h.at(5*time.Minute).hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed)
		if b := a.Bind; b == nil || b.Term != 12*time.Hour || b.Grant != 12*time.Hour {
			t.Errorf("bound %+v; want it for the full term", b)
		}
		h.Remember(memory)
		if a := h.at(6 * time.Hour).hears(renewing(1, "192.168.1.150")); memory == KeepsKnown && a.Bind == nil {
			t.Errorf("lent %+v; want it kept, as it is known now", a.Lend)
		}
	}
}

// A grant of a loan that is over later than the new term, so to speak.
func TestKeptTermCoversTheLoan(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	h.lendsTo(1, "192.168.1.150")
	h.change(term(2 * time.Minute))
	h.Remember(KeepsAll)
	if b := h.hears(renewing(1, "192.168.1.150")).Bind; b == nil || b.Term != LentTerm || b.Grant != 2*time.Minute {
		t.Errorf("bound %+v; want a grant of 2m0s, stored as what the client was told", b)
	}
}

func TestWaryServerProbesWhoWasNotHeard(t *testing.T) {
	known := lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Term: 12 * time.Hour}
	for _, test := range []struct {
		name   string
		d      dhcp.Datagram
		probes string
	}{
		{"a new client that wants", discover(2, wants("192.168.1.160")), "192.168.1.160"},
		{"a new client that was offered", selecting(2, "192.168.1.160"), "192.168.1.160"},
		{"a new client that had", rebooting(2, "192.168.1.160"), "192.168.1.160"},
		{"a known client", discover(1), "192.168.1.150"},
		{"a known client that was offered", selecting(1, "192.168.1.150"), "192.168.1.150"},
		{"a known client that had", rebooting(1, "192.168.1.150"), "192.168.1.150"},
		{"a renewal", renewing(1, "192.168.1.150"), ""},
		{"a client that is refused", selecting(2, "192.168.1.150"), ""},
		{"a client of another network", rebooting(2, "10.0.0.7"), ""},
		{"a release", release(1, "192.168.1.150"), ""},
		{"a question", inform(2, "192.168.1.160"), ""},
	} {
		h := newHouse(t)
		h.reboots(known)
		h.BeWary(h.now.Add(LentTerm))
		a := h.at(LentTerm - 1).hears(test.d)
		if got := a.Probe; got.IsValid() != (test.probes != "") || got.IsValid() && got != ip(test.probes) {
			t.Errorf("%s: probes %v; want %q", test.name, got, test.probes)
		}
		if a := h.at(LentTerm).hears(test.d); a.Probe.IsValid() {
			t.Errorf("%s: probes %v, although nothing may be forgotten", test.name, a.Probe)
		}
	}
}

// Client 1 still uses what a power cut made the server forget.
func TestLoanThatAPowerCutForgotIsGivenToNobodyElse(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	h.lendsTo(1, "192.168.1.150")
	h.reboots()
	h.BeWary(h.now.Add(LentTerm))
	h.at(time.Minute).hears(selecting(2, "192.168.1.150")).probes("192.168.1.150").answered(hw(1)).naks(TakenByAnother)

	h.reboots()
	h.BeWary(h.now.Add(LentTerm))
	h.at(5*time.Minute).hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed)
	h.hears(selecting(2, "192.168.1.150")).naks(TakenByAnother)
}

func TestWaryServerBindsWhatNobodyUses(t *testing.T) {
	h := newHouse(t)
	h.BeWary(h.now.Add(LentTerm))
	h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150").answered(nobody).offers("192.168.1.150").has(51, 0, 0, 0xa8, 0xc0)
	if a := h.hears(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound); a.Bind == nil {
		t.Errorf("lent %+v; want it bound", a.Lend)
	}
	h.at(2*time.Minute).hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted) // it was heard
}

func TestWaryServerThatIsNotAuthoritativeProbesForNobodyUnknown(t *testing.T) {
	h := newHouse(t, notAuthoritative)
	h.BeWary(h.now.Add(LentTerm))
	h.hears(rebooting(1, "192.168.1.150")).silent(Unknown)
}

func TestProbeThatTheClientAnswersIsItsConsent(t *testing.T) {
	for _, d := range []dhcp.Datagram{discover(1, wants("192.168.1.150")), selecting(1, "192.168.1.150"), rebooting(1, "192.168.1.150")} {
		h := newHouse(t)
		h.Remember(KeepsNothing)
		if a := h.hears(d).probes("192.168.1.150").answered(hw(1)); a.Reply == nil || a.Addr != ip("192.168.1.150") {
			t.Errorf("%v: %v of %v", d.Msg.MessageType(), a.Why, a.Addr)
		}
	}
}

// It uses the address, whatever it says next.
func TestProbeThatTheClientAnswersIsNoneForOthers(t *testing.T) {
	h := newHouse(t)
	h.BeWary(h.now.Add(LentTerm))
	h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150").answered(hw(1)).offers("192.168.1.150")
	h.hears(request(1, wants("192.168.7.7"), server("192.168.1.2"))).silent(ChoseAnotherServer)
	h.hears(discover(2, wants("192.168.1.150"))).probes("192.168.1.150")
}

func TestAddressThatSomebodyElseUsesIsSeized(t *testing.T) {
	for _, memory := range []Memory{KeepsAll, KeepsKnown, KeepsNothing} {
		h := newHouse(t)
		h.Remember(memory)
		h.BeWary(h.now.Add(100 * time.Hour))
		a := h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150").answered(hw(9))
		if a.Why != Probing || a.Probe == ip("192.168.1.150") {
			t.Errorf("memory %d: %v of %v; want another address to be probed", memory, a.Why, a.Probe)
		}
		h.hears(selecting(2, "192.168.1.151")).probes("192.168.1.151").answered(hw(9)).naks(TakenByAnother)
		h.hears(rebooting(3, "192.168.1.152")).probes("192.168.1.152").answered(hw(9)).naks(TakenByAnother)
		for _, addr := range []string{"192.168.1.150", "192.168.1.151", "192.168.1.152"} {
			h.at(declineTime - 1).hears(selecting(4, addr)).naks(TakenByAnother)
			h.at(declineTime).hears(selecting(4, addr)).probes(addr)
		}
	}
}

func TestProbedSaysWhetherTheAddressIsTaken(t *testing.T) {
	for _, test := range []struct {
		user dhcp.HWAddr
		want bool
	}{{nobody, false}, {hw(1), false}, {hw(2), true}} {
		h := newHouse(t)
		if got := h.Probed(h.now, discover(1), ip("192.168.1.150"), test.user); got != test.want {
			t.Errorf("Probed by %v = %v; want %v", test.user, got, test.want)
		}
	}
}

// The answer comes seconds later; much may have happened.
func TestLateAnswerTakesNothingFromWhoHasTheAddressNow(t *testing.T) {
	for name, meanwhile := range map[string]func(h *house){
		"another renewed it": func(h *house) {
			h.hears(request(1, wants("192.168.7.7"), server("192.168.1.2")))
			h.hears(renewing(2, "192.168.1.150"))
		},
		"flash was read again": func(h *house) {
			h.Recall(h.now, lease.Binding{Addr: ip("192.168.1.150"), ID: id(2), HW: hw(2), Term: 12 * time.Hour})
		},
	} {
		h := newHouse(t)
		h.Remember(KeepsNothing)
		a := h.hears(selecting(1, "192.168.1.150")).probes("192.168.1.150")
		meanwhile(h)
		if h.Probed(h.now, a.to, a.Probe, hw(2)) {
			t.Errorf("%s: the address is said to be taken out of use", name)
		}
		h.hears(a.to).naks(TakenByAnother)
		h.hears(renewing(2, "192.168.1.150")).acks("192.168.1.150", Renewed)
	}
}

func TestLateSilenceGivesNothingToTwo(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	a := h.hears(selecting(1, "192.168.1.150")).probes("192.168.1.150")
	h.hears(request(1, wants("192.168.7.7"), server("192.168.1.2"))).silent(ChoseAnotherServer)
	h.lendsTo(2, "192.168.1.150")
	a.answered(nobody).naks(TakenByAnother)
	h.holder("192.168.1.150", 2)
}

// The router decides once more, with less to count on, when flash fails.
func TestMessageHandledAgainWithLessMemory(t *testing.T) {
	for _, test := range []struct {
		name  string
		known bool // from before the power cut
		heard bool // since then
		d     dhcp.Datagram
		asks  [3]bool // with which memory it takes a probe
		lends [3]bool // with which memory it is lent then
	}{
		{"a new client", false, false, selecting(1, "192.168.1.150"), [3]bool{false, true, true}, [3]bool{false, true, true}},
		{"a new client that reboots", false, false, rebooting(1, "192.168.1.150"), [3]bool{false, true, true}, [3]bool{false, true, true}},
		{"a renewal out of nothing", false, false, renewing(1, "192.168.1.150"), [3]bool{}, [3]bool{false, true, true}},
		{"a known client", true, false, selecting(1, "192.168.1.150"), [3]bool{false, false, true}, [3]bool{false, false, true}},
		{"a known client that reboots", true, false, rebooting(1, "192.168.1.150"), [3]bool{false, false, true}, [3]bool{false, false, true}},
		{"a known client that renews", true, false, renewing(1, "192.168.1.150"), [3]bool{}, [3]bool{false, false, true}},
		{"a client that was heard", true, true, rebooting(1, "192.168.1.150"), [3]bool{}, [3]bool{false, false, true}},
	} {
		for last := KeepsAll; last <= KeepsNothing; last++ {
			t.Run(fmt.Sprintf("%s, memory %d", test.name, last), func(t *testing.T) {
				h := newHouse(t)
				b := lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Term: 12 * time.Hour, Grant: 12 * time.Hour}
				if test.known {
					h.reboots(b)
				}
				if test.heard {
					h.Bound(h.now, b)
				}
				var a *answer
				for memory := KeepsAll; memory <= last; memory++ {
					h.Remember(memory)
					a = h.decides(test.d)
					if got := a.Probe.IsValid(); got != test.asks[memory] {
						t.Fatalf("with memory %d: %v", memory, a.Why)
					}
					if h.Table().Free(h.now, ip("192.168.1.150"), id(2)) {
						t.Errorf("with memory %d: free for another client", memory)
					}
				}
				if a.Probe.IsValid() {
					a = a.answered(nobody)
				} else {
					a.carryOut()
				}
				if a.Lend != nil != test.lends[last] || a.Reply == nil || dhcp.Addr(a.Reply.Msg.YourIPAddr) != ip("192.168.1.150") {
					t.Errorf("%v, bound %+v, lent %+v", a.Why, a.Bind, a.Lend)
				}
				h.holder("192.168.1.150", 1)
				h.hears(release(1, "192.168.1.150")).silent(Released) // nothing is promised any more
				h.holder("192.168.1.150", 0)
			})
		}
	}
}

func TestAddressInUseIsSeizedAlthoughItWasPromisedBeforeFlashFailed(t *testing.T) {
	h := newHouse(t)
	h.decides(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound) // which flash does not take
	h.Remember(KeepsKnown)
	h.hears(selecting(1, "192.168.1.150")).probes("192.168.1.150").answered(hw(9)).naks(TakenByAnother)
	h.hears(discover(1, wants("192.168.1.151"))).probes("192.168.1.151")
}

func TestLentClientsReleaseAndDecline(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	h.lendsTo(1, "192.168.1.150")
	h.lendsTo(2, "192.168.1.151")
	h.hears(release(1, "192.168.1.150")).silent(Released)
	h.hears(decline(2, "192.168.1.151")).silent(DeclinedInUse)
	h.hears(discover(3, wants("192.168.1.150"))).probes("192.168.1.150")
	h.hears(selecting(3, "192.168.1.151")).naks(TakenByAnother)
}

func TestRecallSkipsWhatWasHeardSinceTheStart(t *testing.T) {
	record := func(n int, addr string) lease.Binding {
		return lease.Binding{Addr: ip(addr), ID: id(n), HW: hw(n), Term: 12 * time.Hour}
	}
	for _, test := range []struct {
		name string
		b    lease.Binding
		want bool
	}{
		{"the client was heard on it", record(1, "192.168.1.150"), true},
		{"the client was heard on another", record(1, "192.168.1.160"), false},
		{"another client was heard on it", record(2, "192.168.1.150"), false},
		{"nobody was heard", record(2, "192.168.1.160"), true},
	} {
		h := newHouse(t)
		h.Remember(KeepsNothing)
		h.lendsTo(1, "192.168.1.150")
		if got := h.Recall(h.now, test.b); got != test.want {
			t.Errorf("%s: Recall = %v; want %v", test.name, got, test.want)
		}
		h.holder("192.168.1.150", 1)
	}
}

func TestRecallMakesALoanKnown(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	h.lendsTo(1, "192.168.1.150")
	h.Recall(h.now, lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Name: "laptop", Term: 12 * time.Hour})
	h.Remember(KeepsKnown)
	if b := h.hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted).Bind; b == nil || b.Name != "laptop" || b.Term != 12*time.Hour {
		t.Errorf("bound %+v; want it as it is on flash", b)
	}
}

func TestRecallTakesWhatWasLentUntilNow(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	h.lendsTo(1, "192.168.1.150")
	h.at(LentTerm)
	if !h.Recall(h.now, lease.Binding{Addr: ip("192.168.1.150"), ID: id(2), HW: hw(2), Term: 12 * time.Hour}) {
		t.Error("not recalled")
	}
	h.holder("192.168.1.150", 2)
}

func TestRecallOfAnAddressThatWasFoundInUse(t *testing.T) {
	h := newHouse(t)
	h.Remember(KeepsNothing)
	h.hears(selecting(1, "192.168.1.150")).probes("192.168.1.150").answered(hw(2)).naks(TakenByAnother)
	h.Recall(h.now, lease.Binding{Addr: ip("192.168.1.150"), ID: id(2), HW: hw(2), Term: 12 * time.Hour})
	h.hears(renewing(2, "192.168.1.150")).acks("192.168.1.150", Renewed)
}

// Of two records of one client the later written counts after a power cut, and
// a loan in between hides the earlier.
func TestFreeNamesTheRecordFromBeforeALoan(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.Remember(KeepsKnown)
	h.hears(selecting(1, "192.168.1.151")).probes("192.168.1.151").answered(nobody).lends(LentTerm)
	h.Remember(KeepsAll)
	if a := h.hears(renewing(1, "192.168.1.151")); a.Free != ip("192.168.1.150") {
		t.Errorf("Free = %v; want the address that was stored before the loan", a.Free)
	}
	if a := h.hears(renewing(1, "192.168.1.151")); a.Free.IsValid() {
		t.Errorf("Free = %v; want that only once", a.Free)
	}
}

func TestFreeNamesTheRecordOfAnAddressThatIsLentToAnother(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.Remember(KeepsKnown)
	h.at(100*time.Hour).lendsTo(2, "192.168.1.150")
	h.Remember(KeepsAll)
	if a := h.hears(selecting(1, "192.168.1.151")); a.Free != ip("192.168.1.150") {
		t.Errorf("Free = %v; want the record of client 1", a.Free)
	}
	if a := h.hears(renewing(2, "192.168.1.150")); a.Bind == nil || a.Free.IsValid() {
		t.Errorf("bound %+v, Free = %v; want the loan bound", a.Bind, a.Free)
	}
}

// Who answers a probe may be a client whose lease a power cut made us forget. It
// asks in its own time, and is not to be driven from where it is.
func TestUserOfASeizedAddressMayHaveIt(t *testing.T) {
	for _, claim := range []func() dhcp.Datagram{
		func() dhcp.Datagram { return renewing(9, "192.168.1.152") },
		func() dhcp.Datagram { return rebooting(9, "192.168.1.152") },
	} {
		h := newHouse(t)
		h.BeWary(h.now.Add(100 * time.Hour))
		h.hears(rebooting(3, "192.168.1.152")).probes("192.168.1.152").answered(hw(9)).naks(TakenByAnother)
		h.hears(rebooting(4, "192.168.1.152")).naks(TakenByAnother)
		got := h.hears(claim())
		if got.Probe.IsValid() {
			got = got.probes("192.168.1.152").answered(hw(9))
		}
		if got.Bind == nil || got.Addr != ip("192.168.1.152") {
			t.Errorf("%v; want a binding of 192.168.1.152", got.Why)
		}
		h.hears(rebooting(3, "192.168.1.152")).naks(TakenByAnother)
	}
}

// Who has a lease by what flash says may only have slept through the probe. So
// whoever comes after one that did not take the offer is not given it unprobed.
func TestAddressThatGaveWayIsProbedForWhoeverComesNext(t *testing.T) {
	for _, n := range []int{8, 9, 1} {
		h := newHouse(t, pool("192.168.1.150", "192.168.1.150"))
		h.reboots(lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Term: 12 * time.Hour})
		h.hears(discover(9)).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
		h.at(time.Hour).hears(discover(n)).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
		h.hears(selecting(n, "192.168.1.150")).acks("192.168.1.150", Bound)
		h.hears(release(n, "192.168.1.150"))
		h.hears(discover(7)).offers("192.168.1.150")
	}
}

// After a reboot all leases run once more, also those that were given back.
func TestFullPoolGivesWayWhereNobodyAnswers(t *testing.T) {
	h := newHouse(t)
	h.change(func(c *Config) { c.First, c.Last = ip("192.168.1.150"), ip("192.168.1.152") })
	h.reboots(
		lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Term: time.Hour},
		lease.Binding{Addr: ip("192.168.1.151"), ID: id(2), HW: hw(2), Term: time.Hour},
		lease.Binding{Addr: ip("192.168.1.152"), ID: id(3), HW: hw(3), Term: time.Hour})
	h.hears(rebooting(3, "192.168.1.152")).acks("192.168.1.152", Rebooted)
	h.hears(discover(9)).probes("192.168.1.151").answered(hw(2)).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
	h.hears(rebooting(2, "192.168.1.151")).acks("192.168.1.151", Rebooted)
	h.hears(selecting(9, "192.168.1.150")).acks("192.168.1.150", Bound)
	h.hears(rebooting(1, "192.168.1.150")).naks(TakenByAnother)
	h.hears(discover(8)).silent(PoolFull)
}
