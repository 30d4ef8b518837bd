package redisdb

import (
	"strings"
	"sync"
	"time"
)

// replicas remembers whether a server has replicas that must confirm a durable write. The knowledge is
// refreshed every few seconds, by one durable write on behalf of all.
//
// A server that had replicas goes on to need their word for a while after it lost the last one:
// a primary that was cut off from its replicas is about to be replaced by one of them.
// One that was just promoted and never had any is not asked for the impossible.
type replicas struct {
	mu     sync.Mutex
	looked time.Time // zero: never
	id     string    // of the history of writes; a promotion begins a new one
	had    time.Time // when a replica was last seen in this history
	expect bool
}

const (
	replicaLook   = 2 * time.Second
	replicaMemory = time.Minute
)

// replication is what a server says of its replicas.
type replication struct {
	id     string // master_replid
	online int
}

// expected says whether replicas must confirm, or the error of looking.
func (r *replicas) expected(look func() (replication, error)) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < replicaLook {
		return r.expect, nil
	}
	now, err := look()
	if err != nil {
		return false, err
	}
	r.learn(now, time.Now())
	return r.expect, nil
}

func (r *replicas) learn(now replication, at time.Time) {
	if now.id != r.id {
		r.id, r.had = now.id, time.Time{}
	}
	if now.online > 0 {
		r.had = at
	}
	r.looked, r.expect = at, at.Sub(r.had) < replicaMemory
}

// parseReplication reads INFO replication. A replica that is still being filled does not count: it
// could confirm nothing for a long while.
func parseReplication(text string) (r replication) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if id, ok := strings.CutPrefix(line, "master_replid:"); ok {
			r.id = id
		}
		if strings.HasPrefix(line, "slave") && strings.Contains(line, ",state=online,") {
			r.online++
		}
	}
	return r
}
