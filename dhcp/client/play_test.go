package client

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
)

const (
	ms = time.Millisecond
	s  = time.Second
	h  = time.Hour
)

var (
	hw       = dhcp.HWAddr{2, 0, 0, 0, 0, 1}
	gateway  = dhcp.HWAddr{2, 0, 0, 0, 0, 0xff} // sends what servers say
	squatter = dhcp.HWAddr{2, 0, 0, 0, 0, 9}
	nobody   dhcp.HWAddr
)

// A player plays a timetable against a machine. What the machine does must be
// said by the test, in order and at the right time; anything else fails it.
type player struct {
	*testing.T
	m     *Machine
	zero  time.Time // of the timetable
	now   time.Time
	wake  time.Time
	done  []string       // not yet said by the test
	sent  *dhcp.Datagram // latest
	why   Event          // latest notable
	by    dhcp.HWAddr    // what a probe of replies finds
	alone bool           // link-local addresses are part of the story
	said  []string       // "192.0.2.7 announced at 0s"
}

// play starts a machine at 0 s. Its first message waits for the test.
func play(t *testing.T, edits ...func(*Config)) *player {
	t.Helper()
	cfg := Config{HW: hw}
	for _, edit := range edits {
		edit(&cfg)
	}
	p := &player{T: t, m: New(cfg, rand.New(rand.NewPCG(1, 2)))}
	p.zero = time.Date(1970, 1, 1, 0, 0, 12, 0, time.UTC)
	p.now = p.zero
	p.did(p.m.Start(p.now))
	return p
}

// playBound starts at the REQUEST that gave us 192.0.2.7 from 192.0.2.1, and is
// bound a moment later.
func playBound(t *testing.T, edits ...edit) *player {
	t.Helper()
	p := playRequesting(t)
	p.hears(ack("192.0.2.7", edits...)).probes("192.0.2.7")
	return p.free("192.0.2.7").installs("192.0.2.7/24").in(Bound)
}

// playRequesting starts at the REQUEST for 192.0.2.7 from 192.0.2.1.
func playRequesting(t *testing.T, edits ...func(*Config)) *player {
	t.Helper()
	p := play(t, edits...)
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("192.0.2.7")).silent()
	p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
	p.zero = p.now
	return p.in(Requesting)
}

