package server

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/scopes"
)

// prover is a client's key that makes proofs for a fixture.
type prover struct {
	*dpoptest.Key
	f *fixture
}

func (f *fixture) prover(t *testing.T) prover { return prover{dpoptest.New(t), f} }

// proof is the header of a good proof for the token endpoint, changed.
func (p prover) proof(changes ...dpoptest.Change) string {
	return "DPoP: " + p.Proof(http.MethodPost, p.f.URL+tokP, changes...)
}

// holding are the headers of a request with an access token.
func (p prover) holding(method, path, token string, changes ...dpoptest.Change) []string {
	return []string{"Authorization: DPoP " + token,
		"DPoP: " + p.Proof(method, p.f.URL+path, append([]dpoptest.Change{dpoptest.With(token)}, changes...)...)}
}

const phoneLogin = "grant_type=password&client_id=phone&username=ada&password=correct+horse+battery+staple"

func refreshWith(token string) string {
	return "grant_type=refresh_token&client_id=phone&refresh_token=" + token
}

// startDPoP serves clients that must prove a key beside those of startPhones.
func startDPoP(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	f, _ := startPhones(t, change...)
	f.clients = append(f.clients,
		&clients.Client{Registration: clients.Registration{ID: "proving", Secrets: secrets("s"), Grants: []string{clients.GrantClientCredentials}, DPoPBound: true}, Scope: rules("plain"), DefaultScope: scopes.MustParse("plain")},
		&clients.Client{Registration: clients.Registration{ID: "proving-app", Method: clients.MethodNone, Grants: []string{clients.GrantPassword, clients.GrantRefreshToken}, DPoPBound: true}, Scope: rules("orders:*"), DefaultScope: scopes.MustParse("orders:read")})
	f.reload(t)
	return f
}

func TestDPoP(t *testing.T) {
	require.Equal(t, "correct horse battery staple", adaPassword)
	for format, change := range map[string]func(*Config){"opaque": func(*Config) {}, "jwt": withKeys(t)} {
		t.Run(format, func(t *testing.T) {
			f := startDPoP(t, change)
			testBoundTokens(t, f)
			testProofRefusals(t, f)
			testBoundRefresh(t, f)
			testBoundAtSessions(t, f)
		})
	}
}

func testBoundTokens(t *testing.T, f *fixture) {
	t.Helper()
	p := f.prover(t)
	t.Run("DP-01 DP-03 SB-02 RFC 9449 §5 §6 a proof binds a machine's token, and introspection says to what", func(t *testing.T) {
		r := f.post(t, tokP, app, ask, p.proof())
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "DPoP", r.text("token_type"))
		require.Empty(t, r.header.Get("DPoP-Nonce"))
		answer := f.inspect(t, r.text("access_token")).json
		require.Equal(t, "DPoP", answer["token_type"])
		require.Equal(t, map[string]any{"jkt": p.JKT()}, answer["cnf"])
		if strings.HasPrefix(r.text("access_token"), "ey") {
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(r.text("access_token"), ".")[1])
			require.NoError(t, err)
			require.Contains(t, string(payload), `"cnf":{"jkt":"`+p.JKT()+`"}`)
		}
	})
	t.Run("DP-01 without a proof a token is a bearer token, and nothing says cnf", func(t *testing.T) {
		r := f.post(t, tokP, app, ask)
		require.Equal(t, "Bearer", r.text("token_type"))
		answer := f.inspect(t, r.text("access_token")).json
		require.Equal(t, "Bearer", answer["token_type"])
		require.NotContains(t, answer, "cnf")
	})
	t.Run("DP-01 DP-03 RFC 9449 §5 a login and its refresh; the refresh token says cnf too", func(t *testing.T) {
		r := f.post(t, tokP, "", phoneLogin, p.proof())
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "DPoP", r.text("token_type"))
		require.Equal(t, map[string]any{"jkt": p.JKT()}, f.inspect(t, r.text("access_token")).json["cnf"])
		again := f.post(t, tokP, "", refreshWith(r.text("refresh_token")), p.proof())
		require.Equal(t, 200, again.status, again.body)
		require.Equal(t, "DPoP", again.text("token_type"))
		require.Equal(t, map[string]any{"jkt": p.JKT()}, f.inspect(t, again.text("access_token")).json["cnf"])
	})
	t.Run("RFC 7009 §2.1 a public client revokes its bound token without a proof", func(t *testing.T) {
		r := f.post(t, tokP, "", phoneLogin, p.proof())
		require.Equal(t, 200, f.post(t, revP, "", "client_id=phone&token="+r.text("access_token")).status)
		require.Equal(t, false, f.inspect(t, r.text("access_token")).json["active"])
	})
	t.Run("DP-10 RFC 9449 §5.1 the metadata lists the algorithms of proofs", func(t *testing.T) {
		doc := f.call(t, http.MethodGet, "/.well-known/oauth-authorization-server", "").json
		require.Equal(t, []any{"ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"}, doc["dpop_signing_alg_values_supported"])
	})
	t.Run("DP-10 RFC 9449 §5.2 dpop_bound_access_tokens: a request without a proof is refused, and with one it is not", func(t *testing.T) {
		r := f.post(t, tokP, "proving:s", ask)
		refused(t, r, 400, "invalid_dpop_proof")
		require.Contains(t, r.text("error_description"), "no DPoP proof")
		require.Equal(t, "DPoP", f.post(t, tokP, "proving:s", ask, p.proof()).text("token_type"))
		login := strings.Replace(phoneLogin, "phone", "proving-app", 1)
		refused(t, f.post(t, tokP, "", login), 400, "invalid_dpop_proof")
		require.Equal(t, "DPoP", f.post(t, tokP, "", login, p.proof()).text("token_type"))
		require.Contains(t, f.log.String(), `"reason":"dpop_proof_missing"`)
	})
}

