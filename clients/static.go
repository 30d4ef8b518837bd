package clients

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
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

type snapshot struct {
	byID map[string]*Client
	at   time.Time // when the source confirmed it
}

// NewStatic asks source for the epochs of list and returns the registry, which is good for
// StaleAfter: let Run go on confirming it. Ids must be unique.
func NewStatic(ctx context.Context, list []*Client, source EpochSource) (*Static, error) {
	s := &Static{source: source, list: list}
	seen := map[string]bool{}
	for _, c := range list {
		if seen[c.ID] {
			return nil, fmt.Errorf("client id %q is there twice", c.ID)
		}
		seen[c.ID] = true
		s.ids = append(s.ids, c.ID)
		for i := range c.Secrets {
			c.Secrets[i].used = new(lastUse)
		}
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

// refresh takes the epochs of this moment. The clock is read before the source is asked.
func (s *Static) refresh(ctx context.Context) error {
	asked := time.Now()
	epochs, err := s.source.ClientEpochs(ctx, s.ids)
	if err != nil {
		return err
	}
	old := s.now.Load()
	next := &snapshot{byID: make(map[string]*Client, len(s.list)), at: asked}
	for i, c := range s.list {
		if old != nil && old.byID[c.ID].Epoch == epochs[i] {
			next.byID[c.ID] = old.byID[c.ID]
			continue
		}
		view := *c
		view.Epoch = epochs[i]
		view.Disabled = view.Disabled || view.Epoch == Epoch{}
		next.byID[c.ID] = &view
	}
	s.now.Store(next)
	return nil
}

// Following returns ErrStale when the epochs could not be confirmed for StaleAfter.
func (s *Static) Following() error {
	if snap := s.now.Load(); snap == nil || time.Since(snap.at) > StaleAfter {
		return ErrStale
	}
	return nil
}

// List returns the clients of config.toml as they are now, however old that is.
func (s *Static) List() []*Client {
	snap := s.now.Load()
	list := make([]*Client, 0, len(s.ids))
	for _, id := range s.ids {
		list = append(list, snap.byID[id])
	}
	return list
}

// Get implements Registry.
func (s *Static) Get(_ context.Context, id string) (*Client, error) {
	snap := s.now.Load()
	if snap == nil || time.Since(snap.at) > StaleAfter {
		return nil, ErrStale
	}
	c, ok := snap.byID[id]
	if !ok {
		return nil, ErrUnknown
	}
	return c, nil
}
