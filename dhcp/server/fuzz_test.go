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
		discover(3, option(60, []byte("PXEClient")...), option(97, 0, 1), option(80), option(81, 4, 0, 0, 1, 'x', 0)),
		discover(4, option(61, 0xff, 0, 0, 0, 1, 0, 3), option(12, 'x')),
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
			Host{HW: []dhcp.HWAddr{hw(2)}, Ignore: true},
			Host{ByName: true, Name: "x", Addr: ip("192.168.1.20"), Tags: []string{"x"}},
			Host{DUIDs: [][]byte{{0, 3}}, Circuits: [][]byte{{1}}, Options: []Option{{Code: 3}}}),
			classes(Class{Tag: "pxe", Code: 60, Value: []byte("PXE"), Part: true}, Class{Tag: "relay", Code: 82, Sub: 1}),
			boots(Boot{Tags: []string{"pxe"}, File: "f", ServerName: "s", Server: ip("192.168.1.5")}),
			options(tagged(Option{Code: 121, Value: []byte{8, 10, 0, 0, 0, 0}}, "!x"), Option{Vendor: "PXE", Code: 43, Sub: 6, Value: []byte{8}},
				Option{Code: 67, Value: make([]byte, 200), Force: true}, Option{Code: 42, Value: make([]byte, 8), Addrs: true}),
			func(c *Config) {
				c.Probe, c.Sequential = from&8 != 0, from&16 != 0
				c.RapidCommit, c.BOOTP = from&32 != 0, from&64 != 0
			})
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
