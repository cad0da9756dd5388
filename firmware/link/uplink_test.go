package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// tableOf is all routes of the port in the main table, sorted: "10.0.0.0/8 via
// 192.0.2.1 metric 5 mtu 1400".
func tableOf(t *testing.T, ifname string) []string {
	t.Helper()
	var routes []struct {
		Dst, Gateway string
		Metric       int
		Metrics      []struct{ MTU int }
	}
	if err := json.Unmarshal(ip(t, "-j -4 route show dev "+ifname), &routes); err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, r := range routes {
		line := r.Dst
		if r.Gateway != "" {
			line += " via " + r.Gateway
		}
		if r.Metric != 0 {
			line += fmt.Sprintf(" metric %d", r.Metric)
		}
		for _, m := range r.Metrics {
			line += fmt.Sprintf(" mtu %d", m.MTU)
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}

func wantTable(t *testing.T, ifname string, want ...string) {
	t.Helper()
	if got := tableOf(t, ifname); !slices.Equal(got, want) {
		t.Errorf("routes of %s are\n\t%s\nwant\n\t%s", ifname, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// via is a route: "10.0.0.0/8 192.0.2.1", or without a gateway.
func via(s string) Route {
	to, gateway, _ := strings.Cut(s, " ")
	r := Route{To: netip.MustParsePrefix(to)}
	if gateway != "" {
		r.Via = netip.MustParseAddr(gateway)
	}
	return r
}

// wired is a cable with the port up.
func wired(t *testing.T) {
	t.Helper()
	cable(t)
	if err := Up("wan"); err != nil {
		t.Fatal(err)
	}
}

func TestRoutesFollowTheUplink(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	own := netip.MustParsePrefix("192.0.2.7/24")
	for _, tc := range []struct {
		name string
		u    Uplink
		want []string
	}{
		{"none but its network", Uplink{Addr: own}, []string{"192.0.2.0/24"}},
		{"a metric is for all", Uplink{Addr: own, Metric: 5, Routes: []Route{via("0.0.0.0/0 192.0.2.1")}},
			[]string{"192.0.2.0/24 metric 5", "default via 192.0.2.1 metric 5"}},
		{"classless", Uplink{Addr: own, Routes: []Route{via("10.0.0.0/8 192.0.2.9"), via("0.0.0.0/0 192.0.2.1")}},
			[]string{"10.0.0.0/8 via 192.0.2.9", "192.0.2.0/24", "default via 192.0.2.1"}},
		{"a gateway that is reached by a route on the link, written after it",
			Uplink{Addr: own, Routes: []Route{via("0.0.0.0/0 198.51.100.1"), via("198.51.100.1/32")}},
			[]string{"192.0.2.0/24", "198.51.100.1", "default via 198.51.100.1"}},
		{"of two to one network the first", Uplink{Addr: own, Routes: []Route{via("0.0.0.0/0 192.0.2.1"), via("0.0.0.0/0 192.0.2.2")}},
			[]string{"192.0.2.0/24", "default via 192.0.2.1"}},
		{"MTU", Uplink{Addr: own, MTU: 1400, Routes: []Route{via("0.0.0.0/0 192.0.2.1")}},
			[]string{"192.0.2.0/24 mtu 1400", "default via 192.0.2.1 mtu 1400"}},
		{"another MTU", Uplink{Addr: own, MTU: 576, Routes: []Route{via("0.0.0.0/0 192.0.2.1")}},
			[]string{"192.0.2.0/24 mtu 576", "default via 192.0.2.1 mtu 576"}},
		{"too small an MTU", Uplink{Addr: own, MTU: 575}, []string{"192.0.2.0/24"}},
		{"more MTU than the port has", Uplink{Addr: own, MTU: 9000}, []string{"192.0.2.0/24"}},
		{"a single address has no network", Uplink{Addr: netip.MustParsePrefix("192.0.2.7/32"), Routes: []Route{via("0.0.0.0/0 192.0.2.1")}},
			[]string{"default via 192.0.2.1"}},
	} {
		set(t, tc.u)
		t.Log(tc.name)
		wantTable(t, "wan", tc.want...)
		if got := string(ip(t, "link show dev wan")); !strings.Contains(got, " mtu 1500 ") {
			t.Errorf("the port's own MTU was changed: %s", got)
		}
	}
	if err := ClearUplink("wan"); err != nil {
		t.Fatal(err)
	}
	wantTable(t, "wan")
}

// A renewal has the address valid for longer and touches nothing else.
func TestRenewalOfTheUplinkTouchesOnlyTheLifetime(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	u := Uplink{
		Addr: netip.MustParsePrefix("192.0.2.7/24"), Valid: time.Hour, Metric: 5, MTU: 1400,
		Routes: []Route{via("0.0.0.0/0 192.0.2.1"), via("10.0.0.0/8 192.0.2.9")},
	}
	set(t, u)
	heard := monitor(t)
	set(t, u)
	ip(t, "addr add 198.51.100.1/32 dev isp") // so that we know that all was heard
	if got := heard("198.51.100.1"); strings.Contains(got, "192.0.2") {
		t.Errorf("the kernel had to change something:\n%s", got)
	}
	u.Valid = 2 * time.Hour
	set(t, u)
	ip(t, "addr add 198.51.100.2/32 dev isp")
	got := heard("198.51.100.2")
	about := slices.DeleteFunc(strings.Split(got, "\n"), func(l string) bool { return !strings.Contains(l, "192.0.2") })
	if len(about) != 1 || !strings.Contains(about[0], "wan    inet 192.0.2.7/24") || !strings.Contains(got, "valid_lft 7200sec") {
		t.Errorf("the kernel had to do more than to have one address valid for two hours:\n%s", got)
	}
	u.Valid = 0
	set(t, u)
	if got := string(ip(t, "-4 addr show dev wan")); !strings.Contains(got, "valid_lft forever") {
		t.Errorf("an address without end: %s", got)
	}
}

// Where the router was killed, nobody but the kernel is left to obey the lease.
func TestAddressGoesWithItsLease(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	u := uplink("192.0.2.7/24", "192.0.2.1", 0)
	u.Valid = 1500 * time.Millisecond
	set(t, u)
	if got := string(ip(t, "-4 addr show dev wan")); !strings.Contains(got, "valid_lft 2sec") && !strings.Contains(got, "valid_lft 1sec") {
		t.Errorf("for a second and a half the kernel has %s", got)
	}
	for began := time.Now(); len(addrsOf(t, "wan")) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the kernel keeps the address")
		}
	}
	wantTable(t, "wan")
}

func TestRoutesOfOthersStay(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	ip(t, "addr add 10.0.0.1/24 dev isp")
	ip(t, "route add default via 10.0.0.9 dev isp")
	u := uplink("192.0.2.7/24", "192.0.2.1", 0)
	set(t, u)
	ip(t, "route add 198.51.100.0/24 via 192.0.2.3 dev wan")
	u.Routes = append(u.Routes, via("10.0.0.0/24 192.0.2.1")) // as the other port has it
	set(t, u)
	const others = "198.51.100.0/24 via 192.0.2.3"
	wantTable(t, "wan", "10.0.0.0/24 via 192.0.2.1", "192.0.2.0/24", others, "default via 192.0.2.1")
	if got := string(ip(t, "route get 203.0.113.9")); !strings.Contains(got, "dev wan") {
		t.Errorf("of two default routes not ours counts: %s", got)
	}
	set(t, Uplink{Addr: u.Addr})
	wantTable(t, "wan", "192.0.2.0/24", others)
	wantTable(t, "isp", "10.0.0.0/24", "default via 10.0.0.9")
}

// One route that the kernel will not have must not cost the others.
func TestSetUplinkWithABadRoute(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	err := SetUplink("wan", Uplink{
		Addr:   netip.MustParsePrefix("192.0.2.7/24"),
		Routes: []Route{via("10.0.0.0/8 224.0.0.1"), via("0.0.0.0/0 192.0.2.1")},
	})
	if !errors.Is(err, ErrRoutes) || !strings.Contains(err.Error(), "10.0.0.0/8 via 224.0.0.1") {
		t.Errorf("with a gateway that cannot be: %v; want ErrRoutes that names it", err)
	}
	wantAddrs(t, "wan", "192.0.2.7/24 192.0.2.255")
	wantTable(t, "wan", "192.0.2.0/24", "default via 192.0.2.1")
}
