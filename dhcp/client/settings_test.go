package client

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// raw is an option as it stands on the wire.
func raw(code uint8, value ...byte) edit {
	return with(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value))
}

// granting has the machine read an answer with these options.
func granting(t *testing.T, cfg func(*Config), edits ...edit) *Lease {
	t.Helper()
	p := playRequesting(t, cfg)
	p.hears(ack("192.0.2.7", edits...)).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	return p.m.Lease()
}

var (
	byDefault = []byte{0, 192, 0, 2, 254}                    // 0.0.0.0/0 by 192.0.2.254
	toTen     = []byte{8, 10, 192, 0, 2, 253}                // 10.0.0.0/8 by 192.0.2.253
	onLink    = []byte{25, 198, 51, 100, 128, 0, 0, 0, 0}    // 198.51.100.128/25
	oneHost   = []byte{32, 203, 0, 113, 9, 192, 0, 2, 7}     // by our own address
	untidy    = []byte{20, 172, 16, 255, 192, 0, 2, 253}     // host bits are set
	nowhere   = []byte{24, 127, 0, 1, 192, 0, 2, 253}        // loopback
	byNobody  = []byte{24, 198, 51, 100, 255, 255, 255, 255} // broadcast
)

func TestRoutes(t *testing.T) {
	router := with(dhcpv4.OptRouter(net.IP{192, 0, 2, 1}, net.IP{192, 0, 2, 2}))
	classless := func(code uint8, routes ...[]byte) edit { return raw(code, slices.Concat(routes...)...) }
	for _, tt := range []struct {
		name  string
		edits []edit
		want  string
	}{
		{"no router", nil, "[]"},
		{"option 3", list(router), "[0.0.0.0/0 by 192.0.2.1]"},
		{"option 3 is our own address", list(with(dhcpv4.OptRouter(net.IP{192, 0, 2, 7}))), "[0.0.0.0/0]"},
		{"121 wins over 3", list(router, classless(121, byDefault, toTen)), "[0.0.0.0/0 by 192.0.2.254 10.0.0.0/8 by 192.0.2.253]"},
		{"121 without a default route", list(router, classless(121, toTen)), "[10.0.0.0/8 by 192.0.2.253]"},
		{"121 wins over 33", list(classless(121, toTen), raw(33, 198, 51, 100, 0, 192, 0, 2, 3)), "[10.0.0.0/8 by 192.0.2.253]"},
		{"121 wins over 249", list(classless(249, byDefault), classless(121, toTen)), "[10.0.0.0/8 by 192.0.2.253]"},
		{"249 wins over 3", list(router, classless(249, byDefault)), "[0.0.0.0/0 by 192.0.2.254]"},
		{"on the link", list(classless(121, onLink, oneHost)), "[198.51.100.128/25 203.0.113.9/32]"},
		{"untidy", list(classless(121, untidy)), "[172.16.240.0/20 by 192.0.2.253]"},
		{"halves of everything", list(raw(121, 1, 0, 192, 0, 2, 1, 1, 128, 192, 0, 2, 1)), "[0.0.0.0/1 by 192.0.2.1 128.0.0.0/1 by 192.0.2.1]"},
		{"the same twice", list(classless(121, toTen, []byte{8, 10, 192, 0, 2, 9})), "[10.0.0.0/8 by 192.0.2.253]"},
		{"to and by nobody", list(router, classless(121, nowhere, byNobody, toTen)), "[10.0.0.0/8 by 192.0.2.253]"},
		{"121 is cut", list(router, raw(121, 24, 10, 0, 0, 192, 0, 2)), "[0.0.0.0/0 by 192.0.2.1]"},
		{"121 has a mask of 33", list(router, raw(121, 33, 10, 0, 0, 0, 0, 192, 0, 2, 1)), "[0.0.0.0/0 by 192.0.2.1]"},
		{"121 is empty", list(router, raw(121)), "[0.0.0.0/0 by 192.0.2.1]"},
		{"33 by class", list(raw(33, 10, 0, 0, 0, 192, 0, 2, 3, 172, 16, 0, 0, 192, 0, 2, 3, 198, 51, 100, 0, 192, 0, 2, 3), router),
			"[10.0.0.0/8 by 192.0.2.3 172.16.0.0/16 by 192.0.2.3 198.51.100.0/24 by 192.0.2.3 0.0.0.0/0 by 192.0.2.1]"},
		{"33 to a host, to everything, and cut", list(raw(33, 198, 51, 100, 9, 192, 0, 2, 3, 0, 0, 0, 0, 192, 0, 2, 3, 1, 2, 3)), "[198.51.100.9/32 by 192.0.2.3]"},
	} {
		l := granting(t, func(*Config) {}, tt.edits...)
		var got []string
		for _, r := range l.Routes {
			s := r.Prefix.String()
			if r.Gateway.IsValid() {
				s += " by " + r.Gateway.String()
			}
			got = append(got, s)
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: routes %v; want %s", tt.name, got, tt.want)
		}
	}
}

