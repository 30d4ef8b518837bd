package middleware

import (
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/scopes"
)

// compact moves the texts of a token into one piece of memory, and its lists of texts into another,
// before the token is remembered: the garbage collector looks at each piece, at every cycle.
func (t *Token) compact() {
	lists := slices.Concat(t.Audience, t.rev)
	scope := t.Scope.String()
	texts := []*string{&t.Subject, &t.SubjectType, &t.Username, &t.ClientID, &t.Issuer, &t.ID, &t.Session, &scope}
	for i := range lists {
		texts = append(texts, &lists[i])
	}
	joinTexts(texts)
	n := len(t.Audience)
	if n > 0 {
		t.Audience = lists[:n:n]
	}
	if len(t.rev) > 0 {
		t.rev = lists[n:]
	}
	if set, err := scopes.ParseGranted(scope); err == nil { // as it is what a set prints
		t.Scope = set
	}
}

// joinTexts makes each text a part of one that holds them all.
func joinTexts(texts []*string) {
	size := 0
	for _, text := range texts {
		size += len(*text)
	}
	var all strings.Builder
	all.Grow(size)
	for _, text := range texts {
		all.WriteString(*text)
	}
	rest := all.String()
	for _, text := range texts {
		*text, rest = rest[:len(*text)], rest[len(*text):]
	}
}
