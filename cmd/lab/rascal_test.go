package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// A rascal is a DHCP server at the ISP's that answers with what it is told to.
type rascal struct {
	*street
	conn  net.PacketConn
	mu    sync.Mutex
	trick trick
}

// A trick is what is wrong with a server.
type trick struct {
	name string
	// edit changes an answer before it is encoded, cut the octets after it.
	edit func(*dhcpv4.DHCPv4)
	cut  func([]byte) []byte
	// before is another answer, sent first; it must not be believed.
	before func(*dhcpv4.DHCPv4)
	want   string // of the log when the router is bound
}

const (
	rightful = "203.0.113.7"
	decoy    = "203.0.113.66"
)

// newRascal opens port 67 in the ISP's namespace.
func newRascal(s *street) *rascal {
	s.Helper()
	r := &rascal{street: s}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if cerr := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptString(int(fd), syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, "eth0")
		}); cerr != nil {
			return cerr
		}
		return err
	}}
	check(s.T, inNamespace(s.isp, func() (err error) {
		r.conn, err = lc.ListenPacket(context.Background(), "udp4", "0.0.0.0:67")
		return err
	}))
	s.Cleanup(func() { r.conn.Close() })
	go r.serve()
	return r
}

func (r *rascal) plays(t trick) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trick = t
}

func (r *rascal) serve() {
	b := make([]byte, 1500)
	for {
		n, _, err := r.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if m, err := dhcp.Parse(b[:n]); err == nil {
			r.answer(m)
		}
	}
}

func (r *rascal) answer(to *dhcpv4.DHCPv4) {
	r.mu.Lock()
	t := r.trick
	r.mu.Unlock()
	kind := dhcpv4.MessageTypeOffer
	switch to.MessageType() {
	case dhcpv4.MessageTypeRequest:
		kind = dhcpv4.MessageTypeAck
	case dhcpv4.MessageTypeDiscover:
	default:
		return
	}
	if t.before != nil {
		m := honest(kind, to)
		m.YourIPAddr = net.ParseIP(decoy).To4()
		t.before(m)
		r.send(dhcp.Encode(m, nil, 1472))
	}
	m := honest(kind, to)
	if t.edit != nil {
		t.edit(m)
	}
	b := dhcp.Encode(m, nil, 1472)
	if t.cut != nil {
		b = t.cut(b)
	}
	r.send(b)
}

func (r *rascal) send(b []byte) {
	r.conn.WriteTo(b, &net.UDPAddr{IP: net.IPv4bcast, Port: dhcp.ClientPort})
}

// honest is an answer with nothing wrong: ten minutes of 203.0.113.7.
func honest(kind dhcpv4.MessageType, to *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: to.HWType, ClientHWAddr: bytes.Clone(to.ClientHWAddr),
		TransactionID: to.TransactionID, YourIPAddr: net.ParseIP(rightful).To4(),
		Options: dhcpv4.OptionsFromList(
			dhcpv4.OptMessageType(kind),
			dhcpv4.OptServerIdentifier(net.ParseIP(ispAddr)),
			dhcpv4.OptIPAddressLeaseTime(600*time.Second),
			dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)),
			dhcpv4.OptRouter(net.ParseIP(ispAddr)),
		),
	}
}

// withoutEnd takes the End and the padding off.
func withoutEnd(b []byte) []byte {
	return b[:bytes.LastIndexByte(b, 255)]
}

// overloaded moves all options but the message type into file and sname.
func overloaded(b []byte) []byte {
	const header, sname, file = 240, 44, 108
	options := withoutEnd(b)[header:]
	first, rest := options[:3], options[3:]
	half := 0
	for half < len(rest)/2 {
		half += 2 + int(rest[half+1])
	}
	out := append(bytes.Clone(b[:header]), first...)
	out = append(out, 52, 1, 3, 255)
	copy(out[file:], append(bytes.Clone(rest[:half]), 255))
	copy(out[sname:], append(bytes.Clone(rest[half:]), 255))
	return out
}

func timer(code uint8, n uint32) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) { m.Options[code] = binary.BigEndian.AppendUint32(nil, n) }
}

func missing(codes ...uint8) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) {
		for _, c := range codes {
			delete(m.Options, c)
		}
	}
}

func all(edits ...func(*dhcpv4.DHCPv4)) func(*dhcpv4.DHCPv4) {
	return func(m *dhcpv4.DHCPv4) {
		for _, e := range edits {
			e(m)
		}
	}
}

// Where a server gives T1 and T2 the renewal is at T1; where it does not, it is
// up to a thirty-second of the lease earlier than half of it.
const tenMinutes = `for=10m0s renew_in=(4m[45]\ds|5m0s)`

var tricks = []trick{
	{name: "honest", want: tenMinutes},
	{name: "no End", cut: withoutEnd, want: tenMinutes},
	{name: "the last option is cut", cut: func(b []byte) []byte { return append(withoutEnd(b), 6, 8, 9, 9, 9, 9) }, want: tenMinutes},
	{name: "T1 and T2 are zero", edit: all(timer(58, 0), timer(59, 0)), want: `for=10m0s renew_in=(4m59s|5m0s)`},
	{name: "T1 after T2 after the end", edit: all(timer(58, 9000), timer(59, 6000)), want: `for=10m0s renew_in=(4m59s|5m0s)`},
	{name: "no lease time", edit: missing(51), want: `for=1h0m0s renew_in=(28|29|30)m\d+s`},
	{name: "twenty seconds", edit: timer(51, 20), want: `for=20s renew_in=(9|10)s`},
	{name: "one second", edit: timer(51, 1), want: `for=20s renew_in=(9|10)s`},
	{name: "no mask", edit: missing(1), want: tenMinutes},
	{name: "another exchange before", before: func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ }, want: tenMinutes},
	{name: "another client before", before: func(m *dhcpv4.DHCPv4) { m.ClientHWAddr[5]++ }, want: tenMinutes},
	{name: "a request before", before: func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest }, want: tenMinutes},
	{name: "options in file and sname", cut: overloaded, want: tenMinutes},
}

// TestBrokenServers: from answers with something wrong in them the router takes
// what can be taken, and believes nothing that is not for it.
func TestBrokenServers(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	r := newRascal(s)
	for _, trick := range tricks {
		r.plays(trick)
		os.Remove(s.ring())
		s.on()
		m := s.says(s.proc, 0, `msg=bound side=wan addr=(\S+) server=`+ispAddr+` (for=.*)$`)
		if m[1] != rightful {
			t.Errorf("%s: bound to %s; want %s", trick.name, m[1], rightful)
		}
		if !matches(trick.want, m[2]) {
			t.Errorf("%s: bound %s; want %s", trick.name, m[2], trick.want)
		}
		s.hasWAN(rightful+"/24", "203.0.113.0/24", "default via "+ispAddr)
		if strings.Contains(s.proc.String(), decoy) {
			t.Errorf("%s: %s was believed:\n%s", trick.name, decoy, s.proc)
		}
		if trick.name == "twenty seconds" || trick.name == "one second" {
			s.says(s.proc, 0, `msg=renewed side=wan addr=`+rightful)
		}
		_, err := s.proc.end(syscall.SIGTERM)
		check(t, err)
	}
}

func matches(pattern, s string) bool { return regexp.MustCompile(`^` + pattern + `$`).MatchString(s) }
