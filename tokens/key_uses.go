package tokens

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// KeyUses notes when API keys were last used, to the minute, and stores that in Redis at most once
// an hour for a key and node: enough to know which key can go, and nothing on the way of a request.
type KeyUses struct {
	db *redisdb.DB

	mu   sync.Mutex
	seen map[ID]keyUse
}

// keyUse is in minutes since 1970. stored 0: never.
type keyUse struct{ minute, stored int64 }

const (
	maxKeyUses       = 50_000 // keys that a node remembers
	maxUsesStored    = 2000   // of one turn
	storeUsesEvery   = time.Minute
	storeAgainMinute = 60
)

// KeyUses returns the uses beside a store's keys. Run stores them.
func (a *APIKeys) KeyUses() *KeyUses { return &KeyUses{db: a.store.db, seen: map[ID]keyUse{}} }

// Note notes a use. A nil *KeyUses notes nothing.
func (u *KeyUses) Note(id ID, now time.Time) {
	if u == nil {
		return
	}
	minute := now.Unix() / 60
	u.mu.Lock()
	defer u.mu.Unlock()
	use, known := u.seen[id]
	if use.minute == minute || !known && len(u.seen) >= maxKeyUses {
		return
	}
	use.minute = minute
	u.seen[id] = use
}

// Run stores uses about once a minute, until ctx ends.
func (u *KeyUses) Run(ctx context.Context, log *slog.Logger) {
	for {
		wait := time.NewTimer(storeUsesEvery/2 + rand.N(storeUsesEvery)) // #nosec G404 -- nodes that start together do not come together
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if err := u.Store(context.WithoutCancel(ctx)); err != nil {
			log.Warn("last uses of API keys not stored; trying again", "error", err.Error())
		}
	}
}

// Store stores the uses that Redis should know now, and forgets keys that were not used for an
// hour.
func (u *KeyUses) Store(ctx context.Context) error {
	due := u.due()
	var list []redisdb.Entry
	for id, minute := range due {
		list = append(list, redisdb.Entry{Key: keyUseKey(id),
			Value: binary.BigEndian.AppendUint64(nil, uint64(minute*60))}) // #nosec G115 -- after 1970
	}
	if err := u.db.SetEach(ctx, list, unusedTTL); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, minute := range due {
		use := u.seen[id]
		use.stored = minute
		u.seen[id] = use
	}
	return nil
}

func (u *KeyUses) due() map[ID]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	due, now := map[ID]int64{}, time.Now().Unix()/60
	for id, use := range u.seen {
		switch {
		case len(due) == maxUsesStored:
			return due
		case use.minute != use.stored && use.minute-use.stored >= storeAgainMinute:
			due[id] = use.minute
		case now-use.minute > storeAgainMinute && now-use.stored > storeAgainMinute:
			delete(u.seen, id)
		}
	}
	return due
}
