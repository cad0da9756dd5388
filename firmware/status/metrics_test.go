package status

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMetricsGolden(t *testing.T) {
	for name, r := range map[string]*Report{"example": example(), "sparing": sparing(), "zero": {}} {
		t.Run(name, func(t *testing.T) { golden(t, name+".prom", string(Metrics(r, noon))) })
	}
}

const pair = `[a-z]+="(?:[^"\\\n]|\\[\\"n])*"`

var (
	helpLine   = regexp.MustCompile(`^# HELP (leasehold_[a-z_]+) [A-Z][^\\]+\.$`)
	typeLine   = regexp.MustCompile(`^# TYPE (leasehold_[a-z_]+) (counter|gauge)$`)
	sampleLine = regexp.MustCompile(`^(leasehold_[a-z_]+)(?:\{(` + pair + `(?:,` + pair + `)*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(pair)
)

// parseMetrics reads what a scraper reads: values by name and label. It refuses
// what the format does not allow, and what its manual advises against.
func parseMetrics(text string) (map[string]float64, error) {
	values, seen := map[string]float64{}, map[string]bool{}
	var family, kind string
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line does not end")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := helpLine.FindStringSubmatch(line); m != nil {
			if seen[m[1]] {
				return nil, fmt.Errorf("%s is there twice", m[1])
			}
			family, kind, seen[m[1]] = m[1], "", true
			continue
		}
		if m := typeLine.FindStringSubmatch(line); m != nil {
			if m[1] != family || kind != "" {
				return nil, fmt.Errorf("%q after HELP of %s", line, family)
			}
			kind = m[2]
			if strings.HasSuffix(family, "_total") != (kind == counter) {
				return nil, fmt.Errorf("%s is a %s", family, kind)
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || m[1] != family || kind == "" {
			return nil, fmt.Errorf("%q in the family %s", line, family)
		}
		n, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, err
		}
		key := m[1]
		if m[2] != "" {
			var labels []string
			for _, l := range labelPair.FindAllString(m[2], -1) {
				name, value, _ := strings.Cut(strings.TrimSuffix(l, `"`), `="`)
				labels = append(labels, name+"="+strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(value))
			}
			key += "{" + strings.Join(labels, ",") + "}"
		}
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		values[key] = n
	}
	return values, nil
}

func parsed(t *testing.T, r *Report, now time.Time) map[string]float64 {
	t.Helper()
	values, err := parseMetrics(string(Metrics(r, now)))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestMetricsHaveTheSyntaxOfTheFormat(t *testing.T) {
	for _, r := range []*Report{example(), troubled(), sparing(), {}} {
		parsed(t, r, noon)
	}
}

func TestParseMetricsCanFail(t *testing.T) {
	const head = "# HELP leasehold_x It.\n# TYPE leasehold_x gauge\n"
	for _, text := range []string{
		"",
		head + "leasehold_x 1",
		head + "leasehold_x one\n",
		head + "leasehold_x 1\nleasehold_x 1\n",
		head + "leasehold_x 1\n\n",
		head + "leasehold_y 1\n",
		head + "leasehold_x{a=\"\"\"} 1\n",
		head + "leasehold_x{a=\"\\x\"} 1\n",
		head + "leasehold_x{a=\"1\"b=\"2\"} 1\n",
		head + "leasehold_x 1\n" + head + "leasehold_x 2\n",
		head + "# TYPE leasehold_x gauge\n",
		"# HELP leasehold_x It.\nleasehold_x 1\n",
		"# TYPE leasehold_x gauge\nleasehold_x 1\n",
		"# HELP leasehold_x_total It.\n# TYPE leasehold_x_total gauge\n",
		"# HELP leasehold_x It.\n# TYPE leasehold_x counter\n",
		"leasehold_x 1\n",
	} {
		if _, err := parseMetrics(text); err == nil {
			t.Errorf("parseMetrics(%q) found nothing wrong", text)
		}
	}
}

// What clients and providers say of themselves stays inside its quotes.
func TestMetricsEscapeEveryLabel(t *testing.T) {
	for _, evil := range []string{"\"} 1\nleasehold_wan_bound 1\n", `\`, `\n`, "\xff\xfe", "", "a\rb", "ä{}=,"} {
		r := example()
		r.Version = evil
		r.LANs[0].Leases[4].State = evil
		values := parsed(t, r, noon)
		said := strings.ToValidUTF8(evil, "\ufffd")
		for _, key := range []string{"leasehold_build_info{version=" + said + "}", "leasehold_leases{network=lan,state=" + said + "}"} {
			if values[key] != 1 {
				t.Errorf("%q = %v; want 1", key, values[key])
			}
		}
	}
}

func TestMetricsTellNobodysName(t *testing.T) {
	r := sparing()
	var said []string
	infect(reflect.ValueOf(r).Elem(), &said)
	text := string(Metrics(r, noon))
	if _, err := parseMetrics(text); err != nil {
		t.Error(err)
	}
	for _, e := range r.LANs[0].Leases {
		for _, s := range []string{e.Name, e.HW, e.Addr.String()} {
			if strings.Contains(text, s) {
				t.Errorf("the metrics have %q", s)
			}
		}
	}
}

func TestMetricsCountLeasesAsThePageDoes(t *testing.T) {
	for _, tc := range []struct {
		after       time.Duration
		bound, over float64
	}{
		{0, 3, 1},
		{2 * time.Hour, 2, 2},
		{13 * time.Hour, 1, 3},
	} {
		values := parsed(t, example(), in(tc.after))
		if b, e := values["leasehold_leases{network=lan,state=bound}"], values["leasehold_leases{network=lan,state=expired}"]; b != tc.bound || e != tc.over {
			t.Errorf("after %v %v are bound and %v expired; want %v and %v", tc.after, b, e, tc.bound, tc.over)
		}
	}
}

// A value that is not known is not there: 0 would be one.
func TestMetricsLeaveOutWhatIsNotKnown(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(r *Report)
	}{
		{"leasehold_ring_pace_years", func(r *Report) { r.Ring.Pace = 0 }},
		{"leasehold_ring_pace_years", func(r *Report) { r.Ring.Pace = math.NaN() }},
		{"leasehold_wan_bound", func(r *Report) { r.WAN = WAN{} }},
		{"leasehold_uptime_seconds", func(r *Report) { r.Started = time.Time{} }},
		{"leasehold_ring_erases_total", func(r *Report) { r.Ring.Erases = nil }},
	} {
		r := example()
		if !strings.Contains(string(Metrics(r, noon)), tc.name) {
			t.Errorf("%s is not there", tc.name)
		}
		tc.spoil(r)
		if strings.Contains(string(Metrics(r, noon)), tc.name) {
			t.Errorf("%s is there", tc.name)
		}
	}
}

func TestMetricsLeaveTheReportAlone(t *testing.T) {
	r := example()
	Metrics(r, noon)
	if !reflect.DeepEqual(r, example()) {
		t.Error("Metrics changed the report, which others read at the same time")
	}
}

// Every number and every trouble of the ring has a metric of its own.
func TestMetricsShowEveryFieldOfTheRing(t *testing.T) {
	before := Metrics(example(), noon)
	for i := range reflect.TypeFor[Ring]().NumField() {
		r := example()
		f := reflect.ValueOf(&r.Ring).Elem().Field(i)
		name := reflect.TypeFor[Ring]().Field(i).Name
		switch f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Int, reflect.Int64:
			f.SetInt(f.Int() + 1)
		case reflect.Float64:
			f.SetFloat(f.Float() + 1)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]uint32{12, 13, 13, 13}))
		default:
			t.Fatalf("%s is a %v", name, f.Kind())
		}
		if changed := !slices.Equal(Metrics(r, noon), before); changed != (name != "Path") {
			t.Errorf("another %s changes the metrics: %v", name, changed)
		}
	}
}
