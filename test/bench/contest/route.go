package contest

import (
	"context"
	"path/filepath"

	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/rivals"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// CaseRoute is the case that only APIs of one route play, each beside Grantor on Redis.
const CaseRoute = "route"

// RouteOpen and RouteOpenJWT are the unprotected route, asked with an opaque token and with a JWT:
// the others are compared with the one whose requests they get.
const (
	RouteOpen    = "route-open"
	RouteOpenJWT = "route-open-jwt"
)

// routes are an API whose route is protected in one of the ways of package middleware.
func routes() []*Contestant {
	opaque, signed := setup{Store: "redis"}, setup{Store: "redis", Alg: "ES256"}
	return []*Contestant{
		route(RouteOpen, "unprotected, opaque tokens", RouteOpen, opaque, protection{way: "open", open: true, blind: true}),
		route("route-ask", "introspection of each request", RouteOpen, opaque, protection{way: "ask"}),
		route("route-cache", "blind cache (`CacheTTL`)", RouteOpen, opaque, protection{way: "cache", blind: true}),
		route("route-live", "live: `Follow`, opaque tokens", RouteOpen, opaque, protection{way: "live"}),
		route(RouteOpenJWT, "unprotected, JWTs", RouteOpenJWT, signed, protection{way: "open", open: true, blind: true}),
		route("route-jwt-each", "JWT alone, its signature at each request (`CacheSize: -1`)", RouteOpenJWT, signed, protection{way: "jwt-each", blind: true}),
		route("route-jwt", "JWT alone", RouteOpenJWT, signed, protection{way: "jwt", blind: true}),
		route("route-live-jwt", "live: `Follow`, JWTs", RouteOpenJWT, signed, protection{way: "live-jwt"}),
		route("route-live-jwt-ask", "live: `Follow` and `Ask`, JWTs", RouteOpenJWT, signed, protection{way: "live-jwt-ask"}),
	}
}

// protection is how a route is protected.
type protection struct {
	way   string // see ../route
	open  bool   // whoever asks is answered
	blind bool   // a token that was revoked after a request passes still
}

func route(name, title, against string, s setup, how protection) *Contestant {
	c := grantor(name, title, s, current)
	c.plays, c.Against = CaseRoute, against
	prepare := c.Prepare
	c.Prepare = func(ctx context.Context, e *Env) (err error) {
		if err = prepare(ctx, e); err == nil && e.route == "" {
			e.route, err = e.Build(ctx, "route", "./test/bench/route/main.go")
		}
		return err
	}
	c.front = func(ctx context.Context, e *Env, p place, _ string) (fronts, error) {
		return startRoute(ctx, e, p, how)
	}
	return c
}

func startRoute(ctx context.Context, e *Env, p place, how protection) (f fronts, err error) {
	addr, err := stack.FreeAddress()
	if err != nil {
		return f, err
	}
	env := []string{"GRANTOR_CLIENT_ID=" + rivals.APIID, "GRANTOR_CLIENT_SECRET=" + rivals.APISecret}
	process, err := stack.Start(p.dir, filepath.Join(p.dir, "route.log"), env, e.route, how.way, "http://"+p.listen, addr, rivals.Resource)
	if err != nil {
		return f, err
	}
	f.started, f.counted, f.all, f.protection = []*stack.Process{process}, []*stack.Process{process}, true, how
	f.check = load.Kind{Name: CaseRoute, Addr: addr, Path: "/orders", Bearer: true}
	return f, process.Await(ctx, awaitFront, answers(addr, "/healthz"))
}

// Ready takes a token, which it ignores: 200 when checks are answered from memory, as far as the
// route's way does so.
func (i *Instance) Ready() load.Kind {
	k := i.fronts.check
	k.Path = "/readyz"
	return k
}

// Open says whether the route answers whoever asks, and Blind whether it goes on answering a token
// that is revoked.
func (i *Instance) Open() bool { return i.fronts.protection.open }

// Blind: see Open.
func (i *Instance) Blind() bool { return i.fronts.protection.blind }
