package keys_test

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

// typical is what an access token says (RFC 9068 §2.2).
var typical = []byte(`{"iss":"https://as.example.com","exp":1795000900,"aud":"https://orders.example.com","sub":"billing-job",` +
	`"client_id":"billing-job","iat":1795000000,"jti":"` + rand.Text() + `","scope":"orders:read orders:write"}`)

// BenchmarkSign and BenchmarkVerify:
//
//	go test -run - -bench . -benchmem ./keys
func BenchmarkSign(b *testing.B) {
	r := open(b, config(keys.NewMemory(), keys.Algorithms()...))
	for _, alg := range keys.Algorithms() {
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Sign(alg, atJWT, typical); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	r := open(b, config(keys.NewMemory(), keys.Algorithms()...))
	for _, alg := range keys.Algorithms() {
		token, err := r.Sign(alg, atJWT, typical)
		require.NoError(b, err)
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Verify(token, atJWT); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("not ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Verify("eyJhbGciOiJub25lIn0.e30.", atJWT); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}
