package link

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// An Uplink is what a port that leads outside is to have.
type Uplink struct {
	Addr netip.Prefix
	// Valid is how long, in case nobody is left then to take the address off:
	// the kernel will. 0: for ever.
	Valid  time.Duration
	Routes []Route // beside that to Addr's own network; of several to one network the first counts
	Metric int     // of all these routes
	// MTU is for what is sent on these routes; 0, or what is no less than the
	// port's own: the port's own. It is not set on the port: many drivers take
	// the link down for that, which looks like a cable that is out, IPv6 goes
	// with less than 1280, and nobody would know what it was before.
	MTU int
}

// A Route leads to a network.
type Route struct {
	To  netip.Prefix
	Via netip.Addr // invalid: its hosts are on the link
}

// LeastMTU is what every host must accept in one piece or reassembled: RFC 1122,
// section 3.3.2. Less is not a link's but a mistake.
const LeastMTU = 576

// ErrRoutes is wrapped by an error of SetUplink where the address is set and
// only the routes are not what they should be.
var ErrRoutes = errors.New("routes")

// SetUplink gives an interface the address and the routes of u in place of those
// that we set before, in an earlier run perhaps. What is right already is not
// touched, and what others set stays: it is how the owner reaches his modem.
func SetUplink(ifname string, u Uplink) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.takeOff(u.Addr); err != nil {
		return err
	}
	if err := p.grant(u.Addr, u.Valid); err != nil {
		return err
	}
	if err := p.setRoutes(p.routes(u)); err != nil {
		return fmt.Errorf("%w of %s: %w", ErrRoutes, ifname, err)
	}
	return nil
}

// ClearUplink takes the address and the routes off an interface that we set.
func ClearUplink(ifname string) error {
	p, err := open(ifname)
	if err != nil {
		return err
	}
	defer p.close()
	return errors.Join(p.takeOff(netip.Prefix{}), p.setRoutes(nil))
}

// ours marks an address that we set: its network we route ourselves, as the
// kernel's own route would have neither metric nor MTU. Nobody sets such an
// address by accident, and it is a mark that a killed router leaves, and that
// kernels without IFA_PROTO (before 5.18) have as well.
const ours = unix.IFA_F_NOPREFIXROUTE

func isOurs(m rtnetlink.AddressMessage) bool { return m.Attributes.Flags&ours != 0 }

// takeOff removes the addresses that we set but keep, and that one too where
// somebody else set it: two cannot have it.
func (p port) takeOff(keep netip.Prefix) error {
	have, err := p.addrs()
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range have {
		a := prefix(m)
		if isOurs(m) && a != keep || !isOurs(m) && a.Addr() == keep.Addr() {
			p.keepSecondaries()
			errs = append(errs, p.remove(a))
		}
	}
	return errors.Join(errs...)
}

// keepSecondaries has the kernel keep the other addresses of a network when the
// first of them is removed. Where /proc/sys cannot be written it does not, which
// is no reason to keep an address that is not ours any more.
func (p port) keepSecondaries() {
	os.WriteFile("/proc/sys/net/ipv4/conf/"+p.ifi.Name+"/promote_secondaries", []byte("1"), 0)
}

// grant gives the port an address for a time. That the kernel counts down what
// it was told before is no difference.
func (p port) grant(a netip.Prefix, valid time.Duration) error {
	seconds := lifetime(valid)
	have, err := p.addrs()
	if err != nil {
		return err
	}
	for _, m := range have {
		if prefix(m) == a && isOurs(m) && same(m.Attributes.CacheInfo.Valid, seconds) {
			return nil
		}
	}
	m := p.message(a)
	m.Attributes.Flags = ours
	_, err = p.conn.Execute(timed{m, seconds}, unix.RTM_NEWADDR,
		netlink.Request|netlink.Create|netlink.Replace|netlink.Acknowledge)
	if err != nil {
		return fmt.Errorf("add %v to %s: %w", a, p.ifi.Name, err)
	}
	return nil
}

// forEver is the lifetime that does not end.
const forEver = math.MaxUint32

// lifetime is d in whole seconds, and not less: who looks after the port is to
// take the address off before the kernel does.
func lifetime(d time.Duration) uint32 {
	s := (d + time.Second - 1) / time.Second
	if d <= 0 || s >= forEver {
		return forEver
	}
	return uint32(s)
}

// same reports whether two lifetimes are as good as one.
func same(a, b uint32) bool {
	return a == b || a != forEver && b != forEver && max(a, b)-min(a, b) <= 1
}

// A timed message sets an address with its lifetime, which its own encoder has
// no room for.
type timed struct {
	*rtnetlink.AddressMessage
	seconds uint32
}

func (m timed) MarshalBinary() ([]byte, error) {
	b, err := m.AddressMessage.MarshalBinary()
	if err != nil {
		return nil, err
	}
	info := binary.NativeEndian.AppendUint32(nil, m.seconds) // preferred
	info = binary.NativeEndian.AppendUint32(info, m.seconds) // valid
	info = append(info, make([]byte, 8)...)                  // when it was made and changed: the kernel's affair
	e := netlink.NewAttributeEncoder()
	e.Bytes(unix.IFA_CACHEINFO, info)
	more, err := e.Encode()
	return append(b, more...), err
}

