package testserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
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

// shape is what a token takes from its client.
type shape struct {
	format   string // "": the server's
	lifetime time.Duration
	audience string // space-separated
	claims   claims.Set
}

// shape returns what the client's next token is like.
func (r registered) shape() shape {
	return shape{r.Format, time.Duration(r.AccessTTL), strings.Join(r.Audience, " "), r.Claims}
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
	if c.Audience == nil && audience != "" {
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
	s.App = s.registerPublic(appID, nil)
}

func (s *Server) register(c clients.Registration, only []string) Identity {
	made := Identity{ID: c.ID, Secret: tokens.NewSecret()}
	c.Secrets = []clients.Secret{{Hash: clients.HashSecret(made.Secret)}}
	s.clients = append(s.clients, registered{c, only})
	s.secrets[made.ID] = made
	return made
}

func (s *Server) registerPublic(id string, only []string) Identity {
	app := clients.Registration{ID: id, Method: clients.MethodNone,
		Grants: []string{clients.GrantPassword, clients.GrantRefreshToken}}
	s.clients = append(s.clients, registered{app, only})
	s.secrets[id] = Identity{ID: id}
	return s.secrets[id]
}

// NewClient is a client that a test wants.
type NewClient struct {
	ID     string   // "": one that is free
	Public bool     // an app without a secret: password grant and refresh tokens
	Scopes []string // that it may ask for; none: every scope
}

// Client registers one more client, for a program under test that fetches tokens itself.
func (s *Server) Client(want NewClient) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want.ID == "" {
		want.ID = fmt.Sprintf("client-%d", len(s.clients))
	}
	if s.taken(want.ID) {
		return Identity{}, fmt.Errorf("client %q exists already: name another, or none", want.ID)
	}
	if _, err := s.learn(want.Scopes); err != nil {
		return Identity{}, err
	}
	var made Identity
	if only := slices.Clone(want.Scopes); want.Public {
		made = s.registerPublic(want.ID, only)
	} else {
		made = s.register(clients.Registration{ID: want.ID, Grants: []string{clients.GrantClientCredentials}}, only)
	}
	if err := s.reload(); err != nil {
		s.clients = s.clients[:len(s.clients)-1]
		delete(s.secrets, want.ID)
		return Identity{}, err
	}
	return made, nil
}

// taken says whether a client has this id. The lock must be held.
func (s *Server) taken(id string) bool {
	_, own := s.secrets[id]
	return own || slices.ContainsFunc(s.options.Base().Clients, func(c clients.Registration) bool { return c.ID == id })
}

// declare makes scopes exist, where there is no fixed catalogue.
func (s *Server) declare(scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	learned, err := s.learn(scopes)
	if err != nil || len(learned) == 0 {
		return err
	}
	if err = s.reload(); err != nil {
		for _, name := range learned {
			delete(s.scopes, name)
		}
	}
	return err
}

// learn notes scopes and returns the new ones. The lock must be held.
func (s *Server) learn(scopes []string) (learned []string, err error) {
	for _, name := range scopes {
		if _, known := s.scopes[name]; known {
			continue
		}
		if s.options.Scopes != nil {
			return learned, fmt.Errorf("scope %q is not in Options.Scopes", name)
		}
		s.scopes[name] = config.ScopeEntry{}
		learned = append(learned, name)
	}
	return learned, nil
}

// prepare gives a client what its next token shall be like, and registers it where there is none.
func (s *Server) prepare(id string, want shape) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.clients, func(c registered) bool { return c.ID == id })
	before := slices.Clone(s.clients)
	switch {
	case i >= 0 && s.clients[i].shape() == want:
		return nil
	case i < 0 && s.taken(id):
		return fmt.Errorf("client %q is in the configuration: ask /oauth2/token with its secret, or name another client", id)
	case i < 0:
		s.register(clients.Registration{ID: id,
			Grants: []string{clients.GrantClientCredentials, clients.GrantPassword, clients.GrantRefreshToken}}, nil)
		i = len(s.clients) - 1
	}
	c := &s.clients[i]
	c.Format, c.AccessTTL, c.Audience = want.format, clients.Duration(want.lifetime), strings.Fields(want.audience)
	c.Claims = want.claims
	if len(c.Audience) == 0 {
		c.Audience = nil
	}
	err := s.reload()
	if err != nil {
		if s.clients = before; len(before) == i {
			delete(s.secrets, id)
		}
	}
	return err
}

// builtIn says whether a scope is Grantor's own, which no catalogue declares.
func builtIn(scope string) bool { return strings.HasPrefix(scope, "grantor:") }

// all names every scope of a catalogue.
func all(catalogue map[string]config.ScopeEntry) string {
	return strings.Join(slices.Sorted(maps.Keys(catalogue)), " ")
}

func (s *Server) everyScope() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return all(s.scopes)
}

func (s *Server) identity(client string) Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[client]
}

// refreshing returns the clients that have refresh tokens.
func (s *Server) refreshing() (list []Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		if slices.Contains(c.Grants, clients.GrantRefreshToken) {
			list = append(list, s.secrets[c.ID])
		}
	}
	return list
}
