package grantortest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/tokens"
)

// Ids of the clients that every Server has.
const (
	machineID = "grantortest-machine"
	signedID  = "grantortest-jwt"
	apiID     = "grantortest-api"
	appID     = "grantortest-app"
)

// registered is a client of a Server.
type registered struct {
	clients.Registration
	only []string // scopes that it may ask for; nil: all that there are
}

// entry is the client's entry in a configuration with these scopes.
func (r registered) entry(scopes map[string]config.ScopeEntry, audience string) clients.Registration {
	c := r.Registration
	if c.Grants == nil {
		return c // it asks for no token
	}
	c.Scope = strings.Join(r.only, " ")
	if len(r.only) == 0 {
		c.Scope = all(scopes)
	}
	if audience != "" {
		c.Audience = []string{audience}
	}
	return c
}

// registerOwn registers the clients that every Server has.
func (s *Server) registerOwn() {
	machine := []string{clients.GrantClientCredentials}
	s.register(clients.Registration{ID: machineID, Grants: machine}, nil)
	s.register(clients.Registration{ID: signedID, Grants: machine, Format: clients.FormatJWT}, nil)
	s.API = s.register(clients.Registration{ID: apiID, Introspect: clients.SightAny}, nil)
	s.App = Identity{ID: appID}
	app := clients.Registration{ID: appID, Method: clients.MethodNone,
		Grants: []string{clients.GrantPassword, clients.GrantRefreshToken}}
	s.clients = append(s.clients, registered{app, nil})
	s.secrets[appID] = s.App
}

func (s *Server) register(c clients.Registration, only []string) Identity {
	made, hashes := newSecret(c.ID)
	c.Secrets = hashes
	s.clients = append(s.clients, registered{c, only})
	s.secrets[made.ID] = made
	return made
}

// Client registers one more client with the client credentials grant (RFC 6749 §4.4), for a program
// under test that fetches tokens itself. It may ask for these scopes; without any, for every scope.
func (s *Server) Client(scopes ...string) Identity {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.learn(scopes)
	c := clients.Registration{ID: fmt.Sprintf("client-%d", len(s.clients)), Grants: []string{clients.GrantClientCredentials}}
	made := s.register(c, slices.Clone(scopes))
	s.reload()
	return made
}

// declare makes scopes exist, where the test gave no catalogue.
func (s *Server) declare(scopes []string) {
	s.t.Helper()
	if len(scopes) == 0 {
		s.t.Fatal("grantortest: a token needs at least one scope")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.learn(scopes) {
		s.reload()
	}
}

// learn notes scopes and says whether one is new. The lock must be held.
func (s *Server) learn(scopes []string) (more bool) {
	s.t.Helper()
	for _, name := range scopes {
		if _, known := s.scopes[name]; known {
			continue
		}
		if s.options.Scopes != nil {
			s.t.Fatalf("grantortest: scope %q is not in Options.Scopes", name)
		}
		s.scopes[name], more = config.ScopeEntry{}, true
	}
	return more
}

// all names every scope of a catalogue.
func all(catalogue map[string]config.ScopeEntry) string {
	return strings.Join(slices.Sorted(maps.Keys(catalogue)), " ")
}

func (s *Server) everyScope() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return all(s.scopes)
}

// newSecret returns a client's credentials and the entry of its secret in a configuration.
func newSecret(id string) (Identity, []clients.Secret) {
	c := Identity{ID: id, Secret: tokens.NewSecret()}
	return c, []clients.Secret{{Hash: clients.HashSecret(c.Secret)}}
}
