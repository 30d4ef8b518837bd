package middleware

import (
	"math/rand/v2"
	"net/http"
	"strconv"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// Error codes of RFC 6750 §3.1, and ours for a verifier that cannot know.
const (
	codeInvalidRequest    = "invalid_request"
	codeInvalidToken      = "invalid_token"
	codeInsufficientScope = "insufficient_scope"
	codeUnavailable       = "temporarily_unavailable"
	codeServerError       = "server_error"
)

// refusal is an answer that ends a request. Its texts are ours alone: nothing of the request
// is reflected.
type refusal struct {
	status      int
	code        string // "": no credentials came, so no code is given (RFC 6750 §3.1)
	description string
	scope       string // what is needed
	retryAfter  int    // seconds
}

func malformed(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: codeInvalidRequest, description: description}
}

// refuse is the only place that answers: challenge, body, no-store.
func (g *Guard) refuse(w http.ResponseWriter, r *refusal) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	switch {
	case r.retryAfter > 0:
		h.Set("Retry-After", strconv.Itoa(r.retryAfter+rand.IntN(4))) // #nosec G404 -- those who were refused by one outage do not come back in one second
	case r.status < http.StatusInternalServerError:
		h.Set("WWW-Authenticate", g.header(r))
	}
	w.WriteHeader(r.status)
	body := make(jsonobject.Object, 0, 256).TextOr("error", r.code).TextOr("error_description", r.description)
	_, _ = w.Write(body.Close()) // #nosec G705 -- JSON, and none of the request; the client may be gone
}

// header writes the challenge (RFC 6750 §3).
func (g *Guard) header(r *refusal) string {
	text, divider := g.challenge, " "
	if g.cfg.Realm != "" {
		divider = ", "
	}
	add := func(name, value string) {
		if value != "" {
			text += divider + name + `="` + value + `"`
			divider = ", "
		}
	}
	if r.code != "" { // without credentials the challenge has no error information (RFC 6750 §3.1); the body has
		add("error", r.code)
		add("error_description", r.description)
	}
	add("scope", r.scope)
	if text == "Bearer" {
		add("realm", "api") // a challenge has at least one parameter (RFC 6750 §3)
	}
	return text
}
