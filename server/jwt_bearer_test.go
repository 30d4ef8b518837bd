package server

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// startBearers serves foreigners, and clients with the JWT bearer grant.
func startBearers(t *testing.T, change ...func(*Config)) foreigners {
	t.Helper()
	f := startForeigners(t, append(change, func(c *Config) { c.JWTBearer = true })...)
	f.bearer(t, "partner", &clients.ExchangePolicy{SubjectIssuers: []string{idp}, Scope: "orders:read invoices:read"}, clients.GrantJWTBearer)
	f.bearer(t, "silent", &clients.ExchangePolicy{SubjectIssuers: []string{idp}, Scope: "orders:*", Audience: []string{ordersResource},
		Mode: clients.ExchangeImpersonation, BoundTokens: true}, clients.GrantJWTBearer)
	f.bearer(t, "elsewhere", &clients.ExchangePolicy{SubjectIssuers: []string{"https://other.example.com"}, Scope: "orders:*"}, clients.GrantJWTBearer)
	f.bearer(t, "both", &clients.ExchangePolicy{SubjectIssuers: []string{idp}, SubjectClients: []string{"*"}, Scope: "orders:read"}, clients.GrantTokenExchange, clients.GrantJWTBearer)
	f.bearer(t, "next", &clients.ExchangePolicy{SubjectClients: []string{"partner"}, MaxDepth: 2}, clients.GrantTokenExchange)
	f.reload(t)
	return f
}

// bearer registers a client with a policy and grant types.
func (f foreigners) bearer(t *testing.T, id string, p *clients.ExchangePolicy, grants ...string) {
	t.Helper()
	r := clients.Registration{ID: id, Secrets: secrets("s"), Scope: "orders:* invoices:read plain", Grants: grants, Exchange: p}
	c, err := r.Client()
	require.NoError(t, err)
	require.NoError(t, c.Check(testCatalogue()))
	f.fixture.clients = append(f.fixture.clients, c)
}

// assert asks for a token for a JWT (RFC 7523 §2.1).
func (f foreigners) assert(t *testing.T, client, assertion, more string) reply {
	t.Helper()
	return f.post(t, tokP, client+":s", "grant_type="+url.QueryEscape(clients.GrantJWTBearer)+"&assertion="+url.QueryEscape(assertion)+more)
}

func (f foreigners) asserted(t *testing.T, client, assertion, more string) string {
	t.Helper()
	r := f.assert(t, client, assertion, more)
	require.Equal(t, 200, r.status, r.body)
	return r.text("access_token")
}

func TestJWTBearer(t *testing.T) {
	t.Run("opaque", func(t *testing.T) { testJWTBearer(t, startBearers(t), false) })
	t.Run("JWT", func(t *testing.T) { testJWTBearer(t, startBearers(t, withKeys(t)), true) })
}

