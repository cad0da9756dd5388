package main

import (
	"reflect"
	"testing"
)

// A call that is cut in two ends where it is resumed, and stands where it began.
func TestParseCalls(t *testing.T) {
	for _, test := range []struct {
		name, trace string
		want        []call
	}{
		{"a write", `7     write(3</s/leases>, "ab\n", 3)         = 3`,
			[]call{{name: "write", file: "/s/leases", result: 3, began: 1, ended: 1}}},
		{"an open file is the one that came of it", `7 openat(AT_FDCWD</w>, "leases", O_RDWR|O_DSYNC|O_CLOEXEC) = 3</s/leases>`,
			[]call{{name: "openat", file: "/s/leases", result: 3, began: 1, ended: 1}}},
		{"no such file", `7 openat(AT_FDCWD</w>, "leases", O_RDWR|O_DSYNC) = -1 ENOENT (No such file or directory)`,
			[]call{{name: "openat", result: -1, began: 1, ended: 1}}},
		{"what was written is no result", `7 write(3</s/leases>, "a(b) = 9</x>, \") = 8", 18) = 17`,
			[]call{{name: "write", file: "/s/leases", result: 17, began: 1, ended: 1}}},
		{"cut in two", `7  fsync(3</s/leases> <unfinished ...>
8  sendto(5<socket:[1]>, "a", 1, 0, NULL, 0) = 1
7  <... fsync resumed>)     = 0`,
			[]call{
				{name: "fsync", file: "/s/leases", result: 0, began: 1, ended: 3},
				{name: "sendto", file: "socket:[1]", result: 1, began: 2, ended: 2},
			}},
		{"two threads cut", `7 pwrite64(3</s/a>, "ab", 2, 0 <unfinished ...>
8 pwrite64(4</s/b>, "abc", 3, 0 <unfinished ...>
7 <... pwrite64 resumed>) = 2
8 <... pwrite64 resumed>) = 3`,
			[]call{
				{name: "pwrite64", file: "/s/a", result: 2, began: 1, ended: 3},
				{name: "pwrite64", file: "/s/b", result: 3, began: 2, ended: 4},
			}},
		{"vectors", `7 writev(4</s/a>, [{iov_base="ab", iov_len=2}, {iov_base="c", iov_len=1}], 2) = 3`,
			[]call{{name: "writev", file: "/s/a", result: 3, began: 1, ended: 1}}},
		{"never resumed", `7 fsync(3</s/leases> <unfinished ...>
7 +++ killed by SIGKILL +++`, nil},
		{"resumed before we looked", `7 <... fsync resumed>) = 0`, nil},
		{"signals, exits and lines cut short", `7 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=1, si_uid=0} ---
7 +++ exited with 0 +++

7 write(3</s/lea`, nil},
	} {
		got := parseCalls(test.trace)
		for i := range got {
			got[i].text = ""
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: parseCalls = %+v; want %+v", test.name, got, test.want)
		}
	}
}

// Messages as strace -x prints them, shortened: what counts is the cookie and
// the message type, which need not come first.
const (
	offer = `7 sendto(5<socket:[1]>, "\x02\x01\x63\x82\x53\x63\x35\x01\x02\x36\x04", 11, 0, NULL, 0) = 11`
	ack   = `7 sendto(5<socket:[1]>, "\x02\x01\x63\x82\x53\x63\x35\x01\x05\x36\x04", 11, 0, NULL, 0) = 11`
	late  = `7 sendmsg(5<socket:[1]>, {msg_iov=[{iov_base="\x63\x82\x53\x63\x01\x04\xff\xff\x00\x00\x35\x01\x05", iov_len=13}], msg_iovlen=1}, 0) = 13`
	write = `7 write(3</s/leases>, "0123456789", 10) = 10`
	fsync = `7 fsync(3</s/leases>) = 0`
	dsync = `7 openat(AT_FDCWD</>, "/s/leases", O_RDWR|O_DSYNC) = 3</s/leases>`
)

