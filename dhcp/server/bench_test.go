package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

// BenchmarkHandle is what one message costs with so many leases in a /16: that of
// a client not seen before, the REQUEST that takes its offer up, with Bound and
// the RELEASE that follows, and a renewal with Bound.
func BenchmarkHandle(b *testing.B) {
	const crowd = 4096
	for _, n := range []int{100, 1_000, 10_000, 60_000} {
		loaded := func() (*Server, time.Time) {
			s := New(Config{
				Addr: netip.MustParsePrefix("10.1.0.1/16"), First: ip("10.1.0.0"), Last: ip("10.1.255.255"),
				Term: 12 * time.Hour, Routers: []netip.Addr{ip("10.1.0.1")}, DNS: []netip.Addr{ip("10.1.0.1")},
				Domain: "lan", Authoritative: true,
			})
			now := time.Unix(12, 0)
			for i := range n {
				a, _ := s.table.Pick(now, card(i).id(), netip.Addr{})
				s.Bound(now, lease.Binding{Addr: a, ID: card(i).id(), HW: card(i).hw(), Term: 12 * time.Hour, Grant: 12 * time.Hour})
			}
			return s, now
		}
		b.Run(fmt.Sprintf("discover/%d", n), func(b *testing.B) {
			s, now := loaded()
			var ds []dhcp.Datagram
			for i := range crowd {
				ds = append(ds, card(n+i).says(dhcpv4.MessageTypeDiscover))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%crowd == 0 {
					now = now.Add(2 * holdTime) // what was offered is free again
				}
				if s.Handle(now, ds[i%crowd]).Reply == nil {
					b.Fatal("no offer")
				}
			}
		})
		b.Run(fmt.Sprintf("request/%d", n), func(b *testing.B) {
			s, now := loaded()
			var ds, gone []dhcp.Datagram
			for i := range crowd {
				a := s.Handle(now, card(n+i).says(dhcpv4.MessageTypeDiscover)).Addr
				ds = append(ds, card(n+i).says(dhcpv4.MessageTypeRequest, wants(a.String()), server("10.1.0.1")))
				gone = append(gone, card(n+i).says(dhcpv4.MessageTypeRelease, uses(a.String()), server("10.1.0.1")))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				dec := s.Handle(now, ds[i%crowd])
				if dec.Bind == nil {
					b.Fatal(dec.Why)
				}
				s.Bound(now, *dec.Bind)
				s.Handle(now, gone[i%crowd])
			}
		})
		b.Run(fmt.Sprintf("renew/%d", n), func(b *testing.B) {
			s, now := loaded()
			var ds []dhcp.Datagram
			for i := range min(n, crowd) {
				held, _ := s.table.Holder(card(i).id())
				ds = append(ds, card(i).says(dhcpv4.MessageTypeRequest, uses(held.Addr.String())))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Millisecond)
				dec := s.Handle(now, ds[i%len(ds)])
				if dec.Bind == nil {
					b.Fatal(dec.Why)
				}
				s.Bound(now, *dec.Bind)
			}
		})
	}
}

// A card has an address of its maker, so that a full pool changes nothing for it.
type card int

func (c card) hw() dhcp.HWAddr {
	return dhcp.HWAddr{0, 0x1b, 0x2c, byte(c >> 16), byte(c >> 8), byte(c)}
}
func (c card) id() dhcp.ID { return dhcp.HardwareID(c.hw()) }

func (c card) says(t dhcpv4.MessageType, edits ...edit) dhcp.Datagram {
	hw := c.hw()
	d := message(0, t, append([]edit{chaddr(iana.HWTypeEthernet, hw[:]...), option(55, 1, 3, 6, 15, 28)}, edits...)...)
	d.HW = hw
	return d
}
