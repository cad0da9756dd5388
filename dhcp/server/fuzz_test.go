package server

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"leasehold/dhcp"
)

// FuzzHandle lets arbitrary octets come in as messages, one after the other,
// and carries out what the server decides. isWellFormed looks at every decision.
func FuzzHandle(f *testing.F) {
	for _, d := range []dhcp.Datagram{
		discover(1, wants("192.168.1.150"), option(55, 1, 3, 6), option(57, 5, 0xdc)),
		selecting(1, "192.168.1.150", option(12, 'x'), option(61, 1, 2, 3)),
		renewing(1, "192.168.1.150"),
		rebooting(1, "10.0.0.7", via("192.168.1.2"), option(82, 1, 1, 1)),
		release(1, "192.168.1.150"),
		decline(1, "192.168.1.150"),
		inform(1, "192.168.1.50"),
	} {
		b := dhcp.Encode(d.Msg, nil, 1500)
		f.Add(b, b, uint32(1))
		rnd := rand.New(rand.NewPCG(1, uint64(len(b))))
		for range 5 {
			bad := append([]byte(nil), b...)
			for range 4 {
				bad[rnd.IntN(len(bad))] = byte(rnd.Uint32())
			}
			f.Add(bad, b, rnd.Uint32())
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte, from uint32) {
		h := newHouse(t, pool("192.168.1.148", "192.168.1.151"), hosts(
			Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.149"), Term: time.Hour},
			Host{HW: []dhcp.HWAddr{hw(2)}, Ignore: true}),
			func(c *Config) { c.Probe, c.Sequential = from&8 != 0, from&16 != 0 })
		h.Remember(Memory(from % 3))
		for range 2 {
			for _, b := range [][]byte{first, second} {
				m, err := dhcp.Parse(b)
				if err != nil {
					continue
				}
				src := netip.AddrFrom4([4]byte{192, 168, byte(from >> 8), byte(from)})
				d := dhcp.Datagram{Msg: m, From: netip.AddrPortFrom(src, 68), HW: hw(int(from))}
				a := &answer{h: h, to: d, Decision: h.Handle(h.now, d)}
				a.isWellFormed()
				if a.Probe.IsValid() {
					h.Probed(h.now, d, a.Probe, hw(int(from)))
					a.Decision = h.Handle(h.now, d)
					a.isWellFormed()
				}
				a.carryOut()
				if r := a.Reply; r != nil && (!r.To.Addr().Is4() || r.To.Addr().IsUnspecified() || r.HW == (dhcp.HWAddr{}) && r.To.Port() != 67 && from != 0 && a.Why != Informed) {
					t.Errorf("a reply to %v at %v", r.To, r.HW)
				}
				h.now = h.now.Add(time.Minute)
			}
		}
		for s := range h.Table().All() {
			if !h.cfg.Addr.Contains(s.Addr) {
				t.Errorf("the table has %v", s.Addr)
			}
		}
	})
}
