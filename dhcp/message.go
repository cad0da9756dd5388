package dhcp

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	headerLen = 240 // the BOOTP header and the magic cookie
	minLen    = 300 // "the minimal BOOTP header of 300 octets": RFC 1542, section 2.1

	snameOff, fileOff, cookieOff = 44, 108, 236

	optPad, optMask, optRouters, optOverload, optEnd = 0, 1, 3, 52, 255
)

// DefaultLimit is the longest DHCP message that every client takes: an IP
// datagram of 576 octets less its IP and UDP headers (RFC 2131, section 2).
const DefaultLimit = 576 - 28

var cookie = []byte{99, 130, 83, 99}

// fixedLen holds the options of which another instance is a mistake and not a
// continuation (RFC 3396 would have them concatenated): the first of this length
// counts, and what never has this length is dropped.
var fixedLen = map[uint8]int{
	dhcpv4.OptionRequestedIPAddress.Code():     4,
	dhcpv4.OptionIPAddressLeaseTime.Code():     4,
	dhcpv4.OptionDHCPMessageType.Code():        1,
	dhcpv4.OptionServerIdentifier.Code():       4,
	dhcpv4.OptionMaximumDHCPMessageSize.Code(): 2,
	optOverload: 1,
}

// Parse reads a message as tolerantly as is safe: a missing End and a cut last
// option are forgiven, options may continue in the file and sname fields
// (option 52; RFC 2131, section 4.1) and in further instances (RFC 3396). A
// request without a message type is BOOTP (RFC 1534). What it returns shares no
// memory with b.
func Parse(b []byte) (*dhcpv4.DHCPv4, error) {
	if len(b) < headerLen {
		return nil, fmt.Errorf("message of %d octets: a DHCP message has at least %d", len(b), headerLen)
	}
	if hlen := b[2]; hlen > 16 {
		return nil, fmt.Errorf("hardware address of %d octets: the field holds 16", hlen)
	}
	if !bytes.Equal(b[cookieOff:headerLen], cookie) {
		return nil, fmt.Errorf("magic cookie %x: not DHCP", b[cookieOff:headerLen])
	}
	m, err := dhcpv4.FromBytes(append(slices.Clone(b[:headerLen]), optEnd))
	if err != nil {
		return nil, err
	}
	readOptions(m.Options, b[headerLen:])
	spliceOverload(m, b)
	_, typed := m.Options[dhcpv4.OptionDHCPMessageType.Code()]
	for code, n := range fixedLen {
		if len(m.Options[code]) != n {
			delete(m.Options, code)
		}
	}
	if m.MessageType() == dhcpv4.MessageTypeNone && (typed || m.OpCode != dhcpv4.OpcodeBootRequest) {
		return nil, fmt.Errorf("no DHCP message type")
	}
	return m, nil
}

// spliceOverload reads the options that option 52 says are in file and sname,
// in that order. Those fields then hold no names.
func spliceOverload(m *dhcpv4.DHCPv4, b []byte) {
	var which byte
	if v := m.Options[optOverload]; len(v) == 1 {
		which = v[0]
	}
	if which&1 != 0 {
		m.BootFileName = ""
		readOptions(m.Options, b[fileOff:cookieOff])
	}
	if which&2 != 0 {
		m.ServerHostName = ""
		readOptions(m.Options, b[snameOff:fileOff])
	}
	delete(m.Options, optOverload) // it speaks of b, not of m
}

// readOptions adds the options in b to o, up to the End or to the first one
// that does not fit.
func readOptions(o dhcpv4.Options, b []byte) {
	for len(b) > 0 && b[0] != optEnd {
		if b[0] == optPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return
		}
		code, value := b[0], b[2:2+int(b[1])]
		b = b[2+len(value):]
		if want, ok := fixedLen[code]; ok && len(o[code]) == want {
			continue
		} else if ok && len(value) == want {
			o[code] = nil
		}
		if o[code] == nil {
			o[code] = make([]byte, 0, len(value)) // an option without a value is there all the same
		}
		o[code] = append(o[code], value...)
	}
}

