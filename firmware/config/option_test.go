package config

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestDHCPOption(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // code[.sub] of value, in hex; ! forced; tags
	}{
		{"42,10.0.0.1", "42 0a000001 addrs"},
		{"42,0.0.0.0", "42 00000000 addrs"},
		{"option:ntp-server,10.0.0.1, 10.0.0.2", "42 0a0000010a000002 addrs"},
		{"option:NTP-Server,10.0.0.1", "42 0a000001 addrs"},
		{"42", "42 none"},
		{"42,", "42 none"},
		{"42,0x0a000001", "42 0a000001"},
		{"44,10.0.0.1", "44 0a000001 addrs"},
		{"69,10.0.0.1", "69 0a000001 addrs"},
		{"33,10.1.0.0,10.0.0.1", "33 0a0100000a000001 addrs"},
		{"28,10.0.0.255", "28 0a0000ff addrs"},
		{"26,1492", "26 05d4"},
		{"26,05:d4", "26 05d4"},
		{"26,0576", "26 0240"},
		{"58,00:00:00:3c", "58 0000003c"},
		{"option:mtu,1500", "26 05dc"},
		{"23,64", "23 40"},
		{"2,3600", "2 00000e10"},
		{"2,-3600", "2 fffff1f0"},
		{"25,68,1500", "25 004405dc"},
		{"option:T1,1m", "58 0000003c"},
		{"59,5400", "59 00001518"},
		{"60,PXEClient", "60 505845436c69656e74"},
		{"66,tftp.example", "66 746674702e6578616d706c65"},
		{"67,a,b", "67 612c62"},
		{"67,01:02", "67 30313a3032"},
		{"43,01:04:c0:a8:01:01", "43 0104c0a80101"},
		{"43,1:4:c0:a8:1:1", "43 0104c0a80101"},
		{"114,https://example.org/x", "114 68747470733a2f2f6578616d706c652e6f72672f78"},
		{"108,1800", "108 00000708"},
		{"252,\"\\n\"", "252 0a"},
		{"252,http://wpad/wpad.dat", "252 687474703a2f2f777061642f777061642e646174"},
		{"100,CET-1CEST,M3.5.0,M10.5.0/3", "100 4345542d31434553542c4d332e352e302c4d31302e352e302f33"},
		{"93,0", "93 00"},
		{"77,iPXE", "77 69505845"},
		{"97,00:01", "97 0001"},
		{"224,10.0.0.1,10.0.0.2", "224 0a0000010a000002 addrs"},
		{"224,7", "224 07"},
		{"224,300", "224 012c"},
		{"224,70000", "224 00011170"},
		{"224,7s", "224 0007"},
		{"224,7i", "224 00000007"},
		{"224,7b", "224 07"},
		{"224,seven", "224 736576656e"},
		{"224,\"7\"", "224 37"},
		{"224,7,8", "224 372c38"},
		{"119,example.org", "119 076578616d706c65036f726700"},
		{"119,example.org,a.example.org,org", "119 076578616d706c65036f7267000161c000c008"},
		{"option:domain-search,example.org.", "119 076578616d706c65036f726700"},
		{"120,10.0.0.1", "120 010a000001"},
		{"120,sip.org", "120 00037369700" + "36f726700"},
		{"121,10.0.0.0/8,192.168.1.2", "121 080ac0a80102"},
		{"121,0.0.0.0/0,192.168.1.2,10.1.2.3,0.0.0.0", "121 00c0a80102200a01020300000000"},
		{"121,10.9.9.9/20,192.168.1.2", "121 140a0900c0a80102"},
		{"249,10.0.0.0/8,192.168.1.2", "249 080ac0a80102"},
		{"tag:x,42,10.0.0.1", "42 0a000001 addrs [x]"},
		{"tag:x,tag:!y,option:router,10.0.0.1", "3 0a000001 addrs [x !y]"},
		{"net:x,6", "6 none [x]"},
		{"vendor:MSFT,2,1i", "43.2 00000001 MSFT"},
		{"encap:43,1,10.0.0.1", "43.1 0a000001 addrs"},
		{"encap:175,190,user", "175.190 75736572"},
	} {
		o, err := dhcpOption(tt.text)
		if err != nil {
			t.Errorf("dhcpOption(%q): %v", tt.text, err)
			continue
		}
		got := fmt.Sprint(o.Code)
		if o.Sub != 0 {
			got += fmt.Sprintf(".%d", o.Sub)
		}
		if o.Value == nil {
			got += " none"
		} else {
			got += " " + hex.EncodeToString(o.Value)
		}
		if o.Addrs {
			got += " addrs"
		}
		if o.Vendor != "" {
			got += " " + o.Vendor
		}
		if o.Tags != nil {
			got += fmt.Sprintf(" %v", o.Tags)
		}
		if got != tt.want {
			t.Errorf("dhcpOption(%q) = %s; want %s", tt.text, got, tt.want)
		}
	}
}

