package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/middleware"
)

// TestJWTBearerClaims: claims that are no good in themselves, by the key of a trusted issuer.
func TestJWTBearerClaims(t *testing.T) {
	f := startBearers(t)
	signed := func(payload string) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: f.key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
		require.NoError(t, err)
		j, err := s.Sign([]byte(payload))
		require.NoError(t, err)
		out, err := j.CompactSerialize()
		require.NoError(t, err)
		return out
	}
	exp := time.Now().Unix() + 100
	payload := func(more string) string {
		text, err := json.Marshal(map[string]any{"iss": idp, "aud": f.URL, "sub": "u-1", "exp": exp})
		require.NoError(t, err)
		return strings.TrimSuffix(string(text), "}") + more + "}"
	}
	f.asserted(t, "partner", signed(payload("")), "")
	for name, text := range map[string]string{
		"sub twice":                payload(`,"sub":"root"`),
		"iss twice":                payload(`,"iss":"` + f.URL + `"`),
		"aud twice":                payload(`,"aud":"https://vault.example.com"`),
		"jti is a number":          payload(`,"jti":7`),
		"nbf is a text":            payload(`,"nbf":"1"`),
		"iat is null":              payload(`,"iat":null`),
		"act is null":              payload(`,"act":null`),
		"cnf is null":              payload(`,"cnf":null`),
		"exp beyond all numbers":   strings.Replace(payload(""), `"exp":`, `"exp":1e300,"x":`, 1),
		"exp beyond int64":         strings.Replace(payload(""), `"exp":`, `"exp":9223372036854775808,"x":`, 1),
		"exp is negative":          strings.Replace(payload(""), `"exp":`, `"exp":-1,"x":`, 1),
		"exp is a text":            strings.Replace(payload(""), `"exp":`, `"exp":"9999999999","x":`, 1),
		"aud is an empty list":     strings.Replace(payload(""), `"aud":"`+f.URL+`"`, `"aud":[]`, 1),
		"aud is an object":         strings.Replace(payload(""), `"aud":"`+f.URL+`"`, `"aud":{"`+f.URL+`":1}`, 1),
		"aud is ours twice":        strings.Replace(payload(""), `"aud":"`+f.URL+`"`, `"aud":["`+f.URL+`","`+f.URL+`"]`, 1),
		"aud in another case":      strings.Replace(payload(""), `"aud":"http`, `"aud":"HTTP`, 1),
		"aud below ours":           strings.Replace(payload(""), `"aud":"`+f.URL+`"`, `"aud":"`+f.URL+`/oauth2"`, 1),
		"sub is a list":            strings.Replace(payload(""), `"sub":"u-1"`, `"sub":["u-1"]`, 1),
		"a payload that is a list": `["` + idp + `"]`,
		"no JSON":                  payload("") + "}",
	} {
		t.Run("JB-03 JB-04 JB-05 RFC 7523 §3 "+name, func(t *testing.T) {
			refused(t, f.assert(t, "partner", signed(text), ""), 400, codeInvalidGrant)
		})
	}
	t.Run("JB-01 RFC 6749 §3.2 an assertion in the URL is none", func(t *testing.T) {
		r := f.post(t, tokP+"?assertion="+signed(payload("")), "partner:s", "grant_type="+url.QueryEscape(clients.GrantJWTBearer))
		refused(t, r, 400, codeInvalidRequest)
	})
	t.Run("JB-03 the longest sub comes through to APIs", func(t *testing.T) {
		sub := strings.Repeat("é", 127) + "x"
		token := f.asserted(t, "partner", signed(strings.Replace(payload(""), "u-1", sub, 1)), "")
		require.Equal(t, idp+"|"+sub, f.inspect(t, token).json["sub"])
		api, err := middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: f.URL, ClientID: "orders-api", ClientSecret: "rs"})
		require.NoError(t, err)
		tok, err := api.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, []string{idp + "|" + sub, "external"}, []string{tok.Subject, tok.SubjectType})
	})
}

// unreachable are keys that cannot be fetched.
type unreachable struct{}

