package integration_test

import "testing"

// TestGuideExchange follows docs/guides/exchange.md.
func TestGuideExchange(t *testing.T) {
	needs(t, "curl", "")
	guide{
		page:     "exchange.md",
		here:     []string{"127.0.0.1:8080", freeAddr(t)},
		programs: map[string]string{"grantor": built(t, module)},
	}.follow(t)
}