func TestDHCPOptionThatIsNone(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "'' is no option from 1 to 254"},
		{"0,1", "'0' is no option from"},
		{"255,1", "'255' is no option from"},
		{"ntp-server,1.1.1.1", "'ntp-server' is no option from 1 to 254, nor option: and a name"},
		{"option:ntp,1.1.1.1", "'option:ntp' is no option that has a name"},
		{"42,ntp.example", "'ntp.example' is no IPv4 address"},
		{"42,2001:db8::1", "'2001:db8::1' is no IPv4 address"},
		{"33,10.0.0.1", "'10.0.0.1': addresses come in pairs here"},
		{"33,0.0.0.0,10.0.0.1", "0.0.0.0 cannot be the first of two"},
		{"26,70000", "'70000' is no number of 2 octets"},
		{"26,1,2", "'1,2' is no number of 2 octets"},
		{"26,01:02:03", "'01:02:03' is no number of 2 octets"},
		{"42,0a:00:00", "'0a:00:00' is no IPv4 address"},
		{"58,1:00", "'1:00' is no lease time"},
		{"23,x", "'x' is no number of 1 octets"},
		{"58,soon", "'soon' is no lease time"},
		{"119,-x", "'-x' is no name"},
		{"121,10.0.0.0/8", "'10.0.0.0/8': networks and routers come in pairs"},
		{"121,10.0.0.0/33,1.1.1.1", "'10.0.0.0/33' is no network"},
		{"121,10.0.0.0/8,router", "'router' is no IPv4 address"},
		{"12,me", "option 12 is the name of a config host"},
		{"51,1h", "option 51 is set by leasetime"},
		{"53,1", "option 53 is made for each message"},
		{"option:server-identifier,1.1.1.1", "option 54 is made for"},
		{"80", "option 80 is made for"},
		{"82,1", "option 82 is made for"},
		{"option6:dns-server,[::]", "'option6:dns-server,[::]': IPv6 is not served"},
		{"tag:,42,1.1.1.1", "'' is no name of a tag"},
		{"encap:82,1,2", "option 82 is made for"},
		{"vendor:x,1," + strings.Repeat("y", 256), "option 43 of 256 octets is too long"},
		{"67," + strings.Repeat("y", 1025), "option 67 of 1025 octets is too long"},
	} {
		if o, err := dhcpOption(tt.text); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("dhcpOption(%q) = %+v, %v; want %s", tt.text, o, err, tt.want)
		}
	}
}

// Every option that the manual of dnsmasq has a name for is one of ours.
func TestOptionsAreInOrder(t *testing.T) {
	if !slices.IsSortedFunc(options, func(a, b struct {
		code uint8
		kind kind
		name string
	}) int {
		return int(a.code) - int(b.code)
	}) {
		t.Error("options are not in order")
	}
	names := map[string]bool{}
	for _, o := range options {
		if names[o.name] {
			t.Errorf("%s twice", o.name)
		}
		names[o.name] = true
	}
}

