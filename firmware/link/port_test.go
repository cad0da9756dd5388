package link

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestAwaitPortSeesOneThatIsMadeAnew(t *testing.T) {
	if !alone(t) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, tc := range []struct {
		name, port string
		happens    func()
	}{
		{"that comes", "wan", func() { cable(t) }},
		{"that goes and comes back", "wan", func() { ip(t, "link del wan"); cable(t) }},
		{"what a VLAN is on", "wan.35", func() { ip(t, "link del wan"); cable(t) }},
	} {
		t.Log(tc.name)
		was, done := Present(tc.port), make(chan error, 1)
		go func() { done <- AwaitPort(ctx, tc.port, was) }()
		select {
		case err := <-done:
			t.Fatalf("AwaitPort = %v for what was there before", err)
		case <-time.After(50 * time.Millisecond):
		}
		tc.happens()
		if err := <-done; err != nil || ctx.Err() != nil {
			t.Errorf("AwaitPort = %v, %v", err, ctx.Err())
		}
		if is := Present(tc.port); is == was {
			t.Errorf("Present = %+v, as before", is)
		}
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := AwaitPort(soon, "wan", Present("wan")); err != nil || soon.Err() == nil {
		t.Errorf("AwaitPort of what is there = %v; want it to wait", err)
	}
}

func TestCloneMAC(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	own, mac := [6]byte{2, 0, 0x5e, 0, 1, 1}, [6]byte{2, 0, 0x5e, 0, 1, 9}
	ip(t, "link set wan address 02:00:5e:00:01:01")
	for _, want := range [][6]byte{own, mac} {
		if had, err := CloneMAC("wan", mac); err != nil || had != want {
			t.Fatalf("CloneMAC = %x, %v; want %x", had, err, want)
		}
		if got := string(ip(t, "link show dev wan")); !strings.Contains(got, "02:00:5e:00:01:09") || !strings.Contains(got, ",UP") {
			t.Errorf("the port is %s", got)
		}
	}
	if permanent, err := PermanentMAC("wan"); err != nil || permanent != [6]byte{} {
		t.Errorf("PermanentMAC of a cable that is none = %x, %v; want zero", permanent, err)
	}
	if _, err := CloneMAC("wan", [6]byte{1}); err == nil {
		t.Error("CloneMAC with the address of many = nil; want the kernel's error")
	}
}

func TestMapPriority(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	if err := MapPriority("wan", 6, 5); err == nil {
		t.Error("MapPriority on a port that is no VLAN = nil; want an error")
	}
	if out, err := exec.Command("ip", strings.Fields("link add link wan name x type vlan id 9")...).CombinedOutput(); err != nil {
		t.Skipf("the kernel has no VLANs: %s", out)
	}
	for tag := range 2 {
		if err := MapPriority("x", 6, 4+tag); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(ip(t, "-d link show dev x")); !strings.Contains(got, "6:5") {
		t.Errorf("want priority 6 as 5 in the tag: %s", got)
	}
}

// The cables of a bridge are out for a moment; other ports and the bridge are
// not, and a port that was down stays so.
func TestReplug(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	ip(t, "link add lan1 type veth peer name laptop")
	ip(t, "link add lan2 type veth peer name other")
	ip(t, "link add br-lan type bridge forward_delay 0")
	for _, cmd := range []string{"lan1 master br-lan up", "lan2 master br-lan", "laptop up", "other up", "br-lan up"} {
		ip(t, "link set "+cmd)
	}
	heard := monitor(t)
	if err := Replug("br-lan"); err != nil {
		t.Fatal(err)
	}
	ip(t, "addr add 198.51.100.1/32 dev isp") // so that we know that all was heard
	got := heard("198.51.100.1")
	if !strings.Contains(got, "laptop@lan1: <NO-CARRIER,") {
		t.Errorf("the laptop's cable was never out:\n%s", got)
	}
	for _, bad := range []string{"isp: <NO-CARRIER", "isp@wan: <NO-CARRIER", "br-lan: <BROADCAST,MULTICAST>", "lan2@other: <BROADCAST,MULTICAST,UP"} {
		if strings.Contains(got, bad) {
			t.Errorf("the kernel said %q:\n%s", bad, got)
		}
	}
	if got := string(ip(t, "link show dev lan1")); !strings.Contains(got, ",UP") {
		t.Errorf("afterwards: %s", got)
	}
}
