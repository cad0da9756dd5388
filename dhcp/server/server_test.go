package server

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

func TestTwoCardsGetTwoAddresses(t *testing.T) {
	laptop := Host{HW: []dhcp.HWAddr{hw(1), hw(2)}, Addr: ip("192.168.1.20")}
	h := newHouse(t, hosts(laptop))
	h.binds(1, "192.168.1.20")
	a := h.hears(discover(2))
	if a.offers(a.Addr.String()); a.Addr == ip("192.168.1.20") || !h.Table().Contains(a.Addr) {
		t.Errorf("the second card is offered %v", a.Addr)
	}
	h.hears(selecting(2, a.Addr.String())).acks(a.Addr.String(), Bound)
	h.hears(release(1, "192.168.1.20")).silent(Released)
	h.hears(renewing(2, a.Addr.String())).naks(HasReservation)
	h.binds(2, "192.168.1.20")
}

func TestRequestStateIsToldByFields(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	for _, test := range []struct {
		name string
		d    dhcp.Datagram
		why  Reason
	}{
		{"a renewal that is broadcast", renewing(1, "192.168.1.150", to("255.255.255.255")), Renewed},
		{"a reboot that is unicast", rebooting(1, "192.168.1.150", to("192.168.1.1")), Rebooted},
		{"a renewal that wants what it has", renewing(1, "192.168.1.150", wants("192.168.1.150")), Rebooted},
		{"a renewal that names the server", renewing(1, "192.168.1.150", server("192.168.1.1")), Bound},
	} {
		a := h.hears(test.d)
		if a.Why != test.why {
			t.Errorf("%s: %v; want %v", test.name, a.Why, test.why)
		}
	}
	h.hears(request(1)).silent(NoAddress)
	h.hears(request(1, server("192.168.1.1"))).silent(NoAddress)
}

func TestRequestForAnotherServerKeepsTheBinding(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(request(1, wants("192.168.1.7"), server("192.168.1.2"))).silent(ChoseAnotherServer)
	h.holder("192.168.1.150", 1)
}

func TestReleaseOfWhatIsNotHeld(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(release(2, "192.168.1.150")).silent(NotHeld)
	h.hears(release(1, "192.168.1.151")).silent(NotHeld)
	h.hears(release(1, "192.168.1.150", server("192.168.1.2"))).silent(ChoseAnotherServer)
	h.holder("192.168.1.150", 1)
	h.hears(message(1, dhcpv4.MessageTypeRelease, uses("192.168.1.150"))).silent(Released) // names no server
}

func TestDeclineOfWhatIsNotHeld(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(decline(2, "192.168.1.150")).silent(NotHeld)
	h.hears(decline(1, "192.168.1.151")).silent(NotHeld)
	h.hears(message(1, dhcpv4.MessageTypeDecline, server("192.168.1.1"))).silent(NotHeld)
	h.hears(decline(1, "192.168.1.150", server("192.168.1.2"))).silent(ChoseAnotherServer)
	h.hears(message(1, dhcpv4.MessageTypeDecline, wants("192.168.1.150"))).silent(ChoseAnotherServer)
	h.holder("192.168.1.150", 1)
}

func TestReservation(t *testing.T) {
	printer := Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.20"), Name: "printer"}
	h := newHouse(t, hosts(printer))
	h.hears(discover(1, wants("192.168.1.150"))).offers("192.168.1.20")
	h.hears(selecting(1, "192.168.1.150")).naks(HasReservation)
	h.hears(selecting(1, "192.168.1.20")).acks("192.168.1.20", Bound)
	h.hears(rebooting(1, "192.168.1.20")).acks("192.168.1.20", Rebooted)

	h.hears(selecting(2, "192.168.1.20")).naks(ReservedForAnother)
	h.at(100 * time.Hour).hears(rebooting(2, "192.168.1.20")).naks(ReservedForAnother)
}

