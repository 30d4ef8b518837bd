package middleware

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFollowJWT(t *testing.T) {
	in(t, "a JWT is asked about by nobody while the feed is fresh", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.jwt(t, f, s.introspection(t, f))
		warm(t, f)
		text := s.issueJWT(t, "1", nil)
		require.Zero(t, s.asks(func() {
			for range 5 {
				require.Equal(t, "good", verdict(t, v, text))
				time.Sleep(time.Minute)
			}
		}))
		require.EqualValues(t, 5, f.Stats().Hits)
	})
	for _, name := range []string{"jti-1", "sid-1", "rev-1", "client"} {
		in(t, "a JWT of which a name ended is refused, with a server to ask and without: "+name, func(t *testing.T, s *fakeServer) {
			f := s.follower(t)
			asking, alone := s.jwt(t, f, s.introspection(t, f)), s.jwt(t, f, nil)
			warm(t, f)
			text, other := s.issueJWT(t, "1", nil), s.issueJWT(t, "2", map[string]any{"rev": []string{"elsewhere"}})
			for _, v := range []*JWT{asking, alone} {
				require.Equal(t, "good", verdict(t, v, text))
			}
			s.end(name)
			time.Sleep(40 * time.Millisecond)
			require.Zero(t, s.asks(func() { require.Equal(t, "refused", verdict(t, alone, text)) }))
			require.Equal(t, 1, s.asks(func() { require.Equal(t, "refused", verdict(t, asking, text)) }))
			require.Equal(t, "good", verdict(t, alone, other))
		})
	}
	in(t, "a JWT without names is asked about, or refused", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		asking, alone := s.jwt(t, f, s.introspection(t, f)), s.jwt(t, f, nil)
		warm(t, f)
		for i, change := range []map[string]any{{"rev": nil}, {"sid": nil}, {"rev": 1.5}, {"rev": []string{}}, {"rev": make([]string, maxNames+1)}, {"sid": 7}} {
			text := s.issueJWT(t, fmt.Sprint(i), change)
			require.Equal(t, 1, s.asks(func() { require.Equal(t, "good", verdict(t, asking, text)) }), "%v", change)
			require.Equal(t, "refused", verdict(t, alone, text), "%v", change)
		}
		machine := s.issueJWT(t, "m", map[string]any{"sid": nil, "sub": "app", "sub_type": "client"})
		require.Equal(t, "good", verdict(t, alone, machine), "a machine has no session")
	})
	in(t, "stale: a JWT is asked about each time, or it is not known", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		asking, alone := s.jwt(t, f, s.introspection(t, f)), s.jwt(t, f, nil)
		warm(t, f)
		text := s.issueJWT(t, "1", nil)
		s.set(func() { s.status[pathFeed] = http.StatusServiceUnavailable })
		time.Sleep(s.lease)
		require.Equal(t, 2, s.asks(func() {
			require.Equal(t, "good", verdict(t, asking, text))
			require.Equal(t, "good", verdict(t, asking, text))
		}))
		require.Equal(t, "unknown", verdict(t, alone, text))
		s.set(func() { s.status[pathIntrospect] = http.StatusServiceUnavailable })
		require.Equal(t, "unknown", verdict(t, asking, text))
	})
	in(t, "a forged or foreign JWT is refused without a question, also while stale", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.jwt(t, f, s.introspection(t, f))
		s.set(func() { s.status[pathFeed] = http.StatusServiceUnavailable })
		text := s.issueJWT(t, "1", nil)
		require.Zero(t, s.asks(func() {
			require.Equal(t, "refused", verdict(t, v, text[:len(text)-20]+swap(text[len(text)-20])+text[len(text)-19:]))
			require.Equal(t, "refused", verdict(t, v, s.issueJWT(t, "2", map[string]any{"iss": "https://x.example.com"})))
		}))
	})
	in(t, "not_before refuses what was issued before", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.jwt(t, f, nil)
		old := s.issueJWT(t, "1", nil)
		time.Sleep(10 * time.Second)
		s.set(func() { s.notBefore = time.Now().Unix() })
		warm(t, f)
		require.Equal(t, "refused", verdict(t, v, old))
		require.Equal(t, "good", verdict(t, v, s.issueJWT(t, "2", nil)))
	})
	in(t, "a compromised key: its kid ends every JWT that names it, later ones too", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		alone := s.jwt(t, f, nil)
		warm(t, f)
		text := s.issueJWT(t, "1", nil)
		require.Equal(t, "good", verdict(t, alone, text))
		s.tell("ec")
		time.Sleep(40 * time.Millisecond)
		require.Equal(t, "refused", verdict(t, alone, text))
		require.Equal(t, "refused", verdict(t, alone, s.issueJWT(t, "2", nil)), "made by whoever has the key")
	})
	in(t, "*: other scopes are in force: a JWT goes on", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		alone := s.jwt(t, f, nil)
		warm(t, f)
		text := s.issueJWT(t, "1", nil)
		s.tell(otherRules)
		time.Sleep(40 * time.Millisecond)
		require.EqualValues(t, 1, f.Stats().Resets)
		require.Equal(t, "good", verdict(t, alone, text))
	})
	in(t, "?: no JWT is taken without asking while one may live that was issued before", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		alone, asking := s.jwt(t, f, nil), s.jwt(t, f, s.introspection(t, f))
		warm(t, f)
		text := s.issueJWT(t, "1", nil)
		require.Equal(t, "good", verdict(t, alone, text))
		s.end(nameless)
		time.Sleep(40 * time.Millisecond)
		require.Equal(t, "refused", verdict(t, alone, text))
		require.Equal(t, "refused", verdict(t, asking, text))
		time.Sleep(2 * time.Second)
		soon := s.issueJWT(t, "2", nil)
		require.Equal(t, "good", verdict(t, asking, soon))
		require.Equal(t, "refused", verdict(t, alone, soon), "a node with another clock may have issued it before")
		time.Sleep(maxSkew + time.Second)
		later := s.issueJWT(t, "3", nil)
		require.Equal(t, "good", verdict(t, alone, later))
		require.Equal(t, 1, s.asks(func() { require.Equal(t, "good", verdict(t, asking, later)) }))
		s.wait(retention)
		require.Equal(t, "good", verdict(t, asking, s.issueJWT(t, "4", nil)))
		require.Zero(t, s.asks(func() { require.Equal(t, "good", verdict(t, asking, s.issueJWT(t, "5", nil))) }))
	})
	in(t, "Either and HighRisk go on working", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		introspection := s.introspection(t, f)
		local := s.jwt(t, f, introspection)
		warm(t, f)
		either, strict := Either(introspection, local), HighRisk(local, introspection)
		text := s.issueJWT(t, "1", nil)
		s.issue("gat_2", time.Hour)
		for range 3 {
			require.Equal(t, "good", verdict(t, either, text))
			require.Equal(t, "good", verdict(t, either, "gat_2"))
			require.Equal(t, "good", verdict(t, strict, text))
		}
		_, asked := s.counts()
		require.Equal(t, 2, asked)
		s.end("client")
		time.Sleep(40 * time.Millisecond)
		require.Equal(t, "refused", verdict(t, either, text))
		require.Equal(t, "refused", verdict(t, either, "gat_2"))
		require.Equal(t, "refused", verdict(t, strict, text))
	})
	in(t, "a JWT of which the server says another session is no token", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.jwt(t, f, s.introspection(t, f))
		text := s.issueJWT(t, "1", nil)
		s.say(text, "sid", "another")
		require.Equal(t, "refused", verdict(t, v, text))
	})
}

