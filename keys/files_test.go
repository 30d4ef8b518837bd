package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

// writePEM writes keys as PKCS #8 files.
func writePEM(t testing.TB, private ...crypto.Signer) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for i, k := range private {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		require.NoError(t, err)
		paths = append(paths, write(t, filepath.Join(dir, strconv.Itoa(i)+".pem"), "PRIVATE KEY", der))
	}
	return paths
}

func write(t testing.TB, path, kind string, der []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

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

func TestFiles(t *testing.T) {
	t.Run("the first file of an algorithm signs, all are published", func(t *testing.T) {
		rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		sec1 := p256(t)
		der, err := x509.MarshalECPrivateKey(sec1)
		require.NoError(t, err)
		paths := append([]string{write(t, filepath.Join(t.TempDir(), "sec1"), "EC PRIVATE KEY", der)}, writePEM(t, p256(t), ed(t), rsaKey)...)
		r := open(t, config(keys.NewFiles(paths...), keys.Algorithms()...))
		set := jwks(t, r)
		require.Len(t, set.Keys, 4)
		for _, alg := range keys.Algorithms() {
			require.True(t, verifies(set, sign(t, r, alg)))
		}
		require.Equal(t, set.Keys[0].KeyID, kidOf(t, sign(t, r, keys.ES256)))
		require.True(t, sec1.PublicKey.Equal(set.Keys[0].Key))
		require.Equal(t, []string{"current", "next", "current", "current"}, states(r.List()))
	})
	t.Run("files are read only", func(t *testing.T) {
		store := fixed(t, ed(t))
		r := open(t, config(store))
		require.ErrorIs(t, r.Rotate(t.Context(), false), keys.ErrReadOnly)
		require.ErrorIs(t, r.Rotate(t.Context(), true), keys.ErrReadOnly)
		require.NoError(t, r.Ready())
		_, err := keys.Open(t.Context(), config(store, keys.EdDSA, keys.ES256))
		require.ErrorIs(t, err, keys.ErrReadOnly)
		require.ErrorContains(t, err, "no key for ES256")
	})
	t.Run("a file that is replaced", func(t *testing.T) {
		paths := writePEM(t, ed(t))
		synctest.Test(t, func(t *testing.T) {
			r := open(t, config(keys.NewFiles(paths...)))
			defer run(t, r)()
			before := sign(t, r, keys.EdDSA)
			der, err := x509.MarshalPKCS8PrivateKey(ed(t))
			require.NoError(t, err)
			write(t, paths[0], "PRIVATE KEY", der)
			time.Sleep(3 * time.Second)
			require.NotEqual(t, kidOf(t, before), kidOf(t, sign(t, r, keys.EdDSA)))
			_, err = r.Verify(before, atJWT)
			require.ErrorIs(t, err, keys.ErrNotOurs)
			require.NoError(t, os.Remove(paths[0]))
			time.Sleep(time.Minute)
			require.ErrorIs(t, r.Ready(), keys.ErrUnconfirmed)
		})
	})
	t.Run("what is no signing key of ours", func(t *testing.T) {
		dir := t.TempDir()
		one := ed(t)
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		require.NoError(t, err)
		t.Setenv("GODEBUG", "rsa1024min=0")
		small, err := rsa.GenerateKey(rand.Reader, 1024)
		require.NoError(t, err)
		public, err := x509.MarshalPKIXPublicKey(one.Public())
		require.NoError(t, err)
		both, err := os.ReadFile(writePEM(t, one)[0])
		require.NoError(t, err)
		two := filepath.Join(dir, "two")
		require.NoError(t, os.WriteFile(two, append(both, both...), 0o600))
		for want, paths := range map[string][]string{
			"P-256":                writePEM(t, p384),
			"JK-05: 1024 bits":     writePEM(t, small),
			"\"PUBLIC KEY\"":       {write(t, filepath.Join(dir, "public"), "PUBLIC KEY", public)},
			"\"CERTIFICATE\"":      {write(t, filepath.Join(dir, "cert"), "CERTIFICATE", public)},
			"not encrypted":        {write(t, filepath.Join(dir, "enc"), "ENCRYPTED PRIVATE KEY", public)},
			"SEC 1":                {write(t, filepath.Join(dir, "broken"), "EC PRIVATE KEY", public)},
			"no such file":         {filepath.Join(dir, "none")},
			"no PEM block":         {os.DevNull},
			"more than one PEM":    {two},
			"the same as":          writePEM(t, one, one),
			"there is no key for ": {},
		} {
			_, err := keys.Open(t.Context(), config(keys.NewFiles(paths...)))
			require.Error(t, err, want)
			if want == "JK-05: 1024 bits" {
				want = "1024 bits"
			}
			require.ErrorContains(t, err, want)
		}
	})
}
