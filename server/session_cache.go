package server

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/grantor-auth/grantor/tokens"
)

// sessionCache keeps what never changes of the sessions that were refreshed here lately: client,
// user, scope, audience, fingerprint, beginning, and the user's epoch at login, which
// JWTs name. A refresh of such a session is one round trip instead of two. A session may become
// bound later: see mayBeBoundSince.
//
// The cache decides nothing. The store's script judges all that changes: whether the session is
// there, whose it is, epochs, times and the token itself. A refusal by the cache is looked up anew.
type sessionCache struct {
	*lru.Cache[tokens.SessionID, *tokens.Session]
}

// maxCachedSessions bounds the cache. A session takes some 500 bytes.
const maxCachedSessions = 8192

func newSessionCache() (sessionCache, error) {
	c, err := lru.New[tokens.SessionID, *tokens.Session](maxCachedSessions)
	return sessionCache{c}, err
}

// of returns the session that a refresh token names, if it is in the cache.
func (c sessionCache) of(t tokens.Token) (*tokens.Session, bool) {
	found, ok := c.Get(t.Session)
	return found, ok && found.Tag == t.Tag
}

// remember keeps what does not change. What changes is blanked, so that nobody takes it for the
// present.
func (c sessionCache) remember(f *tokens.Session) {
	fixed := *f
	fixed.ClientEpoch, fixed.Generation, fixed.Address = tokens.Epoch{}, 0, ""
	c.Add(f.ID, &fixed)
}
