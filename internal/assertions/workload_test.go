package assertions

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jwt"
)

func TestWorkload(t *testing.T) {
	w, k := newWorld(t), keys()
	w.clients["nameless"] = Registered{ID: "nameless", Issuer: platform}
	now := w.clock.Unix()
	token := func(change map[string]any) string { return sign(t, "ES256", "p", k.platform, w.workload(change)) }
	t.Run("RFC 7523 §3 the platform's token proves the client, again and again: CJ-02, CJ-05, CJ-08 do not apply", func(t *testing.T) {
		same := token(nil)
		for range 3 {
			proof, err := w.Verify(t.Context(), same, "pod", w.find)
			require.NoError(t, err)
			require.Equal(t, Proof{"pod", "workload:" + platform + " " + pod}, proof)
		}
		require.Empty(t, w.memory.ends)
		require.Empty(t, w.verify(t, token(map[string]any{"aud": us}), "pod"))
	})
	for _, typ := range []string{"JWT", "JOSE"} {
		t.Run("SPIFFE JWT-SVID §2.3 typ "+typ, func(t *testing.T) {
			require.Empty(t, w.verify(t, forge(`{"alg":"ES256","kid":"p","typ":"`+typ+`"}`, w.workload(nil), es256(k.platform)), "pod"))
		})
	}
	type row struct {
		change   map[string]any
		clientID string
		want     RejectionReason
	}
	for name, r := range map[string]row{
		"RFC 7521 §4.2 no client_id to say which client": {nil, "", ReasonClientID},
		"an unknown client":                          {nil, "nobody", ReasonUnknown},
		"a client that trusts no issuer":             {nil, "billing", ReasonSubject},
		"a client that names no subject":             {map[string]any{"sub": nil}, "nameless", ReasonSubject},
		"another workload":                           {map[string]any{"sub": pod + "-2"}, "pod", ReasonSubject},
		"no subject":                                 {map[string]any{"sub": nil}, "pod", ReasonSubject},
		"CJ-04 our issuer is not in aud":             {map[string]any{"aud": "https://vault"}, "pod", ReasonAudience},
		"CJ-04 no aud":                               {map[string]any{"aud": nil}, "pod", ReasonAudience},
		"CJ-04 the token endpoint is not our issuer": {map[string]any{"aud": endpoint}, "pod", ReasonAudience},
		"RFC 7523 §3 no exp":                         {map[string]any{"exp": nil}, "pod", ReasonNoExpiry},
		"RFC 7523 §3 expired":                        {map[string]any{"exp": now - 60}, "pod", ReasonExpired},
		"CJ-06 nbf ahead":                            {map[string]any{"nbf": now + 61}, "pod", ReasonNotYet},
		"CJ-06 iat ahead":                            {map[string]any{"iat": now + 61}, "pod", ReasonNotYet},
	} {
		t.Run(name+" is refused", func(t *testing.T) { require.Equal(t, r.want, w.verify(t, token(r.change), r.clientID)) })
	}
	t.Run("CJ-07 a foreign key, a client's key, another typ, another algorithm are refused", func(t *testing.T) {
		require.Equal(t, ReasonSignature, w.verify(t, sign(t, "ES256", "p", k.foreign, w.workload(nil)), "pod"))
		require.Equal(t, ReasonSignature, w.verify(t, sign(t, "ES256", "p", k.client, w.workload(nil)), "pod"))
		require.Equal(t, ReasonUnknownKey, w.verify(t, sign(t, "ES256", "k1", k.client, w.workload(nil)), "pod"))
		require.Equal(t, ReasonType, w.verify(t, forge(`{"alg":"ES256","kid":"p","typ":"at+jwt"}`, w.workload(nil), es256(k.platform)), "pod"))
		w.clients["pod"] = Registered{ID: "pod", Issuer: platform, Subject: pod, Algorithms: []string{"RS256"}}
		require.Equal(t, ReasonAlgorithm, w.verify(t, token(nil), "pod"))
	})
	t.Run("CJ-02 the platform's key does not sign for clients, nor a client's key for the platform", func(t *testing.T) {
		require.Equal(t, ReasonUnknownKey, w.verify(t, sign(t, "ES256", "p", k.platform, w.claims(nil)), ""))
		w.clients[pod] = w.clients["billing"]
		c := w.workload(map[string]any{"iss": pod, "exp": now + 60, "jti": "1", "aud": us})
		require.Equal(t, ReasonUnknownKey, w.verify(t, sign(t, "ES256", "p", k.platform, c), ""))
	})
	t.Run("CJ-07 the same subject at another trusted issuer is another workload", func(t *testing.T) {
		const second = "https://token.actions.githubusercontent.com"
		w := newWorld(t, func(c *Config) { c.Issuers = append(c.Issuers, Issuer{Issuer: second, Keys: c.Issuers[0].Keys}) })
		require.Equal(t, ReasonSubject, w.verify(t, sign(t, "ES256", "p", k.platform, w.workload(map[string]any{"iss": second})), "pod"))
	})
	t.Run("keys of an issuer that cannot be had are an error and no refusal", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Issuers = []Issuer{{Issuer: platform, Keys: failing{}}} })
		_, err := w.Verify(t.Context(), token(nil), "pod", w.find)
		require.ErrorIs(t, err, errDown)
		require.ErrorIs(t, err, ErrKeysUnavailable)
		require.NotErrorAs(t, err, new(*Rejection))
	})
}

type failing struct{}

func (failing) Keys(context.Context, string) (*jwt.KeySet, error) { return nil, errDown }

