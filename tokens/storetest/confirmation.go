package storetest

import (
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

var (
	keyA  = tokens.Confirmation{KeyThumbprint: [32]byte{'a'}}
	keyB  = tokens.Confirmation{KeyThumbprint: [32]byte{'b'}}
	certA = tokens.Confirmation{CertificateThumbprint: [32]byte{'a'}}
	bothA = tokens.Confirmation{KeyThumbprint: keyA.KeyThumbprint, CertificateThumbprint: certA.CertificateThumbprint}
)

// testBoundRecords: a client's own token that is bound.
func testBoundRecords(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("DP-03 MT-04 a bound record comes back bound, and can be revoked", func(t *testing.T) {
		s := open(t)()
		for _, c := range []tokens.Confirmation{keyA, certA, bothA} {
			rec := &tokens.Record{ClientID: "c", Scope: "a b", Confirmation: c, Audience: []string{"https://a.example"},
				IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute}
			tok := mint(t, s)
			require.NoError(t, s.Issue(t.Context(), tok, rec))
			got, err := s.Load(t.Context(), tok)
			require.NoError(t, err)
			require.Equal(t, rec, got)
			ended, err := s.Revoke(t.Context(), tok, "other")
			require.NoError(t, err)
			require.False(t, ended)
			ended, err = s.Revoke(t.Context(), tok, "c")
			require.NoError(t, err)
			require.True(t, ended)
		}
	})
	testProofs(t, open)
}

// testProofs: a proof by which tokens are asked for is used once.
func testProofs(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("DP-09 a proof is used once, whatever token it is for", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		proof := proofNamed("1j", time.Minute)
		tok := mint(t, a)
		require.NoError(t, a.IssueOnce(t.Context(), tok, boundRecordOf(), proof))
		require.NoError(t, a.IssueOnce(t.Context(), tok, boundRecordOf(), proof), "the same call, repeated by the network layer")
		replay := mint(t, a)
		require.ErrorIs(t, b.IssueOnce(t.Context(), replay, boundRecordOf(), proof), tokens.ErrProofUsed)
		_, err := b.Load(t.Context(), replay)
		require.ErrorIs(t, err, tokens.ErrNotFound, "a replay stores nothing")
		require.NoError(t, b.IssueOnce(t.Context(), mint(t, a), boundRecordOf(), proofNamed("1k", time.Minute)))
		require.NoError(t, b.IssueOnce(t.Context(), mint(t, a), boundRecordOf(), proofNamed("2j", time.Minute)))
	})
	t.Run("DP-09 an exchanged token of a user, which is where the user's tokens are", func(t *testing.T) {
		d := newDevice(t, open(t)())
		access, _ := d.login()
		rec := boundRecordOf()
		rec.Exchange = &tokens.Exchange{Parents: []tokens.Parent{{Hash: access.Hash}}}
		for i := range 2 {
			_, tok := d.codec.NewUserAccess(d.tag, d.session)
			err := d.store.IssueOnce(t.Context(), tok, rec, proofNamed("x", time.Minute))
			if i == 1 {
				require.ErrorIs(t, err, tokens.ErrProofUsed)
				break
			}
			require.NoError(t, err)
			got, err := d.store.Load(t.Context(), tok)
			require.NoError(t, err)
			require.Equal(t, keyA, got.Confirmation)
			ended, err := d.store.Revoke(t.Context(), tok, "c")
			require.NoError(t, err)
			require.True(t, ended)
		}
	})
	t.Run("DP-09 thirty-two uses of one proof at once on two nodes: one success", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		proof := proofNamed("3j", time.Minute)
		requireOneOf32(t, func(i int) error {
			return []tokens.Store{a, b}[i%2].IssueOnce(t.Context(), mint(t, a), boundRecordOf(), proof)
		})
	})
	t.Run("DP-09 a proof is forgotten when its age refuses it", func(t *testing.T) {
		s := open(t)()
		proof := proofNamed("4j", 50*time.Millisecond)
		require.NoError(t, s.IssueOnce(t.Context(), mint(t, s), boundRecordOf(), proof))
		require.Eventually(t, func() bool { return s.IssueOnce(t.Context(), mint(t, s), boundRecordOf(), proof) == nil },
			3*time.Second, 20*time.Millisecond)
	})
}

