package server

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/tokens"
)

// counting is keys that count the signatures that are checked.
type counting struct {
	SigningKeys
	checked atomic.Int32
	err     error // instead of claims
}

func (c *counting) Verify(token string, types ...string) ([]byte, error) {
	c.checked.Add(1)
	return c.SigningKeys.Verify(token, types...)
}

func (c *counting) Claims(token string, types ...string) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.SigningKeys.Claims(token, types...)
}

// startCounting is a server that signs its access tokens with alg.
func startCounting(t *testing.T, alg keys.Algorithm) (*fixture, *counting) {
	t.Helper()
	c := &counting{}
	f, _ := startPeople(t, withKeys(t, alg), func(cfg *Config) {
		c.SigningKeys = cfg.Keys
		cfg.Keys = c
	})
	return f, c
}

// withoutDigest stores a token's record as versions before wrote it.
func (f *fixture) withoutDigest(t *testing.T, token string) {
	t.Helper()
	p, err := f.server.identify(t.Context(), token)
	require.NoError(t, err)
	r, err := f.store.Load(t.Context(), p.token)
	require.NoError(t, err)
	require.Equal(t, tokens.DigestOf(token), r.JWTDigest)
	r.JWTDigest = tokens.JWTDigest{}
	require.NoError(t, f.store.Issue(t.Context(), p.token, r))
}

func TestJWTDigest(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		f, counted := startCounting(t, alg)
		t.Run("IN-24 "+string(alg)+": a JWT is introspected by the digest of its record, without a signature", func(t *testing.T) {
			token := f.issue(t, "&scope=orders:read")
			r := f.inspect(t, token)
			require.Equal(t, true, r.json["active"])
			_, c := parts(t, token)
			for _, name := range []string{"iss", "sub", "jti", "exp", "iat", "scope", "client_id", "sub_type"} {
				require.Equal(t, c[name], r.json[name], name)
			}
			_, err := f.server.Verifier().Verify(t.Context(), token)
			require.NoError(t, err)
			require.Zero(t, counted.checked.Load())
		})
		t.Run("AT-04 "+string(alg)+": one changed character makes it inactive, wherever it is, and costs no signature", func(t *testing.T) {
			token := f.issue(t, "")
			for i := range token {
				letter := "A"
				if token[i] == 'A' {
					letter = "B"
				}
				changed := token[:i] + letter + token[i+1:]
				_, err := f.server.Verifier().Verify(t.Context(), changed)
				require.ErrorIs(t, err, middleware.ErrInvalidToken, i)
			}
			for _, changed := range []string{token + "=", token + "A", token[:len(token)-1], token + "\n", strings.Replace(token, ".", ".\n", 1)} {
				require.Equal(t, dead, f.inspect(t, url.QueryEscape(changed)).body)
			}
			require.Zero(t, counted.checked.Load())
			require.Equal(t, true, f.inspect(t, token).json["active"])
		})
		t.Run("S-65 "+string(alg)+": a record of an older version has no digest, so the signature decides", func(t *testing.T) {
			token := f.issue(t, "")
			f.withoutDigest(t, token)
			require.Equal(t, true, f.inspect(t, token).json["active"])
			require.EqualValues(t, 1, counted.checked.Load())
			cut := strings.LastIndexByte(token, '.') + 10
			require.Equal(t, dead, f.inspect(t, token[:cut]+map[bool]string{true: "B", false: "A"}[token[cut] == 'A']+token[cut+1:]).body)
			require.EqualValues(t, 2, counted.checked.Load())
		})
	}
}

func TestJWTDigestOfSessions(t *testing.T) {
	f, counted := startCounting(t, keys.ES256)
	access, refresh := f.loggedIn(t, "")
	t.Run("IN-24 a user's JWT, of a login, of a refresh and of its retry", func(t *testing.T) {
		second := f.refresh(t, refresh)
		retry := f.refresh(t, refresh)
		require.Equal(t, second.text("access_token"), retry.text("access_token"))
		before := counted.checked.Load()
		for _, token := range []string{access, second.text("access_token"), retry.text("access_token")} {
			r := f.inspect(t, token)
			require.Equal(t, "u-1", r.json["sub"], r.body)
			require.Equal(t, dead, f.inspect(t, token[:len(token)-5]+"AAAAA").body)
		}
		require.Equal(t, before, counted.checked.Load())
	})
	t.Run("RV-08 a revocation still checks the signature: a forged JWT ends nothing", func(t *testing.T) {
		token := f.issue(t, "")
		before := counted.checked.Load()
		require.Equal(t, 200, f.post(t, revP, app, "token="+token[:len(token)-5]+"AAAAA").status)
		require.Equal(t, before+1, counted.checked.Load())
		require.Equal(t, true, f.inspect(t, token).json["active"])
	})
}

