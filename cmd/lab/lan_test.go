package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var allClients = map[string]client{"udhcpc": udhcpc{}, "dhclient": dhclient{}, "dhcpcd": dhcpcd{}}

// TestClientsGetWhatIsConfigured: what each client reports is what the
// configuration says.
func TestClientsGetWhatIsConfigured(t *testing.T) {
	t.Parallel()
	s := newStreet(t, `
config interface 'wan'
	option proto 'none'
config dhcp 'lan'
	option leasetime '1h'
	list dhcp_option '6,192.0.2.53'
config dnsmasq
	option domain 'home.example'
config host
	option name 'printer'
	option mac '02:00:5e:00:03:01'
	option ip '192.168.1.20'
`)
	s.on()
	port := 1
	for name, c := range allClients {
		l := s.laptop(name, port, c)
		s.boot(l)
		o := s.reports(l, 0, "bound")
		if o.term != time.Hour || o.server != routerIP || o.router != routerIP || o.dns != "192.0.2.53" || o.domain != "home.example" {
			t.Errorf("%s reports %+v", name, o)
		}
		if out, _ := run(l.ns, "ip", "-4", "-o", "addr", "show", "dev", "eth0"); !strings.Contains(out, o.ip+"/24 ") {
			t.Errorf("%s set %s", name, out)
		}
		if reserved := l.mac == "02:00:5e:00:03:01"; reserved != (o.ip == "192.168.1.20") {
			t.Errorf("%s on %s has %s; 192.168.1.20 is reserved for 02:00:5e:00:03:01", name, l.mac, o.ip)
		}
		port++
	}
}

// TestClientsRelease: each client gives its address back, says so, and finds it
// again.
func TestClientsRelease(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	s.on()
	port := 1
	for name, c := range allClients {
		l := s.laptop(name, port, c)
		s.boot(l)
		had := s.reports(l, 0, "bound").ip
		mark, heard := l.reports.mark(), s.proc.mark()
		check(t, c.release(l))
		s.reports(l, mark, "released")
		s.says(s.proc, heard, "msg=released .*addr="+had+"$")
		if have := l.addr(); have != "" {
			t.Errorf("%s released %s and has %s", name, had, have)
		}
		l.proc.end(syscall.SIGKILL)
		mark = l.reports.mark()
		s.boot(l)
		if again := s.reports(l, mark, "bound", "rebooted").ip; again != had {
			t.Errorf("%s released %s and came back to %s", name, had, again)
		}
		port++
	}
}

// TestUnicastWithoutARP: "A server or relay agent [...] SHOULD unicast" to a
// client that cannot answer ARP yet, in a frame for its card (RFC 2131, section
// 4.1); to one that says it cannot take that, broadcast.
func TestUnicastWithoutARP(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dnsmasq\n\toption noping '1'\n")
	check(t, usedRing(s.ring())) // so that it need not ask who uses the address
	s.on()
	plain := s.laptop("plain", 1, udhcpc{})
	shy := s.laptop("shy", 2, udhcpc{[]string{"-B"}})
	for _, l := range []*laptop{plain, shy} {
		s.boot(l)
		s.reports(l, 0, "bound")
	}
	const offersAndACKs = "dhcp.option.dhcp == 2 || dhcp.option.dhcp == 5"
	seen := map[string]int{}
	for _, line := range s.packets(offersAndACKs, "dhcp.hw.mac_addr", "eth.dst", "ip.dst") {
		f := strings.Fields(line)
		f[0], _, _ = strings.Cut(f[0], ",") // again in the client identifier
		seen[f[0]]++
		if f[0] == plain.mac && (f[1] != plain.mac || !strings.HasPrefix(f[2], "192.168.1.")) {
			t.Errorf("to %s without the broadcast flag: frame to %s, packet to %s", f[0], f[1], f[2])
		}
		if f[0] == shy.mac && (f[1] != "ff:ff:ff:ff:ff:ff" || f[2] != "255.255.255.255") {
			t.Errorf("to %s with the broadcast flag: frame to %s, packet to %s", f[0], f[1], f[2])
		}
	}
	if seen[plain.mac] < 2 || seen[shy.mac] < 2 {
		t.Errorf("offers and ACKs seen: %v", seen)
	}
	first := s.packets("dhcp.option.dhcp == 2 && dhcp.hw.mac_addr == "+plain.mac, "frame.number")[0]
	if asked := s.packets("arp.opcode == 1 && eth.src == 02:00:5e:00:02:01 && frame.number < " + first); len(asked) > 0 {
		t.Errorf("the router asked by ARP where to send the offer:\n%s", asked)
	}
}

