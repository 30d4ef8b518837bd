package middleware

import (
	"fmt"
	"strings"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// measure runs check and reports its CPU time in µs.
func measure(b *testing.B, check func()) {
	b.ReportAllocs()
	begun := cpuTime(b)
	for b.Loop() {
		check()
	}
	b.ReportMetric(float64(cpuTime(b)-begun)/float64(time.Microsecond)/float64(b.N), "cpu-µs/op")
}

// BenchmarkJWT is a check of one JWT, without HTTP; floor is the signature alone:
//
//	go test ./middleware -run '^$' -bench JWT
func BenchmarkJWT(b *testing.B) {
	k := signing()
	for _, alg := range []struct {
		name, kid   string
		key, public any
	}{{"ES256", "ec", k.ec, k.ec.Public()}, {"EdDSA", "ed", k.ed, k.ed.Public()}, {"RS256", "rsa", k.rsa, k.rsa.Public()}} {
		remembering, a, p := offline(b)
		p.publish(b, map[string]any{alg.kid: alg.public}, nil)
		forgetful, _, _ := offline(b, func(c *JWTConfig) { c.CacheSize = -1 })
		forgetful.keys = p
		token := sign(b, alg.name, alg.kid, "at+jwt", alg.key, a.claims(map[string]any{"exp": time.Now().Unix() + 3600, "nbf": time.Now().Unix(), "sub_type": "user"}))
		cut := strings.LastIndexByte(token, '.') + 1
		forged := token[:cut+20] + swap(token[cut+20]) + token[cut+21:]
		b.Run(alg.name+"/remembered", func(b *testing.B) { measure(b, func() { mustPass(b, remembering, token) }) })
		b.Run(alg.name+"/verified", func(b *testing.B) { measure(b, func() { mustPass(b, forgetful, token) }) })
		b.Run(alg.name+"/forged", func(b *testing.B) { measure(b, func() { mustFail(b, remembering, forged) }) })
		b.Run(alg.name+"/golang-jwt", func(b *testing.B) { measure(b, func() { byRival(b, token, alg.name, a.URL, alg.public) }) })
		b.Run(alg.name+"/floor", func(b *testing.B) { measureFloor(b, p, token) })
	}
	v, a, _ := offline(b)
	for name, token := range map[string]string{
		"expired":     a.token(b, map[string]any{"exp": time.Now().Unix() - 1}),
		"unknown kid": sign(b, "ES256", "unknown", "at+jwt", k.ec, a.claims(nil)),
		"opaque":      "gat_" + strings.Repeat("x", 60),
	} {
		b.Run("refused/"+name, func(b *testing.B) { measure(b, func() { mustFail(b, v, token) }) })
	}
}

// rivalClaims are what golang-jwt reads of an access token.
type rivalClaims struct {
	golangjwt.RegisteredClaims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	SubType  string `json:"sub_type"`
}

// byRival checks a token with golang-jwt as its documentation says.
func byRival(b *testing.B, token, alg, issuer string, public any) {
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{alg}), golangjwt.WithIssuer(issuer), golangjwt.WithAudience(api), golangjwt.WithExpirationRequired())
	if _, err := parser.ParseWithClaims(token, &rivalClaims{}, func(*golangjwt.Token) (any, error) { return public, nil }); err != nil {
		b.Fatal(err)
	}
}

// measureFloor measures the signature alone.
func measureFloor(b *testing.B, keys jwt.Source, token string) {
	u, err := jwt.Parse(token, jwt.Profile{Algorithms: jwt.Algorithms(), MaxBytes: MaxTokenBytes})
	require.NoError(b, err)
	measure(b, func() {
		if _, err := u.Verify(b.Context(), keys); err != nil {
			b.Fatal(err)
		}
	})
}

func swap(letter byte) string {
	if letter == 'A' {
		return "B"
	}
	return "A"
}

func mustPass(b *testing.B, v *JWT, token string) {
	if _, err := v.Verify(b.Context(), token); err != nil {
		b.Fatal(err)
	}
}

func mustFail(b *testing.B, v *JWT, token string) {
	if _, err := v.Verify(b.Context(), token); err == nil {
		b.Fatal("accepted")
	}
}

// BenchmarkJWTMemory reports what a remembered token takes.
func BenchmarkJWTMemory(b *testing.B) {
	v, a, _ := offline(b)
	tokens := make([]string, 2000)
	for i := range tokens {
		tokens[i] = a.token(b, map[string]any{"jti": fmt.Sprint(i)})
	}
	for b.Loop() {
		before := heapInUse()
		v.verified = newBounded[verifiedToken](0)
		for _, token := range tokens {
			mustPass(b, v, token)
		}
		b.ReportMetric(float64(heapInUse()-before)/float64(len(tokens)), "B/token")
	}
}
