package server

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func hw(n int) dhcp.HWAddr { return dhcp.HWAddr{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

func id(n int) dhcp.ID { return dhcp.HardwareID(hw(n)) }

// A house is a server that is played against. What it decides is carried out as
// the router does it, unless its flash is broken.
type house struct {
	testing.TB
	*Server
	now     time.Time
	zero    time.Time
	broken  bool
	written []string // what is put on flash: "192.168.1.100=02:00:00:00:00:01", or an address to be forgotten
}

// newHouse serves 192.168.1.100 to 249 for 12 hours.
func newHouse(t testing.TB, edits ...func(*Config)) *house {
	cfg := Config{
		Addr:          netip.MustParsePrefix("192.168.1.1/24"),
		First:         ip("192.168.1.100"),
		Last:          ip("192.168.1.249"),
		Term:          12 * time.Hour,
		Routers:       []netip.Addr{ip("192.168.1.1")},
		DNS:           []netip.Addr{ip("192.168.1.1"), ip("9.9.9.9")},
		Domain:        "lan",
		Authoritative: true,
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	boot := time.Unix(12, 0)
	return &house{TB: t, Server: New(cfg), now: boot, zero: boot}
}

func hosts(h ...Host) func(*Config)      { return func(c *Config) { c.Hosts = h } }
func term(d time.Duration) func(*Config) { return func(c *Config) { c.Term = d } }
func notAuthoritative(c *Config)         { c.Authoritative = false }
func pool(first, last string) func(*Config) {
	return func(c *Config) { c.First, c.Last = ip(first), ip(last) }
}

// change replaces the configuration while the house is lived in.
func (h *house) change(edits ...func(*Config)) {
	cfg := h.cfg
	for _, edit := range edits {
		edit(&cfg)
	}
	h.Reconfigure(cfg)
}

func (h *house) at(d time.Duration) *house {
	h.now = h.zero.Add(d)
	return h
}

// hears has the server handle a message and carries out what it decides.
func (h *house) hears(d dhcp.Datagram) *answer {
	h.Helper()
	a := h.decides(d)
	a.carryOut()
	return a
}

// decides has the server handle a message, and no more.
func (h *house) decides(d dhcp.Datagram) *answer {
	h.Helper()
	// It has come over the wire.
	msg, err := dhcp.Parse(dhcp.Encode(d.Msg, nil, 1500))
	if err != nil {
		h.Fatal(err)
	}
	d.Msg = msg
	a := &answer{h: h, to: d, Decision: h.Handle(h.now, d)}
	a.isWellFormed()
	return a
}

// An answer is a decision about one message.
type answer struct {
	Decision
	h  *house
	to dhcp.Datagram
}

func (a *answer) carryOut() {
	if a.Lend != nil {
		a.h.Lent(a.h.now, *a.Lend)
	}
	if a.Bind == nil || a.h.broken {
		return
	}
	a.h.written = append(a.h.written, fmt.Sprintf("%v=%v", a.Bind.Addr, a.Bind.ID))
	if a.Free.IsValid() {
		a.h.written = append(a.h.written, a.Free.String())
	}
	a.h.Bound(a.h.now, *a.Bind)
}

// isWellFormed checks what holds for every decision and every reply.
func (a *answer) isWellFormed() {
	a.h.Helper()
	if strings.HasPrefix(a.Why.String(), "unknown") || a.Client != a.h.Identity(a.to.Msg) {
		a.h.Errorf("decision %+v about %v", a.Decision, a.to.Msg)
	}
	if told := a.Why == Bound || a.Why == Renewed || a.Why == Rebooted; told != (a.Bind != nil || a.Lend != nil) || a.Bind != nil && a.Lend != nil {
		a.h.Errorf("%v with binding %+v, lent %+v", a.Why, a.Bind, a.Lend)
	}
	if a.Free.IsValid() && a.Bind == nil {
		a.h.Errorf("%v frees %v for nothing", a.Why, a.Free)
	}
	if asks := a.Probe.IsValid(); asks != (a.Why == Probing) || asks && (a.Probe != a.Addr || a.Reply != nil) {
		a.h.Errorf("%v probes %v and answers %v", a.Why, a.Probe, a.Reply)
	}
	if a.Lend != nil && a.Lend.Grant > LentTerm {
		a.h.Errorf("lent for %v", a.Lend.Grant)
	}
	if b := cmp.Or(a.Bind, a.Lend); b != nil {
		if _, err := b.MarshalBinary(); err != nil || b.Grant > b.Term || b.Grant <= 0 || b.ID != a.Client || b.Addr != a.Addr {
			a.h.Errorf("binding %+v, %v", b, err)
		}
	}
	if a.Reply == nil {
		return
	}
	bootp := a.to.Msg.MessageType() == dhcpv4.MessageTypeNone
	if b := cmp.Or(a.Bind, a.Lend); b != nil && a.Reply.Msg.IPAddressLeaseTime(0) != b.Grant && !bootp {
		a.h.Errorf("the client is told %v of %v", a.Reply.Msg.IPAddressLeaseTime(0), b.Grant)
	}
	m, q := a.Reply.Msg, a.to.Msg
	if m.OpCode != dhcpv4.OpcodeBootReply || m.HWType != q.HWType || m.TransactionID != q.TransactionID ||
		!bytes.Equal(m.ClientHWAddr, q.ClientHWAddr) || !dhcp.IP(dhcp.Addr(m.GatewayIPAddr)).Equal(q.GatewayIPAddr) ||
		m.HopCount != 0 || m.NumSeconds != 0 || !dhcp.Addr(m.ServerIPAddr).IsUnspecified() && len(a.h.cfg.Boots) == 0 {
		a.h.Errorf("header of %+v in answer to %+v", m, q)
	}
	want := a.h.cfg.Addr.Addr()
	if a.h.cfg.Carrier.IsValid() {
		want = a.h.cfg.Carrier.Addr()
	}
	_, overridden := agentAddr(vouched(q), dhcpv4.ServerIdentifierOverrideSubOption)
	if dhcp.Addr(m.ServerIdentifier()) != want && !overridden && !bootp || a.Reply.From != netip.AddrPortFrom(want, 67) {
		a.h.Errorf("from %v as server %v; want %v", a.Reply.From, m.ServerIdentifier(), want)
	}
	if got, want := m.Options[61], q.Options[61]; !bootp && (!bytes.Equal(got, want) || (got == nil) != (want == nil)) {
		a.h.Errorf("client identifier %x in answer to %x", got, want)
	}
	if !reflect.DeepEqual(a.Reply.Asked, q.ParameterRequestList()) {
		a.h.Errorf("options in the order %v; want %v", a.Reply.Asked, q.ParameterRequestList())
	}
	wire := dhcp.Encode(m, a.Reply.Asked, a.Reply.Limit)
	if bootp {
		if len(wire) != 300 && m.Options[82] == nil || m.Options[53] != nil {
			a.h.Errorf("a BOOTP client is sent %d octets with options %v", len(wire), m.Options)
		}
		return
	}
	again, err := dhcp.Parse(wire)
	if err != nil || again.MessageType() != m.MessageType() || len(wire) < 300 {
		a.h.Errorf("the reply is %d octets and reads back as %v, %v", len(wire), again, err)
	}
}

// The assertions return the answer, so that more can be asked of it.

func (a *answer) is(want dhcpv4.MessageType, why Reason, addr string) *answer {
	a.h.Helper()
	got := dhcpv4.MessageTypeNone
	yiaddr := "0.0.0.0"
	if a.Reply != nil {
		got, yiaddr = a.Reply.Msg.MessageType(), dhcp.Addr(a.Reply.Msg.YourIPAddr).String()
	}
	if got != want || a.Why != why || yiaddr != addr {
		a.h.Errorf("at %v: %v %s: %v; want %v %s: %v", a.h.now.Sub(a.h.zero), got, yiaddr, a.Why, want, addr, why)
	}
	return a
}

func (a *answer) offers(addr string) *answer {
	a.h.Helper()
	return a.is(dhcpv4.MessageTypeOffer, Offer, addr)
}

func (a *answer) acks(addr string, why Reason) *answer {
	a.h.Helper()
	return a.is(dhcpv4.MessageTypeAck, why, addr)
}

func (a *answer) naks(why Reason) *answer {
	a.h.Helper()
	return a.is(dhcpv4.MessageTypeNak, why, "0.0.0.0")
}

func (a *answer) silent(why Reason) *answer {
	a.h.Helper()
	return a.is(dhcpv4.MessageTypeNone, why, "0.0.0.0")
}

func (a *answer) probes(addr string) *answer {
	a.h.Helper()
	if a.silent(Probing); a.Probe != ip(addr) {
		a.h.Errorf("probes %v; want %s", a.Probe, addr)
	}
	return a
}

// answered says who answers the probe, and has the server go on.
func (a *answer) answered(by dhcp.HWAddr) *answer {
	a.h.Helper()
	a.h.Probed(a.h.now, a.to, a.Probe, by)
	return a.h.hears(a.to)
}

var nobody dhcp.HWAddr

// lends asserts that the address is granted from memory.
func (a *answer) lends(grant time.Duration) *answer {
	a.h.Helper()
	if a.Lend == nil || a.Lend.Grant != grant {
		a.h.Fatalf("%v: bound %+v, lent %+v; want it lent for %v", a.Why, a.Bind, a.Lend, grant)
	}
	return a
}

// goesTo asserts where the reply is sent: IP address and port, and station.
func (a *answer) goesTo(addr string, station dhcp.HWAddr) *answer {
	a.h.Helper()
	if a.Reply == nil {
		a.h.Errorf("no reply; want one to %s", addr)
	} else if a.Reply.To != netip.MustParseAddrPort(addr) || a.Reply.HW != station {
		a.h.Errorf("the reply goes to %v at %v; want %s at %v", a.Reply.To, a.Reply.HW, addr, station)
	}
	return a
}

// lacks asserts that the reply has none of the options.
func (a *answer) lacks(codes ...uint8) *answer {
	a.h.Helper()
	for _, c := range codes {
		if v, ok := a.Reply.Msg.Options[c]; ok {
			a.h.Errorf("option %d is %x; want none", c, v)
		}
	}
	return a
}

// has asserts an option's value.
func (a *answer) has(code uint8, want ...byte) *answer {
	a.h.Helper()
	if v, ok := a.Reply.Msg.Options[code]; !ok || !bytes.Equal(v, want) {
		a.h.Errorf("option %d is %x; want %x", code, v, want)
	}
	return a
}

// times returns the times of the lease in the reply.
func (a *answer) times() (t1, t2, term time.Duration) {
	m := a.Reply.Msg
	return m.IPAddressRenewalTime(0), m.IPAddressRebindingTime(0), m.IPAddressLeaseTime(0)
}

// Messages of client n.

type edit func(*dhcp.Datagram)

func message(n int, t dhcpv4.MessageType, edits ...edit) dhcp.Datagram {
	a := hw(n)
	d := dhcp.Datagram{
		Msg: &dhcpv4.DHCPv4{
			OpCode:        dhcpv4.OpcodeBootRequest,
			HWType:        iana.HWTypeEthernet,
			ClientHWAddr:  a[:],
			TransactionID: dhcpv4.TransactionID{1, 2, 3, byte(n)},
			NumSeconds:    3,
			Options:       dhcpv4.OptionsFromList(dhcpv4.OptMessageType(t)),
		},
		From: netip.MustParseAddrPort("0.0.0.0:68"),
		To:   netip.MustParseAddrPort("255.255.255.255:67"),
		HW:   a,
	}
	for _, edit := range edits {
		edit(&d)
	}
	return d
}

func discover(n int, edits ...edit) dhcp.Datagram {
	return message(n, dhcpv4.MessageTypeDiscover, edits...)
}

func request(n int, edits ...edit) dhcp.Datagram {
	return message(n, dhcpv4.MessageTypeRequest, edits...)
}

// selecting is the REQUEST after an offer of ours.
func selecting(n int, addr string, edits ...edit) dhcp.Datagram {
	return request(n, append([]edit{wants(addr), server("192.168.1.1")}, edits...)...)
}

// renewing is the REQUEST at T1.
func renewing(n int, addr string, edits ...edit) dhcp.Datagram {
	return request(n, append([]edit{uses(addr), to("192.168.1.1")}, edits...)...)
}

// rebinding is the REQUEST at T2.
func rebinding(n int, addr string, edits ...edit) dhcp.Datagram {
	return request(n, append([]edit{uses(addr)}, edits...)...)
}

// rebooting is the REQUEST in INIT-REBOOT.
func rebooting(n int, addr string, edits ...edit) dhcp.Datagram {
	return request(n, append([]edit{wants(addr)}, edits...)...)
}

func release(n int, addr string, edits ...edit) dhcp.Datagram {
	return message(n, dhcpv4.MessageTypeRelease, append([]edit{uses(addr), server("192.168.1.1"), to("192.168.1.1")}, edits...)...)
}

func decline(n int, addr string, edits ...edit) dhcp.Datagram {
	return message(n, dhcpv4.MessageTypeDecline, append([]edit{wants(addr), server("192.168.1.1")}, edits...)...)
}

func inform(n int, addr string, edits ...edit) dhcp.Datagram {
	return message(n, dhcpv4.MessageTypeInform, append([]edit{uses(addr)}, edits...)...)
}

func option(code uint8, v ...byte) edit {
	return func(d *dhcp.Datagram) { d.Msg.Options[code] = v }
}

func wants(addr string) edit  { return option(50, ip(addr).AsSlice()...) }
func server(addr string) edit { return option(54, ip(addr).AsSlice()...) }

func leaseTime(t time.Duration) edit {
	return option(51, dhcpv4.Duration(t).ToBytes()...)
}

// uses sets ciaddr, and where the message comes from.
func uses(addr string) edit {
	return func(d *dhcp.Datagram) {
		d.Msg.ClientIPAddr = ip(addr).AsSlice()
		d.From = netip.AddrPortFrom(ip(addr), 68)
	}
}

func to(addr string) edit {
	return func(d *dhcp.Datagram) { d.To = netip.AddrPortFrom(ip(addr), 67) }
}

var relayHW = dhcp.HWAddr{2, 0xee, 0, 0, 0, 1}

// routed is where a reply goes that the kernel finds the way for.
var routed = dhcp.HWAddr{}

// via has a relay agent pass the message on.
func via(relay string) edit {
	return func(d *dhcp.Datagram) {
		d.Msg.GatewayIPAddr = ip(relay).AsSlice()
		d.Msg.HopCount = 1
		d.From, d.To = netip.AddrPortFrom(ip(relay), 67), netip.MustParseAddrPort("192.168.1.1:67")
		d.HW = relayHW
	}
}

func asksForBroadcast(d *dhcp.Datagram) { d.Msg.Flags = broadcastFlag }

func chaddr(htype iana.HWType, addr ...byte) edit {
	return func(d *dhcp.Datagram) { d.Msg.HWType, d.Msg.ClientHWAddr = htype, addr }
}

// binds gives addr to client n by the whole exchange.
func (h *house) binds(n int, addr string) {
	h.Helper()
	h.hears(discover(n, wants(addr))).offers(addr)
	h.hears(selecting(n, addr)).acks(addr, Bound)
}

// holder asserts whose the address is; client 0: nobody's.
func (h *house) holder(addr string, n int) {
	h.Helper()
	for s := range h.Table().All() {
		if s.Addr == ip(addr) && s.State == lease.Bound && h.now.Before(s.Until) {
			if n == 0 || s.ID != id(n) {
				h.Errorf("%s is %v's; want client %d", addr, s.ID, n)
			}
			return
		}
	}
	if n != 0 {
		h.Errorf("%s is nobody's; want client %d", addr, n)
	}
}
