package config

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A DHCPOption is what clients are to be sent, of a network, a host or a tag.
type DHCPOption struct {
	Tags   []string // that a client has; one that begins with ! it must not have
	Vendor string   // a part of the client's vendor class; empty: any
	Code   uint8    // 1 to 254
	Sub    uint8    // not 0: Value is one of the options inside option Code
	Value  []byte   // nil: the option is not sent; empty: it is, without a value
	Addrs  bool     // Value is IPv4 addresses, 0.0.0.0 stands for the router's own
	Force  bool     // for who does not ask for it, too
	Text   string   // as it was written
}

// maxOption is how many octets an option may have, in as many pieces as it
// takes. A longer one would leave no room for others.
const maxOption = 1024

// maxAddrs is how many addresses fit into one piece of a DHCP option.
const maxAddrs = 255 / 4

// A kind says how the value of an option is written.
type kind int

const (
	anything kind = iota // told by how it looks
	addresses
	pairs // of addresses
	text
	octet
	short
	shorts
	long
	duration
	names  // of domains, as DNS has them: RFC 3397
	sip    // names or addresses of servers: RFC 3361
	routes // NETWORK/BITS,ROUTER,...: RFC 3442
	ours   // made for each message
)

// options are those that have a name with dnsmasq and, without one, those that
// are not told by how their value looks.
var options = []struct {
	code uint8
	kind kind
	name string
}{
	{1, addresses, "netmask"},
	{2, long, "time-offset"},
	{3, addresses, "router"},
	{6, addresses, "dns-server"},
	{7, addresses, "log-server"},
	{9, addresses, "lpr-server"},
	{12, ours, "hostname"},
	{13, short, "boot-file-size"},
	{15, text, "domain-name"},
	{16, addresses, "swap-server"},
	{17, text, "root-path"},
	{18, text, "extension-path"},
	{19, octet, "ip-forward-enable"},
	{20, octet, "non-local-source-routing"},
	{21, pairs, "policy-filter"},
	{22, short, "max-datagram-reassembly"},
	{23, octet, "default-ttl"},
	{25, shorts, "path-mtu-plateau"},
	{26, short, "mtu"},
	{27, octet, "all-subnets-local"},
	{28, addresses, "broadcast"},
	{31, octet, "router-discovery"},
	{32, addresses, "router-solicitation"},
	{33, pairs, "static-route"},
	{34, octet, "trailer-encapsulation"},
	{35, long, "arp-timeout"},
	{36, octet, "ethernet-encap"},
	{37, octet, "tcp-ttl"},
	{38, long, "tcp-keepalive"},
	{40, text, "nis-domain"},
	{41, addresses, "nis-server"},
	{42, addresses, "ntp-server"},
	{43, anything, "vendor-encap"},
	{44, addresses, "netbios-ns"},
	{45, addresses, "netbios-dd"},
	{46, octet, "netbios-nodetype"},
	{47, text, "netbios-scope"},
	{48, addresses, "x-windows-fs"},
	{49, addresses, "x-windows-dm"},
	{50, ours, "requested-address"},
	{51, ours, "lease-time"},
	{52, ours, "option-overload"},
	{53, ours, "message-type"},
	{54, ours, "server-identifier"},
	{55, ours, "parameter-request"},
	{56, text, "message"},
	{57, ours, "max-message-size"},
	{58, duration, "T1"},
	{59, duration, "T2"},
	{60, text, "vendor-class"},
	{61, ours, "client-id"},
	{64, text, "nis+-domain"},
	{65, addresses, "nis+-server"},
	{66, text, "tftp-server"},
	{67, text, "bootfile-name"},
	{68, addresses, "mobile-ip-home"},
	{69, addresses, "smtp-server"},
	{70, addresses, "pop3-server"},
	{71, addresses, "nntp-server"},
	{74, addresses, "irc-server"},
	{77, anything, "user-class"},
	{80, ours, "rapid-commit"},
	{81, ours, "FQDN"},
	{82, ours, "agent-info"},
	{93, anything, "client-arch"},
	{94, anything, "client-interface-id"},
	{97, anything, "client-machine-id"},
	{100, text, "posix-timezone"},
	{101, text, "tzdb-timezone"},
	{108, duration, "ipv6-only"},
	{114, text, "captive-portal"},
	{116, octet, "auto-config"},
	{118, addresses, "subnet-select"},
	{119, names, "domain-search"},
	{120, sip, "sip-server"},
	{121, routes, "classless-static-route"},
	{125, anything, "vendor-id-encap"},
	{150, addresses, "tftp-server-address"},
	{249, routes, "ms-classless-static-route"},
	{252, text, "wpad"},
}

