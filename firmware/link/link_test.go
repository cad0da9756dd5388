package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const inNamespace = "LINK_TEST_IN_NAMESPACE"

// alone runs the rest of the test in a network namespace of its own, in a second
// process, and returns true there. The machine's own network is never touched.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip(8) is not installed")
	}
	if err := unshared("true").Run(); err != nil {
		t.Skipf("the kernel allows no network namespace: %v", err)
	}
	again := unshared(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	again.Env = append(os.Environ(), inNamespace+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := again.CombinedOutput()
	if err != nil {
		t.Errorf("in a namespace: %v\n%s", err, out)
	} else if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("in a namespace:\n%s", out)
	}
	return false
}

// unshared is a command with a network of its own; who is not root is made root
// of a user namespace.
func unshared(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return c
}

func ip(t *testing.T, args string) []byte {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
	return out
}

// cable makes a pair of ports, wan and its peer at the provider's.
func cable(t *testing.T) {
	t.Helper()
	out, err := exec.Command("ip", "link", "add", "wan", "type", "veth", "peer", "name", "isp").CombinedOutput()
	if err != nil {
		t.Skipf("the kernel has no veth: %s", out)
	}
	ip(t, "link set isp up")
}

// addrsOf is what the kernel says of the port, in its order.
func addrsOf(t *testing.T, ifname string) []string {
	t.Helper()
	var links []struct {
		Info []struct {
			Local     string
			Prefixlen int
			Broadcast string
		} `json:"addr_info"`
	}
	if err := json.Unmarshal(ip(t, "-j -4 addr show dev "+ifname), &links); err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, l := range links {
		for _, a := range l.Info {
			list = append(list, strings.TrimSpace(fmt.Sprintf("%s/%d %s", a.Local, a.Prefixlen, a.Broadcast)))
		}
	}
	return list
}

// routesOf is the default routes of the port: "192.0.2.1 metric 0".
func routesOf(t *testing.T, ifname string) []string {
	t.Helper()
	var routes []struct {
		Gateway string
		Metric  int
	}
	if err := json.Unmarshal(ip(t, "-j -4 route show default dev "+ifname), &routes); err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, r := range routes {
		list = append(list, fmt.Sprintf("%s metric %d", r.Gateway, r.Metric))
	}
	return list
}

func wantAddrs(t *testing.T, ifname string, want ...string) {
	t.Helper()
	if got := addrsOf(t, ifname); !slices.Equal(got, want) {
		t.Errorf("addresses of %s = %q; want %q", ifname, got, want)
	}
}

func wantRoutes(t *testing.T, ifname string, want ...string) {
	t.Helper()
	if got := routesOf(t, ifname); !slices.Equal(got, want) {
		t.Errorf("default routes of %s = %q; want %q", ifname, got, want)
	}
}

func uplink(addr, gateway string, metric int) Uplink {
	u := Uplink{Addr: netip.MustParsePrefix(addr), Metric: metric}
	if gateway != "" {
		u.Routes = []Route{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr(gateway)}}
	}
	return u
}

func set(t *testing.T, u Uplink) {
	t.Helper()
	if err := SetUplink("wan", u); err != nil {
		t.Fatalf("SetUplink(%v): %v", u, err)
	}
}

func TestUpKeepsAddresses(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	ip(t, "addr add 198.51.100.7/24 dev wan")
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	wantAddrs(t, "wan", "198.51.100.7/24")
	if got := string(ip(t, "link show dev wan")); !strings.Contains(got, ",UP") {
		t.Errorf("after Up: %s", got)
	}
}

func TestAddAddrTwiceIsOnce(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	lan := netip.MustParsePrefix("192.168.1.1/24")
	for range 2 {
		if err := AddAddr("wan", lan); err != nil {
			t.Fatal(err)
		}
	}
	wantAddrs(t, "wan", "192.168.1.1/24 192.168.1.255")
	for range 2 {
		if err := RemoveAddr("wan", lan); err != nil {
			t.Errorf("RemoveAddr: %v; want nil, also for an address that is gone", err)
		}
	}
	wantAddrs(t, "wan")
}

// The kernel takes a request that names only the network for the first address
// of that network.
func TestRemoveAddrRemovesNoOther(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	ip(t, "addr add 192.168.1.1/24 dev wan")
	ip(t, "addr add 192.168.1.2/24 dev wan")
	if err := RemoveAddr("wan", netip.MustParsePrefix("192.168.1.2/24")); err != nil {
		t.Fatal(err)
	}
	wantAddrs(t, "wan", "192.168.1.1/24")
}

