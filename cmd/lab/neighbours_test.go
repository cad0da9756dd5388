package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// udhcpdIn starts busybox's server in another namespace, where leases are short
// enough to watch it.
func (s *street) udhcpdIn(ns string, a site) *process {
	s.Helper()
	s.touch(s.dir + "/" + ns + ".leases")
	return s.spawn(ns, "busybox", "udhcpd", "-f", "-a", "1", s.file(ns+".conf", fmt.Sprintf(
		"start %s\nend %s\ninterface eth0\nmin_lease 5\nlease_file %s/%s.leases\npidfile %[3]s/%[4]s.pid\n"+
			"option subnet 255.255.255.0\noption router %s\noption lease 60\n",
		a.first(), a.last(), s.dir, ns, a.addr())))
}

// TestModemIsRejected: a cable modem that answers faster than the provider is
// not listened to, by DISCOVER or after a reboot, and the page says why.
func TestModemIsRejected(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\tlist reject '192.168.100.0/24'\n")
	modem := site{"192.168.100", 1}
	s.udhcpdIn(s.neighbour("modem", modem.addr()+"/24"), modem)
	s.on()
	m := s.says(s.proc, 0, `msg="answer not wanted" side=wan addr=(\S+) server=192.168.100.1 detail="192.168.100.0/24 is to be rejected"`)
	s.eventually("the modem on the page", func() bool {
		return strings.Contains(s.page(), m[1]+" of 192.168.100.1 is not wanted: 192.168.100.0/24 is to be rejected")
	})
	s.hasWAN("")
	mark := s.proc.mark()
	isp := s.provider("1h")
	s.says(s.proc, mark, `msg=bound side=wan addr=203.0.113.\d+ server=`+ispAddr)
	s.says(isp, 0, `DHCPACK\(eth0\) 203.0.113.\d+ 02:00:5e:00:01:01`)
	if n := len(s.packets("dhcp.option.dhcp == 3 && dhcp.option.dhcp_server_id == 192.168.100.1 && eth.src == 02:00:5e:00:01:01")); n > 0 {
		t.Errorf("the modem was asked %d times", n)
	}
}

// TestTwoProviders: of two servers that offer the router asks one, in a message
// that the other hears too, and says what it thinks of the other's offer.
func TestTwoProviders(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	other := site{"198.51.100", 1}
	s.udhcpdIn(s.neighbour("other", other.addr()+"/24"), other)
	s.provider("1h")
	s.on()
	s.says(s.proc, 0, `msg=offered side=wan addr=203.0.113.\d+ server=`+ispAddr)
	s.says(s.proc, 0, `msg=offered side=wan addr=198.51.100.\d+ server=`+other.addr())
	m := s.says(s.proc, 0, `msg=bound side=wan addr=(\S+) server=(\S+)`)
	s.says(s.proc, 0, `msg=offered .*detail="passed over for `+m[1]+` by `+m[2]+`"`)
	chosen, loser := other, site{"203.0.113", 1}
	if m[2] == ispAddr {
		chosen, loser = loser, chosen
	}
	s.hasWAN(m[1]+"/24", chosen.net+".0/24", "default via "+chosen.addr())
	request := "dhcp.option.dhcp == 3 && ip.dst == 255.255.255.255 && dhcp.option.dhcp_server_id == "
	if n := len(s.packets(request + chosen.addr())); n != 1 {
		t.Errorf("%d REQUESTs for %s; want one", n, chosen.addr())
	}
	if n := len(s.packets(request + loser.addr())); n != 0 {
		t.Errorf("%d REQUESTs for %s; want none", n, loser.addr())
	}
}

