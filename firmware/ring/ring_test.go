package ring

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"leasehold/firmware/flash/flashtest"
)

func put(key, value string) Entry { return Entry{key, []byte(value)} }

func mustOpen(t testing.TB, dev Device) *Ring {
	t.Helper()
	r, err := Open(dev)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustPut(t testing.TB, r *Ring, batch ...Entry) {
	t.Helper()
	if err := r.Put(batch...); err != nil {
		t.Fatalf("Put(%d entries) = %v", len(batch), err)
	}
}

// begin opens the ring and has it copy its story forward, as its first Put does.
func begin(t testing.TB, dev Device) *Ring {
	t.Helper()
	r := mustOpen(t, dev)
	if err := touch(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func reopen(t testing.TB, nor *flashtest.NOR) *Ring {
	t.Helper()
	nor.Reboot()
	return begin(t, nor)
}

func dump(r *Ring) string {
	var b strings.Builder
	for k, v := range r.All() {
		fmt.Fprintf(&b, "%s=%s ", k, v)
	}
	return strings.TrimSpace(b.String())
}

func expect(t testing.TB, r *Ring, want string) {
	t.Helper()
	if got := dump(r); got != want {
		t.Errorf("ring holds %q; want %q", got, want)
	}
}

func TestReopenKeepsValuesInOrderOfLastChange(t *testing.T) {
	nor := flashtest.New(4096, 3)
	r := mustOpen(t, nor)
	mustPut(t, r, put("a", "1"), put("b", "2"), put("c", "3"), put("d", ""))
	mustPut(t, r, put("a", "4"))
	mustPut(t, r, Entry{Key: "b"})
	mustPut(t, r, put("c", "3"))
	for range 3 {
		expect(t, r, "c=3 d= a=4")
		r = reopen(t, nor)
	}
	if v, ok := r.Get("d"); !ok || v == nil {
		t.Errorf("Get(d) = %v, %v; want an empty value", v, ok)
	}
	if v, ok := r.Get("b"); ok {
		t.Errorf("Get(b) = %q; want none", v)
	}
}

func TestValuesAreCopies(t *testing.T) {
	r := mustOpen(t, flashtest.New(4096, 3))
	v := []byte("mine")
	mustPut(t, r, Entry{"k", v})
	v[0] = 'X'
	got, _ := r.Get("k")
	got[1] = 'X'
	for _, v := range r.All() {
		v[2] = 'X'
	}
	expect(t, r, "k=mine")
}

func TestLoopOverAllMayPut(t *testing.T) {
	r := mustOpen(t, flashtest.New(4096, 3))
	mustPut(t, r, put("a", "1"), put("b", "2"))
	for k := range r.All() {
		mustPut(t, r, Entry{Key: k})
	}
	expect(t, r, "")
}

// Promise 3, over a long life.
func TestOctetsAreProgrammedOnceAndAscending(t *testing.T) {
	for _, g := range geometries {
		nor := flashtest.New(g.blockSize, g.blocks)
		for range 5 {
			r := reopen(t, nor)
			for i := range 50 {
				mustPut(t, r, put("k", fmt.Sprint(i)), put("l", fmt.Sprint(i/2)))
			}
		}
		if err := nor.Violation(); err != nil {
			t.Errorf("%v: %v", g, err)
		}
	}
}

// segmentErases returns the true erases of each segment, of which every block
// must have had as many.
func segmentErases(t *testing.T, nor *flashtest.NOR) []int {
	t.Helper()
	segments := min(shipped.segments, nor.Blocks())
	per := nor.Blocks() / segments
	var all []int
	for i := range segments {
		all = append(all, slices.Max(nor.Erases()[i*per:(i+1)*per]))
	}
	return all
}

// Promise 4.
func TestWearIsEven(t *testing.T) {
	for _, g := range geometries {
		nor := flashtest.New(g.blockSize, g.blocks)
		for boot := range 7 {
			r := reopen(t, nor)
			for i := range 37 * boot {
				mustPut(t, r, put("k", fmt.Sprint(i)))
				e := segmentErases(t, nor)
				if slices.Max(e)-slices.Min(e) > 1 {
					t.Fatalf("%v: erases %v", g, e)
				}
			}
			if got, want := fmt.Sprint(r.Stats().Erases), fmt.Sprint(segmentErases(t, nor)); got != want {
				t.Errorf("%v: Stats().Erases = %s; want %s", g, got, want)
			}
		}
	}
}

// Promise 4: Opens that are cut off wear the flash, by one erase each.
func TestWearAfterOpensThatWereCutOff(t *testing.T) {
	probe := flashtest.New(256, 3)
	begin(t, probe)
	for _, test := range []struct {
		name   string
		at     int
		madeUp bool
	}{
		{"before the count is written down", 5, false},
		{"after it", probe.Steps() - commitSize, true},
	} {
		for cuts := range 8 {
			nor := flashtest.New(256, 3)
			r := mustOpen(t, nor)
			work(t, r, 100)
			for range cuts {
				nor.Reboot()
				nor.CutAt(test.at, flashtest.Prefix)
				if err := touch(mustOpen(t, nor)); !errors.Is(err, flashtest.ErrPowerCut) {
					t.Fatal(err)
				}
			}
			if n := spread(t, nor); n > 1+cuts {
				t.Errorf("%d cuts %s: erases differ by %d", cuts, test.name, n)
			}
			work(t, reopen(t, nor), 400)
			most := 1 + cuts
			if test.madeUp {
				most = 1
			}
			if n := spread(t, nor); n > most {
				t.Errorf("%d cuts %s, and much work: erases differ by %d; want at most %d", cuts, test.name, n, most)
			}
		}
	}
}

// One cut that takes the count with it is seen: the header is gone.
func TestOneLostEraseCountIsMadeUp(t *testing.T) {
	nor := flashtest.New(256, 3)
	work(t, mustOpen(t, nor), 100)
	nor.Reboot()
	nor.CutAt(5, flashtest.Prefix)
	touch(mustOpen(t, nor))
	r := reopen(t, nor)
	if got, want := fmt.Sprint(r.Stats().Erases), fmt.Sprint(segmentErases(t, nor)); got != want {
		t.Errorf("Stats().Erases = %s; want %s", got, want)
	}
	work(t, r, 400)
	if n := spread(t, nor); n > 1 {
		t.Errorf("erases differ by %d", n)
	}
}

// touch is a Put that changes nothing.
func touch(r *Ring) error { return r.Put(Entry{Key: "nobody's"}) }

func work(t *testing.T, r *Ring, changes int) {
	t.Helper()
	for i := range changes {
		mustPut(t, r, put("k", fmt.Sprint(i)))
	}
}

// spread returns by how much the true erases differ.
func spread(t *testing.T, nor *flashtest.NOR) int {
	e := segmentErases(t, nor)
	return slices.Max(e) - slices.Min(e)
}

// Promises 5 and 7, at the worst: the ring is full and every change is new.
func TestWriteAmplificationAndErases(t *testing.T) {
	const keys, changes = 50, 5000
	value := func(i int) []byte { return fmt.Appendf(nil, "%045d", i) }
	size := Size(keys, 5+45, 4096)
	nor := flashtest.New(4096, int(size/4096))
	r := mustOpen(t, nor)
	rec := recordSize(5, 45)
	for i := range keys {
		mustPut(t, r, Entry{fmt.Sprintf("k%04d", i), value(i)})
	}
	before, erased := nor.Programmed(), sum(segmentErases(t, nor))
	for i := range changes {
		mustPut(t, r, Entry{fmt.Sprintf("k%04d", i*7%keys), value(i + keys)})
	}
	amplification := float64(nor.Programmed()-before) / float64(changes*rec)
	erases := sum(segmentErases(t, nor)) - erased
	most := changes*rec/(r.size/2) + 1
	t.Logf("write amplification %.2f, %d erases of segments for %d changes", amplification, erases, changes)
	if amplification > 2 {
		t.Errorf("write amplification %.3f; want at most 2", amplification)
	}
	if erases > most {
		t.Errorf("%d erases; want at most %d", erases, most)
	}
	if got := r.Stats().Programmed; got != int64(nor.Programmed()) {
		t.Errorf("Stats().Programmed = %d; want %d", got, nor.Programmed())
	}
}

func sum(n []int) (s int) {
	for _, n := range n {
		s += n
	}
	return s
}

// Promise 7.
func TestFirstPutErasesOneSegment(t *testing.T) {
	nor := flashtest.New(128, 8)
	for i := range 10 {
		reopen(t, nor)
		if got, want := sum(nor.Erases()), 2*(i+1); got != want {
			t.Fatalf("%d erases of blocks after %d boots; want %d", got, i+1, want)
		}
	}
}

// Promise 6.
func TestOpenWritesNothing(t *testing.T) {
	nor := flashtest.New(256, 4)
	mustPut(t, mustOpen(t, nor), put("a", "1"))
	programs, erases := nor.Programs(), sum(nor.Erases())
	for range 10 {
		nor.Reboot()
		expect(t, mustOpen(t, nor), "a=1")
	}
	if nor.Programs() != programs || sum(nor.Erases()) != erases {
		t.Errorf("%d programs and %d erases", nor.Programs()-programs, sum(nor.Erases())-erases)
	}
}

// Promise 6.
func TestPutUnchangedWritesNothing(t *testing.T) {
	nor := flashtest.New(4096, 3)
	r := mustOpen(t, nor)
	mustPut(t, r, put("a", "1"), put("b", ""))
	programs, erases := nor.Programs(), sum(nor.Erases())
	mustPut(t, r)
	mustPut(t, r, put("a", "1"))
	mustPut(t, r, put("b", ""), put("a", "1"), Entry{Key: "c"})
	if nor.Programs() != programs || sum(nor.Erases()) != erases {
		t.Errorf("%d programs and %d erases for nothing", nor.Programs()-programs, sum(nor.Erases())-erases)
	}
}

func TestPutProgramsABatchAtOnce(t *testing.T) {
	nor := flashtest.New(64<<10, 3)
	r := begin(t, nor)
	before := nor.Programs()
	var batch []Entry
	for i := range 64 {
		batch = append(batch, put(fmt.Sprint("key", i), "value"))
	}
	mustPut(t, r, batch...)
	if got := nor.Programs() - before; got != 1 {
		t.Errorf("%d programs for a batch; want 1", got)
	}
}

func TestPutFullKeepsOldValue(t *testing.T) {
	nor := flashtest.New(256, 3)
	r := mustOpen(t, nor)
	mustPut(t, r, put("a", "1"), put("b", "2"), put("c", "3"), put("d", "4"))
	err := r.Put(put("a", "5"), put("e", "6"))
	if !errors.Is(err, ErrFull) {
		t.Fatalf("Put into a full ring = %v; want ErrFull", err)
	}
	expect(t, r, "a=1 b=2 c=3 d=4")
	mustPut(t, r, Entry{Key: "b"}, put("e", "6"))
	expect(t, reopen(t, nor), "a=1 c=3 d=4 e=6")
	if s := r.Stats(); s.LiveBytes != 64 || s.LiveBytes > s.Capacity || s.Records != 4 {
		t.Errorf("Stats() = %+v; want 4 records of 64 octets", s)
	}
}

func TestPutRefusesWhatIsNoEntry(t *testing.T) {
	r := mustOpen(t, flashtest.New(64<<10, 3))
	for _, e := range []Entry{
		put("", "no key"),
		put(strings.Repeat("k", MaxKey+1), ""),
		put("k", strings.Repeat("v", MaxValue+1)),
	} {
		if err := r.Put(put("fine", ""), e); !errors.Is(err, ErrEntry) {
			t.Errorf("Put(key of %d, value of %d) = %v; want ErrEntry", len(e.Key), len(e.Value), err)
		}
	}
	mustPut(t, r, put(strings.Repeat("k", MaxKey), strings.Repeat("v", MaxValue)))
	if n := r.Stats().Records; n != 1 {
		t.Errorf("%d records; want 1", n)
	}
}

func TestOpenRefusesGeometry(t *testing.T) {
	for _, g := range []geometry{{4096, 0}, {4096, 2}, {128, 3}, {128, 5}, {257, 3}} {
		if _, err := Open(flashtest.New(g.blockSize, g.blocks)); !errors.Is(err, ErrGeometry) {
			t.Errorf("Open(%v) = %v; want ErrGeometry", g, err)
		}
	}
}

func TestSizeHoldsWhatItPromises(t *testing.T) {
	for _, n := range []int{1, 10, 250, 3000} {
		const key, value = 6, 45
		size := Size(n, key+value, 4096)
		r := mustOpen(t, flashtest.New(4096, int(size/4096)))
		for i := range n {
			mustPut(t, r, put(fmt.Sprintf("%06d", i), strings.Repeat("v", value)))
		}
		if got := r.Stats().Records; got != n {
			t.Errorf("%d records; want %d", got, n)
		}
	}
}

func TestOpenReadOnlyWritesNothing(t *testing.T) {
	nor := flashtest.New(4096, 3)
	if r, err := OpenReadOnly(nor); err != nil || dump(r) != "" {
		t.Fatalf("OpenReadOnly(blank) = %v", err)
	}
	mustPut(t, mustOpen(t, nor), put("a", "1"))
	before := nor.Image()
	r, err := OpenReadOnly(nor)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a=1")
	if err := r.Put(put("a", "2")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Put = %v; want ErrReadOnly", err)
	}
	if err := r.Put(); err != nil {
		t.Errorf("Put() = %v", err)
	}
	if !bytes.Equal(before, nor.Image()) {
		t.Error("the device was changed")
	}
}

func TestOpenLeavesForeignContentAlone(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(image []byte)
		place string
	}{
		{"zeros", func(b []byte) { clear(b) }, "erase block 0, offset 0x0"},
		{"text at the beginning", func(b []byte) { copy(b, "1700000000 02:00:00:00:00:01 192.0.2.7") }, "erase block 0, offset 0x0"},
		{"one octet far inside", func(b []byte) { b[9000] = 'x' }, "erase block 2, offset 0x2328"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			nor := flashtest.New(4096, 3)
			image := nor.Image()
			test.spoil(image)
			nor = flashtest.Load(image, 4096)
			for _, open := range []func(Device) (*Ring, error){Open, OpenReadOnly} {
				_, err := open(nor)
				if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), test.place) {
					t.Errorf("%v; want ErrForeign at %s", err, test.place)
				}
			}
			if !bytes.Equal(nor.Image(), image) {
				t.Error("the device was changed")
			}
		})
	}
}

