package node

import (
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
)

// observe adds the values that are read at each scrape.
func (r *resources) observe(cur *current) {
	m := r.metrics
	m.Counter("grantor_password_checks_total", "Password hashes computed to check a login.",
		func() float64 { return float64(r.slots.PasswordChecks()) })
	m.Gauge("grantor_password_slots", "Password hashes that may be computed at once.",
		func() float64 { return float64(r.slots.Size()) })
	m.Gauge("grantor_password_slots_busy", "Password hashes being computed now.",
		func() float64 { return float64(r.slots.InUse()) })
	m.Gauge("grantor_registry_feed_up", "1: this node reads all changes of clients as they happen.",
		func() float64 { return truth(cur.now.Load().following() == nil) })
	r.observeFeed(cur)
	if r.stores.db != nil {
		r.observeWrites()
		r.observeReplicas()
		r.observeConnections()
		r.observeRegistry(cur)
		m.Gauge("grantor_request_rates_shared", "1: requests of clients with a limit are counted on all nodes together; 0: the last count could not be shared.",
			func() float64 { return truth(r.rates.Shared()) })
	}
}

// observeWrites adds what tells of writes that were lost or not confirmed.
func (r *resources) observeWrites() {
	m := r.metrics
	if pending, ok := r.stores.tokens.(*tokens.Pending); ok {
		m.Gauge("grantor_pending_revocations", "Revocations that were answered 503 and that the node repeats.",
			func() float64 { return float64(pending.Len()) })
	}
	const unconfirmed = "grantor_writes_accepted_unconfirmed_total"
	for _, kind := range []string{tokens.UnconfirmedRotation, tokens.UnconfirmedLogin, tokens.UnconfirmedReplayMark} {
		m.Counter(unconfirmed, "Logins, rotations and replay marks answered although fewer replicas than wait_replicas confirmed them.",
			func() float64 { return float64(r.stores.redis.Unconfirmed(kind)) }, "kind", kind)
	}
	m.Counter("grantor_redis_data_lost_total", "Times that this node found Redis without its data.",
		func() float64 { return float64(r.key.Lost()) })
	m.Gauge("grantor_redis_evicts", "1: Redis has an eviction policy: when its memory is full, it deletes tokens and revocations.",
		func() float64 { return truth(r.evicts.Load()) })
	m.Counter("grantor_redis_unconfirmed_writes_total", "Writes that are done on the primary and that too few replicas confirmed.",
		func() float64 { return float64(r.stores.db.Stats().Unconfirmed) })
}

// observeReplicas adds which servers of Redis answer, and how many are in step.
func (r *resources) observeReplicas() {
	m, stats := r.metrics, r.stores.db.Stats
	m.Gauge("grantor_redis_up", "1: every Redis primary answers.",
		func() float64 { return truth(stats().Silent == 0) })
	m.Gauge("grantor_redis_breaker_open", "Redis primaries to which no commands are sent because they did not answer.",
		func() float64 { return float64(stats().Silent) })
	m.Gauge("grantor_redis_replicas_wanted", "Replicas that must confirm a revocation or change; 0 where Redis never had a replica.",
		func() float64 { return float64(stats().ReplicasWanted) })
	m.Gauge("grantor_redis_replicas_seen", "Replicas in sync; of a Cluster, those of the primary with the fewest.",
		func() float64 { return float64(stats().ReplicasSeen) })
	m.Gauge("grantor_redis_primary_proven", "1: this node has lately proven that the Redis it uses is still the primary.",
		func() float64 { return truth(r.beat.Fresh(clients.StaleAfter) == nil) })
}

// observeConnections adds how commands reach Redis.
func (r *resources) observeConnections() {
	m, stats := r.metrics, r.stores.db.Stats
	m.Gauge("grantor_redis_connections", "Open connections to Redis.",
		func() float64 { return float64(stats().Connections) })
	m.Counter("grantor_redis_pipelines_total", "Pipelines that carried the commands of several requests.",
		func() float64 { return float64(stats().Batches) })
	m.Counter("grantor_redis_pipelined_commands_total", "Commands sent in pipelines of several requests.",
		func() float64 { return float64(stats().Batched) })
	m.Counter("grantor_redis_refused_commands_total", "Commands refused because the queue was full.",
		func() float64 { return float64(stats().Refused) })
}

// observeRegistry adds how look-ups of registered clients end.
func (r *resources) observeRegistry(cur *current) {
	feed := func() clients.CacheStats { return cur.now.Load().live.Stats() }
	r.metrics.Gauge("grantor_registry_clients_cached", "Clients registered in Redis that this node keeps in memory.",
		func() float64 { return float64(feed().Cached) })
	for result, value := range map[string]func(clients.CacheStats) uint64{
		"hit":     func(s clients.CacheStats) uint64 { return s.Hits },
		"miss":    func(s clients.CacheStats) uint64 { return s.Misses - s.Unknown },
		"unknown": func(s clients.CacheStats) uint64 { return s.Unknown },
	} {
		r.metrics.Counter("grantor_registry_lookups_total", "Lookups of clients registered in Redis since the last reload.",
			func() float64 { return float64(value(feed())) }, "result", result)
	}
}

// observeReader counts requests and connections of the public listener by who reads them.
func (r *resources) observeReader(front *server.Front) {
	if front.ReadStats() == nil {
		return
	}
	r.metrics.Counter("grantor_http1_requests_total", "Plain requests that http1 read.",
		func() float64 { return float64(front.ReadStats().Plain) })
	r.metrics.Counter("grantor_http1_idle_closed_total", "Idle connections closed because the listener was near its bound.",
		func() float64 { return float64(front.ReadStats().Closed) })
	for reason := range front.ReadStats().HandedOn {
		r.metrics.Counter("grantor_http1_handed_on_total", "Connections that http1 handed on to net/http, by reason.",
			func() float64 { return float64(front.ReadStats().HandedOn[reason]) }, "reason", reason)
	}
}

// truth is a gauge of a statement: 1 where it holds.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
