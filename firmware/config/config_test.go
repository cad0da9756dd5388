package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func addrs(all ...string) []netip.Addr {
	var a []netip.Addr
	for _, s := range all {
		a = append(a, addr(s))
	}
	return a
}

// onLAN is what changes in the defaults with the router's address.
func onLAN(own, first, last string) func(*Config) {
	return func(c *Config) {
		c.LAN.Addr = netip.MustParsePrefix(own)
		c.LAN.Gateways = []netip.Addr{c.LAN.Addr.Addr()}
		c.LAN.First, c.LAN.Last = addr(first), addr(last)
	}
}

func asDefault(*Config) {}

// try parses text and compares the outcome with the defaults as changed by
// want, and the problems with the given beginnings, line by line.
func try(t *testing.T, text string, want func(*Config), problems ...string) {
	t.Helper()
	got, said := Parse("f", []byte(text))
	wanted := Default()
	want(&wanted)
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("Parse(%.200q)\n got %+v\nwant %+v", text, got, wanted)
	}
	if err := check(got); err != nil {
		t.Errorf("Parse(%.200q) is not usable: %v", text, err)
	}
	for i := range max(len(said), len(problems)) {
		switch {
		case i >= len(said):
			t.Errorf("Parse(%.200q) does not say %q", text, problems[i])
		case i >= len(problems):
			t.Errorf("Parse(%.200q) says %q", text, said[i])
		case !strings.HasPrefix(said[i].String(), "f:"+problems[i]):
			t.Errorf("Parse(%.200q)\nsays %s\nnot f:%s", text, said[i], problems[i])
		}
	}
}

// check is what every Config of Parse has to satisfy, whatever the text.
func check(c Config) error {
	return errors.Join(checkNetworks(c), checkWAN(c), checkRing(c), checkHosts(c), checkClients(c))
}

func checkNetworks(c Config) error {
	all := c.Networks()
	for i, n := range all {
		if err := checkLAN(n); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		if i > 0 && n.Device == c.WAN.Device {
			return fmt.Errorf("%s is on the WAN port", n.Name)
		}
		for _, other := range all[:i] {
			if n.Name == other.Name || n.Device != "" && n.Device == other.Device || n.Addr.Overlaps(other.Addr) {
				return fmt.Errorf("%+v beside %+v", n, other)
			}
		}
	}
	return nil
}

func checkLAN(l LAN) error {
	size := toUint(l.Last) - toUint(l.First) + 1
	switch {
	case l.Device == "" && l.Via == "" || l.Device != "" && l.Via != "" || l.Carrier.IsValid() != (l.Via != ""):
		return fmt.Errorf("on %q, via %q of %v", l.Device, l.Via, l.Carrier)
	case l.Via != "" && l.Addr != l.Addr.Masked():
		return fmt.Errorf("network %v", l.Addr)
	case !l.Addr.Addr().Is4() || l.Addr.Bits() < 8 || l.Addr.Bits() > 30 || l.Via == "" && !usable(l.Addr, l.Addr.Addr()):
		return fmt.Errorf("LAN address %v", l.Addr)
	case !usable(l.Addr, l.First) || !usable(l.Addr, l.Last) || l.Last.Less(l.First) || size > MaxPool:
		return fmt.Errorf("pool %v to %v of %v", l.First, l.Last, l.Addr)
	case l.First == l.Last && l.First == l.Addr.Addr():
		return errors.New("pool of nothing but our own address")
	case !inBounds(l.LeaseTime):
		return fmt.Errorf("lease time %v", l.LeaseTime)
	case l.NoDNS && l.DNS != nil, len(l.DNS) > maxAddrs, len(l.Gateways) > maxAddrs:
		return fmt.Errorf("DNS %v, gateways %v", l.DNS, l.Gateways)
	}
	return nil
}

func inBounds(d time.Duration) bool {
	return d == Infinite || d >= MinLeaseTime && d <= MaxLeaseTime && d%time.Second == 0
}

func checkWAN(c Config) error {
	w := c.WAN
	switch {
	case w.Device == "" || w.Enabled && w.Device == c.LAN.Device:
		return fmt.Errorf("WAN device %q", w.Device)
	case len(w.ClientID) == 1 || len(w.ClientID) > 255 || w.ClientDUID && w.ClientID != nil:
		return fmt.Errorf("client id %x", w.ClientID)
	case len(w.Hostname) > 255 || len(w.VendorID) > 255 || w.Metric < 0:
		return fmt.Errorf("WAN %+v", w)
	case !filepath.IsAbs(w.ResolvFile):
		return fmt.Errorf("resolver file %q", w.ResolvFile)
	}
	return nil
}

func checkRing(c Config) error {
	r := c.Ring
	switch {
	case !r.OnMTD() && (r.Path != "" && !filepath.IsAbs(r.Path) || r.AtEnd != 0):
		return fmt.Errorf("ring %+v", r)
	case r.AtEnd < 0 || r.Cycles < 1 || r.Years < 1 || r.Years > 100:
		return fmt.Errorf("ring %+v", r)
	}
	return nil
}

func checkHosts(c Config) error {
	seen := map[any]bool{}
	once := func(k any) bool { defer func() { seen[k] = true }(); return !seen[k] }
	for _, h := range c.Hosts {
		marked := len(h.MACs)+len(h.Patterns)+len(h.ClientIDs)+len(h.DUIDs)+len(h.Circuits)+len(h.Need) > 0
		ok := marked != h.ByName && !(h.ByName && h.Name == "") && !(h.Ignore && h.Addr.IsValid())
		for _, m := range h.MACs {
			ok = ok && once(m) && m[0]&1 == 0
		}
		if h.Addr.IsValid() {
			ok = ok && once(h.Addr) && slices.ContainsFunc(c.Networks(), func(n LAN) bool {
				return usable(n.Addr, h.Addr) && h.Addr != n.Addr.Addr()
			})
		}
		if h.Name != "" {
			_, err := domainName(h.Name)
			ok = ok && err == nil
		}
		if !ok || h.LeaseTime != 0 && !inBounds(h.LeaseTime) {
			return fmt.Errorf("host %+v", h)
		}
	}
	return nil
}

func TestDefault(t *testing.T) {
	try(t, "", asDefault)
	l := Default().LAN
	if l.First != addr("192.168.1.100") || l.Last != addr("192.168.1.249") {
		t.Errorf("default pool is %v to %v", l.First, l.Last)
	}
}

