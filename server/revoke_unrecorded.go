package server

import (
	"encoding/json"
	"errors"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// unrecorded remembers which names this node appended for tokens that have no record: to revoke one
// token again and again must not fill the revocation feed.
type unrecorded struct {
	*lru.Cache[string, struct{}]
}

// maxUnrecorded bounds the memory. A name takes some 100 bytes.
const maxUnrecorded = 8192

func newUnrecorded() (unrecorded, error) {
	c, err := lru.New[string, struct{}](maxUnrecorded)
	return unrecorded{c}, err
}

// endUnrecorded appends the name of a token to the revocation feed that has no record any more.
// Most often it was revoked before, and its name is there twice then. But a failover may have taken
// the record: no replica has to confirm that a token was issued. To verifiers that ask nobody a JWT
// is good until its exp, unless its name, or that of its session, is in the feed.
func (s *Server) endUnrecorded(x *exchange, t tokens.Token, text string) error {
	name, err := s.nameOfUnrecorded(x, t, text)
	if err != nil || name == "" || s.unrecorded.Contains(name) {
		return err
	}
	if err := s.cfg.Store.Feed().Append(x, feed.End{Names: []string{name}}); err != nil {
		return err
	}
	s.unrecorded.Add(name, struct{}{})
	return nil
}

// nameOfUnrecorded returns what a revocation ends that found nothing; "": nothing that a JWT could
// rest on.
func (s *Server) nameOfUnrecorded(x *exchange, t tokens.Token, text string) (string, error) {
	switch {
	case t.Kind == tokens.ClientKey: // verifiers may remember it for longer than any other token
		_, err := s.cfg.Store.Load(x, t)
		if errors.Is(err, tokens.ErrNotFound) {
			return t.Name(), nil
		}
		return "", err // it is there, and another client's (RFC 7009 §2.1)
	case s.cfg.Keys == nil:
		return "", nil
	case t.Kind == tokens.Refresh:
		_, err := s.cfg.Store.Session(x, t)
		if errors.Is(err, tokens.ErrNotFound) {
			return feed.Session(t.Session), nil
		}
		return "", err // it is there, and another client's (RFC 7009 §2.1)
	case text[:2] != "ey":
		return "", nil
	}
	claims, err := s.cfg.Keys.Claims(text, accessTypes()...)
	if err != nil {
		return "", notOurs(err)
	}
	var c struct {
		Client string `json:"client_id"`
		Exp    int64  `json:"exp"`
	}
	if err := json.Unmarshal(claims, &c); err != nil {
		return "", err
	}
	if c.Client != x.client.ID || c.Exp <= s.now().Unix() {
		return "", nil
	}
	return t.Name(), nil
}
