package status

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Page returns the report as an HTML document, as of now.
func Page(r *Report, now time.Time) []byte {
	p := &page{now: now}
	p.raw(head)
	p.raw("<h1>leasehold</h1>\n<p class=sub>version ", esc(r.Version), " · up for ", p.since(r.Started), memory(r.Memory), "</p>\n")
	p.lastWords(r.LastWords)
	p.alarms(r.Alarms)
	p.problems(r.Problems)
	p.wan(r.WAN)
	for _, l := range r.LANs {
		p.lan(l)
	}
	p.ring(r.Ring)
	p.events(r.Events)
	p.raw("<footer class=soft><a href=/devices>What each device was answered</a> · <a href=/status.json>JSON</a> · ",
		"<a href=/metrics>Metrics</a> for Prometheus</footer>\n</main>\n")
	return p.b.Bytes()
}

// DevicesPage returns what each device asked for lately, and what came of it.
func DevicesPage(r *Report, now time.Time) []byte {
	p := &page{now: now}
	p.raw(head)
	p.raw("<h1>leasehold</h1>\n<p class=sub><a href=/>What is going on</a></p>\n")
	for _, l := range r.LANs {
		p.raw("<h2>", title(l.Name), "</h2>\n")
		if len(l.Devices) == 0 {
			p.raw("<p class=soft>No device was heard yet.</p>\n")
			continue
		}
		p.raw("<div class=wide><table>\n<tr><th>Device<th>Heard<th>Asked<th>Address<th>Answer<th>Why\n")
		for _, d := range l.Devices {
			p.device(d)
		}
		p.raw("</table></div>\n")
	}
	p.raw("</main>\n")
	return p.b.Bytes()
}

func (p *page) device(d Device) {
	who := esc(cmp.Or(d.Name, "–")) + "<br><span class=soft>" + esc(d.HW) + "</span>"
	for _, e := range slices.Backward(d.Said) {
		p.raw("<tr><td>", who, "<td>", p.since(e.At), " ago<td>", asked(e),
			"<td>", esc(cmp.Or(orBlank(e.Addr), "–")), "<td>", esc(cmp.Or(e.Answer, "none")), "<td class=text>", esc(e.Why), "\n")
		who = ""
	}
}

func asked(e Exchange) string {
	if e.Times > 1 {
		return fmt.Sprintf("%s, %d times", esc(e.Asked), e.Times)
	}
	return esc(e.Asked)
}

