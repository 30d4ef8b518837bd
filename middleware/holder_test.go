package middleware

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/scopes"
)

// holders is a Verifier whose token "bound" is bound to a key, "certified" to a certificate, and
// "twice" to both.
func holders(key, certificate [32]byte) VerifierFunc {
	return func(ctx context.Context, text string) (*Token, error) {
		t := &Token{Subject: "m", ClientID: "m", Scope: scopes.MustParse("orders:read"), Audience: []string{api}, ExpiresAt: time.Now().Add(time.Minute)}
		switch text {
		case "bound":
			t.Confirmation.KeyThumbprint = key
		case "certified":
			t.Confirmation.CertificateThumbprint = certificate
		case "twice":
			t.Confirmation = Confirmation{key, certificate}
		case "plain", "gak_plain":
		default:
			return nil, ErrInvalidToken
		}
		return FromHolder(ctx, t)
	}
}

// verdictOf is the status and the error code of an answer.
func verdictOf(t *testing.T, r *http.Response) string {
	t.Helper()
	code := regexp.MustCompile(`"error":"([a-z_]+)"`).FindStringSubmatch(bodyOf(t, r))
	if code == nil {
		return http.StatusText(r.StatusCode)
	}
	return http.StatusText(r.StatusCode) + " " + code[1]
}

const (
	refusedToken = "Unauthorized invalid_token"
	refusedProof = "Unauthorized invalid_dpop_proof"
)

// TestDPoP is the table of what may be sent beside a token that is bound to a key.
func TestDPoP(t *testing.T) {
	k, other := dpoptest.New(t), dpoptest.New(t)
	var log bytes.Buffer
	s := serve(t, Config{Verifier: holders(k.Thumbprint(), [32]byte{}), Log: slog.New(slog.NewTextHandler(&log, nil))})
	url := api + "/read"
	good := func(c ...dpoptest.Change) string {
		return "DPoP: " + k.Proof("GET", url, append([]dpoptest.Change{dpoptest.With("bound")}, c...)...)
	}
	const bound = "Authorization: DPoP bound"
	used := good()
	require.Equal(t, 200, do(t, "GET", s.URL+"/read", "", bound, used).StatusCode)
	for _, row := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"DP-04 RFC 9449 §7.1 a token with its proof", []string{bound, good()}, "OK"},
		{"DP-04 RFC 9110 §11.1 the scheme knows no case", []string{"Authorization: dpop bound", good()}, "OK"},
		{"DP-04 RFC 9449 §7.1 a proof without nonce, though it has one", []string{bound, good(dpoptest.Change{"nonce": "x"})}, "OK"},
		{"DP-05 RFC 9449 §7.2 a stolen token as Bearer", []string{"Authorization: Bearer bound"}, refusedToken},
		{"DP-05 RFC 9449 §7.2 as Bearer, with its proof", []string{"Authorization: Bearer bound", good()}, refusedToken},
		{"DP-04 a stolen token without a proof", []string{bound}, refusedProof},
		{"DP-04 a stolen token with a proof by another key", []string{bound, "DPoP: " + other.Proof("GET", url, dpoptest.With("bound"))}, refusedToken},
		{"DP-04 RFC 9449 §11.1 a replayed proof", []string{bound, used}, refusedProof},
		{"DP-11 RFC 9449 §4.3 two proofs", []string{bound, good(), good()}, refusedProof},
		{"DP-04 a proof for another URL", []string{bound, "DPoP: " + k.Proof("GET", api+"/write", dpoptest.With("bound"))}, refusedProof},
		{"DP-04 a proof for another host", []string{bound, "DPoP: " + k.Proof("GET", "https://evil.example.com/read", dpoptest.With("bound"))}, refusedProof},
		{"DP-04 a proof for the address at which the API listens", []string{bound, "DPoP: " + k.Proof("GET", s.URL+"/read", dpoptest.With("bound"))}, refusedProof},
		{"DP-04 a proof for another method", []string{bound, "DPoP: " + k.Proof("POST", url, dpoptest.With("bound"))}, refusedProof},
		{"DP-04 a proof for another token", []string{bound, "DPoP: " + k.Proof("GET", url, dpoptest.With("plain"))}, refusedProof},
		{"DP-04 a proof for no token, as of the token endpoint", []string{bound, "DPoP: " + k.Proof("GET", url)}, refusedProof},
		{"DP-04 an old proof", []string{bound, good(dpoptest.Change{"iat": time.Now().Unix() - 62})}, refusedProof},
		{"DP-04 a proof of the future", []string{bound, good(dpoptest.Change{"iat": time.Now().Unix() + 70})}, refusedProof},
		{"DP-04 alg none", []string{bound, "DPoP: " + k.Sign(k.Header(dpoptest.Change{"alg": "none"}), nil)}, refusedProof},
		{"DP-04 a symmetric jwk", []string{bound, "DPoP: " + k.Sign(k.Header(dpoptest.Change{"alg": "HS256", "jwk": map[string]any{"kty": "oct", "k": "AAAA"}}), nil)}, refusedProof},
		{"DP-04 a private jwk", []string{bound, "DPoP: " + k.Sign(k.Header(dpoptest.Change{"jwk": k.JWK(dpoptest.Change{"d": k.Private()})}), nil)}, refusedProof},
		{"DP-04 a proof of 64 kB", []string{bound, "DPoP: " + strings.Repeat("a", 64<<10)}, refusedProof},
		{"DP-04 an unbound token by the scheme DPoP", []string{"Authorization: DPoP plain", "DPoP: " + k.Proof("GET", url, dpoptest.With("plain"))}, refusedToken},
		{"DP-04 an unknown token by the scheme DPoP", []string{"Authorization: DPoP unknown", good()}, refusedToken},
		{"RFC 6750 §2.1 an unbound token as ever", []string{"Authorization: Bearer plain"}, "OK"},
		{"RFC 6750 §2.1 an unbound token beside a proof, which says nothing", []string{"Authorization: Bearer plain", good()}, "OK"},
		{"an API key as ever", []string{"Authorization: Bearer gak_plain"}, "OK"},
		{"RFC 6750 §2 both schemes", []string{"Authorization: Bearer plain", bound, good()}, "Bad Request invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.want, verdictOf(t, do(t, "GET", s.URL+"/read", "", row.headers...)))
		})
	}
	require.NotContains(t, log.String(), "eyJ", "S-45 no proof is logged")
	require.Contains(t, log.String(), "reason=dpop_replayed")
}

