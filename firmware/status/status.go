// Package status is the router's page: one Report, shown to people as plain
// HTML without scripts, to programs as JSON, and to Prometheus as metrics. It
// knows no DHCP; firmware/router fills in the Report.
//
// All are served by a responder of our own that speaks just enough HTTP/1.0.
// net/http would add 0.75 MB (xz, mipsle) to a binary of 1 MB on routers with
// 8 MB of flash, and html/template another 0.5 MB; so every text passes through
// esc, and a test puts a script into each field.
package status

import (
	"net/netip"
	"time"
)

// A Report is all that there is to show. It is not changed once it is published.
// Times are shown as durations from now, since a router does not know the date.
type Report struct {
	Version string
	Started time.Time
	Memory  Memory
	LANs    []LAN
	WAN     WAN
	Ring    Ring
	// LastWords are why the router ended before its last reboot, which nobody had
	// asked for; "": it did not, as far as is known.
	LastWords string
	Alarms    []Alarm // some of which may be over; the latest last
	// Problems are what is wrong with the configuration, a line each.
	Problems []string
	Events   []Event // the latest last
}

// Memory is in octets; zero: not known.
type Memory struct {
	Resident int64 // of the router's own process
	Free     int64 // that could be had before the machine runs out of it
}

// LAN is one of the networks of the serving side.
type LAN struct {
	Name        string // as configured: lan, guest
	Device      string // "" for one behind relay agents
	Via         string // the network by which those reach us
	Addr        netip.Prefix
	MovedFrom   netip.Prefix // where it is configured to be, but in the provider's way; invalid: where it is
	First, Last netip.Addr
	Size, Used  int    // addresses of the pool, and those of them that are somebody's
	Tight       bool   // so full that who may be passing by gets short leases
	Trouble     string // why it does not serve; "" when it does
	Leases      []Lease
	Devices     []Device // that were heard lately, the last one first
	Lost        uint64   // messages that came faster than they were answered
	Refused     uint64   // messages that were not read: their sender sent too many, or all together did
}

// A Lease is one line of the table of leases.
type Lease struct {
	Addr  netip.Addr
	HW    string // of who uses it, where that is in use by somebody else; "": not known
	Name  string
	State string
	Until time.Time // zero: for ever
	// Heard is false for a lease that was found in the ring at boot and whose
	// client has not spoken since.
	Heard bool
}

// A Device is what somebody asked for lately, and what came of it.
type Device struct {
	HW   string // or what else it is known by
	Name string
	Addr netip.Addr // that it has now; invalid: none
	Said []Exchange // the latest last
}

// An Exchange is a message and its answer.
type Exchange struct {
	At     time.Time // of the last time
	Asked  string    // DISCOVER, REQUEST
	Answer string    // OFFER, ACK, NAK; "": none
	Addr   netip.Addr
	Why    string
	Times  int // in a row
}

// WAN is the side that asks for an address.
type WAN struct {
	Device  string
	State   string
	Trouble string
	NoCable bool
	Held    bool         // there is a lease that the port cannot have; Trouble says why
	Addr    netip.Prefix // invalid: none
	Gateway netip.Addr
	Routes  []Route // the default one among them
	MTU     int     // 0: the port's own
	Server  netip.Addr
	DNS     []netip.Addr
	Domain  string
	Search  []string
	NTP     []netip.Addr
	Renew   time.Time
	Expires time.Time // zero: never
	Refused []Event   // answers that were not used, the latest last
}

// A Route is the way to a network.
type Route struct {
	To  netip.Prefix
	Via netip.Addr // invalid: its hosts are on the link
}

// Ring is the health of the store.
type Ring struct {
	Path       string
	Trouble    string // why nothing can be kept; "" when it can
	Records    int
	Live       int      // octets that the records take
	Capacity   int      // octets that they may take
	Segment    int      // octets of a segment
	Programmed int64    // octets since the start
	Erases     []uint32 // of each segment, over its life
	Damaged    int      // records that were skipped
	Bad        int      // segments that no longer hold data

	Cycles  int     // erases that a segment is good for, as configured
	Years   int     // the lifetime, as configured
	Credit  int64   // octets that may be written at once now; below 0: new clients wait for it to recover
	Burst   int64   // the most that Credit gets to; 0: there is no budget
	PerDay  int64   // octets that may be written a day, for ever
	Pace    float64 // years that the flash lasts at the pace since the start; 0: too early to say
	Lent    int     // leases that are kept in memory only
	Sparing string  // why new clients get short leases kept in memory only; "" when they do not
}

// An Alarm is what goes on that needs the owner's hand.
type Alarm struct {
	At      time.Time // when it was last seen
	Subject string    // a later one of the same subject takes its place
	Text    string
}

// Holds reports whether an alarm is shown: until it was not seen for a while.
func (a Alarm) Holds(now time.Time) bool { return now.Sub(a.At) < alarmHolds }

// alarmHolds is longer than what raises alarms waits before it looks again.
const alarmHolds = 12 * time.Minute

// An Event is something that happened, in words.
type Event struct {
	At   time.Time
	Text string
}