// damaged returns a ring with one record damaged, and where its octets began.
func damage(t *testing.T, nor *flashtest.NOR, what string) {
	t.Helper()
	hit := false
	image := nor.Image()
	for from := 0; ; {
		i := bytes.Index(image[from:], []byte(what))
		if i < 0 {
			break
		}
		nor.Flip(from+i, 0x10)
		from, hit = from+i+1, true
	}
	if !hit {
		t.Fatalf("%q is not on the device", what)
	}
}

func TestDamagedRecordIsLeftOutAlone(t *testing.T) {
	nor := flashtest.New(4096, 3)
	r := mustOpen(t, nor)
	mustPut(t, r, put("a", "value a"), put("b", "value b"), put("c", "value c"))
	mustPut(t, r, put("d", "value d"))
	damage(t, nor, "value b")
	r = reopen(t, nor)
	expect(t, r, "a=value a c=value c d=value d")
	if n := r.Stats().Skipped; n != 1 {
		t.Errorf("Stats().Skipped = %d; want 1", n)
	}
}

func TestDamagedSnapshotRecordIsLeftOutAlone(t *testing.T) {
	nor := flashtest.New(4096, 3)
	mustPut(t, mustOpen(t, nor), put("a", "value a"), put("b", "value b"), put("c", "value c"))
	mustPut(t, reopen(t, nor), put("d", "value d"))
	damage(t, nor, "value b")
	r := reopen(t, nor)
	expect(t, r, "a=value a c=value c d=value d")
	if n := r.Stats().Skipped; n != 1 {
		t.Errorf("Stats().Skipped = %d; want 1", n)
	}
}

