package tokens

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBoundFormats spells out what Redis holds of bound tokens, byte for byte.
func TestBoundFormats(t *testing.T) {
	h := Hash{1}
	key, cert := strings.Repeat("k", 32), strings.Repeat("c", 32)
	r := &Record{ClientID: "c", Scope: "orders:read", IssuedAt: time.Unix(1, 0), TTL: time.Minute}
	r.Confirmation = Confirmation{KeyThumbprint: [32]byte([]byte(key))}
	t.Run("S-65 DP-03 the records of bound tokens: versions before cannot read them, and answer 503", func(t *testing.T) {
		require.Equal(t, "\x11"+strings.Repeat("\x00", 16+8)+"\x01<\x01c\x0borders:read\x00"+"\x01"+key, string(appendClientRecord(nil, h, r)))
		require.Equal(t, "\x12"+strings.Repeat("\x00", 16)+"\x01<\x0borders:read\x00"+"\x01"+key, string(appendUserRecord(nil, h, r)))
	})
	t.Run("MT-04 with a certificate, and with both", func(t *testing.T) {
		r.Confirmation.CertificateThumbprint = [32]byte([]byte(cert))
		require.True(t, strings.HasSuffix(string(appendUserRecord(nil, h, r)), "\x00\x03"+key+cert))
		r.Confirmation.KeyThumbprint = [32]byte{}
		require.True(t, strings.HasSuffix(string(appendUserRecord(nil, h, r)), "\x00\x02"+cert))
	})
	t.Run("S-65 DP-08 a bound session: another version, and both thumbprints at the end", func(t *testing.T) {
		s := &Session{ClientID: "app", Confirmation: Confirmation{KeyThumbprint: [32]byte([]byte(key))}}
		require.EqualValues(t, sessionV2, appendSessionHead(nil, true, h, h, 0)[0])
		require.True(t, strings.HasSuffix(string(appendSessionTail(nil, s)), key+strings.Repeat("\x00", 32)))
	})
	t.Run("a record that is bound to nothing, or cut, is a fault and never an unbound token", func(t *testing.T) {
		whole := appendClientRecord(nil, h, r)
		for _, tail := range []string{"", "\x00", "\x01", "\x01" + key[1:], "\x01" + strings.Repeat("\x00", 32), "\x04" + key, "\x01" + key + "x"} {
			_, err := parseClientRecord(append(append([]byte(nil), whole[:len(whole)-33]...), tail...), h)
			require.ErrorIs(t, err, ErrRecord, "%q", tail)
		}
	})
	t.Run("an API key is never bound", func(t *testing.T) {
		value := appendKeyRecord(nil, h, r)
		value[0] |= boundRecord
		_, err := parseKeyRecord(append(value, "\x01"+key...), h)
		require.ErrorIs(t, err, ErrRecord)
	})
	t.Run("DP-03 cnf as claims and introspection have it; x5t#S256 of RFC 8705 §3.1", func(t *testing.T) {
		both := Confirmation{[32]byte{1}, [32]byte{2}}
		require.JSONEq(t, `{"cnf": {"jkt": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x5t#S256": "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}`,
			string(both.Member(nil).Close()))
		require.JSONEq(t, `{}`, string(Confirmation{}.Member(nil).Close()))
	})
}
