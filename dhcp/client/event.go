package client

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"leasehold/dhcp"
)

// A Reason is what kind of event moved the machine. Its text is for the log and
// the page.
type Reason uint8

// The reasons; zero means that nothing notable happened.
const (
	Searching Reason = iota + 1 // DISCOVER
	Offered                     // OFFER taken into account
	Unusable                    // OFFER or ACK with something wrong in it
	Asking                      // REQUEST for an offer
	Verifying                   // REQUEST after a reboot or a link that was down
	NoAnswer                    // the same again
	GaveUp                      // no answer for too long, another way is tried
	Granted                     // ACK for an address that is not in use here yet
	InUse                       // by another station: DECLINE
	Leased                      // and installed
	Extending                   // REQUEST to renew or rebind
	Extended                    // ACK for it
	Kept                        // no answer, but the lease has not run out
	Refused                     // NAK
	Expired                     // the lease ran out unanswered
	LinkBack                    // the carrier is there again
	Released                    // RELEASE
	Unwanted                    // OFFER or ACK against the user's lists
	Alone                       // no server for a minute: a link-local address is installed
	Contested                   // somebody has the link-local address: another is tried
	Defended                    // somebody claims our address: it is announced once more
)

var reasonTexts = [...]string{
	"",
	Searching: "looking for a server",
	Offered:   "offered",
	Unusable:  "answer not usable",
	Asking:    "asking",
	Verifying: "asking whether the address is still ours",
	NoAnswer:  "no answer",
	GaveUp:    "no answer, starting over",
	Granted:   "granted, asking the link whether it is free",
	InUse:     "in use by another station, declined",
	Leased:    "bound",
	Extending: "asking for more time",
	Extended:  "renewed",
	Kept:      "no answer, lease kept",
	Refused:   "refused",
	Expired:   "lease expired",
	LinkBack:  "link is back",
	Released:  "released",
	Unwanted:  "answer not wanted",
	Alone:     "no server, link-local address taken",
	Contested: "link-local address is in use, trying another",
	Defended:  "another station claims our address, defended",
}

// String says it without the particulars of an Event.
func (r Reason) String() string { return reasonTexts[r] }

// An Event is what a Step came of. Fields that do not matter to its Reason are
// zero.
type Event struct {
	Reason Reason
	Addr   netip.Addr    // the address in question
	Server netip.Addr    // who said so, or is asked; zero: any, or unknown
	For    time.Duration // the lease from now on, or the wait until the next attempt
	Detail string        // what is wrong, or what the server said; printable ASCII
}

// String is the event as a sentence: "offered 192.0.2.7 by 192.0.2.1".
func (e Event) String() string {
	switch e.Reason {
	case Offered:
		return fmt.Sprintf("offered %v by %v%s", e.Addr, e.Server, e.detail())
	case Unusable:
		return fmt.Sprintf("answer of %s is not usable: %s", e.who("a server"), e.Detail)
	case Asking:
		return fmt.Sprintf("asking %v for %v", e.Server, e.Addr)
	case Verifying:
		return fmt.Sprintf("asking whether %v is still ours", e.Addr)
	case NoAnswer:
		return fmt.Sprintf("no answer, again in %s", span(e.For))
	case GaveUp:
		return fmt.Sprintf("no answer from %s, starting over", e.who("any server"))
	case Granted:
		return fmt.Sprintf("granted %v by %v for %s, asking the link whether it is free", e.Addr, e.Server, span(e.For))
	case InUse:
		return fmt.Sprintf("%v is in use by another station, declined, again in %s", e.Addr, span(e.For))
	case Leased:
		return fmt.Sprintf("bound to %v by %v for %s", e.Addr, e.Server, span(e.For))
	case Extending:
		return fmt.Sprintf("asking %s to renew %v", e.who("any server"), e.Addr)
	case Extended:
		return fmt.Sprintf("%v renewed by %v for %s", e.Addr, e.Server, span(e.For))
	case Kept:
		return fmt.Sprintf("no answer, keeping %v for %s", e.Addr, span(e.For))
	case Refused:
		return fmt.Sprintf("refused by %s%s, again in %s", e.who("a server"), e.detail(), span(e.For))
	case Expired:
		return fmt.Sprintf("lease of %v has expired", e.Addr)
	case Released:
		return fmt.Sprintf("released %v to %v", e.Addr, e.Server)
	case Unwanted:
		return fmt.Sprintf("%v of %s is not wanted: %s", e.Addr, e.who("a server"), e.Detail)
	case Alone:
		return fmt.Sprintf("no server for a minute, %v taken meanwhile", e.Addr)
	case Contested:
		return fmt.Sprintf("%v is in use by another station, trying another", e.Addr)
	case Defended:
		return fmt.Sprintf("another station claims %v, defended", e.Addr)
	}
	return e.Reason.String()
}

func (e Event) who(unknown string) string {
	if !e.Server.IsValid() {
		return unknown
	}
	return e.Server.String()
}

func (e Event) detail() string {
	if e.Detail == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", e.Detail)
}

// span is d for people: "8 s", "45 min", "12 h", "3 days".
func span(d time.Duration) string {
	switch {
	case d >= dhcp.Infinite:
		return "ever"
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d.Round(24*time.Hour)/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d.Round(time.Hour)/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	}
	return fmt.Sprintf("%d s", d.Round(time.Second)/time.Second)
}

// printable makes what a stranger wrote fit for one line of a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s[:min(len(s), 80)])
}
