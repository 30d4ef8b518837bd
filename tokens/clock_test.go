package tokens_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// TestNodeClock shows that a node's clock decides nothing about a user's tokens: login, refresh,
// retry and reuse on a node whose clock is off by 40 s, or by a year, do what they do on one that
// is right, and every time and lifetime in Redis is Redis's own. That node is the real store in a
// bubble of testing/synctest, where each look at the clock gives the wrong time; Redis and the node
// beside it are outside. What a record says of its issue and end, hence iat and exp in answers, is
// Redis's time too.
func TestNodeClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"40 s ahead": 40 * time.Second, "40 s behind": -40 * time.Second, "a year ahead": 365 * 24 * time.Hour} {
		t.Run("S-27 V-01 a node's clock is "+name, func(t *testing.T) {
			d := newSkewed(t, off)
			d.timesAreRedis(t)
			d.decidesAsOthers(t)
			d.expiryIsRedis(t)
		})
	}
}

// skewed is one Redis with a node whose clock is right and another whose clock is off.
type skewed struct {
	redis *redistest.Server
	right *tokens.Redis
	codec *tokens.Codec
	off   time.Duration
}

func newSkewed(t *testing.T, off time.Duration) *skewed {
	t.Helper()
	s := redistest.Start(t)
	right := tokens.NewRedis(openRedis(t, s, ""))
	key, err := tokens.ClaimServerKey(t.Context(), right, 0)
	require.NoError(t, err)
	return &skewed{redis: s, right: right, codec: tokens.NewCodec(key), off: off}
}

// wrong runs a node whose clock is off. A bubble's clock begins in the year 2000: sleeping moves
// it.
func (d *skewed) wrong(t *testing.T, use func(t *testing.T, node tokens.Store)) {
	t.Helper()
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now.Add(d.off)))
		require.WithinDuration(t, now.Add(d.off), time.Now(), time.Second)
		db := openRedis(t, d.redis, "")
		told, err := db.Time(t.Context())
		require.NoError(t, err)
		node := tokens.NewRedis(db)
		require.WithinDuration(t, told, node.Now(), 10*time.Second, "a node's time is Redis's")
		use(t, node)
	})
}

const retryLife, accessLife, idleLife, sessionEnd = 30 * time.Second, 32 * time.Second, 34 * time.Second, 36 * time.Second // all below 40 s

// chain is the client's side of one session.
type chain struct {
	*skewed
	tag     tokens.Tag
	session tokens.SessionID
	access  tokens.Token
	refresh tokens.Token
}

// login logs in on a node; the record carries that node's time.
func (d *skewed) login(t *testing.T, node tokens.Store) *chain {
	t.Helper()
	c := &chain{skewed: d, session: tokens.NewSessionID()}
	c.tag = d.codec.Tag(fmt.Sprintf("u-%x", c.session))
	_, c.access = d.codec.NewUserAccess(c.tag, c.session)
	_, c.refresh = d.codec.NewRefresh(c.tag, c.session, 0)
	epoch, err := node.UserEpoch(t.Context(), c.tag, time.Minute)
	require.NoError(t, err)
	require.NoError(t, started(node.StartSession(t.Context(), &tokens.SessionStart{Refresh: c.refresh, Access: c.access, Record: issuedNow(node),
		IdleTTL: idleLife, MaxTTL: sessionEnd, EpochTTL: time.Minute,
		Session: tokens.Session{Tag: c.tag, ID: c.session, ClientID: "app", UserEpoch: epoch, Subject: "u", Scope: "a"}})))
	return c
}

func issuedNow(node tokens.Store) *tokens.Record {
	return &tokens.Record{Scope: "a", IssuedAt: node.Now().Truncate(time.Second), TTL: accessLife}
}

// rotation is a use of a refresh token with everything drawn anew.
func (c *chain) rotation(node tokens.Store, old tokens.Token) *tokens.Rotation {
	_, next := c.codec.NewRefresh(c.tag, c.session, old.Generation+1)
	_, access := c.codec.NewUserAccess(c.tag, c.session)
	return &tokens.Rotation{Old: old, New: next, ClientID: "app", IdleTTL: idleLife, RetryWindow: retryLife, Access: access, Record: issuedNow(node),
		RetryResponse: next.Hash[:]}
}

func (c *chain) active(t *testing.T, node tokens.Store, access tokens.Token) bool {
	t.Helper()
	_, err := node.Load(t.Context(), access)
	if err != nil {
		require.ErrorIs(t, err, tokens.ErrNotFound)
	}
	return err == nil
}

func refusedFor(t *testing.T, why tokens.Reason, node tokens.Store, r *tokens.Rotation) {
	t.Helper()
	_, err := node.Rotate(t.Context(), r)
	var refusal *tokens.GrantError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, why, refusal.Reason)
}