// testProofRefusals is the table of attacks at the token endpoint. No row gets a token.
func testProofRefusals(t *testing.T, f *fixture) {
	t.Helper()
	p, other := f.prover(t), f.prover(t)
	header := func(c dpoptest.Change) []string {
		return []string{"DPoP: " + p.Sign(p.Header(c), map[string]any{"jti": "a", "htm": "POST", "htu": f.URL + tokP, "iat": time.Now().Unix()})}
	}
	claim := func(c dpoptest.Change) []string { return []string{p.proof(c)} }
	used := p.proof()
	require.Equal(t, 200, f.post(t, tokP, app, ask, used).status)
	for name, row := range map[string]struct {
		headers []string
		reason  string
	}{
		"DP-11 RFC 9449 §4.3 two headers":                       {[]string{p.proof(), p.proof()}, "dpop_several_proofs"},
		"DP-02 two proofs in one header":                        {[]string{p.proof() + ", " + strings.TrimPrefix(p.proof(), "DPoP: ")}, "dpop_"},
		"DP-02 an empty header":                                 {[]string{"DPoP: "}, "dpop_malformed"},
		"DP-02 no JWT":                                          {[]string{"DPoP: x"}, "dpop_malformed"},
		"DP-02 a proof of 6 kB":                                 {[]string{"DPoP: " + strings.Repeat("a", 6<<10)}, "dpop_proof_too_long"},
		"DP-02 typ":                                             {header(dpoptest.Change{"typ": "JWT"}), "dpop_wrong_type"},
		"DP-02 alg none":                                        {header(dpoptest.Change{"alg": "none"}), "dpop_algorithm_not_allowed"},
		"DP-02 alg HS256":                                       {header(dpoptest.Change{"alg": "HS256"}), "dpop_algorithm_not_allowed"},
		"DP-02 symmetric jwk":                                   {header(dpoptest.Change{"jwk": map[string]any{"kty": "oct", "k": "AAAA"}}), "dpop_"},
		"DP-02 private member in jwk":                           {header(dpoptest.Change{"jwk": p.JWK(dpoptest.Change{"d": p.Private()})}), "dpop_private_key"},
		"DP-02 another's key in jwk":                            {header(dpoptest.Change{"jwk": other.JWK()}), "dpop_wrong_signature"},
		"DP-02 proof for another method":                        {claim(dpoptest.Change{"htm": "GET"}), "dpop_wrong_method"},
		"DP-02 proof for another URL":                           {claim(dpoptest.Change{"htu": f.URL + intP}), "dpop_wrong_url"},
		"DP-02 proof for another host":                          {claim(dpoptest.Change{"htu": "https://evil.example" + tokP}), "dpop_wrong_url"},
		"DP-02 the Host header decides nothing":                 {[]string{p.proof(dpoptest.Change{"htu": "http://evil.example" + tokP}), "Host: evil.example", "X-Forwarded-Host: evil.example"}, "dpop_wrong_url"},
		"DP-02 an old proof":                                    {claim(dpoptest.Change{"iat": time.Now().Add(-2 * time.Minute).Unix()}), "dpop_expired"},
		"DP-02 a proof of the future":                           {claim(dpoptest.Change{"iat": time.Now().Add(2 * time.Minute).Unix()}), "dpop_not_yet_valid"},
		"DP-07 a nonce that is no text, where none is demanded": {claim(dpoptest.Change{"nonce": 1}), "dpop_malformed"},
		"DP-02 no jti":                                          {claim(dpoptest.Change{"jti": nil}), "dpop_no_jti"},
		"DP-09 RFC 9449 §11.1 a proof that was used":            {[]string{used}, "dpop_replayed"},
	} {
		t.Run(name, func(t *testing.T) {
			before := f.log.String()
			r := f.post(t, tokP, app, ask, row.headers...)
			refused(t, r, 400, "invalid_dpop_proof")
			require.Contains(t, f.log.String()[len(before):], `"reason":"`+row.reason)
			require.NotContains(t, f.log.String(), "eyJ", "no proof in the log")
		})
	}
	t.Run("DP-02 a proof of 64 kB: no header may be so long", func(t *testing.T) {
		r := f.call(t, http.MethodPost, tokP, ask, formHeader, authorization(app), "DPoP: "+strings.Repeat("a", 64<<10))
		require.Equal(t, 431, r.status)
	})
	t.Run("DP-02 a good htu in another spelling (RFC 3986 §6.2.2), with a query that does not count", func(t *testing.T) {
		r := f.post(t, tokP, app, ask, p.proof(dpoptest.Change{"htu": strings.Replace(f.URL, "http://", "HTTP://", 1) + "/oauth2/%74oken?x=1#y"}))
		require.Equal(t, 200, r.status, r.body)
	})
	t.Run("DP-02 a wrong proof is refused before the password is looked at", func(t *testing.T) {
		refused(t, f.post(t, tokP, "", strings.Replace(phoneLogin, "correct", "wrong", 1), "DPoP: x"), 400, "invalid_dpop_proof")
	})
	t.Run("DP-09 a proof that a refusal saw may still be used: it issued nothing", func(t *testing.T) {
		proof := p.proof()
		refused(t, f.post(t, tokP, app, ask+"&scope=unknown", proof), 400, "invalid_scope")
		require.Equal(t, 200, f.post(t, tokP, app, ask, proof).status)
	})
	t.Run("DP-09 a proof is used once, whatever grant it comes with", func(t *testing.T) {
		proof := p.proof()
		require.Equal(t, 200, f.post(t, tokP, app, ask, proof).status)
		refused(t, f.post(t, tokP, "", phoneLogin, proof), 400, "invalid_dpop_proof")
	})
	t.Run("DP-09 thirty-two uses of one proof at once: one success", func(t *testing.T) {
		for _, body := range []string{"", phoneLogin} {
			proof := p.proof()
			var ok atomic.Int32
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					r := reply{}
					if body == "" {
						r = f.post(t, tokP, app, ask, proof)
					} else {
						r = f.post(t, tokP, "", body, proof)
					}
					if r.status == 200 {
						ok.Add(1)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, ok.Load())
		}
	})
}

