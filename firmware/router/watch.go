package router

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"leasehold/dhcp"
	"leasehold/dhcp/server"
	"leasehold/firmware/status"
)

// A watch is what the loops tell each other about who is on which wire, so that
// they notice wires that are connected to each other.
type watch struct {
	mu      sync.Mutex
	ports   map[dhcp.HWAddr][]string // our own, by their addresses: VLANs share one
	sent    [32]message              // that we sent as a client
	next    int
	servers map[dhcp.HWAddr]sighting // that are not us
}

// A message is one that we sent, and where.
type message struct {
	xid   dhcpv4.TransactionID
	where string
}

// A sighting is where somebody was last seen.
type sighting struct {
	where string
	at    time.Time
}

const (
	onWAN = "the WAN port"
	// sightings is how many servers are remembered, and sightedFor how long.
	sightings  = 64
	sightedFor = time.Hour
)

func newWatch() *watch {
	return &watch{ports: map[dhcp.HWAddr][]string{}, servers: map[dhcp.HWAddr]sighting{}}
}

// isPort reports whether a port of ours has the address, and returns another one
// than here, if another has it.
func (w *watch) isPort(hw dhcp.HWAddr, here string) (there string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, there = range w.ports[hw] {
		if there != here {
			return there, true
		}
	}
	return here, len(w.ports[hw]) > 0
}

// port notes an address of ours.
func (w *watch) port(hw dhcp.HWAddr, where string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.ports[hw], where) {
		w.ports[hw] = append(w.ports[hw], where)
	}
}

// asks notes that we send a message as a client.
func (w *watch) asks(m *dhcpv4.DHCPv4, where string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[w.next] = message{m.TransactionID, where}
	w.next = (w.next + 1) % len(w.sent)
}

