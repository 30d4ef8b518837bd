package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// forge signs any header by a P-256 key.
func forge(t testing.TB, by *ecdsa.PrivateKey, header string) string {
	t.Helper()
	input := b64(header) + "." + b64(string(claims))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, by, digest[:])
	require.NoError(t, err)
	return input + "." + b64(string(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)))
}

func TestVerifyAttacks(t *testing.T) {
	ours, rsaKey := p256(t), mustRSA(t)
	r := open(t, config(fixed(t, ours, rsaKey), keys.ES256, keys.RS256))
	kid, rsaKid := kidOf(t, sign(t, r, keys.ES256)), kidOf(t, sign(t, r, keys.RS256))
	header := func(alg, typ, kid, more string) string {
		return fmt.Sprintf(`{"alg":%q,"typ":%q,"kid":%q%s}`, alg, typ, kid, more)
	}
	good := forge(t, ours, header("ES256", atJWT, kid, ""))
	_, err := r.Verify(good, atJWT)
	require.NoError(t, err, "what is forged here differs from ours in the attack alone")
	refuse := func(t *testing.T, token string) {
		t.Helper()
		claims, err := r.Verify(token, atJWT)
		require.Equal(t, keys.ErrNotOurs, err)
		require.Nil(t, claims)
	}
	part := strings.Split(good, ".")

	t.Run("AT-11 none in any letter case, with and without a signature", func(t *testing.T) {
		for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
			for _, k := range []string{kid, rsaKid} {
				refuse(t, b64(header(alg, atJWT, k, ""))+"."+part[1]+".")
				refuse(t, b64(header(alg, atJWT, k, ""))+"."+part[1]+"."+part[2])
			}
		}
	})
	t.Run("AT-12 HMAC keyed by what is public", func(t *testing.T) {
		for id, public := range map[string]crypto.PublicKey{kid: ours.Public(), rsaKid: rsaKey.Public()} {
			der, err := x509.MarshalPKIXPublicKey(public)
			require.NoError(t, err)
			jwk, err := jose.JSONWebKey{Key: public}.MarshalJSON()
			require.NoError(t, err)
			for _, secret := range [][]byte{der, jwk, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), []byte(id), {}} {
				for _, alg := range []string{"HS256", "ES256", "RS256"} {
					input := b64(header(alg, atJWT, id, "")) + "." + part[1]
					mac := hmac.New(sha256.New, secret)
					mac.Write([]byte(input))
					refuse(t, input+"."+b64(string(mac.Sum(nil))))
				}
			}
		}
	})
	t.Run("AT-13 a foreign key under our kid", func(t *testing.T) {
		refuse(t, forge(t, p256(t), header("ES256", atJWT, kid, "")))
	})
	t.Run("AT-13 S-49 a key in the header, or where to fetch it", func(t *testing.T) {
		theirs := p256(t)
		jwk, err := jose.JSONWebKey{Key: theirs.Public(), KeyID: "theirs", Algorithm: "ES256", Use: "sig"}.MarshalJSON()
		require.NoError(t, err)
		for _, more := range []string{`,"jwk":` + string(jwk), `,"jku":"http://127.0.0.1:1/jwks"`, `,"x5u":"http://127.0.0.1:1/"`, `,"x5c":["MA=="]`} {
			for _, id := range []string{kid, "theirs", ""} {
				refuse(t, forge(t, theirs, header("ES256", atJWT, id, more)))
				refuse(t, forge(t, ours, header("ES256", atJWT, id, more)))
			}
		}
	})
	t.Run("AT-13 a kid that is a path, a query or another's", func(t *testing.T) {
		for _, id := range []string{"", "../../dev/null", "' OR 1=1 --", "*", strings.Repeat("x", 43), kid[:42], kid + "x", strings.ToUpper(kid), rsaKid} {
			refuse(t, forge(t, ours, header("ES256", atJWT, id, "")))
		}
	})
	t.Run("AT-14 cut, empty, foreign signature", func(t *testing.T) {
		other := strings.Split(sign(t, r, keys.ES256), ".")
		for _, signature := range []string{"", part[2][:len(part[2])-4], part[2][:40], part[2] + "AAAA", other[2][:43] + part[2][43:], b64(strings.Repeat("x", 70))} {
			refuse(t, part[0]+"."+part[1]+"."+signature)
		}
		refuse(t, other[0]+"."+b64(`{"sub":"another"}`)+"."+other[2])
	})
	t.Run("AT-14 r = s = 0, r = 0, s = 0, r = n", func(t *testing.T) {
		zero, n := make([]byte, 32), ours.Params().N.FillBytes(make([]byte, 32))
		one := big.NewInt(1).FillBytes(make([]byte, 32))
		for _, rs := range [][2][]byte{{zero, zero}, {zero, one}, {one, zero}, {n, n}, {n, zero}} {
			refuse(t, part[0]+"."+part[1]+"."+b64(string(rs[0])+string(rs[1])))
		}
	})
	t.Run("AT-21 crit", func(t *testing.T) {
		for _, more := range []string{`,"crit":["exp"]`, `,"crit":[]`, `,"crit":["b64"],"b64":false`, `,"b64":false`} {
			refuse(t, forge(t, ours, header("ES256", atJWT, kid, more)))
		}
	})
	t.Run("RFC 8725 §3.1 a key has one algorithm", func(t *testing.T) {
		for _, alg := range []string{"RS256", "ES384", "ES512", "PS256", "es256", "EdDSA"} {
			refuse(t, forge(t, ours, header(alg, atJWT, kid, "")))
		}
		digest := sha256.Sum256([]byte(b64(header("PS256", atJWT, rsaKid, "")) + "." + part[1]))
		pss, err := rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, digest[:], nil)
		require.NoError(t, err)
		refuse(t, b64(header("PS256", atJWT, rsaKid, ""))+"."+part[1]+"."+b64(string(pss)))
	})
	t.Run("AT-15 other types signed by the same key", func(t *testing.T) {
		for _, typ := range []string{"JWT", "token-introspection+jwt", "client-authentication+jwt", "at+jwt2", "application/at+jwt", ""} {
			refuse(t, forge(t, ours, header("ES256", typ, kid, "")))
		}
		_, err := r.Verify(good)
		require.ErrorIs(t, err, keys.ErrNotOurs, "no type asked for: none is accepted")
		_, err = r.Verify(good, "")
		require.ErrorIs(t, err, keys.ErrNotOurs)
	})
	t.Run("S-49 dots", func(t *testing.T) {
		for _, text := range []string{"", ".", "..", "...", strings.Repeat(".", 20_000), part[0] + "." + part[1], good + ".", "." + good,
			part[0] + ".." + part[2], part[0] + "." + part[1] + ".." + part[2], "." + part[1] + "." + part[2]} {
			refuse(t, text)
		}
	})
	t.Run("one spelling only", func(t *testing.T) {
		for _, token := range []string{good + "\n", good + "=", good + "==", good[:20] + "\r\n" + good[20:], " " + good,
			part[0] + "." + part[1] + "\n." + part[2], part[0] + "." + part[1] + "=." + part[2], part[0] + "." + part[1] + "." + lastBit(part[2]),
			part[0] + "." + lastBit(part[1]) + "." + part[2]} {
			refuse(t, token)
		}
		for _, text := range []string{header("ES256", atJWT, kid, " "), header("ES256", atJWT, kid, `,"kid":"`+kid+`"`), " " + header("ES256", atJWT, kid, ""),
			fmt.Sprintf(`{"typ":"at+jwt","alg":"ES256","kid":%q}`, kid), fmt.Sprintf(`{"alg":"none","alg":"ES256","typ":"at+jwt","kid":%q}`, kid)} {
			refuse(t, forge(t, ours, text))
		}
	})
	t.Run("too long", func(t *testing.T) {
		refuse(t, part[0]+"."+strings.Repeat("A", keys.MaxBytes)+"."+part[2])
		refuse(t, strings.Repeat("A", 1<<20)+"."+part[1]+"."+part[2])
	})
}

// lastBit changes a bit of the last letter that means nothing, where there is one.
func lastBit(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(part)%4 == 0 {
		return part + "=" // there is none
	}
	last := len(part) - 1
	return part[:last] + string(alphabet[strings.IndexByte(alphabet, part[last])^1])
}

func mustRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return k
}

// FuzzVerify: nothing panics, and what is accepted is a token that Sign has made, or one with
// another signature by the same key, of which the fuzzer has none.
func FuzzVerify(f *testing.F) {
	r := open(f, config(keys.NewMemory(), keys.ES256, keys.EdDSA))
	ours := map[string]bool{}
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA} {
		token := sign(f, r, alg)
		ours[token] = true
		f.Add(token)
	}
	f.Add("..")
	f.Add(strings.Repeat(".", 100))
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := r.Verify(token, atJWT); err == nil && !ours[token] {
			t.Fatalf("accepted: %q", token)
		}
	})
}
