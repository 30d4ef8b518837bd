package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/middleware"
)

// withKeys gives a fixture signing keys and JWTs as its tokens.
func withKeys(t *testing.T, algorithms ...keys.Algorithm) func(*Config) {
	t.Helper()
	if algorithms == nil {
		algorithms = []keys.Algorithm{keys.ES256}
	}
	ring, err := keys.Open(t.Context(), keys.Config{Store: keys.NewMemory(), Algorithms: algorithms, MaxTokenTTL: time.Hour})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); ring.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return func(c *Config) {
		c.Keys, c.Format, c.SigningAlg = ring, clients.FormatJWT, algorithms[0]
		for _, a := range algorithms {
			c.Algorithms = append(c.Algorithms, string(a))
		}
	}
}

// parts takes a JWT apart without believing it.
func parts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	list := strings.Split(token, ".")
	require.Len(t, list, 3, "AT-01 signed")
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(list[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, into))
	}
	return header, claims
}

func TestJWTAccessTokens(t *testing.T) {
	f, _ := startPeople(t, withKeys(t))
	token := f.issue(t, "&scope=orders:read")
	header, claims := parts(t, token)
	t.Run("AT-05 §2.1 header", func(t *testing.T) {
		require.Equal(t, "at+jwt", header["typ"])
		require.Equal(t, "ES256", header["alg"])
		require.Contains(t, f.call(t, "GET", "/oauth2/jwks", "").body, header["kid"])
	})
	t.Run("AT-02 AT-06 AT-07 AT-08 §2.2 claims of a client's token", func(t *testing.T) {
		require.Equal(t, f.URL, claims["iss"])
		require.Equal(t, "app", claims["sub"])
		require.Equal(t, "app", claims["client_id"])
		require.Equal(t, ordersResource, claims["aud"])
		require.Equal(t, "orders:read", claims["scope"])
		require.InDelta(t, time.Now().Unix(), claims["iat"], 5)
		require.InDelta(t, 900, claims["exp"].(float64)-claims["iat"].(float64), 0)
		require.Len(t, claims["jti"], 22)
	})
	t.Run("AT-17 §3 without a resource the audience is this server and nobody else", func(t *testing.T) {
		_, c := parts(t, f.issue(t, "&scope=plain"))
		require.Equal(t, f.URL, c["aud"])
	})
	t.Run("AT-18 RI-03 §3 two resources: each scope belongs to one of them", func(t *testing.T) {
		_, c := parts(t, f.issue(t, "&scope=orders:read+invoices:read"))
		require.Equal(t, []any{invoicesResource, ordersResource}, c["aud"])
		_, c = parts(t, f.issue(t, "&scope=orders:read+invoices:read&resource="+url.QueryEscape(ordersResource)))
		require.Equal(t, ordersResource, c["aud"], "RI-04")
		require.Equal(t, "orders:read", c["scope"], "RI-06")
	})
	t.Run("AT-09 §2.2 a user's token: sub is the user; refreshed, it is another, and its session is hidden", func(t *testing.T) {
		first := f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=ada&password="+url.QueryEscape(adaPassword))
		require.Equal(t, 200, first.status, first.body)
		_, c := parts(t, first.text("access_token"))
		require.Equal(t, "u-1", c["sub"])
		require.Equal(t, "user", c["sub_type"])
		require.Equal(t, "mobile", c["client_id"])
		second := f.post(t, tokP, "", "grant_type=refresh_token&client_id=mobile&refresh_token="+first.text("refresh_token"))
		require.Equal(t, 200, second.status, second.body)
		_, d := parts(t, second.text("access_token"))
		require.NotEqual(t, c["jti"], d["jti"])
		again := f.post(t, tokP, "", "grant_type=refresh_token&client_id=mobile&refresh_token="+first.text("refresh_token"))
		require.Equal(t, second.text("access_token"), again.text("access_token"), "RT-19 a retry gets the same answer")
		require.Equal(t, true, f.inspect(t, second.text("access_token")).json["active"])
		require.Equal(t, 200, f.post(t, revP, "", "client_id=mobile&token="+second.text("refresh_token")).status)
		require.Equal(t, dead, f.inspect(t, first.text("access_token")).body, "AT-20 the session takes its JWTs with it")
		require.Equal(t, dead, f.inspect(t, second.text("access_token")).body)
	})
	t.Run("AT-20 two tokens of one second are different; revoking one leaves the other", func(t *testing.T) {
		one, two := f.issue(t, ""), f.issue(t, "")
		require.NotEqual(t, one, two)
		require.Equal(t, 200, f.post(t, revP, app, "token="+one).status)
		require.Equal(t, dead, f.inspect(t, one).body)
		r := f.inspect(t, two)
		require.Equal(t, true, r.json["active"])
		_, c := parts(t, two)
		require.Equal(t, c["jti"], r.json["jti"])
	})
	t.Run("RV-08 another client revokes nothing", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, revP, "stranger:rs", "token="+token).status)
		require.Equal(t, true, f.inspect(t, token).json["active"])
	})
	t.Run("AT-19 algorithms by choice, and a client's own", func(t *testing.T) {
		f := start(t, withKeys(t, keys.EdDSA, keys.RS256, keys.ES256), func(c *Config) {})
		h, _ := parts(t, f.issue(t, ""))
		require.Equal(t, "EdDSA", h["alg"])
	})
	t.Run("JK-01 JK-02 JK-03 the JWKS", func(t *testing.T) {
		r := f.call(t, "GET", "/oauth2/jwks", "")
		require.Equal(t, 200, r.status)
		require.Equal(t, "public, max-age=300", r.header.Get("Cache-Control"))
		list := r.json["keys"].([]any)
		require.NotEmpty(t, list)
		for _, k := range list {
			key := k.(map[string]any)
			require.Equal(t, "sig", key["use"])
			require.NotEmpty(t, key["kid"])
			require.NotEmpty(t, key["alg"])
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
				require.NotContains(t, key, private)
			}
		}
		require.Equal(t, 304, f.call(t, "GET", "/oauth2/jwks", "", "If-None-Match: "+r.header.Get("ETag")).status)
	})
	t.Run("MD-06 MD-07 the metadata says it", func(t *testing.T) {
		m := f.call(t, "GET", "/.well-known/oauth-authorization-server", "").json
		require.Equal(t, f.URL+"/oauth2/jwks", m["jwks_uri"])
		require.Equal(t, []any{"ES256"}, m["introspection_signing_alg_values_supported"])
		require.NotContains(t, start(t).call(t, "GET", "/.well-known/oauth-authorization-server", "").body, "jwks_uri")
	})
}

