package router

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/flash/flashtest"
)

// A village is a LAN side on flash as it ships, in simulated time, and what is
// answered to the last message.
type village struct {
	nor    *flashtest.NOR
	lan    *lan
	now    time.Time
	answer *dhcp.Datagram
	held   map[dhcp.HWAddr]netip.Addr
	kept   int // new leases that were kept
	short  int // that were not
	none   int // devices that got no address
}

func newVillage() *village {
	v := &village{nor: flashtest.New(flash.FileBlockSize, 4), now: time.Unix(0, 0), held: map[dhcp.HWAddr]netip.Addr{}}
	v.boot()
	return v
}

func (v *village) boot() {
	v.nor.Reboot()
	nobody := func(netip.Addr) dhcp.HWAddr { return dhcp.HWAddr{} }
	v.lan = lanOn(v.nor, v.now, config.Default(), func(d dhcp.Datagram) { v.answer = &d }, nobody)
	v.lan.recall(v.now, v.lan.subnets)
}

// says has the router answer a message, and returns the lease time that it
// grants; 0: none.
func (v *village) says(d dhcp.Datagram) time.Duration {
	v.answer = nil
	v.lan.handle(v.now, []dhcp.Datagram{d})
	for len(v.lan.asking) > 0 {
		v.lan.heard(v.now, <-v.lan.asked)
	}
	if v.answer == nil || v.answer.Msg.MessageType() == dhcpv4.MessageTypeNak {
		return 0
	}
	return v.answer.Msg.IPAddressLeaseTime(0)
}

// joins has a device ask for an address and says whether it is kept.
func (v *village) joins(g guest) bool {
	if v.says(g.discover()) == 0 {
		v.none++
		return false
	}
	a := dhcp.Addr(v.answer.Msg.YourIPAddr)
	if v.says(g.request(a)) == 0 {
		return false
	}
	v.held[g.hw] = a
	if !v.lan.subnets[0].server.Table().Keeps(a, dhcp.HardwareID(g.hw)) {
		v.short++
		return false
	}
	v.kept++
	return true
}

// renews has a device stay where it is, or join anew where it is refused.
func (v *village) renews(g guest, booted bool) {
	a := v.held[g.hw]
	d := g.renew(a)
	if booted {
		d = g.reboot(a)
	}
	if v.says(d) == 0 {
		v.joins(g)
	}
}

// forge has forged devices come at a thousand a second for a minute, each for
// one lease that it gives back, and returns how many did not get one that is
// kept. What the first of them is refused, the rest of a minute is refused too.
func (v *village) forge(dice *rand.Rand) (refused int) {
	const perMinute = 60_000
	for n := range perMinute {
		g := stranger(dice)
		kept := v.joins(g)
		v.says(g.release(v.held[g.hw]))
		delete(v.held, g.hw)
		if !kept {
			return perMinute - n
		}
	}
	return 0
}

// stranger is a device with a random, locally administered address.
func stranger(dice *rand.Rand) guest {
	n := dice.Uint64()
	return guest{hw: dhcp.HWAddr{2, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32)}, name: fmt.Sprintf("phone-%d", n%1000)}
}

// A household is what the year is made of.
type household struct {
	devices, strangers int // of the house; and new ones a day
	attacked           bool
}

// live lets days pass: everybody renews every six hours, strangers come, once a
// week the power fails and all come back at once.
func (h household) live(v *village, days int) (forged, refused int) {
	dice := rand.New(rand.NewPCG(1, 2))
	var own []guest
	for i := range h.devices {
		own = append(own, guest{hw: dhcp.HWAddr{0, 0x1b, 0x2c, 0, 0, byte(i)}, name: fmt.Sprint("device-", i)})
		v.joins(own[i])
	}
	for minute := range days * 24 * 60 {
		v.now = v.now.Add(time.Minute)
		v.lan.mend(v.now)
		if h.attacked {
			forged += 60_000
			refused += v.forge(dice)
		}
		blackout := minute%(7*24*60) == 7*24*60-1
		if blackout {
			v.boot()
		}
		for i, g := range own {
			if blackout || minute%360 == i*6%360 {
				v.renews(g, blackout)
			}
		}
		if minute%(24*60/h.strangers) == 0 {
			v.joins(stranger(dice))
		}
	}
	return forged, refused
}

// everyDay reports whether whole years are to be lived, as make wear does.
func everyDay() bool { return os.Getenv("LEASEHOLD_WEAR") != "" }

// Promise 8 of the ring, and what it means for a house.
func TestYearOfAHousehold(t *testing.T) {
	for name, test := range map[string]struct {
		household
		days int // where not everyDay
	}{
		"in peace":     {household{devices: 60, strangers: 20}, 120},
		"under attack": {household{devices: 60, strangers: 20, attacked: true}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			days := test.days
			if everyDay() {
				days = 365
			}
			v := newVillage()
			began := time.Now()
			forged, refused := test.live(v, days)
			v.report(t, days, forged, refused)
			t.Logf("lived in %v", time.Since(began).Round(time.Second/10))
		})
	}
}

func (v *village) report(t *testing.T, days, forged, refused int) {
	erases := v.nor.Erases()
	life := config.Default().Ring
	worst := float64(slices.Max(erases))
	years := float64(life.Cycles) / worst * float64(days) / 365
	st := v.lan.store.ring.Stats()
	record := float64(st.LiveBytes) / float64(max(1, st.Records))
	perLease := float64(v.nor.Programmed()) / float64(max(1, v.kept))
	t.Logf("%d days: %d leases kept, %d lent, %d times none to be had; %d forged, of which %d were not kept", days, v.kept, v.short, v.none, forged, refused)
	t.Logf("%d octets programmed, %.0f per new lease of %.0f octets: write amplification %.2f",
		v.nor.Programmed(), perLease, record, perLease/record)
	t.Logf("erases %v, spread %d; at this pace the flash lasts %.1f years", erases, slices.Max(erases)-slices.Min(erases), years)
	if forged == 0 && v.none+v.short > 0 {
		t.Errorf("%d devices got no address, and %d no lasting one", v.none, v.short)
	}
	if perLease > 128 {
		t.Errorf("%.0f octets per new lease; want at most 128", perLease)
	}
	if slices.Max(erases)-slices.Min(erases) > 1 {
		t.Error("wear is not even")
	}
	// What there is to begin with weighs more in a few days than in years.
	if spare := 2.0; (worst-spare)*float64(life.Years*365) > float64(life.Cycles*days) {
		t.Errorf("%v erases in %d days are more than %d in %d years", worst, days, life.Cycles, life.Years)
	}
}
