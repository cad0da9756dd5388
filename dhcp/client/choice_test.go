package client

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func networks(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func reject(list ...string) func(*Config) { return func(c *Config) { c.Reject = networks(list) } }

func TestWants(t *testing.T) {
	for _, tt := range []struct {
		name           string
		accept, reject []string
		want           string
	}{
		{"no lists", nil, nil, ""},
		{"the address is rejected", nil, list("192.168.100.0/24", "192.0.2.0/28"), "192.0.2.0/28 is to be rejected"},
		{"the server is rejected", nil, list("198.51.100.1/32"), "198.51.100.1/32 is to be rejected"},
		{"others are rejected", nil, list("192.168.100.0/24"), ""},
		{"the address is accepted", list("192.0.2.0/24"), nil, ""},
		{"the server is accepted", list("198.51.100.0/24"), nil, ""},
		{"only others are accepted", list("203.0.113.0/24"), nil, "is not among what is to be accepted"},
		{"accepted and rejected", list("192.0.2.0/24"), list("192.0.2.7/32"), "192.0.2.7/32 is to be rejected"},
	} {
		got := ""
		if err := (Config{Accept: networks(tt.accept), Reject: networks(tt.reject)}).wants(ip("192.0.2.7"), ip("198.51.100.1")); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: wants(192.0.2.7, 198.51.100.1) = %q; want %q", tt.name, got, tt.want)
		}
	}
}

// modem is a cable modem that has no line.
var modem = from("192.168.100.1")

func TestModemWithoutALineIsNotListenedTo(t *testing.T) {
	p := play(t, reject("192.168.100.0/24"))
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("192.168.100.10", modem)).silent().in(Selecting)
	p.because("192.168.100.10 of 192.168.100.1 is not wanted: 192.168.100.0/24 is to be rejected")
	p.after(2*s, 5*s).sends("DISCOVER to broadcast")
	p.hears(offer("192.168.100.10", modem)).hears(offer("192.0.2.7"))
	p.after(s, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
}

func TestACKsAndNAKsThatAreNotWanted(t *testing.T) {
	p := play(t, reject("192.168.100.0/24"), last("192.0.2.7", "192.0.2.1"))
	p.after(0, s).sends("REQUEST requested=192.0.2.7 to broadcast")
	p.hears(nak(modem)).silent().in(Rebooting)
	p.hears(ack("192.0.2.7", modem)).silent().in(Rebooting)
	p.because("192.0.2.7 of 192.168.100.1 is not wanted: 192.168.100.0/24 is to be rejected")
	p.hears(ack("192.0.2.7")).probes("192.0.2.7").free("192.0.2.7").installs("192.0.2.7/24")
	p.zero = p.now
	p.after(500*s-s, 500*s).sends("REQUEST ciaddr=192.0.2.7 to 192.0.2.1")
	p.hears(ack("192.0.2.7", modem)).silent().in(Renewing)
	for p.m.State() != Rebinding {
		p.done = nil
		p.tick()
	}
	p.sends("REQUEST ciaddr=192.0.2.7 to broadcast")
	p.hears(nak(modem)).silent().in(Rebinding)
	p.hears(nak(from("192.0.2.2"))).drops()
}

func TestAddressFromBeforeTheListIsNotAskedFor(t *testing.T) {
	p := play(t, reject("192.168.100.0/24"), last("192.168.100.10", "192.168.100.1")).in(Init)
	p.after(0, s).sends("DISCOVER to broadcast")
}

func TestEveryOfferIsJudgedInWords(t *testing.T) {
	p := play(t)
	p.m.last.Server = ip("192.0.2.1")
	p.after(0, s).sends("DISCOVER to broadcast")
	p.hears(offer("198.51.100.5", from("198.51.100.1"))).because("offered 198.51.100.5 by 198.51.100.1")
	p.hears(offer("203.0.113.5", from("203.0.113.1")))
	p.because("offered 203.0.113.5 by 203.0.113.1 (passed over for 198.51.100.5 by 198.51.100.1)")
	p.hears(offer("192.0.2.7")).because("offered 192.0.2.7 by 192.0.2.1 (preferred to 198.51.100.5 by 198.51.100.1)")
	p.after(0, s).sends("REQUEST requested=192.0.2.7 server=192.0.2.1 to broadcast")
}

func TestIdentifiers(t *testing.T) {
	for name, tt := range map[string]struct {
		id   []byte
		want []byte
	}{
		"by address": {nil, []byte{1, 2, 0, 0, 0, 0, 1}},
		"RFC 4361":   {NodeID(hw), []byte{255, 0, 0, 0, 1, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1}},
		"own":        {[]byte("\x00line 7"), []byte("\x00line 7")},
		"none":       {[]byte{}, nil},
	} {
		for _, d := range everyMessage(t, func(c *Config) { c.ID = tt.id }) {
			if got := d.Msg.Options.Get(dhcpv4.OptionClientIdentifier); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %s has %x; want %x", name, describe(d), got, tt.want)
			}
		}
	}
}

// A server may echo what a relay agent or it itself has put there.
func TestAnIdentifierIsNoReproachToWhoSendsNone(t *testing.T) {
	p := playRequesting(t, func(c *Config) { c.ID = []byte{} })
	p.hears(ack("192.0.2.7", with(dhcpv4.OptClientIdentifier([]byte("\x01x"))))).probes("192.0.2.7")
}

func TestOptionsOfTheUserAreInEveryQuery(t *testing.T) {
	user := func(c *Config) {
		c.Hostname, c.VendorID = "router", "leasehold"
		c.Send = dhcpv4.Options{12: []byte("other"), 77: []byte("\x05class"), 90: []byte("secret")}
	}
	for _, d := range everyMessage(t, user) {
		queries := d.Msg.MessageType() == dhcpv4.MessageTypeDiscover || d.Msg.MessageType() == dhcpv4.MessageTypeRequest
		for code, want := range map[uint8]string{12: "other", 60: "leasehold", 77: "\x05class", 90: "secret"} {
			if !queries {
				want = ""
			}
			if got := string(d.Msg.Options[code]); got != want {
				t.Errorf("%s: option %d is %q; want %q", describe(d), code, got, want)
			}
		}
	}
}
