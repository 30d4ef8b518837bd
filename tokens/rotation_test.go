package tokens_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// loggedIn stores a session that ends after end and returns the client's side of it.
func loggedIn(t *testing.T, s *redistest.Server, end time.Duration) (*chain, tokens.Store) {
	t.Helper()
	node := tokens.NewRedis(openRedis(t, s, ""))
	c := &chain{skewed: &skewed{codec: tokens.NewCodec(tokens.NewServerKey())}, session: tokens.NewSessionID()}
	c.tag = c.codec.Tag("u")
	_, c.access = c.codec.NewUserAccess(c.tag, c.session)
	_, c.refresh = c.codec.NewRefresh(c.tag, c.session, 0)
	epoch, err := node.UserEpoch(t.Context(), c.tag, 3*time.Hour)
	require.NoError(t, err)
	require.NoError(t, started(node.StartSession(t.Context(), &tokens.SessionStart{Refresh: c.refresh, Access: c.access, Record: issuedNow(node), IdleTTL: time.Hour, MaxTTL: end,
		EpochTTL: 3 * time.Hour, Session: tokens.Session{Tag: c.tag, ID: c.session, ClientID: "app", UserEpoch: epoch, Subject: "u"}})))
	return c, node
}

// TestRotationLifetimes looks at how long Redis keeps what a rotation writes.
func TestRotationLifetimes(t *testing.T) {
	s := redistest.Start(t)
	for name, c := range map[string]struct{ idle, ttl, end, session, access time.Duration }{
		"the session expires by its idle TTL":                            {time.Hour, time.Minute, 2 * time.Hour, time.Hour, time.Minute},
		"and as long as its access token":                                {time.Minute, time.Hour, 2 * time.Hour, time.Hour, time.Hour},
		"RT-17 a session that ends sooner takes its access token along":  {time.Hour, time.Minute, 30 * time.Second, 30 * time.Second, 30 * time.Second},
		"RT-17 an access token that ends before it has its own life":     {time.Hour, time.Minute, 10 * time.Minute, 10 * time.Minute, time.Minute},
		"RT-17 no access token is active after a session of shorter end": {time.Minute, time.Hour, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, s.Client().FlushAll(t.Context()).Err())
			chain, node := loggedIn(t, s, c.end)
			r := chain.rotation(node, chain.refresh)
			r.IdleTTL, r.Record.TTL = c.idle, c.ttl
			out, err := node.Rotate(t.Context(), r)
			require.NoError(t, err)
			const within = float64(10 * time.Second)
			require.InDelta(t, c.access, out.AccessTTL, within)
			id := r.Access.ID()
			for kind, want := range map[string]time.Duration{"f": c.session, "t": c.access, "w": retryLife} {
				seen := false
				for _, key := range s.Client().Keys(t.Context(), kind+":*").Val() {
					if kind != "t" || strings.HasSuffix(key, string(id[:])) {
						require.InDelta(t, want, s.Client().PTTL(t.Context(), key).Val(), within, kind)
						seen = true
					}
				}
				require.True(t, seen, kind)
			}
		})
	}
}

// TestRotationOfWhatIsUnreadable damages a session in Redis: a refresh is an error then, not an
// answer, and changes nothing.
func TestRotationOfWhatIsUnreadable(t *testing.T) {
	s := redistest.Start(t)
	c, node := loggedIn(t, s, time.Hour)
	key := s.Client().Keys(t.Context(), "f:*").Val()[0]
	good := s.Client().Get(t.Context(), key).Val()
	for name, value := range map[string]string{
		"S-65 an unknown version":              "\x09" + good[1:],
		"a session cut in its header":          good[:140],
		"a session without its client's count": good[:155] + "xxxx" + good[159:],
		"an empty session":                     "",
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, s.Client().Set(t.Context(), key, value, time.Hour).Err())
			_, err := node.Rotate(t.Context(), c.rotation(node, c.refresh))
			require.ErrorIs(t, err, redisdb.ErrRefused)
			require.Equal(t, value, s.Client().Get(t.Context(), key).Val())
		})
	}
	require.NoError(t, s.Client().Set(t.Context(), key, good, time.Hour).Err())
	_, err := node.Rotate(t.Context(), c.rotation(node, c.refresh))
	require.NoError(t, err, "as it was, it goes on")
}

// TestRotationAfterTheEnd: the end in the record counts, also where Redis still holds the key.
func TestRotationAfterTheEnd(t *testing.T) {
	s := redistest.Start(t)
	c, node := loggedIn(t, s, time.Hour)
	key := s.Client().Keys(t.Context(), "f:*").Val()[0]
	require.NoError(t, s.Client().SetRange(t.Context(), key, 89, "1000000000000").Err())
	refusedFor(t, tokens.ReasonEnded, node, c.rotation(node, c.refresh))
}
