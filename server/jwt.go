package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/tokens"
)

// Types of the JWTs that this server signs. They keep an access token and an introspection response apart (RFC 9068 §2.1,
// RFC 9701 §5, RFC 8725 §3.11).
const (
	typeAccess        = "at+jwt"
	typeIntrospection = "token-introspection+jwt"
)

// wantsJWT says whether a client's access tokens are JWTs.
func (s *Server) wantsJWT(c *clients.Client) bool {
	format := c.Format
	if format == "" {
		format = s.cfg.Format
	}
	return format == clients.FormatJWT && s.cfg.Keys != nil
}

// algFor returns the alg of a client's access tokens. One that is not served any more gives way to the server's.
func (s *Server) algFor(c *clients.Client) keys.Algorithm {
	if alg := keys.Algorithm(c.SigningAlg); alg != "" && s.signsWith(alg) {
		return alg
	}
	return s.cfg.SigningAlg
}

func (s *Server) signsWith(alg keys.Algorithm) bool {
	return slices.Contains(s.cfg.Algorithms, string(alg))
}

// claims are those of an RFC 9068 access token, on their way to JSON.
type claims struct {
	subject, subjectType, client, jti, scope string
	audience                                 []string
	issued                                   time.Time
	life                                     time.Duration
}

// sign returns a signed access token. Without an audience of its own a token is meant for this server alone: RFC 9068 §3 wants a
// default, and it must be nobody else's.
func (s *Server) sign(c *clients.Client, cl *claims) (string, error) {
	b := make(jsonobject.Object, 0, 512).Text("iss", s.cfg.Issuer).Text("sub", cl.subject).Name("aud")
	issued := cl.issued.Unix()
	b = appendAudience(b, cl.audience, s.cfg.Issuer)
	b = b.Number("exp", issued+int64(cl.life/time.Second)).Number("nbf", issued).Number("iat", issued)
	b = b.Text("jti", cl.jti).Text("client_id", cl.client).TextOr("scope", cl.scope).Text("sub_type", cl.subjectType)
	text, err := s.cfg.Keys.Sign(s.algFor(c), typeAccess, b.Close())
	if errors.Is(err, keys.ErrTooLong) {
		return "", refusal(codeInvalidScope, "a JWT with these scopes and resources is longer than 16 kB, which no API takes; ask for fewer, or for opaque tokens")
	}
	return text, err
}

// What is signed fits the guard of APIs: this does not compile otherwise.
const _ = uint(middleware.MaxTokenBytes - keys.MaxBytes)

// appendAudience writes one audience as a text and several as a list (RFC 7519 §4.1.3).
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

// mintClient mints the access token of a client itself.
func (s *Server) mintClient(x *exchange, scope string, issued time.Time, life time.Duration) (string, error) {
	if !s.wantsJWT(x.client) {
		text, t := s.codec.NewClientAccess()
		x.issued = t
		return text, nil
	}
	jti, t := s.codec.NewClientJTI()
	x.issued = t
	return s.sign(x.client, &claims{subject: x.client.ID, subjectType: "client", client: x.client.ID, jti: jti, scope: scope,
		audience: x.audience, issued: issued, life: life})
}

// mintUser mints an access token of a family.
func (s *Server) mintUser(x *exchange, tag tokens.Tag, family tokens.SessionID, subject string, r *tokens.Record) (string, tokens.Token, error) {
	if !s.wantsJWT(x.client) {
		text, t := s.codec.NewUserAccess(tag, family)
		return text, t, nil
	}
	jti, t := s.codec.NewUserJTI(tag, family)
	text, err := s.sign(x.client, &claims{subject: subject, subjectType: "user", client: x.client.ID, jti: jti, scope: r.Scope,
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

// jwks publishes the public keys (RFC 7517 §5).
func (s *Server) jwks(x *exchange) error {
	body, etag := s.cfg.Keys.JWKS()
	h := x.gin.Writer.Header()
	h.Del("Pragma")
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(keys.DefaultPublishAhead/time.Second)))
	h.Set("ETag", etag)
	if s.cfg.Keys.Ready() != nil { // others may know newer keys
		h.Set("Cache-Control", "no-store")
	}
	if x.gin.GetHeader("If-None-Match") == etag {
		x.gin.Writer.WriteHeader(http.StatusNotModified)
		x.gin.Writer.WriteHeaderNow()
		return nil
	}
	writeJSON(x, http.StatusOK, json.RawMessage(body))
	return nil
}

// SigningKeys is what the server asks of the signing keys; *keys.Ring is one.
type SigningKeys interface {
	Sign(alg keys.Algorithm, typ string, claims []byte) (string, error)
	Verify(token string, types ...string) ([]byte, error)
	JWKS() (body []byte, etag string)
	Ready() error
}

// errNoAssertions: nobody authenticates by assertion here.
var errNoAssertions = errors.New("assertions are not served")

// proveByAssertion returns the client that a JWT proves (RFC 7523 §2.2).
func (s *Server) proveByAssertion(ctx context.Context, creds clients.Credentials) (*clients.Client, error) {
	if s.cfg.Assertions == nil {
		return nil, errNoAssertions
	}
	id, err := s.cfg.Assertions.Verify(ctx, creds.Assertion, creds.ID, s.findAssertion)
	if err != nil {
		return nil, err
	}
	return s.cfg.Clients.Get(ctx, id)
}
