package ring

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"leasehold/firmware/flash/flashtest"
)

// A crash test that cannot fail is decoration. So the same cuts are made for
// the rules that ship and for rules that lack one of them.

// A geometry is small, so that every place in it can be cut.
type geometry struct{ blockSize, blocks int }

func (g geometry) String() string { return fmt.Sprintf("%dx%d", g.blocks, g.blockSize) }

var geometries = []geometry{{256, 3}, {256, 4}, {128, 8}, {64, 20}, {512, 4}}

// A variant is a ring to be tortured: how it is made, and what is wrong with it.
type variant struct {
	geometry
	rules rules
	fault flashtest.Fault // of block 1
	early bool            // acknowledges before Put
}

func (v variant) String() string {
	if v.fault == 0 {
		return v.geometry.String()
	}
	return fmt.Sprintf("%v, block 1 %v", v.geometry, v.fault)
}

// variants are all that ship, and have to stand it.
func variants() (all []variant) {
	for _, g := range geometries {
		all = append(all, variant{geometry: g, rules: shipped})
	}
	for _, fault := range []flashtest.Fault{flashtest.FailProgram, flashtest.FailErase, flashtest.Deaf, flashtest.Stuck} {
		all = append(all, variant{geometry: geometry{256, 4}, rules: shipped, fault: fault})
	}
	return all
}

// script is what happens to a ring in its life; a nil batch is a reboot. It has
// overwrites, forgotten keys, batches, changes that change nothing and more
// octets than two segments hold.
func script() [][]Entry {
	e := func(s string) (batch []Entry) {
		for _, f := range strings.Fields(s) {
			k, v, put := strings.Cut(f, "=")
			if !put {
				batch = append(batch, Entry{Key: k})
				continue
			}
			batch = append(batch, Entry{k, []byte(v)})
		}
		return batch
	}
	return [][]Entry{
		e("a=1"), e("b=2"), e("a=3 b=4"), nil,
		e("a=3"), e("a=5"), e("a"), e("a=6"), e("c=7 b c=8"), nil,
		nil, e("b=9"), e("c=10 a=11 b=12"), e("c=13"),
	}
}

// A life is a device and what its owner may rely on.
type life struct {
	variant
	nor     *flashtest.NOR
	acked   map[string]string
	pending []Entry // asked for, not acknowledged
	next    int     // step of the script
}

func newLife(v variant) *life {
	l := &life{variant: v, nor: flashtest.New(v.blockSize, v.blocks), acked: map[string]string{}}
	l.nor.Break(1, v.fault)
	return l
}

func (l *life) clone() *life {
	c := *l
	c.nor, c.acked = l.nor.Clone(), maps.Clone(l.acked)
	return &c
}

var (
	errLost = errors.New("what was acknowledged is not there")
	errCut  = flashtest.ErrPowerCut
)

// live boots and goes through at most n steps of the script.
func (l *life) live(steps [][]Entry, n int) error {
	r, err := l.boot()
	if err != nil {
		return err
	}
	for ; n > 0 && (l.pending != nil || l.next < len(steps)); n-- {
		if l.pending == nil {
			l.pending = steps[l.next]
			l.next++
		}
		if l.pending == nil {
			l.nor.Reboot()
			if r, err = l.boot(); err != nil {
				return err
			}
			continue
		}
		if l.early {
			change(l.acked, l.pending)
		}
		if err := r.Put(l.pending...); err != nil {
			return err
		}
		change(l.acked, l.pending)
		l.pending = nil
	}
	return l.check(r)
}

func (l *life) boot() (*Ring, error) {
	r, err := open(l.nor, l.rules)
	if err != nil {
		return nil, err
	}
	return r, l.check(r)
}

// check allows what was acknowledged, and after it any beginning of the batch
// that is pending.
func (l *life) check(r *Ring) error {
	got := contents(r)
	want := maps.Clone(l.acked)
	if maps.Equal(got, want) {
		return nil
	}
	for _, e := range l.pending {
		change(want, []Entry{e})
		if maps.Equal(got, want) {
			return nil
		}
	}
	return fmt.Errorf("%w: %v; want %v and some of %v", errLost, got, l.acked, l.pending)
}

func contents(r *Ring) map[string]string {
	m := map[string]string{}
	for k, v := range r.All() {
		m[k] = string(v)
	}
	return m
}

func change(m map[string]string, batch []Entry) {
	for _, e := range batch {
		if e.Value == nil {
			delete(m, e.Key)
		} else {
			m[e.Key] = string(e.Value)
		}
	}
}

// aftermath boots some times more and works a little in between: what is torn
// may read one way now and the other way then.
func (l *life) aftermath(steps [][]Entry) error {
	for _, n := range []int{1, 0, 2, 0} {
		l.nor.Reboot()
		if err := l.live(steps, n); err != nil {
			return err
		}
	}
	if l.fault != 0 {
		return nil // a block that does not erase is used all the same
	}
	return l.nor.Violation()
}

// A tally counts cuts and what they cost.
type tally struct {
	cuts, lost int
	err        error // the first
}

func (c *tally) add(where string, err error) {
	c.cuts++
	if err == nil {
		return
	}
	if errors.Is(err, errLost) {
		c.lost++
	}
	if c.err == nil {
		c.err = fmt.Errorf("%s: %w", where, err)
	}
}

