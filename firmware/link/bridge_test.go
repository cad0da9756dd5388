package link

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSplitVLAN(t *testing.T) {
	for _, tc := range []struct {
		name, parent string
		id           int
		ok           bool
	}{
		{"eth0.2", "eth0", 2, true},
		{"eth0.4094", "eth0", 4094, true},
		{"eth0", "", 0, false},
		{"lan1", "", 0, false},
		{"eth0.0", "", 0, false},
		{"eth0.4095", "", 0, false},
		{"eth0.x", "", 0, false},
		{".1", "", 0, false},
		{"eth0.1.2", "", 0, false},
	} {
		if parent, id, ok := SplitVLAN(tc.name); parent != tc.parent || id != tc.id || ok != tc.ok {
			t.Errorf("SplitVLAN(%q) = %q, %d, %v; want %q, %d, %v", tc.name, parent, id, ok, tc.parent, tc.id, tc.ok)
		}
	}
}

// TestAwaitPortsSeesOneThatComesLater: and says which have not come.
func TestAwaitPortsSeesOneThatComesLater(t *testing.T) {
	if !alone(t) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	type result struct {
		missing []string
		err     error
	}
	done := make(chan result)
	go func() {
		missing, err := AwaitPorts(ctx, "lo", "wan", "isp")
		done <- result{missing, err}
	}()
	time.Sleep(50 * time.Millisecond)
	cable(t)
	if got := <-done; got.err != nil || len(got.missing) > 0 {
		t.Errorf("AwaitPorts = %v", got)
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	missing, err := AwaitPorts(soon, "wan", "lan9")
	if err != nil || !slices.Equal(missing, []string{"lan9"}) {
		t.Errorf("AwaitPorts = %v, %v; want lan9", missing, err)
	}
}

// shown is what ip(8) says of an interface.
type shown struct {
	Address   string
	Master    string
	Link      string
	Flags     []string
	OperState string
	LinkInfo  struct {
		Kind string           `json:"info_kind"`
		Data struct{ ID int } `json:"info_data"`
	}
}

func show(t *testing.T, ifname string) shown {
	t.Helper()
	var all []shown
	if err := json.Unmarshal(ip(t, "-j -d link show dev "+ifname), &all); err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// TestBridge: built twice, since what is there already is fine.
func TestBridge(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	mac := [6]byte{2, 0, 0x5e, 1, 2, 3}
	for range 2 {
		for _, err := range []error{AddBridge("br-lan"), Enslave("br-lan", "wan"), SetMAC("br-lan", mac), Up("br-lan")} {
			if err != nil {
				t.Error(err)
			}
		}
	}
	port, bridge := show(t, "wan"), show(t, "br-lan")
	if port.Master != "br-lan" || !slices.Contains(port.Flags, "UP") {
		t.Errorf("wan is %+v", port)
	}
	if bridge.LinkInfo.Kind != "bridge" || bridge.Address != "02:00:5e:01:02:03" || !slices.Contains(bridge.Flags, "UP") {
		t.Errorf("br-lan is %+v", bridge)
	}
}

// TestVLAN: a port as on a board with swconfig.
func TestVLAN(t *testing.T) {
	if !alone(t) {
		return
	}
	cable(t)
	if out, err := exec.Command("ip", strings.Fields("link add link wan name x type vlan id 9")...).CombinedOutput(); err != nil {
		t.Skipf("the kernel has no VLANs: %s", out)
	}
	for range 2 {
		if err := AddVLAN("wan.2"); err != nil {
			t.Error(err)
		}
	}
	vlan := show(t, "wan.2")
	if vlan.LinkInfo.Kind != "vlan" || vlan.LinkInfo.Data.ID != 2 || vlan.Link != "wan" {
		t.Errorf("wan.2 is %+v", vlan)
	}
	if !slices.Contains(show(t, "wan").Flags, "UP") {
		t.Error("the port under the VLAN is not up")
	}
}

// TestPortErrorsNameTheInterface: who reads the log has to know which.
func TestPortErrorsNameTheInterface(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{AddVLAN("eth7.2"), "interface eth7: no such network interface"},
		{AddVLAN("eth7"), "eth7: no VLAN such as eth0.2"},
		{Enslave("br-lan", "eth7"), "interface br-lan: no such network interface"},
		{Enslave("lo", "lo"), "put lo into lo: "},
		{SetMAC("eth7", [6]byte{}), "interface eth7: no such network interface"},
	} {
		if tc.err == nil || len(tc.err.Error()) < len(tc.want) || tc.err.Error()[:len(tc.want)] != tc.want {
			t.Errorf("%v; want %s", tc.err, tc.want)
		}
	}
}
