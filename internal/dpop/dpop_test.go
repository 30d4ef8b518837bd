package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
)

const (
	method = "POST"
	where  = "https://auth.example.com/oauth2/token"
	token  = "gat_token"
)

var wanted = Request{Method: method, URLs: []string{where}}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestGood(t *testing.T) {
	k := dpoptest.New(t)
	t.Run("DP-01 RFC 9449 §4.3 a good proof says its key, jti and iat", func(t *testing.T) {
		p, err := (&Checker{}).Check(k.Proof(method, where, dpoptest.Change{"jti": "one"}), wanted)
		require.NoError(t, err)
		require.Equal(t, k.Thumbprint(), p.Key)
		require.Equal(t, "one", p.ID)
		require.WithinDuration(t, time.Now(), p.IssuedAt, 10*time.Second)
	})
	t.Run("RFC 9449 §4.3 with its access token, by the key that the token is bound to", func(t *testing.T) {
		sum := k.Thumbprint()
		_, err := (&Checker{}).Check(k.Proof(method, where, dpoptest.With(token)), Request{Method: method, URLs: []string{"https://other", where}, Token: token, Key: &sum})
		require.NoError(t, err)
	})
	t.Run("RFC 9449 §4.2 more claims and header members than are known", func(t *testing.T) {
		proof := k.Sign(k.Header(dpoptest.Change{"kid": "k", "x": 1, "typ": "application/DPoP+jwt", "jwk": k.JWK(dpoptest.Change{"kid": "k", "use": "sig"})}),
			map[string]any{"jti": "a", "htm": method, "htu": where, "iat": time.Now().Unix(), "x": []int{1}, "sub": "u"})
		_, err := (&Checker{}).Check(proof, wanted)
		require.NoError(t, err)
	})
	t.Run("RFC 9449 §11.1 a jti is one for its key alone", func(t *testing.T) {
		a, b := &Proof{Key: k.Thumbprint(), ID: "a"}, &Proof{Key: dpoptest.New(t).Thumbprint(), ID: "a"}
		require.NotEqual(t, a.Name(), b.Name())
		require.NotEqual(t, a.Name(), (&Proof{Key: a.Key, ID: "b"}).Name())
		require.Equal(t, a.Name(), (&Proof{Key: a.Key, ID: "a"}).Name())
	})
}

// TestKeys has go-jose sign proofs and say thumbprints.
func TestKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for alg, key := range map[string]crypto.Signer{"ES256": p256, "ES384": p384, "EdDSA": ed, "PS256": rsaKey, "RS256": rsaKey} {
		t.Run("RFC 9449 §4.2, RFC 7638 §3 "+alg, func(t *testing.T) {
			public := jose.JSONWebKey{Key: key.Public()}
			sum, err := public.Thumbprint(crypto.SHA256)
			require.NoError(t, err)
			opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, opts)
			require.NoError(t, err)
			claims, err := json.Marshal(map[string]any{"jti": "a", "htm": method, "htu": where, "iat": time.Now().Unix()})
			require.NoError(t, err)
			j, err := s.Sign(claims)
			require.NoError(t, err)
			proof, err := j.CompactSerialize()
			require.NoError(t, err)
			p, err := (&Checker{}).Check(proof, wanted)
			require.NoError(t, err)
			require.Equal(t, sum, p.Key[:])
			i := strings.LastIndexByte(proof, '.') + 20
			_, err = (&Checker{}).Check(proof[:i]+string("AB"[min(1, strings.Count(proof[i:i+1], "A"))])+proof[i+1:], wanted)
			require.Equal(t, WrongSignature, err)
		})
	}
}

