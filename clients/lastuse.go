package clients

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// When a secret, a key or a client was last used is noted in memory, to the minute, and stored in
// Redis at most once an hour for each and node: enough to know which one can go, and nothing on the
// way of a request. A turn stores maxUsesStored uses at most, in pipelines.
const (
	storeUsesEvery       = time.Minute
	storeUseAgainMinutes = 60 // minutes
	maxUsesStored        = 2000
	lastUseTTL           = 400 * 24 * time.Hour
)

// lastUseKey is where the last use of a secret, of a key, or of the client is stored.
func lastUseKey(id, what string) string {
	sum := sha256.Sum256([]byte(id + "\x00" + what))
	return "clients:used:" + string(sum[:16])
}

func secretUseKey(id string, h SecretHash) string { return lastUseKey(id, h.bytes()) }

// clientUseKey holds the credential as well.
func clientUseKey(id string) string { return lastUseKey(id, "client") }

// useRound collects the uses that one turn stores.
type useRound struct {
	entries []redisdb.Entry
	stored  []func()
}

// add takes a use that Redis should know.
func (r *useRound) add(key string, u *lastUse, more string) {
	minute := u.unstored()
	if minute == 0 || len(r.entries) >= maxUsesStored {
		return
	}
	value := binary.BigEndian.AppendUint64(nil, uint64(minute*60)) // #nosec G115 -- after 1970
	r.entries = append(r.entries, redisdb.Entry{Key: key, Value: append(value, more...)})
	r.stored = append(r.stored, func() { u.stored.Store(minute) })
}

func (r *useRound) addClient(c *Client) {
	for i := range c.Secrets {
		r.add(secretUseKey(c.ID, c.Secrets[i].Hash), c.Secrets[i].used, "")
	}
	if c.used == nil {
		return
	}
	for credential, u := range c.used.all() {
		r.add(lastUseKey(c.ID, credential), u, "")
	}
	credential := ""
	if last := c.used.credential.Load(); last != nil {
		credential = *last
	}
	r.add(clientUseKey(c.ID), &c.used.lastUse, credential)
}

// storeLastUses writes down the last uses that this node has seen of these clients.
func (d *Redis) storeLastUses(ctx context.Context, list []*Client) error {
	var round useRound
	for _, c := range list {
		if c != nil {
			round.addClient(c)
		}
	}
	err := d.db.SetEach(ctx, round.entries, lastUseTTL)
	partial, partly := errors.AsType[*redisdb.PartialError](err)
	for i, note := range round.stored {
		if err == nil || partly && partial.Answered[i] {
			note()
		}
	}
	return err
}

// unstored returns the minute of a last use that Redis should know; 0: of none.
func (u *lastUse) unstored() int64 {
	if u == nil {
		return 0
	}
	minute, stored := u.minute.Load(), u.stored.Load()
	if minute == 0 || minute-stored < storeUseAgainMinutes {
		return 0
	}
	return minute
}

// anyUnstored says whether Redis should know of some use of the client.
func (c *Client) anyUnstored() bool {
	var round useRound
	round.addClient(c)
	return len(round.entries) > 0
}

// LastUsed returns about when a secret was last used, within an hour; zero: never, as far as
// anybody knows.
func (d *Redis) LastUsed(ctx context.Context, id string, h SecretHash) (time.Time, error) {
	return d.lastUse(ctx, secretUseKey(id, h))
}

func (d *Redis) lastUse(ctx context.Context, key string) (time.Time, error) {
	v, err := d.db.Get(ctx, key)
	if errors.Is(err, redisdb.ErrNil) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	at, _, err := readUse(v)
	return at, err
}

// readUse reads what add wrote.
func readUse(v []byte) (at time.Time, credential string, err error) {
	if len(v) < 8 {
		return at, "", ErrRecord
	}
	return time.Unix(int64(binary.BigEndian.Uint64(v)), 0), string(v[8:]), nil // #nosec G115 -- as above
}

// KeyUse is a key of a client's jwks, and about when it was last used.
type KeyUse struct {
	Credential string    `json:"credential"` // as the audit trail names it
	LastUsed   time.Time `json:"last_used,omitzero"`
}

// KeyUses returns the keys that a client registered, and when each was last used, within an hour.
func (d *Redis) KeyUses(ctx context.Context, r *Registration) ([]KeyUse, error) {
	var list []KeyUse
	for _, credential := range keyCredentials(r.JWKS) {
		at, err := d.lastUse(ctx, lastUseKey(r.ID, credential))
		if err != nil {
			return nil, err
		}
		list = append(list, KeyUse{credential, at})
	}
	return list, nil
}

// addUses says of clients when each was last used, and by what. Of a client whose server of a
// Cluster does not answer it says nothing.
func (d *Redis) addUses(ctx context.Context, list []*Described) error {
	keys := make([]string, len(list))
	for i, c := range list {
		keys[i] = clientUseKey(c.ID)
	}
	var failed error
	err := d.db.Each(ctx, keys, func(i int, value []byte) {
		if value == nil {
			return
		}
		at, credential, err := readUse(value)
		if err != nil {
			failed = err
			return
		}
		list[i].LastUsed, list[i].LastCredential = at.UTC(), credential
	})
	if partial, partly := errors.AsType[*redisdb.PartialError](err); partly && slices.Contains(partial.Answered, true) {
		err = nil
	}
	return errors.Join(err, failed)
}