// sendBound sends a request with a proof that is changed.
func sendBound(t *testing.T, k *dpoptest.Key, method, to, htu string, changes ...dpoptest.Change) *http.Response {
	t.Helper()
	proof := k.Proof(method, htu, append([]dpoptest.Change{dpoptest.With("bound")}, changes...)...)
	return do(t, method, to, "", "Authorization: DPoP bound", "DPoP: "+proof)
}

func TestDPoPURL(t *testing.T) {
	k := dpoptest.New(t)
	for _, row := range []struct {
		name, path, htu string
		dpop            DPoP
		want            int
	}{
		{"the path of the request", "/plain/a/b", api + "/plain/a/b", DPoP{}, 200},
		{"RFC 9449 §4.3 without the query", "/plain/a?b=c", api + "/plain/a", DPoP{}, 200},
		{"RFC 9449 §4.3 the client wrote the query", "/plain/a?b=c", api + "/plain/a?b=c#d", DPoP{}, 200},
		{"RFC 3986 §6.2.2 other spellings of one URL", "/plain/%7ea/%c3%a9", "HTTPS://Orders.Example.com:443/plain/~a/%C3%A9", DPoP{}, 200},
		{"RFC 3986 §6.2.2 a slash that is no separator is another path", "/plain/a%2Fb", api + "/plain/a/b", DPoP{}, 401},
		{"RFC 3986 §6.2.2 paths have case", "/plain/a", api + "/plain/A", DPoP{}, 401},
		{"a public URL of its own", "/plain/a", "https://public.example.com/plain/a", DPoP{URL: "https://public.example.com"}, 200},
		{"what the proxy cuts off", "/plain/a", "https://public.example.com/orders/v1/plain/a", DPoP{URL: "https://public.example.com/orders/v1/"}, 200},
		{"what the proxy cuts off is part of the URL", "/plain/a", "https://public.example.com/plain/a", DPoP{URL: "https://public.example.com/orders/v1/"}, 401},
		{"one URL for each request", "/plain/a", "https://a.example.com/x", DPoP{Request: func(r *http.Request) (string, string) { return r.Method, "https://A.example.com/x?y" }}, 200},
		{"a URL that is not known", "/plain/a", "https://a.example.com/x", DPoP{Request: func(r *http.Request) (string, string) { return r.Method, "" }}, 401},
		{"an empty htu where the URL is not known", "/plain/a", "", DPoP{Request: func(r *http.Request) (string, string) { return r.Method, "" }}, 401},
	} {
		t.Run("DP-04 "+row.name, func(t *testing.T) {
			s := serve(t, Config{Verifier: holders(k.Thumbprint(), [32]byte{}), DPoP: row.dpop})
			require.Equal(t, row.want, sendBound(t, k, "GET", s.URL+row.path, row.htu).StatusCode)
		})
	}
	t.Run("DP-04 the Host header is not believed", func(t *testing.T) {
		s := serve(t, Config{Verifier: holders(k.Thumbprint(), [32]byte{})})
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/read", nil)
		require.NoError(t, err)
		r.Host = "other.example.com"
		r.Header.Set("Authorization", "DPoP bound")
		r.Header.Set("DPoP", k.Proof("GET", "https://other.example.com/read", dpoptest.With("bound")))
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 401, res.StatusCode)
	})
	t.Run("DP-04 behind http.StripPrefix the client's path counts", func(t *testing.T) {
		g, err := New(Config{Audience: api, Verifier: holders(k.Thumbprint(), [32]byte{})})
		require.NoError(t, err)
		s := httptest.NewServer(http.StripPrefix("/v1", g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))))
		t.Cleanup(s.Close)
		require.Equal(t, 200, sendBound(t, k, "GET", s.URL+"/v1/a", api+"/v1/a").StatusCode)
		require.Equal(t, 401, sendBound(t, k, "GET", s.URL+"/v1/a", api+"/a").StatusCode)
	})
}

