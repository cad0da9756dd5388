package link

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A SwitchSetup is what a switch is told. Until then it bridges all of its ports.
type SwitchSetup struct {
	Name  string // switch0
	Reset bool
	VLANs []SwitchVLAN
}

// A SwitchVLAN is one VLAN of a switch.
type SwitchVLAN struct {
	ID    int
	Ports []SwitchPort
}

// A SwitchPort is a port as a member of a VLAN.
type SwitchPort struct {
	Port   int
	Tagged bool
}

// What OpenWrt's kernels call the parts of the generic netlink family "switch".
const (
	switchFamily  = "switch"
	switchVersion = 1

	switchGet        = 1 // commands
	switchListGlobal = 3
	switchSetGlobal  = 5
	switchListVLAN   = 9
	switchSetVLAN    = 11

	switchID      = 2 // attributes
	switchDevice  = 3
	settingID     = 10
	settingName   = 12
	settingVLAN   = 14
	settingInt    = 15
	settingPorts  = 17
	memberOfPorts = 1 // the kernel reads any
	memberPort    = 1
	memberTagged  = 2
)

// SetUpSwitch programs the VLANs of a switch that the kernel drives with
// swconfig. After an error LAN and WAN may be one network: nobody must be
// served.
func SetUpSwitch(s SwitchSetup) error {
	conn, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		return fmt.Errorf("%s: netlink: %w", s.Name, err)
	}
	defer conn.Close()
	return setUpSwitch(conn, s)
}

