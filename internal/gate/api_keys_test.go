package gate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

// apiKeys knows two API keys: one for everywhere, and one for 203.0.113.0/24 alone.
func apiKeys(ctx context.Context, text string) (*middleware.Token, error) {
	t := &middleware.Token{Subject: "shop", SubjectType: "client", ClientID: "shop", Scope: scopes.MustParse("orders:read"), Audience: []string{orders}}
	switch text {
	case "gak_everywhere", "axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8":
		return t, nil
	case "gak_office":
		t.AllowedNetworks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		return middleware.FromAllowedNetwork(ctx, t)
	}
	return tokens(ctx, text)
}

func TestAPIKeyHeaders(t *testing.T) {
	on, _ := newGate(t, func(c *Config) { c.Verifier, c.APIKeys = middleware.VerifierFunc(apiKeys), true })
	off, _ := newGate(t, func(c *Config) { c.Verifier = middleware.VerifierFunc(apiKeys) })
	for name, c := range map[string]struct {
		headers []string
		on, off int
	}{
		"a key as a bearer token":             {[]string{"Authorization: Bearer gak_everywhere"}, 200, 200},
		"Api-Key":                             {[]string{"Authorization: Api-Key gak_everywhere"}, 200, 401},
		"the scheme in any case":              {[]string{"Authorization: api-KEY gak_everywhere"}, 200, 401},
		"X-API-Key":                           {[]string{"X-API-Key: gak_everywhere"}, 200, 401},
		"a key that was imported":             {[]string{"Authorization: Api-Key axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8"}, 200, 401},
		"a JWT where keys belong":             {[]string{"X-API-Key: axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1Jh.Gf5SdAeUi8"}, 401, 401},
		"an unknown key":                      {[]string{"X-API-Key: gak_unknown"}, 401, 401},
		"a token where keys belong":           {[]string{"X-API-Key: machine"}, 401, 401},
		"a token behind Api-Key":              {[]string{"Authorization: Api-Key machine"}, 401, 401},
		"two X-API-Key":                       {[]string{"X-API-Key: gak_everywhere", "X-API-Key: gak_everywhere"}, 400, 401},
		"joined by a proxy":                   {[]string{"X-API-Key: gak_everywhere, gak_everywhere"}, 400, 401},
		"an empty X-API-Key":                  {[]string{"X-API-Key: "}, 400, 401},
		"X-API-Key beside a bearer token":     {[]string{"X-API-Key: gak_everywhere", machine}, 400, 200},
		"X-API-Key beside Basic":              {[]string{"X-API-Key: gak_everywhere", "Authorization: Basic eDp5"}, 400, 401},
		"two Authorization, of which one Key": {[]string{"Authorization: Api-Key gak_everywhere", machine}, 400, 400},
		"no header":                           {nil, 401, 401},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.on, check(on, "GET", "/verify?scope=orders:read", c.headers...).Code, "with --api-keys")
			require.Equal(t, c.off, check(off, "GET", "/verify?scope=orders:read", c.headers...).Code, "without --api-keys")
		})
	}
}

func TestAPIKeyNetworks(t *testing.T) {
	for name, c := range map[string]struct {
		trusted   []string
		peer      string
		forwarded []string
		status    int
	}{
		"a trusted proxy says that it comes from the network": {[]string{"10.0.0.5"}, "10.0.0.5:999", []string{"203.0.113.9"}, 200},
		"as IPv6 writes IPv4":                               {[]string{"10.0.0.5"}, "[::ffff:10.0.0.5]:999", []string{"::ffff:203.0.113.9"}, 200},
		"from another network":                              {[]string{"10.0.0.5"}, "10.0.0.5:999", []string{"198.51.100.1"}, 401},
		"what the client wrote stands left of the truth":    {[]string{"10.0.0.5"}, "10.0.0.5:999", []string{"203.0.113.9, 198.51.100.1"}, 401},
		"a proxy that nobody trusts":                        {[]string{"10.0.0.5"}, "10.0.0.6:999", []string{"203.0.113.9"}, 401},
		"the proxy does not say from where":                 {[]string{"203.0.113.1"}, "203.0.113.1:999", nil, 401},
		"an entry that is no address":                       {[]string{"10.0.0.5"}, "10.0.0.5:999", []string{"203.0.113.9, unknown"}, 401},
		"nobody is trusted, and the peer is in the network": {nil, "203.0.113.9:999", nil, 401},
		"at a Unix socket":                                  {[]string{"unix"}, "@", []string{"203.0.113.9"}, 200},
		"at a Unix socket, from another network":            {[]string{"unix"}, "@", []string{"203.0.113.9, 198.51.100.1"}, 401},
		"at a Unix socket whose proxy nobody trusts":        {[]string{"10.0.0.5"}, "@", []string{"203.0.113.9"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			proxies, err := ParseProxies(c.trusted)
			require.NoError(t, err)
			g, log := newGate(t, func(cfg *Config) { cfg.Verifier, cfg.Proxies = middleware.VerifierFunc(apiKeys), proxies })
			ask := func(key string) int {
				r := httptest.NewRequest(http.MethodGet, "/verify?scope=orders:read", nil)
				r.RemoteAddr = c.peer
				r.Header["Authorization"], r.Header["X-Forwarded-For"] = []string{"Bearer " + key}, c.forwarded
				w := httptest.NewRecorder()
				g.ServeHTTP(w, r)
				return w.Code
			}
			require.Equal(t, c.status, ask("gak_office"))
			require.Equal(t, c.status == 401, strings.Contains(log.String(), "refused for where it came from"))
			require.Equal(t, 200, ask("gak_everywhere"))
		})
	}
	_, err := ParseProxies([]string{"the proxy"})
	require.Error(t, err)
}