// challenges are all challenges of an answer.
func challenges(r *http.Response) string {
	return strings.Join(r.Header.Values("WWW-Authenticate"), " | ")
}

func TestDPoPChallenges(t *testing.T) {
	k := dpoptest.New(t)
	const algs = `algs="ES256 ES384 EdDSA Ed25519 PS256 RS256"`
	both := serve(t, Config{Verifier: holders(k.Thumbprint(), [32]byte{}), Realm: "orders"})
	only := serve(t, Config{Verifier: holders(k.Thumbprint(), [32]byte{}), DPoP: DPoP{Required: true}})
	for name, c := range map[string]struct {
		url     string
		headers []string
		status  int
		want    string
	}{
		"RFC 9449 §7.1 no credentials: both schemes":             {both.URL + "/read", nil, 401, `Bearer realm="orders" \| DPoP realm="orders", ` + algs},
		"RFC 9449 §7.1 no credentials, and bound tokens alone":   {only.URL + "/read", nil, 401, `DPoP ` + algs},
		"RFC 9449 §7.1 a bad proof":                              {both.URL + "/read", []string{"Authorization: DPoP bound"}, 401, `DPoP realm="orders", error="invalid_dpop_proof", error_description="[^"]*", ` + algs + ` \| Bearer realm="orders"`},
		"RFC 9449 §7.2 a bound token as Bearer":                  {both.URL + "/read", []string{"Authorization: Bearer bound"}, 401, `DPoP realm="orders", error="invalid_token", error_description="[^"]*", ` + algs + ` \| Bearer realm="orders"`},
		"RFC 6750 §3 a bad bearer token":                         {both.URL + "/read", []string{"Authorization: Bearer x"}, 401, `Bearer realm="orders", error="invalid_token", error_description="[^"]*" \| DPoP realm="orders", ` + algs},
		"RFC 9449 §7.1 an unbound token, and bound tokens alone": {only.URL + "/read", []string{"Authorization: Bearer plain"}, 401, `DPoP error="invalid_token", error_description="this API takes only[^"]*", ` + algs},
		"an API key, where bound tokens alone are taken":         {only.URL + "/read", []string{"Authorization: Bearer gak_plain"}, 401, `DPoP error="invalid_token", error_description="this API takes only[^"]*", ` + algs},
		"RFC 6750 §3.1 a scope is missing, Bearer":               {both.URL + "/write", []string{"Authorization: Bearer plain"}, 403, `Bearer realm="orders", error="insufficient_scope", error_description="[^"]*", scope="orders:write"`},
		"RFC 9449 §7.1 a scope is missing, DPoP":                 {both.URL + "/write", []string{"Authorization: DPoP bound", "DPoP: " + k.Proof("GET", api+"/write", dpoptest.With("bound"))}, 403, `DPoP realm="orders", error="insufficient_scope", error_description="[^"]*", scope="orders:write", ` + algs},
		"RFC 9449 §7.1 another audience, DPoP":                   {both.URL + "/aud", []string{"Authorization: DPoP bound", "DPoP: " + k.Proof("GET", api+"/aud", dpoptest.With("bound"))}, 401, `DPoP realm="orders", error="invalid_token", .*`},
	} {
		t.Run("DP-06 "+name, func(t *testing.T) {
			r := do(t, "GET", c.url, "", c.headers...)
			require.Equal(t, c.status, r.StatusCode)
			require.Regexp(t, "^"+c.want+"$", challenges(r))
			require.Contains(t, r.Header.Get("Cache-Control"), "no-store")
		})
	}
}