func TestDamagedThroughoutOpensEmpty(t *testing.T) {
	nor := flashtest.New(4096, 3)
	for i := range 3 {
		mustPut(t, reopen(t, nor), put("a", fmt.Sprint(i)))
	}
	for i := range 3 * 4096 {
		if i%4096 >= len(magic) {
			nor.Flip(i, 0x55)
		}
	}
	r := reopen(t, nor)
	expect(t, r, "")
	if n := r.Stats().Skipped; n != 3 {
		t.Errorf("Stats().Skipped = %d; want 3", n)
	}
	mustPut(t, r, put("a", "new"))
	expect(t, reopen(t, nor), "a=new")
}

func TestHalfFinishedFormatOpensEmpty(t *testing.T) {
	for _, g := range geometries {
		probe := flashtest.New(g.blockSize, g.blocks)
		begin(t, probe)
		for at := range probe.Steps() {
			for _, tear := range flashtest.Tears() {
				nor := flashtest.New(g.blockSize, g.blocks)
				nor.CutAt(at, tear)
				if err := touch(mustOpen(t, nor)); !errors.Is(err, flashtest.ErrPowerCut) {
					t.Fatalf("%v, %v at %d: %v", g, tear, at, err)
				}
				r := reopen(t, nor)
				mustPut(t, r, put("a", "1"))
				expect(t, reopen(t, nor), "a=1")
			}
		}
	}
}

