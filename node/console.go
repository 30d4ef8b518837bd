package node

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/console"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
)

// openConsole returns the console, nil where it is not enabled: then nothing of it runs.
func (n *Node) openConsole(cfg *config.Config) (http.Handler, error) {
	r, own := n.resources, cfg.Admin.Console
	if !own.Enabled || r.stores.db == nil {
		return nil, nil //nolint:nilnil // not wanted
	}
	proxies, err := address.ParseNetworks(own.Proxies)
	if err != nil {
		return nil, err
	}
	r.samples = &console.Samples{}
	c := console.Config{
		API: n.operatorAPI, Store: console.NewStore(r.stores.db), Overview: n.overview, Samples: r.samples,
		Issuer: cfg.Issuer, URL: cfg.Admin.URL, KnownHost: n.knownAdminHost,
		UserHeader: own.UserHeader, Proxies: proxies, Idle: own.Idle, Max: own.Max,
		Trail: r.trail, Log: r.log,
	}
	switch {
	case cfg.Audit.Output == "redis":
		c.Events = audit.NewRedisReader(r.stores.db)
	case r.recent != nil:
		c.Events, c.EventsHere = r.recent, true
	}
	r.background.Go("console: counts of the last hour", func(ctx context.Context) { r.samples.Run(ctx, r.metrics.Totals) })
	return console.New(c)
}

// operatorAPI is the admin API by the configuration in force, for an operator that the console let
// in.
func (n *Node) operatorAPI(actor string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.current.now.Load().server.OperatorAPI().ServeHTTP(w, r.WithContext(server.WithOperator(r.Context(), actor)))
	})
}

func (n *Node) knownAdminHost(host string) bool {
	return n.current.now.Load().server.KnownAdminHost(host)
}

// overview is what the console shows of the deployment.
func (n *Node) overview(ctx context.Context) console.Overview {
	r, in, stats := n.resources, n.current.now.Load(), n.resources.stores.db.Stats()
	o := console.Overview{Self: r.self, SecretsEnding: n.current.secrets.Load().within["14d"], RedisAnswers: stats.Silent == 0,
		ReplicasSeen: int(stats.ReplicasSeen), ReplicasWanted: int(stats.ReplicasWanted), EventsCounted: r.trail != nil}
	o.Nodes, o.NodesError = presence.List(ctx, r.stores.db)
	if in.certificate != nil && in.certificate.Leaf != nil {
		o.Certificate = in.certificate.Leaf.NotAfter
	}
	return o
}

// bePresent writes this node down in Redis, for people.
func (n *Node) bePresent(ctx context.Context) {
	r, started := n.resources, time.Now()
	host, _ := os.Hostname()
	presence.Run(ctx, r.stores.db, r.log, func() presence.Node {
		in := n.current.now.Load()
		one := presence.Node{ID: r.self, Host: host, Listen: in.cfg.Listen, Version: r.version, Started: started.UTC(),
			Reloaded: in.began.UTC(), FeedAge: r.feed.Stats().Age.Seconds(), Config: in.fingerprint, Up: time.Since(started).Seconds(), Connections: maxConnections()}
		if in.live != nil {
			one.ChangeAge = in.live.Age().Seconds()
		}
		if at := r.listens.Load(); at != nil {
			one.Listen, one.Listens = *at, true
		}
		if err := in.server.Ready(ctx); err != nil {
			one.NotReady = err.Error()
		}
		if pending, ok := r.stores.tokens.(*tokens.Pending); ok {
			one.Pending = pending.Len()
		}
		return one
	})
}
