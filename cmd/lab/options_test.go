package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A listing is what a client says of everything that it was told: the variables
// of its script, in its own words.
type listing map[string]string

// want asserts variables, of which name, value and name again is a list.
func (v listing) want(t *testing.T, who string, pairs ...string) {
	t.Helper()
	bad := false
	for pair := range slices.Chunk(pairs, 2) {
		if got, ok := v[pair[0]]; got != pair[1] || !ok {
			t.Errorf("%s reports %s=%q; want %q", who, pair[0], got, pair[1])
			bad = true
		}
	}
	if bad {
		t.Logf("%s reports %v", who, v)
	}
}

func (v listing) lacks(t *testing.T, who string, names ...string) {
	t.Helper()
	for _, n := range names {
		if got, ok := v[n]; ok {
			t.Errorf("%s reports %s=%q; want none", who, n, got)
		}
	}
}

// list has a laptop's client call a script that writes its variables down, and
// returns how to wait for them while the client, if it goes on, runs.
func (s *street) list(l *laptop) func(p *process, event string) listing {
	s.Helper()
	check(s.T, os.WriteFile(l.file("script"), []byte("#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n"+
		"env >\""+l.file("env")+".$$\" && mv \""+l.file("env")+".$$\" \""+l.file("env")+".${reason:-$1}\"\n"), 0o755))
	return func(p *process, event string) listing {
		s.Helper()
		path := l.file("env") + "." + event
		for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			if _, err := os.Stat(path); err == nil {
				break
			}
			if time.Since(began) > patience {
				s.Fatalf("%s is not %s in time; its client said:\n%v\nthe router said:\n%s", l.name, event, p, s.proc)
			}
		}
		b, err := os.ReadFile(path)
		check(s.T, err)
		v := listing{}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			v[name] = value
		}
		return v
	}
}

// once runs udhcpc until it is bound, and returns what it was told.
func (s *street) once(l *laptop, args ...string) listing {
	s.Helper()
	bound := s.list(l)
	os.Remove(l.file("env") + ".bound")
	out, err := run(l.ns, append([]string{"busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", l.file("script")}, args...)...)
	if err != nil {
		s.Fatalf("%v; the router said:\n%s", err, s.proc)
	}
	if !strings.Contains(out, "obtained") {
		s.Fatalf("udhcpc said:\n%s", out)
	}
	return bound(nil, "bound")
}

// dhclientWith starts dhclient with a configuration of its own.
func (s *street) dhclientWith(l *laptop, conf string) *process {
	s.Helper()
	copied, err := l.copyOf("dhclient")
	check(s.T, err)
	check(s.T, os.WriteFile(l.file("conf"), []byte("timeout 60;\ninitial-interval 1;\nbackoff-cutoff 2;\n"+conf), 0o644))
	return s.spawn(l.ns, append([]string{copied, "-d"}, l.dhclientArgs()...)...)
}

// dhcpcdWith starts dhcpcd with a configuration of its own.
func (s *street) dhcpcdWith(l *laptop, conf string) *process {
	s.Helper()
	program, err := find("dhcpcd")
	check(s.T, err)
	check(s.T, os.WriteFile(l.file("conf"), []byte("noarp\n"+conf), 0o644))
	check(s.T, os.MkdirAll(l.file("lib"), 0o755))
	return s.spawn(l.ns, "unshare", "-m", "sh", "-c", `
mount --bind "$1" /var/lib/dhcpcd && mount -t tmpfs lab /run/dhcpcd && shift && exec "$@"`,
		"sh", l.file("lib"), program, "-4", "-B", "-f", l.file("conf"), "-c", l.file("script"), "eth0")
}

