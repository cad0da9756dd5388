package dhcp

import (
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The flags of option 81: RFC 4702, section 2.1.
const (
	fqdnS = 1 << iota // the server is to update the address record
	fqdnO             // the server does otherwise than the client wants
	fqdnE             // the name is written as DNS has it
	fqdnN             // no updates

	fqdnName = 3 // where the name begins: after flags, RCODE1 and RCODE2
)

// ClientName is what a client calls itself, as HostName leaves it: its host
// name, or the first label of its fully qualified one.
func ClientName(m *dhcpv4.DHCPv4) string {
	if name := HostName(string(m.Options[dhcpv4.OptionHostName.Code()])); name != "" {
		return name
	}
	v := m.Options[dhcpv4.OptionFQDN.Code()]
	if len(v) <= fqdnName {
		return ""
	}
	name := v[fqdnName:]
	if v[0]&fqdnE == 0 {
		return HostName(string(name))
	}
	if n := int(name[0]); n < len(name) {
		return HostName(string(name[1 : 1+n]))
	}
	return ""
}

// AnswerFQDN is what a server that updates no DNS says to option 81 of a client,
// nil to none: "N" and not "S", "O" where the client wanted "S", the client's
// encoding, and the name that it has here (RFC 4702, section 4).
func AnswerFQDN(v []byte, name, domain string) []byte {
	if len(v) < fqdnName {
		return nil
	}
	flags := v[0]&fqdnE | fqdnN
	if v[0]&fqdnS != 0 {
		flags |= fqdnO
	}
	out := []byte{flags, 255, 255} // the RCODEs mean nothing any more: section 2.2
	if name == "" {
		return append(out, v[fqdnName:]...)
	}
	if domain != "" {
		name += "." + domain
	}
	if flags&fqdnE == 0 {
		return append(out, name...)
	}
	for label := range strings.SplitSeq(name, ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0)
}
