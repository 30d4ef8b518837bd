package integration_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestGateAPIKeys: each recipe hands on X-API-Key, and says from where a request comes; what the
// client says of that itself does not count.
func TestGateAPIKeys(t *testing.T) {
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			f := &fronted{api: startAPI(t)}
			addr := freeAddress(t)
			f.d = deploy(t, redisStore(redistest.Start(t))+"issuer = \"http://"+addr+"\"\n")
			f.issue = run(t, built(t, module), nil, "serve", "--config", f.d.config, "--listen", addr)
			f.gate = f.d.startGate(t, f.issue.URL, "--api-keys", "--trusted-proxy", "127.0.0.1")
			f.proxy = start(t, strings.TrimPrefix(f.gate.URL, "http://"), f.api.addr)
			made := func(more ...string) string {
				return f.d.apiKey(t, append([]string{"machine", "--name", "n", "--scope", "orders:read", "--expires", "1h"}, more...)...).Key
			}
			everywhere, here, elsewhere := made(), made(onThisHost(t)...), made("--allowed-network", "203.0.113.0/24")
			for _, c := range []struct {
				headers []string
				status  int
			}{
				{[]string{"Authorization: Bearer " + everywhere}, 200},
				{[]string{"Authorization: Api-Key " + everywhere}, 200},
				{[]string{"X-API-Key: " + everywhere}, 200},
				{[]string{"X-API-Key: " + here}, 200},
				{[]string{"X-API-Key: " + elsewhere}, 401},
				{[]string{"X-API-Key: " + elsewhere, "X-Forwarded-For: 203.0.113.9"}, 401},
				{[]string{"X-API-Key: " + everywhere, "Authorization: Bearer " + everywhere}, 400},
				{[]string{"X-API-Key: gak_unknown"}, 401},
			} {
				res, body := f.ask(t, "GET", "/orders", "", c.headers...)
				require.Equal(t, c.status, res.StatusCode, "%.20s… %d headers: %s", c.headers[0], len(c.headers), body)
			}
		})
	}
}

// onThisHost are flags for the networks of a client on loopback: Envoy writes an address of the
// host for it.
func onThisHost(t *testing.T) (flags []string) {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil {
			flags = append(flags, "--allowed-network", network.IP.String()+"/32")
		}
	}
	return flags
}
