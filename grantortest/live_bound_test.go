package grantortest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/grantortest"
	"github.com/grantor-auth/grantor/middleware"
)

// TestLiveBound: a verifier that follows the feed remembers bound tokens too. It asks nobody about
// them, and yet each request needs its own proof.
func TestLiveBound(t *testing.T) {
	l := newLive(t, nil)
	key, thief := l.srv.Key(), l.srv.Key()
	for name, c := range map[string]struct {
		verifier middleware.Verifier
		want     grantortest.Want
	}{
		"opaque":                 {l.opaque, grantortest.Want{}},
		"opaque, of a user":      {l.opaque, grantortest.Want{Subject: "u-1"}},
		"JWT":                    {l.alone, grantortest.Want{JWT: true}},
		"JWT, and asks at times": {l.asking, grantortest.Want{JWT: true}},
	} {
		c.want.Scopes, c.want.Key = []string{"orders:read"}, key
		t.Run("DP-04 DP-05 S-73 "+name, func(t *testing.T) {
			api := orders(t, middleware.Config{Verifier: c.verifier, Audience: audience})
			token, other := l.srv.Issue(c.want).AccessToken, l.srv.Issue(c.want).AccessToken
			owner := func(r *http.Request) { key.Authorize(r, token) }
			used := l.remembered(t, api, key, token)
			for what, change := range map[string]func(*http.Request){
				"as a bearer token":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
				"without a proof":    func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+token) },
				"by another key":     func(r *http.Request) { thief.Authorize(r, token) },
				"with another's ath": func(r *http.Request) { key.Authorize(r, other); r.Header.Set("Authorization", "DPoP "+token) },
				"with a used proof":  func(r *http.Request) { r.Header = used.Clone() },
			} {
				l.remembered(t, api, key, token)
				require.Equal(t, 401, sent(api, change), what)
				require.Equal(t, 200, sent(api, owner))
			}
			l.remembered(t, api, key, other)
			l.srv.Revoke(token)
			for ended := time.Now(); ; time.Sleep(time.Millisecond) {
				begun := time.Now()
				if sent(api, owner) == 401 {
					break
				}
				require.LessOrEqual(t, begun.Sub(ended), lease, "the token passes")
			}
			require.Equal(t, 200, sent(api, func(r *http.Request) { key.Authorize(r, other) }), "others go on")
		})
	}
}

// remembered sends requests with new proofs until one is answered from memory, and returns the
// headers of that one.
func (l *live) remembered(t *testing.T, api http.Handler, key *grantortest.Key, token string) (used http.Header) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		before := l.follow.Stats().Hits
		require.Equal(t, 200, sent(api, func(r *http.Request) { key.Authorize(r, token); used = r.Header }))
		if l.follow.Stats().Hits > before {
			return used
		}
		require.True(t, time.Now().Before(deadline), "%+v", l.follow.Stats())
	}
}
