// Package metadata knows which members an operator may add to the server's metadata (RFC 8414 §2):
// never one that Grantor writes itself, and none of a shape that clients cannot read.
package metadata

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/internal/loopback"
)

// PresetMCP adds what the clients of the Model Context Protocol demand.
const PresetMCP = "mcp"

// CheckPreset says whether there is such a preset; "" is none.
func CheckPreset(preset string) error {
	if preset != "" && preset != PresetMCP {
		return fmt.Errorf("must be %q or empty", PresetMCP)
	}
	return nil
}

// own are the members that Grantor writes, whether they are in this server's document or not.
func own(name string) bool {
	switch name {
	case "issuer", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "revocation_feed_endpoint", "sessions_endpoint", "jwks_uri",
		"grant_types_supported", "scopes_supported", "token_endpoint_auth_methods_supported", "introspection_endpoint_auth_methods_supported",
		"revocation_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported",
		"introspection_endpoint_auth_signing_alg_values_supported", "revocation_endpoint_auth_signing_alg_values_supported",
		"introspection_signing_alg_values_supported", "id_token_signing_alg_values_supported",
		"dpop_signing_alg_values_supported", "tls_client_certificate_bound_access_tokens", "mtls_endpoint_aliases":
		return true
	}
	return false
}

// ofPreset are the members that a preset adds.
func ofPreset(preset, name string) bool {
	switch name {
	case "authorization_endpoint", "response_types_supported", "code_challenge_methods_supported":
		return preset == PresetMCP
	}
	return false
}

// Check says whether an operator may add a member beside a preset. A value is a text, a boolean, an
// int64 or float64, a list, or a map of texts to values. No error quotes a value.
func Check(preset, name string, value any) error {
	folded := strings.ToLower(name) // Go's encoding/json takes "Issuer" for "issuer"
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("must have a name of printable ASCII without blanks")
	case own(folded):
		return errors.New("is written by Grantor itself and cannot be overridden")
	case ofPreset(preset, folded):
		return fmt.Errorf("is written by preset = %q: remove one of the two", preset)
	case folded == "signed_metadata":
		return errors.New("cannot be added: clients would take its claims before the members that Grantor writes (RFC 8414 §2.1)")
	}
	if err := isJSON(value, maxDepth); err != nil {
		return err
	}
	if list, isList := value.([]any); isList && len(list) == 0 {
		return errors.New("must not be an empty list: leave the member out (RFC 8414 §3.2)")
	}
	return checkShape(name, value)
}

// maxDepth is how deep lists and tables may stand in one another.
const maxDepth = 4

// isJSON refuses what JSON has no form for: times and numbers that are none.
func isJSON(value any, depth int) error {
	if depth == 0 {
		return fmt.Errorf("must not be nested deeper than %d levels", maxDepth)
	}
	switch v := value.(type) {
	case string, bool, int64:
		return nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return nil
		}
	case []any:
		for _, item := range v {
			if err := isJSON(item, depth-1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, item := range v {
			if err := isJSON(item, depth-1); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("must be a text, a number, true or false, a list or a table: JSON has no other values")
}

// checkShape holds a member of a registered name against its type (RFC 8414 §2, RFC 8628, RFC 9126,
// RFC 9207, RFC 9728 §4, OpenID Connect Discovery §3).
func checkShape(name string, value any) error {
	switch {
	case slices.Contains(booleans(), name):
		if _, ok := value.(bool); !ok {
			return errors.New("must be true or false")
		}
	case name == "service_documentation", name == "check_session_iframe", strings.HasSuffix(name, "_uri"), strings.HasSuffix(name, "_endpoint"):
		if text, ok := value.(string); !ok || !isPublic(text) {
			return errors.New("must be an absolute https URL; http on loopback only")
		}
	case name == "protected_resources", strings.HasSuffix(name, "_supported"):
		if !isTexts(value) {
			return errors.New(`must be a list of texts, such as ["a", "b"]`)
		}
	}
	return nil
}

// booleans are registered members that are true or false.
func booleans() []string {
	return []string{"authorization_response_iss_parameter_supported", "client_id_metadata_document_supported", "require_pushed_authorization_requests",
		"require_signed_request_object", "require_request_uri_registration", "claims_parameter_supported", "request_parameter_supported",
		"request_uri_parameter_supported", "frontchannel_logout_supported", "frontchannel_logout_session_supported", "backchannel_logout_supported",
		"backchannel_logout_session_supported", "backchannel_user_code_parameter_supported"}
}

func isPublic(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && u.Fragment == "" && loopback.Secure(u)
}

func isTexts(value any) bool {
	list, ok := value.([]any)
	return ok && !slices.ContainsFunc(list, func(item any) bool {
		text, isText := item.(string)
		return !isText || text == ""
	})
}
