package flashtest

import (
	"bytes"
	"errors"
	"testing"
)

func TestProgramClearsBitsOnly(t *testing.T) {
	d := New(64, 2)
	d.Erase(0)
	d.Program([]byte{0xf0}, 3)
	d.Program([]byte{0x3c}, 3)
	if got := d.Image()[3]; got != 0x30 {
		t.Errorf("octet = %#x; want 0x30", got)
	}
}

func TestViolations(t *testing.T) {
	tests := []struct {
		name string
		use  func(d *NOR)
		ok   bool
	}{
		{"erased and ascending", func(d *NOR) { d.Erase(0); d.Program([]byte{1}, 0); d.Program([]byte{1}, 1) }, true},
		{"not erased", func(d *NOR) { d.Program([]byte{1}, 0) }, false},
		{"erased before a reboot", func(d *NOR) { d.Erase(0); d.Reboot(); d.Program([]byte{1}, 0) }, false},
		{"twice", func(d *NOR) { d.Erase(0); d.Program([]byte{1}, 0); d.Program([]byte{1}, 0) }, false},
		{"descending", func(d *NOR) { d.Erase(0); d.Program([]byte{1}, 8); d.Program([]byte{1}, 0) }, false},
		{"into a block that is not erased", func(d *NOR) { d.Erase(0); d.Program(make([]byte, 8), 60) }, false},
	}
	for _, test := range tests {
		d := New(64, 2)
		test.use(d)
		if got := d.Violation(); (got == nil) != test.ok {
			t.Errorf("%s: Violation() = %v", test.name, got)
		}
	}
}

// readings returns what two octets, the second of which was cut, read as at
// four boots.
func readings(tear Tear, cycle int) []byte {
	d := New(64, 1)
	for range cycle {
		d.Reboot()
	}
	d.Erase(0)
	d.CutAt(d.Steps()+1, tear)
	d.Program([]byte{0x11, 0x22}, 0)
	var seen []byte
	for range 4 {
		d.Reboot()
		seen = append(seen, d.Image()[1])
	}
	return seen
}

func TestTears(t *testing.T) {
	for cycle := range 2 {
		for tear, want := range map[Tear][]byte{
			Prefix:    {0xff, 0xff, 0xff, 0xff},
			WeakNow:   {0x22, 0xff, 0x22, 0xff},
			WeakLater: {0xff, 0x22, 0xff, 0x22},
		} {
			if got := readings(tear, cycle); !bytes.Equal(got, want) {
				t.Errorf("%v in cycle %d reads % x; want % x", tear, cycle, got, want)
			}
		}
	}
}

func TestTornErase(t *testing.T) {
	for tear, want := range map[Tear][]byte{
		Prefix: {0x22, 0x22}, WeakNow: {0xff, 0x22}, WeakLater: {0x22, 0xff}, PrefixZeros: {0, 0},
	} {
		d := New(64, 1)
		d.Erase(0)
		d.Program(bytes.Repeat([]byte{0x22}, 64), 0)
		d.CutAt(d.Steps()+2, tear)
		d.Erase(0)
		d.Reboot()
		first := d.Image()
		d.Reboot()
		if got := []byte{first[63], d.Image()[63]}; !bytes.Equal(got, want) {
			t.Errorf("%v reads % x; want % x", tear, got, want)
		}
		if first[0] != 0xff {
			t.Errorf("%v: the part before the cut reads %#x", tear, first[0])
		}
	}
}

func TestEverythingFailsFromCutToReboot(t *testing.T) {
	d := New(64, 1)
	d.CutAt(2, Prefix)
	for _, err := range []error{d.Erase(0), d.Erase(0), d.Program([]byte{1}, 0)} {
		if !errors.Is(err, ErrPowerCut) {
			t.Errorf("%v; want a power cut", err)
		}
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrPowerCut) {
		t.Errorf("read: %v; want a power cut", err)
	}
	d.Reboot()
	if err := d.Erase(0); err != nil {
		t.Error(err)
	}
}

func TestBrokenBlocks(t *testing.T) {
	tests := []struct {
		fault          Fault
		erase, program bool // return an error
	}{
		{FailErase, true, false},
		{FailProgram, false, true},
		{Deaf, false, false},
		{Stuck, false, false},
	}
	for _, test := range tests {
		d := New(64, 1)
		d.Break(0, test.fault)
		if err := d.Erase(0); (err != nil) != test.erase {
			t.Errorf("fault %d: Erase = %v", test.fault, err)
		}
		if err := d.Program([]byte{0, 0}, 0); (err != nil) != test.program {
			t.Errorf("fault %d: Program = %v", test.fault, err)
		}
	}
}
