package redisdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// replicas is what is known of the replicas of one server. The operator says how many must confirm
// a durable write, and that holds for every server that ever had a replica. Nodes that start later
// read it from a key in Redis.
//
// A server that never had a replica confirms alone: a single Redis, or one that a failover promoted
// and that has had no replica since.
type replicas struct {
	short atomic.Bool               // too few confirm: no write waits until watchReplicas finds them again
	since atomic.Pointer[time.Time] // when short became true

	mu      sync.Mutex
	looked  time.Time // zero: never
	asked   bool      // the key was read for this place
	noted   time.Time // when the key was last written
	place   string    // see replication
	seen    int       // in sync at the last look
	maxSeen int       // that this server ever had
	ever    bool      // this server, or one before it, had any
}

const (
	replicaLook = 2 * time.Second
	replicaNote = 24 * time.Hour // how often the lifetime of the key is restarted
	replicaLife = 400 * 24 * time.Hour
	replicaKey  = "replicas:{registry}"
)

// replication is what a server says of its replicas, and which server it is: always the same for
// one Redis, the address with Sentinel, and the config epoch in a Cluster, which changes with each
// failover.
type replication struct {
	id      string // master_replid: the history of writes
	place   string
	online  int
	replica bool // it is itself one
}

// wanted returns how many replicas must confirm a durable write of a server. The knowledge is
// refreshed every few seconds, by the beat or by one durable write on behalf of all.
func (d *DB) wanted(ctx context.Context, n *primary) (int, error) {
	r := &n.copies
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) >= replicaLook {
		if err := d.look(ctx, n); err != nil {
			if !answered(err) {
				err = fmt.Errorf("%w: how many replicas there are: %w", ErrUnavailable, err)
			}
			return 0, err
		}
	}
	if r.maxSeen == 0 {
		return 0, nil
	}
	return d.cfg.WaitReplicas, nil
}

// look asks a server about its replicas. r.mu is held.
func (d *DB) look(ctx context.Context, n *primary) error {
	r := &n.copies
	now, err := d.replicationOf(ctx, n)
	if err != nil {
		return err
	}
	if now.replica { // it was demoted, and refuses writes
		return nil
	}
	if now.place != r.place {
		r.place, r.maxSeen, r.asked, r.noted = now.place, 0, false, time.Time{}
	}
	if !r.asked && now.online == 0 && r.maxSeen == 0 {
		if err := d.remember(ctx, r, now); err != nil {
			return err
		}
	}
	r.asked, r.seen, r.looked = true, now.online, time.Now()
	if now.online == 0 {
		return nil
	}
	if now.online > r.maxSeen || time.Since(r.noted) > replicaNote {
		r.maxSeen, r.ever = max(r.maxSeen, now.online), true
		if d.note(ctx, r.maxSeen, now) == nil {
			r.noted = time.Now()
		}
	}
	return nil
}

// replicaKeys are the keys that tell of replicas: of the deployment, and in a Cluster of one
// server.
func (d *DB) replicaKeys(now replication) []string {
	if d.cluster != nil {
		return []string{replicaKey, replicaKey + ":" + now.place}
	}
	return []string{replicaKey}
}

// remember reads what an earlier look stored. Of the replicas of another server only one fact
// counts: there were some.
func (d *DB) remember(ctx context.Context, r *replicas, now replication) error {
	values, err := d.MGet(ctx, d.replicaKeys(now)...)
	if err != nil {
		return err
	}
	var most int
	var place, id string
	_, _ = fmt.Sscanf(string(values[len(values)-1]), "%d %q %s", &most, &place, &id)
	r.ever = r.ever || values[0] != nil
	if place == now.place || id == now.id {
		r.maxSeen = most
	}
	if r.ever && r.maxSeen == 0 {
		d.cfg.Log.Warn("redis: the promoted server has no replica yet", "wait_replicas", d.cfg.WaitReplicas,
			"effect", "no other server has its writes")
	}
	return nil
}

