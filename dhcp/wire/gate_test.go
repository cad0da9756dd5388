package wire

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"leasehold/dhcp"
)

func client(n int) (hw dhcp.HWAddr) {
	hw[0] = 2
	binary.BigEndian.PutUint32(hw[2:], uint32(n))
	return hw
}

// passed is how many of a client's messages are read that come so often for so
// long, each of which takes so long to read.
func passed(g *gate, hw func(i int) dhcp.HWAddr, every, during, cost time.Duration) (n int) {
	now := time.Unix(0, 0)
	for i := 0; time.Duration(i)*every < during; i++ {
		if ok, _ := g.admit(now.Add(time.Duration(i)*every), hw(i)); ok {
			n++
			g.spent(cost)
		}
	}
	return n
}

func TestGate(t *testing.T) {
	same := func(int) dhcp.HWAddr { return client(1) }
	many := func(i int) dhcp.HWAddr { return client(i) }
	const fast, slow = 5 * time.Microsecond, 250 * time.Microsecond
	for _, tt := range []struct {
		name        string
		hw          func(int) dhcp.HWAddr
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
		n := passed(g, tt.hw, tt.every, tt.during, tt.cost)
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
		if ok, _ := g.admit(now, client(1)); ok {
			n++
		}
		if i%1000 == 0 {
			if ok, _ := g.admit(now, client(2+i/1000)); !ok {
				t.Fatalf("client %d is refused", 2+i/1000)
			}
		}
	}
	if n > clientBurst+10*clientRate {
		t.Errorf("%d messages of who floods pass", n)
	}
}

func TestGateTakesLittleMemory(t *testing.T) {
	if n := unsafe.Sizeof(gate{}); n > 24<<10 {
		t.Errorf("a gate takes %d octets", n)
	}
}

func TestGateReadsTheClientsAddress(t *testing.T) {
	from, to := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67")
	payload := make([]byte, 300)
	hw := client(7)
	copy(payload[28:], hw[:])
	b := appendFrame(nil, from, to, payload)
	if got := asker(b); got != hw {
		t.Errorf("asker = %v; want %v", got, hw)
	}
	if got := asker(appendFrame(nil, to, from, payload)); got != (dhcp.HWAddr{}) {
		t.Errorf("an answer is taken for what %v asks", got)
	}
	for n := range b {
		asker(b[:n])
	}
}

// What a server answers is not held against the client that it is for.
func TestGateKnowsNoClientInAnswers(t *testing.T) {
	if n := passed(&gate{}, func(int) dhcp.HWAddr { return dhcp.HWAddr{} }, time.Millisecond, time.Second, 0); n != 1000 {
		t.Errorf("%d answers pass; want 1000", n)
	}
}

// Only who sends hundreds of messages a second is left to the kernel.
func TestGateTellsAFlood(t *testing.T) {
	for every, want := range map[time.Duration]bool{time.Second: false, 10 * time.Millisecond: false, time.Millisecond: true} {
		g, now, told := &gate{}, time.Unix(0, 0), false
		for range 2000 {
			now = now.Add(every)
			_, flood := g.admit(now, client(1))
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
	vm := machine(t, dhcpFilter(dhcp.ServerPort, client(1), client(2), client(0x10003)))
	for n, want := range map[int]bool{1: false, 2: false, 3: true, 0x10003: false, 0x10001: true} {
		if got, err := vm.Run(frame(n, dhcp.ServerPort)); err != nil || got > 0 != want {
			t.Errorf("%d octets of client %d pass, %v; want passed %v", got, n, err, want)
		}
	}
	if got, _ := vm.Run(frame(1, dhcp.ClientPort)); got == 0 {
		t.Error("an answer to who is shut out does not pass")
	}
}
