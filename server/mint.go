package server

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
)

// mintClient mints an access token of a client itself.
func (s *Server) mintClient(c *clients.Client, r *tokens.Record) (string, tokens.Token, error) {
	if !s.wantsJWT(c) {
		text, t := s.codec.NewClientAccess()
		return text, t, nil
	}
	jti, t := s.codec.NewClientJTI()
	text, err := s.sign(c, &accessClaims{subject: c.ID, subjectType: "client", jti: jti, record: r})
	return text, t, err
}

// mintUser mints an access token of a user's session.
func (s *Server) mintUser(
	c *clients.Client, tag tokens.Tag, session tokens.SessionID, subject string, r *tokens.Record,
) (string, tokens.Token, error) {
	if !s.wantsJWT(c) {
		text, t := s.codec.NewUserAccess(tag, session)
		return text, t, nil
	}
	jti, t := s.codec.NewUserJTI(tag, session)
	text, err := s.sign(c, &accessClaims{subject: subject, subjectType: "user", jti: jti, record: r})
	return text, t, err
}

// read finds out which token a text is: an opaque one by its MAC, a JWT by its signature, key and
// type. It returns tokens.ErrNotOurs for every other text; any other error means that the store or
// the keys could not tell.
func (s *Server) read(ctx context.Context, text string) (tokens.Token, error) {
	t, err := s.parse(ctx, text)
	if err == nil || s.cfg.Keys == nil || len(text) < 4 || text[:2] != "ey" {
		return t, err
	}
	body, err := s.cfg.Keys.Verify(text, typeAccess)
	if errors.Is(err, keys.ErrNotOurs) {
		return tokens.Token{}, tokens.ErrNotOurs
	}
	if err != nil {
		return tokens.Token{}, err
	}
	var c struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
		Type    string `json:"sub_type"`
		JTI     string `json:"jti"`
		Expires int64  `json:"exp"`
	}
	if err := json.Unmarshal(body, &c); err != nil || c.Issuer != s.cfg.Issuer {
		return tokens.Token{}, tokens.ErrNotOurs
	}
	if c.Type != "user" {
		c.Subject = ""
	}
	return s.codec.ParseJTI(c.JTI, c.Subject)
}

// parse takes a text apart. A well-formed token of another key may come from a node that found
// another key in a store that lost its data: the keys are compared before the answer is
// tokens.ErrNotOurs.
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
