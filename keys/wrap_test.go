package keys

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
)

const (
	newest   = "kR3vQ8sZ1xN6bT0yH5mJ9wE2cU7pL4aD"
	previous = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"
)

func TestWrap(t *testing.T) {
	w, err := NewWrap(newest, previous)
	require.NoError(t, err)
	before, err := NewWrap(previous + "\n")
	require.NoError(t, err)
	a, err := generate(ES256)
	require.NoError(t, err)
	box := w.close([]byte("private"), boundTo(&a))

	t.Run("opens what it closed, once a text", func(t *testing.T) {
		secret, current, err := w.open(box, boundTo(&a))
		require.NoError(t, err)
		require.True(t, current)
		require.Equal(t, "private", string(secret))
		require.NotEqual(t, box, w.close([]byte("private"), boundTo(&a)))
	})
	t.Run("opens what a previous key closed, and says so", func(t *testing.T) {
		secret, current, err := w.open(before.close([]byte("old"), boundTo(&a)), boundTo(&a))
		require.NoError(t, err)
		require.False(t, current)
		require.Equal(t, "old", string(secret))
	})
	t.Run("another key, kid, algorithm, byte or length", func(t *testing.T) {
		_, _, err := before.open(box, boundTo(&a))
		require.ErrorIs(t, err, ErrEncryptionKey)
		require.ErrorContains(t, err, "[keys] encryption_key")
		for _, other := range []Key{{ID: "x", Algorithm: ES256}, {ID: a.ID, Algorithm: EdDSA}} {
			_, _, err = w.open(box, boundTo(&other))
			require.ErrorIs(t, err, ErrEncryptionKey)
		}
		for i := range box {
			box[i] ^= 1
			_, _, err = w.open(box, boundTo(&a))
			require.ErrorIs(t, err, ErrEncryptionKey)
			box[i] ^= 1
			_, _, err = w.open(box[:i], boundTo(&a))
			require.ErrorIs(t, err, ErrEncryptionKey)
		}
	})
	t.Run("a wrapped key under another's name", func(t *testing.T) {
		b, err := generate(ES256)
		require.NoError(t, err)
		text, err := w.encode([]Key{a, b})
		require.NoError(t, err)
		r, err := decodeRing(text)
		require.NoError(t, err)
		r.Keys[0].Private, r.Keys[1].Private = r.Keys[1].Private, r.Keys[0].Private
		_, _, err = w.openKey(&r.Keys[0])
		require.ErrorIs(t, err, ErrEncryptionKey)
		secret, _, err := w.open(r.Keys[1].Private, boundTo(&a))
		require.NoError(t, err)
		r.Keys[1].Private = w.close(secret, boundTo(&b))
		_, _, err = w.openKey(&r.Keys[1])
		require.ErrorIs(t, err, ErrRecord, "its name is its thumbprint")
	})
	t.Run("what is no encryption key", func(t *testing.T) {
		for want, texts := range map[string][]string{
			"[keys] encryption_key: it needs 32 characters":                        {""},
			"it needs 32 characters":                                               {"  " + strings.Repeat("x", 31) + "  "},
			"repeats a few characters":                                             {strings.Repeat("abcdefg", 10)},
			"[keys] previous_encryption_keys, number 2: it needs 32 characters or": {newest, previous, "short"},
		} {
			_, err := NewWrap(texts[0], texts[1:]...)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "abcdefg")
		}
	})
	t.Run("S-30 nothing prints a private key", func(t *testing.T) {
		private, err := generate(RS256)
		require.NoError(t, err)
		for _, k := range []Key{a, private} {
			for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", k, k, k, k), fmt.Sprintf("%v %+v %#v", []Key{k}, State{Keys: []Key{k}}, []Key{k}), k.LogValue().String()} {
				require.Less(t, len(strings.ReplaceAll(text, k.ID, "")), 250, text)
			}
		}
		require.Equal(t, "[encryption keys] [encryption keys] [encryption keys]", fmt.Sprintf("%v %+v %#v", w, w, w))
	})
}

func FuzzRecord(f *testing.F) {
	w, err := NewWrap(newest)
	require.NoError(f, err)
	k, err := generate(EdDSA)
	require.NoError(f, err)
	text, err := w.encode([]Key{k})
	require.NoError(f, err)
	f.Add(string(text))
	f.Add(`{"v":1,"keys":[{}]}`)
	f.Add(`{"v":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		r := NewRedis(new(redisdb.DB), w)
		if r.read("revision", text) != nil {
			return
		}
		for _, k := range r.last.Keys {
			require.NotNil(t, k.Private)
		}
		require.True(t, json.Valid([]byte(text)))
	})
}
