package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"go.opentelemetry.io/otel/attribute"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/background"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// base is what outlasts a configuration: stores, counts, the trail, and the slots in which passwords are hashed.
type base struct {
	log         *slog.Logger
	background  *background.Group // what runs until the base closes; an instance has a group of its own
	stores      *stores
	beat        *redisdb.Beat // nil with the memory store
	metrics     *metrics.Metrics
	trail       *audit.Trail // nil: none
	reopenTrail func() error // goes on with the file of the trail that has its name now
	tracer      trace.Tracer // nil: none
	slots       *users.Slots
	key         *tokens.KeyHolder
	served      *served
	keys        *keys.Ring  // nil: no JWTs here
	algs        []string    // that it signs with
	evicts      atomic.Bool // Redis would drop keys when its memory is full
	closers     []func()
}

func (b *base) close() {
	b.background.Stop()
	for i := len(b.closers) - 1; i >= 0; i-- {
		b.closers[i]()
	}
}

func (p Program) openBase(ctx context.Context, cfg *config.Config, log *slog.Logger) (*base, error) {
	b := &base{log: log, metrics: metrics.New(version()), slots: users.NewSlots(0)}
	b.background = background.New(log, b.metrics.Background)
	st, err := openStores(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	b.stores, b.closers = st, append(b.closers, st.close)
	b.openBeat(ctx)
	sink, reopen, closeSink, err := p.openTrail(cfg.Audit, b.stores.db, audit.OpenFile)
	b.reopenTrail = reopen
	if err == nil && sink != nil {
		sink.RunIn(b.background.Go)
		b.trail, b.closers = audit.New(sink, log, b.metrics.Audited), append(b.closers, closeSink)
	}
	if err == nil {
		b.key, err = tokens.OpenKey(ctx, st.tokens, tokens.KeyWait, log)
	}
	if err == nil {
		b.served = &served{store: st.tokens, codec: b.key.Codec(), log: log}
		err = b.openKeys(ctx, cfg) // after the trail, which a rotation is told to
	}
	if err == nil {
		err = b.openTracer(ctx, cfg.Tracing)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// openBeat begins the pulse of this node; it ends with the base.
func (b *base) openBeat(ctx context.Context) {
	if b.stores.db == nil {
		return
	}
	b.beat = redisdb.NewBeat(b.stores.db)
	b.stores.redis.WithPulse(b.beat)
	_ = b.beat.Once(ctx) // before anybody asks; Run goes on
	b.background.Go("pulse", b.beat.Run)
}

// openTrail opens where [audit] output says that events go, a file by open.
func (p Program) openTrail(cfg config.Audit, db *redisdb.DB, open func(string) (*audit.File, error)) (sink *audit.Sink, reopen func() error, closeAll func(), err error) {
	reopen = func() error { return nil }
	switch cfg.Output {
	case "":
		return nil, reopen, nil, nil
	case "redis":
		sink = audit.NewRedis(db)
		return sink, reopen, sink.Close, nil
	case "stdout":
		sink = audit.NewWriter(p.Stdout)
		return sink, reopen, sink.Close, nil
	}
	f, err := open(cfg.Output)
	if err != nil {
		return nil, nil, nil, usageError{fmt.Errorf("audit.output: %w", err)}
	}
	sink = audit.NewWriter(f)
	return sink, f.Reopen, func() { sink.Close(); _ = f.Close() }, nil
}

// openTracer sends spans in batches over OTLP; what cannot be sent is dropped.
func (b *base) openTracer(ctx context.Context, cfg config.Tracing) error {
	if cfg.Endpoint == "" {
		return nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.Endpoint))
	if err != nil {
		return usageError{fmt.Errorf("tracing.otlp_endpoint: %w", err)}
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "grantor"), attribute.String("service.version", version()))))
	b.tracer = provider.Tracer("github.com/grantor-auth/grantor")
	b.closers = append(b.closers, func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) })
	return nil
}

