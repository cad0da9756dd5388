package server

import (
	"testing"
	"time"

	"leasehold/dhcp"
)

// One test per sentence of RFC 2131 that binds a server, named by section.

// "Each server may respond with a DHCPOFFER message that includes an available
// network address in the 'yiaddr' field (and other configuration parameters in
// DHCP options)."
func TestSection31_Exchange(t *testing.T) {
	h := newHouse(t)
	h.hears(discover(1, wants("192.168.1.150"))).offers("192.168.1.150").
		has(1, 255, 255, 255, 0).has(3, 192, 168, 1, 1).has(6, 192, 168, 1, 1, 9, 9, 9, 9).has(15, []byte("lan")...).
		has(28, 192, 168, 1, 255).has(51, 0, 0, 0xa8, 0xc0)
	h.hears(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound).
		has(1, 255, 255, 255, 0).has(51, 0, 0, 0xa8, 0xc0)
	h.holder("192.168.1.150", 1)
}

// "The server selected in the DHCPREQUEST message commits the binding for the
// client to persistent storage and responds with a DHCPACK message".
func TestSection31_BindingIsKeptBeforeTheACK(t *testing.T) {
	h := newHouse(t)
	a := h.decides(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound)
	h.holder("192.168.1.150", 0) // Handle proposes
	a.carryOut()
	h.holder("192.168.1.150", 1) // Bound disposes
	if want := "192.168.1.150=02:00:00:00:00:01"; len(h.written) != 1 || h.written[0] != want {
		t.Errorf("written: %v; want %s", h.written, want)
	}
}

// "The combination of 'client identifier' or 'chaddr' and assigned network
// address constitute a unique identifier for the client's lease".
func TestSection31_ClientIsKnownByItsIdentifier(t *testing.T) {
	h := newHouse(t)
	me := option(61, 0xff, 1, 2, 3)
	h.hears(selecting(1, "192.168.1.150", me)).acks("192.168.1.150", Bound)
	h.hears(discover(2, me)).offers("192.168.1.150") // on another card
	if a := h.hears(discover(2, option(61, 0xff, 1, 2, 4))); a.Addr == ip("192.168.1.150") {
		t.Error("another identifier on the same card is offered what belongs to the first")
	}
}

// "Any configuration parameters in the DHCPACK message SHOULD NOT conflict with
// those in the earlier DHCPOFFER message to which the client is responding."
func TestSection31_ACKSaysWhatTheOfferSaid(t *testing.T) {
	h := newHouse(t)
	offer := h.hears(discover(1, leaseTime(time.Hour))).Reply.Msg
	ack := h.hears(selecting(1, dhcp.Addr(offer.YourIPAddr).String(), leaseTime(time.Hour))).Reply.Msg
	for code, v := range offer.Options {
		if code != 53 && string(ack.Options[code]) != string(v) {
			t.Errorf("option %d is %x in the OFFER and %x in the ACK", code, v, ack.Options[code])
		}
	}
}

// "If the selected server is unable to satisfy the DHCPREQUEST message (e.g.,
// the requested network address has been allocated), the server SHOULD respond
// with a DHCPNAK message."
func TestSection31_AllocatedAddressIsRefused(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(selecting(2, "192.168.1.150")).naks(TakenByAnother)
	h.hears(selecting(2, "192.168.1.1")).naks(NotOurs)
	h.hears(selecting(2, "192.168.1.50")).naks(NotOurs)
	h.holder("192.168.1.150", 1)
}

// "Those servers not selected by the DHCPREQUEST message use the message as
// notification that the client has declined that server's offer."
func TestSection31_AnotherServersClientFreesTheOffer(t *testing.T) {
	h := newHouse(t)
	h.hears(discover(1, wants("192.168.1.150"))).offers("192.168.1.150")
	h.hears(request(1, wants("192.168.7.7"), server("192.168.1.2"))).silent(ChoseAnotherServer)
	h.hears(discover(2, wants("192.168.1.150"))).offers("192.168.1.150")
}

// "If the client detects that the address is already in use [...] the client
// MUST send a DHCPDECLINE message to the server". "[T]he server MUST mark the
// network address as not available" (section 4.3.3).
func TestSection433_DeclinedAddressIsNotGiven(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(decline(1, "192.168.1.150")).silent(DeclinedInUse)
	for n := 1; n < 20; n++ {
		if a := h.hears(discover(n, wants("192.168.1.150"))); a.Addr == ip("192.168.1.150") {
			t.Fatalf("client %d is offered an address that is in use", n)
		}
	}
	h.hears(rebooting(1, "192.168.1.150")).naks(TakenByAnother)
	a := h.at(declineTime).hears(discover(30, wants("192.168.1.150"))).probes("192.168.1.150")
	a.answered(nobody).offers("192.168.1.150")
}

