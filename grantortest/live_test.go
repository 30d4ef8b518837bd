package grantortest_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/grantortest"
	"github.com/grantor-auth/grantor/middleware"
)

const (
	lease    = 300 * time.Millisecond
	audience = "https://orders.example.com"
)

// live is a real server, and verifiers that follow its revocation feed.
type live struct {
	srv    *grantortest.Server
	follow *middleware.Follower
	opaque *middleware.Introspection
	asking *middleware.JWT // asks where it cannot tell
	alone  *middleware.JWT // never asks
}

func newLive(t *testing.T, configure func(*config.Config)) *live {
	t.Helper()
	l := &live{srv: grantortest.New(t, grantortest.Options{Audience: audience, Configure: func(c *config.Config) {
		c.Feed.Lease = lease
		if configure != nil {
			configure(c)
		}
	}})}
	l.start(t)
	return l
}

// start begins with verifiers that know nothing.
func (l *live) start(t *testing.T) {
	t.Helper()
	id, secret := l.srv.API.ID, l.srv.API.Secret
	var err error
	l.follow, err = middleware.NewFollower(middleware.FollowerConfig{Issuer: l.srv.Issuer, ClientID: id, ClientSecret: secret})
	require.NoError(t, err)
	t.Cleanup(l.follow.Close)
	l.opaque, err = middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: l.srv.Issuer, ClientID: id, ClientSecret: secret, Follow: l.follow})
	require.NoError(t, err)
	l.asking, err = middleware.NewJWT(middleware.JWTConfig{Issuer: l.srv.Issuer, Audience: audience, Follow: l.follow, Ask: l.opaque})
	require.NoError(t, err)
	t.Cleanup(l.asking.Close)
	l.alone, err = middleware.NewJWT(middleware.JWTConfig{Issuer: l.srv.Issuer, Audience: audience, Follow: l.follow})
	require.NoError(t, err)
	t.Cleanup(l.alone.Close)
	_, _ = l.opaque.Verify(t.Context(), "gat_x") // begins the polls
	for deadline := time.Now().Add(10 * time.Second); !l.follow.Stats().Fresh; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "%+v", l.follow.Stats())
	}
}

// fromMemory checks a token until a check asks nobody.
func (l *live) fromMemory(t *testing.T, v middleware.Verifier, token string) {
	t.Helper()
	require.Eventually(t, func() bool {
		before := l.follow.Stats().Hits
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		return l.follow.Stats().Hits > before
	}, 10*time.Second, time.Millisecond)
}

// refusedInTime holds the promise against the clock: a check that begins later than the lease after
// the 200 refuses the token. It returns how long after the 200 the first refusal came.
func (l *live) refusedInTime(t *testing.T, v middleware.Verifier, token string) time.Duration {
	t.Helper()
	ended := time.Now()
	for {
		begun := time.Now()
		_, err := v.Verify(t.Context(), token)
		if errors.Is(err, middleware.ErrInvalidToken) {
			return time.Since(ended)
		}
		require.LessOrEqual(t, begun.Sub(ended), lease, "the token passes (%v)", err)
		time.Sleep(time.Millisecond)
	}
}

func TestLive(t *testing.T) {
	t.Run("a token that is revoked is refused within the lease, and others go on", func(t *testing.T) {
		l := newLive(t, nil)
		token, signed, other := l.srv.Token("orders:read"), l.srv.JWT("orders:read"), l.srv.Token("orders:read")
		l.fromMemory(t, l.opaque, token)
		l.fromMemory(t, l.opaque, other)
		l.fromMemory(t, l.asking, signed)
		l.fromMemory(t, l.alone, signed)
		l.srv.Revoke(token)
		t.Log("opaque: refused", l.refusedInTime(t, l.opaque, token), "after the 200")
		l.srv.Revoke(signed)
		t.Log("JWT: refused", l.refusedInTime(t, l.alone, signed), "after the 200")
		l.refusedInTime(t, l.asking, signed)
		l.fromMemory(t, l.opaque, other)
	})
	t.Run("a log-out ends the session's access tokens at the verifiers", func(t *testing.T) {
		l := newLive(t, nil)
		mine, other := l.srv.Login("u-1", "orders:read"), l.srv.Login("u-1", "orders:read")
		l.fromMemory(t, l.opaque, mine.AccessToken)
		l.fromMemory(t, l.opaque, other.AccessToken)
		res, err := http.PostForm(l.srv.URL+"/oauth2/revoke", url.Values{"client_id": {l.srv.App.ID}, "token": {mine.RefreshToken}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
		l.refusedInTime(t, l.opaque, mine.AccessToken)
		l.fromMemory(t, l.opaque, other.AccessToken)
		found, err := l.opaque.Verify(t.Context(), other.AccessToken)
		require.NoError(t, err)
		require.NotEmpty(t, found.Session)
	})
	t.Run("a client of the configuration that is disabled ends its tokens at the verifiers", func(t *testing.T) {
		disabled := false
		l := newLive(t, func(c *config.Config) {
			for i := range c.Clients {
				if grants := c.Clients[i].Grants; disabled && len(grants) > 0 && grants[0] == clients.GrantClientCredentials {
					c.Clients[i].Disabled = true
				}
			}
		})
		token, signed := l.srv.Token("orders:read"), l.srv.JWT("orders:read")
		l.fromMemory(t, l.opaque, token)
		l.fromMemory(t, l.alone, signed)
		disabled = true
		l.srv.AddUser("u-9", "nine", "password") // any change reads the configuration again
		l.srv.Client("orders:write")
		l.refusedInTime(t, l.opaque, token)
		l.refusedInTime(t, l.alone, signed)
	})
	t.Run("while the server fails, checks from memory end with the lease; then it is not known", func(t *testing.T) {
		l := newLive(t, nil)
		token := l.srv.Token("orders:read")
		l.fromMemory(t, l.opaque, token)
		l.srv.Fail(http.StatusServiceUnavailable)
		require.Eventually(t, func() bool {
			_, err := l.opaque.Verify(t.Context(), token)
			return err != nil && !errors.Is(err, middleware.ErrInvalidToken)
		}, 10*time.Second, time.Millisecond)
		l.srv.Recover()
		l.fromMemory(t, l.opaque, token)
	})
	t.Run("a verifier that starts after many ends refuses all of these tokens", func(t *testing.T) {
		l := newLive(t, nil)
		var ended []string
		for range 1000 {
			token := l.srv.JWT("orders:read")
			l.srv.Revoke(token)
			ended = append(ended, token)
		}
		good := l.srv.JWT("orders:read")
		l.start(t)
		for _, token := range ended {
			_, err := l.alone.Verify(t.Context(), token)
			require.ErrorIs(t, err, middleware.ErrInvalidToken)
		}
		l.fromMemory(t, l.alone, good)
	})
	t.Run("a client that sees its own tokens alone may not follow", func(t *testing.T) {
		l := newLive(t, nil)
		client := l.srv.Client("orders:read")
		f, err := middleware.NewFollower(middleware.FollowerConfig{Issuer: l.srv.Issuer, ClientID: client.ID, ClientSecret: client.Secret})
		require.NoError(t, err)
		defer f.Close()
		v, err := middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: l.srv.Issuer, ClientID: client.ID, ClientSecret: client.Secret, Follow: f})
		require.NoError(t, err)
		_, _ = v.Verify(t.Context(), "gat_x")
		require.Eventually(t, func() bool { return f.Stats().Err != nil }, 10*time.Second, time.Millisecond)
		require.ErrorContains(t, f.Stats().Err, "403")
	})
}