// routes are those of u, those that others are reached by first.
func (p port) routes(u Uplink) []rtnetlink.RouteMessage {
	all := slices.Clone(u.Routes)
	if !u.Addr.IsSingleIP() {
		all = append([]Route{{To: u.Addr.Masked()}}, all...)
	}
	slices.SortStableFunc(all, func(a, b Route) int {
		return cmp.Compare(b2i(a.Via.IsValid()), b2i(b.Via.IsValid()))
	})
	var list []rtnetlink.RouteMessage
	known := map[netip.Prefix]bool{}
	for _, r := range all {
		if !known[r.To] {
			list = append(list, p.route(u, r))
		}
		known[r.To] = true
	}
	return list
}

// route is a route as the kernel has it. A gateway outside the address's
// network, which some providers have, is on the link all the same.
func (p port) route(u Uplink, r Route) rtnetlink.RouteMessage {
	m := rtnetlink.RouteMessage{
		Family:    unix.AF_INET,
		DstLength: uint8(r.To.Bits()),
		Table:     unix.RT_TABLE_MAIN,
		Protocol:  unix.RTPROT_DHCP,
		Type:      unix.RTN_UNICAST,
		Scope:     unix.RT_SCOPE_LINK,
		Attributes: rtnetlink.RouteAttributes{
			Dst:      r.To.Addr().AsSlice(),
			Src:      u.Addr.Addr().AsSlice(),
			OutIface: uint32(p.ifi.Index),
			Priority: uint32(u.Metric),
		},
	}
	if r.Via.IsValid() {
		m.Scope, m.Attributes.Gateway = unix.RT_SCOPE_UNIVERSE, r.Via.AsSlice()
		if !u.Addr.Contains(r.Via) {
			m.Flags = unix.RTNH_F_ONLINK
		}
	}
	if u.MTU >= LeastMTU && u.MTU < p.ifi.MTU {
		m.Attributes.Metrics = &rtnetlink.RouteMetrics{MTU: uint32(u.MTU)}
	}
	return m
}

// setRoutes removes what is not wanted, then adds what is missing: the kernel
// takes a request to remove a route without an MTU for any to that network.
func (p port) setRoutes(want []rtnetlink.RouteMessage) error {
	stale, missing, err := p.compare(want)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range stale {
		if err := p.conn.Route.Delete(&m); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove %v: %w", keyOf(m), err))
		}
	}
	for _, m := range missing {
		// Ours stands before those of other ports, and leaves them alone.
		_, err := p.conn.Execute(&m, unix.RTM_NEWROUTE, netlink.Request|netlink.Create|netlink.Acknowledge)
		if err != nil {
			errs = append(errs, fmt.Errorf("add %v: %w", keyOf(m), err))
		}
	}
	return errors.Join(errs...)
}

// compare looks which of our routes are there and not wanted, and the reverse.
func (p port) compare(want []rtnetlink.RouteMessage) (stale, missing []rtnetlink.RouteMessage, err error) {
	list, err := p.conn.Route.List()
	if err != nil {
		return nil, nil, err
	}
	there, wanted := map[routeKey]bool{}, map[routeKey]bool{}
	for _, m := range want {
		wanted[keyOf(m)] = true
	}
	for _, m := range list {
		if !p.set(m) {
			continue
		}
		if key := keyOf(m); wanted[key] && !there[key] {
			there[key] = true
		} else {
			stale = append(stale, m)
		}
	}
	for _, m := range want {
		if !there[keyOf(m)] {
			missing = append(missing, m)
		}
	}
	return stale, missing, nil
}

// set reports whether a route of this port is one that we set.
func (p port) set(m rtnetlink.RouteMessage) bool {
	return m.Family == unix.AF_INET && m.Table == unix.RT_TABLE_MAIN && m.Type == unix.RTN_UNICAST &&
		m.Attributes.OutIface == uint32(p.ifi.Index) && m.Protocol == unix.RTPROT_DHCP
}

// A routeKey is all that makes routes of a port differ.
type routeKey struct {
	to, via, from string
	metric, mtu   uint32
	protocol      uint8
}

func keyOf(m rtnetlink.RouteMessage) routeKey {
	at := m.Attributes
	k := routeKey{via: at.Gateway.String(), from: at.Src.String(), metric: at.Priority, protocol: m.Protocol}
	k.to = "default"
	if m.DstLength > 0 {
		k.to = fmt.Sprintf("%v/%d", at.Dst, m.DstLength)
	}
	if at.Metrics != nil {
		k.mtu = at.Metrics.MTU
	}
	return k
}

// String is the route in the words of ip(8).
func (k routeKey) String() string {
	if k.via == "<nil>" {
		return k.to
	}
	return k.to + " via " + k.via
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
