package main

import (
	"strconv"
	"strings"
)

// logFields takes a key=value line of slog apart.
func logFields(line string) map[string]string {
	f := map[string]string{}
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
