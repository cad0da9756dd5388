package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"leasehold/dhcp"
	"leasehold/dhcp/lease"
	"leasehold/firmware/config"
	"leasehold/firmware/router"
	"leasehold/firmware/status"
)

// runLeases prints what a ring holds, also while a router writes it. It fails
// if some of it cannot be read, after it has printed the rest.
func runLeases(now time.Time, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	format := flags.String("f", "table", "`format`: table, json or dnsmasq")
	end := atEnd(flags)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	show, ok := formats[*format]
	if !ok {
		return fmt.Errorf("leases: no format %q; there are table, json and dnsmasq", *format)
	}
	at, err := place(flags.Arg(0), *end)
	if err != nil {
		return err
	}
	list, err := router.ReadRing(at)
	if err != nil {
		return err
	}
	if _, err := stdout.Write(show(now, list)); err != nil {
		return err
	}
	if bad := len(list.Bad) + list.Health.Damaged; bad > 0 {
		return fmt.Errorf("%v: %s cannot be read", at, count(bad, "record"))
	}
	return nil
}

var formats = map[string]func(time.Time, router.Listing) []byte{
	"table":   asTable,
	"json":    asJSON,
	"dnsmasq": asDnsmasq,
}

func asTable(_ time.Time, list router.Listing) []byte {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tHARDWARE ADDRESS\tNAME\tLEASE TIME\tCLIENT")
	for _, b := range list.Bindings {
		term := "infinite"
		if b.Term != config.Infinite {
			term = status.Duration(b.Term)
		}
		fmt.Fprintf(w, "%v\t%v\t%s\t%s\t%v\n", b.Addr, b.HW, cmp.Or(b.Name, "-"), term, b.ID)
	}
	w.Flush()
	for _, bad := range list.Bad {
		fmt.Fprintln(&out, "not readable:", bad)
	}
	if list.WAN.Addr.IsValid() {
		from := "given back"
		if list.WAN.Server.IsValid() {
			from = "from " + list.WAN.Server.String()
		}
		fmt.Fprintf(&out, "\nWAN port last had %v (%s).\n", list.WAN.Addr, from)
	}
	fmt.Fprintf(&out, "\n%s; the ring holds %d of %d octets, segments erased %v times.\n",
		count(len(list.Bindings), "lease"), list.Health.Live, list.Health.Capacity, list.Health.Erases)
	fmt.Fprintln(&out, "A ring does not say which of them are over or given back, nor what is lent: the page does.")
	return out.Bytes()
}

// asDnsmasq writes lines as dnsmasq does in its lease file: when the lease ends,
// hardware address, address, name, client identifier. The ring holds no end but
// a term; from now on no lease runs longer than that, by this machine's clock.
func asDnsmasq(now time.Time, list router.Listing) []byte {
	var out bytes.Buffer
	for _, b := range list.Bindings {
		var ends int64 // 0: never
		if b.Term != config.Infinite {
			ends = now.Add(b.Term).Unix()
		}
		hw, id := "00-", octets(b.ID) // dnsmasq's way to say that there is none
		if b.HW.IsUnicast() {
			hw = b.HW.String()
			if b.ID == dhcp.HardwareID(b.HW) {
				id = "*"
			}
		}
		fmt.Fprintf(&out, "%d %s %v %s %s\n", ends, hw, b.Addr, cmp.Or(b.Name, "*"), id)
	}
	return out.Bytes()
}

// octets writes an identity in hex: "ff:00:01".
func octets(id dhcp.ID) string {
	pairs := make([]string, len(id))
	for i := range pairs {
		pairs[i] = hex.EncodeToString([]byte(id[i : i+1]))
	}
	return strings.Join(pairs, ":")
}

type (
	listingJSON struct {
		Leases     []leaseJSON `json:"leases"`
		WAN        *wanJSON    `json:"wan"`
		Ring       ringJSON    `json:"ring"`
		Unreadable []string    `json:"unreadable"`
	}
	leaseJSON struct {
		Address         netip.Addr `json:"address"`
		HardwareAddress *string    `json:"hardware_address"` // null: not Ethernet
		ClientID        string     `json:"client_id"`
		Name            string     `json:"name"`
		TermSeconds     *int64     `json:"term_seconds"` // null: infinite
	}
	wanJSON struct {
		Address netip.Addr  `json:"address"`
		Server  *netip.Addr `json:"server"` // null: the address was given back
	}
	ringJSON struct {
		Path           string   `json:"path"`
		Records        int      `json:"records"`
		LiveBytes      int      `json:"live_bytes"`
		CapacityBytes  int      `json:"capacity_bytes"`
		SegmentBytes   int      `json:"segment_bytes"`
		Erases         []uint32 `json:"erases"`
		DamagedRecords int      `json:"damaged_records"`
		BadSegments    int      `json:"bad_segments"`
	}
)

// asJSON uses encoding/json, which is in the binary for log/slog already.
func asJSON(_ time.Time, list router.Listing) []byte {
	h := list.Health
	l := listingJSON{
		Leases: []leaseJSON{},
		Ring: ringJSON{
			Path: h.Path, Records: h.Records, LiveBytes: h.Live, CapacityBytes: h.Capacity, SegmentBytes: h.Segment,
			Erases: h.Erases, DamagedRecords: h.Damaged, BadSegments: h.Bad,
		},
		Unreadable: []string{},
	}
	for _, b := range list.Bindings {
		l.Leases = append(l.Leases, newLeaseJSON(b))
	}
	if list.WAN.Addr.IsValid() {
		l.WAN = &wanJSON{Address: list.WAN.Addr}
		if list.WAN.Server.IsValid() {
			l.WAN.Server = &list.WAN.Server
		}
	}
	for _, bad := range list.Bad {
		l.Unreadable = append(l.Unreadable, bad.Error())
	}
	out, _ := json.MarshalIndent(l, "", "  ") // strings and numbers always encode
	return append(out, '\n')
}

func newLeaseJSON(b lease.Binding) leaseJSON {
	l := leaseJSON{Address: b.Addr, ClientID: octets(b.ID), Name: b.Name}
	if b.HW.IsUnicast() {
		l.HardwareAddress = new(b.HW.String())
	}
	if b.Term != config.Infinite {
		l.TermSeconds = new(int64(b.Term / time.Second))
	}
	return l
}
