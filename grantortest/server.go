package grantortest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/testserver"
	"github.com/grantor-auth/grantor/node"
)

// Options change a Server. The zero value works.
type Options struct {
	// Scopes is the catalogue. Where it is set, a scope that it does not name is refused, as in
	// production; nil: every scope that a test asks for exists.
	Scopes map[string]config.ScopeEntry
	// Audience is the audience of tokens whose scopes have no resource, as the API under test
	// demands; "": none.
	Audience string
	// Configure changes the configuration before it is used, such as the lifetimes in Tokens; nil:
	// nothing is changed. It is called again when a test asks for a new scope or client.
	Configure func(*config.Config)
	// Log takes the server's log; nil: the log is discarded.
	Log *slog.Logger
}

// Identity is a client's id and secret.
type Identity struct {
	ID     string
	Secret string // "": a public client
}

// Server is a running Grantor. Methods that issue tokens must be called by the goroutine of the
// test, as t.Fatal must.
type Server struct {
	URL    string   // where the server listens
	Issuer string   // iss of the tokens: the same URL
	API    Identity // a resource server that may introspect every token (RFC 7662)
	App    Identity // a public app with the password grant and refresh tokens

	t     testing.TB
	inner *testserver.Server
}

// New starts a Server that ends with the test.
func New(t testing.TB, options ...Options) *Server {
	t.Helper()
	var o Options
	if len(options) > 1 {
		t.Fatal("grantortest: New takes one Options")
	}
	if len(options) == 1 {
		o = options[0]
	}
	s := &Server{t: t}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.inner.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	s.URL, s.Issuer = listener.URL, listener.URL
	s.open(o)
	t.Cleanup(func() { listener.Close(); s.inner.Close() }) // no request may outlast the node
	return s
}

// open starts the node. Its endpoints answer before New returns.
func (s *Server) open(o Options) {
	s.t.Helper()
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var err error
	s.inner, err = testserver.Open(context.Background(), testserver.Options{
		URL: s.URL, Base: quiet, Scopes: o.Scopes, Audience: o.Audience, Configure: o.Configure,
		Node: node.Options{Log: log, Version: "grantortest"}})
	s.must(err)
	s.API, s.App = Identity(s.inner.API), Identity(s.inner.App)
}

// quiet is the default configuration without an audit trail.
func quiet() *config.Config {
	c := config.Default()
	c.Audit.Output = ""
	return c
}

// must ends the test where err is set.
func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("grantortest: %v", err)
	}
}
