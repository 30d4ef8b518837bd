package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"strconv"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens"
)

// presented is a token as somebody presents it. jwt is the text of a JWT that is not proved yet:
// the digest in its record proves it, or its signature. The MAC proves an opaque token; its jwt is
// "".
type presented struct {
	token tokens.Token
	jwt   string
	exp   int64 // of a JWT, as its text says; 0: it says none
}

// identify finds out which token a text names: an opaque one by its MAC, a JWT by its form, key and
// type. It returns tokens.ErrNotOurs for every other text; any other error means that the store or
// the keys could not tell.
func (s *Server) identify(ctx context.Context, text string) (presented, error) {
	t, err := s.parse(ctx, text)
	if err == nil || s.cfg.Keys == nil || len(text) < 4 || text[:2] != "ey" {
		return presented{token: t}, err
	}
	claims, err := s.cfg.Keys.Claims(text, accessTypes()...)
	if err != nil {
		return presented{}, notOurs(err)
	}
	t, exp, err := s.tokenOf(claims)
	return presented{t, text, exp}, err
}

// read is identify for those who look up no record: a JWT is proved by its signature.
func (s *Server) read(ctx context.Context, text string) (tokens.Token, error) {
	p, err := s.identify(ctx, text)
	if err == nil && p.jwt != "" {
		err = s.checkSignature(p.jwt)
	}
	if err != nil {
		return tokens.Token{}, err
	}
	return p.token, nil
}

// tokenOf finds the token of a JWT's claims, and its exp.
func (s *Server) tokenOf(claims []byte) (t tokens.Token, exp int64, err error) {
	c, err := jsonobject.Read(claims)
	if err != nil {
		return tokens.Token{}, 0, tokens.ErrNotOurs
	}
	var text [4]string
	for i, name := range []string{"iss", "jti", "sub_type", "sub"} {
		if text[i], err = c.Text(name); err != nil {
			return tokens.Token{}, 0, tokens.ErrNotOurs
		}
	}
	issuer, jti, subject := text[0], text[1], text[3]
	if issuer != s.cfg.Issuer {
		return tokens.Token{}, 0, tokens.ErrNotOurs
	}
	if text[2] != "user" {
		subject = ""
	}
	if value, ok := c.Get("exp"); ok {
		exp, _ = strconv.ParseInt(string(value), 10, 64) // Grantor writes whole seconds
	}
	t, err = s.codec.ParseJTI(jti, subject)
	return t, exp, err
}

// prove demands that a JWT is the one that was minted, by the digest in its record, and returns
// inactiveNotOurs for another. Records of older versions have no digest: there the signature
// decides.
func (s *Server) prove(p presented, r *tokens.Record) error {
	switch {
	case p.jwt == "":
		return nil
	case r.JWTDigest == tokens.JWTDigest{}:
		if err := s.checkSignature(p.jwt); !errors.Is(err, tokens.ErrNotOurs) {
			return err
		}
		return inactiveNotOurs
	}
	if digest := tokens.DigestOf(p.jwt); subtle.ConstantTimeCompare(digest[:], r.JWTDigest[:]) != 1 {
		return inactiveNotOurs
	}
	return nil
}

// isForged says whether no key of ours has signed a JWT. Anybody can write the id of an opaque
// token as jti: its record is not that of a JWT, and this is no fault of the store.
func (s *Server) isForged(p presented) bool {
	return p.jwt != "" && errors.Is(s.checkSignature(p.jwt), tokens.ErrNotOurs)
}

// checkSignature returns tokens.ErrNotOurs for a JWT that no key of ours has signed.
func (s *Server) checkSignature(jwt string) error {
	_, err := s.cfg.Keys.Verify(jwt, accessTypes()...)
	return notOurs(err)
}

func notOurs(err error) error {
	if errors.Is(err, keys.ErrNotOurs) {
		return tokens.ErrNotOurs
	}
	return err
}
