// Package server is the LAN side of RFC 2131: what to answer a client, and why
// not.
//
// A Server is told what arrived and when, and answers with a Decision: what has
// to be on flash before the reply may leave, the reply, and the reason. It
// opens no socket, writes nothing, reads no clock and starts no goroutine;
// firmware/router does.
//
// What cannot be kept on flash is lent: for ten minutes at most, from memory, and
// after an ARP probe, since the next power cut forgets it. Remember says what
// can be kept; BeWary, that something may have been forgotten.
//
// An address that is new to a client is probed before it is offered, if Probe
// says so; what is found in use is out of use for an hour, and then until a probe
// finds it silent. Where the pool gets full, clients that make up their hardware
// address, as phones do, get short leases until they have come back after a day:
// most of them never will.
//
// The server is authoritative for its network unless it is told otherwise: a
// client that it has no record of keeps the address it asks for if that address
// is free, and hears DHCPNAK if it is not. That deviates from RFC 2131, section
// 4.3.2 ("If the DHCP server has no record of this client, then it MUST remain
// silent"), and is how a whole house keeps its addresses when the records are
// lost.
//
// A server of a network behind relay agents has no address in it (Carrier). Nobody
// can be probed there, so the clients have to find out themselves. What only an
// agent may say, its option 82 and a subnet selection, counts for nothing in a
// message that no agent forwarded; the message is answered all the same.
//
// A client is known by its identifier, as RFC 2131 has it, but what boots from
// one card by several identifiers is one client: see Identity. What it is told is
// chosen by who it is: a Host, by any of its marks, and the tags that Classes give
// it. What deviates from the standards on purpose stands in
// TestDeliberateDeviations, with the reason.
package server

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
)

const (
	// holdTime is how long an offered address waits for its REQUEST; hurriedTime,
	// where the pool is tight: who takes an offer takes it within seconds.
	holdTime    = time.Minute
	hurriedTime = 10 * time.Second
	// declineTime is how long an address that was found in use stays unused.
	declineTime = time.Hour
	// LentTerm is the longest that an address is lent: granted by a binding that
	// is kept in memory only. A power cut forgets it, and it is over soon after.
	LentTerm = 10 * time.Minute
	// silence is how long an ARP probe that nobody answered counts.
	silence = 30 * time.Second
	// tightTerm is the longest grant of a passing client in a tight pool. The
	// fuller the pool, the less it is, down to shortestGrant.
	tightTerm = time.Hour
	// shortestGrant is the least that a client can ask for (option 51).
	shortestGrant = 2 * time.Minute
)

// A Config is what the server hands out.
type Config struct {
	Tags          []string     // that every client has
	Addr          netip.Prefix // the router's own address and its network; behind relay agents: the network
	Carrier       netip.Prefix // behind relay agents: the router's own address and network, where they are; else invalid
	First, Last   netip.Addr   // the dynamic pool, inclusive
	Term          time.Duration
	Longest       time.Duration // of any grant for now, while what is handed out is about to change; zero: Term
	Routers       []netip.Addr
	DNS           []netip.Addr
	Domain        string
	Options       []Option
	Classes       []Class
	Boots         []Boot // of several that match the last counts
	Authoritative bool
	Probe         bool // ask who uses an address before it is offered to a client that is new to it
	Sequential    bool // new clients get one address after the other, not where their identity points
	RapidCommit   bool // a DISCOVER that asks for it is answered with an ACK (RFC 4039)
	BOOTP         bool // clients that know no leases get addresses of the pool, for ever
	Hosts         []Host
}

// A Host is a client that is known by any of its marks.
type Host struct {
	HW       []dhcp.HWAddr
	Patterns []Pattern // of hardware addresses
	IDs      []dhcp.ID
	DUIDs    [][]byte
	Circuits [][]byte // where a relay agent says that it is plugged in
	ByName   bool     // known by what it calls itself
	Need     []string // tags that it has besides; alone they make the host known

	Addr      netip.Addr    // reserved for it; in the network, not necessarily in the pool; otherwise, or if another host has it: none
	Name      string        // shown in place of what it calls itself
	Term      time.Duration // zero: as the others
	Ignore    bool          // never answered
	Broadcast bool          // it hears nothing else
	Tags      []string      // that it gets
	Options   []Option
}