func TestGatewayIsThatOfTheDefaultRoute(t *testing.T) {
	if got := granting(t, func(*Config) {}, raw(121, slices.Concat(toTen, byDefault)...)).Gateway(); got != ip("192.0.2.254") {
		t.Errorf("Gateway() = %v; want 192.0.2.254", got)
	}
	if got := granting(t, func(*Config) {}, raw(121, toTen...)).Gateway(); got.IsValid() {
		t.Errorf("Gateway() = %v; want none", got)
	}
}

func TestClasslessRoutesThatAreNotWantedAreNeitherAskedForNorUsed(t *testing.T) {
	p := playRequesting(t, func(c *Config) { c.NoClassless = true })
	for _, code := range []byte{121, 249} {
		if asked := p.sent.Msg.Options.Get(dhcpv4.OptionParameterRequestList); slices.Contains(asked, code) {
			t.Errorf("asks for %v; want no %d", asked, code)
		}
	}
	l := granting(t, func(c *Config) { c.NoClassless = true },
		raw(121, toTen...), raw(249, toTen...), with(dhcpv4.OptRouter(net.IP{192, 0, 2, 1})))
	if got, want := l.Routes, list(Route{netip.MustParsePrefix("0.0.0.0/0"), ip("192.0.2.1")}); !slices.Equal(got, want) {
		t.Errorf("routes %v; want %v", got, want)
	}
}

func TestMoreIsAskedForOnRequest(t *testing.T) {
	p := play(t, func(c *Config) { c.Request = []byte{43, 6, 125} })
	p.after(0, s).sends("DISCOVER to broadcast")
	want := []byte{1, 121, 249, 3, 33, 6, 15, 119, 26, 42, 51, 58, 59, 43, 125}
	if got := p.sent.Msg.Options.Get(dhcpv4.OptionParameterRequestList); !bytes.Equal(got, want) {
		t.Errorf("asks for %v; want %v", got, want)
	}
}

func TestOnlyWhatIsRequestedIsAskedFor(t *testing.T) {
	for _, tt := range []struct{ only, want []byte }{{[]byte{1, 3, 6, 3}, []byte{1, 3, 6}}, {nil, nil}} {
		p := play(t, func(c *Config) { c.Request, c.RequestOnly = tt.only, true })
		p.after(0, s).sends("DISCOVER to broadcast")
		if got, ok := p.sent.Msg.Options[55]; !bytes.Equal(got, tt.want) || ok != (tt.want != nil) {
			t.Errorf("%v: asks for %v; want %v", tt.only, got, tt.want)
		}
	}
}

func TestMoreRoutesThanAKernelShouldHave(t *testing.T) {
	var many []byte
	for i := range 300 {
		many = append(many, 24, 10, byte(i>>8), byte(i), 192, 0, 2, 1)
	}
	p := playRequesting(t)
	if got := p.m.routes(dhcpv4.Options{121: many}, ip("192.0.2.7")); len(got) != maxRoutes {
		t.Errorf("%d routes; want %d", len(got), maxRoutes)
	}
}

