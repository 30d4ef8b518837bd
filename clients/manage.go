package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/scopes"
)

// Epochs is where the epochs of config.toml's clients are kept and changed; tokens.Store is one.
type Epochs interface {
	EpochSource
	// SetClientEpoch gives a client another epoch: every token of the present one dies. The zero epoch disables it.
	SetClientEpoch(ctx context.Context, id string, e Epoch) error
}

// Manager changes clients: the one place behind the command line, the admin API and dynamic registration. Nodes see a
// change within a second.
type Manager struct {
	Redis     *Redis
	Static    []*Client // of config.toml: they win over those of Redis, and can only be disabled, enabled and rid of their tokens
	Epochs    Epochs
	Catalogue *scopes.Catalogue
	MaxLife   time.Duration // the longest refresh_max_ttl that a client may have

	Algorithms []string           // that this server signs JWTs with; none: it signs none
	Issuers    []string           // of workloads that are trusted here
	CheckURL   func(string) error // says what is wrong with a URL that this server shall fetch (threats S-51); nil: nothing
}

// ErrReadOnly: the client is one of config.toml.
var ErrReadOnly = errors.New("this client stands in config.toml: change it there")

// Described is a client as it is shown.
type Described struct {
	Registration
	Source    string    `json:"source"` // "config", "registry", "dynamic"
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

func describeStored(s *Stored) *Described {
	d := &Described{Registration: s.Registration, Source: "registry", CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
	if s.Dynamic {
		d.Source = "dynamic"
	}
	return d
}

// static returns the client of config.toml with this id, nil if it is none.
func (m *Manager) static(id string) *Client {
	i := slices.IndexFunc(m.Static, func(c *Client) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return m.Static[i]
}

func (m *Manager) describeStatic(ctx context.Context, list ...*Client) ([]*Described, error) {
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	epochs, err := m.Epochs.ClientEpochs(ctx, ids, nil)
	if err != nil {
		return nil, err
	}
	found := make([]*Described, len(list))
	for i, c := range list {
		found[i] = &Described{Registration: *Describe(c), Source: "config"}
		found[i].Disabled = found[i].Disabled || epochs[i] == Epoch{}
	}
	return found, nil
}

// Get returns a client as it is registered now, or ErrUnknown.
func (m *Manager) Get(ctx context.Context, id string) (*Described, error) {
	if c := m.static(id); c != nil {
		found, err := m.describeStatic(ctx, c)
		if err != nil {
			return nil, err
		}
		return found[0], nil
	}
	s, err := m.Redis.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return describeStored(s), nil
}

// List returns a page of clients and the cursor of the next; those of config.toml come with the first.
func (m *Manager) List(ctx context.Context, cursor string, size int) ([]*Described, string, error) {
	var list []*Described
	if cursor == "" {
		var err error
		if list, err = m.describeStatic(ctx, m.Static...); err != nil {
			return nil, "", err
		}
	}
	page, next, err := m.Redis.List(ctx, cursor, size)
	for _, s := range page {
		if m.static(s.ClientID) == nil {
			list = append(list, describeStored(s))
		}
	}
	return list, next, err
}

// Check says all that is wrong with a registration; nil when it is sound. Errors are joined *FieldErrors.
func (m *Manager) Check(r *Registration) error {
	c, err := r.Client()
	if err != nil {
		return err
	}
	return errors.Join(c.Check(m.Catalogue), c.checkLives(m.MaxLife), m.checkServed(c))
}

// checkServed says what of a registration this server does not do.
func (m *Manager) checkServed(c *Client) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{Field: field, Err: fmt.Errorf(format, args...)})
	}
	if c.Format == FormatJWT && len(m.Algorithms) == 0 {
		bad("access_token_format", `"jwt" needs [keys] encryption_key on the server`)
	}
	for field, alg := range map[string]string{"signing_alg": c.SigningAlg, "introspection_signed_response_alg": c.ResponseAlg} {
		if alg != "" && !slices.Contains(m.Algorithms, alg) {
			bad(field, "this server signs with %v", m.Algorithms)
		}
	}
	if c.JWKSURI != "" && m.CheckURL != nil {
		if err := m.CheckURL(c.JWKSURI); err != nil {
			bad("jwks_uri", "%w", err)
		}
	}
	if c.Workload != nil && !slices.Contains(m.Issuers, c.Workload.Issuer) {
		bad("assertion", "its issuer is none of [[trusted_issuers]]")
	}
	return errors.Join(errs...)
}

// Create stores a new client. ErrExists when its id is taken, by a client of config.toml too.
func (m *Manager) Create(ctx context.Context, s *Stored) error {
	if err := m.Check(&s.Registration); err != nil {
		return err
	}
	if m.static(s.ClientID) != nil {
		return fmt.Errorf("%w, in config.toml", ErrExists)
	}
	s.Epoch, s.CreatedAt, s.UpdatedAt = NewEpoch(), time.Now(), time.Now()
	return m.Redis.Create(ctx, s)
}

// Update edits a client of Redis. What edit leaves must be sound.
func (m *Manager) Update(ctx context.Context, id string, edit func(*Stored) error) (*Described, error) {
	if m.static(id) != nil {
		return nil, ErrReadOnly
	}
	s, err := m.Redis.Change(ctx, id, func(s *Stored) error {
		if err := edit(s); err != nil {
			return err
		}
		if s.ClientID != id {
			return &FieldError{Field: "client_id", Err: errors.New("cannot be changed")}
		}
		return m.Check(&s.Registration)
	})
	if err != nil {
		return nil, err
	}
	return describeStored(s), nil
}

