package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// clusterLayout reads which server of a Cluster has which slots, and dials them.
type clusterLayout struct {
	cfg Config
	tls *tls.Config

	mu     sync.Mutex
	seeds  []string // the one that answered last comes first
	failed time.Time
	err    error

	origin atomic.Value // string, the host of the server that answered last
}

// layoutPause follows a failure: without a layout, v8 reads it for every command.
const layoutPause = 200 * time.Millisecond

// slots asks servers in turn for the layout. Those of the last layout are asked before the
// configured ones.
func (l *clusterLayout) slots(ctx context.Context) ([]redis.ClusterSlot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil && time.Since(l.failed) < layoutPause {
		return nil, l.err
	}
	var errs []error
	for _, seed := range l.seeds {
		slots, err := l.ask(ctx, seed)
		if err == nil {
			l.learn(seed, slots)
			return slots, nil
		}
		errs = append(errs, err)
	}
	l.failed, l.err = time.Now(), errors.Join(errs...)
	return nil, l.err
}

func (l *clusterLayout) learn(seed string, slots []redis.ClusterSlot) {
	seeds := []string{seed}
	add := func(addr string) {
		if !slices.Contains(seeds, addr) {
			seeds = append(seeds, addr)
		}
	}
	for _, s := range slots {
		for _, n := range s.Nodes {
			add(n.Addr)
		}
	}
	for _, addr := range l.cfg.Addrs {
		add(addr)
	}
	l.seeds, l.err = seeds, nil
	host, _, _ := net.SplitHostPort(seed)
	l.origin.Store(host)
}

func (l *clusterLayout) ask(ctx context.Context, seed string) ([]redis.ClusterSlot, error) {
	node := redis.NewClient(&redis.Options{Addr: seed, Username: l.cfg.Username, Password: l.cfg.Password, TLSConfig: l.tls,
		PoolSize: 1, MaxRetries: -1, DialTimeout: dialTimeout, ReadTimeout: l.cfg.Timeout, WriteTimeout: l.cfg.Timeout})
	defer node.Close()
	raw, err := node.Do(ctx, "cluster", "slots").Slice()
	if err != nil {
		return nil, err
	}
	return parseSlots(raw, seed)
}

// dial connects to a server. One without a host (MOVED 42 :7000, with
// cluster-preferred-endpoint-type unknown-endpoint) is at the host that told the layout.
func (l *clusterLayout) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if host == "" {
		origin, _ := l.origin.Load().(string)
		addr = net.JoinHostPort(origin, port)
	}
	return dialTo(l.tls, dialTimeout)(ctx, network, addr)
}

// parseSlots reads CLUSTER SLOTS: ranges of [first, last, node…], the first node being the primary.
func parseSlots(raw []any, seed string) ([]redis.ClusterSlot, error) {
	seedHost, _, err := net.SplitHostPort(seed)
	if err != nil {
		return nil, err
	}
	slots := make([]redis.ClusterSlot, 0, len(raw))
	for _, entry := range raw {
		fields, ok := entry.([]any)
		if !ok || len(fields) < 3 {
			return nil, errSlots
		}
		first, ok1 := fields[0].(int64)
		last, ok2 := fields[1].(int64)
		if !ok1 || !ok2 {
			return nil, errSlots
		}
		slot := redis.ClusterSlot{Start: int(first), End: int(last)}
		for _, f := range fields[2:] {
			addr, err := parseNode(f, seedHost)
			if err != nil {
				return nil, err
			}
			slot.Nodes = append(slot.Nodes, redis.ClusterNode{Addr: addr})
		}
		slots = append(slots, slot)
	}
	if len(slots) == 0 {
		return nil, fmt.Errorf("%w: the cluster serves no slots", ErrUnavailable)
	}
	return slots, nil
}

// parseNode reads [host, port, id, metadata], the last two since Redis 4 and 7. The host may be
// an address, a name, nil or "" for that of the server that answers, or "?" for a name that is
// not known (yet), when the metadata may tell the address.
func parseNode(raw any, seedHost string) (string, error) {
	node, ok := raw.([]any)
	if !ok || len(node) < 2 {
		return "", errSlots
	}
	port, ok := node[1].(int64)
	if !ok {
		return "", errSlots
	}
	host, _ := node[0].(string)
	if host == "?" && len(node) > 3 {
		host = metadata(node[3], "ip")
	}
	if host == "" || host == "?" {
		host = seedHost
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}

// metadata finds a value in [name, value, name, value…].
func metadata(raw any, name string) string {
	list, _ := raw.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == name {
			value, _ := list[i+1].(string)
			return value
		}
	}
	return ""
}

var errSlots = fmt.Errorf("%w: CLUSTER SLOTS answered in an unknown form", ErrUnavailable)