func TestDPoPNonce(t *testing.T) {
	k := dpoptest.New(t)
	secret := bytes.Repeat([]byte("s"), 32)
	cfg := Config{Verifier: holders(k.Thumbprint(), [32]byte{}), DPoP: DPoP{NonceKey: secret}}
	one, another := serve(t, cfg), serve(t, cfg)
	t.Run("DP-07 RFC 9449 §9 a proof without nonce: 401 use_dpop_nonce, and the retry passes at any instance", func(t *testing.T) {
		r := sendBound(t, k, "GET", one.URL+"/read", api+"/read")
		require.Contains(t, challenge(r), `DPoP error="use_dpop_nonce"`)
		require.Equal(t, "Unauthorized use_dpop_nonce", verdictOf(t, r))
		nonce := r.Header.Get("DPoP-Nonce")
		require.NotEmpty(t, nonce)
		r = sendBound(t, k, "GET", another.URL+"/read", api+"/read", dpoptest.Change{"nonce": nonce})
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, r.Header.Get("DPoP-Nonce"), "it is new enough")
	})
	t.Run("DP-07 RFC 9449 §9 a forged nonce", func(t *testing.T) {
		require.Equal(t, "Unauthorized use_dpop_nonce", verdictOf(t, sendBound(t, k, "GET", one.URL+"/read", api+"/read", dpoptest.Change{"nonce": "forged"})))
	})
	t.Run("DP-07 RFC 9449 §8.2 a nonce that ages is good, and the answer has the next one", func(t *testing.T) {
		past := cfg
		past.Now = func() time.Time { return time.Now().Add(-2 * time.Minute) }
		old := sendBound(t, k, "GET", serve(t, past).URL+"/read", api+"/read").Header.Get("DPoP-Nonce")
		for _, path := range []string{"/read", "/plain/x"} {
			r := sendBound(t, k, "GET", one.URL+path, api+path, dpoptest.Change{"nonce": old})
			require.Equal(t, 200, r.StatusCode)
			require.NotEmpty(t, r.Header.Get("DPoP-Nonce"))
			require.NotEqual(t, old, r.Header.Get("DPoP-Nonce"))
		}
	})
	t.Run("DP-07 RFC 9449 §9 an expired nonce", func(t *testing.T) {
		past := cfg
		past.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
		old := sendBound(t, k, "GET", serve(t, past).URL+"/read", api+"/read").Header.Get("DPoP-Nonce")
		require.NotEmpty(t, old)
		r := sendBound(t, k, "GET", one.URL+"/read", api+"/read", dpoptest.Change{"nonce": old})
		require.Equal(t, "Unauthorized use_dpop_nonce", verdictOf(t, r))
		require.NotEqual(t, old, r.Header.Get("DPoP-Nonce"))
	})
	t.Run("RFC 6750 §3 bearer tokens need none, and hear of none", func(t *testing.T) {
		r := do(t, "GET", one.URL+"/read", "", "Authorization: Bearer plain")
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, r.Header.Get("DPoP-Nonce"))
	})
}