// crash cuts the power at every place of the script, and again at every place
// of what follows, or at every so-manieth of each.
func crash(v variant, outer, inner int) (c tally) {
	steps := script()
	whole := newLife(v)
	whole.nor.CountOn()
	if err := whole.live(steps, len(steps)); err != nil {
		c.add("no cut", err)
		return c
	}
	total := whole.nor.Steps()
	for at := 0; at < total; at += outer {
		for _, tear := range flashtest.Tears() {
			l := newLife(v)
			l.cutAt(steps, at, tear)
			c.again(l, steps, inner, at*7+int(tear), fmt.Sprintf("%v, %v at %d", v, tear, at))
		}
	}
	return c
}

// cutAt lives up to the cut, which counts over reboots.
func (l *life) cutAt(steps [][]Entry, at int, tear flashtest.Tear) {
	l.nor.CountOn()
	l.nor.CutAt(at, tear)
	l.live(steps, len(steps))
	l.nor.CountOff()
	l.nor.Reboot()
}

// again cuts a second time, from boot to the second Put.
func (c *tally) again(l *life, steps [][]Entry, stride, from int, where string) {
	sound := l.clone()
	c.add(where, second(sound.live(steps, 2), sound, steps))
	probe := l.clone()
	probe.live(steps, 2)
	span := probe.nor.Steps()
	for at := from % stride; at < span; at += stride {
		for _, tear := range flashtest.Tears() {
			m := l.clone()
			m.nor.CutAt(at, tear)
			err := m.live(steps, 2)
			c.add(fmt.Sprintf("%s, then %v at %d", where, tear, at), second(err, m, steps))
		}
	}
}

func second(err error, l *life, steps [][]Entry) error {
	if err != nil && !errors.Is(err, errCut) {
		return err
	}
	return l.aftermath(steps)
}

// everywhere reports whether every single place is to be cut, as make crash
// does.
func everywhere() bool { return os.Getenv("LEASEHOLD_CRASH") != "" }

func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	outer, inner := 43, 53
	if everywhere() {
		outer, inner = 1, 1
	}
	var mu sync.Mutex
	var all tally
	t.Run("each", func(t *testing.T) {
		for _, v := range variants() {
			t.Run(v.String(), func(t *testing.T) {
				t.Parallel()
				c := crash(v, outer, inner)
				t.Logf("%d cuts, %d lost", c.cuts, c.lost)
				if c.err != nil {
					t.Error(c.err)
				}
				mu.Lock()
				defer mu.Unlock()
				all.cuts += c.cuts
				all.lost += c.lost
			})
		}
	})
	t.Logf("%d cuts in all, %d lost", all.cuts, all.lost)
}

// Promise 1, its last sentence: as many cuts in a row as there may be, without a
// Put getting through in between.
func TestPowerCutsInARow(t *testing.T) {
	rounds := 300
	if everywhere() {
		rounds = 200_000
	}
	for _, v := range variants()[:len(geometries)] {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			steps := script()
			good := min(v.blocks, shipped.segments)
			var c tally
			for seed := range rounds {
				c.add(fmt.Sprintf("seed %d", seed), inARow(v, steps, good-1, uint64(seed)))
			}
			t.Logf("%d times %d cuts in a row, %d lost", c.cuts, good-1, c.lost)
			if c.err != nil {
				t.Error(c.err)
			}
		})
	}
}

// inARow cuts the power somewhere in a life, and then again and again before the
// first Put of the next boot is done; and after a Put or some, all of that again:
// by then the segments are worn unevenly.
func inARow(v variant, steps [][]Entry, cuts int, seed uint64) error {
	dice := rand.New(rand.NewPCG(seed, 1))
	l := newLife(v)
	for range 4 {
		for range cuts {
			if err := l.cutSomewhere(dice, steps); err != nil {
				return err
			}
		}
		l.nor.Reboot()
		if err := l.live(steps, 1+dice.IntN(6)); err != nil {
			if errors.Is(err, ErrForeign) && len(l.acked) == 0 {
				return nil // cut so often during the first format that it looks like something else
			}
			return err
		}
		if l.next == len(steps) {
			l.next = 0
		}
	}
	return l.aftermath(steps)
}

// cutSomewhere cuts the power before the next step of the script is done.
func (l *life) cutSomewhere(dice *rand.Rand, steps [][]Entry) error {
	l.nor.Reboot()
	tears := flashtest.Tears()
	probe := l.clone()
	probe.live(steps, 1)
	if span := probe.nor.Steps(); span > 0 {
		l.nor.CutAt(dice.IntN(span), tears[dice.IntN(len(tears))])
	}
	if err := l.live(steps, 1); err != nil && !errors.Is(err, errCut) && !errors.Is(err, ErrForeign) {
		return err
	}
	return nil
}

func TestPowerCutFindsMutants(t *testing.T) {
	small := variant{geometry: geometry{256, 3}, rules: shipped}
	mutants := []struct {
		name string
		with func(*variant)
	}{
		{"two segments", func(v *variant) { v.rules.segments = 2 }},
		{"no commit record", func(v *variant) { v.rules.commit = false }},
		{"commit record before the snapshot", func(v *variant) { v.rules.commitFirst = true }},
		{"append to the tail of the last power cycle", func(v *variant) { v.rules.append = true }},
		{"erase the best segment first", func(v *variant) { v.rules.eraseBest = true }},
		{"no read-back, and a bad block", func(v *variant) { v.rules.blind, v.blocks, v.fault = true, 4, flashtest.Deaf }},
		{"ACK before Put", func(v *variant) { v.early = true }},
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			v := small
			m.with(&v)
			outer, inner := 29, 37
			if everywhere() {
				outer, inner = 3, 5
			}
			c := crash(v, outer, inner)
			t.Logf("%d of %d cuts lost what was acknowledged; first trouble: %v", c.lost, c.cuts, c.err)
			if c.lost == 0 {
				t.Error("a ring without this rule was not found to lose anything")
			}
		})
	}
}
