package client

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// FuzzReceive does to a machine what bytes say: arbitrary answers, ticks early
// and late, probes answered or not, a link that flaps. Whatever happens, only
// what a probe found free is installed, nothing for longer than its lease, and
// the machine wakes no more often than a healthy one may.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{tickDue, hearOffer, 1, 60, tickDue, hearACK, 1, 60, probeFree, tickDue, hearACK, 1, 60, linkUp, tickDue, hearNAK})
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		script := make([]byte, 200)
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		c := &careful{T: t, now: time.Unix(0, 0), free: map[netip.Addr]bool{}}
		c.m = New(Config{HW: hw, Last: Last{ip("192.0.2.1"), ip("192.0.2.254")}}, rand.New(rand.NewPCG(1, 2)))
		c.did(c.m.Start(c.now))
		for len(script) > 0 && !t.Failed() {
			script = c.play(script)
		}
		c.idle(time.Hour, 1000)
	})
}

// What a script can have done.
const (
	tickDue = iota
	tickEarly
	tickLate
	probeFree
	probeInUse
	linkUp
	linkDown
	conflict
	hearOffer
	hearACK
	hearNAK
	hearBytes
	startAgain
	releaseAll
	ops
)

// A careful caller carries steps out and fails on what must not be.
type careful struct {
	*testing.T
	m         *Machine
	now, wake time.Time
	xid       dhcpv4.TransactionID // of the latest message
	asked     []netip.Addr         // probes not answered yet
	free      map[netip.Addr]bool  // what a probe found free since it was last taken down
	installed netip.Prefix
}

func (c *careful) did(s Step) {
	c.Helper()
	if l := s.Lease; l != nil {
		c.installed = l.Addr
		if l.Addr.IsValid() && !c.free[l.Addr.Addr()] {
			c.Errorf("%v installed without a probe; %v were free", l.Addr, c.free)
		}
		if !l.Addr.IsValid() {
			clear(c.free)
		}
		if l.LinkLocal && (!linkLocal.Contains(l.Addr.Addr()) || len(l.Routes) > 0) {
			c.Errorf("link-local lease %+v", l)
		}
	}
	if s.Announce.IsValid() && s.Announce != c.installed.Addr() {
		c.Errorf("announced %v; installed is %v", s.Announce, c.installed)
	}
	if s.Probe.IsValid() {
		c.asked = append(c.asked, s.Probe)
	}
	if s.Send != nil {
		c.xid = s.Send.Msg.TransactionID
		if _, err := dhcp.Parse(dhcp.Encode(s.Send.Msg, s.Send.Asked, s.Send.Limit)); err != nil {
			c.Errorf("sent %v: %v", s.Send.Msg, err)
		}
	}
	c.wake = s.Wake
	_ = s.Why.String()
	c.check()
}

func (c *careful) check() {
	c.Helper()
	l := c.m.Lease()
	if (l != nil) != c.installed.IsValid() || l != nil && l.Addr != c.installed {
		c.Errorf("in %v: Lease() = %v; installed is %v", c.m.State(), l, c.installed)
	}
	if l != nil && !l.Expires.IsZero() && !c.now.Before(l.Expires) {
		c.Errorf("in %v: lease used %v after its end", c.m.State(), c.now.Sub(l.Expires))
	}
	if st := c.m.State(); c.wake.IsZero() && st != Stopped && st != Bound {
		c.Errorf("in %v and asleep for ever", st)
	}
}

func (c *careful) tick() {
	c.Helper()
	c.did(c.m.Tick(c.now))
	if !c.wake.IsZero() && !c.wake.After(c.now) {
		c.Fatalf("in %v: Tick wants to wake %v ago", c.m.State(), c.now.Sub(c.wake))
	}
}

// idle has the timers run for d, without a message.
func (c *careful) idle(d time.Duration, most int) {
	c.Helper()
	end, n := c.now.Add(d), 0
	for ; !c.wake.IsZero() && c.wake.Before(end); n++ {
		if c.now = c.wake; n > most {
			c.Fatalf("in %v: more than %d wake-ups in %v", c.m.State(), most, d)
		}
		c.tick()
	}
}

// play does what script says first, and returns the rest.
func (c *careful) play(script []byte) []byte {
	c.Helper()
	op, script := script[0]%ops, script[1:]
	arg := func() (b byte) {
		if len(script) > 0 {
			b, script = script[0], script[1:]
		}
		return b
	}
	switch op {
	case tickDue:
		if c.wake.After(c.now) {
			c.now = c.wake
		}
		c.tick()
	case tickEarly:
		if c.wake.After(c.now) {
			c.now = c.now.Add(c.wake.Sub(c.now) * time.Duration(arg()) / 256)
		}
		c.tick()
	case tickLate:
		c.now = c.now.Add(time.Second << (arg() % 24))
		c.tick()
	case probeFree, probeInUse:
		a := ip("192.0.2.200") // of nobody's
		if n := len(c.asked); n > 0 {
			a, c.asked = c.asked[n-1], c.asked[:n-1]
		}
		c.free[a] = op == probeFree
		by := nobody
		if op == probeInUse {
			by = squatter
		}
		c.did(c.m.Probed(c.now, a, by))
	case conflict:
		c.did(c.m.Conflict(c.now, c.installed.Addr(), squatter))
	case linkDown:
		c.did(c.m.LinkDown(c.now))
	case linkUp:
		c.did(c.m.LinkUp(c.now))
	case hearOffer, hearACK, hearNAK:
		c.hear(c.answer(op, arg(), arg()))
	case hearBytes:
		n := min(len(script), int(arg()))
		c.hear(c.bytes(script[:min(n, len(script))]))
		script = script[min(n, len(script)):]
	case startAgain:
		c.did(c.m.Start(c.now))
	case releaseAll:
		c.did(c.m.Release(c.now))
		c.did(c.m.Start(c.now))
	}
	return script
}

func (c *careful) hear(msg *dhcpv4.DHCPv4, err error) {
	c.Helper()
	if err == nil {
		c.did(c.m.Receive(c.now, dhcp.Datagram{Msg: msg}))
	}
}

// answer is well formed: host and server from where, a lease of about n seconds
// squared.
func (c *careful) answer(op, where, n byte) (*dhcpv4.DHCPv4, error) {
	host := netip.AddrFrom4([4]byte{192, 0, 2, where % 8}).String()
	server := from(netip.AddrFrom4([4]byte{192, 0, 2, 254 - where>>6}).String())
	d := time.Duration(n) * time.Duration(n) * time.Second
	if n == 255 {
		d = dhcp.Infinite
	}
	lasting := times(d, d/time.Duration(1+where%5), d/time.Duration(1+where%3))
	to := &dhcpv4.DHCPv4{TransactionID: c.xid, ClientHWAddr: hw[:]}
	switch op {
	case hearOffer:
		return offer(host, server, lasting)(to), nil
	case hearACK:
		return ack(host, server, lasting)(to), nil
	}
	return nak(server)(to), nil
}

// bytes is an answer to the latest message with b as the rest of it.
func (c *careful) bytes(b []byte) (*dhcpv4.DHCPv4, error) {
	const header = 240
	raw := make([]byte, header)
	raw[0], raw[1], raw[2] = 2, 1, 6
	copy(raw[4:8], c.xid[:])
	copy(raw[16:20], b)
	copy(raw[28:34], hw[:])
	copy(raw[236:240], []byte{99, 130, 83, 99})
	return dhcp.Parse(append(raw, b[min(len(b), 4):]...))
}
