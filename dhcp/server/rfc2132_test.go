package server

import (
	"bytes"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// One test per sentence of RFC 2132, and of those that came after it, that binds
// a server, named by section. What the codec alone has to do is tested beside
// it; RFC 4702, 3442, 8925, 4039 and 1534 in options_test.go.

// sent is what goes over the wire, and the option codes in the options field in
// their order.
func (a *answer) sent() (wire []byte, codes []uint8) {
	a.h.Helper()
	if a.Reply == nil {
		a.h.Fatalf("%v: no reply", a.Why)
	}
	wire = dhcp.Encode(a.Reply.Msg, a.Reply.Asked, a.Reply.Limit)
	for b := wire[240:]; b[0] != 255; b = b[2+int(b[1]):] {
		codes = append(codes, b[0])
	}
	return wire, codes
}

// before asserts that one option stands before another.
func (a *answer) before(first, second uint8) {
	a.h.Helper()
	_, codes := a.sent()
	if i, j := bytes.IndexByte(codes, first), bytes.IndexByte(codes, second); i < 0 || j < 0 || i > j {
		a.h.Errorf("options %v; want %d before %d", codes, first, second)
	}
}

// "If both the subnet mask and the router option are specified in a DHCP reply,
// the subnet mask option MUST be first."
func TestRFC2132_33_MaskBeforeRouters(t *testing.T) {
	h := newHouse(t)
	for _, asked := range [][]byte{{1, 3}, {3, 1}, {6, 3}, {3, 121, 1}} {
		h.hears(discover(1, asksFor(asked...))).before(1, 3)
	}
	h.hears(discover(1)).before(1, 3)
}

// Sections 8.4 and 9.13: what is for one vendor goes to those that say they are of
// that one, as options of its own inside option 43.
func TestRFC2132_84_VendorOptionsGoToTheVendor(t *testing.T) {
	h := newHouse(t, options(Option{Vendor: "acme", Code: 43, Sub: 1, Value: []byte{7}}))
	h.hears(discover(1, option(60, []byte("acme 1.0")...), asksFor(43))).has(43, 1, 1, 7, 255)
	h.hears(discover(1, option(60, []byte("other")...), asksFor(43))).lacks(43)
}

// "In a server reply (DHCPOFFER), a DHCP server uses this option to specify the
// lease time it is willing to offer" (9.2); what the client asks for is heard.
func TestRFC2132_92_LeaseTime(t *testing.T) {
	h := newHouse(t)
	h.hears(discover(1)).has(51, 0, 0, 0xa8, 0xc0)
	h.hears(discover(1, leaseTime(time.Hour))).has(51, 0, 0, 0x0e, 0x10)
	h.hears(discover(1, leaseTime(24*time.Hour))).has(51, 0, 0, 0xa8, 0xc0)
	h.hears(discover(1, leaseTime(dhcp.Infinite))).has(51, 0, 0, 0xa8, 0xc0)
}

// "This option is used in DHCPOFFER and DHCPREQUEST messages, and may optionally
// be included in the DHCPACK and DHCPNAK messages" (9.7).
func TestRFC2132_97_ServerIdentifier(t *testing.T) {
	h := newHouse(t)
	own := ip("192.168.1.1").AsSlice()
	h.hears(discover(1, wants("192.168.1.150"))).offers("192.168.1.150").has(54, own...)
	h.hears(selecting(1, "192.168.1.150")).acks("192.168.1.150", Bound).has(54, own...)
	h.hears(rebooting(1, "10.0.0.7")).naks(NotThisNetwork).has(54, own...)
	h.hears(inform(1, "192.168.1.50")).has(54, own...)
}

// "The DHCP server is not required to return the options in the requested order,
// but MUST try to insert the requested options in the order requested by the
// client" (9.8).
func TestRFC2132_98_OrderOfTheOptions(t *testing.T) {
	h := newHouse(t, options(text(100, "x"), Option{Code: 101, Value: []byte("y"), Force: true}))
	me := option(61, 1, 2, 0, 0, 0, 0, 1)
	for _, d := range []dhcp.Datagram{
		discover(1, asksFor(15, 100, 6, 1, 3), me, via("192.168.1.2"), option(82, 1, 1, 7)),
		selecting(1, "192.168.1.150", asksFor(15, 100, 6, 1, 3), me, via("192.168.1.2"), option(82, 1, 1, 7)),
	} {
		_, codes := h.hears(d).sent()
		if want := []byte{53, 54, 51, 15, 100, 6, 1, 3, 58, 59, 101, 61, 82}; !bytes.Equal(codes, want) {
			t.Errorf("options %v; want %v", codes, want)
		}
	}
	_, codes := h.hears(rebooting(1, "10.0.0.7", me, via("192.168.1.2"), option(82, 1, 1, 7))).sent()
	if want := []byte{53, 54, 56, 61, 82}; !bytes.Equal(codes, want) {
		t.Errorf("a NAK with options %v; want %v", codes, want)
	}
}

// "This option is used by a DHCP server to provide an error message to a DHCP
// client in a DHCPNAK message in the event of a failure" (9.9).
func TestRFC2132_99_MessageOfANAK(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	for addr, why := range map[string]Reason{"10.0.0.7": NotThisNetwork, "192.168.1.150": TakenByAnother, "192.168.1.50": NotOurs} {
		h.hears(rebooting(2, addr)).naks(why).has(56, []byte(why.String())...)
	}
}

// "The minimum legal value for this option is 576 octets" (9.10), with the IP and
// UDP headers.
func TestRFC2132_910_MaximumMessageSize(t *testing.T) {
	h := newHouse(t, options(
		Option{Code: 224, Value: make([]byte, 250), Force: true}, Option{Code: 225, Value: make([]byte, 250), Force: true},
		Option{Code: 226, Value: make([]byte, 250), Force: true}, Option{Code: 227, Value: make([]byte, 250), Force: true}))
	for _, test := range []struct{ asked, most, large int }{
		{0, 548, 0}, {300, 548, 0}, {576, 548, 0}, {800, 772, 1}, {1500, 1472, 4}, {9000, 1472, 4},
	} {
		var edits []edit
		if test.asked > 0 {
			edits = append(edits, option(57, byte(test.asked>>8), byte(test.asked)))
		}
		wire, codes := h.hears(discover(1, edits...)).sent()
		large := 0
		for code := uint8(224); code < 228; code++ {
			large += bytes.Count(codes, []byte{code})
		}
		if len(wire) > test.most || large != test.large {
			t.Errorf("who takes %d is sent %d octets with options %v; want at most %d, %d of the large ones",
				test.asked, len(wire), codes, test.most, test.large)
		}
	}
}

// "Its minimum length is 2" (9.14): a shorter identifier identifies nobody.
func TestRFC2132_914_ShortIdentifier(t *testing.T) {
	h := newHouse(t)
	h.hears(selecting(1, "192.168.1.150", option(61, 7))).acks("192.168.1.150", Bound)
	h.hears(selecting(2, "192.168.1.151", option(61, 7))).acks("192.168.1.151", Bound)
	h.holder("192.168.1.150", 1)
}

// RFC 3396, section 5: what is longer than 255 octets is split, and joined by
// who reads it.
func TestRFC3396_LongOptions(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 60)
	h := newHouse(t, options(Option{Code: 121, Value: long}), func(c *Config) { c.Routers = nil })
	wire, codes := h.hears(discover(1, asksFor(121), option(57, 5, 0xdc))).sent()
	m, err := dhcp.Parse(wire)
	if err != nil || !bytes.Equal(m.Options[121], long) || bytes.Count(codes, []byte{121}) != 3 {
		t.Errorf("options %v, read as %x, %v", codes, m.Options[121], err)
	}
	// A client may say so much, too.
	me := option(61, bytes.Repeat([]byte{9}, 300)...)
	a := h.hears(discover(1, me))
	h.hears(selecting(1, a.Addr.String(), me)).acks(a.Addr.String(), Bound)
	h.hears(discover(2, me)).offers(a.Addr.String())
}

