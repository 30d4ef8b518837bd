package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// ring is the keys of the tests: RSA is slow to draw.
type ring struct {
	p256, p384, p521, foreign *ecdsa.PrivateKey
	rsa                       *rsa.PrivateKey
	ed                        ed25519.PrivateKey
	set                       *KeySet
}

var keys = sync.OnceValue(func() *ring {
	r := &ring{}
	for curve, into := range map[elliptic.Curve]**ecdsa.PrivateKey{elliptic.P256(): &r.p256, elliptic.P384(): &r.p384, elliptic.P521(): &r.p521} {
		*into, _ = ecdsa.GenerateKey(curve, rand.Reader)
	}
	r.foreign, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	_, r.ed, _ = ed25519.GenerateKey(rand.Reader)
	r.set = &KeySet{keys: []publicKey{
		{id: "p256", public: r.p256.Public()}, {id: "p384", public: r.p384.Public()}, {id: "p521", public: r.p521.Public()},
		{id: "rsa", public: r.rsa.Public()}, {id: "ed", public: r.ed.Public()},
	}}
	return r
})

func b64(text []byte) string { return base64.RawURLEncoding.EncodeToString(text) }

// compact writes a JWS by hand: any header, any signature.
func compact(header, payload string, sign func(input []byte) []byte) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(sign([]byte(input)))
}

// es256 signs as RFC 7518 §3.4 has it.
func es256(k *ecdsa.PrivateKey) func([]byte) []byte {
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		r, s, _ := ecdsa.Sign(rand.Reader, k, sum[:])
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out
	}
}

func hs256(secret []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write(input)
		return m.Sum(nil)
	}
}

func raw(signature []byte) func([]byte) []byte { return func([]byte) []byte { return signature } }

// signed is a token of go-jose's own making.
func signed(t testing.TB, alg, kid string, k crypto.Signer, payload string) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithType("at+jwt")
	if kid != "" {
		opts.WithHeader("kid", kid)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: k}, opts)
	require.NoError(t, err)
	j, err := s.Sign([]byte(payload))
	require.NoError(t, err)
	text, err := j.CompactSerialize()
	require.NoError(t, err)
	return text
}

// payload is a good one, changed.
func payload(change map[string]any) string {
	c := map[string]any{"iss": "https://as", "sub": "u", "aud": "https://api", "exp": time.Now().Add(time.Minute).Unix()}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	text, _ := json.Marshal(c)
	return string(text)
}

var all = Profile{Algorithms: Algorithms()}

func verify(t *testing.T, token string, profile Profile, src Source) (*Claims, error) {
	t.Helper()
	u, err := Parse(token, profile)
	if err != nil {
		return nil, err
	}
	return u.Verify(t.Context(), src)
}

func jwkOf(t *testing.T, k any, kid string, change map[string]any) string {
	t.Helper()
	text, err := jose.JSONWebKey{Key: k, KeyID: kid}.MarshalJSON()
	require.NoError(t, err)
	m := map[string]any{}
	require.NoError(t, json.Unmarshal(text, &m))
	for name, v := range change {
		m[name] = v
	}
	text, err = json.Marshal(m)
	require.NoError(t, err)
	return string(text)
}

func setOf(keys ...string) string {
	out := `{"keys":[`
	for i, k := range keys {
		if i > 0 {
			out += ","
		}
		out += k
	}
	return out + "]}"
}
