package router

import (
	"container/list"
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/server"
	"leasehold/firmware/status"
)

// A diary is what each device asked for lately, what it was answered, and why.
// It answers the owner who asks why a device gets no address. It has room for so
// many devices, those that were heard last, and so many exchanges of each.
type diary struct {
	pages map[dhcp.ID]*list.Element // of order, each a *diaryPage
	order *list.List                // the one heard last in front
}

const (
	diaryDevices   = 256
	diaryExchanges = 8
)

// A diaryPage is about one device.
type diaryPage struct {
	id    dhcp.ID
	name  string
	said  []status.Exchange // not changed once shown
	shown bool              // the page of the router may have said
}

func newDiary() *diary { return &diary{map[dhcp.ID]*list.Element{}, list.New()} }

// note enters what came of a message, and reports whether it is the same again.
// Who only waits for a probe will get more of an answer soon.
func (d *diary) note(now time.Time, dec server.Decision, m *dhcpv4.DHCPv4, name func() string) (again bool) {
	if dec.Why == server.Probing {
		return false
	}
	answer := dhcpv4.MessageTypeNone
	if dec.Reply != nil {
		answer = dec.Reply.Msg.MessageType()
	}
	return d.enter(now, dec.Client, m, answer, dec.Addr, dec.Why.String(), name)
}

// conflict enters that somebody else answered for the address that a device was
// to have.
func (d *diary) conflict(now time.Time, id dhcp.ID, m *dhcpv4.DHCPv4, a netip.Addr, user dhcp.HWAddr) {
	d.enter(now, id, m, dhcpv4.MessageTypeNone, a, fmt.Sprintf("probe: in use by %v", user), noName)
}

// dropped enters that a message was left unanswered for want of a probe.
func (d *diary) dropped(now time.Time, id dhcp.ID, m *dhcpv4.DHCPv4, a netip.Addr, why string) {
	d.enter(now, id, m, dhcpv4.MessageTypeNone, a, why, noName)
}

func noName() string { return "" }

func (d *diary) enter(now time.Time, id dhcp.ID, m *dhcpv4.DHCPv4, answer dhcpv4.MessageType, a netip.Addr, why string, name func() string) (again bool) {
	if id == "" {
		return false
	}
	p := d.page(id)
	if p.name == "" {
		p.name = name()
	}
	e := status.Exchange{At: now, Asked: m.MessageType().String(), Why: why, Times: 1}
	if answer != dhcpv4.MessageTypeNone {
		e.Answer = answer.String()
	}
	if !a.IsUnspecified() {
		e.Addr = a
	}
	return p.add(e)
}

// page returns the page of a device, in place of the one that was heard longest
// ago if there are too many.
func (d *diary) page(id dhcp.ID) *diaryPage {
	if e, ok := d.pages[id]; ok {
		d.order.MoveToFront(e)
		return e.Value.(*diaryPage)
	}
	if d.order.Len() == diaryDevices {
		last := d.order.Back()
		delete(d.pages, d.order.Remove(last).(*diaryPage).id)
	}
	p := &diaryPage{id: id}
	d.pages[id] = d.order.PushFront(p)
	return p
}

// add appends an exchange. One that is as the last one only counts once more.
func (p *diaryPage) add(e status.Exchange) (again bool) {
	if p.shown {
		p.said = append(make([]status.Exchange, 0, diaryExchanges), p.said...)
		p.shown = false
	}
	if n := len(p.said); n > 0 {
		last := p.said[n-1]
		if e.Times = last.Times + 1; last.Asked == e.Asked && last.Answer == e.Answer && last.Addr == e.Addr && last.Why == e.Why {
			p.said[n-1] = e
			return true
		}
		e.Times = 1
	}
	if len(p.said) == diaryExchanges {
		p.said = append(p.said[:0], p.said[1:]...)
	}
	p.said = append(p.said, e)
	return false
}

// devices shows the diary, the device heard last first. has returns the address
// that a device has now, if any.
func (d *diary) devices(has func(dhcp.ID) netip.Addr) []status.Device {
	out := make([]status.Device, 0, d.order.Len())
	for e := d.order.Front(); e != nil; e = e.Next() {
		p := e.Value.(*diaryPage)
		p.shown = true
		out = append(out, status.Device{HW: p.id.String(), Name: p.name, Addr: has(p.id), Said: p.said})
	}
	return out
}