func TestJWTAttacks(t *testing.T) {
	f := start(t, withKeys(t))
	var fetched atomic.Int64
	listener := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer listener.Close()
	token := f.issue(t, "")
	list := strings.Split(token, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	head := func(text string) string { return b64([]byte(text)) + "." + list[1] + "." + list[2] }
	h, _ := parts(t, token)
	kid := h["kid"].(string)
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal([]byte(f.call(t, "GET", "/oauth2/jwks", "").body), &set))
	public, err := json.Marshal(set.Key(kid)[0])
	require.NoError(t, err)
	mac, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: public}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", kid))
	require.NoError(t, err)
	claims, err := base64.RawURLEncoding.DecodeString(list[1])
	require.NoError(t, err)
	byPublicKey, err := mac.Sign(claims)
	require.NoError(t, err)
	hs, err := byPublicKey.CompactSerialize()
	require.NoError(t, err)
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: foreign}, (&jose.SignerOptions{EmbedJWK: true}).WithType("at+jwt").WithHeader("kid", kid))
	require.NoError(t, err)
	embedded, err := signer.Sign(claims)
	require.NoError(t, err)
	own, err := embedded.CompactSerialize()
	require.NoError(t, err)
	signed := f.post(t, intP, "gateway:rs", "token="+token, "Accept: application/token-introspection+jwt")
	for name, text := range map[string]string{
		"AT-01 AT-11 V-16 alg none":                   b64([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + list[1] + ".",
		"AT-11 alg nOnE":                              head(`{"alg":"nOnE","typ":"at+jwt","kid":"` + kid + `"}`),
		"AT-12 V-19 HMAC by the public key":           hs,
		"AT-13 V-17 a foreign key under our kid, jwk": own,
		"AT-13 S-49 jku":                              head(`{"alg":"ES256","typ":"at+jwt","kid":"x","jku":"` + listener.URL + `"}`),
		"AT-13 S-49 x5u":                              head(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `","x5u":"` + listener.URL + `"}`),
		"AT-14 V-20 r = s = 0":                        list[0] + "." + list[1] + "." + b64(make([]byte, 64)),
		"AT-14 an empty signature":                    list[0] + "." + list[1] + ".",
		"AT-14 a cut signature":                       token[:len(token)-2],
		"AT-04 other claims":                          list[0] + "." + b64([]byte(strings.Replace(string(claims), `"app"`, `"gateway"`, 1))) + "." + list[2],
		"AT-15 JI-07 S-48 an introspection response":  signed.body,
		"AT-21 V-18 crit":                             head(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `","crit":["x"],"x":1}`),
		"V-21 20,000 dots":                            "ey" + strings.Repeat(".", 20_000),
		"V-22 five parts":                             token + ".x.y",
		"V-23 typ JWT":                                head(`{"alg":"ES256","typ":"JWT","kid":"` + kid + `"}`),
		"S-49 kid injection":                          head(`{"alg":"ES256","typ":"at+jwt","kid":"../../etc/passwd' OR 1=1"}`),
	} {
		t.Run(name, func(t *testing.T) {
			r := f.post(t, intP, "gateway:rs", "token="+url.QueryEscape(text))
			require.Equal(t, 200, r.status, r.body)
			require.Equal(t, dead, r.body)
			require.Equal(t, 200, f.post(t, revP, app, "token="+url.QueryEscape(text)).status)
		})
	}
	require.Zero(t, fetched.Load(), "S-49 nothing is fetched")
	require.Equal(t, true, f.inspect(t, token).json["active"], "and the genuine one stays active")
}

func TestSignedIntrospection(t *testing.T) {
	f := start(t, withKeys(t, keys.ES256, keys.RS256))
	token := f.issue(t, "&scope=orders:read")
	ask := func(t *testing.T, client, token string) (header, claims map[string]any) {
		t.Helper()
		r := f.post(t, intP, client, "token="+token, "Accept: application/token-introspection+jwt, application/json;q=0.5")
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "application/token-introspection+jwt", r.header.Get("Content-Type"), "JI-01 §5")
		_, err := f.server.cfg.Keys.Verify(r.body, "token-introspection+jwt")
		require.NoError(t, err)
		return parts(t, r.body)
	}
	t.Run("JI-01 JI-02 JI-03 JI-06 §5 the answer is one claim of a typed JWT, RS256 by default", func(t *testing.T) {
		h, c := ask(t, "orders-api:rs", token)
		require.Equal(t, "token-introspection+jwt", h["typ"])
		require.Equal(t, "RS256", h["alg"])
		require.Equal(t, f.URL, c["iss"])
		require.Equal(t, "orders-api", c["aud"])
		require.NotContains(t, c, "sub")
		require.NotContains(t, c, "exp")
		answer := c["token_introspection"].(map[string]any)
		require.Equal(t, true, answer["active"])
		require.Equal(t, "orders:read", answer["scope"])
	})
	t.Run("JI-04 JI-05 V-06 §5 inactive, and to whom it does not concern, exactly active: false", func(t *testing.T) {
		for client, token := range map[string]string{"orders-api:rs": "nothing", "invoices-api:rs": token} {
			_, c := ask(t, client, token)
			require.Equal(t, map[string]any{"active": false}, c["token_introspection"])
		}
		require.Equal(t, 401, f.post(t, intP, "orders-api:wrong", "token="+token, "Accept: application/token-introspection+jwt").status)
	})
	t.Run("§4 plain JSON for everybody else", func(t *testing.T) {
		for _, accept := range []string{"", "application/json", "*/*", "application/token-introspection+jwt;q=0"} {
			r := f.post(t, intP, "orders-api:rs", "token="+token, "Accept: "+accept)
			require.Equal(t, "application/json", r.header.Get("Content-Type"), accept)
		}
	})
}

