package testserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/node"
)

// Options say what a Server is made of. URL is required.
type Options struct {
	URL string // by which the server is reached: the issuer
	// Base returns the configuration to begin with, as nobody else uses it; nil: config.Default. It
	// is called again whenever a test asks for a new scope or client.
	Base func() *config.Config
	// Scopes is the catalogue. Where it is set, no other scope exists; nil: a scope exists as soon
	// as a test asks for it.
	Scopes map[string]config.ScopeEntry
	// Audience is the audience of tokens whose scopes have no resource; "": none.
	Audience string
	// Configure changes the configuration before it is used; nil: nothing is changed.
	Configure func(*config.Config)
	// Node says where log and audit trail go. The clock is the Server's.
	Node node.Options
}

// Identity is a client's id and secret.
type Identity struct {
	ID     string
	Secret string // "": a public client
}

// Server is a running Grantor for tests. Its methods may be called by any number of goroutines.
type Server struct {
	Issuer string
	API    Identity // a resource server that may introspect every token (RFC 7662)
	App    Identity // a public app with the password grant and refresh tokens

	options Options
	node    *node.Node
	handler http.Handler
	faults  faults
	ahead   atomic.Int64 // of the real time, in nanoseconds
	users   userTable

	issuing sync.Mutex // held while a client is made as a token needs it, and the token is issued
	mu      sync.Mutex
	scopes  map[string]config.ScopeEntry
	clients []registered
	secrets map[string]Identity // by client id
}

// Open starts a Server. Its caller serves it at o.URL, and closes it after the last request.
func Open(ctx context.Context, o Options) (*Server, error) {
	s := &Server{Issuer: o.URL, options: o, scopes: map[string]config.ScopeEntry{}, secrets: map[string]Identity{}}
	if o.Base == nil {
		s.options.Base = config.Default
	}
	maps.Copy(s.scopes, s.options.Base().Scopes)
	maps.Copy(s.scopes, o.Scopes)
	s.registerOwn()
	nodeOptions := o.Node
	nodeOptions.Clock = s.Now
	n, err := node.Open(ctx, s.config(), nodeOptions)
	if err != nil {
		return nil, fmt.Errorf("the server does not start: %w", err)
	}
	s.node, s.handler = n, n.Handler()
	return s, nil
}

// Node is the running Grantor.
func (s *Server) Node() *node.Node { return s.node }

// Close ends the server.
func (s *Server) Close() { s.node.Close() }

// config is what a config.toml would say.
func (s *Server) config() *config.Config {
	c := s.options.Base()
	c.Issuer, c.Store = s.Issuer, config.StoreMemory
	c.Server.ShutdownTimeout = time.Second // how long an earlier configuration outlasts a new scope
	c.Keys.RotateEvery = 0                 // a clock that jumps would outrun the rotation
	c.Grants.Password = true
	c.Users = s.users.source(s.Issuer)
	c.Scopes = maps.Clone(s.scopes)
	maps.DeleteFunc(c.Scopes, func(name string, _ config.ScopeEntry) bool { return builtIn(name) })
	for _, r := range s.clients {
		c.Clients = append(c.Clients, r.entry(s.scopes, s.options.Audience))
	}
	if s.options.Configure != nil {
		s.options.Configure(c)
	}
	return c
}

// reload puts the scopes and clients of this moment in force. The lock must be held. The error
// tells the first mistake: all clients that take a wrong scope would repeat it.
func (s *Server) reload() error {
	err := s.node.Reload(context.Background(), s.config())
	if list, ok := errors.AsType[config.Errors](err); ok {
		err = list[:1]
	}
	if err != nil {
		return fmt.Errorf("the server refuses this configuration: %w", err)
	}
	return nil
}

// ServeHTTP answers as Fail says, or else as Grantor does. The endpoints below /test are Handler's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == usersPath {
		s.answerUser(w, r)
		return
	}
	if status := s.faults.next(); status != 0 {
		fail(w, status)
		return
	}
	s.handler.ServeHTTP(w, r)
}
