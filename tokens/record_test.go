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
