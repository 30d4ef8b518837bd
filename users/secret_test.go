package users_test

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/grantor-auth/grantor/users"
)

// oryHash is of Ory's own hasher, which internal/cli/testdata/hydra ran, for orySecret.
const (
	oryHash   = "$pbkdf2-sha256$i=25000,l=32$xwv4APXhsjcH8odOie1z6A$40HIZLxXs5zUOjvKrqOEN+WLwwdwvOQGIonNtQnkY10"
	orySecret = "Hydra-secret-of-pbkdf2-4711"
)

func unknown() (right, known bool) { return false, false }

// TestSecretHashes: client secrets are hashed and checked as passwords are, by their bytes.
func TestSecretHashes(t *testing.T) {
	slots := users.NewSlots(1)
	match := func(t *testing.T, hash, secret string) bool {
		t.Helper()
		ok, err := slots.MatchSecret(t.Context(), hash, secret, unknown)
		require.NoError(t, err)
		return ok
	}
	key, err := pbkdf2.Key(sha512.New, orySecret, []byte("salt of 16 bytes"), 1000, 64)
	require.NoError(t, err)
	b64 := base64.RawStdEncoding.EncodeToString
	long := strings.Repeat("u7QmZx2Lr9WcE4bT8yKpN1sVhD6fGj03", 4)
	cut, err := bcrypt.GenerateFromPassword([]byte(long[:72]), bcrypt.MinCost)
	require.NoError(t, err)
	for name, c := range map[string]struct{ hash, secret string }{
		"Ory's PBKDF2":              {oryHash, orySecret},
		"Ory's PBKDF2 with SHA-512": {"$pbkdf2-sha512$i=1000,l=64$" + b64([]byte("salt of 16 bytes")) + "$" + b64(key), orySecret},
		"HashSecret":                {users.HashSecret("sunshine"), "sunshine"},
		"bcrypt of a longer secret, cut by others": {string(cut), long},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, users.CheckSecretHash(c.hash))
			require.True(t, match(t, c.hash, c.secret))
			require.False(t, match(t, c.hash, "x"+c.secret))
			require.True(t, users.MatchesSecret(c.hash, c.secret) || len(c.secret) > 72)
		})
	}
	for hash, says := range map[string]string{
		"$pbkdf2-sha1$i=1000,l=32$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA":   "must be of SHA-256 or SHA-512",
		"$pbkdf2-sha256$i=1000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA":      "i=…,l=…",
		"$pbkdf2-sha256$i=0,l=16$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA":    "from 1 to",
		"$pbkdf2-sha256$i=1,l=32$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA":    "must be l bytes",
		"$pbkdf2-sha256$i=1,l=16$$AAAAAAAAAAAAAAAAAAAAAA":          "the salt must be",
		"$pbkdf2-sha256$i=99999999,l=16$c2FsdA$AAAAAAAAAAAAAAAAAA": "from 1 to",
		"!": "there is none",
	} {
		require.ErrorContains(t, users.CheckSecretHash(hash), says, hash)
	}
	t.Run("what is known already costs no hash", func(t *testing.T) {
		before := slots.PasswordChecks()
		for _, right := range []bool{true, false} {
			ok, err := slots.MatchSecret(t.Context(), oryHash, orySecret, func() (bool, bool) { return right, true })
			require.NoError(t, err)
			require.Equal(t, right, ok)
		}
		require.Equal(t, before, slots.PasswordChecks())
	})
}
