package middleware

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// in runs a test in a bubble of its own time.
func in(t *testing.T, name string, test func(t *testing.T, s *fakeServer)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newFakeServer()) })
	})
}

// asks returns how many questions do sends.
func (s *fakeServer) asks(do func()) int {
	_, before := s.counts()
	do()
	_, after := s.counts()
	return after - before
}

func TestFollowIntrospection(t *testing.T) {
	in(t, "a token is asked about once, and then answered from memory until its exp", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		exp := time.Now().Add(time.Hour)
		require.Equal(t, 1, s.asks(func() {
			for time.Now().Before(exp.Add(-2 * time.Second)) {
				require.Equal(t, "good", verdict(t, v, "gat_1"))
				time.Sleep(10 * time.Second)
			}
		}))
		time.Sleep(time.Until(exp))
		require.Equal(t, "refused", verdict(t, v, "gat_1"))
	})
	in(t, "exp by the wall clock ends a kept answer, also when the steady clock stood still", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		var stood atomic.Int64
		real := f.clock
		f.clock = func() moment { m := real(); return moment{m.wall, m.steady - time.Duration(stood.Load())} }
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		verdict(t, v, "gat_1")
		time.Sleep(time.Hour - 2*time.Second) // a second before exp by the server's clock: see keep
		stood.Store(int64(time.Hour))
		require.Zero(t, s.asks(func() { verdict(t, v, "gat_1") }))
		time.Sleep(time.Second)
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_1") }))
		time.Sleep(time.Second)
		require.Equal(t, "refused", verdict(t, v, "gat_1"))
	})
	in(t, "a token that was ended is refused at once when the end is heard of", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		for i, name := range []string{"jti-%s", "sid-%s", "rev-%s"} {
			text := fmt.Sprint("gat_", i)
			s.issue(text, time.Hour)
			require.Equal(t, "good", verdict(t, v, text))
			require.Zero(t, s.asks(func() { require.Equal(t, "good", verdict(t, v, text)) }))
			s.end(fmt.Sprintf(name, text))
			time.Sleep(40 * time.Millisecond) // at most a pause between two polls
			require.Equal(t, "refused", verdict(t, v, text))
		}
	})
	in(t, "a name that ended is asked about for ever, even if the server says active", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		s.tell("jti-gat_1")
		time.Sleep(time.Second)
		require.Equal(t, 5, s.asks(func() {
			for range 5 {
				require.Equal(t, "good", verdict(t, v, "gat_1"))
			}
		}))
	})
	in(t, "an end between question and answer: the answer is not kept", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		s.late(pathIntrospect, 500*time.Millisecond)
		time.AfterFunc(100*time.Millisecond, func() { s.end("jti-gat_1") })
		require.Equal(t, "good", verdict(t, v, "gat_1"), "it was, when it was asked about")
		require.Equal(t, "refused", verdict(t, v, "gat_1"))
	})
	in(t, "a reset during a question: the answer is not kept", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		s.late(pathIntrospect, 900*time.Millisecond)
		time.AfterFunc(100*time.Millisecond, s.lose)
		require.Equal(t, "good", verdict(t, v, "gat_1"))
		require.True(t, f.Stats().Fresh)
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_1") }))
	})
	in(t, "a reset drops kept answers, and keeps the ended names", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		s.issue("gat_2", time.Hour)
		s.tell("jti-gat_2")
		time.Sleep(s.lease / 4)
		require.Equal(t, "good", verdict(t, v, "gat_1"))
		s.lose()
		time.Sleep(time.Second)
		require.True(t, f.Stats().Fresh)
		require.EqualValues(t, 1, f.Stats().Resets)
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_1"); verdict(t, v, "gat_1") }))
		require.Equal(t, 2, s.asks(func() { verdict(t, v, "gat_2"); verdict(t, v, "gat_2") }))
	})
	in(t, "* drops kept answers, and what is being asked for; later answers are kept again", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		s.late(pathIntrospect, 300*time.Millisecond)
		time.AfterFunc(100*time.Millisecond, func() { s.tell(otherRules) })
		require.Equal(t, "good", verdict(t, v, "gat_1"))
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_1") }))
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_1") }), "a node may not know of it yet")
		time.Sleep(s.lease)
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_1"); verdict(t, v, "gat_1") }))
	})
	in(t, "answers that say too little are used once", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		for member, value := range map[string]any{"jti": nil, "sid": nil, "rev": nil, "iss": nil, "position": "", "Rev": nil} {
			text := "gat_" + member
			s.issue(text, time.Hour)
			s.say(text, member, value)
			if member == "Rev" {
				s.say(text, "rev", "x")
			}
			require.Equal(t, 2, s.asks(func() {
				require.Equal(t, "good", verdict(t, v, text))
				require.Equal(t, "good", verdict(t, v, text))
			}), member)
		}
	})
	in(t, "RFC 7662 §2.2 members that another server uses otherwise harm nothing", func(t *testing.T, s *fakeServer) {
		v := s.introspection(t, nil)
		s.issue("gat_1", time.Hour)
		for member, value := range map[string]any{"sid": 7, "rev": 1.5, "position": map[string]any{}} {
			s.say("gat_1", member, value)
		}
		require.Equal(t, "good", verdict(t, v, "gat_1"))
	})
	in(t, "an answer of another issuer is refused", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		s.say("gat_1", "iss", "https://other.example.com")
		require.Equal(t, "refused", verdict(t, v, "gat_1"))
		byURL := s.introspection(t, f, func(c *IntrospectionConfig) { c.Issuer, c.URL = "", fakeIssuer+pathIntrospect })
		require.Equal(t, 2, s.asks(func() { verdict(t, byURL, "gat_1"); verdict(t, byURL, "gat_1") }))
	})
	in(t, "an API whose clock is late keeps nothing beyond exp by the server's clock", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		s.say("gat_1", "exp", time.Now().Add(time.Hour+10*time.Second).Unix())
		s.network = func(_ *http.Request, send func() *http.Response) (*http.Response, error) {
			res := send()
			res.Header.Set("Date", time.Now().UTC().Add(time.Hour).Format(http.TimeFormat))
			return res, nil
		}
		verdict(t, v, "gat_1")
		time.Sleep(5 * time.Second)
		require.Zero(t, s.asks(func() { verdict(t, v, "gat_1") }))
		time.Sleep(5 * time.Second)
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_1") }))
	})
	in(t, "not_before ends what was issued before", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		verdict(t, v, "gat_1")
		s.set(func() { s.notBefore, s.tokens["gat_1"].active = time.Now().Unix()+1, false })
		time.Sleep(time.Second)
		require.Equal(t, "refused", verdict(t, v, "gat_1"))
		s.issue("gat_2", time.Hour)
		require.Equal(t, 1, s.asks(func() { verdict(t, v, "gat_2"); verdict(t, v, "gat_2") }))
	})
}

