package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// brief writes sections on one line: dhcp lan start="100" mac+="00:11" / host
func brief(sections []Section) string {
	var b strings.Builder
	for i, s := range sections {
		if i > 0 {
			b.WriteString(" / ")
		}
		if s.Package != "" {
			b.WriteString(s.Package + ".")
		}
		b.WriteString(strings.TrimSpace(s.Type + " " + s.Name))
		for _, o := range s.Options {
			op := "="
			if o.List {
				op = "+="
			}
			fmt.Fprintf(&b, " %s%s%q", o.Name, op, o.Value)
		}
	}
	return b.String()
}

func TestParseUCIReadsWhatLibuciReads(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"blank lines and comments", "\n \t\n# x\n  # 'y\n", ""},
		{"single quotes", "config t\noption a 'x y'", `t a="x y"`},
		{"double quotes", "config t\noption a \"x y\"", `t a="x y"`},
		{"no quotes", "config t\noption a x\n", `t a="x"`},
		{"empty value", "config t\noption a ''\noption b \"\"\n", `t a="" b=""`},
		{"no value", "config t\noption a\n", `t a=""`},
		{"joined quotes", `config t` + "\n" + `option a 'it'\''s'`, `t a="it's"`},
		{"joined parts", `config t` + "\n" + `option a x'y'"z"w`, `t a="xyzw"`},
		{"escaped quote", `config t` + "\n" + `option a "a\"b"`, `t a="a\"b"`},
		{"escape is no code", `config t` + "\n" + `option a "a\nb" `, `t a="anb"`},
		{"escaped blank", `config t` + "\n" + `option a x\ y`, `t a="x y"`},
		{"escaped comment", `config t` + "\n" + `option a x\#y\;z`, `t a="x#y;z"`},
		{"backslash in single quotes", `config t` + "\n" + `option a 'a\b'`, `t a="a\\b"`},
		{"trailing comment", "config t # c\noption a 'x' # c 'd\n", `t a="x"`},
		{"comment ends a word", "config t\noption a x#y\noption b z", `t a="x" b="z"`},
		{"hash in quotes", "config t\noption a 'x # y'", `t a="x # y"`},
		{"semicolons", "config t; option a 'x'; option b y;", `t a="x" b="y"`},
		{"semicolon next to a word", "config t;option a x;list b y", `t a="x" b+="y"`},
		{"semicolon in quotes", "config t\noption a 'x;y'", `t a="x;y"`},
		{"continued between words", "config \\\nt\noption a \\\n x", `t a="x"`},
		{"continued in a word", "config t\noption a x\\\ny", `t a="xy"`},
		{"continued in double quotes", "config t\noption a \"x \\\ny\"", `t a="x y"`},
		{"not continued in a comment", "config t # \\\noption a x", `t a="x"`},
		{"backslash at the end", "config t\noption a x\\", `t a="x"`},
		{"lines in single quotes", "config t\noption a 'x\n y'\noption b z", `t a="x\n y" b="z"`},
		{"lines in double quotes", "config t\noption a \"x\n\ny\"\noption b z", `t a="x\n\ny" b="z"`},
		{"lines end as in DOS", "config t\r\n\toption a 'x'\r\n\toption b \\\r\ny\r\n", `t a="x" b="y"`},
		{"byte order mark", "\xef\xbb\xbfconfig t\n", `t`},
		{"list", "config t\nlist a x\nlist a y", `t a+="x" a+="y"`},
		{"short verbs", "p k\nc t n\no a x\nl b y", `k.t n a="x" b+="y"`},
		{"packages", "package a\nconfig t\npackage b-c\nconfig u", `a.t / b-c.u`},
		{"name in quotes", "config 't' \"n_1\"\noption 'a' 'x'", `t n_1 a="x"`},
		{"type of printable bytes", "config wifi-iface\nconfig '#;!~'", `wifi-iface / #;!~`},
		{"same name twice", "config t n\noption a x\nconfig t n\noption a y", `t n a="x" / t n a="y"`},
		{"bytes above ASCII", "config t\noption a 'Küche'", `t a="Küche"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := ParseUCI("f", []byte(tt.text))
			if brief(got) != tt.want || problems != nil {
				t.Errorf("ParseUCI(%q) = %s, %v; want %s", tt.text, brief(got), problems, tt.want)
			}
		})
	}
}

func TestParseUCIBadEntrySpoilsOnlyItself(t *testing.T) {
	const good = "config t\noption a x\n"
	for _, tt := range []struct{ name, text, want, problem string }{
		{"unknown verb", good + "optoin b y\noption c z", `t a="x" c="z"`, "f:3: 'optoin' is none of"},
		{"two in a line", good + "foo; option c z", `t a="x" c="z"`, "f:3: 'foo' is none of"},
		{"option name", good + "option b-b y\noption c z", `t a="x" c="z"`, "f:3: option name 'b-b'"},
		{"no option name", good + "option\noption c z", `t a="x" c="z"`, "f:3: option needs a name"},
		{"too many words", good + "option b y y\noption c z", `t a="x" c="z"`, "f:3: 'y' is one word too many"},
		{"no type", good + "config\noption b y", `t a="x"`, "f:3: config needs a type"},
		{"type", good + "config 'u u'\noption b y\nconfig v", `t a="x" / v`, "f:3: section type 'u u'"},
		{"section name", good + "config u n-n\noption b y\nconfig v", `t a="x" / v`, "f:3: section name 'n-n'"},
		{"config of too many words", good + "config u n m\noption b y\nconfig v", `t a="x" / v`, "f:3: 'm' is one"},
		{"config with an open quote", good + "config u 'n\noption b y\nconfig v", `t a="x" / v`, "f:3: the quote '"},
		{"option of no section", "option b y\n" + good, `t a="x"`, "f:1: an option before the first config"},
		{"option of a package", "package p\noption b y\n" + good, `p.t a="x"`, "f:2: an option before the first"},
		{"package without name", "package\n" + good, `t a="x"`, "f:1: package needs a name"},
		{"package name", "package a.b\n" + good, `t a="x"`, "f:1: package name 'a.b'"},
		{"open single quote", good + "option b 'y\noption c 'z'", `t a="x" c="z"`, "f:3: the quote ' opened"},
		{"open double quote", good + "option b \"y\noption c 'z'", `t a="x" c="z"`, "f:3: the quote \" opened"},
		{"NUL", good + "option b y\x00y\noption c z", `t a="x" c="z"`, "f:3: a NUL byte"},
		{"escaped NUL", good + "option b \\\x00\noption c z", `t a="x" c="z"`, "f:3: a NUL byte"},
		{"line after continued ones", good + "\\\n\\\nfoo\noption c z\nfoo", `t a="x" c="z"`, "f:3: 'foo' is none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := ParseUCI("f", []byte(tt.text))
			if brief(got) != tt.want {
				t.Errorf("ParseUCI(%q) = %s; want %s", tt.text, brief(got), tt.want)
			}
			if len(problems) == 0 || !strings.HasPrefix(problems[0].String(), tt.problem) {
				t.Errorf("ParseUCI(%q): %v; want %s", tt.text, problems, tt.problem)
			}
		})
	}
}

// Two forgotten quotes close each other, five lines apart.
func TestParseUCITwoForgottenQuotesSpoilTwoLines(t *testing.T) {
	const text = `config t
	option a '1
	option b '2'
	option c '3 4'
	option d '5
	option e '6'`
	got, problems := ParseUCI("f", []byte(text))
	if want := `t b="2" c="3 4" e="6"`; brief(got) != want {
		t.Errorf("got %s; want %s", brief(got), want)
	}
	if len(problems) != 2 || problems[0].Line != 2 || problems[1].Line != 5 {
		t.Errorf("got problems %v; want one each in lines 2 and 5", problems)
	}
}

func TestParseUCILines(t *testing.T) {
	const text = "# 1\nconfig t\noption a 'x\ny'\n\nlist \\\n b z; option c w\nconfig u\n"
	got, _ := ParseUCI("f", []byte(text))
	want := []Section{
		{Type: "t", Line: 2, Options: []Option{
			{Name: "a", Value: "x\ny", Line: 3},
			{Name: "b", Value: "z", List: true, Line: 6},
			{Name: "c", Value: "w", Line: 7},
		}},
		{Type: "u", Line: 8},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

// Each of these makes a careless reader look at all the rest of the text for
// every line: some 10^10 bytes at this size, where twice the text will do.
func TestParseUCIIsLinear(t *testing.T) {
	const lines = 50_000
	for _, line := range []string{
		`o a '\''` + "\n",
		"o a '\n",
		"o a \\\n",
		"\\\n",
		"o a x y z\n",
		"o a \"\\\n",
		`o a '"' x "` + "\n",
	} {
		text := []byte("c t\n" + strings.Repeat(line, lines) + "o a \x00'")
		start := time.Now()
		ParseUCI("f", text)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%d lines of %q took %v", lines, line, d)
		}
	}
}

