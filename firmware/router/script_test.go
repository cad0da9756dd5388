package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// told returns what the script was told since the last look, and drops what else
// was done.
func (h *house) told() []string {
	return slices.DeleteFunc(h.look(), func(s string) bool { return !strings.HasPrefix(s, "script ") })
}

// An address of our own choice is no lease: it is told as zcip tells of it, and
// what was tried has failed all the same, and goes on failing.
func TestScriptIsToldOfALinkLocalAddress(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		p := h.connect(1000 * time.Second)
		p.keepSilent(true)
		h.boot()
		h.awaits("link-local address taken")
		got := h.told()
		if last := got[len(got)-1]; !strings.HasPrefix(last, "script /etc/wan config interface=wan ip=169.254.") || !strings.HasSuffix(last, " mask=16 subnet=255.255.0.0") {
			t.Errorf("the script is told %q; want config last", got)
		}
		time.Sleep(10 * time.Minute)
		got = h.told()
		if n := len(got); n != 3 || slices.ContainsFunc(got, func(s string) bool { return s != "script /etc/wan leasefail interface=wan" }) {
			t.Errorf("in ten minutes without a server it is told %q; want three failures", got)
		}
		p.keepSilent(false)
		h.awaits("msg=bound")
		if got := h.told(); len(got) != 2 || got[0] != "script /etc/wan deconfig interface=wan" || !strings.HasPrefix(got[1], "script /etc/wan bound ") {
			t.Errorf("when there is a server it is told %q; want deconfig and bound", got)
		}
	})
}

// However often the loop begins anew, a port that has nothing is told of once.
func TestScriptIsToldOnceThatThePortHasNothing(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		p := h.bound(time.Hour)
		h.told()
		p.keepSilent(true)
		for range 3 {
			h.port(wanDev).broken <- syscall.ENETDOWN
			time.Sleep(3 * time.Second)
		}
		h.port(wanDev).broken <- errors.New("no")
		time.Sleep(3 * time.Second)
		if got, want := h.told(), []string{"script /etc/wan deconfig interface=wan"}; !slices.Equal(got, want) {
			t.Errorf("the script is told %q; want %q", got, want)
		}
	})
}

func TestScriptIsToldAsUdhcpcsIs(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		p := h.connect(1000 * time.Second)
		p.keepSilent(true)
		h.boot()
		if got, want := h.told(), []string{"script /etc/wan deconfig interface=wan"}; !slices.Equal(got, want) {
			t.Errorf("at the start the script is told %q; want %q", got, want)
		}
		time.Sleep(50 * time.Second)
		if got, want := h.told(), []string{"script /etc/wan leasefail interface=wan"}; !slices.Equal(got, want) {
			t.Errorf("without a server it is told %q; want %q", got, want)
		}
		p.keepSilent(false)
		h.awaits("msg=bound side=wan addr=203.0.113.7")
		const lease = " interface=wan ip=203.0.113.7 mask=24 subnet=255.255.255.0 serverid=203.0.113.2 lease=1000" +
			" router=203.0.113.1 dns=203.0.113.53 domain=isp.example"
		if got, want := h.told(), []string{"script /etc/wan bound" + lease}; !slices.Equal(got, want) {
			t.Errorf("then it is told\n%q\nwant\n%q", got, want)
		}
		h.logged(`msg="script says" script=/etc/wan event=bound line=told`)
		time.Sleep(500 * time.Second)
		if got, want := h.told(), []string{"script /etc/wan renew" + lease}; !slices.Equal(got, want) {
			t.Errorf("at the renewal it is told\n%q\nwant\n%q", got, want)
		}
		p.refuse()
		time.Sleep(500 * time.Second)
		if got := h.told(); len(got) < 2 || got[0] != "script /etc/wan nak interface=wan serverid=203.0.113.2 message=go away" || got[1] != "script /etc/wan deconfig interface=wan" {
			t.Errorf("when refused it is told %q", got)
		}
		h.powerOff()
		if got := h.told(); len(got) > 0 {
			t.Errorf("at the end it is told %q; want nothing, as the port has nothing", got)
		}
	})
}

// refuse has the provider answer every REQUEST by NAK.
func (p *provider) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = true
}

func TestScriptIsToldOfAllThatCameWithTheLease(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		p := h.connect(time.Hour)
		p.more = []dhcpv4.Option{
			dhcpv4.OptGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{8, 10, 203, 0, 113, 9, 32, 198, 51, 100, 1, 0, 0, 0, 0, 0, 198, 51, 100, 1}),
			dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{5, 120}),
			dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, []byte("\x01a\x07example\x00\x01b\xc0\x02")),
			dhcpv4.OptNTPServers(net.IP{203, 0, 113, 123}),
		}
		h.boot()
		h.awaits("msg=bound side=wan")
		got := h.told()
		for _, want := range []string{
			" router=198.51.100.1 ", " staticroutes=10.0.0.0/8 203.0.113.9 198.51.100.1/32 0.0.0.0 0.0.0.0/0 198.51.100.1 ",
			" mtu=1400", " search=a.example b.example ", " ntpsrv=203.0.113.123 ",
		} {
			if !strings.Contains(got[len(got)-1]+" ", want) {
				t.Errorf("the script was told %q; want%s", got, want)
			}
		}
	})
}

