package http1

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPressure(t *testing.T) {
	bounded := func(t *testing.T, most int) (string, *Server) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := New(&http.Server{Handler: http.HandlerFunc(echo), IdleTimeout: time.Minute, ReadHeaderTimeout: time.Minute}, Config{MaxConnections: most})
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close(); <-done })
		return l.Addr().String(), s
	}
	t.Run("S-43 idle connections make place for a client that asks, and it for the next", func(t *testing.T) {
		addr, s := bounded(t, 32)
		for range 100 {
			dial(t, addr)
		}
		for i := range 50 {
			c, r := dial(t, addr)
			send(t, c, post(fmt.Sprint(i), ""))
			answered(t, r, fmt.Sprint("http1 0 ", i))
		}
		require.NotZero(t, s.Counts().Closed)
		require.LessOrEqual(t, s.places.taken.Load(), int64(32))
	})
	t.Run("S-43 idle connections that net/http has make place too", func(t *testing.T) {
		addr, s := bounded(t, 32)
		odd := func() {
			c, r := dial(t, addr)
			send(t, c, "GET /%6fdd HTTP/1.1\r\nHost: a\r\n\r\n")
			answered(t, r, "net/http 0 ")
		}
		for range 100 { // more than there are places
			odd()
		}
		for i := range 20 {
			c, r := dial(t, addr)
			send(t, c, post(fmt.Sprint(i), ""))
			answered(t, r, fmt.Sprint("http1 0 ", i))
		}
		require.NotZero(t, s.Counts().Closed)
		require.LessOrEqual(t, s.places.taken.Load(), int64(32))
	})
	t.Run("S-43 connections that have sent one byte of the next request make place too", func(t *testing.T) {
		addr, s := bounded(t, 32)
		for range 100 {
			c, r := dial(t, addr)
			send(t, c, post("a", ""))
			answered(t, r, "http1 0 a")
			send(t, c, "G")
		}
		require.NotZero(t, s.Counts().Closed)
	})
	t.Run("S-43 idle connections of HTTP/2 make place too", func(t *testing.T) {
		model := httptest.NewUnstartedServer(nil)
		model.StartTLS()
		defer model.Close()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		srv := &http.Server{Handler: http.HandlerFunc(echo), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: model.TLS.Certificates}}
		s := New(srv, Config{MaxConnections: 16})
		go func() { _ = s.Serve(l) }()
		defer func() { _ = s.Close() }()
		trusted := model.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		for range 40 {
			c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true,
				TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "example.com", MinVersion: tls.VersionTLS12}}}
			defer c.CloseIdleConnections()
			resp, err := c.Get("https://" + l.Addr().String() + "/")
			require.NoError(t, err)
			require.Equal(t, 2, resp.ProtoMajor)
			_, _ = io.Copy(io.Discard, resp.Body)
			require.NoError(t, resp.Body.Close())
		}
		require.NotZero(t, s.Counts().Closed)
	})
	t.Run("connections that are at work are never closed for another, which waits", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		leave := make(chan struct{})
		s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-leave; echo(w, r) })}, Config{MaxConnections: 8})
		go func() { _ = s.Serve(l) }()
		defer func() { _ = s.Close() }()
		var all []func()
		for range 20 {
			c, r := dial(t, l.Addr().String())
			send(t, c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			all = append(all, func() { answered(t, r, "http1 0 ") })
		}
		close(leave)
		for _, a := range all {
			a()
		}
	})
	t.Run("a place is free again when net/http closes a connection that was handed on", func(t *testing.T) {
		addr, _ := bounded(t, 8)
		for i := range 40 {
			c, r := dial(t, addr)
			send(t, c, fmt.Sprintf("GET /%d HTTP/1.0\r\n\r\n", i))
			answered(t, r, "net/http 0 ")
		}
	})
}
