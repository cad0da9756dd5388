package server

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

// A Class puts a tag on the clients that it matches.
type Class struct {
	Tag   string
	HW    Pattern // where Code is 0
	Code  uint8   // the option of the client's that is looked at
	Sub   uint8   // in the relay agent's: the one inside
	Value []byte  // nil: it is enough that the option is there
	Part  bool    // Value may stand anywhere in it
}

// A Pattern matches hardware addresses in the bits that are set in Mask.
type Pattern struct{ HW, Mask dhcp.HWAddr }

func (p Pattern) matches(a dhcp.HWAddr) bool {
	for i, m := range p.Mask {
		if (a[i]^p.HW[i])&m != 0 {
			return false
		}
	}
	return true
}

func (c Class) matches(q query) bool {
	if c.Code == 0 {
		return q.hw.IsUnicast() && c.HW.matches(q.hw)
	}
	v, ok := q.Msg.Options[c.Code]
	if c.Sub != 0 {
		v, ok = inside(q.place.info, c.Sub)
	}
	switch {
	case !ok:
		return false
	case c.Part:
		return bytes.Contains(v, c.Value)
	}
	return c.Value == nil || bytes.Equal(v, c.Value)
}

// inside finds an option in the value of one that holds options.
func inside(v []byte, sub uint8) ([]byte, bool) {
	for len(v) >= 2 && len(v) >= 2+int(v[1]) {
		if v[0] == sub {
			return v[2 : 2+int(v[1])], true
		}
		v = v[2+int(v[1]):]
	}
	return nil, false
}

// The tags that clients have without being given them.
const (
	tagKnown = "known" // it is one of the hosts
	tagBOOTP = "bootp"
)

// classify finds out who sent a message.
func (s *Server) classify(d dhcp.Datagram) query {
	q := query{Datagram: d, id: s.Identity(d.Msg), tags: s.tags}
	q.hw, _ = dhcp.ClientHW(d.Msg)
	q.place = s.place(q)
	if q.isBOOTP() {
		q.tags = append(slices.Clip(q.tags), tagBOOTP)
	}
	for _, c := range s.cfg.Classes {
		if c.matches(q) {
			q.tags = append(slices.Clip(q.tags), c.Tag)
		}
	}
	if q.host = s.findHost(q); q.host != nil {
		q.tags = append(append(slices.Clip(q.tags), tagKnown), q.host.Tags...)
	}
	return q
}

// placed reports whether it matters to clients where they are.
func (cfg Config) placed() bool {
	return slices.ContainsFunc(cfg.Classes, func(c Class) bool { return c.Sub != 0 }) ||
		slices.ContainsFunc(cfg.Hosts, func(h Host) bool { return len(h.Circuits) > 0 })
}

// has reports whether the sender has all of the tags; one that begins with ! it
// must not have.
func (q query) has(tags []string) bool {
	for _, t := range tags {
		t, not := strings.CutPrefix(t, "!")
		if slices.Contains(q.tags, t) == not {
			return false
		}
	}
	return true
}

func (q query) isBOOTP() bool { return q.Msg.MessageType() == dhcpv4.MessageTypeNone }

// Identity is who the sender of m is to us: as dhcp.ClientID has it, but for a
// machine that calls itself by another identifier than it did, on the same card.
// A boot loader and the systems that it starts are one machine with one address:
//
//   - who sends no identifier, or its hardware address as one, is the client
//     that was last seen with this hardware address;
//   - who sends one that we do not know is the client that was last seen with
//     this hardware address, if that one sent none or its hardware address;
//   - who boots by PXE or HTTP sends none that counts;
//   - who has a reservation by its hardware address is whoever had the reserved
//     address on this card.
func (s *Server) Identity(m *dhcpv4.DHCPv4) dhcp.ID {
	id := dhcp.ClientID(m)
	hw, ok := dhcp.ClientHW(m)
	if !ok || !hw.IsUnicast() {
		return id
	}
	if h := s.hosts.byHW[hw]; h != nil && s.reserved[h.Addr] == h {
		if last, ok := s.table.Last(h.Addr); ok && last.HW == hw {
			return last.ID
		}
	}
	if _, known := s.table.Holder(id); known {
		return id
	}
	own := dhcp.HardwareID(hw)
	boots := isBootLoader(m)
	if last, ok := s.table.HolderOn(hw); ok && (boots || id == own || last.ID == own) {
		return last.ID
	}
	if boots {
		return own
	}
	return id
}

