package redisdb

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/go-redis/redis/v8"
)

// Report is what Redis says of itself. Of a Cluster it is the worst of all primaries.
type Report struct {
	Version  string
	Policy   string // maxmemory_policy; "": it does not say
	Memory   int64  // maxmemory in bytes; 0: no limit
	Used     int64  // memory in use in bytes
	AOF      bool   // append-only file on
	Replicas int    // that are in step; of a Cluster those of the primary with fewest
	Replica  bool   // it is itself a replica: it takes no writes
	Wanted   int    // replicas that must confirm a durable write
	State    string // of a Cluster: "ok", or "fail" when slots are not served
}

// oldest is the oldest version of Redis that is tested.
const oldest = "6.2"

// Evicts says that Redis may drop keys when its memory is full: it must not be used.
func (r Report) Evicts() bool { return r.Memory > 0 && r.Policy != "" && r.Policy != "noeviction" }

// Warnings says what an operator should know.
func (r Report) Warnings() (list []string) {
	warn := func(format string, v ...any) { list = append(list, "redis: "+fmt.Sprintf(format, v...)) }
	if r.Policy == "" {
		warn(`does not tell its maxmemory-policy: unless that is "noeviction", it may forget revocations silently`)
	} else if r.Policy != "noeviction" {
		warn(`maxmemory-policy is %q: without "noeviction" Redis may forget revocations silently`, r.Policy)
	}
	if !r.AOF {
		warn("the append-only file is off: a restart of Redis loses what came after the last snapshot (appendonly yes)")
	}
	if r.Replica {
		warn("this server is a replica and takes no writes")
	}
	if r.Wanted > r.Replicas && !r.Replica {
		warn("wait_replicas = %d, but %d replicas are in step. Revocations and changes are answered 503. If there never was a replica, one server alone keeps them",
			r.Wanted, r.Replicas)
	}
	if r.State != "" && r.State != "ok" {
		warn("the cluster's state is %q: some slots are not served", r.State)
	}
	if r.Old() {
		warn("version %s is older than %s, on which nothing was tested", r.Version, oldest)
	}
	return list
}

// Health asks Redis what it is; of a Cluster, each primary. It needs INFO, and in a Cluster
// CLUSTER INFO, but not CONFIG, which an ACL should not allow.
func (d *DB) Health(ctx context.Context) (Report, error) {
	var mu sync.Mutex
	var worst Report
	asked := 0
	err := d.eachPrimary(ctx, func(ctx context.Context, client *redis.Client) error {
		r, err := d.reportOf(ctx, client)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked == 1 {
			worst = r
		} else {
			worst = worst.worse(r)
		}
		return nil
	})
	if err != nil {
		return Report{}, err
	}
	return worst, nil
}

func (d *DB) reportOf(ctx context.Context, client *redis.Client) (Report, error) {
	text, err := client.Info(ctx).Result()
	if err != nil {
		return Report{}, err
	}
	r := parseReport(text)
	r.Wanted = d.cfg.WaitReplicas
	if d.cluster == nil {
		return r, nil
	}
	text, err = client.ClusterInfo(ctx).Result()
	r.State = fields(text)["cluster_state"]
	return r, err
}

func parseReport(text string) Report {
	f := fields(text)
	r := Report{Version: f["redis_version"], Policy: f["maxmemory_policy"], AOF: f["aof_enabled"] == "1", Replica: f["role"] == "slave",
		Replicas: parseReplication(text).online}
	r.Memory, r.Used = number(f["maxmemory"]), number(f["used_memory"])
	return r
}

// fields reads lines of name:value.
func fields(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			m[name] = value
		}
	}
	return m
}

// worse joins two reports.
func (r Report) worse(o Report) Report {
	if o.Evicts() || (o.Policy != "noeviction" && !r.Evicts()) {
		r.Policy, r.Memory = o.Policy, o.Memory
	}
	if older(o.Version, r.Version) {
		r.Version = o.Version
	}
	if o.State != "ok" {
		r.State = cmp.Or(o.State, r.State)
	}
	r.Used = max(r.Used, o.Used)
	r.AOF = r.AOF && o.AOF
	r.Replicas = min(r.Replicas, o.Replicas)
	r.Replica = r.Replica || o.Replica
	return r
}

// older compares major and minor versions; what is no version is not older.
func older(version, than string) bool {
	number := func(s string) (n int) {
		parts := strings.SplitN(s, ".", 3)
		for i := range 2 {
			n *= 1000
			if i < len(parts) {
				part, _ := strconv.Atoi(parts[i])
				n += part
			}
		}
		return n
	}
	return number(version) != 0 && number(version) < number(than)
}
