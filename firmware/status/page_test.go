package status

import (
	"flag"
	"fmt"
	"html"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is when the pages of the tests are looked at: on a router that has never
// heard the date.
var noon = time.Date(1970, 1, 1, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) time.Time { return noon.Add(d) }

// example has everything that a page can show.
func example() *Report {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return &Report{
		Version: "0.1.0",
		Started: in(-50*time.Hour - 3*time.Minute),
		Memory:  Memory{Resident: 5_100_000, Free: 31_000_000},
		LANs: []LAN{{
			Name: "lan", Device: "br-lan", Addr: prefix("192.168.1.1/24"),
			First: addr("192.168.1.100"), Last: addr("192.168.1.249"),
			Size: 150, Used: 116, Tight: true,
			Lost: 3,
			Leases: []Lease{
				{Addr: addr("192.168.1.101"), HW: "02:00:00:00:00:02", Name: "phone", State: "bound", Until: in(11*time.Hour + 59*time.Minute), Heard: true},
				{Addr: addr("192.168.1.20"), HW: "02:00:00:00:00:14", Name: "printer", State: "bound", Heard: true},
				{Addr: addr("192.168.1.100"), HW: "02:00:00:00:00:01", State: "bound", Until: in(time.Hour)},
				{Addr: addr("192.168.1.102"), HW: "02:00:00:00:00:03", Name: "tv", State: "bound", Until: in(-time.Minute), Heard: true},
				{Addr: addr("192.168.1.103"), HW: "02:00:00:00:00:04", Name: "laptop", State: "released", Until: in(-time.Hour), Heard: true},
				{Addr: addr("192.168.1.104"), State: "in use by somebody else", Until: in(30 * time.Minute), Heard: true},
			},
			Devices: []Device{
				{HW: "02:00:00:00:00:05", Name: "guest", Said: []Exchange{
					{At: in(-time.Minute), Asked: "DISCOVER", Addr: addr("192.168.1.104"), Why: "probe: in use by 02:00:00:00:00:99", Times: 1},
					{At: in(-4 * time.Second), Asked: "DISCOVER", Why: "pool full: every address is leased", Times: 3},
				}},
				{HW: "02:00:00:00:00:02", Name: "phone", Addr: addr("192.168.1.101"), Said: []Exchange{
					{At: in(-2 * time.Minute), Asked: "REQUEST", Answer: "NAK", Addr: addr("10.0.0.7"), Why: "address belongs to another network", Times: 1},
					{At: in(-time.Minute), Asked: "REQUEST", Answer: "ACK", Addr: addr("192.168.1.101"), Why: "bound", Times: 1},
				}},
				{HW: "ff0001", Said: []Exchange{{At: in(-time.Hour), Asked: "REQUEST", Addr: addr("192.168.7.7"), Why: "asked another server", Times: 1}}},
			},
		}},
		WAN: WAN{
			Device: "wan", State: "BOUND",
			Addr: prefix("203.0.113.7/24"), Gateway: addr("203.0.113.1"), Server: addr("203.0.113.2"),
			DNS:    []netip.Addr{addr("203.0.113.53"), addr("9.9.9.9")},
			Domain: "isp.example", Renew: in(45 * time.Second), Expires: in(25 * time.Hour),
		},
		Ring: Ring{
			Path: "/etc/leasehold.ring", Records: 6, Live: 288, Capacity: 32000, Segment: 16384,
			Programmed: 4400, Erases: []uint32{12, 13, 13, 12},
			Cycles: 10000, Years: 10, Credit: 337_200, Burst: 344_000, PerDay: 344_000, Pace: 412.5,
		},
		Events: []Event{
			{in(-2 * time.Hour), "WAN: bound to 203.0.113.7 by 203.0.113.2 for 25 h"},
			{in(-3 * time.Second), "phone: bound (192.168.1.101)"},
		},
	}
}

// troubled has everything that can be wrong.
func troubled() *Report {
	r := example()
	r.LastWords = "the router ended with status 2: panic: runtime error: index out of range [3] with length 3\n\ngoroutine 41 [running]:\nleasehold/dhcp.Parse(...)"
	r.Problems = []string{"/etc/config/leasehold:12: option 'leasetime': 'soon' is no time"}
	r.LANs[0].Trouble = "interface br-lan: no such network interface"
	r.LANs[0].MovedFrom = netip.MustParsePrefix("192.168.0.1/24")
	r.LANs[0].Leases = nil
	r.LANs[0].Refused = 120_000
	r.Alarms = []Alarm{{At: in(-time.Minute), Text: "another DHCP server answers on lan: 192.168.1.66 (02:00:00:00:00:66)"}}
	r.WAN = WAN{Device: "wan", NoCable: true, State: "SELECTING", Trouble: "default route by 203.0.113.1 on wan: operation not permitted"}
	r.Ring = Ring{Path: "/etc/leasehold.ring", Trouble: "/etc/leasehold.ring: not a ring"}
	return r
}

// sparing has used its budget up.
func sparing() *Report {
	r := example()
	r.Ring.Credit, r.Ring.Pace, r.Ring.Lent = -700, 12.9, 3
	r.Ring.Sparing = "more was written today than the flash can take for 10 years"
	return r
}

// renewing has a provider who says a lot, and does not answer now.
func renewing() *Report {
	r := example()
	w := &r.WAN
	w.State, w.Renew, w.Expires = "RENEWING", in(-time.Minute), time.Time{}
	w.DNS, w.Gateway = nil, netip.Addr{}
	w.Refused = []Event{{in(-2 * time.Minute), "192.168.100.5 of 192.168.100.1 is not wanted: rejected"}}
	w.MTU, w.Search = 1492, []string{"a.example", "b.example"}
	w.NTP = []netip.Addr{netip.MustParseAddr("203.0.113.123")}
	w.Routes = []Route{
		{To: netip.MustParsePrefix("0.0.0.0/0")},
		{To: netip.MustParsePrefix("10.0.0.0/8"), Via: netip.MustParseAddr("203.0.113.9")},
	}
	return r
}

// aged has a ring that is not what it was.
func aged(bad, damaged int, pace float64) *Report {
	r := example()
	r.Ring.Bad, r.Ring.Damaged, r.Ring.Pace = bad, damaged, pace
	return r
}

func TestPageGolden(t *testing.T) {
	for _, tc := range []struct {
		name, section string // "": all of them
		r             *Report
	}{
		{"example", "", example()},
		{"troubled", "", troubled()},
		{"zero", "", &Report{}},
		{"renewing", "Internet (WAN)", renewing()},
		{"sparing", "Lease ring", sparing()},
		{"worn", "Lease ring", aged(1, 0, 0.2)},
		{"damaged", "Lease ring", aged(0, 2, 0)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			golden(t, tc.name+".html", section(body(t, Page(tc.r, noon)), tc.section))
		})
	}
}

