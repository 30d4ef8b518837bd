package server

import (
	"context"
	"errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// mintClient mints an access token of a client itself.
func (s *Server) mintClient(c *clients.Client, r *tokens.Record) (string, tokens.Token, error) {
	if !s.wantsJWT(c) {
		text, t := s.codec.NewClientAccess()
		return text, t, nil
	}
	jti, t := s.codec.NewClientJTI()
	text, err := s.sign(c, &accessClaims{subject: c.ID, subjectType: "client", jti: jti,
		names: namesOfClient(c), record: r})
	return text, t, err
}

// mintUser mints an access token of a user's session. epoch is the user's.
func (s *Server) mintUser(
	c *clients.Client, tag tokens.Tag, session tokens.SessionID, epoch tokens.Epoch, subject string, r *tokens.Record,
) (string, tokens.Token, error) {
	if !s.wantsJWT(c) {
		text, t := s.codec.NewUserAccess(tag, session)
		return text, t, nil
	}
	if epoch == (tokens.Epoch{}) {
		return "", tokens.Token{}, errNoUserEpoch
	}
	jti, t := s.codec.NewUserJTI(tag, session)
	text, err := s.sign(c, &accessClaims{subject: subject, subjectType: "user", jti: jti,
		names: namesOfUser(c, session, epoch), record: r})
	return text, t, err
}

// errNoUserEpoch: a JWT without its user's name in the revocation feed would outlive a log-out at
// verifiers that follow.
var errNoUserEpoch = errors.New("a user's JWT without the user's epoch")

// parse takes a text apart. A well-formed token of another key may come from a node that found
// another key in a store that lost its data: the keys are compared before the answer is
// tokens.ErrNotOurs.
func (s *Server) parse(x context.Context, text string) (tokens.Token, error) {
	if t, ok := tokens.ParseForeignKey(text); ok {
		return t, nil
	}
	t, err := s.codec.Parse(text)
	if err == nil || !tokens.WellFormed(text) {
		return t, err
	}
	if unknown := s.key.Confirm(x); unknown != nil {
		return t, unknown
	}
	return s.codec.Parse(text)
}
