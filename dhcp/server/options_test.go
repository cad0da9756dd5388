package server

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

func options(o ...Option) func(*Config)      { return func(c *Config) { c.Options = o } }
func classes(all ...Class) func(*Config)     { return func(c *Config) { c.Classes = all } }
func boots(all ...Boot) func(*Config)        { return func(c *Config) { c.Boots = all } }
func rapid(c *Config)                        { c.RapidCommit = true }
func dynamicBOOTP(c *Config)                 { c.BOOTP = true }
func asksFor(codes ...uint8) edit            { return option(55, codes...) }
func text(code uint8, s string) Option       { return Option{Code: code, Value: []byte(s)} }
func tagged(o Option, tags ...string) Option { o.Tags = tags; return o }

func TestConfiguredOptionIsSentToWhoAsks(t *testing.T) {
	h := newHouse(t, options(text(100, "CET"), Option{Code: 101, Value: []byte("x"), Force: true}))
	h.hears(discover(1, asksFor(3, 100))).has(100, []byte("CET")...).has(101, 'x')
	h.hears(discover(1, asksFor(3))).lacks(100).has(101, 'x')
	h.hears(discover(1)).has(100, []byte("CET")...)
	a := h.hears(discover(1, asksFor(100)))
	h.hears(selecting(1, a.Addr.String(), asksFor(100))).has(100, []byte("CET")...)
	h.hears(renewing(1, a.Addr.String(), asksFor(100))).has(100, []byte("CET")...)
	h.hears(inform(1, "192.168.1.50", asksFor(100))).has(100, []byte("CET")...)
	h.hears(rebooting(1, "10.0.0.7", asksFor(100))).naks(NotThisNetwork).lacks(100, 101)
}

// Of several values for one option the most specific one counts: that of the
// host, then the one with more tags, then the later.
func TestMostSpecificOptionCounts(t *testing.T) {
	host := Host{HW: []dhcp.HWAddr{hw(1)}, Tags: []string{"a", "b"}, Options: []Option{text(103, "host")}}
	h := newHouse(t, hosts(host, Host{HW: []dhcp.HWAddr{hw(2)}, Tags: []string{"a"}}),
		func(c *Config) { c.Tags = []string{"lan"} },
		options(
			tagged(text(100, "two"), "a", "b"),
			tagged(text(100, "one"), "a"),
			text(100, "none"),
			text(101, "first"), text(101, "second"),
			tagged(text(102, "stranger"), "!known"),
			tagged(text(102, "known"), "known"),
			tagged(text(103, "tag"), "a", "b", "known"),
			tagged(text(104, "here"), "lan"), tagged(text(104, "there"), "guest"),
			tagged(Option{Code: optDomain}, "a", "b"),
		))
	for n, want := range map[int][5]string{
		1: {"two", "second", "known", "host", "here"},
		2: {"one", "second", "known", "", "here"},
		3: {"none", "second", "stranger", "", "here"},
	} {
		a := h.hears(discover(n))
		for i, v := range want {
			if got := string(a.Reply.Msg.Options[uint8(100+i)]); got != v {
				t.Errorf("client %d: option %d is %q; want %q", n, 100+i, got, v)
			}
		}
		if _, ok := a.Reply.Msg.Options[optDomain]; ok == (n == 1) {
			t.Errorf("client %d is told a domain: %v", n, ok)
		}
	}
}

func TestOwnAddressStandsFor0(t *testing.T) {
	h := newHouse(t, options(Option{Code: 42, Value: []byte{0, 0, 0, 0, 10, 0, 0, 1}, Addrs: true}, text(100, "\x00\x00\x00\x00")))
	h.hears(discover(1)).has(42, 192, 168, 1, 1, 10, 0, 0, 1).has(100, 0, 0, 0, 0)
	if v := h.cfg.Options[0].Value; !bytes.Equal(v, []byte{0, 0, 0, 0, 10, 0, 0, 1}) {
		t.Errorf("the configuration has become %v", v)
	}
}

