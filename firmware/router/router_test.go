package router

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"leasehold/firmware/config"
	"leasehold/firmware/ring"
)

func ringEntry(key, value string) ring.Entry { return ring.Entry{Key: key, Value: []byte(value)} }

func TestRunEndsAtOnce(t *testing.T) {
	for name, meanwhile := range map[string]func(*house){
		"at rest":            func(h *house) { time.Sleep(time.Hour) },
		"at the start":       func(h *house) {},
		"during the probe":   func(h *house) { time.Sleep(2200 * time.Millisecond) },
		"LAN waits to retry": func(h *house) { h.port(lanDev).broken <- errors.New("network is down") },
		"WAN waits to retry": func(h *house) { h.port(wanDev).broken <- errors.New("network is down") },
		"LAN under load": func(h *house) {
			for i := range 1000 {
				h.port(lanDev).in <- h.guest(i).discover()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(h *house) {
				h.cfg.WAN.Release = true
				h.connect(time.Hour)
				h.boot()
				meanwhile(h)
				began := time.Now()
				if err := h.powerOff(); err != nil {
					t.Errorf("run = %v; want nil", err)
				}
				if d := time.Since(began); d >= time.Second {
					t.Errorf("it took %v; want less than a second", d)
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				if len(h.ports) > 0 || len(h.pages) > 0 {
					t.Errorf("left open: %v %v", h.ports, h.pages)
				}
			})
		})
	}
}

func TestPageCrashLeavesTheRestAlone(t *testing.T) {
	live(t, func(h *house) {
		h.onceIn("listenPage")
		h.bound(time.Hour)
		h.logged("page stopped")
		h.pageHas("BOUND")
		if h.openings(lanDev) != 1 || h.openings(wanDev) != 1 {
			t.Error("LAN or WAN were started again")
		}
	})
}

func TestLANCrashKeepsAddressesAndTheUplink(t *testing.T) {
	for _, where := range []string{"send " + lanDev, "parse " + lanDev} {
		t.Run(where, func(t *testing.T) {
			live(t, func(h *house) {
				h.bound(time.Hour)
				a := h.bind(h.guest(1))
				h.look()
				h.onceIn(where)
				h.tell(h.guest(2).discover())
				h.logged("lan stopped")
				h.pageHas("crashed: " + where + " broke")
				if page := h.page(); strings.Contains(page, "goroutine") {
					t.Error("the page has a stack trace")
				}
				time.Sleep(2 * time.Second)
				h.answers(h.guest(2).reboot(a), "NAK")
				h.answers(h.guest(1).renew(a), "ACK "+a.String()+" ciaddr "+a.String())
				if slices.Contains(h.look(), wanDown) {
					t.Error("the uplink went down with the LAN")
				}
			})
		})
	}
}

func TestPageIsThereWhenTheLANIsNot(t *testing.T) {
	live(t, func(h *house) {
		h.setMissing(lanDev, true)
		h.boot()
		h.pageHas("interface br-lan: no such network interface")
		h.pageHas("Kept in</dt><dd>/etc/leasehold.ring")
		h.setMissing(lanDev, false)
		time.Sleep(time.Minute)
		if strings.Contains(h.page(), "no such network interface") {
			t.Error("the page still has what is over")
		}
	})
}

func TestProblemsAreOnThePage(t *testing.T) {
	live(t, func(h *house) {
		h.problems = []config.Problem{
			{File: "leasehold", Line: 3, Text: "'soon' is no time"},
			{File: "leasehold", Line: 4, Text: "has no effect", Warning: true},
		}
		h.boot()
		h.pageHas("leasehold:3: &#39;soon&#39; is no time")
		if strings.Contains(h.page(), "has no effect") {
			t.Error("warnings are on the page")
		}
		h.logged("without effect; leasehold check lists them\" entries=1")
		h.problems = nil
		h.configure(func(*config.Config) {})
		if strings.Contains(h.page(), "soon") {
			t.Error("the page still has what was corrected")
		}
	})
}

// TestLastWordsAreOnThePage until the next reboot, if the router ran for an hour;
// one that crashed again leaves them, and writes nothing.
func TestLastWordsAreOnThePage(t *testing.T) {
	for ran, left := range map[time.Duration]bool{wordsFor - time.Second: true, wordsFor + time.Second: false} {
		live(t, func(h *house) {
			h.put(ringEntry(wordsKey, "panic: boom"))
			h.boot()
			time.Sleep(ran)
			h.pageHas("Its last words:</b>\n<pre>panic: boom</pre>")
			h.powerOff()
			r, err := ring.Open(h.flash)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := r.Get(wordsKey); ok != left {
				t.Errorf("after %v they are in the ring: %v; want %v", ran, ok, left)
			}
		})
	}
}

