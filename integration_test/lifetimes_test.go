package integration_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// asked is one introspection: when it was sent and answered, and what it said.
type asked struct {
	sent, answered time.Time
	active         bool
	exp            float64
}

// untilInactive introspects a token again and again until it is inactive.
func untilInactive(t *testing.T, where, id, secret, token string) (list []asked) {
	t.Helper()
	for {
		a := asked{sent: time.Now()}
		r := post(t, where, id, secret, url.Values{"token": {token}, "client_id": {id}})
		require.Equal(t, 200, r.status, r.body)
		a.answered, a.active = time.Now(), r.body != dead
		a.exp, _ = r.json["exp"].(float64)
		if list = append(list, a); !a.active {
			return list
		}
		time.Sleep(time.Millisecond)
	}
}

// endsAtExp demands that a token was active before its exp and inactive from then on.
func endsAtExp(t *testing.T, list []asked) {
	t.Helper()
	const apart = 20 * time.Millisecond // of two clocks on a busy machine
	require.True(t, list[0].active)
	exp := time.Unix(int64(list[0].exp), 0)
	for _, a := range list {
		if a.active {
			require.Equal(t, list[0].exp, a.exp)
			require.Less(t, a.sent.Sub(exp), apart, "active past the exp that it states")
		} else {
			require.Greater(t, a.answered.Sub(exp), -apart, "inactive before it")
		}
	}
}

const shortLives = "tokens.access_ttl = \"3s\"\ntokens.retry_window = \"0s\"\n"

func TestLifetimes(t *testing.T) {
	s := redistest.Start(t)
	for name, store := range map[string]string{"opaque on redis": redisStore(s), "opaque on memory": memoryStore, "jwt on redis": redisStore(s) + jwtFormat} {
		t.Run("IN-03 RFC 7662 §2.2 active until the second that exp states, "+name, func(t *testing.T) {
			t.Parallel()
			d := withUsers(t, store+shortLives, configUsers())
			p := d.serve(t)
			var wg sync.WaitGroup
			for i := range 5 {
				time.Sleep(200 * time.Millisecond) // so that they begin in other parts of a second
				token := d.token(t, p)
				if i == 3 {
					r := login(t, p, "ada", adaPassword)
					require.Equal(t, 200, r.status, r.body)
					require.EqualValues(t, 3, r.json["expires_in"])
					token = refresh(t, p, "app", r.text("refresh_token")).text("access_token")
				}
				wg.Go(func() { endsAtExp(t, untilInactive(t, p.URL+"/oauth2/introspect", "api", d.api, token)) })
			}
			wg.Wait()
		})
	}
}

func TestRefreshIntrospection(t *testing.T) {
	s := redistest.Start(t)
	client := "[[clients]]\nclient_id = \"web\"\ngrant_types = [\"password\", \"refresh_token\"]\nscope = \"orders:*\"\ndefault_scope = \"orders:read\"\n" +
		"secrets = [{ hash = \"sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\" }]\n"
	for name, store := range map[string]string{"redis": redisStore(s), "memory": memoryStore} {
		webLogin := func(t *testing.T, p *process) reply {
			r := post(t, p.URL+"/oauth2/token", "web", "secret", url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {adaPassword}})
			require.Equal(t, 200, r.status, r.body)
			return r
		}
		t.Run("IN-11 a refresh token past its idle life is inactive, and none that is active states an exp in the past: "+name, func(t *testing.T) {
			t.Parallel()
			d := withUsers(t, store+"tokens.access_ttl = \"1m\"\ntokens.refresh_ttl = \"2s\"\n", configUsers()+client) // the session is kept for its access token
			p := d.serve(t)
			token := webLogin(t, p).text("refresh_token")
			list := untilInactive(t, p.URL+"/oauth2/introspect", "web", "secret", token)
			endsAtExp(t, list)
			require.Eventually(t, func() bool {
				return post(t, p.URL+"/oauth2/token", "web", "secret", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}).text("error") == "invalid_grant"
			}, 10*time.Second, 300*time.Millisecond)
		})
	}
	t.Run("IN-11 a refresh token of a session that was logged out is inactive, also after the next login", func(t *testing.T) {
		d := withUsers(t, redisStore(s), configUsers()+client)
		p := d.serve(t)
		old := post(t, p.URL+"/oauth2/token", "web", "secret", url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {adaPassword}})
		require.Equal(t, 200, old.status, old.body)
		active := func(token string) bool {
			return post(t, p.URL+"/oauth2/introspect", "web", "secret", url.Values{"token": {token}}).json["active"] == true
		}
		require.True(t, active(old.text("refresh_token")))
		out, code := d.command(t, "", "user", "logout", "ada", "--all", "--yes")
		require.Zero(t, code, out)
		next := post(t, p.URL+"/oauth2/token", "web", "secret", url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {adaPassword}})
		require.Equal(t, 200, next.status, next.body)
		require.True(t, active(next.text("refresh_token")))
		require.True(t, active(next.text("access_token")))
		require.False(t, active(old.text("refresh_token")))
		require.False(t, active(old.text("access_token")))
		again := post(t, p.URL+"/oauth2/token", "web", "secret", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.text("refresh_token")}})
		require.Equal(t, "invalid_grant", again.text("error"), again.body)
		require.True(t, active(next.text("refresh_token")), "and its use ends nothing else")
	})
}
