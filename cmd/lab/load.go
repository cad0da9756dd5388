package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sys/unix"

	"leasehold/dhcp"
	"leasehold/dhcp/wire"
)

// A load is a crowd of clients on one card, each with a hardware address of its
// own. They ask for broadcast answers, so that one socket hears them all.
type load struct {
	conn    *wire.Conn
	sending sync.Mutex
	mu      sync.Mutex
	waiting map[dhcpv4.TransactionID]chan *dhcpv4.DHCPv4
}

// newLoad opens the laptop's card in its namespace.
func newLoad(ns string) (*load, error) {
	var conn *wire.Conn
	err := inNamespace(ns, func() (err error) {
		conn, err = wire.Listen("eth0", dhcp.ClientPort)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &load{conn: conn, waiting: map[dhcpv4.TransactionID]chan *dhcpv4.DHCPv4{}}
	go l.receive()
	return l, nil
}

// inNamespace calls f on a thread that is in a network namespace. The thread is
// not used again.
func inNamespace(ns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with us
		fd, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func (l *load) receive() {
	for {
		d, err := l.conn.Receive()
		if bad := (*wire.Malformed)(nil); errors.As(err, &bad) {
			continue
		}
		if err != nil {
			return
		}
		l.mu.Lock()
		ch := l.waiting[d.Msg.TransactionID]
		delete(l.waiting, d.Msg.TransactionID)
		l.mu.Unlock()
		if ch != nil {
			ch <- d.Msg
		}
	}
}

// patienceOfClient is how long a client waits for an answer.
const patienceOfClient = 2 * time.Second

var errNoAnswer = errors.New("no answer")

// ask sends a message and waits for the answer to it.
func (l *load) ask(m *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	ch := make(chan *dhcpv4.DHCPv4, 1)
	l.mu.Lock()
	l.waiting[m.TransactionID] = ch
	l.mu.Unlock()
	if err := l.shout(m); err != nil {
		return nil, err
	}
	t := time.NewTimer(patienceOfClient)
	defer t.Stop()
	select {
	case answer := <-ch:
		return answer, nil
	case <-t.C:
		return nil, errNoAnswer
	}
}

// message is what client number n sends.
func message(n uint32, t dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	hw := net.HardwareAddr{2, 1, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(hw[2:], n)
	m := &dhcpv4.DHCPv4{
		OpCode:       dhcpv4.OpcodeBootRequest,
		HWType:       iana.HWTypeEthernet,
		ClientHWAddr: hw,
		Flags:        0x8000,
		Options: dhcpv4.OptionsFromList(
			dhcpv4.OptMessageType(t),
			dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer),
			dhcpv4.OptHostName(fmt.Sprintf("client-%d", n)),
		),
	}
	binary.BigEndian.PutUint32(m.TransactionID[:], n<<1|uint32(t>>1))
	return m
}

// exchange has client n get an address from nothing: DISCOVER to ACK.
func (l *load) exchange(n uint32) error {
	offer, err := l.ask(message(n, dhcpv4.MessageTypeDiscover))
	if err != nil {
		return err
	}
	request := message(n, dhcpv4.MessageTypeRequest)
	request.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
	request.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
	ack, err := l.ask(request)
	if err != nil {
		return err
	}
	if ack.MessageType() != dhcpv4.MessageTypeAck {
		return fmt.Errorf("client %d heard %v", n, ack.MessageType())
	}
	return nil
}

// A rate is what came of a closed loop.
type rate struct {
	perSecond float64
	p50, p99  time.Duration
	lost      int
}

// run has clients first, first+1, … join, so many at a time, until the time is
// over.
func (l *load) run(first uint32, atOnce int, d time.Duration) rate {
	var mu sync.Mutex
	var took []time.Duration
	next, lost := first, 0
	began := time.Now()
	var crowd sync.WaitGroup
	for range atOnce {
		crowd.Go(func() {
			for time.Since(began) < d {
				mu.Lock()
				n := next
				next++
				mu.Unlock()
				start := time.Now()
				err := l.exchange(n)
				mu.Lock()
				if err != nil {
					lost++
				} else {
					took = append(took, time.Since(start))
				}
				mu.Unlock()
			}
		})
	}
	crowd.Wait()
	r := rate{perSecond: float64(len(took)) / time.Since(began).Seconds(), lost: lost}
	if slices.Sort(took); len(took) > 0 {
		r.p50, r.p99 = took[len(took)/2], took[len(took)*99/100]
	}
	return r
}

// firstOffer sends a DISCOVER every two milliseconds, each of another client,
// until one of them is answered.
func (l *load) firstOffer(first uint32) error {
	answered := make(chan struct{}, 1)
	deadline := time.After(patience)
	every := time.NewTicker(2 * time.Millisecond)
	defer every.Stop()
	for n := first; ; n++ {
		go func() {
			if _, err := l.ask(message(n, dhcpv4.MessageTypeDiscover)); err == nil {
				select {
				case answered <- struct{}{}:
				default:
				}
			}
		}()
		select {
		case <-answered:
			return nil
		case <-deadline:
			return errNoAnswer
		case <-every.C:
		}
	}
}

// shout sends a message to everybody and waits for nothing.
func (l *load) shout(m *dhcpv4.DHCPv4) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	return l.conn.Send(dhcp.Datagram{
		Msg:  m,
		From: netip.AddrPortFrom(netip.IPv4Unspecified(), dhcp.ClientPort),
		To:   netip.AddrPortFrom(dhcp.Broadcast, dhcp.ServerPort),
		HW:   dhcp.BroadcastHW,
	})
}
