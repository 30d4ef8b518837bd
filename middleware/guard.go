package middleware

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/scopes"
)

// authenticate returns a context with the verified token of a request, or the refusal to answer
// with. The token may be that of other requests too: it is only read.
func (g *Guard) authenticate(r *http.Request) (*carrier, *refusal) {
	cred, refused := g.credentials(r)
	if refused != nil {
		return nil, refused
	}
	c := g.carry(r)
	if refused = g.verify(c, cred); refused != nil {
		refused.dpop = refused.dpop || cred.dpop
		return nil, refused
	}
	return c, nil
}

// verify takes the token of the credentials into c, or returns why not.
func (g *Guard) verify(c *carrier, cred credentials) *refusal {
	token, err := g.cfg.Verifier.Verify(verifying{c}, cred.token)
	if err == nil {
		token, err = FromAllowedNetwork(c, token) // whoever made the verifier
	}
	switch {
	case errors.Is(err, ErrNetworkNotAllowed):
		g.cfg.Log.WarnContext(c.request.Context(), "an API key was refused for where it came from", "error", err.Error())
		return invalid("the token is unknown, expired or revoked")
	case errors.Is(err, ErrInvalidToken):
		return invalid("the token is unknown, expired or revoked")
	case err != nil:
		g.cfg.Log.ErrorContext(c.request.Context(), "a token could not be verified", "error", err.Error())
		return &refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, retryAfter: 1,
			description: "tokens cannot be verified at the moment; try again"}
	case token == nil || !token.liveAt(g.cfg.Now()):
		return invalid("the token is unknown, expired or revoked")
	case g.cfg.Audience != "" && !token.HasAudience(g.cfg.Audience):
		return elsewhere(token)
	}
	if refused := g.checkHolder(c, cred, token); refused != nil {
		return refused
	}
	c.verified = token
	return nil
}

// pass sets the headers of an answer to a request that may pass.
func (c *carrier) pass(h http.Header) {
	h["Cache-Control"] = c.cache[:] // RFC 6750 §5.3; the handler may set its own
	if c.nonce != "" {
		h.Set(headerNonce, c.nonce) // RFC 9449 §8.2
	}
}

func invalid(description string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: codeInvalidToken, description: description}
}

// elsewhere refuses a good token of another audience.
func elsewhere(t *Token) *refusal {
	refused := invalid("the token is meant for another resource")
	refused.dpop = t.Confirmation.hasKey()
	return refused
}

// liveAt holds the token's own times against now, whatever the verifier said.
func (t *Token) liveAt(now time.Time) bool {
	return (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt)) && !now.Add(maxSkew).Before(t.NotBefore)
}

// maxSkew is how far the clocks of servers may differ.
const maxSkew = 60 * time.Second

// requirement is what a route wants of a token's scope.
type requirement struct {
	scopes scopes.Set
	any    bool
}

// need reads a requirement. Wrong ones are mistakes of the program and panic at start.
func need(tokens []string, anyOf bool) requirement {
	set, err := scopes.Of(tokens...)
	if err != nil {
		panic("middleware: " + err.Error())
	}
	if set.IsEmpty() {
		panic("middleware: a scope requirement needs at least one scope")
	}
	return requirement{set, anyOf}
}

// check holds a token against a requirement.
func (g *Guard) check(t *Token, q requirement) *refusal {
	met := 0
	for s := range q.scopes.All() {
		if g.cfg.Catalogue.Satisfies(t.Scope, s) {
			met++
		}
	}
	if met == q.scopes.Len() || q.any && met > 0 {
		return nil
	}
	return &refusal{status: http.StatusForbidden, code: codeInsufficientScope, scope: q.scopes.String(), dpop: t.Confirmation.hasKey(),
		description: "the token has not the scope that this needs"}
}

// Handler protects next with a token that has all of the scopes; none: any good token. It is the
// whole middleware for plain net/http.
func (g *Guard) Handler(next http.Handler, allOf ...string) http.Handler {
	var q requirement
	if len(allOf) > 0 {
		q = need(allOf, false)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		carried, refused := g.authenticate(r)
		if refused == nil && len(allOf) > 0 {
			refused = g.check(carried.verified, q)
		}
		if refused != nil {
			g.refuse(w, refused)
			return
		}
		carried.pass(w.Header())
		next.ServeHTTP(w, r.WithContext(carried))
	})
}

// Authenticate is the Gin handler that verifies the access token: TokenFrom finds it in the
// request's context afterwards.
func (g *Guard) Authenticate() gin.HandlerFunc {
	return func(c *gin.Context) {
		carried, refused := g.authenticate(c.Request)
		if refused != nil {
			g.abort(c, refused)
			return
		}
		carried.pass(c.Writer.Header())
		c.Request = c.Request.WithContext(carried)
	}
}

// RequireAll is the Gin handler that demands every one of the scopes. It stands behind
// Authenticate.
func (g *Guard) RequireAll(scope ...string) gin.HandlerFunc { return g.require(need(scope, false)) }

// RequireAny is the Gin handler that demands at least one of the scopes. It stands behind
// Authenticate.
func (g *Guard) RequireAny(scope ...string) gin.HandlerFunc { return g.require(need(scope, true)) }

func (g *Guard) require(q requirement) gin.HandlerFunc {
	return func(c *gin.Context) {
		t := tokenIn(c.Request.Context())
		if t == nil {
			g.forgotten(c)
			return
		}
		if refused := g.check(t, q); refused != nil {
			g.abort(c, refused)
		}
	}
}

// forgotten answers where Authenticate did not come before: a mistake of the program, which no
// token can cure. It fails closed, and loudly.
func (g *Guard) forgotten(c *gin.Context) {
	g.cfg.Log.ErrorContext(c.Request.Context(), "route has no Authenticate before its requirement",
		"route", c.FullPath(), "method", c.Request.Method,
		"remedy", "put guard.Authenticate() before RequireAll, RequireAny and RequireAudience")
	g.abort(c, &refusal{status: http.StatusInternalServerError, code: codeServerError,
		description: "this route is set up wrongly; the log of the API says how"})
}

// RequireAudience is the Gin handler that demands an audience beside Config.Audience.
func (g *Guard) RequireAudience(audience string) gin.HandlerFunc {
	return func(c *gin.Context) {
		t := tokenIn(c.Request.Context())
		switch {
		case t == nil:
			g.forgotten(c)
		case !t.HasAudience(audience):
			g.abort(c, elsewhere(t))
		}
	}
}

func (g *Guard) abort(c *gin.Context, r *refusal) {
	g.refuse(c.Writer, r)
	c.Abort()
}
