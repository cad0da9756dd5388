package dhcp

import (
	"strings"
	"testing"
)

func TestHostName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"laptop", "laptop"},
		{"Living-Room2", "Living-Room2"},
		{"7", "7"},
		{"laptop.lan", "laptop"},
		{"laptop.", "laptop"},
		{".laptop", "laptop"},
		{"laptop\x00", "laptop"},
		{"  laptop ", "laptop"},
		{"Anna's iPad", "Annas-iPad"},
		{"my_phone", "my-phone"},
		{"-laptop-", "laptop"},
		{"--", ""},
		{"-.lan", ""},
		{"...", ""},
		{"\x00\x00", ""},
		{"büro", "bro"},
		{"日本", ""},
		{"\xff\xfe\x80", ""},
		{"<script>alert(1)</script>", "scriptalert1script"},
		{`"onload="x`, "onloadx"},
		{"a&lt;b", "altb"},
		{"\x1b[2Jboo", "2Jboo"},
		{"a\r\nSet-Cookie: b", "aSet-Cookie-b"},
		{"../../etc/passwd", ""},
		{"$(reboot)", "reboot"},
		{"a\u202etxt", "atxt"},
		{long + "b", long},
		{strings.Repeat("a", 62) + "--b", strings.Repeat("a", 62)},
		{strings.Repeat("<", 300) + "a", "a"},
	} {
		got := HostName(test.in)
		if got != test.want {
			t.Errorf("HostName(%q) = %q; want %q", test.in, got, test.want)
		}
		if again := HostName(got); again != got {
			t.Errorf("HostName(%q) = %q; want it unchanged", got, again)
		}
	}
}
