package server

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

// behind returns a house whose clients are behind relay agents, in 10.9.0.0/24.
func behind(t *testing.T) *house {
	h := newHouse(t)
	h.cfg.Addr, h.cfg.Carrier = netip.MustParsePrefix("10.9.0.0/24"), h.cfg.Addr
	h.cfg.First, h.cfg.Last = ip("10.9.0.100"), ip("10.9.0.199")
	h.cfg.Routers, h.cfg.Hosts = nil, nil
	h.Reconfigure(h.cfg)
	return h
}

// agentSays has the relay agent add sub-options: code, then value.
func agentSays(subs ...[]byte) edit {
	return func(d *dhcp.Datagram) {
		var v []byte
		for _, s := range subs {
			v = append(append(v, s[0], byte(len(s)-1)), s[1:]...)
		}
		d.Msg.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, v))
	}
}

var circuit = []byte{1, 'p', 'o', 'r', 't', ' ', '7', 0, 255}

// A network behind relay agents: what they forward is answered through them,
// with our own address as server, and who renews by unicast is answered where
// it is.
func TestBehindTheRelay(t *testing.T) {
	h := behind(t)
	agent := via("10.9.0.1")
	h.hears(discover(1, wants("10.9.0.146"), agent)).offers("10.9.0.146").goesTo("10.9.0.1:67", routed).has(54, 192, 168, 1, 1).has(1, 255, 255, 255, 0).has(3, 10, 9, 0, 1)
	h.hears(selecting(1, "10.9.0.146", agent)).acks("10.9.0.146", Bound).goesTo("10.9.0.1:67", routed)
	h.hears(renewing(1, "10.9.0.146")).acks("10.9.0.146", Renewed).goesTo("10.9.0.146:68", hw(1)).has(3, 10, 9, 0, 1)
	h.hears(renewing(1, "10.9.0.146", via("10.9.0.1"))).acks("10.9.0.146", Renewed).goesTo("10.9.0.1:67", routed)
	h.hears(rebooting(1, "10.9.0.150", agent)).naks(HasAnother).goesTo("10.9.0.1:67", routed)
	h.hears(rebooting(2, "192.168.1.150", agent)).naks(NotThisNetwork).goesTo("10.9.0.1:67", routed)
	h.hears(discover(2, via("10.8.0.1"))).silent(OtherRelay)
	h.cfg.Routers = []netip.Addr{ip("10.9.0.254")}
	h.Reconfigure(h.cfg)
	h.hears(renewing(1, "10.9.0.146")).acks("10.9.0.146", Renewed).has(3, 10, 9, 0, 254)
}

// An agent may send what it forwards to all on the link where we are.
func TestRelayAgentThatBroadcasts(t *testing.T) {
	h := behind(t)
	for addr, why := range map[string]Reason{"192.168.1.255": Offer, "255.255.255.255": Offer, "10.9.0.255": NotForUs, "192.168.1.2": NotForUs} {
		if got := h.hears(discover(1, via("10.9.0.1"), to(addr))).Why; got != why {
			t.Errorf("to %s: %v; want %v", addr, got, why)
		}
	}
}

// Section 2.2: the server echoes the entire contents of the option in all
// replies, and it is the last one.
func TestRFC3046Section22_EchoedUnmodifiedAndLast(t *testing.T) {
	h := behind(t)
	agent := via("10.9.0.1")
	says := agentSays(circuit, []byte{2, 0xde, 0xad}, []byte{151, 0})
	value := discover(1, agent, says).Msg.Options[82]
	for _, a := range []*answer{
		h.hears(discover(1, wants("10.9.0.146"), agent, says)),
		h.hears(selecting(1, "10.9.0.146", agent, says)),
		h.hears(rebooting(1, "10.9.0.9", agent, says)),
	} {
		if a.Reply == nil {
			t.Fatalf("no answer: %v", a.Why)
		}
		wire := dhcp.Encode(a.Reply.Msg, a.Reply.Asked, a.Reply.Limit)
		tail := append([]byte{82, byte(len(value))}, value...)
		end := bytes.LastIndex(wire, append(slices.Clone(tail), 255))
		if end < 0 || len(bytes.Trim(wire[end+len(tail)+1:], "\x00")) > 0 {
			t.Errorf("%v: option 82 is not last and as it was in % x", a.Reply.Msg.MessageType(), wire)
		}
	}
}

