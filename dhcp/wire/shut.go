package wire

import (
	"slices"
	"sync"
	"time"

	"leasehold/dhcp"
)

// A door has the kernel keep the messages of clients that flood us, so that they
// do not take the place of others in its queue. It is closed for shutFor: who
// goes on is shut out again within a second.
type door struct {
	link link
	mu   sync.Mutex
	out  []dhcp.HWAddr
}

const (
	shutFor  = 30 * time.Second
	mostShut = 8 // the others are held back by the gate
)

// shut closes the door for a client.
func (d *door) shut(hw dhcp.HWAddr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.out) >= mostShut || slices.Contains(d.out, hw) {
		return
	}
	d.out = append(d.out, hw)
	d.apply()
	time.AfterFunc(shutFor, func() { d.open(hw) })
}

func (d *door) open(hw dhcp.HWAddr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = slices.DeleteFunc(d.out, func(a dhcp.HWAddr) bool { return a == hw })
	d.apply()
}

// apply does nothing where the socket is closed, and no harm where it fails: the
// gate is still there.
func (d *door) apply() { d.link.setFilter(dhcpFilter(dhcp.ServerPort, d.out...)) }