func TestVendorOptions(t *testing.T) {
	h := newHouse(t, options(
		Option{Vendor: "MSFT", Code: 43, Sub: 1, Value: []byte{0, 0, 0, 2}},
		Option{Vendor: "MSFT", Code: 43, Sub: 2, Value: []byte{0, 0, 0, 1}},
		Option{Code: 43, Value: append(make([]byte, 0, 64), "raw"...)},
		Option{Vendor: "acme", Code: 43, Sub: 3, Value: []byte{9}}))
	windows := option(60, []byte("MSFT 5.0")...)
	a := h.hears(discover(1, windows, asksFor(43)))
	h.hears(discover(2, option(60, []byte("acme")...), asksFor(43))).has(43, append([]byte("raw"), 3, 1, 9, 255)...).has(60, []byte("acme")...)
	a.has(43, append([]byte("raw"), 1, 4, 0, 0, 0, 2, 2, 4, 0, 0, 0, 1, 255)...)
	h.hears(discover(1, asksFor(43))).has(43, []byte("raw")...).lacks(60)
	h.hears(discover(1, windows, asksFor(3))).lacks(43)
	if v := string(h.cfg.Options[2].Value); v != "raw" {
		t.Errorf("the configuration has become %q", v)
	}
}

// "If the DHCP server returns both a Classless Static Routes option and a Router
// option, the DHCP client MUST ignore the Router option." RFC 3442.
func TestRFC3442_DefaultRouteIsAmongTheRoutes(t *testing.T) {
	routes := Option{Code: 121, Value: []byte{8, 10, 192, 168, 1, 2}}
	with := []byte{8, 10, 192, 168, 1, 2, 0, 192, 168, 1, 1}
	h := newHouse(t, options(routes))
	h.hears(discover(1, asksFor(121))).has(121, with...).lacks(249)
	h.hears(discover(1, asksFor(121, 249))).has(121, with...).has(249, with...)
	h.hears(discover(1, asksFor(249))).has(249, with...).lacks(121)
	h.hears(discover(1)).has(121, with...).lacks(249)

	own := Option{Code: 121, Value: []byte{0, 192, 168, 1, 9, 8, 10, 192, 168, 1, 2}}
	newHouse(t, options(own)).hears(discover(1, asksFor(121))).has(121, own.Value...)
	newHouse(t, options(routes, Option{Code: 249, Value: []byte{7}})).hears(discover(1, asksFor(249))).has(249, 7)
	newHouse(t, options(routes), func(c *Config) { c.Routers = nil }).hears(discover(1)).has(121, routes.Value...)
	newHouse(t, options(routes, Option{Code: 3})).hears(discover(1)).has(121, routes.Value...).lacks(3)
	newHouse(t, options(routes, Option{Code: 3, Addrs: true, Value: []byte{0, 0, 0, 0}}), func(c *Config) { c.Routers = nil }).
		hears(discover(1)).has(121, with...)
	for _, cut := range []string{"\x20\x01", "\xff", "\x08\x0a\xc0\xa8\x01"} {
		newHouse(t, options(text(121, cut))).hears(discover(1)).has(121, []byte(cut)...)
	}
}

// "The server MUST NOT include the IPv6-Only Preferred option in the DHCPOFFER
// or DHCPACK message if the option was not present in the Parameter Request List
// sent by the client." RFC 8925, section 3.3.
func TestRFC8925_OnlyToWhoAsks(t *testing.T) {
	for _, force := range []bool{false, true} {
		h := newHouse(t, options(Option{Code: 108, Value: []byte{0, 0, 7, 8}, Force: force}))
		h.hears(discover(1, asksFor(1, 108))).has(108, 0, 0, 7, 8)
		h.hears(discover(1, asksFor(1))).lacks(108)
		h.hears(discover(1)).lacks(108)
	}
}

