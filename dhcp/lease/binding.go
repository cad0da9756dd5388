package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"leasehold/dhcp"
)

// A Binding says which client an address belongs to. It is what has to survive
// a power cut before the client may be told.
type Binding struct {
	Addr netip.Addr
	ID   dhcp.ID
	HW   dhcp.HWAddr // zero for a link that is not Ethernet
	Name string      // as dhcp.HostName leaves it, or ""

	// Term is the longest that a grant of this binding runs. After a reboot,
	// with no clock to say how much of it is left, all of it runs once more.
	Term time.Duration
	// Grant is what the client is being granted now, at most Term. It is not
	// stored, so that a client which asks for another time at every renewal
	// does not wear the flash.
	Grant time.Duration
}

// MaxBinding is how many octets a stored binding takes at the most.
const MaxBinding = fixedBinding + dhcp.MaxID + 63

const (
	bindingVersion = 1
	fixedBinding   = 1 + 4 + 4 + 6 + 1 // version, address, term, hardware address, length of the identity
)

// MarshalBinary returns what the ring keeps: version, address, term in seconds,
// hardware address, length of the identity, identity, name. An identity that
// follows from the hardware address is left out.
func (b Binding) MarshalBinary() ([]byte, error) {
	id := b.ID
	if b.HW.IsUnicast() && id == dhcp.HardwareID(b.HW) {
		id = ""
	}
	if !b.Addr.Is4() || b.ID == "" || len(id) > dhcp.MaxID || len(b.Name) > 63 {
		return nil, fmt.Errorf("binding of %v to %v: cannot be stored", b.Addr, b.ID)
	}
	v := make([]byte, 0, fixedBinding+len(id)+len(b.Name))
	v = append(v, bindingVersion)
	v = append(v, b.Addr.AsSlice()...)
	v = binary.BigEndian.AppendUint32(v, uint32(b.Term/time.Second))
	v = append(v, b.HW[:]...)
	v = append(v, byte(len(id)))
	v = append(v, id...)
	return append(v, b.Name...), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. The name is cleaned again:
// what comes from flash is trusted no more than what comes from the wire.
func (b *Binding) UnmarshalBinary(v []byte) error {
	if len(v) < fixedBinding {
		return fmt.Errorf("binding of %d octets: at least %d expected", len(v), fixedBinding)
	}
	if v[0] != bindingVersion {
		return fmt.Errorf("binding of version %d: only %d is known", v[0], bindingVersion)
	}
	idLen := int(v[fixedBinding-1])
	rest := v[fixedBinding:]
	if idLen > min(len(rest), dhcp.MaxID) {
		return fmt.Errorf("identity of %d octets: %d are there and %d allowed", idLen, len(rest), dhcp.MaxID)
	}
	got := Binding{
		Addr: netip.AddrFrom4([4]byte(v[1:5])),
		Term: time.Duration(binary.BigEndian.Uint32(v[5:9])) * time.Second,
		HW:   dhcp.HWAddr(v[9:15]),
		ID:   dhcp.ID(rest[:idLen]),
		Name: dhcp.HostName(string(rest[idLen:])),
	}
	if idLen == 0 {
		if !got.HW.IsUnicast() {
			return errors.New("binding without a client")
		}
		got.ID = dhcp.HardwareID(got.HW)
	}
	got.Grant = got.Term
	*b = got
	return nil
}