func TestReservedAddressIsNeverPicked(t *testing.T) {
	h := newHouse(t, pool("192.168.1.100", "192.168.1.103"),
		hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.101")}))
	for n := 2; n < 5; n++ {
		a := h.hears(discover(n, wants("192.168.1.101")))
		h.hears(selecting(n, a.Addr.String()))
	}
	h.hears(discover(5, wants("192.168.1.101"))).silent(PoolFull)
	h.hears(discover(1)).offers("192.168.1.101")
}

func TestReservationWaitsForWhoIsOnIt(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.binds(2, "192.168.1.151")
	h.change(hosts(Host{HW: []dhcp.HWAddr{hw(2)}, Addr: ip("192.168.1.150")}))
	h.hears(renewing(2, "192.168.1.151")).acks("192.168.1.151", Renewed) // not yet
	h.hears(renewing(1, "192.168.1.150")).naks(ReservedForAnother)
	a := h.hears(discover(1))
	h.hears(selecting(1, a.Addr.String())).acks(a.Addr.String(), Bound)
	h.hears(renewing(2, "192.168.1.151")).naks(HasReservation)
	h.binds(2, "192.168.1.150")
}

func TestReservationThatCannotBeHadIsNone(t *testing.T) {
	for _, addr := range []string{"192.168.1.1", "192.168.1.0", "192.168.1.255", "10.0.0.7"} {
		h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip(addr)}))
		h.binds(1, "192.168.1.150")
		h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed)
	}
	h := newHouse(t, hosts(
		Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.20")},
		Host{HW: []dhcp.HWAddr{hw(2)}, Addr: ip("192.168.1.20")}))
	h.binds(1, "192.168.1.20")
	h.binds(2, "192.168.1.150")
}

func TestReservationIsKnownWithoutARecord(t *testing.T) {
	h := newHouse(t, notAuthoritative, hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.20")}))
	h.hears(rebooting(1, "192.168.1.20")).acks("192.168.1.20", Rebooted)
	h.hears(rebooting(1, "192.168.1.150")).naks(HasReservation)
}

func TestHostsOwnTermAndName(t *testing.T) {
	h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Name: "tv set", Term: time.Hour}))
	a := h.hears(selecting(1, "192.168.1.150", option(12, []byte("Samsung")...))).has(51, 0, 0, 0x0e, 0x10)
	if a.Bind.Name != "tv-set" || a.Bind.Term != time.Hour {
		t.Errorf("bound as %+v", a.Bind)
	}
}

func TestIgnoredHost(t *testing.T) {
	h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Ignore: true}))
	for _, d := range []dhcp.Datagram{discover(1), selecting(1, "192.168.1.150"), rebooting(1, "10.0.0.7"), inform(1, "192.168.1.50")} {
		h.hears(d).silent(IgnoredHost)
	}
	h.binds(2, "192.168.1.150")
}

func TestPoolFull(t *testing.T) {
	h := newHouse(t, pool("192.168.1.100", "192.168.1.101"))
	h.binds(1, "192.168.1.100")
	h.at(time.Second).binds(2, "192.168.1.101")
	h.hears(discover(3)).silent(PoolFull)
	h.hears(discover(1)).offers("192.168.1.100")
	h.at(13 * time.Hour).hears(discover(3)).offers("192.168.1.100")
}

func TestPoolOfReservationsOnly(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.First, c.Last = netip.Addr{}, netip.Addr{} },
		hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.20")}))
	h.binds(1, "192.168.1.20")
	h.hears(discover(2)).silent(PoolFull)
	h.hears(rebooting(2, "192.168.1.150")).naks(NotOurs)
}

func TestRequestedLeaseTime(t *testing.T) {
	for _, test := range []struct{ term, asks, want time.Duration }{
		{12 * time.Hour, time.Hour, time.Hour},
		{12 * time.Hour, 24 * time.Hour, 12 * time.Hour},
		{12 * time.Hour, dhcp.Infinite, 12 * time.Hour},
		{12 * time.Hour, time.Second, 2 * time.Minute},
		{12 * time.Hour, 0, 2 * time.Minute},
		{30 * time.Second, time.Hour, 30 * time.Second}, // as configured, however short
		{30 * time.Second, time.Second, 30 * time.Second},
		{dhcp.Infinite, time.Hour, time.Hour},
		{dhcp.Infinite, dhcp.Infinite, dhcp.Infinite},
	} {
		h := newHouse(t, term(test.term))
		a := h.hears(selecting(1, "192.168.1.150", leaseTime(test.asks)))
		if _, _, got := a.times(); got != test.want || a.Bind.Grant != test.want || a.Bind.Term != test.term {
			t.Errorf("who asks for %v of %v is granted %v, bound %+v; want %v", test.asks, test.term, got, a.Bind, test.want)
		}
	}
}

