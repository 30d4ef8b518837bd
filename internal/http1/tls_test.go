package http1

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func secure(t *testing.T, h http.HandlerFunc) (addr string, s *Server, client *http.Client) {
	t.Helper()
	model := httptest.NewUnstartedServer(h)
	model.StartTLS()
	t.Cleanup(model.Close)
	addr, s = front(t, h, func(srv *http.Server) {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: model.TLS.Certificates}
	})
	client = model.Client()
	return addr, s, client
}

func TestTLS(t *testing.T) {
	who := func(w http.ResponseWriter, r *http.Request) {
		_, plain := w.(*response)
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprint(w, plain, r.Proto, r.TLS != nil && r.TLS.HandshakeComplete, string(body))
	}
	ask := func(t *testing.T, c *http.Client, method, url, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := c.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(text)
	}
	t.Run("plain requests are served here, handed-on ones and HTTP/2 by net/http, and all see the TLS", func(t *testing.T) {
		addr, s, c := secure(t, who)
		tr := c.Transport.(*http.Transport)
		tr.TLSClientConfig.ServerName = "example.com"
		tr.ForceAttemptHTTP2 = false
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		require.Equal(t, "trueHTTP/1.1truea", ask(t, c, "POST", "https://"+addr+"/", "a"))
		require.Equal(t, "falseHTTP/1.1true", ask(t, c, "DELETE", "https://"+addr+"/", ""))
		require.Equal(t, uint64(1), s.Counts().Plain)
		require.Equal(t, uint64(1), s.Counts().HandedOn["request_line"])
		second := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: tr.TLSClientConfig.RootCAs, ServerName: "example.com", MinVersion: tls.VersionTLS12}}}
		defer second.CloseIdleConnections()
		require.Equal(t, "falseHTTP/2.0truea", ask(t, second, "POST", "https://"+addr+"/", "a"))
		require.Equal(t, uint64(1), s.Counts().HandedOn["http2"])
	})
	t.Run("a watcher over TLS loses nothing", func(t *testing.T) {
		addr, _, c := secure(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Millisecond):
			}
			who(w, r)
		})
		c.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
		c.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
		for i := range 10 {
			require.Equal(t, fmt.Sprint("trueHTTP/1.1true", i), ask(t, c, "POST", "https://"+addr+"/", fmt.Sprint(i)))
		}
	})
	t.Run("plain HTTP to the TLS listener is told so, as net/http does", func(t *testing.T) {
		addr, _, _ := secure(t, who)
		c, r := dial(t, addr)
		send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		text, _ := io.ReadAll(r)
		require.Contains(t, string(text), "400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.")
	})
	t.Run("S-40 who does not finish the handshake is cut", func(t *testing.T) {
		model := httptest.NewUnstartedServer(http.HandlerFunc(who))
		model.StartTLS()
		defer model.Close()
		addr, _ := front(t, who, func(srv *http.Server) {
			srv.ReadHeaderTimeout = 100 * time.Millisecond
			srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: model.TLS.Certificates}
		})
		_, r := dial(t, addr)
		_, err := r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestStopDuringHandshakes(t *testing.T) {
	for range 20 {
		addr, s, c := secure(t, echo)
		config := c.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.ServerName = "example.com"
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					nc, err := tls.Dial("tcp", addr, config)
					if err != nil {
						return
					}
					_ = nc.Close()
				}
			})
		}
		time.Sleep(2 * time.Millisecond) // handshakes are under way
		_ = s.Close()
		all.Wait()
	}
}

type inPieces struct{ net.Conn }

func (p inPieces) Write(b []byte) (n int, err error) {
	for size := 1; n < len(b) && err == nil; size = size%61 + 7 {
		var k int
		k, err = p.Conn.Write(b[n:min(len(b), n+size)])
		n += k
		time.Sleep(50 * time.Microsecond) // packets of their own: no bubble holds real sockets
	}
	return n, err
}

func TestWatcherSeesPiecesOfRecords(t *testing.T) {
	addr, _, client := secure(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(300 * time.Microsecond):
		}
		echo(w, r)
	})
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", []string{"http/1.1"}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			raw, err := net.Dial("tcp", addr)
			if !assert.NoError(t, err) {
				return
			}
			defer raw.Close()
			_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
			c := tls.Client(inPieces{raw}, config)
			go func() {
				for i := range 40 {
					_, _ = io.WriteString(c, post(fmt.Sprint(i), strings.Repeat("p", i)))
				}
			}()
			r := bufio.NewReader(c)
			for i := range 40 {
				resp, err := http.ReadResponse(r, nil)
				if !assert.NoError(t, err) {
					return
				}
				body, _ := io.ReadAll(resp.Body)
				assert.Contains(t, string(body), fmt.Sprintf(" %d %d", i, i))
			}
		})
	}
	all.Wait()
}
