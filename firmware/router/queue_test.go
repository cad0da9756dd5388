package router

import (
	"fmt"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

func numbered(kind dhcpv4.MessageType, n int) dhcp.Datagram {
	return dhcp.Datagram{Msg: &dhcpv4.DHCPv4{
		NumSeconds: uint16(n),
		Options:    dhcpv4.OptionsFromList(dhcpv4.OptMessageType(kind)),
	}}
}

// drained empties the queue batch by batch.
func drained(q *queue) (batches [][]string) {
	for {
		b := q.drain(nil)
		if len(b) == 0 {
			return batches
		}
		var words []string
		for _, d := range b {
			words = append(words, fmt.Sprintf("%v %d", d.Msg.MessageType(), d.Msg.NumSeconds))
		}
		batches = append(batches, words)
	}
}

func TestQueueFinishesBeforeItBegins(t *testing.T) {
	q := newQueue()
	q.put(numbered(dhcpv4.MessageTypeDiscover, 1))
	q.put(numbered(dhcpv4.MessageTypeRequest, 2))
	q.put(numbered(dhcpv4.MessageTypeDiscover, 3))
	q.put(numbered(dhcpv4.MessageTypeRelease, 4))
	q.put(numbered(dhcpv4.MessageTypeRequest, 5))
	want := []string{"REQUEST 2", "RELEASE 4", "REQUEST 5", "DISCOVER 1", "DISCOVER 3"}
	if got := drained(q); len(got) != 1 || !slices.Equal(got[0], want) {
		t.Errorf("drained %q; want %q", got, want)
	}
	if n := q.lost.Load(); n != 0 {
		t.Errorf("%d lost; want 0", n)
	}
}

func TestQueueThrowsAwayTheOldest(t *testing.T) {
	const more = 10
	q := newQueue()
	q.put(numbered(dhcpv4.MessageTypeRequest, 9999))
	for i := range queueLen + more {
		q.put(numbered(dhcpv4.MessageTypeDiscover, i))
	}
	if n := q.lost.Load(); n != more {
		t.Errorf("%d lost; want %d", n, more)
	}
	all := slices.Concat(drained(q)...)
	if len(all) != queueLen+1 {
		t.Fatalf("%d left; want %d", len(all), queueLen+1)
	}
	for i, want := range map[int]string{
		0: "REQUEST 9999", // a flood of DISCOVERs costs no REQUEST
		1: fmt.Sprintf("DISCOVER %d", more), queueLen: fmt.Sprintf("DISCOVER %d", queueLen+more-1),
	} {
		if all[i] != want {
			t.Errorf("message %d is %s; want %s", i, all[i], want)
		}
	}
}

func TestQueueDrainsInBatches(t *testing.T) {
	q := newQueue()
	for i := range 2*batchLen + 1 {
		q.put(numbered(dhcpv4.MessageTypeRequest, i))
	}
	var sizes []int
	for _, b := range drained(q) {
		sizes = append(sizes, len(b))
	}
	if want := []int{batchLen, batchLen, 1}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v; want %v", sizes, want)
	}
	q.put(numbered(dhcpv4.MessageTypeRequest, 1))
	full := make([]dhcp.Datagram, batchLen)
	if got := q.drain(full); len(got) != batchLen {
		t.Errorf("a full batch grew to %d", len(got))
	}
}

func TestMailboxKeepsTheLatest(t *testing.T) {
	m := newMailbox[int]()
	for i := range 5 {
		m.put(i) // never blocks
	}
	if got := <-m; got != 4 {
		t.Errorf("took %d; want 4", got)
	}
	select {
	case got := <-m:
		t.Errorf("took %d from an empty mailbox", got)
	default:
	}
}
