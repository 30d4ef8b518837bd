package jwt

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

func TestGenuine(t *testing.T) {
	k := keys()
	for alg, signer := range map[string]struct {
		kid string
		key crypto.Signer
	}{"ES256": {"p256", k.p256}, "ES384": {"p384", k.p384}, "ES512": {"p521", k.p521}, "EdDSA": {"ed", k.ed}, "RS256": {"rsa", k.rsa},
		"RS384": {"rsa", k.rsa}, "RS512": {"rsa", k.rsa}, "PS256": {"rsa", k.rsa}, "PS384": {"rsa", k.rsa}, "PS512": {"rsa", k.rsa}} {
		t.Run("AT-10 AT-19 "+alg+" by a known key, with kid and without", func(t *testing.T) {
			for _, kid := range []string{signer.kid, ""} {
				c, err := verify(t, signed(t, alg, kid, signer.key, payload(nil)), all, k.set)
				require.NoError(t, err)
				require.Equal(t, "https://as", c.Issuer)
				require.Equal(t, "u", c.Subject)
				require.Equal(t, []string{"https://api"}, c.Audience)
			}
		})
		t.Run("AT-04 RFC 9068 §4 "+alg+": a changed payload, header or signature is refused", func(t *testing.T) {
			token := signed(t, alg, "", signer.key, payload(nil))
			parts := strings.Split(token, ".")
			parts[1] = b64([]byte(payload(map[string]any{"sub": "admin"})))
			_, err := verify(t, strings.Join(parts, "."), all, k.set)
			require.ErrorIs(t, err, BadSignature)
			parts = strings.Split(token, ".")
			parts[2] = strings.Repeat("A", len(parts[2]))
			_, err = verify(t, strings.Join(parts, "."), all, k.set)
			require.ErrorIs(t, err, BadSignature)
		})
	}
	t.Run("RFC 9864 §2.2 Ed25519 is EdDSA by its new name", func(t *testing.T) {
		sign := func(input []byte) []byte { return ed25519.Sign(k.ed, input) }
		_, err := verify(t, compact(`{"alg":"Ed25519","kid":"ed"}`, payload(nil), sign), all, k.set)
		require.NoError(t, err)
		_, err = verify(t, compact(`{"alg":"Ed25519","kid":"ed"}`, payload(nil), raw(make([]byte, 64))), all, k.set)
		require.ErrorIs(t, err, BadSignature)
	})
}

