package tokens

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
)

// withClaims writes the record of a client's and of a user's token, reads both, and returns the
// texts.
func withClaims(t *testing.T, r Record) (client, user *Record, texts []string) {
	t.Helper()
	h := Hash{1}
	r.ClientID, r.IssuedAt, r.TTL = "c", time.Unix(1, 0), time.Minute
	own, of := appendClientRecord(nil, h, &r), appendUserRecord(nil, h, &r)
	client, err := parseClientRecord(own, h)
	require.NoError(t, err)
	user, err = parseUserRecord(of, h, &Session{Expires: time.Unix(1<<33, 0)})
	require.NoError(t, err)
	return client, user, []string{string(own), string(of)}
}

func TestClaimsInRecords(t *testing.T) {
	const text = `{"plan":{"seats":3},"tenant_id":"t-7"}`
	digest := DigestOf("header.claims.signature")
	t.Run("S-65 claims stand where versions before read a scope, and they leave out what no catalogue has", func(t *testing.T) {
		for _, d := range []JWTDigest{{}, digest} {
			client, user, texts := withClaims(t, Record{Scope: "orders:read orders:write", Claims: text, JWTDigest: d})
			for _, r := range []*Record{client, user} {
				require.Equal(t, text, r.Claims)
				require.Equal(t, "orders:read orders:write", r.Scope)
				require.Equal(t, d, r.JWTDigest)
			}
			for _, written := range texts {
				at := strings.Index(written, "orders:read")
				old, err := scopes.Parse(written[at:strings.LastIndex(written, "\x00")])
				require.NoError(t, err, "an older version reads it")
				kept := old.Filter((&scopes.Catalogue{}).Has)
				require.True(t, kept.IsEmpty(), "no catalogue has %s", kept)
				require.Equal(t, 2, old.Filter(func(s string) bool { return !scopes.IsReserved(s) }).Len())
			}
		}
	})
	t.Run("S-65 bytes of a record: without claims none, with claims 16 and 4 for each 3 of their JSON", func(t *testing.T) {
		_, _, plain := withClaims(t, Record{Scope: "orders:read"})
		require.Equal(t, "\x01"+strings.Repeat("\x00", 16+8)+"\x01<\x01c\x0borders:read\x00", plain[0])
		require.Equal(t, "\x02"+strings.Repeat("\x00", 16)+"\x01<\x0borders:read\x00", plain[1])
		_, _, claimed := withClaims(t, Record{Scope: "orders:read", Claims: text})
		for i := range plain {
			t.Logf("record without claims: %d bytes; with %d bytes of claims: %d", len(plain[i]), len(text), len(claimed[i]))
			require.Equal(t, len(claimsScope)+base64.RawURLEncoding.EncodedLen(len(text)), len(claimed[i])-len(plain[i]))
		}
	})
	t.Run("2 kB of claims beside the longest scope", func(t *testing.T) {
		long, most := strings.Repeat("s", maxScopeBytes), `{"a":"`+strings.Repeat("x", 2040)+`"}`
		client, _, _ := withClaims(t, Record{Scope: long, Claims: most, JWTDigest: digest})
		require.Equal(t, long, client.Scope)
		require.Equal(t, most, client.Claims)
	})
	t.Run("what cannot be read is a fault, and never a token without claims", func(t *testing.T) {
		h := Hash{1}
		r := &Record{ClientID: "c", Scope: "a" + claimsScope + "%%", IssuedAt: time.Unix(1, 0), TTL: time.Minute}
		_, err := parseClientRecord(appendClientRecord(nil, h, r), h)
		require.ErrorIs(t, err, ErrRecord)
	})
}
