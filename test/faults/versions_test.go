package faults_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestTwoVersions runs an older version of this program and this one on one Redis, as a rolling
// update does.
func TestTwoVersions(t *testing.T) {
	redistest.Need(t)
	for _, rev := range olderRevisions() {
		older := olderProgram(t, rev)
		t.Run("S-65 two versions on one Redis: what one of them grants the other shows, retries, refreshes and ends ("+rev+")", func(t *testing.T) {
			v := serveBoth(t, redistest.Start(t), older)
			for _, way := range v.ways() {
				v.crossTokens(t, way[0], way[1])
				v.crossSessions(t, way[0], way[1])
				v.crossLogout(t, way[0], way[1])
			}
			figure(t, "S-65", fmt.Sprintf("%s and this version on one Redis, from each to the other: %d answers, all as from one version", rev, v.asked.Load()), "all pass")
		})
		if rev != oldestCompatible { // that version has no JWTs
			t.Run("S-65 two versions on one Redis, with JWTs: the digest in a record changes no answer of the older version ("+rev+")", func(t *testing.T) {
				v := serveBoth(t, redistest.Start(t), older, "[tokens]\naccess_token_format = \"jwt\"\n[keys]\nencryption_key = \"0123456789abcdefghijklmnopqrstuvwxyzABCD\"\n")
				for _, way := range v.ways() {
					v.crossJWT(t, way[0], way[1])
				}
			})
		}
		t.Run("S-65 a rolling update under load, and back again: no wrong answer, nothing lost, nothing refused ("+rev+")", func(t *testing.T) {
			rollingUpdate(t, rev, older)
		})
		t.Run("S-65 a record of a version that neither knows is 503 or inactive, and never a panic ("+rev+")", func(t *testing.T) {
			unknownRecords(t, rev, older)
		})
	}
}

// versions are a node of each, asked by one caller.
type versions struct {
	d        *deployment
	earlier  *deployment // d, as the old one reads it
	*caller              // of both
	old, now *node
	asked    atomic.Int64
}

func serveBoth(t *testing.T, s *redistest.Server, older string, more ...string) *versions {
	t.Helper()
	d := deploy(t, single(s.Addr), more...)
	v := &versions{d: d, earlier: d.forOlder(t), caller: newCaller(d)}
	v.old, v.now = v.earlier.serveBy(t, older), d.serve(t)
	return v
}

func (v *versions) ways() [][2]*node { return [][2]*node{{v.old, v.now}, {v.now, v.old}} }

// ok demands a 200.
func (v *versions) ok(t *testing.T, a answer) answer {
	t.Helper()
	v.asked.Add(1)
	require.Equal(t, 200, a.status, "%s %v", a.body, a.err)
	return a
}

// shows demands that both versions say that a token is active, or that it is not.
func (v *versions) shows(t *testing.T, active bool, list ...*token) {
	t.Helper()
	for _, tok := range list {
		for _, n := range []*node{v.old, v.now} {
			a := v.ok(t, v.introspect(t.Context(), n, tok.text))
			if active {
				require.True(t, a.Active && tok.owns(a), a.body)
			} else {
				require.Equal(t, `{"active":false}`, a.body)
			}
		}
	}
}

// ended demands that a refresh token is refused by both.
func (v *versions) ended(t *testing.T, refresh string) {
	t.Helper()
	for _, n := range []*node{v.old, v.now} {
		v.asked.Add(1)
		a := v.refresh(t.Context(), n, refresh)
		require.Equal(t, "400 invalid_grant", fmt.Sprint(a.status, " ", a.Code))
	}
}

func (v *versions) enter(t *testing.T, n *node, user int) (refresh string, access *token) {
	t.Helper()
	a := v.ok(t, v.login(t.Context(), n, fmt.Sprintf("user-%d", user)))
	return a.Refresh, ofUser(user, a)
}

func ofUser(user int, a answer) *token {
	return &token{text: a.Access, client: "app", sub: fmt.Sprintf("u-%d", user)}
}

// crossTokens: a machine's token is issued here and revoked there.
func (v *versions) crossTokens(t *testing.T, here, there *node) {
	for _, machine := range v.d.machines {
		a := v.ok(t, v.issue(t.Context(), here, machine))
		tok := &token{text: a.Access, client: machine, sub: machine}
		v.shows(t, true, tok)
		v.ok(t, v.revoke(t.Context(), there, "machine-3", "x"+tok.text))
		v.shows(t, true, tok)
		v.ok(t, v.revoke(t.Context(), there, machine, tok.text))
		v.shows(t, false, tok)
	}
}

// withoutNames is an introspection answer without the names of the revocation feed, which earlier
// versions do not know.
func withoutNames(body string) string {
	return regexp.MustCompile(`,"(sid":"[^"]*"|rev":\[[^]]*\])`).ReplaceAllString(body, "")
}

