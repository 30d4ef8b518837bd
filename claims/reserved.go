package claims

import (
	"fmt"
	"strings"
)

// reserved is the one list of names that no custom claim may have, with who gives them a meaning.
// A verifier that trusts such a member would trust whoever filled in a column or an answer.
//
// roles, groups and entitlements are not in it: RFC 9068 §2.2.3.1 means them for what a deployment
// says of its users.
var reserved = map[string]string{ //nolint:gochecknoglobals // never changed
	"iss": "RFC 7519 §4.1", "sub": "RFC 7519 §4.1", "aud": "RFC 7519 §4.1", "exp": "RFC 7519 §4.1",
	"nbf": "RFC 7519 §4.1", "iat": "RFC 7519 §4.1", "jti": "RFC 7519 §4.1",

	"active": "RFC 7662 §2.2", "scope": "RFC 7662 §2.2", "client_id": "RFC 7662 §2.2",
	"username": "RFC 7662 §2.2", "token_type": "RFC 7662 §2.2",

	"auth_time": "RFC 9068 §2.2.1", "acr": "RFC 9068 §2.2.1", "amr": "RFC 9068 §2.2.1",

	"name": "OpenID Connect Core §5.1", "given_name": "OpenID Connect Core §5.1",
	"family_name": "OpenID Connect Core §5.1", "middle_name": "OpenID Connect Core §5.1",
	"nickname": "OpenID Connect Core §5.1", "preferred_username": "OpenID Connect Core §5.1",
	"profile": "OpenID Connect Core §5.1", "picture": "OpenID Connect Core §5.1",
	"website": "OpenID Connect Core §5.1", "email": "OpenID Connect Core §5.1",
	"email_verified": "OpenID Connect Core §5.1", "gender": "OpenID Connect Core §5.1",
	"birthdate": "OpenID Connect Core §5.1", "zoneinfo": "OpenID Connect Core §5.1",
	"locale": "OpenID Connect Core §5.1", "phone_number": "OpenID Connect Core §5.1",
	"phone_number_verified": "OpenID Connect Core §5.1", "address": "OpenID Connect Core §5.1",
	"updated_at": "OpenID Connect Core §5.1", "nonce": "OpenID Connect Core §2", "azp": "OpenID Connect Core §2",
	"at_hash": "OpenID Connect Core §3.1.3.6", "c_hash": "OpenID Connect Core §3.3.2.11",
	"sub_jwk": "OpenID Connect Core §7.4", "_claim_names": "OpenID Connect Core §5.6.2",
	"_claim_sources": "OpenID Connect Core §5.6.2", "events": "RFC 8417 §2.2", "toe": "RFC 8417 §2.2",
	"txn": "RFC 8417 §2.2", "sub_id": "RFC 9493 §4.1",

	"cnf": "RFC 7800 §3.1", "act": "RFC 8693 §4.1", "may_act": "RFC 8693 §4.4",
	"authorization_details": "RFC 9396 §9", "token_introspection": "RFC 9701 §5",

	"sid": byGrantor, "rev": byGrantor, "sub_type": byGrantor, "position": byGrantor, "allowed_networks": byGrantor, "token_exp": byGrantor,

	"__proto__": "JavaScript", "constructor": "JavaScript", "prototype": "JavaScript",
}

const byGrantor = "Grantor"

// ownPrefix begins names that Grantor keeps for itself.
const ownPrefix = "grantor"

// Reserved returns who gives a name a meaning, "" where nobody does. Case does not count: readers
// such as Go's encoding/json take "Sub" for "sub".
func Reserved(name string) string {
	if by, there := reserved[name]; there {
		return by
	}
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, ownPrefix) {
		return byGrantor
	}
	return reserved[lower]
}

// IsReserved is Reserved for a name in a text that was read. It does not allocate for the names
// that tokens have.
func IsReserved(name []byte) bool {
	_, there := reserved[string(name)]
	return there || Reserved(string(name)) != ""
}

// CheckName says whether a custom claim may have a name.
func CheckName(name string) error {
	if err := checkForm(name); err != nil {
		return err
	}
	if by := Reserved(name); by != "" {
		return fmt.Errorf("claim %q: the name has a meaning by %s, and verifiers rely on it; choose another, such as %q",
			name, by, "app_"+strings.Trim(name, "_"))
	}
	return nil
}

// nameCharacters are those of names, among them what a URI as a name needs (RFC 7519 §4.2).
const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:/~"

func checkForm(name string) error {
	switch {
	case name == "":
		return fmt.Errorf(`a claim needs a name, such as "tenant_id"`)
	case len(name) > MaxNameBytes:
		return fmt.Errorf("claim %q…: the name is longer than %d bytes", name[:32], MaxNameBytes)
	case strings.Trim(name, nameCharacters) != "":
		return fmt.Errorf("claim %q: a name holds letters, digits and _-.:/~ only", name)
	}
	return nil
}