// late lets answers of a path be on their way for so long.
func (s *fakeServer) late(path string, d time.Duration) {
	s.set(func() {
		s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
			res := send()
			if r.URL.Path == path {
				time.Sleep(d)
			}
			return res, nil
		}
	})
}

func TestFollowBegins(t *testing.T) {
	in(t, "nothing is sent before the first check; the first one begins the polls, whatever its token", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		time.Sleep(time.Minute)
		require.Zero(t, f.Stats().Polls)
		require.Equal(t, "refused", verdict(t, v, "gat_unknown"))
		time.Sleep(s.lease)
		require.True(t, f.Stats().Fresh)
	})
}

func TestFollowStale(t *testing.T) {
	cut := func(s *fakeServer, paths ...string) {
		s.set(func() {
			for _, p := range paths {
				s.status[p] = http.StatusServiceUnavailable
			}
		})
	}
	in(t, "stale: each check asks, with follow=true; if that fails it is not known", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		warm(t, f)
		s.issue("gat_1", time.Hour)
		require.Equal(t, "good", verdict(t, v, "gat_1"))
		cut(s, pathFeed)
		time.Sleep(s.lease)
		require.False(t, f.Stats().Fresh)
		s.set(func() {
			s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
				if r.URL.Path == pathIntrospect && r.FormValue("follow") != "true" {
					return nil, errNetwork
				}
				return send(), nil
			}
		})
		require.Equal(t, 3, s.asks(func() {
			for range 3 {
				require.Equal(t, "good", verdict(t, v, "gat_1"))
			}
		}))
		cut(s, pathIntrospect)
		require.Equal(t, "unknown", verdict(t, v, "gat_1"))
		s.set(func() { clear(s.status) })
		time.Sleep(maxBackOff + s.lease/2)
		require.Zero(t, s.asks(func() { require.Equal(t, "good", verdict(t, v, "gat_1")) }), "fresh again: the kept answer was never wrong")
	})
	in(t, "the lease counts from the sending of the poll, however late the answer", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		s.late(pathFeed, 900*time.Millisecond)
		f.begin()
		time.Sleep(950 * time.Millisecond)
		require.True(t, f.Stats().Fresh)
		time.Sleep(50 * time.Millisecond)
		require.False(t, f.Stats().Fresh)
	})
	in(t, "an answer that is repeated or cached renews nothing (echo)", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		var mu sync.Mutex
		var kept []byte
		s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if r.URL.Path != pathFeed {
				return send(), nil
			}
			if kept == nil {
				kept = bytesOf(send())
			}
			return jsonResponse(r, kept), nil
		}
		warm(t, f)
		time.Sleep(2 * s.lease)
		require.False(t, f.Stats().Fresh)
		require.ErrorContains(t, f.Stats().Err, "another poll")
	})
	in(t, "an incomplete page renews no lease", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		s.set(func() { s.page = 1 })
		s.late(pathFeed, 200*time.Millisecond)
		for range 20 {
			s.tell("x")
		}
		time.Sleep(s.lease + s.lease/4)
		require.False(t, f.Stats().Fresh)
		require.NoError(t, f.Stats().Err)
		time.Sleep(4 * s.lease)
		require.True(t, f.Stats().Fresh)
	})
	in(t, "after a reset the follower is stale until the last page", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		s.set(func() {
			s.page, s.entries = 2, nil
			for range 10 {
				s.append("x")
			}
		})
		s.late(pathFeed, 50*time.Millisecond)
		time.Sleep(150 * time.Millisecond)
		require.EqualValues(t, 1, f.Stats().Resets)
		require.False(t, f.Stats().Fresh)
		time.Sleep(time.Second)
		require.True(t, f.Stats().Fresh)
	})
	in(t, "a jump of the wall clock, and a sleep of the machine, end the lease; a jump back does not renew it", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		var mu sync.Mutex
		var wall, asleep time.Duration
		real := f.clock
		f.clock = func() moment {
			mu.Lock()
			defer mu.Unlock()
			m := real()
			return moment{m.wall + wall, m.steady - asleep}
		}
		jump := func(byWall, bySleep time.Duration) {
			mu.Lock()
			wall, asleep = wall+byWall, asleep+bySleep
			mu.Unlock()
		}
		warm(t, f)
		jump(time.Hour, 0)
		require.False(t, f.Stats().Fresh, "forward")
		time.Sleep(s.lease) // the poll after the one that is held now
		require.True(t, f.Stats().Fresh)
		s.set(func() {
			s.network = func(*http.Request, func() *http.Response) (*http.Response, error) { return nil, errNetwork }
		})
		jump(-2*time.Hour, 0)
		require.True(t, f.Stats().Fresh)
		time.Sleep(s.lease)
		require.False(t, f.Stats().Fresh, "back: the steady clock ends the lease")
		s.set(func() { s.network = nil })
		time.Sleep(maxBackOff + s.lease/2)
		require.True(t, f.Stats().Fresh)
		s.set(func() {
			s.network = func(*http.Request, func() *http.Response) (*http.Response, error) { return nil, errNetwork }
		})
		time.Sleep(s.lease / 2)
		jump(0, s.lease/2) // what passed since was sleep, to the steady clock
		time.Sleep(s.lease / 2)
		require.False(t, f.Stats().Fresh, "sleep: the wall clock ends the lease")
	})
	for title, c := range map[string]struct {
		back, life time.Duration // life 0: the token has no end
		over       time.Duration
	}{
		"a token": {-10 * time.Minute, time.Minute, 2 * time.Minute}, "a key without an end": {-72 * time.Hour, 0, maxKept + time.Minute},
	} {
		in(t, "a wall clock that is put back keeps no answer longer: "+title, func(t *testing.T, s *fakeServer) {
			f := s.follower(t)
			var wall atomic.Int64
			real := f.clock
			f.clock = func() moment { m := real(); return moment{m.wall + time.Duration(wall.Load()), m.steady} }
			v := s.introspection(t, f)
			warm(t, f)
			s.issue("gat_1", cmp.Or(c.life, time.Hour))
			if c.life == 0 {
				s.say("gat_1", "exp", nil)
			}
			require.Equal(t, "good", verdict(t, v, "gat_1"))
			wall.Store(int64(c.back))
			require.Zero(t, s.asks(func() { verdict(t, v, "gat_1") }))
			time.Sleep(c.over)
			require.NotZero(t, s.asks(func() { verdict(t, v, "gat_1") }))
		})
	}
	for _, status := range []int{401, 403} {
		in(t, fmt.Sprintf("%d: stale at once, and asked again slowly", status), func(t *testing.T, s *fakeServer) {
			f := s.follower(t)
			warm(t, f)
			s.set(func() { s.status[pathFeed] = status })
			time.Sleep(s.lease/4 + s.lease/16)
			require.False(t, f.Stats().Fresh)
			before, _ := s.counts()
			time.Sleep(time.Minute)
			after, _ := s.counts()
			require.Greater(t, after, before)
			require.LessOrEqual(t, after-before, 6)
			s.set(func() { clear(s.status) })
			time.Sleep(2*refusedBackOff + s.lease)
			require.True(t, f.Stats().Fresh)
		})
	}
	in(t, "503: asked again within a quarter of the lease, so that one failure costs no lease", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		for range 50 {
			failed := false
			s.set(func() {
				s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
					if !failed {
						failed = true
						return &http.Response{StatusCode: 503, Body: http.NoBody, Header: http.Header{}}, nil
					}
					return send(), nil
				}
			})
			for range 30 {
				time.Sleep(s.lease / 15)
				require.True(t, f.Stats().Fresh)
			}
			require.True(t, failed)
		}
	})
	in(t, "503 for long: polls grow rare", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		cut(s, pathFeed)
		time.Sleep(time.Minute)
		before, _ := s.counts()
		time.Sleep(time.Minute)
		after, _ := s.counts()
		require.Less(t, after-before, 60)
	})
	in(t, "a poll that hangs is given up after half a lease, and the next goes by another connection", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		hung := make(chan time.Duration, 1)
		s.set(func() {
			s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
				s.set(func() { s.network = nil })
				begun := time.Now()
				<-r.Context().Done()
				hung <- time.Since(begun)
				return nil, r.Context().Err()
			}
		})
		require.Equal(t, s.lease/2, <-hung)
		time.Sleep(s.lease/4 + time.Millisecond)
		require.True(t, f.Stats().Fresh)
	})
	in(t, "a server that does not hold polls is not asked without end", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		s.set(func() {
			s.network = func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
				a, _ := s.read(r.FormValue("after"), r.FormValue("echo"))
				return jsonOf(r, a), nil
			}
		})
		before := f.Stats().Polls
		time.Sleep(10 * s.lease)
		require.Less(t, f.Stats().Polls-before, uint64(85))
		require.True(t, f.Stats().Fresh)
	})
	for name, bad := range map[string]func(a *pollAnswer){
		"no position":                 func(a *pollAnswer) { a.Position = "" },
		"no lease":                    func(a *pollAnswer) { a.Lease = 0 },
		"incomplete, leading nowhere": func(a *pollAnswer) { a.Complete = false },
	} {
		in(t, "an answer that says nothing renews nothing: "+name, func(t *testing.T, s *fakeServer) {
			f := s.follower(t)
			warm(t, f)
			s.set(func() {
				s.network = func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
					a, _ := s.read(r.FormValue("after"), r.FormValue("echo"))
					bad(a)
					return jsonOf(r, a), nil
				}
			})
			time.Sleep(2 * s.lease)
			require.False(t, f.Stats().Fresh)
			require.Error(t, f.Stats().Err)
			require.Less(t, f.Stats().Polls, uint64(100))
		})
	}
	in(t, "a node that stops releases a poll that it cannot answer: that is no failure, and the next node is asked at once", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		time.Sleep(s.lease)
		s.set(func() {
			s.network = func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
				s.set(func() { s.network = nil })
				return jsonOf(r, &pollAnswer{Echo: r.FormValue("echo"), Position: r.FormValue("after"), Lease: s.lease.Seconds()}), nil
			}
		})
		before := f.Stats().Polls
		time.Sleep(2 * s.lease)
		require.GreaterOrEqual(t, f.Stats().Polls-before, uint64(8))
		require.Zero(t, f.Stats().Failures)
		require.True(t, f.Stats().Fresh)
	})
	in(t, "400: the position is none of this server: the follower begins anew", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		s.set(func() {
			s.network = func(r *http.Request, send func() *http.Response) (*http.Response, error) {
				if r.FormValue("after") != "" {
					s.set(func() { s.network = nil })
					return &http.Response{StatusCode: 400, Body: http.NoBody, Header: http.Header{}}, nil
				}
				return send(), nil
			}
		})
		time.Sleep(2 * s.lease)
		require.True(t, f.Stats().Fresh)
		require.EqualValues(t, 1, f.Stats().Resets)
	})
	in(t, "a server whose lease is made longer holds polls longer, and is followed again", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		warm(t, f)
		s.set(func() { s.status[pathFeed] = http.StatusServiceUnavailable })
		time.Sleep(s.lease)
		s.set(func() { s.lease, s.status = maxLease, map[string]int{} })
		time.Sleep(2 * maxLease)
		for range 100 {
			require.True(t, f.Stats().Fresh)
			time.Sleep(time.Second)
		}
	})
	in(t, "MaxLease shortens the lease", func(t *testing.T, s *fakeServer) {
		f := s.follower(t, func(c *FollowerConfig) { c.MaxLease = 700 * time.Millisecond })
		warm(t, f)
		s.set(func() {
			s.network = func(*http.Request, func() *http.Response) (*http.Response, error) { return nil, errNetwork }
		})
		time.Sleep(710 * time.Millisecond)
		require.False(t, f.Stats().Fresh)
	})
	in(t, "a follower that is closed, or was never begun, is stale", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		s.issue("gat_1", time.Hour)
		warm(t, f)
		verdict(t, v, "gat_1")
		f.Close()
		require.Equal(t, 1, s.asks(func() { require.Equal(t, "good", verdict(t, v, "gat_1")) }))
		never := s.follower(t)
		never.Close()
		never.Close()
		require.Equal(t, 1, s.asks(func() { verdict(t, s.introspection(t, never), "gat_1") }))
	})
}

