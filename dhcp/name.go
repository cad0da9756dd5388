package dhcp

import "strings"

// HostName makes what a client calls itself fit to be shown and stored: one
// label of letters, digits and hyphens (RFC 952, RFC 1123) of at most 63
// octets, the first of a dotted name. What cannot be one is "".
//
// A name is the only text in a message that a stranger chooses freely and that
// ends up on the admin's page.
func HostName(raw string) string {
	label, _, _ := strings.Cut(strings.Trim(raw, "\x00. "), ".")
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		case r == '_' || r == ' ':
			return '-'
		}
		return -1
	}, label)
	clean = clean[:min(len(clean), 63)]
	return strings.Clone(strings.Trim(clean, "-")) // lest the whole message be kept with it
}
