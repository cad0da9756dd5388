package router

import (
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

const (
	queueLen = 512
	batchLen = 64 // messages that share one write
)

// A queue holds messages between the goroutine that reads the socket and the
// loop that answers. Under overload it throws away the oldest, whose sender has
// given up waiting, and keeps those that finish an exchange before those that
// begin one.
//
// The kernel's queue before it has the default length: github.com/mdlayher/raw
// gives no way to its socket.
type queue struct {
	begin, finish chan dhcp.Datagram
	lost          atomic.Uint64
}

func newQueue() *queue {
	return &queue{begin: make(chan dhcp.Datagram, queueLen), finish: make(chan dhcp.Datagram, queueLen)}
}

// put never blocks. It is for one goroutine.
func (q *queue) put(d dhcp.Datagram) {
	ch := q.finish
	if d.Msg.MessageType() == dhcpv4.MessageTypeDiscover {
		ch = q.begin
	}
	for {
		select {
		case ch <- d:
			return
		default:
		}
		select {
		case <-ch:
			q.lost.Add(1)
		default:
		}
	}
}

// drain appends what has queued to batch, up to batchLen.
func (q *queue) drain(batch []dhcp.Datagram) []dhcp.Datagram {
	for _, ch := range []chan dhcp.Datagram{q.finish, q.begin} {
		for len(batch) < batchLen {
			select {
			case d := <-ch:
				batch = append(batch, d)
				continue
			default:
			}
			break
		}
	}
	return batch
}