// inShort writes options as code=value, with what is special about them.
func inShort(all []DHCPOption) (out []string) {
	for _, o := range all {
		s := fmt.Sprintf("%d=%x", o.Code, o.Value)
		if o.Force {
			s += " forced"
		}
		if o.Tags != nil {
			s += fmt.Sprintf(" %v", o.Tags)
		}
		out = append(out, s)
	}
	return out
}

func TestOptionsOfSections(t *testing.T) {
	for _, tt := range []struct {
		text    string
		lan     []string
		clients []string
		problem string
	}{
		{"config dhcp lan\nlist dhcp_option 42,10.0.0.1\nlist dhcp_option 42,10.0.0.2", []string{"42=0a0000010a000002"}, nil, ""},
		{"config dhcp lan\nlist dhcp_option 26,1400\nlist dhcp_option 26,1500", []string{"26=0578", "26=05dc"}, nil, ""},
		{"config dhcp lan\nlist dhcp_option 'tag:x, 26 , 1400'\nlist dhcp_option '66, boot.lan'", []string{"26=0578 [x]", "66=626f6f742e6c616e"}, nil, ""},
		{"config dhcp lan\nlist dhcp_option '42, 10.0.0.1'\nlist dhcp_option '42 , 10.0.0.2'", []string{"42=0a0000010a000002"}, nil, ""},
		{"config dhcp lan\nlist dhcp_option '67,my file'", []string{"67=6d792066696c65"}, nil, ""},
		{"config dhcp lan\noption dhcp_option '67,my 42,10.0.0.1'", []string{"67=6d79", "42=0a000001"}, nil, ""},
		{"config dhcp lan\nlist dhcp_option_force 6,10.0.0.1\nlist dhcp_option tag:x,6,10.0.0.2", []string{"6=0a000002 [x]", "6=0a000001 forced"}, nil, ""},
		{"config dhcp lan\nlist dhcp_option 42,x\nlist dhcp_option 44,10.0.0.1", []string{"44=0a000001"}, nil, "2: option 'dhcp_option': 'x' is no IPv4"},
		{"config tag kids\nlist dhcp_option 6,10.0.0.1", nil, []string{"6=0a000001 [kids]"}, ""},
		{"config tag\noption networkid kids\noption force 1\nlist dhcp_option tag:y,6", nil, []string{"6= forced [kids y]"}, ""},
		{"config tag\nlist dhcp_option 6", nil, nil, "1: option 'networkid': '' is no name of a tag; config tag is left out"},
		{"config vendorclass\noption networkid x\noption vendorclass MSFT\nlist dhcp_option 44,10.0.0.1", nil, []string{"44=0a000001 [x]"}, ""},
		{"config vendorclass\noption networkid x\nlist dhcp_option 44,10.0.0.1", nil, []string{"44=0a000001 [x]"}, "1: config vendorclass has no option 'vendorclass'"},
		{"config boot\noption filename f\nlist dhcp_option 210,x", []string{"210=78"}, nil, ""},
		{"config boot\noption filename f\noption networkid n\nlist dhcp_option 210,x", nil, []string{"210=78 [n]"}, ""},
	} {
		c, problems := Parse("f", []byte(tt.text))
		if got := inShort(c.LAN.Options); !slices.Equal(got, tt.lan) {
			t.Errorf("Parse(%q): the LAN has %q; want %q", tt.text, got, tt.lan)
		}
		if got := inShort(c.Clients.Options); !slices.Equal(got, tt.clients) {
			t.Errorf("Parse(%q): tags have %q; want %q", tt.text, got, tt.clients)
		}
		if len(problems) != len(maybe(tt.problem)) || tt.problem != "" && !strings.HasPrefix(problems[0].String(), "f:"+tt.problem) {
			t.Errorf("Parse(%q) says %v; want %q", tt.text, problems, tt.problem)
		}
		checkRoundTrip(t, c)
	}
}

