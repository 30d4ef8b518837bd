// Command embed is a Gin program with Grantor inside: it issues tokens, and protects its own route
// by them.
//
//	go run ./examples/embed
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/node"
)

//go:embed config.toml
var configuration string

func main() {
	listen := flag.String("listen", "127.0.0.1:8083", "host:port")
	path := flag.String("config", "", "a file, instead of the configuration inside")
	flag.Parse()
	if err := run(*listen, *path); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func run(listen, path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP) // from the beginning: unheeded, the signal kills
	cfg, _, err := load(path)
	if err != nil {
		return err
	}
	router := gin.New()
	grantor, err := mount(ctx, router, cfg)
	if err != nil {
		return err
	}
	defer grantor.Close()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Printf("embed listens on http://%s\n", l.Addr())
	srv := &http.Server{Handler: router, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	for {
		select {
		case err := <-served:
			return err
		case <-again:
			if err := reload(ctx, grantor, path); err != nil {
				fmt.Fprintln(os.Stderr, "embed: the earlier configuration stays in force:", err)
			}
		case <-ctx.Done():
			return srv.Shutdown(context.Background()) // requests under way end before Grantor closes
		}
	}
}

// reload puts the configuration in force again, for requests that begin afterwards.
func reload(ctx context.Context, grantor *node.Node, path string) error {
	cfg, _, err := load(path)
	if err != nil {
		grantor.ReloadFailed(ctx, err) // counts and records what Reload never sees
		return err
	}
	return grantor.Reload(ctx, cfg)
}

func load(path string) (*config.Config, []string, error) {
	if path != "" {
		return config.Load(config.Options{Path: path, Environ: os.Environ()})
	}
	return config.Parse(configuration)
}

// mount opens Grantor, and serves its endpoints beside a route that its tokens protect.
func mount(ctx context.Context, router *gin.Engine, cfg *config.Config) (*node.Node, error) {
	grantor, err := node.Open(ctx, cfg, node.Options{})
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Verifier: grantor.Verifier(), Now: grantor.Now})
	if err != nil {
		grantor.Close()
		return nil, err
	}
	router.Any("/oauth2/*endpoint", gin.WrapH(grantor.Handler()))
	router.GET("/.well-known/*document", gin.WrapH(grantor.Handler()))
	router.GET("/orders", guard.Authenticate(), guard.RequireAll("orders:read"), func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"orders": []string{"apples", "pears"}})
	})
	return grantor, nil
}