// networkdWith starts systemd-networkd in a place of its own and returns the
// lease that it writes down. It takes a /sys that cannot be written for that of
// a container, where nobody else looks after its devices.
func (s *street) networkdWith(l *laptop, conf string) listing {
	s.Helper()
	dir := l.file("netif")
	for _, sub := range []string{"/links", "/leases", "/lldp"} {
		check(s.T, os.MkdirAll(dir+sub, 0o777))
	}
	check(s.T, os.WriteFile(l.file("network"), []byte("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n"+conf), 0o644))
	p := s.spawn(l.ns, "unshare", "-m", "sh", "-c", `
chmod -R a+rwX "$1" && mkdir -p "$1.run/systemd/network" "$1.run/systemd/netif" &&
cp "$2" "$1.run/systemd/network/10-eth0.network" && mount --bind "$1" "$1.run/systemd/netif" &&
mount -o remount,ro /sys && mount --rbind "$1.run" /run && SYSTEMD_LOG_LEVEL=debug exec /lib/systemd/systemd-networkd`,
		"sh", dir, l.file("network"))
	v := listing{}
	s.eventually("a lease of systemd-networkd", func() bool {
		files, _ := os.ReadDir(dir + "/leases")
		for _, f := range files {
			b, _ := os.ReadFile(dir + "/leases/" + f.Name())
			for line := range strings.Lines(string(b)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				v[name] = value
			}
		}
		select {
		case <-p.done:
			s.Fatalf("systemd-networkd ended:\n%s", p)
		default:
		}
		return v["ADDRESS"] != ""
	})
	return v
}

// many are options of every type that a value can have.
const many = `
config interface 'wan'
	option proto 'none'
config dnsmasq
	option domain 'home.example'
config dhcp 'lan'
	option leasetime '1h'
	list dhcp_option '6,192.0.2.53,0.0.0.0'
	list dhcp_option 'option:mtu,1400'
	list dhcp_option '33,10.9.0.1,192.168.1.9'
	list dhcp_option 'option:ntp-server,0.0.0.0'
	list dhcp_option 'option:ntp-server,192.0.2.123'
	list dhcp_option '44,192.0.2.44'
	list dhcp_option '66,tftp.home.example'
	list dhcp_option '67,boot/image'
	list dhcp_option '100,CET-1CEST'
	list dhcp_option '108,1800'
	list dhcp_option '114,https://portal.example/'
	list dhcp_option '119,home.example,lab.home.example'
	list dhcp_option '121,10.8.0.0/16,192.168.1.8'
	list dhcp_option '252,http://wpad.home.example/'
	list dhcp_option '224,01:02:03'
	list dhcp_option_force '225,7s'
config host
	option name 'anna'
	option mac '02:00:5e:00:03:01'
`

// withMany is a street whose router has all of them.
func withMany(t *testing.T) *street {
	t.Parallel()
	s := newStreet(t, many)
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	return s
}

const routesOfMany = "10.8.0.0/16 192.168.1.8 0.0.0.0/0 192.168.1.1"

// Every client says of every option what the configuration says, in words of its
// own.

func TestUdhcpcReportsItsOptions(t *testing.T) {
	s := withMany(t)
	udhcp := s.laptop("udhcpc", 1, udhcpc{})
	var ask []string
	for _, code := range []string{"12", "26", "28", "33", "42", "44", "58", "59", "66", "67", "108", "114", "119", "121", "224", "249", "252"} {
		ask = append(ask, "-O", code)
	}
	s.once(udhcp, ask...).want(t, "udhcpc",
		"mask", "24", "router", "192.168.1.1", "dns", "192.0.2.53 192.168.1.1", "domain", "home.example",
		"hostname", "anna", "mtu", "1400", "broadcast", "192.168.1.255", "routes", "10.9.0.1/192.168.1.9",
		"ntpsrv", "192.168.1.1 192.0.2.123", "wins", "192.0.2.44", "lease", "3600", "serverid", "192.168.1.1",
		"tftp", "tftp.home.example", "bootfile", "boot/image", "search", "home.example lab.home.example",
		"staticroutes", routesOfMany, "msstaticroutes", routesOfMany, "wpad", "http://wpad.home.example/",
		"opt108", "00000708", "opt114", fmt.Sprintf("%x", "https://portal.example/"), "opt224", "010203", "opt225", "0007")
	s.once(udhcp, "-o", "-O", "3").lacks(t, "udhcpc that asks for the router only", "opt108", "dns", "wpad", "opt224")
}