// Promise 9.
func TestBadBlocksCostCapacityNotData(t *testing.T) {
	for name, fault := range map[string]flashtest.Fault{
		"fails to program": flashtest.FailProgram, "fails to erase": flashtest.FailErase,
		"does not take the program": flashtest.Deaf, "does not erase": flashtest.Stuck,
	} {
		for block := range 3 {
			t.Run(fmt.Sprintf("block %d %s", block, name), func(t *testing.T) {
				nor := flashtest.New(256, 3)
				r := mustOpen(t, nor)
				mustPut(t, r, put("a", "-"), put("b", "1"))
				nor.Break(block, fault)
				for i := range 100 {
					mustPut(t, r, put("a", fmt.Sprint(i)))
					if i%30 == 7 {
						r = reopen(t, nor)
					}
					expect(t, r, fmt.Sprintf("b=1 a=%d", i))
				}
				r = reopen(t, nor)
				expect(t, r, "b=1 a=99")
				for i := range 60 {
					mustPut(t, r, put("a", fmt.Sprint(i)))
				}
				if n := r.Stats().Bad; n != 1 {
					t.Errorf("Stats().Bad = %d; want 1", n)
				}
			})
		}
	}
}

// The mutant of promise 9.
func TestWithoutReadBackADeafBlockLosesData(t *testing.T) {
	for _, blind := range []bool{false, true} {
		rules := shipped
		rules.blind = blind
		nor := flashtest.New(256, 3)
		r, err := open(nor, rules)
		if err != nil {
			t.Fatal(err)
		}
		nor.Break(1, flashtest.Deaf)
		for i := range 100 {
			mustPut(t, r, put("a", fmt.Sprint(i)))
			nor.Reboot()
			if r, err = open(nor, rules); err != nil {
				t.Fatal(err)
			}
			if v, _ := r.Get("a"); string(v) != fmt.Sprint(i) {
				if !blind {
					t.Fatalf("a = %q; want %d", v, i)
				}
				return
			}
		}
		if blind {
			t.Error("a ring that reads nothing back was not found to lose anything")
		}
	}
}

