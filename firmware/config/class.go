package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Clients is what depends on who asks.
type Clients struct {
	Classes     []Class
	Options     []DHCPOption // for those with the tags, on every network
	Boots       []Boot       // of several that match the last counts
	RapidCommit bool         // who asks for it gets its lease without being offered one first
}

// A Class puts a tag on the clients that it matches.
type Class struct {
	Tag   string
	MAC   MACPattern // where Code is 0
	Code  uint8      // the option of the client's that is looked at
	Sub   uint8      // in option 82: the one inside
	Value []byte     // nil: it is enough that the option is there
	Part  bool       // Value may stand anywhere in it
	Kind  string     // the type of the section
	Text  string     // as it was written
}

// A MACPattern matches MAC addresses in the bits that are set in Mask.
type MACPattern struct{ MAC, Mask [6]byte }

// A Boot says where a client finds what it boots from.
type Boot struct {
	Tag        string     // that the client has; empty: any
	File       string     // at most 127 octets
	ServerName string     // at most 63 octets
	Server     netip.Addr // invalid: ourselves are not named either
}

// classOptions are the sections that put tags on clients, the option of the
// same name in them, and what of a client's message it is about.
var classOptions = []struct {
	kind      string
	code, sub uint8
	part      bool
}{
	{"vendorclass", 60, 0, true},
	{"userclass", 77, 0, true},
	{"circuitid", 82, 1, false},
	{"remoteid", 82, 2, false},
	{"subscrid", 82, 6, false},
}

func isClass(kind string) bool {
	switch kind {
	case "tag", "mac", "match", "vendorclass", "userclass", "circuitid", "remoteid", "subscrid":
		return true
	}
	return false
}

// readClients reads what depends on who asks.
func (r *reader) readClients(b *block) {
	if b.Type == "boot" {
		r.readBoot(b)
	} else {
		r.readClass(b)
	}
}

// readClass reads config tag and all sections that put tags on clients.
func (r *reader) readClass(b *block) {
	c := Class{Tag: b.Name, Kind: b.Type}
	if b.Type != "tag" {
		c.Tag = ""
	}
	set(b, "networkid", &c.Tag, word)
	if err := checkTag(c.Tag); err != nil {
		b.bad("networkid", b.lineOf("networkid"), fmt.Errorf("%w; %s is left out", err, b))
		return
	}
	if b.Type != "tag" && r.readMatch(b, &c) {
		r.Clients.Classes = append(r.Clients.Classes, c)
	}
	r.Clients.Options = b.dhcpOptions(r.Clients.Options, nil, c.Tag)
	b.rest("instance")
}

// readMatch reads what a client is known by.
func (r *reader) readMatch(b *block, c *Class) bool {
	set(b, b.Type, &c.Text, word)
	if c.Text == "" {
		b.fault(b.Line, "%s has no option '%s'", b, b.Type)
		return false
	}
	_, ok := parsed(b, b.Type, item{text: c.Text, line: b.lineOf(b.Type)}, func(s string) (bool, error) {
		return true, c.match(s)
	})
	return ok
}

func (c *Class) match(s string) (err error) {
	switch c.Kind {
	case "mac":
		c.MAC, err = macPattern(s)
		return err
	case "match":
		return c.matchOption(s)
	}
	for _, o := range classOptions {
		if o.kind == c.Kind {
			c.Code, c.Sub, c.Part = o.code, o.sub, o.part
		}
	}
	c.Value = classValue(s)
	return nil
}

// classValue reads 00:01:ab as octets and everything else as text.
func classValue(s string) []byte {
	if v, ok := hexValue(s); ok {
		return v
	}
	return []byte(unquote(s))
}

// matchOption reads 60,PXEClient:Arch:00007 and option:client-arch,7.
func (c *Class) matchOption(s string) (err error) {
	name, value, valued := strings.Cut(s, ",")
	if c.Code, err = optionCode(name); err != nil {
		return err
	}
	if !valued {
		return nil
	}
	k := kindOf(c.Code)
	switch c.Code {
	case 93:
		k = short
	case 12, 77:
		k = text
	}
	c.Part = k == text
	c.Value, _, err = k.value(value)
	return err
}

