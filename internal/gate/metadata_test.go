package gate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMetadata(t *testing.T) {
	g, log := newGate(t, func(c *Config) { c.Issuer = "https://auth.example.com" })
	for _, target := range []string{
		"/metadata?resource=https://orders.example.com/v1&scope=orders:read+orders:write&name=The%20orders&documentation=https://docs.example.com",
		"/metadata/resource=https:%2F%2Forders.example.com%2Fv1&scope=orders:read+orders:write&name=The%20orders&documentation=https:%2F%2Fdocs.example.com/?resource=https://evil.example.com",
	} {
		t.Run("PR-01 PR-02 PR-03 RFC 9728 §3.2 "+target, func(t *testing.T) {
			w := check(g, "GET", target)
			require.Equal(t, 200, w.Code, w.Body.String())
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.JSONEq(t, `{"resource":"https://orders.example.com/v1","authorization_servers":["https://auth.example.com"],"scopes_supported":["orders:read","orders:write"],
				"bearer_methods_supported":["header"],"resource_name":"The orders","resource_documentation":"https://docs.example.com"}`, w.Body.String())
		})
	}
	t.Run("PR-05 RFC 9728 §3.2 no list without elements", func(t *testing.T) {
		require.JSONEq(t, `{"resource":"https://orders.example.com","authorization_servers":["https://auth.example.com"],"bearer_methods_supported":["header"]}`,
			check(g, "GET", "/metadata?resource=https://orders.example.com").Body.String())
	})
	t.Run("PR-03 RFC 9449 §5.1 the algorithms of proofs, where the gate takes proofs", func(t *testing.T) {
		g, _ := newGate(t, func(c *Config) { c.Issuer, c.DPoP.Request = "https://auth.example.com", RequestOriginal })
		require.Contains(t, check(g, "GET", "/metadata?resource=https://orders.example.com").Body.String(), `"dpop_signing_alg_values_supported":["ES256",`)
	})
	for target, says := range map[string]string{
		"/metadata":                                "it is empty",
		"/metadata?scope=a":                        "resource is missing",
		"/metadata?resource=orders":                "must be an absolute URL",
		"/metadata?resource=http://a.example":      "must begin with https://",
		"/metadata?resource=https://a.example&x=1": "the parameter x is unknown; there are resource, scope, name and documentation",
		"/metadata?resource=https://a.example&resource=https://b.example":     "resource comes twice",
		"/metadata?resource=https://a.example&documentation=javascript:x":     "resource_documentation",
		"/metadata?resource=https://a.example&scope=%22":                      "scope: ",
		"/verify?resource=orders":                                             "must be an absolute URL",
		"/verify?resource=https://a.example&audience=https://a.example":       "give either audience or resource",
		"/verify?resource=https://a.example&resource=https://a.example&any=a": "resource comes twice",
	} {
		t.Run("a mistake of the proxy's configuration is answered 500: "+target, func(t *testing.T) {
			w := check(g, "GET", target)
			require.Equal(t, 500, w.Code)
			require.Contains(t, w.Body.String(), says)
		})
	}
	require.Contains(t, log.String(), "the proxy's metadata is invalid")
	t.Run("a gate whose issuer nobody said has none", func(t *testing.T) {
		g, _ := newGate(t, nil)
		require.Equal(t, 404, check(g, "GET", "/metadata?resource=https://orders.example.com").Code)
	})
}
