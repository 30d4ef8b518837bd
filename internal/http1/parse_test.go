package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parsed(text string) (p plain, ok bool) {
	ok = p.parse(text) == notHandedOn
	return p, ok
}

const simple = "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"

func TestParse(t *testing.T) {
	for name, text := range map[string]string{
		"§9.3.1 GET without a body":                  "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
		"§9.3.3 POST":                                simple,
		"§6.1 transfer-encoding":                     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"§6.3 POST of nothing":                       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"§5.1 names in any case":                     "POST / HTTP/1.1\r\nhOST: a\r\ncontent-length: 2\r\nx-a: b\r\n\r\nab",
		"§5.5 white space around a value":            "GET / HTTP/1.1\r\nHost:\t a \t\r\nX:\r\n\r\n",
		"§5.2 a field twice":                         "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: b\r\nauthorization: c\r\n\r\n",
		"§9.6 connection: close":                     "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"RFC 9111 §5.4 pragma":                       "GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n",
		"§9.6 connection: keep-alive":                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
		"§3.2.1 a query":                             "GET /verify?scope=a:b+c&x=%2f%zz&?/;@! HTTP/1.1\r\nHost: a\r\n\r\n",
		"an IPv6 host with a port":                   "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
		"what comes behind it is the next request's": simple + "GET / HTTP/1.1\r\n",
	} {
		t.Run("RFC 9112 plain: "+name, func(t *testing.T) {
			_, ok := parsed(text)
			require.True(t, ok)
			same(t, text)
		})
	}
	var many strings.Builder
	for i := range maxFields {
		fmt.Fprintf(&many, "X%d: a\r\n", i)
	}
	head := func(line string) string {
		return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + line + "\r\n\r\nab"
	}
	for name, text := range map[string]string{
		"§2.2 a bare LF":                       strings.ReplaceAll(simple, "\r\n", "\n"),
		"§2.2 a bare CR":                       head("X: a\rb"),
		"§2.2 an empty line before":            "\r\n" + simple,
		"§2.2 a head that is not whole":        "POST / HTTP/1.1\r\nHost: a\r\n",
		"§2.3 another version":                 strings.Replace(simple, "1.1", "1.0", 1),
		"§3 another method":                    strings.Replace(simple, "POST", "PUT", 1),
		"§3 two spaces":                        strings.Replace(simple, "POST ", "POST  ", 1),
		"§3.2.2 an absolute target":            strings.Replace(simple, "/oauth2", "http://a/oauth2", 1),
		"§3.2.1 an empty query":                strings.Replace(simple, "/token", "/token?", 1),
		"RFC 3986 §3.4 a query with a quote":   strings.Replace(simple, "/token", "/token?a=\"", 1),
		"RFC 3986 §3.5 a fragment":             strings.Replace(simple, "/token", "/token?a#b", 1),
		"§3.2.1 an escape":                     strings.Replace(simple, "/token", "/%74oken", 1),
		"§3.2.1 two slashes":                   strings.Replace(simple, "/oauth2", "//oauth2", 1),
		"§3.2 no host":                         strings.Replace(simple, "Host", "Most", 1),
		"§3.2 an empty host":                   strings.Replace(simple, "Host: a", "Host:", 1),
		"§3.2 two hosts":                       head("Host: a"),
		"§3.2 two hosts, one empty":            strings.Replace(simple, "Host", "Host:\r\nHost", 1),
		"§3.2 a host with a user":              strings.Replace(simple, "Host: a", "Host: b@a", 1),
		"§5.1 a space before the colon":        head("X : a"),
		"§5.1 no name":                         head(": a"),
		"§5.2 a folded line":                   head("X: a\r\n b"),
		"§5.5 a NUL":                           head("X: a\x00b"),
		"§5.5 a byte above ASCII":              head("X: é"),
		"§6.1 transfer-encoding and a length":  head("Transfer-Encoding: chunked"),
		"§6.1 transfer-encoding twice":         strings.Replace(simple, "Content-Length: 2", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 1),
		"§6.1 a list of codings":               strings.Replace(simple, "Content-Length: 2", "Transfer-Encoding: gzip, chunked", 1),
		"§6.1 another coding":                  strings.Replace(simple, "Content-Length: 2", "Transfer-Encoding: identity", 1),
		"§6.1 chunks of a GET":                 "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"§6.1 transfer-encoding in other case": head("tRANSFER-eNCODING: identity"),
		"§6.2 two lengths":                     head("Content-Length: 2"),
		"§6.2 a list of lengths":               strings.Replace(simple, "h: 2", "h: 2, 2", 1),
		"§6.2 a signed length":                 strings.Replace(simple, "h: 2", "h: +2", 1),
		"§6.2 a hexadecimal length":            strings.Replace(simple, "h: 2", "h: 0x2", 1),
		"§6.2 an empty length":                 strings.Replace(simple, "h: 2", "h:", 1),
		"§6.2 a long length":                   strings.Replace(simple, "h: 2", "h: 00002", 1),
		"§6.3 POST without a length":           strings.Replace(simple, "Content-Length: 2", "X: 2", 1),
		"§6.3 GET with a length":               strings.Replace(simple, "POST", "GET", 1),
		"§9.8 connection: a list":              head("Connection: keep-alive, upgrade"),
		"RFC 9110 §10.1.1 expect":              head("Expect: 100-continue"),
		"RFC 9110 §7.8 upgrade":                head("Upgrade: h2c"),
		"HTTP/2":                               "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"more fields than are held":            head(many.String() + "Y: b"),
	} {
		t.Run("RFC 9112 left to net/http: "+name, func(t *testing.T) {
			_, ok := parsed(text)
			require.False(t, ok)
		})
	}
}