// A Decision is the answer to one message, to be carried out in field order.
type Decision struct {
	Probe netip.Addr     // ask by ARP who uses it, tell Probed, and Handle the message once more
	Lend  *lease.Binding // is kept in memory only; to be given to Lent BEFORE Reply is sent
	Bind  *lease.Binding // must be on flash BEFORE Reply is sent, and be given to Bound in between
	Free  netip.Addr     // where flash has Bind's client until now: to be forgotten after Bind is on flash
	Reply *dhcp.Datagram // to be sent
	Seek  netip.Addr     // ask by ARP who uses it, and tell Found: its client has declined it
	Why   Reason         // for the log and the page: also when nothing is sent

	Client dhcp.ID    // who asked
	Addr   netip.Addr // the address that it was about
}

// Memory says what can be kept over a power cut.
type Memory int

const (
	KeepsAll     Memory = iota // every binding
	KeepsKnown                 // those that are kept already, as they are; what is new is lent
	KeepsNothing               // everything is lent
)

// A Server serves one network. It belongs to one goroutine.
type Server struct {
	cfg      Config
	memory   Memory
	wary     time.Time // until then addresses may be in use that we know nothing of
	table    *lease.Table
	assumed  map[netip.Addr]bool // addresses that are taken to be silent without a probe
	tags     []string            // of every client, and no room behind them
	basics   choice
	hosts    hostIndex
	placed   bool                 // something is configured by where clients are
	places   map[netip.Addr]place // of the clients, when the address was given
	reserved map[netip.Addr]*Host
}

// New returns a server without bindings.
func New(cfg Config) *Server {
	s := &Server{table: lease.NewTable(lease.Pool{}), assumed: map[netip.Addr]bool{}, places: map[netip.Addr]place{}}
	s.Reconfigure(cfg)
	return s
}

// Reconfigure replaces the configuration and keeps every binding.
func (s *Server) Reconfigure(cfg Config) {
	s.cfg = cfg
	s.tags = slices.Clip(cfg.Tags)
	s.basics = basics(cfg)
	s.hosts = indexHosts(cfg.Hosts)
	s.placed = cfg.placed()
	s.reserved = map[netip.Addr]*Host{}
	except := map[netip.Addr]bool{cfg.Addr.Addr(): true, cfg.Addr.Masked().Addr(): true, dhcp.LastAddr(cfg.Addr): true}
	for i := range cfg.Hosts {
		h := &cfg.Hosts[i]
		if cfg.Addr.Contains(h.Addr) && !except[h.Addr] {
			s.reserved[h.Addr] = h
			except[h.Addr] = true
		}
	}
	s.table.SetPool(lease.Pool{First: cfg.First, Last: cfg.Last, Except: except, Sequential: cfg.Sequential})
}

// Table is the server's memory, to be read.
func (s *Server) Table() *lease.Table { return s.table }

// Recall takes a binding that was read from flash. It reports false, and does
// nothing, where the address is not of the network that is served, or the client
// was heard on another address since we started, or another client on this one.
func (s *Server) Recall(now time.Time, b lease.Binding) bool {
	if !s.cfg.Addr.Contains(b.Addr) {
		return false
	}
	held, _ := s.table.Holder(b.ID)
	if heard := held.Heard || s.table.Heard(now, b.Addr); heard && !s.table.Using(now, b.Addr, b.ID) {
		return false
	}
	s.table.Recall(now, b)
	return true
}

// Remember says what can be kept from now on.
func (s *Server) Remember(m Memory) { s.memory = m }

// BeWary says that until then addresses may be in use that are not recorded:
// each is probed before it is given to a client that was not heard on it.
func (s *Server) BeWary(until time.Time) { s.wary = until }