// optionCode reads 42 or option:ntp-server.
func optionCode(s string) (uint8, error) {
	if name, named := strings.CutPrefix(s, "option:"); named {
		for _, o := range options {
			if strings.EqualFold(o.name, name) {
				return o.code, nil
			}
		}
		return 0, fmt.Errorf("%s is no option that has a name; its number can be written", show(s))
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 0 || n == 255 {
		return 0, fmt.Errorf("%s is no option from 1 to 254, nor option: and a name", show(s))
	}
	return uint8(n), nil
}

func kindOf(code uint8) kind {
	for _, o := range options {
		if o.code == code {
			return o.kind
		}
	}
	return anything
}

// dhcpOption reads [tag:NAME,]... [vendor:CLASS,|encap:CODE,] OPTION [,VALUE].
func dhcpOption(s string) (DHCPOption, error) {
	o := DHCPOption{Text: s}
	inside := uint8(0)
	rest := s
	for {
		word, more := cutWord(rest)
		prefix, name, _ := strings.Cut(word, ":")
		var err error
		switch prefix {
		case "tag", "net":
			err = checkTag(strings.TrimPrefix(name, "!"))
			o.Tags = append(o.Tags, name)
		case "vendor":
			o.Vendor, inside = name, 43
		case "encap":
			inside, err = optionCode(name)
		case "option6":
			return o, caution{text: show(s) + ": IPv6 is not served"}
		default:
			return o, o.read(inside, word, more)
		}
		if err != nil {
			return o, err
		}
		rest = more
	}
}

// cutWord takes off what stands before the first comma. Blanks around the comma
// are for the eye: in a list they are not taken for ends of options.
func cutWord(s string) (word, rest string) {
	word, rest, _ = strings.Cut(s, ",")
	return strings.TrimSpace(word), strings.TrimSpace(rest)
}

// read reads the option itself.
func (o *DHCPOption) read(inside uint8, name, value string) (err error) {
	if o.Code, err = optionCode(name); err != nil {
		return err
	}
	k := kindOf(o.Code)
	if inside != 0 {
		o.Code, o.Sub, k = inside, o.Code, anything
	}
	if why := reserved(o.Code); why != "" {
		return fmt.Errorf("option %d %s", o.Code, why)
	}
	if value == "" {
		return nil
	}
	if o.Value, o.Addrs, err = k.value(value); err != nil {
		return err
	}
	if most := maxOption; len(o.Value) > most || o.Sub != 0 && len(o.Value) > math.MaxUint8 {
		return fmt.Errorf("option %d of %d octets is too long", o.Code, len(o.Value))
	}
	return nil
}

// reserved says why an option cannot be set.
func reserved(code uint8) string {
	switch {
	case code == 12:
		return "is the name of a config host"
	case code == 51:
		return "is set by leasetime"
	case kindOf(code) == ours:
		return "is made for each message"
	}
	return ""
}

func checkTag(s string) error {
	if s == "" || strings.ContainsAny(s, " \t,!") {
		return fmt.Errorf("%s is no name of a tag", show(s))
	}
	return nil
}

// value reads a value; addrs: of which 0.0.0.0 is the router's own.
func (k kind) value(s string) (v []byte, addrs bool, err error) {
	if k != text {
		if v, ok := hexValue(s); ok && k.holds(len(v)) {
			return v, false, nil
		}
	}
	switch k {
	case addresses, pairs:
		v, err = addrList(s)
		if k == pairs && len(v)%8 != 0 && err == nil {
			err = fmt.Errorf("%s: addresses come in pairs here", show(s))
		}
		if k == pairs && err == nil {
			err = noDefault(v)
		}
		return v, true, err
	case text:
		return []byte(unquote(s)), false, nil
	case octet:
		v, err = numbers(s, 1, 1)
	case short:
		v, err = numbers(s, 2, 1)
	case shorts:
		v, err = numbers(s, 2, math.MaxUint8/2)
	case long:
		v, err = numbers(s, 4, 1)
	case duration:
		d, err := leaseTime(s)
		if c := (caution{}); errors.As(err, &c) && c.use {
			err = nil
		}
		return binary.BigEndian.AppendUint32(nil, uint32(d.Seconds())), false, err
	case names:
		v, err = domainNames(s)
	case sip:
		v, err = sipServers(s)
	case routes:
		v, err = routeList(s)
	default:
		return guess(s)
	}
	return v, false, err
}

// holds tells whether a value can have so many octets.
func (k kind) holds(octets int) bool {
	switch k {
	case addresses:
		return octets%4 == 0
	case pairs:
		return octets%8 == 0
	case octet:
		return octets == 1
	case short:
		return octets == 2
	case shorts:
		return octets%2 == 0
	case long, duration:
		return octets == 4
	}
	return true
}

// guess reads what it looks like: addresses, a number in as few octets as it
// takes, or text.
func guess(s string) (v []byte, addrs bool, err error) {
	if v, err := addrList(s); err == nil {
		return v, true, nil
	}
	if v, ok := number124(s); ok {
		return v, false, nil
	}
	return []byte(unquote(s)), false, nil
}

// hexValue reads 01:ab:ff and 0x01abff.
func hexValue(s string) ([]byte, bool) {
	digits, prefixed := strings.CutPrefix(s, "0x")
	if !prefixed {
		if !strings.Contains(s, ":") {
			return nil, false
		}
		parts := strings.Split(s, ":")
		for i, p := range parts {
			if len(p) == 1 {
				parts[i] = "0" + p
			} else if len(p) != 2 {
				return nil, false
			}
		}
		digits = strings.Join(parts, "")
	}
	v, err := hex.DecodeString(digits)
	return v, err == nil && len(v) > 0
}

func addrList(s string) (v []byte, err error) {
	for word := range strings.SplitSeq(s, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(word))
		if err != nil || !a.Is4() {
			return nil, fmt.Errorf("%s is no IPv4 address", show(word))
		}
		if len(v)/4 == maxAddrs {
			return nil, fmt.Errorf("more than %d addresses", maxAddrs)
		}
		v = append(v, a.AsSlice()...)
	}
	return v, nil
}