func TestFollowQuestions(t *testing.T) {
	in(t, "V-25 one question about a token at a time, also while stale", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		s.set(func() { s.status[pathFeed] = 503 })
		s.issue("gat_1", time.Hour)
		s.late(pathIntrospect, 100*time.Millisecond)
		asked := s.asks(func() {
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() { require.Equal(t, "good", verdict(t, v, "gat_1")) })
			}
			wg.Wait()
		})
		require.LessOrEqual(t, asked, 2)
	})
	in(t, "who comes while an answer is on its way does not take it: it may be older than the lease", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f, func(c *IntrospectionConfig) { c.Timeout = time.Minute })
		s.set(func() { s.status[pathFeed] = 503 })
		s.issue("gat_1", time.Hour)
		s.late(pathIntrospect, 10*time.Second)
		go func() { require.Equal(t, "good", verdict(t, v, "gat_1")) }()
		time.Sleep(time.Second)
		s.end("jti-gat_1")
		time.Sleep(2 * s.lease)
		require.Equal(t, "refused", verdict(t, v, "gat_1"))
	})
	in(t, "questions are bounded: others wait, and at most for Timeout", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f, func(c *IntrospectionConfig) { c.MaxQuestions, c.Timeout = 2, time.Second })
		s.late(pathIntrospect, 600*time.Millisecond)
		var wg sync.WaitGroup
		var mu sync.Mutex
		said := map[string]int{}
		for i := range 6 {
			text := fmt.Sprint("gat_question-", i)
			s.issue(text, time.Hour)
			wg.Go(func() {
				word := verdict(t, v, text)
				mu.Lock()
				said[word]++
				mu.Unlock()
			})
		}
		wg.Wait()
		require.Equal(t, map[string]int{"good": 4, "unknown": 2}, said)
	})
	in(t, "who goes away is no failure of those who wait", func(t *testing.T, s *fakeServer) {
		f := s.follower(t)
		v := s.introspection(t, f)
		s.issue("gat_1", time.Hour)
		s.late(pathIntrospect, 500*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = v.Verify(ctx, "gat_1") }()
		synctest.Wait()
		time.AfterFunc(100*time.Millisecond, cancel)
		require.Equal(t, "good", verdict(t, v, "gat_1"))
	})
}
