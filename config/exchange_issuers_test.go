package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExchangeIssuers: what an exchange policy may say of JWTs of other issuers.
func TestExchangeIssuers(t *testing.T) {
	policy := func(issuer, exchange string) string {
		return minimal + "[scopes]\n\"orders:read\" = {}\n[[trusted_issuers]]\nissuer = \"" + issuer + "\"\njwks_uri = \"https://idp.example.com/jwks\"\n" +
			"[[clients]]\nclient_id = \"c\"\nscope = \"orders:read\"\ngrant_types = [\"urn:ietf:params:oauth:grant-type:token-exchange\"]\nexchange = " + exchange +
			"\nsecrets = [{ hash = \"" + goodHash + "\" }]\n"
	}
	bearer := func(exchange string) string {
		return strings.Replace(policy("https://idp.example.com", exchange), "token-exchange", "jwt-bearer", 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"JB-10 RFC 7523 §2.1 no policy": {strings.Replace(bearer("{}"), "exchange = {}\n", "", 1),
			"clients[0].exchange: the JWT bearer grant needs a policy"},
		"JB-10 RFC 7523 §2.1 a policy without issuers": {bearer(`{ scope = "orders:read" }`), "the JWT bearer grant needs subject_issuers"},
		"JB-10 RFC 7523 §2.1 clients' tokens beside, without token exchange": {bearer(`{ subject_issuers = ["https://idp.example.com"], scope = "orders:read", subject_clients = ["c"] }`),
			"subject_clients and actors need the grant type"},
		"JB-03 RFC 7523 §3 an issuer that is not trusted": {bearer(`{ subject_issuers = ["https://evil.example.com"], scope = "orders:read" }`),
			`clients[0].exchange: subject_issuers: "https://evil.example.com" is not in [[trusted_issuers]]`},
		"JB-09 no scope that would bound the JWTs": {bearer(`{ subject_issuers = ["https://idp.example.com"] }`), `subject_issuers needs scope`},
		"TX-03 an issuer that is not trusted": {policy("https://idp.example.com", `{ subject_issuers = ["https://idp.example.com/"], scope = "orders:read" }`),
			`clients[0].exchange: subject_issuers: "https://idp.example.com/" is not in [[trusted_issuers]]`},
		"TX-03 a trust domain of SPIFFE": {policy("spiffe://example.org", `{ subject_issuers = ["spiffe://example.org"], scope = "orders:read" }`),
			`clients[0].exchange: subject_issuers: "spiffe://example.org" is a trust domain of SPIFFE`},
		"TX-03 RFC 9700 §4.15 an issuer whose subjects could be another's": {policy("https://idp.example.com/a|b", `{ subject_issuers = ["https://idp.example.com/a|b"], scope = "orders:read" }`),
			"trusted_issuers[0].issuer: must not hold |"},
		"TX-06 no scope that would bound the JWTs": {policy("https://idp.example.com", `{ subject_issuers = ["https://idp.example.com"] }`),
			`clients[0].exchange: subject_issuers needs scope`},
		"TX-08 nobody's tokens":                {policy("https://idp.example.com", `{ scope = "orders:read" }`), `says nobody's tokens: name clients in subject_clients`},
		"TX-08 a type of subject that is none": {policy("https://idp.example.com", `{ subject_clients = ["*"], subject_types = ["robot"] }`), `subject_types must be of "user", "client", "external"`},
	} {
		t.Run(name, func(t *testing.T) { require.Contains(t, mistakes(t, c.text), c.want) })
	}
	t.Run("JB-10 RFC 7523 §2.1 a policy for the JWT bearer grant alone is sound", func(t *testing.T) {
		_, _, err := Load(Options{Path: write(t, bearer(`{ subject_issuers = ["https://idp.example.com"], scope = "orders:read" }`))})
		require.NoError(t, err)
	})
	t.Run("TX-03 a policy that names a trusted issuer is sound", func(t *testing.T) {
		for _, exchange := range []string{`{ subject_issuers = ["https://idp.example.com"], scope = "orders:*" }`,
			`{ subject_clients = ["*"], subject_types = ["external", "user"], subject_issuers = ["https://idp.example.com"], scope = "orders:read" }`} {
			_, _, err := Load(Options{Path: write(t, policy("https://idp.example.com", exchange))})
			require.NoError(t, err)
		}
	})
}
