package clients

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// EpochSource keeps the epochs of clients where all nodes see them; tokens.Store is one.
type EpochSource interface {
	// ClientEpochs returns the epoch of each id, drawing those that are missing. The zero epoch is that of a client that an
	// operator disabled.
	ClientEpochs(ctx context.Context, ids []string) ([]Epoch, error)
	// KeepClientEpochs begins the lifetime of the epochs anew.
	KeepClientEpochs(ctx context.Context, ids []string) error
}

// Freshness of a Static. A node that could not confirm its epochs for StaleAfter refuses
// rather than guesses.
const (
	PollEvery  = 500 * time.Millisecond
	StaleAfter = 2 * time.Second
)

// keepEvery is how often the lifetime of epochs begins anew: far more often than they end.
const keepEvery = 24 * time.Hour

// Static is the Registry of the clients of config.toml: fixed but for their epochs, which it polls.
type Static struct {
	source EpochSource
	ids    []string
	list   []*Client
	now    atomic.Pointer[snapshot]
}

// snapshot is what the source said. In a Cluster one lost server takes the epochs of some clients with it, and of no others:
// each has its own time.
type snapshot struct{ byID map[string]confirmed }

type confirmed struct {
	client *Client
	at     time.Time // when the source confirmed it
}

func (c confirmed) fresh() bool { return c.client != nil && time.Since(c.at) <= StaleAfter }

// NewStatic asks source for the epochs of list and returns the registry, which is good for
// StaleAfter: let Run go on confirming it. Ids must be unique.
func NewStatic(ctx context.Context, list []*Client, source EpochSource) (*Static, error) {
	s := &Static{source: source}
	seen := map[string]bool{}
	for _, c := range list {
		if seen[c.ID] {
			return nil, fmt.Errorf("client id %q is there twice", c.ID)
		}
		seen[c.ID] = true
		s.ids = append(s.ids, c.ID)
		own := *c
		own.Secrets = slices.Clone(c.Secrets)
		for i := range own.Secrets {
			own.Secrets[i].used = new(lastUse)
		}
		s.list = append(s.list, &own)
	}
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	return s, source.KeepClientEpochs(ctx, s.ids)
}

// Run confirms the epochs until ctx ends. An error of the source is logged when it begins, not at
// every turn.
func (s *Static) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(PollEvery)
	defer tick.Stop()
	failing, kept := false, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(kept) > keepEvery && s.source.KeepClientEpochs(context.WithoutCancel(ctx), s.ids) == nil {
			kept = time.Now()
		}
		err := s.refresh(context.WithoutCancel(ctx))
		if err != nil && !failing {
			log.Error("client epochs cannot be confirmed; requests are refused until they are", "error", err.Error())
		}
		if err == nil && failing {
			log.Info("client epochs are confirmed again")
		}
		failing = err != nil
	}
}

// refresh takes the epochs of this moment: all at once, or one by one where that fails. The clock is read before the source is
// asked.
func (s *Static) refresh(ctx context.Context) error {
	asked := time.Now()
	epochs, err := s.source.ClientEpochs(ctx, s.ids)
	known := make([]bool, len(s.ids))
	for i := range known {
		known[i] = err == nil
	}
	if err != nil {
		epochs = s.refreshEach(ctx, known)
	}
	old := s.now.Load()
	next := &snapshot{byID: make(map[string]confirmed, len(s.list))}
	for i, c := range s.list {
		var before confirmed
		if old != nil {
			before = old.byID[c.ID]
		}
		switch {
		case !known[i]:
			next.byID[c.ID] = before
		case before.client != nil && before.client.Epoch == epochs[i]:
			next.byID[c.ID] = confirmed{before.client, asked}
		default:
			view := *c
			view.Epoch = epochs[i]
			view.Disabled = view.Disabled || view.Epoch == Epoch{}
			next.byID[c.ID] = confirmed{&view, asked}
		}
	}
	s.now.Store(next)
	return err
}

// refreshEach asks for each epoch alone, and notes which ones it got.
func (s *Static) refreshEach(ctx context.Context, known []bool) []Epoch {
	epochs := make([]Epoch, len(s.ids))
	var g errgroup.Group
	g.SetLimit(refreshAtOnce)
	for i, id := range s.ids {
		g.Go(func() error {
			if one, err := s.source.ClientEpochs(ctx, []string{id}); err == nil {
				epochs[i], known[i] = one[0], true
			}
			return nil
		})
	}
	_ = g.Wait() // each error leaves its client as it was
	return epochs
}

// refreshAtOnce bounds the questions that are under way when a source is partly away.
const refreshAtOnce = 16

// Following returns ErrStale when no client could be confirmed for StaleAfter.
func (s *Static) Following() error {
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
func (s *Static) List() []*Client {
	snap := s.now.Load()
	list := make([]*Client, 0, len(s.ids))
	for _, id := range s.ids {
		if c := snap.byID[id].client; c != nil {
			list = append(list, c)
		}
	}
	return list
}

// Get implements Registry.
func (s *Static) Get(_ context.Context, id string) (*Client, error) {
	c, ok := s.now.Load().byID[id]
	switch {
	case !ok:
		return nil, ErrUnknown
	case !c.fresh():
		return nil, ErrStale
	}
	return c.client, nil
}
