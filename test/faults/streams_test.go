package faults_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/processtest"
)

// TestGeneratedStreams sends generated streams through proxies whose connections to the node honest
// clients use too.
func TestGeneratedStreams(t *testing.T) {
	for name, front := range map[string]func(*testing.T, string) string{"nginx": nginxStreaming, "HAProxy": haproxy} {
		t.Run("S-44 behind "+name+" honest clients get their own answers while others send generated streams over the same upstream connections", func(t *testing.T) {
			d := deploy(t, inMemory)
			n := d.serve(t)
			l := newLedger(d, &node{Process: &processtest.Process{URL: "http://" + front(t, n.Addr)}, t: t})
			l.begun = time.Now()
			l.issueMany(t, 40, 10)
			a := &attackers{d: d, addr: strings.TrimPrefix(l.nodes[0].URL, "http://"), forms: streamParts(d)}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(choose(4, 60))*time.Second)
			defer cancel()
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() { a.attack(ctx, rand.New(rand.NewPCG(44, uint64(i)))) })
				all.Go(func() { l.honest(ctx, i) })
			}
			all.Wait()
			figure(t, "S-44", fmt.Sprintf("%d generated streams behind %s beside %d requests of honest clients on the same upstream connections: %d answers of another request, %d without an answer",
				a.streams.Load(), name, l.requests, l.wrong, l.unanswered), "0; 0")
			require.Positive(t, a.streams.Load())
			require.Zero(t, l.wrong, "%v", l.notes)
			require.Zero(t, l.lostTokens, "%v", l.notes)
			require.Zero(t, l.refused, "%v", l.notes)
			require.Zero(t, l.unanswered, "%v", l.notes)
			require.Greater(t, l.requests, 500)
		})
	}
}

// honest introspects tokens, each of which has an answer that no other has.
func (l *ledger) honest(ctx context.Context, first int) {
	for i := first; ctx.Err() == nil; i++ {
		tok := l.tokens[i%len(l.tokens)]
		a := l.introspect(context.Background(), l.nodes[0], tok.text)
		if l.took(reads, a) {
			l.compare(tok, false, a)
		} else {
			l.deny("introspection", a)
		}
	}
}

// attackers send streams that were put together at random.
type attackers struct {
	d       *deployment
	addr    string
	forms   []string
	streams atomic.Int64
}

// streamParts are requests, parts of requests, and what stands between them. None is an
// introspection of a token that is active: who gets such an answer got that of an honest client.
func streamParts(d *deployment) []string {
	basic := base64.StdEncoding.EncodeToString([]byte("api:" + url.QueryEscape(d.api)))
	head := "POST /oauth2/introspect HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + basic + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	const get = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	parts := []string{
		head + "Content-Length: 9\r\n\r\ntoken=bad", chunked + "9\r\ntoken=bad\r\n0\r\n\r\n", chunked + "1\r\nt\r\n008\r\noken=bad\r\n0\r\n\r\n",
		chunked + "9;a=b\r\ntoken=bad\r\n0\r\n\r\n", chunked + "9\r\ntoken=bad\r\n0\r\nX-T: a\r\n\r\n", chunked + "9\r\ntoken=bad\r\n",
		chunked + "a\r\ntoken=bad\r\n0\r\n\r\n", chunked + "0x9\r\ntoken=bad\r\n0\r\n\r\n", chunked + "9\ntoken=bad\n0\n\n",
		chunked + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(get), get), head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(get), get),
		head + "Content-Length: 90\r\n\r\ntoken=bad", head + "Expect: 100-continue\r\nContent-Length: 9\r\n\r\ntoken=bad",
		get, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /healthz?a=b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /healthz HTTP/1.0\r\n\r\n",
		"DELETE /oauth2/token HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n", "\n", "\r\n\r\n\r\n", "nonsense\r\n\r\n", strings.Repeat("x", 5000),
	}
	for _, form := range both() {
		parts = append(parts, fmt.Sprintf(form, second))
	}
	return parts
}

// attack sends one stream after the other, cut anywhere, and hangs up at once or after a look at
// the answers.
func (a *attackers) attack(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		var stream strings.Builder
		for range 1 + rng.IntN(5) {
			stream.WriteString(a.forms[rng.IntN(len(a.forms))])
		}
		a.send(stream.String(), rng)
		a.streams.Add(1)
	}
}

func (a *attackers) send(stream string, rng *rand.Rand) {
	c, err := net.DialTimeout("tcp", a.addr, 5*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	cut := rng.IntN(len(stream))
	_, _ = io.WriteString(c, stream[:cut])
	time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	if rng.IntN(5) == 0 {
		return // in the midst of a request
	}
	_, _ = io.WriteString(c, stream[cut:])
	_ = c.SetReadDeadline(time.Now().Add(time.Duration(rng.IntN(20)) * time.Millisecond))
	_, _ = io.Copy(io.Discard, c)
}

// nginxStreaming hands bodies on as they come, chunks as chunks, over connections that all clients
// share.
func nginxStreaming(t *testing.T, to string) string {
	return frontEnd(t, "nginx", nginxHead+`
  upstream grantor { server `+to+`; keepalive 8; }
  server { listen 127.0.0.1:PORT; location / { proxy_pass http://grantor; proxy_http_version 1.1; proxy_request_buffering off;
    proxy_set_header Connection ""; proxy_set_header Host $host; } }
}
`, "-c")
}
