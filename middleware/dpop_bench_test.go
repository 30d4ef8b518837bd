package middleware

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/scopes"
)

// BenchmarkHolder is a request through a guard whose verifier remembers the token. It is unbound,
// or bound to a key, which costs one signature more. Proofs are made outside of the measured time.
//
//	go test ./middleware -run '^$' -bench Holder
func BenchmarkHolder(b *testing.B) {
	k := dpoptest.New(b)
	found := map[string]*Token{}
	for _, name := range []string{"bound", "unbound"} {
		found[name] = &Token{Subject: "m", ClientID: "m", Scope: scopes.MustParse("orders:read"), Audience: []string{api}, ExpiresAt: time.Now().Add(time.Hour)}
	}
	found["bound"].Confirmation.KeyThumbprint = k.Thumbprint()
	g, err := New(Config{Audience: api, Log: slog.New(slog.DiscardHandler), DPoP: DPoP{Used: forgetful{}},
		Verifier: VerifierFunc(func(_ context.Context, text string) (*Token, error) { return found[text], nil })})
	require.NoError(b, err)
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), "orders:read")
	for _, c := range []struct{ name, scheme string }{{"unbound", "Bearer"}, {"bound", "DPoP"}} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/read", nil)
			r.Header.Set("Authorization", c.scheme+" "+c.name)
			if c.name == "bound" {
				r.Header.Set("DPoP", k.Proof("GET", api+"/read", dpoptest.With(c.name)))
			}
			w := &silent{h: http.Header{}}
			measure(b, func() {
				h.ServeHTTP(w, r)
				if w.status != 0 {
					b.Fatal(w.status)
				}
			})
		})
	}
}

// forgetful lets the one proof of a benchmark pass again and again.
type forgetful struct{}

func (forgetful) Once(context.Context, string, time.Duration) error { return nil }

// silent is an answer that nobody reads.
type silent struct {
	h      http.Header
	status int
}

func (s *silent) Header() http.Header         { return s.h }
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }
func (s *silent) WriteHeader(status int)      { s.status = status }
