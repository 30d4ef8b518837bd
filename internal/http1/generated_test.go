package http1

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// seen answers with what a handler sees of a request.
func seen(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	_, _ = fmt.Fprint(w, r.Method, " ", r.URL, " ", r.Host, " ", r.Header, " ", r.ContentLength, r.TransferEncoding, r.Trailer, r.Close, " ",
		string(body), err != nil)
}

// plainParts are requests that http1 answers, and what stands between requests.
var plainParts = []string{
	post("a=b", "p"), post("", ""), "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /k HTTP/1.1\r\nHost: a\r\nKeep-Alive: timeout=5\r\nPragma: no-cache\r\nContent-Length: 1\r\n\r\nk",
	chunkedHead + "3\r\nabc\r\n0\r\n\r\n", chunkedHead + "0\r\n\r\n", chunkedHead + "A\r\n0\r\n\r\nGET /\r\n001\r\na\r\n0\r\n\r\n",
	"\r\n", "\n", "\r", "\r\n\r\n\r\n",
}

// oddParts are requests that are handed on, and what is no request.
var oddParts = []string{
	"GET /q?a=b HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "DELETE /d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /old HTTP/1.0\r\n\r\n",
	"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	"POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
	"POST /both HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	"GET /get HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "GET /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
	"POST /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	chunkedHead + "2;a=b\r\nab\r\n0\r\n\r\n", chunkedHead + "2\r\nab\r\n0\r\nX-T: a\r\n\r\n", chunkedHead + "0x2\r\nab\r\n0\r\n\r\n", chunkedHead + "2\nab\n0\n\n",
	chunkedHead + "00002\r\nab\r\n0\r\n\r\n", chunkedHead + "2 \r\nab\r\n0\r\n\r\n", chunkedHead + "-1\r\nab\r\n0\r\n\r\n", chunkedHead + "1\r\nab\r\n0\r\n\r\n",
	chunkedHead + "3\r\nab\r\n0\r\n\r\n", chunkedHead + "ffffffffffffffff\r\nab", chunkedHead + "\r\n\r\n", chunkedHead + "FFF\r\n",
}

// engines serves h by net/http and by http1, and returns their addresses.
func engines(t *testing.T, h http.HandlerFunc) []string {
	t.Helper()
	theirs := httptest.NewUnstartedServer(h)
	theirs.Config.ErrorLog = log.New(io.Discard, "", 0)
	theirs.Start()
	t.Cleanup(theirs.Close)
	ours, _ := front(t, h)
	return []string{theirs.Listener.Addr().String(), ours}
}

// TestGeneratedConnections: whole connections, cut anywhere, have the same answers as net/http
// gives, and handlers see the same requests (RFC 9112 §11.2).
func TestGeneratedConnections(t *testing.T) {
	addrs := engines(t, seen)
	all := slices.Concat(plainParts, plainParts, oddParts) // odd ones end much
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(all), 1, 8).Draw(rt, "parts"), "") + ending
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 3).Draw(rt, "cuts")
		theirs, ours := wholeAnswer(rt, addrs[0], text, cuts...), wholeAnswer(rt, addrs[1], text, cuts...)
		if theirs != ours {
			rt.Fatalf("of %q cut at %d\nnet/http: %q\n   http1: %q", text, cuts, theirs, ours)
		}
	})
}

// TestCutAtEveryByte is TestGeneratedConnections for chunked bodies between others, cut at each
// byte.
func TestCutAtEveryByte(t *testing.T) {
	addrs := engines(t, seen)
	texts := []string{post("a", "") + chunkedHead + "3\r\nabc\r\n00B\r\n0\r\n\r\nGET / \r\n0\r\n\r\n" + post("b", "")}
	for _, odd := range []string{"2;a=b\r\nab\r\n0\r\n\r\n", "2\r\nab\r\n0\r\nX-T: a\r\n\r\n", "3\r\nab\r\n0\r\n\r\n", "2\nab\n0\n\n"} {
		texts = append(texts, chunkedHead+odd)
	}
	for _, text := range texts {
		text += ending
		want := wholeAnswer(t, addrs[0], text)
		for cut := range len(text) {
			require.Equal(t, want, wholeAnswer(t, addrs[1], text, cut), "%q cut at %d", text, cut)
		}
	}
}

// ending ends every generated connection.
const ending = "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// wholeAnswer sends a connection's bytes in pieces, and returns all that comes, without dates, as
// sorted lines of each head.
func wholeAnswer(t rapid.TB, addr, text string, cuts ...int) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	slices.Sort(cuts)
	from := 0
	for _, cut := range cuts {
		_, _ = io.WriteString(c, text[from:cut])
		time.Sleep(100 * time.Microsecond) // packets of their own: no bubble holds real sockets
		from = cut
	}
	_, _ = io.WriteString(c, text[from:])
	_ = c.(*net.TCPConn).CloseWrite() // who waits for more of a body sees the end
	all, _ := io.ReadAll(c)           // an answer to broken bytes may end in a reset
	return normal(string(all))
}

// normal drops dates, and brings the fields of each head into one order: a map has none.
func normal(answers string) string {
	parts := strings.Split(answers, "\r\n\r\n")
	for i, part := range parts {
		lines := slices.DeleteFunc(strings.Split(part, "\r\n"), func(line string) bool { return strings.HasPrefix(line, "Date: ") })
		slices.Sort(lines[1:])
		parts[i] = strings.Join(lines, "\n")
	}
	return strings.Join(parts, "\n\n")
}