func TestMTU(t *testing.T) {
	for want, value := range map[int][]byte{1492: {5, 212}, 576: {2, 64}, 9000: {35, 40}} {
		if got := granting(t, func(*Config) {}, raw(26, value...)).MTU; got != want {
			t.Errorf("MTU %d; want %d", got, want)
		}
	}
	for _, value := range [][]byte{{0, 0}, {2, 63}, {5}, {0, 5, 212}, {}} {
		if got := granting(t, func(*Config) {}, raw(26, value...)).MTU; got != 0 {
			t.Errorf("MTU of %x is %d; want none", value, got)
		}
	}
}

func TestSearch(t *testing.T) {
	const example = "\x07example\x00"
	for _, tt := range []struct{ name, in, want string }{
		{"one", "\x03isp" + example, "[isp.example]"},
		{"two", "\x01a" + example + "\x01b" + example, "[a.example b.example]"},
		{"a pointer", "\x01a" + example + "\x01b\xc0\x02", "[a.example b.example]"},
		{"a pointer to a pointer", "\x01a" + example + "\x01b\xc0\x02\x01c\xc0\x0b", "[a.example b.example c.b.example]"},
		{"twice the same", "\x01a" + example + "\xc0\x00", "[a.example]"},
		{"one that may not stand in a file", "\x03a\nb" + example + "\x01b" + example, "[b.example]"},
		{"the root", "\x00" + "\x01b" + example, "[b.example]"},
		{"a pointer to itself", "\x01a" + example + "\xc0\x0b", "[a.example]"},
		{"a pointer into its own name", "\x01a\xc0\x00", "[]"},
		{"a pointer forwards", "\xc0\x02" + "\x01a" + example, "[]"},
		{"half a pointer", "\x01a" + example + "\xc0", "[a.example]"},
		{"a label of 65 octets", "\x41" + strings.Repeat("a", 65) + "\x00", "[]"},
		{"cut", "\x01a\x07exam", "[]"},
		{"no end", "\x01a", "[]"},
		{"too long", strings.Repeat("\x07a234567", 40) + "\x00", "[]"},
		{"more than a resolver takes", "\x01a\x00\x01b\x00\x01c\x00\x01d\x00\x01e\x00\x01f\x00\x01g\x00", "[a b c d e f]"},
		{"nothing", "", "[]"},
	} {
		if got := search([]byte(tt.in)); fmt.Sprint(got) != tt.want {
			t.Errorf("%s: search(%q) = %q; want %s", tt.name, tt.in, got, tt.want)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add(slices.Concat(byDefault, toTen, onLink))
	f.Add([]byte("\x01a\x07example\x00\x01b\xc0\x02\x01c\xc0\x0b"))
	m := &Machine{}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range search(b) {
			if domain(name) != name {
				t.Errorf("search(%q) has %q", b, name)
			}
		}
		for _, code := range []uint8{33, 121, 249, 3} {
			for _, r := range m.routes(dhcpv4.Options{code: b}, ip("192.0.2.7")) {
				if r.Prefix != r.Prefix.Masked() || r.Gateway.IsValid() && usable(r.Gateway) != nil {
					t.Errorf("option %d %x leads to %v", code, b, r)
				}
			}
		}
	})
}

func TestTimeServersAndSearchAreInTheLease(t *testing.T) {
	l := granting(t, func(*Config) {},
		with(dhcpv4.OptNTPServers(net.IP{192, 0, 2, 123}, net.IP{0, 0, 0, 0})), raw(119, []byte("\x03isp\x07example\x00")...))
	if !reflect.DeepEqual(l.NTP, list(ip("192.0.2.123"))) || !reflect.DeepEqual(l.Search, list("isp.example")) {
		t.Errorf("time servers %v, search %q", l.NTP, l.Search)
	}
}
