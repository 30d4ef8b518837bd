package assertions

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jwt"
)

func TestPrivateKey(t *testing.T) {
	w, k := newWorld(t), keys()
	now := w.clock.Unix()
	t.Run("CJ-01 CJ-07 a registered key proves the client, with client_id and without", func(t *testing.T) {
		for _, clientID := range []string{"", "billing"} {
			proof, err := w.Verify(t.Context(), w.assertion(t, nil), clientID, w.find)
			require.NoError(t, err)
			require.Equal(t, Proof{"billing", "key:k1"}, proof)
		}
		require.Empty(t, w.verify(t, sign(t, "RS256", "r1", k.rsa, w.claims(nil)), ""))
		require.Empty(t, w.verify(t, sign(t, "EdDSA", "e1", k.ed, w.claims(nil)), ""))
	})
	for _, typ := range []string{"JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"} {
		t.Run("V-16 rfc7523bis typ "+typ, func(t *testing.T) {
			require.Empty(t, w.verify(t, forge(`{"alg":"ES256","kid":"k1","typ":"`+typ+`"}`, w.claims(nil), es256(k.client)), ""))
		})
	}
	older := func(aud any) map[string]any { return map[string]any{"iss": "older", "sub": "older", "aud": aud} }
	good := map[string]map[string]any{
		"CJ-04 aud a list of our issuer alone":                                               {"aud": []string{us}},
		"CJ-04 a client with the switch: token endpoint":                                     older(endpoint),
		"CJ-04 a client with the switch: [token endpoint]":                                   older([]string{endpoint}),
		"CJ-04 a client with the switch: our issuer":                                         older(us),
		"CJ-04 a client with the switch: [issuer, token endpoint], as openid-client 5 sends": older([]string{us, endpoint}),
		"CJ-04 a client with the switch: [token endpoint, issuer]":                           older([]string{endpoint, us}),
		"CJ-05 exp in 5 minutes and the skew":                                                {"exp": now + 360},
		"CJ-05 exp - 59 s, the skew":                                                         {"exp": now - 59},
		"CJ-06 nbf, iat ahead by the skew":                                                   {"nbf": now + 60, "iat": now + 60},
		"CJ-06 no iat, no nbf":                                                               {"iat": nil},
		"CJ-08 a jti of 255 bytes":                                                           {"jti": strings.Repeat("j", 255)},
	}
	for name, change := range good {
		t.Run(name, func(t *testing.T) { require.Empty(t, w.verify(t, w.assertion(t, change), "")) })
	}
	type row struct {
		change map[string]any
		want   RejectionReason
	}
	for name, r := range map[string]row{
		"CJ-02 iss is another":                                   {map[string]any{"iss": "older"}, ReasonIssuer},
		"CJ-02 sub is another":                                   {map[string]any{"sub": "older"}, ReasonIssuer},
		"CJ-02 no iss":                                           {map[string]any{"iss": nil}, ReasonIssuer},
		"CJ-02 neither":                                          {map[string]any{"iss": nil, "sub": nil}, ReasonIssuer},
		"CJ-02 iss an untrusted platform":                        {map[string]any{"iss": "https://evil"}, ReasonIssuer},
		"CJ-04 V-16 CVE-2025-27370 [issuer, evil]":               {map[string]any{"aud": []string{us, "https://evil"}}, ReasonAudience},
		"CJ-04 V-16 [evil, issuer]":                              {map[string]any{"aud": []string{"https://evil", us}}, ReasonAudience},
		"CJ-04 V-16 [issuer, issuer]":                            {map[string]any{"aud": []string{us, us}}, ReasonAudience},
		"CJ-04 V-16 [issuer, token endpoint] without the switch": {map[string]any{"aud": []string{us, endpoint}}, ReasonAudience},
		"CJ-04 V-16 [issuer, token endpoint, evil]":              {older([]string{us, endpoint, "https://evil"}), ReasonAudience},
		"CJ-04 V-16 [token endpoint, evil]":                      {older([]string{endpoint, "https://evil"}), ReasonAudience},
		"CJ-04 the token endpoint without the switch":            {map[string]any{"aud": endpoint}, ReasonAudience},
		"CJ-04 our issuer with a slash":                          {map[string]any{"aud": us + "/"}, ReasonAudience},
		"CJ-04 another":                                          {map[string]any{"aud": "https://evil"}, ReasonAudience},
		"CJ-04 the switch lets no other URL in":                  {older(endpoint + "/x"), ReasonAudience},
		"CJ-04 none":                                             {map[string]any{"aud": nil}, ReasonAudience},
		"CJ-04 an empty one":                                     {map[string]any{"aud": ""}, ReasonAudience},
		"CJ-04 an empty list":                                    {map[string]any{"aud": []string{}}, ReasonAudience},
		"CJ-05 no exp":                                           {map[string]any{"exp": nil}, ReasonNoExpiry},
		"CJ-05 V-23 exp a string":                                {map[string]any{"exp": "4000000000"}, ReasonMalformed},
		"CJ-05 exp - 60 s":                                       {map[string]any{"exp": now - 60}, ReasonExpired},
		"CJ-05 exp - 61 s":                                       {map[string]any{"exp": now - 61}, ReasonExpired},
		"CJ-05 exp in 5 minutes, the skew and a second":          {map[string]any{"exp": now + 361}, ReasonTooLong},
		"CJ-05 exp in a year":                                    {map[string]any{"exp": now + 365*86400}, ReasonTooLong},
		"CJ-06 nbf ahead":                                        {map[string]any{"nbf": now + 61}, ReasonNotYet},
		"CJ-06 iat ahead":                                        {map[string]any{"iat": now + 61}, ReasonNotYet},
		"CJ-06 iat no number":                                    {map[string]any{"iat": true}, ReasonMalformed},
		"CJ-08 no jti":                                           {map[string]any{"jti": nil}, ReasonNoJTI},
		"CJ-08 an empty jti":                                     {map[string]any{"jti": ""}, ReasonNoJTI},
		"CJ-08 a jti of 256 bytes":                               {map[string]any{"jti": strings.Repeat("j", 256)}, ReasonNoJTI},
		"CJ-08 a jti that is a number":                           {map[string]any{"jti": 1}, ReasonMalformed},
		"CJ-10 an unknown client":                                {map[string]any{"iss": "nobody", "sub": "nobody"}, ReasonUnknown},
		"CJ-07 a client without keys":                            {map[string]any{"iss": "bare", "sub": "bare"}, ReasonNoKeys},
		"CJ-07 a workload's client does not sign for itself":     {map[string]any{"iss": "pod", "sub": "pod"}, ReasonNoKeys},
	} {
		t.Run(name+" is refused", func(t *testing.T) { require.Equal(t, r.want, w.verify(t, w.assertion(t, r.change), "")) })
	}
	t.Run("CJ-05 the longest life is configurable, and the refusal says it to whom it is", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.MaxTTL = time.Hour })
		require.Empty(t, w.verify(t, w.assertion(t, map[string]any{"exp": now + 3600}), ""))
		for signer, want := range map[*ecdsa.PrivateKey]string{
			k.client:  "the exp of the assertion is more than 1h0m0s ahead",
			k.foreign: "client authentication failed", // nobody who has no key is told anything
		} {
			_, err := w.Verify(t.Context(), sign(t, "ES256", "k1", signer, w.claims(map[string]any{"exp": now + 3700})), "", w.find)
			require.EqualError(t, err, want)
		}
	})
	t.Run("CJ-03 RFC 7521 §4.2 client_id is another", func(t *testing.T) {
		require.Equal(t, ReasonClientID, w.verify(t, w.assertion(t, nil), "older"))
	})
	t.Run("CJ-07 RFC 8725 §3.1 an algorithm that the client did not register", func(t *testing.T) {
		c := w.claims(map[string]any{"iss": "es256", "sub": "es256"})
		require.Equal(t, ReasonAlgorithm, w.verify(t, sign(t, "RS256", "r1", k.rsa, c), ""))
		require.Empty(t, w.verify(t, sign(t, "ES256", "k1", k.client, c), ""))
	})
	for _, typ := range []string{"at+jwt", "JOSE", "logout+jwt", "token-introspection+jwt", "dpop+jwt"} {
		t.Run("AT-15 RFC 8725 §3.11 typ "+typ+" is no assertion", func(t *testing.T) {
			require.Equal(t, ReasonType, w.verify(t, forge(`{"alg":"ES256","kid":"k1","typ":"`+typ+`"}`, w.claims(nil), es256(k.client)), ""))
		})
	}
	t.Run("a registry that cannot know is an error and no refusal", func(t *testing.T) {
		_, err := w.Verify(t.Context(), w.assertion(t, nil), "", func(context.Context, string) (Registered, error) { return Registered{}, errDown })
		require.ErrorIs(t, err, errDown)
		require.NotContains(t, err.Error(), "authentication")
	})
}

