package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/lockout"
)

// withClient adds a client to those of the fixture.
func withClient(t *testing.T, r clients.Registration) func(*Config) {
	t.Helper()
	return func(c *Config) {
		one, err := r.Client()
		require.NoError(t, err)
		require.NoError(t, one.Check(c.Catalogue))
		registry, err := clients.NewConfigured(t.Context(), append(testClients(), one), c.Store)
		require.NoError(t, err)
		c.Clients = registry
	}
}

// office is a client that may come from one network and from one address.
func office() clients.Registration {
	return clients.Registration{ID: "office", Secrets: secrets("s"), Grants: []string{clients.GrantClientCredentials},
		Scope: "plain", DefaultScope: "plain", Introspect: clients.SightAny,
		AllowedNetworks: []string{"192.0.2.0/24", "2001:db8::/32"}}
}

func TestAllowedNetworks(t *testing.T) {
	trusting := func(c *Config) { c.TrustedProxies = []string{"127.0.0.1", "::1"} }
	f := start(t, trusting, withClient(t, office()))
	from := func(address string) string { return "X-Forwarded-For: " + address }
	const inside, outside = "192.0.2.9", "198.51.100.9"
	t.Run("from inside it is served, IPv4 in the form of IPv6 too", func(t *testing.T) {
		for _, address := range []string{inside, "::ffff:192.0.2.9", "192.0.2.9:4711", "2001:db8::1%eth0"} {
			require.Equal(t, 200, f.post(t, tokP, "office:s", ask, from(address)).status, address)
		}
	})
	for path, body := range map[string]string{tokP: ask, intP: "token=x", revP: "token=x", pathFeed: ""} {
		t.Run("RFC 6749 §5.2 from outside it is refused like a wrong secret at "+path, func(t *testing.T) {
			right := f.post(t, path, "office:s", body, from(outside))
			wrong := f.post(t, path, "office:nonsense", body, from(outside))
			refused(t, right, 401, codeInvalidClient)
			require.Equal(t, wrong.body, right.body)
			for _, h := range []http.Header{wrong.header, right.header} {
				h.Del("X-Request-Id")
				h.Del("Date")
			}
			require.Equal(t, wrong.header, right.header)
			require.Contains(t, f.log.String(), `"claimed_client_id":"office","reason":"address_not_allowed"`)
		})
	}
	t.Run("what a stranger writes into X-Forwarded-For lets nobody in", func(t *testing.T) {
		refused(t, f.post(t, tokP, "office:s", ask, from(inside+", "+outside)), 401, codeInvalidClient)
		direct := start(t, withClient(t, office()))
		refused(t, direct.post(t, tokP, "office:s", ask, from(inside)), 401, codeInvalidClient)
	})
	t.Run("RFC 7239 §6.3 whom a trusted proxy does not name is nobody, and not the proxy", func(t *testing.T) {
		r := office()
		r.AllowedNetworks = []string{"127.0.0.0/8", "::1"} // the proxy is inside
		f := start(t, trusting, withClient(t, r))
		require.Equal(t, 200, f.post(t, tokP, "office:s", ask).status, "a job on the proxy's own machine")
		for _, header := range []string{from("unix:"), from("unknown"), from("_hidden, 127.0.0.1"), "X-Real-IP: " + outside, "Forwarded: for=" + outside} {
			refused(t, f.post(t, tokP, "office:s", ask, header), 401, codeInvalidClient)
		}
		require.Contains(t, f.log.String(), "address_not_allowed")
	})
	t.Run("a wrong secret from outside is a wrong secret in the log", func(t *testing.T) {
		before := strings.Count(f.log.String(), "address_not_allowed")
		f.post(t, tokP, "office:nonsense", ask, from(outside))
		require.Equal(t, before, strings.Count(f.log.String(), "address_not_allowed"))
	})
}

// TestAddressRefusalsAreCounted: if only wrong secrets were counted, an answer other than 429 would
// say that a stolen secret is right.
func TestAddressRefusalsAreCounted(t *testing.T) {
	f := start(t, withClient(t, office()), func(c *Config) {
		c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 3, time.Minute)
	})
	for range 3 {
		refused(t, f.post(t, tokP, "office:s", ask), 401, codeInvalidClient)
	}
	refused(t, f.post(t, tokP, "office:s", ask), 429, codeInvalidClient)
	refused(t, f.post(t, tokP, "office:nonsense", ask), 429, codeInvalidClient)
}

func TestAllowedNetworksOfPublicClients(t *testing.T) {
	r := clients.Registration{ID: "app-here", Method: clients.MethodNone, Scope: "plain", AllowedNetworks: []string{"192.0.2.0/24"}}
	f := start(t, withClient(t, r), func(c *Config) {
		c.TrustedProxies = []string{"127.0.0.1", "::1"}
		c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 3, time.Minute)
	})
	here := func(address string) reply {
		return f.post(t, tokP, "", ask+"&client_id=app-here", "X-Forwarded-For: "+address)
	}
	for range 5 { // nothing was guessed, so nothing is counted
		refused(t, here("198.51.100.9"), 401, codeInvalidClient)
	}
	refused(t, here("192.0.2.9"), 400, codeUnauthorizedClient) // it got in; the grant is not its own
	unknown := f.post(t, tokP, "", ask+"&client_id=nobody", "X-Forwarded-For: 198.51.100.9")
	require.Equal(t, unknown.body, here("198.51.100.9").body)
}
