package link

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/mdlayher/netlink/nltest"
	"golang.org/x/sys/unix"
)

// A fakeSwitch answers as a kernel with swconfig does, with one switch of seven
// ports, and notes what it is told.
type fakeSwitch struct {
	t       *testing.T
	name    string
	without string // a setting that its driver does not have
	refuses string
	told    []string
}

const fakeFamily = 27

func (f *fakeSwitch) answer(reqs []netlink.Message) ([]netlink.Message, error) {
	req := reqs[0]
	if req.Header.Type == unix.GENL_ID_CTRL {
		if f.name == "" {
			return nltest.Error(int(unix.ENOENT), reqs)
		}
		return []netlink.Message{f.message(req, 0, func(e *netlink.AttributeEncoder) {
			e.String(unix.CTRL_ATTR_FAMILY_NAME, "switch")
			e.Uint16(unix.CTRL_ATTR_FAMILY_ID, fakeFamily)
		})}, nil
	}
	switch req.Data[0] {
	case switchGet:
		return nltest.Multipart([]netlink.Message{f.message(req, 0, func(e *netlink.AttributeEncoder) {
			e.Uint32(switchID, 3)
			e.String(switchDevice, f.name)
		}), {Header: netlink.Header{Sequence: req.Header.Sequence, PID: req.Header.PID}}})
	case switchListGlobal:
		return f.list(req, "enable_vlan", "reset", "apply"), nil
	case switchListVLAN:
		return f.list(req, "vid", "ports"), nil
	}
	return f.set(reqs)
}

func (f *fakeSwitch) message(req netlink.Message, flags netlink.HeaderFlags, fill func(*netlink.AttributeEncoder)) netlink.Message {
	e := netlink.NewAttributeEncoder()
	fill(e)
	b, err := e.Encode()
	if err != nil {
		f.t.Fatal(err)
	}
	return netlink.Message{
		Header: netlink.Header{Type: fakeFamily, Flags: flags, Sequence: req.Header.Sequence, PID: req.Header.PID},
		Data:   append([]byte{2, 1, 0, 0}, b...),
	}
}

// settingNumber is what the driver calls a setting.
func settingNumber(command uint8, i int) uint32 { return uint32(command)<<12 + uint32(i) }

// list answers in parts that have no end, but for the acknowledgement.
func (f *fakeSwitch) list(req netlink.Message, names ...string) []netlink.Message {
	if req.Header.Flags&netlink.Acknowledge == 0 {
		f.t.Error("a list without an acknowledgement: nobody would know where it ends")
	}
	var out []netlink.Message
	for i, name := range names {
		if name == f.without {
			continue
		}
		out = append(out, f.message(req, netlink.Multi, func(e *netlink.AttributeEncoder) {
			e.Uint32(settingID, settingNumber(req.Data[0], i))
			e.String(settingName, name)
		}))
	}
	return append(out, f.ack(req))
}

func (f *fakeSwitch) ack(req netlink.Message) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.Error, Sequence: req.Header.Sequence, PID: req.Header.PID},
		Data:   make([]byte, 20),
	}
}