func testBoundRefresh(t *testing.T, f *fixture) {
	t.Helper()
	p, thief := f.prover(t), f.prover(t)
	login := func(t *testing.T) string {
		t.Helper()
		r := f.post(t, tokP, "", phoneLogin, p.proof())
		require.Equal(t, 200, r.status, r.body)
		return r.text("refresh_token")
	}
	t.Run("DP-08 RFC 9449 §5 a stolen refresh token is worth nothing, and its use logs nobody out", func(t *testing.T) {
		token := login(t)
		for _, headers := range [][]string{nil, {thief.proof()}} {
			r := f.post(t, tokP, "", refreshWith(token), headers...)
			refused(t, r, 400, "invalid_grant")
			require.Contains(t, r.text("error_description"), "bound")
		}
		require.Contains(t, f.log.String(), `"reason":"refresh_token_bound"`)
		require.Equal(t, 200, f.post(t, tokP, "", refreshWith(token), p.proof()).status)
	})
	t.Run("DP-08 RT-19 a lost refresh: a retry with a fresh proof of the same key gets the same pair", func(t *testing.T) {
		token := login(t)
		first := f.post(t, tokP, "", refreshWith(token), p.proof())
		again := f.post(t, tokP, "", refreshWith(token), p.proof())
		require.Equal(t, 200, again.status, again.body)
		for _, member := range []string{"access_token", "refresh_token", "token_type"} {
			require.Equal(t, first.text(member), again.text(member))
		}
	})
	t.Run("DP-08 RT-12 a used refresh token with another key, or none, is theft: the session ends", func(t *testing.T) {
		for _, headers := range [][]string{nil, {thief.proof()}} {
			token := login(t)
			next := f.post(t, tokP, "", refreshWith(token), p.proof()).text("refresh_token")
			before := f.log.String()
			refused(t, f.post(t, tokP, "", refreshWith(token), headers...), 400, "invalid_grant")
			require.Contains(t, f.log.String()[len(before):], `"reason":"refresh_token_reused"`)
			refused(t, f.post(t, tokP, "", refreshWith(next), p.proof()), 400, "invalid_grant")
		}
	})
	t.Run("DP-09 a replayed proof rotates nothing and ends nothing", func(t *testing.T) {
		token := login(t)
		proof := p.proof()
		next := f.post(t, tokP, "", refreshWith(token), proof).text("refresh_token")
		refused(t, f.post(t, tokP, "", refreshWith(token), proof), 400, "invalid_dpop_proof")
		refused(t, f.post(t, tokP, "", refreshWith(next), proof), 400, "invalid_dpop_proof")
		require.Equal(t, 200, f.post(t, tokP, "", refreshWith(next), p.proof()).status)
	})
	t.Run("DP-08 a refresh token of before is bound by the first refresh with a proof", func(t *testing.T) {
		r := f.post(t, tokP, "", phoneLogin)
		bound := f.post(t, tokP, "", refreshWith(r.text("refresh_token")), p.proof())
		require.Equal(t, "DPoP", bound.text("token_type"))
		refused(t, f.post(t, tokP, "", refreshWith(bound.text("refresh_token"))), 400, "invalid_grant")
		require.Equal(t, 200, f.post(t, tokP, "", refreshWith(bound.text("refresh_token")), p.proof()).status)
	})
	t.Run("RFC 9449 §5 a confidential client's refresh token is bound to the client: another key, and the token is bound to that one", func(t *testing.T) {
		r := f.post(t, tokP, "mixed:s", strings.Replace(phoneLogin, "client_id=phone&", "", 1), p.proof())
		require.Equal(t, 200, r.status, r.body)
		refresh := "grant_type=refresh_token&refresh_token=" + r.text("refresh_token")
		second := f.post(t, tokP, "mixed:s", refresh, thief.proof())
		require.Equal(t, 200, second.status, second.body)
		require.Equal(t, map[string]any{"jkt": thief.JKT()}, f.inspect(t, second.text("access_token")).json["cnf"])
		retry := f.post(t, tokP, "mixed:s", refresh, p.proof())
		require.Equal(t, second.text("refresh_token"), retry.text("refresh_token"))
		require.Equal(t, map[string]any{"jkt": p.JKT()}, f.inspect(t, retry.text("access_token")).json["cnf"], "a retry by another key is another question")
		plain := f.post(t, tokP, "mixed:s", "grant_type=refresh_token&refresh_token="+retry.text("refresh_token"))
		require.Equal(t, "Bearer", plain.text("token_type"))
	})
}

