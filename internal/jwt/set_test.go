package jwt

import (
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jws"
)

func TestParseSet(t *testing.T) {
	k := keys()
	p256 := func(change map[string]any) string { return jwkOf(t, k.p256.Public(), "a", change) }
	weak := &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Rsh(k.rsa.N, 1024), 0, 1), E: 65537}
	bad := map[string]struct{ key, says string }{
		"JK-05 RFC 7518 §3.3 RSA of 1024 bits":          {jwkOf(t, weak, "", nil), "2048"},
		"JK-02 a symmetric key":                         {`{"kty":"oct","k":"AAAA"}`, "symmetric"},
		"JK-02 a private EC key":                        {jwkOf(t, k.p256, "", nil), `"d"`},
		"JK-02 a private RSA key":                       {jwkOf(t, k.rsa, "", nil), "public keys only"},
		"JK-02 a private Ed25519 key":                   {jwkOf(t, k.ed, "", nil), `"d"`},
		"RFC 8725 §3.1 an alg of another kind of key":   {p256(map[string]any{"alg": "RS256"}), "alg"},
		"RFC 8725 §3.1 an alg of another curve":         {p256(map[string]any{"alg": "ES384"}), "alg"},
		"RFC 8725 §3.1 alg none":                        {p256(map[string]any{"alg": "none"}), "alg"},
		"RFC 8725 §3.1 alg HS256":                       {p256(map[string]any{"alg": "HS256"}), "alg"},
		"RFC 7518 §6.2.1 a point that is off the curve": {p256(map[string]any{"x": b64(make([]byte, 32))}), "valid public key"},
		"an RSA exponent of 1":                          {jwkOf(t, k.rsa.Public(), "", map[string]any{"e": "AQ"}), "valid public key"},
		"an even RSA exponent":                          {jwkOf(t, k.rsa.Public(), "", map[string]any{"e": "Ag"}), "exponent"},
		"RFC 7517 §4 a member twice":                    {`{"kty":"EC","kty":"oct"}`, "twice"},
		"no object":                                     {`1`, "object"},
	}
	other := map[string]struct{ key, says string }{
		"a key for encryption":            {p256(map[string]any{"use": "enc"}), "use"},
		"a key that may not verify":       {p256(map[string]any{"key_ops": []string{"sign"}}), "key_ops"},
		"an alg of encryption":            {jwkOf(t, k.rsa.Public(), "", map[string]any{"alg": "RSA-OAEP-256"}), "alg"},
		"an alg that nobody knows":        {p256(map[string]any{"alg": "ES256K"}), "alg"},
		"a kind of key that nobody knows": {`{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}`, "kty"},
		"a curve that is not supported":   {`{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA"}`, "crv"},
		"X25519, which signs nothing":     {`{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `"}`, "Ed25519"},
	}
	for name, o := range other {
		t.Run("RFC 7517 §5 passed over beside another, and said: "+name, func(t *testing.T) {
			for _, parse := range []func([]byte) (*KeySet, error){ParseKeySet, published} {
				s, err := parse([]byte(setOf(p256(nil), o.key)))
				require.NoError(t, err)
				require.Equal(t, 1, s.Len())
				require.Len(t, s.PassedOver(), 1)
				require.Contains(t, s.PassedOver()[0], "keys[1]: ")
				require.Contains(t, s.PassedOver()[0], o.says)
			}
		})
		t.Run("RFC 7517 §5 alone it is refused, with the reason: "+name, func(t *testing.T) {
			_, err := ParseKeySet([]byte(setOf(o.key)))
			require.ErrorContains(t, err, "no key in it that can be used: keys[0]: ")
			require.ErrorContains(t, err, o.says)
		})
	}
	for _, secret := range []string{`{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA","priv":"AAAA"}`, jwkOf(t, k.p256, "", map[string]any{"use": "enc"})} {
		t.Run("JK-02 a private key is refused, whatever it is for", func(t *testing.T) {
			_, err := ParseKeySet([]byte(setOf(p256(nil), secret)))
			require.ErrorContains(t, err, "register public keys only")
		})
	}
	for name, b := range bad {
		t.Run(name+" is refused with a sentence", func(t *testing.T) {
			_, err := ParseKeySet([]byte(setOf(p256(nil), b.key)))
			require.ErrorContains(t, err, b.says)
			require.ErrorContains(t, err, "keys[1]")
		})
		t.Run("RFC 7517 §5 published by others: passed over: "+name, func(t *testing.T) {
			s, err := published([]byte(setOf(b.key, p256(nil))))
			require.NoError(t, err)
			require.Equal(t, 1, s.Len())
		})
	}
	for name, text := range map[string]string{"no set": `{}`, "keys no list": `{"keys":{}}`, "empty": ``, "more behind it": `{"keys":[]}x`, "no key": `{"keys":[]}`,
		"101 keys": setOf(make101(p256(nil))...), "larger than 256 kB": `{"keys":[],"x":"` + strings.Repeat("a", 256<<10) + `"}`} {
		t.Run("RFC 7517 §5 "+name, func(t *testing.T) {
			_, err := ParseKeySet([]byte(text))
			require.Error(t, err)
		})
	}
	t.Run("JK-05 RSA of 2048 bits, P-256, P-384, P-521 and Ed25519 pass and are written back as read", func(t *testing.T) {
		s, err := ParseKeySet([]byte(setOf(jwkOf(t, k.rsa.Public(), "r", map[string]any{"alg": "PS256", "use": "sig"}), p256(map[string]any{"exp": 4000000000}),
			jwkOf(t, k.p384.Public(), "", nil), jwkOf(t, k.p521.Public(), "", nil), jwkOf(t, k.ed.Public(), "", nil))))
		require.NoError(t, err)
		text, err := json.Marshal(s)
		require.NoError(t, err)
		var again KeySet
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, s.keys, again.keys)
		require.NotContains(t, string(text), `"d"`)
	})
	t.Run("an error quotes no key", func(t *testing.T) {
		_, err := ParseKeySet([]byte(setOf(`{"kty":"oct","k":"c2VjcmV0c2VjcmV0"}`)))
		require.NotContains(t, err.Error(), "c2VjcmV0c2VjcmV0")
	})
}

