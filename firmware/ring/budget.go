package ring

import "time"

// A Budget keeps wear within bounds whatever is asked for: it says how many
// octets may be used up so that the flash lasts for a lifetime. Time that has
// passed earns credit, up to a day's worth or two segments, so that a burst gets
// through; what a ring uses up is taken off, also where it has to be more than
// there is. It is told the time and is not safe for concurrent use.
type Budget struct {
	PerDay int64 // octets that may be used up a day
	Burst  int64 // the most credit there can be

	credit float64
	first  float64 // the most that the first Put takes
	used   int64
	at     time.Time
}

const (
	day      = 24 * time.Hour
	forBoots = 0.2
)

// NewBudget is the budget of a ring whose segments stand so many erases and
// shall last for life. A fifth of that is left for boots, since what each of
// them begins with is not remembered: with four segments of 10 000 erases and ten
// years, one boot a day. Two segments are there to begin with: at most one and a
// half for the first Put, which abandons what is left of one and fills half of
// the next, and as much as all leases that fit, once, for a house that comes
// back after a blackout.
func NewBudget(now time.Time, s Stats, cycles int, life time.Duration) *Budget {
	total := float64(len(s.Erases)) * float64(cycles) * float64(s.Segment) * (1 - forBoots)
	b := &Budget{PerDay: int64(total / (float64(life) / float64(day))), credit: 2 * float64(s.Segment), first: 1.5 * float64(s.Segment), used: s.Used, at: now}
	b.Burst = max(b.PerDay, 2*int64(s.Segment))
	return b
}

// Credit returns the octets that may be used up now, given those that were used
// up since Open. It is below zero after what could not be avoided.
func (b *Budget) Credit(now time.Time, used int64) int64 {
	b.credit += float64(b.PerDay) * float64(now.Sub(b.at)) / float64(day)
	b.credit = min(b.credit, float64(b.Burst)) - float64(used-b.used)
	b.at, b.used = now, used
	return int64(b.credit)
}

// Resume goes on with the credit of an earlier budget, if there was one, so that
// to open a ring anew earns nothing but what its first Put may take.
func (b *Budget) Resume(credit *int64) {
	if credit != nil {
		b.credit = min(float64(max(*credit, 0))+b.first, float64(b.Burst))
	}
}

// Years is how long a ring lasts whose segments stand so many erases, if it
// goes on as it has since Open, some time ago; 0: it has used up nothing.
func (s Stats) Years(cycles int, since time.Duration) float64 {
	if s.Used <= 0 || since <= 0 {
		return 0
	}
	left := 0.0
	for _, n := range s.Erases {
		left += max(0, float64(cycles)-float64(n)) * float64(s.Segment)
	}
	return left / float64(s.Used) * since.Hours() / (24 * 365)
}