func TestClientHearsWhatItAskedFor(t *testing.T) {
	h := newHouse(t)
	h.hears(discover(1, option(55, 6, 121, 3))).has(1, 255, 255, 255, 0).has(3, 192, 168, 1, 1).has(6, 192, 168, 1, 1, 9, 9, 9, 9).lacks(15, 28, 121)
	h.hears(discover(1, option(55, 121))).has(1, 255, 255, 255, 0).lacks(3, 6, 15, 28, 121)
	h.hears(inform(1, "192.168.1.50", option(55, 15))).has(15, []byte("lan")...).lacks(3, 6, 28)

	bare := newHouse(t, func(c *Config) { c.Routers, c.DNS, c.Domain = nil, nil, "" })
	bare.hears(discover(1)).has(28, 192, 168, 1, 255).lacks(3, 6, 15)
}

func TestReplyHasTheOrderThatWasAskedFor(t *testing.T) {
	h := newHouse(t)
	a := h.hears(discover(1, option(55, 15, 6, 3, 1, 28), option(61, 1, 2, 3)))
	wire := dhcp.Encode(a.Reply.Msg, a.Reply.Asked, a.Reply.Limit)
	var got []byte
	for b := wire[240:]; b[0] != 255; b = b[2+int(b[1]):] {
		got = append(got, b[0])
	}
	if want := []byte{53, 54, 51, 15, 6, 1, 3, 28, 58, 59, 61}; !bytes.Equal(got, want) {
		t.Errorf("options %v; want %v", got, want)
	}
}

func TestMessageSizeIsTheReaders(t *testing.T) {
	for _, test := range []struct {
		asks []byte
		want int
	}{
		{nil, 0},
		{[]byte{0x02, 0x40}, 548},
		{[]byte{0x05, 0xdc}, 1472},
		{[]byte{0xff, 0xff}, 1472}, // no more than the link takes
		{[]byte{0x00, 0x40}, 64 - 28},
	} {
		var edits []edit
		if test.asks != nil {
			edits = append(edits, option(57, test.asks...))
		}
		a := newHouse(t).hears(discover(1, edits...))
		if a.Reply.Limit != test.want {
			t.Errorf("who takes %x is sent up to %d octets; want %d", test.asks, a.Reply.Limit, test.want)
		}
	}
}

// RFC 6842, section 3: "If the 'client identifier' option is present in a
// message received from a client, the server MUST return the 'client identifier'
// option, unaltered, in its response message." isWellFormed checks every reply;
// here is one of each kind.
func TestClientIdentifierIsReturned(t *testing.T) {
	h := newHouse(t)
	for _, v := range [][]byte{{1, 2, 0, 0, 0, 0, 1}, {7}, {}, bytes.Repeat([]byte{9}, 200)} {
		me := option(61, v...)
		if len(v) == 0 {
			me = option(61, []byte{}...)
		}
		a := h.hears(discover(1, me)).has(61, v...)
		h.hears(selecting(1, a.Addr.String(), me)).has(61, v...)
		h.hears(rebooting(1, "10.0.0.7", me)).naks(NotThisNetwork).has(61, v...)
		h.hears(inform(1, "192.168.1.50", me)).has(61, v...)
	}
	h.hears(discover(1)).lacks(61)
}

// RFC 3046, section 2.2: "DHCP servers claiming to support the Relay Agent
// Information option SHALL echo the entire contents of the Relay Agent
// Information option in all replies." What comes from no relay is not one.
func TestRelayInformationIsReturnedToTheRelayOnly(t *testing.T) {
	h := newHouse(t)
	port := option(82, 1, 2, 'p', '7')
	h.hears(discover(1, port, via("192.168.1.2"))).has(82, 1, 2, 'p', '7')
	h.hears(rebooting(1, "10.0.0.7", port, via("192.168.1.2"))).naks(NotThisNetwork).has(82, 1, 2, 'p', '7')
	h.hears(discover(1, port)).lacks(82)
}

