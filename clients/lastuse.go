package clients

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// When a secret was last used is noted in memory, to the minute, and told to Redis at most once an
// hour for a secret and node: enough to know which one can go, and nothing on the way of a request.
// A turn tells of maxUsesStored secrets at most, in pipelines.
const (
	storeUsesEvery       = time.Minute
	storeUseAgainMinutes = 60 // minutes
	maxUsesStored        = 2000
	lastUseTTL           = 400 * 24 * time.Hour
)

func lastUseKey(id string, h SecretHash) string {
	sum := sha256.Sum256(append(append([]byte(id), 0), h[:]...))
	return "clients:used:" + string(sum[:16])
}

// storeLastUses writes down the last uses that this node has seen of these clients.
func (d *Redis) storeLastUses(ctx context.Context, list []*Client) error {
	var entries []redisdb.Entry
	var told []func()
	for _, c := range list {
		if c == nil {
			continue
		}
		for _, s := range c.Secrets {
			if len(entries) == maxUsesStored {
				break
			}
			minute := s.unstored()
			if minute == 0 {
				continue
			}
			value := binary.BigEndian.AppendUint64(nil, uint64(minute*60)) // #nosec G115 -- after 1970
			entries = append(entries, redisdb.Entry{Key: lastUseKey(c.ID, s.Hash), Value: value})
			told = append(told, func() { s.used.stored.Store(minute) })
		}
	}
	err := d.db.SetEach(ctx, entries, lastUseTTL)
	partial, partly := errors.AsType[*redisdb.PartialError](err)
	for i, note := range told {
		if err == nil || partly && partial.Answered[i] {
			note()
		}
	}
	return err
}

// unstored returns the minute of a last use that Redis should know; 0: of none.
func (s *Secret) unstored() int64 {
	if s.used == nil {
		return 0
	}
	minute, told := s.used.minute.Load(), s.used.stored.Load()
	if minute == 0 || minute-told < storeUseAgainMinutes {
		return 0
	}
	return minute
}

// LastUsed returns about when a secret was last used, within an hour; zero: never, as far as
// anybody knows.
func (d *Redis) LastUsed(ctx context.Context, id string, h SecretHash) (time.Time, error) {
	v, err := d.db.Get(ctx, lastUseKey(id, h))
	switch {
	case errors.Is(err, redisdb.ErrNil):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	case len(v) != 8:
		return time.Time{}, ErrRecord
	}
	return time.Unix(int64(binary.BigEndian.Uint64(v)), 0), nil // #nosec G115 -- as above
}
