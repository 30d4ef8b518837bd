package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// way is a way to end something: what it takes to be there, and the end. Both get the device of a
// session that began; end returns the names that must be in the feed when it has returned.
type way struct {
	name  string
	end   func(t *testing.T, d *device) (names []string)
	again func(t *testing.T, d *device) // the same, when nothing is left; nil: there is no such thing
}

// configured is a client of a configuration, as tests change it.
const configured = "configured client"

// waysToEnd is the list of all that ends something. A method that ends something and is not here
// has no right to be in a Store.
func waysToEnd() []way {
	revoke := func(pick func(access, refresh tokens.Token) tokens.Token, name func(d *device, t tokens.Token) string) way {
		var gone tokens.Token
		return way{"", func(t *testing.T, d *device) []string {
			gone = pick(d.login())
			d.revoke(gone)
			return []string{name(d, gone)}
		}, func(t *testing.T, d *device) {
			_, err := d.store.Revoke(t.Context(), gone, client)
			require.NoError(t, err)
		}}
	}
	access := revoke(func(a, _ tokens.Token) tokens.Token { return a }, func(_ *device, t tokens.Token) string { return t.Name() })
	access.name = "a user revokes an access token"
	refresh := revoke(func(_, r tokens.Token) tokens.Token { return r }, func(d *device, _ tokens.Token) string { return feed.Session(d.session) })
	refresh.name = "a user revokes a refresh token"
	return append([]way{access, refresh, clientTokenWay(), jwtWay(), sessionWay(), userWay(), userOnceWay()},
		append(refusals(), clientWays()...)...)
}

func (d *device) revoke(t tokens.Token) {
	d.t.Helper()
	ended, err := d.store.Revoke(d.t.Context(), t, client)
	require.NoError(d.t, err)
	require.True(d.t, ended)
}

func clientTokenWay() way {
	var tok tokens.Token
	var rec *tokens.Record
	return way{"a client revokes its own token", func(t *testing.T, d *device) []string {
		tok, rec = issue(t, d.store, time.Minute)
		ended, err := d.store.Revoke(t.Context(), tok, rec.ClientID)
		require.NoError(t, err)
		require.True(t, ended)
		return []string{tok.Name()}
	}, func(t *testing.T, d *device) {
		_, err := d.store.Revoke(t.Context(), tok, rec.ClientID)
		require.NoError(t, err)
	}}
}

func jwtWay() way {
	return way{"a user revokes a JWT", func(t *testing.T, d *device) []string {
		jti, access := d.codec.NewUserJTI(d.tag, d.session)
		d.login(func(l *tokens.SessionStart) { l.Access = access })
		d.revoke(access)
		return []string{jti}
	}, nil}
}

func sessionWay() way {
	return way{"an operator ends a session", func(t *testing.T, d *device) []string {
		d.login()
		ended, err := d.store.EndSession(t.Context(), d.tag, d.session)
		require.NoError(t, err)
		require.True(t, ended)
		return []string{feed.Session(d.session)}
	}, func(t *testing.T, d *device) {
		_, err := d.store.EndSession(t.Context(), d.tag, d.session)
		require.NoError(t, err)
	}}
}

func userWay() way {
	return way{"a user logs out everywhere", func(t *testing.T, d *device) []string {
		d.login()
		require.NoError(t, d.store.EndUser(t.Context(), d.tag))
		return []string{feed.User(d.epoch)}
	}, func(t *testing.T, d *device) { require.NoError(t, d.store.EndUser(t.Context(), d.tag)) }}
}

func userOnceWay() way {
	call := tokens.NewCall()
	return way{"a user is ended by a call that may be repeated", func(t *testing.T, d *device) []string {
		d.login()
		require.NoError(t, d.store.EndUserOnce(t.Context(), d.tag, call))
		return []string{feed.User(d.epoch)}
	}, func(t *testing.T, d *device) {
		_, err := d.store.UserEpoch(t.Context(), d.tag, time.Hour) // a login after the first call
		require.NoError(t, err)
		require.NoError(t, d.store.EndUserOnce(t.Context(), d.tag, call))
	}}
}

