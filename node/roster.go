package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/tokens"
)

// roster tells the store which clients and users of the configuration this node serves. A client or
// user that was disabled or taken out, and comes back, comes back without the tokens and sessions
// from before.
type roster struct {
	store tokens.Store
	codec *tokens.Codec
	log   *slog.Logger

	mu   sync.Mutex
	now  []tokens.ServedName
	late bool // the beginning could not be noted
}

func (s *roster) run(ctx context.Context) {
	tick := time.NewTicker(tokens.ServedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		err := s.again(ctx)
		s.mu.Unlock()
		if err != nil {
			s.log.Debug("what is served could not be stored; it is tried again", "error", err.Error())
		}
	}
}

// again says what is served, and notes the beginning, where that was not possible. s.mu is held.
func (s *roster) again(ctx context.Context) error {
	if s.late {
		if _, _, err := s.store.BeginServing(ctx, s.now); err != nil {
			return err
		}
		s.late = false
	}
	return s.store.Serving(ctx, s.now)
}

// begin ends what must not come back, before a configuration is put in force. undo takes the
// configuration back.
func (s *roster) begin(ctx context.Context, cfg *config.Config) (undo func(), err error) {
	names, ids := namesOf(cfg)
	s.mu.Lock()
	before := s.now
	s.now = slices.DeleteFunc(slices.Clone(before), func(n tokens.ServedName) bool { return !slices.Contains(names, n) })
	s.mu.Unlock() // what goes on is said meanwhile: others may wait for that
	undo = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now = before
		_ = s.store.Serving(context.WithoutCancel(ctx), before) // said again every few seconds
	}
	back, gone, err := s.store.BeginServing(ctx, names)
	late := errors.Is(err, tokens.ErrOnlyReads)
	if err = s.settled(err); err != nil && !late {
		return undo, err
	}
	for _, n := range back {
		if err := s.settled(s.end(ctx, ids[n])); err != nil {
			return undo, err
		}
	}
	for _, n := range gone {
		if who := ids[n]; who.user { // it is there, and disabled
			if err := s.settled(s.end(ctx, who)); err != nil {
				return undo, err
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.late = names, late
	if err == nil {
		err = s.settled(s.store.Serving(ctx, names))
	}
	if errors.Is(err, tokens.ErrOnlyReads) { // nothing had to end, so it may serve those who only read
		s.log.Warn("what this node serves cannot be noted; it is tried again", "error", err.Error())
		return undo, nil
	}
	return undo, err
}

// settled tells of an end that too few replicas have confirmed; the node asks for it again by
// itself.
func (s *roster) settled(err error) error {
	if errors.Is(err, clients.ErrNotConfirmed) {
		s.log.Warn("too few replicas have confirmed that tokens of a client or user of the configuration have ended", "error", err.Error())
		return nil
	}
	return err
}

// known is a client or a user of a configuration.
type known struct {
	id   string
	user bool
}

// end ends every token and session of a client or a user.
func (s *roster) end(ctx context.Context, who known) error {
	if who.user {
		s.log.Info("configured user disabled or enabled again: all sessions ended", "user", s.codec.Tag(who.id).String())
		return s.store.EndUser(ctx, s.codec.Tag(who.id))
	}
	s.log.Info("configured client enabled again: earlier tokens ended", "client_id", who.id)
	return s.store.RenewClient(ctx, who.id, clients.NewEpoch())
}

// namesOf returns the names that a configuration serves, and whose names there are, also of those
// that it disables.
func namesOf(cfg *config.Config) (names []tokens.ServedName, ids map[tokens.ServedName]known) {
	ids = map[tokens.ServedName]known{}
	add := func(n tokens.ServedName, who known, disabled bool) {
		if ids[n] = who; !disabled {
			names = append(names, n)
		}
	}
	for _, c := range cfg.Registrations() {
		add(tokens.ClientName(c.ID), known{id: c.ID}, c.Disabled)
	}
	if cfg.Grants.Password && cfg.Users.Source == "config" {
		for _, u := range cfg.ConfigUsers() {
			add(tokens.UserName(u.ID), known{u.ID, true}, u.Disabled)
		}
	}
	return names, ids
}