func TestWornOutRingCanBeRead(t *testing.T) {
	for _, fault := range []flashtest.Fault{flashtest.FailProgram, flashtest.FailErase, flashtest.Deaf} {
		nor := flashtest.New(256, 3)
		r := mustOpen(t, nor)
		mustPut(t, r, put("a", "old"))
		for block := range 3 {
			nor.Break(block, fault)
		}
		var err error
		for i := 0; i < 20 && err == nil; i++ {
			err = r.Put(put("b", fmt.Sprint(i)))
		}
		if !errors.Is(err, ErrWornOut) {
			t.Fatalf("Put = %v; want ErrWornOut", err)
		}
		if v, ok := r.Get("a"); !ok || string(v) != "old" {
			t.Errorf("Get(a) = %q, %v", v, ok)
		}
		nor.Reboot()
		r = mustOpen(t, nor)
		if v, ok := r.Get("a"); !ok || string(v) != "old" {
			t.Errorf("Get(a) = %q, %v", v, ok)
		}
		if err := r.Put(put("a", "old")); !errors.Is(err, ErrWornOut) {
			t.Errorf("Put of the old value = %v; want ErrWornOut: it may be torn", err)
		}
	}
}

// A program that fails may be on flash nevertheless. As long as nothing newer
// says otherwise, not even the old value may be promised.
func TestFailedPutIsSettledBeforeTheNextPromise(t *testing.T) {
	nor := flashtest.New(256, 3)
	r := mustOpen(t, &forgetful{Device: nor})
	mustPut(t, r, put("a", "old"))
	f := r.dev.(*forgetful)
	f.broken = true
	if err := r.Put(put("a", "new")); !errors.Is(err, ErrWornOut) {
		t.Fatalf("Put = %v; want ErrWornOut", err)
	}
	expect(t, r, "a=old")
	if err := r.Put(put("a", "old")); !errors.Is(err, ErrWornOut) {
		t.Errorf("Put of the old value = %v; want ErrWornOut: the flash may say new", err)
	}
	f.broken = false
	clear(r.lost) // as if there had been one more segment
	mustPut(t, r, put("a", "old"))
	expect(t, reopen(t, nor), "a=old")
}

// A forgetful device programs and then says that it did not.
type forgetful struct {
	Device
	broken bool
}

func (f *forgetful) Program(p []byte, off int64) error {
	err := f.Device.Program(p, off)
	if f.broken {
		return errors.New("no answer")
	}
	return err
}

func TestConcurrentUse(t *testing.T) {
	nor := flashtest.New(4096, 3)
	r := mustOpen(t, nor)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				if err := r.Put(put(fmt.Sprint("k", w), fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
				r.Stats()
				dump(r)
			}
		})
	}
	wg.Wait()
	if n := reopen(t, nor).Stats().Records; n != 4 {
		t.Errorf("%d records; want 4", n)
	}
}