// TestDPoPOnce: of many uses of one proof at the same time one passes.
func TestDPoPOnce(t *testing.T) {
	k := dpoptest.New(t)
	s := serve(t, Config{Verifier: holders(k.Thumbprint(), [32]byte{})})
	proof := k.Proof("GET", api+"/read", dpoptest.With("bound"))
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if do(t, "GET", s.URL+"/read", "", "Authorization: DPoP bound", "DPoP: "+proof).StatusCode == 200 {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, passed.Load(), "DP-09 RFC 9449 §11.1")
	t.Run("DP-09 a store that all instances share", func(t *testing.T) {
		shared := &store{}
		cfg := Config{Verifier: holders(k.Thumbprint(), [32]byte{}), DPoP: DPoP{Used: shared}}
		one, another := serve(t, cfg), serve(t, cfg)
		proof := k.Proof("GET", api+"/read", dpoptest.With("bound"))
		ask := func(s *httptest.Server) string {
			return verdictOf(t, do(t, "GET", s.URL+"/read", "", "Authorization: DPoP bound", "DPoP: "+proof))
		}
		require.Equal(t, "OK", ask(one))
		require.Equal(t, refusedProof, ask(another))
		require.Len(t, shared.key, 43)
		require.InDelta(t, 2*time.Minute, shared.ttl, float64(10*time.Second))
		shared.err = errors.New("connection refused")
		require.Equal(t, "Service Unavailable temporarily_unavailable", ask(one))
	})
}

// store is a UsedProofs of one proof.
type store struct {
	key string
	ttl time.Duration
	err error
}

func (s *store) Once(_ context.Context, key string, ttl time.Duration) error {
	if s.err != nil {
		return s.err
	}
	if s.key == key {
		return ErrProofUsed
	}
	s.key, s.ttl = key, ttl
	return nil
}

func TestUsed(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	u := newUsed(3, func() time.Time { return now })
	once := func(key string, ttl time.Duration) error { return u.Once(t.Context(), key, ttl) }
	require.NoError(t, once("a", time.Minute))
	require.ErrorIs(t, once("a", time.Minute), ErrProofUsed, "DP-09")
	now = now.Add(59 * time.Second)
	require.ErrorIs(t, once("a", time.Second), ErrProofUsed, "DP-09 replay at the end of the window")
	now = now.Add(2 * usedSlice)
	require.NoError(t, once("a", time.Minute), "it is forgotten once no proof of that time is good")
	require.NoError(t, once("b", 2*time.Minute))
	require.NoError(t, once("c", 3*time.Minute))
	require.NoError(t, once("d", 3*time.Minute), "memory is bounded: what ends first is forgotten")
	require.LessOrEqual(t, u.count, 3)
	require.ErrorIs(t, once("a", time.Minute), ErrProofUsed, "and what may have been forgotten counts as used")
	require.ErrorIs(t, once("e", time.Minute), ErrProofUsed)
	require.ErrorIs(t, once("c", 3*time.Minute), ErrProofUsed)
}