// noDefault refuses 0.0.0.0 as the first of a pair: "The default route (0.0.0.0)
// is an illegal destination for a static route." RFC 2132, section 5.8.
func noDefault(pairs []byte) error {
	for pair := range slices.Chunk(pairs, 8) {
		if binary.BigEndian.Uint32(pair) == 0 {
			return errors.New("0.0.0.0 cannot be the first of two addresses here; option 3 or 121 has the default route")
		}
	}
	return nil
}

// numbers reads at most so many numbers of size octets each. A negative one is
// written in two's complement.
func numbers(s string, size, most int) (v []byte, err error) {
	words := strings.Split(s, ",")
	for _, word := range words {
		n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
		bits := 8 * size
		if err != nil || n >= 1<<bits || n < -1<<(bits-1) || len(words) > most {
			return nil, fmt.Errorf("%s is no number of %d octets", show(s), size)
		}
		v = append(v, binary.BigEndian.AppendUint64(nil, uint64(n))[8-size:]...)
	}
	return v, nil
}

// number124 reads a number of one, two or four octets; b, s or i behind it says
// of how many.
func number124(s string) ([]byte, bool) {
	digits := strings.TrimRight(s, "bsi")
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || len(s)-len(digits) > 1 {
		return nil, false
	}
	size := 4
	switch {
	case strings.HasSuffix(s, "i"):
	case strings.HasSuffix(s, "s"), digits == s && n > math.MaxUint8 && n <= math.MaxUint16:
		size = 2
	case strings.HasSuffix(s, "b"), digits == s && n <= math.MaxUint8:
		size = 1
	}
	v, err := numbers(digits, size, 1)
	return v, err == nil
}