// "Upon receipt of a DHCPRELEASE message, the server marks the network address
// as not allocated. The server SHOULD retain a record of the client's
// initialization parameters for possible reuse in response to subsequent
// requests from the client."
func TestSection434_ReleasedAddressStaysTheClientsFavourite(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.at(time.Hour).hears(release(1, "192.168.1.150")).silent(Released)
	h.holder("192.168.1.150", 0)
	h.at(1000 * time.Hour).hears(discover(1, wants("192.168.1.120"))).offers("192.168.1.150")
}

// "The server responds to a DHCPINFORM message by sending a DHCPACK message
// directly to the address given in the 'ciaddr' field of the DHCPINFORM message.
// The server MUST NOT send a lease expiration time to the client and SHOULD NOT
// fill in 'yiaddr'."
func TestSection435_Inform(t *testing.T) {
	h := newHouse(t)
	h.hears(inform(1, "192.168.1.50")).acks("0.0.0.0", Informed).
		goesTo("192.168.1.50:68", hw(1)).lacks(51, 58, 59).has(6, 192, 168, 1, 1, 9, 9, 9, 9)
	if n := len(h.written); n > 0 {
		t.Errorf("%d writes for an INFORM", n)
	}
}

func TestSection435_InformFromElsewhere(t *testing.T) {
	h := newHouse(t)
	h.hears(inform(1, "10.0.0.7")).silent(NotThisNetwork)
	h.hears(inform(1, "0.0.0.0")).silent(NotThisNetwork)
	old := inform(1, "192.168.1.50") // names itself as the sender only
	old.Msg.ClientIPAddr = nil
	h.hears(old).acks("0.0.0.0", Informed).goesTo("192.168.1.50:68", hw(1))
}

// "If the 'giaddr' field in a DHCP message from a client is non-zero, the server
// sends any return messages to the 'DHCP server' port on the BOOTP relay agent
// whose address appears in 'giaddr'."
func TestSection41_ThroughTheRelay(t *testing.T) {
	h := newHouse(t)
	relay := via("192.168.1.2")
	h.hears(discover(1, wants("192.168.1.150"), relay)).offers("192.168.1.150").goesTo("192.168.1.2:67", routed)
	h.hears(selecting(1, "192.168.1.150", relay, asksForBroadcast)).acks("192.168.1.150", Bound).goesTo("192.168.1.2:67", routed)
	h.hears(discover(1, via("10.0.0.2"))).silent(OtherRelay)
}

// "If the 'giaddr' field is zero and the 'ciaddr' field is nonzero, then the
// server unicasts DHCPOFFER and DHCPACK messages to the address in 'ciaddr'."
func TestSection41_ToTheClientsAddress(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(renewing(1, "192.168.1.150", asksForBroadcast)).acks("192.168.1.150", Renewed).goesTo("192.168.1.150:68", hw(1))
}

// "If 'giaddr' is zero and 'ciaddr' is zero, and the broadcast bit is set, then
// the server broadcasts DHCPOFFER and DHCPACK messages to 0xffffffff."
func TestSection41_BroadcastBit(t *testing.T) {
	h := newHouse(t)
	h.hears(discover(1, wants("192.168.1.150"), asksForBroadcast)).offers("192.168.1.150").goesTo("255.255.255.255:68", dhcp.BroadcastHW)
	a := h.hears(selecting(1, "192.168.1.150", asksForBroadcast)).goesTo("255.255.255.255:68", dhcp.BroadcastHW)
	if a.Reply.Msg.Flags != broadcastFlag {
		t.Errorf("flags %04x; want those of the client", a.Reply.Msg.Flags)
	}
}

// "If the broadcast bit is not set and 'giaddr' is zero and 'ciaddr' is zero,
// then the server unicasts DHCPOFFER and DHCPACK messages to the client's
// hardware address and 'yiaddr' address."
func TestSection41_ToTheNewAddressWithoutARP(t *testing.T) {
	h := newHouse(t)
	h.hears(discover(1, wants("192.168.1.150"))).goesTo("192.168.1.150:68", hw(1))
	h.hears(selecting(1, "192.168.1.150")).goesTo("192.168.1.150:68", hw(1))
	other := discover(2, wants("192.168.1.151"))
	other.HW = hw(99) // a bridge of the client's, say
	h.hears(other).goesTo("192.168.1.151:68", hw(2))
}

