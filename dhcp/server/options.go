package server

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// An Option is sent to the clients that have all of its tags.
type Option struct {
	Tags   []string // one that begins with ! the client must not have
	Vendor string   // a part of the client's vendor class; empty: any
	Code   uint8
	Sub    uint8  // not 0: Value is one of the options inside option Code
	Value  []byte // nil: the option is not sent
	Addrs  bool   // Value is IPv4 addresses, 0.0.0.0 stands for our own
	Force  bool   // for who does not ask for it, too
}

// A Boot says where clients find what they boot from.
type Boot struct {
	Tags       []string
	File       string // at most 127 octets
	ServerName string // at most 63 octets
	Server     netip.Addr
}

// The options that the server itself has something to say about.
const (
	optMask        = 1
	optRouters     = 3
	optDNS         = 6
	optHostName    = 12
	optDomain      = 15
	optBroadcast   = 28
	optTime        = 51
	optType        = 53
	optServer      = 54
	optT1          = 58
	optT2          = 59
	optVendorClass = 60
	optClientID    = 61
	optTFTPServer  = 66
	optBootFile    = 67
	optRapidCommit = 80
	optFQDN        = 81
	optMachine     = 97
	optIPv6Only    = 108
	optRoutes      = 121
	optRoutesMS    = 249
	optEnd         = 255
)

const (
	mostFile        = 127 // octets in the field, before the zero that ends it
	mostServerName  = 63
	defaultRouteLen = 1 + 4 // in option 121
)

// basics are the options that are known of every network. The mask stands in
// every answer: an address is of no use without it, and there are clients that
// forget to ask.
func basics(cfg Config) (c choice) {
	all := []Option{{Code: optMask, Value: net.CIDRMask(cfg.Addr.Bits(), 32), Force: true}}
	if len(cfg.Routers) > 0 {
		all = append(all, Option{Code: optRouters, Value: octets(cfg.Routers)})
	}
	if len(cfg.DNS) > 0 {
		all = append(all, Option{Code: optDNS, Value: octets(cfg.DNS)})
	}
	if cfg.Domain != "" {
		all = append(all, Option{Code: optDomain, Value: []byte(cfg.Domain)})
	}
	all = append(all, Option{Code: optBroadcast, Value: dhcp.LastAddr(cfg.Addr).AsSlice()})
	for _, o := range all {
		c.add(o, basicRank)
	}
	return c
}

// basicRank is less than that of anything that is configured.
const basicRank = -1

func octets(addrs []netip.Addr) (v []byte) {
	for _, a := range addrs {
		v = append(v, a.AsSlice()...)
	}
	return v
}

// A choice is what was found for one client: of two options with one code, the
// one with more tags counts, then the later; one of its host before all others.
type choice struct {
	options []Option
	ranks   []int
}

func (s *Server) choose(q query) choice {
	own := q.host != nil && len(q.host.Options) > 0
	byAgent := q.place.agent.IsValid() && s.routedByAgents()
	if len(s.cfg.Options) == 0 && !own && !byAgent {
		return s.basics
	}
	c := choice{slices.Clone(s.basics.options), slices.Clone(s.basics.ranks)}
	if byAgent {
		c.add(Option{Code: optRouters, Value: q.place.agent.AsSlice()}, basicRank)
	}
	c.consider(q, s.cfg.Options, 0)
	if own {
		c.consider(q, q.host.Options, 1<<16)
	}
	return c
}

func (c *choice) add(o Option, rank int) {
	c.options, c.ranks = append(c.options, o), append(c.ranks, rank)
}

func (c *choice) consider(q query, options []Option, rank int) {
	for _, o := range options {
		rank := rank + len(o.Tags)
		if o.Vendor != "" {
			rank++
		}
		if !q.has(o.Tags) || !bytes.Contains(q.Msg.Options[dhcpv4.OptionClassIdentifier.Code()], []byte(o.Vendor)) {
			continue
		}
		if i := c.index(o.Code, o.Sub); i < 0 {
			c.add(o, rank)
		} else if rank >= c.ranks[i] {
			c.options[i], c.ranks[i] = o, rank
		}
	}
}

func (c *choice) index(code, sub uint8) int {
	for i, o := range c.options {
		if o.Code == code && o.Sub == sub {
			return i
		}
	}
	return -1
}

// value is what was chosen for an option, whether it is sent or not.
func (c *choice) value(code uint8) []byte {
	if i := c.index(code, 0); i >= 0 {
		return c.options[i].Value
	}
	return nil
}

// settings adds what the client asked for of what we have for it, what is to be
// sent to everybody, and everything to a client that does not say what it wants.
func (s *Server) settings(m *dhcpv4.DHCPv4, q query) {
	c := s.choose(q)
	asked := q.Msg.ParameterRequestList()
	for _, o := range c.options {
		if o.Sub == 0 && o.Value != nil && o.wanted(asked) {
			m.Options[o.Code] = s.resolve(o, c)
		}
	}
	s.nested(m, q, c)
	if v := c.value(optRoutes); v != nil && c.value(optRoutesMS) == nil && asks(asked, optRoutesMS) {
		m.Options[optRoutesMS] = s.withDefault(v, c.value(optRouters)) // what Windows asked for before RFC 3442
	}
	s.names(m, q)
	s.boot(m, q, c)
}

