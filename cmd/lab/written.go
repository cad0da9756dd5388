package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
)

const (
	counted     = 50   // new leases that are counted at a time
	heldLeases  = 1000 // before they are counted for the second time
	renewals    = 100
	writtenTerm = 2 * time.Minute // the shortest that dnsmasq takes: half of it is waited for
)

// A writing is what a server wrote.
type writing struct{ empty, held, renewal tally }

// measureWritten counts what servers write for a lease. They run at the same
// time, since most of that is waiting and nothing of it is timed.
func measureWritten(binary, tmp, apart string) error {
	var rows [servers]string
	var all sync.WaitGroup
	for i := range servers {
		c, err := newCrowd(fmt.Sprintf("w%d", i))
		if err != nil {
			return err
		}
		dir := filepath.Join(tmp, fmt.Sprintf("written%d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		s := c.server(i, binary)
		all.Go(func() { rows[i] = s.row(c, dir, apart) })
	}
	all.Wait()
	fmt.Printf(writtenHead, fmt.Sprintf("%d held", heldLeases))
	for _, r := range rows {
		fmt.Println(r)
	}
	fmt.Printf(writtenLegend, counted, heldLeases, renewals, writtenTerm/time.Second)
	return nil
}

const writtenHead = `              octets per new lease     octets per     writes      syncs    ACK waits
                0 held  %12s        renewal  per lease  per lease          for
`

const writtenLegend = `
octets, writes, syncs: to files of the lease store only, as strace sees the server's calls of write, fsync and fdatasync, and with O_DSYNC
one sync for every write; means over %[1]d new leases from an empty store, over %[1]d more with %[2]d held (writes and syncs are of these), and
over %[3]d renewals, each a REQUEST from ciaddr after half of a lease of %[4]d s; ACK waits for: what was done after the OFFER and before the ACK
later, and not in it: leasehold moves its ring after half a segment of changes, which at most doubles the octets, and erases a segment, which
in a plain file is to write as many octets again; ISC dhcpd and Kea rewrite the file once an hour; udhcpd keeps nothing until it writes the file after auto_time, 7200 s by default, or when told to end
`

func (s server) row(c crowd, dir, apart string) string {
	w, err := s.written(c, dir, apart)
	if err != nil {
		return fmt.Sprintf("%-10s  not measured: %s", s.name, strings.ReplaceAll(err.Error(), "\n", "\n\t"))
	}
	per := func(total, n int) float64 { return float64(total) / float64(n) }
	return fmt.Sprintf("%-10s%12.0f %13.0f %14.0f %10.1f %10.1f %12s", s.name,
		per(w.empty.octets, counted), per(w.held.octets, counted), per(w.renewal.octets, renewals),
		per(w.held.writes, counted), per(w.held.syncs, counted), w.held.awaited())
}

// awaited is what every ACK waited for; or how many waited for a sync, how many
// for a write at least, and how many there were.
func (t tally) awaited() string {
	switch {
	case t.afterSync == t.acks:
		return "sync"
	case t.afterWrite == t.acks && t.afterSync == 0:
		return "write"
	case t.afterWrite == 0:
		return "nothing"
	}
	return fmt.Sprintf("%d/%d/%d", t.afterSync, t.afterWrite, t.acks)
}

// written has clients join one after the other, and the first of them renew.
func (s server) written(c crowd, dir, apart string) (w writing, err error) {
	trace := c.dir + "/strace"
	p, err := s.up(c.load, plan{pool: 2 * heldLeases, term: writtenTerm, store: dir + "/leases", apart: apart, under: straced(trace)}, 1<<24)
	if err != nil {
		return w, err
	}
	defer p.end(syscall.SIGKILL)
	began := time.Now()
	if err := c.join(2*heldLeases, 2*heldLeases+1); err != nil {
		return w, err // the first lease after a start may cost more
	}
	w.empty, err = count(trace, dir, counted, func() error { return c.join(0, counted) })
	if err != nil {
		return w, err
	}
	if err := c.join(counted, heldLeases); err != nil {
		return w, err
	}
	w.held, err = count(trace, dir, counted, func() error { return c.join(heldLeases, heldLeases+counted) })
	if err != nil {
		return w, err
	}
	w.renewal, err = c.renewal(began, trace, dir)
	if err == nil && time.Since(began) > writtenTerm {
		err = errors.New("too slow: leases ended before the measurement did")
	}
	return w, err
}

// renewal has clients renew when half of their lease is over, as they do: ISC
// dhcpd keeps nothing of a renewal in the first quarter.
func (c crowd) renewal(bound time.Time, trace, dir string) (tally, error) {
	addrs, err := c.addrs(renewals)
	if err != nil {
		return tally{}, err
	}
	time.Sleep(time.Until(bound.Add(writtenTerm / 2)))
	return count(trace, dir, renewals, func() error { return c.renew(addrs) })
}

// count tells what a server under strace writes to dir while act has it send a
// number of ACKs.
func count(trace, dir string, acks int, act func() error) (tally, error) {
	before, err := settled(trace)
	if err != nil {
		return tally{}, err
	}
	if err := act(); err != nil {
		return tally{}, err
	}
	after, err := settled(trace)
	if err != nil {
		return tally{}, err
	}
	t := tallyOf(parseCalls(after), strings.Count(before, "\n"), dir)
	if t.acks != acks {
		return t, fmt.Errorf("%d ACKs were sent; want %d", t.acks, acks)
	}
	return t, nil
}

// settled returns what a file holds when it has not grown for a while.
func settled(file string) (string, error) {
	const while = 300 * time.Millisecond
	for size := int64(-1); ; time.Sleep(while) {
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		if info.Size() == size {
			b, err := os.ReadFile(file)
			return string(b), err
		}
		size = info.Size()
	}
}

// join gives leases to the clients from first up to, but not including, end.
func (l *load) join(first, end uint32) error {
	for n := first; n < end; n++ {
		if err := l.exchange(n); err != nil {
			return fmt.Errorf("client %d: %w", n, err)
		}
	}
	return nil
}

// addrs asks for the addresses of the first clients, which are bound: what they
// are offered is "The client's current address as recorded in the client's
// current binding". RFC 2131, section 4.3.1.
func (l *load) addrs(clients uint32) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for n := range clients {
		offer, err := l.ask(message(n, dhcpv4.MessageTypeDiscover))
		if err != nil {
			return nil, fmt.Errorf("client %d: %w", n, err)
		}
		a, _ := netip.AddrFromSlice(offer.YourIPAddr.To4())
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// routerHW is br-lan's address in every network.
var routerHW = dhcp.HWAddr{0x02, 0x00, 0x5e, 0x00, 0x02, 0x01}

// renew has the first clients renew, from their addresses and to the server's.
// What it answers goes where nobody listens.
func (l *load) renew(addrs []netip.Addr) error {
	for n, a := range addrs {
		m := message(uint32(n), dhcpv4.MessageTypeRequest)
		m.Flags, m.ClientIPAddr = 0, a.AsSlice()
		err := l.conn.Send(dhcp.Datagram{
			Msg:  m,
			From: netip.AddrPortFrom(a, dhcp.ClientPort),
			To:   netip.AddrPortFrom(netip.MustParseAddr(routerIP), dhcp.ServerPort),
			HW:   routerHW,
		})
		if err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond) // no queue is to overflow
	}
	return nil
}
