package main

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// straced is what a server runs under to have written down in a file what it
// writes, syncs and sends.
func straced(file string) []string {
	return []string{"strace", "-f", "-y", "-x", "-s", "400", "-o", file, "-e",
		"trace=openat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sendto,sendmsg,sendmmsg"}
}

// A call is a system call that returned.
type call struct {
	name         string
	file         string // what its descriptor stands for, or what openat opened
	text         string // all that strace says of it
	result       int
	began, ended int // lines of the trace
}

var (
	traced    = regexp.MustCompile(`^(\d+) +(.*)$`)
	resumed   = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	completed = regexp.MustCompile(`^(\w+)\((?:\d+<([^>]*)>)?.*\) += (-?\d+)(?:<([^>]*)>)?`)
)

const unfinished = " <unfinished ...>"

// parseCalls reads what strace -f -y -o wrote, in the order in which the calls
// began. While another thread did something a call may have been cut in two.
func parseCalls(trace string) []call {
	type start struct {
		text string
		line int
	}
	var calls []call
	open := map[string]start{} // by thread
	n := 0
	for line := range strings.Lines(trace) {
		n++
		m := traced.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		thread, text, began := m[1], m[2], n
		if head, cut := strings.CutSuffix(text, unfinished); cut {
			open[thread] = start{head, n}
			continue
		}
		if tail := resumed.FindStringSubmatch(text); tail != nil {
			text, began = open[thread].text+tail[1], open[thread].line
		}
		if m := completed.FindStringSubmatch(text); m != nil {
			result, _ := strconv.Atoi(m[3]) // digits by the expression
			calls = append(calls, call{m[1], cmp.Or(m[4], m[2]), text, result, began, n})
		}
	}
	slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.began, b.began) })
	return calls
}

// A tally is what a server did to its store.
type tally struct {
	octets, writes, syncs int

	acks       int // that were sent
	afterWrite int // those with a write to the store since the answer before
	afterSync  int // those with a sync of it, too

	// Since the latest answer: the lines where a write ended, and where a sync
	// ended that began after it.
	wrote, synced int
}

// tallyOf sums up the calls after a line of the trace. The store is all that is
// in dir.
func tallyOf(calls []call, after int, dir string) tally {
	var t tally
	dsync := map[string]bool{} // the files where every write is synced
	for _, c := range calls {
		stored := c.file == dir || strings.HasPrefix(c.file, dir+"/")
		switch {
		case c.name == "openat":
			dsync[c.file] = strings.Contains(c.text, "O_DSYNC") || strings.Contains(c.text, "O_SYNC")
		case c.began <= after:
		case stored && strings.HasSuffix(c.name, "sync"):
			t.sync(c)
		case stored && c.result > 0:
			t.write(c)
			if dsync[c.file] {
				t.syncs++
				t.synced = c.ended
			}
		case strings.HasPrefix(c.file, "socket:"):
			t.send(c)
		}
	}
	return t
}

func (t *tally) write(c call) {
	t.writes++
	t.octets += c.result
	t.wrote = c.ended
}

func (t *tally) sync(c call) {
	t.syncs++
	if c.began > t.wrote {
		t.synced = c.ended
	}
}

// messageType finds the option in a DHCP message as strace -x prints it.
var messageType = regexp.MustCompile(`\\x63\\x82\\x53\\x63.*?\\x35\\x01\\x(..)`)

func (t *tally) send(c call) {
	m := messageType.FindStringSubmatch(c.text)
	if m == nil {
		return
	}
	if m[1] == "05" {
		t.ack(c)
	}
	t.wrote, t.synced = 0, 0
}

func (t *tally) ack(c call) {
	t.acks++
	if t.wrote == 0 || t.wrote > c.began {
		return
	}
	t.afterWrite++
	if t.synced >= t.wrote && t.synced < c.began {
		t.afterSync++
	}
}
