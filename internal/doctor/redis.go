package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// page says where the settings of Redis are explained.
const page = "; see docs/operate/redis.md"

func checkReachable(_ context.Context, s *subject) []Finding {
	r, err := s.redis()
	if err != nil {
		cure := "correct [redis]"
		if e, is := errors.AsType[setupError](err); is {
			cure = cmp.Or(e.cure, cure)
		}
		return []Finding{fault("Redis cannot be used: "+err.Error(), cure)}
	}
	var at []string
	for _, one := range r.servers {
		at = append(at, one.Addr)
	}
	return []Finding{ok("Redis answers at " + strings.Join(at, ", "))}
}

func checkRole(_ context.Context, s *subject) []Finding {
	mode := redisdb.Mode(s.cfg.Redis.Mode)
	return s.servers(func(r redisdb.Server) (found []Finding) {
		switch {
		case r.Kind == "sentinel":
			found = append(found, fault(r.Addr+" is a Sentinel", `set [redis] mode = "sentinel", with addrs and master`))
		case r.Kind == "cluster" && mode != redisdb.Cluster:
			found = append(found, fault(r.Addr+" is a server of a Cluster", `set [redis] mode = "cluster", with addrs`))
		case r.Replica:
			found = append(found, fault(r.Addr+" is a replica and takes no writes", "name the primary in [redis] url, or let Sentinels name it"))
		}
		if r.Loading {
			found = append(found, fault(r.Addr+" is loading its data from disk and answers nothing else", "wait until it has; INFO persistence says how far it is"))
		}
		if r.Old() {
			found = append(found, warning(fmt.Sprintf("%s is Redis %s, and nothing is tested on versions before 6.2", r.Addr, r.Version), "upgrade Redis"))
		}
		return found
	}, fmt.Sprintf("Redis is what [redis] mode = %q says, and takes writes", s.cfg.Redis.Mode))
}

func checkCluster(_ context.Context, s *subject) []Finding {
	return s.servers(func(r redisdb.Server) (found []Finding) {
		if r.State != "" && r.State != "ok" {
			found = append(found, fault(fmt.Sprintf("%s says that the Cluster's state is %q: some slots are not served", r.Addr, r.State),
				"redis-cli --cluster check says which; start the server that has them, or promote its replica"))
		}
		if r.Attached == 0 {
			found = append(found, warning("the primary "+r.Addr+" has no replica: if it is lost, so are its tokens", "give it one"+page))
		}
		return found
	}, "every slot is served, and every primary has a replica")
}

func checkSentinels(ctx context.Context, s *subject) (found []Finding) {
	r, err := s.redis()
	if err != nil {
		return []Finding{unknown(errRedis.Error())}
	}
	answers := r.db.AskSentinels(ctx)
	silent := 0
	for addr, err := range answers {
		if err != nil {
			silent++
			found = append(found, warning("the Sentinel "+addr+" does not name the primary: "+err.Error(), "start it, or take it out of [redis] addrs"))
		}
	}
	if 2*silent >= len(answers) {
		found = append(found, fault(fmt.Sprintf("%d of %d Sentinels do not name the primary: nobody can promote a replica", silent, len(answers)),
			"start enough Sentinels for a majority, each on a machine of its own"))
	}
	return orOK(found, fmt.Sprintf("%d Sentinels name the primary", len(answers)))
}

// lagging is how long a replica in step may be silent: it answers once a second.
const lagging = 5 * time.Second

func checkReplicas(ctx context.Context, s *subject) []Finding {
	r, err := s.redis()
	if err != nil {
		return []Finding{unknown(errRedis.Error())}
	}
	had, err := r.db.HadReplicas(ctx)
	if err != nil {
		return []Finding{unknown("whether there were replicas cannot be read: " + err.Error())}
	}
	wanted := s.cfg.Redis.WaitReplicas
	return s.servers(func(one redisdb.Server) (found []Finding) {
		short := had && one.Replicas < wanted
		text := fmt.Sprintf("%s has %d replicas in step, and wait_replicas = %d", one.Addr, one.Replicas, wanted)
		switch {
		case short && s.cfg.Redis.WaitMissing == redisdb.Degrade:
			found = append(found, warning(text+": a failover may undo revocations that are answered now", "bring the replicas back"+page))
		case short:
			found = append(found, fault(text+": revocations and changes are answered 503", "bring the replicas back, or lower wait_replicas"+page))
		case one.Attached > one.Replicas:
			found = append(found, warning(fmt.Sprintf("of %d replicas of %s only %d are in step", one.Attached, one.Addr, one.Replicas), "look at the log of the others"))
		case one.Attached == 0 && s.cfg.Redis.Mode == string(redisdb.Sentinel):
			found = append(found, warning(one.Addr+" has no replica that Sentinels could promote", "give it one"+page))
		}
		if one.Lag >= lagging {
			found = append(found, warning(fmt.Sprintf("a replica of %s has not answered for %s and lacks %d bytes", one.Addr, one.Lag, one.Behind), "look at its log, its load and its network"))
		}
		return found
	}, replicasSound(r, had))
}

