package dhcp

import (
	"bytes"
	"encoding/hex"
	"maps"
	"net"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// octets reads commented hex: "63 82 // cookie", with 00*16 for sixteen zeros.
func octets(t testing.TB, text string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		for _, word := range strings.Fields(line) {
			digits, times, many := strings.Cut(word, "*")
			n := 1
			if many {
				var err error
				if n, err = strconv.Atoi(times); err != nil {
					t.Fatal(err)
				}
			}
			v, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, bytes.Repeat(v, n)...)
		}
	}
	return b
}

// bootp is the header up to sname.
const bootp = `
	01 01 06 00               // BOOTREQUEST, Ethernet, 6 octets, no hops
	3d 1d 00 11               // xid
	00 05 80 00               // 5 seconds, broadcast
	00*16                     // ciaddr, yiaddr, siaddr, giaddr
	02 00 00 00 00 01 00*10   // chaddr
`

// message puts a message together; sname and file are filled up with zeros.
func message(t testing.TB, sname, file, options string) []byte {
	t.Helper()
	b := append(octets(t, bootp), make([]byte, 64+128)...)
	copy(b[snameOff:fileOff], octets(t, sname))
	copy(b[fileOff:cookieOff], octets(t, file))
	return append(append(b, cookie...), octets(t, options)...)
}

var lenient = []struct {
	name                 string
	sname, file, options string
	want                 map[uint8]string // all options, in hex
}{
	{"an ordinary message", "", "",
		`35 01 01  // DISCOVER
		 32 04 c0a80107  // requested address
		 ff`,
		map[uint8]string{53: "01", 50: "c0a80107"}},
	{"the End is missing", "", "",
		`35 01 01  32 04 c0a80107`,
		map[uint8]string{53: "01", 50: "c0a80107"}},
	{"the last option is cut in its value", "", "",
		`35 01 01  0c 05 6162`,
		map[uint8]string{53: "01"}},
	{"the last option is cut before its length", "", "",
		`35 01 01  0c`,
		map[uint8]string{53: "01"}},
	{"what follows the End is not read", "", "",
		`35 01 01  ff  0c 01 61`,
		map[uint8]string{53: "01"}},
	{"pads anywhere", "", "",
		`00*3  35 01 01  00  0c 01 61  00 ff 00*5`,
		map[uint8]string{53: "01", 12: "61"}},
	{"an option without a value is there", "", "",
		`35 01 01  50 00 ff`,
		map[uint8]string{53: "01", 80: ""}},
	{"a long option in two instances (RFC 3396)", "", "",
		`35 01 01  3c 02 6162  0c 01 78  3c 02 6364 ff`,
		map[uint8]string{53: "01", 60: "61626364", 12: "78"}},
	{"options go on in file", "",
		`0c 03 616263  ff`,
		`35 01 01  34 01 01  ff`,
		map[uint8]string{53: "01", 12: "616263"}},
	{"options go on in sname", `0c 03 616263`, "",
		`35 01 01  34 01 02  ff`,
		map[uint8]string{53: "01", 12: "616263"}},
	{"the parts of a value are joined in the order options, file, sname",
		`3c 01 63  ff`,
		`3c 01 62  ff`,
		`35 01 01  34 01 03  3c 01 61  ff`,
		map[uint8]string{53: "01", 60: "616263"}},
	{"an overload inside the overload means nothing",
		`0c 01 61  ff`,
		`34 01 03  ff`,
		`35 01 01  34 01 01  ff`,
		map[uint8]string{53: "01"}},
	{"an overload of the wrong length means nothing",
		`0c 01 61  ff`, `0c 01 61  ff`,
		`35 01 01  34 02 0303  ff`,
		map[uint8]string{53: "01"}},
	{"the message type in file", "", `35 01 01  ff`, `34 01 01  ff`, map[uint8]string{53: "01"}},
	{"of two addresses the first counts", "", "",
		`35 01 03  32 04 c0a80107  32 04 c0a80108  ff`,
		map[uint8]string{53: "03", 50: "c0a80107"}},
	{"of two message types the first counts", "", "",
		`35 01 03  35 01 07  ff`,
		map[uint8]string{53: "03"}},
	{"of two addresses the first whole one counts", "", "",
		`35 01 03  36 02 c0a8  36 04 c0a80101  ff`,
		map[uint8]string{53: "03", 54: "c0a80101"}},
	{"an address in two halves is whole", "", "",
		`35 01 03  36 02 c0a8  36 02 0101  ff`,
		map[uint8]string{53: "03", 54: "c0a80101"}},
	{"an address that never is whole is left out", "", "",
		`35 01 03  32 05 c0a8010700  33 00  39 01 05  ff`,
		map[uint8]string{53: "03"}},
}