func TestConfiguredTimes(t *testing.T) {
	for _, test := range []struct {
		t1, t2         uint32
		want1, want2   time.Duration
		infinite, asks bool
	}{
		{600, 1200, 600 * time.Second, 1200 * time.Second, false, false},
		{600, 1200, 600 * time.Second, 1200 * time.Second, false, true},
		{1200, 600, 0, 3150 * time.Second, false, false},
		{600, 3600, 0, 3150 * time.Second, false, false},
		{0, 1200, 0, 3150 * time.Second, false, false},
		{600, 1200, 0, 0, true, false},
	} {
		h := newHouse(t, term(time.Hour), options(
			Option{Code: 58, Value: []byte{0, 0, byte(test.t1 >> 8), byte(test.t1)}},
			Option{Code: 59, Value: []byte{0, 0, byte(test.t2 >> 8), byte(test.t2)}}))
		if test.infinite {
			h.change(term(dhcp.Infinite))
		}
		var edits []edit
		if test.asks {
			edits = append(edits, asksFor(1, 3))
		}
		a := h.hears(discover(1, edits...))
		t1, t2, _ := a.times()
		if test.infinite {
			a.lacks(58, 59)
			continue
		}
		if test.want1 != 0 && t1 != test.want1 || t2 != test.want2 || t1 <= 0 || t1 >= t2 {
			t.Errorf("T1 %d and T2 %d configured: %v and %v are sent", test.t1, test.t2, t1, t2)
		}
		h.hears(inform(1, "192.168.1.50")).lacks(51, 58, 59)
	}
}

func TestHostIsToldItsName(t *testing.T) {
	h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Name: "printer"}))
	h.hears(discover(1, asksFor(12))).has(12, []byte("printer")...)
	h.hears(discover(1, asksFor(3))).lacks(12)
	h.hears(discover(1)).lacks(12)
	h.hears(discover(2, asksFor(12), option(12, 'x'))).lacks(12)
}

// RFC 4702, section 4: the answer of a server that updates no DNS.
func TestRFC4702_ServerWithoutUpdates(t *testing.T) {
	const s, o, e, n = 1, 2, 4, 8
	name := func(flags byte, name string) edit { return option(81, append([]byte{flags, 0, 0}, name...)...) }
	says := func(flags byte, name string) []byte { return append([]byte{flags, 255, 255}, name...) }
	h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(2)}, Name: "tv"}))
	h.hears(discover(1, name(s|e, "\x02pc\x00"))).has(81, says(n|o|e, "\x02pc\x03lan\x00")...)
	h.hears(discover(1, name(e, "\x02pc\x07example\x00"))).has(81, says(n|e, "\x02pc\x03lan\x00")...)
	h.hears(discover(1, name(n|e, "\x02pc\x00"))).has(81, says(n|e, "\x02pc\x03lan\x00")...)
	h.hears(discover(1, name(s, "pc.example"))).has(81, says(n|o, "pc.lan")...)
	h.hears(discover(1, name(e, "\x00"))).has(81, says(n|e, "\x00")...)
	h.hears(discover(2, name(s|e, "\x02pc\x00"))).has(81, says(n|o|e, "\x02tv\x03lan\x00")...)
	h.hears(discover(1)).lacks(81)
	h.hears(discover(1, option(81, s, 0))).lacks(81)
	h.hears(rebooting(1, "10.0.0.7", name(s|e, "\x02pc\x00"))).naks(NotThisNetwork).lacks(81)
	if a := h.hears(selecting(1, "192.168.1.150", name(s|e, "\x02pc\x07example\x00"))); a.Bind.Name != "pc" {
		t.Errorf("the lease is %q's; want pc's", a.Bind.Name)
	}
}

