package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/metrics"
)

func TestTimes(t *testing.T) {
	m := metrics.New("v1")
	at := map[string]time.Time{"server": time.Unix(1_800_000_000, 0), "client_ca": {}}
	m.Times("grantor_x_timestamp_seconds", "Of a label.", func() map[string]time.Time { return at }, "use")
	m.Times("grantor_y_timestamp_seconds", "Of none.", func() map[string]time.Time { return map[string]time.Time{"": at["server"]} })
	scrape := func() string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	require.Contains(t, scrape(), "\n"+`grantor_x_timestamp_seconds{use="server"} 1.8e+09`+"\n")
	require.Contains(t, scrape(), "\ngrantor_y_timestamp_seconds 1.8e+09\n")
	require.NotContains(t, scrape(), "client_ca", "what has no end has no series")
	at = map[string]time.Time{"client_ca": time.Unix(1_900_000_000, 0)}
	require.Contains(t, scrape(), `grantor_x_timestamp_seconds{use="client_ca"} 1.9e+09`, "read at each scrape")
}
