package server

import (
	"errors"
	"net/http"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/grantor-auth/grantor/tokens"
)

// facts remembers what never changes of the families that were refreshed here lately: client, user, scope, audience, fingerprint and
// begin. A refresh of one of them is one round trip and not two. Nothing is decided by it alone: the store's script judges
// what changes (is there a family, whose is it, epochs, times, the token itself), and a refusal on remembered facts is looked up anew.
type facts struct {
	*lru.Cache[tokens.SessionID, *tokens.Session]
}

// mostFacts bounds what is remembered, at some 500 bytes each.
const mostFacts = 8192

func newFacts() (facts, error) {
	c, err := lru.New[tokens.SessionID, *tokens.Session](mostFacts)
	return facts{c}, err
}

// of returns the family that a refresh token names, if it is remembered.
func (f facts) of(t tokens.Token) (*tokens.Session, bool) {
	family, ok := f.Get(t.Session)
	return family, ok && family.Tag == t.Tag
}

// remember keeps what does not change. What does is blanked, so that nobody takes it for the present.
func (f facts) remember(family *tokens.Session) {
	fixed := *family
	fixed.UserEpoch, fixed.ClientEpoch, fixed.Generation, fixed.Address = tokens.Epoch{}, tokens.Epoch{}, 0, ""
	f.Add(family.ID, &fixed)
}

// isRefusal tells a "no" from a store or directory that cannot answer.
func isRefusal(err error) bool {
	if _, ok := errors.AsType[*tokens.GrantError](err); ok {
		return true
	}
	e := asError(err)
	return e.Status < http.StatusInternalServerError
}
