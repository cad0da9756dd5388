package status

import (
	"encoding/json"
	"math"
	"net/netip"
	"time"
)

// What the JSON is made of. Times are seconds from now, since a router does not
// know the date; what is not there is null, lists are never null.
type (
	reportJSON struct {
		Version       string      `json:"version"`
		UptimeSeconds int64       `json:"uptime_seconds"`
		Memory        *memoryJSON `json:"memory"` // null: not known
		Networks      []lanJSON   `json:"networks"`
		WAN           *wanJSON    `json:"wan"` // null: not configured
		Ring          ringJSON    `json:"ring"`
		LastWords     *string     `json:"last_words"` // why the router ended before an unasked reboot
		Alarms        []string    `json:"alarms"`     // what goes on that needs the owner's hand
		Problems      []string    `json:"problems"`   // of the configuration
		Events        []eventJSON `json:"events"`     // the latest last
	}
	memoryJSON struct {
		Resident int64 `json:"resident_bytes"` // of the router's own process
		Free     int64 `json:"free_bytes"`     // before the machine runs out of it
	}
	lanJSON struct {
		Name            string       `json:"name"`
		Device          string       `json:"device"`     // "": behind relay agents
		Via             *string      `json:"via"`        // the network by which those reach us
		Address         *string      `json:"address"`    // with the length of the prefix
		MovedFrom       *string      `json:"moved_from"` // where it is configured to be; null: where it is
		First           *string      `json:"first"`
		Last            *string      `json:"last"`
		PoolSize        int          `json:"pool_size"`
		PoolUsed        int          `json:"pool_used"`
		PoolTight       bool         `json:"pool_tight"` // passing devices get short leases
		Trouble         *string      `json:"trouble"`
		LostMessages    uint64       `json:"lost_messages"`
		RefusedMessages uint64       `json:"refused_messages"` // of a flood
		Leases          []leaseJSON  `json:"leases"`
		Devices         []deviceJSON `json:"devices"` // the one heard last first
	}
	leaseJSON struct {
		Address         *string `json:"address"`
		HardwareAddress *string `json:"hardware_address"`
		Name            *string `json:"name"`
		State           string  `json:"state"`
		LeftSeconds     *int64  `json:"left_seconds"` // null: for ever
		Heard           bool    `json:"heard"`        // since the start
	}
	deviceJSON struct {
		HardwareAddress string         `json:"hardware_address"`
		Name            *string        `json:"name"`
		Address         *string        `json:"address"`   // that it has now
		Exchanges       []exchangeJSON `json:"exchanges"` // the latest last
	}
	exchangeJSON struct {
		AgoSeconds int64   `json:"ago_seconds"`
		Asked      string  `json:"asked"`
		Answer     *string `json:"answer"` // null: silence
		Address    *string `json:"address"`
		Why        string  `json:"why"`
		Times      int     `json:"times"`
	}
	wanJSON struct {
		Device       string      `json:"device"`
		State        string      `json:"state"`
		Trouble      *string     `json:"trouble"`
		Cable        bool        `json:"cable"`
		Used         bool        `json:"used"` // false: the port does not have the address
		Address      *string     `json:"address"`
		Gateway      *string     `json:"gateway"`
		Routes       []routeJSON `json:"routes"`
		MTU          int         `json:"mtu"` // 0: the port's own
		Server       *string     `json:"server"`
		DNS          []string    `json:"dns"`
		Domain       *string     `json:"domain"`
		Search       []string    `json:"search"`
		NTP          []string    `json:"ntp"`
		RenewSeconds *int64      `json:"renew_seconds"`
		EndsSeconds  *int64      `json:"ends_seconds"` // null: never, or there is no lease
		Refused      []eventJSON `json:"refused"`      // answers that were not used, the latest last
	}
	routeJSON struct {
		To  *string `json:"to"`
		Via *string `json:"via"` // null: on the link
	}
	ringJSON struct {
		Path            string   `json:"path"`
		Trouble         *string  `json:"trouble"`
		Sparing         *string  `json:"sparing"`
		Records         int      `json:"records"`
		LiveBytes       int      `json:"live_bytes"`
		CapacityBytes   int      `json:"capacity_bytes"`
		SegmentBytes    int      `json:"segment_bytes"`
		ProgrammedBytes int64    `json:"programmed_bytes"` // since the start
		Erases          []uint32 `json:"erases"`
		DamagedRecords  int      `json:"damaged_records"`
		BadSegments     int      `json:"bad_segments"`
		Cycles          int      `json:"cycles"`
		Years           int      `json:"years"`
		CreditBytes     int64    `json:"credit_bytes"`
		BurstBytes      int64    `json:"burst_bytes"`
		BytesPerDay     int64    `json:"bytes_per_day"`
		LentLeases      int      `json:"lent_leases"`
		PaceYears       *float64 `json:"pace_years"` // that the flash lasts so; null: too early to say
	}
	eventJSON struct {
		AgoSeconds int64  `json:"ago_seconds"`
		Text       string `json:"text"`
	}
)

