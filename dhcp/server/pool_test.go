package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

func probing(c *Config)    { c.Probe = true }
func sequential(c *Config) { c.Sequential = true }

// "The server SHOULD check the client's network address [...] before allocating
// that address to a client, e.g., by probing the given address with ICMP Echo
// Request." RFC 2131, section 4.3.1. Ours probes by ARP, which no phone ignores.
func TestNewAddressIsProbedBeforeItIsOffered(t *testing.T) {
	for _, test := range []struct {
		name string
		d    dhcp.Datagram
		want dhcpv4.MessageType
	}{
		{"DISCOVER", discover(1, wants("192.168.1.150")), dhcpv4.MessageTypeOffer},
		{"INIT-REBOOT without a record", rebooting(1, "192.168.1.150"), dhcpv4.MessageTypeAck},
		{"REQUEST after a reboot of ours", selecting(1, "192.168.1.150"), dhcpv4.MessageTypeAck},
	} {
		h := newHouse(t, probing)
		a := h.hears(test.d).probes("192.168.1.150").answered(nobody)
		if a.Reply == nil || a.Reply.Msg.MessageType() != test.want {
			t.Errorf("%s: after the probe %v: %v; want %v", test.name, a.Reply, a.Why, test.want)
		}
	}
}

func TestAddressThatTheClientHasOrHadIsNotProbed(t *testing.T) {
	for _, test := range []struct {
		name  string
		after time.Duration
		do    func(h *house)
		asks  bool
	}{
		{"has", time.Hour, func(h *house) {}, false},
		{"gave back", time.Hour, func(h *house) { h.hears(release(1, "192.168.1.150")) }, false},
		{"had until an hour ago", 13 * time.Hour, func(h *house) {}, false},
		{"gave back a day ago", 25 * time.Hour, func(h *house) { h.hears(release(1, "192.168.1.150")) }, true},
		{"had until two days ago", 60 * time.Hour, func(h *house) {}, true},
	} {
		h := newHouse(t)
		h.binds(1, "192.168.1.150")
		h.change(probing)
		test.do(h)
		h.at(test.after)
		for _, d := range []dhcp.Datagram{discover(1), rebooting(1, "192.168.1.150")} {
			if a := h.decides(d); a.Addr != ip("192.168.1.150") || (a.Why == Probing) != test.asks {
				t.Errorf("%s: %v of %v; want it probed %v", test.name, a.Why, a.Addr, test.asks)
			}
		}
	}
}

func TestRenewalIsNeverProbed(t *testing.T) {
	h := newHouse(t, probing)
	h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed)
}

func TestRecalledAddressIsNotProbed(t *testing.T) {
	h := newHouse(t, probing)
	h.Recall(h.now, lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Term: time.Hour})
	h.hears(discover(1)).offers("192.168.1.150")
}

func TestCleanProbeCountsForAWhile(t *testing.T) {
	h := newHouse(t, probing)
	h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
	h.at(silence - 1).hears(discover(1)).offers("192.168.1.150")
	h.at(silence).hears(discover(1)).probes("192.168.1.150")
}

func TestOwnAnswerIsNoConflict(t *testing.T) {
	h := newHouse(t, probing)
	h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150").answered(hw(1)).offers("192.168.1.150")
}

func TestAddressInUseIsNotOffered(t *testing.T) {
	h := newHouse(t, probing, sequential)
	a := h.hears(discover(1)).probes("192.168.1.100").answered(hw(9))
	a.probes("192.168.1.101").answered(nobody).offers("192.168.1.101")
	if s := h.slot("192.168.1.100"); s.State != lease.Declined || s.User != hw(9) {
		t.Errorf("the slot is %+v; want it out of use by client 9", s)
	}
	h.hears(discover(2)).probes("192.168.1.102")
	// After the hour it is asked for once more, and stays out of use.
	h.at(declineTime).hears(discover(3, wants("192.168.1.100"))).probes("192.168.1.100").answered(hw(9)).probes("192.168.1.103")
}

func (h *house) slot(addr string) lease.Slot {
	for s := range h.Table().All() {
		if s.Addr == ip(addr) {
			return s
		}
	}
	return lease.Slot{}
}

