package wire

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"

	"leasehold/dhcp"
)

func client(n int) (hw dhcp.HWAddr) {
	hw[0] = 2
	binary.BigEndian.PutUint32(hw[2:], uint32(n))
	return hw
}

// itself is a client that sends its own messages.
func itself(n int) origin { return origin{client(n), client(n)} }

// passed is how many of a client's messages are read that come so often for so
// long, each of which takes so long to read.
func passed(g *gate, from func(i int) origin, every, during, cost time.Duration) (n int) {
	now := time.Unix(0, 0)
	for i := 0; time.Duration(i)*every < during; i++ {
		if ok, _ := g.admit(now.Add(time.Duration(i)*every), from(i)); ok {
			n++
			g.spent(cost)
		}
	}
	return n
}

func TestGate(t *testing.T) {
	same := func(int) origin { return itself(1) }
	many := func(i int) origin { return itself(i) }
	const fast, slow = 5 * time.Microsecond, 250 * time.Microsecond
	for _, tt := range []struct {
		name        string
		from        func(int) origin
		every       time.Duration
		during      time.Duration
		cost        time.Duration
		least, most int
	}{
		{"a client that renews", same, time.Minute, time.Hour, slow, 60, 60},
		{"a client that begins again and again", same, time.Second, time.Hour, slow, 3600, 3600},
		{"a client that floods", same, time.Millisecond, time.Minute, slow, 20 + 119, 20 + 121},
		{"a house after a power cut", many, 2 * time.Millisecond, time.Second, slow, 500, 500},
		{"ten thousand a second on a fast machine", many, 100 * time.Microsecond, 10 * time.Second, fast, 100_000, 100_000},
		{"ten thousand a second on a slow one", many, 100 * time.Microsecond, 10 * time.Second, slow, 23_000, 24_100},
	} {
		g := &gate{}
		n := passed(g, tt.from, tt.every, tt.during, tt.cost)
		if n < tt.least || n > tt.most {
			t.Errorf("%s: %d messages pass; want %d to %d", tt.name, n, tt.least, tt.most)
		}
	}
}

// One client that floods leaves all others as they are, unless they are so many
// that nobody could tell.
func TestGateHoldsBackWhoFloods(t *testing.T) {
	g, now, n := &gate{}, time.Unix(0, 0), 0
	for i := range 100_000 {
		now = now.Add(100 * time.Microsecond)
		if ok, _ := g.admit(now, itself(1)); ok {
			n++
		}
		if i%1000 == 0 {
			if ok, _ := g.admit(now, itself(2+i/1000)); !ok {
				t.Fatalf("client %d is refused", 2+i/1000)
			}
		}
	}
	if n > clientBurst+10*clientRate {
		t.Errorf("%d messages of who floods pass", n)
	}
}

func TestGateTakesLittleMemory(t *testing.T) {
	if n := unsafe.Sizeof(gate{}); n > 25<<10 {
		t.Errorf("a gate takes %d octets", n)
	}
}

// Who floods in the name of others uses up what is his own.
func TestGateTellsWhoSpeaks(t *testing.T) {
	g, now := &gate{}, time.Unix(0, 0)
	for i := range 10_000 {
		now = now.Add(time.Millisecond)
		g.admit(now, origin{client(1), client(9)})
		if i%1000 == 0 {
			if ok, _ := g.admit(now, itself(1)); !ok {
				t.Fatalf("message %d of the client itself is refused", i)
			}
		}
	}
}

func TestGateReadsTheOrigin(t *testing.T) {
	from, to := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67")
	payload := make([]byte, 300)
	want := origin{client(7), client(9)}
	copy(payload[chaddrOff:], want.client[:])
	b := appendFrame(nil, from, to, payload)
	if got := originOf(b, want.station); got != want {
		t.Errorf("originOf = %v; want %v", got, want)
	}
	if got := originOf(appendFrame(nil, to, from, payload), want.station); got != (origin{}) {
		t.Errorf("an answer is taken for what %v asks", got)
	}
	for n := range b {
		originOf(b[:n], want.station)
	}
}

// What a server answers is not held against the client that it is for.
func TestGateKnowsNoClientInAnswers(t *testing.T) {
	if n := passed(&gate{}, func(int) origin { return origin{} }, time.Millisecond, time.Second, 0); n != 1000 {
		t.Errorf("%d answers pass; want 1000", n)
	}
}

// Only who sends hundreds of messages a second is left to the kernel.
func TestGateTellsAFlood(t *testing.T) {
	for every, want := range map[time.Duration]bool{time.Second: false, 10 * time.Millisecond: false, time.Millisecond: true} {
		g, now, told := &gate{}, time.Unix(0, 0), false
		for range 2000 {
			now = now.Add(every)
			_, flood := g.admit(now, itself(1))
			told = told || flood
		}
		if told != want {
			t.Errorf("a message every %v is a flood %v; want %v", every, told, want)
		}
	}
}

func TestFilterShutsOut(t *testing.T) {
	frame := func(n int, to uint16) []byte {
		payload := make([]byte, 300)
		hw := client(n)
		copy(payload[chaddrOff:], hw[:])
		return appendFrame(nil, netip.AddrPortFrom(nobody.Addr(), 135-to), netip.AddrPortFrom(everybody.Addr(), to), payload)
	}
	filter := dhcpFilter(dhcp.ServerPort, itself(1), itself(2), origin{client(0x10003), client(9)})
	for _, tt := range []struct {
		client, station int
		passes          bool
	}{
		{1, 1, false}, {2, 2, false}, {3, 3, true}, {0x10001, 0x10001, true}, {0x10003, 9, false},
		{1, 9, true}, {1, 0x10001, true}, {0x10003, 0x10003, true}, {3, 1, true},
	} {
		vm := machine(t, onLink(filter, client(tt.station)))
		if got, err := vm.Run(frame(tt.client, dhcp.ServerPort)); err != nil || got > 0 != tt.passes {
			t.Errorf("%d octets of client %x from station %x pass, %v; want passed %v", got, tt.client, tt.station, err, tt.passes)
		}
	}
	if got, _ := machine(t, onLink(filter, client(1))).Run(frame(1, dhcp.ClientPort)); got == 0 {
		t.Error("an answer to who is shut out does not pass")
	}
}

// onLink puts into a filter what it would read of the frame of a station: the
// machine that runs it here has no frames.
func onLink(filter []bpf.Instruction, station dhcp.HWAddr) []bpf.Instruction {
	filter = slices.Clone(filter)
	for i, ins := range filter {
		switch ins {
		case bpf.LoadAbsolute{Off: stationOff, Size: 4}:
			filter[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: head(station)}
		case bpf.LoadAbsolute{Off: stationOff + 4, Size: 2}:
			filter[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: tail(station)}
		}
	}
	return filter
}
