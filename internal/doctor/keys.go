package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/keys"
)

// readKeys lists the signing keys, and leaves their lifetime in Redis as it is.
func (s *subject) readKeys(ctx context.Context) ([]keys.Info, error) {
	r, err := s.redis()
	if err != nil {
		return nil, errRedis
	}
	k, err := parts.Keys(s.cfg, r.db)
	if err != nil || k == nil {
		return nil, err
	}
	if store, is := k.Store.(*keys.Redis); is {
		store.ReadOnly()
	}
	return keys.List(ctx, k.Store)
}

func checkKeys(_ context.Context, s *subject) []Finding {
	list, err := s.keys()
	switch {
	case errors.Is(err, keys.ErrEncryptionKey):
		return []Finding{fault("the signing keys cannot be decrypted: "+err.Error(),
			"set [keys] encryption_key to that of the other nodes, and the one before it in previous_encryption_keys")}
	case err != nil:
		return []Finding{unknown("the signing keys cannot be read: " + err.Error())}
	}
	return []Finding{ok(fmt.Sprintf("%d signing keys can be read", len(list)))}
}

// overdue is how late a rotation may be: a leader takes its turn within seconds, and nodes may be
// away for a day.
const overdue = 24 * time.Hour

func checkSchedule(ctx context.Context, s *subject) (found []Finding) {
	list, err := s.keys()
	if err != nil {
		return []Finding{unknown("the signing keys cannot be read; see keys.readable")}
	}
	serving, now := len(s.serving()) > 0, s.options.Now()
	if r, err := s.redis(); err == nil {
		if told, err := r.db.Time(ctx); err == nil {
			now = told
		}
	}
	var next time.Time
	for _, alg := range s.cfg.SigningAlgorithms() {
		current, following := keyOf(list, alg, "current"), keyOf(list, alg, "next")
		switch {
		case current == nil && serving:
			found = append(found, fault(fmt.Sprintf("no key signs with %s, although nodes serve", alg), "reload the nodes: one that has this configuration makes the key"))
		case current != nil && late(current, s.cfg.Keys.RotateEvery, now):
			found = append(found, warning(fmt.Sprintf("the %s key %s signs since %s, longer than rotate_every = %s", alg, current.KeyID, moment(*current.UseFrom), s.cfg.Keys.RotateEvery),
				"look at the log of the nodes, or run \"grantor keys rotate\""))
		}
		if following != nil && following.UseFrom != nil && (next.IsZero() || following.UseFrom.Before(next)) {
			next = *following.UseFrom
		}
	}
	switch {
	case len(list) == 0 && !serving:
		return []Finding{ok("there are no keys yet: the first start makes them")}
	case next.IsZero():
		return orOK(found, "every algorithm has a key that signs; no rotation is planned")
	}
	return orOK(found, "every algorithm has a key that signs; the next rotation is at "+moment(next))
}

func keyOf(list []keys.Info, alg, state string) *keys.Info {
	i := slices.IndexFunc(list, func(k keys.Info) bool { return string(k.Algorithm) == alg && k.State == state })
	if i < 0 {
		return nil
	}
	return &list[i]
}

func late(k *keys.Info, every time.Duration, now time.Time) bool {
	return every > 0 && k.UseFrom != nil && now.After(k.UseFrom.Add(every+overdue))
}

// checkPublished holds the keys in Redis against those that verifiers get.
func checkPublished(ctx context.Context, s *subject) (found []Finding) {
	list, err := s.keys()
	if err != nil {
		return []Finding{unknown("the signing keys cannot be read; see keys.readable")}
	}
	served, err := s.served(ctx)
	if err != nil {
		return []Finding{unknown(err.Error())}
	}
	for _, k := range list {
		switch {
		case slices.Contains(served, k.KeyID):
		case k.State == "current":
			found = append(found, fault(fmt.Sprintf("the %s key %s signs, and the key set that clients get lacks it: verifiers refuse its JWTs", k.Algorithm, k.KeyID),
				"look at caches in front of jwks_uri, and at the log of the nodes"))
		case k.State == "next":
			found = append(found, warning(fmt.Sprintf("the %s key %s signs next, and the key set that clients get lacks it", k.Algorithm, k.KeyID),
				"look at caches in front of jwks_uri: verifiers must know the key before it signs"))
		}
	}
	return orOK(found, fmt.Sprintf("the key set that clients get has the %d keys that sign now or next", len(list)))
}

// served returns the names of the keys that the issuer serves.
func (s *subject) served(ctx context.Context) (ids []string, err error) {
	a, err := s.metadata()
	if err != nil || a.status != http.StatusOK {
		return nil, errors.New("the issuer does not answer; see issuer.reachable")
	}
	at, _ := a.members["jwks_uri"].(string)
	if at == "" {
		return nil, errors.New("the metadata names no jwks_uri; see issuer.metadata")
	}
	set, err := s.get(ctx, at)
	if err != nil || set.status != http.StatusOK {
		return nil, fmt.Errorf("%s does not answer with a key set", at)
	}
	found, _ := set.members["keys"].([]any)
	for _, k := range found {
		members, _ := k.(map[string]any)
		if id, is := members["kid"].(string); is {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
