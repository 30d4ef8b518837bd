package grantortest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/grantortest"
)

// post is a program that asks the server over HTTP.
func post(t *testing.T, srv *grantortest.Server, client grantortest.Identity, form url.Values) (grantortest.Issued, int) {
	t.Helper()
	if client.Secret == "" {
		form.Set("client_id", client.ID)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/oauth2/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client.Secret != "" {
		req.SetBasicAuth(client.ID, client.Secret)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var issued grantortest.Issued
	require.NoError(t, json.NewDecoder(res.Body).Decode(&issued))
	return issued, res.StatusCode
}

func refresh(t *testing.T, srv *grantortest.Server, token string) (grantortest.Issued, int) {
	t.Helper()
	return post(t, srv, srv.App, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func login(t *testing.T, srv *grantortest.Server, name, password string) int {
	t.Helper()
	form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}, "scope": {"orders:read"}}
	_, code := post(t, srv, srv.App, form)
	return code
}

func TestClient(t *testing.T) {
	srv := grantortest.New(t)
	client := srv.Client("orders:read")
	form := func(scope string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	}
	issued, code := post(t, srv, client, form("orders:read"))
	require.Equal(t, 200, code)
	require.Equal(t, 900, issued.ExpiresIn)
	require.Equal(t, 200, status(overHTTP(t, srv), issued.AccessToken))
	srv.Token("orders:write")
	_, code = post(t, srv, client, form("orders:write"))
	require.Equal(t, 400, code, "a scope that the client was not given")
	srv.Revoke(issued.AccessToken)
	require.Equal(t, 401, status(overHTTP(t, srv), issued.AccessToken))
	srv.Fail(500)
	_, code = post(t, srv, client, form("orders:read"))
	require.Equal(t, 500, code)
}

// spy is a test that may fail.
type spy struct {
	testing.TB
	said string
}

func (s *spy) Helper() {}

func (s *spy) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }

func (s *spy) Fatalf(format string, args ...any) {
	s.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*grantortest.Server)
		want string
	}{
		"a token without a scope":  {func(s *grantortest.Server) { s.Token() }, "needs at least one scope"},
		"a text that is no scope":  {func(s *grantortest.Server) { s.Token("a b") }, "refuses this configuration"},
		"a token of somebody else": {func(s *grantortest.Server) { s.Revoke("gat_x") }, "no active token of this server"},
		"a clock that goes back":   {func(s *grantortest.Server) { s.Advance(-time.Second) }, "cannot go back"},
		"a status that is none":    {func(s *grantortest.Server) { s.Fail(7) }, "no status of HTTP"},
		"a request without host": {func(s *grantortest.Server) {
			s.Key().Authorize(httptest.NewRequest("GET", "/orders", nil), "x")
		}, "needs the API's public URL"},
		"a user without a password": {func(s *grantortest.Server) { s.AddUser("u", "u", "") }, "needs a sub, a name and a password"},
	} {
		t.Run(name, func(t *testing.T) {
			failing := &spy{TB: t}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c.do(grantortest.New(failing))
			}()
			<-ended
			require.Contains(t, failing.said, c.want)
		})
	}
}

func TestNothingIsLeft(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 5 {
		t.Run("one", func(t *testing.T) {
			srv := grantortest.New(t)
			require.Equal(t, 200, status(orders(t, guardOf(srv)), srv.Token("orders:read")))
			srv.UserToken("u-1", "orders:write")
		})
	}
	// Eventually asks in a goroutine of its own.
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 5*time.Second, 10*time.Millisecond, "goroutines of a server that has ended")
}

// once is a test that ends before the benchmark does.
type once struct {
	testing.TB
	cleanups []func()
}

func (o *once) Cleanup(f func()) { o.cleanups = append(o.cleanups, f) }

func (o *once) end() {
	for _, f := range slices.Backward(o.cleanups) {
		f()
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		o := &once{TB: b}
		grantortest.New(o)
		o.end()
	}
}

func BenchmarkNewScope(b *testing.B) {
	srv := grantortest.New(b)
	for n := 0; b.Loop(); n++ {
		srv.Token(fmt.Sprintf("orders:%d", n%100))
	}
}

func BenchmarkToken(b *testing.B) {
	srv := grantortest.New(b)
	for b.Loop() {
		srv.Token("orders:read")
	}
}

func BenchmarkJWT(b *testing.B) {
	srv := grantortest.New(b)
	for b.Loop() {
		srv.JWT("orders:read")
	}
}

func BenchmarkUserToken(b *testing.B) {
	srv := grantortest.New(b)
	for b.Loop() {
		srv.UserToken("u-1", "orders:read")
	}
}
