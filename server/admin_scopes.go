package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
)

// shownScope is a scope in an answer: what it is, who may have it, and who reads it.
type shownScope struct {
	Scope       string   `json:"scope"`
	Description string   `json:"description,omitempty"`
	Resource    string   `json:"resource,omitempty"`
	Implies     []string `json:"implies,omitempty"` // also what these imply
	Claims      []string `json:"claims,omitempty"`
	*scopeUse            // nil: nobody asked for it
}

// scopeUse is who may have a scope, and who reads it.
type scopeUse struct {
	Clients     int      `json:"clients"`                // that may have it, by implication too
	Some        []string `json:"some_clients,omitempty"` // ids of these, maxShownClients at most
	Readers     int      `json:"introspecting_clients"`  // that see tokens for its resource
	SomeReaders []string `json:"some_introspecting_clients,omitempty"`
}

const (
	maxShownClients = 20
	// maxScopeClients is how many registered clients are looked at.
	maxScopeClients = 20_000
)

var errEnoughClients = errors.New("enough clients were looked at")

// listScopes lists the scopes that there are, the reserved ones last; with clients=false without
// who may have them, which takes time.
func (s *Server) listScopes(x *exchange) error {
	list := s.knownScopes()
	if x.gin.Query("clients") == "false" {
		writeJSON(x, http.StatusOK, map[string]any{"scopes": list})
		return nil
	}
	for _, shown := range list {
		shown.scopeUse = &scopeUse{}
	}
	looked, err := s.visitClients(x, func(r *clients.Registration) { count(list, r, s.cfg.Catalogue) })
	complete := !errors.Is(err, errEnoughClients)
	if err != nil && complete {
		return adminError(err)
	}
	writeJSON(x, http.StatusOK, map[string]any{"scopes": list, "clients": looked, "complete": complete})
	return nil
}

func (s *Server) knownScopes() (list []*shownScope) {
	for name := range s.cfg.Catalogue.Names().All() {
		known, _ := s.cfg.Catalogue.Get(name)
		shown := &shownScope{Scope: name, Description: known.Description, Resource: known.Resource, Claims: known.Claims}
		for implied := range s.cfg.Catalogue.Expand(scopes.MustParse(name)).All() {
			if implied != name {
				shown.Implies = append(shown.Implies, implied)
			}
		}
		list = append(list, shown)
	}
	for _, own := range []struct{ name, description, resource string }{
		{scopes.ScopeAdmin, "Use the admin API", s.cfg.Issuer + AdminAudience},
		{scopes.ScopeClients, "Register clients (RFC 7591)", s.cfg.Issuer + AdminAudience},
		{scopes.ScopeSessions, "List and end the sessions of one's own user", s.sessionsAudience()},
	} {
		list = append(list, &shownScope{Scope: own.name, Description: own.description, Resource: own.resource})
	}
	return list
}

// visitClients shows the clients of config.toml and those registered, each enabled one, to visit.
// It returns how many there were, and errEnoughClients where it did not look at all.
func (s *Server) visitClients(ctx context.Context, visit func(*clients.Registration)) (looked int, err error) {
	configured := map[string]bool{}
	for _, c := range s.cfg.Manager.Configured {
		configured[c.ID] = true
		if looked++; !c.Disabled {
			r := c.Describe()
			visit(&r)
		}
	}
	registered := 0
	err = s.cfg.Manager.Redis.All(ctx, func(st *clients.Stored) error {
		if registered++; registered > maxScopeClients {
			return errEnoughClients
		}
		if configured[st.ID] {
			return nil
		}
		if looked++; !st.Disabled {
			visit(&st.Registration)
		}
		return nil
	})
	return looked, err
}

// count adds a client to the scopes that it may have and reads.
func count(list []*shownScope, r *clients.Registration, cat *scopes.Catalogue) {
	rules, err := scopes.ParseRules(r.Scope)
	if err != nil {
		return // a registration of another version
	}
	may := cat.Expand(cat.Names().Filter(rules.Allows))
	for _, shown := range list {
		if may.Has(shown.Scope) || rules.Allows(shown.Scope) {
			shown.Clients++
			shown.Some = withID(shown.Some, r.ID)
		}
		if clients.Sees(r.Introspect, r.Resource, shown.Resource) {
			shown.Readers++
			shown.SomeReaders = withID(shown.SomeReaders, r.ID)
		}
	}
}

// withID adds an id to the first maxShownClients.
func withID(list []string, id string) []string {
	if len(list) < maxShownClients {
		return append(list, id)
	}
	return list
}
