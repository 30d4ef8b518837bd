// Package resource has the metadata of protected resources (RFC 9728): by it a client that knows
// only the URL of an API finds the authorization server and the scopes.
package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/scopes"
)

// WellKnown is where the metadata stands, before the path of the resource (RFC 9728 §3.1).
const WellKnown = "/.well-known/oauth-protected-resource"

// Document is the metadata of one resource (RFC 9728 §2). A list without elements is left out
// (RFC 9728 §3.2).
type Document struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	JWKSURI              string   `json:"jwks_uri,omitempty"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported,omitempty"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
	Policy               string   `json:"resource_policy_uri,omitempty"`
	Terms                string   `json:"resource_tos_uri,omitempty"`
	ProofAlgorithms      []string `json:"dpop_signing_alg_values_supported,omitempty"`
	ProofRequired        bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	Certificates         bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// Check says what RFC 9728 §2 does not allow. The error names the member.
func (d *Document) Check() error {
	if _, err := Where(d.Resource); err != nil {
		return err
	}
	for _, issuer := range d.AuthorizationServers {
		if u, err := secureURL(issuer); err != nil || u.RawQuery != "" {
			return fmt.Errorf("authorization_servers: %q is no issuer: it must be an https URL without query and fragment (RFC 8414 §2)", issuer)
		}
	}
	for _, scope := range d.Scopes {
		if err := scopes.CheckToken(scope); err != nil {
			return fmt.Errorf("scopes_supported: %w", err)
		}
	}
	for _, m := range [][2]string{{"jwks_uri", d.JWKSURI}, {"resource_documentation", d.Documentation},
		{"resource_policy_uri", d.Policy}, {"resource_tos_uri", d.Terms}} {
		if m[1] == "" {
			continue
		}
		if _, err := secureURL(m[1]); err != nil {
			return fmt.Errorf("%s: %w", m[0], err)
		}
	}
	return nil
}

// Location is where the metadata of a resource is found.
type Location struct {
	URL  string // for challenges (RFC 9728 §5.1)
	Path string // of that URL, unescaped, as routers compare it
}

// Where puts the well-known part between the host and the path of a resource (RFC 9728 §3.1).
func Where(resource string) (Location, error) {
	u, err := secureURL(resource)
	if err != nil {
		return Location{}, fmt.Errorf("%w", err)
	}
	if u.Path == "/" { // it only ends the host
		u.Path = ""
	}
	at := Location{URL: u.Scheme + "://" + u.Host + WellKnown + u.EscapedPath(), Path: WellKnown + u.Path}
	if u.RawQuery != "" {
		at.URL += "?" + u.RawQuery
	}
	return at, nil
}

// secureURL reads an https URL, or an http URL of this machine (RFC 9728 §1.2).
func secureURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(text, "#") || strings.ContainsFunc(text, notInURL) {
		return nil, errors.New("must be an absolute URL without fragment, such as https://orders.example.com (RFC 9728 §1.2)")
	}
	if !loopback.Secure(u) {
		return nil, errors.New("must begin with https:// off loopback (RFC 9728 §1.2)")
	}
	return u, nil
}

// notInURL are the characters that no URL has (RFC 3986 §2), among them those that end a quoted
// text in a header.
func notInURL(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"\\<>^`{|}", r)
}

// Handler checks d and returns what answers with it: to browsers too, for nothing in it is secret.
func Handler(d *Document) (http.Handler, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, text) }), nil
}

func serve(w http.ResponseWriter, r *http.Request, text []byte) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json") // RFC 9728 §3.2
		h.Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(text) // #nosec G705 -- JSON; the client may be gone
	case http.MethodOptions: // a preflight, for headers such as MCP-Protocol-Version
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS") // RFC 9728 §3.1
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = w.Write([]byte(`{"error":"invalid_request","error_description":"the method must be GET"}`))
	}
}
