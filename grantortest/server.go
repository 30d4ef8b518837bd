package grantortest

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantor-auth/grantor/config"
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

	t       testing.TB
	options Options
	http    *httptest.Server
	node    *node.Node
	handler http.Handler
	status  atomic.Int64 // that every request is answered with; 0: none
	ahead   atomic.Int64 // of the real time, in nanoseconds
	users   userTable

	mu      sync.Mutex
	scopes  map[string]config.ScopeEntry
	clients []registered
	secrets map[string]Identity // by client id
}

// New starts a Server that ends with the test.
func New(t testing.TB, options ...Options) *Server {
	t.Helper()
	s := &Server{t: t, scopes: map[string]config.ScopeEntry{}, secrets: map[string]Identity{}}
	if len(options) > 1 {
		t.Fatal("grantortest: New takes one Options")
	}
	for _, o := range options {
		s.options = o
	}
	maps.Copy(s.scopes, s.options.Scopes)
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	s.URL, s.Issuer = s.http.URL, s.http.URL
	s.registerOwn()
	s.open()
	return s
}

// open starts the node. Its endpoints answer before New returns.
func (s *Server) open() {
	s.t.Helper()
	log := s.options.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	n, err := node.Open(context.Background(), s.config(), node.Options{Log: log, Version: "grantortest", Clock: s.Now})
	if err != nil {
		s.t.Fatalf("grantortest: the server does not start: %v", err)
	}
	s.node, s.handler = n, n.Handler()
	s.t.Cleanup(func() { s.http.Close(); n.Close() }) // no request may outlast the node
}

// config is what a config.toml would say.
func (s *Server) config() *config.Config {
	c := config.Default()
	c.Issuer, c.Store, c.Audit.Output = s.Issuer, config.StoreMemory, ""
	c.Server.ShutdownTimeout = time.Second // how long an earlier configuration outlasts a new scope
	c.Keys.RotateEvery = 0                 // a clock that jumps would outrun the rotation
	c.Grants.Password = true
	c.Users = s.users.source(s.URL)
	c.Scopes = maps.Clone(s.scopes)
	for _, r := range s.clients {
		c.Clients = append(c.Clients, r.entry(s.scopes, s.options.Audience))
	}
	if s.options.Configure != nil {
		s.options.Configure(c)
	}
	return c
}

// reload puts the scopes and clients of this moment in force.
func (s *Server) reload() {
	s.t.Helper()
	if err := s.node.Reload(context.Background(), s.config()); err != nil {
		s.t.Fatalf("grantortest: the server refuses this configuration: %v", err)
	}
}

// serve answers as Fail says, or else as Grantor does.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	switch status := int(s.status.Load()); {
	case r.URL.Path == usersPath:
		s.answerUser(w, r)
	case status != 0:
		fail(w, status)
	default:
		s.handler.ServeHTTP(w, r)
	}
}