func TestServersAreNotAnswered(t *testing.T) {
	h := newHouse(t)
	reply := discover(1)
	reply.Msg.OpCode = dhcpv4.OpcodeBootReply
	h.hears(reply).silent(NotARequest)
	for _, mt := range []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak, 10, 200} {
		h.hears(message(1, mt, wants("192.168.1.150"))).silent(NotARequest)
	}
}

func TestOthersConversationsAreIgnored(t *testing.T) {
	h := newHouse(t)
	for _, test := range []struct {
		to  string
		why Reason
	}{
		{"192.168.1.1:67", Offer},
		{"255.255.255.255:67", Offer},
		{"192.168.1.255:67", Offer},
		{"192.168.1.2:67", NotForUs},
		{"10.0.0.1:67", NotForUs},
		{"10.255.255.255:67", NotForUs},
		{"0.0.0.0:67", NotForUs},
		{"224.0.0.1:67", NotForUs},
	} {
		d := discover(1)
		d.To = netip.MustParseAddrPort(test.to)
		if got := h.hears(d).Why; got != test.why {
			t.Errorf("to %s: %v; want %v", test.to, got, test.why)
		}
	}
	unknown := discover(1)
	unknown.To = netip.AddrPort{}
	if got := h.hears(unknown).Why; got != Offer {
		t.Errorf("to nobody knows whom: %v; want %v", got, Offer)
	}
	h.binds(2, "192.168.1.150")
	h.hears(release(2, "192.168.1.150", to("192.168.1.2"))).silent(NotForUs)
	h.holder("192.168.1.150", 2)
}

func TestNobodyIsNotAnswered(t *testing.T) {
	h := newHouse(t)
	h.hears(discover(1, chaddr(1, 0, 0, 0, 0, 0, 0))).silent(NoIdentity)
	h.hears(discover(1, chaddr(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))).silent(NoIdentity)
	h.hears(discover(1, chaddr(1))).silent(NoIdentity)
}

func TestMovedClientFreesItsOldRecord(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.change(pool("192.168.1.200", "192.168.1.249"))
	h.hears(renewing(1, "192.168.1.150")).naks(NotOurs)
	a := h.hears(discover(1, wants("192.168.1.201"))).offers("192.168.1.201")
	if a.Free.IsValid() {
		t.Errorf("an OFFER frees %v", a.Free)
	}
	if a = h.hears(selecting(1, "192.168.1.201")).acks("192.168.1.201", Bound); a.Free != ip("192.168.1.150") {
		t.Errorf("Free = %v; want the old address", a.Free)
	}
	if a = h.hears(renewing(1, "192.168.1.201")); a.Free.IsValid() {
		t.Errorf("a renewal frees %v", a.Free)
	}
}

func TestDeclinedAddressesRecordIsForgottenWithTheNext(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(decline(1, "192.168.1.150")).silent(DeclinedInUse)
	if a := h.hears(selecting(1, "192.168.1.151")); a.Free != ip("192.168.1.150") {
		t.Errorf("Free = %v; want the declined address, whose record would outlive this one", a.Free)
	}
}

// A renewal writes nothing if the binding is the same, so it had better be.
func TestRenewalIsStoredAsItWas(t *testing.T) {
	h := newHouse(t)
	name := option(12, []byte("laptop.example")...)
	first := h.hears(selecting(1, "192.168.1.150", name)).Bind
	for i, d := range []dhcp.Datagram{
		renewing(1, "192.168.1.150", name),
		renewing(1, "192.168.1.150"), // says its name no more
		renewing(1, "192.168.1.150", leaseTime(time.Hour)),
		rebinding(1, "192.168.1.150", option(60, 'x')),
		rebooting(1, "192.168.1.150", option(55, 1, 3)),
		selecting(1, "192.168.1.150"),
	} {
		got := h.at(time.Duration(i) * time.Hour).hears(d).Bind
		was, _ := first.MarshalBinary()
		is, _ := got.MarshalBinary()
		if !bytes.Equal(was, is) {
			t.Errorf("message %d: stored %x; want %x as before", i, is, was)
		}
	}
}