func TestTallyOf(t *testing.T) {
	for _, test := range []struct {
		name  string
		trace []string
		want  tally
	}{
		{"synced, then answered", []string{offer, write, fsync, ack},
			tally{octets: 10, writes: 1, syncs: 1, acks: 1, afterWrite: 1, afterSync: 1}},
		{"a message whose type comes late", []string{offer, write, fsync, late},
			tally{octets: 10, writes: 1, syncs: 1, acks: 1, afterWrite: 1, afterSync: 1}},
		{"O_DSYNC", []string{dsync, offer, write, ack},
			tally{octets: 10, writes: 1, syncs: 1, acks: 1, afterWrite: 1, afterSync: 1}},
		{"not synced", []string{offer, write, ack},
			tally{octets: 10, writes: 1, acks: 1, afterWrite: 1}},
		{"answered first", []string{offer, ack, write, fsync},
			tally{octets: 10, writes: 1, syncs: 1, acks: 1}},
		{"synced before all was written", []string{offer, write, fsync, write, ack},
			tally{octets: 20, writes: 2, syncs: 1, acks: 1, afterWrite: 1}},
		{"answered before the sync ended", []string{offer, write, `8 fsync(3</s/leases> <unfinished ...>`, ack, `8 <... fsync resumed>) = 0`},
			tally{octets: 10, writes: 1, syncs: 1, acks: 1, afterWrite: 1}},
		{"the lease before was synced", []string{offer, write, fsync, ack, offer, ack},
			tally{octets: 10, writes: 1, syncs: 1, acks: 2, afterWrite: 1, afterSync: 1}},
		{"nothing kept", []string{offer, ack}, tally{acks: 1}},
		{"a new file and its directory", []string{`7 write(4</s/leases.new>, "01234", 5) = 5`, `7 fdatasync(4</s/leases.new>) = 0`, `7 fsync(6</s>) = 0`},
			tally{octets: 5, writes: 1, syncs: 2}},
		{"other files", []string{`7 write(2</s2/log>, "01234", 5) = 5`, `7 write(2<pipe:[9]>, "01234", 5) = 5`, `7 fsync(6</>) = 0`}, tally{}},
		{"a failure writes nothing", []string{`7 write(3</s/leases>, "01234", 5) = -1 ENOSPC (No space left on device)`}, tally{}},
	} {
		trace := ""
		for _, line := range test.trace {
			trace += line + "\n"
		}
		got := tallyOf(parseCalls(trace), 0, "/s")
		got.wrote, got.synced = 0, 0
		if got != test.want {
			t.Errorf("%s: tallyOf = %+v; want %+v", test.name, got, test.want)
		}
	}
}

// What was done before a line is not counted, but how files were opened is known.
func TestTallyOfAfterALine(t *testing.T) {
	trace := dsync + "\n" + write + "\n" + offer + "\n" + write + "\n" + ack + "\n"
	got := tallyOf(parseCalls(trace), 2, "/s")
	got.wrote, got.synced = 0, 0
	if want := (tally{octets: 10, writes: 1, syncs: 1, acks: 1, afterWrite: 1, afterSync: 1}); got != want {
		t.Errorf("tallyOf = %+v; want %+v", got, want)
	}
}

func TestAwaited(t *testing.T) {
	for _, test := range []struct {
		t    tally
		want string
	}{
		{tally{acks: 5, afterWrite: 5, afterSync: 5}, "sync"},
		{tally{acks: 5, afterWrite: 5}, "write"},
		{tally{acks: 5}, "nothing"},
		{tally{acks: 5, afterWrite: 4, afterSync: 3}, "3/4/5"},
	} {
		if got := test.t.awaited(); got != test.want {
			t.Errorf("%+v.awaited() = %q; want %q", test.t, got, test.want)
		}
	}
}
