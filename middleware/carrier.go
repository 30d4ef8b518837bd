package middleware

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/grantor-auth/grantor/claims"
)

type contextKey struct{}

// carrier is the context of a request: first while its token is verified, and then for its handler.
type carrier struct {
	context.Context
	guard    *Guard
	request  *http.Request
	verified *Token                // maybe of other requests too, as a verifier remembers it; nil: not yet
	own      atomic.Pointer[Token] // this request's copy; nil: nobody has asked for it
	nonce    string                // to send with the answer; "": none
	cache    [1]string             // Cache-Control of the answer
}

func (g *Guard) carry(r *http.Request) *carrier {
	return &carrier{Context: r.Context(), guard: g, request: r, cache: [1]string{"private"}}
}

// Value implements context.Context.
func (c *carrier) Value(key any) any {
	switch key.(type) {
	case contextKey:
		return c
	case addressKey: // asked for by API keys that are allowed from some networks alone
		return c.guard.address(c.request)
	}
	return c.Context.Value(key)
}

// verifying is the carrier for the Guard's own Verifier: checkHolder comes behind it. The handler's
// context does not say so, for nobody checks who sends the tokens that a handler verifies itself.
type verifying struct{ *carrier }

// Value implements context.Context.
func (v verifying) Value(key any) any {
	if _, ok := key.(holderKey); ok {
		return true
	}
	return v.carrier.Value(key)
}

// TokenFrom returns the token that Authenticate or Handler verified; nil without one. It is this
// request's own, the same at each call.
func TokenFrom(ctx context.Context) *Token {
	c, _ := ctx.Value(contextKey{}).(*carrier)
	if c == nil || c.verified == nil {
		return nil
	}
	if c.own.Load() == nil {
		mine := *c.verified
		mine.Audience = slices.Clone(mine.Audience)
		mine.Claims = claims.Clone(mine.Claims)
		mine.AllowedNetworks = slices.Clone(mine.AllowedNetworks)
		mine.Actor = mine.Actor.clone()
		c.own.CompareAndSwap(nil, &mine) // goroutines of one request get one copy
	}
	return c.own.Load()
}

// tokenIn is TokenFrom for those who only read: it copies nothing.
func tokenIn(ctx context.Context) *Token {
	c, _ := ctx.Value(contextKey{}).(*carrier)
	if c == nil {
		return nil
	}
	if t := c.own.Load(); t != nil {
		return t // a handler before may have changed it
	}
	return c.verified
}
