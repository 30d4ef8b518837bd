package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// grantor is the program of this repository, serving.
type grantor struct {
	issuer string
	client *http.Client
	log    *log
}

// log is what a program writes while the test reads.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve builds and starts Grantor with the configuration that the guide shows, for this trust
// domain.
func serve(t *testing.T, d *trustDomain, more string) *grantor {
	t.Helper()
	address := freeAddress(t)
	shown, err := os.ReadFile("../machine/spiffe.toml")
	require.NoError(t, err)
	part := strings.Replace(string(shown), `jwks_uri = "https://spire.example.org:8443"`,
		`jwks_uri = "`+d.bundle.URL+"\"\nca_file = \""+d.caFile+`"`, 1)
	text := "issuer = \"http://" + address + "\"\nlisten = \"" + address + "\"\nstore = \"memory\"\nlimits.client_failures = -1\n" +
		"log.format = \"json\"\n[scopes]\n\"orders:read\" = {}\n" + part + more
	return start(t, "http://"+address, text, http.DefaultClient)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// start builds and starts Grantor, and waits until it is ready.
func start(t *testing.T, issuer, text string, client *http.Client) *grantor {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "grantor")
	out, err := exec.Command("go", "build", "-C", "../..", "-o", bin, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	config := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	g := &grantor{issuer: issuer, client: client, log: &log{}}
	ctx, cancel := context.WithCancel(context.Background())
	p := exec.CommandContext(ctx, bin, "serve", "--config", config)
	p.Stdout, p.Stderr = g.log, g.log
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		cancel()
		_ = p.Wait()
	})
	require.Eventually(t, func() bool { return g.get(t, "/readyz") != "" }, 20*time.Second, 20*time.Millisecond, g.log)
	return g
}

// get returns the body of a 200; "": there is none.
func (g *grantor) get(t *testing.T, path string) string {
	res, err := g.client.Get(g.issuer + path)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(res.Body)
	require.NoError(t, err)
	if res.StatusCode != http.StatusOK {
		return ""
	}
	return text.String()
}

// present shows a JWT-SVID without go-spiffe, which hands out none that has expired.
func (g *grantor) present(t *testing.T, client, svid string) *oauth2.RetrieveError {
	t.Helper()
	_, err := exchange(t.Context(), g.issuer, client, "orders:read", svid)
	var refused *oauth2.RetrieveError
	require.True(t, errors.As(err, &refused), "%v", err)
	return refused
}

const second = `
[[clients]]
client_id = "spiffe://example.org/billing"
token_endpoint_auth_method = "private_key_jwt"
assertion = { issuer = "spiffe://example.org", subject = "spiffe://example.org/billing" }
grant_types = ["client_credentials"]
scope = "orders:read"
[[clients]]
client_id = "shipping-job"
token_endpoint_auth_method = "private_key_jwt"
assertion = { issuer = "spiffe://example.org", subject = "spiffe://example.org/shipping" }
grant_types = ["client_credentials"]
scope = "orders:read"
`

// TestGoSPIFFE gets tokens with JWT-SVIDs that go-spiffe fetches, by keys that go-spiffe publishes.
func TestGoSPIFFE(t *testing.T) {
	d := newTrustDomain(t, "example.org")
	d.serveAgent(t)
	g := serve(t, d, second)
	ask := func(t *testing.T, client string) error {
		token, err := accessToken(t.Context(), g.issuer, client, "orders:read")
		if err == nil {
			require.True(t, strings.HasPrefix(token.AccessToken, "gat_"), g.log)
			require.Equal(t, "orders:read", token.Extra("scope"))
		}
		return err
	}
	t.Run("SV-01 a JWT-SVID of the Workload API gets a token, again and again", func(t *testing.T) {
		for range 3 {
			require.NoError(t, ask(t, "billing-job"), g.log)
		}
	})
	t.Run("SV-01 the SPIFFE ID as client_id, and without client_id: draft-ietf-oauth-spiffe-client-auth §3.1", func(t *testing.T) {
		require.NoError(t, ask(t, "spiffe://example.org/billing"), g.log)
		svid, err := d.svid("spiffe://example.org/billing", []string{g.issuer})
		require.NoError(t, err)
		res, err := http.PostForm(g.issuer+"/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"}, "client_assertion": {svid}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode, g.log)
	})
	t.Run("SV-10 the metadata says spiffe_jwt: §4", func(t *testing.T) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(g.get(t, "/.well-known/oauth-authorization-server")), &m))
		for _, endpoint := range []string{"token", "introspection", "revocation"} {
			require.Contains(t, m[endpoint+"_endpoint_auth_methods_supported"], "spiffe_jwt")
		}
	})
	t.Run("SV-09 the key for X.509-SVIDs is passed over, and said once", func(t *testing.T) {
		require.Eventually(t, func() bool {
			return strings.Count(g.log.String(), "published keys for another use are passed over") == 1
		}, 10*time.Second, 20*time.Millisecond, g.log)
		require.Contains(t, g.log.String(), `use must be \"jwt-svid\"`)
	})
	refusals(t, d, g, ask)
}