func orBlank(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

const head = `<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<meta http-equiv=refresh content=10>
<title>leasehold</title>
<style>
:root{color-scheme:light dark;--line:#8884;--soft:#888;--good:#2a8a4a;--bad:#c33}
body{margin:0;font:16px/1.5 system-ui,sans-serif}
main{max-width:56rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{margin:0;font-size:1.6rem}h2{margin:2rem 0 .5rem;font-size:1.15rem}h3{margin:1.2rem 0 0;font-size:1rem}
.sub,.soft{color:var(--soft)}.sub{margin:0}
.good{color:var(--good)}.bad{color:var(--bad)}
.box{border:1px solid var(--bad);border-radius:.4rem;padding:.6rem .9rem;margin:1rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8rem;margin:.5rem 0 0}
.wide{overflow-x:auto;margin-top:.8rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--soft);font-size:.85rem}
dl{display:grid;grid-template-columns:9.5rem 1fr;gap:.2rem 1.2rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}.text{white-space:normal;width:100%}
@media(max-width:32rem){dl{grid-template-columns:7.2rem 1fr;gap:.2rem .8rem}}
footer{margin-top:2.5rem;font-size:.85rem}a{color:inherit}
</style>
<main>
`

// esc makes text from outside safe as HTML text and as an attribute.
func esc(s string) string { return html.EscapeString(s) }

// A page collects HTML. What raw is given is markup of ours or went through esc.
type page struct {
	b   bytes.Buffer
	now time.Time
}

func (p *page) raw(parts ...string) {
	for _, s := range parts {
		p.b.WriteString(s)
	}
}

func (p *page) field(name, value string) {
	p.raw("<dt>", name, "</dt><dd>", esc(value), "</dd>\n")
}

// known is a field that is left out where there is nothing to say.
func (p *page) known(name, value string) {
	if value != "" {
		p.field(name, value)
	}
}

// ways lists routes but for the default one, which stands as the gateway.
func ways(routes []Route) string {
	var words []string
	for _, r := range routes {
		switch {
		case !r.Via.IsValid():
			words = append(words, r.To.String()+" on the link")
		case r.To.Bits() > 0:
			words = append(words, fmt.Sprintf("%v by %v", r.To, r.Via))
		}
	}
	return strings.Join(words, ", ")
}

func (p *page) trouble(why string) {
	if why != "" {
		p.raw("<p class=bad>", esc(why), "</p>\n")
	}
}

func memory(m Memory) string {
	if m.Resident == 0 || m.Free == 0 {
		return ""
	}
	return fmt.Sprintf(" · %.1f MB of memory, %.0f MB left", float64(m.Resident)/1e6, float64(m.Free)/1e6)
}

func (p *page) lastWords(words string) {
	if words != "" {
		p.raw("<div class=box><b>The router failed not long ago and was restarted. Its last words:</b>\n<pre>", esc(words), "</pre></div>\n")
	}
}

func (p *page) alarms(list []Alarm) {
	for _, text := range alarms(list, p.now) {
		p.raw("<div class=box><b class=bad>", esc(text), "</b></div>\n")
	}
}

func (p *page) problems(list []string) {
	if len(list) == 0 {
		return
	}
	p.raw("<div class=box><b>The configuration has mistakes; the rest of it is in force.</b>\n<ul>\n")
	for _, s := range list {
		p.raw("<li>", esc(s), "</li>\n")
	}
	p.raw("</ul></div>\n")
}

func (p *page) wan(w WAN) {
	p.raw("<h2>Internet (WAN)</h2>\n")
	p.trouble(w.Trouble)
	p.raw("<dl>\n")
	if w.Device == "" {
		p.raw("<dt>State</dt><dd>not configured</dd>\n</dl>\n")
		return
	}
	class := "bad"
	if w.Addr.IsValid() && !w.Held {
		class = "good"
	}
	p.raw("<dt>State</dt><dd class=", class, ">", esc(w.State), "</dd>\n")
	port := w.Device
	if w.NoCable {
		port += ", no cable"
	}
	p.field("Port", port)
	if w.Addr.IsValid() {
		p.granted(w)
	}
	for _, e := range w.Refused {
		p.field("Not used", fmt.Sprintf("%s, %s ago", e.Text, p.since(e.At)))
	}
	p.raw("</dl>\n")
}

// granted shows what the provider's lease says.
func (p *page) granted(w WAN) {
	p.field("Address", w.Addr.String())
	p.field("Gateway", orNone(w.Gateway))
	p.known("Routes", ways(w.Routes))
	if w.MTU != 0 {
		p.field("MTU", fmt.Sprint(w.MTU))
	}
	p.field("Name servers", join(w.DNS))
	p.known("Domain", w.Domain)
	p.known("Searched", strings.Join(w.Search, ", "))
	if len(w.NTP) > 0 {
		p.field("Time servers", join(w.NTP))
	}
	server := "nobody: no server answers"
	if w.Server.IsValid() {
		server = w.Server.String()
	}
	p.field("Granted by", server)
	p.field("Renews", p.in(w.Renew))
	p.field("Ends", p.in(w.Expires))
}

func (p *page) lan(l LAN) {
	p.raw("<h2>", title(l.Name), "</h2>\n")
	p.trouble(l.Trouble)
	p.raw("<dl>\n")
	addr := orNone(l.Addr)
	if l.MovedFrom.IsValid() {
		addr += fmt.Sprintf(", moved from %v out of the provider's way", l.MovedFrom)
	}
	if l.Via != "" {
		p.field("Addresses", addr)
		p.field("Relay agents", "on "+l.Via)
	} else {
		p.field("Bridge", cmp.Or(l.Device, "none"))
		p.field("Address", addr)
	}
	if l.First.IsValid() {
		p.field("Gives out", fmt.Sprintf("%v to %v", l.First, l.Last))
	}
	if l.Size > 0 {
		p.field("In use", group(l.Used)+" of "+group(l.Size))
	}
	if l.Tight {
		p.field("Nearly full", "devices that make up their hardware address get short leases, until they have come back after a day")
	}
	if l.Refused > 0 {
		p.field("Not read", fmt.Sprintf("%d messages of a flood", l.Refused))
	}
	if l.Lost > 0 {
		p.field("Lost", fmt.Sprintf("%d messages came faster than they could be answered", l.Lost))
	}
	p.raw("</dl>\n")
	p.leases(l.Leases)
	p.unserved(l.Devices)
}

func (p *page) leases(list []Lease) {
	if len(list) == 0 {
		p.raw("<p class=soft>No device has asked for an address yet.</p>\n")
		return
	}
	p.raw("<div class=wide><table>\n<tr><th>Address<th>Device<th>Time left<th>State<th>Hardware address\n")
	leases := slices.SortedFunc(slices.Values(list), func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	for _, e := range leases {
		p.lease(e)
	}
	p.raw("</table></div>\n")
}

// mostUnserved is how many devices without an address are on the page; all are
// on that of the devices.
const mostUnserved = 10

// unserved says why devices that asked have no address.
func (p *page) unserved(devices []Device) {
	devices = slices.DeleteFunc(slices.Clone(devices), func(d Device) bool { return !d.unserved(p.now) })
	if len(devices) == 0 {
		return
	}
	p.raw("<h3>Devices without an address</h3>\n<div class=wide><table>\n",
		"<tr><th>Device<th>Hardware address<th>Asked<th>Heard<th>Why it has none\n")
	for _, d := range devices[:min(len(devices), mostUnserved)] {
		e := d.Said[len(d.Said)-1]
		why := esc(e.Why)
		if e.Addr.IsValid() {
			why += esc(" (" + e.Addr.String() + ")")
		}
		p.raw("<tr><td>", esc(cmp.Or(d.Name, "–")), "<td>", esc(d.HW), "<td>", asked(e), "<td>", p.since(e.At), " ago<td class=text>", why, "\n")
	}
	p.raw("</table></div>\n")
	if more := len(devices) - mostUnserved; more > 0 {
		p.raw("<p class=soft>and ", count(more, "other"), "</p>\n")
	}
}

// offerAge is how soon a device takes an offer that it wants.
const offerAge = 10 * time.Second

// unserved reports whether the device asked for an address and has none, but
// for one that gave it back or is just being offered one.
func (d Device) unserved(now time.Time) bool {
	if d.Addr.IsValid() || len(d.Said) == 0 {
		return false
	}
	last := d.Said[len(d.Said)-1]
	switch last.Asked {
	case "DISCOVER":
		return last.Answer == "" || now.Sub(last.At) > offerAge
	case "REQUEST":
		return last.Answer != "ACK"
	}
	return last.Asked == "DECLINE"
}

// title names a network as its owner does.
func title(network string) string {
	if network == "lan" {
		return "Home network (LAN)"
	}
	return "Network “" + esc(network) + "”"
}

func (p *page) lease(e Lease) {
	state := e.stateAt(p.now)
	if !e.Heard && state != expired {
		state += ", not heard since the reboot"
	}
	p.raw("<tr><td>", esc(orNone(e.Addr)), "<td>", esc(cmp.Or(e.Name, "–")), "<td>", p.left(e.Until),
		"<td>", esc(state), "<td>", esc(cmp.Or(e.HW, "–")), "\n")
}

// The states that a Lease goes through without anybody's doing.
const (
	bound   = "bound"
	expired = "expired"
)

func (e Lease) stateAt(now time.Time) string {
	if e.State == bound && !e.Until.IsZero() && e.Until.Before(now) {
		return expired
	}
	return e.State
}

func (p *page) ring(g Ring) {
	p.raw("<h2>Lease ring</h2>\n")
	if g.Trouble != "" {
		p.trouble("Leases are not kept over a reboot, and are therefore short; this is tried again by itself: " + g.Trouble)
	}
	if g.Sparing != "" {
		p.trouble("New devices get short leases that a reboot forgets: " + g.Sparing)
	}
	p.raw("<dl>\n")
	if len(g.Erases) == 0 {
		p.field("Kept in", "memory only")
	} else {
		p.field("Kept in", g.Path)
		p.field("Records", fmt.Sprintf("%s, in %s of %s octets", group(g.Records), group(g.Live), group(g.Capacity)))
		p.wear(g)
		p.health(g)
	}
	if g.Lent > 0 {
		p.field("Not kept", count(g.Lent, "lease")+", in memory only")
	}
	p.raw("</dl>\n")
}

func (p *page) wear(g Ring) {
	p.field("Written", count(g.Programmed, "octet")+" since the start")
	p.field("Erased", erases(g))
	if g.Burst > 0 {
		p.field("Wear budget", budget(g))
	}
	if g.Cycles > 0 {
		p.field("Lasts", lasts(g.Pace))
	}
}

func (p *page) health(g Ring) {
	switch {
	case g.Bad > 0:
		p.raw("<dt>Health</dt><dd class=bad>", fmt.Sprintf("worn out: %d of %d segments", g.Bad, len(g.Erases)), "</dd>\n")
	case g.Damaged > 0:
		p.raw("<dt>Health</dt><dd class=bad>", fmt.Sprintf("%d damaged records were skipped", g.Damaged), "</dd>\n")
	default:
		p.raw("<dt>Health</dt><dd class=good>good</dd>\n")
	}
}

func (p *page) events(list []Event) {
	if len(list) == 0 {
		return
	}
	p.raw("<h2>Lately</h2>\n<div class=wide><table>\n")
	for _, e := range slices.Backward(list) {
		p.raw("<tr><td class=soft>", p.since(e.At), " ago<td class=text>", esc(e.Text), "\n")
	}
	p.raw("</table></div>\n")
}

func (p *page) since(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return Duration(p.now.Sub(t))
}

func (p *page) in(t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.Before(p.now):
		return "now"
	}
	return "in " + p.left(t)
}

func (p *page) left(t time.Time) string {
	switch {
	case t.IsZero():
		return "for ever"
	case t.Before(p.now):
		return "–"
	}
	return Duration(t.Sub(p.now))
}

// Duration says d in its two largest units: "3 d 4 h", "11 h 59 min", "42 s".
func Duration(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	units := []struct {
		name string
		secs int64
	}{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}}
	for i, u := range units {
		if s < u.secs && u.secs > 1 {
			continue
		}
		text := fmt.Sprintf("%d %s", s/u.secs, u.name)
		if i+1 < len(units) {
			if rest := s % u.secs / units[i+1].secs; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0 s"
}

func orNone(a interface {
	IsValid() bool
	String() string
}) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

func join(list []netip.Addr) string {
	if len(list) == 0 {
		return "none"
	}
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}

func erases(g Ring) string {
	low, high := slices.Min(g.Erases), slices.Max(g.Erases)
	times := count(low, "time")
	if low < high {
		times = fmt.Sprintf("%s to %s", group(low), count(high, "time"))
	}
	text := fmt.Sprintf("%s each of %d segments", times, len(g.Erases))
	if g.Cycles > 0 {
		text += ", good for " + group(g.Cycles)
	}
	return text
}

// recordSize is what a lease takes where none is there to tell.
const recordSize = 64

// budget counts in leases: octets mean nothing to people, and a part of the
// credit would look like a part of the flash.
func budget(g Ring) string {
	size := int64(recordSize)
	if g.Records > 0 {
		size = int64(max(g.Live/g.Records, 1))
	}
	now, daily, years := roughly(g.Credit/size), roughly(g.PerDay/size), count(g.Years, "year")
	if now < 1 {
		return fmt.Sprintf("used up; about %s a day for %s", count(daily, "new lease"), years)
	}
	return fmt.Sprintf("about %s now, and %s a day for %s", count(now, "new lease"), group(daily), years)
}

// roughly leaves n two digits that are not 0.
func roughly(n int64) int64 {
	unit := int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}

func lasts(years float64) string {
	switch {
	case years > 100:
		return "more than 100 years at this pace"
	case years >= 1:
		return count(int(years), "year") + " at this pace"
	case years > 0:
		return "less than a year at this pace"
	}
	return "not known yet"
}

type integer interface{ int | int64 | uint32 }

// count says how many there are: "1 lease", "2 leases".
func count[N integer](n N, what string) string {
	if n != 1 {
		what += "s"
	}
	return group(n) + " " + what
}

// group sets the thousands of n, which is not below 0, apart: "32 000". The
// spaces do not break.
func group[N integer](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u00a0" + s[i:]
	}
	return s
}
