package main

import (
	"os"
	"strings"
	"testing"
)

// TestPageInABrowser: Chromium on a laptop's network shows the leases; the page
// is on the LAN address only, and loads nothing from elsewhere.
func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.provider("1h")
	s.on()
	s.says(s.proc, 0, `msg=bound side=wan`)
	had := map[string]string{}
	for i, c := range []client{udhcpc{}, dhclient{}} {
		l := s.laptop([]string{"anna", "ben"}[i], i+1, c)
		s.boot(l)
		had[l.name] = s.reports(l, 0, "bound").ip
	}
	s.eventually("ben on the page", func() bool { return strings.Contains(s.page(), "<td>ben<td>") })

	ns := s.prefix + "anna"
	dom, err := run(ns, chromium(s.dir, "--dump-dom", "http://"+routerIP+"/")...)
	check(t, err)
	for _, want := range []string{had["anna"], had["ben"], s.uplink(), "<td>anna</td>", "BOUND", "leasehold.ring", "good"} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(dom, "<script") || strings.Contains(dom, "src=") {
		t.Error("the page loads something")
	}
	if t.Failed() {
		t.Log(dom)
	}
	if picture := os.Getenv("LEASEHOLD_PICTURE"); picture != "" {
		_, err := run(ns, chromium(s.dir, "--window-size=900,1150", "--screenshot="+picture, "http://"+routerIP+"/")...)
		check(t, err)
	}

	check(t, ip(s.isp, "route add "+routerIP+" via "+s.uplink()))
	if out, err := run(s.isp, "busybox", "wget", "-T", "3", "-q", "-O", "-", "http://"+routerIP+"/"); err == nil {
		t.Errorf("the provider reads the page:\n%s", out)
	}
	listening, err := run(s.router, "ss", "-Htln")
	check(t, err)
	if f := strings.Fields(listening); len(f) < 4 || f[3] != routerIP+":80" || strings.Count(listening, "\n") != 1 {
		t.Errorf("listening: %s; want only %s:80", listening, routerIP)
	}
}

// chromium is the command for a browser without a screen, a profile and a word
// to anybody else.
func chromium(dir string, args ...string) []string {
	return append([]string{"timeout", "50", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--hide-scrollbars", "--user-data-dir=" + dir + "/chromium"}, args...)
}
