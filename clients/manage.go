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
// Each change is one step, and named by the random e: a repetition changes nothing, also when
// others changed the epoch since.
type Epochs interface {
	EpochSource
	// DisableClient puts the zero epoch in the place of the client's.
	DisableClient(ctx context.Context, id string, e Epoch) error
	// EnableClient gives e to a client that has the zero epoch, and leaves others as they are.
	EnableClient(ctx context.Context, id string, e Epoch) error
	// RenewClient gives e to a client that has another epoch than zero: every token of that one
	// dies.
	RenewClient(ctx context.Context, id string, e Epoch) error
}

// Manager changes clients: the one place behind the command line, the admin API and dynamic
// registration. This node sees a change before the method returns, the others within a second. An
// error that is ErrNotConfirmed comes with the result: the change was made, and too few replicas
// have confirmed it.
type Manager struct {
	Redis      *Redis
	Node       *Cached   // of this process; nil: it serves nothing
	Configured []*Client // of config.toml: they win over those of Redis, and can only be disabled, enabled and rid of their tokens
	Epochs     Epochs
	Catalogue  *scopes.Catalogue
	MaxTTL     time.Duration // the longest refresh_max_ttl that a client may have

	Algorithms   []string           // that this server signs JWTs with; none: it signs none
	Issuers      []string           // of workloads that are trusted here
	Certificates Certificates       // of clients, that this server reads
	CheckURL     func(string) error // what is wrong with a URL to fetch (docs/evidence/conformance.md S-51); nil: nothing
	CheckSlow    func(string) error // what is wrong with a slow hash; nil: nothing
	WeakSecrets  bool               // clients may get slow hashes; else they keep those that they have

	// Gone removes what is stored beside a client that was deleted; nil: there is nothing. What
	// stays behind has no effect, so its errors stop nothing.
	Gone func(ctx context.Context, id string)
}

// ErrReadOnly: the client is one of config.toml.
var ErrReadOnly = errors.New("this client is in config.toml: change it there")

// Described is a client as it is shown.
type Described struct {
	Registration
	Source    string    `json:"source"` // "config", "registry", "dynamic"
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`

	// Of Get and List: within an hour, on any node; and by which credential, as the audit trail names
	// it. Zero: not lately, or never.
	LastUsed       time.Time `json:"last_used,omitzero"`
	LastCredential string    `json:"last_credential,omitempty"`
}

func describeStored(s *Stored) *Described {
	d := &Described{Registration: s.Registration, Source: "registry", CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
	if s.Dynamic {
		d.Source = "dynamic"
	}
	return d
}

// configured returns the client of config.toml with this id, nil if it is none.
func (m *Manager) configured(id string) *Client {
	i := slices.IndexFunc(m.Configured, func(c *Client) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return m.Configured[i]
}

func (m *Manager) describeConfigured(ctx context.Context, list ...*Client) ([]*Described, error) {
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
		found[i] = &Described{Registration: c.Describe(), Source: "config"}
		found[i].Disabled = found[i].Disabled || epochs[i] == Epoch{}
	}
	return found, nil
}

// Get returns a client as it is registered now, or ErrUnknown.
func (m *Manager) Get(ctx context.Context, id string) (*Described, error) {
	d, err := m.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return d, m.Redis.addUses(ctx, []*Described{d})
}

func (m *Manager) find(ctx context.Context, id string) (*Described, error) {
	if c := m.configured(id); c != nil {
		found, err := m.describeConfigured(ctx, c)
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

// List returns a page of clients and the cursor of the next; those of config.toml come with the
// first.
func (m *Manager) List(ctx context.Context, cursor string, size int) ([]*Described, string, error) {
	var list []*Described
	if cursor == "" {
		var err error
		if list, err = m.describeConfigured(ctx, m.Configured...); err != nil {
			return nil, "", err
		}
	}
	page, next, err := m.Redis.List(ctx, cursor, size)
	for _, s := range page {
		if m.configured(s.ID) == nil {
			list = append(list, describeStored(s))
		}
	}
	if err == nil {
		err = m.Redis.addUses(ctx, list)
	}
	return list, next, err
}

// Check says all that is wrong with a registration; nil when it is sound. Errors are joined
// *FieldErrors.
func (m *Manager) Check(r *Registration) error {
	c, err := r.Client()
	if err != nil {
		return err
	}
	return errors.Join(c.Check(m.Catalogue), c.checkLifetimes(m.MaxTTL), m.checkServed(c), m.Certificates.Check(r))
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
	if issuer := c.UntrustedIssuer(m.Issuers); issuer != "" {
		bad("exchange", "subject_issuers: %q is none of [[trusted_issuers]]", issuer)
	}
	return errors.Join(errs...)
}

// Create stores a new client. ErrExists when its id is taken, by a client of config.toml too.
func (m *Manager) Create(ctx context.Context, s *Stored) error {
	if err := m.Check(&s.Registration); err != nil {
		return err
	}
	if m.configured(s.ID) != nil {
		return fmt.Errorf("%w, in config.toml", ErrExists)
	}
	if err := m.checkSlow(&s.Registration, nil); err != nil {
		return err
	}
	s.Epoch, s.CreatedAt, s.UpdatedAt = NewEpoch(), time.Now(), time.Now()
	if s.Dynamic {
		s.Given = s.given()
	}
	defer m.changed(ctx, s.ID)
	return m.Redis.Create(ctx, s)
}

// changed makes this node see what it changed.
func (m *Manager) changed(ctx context.Context, id string) {
	if m.Node != nil {
		m.Node.Changed(ctx, id)
	}
}

// Update edits a client of Redis as an operator. What edit leaves must be sound; of a dynamic
// client it becomes the limit.
func (m *Manager) Update(ctx context.Context, id string, edit func(*Stored) error) (*Described, error) {
	return m.update(ctx, id, func(s *Stored) error {
		before, limit := s.Registration, s.given()
		s.Stated = nil
		if err := edit(s); err != nil {
			return err
		}
		if s.Dynamic {
			s.Given = limit.changed(&before, s)
		}
		return nil
	})
}

func (m *Manager) update(ctx context.Context, id string, edit func(*Stored) error) (*Described, error) {
	if m.configured(id) != nil {
		return nil, ErrReadOnly
	}
	defer m.changed(ctx, id)
	s, err := m.Redis.Change(ctx, id, func(s *Stored) error {
		had := slices.Clone(s.Secrets)
		if err := edit(s); err != nil {
			return err
		}
		if s.ID != id {
			return &FieldError{Field: "client_id", Err: errors.New("cannot be changed")}
		}
		return errors.Join(m.Check(&s.Registration), m.checkSlow(&s.Registration, had))
	})
	if s == nil {
		return nil, err
	}
	return describeStored(s), err
}

// Delete removes a client of Redis and ends its tokens. ErrUnknown where there is none, once that
// is confirmed.
func (m *Manager) Delete(ctx context.Context, id string) error {
	if m.configured(id) != nil {
		return ErrReadOnly
	}
	defer m.changed(ctx, id)
	err := m.Redis.Delete(ctx, id)
	if m.Gone != nil && (!failed(err) || errors.Is(err, ErrUnknown)) {
		m.Gone(ctx, id)
	}
	return err
}
