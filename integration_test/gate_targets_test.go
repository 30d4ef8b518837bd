package integration_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGateTargets: a proxy that judges the path as it is when dots are resolved must not hand on
// the path as it came: an API reads that one.
func TestGateTargets(t *testing.T) {
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			f := front(t, name)
			t.Run("no target of an open route leads to a protected one", func(t *testing.T) {
				for _, target := range detours("/healthz") {
					f.reachesNothing(t, "GET", target, "")
				}
			})
			t.Run("no target of a lesser demand leads to a route that needs more", func(t *testing.T) {
				for _, target := range detours("/live") {
					f.reachesNothing(t, "POST", target, f.token)
				}
			})
		})
	}
}

// detours are targets below /orders that lead to another path when dots are resolved.
func detours(to string) (targets []string) {
	for _, up := range []string{"/..", "/x/../..", "/%2e%2e", "/%2E.", "/.%2e", "/..%2f", "/%2e%2e%2f", "%2f..", "%2F%2e%2e", "//..", "/..;", "/.%2e/.", `/..\`, "/%5c..", "/..%5c", "/%252e%252e"} {
		targets = append(targets, "/orders"+up+to, "http://x/orders"+up+to, "/./orders"+up+to, "/%6frders"+up+to)
	}
	return targets
}

// reachesNothing asks, and looks at what the API saw: nothing under /orders.
func (f *fronted) reachesNothing(t *testing.T, method, target, token string) {
	t.Helper()
	before := f.api.count()
	res, _ := f.ask(t, method, target, token, "Content-Length: 0")
	f.api.mu.Lock()
	defer f.api.mu.Unlock()
	for _, r := range f.api.seen[before:] {
		require.False(t, strings.HasPrefix(strings.TrimLeft(r.URL.Path, "/."), "orders"), "%s %s is answered %d; the API saw %s", method, target, res.StatusCode, r.RequestURI)
	}
}
