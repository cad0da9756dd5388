package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A Section is one `config TYPE [NAME]` of a UCI text with what follows it.
// Sections of the same type and name are not merged here.
type Section struct {
	Package string // of the last `package` line; empty if there was none
	Type    string // 1 or more bytes of 33..126
	Name    string // letters, digits and _; empty: an anonymous section
	Options []Option
	Line    int // of the word `config`, from 1
}

// An Option is one `option NAME VALUE` or `list NAME VALUE`, as written:
// neither repetitions nor empty values are resolved here.
type Option struct {
	Name  string // letters, digits and _
	Value string // any bytes but NUL; newlines only if they were quoted
	List  bool
	Line  int
}

// ParseUCI reads UCI text as libuci does. What cannot be read is left out and
// listed; file is the name used for that. A bad statement spoils only itself,
// a bad `config` also the options below it, which belong to nobody.
//
// More is accepted than libuci accepts where it drops the rest of a line
// (`config dhcp;option start 5`), stumbles over blanks after a continued line,
// or wants a byte order mark gone.
func ParseUCI(file string, text []byte) ([]Section, []Problem) {
	s := scanner{text: bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), line: 1}
	t := tree{report: report{file: file}}
	for s.pos < len(s.text) {
		line := s.line
		words, err := s.statement()
		if len(words) == 0 && err == nil {
			continue
		}
		if fault := t.add(words, line, err != nil); err == nil {
			err = fault
		}
		if err != nil {
			t.fault(line, "%v", err)
		}
	}
	return t.sections, t.problems
}

// A tree grows by one statement at a time.
type tree struct {
	report
	sections []Section
	pkg      string
	at       place
}

// A place says whom the next option belongs to.
type place int

const (
	nowhere place = iota // no section yet
	inside               // the last section
	astray               // a section that was reported as bad
)

// add carries out a statement, or of a bad one only what it means for others.
func (t *tree) add(words []string, line int, bad bool) error {
	verb, args := "", words
	if len(words) > 0 {
		verb, args = words[0], words[1:]
	}
	switch verb {
	case "package", "p":
		t.at = nowhere
		if bad {
			return nil
		}
		return t.addPackage(args)
	case "config", "c":
		t.at = astray
		if bad {
			return nil
		}
		return t.addSection(args, line)
	case "option", "o", "list", "l":
		if bad {
			return nil
		}
		return t.addOption(args, verb[0] == 'l', line)
	}
	return fmt.Errorf("%s is none of package, config, option, list", show(verb))
}

func (t *tree) addPackage(args []string) error {
	if len(args) != 1 {
		return errors.New("package needs a name and nothing more")
	}
	if !nameLike(args[0], "-") {
		return fmt.Errorf("package name %s may have letters, digits, _ and - only", show(args[0]))
	}
	t.pkg = args[0]
	return nil
}

func (t *tree) addSection(args []string, line int) error {
	if len(args) == 0 || args[0] == "" {
		return errors.New("config needs a type")
	}
	s := Section{Package: t.pkg, Type: args[0], Line: line}
	if !typeLike(s.Type) {
		return fmt.Errorf("section type %s has a blank or a byte that is not ASCII", show(s.Type))
	}
	if len(args) > 1 {
		s.Name = args[1]
	}
	if s.Name != "" && !nameLike(s.Name, "") {
		return fmt.Errorf("section name %s may have letters, digits and _ only", show(s.Name))
	}
	t.sections = append(t.sections, s)
	t.at = inside
	return nil
}

func (t *tree) addOption(args []string, list bool, line int) error {
	switch t.at {
	case astray:
		return nil
	case nowhere:
		return errors.New("an option before the first config line belongs to no section")
	}
	if len(args) == 0 || args[0] == "" {
		return errors.New("option needs a name")
	}
	o := Option{Name: args[0], List: list, Line: line}
	if !nameLike(o.Name, "") {
		return fmt.Errorf("option name %s may have letters, digits and _ only", show(o.Name))
	}
	if len(args) > 1 {
		o.Value = args[1]
	}
	s := &t.sections[len(t.sections)-1]
	s.Options = append(s.Options, o)
	return nil
}

