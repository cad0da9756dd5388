package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// The addresses of the lab. The ISP's are set aside for documentation (RFC
// 5737).
const (
	ispAddr  = "203.0.113.1"
	ispNet   = ispAddr + "/24"
	ispFirst = "203.0.113.100"
	ispLast  = "203.0.113.199"
	ispDNS   = "203.0.113.53"
	routerIP = "192.168.1.1"
)

// A network is a street: an ISP, a router with a WAN port and a LAN bridge, and
// laptops on the bridge, each in a network namespace of its own.
type network struct {
	dir         string // for the files of all actors
	isp, router string // namespaces
	prefix      string
}

// newNetwork builds the namespaces and the cables between them. Several
// networks with different names can stand side by side.
func newNetwork(name string) (*network, error) {
	n := &network{dir: labDir + "/" + name, prefix: name + "-", isp: name + "-isp", router: name + "-router"}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return nil, err
	}
	for _, ns := range []string{n.isp, n.router} {
		if err := addNamespace(ns); err != nil {
			return nil, err
		}
	}
	return n, ip(n.router,
		"link add wan address 02:00:5e:00:01:01 type veth peer name eth0 netns "+n.isp,
		"link add br-lan address 02:00:5e:00:02:01 type bridge forward_delay 0",
		"link set br-lan up",
		"-n "+n.isp+" addr add "+ispNet+" dev eth0",
		"-n "+n.isp+" link set eth0 up")
}

// addLaptop plugs a new namespace into port number i of the bridge.
func (n *network) addLaptop(name string, i int) (ns, mac string, err error) {
	ns, mac = n.prefix+name, fmt.Sprintf("02:00:5e:00:03:%02x", i)
	if err := addNamespace(ns); err != nil {
		return "", "", err
	}
	port := fmt.Sprintf("lan%d", i)
	return ns, mac, ip(n.router,
		fmt.Sprintf("link add %s type veth peer name eth0 address %s netns %s", port, mac, ns),
		fmt.Sprintf("link set %s master br-lan up", port),
		"-n "+ns+" link set eth0 up")
}

// cable pulls or plugs the cables of the router: what laptops and ISP notice
// of a router that loses its power.
func (n *network) cable(state string) error {
	links, err := run(n.router, "sh", "-c", "ls /sys/class/net")
	if err != nil {
		return err
	}
	var cmds []string
	for _, l := range strings.Fields(links) {
		if l == "wan" || strings.HasPrefix(l, "lan") {
			cmds = append(cmds, "link set "+l+" "+state)
		}
	}
	return ip(n.router, cmds...)
}

func addNamespace(ns string) error {
	if err := ip("", "netns add "+ns); err != nil {
		return err
	}
	return ip(ns, "link set lo up")
}

// ip runs commands of ip(8), in a namespace unless they name one.
func ip(ns string, commands ...string) error {
	for _, c := range commands {
		args := strings.Fields(c)
		if ns != "" && args[0] != "-n" {
			args = append([]string{"-n", ns}, args...)
		}
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}
