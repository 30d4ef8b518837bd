package doctor

import (
	"context"
	"errors"
	"slices"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// registry is the clients of the configuration, and those of Redis.
type registry struct {
	clients []*clients.Client
	partly  bool // there are more in Redis than were looked at
}

// maxVisited bounds how many clients, and how many users, of Redis are looked at.
const maxVisited = 20_000

var errEnough = errors.New("enough was looked at")

func (s *subject) readRegistry(ctx context.Context) (*registry, error) {
	g := &registry{clients: slices.Clone(s.cfg.Registrations())}
	if !onRedis(s.cfg) {
		return g, nil
	}
	r, err := s.redis()
	if err != nil {
		return nil, errRedis
	}
	configured := map[string]bool{}
	for _, c := range g.clients {
		configured[c.ID] = true
	}
	visited := 0
	err = clients.NewRedis(r.db).All(ctx, func(stored *clients.Stored) error {
		if c, err := stored.Client(); err == nil && !configured[stored.ID] {
			g.clients = append(g.clients, c)
		}
		if visited++; visited >= maxVisited || ctx.Err() != nil {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		g.partly, err = true, nil
	}
	return g, err
}

// enabled yields the clients that are not disabled.
func (g *registry) enabled(is func(*clients.Client) bool) bool {
	return slices.ContainsFunc(g.clients, func(c *clients.Client) bool { return !c.Disabled && is(c) })
}

// access is what the checks of scopes, clients and users look at.
type access struct {
	*registry
	s         *subject
	catalogue *scopes.Catalogue
}

// onAccess runs a check that needs the clients.
func onAccess(s *subject, look func(access) []Finding) []Finding {
	g, err := s.registry()
	if err != nil {
		return []Finding{unknown("the clients in Redis cannot be read: " + err.Error())}
	}
	return look(access{g, s, s.cfg.Catalogue()})
}

// orMore is orOK where a client that was not looked at would change nothing.
func (a access) orMore(found []Finding, sound string) []Finding {
	if len(found) > 0 && a.partly {
		return []Finding{unknown("there are more clients in Redis than this command looks at")}
	}
	return orOK(found, sound)
}

// logsIn says whether users can log in by a client.
func (a access) logsIn(c *clients.Client) bool {
	return a.s.cfg.Grants.Password && c.MayUse(clients.GrantPassword) && a.catalogue.Any(c.Scope)
}

// getsTokens says whether a client can get a token.
func (a access) getsTokens(c *clients.Client) bool {
	reserved := !c.Scope.Exact().Filter(scopes.IsReserved).IsEmpty()
	return c.MayUse(clients.GrantClientCredentials) && (a.catalogue.Any(c.Scope) || reserved) || c.MayUse(clients.GrantTokenExchange) || a.logsIn(c)
}

// people yields the users whom this process can list, at most maxVisited, and says whether those
// are all of them.
func (a access) people(ctx context.Context, visit func(*users.User)) (all bool, err error) {
	switch cfg := a.s.cfg; {
	case !cfg.Grants.Password || cfg.Users.Source == "config":
		for _, u := range cfg.ConfigUsers() {
			visit(&users.User{ID: u.ID, Username: u.Username, Scope: u.Scope, Disabled: u.Disabled})
		}
		return true, nil
	case cfg.Users.Source != "redis":
		return false, nil
	}
	r, err := a.s.redis()
	if err != nil {
		return false, errRedis
	}
	visited := 0
	for u, err := range users.NewRedis(r.db).List(ctx) {
		switch {
		case errors.Is(err, users.ErrRecord):
			continue
		case err != nil:
			return false, err
		}
		visit(u)
		if visited++; visited >= maxVisited || ctx.Err() != nil {
			return false, nil
		}
	}
	return true, nil
}
