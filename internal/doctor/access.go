package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// listed names some things in a text, and says how many more there are.
func listed(names []string) string {
	const most = 8
	slices.Sort(names)
	quoted := make([]string, 0, most)
	for _, n := range names[:min(len(names), most)] {
		quoted = append(quoted, strconv.Quote(n))
	}
	text := strings.Join(quoted, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// some makes one finding of several names.
func some(names []string, make func(list string) Finding) []Finding {
	if len(names) == 0 {
		return nil
	}
	return []Finding{make(listed(names))}
}

// checkReaders tells scopes that no API can ask about. An API that verifies JWTs needs not ask.
func checkReaders(_ context.Context, s *subject) []Finding {
	return onAccess(s, func(a access) []Finding {
		var unseen []string
		for name := range a.catalogue.Names().All() {
			entry, _ := a.catalogue.Get(name)
			seen := a.enabled(func(c *clients.Client) bool { return clients.Sees(c.Introspect, c.Resource, entry.Resource) })
			opaque := a.enabled(func(c *clients.Client) bool { return a.catalogue.Permits(c.Scope, name) && !a.signed(c) })
			if !seen && opaque {
				unseen = append(unseen, name)
			}
		}
		return a.orMore(some(unseen, func(list string) Finding {
			return warning("no client can introspect the tokens of the scopes "+list, `give a resource server introspect = "any", or "audience" with the resource of the scope`)
		}), "the tokens of every scope can be introspected or are JWTs")
	})
}

// signed says whether a client's access tokens are JWTs.
func (a access) signed(c *clients.Client) bool {
	return c.Format == clients.FormatJWT || c.Format == "" && a.s.cfg.Tokens.AccessFormat == clients.FormatJWT
}

func checkGranted(_ context.Context, s *subject) []Finding {
	return onAccess(s, func(a access) []Finding {
		unused := a.catalogue.Names().Filter(func(name string) bool {
			return !a.enabled(func(c *clients.Client) bool { return a.catalogue.Permits(c.Scope, name) })
		})
		return a.orMore(some(slices.Collect(unused.All()), func(list string) Finding {
			return warning("no client may have the scopes "+list, "add them to the scope of a client, or take them out of [scopes]")
		}), "every scope is in the scope of a client")
	})
}

func checkGrants(_ context.Context, s *subject) []Finding {
	return onAccess(s, func(a access) []Finding {
		if a.enabled(a.getsTokens) {
			return []Finding{ok("clients can get tokens")}
		}
		text := "no client can get a token: none has a grant type with a scope"
		if len(a.clients) == 0 {
			text = "no client can get a token: there are no clients"
		} else if !slices.ContainsFunc(a.clients, func(c *clients.Client) bool { return !c.Disabled }) {
			text = "no client can get a token: every client is disabled"
		}
		return a.orMore([]Finding{warning(text, "add a client with grant_types and scope (grantor client create)")}, "")
	})
}

func checkIdle(_ context.Context, s *subject) []Finding {
	return onAccess(s, func(a access) []Finding {
		var idle []string
		for _, c := range a.clients {
			introspects := c.Introspect == clients.SightAny || c.Introspect == clients.SightAudience
			hasKeys := len(c.Grants) == 0 && a.catalogue.Any(c.Scope) // it may be there for its API keys
			if !c.Disabled && !introspects && !hasKeys && !a.getsTokens(c) {
				idle = append(idle, c.ID)
			}
		}
		return orOK(some(idle, func(list string) Finding {
			return warning("these clients can do nothing: "+list, "give them grant_types and scope, or introspect; a client with the grant type password needs [grants] password = true")
		}), "every client can get tokens, have API keys or introspect")
	})
}

// endsSoon is how long before its end the last secret of a client is a warning, as in a node's log.
const endsSoon = 14 * 24 * time.Hour

func checkSecrets(ctx context.Context, s *subject) []Finding {
	return onAccess(s, func(a access) (found []Finding) {
		now := s.options.Now()
		if onRedis(s.cfg) {
			if r, err := s.redis(); err == nil {
				if told, err := r.db.Time(ctx); err == nil {
					now = told
				}
			}
		}
		var ended, ending []string
		for _, c := range a.clients {
			switch end := c.LastSecretEnds(); {
			case c.Disabled || end.IsZero():
			case !end.After(now):
				ended = append(ended, c.ID)
			case end.Before(now.Add(endsSoon)):
				ending = append(ending, c.ID)
			}
		}
		found = append(found, some(ended, func(list string) Finding {
			return warning("the last secret of these clients has ended: "+list, "grantor client rotate-secret makes another; disable a client that nobody needs")
		})...)
		found = append(found, some(ending, func(list string) Finding {
			return warning("the last secret of these clients ends within 14 days: "+list, "grantor client rotate-secret --overlap makes another beside it")
		})...)
		return orOK(found, "no secret of a client ends within 14 days")
	})
}

func checkLogin(_ context.Context, s *subject) []Finding {
	return onAccess(s, func(a access) []Finding {
		switch {
		case !s.cfg.Grants.Password:
			return []Finding{warning(fmt.Sprintf("there are %d users in [[users.config]], and no user can log in: the password grant is off", len(s.cfg.Users.Config)),
				"set [grants] password = true, or take the users out")}
		case !a.enabled(a.logsIn):
			return a.orMore([]Finding{fault("no user can log in: no client has the grant type password with a scope",
				`give the app's client grant_types = ["password", "refresh_token"] and a scope`)}, "")
		}
		return []Finding{ok("users can log in by a client")}
	})
}

func checkUserScopes(ctx context.Context, s *subject) []Finding {
	return onAccess(s, func(a access) (found []Finding) {
		byClients := a.catalogue.Names().Filter(func(name string) bool {
			return a.enabled(func(c *clients.Client) bool { return a.logsIn(c) && a.catalogue.Permits(c.Scope, name) })
		})
		if byClients.IsEmpty() {
			return []Finding{unknown("no user can log in; see users.login")}
		}
		var without, elsewhere []string
		all, err := a.people(ctx, func(u *users.User) {
			rules := u.Rules(s.cfg.UserScope())
			switch {
			case u.Disabled:
			case users.MayNothing(u, s.cfg.UserScope(), a.catalogue) != "":
				without = append(without, u.ID)
			case !overlap(a.catalogue, rules, byClients):
				elsewhere = append(elsewhere, u.ID)
			}
		})
		if err != nil {
			return []Finding{unknown("the users cannot be read: " + err.Error())}
		}
		found = append(found, some(without, func(list string) Finding {
			return warning("these users have no scope, and every login of theirs is refused: "+list, "give them a scope, or set [users] scope")
		})...)
		if !a.partly {
			found = append(found, some(elsewhere, func(list string) Finding {
				return warning("no client with the grant type password may have a scope of these users: "+list, "add a scope of theirs to the client of the app, or give them another")
			})...)
		}
		if len(found) == 0 && !all {
			return []Finding{unknown("not every user can be listed here: the directory is another, or has more users than this command looks at")}
		}
		return orOK(found, "every user can have a scope that a client may ask for")
	})
}

func overlap(known *scopes.Catalogue, rules scopes.Rules, set scopes.Set) bool {
	return !set.Filter(func(name string) bool { return known.Permits(rules, name) }).IsEmpty()
}

func checkDirectory(ctx context.Context, s *subject) []Finding {
	if err := parts.AskSQL(ctx, s.cfg); err != nil {
		return []Finding{fault("the database of users cannot be asked: "+err.Error(), "start the database, or correct dsn, query and recheck in [users.sql]")}
	}
	return []Finding{ok("the database of users answers both queries")}
}
