package http1

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// silentConn is a connection on which the same request comes again and again; what is answered goes
// nowhere.
type silentConn struct {
	net.Conn
	text string
	left int
}

func (c *silentConn) Read(p []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, io.EOF
	}
	return copy(p, c.text), nil
}
func (c *silentConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *silentConn) Close() error                     { return nil }
func (c *silentConn) SetReadDeadline(time.Time) error  { return nil }
func (c *silentConn) SetWriteDeadline(time.Time) error { return nil }
func (c *silentConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *silentConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

func BenchmarkRequest(b *testing.B) {
	b.ReportAllocs()
	s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"active":false}`)) })}, Config{})
	c := newConn(s, &silentConn{left: b.N, text: "POST /oauth2/introspect HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Basic ZGVtbzpkZW1v\r\n" +
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\ntoken=abcd"})
	c.serve()
}