func published(text []byte) (*KeySet, error) { return parsePublished(text, signatures) }

func make101(k string) (list []string) {
	for range 101 {
		list = append(list, k)
	}
	return list
}

func TestCandidates(t *testing.T) {
	k := keys()
	t.Run("RFC 8725 §3.1 a key that names its alg verifies no other", func(t *testing.T) {
		s, err := ParseKeySet([]byte(setOf(jwkOf(t, k.rsa.Public(), "r", map[string]any{"alg": "PS256"}))))
		require.NoError(t, err)
		_, err = verify(t, signed(t, "PS256", "r", k.rsa, payload(nil)), all, s)
		require.NoError(t, err)
		_, err = verify(t, signed(t, "RS256", "r", k.rsa, payload(nil)), all, s)
		require.ErrorIs(t, err, NoKey)
	})
	t.Run("S-49 a kid chooses: the right key under another kid is not tried", func(t *testing.T) {
		_, err := verify(t, signed(t, "ES256", "p384", k.p256, payload(nil)), all, k.set)
		require.ErrorIs(t, err, NoKey)
	})
	t.Run("without a kid at most 4 keys are tried", func(t *testing.T) {
		s := &KeySet{}
		for range 50 {
			s.keys = append(s.keys, publicKey{public: k.p256.Public()})
		}
		require.Len(t, s.candidates(jws.Header{Algorithm: "ES256"}, time.Now()), 4)
	})
	t.Run("V-24 a client's key past its end is refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := ParseKeySet([]byte(setOf(jwkOf(t, k.p256.Public(), "a", map[string]any{"exp": time.Now().Add(time.Minute).Unix()}))))
			require.NoError(t, err)
			token := signed(t, "ES256", "a", k.p256, payload(nil))
			_, err = verify(t, token, all, s)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			_, err = verify(t, token, all, s)
			require.ErrorIs(t, err, NoKey)
		})
	})
	t.Run("V-24 a key whose end is 0 or below is past it, and not without one", func(t *testing.T) {
		for _, exp := range []float64{0, -1, -1e300} {
			s, err := ParseKeySet([]byte(setOf(jwkOf(t, k.p256.Public(), "a", map[string]any{"exp": exp}))))
			require.NoError(t, err)
			_, err = verify(t, signed(t, "ES256", "a", k.p256, payload(nil)), all, s)
			require.ErrorIs(t, err, NoKey, "%v", exp)
		}
	})
}