// otherSpelling returns the same ES256 signature with n - s in the place of s: it verifies as well.
func otherSpelling(t *testing.T, token string) string {
	t.Helper()
	cut := strings.LastIndexByte(token, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(token[cut:])
	require.NoError(t, err)
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:cut] + base64.RawURLEncoding.EncodeToString(signature)
}

func TestJWTMalleable(t *testing.T) {
	f, counted := startCounting(t, keys.ES256)
	t.Run("AT-04 a second signature that verifies, n - s for s, is not what was minted: inactive", func(t *testing.T) {
		token := f.issue(t, "")
		other := otherSpelling(t, token)
		_, err := counted.SigningKeys.Verify(other, "at+jwt")
		require.NoError(t, err, "its signature is good")
		require.Equal(t, dead, f.inspect(t, other).body)
		require.Equal(t, true, f.inspect(t, token).json["active"])
	})
	t.Run("AT-04 claims of one JWT under the signature of another, and both with one jti", func(t *testing.T) {
		one, two := strings.Split(f.issue(t, ""), "."), strings.Split(f.issue(t, ""), ".")
		require.Equal(t, dead, f.inspect(t, one[0]+"."+one[1]+"."+two[2]).body)
		text, err := base64.RawURLEncoding.DecodeString(one[1])
		require.NoError(t, err)
		var c map[string]any
		require.NoError(t, json.Unmarshal(text, &c))
		c["scope"] = "orders:write"
		again, err := json.Marshal(c)
		require.NoError(t, err)
		signed, err := counted.Sign(keys.ES256, "at+jwt", again)
		require.NoError(t, err)
		require.Equal(t, dead, f.inspect(t, signed).body, "signed by our key, and not what this record was made for")
	})
}

func TestJWTDigestAndKeys(t *testing.T) {
	t.Run("AT-04 keys rotate --compromised: a JWT of a dropped key is inactive, digest or not", func(t *testing.T) {
		f, counted := startCounting(t, keys.ES256)
		token, old := f.issue(t, ""), f.issue(t, "")
		f.withoutDigest(t, old)
		require.NoError(t, counted.SigningKeys.(*keys.Ring).Rotate(t.Context(), false))
		require.Equal(t, true, f.inspect(t, token).json["active"], "a rotation keeps the key until its tokens have expired")
		require.NoError(t, counted.SigningKeys.(*keys.Ring).Rotate(t.Context(), true))
		require.Equal(t, dead, f.inspect(t, token).body)
		require.Equal(t, dead, f.inspect(t, old).body)
		require.Equal(t, true, f.inspect(t, f.issue(t, "")).json["active"])
	})
	t.Run("AT-04 a JWT from the time when this server had another issuer is inactive", func(t *testing.T) {
		f, _ := startCounting(t, keys.ES256)
		token := f.issue(t, "")
		f.server.cfg.Issuer = "https://as.example.com"
		require.Equal(t, dead, f.inspect(t, token).body)
	})
	t.Run("BR-19 keys that cannot be confirmed: 503, and never active by the digest alone", func(t *testing.T) {
		f, counted := startCounting(t, keys.ES256)
		token := f.issue(t, "")
		counted.err = keys.ErrUnconfirmed
		refused(t, f.post(t, intP, "gateway:rs", "token="+token), http.StatusServiceUnavailable, "temporarily_unavailable")
	})
}

// foreignRecord is a store that finds the record of another token, as Redis does for the id of an
// opaque one.
type foreignRecord struct{ tokens.Store }

func (foreignRecord) Load(context.Context, tokens.Token) (*tokens.Record, error) {
	return nil, fmt.Errorf("%w: it belongs to another token", tokens.ErrRecord)
}

func TestJWTOfAnOpaqueID(t *testing.T) {
	f, _ := startPeople(t, withKeys(t, keys.ES256), func(cfg *Config) { cfg.Store = foreignRecord{cfg.Store} })
	token := f.issue(t, "&scope=orders:read")
	t.Run("AT-04 a forged JWT with the id of an opaque token is inactive, and no fault of the store", func(t *testing.T) {
		signature := strings.LastIndexByte(token, '.') + 1
		forged := token[:signature] + strings.Repeat("A", len(token)-signature)
		r := f.inspect(t, forged)
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, false, r.json["active"])
	})
	t.Run("a JWT of ours whose record cannot be read is a fault", func(t *testing.T) {
		r := f.post(t, intP, "gateway:rs", "token="+url.QueryEscape(token))
		require.Equal(t, http.StatusServiceUnavailable, r.status)
	})
}