func TestParseForgives(t *testing.T) {
	for _, test := range lenient {
		t.Run(test.name, func(t *testing.T) {
			m, err := Parse(message(t, test.sname, test.file, test.options))
			if err != nil {
				t.Fatal(err)
			}
			got := map[uint8]string{}
			for code, v := range m.Options {
				got[code] = hex.EncodeToString(v)
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("Parse(%s) has options %v; want %v", test.options, got, test.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	whole := message(t, "", "", "35 01 01 ff")
	with := func(at int, v ...byte) []byte {
		b := bytes.Clone(whole)
		copy(b[at:], v)
		return b
	}
	for _, test := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "message of 0 octets: a DHCP message has at least 240"},
		{"a header without a cookie", whole[:236], "message of 236 octets: a DHCP message has at least 240"},
		{"a hardware address longer than its field", with(2, 17), "hardware address of 17 octets: the field holds 16"},
		{"another cookie", with(236, 99, 130, 83, 100), "magic cookie 63825364: not DHCP"},
		{"a BOOTP reply", with(0, 2)[:240], "no DHCP message type"},
		{"a message type of two octets", message(t, "", "", "35 02 0101 ff"), "no DHCP message type"},
		{"message type 0", message(t, "", "", "35 01 00 ff"), "no DHCP message type"},
	} {
		if m, err := Parse(test.in); err == nil || err.Error() != test.want {
			t.Errorf("Parse(%s) = %v, %v; want %q", test.name, m, err, test.want)
		}
	}
}

// "DHCP server [...] may receive a 'BOOTREQUEST' message from a BOOTP client":
// RFC 1534, section 2. It is known by what it lacks.
func TestParseReadsBOOTP(t *testing.T) {
	m, err := Parse(message(t, "", "", "0c 01 61 ff"))
	if err != nil || m.MessageType() != dhcpv4.MessageTypeNone || m.HostName() != "a" {
		t.Errorf("Parse = %v, %v", m, err)
	}
}

func TestParseReadsTheHeader(t *testing.T) {
	b := octets(t, `
		02 01 06 01               // BOOTREPLY, Ethernet, 6 octets, one hop
		3d 1d 00 11  00 05 80 00  // xid, seconds, flags
		c0000207 c0000208 c0000209 c000020a
		02 00 00 00 00 01 00*10
		6162 00*62  6364 00*126   // sname, file
		63 82 53 63  35 01 05 ff`)
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	want := whole()
	want.Options = dhcpv4.Options{53: {5}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("Parse = %+v; want %+v", m, want)
	}
}

func TestParseSharesNoMemory(t *testing.T) {
	b := message(t, "", "", "35 01 01  3d 03 000102  0c 03 616263 ff")
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	before := Encode(m, nil, 0)
	clear(b)
	if after := Encode(m, nil, 0); !bytes.Equal(before, after) {
		t.Errorf("after the buffer was cleared the message is %x; want %x", after, before)
	}
}

// whole has something in every field.
func whole() *dhcpv4.DHCPv4 {
	return &dhcpv4.DHCPv4{
		OpCode:         dhcpv4.OpcodeBootReply,
		HWType:         iana.HWTypeEthernet,
		HopCount:       1,
		TransactionID:  dhcpv4.TransactionID{0x3d, 0x1d, 0, 0x11},
		NumSeconds:     5,
		Flags:          0x8000,
		ClientIPAddr:   net.IP{192, 0, 2, 7},
		YourIPAddr:     net.IP{192, 0, 2, 8},
		ServerIPAddr:   net.IP{192, 0, 2, 9},
		GatewayIPAddr:  net.IP{192, 0, 2, 10},
		ClientHWAddr:   net.HardwareAddr{2, 0, 0, 0, 0, 1},
		ServerHostName: "ab",
		BootFileName:   "cd",
		Options: dhcpv4.Options{
			1:  {255, 255, 255, 0},
			3:  {192, 0, 2, 1},
			6:  {192, 0, 2, 1},
			15: []byte("lan"),
			51: {0, 0, 0x0e, 0x10},
			53: {5},
			54: {192, 0, 2, 1},
			58: {0, 0, 7, 8},
			59: {0, 0, 0x0c, 0x4e},
			61: {1, 2, 0, 0, 0, 0, 1},
			80: {},
			82: {1, 1, 7},
		},
	}
}

func TestEncodeThenParseIsTheIdentity(t *testing.T) {
	long := whole()
	long.Options[60] = bytes.Repeat([]byte("0123456789"), 70) // three instances
	exact := whole()
	exact.Options[60] = bytes.Repeat([]byte{7}, 2*255)
	bare := &dhcpv4.DHCPv4{
		ClientIPAddr: net.IP{0, 0, 0, 0}, YourIPAddr: net.IP{0, 0, 0, 0},
		ServerIPAddr: net.IP{0, 0, 0, 0}, GatewayIPAddr: net.IP{0, 0, 0, 0},
		ClientHWAddr: net.HardwareAddr{},
		Options:      dhcpv4.Options{53: {1}},
	}
	for name, m := range map[string]*dhcpv4.DHCPv4{"whole": whole(), "long": long, "exact": exact, "bare": bare} {
		got, err := Parse(Encode(m, nil, 2000))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("Parse(Encode(%s)) = %+v, %v; want %+v", name, got, err, m)
		}
	}
}

func TestEncodeGolden(t *testing.T) {
	m := whole()
	m.Options = dhcpv4.Options{1: {255, 255, 255, 0}, 51: {0, 0, 0x0e, 0x10}, 53: {5}, 54: {192, 0, 2, 1}}
	want := octets(t, `
		02 01 06 01  3d1d0011  0005 8000
		c0000207 c0000208 c0000209 c000020a
		02 00 00 00 00 01 00*10
		6162 00*62  6364 00*126
		63 82 53 63
		35 01 05                  // ACK
		36 04 c0000201            // server
		33 04 00000e10            // one hour
		01 04 ffffff00            // mask
		ff
		00*38                     // up to 300 octets`)
	if got := Encode(m, nil, 0); !bytes.Equal(got, want) {
		t.Errorf("Encode = %x\nwant     %x", got, want)
	}
}

// order returns the codes of the option instances in an encoded message.
func order(t *testing.T, b []byte) []byte {
	t.Helper()
	var codes []byte
	for b = b[headerLen:]; b[0] != optEnd; b = b[2+int(b[1]):] {
		codes = append(codes, b[0])
	}
	if tail := bytes.Trim(b[1:], "\x00"); len(tail) > 0 {
		t.Errorf("%x follows the End", tail)
	}
	return codes
}

func codes(c ...uint8) dhcpv4.OptionCodeList {
	var list dhcpv4.OptionCodeList
	for _, c := range c {
		list = append(list, dhcpv4.GenericOptionCode(c))
	}
	return list
}

func TestEncodeOrder(t *testing.T) {
	long := func(code uint8, n int) func(*dhcpv4.DHCPv4) {
		return func(m *dhcpv4.DHCPv4) { m.Options[code] = make([]byte, n) }
	}
	for _, test := range []struct {
		name  string
		asked dhcpv4.OptionCodeList
		limit int
		edit  func(*dhcpv4.DHCPv4)
		want  []byte
	}{
		{"nothing asked for", nil, 0, nil, []byte{53, 54, 51, 1, 3, 6, 15, 58, 59, 80, 61, 82}},
		{"in the order asked for", codes(15, 6, 1, 3), 0, nil, []byte{53, 54, 51, 15, 6, 1, 3, 58, 59, 80, 61, 82}},
		{"the mask before the routers", codes(15, 3, 6, 1), 0, nil, []byte{53, 54, 51, 15, 1, 3, 6, 58, 59, 80, 61, 82}},
		{"what is asked for twice comes once", codes(6, 1, 6), 0, nil, []byte{53, 54, 51, 6, 1, 3, 15, 58, 59, 80, 61, 82}},
		{"what is not there is not sent", codes(42, 119, 0, 255), 0, nil, []byte{53, 54, 51, 1, 3, 6, 15, 58, 59, 80, 61, 82}},
		{"no Pad or End among them", codes(255, 0), 0, func(m *dhcpv4.DHCPv4) { m.Options[0], m.Options[255] = []byte{1}, []byte{1} }, []byte{53, 54, 51, 1, 3, 6, 15, 58, 59, 80, 61, 82}},
		{"the first stay first and the last last", codes(82, 61, 51, 53, 3), 0, nil, []byte{53, 54, 51, 1, 3, 6, 15, 58, 59, 80, 61, 82}},
		{"what does not fit is left out", nil, 0, long(43, 300), []byte{53, 54, 51, 1, 3, 6, 15, 58, 59, 80, 61, 82}},
		{"what fits a larger reader is sent", nil, 1000, long(43, 300), []byte{53, 54, 51, 1, 3, 6, 15, 43, 43, 58, 59, 80, 61, 82}},
		{"no reader takes less than the usual", nil, 250, nil, []byte{53, 54, 51, 1, 3, 6, 15, 58, 59, 80, 61, 82}},
		{"who asks first gets in", codes(43), 0, long(43, 263), []byte{53, 54, 51, 43, 43, 1, 15, 61, 82}},
		{"an essential option is sent whatever its length", nil, 0, long(61, 250), []byte{53, 54, 51, 1, 3, 6, 15, 58, 59, 61, 82}},
		{"a long option in as many instances as it takes", codes(43), 2000, long(43, 3*255), []byte{53, 54, 51, 43, 43, 43, 1, 3, 6, 15, 58, 59, 80, 61, 82}},
	} {
		m := whole()
		if test.edit != nil {
			test.edit(m)
		}
		b := Encode(m, test.asked, test.limit)
		if got := order(t, b); !bytes.Equal(got, test.want) {
			t.Errorf("%s: options %v; want %v", test.name, got, test.want)
		}
		if most := max(test.limit, DefaultLimit); len(b) > most {
			t.Errorf("%s: %d octets; want at most %d", test.name, len(b), most)
		}
	}
}

// "The 'option overload' option [...] is used to indicate that the DHCP 'sname'
// or 'file' fields are being overloaded by using them to carry DHCP options":
// RFC 2132, section 9.3.
func TestEncodeOverloads(t *testing.T) {
	for _, test := range []struct {
		name        string
		sname, file string
		limit       int
		lens        map[uint8]int
		overload    byte
		left        []uint8
	}{
		{"all fits", "", "", 0, map[uint8]int{43: 255}, 0, nil},
		{"all just fits", "", "", 0, map[uint8]int{43: 255, 60: 40}, 0, nil},
		{"one octet too many", "", "", 0, map[uint8]int{43: 255, 60: 41}, 1, nil},
		{"into file, then into sname", "", "", 0, map[uint8]int{43: 255, 60: 125, 66: 61}, 3, nil},
		{"both full, the last is left out", "", "", 0, map[uint8]int{43: 255, 60: 125, 66: 61, 67: 37, 119: 1}, 3, []uint8{119}},
		{"file has a name", "", "pxelinux.0", 0, map[uint8]int{43: 255, 60: 60}, 2, nil},
		{"file has a name and sname is too short", "", "pxelinux.0", 0, map[uint8]int{43: 255, 60: 62}, 0, []uint8{60}},
		{"both have names", "tftp", "pxelinux.0", 0, map[uint8]int{43: 255, 60: 41}, 0, []uint8{60}},
		{"a longer message needs none", "", "", 1472, map[uint8]int{43: 255, 60: 200}, 0, nil},
		{"a long option stays in one piece", "", "", 0, map[uint8]int{43: 280, 60: 126}, 0, []uint8{60}},
	} {
		m := whole()
		m.ServerHostName, m.BootFileName = test.sname, test.file
		m.Options = dhcpv4.Options{53: {5}, 82: {1, 1, 7}}
		for code, n := range test.lens {
			m.Options[code] = bytes.Repeat([]byte{code}, n)
		}
		b := Encode(m, nil, test.limit)
		raw := dhcpv4.Options{}
		readOptions(raw, b[headerLen:])
		if got := raw[optOverload]; test.overload == 0 && got != nil || test.overload != 0 && !bytes.Equal(got, []byte{test.overload}) {
			t.Errorf("%s: overload %x; want %d", test.name, got, test.overload)
		}
		if codes := order(t, b); codes[0] != 53 || codes[len(codes)-1] != 82 {
			t.Errorf("%s: options %v; want 53 first and 82 last", test.name, codes)
		}
		for _, code := range test.left {
			delete(m.Options, code)
		}
		got, err := Parse(b)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: reads back as %+v, %v; want %+v", test.name, got, err, m)
		}
		if most := max(test.limit, DefaultLimit); len(b) > most {
			t.Errorf("%s: %d octets; want at most %d", test.name, len(b), most)
		}
	}
}

// A BOOTP client reads 300 octets and knows nothing of overload.
func TestEncodeForBOOTP(t *testing.T) {
	m := whole()
	m.ServerHostName, m.BootFileName = "", ""
	m.Options = dhcpv4.Options{1: {255, 255, 255, 0}, 3: {192, 0, 2, 1}, 43: make([]byte, 100)}
	b := Encode(m, nil, 300)
	if got := order(t, b); len(b) != 300 || !bytes.Equal(got, []byte{1, 3}) {
		t.Errorf("%d octets with options %v; want 300 with 1 and 3", len(b), got)
	}
}

func TestEncodeFillsTheLimit(t *testing.T) {
	m := whole()
	m.Options = dhcpv4.Options{53: {2}, 80: {}, 81: {}, 43: nil}
	for n := 280; n < 300; n++ {
		m.Options[43] = make([]byte, n)
		b := Encode(m, codes(43), 0)
		fits := headerLen+3+n+4+1 <= DefaultLimit
		if got := bytes.Contains(b, []byte{43, 255}); got != fits || len(b) > DefaultLimit {
			t.Errorf("with an option of %d octets: %d octets, included %v; want at most %d, %v", n, len(b), got, DefaultLimit, fits)
		}
	}
}

func TestEncodeIsNeverShorterThanBOOTP(t *testing.T) {
	m := whole()
	m.Options = dhcpv4.Options{53: {1}}
	if n := len(Encode(m, nil, 0)); n != 300 {
		t.Errorf("a message of one option takes %d octets; want 300", n)
	}
}

func TestTimesAreAlwaysInOrder(t *testing.T) {
	const s, h = time.Second, time.Hour
	type times [3]time.Duration // t1, t2, term
	none := time.Duration(-1)
	for _, test := range []struct {
		name string
		in   times
		want times
	}{
		{"as they should be", times{1800 * s, 3150 * s, h}, times{1800 * s, 3150 * s, h}},
		{"only a lease time", times{none, none, h}, times{1800 * s, 3150 * s, h}},
		{"no lease time", times{none, none, none}, times{1800 * s, 3150 * s, h}},
		{"a short lease is obeyed", times{none, none, 30 * s}, times{15 * s, 26250 * time.Millisecond, 30 * s}},
		{"a hostile lease is not", times{none, none, s}, times{10 * s, 17500 * time.Millisecond, 20 * s}},
		{"no lease at all", times{0, 0, 0}, times{10 * s, 17500 * time.Millisecond, 20 * s}},
		{"zeros", times{0, 0, h}, times{1800 * s, 3150 * s, h}},
		{"T2 at the end", times{1800 * s, h, h}, times{1800 * s, 3150 * s, h}},
		{"T2 behind the end", times{1800 * s, 2 * h, h}, times{1800 * s, 3150 * s, h}},
		{"T1 behind T2", times{3200 * s, 3150 * s, h}, times{1800 * s, 3150 * s, h}},
		{"T1 at T2", times{3150 * s, 3150 * s, h}, times{1800 * s, 3150 * s, h}},
		{"T2 before the usual T1", times{none, 700 * s, h}, times{400 * s, 700 * s, h}},
		{"T2 at once", times{none, s, h}, times{s / 7 * 4, s, h}},
		{"all behind the end", times{2 * h, 3 * h, h}, times{1800 * s, 3150 * s, h}},
		{"for ever", times{none, none, Infinite}, times{Infinite / 2, Infinite / 8 * 7, Infinite}},
	} {
		m := &dhcpv4.DHCPv4{}
		for i, code := range []dhcpv4.OptionCode{dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue, dhcpv4.OptionIPAddressLeaseTime} {
			if test.in[i] != none {
				m.UpdateOption(dhcpv4.Option{Code: code, Value: dhcpv4.Duration(test.in[i])})
			}
		}
		t1, t2, term := Times(m)
		if got := (times{t1, t2, term}); got != test.want {
			t.Errorf("%s: Times(%v) = %v; want %v", test.name, test.in, got, test.want)
		}
		if !(0 < t1 && t1 < t2 && t2 < term) {
			t.Errorf("%s: Times(%v) = %v, %v, %v are out of order", test.name, test.in, t1, t2, term)
		}
	}
}

// FuzzParse reads arbitrary octets as a message. What can be read is written so
// that it reads the same; only a name without room for its final zero loses its
// last octet.
func FuzzParse(f *testing.F) {
	for _, test := range lenient {
		f.Add(message(f, test.sname, test.file, test.options))
	}
	f.Add(Encode(whole(), nil, 2000))
	f.Add(message(f, "61*64", "62*128", "35 01 01 ff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		out := Encode(m, m.ParameterRequestList(), 1<<20)
		got, err := Parse(out)
		if err != nil {
			t.Fatalf("Parse(%x): %v", out, err)
		}
		m.ServerHostName = m.ServerHostName[:min(len(m.ServerHostName), 63)]
		m.BootFileName = m.BootFileName[:min(len(m.BootFileName), 127)]
		if !reflect.DeepEqual(got, m) {
			t.Errorf("Parse(Encode(m)) = %+v; want %+v", got, m)
		}
		if name := HostName(m.HostName()); HostName(name) != name || len(name) > 63 {
			t.Errorf("HostName(%q) = %q", m.HostName(), name)
		}
		if id := ClientID(m); len(id) > MaxID {
			t.Errorf("an identity of %d octets", len(id))
		}
		if t1, t2, term := Times(m); !(0 < t1 && t1 < t2 && t2 < term) {
			t.Errorf("Times = %v, %v, %v", t1, t2, term)
		}
	})
}

// FuzzParseAgreesWithTheCodec: what the codec, which is stricter, reads as a
// message, Parse reads as the same one. Where they are meant to differ, the
// message is left aside: options in file and sname (52), which the codec takes
// for names, and further instances of options that have one length, which it
// concatenates.
func FuzzParseAgreesWithTheCodec(f *testing.F) {
	for _, test := range lenient {
		f.Add(message(f, test.sname, test.file, test.options))
	}
	f.Add(Encode(whole(), nil, 2000))
	f.Fuzz(func(t *testing.T, b []byte) {
		theirs, err := dhcpv4.FromBytes(b)
		if err != nil || b[2] > 16 || theirs.Options.Has(dhcpv4.OptionOptionOverload) {
			return
		}
		for code, n := range fixedLen {
			if v, ok := theirs.Options[code]; ok && len(v) != n {
				return
			}
		}
		ours, err := Parse(b)
		if err != nil {
			if theirs.MessageType() != dhcpv4.MessageTypeNone {
				t.Errorf("Parse(%x): %v; the codec reads %v", b, err, theirs)
			}
			return
		}
		same := maps.EqualFunc(ours.Options, theirs.Options, bytes.Equal)
		a, c := *ours, *theirs
		a.Options, c.Options = nil, nil
		if !same || !reflect.DeepEqual(a, c) {
			t.Errorf("Parse(%x) = %+v; the codec reads %+v", b, ours, theirs)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	wire := Encode(whole(), nil, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(wire); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	m, asked := whole(), codes(1, 3, 6, 15, 28, 42, 119, 121)
	b.ReportAllocs()
	for b.Loop() {
		Encode(m, asked, 0)
	}
}
