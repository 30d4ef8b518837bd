// Command orders-api is an API of two routes that Grantor's tokens protect: GET /orders wants the
// scope orders:read, POST /orders wants orders:write.
//
//	export GRANTOR_CLIENT_ID=demo-api GRANTOR_CLIENT_SECRET=…
//	go run ./examples/orders-api --issuer http://127.0.0.1:8080
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/middleware"
)

func main() {
	issuer := flag.String("issuer", "http://127.0.0.1:8080", "the authorization server")
	listen := flag.String("listen", "127.0.0.1:8081", "host:port")
	audience := flag.String("audience", "https://orders.example.com", "the audience that tokens must name")
	live := flag.Bool("live", true, "follow the revocation feed, and ask once about a token; false: ask at each request")
	flag.Parse()
	if err := run(*issuer, *listen, *audience, *live); err != nil {
		fmt.Fprintln(os.Stderr, "orders-api:", err)
		os.Exit(1)
	}
}

func run(issuer, listen, audience string, live bool) error {
	api, err := newAPI(issuer, audience, live)
	if err != nil {
		return err
	}
	defer api.Close()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Printf("orders-api listens on http://%s\n", l.Addr())
	srv := &http.Server{Handler: api.routes, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = srv.Shutdown(context.Background())
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// api is the routes, and what ends with them.
type api struct {
	routes *gin.Engine
	follow *middleware.Follower // nil: the server is asked at each request
}

// Close ends the polls of the revocation feed.
func (a *api) Close() {
	if a.follow != nil {
		a.follow.Close()
	}
}

// newAPI is all that a resource server needs: a verifier, a guard, and two words a route.
func newAPI(issuer, audience string, live bool) (*api, error) {
	id, secret := os.Getenv("GRANTOR_CLIENT_ID"), os.Getenv("GRANTOR_CLIENT_SECRET")
	a := &api{}
	if live {
		var err error
		a.follow, err = middleware.NewFollower(middleware.FollowerConfig{Issuer: issuer, ClientID: id, ClientSecret: secret})
		if err != nil {
			return nil, err
		}
	}
	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{
		Issuer: issuer, ClientID: id, ClientSecret: secret, Follow: a.follow,
	})
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Verifier: verifier, Audience: audience})
	if err != nil {
		return nil, err
	}
	a.routes, err = routes(guard)
	return a, err
}

func routes(guard *middleware.Guard) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	if err := g.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	g.GET("/orders", guard.Authenticate(), guard.RequireAll("orders:read"), func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"orders": []string{"apples", "pears"}, "for": middleware.TokenFrom(c.Request.Context()).Subject})
	})
	g.POST("/orders", guard.Authenticate(), guard.RequireAll("orders:write"), func(c *gin.Context) {
		c.JSON(http.StatusCreated, gin.H{"created": true})
	})
	return g, nil
}
