// Package config is what the owner of the router wrote, checked: UCI text in,
// a Config that can be acted upon out, with a list of what was left aside.
//
// It opens no file, knows no DHCP engine and applies nothing. A bad entry
// spoils only itself: the default stays in force and a [Problem] names the
// line. There is no text for which [Parse] has no usable Config.
//
// The syntax and the names are OpenWrt's, so /etc/config/network followed by
// /etc/config/dhcp is a legal file. Sections that are not ours, and options of
// OpenWrt that have no effect here, are warnings; a misspelt option is not.
//
//	config interface 'lan'
//		option device 'br-lan'
//		option proto 'static'             # the only one for the LAN
//		list ipaddr '192.168.1.1/24'      # or option ipaddr and option netmask
//		list dns '9.9.9.9'                # for clients, if there is no dhcp_option 6
//		option renumber '0'               # 1: move to another private network where the
//		                                  # provider's is the same, and stay there
//
//	config interface 'wan'
//		option device 'wan'               # or a VLAN such as eth0.35, which is made
//		option proto 'dhcp'               # or none: leave the port alone
//		option hostname 'router'          # sent to the provider; default: none
//		option clientid '01020304aabb'    # hex, duid (RFC 4361) or none; default: by the
//		                                  # MAC address, by which most providers know us
//		option vendorid 'leasehold'       # vendor class; default: none
//		list sendopts '77:0662696c6c7573' # any option in hex, here the user class, or
//		list sendopts '0x0c:"router"'     # as text; 90 is what some providers log in by
//		list reqopts '43'                 # also asked for, by number or udhcpc's name
//		option defaultreqopts '1'         # 0: ask only for reqopts
//		option classlessroute '1'         # 0: neither ask for routes (121, 249) nor use them
//		option broadcast '0'              # 1: ask for broadcast answers
//		list reject '192.168.100.0/24'    # do not listen to a cable modem without a line:
//		                                  # a network that addresses or servers are in
//		list accept '203.0.113.0/24'      # listen to nothing else; default: to all
//		option defaultroute '1'           # 0: leave the provider's default route out
//		option norelease '1'              # 0: give the lease back on shutdown
//		option peerdns '1'                # 0: do not use the provider's resolvers
//		list dns '9.9.9.9'                # resolvers, before the provider's
//		option metric '0'                 # of the routes
//		option macaddr '02:00:5e:00:01:09' # instead of the port's own
//		option skpriority '6'             # of DHCP messages: 0 to 7, on a VLAN in its tag too
//		option script '/etc/wan.script'   # called as udhcpc's is, with bound, renew, nak,
//		                                  # deconfig or leasefail, and as zcip's with config
//		                                  # of a link-local address; beside what we set up
//
//	config device                             # of the WAN port
//		option name 'wan'
//		list egress_qos_mapping '0:1'     # on a VLAN: the priority in its tag, by that
//		                                  # of the socket; 0 is all that has none
//
//	config dhcp 'lan'
//		option interface 'lan'
//		option start '100'                # counted from the network address:
//		option limit '150'                # 100 and 150 are .100 to .249
//		option leasetime '12h'            # s, m, h, d, w; plain seconds; infinite
//		option dynamicdhcp '1'            # 0: serve the hosts below only
//		option ignore '0'                 # 1: do not serve; dhcpv4 'disabled' too
//		list tag 'home'                   # its clients have, as they have tag lan
//		option bootp_dynamic '0'          # 1: BOOTP clients get addresses, for ever
//		list dhcp_option '6,1.1.1.1,9.9.9.9'
//		list dhcp_option 'option:ntp-server,0.0.0.0'
//		list dhcp_option_force '252,"\n"' # also to who does not ask for it
//
//	config interface 'guest'                  # any name: one more network, which is
//		option device 'br-guest'          # served if it has a config dhcp too; no
//		option proto 'static'             # two share a device or addresses, and none
//		list ipaddr '192.168.2.1/24'      # is on the WAN port
//
//	config dhcp 'guest'                       # as for the LAN
//		option interface 'guest'
//		option leasetime '1h'
//
//	config dhcp 'office'                      # a network behind DHCP relay agents: it
//		option subnet '10.9.0.0/24'       # has no config interface. The agents send
//		option interface 'lan'            # to our address on this one
//		option start '100'
//		option limit '100'
//		list dhcp_option '3,10.9.0.1'     # default: the relay agent's address
//
//	config host                               # known by one of mac, clientid, duid and
//		option name 'printer'             # circuitid, else by its name
//		list mac '00:11:22:33:44:55'      # several: one card each, never at once;
//		                                  # 00:11:22:*:*:* is any card of a kind
//		list clientid '00:61:62'          # option 61, with its type
//		list duid '000300010011223344aa'  # in an option 61 of type 255 (RFC 4361)
//		list circuitid 'eth0/1'           # the port that a relay agent names
//		list match_tag 'office'           # only with this tag; alone: by this tag
//		option ip '192.168.1.20'          # or ignore: never answer this machine
//		option leasetime 'infinite'
//		option broadcast '0'              # 1: it hears no unicast before it is bound
//		list tag 'office'                 # as below
//		list dhcp_option '6,10.0.0.53'    # for it alone
//
//	config tag 'office'                       # for machines with this tag
//		option force '0'                  # 1: as dhcp_option_force
//		list dhcp_option '6,10.0.0.53'
//
//	config vendorclass                        # who has the tag: by a part of option 60;
//		option networkid 'office'         # so too userclass (77), match (any option:
//		option vendorclass 'MSFT'         # '93,7'), mac ('00:11:22:*:*:*'), and of a
//		list dhcp_option '44,10.0.0.1'    # relay agent circuitid, remoteid, subscrid
//
//	config boot                               # what is booted from, and where it is
//		option networkid 'office'         # who has the tag; default: everybody
//		option filename 'pxelinux.0'
//		option servername 'tftp'
//		option serveraddress '192.168.1.5'
//
//	config dnsmasq                            # for all networks
//		option domain 'lan'
//		option authoritative '1'          # 0: other servers may serve this LAN
//		option noping '0'                 # 1: do not ask by ARP who uses an address before
//		                                  # it is offered to a client that is new to it
//		option sequential_ip '0'          # 1: one address after the other, not by identity
//		option rapidcommit '0'            # 1: a lease at once for who asks so (RFC 4039)
//		option readethers '0'             # 1: hosts of /etc/ethers too
//
//	config leasehold                          # what OpenWrt has no name for
//		option ring '/etc/leasehold.ring' # where leases survive a power cut: a plain
//		                                  # file, mtd:NAME (a partition) or /dev/mtdN
//		option at_end '0'                 # 256k: only so much at the partition's end
//		option flash_cycles '10000'       # erases that the flash stands, and how long
//		option flash_years '10'           # it shall last: that bounds what is written
//		option page_port '80'             # of the status page; 0: no page
//		option resolv_file '/tmp/resolv.conf'
//
// DHCP options are written as dnsmasq has them: tag:NAME,... (those that a client
// must have; !NAME: must not), then vendor:CLASS, (inside option 43, for clients
// with that vendor class) or encap:CODE, (inside option CODE), then the number,
// or option: and its name, and the value. What values look like follows from the
// number: addresses (0.0.0.0 means the router), a number, a time, domain names
// (119), NETWORK/BITS,ROUTER,... (121), text. Where the number says nothing, the
// looks decide: addresses, 01:ab:ff or 0x01abff, a number (of one, two or four
// octets with b, s or i behind it), and text, also "in quotes". No value means
// that the option is not sent, "" that it is sent without one. Lists that are
// repeated add up; of other options that of the host counts before that of the
// most tags, and the later before the earlier. Every client has the tag of its
// network's name, hosts have the tag known, BOOTP clients bootp.
//
// Options repeated in a section override earlier ones and an empty value is no
// value, as in OpenWrt. Unlike there, the LAN is served and the WAN port is a
// client without being asked to, and the lease is given back on shutdown only
// when asked to.
package config

