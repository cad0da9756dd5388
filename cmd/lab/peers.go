package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A server is a DHCP server for 192.168.0.0/16 on br-lan, to be measured.
type server struct {
	name  string
	start func(plan) (*process, error)
}

// servers is how many there are.
const servers = 5

// server returns one of the servers, to run on the crowd's router. The first
// two have an ACK wait until the lease is on disk.
func (c crowd) server(i int, binary string) server {
	return [servers]server{
		{"leasehold", c.leasehold(binary)},
		{"dnsmasq", c.dnsmasq},
		{"ISC dhcpd", c.dhcpd},
		{"Kea", c.kea},
		{"udhcpd", c.udhcpd},
	}[i]
}

// A plan is what a server is to do.
type plan struct {
	pool  int
	term  time.Duration // of a lease
	store string        // where it keeps leases: alone in its directory
	apart string        // where programs are that are not installed
	under []string      // what it runs under
	more  string        // of leasehold's configuration
}

// seconds is how every server takes a term.
func (p plan) seconds() int { return int(p.term / time.Second) }

// addrs returns the ends of the pool.
func (p plan) addrs() (first, last netip.Addr) {
	f := netip.MustParseAddr("192.168.3.232").As4()
	l := f
	binary.BigEndian.PutUint32(l[:], binary.BigEndian.Uint32(f[:])+uint32(p.pool)-1)
	return netip.AddrFrom4(f), netip.AddrFrom4(l)
}

// leasehold is the binary that is measured.
func (n *network) leasehold(binary string) func(plan) (*process, error) {
	return func(p plan) (*process, error) {
		text := fmt.Sprintf("config leasehold\n\toption ring '%s'\n\toption resolv_file '%s/resolv.conf'\n"+
			"config interface 'lan'\n\tlist ipaddr '192.168.1.1/16'\nconfig interface 'wan'\n\toption proto 'none'\n"+
			"config dhcp 'lan'\n\toption start '1000'\n\toption limit '%d'\n\toption leasetime '%d'\n"+
			"config dnsmasq\n\toption noping '1'\n%s", // nor do the others
			p.store, n.dir, p.pool, p.seconds(), p.more)
		conf, err := n.write("leasehold.conf", text)
		if err != nil {
			return nil, err
		}
		if err := usedRing(p.store); err != nil {
			return nil, err
		}
		return start(n.router, nil, append(p.under, binary, "run", "-c", conf)...)
	}
}

func (n *network) dnsmasq(p plan) (*process, error) {
	first, last := p.addrs()
	return n.peer(p, nil, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root",
		"--port=0", "--no-ping", "--quiet-dhcp", "--interface=br-lan", "--bind-interfaces", "--dhcp-authoritative",
		"--pid-file="+n.dir+"/dnsmasq.pid", "--dhcp-leasefile="+p.store, "--dhcp-lease-max=70000",
		fmt.Sprintf("--dhcp-range=%v,%v,255.255.0.0,%d", first, last, p.seconds()))
}

// dhcpd is ISC's.
func (n *network) dhcpd(p plan) (*process, error) {
	first, last := p.addrs()
	text := fmt.Sprintf("authoritative;\nping-check false;\nddns-update-style none;\n"+
		"default-lease-time %d;\nmax-lease-time %[1]d;\n"+
		"subnet 192.168.0.0 netmask 255.255.0.0 {\n\trange %v %v;\n\toption routers 192.168.1.1;\n}\n",
		p.seconds(), first, last)
	conf, err := n.write("dhcpd.conf", text)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.store, nil, 0o644); err != nil { // it makes none itself
		return nil, err
	}
	return n.peer(p, nil, "dhcpd", "-4", "-f", "-q", "--no-pid", "-cf", conf, "-lf", p.store, "br-lan")
}

// kea keeps its leases in a file, as it does by default.
func (n *network) kea(p plan) (*process, error) {
	first, last := p.addrs()
	text := fmt.Sprintf(`{"Dhcp4": {
	"interfaces-config": {"interfaces": ["br-lan"]},
	"lease-database": {"type": "memfile", "persist": true, "name": "%s"},
	"valid-lifetime": %d,
	"subnet4": [{"id": 1, "subnet": "192.168.0.0/16", "pools": [{"pool": "%v - %v"}],
		"option-data": [{"name": "routers", "data": "192.168.1.1"}]}],
	"loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": "stdout"}]}]
}}`, p.store, p.seconds(), first, last)
	conf, err := n.write("kea.conf", text)
	if err != nil {
		return nil, err
	}
	path, _, err := locate("kea-dhcp4", p.apart)
	if err != nil {
		return nil, err
	}
	env := []string{"KEA_PIDFILE_DIR=" + n.dir, "KEA_LOCKFILE_DIR=" + n.dir,
		"KEA_DHCP_DATA_DIR=" + filepath.Dir(p.store), "KEA_LFC_EXECUTABLE=" + filepath.Dir(path) + "/kea-lfc"}
	return n.peer(p, env, "kea-dhcp4", "-c", conf)
}

// udhcpd is busybox's. It would wait two seconds for an answer to ARP before
// each offer.
func (n *network) udhcpd(p plan) (*process, error) {
	first, last := p.addrs()
	text := fmt.Sprintf("interface br-lan\nstart %v\nend %v\nmax_leases %d\nlease_file %s\npidfile %s/udhcpd.pid\n"+
		"option subnet 255.255.0.0\noption router 192.168.1.1\noption lease %d\n",
		first, last, p.pool, p.store, n.dir, p.seconds())
	conf, err := n.write("udhcpd.conf", text)
	if err != nil {
		return nil, err
	}
	return n.peer(p, nil, "busybox", "udhcpd", "-f", "-a", "1", conf)
}

// peer starts a program that does not give the router its address.
func (n *network) peer(p plan, env []string, program string, args ...string) (*process, error) {
	path, more, err := locate(program, p.apart)
	if err != nil {
		return nil, err
	}
	if err := ip(n.router, "addr replace 192.168.1.1/16 dev br-lan"); err != nil {
		return nil, err
	}
	command := slices.Clone(p.under)
	if env = append(env, more...); len(env) > 0 {
		command = append(append(command, "env"), env...)
	}
	return start(n.router, nil, append(append(command, path), args...)...)
}

// write writes a file of the network's and returns its path.
func (n *network) write(name, text string) (string, error) {
	path := n.dir + "/" + name
	return path, os.WriteFile(path, []byte(text), 0o644)
}
