package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"leasehold/boards"
)

// TestVLANWithPriority: a provider that wants VLAN 35, and one priority for DHCP
// and another for all else. It takes a kernel that has VLANs, so a machine.
func TestVLANWithPriority(t *testing.T) {
	if os.Getenv(qemuEnv) == "" {
		t.Skipf("%s is not set", qemuEnv)
	}
	const board = "qemu_virt-arm64"
	s := newStreet(t, "")
	text, err := boards.Text(board)
	check(t, err)
	own := strings.NewReplacer("option device 'eth0'", "option device 'eth0.35'", "list module 'bridge'", "list module 'bridge'\n\tlist module '8021q'").Replace(string(text))
	file, conf, image := filepath.Join(s.dir, board), filepath.Join(s.dir, "owner"), filepath.Join(s.dir, "image")
	check(t, os.WriteFile(file, []byte(own), 0o644))
	check(t, os.Mkdir(conf, 0o755))
	check(t, os.WriteFile(filepath.Join(conf, "network"), []byte(`
config interface 'wan'
	option device 'eth0.35'
	option skpriority '6'
config device
	option name 'eth0.35'
	list egress_qos_mapping '0:1'
`), 0o644))
	cmd := exec.Command("build/mkfirmware", "pack", "-board", file, "-config", conf, "-kind", "qemu", "-init", "slim", "-o", image)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m, err := newMachine(s.network, board, image)
	check(t, err)
	s.tagged(35, 0)
	provider := s.provider("1h")
	b := &booted{s, m}
	b.on()
	b.saysBy("side=wan.*msg=bound|msg=bound.*side=wan")
	granted := s.says(provider, 0, `DHCPACK\(eth0\) (\S+) `+machineWAN)[1]
	if out, err := run(s.isp, "busybox", "ping", "-c", "1", "-W", "20", granted); err != nil {
		t.Errorf("%v %s", err, out)
	}
	for filter, want := range map[string]string{"dhcp": "35 6", "icmp": "35 1"} {
		tags := s.packets("eth.src == "+machineWAN+" && "+filter, "vlan.id", "vlan.priority")
		if len(tags) == 0 {
			t.Errorf("no %s came from the machine", filter)
		}
		for _, tag := range tags {
			if strings.Join(strings.Fields(tag), " ") != want {
				t.Errorf("%s has the tag %q; want VLAN and priority %s", filter, tag, want)
			}
		}
	}
}