func last(addr, server string) func(*Config) {
	return func(c *Config) { c.Last = Last{ip(addr), ip(server)} }
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// at lets time pass to d, during which nothing may happen.
func (p *player) at(d time.Duration) *player {
	p.Helper()
	p.quiet()
	until := p.zero.Add(d)
	for !p.wake.IsZero() && !until.Before(p.wake) {
		if p.tick(); len(p.done) > 0 && p.now.Before(until) {
			p.Fatalf("at %v: %v; want nothing before %v", p.now.Sub(p.zero), p.done, d)
		}
	}
	p.now = until
	return p
}

// after lets time pass until something happens, which must be between lo and hi
// from now.
func (p *player) after(lo, hi time.Duration) *player {
	p.Helper()
	p.quiet()
	from := p.now
	for len(p.done) == 0 {
		if p.wake.IsZero() {
			p.Fatalf("at %v: asleep for ever; want something within %v", p.now.Sub(p.zero), hi)
		}
		p.tick()
	}
	if d := p.now.Sub(from); d < lo || d > hi {
		p.Fatalf("%v after %v; want %v to %v", p.done, d, lo, hi)
	}
	return p
}

func (p *player) tick() {
	p.Helper()
	if p.m.Tick(p.wake.Add(-1)); p.wake.After(p.now) {
		p.now = p.wake
	}
	if p.did(p.m.Tick(p.now)); !p.wake.IsZero() && !p.wake.After(p.now) {
		p.Fatalf("Tick at %v wants to wake at %v", p.now.Sub(p.zero), p.wake.Sub(p.zero))
	}
}

// quiet fails on what was done and not said.
func (p *player) quiet() {
	p.Helper()
	if len(p.done) > 0 {
		p.Fatalf("at %v: %v; want nothing", p.now.Sub(p.zero), p.done)
	}
}

// did notes a step as the caller would carry it out.
func (p *player) did(s Step) {
	if l := s.Lease; l != nil && l.Addr.IsValid() {
		p.done = append(p.done, "install "+l.Addr.String())
	} else if l != nil {
		p.done = append(p.done, "drop")
	}
	if s.Announce.IsValid() {
		p.said = append(p.said, fmt.Sprintf("%v announced at %v", s.Announce, p.now.Sub(p.zero)))
	}
	if s.Probe.IsValid() && (p.alone || !linkLocal.Contains(s.Probe)) {
		p.done = append(p.done, "probe "+s.Probe.String())
	}
	if s.Send != nil {
		p.sent = s.Send
		p.done = append(p.done, describe(s.Send))
	}
	if s.Why.Reason != 0 {
		p.why = s.Why
	}
	p.wake = s.Wake
}

// describe says "REQUEST ciaddr=192.0.2.7 to 192.0.2.1".
func describe(d *dhcp.Datagram) string {
	w := []string{d.Msg.MessageType().String()}
	add := func(key string, ip net.IP) {
		if a := dhcp.Addr(ip); a != netip.IPv4Unspecified() {
			w = append(w, key+"="+a.String())
		}
	}
	add("ciaddr", d.Msg.ClientIPAddr)
	add("requested", d.Msg.RequestedIPAddress())
	add("server", d.Msg.ServerIdentifier())
	to := d.To.Addr().String()
	if d.To.Addr() == dhcp.Broadcast {
		to = "broadcast"
	}
	return strings.Join(append(w, "to", to), " ")
}

func (p *player) expect(want string) *player {
	p.Helper()
	if len(p.done) == 0 || p.done[0] != want {
		p.Fatalf("at %v: %q in %v; want %q", p.now.Sub(p.zero), p.done, p.m.State(), want)
	}
	p.done = p.done[1:]
	return p
}

func (p *player) sends(what string) *player    { p.Helper(); return p.expect(what) }
func (p *player) probes(addr string) *player   { p.Helper(); return p.expect("probe " + addr) }
func (p *player) installs(addr string) *player { p.Helper(); return p.expect("install " + addr) }
func (p *player) drops() *player               { p.Helper(); return p.expect("drop") }
func (p *player) silent() *player              { p.Helper(); p.quiet(); return p }

func (p *player) in(want State) *player {
	p.Helper()
	if got := p.m.State(); got != want {
		p.Fatalf("at %v: in %v; want %v", p.now.Sub(p.zero), got, want)
	}
	return p
}

func (p *player) because(want string) *player {
	p.Helper()
	if got := p.why.String(); got != want {
		p.Fatalf("at %v: because %q; want %q", p.now.Sub(p.zero), got, want)
	}
	return p
}

// holds checks what the machine says is installed.
func (p *player) holds(want string) *player {
	p.Helper()
	got := "nothing"
	if l := p.m.Lease(); l != nil {
		got = l.Addr.Addr().String()
	}
	if got != want {
		p.Fatalf("at %v: holds %s; want %s", p.now.Sub(p.zero), got, want)
	}
	return p
}

func (p *player) free(addr string) *player {
	p.Helper()
	p.quiet()
	p.did(p.m.Probed(p.now, ip(addr), nobody))
	return p
}

func (p *player) inUse(addr string) *player {
	p.Helper()
	p.quiet()
	p.did(p.m.Probed(p.now, ip(addr), squatter))
	return p
}

func (p *player) linkUp() *player {
	p.Helper()
	p.quiet()
	p.did(p.m.LinkUp(p.now))
	return p
}

func (p *player) release() *player {
	p.Helper()
	p.quiet()
	p.did(p.m.Release(p.now))
	return p
}

// hears gives the machine an answer to its latest message, over the wire.
func (p *player) hears(answer func(to *dhcpv4.DHCPv4) *dhcpv4.DHCPv4) *player {
	p.Helper()
	p.quiet()
	msg, err := dhcp.Parse(dhcp.Encode(answer(p.sent.Msg), nil, 0))
	if err != nil {
		p.Fatal(err)
	}
	p.did(p.m.Receive(p.now, dhcp.Datagram{Msg: msg, HW: gateway}))
	return p
}

// An edit makes an answer differ from that of an ordinary server.
type edit func(*dhcpv4.DHCPv4)

func offer(addr string, edits ...edit) func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return reply(dhcpv4.MessageTypeOffer, addr, edits)
}

func ack(addr string, edits ...edit) func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return reply(dhcpv4.MessageTypeAck, addr, edits)
}

func nak(edits ...edit) func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return reply(dhcpv4.MessageTypeNak, "0.0.0.0", edits)
}

// reply is by 192.0.2.1, for 1000 s unless edited.
func reply(kind dhcpv4.MessageType, addr string, edits []edit) func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return func(to *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		msg := &dhcpv4.DHCPv4{
			OpCode:        dhcpv4.OpcodeBootReply,
			HWType:        iana.HWTypeEthernet,
			TransactionID: to.TransactionID,
			ClientHWAddr:  slices.Clone(to.ClientHWAddr),
			YourIPAddr:    dhcp.IP(ip(addr)),
			Options:       dhcpv4.OptionsFromList(dhcpv4.OptMessageType(kind)),
		}
		from("192.0.2.1")(msg)
		if kind != dhcpv4.MessageTypeNak {
			with(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)))(msg)
			times(1000*s, 500*s, 875*s)(msg)
		}
		for _, edit := range edits {
			edit(msg)
		}
		return msg
	}
}

func with(o dhcpv4.Option) edit { return func(m *dhcpv4.DHCPv4) { m.UpdateOption(o) } }

func without(codes ...dhcpv4.OptionCode) edit {
	return func(m *dhcpv4.DHCPv4) {
		for _, c := range codes {
			m.DeleteOption(c)
		}
	}
}

func from(server string) edit { return with(dhcpv4.OptServerIdentifier(dhcp.IP(ip(server)))) }

// times sets the lease time, T1 and T2.
func times(term, t1, t2 time.Duration) edit {
	return func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(term))
		m.UpdateOption(dhcpv4.OptRenewTimeValue(t1))
		m.UpdateOption(dhcpv4.OptRebindingTimeValue(t2))
	}
}

// term sets the lease time, and T1 and T2 to what the RFC has for it.
func term(d time.Duration) edit { return times(d, d/2, d/8*7) }
