package integration_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/middleware"
)

// alternating is one URL for several nodes, each of which gets every second request.
func alternating(t *testing.T, addr string, nodes ...string) {
	t.Helper()
	var turn atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		to, err := url.Parse(nodes[int(turn.Add(1))%len(nodes)])
		if err != nil {
			panic(err)
		}
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: proxy}}
	s.Start()
	t.Cleanup(s.Close)
}

// dpopSite is two nodes on one store behind one URL, and an API that demands nonces.
type dpopSite struct {
	deployment
	issuer, api string
	nodes       []string
}

func startDPoPSite(t *testing.T, more string) dpopSite {
	t.Helper()
	return startDPoPSiteOn(t, redisStore(redistest.Start(t)), more)
}

func startDPoPSiteOn(t *testing.T, store, more string) dpopSite {
	t.Helper()
	addr := freeAddress(t)
	s := dpopSite{issuer: "http://" + addr}
	s.deployment = withUsers(t, store+"issuer = \""+s.issuer+"\"\n"+more, configUsers())
	for range 2 {
		s.nodes = append(s.nodes, run(t, built(t, module), nil, "serve", "--config", s.config, "--listen", "127.0.0.1:0").URL)
	}
	alternating(t, addr, s.nodes...)
	api := httptest.NewUnstartedServer(nil)
	s.api = "http://" + api.Listener.Addr().String()
	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: s.issuer, ClientID: "api", ClientSecret: s.deployment.api})
	require.NoError(t, err)
	guard, err := middleware.New(middleware.Config{Verifier: verifier,
		DPoP: middleware.DPoP{URL: s.api, NonceKey: []byte(strings.Repeat("n", 32))}})
	require.NoError(t, err)
	api.Config.Handler = guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }), "orders:read")
	api.Start()
	t.Cleanup(api.Close)
	return s
}

// TestNodeDPoP: clients that we did not write, with two nodes and an API that demands nonces.
func TestNodeDPoP(t *testing.T) {
	s := startDPoPSite(t, "")
	t.Run("DP-01 DP-04 DP-05 DP-07 DP-08 openid-client and oauth4webapi: log in, call, refresh, nonce, theft", func(t *testing.T) {
		node(t, "dpop.mjs", "ISSUER="+s.issuer, "API="+s.api, "USERNAME=ada", "PASSWORD="+adaPassword)
	})
}
