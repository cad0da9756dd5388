package router

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/server"
	"leasehold/firmware/config"
	"leasehold/firmware/status"
)

// said returns what the diary has of a device, an exchange a line.
func (d *diary) saidBy(id dhcp.ID) string {
	for _, v := range d.devices(func(dhcp.ID) netip.Addr { return netip.Addr{} }) {
		if v.HW == id.String() {
			var lines []string
			for _, e := range v.Said {
				lines = append(lines, fmt.Sprintf("%s %v -> %s: %s x%d", e.Asked, e.Addr, e.Answer, e.Why, e.Times))
			}
			return strings.Join(lines, "\n")
		}
	}
	return ""
}

func discovers(n int) (dhcp.ID, *dhcpv4.DHCPv4) {
	d := (&house{}).guest(n).discover()
	return dhcp.ClientID(d.Msg), d.Msg
}

func TestDiaryIsBounded(t *testing.T) {
	d := newDiary()
	for n := range 10 * diaryDevices {
		id, m := discovers(n)
		for i := range 3 * diaryExchanges {
			d.note(time.Unix(int64(i), 0), server.Decision{Client: id, Why: server.PoolFull, Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}, m, noName)
		}
	}
	all := d.devices(func(dhcp.ID) netip.Addr { return netip.Addr{} })
	if len(all) != diaryDevices || len(d.pages) != diaryDevices {
		t.Errorf("%d devices, %d pages; want %d", len(all), len(d.pages), diaryDevices)
	}
	for _, v := range all {
		if len(v.Said) != diaryExchanges || cap(v.Said) > diaryExchanges {
			t.Fatalf("%s: %d exchanges, room for %d; want %d", v.HW, len(v.Said), cap(v.Said), diaryExchanges)
		}
	}
	last, _ := discovers(10*diaryDevices - 1)
	if all[0].HW != last.String() {
		t.Errorf("the first is %s; want the one heard last, %v", all[0].HW, last)
	}
}

func TestDiaryCountsWhatRepeats(t *testing.T) {
	d := newDiary()
	id, m := discovers(1)
	full, taken := server.Decision{Client: id, Why: server.PoolFull}, server.Decision{Client: id, Why: server.TakenByAnother}
	for _, dec := range []server.Decision{full, full, full, taken, full} {
		d.note(time.Unix(0, 0), dec, m, noName)
	}
	const want = "DISCOVER invalid IP -> : pool full: every address is leased x3\n" +
		"DISCOVER invalid IP -> : address belongs to another client x1\n" +
		"DISCOVER invalid IP -> : pool full: every address is leased x1"
	if got := d.saidBy(id); got != want {
		t.Errorf("the diary has\n%s\nwant\n%s", got, want)
	}
}

// What the page reads is not changed any more.
func TestDiaryLeavesAloneWhatItHasShown(t *testing.T) {
	d := newDiary()
	id, m := discovers(1)
	d.note(time.Unix(0, 0), server.Decision{Client: id, Why: server.PoolFull}, m, noName)
	shown := d.devices(func(dhcp.ID) netip.Addr { return netip.Addr{} })[0].Said
	before := append([]status.Exchange(nil), shown...)
	for range 2 * diaryExchanges {
		d.note(time.Unix(9, 0), server.Decision{Client: id, Why: server.PoolFull}, m, noName)
		d.note(time.Unix(9, 0), server.Decision{Client: id, Why: server.NotHeld}, m, noName)
	}
	if len(shown) != 1 || shown[0] != before[0] {
		t.Errorf("shown was %v and became %v", before, shown)
	}
}

func TestDiaryIgnoresWhoHasNoIdentity(t *testing.T) {
	d := newDiary()
	_, m := discovers(1)
	d.note(time.Unix(0, 0), server.Decision{Why: server.NoIdentity}, m, noName)
	if d.order.Len() != 0 {
		t.Error("a device without an identity is entered")
	}
}

// The page answers why a device got no address.
func TestPageSaysWhyADeviceHasNoAddress(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.First, h.cfg.LAN.Last = addr("192.168.1.100"), addr("192.168.1.101")
		h.cfg.Hosts = []config.Host{{MACs: [][6]byte{h.guest(7).hw}, Ignore: true}}
		h.boot()
		h.bind(h.guest(1))
		h.bind(h.guest(2))
		h.answers(h.guest(3).discover())
		h.answers(h.guest(3).discover())
		h.answers(h.guest(4).reboot(addr("192.168.1.100")), "NAK")
		h.answers(h.guest(5).reboot(addr("10.0.0.7")), "NAK")
		h.answers(h.guest(6).says(dhcpv4.MessageTypeRequest,
			dhcpv4.OptRequestedIPAddress(dhcp.IP(addr("192.168.1.7"))), dhcpv4.OptServerIdentifier(dhcp.IP(addr("192.168.1.2")))))
		h.answers(h.guest(7).discover())
		if n := strings.Count(h.log.String(), `level=INFO msg="pool full: every address is leased"`); n != 1 {
			t.Errorf("the owner is told %d times that one device finds the pool full; want once", n)
		}
		page := h.page()
		page = page[strings.Index(page, "<h3>Devices without an address"):strings.Index(page, "Lease ring")]
		for _, want := range []string{
			"<td>guest-3<td>02:00:00:00:00:03<td>DISCOVER, 2 times<td>0 s ago<td class=text>pool full: every address is leased\n",
			"<td>guest-4<td>02:00:00:00:00:04<td>REQUEST<td>0 s ago<td class=text>address belongs to another client (192.168.1.100)\n",
			"<td>guest-5<td>02:00:00:00:00:05<td>REQUEST<td>0 s ago<td class=text>address belongs to another network (10.0.0.7)\n",
			"<td>guest-6<td>02:00:00:00:00:06<td>REQUEST<td>0 s ago<td class=text>chose another server (192.168.1.7)\n",
			"<td>guest-7<td>02:00:00:00:00:07<td>DISCOVER<td>0 s ago<td class=text>client is configured to be ignored\n",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page has no %q:\n%s", want, page)
			}
		}
		if strings.Contains(page, "guest-1<") || strings.Contains(page, "guest-2<") {
			t.Errorf("devices with an address are said to have none:\n%s", page)
		}
	})
}

func TestDiaryHasWhoAnsweredTheProbe(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.Probe = true
		h.cfg.LAN.First, h.cfg.LAN.Last = addr("192.168.1.100"), addr("192.168.1.100")
		h.boot()
		h.inUse[addr("192.168.1.100")] = h.guest(0x99).hw
		h.hearsSoon(h.guest(1).discover())
		page := h.pageAt("/devices")
		for _, want := range []string{"probe: in use by 02:00:00:00:00:99", "pool full: every address is leased"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page of devices has no %q:\n%s", want, page)
			}
		}
	})
}
