package node

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/users"
)

// slowDesk has two nodes of one Redis, and a manager that may give weak secrets.
type slowDesk struct {
	a, b    *running
	clients *clients.Manager
}

func openSlowDesk(t *testing.T, more string) *slowDesk {
	t.Helper()
	more += "redis.url = \"" + redistest.Start(t).URL + "\"\n"
	d := &slowDesk{a: serve(t, more), b: serve(t, more)}
	store := d.a.resources.stores
	d.clients = parts.Manager(d.a.Config(), clients.NewRedis(store.db), store.tokens)
	d.clients.WeakSecrets = true
	return d
}

// machine registers a client whose secret a slow hash keeps.
func (d *slowDesk) machine(t *testing.T, id, hash string) {
	t.Helper()
	slow, err := clients.ParseSlowHash(hash)
	require.NoError(t, err)
	require.NoError(t, d.clients.Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: id, Scope: "orders:read",
		DefaultScope: "orders:read", Grants: []string{"client_credentials"}, Secrets: []clients.Secret{{Hash: slow}}}}))
}

// token asks a node for a token from an address behind the proxy of this machine.
func (r *running) token(t *testing.T, id, secret, address string) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.addr+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	require.NoError(t, err)
	req.SetBasicAuth(id, secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-For", address)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	return res.StatusCode, res.Header
}

func (r *running) hashed() uint64 { return r.resources.slots.PasswordChecks() }

const (
	behindProxy  = "trusted_proxies = [\"127.0.0.1\"]\n"
	randomSecret = "u7QmZx2Lr9WcE4bT8yKpN1sVhD6fGj03"
)

// TestSlowSecrets: a secret whose hash comes from elsewhere costs one slow hash.
func TestSlowSecrets(t *testing.T) {
	d := openSlowDesk(t, behindProxy)
	t.Run("RFC 6749 §10.10 a random secret costs one slow hash, and then SHA-256 on both nodes", func(t *testing.T) {
		d.machine(t, "nightly", users.HashSecret(randomSecret))
		status, _ := d.a.token(t, "nightly", randomSecret, "192.0.2.1")
		require.Equal(t, 200, status)
		require.EqualValues(t, 1, d.a.hashed())
		stored, err := d.clients.Get(t.Context(), "nightly")
		require.NoError(t, err)
		require.Equal(t, clients.HashSecret(randomSecret), stored.Secrets[0].Hash)
		require.NotEmpty(t, stored.Secrets[0].FormerID)
		require.Eventually(t, func() bool {
			c, err := d.b.current.now.Load().live.Get(t.Context(), "nightly")
			return err == nil && !c.Secrets[0].Hash.Slow()
		}, 5*time.Second, 10*time.Millisecond)
		for _, n := range []*running{d.a, d.b} {
			before := n.hashed()
			for range 50 {
				status, _ := n.token(t, "nightly", randomSecret, "192.0.2.1")
				require.Equal(t, 200, status)
			}
			status, _ := n.token(t, "nightly", "wrong", "192.0.2.1")
			require.Equal(t, 401, status)
			require.Equal(t, before, n.hashed(), "nor does a wrong one")
		}
	})
	t.Run("RFC 6749 §10.10 of a chosen secret no SHA-256 is stored, and each node hashes once", func(t *testing.T) {
		d.machine(t, "chosen", users.HashSecret("sunshine"))
		for _, n := range []*running{d.a, d.b} {
			start := n.hashed()
			series := func() (hashes uint64) {
				before := n.hashed()
				for range 20 {
					status, _ := n.token(t, "chosen", "sunshine", "192.0.2.1")
					require.Equal(t, 200, status)
				}
				return n.hashed() - before
			}
			for series() > 0 { // the node may read the client once more, when it hears that it was made
				require.LessOrEqual(t, n.hashed()-start, uint64(2))
			}
		}
		stored, err := d.clients.Get(t.Context(), "chosen")
		require.NoError(t, err)
		require.True(t, stored.Secrets[0].Hash.Slow())
	})
	t.Run("a rotation that comes between is not undone", func(t *testing.T) {
		d.machine(t, "rotated", users.HashSecret(randomSecret))
		c, err := d.clients.Get(t.Context(), "rotated")
		require.NoError(t, err)
		fresh := clients.HashSecret("another")
		_, err = d.clients.RotateSecret(t.Context(), "rotated", fresh, 0, false)
		require.NoError(t, err)
		require.NoError(t, d.clients.Strengthen(t.Context(), "rotated", c.Secrets[0].Hash, randomSecret))
		c, err = d.clients.Get(t.Context(), "rotated")
		require.NoError(t, err)
		require.Len(t, c.Secrets, 1)
		require.Equal(t, fresh, c.Secrets[0].Hash)
	})
	t.Run("only who may give weak secrets gives slow hashes", func(t *testing.T) {
		d.clients.WeakSecrets = false
		defer func() { d.clients.WeakSecrets = true }()
		slow, err := clients.ParseSlowHash(users.HashSecret("sunshine"))
		require.NoError(t, err)
		_, err = d.clients.RotateSecret(t.Context(), "rotated", slow, 0, true)
		require.ErrorContains(t, err, "a slow hash is for weak secrets")
		_, err = d.clients.Update(t.Context(), "chosen", func(s *clients.Stored) error { s.Name = "kept"; return nil })
		require.NoError(t, err, "a client keeps what it has")
	})
}