func TestDhclientReportsItsOptions(t *testing.T) {
	s := withMany(t)
	ben := s.laptop("ben", 1, dhclient{})
	bound := s.list(ben)
	p := s.dhclientWith(ben, `
option portal code 114 = text;
option routes121 code 121 = array of unsigned integer 8;
option routes249 code 249 = array of unsigned integer 8;
option wpad code 252 = text;
option own code 224 = string;
send fqdn.fqdn "ben.away.example.";
send fqdn.encoded on;
send fqdn.server-update on;
request routes121, subnet-mask, routers, domain-name, domain-name-servers, interface-mtu, static-routes, ntp-servers,
	netbios-name-servers, tftp-server-name, bootfile-name, domain-search, portal, routes249, wpad, own;
`)
	const octets = "16 10 8 192 168 1 8 0 192 168 1 1"
	bound(p, "BOUND").want(t, "dhclient",
		"new_subnet_mask", "255.255.255.0", "new_routers", "192.168.1.1", "new_domain_name", "home.example",
		"new_domain_name_servers", "192.0.2.53 192.168.1.1", "new_interface_mtu", "1400",
		"new_static_routes", "10.9.0.1 192.168.1.9", "new_ntp_servers", "192.168.1.1 192.0.2.123",
		"new_netbios_name_servers", "192.0.2.44", "new_tftp_server_name", "tftp.home.example",
		"new_bootfile_name", "boot/image", "new_domain_search", "home.example. lab.home.example.",
		"new_portal", "https://portal.example/", "new_routes121", octets, "new_routes249", octets,
		"new_wpad", "http://wpad.home.example/", "new_own", "1:2:3",
		"new_dhcp_lease_time", "3600", "new_dhcp_server_identifier", "192.168.1.1")
	leases, err := os.ReadFile(ben.file("leases"))
	check(t, err)
	for _, line := range []string{`fqdn.fqdn "anna.home.example";`, "fqdn.no-client-update true;", "fqdn.server-update false;",
		"ntp-servers 192.168.1.1,192.0.2.123;"} {
		if !strings.Contains(string(leases), "option "+line) {
			t.Errorf("dhclient's leases lack %q:\n%s", line, leases)
		}
	}
}

// TestIPv6OnlyIsHeard: a client that asks for option 108 keeps to IPv6 for as long
// as it says (RFC 8925, section 3.2).
func TestIPv6OnlyIsHeard(t *testing.T) {
	s := withMany(t)
	l := s.laptop("ben", 1, dhclient{})
	s.list(l)
	p := s.dhclientWith(l, "option v6only code 108 = unsigned integer 32;\nrequest subnet-mask, v6only;\n")
	s.says(p, 0, "DHCPOFFER of .* from 192.168.1.1: v6 only preferred for 1800")
}

func TestDhcpcdReportsItsOptions(t *testing.T) {
	s := withMany(t)
	cara := s.laptop("cara", 1, dhcpcd{})
	bound := s.list(cara)
	p := s.dhcpcdWith(cara, `
define 224 binhex own
option subnet_mask, routers, domain_name, domain_name_servers, interface_mtu, static_routes, ntp_servers
option netbios_name_servers, tftp_server_name, bootfile_name, domain_search, classless_static_routes
option ms_classless_static_routes, own
`)
	bound(p, "BOUND").want(t, "dhcpcd",
		"new_subnet_cidr", "24", "new_domain_name", "home.example", "new_domain_name_servers", "192.0.2.53 192.168.1.1",
		"new_interface_mtu", "1400", "new_ntp_servers", "192.168.1.1 192.0.2.123", "new_netbios_name_servers", "192.0.2.44",
		"new_tftp_server_name", "tftp.home.example", "new_bootfile_name", "boot/image",
		"new_domain_search", "home.example lab.home.example", "new_classless_static_routes", routesOfMany,
		"new_ms_classless_static_routes", routesOfMany, "new_own", "010203", "new_dhcp_lease_time", "3600")
}

func TestNetworkdReportsItsOptions(t *testing.T) {
	s := withMany(t)
	dora := s.laptop("dora", 1, udhcpc{})
	s.networkdWith(dora, "[DHCPv4]\nClientIdentifier=mac\nUseMTU=yes\nUseDomains=yes\nRequestOptions=224\n").want(t, "systemd-networkd",
		"NETMASK", "255.255.255.0", "SERVER_ADDRESS", "192.168.1.1", "MTU", "1400", "DNS", "192.0.2.53 192.168.1.1",
		"NTP", "192.168.1.1 192.0.2.123", "DOMAINNAME", "home.example", "DOMAIN_SEARCH_LIST", "home.example lab.home.example",
		"OPTION_224", "010203", "LIFETIME", "3600")
}

