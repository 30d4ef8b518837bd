package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
)

// liveLease is what a configuration without [feed] has: a check that begins later than this after
// the 200 of an end must not pass.
const liveLease = time.Second

// liveIssuer is the issuer of a configuration that names none.
const liveIssuer = "http://127.0.0.1:8080"

// live is two nodes, verifiers that follow them in every way, and a load that issues tokens and
// ends them. It holds every check against the one promise of docs/explain/live.md.
type live struct {
	t         *testing.T
	d         *deployment
	c         *caller
	nodes     [2]*liveNode
	askFronts [3]string // URLs: the one node, the other, both by turns
	verifiers []*verifier
	epoch     time.Time
	operator  atomic.Pointer[string] // a token for the admin API
	free      chan int               // users that nobody is logged in as

	mu     sync.RWMutex
	living []*grant
	ended  []*grant // the latest
	ways   map[string]int
	notes  []string

	passed, refused, unknown atomic.Int64
	late, wrong              atomic.Int64 // passes that must not be; refusals that nothing excuses
	lost                     atomic.Int64 // refusals of tokens that a primary took with it, or that nobody can tell to have ended
	forgot                   atomic.Bool  // the stream was lost: a JWT may be refused that may have ended
	revived                  atomic.Bool  // a primary took ends with it: what came back has names that verifiers refuse
	worst                    atomic.Int64 // from the 200 of an end to the latest check that passed
	refusedEnds              atomic.Int64 // ends that were answered otherwise, and asked again
}

// grant is a token that verifiers check, and what is known of its end. Times are those of live.now.
type grant struct {
	text  string
	jwt   bool
	born  int64
	how   string          // it ends
	scope string          // that its end takes away; "": the whole token
	begun atomic.Int64    // the end may have been made since; 0: nobody has asked for it
	over  [3]atomic.Int64 // the end was acknowledged, for those who ask one node, the other, both; 0: it was not
	lost  atomic.Bool     // a primary may have taken it with it

	undone atomic.Bool // a primary that nobody waits for may have taken its end with it
}

// ask says that an end is asked for from now on.
func (g *grant) ask(now int64) { g.begun.CompareAndSwap(0, now) }

// acknowledge says that an end was answered 200.
func (g *grant) acknowledge(now int64) {
	for i := range g.over {
		g.over[i].CompareAndSwap(0, now)
	}
}

// liveNode is a node that may be started anew: then it has another address.
type liveNode struct {
	*deployment
	now   atomic.Pointer[node]
	admin string // URL of its admin listener
}

func (n *liveNode) addr() string { return n.now.Load().Addr }

func (n *liveNode) start(t *testing.T) {
	t.Helper()
	one := n.serve(t)
	require.Eventually(t, func() bool { return one.readiness(t) == 200 }, 20*time.Second, 10*time.Millisecond)
	n.now.Store(one)
}

// liveClients are further clients of a deployment: an operator, and those whose tokens are JWTs.
// "gone" is there to be removed by a reload.
func liveClients(secret string) string {
	hash := clients.HashSecret(secret).String()
	var b strings.Builder
	b.WriteString("[[clients]]\nclient_id = \"operator\"\ngrant_types = [\"client_credentials\"]\nscope = \"grantor:admin\"\n" +
		"secrets = [{ hash = \"" + hash + "\" }]\n" +
		"[[clients]]\nclient_id = \"jwt-app\"\ntoken_endpoint_auth_method = \"none\"\ngrant_types = [\"password\", \"refresh_token\"]\n" +
		"scope = \"orders:read\"\ndefault_scope = \"orders:read\"\naccess_token_format = \"jwt\"\n")
	for _, id := range []string{"jwt-machine", "jwt-gone", "gone"} {
		format := "opaque"
		if strings.HasPrefix(id, "jwt") {
			format = "jwt"
		}
		fmt.Fprintf(&b, "[[clients]]\nclient_id = %q\ngrant_types = [\"client_credentials\"]\nscope = \"orders:read\"\n"+
			"default_scope = \"orders:read\"\naccess_token_format = %q\nsecrets = [{ hash = %q }]\n", id, format, hash)
	}
	return b.String()
}

