package server

import (
	"context"
	"sync/atomic"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// parse takes a text apart. One that has the form of a token and was not minted under this node's key may have been minted by a
// node that found another key in a store that lost its data: the two keys are compared before anybody is told "not ours".
func (s *Server) parse(x context.Context, text string) (tokens.Token, error) {
	t, err := s.codec.Parse(text)
	if err == nil || !tokens.WellFormed(text) {
		return t, err
	}
	if unknown := s.key.Confirm(x); unknown != nil {
		return t, unknown
	}
	return s.codec.Parse(text)
}

// fingerprints are those of credentials under the server key, whichever it is.
type fingerprints struct {
	codec *tokens.Codec
	now   atomic.Pointer[keyed]
}

type keyed struct {
	key tokens.ServerKey
	of  *users.Fingerprints
}

// Of returns the fingerprint of a credential.
func (f *fingerprints) Of(c users.Credential) [users.FingerprintSize]byte {
	key, now := f.codec.Key(), f.now.Load()
	if now == nil || now.key != key {
		now = &keyed{key, users.NewFingerprints(key.Derive("grantor/credential/v1"))}
		f.now.Store(now)
	}
	return now.of.Of(c)
}
