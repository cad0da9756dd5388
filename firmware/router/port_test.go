package router

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"leasehold/firmware/config"
)

func TestPortIsPrepared(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Enabled = true
		h.cfg.WAN.Device, h.cfg.WAN.MAC = "eth0.35", [6]byte{2, 0, 0x5e, 0, 1, 9}
		h.cfg.WAN.Priority, h.cfg.WAN.Tags = 6, []config.Tag{{Priority: 0, PCP: 1}}
		h.setMissing("eth0.35", true)
		h.boot()
		time.Sleep(time.Second)
		want := []string{
			"eth0.35 is made", "eth0.35 is 02:00:5e:00:01:09", "eth0.35 is down",
			"eth0.35 has priority 0 in tag 1", "eth0.35 has priority 6 in tag 6", "eth0.35 sends with priority 6",
			"eth0.35: DISCOVER",
		}
		if got := h.look(lanDev, "/tmp", "program"); !slices.Equal(got, want) {
			t.Errorf("the router did\n\t%q\nwant\n\t%q", got, want)
		}
	})
}

// A cloned address goes with its option, or with the router, and with nothing
// else; also that of a router that was killed, and after another one.
func TestPortHasItsOwnMACAgain(t *testing.T) {
	const first, second = "wan is 02:00:5e:00:01:09", "wan is 02:00:5e:00:01:0a"
	own := "wan is " + wanHW.String()
	macs := func(h *house) []string {
		return slices.DeleteFunc(h.look(), func(s string) bool { return !strings.HasPrefix(s, "wan is 02:") })
	}
	live(t, func(h *house) {
		h.cfg.WAN.MAC = [6]byte{2, 0, 0x5e, 0, 1, 9}
		h.bound(time.Hour)
		h.port(wanDev).broken <- syscall.ENETDOWN
		time.Sleep(5 * time.Second)
		h.configure(func(c *config.Config) { c.WAN.Hostname = "home" })
		if got := macs(h); !slices.Equal(got, []string{first}) {
			t.Errorf("with the option the router did %q; want %q once", got, first)
		}
		h.configure(func(c *config.Config) { c.WAN.MAC[5]++ })
		h.configure(func(c *config.Config) { c.WAN.MAC = [6]byte{} })
		if got, want := macs(h), []string{second, own}; !slices.Equal(got, want) {
			t.Errorf("with another one and then none it did %q; want %q", got, want)
		}
		h.configure(func(c *config.Config) { c.WAN.MAC = [6]byte{2, 0, 0x5e, 0, 1, 9} })
		h.powerOff()
		if got, want := macs(h), []string{first, own}; !slices.Equal(got, want) {
			t.Errorf("at the end it did %q; want %q", got, want)
		}
		h.macs[wanDev] = h.cfg.WAN.MAC
		h.boot()
		h.configure(func(c *config.Config) { c.WAN.Enabled = false })
		if got, want := macs(h), []string{own}; !slices.Equal(got, want) {
			t.Errorf("with what a killed router has left it did %q; want %q", got, want)
		}
	})
}

// A modem that was unplugged for ten minutes, or for the time that it takes to
// start: nobody waits for the end of a pause.
func TestPortThatComesBackIsFoundAtOnce(t *testing.T) {
	live(t, func(h *house) {
		p := h.bound(time.Hour)
		for _, away := range []time.Duration{100 * time.Millisecond, 10 * time.Minute} {
			h.setMissing(wanDev, true)
			h.port(wanDev).broken <- syscall.ENETDOWN
			time.Sleep(away)
			p.listened()
			h.look()
			h.setMissing(wanDev, false)
			time.Sleep(3 * time.Second)
			if got := h.look(); !slices.Contains(got, wanUp) {
				t.Errorf("3 s after a port that was away for %v the router did %q; want it set up", away, got)
			}
			if got := p.listened(); !slices.Equal(got, []string{"REQUEST requested 203.0.113.7"}) {
				t.Errorf("the provider heard %q; want the last address asked for", got)
			}
		}
	})
}

// Nor is a bridge that comes late.
func TestBridgeThatComesLateIsFoundAtOnce(t *testing.T) {
	live(t, func(h *house) {
		h.setMissing(lanDev, true)
		h.boot()
		time.Sleep(10 * time.Minute)
		h.setMissing(lanDev, false)
		h.bind(h.guest(1))
	})
}

func TestVLANIsMadeOnceItsPortComes(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Enabled, h.cfg.WAN.Device = true, "eth0.35"
		h.setMissing("eth0", true)
		h.setMissing("eth0.35", true)
		h.boot()
		h.logged("interface eth0.35: no such network interface")
		time.Sleep(10 * time.Minute)
		h.look()
		h.setMissing("eth0", false)
		synctest.Wait()
		if got := h.look(lanDev); len(got) == 0 || got[0] != "eth0.35 is made" {
			t.Errorf("when eth0 came the router did %q; want eth0.35 made", got)
		}
	})
}

// Who sets the port down again and again does not make us ever more patient.
func TestPortThatWasSetDownIsSetUpAgain(t *testing.T) {
	live(t, func(h *house) {
		h.bound(time.Hour)
		h.look()
		for i := range 20 {
			h.port(wanDev).broken <- syscall.ENETDOWN
			time.Sleep(5 * time.Second)
			if got := h.look(); !slices.Contains(got, wanUp) {
				t.Fatalf("5 s after the port was set down for the %d. time the router did %q", i+1, got)
			}
		}
		h.notLogged("wan stopped")
	})
}

// What is there and does not work is given more and more time.
func TestPortThatDoesNotWorkIsNotTriedAllTheTime(t *testing.T) {
	live(t, func(h *house) {
		h.connect(time.Hour)
		h.breakIn("receive wan", func() { panic(errors.New("no")) })
		h.boot()
		time.Sleep(time.Hour)
		if n := h.openings(wanDev); n > 70 {
			t.Errorf("it was opened %d times in an hour; want at most once a minute in the end", n)
		}
	})
}
