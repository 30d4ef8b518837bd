package middleware

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
)

// carrying is the context of a request whose token is verified.
func carrying(ctx context.Context, t *Token) *carrier { return &carrier{Context: ctx, verified: t} }

func TestTokenFromIsOneTokenOfARequest(t *testing.T) {
	type other struct{}
	verified := &Token{Subject: "m", Audience: []string{api}, Actor: &Actor{Subject: "a", Actor: &Actor{Subject: "b"}}}
	outer, cancel := context.WithCancel(context.WithValue(t.Context(), other{}, "kept"))
	ctx := carrying(outer, verified)
	require.Equal(t, "kept", ctx.Value(other{}))
	require.Same(t, verified, tokenIn(ctx), "nobody has asked for a copy")
	mine := TokenFrom(ctx)
	require.Equal(t, verified, mine)
	require.NotSame(t, verified, mine)
	mine.Actor.Subject, mine.Actor.Actor.Subject, mine.Audience[0] = "changed", "changed", "changed"
	require.Equal(t, &Token{Subject: "m", Audience: []string{api}, Actor: &Actor{Subject: "a", Actor: &Actor{Subject: "b"}}}, verified)
	require.Same(t, mine, TokenFrom(context.WithValue(ctx, other{}, "more")))
	require.Same(t, mine, tokenIn(ctx))
	require.Nil(t, TokenFrom(outer))
	require.Nil(t, tokenIn(outer))
	cancel()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

// TestTokenFromByGoroutines: those of one request get one token, and so see each other's changes.
func TestTokenFromByGoroutines(t *testing.T) {
	for range 5000 {
		ctx, begin := carrying(t.Context(), &Token{Subject: "m"}), make(chan struct{})
		var found [4]*Token
		var all sync.WaitGroup
		for i := range found {
			all.Go(func() {
				<-begin
				found[i] = TokenFrom(ctx)
			})
		}
		close(begin)
		all.Wait()
		require.True(t, found[0] == found[1] && found[0] == found[2] && found[0] == found[3])
	}
}

// TestRequirementSeesWhatAHandlerTookAway: a handler between Authenticate and RequireAll may narrow
// the token of its request.
func TestRequirementSeesWhatAHandlerTookAway(t *testing.T) {
	g, err := New(Config{Audience: api, Verifier: VerifierFunc(table)})
	require.NoError(t, err)
	narrow := func(c *gin.Context) { TokenFrom(c.Request.Context()).Scope = scopes.MustParse("nothing") }
	router := gin.New()
	router.GET("/whole", g.Authenticate(), g.RequireAll("orders:read"), func(*gin.Context) {})
	router.GET("/narrowed", g.Authenticate(), narrow, g.RequireAll("orders:read"), func(*gin.Context) {})
	for path, status := range map[string]int{"/whole": 200, "/narrowed": 403} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer read")
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, path)
	}
}