// signing is a client that signs.
type signing struct {
	f   *fixture
	key ed25519.PrivateKey
}

func (s signing) assertion(t *testing.T, change func(map[string]any)) string {
	t.Helper()
	claims := map[string]any{"iss": "signer", "sub": "signer", "aud": s.f.URL, "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "jti": rand.Text()}
	if change != nil {
		change(claims)
	}
	text, err := json.Marshal(claims)
	require.NoError(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: s.key}, nil)
	require.NoError(t, err)
	jws, err := signer.Sign(text)
	require.NoError(t, err)
	out, err := jws.CompactSerialize()
	require.NoError(t, err)
	return out
}

func (s signing) ask(t *testing.T, assertion, more string) reply {
	t.Helper()
	return s.f.post(t, tokP, "", "grant_type=client_credentials&client_assertion_type="+url.QueryEscape(clients.AssertionType)+"&client_assertion="+url.QueryEscape(assertion)+more)
}

func startSigning(t *testing.T, change ...func(*Config)) signing {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "1", Algorithm: "EdDSA", Use: "sig"}}})
	require.NoError(t, err)
	set, err := jwt.ParseKeySet(text)
	require.NoError(t, err)
	f := start(t, func(c *Config) {
		for _, f := range change {
			f(c)
		}
		c.Assertions, err = assertions.New(assertions.Config{Issuer: c.Issuer, TokenEndpoint: c.Issuer + PathToken, Once: c.Store.Once})
		require.NoError(t, err)
		t.Cleanup(c.Assertions.Close)
	})
	signer := &clients.Client{Registration: clients.Registration{ID: "signer", Method: clients.MethodJWT, JWKS: set, Grants: []string{clients.GrantClientCredentials}}, Scope: rules("plain"), DefaultScope: testClients()[1].Scope.Exact()}
	require.NoError(t, signer.Check(testCatalogue()))
	f.clients = append(f.clients, signer)
	f.registry, err = clients.NewConfigured(t.Context(), f.clients, f.store)
	require.NoError(t, err)
	f.server.cfg.Clients = f.registry
	return signing{f, private}
}

