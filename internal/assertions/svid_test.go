package assertions

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

const (
	domain   = "spiffe://example.org"
	workload = domain + "/billing"
)

// svidWorld trusts example.org, whose bundle has a key for JWT-SVIDs and one for X.509-SVIDs, and
// other.example, whose bundle has another. Client "job" and the client named like the workload are
// proved by /billing.
func svidWorld(t *testing.T) *world {
	t.Helper()
	k := keys()
	bundle := func(keys ...map[string]any) *httptest.Server {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys, "spiffe_sequence": 10, "spiffe_refresh_hint": 300})
		}))
		t.Cleanup(s.Close)
		return s
	}
	key := func(public any, kid, use string) map[string]any {
		text, err := jose.JSONWebKey{Key: public, KeyID: kid}.MarshalJSON()
		require.NoError(t, err)
		var m map[string]any
		require.NoError(t, json.Unmarshal(text, &m))
		if m["use"] = use; use == "" {
			delete(m, "use")
		}
		return m
	}
	ours := bundle(key(k.platform.Public(), "p", "jwt-svid"), key(k.rsa.Public(), "r", "jwt-svid"), key(k.ed.Public(), "e", "jwt-svid"),
		key(k.client.Public(), "x", "x509-svid"), key(k.client.Public(), "s", "sig"), key(k.client.Public(), "n", ""), key(k.client.Public(), "", "jwt-svid"))
	other := bundle(key(k.foreign.Public(), "p", "jwt-svid"))
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.Certificate().Raw}), 0o600))
	w := newWorld(t, func(c *Config) {
		c.Issuers = append(c.Issuers, Issuer{Issuer: domain, JWKSURI: ours.URL, CAFile: ca}, Issuer{Issuer: "spiffe://other.example", JWKSURI: other.URL, CAFile: ca})
	})
	w.clients["job"] = Registered{ID: "job", Issuer: domain, Subject: workload}
	w.clients[workload] = Registered{ID: workload, Issuer: domain, Subject: workload}
	w.clients["other"] = Registered{ID: "other", Issuer: "spiffe://other.example", Subject: "spiffe://other.example/billing"}
	return w
}

