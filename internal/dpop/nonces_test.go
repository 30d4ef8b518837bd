package dpop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
)

func nonces(t *testing.T, key byte) *Nonces {
	t.Helper()
	n, err := NewNonces([32]byte{key}, time.Minute)
	require.NoError(t, err)
	return n
}

func TestNonces(t *testing.T) {
	start := time.Unix(1_800_000_000, 0).Truncate(time.Minute)
	given := nonces(t, 1).Current(start)
	for offset, want := range map[time.Duration]struct{ old, ok bool }{-time.Minute - 1: {}, -time.Second: {false, true}, 0: {false, true},
		59 * time.Second: {false, true}, time.Minute: {true, true}, 2*time.Minute - 1: {true, true}, 2 * time.Minute: {}} {
		until, old, ok := nonces(t, 1).check(given, start.Add(offset))
		require.Equal(t, want.ok, ok, "RFC 9449 §8 another node takes the nonce %s later", offset)
		require.Equal(t, want.old, old, "RFC 9449 §8.2 after %s", offset)
		if ok {
			require.WithinDuration(t, start.Add(2*time.Minute), until, 0)
		}
	}
	_, _, ok := nonces(t, 2).check(given, start)
	require.False(t, ok, "RFC 9449 §8 of another deployment")
	long, err := NewNonces([32]byte{1}, time.Hour)
	require.NoError(t, err)
	_, _, ok = long.check(given, start)
	require.False(t, ok, "of another lifetime")
	_, err = NewNonces([32]byte{1}, time.Millisecond)
	require.Error(t, err)
}

func TestNonceInProof(t *testing.T) {
	k, now := dpoptest.New(t), time.Now()
	c := &Checker{Nonces: nonces(t, 1), Now: func() time.Time { return now }}
	with := func(changes ...dpoptest.Change) string { return k.Proof(method, where, changes...) }
	for _, row := range []struct {
		name, proof string
		want        error
	}{
		{"DP-07 RFC 9449 §8 a proof without it", with(), NoNonce},
		{"DP-07 RFC 9449 §8 a forged one", with(dpoptest.Change{"nonce": "x"}), WrongNonce},
		{"DP-07 RFC 9449 §8 one that is no text", with(dpoptest.Change{"nonce": 1}), WrongNonce},
		{"DP-07 RFC 9449 §8 an expired one", with(dpoptest.Change{"nonce": c.Nonces.Current(now.Add(-2 * time.Minute))}), WrongNonce},
		{"DP-07 RFC 9449 §8 the current one", with(dpoptest.Change{"nonce": c.Nonces.Current(now)}), nil},
		{"DP-07 RFC 9449 §11.1 the nonce stands for a clock that is wrong", with(dpoptest.Change{"nonce": c.Nonces.Current(now), "iat": 1}), nil},
		{"DP-02 RFC 9449 §4.2 iat is required nevertheless", with(dpoptest.Change{"nonce": c.Nonces.Current(now), "iat": nil}), NoTime},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := c.Check(row.proof, wanted)
			require.ErrorIs(t, err, row.want)
			if err == nil {
				require.False(t, p.OldNonce)
				require.Greater(t, p.Keep, 2*time.Minute)
			}
		})
	}
	old := with(dpoptest.Change{"nonce": c.Nonces.Current(now.Add(-time.Minute))})
	p, err := c.Check(old, wanted)
	require.NoError(t, err)
	require.True(t, p.OldNonce, "DP-07 RFC 9449 §8.2 a new one is due")
}