// TestTwoCardsOfOneMachine get an address each.
func TestTwoCardsOfOneMachine(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	s.on()
	s.says(s.proc, 0, "msg=serving")
	l := s.laptop("twin", 1, udhcpc{})
	check(t, ip(s.router,
		"link add lan2 type veth peer name eth1 address 02:00:5e:00:03:02 netns "+l.ns,
		"link set lan2 master br-lan up",
		"-n "+l.ns+" link set eth1 up"))
	got := map[string]string{}
	for _, card := range []string{"eth0", "eth1", "eth0"} {
		out, err := run(l.ns, "busybox", "udhcpc", "-f", "-n", "-q", "-i", card, "-s", "/bin/true", "-x", "hostname:twin")
		check(t, err)
		m := regexp.MustCompile(`lease of (\S+) obtained`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("udhcpc on %s said:\n%s", card, out)
		}
		if before := got[card]; before != "" && before != m[1] {
			t.Errorf("%s had %s and now has %s", card, before, m[1])
		}
		got[card] = m[1]
	}
	if got["eth0"] == got["eth1"] {
		t.Errorf("both cards have %s", got["eth0"])
	}
}

// TestRebind: a client whose renewal by unicast gets lost asks everybody, and
// keeps its address.
func TestRebind(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dhcp 'lan'\n\toption leasetime '20s'\n")
	s.on()
	l := s.laptop("ben", 1, dhclient{})
	s.boot(l)
	o := s.reports(l, 0, "bound")
	check(t, ip(l.ns, "neigh replace "+routerIP+" lladdr 02:00:5e:ff:ff:ff dev eth0 nud permanent"))
	mark := l.reports.mark()
	if again := s.reports(l, mark, "renewed"); again.ip != o.ip {
		t.Errorf("had %s, then reported %q", o.ip, again.raw)
	}
	const toAll = "dhcp.option.dhcp == 3 && ip.dst == 255.255.255.255 && dhcp.ip.client == "
	if len(s.packets(toAll+o.ip)) == 0 {
		t.Error("it was not by asking everybody")
	}
}

// TestForeignAddressIsRefused: a laptop that comes from another network hears
// NAK and gets an address of this one.
func TestForeignAddressIsRefused(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	s.on()
	s.says(s.proc, 0, "msg=serving")
	l := s.laptop("ben", 1, dhclient{})
	check(t, os.WriteFile(l.file("leases"), []byte(`lease {
  interface "eth0";
  fixed-address 10.9.9.9;
  option subnet-mask 255.255.255.0;
  option dhcp-lease-time 86400;
  option dhcp-message-type 5;
  option dhcp-server-identifier 10.9.9.1;
  renew never;
  rebind never;
  expire never;
}
`), 0o644))
	s.boot(l)
	s.says(l.proc, 0, "DHCPREQUEST for 10.9.9.9")
	s.says(l.proc, 0, "DHCPNAK from "+routerIP)
	if o := s.reports(l, 0, "bound"); !strings.HasPrefix(o.ip, "192.168.1.") {
		t.Errorf("then it was bound to %s", o.ip)
	}
}