func replicasSound(r *redis, had bool) string {
	fewest := r.servers[0].Replicas
	for _, one := range r.servers {
		fewest = min(fewest, one.Replicas)
	}
	switch {
	case fewest == 0 && !had:
		return "there is no replica, and no node ever saw one: one server alone keeps the tokens"
	case fewest == 0:
		return "there is no replica, and wait_replicas waits for none"
	}
	return fmt.Sprintf("%d replicas are in step", fewest)
}

func checkPolicy(_ context.Context, s *subject) []Finding {
	return s.servers(func(r redisdb.Server) []Finding {
		const cure = "set maxmemory-policy to noeviction" + page
		switch {
		case r.Policy == "":
			return []Finding{unknown(r.Addr + " does not tell its maxmemory-policy")}
		case r.Evicts():
			return []Finding{fault(fmt.Sprintf("maxmemory-policy of %s is %q: Redis forgets tokens and revocations when its memory is full, and Grantor does not start", r.Addr, r.Policy), cure)}
		case r.Policy != "noeviction":
			return []Finding{warning(fmt.Sprintf("maxmemory-policy of %s is %q: Redis would forget tokens and revocations as soon as maxmemory is set", r.Addr, r.Policy), cure)}
		}
		return nil
	}, "maxmemory-policy is noeviction")
}

func checkPersistence(_ context.Context, s *subject) []Finding {
	return s.servers(func(r redisdb.Server) (found []Finding) {
		for _, what := range r.Unsaved {
			found = append(found, fault(fmt.Sprintf("the last write of the %s of %s failed: Redis may refuse writes", what, r.Addr), "look at the disk and at the log of Redis"))
		}
		if !r.AOF {
			found = append(found, warning("the append-only file of "+r.Addr+" is off: a restart of Redis loses what came after the last snapshot", "set appendonly yes"+page))
		}
		return found
	}, "the append-only file is on, and the last write to disk succeeded")
}

func checkRights(ctx context.Context, s *subject) (found []Finding) {
	r, err := s.redis()
	if err != nil {
		return []Finding{unknown(errRedis.Error())}
	}
	missing, keys, known, err := r.db.Rights(ctx)
	const cure = "give the user the rights of docs/operate/redis.md#access"
	switch {
	case err != nil:
		return []Finding{unknown("the rights cannot be asked: " + err.Error())}
	case len(missing) > 0:
		found = append(found, fault("Grantor's user of Redis may not run "+strings.Join(missing, ", "), cure))
	}
	if keys {
		found = append(found, fault(fmt.Sprintf("Grantor's user of Redis may not use the keys that begin with %q", s.cfg.Redis.Prefix), cure))
	}
	if len(found) == 0 && !known {
		return []Finding{unknown("this version of Redis cannot say which rights a user has without using them: Redis 7 can")}
	}
	return orOK(found, "Grantor's user of Redis may run every command that Grantor needs")
}

// Differences of clocks. An answer takes time, so less than a part of a second tells nothing.
const (
	apart   = 2 * time.Second
	tooFar  = time.Minute
	rounded = 100 * time.Millisecond
)

func checkClock(ctx context.Context, s *subject) []Finding {
	r, err := s.redis()
	if err != nil {
		return []Finding{unknown(errRedis.Error())}
	}
	sent := s.options.Now()
	told, err := r.db.Time(ctx)
	if err != nil {
		return []Finding{unknown("Redis does not tell its time: " + err.Error())}
	}
	here := sent.Add(s.options.Now().Sub(sent) / 2)
	differ := told.Sub(here).Abs()
	text := fmt.Sprintf("the clocks of Redis and of this machine differ by %s; Redis's decides when tokens end, and is in their iat and exp", differ.Round(rounded))
	const cure = "let NTP set the clocks of all machines"
	switch {
	case differ >= tooFar:
		return []Finding{fault(text, cure)}
	case differ >= apart:
		return []Finding{warning(text, cure)}
	}
	return []Finding{ok("the clocks of Redis and of this machine agree")}
}

// checkFeed tells of a feed that is off while nodes serve: an empty Redis enables it at the first
// start.
func checkFeed(ctx context.Context, s *subject) []Finding {
	r, err := s.redis()
	if err != nil {
		return []Finding{unknown(errRedis.Error())}
	}
	enabled, err := feed.NewRedis(r.db).Enabled(ctx)
	nodes, err2 := s.nodes()
	switch {
	case errors.Join(err, err2) != nil:
		return []Finding{unknown("the feed cannot be read: " + errors.Join(err, err2).Error())}
	case !enabled && len(nodes) > 0:
		return []Finding{warning("the revocation feed is not enabled: verifiers that follow are answered 503",
			"run \"grantor feed enable\" when no node of a version before the feed serves any more")}
	case !enabled:
		return []Finding{ok("no node serves yet: the first start in an empty Redis enables the feed")}
	}
	return []Finding{ok("the revocation feed is enabled")}
}