func TestAttacks(t *testing.T) {
	w, k := newWorld(t), keys()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	var connections atomic.Int32
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
	evil := "http://" + l.Addr().String() + "/jwks"
	der, err := x509.MarshalPKIXPublicKey(k.rsa.Public())
	require.NoError(t, err)
	jwk, err := jose.JSONWebKey{Key: k.foreign.Public(), KeyID: "k1"}.MarshalJSON()
	require.NoError(t, err)
	zero := func([]byte) []byte { return make([]byte, 64) }
	forged := func(header string, s signer) string { return forge(header, w.claims(nil), s) }
	genuine := w.assertion(t, nil)
	parts := strings.Split(genuine, ".")
	type row struct {
		assertion string
		want      RejectionReason
	}
	rows := map[string]row{
		"V-19 HS256 by the public key in PEM":        {forged(`{"alg":"HS256","kid":"r1"}`, hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), ReasonAlgorithm},
		"V-19 HS256 by the public key in DER":        {forged(`{"alg":"HS256","kid":"r1"}`, hs256(der)), ReasonAlgorithm},
		"CJ-07 a foreign key under a registered kid": {forged(`{"alg":"ES256","kid":"k1"}`, es256(k.foreign)), ReasonSignature},
		"CJ-07 a foreign key without a kid":          {forged(`{"alg":"ES256"}`, es256(k.foreign)), ReasonSignature},
		"V-17 jwk":                                   {forged(`{"alg":"ES256","kid":"k1","jwk":`+string(jwk)+`}`, es256(k.foreign)), ReasonSignature},
		"S-49 jku":                                   {forged(`{"alg":"ES256","kid":"x","jku":"`+evil+`"}`, es256(k.foreign)), ReasonUnknownKey},
		"S-49 x5u":                                   {forged(`{"alg":"ES256","kid":"x","x5u":"`+evil+`"}`, es256(k.foreign)), ReasonUnknownKey},
		"S-49 iss a URL of theirs":                   {forge(`{"alg":"ES256"}`, w.claims(map[string]any{"iss": evil, "sub": evil}), es256(k.foreign)), ReasonUnknown},
		"S-49 kid a URL":                             {forged(`{"alg":"ES256","kid":"`+evil+`"}`, es256(k.foreign)), ReasonUnknownKey},
		"S-49 kid a path":                            {forged(`{"alg":"ES256","kid":"../../dev/null"}`, es256(k.foreign)), ReasonUnknownKey},
		"CJ-11 V-18 crit":                            {forged(`{"alg":"ES256","kid":"k1","crit":["exp"]}`, es256(k.client)), ReasonCritical},
		"V-20 r = s = 0":                             {forged(`{"alg":"ES256","kid":"k1"}`, zero), ReasonSignature},
		"CJ-13 V-21 20,000 dots":                     {strings.Repeat(".", 20_000), ReasonMalformed},
		"CJ-13 V-21 100,000 dots":                    {strings.Repeat(".", 100_000), ReasonMalformed},
		"CJ-13 1 MB":                                 {strings.Repeat("a", 1<<20), ReasonMalformed},
		"CJ-13 1 MB of a token":                      {genuine + strings.Repeat("A", 1<<20), ReasonMalformed},
		"V-22 five parts":                            {genuine + ".AAAA.AAAA", ReasonMalformed},
		"V-22 five parts, an empty key":              {b64(`{"alg":"A128KW","enc":"A128GCM"}`) + "..AAAA.AAAA.AAAA", ReasonMalformed},
		"CJ-01 two JWTs":                             {genuine + " " + genuine, ReasonMalformed},
		"CJ-01 none":                                 {"", ReasonMalformed},
		"RFC 8725 §3.1 RS256 by the EC key":          {forged(`{"alg":"RS256","kid":"k1"}`, es256(k.client)), ReasonUnknownKey},
		"AT-04 a changed payload":                    {parts[0] + "." + b64(`{"iss":"older","sub":"older","aud":"`+us+`"}`) + "." + parts[2], ReasonSignature},
		"RFC 7519 §4 sub twice":                      {parts[0] + "." + b64(`{"iss":"billing","sub":"older","sub":"billing"}`) + "." + parts[2], ReasonMalformed},
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
		rows["AT-11 alg "+none] = row{forged(`{"alg":"`+none+`"}`, zero), ReasonAlgorithm}
		rows["AT-11 without a signature, alg "+none] = row{b64(`{"alg":"`+none+`"}`) + "." + parts[1] + ".", ReasonAlgorithm}
	}
	for name, r := range rows {
		t.Run(name+" is refused", func(t *testing.T) { require.Equal(t, r.want, w.verify(t, r.assertion, "")) })
	}
	t.Run("S-49 nobody called", func(t *testing.T) { require.Zero(t, connections.Load()) })
	t.Run("CJ-08 no refusal used up the genuine one", func(t *testing.T) {
		require.Empty(t, w.memory.ends)
		require.Empty(t, w.verify(t, genuine, ""))
	})
}

