package middleware

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/internal/dpop"
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
	metadata    string // URL of the resource's metadata; "": the Guard's
	retryAfter  int    // seconds
	dpop        bool   // the token was sent by the scheme DPoP, or should have been
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
		// Those who were refused by one outage do not come back in one second.
		h.Set("Retry-After", strconv.Itoa(r.retryAfter+rand.IntN(4))) // #nosec G404 -- no secret
	case r.status < http.StatusInternalServerError:
		g.challenge(h, r)
	}
	w.WriteHeader(r.status)
	body := make(jsonobject.Object, 0, 256).TextOr("error", r.code).TextOr("error_description", r.description)
	_, _ = w.Write(body.Close()) // #nosec G705 -- JSON, and none of the request; the client may be gone
}

// challenge sets the challenges: that of the scheme which the answer is about comes first and says
// the error, and where the API takes the other scheme too, a 401 names it (RFC 9449 §7.1).
func (g *Guard) challenge(h http.Header, r *refusal) {
	if g.proofs == nil {
		h.Set("WWW-Authenticate", g.header("Bearer", r))
		return
	}
	first, second := "Bearer", "DPoP"
	if r.dpop || g.cfg.DPoP.Required {
		first, second = second, first
	}
	h.Set("WWW-Authenticate", g.header(first, r))
	if r.status == http.StatusUnauthorized && !g.cfg.DPoP.Required {
		h.Add("WWW-Authenticate", g.header(second, &refusal{scope: r.scope, metadata: r.metadata}))
	}
	if first == "DPoP" && g.proofs.nonces != nil {
		h.Set(headerNonce, g.proofs.nonces.Current(g.cfg.Now()))
	}
}

// header writes one challenge (RFC 6750 §3, RFC 9449 §7.1).
func (g *Guard) header(scheme string, r *refusal) string {
	text, divider := scheme, " "
	add := func(name, value string) {
		if value != "" {
			text += divider + name + `="` + value + `"`
			divider = ", "
		}
	}
	add("realm", g.cfg.Realm)
	if r.code != "" { // without credentials the challenge has no error information (RFC 6750 §3.1); the body has
		add("error", r.code)
		add("error_description", r.description)
	}
	add("scope", r.scope)
	add("resource_metadata", cmp.Or(r.metadata, g.metadataAt.URL)) // RFC 9728 §5.1
	if scheme == "DPoP" {
		add("algs", strings.Join(dpop.Algorithms(), " "))
	}
	if text == scheme {
		add("realm", "api") // a challenge has at least one parameter (RFC 6750 §3)
	}
	return text
}