func testJWTBearer(t *testing.T, f foreigners, isJWT bool) {
	r := f.assert(t, "partner", f.token(t, nil), "")
	require.Equal(t, 200, r.status, r.body)
	token := r.text("access_token")
	says := f.inspect(t, token).json
	t.Run("JB-01 RFC 7523 §2.1 a JWT of a trusted issuer gets an access token", func(t *testing.T) {
		require.Equal(t, []any{"Bearer", "invoices:read orders:read"}, []any{r.text("token_type"), r.text("scope")})
		require.Contains(t, r.header.Get("Cache-Control"), "no-store")
		require.Equal(t, []any{idp + "|u-1", "external", "partner"}, []any{says["sub"], says["sub_type"], says["client_id"]})
		require.NotContains(t, says, "username")
		require.NotContains(t, says, "sid")
		if isJWT {
			_, says := parts(t, token)
			require.Equal(t, []any{idp + "|u-1", "external", "partner"}, []any{says["sub"], says["sub_type"], says["client_id"]})
		}
	})
	t.Run("JB-08 RFC 7521 §4.1 there is no refresh token, and nothing of RFC 8693", func(t *testing.T) {
		require.NotContains(t, r.json, "refresh_token")
		require.NotContains(t, r.json, "issued_token_type")
	})
	t.Run("JB-08 RFC 7521 §4.1 the token never lasts longer than the JWT", func(t *testing.T) {
		exp := time.Now().Unix() + 20
		r := f.assert(t, "partner", f.token(t, map[string]any{"exp": exp}), "")
		require.LessOrEqual(t, r.json["expires_in"], float64(20))
		require.LessOrEqual(t, f.inspect(t, r.text("access_token")).json["exp"], float64(exp))
	})
	t.Run("JB-04 RFC 7523 §3 item 3 aud is the token endpoint", func(t *testing.T) {
		f.asserted(t, "partner", f.token(t, map[string]any{"aud": []string{f.URL + tokP}}), "")
	})
	t.Run("TX-07 RFC 8693 §4.1 act says that the client acts, if its policy does not impersonate", func(t *testing.T) {
		require.Equal(t, map[string]any{"sub": "partner", "sub_type": "client"}, says["act"])
		require.NotContains(t, f.inspect(t, f.asserted(t, "silent", f.token(t, nil), "")).json, "act")
	})
	t.Run("JB-09 RFC 8707 §2 scope and resource narrow", func(t *testing.T) {
		require.Equal(t, "orders:read", f.assert(t, "partner", f.token(t, nil), "&scope=orders:read").text("scope"))
		narrowed := f.inspect(t, f.asserted(t, "partner", f.token(t, nil), "&resource="+url.QueryEscape(invoicesResource))).json
		require.Equal(t, []any{"invoices:read", []any{invoicesResource}}, []any{narrowed["scope"], narrowed["aud"]})
	})
	t.Run("TX-09 it is exchanged on, and ends with its revocation", func(t *testing.T) {
		first := f.asserted(t, "partner", f.token(t, nil), "")
		second := f.exchanged(t, "next", first, "")
		require.Equal(t, idp+"|u-1", f.inspect(t, second).json["sub"])
		refused(t, f.assert(t, "partner", second, ""), 400, codeInvalidGrant)
		require.Equal(t, 200, f.post(t, revP, "partner:s", "token="+first).status)
		f.requireActive(t, false, first, second)
	})
	t.Run("JB-10 the token ends with the policy, and with the last grant type by which it could come", func(t *testing.T) {
		testBearerEnds(t, f)
	})
	t.Run("JB-11 RFC 8414 §2 the metadata lists the grant", func(t *testing.T) {
		require.Contains(t, f.call(t, "GET", "/.well-known/oauth-authorization-server", "").body, clients.GrantJWTBearer)
	})
}

func testBearerEnds(t *testing.T, f foreigners) {
	token := f.asserted(t, "both", f.token(t, nil), "")
	both := f.clientNamed("both")
	kept := *both
	defer func() { *both = kept }()
	both.Grants = []string{clients.GrantTokenExchange}
	f.requireActive(t, true, token)
	both.Grants = []string{clients.GrantClientCredentials}
	f.requireActive(t, false, token)
	*both = kept
	f.requireActive(t, true, token)
	both.Exchange = &clients.ExchangePolicy{SubjectClients: []string{"*"}, Scope: "orders:read"}
	f.requireActive(t, false, token)
}

