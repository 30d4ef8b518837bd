package server

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// slowStore holds every look-up until it is let go.
type slowStore struct {
	tokens.Store
	held sync.WaitGroup
	go_  chan struct{}
}

func (s *slowStore) Load(ctx context.Context, t tokens.Token) (*tokens.Record, error) {
	s.held.Done()
	<-s.go_
	return s.Store.Load(ctx, t)
}

func TestLoginPlaces(t *testing.T) {
	enter := func(s *overload, network string) bool {
		if s.enterLogin(network) == nil {
			return true
		}
		s.leaveLogin(network)
		return false
	}
	t.Run("S-20 logins of one address, or of some, leave places for those of another", func(t *testing.T) {
		for _, strangers := range []int{1, 4, 20} {
			s := &overload{maximum: maxUnderway}
			for i := range 2000 {
				enter(s, fmt.Sprint("stranger ", i%strangers))
			}
			require.True(t, enter(s, "other"), "%d strangers", strangers)
			require.LessOrEqual(t, s.logins.all, s.capacity("token")/4)
		}
	})
	t.Run("a burst of 200 from one address is let in", func(t *testing.T) {
		s := &overload{maximum: maxUnderway}
		for i := range 200 {
			require.True(t, enter(s, "office"), i)
		}
		for range 200 {
			s.leaveLogin("office")
		}
		require.Empty(t, s.logins.byNetwork)
		require.Zero(t, s.logins.all)
	})
}

func TestOverload(t *testing.T) {
	t.Run("S-20 overload: tokens are refused first, then revocation, and introspection last", func(t *testing.T) {
		slow := &slowStore{go_: make(chan struct{})}
		f := start(t, func(c *Config) { slow.Store = c.Store; c.Store = slow })
		f.server.overload.maximum = 8
		token := f.issue(t, "")
		var all sync.WaitGroup
		hold := func(n int) {
			slow.held.Add(n)
			for range n {
				all.Go(func() { require.Equal(t, 200, f.post(t, intP, "gateway:rs", "token="+token).status) })
			}
			slow.held.Wait()
		}
		hold(4) // of 8 under way
		r := f.post(t, tokP, app, ask)
		refused(t, r, http.StatusServiceUnavailable, codeUnavailable)
		require.Regexp(t, "^[1-4]$", r.header.Get("Retry-After"))
		require.Equal(t, 200, f.post(t, revP, app, "token=x").status)
		hold(2)
		require.Equal(t, 503, f.post(t, revP, app, "token=x").status)
		hold(2)
		require.Equal(t, 503, f.post(t, intP, "gateway:rs", "token="+token).status)
		require.Equal(t, 200, f.call(t, "GET", "/healthz", "").status, "an overloaded node is alive")
		close(slow.go_)
		all.Wait()
		require.Eventually(t, func() bool { return f.post(t, tokP, app, ask).status == 200 }, 5*time.Second, time.Millisecond, "and it is over when they have gone")
	})
}
