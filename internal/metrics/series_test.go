package metrics

import (
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeriesAreThoseOfTheirValues(t *testing.T) {
	m := New("test")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			m.Issued("password", "jwt")
			m.Issued("password", "opaque")
			m.Introspected(true, "")
		})
	}
	all.Wait()
	m.Introspected(false, "expired")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`grantor_tokens_issued_total{format="jwt",grant_type="password"} 8`,
		`grantor_tokens_issued_total{format="opaque",grant_type="password"} 8`,
		`grantor_introspections_total{reason="",result="active"} 8`,
		`grantor_introspections_total{reason="expired",result="inactive"} 1`,
	} {
		require.Contains(t, w.Body.String(), line+"\n")
	}
}
