package faults_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHammer joins what clients, log and trail say of the same requests.
func TestHammer(t *testing.T) {
	t.Run("S-25 200 connections, plain and TLS, pipelined and aborted: log and trail have each answer once, with its client and status", func(t *testing.T) {
		pair := newPair(t, "hammer")
		dir := t.TempDir()
		cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		require.NoError(t, os.WriteFile(cert, pair.cert, 0o600))
		require.NoError(t, os.WriteFile(key, pair.key, 0o600))
		roots := x509.NewCertPool()
		roots.AddCert(pair.leaf)
		hammers := []*hammer{
			newHammer(t, nil, ""),
			newHammer(t, roots, fmt.Sprintf("[tls]\nmode = \"files\"\ncert_file = %q\nkey_file = %q\n", cert, key)),
		}
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() { hammers[i%2].connections(rand.New(rand.NewPCG(14, uint64(i)))) })
		}
		all.Wait()
		for i, name := range []string{"plain", "TLS"} {
			h := hammers[i]
			h.join(t)
			figure(t, "S-25", fmt.Sprintf("100 connections over %s: %d answers and %d aborts; each answer once in the log, %d of them once in the trail, with client and status",
				name, len(h.answers), h.aborts, h.trailed), "once")
		}
	})
}

// hammer is a node under many connections, and what they were answered.
type hammer struct {
	d     *deployment
	n     *node
	trail string
	roots *x509.CertPool // nil: plain
	token string         // of machine-0

	mu      sync.Mutex
	answers map[string]blow // by request id
	aborts  int
	wrong   []string
	trailed int
}

// blow is a request, and what it must be answered.
type blow struct {
	text   string
	client string
	status int
	event  string // in the trail; "": none
}

func newHammer(t *testing.T, roots *x509.CertPool, section string) *hammer {
	t.Helper()
	d := deploy(t, inMemory, section).changed(t, `level = "warn"`, `level = "debug"`)
	h := &hammer{d: d, trail: d.trail(t), roots: roots, answers: map[string]blow{}}
	h.n = d.serve(t)
	c, err := h.dial()
	require.NoError(t, err)
	defer c.Close()
	first := h.issue("machine-0", "", false)
	_, err = io.WriteString(c, first.text)
	require.NoError(t, err)
	_, body, err := h.answer(bufio.NewReader(c), first)
	require.NoError(t, err)
	var issued answer
	require.NoError(t, json.Unmarshal(body, &issued))
	require.NotEmpty(t, issued.Access, string(body))
	h.token = issued.Access
	return h
}

func (h *hammer) dial() (net.Conn, error) {
	d := &net.Dialer{Timeout: 20 * time.Second}
	if h.roots == nil {
		return d.Dial("tcp", h.n.Addr)
	}
	return tls.DialWithDialer(d, "tcp", h.n.Addr, &tls.Config{RootCAs: h.roots, MinVersion: tls.VersionTLS12})
}

// request composes a form, with a length or in chunks. more are header lines.
func (h *hammer) request(path, id, secret, more string, form url.Values, chunked bool) string {
	body := form.Encode()
	framing := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	if chunked {
		framing = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n3\r\n%s\r\n%X\r\n%s\r\n0\r\n\r\n", body[:3], len(body)-3, body[3:])
	}
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
	return "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic " + basic + "\r\n" + more + framing
}

func (h *hammer) issue(machine, more string, chunked bool) blow {
	form := url.Values{"grant_type": {"client_credentials"}}
	return blow{h.request("/oauth2/token", machine, h.d.secret, more, form, chunked), machine, 200, "token_issued"}
}

