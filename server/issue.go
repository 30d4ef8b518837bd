package server

import (
	"time"

	"github.com/grantor-auth/grantor/tokens"
)

// mint mints the tokens of a request that was granted: the first of a session after a login, else
// one of the client itself. storeMinted stores them.
func (s *Server) mint(x *exchange, scope string, ttl time.Duration) (access, refresh string, err error) {
	custom, err := s.claimsOf(x, x.user(), scope)
	if err != nil {
		return "", "", err
	}
	issued := s.now().Truncate(time.Second)
	x.record = &tokens.Record{Scope: scope, Audience: x.audience, Claims: custom, IssuedAt: issued, TTL: ttl, Confirmation: x.shown}
	if x.session != nil {
		return s.mintSession(x)
	}
	x.record.ClientID, x.record.ClientEpoch = x.client.ID, x.client.Epoch
	access, x.issued, err = s.mintClient(x.client, x.record)
	return access, "", err
}

// storeMinted stores what mint minted, with one command.
func (s *Server) storeMinted(x *exchange) error {
	if x.session != nil {
		return s.storeSession(x)
	}
	return s.storeIssued(x)
}