func TestClasses(t *testing.T) {
	all := [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for _, tt := range []struct {
		text    string
		want    Class // Tag, Kind and Text are filled in
		problem string
	}{
		{"vendorclass MSFT", Class{Code: 60, Value: []byte("MSFT"), Part: true}, ""},
		{"userclass 'iPXE'", Class{Code: 77, Value: []byte("iPXE"), Part: true}, ""},
		{"mac 00:11:22:*:*:*", Class{MAC: MACPattern{[6]byte{0, 0x11, 0x22}, [6]byte{0xff, 0xff, 0xff}}}, ""},
		{"mac 00-11-22-33-44-55", Class{MAC: MACPattern{[6]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55}, all}}, ""},
		{"mac 01-00:11:22:33:44:55", Class{MAC: MACPattern{[6]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55}, all}}, ""},
		{"mac 00:11:22", Class{}, "3: option 'mac': '00:11:22' is no pattern of a MAC address"},
		{"circuitid 'eth0/1'", Class{Code: 82, Sub: 1, Value: []byte("eth0/1")}, ""},
		{"circuitid 00:04:00:0a", Class{Code: 82, Sub: 1, Value: []byte{0, 4, 0, 10}}, ""},
		{"remoteid switch", Class{Code: 82, Sub: 2, Value: []byte("switch")}, ""},
		{"subscrid me", Class{Code: 82, Sub: 6, Value: []byte("me")}, ""},
		{"match '60,PXEClient:Arch:00007'", Class{Code: 60, Value: []byte("PXEClient:Arch:00007"), Part: true}, ""},
		{"match option:client-arch,7", Class{Code: 93, Value: []byte{0, 7}}, ""},
		{"match 175", Class{Code: 175}, ""},
		{"match 97,00:01", Class{Code: 97, Value: []byte{0, 1}}, ""},
		{"match x", Class{}, "3: option 'match': 'x' is no option"},
	} {
		kind, text, _ := strings.Cut(tt.text, " ")
		tt.want.Tag, tt.want.Kind, tt.want.Text = "t", kind, strings.Trim(text, "'")
		c, problems := Parse("f", []byte("config "+kind+"\noption networkid t\noption "+tt.text))
		if len(problems) != len(maybe(tt.problem)) || tt.problem != "" && !strings.HasPrefix(problems[0].String(), "f:"+tt.problem) {
			t.Errorf("%s: %v; want %q", tt.text, problems, tt.problem)
		}
		var want []Class
		if tt.problem == "" {
			want = []Class{tt.want}
		}
		if !reflect.DeepEqual(c.Clients.Classes, want) {
			t.Errorf("%s is read as %+v; want %+v", tt.text, c.Clients.Classes, want)
		}
		checkRoundTrip(t, c)
	}
}