// TestAddressIsDefended: who claims the router's address is answered once; who
// insists gets it, and the server is told.
func TestAddressIsDefended(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	isp := s.provider("1h")
	s.on()
	had := s.isBound(0, "bound", site{"203.0.113", 1})
	ns := s.neighbour("rude")
	check(t, ip(ns, "link set eth0 address 02:00:5e:00:04:01", "addr add "+had+"/32 dev eth0"))
	claim := func() {
		t.Helper()
		_, err := run(ns, "busybox", "arping", "-U", "-c", "1", "-I", "eth0", had)
		if err != nil {
			t.Logf("arping: %v", err) // nobody answers it
		}
	}
	claim()
	s.says(s.proc, 0, `msg="address is claimed" side=wan addr=`+had+` by=02:00:5e:00:04:01`)
	s.says(s.proc, 0, `msg="another station claims our address, defended" side=wan addr=`+had)
	s.hasWAN(had+"/24", "203.0.113.0/24", "default via "+ispAddr)
	mark := s.proc.mark()
	claim()
	s.says(s.proc, mark, `msg="in use by another station, declined" side=wan addr=`+had)
	s.says(isp, 0, `DHCPDECLINE\(eth0\) `+had)
	s.hasWAN("")
	if now := s.isBound(mark, "bound", site{"203.0.113", 1}); now == had {
		t.Errorf("bound to %s again, which is another's", now)
	}
	if n := len(s.packets("arp.isgratuitous && arp.src.proto_ipv4 == " + had + " && eth.src == 02:00:5e:00:01:01")); n < 2 {
		t.Errorf("announced %d times; want once for the address, and once against the claim", n)
	}
}

// TestGatewayThatAnswersForAll: a provider that keeps neighbours apart answers
// ARP for every address, and for the one that it has just granted.
func TestGatewayThatAnswersForAll(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	home := site{"203.0.113", 1}
	for i := 100; i <= 110; i++ {
		check(t, ip(s.isp, fmt.Sprintf("addr add %s.%d/32 dev lo", home.net, i)))
	}
	s.dhcpdAt(home)
	s.on()
	had := s.isBound(0, "bound", home)
	if n := len(s.packets("arp.opcode == 2 && arp.src.proto_ipv4 == " + had + " && eth.dst == 02:00:5e:00:01:01")); n == 0 {
		t.Error("the gateway did not answer: nothing was tested")
	}
	if n := len(s.packets("dhcp.option.dhcp == 4")); n > 0 {
		t.Errorf("%d addresses were declined", n)
	}
}

// TestNoProviderAtAll: after a minute the port has an address of its own choice
// that leads nowhere, and the provider's as soon as there is one.
func TestNoProviderAtAll(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.on()
	m := s.saysIn(80*time.Second, s.proc, 0, `msg="no server, link-local address taken" side=wan addr=(169\.254\.\S+)`)
	s.hasWAN(m[1]+"/16", "169.254.0.0/16")
	s.eventually("it on the page", func() bool { return strings.Contains(s.page(), m[1]+"/16") })
	if resolv, _ := os.ReadFile(s.resolv()); len(resolv) != 0 {
		t.Errorf("the resolver file says %q", resolv)
	}
	// The modem, which has no line either, can be reached.
	modem := s.neighbour("modem", "169.254.99.1/16")
	if _, err := run(modem, "busybox", "ping", "-c", "1", "-W", "5", m[1]); err != nil {
		t.Error(err)
	}
	mark := s.proc.mark()
	s.provider("1h")
	s.saysIn(80*time.Second, s.proc, mark, `msg=bound side=wan addr=203.0.113.`)
	s.hasWAN(s.uplink()+"/24", "203.0.113.0/24", "default via "+ispAddr)
	if n := len(s.packets("arp.opcode == 1 && arp.src.proto_ipv4 == 0.0.0.0 && arp.dst.proto_ipv4 == " + m[1])); n < 3 {
		t.Errorf("%s was probed for %d times; want three at least", m[1], n)
	}
	if n := len(s.packets("arp.isgratuitous && arp.src.proto_ipv4 == " + m[1])); n != 2 {
		t.Errorf("%s was announced %d times; want twice", m[1], n)
	}
	if n := len(s.packets("dhcp && ip.src == 169.254.0.0/16")); n > 0 {
		t.Errorf("%d DHCP messages came from it; want 0.0.0.0", n)
	}
}

