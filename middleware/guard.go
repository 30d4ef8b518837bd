package middleware

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/scopes"
)

// authenticate returns the verified token of a request, or the refusal to answer with.
func (g *Guard) authenticate(r *http.Request) (*Token, *refusal) {
	text, refused := g.bearer(r)
	if refused != nil {
		return nil, refused
	}
	token, err := g.cfg.Verifier.Verify(r.Context(), text)
	switch {
	case errors.Is(err, ErrInvalidToken):
		return nil, invalid("the token is unknown, expired or revoked")
	case err != nil:
		g.cfg.Log.ErrorContext(r.Context(), "a token could not be verified", "error", err.Error())
		return nil, &refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, retryAfter: 1,
			description: "tokens cannot be verified at the moment; try again"}
	case token == nil || !token.liveAt(g.cfg.Now()):
		return nil, invalid("the token is unknown, expired or revoked")
	case g.cfg.Audience != "" && !slices.Contains(token.Audience, g.cfg.Audience):
		return nil, invalid("the token is meant for another resource")
	}
	return token.own(), nil
}

// own returns a copy for one request. A verifier that remembers gives all requests the same Token,
// and a handler may change what it gets from TokenFrom.
func (t *Token) own() *Token {
	mine := *t
	mine.Audience = slices.Clone(t.Audience)
	return &mine
}

func invalid(description string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: codeInvalidToken, description: description}
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
	return &refusal{status: http.StatusForbidden, code: codeInsufficientScope, scope: q.scopes.String(),
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
		t, refused := g.authenticate(r)
		if refused == nil && len(allOf) > 0 {
			refused = g.check(t, q)
		}
		if refused != nil {
			g.refuse(w, refused)
			return
		}
		w.Header().Set("Cache-Control", "private") // RFC 6750 §5.3; next may set its own
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, t)))
	})
}

// Authenticate is the Gin handler that verifies the bearer token: TokenFrom finds it in the
// request's context afterwards.
func (g *Guard) Authenticate() gin.HandlerFunc {
	return func(c *gin.Context) {
		t, refused := g.authenticate(c.Request)
		if refused != nil {
			g.abort(c, refused)
			return
		}
		c.Header("Cache-Control", "private")
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), contextKey{}, t))
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
		t := TokenFrom(c.Request.Context())
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
	g.cfg.Log.ErrorContext(c.Request.Context(), "route has no Authenticate before its requirement", "route", c.FullPath(), "method", c.Request.Method,
		"remedy", "put guard.Authenticate() before RequireAll, RequireAny and RequireAudience")
	g.abort(c, &refusal{status: http.StatusInternalServerError, code: codeServerError, description: "this route is set up wrongly; the log of the API says how"})
}

// RequireAudience is the Gin handler that demands an audience beside Config.Audience.
func (g *Guard) RequireAudience(audience string) gin.HandlerFunc {
	return func(c *gin.Context) {
		t := TokenFrom(c.Request.Context())
		switch {
		case t == nil:
			g.forgotten(c)
		case !slices.Contains(t.Audience, audience):
			g.abort(c, invalid("the token is meant for another resource"))
		}
	}
}

func (g *Guard) abort(c *gin.Context, r *refusal) {
	g.refuse(c.Writer, r)
	c.Abort()
}