// Lent says that the address is the client's from now on.
func (s *Server) Lent(now time.Time, b lease.Binding) { s.table.Lend(now, b) }

// Probed says who answered for an address that a Decision about d asked to
// probe; the zero HWAddr: nobody. Where it is somebody else than the sender of
// d, the address is taken out of use, and Probed reports true; false if it has
// become somebody's meanwhile, or if who answers does so for everybody.
func (s *Server) Probed(now time.Time, d dhcp.Datagram, a netip.Addr, user dhcp.HWAddr) (taken bool) {
	delete(s.assumed, a)
	if hw, _ := dhcp.ClientHW(d.Msg); user == (dhcp.HWAddr{}) || user == hw || s.table.Everywhere(user) {
		s.table.Silent(a, s.Identity(d.Msg), now.Add(silence))
		return false
	}
	if !s.table.Seize(now, a, s.Identity(d.Msg), user, now.Add(declineTime)) {
		s.table.Answered(a)
		return false
	}
	return true
}

// Found says who answered for an address that a Decision asked to seek.
func (s *Server) Found(a netip.Addr, user dhcp.HWAddr) { s.table.Found(a, user) }

// Unprobed says that an address that a Decision about d asked to probe cannot be
// probed now. It reports whether d is to be handled all the same: if what is
// given can be kept, and the address is nobody's and was not found in use before.
func (s *Server) Unprobed(now time.Time, d dhcp.Datagram, a netip.Addr) bool {
	id := s.Identity(d.Msg)
	if s.Lends(a, id) || s.table.Suspect(a) || !s.table.Free(now, a, id) {
		return false
	}
	s.table.Silent(a, id, now.Add(silence))
	s.assumed[a] = true
	return true
}

// Bound says that b is on flash: from now on the address is the client's.
func (s *Server) Bound(now time.Time, b lease.Binding) { s.table.Bind(now, b) }

// Handle decides what to do about one message.
func (s *Server) Handle(now time.Time, d dhcp.Datagram) Decision {
	d.Msg = vouched(d.Msg)
	q := s.classify(d)
	dec := s.decide(now, q)
	dec.Client = q.id
	return dec
}

// A query is a message with what is known about its sender.
type query struct {
	dhcp.Datagram
	id    dhcp.ID
	hw    dhcp.HWAddr
	host  *Host // nil: not configured
	tags  []string
	place place
	most  time.Duration // that may be granted; zero: as configured
}

func (s *Server) decide(now time.Time, q query) Decision {
	link := Link(q.Msg)
	switch {
	case q.Msg.OpCode != dhcpv4.OpcodeBootRequest:
		return Decision{Why: NotARequest}
	case !s.addressed(q.To.Addr()):
		return Decision{Why: NotForUs, Addr: q.To.Addr()}
	case q.id == "":
		return Decision{Why: NoIdentity}
	case oversized(q.Msg):
		return Decision{Why: Oversized}
	case q.host != nil && q.host.Ignore:
		return Decision{Why: IgnoredHost}
	case link.IsValid() && !s.cfg.Addr.Contains(link):
		return Decision{Why: OtherRelay, Addr: link}
	}
	switch q.Msg.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return s.discover(now, q)
	case dhcpv4.MessageTypeRequest:
		return s.request(now, q)
	case dhcpv4.MessageTypeDecline:
		return s.decline(now, q)
	case dhcpv4.MessageTypeRelease:
		return s.release(now, q)
	case dhcpv4.MessageTypeInform:
		return s.inform(q)
	case dhcpv4.MessageTypeNone:
		return s.bootp(now, q)
	}
	return Decision{Why: NotARequest}
}

// addressed reports whether a message to a is for us. A bridge in promiscuous
// mode hears what others say to each other. Who does not know whom a message
// was for leaves a invalid.
func (s *Server) addressed(a netip.Addr) bool {
	here := s.here()
	return !a.IsValid() || a == here.Addr() || a == dhcp.Broadcast || a == dhcp.LastAddr(here)
}

