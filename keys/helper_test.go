package keys_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/keys"
)

const (
	atJWT  = "at+jwt"
	secret = "kR3vQ8sZ1xN6bT0yH5mJ9wE2cU7pL4aD" // an encryption key
	older  = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"
	life   = 10 * time.Minute
	ahead  = keys.DefaultPublishAhead
)

var claims = []byte(`{"iss":"https://as.example","sub":"billing-job","jti":"1"}`)

// config is a ring of one fast algorithm.
func config(store keys.Store, algorithms ...keys.Algorithm) keys.Config {
	if len(algorithms) == 0 {
		algorithms = []keys.Algorithm{keys.EdDSA}
	}
	return keys.Config{Store: store, Algorithms: algorithms, MaxTokenTTL: life}
}

func open(t testing.TB, cfg keys.Config) *keys.Ring {
	t.Helper()
	r, err := keys.Open(t.Context(), cfg)
	require.NoError(t, err)
	return r
}

// run runs a ring until the function that is returned is called, or the test ends.
func run(t testing.TB, r *keys.Ring) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func sign(t testing.TB, r *keys.Ring, alg keys.Algorithm) string {
	t.Helper()
	token, err := r.Sign(alg, atJWT, claims)
	require.NoError(t, err)
	return token
}

// jwks is what a verifier fetches.
func jwks(t testing.TB, r *keys.Ring) jose.JSONWebKeySet {
	t.Helper()
	body, _ := r.JWKS()
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(body, &set))
	return set
}

func kids(set jose.JSONWebKeySet) (out []string) {
	for _, k := range set.Keys {
		out = append(out, k.KeyID)
	}
	return out
}

// verifies says whether a verifier that has only this JWKS, and go-jose, accepts a token.
func verifies(set jose.JSONWebKeySet, token string) bool {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		return false
	}
	for _, k := range set.Key(jws.Signatures[0].Header.KeyID) {
		if _, err := jws.Verify(k); err == nil && k.Algorithm == jws.Signatures[0].Header.Algorithm {
			return true
		}
	}
	return false
}

// kidOf reads a token's header.
func kidOf(t testing.TB, token string) string {
	t.Helper()
	return headerOf(t, token)["kid"]
}

func headerOf(t testing.TB, token string) (h map[string]string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(decode(t, first(token)), &h))
	return h
}

func first(token string) string {
	for i, c := range token {
		if c == '.' {
			return token[:i]
		}
	}
	return token
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	out, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	return out
}

// current is the key that List calls so.
func current(t testing.TB, infos []keys.Info, alg keys.Algorithm) (found keys.Info) {
	t.Helper()
	n := 0
	for _, i := range infos {
		if i.Algorithm == alg && i.State == "current" {
			found = i
			n++
		}
	}
	require.Equal(t, 1, n, "%s has one current key: %+v", alg, infos)
	return found
}

func states(infos []keys.Info) (out []string) {
	for _, i := range infos {
		out = append(out, i.State)
	}
	return out
}

func wrap(t testing.TB, current string, previous ...string) *keys.Wrap {
	t.Helper()
	w, err := keys.NewWrap(current, previous...)
	require.NoError(t, err)
	return w
}

// redisOf opens a server as a node would.
func redisOf(t testing.TB, s *redistest.Server) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(redisdb.Config{URL: s.URL, Prefix: "grantor:", Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// failing is a store that can be put out of order.
type failing struct {
	keys.Store
	mu  sync.Mutex
	err error
}

func (f *failing) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failing) Load(ctx context.Context) (keys.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return keys.State{}, f.err
	}
	return f.Store.Load(ctx)
}

// ready is a store of keys that are there already, which never stores.
type ready struct{ state keys.State }

var errReady = errors.New("it only reads")

func (r ready) Load(context.Context) (keys.State, error)                 { return r.state, nil }
func (ready) Swap(context.Context, string, []keys.Key) error             { return errReady }
func (ready) Lease(context.Context, string, time.Duration) (bool, error) { return false, nil }

// fixed is a store of ready keys, by whose side nothing is planned. The first of an algorithm
// signs.
func fixed(t testing.TB, private ...crypto.Signer) keys.Store {
	t.Helper()
	r, first := ready{keys.State{Revision: "fixed"}}, map[keys.Algorithm]bool{}
	for _, p := range private {
		k, err := keys.NewKey(p)
		require.NoError(t, err)
		if !first[k.Algorithm] {
			k.From = time.Unix(0, 0)
		}
		first[k.Algorithm] = true
		r.state.Keys = append(r.state.Keys, k)
	}
	return r
}
