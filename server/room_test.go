package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// watched is a store that lets a test look while a token is stored.
type watched struct {
	tokens.Store
	look func()
}

func (w *watched) Issue(ctx context.Context, t tokens.Token, r *tokens.Record) error {
	w.look()
	return w.Store.Issue(ctx, t, r)
}

// formRequest is a client's request in memory.
func formRequest(ctx context.Context, path, basic, body string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	id, secret, _ := strings.Cut(basic, ":")
	r.SetBasicAuth(id, secret)
	r.Header.Set("Content-Type", formType)
	return r
}

func TestRooms(t *testing.T) {
	t.Run("a request that was answered shows whoever wrapped the server no other's parameters", func(t *testing.T) {
		last := formRequest(t.Context(), tokP, app, "")
		seen := map[string]bool{}
		f := start(t, func(c *Config) {
			c.Store = &watched{c.Store, func() { seen[last.FormValue("whose")+last.PostFormValue("whose")] = true }}
		})
		for i := range 50 { // with the race detector a pool forgets some
			r := formRequest(t.Context(), tokP, app, ask+"&whose="+strconv.Itoa(i))
			f.server.ServeHTTP(httptest.NewRecorder(), r)
			last = r
		}
		require.Equal(t, map[string]bool{"": true}, seen)
	})
}
