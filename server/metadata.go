package server

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/dpop"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/metadata"
)

// metadata answers RFC 8414 §3. response_types_supported is left out: §2 requires it, §3.2
// forbids it to be empty, and there is no authorization endpoint (deviation).
func (s *Server) metadata(x *exchange) error {
	text, err := json.Marshal(s.document())
	if err != nil {
		return err
	}
	text = append(append(text[:len(text)-1], s.extra...), '}')
	return writeCacheable(x, text, tagOf(text))
}

// Serves is what decides which endpoints the metadata names.
type Serves struct {
	Issuer  string
	MTLSURL string // Config.MTLSURL, where certificates of clients are read; else ""
	Preset  string // Config.Preset
	Users   bool   // users may log in
	Keys    bool   // there are signing keys
	Feed    bool   // the revocation feed is served
}

// Places returns the members of the metadata that say where something is, by their names: issuer,
// endpoints, jwks_uri and mtls_endpoint_aliases (RFC 8414 §2, RFC 8705 §5).
func (o Serves) Places() (map[string]any, error) {
	text, err := json.Marshal(o.places())
	if err != nil {
		return nil, err
	}
	var members map[string]any
	return members, json.Unmarshal(text, &members)
}

// places are the members that say where something is.
type places struct {
	Issuer string `json:"issuer"`
	endpoints
	AuthorizationEndpoint string     `json:"authorization_endpoint,omitempty"` // of the preset "mcp"
	JWKS                  string     `json:"jwks_uri,omitempty"`
	Aliases               *endpoints `json:"mtls_endpoint_aliases,omitempty"` // RFC 8705 §5
}

func (o Serves) places() places {
	p := places{Issuer: o.Issuer, endpoints: o.endpointsAt(o.Issuer)}
	if o.Preset == metadata.PresetMCP {
		p.AuthorizationEndpoint = o.Issuer + PathAuthorize
	}
	if o.Keys {
		p.JWKS = o.Issuer + pathJWKS
	}
	if o.MTLSURL != "" {
		aliases := o.endpointsAt(o.MTLSURL)
		p.Aliases = &aliases
	}
	return p
}

func (s *Server) serves() Serves {
	o := Serves{Issuer: s.cfg.Issuer, Preset: s.cfg.Preset, Users: s.cfg.Users != nil, Keys: s.cfg.Keys != nil, Feed: s.cfg.Feed != nil}
	if s.cfg.Certificates != nil {
		o.MTLSURL = s.cfg.MTLSURL
	}
	return o
}

// endpoints are those that clients and users call.
type endpoints struct {
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	RevocationFeed        string `json:"revocation_feed_endpoint,omitempty"` // POST, see docs/explain/live.md
	Sessions              string `json:"sessions_endpoint,omitempty"`        // a user's own, see docs/guides/my-devices.md
}

// endpointsAt are the endpoints below a URL.
func (o Serves) endpointsAt(base string) endpoints {
	e := endpoints{TokenEndpoint: base + PathToken, IntrospectionEndpoint: base + pathIntrospect, RevocationEndpoint: base + pathRevoke}
	if o.Feed {
		e.RevocationFeed = base + pathFeed
	}
	if o.Users {
		e.Sessions = base + pathSessions
	}
	return e
}

// document says exactly what works, and no empty array (RFC 8414 §3.2).
type document struct {
	places
	GrantTypes               []string         `json:"grant_types_supported"`
	Scopes                   []string         `json:"scopes_supported,omitempty"`
	TokenAuthMethods         []clients.Method `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods []clients.Method `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods    []clients.Method `json:"revocation_endpoint_auth_methods_supported"`

	TokenAuthAlgs         []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionAlgs     []string `json:"introspection_signing_alg_values_supported,omitempty"` // RFC 9701 §7
	// CertificateBound is that of RFC 8705 §3.3.
	CertificateBound bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	// IDTokenAlgs are the algs of JWT access tokens. There are no ID tokens, but verifiers by
	// OpenID Connect Discovery §3 take a document without this member for RS256 alone.
	IDTokenAlgs []string `json:"id_token_signing_alg_values_supported,omitempty"`
	DPoPAlgs    []string `json:"dpop_signing_alg_values_supported"` // RFC 9449 §5.1

	// Of the preset "mcp" alone (deviation): its clients demand them, and nobody can log in there.
	ResponseTypes        []string `json:"response_types_supported,omitempty"`
	CodeChallengeMethods []string `json:"code_challenge_methods_supported,omitempty"`
}