// Where too much is to be asked, a new address is given without; one that was
// found in use is not.
func TestUnprobedAddressIsGivenUnlessItIsSuspect(t *testing.T) {
	h := newHouse(t, probing)
	a := h.hears(discover(1, wants("192.168.1.150"))).probes("192.168.1.150")
	if !h.Unprobed(h.now, a.to, a.Probe) {
		t.Error("a new address is not given without a probe")
	}
	h.hears(discover(1)).offers("192.168.1.150")
	h.hears(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound)
	h.hears(decline(1, "192.168.1.150")).silent(DeclinedInUse)
	a = h.at(declineTime).hears(discover(2, wants("192.168.1.150"))).probes("192.168.1.150")
	if h.Unprobed(h.now, a.to, a.Probe) {
		t.Error("an address that was declined is given without a probe")
	}
	h.hears(discover(2)).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
}

// Who uses an address may have it, but not by what it says of itself to others: a
// machine that has it without us only wants to know something, or is ignored.
func TestUserThatDoesNotAskForItsAddressKeepsItOutOfUse(t *testing.T) {
	for name, d := range map[string]dhcp.Datagram{
		"it informs itself":             inform(9, "192.168.1.150"),
		"it takes it of another server": request(9, wants("192.168.1.150"), server("192.168.1.2")),
		"it gives it back":              release(9, "192.168.1.150"),
		"it is ignored":                 renewing(8, "192.168.1.150"),
	} {
		h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(8)}, Ignore: true}))
		h.binds(1, "192.168.1.150")
		h.hears(decline(1, "192.168.1.150")).silent(DeclinedInUse)
		user, _ := dhcp.ClientHW(d.Msg)
		h.Found(ip("192.168.1.150"), user)
		h.hears(d)
		h.change(notAuthoritative)
		h.hears(renewing(9, "192.168.1.150"))
		if got := h.hears(discover(1)); got.Addr == ip("192.168.1.150") {
			t.Errorf("%s, and client 1 is offered it once more", name)
		}
	}
}

// Who has an address by what flash says does not lose it without a probe.
func TestUnprobedAddressOfAnotherIsNotGiven(t *testing.T) {
	h := newHouse(t, pool("192.168.1.150", "192.168.1.150"))
	h.reboots(lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Term: time.Hour})
	if a := h.hears(discover(9)).probes("192.168.1.150"); h.Unprobed(h.now, a.to, a.Probe) {
		t.Error("it is to be handled all the same")
	}
	h.hears(discover(9)).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
}

// A declined address needs a clean probe even where new ones are not probed.
func TestDeclinedAddressIsProbedWhateverIsConfigured(t *testing.T) {
	h := newHouse(t, pool("192.168.1.150", "192.168.1.150"))
	h.binds(1, "192.168.1.150")
	if a := h.hears(decline(1, "192.168.1.150")).silent(DeclinedInUse); a.Seek != ip("192.168.1.150") {
		t.Errorf("seeks %v; want the user of 192.168.1.150", a.Seek)
	}
	h.Found(ip("192.168.1.150"), hw(9))
	if s := h.slot("192.168.1.150"); s.User != hw(9) {
		t.Errorf("the user is %v; want client 9", s.User)
	}
	h.at(declineTime - 1).hears(discover(2)).silent(PoolFull)
	h.at(declineTime).hears(discover(2)).probes("192.168.1.150").answered(hw(9)).silent(PoolFull)
	h.at(2 * declineTime).hears(discover(2)).probes("192.168.1.150").answered(nobody).offers("192.168.1.150")
}

func TestFloodOfDeclinesDoesNotEmptyThePool(t *testing.T) {
	h := newHouse(t, probing)
	for n := 1; n < 1000; n++ {
		a := h.hears(discover(n))
		if a.Probe.IsValid() {
			a = a.answered(nobody)
		}
		if a.Why != Offer {
			t.Fatalf("client %d: %v", n, a.Why)
		}
		h.hears(selecting(n, a.Addr.String())).acks(a.Addr.String(), Bound)
		h.hears(decline(n, a.Addr.String())).silent(DeclinedInUse)
		h.now = h.now.Add(time.Second)
	}
	out := 0
	for s := range h.Table().All() {
		if s.State == lease.Declined {
			out++
		}
	}
	if out != 150/4 {
		t.Errorf("%d of 150 addresses are out of use; want a quarter", out)
	}
}

