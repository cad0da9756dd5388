package boot

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"leasehold/firmware/config"
)

// mango is a board with swconfig; dsa one whose ports are apart by themselves.
var (
	mango = config.Board{
		Ports:    config.Ports{LAN: "br-lan", Bridged: []string{"eth0.1"}, WAN: "eth0.2"},
		Switches: []config.Switch{{Name: "switch0", Reset: true, VLAN: true}},
		VLANs: []config.SwitchVLAN{
			{Switch: "switch0", ID: 1, Ports: []config.SwitchPort{{Port: 1}, {Port: 6, Tagged: true}}},
			{Switch: "switch0", ID: 2, Ports: []config.SwitchPort{{Port: 0}, {Port: 6, Tagged: true}}},
		},
		MACs: []config.MACSource{{Port: "lan", Partition: "factory", Offset: 4}, {Port: "wan", Partition: "factory", Offset: 4, Add: 1}},
	}
	dsa = config.Board{Ports: config.Ports{LAN: "br-lan", Bridged: []string{"lan1", "missing", "lan3"}, WAN: "wan"}}
)

// factory has the MTD partitions of a board.
func (b *bench) factory(content string) {
	b.write("sys/class/mtd/mtd0/name", "u-boot\n")
	b.write("sys/class/mtd/mtd0ro/name", "factory\n")
	b.write("sys/class/mtd/mtd2/name", "factory\n")
	b.write("dev/mtd2", content)
}

// TestSwitchComesBeforeAnyPortIsUp: until it is told of its VLANs, it hands what
// we send to the LAN to the provider.
func TestSwitchComesBeforeAnyPortIsUp(t *testing.T) {
	b := newBench(t)
	b.factory("\x28\x76\x00\x00\xe4\x95\x6e\x40\x55\xff")
	if err := b.network(t.Context(), mango); err != nil {
		t.Fatal(err)
	}
	b.didExactly(
		"up lo",
		"await eth0",
		"switch switch0 [{1 [{1 false} {6 true}]} {2 [{0 false} {6 true}]}]",
		"vlan eth0.1",
		"vlan eth0.2",
		"bridge br-lan",
		"enslave eth0.1 to br-lan",
		"mac br-lan e4956e4055ff",
		"mac eth0.2 e4956e405600",
		"up br-lan",
		"up eth0.2",
	)
	b.saidOnly()
}

// TestNoNetworkWithoutTheSwitch: nothing is set up that somebody could be served
// on.
func TestNoNetworkWithoutTheSwitch(t *testing.T) {
	b := newBench(t)
	b.fails["switch"] = unix.EINVAL
	err := b.network(t.Context(), mango)
	if err == nil || !strings.HasPrefix(err.Error(), "LAN and WAN may be one network") {
		t.Errorf("network = %v", err)
	}
	b.didExactly("up lo", "await eth0", "switch switch0 [{1 [{1 false} {6 true}]} {2 [{0 false} {6 true}]}]")
}

// TestPortThatIsMissing: the LAN is what there is of it.
func TestPortThatIsMissing(t *testing.T) {
	b := newBench(t)
	b.fails["enslave lan3"] = unix.EBUSY
	if err := b.network(t.Context(), dsa); err != nil {
		t.Fatal(err)
	}
	b.didExactly(
		"up lo", "await lan1 missing lan3 wan", "bridge br-lan",
		"enslave lan1 to br-lan", "enslave lan3 to br-lan", "up br-lan", "up wan",
	)
	b.saidOnly(`msg="no such port" port=missing waited=10s`, `msg="port not set up" err="device or resource busy"`)
}

func TestLANOfOnePort(t *testing.T) {
	b := newBench(t)
	b.network(t.Context(), config.Board{Ports: config.Ports{LAN: "eth1", WAN: "eth0"}})
	b.didExactly("up lo", "await eth1 eth0", "up eth1", "up eth0")
}

func TestNoBoardNoPorts(t *testing.T) {
	b := newBench(t)
	b.network(t.Context(), config.Board{})
	b.didExactly("up lo", "await")
}

func TestReadMAC(t *testing.T) {
	for _, tc := range []struct {
		name, content string
		add           int
		want, err     string
	}{
		{"plain", "....\xe4\x95\x6e\x40\x55\xff", 0, "mac wan e4956e4055ff", ""},
		{"with carry", "....\xe4\x95\x6e\x40\xff\xff", 2, "mac wan e4956e410001", ""},
		{"the maker's part stays", "....\xe4\x95\x6e\xff\xff\xff", 1, "mac wan e4956e000000", ""},
		{"erased", "....\xff\xff\xff\xff\xff\xff", 0, "", "no address of one machine"},
		{"zeros", "....\x00\x00\x00\x00\x00\x00", 1, "", "no address of one machine"},
		{"a group", "....\x01\x00\x5e\x00\x00\x01", 0, "", "no address of one machine"},
		{"too short", "....\xe4\x95", 0, "", "factory at 0x4: EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.factory(tc.content)
			b.setMACs(config.Board{Ports: config.Ports{WAN: "wan"}, MACs: []config.MACSource{{Port: "wan", Partition: "factory", Offset: 4, Add: tc.add}}})
			if tc.want != "" {
				b.didExactly(tc.want)
				b.saidOnly()
				return
			}
			b.didExactly()
			b.saidOnly(tc.err)
		})
	}
}

func TestMACOfNoPartition(t *testing.T) {
	b := newBench(t)
	b.setMACs(mango)
	b.factory("")
	b.setMACs(config.Board{MACs: []config.MACSource{{Port: "lan", Partition: "art"}}})
	b.didExactly()
	if s := b.said.String(); !strings.Contains(s, `no MTD partition is named \"art\"`) || strings.Count(s, "\n") != 3 {
		t.Errorf("said %s", s)
	}
}
