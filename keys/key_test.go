package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

func p256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func ed(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return k
}

func TestNewKey(t *testing.T) {
	t.Run("what is no signing key of ours: JK-05 1024 bits, another curve", func(t *testing.T) {
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		require.NoError(t, err)
		t.Setenv("GODEBUG", "rsa1024min=0")
		small, err := rsa.GenerateKey(rand.Reader, 1024)
		require.NoError(t, err)
		for want, private := range map[string]crypto.Signer{"P-256": p384, "1024 bits": small} {
			_, err := keys.NewKey(private)
			require.ErrorContains(t, err, want)
		}
	})
}
