package router

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"leasehold/dhcp"
	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/link"
	"leasehold/firmware/ring"
	"leasehold/firmware/status"
)

// A house is a router in a bubble. Its ports are channels, its flash is memory
// and its clock is the bubble's; everything that it does to the outside stands
// in one list, in the order in which it was done.
type house struct {
	*testing.T
	flash *chip
	log   *notebook

	mu        sync.Mutex
	done      []string         // what the router did since the test last looked
	ports     map[string]*port // that are open now, by device
	opened    map[string]int   // how often, by device
	missing   map[string]bool  // devices that are not there
	born      map[string]int   // how often a device came, beside those that were there at first
	birth     chan struct{}    // closed when one comes
	pages     map[netip.AddrPort]*lobby
	inUse     map[netip.Addr]dhcp.HWAddr          // what a probe finds
	announced []netip.Addr                        // by the WAN side, since the test last looked
	macs      map[string][6]byte                  // that ports were given
	guards    map[netip.Addr]func(by dhcp.HWAddr) // who listens for claims of what
	carrier   func(link.Carrier)                  // tells the WAN side; nil: it does not listen
	plug      link.Carrier                        // what it was told last
	cfg       config.Config
	problems  []config.Problem
	words     string                              // the last of the router before
	breaks    map[string]func()                   // called by the platform function of that name; may panic
	isp       func(dhcp.Datagram) []dhcp.Datagram // answers what the WAN port sends

	lose        func() // tells the WAN side that something was taken from its port
	taken       bool   // something was, and was not put back
	routesErr   error  // of setUplink
	scriptHangs bool   // until it is killed

	reload chan struct{}
	stop   context.CancelFunc
	ended  chan error
}

const (
	lanDev = "br-lan"
	wanDev = "wan"
)

var wanHW = dhcp.HWAddr{2, 0, 0, 0, 0xff, 1}

// build returns a house in which nothing runs yet.
func build(t *testing.T) *house {
	h := &house{
		T: t, flash: &chip{}, log: &notebook{},
		ports: map[string]*port{}, opened: map[string]int{}, missing: map[string]bool{},
		born: map[string]int{}, birth: make(chan struct{}),
		pages: map[netip.AddrPort]*lobby{}, inUse: map[netip.Addr]dhcp.HWAddr{},
		guards: map[netip.Addr]func(dhcp.HWAddr){}, macs: map[string][6]byte{},
		cfg: config.Default(), breaks: map[string]func(){},
	}
	h.cfg.WAN.Enabled = false
	h.cfg.LAN.Probe = false // but where that is tested
	h.flash.did = h.did
	h.put(ring.Entry{Key: CalmKey, Value: []byte{}}) // it has been in use
	h.done = nil
	return h
}

// live runs a test in a house in a bubble, and power fails at its end.
func live(t *testing.T, test func(h *house)) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		test(h)
		if h.stop != nil {
			h.powerOff()
		}
		time.Sleep(time.Second) // for a last probe
	})
}

// boot starts the router.
func (h *house) boot() {
	h.Helper()
	ctx, cancel := context.WithCancel(h.Context())
	h.stop, h.reload, h.ended = cancel, make(chan struct{}), make(chan error, 1)
	ended, reload := h.ended, h.reload
	go func() {
		ended <- run(ctx, Options{
			Version: "test",
			Log:     h.logger(),
			Load: func() (config.Config, []config.Problem) {
				h.breakable("load")
				h.mu.Lock()
				defer h.mu.Unlock()
				return h.cfg, h.problems
			},
			Reload:    reload,
			LastWords: h.words,
		}, h.platform())
	}()
	synctest.Wait()
}

func (h *house) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// powerOff ends the router and returns what Run returned.
func (h *house) powerOff() error {
	h.stop()
	err := <-h.ended
	h.stop = nil
	synctest.Wait()
	return err
}

// configure changes the configuration and has it read.
func (h *house) configure(change func(*config.Config)) {
	h.mu.Lock()
	change(&h.cfg)
	h.mu.Unlock()
	h.reload <- struct{}{}
	synctest.Wait()
}

func (h *house) did(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, fmt.Sprintf(format, args...))
}

