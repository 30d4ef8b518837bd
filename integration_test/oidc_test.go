package integration_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestGoOIDC has the verifier of much of the Go world, oauth2-proxy's among them, verify JWT access
// tokens by discovery alone.
func TestGoOIDC(t *testing.T) {
	s := redistest.Start(t)
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		t.Run("RFC 8414 §2 OpenID Connect Discovery §3 coreos/go-oidc verifies "+alg, func(t *testing.T) {
			d := deploy(t, redisStore(s)+jwtFormat+"tokens.signing_alg = \""+alg+"\"\nredis.prefix = \""+alg+":\"\n")
			p := d.serve(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			issuer := p.issuer(t)
			ctx = oidc.ClientContext(ctx, &http.Client{Transport: &http.Transport{ // the issuer's name leads to the process
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(p.URL, "http://"))
				}}})
			provider, err := oidc.NewProvider(ctx, issuer)
			require.NoError(t, err)
			verifier := provider.Verifier(&oidc.Config{ClientID: "https://orders.example.com"})
			token, err := verifier.Verify(ctx, d.token(t, p))
			require.NoError(t, err)
			require.Equal(t, "machine", token.Subject)
			require.Equal(t, issuer, token.Issuer)
			_, err = provider.Verifier(&oidc.Config{ClientID: "https://other.example.com"}).Verify(ctx, d.token(t, p))
			require.ErrorContains(t, err, "audience")
			for _, where := range []string{"openid-configuration", "oauth-authorization-server"} {
				require.Equal(t, []any{alg}, p.metadata(t, where)["id_token_signing_alg_values_supported"], where)
			}
		})
	}
}

// metadata reads one of the well-known documents.
func (p *process) metadata(t *testing.T, name string) (m map[string]any) {
	t.Helper()
	res, err := http.Get(p.URL + "/.well-known/" + name)
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&m))
	return m
}

func (p *process) issuer(t *testing.T) string {
	t.Helper()
	issuer, ok := p.metadata(t, "openid-configuration")["issuer"].(string)
	require.True(t, ok)
	return issuer
}