func TestBoot(t *testing.T) {
	bios := Boot{File: "bios.0", ServerName: "tftp", Server: ip("192.168.1.5")}
	efi := Boot{Tags: []string{"efi"}, File: "boot.efi"}
	pxe := option(60, []byte("PXEClient:Arch:00007:UNDI:003016")...)
	uuid := option(97, 0, 1, 2)
	h := newHouse(t, boots(bios, efi), classes(Class{Tag: "efi", Code: 93, Value: []byte{0, 7}}))
	fields := func(a *answer, file, name, next string) {
		t.Helper()
		m := a.Reply.Msg
		if m.BootFileName != file || m.ServerHostName != name || dhcp.Addr(m.ServerIPAddr).String() != next {
			t.Errorf("boots %q from %q, next server %v; want %q, %q, %s", m.BootFileName, m.ServerHostName, m.ServerIPAddr, file, name, next)
		}
	}
	a := h.hears(discover(1, pxe, uuid, asksFor(66, 67))).has(67, []byte("bios.0")...).has(66, []byte("tftp")...).has(97, 0, 1, 2)
	fields(a, "bios.0", "tftp", "192.168.1.5")
	fields(h.hears(discover(1)).lacks(66, 67, 97), "bios.0", "tftp", "192.168.1.5")
	fields(h.hears(discover(1, pxe, option(93, 0, 7), asksFor(67))).has(67, []byte("boot.efi")...), "boot.efi", "", "0.0.0.0")
	fields(newHouse(t, boots(efi)).hears(discover(1, asksFor(66, 67))).lacks(66, 67), "", "", "0.0.0.0")

	// By options alone, as dnsmasq has it: in the fields for who does not ask.
	byOption := options(text(67, "a"), text(66, "b"))
	fields(newHouse(t, byOption).hears(discover(1, asksFor(66, 67))).has(66, 'b').has(67, 'a'), "", "", "0.0.0.0")
	fields(newHouse(t, byOption).hears(discover(1, asksFor(3))).lacks(66, 67), "a", "b", "0.0.0.0")
	long := string(bytes.Repeat([]byte{'x'}, 128))
	fields(newHouse(t, options(text(67, long))).hears(discover(1, asksFor(3))), "", "", "0.0.0.0")
	// What is said by number counts for the option, the rest for the fields.
	fields(newHouse(t, boots(bios), options(text(67, "opt"))).hears(discover(1, asksFor(67))).has(67, []byte("opt")...), "bios.0", "tftp", "192.168.1.5")
}

// A reply that is too long goes on in the fields that are free.
func TestLongReplyIsOverloaded(t *testing.T) {
	h := newHouse(t, options(text(119, string(make([]byte, 200))), text(43, string(make([]byte, 100)))))
	a := h.hears(discover(1, asksFor(1, 3, 6, 15, 119, 43)))
	b := dhcp.Encode(a.Reply.Msg, a.Reply.Asked, a.Reply.Limit)
	m, err := dhcp.Parse(b)
	if err != nil || len(b) > dhcp.DefaultLimit || len(m.Options[119]) != 200 || len(m.Options[43]) != 100 {
		t.Errorf("%d octets, %v, with %d and %d of options", len(b), err, len(m.Options[119]), len(m.Options[43]))
	}
	if !bytes.Contains(b[240:], []byte{52, 1, 1}) {
		t.Errorf("without option 52: %x", b)
	}
}

func TestClasses(t *testing.T) {
	relayed := func(sub byte, v string) edit {
		return func(d *dhcp.Datagram) {
			via("192.168.1.2")(d)
			option(82, append([]byte{9, 1, 0, sub, byte(len(v))}, v...)...)(d)
		}
	}
	for _, test := range []struct {
		name  string
		class Class
		d     dhcp.Datagram
		want  bool
	}{
		{"vendor", Class{Code: 60, Value: []byte("MSFT"), Part: true}, discover(1, option(60, []byte("MSFT 5.0")...)), true},
		{"other vendor", Class{Code: 60, Value: []byte("MSFT"), Part: true}, discover(1, option(60, []byte("udhcp")...)), false},
		{"no vendor", Class{Code: 60, Value: []byte("MSFT"), Part: true}, discover(1), false},
		{"user class with lengths", Class{Code: 77, Value: []byte("iPXE"), Part: true}, discover(1, option(77, []byte("\x01x\x04iPXE")...)), true},
		{"user class without", Class{Code: 77, Value: []byte("iPXE"), Part: true}, discover(1, option(77, []byte("iPXE")...)), true},
		{"card", Class{HW: Pattern{hw(1), dhcp.HWAddr{0xff, 0xff, 0xff}}}, discover(1), true},
		{"other card", Class{HW: Pattern{dhcp.HWAddr{4}, dhcp.HWAddr{0xff}}}, discover(1), false},
		{"no card", Class{HW: Pattern{}}, discover(1, chaddr(32, 1, 2, 3), option(61, 1, 2, 3)), false},
		{"circuit", Class{Code: 82, Sub: 1, Value: []byte("p7")}, discover(1, relayed(1, "p7")), true},
		{"other circuit", Class{Code: 82, Sub: 1, Value: []byte("p7")}, discover(1, relayed(1, "p77")), false},
		{"remote id", Class{Code: 82, Sub: 2, Value: []byte("sw")}, discover(1, relayed(2, "sw")), true},
		{"not the remote id", Class{Code: 82, Sub: 2, Value: []byte("sw")}, discover(1, relayed(1, "sw")), false},
		{"architecture", Class{Code: 93, Value: []byte{0, 7}}, discover(1, option(93, 0, 7)), true},
		{"is there", Class{Code: 175}, discover(1, option(175, 1)), true},
		{"is not there", Class{Code: 175}, discover(1), false},
	} {
		test.class.Tag = "x"
		h := newHouse(t, classes(test.class), options(tagged(text(100, "yes"), "x")))
		if got := h.hears(test.d).Reply.Msg.Options[100] != nil; got != test.want {
			t.Errorf("%s: %v; want %v", test.name, got, test.want)
		}
	}
}

