package wire

import (
	"encoding/binary"
	"time"

	"leasehold/dhcp"
)

// A gate keeps floods from being read: what one client sends beyond what any
// honest one does, and what all together send beyond what half of the time
// suffices to read. It looks at the hardware addresses alone, and takes the same
// memory whatever comes.
//
// Each origin has a bucket of tokens; all together have one that is filled with
// time. How long a message takes differs by a factor of fifty between the
// machines that we run on, so it is measured.
type gate struct {
	origins [gateSets][gateWays]bucket
	spare   time.Duration // that may be spent on reading
	filled  time.Time
}

// An origin is a client, by the hardware address in its message, and the station
// whose frame that came in: who speaks in somebody else's name uses up his own.
// The zero value is nobody.
type origin struct{ client, station dhcp.HWAddr }

type bucket struct {
	origin
	tokens float32
	over   int32 // messages since the last one that was read
	filled time.Time
}

const (
	gateSets = 128
	gateWays = 4

	// A client that gets an address sends two messages, and one that goes on and
	// on about it some ten in a minute.
	clientBurst = 20
	clientRate  = 2 // a second
	// floodOver messages between two that are read: some four hundred a second.
	floodOver = 200

	// mostSpare is the longest that reading may take at once, and a share of the
	// time is the most that it may take for long.
	mostSpare  = time.Second
	spareShare = 2
)

// admit reports whether a message is to be read, and whether there are so many of
// its origin that the kernel should be told to keep them. Answers of servers are
// nobody's.
func (g *gate) admit(now time.Time, o origin) (ok, flood bool) {
	if g.filled.IsZero() {
		g.spare = mostSpare
	} else {
		g.spare = min(mostSpare, g.spare+now.Sub(g.filled)/spareShare)
	}
	g.filled = now
	if o == (origin{}) {
		return g.spare > 0, false
	}
	b := g.bucket(now, o)
	ok = g.spare > 0 && b.take(now)
	return ok, b.over == floodOver
}

// spent says how long a message took that was admitted.
func (g *gate) spent(d time.Duration) { g.spare -= d }

// bucket returns the origin's bucket. Of those that share a set with it the one
// that was used longest ago makes room for a new one, which is full: who makes
// up a hardware address for each message is held back by what all share.
func (g *gate) bucket(now time.Time, o origin) *bucket {
	set := &g.origins[o.place()]
	oldest := &set[0]
	for i := range set {
		b := &set[i]
		if b.origin == o && !b.filled.IsZero() {
			return b
		}
		if b.filled.Before(oldest.filled) {
			oldest = b
		}
	}
	*oldest = bucket{origin: o, tokens: clientBurst, filled: now}
	return oldest
}

func (b *bucket) take(now time.Time) bool {
	b.tokens = min(clientBurst, b.tokens+float32(now.Sub(b.filled).Seconds()*clientRate))
	b.filled = now
	if b.tokens < 1 {
		b.over++
		return false
	}
	b.tokens--
	b.over = 0
	return true
}

// place spreads origins over the sets (FNV-1a).
func (o origin) place() uint32 {
	h := uint32(2166136261)
	for _, hw := range [...]dhcp.HWAddr{o.client, o.station} {
		for _, b := range hw {
			h = (h ^ uint32(b)) * 16777619
		}
	}
	return (h ^ h>>15) % gateSets
}

// originOf is whose message to a server is in an IPv4 packet that came in a frame
// of the station, and nobody where none is: whatever is wrong with the rest is for
// who reads it.
func originOf(b []byte, station dhcp.HWAddr) (o origin) {
	if len(b) == 0 {
		return o
	}
	udp := int(b[0]&0xf) * 4
	if at := udp + udpHeaderLen + chaddrOff; len(b) >= at+len(o.client) && binary.BigEndian.Uint16(b[udp+2:]) == dhcp.ServerPort {
		copy(o.client[:], b[at:])
		o.station = station
	}
	return o
}

const chaddrOff = 28 // in a message