func TestSetUplink(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	set(t, uplink("192.0.2.7/24", "192.0.2.1", 0))
	wantAddrs(t, "wan", "192.0.2.7/24 192.0.2.255")
	wantRoutes(t, "wan", "192.0.2.1 metric 0")

	for _, tc := range []struct {
		name   string
		uplink Uplink
		addr   string
		routes []string
	}{
		{"another address of the network", uplink("192.0.2.8/24", "192.0.2.1", 0), "192.0.2.8/24 192.0.2.255", []string{"192.0.2.1 metric 0"}},
		{"another gateway", uplink("192.0.2.8/24", "192.0.2.2", 0), "192.0.2.8/24 192.0.2.255", []string{"192.0.2.2 metric 0"}},
		{"another metric", uplink("192.0.2.8/24", "192.0.2.2", 7), "192.0.2.8/24 192.0.2.255", []string{"192.0.2.2 metric 7"}},
		{"another mask", uplink("192.0.2.8/25", "192.0.2.2", 7), "192.0.2.8/25 192.0.2.127", []string{"192.0.2.2 metric 7"}},
		{"no gateway any more", uplink("192.0.2.8/25", "", 7), "192.0.2.8/25 192.0.2.127", nil},
		{"another network", uplink("198.51.100.9/30", "198.51.100.10", 7), "198.51.100.9/30 198.51.100.11", []string{"198.51.100.10 metric 7"}},
		{"a gateway outside the network", uplink("203.0.113.4/32", "192.0.2.1", 0), "203.0.113.4/32", []string{"192.0.2.1 metric 0"}},
	} {
		set(t, tc.uplink)
		t.Log(tc.name)
		wantAddrs(t, "wan", tc.addr)
		wantRoutes(t, "wan", tc.routes...)
	}
}

func TestSetUplinkAgainTouchesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	u := uplink("192.0.2.7/24", "192.0.2.1", 5)
	set(t, u)
	heard := monitor(t)
	set(t, u)
	ip(t, "link set isp down") // something at last, so that we know that all was heard
	if got := heard("isp"); strings.Contains(got, "192.0.2") {
		t.Errorf("the kernel had to change something:\n%s", got)
	}
}

// monitor returns a function that waits for a word and returns what the kernel
// has told of until then.
func monitor(t *testing.T) func(word string) string {
	t.Helper()
	c := exec.Command("ip", "monitor", "address", "route", "link")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	lines := make(chan string, 1)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := out.Read(b)
			if err != nil {
				return
			}
			lines <- string(b[:n])
		}
	}()
	heard := func(word string) string {
		all := ""
		for deadline := time.After(10 * time.Second); !strings.Contains(all, word); {
			select {
			case s := <-lines:
				all += s
			case <-deadline:
				t.Fatalf("ip monitor never said %q, but %q", word, all)
			}
		}
		return all
	}
	// It listens once it speaks of a change.
	for i := 0; ; i++ {
		ip(t, fmt.Sprintf("link set isp alias try%d", i))
		select {
		case <-lines:
			return heard
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// What a router that was killed has left is not there any more, whatever its
// lease was.
func TestSetUplinkRemovesLeftovers(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, tc := range []struct {
		name string
		left Uplink
	}{
		{"of another network", uplink("198.51.100.3/24", "198.51.100.1", 3)},
		{"of the same network", uplink("192.0.2.6/24", "192.0.2.254", 0)},
		{"ours with another mask", uplink("192.0.2.7/16", "192.0.2.1", 0)},
		{"a single address without a route", uplink("192.0.2.6/32", "", 0)},
	} {
		for _, valid := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%s, valid for %v", tc.name, valid), func(t *testing.T) {
				wired(t)
				defer ip(t, "link del wan")
				tc.left.Valid = valid
				set(t, tc.left)
				set(t, uplink("192.0.2.7/24", "192.0.2.1", 0))
				wantAddrs(t, "wan", "192.0.2.7/24 192.0.2.255")
				wantTable(t, "wan", "192.0.2.0/24", "default via 192.0.2.1")
			})
		}
	}
}

// An owner reaches his modem by an address and routes of his own, of the network
// of the lease perhaps, and set before or after it.
func TestUplinkLeavesTheOwnersAddressesAlone(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, own := range []string{"192.168.100.2/24", "192.0.2.9/24", "192.0.2.9/32"} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, before the lease: %v", own, before), func(t *testing.T) {
				wired(t)
				defer ip(t, "link del wan")
				visit := func() {
					ip(t, "addr add "+own+" dev wan")
					ip(t, "route add 10.9.0.0/16 dev wan src "+strings.Split(own, "/")[0])
					ip(t, "route add default via 10.9.0.1 dev wan metric 900")
				}
				if before {
					visit()
				}
				u := uplink("192.0.2.7/24", "192.0.2.1", 0)
				u.Valid = time.Hour
				set(t, u)
				if !before {
					visit()
				}
				set(t, uplink("192.0.2.8/24", "192.0.2.1", 0))
				set(t, uplink("198.51.100.8/24", "", 0))
				if err := ClearUplink("wan"); err != nil {
					t.Fatal(err)
				}
				wantAddrs(t, "wan", own)
				wantRoutes(t, "wan", "10.9.0.1 metric 900")
				if got := tableOf(t, "wan"); !slices.Contains(got, "10.9.0.0/16") {
					t.Errorf("of the owner's routes there are %q", got)
				}
			})
		}
	}
}