// A lease that is held is none to the script.
func TestScriptIsNotToldOfAHeldLease(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		h.collide()
		h.boot()
		h.awaits("msg=bound side=wan")
		if got := h.told(); len(got) != 1 || !strings.Contains(got[0], " deconfig ") {
			t.Errorf("it was told %q; want deconfig", got)
		}
	})
}

// A script that hangs delays nothing but itself.
func TestScriptThatHangs(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		h.scriptHangs = true
		p := h.connect(20 * time.Second)
		h.boot()
		time.Sleep(time.Hour)
		h.logged("script was ended: it took too long")
		h.logged("script is too slow")
		if n := len(p.listened()); n < 300 {
			t.Errorf("%d messages in an hour of leases of 20 s; want a renewal every ten seconds", n)
		}
		h.mu.Lock()
		h.scriptHangs = false
		h.mu.Unlock()
		began := time.Now()
		h.powerOff()
		if d := time.Since(began); d > lastScript {
			t.Errorf("the router took %v to end", d)
		}
		h.told()
	})
}

func TestScriptThatBreaksIsAnError(t *testing.T) {
	live(t, func(h *house) {
		h.cfg.WAN.Script = "/etc/wan"
		h.onceIn("script")
		h.bound(time.Hour)
		h.logged(`msg="script failed" script=/etc/wan event=deconfig err="crashed: script broke"`)
		if got := h.told(); len(got) != 1 || !strings.HasPrefix(got[0], "script /etc/wan bound ") {
			t.Errorf("then it was told %q", got)
		}
	})
}

// What is told last counts: of too many events the earliest are left out, and
// the others keep their order.
func TestScriptKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		r := &router{log: h.logger(), os: h.platform()}
		h.scriptHangs = true
		s := r.startScript("/etc/wan")
		for i := range 2 * scriptQueue {
			s.tell(fmt.Sprint(i), nil)
			if i == 0 {
				synctest.Wait() // it has begun with the first
			}
		}
		h.mu.Lock()
		h.scriptHangs = false
		h.mu.Unlock()
		time.Sleep(scriptLimit + time.Second)
		s.end()
		want := []string{"script /etc/wan 0 "}
		for i := scriptQueue; i < 2*scriptQueue; i++ {
			want = append(want, fmt.Sprintf("script /etc/wan %d ", i))
		}
		if got := h.told(); !slices.Equal(got, want) {
			t.Errorf("the script was told %q; want %q", got, want)
		}
		(*script)(nil).tell("bound", nil) // nobody asked for one
		(*script)(nil).end()
	})
}

func TestRunScript(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "ip=192.0.2.7"}
	said, err := runScript(t.Context(), write(`echo "$1 $ip"; echo oops >&2; pwd`), "bound", env)
	if said != "bound 192.0.2.7\noops\n/\n" || err != nil {
		t.Errorf("it said %q, %v", said, err)
	}
	if _, err := runScript(t.Context(), write("exit 3"), "bound", env); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("exit 3 is %v", err)
	}
	if _, err := runScript(t.Context(), "/no/such/script", "bound", env); err == nil {
		t.Error("a script that is not there is no error")
	}
	if said, err := runScript(t.Context(), write("head -c 100000 /dev/zero"), "bound", env); len(said) != mostSaid || err != nil {
		t.Errorf("of much it said %d octets, %v", len(said), err)
	}
	// What it leaves in the background may go on, and is not waited for; at the
	// limit all of it ends.
	if said, err := runScript(t.Context(), write("sleep 60 & echo $!"), "bound", env); strings.TrimSpace(said) == "" || err != nil {
		t.Errorf("with something in the background it said %q, %v", said, err)
	} else if p, err := os.FindProcess(atoi(said)); err == nil {
		p.Kill()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := runScript(ctx, write("sleep 60"), "bound", env); err == nil {
		t.Error("a script that was killed is no error")
	}
}

func atoi(s string) (n int) {
	fmt.Sscan(s, &n)
	return n
}

// A script that hangs is not started again and again while the router ends.
func TestScriptIsNotStartedWhenTimeIsOver(t *testing.T) {
	live(t, func(h *house) {
		started := 0
		os := platform{runScript: func(ctx context.Context, _, _ string, _ []string) (string, error) {
			started++
			<-ctx.Done()
			return "", ctx.Err()
		}}
		s := (&router{log: h.logger(), os: os}).startScript("/etc/wan")
		for _, what := range []string{"bound", "renew", "deconfig"} {
			s.tell(what, nil)
		}
		began := time.Now()
		s.end()
		if took := time.Since(began); started != 1 || took != lastScript {
			t.Errorf("a script that hangs was started %d times and took %v; want once and %v", started, took, lastScript)
		}
		h.logged("script was not told: there was no time left")
	})
}

// What hangs in the kernel cannot be killed, and does not keep the router.
func TestScriptThatCannotBeEnded(t *testing.T) {
	live(t, func(h *house) {
		kernel := make(chan struct{})
		os := platform{runScript: func(context.Context, string, string, []string) (string, error) {
			<-kernel
			return "", nil
		}}
		s := (&router{log: h.logger(), os: os}).startScript("/etc/wan")
		s.tell("bound", nil)
		began := time.Now()
		s.end()
		if took := time.Since(began); took > lastScript+killedWithin {
			t.Errorf("the end took %v", took)
		}
		h.logged("script cannot be ended")
		close(kernel)
	})
}