func TestSameWork(t *testing.T) {
	k := keys()
	t.Run("CJ-10 whoever is refused has cost one verification", func(t *testing.T) {
		for name, claims := range map[string]map[string]any{"unknown": {"iss": "nobody", "sub": "nobody"}, "no keys": {"iss": "bare", "sub": "bare"}} {
			w := newWorld(t)
			require.NotEmpty(t, w.verify(t, w.assertion(t, claims), ""))
			require.Equal(t, 1, w.spent, name)
		}
		w := newWorld(t)
		require.Equal(t, ReasonUnknownKey, w.verify(t, sign(t, "ES256", "x", k.client, w.claims(nil)), ""))
		require.Equal(t, 1, w.spent, "an unknown kid")
		c := w.claims(map[string]any{"iss": "es256", "sub": "es256"})
		require.Equal(t, ReasonAlgorithm, w.verify(t, sign(t, "RS256", "r1", k.rsa, c), ""))
		require.Equal(t, 2, w.spent, "another algorithm")
		require.Equal(t, ReasonSignature, w.verify(t, sign(t, "ES256", "k1", k.foreign, w.claims(nil)), ""))
		require.Equal(t, 2, w.spent, "a wrong signature was a verification itself")
		require.Equal(t, ReasonSubject, w.verify(t, sign(t, "ES256", "p", k.platform, w.workload(map[string]any{"sub": "x"})), "pod"))
		require.Equal(t, 3, w.spent, "another subject")
	})
}