func TestBoots(t *testing.T) {
	full := Boot{Tag: "x", File: "pxelinux.0", ServerName: "tftp", Server: addr("10.0.0.1")}
	for _, tt := range []struct {
		text    string
		want    []Boot
		problem string
	}{
		{"config boot\noption networkid x\noption filename pxelinux.0\noption servername tftp\noption serveraddress 10.0.0.1", []Boot{full}, ""},
		{"config boot\noption filename a", []Boot{{File: "a"}}, ""},
		{"config boot\noption serveraddress 10.0.0.1", nil, "1: config boot has no option 'filename'"},
		{"config boot\noption filename a\noption serveraddress tftp", []Boot{{File: "a"}}, "3: option 'serveraddress': 'tftp' is no IPv4"},
		{"config boot\noption filename a\noption servername " + strings.Repeat("x", 64), []Boot{{File: "a"}}, "3: option 'servername': 'xxx"},
		{"config dnsmasq\noption dhcp_boot tag:x,pxelinux.0,tftp,10.0.0.1", []Boot{full}, ""},
		{"config dnsmasq\noption dhcp_boot pxelinux.0", []Boot{{File: "pxelinux.0"}}, ""},
		{"config dnsmasq\noption dhcp_boot pxelinux.0,,nowhere", nil, "2: option 'dhcp_boot': 'nowhere' is no IPv4"},
		{"config dnsmasq\noption dhcp_boot ,tftp", nil, "2: option 'dhcp_boot': it names no file"},
	} {
		c, problems := Parse("f", []byte(tt.text))
		if !reflect.DeepEqual(c.Clients.Boots, tt.want) {
			t.Errorf("Parse(%q) has %+v; want %+v", tt.text, c.Clients.Boots, tt.want)
		}
		if len(problems) != len(maybe(tt.problem)) || tt.problem != "" && !strings.HasPrefix(problems[0].String(), "f:"+tt.problem) {
			t.Errorf("Parse(%q) says %v; want %q", tt.text, problems, tt.problem)
		}
		checkRoundTrip(t, c)
	}
}

func TestHostsKnownByOtherMarks(t *testing.T) {
	one := func(h Host) func(*Config) {
		h.Line = 1
		return func(c *Config) { c.Hosts = []Host{h} }
	}
	for _, tt := range []struct {
		text    string
		want    func(*Config)
		problem string
	}{
		{"option mac 00:11:22:*:*:*", one(Host{Patterns: []MACPattern{{[6]byte{0, 0x11, 0x22}, [6]byte{0xff, 0xff, 0xff}}}}), ""},
		{"option clientid 01:02:03", one(Host{ClientIDs: [][]byte{{1, 2, 3}}}), ""},
		{"list clientid 0102\nlist clientid 01:02", one(Host{ClientIDs: [][]byte{{1, 2}}}), ""},
		{"option clientid x", asDefault, "2: option 'clientid': 'x' is not written in pairs"},
		{"option duid 000300010011", one(Host{DUIDs: [][]byte{{0, 3, 0, 1, 0, 0x11}}}), ""},
		{"option circuitid eth0/1", one(Host{Circuits: [][]byte{[]byte("eth0/1")}}), ""},
		{"option match_tag x", one(Host{Need: []string{"x"}}), ""},
		{"option name me", one(Host{Name: "me", ByName: true}), ""},
		{"option name me\noption ip 192.168.1.20", one(Host{Name: "me", ByName: true, Addr: addr("192.168.1.20")}), ""},
		{"option name me\noption mac x", asDefault, "3: option 'mac': 'x' is no MAC"},
		{"option name me\nconfig host\noption name me", one(Host{Name: "me", ByName: true}), "4: option 'name': 'me' belongs to the host in line 1"},
		{"option clientid 0102\nconfig host\noption clientid 01:02", one(Host{ClientIDs: [][]byte{{1, 2}}}),
			"4: option 'clientid': '01:02' belongs to the host in line 1"},
		{"option name a\nlist dhcp_option 6,10.0.0.1\noption tag x", one(Host{Name: "a", ByName: true, Tags: []string{"x"},
			Options: []DHCPOption{{Code: 6, Value: []byte{10, 0, 0, 1}, Addrs: true, Text: "6,10.0.0.1"}}}), ""},
	} {
		try(t, "config host\n"+tt.text, tt.want, maybe(tt.problem)...)
	}
}