// testBoundAtSessions: Grantor's own endpoints that take an access token.
func testBoundAtSessions(t *testing.T, f *fixture) {
	t.Helper()
	p, thief := f.prover(t), f.prover(t)
	r := f.post(t, tokP, "", phoneLogin+bothScopes, p.proof())
	require.Equal(t, 200, r.status, r.body)
	own := f.post(t, tokP, "", refreshWith(r.text("refresh_token"))+"&scope=grantor:sessions", p.proof()).text("access_token")
	t.Run("DP-04 RFC 9449 §7.1 the owner of the key", func(t *testing.T) {
		require.Equal(t, 200, f.call(t, http.MethodGet, sesP, "", p.holding(http.MethodGet, sesP, own)...).status)
	})
	bearer := f.newPhone(t, "ada", "").own
	get := func(headers ...string) reply { return f.call(t, http.MethodGet, sesP, "", headers...) }
	once := p.holding(http.MethodGet, sesP, own)
	require.Equal(t, 200, get(once...).status)
	for name, row := range map[string]struct {
		headers      []string
		code, reason string
	}{
		"DP-05 RFC 9449 §7.2 as a bearer token":             {[]string{"Authorization: Bearer " + own}, "invalid_token", "bound_token_as_bearer"},
		"DP-05 as a bearer token, with a proof":             {[]string{"Authorization: Bearer " + own, p.holding("GET", sesP, own)[1]}, "invalid_token", "bound_token_as_bearer"},
		"DP-04 without a proof":                             {[]string{"Authorization: DPoP " + own}, "invalid_dpop_proof", "dpop_proof_missing"},
		"DP-04 a thief's key":                               {thief.holding("GET", sesP, own), "invalid_token", "dpop_wrong_key"},
		"DP-04 a proof for another token":                   {p.holding("GET", sesP, own, dpoptest.With("x")), "invalid_dpop_proof", "dpop_wrong_token"},
		"DP-04 a proof for another method":                  {p.holding("DELETE", sesP, own), "invalid_dpop_proof", "dpop_wrong_method"},
		"DP-04 a proof for another path":                    {p.holding("GET", sesP+"/x", own), "invalid_dpop_proof", "dpop_wrong_url"},
		"DP-09 a replayed proof":                            {once, "invalid_dpop_proof", "dpop_replayed"},
		"RFC 9449 §7.1 an unbound token in the scheme DPoP": {p.holding("GET", sesP, bearer), "invalid_token", "token_not_bound"},
	} {
		t.Run(name, func(t *testing.T) {
			before := f.log.String()
			r := get(row.headers...)
			require.Equal(t, 401, r.status, r.body)
			require.Equal(t, row.code, r.text("error"))
			require.Contains(t, f.log.String()[len(before):], `"reason":"`+row.reason+`"`)
			require.Len(t, r.header.Values("WWW-Authenticate"), 1)
			c := r.header.Get("WWW-Authenticate")
			require.True(t, strings.HasPrefix(c, `DPoP realm="grantor", error="`+row.code+`"`), c)
			require.Contains(t, c, `algs="ES256 ES384 EdDSA Ed25519 PS256 RS256"`)
		})
	}
	t.Run("DP-06 RFC 9449 §7.1 no token: challenges of both schemes, with algs", func(t *testing.T) {
		require.Equal(t, []string{`Bearer realm="grantor", scope="grantor:sessions"`,
			`DPoP realm="grantor", scope="grantor:sessions", algs="ES256 ES384 EdDSA Ed25519 PS256 RS256"`}, get().header.Values("WWW-Authenticate"))
	})
}