// The client may miss the ACK that shortens its lease, and goes on to count on
// the one before; so what is stored is not shortened before that is over.
func TestShorterTermIsStoredWhenTheLongerIsOver(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.change(term(time.Hour))
	a := h.at(time.Hour).hears(renewing(1, "192.168.1.150"))
	if _, _, got := a.times(); got != time.Hour || a.Bind.Term != 12*time.Hour {
		t.Errorf("granted %v, stored %v; want 1h and still 12h", got, a.Bind.Term)
	}
	h.at(12*time.Hour-1).holder("192.168.1.150", 1)
	if a = h.at(11*time.Hour + time.Minute).hears(renewing(1, "192.168.1.150")); a.Bind.Term != time.Hour {
		t.Errorf("stored %v; want 1h", a.Bind.Term)
	}
}

func TestEndlessTermIsShortenedAtOnce(t *testing.T) {
	h := newHouse(t, term(dhcp.Infinite))
	h.binds(1, "192.168.1.150")
	h.change(term(time.Hour))
	if a := h.hears(rebooting(1, "192.168.1.150")); a.Bind.Term != time.Hour {
		t.Errorf("stored %v; want 1h", a.Bind.Term)
	}
	h.at(time.Hour).holder("192.168.1.150", 0)
}

func TestWithoutFlashNothingIsBound(t *testing.T) {
	h := newHouse(t)
	h.broken = true
	h.hears(discover(1, wants("192.168.1.150"))).offers("192.168.1.150")
	h.hears(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound) // which is not sent
	h.holder("192.168.1.150", 0)
	h.at(time.Second).hears(selecting(2, "192.168.1.150")).naks(TakenByAnother) // client 1 asks again in a moment
	h.at(4*time.Second).hears(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound)
	h.broken = false
	h.at(4*time.Second+holdTime).binds(2, "192.168.1.150")
}

func TestRenewalThatCannotBeKeptLosesNothing(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.broken = true
	h.at(6 * time.Hour).hears(renewing(1, "192.168.1.150"))
	h.at(12*time.Hour-1).holder("192.168.1.150", 1)
	h.at(12*time.Hour).holder("192.168.1.150", 0)
}

// A batch is several messages that are handled before anything is durable.
func (h *house) batch(messages ...dhcp.Datagram) []*answer {
	h.Helper()
	var all []*answer
	for _, d := range messages {
		all = append(all, h.decides(d))
	}
	for _, a := range all {
		a.carryOut()
	}
	return all
}

func TestTwoClientsInOneBatchGetTwoAddresses(t *testing.T) {
	h := newHouse(t)
	a := h.batch(discover(1, wants("192.168.1.150")), discover(2, wants("192.168.1.150")))
	if a[0].Addr == a[1].Addr {
		t.Errorf("both are offered %v", a[0].Addr)
	}
	a = h.batch(rebooting(3, "192.168.1.160"), rebooting(4, "192.168.1.160"), selecting(5, "192.168.1.160"))
	a[0].acks("192.168.1.160", Rebooted)
	a[1].naks(TakenByAnother)
	a[2].naks(TakenByAnother)
	h.holder("192.168.1.160", 3)
}

func TestNothingTakesAnAcknowledgementOfTheSameBatchBack(t *testing.T) {
	for name, d := range map[string]dhcp.Datagram{
		"another server": request(1, wants("192.168.7.7"), server("192.168.1.2")),
		"a release":      release(1, "192.168.1.150"),
		"a decline":      decline(1, "192.168.1.150"),
		"a discover":     discover(1, wants("192.168.1.151")),
		"a reboot":       rebooting(1, "192.168.1.151"),
	} {
		for _, bound := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, bound %v", name, bound), func(t *testing.T) {
				h := newHouse(t)
				if bound {
					h.binds(1, "192.168.1.150")
				}
				a := h.batch(selecting(1, "192.168.1.150"), d, rebooting(2, "192.168.1.150"), discover(3, wants("192.168.1.150")))
				a[0].acks("192.168.1.150", Bound)
				a[2].naks(TakenByAnother)
				if a[3].Addr == ip("192.168.1.150") {
					t.Error("client 3 is offered what client 1 was told is its own")
				}
			})
		}
	}
}

