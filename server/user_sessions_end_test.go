package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
)

// withTrail keeps the trail of a server in out.
func withTrail(out *lines) func(*Config) {
	return func(c *Config) { c.Audit = audit.New(audit.NewWriter(out), c.Log, nil) }
}

func TestEndOwnSessions(t *testing.T) {
	var trail lines
	f, _ := startPhones(t, withTrail(&trail))
	active := func(text string) bool { return f.inspect(t, text).json["active"].(bool) }
	t.Run("one session ends, with its tokens, and the trail names the user", func(t *testing.T) {
		a, b := f.newPhone(t, "ada", "&device_name=a"), f.newPhone(t, "ada", "&device_name=b")
		id := listed(t, f.own(t, "GET", sesP, a.own))["b"]["id"].(string)
		r := f.own(t, "DELETE", sesP+"/"+id, a.own)
		require.Equal(t, 204, r.status, r.body)
		require.Empty(t, r.body)
		require.False(t, active(b.orders))
		require.False(t, active(b.own))
		refused(t, f.refreshPhone(t, b.refresh, ""), 400, codeInvalidGrant)
		require.True(t, active(a.orders))
		require.Eventually(t, func() bool {
			return strings.Contains(trail.String(), `"event":"user_changed"`) && strings.Contains(trail.String(), `"session":"`+id+`"`)
		}, 5*time.Second, 5*time.Millisecond)
		require.Contains(t, trail.String(), `"actor":"user","client_id":"phone","subject_hash":"`+userTag(t, f, a).String()+`"`)
		refused(t, f.own(t, "DELETE", sesP+"/"+id, a.own), 404, codeInvalidRequest)
	})
	t.Run("BR-24 a stranger's id, an unknown one and no id are answered alike", func(t *testing.T) {
		a, eve := f.newPhone(t, "ada", ""), f.newPhone(t, "eve", "&device_name=eve")
		strangers := listed(t, f.own(t, "GET", sesP, eve.own))["eve"]["id"].(string)
		var bodies []string
		var headers []http.Header
		for _, id := range []string{strangers, tokens.NewSessionID().String(), "x", strings.Repeat("z", 22), "%2e%2e"} {
			r := f.own(t, "DELETE", sesP+"/"+id, a.own)
			refused(t, r, 404, codeInvalidRequest)
			bodies = append(bodies, r.body)
			for _, differs := range []string{"X-Request-Id", "Date"} {
				r.header.Del(differs)
			}
			headers = append(headers, r.header)
		}
		for i, b := range bodies {
			require.Equal(t, headers[0], headers[i])
			require.Equal(t, bodies[0], b)
		}
		require.True(t, active(eve.orders))
	})
	t.Run("keep=current leaves the session that asks", func(t *testing.T) {
		a, b, c := f.newPhone(t, "ada", "&device_name=a"), f.newPhone(t, "ada", ""), f.newPhone(t, "ada", "")
		for _, wrong := range []string{"?keep=curent", "?keep=", "?keep", "?keep=current&keep=all", "?Keep=current", "?all=true"} {
			refused(t, f.own(t, "DELETE", sesP+wrong, a.own), 400, codeInvalidRequest)
		}
		refused(t, f.call(t, "DELETE", sesP, "keep=current", "Authorization: Bearer "+a.own, formHeader), 400, codeInvalidRequest)
		require.True(t, active(b.orders), "what was misspelt ended nothing")
		require.Equal(t, 204, f.own(t, "DELETE", sesP+"?keep=current", a.own).status)
		require.True(t, active(a.own))
		require.True(t, active(a.orders))
		require.False(t, active(b.orders))
		require.False(t, active(c.orders))
		require.Len(t, listed(t, f.own(t, "GET", sesP, a.own)), 1)
	})
	t.Run("all sessions, the one that asks too", func(t *testing.T) {
		a, b, eve := f.newPhone(t, "ada", ""), f.newPhone(t, "ada", ""), f.newPhone(t, "eve", "")
		require.Equal(t, 204, f.own(t, "DELETE", sesP, a.own).status)
		require.False(t, active(a.own))
		require.False(t, active(b.orders))
		require.True(t, active(eve.orders))
		refused(t, f.own(t, "GET", sesP, a.own), 401, "invalid_token")
	})
}

// unconfirming is a store whose ends no replica confirms, or which does not answer.
type unconfirming struct {
	tokens.Store
	err  error
	ends bool
}

func (u *unconfirming) EndSession(ctx context.Context, tag tokens.Tag, id tokens.SessionID) (bool, error) {
	if !u.ends {
		return false, u.err
	}
	ended, _ := u.Store.EndSession(ctx, tag, id)
	return ended, u.err
}

func (u *unconfirming) EndUser(ctx context.Context, tag tokens.Tag) error {
	if u.ends {
		_ = u.Store.EndUser(ctx, tag)
	}
	return u.err
}

func TestEndOwnSessionsUnconfirmed(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		ends    bool
		outcome string
	}{
		"not confirmed":   {redisdb.ErrNotDurable, true, "not_confirmed"},
		"does not answer": {redisdb.ErrUnavailable, false, "not_done"},
	} {
		t.Run("V-03 a store that "+name+" is 503 with its outcome, never 204", func(t *testing.T) {
			f, _ := startPhones(t)
			a := f.newPhone(t, "ada", "&device_name=a")
			f.newPhone(t, "ada", "&device_name=b")
			other := listed(t, f.own(t, "GET", sesP, a.own))["b"]["id"].(string)
			f.server.cfg.Store = &unconfirming{f.server.cfg.Store, c.err, c.ends}
			for _, path := range []string{sesP + "/" + other, sesP} {
				r := f.own(t, "DELETE", path, a.own)
				refused(t, r, 503, codeUnavailable)
				require.Equal(t, c.outcome, r.text("outcome"), r.body)
				require.NotEmpty(t, r.header.Get("Retry-After"))
			}
		})
	}
}

// endings counts what a store is asked to end.
type endings struct {
	tokens.Store
	asked []tokens.Tag
}

func (e *endings) EndSession(ctx context.Context, tag tokens.Tag, id tokens.SessionID) (bool, error) {
	e.asked = append(e.asked, tag)
	return e.Store.EndSession(ctx, tag, id)
}

func TestStrangersSessionsAreUnknown(t *testing.T) {
	f, _ := startPhones(t)
	a, eve := f.newPhone(t, "ada", ""), f.newPhone(t, "eve", "&device_name=eve")
	strangers := listed(t, f.own(t, "GET", sesP, eve.own))["eve"]["id"].(string)
	store := &endings{Store: f.server.cfg.Store}
	f.server.cfg.Store = store
	t.Run("BR-24 one and the same question of the store, about the own sessions: nothing tells by its time", func(t *testing.T) {
		for _, id := range []string{strangers, tokens.NewSessionID().String()} {
			store.asked = nil
			refused(t, f.own(t, "DELETE", sesP+"/"+id, a.own), 404, codeInvalidRequest)
			require.Equal(t, []tokens.Tag{userTag(t, f, a)}, store.asked)
		}
	})
}
