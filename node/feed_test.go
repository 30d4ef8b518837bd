package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// followed is a configuration with a machine and an API whose secrets are "secret".
const followed = `
listen = "127.0.0.1:0"
audit.output = ""
server.shutdown_delay = "0s"
scopes."orders:read" = {}
[[clients]]
client_id = "machine"
grant_types = ["client_credentials"]
scope = "orders:read"
default_scope = "orders:read"
secrets = [{ hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }]
[[clients]]
client_id = "api"
introspect = "any"
secrets = [{ hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }]
`

// running is a node that serves until its test ends.
type running struct {
	*Node
	addr string
	stop context.CancelFunc
	end  chan error // of Run
}

// serve runs a node with the configuration above, and more before it.
func serve(t *testing.T, more string) *running {
	t.Helper()
	at := make(chan Addrs, 1)
	o := quiet()
	o.Listening = func(a Addrs) { at <- a }
	n, err := Open(t.Context(), text(t, more+followed), o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Node: n, stop: cancel, end: make(chan error, 1)}
	go func() { r.end <- n.Run(ctx) }()
	t.Cleanup(func() { cancel(); n.Close() })
	r.addr = (<-at).Public.String()
	return r
}

// post asks as a client, and returns the status and the members of the answer.
func (r *running) post(t *testing.T, path, client, form string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.addr+path, strings.NewReader(form))
	require.NoError(t, err)
	req.SetBasicAuth(client, "secret")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	return res.StatusCode, answer
}

func (r *running) issue(t *testing.T, client string) string {
	t.Helper()
	status, answer := r.post(t, "/oauth2/token", client, "grant_type=client_credentials")
	require.Equal(t, 200, status, answer)
	return answer["access_token"].(string)
}

// poll returns what ended behind a position, and the next position.
func (r *running) poll(t *testing.T, at string) (ended []string, next string) {
	t.Helper()
	status, answer := r.post(t, "/oauth2/revocations", "api", "after="+url.QueryEscape(at))
	require.Equal(t, 200, status, answer)
	for _, name := range answer["ended"].([]any) {
		ended = append(ended, name.(string))
	}
	return ended, answer["position"].(string)
}

// awaitEnd polls until a name has ended.
func (r *running) awaitEnd(t *testing.T, at, name string) (next string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		var ended []string
		if ended, at = r.poll(t, at); slices.Contains(ended, name) {
			return at
		}
	}
	require.Fail(t, "the name did not end", name)
	return ""
}

func (r *running) follow(t *testing.T, token string) map[string]any {
	t.Helper()
	status, answer := r.post(t, "/oauth2/introspect", "api", "follow=true&token="+token)
	require.Equal(t, 200, status, answer)
	return answer
}