// refusals are the uses of a refresh token that end its session.
func refusals() (list []way) {
	for name, bad := range map[string]func(d *device, now tokens.Token) *tokens.Rotation{
		"a refresh token is used twice": func(d *device, now tokens.Token) *tokens.Rotation {
			next := d.rotation(now)
			d.rotate(next)
			d.rotate(d.rotation(next.New))
			return d.rotation(now)
		},
		"a rotation was lost": func(d *device, now tokens.Token) *tokens.Rotation {
			_, ahead := d.codec.NewRefresh(d.tag, d.session, now.Generation+1)
			return d.rotation(ahead)
		},
		"a session was idle for too long": func(d *device, now tokens.Token) *tokens.Rotation {
			return d.rotation(now, func(r *tokens.Rotation) { r.IdleTTL = 0 })
		},
		"a session is of another epoch of its client": func(d *device, now tokens.Token) *tokens.Rotation {
			return d.rotation(now, func(r *tokens.Rotation) { r.ClientEpoch = tokens.Epoch{9, 9} })
		},
	} {
		list = append(list, way{name, func(t *testing.T, d *device) []string {
			_, now := d.login()
			_, err := d.store.Rotate(t.Context(), bad(d, now))
			var refused *tokens.GrantError
			require.ErrorAs(t, err, &refused)
			require.NoError(t, refused.Unconfirmed)
			return []string{feed.Session(d.session)}
		}, nil})
	}
	return list
}

// clientWays are the ends of a configured client's tokens.
func clientWays() []way {
	change := func(name string, f func(d *device, e tokens.Epoch) error) way {
		e := tokens.Epoch(tokens.NewCall())
		return way{name, func(t *testing.T, d *device) []string {
			before := d.editions(t, feed.Configured{ID: configured})
			require.NoError(t, f(d, e))
			return []string{before}
		}, func(t *testing.T, d *device) { require.NoError(t, f(d, e)) }}
	}
	digest := func(b byte) feed.Configured { return feed.Configured{ID: configured, Digest: [16]byte{b}} }
	return []way{
		change("a client is disabled", func(d *device, e tokens.Epoch) error { return d.store.DisableClient(d.t.Context(), configured, e) }),
		change("a client's tokens are revoked", func(d *device, e tokens.Epoch) error { return d.store.RenewClient(d.t.Context(), configured, e) }),
		{"a configuration changes a client", func(t *testing.T, d *device) []string {
			before := d.editions(t, digest(1))
			require.NotEqual(t, before, d.editions(t, digest(2)))
			return []string{before}
		}, func(t *testing.T, d *device) { d.editions(t, digest(2)) }},
		{"a configuration is without a client", func(t *testing.T, d *device) []string {
			before := d.editions(t, digest(1))
			_, err := d.store.Feed().Editions(t.Context(), nil)
			require.NoError(t, err)
			return []string{before}
		}, func(t *testing.T, d *device) {
			_, err := d.store.Feed().Editions(t.Context(), nil)
			require.NoError(t, err)
		}},
	}
}

// editions gives a client its edition, and returns the name that it has then.
func (d *device) editions(t *testing.T, c feed.Configured) string {
	t.Helper()
	_, err := d.store.ClientEpochs(t.Context(), []string{c.ID}, nil)
	require.NoError(t, err)
	found, err := d.store.Feed().Editions(t.Context(), []feed.Configured{c})
	require.NoError(t, err)
	now, err := d.store.ClientStandings(t.Context(), []string{c.ID}, nil)
	require.NoError(t, err)
	require.Equal(t, feed.Standing{Epoch: now[0].Epoch, Edition: found[c.ID], Digest: c.Digest}, now[0])
	require.NotZero(t, found[c.ID])
	return feed.Client(now[0].Epoch, now[0].Edition)
}

// names returns all names behind a position, and the position behind them.
func names(t *testing.T, s tokens.Store, after feed.Position) (list []string, at feed.Position) {
	t.Helper()
	for at = after; ; {
		page, err := s.Feed().Read(t.Context(), at, 100)
		require.NoError(t, err)
		require.False(t, page.Reset)
		for _, e := range page.Ends {
			list = append(list, e.Names...)
		}
		if at = page.At; !page.More {
			return list, at
		}
	}
}

// RunFeed runs the suite of what a store appends to the revocation feed.
func RunFeed(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	for _, w := range waysToEnd() {
		t.Run("what ends is in the feed: "+w.name, func(t *testing.T) {
			node := open(t)
			d, other := newDevice(t, node()), node()
			_, begin := names(t, other, "")
			want := w.end(t, d)
			got, at := names(t, other, begin)
			require.Equal(t, want, got)
			if w.again == nil {
				return
			}
			w.again(t, d)
			got, _ = names(t, other, at)
			require.Empty(t, got, "only what was active is appended")
		})
	}
	testNoEnd(t, open)
	testEditions(t, open)
	t.Run("the feed of a store that nobody served from is enabled by its first node", func(t *testing.T) {
		node := open(t)
		_, err := tokens.ClaimServerKey(t.Context(), node(), 0)
		require.NoError(t, err)
		page, err := node().Feed().Read(t.Context(), "", 1)
		require.NoError(t, err)
		require.True(t, page.Enabled)
		enabled, err := node().Feed().Enabled(t.Context())
		require.NoError(t, err)
		require.True(t, enabled)
	})
}