func TestLAN(t *testing.T) {
	const lan = "config interface 'lan'\n"
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"option device 'eth1'", func(c *Config) { c.LAN.Device = "eth1" }, ""},
		{"option ifname 'eth1'", func(c *Config) { c.LAN.Device = "eth1" }, ""},
		{"option ifname 'eth0.1 eth2'; option type 'bridge'", asDefault, ""},
		{"option device '@wan'", asDefault, "2: option 'device': '@wan': aliases"},
		{"option device 'a-name-too-long-for-it'", asDefault, "2: option 'device': 'a-name-too"},
		{"option device 'a/b'", asDefault, "2: option 'device': 'a/b' is no device"},
		{"option device 'eth1", asDefault, "2: the quote ' opened here is never closed"},

		{"list ipaddr '10.0.0.1/24'", onLAN("10.0.0.1/24", "10.0.0.100", "10.0.0.249"), ""},
		{"option ipaddr '10.0.0.1/24'", onLAN("10.0.0.1/24", "10.0.0.100", "10.0.0.249"), ""},
		{"option ipaddr 10.0.0.1\noption netmask 255.255.0.0", onLAN("10.0.0.1/16", "10.0.0.100", "10.0.0.249"), ""},
		{"option ipaddr 10.0.0.1\noption netmask 16", onLAN("10.0.0.1/16", "10.0.0.100", "10.0.0.249"), ""},
		{"option ipaddr 10.0.0.1/255.0.0.0", onLAN("10.0.0.1/8", "10.0.0.100", "10.0.0.249"), ""},
		{"option ipaddr 10.0.0.1/25", onLAN("10.0.0.1/25", "10.0.0.100", "10.0.0.126"), ""},
		{"option ipaddr 10.0.0.1/28", onLAN("10.0.0.1/28", "10.0.0.1", "10.0.0.14"), ""},
		{"option ipaddr 10.0.0.2/30", onLAN("10.0.0.2/30", "10.0.0.1", "10.0.0.2"), ""},
		{"option ipaddr 10.0.0.1", onLAN("10.0.0.1/24", "10.0.0.100", "10.0.0.249"),
			"2: warning: option 'ipaddr': '10.0.0.1' has no netmask; /24"},
		{"list ipaddr 10.0.0.1/24\nlist ipaddr 10.0.1.1/24", onLAN("10.0.0.1/24", "10.0.0.100", "10.0.0.249"),
			"3: warning: option 'ipaddr': only the first address, '10.0.0.1/24'"},
		{"option ipaddr 10.0.0.1\noption netmask 255.0.255.0", onLAN("10.0.0.1/24", "10.0.0.100", "10.0.0.249"),
			"3: option 'netmask': '255.0.255.0' is no netmask: its ones have gaps"},
		{"option ipaddr 10.0.0.300/24", asDefault, "2: option 'ipaddr': '10.0.0.300' is no IPv4"},
		{"option ipaddr 10.0.0.0/24", asDefault, "2: option 'ipaddr': '10.0.0.0/24' is the first or last of its network and no machine's; try 10.0.0.1"},
		{"option ipaddr 10.0.0.255/24", asDefault, "2: option 'ipaddr': '10.0.0.255/24' is the first or last"},
		{"option ipaddr 10.0.0.1/31", asDefault, "2: option 'ipaddr': '10.0.0.1/31': the network must be /8 to /30"},
		{"option ipaddr 10.0.0.1/7", asDefault, "2: option 'ipaddr': '10.0.0.1/7': the network must"},
		{"option ipaddr 10.0.0.1/x", asDefault, "2: option 'ipaddr': 'x' is no netmask"},
		{"option ipaddr 127.0.0.1/8", asDefault, "2: option 'ipaddr': '127.0.0.1' cannot be"},
		{"option ipaddr 224.0.0.1/8", asDefault, "2: option 'ipaddr': '224.0.0.1' cannot be"},
		{"option ipaddr fe80::1/64", asDefault, "2: option 'ipaddr': 'fe80::1': IPv6"},

		{"list dns 9.9.9.9\nlist dns 1.1.1.1", func(c *Config) { c.LAN.DNS = addrs("9.9.9.9", "1.1.1.1") }, ""},
		{"option dns '9.9.9.9 1.1.1.1'", func(c *Config) { c.LAN.DNS = addrs("9.9.9.9", "1.1.1.1") }, ""},
		{"list dns 9.9.9\nlist dns 1.1.1.1", func(c *Config) { c.LAN.DNS = addrs("1.1.1.1") },
			"2: option 'dns': '9.9.9' is no IPv4"},
		{"list dns 1.1.1.1\nlist dns 2620:fe::fe", func(c *Config) { c.LAN.DNS = addrs("1.1.1.1") },
			"3: warning: option 'dns': '2620:fe::fe': IPv6 is not served"},

		{"option proto static", asDefault, ""},
		{"option proto dhcp", func(c *Config) { c.LAN.Serve = false }, "2: option 'proto': 'dhcp': the LAN needs"},
		{"option disabled 1", func(c *Config) { c.LAN.Serve = false }, ""},
		{"option auto no", func(c *Config) { c.LAN.Serve = false }, ""},
		{"option disabled maybe", asDefault, "2: option 'disabled': 'maybe' is neither 1 nor 0"},

		{"option ip6assign 60\noption mtu 1500", asDefault, "1: warning: config interface 'lan': without effect here: ip6assign, mtu"},
		{"option devise eth1", asDefault, "2: option 'devise' is not known in config interface 'lan': did you mean 'device'?"},
		{"option colour red", asDefault, "2: option 'colour' is not known in config interface 'lan'"},
		{"option colour ''", asDefault, ""},
	} {
		try(t, lan+tt.text, tt.want, maybe(tt.problem)...)
	}
}

func maybe(problem string) []string {
	if problem == "" {
		return nil
	}
	return strings.Split(problem, "|")
}

