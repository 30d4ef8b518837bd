package middleware

import (
	"net/http"
	"strings"
)

// apiKeyPrefix begins the text of an API key, as of a token that lives as long as its owner said.
const apiKeyPrefix = "gak_"

// isForeignKey says whether a text has the form of an API key that "grantor import
// rest-framework-api-key" brought: up to 8 letters and digits, a dot, and 22 to 128 of them.
func isForeignKey(text string) bool {
	prefix, secret, ok := strings.Cut(text, ".")
	other := func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }
	return ok && len(prefix) >= 1 && len(prefix) <= 8 && len(secret) >= 22 && len(secret) <= 128 &&
		!strings.ContainsFunc(prefix+secret, other)
}

// fromKeyHeaders reads an API key from Authorization: Api-Key, or X-API-Key, for
// Config.APIKeyHeaders. Other tokens are not taken there: each kind of credential has one way that
// logs and proxies know.
func fromKeyHeaders(h http.Header) (key string, refused *refusal) {
	keys, authorization := h.Values("X-Api-Key"), h.Values("Authorization")
	switch {
	case len(keys) > 1 || len(authorization) > 1:
		return "", malformed("there is more than one X-API-Key or Authorization header")
	case len(keys) > 0 && len(authorization) > 0:
		return "", malformed("the request has both X-API-Key and Authorization; send the key in one of them")
	case len(keys) > 0:
		key = strings.Trim(keys[0], " ")
	case len(authorization) > 0:
		scheme, rest, _ := strings.Cut(authorization[0], " ")
		if !strings.EqualFold(scheme, "Api-Key") {
			return "", nil
		}
		key = strings.Trim(rest, " ")
	default:
		return "", nil
	}
	switch {
	case !isB64Token(key):
		return "", malformed("the header must hold one API key and nothing else")
	case !strings.HasPrefix(key, apiKeyPrefix) && !isForeignKey(key):
		return "", invalid("this header takes API keys (gak_…); send a token as Authorization: Bearer")
	}
	return key, nil
}