// What memory has kept is of the last crash; what stands in the ring may be older.
func TestLastWordsThatMemoryKept(t *testing.T) {
	live(t, func(h *house) {
		h.put(ringEntry(wordsKey, "panic: boom"))
		h.words = "Kernel panic - not syncing: bang"
		h.boot()
		h.pageHas("<pre>" + h.words + "</pre>")
	})
}

func TestEventsOnThePageAreTheLatest(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		for i := range 2 * remembered {
			h.hears(h.guest(i).reboot(addr(fmt.Sprintf("192.168.1.%d", 100+i))))
		}
		page := h.page()
		page = page[strings.Index(page, "Lately"):]
		if n := strings.Count(page, "<tr>"); n != remembered {
			t.Errorf("%d events; want %d", n, remembered)
		}
		if !strings.Contains(page, fmt.Sprintf("guest-%d:", 2*remembered-1)) || strings.Contains(page, fmt.Sprintf("guest-%d:", remembered-1)) {
			t.Errorf("events are not the latest:\n%s", page)
		}
	})
}

func TestReloadKeepsBindings(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		a := h.bind(h.guest(1))
		h.configure(func(c *config.Config) {
			c.LAN.LeaseTime = 5 * time.Minute
			c.Hosts = []config.Host{{MACs: [][6]byte{h.guest(5).hw}, Addr: addr("192.168.1.50"), Name: "printer"}}
		})
		if n := h.openings(lanDev); n != 1 {
			t.Errorf("the LAN was opened %d times; want once", n)
		}
		got := h.hears(h.guest(1).renew(a))
		if len(got) != 1 || got[0].Msg.IPAddressLeaseTime(0) != 5*time.Minute {
			t.Errorf("renewal: %v; want 5 minutes", got)
		}
		h.answers(h.guest(2).reboot(a), "NAK")
		h.answers(h.guest(5).discover(), "OFFER 192.168.1.50")
	})
}

func TestReloadLeavesTheWANAlone(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.Hosts = []config.Host{{MACs: [][6]byte{h.guest(5).hw}, Line: 5}}
		p := h.bound(time.Hour)
		p.listened()
		h.look()
		h.configure(func(c *config.Config) {
			c.LAN.LeaseTime = time.Hour
			c.Hosts = []config.Host{{MACs: [][6]byte{h.guest(5).hw}, Line: 9}}
			c.WAN.DNS = append([]netip.Addr(nil), c.WAN.DNS...)
		})
		time.Sleep(time.Minute)
		h.wants()
		if h.openings(wanDev) != 1 || h.openings(lanDev) != 1 {
			t.Errorf("WAN opened %d times, LAN %d times; want once each", h.openings(wanDev), h.openings(lanDev))
		}
		if got := p.listened(); len(got) > 0 {
			t.Errorf("the provider heard %q; want nothing", got)
		}
	})
}

func TestReloadRestartsAWANThatChanged(t *testing.T) {
	live(t, func(h *house) {
		h.bound(time.Hour)
		h.look()
		h.configure(func(c *config.Config) { c.WAN.Metric = 7 })
		time.Sleep(5 * time.Second)
		got := h.look("wan: ", "/tmp")
		if got[0] != wanDown || got[len(got)-1] != "wan is 203.0.113.7/24 by 203.0.113.1 metric 7" {
			t.Errorf("the router did %q", got)
		}
		h.configure(func(c *config.Config) { c.WAN.Enabled = false })
		if got := h.look("/tmp"); !slices.Equal(got, []string{wanDown}) {
			t.Errorf("when the WAN is switched off the router did %q", got)
		}
		h.pageHas("not configured")
		h.configure(func(c *config.Config) { c.WAN.Enabled = true })
		time.Sleep(5 * time.Second)
		h.pageHas("203.0.113.7/24")
	})
}

func TestReloadMovesTheLAN(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		a := h.bind(h.guest(1))
		h.look()
		h.configure(func(c *config.Config) { c.LAN.Device = "eth1" })
		h.wants("br-lan loses 192.168.1.1/24", "eth1 has 192.168.1.1/24")
		if h.openings("eth1") != 1 {
			t.Error("nobody listens on eth1")
		}
		h.configure(func(c *config.Config) {
			c.LAN.Device = lanDev
			c.LAN.Addr = netip.MustParsePrefix("10.1.0.1/16")
			c.LAN.First, c.LAN.Last = addr("10.1.0.100"), addr("10.1.0.200")
		})
		h.wants("eth1 loses 192.168.1.1/24", "br-lan has 10.1.0.1/16")
		h.answers(h.guest(1).reboot(a), "NAK")
		h.pageHas("10.1.0.1/16")
		h.configure(func(c *config.Config) { c.LAN = config.Default().LAN })
		h.answers(h.guest(2).reboot(a), "NAK")
		h.answers(h.guest(1).reboot(a), "ACK "+a.String())
	})
}