// same holds parse to net/http's reader: the same request, the same bytes of it.
func same(t *testing.T, text string) {
	t.Helper()
	p, _ := parsed(text)
	source := strings.NewReader(text + strings.Repeat("x", p.length))
	buffered := bufio.NewReaderSize(source, 64<<10)
	r, err := http.ReadRequest(buffered)
	require.NoError(t, err)
	require.Equal(t, r.Method, p.method)
	require.Equal(t, r.RequestURI, p.target)
	require.Equal(t, *r.URL, urlOf(p.path, p.query))
	require.Equal(t, r.Host, p.host)
	require.Equal(t, r.Close, p.last)
	require.Equal(t, r.Header, p.header)
	require.Equal(t, r.TransferEncoding != nil, p.chunked)
	if p.chunked {
		require.Equal(t, int64(-1), r.ContentLength)
		sameChunks(t, text[p.head:])
		return
	}
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, r.ContentLength, int64(p.length))
	require.Len(t, body, p.length)
	require.Equal(t, p.head+p.length, len(text)+p.length-source.Len()-buffered.Buffered())
}

// FuzzParse: what is taken for plain is to net/http the same request, byte for byte (RFC 9112
// §11.2: nothing to smuggle through).
func FuzzParse(f *testing.F) {
	for _, seed := range []string{simple, "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: [::1]:80\r\nAccept: */*\r\nX_Y-z:  a\tb \r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic YTpi\r\n\r\na" + simple,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := parsed(text); ok && p.head <= len(text) {
			same(t, text)
		}
	})
}

// pieces are what heads are made of: plain ones, and those that readers are known to disagree
// about.
var pieces = []string{
	"POST /a HTTP/1.1\r\n", "GET /a HTTP/1.1\r\n", "GET /a/../b//c HTTP/1.1\r\n", "POST //a HTTP/1.1\r\n", "POST /a\tHTTP/1.1\r\n", "GET / HTTP/1.1 HTTP/1.1\r\n", "POST /a HTTP/1.1\n",
	"Host: a\r\n", "host:[::1]:80 \r\n", "Host : a\r\n", "Host: a, b\r\n", "Host:\r\n", "Content-Length: 1\r\n", "content-length:\t0001 \r\n", "Content-Length: 0x1\r\n", "Content-Length: 1\r",
	"Content_Length: 9\r\n", "Content-Length\x00: 9\r\n", " Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n", "transfer_encoding: chunked\r\n", "Transfer-Encoding\t: chunked\r\n",
	"\tTransfer-Encoding: chunked\r\n", "X: a\nTransfer-Encoding: chunked\r\n", "X: a\rTransfer-Encoding: chunked\r\n", "Connection: keep-alive\r\n", "Connection: close\r\n", "Connection: Content-Length\r\n",
	"Connection: close, keep-alive\r\n", "Keep-Alive: timeout=5\r\n", "Pragma: no-cache\r\n", "Pragma: x\r\n", "Cache-Control: max-age=0\r\n", "X-A:b\r\n", "x-a: c\r\n", "X_a: \t d\t\r\n", "X-A:\r\n", ":\r\n", "\r\n", "\n", "a", "0\r\n\r\n", "GET /b HTTP/1.1\r\nHost: b\r\n\r\n",
}

// FuzzPieces is FuzzParse where every byte chooses a piece.
func FuzzPieces(f *testing.F) {
	f.Add([]byte{0, 7, 12, 33, 35})
	f.Add([]byte{1, 8, 25, 28, 29, 30, 31, 33, 37})
	f.Fuzz(func(t *testing.T, choice []byte) {
		var text strings.Builder
		for _, c := range choice {
			text.WriteString(pieces[int(c)%len(pieces)])
		}
		if p, ok := parsed(text.String()); ok && p.head <= text.Len() {
			same(t, text.String())
		}
	})
}
