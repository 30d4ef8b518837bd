package integration_test

import (
	"testing"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestGuideMigrate follows docs/guides/migrate.md: clients of four other servers come to one
// Grantor.
func TestGuideMigrate(t *testing.T) {
	needs(t, "curl", "")
	guide{
		page:     "migrate.md",
		here:     []string{"127.0.0.1:8080", freeAddr(t), "redis://127.0.0.1:6379", redistest.Start(t).URL},
		programs: map[string]string{"grantor": built(t, module)},
	}.follow(t)
}
