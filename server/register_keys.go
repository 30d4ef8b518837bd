package server

import (
	"encoding/json"
	"strings"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jwt"
)

// Bounds of a jwks that a client registers: the registry keeps it, and each node reads it.
const (
	maxOwnKeys     = 16
	maxOwnKeyBytes = 16 << 10
)

// checkKeySet refuses a jwks of the body with a sentence of its own: private and symmetric keys,
// weak ones, and too many (RFC 7591 §2).
func checkKeySet(all map[string]json.RawMessage) error {
	for name, text := range all {
		if !strings.EqualFold(name, "jwks") || string(text) == "null" { // null leaves it out (RFC 7592 §2.2)
			continue
		}
		if len(text) > maxOwnKeyBytes {
			return refusal(codeInvalidMetadata, "jwks has at most %d kB; with more use jwks_uri", maxOwnKeyBytes>>10)
		}
		set, err := jwt.ParseKeySet(text)
		if err != nil {
			return refusal(codeInvalidMetadata, "jwks: %s", err)
		}
		if set.Len()+len(set.PassedOver()) > maxOwnKeys {
			return refusal(codeInvalidMetadata, "jwks has at most %d keys; with more use jwks_uri", maxOwnKeys)
		}
	}
	return nil
}

// checkKeys demands the keys that private_key_jwt and self_signed_tls_client_auth need, in one way,
// and of other methods none. The registry checks the names of tls_client_auth.
func (m *clientMetadata) checkKeys() error {
	switch keys, uri := m.JWKS != nil, m.JWKSURI != ""; {
	case keys && uri:
		return refusal(codeInvalidMetadata, "jwks and jwks_uri exclude each other: send one of them (RFC 7591 §2)")
	case m.Method != clients.MethodJWT && (m.AssertionAlg != "" || m.Method != clients.MethodSelfSigned && (keys || uri)):
		return refusal(codeInvalidMetadata, "jwks, jwks_uri and token_endpoint_auth_signing_alg go with "+
			"token_endpoint_auth_method private_key_jwt, and this body says %s", m.Method)
	case m.Method == clients.MethodSelfSigned && !keys && !uri:
		return refusal(codeInvalidMetadata, "self_signed_tls_client_auth needs the client's certificates: jwks or jwks_uri (RFC 8705 §2.2.2)")
	case m.Method == clients.MethodJWT && !keys && !uri:
		return refusal(codeInvalidMetadata, "private_key_jwt needs the client's public keys: jwks or jwks_uri (RFC 7591 §2)")
	}
	return nil
}
