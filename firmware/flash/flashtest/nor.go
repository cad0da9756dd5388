// Package flashtest is NOR flash in memory, with the faults of the real thing:
// power cuts at any octet of any operation, bits that a cut left undecided, and
// erase blocks that fail aloud or in silence.
//
// It says when it is used as no NOR flash may be used: see Violation. It knows
// nothing about what is stored, and it is for tests only.
package flashtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

var (
	// ErrPowerCut is what every operation returns from a cut to the next Reboot.
	ErrPowerCut = errors.New("power cut")
	// ErrBroken is what an operation on a broken block returns.
	ErrBroken = errors.New("block is broken")
)

// A Tear is what a power cut leaves of the operation that it cuts off. What
// stands before the place of the cut was done in every case.
type Tear int

const (
	Prefix      Tear = iota // nothing after it
	Scattered               // after it, every bit may have been done or not
	WeakNow                 // the rest is undecided: it reads as done at the next boot, as not done at the one after, and so on
	WeakLater               // the same, the other way round
	WeakRandom              // every bit of the rest reads by chance at each boot
	PrefixZeros             // an erase first clears every bit, and did no more; a program: as Prefix

	tears
)

// Tears are all of them.
func Tears() []Tear {
	var all []Tear
	for t := Prefix; t < tears; t++ {
		all = append(all, t)
	}
	return all
}

func (t Tear) String() string {
	return [...]string{"prefix", "scattered", "weak now", "weak later", "weak random", "zeros"}[t]
}

// A Fault is how a block is broken.
type Fault int

const (
	FailProgram Fault = iota + 1 // Program does half of it and returns an error
	FailErase                    // Erase does nothing and returns an error
	Deaf                         // Program does nothing and returns no error
	Stuck                        // Erase does nothing and returns no error
)

func (f Fault) String() string {
	return [...]string{"works", "fails to program", "fails to erase", "does not take the program", "does not erase"}[f]
}

// eraseSteps are the places within an erase where power can be cut.
const eraseSteps = 4

// A NOR is flash in memory. It is not safe for concurrent use.
type NOR struct {
	blockSize int
	cells     []byte
	weak      []byte // bits of cells that are undecided
	mode      []Tear // of an octet with weak bits: how they read
	fresh     []bool // octets that may be programmed: erased in this power cycle and not programmed since
	high      []int  // of each block: programs must not begin before it
	faults    map[int]Fault
	erases    []int
	programs  int
	octets    int
	violation error

	steps int  // since the last Reboot
	on    bool // which does not end the count
	cutAt int  // -1: never
	tear  Tear
	dead  bool
	cycle uint64
}

// New returns blank flash.
func New(blockSize, blocks int) *NOR {
	n := blockSize * blocks
	d := &NOR{
		blockSize: blockSize,
		cells:     slices.Repeat([]byte{0xff}, n),
		weak:      make([]byte, n), mode: make([]Tear, n), fresh: make([]bool, n),
		high: make([]int, blocks), erases: make([]int, blocks), faults: map[int]Fault{},
		cutAt: -1,
	}
	return d
}

// Load returns flash that holds image.
func Load(image []byte, blockSize int) *NOR {
	d := New(blockSize, len(image)/blockSize)
	copy(d.cells, image)
	return d
}

// Clone returns flash in the same state.
func (d *NOR) Clone() *NOR {
	c := *d
	c.cells, c.weak, c.mode = slices.Clone(d.cells), slices.Clone(d.weak), slices.Clone(d.mode)
	c.fresh, c.high, c.erases = slices.Clone(d.fresh), slices.Clone(d.high), slices.Clone(d.erases)
	c.faults = map[int]Fault{}
	for b, f := range d.faults {
		c.faults[b] = f
	}
	return &c
}

// CutAt cuts the power at a step of this power cycle. A program of n octets has
// n+1 steps: before each octet, and after the last but before it returns.
func (d *NOR) CutAt(step int, tear Tear) { d.cutAt, d.tear = step, tear }

// CountOn lets a Reboot neither begin to count the steps anew nor forget the
// cut that was ordered. CountOff ends that.
func (d *NOR) CountOn()  { d.on = true }
func (d *NOR) CountOff() { d.on = false }

// Steps returns the number of steps since the last Reboot.
func (d *NOR) Steps() int { return d.steps }

// Reboot begins a power cycle. Steps count from 0 again, and a cut that was
// ordered is forgotten.
func (d *NOR) Reboot() {
	d.dead = false
	if !d.on {
		d.steps, d.cutAt = 0, -1
	}
	d.cycle++
	clear(d.fresh)
}

// Break breaks a block. Fault 0 mends it.
func (d *NOR) Break(block int, f Fault) { d.faults[block] = f }

// Violation returns the first use that is against the rules: an octet that was
// not erased in this power cycle, or was programmed since, or lies before one
// that was.
func (d *NOR) Violation() error { return d.violation }

// Erases returns the number of erases of each block.
func (d *NOR) Erases() []int { return slices.Clone(d.erases) }

// Programs returns the number of programs, and Programmed that of their octets.
func (d *NOR) Programs() int   { return d.programs }
func (d *NOR) Programmed() int { return d.octets }

// Image returns what the flash reads as in this power cycle.
func (d *NOR) Image() []byte {
	b := make([]byte, len(d.cells))
	for i := range b {
		b[i] = d.at(i)
	}
	return b
}

// Flip damages the bits of mask in one octet.
func (d *NOR) Flip(off int, mask byte) { d.cells[off] ^= mask }

