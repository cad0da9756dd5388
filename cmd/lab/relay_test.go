package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	agentIP   = "192.168.1.2" // of the relay agent, on the LAN
	officeIP  = "10.9.0.1"    // and in the office behind it
	officeNet = `
config interface 'wan'
	option proto 'none'
config dhcp 'office'
	option interface 'lan'
	option subnet '10.9.0.0/24'
	option leasetime '30m'
	list dhcp_option '6,192.0.2.55'
	list dhcp_option '15,office.example'
`
)

// agent plugs a router into port 9 that leads to the office, without a relay
// agent on it yet. It returns its namespace.
func (s *street) agent() string {
	s.Helper()
	ns, _, err := s.addLaptop("agent", 9)
	check(s.T, err)
	check(s.T, ip(ns,
		"addr add "+agentIP+"/24 dev eth0",
		"route add default via "+routerIP,
		"link add office type bridge forward_delay 0",
		"addr add "+officeIP+"/24 dev office",
		"link set office up"))
	check(s.T, ip(s.router, "addr add "+routerIP+"/24 brd + dev br-lan", "route add 10.9.0.0/24 via "+agentIP))
	_, err = run(ns, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	check(s.T, err)
	return ns
}

// desk plugs a laptop into the office.
func (s *street) desk(agent, name string, port int, c client) *laptop {
	s.Helper()
	l := s.laptop(name, port, c)
	plug := fmt.Sprintf("lan%d", port)
	check(s.T, ip(s.router, "link set "+plug+" netns "+agent))
	check(s.T, ip(agent, "link set "+plug+" master office up"))
	return l
}

// peer is where a program is that is not installed, as `env` takes it.
func (s *street) peer(program string) []string {
	s.Helper()
	dir, err := filepath.Abs("../../build/" + peersDir)
	check(s.T, err)
	path, env, err := locate(program, dir)
	check(s.T, err)
	return append(append([]string{"env"}, env...), path)
}

// TestClientsBehindRelayAgents: through ISC's and dnsmasq's relay agents clients
// get addresses of their network, renew them by unicast, are refused what is not
// theirs, and keep what they have over a power cut.
func TestClientsBehindRelayAgents(t *testing.T) {
	for _, tt := range []struct {
		name   string
		start  func(s *street) []string
		more   string // of the configuration
		giaddr string
	}{
		// Option 82 with the circuit, and the agent's address in the office.
		{"isc", func(s *street) []string {
			return append(s.peer("dhcrelay"), "-4", "-d", "--no-pid", "-a", "-id", "office", "-iu", "eth0", routerIP)
		}, "", officeIP},
		// RFC 3527: the agent's address on the LAN, and a link selection.
		{"isc, link selection", func(s *street) []string {
			return append(s.peer("dhcrelay"), "-4", "-d", "--no-pid", "-U", "eth0", "-id", "office", routerIP)
		}, "\tlist dhcp_option '3," + officeIP + "'\n", agentIP},
		{"dnsmasq", func(s *street) []string {
			return []string{"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--port=0",
				"--log-dhcp", "--pid-file=" + s.dir + "/relay.pid", "--dhcp-relay=" + officeIP + "," + routerIP}
		}, "", officeIP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, officeNet+tt.more)
			agent := s.agent()
			s.on()
			s.says(s.proc, 0, "msg=serving")
			relay := s.spawn(agent, tt.start(s)...)
			ben, cleo := s.desk(agent, "ben", 1, dhclient{}), s.desk(agent, "cleo", 2, udhcpc{})
			wrong := "lease {\n interface \"eth0\";\n fixed-address 192.168.1.77;\n option dhcp-lease-time 86400;\n option dhcp-message-type 5;\n" +
				" option dhcp-server-identifier 192.168.1.9;\n renew never;\n rebind never;\n expire never;\n}\n"
			check(t, os.WriteFile(ben.file("leases"), []byte(wrong), 0o644))
			had := map[*laptop]string{}
			for _, l := range []*laptop{ben, cleo} {
				s.boot(l)
				o := s.reports(l, 0, "bound")
				had[l] = o.ip
				if !strings.HasPrefix(o.ip, "10.9.0.") || o.term != 30*time.Minute || o.server != routerIP || o.router != officeIP ||
					o.dns != "192.0.2.55" || o.domain != "office.example" {
					t.Errorf("%s reports %+v; the agent said:\n%s", l.name, o, relay)
				}
			}
			s.says(ben.proc, 0, "DHCPNAK") // for what it brought along
			s.says(s.proc, 0, "msg=bound side=lan network=lan .*relayed=office name=cleo addr="+had[cleo])

			renew := func() {
				t.Helper()
				mark := cleo.reports.mark()
				check(t, cleo.client.renew(cleo))
				if o := s.reports(cleo, mark, "renewed"); o.ip != had[cleo] || o.router != officeIP {
					t.Errorf("cleo had %s and reports %+v", had[cleo], o)
				}
			}
			renew()
			check(t, s.powerCut())
			check(t, ip(s.router, "addr add "+routerIP+"/24 brd + dev br-lan", "link set br-lan up"))
			check(t, s.powerBack())
			s.owns(s.proc)
			check(t, ip(s.router, "route replace 10.9.0.0/24 via "+agentIP))
			s.says(s.proc, 0, "msg=serving")
			for l, a := range had { // through their agent, which is known from then on
				mark := l.reports.mark()
				check(t, l.client.reboot(l))
				if o := s.reports(l, mark, "rebooted", "bound"); o.ip != a {
					t.Errorf("%s had %s and has %s after a power cut", l.name, a, o.ip)
				}
			}
			renew()
			mark, heard := cleo.reports.mark(), s.proc.mark()
			check(t, cleo.client.release(cleo))
			s.reports(cleo, mark, "released")
			s.says(s.proc, heard, "msg=released .*relayed=office .*addr="+had[cleo])

			s.echoes(tt.giaddr)
			s.eventually("the office on the page", func() bool {
				page := s.page()
				return strings.Contains(page, "Network “office”") && strings.Contains(page, had[ben])
			})
		})
	}
}