import (
	"net/netip"
	"strings"
	"time"
)

// Infinite is the lease time that never ends, as it stands in option 51.
const Infinite = 0xffffffff * time.Second

// Bounds of all other lease times. Below ten seconds a household does nothing
// but renew.
const (
	MinLeaseTime = 10 * time.Second
	MaxLeaseTime = Infinite - time.Second
)

// MaxPool is how many addresses a pool may have: a /16.
const MaxPool = 1 << 16

// A Config is everything leasehold is told. Its parts agree with each other.
type Config struct {
	LAN        LAN
	Others     []LAN // each after the one that it is Via; no name, device or address twice, and none on the WAN port
	WAN        WAN
	Hosts      []Host // in the order of the text; no address and no mark twice
	Clients    Clients
	ReadEthers bool // AddEthers is to be given EthersFile
	Ring       Ring
	Page       Page
}

// Networks returns all networks that we serve, the LAN first.
func (c Config) Networks() []LAN { return append([]LAN{c.LAN}, c.Others...) }

// LAN is a network we serve.
type LAN struct {
	Name          string        // of its sections: lan, guest
	Device        string        // bridge or port, such as br-lan; empty: it is behind relay agents
	Via           string        // behind relay agents: the network that those are on
	Carrier       netip.Addr    // behind relay agents: our own address on that one
	Addr          netip.Prefix  // our own address, not masked: 192.168.1.1/24; /8 to /30; behind relay agents: masked
	First, Last   netip.Addr    // pool, inside the network; may enclose our own address
	LeaseTime     time.Duration // MinLeaseTime to MaxLeaseTime, or Infinite
	Domain        string        // option 15; empty: not sent
	Gateways      []netip.Addr  // option 3; default our own address; empty: not sent, or the relay agent's
	DNS           []netip.Addr  // option 6; empty: whatever resolvers the WAN has
	NoDNS         bool          // option 6 is not sent; DNS is empty then
	Serve         bool          // false: answer nobody
	StaticOnly    bool          // answer only machines in Hosts
	Authoritative bool          // NAK what is wrong even if we never gave it
	Probe         bool          // ask who uses an address before a new client gets it
	Sequential    bool          // new clients get one address after the other
	BOOTP         bool          // BOOTP clients get addresses from the pool, for ever
	Tags          []string      // that its clients have, besides its name
	Options       []DHCPOption  // the later ones count where there are two for one client
	Renumber      bool          // Move it where it is in the provider's way
	MovedFrom     netip.Prefix  // where it is configured to be; invalid: where it is
}