func TestClientAssertions(t *testing.T) {
	s := startSigning(t)
	t.Run("CJ-01 CJ-03 SB-03 a client that signs, with and without client_id", func(t *testing.T) {
		require.Equal(t, 200, s.ask(t, s.assertion(t, nil), "").status)
		require.Equal(t, 200, s.ask(t, s.assertion(t, nil), "&client_id=signer").status)
	})
	t.Run("CJ-08 V-14 S-52 32 at once: one success", func(t *testing.T) {
		text := s.assertion(t, nil)
		var good, refused atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				switch s.ask(t, text, "").status {
				case 200:
					good.Add(1)
				case 401:
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, good.Load())
		require.EqualValues(t, 31, refused.Load())
	})
	t.Run("CJ-09 §2.3 two methods in one request", func(t *testing.T) {
		r := s.f.post(t, tokP, app, "grant_type=client_credentials&client_assertion_type="+url.QueryEscape(clients.AssertionType)+"&client_assertion="+s.assertion(t, nil))
		refused(t, r, 400, "invalid_request")
		refused(t, s.ask(t, s.assertion(t, nil), "&client_secret=x"), 400, "invalid_request")
	})
	for name, more := range map[string]func(map[string]any){
		"CJ-02 another sub":                       func(c map[string]any) { c["sub"] = "app" },
		"CJ-04 V-16 an audience beside ours":      func(c map[string]any) { c["aud"] = []string{s.f.URL, "https://evil.example.com"} },
		"CJ-04 the token endpoint, not switched":  func(c map[string]any) { c["aud"] = s.f.URL + PathToken },
		"CJ-05 no exp":                            func(c map[string]any) { delete(c, "exp") },
		"CJ-05 an exp too far":                    func(c map[string]any) { c["exp"] = time.Now().Add(time.Hour).Unix() },
		"CJ-05 expired":                           func(c map[string]any) { c["exp"] = time.Now().Add(-2 * time.Minute).Unix() },
		"CJ-06 nbf ahead":                         func(c map[string]any) { c["nbf"] = time.Now().Add(5 * time.Minute).Unix() },
		"CJ-10 a client that uses secrets":        func(c map[string]any) { c["iss"], c["sub"] = "app", "app" },
		"CJ-10 an unknown client":                 func(c map[string]any) { c["iss"], c["sub"] = "nobody", "nobody" },
		"CJ-08 no jti":                            func(c map[string]any) { delete(c, "jti") },
		"CJ-02 no sub":                            func(c map[string]any) { delete(c, "sub") },
		"CJ-04 no aud":                            func(c map[string]any) { delete(c, "aud") },
		"CJ-07 the server's own client id as iss": func(c map[string]any) { c["iss"] = s.f.URL },
	} {
		t.Run("CJ-10 §4.2.1 401 invalid_client: "+name, func(t *testing.T) {
			refused(t, s.ask(t, s.assertion(t, more), ""), 401, "invalid_client")
		})
	}
	t.Run("CJ-05 an exp too far is said to whoever signed it", func(t *testing.T) {
		r := s.ask(t, s.assertion(t, func(c map[string]any) { c["exp"] = time.Now().Add(time.Hour).Unix() }), "")
		require.Contains(t, r.text("error_description"), "the exp of the assertion is more than 5m0s ahead")
	})
	t.Run("CJ-07 another's key", func(t *testing.T) {
		_, other, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		refused(t, s.ask(t, signing{s.f, other}.assertion(t, nil), ""), 401, "invalid_client")
	})
	t.Run("CJ-01 another type, and none", func(t *testing.T) {
		refused(t, s.f.post(t, tokP, "", "grant_type=client_credentials&client_assertion=x"), 401, "invalid_client")
		refused(t, s.f.post(t, tokP, "", "grant_type=client_credentials&client_id=signer"), 401, "invalid_client")
		refused(t, s.f.post(t, tokP, "signer:", "grant_type=client_credentials"), 401, "invalid_client")
	})
	t.Run("CJ-13 V-21 V-22 giants and strangers: 4xx", func(t *testing.T) {
		for _, text := range []string{strings.Repeat(".", 20_000), "a.b.c.d.e", "x", s.assertion(t, nil) + ".x"} {
			refused(t, s.ask(t, text, ""), 401, "invalid_client")
		}
		require.Equal(t, 413, s.ask(t, strings.Repeat("a.", 500_000), "").status)
	})
	t.Run("S-30 no assertion is in the log", func(t *testing.T) {
		text := s.assertion(t, nil)
		require.Equal(t, 200, s.ask(t, text, "").status)
		require.Equal(t, 401, s.ask(t, text, "").status)
		require.NotContains(t, s.f.log.String(), text[len(text)-40:])
		require.Contains(t, s.f.log.String(), `"reason":"replayed"`)
	})
}

