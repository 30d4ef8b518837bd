package node

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
)

// parsed is a configuration with the demo's machine, and more.
func parsed(t *testing.T, more string) *config.Config {
	t.Helper()
	return text(t, textOf(more))
}

// textOf is the text of that configuration.
func textOf(more string) string {
	return more + `
store = "memory"
audit.output = ""
scopes."orders:read" = {}
[[clients]]
client_id = "demo-machine"
grant_types = ["client_credentials"]
scope = "orders:read"
default_scope = "orders:read"
secrets = [{ hash = "sha256:71bf4abd665ce9f5bbe56971fe54b508fce3b351326628ebfae4aee97d522444" }]
`
}

// issue asks a server for a token, and returns the status.
func issue(t *testing.T, at string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, at+"/oauth2/token",
		strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	require.NoError(t, err)
	req.SetBasicAuth(config.DemoMachineID, config.DemoMachineSecret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	return res.StatusCode
}

// settled waits until no more goroutines run than before.
func settled(t *testing.T, before int) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	// Eventually asks in a goroutine of its own.
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 5*time.Second, 10*time.Millisecond, "goroutines that nobody ended")
}

func TestHandlerServesWithoutRun(t *testing.T) {
	before := runtime.NumGoroutine()
	one, err := Open(t.Context(), parsed(t, ""), quiet())
	require.NoError(t, err)
	two, err := Open(t.Context(), parsed(t, ""), quiet()) // two in one process share nothing
	require.NoError(t, err)
	srv1, srv2 := httptest.NewServer(one.Handler()), httptest.NewServer(two.Handler())
	for begun := time.Now(); time.Since(begun) < 3*time.Second; time.Sleep(100 * time.Millisecond) { // clients.StaleAfter is 2 s
		require.Equal(t, 200, issue(t, srv1.URL))
		require.Equal(t, 200, issue(t, srv2.URL))
	}
	one.Close()
	one.Close() // again
	require.Equal(t, 200, issue(t, srv2.URL), "the other goes on")
	srv1.Close()
	srv2.Close()
	two.Close()
	settled(t, before)
}

func TestReloadWhileRequestsFly(t *testing.T) {
	before := runtime.NumGoroutine()
	n, err := Open(t.Context(), parsed(t, ""), quiet())
	require.NoError(t, err)
	srv := httptest.NewServer(n.Handler())
	stop, wrong := make(chan struct{}), atomic.Int64{}
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if issue(t, srv.URL) != 200 {
						wrong.Add(1)
					}
				}
			}
		})
	}
	for range 20 {
		require.NoError(t, n.Reload(t.Context(), parsed(t, "tokens.access_ttl = \"1m\"\nserver.shutdown_timeout = \"50ms\"\n")))
	}
	require.Equal(t, time.Minute, n.Config().Tokens.AccessTTL)
	close(stop)
	asking.Wait()
	require.Zero(t, wrong.Load())
	srv.Close()
	n.Close()
	require.ErrorContains(t, n.Reload(t.Context(), parsed(t, "")), "closed")
	settled(t, before)
}

func TestOpenRefuses(t *testing.T) {
	before := runtime.NumGoroutine()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	unchecked := config.Default()
	unchecked.Listen = "nowhere"
	for name, c := range map[string]struct {
		ctx  context.Context
		cfg  *config.Config
		want string
	}{
		"no configuration":                                 {t.Context(), nil, "no configuration"},
		"a configuration made in code that is wrong":       {t.Context(), unchecked, "listen: must be host:port"},
		"a trail that cannot be opened":                    {t.Context(), text(t, "store = \"memory\"\naudit.output = \"/nonexistent/trail\"\n"), "audit.output"},
		"a Redis that is not there, when the caller stops": {canceled, text(t, "redis.url = \"redis://127.0.0.1:1\"\naudit.output = \"\"\n"), "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(c.ctx, c.cfg, quiet())
			require.ErrorContains(t, err, c.want)
		})
	}
	settled(t, before)
}

func text(t *testing.T, toml string) *config.Config {
	t.Helper()
	cfg, _, err := config.Parse(toml)
	require.NoError(t, err)
	return cfg
}

func TestRun(t *testing.T) {
	const listen = "listen = \"127.0.0.1:0\"\nmetrics.listen = \"127.0.0.1:0\"\nserver.shutdown_delay = \"1h\"\n"
	before := runtime.NumGoroutine()
	at, hurry := make(chan Addrs, 1), make(chan struct{})
	o := quiet()
	o.Listening, o.Hurry = func(a Addrs) { at <- a }, hurry
	n, err := Open(t.Context(), parsed(t, listen), o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	addrs := <-at
	public := "http://" + addrs.Public.String()
	require.Equal(t, 200, issue(t, public))
	for _, path := range []string{"http://" + addrs.Metrics.String() + "/metrics", public + "/readyz"} {
		require.Equal(t, 200, getStatus(t, path), path)
	}
	require.ErrorContains(t, n.Run(ctx), "before")
	cancel()
	unready := func() bool { return getStatus(t, public+"/readyz") == http.StatusServiceUnavailable }
	require.Eventually(t, unready, 5*time.Second, 10*time.Millisecond, "readiness falls first")
	require.Equal(t, 200, issue(t, public), "and requests are served meanwhile")
	close(hurry)
	require.NoError(t, <-ended)
	_, err = net.Dial("tcp", addrs.Public.String())
	require.Error(t, err)
	n.Close()
	settled(t, before)
}

func getStatus(t *testing.T, at string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, at, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	return res.StatusCode
}

func TestRunOnAnAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	before := runtime.NumGoroutine()
	n, err := Open(t.Context(), parsed(t, "listen = \"127.0.0.1:0\"\nmetrics.listen = \""+taken.Addr().String()+"\"\n"), quiet())
	require.NoError(t, err)
	require.ErrorContains(t, n.Run(t.Context()), "address already in use")
	n.Close()
	settled(t, before)
}