func (s *Server) discover(now time.Time, q query) Decision {
	s.table.Yield(requested(q.Msg), q.hw)
	a, ok := s.pick(now, q)
	if !ok {
		return s.makeRoom(now, q)
	}
	if _, rapid := q.Msg.Options[optRapidCommit]; rapid && s.cfg.RapidCommit {
		return s.commit(now, q, a)
	}
	return s.offer(now, q, a)
}

// makeRoom offers an address whose holder was not heard since we started, if
// nobody answers for it: after a reboot every lease that we have ever given runs
// once more, and the pool may be full of devices that will never return.
func (s *Server) makeRoom(now time.Time, q query) Decision {
	a, ok := s.table.PickUnheard(now, q.id)
	switch {
	case !ok && s.table.Withholds(now, q.id):
		return Decision{Why: KeptForRegulars}
	case !ok:
		return Decision{Why: PoolFull}
	case !s.table.IsSilent(now, a, q.id) || s.assumed[a]:
		return Decision{Probe: a, Why: Probing, Addr: a}
	}
	return s.offer(now, q, a)
}

func (s *Server) offer(now time.Time, q query, a netip.Addr) Decision {
	s.table.Hold(now, a, q.id, now.Add(s.patience(now)))
	if s.unsure(now, a, q.id) {
		return Decision{Probe: a, Why: Probing, Addr: a}
	}
	q.most = s.most(now, a, q)
	return Decision{Reply: s.reply(q, dhcpv4.MessageTypeOffer, a), Why: Offer, Addr: a}
}

// patience is how long an offer waits for its REQUEST.
func (s *Server) patience(now time.Time) time.Duration {
	if s.Tight(now) {
		return hurriedTime
	}
	return holdTime
}

// Tight reports whether the pool is three quarters full, so that passing clients
// get short leases. A small one is made for as many devices as there are.
func (s *Server) Tight(now time.Time) bool {
	left, all := s.table.Room(now)
	return all >= smallPool && 4*left <= all
}

const smallPool = 15

// Lends reports whether a could not be bound to the client, only be lent to it.
func (s *Server) Lends(a netip.Addr, id dhcp.ID) bool {
	return s.memory == KeepsNothing || s.memory == KeepsKnown && !s.table.Keeps(a, id)
}

// most is the longest grant that what can be kept, and the pool, allow; zero: any.
func (s *Server) most(now time.Time, a netip.Addr, q query) time.Duration {
	most := s.mostPassing(now, q)
	switch {
	case s.Lends(a, q.id):
		return least(most, LentTerm)
	case s.memory == KeepsKnown:
		held, _ := s.table.Holder(q.id)
		return least(most, held.Term)
	}
	return most
}