func TestHostsAreFoundByAnyMark(t *testing.T) {
	plugged := func(port string) edit {
		return func(d *dhcp.Datagram) {
			via("192.168.1.2")(d)
			option(82, append([]byte{1, byte(len(port))}, port...)...)(d)
		}
	}
	addr := func(last int) netip.Addr { return ip(fmt.Sprintf("192.168.1.%d", last)) }
	all := []Host{
		{HW: []dhcp.HWAddr{hw(1)}, Addr: addr(21)},
		{IDs: []dhcp.ID{"\x00abc"}, Addr: addr(22)},
		{DUIDs: [][]byte{{0, 3, 0, 1, 9}}, Addr: addr(23)},
		{ByName: true, Name: "tv", Addr: addr(24)},
		{Patterns: []Pattern{{dhcp.HWAddr{2, 0, 0, 0, 0x55}, dhcp.HWAddr{0xff, 0xff, 0xff, 0xff, 0xff}}}, Addr: addr(25)},
		{Circuits: [][]byte{[]byte("p7")}, Addr: addr(26)},
		{Need: []string{"printer"}, Addr: addr(27)},
		{HW: []dhcp.HWAddr{hw(8)}, Need: []string{"printer"}, Addr: addr(28)},
	}
	printer := option(60, []byte("printer")...)
	for _, test := range []struct {
		name string
		d    dhcp.Datagram
		want int // 0: of the pool
	}{
		{"card", discover(1), 21},
		{"card and somebody else's name", discover(1, option(12, []byte("tv")...)), 21},
		{"identifier", discover(2, option(61, 0, 'a', 'b', 'c')), 22},
		{"identifier on another's card", discover(1, option(61, 0, 'a', 'b', 'c')), 22},
		{"DUID", discover(3, option(61, 0xff, 1, 2, 3, 4, 0, 3, 0, 1, 9)), 23},
		{"another DUID", discover(3, option(61, 0xff, 1, 2, 3, 4, 0, 3, 0, 1, 8)), 0},
		{"name", discover(4, option(12, []byte("TV")...)), 24},
		{"qualified name", discover(4, option(81, append([]byte{4, 0, 0, 2}, "tv\x03lan\x00"...)...)), 24},
		{"pattern", discover(0x5507), 25},
		{"circuit", discover(6, plugged("p7")), 26},
		{"another circuit", discover(6, plugged("p8")), 0},
		{"circuit without a relay", discover(6, option(82, 1, 2, 'p', '7')), 0},
		{"tag", discover(7, printer), 27},
		{"card and tag", discover(8, printer), 28},
		{"card without the tag", discover(8), 0},
		{"nothing", discover(9), 0},
	} {
		h := newHouse(t, hosts(all...), classes(Class{Tag: "printer", Code: 60, Value: []byte("printer")}))
		a := h.hears(test.d)
		if got := int(a.Addr.As4()[3]); test.want != 0 && got != test.want || test.want == 0 && got < 100 {
			t.Errorf("%s: %v is offered; want .%d", test.name, a.Addr, test.want)
		}
		for _, r := range all {
			if a := h.hears(selecting(99, r.Addr.String())); a.Why != ReservedForAnother {
				t.Errorf("%v for a stranger: %v", r.Addr, a.Why)
			}
		}
	}
}