func TestEthers(t *testing.T) {
	c, _ := Parse("f", []byte(`config host
	option name 'nas'
	option mac '02:00:00:00:00:01'
config host
	option mac '02:00:00:00:00:02'
	option ip '192.168.1.20'
`))
	problems := c.AddEthers("ethers", []byte(`# cards
02:00:00:00:00:03 192.168.1.30
02:00:00:00:00:04 printer   # by name
02:0:0:0:0:5 NAS
02:00:00:00:00:06 192.168.1.20

02:00:00:00:00:01 other
02:00:00:00:00:07 192.168.2.7
02:00:00:00:00:07
02:00:00:00:00:zz x
02:00:00:00:00:08 192.168.1.1
`))
	var got []string
	for _, h := range c.Hosts {
		got = append(got, fmt.Sprintf("%s %v %d", h.Name, h.Addr, len(h.MACs)))
	}
	want := []string{"nas invalid IP 2", " 192.168.1.20 2", " 192.168.1.30 1", "printer invalid IP 1"}
	if !slices.Equal(got, want) {
		t.Errorf("hosts %q; want %q", got, want)
	}
	for i, want := range []string{
		"ethers:7: '02:00:00:00:00:01' belongs to another host",
		"ethers:8: '192.168.2.7' is outside the LAN 192.168.1.0/24",
		"ethers:9: '02:00:00:00:00:07': a MAC address and",
		"ethers:10: '02:00:00:00:00:zz' is no MAC",
		"ethers:11: '192.168.1.1' is the router's own",
	} {
		if i >= len(problems) || !strings.HasPrefix(problems[i].String(), want) {
			t.Errorf("problems %v; want %s", problems, want)
		}
	}
	if err := check(c); err != nil {
		t.Error(err)
	}
}

// FuzzEthers: what is read keeps to what holds for every configuration.
func FuzzEthers(f *testing.F) {
	f.Add([]byte("02:00:00:00:00:03 192.168.1.30\n02:00:00:00:00:04 printer # by name\n"))
	f.Add([]byte("02:00:00:00:00:03\n\n02:00:00:00:00:zz x\r\n02:00:00:00:00:05 192.168.1.1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := Default()
		problems := c.AddEthers("ethers", text)
		if err := check(c); err != nil {
			t.Errorf("AddEthers(%q): %v", text, err)
		}
		checkPrintable(t, problems)
	})
}

// checkClients is what holds for everything that depends on who asks.
func checkClients(c Config) error {
	all := slices.Concat(c.LAN.Options, c.Clients.Options)
	for _, h := range c.Hosts {
		all = append(all, h.Options...)
	}
	for _, o := range all {
		if o.Code == 0 || o.Code == 255 || reserved(o.Code) != "" || len(o.Value) > maxOption ||
			o.Sub != 0 && len(o.Value) > 255 || o.Addrs && len(o.Value)%4 != 0 {
			return fmt.Errorf("option %+v", o)
		}
	}
	for _, b := range c.Clients.Boots {
		if b.File == "" || len(b.File) > 127 || len(b.ServerName) > 63 {
			return fmt.Errorf("boot %+v", b)
		}
	}
	for _, k := range c.Clients.Classes {
		if checkTag(k.Tag) != nil || k.Code == 0 && k.MAC.Mask == [6]byte{} && k.MAC.MAC != [6]byte{} {
			return fmt.Errorf("class %+v", k)
		}
	}
	return nil
}

// FuzzDHCPOption: what can be read can be sent, and is read again from what it
// is written as.
func FuzzDHCPOption(f *testing.F) {
	for _, s := range []string{"42,10.0.0.1", "tag:x,vendor:y,option:router", "encap:43,1,0x01", "119,a.b,b", "121,0.0.0.0/0,1.1.1.1",
		"58,1h", "25,1,2", "120,x", "252,\"\\n\"", "224,7s", "2,-1"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		s := Section{Type: "dhcp", Name: "lan"}
		s.list("dhcp_option", first)
		s.list("dhcp_option_force", second)
		s.list("dhcp_option", second)
		c, problems := Parse("f", AppendUCI(nil, []Section{s}))
		if err := check(c); err != nil {
			t.Fatalf("%q, %q: %v", first, second, err)
		}
		checkPrintable(t, problems)
		checkRoundTrip(t, c)
	})
}