func (d *NOR) BlockSize() int { return d.blockSize }
func (d *NOR) Blocks() int    { return len(d.erases) }

func (d *NOR) ReadAt(p []byte, off int64) (int, error) {
	if d.dead {
		return 0, ErrPowerCut
	}
	if off < 0 || int(off)+len(p) > len(d.cells) {
		return 0, fmt.Errorf("read %d octets at %#x: outside", len(p), off)
	}
	for i := range p {
		p[i] = d.at(int(off) + i)
	}
	return len(p), nil
}

// at reads one octet. Its weak bits stand as 1 in cells.
func (d *NOR) at(i int) byte {
	c, w := d.cells[i], d.weak[i]
	if w == 0 {
		return c
	}
	switch d.mode[i] {
	case WeakNow:
		if d.cycle%2 == 0 {
			return c
		}
		return c &^ w
	case WeakLater:
		if d.cycle%2 == 1 {
			return c
		}
		return c &^ w
	}
	return c &^ (w & byte(d.chance(i).Uint32()))
}

// chance is the same for the same octet in the same power cycle.
func (d *NOR) chance(i int) *rand.Rand { return rand.New(rand.NewPCG(d.cycle, uint64(i))) }

// spend counts n steps and returns how many of them were done before the cut.
func (d *NOR) spend(n int) (done int, cut bool) {
	from := d.steps
	d.steps += n
	if d.cutAt >= from && d.cutAt < d.steps {
		d.dead = true
		return d.cutAt - from, true
	}
	return n, false
}

// Program clears the bits that are 0 in p.
func (d *NOR) Program(p []byte, off int64) error {
	if d.dead {
		return ErrPowerCut
	}
	at := int(off)
	if at < 0 || at+len(p) > len(d.cells) {
		return fmt.Errorf("program %d octets at %#x: outside", len(p), off)
	}
	d.watch(at, len(p))
	d.programs++
	fault := d.faults[at/d.blockSize]
	done, cut := d.spend(len(p) + 1)
	todo := p[:min(done, len(p))]
	switch fault {
	case FailProgram:
		todo = todo[:len(todo)/2]
	case Deaf:
		todo = nil
	}
	for i, b := range todo {
		d.clear(at+i, ^b)
	}
	if cut {
		if fault == 0 {
			d.tearProgram(p, at, done)
		}
		return ErrPowerCut
	}
	if fault == FailProgram {
		return ErrBroken
	}
	d.octets += len(p)
	return nil
}

func (d *NOR) clear(i int, bits byte) {
	d.cells[i] &^= bits
	d.weak[i] &^= bits
}

func (d *NOR) tearProgram(p []byte, at, done int) {
	for i := done; i < len(p); i++ {
		bits := ^p[i] & d.cells[at+i]
		switch d.tear {
		case Scattered:
			d.clear(at+i, bits&byte(d.chance(at+i).Uint32()))
		case WeakNow, WeakLater, WeakRandom:
			d.weaken(at+i, bits)
		}
	}
}

// weaken makes bits undecided. The cut comes in one power cycle, the first
// reading in the next: WeakNow and WeakLater count from there.
func (d *NOR) weaken(i int, bits byte) {
	d.weak[i] |= bits
	d.mode[i] = d.tear
	if d.cycle%2 == 1 && d.tear != WeakRandom {
		d.mode[i] = WeakNow + WeakLater - d.tear
	}
}

// watch notes the first violation.
func (d *NOR) watch(at, n int) {
	for i := at; i < at+n; i++ {
		block := i / d.blockSize
		switch {
		case d.violation != nil:
			return
		case !d.fresh[i]:
			d.violation = fmt.Errorf("offset %#x programmed without an erase before it in this power cycle", i)
		case i < d.high[block]:
			d.violation = fmt.Errorf("offset %#x programmed after %#x", i, d.high[block]-1)
		}
		d.fresh[i], d.high[block] = false, i+1
	}
}

// Erase sets all bits of a block.
func (d *NOR) Erase(block int) error {
	if d.dead {
		return ErrPowerCut
	}
	if block < 0 || block >= len(d.erases) {
		return fmt.Errorf("erase block %d: outside", block)
	}
	d.erases[block]++
	done, cut := d.spend(eraseSteps + 1)
	switch d.faults[block] {
	case FailErase:
		return ErrBroken
	case Stuck:
		return nil
	}
	from := block * d.blockSize
	whole := from + d.blockSize*min(done, eraseSteps)/eraseSteps
	for i := from; i < whole; i++ {
		d.cells[i], d.weak[i], d.fresh[i] = 0xff, 0, true
	}
	if cut {
		d.tearErase(whole, from+d.blockSize)
		return ErrPowerCut
	}
	d.high[block] = from
	return nil
}

func (d *NOR) tearErase(from, to int) {
	for i := from; i < to; i++ {
		zeros := ^d.cells[i] | d.weak[i]
		switch d.tear {
		case Scattered:
			d.cells[i] |= byte(d.chance(i).Uint32())
			d.weak[i] = 0
		case WeakNow, WeakLater, WeakRandom:
			// What the erase has done to it reads as erased, or as before.
			d.cells[i], d.weak[i] = 0xff, 0
			d.weaken(i, zeros)
			if d.tear != WeakRandom {
				d.mode[i] = WeakNow + WeakLater - d.mode[i]
			}
		case PrefixZeros:
			d.cells[i], d.weak[i] = 0, 0
		}
	}
}
