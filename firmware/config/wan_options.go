package config

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// roomForOptions is what every server takes: a message of 548 octets (RFC 2131,
// section 2) less its header and what the client itself has to say.
const roomForOptions = 240

// optionNames are udhcpc's, as far as they stand in OpenWrt's files.
var optionNames = map[string]uint8{
	"subnet": 1, "timezone": 2, "router": 3, "timesrv": 4, "namesrv": 5, "dns": 6,
	"logsrv": 7, "hostname": 12, "domain": 15, "mtu": 26, "broadcast": 28, "routes": 33,
	"ntpsrv": 42, "wins": 44, "lease": 51, "serverid": 54, "tftp": 66, "bootfile": 67,
	"tzstr": 100, "tzdbstr": 101, "search": 119, "sipsrv": 120, "staticroutes": 121,
	"vlanid": 132, "vlanpriority": 133, "pxeconffile": 209, "ip6rd": 212, "msstaticroutes": 249,
	"wpad": 252,
}

// requestOption accepts 43, 0x2b and udhcpc's names.
func requestOption(s string) (uint8, error) {
	if code, ok := optionNames[s]; ok {
		return code, nil
	}
	n, err := strconv.ParseUint(s, 0, 8)
	if err != nil || n == 0 || n == math.MaxUint8 {
		return 0, fmt.Errorf("%s is no option: a number from 1 to 254 is", show(s))
	}
	return uint8(n), nil
}

// A sentOption is one of sendopts.
type sentOption struct {
	code  uint8
	value []byte
}

// sendOption accepts 77:04626f78 and 77:"text", as udhcpc does; what is after
// hostname: is text anyway.
func sendOption(s string) (o sentOption, err error) {
	name, value, ok := strings.Cut(s, ":")
	if !ok {
		return o, fmt.Errorf("%s is not written as NUMBER:HEX", show(s))
	}
	if o.code, err = requestOption(name); err != nil {
		return o, err
	}
	switch o.code {
	case 61:
		return o, fmt.Errorf("%s: say it with option clientid", show(s))
	case 50, 52, 53, 54, 55, 57:
		return o, fmt.Errorf("%s: option %d is the protocol's own", show(s), o.code)
	}
	if text, ok := strings.CutPrefix(value, `"`); ok && strings.HasSuffix(text, `"`) {
		o.value = []byte(strings.TrimSuffix(text, `"`))
	} else if name == "hostname" {
		o.value = []byte(value)
	} else if o.value, err = hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(value, "0x"), ":", "")); err != nil {
		return o, fmt.Errorf("%s is not written in pairs of hex digits", show(s))
	}
	if len(o.value) == 0 || len(o.value) > math.MaxUint8 {
		return o, fmt.Errorf("%s has %d bytes, not 1 to %d", show(s), len(o.value), math.MaxUint8)
	}
	return o, nil
}

// An identity is what option 61 says of us.
type identity struct {
	octets []byte // nil: nothing in particular; empty: nothing at all
	duid   bool
}

// clientID accepts none, duid and hex.
func clientID(s string) (identity, error) {
	switch s {
	case "none":
		return identity{octets: []byte{}}, nil
	case "duid":
		return identity{duid: true}, nil
	}
	octets, err := hexBytes(s)
	return identity{octets: octets}, err
}

// network accepts 192.168.100.0/24, and an address for that alone.
func network(s string) (none netip.Prefix, err error) {
	text, length, long := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return none, fmt.Errorf("%s is no network such as 192.168.100.0/24", show(s))
	case !addr.Is4():
		return none, fmt.Errorf("%s: IPv6 is not served", show(s))
	case !long:
		return netip.PrefixFrom(addr, 32), nil
	}
	bits, err := netmask(length)
	if err == nil && (bits < 0 || bits > 32) {
		err = fmt.Errorf("%s: a network is /0 to /32", show(s))
	}
	if err != nil {
		return none, err
	}
	return netip.PrefixFrom(addr, bits).Masked(), nil
}
