package redisdb

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/go-redis/redis/v8"
)

// sentinelGroup is all Sentinels: those of the configuration and those that they know. Without a
// majority of all of them no other server can have become the primary.
type sentinelGroup struct {
	cfg   Config
	tls   *tls.Config
	known map[string]string // addresses by id; used by one Beat
}

// vote is the answer of one Sentinel.
type vote struct {
	id     string
	names  bool              // it names the server and does not see it down
	others map[string]string // addresses of the other Sentinels by id
}

// elect returns nil if a majority of all Sentinels names the server at addr as the primary. lone:
// the server never had a replica, so no other can have replaced it, and only an answer to the
// contrary counts.
func (s *sentinelGroup) elect(ctx context.Context, addr string, lone bool) error {
	votes := s.ask(ctx, addr)
	if len(votes) > 0 {
		s.known = map[string]string{}
	}
	yes := 0
	for id, v := range votes {
		if v.names {
			yes++
		}
		for other, at := range v.others {
			s.known[other] = at
		}
		s.known[id] = cmp.Or(s.known[id], "")
	}
	total := max(len(s.known), len(s.cfg.Addrs))
	if 2*yes > total || lone && len(votes) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it is not known whether %s is still the primary. Too few replicas confirm a write; of %d Sentinels %d answered and %d name it",
		ErrUnavailable, addr, total, len(votes), yes)
}

// ask asks the Sentinels of the configuration, then those that are known beside them.
func (s *sentinelGroup) ask(ctx context.Context, addr string) map[string]vote {
	votes := s.askEach(ctx, s.cfg.Addrs, addr)
	more := map[string]string{}
	for id, at := range s.known {
		more[id] = at
	}
	for _, v := range votes {
		for id, at := range v.others {
			more[id] = at
		}
	}
	var rest []string
	for id, at := range more {
		if _, answered := votes[id]; !answered && at != "" {
			rest = append(rest, at)
		}
	}
	for id, v := range s.askEach(ctx, rest, addr) {
		votes[id] = v
	}
	return votes
}

// askEach asks Sentinels concurrently, and returns the votes by id.
func (s *sentinelGroup) askEach(ctx context.Context, addrs []string, addr string) map[string]vote {
	votes := map[string]vote{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, at := range addrs {
		all.Go(func() {
			v, err := s.askOne(ctx, at, addr)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			votes[v.id] = v
		})
	}
	all.Wait()
	return votes
}

func (s *sentinelGroup) askOne(ctx context.Context, at, addr string) (vote, error) {
	c := redis.NewClient(&redis.Options{Addr: at, Username: s.cfg.SentinelUsername, Password: s.cfg.SentinelPassword, TLSConfig: s.tls,
		PoolSize: 1, MaxRetries: -1, DialTimeout: s.cfg.Timeout, ReadTimeout: s.cfg.Timeout, WriteTimeout: s.cfg.Timeout})
	defer c.Close()
	var id, named, master, others *redis.Cmd
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		id = p.Do(ctx, "sentinel", "myid")
		named = p.Do(ctx, "sentinel", "get-master-addr-by-name", s.cfg.Master)
		master = p.Do(ctx, "sentinel", "master", s.cfg.Master)
		others = p.Do(ctx, "sentinel", "sentinels", s.cfg.Master)
		return nil
	})
	if err != nil {
		return vote{}, err
	}
	v := vote{others: map[string]string{}}
	v.id, _ = id.Val().(string)
	if parts, _ := named.Val().([]any); len(parts) == 2 {
		v.names = net.JoinHostPort(fmt.Sprint(parts[0]), fmt.Sprint(parts[1])) == addr && !strings.Contains(metadata(master.Val(), "flags"), "_down")
	}
	list, _ := others.Val().([]any)
	for _, one := range list {
		v.others[metadata(one, "runid")] = net.JoinHostPort(metadata(one, "ip"), metadata(one, "port"))
	}
	return v, nil
}
