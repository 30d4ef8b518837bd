package http1

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestChunkedBody(t *testing.T) {
	for text, want := range map[string]string{
		"0\r\n\r\n":             "",
		"3\r\nabc\r\n0\r\n\r\n": "abc",
		"1\r\na\r\n00a\r\n0123456789\r\n0\r\n\r\nGET": "a0123456789",
		"C\r\n0\r\n\r\nGET / H\r\n000\r\n\r\n":        "0\r\n\r\nGET / H",
		"2\r\n\r\n\r\n0\r\n\r\n":                      "\r\n",
	} {
		t.Run("RFC 9112 §7.1 chunks: "+text, func(t *testing.T) {
			body, size, why := chunkedBody(text)
			require.Equal(t, notHandedOn, why)
			require.Equal(t, want, body)
			require.Equal(t, strings.TrimSuffix(text, "GET"), text[:size])
			sameChunks(t, text)
			for cut := range size {
				_, _, why := chunkedBody(text[:cut])
				require.Equal(t, byLateBody, why, text[:cut])
			}
		})
	}
	for name, text := range map[string]string{
		"§7.1 a size in other digits":      "g\r\na\r\n0\r\n\r\n",
		"§7.1 a size with 0x":              "0x1\r\na\r\n0\r\n\r\n",
		"§7.1 a signed size":               "+1\r\na\r\n0\r\n\r\n",
		"§7.1 no size":                     "\r\na\r\n0\r\n\r\n",
		"§7.1 a size of four digits":       "0001\r\na\r\n0\r\n\r\n",
		"§7.1 a long size":                 "ffffffffffffffffff\r\na",
		"§7.1 a space before the size":     " 1\r\na\r\n0\r\n\r\n",
		"§7.1 a space after the size":      "1 \r\na\r\n0\r\n\r\n",
		"§7.1 a bare LF behind the size":   "1\na\r\n0\r\n\r\n",
		"§7.1 a bare CR behind the size":   "1\ra\r\n0\r\n\r\n",
		"§7.1 a bare LF behind the data":   "1\r\na\n0\r\n\r\n",
		"§7.1 data that are longer":        "1\r\nab\r\n0\r\n\r\n",
		"§7.1 data that are shorter":       "3\r\na\r\n0\r\n\r\n",
		"§7.1.1 an extension":              "1;a=b\r\na\r\n0\r\n\r\n",
		"§7.1.1 an extension of the last":  "1\r\na\r\n0;a\r\n\r\n",
		"§7.1.2 a trailer":                 "1\r\na\r\n0\r\nX: a\r\n\r\n",
		"§7.1.2 a trailer of another sort": "0\r\nContent-Length: 5\r\n\r\n",
	} {
		t.Run("RFC 9112 chunks left to net/http: "+name, func(t *testing.T) {
			_, _, why := chunkedBody(text)
			require.Equal(t, byFraming, why)
		})
	}
}

// sameChunks holds chunkedBody to net/http's reader: the same body, the same bytes behind the body.
func sameChunks(t *testing.T, text string) {
	t.Helper()
	body, size, why := chunkedBody(text)
	if why != notHandedOn {
		return
	}
	source := strings.NewReader(chunkedHead + text)
	buffered := bufio.NewReaderSize(source, 64<<10)
	r, err := http.ReadRequest(buffered)
	require.NoError(t, err)
	theirs, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, string(theirs), body)
	require.Empty(t, r.Trailer)
	require.Equal(t, len(text)-size, source.Len()+buffered.Buffered())
}

// FuzzChunks: chunks that are taken are to net/http the same body, byte for byte.
func FuzzChunks(f *testing.F) {
	for _, seed := range []string{"3\r\nabc\r\n0\r\n\r\n", "1\r\na\r\n1\r\nb\r\n0\r\n\r\nGET /", "0\r\n\r\n0\r\n\r\n", "a;b=c\r\n0123456789\r\n0\r\nX: a\r\n\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { sameChunks(t, text) })
}
