package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/nearest"
)

func TestHint(t *testing.T) {
	known := []string{"orders:read", "orders:write"}
	require.Equal(t, `; did you mean "orders:read"?`, nearest.Hint("order:read", known))
	require.Equal(t, "; there is orders:read, orders:write", nearest.Hint("invoices", known))
	require.Equal(t, "; there is none", nearest.Hint("x", nil))
	many := strings.Split(strings.Repeat("abcdefghijkl ", 11)+"abcdefghijkl", " ")
	require.Contains(t, nearest.Hint("x", many), " and others")
}
