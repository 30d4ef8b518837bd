package server

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/metrics"
)

func TestMetricsPerClient(t *testing.T) {
	m := metrics.New("test")
	m.CountClients([]string{"own"})
	f := start(t, withClient(t, limited("own", 1, 2)), func(c *Config) { c.Metrics = m })
	for range 2 {
		require.Equal(t, 200, f.post(t, tokP, "own:s", ask).status)
	}
	refused(t, f.post(t, tokP, "own:s", ask), 429, codeUnavailable)
	refused(t, f.post(t, tokP, "own:wrong", ask), 401, codeInvalidClient)
	for _, other := range []string{app, "stranger:x", "nobody:x"} {
		f.post(t, tokP, other, ask)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	for _, line := range []string{
		`grantor_client_requests_total{client_id="own",code="200",endpoint="token"} 2`,
		`grantor_client_requests_total{client_id="own",code="429",endpoint="token"} 1`,
		`grantor_client_requests_total{client_id="own",code="401",endpoint="token"} 1`,
		`grantor_client_refusals_total{client_id="own",endpoint="token",reason="requests_per_second"} 1`,
		`grantor_client_refusals_total{client_id="own",endpoint="token",reason="wrong_secret"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
	for _, id := range []string{"app", "stranger", "nobody"} {
		require.NotContains(t, text, `client_id="`+id+`"`)
	}
}
