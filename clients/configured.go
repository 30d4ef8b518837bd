package clients

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// EpochSource keeps the epochs of clients where all nodes see them; tokens.Store is one.
type EpochSource interface {
	// ClientEpochs returns the epoch of each id. One that is missing becomes that of held, where a
	// source that lost its data had it, or is drawn. The zero epoch is that of a client that an
	// operator disabled.
	ClientEpochs(ctx context.Context, ids []string, held map[string]Epoch) ([]Epoch, error)
	// KeepClientEpochs begins the lifetime of the epochs anew.
	KeepClientEpochs(ctx context.Context, ids []string) error
}

// Freshness of a Configured. A node that could not confirm its epochs for StaleAfter refuses
// rather than guesses.
const (
	PollEvery  = 500 * time.Millisecond
	StaleAfter = 2 * time.Second
)

// keepEvery is how often the lifetime of epochs begins anew: far more often than they end.
const (
	keepEvery = 24 * time.Hour
	keepAgain = time.Minute // after a failure
)

// Configured is the Registry of the clients of config.toml: fixed but for their epochs, which it
// polls.
type Configured struct {
	source EpochSource
	ids    []string
	list   []*Client
	now    atomic.Pointer[snapshot]

	mu       sync.Mutex       // one refresh at a time
	held     map[string]Epoch // what the source said last
	editions *editions        // nil: Announce was not called
}

// snapshot is what the source said. In a Cluster one lost server takes the epochs of some clients
// with it, and of no others: each has its own time.
type snapshot struct{ byID map[string]confirmed }

type confirmed struct {
	client *Client
	at     time.Time // when the source confirmed it
}

func (c confirmed) fresh() bool { return c.client != nil && time.Since(c.at) <= StaleAfter }

// NewConfigured asks source for the epochs of list and returns the registry, which is good for
// StaleAfter: let Run go on confirming it, and Housekeep renew it. Ids must be unique.
func NewConfigured(ctx context.Context, list []*Client, source EpochSource) (*Configured, error) {
	s := &Configured{source: source, held: map[string]Epoch{}}
	seen := map[string]bool{}
	for _, c := range list {
		if seen[c.ID] {
			return nil, fmt.Errorf("client id %q is there twice", c.ID)
		}
		seen[c.ID] = true
		s.ids = append(s.ids, c.ID)
		own := *c
		own.Secrets, own.used = noted(c.Secrets), new(clientUse)
		s.list = append(s.list, &own)
	}
	return s, s.refresh(ctx)
}

// Run confirms the epochs and editions until ctx ends. An error of the source is logged when it
// begins, not at every turn.
func (s *Configured) Run(ctx context.Context, log *slog.Logger) {
	ask := func(ctx context.Context) error {
		err := s.refresh(ctx)
		if err == nil {
			s.assert(ctx, log)
		}
		return err
	}
	poll{
		every: PollEvery, ask: ask,
		failed:    "client epochs not confirmed; requests are refused",
		recovered: "client epochs are confirmed again",
	}.run(ctx, log)
}

// Housekeep renews the lifetime of the epochs once a day until ctx ends. It is no part of Run: what
// proves that a node may answer waits for nothing else.
func (s *Configured) Housekeep(ctx context.Context, log *slog.Logger) {
	next := rand.N(keepAgain) // #nosec G404 -- nodes that start together do not come together
	for pause(ctx, next) {
		next = keepEvery*3/4 + rand.N(keepEvery/4) // #nosec G404 -- as above
		if err := s.source.KeepClientEpochs(context.WithoutCancel(ctx), s.ids); err != nil {
			log.Warn("lifetime of client epochs not renewed; trying again", "error", err.Error())
			next = keepAgain
		}
	}
}

// Refresh takes the epochs and editions of this moment: a source that lost its data gets the epochs
// that this node knew, disabled clients too. Whoever reads the revocation feed calls it before this
// node says that it knows of an end: what Get returns afterwards was asked for after the call. An
// error: of some clients the earlier answer stands, for StaleAfter.
func (s *Configured) Refresh(ctx context.Context) error { return s.refresh(context.WithoutCancel(ctx)) }

// refresh takes the epochs of this moment. The clock is read before the source is asked. Where only
// some could be asked for, the others stay as they were.
func (s *Configured) refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := time.Now()
	standings, err := s.standings(ctx)
	partial, partly := errors.AsType[*redisdb.PartialError](err)
	answered := func(i int) bool { return err == nil || partly && partial.Answered[i] }
	s.editions.look(s.ids, standings, answered)
	old := s.now.Load()
	next := &snapshot{byID: make(map[string]confirmed, len(s.list))}
	for i, c := range s.list {
		var before confirmed
		if old != nil {
			before = old.byID[c.ID]
		}
		if !answered(i) {
			next.byID[c.ID] = before
			continue
		}
		now := s.editions.of(c.ID, standings[i])
		s.held[c.ID] = now.epoch
		if before.client == nil || before.client.current() != now {
			before.client = c.at(now)
		}
		next.byID[c.ID] = confirmed{before.client, asked}
	}
	s.now.Store(next)
	return err
}

// at returns the client as it stands.
func (c *Client) at(now current) *Client {
	view := *c
	view.stand(now)
	view.Disabled = view.Disabled || view.Epoch == Epoch{}
	return &view
}

// standings asks the source. s.mu is held.
func (s *Configured) standings(ctx context.Context) ([]feed.Standing, error) {
	if s.editions != nil {
		return s.editions.source.ClientStandings(ctx, s.ids, s.held)
	}
	epochs, err := s.source.ClientEpochs(ctx, s.ids, s.held)
	standings := make([]feed.Standing, len(epochs))
	for i, e := range epochs {
		standings[i].Epoch = e
	}
	return standings, err
}

// changed takes the epochs anew if one of these clients has another. What cannot be asked is seen
// at the next turn, or refused.
func (s *Configured) changed(ctx context.Context, id string) {
	if _, mine := s.now.Load().byID[id]; mine {
		_ = s.refresh(context.WithoutCancel(ctx))
	}
}

// Fresh returns ErrStale when no client could be confirmed for StaleAfter.
func (s *Configured) Fresh() error {
	snap := s.now.Load()
	for _, c := range snap.byID {
		if c.fresh() {
			return nil
		}
	}
	if len(snap.byID) == 0 {
		return nil
	}
	return ErrStale
}

// List returns the clients of config.toml as they are now, however old that is.
func (s *Configured) List() []*Client {
	snap := s.now.Load()
	list := make([]*Client, 0, len(s.ids))
	for _, id := range s.ids {
		if c := snap.byID[id].client; c != nil && !c.isIssuer() {
			list = append(list, c)
		}
	}
	return list
}

// Get implements Registry.
func (s *Configured) Get(_ context.Context, id string) (*Client, error) {
	c, ok := s.now.Load().byID[id]
	switch {
	case !ok:
		return nil, ErrUnknown
	case !c.fresh():
		return nil, ErrStale
	}
	return c.client, nil
}
