package importer

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
)

// FuzzSources: whatever a file holds, an entry becomes a client or has a reason, and no text that
// is printed holds a secret.
func FuzzSources(f *testing.F) {
	catalogue, err := scopes.NewCatalogue(map[string]scopes.Scope{"orders:read": {}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, source int, text string) {
		all := Sources()
		items, err := all[uint(source)%uint(len(all))].Read([]byte(text), Options{Scope: "orders:read", Catalogue: catalogue, Now: time.Unix(1796000000, 0)})
		if err != nil {
			return
		}
		for _, i := range items {
			if i.Refused != "" {
				continue
			}
			require.NotNil(t, i.Client)
			require.LessOrEqual(t, len(i.Client.Secrets), 1)
			require.Equal(t, i.Kind == KindKey, i.Key != nil)
			if len(i.plain) > 8 {
				require.NotContains(t, i.Secret+strings.Join(i.LeftOut, " "), i.plain)
			}
			for _, s := range i.Client.Secrets {
				require.True(t, i.plain != "" || s.Hash.String() != "" && i.Same(s), "a second run finds it unchanged")
			}
		}
	})
}

func TestSecretsOfOthers(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "it is confidential and has no secret",
		"md5$salt$5f4dcc3b5aa765d61d8327":  "its secret is hashed by md5, which cannot be checked here: give it a new secret",
		"pbkdf2_sha256$0$salt$x":           "its secret is hashed by pbkdf2_sha256, which cannot be checked here: give it a new secret",
		"$argon2d$v=19$m=1,t=1,p=1$aa$aa":  "its secret is hashed by argon2d, which cannot be checked here: give it a new secret",
		"n\u00e4chtlich":                   "its secret cannot be one: a client secret holds printable ASCII only (RFC 6749 App. A.2)",
		"u7QmZx2Lr9WcE4bT8yKpN1sVhD6fGj03": "",
		"sunshine":                         "",
		"$ecret$that$somebody$chose":       "",
		"correct horse battery staple":     "",
	} {
		i := Item{Client: &clients.Registration{ID: "job"}}
		require.Equal(t, want, i.setSecret(text, time.Time{}), text)
		if want == "" {
			require.NoError(t, i.Seal())
			require.Equal(t, !strings.HasPrefix(text, "u7Q"), i.Client.Secrets[0].Hash.Slow(), "RFC 6749 §10.10 SHA-256 is for random secrets alone: %s", text)
			require.True(t, i.Same(i.Client.Secrets[0]))
		}
	}
}