// TestDecline: a client that finds its address in use by ARP declines it; the
// address is not given to it again, nor to the next one, and the page says who
// uses it.
func TestDecline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]client{"udhcpc": udhcpc{[]string{"-a"}}, "dhcpcd": dhcpcd{arp: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dhcp 'lan'\n\toption limit '8'\n")
			s.on()
			s.says(s.proc, 0, "msg=serving")
			squatter, squatterMAC, err := s.addLaptop("squatter", 1)
			check(t, err)
			l := s.laptop("anna", 2, c)
			s.boot(l)
			first := s.reports(l, 0, "bound").ip
			check(t, l.client.release(l))
			s.says(s.proc, 0, "msg=released")
			s.eventually("anna without an address", func() bool { return l.addr() == "" })
			_, err = l.proc.end(syscall.SIGKILL)
			check(t, err)
			check(t, ip(squatter, "addr add "+first+"/24 dev eth0"))
			mark := l.reports.mark()
			s.boot(l)
			s.says(s.proc, 0, "address is in use by somebody else.*addr="+first)
			s.says(s.proc, 0, "address is in use without a lease.*addr="+first+" by="+squatterMAC)
			if o := s.reports(l, mark, "bound"); o.ip == first {
				t.Errorf("declined %s and got it again", first)
			}
			next := s.laptop("ben", 3, dhclient{})
			s.boot(next)
			if o := s.reports(next, 0, "bound"); o.ip == first {
				t.Errorf("%s was declined and then given to the next", first)
			}
			s.eventually("the squatter on the page", func() bool {
				return strings.Contains(s.page(), "<td>in use by somebody else<td>"+squatterMAC)
			})
		})
	}
}

// TestSquatter: an address that somebody has set by hand is probed, and not
// offered; without a probe it would be.
func TestSquatter(t *testing.T) {
	t.Parallel()
	for noping, want := range map[string]string{"0": "192.168.1.101", "1": "192.168.1.100"} {
		t.Run("noping "+noping, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dnsmasq\n\toption sequential_ip '1'\n\toption noping '"+noping+"'\n")
			check(t, usedRing(s.ring())) // so that it need not ask anyhow
			s.on()
			s.says(s.proc, 0, "msg=serving")
			squatter, squatterMAC, err := s.addLaptop("squatter", 1)
			check(t, err)
			check(t, ip(squatter, "addr add 192.168.1.100/24 dev eth0"))
			l := s.laptop("anna", 2, udhcpc{})
			s.boot(l)
			if o := s.reports(l, 0, "bound"); o.ip != want {
				t.Errorf("bound to %s; want %s", o.ip, want)
			}
			if noping == "1" {
				return
			}
			s.says(s.proc, 0, "address is in use without a lease.*addr=192.168.1.100 by="+squatterMAC)
			s.eventually("the squatter on the page", func() bool {
				return strings.Contains(s.page(), "<td>in use by somebody else<td>"+squatterMAC)
			})
			s.eventually("the probe on the page of devices", func() bool {
				return strings.Contains(s.seen("/devices"), "probe: in use by "+squatterMAC)
			})
		})
	}
}

// TestTightPool: three quarters of the pool are taken, and a laptop that has made
// up its hardware address gets an hour at most; one with an address of its maker
// gets all of the lease time.
func TestTightPool(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dhcp 'lan'\n\toption limit '20'\nconfig dnsmasq\n\toption noping '1'\n")
	check(t, usedRing(s.ring()))
	s.on()
	s.says(s.proc, 0, "msg=serving")
	ns, _, err := s.addLaptop("crowd", 1)
	check(t, err)
	crowd, err := newLoad(ns)
	check(t, err)
	for n := range uint32(15) {
		check(t, crowd.exchange(n))
	}
	passer, resident := s.laptop("passer", 2, udhcpc{}), s.laptop("resident", 3, udhcpc{})
	check(t, ip(resident.ns, "link set eth0 down", "link set eth0 address 00:1b:2c:00:03:03", "link set eth0 up"))
	s.boot(passer)
	if o := s.reports(passer, 0, "bound"); o.term > time.Hour || o.term < 2*time.Minute {
		t.Errorf("who passes by gets %v; want two minutes to an hour", o.term)
	}
	s.boot(resident)
	if o := s.reports(resident, 0, "bound"); o.term != 12*time.Hour {
		t.Errorf("who has an address of its maker gets %v; want 12 h", o.term)
	}
}

