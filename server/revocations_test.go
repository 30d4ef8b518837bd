package server

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens/feed"
)

const feedP = "/oauth2/revocations"

// poll asks as a resource server.
func (f *fixture) poll(t *testing.T, form string) reply {
	t.Helper()
	return f.post(t, feedP, "orders-api:rs", form)
}

// ends appends names to the feed, as a revocation does.
func (f *fixture) ends(t *testing.T, names ...string) {
	t.Helper()
	require.NoError(t, f.store.Feed().Append(t.Context(), feed.End{Names: names}))
}

// feedEnd returns the position of the end of the feed.
func (f *fixture) feedEnd(t *testing.T) string {
	t.Helper()
	r := f.poll(t, "")
	require.Equal(t, 200, r.status, r.body)
	require.Equal(t, true, r.json["complete"])
	return r.text("position")
}

func after(position string) string { return "after=" + url.QueryEscape(position) }

func TestPollRefusals(t *testing.T) {
	f := start(t)
	t.Run("RFC 7662 §2.1 only a client with credentials", func(t *testing.T) {
		for _, basic := range []string{"", "orders-api:wrong", "nobody:rs"} {
			r := f.post(t, feedP, basic, "")
			refused(t, r, 401, codeInvalidClient)
			require.NotEmpty(t, r.header.Get("WWW-Authenticate"))
		}
		refused(t, f.post(t, feedP, "", "client_id=public"), 401, codeInvalidClient)
	})
	t.Run("only a client with introspect = audience or any", func(t *testing.T) {
		r := f.post(t, feedP, app, "")
		refused(t, r, 403, codeUnauthorizedClient)
		require.Contains(t, r.text("error_description"), "introspect = 'audience' or 'any'")
		require.Equal(t, 200, f.post(t, feedP, "gateway:rs", "").status)
	})
	t.Run("RFC 6749 §3.2 POST only, a form, no parameter twice, nothing from the query", func(t *testing.T) {
		require.Equal(t, 405, f.call(t, "GET", feedP, "", authorization("gateway:rs")).status)
		refused(t, f.call(t, "POST", feedP, `{}`, authorization("gateway:rs"), "Content-Type: application/json"), 400, codeInvalidRequest)
		for _, name := range []string{"after", "echo"} {
			r := f.poll(t, name+"=1&"+name+"=1")
			refused(t, r, 400, codeInvalidRequest)
			require.Contains(t, r.text("error_description"), "the parameter "+name+" occurs twice")
		}
		r := f.call(t, "POST", feedP+"?echo=x", "", authorization("gateway:rs"), formHeader)
		require.Equal(t, "", r.text("echo"))
	})
	t.Run("after and echo within bounds", func(t *testing.T) {
		for form, says := range map[string]string{
			"after=" + strings.Repeat("1", 129): "after is no position",
			"after=%22":                         "after is no position",
			"after=1+2":                         "after is no position",
			// a node remembers positions that are gone: nobody may fill its memory
			"after=1-1." + strings.Repeat("AAAA", 10000): "after is no position",
			"after=$":                         "after is no position",
			"after=latest":                    "after is no position",
			"echo=" + strings.Repeat("e", 65): "echo is longer than 64 bytes",
		} {
			r := f.poll(t, form)
			refused(t, r, 400, codeInvalidRequest)
			require.Contains(t, r.text("error_description"), says)
		}
	})
	t.Run("without a feed the endpoint is not there, nor in the metadata", func(t *testing.T) {
		f := start(t, func(c *Config) { c.Feed = nil })
		refused(t, f.poll(t, ""), 404, codeInvalidRequest)
		require.NotContains(t, f.call(t, "GET", "/.well-known/oauth-authorization-server", "").json, "revocation_feed_endpoint")
	})
}

