// Package apikeys makes, lists and revokes the API keys of clients: the one place behind the
// command line and the admin API. What a key is, and where it is kept, is package tokens' to say.
package apikeys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/registry"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// Manager makes and revokes API keys.
type Manager struct {
	Clients   *clients.Manager
	Keys      *tokens.APIKeys
	Codec     *tokens.Codec
	Catalogue *scopes.Catalogue
	Now       func() time.Time  // the store's clock
	Again     registry.Repeater // nil: what could not be confirmed is the caller's to repeat
}

// New returns what manages the keys of a registry's clients. A client that m deletes loses its
// keys.
func New(m *clients.Manager, store *tokens.Redis, codec *tokens.Codec) *Manager {
	GoWithClients(m, store)
	return &Manager{Clients: m, Keys: store.APIKeys(), Codec: codec, Catalogue: m.Catalogue, Now: store.Now}
}

// GoWithClients makes m remove the keys of a client that it deletes.
func GoWithClients(m *clients.Manager, store *tokens.Redis) {
	m.Gone = func(ctx context.Context, id string) { _ = store.APIKeys().Forget(ctx, id) }
}

// Key is an API key as it is shown: never its text.
type Key struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Scope     string    `json:"scope"`
	Audience  []string  `json:"aud,omitempty"`
	Networks  []string  `json:"allowed_networks,omitempty"`
	Creator   string    `json:"created_by,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	LastUsed  time.Time `json:"last_used,omitzero"`  // within an hour or two; absent: never, as far as anybody knows
	ExpiresAt time.Time `json:"expires_at,omitzero"` // absent: it has no end
	Active    bool      `json:"active"`
}

func shown(k *tokens.APIKey, active bool) *Key {
	return &Key{ID: k.ID().String(), Name: k.Name, Scope: k.Scope, Audience: k.Audience, Networks: k.Networks, Creator: k.Creator,
		CreatedAt: k.Created.UTC(), LastUsed: utc(k.LastUsed), ExpiresAt: utc(k.ExpiresAt()), Active: active}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// Create makes a key of a client and returns its text, which nobody can show again. An *AskError
// names what is wrong with ask. With clients.ErrNotConfirmed and clients.ErrOutcomeUnknown the text
// is returned too: the key works, or may work.
func (m *Manager) Create(ctx context.Context, clientID string, ask Ask) (text string, made *Key, err error) {
	if err := ask.check(); err != nil {
		return "", nil, err
	}
	list, err := m.Keys.List(ctx, clientID)
	if err != nil {
		return "", nil, err
	}
	c, err := m.Clients.Client(ctx, clientID) // after the list: what has another epoch in it has ended for ever
	if err != nil {
		return "", nil, err
	}
	k, err := m.keyOf(c, ask)
	if err != nil {
		return "", nil, err
	}
	var t tokens.Token
	text, t = m.Codec.NewClientKey()
	k.Hash = t.Hash
	err = m.Keys.Add(ctx, k, slices.DeleteFunc(list, func(k *tokens.APIKey) bool { return k.Epoch == c.Epoch && !m.Keys.Lost(k) }))
	if err != nil && !errors.Is(err, clients.ErrNotConfirmed) && !errors.Is(err, clients.ErrOutcomeUnknown) {
		return "", nil, err
	}
	return text, shown(k, true), err
}

// CheckAdopt says what is wrong with a key that Adopt would store.
func (m *Manager) CheckAdopt(c *clients.Client, ask Ask) error {
	if err := ask.check(); err != nil {
		return err
	}
	_, err := m.keyOf(c, ask)
	return err
}

// Adopt stores a key that another server made, under the hash of its text (tokens.ForeignKeyHash),
// for a client that may not be stored yet: without the client the key is inactive. Repeated, it
// changes nothing.
func (m *Manager) Adopt(ctx context.Context, c *clients.Client, hash tokens.Hash, ask Ask) (*Key, error) {
	if err := ask.check(); err != nil {
		return nil, err
	}
	k, err := m.keyOf(c, ask)
	if err != nil {
		return nil, err
	}
	k.Hash = hash
	return shown(k, true), m.Keys.Add(ctx, k, nil)
}

// keyOf is the key that ask makes of a client.
func (m *Manager) keyOf(c *clients.Client, ask Ask) (*tokens.APIKey, error) {
	switch {
	case c.Disabled:
		return nil, wrong("client", "the client is disabled: enable it first")
	case c.Public() && len(c.Grants) > 0:
		return nil, wrong("client", "everybody may use this public client, so nobody has a key of it: "+
			"register another client for whoever holds the key")
	}
	granted, err := m.grant(c, ask.Scope)
	if err != nil {
		return nil, err
	}
	k := &tokens.APIKey{Name: ask.Name, Creator: ask.Creator, ClientID: c.ID, Epoch: c.Epoch, Scope: granted.String(),
		Audience: m.audience(c, granted), Networks: ask.networks, Created: m.Now().Truncate(time.Second), TTL: ask.TTL}
	if err := clients.CheckAudience(k.Audience); err != nil {
		return nil, wrong("scope", "the scopes belong to too many resources: "+err.Error())
	}
	return k, nil
}

// List returns the keys of a client, the newest first. The keys of a client that is gone have
// ended.
func (m *Manager) List(ctx context.Context, clientID string) ([]*Key, error) {
	list, err := m.Keys.List(ctx, clientID)
	if err != nil {
		return nil, err
	}
	epoch := tokens.Epoch{}
	switch c, err := m.Clients.Client(ctx, clientID); {
	case err == nil && !c.Disabled:
		epoch = c.Epoch
	case err == nil, errors.Is(err, clients.ErrUnknown) && len(list) > 0:
	default:
		return nil, err
	}
	found := make([]*Key, len(list))
	for i, k := range list {
		found[i] = shown(k, k.Holds(epoch, m.Now()))
	}
	return found, nil
}

// Get returns one key of a client, or tokens.ErrNoSuchKey.
func (m *Manager) Get(ctx context.Context, clientID, id string) (*Key, error) {
	list, err := m.List(ctx, clientID)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if k.ID == id {
			return k, nil
		}
	}
	return nil, tokens.ErrNoSuchKey
}

// Revoke ends one key of a client, or tokens.ErrNoSuchKey. It works for a client that is gone too.
func (m *Manager) Revoke(ctx context.Context, clientID, id string) (*Key, error) {
	list, err := m.Keys.List(ctx, clientID)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if k.ID().String() == id {
			return shown(k, false), m.end(ctx, k)
		}
	}
	return nil, tokens.ErrNoSuchKey
}

// RevokeAll ends every key of a client, and returns those that it ended; with an error, those until
// then.
func (m *Manager) RevokeAll(ctx context.Context, clientID string) (ended []*Key, err error) {
	list, err := m.Keys.List(ctx, clientID)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if err = errors.Join(err, m.end(ctx, k)); err != nil && !errors.Is(err, clients.ErrNotConfirmed) {
			return ended, err
		}
		ended = append(ended, shown(k, false))
	}
	return ended, err
}

// keyEnd is what a Repeater knows the end of a key by.
type keyEnd struct{ id tokens.ID }

// end ends a key, and has that repeated where it is not confirmed.
func (m *Manager) end(ctx context.Context, k *tokens.APIKey) error {
	err := m.Keys.End(ctx, k)
	switch {
	case m.Again == nil:
	case err != nil:
		m.Again.Again(keyEnd{k.ID()}, func(ctx context.Context) error { return m.Keys.End(ctx, k) })
	default:
		m.Again.Settled(keyEnd{k.ID()})
	}
	return err
}
