package server

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/scopes"
)

// ownMembers are what a client may say of itself (RFC 7591 §2). Whatever gives power beyond
// ordinary scopes is missing on purpose. Unknown members are ignored, as §2 demands.
func ownMembers() []string {
	return append(clients.CertificateNames(), "client_name", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks", "jwks_uri",
		"grant_types", "scope", "client_uri", "contacts", "software_id", "software_version",
		"tls_client_certificate_bound_access_tokens", "dpop_bound_access_tokens")
}

// clientMetadata is a body: ownMembers, and in an update (RFC 7592 §2.2) the client that it names.
type clientMetadata struct {
	clients.Registration
	ClientSecret string `json:"client_secret,omitempty"`
}

// readMetadata reads and judges a body. update: it replaces a registration.
func readMetadata(body []byte, update bool) (*clientMetadata, error) {
	var all map[string]json.RawMessage
	if json.Unmarshal(body, &all) != nil || all == nil {
		return nil, refusal(codeInvalidMetadata, "the body must be a JSON object (RFC 7591 §3.1)")
	}
	if err := checkKeySet(all); err != nil {
		return nil, err
	}
	m, err := knownMetadata(all)
	if err != nil || jsonobject.NullInList(body) {
		return nil, refusal(codeInvalidMetadata, "a member has the wrong type (RFC 7591 §2)")
	}
	refused := []string{"introspect", "resource", "audience", "secrets", "default_scope", "software_statement",
		"allowed_networks", "requests_per_second", "requests_burst", "claims", "exchange"}
	if update {
		refused = append(refused, "registration_access_token", "registration_client_uri",
			"client_secret_expires_at", "client_id_issued_at")
	}
	for _, name := range refused {
		if _, there := all[name]; there {
			return nil, refusal(codeInvalidMetadata, "%s cannot be set by registration", name)
		}
	}
	return m, m.check()
}

// knownMetadata reads the members that are a client's to say.
func knownMetadata(all map[string]json.RawMessage) (*clientMetadata, error) {
	known, names := map[string]json.RawMessage{}, append(ownMembers(), "client_id", "client_secret")
	for name, value := range all {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) { // as encoding/json does
			known[name] = value
		}
	}
	text, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	var m clientMetadata
	return &m, json.Unmarshal(text, &m)
}

// check refuses what registration never gives: reserved scopes, and what widens a client's view.
func (m *clientMetadata) check() error {
	switch m.Method {
	case "":
		m.Method = clients.MethodBasic // RFC 7591 §2
	case clients.MethodBasic, clients.MethodPost, clients.MethodJWT, clients.MethodTLS, clients.MethodSelfSigned:
	default:
		return refusal(codeInvalidMetadata, "token_endpoint_auth_method must be client_secret_basic, client_secret_post, "+
			"private_key_jwt, tls_client_auth or self_signed_tls_client_auth")
	}
	if err := m.checkKeys(); err != nil {
		return err
	}
	if len(m.Grants) == 0 {
		m.Grants = []string{clients.GrantClientCredentials}
	}
	for _, g := range m.Grants {
		if g != clients.GrantClientCredentials {
			return refusal(codeInvalidMetadata, "grant_types: registration gives client_credentials alone")
		}
	}
	m.Grants = slices.Compact(m.Grants)
	set, err := scopes.Parse(m.Scope)
	if err != nil {
		return refusal(codeInvalidMetadata, "scope: %s", err)
	}
	for t := range set.All() {
		if scopes.IsReserved(t) || scopes.IsWildcard(t) {
			return refusal(codeInvalidMetadata, "scope: registration gives neither grantor:… nor wildcards")
		}
	}
	m.Scope = set.String()
	return m.checkTexts()
}

// checkTexts bounds the texts that humans read.
func (m *clientMetadata) checkTexts() error {
	total := 0
	for _, text := range append([]string{m.Name, m.ClientURI, m.SoftwareID, m.SoftwareVersion}, m.Contacts...) {
		if total += len(text); strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return refusal(codeInvalidMetadata, "names and contacts hold no control characters")
		}
	}
	if total > 4096 || len(m.Contacts) > 16 {
		return refusal(codeInvalidMetadata, "names and contacts together are larger than 4 kB")
	}
	if m.ClientURI != "" {
		if u, err := url.Parse(m.ClientURI); err != nil || u.Scheme != "https" || u.Host == "" {
			return refusal(codeInvalidMetadata, "client_uri must be an https URL (RFC 7591 §2)")
		}
	}
	return nil
}

// into replaces a registration's own members.
func (m *clientMetadata) into(r *clients.Registration) { r.Take(&m.Registration, ownMembers()) }