func TestPoll(t *testing.T) {
	f := start(t)
	t.Run("no after: from the first entry; position, lease, complete, echo; no-store", func(t *testing.T) {
		f.ends(t, "n1", "n2")
		r := f.poll(t, "echo="+url.QueryEscape("a \"b\" é"))
		require.Equal(t, 200, r.status)
		require.Equal(t, "no-store", r.header.Get("Cache-Control"))
		require.Equal(t, map[string]any{"echo": "a \"b\" é", "lease": fixtureLease.Seconds(), "complete": true,
			"position": r.json["position"], "ended": []any{"n1", "n2"}}, r.json)
		require.NotEmpty(t, r.text("position"))
	})
	t.Run("a poll is held for lease/4 at most when nothing ended", func(t *testing.T) {
		at, begun := f.feedEnd(t), time.Now()
		r := f.poll(t, after(at))
		require.Greater(t, time.Since(begun), fixtureLease/8)
		require.Less(t, time.Since(begun), fixtureLease)
		require.Equal(t, at, r.text("position"))
		require.Equal(t, []any{}, r.json["ended"])
		require.Equal(t, true, r.json["complete"])
	})
	t.Run("a poll is answered when something ends", func(t *testing.T) {
		at := f.feedEnd(t)
		time.AfterFunc(20*time.Millisecond, func() { f.ends(t, "n3") })
		require.Equal(t, []any{"n3"}, f.poll(t, after(at)).json["ended"])
	})
	t.Run("an unknown position: reset, and all from the first entry", func(t *testing.T) {
		r := f.poll(t, "after=1-0.unknownplace")
		require.Equal(t, true, r.json["reset"])
		require.Equal(t, []any{"n1", "n2", "n3"}, r.json["ended"])
	})
	t.Run("not_before is in seconds, where it is configured", func(t *testing.T) {
		f := start(t, func(c *Config) { c.NotBefore = time.Unix(1_700_000_000, 0) })
		require.InDelta(t, 1_700_000_000, f.poll(t, "").json["not_before"], 0)
	})
	t.Run("RFC 8414 §2 the metadata names the endpoint", func(t *testing.T) {
		r := f.call(t, "GET", "/.well-known/oauth-authorization-server", "")
		require.Equal(t, f.URL+feedP, r.text("revocation_feed_endpoint"))
	})
}

func TestPollWithoutStore(t *testing.T) {
	f := start(t)
	at := f.feedEnd(t)
	gone := error(errStoreGone)
	f.store.stream.broken.Store(&gone)
	for range 5 {
		for _, form := range []string{"", after(at)} {
			r := f.poll(t, form)
			refused(t, r, 503, codeUnavailable)
			require.NotEmpty(t, r.header.Get("Retry-After"))
			require.NotContains(t, r.body, "10.1.2.3")
		}
	}
	require.Equal(t, 1, strings.Count(f.log.String(), `"level":"ERROR"`), "one failure, one line: %s", f.log)
	f.store.stream.broken.Store(nil)
	f.store.stream.foreign.Store(true)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		r := f.poll(t, "")
		require.Equal(c, 503, r.status)
		require.Contains(c, r.text("error_description"), "grantor feed enable")
	}, 5*time.Second, 10*time.Millisecond)
}

func TestPollsCostNoOthers(t *testing.T) {
	t.Run("requests_per_second does not count polls: they use up nothing that the API introspects with", func(t *testing.T) {
		f := start(t, func(c *Config) { c.RequestsPerSecond = 2 })
		f.ends(t, "n1")
		for range 20 {
			require.Equal(t, 200, f.poll(t, "").status)
		}
		require.Equal(t, 200, f.post(t, intP, "orders-api:rs", "token=x").status)
		require.Equal(t, 200, f.post(t, intP, "orders-api:rs", "token=x").status)
		require.Equal(t, 429, f.post(t, intP, "orders-api:rs", "token=x").status)
	})
	t.Run("a held poll takes no place of other requests", func(t *testing.T) {
		f := start(t)
		at := f.feedEnd(t)
		f.server.overload.maximum = 4
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() { f.poll(t, after(at)) })
			time.Sleep(time.Millisecond) // while it comes in, it counts
		}
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
		all.Wait()
		require.Zero(t, f.server.overload.requests.Load())
		require.Zero(t, f.server.PollsHeld())
	})
	t.Run("an overloaded node refuses polls as late as introspection", func(t *testing.T) {
		f := start(t)
		f.server.overload.requests.Store(f.server.overload.maximum * 3 / 4)
		refused(t, f.post(t, revP, app, "token=x"), 503, codeUnavailable)
		require.Equal(t, 200, f.poll(t, "").status)
		f.server.overload.requests.Store(f.server.overload.maximum)
		refused(t, f.poll(t, ""), 503, codeUnavailable)
		require.Equal(t, f.server.overload.maximum, f.server.overload.requests.Load())
	})
	t.Run("polls have places of their own, and one client leaves some for the next", func(t *testing.T) {
		var p pollPlaces
		n := 0
		for p.enter("greedy") == nil {
			n++
		}
		require.InDelta(t, maxPolls*pollShare/(pollShare+1), n, 2)
		require.NoError(t, p.enter("modest"))
		for range n + 1 {
			p.leave("greedy")
		}
		p.leave("modest")
		require.Zero(t, p.all)
		require.Empty(t, p.byClient)
	})
	t.Run("polls that are answered are no lines of the log at info", func(t *testing.T) {
		f := start(t)
		f.feedEnd(t)
		require.NotContains(t, f.log.String(), `"level":"INFO"`)
		require.Contains(t, f.log.String(), feedP)
	})
}

