package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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

func TestChunkedRequests(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		reader string
		http1  bool
	}{{"net/http, which hides a Content-Length beside chunks, ends the connection", false}, {"http1, which takes none with both, keeps it", true}} {
		t.Run("RFC 9112 §6.1 a chunked request: "+c.reader, func(t *testing.T) {
			front := NewFront(f.server, FrontConfig{HTTP1: c.http1, Log: f.server.log})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			go func() { _ = front.Serve(l) }()
			defer front.Close() //nolint:errcheck // the test is over
			r := formRequest(t.Context(), "http://"+l.Addr().String()+tokP, app, ask)
			r.RequestURI, r.ContentLength, r.TransferEncoding = "", -1, []string{"chunked"}
			res, err := http.DefaultTransport.RoundTrip(r)
			require.NoError(t, err)
			defer res.Body.Close()
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, !c.http1, res.Close)
		})
	}
}

func TestRequestsApart(t *testing.T) {
	t.Run("a request that was answered shows whoever wrapped the server its own parameters and no other's", func(t *testing.T) {
		var last *http.Request
		own := ""
		f := start(t, func(c *Config) {
			c.Store = &watched{c.Store, func() {
				if last != nil {
					require.Equal(t, [2]string{own, own}, [2]string{last.FormValue("whose"), last.PostFormValue("whose")})
				}
			}}
		})
		for i := range 50 {
			r := formRequest(t.Context(), tokP, app, ask+"&whose="+strconv.Itoa(i))
			f.server.ServeHTTP(httptest.NewRecorder(), r)
			last, own = r, strconv.Itoa(i)
		}
	})
	t.Run("two requests that are served under one context are two", func(t *testing.T) {
		f := start(t)
		var ids, bodies []string
		front := NewFront(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, inner := range []*http.Request{
				formRequest(r.Context(), tokP, app, ask),
				formRequest(r.Context(), intP, "gateway:rs", "token="+url.QueryEscape("nonsense")),
			} {
				answer := httptest.NewRecorder()
				f.server.ServeHTTP(answer, inner)
				ids, bodies = append(ids, answer.Header().Get("X-Request-Id")), append(bodies, answer.Body.String())
			}
		}), FrontConfig{HTTP1: true, Log: f.server.log})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() { _ = front.Serve(l) }()
		defer front.Close() //nolint:errcheck // the test is over
		res, err := http.Get("http://" + l.Addr().String() + "/")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Len(t, ids, 2)
		require.Contains(t, bodies[0], "access_token")
		require.JSONEq(t, `{"active":false}`, bodies[1])
		require.Len(t, ids[1], 16)
		require.NotEqual(t, ids[0], ids[1])
	})
}
