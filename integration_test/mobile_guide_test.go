package integration_test

import "testing"

// TestGuideMobile follows docs/guides/mobile.md, without an app: curl asks what the app asks.
func TestGuideMobile(t *testing.T) {
	needs(t, "curl", "")
	guide{
		page:     "mobile.md",
		here:     []string{"127.0.0.1:8080", freeAddr(t)},
		programs: map[string]string{"grantor": built(t, module)},
	}.follow(t)
}