// TestPoolFull: who finds no address is told nothing, and its owner is told why.
func TestPoolFull(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dhcp 'lan'\n\toption limit '1'\n")
	s.on()
	s.says(s.proc, 0, "msg=serving")
	first, second := s.laptop("anna", 1, udhcpc{}), s.laptop("ben", 2, udhcpc{})
	s.boot(first)
	s.reports(first, 0, "bound")
	s.boot(second)
	s.reports(second, 0, "failed")
	s.says(s.proc, 0, `msg="pool full: every address is leased".*name=ben`)
	s.eventually("the reason on the page", func() bool {
		return regexp.MustCompile("<td>ben<td>" + second.mac + "<td>DISCOVER[^<]*<td>[^<]* ago<td class=text>pool full: every address is leased").MatchString(s.page())
	})
	var report struct {
		Networks []struct {
			Devices []struct {
				HardwareAddress string `json:"hardware_address"`
				Address         *string
				Exchanges       []struct{ Asked, Why string }
			}
		}
	}
	check(t, json.Unmarshal([]byte(s.seen("/status.json")), &report))
	d := report.Networks[0].Devices
	if len(d) != 2 || d[0].HardwareAddress != second.mac || d[0].Address != nil || len(d[0].Exchanges) == 0 ||
		d[0].Exchanges[0].Why != "pool full: every address is leased" {
		t.Errorf("the JSON says %+v", report)
	}
	check(t, first.client.release(first)) // and its turn comes
	if o := s.reports(second, 0, "bound"); !strings.HasPrefix(o.ip, "192.168.1.") {
		t.Errorf("bound to %s", o.ip)
	}
}

// TestInform: a host with an address of its own is told the rest, and gets no
// lease.
func TestInform(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\nconfig dhcp 'lan'\n\tlist dhcp_option '6,192.0.2.53'\n")
	s.on()
	s.says(s.proc, 0, "msg=serving")
	l := s.laptop("static", 1, informing{})
	check(t, ip(l.ns, "addr add 192.168.1.50/24 dev eth0"))
	s.boot(l)
	if o := s.reports(l, 0, "informed"); o.dns != "192.0.2.53" || o.term != 0 {
		t.Errorf("reports %+v", o)
	}
	if strings.Contains(s.page(), l.mac) {
		t.Error("the page shows a lease for it")
	}
}

// informing is dhcpcd with an address that was set by hand.
type informing struct{ dhcpcd }

func (informing) start(l *laptop) (*process, error) {
	return dhcpcd{option: "--inform=192.168.1.50/24"}.start(l)
}

func (informing) word(raw string) string {
	return map[string]string{"INFORM": "informed"}[raw]
}

// TestPowerCutRightAfterTheACK: who was told "yes" has the same address
// afterwards, and a stranger who asks for it first does not get it.
func TestPowerCutRightAfterTheACK(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	s.on()
	stranger, _, err := s.addLaptop("stranger", 9) // with a card of its own: the same card would be the same device
	check(t, err)
	var laptops []*laptop
	had := map[*laptop]string{}
	for port := 1; port <= 5; port++ {
		l := s.laptop("l"+string(rune('0'+port)), port, udhcpc{})
		s.boot(l)
		had[l] = s.reports(l, 0, "bound").ip
		laptops = append(laptops, l)
		_, err := s.proc.end(syscall.SIGKILL) // the moment the ACK is in
		check(t, err)
		s.on()
		s.says(s.proc, 0, "msg=serving")
		said, err := run(stranger, "busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", "/bin/true", "-r", had[l])
		check(t, err)
		if strings.Contains(said, "lease of "+had[l]+" obtained") {
			t.Errorf("after cut %d a stranger got %s, which is %s's", port, had[l], l.name)
		}
		for _, old := range laptops {
			mark := old.reports.mark()
			check(t, old.client.renew(old))
			if o := s.reports(old, mark, "renewed"); o.ip != had[old] {
				t.Errorf("after cut %d %s had %s and renewed %s", port, old.name, had[old], o.ip)
			}
			if bad := old.refusals(0); len(bad) > 0 {
				t.Errorf("%s was refused: %v", old.name, bad)
			}
		}
	}
	addrs := []string{}
	for _, a := range had {
		addrs = append(addrs, a)
	}
	slices.Sort(addrs)
	if len(slices.Compact(addrs)) != len(laptops) {
		t.Errorf("some address was given twice: %v", had)
	}
}
