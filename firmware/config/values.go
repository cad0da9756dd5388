package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// What follows reads one value each. Errors quote the value and say what would
// be right; the option's name and line are added by who asks.

// word accepts anything: for names that are looked up, not used.
func word(s string) (string, error) { return s, nil }

func boolean(s string) (bool, error) {
	switch s {
	case "1", "on", "true", "yes", "enabled":
		return true, nil
	case "0", "off", "false", "no", "disabled":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither 1 nor 0", show(s))
}

// number returns a reader of decimal numbers from least to most.
func number[T int | uint16 | uint32](least, most T) func(string) (T, error) {
	return func(s string) (T, error) {
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil || n < uint64(least) || n > uint64(most) {
			return 0, fmt.Errorf("%s is no number from %d to %d", show(s), least, most)
		}
		return T(n), nil
	}
}

// deviceName accepts what the kernel takes for a network device.
func deviceName(s string) (string, error) {
	const most = 15 // IFNAMSIZ without its NUL
	ok := len(s) <= most && s != "." && s != ".."
	for _, c := range []byte(s) {
		ok = ok && c > ' ' && c < 0x7f && c != '/' && c != ':'
	}
	if strings.HasPrefix(s, "@") {
		return "", fmt.Errorf("%s: aliases are not supported, name the device", show(s))
	}
	if !ok {
		return "", fmt.Errorf("%s is no device name (at most %d characters, no blanks)", show(s), most)
	}
	return s, nil
}

// printable accepts what fits into one DHCP option and on one line.
func printable(s string) (string, error) {
	if len(s) > math.MaxUint8 {
		return "", fmt.Errorf("%s is longer than %d characters", show(s), math.MaxUint8)
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("%s has characters that are not plain ASCII", show(s))
		}
	}
	return s, nil
}

func absolutePath(s string) (string, error) {
	if !strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") {
		return "", fmt.Errorf("%s is no file name that begins with /", show(s))
	}
	return printable(s)
}

// ringPath accepts mtd: and the name of a partition, or a file name.
func ringPath(s string) (string, error) {
	if name, mtd := strings.CutPrefix(s, mtdName); mtd {
		if name == "" {
			return "", fmt.Errorf("%s names no partition", show(s))
		}
		return printable(s)
	}
	return absolutePath(s)
}

// Octets accepts 262144, 256k and 1M.
func Octets(s string) (int64, error) {
	unit, digits := int64(1), s
	if n := len(s) - 1; n > 0 {
		switch s[n] | 0x20 {
		case 'k':
			unit, digits = 1<<10, s[:n]
		case 'm':
			unit, digits = 1<<20, s[:n]
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxUint32/unit {
		return 0, fmt.Errorf("%s is no size such as 256k or 1M", show(s))
	}
	return n * unit, nil
}

// hexBytes accepts 01aabb, 01:aa:bb and 0x01aabb.
func hexBytes(s string) ([]byte, error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(s, "0x"), ":", "")
	id, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%s is not written in pairs of hex digits", show(s))
	}
	// "Its minimum length is 2." RFC 2132, section 9.14.
	if len(id) < 2 || len(id) > math.MaxUint8 {
		return nil, fmt.Errorf("%s has %d bytes, not 2 to %d", show(s), len(id), math.MaxUint8)
	}
	return id, nil
}

// domainName accepts labels of letters, digits and inner hyphens.
func domainName(s string) (string, error) {
	ok := len(s) <= 253
	for label := range strings.SplitSeq(s, ".") {
		ok = ok && label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		for _, c := range []byte(label) {
			ok = ok && (alnum(c) || c == '-')
		}
	}
	if !ok {
		return "", fmt.Errorf("%s is no name of letters, digits and inner hyphens", show(s))
	}
	return s, nil
}

// macAddr accepts six pairs of hex digits, joined by colons or hyphens.
func macAddr(s string) (mac [6]byte, err error) {
	parts := strings.Split(strings.ReplaceAll(s, "-", ":"), ":")
	ok := len(parts) == len(mac)
	for i := 0; ok && i < len(mac); i++ {
		n, err := strconv.ParseUint(parts[i], 16, 8)
		mac[i], ok = byte(n), err == nil && len(parts[i]) <= 2
	}
	switch {
	case !ok:
		return mac, fmt.Errorf("%s is no MAC address such as 00:11:22:33:44:55", show(s))
	case mac == [6]byte{}:
		return mac, fmt.Errorf("%s is nobody's MAC address", show(s))
	case mac[0]&1 != 0:
		return mac, fmt.Errorf("%s is a MAC address of many, not of one machine", show(s))
	}
	return mac, nil
}

