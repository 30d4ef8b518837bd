package clients_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const keySet = `{"keys": [
  {"kty": "OKP", "crv": "Ed25519", "kid": "2026-11", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
  {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

func TestLastUses(t *testing.T) {
	srv := redistest.Start(t)
	a, b, ctx := node(t, srv.URL), node(t, srv.URL), t.Context()
	set, err := jwt.ParseKeySet([]byte(keySet))
	require.NoError(t, err)
	require.NoError(t, a.manager.Create(ctx, machine("job")))
	require.NoError(t, a.manager.Create(ctx, &clients.Stored{Registration: clients.Registration{ID: "signs",
		Grants: []string{clients.GrantClientCredentials}, Method: clients.MethodJWT, JWKS: set}}))
	now := time.Now()
	used := func(id string) (time.Time, string) {
		t.Helper()
		d, err := b.manager.Get(ctx, id)
		require.NoError(t, err)
		list, _, err := b.manager.List(ctx, "", 100)
		require.NoError(t, err)
		for _, one := range list {
			if one.ID == id {
				require.Equal(t, d.LastUsed, one.LastUsed)
				require.Equal(t, d.LastCredential, one.LastCredential)
			}
		}
		return d.LastUsed, d.LastCredential
	}
	t.Run("a client that nobody used", func(t *testing.T) {
		at, credential := used("job")
		require.Zero(t, at)
		require.Empty(t, credential)
	})
	t.Run("of a client with a secret: when, and by which", func(t *testing.T) {
		proof, err := clients.Authenticate(ctx, a.live, clients.Credentials{ID: "job", Secret: "secret of job", Method: clients.MethodBasic}, now)
		require.NoError(t, err)
		require.Equal(t, "secret:"+clients.Secret{Hash: clients.HashSecret("secret of job")}.ID(), proof.Credential)
		require.NoError(t, a.live.Tell(ctx))
		at, _ := used("job")
		require.Zero(t, at, "a proof alone is no use: the client may be refused for its address")
		proof.Used(now)
		require.NoError(t, a.live.Tell(ctx))
		at, credential := used("job")
		require.WithinDuration(t, now, at, time.Minute)
		require.Equal(t, proof.Credential, credential)
	})
	t.Run("of a client with keys: each key, by its kid or its thumbprint", func(t *testing.T) {
		c, err := a.live.Get(ctx, "signs")
		require.NoError(t, err)
		clients.ByAssertion(c, "key:2026-11").Used(now)
		require.NoError(t, a.live.Tell(ctx))
		at, credential := used("signs")
		require.WithinDuration(t, now, at, time.Minute)
		require.Equal(t, "key:2026-11", credential)
		keys, err := b.manager.Redis.KeyUses(ctx, &clients.Registration{ID: "signs", JWKS: set})
		require.NoError(t, err)
		require.Len(t, keys, 2)
		require.WithinDuration(t, now, keys[0].LastUsed, time.Minute)
		require.Equal(t, clients.KeyUse{Credential: "key:kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}, keys[1], "RFC 8037 App. A.3")
	})
	t.Run("every key of Redis has a lifetime, and Redis away is no never", func(t *testing.T) {
		for _, key := range srv.Client().Keys(ctx, "*clients:used:*").Val() {
			require.Positive(t, srv.Client().PTTL(ctx, key).Val())
		}
		srv.Stop()
		_, err := b.manager.Get(ctx, "job")
		require.Error(t, err)
	})
}
