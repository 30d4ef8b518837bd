package integration_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// TestGateMistakes: what is wrong in a proxy's configuration opens nothing.
func TestGateMistakes(t *testing.T) {
	type change struct{ old, new string }
	broken := map[string]map[string]change{
		"a misspelt demand": {"nginx": {"scope=", "scop="}, "HAProxy": {"scope=", "scop="}, "Apache": {"scope=", "scop="}, "Caddy": {"scope=", "scop="}},
		"no demand": {"nginx": {"set $grantor_demand $orders_demand;", ""}, "HAProxy": {"http-request lua.grantor", "# "}, "Apache": {`"GRANTOR_DEMAND=scope`, `"OTHER=scope`},
			"Caddy": {"scope=orders:read&resource=https://orders.example.com", `""`}},
		"a script that fails":  {"HAProxy": {"local function question(txn)", "local function question(txn)\n  nothing()"}, "Apache": {"local function open()", "local function open()\n  nothing()"}},
		"a script that is cut": {"Apache": {"function check(r)", "function chec(r)"}},
	}
	for title, by := range broken {
		for name, c := range by {
			t.Run(title+" of "+name, func(t *testing.T) {
				recipeChange = []string{c.old, c.new}
				defer func() { recipeChange = nil }()
				f := front(t, name)
				for _, token := range []string{"", f.token} {
					res, body := f.ask(t, "GET", "/orders", token)
					require.Contains(t, []int{500, 503}, res.StatusCode, body)
				}
				require.Zero(t, f.api.count())
			})
		}
	}
}

// counted hands connections on and counts them.
func counted(t *testing.T, to string) (addr string, count *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	count = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			go func() {
				s, err := net.Dial("tcp", to)
				if err != nil {
					_ = c.Close()
					return
				}
				go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
				_, _ = io.Copy(c, s)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String(), count
}

func TestGateConnections(t *testing.T) {
	most := map[string]int64{"nginx": 2, "Caddy": 2, "Apache": 25, "HAProxy": 4, "Envoy": 2} // of 50 checks; httpd keeps one for each of its threads
	for name, bound := range most {
		t.Run("connections to the gate are kept by "+name, func(t *testing.T) {
			d, p := issuing(t)
			gate := d.startGate(t, p.URL)
			addr, count := counted(t, strings.TrimPrefix(gate.URL, "http://"))
			f := &fronted{api: startAPI(t), token: d.token(t, p)}
			f.proxy = proxies[name](t, addr, f.api.addr)
			for range 50 {
				res, body := f.ask(t, "GET", "/orders", f.token)
				require.Equal(t, 200, res.StatusCode, body)
			}
			t.Logf("%d connections for 50 checks", count.Load())
			require.LessOrEqual(t, count.Load(), bound)
		})
	}
}

func TestGateIdentity(t *testing.T) {
	f := front(t, "nginx", "--identity", "jwt")
	before := f.api.count()
	res, body := f.ask(t, "GET", "/orders", f.token, "Grantor-Identity: e30.e30.e30")
	require.Equal(t, 200, res.StatusCode, body)
	r, _ := f.api.last(t, before+1)
	require.Len(t, r.Header.Values("Grantor-Identity"), 1)
	keys, err := http.Get(f.gate.URL + "/jwks")
	require.NoError(t, err)
	defer keys.Body.Close()
	require.Equal(t, "application/jwk-set+json", keys.Header.Get("Content-Type"))
	var set jose.JSONWebKeySet
	require.NoError(t, json.NewDecoder(keys.Body).Decode(&set))
	token, err := jose.ParseSigned(r.Header.Get("Grantor-Identity"), []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	payload, err := token.Verify(set.Key(token.Signatures[0].Header.KeyID)[0])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(payload, &claims))
	require.Equal(t, f.gate.URL, claims["iss"])
	require.Equal(t, "https://orders.example.com", claims["aud"])
	require.Equal(t, "machine", claims["sub"])
}

func TestGateSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "gate") // the system bounds the length of the path
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d, p := issuing(t)
	socket := filepath.Join(dir, "s")
	gate := d.startGate(t, p.URL, "--listen", "unix:"+socket, "--socket-mode", "600", "--metrics-listen", "127.0.0.1:0")
	require.Equal(t, "unix:"+socket, gate.URL)
	f := &fronted{api: startAPI(t), token: d.token(t, p)}
	f.proxy = nginxRecipe(t, "unix:"+socket, f.api.addr)
	res, body := f.ask(t, "GET", "/orders", f.token)
	require.Equal(t, 200, res.StatusCode, body)
	metrics, err := http.Get(gate.where("Metrics") + "/metrics")
	require.NoError(t, err)
	defer metrics.Body.Close()
	text, err := io.ReadAll(metrics.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), `grantor_gate_checks_total{code="200"} 1`)
	require.Zero(t, gate.stop(termination))
	require.NoFileExists(t, socket)
}

func TestGateWithoutItsSecret(t *testing.T) {
	t.Run("a gate with a wrong secret says so at its start, is not ready, and answers 503", func(t *testing.T) {
		d, p := issuing(t)
		d.api = "wrong-secret-of-the-api-client"
		gate := d.startGate(t, p.URL)
		within(t, func() bool { return strings.Contains(gate.Log.String(), "tokens cannot be verified yet") })
		gate.Logs(t, "refuses this resource server's own credentials (401)")
		require.NotContains(t, gate.Log.String(), d.api)
		for target, status := range map[string]int{"/healthz": 200, "/readyz": 503} {
			res, err := http.Get(gate.URL + target)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, status, res.StatusCode)
		}
		res, _ := rawAnswer(t, strings.TrimPrefix(gate.URL, "http://"), "GET /verify?scope=orders:read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+d.token(t, p)+"\r\n\r\n")
		require.Equal(t, 503, res.StatusCode)
	})
}
