package ring

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"leasehold/firmware/flash/flashtest"
)

// A crash test that cannot fail is decoration. So the same cuts are made for
// the rules that ship and for rules that lack one of them.

// A geometry is small, so that every place in it can be cut.
type geometry struct{ blockSize, blocks int }

func (g geometry) String() string { return fmt.Sprintf("%dx%d", g.blocks, g.blockSize) }

var geometries = []geometry{{256, 3}, {128, 6}, {512, 4}}

// script is what happens to a ring in its life; a nil batch is a reboot. It has
// overwrites, forgotten keys, batches and more octets than two segments hold.
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
		e("a=5"), e("a"), e("a=6"), e("c=7 b c=8"), nil,
		e("b=9"), e("c=10 a=11 b=12"), e("c=13"),
	}
}

// A life is a device and what its owner may rely on.
type life struct {
	nor     *flashtest.NOR
	acked   map[string]string
	pending []Entry // asked for, not acknowledged
	next    int     // step of the script
}

func newLife(g geometry) *life {
	return &life{nor: flashtest.New(g.blockSize, g.blocks), acked: map[string]string{}}
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
func (l *life) live(rules rules, steps [][]Entry, n int) error {
	r, err := l.boot(rules)
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
			if r, err = l.boot(rules); err != nil {
				return err
			}
			continue
		}
		if err := r.Put(l.pending...); err != nil {
			return err
		}
		change(l.acked, l.pending)
		l.pending = nil
	}
	return l.check(r)
}

func (l *life) boot(rules rules) (*Ring, error) {
	r, err := open(l.nor, rules)
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

// aftermath boots three times more and works a little in between: what is torn
// may read one way now and the other way then.
func (l *life) aftermath(rules rules, steps [][]Entry) error {
	for _, n := range []int{1, 0, 2, 0} {
		l.nor.Reboot()
		if err := l.live(rules, steps, n); err != nil {
			return err
		}
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
func crash(g geometry, rules rules, outer, inner int) (c tally) {
	steps := script()
	whole := newLife(g)
	whole.nor.CountOn()
	if err := whole.live(rules, steps, len(steps)); err != nil {
		c.add("no cut", err)
		return c
	}
	total := whole.nor.Steps()
	for at := 0; at < total; at += outer {
		for _, tear := range flashtest.Tears() {
			l := newLife(g)
			l.cutAt(rules, steps, at, tear)
			c.again(l, rules, steps, inner, at*7+int(tear), fmt.Sprintf("%v, %v at %d", g, tear, at))
		}
	}
	return c
}

// cutAt lives up to the cut, which counts over reboots.
func (l *life) cutAt(rules rules, steps [][]Entry, at int, tear flashtest.Tear) {
	l.nor.CountOn()
	l.nor.CutAt(at, tear)
	l.live(rules, steps, len(steps))
	l.nor.CountOff()
	l.nor.Reboot()
}

// again cuts a second time, from boot to the second Put.
func (c *tally) again(l *life, rules rules, steps [][]Entry, stride, from int, where string) {
	sound := l.clone()
	c.add(where, second(sound.live(rules, steps, 2), sound, rules, steps))
	probe := l.clone()
	probe.live(rules, steps, 2)
	span := probe.nor.Steps()
	for at := from % stride; at < span; at += stride {
		for _, tear := range flashtest.Tears() {
			m := l.clone()
			m.nor.CutAt(at, tear)
			err := m.live(rules, steps, 2)
			c.add(fmt.Sprintf("%s, then %v at %d", where, tear, at), second(err, m, rules, steps))
		}
	}
}

func second(err error, l *life, rules rules, steps [][]Entry) error {
	if err != nil && !errors.Is(err, errCut) {
		return err
	}
	return l.aftermath(rules, steps)
}

// everywhere reports whether every single place is to be cut, as make crash
// does.
func everywhere() bool { return os.Getenv("LEASEHOLD_CRASH") != "" }

func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	outer, inner := 43, 53
	if everywhere() {
		outer, inner = 1, 1
	}
	for _, g := range geometries {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			c := crash(g, shipped, outer, inner)
			t.Logf("%d cuts, %d lost", c.cuts, c.lost)
			if c.err != nil {
				t.Fatal(c.err)
			}
		})
	}
}

func TestPowerCutFindsMutants(t *testing.T) {
	mutants := []struct {
		name string
		with func(*rules)
	}{
		{"two segments", func(r *rules) { r.segments = 2 }},
		{"no commit record", func(r *rules) { r.commit = false }},
		{"commit record before the snapshot", func(r *rules) { r.commitFirst = true }},
		{"append to the tail at the next boot", func(r *rules) { r.append = true }},
		{"erase the best segment first", func(r *rules) { r.eraseBest = true }},
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			rules := shipped
			m.with(&rules)
			outer, inner := 29, 37
			if everywhere() {
				outer, inner = 3, 5
			}
			c := crash(geometries[0], rules, outer, inner)
			t.Logf("%d of %d cuts lost what was acknowledged; first trouble: %v", c.lost, c.cuts, c.err)
			if c.lost == 0 {
				t.Error("a ring without this rule was not found to lose anything")
			}
		})
	}
}
