package jwt

import (
	"crypto"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchPayload is what Grantor writes into an access token (RFC 9068 §2.2).
func benchPayload() string {
	return payload(map[string]any{"client_id": "billing-job", "iat": time.Now().Unix(), "nbf": time.Now().Unix(), "jti": "0123456789012345678901",
		"scope": "orders:read orders:write", "sub_type": "client", "sub": "billing-job"})
}

// BenchmarkParse is all but the cryptography: go test ./internal/jwt -run - -bench Parse
func BenchmarkParse(b *testing.B) {
	k := keys()
	token := compact(`{"alg":"ES256","typ":"at+jwt","kid":"p256"}`, benchPayload(), es256(k.p256))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(token, all); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignature is the least that a forged signature costs a verifier that asks nobody.
func BenchmarkSignature(b *testing.B) {
	k := keys()
	for alg, signer := range map[string]struct {
		kid string
		key crypto.Signer
	}{"ES256": {"p256", k.p256}, "EdDSA": {"ed", k.ed}, "RS256": {"rsa", k.rsa}} {
		b.Run(alg, func(b *testing.B) {
			u, err := Parse(signed(b, alg, signer.kid, signer.key, benchPayload()), all)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := u.Verify(b.Context(), k.set); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
