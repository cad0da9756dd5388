// Package status is the router's page: one Report, shown as plain HTML without
// scripts. It knows no DHCP; firmware/router fills in the Report.
//
// The page is served by a responder of our own that speaks just enough
// HTTP/1.0. net/http would add 0.75 MB (xz, mipsle) to a binary of 1 MB on
// routers with 8 MB of flash, and html/template another 0.5 MB; so every text
// passes through esc, and a test puts a script into each field.
package status

import (
	"net/netip"
	"time"
)

// A Report is all that the page shows. It is not changed once it is published.
// Times are shown as durations from now, since a router does not know the date.
type Report struct {
	Version string
	Started time.Time
	LAN     LAN
	WAN     WAN
	Ring    Ring
	// Problems are what is wrong with the configuration, a line each.
	Problems []string
	Events   []Event // the latest last
}

// LAN is the serving side.
type LAN struct {
	Device      string
	Addr        netip.Prefix
	First, Last netip.Addr
	Trouble     string // why it does not serve; "" when it does
	Leases      []Lease
	Lost        uint64 // messages that came faster than they were answered
}

// A Lease is one line of the table of leases.
type Lease struct {
	Addr  netip.Addr
	HW    string
	Name  string
	State string
	Until time.Time // zero: for ever
	// Heard is false for a lease that was found in the ring at boot and whose
	// client has not spoken since.
	Heard bool
}

// WAN is the side that asks for an address.
type WAN struct {
	Device  string
	State   string
	Trouble string
	Addr    netip.Prefix // invalid: none
	Gateway netip.Addr
	Server  netip.Addr
	DNS     []netip.Addr
	Domain  string
	Renew   time.Time
	Expires time.Time // zero: never
}

// Ring is the health of the store.
type Ring struct {
	Path       string
	Trouble    string // why nothing can be kept; "" when it can
	Records    int
	Live       int // octets that the records take
	Capacity   int // octets that they may take
	Programmed int64
	Erases     []uint32 // of each segment
	Damaged    int      // records that were skipped
	Bad        int      // segments that no longer hold data
}

// An Event is something that happened, in words.
type Event struct {
	At   time.Time
	Text string
}