func TestPool(t *testing.T) {
	pool := func(first, last string) func(*Config) {
		return func(c *Config) { c.LAN.First, c.LAN.Last = addr(first), addr(last) }
	}
	const own = "config interface lan;option ipaddr "
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"\nconfig dhcp lan;option start 10;option limit 20", pool("192.168.1.10", "192.168.1.29"), ""},
		{"\nconfig dhcp lan;option start 10", pool("192.168.1.10", "192.168.1.159"), ""},
		{"\nconfig dhcp lan;option start 200", pool("192.168.1.200", "192.168.1.254"), ""},
		{"\nconfig dhcp lan;option limit 1", pool("192.168.1.100", "192.168.1.100"), ""},
		{"\nconfig dhcp lan;option start 192.168.1.50", pool("192.168.1.50", "192.168.1.199"), ""},
		{"\nconfig dhcp lan;option start 0;option limit 10", pool("192.168.1.1", "192.168.1.9"),
			"2: warning: start 0 and limit 10: the pool is 192.168.1.1 to 192.168.1.9, 9 addresses"},
		{"\nconfig dhcp lan;option start 200;option limit 150", pool("192.168.1.200", "192.168.1.254"),
			"2: warning: start 200 and limit 150: the pool is 192.168.1.200 to 192.168.1.254, 55"},
		{"\nconfig dhcp lan;option start 300", asDefault, "2: start 300 and limit 150: no address of 192.168.1.0/24"},
		{"\nconfig dhcp lan;option start 255;option limit 9", asDefault, "2: start 255 and limit 9: no address"},
		{"\nconfig dhcp lan;option start 1;option limit 1", asDefault, "2: start 1 and limit 1: no address"},
		{"\nconfig dhcp lan;option limit 0", asDefault, "2: option 'limit': '0' is no number from 1"},
		{"\nconfig dhcp lan;option start -5", asDefault, "2: option 'start': '-5' is no number from 0"},
		{"\nconfig dhcp lan;option start 10.0.0.9", asDefault, "2: option 'start': '10.0.0.9' is no number"},
		{"\nconfig dhcp lan;option start 99999999999999999999", asDefault, "2: option 'start': '9999"},
		{own + "10.1.1.1/8\nconfig dhcp lan;option start 1;option limit 16000000",
			onLAN("10.1.1.1/8", "10.0.0.1", "10.1.0.0"),
			"2: warning: start 1 and limit 16000000: the pool is 10.0.0.1 to 10.1.0.0, 65536"},
		{own + "10.1.1.1/28\nconfig dhcp lan;option start 100;option limit 150",
			onLAN("10.1.1.1/28", "10.1.1.1", "10.1.1.14"),
			"2: start 100 and limit 150: no address of 10.1.1.0/28"},
		{own + "10.1.1.1/28\nconfig dhcp lan;option start 4;option limit 5",
			onLAN("10.1.1.1/28", "10.1.1.4", "10.1.1.8"), ""},
	} {
		try(t, tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestDHCP(t *testing.T) {
	const dhcp = "config dhcp 'lan'\noption interface 'lan'\n"
	off := func(c *Config) { c.LAN.Serve = false }
	term := func(d time.Duration) func(*Config) { return func(c *Config) { c.LAN.LeaseTime = d } }
	gateways := func(all ...string) func(*Config) {
		return func(c *Config) { c.LAN.Gateways = addrs(all...) }
	}
	dns := func(all ...string) func(*Config) { return func(c *Config) { c.LAN.DNS = addrs(all...) } }
	domain := func(s string) func(*Config) { return func(c *Config) { c.LAN.Domain = s } }
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"option leasetime 45", term(45 * time.Second), ""},
		{"option leasetime 45s", term(45 * time.Second), ""},
		{"option leasetime 30m", term(30 * time.Minute), ""},
		{"option leasetime 6H", term(6 * time.Hour), ""},
		{"option leasetime 2d", term(48 * time.Hour), ""},
		{"option leasetime 1w", term(168 * time.Hour), ""},
		{"option leasetime infinite", term(Infinite), ""},
		{"option leasetime ''", asDefault, ""},
		{"option leasetime 30m\noption leasetime ''", asDefault, ""},
		{"option leasetime 30m\noption leasetime 40m", term(40 * time.Minute), ""},
		{"list leasetime 30m\nlist leasetime 40m", term(30 * time.Minute), "4: warning: option 'leasetime': takes one value"},
		{"option leasetime 9s", term(MinLeaseTime), "3: warning: option 'leasetime': '9s' is too short, 10s is used"},
		{"option leasetime 4294967295", term(MaxLeaseTime), "3: warning: option 'leasetime': '4294967295' is longer"},
		{"option leasetime 9999999999w", term(MaxLeaseTime), "3: warning: option 'leasetime': '9999999999w' is longer"},
		{"option leasetime 99999999999999999999", term(MaxLeaseTime), "3: warning: option 'leasetime': '999999999999"},
		{"option leasetime 0", asDefault, "3: option 'leasetime': '0' is no lease time"},
		{"option leasetime 12x", asDefault, "3: option 'leasetime': '12x' is no lease time such as 12h"},
		{"option leasetime h", asDefault, "3: option 'leasetime': 'h' is no"},
		{"option leasetime 1h30m", asDefault, "3: option 'leasetime': '1h30m' is no"},
		{"option leasetime '12h\noption start '7", asDefault, "3: option 'leasetime': '12h\\noption start 7' has a line break"},

		{"option ignore 1", off, ""},
		{"option ignore on", off, ""},
		{"option ignore 0", asDefault, ""},
		{"option ignore 2", asDefault, "3: option 'ignore': '2' is neither 1 nor 0"},
		{"option dhcpv4 server", asDefault, ""},
		{"option dhcpv4 disabled", off, ""},
		{"option dhcpv4 relay", off, "3: option 'dhcpv4': relaying is not supported"},
		{"option dhcpv4 sever", asDefault, "3: option 'dhcpv4': 'sever' is neither server nor"},
		{"option dynamicdhcp 0", func(c *Config) { c.LAN.StaticOnly = true }, ""},

		{"list dhcp_option 3,192.168.1.2", gateways("192.168.1.2"), ""},
		{"list dhcp_option option:router,192.168.1.2,192.168.1.3", gateways("192.168.1.2", "192.168.1.3"), ""},
		{"list dhcp_option 3,0.0.0.0", asDefault, ""},
		{"list dhcp_option 3", gateways(), ""},
		{"list dhcp_option 6,1.1.1.1,9.9.9.9", dns("1.1.1.1", "9.9.9.9"), ""},
		{"list dhcp_option '6 , 1.1.1.1, 9.9.9.9'", dns("1.1.1.1", "9.9.9.9"), ""},
		{"list dhcp_option '15, example.org'", domain("example.org"), ""},
		{"option dhcp_option '6,1.1.1.1 3,192.168.1.9'", func(c *Config) {
			c.LAN.DNS, c.LAN.Gateways = addrs("1.1.1.1"), addrs("192.168.1.9")
		}, ""},
		{"list dhcp_option 6,1.1.1.1\nlist dhcp_option option:dns-server,9.9.9.9", dns("1.1.1.1", "9.9.9.9"), ""},
		{"list dhcp_option 6", func(c *Config) { c.LAN.NoDNS = true }, ""},
		{"list dhcp_option 6,", func(c *Config) { c.LAN.NoDNS = true }, ""},
		{"list dhcp_option 6,0.0.0.0", dns("192.168.1.1"), ""},
		{"list dhcp_option 6,1.1.1.1,9.9.9", dns("1.1.1.1"), "3: option 'dhcp_option': '9.9.9' is no IPv4"},
		{"list dhcp_option 6,9.9.9", asDefault, "3: option 'dhcp_option': '9.9.9' is no IPv4"},
		{"list dhcp_option 6" + strings.Repeat(",1.1.1.1", 64), dns(slices.Repeat([]string{"1.1.1.1"}, 63)...),
			"3: option 'dhcp_option': more than 63 addresses"},
		{"list dhcp_option 15,example.org", domain("example.org"), ""},
		{"list dhcp_option option:domain-name,home", domain("home"), ""},
		{"list dhcp_option 15", domain(""), ""},
		{"list dhcp_option 15,-x", asDefault, "3: option 'dhcp_option': '-x' is no name of"},
		{"list tag x\noption networkid y", func(c *Config) { c.LAN.Tags = []string{"x", "y"} }, ""},
		{"option bootp_dynamic 1", func(c *Config) { c.LAN.BOOTP = true }, ""},

		{"option ra server\nlist ra_flags none", asDefault, "1: warning: config dhcp 'lan': without effect here: ra, ra_flags"},
		{"option leastime 30m", asDefault, "3: option 'leastime' is not known in config dhcp 'lan': did you mean 'leasetime'?"},
	} {
		try(t, dhcp+tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestDNSMasq(t *testing.T) {
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"option domain home.arpa", func(c *Config) { c.LAN.Domain = "home.arpa" }, ""},
		{"option authoritative 0", func(c *Config) { c.LAN.Authoritative = false }, ""},
		{"option noping 1", func(c *Config) { c.LAN.Probe = false }, ""},
		{"option noping maybe", asDefault, "2: option 'noping': 'maybe' is neither 1 nor 0"},
		{"option sequential_ip 1", func(c *Config) { c.LAN.Sequential = true }, ""},
		{"option domain a..b", asDefault, "2: option 'domain': 'a..b' is no name"},
		{"option boguspriv 1\noption leasefile /tmp/x", asDefault, "1: warning: config dnsmasq: without effect here: boguspriv, leasefile"},
		{"option domian x", asDefault, "2: option 'domian' is not known in config dnsmasq: did you mean 'domain'?"},
		{"option domain x\nconfig dnsmasq\noption domain y", func(c *Config) { c.LAN.Domain = "x" },
			"3: warning: config dnsmasq: the one in line 1 is in force"},
		{"option domain x\nconfig dhcp lan\nlist dhcp_option 15,y", func(c *Config) { c.LAN.Domain = "y" }, ""},
	} {
		try(t, "config dnsmasq\n"+tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestWAN(t *testing.T) {
	off := func(c *Config) { c.WAN.Enabled = false }
	sends := func(o map[uint8][]byte) func(*Config) { return func(c *Config) { c.WAN.Send = o } }
	prefixes := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	id := func(b ...byte) func(*Config) { return func(c *Config) { c.WAN.ClientID = b } }
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"option proto dhcp", asDefault, ""},
		{"option proto none", off, ""},
		{"option proto pppoe\noption username x", off, "2: option 'proto': 'pppoe' is not supported; the WAN port is"},
		{"option disabled 1", off, ""},
		{"option auto 0", off, ""},
		{"option device eth0.2", func(c *Config) { c.WAN.Device = "eth0.2" }, ""},
		{"option ifname eth0.2", func(c *Config) { c.WAN.Device = "eth0.2" }, ""},
		{"option device br-lan", func(c *Config) { c.WAN.Enabled, c.WAN.Device = false, "br-lan" },
			"2: option 'device': 'br-lan' is the LAN; the WAN port is left alone"},
		{"option device br-lan\noption disabled 1", func(c *Config) { c.WAN.Enabled, c.WAN.Device = false, "br-lan" }, ""},
		{"config interface lan\noption device wan", func(c *Config) { c.WAN.Enabled, c.LAN.Device = false, "wan" },
			"1: option 'device': 'wan' is the LAN"},
		{"option hostname 'my router'", func(c *Config) { c.WAN.Hostname = "my router" }, ""},
		{"option hostname '*'", asDefault, ""},
		{"option hostname 'Küche'", asDefault, "2: option 'hostname': 'K\\u00fcche' has characters that"},
		{"option vendorid 'it'\\''s'", func(c *Config) { c.WAN.VendorID = "it's" }, ""},
		{"option vendorid " + strings.Repeat("x", 256), asDefault, "2: option 'vendorid': 'xxx"},
		{"option clientid 01aaBB", id(1, 0xaa, 0xbb), ""},
		{"option clientid 01:aa:bb", id(1, 0xaa, 0xbb), ""},
		{"option clientid 0x01aabb", id(1, 0xaa, 0xbb), ""},
		{"option clientid router", asDefault, "2: option 'clientid': 'router' is not written in pairs"},
		{"option clientid 01", asDefault, "2: option 'clientid': '01' has 1 bytes, not 2 to 255"},
		{"option broadcast 1", func(c *Config) { c.WAN.Broadcast = true }, ""},
		{"option norelease 0", func(c *Config) { c.WAN.Release = true }, ""},
		{"option norelease 1", asDefault, ""},
		{"option peerdns 0\nlist dns 9.9.9.9", func(c *Config) { c.WAN.PeerDNS, c.WAN.DNS = false, addrs("9.9.9.9") }, ""},
		{"option metric 20", func(c *Config) { c.WAN.Metric = 20 }, ""},
		{"option metric -1", asDefault, "2: option 'metric': '-1' is no number from 0 to 2147483647"},
		{"option metric 99999999999", asDefault, "2: option 'metric': '99999999999' is no number"},
		{"option clientid none", func(c *Config) { c.WAN.ClientID = []byte{} }, ""},
		{"option clientid duid", func(c *Config) { c.WAN.ClientDUID = true }, ""},
		{"option reqopts '121 0x2b'\nlist reqopts ntpsrv", func(c *Config) { c.WAN.Request = []byte{121, 43, 42} }, ""},
		{"option reqopts '0 255 256 x 43'", func(c *Config) { c.WAN.Request = []byte{43} },
			"2: option 'reqopts': '0' is no option: a number from 1 to 254 is|2: option 'reqopts': '255'|2: option 'reqopts': '256'|2: option 'reqopts': 'x'"},
		{"option defaultreqopts 0", func(c *Config) { c.WAN.RequestOnly = true }, ""},
		{"option defaultroute 0", func(c *Config) { c.WAN.NoDefault = true }, ""},
		{"option classlessroute 0", func(c *Config) { c.WAN.NoClassless = true }, ""},
		{"option sendopts '0x4d:626f78 90:00:01'\nlist sendopts '12:\"router\"'\nlist sendopts hostname:home",
			sends(map[uint8][]byte{77: []byte("box"), 90: {0, 1}, 12: []byte("home")}), ""},
		{"list sendopts 77", asDefault, "2: option 'sendopts': '77' is not written as NUMBER:HEX"},
		{"list sendopts 77:box", asDefault, "2: option 'sendopts': '77:box' is not written in pairs of hex digits"},
		{"list sendopts 77:", asDefault, "2: option 'sendopts': '77:' has 0 bytes, not 1 to 255"},
		{"list sendopts 61:01aa", asDefault, "2: option 'sendopts': '61:01aa': say it with option clientid"},
		{"list sendopts 53:01", asDefault, "2: option 'sendopts': '53:01': option 53 is the protocol's own"},
		{"list sendopts 43:" + strings.Repeat("aa", 200) + "\nlist sendopts 90:" + strings.Repeat("aa", 40),
			sends(map[uint8][]byte{43: bytes.Repeat([]byte{0xaa}, 200)}), "3: option 'sendopts': '90:aaaaaaaa"},
		{"list reject 192.168.100.0/24\nlist reject 10.0.0.1\nlist accept '203.0.113.9/255.255.255.0'", func(c *Config) {
			c.WAN.Reject = prefixes("192.168.100.0/24", "10.0.0.1/32")
			c.WAN.Accept = prefixes("203.0.113.0/24")
		}, ""},
		{"list reject 'modem 10.0.0.0/33 ::1 10.0.0.0/8'", func(c *Config) { c.WAN.Reject = prefixes("10.0.0.0/8") },
			"2: option 'reject': 'modem' is no network such as 192.168.100.0/24|2: option 'reject': '10.0.0.0/33': a network is /0 to /32|2: option 'reject': '::1': IPv6 is not served"},
		{"option macaddr 02:00:5E:00:01:09", func(c *Config) { c.WAN.MAC = [6]byte{2, 0, 0x5e, 0, 1, 9} }, ""},
		{"option macaddr 01:00:5e:00:01:09", asDefault, "2: option 'macaddr': '01:00:5e:00:01:09' is a MAC address of many"},
		{"option skpriority 6", func(c *Config) { c.WAN.Priority = 6 }, ""},
		{"option skpriority 8", asDefault, "2: option 'skpriority': '8' is no number from 0 to 7"},
		{"option script /etc/wan.sh", func(c *Config) { c.WAN.Script = "/etc/wan.sh" }, ""},
		{"option script wan.sh", asDefault, "2: option 'script': 'wan.sh' is no file name that begins with /"},
		{"option ip6hint 1\noption netmask 255.255.255.0", asDefault, "1: warning: config interface 'wan': without effect here: ip6hint, netmask"},
		{"option hostnam x", asDefault, "2: option 'hostnam' is not known in config interface 'wan': did you mean 'hostname'?"},
	} {
		try(t, "config interface wan\n"+tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestDeviceOfTheWAN(t *testing.T) {
	mac := func(c *Config) { c.WAN.MAC = [6]byte{2, 0, 0x5e, 0, 1, 9} }
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"option name wan\noption macaddr 02:00:5e:00:01:09", mac, ""},
		{"option name lan1\noption macaddr 02:00:5e:00:01:09", asDefault, "1: warning: config device is not ours"},
		{"option name wan\noption mtu 1400\noption ipv6 0", asDefault, "1: warning: config device: without effect here: mtu, ipv6"},
		{"option name wan\noption macadr 02:00:5e:00:01:09", asDefault, "3: option 'macadr' is not known in config device: did you mean 'macaddr'?"},
		{"option name wan\nlist egress_qos_mapping 0:1\nlist egress_qos_mapping 6:5", func(c *Config) { c.WAN.Tags = []Tag{{0, 1}, {6, 5}} }, ""},
		{"option name wan\nlist egress_qos_mapping 0:8", asDefault, "3: option 'egress_qos_mapping': '0:8' is no pair such as 6:5"},
		{"option name wan\noption type 8021q\noption ifname eth0\noption vid 35", asDefault, "2: option 'name': 'wan': call VLAN 35 of 'eth0' eth0.35"},
		{"option type 8021q\noption ifname eth0\noption vid 35\noption macaddr 02:00:5e:00:01:09\nconfig interface wan\noption device eth0.35",
			func(c *Config) { mac(c); c.WAN.Device = "eth0.35" }, ""},
	} {
		try(t, "config device\n"+tt.text, tt.want, maybe(tt.problem)...)
	}
	for _, tt := range []struct {
		w    WAN
		want []Tag
	}{
		{WAN{}, nil},
		{WAN{Priority: 6}, []Tag{{6, 6}}},
		{WAN{Priority: 6, Tags: []Tag{{0, 1}}}, []Tag{{0, 1}, {6, 6}}},
		{WAN{Priority: 6, Tags: []Tag{{6, 5}}}, []Tag{{6, 5}}},
	} {
		if got := tt.w.VLANTags(); !slices.Equal(got, tt.want) {
			t.Errorf("tags of %+v = %v; want %v", tt.w, got, tt.want)
		}
	}
}

func TestLeasehold(t *testing.T) {
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"option ring /overlay/ring", func(c *Config) { c.Ring.Path = "/overlay/ring" }, ""},
		{"option ring ring", asDefault, "2: option 'ring': 'ring' is no file name that begins with /"},
		{"option ring /etc/", asDefault, "2: option 'ring': '/etc/' is no file name"},
		{"option page_port 8080", func(c *Config) { c.Page.Port = 8080 }, ""},
		{"option page_port 0", func(c *Config) { c.Page.Port = 0 }, ""},
		{"option ring mtd:leases", func(c *Config) { c.Ring.Path = "mtd:leases" }, ""},
		{"option ring 'mtd:my leases'\noption at_end 256k", func(c *Config) { c.Ring.Path, c.Ring.AtEnd = "mtd:my leases", 256<<10 }, ""},
		{"option ring /dev/mtd5\noption at_end 1M", func(c *Config) { c.Ring.Path, c.Ring.AtEnd = "/dev/mtd5", 1<<20 }, ""},
		{"option ring mtd:", asDefault, "2: option 'ring': 'mtd:' names no partition"},
		{"option ring leases", asDefault, "2: option 'ring': 'leases' is no file name that begins with /"},
		{"option at_end 256k", asDefault, "2: option 'at_end': '/etc/leasehold.ring' is a plain file"},
		{"option ring mtd:x\noption at_end lots", func(c *Config) { c.Ring.Path = "" }, "3: option 'at_end': 'lots' is no size such as 256k"},
		{"option ring mtd:x\noption at_end 4097M", func(c *Config) { c.Ring.Path = "" }, "3: option 'at_end': '4097M' is no size"},
		{"option flash_cycles 100000\noption flash_years 25", func(c *Config) { c.Ring.Cycles, c.Ring.Years = 100_000, 25 }, ""},
		{"option flash_cycles 0", asDefault, "2: option 'flash_cycles': '0' is no number from 1 to 10000000"},
		{"option flash_years 101", asDefault, "2: option 'flash_years': '101' is no number from 1 to 100"},
		{"option page_port 65536", asDefault, "2: option 'page_port': '65536' is no number from 0 to 65535"},
		{"option resolv_file /run/resolv", func(c *Config) { c.WAN.ResolvFile = "/run/resolv" }, ""},
		{"option pageport 1", asDefault, "2: option 'pageport' is not known in config leasehold: did you mean 'page_port'?"},
		{"option other 1", asDefault, "2: option 'other' is not known in config leasehold"},
	} {
		try(t, "config leasehold\n"+tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestHosts(t *testing.T) {
	mac := func(last byte) [6]byte { return [6]byte{0, 0x11, 0x22, 0x33, 0x44, last} }
	one := func(h Host) func(*Config) {
		h.Line = 1
		if h.MACs == nil {
			h.MACs = [][6]byte{mac(0x55)}
		}
		return func(c *Config) { c.Hosts = []Host{h} }
	}
	const card = "option mac 00:11:22:33:44:55\n"
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{card, one(Host{}), ""},
		{"option mac 0:11:22:33:44:55", one(Host{}), ""},
		{"option mac 00-11-22-33-44-55", one(Host{}), ""},
		{"list mac 00:11:22:33:44:55\nlist mac 00:11:22:33:44:5a", one(Host{MACs: [][6]byte{mac(0x55), mac(0x5a)}}), ""},
		{"option mac '00:11:22:33:44:55 00:11:22:33:44:5A'", one(Host{MACs: [][6]byte{mac(0x55), mac(0x5a)}}), ""},
		{"option mac '00:11:22:33:44:55 00:11:22:33:44:55'", one(Host{}), ""},
		{"list mac 00:11:22:33:44:55\nlist mac 00:11", one(Host{}), "3: option 'mac': '00:11' is no MAC address"},
		{"option mac 00:11:22:33:44:5g", asDefault, "2: option 'mac': '00:11:22:33:44:5g' is no MAC"},
		{"option mac 000:11:22:33:44:5", asDefault, "2: option 'mac': '000:11:22:33:44:5' is no MAC"},
		{"option mac 01:11:22:33:44:55", asDefault, "2: option 'mac': '01:11:22:33:44:55' is a MAC address of many"},
		{"option mac 00:00:00:00:00:00", asDefault, "2: option 'mac': '00:00:00:00:00:00' is nobody's"},
		{"option mac 00:11:22:*:*", asDefault, "2: option 'mac': '00:11:22:*:*' is no MAC address"},
		{"option leasetime 1h", asDefault, "1: warning: config host is left out: it has no mac, nor a name"},

		{card + "option ip 192.168.1.20", one(Host{Addr: addr("192.168.1.20")}), ""},
		{card + "option ip 192.168.1.150", one(Host{Addr: addr("192.168.1.150")}), ""},
		{card + "option ip ignore", one(Host{Ignore: true}), ""},
		{card + "option ip ''", one(Host{}), ""},
		{card + "option ip 192.168.1.1", asDefault, "3: option 'ip': '192.168.1.1' is the router's own address; the host is left out"},
		{card + "option ip 192.168.1.0", asDefault, "3: option 'ip': '192.168.1.0' is the first or last of"},
		{card + "option ip 192.168.1.255", asDefault, "3: option 'ip': '192.168.1.255' is the first or last of"},
		{card + "option ip 192.168.2.5", asDefault, "3: option 'ip': '192.168.2.5' is outside the LAN 192.168.1.0/24"},
		{card + "option ip 192.168.1", asDefault, "3: option 'ip': '192.168.1' is no IPv4 address; the host is left out"},

		{card + "option name my-pc", one(Host{Name: "my-pc"}), ""},
		{card + "option name my_pc", one(Host{}), "3: option 'name': 'my_pc' is no name of letters"},
		{card + "option name '<script>'", one(Host{}), "3: option 'name': '<script>' is no name of"},
		{card + "option leasetime 1h", one(Host{LeaseTime: time.Hour}), ""},
		{card + "option leasetime infinite", one(Host{LeaseTime: Infinite}), ""},
		{card + "option leasetime soon", one(Host{}), "3: option 'leasetime': 'soon' is no lease time"},
		{card + "option enable 0\noption ip nonsense", asDefault, ""},
		{card + "option enable 1", one(Host{}), ""},
		{card + "option hostid 7\noption dns 1", one(Host{}), "1: warning: config host: without effect here: hostid, dns"},
		{card + "option tag 'x y'\noption networkid z", one(Host{Tags: []string{"x", "y", "z"}}), ""},
		{card + "option tag 'a,b'", one(Host{}), "3: option 'tag': 'a,b' is no name of a tag"},
		{card + "option broadcast 1", one(Host{Broadcast: true}), ""},
		{card + "option ipaddr 1", one(Host{}), "3: option 'ipaddr' is not known in config host"},
	} {
		try(t, "config host\n"+tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestOfTwoHostsTheFirstGoodOneGetsIt(t *testing.T) {
	const text = `config host
	option mac '00:00:00:00:00:01'
	option ip '192.168.7.7'

config host
	option mac '00:00:00:00:00:01'
	option ip '192.168.1.20'

config host
	option mac '00:00:00:00:00:02'
	option ip '192.168.1.20'

config host
	list mac '00:00:00:00:00:01'
	list mac '00:00:00:00:00:03'

config host
	option mac '00:00:00:00:00:03'
`
	mac := func(last byte) [][6]byte { return [][6]byte{{5: last}} }
	try(t, text, func(c *Config) {
		c.Hosts = []Host{
			{MACs: mac(1), Addr: addr("192.168.1.20"), Line: 5},
			{MACs: mac(3), Line: 13},
		}
	},
		"3: option 'ip': '192.168.7.7' is outside",
		"11: option 'ip': '192.168.1.20' belongs to the host in line 5",
		"14: option 'mac': '00:00:00:00:00:01' belongs to the host in line 5",
		"18: option 'mac': '00:00:00:00:00:03' belongs to the host in line 13",
	)
}

// The order of sections means nothing, nor does writing one in two parts.
func TestOrderOfSections(t *testing.T) {
	try(t, `config host
	option mac '00:00:00:00:00:01'
	option ip '10.0.0.20'
config dhcp 'lan'
	option start 2
config interface 'lan'
	option ipaddr '10.0.0.1'
config dhcp 'lan'
	option limit 8
config interface 'lan'
	option netmask '255.255.255.0'
`, func(c *Config) {
		onLAN("10.0.0.1/24", "10.0.0.2", "10.0.0.9")(c)
		c.Hosts = []Host{{MACs: [][6]byte{{5: 1}}, Addr: addr("10.0.0.20"), Line: 1}}
	})
}

func TestSectionsOfOthers(t *testing.T) {
	for _, tt := range []struct {
		text    string
		problem string
	}{
		{"config globals 'globals'\noption x 1", "1: warning: config globals 'globals' is not ours"},
		{"config interface 'loopback'\noption proto static", ""},
		{"config interface 'wan6'\noption proto dhcpv6", ""},
		{"config interface 'guest'\noption proto dhcp", "1: warning: config interface 'guest' is left alone"},
		{"config interface 'guest'\noption device br-guest\noption ipaddr 10.0.0.1/24", "1: warning: config interface 'guest' is left alone: there is no config dhcp"},
		{"config interface 'modem'\noption proto dhcp\nconfig dhcp 'modem'\noption ignore 1", ""},
		{"config interface\noption proto dhcp", "1: warning: config interface has no name"},
		{"config dhcp 'wan'\noption interface wan\noption ignore 1", ""},
		{"config dhcp 'lan'\noption interface guest\noption ignore 1", "1: warning: config dhcp 'lan' for interface 'guest'"},
		{"config dhcp\noption ignore 1", "1: warning: config dhcp for interface ''"},
		{"package network\nconfig interface wan", ""},
		{"package mwan3\nconfig interface wan\noption disabled 1", "2: warning: config interface 'wan' of package mwan3 is not ours"},
	} {
		try(t, tt.text, asDefault, maybe(tt.problem)...)
	}
}

// guest is a network beside the LAN, as written in the tests.
const guest = "config interface guest;option device br-guest;option ipaddr 192.168.2.1/24\n"

func withGuest(change func(*LAN)) func(*Config) {
	return func(c *Config) {
		n := LAN{
			Name: "guest", Device: "br-guest", Addr: netip.MustParsePrefix("192.168.2.1/24"),
			First: addr("192.168.2.100"), Last: addr("192.168.2.249"),
			LeaseTime: 12 * time.Hour, Domain: "lan", Gateways: addrs("192.168.2.1"),
			Serve: true, Authoritative: true, Probe: true,
		}
		change(&n)
		c.Others = append(c.Others, n)
	}
}

// office is a network behind relay agents.
const office = "config dhcp office;option subnet 10.9.0.0/24"

func withOffice(change func(*LAN)) func(*Config) {
	return func(c *Config) {
		n := LAN{
			Name: "office", Via: "lan", Carrier: addr("192.168.1.1"), Addr: netip.MustParsePrefix("10.9.0.0/24"),
			First: addr("10.9.0.100"), Last: addr("10.9.0.249"),
			LeaseTime: 12 * time.Hour, Domain: "lan", Serve: true, Authoritative: true, Probe: true,
		}
		change(&n)
		c.Others = append(c.Others, n)
	}
}

// What is wrong with a subnet is said where it stands, and that none is left.
func TestSubnetOfNobody(t *testing.T) {
	for text, problem := range map[string]string{
		"10.9.0.7/24": "2: option 'subnet': '10.9.0.7/24' is an address in a network; try 10.9.0.0/24",
		"10.9.0.0":    "2: option 'subnet': '' is no netmask",
		"10.0.0.0/7":  "2: option 'subnet': '10.0.0.0/7': the network must be /8 to /30",
		"office":      "2: option 'subnet': 'office' is no IPv4",
	} {
		try(t, "config dhcp office\noption subnet "+text, asDefault,
			"1: config dhcp 'office' is left out: it has no subnet such as 10.9.0.0/24", problem)
	}
}

func TestOtherNetworks(t *testing.T) {
	same := func(*LAN) {}
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{guest + "config dhcp guest", withGuest(same), ""},
		{"config dhcp g;option interface guest\n" + guest, withGuest(same), ""},
		{"config interface guest;option ifname 'eth0.3 eth1';option type bridge;option ipaddr 192.168.2.1/24\nconfig dhcp guest", withGuest(same), ""},
		{guest + "config dhcp guest;option start 10;option limit 5;option leasetime 1h;list dhcp_option 6,9.9.9.9;list dhcp_option 15", withGuest(func(n *LAN) {
			n.First, n.Last, n.LeaseTime = addr("192.168.2.10"), addr("192.168.2.14"), time.Hour
			n.DNS, n.Domain = addrs("9.9.9.9"), ""
		}), ""},
		{"config interface lan;option renumber 1;option dns 9.9.9.9\n" + guest + "config dhcp guest", func(c *Config) {
			c.LAN.Renumber, c.LAN.DNS = true, addrs("9.9.9.9")
			withGuest(same)(c)
		}, ""},
		{guest + "config dhcp guest;option ignore 1", withGuest(func(n *LAN) { n.Serve = false }), ""},
		{guest + "config dhcp guest;option dynamicdhcp 0", withGuest(func(n *LAN) { n.StaticOnly = true }), ""},
		{guest + "config dhcp guest\nconfig dnsmasq;option domain home;option authoritative 0;option noping 1;option sequential_ip 1", func(c *Config) {
			common := func(n *LAN) {
				n.Domain, n.Authoritative, n.Probe, n.Sequential = "home", false, false, true
			}
			common(&c.LAN)
			withGuest(common)(c)
		}, ""},
		{guest + "config dhcp guest\nconfig dhcp lan;option leasetime 1h;list dhcp_option 15,x", func(c *Config) {
			c.LAN.LeaseTime, c.LAN.Domain = time.Hour, "x"
			withGuest(same)(c)
		}, ""},
		{guest + "config dhcp guest\nconfig host;option mac 2:0:0:0:0:1;option ip 192.168.2.9", func(c *Config) {
			withGuest(same)(c)
			c.Hosts = []Host{{MACs: [][6]byte{{2, 5: 1}}, Addr: addr("192.168.2.9"), Line: 3}}
		}, ""},
		{guest + "config dhcp guest\nconfig host;option mac 2:0:0:0:0:1;option ip 192.168.3.9", withGuest(same),
			"3: option 'ip': '192.168.3.9' is outside all our networks"},
		{guest + "config dhcp guest\nconfig host;option mac 2:0:0:0:0:1;option ip 192.168.2.1", withGuest(same),
			"3: option 'ip': '192.168.2.1' is the router's own address"},

		{"config interface guest;option ipaddr 192.168.2.1/24\nconfig dhcp guest", asDefault, "1: config interface 'guest' is left out: it has no device"},
		{"config interface guest;option device br-guest\nconfig dhcp guest", asDefault, "1: config interface 'guest' is left out: it has no ipaddr"},
		{"config interface guest;option device br-guest;option proto dhcp\nconfig dhcp guest", asDefault, "1: config interface 'guest' is left out: only with proto 'static'"},
		{"config interface guest;option device br-lan;option ipaddr 192.168.2.1/24\nconfig dhcp guest", asDefault, "1: config interface 'guest' is left out: 'br-lan' is the device of 'lan'"},
		{"config interface guest;option device br-guest;option ipaddr 192.168.0.1/16\nconfig dhcp guest", asDefault, "1: config interface 'guest' is left out: 192.168.0.0/16 overlaps 192.168.1.0/24 of 'lan'"},
		{"config interface guest;option device wan;option ipaddr 192.168.2.1/24\nconfig dhcp guest", asDefault, "1: config interface 'guest' is left out: 'wan' is the WAN port, where nobody is served"},
		{"config interface guest;option device eth0.2;option ipaddr 192.168.2.1/24\nconfig dhcp guest\nconfig interface wan;option proto none;option device eth0.2",
			func(c *Config) { c.WAN.Enabled, c.WAN.Device = false, "eth0.2" }, "1: config interface 'guest' is left out: 'eth0.2' is the WAN port"},
		{office, withOffice(same), ""},
		{"config dhcp office;option subnet 10.9.0.0;option netmask 255.255.255.0", withOffice(same), ""},
		{office + ";option start 10.9.0.10;option limit 5;list dhcp_option 3,10.9.0.1;list dhcp_option 15", withOffice(func(n *LAN) {
			n.First, n.Last, n.Gateways, n.Domain = addr("10.9.0.10"), addr("10.9.0.14"), addrs("10.9.0.1"), ""
		}), ""},
		{guest + "config dhcp guest\n" + office + ";option interface guest", func(c *Config) {
			withGuest(same)(c)
			withOffice(func(n *LAN) { n.Via, n.Carrier = "guest", addr("192.168.2.1") })(c)
		}, ""},
		{office + "\nconfig host;option mac 2:0:0:0:0:1;option ip 10.9.0.9", func(c *Config) {
			withOffice(same)(c)
			c.Hosts = []Host{{MACs: [][6]byte{{2, 5: 1}}, Addr: addr("10.9.0.9"), Line: 2}}
		}, ""},
		{office + ";option interface guest", asDefault, "1: config dhcp 'office' is left out: there is no network 'guest' for relay agents to be on"},
		{office + ";option interface wan", asDefault, "1: config dhcp 'office' is left out: there is no network 'wan' for relay agents"},
		{office + "\nconfig dhcp annex;option subnet 10.8.0.0/24;option interface office", withOffice(same), "2: config dhcp 'annex' is left out: there is no network 'office'"},
		{"config dhcp office;option subnet 192.168.0.0/16", asDefault, "1: config dhcp 'office' is left out: 192.168.0.0/16 overlaps 192.168.1.0/24 of 'lan'"},
		{"config dhcp;option subnet 10.9.0.0/24", asDefault, "1: config dhcp is left out: it needs a name of its own"},
		{"config dhcp lan;option subnet 10.9.0.0/24", asDefault, "1: config dhcp 'lan' is left out: there is another network of that name"},
		{"config dhcp guest\n", asDefault, "1: warning: config dhcp 'guest' for interface 'guest': there is no config interface of that name"},
		{guest + "config dhcp guest\nconfig dhcp g;option interface guest", withGuest(same), "3: warning: config dhcp 'g': the one in line 2 is in force"},
	} {
		try(t, tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestSecondPoolIsNotInForce(t *testing.T) {
	try(t, "config dhcp\noption interface lan\noption start 50\nconfig dhcp b\noption interface lan\noption start 200",
		func(c *Config) { c.LAN.First, c.LAN.Last = addr("192.168.1.50"), addr("192.168.1.199") },
		"4: warning: config dhcp 'b': the one in line 1 is in force")
}

// One text with something wrong in every section and something right after it.
func TestBadEntrySpoilsOnlyItself(t *testing.T) {
	const text = `config interface 'lan'
	option device 'br lan'
	option ipaddr '10.9.8.1'
	option netmask '255.255.255.0'
config dhcp 'lan'
	option start 'many'
	option limit '50'
	option leasetime 'long'
	option leasetim '5m'
	list dhcp_option '6,8.8.8.8,8.8.4'
config interface 'wan'
	option clientid 'xyz'
	option hostname 'me'
config host 'a b'
	option mac '00:00:00:00:00:01'
config host 'c'
	option mac '00:00:00:00:00:02'
	option ip '10.9.8.7
config leasehold
	option page_port 'http'
	option ring '/r'
`
	try(t, text, func(c *Config) {
		onLAN("10.9.8.1/24", "10.9.8.100", "10.9.8.149")(c)
		c.LAN.DNS = addrs("8.8.8.8")
		c.WAN.Hostname = "me"
		c.Hosts = []Host{{MACs: [][6]byte{{5: 2}}, Line: 16}}
		c.Ring.Path = "/r"
	},
		"2: option 'device': 'br lan' is no device name",
		"6: option 'start': 'many' is no number",
		"8: option 'leasetime': 'long' is no lease time",
		"9: option 'leasetim' is not known in config dhcp 'lan': did you mean 'leasetime'?",
		"10: option 'dhcp_option': '8.8.4' is no IPv4",
		"12: option 'clientid': 'xyz' is not written",
		"14: section name 'a b' may have",
		"18: the quote ' opened here is never closed",
		"20: option 'page_port': 'http' is no number",
	)
}

func TestOneSlip(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"start", "start", false},
		{"start", "strat", true},
		{"start", "tsart", true},
		{"start", "stat", true},
		{"start", "starts", true},
		{"start", "stort", true},
		{"start", "stop", false},
		{"", "", false},
		{"", "a", true},
		{"ab", "ba", true},
	} {
		if oneSlip(tt.a, tt.b) != tt.want || oneSlip(tt.b, tt.a) != tt.want {
			t.Errorf("oneSlip(%q, %q) = %v; want %v", tt.a, tt.b, !tt.want, tt.want)
		}
	}
}

func TestProblemString(t *testing.T) {
	for _, tt := range []struct {
		p    Problem
		want string
	}{
		{Problem{File: "f", Line: 12, Text: "x"}, "f:12: x"},
		{Problem{File: "f", Line: 12, Text: "x", Warning: true}, "f:12: warning: x"},
		{Problem{File: "f", Text: "x"}, "f: x"},
	} {
		if got := tt.p.String(); got != tt.want {
			t.Errorf("%+v is %q; want %q", tt.p, got, tt.want)
		}
	}
}

// Problems go to consoles and pages: nothing a user wrote may steer those.
func TestProblemsArePrintable(t *testing.T) {
	_, problems := Parse("f", []byte("config host\noption mac '\x1b[2J\x07\r'\noption name '"+
		strings.Repeat("\u202e", 500)+"'\n\x1b[31m"))
	if len(problems) != 3 {
		t.Errorf("got %d problems: %v", len(problems), problems)
	}
	checkPrintable(t, problems)
}

func checkPrintable(t *testing.T, problems []Problem) {
	t.Helper()
	for _, p := range problems {
		for _, c := range []byte(p.Text) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q is not printable", p.Text)
			}
		}
	}
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Whoever comes from OpenWrt brings both files as they are.
func TestOpenWrtFilesAsTheyAre(t *testing.T) {
	text := string(readFile(t, "openwrt-network")) + string(readFile(t, "openwrt-dhcp"))
	try(t, text, func(c *Config) {
		onLAN("192.168.8.1/24", "192.168.8.100", "192.168.8.249")(c)
		c.LAN.Domain = "home"
		c.ReadEthers = true
		c.WAN.Device, c.WAN.MAC = "eth0.2", [6]byte{0x94, 0x83, 0xc4, 1, 2, 3}
		c.Hosts = []Host{{
			Name: "nas",
			MACs: [][6]byte{{0, 0x11, 0x32, 0xaa, 0xbb, 0xcc}},
			Addr: addr("192.168.8.10"),
			Line: 86,
		}}
	},
		"7: warning: config globals 'globals' is not ours",
		"11: warning: config device is not ours",
		"17: warning: config interface 'lan': without effect here: ip6assign",
		"35: warning: config switch is not ours",
		"40: warning: config switch_vlan is not ours",
		"46: warning: config dnsmasq: without effect here: domainneeded, boguspriv",
		"65: warning: config dhcp 'lan': without effect here: dhcpv6, ra, ra_flags",
		"80: warning: config odhcpd 'odhcpd' is not ours",
		"86: warning: config host: without effect here: dns",
	)
}

func TestCompleteExampleHasNoProblems(t *testing.T) {
	try(t, string(readFile(t, "leasehold.conf")), func(c *Config) {
		c.LAN.DNS = addrs("1.1.1.1", "9.9.9.9")
		c.WAN.Hostname = "router"
		c.WAN.ClientID = []byte{1, 2, 3, 4, 0xaa, 0xbb}
		c.WAN.VendorID = "leasehold"
		c.WAN.Send = map[uint8][]byte{77: []byte("\x06billus")}
		c.WAN.Request = []byte{43}
		c.WAN.Reject = []netip.Prefix{netip.MustParsePrefix("192.168.100.0/24")}
		c.WAN.Accept = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		c.WAN.PeerDNS = false
		c.WAN.DNS = addrs("9.9.9.9")
		c.WAN.Metric = 10
		c.Hosts = []Host{
			{
				Name:      "printer",
				MACs:      [][6]byte{{0, 0x11, 0x22, 0x33, 0x44, 0x55}, {0, 0x11, 0x22, 0x33, 0x44, 0x56}},
				Addr:      addr("192.168.1.20"),
				LeaseTime: Infinite,
				Line:      36,
			},
			{MACs: [][6]byte{{0, 0x11, 0x22, 0x33, 0x44, 0x99}}, Ignore: true, Line: 43},
			{Name: "tv", ByName: true, Tags: []string{"slow"}, Line: 47},
		}
		c.Clients.Classes = []Class{
			{Tag: "windows", Code: 60, Value: []byte("MSFT"), Part: true, Kind: "vendorclass", Text: "MSFT"},
			{Tag: "efi", Code: 93, Value: []byte{0, 7}, Kind: "match", Text: "option:client-arch,7"},
		}
		c.Clients.Options = []DHCPOption{
			{Tags: []string{"slow"}, Code: 6, Value: []byte{9, 9, 9, 9}, Addrs: true, Text: "6,9.9.9.9"},
			{Tags: []string{"windows"}, Vendor: "MSFT", Code: 43, Sub: 2, Value: []byte{0, 0, 0, 1}, Text: "vendor:MSFT,2,1i"},
		}
		c.Clients.Boots = []Boot{{Tag: "efi", File: "ipxe.efi", Server: addr("192.168.1.5")}}
	})
}

// The example in the package comment is what users will copy.
func TestPackageCommentHasNoProblems(t *testing.T) {
	source, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(source)) {
		if example, ok := strings.CutPrefix(line, "//\t"); ok {
			text.WriteString(example)
		}
	}
	c, problems := Parse("config.go", []byte(text.String()))
	if len(problems) > 0 || len(c.Hosts) != 1 || c.WAN.Hostname != "router" {
		t.Errorf("the example is read as %+v, with problems %v", c, problems)
	}
}

func TestFormatRoundTrip(t *testing.T) {
	for _, change := range []func(*Config){
		asDefault,
		onLAN("10.0.0.2/30", "10.0.0.1", "10.0.0.2"),
		onLAN("10.0.0.2/8", "10.0.0.1", "10.1.0.0"),
		func(c *Config) { c.LAN.Serve, c.LAN.StaticOnly, c.LAN.Authoritative = false, true, false },
		func(c *Config) { c.LAN.Gateways, c.LAN.NoDNS, c.LAN.Domain = nil, true, "" },
		func(c *Config) { c.LAN.Gateways = addrs("192.168.1.1", "192.168.1.2") },
		func(c *Config) { c.LAN.LeaseTime = Infinite },
		func(c *Config) { c.LAN.LeaseTime = MaxLeaseTime },
		withOffice(func(n *LAN) { n.LeaseTime = time.Hour }),
		func(c *Config) {
			withGuest(func(n *LAN) { n.Serve = false })(c)
			withOffice(func(n *LAN) { n.Via, n.Carrier, n.Gateways = "guest", addr("192.168.2.1"), addrs("10.9.0.1") })(c)
		},
		withGuest(func(n *LAN) { n.Domain, n.LeaseTime, n.Gateways = "", time.Hour, nil }),
		func(c *Config) { c.LAN.Domain = ""; withGuest(func(n *LAN) { n.Serve, n.NoDNS = false, true })(c) },
		func(c *Config) { c.LAN.LeaseTime = 90 * time.Second },
		func(c *Config) { c.WAN.Enabled, c.WAN.Device = false, c.LAN.Device },
		func(c *Config) { c.WAN.Hostname, c.WAN.VendorID = "it's # a \"\\", " ; " },
		func(c *Config) { c.WAN.Broadcast, c.WAN.Release, c.WAN.PeerDNS = true, true, false },
		func(c *Config) { c.Page.Port, c.Ring.Path = 0, "/it's" },
		func(c *Config) { c.WAN.MAC, c.WAN.Priority, c.WAN.Script = [6]byte{2, 1}, 7, "/it's" },
		func(c *Config) { c.WAN.Device, c.WAN.Tags = "eth0.35", []Tag{{0, 7}, {15, 0}} },
		func(c *Config) {
			c.Hosts = []Host{
				{MACs: [][6]byte{{2, 0, 0, 0, 0, 0xff}}, Name: "a.b"},
				{MACs: [][6]byte{{2, 1}, {2, 2}}, Addr: addr("192.168.1.9"), LeaseTime: time.Minute},
				{MACs: [][6]byte{{2, 3}}, Ignore: true},
				{Name: "c", ByName: true, Broadcast: true, Tags: []string{"x", "y"}},
				{ClientIDs: [][]byte{{0, 'a'}}, DUIDs: [][]byte{{0, 3, 0, 1}}, Circuits: [][]byte{{'p'}}, Need: []string{"!x"}},
				{Patterns: []MACPattern{{[6]byte{2}, [6]byte{0xff}}}},
			}
		},
		func(c *Config) {
			c.LAN.BOOTP, c.Clients.RapidCommit, c.ReadEthers = true, true, true
			c.Clients.Boots = []Boot{{Tag: "x", File: "a b", ServerName: "c", Server: addr("10.0.0.1")}, {File: "d"}}
		},
	} {
		c := Default()
		change(&c)
		checkRoundTrip(t, c)
	}
}

func checkRoundTrip(t *testing.T, c Config) {
	t.Helper()
	text := Format(c)
	got, problems := Parse("f", text)
	if problems != nil {
		t.Fatalf("problems %v of\n%s", problems, text)
	}
	c.Hosts = slices.Clone(c.Hosts)
	for i := range got.Hosts {
		got.Hosts[i].Line = 0
	}
	for i := range c.Hosts {
		c.Hosts[i].Line = 0
	}
	if !reflect.DeepEqual(got, c) {
		t.Fatalf("wrote %+v\nread %+v\nfrom\n%s", c, got, text)
	}
}

// FuzzConfig: every text gives a Config that can be acted upon, and that can
// be written down.
func FuzzConfig(f *testing.F) {
	for _, name := range []string{"leasehold.conf", "openwrt-network", "openwrt-dhcp"} {
		f.Add(readFile(f, name))
	}
	f.Add([]byte("c interface lan;o ipaddr 10.0.0.2/30;o device wan;c dhcp lan;o start 1;o limit 9;o leasetime 1s;l dhcp_option 6"))
	f.Add([]byte(office + ";o start 9\nc dhcp annex;o subnet 10.8.0.0;o netmask 255.255.0.0;o interface lan"))
	f.Add([]byte(guest + "c dhcp guest;o start 9;c interface iot;o device eth9;o ipaddr 10.9.0.1/16;c dhcp iot;o ignore 1"))
	f.Add([]byte("c host;o mac 2:0:0:0:0:1;o ip 192.168.1.9;o name x;c host;o mac '2:0:0:0:0:1 2:0:0:0:0:2';o ip ignore"))
	f.Add([]byte("c interface wan;o device e.1;o macaddr 2:0:0:0:0:1;c device;o name e.1;o vid 1;l egress_qos_mapping 1:2;o type 8021q;o ifname e"))
	f.Add([]byte("c interface wan;o clientid 0x01:02;o vendorid \"a'b\";o norelease 0;l dns 1.1.1.1;c leasehold;o page_port 0"))
	f.Add([]byte("c interface wan;o clientid none;l sendopts 77:626f78;l sendopts '12:\"x\"';o reqopts '43 ntpsrv';o defaultreqopts 0;l reject 10.0.0.1/8;l accept 10.0.0.1;o classlessroute 0"))
	f.Add([]byte("c interface wan;o clientid duid"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, problems := Parse("f", text)
		if err := check(c); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		checkPrintable(t, problems)
		checkRoundTrip(t, c)
	})
}
