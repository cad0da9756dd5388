package client

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

// A Lease is an address that is ours for some time, and what came with it.
type Lease struct {
	Addr   netip.Prefix // zero in a Step: take the old one down
	Server netip.Addr   // who granted it
	Routes []Route      // beside that to the network of Addr; none twice
	DNS    []netip.Addr // in order of preference
	NTP    []netip.Addr // in order of preference
	Domain string       // labels of letters, digits and hyphens, or empty
	Search []string     // more of them for the resolver; Domain is not among them by itself
	MTU    int          // 576 at least, more than the port can perhaps; 0: not said

	// LinkLocal says that nobody granted it: we took an address of RFC 3927 for
	// want of a server. Nothing but Addr and Term is there then.
	LinkLocal bool

	Term time.Duration // dhcp.Infinite: for ever
	// All counted from when the REQUEST was sent, and zero when the lease does
	// not end. Renew is before Rebind, Rebind before Expires.
	Renew, Rebind, Expires time.Time

	hop dhcp.HWAddr // who sent the frame that it came in
}

// usedBy reports whether a station that answers for the address of l is one that
// uses it. Whose frames the lease came in is none: that is the provider's gateway,
// and where neighbours may not hear each other it answers for all of them, for us
// as well (proxy ARP, RFC 1027). A client that declined then would never get an
// address there.
func (l *Lease) usedBy(hw dhcp.HWAddr) bool {
	return hw != dhcp.HWAddr{} && hw != l.hop
}

// left is how long l still runs.
func (l *Lease) left(now time.Time) time.Duration {
	if l.Expires.IsZero() {
		return dhcp.Infinite
	}
	return l.Expires.Sub(now)
}

// Gateway is the router of the default route, if there is one.
func (l *Lease) Gateway() netip.Addr {
	for _, r := range l.Routes {
		if r.Prefix.Bits() == 0 {
			return r.Gateway
		}
	}
	return netip.Addr{}
}

// Last is what to remember of l over a reboot.
func (l *Lease) Last() Last { return Last{Addr: l.Addr.Addr(), Server: l.Server} }

// Last is what survives a reboot: the address and who granted it. How old the
// lease is a router without a clock cannot know; so no times are kept, and a
// renewal that changes neither changes nothing here. Without a Server the
// address was given back: it is only a wish (RFC 2131, section 3.5).
type Last struct {
	Addr, Server netip.Addr
}

const lastVersion = 1

// MarshalBinary returns a version octet, the address and the server.
func (l Last) MarshalBinary() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	b := append([]byte{lastVersion}, l.Addr.AsSlice()...)
	return append(b, dhcp.IP(l.Server)...), nil
}

// UnmarshalBinary reads what MarshalBinary wrote, and nothing else.
func (l *Last) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != lastVersion {
		return fmt.Errorf("last lease %x: not of version %d", b[:min(len(b), 9)], lastVersion)
	}
	if len(b) != 9 {
		return fmt.Errorf("last lease of %d octets: version %d has 9", len(b), lastVersion)
	}
	read := Last{Addr: netip.AddrFrom4([4]byte(b[1:5]))}
	if server := netip.AddrFrom4([4]byte(b[5:9])); !server.IsUnspecified() {
		read.Server = server
	}
	if err := read.check(); err != nil {
		return err
	}
	*l = read
	return nil
}

func (l Last) check() error {
	if err := usable(l.Addr); err != nil {
		return fmt.Errorf("last lease: address %w", err)
	}
	if err := usable(l.Server); err != nil && l.Server.IsValid() {
		return fmt.Errorf("last lease: server %w", err)
	}
	return nil
}

// usable says why a cannot be the address of one host.
func usable(a netip.Addr) error {
	switch {
	case !a.Is4():
		return errors.New("is missing")
	case a.As4()[0] == 0:
		return fmt.Errorf("%v is of \"this network\"", a)
	case a.IsLoopback():
		return fmt.Errorf("%v is a loopback address", a)
	case a.IsMulticast():
		return fmt.Errorf("%v is a multicast address", a)
	case a.As4()[0] >= 240:
		return fmt.Errorf("%v is a broadcast or reserved address", a)
	}
	return nil
}

// An answer is a message from a server to us.
type answer struct {
	kind   dhcpv4.MessageType
	xid    dhcpv4.TransactionID
	server netip.Addr // zero: it does not say, or says nonsense
	msg    *dhcpv4.DHCPv4
	hop    dhcp.HWAddr
}

// read takes what is for us out of what arrives.
//
// "When a client receives a DHCP message containing a 'client identifier' option,
// the client MUST compare that client identifier to the one it is configured to
// send. If the two client identifiers do not match, the client MUST silently
// discard the message." RFC 6842, section 3.
func (m *Machine) read(d dhcp.Datagram) (answer, bool) {
	if d.Msg == nil || d.Msg.OpCode != dhcpv4.OpcodeBootReply {
		return answer{}, false
	}
	if hw, ok := dhcp.ClientHW(d.Msg); !ok || hw != m.cfg.HW {
		return answer{}, false
	}
	if id := d.Msg.Options[dhcpv4.OptionClientIdentifier.Code()]; id != nil && len(m.cfg.ID) > 0 && !bytes.Equal(id, m.cfg.ID) {
		return answer{}, false
	}
	a := answer{kind: d.Msg.MessageType(), xid: d.Msg.TransactionID, msg: d.Msg, hop: d.HW}
	if s := dhcp.Addr(d.Msg.ServerIdentifier()); usable(s) == nil {
		a.server = s
	}
	return a, true
}