// svid are good claims of a JWT-SVID, changed.
func (w *world) svid(change map[string]any) map[string]any {
	c := map[string]any{"sub": workload, "aud": []string{us}, "iat": w.clock.Unix(), "exp": w.clock.Unix() + 300}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func (w *world) verifySVID(t *testing.T, svid, clientID string) RejectionReason {
	t.Helper()
	_, err := w.VerifySVID(t.Context(), svid, clientID, w.find)
	if err == nil {
		return ""
	}
	var refusal *Rejection
	require.ErrorAs(t, err, &refusal)
	return refusal.Reason
}

func TestSVID(t *testing.T) {
	w, k := svidWorld(t), keys()
	good := func(change map[string]any) string { return sign(t, "ES256", "p", k.platform, w.svid(change)) }
	t.Run("SV-01 a JWT-SVID without iss proves the client, by the keys of the trust domain in sub", func(t *testing.T) {
		for _, id := range []string{"job", workload} {
			proof, err := w.VerifySVID(t.Context(), good(nil), id, w.find)
			require.NoError(t, err)
			require.Equal(t, Proof{id, "workload:" + domain + " " + workload}, proof)
		}
	})
	t.Run("SV-01 without client_id the SPIFFE ID is the client's id: draft-ietf-oauth-spiffe-client-auth §3.1", func(t *testing.T) {
		proof, err := w.VerifySVID(t.Context(), good(nil), "", w.find)
		require.NoError(t, err)
		require.Equal(t, workload, proof.ID)
	})
	t.Run("SV-08 SPIFFE JWT-SVID §6.1 it is presented again until it expires, with a jti too, and is not remembered", func(t *testing.T) {
		same := good(map[string]any{"jti": "1"})
		for range 3 {
			require.Empty(t, w.verifySVID(t, same, "job"))
		}
		require.Empty(t, w.memory.ends)
	})
	t.Run("SV-03 an iss says nothing about which keys are asked: §8.1", func(t *testing.T) {
		for _, iss := range []string{"https://oidc.example.org", platform, us} {
			require.Empty(t, w.verifySVID(t, good(map[string]any{"iss": iss}), "job"))
		}
		c := w.svid(map[string]any{"iss": platform, "sub": pod})
		require.Equal(t, ReasonSubject, w.verifySVID(t, sign(t, "ES256", "p", k.platform, c), "pod"))
	})
	t.Run("SV-02 deviation: with the type of RFC 7523 a JWT-SVID without iss is taken by the same rules", func(t *testing.T) {
		require.Empty(t, w.verify(t, good(nil), "job"))
		require.Equal(t, ReasonAudience, w.verify(t, good(map[string]any{"aud": []string{us, "https://vault"}}), "job"))
		require.Equal(t, ReasonIssuer, w.verify(t, good(map[string]any{"iss": domain}), "job"))
		require.Equal(t, ReasonIssuer, newWorld(t).verify(t, good(nil), "job"), "no trust domain is trusted")
	})
	for _, alg := range []string{"RS256", "PS256"} {
		t.Run("SPIFFE JWT-SVID §2.1 "+alg, func(t *testing.T) {
			require.Empty(t, w.verifySVID(t, sign(t, alg, "r", k.rsa, w.svid(nil)), "job"))
		})
	}
	for name, r := range map[string]struct {
		change   map[string]any
		clientID string
		want     RejectionReason
	}{
		"SV-04 another trust domain than the client's":           {map[string]any{"sub": "spiffe://other.example/billing"}, "job", ReasonSubject},
		"SV-03 a trust domain that is not trusted":               {map[string]any{"sub": "spiffe://evil.example/billing"}, "job", ReasonIssuer},
		"SV-04 another workload of the trust domain":             {map[string]any{"sub": workload + "2"}, "job", ReasonSubject},
		"SV-04 a workload below the one that is registered":      {map[string]any{"sub": workload + "/x"}, "job", ReasonSubject},
		"SV-04 a workload that is nobody's, without client_id":   {map[string]any{"sub": domain + "/nobody"}, "", ReasonUnknown},
		"SV-04 a client that trusts no issuer":                   {nil, "billing", ReasonSubject},
		"SV-04 a client of a platform":                           {nil, "pod", ReasonSubject},
		"SV-04 a client that does not exist":                     {nil, "nobody", ReasonUnknown},
		"SPIFFE-ID §2 the trust domain itself as sub":            {map[string]any{"sub": domain}, "root", ReasonSubject},
		"SPIFFE-ID §2.1 a trust domain in upper case":            {map[string]any{"sub": "spiffe://EXAMPLE.org/billing"}, "job", ReasonSubject},
		"SPIFFE-ID §2.2 a path with dots":                        {map[string]any{"sub": domain + "/x/../billing"}, "job", ReasonSubject},
		"SPIFFE JWT-SVID §3.1 no sub":                            {map[string]any{"sub": nil}, "job", ReasonSubject},
		"SPIFFE JWT-SVID §3.1 a sub that is no SPIFFE ID":        {map[string]any{"sub": pod}, "job", ReasonSubject},
		"SV-05 another audience":                                 {map[string]any{"aud": "https://vault"}, "job", ReasonAudience},
		"SV-05 another audience beside ours":                     {map[string]any{"aud": []string{us, "https://vault"}}, "job", ReasonAudience},
		"SV-05 the token endpoint as audience":                   {map[string]any{"aud": endpoint}, "job", ReasonAudience},
		"SV-05 no audience":                                      {map[string]any{"aud": nil}, "job", ReasonAudience},
		"SV-06 SPIFFE JWT-SVID §3.3 no exp":                      {map[string]any{"exp": nil}, "job", ReasonNoExpiry},
		"SV-06 expired":                                          {map[string]any{"exp": w.clock.Unix() - 60}, "job", ReasonExpired},
		"SV-06 nbf ahead":                                        {map[string]any{"nbf": w.clock.Unix() + 61}, "job", ReasonNotYet},
		"SV-08 a bearer token that is valid for longer":          {map[string]any{"exp": w.clock.Unix() + 3600}, "job", ReasonTooLong},
		"SV-08 with the registration's older habit of audiences": {map[string]any{"aud": endpoint}, "lenient", ReasonAudience},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			w.clients["root"] = Registered{ID: "root", Issuer: domain, Subject: domain}
			w.clients["lenient"] = Registered{ID: "lenient", Issuer: domain, Subject: workload, AcceptTokenEndpointAudience: true}
			require.Equal(t, r.want, w.verifySVID(t, good(r.change), r.clientID))
		})
	}
}