// RFC 2131, section 4.3.1, table 3: what an answer must have and must not.
func TestSection431_Table3(t *testing.T) {
	h := newHouse(t)
	relayed := []uint8{50, 55, 57} // "MUST NOT" in all of them
	full := []edit{wants("192.168.1.150"), asksFor(1, 3, 6), option(57, 5, 0xdc), option(60, []byte("me")...)}
	offer := h.hears(discover(1, full...)).offers("192.168.1.150").lacks(relayed...).lacks(60)
	ack := h.hears(selecting(1, "192.168.1.150", full[1:]...)).acks("192.168.1.150", Bound).lacks(relayed...).lacks(60)
	for _, a := range []*answer{offer, ack} {
		if a.Reply.Msg.Options[51] == nil || a.Reply.Msg.Options[54] == nil {
			t.Errorf("%v without a lease time or a server", a.Why)
		}
	}
	nak := h.hears(rebooting(1, "10.0.0.7", full[1:]...)).naks(NotThisNetwork).lacks(relayed...).lacks(51, 58, 59, 60, 1, 3, 6)
	if m := nak.Reply.Msg; m.BootFileName != "" || m.ServerHostName != "" || !dhcp.Addr(m.ServerIPAddr).IsUnspecified() {
		t.Errorf("a NAK with %+v", m)
	}
	h.hears(inform(1, "192.168.1.50", full[1:]...)).lacks(relayed...).lacks(51)
}