// hostAddr accepts an IPv4 address that one machine can have.
func hostAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return a, fmt.Errorf("%s is no IPv4 address", show(s))
	case !a.Is4():
		return netip.Addr{}, fmt.Errorf("%s: IPv6 is not served", show(s))
	case a.As4()[0] == 0 || a.IsLoopback() || a.As4()[0] >= 224:
		return netip.Addr{}, fmt.Errorf("%s cannot be the address of a machine", show(s))
	}
	return a, nil
}

// resolver is hostAddr, but files with IPv6 resolvers in them are common.
func resolver(s string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
		return netip.Addr{}, caution{text: show(s) + ": IPv6 is not served"}
	}
	return hostAddr(s)
}

// netmask accepts 255.255.255.0 and 24, and returns the number of ones.
func netmask(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, nil // prefixes are checked with their address
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return 0, fmt.Errorf("%s is no netmask such as 255.255.255.0", show(s))
	}
	ones := 0
	m := toUint(a)
	for m<<ones&(1<<31) != 0 && ones < 32 {
		ones++
	}
	if m<<ones != 0 {
		return 0, fmt.Errorf("%s is no netmask: its ones have gaps", show(s))
	}
	return ones, nil
}

// prefix accepts an address with the length of a network that can be served.
func prefix(s string) (netip.Prefix, error) {
	text, length, _ := strings.Cut(s, "/")
	addr, err := hostAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	bits, err := netmask(length)
	if err != nil {
		return netip.Prefix{}, err
	}
	if bits < 8 || bits > 30 {
		return netip.Prefix{}, fmt.Errorf("%s: the network must be /8 to /30", show(s))
	}
	return netip.PrefixFrom(addr, bits), nil
}

// lanPrefix accepts the router's own address with the length of its network.
func lanPrefix(s string) (netip.Prefix, error) {
	p, err := prefix(s)
	if err == nil && !usable(p, p.Addr()) {
		return netip.Prefix{}, fmt.Errorf("%s is the first or last of its network and no machine's; try %s",
			show(s), p.Masked().Addr().Next())
	}
	return p, err
}

// subnet accepts a network: 10.9.0.0/24.
func subnet(s string) (netip.Prefix, error) {
	p, err := prefix(s)
	if err == nil && p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("%s is an address in a network; try %v", show(s), p.Masked())
	}
	return p, err
}

// usable tells whether a machine in p's network can have the address.
func usable(p netip.Prefix, a netip.Addr) bool {
	return p.Contains(a) && a != p.Masked().Addr() && p.Contains(a.Next())
}

// leaseTime accepts 45, 45s, 30m, 12h, 1d, 1w and infinite, and moves the rest
// into bounds.
func leaseTime(s string) (time.Duration, error) {
	if strings.EqualFold(s, "infinite") {
		return Infinite, nil
	}
	unit := time.Second
	digits := s
	if n := len(s) - 1; n > 0 {
		if u, ok := timeUnits[s[n]|0x20]; ok {
			unit, digits = u, s[:n]
		}
	}
	count, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && count > uint64(MaxLeaseTime/unit):
		return MaxLeaseTime, caution{show(s) + " is longer than DHCP can say; infinite can be written", true}
	case err != nil || count == 0:
		return 0, fmt.Errorf("%s is no lease time such as 12h, 30m, 3600 or infinite", show(s))
	}
	if d := time.Duration(count) * unit; d >= MinLeaseTime {
		return d, nil
	}
	return MinLeaseTime, caution{fmt.Sprintf("%s is too short, %v is used", show(s), MinLeaseTime), true}
}

var timeUnits = map[byte]time.Duration{
	's': time.Second,
	'm': time.Minute,
	'h': time.Hour,
	'd': 24 * time.Hour,
	'w': 7 * 24 * time.Hour,
}