// A renewal is unicast past the relay agent, and need not repeat the name.
func TestHostIsKnownAtItsRenewal(t *testing.T) {
	h := newHouse(t, hosts(
		Host{Circuits: [][]byte{[]byte("p7")}, Addr: ip("192.168.1.26")},
		Host{ByName: true, Name: "tv", Addr: ip("192.168.1.24")}))
	port := func(d *dhcp.Datagram) { via("192.168.1.2")(d); option(82, 1, 2, 'p', '7')(d) }
	h.hears(discover(1, port)).offers("192.168.1.26")
	h.hears(selecting(1, "192.168.1.26", port)).acks("192.168.1.26", Bound)
	h.hears(renewing(1, "192.168.1.26")).acks("192.168.1.26", Renewed)
	h.hears(renewing(2, "192.168.1.26")).naks(ReservedForAnother)
	name := option(12, []byte("tv")...)
	h.hears(selecting(3, "192.168.1.24", name)).acks("192.168.1.24", Bound)
	h.hears(renewing(3, "192.168.1.24")).acks("192.168.1.24", Renewed)
	h.hears(rebooting(3, "192.168.1.24")).acks("192.168.1.24", Rebooted)
	h.hears(renewing(4, "192.168.1.24")).naks(ReservedForAnother)
}

// What an agent said of a client counts at its renewals, too, until the client
// has another address.
func TestPlaceIsRemembered(t *testing.T) {
	port := func(id byte) edit { return func(d *dhcp.Datagram) { via("192.168.1.2")(d); option(82, 1, 1, id)(d) } }
	h := newHouse(t, classes(Class{Tag: "p7", Code: 82, Sub: 1, Value: []byte{7}}), options(tagged(text(100, "seven"), "p7")))
	h.hears(selecting(1, "192.168.1.150", port(7))).acks("192.168.1.150", Bound).has(100, []byte("seven")...)
	h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed).has(100, []byte("seven")...).lacks(82)
	h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed).has(100, []byte("seven")...)
	h.hears(selecting(1, "192.168.1.150", port(8))).acks("192.168.1.150", Bound).lacks(100)
	h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed).lacks(100)
	h.at(13*time.Hour).hears(selecting(2, "192.168.1.150")).acks("192.168.1.150", Bound).lacks(100)
	if len(h.places) != 0 {
		t.Errorf("places of nobody: %v", h.places)
	}
	h = newHouse(t)
	h.hears(selecting(1, "192.168.1.150", port(7))).acks("192.168.1.150", Bound)
	if len(h.places) != 0 {
		t.Errorf("remembered without need: %v", h.places)
	}
}

// Who has an address that was then reserved for another card is not that one.
func TestHolderOfAReservedAddressIsNotItsHost(t *testing.T) {
	h := newHouse(t)
	h.binds(1, "192.168.1.150")
	h.change(hosts(Host{HW: []dhcp.HWAddr{hw(2)}, Addr: ip("192.168.1.150")}, Host{ByName: true, Name: "tv"}))
	h.hears(renewing(1, "192.168.1.150")).naks(ReservedForAnother)
}

func TestHostThatHearsBroadcastOnly(t *testing.T) {
	h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.20"), Broadcast: true}))
	h.hears(discover(1)).goesTo("255.255.255.255:68", dhcp.BroadcastHW)
	h.hears(selecting(1, "192.168.1.20")).goesTo("255.255.255.255:68", dhcp.BroadcastHW)
	h.hears(renewing(1, "192.168.1.20")).goesTo("192.168.1.20:68", hw(1))
}

