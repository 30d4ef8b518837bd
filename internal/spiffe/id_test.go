package spiffe

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]ID{
		"spiffe://example.org":                    {"example.org", ""},
		"spiffe://example.org/billing":            {"example.org", "/billing"},
		"spiffe://a-b_c.1/ns/Shop/sa/billing.x-1": {"a-b_c.1", "/ns/Shop/sa/billing.x-1"},
		"spiffe://x/...":                          {"x", "/..."},
	} {
		t.Run("SPIFFE-ID §2 "+text, func(t *testing.T) {
			id, err := Parse(text)
			require.NoError(t, err)
			require.Equal(t, want, id)
			require.Equal(t, want.Path == "", IsTrustDomain(text))
			require.Equal(t, text, id.Authority()+id.Path)
		})
	}
	for name, text := range map[string]string{
		"§2 nothing": "", "§2 another scheme": "https://example.org/billing", "§2 upper case in the scheme": "SPIFFE://example.org/a",
		"§2.1 no trust domain": "spiffe:///billing", "§2.1 upper case": "spiffe://Example.org/a", "§2.1 a port": "spiffe://example.org:443/a",
		"§2.1 a user": "spiffe://me@example.org/a", "§2.1 an escape": "spiffe://ex%61mple.org/a", "§2.1 beyond ASCII": "spiffe://exämple.org/a",
		"§2.2 a slash at the end": "spiffe://example.org/", "§2.2 an empty segment": "spiffe://example.org/a//b", "§2.2 a dot segment": "spiffe://example.org/a/./b",
		"§2.2 two dots": "spiffe://example.org/a/..", "§2.2 an escape": "spiffe://example.org/%61", "§2.2 a query": "spiffe://example.org/a?b",
		"§2.2 a fragment": "spiffe://example.org/a#b", "§2.2 a wildcard": "spiffe://example.org/*", "§2.2 a space": "spiffe://example.org/a b",
		"§2.4 too long": "spiffe://example.org/" + strings.Repeat("a", 2048), "§2.4 a long trust domain": "spiffe://" + strings.Repeat("a", 256),
	} {
		t.Run("SPIFFE-ID "+name+" is refused", func(t *testing.T) {
			_, err := Parse(text)
			require.Error(t, err)
			require.False(t, IsTrustDomain(text))
		})
	}
}