// refusals asks with JWT-SVIDs that a broken or hostile agent would hand out.
func refusals(t *testing.T, d *trustDomain, g *grantor, ask func(*testing.T, string) error) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	claim := func(name string, value any) func(*string, *crypto.Signer, map[string]any) {
		return func(_ *string, _ *crypto.Signer, claims map[string]any) { claims[name] = value }
	}
	for name, r := range map[string]struct {
		reason string // in the log
		client string
		change func(kid *string, signer *crypto.Signer, claims map[string]any)
	}{
		"SV-03 another trust domain":           {"wrong_issuer", "billing-job", claim("sub", "spiffe://evil.example/billing")},
		"SV-04 a sub that is not registered":   {"wrong_subject", "billing-job", claim("sub", "spiffe://example.org/other")},
		"SV-04 another client's sub":           {"wrong_subject", "shipping-job", nil},
		"SV-05 another audience":               {"wrong_audience", "billing-job", claim("aud", []string{"https://vault.example.com"})},
		"SV-05 another audience beside ours":   {"wrong_audience", "billing-job", claim("aud", []string{g.issuer, "https://vault.example.com"})},
		"SV-05 the token endpoint":             {"wrong_audience", "billing-job", claim("aud", []string{g.issuer + "/oauth2/token"})},
		"SV-06 expired":                        {"expired", "billing-job", claim("exp", time.Now().Add(-2*time.Minute).Unix())},
		"SV-08 valid for an hour":              {"expires_too_late", "billing-job", claim("exp", time.Now().Add(time.Hour).Unix())},
		"SV-07 an unknown kid":                 {"unknown_key", "billing-job", func(kid *string, _ *crypto.Signer, _ map[string]any) { *kid = "jwt-2" }},
		"SV-07 another key":                    {"wrong_signature", "billing-job", func(_ *string, s *crypto.Signer, _ map[string]any) { *s = stranger }},
		"SV-07 the key for X.509-SVIDs":        {"unknown_key", "billing-job", func(_ *string, s *crypto.Signer, _ map[string]any) { *s = d.rootKey }},
		"SV-06 an alg that JWT-SVIDs have not": {"algorithm_not_allowed", "billing-job", func(_ *string, s *crypto.Signer, _ map[string]any) { *s = edwards }},
	} {
		t.Run(name+" is answered 401 invalid_client", func(t *testing.T) {
			d.change = r.change
			defer func() { d.change = nil }()
			svid, err := d.svid("spiffe://example.org/billing", []string{g.issuer})
			require.NoError(t, err)
			refused := g.present(t, r.client, svid)
			require.Equal(t, 401, refused.Response.StatusCode, string(refused.Body))
			require.Equal(t, "invalid_client", refused.ErrorCode)
			require.Eventually(t, func() bool { return strings.Contains(g.log.String(), `"reason":"`+r.reason+`"`) },
				10*time.Second, 20*time.Millisecond, g.log)
			require.NotContains(t, g.log.String(), svid)
		})
	}
	t.Run("SV-01 and the honest one still gets a token", func(t *testing.T) { require.NoError(t, ask(t, "billing-job"), g.log) })
}
