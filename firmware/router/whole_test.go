package router

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"leasehold/dhcp"
	"leasehold/dhcp/server"
	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/flash/flashtest"
	"leasehold/firmware/ring"
	"leasehold/firmware/status"
)

// A town is a LAN side on flash whose power fails at any octet, and guests that
// remember what they were told. Time passes when it is told to, and no packet is
// lost unless it is told so.
type town struct {
	*rapid.T
	nor    *flashtest.NOR
	ring   config.Ring
	lan    *lan
	now    time.Time
	guests []*citizen
	deaf   bool // what is sent gets lost
	boots  int
	asks   chan netip.Addr // what is probed, and who answers
	users  chan dhcp.HWAddr
	cuts   int // in a row, without a write getting through
	broken int // segments
}

// A citizen is a guest with what it believes.
type citizen struct {
	guest
	offered netip.Addr
	addr    netip.Addr // that it holds, until then
	until   time.Time
	kept    bool // it was promised for longer than anything is lent
}

const (
	// townPool is more than fits into the ring.
	townPool   = 14
	townGuests = 18
)

// A sink is a wire on which only the router speaks, to whom it calls.
type sink func(dhcp.Datagram)

func (s sink) Receive() (dhcp.Datagram, error) { select {} }
func (s sink) HW() dhcp.HWAddr                 { return wanHW }
func (s sink) Drops() uint64                   { return 0 }
func (s sink) Refused() uint64                 { return 0 }
func (s sink) Close() error                    { return nil }
func (s sink) Send(d dhcp.Datagram) error      { s(d); return nil }
func (s sink) SetPriority(int) error           { return nil }

// lanOn is the LAN side on flash, without its loop: what it sends goes to hear,
// and what it probes is answered by user. It has recalled nothing yet.
func lanOn(nor *flashtest.NOR, now time.Time, cfg config.Config, hear sink, user func(netip.Addr) dhcp.HWAddr) *lan {
	os := chipAlone(nor)
	os.probe = func(_ string, _, a netip.Addr) (dhcp.HWAddr, error) { return user(a), nil }
	l := &lan{
		log: slog.New(slog.DiscardHandler), board: newBoard(status.Report{}), cfg: lanParts(cfg)[0], conn: hear, os: os,
		store:  openStore(now, os, cfg),
		asking: map[netip.Addr]question{}, asked: make(chan answer, askAtOnce),
	}
	l.cfg.AwaitDNS = false
	l.divide()
	return l
}

// shared is flash that stays where it is when the router goes.
type shared struct{ *flashtest.NOR }

func (shared) Close() error { return nil }

// chipAlone is a platform that has nothing but flash.
func chipAlone(nor *flashtest.NOR) platform {
	return platform{
		openRing: func(flash.Place, int64) (device, error) { return shared{nor}, nil },
		readRing: func(flash.Place) (device, error) { return shared{nor}, nil },
	}
}

func newTown(t *rapid.T) *town {
	w := &town{T: t, nor: flashtest.New(512, 8), now: time.Unix(1_000_000, 0), asks: make(chan netip.Addr), users: make(chan dhcp.HWAddr)}
	w.ring = config.Ring{
		Path:   "/ring",
		Cycles: rapid.SampledFrom([]int{5, 1000, 1_000_000}).Draw(t, "cycles"),
		Years:  10,
	}
	for i := range townGuests {
		w.guests = append(w.guests, &citizen{guest: guest{hw: dhcp.HWAddr{2, 0, 0, 0, 0, byte(i)}, name: fmt.Sprint("guest-", i)}})
	}
	w.boot()
	return w
}

func (w *town) boot() {
	w.boots++
	w.nor.Reboot()
	cfg := config.Default()
	cfg.Ring = w.ring
	cfg.LAN.First, cfg.LAN.Last = addr("192.168.1.100"), addr(fmt.Sprintf("192.168.1.%d", 100+townPool-1))
	w.lan = lanOn(w.nor, w.now, cfg, w.hear, func(a netip.Addr) dhcp.HWAddr {
		w.asks <- a
		return <-w.users
	})
	w.checkRing()
	w.lan.recall(w.now, w.lan.subnets)
	w.fallIfCut()
}

// cut reports whether the power is off.
func (w *town) cut() bool {
	_, err := w.nor.ReadAt(make([]byte, 1), 0)
	return errors.Is(err, flashtest.ErrPowerCut)
}

// mayCut reports whether the ring promises to stand one more cut: one fewer in a
// row than it has good segments.
func (w *town) mayCut() bool { return w.cuts < 4-w.broken-1 }

// fallIfCut boots again if the power failed.
func (w *town) fallIfCut() {
	if w.cut() {
		w.cuts++
		w.boot()
	} else if s := w.lan.store; s.trouble == "" && s.ring.Stats().Used > 0 {
		w.cuts = 0
	}
}

func (w *town) userOf(a netip.Addr) dhcp.HWAddr {
	for _, g := range w.guests {
		if g.holds(w.now) && g.addr == a {
			return g.hw
		}
	}
	return dhcp.HWAddr{}
}

func (g *citizen) holds(now time.Time) bool { return g.addr.IsValid() && now.Before(g.until) }

// tell has the router handle messages in one batch, and the probes that follow.
func (w *town) tell(ds ...dhcp.Datagram) {
	w.lan.handle(w.now, ds)
	for len(w.lan.asking) > 0 {
		w.users <- w.userOf(<-w.asks)
		r := <-w.lan.asked
		if w.cut() {
			delete(w.lan.asking, r.addr)
			continue
		}
		w.lan.heard(w.now, r)
	}
	w.fallIfCut()
}

