package clients

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// EditionSource keeps the editions of the clients of config.toml beside their epochs; tokens.Store
// is one.
type EditionSource interface {
	EpochSource
	// ClientStandings is ClientEpochs with the editions.
	ClientStandings(ctx context.Context, ids []string, held map[string]Epoch) ([]feed.Standing, error)
	Feed() feed.Stream
}

// FeedName returns the client's name in the revocation feed: all that a token of the client may do
// ends with it (feed.Client). "": nobody may remember what a token of this client may do, because
// the store holds another registration of the client than this node does.
func (c *Client) FeedName() string { return c.feedName }

// stand sets what is said of the client beside its registration.
func (c *Client) stand(now current) {
	c.Epoch, c.Edition, c.unnamed, c.feedName = now.epoch, now.edition, now.unnamed, ""
	if !c.unnamed {
		c.feedName = feed.Client(c.Epoch, c.Edition)
	}
}

// editions is what a Configured knows of the editions of its clients.
type editions struct {
	source EditionSource
	list   []feed.Configured
	digest map[string][16]byte

	other time.Time // since when the store holds other registrations; zero: it does not
	none  bool      // the store holds no edition of some client
	again time.Time // not before that
}

// A node whose registrations are not those of the store says so again: another node may have
// another configuration for a while, or an earlier configuration ends here. Where the store has no
// edition at all, because it lost its data, nobody else is in the right.
const (
	assertAfter = time.Minute
	assertPause = 5 * time.Second
)

// Announce gives each client its edition and appends to the revocation feed the names of all
// clients from whom this configuration takes something, compared with the one that nodes served
// last. It must return before the configuration serves. Until it is called, clients have no
// edition. An error means that a name may be missing in the feed.
func (s *Configured) Announce(ctx context.Context, source EditionSource, cat *scopes.Catalogue) error {
	e := &editions{source: source, digest: map[string][16]byte{}}
	for _, c := range s.list {
		e.digest[c.ID] = c.digest(cat)
		e.list = append(e.list, feed.Configured{ID: c.ID, Digest: e.digest[c.ID]})
	}
	s.mu.Lock()
	s.editions = e
	s.mu.Unlock()
	return s.announce(ctx)
}

// announce says which registrations this node has, and takes the editions that the store holds
// then.
func (s *Configured) announce(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if _, err := s.editions.source.Feed().Editions(ctx, s.editions.list); err != nil {
		return err
	}
	err := s.refresh(ctx)
	if _, partly := errors.AsType[*redisdb.PartialError](err); partly {
		return nil // the others cannot be served, and are seen at the next turn
	}
	return err
}

// assert announces again where that is due.
func (s *Configured) assert(ctx context.Context, log *slog.Logger) {
	if !s.assertDue(time.Now()) {
		return
	}
	if err := s.announce(ctx); err != nil {
		log.Warn("editions of configured clients not stored; trying again", "error", err.Error())
	}
}

func (s *Configured) assertDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.editions
	if e == nil || now.Before(e.again) || !e.none && (e.other.IsZero() || now.Sub(e.other) < assertAfter) {
		return false
	}
	e.again = now.Add(assertPause + rand.N(assertPause)) // #nosec G404 -- nodes shall not come together
	e.other = time.Time{}
	return true
}

// look notes whether the store holds the registrations of this node. s.mu is held.
func (e *editions) look(ids []string, standings []feed.Standing, known func(i int) bool) {
	if e == nil {
		return
	}
	other := false
	e.none = false
	for i, st := range standings {
		if known(i) {
			other = other || st.Digest != e.digest[ids[i]]
			e.none = e.none || st.Edition == Epoch{}
		}
	}
	switch {
	case !other:
		e.other = time.Time{}
	case e.other.IsZero():
		e.other = time.Now()
	}
}

// current is what a node says of a client beside its registration.
type current struct {
	epoch, edition Epoch
	unnamed        bool
}

// of returns what this node says of a client by what the store holds. s.mu is held.
func (e *editions) of(id string, st feed.Standing) current {
	switch {
	case e == nil:
		return current{epoch: st.Epoch}
	case st.Edition == Epoch{} || st.Digest != e.digest[id]:
		return current{epoch: st.Epoch, unnamed: true}
	}
	return current{epoch: st.Epoch, edition: st.Edition}
}

func (c *Client) current() current { return current{c.Epoch, c.Edition, c.unnamed} }

// digest is of all that the power of the client's tokens rests on: what it may ask for of the
// scopes that there are, the grants, the audiences.
func (c *Client) digest(cat *scopes.Catalogue) (d [16]byte) {
	permitted := func(t string) bool { return cat.Has(t) && cat.Permits(c.Scope, t) }
	power := struct {
		Disabled         bool
		Scopes           string
		Grants, Audience []string
		Resource         string
		Exchange         *ExchangePolicy `json:",omitempty"` // earlier versions have none: the digest of a client without it stays
		Exchanged        string          `json:",omitempty"` // the scopes that Exchange permits
	}{c.Disabled, cat.Names().Union(c.Scope.Exact()).Filter(permitted).String(), sorted(c.Grants), sorted(c.Audience), c.Resource, c.Exchange,
		cat.Names().Filter(func(t string) bool { return c.ExchangePermits(cat, t) }).String()}
	text, err := json.Marshal(power)
	if err != nil {
		panic(err) // texts alone
	}
	sum := sha256.Sum256(text)
	return [16]byte(sum[:16])
}

// sorted returns the list in order, without duplicates.
func sorted(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}