// crossJWT: both versions say the same of a client's and of a user's JWT, member by member, and
// refuse a forged one; what the other version revokes is inactive at both.
func (v *versions) crossJWT(t *testing.T, here, there *node) {
	ctx := t.Context()
	for owner, jwt := range map[string]string{"machine-0": v.ok(t, v.issue(ctx, here, "machine-0")).Access,
		"app": v.ok(t, v.login(ctx, here, "user-1")).Access} {
		require.Equal(t, 2, strings.Count(jwt, "."))
		said := v.ok(t, v.introspect(ctx, here, jwt))
		require.True(t, said.Active, said.body)
		require.Equal(t, withoutNames(said.body), withoutNames(v.ok(t, v.introspect(ctx, there, jwt)).body))
		for _, n := range []*node{here, there} {
			require.Equal(t, `{"active":false}`, v.ok(t, v.introspect(ctx, n, jwt[:len(jwt)-6]+"AAAAAA")).body)
		}
		v.ok(t, v.revoke(ctx, there, owner, jwt))
		for _, n := range []*node{here, there} {
			require.Equal(t, `{"active":false}`, v.ok(t, v.introspect(ctx, n, jwt)).body)
		}
	}
}

// crossSessions: a session begins here, goes on there, and its lost answer is repeated here; reuse
// ends it on both.
func (v *versions) crossSessions(t *testing.T, here, there *node) {
	ctx := t.Context()
	first, access := v.enter(t, here, 1)
	v.shows(t, true, access)
	a := v.ok(t, v.refresh(ctx, there, first))
	again := v.ok(t, v.refresh(ctx, here, first))
	require.Equal(t, [2]string{a.Access, a.Refresh}, [2]string{again.Access, again.Refresh}, "RT-16 the sealed answer is opened by the other version")
	second := ofUser(1, a)
	v.shows(t, true, access, second)
	v.ok(t, v.revoke(ctx, there, "app", access.text))
	v.shows(t, false, access)
	b := v.ok(t, v.refresh(ctx, here, a.Refresh))
	c := v.ok(t, v.refresh(ctx, there, b.Refresh))
	third := ofUser(1, c)
	v.shows(t, true, second, third)
	v.ended(t, a.Refresh) // two generations ago: reuse
	v.ended(t, c.Refresh)
	v.shows(t, false, second, third)
}

// crossLogout: a logout there ends what began here, of one device and of all.
func (v *versions) crossLogout(t *testing.T, here, there *node) {
	refresh, access := v.enter(t, here, 2)
	other, stays := v.enter(t, there, 2)
	v.ok(t, v.revoke(t.Context(), there, "app", refresh))
	v.shows(t, false, access)
	v.ended(t, refresh)
	v.shows(t, true, stays)
	third, more := v.enter(t, here, 2)
	require.Equal(t, 2, strings.Count(v.command(t, there, "user", "sessions", "user-2", "--json"), `"client_id"`), "both devices are seen")
	v.command(t, there, "user", "logout", "user-2", "--all", "--yes")
	v.shows(t, false, stays, more)
	v.ended(t, other)
	v.ended(t, third)
	refresh, access = v.enter(t, here, 2)
	v.shows(t, true, access)
	v.ok(t, v.revoke(t.Context(), here, "app", refresh))
}

// command runs the command line of a node's version.
func (v *versions) command(t *testing.T, n *node, args ...string) string {
	t.Helper()
	v.asked.Add(1)
	d := v.d
	if n == v.old {
		d = v.earlier
	}
	out, err := exec.Command(n.Cmd.Path, append(args, "--config", d.config)...).CombinedOutput() // #nosec G204 -- a program that this test built
	require.NoError(t, err, string(out))
	return string(out)
}

// rollingUpdate puts new nodes in the place of old ones behind a balancer, and then an old one
// back.
func rollingUpdate(t *testing.T, rev, older string) {
	d := deploy(t, single(redistest.Start(t).Addr))
	earlier := d.forOlder(t)
	nodes := []*node{earlier.serveBy(t, older), earlier.serveBy(t, older)}
	front := newFront(t, nodes...)
	l := newLedger(d, front.node)
	stop := l.load(t, workers)
	l.steady(t, 30)
	replace := func(i int, by *node) {
		gone := nodes[i]
		nodes[i] = by
		front.to(nodes...)
		code, _ := gone.stop()
		require.Zero(t, code)
		l.steady(t, 30)
	}
	replace(0, d.serve(t))
	replace(1, d.serve(t))
	replace(0, earlier.serveBy(t, older)) // docs/operate/upgrade.md: going back one version
	stop()
	l.audit(t)
	figure(t, "S-65", fmt.Sprintf("2 nodes of %s replaced one by one, and one put back, under load: %s", rev, l), "0 wrong, 0 lost, 0 × 503")
	l.innocent(t)
	l.durable(t)
	l.complete(t)
	require.Zero(t, l.unavailable, l.said())
}

