package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake and where it stands.
type Problem struct {
	File   string // "" when the place is Key alone
	Line   int    // from 1; 0: the whole file
	Column int    // from 1
	Key    string // dotted, with indexes: clients[0].scope; or the name of a variable or flag
	Text   string // what is wrong and what would be right

	of string // the key of the file, also where Key is a variable or flag; "": the whole file
}

// String returns file:line:column: key: text.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Errors is every mistake at once.
type Errors []Problem

func (e Errors) about(keys []string) (list Errors) {
	within := func(a, b string) bool {
		return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(a, b+"[")
	}
	for _, p := range e {
		if slices.ContainsFunc(keys, func(k string) bool { return p.of == "" || within(p.of, k) || within(k, p.of) }) {
			list = append(list, p)
		}
	}
	return list
}

// Error returns one line a mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
