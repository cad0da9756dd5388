package main

import (
	"strconv"
	"strings"
	"time"

	"leasehold/firmware/status"
)

// fields are the keys and values of a line of slog.
type fields map[string]string

// logFields takes a key=value line apart.
func logFields(line string) fields {
	f := fields{}
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		key, rest, ok := strings.Cut(line, "=")
		if !ok {
			break
		}
		value, after, _ := strings.Cut(rest, " ")
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted)
			after = rest[len(quoted):]
		}
		f[key], line = value, after
	}
	return f
}

// span is a duration among the fields, for people.
func (f fields) span(key string) string {
	d, err := time.ParseDuration(f[key])
	if err != nil {
		return f[key]
	}
	return span(d)
}

func span(d time.Duration) string { return status.Duration(d) }