// any is one of what clients ask for. A field that net/http must judge hands the connection on.
func (h *hammer) any(rng *rand.Rand) blow {
	machine, chunked, more := h.d.machines[rng.IntN(len(h.d.machines))], rng.IntN(4) == 0, ""
	if rng.IntN(12) == 0 {
		more = "Te: trailers\r\n"
	}
	switch rng.IntN(4) {
	case 0:
		form := url.Values{"token": {h.token}}
		return blow{h.request("/oauth2/introspect", "api", h.d.api, more, form, chunked), "api", 200, ""}
	case 1:
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {"nonsense"}}
		return blow{h.request("/oauth2/token", machine, h.d.secret, more, form, chunked), machine, 400, "token_refused"}
	default:
		return h.issue(machine, more, chunked)
	}
}

// connections opens one connection after the other, each with a batch or some of one to four
// requests.
func (h *hammer) connections(rng *rand.Rand) {
	for range choose(6, 20) {
		c, err := h.dial()
		if err != nil {
			h.fail("dial: %v", err)
			continue
		}
		_ = c.SetDeadline(time.Now().Add(60 * time.Second))
		for r := bufio.NewReader(c); h.batch(rng, c, r); {
		}
		_ = c.Close()
	}
}

// batch sends some requests at once, or a part of them, and says whether the connection goes on.
func (h *hammer) batch(rng *rand.Rand, c net.Conn, r *bufio.Reader) (goesOn bool) {
	blows := make([]blow, 1+rng.IntN(4))
	text := ""
	for i := range blows {
		blows[i] = h.any(rng)
		text += blows[i].text
	}
	abort := rng.IntN(6) == 0
	if abort {
		text = text[:rng.IntN(len(text))]
		h.mu.Lock()
		h.aborts++
		h.mu.Unlock()
	}
	if _, err := io.WriteString(c, text); err != nil || abort {
		return false
	}
	for _, b := range blows {
		last, _, err := h.answer(r, b)
		if err != nil {
			h.fail("no answer to %q: %v", b.text, err)
		}
		if last || err != nil {
			return false
		}
	}
	return rng.IntN(3) > 0
}

// answer reads one answer, and books it by its request id.
func (h *hammer) answer(r *bufio.Reader, b blow) (last bool, body []byte, err error) {
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return true, nil, err
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		return true, nil, err
	}
	id := res.Header.Get("X-Request-Id")
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, double := h.answers[id]; id == "" || double || res.StatusCode != b.status {
		h.wrong = append(h.wrong, fmt.Sprintf("request id %q, there before: %t, status %d to %q: %s", id, double, res.StatusCode, b.text, body))
	}
	h.answers[id] = b
	return res.Close, body, nil
}

func (h *hammer) fail(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, fmt.Sprintf(format, args...))
}

// record is a line of the log or of the trail.
type record struct {
	Msg, Event string
	ID         string `json:"request_id"`
	Client     string `json:"client_id"`
	Actor      string
	Status     int
}

// records are the lines of a text that speak of requests, by request id.
func records(t *testing.T, text string) map[string][]record {
	t.Helper()
	found := map[string][]record{}
	for line := range strings.Lines(text) {
		var r record
		if json.Unmarshal([]byte(line), &r) == nil && r.ID != "" {
			found[r.ID] = append(found[r.ID], r)
		}
	}
	return found
}

// join ends the node and compares every answer with log and trail.
func (h *hammer) join(t *testing.T) {
	t.Helper()
	status, _ := h.n.stop()
	require.Zero(t, status)
	require.Empty(t, h.wrong, "the first of %d", len(h.wrong))
	require.Greater(t, len(h.answers), 1000)
	require.Positive(t, h.aborts)
	require.Less(t, len(h.n.Out.String()), textLimit, "the log is whole")
	logged, trailed := records(t, h.n.Out.String()), records(t, read(t, h.trail))
	for id, b := range h.answers {
		require.Len(t, logged[id], 1, "log of %s", id)
		require.Equal(t, record{Msg: "request", ID: id, Client: b.client, Status: b.status}, logged[id][0])
		if b.event == "" {
			require.Empty(t, trailed[id])
			continue
		}
		h.trailed++
		require.Len(t, trailed[id], 1, "trail of %s", id)
		require.Equal(t, b.event, trailed[id][0].Event)
		require.Equal(t, b.client, trailed[id][0].Client)
	}
}