// macPattern reads 00:11:22:*:*:*. Before it may stand what dnsmasq writes for
// Ethernet, 01-.
func macPattern(s string) (p MACPattern, err error) {
	if rest, ok := strings.CutPrefix(s, "01-"); ok && strings.Contains(rest, ":") {
		s = rest
	}
	parts := strings.Split(strings.ReplaceAll(s, "-", ":"), ":")
	ok := len(parts) == len(p.MAC)
	for i := 0; ok && i < len(p.MAC); i++ {
		if parts[i] == "*" {
			continue
		}
		n, err := strconv.ParseUint(parts[i], 16, 8)
		p.MAC[i], p.Mask[i] = byte(n), 0xff
		ok = err == nil && len(parts[i]) <= 2
	}
	if !ok {
		return p, fmt.Errorf("%s is no pattern of a MAC address such as 00:11:22:*:*:*", show(s))
	}
	return p, nil
}

// readBoot reads config boot.
func (r *reader) readBoot(b *block) {
	var boot Boot
	set(b, "networkid", &boot.Tag, tag)
	set(b, "filename", &boot.File, bootFile)
	set(b, "servername", &boot.ServerName, bootServer)
	set(b, "serveraddress", &boot.Server, hostAddr)
	if boot.Tag != "" {
		r.Clients.Options = b.dhcpOptions(r.Clients.Options, nil, boot.Tag)
	} else {
		r.LAN.Options = b.dhcpOptions(r.LAN.Options, nil)
		for i := range r.Others {
			r.Others[i].Options = b.dhcpOptions(r.Others[i].Options, nil)
		}
	}
	b.rest("instance")
	if boot.File == "" {
		b.fault(b.Line, "%s has no option 'filename'", b)
		return
	}
	r.Clients.Boots = append(r.Clients.Boots, boot)
}

// readDHCPBoot reads what dnsmasq has in one line: FILE,NAME,ADDRESS.
func (r *reader) readDHCPBoot(b *block) {
	for _, it := range b.lines("dhcp_boot") {
		if boot, ok := parsed(b, "dhcp_boot", it, dhcpBoot); ok {
			r.Clients.Boots = append(r.Clients.Boots, boot)
		}
	}
}

func dhcpBoot(s string) (boot Boot, err error) {
	words := strings.Split(s, ",")
	for _, prefix := range []string{"tag:", "net:"} {
		if name, tagged := strings.CutPrefix(words[0], prefix); tagged && len(words) > 1 {
			boot.Tag, err = tag(name)
			words = words[1:]
			break
		}
	}
	words = append(words, "", "")
	var errs [3]error
	boot.File, errs[0] = bootFile(words[0])
	boot.ServerName, errs[1] = bootServer(words[1])
	if words[2] != "" {
		boot.Server, errs[2] = hostAddr(words[2])
	}
	if boot.File == "" {
		err = errors.Join(err, errors.New("it names no file"))
	}
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	return boot, err
}

func tag(s string) (string, error) { return s, checkTag(strings.TrimPrefix(s, "!")) }

// bootFile and bootServer accept what fits into the fields of a message, with
// the zero that ends it.
func bootFile(s string) (string, error)   { return field(s, 127) }
func bootServer(s string) (string, error) { return field(s, 63) }

func field(s string, most int) (string, error) {
	if len(s) > most {
		return "", fmt.Errorf("%s is longer than %d characters", show(s), most)
	}
	return printable(s)
}

// sections writes what Parse reads as c.
func (c Clients) sections() (all []Section) {
	for _, k := range c.Classes {
		s := Section{Type: k.Kind}
		s.option("networkid", k.Tag)
		s.option(k.Kind, k.Text)
		all = append(all, s)
	}
	for _, o := range c.Options {
		s := Section{Type: "tag"}
		s.option("networkid", o.Tags[0])
		s.dhcpOption(o)
		all = append(all, s)
	}
	for _, b := range c.Boots {
		s := Section{Type: "boot"}
		s.option("networkid", b.Tag)
		s.option("filename", b.File)
		s.option("servername", b.ServerName)
		if b.Server.IsValid() {
			s.option("serveraddress", b.Server.String())
		}
		all = append(all, s)
	}
	return all
}

func (s *Section) dhcpOption(o DHCPOption) {
	name := "dhcp_option"
	if o.Force {
		name = "dhcp_option_force"
	}
	s.list(name, o.Text)
}
