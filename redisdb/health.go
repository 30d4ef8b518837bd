package redisdb

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Report is what Redis says of itself.
type Report struct {
	Version  string
	Policy   string // maxmemory_policy
	Memory   int64  // maxmemory in bytes; 0: no limit
	AOF      bool   // append-only file on
	Replicas int
}

// Warnings says what an operator should know.
func (r Report) Warnings() (list []string) {
	if r.Policy != "noeviction" {
		list = append(list, fmt.Sprintf("redis: maxmemory-policy is %q: without \"noeviction\" Redis may forget revocations silently", r.Policy))
	}
	if !r.AOF {
		list = append(list, "redis: the append-only file is off: a restart of Redis loses what came after the last snapshot (appendonly yes)")
	}
	return list
}

// Evicts says that Redis may drop keys when its memory is full: it must not be used.
func (r Report) Evicts() bool { return r.Memory > 0 && r.Policy != "" && r.Policy != "noeviction" }

// Health asks Redis what it is; in a cluster, one of its nodes.
func (d *DB) Health(ctx context.Context) (Report, error) {
	text, err := d.info(ctx)
	if err != nil {
		return Report{}, err
	}
	r := Report{Version: text["redis_version"], Policy: text["maxmemory_policy"], AOF: text["aof_enabled"] == "1"}
	r.Memory, _ = strconv.ParseInt(text["maxmemory"], 10, 64)
	r.Replicas, _ = strconv.Atoi(text["connected_slaves"])
	return r, nil
}

func (d *DB) info(ctx context.Context) (map[string]string, error) {
	text, err := d.db.Info(endless(ctx)).Result()
	if err != nil {
		return nil, wrap(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// replicas remembers for a few seconds whether the primary has any.
type replicas struct {
	known atomic.Int64 // unix milliseconds of the last look
	any   atomic.Bool
}

// hasReplicas says whether the primary has replicas, as of at most replicaLook ago. When it cannot be
// known, it is taken for granted that there are: waiting in vain is the safe mistake.
func (d *DB) hasReplicas() bool {
	now := time.Now().UnixMilli()
	if last := d.replicas.known.Load(); now-last < replicaLook.Milliseconds() {
		return d.replicas.any.Load()
	}
	r, err := d.Health(context.Background())
	if err != nil {
		return true
	}
	d.replicas.any.Store(r.Replicas > 0)
	d.replicas.known.Store(now)
	return r.Replicas > 0
}

const replicaLook = 2 * time.Second