func nameLike(s, more string) bool {
	for _, c := range []byte(s) {
		if !alnum(c) && c != '_' && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return s != ""
}

func typeLike(s string) bool {
	for _, c := range []byte(s) {
		if c < 33 || c > 126 {
			return false
		}
	}
	return s != ""
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// A scanner cuts UCI text into statements and those into words.
type scanner struct {
	text []byte
	pos  int
	line int // of text[pos], from 1

	// A forgotten quote turns the text behind it inside out. Where that was
	// seen, up to this line, lines stand for themselves: quotes end with them
	// and nothing continues. So each line is read twice at most.
	torn int
}

// maxWords is what the longest statement has: config TYPE NAME.
const maxWords = 3

// statement reads words up to the end of the line or a semicolon. After an
// error it has the words before it. It goes on behind the statement if its end
// is known, otherwise in the line below the one in which it began.
func (s *scanner) statement() (words []string, err error) {
	pos, line := s.pos, s.line
	spans := false // a quote ran over the end of a line
	for s.more() {
		w, err := s.word()
		if err != nil {
			s.resume(pos, line)
			return words, err
		}
		spans = spans || strings.IndexByte(w, '\n') >= 0
		words = append(words, w)
	}
	if len(words) > maxWords && spans {
		err = fmt.Errorf("too many words up to line %d: is a quote missing here?", s.line)
		s.resume(pos, line)
		return words, err
	}
	if len(words) > maxWords {
		err = fmt.Errorf("%s is one word too many: are quotes missing?", show(words[maxWords]))
	}
	s.endStatement()
	return words, err
}

// resume goes to the line below the given one, in which position pos is, and
// reads it and all that was seen so far line by line.
func (s *scanner) resume(pos, line int) {
	s.torn = max(s.torn, s.line)
	s.pos, s.line = len(s.text), line+1
	if i := bytes.IndexByte(s.text[pos:], '\n'); i >= 0 {
		s.pos = pos + i + 1
	}
}

// more goes to the next word; it says no at the end of the statement.
func (s *scanner) more() bool {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '\\' && s.continued():
		case c == '\n' || c == ';' || c == '#':
			return false
		case !blank(c):
			return true
		default:
			s.pos++
		}
	}
	return false
}

func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// endStatement consumes what ends a statement, comment included.
func (s *scanner) endStatement() {
	if s.pos < len(s.text) && s.text[s.pos] == '#' {
		for s.pos < len(s.text) && s.text[s.pos] != '\n' {
			s.pos++
		}
	}
	if s.pos < len(s.text) {
		s.step()
	}
}

// step consumes a byte and returns it.
func (s *scanner) step() byte {
	c := s.text[s.pos]
	s.pos++
	if c == '\n' {
		s.line++
	}
	return c
}

// continued consumes a backslash that ends a line, and the end of the line.
func (s *scanner) continued() bool {
	n := 1
	switch rest := s.text[s.pos+1:]; {
	case len(rest) == 0:
	case rest[0] == '\n':
		n = 2
	case bytes.HasPrefix(rest, []byte("\r\n")):
		n = 3
	default:
		return false
	}
	if n > 1 && s.line <= s.torn {
		n-- // the line ends here all the same
	}
	for ; n > 0; n-- {
		s.step()
	}
	return true
}

// take appends the next byte to a word.
func (s *scanner) take(w []byte) ([]byte, error) {
	if s.text[s.pos] == 0 {
		return nil, errors.New("a NUL byte: this is no text")
	}
	return append(w, s.step()), nil
}

// word reads one word, joining its plain and quoted parts: 'it'\”s'.
func (s *scanner) word() (string, error) {
	var w []byte
	var err error
	for s.pos < len(s.text) && err == nil {
		switch c := s.text[s.pos]; {
		case c == '\'' || c == '"':
			w, err = s.quoted(w)
		case c == '\\' && s.continued():
		case c == '\\':
			s.pos++
			w, err = s.take(w)
		case blank(c) || c == ';' || c == '#':
			return string(w), nil
		default:
			w, err = s.take(w)
		}
	}
	return string(w), err
}

// quoted appends what stands between two quotes. Between single ones all bytes
// stand for themselves; between double ones a backslash gives the next byte.
func (s *scanner) quoted(w []byte) (_ []byte, err error) {
	line, quote := s.line, s.step()
	for s.pos < len(s.text) && err == nil {
		switch c := s.text[s.pos]; {
		case c == quote:
			s.pos++
			return w, nil
		case c == '\\' && quote == '"' && s.continued():
		case c == '\\' && quote == '"':
			s.pos++
			w, err = s.take(w)
		case c == '\n' && line <= s.torn:
			err = fmt.Errorf("the quote %c is not closed on this line", quote)
		default:
			w, err = s.take(w)
		}
	}
	if err == nil {
		err = fmt.Errorf("the quote %c opened here is never closed", quote)
	}
	return nil, err
}

// AppendUCI appends sections as UCI text to dst. ParseUCI reads the same
// sections from it, but for the line numbers.
func AppendUCI(dst []byte, sections []Section) []byte {
	pkg := ""
	for i, s := range sections {
		if i > 0 {
			dst = append(dst, '\n')
		}
		if s.Package != pkg {
			pkg = s.Package
			dst = fmt.Appendf(dst, "package %s\n\n", pkg)
		}
		dst = append(dst, "config "...)
		dst = appendType(dst, s.Type)
		if s.Name != "" {
			dst = fmt.Appendf(dst, " '%s'", s.Name)
		}
		dst = append(dst, '\n')
		for _, o := range s.Options {
			dst = appendOption(dst, o)
		}
	}
	return dst
}

func appendOption(dst []byte, o Option) []byte {
	verb := "option"
	if o.List {
		verb = "list"
	}
	dst = fmt.Appendf(dst, "\t%s %s ", verb, o.Name)
	return append(appendQuoted(dst, o.Value), '\n')
}

// appendType quotes only what needs it: types are bare words by custom.
func appendType(dst []byte, t string) []byte {
	if nameLike(t, "-.") {
		return append(dst, t...)
	}
	return appendQuoted(dst, t)
}

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '\'')
	dst = append(dst, strings.ReplaceAll(s, "'", `'\''`)...)
	return append(dst, '\'')
}
