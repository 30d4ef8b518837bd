package assertions

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jwt"
)

const (
	us       = "https://auth.example.com"
	endpoint = us + "/oauth2/token"
	platform = "https://kubernetes.default.svc"
	pod      = "system:serviceaccount:billing:job"
)

type ring struct {
	client, foreign, platform *ecdsa.PrivateKey
	rsa                       *rsa.PrivateKey
	ed                        ed25519.PrivateKey
}

var keys = sync.OnceValue(func() (r ring) {
	for _, into := range []**ecdsa.PrivateKey{&r.client, &r.foreign, &r.platform} {
		*into, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	r.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	_, r.ed, _ = ed25519.GenerateKey(rand.Reader)
	return r
})

// setOf is a registered key set.
func setOf(t testing.TB, public ...jose.JSONWebKey) *jwt.KeySet {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: public})
	require.NoError(t, err)
	s, err := jwt.ParseKeySet(text)
	require.NoError(t, err)
	return s
}

// memory is an Once with the lifetimes of a real one, in the clock of the test.
type memory struct {
	mu   sync.Mutex
	now  func() time.Time
	ends map[string]time.Time
	err  error
	ttls []time.Duration
}

func (m *memory) once(_ context.Context, key string, ttl time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return false, m.err
	}
	if m.now().Before(m.ends[key]) {
		return false, nil
	}
	m.ends[key], m.ttls = m.now().Add(ttl), append(m.ttls, ttl)
	return true, nil
}

// world is a server with clients "billing" (keys), "older" (token endpoint as aud), "es256" (one
// algorithm), "rsa", "bare" (no keys) and "pod" (a workload), in a clock of its own.
type world struct {
	*Checker
	memory  *memory
	clock   time.Time
	spent   int
	clients map[string]Registered
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	k := keys()
	w := &world{clock: time.Unix(1_800_000_000, 0)}
	now := func() time.Time { return w.clock }
	w.memory = &memory{now: now, ends: map[string]time.Time{}}
	cfg := Config{Issuer: us, TokenEndpoint: endpoint, Once: w.memory.once, Now: now,
		Issuers: []Issuer{{Issuer: platform, Keys: setOf(t, jose.JSONWebKey{Key: k.platform.Public(), KeyID: "p"})}}}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	w.Checker, err = New(cfg)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	spend := w.spend
	w.spend = func(u *jwt.Unverified) { w.spent++; spend(u) }
	client := jose.JSONWebKey{Key: k.client.Public(), KeyID: "k1"}
	set := setOf(t, client, jose.JSONWebKey{Key: k.rsa.Public(), KeyID: "r1"}, jose.JSONWebKey{Key: k.ed.Public(), KeyID: "e1"})
	w.clients = map[string]Registered{"billing": {ID: "billing", Keys: set}, "older": {ID: "older", Keys: set, AcceptTokenEndpointAudience: true},
		"es256": {ID: "es256", Keys: set, Algorithms: []string{"ES256"}}, "bare": {ID: "bare"}, "pod": {ID: "pod", Issuer: platform, Subject: pod}}
	return w
}

func (w *world) find(_ context.Context, id string) (Registered, error) {
	if r, ok := w.clients[id]; ok {
		return r, nil
	}
	return Registered{}, ErrUnknownClient
}

// verify asks and returns the reason of a refusal, "" when it is none.
func (w *world) verify(t *testing.T, assertion, clientID string) RejectionReason {
	t.Helper()
	id, err := w.Verify(t.Context(), assertion, clientID, w.find)
	if err == nil {
		require.NotEmpty(t, id)
		return ""
	}
	var refusal *Rejection
	require.ErrorAs(t, err, &refusal)
	if refusal.Reason != ReasonTooLong { // which is told after the signature was found good
		require.Equal(t, "client authentication failed", err.Error())
	}
	require.Empty(t, id)
	return refusal.Reason
}

// claims are good ones of "billing", changed; nil removes one.
func (w *world) claims(change map[string]any) map[string]any {
	c := map[string]any{"iss": "billing", "sub": "billing", "aud": us, "jti": rand.Text(), "iat": w.clock.Unix(), "exp": w.clock.Unix() + 60}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// workload are good claims of the pod, changed.
func (w *world) workload(change map[string]any) map[string]any {
	c := w.claims(map[string]any{"iss": platform, "sub": pod, "aud": []string{us, "https://vault"}, "jti": nil, "exp": w.clock.Unix() + 3600})
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

type signer func(input []byte) []byte

// forge writes a JWS by hand.
func forge(header string, claims any, sign signer) string {
	text, _ := json.Marshal(claims)
	input := b64(header) + "." + b64(string(text))
	return input + "." + b64(string(sign([]byte(input))))
}

func es256(k *ecdsa.PrivateKey) signer {
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		r, s, _ := ecdsa.Sign(rand.Reader, k, sum[:])
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out
	}
}

func hs256(secret []byte) signer {
	return func(input []byte) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write(input)
		return m.Sum(nil)
	}
}

// sign is what clients' libraries do.
func sign(t *testing.T, alg, kid string, key, claims any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	require.NoError(t, err)
	text, err := json.Marshal(claims)
	require.NoError(t, err)
	j, err := s.Sign(text)
	require.NoError(t, err)
	out, err := j.CompactSerialize()
	require.NoError(t, err)
	return out
}

// assertion is a good one of "billing" with changed claims.
func (w *world) assertion(t *testing.T, change map[string]any) string {
	t.Helper()
	return sign(t, "ES256", "k1", keys().client, w.claims(change))
}

var errDown = errors.New("connection refused")