// One machine that calls itself by several identifiers on one card keeps its
// address: PXE and the system that it boots, two systems beside each other.
func TestOneMachineWithSeveralIdentifiers(t *testing.T) {
	duid := option(61, 0xff, 1, 2, 3, 4, 0, 3, 0, 1, 9)
	other := option(61, 0xff, 1, 2, 3, 4, 0, 3, 0, 1, 8)
	mac := option(61, append([]byte{1}, func() []byte { a := hw(1); return a[:] }()...)...)
	none := func(*dhcp.Datagram) {}
	pxe := func(d *dhcp.Datagram) {
		option(61, 0, 1, 2, 3, 4, 5, 6, 7, 8)(d)
		option(60, []byte("PXEClient:Arch:00000:UNDI:002001")...)(d)
	}
	for _, test := range []struct {
		name  string
		boots []edit
		same  bool
	}{
		{"a loader that sends none, then a DUID", []edit{none, duid, none}, true},
		{"a DUID, then a loader that sends none", []edit{duid, none, duid}, true},
		{"Windows and Linux", []edit{mac, duid, mac, duid}, true},
		{"PXE and Linux", []edit{pxe, duid, pxe}, true},
		{"PXE and Windows", []edit{pxe, mac, pxe}, true},
		{"Linux and PXE", []edit{duid, pxe, duid}, true},
		{"two DUIDs are two machines", []edit{duid, other}, false},
	} {
		h := newHouse(t)
		first := h.hears(discover(1, test.boots[0])).Addr
		h.hears(selecting(1, first.String(), test.boots[0])).acks(first.String(), Bound)
		for _, as := range test.boots[1:] {
			a := h.hears(discover(1, as))
			if (a.Addr == first) != test.same {
				t.Errorf("%s: first %v, then %v", test.name, first, a.Addr)
			}
			h.hears(selecting(1, a.Addr.String(), as)).acks(a.Addr.String(), Bound)
			h.hears(renewing(1, a.Addr.String(), as)).acks(a.Addr.String(), Renewed)
		}
		if n := len(slices.Collect(h.Table().All())); test.same && n != 1 {
			t.Errorf("%s: takes %d addresses", test.name, n)
		}
		if again := slices.Compact(slices.Clone(h.written)); test.same && len(again) != 1 {
			t.Errorf("%s: written %v; want one record", test.name, h.written)
		}
	}
}