// least is the lesser of two limits, of which zero is none.
func least(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// mostPassing is the longest grant to a client that may be passing by: it has
// made up its hardware address, and has not come back after a day. Zero: any.
func (s *Server) mostPassing(now time.Time, q query) time.Duration {
	if !s.Tight(now) || !q.hw.IsLocal() || q.host != nil || s.table.Regular(q.id) {
		return 0
	}
	left, all := s.table.Room(now)
	most := tightTerm * time.Duration(left) / time.Duration(all/4)
	return max(min(most, tightTerm).Truncate(time.Minute), shortestGrant)
}

// unsure reports whether a is to be probed before it is given to the client: if
// what we know of it, or will know after a power cut, may not be all; if somebody
// was found using it; and if it is new to the client and Probe says so.
func (s *Server) unsure(now time.Time, a netip.Addr, id dhcp.ID) bool {
	if s.table.Using(now, a, id) {
		return false
	}
	lends, suspect := s.Lends(a, id), s.table.Suspect(a)
	silent := s.table.IsSilent(now, a, id) && !(lends && s.assumed[a])
	return !silent && (lends || suspect || now.Before(s.wary) || s.cfg.Probe && !s.table.Recent(now, a, id))
}

// pick prefers the reserved address, as long as nobody else is still on it.
func (s *Server) pick(now time.Time, q query) (netip.Addr, bool) {
	if r := s.reservation(q); r.IsValid() && s.table.Free(now, r, q.id) {
		return r, true
	}
	return s.table.Pick(now, q.id, requested(q.Msg))
}

// wish is the address that a REQUEST is about, and which of the four kinds it is.
// They are told apart by their fields (RFC 2131, section 4.3.2, table 4), not by how
// they travelled.
func (s *Server) wish(q query) (want netip.Addr, kind Reason) {
	want, kind = requested(q.Msg), Renewed
	switch chosen := dhcp.Addr(q.Msg.ServerIdentifier()); {
	case !chosen.IsUnspecified() && !s.isOurs(q, chosen):
		return want, ChoseAnotherServer
	case !chosen.IsUnspecified():
		kind = Bound
	case !want.IsUnspecified():
		kind = Rebooted
	}
	if want.IsUnspecified() {
		want = dhcp.Addr(q.Msg.ClientIPAddr)
	}
	return want, kind
}

func (s *Server) request(now time.Time, q query) Decision {
	want, kind := s.wish(q)
	switch {
	case kind == ChoseAnotherServer:
		s.table.Unhold(now, q.id)
		return Decision{Why: kind, Addr: want}
	case want.IsUnspecified():
		return Decision{Why: NoAddress}
	}
	why := s.refusal(now, q, want, kind)
	if why == TakenByAnother && s.table.Yield(want, q.hw) {
		why = s.refusal(now, q, want, kind)
	}
	switch {
	case why == 0 && kind != Renewed && s.unsure(now, want, q.id):
		s.table.Hold(now, want, q.id, now.Add(holdTime))
		return Decision{Probe: want, Why: Probing, Addr: want}
	case why == 0 && kind == Renewed && s.lacksRouter(q):
		return Decision{Why: AgentUnknown, Addr: want}
	case why == 0:
		return s.acknowledge(now, q, want, kind)
	case why == Unknown:
		return Decision{Why: why, Addr: want}
	default:
		return Decision{Reply: s.nak(q, why), Why: why, Addr: want}
	}
}

// refusal says why the client may not have a, or 0 where it may.
func (s *Server) refusal(now time.Time, q query, a netip.Addr, kind Reason) Reason {
	held, known := s.table.Holder(q.id)
	elsewhere := known && held.Addr != a && held.State == lease.Bound && now.Before(held.Until)
	reserved, reservation := s.reserved[a], s.reservation(q)
	switch {
	case !s.cfg.Addr.Contains(a):
		return NotThisNetwork
	case kind != Bound && !s.cfg.Authoritative && !reservation.IsValid() && !elsewhere && (!known || held.Addr != a):
		return Unknown
	case reserved != nil && reserved != q.host:
		return ReservedForAnother
	case !s.table.Free(now, a, q.id):
		return TakenByAnother
	case reserved == nil && s.table.Withheld(now, a, q.id):
		return KeptForRegulars
	case reserved != nil:
		return 0
	case reservation.IsValid() && s.table.Free(now, reservation, q.id):
		return HasReservation
	case kind != Bound && elsewhere:
		return HasAnother
	case !s.table.Contains(a):
		return NotOurs
	}
	return 0
}

func (s *Server) acknowledge(now time.Time, q query, a netip.Addr, kind Reason) Decision {
	old, known := s.table.Holder(q.id)
	s.table.Promise(now, a, q.id, now.Add(holdTime))
	q.most = s.most(now, a, q)
	b := &lease.Binding{
		Addr:  a,
		ID:    q.id,
		HW:    q.hw,
		Name:  cmp.Or(q.name(), old.Name),
		Term:  s.term(q),
		Grant: s.grant(q),
	}
	s.settle(q, a)
	d := Decision{Reply: s.reply(q, dhcpv4.MessageTypeAck, a), Why: kind, Addr: a}
	switch {
	case s.Lends(a, q.id):
		b.Term = b.Grant
		d.Lend = b
		return d
	case s.memory == KeepsKnown:
		// As it stands on flash, so that nothing is written.
		grant := b.Grant
		*b = old.Binding
		b.Grant = grant
	case known && old.Addr == a:
		b.Term = keptTerm(now, old, b.Term)
	}
	d.Bind = b
	// The old record must not outlive this one, unless it is just being
	// overwritten with somebody else's.
	if record, ok := s.table.Recorded(q.id); ok && record != a {
		if next := s.table.Promised(now, record); next == "" || next == q.id {
			d.Free = record
		}
	}
	return d
}

// keptTerm is the term to be stored for a client that stays where it is: no
// shorter than the one stored, as long as the client may count on that. An
// endless one would never be forgotten, so it is not kept.
func keptTerm(now time.Time, old lease.Slot, term time.Duration) time.Duration {
	if old.State == lease.Bound && old.Term != dhcp.Infinite && old.Until.After(now.Add(term)) {
		return max(term, old.Term)
	}
	return term
}

func (q query) name() string {
	if q.host != nil && q.host.Name != "" {
		return dhcp.HostName(q.host.Name)
	}
	return dhcp.ClientName(q.Msg)
}

// decline takes the address out of use. The record on flash stays until the
// client has another address: see Decision.Free.
func (s *Server) decline(now time.Time, q query) Decision {
	a := requested(q.Msg)
	if !s.isOurs(q, dhcp.Addr(q.Msg.ServerIdentifier())) {
		return Decision{Why: ChoseAnotherServer, Addr: a}
	}
	if !s.table.Decline(now, a, q.id, now.Add(declineTime)) {
		return Decision{Why: NotHeld, Addr: a}
	}
	return Decision{Seek: a, Why: DeclinedInUse, Addr: a}
}

func (s *Server) release(now time.Time, q query) Decision {
	a := dhcp.Addr(q.Msg.ClientIPAddr)
	if chosen := dhcp.Addr(q.Msg.ServerIdentifier()); !chosen.IsUnspecified() && !s.isOurs(q, chosen) {
		return Decision{Why: ChoseAnotherServer, Addr: a}
	}
	if !s.table.Release(now, a, q.id) {
		return Decision{Why: NotHeld, Addr: a}
	}
	return Decision{Why: Released, Addr: a}
}

// inform answers a host that has an address already: "The server MUST NOT send
// a lease expiration time to the client and SHOULD NOT fill in 'yiaddr'."
// RFC 2131, section 4.3.5.
func (s *Server) inform(q query) Decision {
	a := dhcp.Addr(q.Msg.ClientIPAddr)
	if a.IsUnspecified() {
		a = q.From.Addr()
	}
	if !s.cfg.Addr.Contains(a) {
		return Decision{Why: NotThisNetwork, Addr: a}
	}
	return Decision{Reply: s.informed(q, a), Why: Informed, Addr: a}
}

func (s *Server) term(q query) time.Duration {
	if q.isBOOTP() {
		return dhcp.Infinite
	}
	if q.host != nil && q.host.Term != 0 {
		return q.host.Term
	}
	return s.cfg.Term
}

// grant is the term, or what the client asks for if that is less.
func (s *Server) grant(q query) time.Duration {
	most := s.term(q)
	if q.isBOOTP() {
		return most // it is told of none, and does not come back
	}
	for _, limit := range []time.Duration{s.cfg.Longest, q.most} {
		if limit != 0 {
			most = min(most, limit)
		}
	}
	return min(most, max(q.Msg.IPAddressLeaseTime(most), shortestGrant))
}

// t1 is half of the grant, less up to a tenth by the client's identity, so that
// devices which a power cut made join in one second do not renew in one.
func t1(grant time.Duration, id dhcp.ID) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(id))
	half, _ := dhcp.DefaultTimes(grant)
	return half - half/10_000*time.Duration(h.Sum32()%1000)
}

func requested(m *dhcpv4.DHCPv4) netip.Addr { return dhcp.Addr(m.RequestedIPAddress()) }
