package server

import (
	"errors"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// Types of the JWTs that this server signs. They keep access tokens and introspection responses
// apart (RFC 9068 §2.1, RFC 9701 §5, RFC 8725 §3.11).
const (
	typeAccess        = scopes.TypAccess
	typeIntrospection = "token-introspection+jwt"
)

// accessTypes are the types that an access token may have. Claims and keys keep those of the second
// apart from other JWTs: this server signs nothing else with it.
func accessTypes() []string { return []string{typeAccess, scopes.TypJWT} }

// typFor returns the typ of a client's JWT: the client's own, else "JWT" where every API of the
// audience wants it (deviation from RFC 9068 §2.1).
func (s *Server) typFor(c *clients.Client, audience []string) string {
	switch {
	case c.JWTTyp != "":
		return c.JWTTyp
	case s.cfg.Catalogue.WantsTypJWT(audience):
		return scopes.TypJWT
	}
	return typeAccess
}

// wantsJWT says whether a client's access tokens are JWTs.
func (s *Server) wantsJWT(c *clients.Client) bool {
	format := c.Format
	if format == "" {
		format = s.cfg.Format
	}
	return format == clients.FormatJWT && s.cfg.Keys != nil
}

// algFor returns the alg of a client's access tokens. An alg that is no longer served gives way to
// the server's.
func (s *Server) algFor(c *clients.Client) keys.Algorithm {
	if alg := keys.Algorithm(c.SigningAlg); alg != "" && s.signsWith(alg) {
		return alg
	}
	return s.cfg.SigningAlg
}

func (s *Server) signsWith(alg keys.Algorithm) bool {
	return slices.Contains(s.cfg.Algorithms, string(alg))
}

// accessClaims are the claims of an access token (RFC 9068 §2.2).
type accessClaims struct {
	subject, subjectType, jti string
	names                     feedNames
	record                    *tokens.Record // scope, audience and times
}

// sign returns a signed access token of a client, and notes its digest in the record.
func (s *Server) sign(c *clients.Client, a *accessClaims) (string, error) {
	r, issued := a.record, a.record.IssuedAt.Unix()
	b := make(jsonobject.Object, 0, 512).Text("iss", s.cfg.Issuer).Text("sub", a.subject).Name("aud")
	b = appendAudience(b, r.Audience, s.cfg.Issuer)
	b = b.Number("exp", issued+int64(r.TTL/time.Second)).Number("nbf", issued).Number("iat", issued)
	b = b.Text("jti", a.jti).Text("client_id", c.ID).TextOr("scope", r.Scope).Text("sub_type", a.subjectType)
	b = r.Confirmation.Member(a.names.members(b))
	b = claims.Trusted(r.Claims).AppendMembers(actorMember(b, r))
	text, err := s.cfg.Keys.Sign(s.algFor(c), s.typFor(c, r.Audience), b.Close())
	if errors.Is(err, keys.ErrTooLong) {
		return "", refusal(codeInvalidScope,
			"a JWT with these scopes and resources is longer than 16 kB, which no API takes; "+
				"ask for fewer, or for opaque tokens")
	}
	r.JWTDigest = tokens.DigestOf(text)
	return text, err
}

// What is signed fits the guard of APIs: this does not compile otherwise.
const _ = uint(middleware.MaxTokenBytes - keys.MaxBytes)

// appendAudience writes one audience as a text and several as a list (RFC 7519 §4.1.3). RFC 9068 §3
// requires a default: fallback, which must not be an API's.
func appendAudience(b []byte, audience []string, fallback string) []byte {
	switch len(audience) {
	case 0:
		return jsonobject.AppendText(b, fallback)
	case 1:
		return jsonobject.AppendText(b, audience[0])
	}
	for i, a := range audience {
		b = append(b, "[,"[min(i, 1)])
		b = jsonobject.AppendText(b, a)
	}
	return append(b, ']')
}