// bearerToken and boundToken are how metadata says that the introspection endpoint takes access
// tokens (RFC 8414 §2, RFC 6750 §6.1.1, RFC 9449 §12.1).
const (
	bearerToken clients.Method = schemeBearer
	boundToken  clients.Method = schemeDPoP
)

// methodSVID is how metadata says that clients may show JWT-SVIDs
// (draft-ietf-oauth-spiffe-client-auth §4). They are registered with private_key_jwt.
const methodSVID clients.Method = "spiffe_jwt"

func (s *Server) document() document {
	secret := []clients.Method{clients.MethodBasic, clients.MethodPost}
	if s.cfg.Assertions != nil {
		secret = append(secret, clients.MethodJWT)
		if s.cfg.Assertions.TrustsDomain() {
			secret = append(secret, methodSVID)
		}
	}
	if s.cfg.Certificates != nil {
		if s.cfg.Authorities != nil {
			secret = append(secret, clients.MethodTLS)
		}
		secret = append(secret, clients.MethodSelfSigned)
	}
	methods := secret
	if s.cfg.PublicClients {
		methods = append(slices.Clone(secret), clients.MethodNone)
	}
	d := document{
		places:                   s.serves().places(),
		GrantTypes:               s.grantTypes,
		TokenAuthMethods:         methods,
		IntrospectionAuthMethods: append(slices.Clone(secret), bearerToken, boundToken),
		RevocationAuthMethods:    methods,
		DPoPAlgs:                 dpop.Algorithms(),
	}
	if s.cfg.Assertions != nil {
		d.TokenAuthAlgs = jwt.Algorithms()
		d.IntrospectionAuthAlgs, d.RevocationAuthAlgs = d.TokenAuthAlgs, d.TokenAuthAlgs
	}
	if s.cfg.Keys != nil {
		d.IntrospectionAlgs, d.IDTokenAlgs = s.cfg.Algorithms, s.cfg.Algorithms
	}
	d.CertificateBound = s.cfg.Certificates != nil
	if s.cfg.Preset == metadata.PresetMCP {
		d.ResponseTypes, d.CodeChallengeMethods = []string{"code"}, []string{"S256"}
	}
	for t := range s.cfg.Catalogue.Names().All() {
		d.Scopes = append(d.Scopes, t)
	}
	return d
}

// checkMetadata looks at what is added to the metadata. Values are read as encoding/json reads
// them, whatever types a program gave.
func (cfg *Config) checkMetadata() error {
	if err := metadata.CheckPreset(cfg.Preset); err != nil {
		return fmt.Errorf("server: Preset %w", err)
	}
	text, err := json.Marshal(cfg.Extra)
	if err != nil {
		return fmt.Errorf("server: Extra: %w", err)
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		return fmt.Errorf("server: Extra: %w", err)
	}
	for name, value := range plain {
		if err := metadata.Check(cfg.Preset, name, value); err != nil {
			return fmt.Errorf("server: Extra: %s %w", name, err)
		}
	}
	return nil
}

// extraMembers writes members as they stand behind others: with a comma first.
func extraMembers(extra map[string]any) ([]byte, error) {
	if len(extra) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(extra)
	if err != nil {
		return nil, err
	}
	return append([]byte{','}, text[1:len(text)-1]...), nil
}
