package status

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

func TestJSONGolden(t *testing.T) {
	for name, r := range map[string]*Report{"example": example(), "troubled": troubled(), "zero": {}} {
		golden(t, name+".json", string(JSON(r, noon)))
	}
}

// readBack is the JSON of a report, read back.
func readBack(t *testing.T, r *Report) map[string]any {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(JSON(r, noon), &got); err != nil {
		t.Fatalf("%v in\n%s", err, JSON(r, noon))
	}
	return got
}

// at follows keys and indices into what was parsed.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if _, has := m[step]; !ok || !has {
				t.Fatalf("no %q in %v", step, v)
			}
			v = m[step]
		case int:
			list, ok := v.([]any)
			if !ok || step >= len(list) {
				t.Fatalf("no element %d in %v", step, v)
			}
			v = list[step]
		}
	}
	return v
}

func TestJSONSaysWhatThePageSays(t *testing.T) {
	got := readBack(t, example())
	for _, tc := range []struct {
		want any
		path []any
	}{
		{"0.1.0", []any{"version"}},
		{50*3600.0 + 180, []any{"uptime_seconds"}},
		{"192.168.1.1/24", []any{"networks", 0, "address"}},
		{nil, []any{"networks", 0, "trouble"}},
		{3.0, []any{"networks", 0, "lost_messages"}},
		{"phone", []any{"networks", 0, "leases", 0, "name"}},
		{11*3600.0 + 59*60, []any{"networks", 0, "leases", 0, "left_seconds"}},
		{nil, []any{"networks", 0, "leases", 1, "left_seconds"}}, // for ever
		{"expired", []any{"networks", 0, "leases", 3, "state"}},
		{0.0, []any{"networks", 0, "leases", 3, "left_seconds"}},
		{nil, []any{"networks", 0, "leases", 5, "hardware_address"}},
		{nil, []any{"networks", 0, "devices", 0, "address"}},
		{"probe: in use by 02:00:00:00:00:99", []any{"networks", 0, "devices", 0, "exchanges", 0, "why"}},
		{nil, []any{"networks", 0, "devices", 0, "exchanges", 1, "answer"}},
		{3.0, []any{"networks", 0, "devices", 0, "exchanges", 1, "times"}},
		{4.0, []any{"networks", 0, "devices", 0, "exchanges", 1, "ago_seconds"}},
		{"ACK", []any{"networks", 0, "devices", 1, "exchanges", 1, "answer"}},
		{"203.0.113.7/24", []any{"wan", "address"}},
		{45.0, []any{"wan", "renew_seconds"}},
		{13.0, []any{"ring", "erases", 1}},
		{412.5, []any{"ring", "pace_years"}},
		{7200.0, []any{"events", 0, "ago_seconds"}},
	} {
		if v := at(t, got, tc.path...); !reflect.DeepEqual(v, tc.want) {
			t.Errorf("%v is %v; want %v", tc.path, v, tc.want)
		}
	}
	for _, years := range []float64{0, math.NaN(), math.Inf(1)} {
		if v := at(t, readBack(t, &Report{Ring: Ring{Pace: years}}), "ring", "pace_years"); v != nil {
			t.Errorf("a pace of %v years is %v; want null", years, v)
		}
	}
	if v := at(t, readBack(t, &Report{}), "wan"); v != nil {
		t.Errorf("a WAN side that is not configured is %v; want null", v)
	}
}

// Whatever clients and providers call themselves, it is JSON, and nothing is
// left out.
func TestJSONHasEveryText(t *testing.T) {
	r, said := infected()
	texts := map[string]bool{}
	collect(readBack(t, r), texts)
	for _, s := range said {
		if !texts[s] {
			t.Errorf("%q is not in the JSON", s)
		}
	}
}

func collect(v any, texts map[string]bool) {
	switch v := v.(type) {
	case string:
		texts[v] = true
	case []any:
		for _, e := range v {
			collect(e, texts)
		}
	case map[string]any:
		for _, e := range v {
			collect(e, texts)
		}
	}
}

func TestJSONListsAreNeverNull(t *testing.T) {
	got := readBack(t, &Report{LANs: []LAN{{}}, WAN: WAN{Device: "wan"}})
	for _, path := range [][]any{
		{"networks", 0, "leases"}, {"networks", 0, "devices"}, {"wan", "dns"}, {"wan", "routes"}, {"wan", "search"},
		{"wan", "ntp"}, {"ring", "erases"}, {"problems"}, {"events"},
	} {
		if v, ok := at(t, got, path...).([]any); !ok || len(v) > 0 {
			t.Errorf("%v is %v; want an empty list", path, v)
		}
	}
}