func TestSection41_WhoCannotBeAddressedIsToldByBroadcast(t *testing.T) {
	me := option(61, 7, 7, 7)
	for _, who := range []edit{
		chaddr(32, 1, 2, 3, 4, 5, 6, 7, 8), // InfiniBand
		chaddr(1, 1, 2, 3, 4, 5),
		chaddr(1, 0, 0, 0, 0, 0, 0),
		chaddr(1, 1, 0, 0x5e, 0, 0, 1),
		chaddr(1),
	} {
		h := newHouse(t)
		h.hears(discover(1, me, wants("192.168.1.150"), who)).offers("192.168.1.150").goesTo("255.255.255.255:68", dhcp.BroadcastHW)
	}
}

// "In all cases, when 'giaddr' is zero, the server broadcasts any DHCPNAK
// messages to 0xffffffff."
func TestSection41_NAKIsBroadcast(t *testing.T) {
	h := newHouse(t)
	h.hears(rebooting(1, "10.0.0.7")).naks(NotThisNetwork).goesTo("255.255.255.255:68", dhcp.BroadcastHW).
		has(56, []byte("address belongs to another network")...).lacks(51, 58, 59, 1, 3, 6)
	a := h.hears(renewing(1, "10.0.0.7")).naks(NotThisNetwork).goesTo("255.255.255.255:68", dhcp.BroadcastHW)
	if c := dhcp.Addr(a.Reply.Msg.ClientIPAddr); !c.IsUnspecified() {
		t.Errorf("ciaddr %v in a NAK; want none (table 3)", c)
	}
}

// "If 'giaddr' is set in the DHCPREQUEST message, [...] the server MUST set the
// broadcast bit in the DHCPNAK, so that the relay agent will broadcast the
// DHCPNAK to the client" (section 4.3.2).
func TestSection432_NAKThroughTheRelayIsBroadcast(t *testing.T) {
	h := newHouse(t)
	a := h.hears(rebooting(1, "10.0.0.7", via("192.168.1.2"))).naks(NotThisNetwork).goesTo("192.168.1.2:67", routed)
	if a.Reply.Msg.Flags != broadcastFlag {
		t.Errorf("flags %04x; want the broadcast bit", a.Reply.Msg.Flags)
	}
}

// "[T]he new address SHOULD be chosen as follows: The client's current address
// as recorded in the client's current binding, ELSE The client's previous
// address [...], ELSE The address requested in the 'Requested IP Address'
// option, if that address is valid and not already allocated, ELSE A new
// address allocated from the server's pool".
func TestSection431_OrderOfChoice(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(discover(1, wants("192.168.1.160"))).offers("192.168.1.150")
	h.at(100 * time.Hour).hears(discover(1, wants("192.168.1.160"))).offers("192.168.1.150")
	h.hears(discover(2, wants("192.168.1.160"))).offers("192.168.1.160")
	h.hears(discover(3, wants("192.168.1.160"))) // held for client 2
	for _, want := range []string{"192.168.1.160", "192.168.1.1", "192.168.1.255", "192.168.1.99", "10.0.0.7"} {
		a := h.hears(discover(4, wants(want)))
		if !h.Table().Contains(a.Addr) || a.Addr == ip(want) {
			t.Errorf("who wants %s is offered %v", want, a.Addr)
		}
	}
}

// Table 3: in a DHCPOFFER 'ciaddr' is 0, and in a DHCPACK "'ciaddr' from
// DHCPREQUEST or 0".
func TestSection431_CiaddrOfTheReply(t *testing.T) {
	h := newHouse(t)
	for _, test := range []struct {
		name string
		d    dhcp.Datagram
		want string
		to   string
	}{
		{"a DISCOVER with an address", discover(1, uses("192.168.1.77"), wants("192.168.1.150")), "0.0.0.0", "192.168.1.150:68"},
		{"a DISCOVER with an address and no wish", discover(1, uses("192.168.1.77")), "0.0.0.0", "192.168.1.150:68"},
		{"SELECTING", selecting(1, "192.168.1.150"), "0.0.0.0", "192.168.1.150:68"},
		{"SELECTING with an address", selecting(1, "192.168.1.150", uses("192.168.1.77")), "0.0.0.0", "192.168.1.150:68"},
		{"RENEWING", renewing(1, "192.168.1.150"), "192.168.1.150", "192.168.1.150:68"},
	} {
		a := h.hears(test.d).goesTo(test.to, hw(1))
		if got := dhcp.Addr(a.Reply.Msg.ClientIPAddr).String(); got != test.want {
			t.Errorf("%s: ciaddr %s; want %s", test.name, got, test.want)
		}
	}
}

// "DHCPREQUEST generated during INIT-REBOOT state: 'server identifier' MUST NOT
// be filled in, 'requested IP address' option MUST be filled in with client's
// notion of its previously assigned address."
func TestSection432_InitReboot(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.binds(2, "192.168.1.151")
	h.hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted)
	// "Server SHOULD send a DHCPNAK message to the client if the 'requested IP
	// address' is incorrect, or is on the wrong network."
	h.hears(rebooting(1, "10.0.0.7")).naks(NotThisNetwork)
	h.hears(rebooting(1, "192.168.1.160")).naks(HasAnother)
	h.hears(rebooting(1, "192.168.1.151")).naks(TakenByAnother)
	h.holder("192.168.1.150", 1)
	h.holder("192.168.1.151", 2)
}