// Section 2.1: an option 82 without an agent's address was put in by nobody whom
// we know. The option is dropped, not the message.
func TestRFC3046Section21_WithoutAnAgentItCountsForNothing(t *testing.T) {
	h := newHouse(t)
	forged := agentSays(circuit, []byte{5, 10, 9, 0, 0}, []byte{11, 10, 9, 0, 1})
	h.hears(discover(1, wants("192.168.1.150"), forged)).offers("192.168.1.150").has(54, 192, 168, 1, 1).lacks(82)
	h.hears(selecting(1, "192.168.1.150", forged)).acks("192.168.1.150", Bound).has(54, 192, 168, 1, 1).lacks(82)
}

func TestHandleLeavesTheMessageAlone(t *testing.T) {
	h := newHouse(t)
	d := discover(1, agentSays(circuit))
	h.Handle(h.now, d)
	if d.Msg.Options[82] == nil {
		t.Error("the option is gone from the message")
	}
}

// Sub-options that make no sense are echoed all the same, and nothing else comes
// of them.
func TestRFC3046Section20_MalformedSubOptions(t *testing.T) {
	for _, value := range [][]byte{{}, {5}, {5, 4, 10}, {5, 3, 10, 9, 0}, {11, 4, 0, 0, 0, 0}, {1, 255, 5, 4, 10, 9, 0, 0}} {
		h := behind(t)
		says := func(d *dhcp.Datagram) {
			d.Msg.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, value))
		}
		h.hears(discover(1, wants("10.9.0.146"), via("10.9.0.1"), says)).offers("10.9.0.146").has(54, 192, 168, 1, 1).has(82, value...)
	}
}

// RFC 3527, section 3: "When the DHCP server is allocating an address and this
// sub-option is present, then the DHCP server MUST allocate the address on
// either: the subnet specified in the link-selection sub-option, or; a subnet on
// the same link". The agent's own address is for the answer only.
func TestRFC3527Section3_LinkSelection(t *testing.T) {
	h := behind(t)
	link := agentSays([]byte{5, 10, 9, 0, 0}, circuit)
	agent := via("172.16.0.5")
	h.hears(discover(1, agent)).silent(OtherRelay)
	h.hears(discover(1, wants("10.9.0.146"), agent, link)).offers("10.9.0.146").goesTo("172.16.0.5:67", routed)
	h.hears(selecting(1, "10.9.0.146", agent, link)).acks("10.9.0.146", Bound).goesTo("172.16.0.5:67", routed).lacks(3)
	h.hears(discover(2, via("10.9.0.1"), agentSays([]byte{5, 10, 8, 0, 0}))).silent(OtherRelay)
}

// RFC 3011, section 2: the option takes the place of the agent's address where
// the subnet is chosen, and goes back as it came.
func TestRFC3011Section2_SubnetSelection(t *testing.T) {
	h := behind(t)
	selects := func(a string) edit {
		return func(d *dhcp.Datagram) {
			d.Msg.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionSubnetSelection, ip(a).AsSlice()))
		}
	}
	h.hears(discover(1, wants("10.9.0.146"), via("172.16.0.5"), selects("10.9.0.0"))).offers("10.9.0.146").has(118, 10, 9, 0, 0).goesTo("172.16.0.5:67", routed)
	h.hears(discover(2, via("10.9.0.1"), selects("10.8.0.0"))).silent(OtherRelay)
	// RFC 3527, section 3: what the agent selects goes before what the client does.
	h.hears(discover(3, wants("10.9.0.147"), via("172.16.0.5"), selects("10.8.0.0"), agentSays([]byte{5, 10, 9, 0, 0}))).offers("10.9.0.147")

	direct := newHouse(t)
	direct.hears(discover(1, wants("192.168.1.150"), selects("10.9.0.0"))).offers("192.168.1.150").lacks(118)
}