// operator serves /metrics, health, and where it is switched on /debug/pprof.
func (b *base) operator(cfg config.MetricsListener, sw *switcher) http.Handler {
	mux := http.NewServeMux()
	hosts := append([]string{hostOf(cfg.Listen)}, cfg.Hosts...)
	mux.Handle("GET /metrics", b.metrics.Handler())
	mux.Handle("GET /healthz", sw)
	mux.Handle("GET /readyz", sw)
	if cfg.PProf {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	exact := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !server.PlainPath(r) { // ServeMux would clean it, and answer or redirect
			sw.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
	return server.GuardHost(hosts, "[metrics] hosts", exact)
}

// hostOf returns the host of host:port.
func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}

// observeReader counts who reads the requests of the public listener.
func (b *base) observeReader(front *server.Front) {
	if front.ReadStats() == nil {
		return
	}
	const handed = "grantor_http1_handed_on_total"
	b.metrics.Counter("grantor_http1_requests_total", "Plain requests that http1 read.", func() float64 { return float64(front.ReadStats().Plain) })
	b.metrics.Counter("grantor_http1_idle_closed_total", "Idle connections that were closed to make place for others.", func() float64 { return float64(front.ReadStats().Closed) })
	for reason := range front.ReadStats().HandedOn {
		b.metrics.Counter(handed, "Connections that http1 handed on to net/http, by reason.",
			func() float64 { return float64(front.ReadStats().HandedOn[reason]) }, "reason", reason)
	}
}

// observe adds the values that are asked for at each scrape.
func (b *base) observe(sw *switcher) {
	m := b.metrics
	m.Counter("grantor_password_checks_total", "Passwords hashed to be compared.", func() float64 { return float64(b.slots.PasswordChecks()) })
	m.Gauge("grantor_password_slots", "How many passwords may be hashed at once.", func() float64 { return float64(b.slots.Size()) })
	m.Gauge("grantor_password_slots_busy", "How many passwords are being hashed.", func() float64 { return float64(b.slots.InUse()) })
	m.Gauge("grantor_client_secrets_expiring", "Clients whose last secret ends within 14 days.", func() float64 { return float64(sw.expiring.Load()) })
	feed := func() *clients.Cached { return sw.now.Load().live }
	m.Gauge("grantor_registry_feed_up", "1: this node follows all changes of clients.", func() float64 {
		return truth(sw.now.Load().following() == nil)
	})
	if db := b.stores.db; db != nil {
		stats := func(name, help string, value func() float64) { m.Counter(name, help, value) }
		if pending, ok := b.stores.tokens.(*tokens.Pending); ok {
			m.Gauge("grantor_pending_revocations", "Revocations that were answered 503 and are asked for again.", func() float64 { return float64(pending.Len()) })
		}
		for _, kind := range []string{tokens.UnconfirmedRotation, tokens.UnconfirmedLogin, tokens.UnconfirmedReplayMark} {
			m.Counter("grantor_unconfirmed_writes_total", "Writes that were answered although fewer replicas than wait_replicas confirmed them.",
				func() float64 { return float64(b.stores.redis.Unconfirmed(kind)) }, "kind", kind)
		}
		stats("grantor_redis_data_lost_total", "How often Redis came back without its data, found by this node.", func() float64 { return float64(b.key.Lost()) })
		m.Gauge("grantor_redis_evicts", "1: Redis has an eviction policy, and forgets tokens and revocations when its memory is full.", func() float64 { return truth(b.evicts.Load()) })
		m.Gauge("grantor_redis_up", "1: every Redis that takes writes answers.", func() float64 { return truth(db.Stats().Silent == 0) })
		m.Gauge("grantor_redis_breaker_open", "How many Redis servers are not asked because they did not answer.", func() float64 { return float64(db.Stats().Silent) })
		m.Gauge("grantor_redis_replicas_wanted", "How many replicas must confirm revocations and changes; 0 where there never were any.", func() float64 { return float64(db.Stats().ReplicasWanted) })
		m.Gauge("grantor_redis_replicas_seen", "How many replicas are in step; of a Cluster those of the primary with fewest.", func() float64 { return float64(db.Stats().ReplicasSeen) })
		stats("grantor_redis_unconfirmed_writes_total", "Revocations and changes that are done and that too few replicas confirmed.", func() float64 { return float64(db.Stats().Unconfirmed) })
		m.Gauge("grantor_redis_primary_proven", "1: a write of this node was taken lately by a Redis that is the primary still.", func() float64 { return truth(b.beat.Fresh(clients.StaleAfter) == nil) })
		m.Gauge("grantor_redis_connections", "Open connections to Redis.", func() float64 { return float64(db.Stats().Connections) })
		stats("grantor_redis_batches_total", "Pipelines that carried commands of several requests.", func() float64 { return float64(db.Stats().Batches) })
		stats("grantor_redis_shared_commands_total", "Commands in such pipelines.", func() float64 { return float64(db.Stats().Batched) })
		stats("grantor_redis_refused_total", "Commands refused because too many waited.", func() float64 { return float64(db.Stats().Refused) })
		m.Gauge("grantor_registry_clients_cached", "Clients of Redis that this node keeps in memory.", func() float64 { return float64(feed().Stats().Cached) })
		for result, value := range map[string]func(clients.CacheStats) uint64{
			"hit":     func(s clients.CacheStats) uint64 { return s.Hits },
			"miss":    func(s clients.CacheStats) uint64 { return s.Misses - s.Unknown },
			"unknown": func(s clients.CacheStats) uint64 { return s.Unknown },
		} {
			m.Counter("grantor_registry_lookups_total", "Look-ups of clients of Redis since the last reload.", func() float64 { return float64(value(feed().Stats())) }, "result", result)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