// echoes looks on the wire whether every answer to the agent goes to its port
// 67, and has its option 82 as it was.
func (s *street) echoes(giaddr string) {
	s.Helper()
	said := map[string]bool{} // by transaction: ISC's agent also forwards what it sees being routed
	asked := s.packets("dhcp.type == 1 && dhcp.ip.relay != 0.0.0.0", "dhcp.id", "dhcp.option.agent_information_option.value")
	for _, line := range asked {
		said[line] = true
	}
	answers := s.packets("dhcp.type == 2 && dhcp.ip.relay != 0.0.0.0 && udp.dstport == 67", "dhcp.id", "dhcp.option.agent_information_option.value", "ip.dst", "dhcp.ip.relay")
	if len(answers) < 3 {
		s.Errorf("%d answers to the agent; want 3 or more", len(answers))
	}
	for _, line := range answers {
		f := strings.Split(line, "\t")
		if !said[strings.TrimSpace(f[0]+"\t"+f[1])] || f[2] != giaddr || f[3] != giaddr {
			s.Errorf("the agent %s said %v; the answer to %s is %q", giaddr, said, f[2], f)
		}
	}
}

// TestCircuitOfARelayAgent: who is plugged in where the agent says has the
// address and the options of that place, also at its renewal, which the agent
// does not see; one after the other.
func TestCircuitOfARelayAgent(t *testing.T) {
	t.Parallel()
	s := newStreet(t, officeNet+`
config circuitid
	option networkid 'floor'
	option circuitid 'office'
	list dhcp_option '42,192.0.2.99'
	list dhcp_option '6,192.0.2.66'
config host
	option circuitid 'office'
	option ip '10.9.0.77'
`)
	agent := s.agent()
	s.on()
	s.says(s.proc, 0, "msg=serving")
	s.spawn(agent, append(s.peer("dhcrelay"), "-4", "-d", "--no-pid", "-a", "-id", "office", "-iu", "eth0", routerIP)...)
	first, next := s.desk(agent, "ben", 1, udhcpc{}), s.desk(agent, "cleo", 2, dhclient{})
	s.boot(first)
	if o := s.reports(first, 0, "bound"); o.ip != "10.9.0.77" || o.dns != "192.0.2.66" {
		t.Errorf("the first there reports %+v", o)
	}
	s.boot(next)
	if o := s.reports(next, 0, "bound"); o.ip == "10.9.0.77" || o.dns != "192.0.2.66" {
		t.Errorf("the next there reports %+v", o)
	}
	mark := first.reports.mark()
	check(t, first.client.renew(first))
	if o := s.reports(first, mark, "renewed"); o.ip != "10.9.0.77" || o.dns != "192.0.2.66" {
		t.Errorf("the first there renewed %+v", o)
	}
}
