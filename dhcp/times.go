package dhcp

import (
	"math"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Infinite is the lease time that never ends: all ones on the wire (RFC 2131,
// section 3.3).
const Infinite = math.MaxUint32 * time.Second

const (
	// shortestTerm is the least that a client obeys: below it a server would
	// have us do nothing but renew. Modems grant 30 s on purpose.
	shortestTerm = 20 * time.Second
	// missingTerm stands in for a lease time that a server left out.
	missingTerm = time.Hour
)

// DefaultTimes returns T1 and T2 of a lease of term: "T1 defaults to
// (0.5 * duration_of_lease). T2 defaults to (0.875 * duration_of_lease)."
// RFC 2131, section 4.4.5.
func DefaultTimes(term time.Duration) (t1, t2 time.Duration) {
	return term / 2, term / 8 * 7
}

// Times returns what a client has to obey of the times in m: how long the lease
// runs, when to renew and when to rebind, all counted from the REQUEST. Times
// that are missing, zero or out of order are replaced, so that
// 0 < t1 < t2 < term always holds.
func Times(m *dhcpv4.DHCPv4) (t1, t2, term time.Duration) {
	term = max(m.IPAddressLeaseTime(missingTerm), shortestTerm)
	d1, d2 := DefaultTimes(term)
	if t2 = m.IPAddressRebindingTime(d2); t2 <= 0 || t2 >= term {
		t2 = d2
	}
	if t1 = m.IPAddressRenewalTime(d1); t1 <= 0 || t1 >= t2 {
		t1 = min(d1, t2/7*4)
	}
	return t1, t2, term
}