// TestDiscovery plays a cluster's issuer: its own authority, and a token without which it answers
// nothing.
func TestDiscovery(t *testing.T) {
	k := keys()
	mux := http.NewServeMux()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer node-token" {
			w.WriteHeader(401)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"issuer":"`+s.URL+`","jwks_uri":"`+s.URL+`/openid/v1/jwks"}`)
	})
	mux.HandleFunc("/openid/v1/jwks", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.platform.Public(), KeyID: "p"}}})
	})
	dir := t.TempDir()
	ca, node := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(node, []byte("node-token\n"), 0o600))
	for name, uri := range map[string]string{"discovered": "", "given": s.URL + "/openid/v1/jwks"} {
		t.Run("[[trusted_issuers]] keys "+name+", with ca_file and token_file", func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				c.Issuers = []Issuer{{Issuer: s.URL, JWKSURI: uri, CAFile: ca, TokenFile: node}}
			})
			w.clients["pod"] = Registered{ID: "pod", Issuer: s.URL, Subject: pod}
			require.Empty(t, w.verify(t, sign(t, "ES256", "p", k.platform, w.workload(map[string]any{"iss": s.URL})), "pod"))
		})
	}
	for name, broken := range map[string]Issuer{"without its authority": {Issuer: s.URL, TokenFile: node}, "without the token": {Issuer: s.URL, CAFile: ca},
		"the token's file is gone": {Issuer: s.URL, CAFile: ca, TokenFile: node + "x"}} {
		t.Run("[[trusted_issuers]] "+name+": an error and no refusal", func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Issuers = []Issuer{broken} })
			w.clients["pod"] = Registered{ID: "pod", Issuer: s.URL, Subject: pod}
			_, err := w.Verify(t.Context(), sign(t, "ES256", "p", k.platform, w.workload(map[string]any{"iss": s.URL})), "pod", w.find)
			require.Error(t, err)
			require.NotErrorAs(t, err, new(*Rejection))
		})
	}
}

// TestTokenFile has metadata name keys at another origin, which keeps the tokens that it is sent.
func TestTokenFile(t *testing.T) {
	k := keys()
	serveKeys := func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.platform.Public(), KeyID: "p"}}})
	}
	var stolen, due atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			stolen.Add(1)
		}
		if r.URL.Path != "/open" && r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		serveKeys(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	named, redirect := "", ""
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		if redirect != "" {
			http.Redirect(w, r, redirect, http.StatusTemporaryRedirect)
			return
		}
		serveKeys(w, r)
	})
	issuer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer node-token" {
			due.Add(1)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(issuer.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"issuer":"`+issuer.URL+`","jwks_uri":"`+named+`"}`)
	})
	dir := t.TempDir()
	ca, node := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(node, []byte("node-token"), 0o600))
	_, port, err := net.SplitHostPort(elsewhere.Listener.Addr().String())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		named, redirect, configured string
		good                        bool
	}{
		"another port of the same host, which needs no token":       {named: elsewhere.URL + "/open", good: true},
		"another port, which needs one":                             {named: elsewhere.URL + "/closed"},
		"another name":                                              {named: "https://localhost:" + port + "/closed"},
		"the issuer's own origin, which sends elsewhere":            {named: issuer.URL + "/keys", redirect: elsewhere.URL + "/closed"},
		"the issuer's own origin":                                   {named: issuer.URL + "/keys", good: true},
		"another, but the operator has named the issuer's":          {named: elsewhere.URL + "/closed", configured: issuer.URL + "/keys", good: true},
		"anything, and the operator's own jwks_uri sends elsewhere": {configured: issuer.URL + "/keys", redirect: elsewhere.URL + "/closed"},
	} {
		t.Run("S-51 token_file goes to no origin that only metadata names: "+name, func(t *testing.T) {
			named, redirect = c.named, c.redirect
			before := due.Load()
			w := newWorld(t, func(cfg *Config) {
				cfg.Issuers = []Issuer{{Issuer: issuer.URL, JWKSURI: c.configured, CAFile: ca, TokenFile: node}}
			})
			w.clients["pod"] = Registered{ID: "pod", Issuer: issuer.URL, Subject: pod}
			_, err := w.Verify(t.Context(), sign(t, "ES256", "p", k.platform, w.workload(map[string]any{"iss": issuer.URL})), "pod", w.find)
			require.Equal(t, c.good, err == nil, "%v", err)
			require.Zero(t, stolen.Load())
			require.Greater(t, due.Load(), before, "the issuer itself gets it")
		})
	}
}

func TestNew(t *testing.T) {
	once := (&memory{}).once
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	one := Issuer{Issuer: platform}
	for name, cfg := range map[string]Config{"no issuer": {Once: once}, "no Once": {Issuer: us}, "an issuer without a name": {Issuer: us, Once: once, Issuers: []Issuer{{}}},
		"this server itself": {Issuer: us, Once: once, Issuers: []Issuer{{Issuer: us}}}, "an issuer twice": {Issuer: us, Once: once, Issuers: []Issuer{one, one}},
		"an issuer without TLS":    {Issuer: us, Once: once, Issuers: []Issuer{{Issuer: "http://kubernetes.default.svc"}}},
		"a jwks_uri without TLS":   {Issuer: us, Once: once, Issuers: []Issuer{{Issuer: platform, JWKSURI: "http://kubernetes.default.svc/jwks"}}},
		"no file of authorities":   {Issuer: us, Once: once, Issuers: []Issuer{{Issuer: platform, CAFile: filepath.Join(dir, "no")}}},
		"no authority in the file": {Issuer: us, Once: once, Issuers: []Issuer{{Issuer: platform, CAFile: empty}}}} {
		t.Run("a mistake of the configuration: "+name, func(t *testing.T) {
			_, err := New(cfg)
			require.Error(t, err)
		})
	}
}