func TestJWTByMiddleware(t *testing.T) {
	f := start(t, withKeys(t))
	verifier, err := middleware.NewJWT(middleware.JWTConfig{Issuer: f.URL, Audience: ordersResource})
	require.NoError(t, err)
	defer verifier.Close()
	t.Run("AT-10 the genuine token is accepted by the local verifier", func(t *testing.T) {
		token, err := verifier.Verify(t.Context(), f.issue(t, "&scope=orders:write"))
		require.NoError(t, err)
		require.Equal(t, "app", token.ClientID)
		require.Equal(t, "client", token.SubjectType)
		require.True(t, token.Scope.Has("orders:read"))
	})
	t.Run("AT-03 another audience is not", func(t *testing.T) {
		_, err := verifier.Verify(t.Context(), f.issue(t, "&scope=invoices:read"))
		require.ErrorIs(t, err, middleware.ErrInvalidToken)
	})
	t.Run("in process, by Server.Verifier", func(t *testing.T) {
		token, err := f.server.Verifier().Verify(t.Context(), f.issue(t, "&scope=orders:read"))
		require.NoError(t, err)
		require.Equal(t, []string{ordersResource}, token.Audience)
	})
}

// mute is keys that do not sign.
type mute struct{ SigningKeys }

func (mute) Sign(keys.Algorithm, string, []byte) (string, error) { return "", keys.ErrUnconfirmed }

// TestJWTWithoutStoreOrKeys: a JWT is given out when it is signed and its record stored, and not
// before.
func TestJWTWithoutStoreOrKeys(t *testing.T) {
	const ask = "grant_type=client_credentials&scope=orders:read"
	t.Run("V-13 503 when the store cannot store", func(t *testing.T) {
		f := start(t, withKeys(t))
		f.store.broken = errors.New("away")
		refused(t, f.post(t, "/oauth2/token", "app:app-secret", ask), http.StatusServiceUnavailable, "temporarily_unavailable")
		f.store.broken = nil
		require.Equal(t, true, f.inspect(t, f.issue(t, "")).json["active"])
	})
	t.Run("503 when nothing can be signed", func(t *testing.T) {
		f := start(t, withKeys(t), func(c *Config) { c.Keys = mute{c.Keys} })
		refused(t, f.post(t, "/oauth2/token", "app:app-secret", ask), http.StatusServiceUnavailable, "temporarily_unavailable")
	})
}