// TestAttacks is the table of what is no proof.
func TestAttacks(t *testing.T) {
	k, other := dpoptest.New(t), dpoptest.New(t)
	claims := func(c dpoptest.Change) string { return k.Proof(method, where, c) }
	header := func(c dpoptest.Change) string {
		return k.Sign(k.Header(c), map[string]any{"jti": "a", "htm": method, "htu": where, "iat": time.Now().Unix()})
	}
	jwk := func(c dpoptest.Change) string { return header(dpoptest.Change{"jwk": k.JWK(c)}) }
	good := k.Proof(method, where)
	part := strings.Split(good, ".")
	raw := func(header, payload string) string {
		return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + part[2]
	}
	point := k.JWK()
	text, err := json.Marshal(point)
	require.NoError(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // too small on purpose
	require.NoError(t, err)
	modulus := func(n []byte) map[string]any { return map[string]any{"kty": "RSA", "n": b64(n), "e": "AQAB"} }
	huge := make([]byte, 520)
	huge[0], huge[519] = 1, 1
	for _, row := range []struct {
		name, proof string
		want        Reason
	}{
		{"DP-02 RFC 9449 §4.3 no JWT", "x", Malformed},
		{"DP-02 RFC 9449 §4.3 empty", "", Malformed},
		{"DP-02 RFC 9110 §5.3 two proofs joined by a comma", good + ", " + good, Malformed},
		{"DP-02 64 kB", strings.Repeat("a", 64<<10), TooLong},
		{"DP-02 64 kB of good form", claims(dpoptest.Change{"x": strings.Repeat("a", 48<<10)}), TooLong},
		{"DP-02 a member twice in the header", raw(`{"typ":"dpop+jwt","alg":"ES256","alg":"ES256","jwk":`+string(text)+`}`, "{}"), Malformed},
		{"DP-02 a claim twice", raw(`{"typ":"dpop+jwt","alg":"ES256","jwk":`+string(text)+`}`, `{"jti":"a","jti":"b"}`), Malformed},
		{"DP-02 typ JWT", header(dpoptest.Change{"typ": "JWT"}), WrongType},
		{"DP-02 typ at+jwt", header(dpoptest.Change{"typ": "at+jwt"}), WrongType},
		{"DP-02 no typ", header(dpoptest.Change{"typ": nil}), WrongType},
		{"DP-02 alg none", header(dpoptest.Change{"alg": "none"}), WrongAlgorithm},
		{"DP-02 alg none without signature", strings.Join([]string{b64([]byte(`{"typ":"dpop+jwt","alg":"none"}`)), part[1], ""}, "."), WrongAlgorithm},
		{"DP-02 no alg", header(dpoptest.Change{"alg": nil}), WrongAlgorithm},
		{"DP-02 alg HS256 by the public key", hs256(t, k, text), WrongAlgorithm},
		{"DP-02 alg of another kind of key", header(dpoptest.Change{"alg": "EdDSA"}), WrongAlgorithm},
		{"DP-02 alg of another curve", header(dpoptest.Change{"alg": "ES384"}), WrongAlgorithm},
		{"DP-02 alg ES512, which is slow", header(dpoptest.Change{"alg": "ES512"}), WrongAlgorithm},
		{"DP-02 crit", header(dpoptest.Change{"crit": []string{"x"}, "x": 1}), Critical},
		{"DP-02 no jwk", header(dpoptest.Change{"jwk": nil}), NoKey},
		{"DP-02 jwk is a text", header(dpoptest.Change{"jwk": "x"}), NoKey},
		{"DP-02 a kid instead of jwk", header(dpoptest.Change{"jwk": nil, "kid": "k"}), NoKey},
		{"DP-02 jwk symmetric", jwk(dpoptest.Change{"kty": "oct", "k": "AAAA"}), NoKey},
		{"DP-02 jwk of an unknown kind", jwk(dpoptest.Change{"kty": "AKP"}), NoKey},
		{"DP-02 jwk private", jwk(dpoptest.Change{"d": k.Private()}), PrivateKey},
		{"DP-02 jwk with a member of private RSA keys", jwk(dpoptest.Change{"oth": []string{}}), PrivateKey},
		{"DP-02 jwk with a symmetric member", jwk(dpoptest.Change{"k": "AAAA"}), PrivateKey},
		{"DP-02 jwk of an unknown curve", jwk(dpoptest.Change{"crv": "secp256k1"}), NoKey},
		{"DP-02 jwk off the curve", jwk(dpoptest.Change{"x": point["y"], "y": point["x"]}), NoKey},
		{"DP-02 jwk with a short coordinate", jwk(dpoptest.Change{"x": "AAAA"}), NoKey},
		{"DP-02 RFC 7515 §2 jwk with padding", jwk(dpoptest.Change{"x": point["x"].(string) + "="}), NoKey},
		{"DP-02 jwk a member twice", raw(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC",`+string(text[1:])+`}`, "{}"), NoKey},
		{"DP-02 RSA of 1024 bits", header(dpoptest.Change{"alg": "RS256", "jwk": modulus(small.N.Bytes())}), WeakKey},
		{"DP-02 RSA of 4153 bits", header(dpoptest.Change{"alg": "RS256", "jwk": modulus(huge)}), WeakKey},
		{"DP-02 RFC 7518 §2 RSA with a zero in front", header(dpoptest.Change{"alg": "RS256", "jwk": modulus(append([]byte{0}, huge[1:]...))}), NoKey},
		{"DP-02 a foreign key in jwk", header(dpoptest.Change{"jwk": other.JWK()}), WrongSignature},
		{"DP-02 changed claims", part[0] + "." + strings.Split(k.Proof(method, where), ".")[1] + "." + part[2], WrongSignature},
		{"V-20 a signature of zeros", part[0] + "." + part[1] + "." + b64(make([]byte, 64)), WrongSignature},
		{"DP-02 no htm", claims(dpoptest.Change{"htm": nil}), WrongMethod},
		{"DP-02 htm GET", claims(dpoptest.Change{"htm": "GET"}), WrongMethod},
		{"DP-02 RFC 9110 §9.1 htm post", claims(dpoptest.Change{"htm": "post"}), WrongMethod},
		{"DP-02 no htu", claims(dpoptest.Change{"htu": nil}), WrongURL},
		{"DP-02 htu of another path", claims(dpoptest.Change{"htu": where + "/"}), WrongURL},
		{"DP-02 htu of another host", claims(dpoptest.Change{"htu": "https://auth.example.com.evil.example/oauth2/token"}), WrongURL},
		{"DP-02 htu http", claims(dpoptest.Change{"htu": "http" + where[5:]}), WrongURL},
		{"DP-02 htu with a user", claims(dpoptest.Change{"htu": "https://u@" + where[8:]}), WrongURL},
		{"DP-02 htu is a list", claims(dpoptest.Change{"htu": []string{where}}), WrongURL},
		{"DP-02 no iat", claims(dpoptest.Change{"iat": nil}), NoTime},
		{"DP-02 iat a text", claims(dpoptest.Change{"iat": "1"}), Malformed},
		{"DP-02 an old iat", claims(dpoptest.Change{"iat": time.Now().Add(-62 * time.Second).Unix()}), Expired},
		{"DP-02 an iat of the future", claims(dpoptest.Change{"iat": time.Now().Add(70 * time.Second).Unix()}), NotYet},
		{"RFC 7519 §4.1.4 exp has passed", claims(dpoptest.Change{"exp": time.Now().Add(-62 * time.Second).Unix()}), Expired},
		{"DP-07 RFC 9449 §8 a nonce that is no text, where none is demanded", claims(dpoptest.Change{"nonce": 1}), Malformed},
		{"DP-02 RFC 8259 §7 jwk private by an escaped name", raw(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"\u0064":"AAAA",`+string(text[1:])+`}`, "{}"), PrivateKey},
		{"DP-02 RFC 7518 §6.3.1 RSA with an exponent of 33 bits", header(dpoptest.Change{"alg": "RS256", "jwk": map[string]any{"kty": "RSA", "n": b64(huge[:256]), "e": "AQAAAAE"}}), NoKey},
		{"DP-02 no jti", claims(dpoptest.Change{"jti": nil}), NoID},
		{"DP-02 an empty jti", claims(dpoptest.Change{"jti": ""}), NoID},
		{"DP-02 a jti of 257 bytes", claims(dpoptest.Change{"jti": strings.Repeat("j", 257)}), NoID},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := (&Checker{}).Check(row.proof, wanted)
			require.Nil(t, p)
			require.Equal(t, row.want, err)
		})
	}
}

func hs256(t *testing.T, k *dpoptest.Key, secret []byte) string {
	t.Helper()
	parts := strings.Split(k.Sign(k.Header(dpoptest.Change{"alg": "HS256"}), map[string]any{"jti": "a"}), ".")
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	return parts[0] + "." + parts[1] + "." + b64(mac.Sum(nil))
}

func TestToken(t *testing.T) {
	k := dpoptest.New(t)
	own, foreign := k.Thumbprint(), dpoptest.New(t).Thumbprint()
	for _, row := range []struct {
		name, proof string
		key         [32]byte
		want        error
	}{
		{"DP-04 its own", k.Proof(method, where, dpoptest.With(token)), own, nil},
		{"DP-04 no ath", k.Proof(method, where), own, WrongToken},
		{"DP-04 ath of another token", k.Proof(method, where, dpoptest.With("x")), own, WrongToken},
		{"DP-04 ath with padding", k.Proof(method, where, dpoptest.Change{"ath": dpoptest.With(token)["ath"].(string) + "="}), own, WrongToken},
		{"DP-04 ath is the token", k.Proof(method, where, dpoptest.Change{"ath": token}), own, WrongToken},
		{"DP-04 another key than the token is bound to", k.Proof(method, where, dpoptest.With(token)), foreign, WrongKey},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := (&Checker{}).Check(row.proof, Request{Method: method, URLs: []string{where}, Token: token, Key: &row.key})
			require.ErrorIs(t, err, row.want)
		})
	}
}

func TestFromHeader(t *testing.T) {
	k := dpoptest.New(t)
	good := k.Proof(method, where)
	for _, row := range []struct {
		name   string
		values []string
		want   error
	}{
		{"one", []string{good}, nil},
		{"none", nil, Missing},
		{"DP-11 two", []string{good, good}, Several},
		{"DP-11 two, of which one is empty", []string{"", good}, Several},
		{"DP-02 64 kB", []string{strings.Repeat("a", 64<<10)}, TooLong},
	} {
		t.Run("RFC 9449 §4.3 "+row.name, func(t *testing.T) {
			h := http.Header{}
			for _, v := range row.values {
				h.Add("DPoP", v)
			}
			got, err := FromHeader(h)
			require.Equal(t, row.want, err)
			require.Equal(t, row.want == nil, got == good)
		})
	}
}

func TestClock(t *testing.T) {
	k := dpoptest.New(t)
	start := time.Unix(1_800_000_000, 0)
	proof := k.Proof(method, where, dpoptest.Change{"iat": start.Unix()})
	c := &Checker{Window: 30 * time.Second}
	for offset, want := range map[time.Duration]error{-31 * time.Second: NotYet, -30 * time.Second: nil, 0: nil, 30 * time.Second: nil, 31 * time.Second: Expired} {
		c.Now = func() time.Time { return start.Add(offset) }
		p, err := c.Check(proof, wanted)
		require.ErrorIs(t, err, want, "RFC 9449 §11.1 the clock here is ahead by %s", offset)
		if want == nil {
			require.Equal(t, 30*time.Second-offset+time.Minute, p.Keep, "DP-09 kept for the window and the skew")
		}
	}
}

func TestReasonsAreSentences(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		require.False(t, seen[r.Error()], r)
		seen[r.Error()] = true
		require.NotContains(t, r.Error(), `"`)
		require.Equal(t, -1, strings.IndexFunc(r.Error(), func(c rune) bool { return c < ' ' || c > '~' || c == '\\' }), r)
		require.Equal(t, r == NoNonce || r == WrongNonce, r.WantsNonce())
	}
}

func BenchmarkCheck(b *testing.B) {
	k := dpoptest.New(b)
	proof, sum := k.Proof(method, where, dpoptest.With(token)), k.Thumbprint()
	c := &Checker{Window: time.Hour}
	urls := []string{where}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Check(proof, Request{Method: method, URLs: urls, Token: token, Key: &sum}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefuse is what a proof costs that is refused before its signature.
func BenchmarkRefuse(b *testing.B) {
	k := dpoptest.New(b)
	for name, proof := range map[string]string{"another URL": k.Proof(method, where+"/x"), "64 kB": strings.Repeat("a", 64<<10)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (&Checker{}).Check(proof, wanted); err == nil {
					b.Fatal("taken")
				}
			}
		})
	}
}