// TestTagsChooseOptions: what a client is told depends on what it says of
// itself, on its card, and on being a host.
func TestTagsChooseOptions(t *testing.T) {
	t.Parallel()
	s := newStreet(t, `
config interface 'wan'
	option proto 'none'
config dhcp 'lan'
	list dhcp_option '6,192.0.2.1'
	list dhcp_option 'tag:phone,6,192.0.2.4'
	list dhcp_option 'tag:!known,42,192.0.2.9'
config vendorclass
	option networkid 'windows'
	option vendorclass 'MSFT'
	list dhcp_option '6,192.0.2.2'
	list dhcp_option 'vendor:MSFT,2,1i'
config userclass
	option networkid 'ipxe'
	option userclass 'iPXE'
config boot
	option filename 'first.0'
	option serveraddress '192.168.1.7'
config boot
	option networkid 'ipxe'
	option filename 'second.ipxe'
config mac
	option networkid 'phone'
	option mac '02:00:5e:00:03:02'
config tag 'kids'
	list dhcp_option '6,192.0.2.3'
config host
	option name 'tv'
	option ip '192.168.1.32'
	option tag 'kids'
config host
	option clientid '00:61:62:63'
	option ip '192.168.1.31'
	list dhcp_option '6,192.0.2.5'
config host
	option duid '000300010200000000bb'
	option ip '192.168.1.33'
config host
	option mac '02:00:5e:00:03:03'
	option ip 'ignore'
`)
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	l := s.laptop("anna", 1, udhcpc{})
	s.once(l, "-O", "42", "-O", "67").want(t, "a stranger", "dns", "192.0.2.1", "ntpsrv", "192.0.2.9", "siaddr", "192.168.1.7", "bootfile", "first.0")
	s.once(l).want(t, "who does not ask for the boot file", "boot_file", "first.0")
	windows := s.once(l, "-V", "MSFT 5.0", "-O", "43")
	windows.want(t, "Windows", "dns", "192.0.2.2", "opt43", "020400000001ff", "vendor", "MSFT 5.0")
	ipxe := s.once(l, "-x", "0x4d:0469505845", "-O", "67")
	ipxe.want(t, "iPXE", "bootfile", "second.ipxe")
	ipxe.lacks(t, "iPXE", "siaddr")
	s.once(l, "-C", "-x", "hostname:tv", "-O", "42").want(t, "tv", "ip", "192.168.1.32", "dns", "192.0.2.3")
	s.once(l, "-C", "-x", "0x3d:00616263").want(t, "a host by its identifier", "ip", "192.168.1.31", "dns", "192.0.2.5")
	s.once(l, "-C", "-x", "0x3d:ff00000007000300010200000000bb").want(t, "a host by its DUID", "ip", "192.168.1.33")
	phone := s.laptop("ben", 2, udhcpc{})
	s.once(phone).want(t, "a phone", "dns", "192.0.2.4")
	ignored := s.laptop("cara", 3, udhcpc{})
	if out, err := run(ignored.ns, "busybox", "udhcpc", "-f", "-n", "-q", "-t", "2", "-T", "1", "-i", "eth0", "-s", "/bin/true"); err == nil {
		t.Errorf("the ignored one was answered:\n%s", out)
	}
}

// TestOneMachineOneAddress: on one card a boot loader without an identifier, a
// system that sends its hardware address and one that sends a DUID are one
// machine, whatever order they come in.
func TestOneMachineOneAddress(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	l := s.laptop("anna", 1, udhcpc{})
	first := s.once(l, "-C")["ip"]
	duid := "0x3d:ff00000001000300010200000000aa"
	for _, args := range [][]string{{}, {"-C", "-x", duid}, {"-C"}, {"-C", "-x", duid},
		{"-C", "-x", "0x3d:00112233445566778899aabbccddeeff", "-V", "PXEClient:Arch:00000:UNDI:002001"}, {}} {
		if got := s.once(l, args...)["ip"]; got != first {
			t.Errorf("udhcpc %v has %s; the machine had %s", args, got, first)
		}
	}
	if got := s.once(l, "-C", "-x", "0x3d:ff00000002000300010200000000aa")["ip"]; got == "" {
		t.Error("another machine behind the same card gets nothing")
	}
}