// "If the DHCP server has no record of this client, then it MUST remain silent,
// and MAY output a warning to the network administrator. This behavior is
// necessary for peaceful coexistence of non-communicating DHCP servers on the
// same wire."
func TestSection432_UnknownClientIsNobodysBusiness(t *testing.T) {
	h := newHouse(t, notAuthoritative)
	h.binds(2, "192.168.1.151")
	for _, d := range []dhcp.Datagram{
		rebooting(1, "192.168.1.150"), // free
		rebooting(1, "192.168.1.151"), // another client's
		rebooting(1, "192.168.1.50"),  // the other server's
		rebinding(1, "192.168.1.150"),
		rebinding(1, "192.168.1.151"),
		rebinding(1, "192.168.1.50"),
	} {
		h.hears(d).silent(Unknown)
	}
	h.hears(rebooting(1, "10.0.0.7")).naks(NotThisNetwork)
	h.hears(rebooting(2, "192.168.1.151")).acks("192.168.1.151", Rebooted)
	h.hears(rebooting(2, "192.168.1.150")).naks(HasAnother)
	h.hears(selecting(1, "192.168.1.151")).naks(TakenByAnother) // it asks us
	h.at(100*time.Hour).hears(rebooting(2, "192.168.1.151")).acks("192.168.1.151", Rebooted)
}

// The deviation from that sentence that the package comment admits.
func TestSection432_AuthoritativeServerKeepsTheHouseTogether(t *testing.T) {
	h := newHouse(t)
	h.binds(2, "192.168.1.151")
	h.hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted)
	h.hears(renewing(3, "192.168.1.152")).acks("192.168.1.152", Renewed)
	h.hears(rebooting(4, "192.168.1.151")).naks(TakenByAnother)
	h.hears(rebooting(4, "192.168.1.50")).naks(NotOurs)
}

// "DHCPREQUEST generated during RENEWING state: [...] This message will be
// unicast". "DHCPREQUEST generated during REBINDING state: [...] This message
// MUST be broadcast".
func TestSection432_RenewAndRebind(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.at(6*time.Hour).hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed)
	h.at(17*time.Hour).hears(rebinding(1, "192.168.1.150")).acks("192.168.1.150", Renewed)
	h.at(29*time.Hour-1).holder("192.168.1.150", 1)
	h.at(29*time.Hour).holder("192.168.1.150", 0)
	h.binds(2, "192.168.1.150")
	h.hears(rebinding(1, "192.168.1.150")).naks(TakenByAnother)
}

// "T1 defaults to (0.5 * duration_of_lease). T2 defaults to (0.875 *
// duration_of_lease). Times T1 and T2 SHOULD be chosen with some random 'fuzz'
// around a fixed value, to avoid synchronization of client reacquisition"
// (section 4.4.5).
func TestSection445_T1AndT2(t *testing.T) {
	for _, d := range []time.Duration{20 * time.Second, 2 * time.Minute, 12 * time.Hour, 20 * 365 * 24 * time.Hour, dhcp.Infinite - time.Second} {
		seen := map[time.Duration]bool{}
		for n := range 50 {
			h := newHouse(t, term(d))
			t1, t2, got := h.hears(discover(n)).times()
			if t1 > d/2 || t1 < d/20*9-time.Second {
				t.Fatalf("lease of %v: T1 is %v; want %v to %v", d, t1, d/20*9, d/2)
			}
			if want := (d / 8 * 7).Truncate(time.Second); t2 != want || got != d {
				t.Fatalf("lease of %v: T2 %v of %v; want %v", d, t2, got, want)
			}
			again, _, _ := h.hears(discover(n)).times()
			if again != t1 {
				t.Errorf("T1 of one client is %v and %v", t1, again)
			}
			seen[t1] = true
		}
		if d > time.Minute && len(seen) < 3 {
			t.Errorf("lease of %v: 50 clients renew at %d different times", d, len(seen))
		}
	}
}

// "The time value of 0xffffffff is reserved to represent 'infinity'."
func TestSection33_InfiniteLease(t *testing.T) {
	h := newHouse(t, term(dhcp.Infinite))
	h.hears(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound).has(51, 0xff, 0xff, 0xff, 0xff).lacks(58, 59)
	h.at(50*365*24*time.Hour).holder("192.168.1.150", 1)
	h.hears(discover(2, leaseTime(time.Hour))).has(51, 0, 0, 0x0e, 0x10)
}