// hear is what arrives at a guest. After the power failed nothing does.
func (w *town) hear(d dhcp.Datagram) {
	if w.deaf || w.cut() {
		return
	}
	for _, g := range w.guests {
		if g.hw != dhcp.HWAddr(d.Msg.ClientHWAddr) {
			continue
		}
		a := dhcp.Addr(d.Msg.YourIPAddr)
		switch d.Msg.MessageType() {
		case dhcpv4.MessageTypeOffer:
			g.offered = a
		case dhcpv4.MessageTypeAck:
			term := d.Msg.IPAddressLeaseTime(0)
			if g.holds(w.now) && g.addr == a && g.kept && g.until.After(w.now.Add(term)) {
				term = g.until.Sub(w.now) // it was told more before, and may have missed this
			}
			g.addr, g.until, g.kept = a, w.now.Add(term), term > server.LentTerm
		case dhcpv4.MessageTypeNak:
			if g.holds(w.now) && g.kept {
				w.Fatalf("%s holds %v for %v more and is refused", g.name, g.addr, g.until.Sub(w.now))
			}
			g.addr, g.offered = netip.Addr{}, netip.Addr{}
		}
	}
}

// checkRing fails unless all that was promised is in the ring, as it is after a
// boot.
func (w *town) checkRing() {
	stored := map[netip.Addr]dhcp.ID{}
	for b, err := range w.lan.store.bindings() {
		if err != nil {
			w.Fatal(err)
		}
		stored[b.Addr] = b.ID
	}
	for _, g := range w.guests {
		if g.holds(w.now) && g.kept && stored[g.addr] != dhcp.HardwareID(g.hw) {
			w.Fatalf("after boot %d the ring does not know that %v is %s's, who was promised it for %v more",
				w.boots, g.addr, g.name, g.until.Sub(w.now))
		}
	}
}

// check fails if two guests hold one address.
func (w *town) check() {
	users := map[netip.Addr]*citizen{}
	for _, g := range w.guests {
		if !g.holds(w.now) {
			continue
		}
		if o := users[g.addr]; o != nil {
			w.Fatalf("%v is held by %s and %s", g.addr, o.name, g.name)
		}
		users[g.addr] = g
	}
	if err := w.nor.Violation(); err != nil {
		w.Fatal(err)
	}
}

func (w *town) someone(t *rapid.T) *citizen {
	return w.guests[rapid.IntRange(0, len(w.guests)-1).Draw(t, "guest")]
}

// speaks is what a guest may say in its state.
func (w *town) speaks(t *rapid.T, g *citizen) dhcp.Datagram {
	switch choice := rapid.IntRange(0, 9).Draw(t, "says"); {
	case g.holds(w.now) && choice < 4:
		return g.renew(g.addr)
	case g.holds(w.now) && choice < 6:
		return g.reboot(g.addr)
	case g.holds(w.now) && choice == 6:
		d := g.release(g.addr)
		g.addr = netip.Addr{}
		return d
	case g.offered.IsValid() && choice < 9:
		a := g.offered
		g.offered, g.addr = netip.Addr{}, netip.Addr{} // who requests has nothing
		return g.request(a)
	}
	if g.holds(w.now) {
		return g.renew(g.addr)
	}
	return g.discover()
}

// TestWholePath is the promise that the house is judged by: whatever guests say
// and whenever the power fails, no address is held by two of them, and every
// lease that was acknowledged for longer than anything is lent is there after
// the reboot.
func TestWholePath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTown(t)
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { w.check() },
			"one speaks": func(t *rapid.T) {
				w.tell(w.speaks(t, w.someone(t)))
			},
			"some speak at once": func(t *rapid.T) {
				var ds []dhcp.Datagram
				for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(w.guests)-1), 2, 6, rapid.ID[int]).Draw(t, "guests") {
					ds = append(ds, w.speaks(t, w.guests[i]))
				}
				w.tell(ds...)
			},
			"two want one address": func(t *rapid.T) {
				a := addr(fmt.Sprintf("192.168.1.%d", rapid.IntRange(100, 100+townPool-1).Draw(t, "address")))
				var ds []dhcp.Datagram
				for range 2 {
					if g := w.someone(t); !g.holds(w.now) {
						ds = append(ds, g.reboot(a))
					}
				}
				w.tell(ds...)
			},
			"an answer is lost": func(t *rapid.T) {
				w.deaf = true
				w.tell(w.speaks(t, w.someone(t)))
				w.deaf = false
			},
			"the power fails while some speak": func(t *rapid.T) {
				tear := rapid.SampledFrom(flashtest.Tears()).Draw(t, "tear")
				if !w.mayCut() {
					return
				}
				w.nor.CutAt(w.nor.Steps()+rapid.IntRange(0, 700).Draw(t, "step"), tear)
				for range rapid.IntRange(1, 4).Draw(t, "messages") {
					w.tell(w.speaks(t, w.someone(t)))
				}
			},
			"the power fails": func(*rapid.T) { w.boot() },
			"time passes": func(t *rapid.T) {
				d := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 9 * time.Minute, time.Hour, 7 * time.Hour, 13 * time.Hour}).Draw(t, "time")
				w.now = w.now.Add(d)
				w.lan.mend(w.now)
				w.fallIfCut()
			},
			"a block breaks": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "luck") == 0 && w.broken == 0 && w.cuts == 0 {
					w.broken++
					w.nor.Break(rapid.IntRange(0, w.nor.Blocks()-1).Draw(t, "block"), rapid.SampledFrom([]flashtest.Fault{
						flashtest.FailProgram, flashtest.FailErase, flashtest.Deaf}).Draw(t, "fault"))
				}
			},
		})
	})
}

var _ ring.Device = shared{}
