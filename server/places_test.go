package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/clientcert"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// TestPlaces: what Serves tells is what the metadata says of where things are (RFC 8414 §2), and
// nothing else in the metadata is a place.
func TestPlaces(t *testing.T) {
	source, err := clientcert.NewSource("", "", nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		cfg  Config
		want Serves
	}{
		"the least":                  {Config{}, Serves{}},
		"the revocation feed":        {Config{Feed: &feed.View{}}, Serves{Feed: true}},
		"RFC 8705 §5 certificates":   {Config{Certificates: source, MTLSURL: "https://mtls.example.com"}, Serves{MTLSURL: "https://mtls.example.com"}},
		"certificates at the issuer": {Config{Certificates: source}, Serves{}},
		"the preset mcp":             {Config{Preset: "mcp"}, Serves{Preset: "mcp"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Issuer, c.want.Issuer = "https://auth.example.com/tenant", "https://auth.example.com/tenant"
			s := &Server{cfg: c.cfg}
			text, err := json.Marshal(s.document())
			require.NoError(t, err)
			var said map[string]any
			require.NoError(t, json.Unmarshal(text, &said))
			for member := range said {
				if member != "issuer" && member != "jwks_uri" && member != "mtls_endpoint_aliases" && !strings.HasSuffix(member, "_endpoint") {
					delete(said, member)
				}
			}
			want, err := c.want.Places()
			require.NoError(t, err)
			require.Equal(t, want, said)
		})
	}
}
