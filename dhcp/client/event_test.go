package client

import (
	"strings"
	"testing"
	"time"

	"leasehold/dhcp"
)

func TestEveryStateAndReasonHasAText(t *testing.T) {
	for st := Stopped; st <= Rebinding; st++ {
		if st.String() == "" {
			t.Errorf("State(%d) has no name", st)
		}
	}
	for r := Searching; r <= Defended; r++ {
		if r.String() == "" {
			t.Errorf("Reason(%d) has no text", r)
		}
		if e := (Event{Reason: r}).String(); e == "" || strings.Contains(e, "%!") {
			t.Errorf("Event{Reason: %d} = %q", r, e)
		}
	}
	if got := (Event{}).String(); got != "" {
		t.Errorf("Event{} = %q; want nothing", got)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                     "0 s",
		7600 * ms:             "8 s",
		119 * s:               "119 s",
		2 * time.Minute:       "2 min",
		time.Hour:             "60 min",
		12*h + 29*time.Minute: "12 h",
		71 * h:                "3 days",
		dhcp.Infinite:         "ever",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q; want %q", d, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"no more leases\x00":       "no more leases",
		"\x1b[31mred\x1b[0m\r\n":   "[31mred[0m",
		" caf\xe9 ":                "caf",
		strings.Repeat("long", 99): strings.Repeat("long", 20),
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q; want %q", in, got, want)
		}
	}
}
