package redisdb

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-redis/redis/v8"
)

// Server is what one server that takes writes says of itself, for people who look for a fault.
type Server struct {
	Report
	Addr     string        // host:port, or a path of a socket
	Kind     string        // redis_mode: "standalone", "cluster" or "sentinel"
	Loading  bool          // it reads its data from disk
	Unsaved  []string      // "append-only file", "snapshot": of these the last write to disk failed
	System   int64         // memory of its machine in bytes; 0: it does not say
	Attached int           // replicas in any state
	Lag      time.Duration // the longest since a replica in step has answered
	Behind   int64         // the most bytes of writes that a replica in step lacks
}

// Inspect asks each server that takes writes what it is. It needs what Health needs.
func (d *DB) Inspect(ctx context.Context) ([]Server, error) {
	var mu sync.Mutex
	var list []Server
	err := d.eachPrimary(ctx, func(ctx context.Context, client *redis.Client) error {
		text, err := client.Info(ctx).Result()
		if err != nil {
			return err
		}
		s := parseServer(text)
		s.Addr, s.Wanted = client.Options().Addr, d.cfg.WaitReplicas
		if at, ok := d.dialed.Load().(string); ok {
			s.Addr = at
		}
		if d.cluster != nil {
			info, err := client.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			s.State = fields(info)["cluster_state"]
		}
		mu.Lock()
		defer mu.Unlock()
		list = append(list, s)
		return nil
	})
	slices.SortFunc(list, func(a, b Server) int { return strings.Compare(a.Addr, b.Addr) })
	return list, err
}

func parseServer(text string) Server {
	f := fields(text)
	s := Server{Report: parseReport(text), Kind: f["redis_mode"], Loading: f["loading"] == "1", System: number(f["total_system_memory"])}
	if f["aof_last_write_status"] == "err" || f["aof_last_bgrewrite_status"] == "err" {
		s.Unsaved = append(s.Unsaved, "append-only file")
	}
	if f["rdb_last_bgsave_status"] == "err" {
		s.Unsaved = append(s.Unsaved, "snapshot")
	}
	s.Attached = int(number(f["connected_slaves"]))
	written := number(f["master_repl_offset"])
	for name, value := range f {
		if strings.HasPrefix(name, "slave") && strings.Contains(value, ",state=online,") {
			replica := pairs(value)
			s.Lag = max(s.Lag, time.Duration(number(replica["lag"]))*time.Second)
			s.Behind = max(s.Behind, written-number(replica["offset"]))
		}
	}
	return s
}

// pairs reads name=value,name=value.
func pairs(text string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		m[name] = value
	}
	return m
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// Old says whether nothing is tested on this version.
func (r Report) Old() bool { return older(r.Version, oldest) }

// HadReplicas says whether this deployment's Redis ever had a replica, as far as a node saw one.
func (d *DB) HadReplicas(ctx context.Context) (bool, error) {
	values, err := d.MGet(ctx, replicaKey)
	return err == nil && values[0] != nil, err
}

// AskSentinels asks each Sentinel of the configuration which server is the primary. It returns why
// one does not tell, by its address; nil: it does. Without Sentinels it returns nothing.
func (d *DB) AskSentinels(ctx context.Context) map[string]error {
	if d.cfg.Mode != Sentinel {
		return nil
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	answers := map[string]error{}
	for _, addr := range d.cfg.Addrs {
		all.Go(func() {
			err := d.askSentinel(ctx, addr)
			mu.Lock()
			defer mu.Unlock()
			answers[addr] = err
		})
	}
	all.Wait()
	return answers
}
