package metrics_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/metrics"
)

func TestTotals(t *testing.T) {
	m := metrics.New("v1")
	m.Issued("password", "opaque")
	m.Issued("client_credentials", "jwt")
	m.Introspected(true, "")
	m.LoginFailed("wrong_password")
	m.Refused("token", "invalid_client", "wrong_secret")
	m.Refused("introspect", "invalid_client", "wrong_secret")
	m.Audited("user_locked_out", false)
	m.Audited("token_issued", false)
	m.Stored("issue", 2*time.Second, metrics.OutcomeNotDone)
	m.Stored("load", time.Second, "")
	got := m.Totals()
	require.InDelta(t, 2, got.Refusals["wrong_secret"], 0)
	got.Refusals = nil
	require.Equal(t, metrics.Totals{Issued: 2, Logins: 1, Introspections: 1, LoginFailures: 1, Lockouts: 1,
		StoreOperations: 2, StoreSeconds: 3, StoreErrors: 1}, got)
}