// Encode writes m with its options in the order that clients expect: message
// type, server identifier and lease time first, then what the reader asked for
// in its order (RFC 2132, section 9.8: "MUST try to insert the requested
// options in the order requested by the client"), but the mask before the
// routers, then the rest, the client identifier, and the relay's information
// last (RFC 3046, section 2.2).
//
// What does not fit into limit octets goes into the file field and then into
// sname, if m leaves those empty ("If the options in a DHCP message extend into
// the 'sname' and 'file' fields, the 'option overload' option MUST appear in the
// 'options' field": RFC 2131, section 4.1). An option that is not essential and
// fits nowhere is left out.
func Encode(m *dhcpv4.DHCPv4, asked dhcpv4.OptionCodeList, limit int) []byte {
	header := *m
	header.Options = nil
	b := header.ToBytes()[:headerLen]
	if limit < minLen {
		limit = DefaultLimit
	}
	order := optionOrder(m.Options, asked)
	p := packing{options: area{b: make([]byte, 0, DefaultLimit-headerLen), room: limit - headerLen - 1}}
	p.open(m, order)
	for _, c := range order {
		p.put(c, m.Options[c])
	}
	b = p.close(b)
	if n := minLen - len(b); n > 0 {
		b = append(b, make([]byte, n)...)
	}
	return b
}

// An area is where options can stand, and how many octets of them still can.
type area struct {
	b    []byte
	room int
}

// A packing spreads options over a message.
type packing struct {
	head, options, file, sname area // head: what stands first
}

// open says how much room there is, less what the essential options take. Only
// a DHCP message that is too long otherwise is read in other fields too.
func (p *packing) open(m *dhcpv4.DHCPv4, order []uint8) {
	room := p.options.room
	for _, c := range order {
		n := optionLen(m.Options[c])
		room -= n
		if slices.Contains(essential, c) {
			p.options.room -= n
		}
	}
	if room >= 0 || m.MessageType() == dhcpv4.MessageTypeNone {
		return
	}
	if m.BootFileName == "" {
		p.file.room = cookieOff - fileOff - 1 // the End
	}
	if m.ServerHostName == "" {
		p.sname.room = fileOff - snameOff - 1
	}
	if p.file.room+p.sname.room > 0 {
		p.options.room -= 3 // option 52
	}
}

// put keeps an option in one piece: there are readers that do not join those of
// several fields.
func (p *packing) put(code uint8, v []byte) {
	switch {
	case slices.Contains(first, code):
		p.head.b = appendOption(p.head.b, code, v)
		return
	case slices.Contains(last, code):
		p.options.b = appendOption(p.options.b, code, v)
		return
	}
	for _, a := range []*area{&p.options, &p.file, &p.sname} {
		if n := optionLen(v); n <= a.room {
			a.b = appendOption(a.b, code, v)
			a.room -= n
			return
		}
	}
}

// close appends the options to a header, and fills its fields.
func (p *packing) close(header []byte) []byte {
	var overload byte
	if len(p.file.b) > 0 {
		overload |= 1
		copy(header[fileOff:cookieOff], append(p.file.b, optEnd))
	}
	if len(p.sname.b) > 0 {
		overload |= 2
		copy(header[snameOff:fileOff], append(p.sname.b, optEnd))
	}
	b := append(header, p.head.b...)
	if overload != 0 {
		b = append(b, optOverload, 1, overload)
	}
	return append(append(b, p.options.b...), optEnd)
}

var (
	first     = []uint8{53, 54, 51}
	last      = []uint8{61, 82}
	essential = append(slices.Clone(first), last...)
)

func optionOrder(o dhcpv4.Options, asked dhcpv4.OptionCodeList) []uint8 {
	order := make([]uint8, 0, len(o))
	add := func(c uint8) {
		if _, ok := o[c]; ok && c != optPad && c != optEnd && c != optOverload && !slices.Contains(order, c) {
			order = append(order, c)
		}
	}
	for _, c := range first {
		add(c)
	}
	for _, c := range asked {
		if c.Code() == optRouters {
			add(optMask) // "the subnet mask option MUST be first": RFC 2132, section 3.3
		}
		if !slices.Contains(last, c.Code()) {
			add(c.Code())
		}
	}
	for _, c := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(last, c) {
			add(c)
		}
	}
	for _, c := range last {
		add(c)
	}
	return order
}

// optionLen is how long v is on the wire, split as RFC 3396 has it.
func optionLen(v []byte) int {
	return len(v) + 2*max(1, (len(v)+254)/255)
}

func appendOption(b []byte, code uint8, v []byte) []byte {
	for {
		n := min(len(v), 255)
		b = append(b, code, byte(n))
		b = append(b, v[:n]...)
		if v = v[n:]; len(v) == 0 {
			return b
		}
	}
}