// TestProviderBehindARelay: the server is in another network and answers by way
// of a relay; renewals are routed to it.
func TestProviderBehindARelay(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	server := s.prefix + "server"
	check(t, addNamespace(server))
	check(t, ip(s.isp, "link add back type veth peer name eth0 netns "+server,
		"addr add 10.99.0.1/24 dev back", "link set back up",
		"-n "+server+" addr add 10.99.0.2/24 dev eth0", "-n "+server+" link set eth0 up",
		"-n "+server+" route add default via 10.99.0.1"))
	_, err := run(s.isp, "sysctl", "-w", "net.ipv4.ip_forward=1")
	check(t, err)
	dnsmasq, err := find("dnsmasq")
	check(t, err)
	s.spawn(s.isp, dnsmasq, "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--port=0",
		"--pid-file="+s.dir+"/relay.pid", "--interface=eth0", "--interface=back", "--dhcp-relay=203.0.113.1,10.99.0.2")
	path, env, err := locate("dhcpd", peersAt(t))
	check(t, err)
	s.touch(s.dir + "/dhcpd.leases")
	isp := s.spawn(server, append(append([]string{"env"}, env...), path, "-4", "-d", "-f", "--no-pid",
		"-lf", s.dir+"/dhcpd.leases", "-cf", s.file("dhcpd.conf",
			"authoritative;\nping-check false;\nddns-update-style none;\ndefault-lease-time 24;\nmax-lease-time 24;\n"+
				"subnet 10.99.0.0 netmask 255.255.255.0 {}\n"+
				"subnet 203.0.113.0 netmask 255.255.255.0 {\n\trange 203.0.113.100 203.0.113.110;\n\toption routers 203.0.113.1;\n}\n"), "eth0")...)
	s.on()
	had := s.isBound(0, "bound", site{"203.0.113", 1})
	s.says(isp, 0, `DHCPACK on `+had+` to 02:00:5e:00:01:01 .*via 203.0.113.1`)
	mark := isp.mark()
	s.says(s.proc, 0, `msg=renewed side=wan addr=`+had+` server=10.99.0.2`)
	s.says(isp, mark, `DHCPACK on `+had+` to 02:00:5e:00:01:01 .*via eth0`) // not by the relay
}

// TestProviderReadsWhatWeSay: what the owner has us send is understood by
// another program.
func TestProviderReadsWhatWeSay(t *testing.T) {
	t.Parallel()
	s := newStreet(t, `config interface 'wan'
	option hostname 'home'
	option vendorid 'leasehold-box'
	option clientid 'duid'
	option broadcast '1'
	list sendopts '77:0362696c'
	list reqopts '43'
`)
	isp := s.provider("1h", "--dhcp-option=43,01:02:03")
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	for _, line := range []string{
		`client provides name: home`,
		`vendor class: leasehold-box`,
		`user class: bil`,
		`requested options: 1:netmask, 121:classless-static-route, 249,`,
		`requested options: .*43:vendor-encap`,
		`sent size: .* option: 43 vendor-encap`,
	} {
		s.says(isp, 0, line)
	}
	leases, err := os.ReadFile(s.dir + "/dnsmasq.leases")
	check(t, err)
	if want := "ff:5e:00:01:01:00:03:00:01:02:00:5e:00:01:01"; !strings.Contains(string(leases), want) {
		t.Errorf("the identifier is not %s:\n%s", want, leases)
	}
	if n := len(s.packets("dhcp.flags.bc == 1 && dhcp.type == 1")); n < 2 {
		t.Errorf("%d messages ask for broadcast answers; want DISCOVER and REQUEST", n)
	}
}

// TestForeignPacketsCostNothing: what is not DHCP for the WAN port the kernel
// drops. As many messages that are cost as much as reading them takes.
func TestForeignPacketsCostNothing(t *testing.T) {
	s := newStreet(t, "") // alone: others would be in the figures
	s.provider("1h")
	s.on()
	had := s.isBound(0, "bound", site{"203.0.113", 1})
	time.Sleep(3 * time.Second) // for the second announcement
	s.packets("dhcp")           // no more is captured
	const many = 50_000
	quietly := s.floods(many, 67+1000, had+":9", "255.255.255.255:68", had+":68")
	dearly := s.floods(many, 67, "255.255.255.255:68")
	t.Logf("%d foreign packets: %v; %d messages of DHCP for others: %v", 3*many, quietly, many, dearly)
	if quietly.user > 20*time.Millisecond || quietly.wakes > 3*many/1000 {
		t.Errorf("%d foreign packets cost %v; want nothing", 3*many, quietly)
	}
	if dearly.wakes < 100 || dearly.user <= quietly.user {
		t.Errorf("%d messages cost %v: is anything measured?", many, dearly)
	}
}