func (f *fakeSwitch) set(reqs []netlink.Message) ([]netlink.Message, error) {
	req := reqs[0]
	d, err := netlink.NewAttributeDecoder(req.Data[genericHeader:])
	if err != nil {
		f.t.Fatal(err)
	}
	var sw, id, vlan, value uint32
	var ports []string
	for d.Next() {
		switch d.Type() {
		case switchID:
			sw = d.Uint32()
		case settingID:
			id = d.Uint32()
		case settingVLAN:
			vlan = d.Uint32()
		case settingInt:
			value = d.Uint32()
		case settingPorts:
			d.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					list.Nested(func(p *netlink.AttributeDecoder) error {
						port := ""
						for p.Next() {
							switch p.Type() {
							case memberPort:
								port += fmt.Sprint(p.Uint32())
							case memberTagged:
								port += "t"
							}
						}
						ports = append(ports, port)
						return p.Err()
					})
				}
				return list.Err()
			})
		}
	}
	if d.Err() != nil || sw != 3 {
		f.t.Errorf("switch %d: %v", sw, d.Err())
	}
	what := map[uint32]string{
		settingNumber(switchListGlobal, 0): fmt.Sprintf("enable_vlan=%d", value),
		settingNumber(switchListGlobal, 1): "reset",
		settingNumber(switchListGlobal, 2): "apply",
		settingNumber(switchListVLAN, 1):   fmt.Sprintf("vlan %d: %s", vlan, strings.Join(ports, " ")),
	}[id]
	f.told = append(f.told, what)
	if f.refuses != "" && strings.HasPrefix(what, f.refuses) {
		return nltest.Error(int(unix.EINVAL), reqs)
	}
	return []netlink.Message{f.ack(req)}, nil
}

var mango = SwitchSetup{Name: "switch0", Reset: true, VLANs: []SwitchVLAN{
	{1, []SwitchPort{{1, false}, {6, true}}},
	{2, []SwitchPort{{0, false}, {6, true}}},
}}

// TestSetUpSwitch: the VLANs in the order of the board, and the hardware told at
// the end.
func TestSetUpSwitch(t *testing.T) {
	f := &fakeSwitch{t: t, name: "switch0"}
	if err := setUpSwitch(nltest.Dial(f.answer), mango); err != nil {
		t.Fatal(err)
	}
	want := []string{"reset", "enable_vlan=1", "vlan 1: 1 6t", "vlan 2: 0 6t", "apply"}
	if !slices.Equal(f.told, want) {
		t.Errorf("the switch was told %q; want %q", f.told, want)
	}
}

// TestSwitchThatIsNotSetUpIsAnError: whatever it is that fails, the caller hears
// of it, since LAN and WAN are one network then.
func TestSwitchThatIsNotSetUpIsAnError(t *testing.T) {
	for _, tc := range []struct {
		f    fakeSwitch
		want string
	}{
		{fakeSwitch{}, "switch0: the kernel has no swconfig"},
		{fakeSwitch{name: "switch1"}, "switch0: no such switch"},
		{fakeSwitch{name: "switch0", without: "enable_vlan"}, "switch0: its driver has no setting enable_vlan"},
		{fakeSwitch{name: "switch0", without: "ports"}, "switch0: VLAN 1: its driver has no setting ports"},
		{fakeSwitch{name: "switch0", refuses: "enable"}, "switch0: set enable_vlan: netlink receive: invalid argument"},
		{fakeSwitch{name: "switch0", refuses: "vlan 2"}, "switch0: VLAN 2: set ports: netlink receive: invalid argument"},
		{fakeSwitch{name: "switch0", refuses: "apply"}, "switch0: set apply: netlink receive: invalid argument"},
	} {
		tc.f.t = t
		err := setUpSwitch(nltest.Dial(tc.f.answer), mango)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%v; want %s", err, tc.want)
		}
	}
}

// TestThisMachineHasNoSwitch: what any kernel but OpenWrt's says.
func TestThisMachineHasNoSwitch(t *testing.T) {
	if err := SetUpSwitch(mango); !errors.Is(err, errNoFamily) {
		t.Errorf("SetUpSwitch = %v; want %v", err, errNoFamily)
	}
}

// FuzzSwitchAnswer: the kernel is trusted, but not to have no bugs.
func FuzzSwitchAnswer(f *testing.F) {
	f.Add([]byte{2, 1, 0, 0, 8, 0, 2, 0, 3, 0, 0, 0})
	f.Add([]byte{2, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		read(netlink.Message{Data: b}, func(d *netlink.AttributeDecoder) {
			if n++; n > len(b) {
				t.Fatal("more attributes than octets")
			}
			d.Uint32()
		})
	})
}