func isBootLoader(m *dhcpv4.DHCPv4) bool {
	class := m.Options[dhcpv4.OptionClassIdentifier.Code()]
	return bytes.HasPrefix(class, []byte("PXEClient")) || bytes.HasPrefix(class, []byte("HTTPClient"))
}

// hostIndex finds the host that a client is.
type hostIndex struct {
	byHW   map[dhcp.HWAddr]*Host
	byMark map[string]*Host
	others []*Host // with patterns, or known by tags only
}

// The marks by which a host is known, besides its hardware address.
func markID(id dhcp.ID) string     { return "id " + string(id) }
func markDUID(duid []byte) string  { return "duid " + string(duid) }
func markName(name string) string  { return "name " + strings.ToLower(name) }
func markCircuit(id []byte) string { return "circuit " + string(id) }

func indexHosts(hosts []Host) hostIndex {
	x := hostIndex{byHW: map[dhcp.HWAddr]*Host{}, byMark: map[string]*Host{}}
	for i := range hosts {
		h := &hosts[i]
		for _, hw := range h.HW {
			x.byHW[hw] = h
		}
		for _, id := range h.IDs {
			x.byMark[markID(id)] = h
		}
		for _, duid := range h.DUIDs {
			x.byMark[markDUID(duid)] = h
		}
		for _, id := range h.Circuits {
			x.byMark[markCircuit(id)] = h
		}
		if h.ByName {
			x.byMark[markName(h.Name)] = h
		}
		if len(h.Patterns) > 0 || h.onlyTags() {
			x.others = append(x.others, h)
		}
	}
	return x
}

// onlyTags reports whether a host is known by the tags that it needs alone.
func (h *Host) onlyTags() bool {
	return len(h.HW)+len(h.IDs)+len(h.DUIDs)+len(h.Circuits)+len(h.Patterns) == 0 && !h.ByName && len(h.Need) > 0
}

// findHost looks for what says the most about a client first: what it is
// identified by, its card, its name, cards like its own, and where it is plugged
// in. A renewal does not pass the relay agent and may leave out the name: who
// has its address by those is known by having it.
func (s *Server) findHost(q query) *Host {
	x := &s.hosts
	if h := x.byIdentifier(q); h != nil {
		return h
	}
	if h := x.byHW[q.hw]; h != nil && q.has(h.Need) {
		return h
	}
	if len(x.byMark) == 0 && len(x.others) == 0 {
		return nil
	}
	held, _ := s.table.Holder(q.id)
	if h := x.byMark[markName(cmp.Or(dhcp.ClientName(q.Msg), held.Name))]; h != nil && q.has(h.Need) {
		return h
	}
	if h := x.byLikeness(q); h != nil {
		return h
	}
	if h := s.reserved[held.Addr]; h != nil && h.byPlace() && !relayed(q) && held.State == lease.Bound {
		return h
	}
	return nil
}

// byLikeness looks for patterns, tags and circuits.
func (x *hostIndex) byLikeness(q query) *Host {
	for _, h := range x.others {
		for _, p := range h.Patterns {
			if q.hw.IsUnicast() && p.matches(q.hw) && q.has(h.Need) {
				return h
			}
		}
		if h.onlyTags() && q.has(h.Need) {
			return h
		}
	}
	if id, ok := inside(q.place.info, 1); ok {
		if h := x.byMark[markCircuit(id)]; h != nil && q.has(h.Need) {
			return h
		}
	}
	return nil
}

// byPlace reports whether a host is known by what a relay agent says alone.
func (h *Host) byPlace() bool {
	return len(h.HW)+len(h.IDs)+len(h.DUIDs)+len(h.Patterns) == 0 && !h.ByName
}

// byIdentifier looks for the client identifier, and for the DUID that stands in
// it after type 255 and an IAID of four octets (RFC 4361, section 6.1).
func (x *hostIndex) byIdentifier(q query) *Host {
	v := q.Msg.Options[dhcpv4.OptionClientIdentifier.Code()]
	if len(x.byMark) == 0 || len(v) < 2 {
		return nil
	}
	h := x.byMark[markID(dhcp.ClientID(q.Msg))]
	if h == nil && len(v) > 5 && v[0] == 0xff {
		h = x.byMark[markDUID(v[5:])]
	}
	if h != nil && q.has(h.Need) {
		return h
	}
	return nil
}

// reservation is the address that is the client's by configuration.
func (s *Server) reservation(q query) netip.Addr {
	if q.host == nil || s.reserved[q.host.Addr] != q.host {
		return netip.Addr{}
	}
	return q.host.Addr
}
