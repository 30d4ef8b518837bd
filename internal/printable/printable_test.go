package printable_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/printable"
	"github.com/grantor-auth/grantor/tokens"
)

// hostile are texts that a terminal obeys, or shows as others.
func hostile() []string {
	return []string{"a\nb", "a\r\nb", "\x1b[31mred", "\x1b]0;title\x07", "a\tb", "a\x7fb", "a\u009b31mb", "\u202egnp.exe", "a\u2066b\u2069", "a\u200bb", "\ufeffa", "a\u2028b",
		"a\u061cb", "a\U000e0041b", "a\x80b", "a\x00b"}
}

func TestText(t *testing.T) {
	t.Run("S-31 what a terminal obeys is escaped, and what people write is not", func(t *testing.T) {
		for _, text := range hostile() {
			for _, shown := range []string{printable.Text(text), printable.Cell(text, 40), printable.Lines(strings.ReplaceAll(text, "\n", " "))} {
				require.True(t, utf8.ValidString(shown), "%q", text)
				for _, r := range shown {
					require.True(t, unicode.IsPrint(r), "%q in %q", r, text)
				}
			}
			require.ErrorIs(t, printable.CheckName(text), printable.ErrNotPrintable, "%q", text)
		}
		for _, text := range []string{"", "Nightly billing", "Zürich – Köln", "夜間バッチ", "می\u200cخواهم", "👩\u200d🚀", "a\\b \"quoted\""} {
			require.NoError(t, printable.CheckName(text), text)
		}
		require.Equal(t, "Zürich 夜間 👍", printable.Text("Zürich 夜間 👍"))
		require.Equal(t, `a\nb`, printable.Text("a\nb"))
		require.Equal(t, "a\nb", printable.Lines("a\nb"))
	})
	t.Run("a long text is cut in a cell", func(t *testing.T) {
		cell := printable.Cell(strings.Repeat("é", 4000), 40)
		require.Equal(t, 40, utf8.RuneCountInString(cell))
		require.True(t, strings.HasSuffix(cell, "…"))
		require.Equal(t, strings.Repeat("x", 40), printable.Cell(strings.Repeat("x", 40), 40))
	})
	t.Run("S-31 JSON keeps its meaning, and shows nothing raw", func(t *testing.T) {
		for _, text := range append(hostile(), "Zürich 👍", "plain") {
			before, err := json.Marshal(map[string]string{"name": text})
			require.NoError(t, err)
			shown := printable.JSON(before)
			var a, b map[string]string
			require.NoError(t, json.Unmarshal(before, &a))
			require.NoError(t, json.Unmarshal(shown, &b), string(shown))
			require.Equal(t, a, b)
			for _, r := range string(shown) {
				require.True(t, unicode.IsPrint(r), "%q in %q", r, text)
			}
		}
	})
}

func TestRedact(t *testing.T) {
	t.Run("S-30 a secret or token, whole or cut, is taken out of a text", func(t *testing.T) {
		key := tokens.NewCodec(tokens.NewServerKey())
		access, _ := key.NewClientAccess()
		refresh, _ := key.NewRefresh(tokens.Tag{1}, tokens.SessionID{2}, 3)
		apiKey, _ := key.NewClientKey()
		for _, secret := range []string{tokens.NewSecret(), tokens.NewRegistrationToken(), access, refresh, apiKey} {
			for _, typed := range []string{secret, secret[:20], secret[:9]} {
				for _, text := range []string{typed, "there is no client \"" + typed + "\"", typed + " and " + typed, "x" + typed} {
					got := printable.Redact(text)
					require.NotContains(t, got, typed[4:], text)
					require.Contains(t, got, typed[:4]+"[redacted]")
				}
			}
		}
		for _, text := range []string{"", "billing-job", "gcs_", "gcs", "the prefix gcs_ alone", "grantor_up", "g", "logs_gcs"} {
			require.Equal(t, text, printable.Redact(text))
		}
	})
	t.Run("S-30 an API key of another server that somebody typed", func(t *testing.T) {
		const key = "axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8"
		for text, want := range map[string]string{
			key:                              "axSugJ0Y.[redacted]",
			"\"" + key + "\" is no \n" + key: "\"axSugJ0Y.[redacted]\" is no \naxSugJ0Y.[redacted]",
			"é" + key + "é.":                 "éaxSugJ0Y.[redacted]é.",
		} {
			require.Equal(t, want, printable.RedactTyped(text))
		}
		for _, text := range []string{"", ".", "redis.example.com:6379", "a.b", "metadata.internalservicewithalongname", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9.c2lnbmF0dXJl", "…. é"} {
			require.Equal(t, text, printable.RedactTyped(text))
		}
	})
}
