package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
)

// mintClient mints the access token of a client itself.
func (s *Server) mintClient(x *exchange, scope string, issued time.Time, life time.Duration) (string, error) {
	if !s.wantsJWT(x.client) {
		text, t := s.codec.NewClientAccess()
		x.issued = t
		return text, nil
	}
	jti, t := s.codec.NewClientJTI()
	x.issued = t
	return s.sign(x.client, &accessClaims{subject: x.client.ID, subjectType: "client", client: x.client.ID, jti: jti, scope: scope,
		audience: x.audience, issued: issued, life: life})
}

// mintUser mints an access token of a family.
func (s *Server) mintUser(x *exchange, tag tokens.Tag, family tokens.SessionID, subject string, r *tokens.Record) (string, tokens.Token, error) {
	if !s.wantsJWT(x.client) {
		text, t := s.codec.NewUserAccess(tag, family)
		return text, t, nil
	}
	jti, t := s.codec.NewUserJTI(tag, family)
	text, err := s.sign(x.client, &accessClaims{subject: subject, subjectType: "user", client: x.client.ID, jti: jti, scope: r.Scope,
		audience: r.Audience, issued: r.IssuedAt, life: r.TTL})
	return text, t, err
}

// read finds out which token a text is: an opaque one by its MAC, a JWT by its signature, key and type. tokens.ErrNotOurs for
// everything else; any other error means that it cannot be known.
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