// "The server MUST include each requested parameter only once" and "IF [it] has
// been explicitly configured with a default value for the parameter, the server
// MUST include that value", else "the server MUST NOT return a value".
func TestSection431_ParametersOnce(t *testing.T) {
	h := newHouse(t, options(text(15, "other.example"), text(100, "x")))
	_, codes := h.hears(discover(1, asksFor(15, 100, 15, 42, 100))).has(15, []byte("other.example")...).sent()
	for _, c := range []uint8{15, 100} {
		if n := bytes.Count(codes, []byte{c}); n != 1 {
			t.Errorf("option %d is there %d times", c, n)
		}
	}
	if bytes.IndexByte(codes, 42) >= 0 {
		t.Error("a value that nobody configured")
	}
}

// "The servers SHOULD check the network address in a DHCPINFORM message for
// consistency, but MUST NOT check for an existing lease."
func TestSection34_InformNeedsNoLeaseAndTakesNone(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.hears(inform(2, "192.168.1.150")).is(dhcpv4.MessageTypeAck, Informed, "0.0.0.0").goesTo("192.168.1.150:68", hw(2))
	h.hears(inform(2, "192.168.1.151")).is(dhcpv4.MessageTypeAck, Informed, "0.0.0.0")
	h.holder("192.168.1.150", 1)
	h.holder("192.168.1.151", 0)
	// An old client leaves ciaddr empty, and one behind a relay has its answer
	// sent to itself.
	old := inform(3, "192.168.1.60")
	old.Msg.ClientIPAddr = nil
	h.hears(old).is(dhcpv4.MessageTypeAck, Informed, "0.0.0.0").goesTo("192.168.1.60:68", hw(3))
	h.hears(inform(3, "192.168.1.60", via("192.168.1.2"))).goesTo("192.168.1.60:68", relayHW)
}

// What is done otherwise than a standard says, and why.
func TestDeliberateDeviations(t *testing.T) {
	for _, d := range []struct {
		says string
		why  string
		does func(h *house)
	}{
		{
			`RFC 2131, 4.3.2: "If the DHCP server has no record of this client, then it MUST remain silent"`,
			"a house keeps its addresses when the records are lost; option authoritative 0 obeys",
			func(h *house) { h.hears(rebooting(1, "192.168.1.150")).acks("192.168.1.150", Rebooted) },
		},
		{
			`RFC 2131, table 3: in an answer "Client identifier MUST NOT"`,
			"RFC 6842 updates it: it must be returned",
			func(h *house) { h.hears(discover(1, option(61, 1, 2))).has(61, 1, 2) },
		},
		{
			`RFC 2131, 4.2: "the server MUST use that identifier to identify the client"`,
			"a boot loader and the systems on one card send several; they are one machine and keep one address",
			func(h *house) {
				h.binds(1, "192.168.1.150")
				h.hears(discover(1, option(61, 0xff, 1, 2, 3, 4, 5))).offers("192.168.1.150")
			},
		},
		{
			`RFC 2131, table 4: in RENEWING and REBINDING "requested-ip MUST NOT"`,
			"there are clients that send both; what they ask for counts, and ciaddr is not looked at",
			func(h *house) {
				h.hears(request(1, wants("192.168.1.150"), uses("192.168.1.77"))).acks("192.168.1.150", Rebooted)
			},
		},
		{
			`RFC 2131, 4.3.1: without a wish "the server returns the lease expiration time previously assigned to that address"`,
			"a DISCOVER is a new start: whoever comes back is granted a whole term, as with every peer",
			func(h *house) {
				h.binds(1, "192.168.1.150")
				h.at(11*time.Hour).hears(discover(1)).offers("192.168.1.150").has(51, 0, 0, 0xa8, 0xc0)
			},
		},
		{
			`RFC 2132, 9.8: "in the order requested by the client"`,
			"section 3.3 has the mask before the routers, and RFC 3046 the relay's information last",
			func(h *house) {
				h.hears(discover(1, asksFor(82, 3, 1), via("192.168.1.2"), option(82, 1, 1, 7))).before(1, 3)
			},
		},
		{
			`RFC 3046, 2.2: the information of relay agents is echoed "in all replies"`,
			"a client that sends it without a relay has made it up",
			func(h *house) { h.hears(discover(1, option(82, 1, 1, 7))).lacks(82) },
		},
		{
			"RFC 4702, 4: a server follows the client's wish where it can",
			"we update no DNS: N is set, and O where the client wanted us to",
			func(h *house) { h.hears(discover(1, option(81, 5, 0, 0, 0))).has(81, 14, 255, 255, 0) },
		},
		{
			"RFC 1534, 2: a BOOTP client may be given any address, for ever",
			"each would be lost to all others: only what is reserved for it, unless it is wanted",
			func(h *house) {
				d := discover(1)
				delete(d.Msg.Options, 53)
				h.hears(d).silent(NoBOOTP)
			},
		},
	} {
		t.Run(d.says, func(t *testing.T) { d.does(newHouse(t)) })
	}
}
