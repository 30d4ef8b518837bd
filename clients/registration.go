package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/scopes"
)

// Registration is a client as it is written down and shown: the names of RFC 7591 §2 where it has them, those of
// config.toml where it has none. It holds hashes of secrets and never a secret.
type Registration struct {
	ClientID        string        `json:"client_id"`
	ClientName      string        `json:"client_name,omitempty"`
	AuthMethod      Method        `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes      []string      `json:"grant_types,omitempty"`
	Scope           string        `json:"scope,omitempty"`
	DefaultScope    string        `json:"default_scope,omitempty"`
	Secrets         []SecretEntry `json:"secrets,omitempty"`
	Audience        []string      `json:"audience,omitempty"`
	Resource        string        `json:"resource,omitempty"`
	Introspect      Sight         `json:"introspect,omitempty"`
	AccessTTL       Duration      `json:"access_ttl,omitzero"`
	RefreshTTL      Duration      `json:"refresh_ttl,omitzero"`
	RefreshMaxTTL   Duration      `json:"refresh_max_ttl,omitzero"`
	RetryWindow     *Duration     `json:"retry_window,omitempty"` // absent: the server's; 0: none, strict rotation
	Disabled        bool          `json:"disabled,omitempty"`
	Format          string        `json:"access_token_format,omitempty"`
	SigningAlg      string        `json:"signing_alg,omitempty"`
	JWKS            *jwt.KeySet   `json:"jwks,omitempty"`
	JWKSURI         string        `json:"jwks_uri,omitempty"`
	AssertionAlg    string        `json:"token_endpoint_auth_signing_alg,omitempty"`
	LenientAudience bool          `json:"accept_token_endpoint_audience,omitempty"`
	Workload        *Workload     `json:"assertion,omitempty"`
	ResponseAlg     string        `json:"introspection_signed_response_alg,omitempty"` // RFC 9701 §6
	SoftwareID      string        `json:"software_id,omitempty"`                       // RFC 7591 §2
	SoftwareVersion string        `json:"software_version,omitempty"`                  // RFC 7591 §2
	Contacts        []string      `json:"contacts,omitempty"`                          // RFC 7591 §2
	ClientURI       string        `json:"client_uri,omitempty"`                        // RFC 7591 §2
}

// SecretEntry is a secret as it is written down.
type SecretEntry struct {
	Hash      SecretHash `json:"hash"`
	CreatedAt time.Time  `json:"created_at,omitzero"`
	ExpiresAt time.Time  `json:"expires_at,omitzero"`
}

// ID names a secret among those of its client, for people and tools: the first eight digits of its hash.
func (e SecretEntry) ID() string { return e.Hash.id() }

func (h SecretHash) id() string { return fmt.Sprintf("%x", h[:4]) }

// ReadRegistrations reads JSON: one registration, a list of them, or {"clients": […]}. A member that does not exist is an
// error.
func ReadRegistrations(r io.Reader) ([]Registration, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxDocument:
		return nil, errors.New("the document is larger than 64 MB")
	}
	text = bytes.TrimSpace(text)
	var list []Registration
	if bytes.HasPrefix(text, []byte("[")) {
		return list, strict(text, &list)
	}
	var both struct {
		Clients *[]Registration `json:"clients"`
	}
	if json.Unmarshal(text, &both) == nil && both.Clients != nil {
		return *both.Clients, strict(text, &both)
	}
	var one Registration
	err = strict(text, &one)
	return []Registration{one}, err
}

const maxDocument = 64 << 20

// strict reads one JSON value whose members all exist, and nothing behind it.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the JSON cannot be read: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the JSON cannot be read: there is more behind its end")
	}
	if jsonobject.NullInList(text) {
		return errors.New("the JSON cannot be used: a list has null for an element")
	}
	return nil
}

// Client turns a registration into a client. Errors are joined *FieldErrors; what the catalogue says of it is Check's to tell.
func (r *Registration) Client() (*Client, error) {
	var errs []error
	parse := func(field string, err error) {
		if err != nil {
			errs = append(errs, &FieldError{Field: field, Err: err})
		}
	}
	c := &Client{
		ID: r.ClientID, Name: r.ClientName, Method: r.AuthMethod, Grants: r.GrantTypes, Audience: r.Audience, Resource: r.Resource,
		Introspect: r.Introspect, AccessTTL: time.Duration(r.AccessTTL), RefreshTTL: time.Duration(r.RefreshTTL),
		MaxTTL: time.Duration(r.RefreshMaxTTL), Disabled: r.Disabled,
		Format: r.Format, SigningAlg: r.SigningAlg, JWKS: r.JWKS, JWKSURI: r.JWKSURI, AssertionAlg: r.AssertionAlg,
		LenientAudience: r.LenientAudience, Workload: r.Workload, ResponseAlg: r.ResponseAlg,
	}
	if r.RetryWindow != nil {
		if c.RetryWindow = time.Duration(*r.RetryWindow); c.RetryWindow < 0 {
			parse("retry_window", errors.New(`must not be negative; "0s" is strict rotation`))
		}
		if c.RetryWindow == 0 {
			c.RetryWindow = -1
		}
	}
	var err error
	c.Scope, err = scopes.ParseRules(r.Scope)
	parse("scope", err)
	c.DefaultScope, err = scopes.Parse(r.DefaultScope)
	parse("default_scope", err)
	for _, s := range r.Secrets {
		c.Secrets = append(c.Secrets, Secret{Hash: s.Hash, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, used: new(lastUse)})
	}
	return c, errors.Join(errs...)
}

// Describe is the inverse of Registration.Client.
func Describe(c *Client) *Registration {
	r := &Registration{
		ClientID: c.ID, ClientName: c.Name, AuthMethod: c.Method, GrantTypes: slices.Clone(c.Grants), Scope: c.Scope.String(),
		DefaultScope: c.DefaultScope.String(), Audience: slices.Clone(c.Audience), Resource: c.Resource, Introspect: c.Introspect,
		AccessTTL: Duration(c.AccessTTL), RefreshTTL: Duration(c.RefreshTTL), RefreshMaxTTL: Duration(c.MaxTTL), Disabled: c.Disabled,
		Format: c.Format, SigningAlg: c.SigningAlg, JWKS: c.JWKS, JWKSURI: c.JWKSURI, AssertionAlg: c.AssertionAlg,
		LenientAudience: c.LenientAudience, Workload: c.Workload, ResponseAlg: c.ResponseAlg,
	}
	if c.RetryWindow != 0 {
		r.RetryWindow = new(Duration(max(c.RetryWindow, 0)))
	}
	for _, s := range c.Secrets {
		r.Secrets = append(r.Secrets, SecretEntry{Hash: s.Hash, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt})
	}
	return r
}

// NeedsSecret says whether a new client of this registration must be given a secret.
func (r *Registration) NeedsSecret() bool {
	return len(r.Secrets) == 0 && r.AuthMethod != MethodNone && r.AuthMethod != MethodJWT
}

// AsksReserved says whether a registration asks for power over Grantor itself.
func (r *Registration) AsksReserved() bool {
	for t := range strings.FieldsSeq(r.Scope + " " + r.DefaultScope) {
		if scopes.IsReserved(t) {
			return true
		}
	}
	return false
}

// LastSecretEnds returns when the client's last live secret ends; zero: never, or it has none.
func (r *Registration) LastSecretEnds() (end time.Time) {
	for _, s := range r.Secrets {
		if s.ExpiresAt.IsZero() {
			return time.Time{}
		}
		if s.ExpiresAt.After(end) {
			end = s.ExpiresAt
		}
	}
	return end
}