func TestFollowColdStart(t *testing.T) {
	in(t, "a verifier that starts after 10,000 ends refuses all 10,000, and takes the others", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		alone, v := s.jwt(t, f, nil), s.introspection(t, f)
		const many = 10_000
		for i := range many {
			s.tell(fmt.Sprint("jti-", i))
		}
		warm(t, f)
		require.Equal(t, many, f.Stats().Entries)
		for i := range many {
			require.True(t, f.ended.hasAny([]uint64{f.ended.hash(fmt.Sprint("jti-", i))}))
		}
		for i := 0; i < many; i += 500 {
			require.Equal(t, "refused", verdict(t, alone, s.issueJWT(t, fmt.Sprint(i), nil)))
		}
		require.Equal(t, "good", verdict(t, alone, s.issueJWT(t, fmt.Sprint(many), nil)))
		require.Equal(t, "good", verdict(t, v, s.issueJWT(t, fmt.Sprint(many+1), nil)))
	})
	in(t, "until the last page came, nothing is taken from memory", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		alone := s.jwt(t, f, nil)
		for i := range 50 {
			s.tell(fmt.Sprint("jti-", i))
		}
		s.page = 10
		s.late(pathFeed, 100*time.Millisecond)
		text := s.issueJWT(t, "49", nil)
		for range 6 {
			require.Equal(t, "unknown", verdict(t, alone, text))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, "refused", verdict(t, alone, text))
	})
}

func TestFollowHorizon(t *testing.T) {
	in(t, "more ends than MaxEnded: answers are dropped and every JWT is asked about, for as long as one may live", func(t *testing.T, s *fakeServer) {
		f := s.follower(t, func(c *FollowerConfig) { c.MaxEnded = minMaxEnded })
		v := s.introspection(t, f)
		alone, asking := s.jwt(t, f, nil), s.jwt(t, f, v)
		warm(t, f)
		ended, good := s.issueJWT(t, "1", nil), s.issueJWT(t, "2", nil)
		s.issue("gat_1", 2*retention)
		s.issue("gat_2", 2*retention)
		verdict(t, v, "gat_1")
		s.end("jti-1", "jti-gat_1")
		for i := range 2 * minMaxEnded {
			s.tell(fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		require.LessOrEqual(t, f.Stats().Entries, minMaxEnded)
		require.False(t, f.ended.hasAny([]uint64{f.ended.hash("jti-1")}), "it was forgotten")
		require.Equal(t, "refused", verdict(t, alone, ended))
		require.Equal(t, "refused", verdict(t, alone, good))
		require.Equal(t, "refused", verdict(t, asking, ended))
		require.Equal(t, "good", verdict(t, asking, good))
		require.Equal(t, "refused", verdict(t, v, "gat_1"))
		require.Equal(t, 2, s.asks(func() { verdict(t, v, "gat_2"); verdict(t, v, "gat_2") }))
		time.Sleep(s.lease + endDelay)
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_2"); verdict(t, v, "gat_2") }))
		s.wait(retention)
		require.Equal(t, "good", verdict(t, alone, s.issueJWT(t, "3", nil)))
	})
	in(t, "a name is forgotten when no token can live that it ended, and not before", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		name := []uint64{f.ended.hash("x")}
		s.tell("x")
		s.wait(retention)
		require.True(t, f.ended.hasAny(name))
		s.wait(retention/generationCount + time.Minute)
		require.False(t, f.ended.hasAny(name))
		require.Zero(t, f.Stats().Entries)
		require.Zero(t, f.Stats().Resets)
	})
}

// wait lets much time pass with few polls.
func (s *fakeServer) wait(d time.Duration) {
	s.set(func() { s.lease = time.Minute })
	time.Sleep(d)
}
