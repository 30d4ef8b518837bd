package middleware

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// overTLS serves h in both versions of HTTP, and returns its URL and a pool that trusts it.
func overTLS(tb testing.TB, h http.HandlerFunc) (url string, roots *x509.CertPool) {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	tb.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, roots
}

// asking returns a verifier over TLS; h2 forces HTTP/2.
func asking(tb testing.TB, url string, roots *x509.CertPool, h2 bool) *Introspection {
	tb.Helper()
	tr := defaultTransport(time.Minute)
	tr.TLSClientConfig, tr.ForceAttemptHTTP2 = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, h2
	tb.Cleanup(tr.CloseIdleConnections)
	v, err := NewIntrospection(IntrospectionConfig{URL: url + "/introspect", ClientID: "api", ClientSecret: "s", Transport: tr})
	require.NoError(tb, err)
	return v
}

func sayActive(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"active":true,"token_type":"Bearer","client_id":"app","scope":"orders:read","exp":%d}`, time.Now().Unix()+600)
}

func TestIntrospectionProtocol(t *testing.T) {
	t.Run("a question goes by HTTP/1.1 over a kept connection, and by HTTP/2 where the transport says so", func(t *testing.T) {
		var proto string
		connections := map[string]bool{}
		url, roots := overTLS(t, func(w http.ResponseWriter, r *http.Request) {
			proto, connections[r.RemoteAddr] = r.Proto, true
			sayActive(w, r)
		})
		for h2, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
			clear(connections)
			v := asking(t, url, roots, h2)
			for range 3 {
				_, err := v.Verify(t.Context(), "gat_x")
				require.NoError(t, err)
				require.Equal(t, want, proto)
			}
			require.Len(t, connections, 1)
		}
		require.False(t, defaultTransport(0).ForceAttemptHTTP2)
	})
}

// BenchmarkIntrospectionTLS is a question over TLS, client and server together:
//
//	go test ./middleware -run '^$' -bench IntrospectionTLS
func BenchmarkIntrospectionTLS(b *testing.B) {
	url, roots := overTLS(b, sayActive)
	for _, h2 := range []bool{false, true} {
		v := asking(b, url, roots, h2)
		name := map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[h2]
		b.Run(name, func(b *testing.B) {
			measure(b, func() {
				if _, err := v.Verify(b.Context(), "gat_x"); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(name+"/64 at once", func(b *testing.B) { measureTogether(b, v) })
	}
}

func measureTogether(b *testing.B, v *Introspection) {
	b.SetParallelism(32)
	begun := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(b.Context(), "gat_x"); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(cpuTime(b)-begun)/float64(time.Microsecond)/float64(b.N), "cpu-µs/op")
}
