package ring

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"leasehold/firmware/flash"
	"leasehold/firmware/flash/flashtest"
)

// A typical binding: five octets of key, 45 of value.
const typicalValue = 45

func typical(i int) Entry {
	v := make([]byte, typicalValue)
	binary.BigEndian.PutUint64(v, uint64(i))
	return Entry{fmt.Sprintf("L%04d", i%250), v}
}

// BenchmarkPut counts entries that are durable on a plain file.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			dev, err := flash.OpenFile(filepath.Join(b.TempDir(), "ring"), Size(314, 5+typicalValue, flash.FileBlockSize))
			if err != nil {
				b.Fatal(err)
			}
			defer dev.Close()
			r := mustOpen(b, dev)
			batch := make([]Entry, size)
			n := 0
			for b.Loop() {
				for i := range batch {
					n++
					batch[i] = typical(n)
				}
				mustPut(b, r, batch...)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(r.Stats().Programmed)/float64(n), "octets/entry")
		})
	}
}

// BenchmarkNewLease counts the octets programmed for a lease that was not there
// before, the moves to other segments included.
func BenchmarkNewLease(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(octetsPerLease(b), "octets/lease")
	}
}

func TestNewLeaseProgramsAtMost128Octets(t *testing.T) {
	got := octetsPerLease(t)
	t.Logf("%.1f octets programmed per new lease", got)
	if got > 128 {
		t.Errorf("%.1f octets per new lease; want at most 128", got)
	}
}

func octetsPerLease(t testing.TB) float64 {
	const leases = 20000
	blocks := int(Size(314, 5+typicalValue, flash.FileBlockSize) / flash.FileBlockSize)
	r := mustOpen(t, flashtest.New(flash.FileBlockSize, blocks))
	for i := range leases {
		mustPut(t, r, typical(i))
	}
	return float64(r.Stats().Programmed) / leases
}
