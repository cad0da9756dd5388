package config

import (
	"fmt"
	"slices"
	"strconv"
)

// A Problem is something in the text that is not in force as written.
type Problem struct {
	File    string
	Line    int // from 1; 0: the file as a whole
	Text    string
	Warning bool // legal and understood, but without effect or adjusted
}

// String says where and what: leasehold.conf:12: option 'leasetime': ...
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
	}
	if p.Warning {
		s += ": warning"
	}
	return s + ": " + p.Text
}

// A report collects the problems of one file.
type report struct {
	file     string
	problems []Problem
}

func (r *report) fault(line int, format string, a ...any) {
	r.problems = append(r.problems, Problem{r.file, line, fmt.Sprintf(format, a...), false})
}

func (r *report) warn(line int, format string, a ...any) {
	r.problems = append(r.problems, Problem{r.file, line, fmt.Sprintf(format, a...), true})
}

// sort brings the problems into the order of the text.
func (r *report) sort() {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
}

// show quotes what a user wrote for a line on a console: short and printable.
func show(s string) string {
	const most = 48
	if len(s) > most {
		s = s[:most-3] + "..."
	}
	q := strconv.QuoteToASCII(s)
	return "'" + q[1:len(q)-1] + "'"
}