// A cost is what a process has used.
type cost struct {
	user  time.Duration
	wakes int // how often one of its threads waited
}

func (c cost) String() string { return fmt.Sprintf("%v of user time, %d wake-ups", c.user, c.wakes) }

// floods sends n packets to each destination from a port at the ISP's, and says
// what that cost the router.
func (s *street) floods(n, port int, to ...string) cost {
	s.Helper()
	var conn net.PacketConn
	check(s.T, inNamespace(s.isp, func() (err error) {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			c.Control(func(fd uintptr) {
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, unixReusePort, 1)
				err = syscall.SetsockoptString(int(fd), syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, "eth0")
			})
			return err
		}}
		conn, err = lc.ListenPacket(s.Context(), "udp4", fmt.Sprintf("%s:%d", ispAddr, port))
		return err
	}))
	defer conn.Close()
	m := honest(dhcpv4.MessageTypeOffer, &dhcpv4.DHCPv4{HWType: 1, ClientHWAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}})
	b := dhcp.Encode(m, nil, 0)
	before := s.spent()
	for range n {
		for _, a := range to {
			addr, err := net.ResolveUDPAddr("udp4", a)
			check(s.T, err)
			conn.WriteTo(b, addr)
		}
	}
	time.Sleep(500 * time.Millisecond)
	after := s.spent()
	return cost{after.user - before.user, after.wakes - before.wakes}
}

const unixReusePort = 15 // SO_REUSEPORT

var waited = regexp.MustCompile(`(?m)^voluntary_ctxt_switches:\s+(\d+)$`)

// spent reads /proc of the router.
func (s *street) spent() (c cost) {
	s.Helper()
	proc := fmt.Sprintf("/proc/%d", s.proc.cmd.Process.Pid)
	stat, err := os.ReadFile(proc + "/stat")
	check(s.T, err)
	_, fields, _ := strings.Cut(string(stat), ") ")
	ticks, err := strconv.Atoi(strings.Fields(fields)[11])
	check(s.T, err)
	c.user = time.Duration(ticks) * 10 * time.Millisecond
	tasks, err := filepath.Glob(proc + "/task/*/status")
	check(s.T, err)
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		check(s.T, err)
		m := waited.FindSubmatch(text)
		n, err := strconv.Atoi(string(m[1]))
		check(s.T, err)
		c.wakes += n
	}
	return c
}

// TestNothingLeavesBeforeTheFilter: every packet socket has its filter before it
// is bound, and is bound before anything is sent by it.
func TestNothingLeavesBeforeTheFilter(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	trace := s.dir + "/strace"
	s.binary = append([]string{"strace", "-f", "-y", "-s", "16", "-e", "trace=socket,setsockopt,bind,sendto,sendmsg,close", "-o", trace}, s.binary...)
	s.provider("1h")
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	_, err := s.proc.end(syscall.SIGTERM)
	check(t, err)
	text, err := os.ReadFile(trace)
	check(t, err)
	filtered, bound, sent := map[string]bool{}, map[string]bool{}, 0
	packet := map[string]bool{}
	for _, c := range parseCalls(string(text)) {
		id := c.file
		switch {
		case c.name == "socket" && strings.Contains(c.text, "AF_PACKET"):
			packet[id] = true
		case !packet[id] || c.result < 0:
		case strings.Contains(c.text, "SO_ATTACH_FILTER"):
			filtered[id] = true
		case c.name == "bind":
			if bound[id] = true; !filtered[id] {
				t.Errorf("bound without a filter: %s", c.text)
			}
		case strings.HasPrefix(c.name, "send"):
			if sent++; !filtered[id] || !bound[id] {
				t.Errorf("sent before filter and address: %s", c.text)
			}
		}
	}
	if len(packet) < 3 || sent < 4 {
		t.Errorf("%d packet sockets, %d packets sent: is anything traced?\n%s", len(packet), sent, text)
	}
	if bad := s.packets("dhcp.type == 1 && ip.src == 0.0.0.0 && ip.dst != 255.255.255.255"); len(bad) > 0 {
		t.Errorf("unicast without an address: %q", bad)
	}
}
