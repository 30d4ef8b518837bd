package tokens

import (
	"context"
	"errors"
	"sync"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// editionsKey is a hash of the hashed ids of all clients of configurations that have an edition.
const editionsKey = feed.StreamKey + ":clients"

// editionsAtOnce is how many clients get an edition at the same time: their commands share
// pipelines.
const editionsAtOnce = 256

var (
	knownClients  = newScript("served", "known_clients")
	rememberKnown = newScript("remember_known")
	forgetKnown   = newScript("forget_known")
)

// editions gives clients their editions. A client is among the known ones before it has an edition,
// and until its last name was appended: whoever begins anew after a failure finds it.
func (s *Redis) editions(ctx context.Context, list []feed.Configured) (map[string]Epoch, error) {
	list, gone, err := s.noteKnown(ctx, list)
	if err != nil {
		return nil, err
	}
	x := &editionRound{store: s, found: map[string]Epoch{}, slots: make(chan struct{}, editionsAtOnce)}
	for _, c := range list {
		x.do(func() error { return x.give(ctx, c) })
	}
	for _, hashed := range gone {
		x.do(func() error { return x.forget(ctx, hashed) })
	}
	x.all.Wait()
	if len(x.forgotten) > 0 && x.err == nil {
		_, err = s.db.Eval(ctx, forgetKnown, []string{editionsKey}, x.forgotten...)
	}
	if x.err != nil {
		return x.found, x.err
	}
	if redisdb.OnlyReads(err) {
		err = nil // next time
	}
	return x.found, err
}

// noteKnown adds clients to the known ones. It returns those of list that are known now, and the
// hashed ids of the known ones that are not in list.
func (s *Redis) noteKnown(ctx context.Context, list []feed.Configured) (noted []feed.Configured, gone []string, err error) {
	v, err := s.db.Eval(ctx, knownClients, []string{editionsKey}, unusedTTL.Milliseconds())
	if err != nil {
		return nil, nil, err
	}
	fields, _ := v.([]any)
	known := make(map[string]bool, len(fields))
	for _, one := range fields {
		hashed, _ := one.(string)
		known[hashed] = true
	}
	var fresh []feed.Configured
	args, mine := []any{unusedTTL.Milliseconds()}, make(map[string]bool, len(list))
	for _, c := range list {
		hashed := hashedClientID(c.ID)
		if mine[string(hashed[:])] = true; known[string(hashed[:])] {
			noted = append(noted, c)
		} else {
			fresh, args = append(fresh, c), append(args, hashed[:])
		}
	}
	for hashed := range known {
		if !mine[hashed] {
			gone = append(gone, hashed)
		}
	}
	if len(fresh) == 0 {
		return noted, gone, nil
	}
	_, err = s.db.EvalDurable(ctx, rememberKnown, []string{editionsKey}, args...)
	if redisdb.OnlyReads(err) || errors.Is(err, redisdb.ErrNotDurable) {
		return noted, gone, nil // the others get an edition next time
	}
	return append(noted, fresh...), gone, err
}

// editionRound is one call of Editions.
type editionRound struct {
	store *Redis
	all   sync.WaitGroup
	slots chan struct{}

	mu        sync.Mutex
	found     map[string]Epoch
	forgotten []any
	err       error // the first: a name was not appended
}

// do runs f beside others.
func (x *editionRound) do(f func() error) {
	x.slots <- struct{}{}
	x.all.Go(func() {
		defer func() { <-x.slots }()
		err := f()
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.err == nil {
			x.err = err
		}
	})
}

// give finds or makes a client's edition.
func (x *editionRound) give(ctx context.Context, c feed.Configured) error {
	edition, err := x.store.swapEdition(ctx, epochKeyOf(c.ID), func(held feed.Standing) feed.Standing {
		if held.Digest == c.Digest && held.Edition != (Epoch{}) {
			return held
		}
		return feed.Standing{Epoch: held.Epoch, Edition: newEpoch(), Digest: c.Digest}
	})
	if edition != (Epoch{}) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.found[c.ID] = edition
	}
	return err
}

// forget appends the name of a client that the configuration does not have any more.
func (x *editionRound) forget(ctx context.Context, hashed string) error {
	if len(hashed) != len([16]byte{}) {
		return nil
	}
	_, err := x.store.swapEdition(ctx, clientEpochKey([16]byte([]byte(hashed))), func(held feed.Standing) feed.Standing {
		return feed.Standing{Epoch: held.Epoch}
	})
	if err == nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.forgotten = append(x.forgotten, hashed)
	}
	return err
}

// swapEdition puts another edition in the place of a client's, appends the name that the client
// had, and returns the edition that stands there then; zero: none could be stored. An error means
// that a name may be missing in the feed. Too few replicas are no error: a failover that loses the
// name loses the new edition with it, or there is none yet, and either is seen.
func (s *Redis) swapEdition(ctx context.Context, key string, next func(feed.Standing) feed.Standing) (Epoch, error) {
	for range maxOvertaken {
		held, err := s.db.Get(ctx, key)
		if errors.Is(err, redisdb.ErrNil) {
			return Epoch{}, nil // no epoch, no tokens
		}
		if err != nil {
			return Epoch{}, err
		}
		e, err := parseClientEpoch(held)
		if err != nil {
			return Epoch{}, err
		}
		name, want := "", next(e.Standing)
		if e.Edition != (Epoch{}) && e.Edition != want.Edition {
			name = e.name()
		}
		if e.Standing == want {
			return e.Edition, nil
		}
		e.Standing = want
		switch done, err := s.swapEpoch(ctx, key, held, e.value(), name); {
		case done:
			return e.Edition, nil
		case err != nil && name != "" && !appendedAtLeast(err):
			return Epoch{}, err
		case err != nil:
			return Epoch{}, nil
		}
	}
	return Epoch{}, errOvertaken
}

// appendedAtLeast says whether a name was appended, and too few replicas have it.
func appendedAtLeast(err error) bool {
	failed, ok := errors.AsType[notAnnounced](err)
	return ok && failed.unconfirmed()
}
