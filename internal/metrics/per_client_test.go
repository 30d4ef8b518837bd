package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCountClients(t *testing.T) {
	scrape := func(m *Metrics) string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	m := New("test")
	m.CountClients([]string{"billing", "shop"})
	for _, id := range []string{"billing", "billing", "another", ""} {
		m.ClientRequest(id, "token", 200)
		m.ClientRefused(id, "token", "address_not_allowed")
	}
	text := scrape(m)
	for _, line := range []string{
		`grantor_client_requests_total{client_id="billing",code="200",endpoint="token"} 2`,
		`grantor_client_requests_total{client_id="shop",code="200",endpoint="token"} 0`,
		`grantor_client_refusals_total{client_id="billing",endpoint="token",reason="address_not_allowed"} 2`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.Equal(t, 3, strings.Count(text, `client_id="`), "S-32 no other client has series")

	var none *Metrics
	none.ClientRequest("billing", "token", 200)
	off := New("test")
	off.CountClients(nil)
	off.ClientRequest("billing", "token", 200)
	off.ClientRefused("billing", "token", "x")
	require.NotContains(t, scrape(off), "grantor_client_re")
}