func TestAppendUCI(t *testing.T) {
	sections := []Section{
		{Type: "interface", Name: "lan", Options: []Option{{Name: "a", Value: "it's"}, {Name: "b", Value: ""}}},
		{Type: "it's", Options: []Option{{Name: "c", Value: "x\ny", List: true}}},
		{Package: "dhcp", Type: "host"},
	}
	const want = `config interface 'lan'
	option a 'it'\''s'
	option b ''

config 'it'\''s'
	list c 'x
y'

package dhcp

config host
`
	if got := string(AppendUCI(nil, sections)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// FuzzParse: whatever was read can be written and reads the same again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"config interface 'lan'\n\toption device 'br-lan'\n\tlist dns '1.1.1.1'\n",
		"package dhcp\nconfig host # x\noption name 'it'\\''s'; option b \"a\\\"b\"\n",
		"config t\noption a 'x\ny'\noption b x\\\ny\noption c ''\noption d 'z\n",
		"p a\nc t\no b c d\nl \"\\\x00\r\n;\\",
		"\xef\xbb\xbfconfig '#;!'\r\noption _ \"\\\r\n\"",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		first, problems := ParseUCI("f", text)
		checkLines(t, text, first, problems)
		written := AppendUCI(nil, first)
		second, problems := ParseUCI("f", written)
		if problems != nil {
			t.Fatalf("of our own text %q: %v", written, problems)
		}
		forgetLines(first)
		forgetLines(second)
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("%q\n was read as %+v\nand %q\n was read as %+v", text, first, written, second)
		}
	})
}

// checkLines: every line named exists, and sections stand in order.
func checkLines(t *testing.T, text []byte, sections []Section, problems []Problem) {
	t.Helper()
	most := bytes.Count(text, []byte("\n")) + 1
	last := 1
	step := func(line int) {
		if line < last || line > most {
			t.Fatalf("line %d after line %d of %d", line, last, most)
		}
		last = line
	}
	for _, s := range sections {
		step(s.Line)
		for _, o := range s.Options {
			step(o.Line)
		}
	}
	last = 1
	for _, p := range problems {
		step(p.Line)
	}
}

func forgetLines(sections []Section) {
	for i := range sections {
		sections[i].Line = 0
		for j := range sections[i].Options {
			sections[i].Options[j].Line = 0
		}
	}
}