// Some machines answer for every address: routers with proxy ARP, some
// repeaters. They must not cost us the pool.
func TestWhoAnswersForEverybodyCountsNoMore(t *testing.T) {
	h := newHouse(t, probing)
	out := 0
	for n := 1; n <= 100; n++ {
		a := h.hears(discover(n))
		for a.Probe.IsValid() {
			if a = a.answered(hw(9999)); a.Why == Probing {
				out++
			}
		}
		if a.Why != Offer {
			t.Fatalf("client %d: %v", n, a.Why)
		}
		h.hears(selecting(n, a.Addr.String())).acks(a.Addr.String(), Bound)
	}
	if out != 150/4 {
		t.Errorf("%d addresses are out of use; want a quarter of 150", out)
	}
}

func TestSequentialPoolIsGivenInOrder(t *testing.T) {
	h := newHouse(t, sequential)
	for n := range 20 {
		h.binds(100+n, fmt.Sprintf("192.168.1.%d", 100+n))
	}
	h.hears(release(105, "192.168.1.105"))
	h.hears(discover(1)).offers("192.168.1.120") // what was never used comes first
	h.hears(discover(105)).offers("192.168.1.105")
}

// The router's own address, the network's and its broadcast address are nobody's
// to lease.
func TestTakenAddressesAreNeverGiven(t *testing.T) {
	for _, seq := range []bool{false, true} {
		h := newHouse(t, pool("192.168.1.0", "192.168.1.255"), func(c *Config) {
			c.Sequential = seq
		})
		never := map[netip.Addr]bool{}
		for _, a := range []string{"192.168.1.0", "192.168.1.1", "192.168.1.255"} {
			never[ip(a)] = true
			h.hears(discover(1, wants(a)))
			h.hears(request(1, wants(a), server("192.168.1.2"))) // and takes none
			h.hears(rebooting(2, a)).naks(NotOurs)
		}
		for n := range 256 - len(never) {
			a := h.hears(discover(10 + n))
			if a.Why != Offer || never[a.Addr] {
				t.Fatalf("client %d: %v of %v", n, a.Why, a.Addr)
			}
			h.hears(selecting(10+n, a.Addr.String()))
		}
		h.hears(discover(1000)).silent(PoolFull)
	}
}

// A machine that others are told to use as resolver or gateway may well get its
// address from us: reserved, or just leased.
func TestResolverMayBeAClient(t *testing.T) {
	h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.150")}), func(c *Config) {
		c.DNS, c.Routers = []netip.Addr{ip("192.168.1.150")}, []netip.Addr{ip("192.168.1.160")}
	})
	h.binds(1, "192.168.1.150")
	h.binds(2, "192.168.1.160")
	h.at(time.Hour).hears(renewing(2, "192.168.1.160")).acks("192.168.1.160", Renewed)
}

func TestAddressIsStableOverLossOfTheRecords(t *testing.T) {
	for _, lose := range []func(h *house, addr string){
		func(h *house, addr string) { h.hears(release(1, addr)) },
		func(h *house, _ string) { h.at(100 * time.Hour) },
		func(h *house, _ string) { h.Server = New(h.cfg) },
	} {
		h := newHouse(t)
		a := h.hears(discover(1)).Addr.String()
		h.binds(1, a)
		lose(h, a)
		h.hears(discover(1)).offers(a)
	}
}

func TestWholeNetworksAreServed(t *testing.T) {
	for _, test := range []struct{ first, last string }{
		{"192.168.1.7", "192.168.1.7"},
		{"192.168.0.0", "192.168.255.255"},
	} {
		h := newHouse(t, pool(test.first, test.last), func(c *Config) { c.Addr = netip.MustParsePrefix("192.168.1.1/16") })
		a := h.hears(discover(1))
		h.hears(selecting(1, a.Addr.String())).acks(a.Addr.String(), Bound)
	}
}