func TestFeedOfTwoNodes(t *testing.T) {
	s := redistest.Start(t)
	redis := "redis.url = \"" + s.URL + "\"\n"
	a, b := serve(t, redis), serve(t, redis)
	_, at := b.poll(t, "")

	t.Run("IN-27 RFC 7009 §2 a revocation at one node is polled at the other within the lease", func(t *testing.T) {
		var late []time.Duration
		for range 100 {
			token := a.issue(t, "machine")
			jti := a.follow(t, token)["jti"].(string)
			heard := make(chan time.Time, 1)
			go func() { at = b.awaitEnd(t, at, jti); heard <- time.Now() }()
			status, _ := a.post(t, "/oauth2/revoke", "machine", "token="+token)
			require.Equal(t, 200, status)
			answered := time.Now()
			late = append(late, (<-heard).Sub(answered))
		}
		slices.Sort(late)
		t.Logf("revocation answered 200 to its name polled at another node: p50 %s, p99 %s, worst %s", late[50], late[98], late[99])
		require.Less(t, late[99], time.Second)
	})
	t.Run("the positions of one node are good at the other", func(t *testing.T) {
		_, ofA := a.poll(t, "")
		ended, _ := b.poll(t, ofA)
		require.Empty(t, ended)
	})
	t.Run("a registered client that is disabled elsewhere: its name ends, and the node asks for it anew", func(t *testing.T) {
		store := a.resources.stores
		m := parts.Manager(a.Config(), clients.NewRedis(store.db), store.tokens)
		require.NoError(t, m.Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: "registered",
			Grants: []string{clients.GrantClientCredentials}, Scope: "orders:read", DefaultScope: "orders:read",
			Secrets: []clients.Secret{{Hash: clients.HashSecret("secret")}}}}))
		require.Eventually(t, func() bool {
			s, _ := b.post(t, "/oauth2/token", "registered", "grant_type=client_credentials")
			return s == 200
		},
			5*time.Second, 20*time.Millisecond)
		token := b.issue(t, "registered")
		told := b.follow(t, token)
		require.Equal(t, true, told["active"])
		name := told["rev"].([]any)[0].(string)
		require.NoError(t, m.SetDisabled(t.Context(), "registered", true))
		at = b.awaitEnd(t, at, name)
		require.Eventually(t, func() bool { return b.follow(t, token)["active"] == false }, time.Second, time.Millisecond)
	})
	t.Run("so does a client of the configuration", func(t *testing.T) {
		token := b.issue(t, "machine")
		told := b.follow(t, token)
		store := a.resources.stores
		m := parts.Manager(a.Config(), clients.NewRedis(store.db), store.tokens)
		require.NoError(t, m.RevokeTokens(t.Context(), "machine"))
		at = b.awaitEnd(t, at, told["rev"].([]any)[0].(string))
		require.Eventually(t, func() bool { return b.follow(t, token)["active"] == false }, time.Second, time.Millisecond)
	})
	t.Run("Redis is away: polls and followers are answered 503, and go on when it is back", func(t *testing.T) {
		s.Pause()
		require.Eventually(t, func() bool {
			polled, _ := b.post(t, "/oauth2/revocations", "api", "after="+url.QueryEscape(at))
			told, _ := b.post(t, "/oauth2/introspect", "api", "follow=true&token=x")
			return polled == 503 && told == 503
		}, 15*time.Second, 10*time.Millisecond)
		s.Resume()
		require.Eventually(t, func() bool {
			status, answer := b.post(t, "/oauth2/revocations", "api", "after="+url.QueryEscape(at))
			return status == 200 && answer["complete"] == true
		}, 15*time.Second, 10*time.Millisecond)
	})
}

// hold sends polls on connections of their own, and reads no answer.
func (r *running) hold(t *testing.T, at string, n int) (all []net.Conn) {
	t.Helper()
	body := "after=" + url.QueryEscape(at)
	for range n {
		c, err := net.Dial("tcp", r.addr)
		require.NoError(t, err)
		_, err = fmt.Fprintf(c, "POST /oauth2/revocations HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YXBpOnNlY3JldA==\r\n"+
			"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		require.NoError(t, err)
		all = append(all, c)
	}
	require.Eventually(t, func() bool { return r.held() == n }, 5*time.Second, time.Millisecond)
	return all
}

func (r *running) held() int { return r.current.now.Load().server.PollsHeld() }

func TestHeldPollsEnd(t *testing.T) {
	const memory = "store = \"memory\"\nfeed.lease = \"60s\"\n"
	for name, front := range map[string]string{"http1": "", "net/http": "server.http1 = false\n"} {
		t.Run("verifiers that hang up leave nothing: "+name, func(t *testing.T) {
			n := serve(t, front+memory)
			_, at := n.poll(t, "")
			before := runtime.NumGoroutine()
			for _, c := range n.hold(t, at, 50) {
				require.NoError(t, c.Close())
			}
			require.Eventually(t, func() bool { return n.held() == 0 }, 5*time.Second, time.Millisecond)
			settled(t, before)
		})
		t.Run("the drain answers them at once: "+name, func(t *testing.T) {
			n := serve(t, front+memory)
			_, at := n.poll(t, "")
			all := n.hold(t, at, 50)
			begun := time.Now()
			n.stop()
			require.NoError(t, <-n.end)
			require.Less(t, time.Since(begun), 4*time.Second)
			for _, c := range all {
				text := make([]byte, 12)
				_, err := c.Read(text)
				require.NoError(t, err)
				require.Equal(t, "HTTP/1.1 200", string(text))
			}
		})
	}
	t.Run("polls of an earlier configuration end by themselves", func(t *testing.T) {
		n := serve(t, "store = \"memory\"\n")
		_, at := n.poll(t, "")
		n.hold(t, at, 10)
		require.NoError(t, n.Reload(t.Context(), text(t, "store = \"memory\"\nfeed.lease = \"2s\"\n"+followed)))
		require.Equal(t, time.Second, n.Config().Feed.Lease, "at the next start")
		_, next := n.poll(t, at)
		require.Equal(t, at, next)
	})
}