// body is a page without what all of them begin with.
func body(t *testing.T, page []byte) string {
	t.Helper()
	text, ok := strings.CutPrefix(string(page), head)
	if !ok {
		t.Fatalf("the page begins otherwise:\n%s", page)
	}
	return text
}

// section is what stands under one heading of a page.
func section(body, heading string) string {
	if heading == "" {
		return body
	}
	_, text, _ := strings.Cut(body, "<h2>"+heading+"</h2>\n")
	text, _, _ = strings.Cut(text, "<h2>")
	return text
}

func TestDevicesPageGolden(t *testing.T) {
	golden(t, "devices.html", body(t, DevicesPage(example(), noon)))
	if page := string(DevicesPage(&Report{LANs: []LAN{{Name: "lan"}}}, noon)); !strings.Contains(page, "No device was heard yet") {
		t.Error("a page of no devices does not say so")
	}
}

// Who has an address, gave it back, only asked for settings, or was offered one
// a moment ago, misses nothing.
func TestDevicesWithoutAnAddress(t *testing.T) {
	last := func(asked, answer string, ago time.Duration) Device {
		return Device{Said: []Exchange{{Asked: "DISCOVER"}, {At: in(-ago), Asked: asked, Answer: answer}}}
	}
	has := last("DISCOVER", "", 0)
	has.Addr = netip.MustParseAddr("192.168.1.101")
	for _, tc := range []struct {
		name string
		d    Device
		want bool
	}{
		{"was never heard", Device{}, false},
		{"hears nothing", last("DISCOVER", "", 0), true},
		{"hears nothing and has an address", has, false},
		{"was just offered one", last("DISCOVER", "OFFER", time.Second), false},
		{"does not take what it is offered", last("DISCOVER", "OFFER", time.Minute), true},
		{"is refused", last("REQUEST", "NAK", 0), true},
		{"asked another server", last("REQUEST", "", 0), true},
		{"had one that is over", last("REQUEST", "ACK", 13*time.Hour), false},
		{"gave it back", last("RELEASE", "", 0), false},
		{"declined it", last("DECLINE", "", 0), true},
		{"set its own", last("INFORM", "ACK", 0), false},
	} {
		if got := tc.d.unserved(noon); got != tc.want {
			t.Errorf("%s: unserved = %v; want %v", tc.name, got, tc.want)
		}
	}
}