// TestReservationIsForTheNextRenewal: an address that is reserved for one while
// another has it goes over when that one asks again.
func TestReservationIsForTheNextRenewal(t *testing.T) {
	t.Parallel()
	const conf = "config interface 'wan'\n\toption proto 'none'\n"
	s := newStreet(t, conf)
	check(t, usedRing(s.ring()))
	s.on()
	anna := s.laptop("anna", 1, udhcpc{})
	s.boot(anna)
	had := s.reports(anna, 0, "bound").ip
	check(t, s.configure(conf+"config host\n\toption mac '02:00:5e:00:03:02'\n\toption ip '"+had+"'\n"))
	heard := s.proc.mark()
	s.proc.signal(syscall.SIGHUP)
	s.says(s.proc, heard, "reading the configuration again")
	ben := s.laptop("ben", 2, udhcpc{})
	s.boot(ben)
	other := s.reports(ben, 0, "bound").ip
	if other == had {
		t.Fatalf("ben has %s, which anna was told is hers", had)
	}
	mark := anna.reports.mark()
	check(t, anna.client.renew(anna))
	if o := s.reports(anna, mark, "bound"); o.ip == had || o.ip == other {
		t.Errorf("anna had %s, ben has %s, then anna reported %q", had, other, o.raw)
	}
	mark = ben.reports.mark()
	check(t, ben.client.renew(ben))
	if o := s.reports(ben, mark, "bound"); o.ip != had {
		t.Errorf("%s is reserved for ben, who reported %q", had, o.raw)
	}
}

// TestRapidCommit: a client that asks for it has its address after two messages.
func TestRapidCommit(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dnsmasq\n\toption rapidcommit '1'\n")
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	quick := s.laptop("anna", 1, dhcpcd{})
	bound := s.list(quick)
	p := s.dhcpcdWith(quick, "option rapid_commit\noption domain_name_servers\n")
	if ip := bound(p, "BOUND")["new_ip_address"]; !strings.HasPrefix(ip, "192.168.1.") {
		t.Errorf("dhcpcd has %q", ip)
	}
	s.once(s.laptop("ben", 2, udhcpc{}))
	seen := map[string]string{}
	for _, line := range s.packets("dhcp", "dhcp.hw.mac_addr", "dhcp.option.dhcp") {
		f := strings.Fields(line)
		mac, _, _ := strings.Cut(f[0], ",")
		if kind := f[len(f)-1]; !strings.HasSuffix(seen[mac], kind) {
			seen[mac] += kind
		}
	}
	if got := seen[quick.mac]; got != "15" {
		t.Errorf("dhcpcd and the router said %s; want a DISCOVER and an ACK", got)
	}
	if got := seen["02:00:5e:00:03:02"]; !strings.HasPrefix(got, "1235") {
		t.Errorf("udhcpc and the router said %s; want the four messages", got)
	}
}

// TestBOOTP: a client from before DHCP gets an address that is its own for ever,
// and what fits into 300 octets.
func TestBOOTP(t *testing.T) {
	t.Parallel()
	s := newStreet(t, `
config interface 'wan'
	option proto 'none'
config dhcp 'lan'
	option leasetime '2m'
	option bootp_dynamic '1'
config host
	option mac '02:00:5e:00:03:02'
	option ip '192.168.1.20'
config boot
	option networkid 'bootp'
	option filename 'image'
`)
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	for port, name := range []string{1: "old", 2: "older"} {
		if port == 0 {
			continue
		}
		l := s.laptop(name, port, udhcpc{})
		check(t, ip(l.ns, "route add 255.255.255.255 dev eth0"))
		out, err := run(l.ns, "bootpc", "--dev", "eth0", "--serverbcast", "--returniffail", "--timeoutwait", "10")
		if err != nil {
			t.Fatalf("%v\nthe router said:\n%s", err, s.proc)
		}
		m := regexp.MustCompile(`IPADDR='?(192\.168\.1\.\d+)`).FindStringSubmatch(out)
		if m == nil || port == 2 && m[1] != "192.168.1.20" {
			t.Fatalf("bootpc on port %d said:\n%s", port, out)
		}
		for _, want := range []string{"255.255.255.0", "192.168.1.255", "image"} {
			if !strings.Contains(out, want) {
				t.Errorf("bootpc on port %d does not say %s:\n%s", port, want, out)
			}
		}
	}
	if got := s.packets("bootp.type == 2 && dhcp.option.dhcp"); len(got) > 0 {
		t.Errorf("a BOOTP client was sent DHCP:\n%s", strings.Join(got, "\n"))
	}
}