// unsigned is the JWT with another header and signature.
func unsigned(token, header, signature string) string {
	part := strings.Split(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + part[1] + "." + signature
}

// TestJWTBearerAttacks: what is no authorization grant gets no token.
func TestJWTBearerAttacks(t *testing.T) {
	f := startBearers(t, withKeys(t))
	now, good := time.Now().Unix(), f.token(t, nil)
	signature := good[strings.LastIndexByte(good, '.')+1:]
	own := f.post(t, tokP, "stock:s", ask+"&scope=plain").text("access_token")
	says := func(name string, value any) string { return f.token(t, map[string]any{name: value}) }
	const unspecific = "the assertion is no valid JWT of an issuer that this client may use, or its subject may not be acted for (RFC 7523 section 3.1)"
	for _, c := range []struct{ name, client, assertion, description, reason string }{
		{"JB-05 item 4 expired", "partner", says("exp", now-100), "the JWT has expired: get a new one", "subject_token_inactive"},
		{"JB-05 item 4 expired within the skew of clocks", "partner", says("exp", now-1), "", "subject_token_inactive"},
		{"JB-05 item 4 no exp", "partner", says("exp", nil), "the JWT must have exp", "subject_token_inactive"},
		{"JB-05 item 4 exp more than a day ahead", "partner", says("exp", now+90000), "the exp of the JWT must be at most 24 hours ahead", "subject_token_inactive"},
		{"JB-05 item 5 nbf in the future", "partner", says("nbf", now+3600), "the nbf or iat of the JWT is in the future", "subject_token_inactive"},
		{"JB-05 item 6 iat in the future", "partner", says("iat", now+3600), "the nbf or iat of the JWT is in the future", "subject_token_inactive"},
		{"JB-04 item 3 another aud", "partner", says("aud", "https://vault.example.com"), "the aud of the JWT must be", "subject_token_inactive"},
		{"JB-04 item 3 no aud", "partner", says("aud", nil), "the aud of the JWT must be", "subject_token_inactive"},
		{"JB-04 V-16 our aud beside a stranger's", "partner", says("aud", []string{f.URL, "https://vault.example.com"}), "the aud of the JWT must be", "subject_token_inactive"},
		{"JB-04 V-16 our issuer with a slash", "partner", says("aud", f.URL+"/"), "the aud of the JWT must be", "subject_token_inactive"},
		{"JB-03 item 2 no sub", "partner", says("sub", nil), "the JWT must have a sub", "subject_token_inactive"},
		{"JB-03 item 2 a sub with a line break", "partner", says("sub", "a\nb"), unspecific, "subject_token_inactive"},
		{"JB-03 item 1 no iss", "partner", says("iss", nil), unspecific, "subject_token_inactive"},
		{"JB-03 an issuer that nobody trusts", "partner", says("iss", "https://evil.example.com"), unspecific, "subject_token_inactive"},
		{"JB-03 the issuer with a slash", "partner", says("iss", idp+"/"), unspecific, "subject_token_inactive"},
		{"JB-03 our own issuer by a stranger's key", "partner", says("iss", f.URL), unspecific, "subject_token_inactive"},
		{"JB-03 a token of ours", "partner", own, unspecific, "subject_token_inactive"},
		{"JB-10 a trusted issuer that the policy does not name", "elsewhere", good, unspecific, "subject_token_not_allowed"},
		{"JB-02 item 9 alg none", "partner", unsigned(good, `{"alg":"none"}`, ""), unspecific, "subject_token_inactive"},
		{"JB-02 alg none with the signature", "partner", unsigned(good, `{"alg":"nOnE","kid":"1"}`, signature), unspecific, "subject_token_inactive"},
		{"JB-02 an HMAC with the public key's name", "partner", unsigned(good, `{"alg":"HS256","kid":"1"}`, signature), unspecific, "subject_token_inactive"},
		{"JB-02 an unknown kid", "partner", unsigned(good, `{"alg":"ES256","kid":"2"}`, signature), unspecific, "subject_token_inactive"},
		{"JB-02 V-18 crit", "partner", unsigned(good, `{"alg":"ES256","kid":"1","crit":["x"],"x":1}`, signature), unspecific, "subject_token_inactive"},
		{"JB-02 RFC 8725 §3.11 a logout token", "partner", unsigned(good, `{"alg":"ES256","kid":"1","typ":"logout+jwt"}`, signature), unspecific, "subject_token_inactive"},
		{"JB-02 the signature of another JWT", "partner", says("sub", "u-2")[:len(good)-len(signature)] + signature, unspecific, "subject_token_inactive"},
		{"JB-02 no JWT", "partner", "nonsense", unspecific, "subject_token_inactive"},
		{"JB-10 bound to a key", "partner", says("cnf", map[string]any{"jkt": "x"}), unspecific, "bound_token"},
		{"TX-07 act", "partner", says("act", map[string]any{"sub": "partner"}), unspecific, "subject_token_actor"},
		{"TX-07 may_act of another", "partner", says("may_act", map[string]any{"sub": "door"}), unspecific, "subject_token_actor"},
	} {
		t.Run("JB-07 RFC 7521 §4.1.1 "+c.name, func(t *testing.T) {
			r := f.assert(t, c.client, c.assertion, "")
			refused(t, r, 400, codeInvalidGrant)
			require.Contains(t, r.text("error_description"), c.description)
			require.Contains(t, f.log.String(), `"reason":"`+c.reason+`"`)
			require.NotContains(t, r.json, "access_token")
			require.NotContains(t, f.log.String(), c.assertion[max(0, len(c.assertion)-40):])
		})
	}
	for _, c := range []struct{ name, client, more, code string }{
		{"JB-09 a scope that the policy lacks", "partner", "&scope=orders:write", codeInvalidScope},
		{"JB-09 one of two scopes", "partner", "&scope=orders:read+plain", codeInvalidScope},
		{"JB-09 power over Grantor, as the JWT says", "partner", "&scope=grantor:admin", codeInvalidScope},
		{"JB-09 a resource that the policy lacks", "silent", "&resource=" + url.QueryEscape(invoicesResource), codeInvalidTarget},
		{"JB-09 an API that the policy lacks", "silent", "&audience=invoices-api", codeInvalidTarget},
		{"JB-10 a client without the grant type", "door", "", codeUnauthorizedClient},
		{"TE-08 two assertions", "partner", "&assertion=x", codeInvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, f.assert(t, c.client, good, c.more), 400, c.code) })
	}
	t.Run("JB-10 RFC 7523 §3.1 a wrong secret, and nobody", func(t *testing.T) {
		body := "grant_type=" + url.QueryEscape(clients.GrantJWTBearer) + "&assertion=" + good
		refused(t, f.post(t, tokP, "partner:wrong", body), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "", body), 401, codeInvalidClient)
	})
	t.Run("JB-10 a public client, even with the grant type", func(t *testing.T) {
		mobile := f.clientNamed("mobile")
		mobile.Grants, mobile.Exchange = append(mobile.Grants, clients.GrantJWTBearer), f.clientNamed("partner").Exchange
		f.reload(t)
		refused(t, f.post(t, tokP, "", "client_id=mobile&grant_type="+url.QueryEscape(clients.GrantJWTBearer)+"&assertion="+good), 400, codeUnauthorizedClient)
	})
	t.Run("JB-10 a disabled client", func(t *testing.T) {
		token := f.asserted(t, "partner", good, "")
		f.clientNamed("partner").Disabled = true
		defer func() { f.clientNamed("partner").Disabled = false }()
		f.requireActive(t, false, token)
		refused(t, f.assert(t, "partner", good, ""), 401, codeInvalidClient)
	})
	t.Run("JB-01 RFC 7523 §2.1 no assertion", func(t *testing.T) {
		r := f.post(t, tokP, "partner:s", "grant_type="+url.QueryEscape(clients.GrantJWTBearer))
		refused(t, r, 400, codeInvalidRequest)
		require.Contains(t, r.text("error_description"), "assertion is required")
	})
}