// TestAttacks is the table of what must not get in. Each token is refused, most before any key is
// asked for.
func TestAttacks(t *testing.T) {
	k := keys()
	good := es256(k.p256)
	der, err := x509.MarshalPKIXPublicKey(k.rsa.Public())
	require.NoError(t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	asJWK := []byte(jwkOf(t, k.rsa.Public(), "rsa", nil))
	foreign := jwkOf(t, k.foreign.Public(), "p256", nil)
	jku, connections := listener(t)
	token := signed(t, "ES256", "p256", k.p256, payload(nil))
	parts := strings.Split(token, ".")
	type row struct {
		name, token string
		want        TokenError
	}
	rows := []row{
		{"AT-14 empty", "", Malformed},
		{"AT-14 cut before the signature", parts[0] + "." + parts[1], Malformed},
		{"AT-14 an empty signature", parts[0] + "." + parts[1] + ".", Malformed},
		{"AT-14 an empty payload", parts[0] + ".." + parts[2], Malformed},
		{"AT-14 a cut signature", compact(`{"alg":"ES256","kid":"p256"}`, payload(nil), func(in []byte) []byte { return good(in)[:63] }), BadSignature},
		{"AT-14 a longer signature", token + "AAAA", BadSignature},
		{"AT-14 V-20 ES256 with r = s = 0", compact(`{"alg":"ES256","kid":"p256"}`, payload(nil), raw(make([]byte, 64))), BadSignature},
		{"AT-14 V-20 ES256 with s = 0", compact(`{"alg":"ES256","kid":"p256"}`, payload(nil), raw(append(make([]byte, 31), append([]byte{1}, make([]byte, 32)...)...))), BadSignature},
		{"AT-14 V-20 ES512 with r = s = 0", compact(`{"alg":"ES512","kid":"p521"}`, payload(nil), raw(make([]byte, 132))), BadSignature},
		{"AT-12 V-19 HS256 by the public key in PEM", compact(`{"alg":"HS256","kid":"rsa"}`, payload(nil), hs256(asPEM)), BadAlgorithm},
		{"AT-12 V-19 HS256 by the public key in DER", compact(`{"alg":"HS256","kid":"rsa"}`, payload(nil), hs256(der)), BadAlgorithm},
		{"AT-12 V-19 HS256 by the JWK", compact(`{"alg":"HS256","kid":"rsa"}`, payload(nil), hs256(asJWK)), BadAlgorithm},
		{"AT-12 V-19 HS256 by nothing", compact(`{"alg":"HS256"}`, payload(nil), hs256(nil)), BadAlgorithm},
		{"RFC 8725 §3.1 RS256 said of an EC key", compact(`{"alg":"RS256","kid":"p256"}`, payload(nil), good), NoKey},
		{"RFC 8725 §3.1 ES384 said of a P-256 key", compact(`{"alg":"ES384","kid":"p256"}`, payload(nil), good), BadSignature},
		{"RFC 8725 §3.1 EdDSA said of an EC key", compact(`{"alg":"EdDSA","kid":"p256"}`, payload(nil), good), NoKey},
		{"RFC 8725 §3.1 alg in another case", compact(`{"alg":"es256","kid":"p256"}`, payload(nil), good), BadAlgorithm},
		{"no alg", compact(`{"kid":"p256"}`, payload(nil), good), BadAlgorithm},
		{"alg null", compact(`{"alg":null,"kid":"p256"}`, payload(nil), good), Malformed},
		{"alg a list", compact(`{"alg":["ES256"],"kid":"p256"}`, payload(nil), good), Malformed},
		{"AT-13 V-17 a foreign key under our kid", compact(`{"alg":"ES256","kid":"p256"}`, payload(nil), es256(k.foreign)), BadSignature},
		{"AT-13 V-17 a foreign key in jwk", compact(`{"alg":"ES256","jwk":`+foreign+`}`, payload(nil), es256(k.foreign)), BadSignature},
		{"AT-13 V-17 a foreign key in jwk under our kid", compact(`{"alg":"ES256","kid":"p256","jwk":`+foreign+`}`, payload(nil), es256(k.foreign)), BadSignature},
		{"AT-13 S-49 jku", compact(`{"alg":"ES256","jku":"`+jku+`"}`, payload(nil), es256(k.foreign)), BadSignature},
		{"AT-13 S-49 jku under a kid of theirs", compact(`{"alg":"ES256","kid":"evil","jku":"`+jku+`"}`, payload(nil), es256(k.foreign)), NoKey},
		{"AT-13 S-49 x5u", compact(`{"alg":"ES256","x5u":"`+jku+`"}`, payload(nil), es256(k.foreign)), BadSignature},
		{"AT-13 S-49 x5c that is none", compact(`{"alg":"ES256","x5c":["AAAA"]}`, payload(nil), es256(k.foreign)), Malformed},
		{"S-49 kid a URL", compact(`{"alg":"ES256","kid":"`+jku+`"}`, payload(nil), es256(k.foreign)), NoKey},
		{"S-49 kid a path", compact(`{"alg":"ES256","kid":"../../../../dev/null"}`, payload(nil), es256(k.foreign)), NoKey},
		{"S-49 kid with SQL", compact(`{"alg":"ES256","kid":"' OR 1=1 --"}`, payload(nil), es256(k.foreign)), NoKey},
		{"S-49 kid a number", compact(`{"alg":"ES256","kid":1}`, payload(nil), good), Malformed},
		{"AT-21 V-18 crit", compact(`{"alg":"ES256","kid":"p256","crit":["x"],"x":1}`, payload(nil), good), Critical},
		{"AT-21 V-18 an empty crit", compact(`{"alg":"ES256","kid":"p256","crit":[]}`, payload(nil), good), Critical},
		{"AT-21 V-18 crit null", compact(`{"alg":"ES256","kid":"p256","crit":null}`, payload(nil), good), Critical},
		{"AT-21 RFC 7797 §7 b64", compact(`{"alg":"ES256","kid":"p256","b64":false}`, payload(nil), good), Critical},
		{"AT-21 RFC 7797 §7 crit b64", compact(`{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`, payload(nil), good), Critical},
		{"V-21 20,000 dots", strings.Repeat(".", 20_000), TooLong},
		{"V-21 8,000 dots", strings.Repeat(".", 8_000), Malformed},
		{"CJ-13 1 MB", strings.Repeat("a", 1<<20), TooLong},
		{"V-22 five parts, a JWE", b64([]byte(`{"alg":"dir","enc":"A128GCM"}`)) + "..AAAA.AAAA.AAAA", Malformed},
		{"V-22 five parts with an allowed alg", token + ".AAAA.AAAA", Malformed},
		{"V-22 three parts, a JWE's header", compact(`{"alg":"A128KW","enc":"A128GCM"}`, payload(nil), good), BadAlgorithm},
		{"RFC 7515 §2 padding", parts[0] + "=." + parts[1] + "." + parts[2], Malformed},
		{"RFC 7515 §2 a line break", parts[0] + "." + parts[1] + ".\n" + parts[2], Malformed},
		{"RFC 7515 §2 a space", parts[0] + "." + parts[1] + ". " + parts[2], Malformed},
		{"RFC 7515 §2 the other alphabet", parts[0] + "." + parts[1] + ".+/" + parts[2][2:], Malformed},
		{"RFC 7515 §2 bits left over", parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + "_", Malformed},
		{"RFC 7515 §4 alg twice", compact(`{"alg":"none","alg":"ES256","kid":"p256"}`, payload(nil), good), Malformed},
		{"RFC 7515 §4 kid twice", compact(`{"alg":"ES256","kid":"p256","kid":"p256"}`, payload(nil), good), Malformed},
		{"RFC 7515 §4 ALG is not alg", compact(`{"ALG":"ES256","kid":"p256"}`, payload(nil), good), BadAlgorithm},
		{"a header that is a list", compact(`["ES256"]`, payload(nil), good), Malformed},
		{"a header with more behind it", compact(`{"alg":"ES256"}{}`, payload(nil), good), Malformed},
		{"a header that is not UTF-8", compact("{\"alg\":\"ES256\",\"kid\":\"\xff\"}", payload(nil), good), Malformed},
		{"RFC 7519 §4 sub twice", compact(`{"alg":"ES256"}`, `{"sub":"u","sub":"admin"}`, good), Malformed},
		{"a payload that is no object", compact(`{"alg":"ES256"}`, `"u"`, good), Malformed},
		{"V-23 exp a string", compact(`{"alg":"ES256"}`, payload(map[string]any{"exp": "4000000000"}), good), Malformed},
		{"V-23 exp beyond all dates", compact(`{"alg":"ES256"}`, `{"exp":1e300}`, good), Malformed},
		{"V-23 exp negative", compact(`{"alg":"ES256"}`, `{"exp":-1}`, good), Malformed},
		{"V-23 exp null", compact(`{"alg":"ES256"}`, `{"exp":null}`, good), Malformed},
		{"V-23 aud with null", compact(`{"alg":"ES256"}`, `{"aud":[null]}`, good), Malformed},
		{"V-23 aud a number", compact(`{"alg":"ES256"}`, `{"aud":1}`, good), Malformed},
		{"V-23 iss a list", compact(`{"alg":"ES256"}`, `{"iss":["https://as"]}`, good), Malformed},
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
		rows = append(rows, row{"AT-11 alg " + none, compact(`{"alg":"`+none+`"}`, payload(nil), raw([]byte("x"))), BadAlgorithm},
			row{"AT-11 without a signature, alg " + none, b64([]byte(`{"alg":"`+none+`"}`)) + "." + parts[1] + ".", BadAlgorithm})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := verify(t, r.token, all, k.set)
			require.ErrorIs(t, err, r.want)
		})
	}
	t.Run("S-49 nobody called the jku host", func(t *testing.T) { require.Zero(t, connections.Load()) })
	t.Run("AT-13 V-17 jwk, jku, x5u beside a good signature change nothing", func(t *testing.T) {
		_, err := verify(t, compact(`{"alg":"ES256","kid":"p256","jku":"`+jku+`","x5u":"`+jku+`","jwk":`+foreign+`}`, payload(nil), good), all, k.set)
		require.NoError(t, err)
		require.Zero(t, connections.Load())
	})
	t.Run("AT-11 none is refused even where the caller allows it", func(t *testing.T) {
		for _, alg := range []string{"none", "HS256"} {
			_, err := Parse(compact(`{"alg":"`+alg+`"}`, payload(nil), hs256(nil)), Profile{Algorithms: []string{alg}})
			require.ErrorIs(t, err, BadAlgorithm)
		}
	})
	t.Run("RFC 8725 §3.1 no algorithm allowed: nothing passes", func(t *testing.T) {
		_, err := Parse(token, Profile{})
		require.ErrorIs(t, err, BadAlgorithm)
	})
}