// universal is a card whose address its maker gave it.
func universal(n int) edit {
	return chaddr(iana.HWTypeEthernet, 0, 0x1b, 0x2c, byte(n>>16), byte(n>>8), byte(n))
}

func TestPassingClientsGetShortLeasesInATightPool(t *testing.T) {
	h := newHouse(t, pool("192.168.1.100", "192.168.1.199"))
	grant := func(n int, edits ...edit) time.Duration {
		t.Helper()
		a := h.hears(discover(n, edits...))
		if a = h.hears(selecting(n, a.Addr.String(), edits...)); a.Bind == nil {
			t.Fatalf("client %d: %v", n, a.Why)
		}
		if a.Bind.Term != 12*time.Hour {
			t.Errorf("client %d is stored for %v: its record would be written again when the pool is not tight", n, a.Bind.Term)
		}
		return a.Bind.Grant
	}
	for n := range 70 {
		if got := grant(n); got != 12*time.Hour {
			t.Fatalf("client %d of 100 gets %v; want all of 12 h", n+1, got)
		}
	}
	last := time.Hour + 1
	for n := 70; n < 100; n++ {
		got := grant(n)
		if got >= last && got > shortestGrant || got > time.Hour || got < shortestGrant {
			t.Errorf("client %d of 100 gets %v; want less than the %v before it", n+1, got, last)
		}
		last = got
	}
	if last != shortestGrant {
		t.Errorf("the last gets %v; want %v", last, shortestGrant)
	}
	h.at(time.Hour)
	if got := grant(1000, universal(1)); got != 12*time.Hour {
		t.Errorf("a device with an address of its maker gets %v; want 12 h", got)
	}
	h.change(hosts(Host{HW: []dhcp.HWAddr{hw(2000)}, Name: "tablet"}))
	if got := grant(2000); got != 12*time.Hour {
		t.Errorf("a device that is configured gets %v; want 12 h", got)
	}
}

// Who asks and asks and takes nothing must not keep the last addresses from
// those who would.
func TestOffersOfATightPoolDoNotWaitLong(t *testing.T) {
	h := newHouse(t, pool("192.168.1.100", "192.168.1.119"))
	for n := range 20 {
		h.hears(discover(n))
	}
	h.hears(discover(99)).silent(PoolFull)
	h.at(hurriedTime - 1).hears(discover(99)).silent(PoolFull)
	if a := h.at(hurriedTime).hears(discover(99)); a.Why != Offer {
		t.Errorf("after %v: %v; want an offer", hurriedTime, a.Why)
	}
	if used, _ := h.Table().Used(h.at(2 * holdTime).now); used > 0 {
		t.Errorf("%d addresses are held after all offers are over", used)
	}
}

func TestWhoComesBackAfterADayIsNoPasser(t *testing.T) {
	h := newHouse(t, pool("192.168.1.100", "192.168.1.119"))
	h.binds(1, "192.168.1.100")
	for d := 6 * time.Hour; d <= 24*time.Hour; d += 6 * time.Hour {
		h.at(d).hears(renewing(1, "192.168.1.100"))
	}
	for n := 2; n < 20; n++ {
		h.binds(n, fmt.Sprintf("192.168.1.%d", 99+n))
	}
	if a := h.hears(renewing(1, "192.168.1.100")); a.Bind.Grant != 12*time.Hour {
		t.Errorf("a regular gets %v; want 12 h", a.Bind.Grant)
	}
	if a := h.hears(renewing(19, "192.168.1.118")); a.Bind.Grant > time.Hour {
		t.Errorf("a stranger gets %v; want an hour at most", a.Bind.Grant)
	}
}