// TestLongReply: a reply that is too long for its client goes on in fields that
// are free, where each client looks for it.
func TestLongReply(t *testing.T) {
	t.Parallel()
	long := func(code string, c string, n int) string {
		return "\tlist dhcp_option_force '" + code + "," + strings.Repeat(c, n) + "'\n"
	}
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dhcp 'lan'\n"+
		long("224", "a", 200)+long("225", "b", 100)+long("226", "c", 55))
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	s.once(s.laptop("anna", 1, udhcpc{})).want(t, "udhcpc",
		"opt224", strings.Repeat("61", 200), "opt225", strings.Repeat("62", 100), "opt226", strings.Repeat("63", 55))
	ben := s.laptop("ben", 2, dhclient{})
	bound := s.list(ben)
	p := s.dhclientWith(ben, "option a code 224 = text;\noption b code 225 = text;\noption c code 226 = text;\n")
	bound(p, "BOUND").want(t, "dhclient",
		"new_a", strings.Repeat("a", 200), "new_b", strings.Repeat("b", 100), "new_c", strings.Repeat("c", 55))
	if got := s.packets("dhcp.option.option_overload && dhcp.option.dhcp == 5"); len(got) == 0 {
		t.Error("no reply was overloaded")
	}
}

// TestOptionsMeanWhatTheyMeanToDnsmasq: what is written as dnsmasq has it comes to
// the client as dnsmasq sends it. (The identifier is returned by RFC 6842, which
// dnsmasq does not heed; it names itself as next server; and without being told it
// sends no domain.)
func TestOptionsMeanWhatTheyMeanToDnsmasq(t *testing.T) {
	t.Parallel()
	lines := []string{
		"6,192.0.2.53,0.0.0.0", "option:ntp-server,192.0.2.1,192.0.2.2", "option:mtu,1400", "23,64", "44,192.0.2.44", "46,8",
		"33,10.9.0.1,192.168.1.9", "option:domain-search,a.example,b.a.example,example", "120,sip.example", "66,tftp", "67,a/file",
		"121,10.8.0.0/16,192.168.1.8,0.0.0.0/0,192.168.1.1", "100,CET-1CEST",
		"224,10.0.0.1,10.0.0.2", "225,7", "226,300", "227,70000", "228,7s", "229,7i", "230,01:02:ff", "231,some text", "232,a,b",
		"option:T1,20m", "59,50m", "108,1800", "vendor:MSFT,2,1i", "encap:233,190,user", "tag:!none,234,yes", "tag:none,235,no",
	}
	conf := "config interface 'wan'\n\toption proto 'none'\nconfig dhcp 'lan'\n\toption leasetime '1h'\n"
	dnsmasq := []string{"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--port=0", "--no-ping",
		"--interface=br-lan", "--bind-interfaces", "--dhcp-range=192.168.1.100,192.168.1.249,1h", "--dhcp-authoritative"}
	asks := []string{"-V", "MSFT 5.0", "-O", "43"}
	for _, l := range lines {
		conf += "\tlist dhcp_option '" + l + "'\n"
		dnsmasq = append(dnsmasq, "--dhcp-option="+l)
	}
	for _, code := range []int{6, 23, 33, 42, 44, 46, 26, 58, 59, 66, 67, 100, 108, 119, 120, 121} {
		asks = append(asks, "-O", fmt.Sprint(code))
	}
	for code := 224; code <= 235; code++ {
		asks = append(asks, "-O", fmt.Sprint(code))
	}
	s := newStreet(t, conf)
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	l := s.laptop("anna", 1, udhcpc{})
	ours := s.once(l, asks...)
	_, err := s.proc.end(syscall.SIGKILL)
	check(t, err)
	p := s.spawn(s.router, append(dnsmasq, "--pid-file="+s.dir+"/peer.pid", "--dhcp-leasefile="+s.dir+"/peer.leases")...)
	s.says(p, 0, "sockets bound exclusively|DHCP, IP range")
	theirs := s.once(l, asks...)
	for _, name := range []string{"ip", "domain", "PWD", "_", "opt61", "siaddr"} {
		delete(ours, name)
		delete(theirs, name)
	}
	for name, v := range theirs {
		if ours[name] != v {
			t.Errorf("dnsmasq says %s=%q, we say %q", name, v, ours[name])
		}
	}
	for name, v := range ours {
		if _, ok := theirs[name]; !ok {
			t.Errorf("we say %s=%q, dnsmasq nothing", name, v)
		}
	}
	if len(ours) < len(lines) {
		t.Errorf("only %v", ours)
	}
}