func TestDPoPNonces(t *testing.T) {
	f := startDPoP(t, func(c *Config) { c.DPoPNonces = time.Minute })
	p := f.prover(t)
	t.Run("DP-07 RFC 9449 §8 a proof without a nonce: 400 use_dpop_nonce, and the nonce of the answer works", func(t *testing.T) {
		r := f.post(t, tokP, app, ask, p.proof())
		refused(t, r, 400, "use_dpop_nonce")
		nonce := r.header.Get("DPoP-Nonce")
		require.NotEmpty(t, nonce)
		r = f.post(t, tokP, app, ask, p.proof(dpoptest.Change{"nonce": nonce}))
		require.Equal(t, 200, r.status, r.body)
	})
	t.Run("DP-07 a forged nonce: 400 use_dpop_nonce", func(t *testing.T) {
		r := f.post(t, tokP, app, ask, p.proof(dpoptest.Change{"nonce": base64.RawURLEncoding.EncodeToString(make([]byte, 24))}))
		refused(t, r, 400, "use_dpop_nonce")
		require.NotEmpty(t, r.header.Get("DPoP-Nonce"))
	})
	t.Run("DP-07 RFC 9449 §9 at an endpoint that takes an access token: 401, a challenge, and the nonce", func(t *testing.T) {
		nonce := f.post(t, tokP, app, ask, p.proof()).header.Get("DPoP-Nonce")
		with := dpoptest.Change{"nonce": nonce}
		r := f.post(t, tokP, "", phoneLogin+bothScopes, p.proof(with))
		own := f.post(t, tokP, "", refreshWith(r.text("refresh_token"))+"&scope=grantor:sessions", p.proof(with)).text("access_token")
		r = f.call(t, http.MethodGet, sesP, "", p.holding(http.MethodGet, sesP, own)...)
		require.Equal(t, 401, r.status)
		require.Equal(t, nonce, r.header.Get("DPoP-Nonce"))
		require.Contains(t, r.header.Get("WWW-Authenticate"), `DPoP realm="grantor", error="use_dpop_nonce"`)
		require.Equal(t, 200, f.call(t, http.MethodGet, sesP, "", p.holding(http.MethodGet, sesP, own, with)...).status)
	})
	t.Run("DP-07 §8.2 an old nonce works and the answer has a new one; an expired one does not", func(t *testing.T) {
		var ahead atomic.Int64
		f := startDPoP(t, func(c *Config) { c.DPoPNonces = time.Minute })
		f.store.SetClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
		old := f.post(t, tokP, app, ask, f.prover(t).proof()).header.Get("DPoP-Nonce")
		ahead.Store(int64(time.Minute))
		p := f.prover(t)
		r := f.post(t, tokP, app, ask, p.proof(dpoptest.Change{"nonce": old}))
		require.Equal(t, 200, r.status, r.body)
		require.NotEqual(t, old, r.header.Get("DPoP-Nonce"))
		require.NotEmpty(t, r.header.Get("DPoP-Nonce"))
		ahead.Store(int64(3 * time.Minute))
		refused(t, f.post(t, tokP, app, ask, p.proof(dpoptest.Change{"nonce": old})), 400, "use_dpop_nonce")
	})
	t.Run("a lifetime that cannot be is refused", func(t *testing.T) {
		_, err := newProofs(&Config{Issuer: "https://a.example", DPoPNonces: time.Millisecond}, nil, nil)
		require.ErrorContains(t, err, "DPoPNonces")
	})
}

func TestDPoPTrail(t *testing.T) {
	var end func() string
	f := startDPoP(t, func(c *Config) { end = trail(t, c) })
	p := f.prover(t)
	proof := p.proof()
	token := f.post(t, tokP, app, ask, proof).text("access_token")
	e, err := f.server.Explain(t.Context(), token, "")
	require.NoError(t, err)
	text := end()
	t.Run("DP-01 the trail has the thumbprint of the key, and never a proof", func(t *testing.T) {
		require.Contains(t, text, `"dpop_jkt":"`+p.JKT()+`"`)
		require.NotContains(t, text+f.log.String(), strings.TrimPrefix(proof, "DPoP: "))
		sum := sha256.Sum256([]byte(proof))
		require.NotContains(t, text, base64.RawURLEncoding.EncodeToString(sum[:]))
	})
	t.Run("DP-03 token explain says what a token is bound to", func(t *testing.T) {
		require.Equal(t, &Bound{KeyThumbprint: p.JKT()}, e.Bound)
	})
}