// listener counts the connections that it gets.
func listener(t *testing.T) (url string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	connections = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return "http://" + l.Addr().String() + "/jwks", connections
}

func TestType(t *testing.T) {
	k := keys()
	with := func(typ string) string {
		return compact(`{"alg":"ES256"`+typ+`}`, payload(nil), es256(k.p256))
	}
	t.Run("AT-05 AT-15 RFC 8725 §3.11 typ is compared without case and without application/", func(t *testing.T) {
		profile := Profile{Algorithms: Algorithms(), Types: []string{"at+jwt"}}
		for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/at+JWT"} {
			_, err := Parse(with(`,"typ":"`+typ+`"`), profile)
			require.NoError(t, err, typ)
		}
		for _, typ := range []string{"", `,"typ":""`, `,"typ":"JWT"`, `,"typ":"token-introspection+jwt"`, `,"typ":"application/x/at+jwt"`, `,"typ":"at+jwt "`} {
			_, err := Parse(with(typ), profile)
			require.ErrorIs(t, err, BadType, typ)
		}
	})
	t.Run("an absent typ passes where it is allowed", func(t *testing.T) {
		_, err := Parse(with(""), Profile{Algorithms: Algorithms(), Types: []string{"", "JWT"}})
		require.NoError(t, err)
	})
}