// newLive starts two nodes over a store, each with an admin listener. as names the second one to
// Redis; "": it has no name.
func newLive(t *testing.T, store, as string) *live {
	t.Helper()
	d := deploy(t, "keys.encryption_key = \"0123456789abcdef0123456789abcdef\"\n"+store)
	text := read(t, d.config) + liveClients(d.secret)
	text = strings.Replace(text, `"orders:read" =`, "\"orders:write\" = { resource = \"https://orders.example.com\" }\n\"orders:read\" =", 1)
	w := &live{t: t, d: d, c: newCaller(d), epoch: time.Now().Add(-time.Second), ways: map[string]int{}, free: make(chan int, d.users)}
	for i := range d.users {
		w.free <- i
	}
	for i := range w.nodes {
		own := *d
		own.config = filepath.Join(t.TempDir(), "config.toml")
		admin := "127.0.0.1:" + freePort(t)
		require.NoError(t, os.WriteFile(own.config, []byte(fmt.Sprintf("admin.listen = %q\n", admin)+text), 0o600))
		n := &liveNode{deployment: &own, admin: "http://" + admin}
		if i == 1 && as != "" {
			n.deployment = own.as(t, as)
		}
		w.nodes[i] = n
		n.start(t)
	}
	w.front(t)
	return w
}

// front gives verifiers addresses that stay when nodes are started anew.
func (w *live) front(t *testing.T) {
	t.Helper()
	one, other := newLiveFront(t, w.nodes[0].addr), newLiveFront(t, w.nodes[1].addr)
	var turn atomic.Uint64
	both := httptestServer(t, &httputil.ReverseProxy{Transport: w.c.http.Transport, ErrorLog: quietLog, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: w.nodes[turn.Add(1)%2].addr()})
	}})
	w.askFronts = [3]string{"http://" + one.Addr, "http://" + other.Addr, both}
}

func (w *live) now() int64 { return int64(time.Since(w.epoch)) }

// note keeps the first of what went wrong.
func (w *live) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.notes) < 20 {
		w.notes = append(w.notes, fmt.Sprintf("%7.3fs ", time.Duration(w.now()).Seconds())+fmt.Sprintf(format, args...))
	}
}

// live adds tokens that nobody has asked to end.
func (w *live) add(list ...*grant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.living = append(w.living, list...)
}

// rememberedEnds is how many ended tokens go on being checked.
const rememberedEnds = 200

// end moves tokens to those that have ended. way is counted.
func (w *live) end(way string, list []*grant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ways[way]++
	w.living = slices.DeleteFunc(w.living, func(g *grant) bool { return slices.Contains(list, g) })
	w.ended = append(w.ended, list...)
	if n := len(w.ended) - rememberedEnds; n > 0 {
		w.ended = append([]*grant(nil), w.ended[n:]...)
	}
}

// pick chooses a token, most often one that lives; nil: none fits.
func (w *live) pick(jwtOnly bool) *grant {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for range 8 {
		list := w.living
		if rand.IntN(4) == 0 {
			list = w.ended
		}
		if len(list) == 0 {
			continue
		}
		if g := list[rand.IntN(len(list))]; g.jwt || !jwtOnly {
			return g
		}
	}
	return nil
}

// excuse marks what a primary may have taken with it: the tokens that were issued since.
func (w *live) excuse(since int64) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, g := range append(slices.Clone(w.living), w.ended...) {
		if g.born >= since {
			g.lost.Store(true)
		}
	}
}

// run begins load and checks. The returned function ends them.
func (w *live) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, v := range w.verifiers {
		all.Go(func() { w.verify(ctx, v) })
	}
	for i := range liveWorkers {
		e := &ender{live: w, ctx: ctx, rng: rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano())))}
		all.Go(e.work)
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(stop)
	return stop
}