func proofNamed(name string, ttl time.Duration) tokens.Proof {
	return tokens.NewProof(sha256.Sum256([]byte(name)), ttl)
}

func boundRecordOf() *tokens.Record {
	return &tokens.Record{ClientID: "c", Scope: "a", Confirmation: keyA, IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute}
}

// requireOneOf32 makes 32 calls at once, and demands that one succeeds, and the others see that the
// proof was used.
func requireOneOf32(t *testing.T, call func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	succeeded, used := 0, 0
	for i := range 32 {
		wg.Go(func() {
			err := call(i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				succeeded++
			case errors.Is(err, tokens.ErrProofUsed):
				used++
			}
		})
	}
	wg.Wait()
	require.Equal(t, []int{1, 31}, []int{succeeded, used})
}

// testBoundSessions: refresh tokens that are bound (RFC 9449 §5, RFC 8705 §4).
func testBoundSessions(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	bound := func(c tokens.Confirmation) func(*tokens.SessionStart) {
		return func(l *tokens.SessionStart) { l.Session.Confirmation, l.Record.Confirmation = c, c }
	}
	shows := func(c tokens.Confirmation) func(*tokens.Rotation) {
		return func(r *tokens.Rotation) { r.Shown, r.Record.Confirmation, r.Bind = c, c, true }
	}
	t.Run("DP-03 DP-08 MT-06 a session and its tokens come back bound, and stay so when they rotate", func(t *testing.T) {
		for _, c := range []tokens.Confirmation{keyA, certA, bothA} {
			d := begin(t)
			a0, r0 := d.login(bound(c))
			first := d.rotation(r0, shows(c))
			d.rotate(first)
			second := d.rotation(first.New, shows(bothA))
			d.rotate(second)
			f, err := d.store.Session(t.Context(), second.New)
			require.NoError(t, err)
			require.Equal(t, c, f.Confirmation)
			require.Equal(t, "ada", f.Username)
			for access, want := range map[tokens.Token]tokens.Confirmation{a0: c, first.Access: c, second.Access: bothA} {
				r, err := d.store.Load(t.Context(), access)
				require.NoError(t, err)
				require.Equal(t, want, r.Confirmation)
			}
			list, err := d.store.Sessions(t.Context(), d.tag)
			require.NoError(t, err)
			require.Equal(t, c, list[0].Confirmation)
			ended, err := d.store.Revoke(t.Context(), second.Access, client)
			require.NoError(t, err)
			require.True(t, ended)
			ended, err = d.store.Revoke(t.Context(), second.New, client)
			require.NoError(t, err)
			require.True(t, ended)
		}
	})
	t.Run("DP-08 MT-06 a refresh token without its key, or with another: refused, no effect", func(t *testing.T) {
		for _, c := range []tokens.Confirmation{keyA, certA, bothA} {
			d := begin(t)
			a0, r0 := d.login(bound(c))
			for _, other := range []tokens.Confirmation{{}, keyB, {CertificateThumbprint: [32]byte{'b'}}} {
				d.refused(d.rotation(r0, shows(other)), tokens.ReasonOtherKey)
			}
			if c == bothA {
				d.refused(d.rotation(r0, shows(keyA)), tokens.ReasonOtherKey)
				d.refused(d.rotation(r0, shows(certA)), tokens.ReasonOtherKey)
			}
			_, ahead := d.codec.NewRefresh(d.tag, d.session, r0.Generation+1)
			d.refused(d.rotation(ahead, shows(keyB)), tokens.ReasonOtherKey)
			require.True(t, d.active(a0))
			d.rotate(d.rotation(r0, shows(c)))
		}
	})
	testBoundRetries(t, begin, bound, shows)
	testSessionProofs(t, begin, bound, shows)
}