// front is a balancer that sends each request to the next of its nodes.
type front struct {
	*node // itself, as clients see it
	nodes atomic.Pointer[[]*node]
	next  atomic.Uint64
}

func newFront(t *testing.T, nodes ...*node) *front {
	t.Helper()
	f := &front{}
	f.to(nodes...)
	s := httptest.NewServer(&httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
		Rewrite: func(r *httputil.ProxyRequest) {
			list := *f.nodes.Load()
			r.SetURL(&url.URL{Scheme: "http", Host: list[f.next.Add(1)%uint64(len(list))].Addr})
		},
	})
	t.Cleanup(s.Close)
	f.node = &node{Process: &processtest.Process{URL: s.URL}, t: t}
	return f
}

func (f *front) to(nodes ...*node) {
	list := slices.Clone(nodes)
	f.nodes.Store(&list)
}

// unknownRecords gives records of Redis a version that nobody knows yet, and asks both versions for
// what they stand for.
func unknownRecords(t *testing.T, rev, older string) {
	s := redistest.Start(t)
	v := serveBoth(t, s, older)
	unavailable, inactive := 0, 0
	refused := func(a answer) {
		t.Helper()
		switch {
		case a.status == 503:
			require.NotEmpty(t, a.header.Get("Retry-After"))
			unavailable++
		case a.status == 200 && a.body == `{"active":false}`:
			inactive++
		default:
			t.Fatalf("neither 503 nor inactive: %d %s", a.status, a.body)
		}
	}
	for _, from := range []*node{v.old, v.now} {
		machine := v.ok(t, v.issue(t.Context(), from, "machine-0")).Access
		first := v.ok(t, v.login(t.Context(), from, "user-0"))
		second := v.ok(t, v.refresh(t.Context(), from, first.Refresh)) // with a box
		for _, to := range []*node{v.old, v.now} {
			ask := func(text string) func() { return func() { refused(v.introspect(t.Context(), to, text)) } }
			refresh := func(text string) func() { return func() { refused(v.refresh(t.Context(), to, text)) } }
			withVersion(t, s, "grantor:t:[^{]*", 0, ask(machine))
			withVersion(t, s, "grantor:t:{*", 0, ask(first.Access), ask(second.Access))
			withVersion(t, s, "grantor:f:{*", 0, ask(second.Access), refresh(second.Refresh), refresh(first.Refresh))
			withVersion(t, s, "grantor:w:{*", 40, refresh(first.Refresh)) // the sealed answer
			require.True(t, v.ok(t, v.introspect(t.Context(), to, machine)).Active, "a refusal has no effect")
			require.True(t, v.ok(t, v.introspect(t.Context(), to, second.Access)).Active)
			require.Equal(t, second.Refresh, v.ok(t, v.refresh(t.Context(), to, first.Refresh)).Refresh)
		}
		v.ok(t, v.refresh(t.Context(), from, second.Refresh))
		require.NoError(t, s.Client().Del(t.Context(), keysLike(t, s, "grantor:[tfw]:*")...).Err())
	}
	for _, n := range []*node{v.old, v.now} {
		require.NotContains(t, n.Out.String(), "panic")
		require.Equal(t, 200, n.readiness(t))
	}
	figure(t, "S-65", fmt.Sprintf("records of an unknown version at %s and this one: %d × 503, %d × inactive, 0 panics; as they were again, the tokens go on", rev, unavailable, inactive),
		"503 or inactive, never a panic")
}

func keysLike(t *testing.T, s *redistest.Server, pattern string) []string {
	t.Helper()
	keys, err := s.Client().Keys(t.Context(), pattern).Result()
	require.NoError(t, err)
	require.NotEmpty(t, keys, pattern)
	return keys
}

// withVersion changes one byte of all values of a kind, asks, and changes it back. Their lifetimes
// stay.
func withVersion(t *testing.T, s *redistest.Server, pattern string, at int64, asks ...func()) {
	t.Helper()
	look, was := s.Client(), map[string]string{}
	for _, k := range keysLike(t, s, pattern) {
		v, err := look.GetRange(t.Context(), k, at, at).Result()
		require.NoError(t, err)
		was[k] = v
		require.NoError(t, look.SetRange(t.Context(), k, at, string([]byte{v[0] + 8})).Err())
	}
	for _, ask := range asks {
		ask()
	}
	for k, v := range was {
		require.NoError(t, look.SetRange(t.Context(), k, at, v).Err())
	}
}