// note stores how many replicas a server had, for nodes that start later.
func (d *DB) note(ctx context.Context, most int, now replication) error {
	for _, key := range d.replicaKeys(now) {
		if err := d.Set(ctx, key, fmt.Appendf(nil, "%d %q %s", most, now.place, now.id), replicaLife); err != nil {
			return err
		}
	}
	return nil
}

// replicationOf asks a server who it is and which replicas are in step.
func (d *DB) replicationOf(ctx context.Context, n *primary) (replication, error) {
	var info, cluster *redis.StringCmd
	_, err := n.repeat.Pipelined(endless(ctx), func(p redis.Pipeliner) error {
		info = p.Info(ctx, "replication")
		if d.cluster != nil {
			cluster = p.ClusterInfo(ctx)
		}
		return nil
	})
	if err != nil {
		return replication{}, err
	}
	r := parseReplication(info.Val())
	switch d.cfg.Mode {
	case Sentinel:
		r.place, _ = d.dialed.Load().(string)
	case Cluster:
		r.place = fields(cluster.Val())["cluster_my_epoch"]
	}
	return r, nil
}

// parseReplication reads INFO replication. A replica that is still loading does not count: it could
// confirm nothing for a long while.
func parseReplication(text string) (r replication) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if id, ok := strings.CutPrefix(line, "master_replid:"); ok {
			r.id = id
		}
		if strings.HasPrefix(line, "slave") && strings.Contains(line, ",state=online,") {
			r.online++
		}
		r.replica = r.replica || line == "role:slave"
	}
	return r
}

// noteShortage notes that too few replicas of a server confirm, and starts a watcher. No write
// waits until the watcher finds the replicas: one that hangs would delay each write by WaitTimeout.
func (d *DB) noteShortage(n *primary, key string) {
	if n.copies.short.CompareAndSwap(false, true) && !n.breaker.spawn(func() { d.watchReplicas(n, key) }) {
		n.copies.short.Store(false)
	}
}

// watchReplicas waits for the replicas of a server by writes of its own, in the slot of a key.
func (d *DB) watchReplicas(n *primary, key string) {
	begun, log := time.Now(), d.cfg.Log.With("wanted", d.cfg.WaitReplicas)
	n.copies.since.Store(&begun)
	log.Error("redis: too few replicas confirm writes", "seen", n.copies.online(), "revocations_and_changes", d.missing())
	defer func() { n.copies.short.Store(false); n.copies.since.Store(nil) }()
	for {
		select {
		case <-n.breaker.quit:
			return
		case <-time.After(probeInterval):
		}
		want, err := d.wanted(context.Background(), n)
		if err == nil && want == 0 {
			return // another server, which never had any
		}
		marker, wait := d.confirmation(n, key, false)
		sendWithRetry(n.waiting, []redis.Cmder{marker, wait})
		if confirmed := d.verdict(marker, wait); confirmed == nil {
			log.Info("redis: replicas confirm writes again", "after_ms", time.Since(begun).Milliseconds())
			return
		} else if d.elsewhere(marker.Err()) || errors.Is(marker.Err(), redis.ErrClosed) {
			return // the slot has moved: the next write finds out
		}
	}
}

// ReplicasAway returns for how long too few replicas of the server of a key have confirmed; 0:
// enough do.
func (d *DB) ReplicasAway(ctx context.Context, key string) time.Duration {
	n, err := d.nodeOf(ctx, d.Key(key))
	if err != nil || !n.copies.short.Load() {
		return 0
	}
	since := n.copies.since.Load()
	if since == nil {
		return time.Nanosecond // it begins just now
	}
	return time.Since(*since)
}

func (r *replicas) online() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// all is how many replicas the server ever had.
func (r *replicas) all() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.maxSeen
}

// stats returns what the last look saw, if it was lately: a server that left a Cluster is not
// looked at.
func (r *replicas) stats() (seen int, ever, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen, r.ever, !r.looked.IsZero() && time.Since(r.looked) < 5*replicaLook
}

// missing says in words what Config.WaitMissing means.
func (d *DB) missing() string {
	if d.cfg.WaitMissing == Degrade {
		return "answered as done; a failover may undo them"
	}
	return "done, and answered 503 until enough replicas confirm"
}
