package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A block is a section about to be read. Who reads it takes the options it
// knows, one by one; what is left over then was not known.
type block struct {
	*report
	Section
	values map[string]value
	order  []string // names in the order of the text
	taken  []string // names asked for
}

// A value is what an option has come to after all its lines.
type value []item // not empty; one of an option, all of a list

// An item is one line of it.
type item struct {
	text string
	line int
	list bool // written as list, not as option
}

// newBlock resolves repetitions as libuci does: an option replaces, an empty
// one deletes, a list adds.
func newBlock(r *report, s Section) *block {
	b := &block{report: r, Section: s, values: map[string]value{}}
	seen := map[string]bool{}
	for _, o := range s.Options {
		if !seen[o.Name] {
			seen[o.Name] = true
			b.order = append(b.order, o.Name)
		}
		v, known := b.values[o.Name]
		switch {
		case o.Value == "" && o.List:
		case o.Value == "":
			delete(b.values, o.Name)
		case o.List && known:
			b.values[o.Name] = append(v, item{o.Value, o.Line, true})
		default:
			b.values[o.Name] = value{{o.Value, o.Line, o.List}}
		}
	}
	return b
}

// String names the section as its owner wrote it: config dhcp 'lan'.
func (b *block) String() string {
	s := "config " + strings.Trim(show(b.Type), "'")
	if b.Name != "" {
		s += " '" + b.Name + "'"
	}
	return s
}

func (b *block) take(name string) (value, bool) {
	b.taken = append(b.taken, name)
	v, ok := b.values[name]
	return v, ok
}

// lineOf is where to point at for an option: at the section if it is not set.
func (b *block) lineOf(name string) int {
	if v, ok := b.values[name]; ok {
		return v[0].line
	}
	return b.Line
}

func (b *block) bad(name string, line int, err error) {
	b.fault(line, "option '%s': %v", name, err)
}

// A caution is an error worth a warning only: the value is legal, but was
// adjusted, or is of no use here.
type caution struct {
	text string
	use  bool // the value that comes with it
}

func (c caution) Error() string { return c.text }

// parsed runs parse on one text and reports what it says; ok: use the result.
func parsed[T any](b *block, name string, it item, parse func(string) (T, error)) (v T, ok bool) {
	if strings.ContainsRune(it.text, '\n') {
		b.bad(name, it.line, fmt.Errorf("%s has a line break in it: is a quote missing?", show(it.text)))
		return v, false
	}
	v, err := parse(it.text)
	var c caution
	if errors.As(err, &c) {
		b.warn(it.line, "option '%s': %v", name, c)
		return v, c.use
	}
	if err != nil {
		b.bad(name, it.line, err)
	}
	return v, err == nil
}

// set stores an option with one value; what is not there or bad leaves dst.
func set[T any](b *block, name string, dst *T, parse func(string) (T, error)) {
	v, ok := b.take(name)
	if !ok {
		return
	}
	if len(v) > 1 {
		b.warn(v[1].line, "option '%s': takes one value; %s is used", name, show(v[0].text))
	}
	if got, ok := parsed(b, name, v[0], parse); ok {
		*dst = got
	}
}

// setAll stores an option with several values, in a list or with blanks
// between them. The bad ones are left out; if all are bad, dst stays.
func setAll[T any](b *block, name string, dst *[]T, parse func(string) (T, error)) {
	var all []T
	for _, it := range b.words(name) {
		if got, ok := parsed(b, name, it, parse); ok {
			all = append(all, got)
		}
	}
	if all != nil {
		*dst = all
	}
}

// lines takes an option apart at its blanks, as words does, but not a list: its
// items may have blanks in them.
func (b *block) lines(name string) []item {
	v, _ := b.take(name)
	if v == nil || v[0].list {
		return v
	}
	return b.words(name)
}

// words takes an option apart at its blanks.
func (b *block) words(name string) []item {
	var words []item
	v, _ := b.take(name)
	for _, it := range v {
		for text := range strings.FieldsSeq(it.text) {
			words = append(words, item{text, it.line, it.list})
		}
	}
	return words
}

// rest reports the options nobody took: in one warning those that are known to
// have no effect here, as faults all others.
func (b *block) rest(noEffect ...string) {
	b.leftover(func(name string) bool { return slices.Contains(noEffect, name) })
}

// restElsewhere is rest for a section in which others have their options too:
// only what is a slip away from one of ours is a fault.
func (b *block) restElsewhere() {
	b.leftover(func(name string) bool { return b.nearest(name) == "" })
}

func (b *block) leftover(noEffect func(name string) bool) {
	var idle []string
	for _, name := range b.order {
		v, ok := b.values[name]
		if !ok || slices.Contains(b.taken, name) {
			continue
		}
		if noEffect(name) {
			idle = append(idle, name)
			continue
		}
		hint := ""
		if near := b.nearest(name); near != "" {
			hint = ": did you mean '" + near + "'?"
		}
		b.fault(v[0].line, "option '%s' is not known in %s%s", name, b, hint)
	}
	if idle != nil {
		b.warn(b.Line, "%s: without effect here: %s", b, strings.Join(idle, ", "))
	}
}

// nearest is a name somebody asked for that is one slip away from name.
func (b *block) nearest(name string) string {
	for _, t := range b.taken {
		if oneSlip(name, t) {
			return t
		}
	}
	return ""
}

// oneSlip tells whether a letter too many, too few, wrong or swapped with its
// neighbour makes a of b.
func oneSlip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	x, y := a[i:], b[i:]
	switch len(y) - len(x) {
	case 0:
		swapped := len(x) > 1 && x[0] == y[1] && x[1] == y[0] && x[2:] == y[2:]
		return x != "" && x[1:] == y[1:] || swapped
	case 1:
		return x == y[1:]
	}
	return false
}
