package middleware

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFollowerConfig(t *testing.T) {
	good := FollowerConfig{Issuer: fakeIssuer, ClientID: "api", ClientSecret: "s"}
	for name, c := range map[string]struct {
		change func(*FollowerConfig)
		want   string
	}{
		"no issuer":                         {func(c *FollowerConfig) { c.Issuer = "" }, "Issuer is missing"},
		"no secret":                         {func(c *FollowerConfig) { c.ClientSecret = "" }, "ClientSecret"},
		"a negative lease":                  {func(c *FollowerConfig) { c.MaxLease = -1 }, "MaxLease"},
		"room for too few names":            {func(c *FollowerConfig) { c.MaxEnded = 10 }, "at least 1,000"},
		"RFC 7662 §4 an issuer without TLS": {func(c *FollowerConfig) { c.Issuer = "http://as.example.com" }, "https://"},
		"RFC 7662 §4 a feed without TLS":    {func(c *FollowerConfig) { c.URL = "http://as.example.com/x" }, "https://"},
		"no URL":                            {func(c *FollowerConfig) { c.Issuer = "as" }, "absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			_, err := NewFollower(cfg)
			require.ErrorContains(t, err, c.want)
		})
	}
	f, err := NewFollower(good)
	require.NoError(t, err)
	defer f.Close()
	foreign := good
	foreign.Issuer = "https://other.example.com"
	other, err := NewFollower(foreign)
	require.NoError(t, err)
	defer other.Close()
	asking := func(f *Follower, change func(*IntrospectionConfig)) (*Introspection, error) {
		cfg := IntrospectionConfig{Issuer: fakeIssuer, ClientID: "api", ClientSecret: "s", Follow: f}
		change(&cfg)
		return NewIntrospection(cfg)
	}
	t.Run("Follow and CacheTTL exclude each other", func(t *testing.T) {
		_, err := asking(f, func(c *IntrospectionConfig) { c.CacheTTL = time.Second })
		require.ErrorContains(t, err, "either Follow or CacheTTL")
	})
	t.Run("a follower of another issuer is refused", func(t *testing.T) {
		_, err := asking(other, func(*IntrospectionConfig) {})
		require.ErrorContains(t, err, `"https://other.example.com"`)
		_, err = NewJWT(JWTConfig{Issuer: fakeIssuer, Audience: api, Follow: other})
		require.ErrorContains(t, err, `"https://other.example.com"`)
	})
	t.Run("Ask needs the same Follow", func(t *testing.T) {
		plain, err := asking(nil, func(*IntrospectionConfig) {})
		require.NoError(t, err)
		following, err := asking(f, func(*IntrospectionConfig) {})
		require.NoError(t, err)
		for _, cfg := range []JWTConfig{{Follow: f, Ask: plain}, {Ask: plain}, {Ask: following}, {Follow: other, Ask: following}} {
			cfg.Issuer, cfg.Audience = fakeIssuer, api
			_, err := NewJWT(cfg)
			require.ErrorContains(t, err, "the same Follow")
		}
		v, err := NewJWT(JWTConfig{Issuer: fakeIssuer, Audience: api, Follow: f, Ask: following})
		require.NoError(t, err)
		v.Close()
	})
}

func TestFollowerDiscovery(t *testing.T) {
	in(t, "a server without a feed: every check asks, and the feed is looked for slowly", func(t *testing.T, s *fakeServer) {
		s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return jsonOf(r, map[string]string{"issuer": s.issuer, "introspection_endpoint": s.issuer + pathIntrospect}), nil
			}
			return send(), nil
		}
		f := s.follower(t)
		v := s.introspection(t, f)
		s.issue("gat_1", time.Hour)
		require.Equal(t, 3, s.asks(func() {
			for range 3 {
				require.Equal(t, "good", verdict(t, v, "gat_1"))
				time.Sleep(time.Second)
			}
		}))
		require.ErrorContains(t, f.Stats().Err, "no revocation feed")
		require.LessOrEqual(t, f.Stats().Polls, uint64(2))
	})
	for name, metadata := range map[string]map[string]string{
		"RFC 8414 §3.3 of another issuer":                    {"issuer": "https://other.example.com", "revocation_feed_endpoint": fakeIssuer + pathFeed},
		"RFC 7662 §4 that leads from https to http, even so": {"issuer": fakeIssuer, "revocation_feed_endpoint": "http://as.example.com" + pathFeed},
	} {
		in(t, "metadata are refused "+name, func(t *testing.T, s *fakeServer) {
			s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
				if r.Method == http.MethodGet {
					return jsonOf(r, metadata), nil
				}
				return send(), nil
			}
			f := s.follower(t, func(c *FollowerConfig) { c.AllowInsecureHTTP = true })
			f.begin()
			time.Sleep(time.Minute)
			polls, _ := s.counts()
			require.Zero(t, polls)
			require.ErrorContains(t, f.Stats().Err, "discovery")
		})
	}
	in(t, "a redirect is not followed: the poll holds a secret", func(t *testing.T, s *fakeServer) {
		var asked []string
		s.network = func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			return &http.Response{StatusCode: 307, Header: http.Header{"Location": {"https://evil.example.com/"}}, Body: http.NoBody, Request: r}, nil
		}
		f := s.follower(t, func(c *FollowerConfig) { c.URL = fakeIssuer + pathFeed })
		f.begin()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"as.example.com"}, asked)
	})
	in(t, "Observe is told the state after each poll", func(t *testing.T, s *fakeServer) {
		var mu sync.Mutex
		var seen []FollowerStats
		f := s.follower(t, func(c *FollowerConfig) {
			c.Observe = func(now FollowerStats) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, now)
			}
		})
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		for range 3 {
			verdict(t, v, "gat_1")
		}
		s.tell("x")
		s.tell("y")
		time.Sleep(300 * time.Millisecond)
		s.set(func() { s.status[pathFeed] = 401 })
		time.Sleep(300 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		require.True(t, seen[0].Fresh)
		last := seen[len(seen)-1]
		require.ErrorContains(t, last.Err, "401")
		require.False(t, last.Fresh)
		require.Zero(t, last.Age)
		last.Err = nil
		require.Equal(t, FollowerStats{Entries: 2, Hits: 2, Asks: 1, Polls: uint64(len(seen)), Failures: 1}, last)
	})
	in(t, "a panic of Observe ends neither the API nor the polls", func(t *testing.T, s *fakeServer) {
		f := s.follower(t, func(c *FollowerConfig) { c.Observe = func(FollowerStats) { panic("x") } })
		warm(t, f)
		time.Sleep(10 * s.lease)
		require.Greater(t, f.Stats().Polls, uint64(10))
	})
}
