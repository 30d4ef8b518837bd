package tokens_test

import (
	"crypto/sha512"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

func TestForeignKeys(t *testing.T) {
	const text = "axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8"
	sum := sha512.Sum512([]byte(text))
	got, ok := tokens.ParseForeignKey(text)
	require.True(t, ok)
	require.Equal(t, tokens.Token{Kind: tokens.ClientKey, Hash: tokens.ForeignKeyHash(hex.EncodeToString(sum[:]))}, got)
	codec := tokens.NewCodec(tokens.NewServerKey())
	key, _ := codec.NewClientKey()
	for name, other := range map[string]string{
		"an API key of Grantor":  key,
		"a JWT":                  "eyJhbGci.eyJzdWIiOiIxMjM0NTY3ODkwIiwi.SflKxwRJSMeKKF2QT4fwpMeJf36POk6y",
		"a short secret":         "axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1J",
		"a long prefix":          "axSugJ0Y1.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8",
		"no prefix":              ".4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8",
		"another alphabet":       "axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeU-8",
		"a secret without end":   "axSugJ0Y." + strings.Repeat("a", 129),
		"nothing behind the dot": "axSugJ0Y.",
		"nothing":                "",
	} {
		_, ok := tokens.ParseForeignKey(other)
		require.False(t, ok, name)
	}
}