// What somebody else has set the leased address for does not outlive the lease.
func TestUplinkTakesItsAddressOver(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	for _, theirs := range []string{"192.0.2.7/24", "192.0.2.7/32", "192.0.2.7/16"} {
		ip(t, "addr add "+theirs+" dev wan")
		set(t, uplink("192.0.2.7/24", "192.0.2.1", 0))
		wantAddrs(t, "wan", "192.0.2.7/24 192.0.2.255")
		wantTable(t, "wan", "192.0.2.0/24", "default via 192.0.2.1")
		if err := ClearUplink("wan"); err != nil {
			t.Fatal(err)
		}
		wantAddrs(t, "wan")
	}
}

func TestSetUplinkLeavesOtherPortsAlone(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	ip(t, "addr add 10.0.0.1/24 dev isp")
	ip(t, "route add default via 10.0.0.9 dev isp metric 9")
	set(t, uplink("192.0.2.7/24", "192.0.2.1", 0))
	if err := ClearUplink("wan"); err != nil {
		t.Fatal(err)
	}
	wantAddrs(t, "isp", "10.0.0.1/24")
	wantRoutes(t, "isp", "10.0.0.9 metric 9")
}

func TestClearUplink(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	set(t, uplink("192.0.2.7/24", "192.0.2.1", 5))
	for range 2 {
		if err := ClearUplink("wan"); err != nil {
			t.Errorf("ClearUplink: %v", err)
		}
		wantAddrs(t, "wan")
		wantRoutes(t, "wan")
	}
}

func TestNoSuchPort(t *testing.T) {
	if !alone(t) {
		return
	}
	for name, err := range map[string]error{
		"Up":           Up("none"),
		"AddAddr":      AddAddr("none", netip.MustParsePrefix("192.168.1.1/24")),
		"RemoveAddr":   RemoveAddr("none", netip.MustParsePrefix("192.168.1.1/24")),
		"SetUplink":    SetUplink("none", uplink("192.0.2.7/24", "", 0)),
		"ClearUplink":  ClearUplink("none"),
		"WatchCarrier": WatchCarrier(t.Context(), "none", func(Carrier) {}),
	} {
		if err == nil || !strings.Contains(err.Error(), "interface none") {
			t.Errorf("%s of a port that is not there: %v; want an error that names it", name, err)
		}
	}
}

// watched runs WatchCarrier on the wan port.
func watched(t *testing.T, ctx context.Context) (changes chan Carrier, end chan error) {
	changes, end = make(chan Carrier, 16), make(chan error, 1)
	go func() { end <- WatchCarrier(ctx, "wan", func(c Carrier) { changes <- c }) }()
	return changes, end
}

func wantCarrier(t *testing.T, changes chan Carrier, want Carrier) {
	t.Helper()
	select {
	case got := <-changes:
		if got != want {
			t.Fatalf("carrier = %+v; want %+v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing was said of the carrier; want %+v", want)
	}
}

func TestWatchCarrier(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	ip(t, "link set isp down")
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes, end := watched(t, ctx)
	wantCarrier(t, changes, Carrier{})
	for n := range uint32(2) {
		ip(t, "link set isp up")
		wantCarrier(t, changes, Carrier{true, n})
		ip(t, "link set isp down")
		wantCarrier(t, changes, Carrier{false, n + 1})
	}
	ip(t, "addr add 192.0.2.7/24 dev wan") // is no word about a cable
	ip(t, "link set wan alias uplink")
	ip(t, "link set isp up")
	wantCarrier(t, changes, Carrier{true, 2})
	cancel()
	select {
	case err := <-end:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("WatchCarrier = %v; want context.Canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("WatchCarrier goes on after its context has ended")
	}
}

// The kernel calls a port running up to a second after its cable is in.
func TestWatchCarrierBeginsWithTheTruth(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	changes, _ := watched(t, t.Context())
	wantCarrier(t, changes, Carrier{Up: true})
	select {
	case up := <-changes:
		t.Errorf("then carrier = %+v; want no further word", up)
	case <-time.After(1500 * time.Millisecond):
	}
}

// The first word of a cable that was pulled may come, or be read, when it is in again.
func TestWatchCarrierSeesACableThatIsOutForAMoment(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	changes := make(chan Carrier) // who watches waits for us
	go WatchCarrier(t.Context(), "wan", func(c Carrier) { changes <- c })
	time.Sleep(time.Second) // it knows that the cable is in
	ip(t, "link set isp down")
	ip(t, "link set isp up")
	wantCarrier(t, changes, Carrier{Up: true})
	wantCarrier(t, changes, Carrier{Up: true, Lost: 1})
}

func TestWatchCarrierEndsWithThePort(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
	changes, end := watched(t, t.Context())
	wantCarrier(t, changes, Carrier{Up: true})
	ip(t, "link del wan")
	select {
	case err := <-end:
		if err == nil || !strings.Contains(err.Error(), "wan") {
			t.Errorf("WatchCarrier = %v; want an error that names the port", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("WatchCarrier goes on without its port")
	}
}
