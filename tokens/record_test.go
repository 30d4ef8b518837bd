package tokens

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzParseClientRecord(f *testing.F) {
	h := HashText("x")
	f.Add(appendClientRecord(nil, h, &Record{ClientID: "c", Scope: "a b", JWTDigest: DigestOf("x"), IssuedAt: time.Unix(1, 0), TTL: time.Minute}))
	f.Add(appendClientRecord(nil, h, &Record{ClientID: "c", Scope: "a b", Audience: []string{"https://a"}, IssuedAt: time.Unix(1, 0), TTL: time.Minute}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := parseClientRecord(value, h)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		again, err := parseClientRecord(appendClientRecord(nil, h, r), h)
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

// FuzzParseKeyRecord: what Redis holds is the record of a key that is written back as it was read,
// or ErrRecord.
func FuzzParseKeyRecord(f *testing.F) {
	h := HashText("x")
	key := &APIKey{Hash: h, ClientID: "c", Scope: "a b", Audience: []string{"https://a"}, Networks: []string{"192.0.2.0/24"}, Created: time.Unix(1, 0)}
	f.Add(appendKeyRecord(nil, h, key.record()))
	f.Add(appendClientRecord(nil, h, &Record{ClientID: "c", Scope: "a b", IssuedAt: time.Unix(1, 0), TTL: time.Minute}))
	f.Add([]byte{keyRecordV1})
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := parseKeyRecord(value, h)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		require.Equal(t, r.TTL == 0, r.NoExpiry)
		again, err := parseKeyRecord(appendKeyRecord(nil, h, r), h)
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

// FuzzParseKeyEntry: an entry in the list of a client's keys is written back as it was read, or is
// ErrRecord.
func FuzzParseKeyEntry(f *testing.F) {
	h := HashText("x")
	key := &APIKey{Hash: h, Name: "n", Creator: "op", ClientID: "c", Scope: "a b", Audience: []string{"https://a"}, Created: time.Unix(1, 0), TTL: time.Hour}
	f.Add(string(h[:16]), string(key.entry()))
	f.Add(string(h[:16]), string(key.entry()[:40]))
	f.Add("short", string(key.entry()))
	f.Fuzz(func(t *testing.T, id, value string) {
		k, err := parseKeyEntry("c", id, value)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		again, err := parseKeyEntry("c", id, string(k.entry()))
		require.NoError(t, err)
		require.Equal(t, k, again)
	})
}

// TestOnlyKeysHaveNoEnd: a record whose time is over, or was cut to nothing by its session, is
// never taken for one without an end.
func TestOnlyKeysHaveNoEnd(t *testing.T) {
	h, now := HashText("x"), time.Unix(1_800_000_000, 0)
	token, err := parseClientRecord(appendClientRecord(nil, h, &Record{ClientID: "c", IssuedAt: now}), h)
	require.NoError(t, err)
	require.True(t, token.Expired(now))
	require.False(t, token.ExpiresAt().IsZero())
	over := &Session{ID: SessionID{2}, ClientID: "app", Subject: "u-1", Expires: now.Add(-time.Hour)}
	user, err := parseUserRecord(appendUserRecord(nil, h, &Record{IssuedAt: now, TTL: time.Minute}), h, over)
	require.NoError(t, err)
	require.True(t, user.Expired(now))
	key, err := parseKeyRecord(appendKeyRecord(nil, h, (&APIKey{Hash: h, Created: now}).record()), h)
	require.NoError(t, err)
	require.False(t, key.Expired(now.AddDate(100, 0, 0)))
}