func TestMemory(t *testing.T) {
	t.Run("V-21 CVE-2025-27144 a token of dots costs no memory", func(t *testing.T) {
		dots := strings.Repeat(".", 8<<10)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 1000 {
			_, err := Parse(dots, all)
			require.ErrorIs(t, err, Malformed)
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10<<20))
	})
}

func TestClaims(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	for name, row := range map[string]struct {
		claims Claims
		skew   time.Duration
		want   error
	}{
		"AT-16 exp - 61 s is refused":                      {Claims{Expires: at(-61)}, time.Minute, Expired},
		"AT-16 exp - 60 s is refused":                      {Claims{Expires: at(-60)}, time.Minute, Expired},
		"AT-16 exp - 59 s passes with the skew":            {Claims{Expires: at(-59)}, time.Minute, nil},
		"AT-16 exp - 61 s is refused whatever skew is set": {Claims{Expires: at(-61)}, time.Hour, Expired},
		"AT-16 exp is now":                                 {Claims{Expires: at(0)}, 0, Expired},
		"AT-16 CJ-05 no exp":                               {Claims{}, time.Minute, NoExpiry},
		"AT-16 nbf in 61 s":                                {Claims{Expires: at(90), NotBefore: at(61)}, time.Minute, NotYet},
		"AT-16 nbf in 60 s":                                {Claims{Expires: at(90), NotBefore: at(60)}, time.Minute, nil},
		"CJ-06 iat in 61 s":                                {Claims{Expires: at(90), IssuedAt: at(61)}, time.Minute, NotYet},
		"a negative skew is none":                          {Claims{Expires: at(1)}, -time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, row.want, row.claims.CheckTimes(now, row.skew)) })
	}
	t.Run("AT-03 V-23 aud: one text or a list, and an absent one names nobody", func(t *testing.T) {
		require.NoError(t, (&Claims{Audience: []string{"a", "b"}}).CheckAudience("b"))
		for _, c := range []*Claims{{}, {Audience: []string{"a"}}, {Audience: []string{""}}} {
			require.ErrorIs(t, c.CheckAudience("b"), BadAudience)
			require.ErrorIs(t, c.CheckAudience(""), BadAudience)
		}
	})
	t.Run("CJ-04 V-16 aud that names nobody else", func(t *testing.T) {
		require.NoError(t, (&Claims{Audience: []string{"a"}}).CheckOnlyAudience("b", "a"))
		require.NoError(t, (&Claims{Audience: []string{"a", "b"}}).CheckOnlyAudience("b", "a"))
		require.ErrorIs(t, (&Claims{Audience: []string{"a", "b", "a"}}).CheckOnlyAudience("b", "a"), BadAudience)
		for _, c := range []*Claims{{}, {Audience: []string{"a", "evil"}}, {Audience: []string{"a", "a"}}, {Audience: []string{""}}, {Audience: []string{"a/"}}} {
			require.ErrorIs(t, c.CheckOnlyAudience("a", ""), BadAudience)
		}
	})
	t.Run("RFC 7519 §4.1.1 iss byte by byte", func(t *testing.T) {
		require.NoError(t, (&Claims{Issuer: "https://as"}).CheckIssuer("https://as"))
		for _, iss := range []string{"", "https://as/", "HTTPS://as"} {
			require.ErrorIs(t, (&Claims{Issuer: iss}).CheckIssuer("https://as"), BadIssuer)
		}
		require.ErrorIs(t, (&Claims{}).CheckIssuer(""), BadIssuer)
	})
}