// TestHolderIsChecked: a Verifier that is called without a Guard lets no bound token pass.
func TestHolderIsChecked(t *testing.T) {
	a := newIssuer(t)
	k := dpoptest.New(t)
	claims := func(cnf any) map[string]any { return map[string]any{"cnf": cnf} }
	local := a.verifier(t)
	asking, err := NewIntrospection(IntrospectionConfig{URL: a.URL + "/introspect", ClientID: "api", ClientSecret: "s"})
	require.NoError(t, err)
	for _, row := range []struct {
		name    string
		cnf     string
		alone   error
		guarded error
		want    Confirmation
	}{
		{"DP-05 bound to a key", `{"jkt":"` + k.JKT() + `"}`, ErrHolderUnknown, nil, Confirmation{KeyThumbprint: k.Thumbprint()}},
		{"MT-05 bound to a certificate", `{"x5t#S256":"` + k.JKT() + `"}`, ErrHolderUnknown, nil, Confirmation{CertificateThumbprint: k.Thumbprint()}},
		{"bound to both", `{"x5t#S256":"` + k.JKT() + `","jkt":"` + k.JKT() + `"}`, ErrHolderUnknown, nil, Confirmation{k.Thumbprint(), k.Thumbprint()}},
		{"RFC 7800 §3.1 bound in an unknown way", `{"jwk":{"kty":"EC"}}`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"RFC 7800 §3.1 bound in an unknown way too", `{"jkt":"` + k.JKT() + `","kid":"x"}`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"RFC 7800 §3.1 bound to nothing", `{}`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"RFC 7800 §3.1 cnf null", `null`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"RFC 7800 §3.1 cnf a text", `"x"`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"a thumbprint of zeros, which would be none", `{"jkt":"` + strings.Repeat("A", 43) + `"}`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"a thumbprint that is short", `{"jkt":"AAAA"}`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"a thumbprint with padding", `{"jkt":"` + k.JKT() + `="}`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
		{"a thumbprint null", `{"jkt":null}`, ErrInvalidToken, ErrInvalidToken, Confirmation{}},
	} {
		t.Run("DP-05 "+row.name, func(t *testing.T) {
			a.says(`{"active":true,"client_id":"m","scope":"orders:read","cnf":` + row.cnf + `}`)
			token := a.token(t, claims(rawJSON(row.cnf)))
			for _, v := range []Verifier{local, asking} {
				_, err := v.Verify(t.Context(), token)
				require.ErrorIs(t, err, row.alone)
				got, err := v.Verify(WithHolderCheck(t.Context()), token)
				require.ErrorIs(t, err, row.guarded)
				if err == nil {
					require.Equal(t, row.want, got.Confirmation)
				}
			}
		})
	}
	t.Run("DP-03 RFC 9449 §6.2 token_type DPoP without a key to check is no token", func(t *testing.T) {
		for _, cnf := range []string{``, `,"cnf":{"x5t#S256":"` + k.JKT() + `"}`, `,"cnf":null`} {
			a.says(`{"active":true,"client_id":"m","token_type":"DPoP"` + cnf + `}`)
			_, err := asking.Verify(WithHolderCheck(t.Context()), "x")
			require.ErrorIs(t, err, ErrInvalidToken)
		}
		a.says(`{"active":true,"client_id":"m","token_type":"DPoP","cnf":{"jkt":"` + k.JKT() + `"}}`)
		_, err := asking.Verify(WithHolderCheck(t.Context()), "x")
		require.NoError(t, err)
	})
	t.Run("HighRisk wants both to say the same", func(t *testing.T) {
		high := HighRisk(local, asking)
		for said, want := range map[string]error{`,"cnf":{"jkt":"` + k.JKT() + `"}`: nil, ``: ErrInvalidToken, `,"cnf":{"x5t#S256":"` + k.JKT() + `"}`: ErrInvalidToken} {
			a.says(`{"active":true,"client_id":"app","scope":"orders:read"` + said + `}`)
			_, err := high.Verify(WithHolderCheck(t.Context()), a.token(t, claims(map[string]any{"jkt": k.JKT()})))
			require.ErrorIs(t, err, want, said)
		}
	})
}

// TestHolderOfAnotherToken: the Guard checked who sends the token of the request, and no other one.
func TestHolderOfAnotherToken(t *testing.T) {
	k := dpoptest.New(t)
	verifier := holders(k.Thumbprint(), k.Thumbprint())
	g, err := New(Config{Audience: api, Verifier: verifier})
	require.NoError(t, err)
	for _, sent := range [][]string{{"Bearer plain"}, {"DPoP bound", k.Proof("GET", api+"/read", dpoptest.With("bound"))}} {
		passed := false
		h := g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			for _, other := range []string{"bound", "certified", "twice"} {
				_, err := verifier.Verify(r.Context(), other)
				require.ErrorIs(t, err, ErrHolderUnknown, "DP-05 RFC 9449 §7.2 a token of the body of a request by "+sent[0])
				_, err = verifier.Verify(WithHolderCheck(r.Context()), other)
				require.NoError(t, err)
			}
			_, err := verifier.Verify(r.Context(), "plain")
			require.NoError(t, err)
		}))
		r := httptest.NewRequest("GET", "/read", nil)
		r.Header.Set("Authorization", sent[0])
		if len(sent) > 1 {
			r.Header.Set("DPoP", sent[1])
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.True(t, passed, sent[0])
	}
}