// JSON returns the report as of now. It uses encoding/json, which is in the
// binary for log/slog already.
func JSON(r *Report, now time.Time) []byte {
	out := reportJSON{
		Version:   r.Version,
		Networks:  list(r.LANs, func(l LAN) lanJSON { return newLANJSON(l, now) }),
		Ring:      newRingJSON(r.Ring),
		LastWords: orNull(r.LastWords),
		Alarms:    alarms(r.Alarms, now),
		Problems:  list(r.Problems, func(s string) string { return s }),
		Events:    list(r.Events, func(e Event) eventJSON { return eventJSON{ago(e.At, now), e.Text} }),
	}
	if !r.Started.IsZero() {
		out.UptimeSeconds = ago(r.Started, now)
	}
	if r.Memory != (Memory{}) {
		out.Memory = &memoryJSON{r.Memory.Resident, r.Memory.Free}
	}
	if r.WAN.Device != "" {
		out.WAN = newWANJSON(r.WAN, now)
	}
	b, _ := json.MarshalIndent(out, "", "  ") // strings and numbers always encode
	return append(b, '\n')
}

func alarms(list []Alarm, now time.Time) []string {
	texts := []string{}
	for _, a := range list {
		if a.Holds(now) {
			texts = append(texts, a.Text)
		}
	}
	return texts
}

func newLANJSON(l LAN, now time.Time) lanJSON {
	return lanJSON{
		Name: l.Name, Device: l.Device, Via: orNull(l.Via), Address: text(l.Addr), MovedFrom: text(l.MovedFrom), First: text(l.First), Last: text(l.Last),
		PoolSize: l.Size, PoolUsed: l.Used, PoolTight: l.Tight,
		Trouble: orNull(l.Trouble), LostMessages: l.Lost, RefusedMessages: l.Refused,
		Leases: list(l.Leases, func(e Lease) leaseJSON {
			return leaseJSON{text(e.Addr), orNull(e.HW), orNull(e.Name), e.stateAt(now), left(e.Until, now), e.Heard}
		}),
		Devices: list(l.Devices, func(d Device) deviceJSON {
			return deviceJSON{d.HW, orNull(d.Name), text(d.Addr), list(d.Said, func(e Exchange) exchangeJSON {
				return exchangeJSON{ago(e.At, now), e.Asked, orNull(e.Answer), text(e.Addr), e.Why, e.Times}
			})}
		}),
	}
}

func newWANJSON(w WAN, now time.Time) *wanJSON {
	same := func(s string) string { return s }
	return &wanJSON{
		Device: w.Device, State: w.State, Trouble: orNull(w.Trouble),
		Cable: !w.NoCable, Used: w.Addr.IsValid() && !w.Held,
		Address: text(w.Addr), Gateway: text(w.Gateway), Server: text(w.Server),
		Routes: list(w.Routes, func(r Route) routeJSON { return routeJSON{text(r.To), text(r.Via)} }),
		MTU:    w.MTU, DNS: list(w.DNS, netip.Addr.String), NTP: list(w.NTP, netip.Addr.String),
		Domain: orNull(w.Domain), Search: list(w.Search, same),
		RenewSeconds: left(w.Renew, now), EndsSeconds: left(w.Expires, now),
		Refused: list(w.Refused, func(e Event) eventJSON { return eventJSON{ago(e.At, now), e.Text} }),
	}
}

func newRingJSON(g Ring) ringJSON {
	return ringJSON{
		Path: g.Path, Trouble: orNull(g.Trouble), Sparing: orNull(g.Sparing),
		Records: g.Records, LiveBytes: g.Live, CapacityBytes: g.Capacity, SegmentBytes: g.Segment,
		ProgrammedBytes: g.Programmed, Erases: list(g.Erases, func(n uint32) uint32 { return n }),
		DamagedRecords: g.Damaged, BadSegments: g.Bad, Cycles: g.Cycles, Years: g.Years,
		CreditBytes: g.Credit, BurstBytes: g.Burst, BytesPerDay: g.PerDay, LentLeases: g.Lent, PaceYears: pace(g.Pace),
	}
}

// pace is null where there is none, nor a number for it in JSON.
func pace(years float64) *float64 {
	if !(years > 0) || math.IsInf(years, 0) {
		return nil
	}
	return &years
}

// list converts a slice to one that is never null.
func list[T, J any](in []T, convert func(T) J) []J {
	out := make([]J, 0, len(in))
	for _, v := range in {
		out = append(out, convert(v))
	}
	return out
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// text is an address or a prefix, null if it is none.
func text(a interface {
	IsValid() bool
	String() string
}) *string {
	if !a.IsValid() {
		return nil
	}
	s := a.String()
	return &s
}

func ago(t, now time.Time) int64 { return int64(now.Sub(t) / time.Second) }

func left(t, now time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := max(int64(t.Sub(now)/time.Second), 0)
	return &s
}