// look returns what was done since the last look, but for what begins with one
// of the words.
func (h *house) look(but ...string) []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	done := slices.DeleteFunc(h.done, func(s string) bool {
		return slices.ContainsFunc(but, func(word string) bool { return strings.HasPrefix(s, word) })
	})
	h.done = nil
	// How many programs it takes is the ring's affair.
	return slices.CompactFunc(done, func(a, b string) bool { return a == b && a == "program" })
}

// wants fails unless exactly this was done since the last look.
func (h *house) wants(want ...string) {
	h.Helper()
	if got := h.look(); !slices.Equal(got, want) {
		h.Errorf("the router did\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (h *house) logged(want string) {
	h.Helper()
	synctest.Wait()
	if got := h.log.String(); !strings.Contains(got, want) {
		h.Errorf("the log has no %q:\n%s", want, got)
	}
}

// awaits lets time pass until the log has it.
func (h *house) awaits(want string) {
	h.Helper()
	for range 36000 {
		synctest.Wait()
		if strings.Contains(h.log.String(), want) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	h.Fatalf("for an hour the log has no %q:\n%s", want, h.log)
}

func (h *house) notLogged(bad string) {
	h.Helper()
	synctest.Wait()
	if got := h.log.String(); strings.Contains(got, bad) {
		h.Errorf("the log has %q:\n%s", bad, got)
	}
}

// breakable lets a test make a function of the platform panic.
func (h *house) breakable(name string) {
	h.mu.Lock()
	f := h.breaks[name]
	h.mu.Unlock()
	if f != nil {
		f()
	}
}

// onceIn makes a function of the platform panic the next time.
func (h *house) onceIn(name string) {
	h.breakIn(name, func() {
		h.breakIn(name, nil)
		panic(name + " broke")
	})
}

func (h *house) breakIn(name string, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.breaks[name] = f
}

func (h *house) find(device string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.missing[device] {
		return fmt.Errorf("interface %s: no such network interface", device)
	}
	return nil
}

// setMissing takes a device away, or has one of that name come.
func (h *house) setMissing(device string, missing bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing[device] = missing
	if !missing {
		h.born[device]++
		close(h.birth)
		h.birth = make(chan struct{})
	}
}

func (h *house) present(device string) (p link.Presence) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.missing[device] {
		p.Port = 1 + h.born[device]
	}
	if parent, _, vlan := strings.Cut(device, "."); vlan && !h.missing[parent] {
		p.Parent = 1 + h.born[parent]
	}
	return p
}

func (h *house) awaitPort(ctx context.Context, device string, was link.Presence) error {
	for {
		h.mu.Lock()
		birth := h.birth
		h.mu.Unlock()
		is := h.present(device)
		if is.Port != 0 && is.Port != was.Port || is.Parent != 0 && is.Parent != was.Parent {
			return nil
		}
		select {
		case <-birth:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *house) platform() platform {
	return platform{
		openRing: func(flash.Place, int64) (device, error) { return h.flash, h.flash.refuses() },
		readRing: func(flash.Place) (device, error) {
			if err := h.flash.refuses(); !errors.Is(err, syscall.EROFS) {
				return nil, cmp.Or(err, errors.New("there is no need to"))
			}
			return h.flash, nil
		},
		listenPage: h.listenPage,
		listen:     h.listen,
		probe: func(_ string, _, a netip.Addr) (dhcp.HWAddr, error) {
			time.Sleep(400 * time.Millisecond)
			h.breakable("probe")
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.inUse[a], nil
		},
		announce: func(_ string, a netip.Addr) error {
			h.breakable("announce")
			h.mu.Lock()
			defer h.mu.Unlock()
			h.announced = append(h.announced, a)
			return nil
		},
		guard:     h.guard,
		present:   h.present,
		awaitPort: h.awaitPort,
		addVLAN: func(device string) error {
			parent, _, _ := strings.Cut(device, ".")
			if err := h.find(parent); err != nil {
				return err
			}
			if h.find(device) != nil {
				h.did("%s is made", device)
				h.setMissing(device, false)
			}
			return nil
		},
		mapPriority: func(device string, priority, tag int) error {
			h.did("%s has priority %d in tag %d", device, priority, tag)
			return nil
		},
		cloneMAC: func(device string, mac [6]byte) ([6]byte, error) {
			h.mu.Lock()
			had, cloned := h.macs[device]
			if h.macs[device] = mac; !cloned {
				had = wanHW
			}
			h.mu.Unlock()
			if had != mac {
				h.did("%s is %v", device, dhcp.HWAddr(mac))
			}
			return had, h.find(device)
		},
		permanentMAC: func(string) ([6]byte, error) { return wanHW, nil },
		up:           func(device string) error { return h.find(device) },
		replug: func(device string) error {
			h.did("%s is replugged", device)
			return h.find(device)
		},
		addAddr: func(device string, a netip.Prefix) error {
			h.breakable("addAddr")
			if err := h.find(device); err != nil {
				return err
			}
			h.did("%s has %v", device, a)
			return nil
		},
		removeAddr: func(device string, a netip.Prefix) error {
			h.did("%s loses %v", device, a)
			return h.find(device)
		},
		setUplink: func(device string, u link.Uplink) error {
			h.breakable("setUplink")
			h.did("%s", uplinkText(device, u))
			h.take(false)
			return cmp.Or(h.find(device), h.routesErr)
		},
		clearUplink: func(device string) error {
			h.did("%s is down", device)
			return nil
		},
		hasUplink: func(_ string, u link.Uplink) (bool, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return !h.taken && (h.routesErr == nil || len(u.Routes) == 0), nil
		},
		watchUplink:  h.watchUplink,
		watchCarrier: h.watchCarrier,
		memory:       func() status.Memory { return status.Memory{Resident: 5_000_000, Free: 30_000_000} },
		runScript:    h.runScript,
		writeResolver: func(path string, dns []netip.Addr, search []string) error {
			h.did("%s: %v %s", path, dns, strings.Join(search, " "))
			return nil
		},
	}
}

// runScript writes down an event with the variables that are there.
func (h *house) runScript(ctx context.Context, path, what string, env []string) (string, error) {
	h.breakable("script")
	vars := slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	h.did("script %s %s %s", path, what, strings.Join(vars, " "))
	h.mu.Lock()
	hangs := h.scriptHangs
	h.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return "", errors.New("signal: killed")
	}
	return "told\n", nil
}

// uplinkText is "wan is 203.0.113.7/24 by 203.0.113.1 metric 0", with what else
// there is.
func uplinkText(device string, u link.Uplink) string {
	var gateway netip.Addr
	var more string
	for _, r := range u.Routes {
		if r.To.Bits() == 0 {
			gateway = r.Via
		} else {
			more += fmt.Sprintf(", %v by %v", r.To, r.Via)
		}
	}
	if u.MTU != 0 {
		more += fmt.Sprintf(", MTU %d", u.MTU)
	}
	return fmt.Sprintf("%s is %v by %v metric %d%s", device, u.Addr, gateway, u.Metric, more)
}

func (h *house) watchCarrier(ctx context.Context, _ string, changed func(link.Carrier)) error {
	h.breakable("watchCarrier")
	h.mu.Lock()
	h.carrier = changed
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	h.carrier = nil
	h.mu.Unlock()
	return ctx.Err()
}

func (h *house) watchUplink(ctx context.Context, _ string, lost func()) error {
	h.breakable("watchUplink")
	h.mu.Lock()
	h.lose = lost
	h.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// take has another program take something from the WAN port, or put it back.
func (h *house) take(taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = taken
}

// touched tells the WAN side that something was taken from its port.
func (h *house) touched() {
	h.mu.Lock()
	lose := h.lose
	h.mu.Unlock()
	lose()
	synctest.Wait()
}

func (h *house) guard(ctx context.Context, _ string, a netip.Addr, claimed func(dhcp.HWAddr)) error {
	h.breakable("guard")
	h.mu.Lock()
	h.guards[a] = claimed
	h.mu.Unlock()
	<-ctx.Done()
	h.mu.Lock()
	delete(h.guards, a)
	h.mu.Unlock()
	return ctx.Err()
}

// claim has a stranger say that a is his.
func (h *house) claim(a netip.Addr) {
	h.Helper()
	synctest.Wait()
	h.mu.Lock()
	tell := h.guards[a]
	h.mu.Unlock()
	if tell == nil {
		h.Fatalf("nobody guards %v", a)
	}
	tell(dhcp.HWAddr{2, 0, 0, 0, 0xee, 9})
	synctest.Wait()
}

// announcements returns what was announced since the test last looked.
func (h *house) announcements() []netip.Addr {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.announced
	h.announced = nil
	return all
}

// A port is one opening of a device.
type port struct {
	h      *house
	device string
	number uint16
	in     chan dhcp.Datagram
	out    []dhcp.Datagram // under h.mu
	broken chan error
	closed chan struct{}
	drops  uint64
	seeks  []dhcp.Datagram // what was sent to find other servers; under h.mu

	sendErr error
}

func (h *house) listen(device string, number uint16) (conn, error) {
	if err := h.find(device); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ports[device] != nil {
		return nil, fmt.Errorf("UDP port %d on %s: another DHCP program has it", number, device)
	}
	p := &port{
		h: h, device: device, number: number, in: make(chan dhcp.Datagram, 4096),
		broken: make(chan error), closed: make(chan struct{}),
	}
	h.ports[device] = p
	h.opened[device]++
	return p, nil
}

func (p *port) Receive() (dhcp.Datagram, error) {
	p.h.breakable("receive " + p.device)
	select {
	case d := <-p.in:
		p.h.breakable("parse " + p.device)
		return d, nil
	case err := <-p.broken:
		return dhcp.Datagram{}, err
	case <-p.closed:
		return dhcp.Datagram{}, net.ErrClosed
	}
}

func (p *port) Send(d dhcp.Datagram) error {
	p.h.breakable("send " + p.device)
	if p.sendErr != nil {
		return p.sendErr
	}
	if p.number == dhcp.ServerPort && d.Msg.OpCode == dhcpv4.OpcodeBootRequest {
		p.h.mu.Lock()
		defer p.h.mu.Unlock()
		p.seeks = append(p.seeks, d)
		return nil
	}
	p.h.did("%s: %s", p.device, say(d))
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.out = append(p.out, d)
	if p.device == wanDev && p.h.isp != nil {
		for _, answer := range p.h.isp(d) {
			p.in <- answer
		}
	}
	return nil
}

func (p *port) HW() dhcp.HWAddr {
	if p.number == dhcp.ClientPort {
		return wanHW
	}
	return dhcp.HWAddr{2, 0, 0, 0, 0xfe, p.device[len(p.device)-1]}
}

func (p *port) Drops() uint64   { return p.drops }
func (p *port) Refused() uint64 { return p.drops / 2 }

func (p *port) SetPriority(n int) error {
	p.h.did("%s sends with priority %d", p.device, n)
	return nil
}

func (p *port) Close() error {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if p.h.ports[p.device] == p {
		delete(p.h.ports, p.device)
		close(p.closed)
	}
	return nil
}

// say is a datagram in a few words: "ACK 192.168.1.100".
func say(d dhcp.Datagram) string {
	words := []string{d.Msg.MessageType().String()}
	if a := dhcp.Addr(d.Msg.YourIPAddr); !a.IsUnspecified() {
		words = append(words, a.String())
	}
	if a := dhcp.Addr(d.Msg.RequestedIPAddress()); !a.IsUnspecified() {
		words = append(words, "requested", a.String())
	}
	if a := dhcp.Addr(d.Msg.ClientIPAddr); !a.IsUnspecified() {
		words = append(words, "ciaddr", a.String())
	}
	return strings.Join(words, " ")
}

// port returns what is open on a device now.
func (h *house) port(device string) *port {
	h.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.ports[device]
	if p == nil {
		h.Fatalf("nobody listens on %s:\n%s", device, h.log)
	}
	return p
}

// openings returns how often a device was opened so far.
func (h *house) openings(device string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened[device]
}

// sent returns what went out of a device since it was last asked for.
func (h *house) sent(device string) []dhcp.Datagram {
	h.Helper()
	synctest.Wait()
	p := h.port(device)
	h.mu.Lock()
	defer h.mu.Unlock()
	out := p.out
	p.out = nil
	return out
}

// cable tells the WAN side that its cable is in, or out.
func (h *house) cable(in bool) {
	h.Helper()
	if h.plug.Up && !in {
		h.plug.Lost++
	}
	h.plug.Up = in
	h.tellCarrier()
}

// blink pulls the cable for so short a time that it is in when the word comes.
func (h *house) blink() {
	h.Helper()
	h.plug.Lost++
	h.tellCarrier()
}

func (h *house) tellCarrier() {
	h.Helper()
	h.mu.Lock()
	tell := h.carrier
	h.mu.Unlock()
	if tell == nil {
		h.Fatal("nobody watches the carrier")
	}
	tell(h.plug)
	synctest.Wait()
}

// A lobby is a page's listener, whose connections are pipes.
type lobby struct {
	h      *house
	at     netip.AddrPort
	conns  chan net.Conn
	closed chan struct{}
}

func (h *house) listenPage(at netip.AddrPort) (net.Listener, error) {
	h.breakable("listenPage")
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &lobby{h, at, make(chan net.Conn), make(chan struct{})}
	h.pages[at] = l
	return l, nil
}

func (l *lobby) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *lobby) Close() error {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if l.h.pages[l.at] == l {
		delete(l.h.pages, l.at)
		close(l.closed)
	}
	return nil
}

func (l *lobby) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// A visit is a connection from an address.
type visit struct {
	net.Conn
	from netip.AddrPort
}

func (v visit) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(v.from) }

// page fetches the status page from where it is now, after what happened has
// got there.
func (h *house) page() string {
	h.Helper()
	return h.pageSeenFrom(h.cfg.LAN.Addr.Addr().Next())
}

func (h *house) pageSeenFrom(visitorAddr netip.Addr) string {
	h.Helper()
	return h.fetch("/", visitorAddr)
}

// pageAt fetches another page than the first.
func (h *house) pageAt(path string) string {
	h.Helper()
	return h.fetch(path, h.cfg.LAN.Addr.Addr().Next())
}

func (h *house) fetch(path string, visitorAddr netip.Addr) string {
	h.Helper()
	time.Sleep(publishEvery)
	synctest.Wait()
	h.mu.Lock()
	if len(h.pages) != 1 {
		h.mu.Unlock()
		h.Fatalf("there are %d pages:\n%s", len(h.pages), h.log)
	}
	var l *lobby
	for _, l = range h.pages {
	}
	h.mu.Unlock()
	visitor, host := net.Pipe()
	defer visitor.Close()
	l.conns <- visit{host, netip.AddrPortFrom(visitorAddr, 50000)}
	visitor.Write([]byte("GET " + path + " HTTP/1.0\r\n\r\n"))
	var b bytes.Buffer
	b.ReadFrom(visitor)
	return b.String()
}

func (h *house) pageHas(want string) {
	h.Helper()
	if page := h.page(); !strings.Contains(page, want) {
		h.Errorf("the page has no %q:\n%s", want, page[strings.Index(page, "<main>"):])
	}
}

// A chip is flash in memory, which may fail.
type chip struct {
	did     func(format string, args ...any)
	openErr error

	mu         sync.Mutex
	octets     []byte
	fail       error         // of Program and Erase
	slow       time.Duration // that Program takes
	programmed int           // octets
	programs   int
	erases     int // tried
}

const (
	chipBlock  = 4 << 10
	chipBlocks = 64
)

func (c *chip) BlockSize() int { return chipBlock }
func (c *chip) Blocks() int    { return chipBlocks }
func (c *chip) Close() error   { return nil }

func (c *chip) cells() []byte {
	if c.octets == nil {
		c.octets = bytes.Repeat([]byte{0xff}, chipBlock*chipBlocks)
	}
	return c.octets
}

func (c *chip) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return copy(p, c.cells()[off:]), nil
}

func (c *chip) Program(p []byte, off int64) error {
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	for i, b := range p {
		c.cells()[off+int64(i)] &= b
	}
	c.programmed += len(p)
	c.programs++
	c.did("program")
	return nil
}

func (c *chip) Erase(block int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erases++
	if c.fail != nil {
		return c.fail
	}
	copy(c.cells()[block*chipBlock:], bytes.Repeat([]byte{0xff}, chipBlock))
	return nil
}

// refuses is why the chip cannot be opened.
func (c *chip) refuses() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.openErr
}

// appear has the chip opened from now on.
func (c *chip) appear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.openErr = nil
}

// breakDown makes every change fail until mend.
func (c *chip) breakDown() { c.set(errors.New("input/output error")) }
func (c *chip) mend()      { c.set(nil) }

func (c *chip) set(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// wear returns how many octets were programmed so far.
func (c *chip) wear() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.programmed
}

// count returns how often something was programmed.
func (c *chip) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.programs
}

// erased returns how many erases were tried.
func (c *chip) erased() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.erases
}

// A notebook is a log that can be read while it is written.
type notebook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}
