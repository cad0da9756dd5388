package ring

import (
	"math"
	"testing"
	"time"

	"leasehold/firmware/flash/flashtest"
)

var epoch = time.Unix(0, 0)

// sixteen is a ring of four segments of 64 KiB.
var sixteen = Stats{Segment: 64 << 10, Erases: make([]uint32, 4)}

func TestBudgetIsALifetimeInDays(t *testing.T) {
	b := NewBudget(epoch, sixteen, 10_000, 3650*day)
	if want := int64(4 * 8_000 * 65536 / 3650); b.PerDay != want {
		t.Errorf("PerDay = %d; want %d", b.PerDay, want)
	}
	if got := b.Credit(epoch, 0); got != 128<<10 {
		t.Errorf("at the start, Credit = %d; want two segments", got)
	}
}

func TestBudgetEarnsAndPays(t *testing.T) {
	b := NewBudget(epoch, sixteen, 2500, 3650*day) // 143640 octets a day
	steps := []struct {
		at   time.Duration
		used int64
		want int64
	}{
		{0, 0, 131_072},
		{0, 31_072, 100_000},
		{6 * time.Hour, 31_072, 135_910},
		{6 * time.Hour, 231_072, 135_910 - 200_000},
		{30 * time.Hour, 231_072, 135_910 - 200_000 + 143_640},
		{30 * day, 231_072, 143_640},           // no more than a day's worth
		{30*day - time.Hour, 231_072, 137_655}, // time that runs backwards is no trouble
	}
	for _, s := range steps {
		if got := b.Credit(epoch.Add(s.at), s.used); got < s.want-2 || got > s.want+2 {
			t.Errorf("at %v, with %d used: Credit = %d; want %d", s.at, s.used, got, s.want)
		}
	}
}

func TestSmallBudgetSavesUpForTwoSegments(t *testing.T) {
	b := NewBudget(epoch, sixteen, 10, 36500*day)
	if b.Burst != 128<<10 {
		t.Errorf("Burst = %d; want two segments", b.Burst)
	}
}

func TestYears(t *testing.T) {
	s := Stats{Segment: 1000, Erases: []uint32{100, 100, 100, 100}}
	if got := s.Years(1100, day); got != 0 {
		t.Errorf("Years = %v although nothing was used; want 0: not known", got)
	}
	s.Used = 40_000 // a hundredth of what is left, in a year
	if got := s.Years(1100, 365*day); math.Abs(got-100) > 0.01 {
		t.Errorf("Years = %v; want 100", got)
	}
	s.Erases = []uint32{1100, 1200, 1100, 1100}
	if got := s.Years(1100, day); got != 0 {
		t.Errorf("Years = %v for a ring past its life; want 0", got)
	}
}

// Promise 8: what is used up accounts for every erase.
func TestUsedAccountsForEveryErase(t *testing.T) {
	for _, g := range geometries {
		nor := flashtest.New(g.blockSize, g.blocks)
		used, segment := int64(0), 0
		for boot := range 30 {
			r := reopen(t, nor)
			work(t, r, boot*5)
			s := r.Stats()
			used, segment = used+s.Used, s.Segment
		}
		if erases := sum(segmentErases(t, nor)); int64(erases-1)*int64(segment) > used {
			t.Errorf("%v: %d erases of %d octets; %d used", g, erases, segment, used)
		}
	}
}
