//go:build ignore

// Command route is an API of one route, GET /orders, which is open or protected in one of the ways
// that package middleware has. Arguments: the way (see ways), the issuer, host:port to listen on,
// and the audience. The client that asks is in GRANTOR_CLIENT_ID and GRANTOR_CLIENT_SECRET. It is
// compiled in Grantor's module, by contest/route.go, so that the benchmark's own module does not
// depend on it.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/middleware"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "route: the arguments are way, issuer, listen, audience")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "route:", err)
		os.Exit(1)
	}
}

// api is how the route is protected.
type api struct {
	id, secret, issuer, audience string
	follow                       *middleware.Follower // nil: it follows nothing
	verifier                     middleware.Verifier  // nil: the route is open
}

// ways are the ways to check a token. A blind cache and the memory of JWTs hold longer than a
// measurement.
var ways = map[string]func(a *api) error{
	"open":  func(*api) error { return nil },
	"ask":   func(a *api) error { return a.introspect(0) },
	"cache": func(a *api) error { return a.introspect(time.Hour) },
	"live": func(a *api) error {
		return errors.Join(a.followFeed(), a.introspect(0))
	},
	"jwt":      func(a *api) error { return a.checkJWT(0, nil) },
	"jwt-each": func(a *api) error { return a.checkJWT(-1, nil) },
	"live-jwt": func(a *api) error {
		return errors.Join(a.followFeed(), a.checkJWT(0, nil))
	},
	"live-jwt-ask": func(a *api) error {
		if err := errors.Join(a.followFeed(), a.introspect(0)); err != nil {
			return err
		}
		return a.checkJWT(0, a.verifier.(*middleware.Introspection))
	},
}

func (a *api) followFeed() (err error) {
	a.follow, err = middleware.NewFollower(middleware.FollowerConfig{Issuer: a.issuer, ClientID: a.id, ClientSecret: a.secret})
	return err
}

func (a *api) introspect(ttl time.Duration) (err error) {
	a.verifier, err = middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: a.issuer, ClientID: a.id, ClientSecret: a.secret,
		CacheTTL: ttl, Follow: a.follow})
	return err
}

func (a *api) checkJWT(size int, ask *middleware.Introspection) (err error) {
	a.verifier, err = middleware.NewJWT(middleware.JWTConfig{Issuer: a.issuer, Audience: a.audience, CacheSize: size, Follow: a.follow, Ask: ask})
	return err
}

func serve(way, issuer, listen, audience string) error {
	protect, ok := ways[way]
	if !ok {
		return fmt.Errorf("there is no way %q", way)
	}
	a := &api{id: os.Getenv("GRANTOR_CLIENT_ID"), secret: os.Getenv("GRANTOR_CLIENT_SECRET"), issuer: issuer, audience: audience}
	if err := protect(a); err != nil {
		return err
	}
	routes, err := a.routes()
	if err != nil {
		return err
	}
	return http.ListenAndServe(listen, routes) //nolint:gosec // a benchmark on loopback
}

func (a *api) routes() (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.GET("/healthz", func(c *gin.Context) { c.Status(http.StatusOK) })
	g.GET("/readyz", a.ready)
	var guards []gin.HandlerFunc
	if a.verifier != nil {
		guard, err := middleware.New(middleware.Config{Verifier: a.verifier, Audience: a.audience})
		if err != nil {
			return nil, err
		}
		guards = []gin.HandlerFunc{guard.Authenticate(), guard.RequireAll("orders:read")}
	}
	g.GET("/orders", append(guards, func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"orders": []string{"apples", "pears"}})
	})...)
	return g, nil
}

// ready is 200 when checks are answered from memory, as far as this way does so. The first check of
// a token begins the polls.
func (a *api) ready(c *gin.Context) {
	if a.follow != nil && !a.follow.Stats().Fresh {
		c.Status(http.StatusServiceUnavailable)
		return
	}
	c.Status(http.StatusOK)
}
