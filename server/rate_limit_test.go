package server

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/lockout"
)

func limited(id string, perSecond, burst int) clients.Registration {
	return clients.Registration{ID: id, Secrets: secrets("s"), Grants: []string{clients.GrantClientCredentials},
		Scope: "plain", DefaultScope: "plain", Introspect: clients.SightAny, RequestsPerSecond: perSecond, RequestsBurst: burst}
}

// burst asks until the limit is reached, and returns how often it was served.
func (f *fixture) burst(t *testing.T, ask func() reply, most int) (served int, last reply) {
	t.Helper()
	for range most {
		if last = ask(); last.status != 200 {
			return served, last
		}
		served++
	}
	return served, last
}

func TestOwnRequestsPerSecond(t *testing.T) {
	t.Run("RFC 6585 §4 a burst, then 429, and who waits for Retry-After is served", func(t *testing.T) {
		f := start(t, withClient(t, limited("own", 2, 6)))
		ask := func() reply { return f.post(t, tokP, "own:s", ask) }
		served, last := f.burst(t, ask, 50)
		require.GreaterOrEqual(t, served, 6)
		refused(t, last, 429, codeUnavailable)
		seconds, err := strconv.Atoi(last.header.Get("Retry-After"))
		require.NoError(t, err)
		require.Equal(t, 1, seconds)
		time.Sleep(time.Duration(seconds) * time.Second)
		require.Equal(t, 200, ask().status)
		require.Contains(t, f.log.String(), `"claimed_client_id":"own","reason":"requests_per_second"`)
	})
	t.Run("it counts introspection and revocation, and no other client", func(t *testing.T) {
		f := start(t, withClient(t, limited("own", 1, 3)))
		require.Equal(t, 200, f.post(t, intP, "own:s", "token=x").status)
		require.Equal(t, 200, f.post(t, revP, "own:s", "token=x").status)
		require.Equal(t, 200, f.post(t, tokP, "own:s", ask).status)
		for path, body := range map[string]string{tokP: ask, intP: "token=x", revP: "token=x"} {
			refused(t, f.post(t, path, "own:s", body), 429, codeUnavailable)
		}
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
	})
	t.Run("it takes the place of [limits] requests_per_second, and -1 is no limit", func(t *testing.T) {
		server := func(c *Config) { c.RequestsPerSecond = 1 }
		f := start(t, server, withClient(t, limited("own", 1000, 0)))
		served, _ := f.burst(t, func() reply { return f.post(t, tokP, "own:s", ask) }, 40)
		require.Equal(t, 40, served)
		served, last := f.burst(t, func() reply { return f.post(t, tokP, app, ask) }, 40)
		require.Less(t, served, 10)
		refused(t, last, 429, codeUnavailable)
		f = start(t, server, withClient(t, limited("own", -1, 0)))
		served, _ = f.burst(t, func() reply { return f.post(t, tokP, "own:s", ask) }, 40)
		require.Equal(t, 40, served)
	})
	t.Run("S-15 of a public client it counts at each address", func(t *testing.T) {
		r := clients.Registration{ID: "own", Method: clients.MethodNone, Scope: "plain", RequestsPerSecond: 1, RequestsBurst: 3}
		f := start(t, withClient(t, r), func(c *Config) { c.TrustedProxies = []string{"127.0.0.1", "::1"} })
		from := func(address string) reply {
			return f.post(t, tokP, "", ask+"&client_id=own", "X-Forwarded-For: "+address)
		}
		for range 3 {
			refused(t, from("192.0.2.1"), 400, codeUnauthorizedClient)
		}
		refused(t, from("192.0.2.1"), 429, codeUnavailable)
		refused(t, from("192.0.2.2"), 400, codeUnauthorizedClient)
	})
}

// TestLimitAndLockoutAreApart: wrong credentials use up no requests, and requests over the limit
// are no wrong credentials.
func TestLimitAndLockoutAreApart(t *testing.T) {
	f := start(t, withClient(t, limited("own", 1, 2)), func(c *Config) {
		c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 3, time.Minute)
	})
	for range 3 {
		refused(t, f.post(t, tokP, "own:wrong", ask), 401, codeInvalidClient)
	}
	refused(t, f.post(t, tokP, "own:wrong", ask), 429, codeInvalidClient)
	for range 2 {
		require.Equal(t, 200, f.post(t, tokP, "own:s", ask).status, "a right secret passes the lockout")
	}
	for range 10 {
		r := f.post(t, tokP, "own:s", ask)
		refused(t, r, 429, codeUnavailable)
		require.Empty(t, r.header.Get("WWW-Authenticate"), "the client is known: there is nothing to prove")
	}
	locked := f.post(t, tokP, "own:wrong", ask)
	refused(t, locked, 429, codeInvalidClient)
	require.NotEmpty(t, locked.header.Get("WWW-Authenticate"))
}