func TestJWTBearerOnce(t *testing.T) {
	f := startBearers(t)
	t.Run("JB-06 RFC 7523 §3 item 7 a jti works once, whatever the grant, and a refusal does not use it up", func(t *testing.T) {
		token := f.token(t, map[string]any{"jti": "once"})
		refused(t, f.assert(t, "partner", token, "&scope=orders:write"), 400, codeInvalidScope)
		f.asserted(t, "partner", token, "")
		r := f.assert(t, "partner", token, "")
		refused(t, r, 400, codeInvalidGrant)
		require.Contains(t, r.text("error_description"), "was used before")
		refused(t, f.assert(t, "silent", token, ""), 400, codeInvalidGrant)
		refused(t, f.ask(t, "door", token, ""), 400, codeInvalidRequest)
	})
	t.Run("JB-06 the same jti of another issuer is another one", func(t *testing.T) {
		f.asserted(t, "elsewhere", f.token(t, map[string]any{"jti": "once", "iss": "https://other.example.com"}), "")
	})
	t.Run("JB-06 the store cannot say whether a jti is new: no token, and no refusal", func(t *testing.T) {
		token := f.token(t, map[string]any{"jti": "later"})
		f.store.broken = errors.New("down")
		require.Equal(t, 503, f.assert(t, "partner", token, "").status)
		f.store.broken = nil
		f.asserted(t, "partner", token, "")
	})
}

// turning are an issuer's keys, which it may change.
type turning struct{ set *jwt.KeySet }

func (k *turning) Keys(context.Context, string) (*jwt.KeySet, error) { return k.set, nil }

func TestJWTBearerKeyRotatedAway(t *testing.T) {
	f := startBearers(t)
	keys := &turning{f.keys}
	_, next := issuerKey(t)
	var err error
	f.server.cfg.Assertions, err = assertions.New(assertions.Config{Issuer: f.URL, TokenEndpoint: f.URL + tokP, Once: f.store.Once,
		Issuers: []assertions.Issuer{{Issuer: idp, Keys: keys}}})
	require.NoError(t, err)
	token := f.asserted(t, "partner", f.token(t, nil), "")
	keys.set = next
	t.Run("JB-02 a JWT by a key that its issuer has no more", func(t *testing.T) {
		refused(t, f.assert(t, "partner", f.token(t, nil), ""), 400, codeInvalidGrant)
	})
	t.Run("JB-02 tokens that came from it before stay: the issuer is trusted still", func(t *testing.T) {
		f.requireActive(t, true, token)
	})
}
