package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/scopes"
)

// Registration is a client as it is written down and shown: in config.toml, in JSON, in Redis. Its
// keys are the names of RFC 7591 §2 where the RFC has one. It holds hashes of secrets and never a
// secret. A member that is new here is known to all of these; server/openapi.json documents it, and
// a line in internal/cli gives it a flag.
type Registration struct {
	ID           string   `json:"client_id"` // printable ASCII, at most MaxIDBytes (RFC 6749 App. A.1)
	Name         string   `json:"client_name,omitempty"`
	Method       Method   `json:"token_endpoint_auth_method,omitempty"` // the only way to authenticate; see MethodSecret
	Grants       []string `json:"grant_types,omitempty"`
	Scope        string   `json:"scope,omitempty"`         // may ask for; "orders:*" allows by wildcard
	DefaultScope string   `json:"default_scope,omitempty"` // gets when it asks for none
	Secrets      []Secret `json:"secrets,omitempty"`       // current and expired ones, at most MaxSecrets
	Audience     []string `json:"audience,omitempty"`      // aud of its tokens when no granted scope has a resource
	Resource     string   `json:"resource,omitempty"`      // the audience that it is, as a resource server
	Introspect   Sight    `json:"introspect,omitempty"`    // whose tokens it sees; "": SightOwn

	AccessTTL   Duration  `json:"access_ttl,omitzero"`      // 0: the server's, here and below
	RefreshTTL  Duration  `json:"refresh_ttl,omitzero"`     // of a session, from the last use
	MaxTTL      Duration  `json:"refresh_max_ttl,omitzero"` // of a session, from the login
	RetryWindow *Duration `json:"retry_window,omitempty"`   // absent: the server's; 0: none, strict rotation
	Disabled    bool      `json:"disabled,omitempty"`

	Exchange *ExchangePolicy `json:"exchange,omitempty"` // with GrantTokenExchange or GrantJWTBearer: what it may exchange

	Claims claims.Set `json:"claims,omitzero"` // custom claims that its tokens carry, users' tokens too

	Format     string `json:"access_token_format,omitempty"` // "": the server's
	SigningAlg string `json:"signing_alg,omitempty"`         // of its JWT access tokens; "": the server's
	JWTTyp     string `json:"jwt_typ,omitempty"`             // of its JWT access tokens; "": that of the resources

	// With MethodJWT: its public keys, or where they are, or whose tokens of a platform prove it. With
	// MethodSelfSigned: its certificates, or their keys, or where they are.
	JWKS            *jwt.KeySet `json:"jwks,omitempty"`
	JWKSURI         string      `json:"jwks_uri,omitempty"`
	AssertionAlg    string      `json:"token_endpoint_auth_signing_alg,omitempty"` // the only one; "": any
	LenientAudience bool        `json:"accept_token_endpoint_audience,omitempty"`  // as aud, for older clients
	Workload        *Workload   `json:"assertion,omitempty"`

	// With MethodTLS exactly one names the client in its certificate (RFC 8705 §2.1.2).
	TLSSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"` // RFC 4514
	TLSSANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	TLSSANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	TLSSANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	TLSSANEmail  string `json:"tls_client_auth_san_email,omitempty"`

	CertificateBound bool `json:"tls_client_certificate_bound_access_tokens,omitempty"` // its tokens are bound to its certificate (RFC 8705 §3.4)

	AllowedNetworks   []string `json:"allowed_networks,omitempty"`    // from which it may authenticate; absent: everywhere
	RequestsPerSecond int      `json:"requests_per_second,omitempty"` // on all nodes; 0: that of [limits]; -1: no limit
	RequestsBurst     int      `json:"requests_burst,omitempty"`      // at once; 0: RequestsPerSecond

	// Only requests with a DPoP proof get a token (RFC 9449 §5.2).
	DPoPBound bool `json:"dpop_bound_access_tokens,omitempty"`

	ResponseAlg string `json:"introspection_signed_response_alg,omitempty"` // RFC 9701 §6; "": RS256, else the server's

	// What registration tells its readers (RFC 7591 §2); config.toml has comments instead.
	SoftwareID      string   `json:"software_id,omitempty" toml:"-"`
	SoftwareVersion string   `json:"software_version,omitempty" toml:"-"`
	Contacts        []string `json:"contacts,omitempty" toml:"-"`
	ClientURI       string   `json:"client_uri,omitempty" toml:"-"`
}

// ReadRegistrations reads JSON: one registration, a list of them, or {"clients": […]}. A member
// that does not exist is an error.
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

// Client turns a registration into a client. Errors are joined *FieldErrors; what the catalogue
// says of it is Check's to tell.
func (r *Registration) Client() (*Client, error) {
	var errs []error
	parse := func(field string, err error) {
		if err != nil {
			errs = append(errs, &FieldError{Field: field, Err: err})
		}
	}
	c := &Client{Registration: *r}
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
	c.exchangeScope, err = r.exchangeRules()
	parse("exchange", err)
	c.networks, err = parseNetworks(r.AllowedNetworks)
	parse("allowed_networks", err)
	c.Secrets, c.used = noted(r.Secrets), new(clientUse)
	return c, errors.Join(errs...)
}

// Take copies members of another registration, by their names in JSON.
func (r *Registration) Take(from *Registration, members []string) {
	into, source := reflect.ValueOf(r).Elem(), reflect.ValueOf(from).Elem()
	for i := range into.NumField() {
		if slices.Contains(members, memberName(into.Type().Field(i))) {
			into.Field(i).Set(source.Field(i))
		}
	}
}

func memberName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// Member returns a pointer to the member of a name in JSON; nil: there is none.
func (r *Registration) Member(name string) any {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if memberName(v.Type().Field(i)) == name {
			return v.Field(i).Addr().Interface()
		}
	}
	return nil
}

// Describe returns the client's registration; scopes are in the one order that Rules and Set have.
func (c *Client) Describe() Registration {
	r := c.Registration
	r.Scope, r.DefaultScope = c.Scope.String(), c.DefaultScope.String()
	return r
}

// NeedsSecret says whether a new client of this registration must be given a secret.
func (r *Registration) NeedsSecret() bool {
	return len(r.Secrets) == 0 && r.Method.HasSecret()
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

// LastSecretEnds returns when the client's last valid secret expires; zero: never, or it has none.
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