// unquote takes away double quotes around a text. Between them a backslash
// makes \n a line feed, \t a tab, \r a return, and everything else itself.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	s = s[1 : len(s)-1]
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			i++
			c = s[i]
			if at := strings.IndexByte("ntr", c); at >= 0 {
				c = "\n\t\r"[at]
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// domainNames writes names as DNS does, each ending that was there before as a
// pointer to it: RFC 3397, section 2, has all names in one buffer for that.
func domainNames(s string) (v []byte, err error) {
	at := map[string]int{}
	for name := range strings.SplitSeq(s, ",") {
		name, err := domainName(strings.TrimSuffix(strings.TrimSpace(name), "."))
		if err != nil {
			return nil, err
		}
		v = appendName(v, name, at)
	}
	return v, nil
}

// appendName writes one name; at: where its endings are, nil: there are no
// pointers.
func appendName(v []byte, name string, at map[string]int) []byte {
	for name != "" {
		if p, known := at[name]; known {
			return append(v, 0xc0|byte(p>>8), byte(p))
		}
		if at != nil && len(v) < 1<<14 {
			at[name] = len(v)
		}
		label, rest, _ := strings.Cut(name, ".")
		v = append(append(v, byte(len(label))), label...)
		name = rest
	}
	return append(v, 0)
}

// sipServers writes 0 and names, or 1 and addresses: RFC 3361, section 3.
func sipServers(s string) (v []byte, err error) {
	if v, err := addrList(s); err == nil {
		return append([]byte{1}, v...), nil
	}
	names, err := domainNames(s)
	return append([]byte{0}, names...), err
}

// routeList reads NETWORK/BITS,ROUTER,...; a network without bits is one
// machine. "The significant portion of the subnet number" is what is written:
// RFC 3442.
func routeList(s string) (v []byte, err error) {
	words := strings.Split(s, ",")
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("%s: networks and routers come in pairs", show(s))
	}
	for pair := range slices.Chunk(words, 2) {
		network, router := strings.TrimSpace(pair[0]), strings.TrimSpace(pair[1])
		if !strings.Contains(network, "/") {
			network += "/32"
		}
		p, err := netip.ParsePrefix(network)
		if err != nil || !p.Addr().Is4() {
			return nil, fmt.Errorf("%s is no network such as 10.0.0.0/8", show(pair[0]))
		}
		via, err := addrList(router)
		if err != nil {
			return nil, err
		}
		v = append(v, byte(p.Bits()))
		v = append(v, p.Masked().Addr().AsSlice()[:(p.Bits()+7)/8]...)
		v = append(v, via...)
	}
	return v, nil
}

// addsUp tells whether an option that is written again goes on with what was
// written before: that is what who repeats a list means.
func (o DHCPOption) addsUp(next DHCPOption) bool {
	list := slices.Contains([]kind{addresses, pairs, names, routes}, kindOf(o.Code))
	return list && o.Sub == 0 && o.Code == next.Code && o.Value != nil && next.Value != nil &&
		o.Force == next.Force && o.Vendor == next.Vendor && next.Sub == 0 && slices.Equal(o.Tags, next.Tags)
}

// addOption adds an option to those that were read before.
func (b *block) addOption(all []DHCPOption, it item, next DHCPOption) []DHCPOption {
	for i, o := range all {
		if !o.addsUp(next) {
			continue
		}
		both, err := dhcpOption(o.Text + "," + next.valueText())
		if err != nil {
			b.bad("dhcp_option", it.line, err)
			return all
		}
		both.Tags, both.Force = o.Tags, o.Force
		all[i] = both
		return all
	}
	return append(all, next)
}

// valueText is the part of the text behind the option's number or name.
func (o DHCPOption) valueText() string {
	rest := o.Text
	for {
		word, more := cutWord(rest)
		rest = more
		if _, err := optionCode(word); err == nil {
			return rest
		}
	}
}

// dhcpOptions adds dhcp_option and dhcp_option_force of a section whose options
// are for clients with the given tags to those that were read before. Of those
// that are not forced, it leaves out what plain takes.
func (b *block) dhcpOptions(all []DHCPOption, plain func(item) bool, tags ...string) []DHCPOption {
	force := false
	if b.Type != "dhcp" { // there it means something else
		set(b, "force", &force, boolean)
	}
	for _, name := range []string{"dhcp_option", "dhcp_option_force"} {
		forced := force || name == "dhcp_option_force"
		for _, it := range b.lines(name) {
			if !forced && plain != nil && plain(it) {
				continue
			}
			o, ok := parsed(b, name, it, dhcpOption)
			if !ok {
				continue
			}
			o.Tags = append(slices.Clone(tags), o.Tags...)
			o.Force = forced
			all = b.addOption(all, it, o)
		}
	}
	return all
}
