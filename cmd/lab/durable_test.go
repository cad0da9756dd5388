package main

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// opening is how many writes the first lease of a boot takes besides its own: one
// erase of a block, the header, and the commit record.
const opening = 3

// TestACKLeavesAfterTheWrite: strace shows the kernel's order. The binding is
// written to the ring, whose file is open with O_DSYNC, before the ACK is sent;
// the start, offers and renewals write nothing.
func TestACKLeavesAfterTheWrite(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "config interface 'wan'\n\toption proto 'none'\n")
	trace := s.dir + "/strace"
	s.binary = append([]string{"strace", "-f", "-xx", "-s", "400", "-e", "trace=openat,pwrite64,sendto", "-o", trace}, s.binary...)
	s.on()
	anna := s.laptop("anna", 1, udhcpc{})
	s.boot(anna)
	s.reports(anna, 0, "bound")
	mark := anna.reports.mark()
	check(t, anna.client.renew(anna))
	s.reports(anna, mark, "renewed")
	_, err := s.proc.end(syscall.SIGTERM)
	check(t, err)

	got := strings.Join(ringAndAnswers(t, trace, s.ring()), " ")
	// udhcpc sometimes misses the first answer to a renewal and asks once more.
	if !regexp.MustCompile(`^OFFER (write )+ACK( ACK)+$`).MatchString(got) || strings.Count(got, "write") != opening+1 {
		t.Errorf("the router did: %s; want OFFER, %d writes, ACK ACK", got, opening+1)
	}
}

// ringAndAnswers lists, from a trace, the writes to the ring and the DHCP
// messages sent, in the kernel's order.
func ringAndAnswers(t *testing.T, trace, ring string) []string {
	t.Helper()
	b, err := os.ReadFile(trace)
	check(t, err)
	opened := regexp.MustCompile(`openat\(.*"` + hexed(ring) + `", .*O_DSYNC.* = (\d+)`)
	message := regexp.MustCompile(`sendto\(.*` + hexed("\x63\x82\x53\x63\x35\x01") + `\\x(..)`)
	var fd string
	var seen []string
	for line := range strings.Lines(string(b)) {
		if m := opened.FindStringSubmatch(line); m != nil {
			fd = m[1]
		} else if m := message.FindStringSubmatch(line); m != nil {
			seen = append(seen, map[string]string{"02": "OFFER", "05": "ACK", "06": "NAK"}[m[1]])
		} else if fd != "" && strings.Contains(line, "pwrite64("+fd+",") {
			seen = append(seen, "write")
		}
	}
	if fd == "" {
		t.Fatalf("%s was never opened with O_DSYNC", ring)
	}
	return seen
}

// hexed is how strace -xx prints s, as a regular expression.
func hexed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		const digits = "0123456789abcdef"
		b.WriteString(`\\x` + string(digits[s[i]>>4]) + string(digits[s[i]&15]))
	}
	return b.String()
}