func TestVerify(t *testing.T) {
	t.Run("a source that cannot know is an error and no refusal", func(t *testing.T) {
		var refusal TokenError
		_, err := verify(t, signed(t, "ES256", "x", keys().p256, payload(nil)), all, failing{})
		require.Error(t, err)
		require.False(t, errors.As(err, &refusal))
	})
	t.Run("the decoy spends and says nothing, for every algorithm", func(t *testing.T) {
		d, err := NewDecoy()
		require.NoError(t, err)
		for _, alg := range Algorithms() {
			for _, size := range []int{64, 96, 132, 256, 384, 512, 3} {
				u, err := Parse(compact(`{"alg":"`+alg+`"}`, "{}", raw([]byte(strings.Repeat("x", size)))), all)
				require.NoError(t, err)
				if require.NotPanics(t, func() { d.Spend(u) }); !u.nullSignature() {
					require.True(t, (&publicKey{public: d.keyFor(u)}).fits(alg), alg)
				}
			}
		}
	})
}

type failing struct{}

func (failing) Keys(context.Context, string) (*KeySet, error) {
	return nil, errors.New("connection refused")
}

func FuzzParse(f *testing.F) {
	k := keys()
	for _, seed := range []string{"", "..", "a.b.c", compact(`{"alg":"ES256"}`, payload(nil), es256(k.p256)), compact(`{"alg":"none"}`, "{}", raw(nil)),
		compact(`{"alg":"ES256","crit":["b64"],"b64":false}`, "{}", raw([]byte("x"))), compact(`{"alg":"ES256","x5c":["MIIB"]}`, `{"aud":["a"],"exp":1e3}`, raw([]byte("x"))),
		b64([]byte(`{"alg":"dir","enc":"A128GCM"}`)) + "....", strings.Repeat(".", 99)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		u, err := Parse(token, all)
		if err != nil {
			var refusal TokenError
			require.ErrorAs(t, err, &refusal)
			return
		}
		require.Contains(t, Algorithms(), u.Header().Algorithm)
		_, err = jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(u.Header().Algorithm)})
		require.NoError(t, err, "go-jose refuses nothing that Parse accepts")
		if _, err := u.Verify(t.Context(), k.set); err != nil {
			require.True(t, errors.Is(err, NoKey) || errors.Is(err, BadSignature))
		}
	})
}