// RFC 5107, section 4: the value of the sub-option is what the client is to know
// as its server. A client that was told so before the agent did that names us by
// our own address; and by neither it names another server.
func TestRFC5107Section4_ServerIdentifierOverride(t *testing.T) {
	h := behind(t)
	agent, says := via("10.9.0.1"), agentSays(circuit, []byte{11, 10, 9, 0, 1})
	names := func(a string) edit {
		return func(d *dhcp.Datagram) { d.Msg.UpdateOption(dhcpv4.OptServerIdentifier(ip(a).AsSlice())) }
	}
	h.hears(discover(1, wants("10.9.0.146"), agent, says)).offers("10.9.0.146").has(54, 10, 9, 0, 1)
	a := h.hears(selecting(1, "10.9.0.146", agent, says, names("10.9.0.1"))).acks("10.9.0.146", Bound).has(54, 10, 9, 0, 1)
	if a.Reply.From.Addr() != ip("192.168.1.1") {
		t.Errorf("sent from %v; want our own address", a.Reply.From)
	}
	h.hears(selecting(1, "10.9.0.146", agent, says, names("192.168.1.1"))).acks("10.9.0.146", Bound)
	h.hears(renewing(1, "10.9.0.146", agent, says)).acks("10.9.0.146", Renewed).has(54, 10, 9, 0, 1)
	h.hears(selecting(1, "10.9.0.146", agent, says, names("10.9.0.2"))).silent(ChoseAnotherServer)
	h.hears(selecting(1, "10.9.0.146", agent, names("10.9.0.1"))).silent(ChoseAnotherServer)
	h.hears(rebooting(1, "10.9.0.9", agent, says)).naks(HasAnother).has(54, 10, 9, 0, 1)
}

// After a reboot of ours nobody knows the relay agent, which is the clients'
// router. Who renews past it would be told that it has none.
func TestRenewalWaitsForTheRelayAgentToBeKnown(t *testing.T) {
	h := behind(t)
	h.hears(rebooting(2, "10.9.0.147", via("10.9.0.1"))).acks("10.9.0.147", Rebooted)
	reboot := func() {
		h.Server = New(h.cfg)
		h.Bound(h.now, lease.Binding{Addr: ip("10.9.0.147"), ID: dhcp.HardwareID(hw(2)), HW: hw(2), Term: h.cfg.Term, Grant: h.cfg.Term})
	}
	reboot()
	h.hears(renewing(2, "10.9.0.147")).silent(AgentUnknown)
	h.hears(renewing(2, "10.9.0.147", via("10.9.0.1"))).acks("10.9.0.147", Renewed).has(3, 10, 9, 0, 1)
	h.hears(renewing(2, "10.9.0.147")).acks("10.9.0.147", Renewed).has(3, 10, 9, 0, 1)

	h.cfg.Options = []Option{{Code: optRouters}} // none, by configuration
	reboot()
	h.hears(renewing(2, "10.9.0.147")).acks("10.9.0.147", Renewed).lacks(3)
}

// Each client's router is the agent that forwarded for it: what another agent
// forwards, or who makes up the address of one, changes nothing for it.
func TestEachClientHasItsOwnRelayAgentAsRouter(t *testing.T) {
	h := behind(t)
	h.hears(selecting(1, "10.9.0.146", via("10.9.0.1"))).acks("10.9.0.146", Bound).has(3, 10, 9, 0, 1)
	h.hears(selecting(2, "10.9.0.147", via("10.9.0.2"))).acks("10.9.0.147", Bound).has(3, 10, 9, 0, 2)
	h.hears(discover(3, via("10.9.0.66")))
	h.hears(renewing(1, "10.9.0.146")).acks("10.9.0.146", Renewed).has(3, 10, 9, 0, 1)
	h.hears(renewing(2, "10.9.0.147")).acks("10.9.0.147", Renewed).has(3, 10, 9, 0, 2)
	h.hears(rebooting(1, "10.9.0.146", via("10.9.0.2"))).acks("10.9.0.146", Rebooted).has(3, 10, 9, 0, 2) // it has moved
	h.hears(renewing(1, "10.9.0.146")).acks("10.9.0.146", Renewed).has(3, 10, 9, 0, 2)
}

// An identifier and an agent's information that were pieced together from many
// options could make an answer that no frame holds.
func TestEchoesFitIntoAFrame(t *testing.T) {
	h := behind(t)
	half := make([]byte, mostEchoed/2)
	d := h.hears(discover(1, wants("10.9.0.146"), via("10.9.0.1"), option(61, half...), option(82, half...))).offers("10.9.0.146")
	if n := len(dhcp.Encode(d.Reply.Msg, d.Reply.Asked, d.Reply.Limit)); n > linkMTU-28 {
		t.Errorf("an answer of %d octets", n)
	}
	for _, code := range []uint8{61, 82, 118} {
		h.hears(discover(1, via("10.9.0.1"), option(code, make([]byte, mostEchoed+1)...))).silent(Oversized)
	}
}