// rawJSON is a claim as it is written.
type rawJSON string

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// TestRememberedBound: a token that a verifier remembers needs a new proof each time.
func TestRememberedBound(t *testing.T) {
	a, k := newIssuer(t), dpoptest.New(t)
	token := a.token(t, map[string]any{"cnf": map[string]any{"jkt": k.JKT()}})
	s := serve(t, Config{Verifier: a.verifier(t)})
	send := func(proof string) string {
		return verdictOf(t, do(t, "GET", s.URL+"/read", "", "Authorization: DPoP "+token, "DPoP: "+proof))
	}
	first := k.Proof("GET", api+"/read", dpoptest.With(token))
	require.Equal(t, "OK", send(first))
	require.Equal(t, "OK", send(k.Proof("GET", api+"/read", dpoptest.With(token))), "DP-04 a new proof for a remembered token")
	require.Equal(t, refusedProof, send(first), "DP-04 the proof of before")
	require.Equal(t, refusedToken, send(dpoptest.New(t).Proof("GET", api+"/read", dpoptest.With(token))), "DP-04 another key")
	require.Equal(t, refusedToken, verdictOf(t, do(t, "GET", s.URL+"/read", "", "Authorization: Bearer "+token)), "DP-05 as Bearer")
}

// TestCertificate: a token that is bound to a certificate passes over a connection with it alone.
func TestCertificate(t *testing.T) {
	own, foreign := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	expired := certtest.SelfSigned(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	k := dpoptest.New(t)
	for _, row := range []struct {
		name    string
		bound   tls.Certificate
		sent    *tls.Certificate
		headers []string
		want    string
	}{
		{"RFC 8705 §3 with it", own, &own, []string{"Authorization: Bearer certified"}, "OK"},
		{"RFC 8705 §3 a stolen token with another certificate", own, &foreign, []string{"Authorization: Bearer certified"}, refusedToken},
		{"RFC 8705 §3 a stolen token without certificate", own, nil, []string{"Authorization: Bearer certified"}, refusedToken},
		{"an expired certificate", expired, &expired, []string{"Authorization: Bearer certified"}, refusedToken},
		{"by the scheme DPoP, though no key is bound", own, &own, []string{"Authorization: DPoP certified", "DPoP: " + k.Proof("GET", api+"/read", dpoptest.With("certified"))}, refusedToken},
		{"bound to key and certificate, with both", own, &own, []string{"Authorization: DPoP twice", "DPoP: " + k.Proof("GET", api+"/read", dpoptest.With("twice"))}, "OK"},
		{"bound to key and certificate, without proof", own, &own, []string{"Authorization: Bearer twice"}, refusedToken},
		{"bound to key and certificate, without certificate", own, nil, []string{"Authorization: DPoP twice", "DPoP: " + k.Proof("GET", api+"/read", dpoptest.With("twice"))}, refusedToken},
		{"an unbound token needs none", own, nil, []string{"Authorization: Bearer plain"}, "OK"},
		{"MT-08 a header that the client sends itself", own, nil, []string{"Authorization: Bearer certified", "Client-Cert: " + clientCert(own)}, refusedToken},
	} {
		t.Run("MT-05 "+row.name, func(t *testing.T) {
			cfg := Config{Audience: api, Verifier: holders(k.Thumbprint(), clientcert.Presented{Leaf: row.bound.Leaf}.Thumbprint())}
			require.Equal(t, row.want, overMutualTLS(t, cfg, row.sent, row.headers...))
		})
	}
}

// clientCert is the header of RFC 9440 §2.2.
func clientCert(c tls.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
}

// overMutualTLS asks an API that asks for client certificates and takes any.
func overMutualTLS(t *testing.T, cfg Config, sent *tls.Certificate, headers ...string) string {
	t.Helper()
	g, err := New(cfg)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	client := s.Client()
	if sent != nil {
		client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{*sent}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/read", nil)
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	res, err := client.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	res.Body = io.NopCloser(bytes.NewReader(text))
	return verdictOf(t, res)
}

// TestCertificateOfProxy: a proxy that is trusted says the certificate in a header.
func TestCertificateOfProxy(t *testing.T) {
	own, foreign := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
	verifier := holders([32]byte{}, clientcert.Presented{Leaf: own.Leaf}.Thumbprint())
	trusting := serve(t, Config{Verifier: verifier, ClientCertHeader: "Client-Cert", TrustedProxies: []string{"127.0.0.1"}})
	stranger := serve(t, Config{Verifier: verifier, ClientCertHeader: "Client-Cert", TrustedProxies: []string{"10.0.0.5"}})
	for _, row := range []struct {
		name    string
		s       *httptest.Server
		headers []string
		want    string
	}{
		{"from the proxy", trusting, []string{"Client-Cert: " + clientCert(own)}, "OK"},
		{"from the proxy, of another client", trusting, []string{"Client-Cert: " + clientCert(foreign)}, refusedToken},
		{"from the proxy, which has none", trusting, nil, refusedToken},
		{"from the proxy, twice", trusting, []string{"Client-Cert: " + clientCert(own), "Client-Cert: " + clientCert(own)}, refusedToken},
		{"from somebody else", stranger, []string{"Client-Cert: " + clientCert(own)}, refusedToken},
	} {
		t.Run("MT-05 MT-08 "+row.name, func(t *testing.T) {
			headers := append([]string{"Authorization: Bearer certified"}, row.headers...)
			require.Equal(t, row.want, verdictOf(t, do(t, "GET", row.s.URL+"/read", "", headers...)))
		})
	}
}

func TestHolderConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"a proof needs a URL": func(c *Config) { c.Audience, c.DPoP.Required = "orders", true },
		"a URL that is none":  func(c *Config) { c.DPoP.URL = "orders.example.com" },
		"a URL and a function": func(c *Config) {
			c.DPoP = DPoP{URL: api, Request: func(*http.Request) (string, string) { return "", "" }}
		},
		"a short nonce key":                    func(c *Config) { c.DPoP.NonceKey = []byte("short") },
		"a nonce lifetime without key":         func(c *Config) { c.DPoP.NonceLifetime = time.Minute },
		"a window that is wide":                func(c *Config) { c.DPoP.Window = time.Hour },
		"a header of certificates from nobody": func(c *Config) { c.ClientCertHeader = "Client-Cert" },
		"a header of an unknown format":        func(c *Config) { c.ClientCertHeader, c.TrustedProxies = "X-Cert", []string{"10.0.0.5"} },
		"two sources of certificates": func(c *Config) {
			c.ClientCertHeader, c.ClientCertificate = "Client-Cert", func(*http.Request) (*x509.Certificate, error) { return nil, nil }
		},
	} {
		cfg := Config{Audience: api, Verifier: VerifierFunc(table)}
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, "middleware: ", name)
	}
	t.Run("an API whose audience is no URL refuses bound tokens, and the log says what is missing", func(t *testing.T) {
		k := dpoptest.New(t)
		var log bytes.Buffer
		verifier := VerifierFunc(func(ctx context.Context, text string) (*Token, error) {
			token, err := holders(k.Thumbprint(), [32]byte{})(ctx, text)
			token.Audience = []string{"orders"}
			return token, err
		})
		g, err := New(Config{Audience: "orders", Verifier: verifier, Log: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		s := httptest.NewServer(g.Handler(http.NotFoundHandler()))
		t.Cleanup(s.Close)
		r := sendBound(t, k, "GET", s.URL+"/read", s.URL+"/read")
		require.Equal(t, refusedToken, verdictOf(t, r))
		require.NotContains(t, challenges(r), "DPoP")
		require.Contains(t, log.String(), "set Config.DPoP.URL")
	})
}
