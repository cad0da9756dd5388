package status

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metrics returns the report in the text format 0.0.4 of Prometheus, as of now.
func Metrics(r *Report, now time.Time) []byte {
	m := &metrics{}
	m.family("build_info", gauge, "The version that runs.", sample{[]label{{"version", r.Version}}, 1})
	if !r.Started.IsZero() {
		m.gauge("uptime_seconds", "Time since the start.", now.Sub(r.Started).Seconds())
	}
	if r.Memory != (Memory{}) {
		m.gauge("resident_memory_bytes", "Memory of the router's own process.", float64(r.Memory.Resident))
		m.gauge("free_memory_bytes", "Memory that could be had before the machine runs out of it.", float64(r.Memory.Free))
	}
	m.gauge("alarms", "Things that go on and need the owner's hand.", float64(len(alarms(r.Alarms, now))))
	m.lans(r.LANs, now)
	if r.WAN.Device != "" {
		m.gauge("wan_bound", "Whether the WAN port has an address.", truth(r.WAN.Addr.IsValid() && !r.WAN.Held))
	}
	m.ring(r.Ring)
	return m.b.Bytes()
}

func (m *metrics) lans(lans []LAN, now time.Time) {
	var leases, lost, refused, size, used []sample
	for _, l := range lans {
		network := label{"network", l.Name}
		for _, s := range byState(l.Leases, now) {
			s.labels = append([]label{network}, s.labels...)
			leases = append(leases, s)
		}
		lost = append(lost, sample{[]label{network}, float64(l.Lost)})
		refused = append(refused, sample{[]label{network}, float64(l.Refused)})
		size = append(size, sample{[]label{network}, float64(l.Size)})
		used = append(used, sample{[]label{network}, float64(l.Used)})
	}
	m.family("leases", gauge, "Addresses that are not free, by network and state.", leases...)
	m.family("pool_addresses", gauge, "Addresses of the pool, by network.", size...)
	m.family("pool_used_addresses", gauge, "Addresses of the pool that are leased, offered or in use by somebody else, by network.", used...)
	m.family("lan_lost_messages_total", counter, "Messages that came faster than they were answered, by network.", lost...)
	m.family("lan_refused_messages_total", counter, "Messages of a flood, which were not read, by network.", refused...)
}

func (m *metrics) ring(g Ring) {
	m.gauge("ring_trouble", "Whether nothing can be kept over a reboot.", truth(g.Trouble != ""))
	m.gauge("ring_records", "Records in the ring.", float64(g.Records))
	m.gauge("ring_live_bytes", "Bytes that the records take.", float64(g.Live))
	m.gauge("ring_capacity_bytes", "Bytes that the records may take.", float64(g.Capacity))
	m.gauge("ring_segment_bytes", "Size of a segment.", float64(g.Segment))
	m.counter("ring_programmed_bytes_total", "Bytes programmed since the start.", float64(g.Programmed))
	m.family("ring_erases_total", counter, "Erases of a segment over its life.", bySegment(g.Erases)...)
	m.gauge("ring_damaged_records", "Damaged records that were skipped.", float64(g.Damaged))
	m.gauge("ring_bad_segments", "Segments that no longer hold data.", float64(g.Bad))

	m.gauge("ring_cycles", "Erases that a segment is good for, as configured.", float64(g.Cycles))
	m.gauge("ring_lifetime_years", "Years that the flash has to last, as configured.", float64(g.Years))
	if g.Pace > 0 {
		m.gauge("ring_pace_years", "Years that the flash lasts at the pace since the start.", g.Pace)
	}
	m.gauge("ring_budget_credit_bytes", "Bytes that may be written at once now; below 0 new clients get short leases that are not kept.", float64(g.Credit))
	m.gauge("ring_budget_burst_bytes", "The most that the credit gets to.", float64(g.Burst))
	m.gauge("ring_budget_daily_bytes", "Bytes that may be written a day, for ever.", float64(g.PerDay))
	m.gauge("ring_lent_leases", "Leases that are kept in memory only.", float64(g.Lent))
	m.gauge("ring_sparing", "Whether new clients get short leases that a reboot forgets.", truth(g.Sparing != ""))
}

// byState counts leases. The states that come with time alone are there at 0
// too, lest a graph of them have holes.
func byState(leases []Lease, now time.Time) (samples []sample) {
	n := map[string]float64{bound: 0, expired: 0}
	for _, e := range leases {
		n[e.stateAt(now)]++
	}
	for _, state := range slices.Sorted(maps.Keys(n)) {
		samples = append(samples, sample{[]label{{"state", state}}, n[state]})
	}
	return samples
}

func bySegment(erases []uint32) (samples []sample) {
	for i, n := range erases {
		samples = append(samples, sample{[]label{{"segment", strconv.Itoa(i)}}, float64(n)})
	}
	return samples
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// The types of a family.
const (
	gauge   = "gauge"
	counter = "counter"
)

// A sample is one line; without labels it is its family's only one.
type sample struct {
	labels []label
	n      float64
}

type label struct{ name, value string }

type metrics struct{ b bytes.Buffer }

func (m *metrics) gauge(name, help string, n float64) { m.family(name, gauge, help, sample{n: n}) }

func (m *metrics) counter(name, help string, n float64) { m.family(name, counter, help, sample{n: n}) }

func (m *metrics) family(name, kind, help string, samples ...sample) {
	if len(samples) == 0 {
		return
	}
	name = "leasehold_" + name
	fmt.Fprintf(&m.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range samples {
		m.b.WriteString(name)
		for i, l := range s.labels {
			m.b.WriteByte("{,"[min(i, 1)])
			fmt.Fprintf(&m.b, `%s="%s"`, l.name, labelValue.Replace(strings.ToValidUTF8(l.value, "\ufffd")))
		}
		if len(s.labels) > 0 {
			m.b.WriteByte('}')
		}
		fmt.Fprintf(&m.b, " %s\n", strconv.FormatFloat(s.n, 'f', -1, 64))
	}
}

// "label_value can be any sequence of UTF-8 characters, but the backslash (\),
// double-quote ("), and line feed (\n) characters have to be escaped as \\, \",
// and \n, respectively." Prometheus, Exposition formats, text format 0.0.4.
var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