// SetDisabled disables or enables a client. Disabling kills its tokens for ever; who is enabled again must ask for new ones.
func (m *Manager) SetDisabled(ctx context.Context, id string, disabled bool) error {
	if c := m.static(id); c != nil {
		return m.setStatic(ctx, c, disabled)
	}
	_, err := m.Redis.Change(ctx, id, func(s *Stored) error {
		if s.Disabled != disabled {
			s.Disabled, s.Epoch = disabled, NewEpoch()
		}
		return nil
	})
	return err
}

func (m *Manager) setStatic(ctx context.Context, c *Client, disabled bool) error {
	if disabled {
		return m.Epochs.SetClientEpoch(ctx, c.ID, Epoch{})
	}
	if c.Disabled {
		return fmt.Errorf("%w: it says disabled = true", ErrReadOnly)
	}
	now, err := m.Epochs.ClientEpochs(ctx, []string{c.ID}, nil)
	if err != nil || now[0] != (Epoch{}) {
		return err
	}
	return m.Epochs.SetClientEpoch(ctx, c.ID, NewEpoch())
}

// RevokeTokens kills every token of a client, and every log-in made through it; the client itself goes on.
func (m *Manager) RevokeTokens(ctx context.Context, id string) error {
	if m.static(id) == nil {
		_, err := m.Redis.Change(ctx, id, func(s *Stored) error { s.Epoch = NewEpoch(); return nil })
		return err
	}
	now, err := m.Epochs.ClientEpochs(ctx, []string{id}, nil)
	if err != nil || now[0] == (Epoch{}) {
		return err // a disabled client has no live tokens
	}
	return m.Epochs.SetClientEpoch(ctx, id, NewEpoch())
}

// Delete removes a client of Redis and kills its tokens.
func (m *Manager) Delete(ctx context.Context, id string) error {
	if m.static(id) != nil {
		return ErrReadOnly
	}
	return m.Redis.Delete(ctx, id)
}

// RotateSecret gives a client another secret beside those that live, which end after overlap; 0: at once. Where two live already, the older
// one goes.
func (m *Manager) RotateSecret(ctx context.Context, id string, fresh Hash, overlap time.Duration) error {
	now := time.Now().UTC().Truncate(time.Second)
	_, err := m.Update(ctx, id, func(s *Stored) error {
		if s.AuthMethod == MethodNone || len(s.Secrets) == 0 {
			return &FieldError{Field: "token_endpoint_auth_method", Err: errors.New("this client has no secret to rotate")}
		}
		if slices.ContainsFunc(s.Secrets, func(e SecretEntry) bool { return e.Hash == fresh }) {
			return nil // this very change, repeated
		}
		live := slices.DeleteFunc(s.Secrets, func(e SecretEntry) bool { return !e.ExpiresAt.IsZero() && !e.ExpiresAt.After(now) })
		if overlap <= 0 {
			live = nil
		}
		if len(live) >= MaxSecrets {
			live = live[len(live)-(MaxSecrets-1):]
		}
		for i := range live {
			if end := now.Add(overlap); live[i].ExpiresAt.IsZero() || live[i].ExpiresAt.After(end) {
				live[i].ExpiresAt = end
			}
		}
		s.Secrets = append(live, SecretEntry{Hash: fresh, CreatedAt: now})
		return nil
	})
	return err
}

// RevokeSecret removes one secret of a client. The last one cannot go: disable the client instead.
func (m *Manager) RevokeSecret(ctx context.Context, id, secretID string) error {
	_, err := m.Update(ctx, id, func(s *Stored) error {
		left := slices.DeleteFunc(slices.Clone(s.Secrets), func(e SecretEntry) bool { return e.ID() == secretID })
		switch {
		case len(left) == len(s.Secrets):
			return &FieldError{Field: "secrets", Err: fmt.Errorf("there is none with the id %q", secretID)}
		case len(left) == 0:
			return &FieldError{Field: "secrets", Err: errors.New("this is the last one: rotate it, or disable the client")}
		}
		s.Secrets = left
		return nil
	})
	return err
}

// Bounds of lives.
const (
	minAccessLife = time.Second
	maxAccessLife = 24 * time.Hour
)

// checkLives says what is wrong with a registration's lifetimes. most is the longest life of a log-in here.
func (c *Client) checkLives(most time.Duration) error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{Field: field, Err: fmt.Errorf(format, args...)})
	}
	if c.AccessTTL != 0 && (c.AccessTTL < minAccessLife || c.AccessTTL > maxAccessLife || c.AccessTTL%time.Second != 0) {
		bad("access_ttl", "must be whole seconds between 1s and 24h: a stolen access token works until it ends (RFC 9700 §2.2.1)")
	}
	for field, v := range map[string]time.Duration{"refresh_ttl": c.RefreshTTL, "refresh_max_ttl": c.MaxTTL} {
		if v != 0 && (v < time.Minute || v > most) {
			bad(field, "must be between 1m and %s, the longest life of a log-in on this server", Life(most))
		}
	}
	if c.RefreshTTL != 0 && c.MaxTTL != 0 && c.RefreshTTL > c.MaxTTL {
		bad("refresh_ttl", "must not be longer than refresh_max_ttl")
	}
	if c.RetryWindow > 0 && c.AccessTTL > 0 && c.RetryWindow > c.AccessTTL/4 {
		bad("retry_window", "must be a quarter of access_ttl at most")
	}
	return errors.Join(errs...)
}