func TestSVIDKeys(t *testing.T) {
	w, k := svidWorld(t), keys()
	for name, r := range map[string]struct {
		svid string
		want RejectionReason
	}{
		"SV-07 a key for X.509-SVIDs":                    {sign(t, "ES256", "x", k.client, w.svid(nil)), ReasonUnknownKey},
		"SV-07 a key for other signatures":               {sign(t, "ES256", "s", k.client, w.svid(nil)), ReasonUnknownKey},
		"SV-07 a key without use":                        {sign(t, "ES256", "n", k.client, w.svid(nil)), ReasonUnknownKey},
		"SV-07 a key without kid":                        {sign(t, "ES256", "", k.client, w.svid(nil)), ReasonSignature},
		"SV-07 an unknown kid":                           {sign(t, "ES256", "y", k.client, w.svid(nil)), ReasonUnknownKey},
		"SV-07 a wrong signature":                        {sign(t, "ES256", "p", k.client, w.svid(nil)), ReasonSignature},
		"SV-03 the key of another trusted trust domain":  {sign(t, "ES256", "p", k.foreign, w.svid(nil)), ReasonSignature},
		"SV-06 SPIFFE JWT-SVID §2.1 EdDSA":               {sign(t, "EdDSA", "e", k.ed, w.svid(nil)), ReasonAlgorithm},
		"SV-06 SPIFFE JWT-SVID §2.3 typ at+jwt":          {forge(`{"alg":"ES256","kid":"p","typ":"at+jwt"}`, w.svid(nil), es256(k.platform)), ReasonType},
		"SV-06 SPIFFE JWT-SVID §2.3 typ of private keys": {forge(`{"alg":"ES256","kid":"p","typ":"client-authentication+jwt"}`, w.svid(nil), es256(k.platform)), ReasonType},
		"SV-06 alg none":                                 {forge(`{"alg":"none"}`, w.svid(nil), func([]byte) []byte { return nil }), ReasonAlgorithm},
		"no JWT":                                         {"x.y.z", ReasonMalformed},
	} {
		t.Run(name+" is refused", func(t *testing.T) { require.Equal(t, r.want, w.verifySVID(t, r.svid, "job")) })
	}
	t.Run("SV-06 another alg than the client's", func(t *testing.T) {
		w.clients["rsa"] = Registered{ID: "rsa", Issuer: domain, Subject: workload, Algorithms: []string{"RS256"}}
		require.Equal(t, ReasonAlgorithm, w.verifySVID(t, sign(t, "ES256", "p", k.platform, w.svid(nil)), "rsa"))
	})
	t.Run("SV-03 the trust domain's key does not sign for platforms, nor for clients", func(t *testing.T) {
		w.clients["both"] = Registered{ID: "both", Issuer: platform, Subject: workload}
		c := w.svid(map[string]any{"iss": platform})
		require.Equal(t, ReasonUnknownKey, w.verify(t, sign(t, "RS256", "r", k.rsa, c), "both"))
		require.Equal(t, ReasonSubject, w.verifySVID(t, sign(t, "RS256", "r", k.rsa, c), "both"))
		w.clients[workload] = Registered{ID: workload, Keys: w.clients["billing"].Keys}
		c = w.svid(map[string]any{"iss": workload, "jti": "1"})
		require.Equal(t, ReasonUnknownKey, w.verify(t, sign(t, "ES256", "p", k.platform, c), ""))
		require.Equal(t, ReasonSubject, w.verifySVID(t, sign(t, "ES256", "p", k.platform, c), ""))
	})
	t.Run("SV-08 refused clients cost the work of a signature", func(t *testing.T) {
		before := w.spent
		require.Equal(t, ReasonUnknown, w.verifySVID(t, sign(t, "ES256", "p", k.platform, w.svid(nil)), "nobody"))
		require.Equal(t, before+1, w.spent)
	})
	t.Run("keys of a trust domain that cannot be had are an error and no refusal", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Issuers = []Issuer{{Issuer: domain, Keys: failing{}}} })
		w.clients["job"] = Registered{ID: "job", Issuer: domain, Subject: workload}
		_, err := w.VerifySVID(t.Context(), sign(t, "ES256", "p", k.platform, w.svid(nil)), "job", w.find)
		require.ErrorIs(t, err, ErrKeysUnavailable)
		require.NotErrorAs(t, err, new(*Rejection))
	})
}

func TestTrustDomains(t *testing.T) {
	once := (&memory{}).once
	one := Issuer{Issuer: domain, JWKSURI: "https://example.org/bundle"}
	for name, list := range map[string][]Issuer{
		"a workload for a trust domain": {{Issuer: workload, JWKSURI: one.JWKSURI}}, "no bundle endpoint": {{Issuer: domain}},
		"no trust domain": {{Issuer: "spiffe://", JWKSURI: one.JWKSURI}}, "twice": {one, one}, "a bundle without TLS": {{Issuer: domain, JWKSURI: "http://example.org/bundle"}},
	} {
		t.Run("a mistake of the configuration: "+name, func(t *testing.T) {
			_, err := New(Config{Issuer: us, Once: once, Issuers: list})
			require.Error(t, err)
		})
	}
	a, err := New(Config{Issuer: us, Once: once, Issuers: []Issuer{one}})
	require.NoError(t, err)
	t.Cleanup(a.Close)
	require.True(t, a.TrustsDomain())
	require.False(t, newWorld(t).TrustsDomain())
}
