// Package nearest finds what somebody meant who misspelt a name.
package nearest

import (
	"fmt"
	"strings"
)

// Name returns the known name that is most like name, or "" when none is.
func Name(name string, known []string) string {
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

// mostNamed is how many names Hint lists.
const mostNamed = 10

// Hint says what somebody may have meant, or which names there are: a text to end an error with.
func Hint(name string, known []string) string {
	if n := Name(name, known); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	switch {
	case len(known) == 0:
		return "; there is none"
	case len(known) > mostNamed:
		return "; there are " + strings.Join(known[:mostNamed], ", ") + " and others"
	}
	return "; there is " + strings.Join(known, ", ")
}