func setUpSwitch(conn *netlink.Conn, s SwitchSetup) error {
	w, err := findSwitch(conn, s.Name)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	if s.Reset {
		err = w.setGlobal("reset", 1)
	}
	if err == nil {
		err = w.setGlobal("enable_vlan", 1)
	}
	for _, v := range s.VLANs {
		if err == nil {
			err = w.setVLAN(v)
		}
	}
	if err == nil {
		err = w.setGlobal("apply", 1)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// A swconfig is a switch, and the numbers that its driver gave its settings.
type swconfig struct {
	conn         *netlink.Conn
	family       netlink.HeaderType
	id           uint32
	global, vlan map[string]uint32
}

var (
	errNoFamily = errors.New("the kernel has no swconfig")
	errNoSwitch = errors.New("no such switch")
)

func findSwitch(conn *netlink.Conn, name string) (*swconfig, error) {
	family, err := findFamily(conn, switchFamily)
	if errors.Is(err, unix.ENOENT) {
		return nil, errNoFamily
	}
	if err != nil {
		return nil, fmt.Errorf("find swconfig: %w", err)
	}
	w := &swconfig{conn: conn, family: family}
	if err := w.find(name); err != nil {
		return nil, err
	}
	if w.global, err = w.settings(switchListGlobal); err != nil {
		return nil, fmt.Errorf("list its settings: %w", err)
	}
	if w.vlan, err = w.settings(switchListVLAN); err != nil {
		return nil, fmt.Errorf("list its VLANs' settings: %w", err)
	}
	return w, nil
}

// findFamily asks generic netlink's controller for the number of a family.
func findFamily(conn *netlink.Conn, name string) (netlink.HeaderType, error) {
	answers, err := ask(conn, unix.GENL_ID_CTRL, netlink.Request, unix.CTRL_CMD_GETFAMILY, func(e *netlink.AttributeEncoder) {
		e.String(unix.CTRL_ATTR_FAMILY_NAME, name)
	})
	if err != nil {
		return 0, err
	}
	var id uint16
	for _, a := range answers {
		if err := read(a, func(d *netlink.AttributeDecoder) {
			if d.Type() == unix.CTRL_ATTR_FAMILY_ID {
				id = d.Uint16()
			}
		}); err != nil {
			return 0, err
		}
	}
	if id == 0 {
		return 0, unix.ENOENT
	}
	return netlink.HeaderType(id), nil
}

func (w *swconfig) find(name string) error {
	answers, err := ask(w.conn, w.family, netlink.Request|netlink.Dump, switchGet, func(*netlink.AttributeEncoder) {})
	if err != nil {
		return fmt.Errorf("list the switches: %w", err)
	}
	for _, a := range answers {
		var id uint32
		device := ""
		if err := read(a, func(d *netlink.AttributeDecoder) {
			switch d.Type() {
			case switchID:
				id = d.Uint32()
			case switchDevice:
				device = d.String()
			}
		}); err != nil {
			return fmt.Errorf("list the switches: %w", err)
		}
		if device == name {
			w.id = id
			return nil
		}
	}
	return errNoSwitch
}

// settings are the numbers of what can be set. The list has no end mark, so that
// the acknowledgement is what it is read up to.
func (w *swconfig) settings(command uint8) (map[string]uint32, error) {
	answers, err := ask(w.conn, w.family, netlink.Request|netlink.Acknowledge, command, func(e *netlink.AttributeEncoder) {
		e.Uint32(switchID, w.id)
	})
	if err != nil {
		return nil, err
	}
	ids := map[string]uint32{}
	for _, a := range answers {
		if a.Header.Type != w.family {
			continue // the acknowledgement
		}
		var id uint32
		name := ""
		if err := read(a, func(d *netlink.AttributeDecoder) {
			switch d.Type() {
			case settingID:
				id = d.Uint32()
			case settingName:
				name = d.String()
			}
		}); err != nil {
			return nil, err
		}
		ids[name] = id
	}
	return ids, nil
}

func (w *swconfig) setGlobal(name string, value uint32) error {
	return w.set(switchSetGlobal, w.global, name, func(e *netlink.AttributeEncoder) {
		e.Uint32(settingInt, value)
	})
}

func (w *swconfig) setVLAN(v SwitchVLAN) error {
	err := w.set(switchSetVLAN, w.vlan, "ports", func(e *netlink.AttributeEncoder) {
		e.Uint32(settingVLAN, uint32(v.ID))
		e.Nested(settingPorts, func(list *netlink.AttributeEncoder) error {
			for _, p := range v.Ports {
				list.Nested(memberOfPorts, p.encode)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("VLAN %d: %w", v.ID, err)
	}
	return nil
}

func (p SwitchPort) encode(e *netlink.AttributeEncoder) error {
	e.Uint32(memberPort, uint32(p.Port))
	e.Flag(memberTagged, p.Tagged)
	return nil
}

func (w *swconfig) set(command uint8, settings map[string]uint32, name string, value func(*netlink.AttributeEncoder)) error {
	id, ok := settings[name]
	if !ok {
		return fmt.Errorf("its driver has no setting %s", name)
	}
	_, err := ask(w.conn, w.family, netlink.Request|netlink.Acknowledge, command, func(e *netlink.AttributeEncoder) {
		e.Uint32(switchID, w.id)
		e.Uint32(settingID, id)
		value(e)
	})
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

// genericHeader is how many octets generic netlink has before the attributes:
// command, version and two that are not used.
const genericHeader = 4

func ask(conn *netlink.Conn, family netlink.HeaderType, flags netlink.HeaderFlags, command uint8, fill func(*netlink.AttributeEncoder)) ([]netlink.Message, error) {
	e := netlink.NewAttributeEncoder()
	fill(e)
	attrs, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return conn.Execute(netlink.Message{
		Header: netlink.Header{Type: family, Flags: flags},
		Data:   append([]byte{command, switchVersion, 0, 0}, attrs...),
	})
}

func read(m netlink.Message, each func(*netlink.AttributeDecoder)) error {
	if len(m.Data) < genericHeader {
		return errors.New("a message that is too short")
	}
	d, err := netlink.NewAttributeDecoder(m.Data[genericHeader:])
	if err != nil {
		return err
	}
	for d.Next() {
		each(d)
	}
	return d.Err()
}