func TestPageShowsTenDevicesWithoutAnAddress(t *testing.T) {
	r := &Report{LANs: []LAN{{}}}
	for n := range 13 {
		r.LANs[0].Devices = append(r.LANs[0].Devices, Device{HW: fmt.Sprint("device ", n), Said: []Exchange{{Asked: "DISCOVER"}}})
	}
	page := body(t, Page(r, noon))
	if !strings.Contains(page, "device 9<") || strings.Contains(page, "device 10<") || !strings.Contains(page, "and 3 others") {
		t.Errorf("of 13 devices the page shows\n%s", page)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("this differs from %s (-update writes it anew): %s", file, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines; want %d", len(g), len(w))
}

func TestPageOfNothing(t *testing.T) {
	page := string(Page(&Report{}, time.Now()))
	for _, bad := range []string{"invalid", "<nil>", "%!", "0001", "106751"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page of a zero Report has %q", bad)
		}
	}
}

// What clients and providers say of themselves ends up on the page.
func TestPageEscapesEveryField(t *testing.T) {
	r, said := infected()
	if len(said) < 15 {
		t.Fatalf("only %d fields were found", len(said))
	}
	shown := body(t, Page(r, noon)) + body(t, DevicesPage(r, noon))
	for _, s := range said {
		if !strings.Contains(shown, html.EscapeString(s)) {
			t.Errorf("%q is not on the page", s)
		}
	}
	// Markup of ours has neither scripts nor quotes after the head.
	for _, bad := range []string{"<script", "</script", "<b>x", `"`, "'", "javascript:"} {
		if strings.Contains(shown, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

// infected has a script in every field that a report can have.
func infected() (r *Report, said []string) {
	r = troubled()
	full := example()
	r.LANs[0].Leases, r.Ring, r.WAN = full.LANs[0].Leases, full.Ring, full.WAN
	infect(reflect.ValueOf(r).Elem(), &said)
	return r, said
}

// infect puts a script into every string, and into every address that has room
// for one.
func infect(v reflect.Value, said *[]string) {
	evil := func() string {
		s := fmt.Sprintf(`%d"'><script>alert(1)</script>&lt;`, len(*said))
		*said = append(*said, s)
		return s
	}
	switch v.Interface().(type) {
	case time.Time:
		return
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("fe80::1%<b>x")))
		return
	case netip.Prefix:
		return // has no room
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(evil())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[Alarm]() || v.Type().Field(i).Name != "Subject" { // which nobody is shown
				infect(v.Field(i), said)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			infect(v.Index(i), said)
		}
	}
}

// A router does not know the date.
func TestPageShowsNoDates(t *testing.T) {
	for _, now := range []time.Time{noon, noon.AddDate(50, 0, 0)} {
		r := example()
		shift(r, now.Sub(noon))
		page := string(Page(r, now)) + string(DevicesPage(r, now)) + string(JSON(r, now))
		if want := string(Page(example(), noon)) + string(DevicesPage(example(), noon)) + string(JSON(example(), noon)); page != want {
			t.Errorf("the page depends on the date: %s", firstDifference(page, want))
		}
		for _, bad := range []string{"1970", "2020", "UTC", "Jan"} {
			if strings.Contains(page, bad) {
				t.Errorf("the page has %q", bad)
			}
		}
	}
}

func shift(r *Report, d time.Duration) {
	move := func(t *time.Time) {
		if !t.IsZero() {
			*t = t.Add(d)
		}
	}
	move(&r.Started)
	move(&r.WAN.Renew)
	move(&r.WAN.Expires)
	for i := range r.LANs[0].Leases {
		move(&r.LANs[0].Leases[i].Until)
	}
	for _, d := range r.LANs[0].Devices {
		for i := range d.Said {
			move(&d.Said[i].At)
		}
	}
	for i := range r.Events {
		move(&r.Events[i].At)
	}
}

func TestPageLeavesTheReportAlone(t *testing.T) {
	r := example()
	Page(r, noon)
	DevicesPage(r, noon)
	JSON(r, noon)
	if !reflect.DeepEqual(r, example()) {
		t.Error("Page changed the report, which others read at the same time")
	}
}

func TestErases(t *testing.T) {
	for _, tc := range []struct {
		cycles int
		erases []uint32
		want   string
	}{
		{0, []uint32{0, 0, 0}, "0 times each of 3 segments"},
		{0, []uint32{1, 0, 0}, "0 to 1 time each of 3 segments"},
		{0, []uint32{1, 1}, "1 time each of 2 segments"},
		{10000, []uint32{13, 12, 12, 13}, "12 to 13 times each of 4 segments, good for 10~000"},
		{100000, []uint32{999, 1000}, "999 to 1~000 times each of 2 segments, good for 100~000"},
	} {
		if got := erases(Ring{Cycles: tc.cycles, Erases: tc.erases}); got != spaced(tc.want) {
			t.Errorf("erases(%d, %d) = %q; want %q", tc.cycles, tc.erases, got, tc.want)
		}
	}
}

// spaced writes the spaces that do not break, which look like others.
func spaced(s string) string { return strings.ReplaceAll(s, "~", "\u00a0") }

func TestBudget(t *testing.T) {
	for _, tc := range []struct {
		name string
		g    Ring
		want string
	}{
		{"before there are records", Ring{Years: 10, Credit: 64 * 130, PerDay: 64 * 120},
			"about 130 new leases now, and 120 a day for 10 years"},
		{"by the size of the records", Ring{Records: 2, Live: 96, Years: 10, Credit: 48 * 1555, PerDay: 48 * 7188},
			"about 1~500 new leases now, and 7~100 a day for 10 years"},
		{"for one", Ring{Years: 1, Credit: 127, PerDay: 64}, "about 1 new lease now, and 1 a day for 1 year"},
		{"too little for a lease", Ring{Years: 5, Credit: 63, PerDay: 64}, "used up; about 1 new lease a day for 5 years"},
		{"more than used up", Ring{Years: 5, Credit: -6400, PerDay: 6400}, "used up; about 100 new leases a day for 5 years"},
		{"records of nothing", Ring{Records: 3, Years: 5, PerDay: 99}, "used up; about 99 new leases a day for 5 years"},
	} {
		if got := budget(tc.g); got != spaced(tc.want) {
			t.Errorf("%s: budget = %q; want %q", tc.name, got, tc.want)
		}
	}
}

func TestLasts(t *testing.T) {
	for _, tc := range []struct {
		years float64
		want  string
	}{
		{0, "not known yet"},
		{math.NaN(), "not known yet"},
		{0.99, "less than a year at this pace"},
		{1, "1 year at this pace"},
		{12.9, "12 years at this pace"},
		{100, "100 years at this pace"},
		{100.1, "more than 100 years at this pace"},
		{math.Inf(1), "more than 100 years at this pace"},
	} {
		if got := lasts(tc.years); got != tc.want {
			t.Errorf("lasts(%v) = %q; want %q", tc.years, got, tc.want)
		}
	}
}

func TestGroup(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1~000", 32712: "32~712", 100000: "100~000", 1<<63 - 1: "9~223~372~036~854~775~807",
	} {
		if got := group(n); got != spaced(want) {
			t.Errorf("group(%d) = %q; want %q", n, got, want)
		}
	}
}

func TestPageOfALeaseThatEndedUnheard(t *testing.T) {
	r := example()
	r.LANs[0].Leases = []Lease{{State: "bound", Until: in(-time.Second)}}
	if page := string(Page(r, noon)); !strings.Contains(page, "<td>expired<td>") {
		t.Error("the lease is not shown as expired")
	}
}

// A ring that is not told how much its flash takes says nothing of it.
func TestPageWithoutABudget(t *testing.T) {
	r := example()
	r.Ring.Cycles, r.Ring.Burst = 0, 0
	page := string(Page(r, noon))
	for _, bad := range []string{"Wear budget", "Lasts", "good for"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Hour, "0 s"},
		{0, "0 s"},
		{999 * time.Millisecond, "0 s"},
		{time.Second, "1 s"},
		{59 * time.Second, "59 s"},
		{time.Minute, "1 min"},
		{61 * time.Second, "1 min 1 s"},
		{time.Hour - time.Second, "59 min 59 s"},
		{time.Hour, "1 h"},
		{time.Hour + 59*time.Second, "1 h"},
		{12*time.Hour - time.Second, "11 h 59 min"},
		{day, "1 d"},
		{76 * time.Hour, "3 d 4 h"},
		{day + 59*time.Minute, "1 d"},
		{400 * day, "400 d"},
		{1<<63 - 1, "106751 d 23 h"},
	} {
		if got := Duration(tc.d); got != tc.want {
			t.Errorf("Duration(%v) = %q; want %q", tc.d, got, tc.want)
		}
	}
}

