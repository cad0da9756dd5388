package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"leasehold/firmware/config"
	"leasehold/firmware/link"
)

// network sets up the board's ports. The order is what keeps LAN and WAN apart:
// a switch is told of its VLANs before any port is up, and whoever calls opens
// no socket before that. It returns an error only if they are not apart; a port
// that fails is said and left out.
func (s system) network(ctx context.Context, b config.Board) error {
	s.tell(s.nic.up("lo"))
	ports := portsOf(b)
	waiting, cancel := context.WithTimeout(ctx, untilPorts)
	defer cancel()
	missing, err := s.nic.await(waiting, roots(ports)...)
	s.tell(err)
	for _, name := range missing {
		s.log.Error("no such port", "port", name, "waited", untilPorts)
	}
	for _, setup := range setups(b) {
		if err := s.nic.setSwitch(setup); err != nil {
			return fmt.Errorf("LAN and WAN may be one network: switch %w", err)
		}
	}
	for _, name := range ports {
		parent, _, isVLAN := link.SplitVLAN(name)
		if isVLAN && !slices.Contains(missing, parent) {
			s.tell(s.nic.addVLAN(name))
		}
	}
	s.join(b.Ports, missing)
	s.setMACs(b)
	for _, name := range []string{b.Ports.LAN, b.Ports.WAN} {
		if name != "" && !slices.Contains(missing, name) {
			s.tell(s.nic.up(name))
		}
	}
	return nil
}

// tell says what is wrong with a port. The router works on with the others.
func (s system) tell(err error) {
	if err != nil {
		s.log.Error("port not set up", "err", err)
	}
}

// portsOf are the interfaces that have to be there before there is a bridge.
func portsOf(b config.Board) []string {
	ports := slices.Clone(b.Ports.Bridged)
	if len(ports) == 0 && b.Ports.LAN != "" {
		ports = append(ports, b.Ports.LAN)
	}
	if b.Ports.WAN != "" {
		ports = append(ports, b.Ports.WAN)
	}
	return ports
}

// roots are the interfaces that the kernel has by itself: eth0 of eth0.1 and
// eth0.2.
func roots(ports []string) []string {
	var all []string
	for _, name := range ports {
		if parent, _, isVLAN := link.SplitVLAN(name); isVLAN {
			name = parent
		}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// join makes the LAN's bridge of the ports that there are.
func (s system) join(p config.Ports, missing []string) {
	if len(p.Bridged) == 0 {
		return
	}
	if err := s.nic.addBridge(p.LAN); err != nil {
		s.tell(err)
		return
	}
	for _, name := range p.Bridged {
		if !slices.Contains(missing, roots([]string{name})[0]) {
			s.tell(s.nic.enslave(p.LAN, name))
		}
	}
}

func setups(b config.Board) []link.SwitchSetup {
	var all []link.SwitchSetup
	for _, sw := range b.Switches {
		setup := link.SwitchSetup{Name: sw.Name, Reset: sw.Reset}
		for _, v := range b.VLANs {
			if v.Switch == sw.Name {
				setup.VLANs = append(setup.VLANs, vlan(v))
			}
		}
		all = append(all, setup)
	}
	return all
}

func vlan(v config.SwitchVLAN) link.SwitchVLAN {
	out := link.SwitchVLAN{ID: v.ID}
	for _, p := range v.Ports {
		out.Ports = append(out.Ports, link.SwitchPort{Port: p.Port, Tagged: p.Tagged})
	}
	return out
}

// setMACs gives LAN and WAN the addresses that the factory wrote down. Where
// there are none the kernel knows better, or makes some up.
func (s system) setMACs(b config.Board) {
	for _, m := range b.MACs {
		name := b.Ports.LAN
		if m.Port == "wan" {
			name = b.Ports.WAN
		}
		mac, err := s.readMAC(m)
		if err == nil {
			err = s.nic.setMAC(name, mac)
		}
		if err != nil {
			s.log.Error("factory MAC address not set", "port", name, "err", err)
		}
	}
}

var errNoMAC = errors.New("no address of one machine")

func (s system) readMAC(m config.MACSource) (mac [6]byte, err error) {
	node, err := s.findMTD(m.Partition)
	if err != nil {
		return mac, err
	}
	f, err := os.Open(s.path(node))
	if err != nil {
		return mac, err
	}
	defer f.Close()
	if _, err := f.ReadAt(mac[:], m.Offset); err != nil {
		return mac, fmt.Errorf("%s at %#x: %w", m.Partition, m.Offset, err)
	}
	out := addMAC(mac, m.Add)
	if !usable(mac) || !usable(out) {
		return mac, fmt.Errorf("%s at %#x: % x: %w", m.Partition, m.Offset, mac, errNoMAC)
	}
	return out, nil
}

// findMTD returns the node of the partition, on flash of any kind.
func (s system) findMTD(name string) (string, error) {
	const class = "/sys/class/mtd"
	entries, err := os.ReadDir(s.path(class))
	if err != nil {
		return "", fmt.Errorf("find the MTD partition %q: %w", name, err)
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "mtd")
		if _, err := strconv.ParseUint(digits, 10, 16); !ok || err != nil {
			continue // mtd0ro
		}
		text, err := s.read(filepath.Join(class, e.Name(), "name"))
		if err == nil && strings.TrimSuffix(string(text), "\n") == name {
			return "/dev/" + e.Name(), nil
		}
	}
	return "", fmt.Errorf("no MTD partition is named %q", name)
}

// addMAC counts on in the last three octets, which are the maker's to give.
func addMAC(mac [6]byte, n int) [6]byte {
	low := (int(mac[3])<<16 | int(mac[4])<<8 | int(mac[5])) + n
	mac[3], mac[4], mac[5] = byte(low>>16), byte(low>>8), byte(low)
	return mac
}

// usable leaves out groups, and what erased or never written flash has.
func usable(mac [6]byte) bool { return mac[0]&1 == 0 && mac != [6]byte{} }
