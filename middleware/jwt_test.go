package middleware

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

type signingKeys struct {
	ec, foreign *ecdsa.PrivateKey
	rsa         *rsa.PrivateKey
	ed          ed25519.PrivateKey
}

var signing = sync.OnceValue(func() (k signingKeys) {
	k.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.foreign, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

// issuer publishes keys and answers introspection.
type issuer struct {
	*httptest.Server
	fetched atomic.Int32
	down    atomic.Bool
	answer  atomic.Pointer[string] // to introspection
	asked   atomic.Int32
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	a, k := &issuer{}, signing()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"issuer":"`+a.URL+`","jwks_uri":"`+a.URL+`/jwks","introspection_endpoint":"`+a.URL+`/introspect"}`)
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		a.fetched.Add(1)
		if a.down.Load() {
			w.WriteHeader(503)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.ec.Public(), KeyID: "ec", Use: "sig"},
			{Key: k.rsa.Public(), KeyID: "rsa", Use: "sig"}, {Key: k.ed.Public(), KeyID: "ed", Use: "sig"}}})
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, _ *http.Request) {
		a.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, *a.answer.Load())
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	a.says(`{"active":false}`)
	return a
}

func (a *issuer) says(text string) { a.answer.Store(&text) }

func (a *issuer) verifier(t *testing.T, change ...func(*JWTConfig)) *JWT {
	t.Helper()
	cfg := JWTConfig{Issuer: a.URL, Audience: api, HTTPClient: &http.Client{Timeout: time.Minute}} // a busy machine is no failure
	for _, c := range change {
		c(&cfg)
	}
	v, err := NewJWT(cfg)
	require.NoError(t, err)
	t.Cleanup(v.Close)
	return v
}

// claims are good ones, changed; nil removes one.
func (a *issuer) claims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": a.URL, "sub": "u-1", "aud": api, "client_id": "app", "jti": "j", "iat": now, "exp": now + 300, "scope": "orders:read"}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func sign(t testing.TB, alg, kid, typ string, key, claims any) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithHeader("kid", kid)
	if typ != "" {
		opts = opts.WithType(jose.ContentType(typ))
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, opts)
	require.NoError(t, err)
	text, err := json.Marshal(claims)
	require.NoError(t, err)
	j, err := s.Sign(text)
	require.NoError(t, err)
	out, err := j.CompactSerialize()
	require.NoError(t, err)
	return out
}

func (a *issuer) token(t testing.TB, change map[string]any) string {
	t.Helper()
	return sign(t, "ES256", "ec", "at+jwt", signing().ec, a.claims(change))
}

func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestJWT(t *testing.T) {
	a, k := newIssuer(t), signing()
	v := a.verifier(t)
	t.Run("AT-10 AT-06 RFC 9068 §4 a genuine token comes with what it says; the keys are discovered", func(t *testing.T) {
		tok, err := v.Verify(t.Context(), a.token(t, nil))
		require.NoError(t, err)
		require.Equal(t, "orders:read", tok.Scope.String())
		require.Equal(t, []string{"u-1", "app", "j", a.URL}, []string{tok.Subject, tok.ClientID, tok.ID, tok.Issuer})
		require.Equal(t, []string{api}, tok.Audience)
		require.False(t, tok.ExpiresAt.IsZero())
	})
	t.Run("AT-10 JWKSURI given, no discovery", func(t *testing.T) {
		_, err := a.verifier(t, func(c *JWTConfig) { c.JWKSURI = a.URL + "/jwks" }).Verify(t.Context(), a.token(t, nil))
		require.NoError(t, err)
	})
	t.Run("AT-19 ES256, EdDSA and RS256 by default; others by choice", func(t *testing.T) {
		for alg, key := range map[string]struct {
			kid string
			key any
		}{"ES256": {"ec", k.ec}, "EdDSA": {"ed", k.ed}, "RS256": {"rsa", k.rsa}} {
			_, err := v.Verify(t.Context(), sign(t, alg, key.kid, "at+jwt", key.key, a.claims(nil)))
			require.NoError(t, err, alg)
		}
		pss := sign(t, "PS256", "rsa", "at+jwt", k.rsa, a.claims(nil))
		_, err := v.Verify(t.Context(), pss)
		require.ErrorIs(t, err, ErrInvalidToken)
		_, err = a.verifier(t, func(c *JWTConfig) { c.Algorithms = []string{"PS256"} }).Verify(t.Context(), pss)
		require.NoError(t, err)
	})
	now := time.Now().Unix()
	good := map[string]map[string]any{
		"AT-03 aud is a list that names us":   {"aud": []string{"https://x", api}},
		"AT-03 RI-07 aud spells us otherwise": {"aud": "HTTPS" + strings.TrimPrefix(api, "https") + ":443/"},
		"AT-06 no scope at all":               {"scope": nil},
		"AT-16 nbf ahead within the leeway":   {"nbf": now + 30},
		"AT-16 iat ahead within the leeway":   {"iat": now + 30},
		"further claims that mean something":  {"auth_time": now, "acr": "x", "groups": []string{"a"}},
	}
	for name, change := range good {
		t.Run(name+": 200", func(t *testing.T) {
			_, err := v.Verify(t.Context(), a.token(t, change))
			require.NoError(t, err)
		})
	}
	bad := map[string]map[string]any{
		"AT-03 BR-20 another audience":      {"aud": "https://invoices.example.com"},
		"AT-03 no audience":                 {"aud": nil},
		"AT-03 RI-07 a path below us":       {"aud": api + "/x"},
		"AT-03 RI-07 another port":          {"aud": api + ":8443"},
		"RFC 9068 §4 another issuer":        {"iss": "https://evil.example.com"},
		"RFC 9068 §4 no issuer":             {"iss": nil},
		"AT-16 exp - 61 s":                  {"exp": now - 61},
		"AT-16 exp is past":                 {"exp": now - 1},
		"AT-16 no exp":                      {"exp": nil},
		"AT-16 V-23 exp a string":           {"exp": "4000000000"},
		"AT-16 nbf beyond the leeway":       {"nbf": now + 3600},
		"AT-16 iat beyond the leeway":       {"iat": now + 3600},
		"AT-02 no iat":                      {"iat": nil},
		"AT-02 no sub":                      {"sub": nil},
		"AT-02 an empty sub":                {"sub": ""},
		"AT-02 no client_id":                {"client_id": nil},
		"AT-02 a client_id that is no text": {"client_id": 7},
		"AT-02 no jti":                      {"jti": nil},
		"AT-06 scope a list":                {"scope": []string{"orders:read"}},
		"AT-06 scope that is not one":       {"scope": "a\"b"},
	}
	for name, change := range bad {
		t.Run(name+": 401", func(t *testing.T) {
			_, err := v.Verify(t.Context(), a.token(t, change))
			require.ErrorIs(t, err, ErrInvalidToken)
		})
	}
	for _, typ := range []string{"", "JWT", "token-introspection+jwt", "client-authentication+jwt", "logout+jwt", "dpop+jwt"} {
		t.Run("AT-15 JI-07 RFC 8725 §3.11 typ "+typ+" is no access token", func(t *testing.T) {
			_, err := v.Verify(t.Context(), sign(t, "ES256", "ec", typ, k.ec, a.claims(nil)))
			require.ErrorIs(t, err, ErrInvalidToken)
		})
	}
	for _, typ := range []string{"at+jwt", "application/at+jwt", "AT+JWT"} {
		t.Run("AT-05 typ "+typ, func(t *testing.T) {
			_, err := v.Verify(t.Context(), sign(t, "ES256", "ec", typ, k.ec, a.claims(nil)))
			require.NoError(t, err)
		})
	}
	t.Run("RFC 8725 §3.1 mistakes of the configuration", func(t *testing.T) {
		for _, cfg := range []JWTConfig{{Audience: api}, {Issuer: a.URL}, {Issuer: a.URL, Audience: api, Algorithms: []string{"none"}}, {Issuer: a.URL, Audience: api, Algorithms: []string{"ES256", "HS256"}},
			{Issuer: a.URL, Audience: api, Algorithms: []string{}}, {Issuer: a.URL, Audience: api, Leeway: 61 * time.Second}, {Issuer: a.URL, Audience: api, Leeway: -1},
			{Issuer: "http://as.example.com", Audience: api}, {Issuer: a.URL, Audience: api, JWKSURI: "http://as.example.com/jwks"}} {
			_, err := NewJWT(cfg)
			require.Error(t, err)
		}
	})
	t.Run("CJ-12 all of this cost one fetch of the keys a verifier", func(t *testing.T) {
		before := a.fetched.Load()
		fresh := a.verifier(t)
		for range 100 {
			_, err := fresh.Verify(t.Context(), a.token(t, nil))
			require.NoError(t, err)
			_, err = fresh.Verify(t.Context(), sign(t, "ES256", "unknown", "at+jwt", k.ec, a.claims(nil)))
			require.ErrorIs(t, err, ErrInvalidToken)
		}
		require.Equal(t, before+1, a.fetched.Load())
	})
}

func TestJWTAttacks(t *testing.T) {
	a, k := newIssuer(t), signing()
	v := a.verifier(t)
	s := serve(t, Config{Verifier: v})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var called atomic.Int32
	evil := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_ = evil.Listener.Close()
	evil.Listener = l
	evil.Config.ConnState = func(net.Conn, http.ConnState) { called.Add(1) }
	evil.Start()
	t.Cleanup(evil.Close)
	text, err := json.Marshal(a.claims(nil))
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(k.rsa.Public())
	require.NoError(t, err)
	forge := func(header string, sign func(input string) []byte) string {
		input := part(header) + "." + part(string(text))
		return input + "." + part(string(sign(input)))
	}
	hmacBy := func(secret []byte) func(string) []byte {
		return func(input string) []byte {
			m := hmac.New(sha256.New, secret)
			m.Write([]byte(input))
			return m.Sum(nil)
		}
	}
	es := func(key *ecdsa.PrivateKey) func(string) []byte {
		return func(input string) []byte {
			sum := sha256.Sum256([]byte(input))
			r, s, _ := ecdsa.Sign(rand.Reader, key, sum[:])
			out := make([]byte, 64)
			r.FillBytes(out[:32])
			s.FillBytes(out[32:])
			return out
		}
	}
	zero := func(string) []byte { return make([]byte, 64) }
	jwk, err := jose.JSONWebKey{Key: k.foreign.Public()}.MarshalJSON()
	require.NoError(t, err)
	genuine := a.token(t, nil)
	parts := strings.Split(genuine, ".")
	rows := map[string]string{
		"AT-12 V-19 HS256 by the public key": forge(`{"alg":"HS256","typ":"at+jwt","kid":"rsa"}`, hmacBy(der)),
		"AT-13 a foreign key under our kid":  forge(`{"alg":"ES256","typ":"at+jwt","kid":"ec"}`, es(k.foreign)),
		"AT-13 V-17 jwk":                     forge(`{"alg":"ES256","typ":"at+jwt","jwk":`+string(jwk)+`}`, es(k.foreign)),
		"AT-13 S-49 jku":                     forge(`{"alg":"ES256","typ":"at+jwt","kid":"x","jku":"`+evil.URL+`"}`, es(k.foreign)),
		"AT-13 S-49 x5u":                     forge(`{"alg":"ES256","typ":"at+jwt","kid":"x","x5u":"`+evil.URL+`"}`, es(k.foreign)),
		"S-49 kid a URL":                     forge(`{"alg":"ES256","typ":"at+jwt","kid":"`+evil.URL+`"}`, es(k.foreign)),
		"S-49 kid a path":                    forge(`{"alg":"HS256","typ":"at+jwt","kid":"/dev/null"}`, hmacBy(nil)),
		"AT-14 V-20 r = s = 0":               forge(`{"alg":"ES256","typ":"at+jwt","kid":"ec"}`, zero),
		"AT-14 an empty signature":           parts[0] + "." + parts[1] + ".",
		"AT-14 no signature":                 parts[0] + "." + parts[1],
		"AT-14 a foreign signature":          parts[0] + "." + parts[1] + "." + strings.Split(a.token(t, map[string]any{"jti": "k"}), ".")[2],
		"AT-04 a changed payload":            parts[0] + "." + part(strings.Replace(string(text), "u-1", "u-2", 1)) + "." + parts[2],
		"AT-21 V-18 crit":                    forge(`{"alg":"ES256","typ":"at+jwt","kid":"ec","crit":["x"],"x":1}`, es(k.ec)),
		"V-22 five parts":                    genuine + ".AAAA.AAAA",
		"V-22 five parts, a JWE":             part(`{"alg":"dir","enc":"A128GCM"}`) + ".AAAA.AAAA.AAAA.AAAA",
		"V-21 8,000 dots":                    strings.Repeat("a.", 4000) + "a",
		"an opaque token":                    "gat_0123456789",
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE"} {
		rows["AT-11 alg "+none] = forge(`{"alg":"`+none+`","typ":"at+jwt"}`, zero)
		rows["AT-11 without a signature, alg "+none] = part(`{"alg":"`+none+`","typ":"at+jwt"}`) + "." + parts[1] + "."
	}
	for name, token := range rows {
		t.Run(name+": 401 invalid_token", func(t *testing.T) {
			_, err := v.Verify(t.Context(), token)
			require.ErrorIs(t, err, ErrInvalidToken)
			require.NotContains(t, err.Error(), token)
			r := do(t, "GET", s.URL+"/read", "", "Authorization: Bearer "+token)
			require.Equal(t, 401, r.StatusCode)
			require.Contains(t, challenge(r), `error="invalid_token"`)
		})
	}
	t.Run("V-21 20,000 dots: 4xx", func(t *testing.T) {
		r := do(t, "GET", s.URL+"/read", "", "Authorization: Bearer "+strings.Repeat("a.", 20_000)+"a")
		require.Equal(t, 400, r.StatusCode)
		_, err := v.Verify(t.Context(), strings.Repeat(".", 20_000))
		require.ErrorIs(t, err, ErrInvalidToken)
	})
	t.Run("S-49 nobody called the jku host", func(t *testing.T) { require.Zero(t, called.Load()) })
	t.Run("the genuine one passes the guard, and only with its scope", func(t *testing.T) {
		require.Equal(t, 200, do(t, "GET", s.URL+"/read", "", "Authorization: Bearer "+genuine).StatusCode)
		require.Equal(t, 403, do(t, "GET", s.URL+"/write", "", "Authorization: Bearer "+genuine).StatusCode)
	})
}

func TestJWTKeysUnavailable(t *testing.T) {
	a, k := newIssuer(t), signing()
	a.down.Store(true)
	v := a.verifier(t)
	s := serve(t, Config{Verifier: v})
	t.Run("BR-19 keys that cannot be had: 503, neither 401 nor 200", func(t *testing.T) {
		token := a.token(t, nil)
		_, err := v.Verify(t.Context(), token)
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrInvalidToken)
		require.NotContains(t, err.Error(), token)
		require.Equal(t, 503, do(t, "GET", s.URL+"/read", "", "Authorization: Bearer "+token).StatusCode)
	})
	t.Run("BR-05 what no key could make good is 401 all the same, and fetches nothing", func(t *testing.T) {
		before := a.fetched.Load()
		for _, token := range []string{sign(t, "ES256", "ec", "JWT", k.ec, a.claims(nil)), a.token(t, map[string]any{"iss": "https://evil.example.com"}), "x"} {
			require.Equal(t, 401, do(t, "GET", s.URL+"/read", "", "Authorization: Bearer "+token).StatusCode)
		}
		require.Equal(t, before, a.fetched.Load())
	})
}
