package tokens

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

// APIKeys keeps the API keys of clients in Redis. A key has a record, which makes it active and is
// read as an opaque access token's, and an entry in the list of its client. The entry is there
// first, so no key is active that no list shows.
//
// A key that has no end, and the list that has such a key, are the only things in Redis without a
// lifetime. They go when the key is revoked or its client is deleted.
type APIKeys struct {
	store *Redis
}

// APIKeys returns the API keys beside a store's tokens.
func (s *Redis) APIKeys() *APIKeys { return &APIKeys{s} }

var (
	addAPIKey    = newScript("clock", "fields", "served", "parts", "key_list", "add_api_key")
	recordAPIKey = newScript("record_api_key")
	listAPIKeys  = newScript("fields", "served", "list_api_keys")
	forgetAPIKey = newScript("fields", "served", "key_list", "forget_api_key")
)

// unsettled is how long the record of a key may follow its entry.
const unsettled = time.Minute

// Add stores a key. One script decides, so that a client never has more than MaxAPIKeys; else it
// returns ErrTooManyKeys. With a redisdb.ErrNotDurable the key is stored, and too few replicas have
// it. ended are keys of the client that have ended otherwise than by time: they make room.
func (a *APIKeys) Add(ctx context.Context, k *APIKey, ended []*APIKey) error {
	db, id := a.store.db, k.ID()
	var gone []byte
	for _, e := range ended {
		gone = append(gone, e.Hash[:16]...)
	}
	n, unconfirmed := db.EvalDurable(ctx, addAPIKey, []string{apiKeysKey(k.ClientID)}, id[:], k.entry(), gone, MaxAPIKeys)
	if unconfirmed != nil && !errors.Is(unconfirmed, redisdb.ErrNotDurable) {
		return unconfirmed
	}
	if n != int64(1) {
		return ErrTooManyKeys
	}
	ttl := int64(0)
	if k.TTL != 0 {
		ttl = k.record().keepFor(a.store.Now()).Milliseconds()
	}
	value := appendKeyRecord(make([]byte, 0, 192), k.Hash, k.record())
	_, err := db.EvalDurable(ctx, recordAPIKey, []string{clientTokenKey(Token{Hash: k.Hash})}, value, ttl)
	for _, e := range ended { // they are inactive; what stays behind takes memory alone
		_, _ = db.Del(ctx, clientTokenKey(Token{Hash: e.Hash}))
	}
	if err == nil {
		err = unconfirmed
	}
	return err
}

// List returns the keys of a client, the newest first. Read the client's epoch afterwards: a key
// under another epoch has ended.
func (a *APIKeys) List(ctx context.Context, clientID string) ([]*APIKey, error) {
	v, err := a.store.db.Eval(ctx, listAPIKeys, []string{apiKeysKey(clientID)})
	if err != nil {
		return nil, err
	}
	flat, _ := v.([]any)
	var list []*APIKey
	for i := 0; i+1 < len(flat); i += 2 {
		id, _ := flat[i].(string)
		entry, _ := flat[i+1].(string)
		k, err := parseKeyEntry(clientID, id, entry)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	slices.SortFunc(list, func(x, y *APIKey) int {
		return cmp.Or(y.Created.Compare(x.Created), strings.Compare(x.Name, y.Name), slices.Compare(x.Hash[:], y.Hash[:]))
	})
	return list, a.complete(ctx, list)
}

// complete looks which keys have a record, and when each was last used.
func (a *APIKeys) complete(ctx context.Context, list []*APIKey) error {
	names := make([]string, 0, 2*len(list))
	for _, k := range list {
		names = append(names, clientTokenKey(Token{Hash: k.Hash}), keyUseKey(k.ID()))
	}
	return a.store.db.Each(ctx, names, func(i int, value []byte) {
		k := list[i/2]
		switch {
		case i%2 == 0:
			k.recorded = value != nil
		case len(value) == 8:
			k.LastUsed = time.Unix(int64(binary.BigEndian.Uint64(value)), 0) // #nosec G115 -- after 1970
		}
	})
}

// Lost says whether a key has no record, and is none that is being made at this moment.
func (a *APIKeys) Lost(k *APIKey) bool {
	return !k.recorded && a.store.Now().Sub(k.Created) > unsettled
}

// End ends one key of a client, as Store.Revoke does, and takes it out of the list. A key without a
// record is ended too: the record may be lost, and verifiers that follow the feed may know the key.
func (a *APIKeys) End(ctx context.Context, k *APIKey) error {
	ended, err := a.store.Revoke(ctx, Token{Kind: ClientKey, Hash: k.Hash}, k.ClientID)
	if err == nil && !ended {
		err = a.store.announce(ctx, k.ID().String())
	}
	if err != nil {
		return err
	}
	return a.forget(ctx, k)
}

// forget takes a key out of the list of its client.
func (a *APIKeys) forget(ctx context.Context, k *APIKey) error {
	id := k.ID()
	_, err := a.store.db.EvalDurable(ctx, forgetAPIKey, []string{apiKeysKey(k.ClientID)}, id[:])
	return err
}

// Forget removes the keys of a client that is gone: they are inactive without it.
func (a *APIKeys) Forget(ctx context.Context, clientID string) error {
	list, err := a.List(ctx, clientID)
	if err != nil {
		return err
	}
	for _, k := range list {
		if _, err := a.store.db.Del(ctx, clientTokenKey(Token{Hash: k.Hash})); err != nil {
			return err
		}
		if err := a.forget(ctx, k); err != nil {
			return fmt.Errorf("an API key in the list of a client that is gone: %w", err)
		}
	}
	return nil
}
