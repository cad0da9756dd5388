package main

import (
	"slices"
	"testing"
)

// TestArguments: called as an init, leasehold takes nothing that the kernel hands
// on for a command.
func TestArguments(t *testing.T) {
	for _, tc := range []struct{ argv, want []string }{
		{[]string{"/init"}, []string{"init"}},
		{[]string{"/init", "nosuchparameter", "-x"}, []string{"init"}},
		{[]string{"/bin/uinit"}, []string{"init"}},
		{[]string{"leasehold"}, []string{}},
		{[]string{"/bin/leasehold", "leases", "-f", "json"}, []string{"leases", "-f", "json"}},
	} {
		if got := arguments(tc.argv); !slices.Equal(got, tc.want) {
			t.Errorf("arguments(%q) = %q; want %q", tc.argv, got, tc.want)
		}
	}
}