func TestAlarmsEnd(t *testing.T) {
	r := example()
	r.Alarms = []Alarm{{At: in(-alarmHolds), Text: "it is over"}, {At: in(-alarmHolds + time.Second), Text: "it goes on"}}
	for name, text := range map[string][]byte{"page": Page(r, noon), "JSON": JSON(r, noon)} {
		if s := string(text); strings.Contains(s, "it is over") || !strings.Contains(s, "it goes on") {
			t.Errorf("the %s shows the wrong alarms:\n%s", name, s)
		}
	}
	if n := parsed(t, r, noon)["leasehold_alarms"]; n != 1 {
		t.Errorf("the metrics count %v alarms; want 1", n)
	}
}

func TestPageShowsANetworkBehindRelayAgents(t *testing.T) {
	r := example()
	r.LANs = append(r.LANs, LAN{Name: "office", Via: "lan", Addr: netip.MustParsePrefix("10.9.0.0/24")})
	page := string(Page(r, noon))
	for _, want := range []string{"Network “office”", "<dt>Addresses</dt><dd>10.9.0.0/24</dd>", "<dt>Relay agents</dt><dd>on lan</dd>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// Every network has a section of its own, the LAN first.
func TestPageShowsEveryNetwork(t *testing.T) {
	r := example()
	r.LANs = append(r.LANs, LAN{
		Name: "guest", Device: "br-guest", Addr: netip.MustParsePrefix("192.168.2.1/24"),
		Leases: []Lease{{Addr: netip.MustParseAddr("192.168.2.100"), Name: "visitor", State: "bound"}},
	})
	page := string(Page(r, noon))
	lan, guest, visitor := strings.Index(page, "Home network (LAN)"), strings.Index(page, "Network “guest”"), strings.Index(page, "visitor")
	if lan < 0 || guest < lan || visitor < guest || strings.Count(page, "<td>phone<td>") != 1 {
		t.Errorf("LAN at %d, guest at %d, visitor at %d of\n%s", lan, guest, visitor, page)
	}
	values, err := parseMetrics(string(Metrics(r, noon)))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{
		"leasehold_leases{network=lan,state=bound}":      3,
		"leasehold_leases{network=guest,state=bound}":    1,
		"leasehold_leases{network=guest,state=released}": 0,
		"leasehold_lan_lost_messages_total{network=lan}": 3,
	} {
		if values[key] != want {
			t.Errorf("%s is %v; want %v", key, values[key], want)
		}
	}
}
