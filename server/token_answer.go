package server

import (
	"net/http"
	"time"
)

// issuedTokens are the tokens of one answer of the token endpoint.
type issuedTokens struct {
	access, refresh string        // refresh: "" where the client gets none
	scope           string        // of access
	ttl             time.Duration // of access, from the second of its iat
}

// writeTokens writes the successful answer of RFC 6749 §5.1. expires_in is in seconds, rounded up.
func writeTokens(x *exchange, t issuedTokens) {
	seconds := int64((t.ttl + time.Second - 1) / time.Second)
	answer := newAnswer().Text("access_token", t.access).Text("token_type", "Bearer")
	answer = answer.Number("expires_in", seconds).TextOr("refresh_token", t.refresh).TextOr("scope", t.scope)
	x.write(http.StatusOK, answer.Close())
}
