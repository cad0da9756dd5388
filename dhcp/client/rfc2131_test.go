package client

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
)

// One test for each sentence of RFC 2131 that binds a client in what this
// package does. Not here: DHCPINFORM, which we do not send, and the ARP packets
// themselves, which are the caller's.

// "The client SHOULD probe the newly received address, e.g., with ARP."
func TestSection22_NewAddressIsProbed(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").silent().holds("nothing")
}

// "The client broadcasts a DHCPREQUEST message that MUST include the 'server
// identifier' option to indicate which server it has selected [...]. The
// 'requested IP address' option MUST be set to the value of 'yiaddr' in the
// DHCPOFFER message from the server."
func TestSection31_RequestNamesServerAndAddress(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("198.51.100.9", from("198.51.100.1")))
	p.after(s, s).sends("REQUEST requested=198.51.100.9 server=198.51.100.1 to broadcast")
}

// "The DHCPREQUEST message MUST use the same value in the DHCP message header's
// 'secs' field and be sent to the same IP broadcast address as the original
// DHCPDISCOVER message."
func TestSection31_RequestHasSecsOfDiscover(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.after(3*s, 5*s).sends("DISCOVER to broadcast")
	p.after(7*s, 9*s).sends("DISCOVER to broadcast")
	discover := p.sent
	p.hears(offer("192.0.2.7"))
	for range 4 {
		p.after(s, 33*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
		if got, want := p.sent.Msg.NumSeconds, discover.Msg.NumSeconds; got != want || p.sent.To != discover.To {
			t.Errorf("REQUEST with secs %d to %v; DISCOVER had %d to %v", got, p.sent.To, want, discover.To)
		}
	}
	if got := discover.Msg.NumSeconds; got < 10 || got > 14 {
		t.Errorf("secs %d in the third DISCOVER; want 10 to 14", got)
	}
}

// "The client times out and retransmits the DHCPDISCOVER message if the client
// receives no DHCPOFFER messages."
func TestSection31_DiscoverIsRetransmitted(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.after(3*s, 5*s).sends("DISCOVER to broadcast")
	if p.why.Reason != NoAnswer || p.why.For < 7*s || p.why.For > 9*s {
		t.Errorf("because %q; want no answer, again in 7 to 9 s", p.why)
	}
}

// "If the client detects that the address is already in use (e.g., through the
// use of ARP), the client MUST send a DHCPDECLINE message to the server and
// restarts the configuration process. The client SHOULD wait a minimum of ten
// seconds before restarting the configuration process to avoid excessive network
// traffic in case of looping."
func TestSection31_AddressInUseIsDeclined(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.inUse("192.0.2.7").sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast").in(Init).holds("nothing")
	p.because("192.0.2.7 is in use by another station, declined, again in 10 s")
	p.after(10*s, 11*s).sends("DISCOVER to broadcast")
}

// "If the client receives a DHCPNAK message, the client restarts the
// configuration process."
func TestSection31_NAKRestarts(t *testing.T) {
	p := playRequesting(t)
	p.hears(nak()).silent().in(Init)
	p.after(s, 2*s).sends("DISCOVER to broadcast")
}

// "A client retransmitting as described in section 4.1 might retransmit the
// DHCPREQUEST message four times, for a total delay of 60 seconds, before
// restarting the initialization procedure. If the client receives neither a
// DHCPACK or a DHCPNAK message after employing the retransmission algorithm, the
// client reverts to INIT state and restarts the initialization process. The
// client SHOULD notify the user that the initialization process has failed and
// is restarting."
func TestSection31_RequestIsRetransmittedForAMinute(t *testing.T) {
	p := playRequesting(t)
	first := p.sent
	for _, wait := range []time.Duration{4 * s, 8 * s, 16 * s} {
		p.after(wait-s, wait+s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
		if p.sent.Msg.TransactionID != first.Msg.TransactionID {
			t.Error("a retransmission has another xid")
		}
	}
	p.after(31*s, 33*s).sends("DISCOVER to broadcast").because("no answer from 192.0.2.1, starting over")
	if d := p.now.Sub(p.zero); d < 56*s || d > 64*s {
		t.Errorf("gave up after %v; want 56 s to 64 s", d)
	}
	if p.sent.Msg.TransactionID == first.Msg.TransactionID {
		t.Error("a new DISCOVER has the old xid")
	}
}

// "As the client has not received its network address, it MUST NOT fill in the
// 'ciaddr' field."
func TestSection32_RebootRequestHasNoCiaddr(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	if a := dhcp.Addr(p.sent.Msg.ClientIPAddr); !a.IsUnspecified() {
		t.Errorf("ciaddr %v; want none", a)
	}
}

// "(Subsequent DHCPACKS ignored)", figure 4.
func TestSection32_SubsequentACKsAreIgnored(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.hears(ack("192.0.2.7", from("192.0.2.2"))).silent()
	p.free("192.0.2.7").installs("192.0.2.7/24")
	if got := p.m.Lease().Server; got != ip("192.0.2.1") {
		t.Errorf("server %v; want 192.0.2.1", got)
	}
}

// "If the client detects that the IP address in the DHCPACK message is already
// in use, the client MUST send a DHCPDECLINE message to the server and restarts
// the configuration process by requesting a new network address."
func TestSection32_AddressInUseAfterRebootIsDeclined(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.inUse("192.0.2.7").sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.after(10*s, 11*s).sends("DISCOVER to broadcast") // a new address, not this one
}

// "If the client receives a DHCPNAK message, it cannot reuse its remembered
// network address. It must instead request a new address by restarting the
// configuration process, this time using the (non-abbreviated) procedure".
func TestSection32_NAKForgetsTheRememberedAddress(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(nak()).silent().in(Init)
	p.after(s, 2*s).sends("DISCOVER to broadcast")
	p.linkUp().in(Init).after(0, s).sends("DISCOVER to broadcast")
}

// "The client MAY choose to use the previously allocated network address and
// configuration parameters for the remainder of the unexpired lease."
func TestSection32_UnansweredVerificationKeepsTheUnexpiredLease(t *testing.T) {
	p := playBound(t)
	p.at(100 * s).linkUp()
	for range 4 {
		p.after(0, 33*s).sends("REQUEST requested=192.0.2.7 to broadcast")
	}
	p.at(170 * s).silent().in(Bound).holds("192.0.2.7").because("no answer, keeping 192.0.2.7 for 14 min")

	p = play(t, last("192.0.2.7", "192.0.2.1")) // how much remains is not known
	for range 2 {
		p.after(0, 5*s).sends("REQUEST requested=192.0.2.7 to broadcast")
	}
	p.after(7*s, 9*s).sends("DISCOVER requested=192.0.2.7 to broadcast").holds("nothing")
}

// "The time value of 0xffffffff is reserved to represent "infinity"."
func TestSection33_AllOnesNeverEnds(t *testing.T) {
	p := playBound(t, with(dhcpv4.OptGeneric(dhcpv4.OptionIPAddressLeaseTime, []byte{0xff, 0xff, 0xff, 0xff})))
	p.at(100 * 365 * 24 * h).silent().in(Bound)
}

// "If the client includes a list of parameters in a DHCPDISCOVER message, it
// MUST include that list in any subsequent DHCPREQUEST messages. The client
// SHOULD include the 'maximum DHCP message size' option".
func TestSection35_ParameterListAndMessageSizeInEveryQuery(t *testing.T) {
	for _, d := range everyMessage(t) {
		got := d.Msg.Options.Get(dhcpv4.OptionParameterRequestList)
		size, _ := d.Msg.MaxMessageSize()
		switch d.Msg.MessageType() {
		case dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest:
			want := []byte{1, 121, 249, 3, 33, 6, 15, 119, 26, 42, 51, 58, 59}
			if !bytes.Equal(got, want) || size != 1472 {
				t.Errorf("%s asks for %v in %d octets; want %v in 1472", describe(d), got, size, want)
			}
		}
	}
}

// "The client fills in the 'ciaddr' field only when correctly configured with an
// IP address in BOUND, RENEWING or REBINDING state."
func TestSection35_CiaddrOnlyWhenConfigured(t *testing.T) {
	for _, d := range everyMessage(t) {
		m := d.Msg
		extends := m.MessageType() == dhcpv4.MessageTypeRequest && m.RequestedIPAddress() == nil
		want := extends || m.MessageType() == dhcpv4.MessageTypeRelease
		if got := !dhcp.Addr(m.ClientIPAddr).IsUnspecified(); got != want {
			t.Errorf("%s: has ciaddr: %v; want %v", describe(d), got, want)
		}
	}
}

// "A client SHOULD use DHCP to reacquire or verify its IP address and network
// parameters whenever the local network parameters may have changed; e.g., at
// system boot time or after a disconnection from the local network".
func TestSection37_DisconnectionIsFollowedByVerification(t *testing.T) {
	p := playBound(t)
	p.at(100*s).linkUp().after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
}

// "If the lease expires before the client can contact a DHCP server, the client
// must immediately discontinue use of the previous network address and may
// inform local users of the problem."
func TestSection37_ExpiredAddressIsDroppedAtOnce(t *testing.T) {
	p := playBound(t, times(100*s, 98*s, 99*s))
	p.at(98 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(99 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.at(100*s - 1).silent().holds("192.0.2.7")
	p.at(100 * s).drops().sends("DISCOVER requested=192.0.2.7 to broadcast")
	p.because("lease of 192.0.2.7 has expired")
}

// "DHCP messages from a client to a server are sent to the 'DHCP server' port
// (67), and DHCP messages from a server to a client are sent to the 'DHCP
// client' port (68)."
func TestSection41_Ports(t *testing.T) {
	for _, d := range everyMessage(t) {
		if d.To.Port() != 67 || d.From.Port() != 68 {
			t.Errorf("%s goes from port %d to %d", describe(d), d.From.Port(), d.To.Port())
		}
	}
}

// "DHCP clients MUST use the IP address provided in the 'server identifier'
// option for any unicast requests to the DHCP server."
func TestSection41_UnicastGoesToTheServerIdentifier(t *testing.T) {
	p := playRequesting(t)
	p.hears(ack("192.0.2.7", func(m *dhcpv4.DHCPv4) { m.ServerIPAddr = dhcp.IP(ip("192.0.2.66")) }))
	p.probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	if want := (dhcp.HWAddr{}); p.sent.HW != want {
		t.Errorf("renewal in a frame to %v; want it routed", p.sent.HW)
	}
}

// "DHCP messages broadcast by a client prior to that client obtaining its IP
// address must have the source address field in the IP header set to 0."
func TestSection41_SourceAddress(t *testing.T) {
	for _, d := range everyMessage(t) {
		if got, want := d.From.Addr(), dhcp.Addr(d.Msg.ClientIPAddr); got != want {
			t.Errorf("%s comes from %v; want %v", describe(d), got, want)
		}
		if d.To.Addr() == dhcp.Broadcast && d.HW != dhcp.BroadcastHW {
			t.Errorf("%s in a frame to %v", describe(d), d.HW)
		}
	}
}

// "The client MUST adopt a retransmission strategy that incorporates a randomized
// exponential backoff algorithm [...]. The delay before the first retransmission
// SHOULD be 4 seconds randomized by the value of a uniform random number chosen
// from the range -1 to +1. [...] The delay before the next retransmission SHOULD
// be 8 seconds [...]. The retransmission delay SHOULD be doubled with subsequent
// retransmissions up to a maximum of 64 seconds."
func TestSection41_Backoff(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	xid := p.sent.Msg.TransactionID
	for _, wait := range []time.Duration{4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 64 * s, 64 * s, 64 * s} {
		p.after(wait-s, wait+s).sends("DISCOVER to broadcast")
		if p.sent.Msg.TransactionID != xid {
			t.Error("a retransmission has another xid")
		}
	}
	var sum, least, most time.Duration
	for range 1000 {
		d := p.m.backoff(0) - 4*s
		sum, least, most = sum+d, min(least, d), max(most, d)
	}
	if least > -900*ms || most < 900*ms || (sum/1000).Abs() > 100*ms {
		t.Errorf("randomized by %v to %v, %v on average; want -1 s to 1 s", least, most, sum/1000)
	}
}

// "A DHCP client MUST choose 'xid's in such a way as to minimize the chance of
// using an 'xid' identical to one used by another client."
func TestSection41_XidIsRandom(t *testing.T) {
	p := playBound(t)
	seen := map[dhcpv4.TransactionID]bool{}
	for range 1000 {
		seen[p.m.xid()] = true
	}
	if len(seen) < 1000 {
		t.Errorf("%d different of 1000", len(seen))
	}
}

// "A client that cannot receive unicast IP datagrams until its protocol software
// has been configured with an IP address SHOULD set the BROADCAST bit in the
// 'flags' field to 1 in any DHCPDISCOVER or DHCPREQUEST messages that client
// sends. [...] A client that can receive unicast IP datagrams before its protocol
// software has been configured SHOULD clear the BROADCAST bit to 0."
func TestSection41_BroadcastBit(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		for _, d := range everyMessage(t, func(c *Config) { c.Broadcast = wanted }) {
			asks := slices.Contains([]dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest}, d.Msg.MessageType())
			unconfigured := dhcp.Addr(d.Msg.ClientIPAddr).IsUnspecified()
			if got, want := d.Msg.IsBroadcast(), wanted && asks && unconfigured; got != want {
				t.Errorf("%s: broadcast bit %v; want %v", describe(d), got, want)
			}
		}
	}
}

// "If the client supplies a 'client identifier', the client MUST use the same
// 'client identifier' in all subsequent messages".
func TestSection42_SameIdentifierInAllMessages(t *testing.T) {
	for want, edit := range map[string]func(*Config){
		"\x01" + string(hw[:]): func(*Config) {},
		"\xffmodem":            func(c *Config) { c.ID = []byte("\xffmodem") },
	} {
		for _, d := range everyMessage(t, edit) {
			if got := d.Msg.Options.Get(dhcpv4.OptionClientIdentifier); string(got) != want {
				t.Errorf("%s: identifier %x; want %x", describe(d), got, want)
			}
		}
	}
}

// "The client implementation of DHCP SHOULD provide a mechanism for the user to
// select directly the 'vendor class identifier' values."
func TestSection42_VendorClass(t *testing.T) {
	p := play(t, func(c *Config) { c.VendorID, c.Hostname = "isp-box", "router" })
	p.after(0, s).sends("DISCOVER to broadcast")
	if m := p.sent.Msg; m.ClassIdentifier() != "isp-box" || m.HostName() != "router" {
		t.Errorf("class %q, host name %q; want isp-box, router", m.ClassIdentifier(), m.HostName())
	}
}

// "The client SHOULD use the parameters in the DHCPACK message for
// configuration."
func TestSection432_ParametersAreThoseOfTheACK(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7", term(60*s), with(dhcpv4.OptDomainName("offered.example"))))
	p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.hears(ack("192.0.2.7", term(3600*s), with(dhcpv4.OptDomainName("granted.example")))).probes("192.0.2.7")
	p.free("192.0.2.7").installs("192.0.2.7/24")
	if l := p.m.Lease(); l.Term != time.Hour || l.Domain != "granted.example" {
		t.Errorf("lease for %v of %s; want that of the ACK", l.Term, l.Domain)
	}
}

// Table 4: which of 'server identifier', 'requested IP address' and 'ciaddr' a
// REQUEST carries, and whether it is broadcast, tells the server in which state
// it was generated.
func TestSection436_RequestsOfTheFourStates(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast").in(Rebooting)

	playRequesting(t) // REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast

	p = playBound(t, times(1000*s, 500*s, 520*s))
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1").in(Renewing)
	p.at(520 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast").in(Rebinding)
}

// Table 5: the fields of what a client sends.
func TestSection441_Fields(t *testing.T) {
	for _, d := range everyMessage(t) {
		m := d.Msg
		if m.OpCode != dhcpv4.OpcodeBootRequest || m.HWType != iana.HWTypeEthernet || m.HopCount != 0 ||
			!bytes.Equal(m.ClientHWAddr, hw[:]) || m.ServerHostName != "" || m.BootFileName != "" {
			t.Errorf("%s: %v", describe(d), m)
		}
		for _, a := range list(m.YourIPAddr, m.ServerIPAddr, m.GatewayIPAddr) {
			if !dhcp.Addr(a).IsUnspecified() {
				t.Errorf("%s: yiaddr, siaddr or giaddr is %v", describe(d), a)
			}
		}
	}
}

// Table 5: DECLINE and RELEASE carry no more than they must.
func TestSection441_DeclineAndReleaseAreBare(t *testing.T) {
	allowed := map[dhcpv4.MessageType][]uint8{
		dhcpv4.MessageTypeDecline: {50, 53, 54, 56, 61},
		dhcpv4.MessageTypeRelease: {53, 54, 61},
	}
	for _, d := range everyMessage(t, func(c *Config) { c.Broadcast, c.VendorID, c.Hostname = true, "v", "h" }) {
		want, ok := allowed[d.Msg.MessageType()]
		if !ok {
			continue
		}
		var got []uint8
		for code := range d.Msg.Options {
			got = append(got, code)
		}
		if slices.Sort(got); !slices.Equal(got, want) || d.Msg.NumSeconds != 0 || d.Msg.Flags != 0 {
			t.Errorf("%s: options %d, secs %d, flags %d; want %d, 0, 0", describe(d), got, d.Msg.NumSeconds, d.Msg.Flags, want)
		}
	}
}

// "The client SHOULD wait a random time between one and ten seconds to
// desynchronize the use of DHCP at startup." We wait, but less: see settling.
func TestSection441_FirstDiscoverWaitsARandomTime(t *testing.T) {
	p := play(t)
	seen := map[time.Duration]bool{}
	for range 100 {
		wait := p.m.Start(p.now).Wake.Sub(p.now)
		if seen[wait] = true; wait <= 0 || wait > s {
			t.Errorf("waits %v; want up to 1 s", wait)
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d different waits of 100", len(seen))
	}
}

// "If the 'xid' of an arriving DHCPOFFER message does not match the 'xid' of the
// most recent DHCPDISCOVER message, the DHCPOFFER message must be silently
// discarded. Any arriving DHCPACK messages must be silently discarded."
func TestSection441_SelectingDiscards(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7", func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ })).silent()
	p.hears(ack("192.0.2.7")).silent().hears(nak()).silent().in(Selecting)
	p.after(2*s, 5*s).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7")).hears(ack("192.0.2.8")).silent().hears(nak()).silent().in(Selecting)
}

// "The client collects DHCPOFFER messages over a period of time, selects one
// DHCPOFFER message from the (possibly many) incoming DHCPOFFER messages (e.g.,
// the first DHCPOFFER message or the DHCPOFFER message from the previously used
// server)".
func TestSection441_OffersAreCollected(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7"))
	p.hears(offer("192.0.2.8", from("192.0.2.2")))
	p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
}

// "The DHCPREQUEST message contains the same 'xid' as the DHCPOFFER message."
func TestSection441_RequestHasXidOfOffer(t *testing.T) {
	p := play(t)
	p.after(0, s).sends("DISCOVER to broadcast")
	xid := p.sent.Msg.TransactionID
	p.hears(offer("192.0.2.7"))
	p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	if got := p.sent.Msg.TransactionID; got != xid {
		t.Errorf("xid %v; want %v", got, xid)
	}
}

// "The client records the lease expiration time as the sum of the time at which
// the original request was sent and the duration of the lease from the DHCPACK
// message."
func TestSection441_LeaseCountsFromTheOriginalRequest(t *testing.T) {
	p := playRequesting(t)
	p.after(3*s, 5*s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.at(6 * s).hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.at(9 * s).free("192.0.2.7").installs("192.0.2.7/24")
	if got := p.m.Lease().Expires.Sub(p.zero); got != 1000*s {
		t.Errorf("expires %v after the REQUEST; want 1000 s", got)
	}
}

// "The client MUST insert its known network address as a 'requested IP address'
// option in the DHCPREQUEST message. [...] The client MUST NOT include a 'server
// identifier' in the DHCPREQUEST message. [...] Once a DHCPACK message with an
// 'xid' field matching that in the client's DHCPREQUEST message arrives from any
// server, the client is initialized".
func TestSection442_RebootTakesAnyServer(t *testing.T) {
	p := play(t, last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(ack("192.0.2.7", func(m *dhcpv4.DHCPv4) { m.TransactionID[1]++ })).silent()
	p.hears(ack("192.0.2.7", from("192.0.2.2"))).probes("192.0.2.7")
}

// "The client unicasts DHCPRELEASE messages to the server. Because the client is
// declining the use of the IP address supplied by the server, the client
// broadcasts DHCPDECLINE messages."
func TestSection444_ReleaseIsUnicastAndDeclineBroadcast(t *testing.T) {
	p := playBound(t)
	p.release().drops().sends("RELEASE ciaddr=192.0.2.7 server=192.0.2.1 to 192.0.2.1")
	p = playRequesting(t)
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	p.inUse("192.0.2.7").sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast")
}

// "T1 MUST be earlier than T2, which, in turn, MUST be earlier than the time at
// which the client's lease will expire."
func TestSection445_TimesAreInOrder(t *testing.T) {
	for _, said := range [][3]time.Duration{
		{1000 * s, 500 * s, 875 * s}, {1000 * s, 0, 0}, {1000 * s, 2000 * s, 3000 * s}, {1000 * s, 900 * s, 100 * s},
		{1000 * s, 1000 * s, 1000 * s}, {20 * s, 1 * s, 2 * s}, {1 * s, 1 * s, 1 * s}, {0, 0, 0}, {1000 * s, 1 * s, 5 * s},
	} {
		p := playBound(t, times(said[0], said[1], said[2]))
		l := p.m.Lease()
		if !p.zero.Before(l.Renew) || !l.Renew.Before(l.Rebind) || !l.Rebind.Before(l.Expires) {
			t.Errorf("lease of %v: T1 %v, T2 %v, end %v", said, l.Renew.Sub(p.zero), l.Rebind.Sub(p.zero), l.Expires.Sub(p.zero))
		}
	}
}

// "T1 defaults to (0.5 * duration_of_lease). T2 defaults to (0.875 *
// duration_of_lease). Times T1 and T2 SHOULD be chosen with some random "fuzz"
// around a fixed value, to avoid synchronization of client reacquisition."
func TestSection445_DefaultTimesHaveFuzz(t *testing.T) {
	bare := without(dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue)
	p := playBound(t, bare)
	p.after(460*s, 500*s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	first := p.m.Lease()
	p.hears(ack("192.0.2.7", bare)).installs("192.0.2.7/24")
	second := p.m.Lease()
	if first.Expires.Sub(first.Renew) == second.Expires.Sub(second.Renew) {
		t.Error("T1 is the same twice; want it random")
	}
	if first.Expires.Sub(first.Rebind) == second.Expires.Sub(second.Rebind) {
		t.Error("T2 is the same twice; want it random")
	}
}

// "At time T1 the client moves to RENEWING state and sends (via unicast) a
// DHCPREQUEST message to the server to extend its lease. The client sets the
// 'ciaddr' field in the DHCPREQUEST to its current network address. [...] The
// client MUST NOT include a 'server identifier' in the DHCPREQUEST message."
func TestSection445_RenewingAtT1(t *testing.T) {
	p := playBound(t)
	p.at(500*s - 1).silent().in(Bound)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1").in(Renewing)
}

// "Any DHCPACK messages that arrive with an 'xid' that does not match the 'xid'
// of the client's DHCPREQUEST message are silently discarded. When the client
// receives a DHCPACK from the server, the client computes the lease expiration
// time as the sum of the time at which the client sent the DHCPREQUEST message
// and the duration of the lease in the DHCPACK message."
func TestSection445_RenewalCountsFromItsRequest(t *testing.T) {
	p := playBound(t)
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(ack("192.0.2.7", func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ })).silent().in(Renewing)
	p.at(510 * s).hears(ack("192.0.2.7", term(2000*s))).installs("192.0.2.7/24").in(Bound)
	if got := p.m.Lease().Expires.Sub(p.zero); got != 2500*s {
		t.Errorf("expires at %v; want 2500 s", got)
	}
}

// "If no DHCPACK arrives before time T2, the client moves to REBINDING state and
// sends (via broadcast) a DHCPREQUEST message to extend its lease."
func TestSection445_RebindingAtT2(t *testing.T) {
	p := playBound(t, times(1000*s, 500*s, 550*s))
	p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.at(550 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast").in(Rebinding)
}

// "In both RENEWING and REBINDING states, if the client receives no response to
// its DHCPREQUEST message, the client SHOULD wait one-half of the remaining time
// until T2 (in RENEWING state) and one-half of the remaining lease time (in
// REBINDING state), down to a minimum of 60 seconds, before retransmitting the
// DHCPREQUEST message."
func TestSection445_RetransmissionAtHalfOfWhatRemains(t *testing.T) {
	p := playBound(t, times(2000*s, 1000*s, 1500*s))
	for _, at := range []time.Duration{1000 * s, 1250 * s, 1375 * s, 1437500 * ms, 1497500 * ms} {
		p.at(at).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	}
	for _, at := range []time.Duration{1500 * s, 1750 * s, 1875 * s, 1937500 * ms, 1997500 * ms} {
		p.at(at).sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	}
	p.at(2000 * s).drops().sends("DISCOVER requested=192.0.2.7 to broadcast")
}

// "If the lease expires before the client receives a DHCPACK, the client moves
// to INIT state, MUST immediately stop any other network processing and requests
// network initialization parameters as if the client were uninitialized. If the
// client then receives a DHCPACK allocating that client its previous network
// address, the client SHOULD continue network processing. If the client is given
// a new network address, it MUST NOT continue using the previous network address
// and SHOULD notify the local users of the problem."
func TestSection445_Expiry(t *testing.T) {
	for _, addr := range []string{"192.0.2.7", "192.0.2.8"} {
		p := playBound(t, term(100*s))
		p.did(p.m.Tick(p.zero.Add(100 * s)))
		p.drops().sends("DISCOVER requested=192.0.2.7 to broadcast").holds("nothing")
		p.now = p.zero.Add(100 * s)
		p.hears(offer(addr))
		if addr != "192.0.2.7" {
			p.after(s, s)
		}
		p.sends("REQUEST requested=" + addr + " server=192.0.2.1 to broadcast")
		p.hears(ack(addr)).probes(addr).free(addr).installs(addr + "/24").holds(addr)
	}
}

// everyMessage is one of each kind that a machine sends, and of each state.
func everyMessage(t *testing.T, edits ...func(*Config)) []*dhcp.Datagram {
	t.Helper()
	var all []*dhcp.Datagram
	keep := func(p *player) *player { all = append(all, p.sent); return p }
	p := play(t, edits...)
	keep(p.after(0, s).sends("DISCOVER to broadcast"))
	p.hears(offer("192.0.2.7"))
	keep(p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast"))
	p.hears(ack("192.0.2.7")).probes("192.0.2.7")
	keep(p.inUse("192.0.2.7").sends("DECLINE requested=192.0.2.7 server=192.0.2.1 to broadcast"))

	p = playRequesting(t, edits...)
	p.hears(ack("192.0.2.7", times(1000*s, 500*s, 550*s))).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	keep(p.at(500 * s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1"))
	keep(p.at(550 * s).sends("REQUEST ciaddr=192.0.2.7 to broadcast"))
	keep(p.linkUp().after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast"))
	keep(p.release().drops().sends("RELEASE ciaddr=192.0.2.7 server=192.0.2.1 to 192.0.2.1"))
	return all
}