// testBoundRetries: retries by the key, and by another one.
func testBoundRetries(t *testing.T, begin func(t *testing.T) *device,
	bound func(tokens.Confirmation) func(*tokens.SessionStart), shows func(tokens.Confirmation) func(*tokens.Rotation)) {
	t.Helper()
	t.Run("DP-08 RT-19 a retry by the same key gets the same pair; by another key, or none, it is reuse", func(t *testing.T) {
		for _, other := range []tokens.Confirmation{{}, keyB} {
			d := begin(t)
			_, r0 := d.login(bound(keyA))
			first := d.rotation(r0, shows(keyA))
			d.rotate(first)
			require.Equal(t, first.RetryResponse, d.rotate(d.rotation(r0, shows(keyA))).RetryResponse)
			d.refused(d.rotation(r0, shows(other)), tokens.ReasonReuse)
			require.False(t, d.hasSession(r0))
		}
	})
	t.Run("DP-08 a session that is not bound is bound by the first refresh that may bind it", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		first := d.rotation(r0, shows(keyA), func(r *tokens.Rotation) { r.Bind = false })
		d.rotate(first)
		second := d.rotation(first.New, shows(keyB))
		d.rotate(second)
		d.refused(d.rotation(second.New), tokens.ReasonOtherKey)
		d.rotate(d.rotation(second.New, shows(keyB)))
	})
}

// testSessionProofs: a proof that was used before starts and rotates nothing.
func testSessionProofs(t *testing.T, begin func(t *testing.T) *device,
	bound func(tokens.Confirmation) func(*tokens.SessionStart), shows func(tokens.Confirmation) func(*tokens.Rotation)) {
	t.Helper()
	t.Run("DP-09 a login with a proof that was used before starts nothing", func(t *testing.T) {
		d := begin(t)
		with := func(l *tokens.SessionStart) { l.Proof = proofNamed("j", time.Minute) }
		d.login(bound(keyA), with)
		requireOneOf32(t, func(i int) error {
			id := tokens.NewSessionID()
			_, access := d.codec.NewUserAccess(d.tag, id)
			_, err := d.store.StartSession(t.Context(), &tokens.SessionStart{Access: access, Record: userRecord(), IdleTTL: time.Minute,
				MaxTTL: time.Hour, EpochTTL: time.Hour, Proof: proofNamed("other", time.Minute),
				Session: tokens.Session{Tag: d.tag, ID: id, ClientID: client, UserEpoch: d.epoch}})
			return err
		})
		d.session = tokens.NewSessionID()
		_, access := d.codec.NewUserAccess(d.tag, d.session)
		l := &tokens.SessionStart{Access: access, Record: userRecord(), IdleTTL: time.Minute, MaxTTL: time.Hour, EpochTTL: time.Hour,
			Session: tokens.Session{Tag: d.tag, ID: d.session, ClientID: client, UserEpoch: d.epoch}}
		with(l)
		_, err := d.store.StartSession(t.Context(), l)
		require.ErrorIs(t, err, tokens.ErrProofUsed)
		require.False(t, d.active(access))
	})
	t.Run("DP-09 a refresh with a proof that was used before has no effect, whatever its token is", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login(bound(keyA))
		with := func(jti string) func(*tokens.Rotation) {
			return func(r *tokens.Rotation) { r.Proof = proofNamed(jti, time.Minute) }
		}
		first := d.rotation(r0, shows(keyA), with("1"))
		d.rotate(first)
		d.rotate(first) // the same call, repeated by the network layer
		for _, old := range []tokens.Token{r0, first.New} {
			_, err := d.store.Rotate(t.Context(), d.rotation(old, shows(keyA), with("1")))
			require.ErrorIs(t, err, tokens.ErrProofUsed)
		}
		require.Equal(t, first.RetryResponse, d.rotate(d.rotation(r0, shows(keyA), with("2"))).RetryResponse, "a fresh proof")
		d.rotate(d.rotation(first.New, shows(keyA), with("3")))
	})
}