// TestSlowSecretsUnderAttack: wrong secrets of a client from many addresses cost few slow hashes,
// and nobody else waits.
func TestSlowSecretsUnderAttack(t *testing.T) {
	d := openSlowDesk(t, behindProxy)
	d.machine(t, "victim", users.HashSecret(randomSecret))
	d.machine(t, "known", users.HashSecret("sunshine"))
	status, _ := d.a.token(t, "known", "sunshine", "192.0.2.200")
	require.Equal(t, 200, status)
	before := d.a.hashed() + d.b.hashed()
	answers := map[string]*[600]atomic.Int64{"victim": {}, "known": {}}
	var all sync.WaitGroup
	for i := range 400 {
		id := []string{"victim", "known"}[i%2]
		all.Go(func() {
			status, _ := []*running{d.a, d.b}[i/2%2].token(t, id, fmt.Sprint("wrong", i), fmt.Sprintf("198.51.100.%d", i/2))
			answers[id][status].Add(1)
		})
	}
	begun, others := time.Now(), 0
	for time.Since(begun) < time.Second {
		require.NotEmpty(t, d.a.issue(t, "machine"))
		others++
	}
	all.Wait()
	for id, got := range answers {
		for i := 0; got[429].Load() == 0; i++ { // on a busy machine many got 503
			status, _ := d.b.token(t, id, "wrong", fmt.Sprintf("198.51.101.%d", i))
			got[status].Add(1)
		}
		t.Logf("%s: %d 401, %d 429, %d 503", id, got[401].Load(), got[429].Load(), got[503].Load())
		require.LessOrEqual(t, got[401].Load(), int64(20), "S-10 %s: [limits] client_failures from all addresses together", id)
		require.GreaterOrEqual(t, got[429].Load()+got[503].Load(), int64(180))
	}
	t.Logf("%d slow hashes; %d tokens of another client meanwhile", d.a.hashed()+d.b.hashed()-before, others)
	require.LessOrEqual(t, d.a.hashed()+d.b.hashed()-before, uint64(40))
	status, header := d.b.token(t, "victim", randomSecret, "203.0.113.1")
	require.Equal(t, 429, status, "a secret that can be guessed has a limit that a right one does not pass")
	require.NotEmpty(t, header.Get("Retry-After"))
	status, _ = d.b.token(t, "known", "sunshine", "192.0.2.200")
	require.Equal(t, 200, status, "an address from which the client has authenticated before is not locked out")
}