func TestPollEndsEarly(t *testing.T) {
	long := func(c *Config) {
		r, err := feed.NewReader(c.Store.Feed(), time.Minute, c.Log)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		go r.Run(ctx)
		c.Feed = r.View(staticRegistry{c.Clients.(*clients.Configured)})
	}
	t.Run("the drain answers held polls at once", func(t *testing.T) {
		f := start(t, long)
		at := f.feedEnd(t)
		time.AfterFunc(50*time.Millisecond, f.server.Drain)
		begun := time.Now()
		r := f.poll(t, after(at))
		require.Less(t, time.Since(begun), 3*time.Second)
		require.Equal(t, 200, r.status)
		require.Equal(t, at, r.text("position"))
		begun = time.Now()
		r = f.poll(t, after(at)) // it comes later, and neither waits for long nor spins
		require.Less(t, time.Since(begun), 3*time.Second)
		require.GreaterOrEqual(t, time.Since(begun), drainHold/2)
		require.Equal(t, true, r.json["complete"])
		f.server.Drain() // again
	})
	t.Run("verifiers that hang up leave nothing", func(t *testing.T) {
		f := start(t, long)
		at := f.feedEnd(t)
		before := runtime.NumGoroutine()
		var all []net.Conn
		for range 100 {
			all = append(all, f.rawPoll(t, at))
		}
		require.Eventually(t, func() bool { return f.server.PollsHeld() == 100 }, 5*time.Second, time.Millisecond)
		for _, c := range all {
			require.NoError(t, c.Close())
		}
		require.Eventually(t, func() bool { return f.server.PollsHeld() == 0 }, 5*time.Second, 10*time.Millisecond)
		require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+10 }, 5*time.Second, 10*time.Millisecond)
	})
}

// rawPoll sends a poll on a connection of its own, and reads no answer.
func (f *fixture) rawPoll(t *testing.T, at string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	require.NoError(t, err)
	body := after(at)
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", feedP, authorization("gateway:rs"), formHeader, len(body), body)
	require.NoError(t, err)
	return c
}

// follow introspects as a verifier that follows.
func (f *fixture) follow(t *testing.T, token string) reply {
	t.Helper()
	return f.post(t, intP, "gateway:rs", "follow=true&token="+url.QueryEscape(token))
}

func TestIntrospectionNames(t *testing.T) {
	f := start(t)
	token := f.issue(t, "")
	t.Run("RFC 7662 §2.2 rev names what ends a client's token; a machine has no sid", func(t *testing.T) {
		r := f.inspect(t, token)
		require.Equal(t, []any{f.clientName(t, "app")}, r.json["rev"])
		require.NotContains(t, r.json, "sid")
		require.NotContains(t, r.json, "position")
	})
	t.Run("follow=true: the position that was applied before", func(t *testing.T) {
		f.ends(t, "n1")
		r := f.follow(t, token)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, f.feedEnd(t), r.text("position"))
		refused(t, f.post(t, intP, "gateway:rs", "follow=yes&token="+token), 400, codeInvalidRequest)
	})
	t.Run("follow=true of an inactive token: exactly {active:false}", func(t *testing.T) {
		require.Equal(t, dead, f.follow(t, "x").body)
	})
	t.Run("follow=true of a node that cannot read the feed: 503, and others are answered", func(t *testing.T) {
		gone := error(errStoreGone)
		f.store.stream.broken.Store(&gone)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			r := f.follow(t, token)
			require.Equal(c, 503, r.status)
			require.NotEmpty(c, r.header.Get("Retry-After"))
		}, 5*time.Second, 10*time.Millisecond)
		require.Equal(t, true, f.inspect(t, token).json["active"])
	})
	t.Run("follow=true before the feed is enabled: an answer without a position, which no verifier keeps", func(t *testing.T) {
		f.store.stream.broken.Store(nil)
		f.store.stream.foreign.Store(true)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			r := f.follow(t, token)
			require.Equal(c, true, r.json["active"], r.body)
			require.NotContains(c, r.json, "position")
		}, 5*time.Second, 10*time.Millisecond)
	})
}

// clientName is the name of a client's present tokens.
func (f *fixture) clientName(t *testing.T, id string) string {
	t.Helper()
	c, err := f.registry.Get(t.Context(), id)
	require.NoError(t, err)
	return feed.Client(c.Epoch, c.Edition)
}