// The same with a reservation by the card: then any two identifiers will do.
func TestReservationByCardHoldsForAnyIdentifier(t *testing.T) {
	h := newHouse(t, hosts(Host{HW: []dhcp.HWAddr{hw(1), hw(2)}, Addr: ip("192.168.1.20")}))
	for i := range 4 {
		as := option(61, 0xff, 1, 2, 3, 4, byte(i%2))
		h.hears(discover(1, as)).offers("192.168.1.20")
		h.hears(selecting(1, "192.168.1.20", as)).acks("192.168.1.20", Bound)
	}
	if a := h.hears(discover(2)); a.Addr == ip("192.168.1.20") {
		t.Error("its other card is offered the same address at the same time")
	}
	// Nor does it matter what it held before the reservation was made.
	h = newHouse(t)
	one, two := option(61, 0xff, 1), option(61, 0xff, 2)
	h.hears(selecting(1, "192.168.1.150", one)).acks("192.168.1.150", Bound)
	h.hears(selecting(1, "192.168.1.151", two)).acks("192.168.1.151", Bound)
	h.change(hosts(Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.20")}))
	h.hears(renewing(1, "192.168.1.150", one)).naks(HasReservation)
	for _, as := range []edit{one, two} {
		h.hears(discover(1, as)).offers("192.168.1.20")
		h.hears(selecting(1, "192.168.1.20", as)).acks("192.168.1.20", Bound)
	}
}

// RFC 4039, section 3.1, where it is switched on.
func TestRFC4039_RapidCommit(t *testing.T) {
	wish := option(80, []byte{}...)
	h := newHouse(t, rapid)
	a := h.hears(discover(1, wants("192.168.1.150"), wish)).acks("192.168.1.150", Bound)
	if v, ok := a.Reply.Msg.Options[80]; !ok || len(v) != 0 {
		t.Errorf("option 80 is %x, %v; want it empty", v, ok)
	}
	h.holder("192.168.1.150", 1)
	h.hears(renewing(1, "192.168.1.150")).acks("192.168.1.150", Renewed).lacks(80)
	h.hears(discover(2)).lacks(80).offers(h.hears(discover(2)).Addr.String())
	newHouse(t).hears(discover(1, wants("192.168.1.150"), wish)).offers("192.168.1.150").lacks(80)

	h = newHouse(t, rapid)
	h.Remember(KeepsNothing)
	h.hears(discover(1, wants("192.168.1.150"), wish)).probes("192.168.1.150").answered(nobody).acks("192.168.1.150", Bound).lends(LentTerm)
}

// "Messages without the DHCP Message Type option are assumed to have been sent
// by a BOOTP client." RFC 1534, section 2. isWellFormed looks at what they are
// sent.
func TestRFC1534_BOOTP(t *testing.T) {
	bootp := func(n int, edits ...edit) dhcp.Datagram {
		d := message(n, dhcpv4.MessageTypeNone, edits...)
		delete(d.Msg.Options, 53)
		return d
	}
	printer := Host{HW: []dhcp.HWAddr{hw(1)}, Addr: ip("192.168.1.20")}
	h := newHouse(t, hosts(printer), boots(Boot{Tags: []string{"bootp"}, File: "image"}))
	a := h.hears(bootp(1)).is(dhcpv4.MessageTypeNone, Bound, "192.168.1.20").has(3, 192, 168, 1, 1).lacks(51, 53, 54, 58, 59)
	if a.goesTo("192.168.1.20:68", hw(1)); a.Reply.Msg.BootFileName != "image" || a.Bind.Grant != dhcp.Infinite {
		t.Errorf("boots %q, for %v", a.Reply.Msg.BootFileName, a.Bind.Grant)
	}
	h.at(10*365*24*time.Hour).holder("192.168.1.20", 1)
	h.hears(bootp(2)).silent(NoBOOTP)

	h = newHouse(t, hosts(printer), dynamicBOOTP, term(time.Hour))
	h.hears(bootp(1)).is(dhcpv4.MessageTypeNone, Bound, "192.168.1.20")
	got := h.hears(bootp(2)).Addr
	h.at(10*365*24*time.Hour).holder(got.String(), 2)
	h.Remember(KeepsKnown)
	h.hears(bootp(2)).is(dhcpv4.MessageTypeNone, Bound, got.String())
	h.hears(bootp(3)).silent(NotKept)
	h.Remember(KeepsAll)
	h.binds(4, "192.168.1.150")
	h.Remember(KeepsKnown)
	h.hears(bootp(4)).silent(NotKept) // flash has its lease of an hour
	h.Remember(KeepsNothing)
	h.hears(bootp(2)).silent(NotKept)

	h = newHouse(t, dynamicBOOTP, pool("192.168.1.150", "192.168.1.150"))
	h.binds(1, "192.168.1.150")
	h.hears(bootp(2)).silent(PoolFull)
	h.change(hosts(Host{HW: []dhcp.HWAddr{hw(2)}, Addr: ip("192.168.1.150")}), func(c *Config) { c.BOOTP = false })
	h.hears(bootp(2)).silent(TakenByAnother)
}

func BenchmarkSettings(b *testing.B) {
	d := discover(1, asksFor(1, 3, 6, 15, 28, 42, 119, 121))
	for name, edits := range map[string][]func(*Config){
		"plain": nil,
		"tags": {options(tagged(text(42, "x"), "a"), tagged(text(42, "y"), "known"), text(119, "z")),
			classes(Class{Tag: "a", Code: 60, Value: []byte("MSFT"), Part: true}), hosts(Host{HW: []dhcp.HWAddr{hw(1)}})},
	} {
		h := newHouse(b, edits...)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Handle(h.now, d)
			}
		})
	}
}
