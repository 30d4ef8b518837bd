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

// nearest returns the known name that is most like name, or "" when none is.
func nearest(name string, known []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