// nested adds the options inside options, with an End behind them. A client that
// is sent what is for its vendor class is told that class again: that is how some
// know whose options they are.
func (s *Server) nested(m *dhcpv4.DHCPv4, q query, c choice) {
	asked := q.Msg.ParameterRequestList()
	var ends []uint8
	for _, o := range c.options {
		if o.Sub == 0 || o.Value == nil || !o.wanted(asked) {
			continue
		}
		v := s.resolve(o, c)
		whole := append(slices.Clip(m.Options[o.Code]), o.Sub, byte(len(v)))
		m.Options[o.Code] = append(whole, v...)
		if !slices.Contains(ends, o.Code) {
			ends = append(ends, o.Code)
		}
		if o.Vendor != "" && m.Options[optVendorClass] == nil {
			m.Options[optVendorClass] = q.Msg.Options[optVendorClass]
		}
	}
	for _, code := range ends {
		m.Options[code] = append(m.Options[code], optEnd)
	}
}

// resolve is the value of an option as it is sent.
func (s *Server) resolve(o Option, c choice) []byte {
	switch {
	case o.Addrs:
		return s.ownFor0(o.Value)
	case o.Sub == 0 && (o.Code == optRoutes || o.Code == optRoutesMS):
		return s.withDefault(o.Value, c.value(optRouters))
	}
	return o.Value
}

// wanted tells whether a client that asks for these options is to be sent this
// one. "The DHCPv4 server MUST NOT include the IPv6-Only Preferred option" for
// who does not ask for it, whatever the owner forces: RFC 8925, section 3.3. That
// of old Windows is for those that ask, too.
func (o Option) wanted(asked dhcpv4.OptionCodeList) bool {
	switch {
	case asks(asked, o.Code):
		return true
	case o.Code == optIPv6Only:
		return false
	case len(asked) == 0:
		return o.Force || o.Code != optRoutesMS
	}
	return o.Force || o.Code == optT1 || o.Code == optT2
}

func asks(asked dhcpv4.OptionCodeList, code uint8) bool {
	for _, c := range asked {
		if c.Code() == code {
			return true
		}
	}
	return false
}

// ownFor0 puts our own address where 0.0.0.0 stands.
func (s *Server) ownFor0(v []byte) []byte {
	v = bytes.Clone(v)
	own := s.self().As4()
	for a := v; len(a) >= 4; a = a[4:] {
		if binary.BigEndian.Uint32(a) == 0 {
			copy(a, own[:])
		}
	}
	return v
}

// withDefault adds the default route to routes that have none: "If the DHCP
// server returns both a Classless Static Routes option and a Router option, the
// DHCP client MUST ignore the Router option" (RFC 3442).
func (s *Server) withDefault(routes, routers []byte) []byte {
	if len(routers) < 4 {
		return routes
	}
	for v := routes; len(v) > 0; {
		if v[0] == 0 {
			return routes
		}
		n := 1 + (int(v[0])+7)/8 + 4
		if n > len(v) {
			return routes
		}
		v = v[n:]
	}
	return append(append(make([]byte, 0, len(routes)+defaultRouteLen), routes...), append([]byte{0}, s.ownFor0(routers[:4])...)...)
}

// names tells a configured host what it is called, and everybody who asks so
// what has become of its fully qualified name.
func (s *Server) names(m *dhcpv4.DHCPv4, q query) {
	if q.host != nil && q.host.Name != "" && asks(q.Msg.ParameterRequestList(), optHostName) {
		m.Options[optHostName] = []byte(q.host.Name)
	}
	if v := dhcp.AnswerFQDN(q.Msg.Options[optFQDN], q.name(), s.cfg.Domain); v != nil {
		m.Options[optFQDN] = v
	}
}

// boot says what to boot from: in the fields, where old loaders look, and in
// options for those that ask for them. "next-server" is nobody unless somebody
// is configured.
func (s *Server) boot(m *dhcpv4.DHCPv4, q query, c choice) {
	asked := q.Msg.ParameterRequestList()
	file, name := c.value(optBootFile), c.value(optTFTPServer)
	for _, b := range s.cfg.Boots {
		if !q.has(b.Tags) {
			continue
		}
		m.BootFileName, m.ServerHostName, m.ServerIPAddr = b.File, b.ServerName, nil
		if b.Server.IsValid() {
			m.ServerIPAddr = b.Server.AsSlice()
		}
	}
	switch {
	case m.BootFileName != "" && file == nil && asks(asked, optBootFile):
		m.Options[optBootFile] = []byte(m.BootFileName)
	case m.BootFileName == "" && len(file) <= mostFile && !asks(asked, optBootFile):
		m.BootFileName = string(file)
	}
	switch {
	case m.ServerHostName != "" && name == nil && asks(asked, optTFTPServer):
		m.Options[optTFTPServer] = []byte(m.ServerHostName)
	case m.ServerHostName == "" && len(name) <= mostServerName && !asks(asked, optTFTPServer):
		m.ServerHostName = string(name)
	}
	// "This option MUST be present in all DHCP and PXE packets sent by
	// PXE-compliant clients and servers." RFC 4578, section 2.3.
	if v := q.Msg.Options[optMachine]; v != nil && m.BootFileName != "" && isBootLoader(q.Msg) {
		m.Options[optMachine] = v
	}
}

// checkTimes puts the usual T1 and T2 in place of configured ones that are not
// in order.
func checkTimes(m *dhcpv4.DHCPv4, grant, t1, t2 time.Duration) {
	if a, b := m.IPAddressRenewalTime(0), m.IPAddressRebindingTime(0); a <= 0 || a >= b || b >= grant {
		setTimes(m, t1, t2)
	}
}

func setTimes(m *dhcpv4.DHCPv4, t1, t2 time.Duration) {
	m.UpdateOption(dhcpv4.Option{Code: dhcpv4.OptionRenewTimeValue, Value: dhcpv4.Duration(t1)})
	m.UpdateOption(dhcpv4.Option{Code: dhcpv4.OptionRebindingTimeValue, Value: dhcpv4.Duration(t2)})
}