func TestFreeInABatchNamesNoAddressThatWasJustGiven(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.at(100 * time.Hour) // over
	a := h.batch(selecting(2, "192.168.1.150"), selecting(1, "192.168.1.151"))
	a[0].acks("192.168.1.150", Bound)
	a[1].acks("192.168.1.151", Bound)
	if a[1].Free.IsValid() {
		t.Errorf("client 1 frees %v, which is client 2's", a[1].Free)
	}
}

// Of two records of one client the later written counts after a power cut, and
// one that is unchanged is not written again.
func TestFreeNamesAnAddressThatIsOnlyOffered(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.at(100 * time.Hour).hears(discover(2, wants("192.168.1.150"))).offers("192.168.1.150")
	if a := h.hears(selecting(1, "192.168.1.151")); a.Free != ip("192.168.1.150") {
		t.Errorf("Free = %v; want the old address", a.Free)
	}
}

func TestReconfigureKeepsBindings(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.binds(2, "192.168.1.240")
	h.change(pool("192.168.1.50", "192.168.1.199"), term(time.Hour), func(c *Config) { c.DNS = []netip.Addr{ip("1.1.1.1")} })
	h.holder("192.168.1.150", 1)
	h.holder("192.168.1.240", 2)
	h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed).has(51, 0, 0, 0x0e, 0x10).has(6, 1, 1, 1, 1)
	h.hears(selecting(3, "192.168.1.240")).naks(TakenByAnother)
	h.hears(discover(3, wants("192.168.1.60"))).offers("192.168.1.60")
}

func TestRecall(t *testing.T) {
	h := newHouse(t)
	b := lease.Binding{Addr: ip("192.168.1.150"), ID: id(1), HW: hw(1), Name: "laptop", Term: time.Hour}
	if !h.Recall(h.now, b) {
		t.Error("not recalled")
	}
	away := b
	away.Addr = ip("10.0.0.7")
	if h.Recall(h.now, away) {
		t.Error("a binding of another network was recalled")
	}
	h.holder("192.168.1.150", 1)
	h.hears(discover(2, wants("192.168.1.150")))
	h.hears(selecting(2, "192.168.1.150")).naks(TakenByAnother)
	if a := h.hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted); a.Bind.Name != "laptop" {
		t.Errorf("bound as %+v; want the name that was stored", a.Bind)
	}
}

func TestHostNameIsCleaned(t *testing.T) {
	h := newHouse(t)
	a := h.hears(selecting(1, "192.168.1.150", option(12, []byte("<script>.lan")...)))
	if a.Bind.Name != "script" {
		t.Errorf("name %q; want %q", a.Bind.Name, "script")
	}
}

// However many clients somebody makes up, memory is bounded by the addresses.
func TestMadeUpClientsTakeNoMoreThanThePool(t *testing.T) {
	h := newHouse(t, pool("192.168.1.100", "192.168.1.131"))
	h.binds(1, "192.168.1.120")
	for n := 100; n < 5000; n++ {
		h.at(time.Duration(n) * time.Second)
		var a *answer
		if n%5 == 0 {
			a = h.hears(rebooting(n, fmt.Sprintf("192.168.1.%d", 100+n%32)))
		} else {
			a = h.hears(discover(n))
		}
		if n%3 == 0 && a.Addr.IsValid() {
			h.hears(decline(n, a.Addr.String()))
		}
	}
	slots := 0
	for range h.Table().All() {
		slots++
	}
	if slots > 32 {
		t.Errorf("%d slots for 32 addresses", slots)
	}
	h.holder("192.168.1.120", 1)
}

func TestReasonString(t *testing.T) {
	seen := map[string]bool{}
	for r := Offer; int(r) < len(texts); r++ {
		s := r.String()
		if s == "" || s == "unknown reason" || seen[s] {
			t.Errorf("Reason(%d).String() = %q", r, s)
		}
		seen[s] = true
	}
	for _, r := range []Reason{-1, 0, Reason(len(texts))} {
		if s := r.String(); s != "unknown reason" {
			t.Errorf("Reason(%d).String() = %q", r, s)
		}
	}
}