// WAN is the port towards the provider.
type WAN struct {
	Enabled     bool             // false: leave the port alone; it is not LAN.Device if true
	Device      string           // port or VLAN, such as wan or eth0.2
	Hostname    string           // option 12; empty: not sent
	ClientID    []byte           // option 61 with its type byte, 2 to 255 bytes; nil: by MAC; empty: not sent
	ClientDUID  bool             // option 61 as RFC 4361 has it; ClientID is nil then
	VendorID    string           // option 60; empty: not sent
	Send        map[uint8][]byte // more options, in place of the above where they are the same
	Request     []byte           // options to ask for, beside the usual ones
	RequestOnly bool             // in place of these
	NoClassless bool             // do without the routes of options 121 and 249
	NoDefault   bool             // leave the provider's default route out
	Accept      []netip.Prefix   // masked; where addresses or servers must be; empty: anywhere
	Reject      []netip.Prefix   // masked; where neither may be
	Broadcast   bool             // set the broadcast flag
	Release     bool             // RELEASE on orderly shutdown
	PeerDNS     bool             // use the resolvers the provider names
	DNS         []netip.Addr
	Metric      int    // of the routes
	ResolvFile  string // absolute path of the resolver file to write

	MAC      [6]byte // that the port is to have; zero: its own
	Priority int     // of the sockets that DHCP is sent from, 0 to 7
	Tags     []Tag   // where the port is a VLAN
	Script   string  // absolute path of what is run at every change; empty: nothing
}

// A Host is a machine that the owner knows by any of its marks.
type Host struct {
	Name      string // LDH labels; may be empty
	MACs      [][6]byte
	Patterns  []MACPattern
	ClientIDs [][]byte // option 61 with its type byte
	DUIDs     [][]byte // of a client identifier as in RFC 4361
	Circuits  [][]byte // where a relay agent says that it is plugged in
	ByName    bool     // known by what it calls itself, and by nothing else
	Need      []string // tags that it has; one that begins with ! it must not have

	Addr      netip.Addr    // in one of the networks, not ours; invalid: any from the pool
	Ignore    bool          // never answer it; Addr is invalid then
	LeaseTime time.Duration // 0: that of the LAN
	Broadcast bool          // it hears nothing but broadcast
	Tags      []string      // that it gets
	Options   []DHCPOption
	Line      int // where it was written; for messages only
}

// Ring is where leases are kept.
type Ring struct {
	Path   string // absolute, or mtd: and the name of a partition; empty: it could not be understood where
	AtEnd  int64  // octets at the end of the partition; 0: all of it, and always for a plain file
	Cycles int    // erases that the flash stands
	Years  int    // that it shall last
}

// OnMTD reports whether the ring is on an MTD partition, not in a plain file.
func (r Ring) OnMTD() bool {
	return strings.HasPrefix(r.Path, mtdName) || strings.HasPrefix(r.Path, mtdNode)
}

const (
	mtdName = "mtd:"
	mtdNode = "/dev/mtd"
)

// Page is the status page on the LAN address.
type Page struct {
	Port uint16 // TCP; 0: no page
}

// The networks that every router has.
const (
	lanName = "lan"
	wanName = "wan"
)

// Default returns what is in force without a file.
func Default() Config {
	lan := netip.MustParsePrefix("192.168.1.1/24")
	first, last, _ := pool(lan, defaultStart, defaultLimit)
	return Config{
		LAN: LAN{
			Name:          lanName,
			Device:        "br-lan",
			Addr:          lan,
			First:         first,
			Last:          last,
			LeaseTime:     12 * time.Hour,
			Domain:        "lan",
			Gateways:      []netip.Addr{lan.Addr()},
			Serve:         true,
			Authoritative: true,
			Probe:         true,
		},
		WAN: WAN{
			Enabled:    true,
			Device:     "wan",
			PeerDNS:    true,
			ResolvFile: "/tmp/resolv.conf",
		},
		Ring: Ring{Path: "/etc/leasehold.ring", Cycles: 10_000, Years: 10},
		Page: Page{Port: 80},
	}
}

