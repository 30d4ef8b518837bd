package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// roster tells the store which clients and users of the configuration this node serves, and under
// which rules. A client or user that was disabled or taken out, and comes back, comes back without
// the tokens and sessions from before. Of rules that a node takes out of force nobody can tell what
// they gave to whom: the revocation feed has feed.OtherRules then.
type roster struct {
	store tokens.Store
	codec *tokens.Codec
	log   *slog.Logger

	mu   sync.Mutex
	now  []tokens.ServedName
	late bool // the beginning could not be noted

	otherRules bool // the configuration that begins has other rules than one that nodes served, or lacks a client
	untold     bool // so has the one in force, and the feed does not say so yet
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
		err := errors.Join(s.again(ctx), s.tell(ctx))
		s.mu.Unlock()
		if err != nil {
			s.log.Debug("names in the configuration not stored; trying again", "error", err.Error())
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
	if err := s.compareRules(ctx, gone); err != nil {
		return undo, err
	}
	for _, n := range back {
		if n.IsRules() && ids[n] == (known{}) {
			continue
		}
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
		s.log.Warn("names in the configuration not stored yet; trying again", "error", err.Error())
		return undo, nil
	}
	return undo, err
}

// compareRules says in the feed that other rules begin, if nodes served other ones until now. It is
// said once more by inForce: until then this node answers by the rules from before. After a client
// that is gone inForce says it too, as a verifier may remember an answer from the time between.
func (s *roster) compareRules(ctx context.Context, gone []tokens.ServedName) error {
	other := slices.ContainsFunc(gone, tokens.ServedName.IsRules)
	s.mu.Lock()
	s.otherRules = len(gone) > 0
	s.mu.Unlock()
	if !other {
		return nil
	}
	s.log.Info("scopes or not_before changed; verifiers ask about each token again")
	return s.settled(s.store.Feed().Append(ctx, feed.End{Names: []string{feed.OtherRules}}))
}

// inForce is told that the configuration that began serves now.
func (s *roster) inForce(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untold = s.untold || s.otherRules
	s.otherRules = false
	if err := s.tell(ctx); err != nil {
		s.log.Warn("configuration change not appended to the revocation feed; trying again", "error", err.Error())
	}
}

// tell says in the feed that other rules are in force, until that is confirmed. s.mu is held.
func (s *roster) tell(ctx context.Context) error {
	if !s.untold {
		return nil
	}
	err := s.store.Feed().Append(ctx, feed.End{Names: []string{feed.OtherRules}})
	s.untold = err != nil
	return err
}

// settled tells of an end that too few replicas have confirmed; the node asks for it again by
// itself.
func (s *roster) settled(err error) error {
	if errors.Is(err, clients.ErrNotConfirmed) {
		s.log.Warn("revocation after a configuration change: too few replicas confirmed it", "error", err.Error())
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

// rulesOf returns what holds for every token: the scopes that there are, what each implies, and
// from when on tokens count.
func rulesOf(cfg *config.Config) string {
	var text strings.Builder
	fmt.Fprintln(&text, cfg.Tokens.NotBefore.Unix())
	for name := range cfg.Catalogue().Names().All() {
		fmt.Fprintln(&text, name, cfg.Catalogue().Expand(scopes.MustParse(name)))
	}
	return text.String()
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
	names = append(names, tokens.RulesName(rulesOf(cfg)))
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
