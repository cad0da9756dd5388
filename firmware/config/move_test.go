package config

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

// A network that moves is the same one to its machines, whatever is said of it
// and wherever.
func TestMove(t *testing.T) {
	const text = `
config interface lan
	option renumber 1
	list ipaddr 192.168.1.2/24
	list dns 192.168.1.9
config interface guest
	option device br-guest
	list ipaddr 192.168.2.1/24
config dhcp lan
	list dhcp_option 3,192.168.1.3
	list dhcp_option 42,192.168.1.2,0.0.0.0,9.9.9.9
	list dhcp_option 43,c0:a8:01:02
config dhcp guest
	list dhcp_option 6,192.168.1.9,192.168.2.9
config host
	option mac 02:00:00:00:00:01
	option ip 192.168.1.20
config host
	option mac 02:00:00:00:00:02
	option ip 192.168.2.20
config host
	option mac 02:00:00:00:00:03
	option name any
`
	before, problems := Parse("f", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	kept := before.LAN.Options[0].Value[3]
	c := before.Move("lan", netip.MustParsePrefix("10.51.0.2/24"))
	lan := c.LAN
	if lan.Addr.String() != "10.51.0.2/24" || lan.MovedFrom.String() != "192.168.1.2/24" ||
		lan.First != addr("10.51.0.100") || lan.Last != addr("10.51.0.249") ||
		!slices.Equal(lan.Gateways, addrs("10.51.0.3")) || !slices.Equal(lan.DNS, addrs("10.51.0.9")) {
		t.Errorf("the network is %+v", lan)
	}
	if got := lan.Options[0].Value; !slices.Equal(got, []byte{10, 51, 0, 2, 0, 0, 0, 0, 9, 9, 9, 9}) {
		t.Errorf("addresses of an option are %v", got)
	}
	if got, want := lan.Options[1], before.LAN.Options[1]; !reflect.DeepEqual(got, want) {
		t.Errorf("an option that is no addresses is %+v; want %+v", got, want)
	}
	if g := c.Others[0]; g.Addr != before.Others[0].Addr || g.MovedFrom.IsValid() || !slices.Equal(g.DNS, addrs("10.51.0.9", "192.168.2.9")) {
		t.Errorf("the other network is %+v", g)
	}
	if c.Hosts[0].Addr != addr("10.51.0.20") || c.Hosts[1].Addr != addr("192.168.2.20") || c.Hosts[2].Addr.IsValid() {
		t.Errorf("the hosts are %+v", c.Hosts)
	}
	if before.Hosts[0].Addr != addr("192.168.1.20") || before.LAN.Options[0].Value[3] != kept || before.LAN.DNS[0] != addr("192.168.1.9") {
		t.Errorf("what was written has changed: %+v", before)
	}
}
