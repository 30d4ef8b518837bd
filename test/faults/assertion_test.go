package faults_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestAssertionsWithoutReplica lets a client prove itself by JWTs (RFC 7523) while the one replica
// hangs.
func TestAssertionsWithoutReplica(t *testing.T) {
	t.Parallel() // it waits
	t.Run("S-22 V-14 CJ-08 the only replica hangs: assertions are taken once, and neither burnt nor counted as failures", func(t *testing.T) {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		s := redistest.Start(t)
		replica := s.AddReplica()
		d := deploy(t, single(s.Addr), fmt.Sprintf(`[[clients]]
client_id = "signer"
token_endpoint_auth_method = "private_key_jwt"
grant_types = ["client_credentials"]
scope = "orders:read"
default_scope = "orders:read"
jwks = { keys = [{ kty = "OKP", crv = "Ed25519", alg = "EdDSA", x = %q }] }
`, base64.RawURLEncoding.EncodeToString(public)))
		n, c := d.serve(t), newCaller(d)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, nil)
		require.NoError(t, err)
		assertion := func() string {
			claims, err := json.Marshal(map[string]any{"iss": "signer", "sub": "signer", "aud": "http://127.0.0.1:8080", "exp": time.Now().Add(time.Minute).Unix(), "jti": rand.Text()})
			require.NoError(t, err)
			jws, err := signer.Sign(claims)
			require.NoError(t, err)
			text, err := jws.CompactSerialize()
			require.NoError(t, err)
			return text
		}
		ask := func(text string) int {
			return c.post(t.Context(), n.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"client_credentials"}, "client_assertion": {text},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}).status
		}
		require.Equal(t, 200, ask(assertion()))
		replica.Pause()
		defer replica.Resume()
		const asked = 25 // more than a client may fail
		for range asked {
			require.Equal(t, 200, ask(assertion()))
		}
		once := assertion()
		require.Equal(t, [2]int{200, 401}, [2]int{ask(once), ask(once)}, "and a replay is one")
		figure(t, "S-22", fmt.Sprintf("the only replica hangs: %d of %d client assertions taken at once, replays 401", asked, asked), "all")
	})
}