// Sixteen devices that everybody knows, and one of them is away: its address is
// not a stranger's, and its own when it comes back.
func TestLastAddressesAreKeptForRegulars(t *testing.T) {
	h := newHouse(t, pool("192.168.1.100", "192.168.1.115"))
	for n := range 16 {
		h.binds(n, fmt.Sprintf("192.168.1.%d", 100+n))
	}
	for d := 6 * time.Hour; d <= 48*time.Hour; d += 6 * time.Hour {
		h.at(d)
		for n := range 16 {
			if d < 36*time.Hour || n != 7 {
				h.hears(renewing(n, fmt.Sprintf("192.168.1.%d", 100+n))).acks(fmt.Sprintf("192.168.1.%d", 100+n), Renewed)
			}
		}
	}
	h.hears(discover(99)).silent(KeptForRegulars)
	h.hears(discover(99, wants("192.168.1.107"))).silent(KeptForRegulars)
	h.hears(rebooting(99, "192.168.1.107")).naks(KeptForRegulars)
	h.hears(discover(7)).offers("192.168.1.107")
	h.hears(selecting(7, "192.168.1.107")).acks("192.168.1.107", Bound)
	h.hears(discover(99)).silent(PoolFull)

	h.hears(release(7, "192.168.1.107"))
	h.hears(release(8, "192.168.1.108"))
	h.hears(discover(99)).offers("192.168.1.107") // two are left; one is kept
	h.hears(discover(98)).silent(KeptForRegulars)
	for d := 54 * time.Hour; d < 800*time.Hour; d += 6 * time.Hour {
		h.at(d)
		for n := range 7 {
			h.hears(renewing(n, fmt.Sprintf("192.168.1.%d", 100+n)))
		}
	}
	h.at(800 * time.Hour).hears(discover(98)) // by now nobody waits for who left a month ago
	if a := h.hears(discover(97)); a.Why != Offer {
		t.Errorf("a stranger after a month: %v; want an offer", a.Why)
	}
}

// TestRandomAddressesLockNobodyOut has 2 400 machines with made-up addresses pass
// through a pool of 230 in a day, and 40 devices of the house come and go. All
// of the house always get their own addresses at once; every passer gets one
// while it is there.
func TestRandomAddressesLockNobodyOut(t *testing.T) {
	seed := rand.Uint64()
	dice := rand.New(rand.NewPCG(seed, 0))
	h := newHouse(t, pool("192.168.1.20", "192.168.1.249"))
	own := map[int]string{}
	for n := range 40 {
		a := h.hears(discover(n))
		own[n] = a.Addr.String()
		h.binds(n, own[n])
	}
	for d := time.Hour; d <= 25*time.Hour; d += time.Hour { // a day in peace
		h.at(d)
		for n := range 40 {
			h.hears(renewing(n, own[n])).acks(own[n], Renewed)
		}
	}
	const day, passers = 24 * 60, 2400
	waited, longest := 0, 0
	type passer struct{ came, left int }
	here := map[int]passer{} // without an address so far
	start := h.now
	for minute := range day {
		h.now = start.Add(time.Duration(minute) * time.Minute)
		for n := range 40 {
			switch {
			case minute%1440/720 == n%2: // away for half of the day
			case minute%360 == n:
				a := h.hears(discover(n)).offers(own[n])
				h.hears(selecting(n, a.Addr.String())).acks(own[n], Bound)
			}
		}
		for n := minute * passers / day; n < (minute+1)*passers/day; n++ {
			here[1000+n] = passer{minute, minute + 5 + dice.IntN(30)}
		}
		for n, p := range here { // a client asks every minute or so
			if a := h.hears(discover(n)); a.Why == Offer {
				h.hears(selecting(n, a.Addr.String())).acks(a.Addr.String(), Bound)
				delete(here, n)
				if w := minute - p.came; w > 0 {
					waited++
					longest = max(longest, w)
				}
			} else if minute >= p.left {
				t.Errorf("passer %d was here for %d minutes and got no address: %v", n, p.left-p.came, a.Why)
				delete(here, n)
			}
		}
		if t.Failed() {
			t.Fatalf("at %d min, seed %d", minute, seed)
		}
	}
	t.Logf("of %d passers %d waited, %d minutes at most", passers, waited, longest)
	if slots := h.slots(); slots > 230 {
		t.Errorf("%d slots for 230 addresses", slots)
	}
}

func (h *house) slots() (n int) {
	for range h.Table().All() {
		n++
	}
	return n
}