// isOurs says which of our ports sent a client's message. The address alone would
// not do: an owner may have given the WAN port that of a laptop.
func (w *watch) isOurs(m *dhcpv4.DHCPv4) (where string, ok bool) {
	hw, _ := dhcp.ClientHW(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sent {
		if s.xid == m.TransactionID && s.where != "" && slices.Contains(w.ports[hw], s.where) {
			return s.where, true
		}
	}
	return "", false
}

// sees notes that a server is on one of our wires. It returns where it was within
// the hour, if that was on the other side: two networks of one side may well have
// one server, on VLANs.
func (w *watch) sees(now time.Time, hw dhcp.HWAddr, where string) (elsewhere string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := w.servers[hw]; ok && s.where != where && (s.where == onWAN || where == onWAN) && now.Sub(s.at) < sightedFor {
		return s.where
	}
	if _, known := w.servers[hw]; !known && len(w.servers) >= sightings {
		w.forget()
	}
	w.servers[hw] = sighting{where, now}
	return ""
}

// forget makes room: for the one that was not seen for the longest time.
func (w *watch) forget() {
	var oldest dhcp.HWAddr
	for hw, s := range w.servers {
		if o, ok := w.servers[oldest]; !ok || s.at.Before(o.at) {
			oldest = hw
		}
	}
	delete(w.servers, oldest)
}

// alarm puts what needs the owner's hand on the page for as long as it goes on,
// and reports whether it says something new. Of two texts on one subject the longer
// says more.
func (b *board) alarm(now time.Time, subject, text string) (fresh bool) {
	b.publish(func(r *status.Report) {
		fresh = true
		var alarms []status.Alarm
		for _, a := range r.Alarms {
			switch {
			case !a.Holds(now):
			case a.Subject == subject:
				if fresh = len(a.Text) < len(text); !fresh {
					text = a.Text
				}
			default:
				alarms = append(alarms, a)
			}
		}
		r.Alarms = append(alarms, status.Alarm{At: now, Subject: subject, Text: text})
	})
	if fresh {
		b.note(status.Event{At: now, Text: text})
	}
	return fresh
}

func (l *lan) alarm(now time.Time, subject, text string) {
	if l.board.alarm(now, subject, text) {
		l.log.Warn("alarm", "what", text)
	}
}

func connected(here, there string) string {
	if here == there {
		return fmt.Sprintf("what is sent on %s comes back: two of its ports are connected to each other", here)
	}
	return fmt.Sprintf("%s and %s are connected to each other", here, there)
}

// overhear looks at what a server says to a client on our own network.
func (l *lan) overhear(now time.Time, d dhcp.Datagram) {
	here := l.cfg.Name
	if there, ok := l.watch.isPort(d.HW, here); ok {
		if serverOf(d) == l.cfg.Addr.Addr() {
			there = here
		}
		l.alarm(now, "connected "+here, connected(here, there))
		return
	}
	if elsewhere := l.watch.sees(now, d.HW, here); elsewhere != "" {
		l.alarm(now, "connected "+here, fmt.Sprintf("%v answers on %s and on %s: the two are connected, or were swapped", d.HW, here, elsewhere))
	}
	l.rogue(now, serverOf(d), d.HW)
}

// serverOf is what a server calls itself, or where its answer is from.
func serverOf(d dhcp.Datagram) netip.Addr {
	if a := dhcp.Addr(d.Msg.ServerIdentifier()); !a.IsUnspecified() {
		return a
	}
	return d.From.Addr()
}

// rogue raises the alarm about another server on a network that is ours alone. Who
// makes up one after the other gets no alarm for each.
func (l *lan) rogue(now time.Time, a netip.Addr, hw dhcp.HWAddr) {
	if !l.cfg.Authoritative {
		return
	}
	text := fmt.Sprintf("another DHCP server answers on %s: %v", l.cfg.Name, a)
	if hw != (dhcp.HWAddr{}) {
		text += fmt.Sprintf(" (%v)", hw)
	}
	subject := fmt.Sprintf("server %v on %s", a, l.cfg.Name)
	if l.others(now, subject) >= mostServers {
		subject = "servers on " + l.cfg.Name
		text = fmt.Sprintf("more than %d other DHCP servers answer on %s, or somebody makes them up", mostServers, l.cfg.Name)
	}
	l.alarm(now, subject, text)
}

// mostServers is how many other servers of a network the page names.
const mostServers = 4

// others is how many other servers of this network are on the page, besides that of
// the subject.
func (l *lan) others(now time.Time, subject string) (n int) {
	for _, a := range l.board.read().Alarms {
		ours := strings.HasPrefix(a.Subject, "server ") && strings.HasSuffix(a.Subject, " on "+l.cfg.Name)
		if ours && a.Holds(now) && a.Subject != subject {
			n++
		}
	}
	return n
}

// withoutOwn leaves out of a batch what we have sent ourselves, as a client on
// another wire: that one is connected to this, and would be lent an address here.
func (l *lan) withoutOwn(now time.Time, batch []dhcp.Datagram) []dhcp.Datagram {
	others := batch[:0]
	for _, d := range batch {
		if there, ok := l.watch.isOurs(d.Msg); ok {
			l.alarm(now, "connected "+l.cfg.Name, connected(l.cfg.Name, there))
			continue
		}
		others = append(others, d)
	}
	return others
}

// chose hears of another server from a client that takes its offer.
func (l *lan) chose(now time.Time, dec server.Decision, d dhcp.Datagram) {
	if dec.Why == server.ChoseAnotherServer && d.Msg.MessageType() == dhcpv4.MessageTypeRequest && !server.Link(d.Msg).IsValid() {
		l.rogue(now, dhcp.Addr(d.Msg.ServerIdentifier()), dhcp.HWAddr{})
	}
}

// Other servers are looked for seekFirst after the start and every seekEvery.
const (
	seekFirst = 10 * time.Second
	seekEvery = 5 * time.Minute
)

// seek asks who else is a server here, as a client that will take no offer.
func (l *lan) seek() {
	if !l.cfg.Authoritative {
		return
	}
	hw := l.conn.HW()
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: hw[:], Flags: 0x8000,
		Options: dhcpv4.OptionsFromList(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover)),
	}
	for i := range m.TransactionID {
		m.TransactionID[i] = byte(rand.Uint32())
	}
	l.watch.asks(m, l.cfg.Name)
	err := l.conn.Send(dhcp.Datagram{
		Msg: m, HW: dhcp.BroadcastHW,
		From: netip.AddrPortFrom(netip.IPv4Unspecified(), dhcp.ClientPort),
		To:   netip.AddrPortFrom(dhcp.Broadcast, dhcp.ServerPort),
	})
	if err != nil {
		l.log.Error("other servers not looked for", "err", err)
	}
}

// suspect reports whether an answer on the WAN port is our own, from a network of
// ours that is connected to it. Its lease would be one of ours.
func (w *wan) suspect(now time.Time, d dhcp.Datagram) bool {
	there, own := w.watch.isPort(d.HW, onWAN)
	own = own && there != onWAN
	text := connected(there, onWAN)
	if !own {
		if there = w.watch.sees(now, d.HW, onWAN); there == "" {
			return false
		}
		text = fmt.Sprintf("%v answers on %s and on %s: the two are connected, or were swapped", d.HW, there, onWAN)
	}
	if w.board.alarm(now, "connected "+there, text) {
		w.log.Warn("alarm", "what", text)
	}
	return own
}
