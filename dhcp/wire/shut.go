package wire

import (
	"slices"
	"sync"
	"time"

	"leasehold/dhcp"
)

// A door has the kernel keep the messages of origins that flood us, so that they do
// not take the place of others in its queue. It is closed for shutFor: who
// goes on is shut out again within a second.
type door struct {
	link link
	mu   sync.Mutex
	out  []origin
}

const (
	shutFor  = 30 * time.Second
	mostShut = 8 // the others are held back by the gate
)

// shut closes the door for an origin.
func (d *door) shut(o origin) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.out) >= mostShut || slices.Contains(d.out, o) {
		return
	}
	d.out = append(d.out, o)
	d.apply()
	time.AfterFunc(shutFor, func() { d.open(o) })
}

func (d *door) open(o origin) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = slices.DeleteFunc(d.out, func(a origin) bool { return a == o })
	d.apply()
}

// apply does nothing where the socket is closed, and no harm where it fails: the
// gate is still there.
func (d *door) apply() { d.link.setFilter(dhcpFilter(dhcp.ServerPort, d.out...)) }
