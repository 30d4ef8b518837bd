package tokens

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// ClientEpochs implements Store; see ClientStandings.
func (s *Redis) ClientEpochs(ctx context.Context, ids []string, held map[string]Epoch) ([]Epoch, error) {
	standings, err := s.ClientStandings(ctx, ids, held)
	return epochsOf(standings), err
}

func epochsOf(standings []feed.Standing) []Epoch {
	epochs := make([]Epoch, len(standings))
	for i, st := range standings {
		epochs[i] = st.Epoch
	}
	return epochs
}

// ClientStandings implements Store: pipelines of GET, and of SET NX for missing epochs. Where a
// part of a Cluster is away, the error is a *redisdb.PartialError.
func (s *Redis) ClientStandings(ctx context.Context, ids []string, held map[string]Epoch) ([]feed.Standing, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = epochKeyOf(id)
	}
	found := make([]feed.Standing, len(ids))
	var missing []int
	var unreadable error
	note := func(i int, value []byte) {
		e, err := parseClientEpoch(value)
		unreadable = cmp.Or(unreadable, err)
		found[i] = e.Standing
	}
	err := s.db.Each(ctx, keys, func(i int, value []byte) {
		if value == nil {
			missing = append(missing, i)
		} else {
			note(i, value)
		}
	})
	if len(missing) > 0 {
		lacking := make([]redisdb.Entry, len(missing))
		for k, i := range missing {
			e, known := held[ids[i]]
			if !known {
				e = newEpoch()
			}
			lacking[k] = redisdb.Entry{Key: keys[i], Value: e[:]}
		}
		err = s.fillEpochs(ctx, lacking, missing, len(ids), note, err)
	}
	return found, cmp.Or(unreadable, err)
}

// fillEpochs writes the epochs that are missing among n: of many nodes that do so at once, the
// first decides. before is the error of the reading.
func (s *Redis) fillEpochs(ctx context.Context, list []redisdb.Entry, missing []int, n int,
	note func(int, []byte), before error) error {
	err := s.db.FillEach(ctx, list, unusedTTL, func(k int, value []byte) { note(missing[k], value) })
	failed, partly := errors.AsType[*redisdb.PartialError](err)
	if !partly {
		return cmp.Or(err, before)
	}
	all, partly := errors.AsType[*redisdb.PartialError](before)
	if !partly {
		all = &redisdb.PartialError{Answered: slices.Repeat([]bool{true}, n), Err: failed.Err}
	}
	for k, i := range missing {
		all.Answered[i] = failed.Answered[k]
	}
	return all
}

func hashedClientID(id string) [16]byte {
	sum := sha256.Sum256([]byte(id))
	return [16]byte(sum[:16])
}

func epochKeyOf(id string) string { return clientEpochKey(hashedClientID(id)) }

// KeepClientEpochs implements Store: pipelines of PEXPIRE.
func (s *Redis) KeepClientEpochs(ctx context.Context, ids []string) error {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = epochKeyOf(id)
	}
	return s.db.ExpireEach(ctx, keys, unusedTTL)
}

var swapEpoch = newEndScript("swap_epoch")

// changeEpoch changes what Redis holds of a client, and appends the name that this ends.
func (s *Redis) changeEpoch(ctx context.Context, id string, how epochChange, change Epoch) error {
	key := epochKeyOf(id)
	for range maxOvertaken {
		held, err := s.db.Get(ctx, key)
		missing := errors.Is(err, redisdb.ErrNil)
		if err != nil && !missing {
			return err
		}
		e := clientEpoch{Standing: feed.Standing{Epoch: newEpoch()}} // no token has that one
		if !missing {
			if e, err = parseClientEpoch(held); err != nil {
				return err
			}
		}
		name, after := "", held
		if before := e.name(); e.apply(how, change) {
			after = e.value()
			if !missing {
				name = before
			}
		}
		if done, err := s.swapEpoch(ctx, key, held, after, name); done || err != nil {
			return err
		}
	}
	return errOvertaken
}

// swapEpoch puts one value in the place of another, and appends a name ("": none) before that is
// seen. false: another value was there. after may be before: then what made it is confirmed.
func (s *Redis) swapEpoch(ctx context.Context, key string, before, after []byte, name string) (bool, error) {
	return s.endBy(ctx, name, swapEpoch, []string{key}, before, after, unusedTTL.Milliseconds())
}

// DisableClient implements Store.
func (s *Redis) DisableClient(ctx context.Context, id string, e Epoch) error {
	return s.changeEpoch(ctx, id, disableEpoch, e)
}

// EnableClient implements Store.
func (s *Redis) EnableClient(ctx context.Context, id string, e Epoch) error {
	return s.changeEpoch(ctx, id, enableEpoch, e)
}

// RenewClient implements Store.
func (s *Redis) RenewClient(ctx context.Context, id string, e Epoch) error {
	return s.changeEpoch(ctx, id, renewEpoch, e)
}