// timesAreRedis looks at what a login and a refresh on the wrong node leave in Redis.
func (d *skewed) timesAreRedis(t *testing.T) {
	look, ctx := d.redis.Client(), t.Context()
	before := look.Time(ctx).Val().Truncate(time.Millisecond)
	var c *chain
	d.wrong(t, func(t *testing.T, node tokens.Store) {
		c = d.login(t, node)
		_, err := node.Rotate(t.Context(), c.rotation(node, c.refresh))
		require.NoError(t, err)
	})
	after := look.Time(ctx).Val()
	f, err := d.right.Session(ctx, c.access)
	require.NoError(t, err)
	require.WithinRange(t, f.Created, before, after)
	require.WithinRange(t, f.LastUsed, f.Created, after)
	require.Equal(t, sessionEnd, f.Expires.Sub(f.Created))
	r, err := d.right.Load(ctx, c.access)
	require.NoError(t, err)
	require.WithinRange(t, r.IssuedAt, before.Truncate(time.Second), after, "iat")
	longest := map[string]time.Duration{"t": accessLife - time.Second, "f": idleLife, "w": retryLife, "u": time.Minute, "s": time.Minute}
	seen := map[string]bool{}
	for _, key := range look.Keys(ctx, "*:{*").Val() {
		kind, _, _ := strings.Cut(key, ":")
		if kind == "feed" {
			continue // no part of a login
		}
		left := look.PTTL(ctx, key).Val()
		require.Greater(t, left, longest[kind]-look.Time(ctx).Val().Sub(before)-time.Second, kind)
		require.LessOrEqual(t, left, longest[kind]+map[string]time.Duration{"t": time.Second}[kind], kind)
		seen[kind] = true
	}
	require.Len(t, seen, len(longest))
	require.Equal(t, float64(f.Expires.UnixMilli()), look.ZScore(ctx, look.Keys(ctx, "s:*").Val()[0], string(c.session[:])).Val())
}

// decidesAsOthers sends one client to both nodes by turns: rotation, retry and reuse are told apart
// alike.
func (d *skewed) decidesAsOthers(t *testing.T) {
	ctx := t.Context()
	c := d.login(t, d.right)
	var lost, next *tokens.Rotation
	d.wrong(t, func(t *testing.T, node tokens.Store) {
		require.True(t, c.active(t, node, c.access), "issued elsewhere")
		lost = c.rotation(node, c.refresh)
		out, err := node.Rotate(t.Context(), lost)
		require.NoError(t, err)
		require.Nil(t, out.RetryResponse, "it rotated")
		require.InDelta(t, accessLife, out.AccessTTL, float64(time.Second))
	})
	require.True(t, c.active(t, d.right, lost.Access))
	again, err := d.right.Rotate(ctx, c.rotation(d.right, c.refresh))
	require.NoError(t, err)
	require.Equal(t, lost.RetryResponse, again.RetryResponse, "a retry on the other node gets the same answer")
	require.False(t, again.Suspicious)
	d.wrong(t, func(t *testing.T, node tokens.Store) {
		again, err := node.Rotate(t.Context(), c.rotation(node, c.refresh))
		require.NoError(t, err)
		require.Equal(t, lost.RetryResponse, again.RetryResponse, "and on this one")
		require.LessOrEqual(t, again.AccessTTL, accessLife)
		next = c.rotation(node, lost.New)
		_, err = node.Rotate(t.Context(), next)
		require.NoError(t, err)
		refusedFor(t, tokens.ReasonReuse, node, c.rotation(node, c.refresh))
	})
	require.False(t, c.active(t, d.right, next.Access), "reuse ended the session")
	d.wrong(t, func(t *testing.T, node tokens.Store) {
		c = d.login(t, node)
		require.True(t, c.active(t, node, c.access))
		require.NoError(t, node.EndUser(t.Context(), c.tag))
	})
	require.False(t, c.active(t, d.right, c.access), "a logout holds at once")
}

// expiryIsRedis lets a session lie unused for longer than it may, by Redis's clock.
func (d *skewed) expiryIsRedis(t *testing.T) {
	const idle = 50 * time.Millisecond
	c := d.login(t, d.right)
	f, err := d.right.Session(t.Context(), c.refresh)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return d.redis.Client().Time(t.Context()).Val().Sub(f.LastUsed) > idle }, 20*time.Second, 10*time.Millisecond)
	d.wrong(t, func(t *testing.T, node tokens.Store) {
		late := c.rotation(node, c.refresh)
		late.IdleTTL = idle
		refusedFor(t, tokens.ReasonEnded, node, late)
	})
	require.False(t, c.active(t, d.right, c.access), "it ended for all")
}