func TestOnce(t *testing.T) {
	t.Run("CJ-08 V-14 S-52 32 at once on two nodes: one success", func(t *testing.T) {
		w := newWorld(t)
		other := newWorld(t, func(c *Config) { c.Once, c.Now = w.memory.once, w.memory.now })
		assertion := w.assertion(t, nil)
		var ok, replayed atomic.Int32
		var wg sync.WaitGroup
		for i := range 32 {
			v := []*world{w, other}[i%2]
			wg.Go(func() {
				_, err := v.Verify(t.Context(), assertion, "", v.find)
				var refusal *Rejection
				if err == nil {
					ok.Add(1)
				} else if require.ErrorAs(t, err, &refusal); refusal.Reason == ReasonReplayed {
					replayed.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, ok.Load())
		require.EqualValues(t, 31, replayed.Load())
	})
	t.Run("CJ-08 V-15 a replay is refused until exp + skew, by replay or by exp", func(t *testing.T) {
		w := newWorld(t)
		assertion := w.assertion(t, nil) // exp in 60 s
		require.Empty(t, w.verify(t, assertion, ""))
		start := w.clock
		for after, want := range map[time.Duration]RejectionReason{0: ReasonReplayed, 59 * time.Second: ReasonReplayed, 119 * time.Second: ReasonReplayed, 120 * time.Second: ReasonExpired, time.Hour: ReasonExpired} {
			w.clock = start.Add(after)
			require.Equal(t, want, w.verify(t, assertion, ""), after)
		}
	})
	t.Run("CJ-08 V-15 a node whose clock lags by a minute refuses it as long as it would accept it", func(t *testing.T) {
		w := newWorld(t)
		behind := newWorld(t, func(c *Config) {
			c.Once, c.Now = w.memory.once, func() time.Time { return w.clock.Add(-time.Minute) }
		})
		assertion := w.assertion(t, nil)
		require.Empty(t, w.verify(t, assertion, ""))
		w.clock = w.clock.Add(179 * time.Second)
		require.Equal(t, ReasonReplayed, behind.verify(t, assertion, ""))
		w.clock = w.clock.Add(time.Second)
		require.Equal(t, ReasonExpired, behind.verify(t, assertion, ""))
	})
	t.Run("CJ-08 a jti is remembered at most 8 minutes and a second", func(t *testing.T) {
		w := newWorld(t)
		require.Empty(t, w.verify(t, w.assertion(t, map[string]any{"exp": w.clock.Unix() + 360}), ""))
		require.LessOrEqual(t, w.memory.ttls[0], 8*time.Minute+time.Second)
	})
	t.Run("CJ-08 per client: two clients may choose the same jti", func(t *testing.T) {
		w := newWorld(t)
		require.Empty(t, w.verify(t, w.assertion(t, map[string]any{"jti": "1"}), ""))
		require.Empty(t, w.verify(t, w.assertion(t, map[string]any{"jti": "1", "iss": "older", "sub": "older"}), ""))
		require.NotEqual(t, onceKey("a", "bc"), onceKey("ab", "c"))
		require.NotEqual(t, onceKey("a", "j"), onceKey("b", "j"))
		require.Len(t, onceKey("a", strings.Repeat("j", 255)), 43)
	})
	t.Run("CJ-08 a memory that cannot know is an error: neither in nor refused", func(t *testing.T) {
		w := newWorld(t)
		w.memory.err = errDown
		assertion := w.assertion(t, nil)
		_, err := w.Verify(t.Context(), assertion, "", w.find)
		require.ErrorIs(t, err, errDown)
		require.NotContains(t, err.Error(), assertion)
	})
}

// published is a client's jwks_uri without a network.
type published struct {
	asked atomic.Int32
	set   *jwt.KeySet
	down  atomic.Bool
}

func (p *published) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked.Add(1)
	if p.down.Load() {
		return nil, errDown
	}
	text, err := json.Marshal(p.set)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, err
}

func TestJWKSURI(t *testing.T) {
	k := keys()
	remote := func(t *testing.T) (*world, *published) {
		p := &published{set: setOf(t, jose.JSONWebKey{Key: k.client.Public(), KeyID: "k1"})}
		f := jwt.NewFetcher(jwt.Options{Transport: p, Timeout: time.Minute})
		t.Cleanup(f.Close)
		w := newWorld(t, func(c *Config) { c.Remote = f })
		w.clients["billing"] = Registered{ID: "billing", JWKSURI: "https://client.example.com/jwks"}
		return w, p
	}
	t.Run("CJ-12 keys come from jwks_uri", func(t *testing.T) {
		w, _ := remote(t)
		require.Empty(t, w.verify(t, w.assertion(t, nil), ""))
	})
	t.Run("CJ-12 S-50 1,000 unknown kids: one fetch", func(t *testing.T) {
		w, p := remote(t)
		for range 1000 {
			require.Equal(t, ReasonUnknownKey, w.verify(t, forge(`{"alg":"ES256","kid":"x"}`, w.claims(nil), func([]byte) []byte { return []byte(strings.Repeat("x", 64)) }), ""))
		}
		require.EqualValues(t, 1, p.asked.Load())
	})
	t.Run("CJ-10 CJ-12 a jwks_uri that fails: refused, with the cause for the log", func(t *testing.T) {
		w, p := remote(t)
		p.down.Store(true)
		_, err := w.Verify(t.Context(), w.assertion(t, nil), "", w.find)
		var refusal *Rejection
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, ReasonKeysUnavailable, refusal.Reason)
		require.ErrorIs(t, err, errDown)
	})
	t.Run("who goes away is not refused", func(t *testing.T) {
		w, p := remote(t)
		p.down.Store(true)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := w.Verify(gone, w.assertion(t, nil), "", w.find)
		require.Error(t, err)
		require.NotErrorAs(t, err, new(*Rejection))
	})
	for _, where := range []string{"http://127.0.0.1:1/jwks", "http://169.254.169.254/", "https://169.254.169.254/", "https://localhost/", "https://[::1]/"} {
		t.Run("S-51 a jwks_uri at "+where+" is not fetched", func(t *testing.T) {
			w := newWorld(t)
			w.clients["billing"] = Registered{ID: "billing", JWKSURI: where}
			require.Equal(t, ReasonKeysUnavailable, w.verify(t, w.assertion(t, nil), ""))
		})
	}
}

func FuzzVerify(f *testing.F) {
	k, w := keys(), newWorld(f)
	for _, seed := range [][2]string{{"", ""}, {"..", "billing"}, {forge(`{"alg":"ES256","kid":"k1"}`, w.claims(nil), es256(k.client)), "billing"},
		{forge(`{"alg":"ES256","kid":"p"}`, w.workload(nil), es256(k.platform)), "pod"}, {forge(`{"alg":"none"}`, w.claims(nil), hs256(nil)), ""},
		{forge(`{"alg":"ES256","typ":"at+jwt"}`, w.claims(map[string]any{"aud": []string{us, "https://evil"}}), es256(k.client)), ""},
		{forge(`{"alg":"RS256"}`, w.claims(map[string]any{"iss": "nobody", "sub": "nobody"}), hs256(nil)), ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, assertion, clientID string) {
		id, err := w.Verify(t.Context(), assertion, clientID, w.find)
		if err == nil {
			require.True(t, clientID == "" || clientID == id.ID)
			return
		}
		require.Empty(t, id)
		require.ErrorAs(t, err, new(*Rejection))
	})
}