// addr is the address in an OFFER or ACK with its network, if it can be a host's.
// A mask that is none counts as missing: who has such a provider, and other
// clients took it, is to have the Internet too.
func (a answer) addr() (netip.Prefix, error) {
	host := dhcp.Addr(a.msg.YourIPAddr)
	if err := usable(host); err != nil {
		return netip.Prefix{}, fmt.Errorf("address %w", err)
	}
	bits, _ := a.msg.SubnetMask().Size()
	if bits == 0 {
		bits = defaultBits
	}
	return netip.PrefixFrom(host, bits), nil
}

// defaultBits is the network where the server does not say. The class of the
// address would make all of 10.0.0.0/8 neighbours, the LAN's own network among
// them; too small a network costs a hop at most.
const defaultBits = 24

// place gives l its address. Providers that lend the addresses of many networks
// as one pool give the first and the last of a network to hosts as well. To the
// kernel the last would be the broadcast address; so it gets the address alone, and
// a route to the network on the link.
func (l *Lease) place(a netip.Prefix) {
	l.Addr = a
	network := a.Masked()
	if a.Bits() >= 31 || a.Addr() != network.Addr() && a.Addr() != dhcp.LastAddr(a) {
		return
	}
	l.Addr = netip.PrefixFrom(a.Addr(), 32)
	l.Routes = slices.DeleteFunc(l.Routes, func(r Route) bool { return r.Prefix == network })
	l.Routes = append([]Route{{Prefix: network}}, l.Routes...)
}

// lease is what an ACK grants of which something is left. server is who was
// asked, for an ACK that does not say.
//
// "The client records the lease expiration time as the sum of the time at which
// the original request was sent and the duration of the lease from the DHCPACK
// message." RFC 2131, section 4.4.1.
func (m *Machine) lease(now, sent time.Time, a answer, server netip.Addr) (*Lease, error) {
	addr, err := a.addr()
	if err != nil {
		return nil, err
	}
	if a.server.IsValid() {
		server = a.server
	}
	if err := m.cfg.wants(addr.Addr(), server); err != nil {
		return nil, err
	}
	l := &Lease{
		Server: server,
		Routes: m.routes(a.msg.Options, addr.Addr()),
		DNS:    hosts(a.msg.DNS()),
		NTP:    hosts(a.msg.NTPServers()),
		Domain: domain(a.msg.DomainName()),
		Search: search(a.msg.Options.Get(dhcpv4.OptionDNSDomainSearchList)),
		MTU:    mtu(a.msg.Options),
		hop:    a.hop,
	}
	l.place(addr)
	var t1, t2 time.Duration
	if t1, t2, l.Term = m.times(a.msg); l.Term < dhcp.Infinite {
		l.Renew, l.Rebind, l.Expires = sent.Add(t1), sent.Add(t2), sent.Add(l.Term)
	}
	if l.left(now) <= 0 {
		return nil, errLate
	}
	return l, nil
}

var errLate = errors.New("came when its lease was over")

// soonestRenewal keeps a server from having us do nothing but renew: half of
// the shortest lease that dhcp.Times obeys.
const soonestRenewal = 10 * time.Second

// times are the server's, or ours where it leaves both to us.
//
// "Times T1 and T2 SHOULD be chosen with some random "fuzz" around a fixed
// value, to avoid synchronization of client reacquisition." RFC 2131, section
// 4.4.5. A street that comes back after a power cut is such clients.
func (m *Machine) times(msg *dhcpv4.DHCPv4) (t1, t2, term time.Duration) {
	t1, t2, term = dhcp.Times(msg)
	if t1 = max(t1, soonestRenewal); t1 >= t2 {
		t1, t2 = dhcp.DefaultTimes(term)
	}
	o := msg.Options
	if !o.Has(dhcpv4.OptionRenewTimeValue) && !o.Has(dhcpv4.OptionRebindingTimeValue) {
		fuzz := term / 32
		t1 -= m.upTo(fuzz)
		t2 -= m.upTo(fuzz)
	}
	return t1, t2, term
}

// maxHosts is more than anybody looks at of a list. What an answer has room for
// would, passed on, not fit into a message of the LAN's.
const maxHosts = 8

// hosts drops from a list what cannot be a host, what is there already, and what
// is too much.
func hosts(ips []net.IP) []netip.Addr {
	var list []netip.Addr
	for _, ip := range ips {
		if a := dhcp.Addr(ip); usable(a) == nil && !slices.Contains(list, a) && len(list) < maxHosts {
			list = append(list, a)
		}
	}
	return list
}

// domain is the first of the names in raw if it is one that may stand in a
// resolver file, else nothing.
func domain(raw string) string {
	name, _, _ := strings.Cut(strings.Trim(raw, "\x00 "), " ")
	if name = strings.TrimSuffix(name, "."); len(name) > 253 {
		return ""
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label != dhcp.HostName(label) {
			return ""
		}
	}
	return name
}