// The device that was misspelt is put right; nobody wants to wait a minute then,
// still less for ever.
func TestReloadEndsAPause(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.LAN.Device = "br-lam"
		h.setMissing("br-lam", true)
		h.boot()
		time.Sleep(10 * time.Minute)
		h.configure(func(c *config.Config) { c.LAN.Device = lanDev })
		h.bind(h.guest(1))
	})
}

func TestReloadSwitchesServingOffAndOn(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		a := h.bind(h.guest(1))
		h.configure(func(c *config.Config) { c.LAN.Serve = false })
		h.mu.Lock()
		open := len(h.ports)
		h.mu.Unlock()
		if open != 0 {
			t.Error("it still listens")
		}
		h.pageHas("DHCP is switched off in the configuration")
		h.configure(func(c *config.Config) { c.LAN.First = addr("192.168.1.50") })
		h.pageHas("192.168.1.50 to")
		h.configure(func(c *config.Config) { c.LAN.Serve = true })
		h.answers(h.guest(2).reboot(a), "NAK")
		h.answers(h.guest(1).renew(a), "ACK "+a.String()+" ciaddr "+a.String())
	})
}

func TestReloadMovesThePage(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		at := func() (list []string) {
			synctest.Wait()
			h.mu.Lock()
			defer h.mu.Unlock()
			for a := range h.pages {
				list = append(list, a.String())
			}
			return list
		}
		wants := func(want ...string) {
			t.Helper()
			if got := at(); !slices.Equal(got, want) {
				t.Errorf("pages at %q; want %q", got, want)
			}
		}
		wants("192.168.1.1:80")
		h.configure(func(c *config.Config) { c.Page.Port = 8080 })
		wants("192.168.1.1:8080")
		h.configure(func(c *config.Config) { c.LAN.Addr = netip.MustParsePrefix("192.168.1.2/24") })
		wants("192.168.1.2:8080")
		h.configure(func(c *config.Config) { c.Page.Port = 0 })
		wants()
		h.configure(func(c *config.Config) { c.Page.Port = 80 })
		wants("192.168.1.2:80")
	})
}

func TestReloadThatCrashesLeavesAllAsItWas(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		a := h.bind(h.guest(1))
		h.onceIn("load")
		h.configure(func(*config.Config) {})
		h.logged("configuration not read")
		h.answers(h.guest(1).renew(a), "ACK "+a.String()+" ciaddr "+a.String())
	})
}

func TestReloadDoesNotMoveTheRing(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		h.configure(func(c *config.Config) { c.Ring.Path = "/elsewhere" })
		h.logged("what is said about the ring holds from the next start on")
	})
}

// The LAN's address may come after the page.
func TestListenPageNeedsNoAddress(t *testing.T) {
	const elsewhere = "203.0.113.200:0"
	l, err := listenPage(netip.MustParseAddrPort(elsewhere))
	if err != nil {
		t.Fatalf("listenPage(%s): %v", elsewhere, err)
	}
	l.Close()
}

func TestPageIsForTheLANOnly(t *testing.T) {
	live(t, func(h *house) {
		h.boot()
		if got := h.pageSeenFrom(addr("203.0.113.1")); got != "" {
			t.Errorf("a stranger sees:\n%s", got)
		}
		h.pageHas("192.168.1.1/24")
	})
}

func TestLeasesAreShortUntilThereAreResolvers(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Enabled = true
		h.boot()
		g := h.guest(1)
		a := h.bind(g)
		if got := h.hears(g.renew(a))[0].Msg; got.IPAddressLeaseTime(0) != untilDNS || got.DNS() != nil {
			t.Errorf("without resolvers: %v for %v", got.DNS(), got.IPAddressLeaseTime(0))
		}
		h.configure(func(c *config.Config) { c.LAN.DNS = []netip.Addr{addr("192.0.2.53")} })
		if got := h.hears(g.renew(a))[0].Msg; got.IPAddressLeaseTime(0) != 12*time.Hour {
			t.Errorf("with resolvers: for %v", got.IPAddressLeaseTime(0))
		}
	})
}