func (unreachable) Keys(context.Context, string) (*jwt.KeySet, error) { return nil, errors.New("down") }

// TestJWTBearerIssuers: each issuer has its own keys, jtis and subjects.
func TestJWTBearerIssuers(t *testing.T) {
	const other, away = "https://other.example.com", "https://away.example.com"
	f := startBearers(t)
	key, set := issuerKey(t) // under the same kid
	var err error
	f.server.cfg.Assertions, err = assertions.New(assertions.Config{Issuer: f.URL, TokenEndpoint: f.URL + tokP, Once: f.store.Once,
		Issuers: []assertions.Issuer{{Issuer: idp, Keys: f.keys}, {Issuer: other, Keys: set}, {Issuer: away, Keys: unreachable{}}}})
	require.NoError(t, err)
	f.bearer(t, "of-all", &clients.ExchangePolicy{SubjectIssuers: []string{idp, other, away}, Scope: "orders:read"}, clients.GrantJWTBearer)
	f.reload(t)
	ours, theirs := f, foreigners{f.fixture, key, set}
	t.Run("JB-02 RFC 7515 §4.1.4 one kid at two issuers: each signs for itself alone", func(t *testing.T) {
		f.asserted(t, "of-all", ours.token(t, nil), "")
		f.asserted(t, "of-all", theirs.token(t, map[string]any{"iss": other}), "")
		refused(t, f.assert(t, "of-all", theirs.token(t, nil), ""), 400, codeInvalidGrant)
		refused(t, f.assert(t, "of-all", ours.token(t, map[string]any{"iss": other}), ""), 400, codeInvalidGrant)
	})
	t.Run("SB-07 RFC 9700 §4.15 one sub at two issuers, at a user and at a client: nobody is taken for another", func(t *testing.T) {
		seen := map[any]bool{}
		user, _ := f.loggedIn(t, "&scope=orders:read")
		for _, token := range []string{user, f.asserted(t, "of-all", ours.token(t, nil), ""), f.asserted(t, "of-all", theirs.token(t, map[string]any{"iss": other}), ""),
			f.asserted(t, "of-all", ours.token(t, map[string]any{"sub": "app"}), ""), f.issue(t, "")} {
			seen[f.inspect(t, token).json["sub"]] = true
		}
		require.Equal(t, map[any]bool{"u-1": true, idp + "|u-1": true, other + "|u-1": true, idp + "|app": true, "app": true}, seen)
	})
	t.Run("JB-02 the keys of an issuer cannot be fetched: no token, and no refusal", func(t *testing.T) {
		r := f.assert(t, "of-all", ours.token(t, map[string]any{"iss": away}), "")
		require.Equal(t, 503, r.status, r.body)
	})
	t.Run("JB-10 a client whose policy does not name the issuer makes nobody fetch keys", func(t *testing.T) {
		refused(t, f.assert(t, "partner", ours.token(t, map[string]any{"iss": away}), ""), 400, codeInvalidGrant)
	})
}

// TestJWTBearerProofs: the new token is bound to the key of the request's proof.
func TestJWTBearerProofs(t *testing.T) {
	f := startBearers(t)
	f.clientNamed("partner").DPoPBound = true
	f.reload(t)
	p := f.prover(t)
	body := "grant_type=" + url.QueryEscape(clients.GrantJWTBearer) + "&assertion=" + f.token(t, map[string]any{"jti": "proof"})
	t.Run("DP-10 RFC 9449 §5.2 a client that must prove, without a proof: the assertion is not used up", func(t *testing.T) {
		refused(t, f.post(t, tokP, "partner:s", body), 400, "invalid_dpop_proof")
	})
	t.Run("DP-01 RFC 9449 §5 a proof binds the token", func(t *testing.T) {
		r := f.post(t, tokP, "partner:s", body, p.proof())
		require.Equal(t, []any{200, "DPoP"}, []any{r.status, r.text("token_type")}, r.body)
		require.Contains(t, f.inspect(t, r.text("access_token")).json, "cnf")
	})
}
