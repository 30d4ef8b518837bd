package keys

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jws"
)

func TestHeader(t *testing.T) {
	text := string(appendHeader(nil, "ES256", "at+jwt", "k"))
	require.Equal(t, `{"alg":"ES256","typ":"at+jwt","kid":"k"}`, text)
	read := func(header string) (jws.Header, bool) {
		return readHeader(b64.EncodeToString([]byte(header))+".e30.AAAA", []string{"at+jwt", "JWT"})
	}
	h, ok := read(text)
	require.True(t, ok)
	require.Equal(t, jws.Header{Algorithm: "ES256", Type: "at+jwt", KeyID: "k"}, h)
	for i := range text {
		_, ok := read(text[:i])
		require.False(t, ok, "cut after %d", i)
		if i > 0 {
			_, ok = read(text[i:])
			require.False(t, ok, "cut before %d", i)
		}
		if strings.Count(text[:i], `"`)%2 == 0 {
			_, ok = read(text[:i] + " " + text[i:])
			require.False(t, ok, "a space at %d: Sign writes none", i)
		}
	}
	h, ok = read(`{"alg":"ES256","typ":"JWT","kid":"k"}`)
	require.True(t, ok, "another of the types")
	require.Equal(t, "jwt", h.Type)
	for _, header := range []string{`{"alg":"ES256","typ":"jwt","kid":"k"}`, `{"alg":"ES256","typ":"token-introspection+jwt","kid":"k"}`, `{"typ":"at+jwt","alg":"ES256","kid":"k"}`, `{"alg":"ES256","typ":"at+jwt","kid":"k","x":1}`,
		`{"alg":"ES256","typ":"AT+JWT","kid":"k"}`, `{"alg":"ES256","typ":"application/at+jwt","kid":"k"}`,
		`{"alg":"\u0045S256","typ":"at+jwt","kid":"k"}`} {
		_, ok := read(header)
		require.False(t, ok, "a good header that is not as Sign writes it: %s", header)
	}
}