// Parse reads UCI text; name is the file's name in problems. The Config is
// always usable: what is wrong is left out of it and listed, by line.
func Parse(name string, text []byte) (Config, []Problem) {
	sections, problems := ParseUCI(name, text)
	r := reader{Config: Default(), report: &report{name, problems}}
	b := r.assign(sections)
	r.readLAN(b.lan)
	r.readDNSMasq(b.dnsmasq)
	common := r.LAN
	r.readDHCP(b.dhcp)
	r.readPort(b.wan)
	r.readWAN(b.wan)
	r.readDevices(b.devices)
	r.readOthers(b, common)
	r.readLeasehold(b.leasehold)
	for _, blk := range b.clients {
		r.readClients(blk)
	}
	r.readHosts(b.hosts)
	r.sort()
	return r.Config, r.problems
}

// A reader fills in a Config section by section.
type reader struct {
	Config
	*report
}

// blocks are the sections that are ours. Those that were not written are
// empty, not nil, so that reading them leaves the defaults.
type blocks struct {
	lan, wan, dhcp, dnsmasq, leasehold *block
	hosts, clients, devices            []*block
	others                             []*other
	relayed                            []*block
}

// assign finds out which section is what, and says which are nothing to us.
func (r *reader) assign(sections []Section) blocks {
	var b blocks
	for _, s := range merge(sections) {
		blk := newBlock(r.report, s)
		switch {
		case !ourPackage(s.Package):
			r.warn(s.Line, "%s of package %s is not ours", blk, s.Package)
		case s.Type == "interface":
			b.assignInterface(blk)
		case s.Type == "dhcp":
			b.assignDHCP(blk)
		case s.Type == "host":
			b.hosts = append(b.hosts, blk)
		case s.Type == "boot" || isClass(s.Type):
			b.clients = append(b.clients, blk)
		case s.Type == "device":
			b.devices = append(b.devices, blk)
		case s.Type == "dnsmasq":
			b.dnsmasq = once(b.dnsmasq, blk)
		case s.Type == "leasehold":
			b.leasehold = once(b.leasehold, blk)
		default:
			r.warn(s.Line, "%s is not ours", blk)
		}
	}
	for _, p := range []**block{&b.lan, &b.wan, &b.dhcp, &b.dnsmasq, &b.leasehold} {
		if *p == nil {
			*p = newBlock(r.report, Section{})
		}
	}
	return b
}

// ourPackage leaves out those of `uci export` that use our section types for
// something else, such as mwan3.
func ourPackage(name string) bool {
	switch name {
	case "", "network", "dhcp", "leasehold":
		return true
	}
	return false
}

// merge joins sections of the same type and name, as libuci does, keeping the
// place of the first.
func merge(sections []Section) []Section {
	type key struct{ pkg, typ, name string }
	var merged []Section
	at := map[key]int{}
	for _, s := range sections {
		k := key{s.Package, s.Type, s.Name}
		i, known := at[k]
		if s.Name != "" && known {
			merged[i].Options = append(merged[i].Options, s.Options...)
			continue
		}
		at[k] = len(merged)
		merged = append(merged, s)
	}
	return merged
}

func (b *blocks) assignInterface(blk *block) {
	switch blk.Name {
	case lanName:
		b.lan = once(b.lan, blk)
	case wanName:
		b.wan = once(b.wan, blk)
	case "loopback", "wan6":
		// In every OpenWrt file; not worth a word.
	case "":
		blk.warn(blk.Line, "%s has no name", blk)
	default:
		o := b.other(blk.Name)
		o.network = once(o.network, blk)
	}
}

func (b *blocks) assignDHCP(blk *block) {
	if _, relayed := blk.values["subnet"]; relayed {
		b.relayed = append(b.relayed, blk)
		return
	}
	net := blk.Name
	set(blk, "interface", &net, word)
	switch net {
	case lanName:
		b.dhcp = once(b.dhcp, blk)
	case wanName:
		// `ignore 1` in every OpenWrt file; we never serve there.
	default:
		o := b.other(net)
		o.dhcp = once(o.dhcp, blk)
	}
}

// once keeps the first of several sections for the same thing.
func once(first, next *block) *block {
	if first == nil {
		return next
	}
	next.warn(next.Line, "%s: the one in line %d is in force", next, first.Line)
	return first
}
