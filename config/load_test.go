package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
)

const goodHash = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// write puts text into a config.toml of its own and returns its name.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

const minimal = "store = \"memory\"\n"

// mistakes loads text and returns the errors without the folder's name.
func mistakes(t *testing.T, text string, environ ...string) string {
	t.Helper()
	name := write(t, text)
	_, _, err := Load(Options{Path: name, Environ: environ})
	require.Error(t, err)
	return strings.ReplaceAll(err.Error(), filepath.Dir(name)+"/", "")
}

// networked is a client with allowed_networks.
func networked(list string) string {
	return "[[clients]]\nclient_id = \"c\"\nallowed_networks = " + list + "\ntoken_endpoint_auth_method = \"none\"\n"
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key, with the nearest": {minimal + "lisen = \"x\"\n",
			`config.toml:2:1: lisen: there is no such key; did you mean "listen"?`},
		"a key of a later table": {minimal + "[redis]\nurll = \"x\"\n",
			`config.toml:3:1: redis.urll: there is no such key; did you mean "url"?`},
		"a wrong type": {minimal + "[tokens]\naccess_ttl = 900\n",
			`config.toml:3:1: tokens.access_ttl: must be a duration in quotes, such as "15m", not a number`},
		"a bad duration": {minimal + "[tokens]\n  access_ttl = \"soon\"\n",
			`config.toml:3:3: tokens.access_ttl: must be a duration such as "15m", "1h30m" or "30d"`},
		"syntax": {"store = \n", "config.toml:1:9: "},
		"TE-01 MD-13 S-67 a non-https issuer off loopback": {minimal + "issuer = \"http://auth.example.com\"\n",
			"config.toml:2:1: issuer: must begin with https:// off loopback: tokens must not travel in clear (RFC 6749 §3.2)"},
		"MD-13 an issuer with a slash at its end": {minimal + "issuer = \"https://auth.example.com/\"\n",
			"config.toml:2:1: issuer: must not end in a slash: clients compare it byte for byte"},
		"MD-13 an issuer with a query": {minimal + "issuer = \"https://auth.example.com?x\"\n",
			"config.toml:2:1: issuer: must be an absolute URL without query or fragment"},
		"TE-01 a listener off loopback without TLS": {minimal + "listen = \"0.0.0.0:8080\"\n",
			`config.toml:2:1: listen: off loopback needs [tls] mode = "files", or "proxy"`},
		"memory off loopback": {minimal + "listen = \":8080\"\ntls.mode = \"proxy\"\n",
			`config.toml:1:1: store: "memory" loses every token at exit`},
		"redis without a URL":                {"store = \"redis\"\n", `redis.url: store = "redis" requires url`},
		"certificates without mode":          {minimal + "[tls]\ncert_file = \"x\"\n", `tls.mode: cert_file and key_file are used with mode = "files" only`},
		"mode files without certificates":    {minimal + "[tls]\nmode = \"files\"\n", `config.toml:3:1: tls.mode: "files" needs cert_file and key_file`},
		"braces in the prefix":               {minimal + "[redis]\nprefix = \"{x}\"\n", `config.toml:3:1: redis.prefix: must not contain braces`},
		"a life of a year":                   {minimal + "[tokens]\naccess_ttl = \"365d\"\n", "config.toml:3:1: tokens.access_ttl: must be whole seconds between 1s and 24h"},
		"a trusted proxy that is no address": {minimal + "trusted_proxies = [\"10.0.0.0/8\", \"lb\"]\n", "config.toml:2:1: trusted_proxies[1]: must be an address or a network"},
		"a limit of zero":                    {minimal + "[limits]\nclient_failures = 0\n", "config.toml:3:1: limits.client_failures: must be 1 or more, or -1 for no limit"},
		"a lease that is too short":          {minimal + "[feed]\nlease = \"100ms\"\n", `config.toml:3:1: feed.lease: must be "250ms" to "60s"`},
		"a lease that is too long":           {minimal + "[feed]\nlease = \"2m\"\n", `config.toml:3:1: feed.lease: must be "250ms" to "60s"`},
		"a network of a client with host bits": {minimal + networked("[\"10.0.0.7/8\"]"),
			`config.toml:4:1: clients[0].allowed_networks: "10.0.0.7/8" has bits behind its prefix: the network is 10.0.0.0/8`},
		"a client that no client can be": {minimal + "[metrics]\nper_client = [\"a\", \"\"]\n",
			`config.toml:3:1: metrics.per_client[1]: a client id has 1 to 255 characters`},
		"a client that is counted twice": {minimal + "[metrics]\nper_client = [\"a\", \"a\"]\n",
			`config.toml:3:1: metrics.per_client[1]: "a" is named twice`},
		"more series than a scrape should carry": {minimal + "[metrics]\nper_client = [" + strings.Repeat("\"a\",", 101) + "]\n",
			`config.toml:3:1: metrics.per_client: names 101 clients, at most 100: each has series of its own`},
		"a rate below none": {minimal + networked("[\"10.0.0.0/8\"]") + "requests_per_second = -2\n",
			`config.toml:6:1: clients[0].requests_per_second: -2 must be 1 to 1000000; -1: no limit; 0: that of [limits]`},
		"a rate that is no whole number": {minimal + networked("[\"10.0.0.0/8\"]") + "requests_per_second = 0.5\n",
			`config.toml:6:1: clients[0].requests_per_second: must be a whole number, not`},
		"a burst without a rate": {minimal + networked("[\"10.0.0.0/8\"]") + "requests_burst = 5\n",
			`config.toml:6:1: clients[0].requests_burst: needs requests_per_second, the limit that it belongs to`},
		"a burst below zero": {minimal + networked("[\"10.0.0.0/8\"]") + "requests_per_second = 5\nrequests_burst = -1\n",
			`config.toml:7:1: clients[0].requests_burst: -1 must be 1 to 1000000; 0: as many as requests_per_second`},
		"an empty list of networks": {minimal + networked("[]"),
			`config.toml:4:1: clients[0].allowed_networks: the list is empty: name a network, or leave the member out`},
		"RFC 7519 §4.1 a client's claim with a registered name": {minimal + "[[clients]]\nclient_id = \"c\"\nclaims = { sub = \"u\" }\nsecrets = [{ hash = \"" + goodHash + "\" }]\n",
			`config.toml:4:1: clients[0].claims: claim "sub": the name has a meaning by RFC 7519 §4.1, and verifiers rely on it; choose another, such as "app_sub"`},
		"claims above 2 kB": {minimal + "[[clients]]\nclient_id = \"c\"\nclaims = { a = \"" + strings.Repeat("x", 2100) + "\" }\nsecrets = [{ hash = \"" + goodHash + "\" }]\n",
			`config.toml:4:1: clients[0].claims: the claims are 2108 bytes of JSON, and a token carries at most 2048`},
		"claims that are no table":              {minimal + "[[clients]]\nclient_id = \"c\"\nclaims = [\"a\"]\nsecrets = [{ hash = \"" + goodHash + "\" }]\n", `config.toml:4:1: clients[0].claims: must be a table, not a list`},
		"a claim that is no number":             {minimal + "[[clients]]\nclient_id = \"c\"\nclaims = { a = nan }\nsecrets = [{ hash = \"" + goodHash + "\" }]\n", `config.toml:4:1: clients[0].claims: `},
		"a user's claim of Grantor's":           {minimal + "[[users.config]]\nid = \"u\"\nusername = \"u\"\npassword_hash = \"x\"\nclaims = { sid = \"s\" }\n", `config.toml:6:1: users.config[0].claims: claim "sid": the name has a meaning by Grantor`},
		"a scope that names a registered claim": {minimal + "[scopes]\na = { claims = [\"role\", \"Email\"] }\n", `config.toml:3:7: scopes.a.claims[1]: claim "Email": the name has a meaning by OpenID Connect Core §5.1`},
		"a scope that names a claim twice":      {minimal + "[scopes]\na = { claims = [\"role\", \"role\"] }\n", `config.toml:3:7: scopes.a.claims: names "role" twice`},
		"a column that can be no claim": {minimal + "grants.password = true\n[users]\nsource = \"sql\"\n[users.sql]\ndriver = \"postgres\"\ndsn = \"x\"\nquery = \"SELECT $1\"\nrecheck = \"SELECT $1\"\nclaims_columns = [\"sub\"]\n",
			`config.toml:10:1: users.sql.claims_columns: claim "sub": the name has a meaning by RFC 7519 §4.1`},
		"a hook off loopback without TLS":                      {minimal + "[hooks.claims]\nurl = \"http://app.example.com\"\nsecret = \"" + strings.Repeat("s", 32) + "\"\n", `config.toml:3:1: hooks.claims.url: must be https, or http on loopback: whoever answers decides what tokens say`},
		"a hook without a secret":                              {minimal + "[hooks.claims]\nurl = \"https://app.example.com\"\n", `hooks.claims.secret: must have at least 32 bytes: it signs the requests`},
		"a hook's secret without a hook":                       {minimal + "[hooks.claims]\nsecret = \"s\"\n", `config.toml:3:1: hooks.claims.secret: is used only with url`},
		"a hook that is waited for long":                       {minimal + "[hooks.claims]\ntimeout = \"1m\"\n", `config.toml:3:1: hooks.claims.timeout: must be "100ms" to "10s": every login and refresh waits for the answer`},
		"a scope that is none":                                 {minimal + "[scopes]\n\"a b\" = {}\n", `config.toml:3:1: scopes.a b: malformed scope`},
		"a reserved scope":                                     {minimal + "[scopes]\n\"grantor:x\" = {}\n", `config.toml:3:1: scopes.grantor:x: names that begin with "grantor:" are built in`},
		"an implied scope that is none":                        {minimal + "[scopes]\na = { implies = [\"b\"] }\n", `config.toml:3:7: scopes.a.implies: implies "b", which is not a scope of this table`},
		"a resource with a fragment":                           {minimal + "[scopes]\na = { resource = \"https://x#y\" }\n", `config.toml:3:7: scopes.a.resource: a resource is an absolute URI without a fragment`},
		"RFC 9700 §2.3 a resource that is Grantor's own":       {minimal + "issuer = \"https://a.example\"\n[scopes]\na = { resource = \"https://a.example/admin\" }\n", `config.toml:4:7: scopes.a.resource: is reserved for the audience of grantor:… scopes`},
		"SC-08 a scope that implies more than a token carries": {minimal + "[scopes]\n\"all\" = { implies = [" + manyScopes("%q, ", 100) + "] }\n" + manyScopes("%q = {}\n", 100), `scopes.all.implies: with all that it implies no token can carry it: 101 scope tokens, at most 100 are allowed`},
		"SC-08 a client whose scopes imply more than a token carries": {minimal + "[scopes]\n" + manyScopes("%[1]q = { implies = [\"x-%[1]s\"] }\n\"x-%[1]s\" = {}\n", 51) +
			"[[clients]]\nclient_id = \"c\"\nscope = \"" + strings.TrimSpace(manyScopes("%s ", 51)) + "\"\nsecrets = [{ hash = \"" + goodHash + "\" }]\n", `clients[0].scope: with all that its scopes imply, no token can carry it: 102 scope tokens`},
		"a client without a secret":               {minimal + "[[clients]]\nclient_id = \"c\"\n", `clients[0].secrets: a client without a secret is public only if it says so`},
		"a client's scope that does not exist":    {minimal + "[[clients]]\nclient_id = \"c\"\nscope = \"nope\"\nsecrets = [{ hash = \"" + goodHash + "\" }]\n", `config.toml:4:1: clients[0].scope: "nope" is not in [scopes]`},
		"a wildcard over grantor:":                {minimal + "[[clients]]\nclient_id = \"c\"\nscope = \"grantor:*\"\nsecrets = [{ hash = \"" + goodHash + "\" }]\n", `config.toml:4:1: clients[0].scope: malformed scope: scopes that begin with "grantor:" are allowed one by one`},
		"a public client with client_credentials": {minimal + "[[clients]]\nclient_id = \"c\"\ntoken_endpoint_auth_method = \"none\"\ngrant_types = [\"client_credentials\"]\n", `config.toml:5:1: clients[0].grant_types: client_credentials is for confidential clients only`},
		"two clients of one id":                   {minimal + strings.Repeat("[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \""+goodHash+"\" }]\n", 2), `config.toml:6:1: clients[1].client_id: is also the id of clients[0]`},
		"introspect audience without a resource":  {minimal + "[[clients]]\nclient_id = \"c\"\nintrospect = \"audience\"\nsecrets = [{ hash = \"" + goodHash + "\" }]\n", `config.toml:4:1: clients[0].introspect: introspect = "audience" needs resource`},
		"a secret without a hash":                 {minimal + "[[clients]]\nclient_id = \"c\"\nsecrets = [{ expires_at = 2027-01-01T00:00:00Z }]\n", `clients[0].secrets[0].hash: a secret's hash is "sha256:"`},
		"an expiry without a zone":                {minimal + "[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \"" + goodHash + "\", expires_at = 2027-01-01 }]\n", `config.toml:4:96: clients[0].secrets[0].expires_at: must have a time zone`},
		"S-67 a demo secret off loopback":         {"listen = \":443\"\ntls.mode = \"proxy\"\nissuer = \"https://auth.example.com\"\nredis.url = \"redis://r\"\n[[clients]]\nclient_id = \"renamed\"\nsecrets = [{ hash = \"" + demoMachineHash + "\" }]\n", `config.toml:7:1: clients[0].secrets: has the published demo secret`},
		"S-67 the demo behind a proxy": {minimal + "tls.mode = \"proxy\"\n[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \"" + demoMachineHash + "\" }]\n",
			"config.toml:5:1: clients[0].secrets: has the published demo secret. With a proxy in front"},
		"S-67 the demo with trusted proxies": {minimal + "trusted_proxies = [\"127.0.0.1\"]\n[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \"" + demoAPIHash + "\" }]\n",
			"config.toml:5:1: clients[0].secrets: has the published demo secret. With a proxy in front"},
		"TE-01 metrics off loopback without TLS":                     {minimal + "[metrics]\nlisten = \":9090\"\n", `config.toml:3:1: metrics.listen: off loopback needs [tls] mode = "files", or "proxy"`},
		"TE-01 pprof off loopback without TLS":                       {minimal + "[metrics]\nlisten = \"0.0.0.0:9090\"\npprof = true\n", `config.toml:3:1: metrics.listen: off loopback needs [tls] mode = "files", or "proxy"`},
		"TE-01 the admin listener off loopback without TLS":          {"redis.url = \"redis://r\"\n[admin]\nlisten = \"[::]:8090\"\n", `config.toml:3:1: admin.listen: off loopback needs [tls] mode = "files", or "proxy"`},
		"a name of the metrics listener with a port":                 {minimal + "[metrics]\nhosts = [\"grantor-1:9090\"]\n", `config.toml:3:1: metrics.hosts[0]: must be a name such as "grantor-1"`},
		"an admin URL in clear":                                      {minimal + "[admin]\nurl = \"http://admin.example.com\"\n", "config.toml:3:1: admin.url: must begin with https:// off loopback"},
		"an admin URL with a slash at its end":                       {minimal + "[admin]\nurl = \"https://admin.example.com/\"\n", "config.toml:3:1: admin.url: must be a URL without query, fragment and final slash"},
		"no session for a user":                                      {minimal + "[limits]\nsessions_per_user = 0\n", "config.toml:3:1: limits.sessions_per_user: must be 1 to 1000, or -1 for no limit"},
		"more sessions of a user than a script should look at":       {minimal + "[limits]\nsessions_per_user = 1001\n", "config.toml:3:1: limits.sessions_per_user: must be 1 to 1000, or -1 for no limit"},
		"sessions of users, for a client without users":              {minimal + "[[clients]]\nclient_id = \"m\"\ngrant_types = [\"client_credentials\"]\nscope = \"grantor:sessions\"\nsecrets = [{ hash = \"sha256:" + strings.Repeat("0", 64) + "\" }]\n", "\"grantor:sessions\" is for the tokens of users: the client needs the grant type password"},
		"an IPv6 prefix that is nobody's":                            {minimal + "[limits]\nipv6_prefix = 16\n", "config.toml:3:1: limits.ipv6_prefix: must be 32 to 128"},
		"a header of pages that is none":                             {minimal + "[cors]\nheaders = [\"X-A\", \"*\"]\n", `config.toml:3:1: cors.headers[1]: must be the name of a header`},
		"SV-03 a trust domain without its bundle endpoint":           {minimal + "[[trusted_issuers]]\nissuer = \"spiffe://example.org\"\n", "config.toml:2:3: trusted_issuers[0].jwks_uri: is missing: a trust domain needs the URL of its bundle endpoint"},
		"SV-03 a workload in place of a trust domain":                {minimal + "[[trusted_issuers]]\nissuer = \"spiffe://example.org/a\"\njwks_uri = \"https://b\"\n", "config.toml:3:1: trusted_issuers[0].issuer: must be the trust domain alone"},
		"SV-03 a bundle endpoint without TLS":                        {minimal + "[[trusted_issuers]]\nissuer = \"spiffe://example.org\"\njwks_uri = \"http://b\"\n", "config.toml:4:1: trusted_issuers[0].jwks_uri: must be an absolute URL"},
		"SV-04 a workload of another trust domain":                   {minimal + svidClient("spiffe://example.com/billing"), `clients[0].assertion: subject must be a SPIFFE ID below the issuer, as in "spiffe://example.org/billing": it names no workload of this trust domain`},
		"SV-04 a trust domain in place of a workload":                {minimal + svidClient("spiffe://example.org"), "it names no workload of this trust domain"},
		"SV-04 a subject that is no SPIFFE ID":                       {minimal + svidClient("system:serviceaccount:shop:billing"), "a SPIFFE ID begins with spiffe://"},
		"CJ-05 assertions that are valid for too long":               {minimal + "[limits]\nassertion_max_ttl = \"30d\"\n", "config.toml:3:1: limits.assertion_max_ttl: must be between 1m and 24h"},
		"an include that is not there":                               {minimal + "include = [\"none.toml\"]\n", `config.toml:2:1: include[0]: there is no file `},
		"RT-17 an idle life beyond the absolute one":                 {minimal + "[tokens]\nrefresh_ttl = \"91d\"\n", "config.toml:3:1: tokens.refresh_ttl: refresh_ttl must be 1s or more, and at most refresh_max_ttl"},
		"a retry window beyond a quarter of the access token's life": {minimal + "[tokens]\nretry_window = \"5m\"\n", "config.toml:3:1: tokens.retry_window: retry_window must be between 0s and a quarter of access_ttl, here 3m45s"},
		"a user without a usable hash":                               {minimal + "[[users.config]]\nid = \"u\"\nusername = \"a\"\npassword_hash = \"hunter2\"\n", "config.toml:5:1: users.config[0].password_hash: "},
		"a scope of users that does not exist":                       {minimal + "[scopes]\n\"orders:read\" = {}\n[users]\nscope = \"order:read\"\n", `config.toml:5:1: users.scope: no scope of [scopes] matches "order:read"`},
		"a user's wildcard for nothing":                              {minimal + "[scopes]\n\"orders:read\" = {}\n[[users.config]]\nid = \"u\"\nusername = \"u\"\npassword_hash = \"" + demoUserHash + "\"\nscope = \"orders:read order:*\"\n", `config.toml:8:1: users.config[0].scope: no scope of [scopes] matches "order:*"`},
		"a user with power over Grantor":                             {minimal + "[users]\nscope = \"grantor:admin\"\n", "config.toml:3:1: users.scope: scopes that begin with"},
		"sql without its queries":                                    {minimal + "grants.password = true\n[users]\nsource = \"sql\"\n", "users.sql.query: is required with source = \"sql\""},
		"http without a URL":                                         {minimal + "grants.password = true\n[users]\nsource = \"http\"\n", "users.http: "},
		"users in Redis without Redis":                               {minimal + "grants.password = true\n[users]\nsource = \"redis\"\n", "config.toml:4:1: users.source: \"redis\" needs store"},
		"S-67 the demo password off loopback":                        {"listen = \":443\"\ntls.mode = \"proxy\"\nissuer = \"https://auth.example.com\"\nredis.url = \"redis://r\"\n[[users.config]]\nid = \"u\"\nusername = \"a\"\npassword_hash = \"" + demoUserHash + "\"\n", "config.toml:8:1: users.config[0].password_hash: is the hash of the published demo password"},
		"an unknown word for missing replicas":                       {"redis.url = \"redis://r\"\nredis.wait_missing = \"present\"\n", "config.toml:2:1: redis.wait_missing: must be \"refuse\" or \"degrade\""},
		"a negative number of replicas to wait for":                  {"redis.url = \"redis://r\"\nredis.wait_replicas = -1\n", "config.toml:2:1: redis.wait_replicas: must be 0 or more"},
	} {
		t.Run(name, func(t *testing.T) { require.Contains(t, mistakes(t, c.text), c.want) })
	}
	t.Run("a secret in the place of its hash is not repeated", func(t *testing.T) {
		got := mistakes(t, minimal+"[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \"hunter2\" }]\n")
		require.Contains(t, got, "config.toml:4:14: clients[0].secrets[0].hash: a secret's hash is")
		require.NotContains(t, got, "hunter2")
	})
	t.Run("all mistakes at once", func(t *testing.T) {
		got := mistakes(t, minimal+"a = 1\nissuer = 2\n[log]\nlevel = \"loud\"\nformat = \"xml\"\n")
		require.Equal(t, 4, strings.Count(got, "\n")+1, got)
	})
	t.Run("S-62 an empty or missing file", func(t *testing.T) {
		require.Contains(t, mistakes(t, ""), "redis.url")
		_, _, err := Load(Options{Path: "/nonexistent/config.toml"})
		require.ErrorContains(t, err, "/nonexistent/config.toml: cannot be read: no such file or directory")
	})
}

// manyScopes writes a form for each of n scopes.
func manyScopes(form string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form, fmt.Sprintf("scope-%d", i))
	}
	return b.String()
}

func TestPassedOver(t *testing.T) {
	const signs = `{ kty = "EC", crv = "P-256", x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" }`
	client := minimal + "[[clients]]\nclient_id = \"c\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\njwks.keys = ["
	t.Run("RFC 7517 §5 a key for something else is warned of", func(t *testing.T) {
		_, warnings, err := Load(Options{Path: write(t, client+signs+", { kty = \"RSA\", use = \"enc\" }]\n")})
		require.NoError(t, err)
		require.Contains(t, strings.Join(warnings, "\n"), `client "c": jwks: passed over: keys[1]: use must be "sig"`)
	})
	t.Run("RFC 7517 §5 and refused where it is the only one", func(t *testing.T) {
		require.Contains(t, mistakes(t, client+"{ kty = \"AKP\" }]\n"), "clients[0].jwks: there is no key in it that can be used: keys[0]: kty must be RSA, EC or OKP")
	})
}

func TestWideClients(t *testing.T) {
	t.Run("SC-08 a client that may ask by wildcard for more than a token carries is warned of", func(t *testing.T) {
		_, warnings, err := Load(Options{Path: write(t, minimal+"[scopes]\n"+manyScopes("\"a:%s\" = { resource = \"https://a.example.com\" }\n", 101)+
			"[[clients]]\nclient_id = \"c\"\nscope = \"a:*\"\nsecrets = [{ hash = \""+goodHash+"\" }]\n")})
		require.NoError(t, err)
		require.Contains(t, strings.Join(warnings, "\n"), `client "c": one token cannot carry all scopes that it may request: 101 scope tokens`)
	})
}

func TestEnvironment(t *testing.T) {
	load := func(t *testing.T, environ ...string) *Config {
		c, _, err := Load(Options{Path: write(t, minimal+"trusted_proxies = [\"10.0.0.1\"]\n"), Environ: environ})
		require.NoError(t, err)
		return c
	}
	t.Run("a variable wins over the file; lists are divided by commas", func(t *testing.T) {
		c := load(t, "GRANTOR_TRUSTED_PROXIES=10.0.0.2, 10.0.0.3", "GRANTOR_TOKENS__ACCESS_TTL=5m", "GRANTOR_LIMITS__CLIENT_FAILURES=7", "GRANTOR_REDIS__TLS=true")
		require.Equal(t, []string{"10.0.0.2", "10.0.0.3"}, c.TrustedProxies)
		require.Equal(t, 5*time.Minute, c.Tokens.AccessTTL)
		require.Equal(t, 7, c.Limits.ClientFailures)
		require.True(t, c.Redis.TLS)
	})
	t.Run("an empty variable counts as unset", func(t *testing.T) {
		require.Equal(t, []string{"10.0.0.1"}, load(t, "GRANTOR_TRUSTED_PROXIES=").TrustedProxies)
	})
	t.Run("a secret from a file, its last newline cut", func(t *testing.T) {
		secret := filepath.Join(t.TempDir(), "s")
		require.NoError(t, os.WriteFile(secret, []byte("pass word\n"), 0o600))
		require.Equal(t, SecretText("pass word"), load(t, "GRANTOR_REDIS__PASSWORD_FILE="+secret).Redis.Password)
	})
	t.Run("names of Kubernetes and of commands are left alone", func(t *testing.T) {
		load(t, "GRANTOR_PORT=tcp://10.0.0.1:80", "GRANTOR_PORT_80_TCP=tcp://x", "GRANTOR_SERVICE_HOST=x", "GRANTOR_TEST_X=1",
			"GRANTOR_CONFIG=x", "GRANTOR_CLIENT_ID=x", "GRANTOR_CLIENT_SECRET=x")
	})
	t.Run("names of Kubernetes for services beside grantor are left alone", func(t *testing.T) {
		load(t, "GRANTOR_METRICS_SERVICE_HOST=10.0.0.1", "GRANTOR_METRICS_SERVICE_PORT=9090", "GRANTOR_METRICS_SERVICE_PORT_HTTP_METRICS=9090",
			"GRANTOR_ADMIN_PORT=tcp://10.0.0.1:8081", "GRANTOR_ADMIN_PORT_8081_TCP=tcp://10.0.0.1:8081", "GRANTOR_ADMIN_PORT_8081_TCP_PROTO=tcp",
			"GRANTOR_REDIS_MASTER_PORT_6379_TCP_ADDR=10.0.0.1", "GRANTOR_REDIS_MASTER_PORT_6379_TCP_PORT=6379", "GRANTOR_PORT_53_UDP_ADDR=10.0.0.1", "GRANTOR_TOKENS_SERVICE_HOST=10.0.0.1")
	})
	for _, typo := range []string{"GRANTOR_PORT=8080", "GRANTOR_ADMIN_PORT=8081", "GRANTOR_REDIS_URL=redis://x", "GRANTOR_ADMIN__PORT=tcp://x", "GRANTOR_PORT_TCP=x", "GRANTOR_TLS_PORT_X_TCP=1", "GRANTOR_METRICS_HOST=x", "GRANTOR_REDIS__SERVICE_HOST=x"} {
		t.Run(typo+" is a mistake", func(t *testing.T) {
			name, _, _ := strings.Cut(typo, "=")
			require.Contains(t, mistakes(t, minimal, typo), name+": no key has this variable")
		})
	}
	const innocent = "store = \"redis\"\nredis.url = \"redis://r\"\ntrusted_proxies = [\"10.0.0.1\"]\nlisten = \"127.0.0.1:1\"\n[tokens]\naccess_ttl = \"15m\"\nretry_window = \"20s\"\nrefresh_ttl = \"30d\"\n[server]\nshutdown_timeout = \"1s\"\n[tls]\nmode = \"\"\n"
	for variable, want := range map[string]string{
		"GRANTOR_TRUSTED_PROXIES=10.0.0.2,lb":             "must be an address or a network",
		"GRANTOR_TOKENS__ACCESS_TTL=40s":                  "must be between 0s and a quarter of access_ttl",
		"GRANTOR_TOKENS__REFRESH_MAX_TTL=1d":              "at most refresh_max_ttl",
		"GRANTOR_TOKENS__NOT_BEFORE=2999-01-01T00:00:00Z": "more than a minute ahead",
		"GRANTOR_REDIS__WAIT_TIMEOUT=-1s":                 "must be positive",
		"GRANTOR_REDIS__MODE=cluster":                     "mode = \"cluster\" requires addrs",
		"GRANTOR_SERVER__SHUTDOWN_DELAY=-1s":              "must not be negative",
		"GRANTOR_TLS__CERT_FILE=/x":                       "are used with mode = \"files\" only",
		"GRANTOR_TLS__MODE=files":                         "needs cert_file and key_file",
		"GRANTOR_ADMIN__LISTEN=127.0.0.1:1":               "the public listener has the same address",
		"GRANTOR_STORE=memory":                            "",
		"GRANTOR_LISTEN=0.0.0.0:1":                        "off loopback needs",
	} {
		name, _, _ := strings.Cut(variable, "=")
		t.Run("a bad "+name+" is reported at its name, not at a line of the file", func(t *testing.T) {
			text := innocent
			if want == "" { // what does not fit to it stands in the file
				text, want = innocent+"[audit]\noutput = \"redis\"\n", "needs store = \"redis\""
			}
			got := mistakes(t, text, variable)
			require.Contains(t, got, name+": ")
			require.Contains(t, got, want)
			require.NotContains(t, got, "config.toml:", got)
		})
	}
	for name, c := range map[string]struct{ variable, want string }{
		"an unknown name": {"GRANTOR_REDIS__URLS=x", "GRANTOR_REDIS__URLS: no key has this variable; did you mean GRANTOR_REDIS__URL?"},
		"a bad value":     {"GRANTOR_TOKENS__ACCESS_TTL=soon", `GRANTOR_TOKENS__ACCESS_TTL: must be a duration such as "15m"`},
		"an array":        {"GRANTOR_CLIENTS=x", "GRANTOR_CLIENTS: no key has this variable"},
	} {
		t.Run(name+" is a mistake", func(t *testing.T) { require.Contains(t, mistakes(t, minimal, c.variable), c.want) })
	}
	t.Run("both a secret and its file is a mistake", func(t *testing.T) {
		require.Contains(t, mistakes(t, minimal, "GRANTOR_REDIS__PASSWORD=a", "GRANTOR_REDIS__PASSWORD_FILE=b"), "and GRANTOR_REDIS__PASSWORD are both set: use one")
	})
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	client := func(id string) string {
		return "[[clients]]\nclient_id = \"" + id + "\"\nsecrets = [{ hash = \"" + goodHash + "\" }]\n"
	}
	main := filepath.Join(dir, "config.toml")
	put("config.toml", minimal+"include = [\"conf.d/*.toml\"]\n[scopes]\na = {}\n"+client("one"))
	put("conf.d/10.toml", "[scopes]\nb = {}\n"+client("two"))
	put("conf.d/20.toml", client("three"))
	t.Run("clients and scopes of all files add up, in order", func(t *testing.T) {
		c, _, err := Load(Options{Path: main})
		require.NoError(t, err)
		require.Equal(t, "a b", c.Catalogue().Names().String())
		var ids []string
		for _, cl := range c.Registrations() {
			ids = append(ids, cl.ID)
		}
		require.Equal(t, []string{"one", "two", "three"}, ids)
		require.Len(t, c.Files, 3)
	})
	t.Run("a mistake is reported in its own file", func(t *testing.T) {
		put("conf.d/20.toml", client("three")+"scope = \"nope\"\n")
		_, _, err := Load(Options{Path: main})
		require.ErrorContains(t, err, "conf.d/20.toml:4:1: clients[2].scope: ")
	})
	t.Run("one key in two files is a mistake", func(t *testing.T) {
		put("conf.d/20.toml", "store = \"redis\"\n")
		_, _, err := Load(Options{Path: main})
		require.ErrorContains(t, err, "conf.d/20.toml:1:1: store: is set in "+main+" as well; one file only")
	})
	t.Run("an included file includes nothing", func(t *testing.T) {
		put("conf.d/20.toml", "include = [\"x\"]\n")
		_, _, err := Load(Options{Path: main})
		require.ErrorContains(t, err, "conf.d/20.toml:1:1: include: an included file cannot include others")
	})
}

func TestTrial(t *testing.T) {
	t.Run("--trial keeps tokens in memory on any listener", func(t *testing.T) {
		c, _, err := Load(Options{Path: write(t, ""), Trial: true, Listen: ":9000"})
		require.NoError(t, err)
		require.Equal(t, StoreMemory, c.Store)
		require.Equal(t, ":9000", c.Listen)
	})
	t.Run("--trial refuses [redis]", func(t *testing.T) {
		_, _, err := Load(Options{Path: write(t, "redis.url = \"redis://r\"\n"), Trial: true})
		require.ErrorContains(t, err, "--trial keeps tokens in memory and takes no [redis]")
	})
}

func TestShippedFile(t *testing.T) {
	const shipped = "../config.toml"
	c, warnings, err := Load(Options{Path: shipped})
	require.NoError(t, err)
	require.Len(t, warnings, 2)
	require.Contains(t, warnings[0], "RFC 9700 §2.4")
	require.Contains(t, warnings[1], "the secrets of the demo are public")
	require.True(t, c.Demo())
	t.Run("the demo secrets are those of the constants", func(t *testing.T) {
		require.Equal(t, demoMachineHash, clients.HashSecret(DemoMachineSecret).String())
		require.Equal(t, demoAPIHash, clients.HashSecret(DemoAPISecret).String())
	})
	t.Run("every key stands in it", func(t *testing.T) {
		text, err := os.ReadFile(shipped)
		require.NoError(t, err)
		for _, typ := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[TLS](), reflect.TypeFor[Server](), reflect.TypeFor[Redis](),
			reflect.TypeFor[Tokens](), reflect.TypeFor[ScopeEntry](), reflect.TypeFor[clients.Registration](), reflect.TypeFor[clients.Secret](), reflect.TypeFor[Grants](), reflect.TypeFor[Users](), reflect.TypeFor[SQLSource](), reflect.TypeFor[HTTPSource](), reflect.TypeFor[UserEntry](), reflect.TypeFor[Hooks](), reflect.TypeFor[ClaimsHook](), reflect.TypeFor[Limits](), reflect.TypeFor[Feed](), reflect.TypeFor[Log](),
			reflect.TypeFor[Audit](), reflect.TypeFor[MetricsListener](), reflect.TypeFor[Tracing](), reflect.TypeFor[Admin](), reflect.TypeFor[CORS]()} {
			for _, key := range keysOf(typ) {
				require.Contains(t, string(text), strings.TrimSuffix(key, "_file"))
			}
		}
	})
	t.Run("values other than the demo's are the defaults", func(t *testing.T) {
		want := Default()
		require.Equal(t, want.Issuer, c.Issuer)
		require.Equal(t, want.Listen, c.Listen)
		require.Equal(t, want.Server, c.Server)
		require.Equal(t, want.Tokens, c.Tokens)
		require.Equal(t, want.Limits, c.Limits)
		require.Equal(t, want.Feed, c.Feed)
		require.Equal(t, want.Hooks, c.Hooks)
		require.Equal(t, want.Log, c.Log)
		c.Redis.Addrs = nil
		require.Equal(t, want.Redis, c.Redis)
	})
}

func TestShow(t *testing.T) {
	name := write(t, minimal+"[redis]\npassword = \"hunter2\"\n[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \""+goodHash+"\" }]\n")
	c, _, err := Load(Options{Path: name, Environ: []string{"GRANTOR_TOKENS__ACCESS_TTL=5m"}})
	require.NoError(t, err)
	out := c.Show()
	require.Contains(t, out, "store = \"memory\"  # "+name)
	require.Contains(t, out, "access_ttl = \"5m\"  # GRANTOR_TOKENS__ACCESS_TTL")
	require.Contains(t, out, "listen = \"127.0.0.1:8080\"  # default")
	require.NotContains(t, out, "hunter2")
	require.NotContains(t, out, goodHash)
	again, _, err := Load(Options{Path: write(t, strings.ReplaceAll(out, "hash = \"[set]\"", "hash = \""+goodHash+"\""))})
	require.NoError(t, err, "what is shown is TOML that loads: %s", out)
	require.Equal(t, c.Tokens, again.Tokens)
}

func TestWarnings(t *testing.T) {
	_, warnings, err := Load(Options{Path: write(t, minimal+"[scopes]\nlonely = {}\n[limits]\nclient_failures = -1\n")})
	require.NoError(t, err)
	require.Len(t, warnings, 2)
	require.Contains(t, warnings[1], `scope "lonely": no client can introspect its tokens`)
	_, warnings, err = Load(Options{Path: write(t, "redis.url = \"redis://r\"\ntls.mode = \"proxy\"\n[metrics]\nlisten = \":9090\"\npprof = true\n[admin]\nlisten = \":8090\"\n")})
	require.NoError(t, err, "a declared proxy")
	require.Contains(t, strings.Join(warnings, "\n"), "admin.url is not set")
	require.Contains(t, strings.Join(warnings, "\n"), "metrics.pprof is on off loopback")
}

func TestWarningsOfUsers(t *testing.T) {
	const users = minimal + "[grants]\npassword = true\n[scopes]\n\"orders:read\" = {}\n"
	entry := func(scope string) string {
		return "[[users.config]]\nid = \"u\"\nusername = \"ada\"\npassword_hash = \"" + demoUserHash + "\"\n" + scope
	}
	for text, warned := range map[string]bool{
		users + entry(""):                                        true,
		users + entry("scope = \"orders:read\"\n"):               false,
		users + "[users]\nscope = \"orders:read\"\n" + entry(""): false,
	} {
		_, warnings, err := Load(Options{Path: write(t, text)})
		require.NoError(t, err)
		require.Equal(t, warned, strings.Contains(strings.Join(warnings, "\n"), `user "ada": the user has no scope`), "%s\n%s", text, warnings)
	}
}

// FuzzLoad: a file loads, and what is shown of it is TOML again; or each problem is a sentence.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(minimal + "[[clients]]\nclient_id = \"c\"\nsecrets = [{ hash = \"x\" }]\n"))
	f.Add([]byte("a.b.c = { d = [1, {e = 2}] }\n[[x]]\n[[x.y]]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(t.TempDir(), "c.toml")
		require.NoError(t, os.WriteFile(name, text, 0o600))
		c, _, err := Load(Options{Path: name})
		if err != nil {
			require.Nil(t, c)
			require.NotEmpty(t, err.Error())
			return
		}
		_, err = parseFile("shown", []byte(c.Show()))
		require.NoError(t, err)
	})
}

func TestByteOrderMark(t *testing.T) {
	const mark = "\xef\xbb\xbf"
	t.Run("the mark of an editor is no part of a file or secret", func(t *testing.T) {
		secret := filepath.Join(t.TempDir(), "s")
		require.NoError(t, os.WriteFile(secret, []byte(mark+"pass word\r\n"), 0o600))
		c, _, err := Load(Options{Path: write(t, mark+minimal), Environ: []string{"GRANTOR_REDIS__PASSWORD_FILE=" + secret}})
		require.NoError(t, err)
		require.Equal(t, SecretText("pass word"), c.Redis.Password)
		require.Contains(t, mistakes(t, mark+"lisen = 1\n"), "config.toml:1:1: lisen: ")
	})
	t.Run("another encoding is refused by its name", func(t *testing.T) {
		require.Contains(t, mistakes(t, "\xff\xfes\x00t\x00"), "config.toml: is UTF-16: save it as UTF-8")
		secret := filepath.Join(t.TempDir(), "s")
		require.NoError(t, os.WriteFile(secret, []byte("\xff\xfep\x00"), 0o600))
		require.Contains(t, mistakes(t, minimal, "GRANTOR_REDIS__PASSWORD_FILE="+secret), "GRANTOR_REDIS__PASSWORD_FILE: the file is UTF-16")
	})
}

func TestRead(t *testing.T) {
	const good = "[redis]\nurl = \"redis://r\"\nprefix = \"p:\"\n[tokens]\naccess_ttl = \"5m\"\n"
	for name, c := range map[string]struct {
		text   string
		broken []string // parts that are not to be trusted
	}{
		"an unknown key":                  {"lisen = 1\n" + good, nil},
		"a wrong value elsewhere":         {good + "[log]\nlevel = \"loud\"\n", []string{"log.level", "log"}},
		"a line without sense":            {"nonsense\n" + good, nil},
		"a key without a value":           {"issuer =\n" + good, []string{"issuer"}},
		"a quote that does not end":       {good + "[log]\nlevel = \"info\n", []string{"log", "log.level"}},
		"a header that does not end":      {good + "[log\nlevel = \"info\"\n", []string{"log.level"}},
		"a header in front":               {"[[clients]\nclient_id = \"c\"\nurl = \"x\"\n" + good, []string{"clients"}},
		"a table twice":                   {good + "[log]\n[log]\nlevel = \"info\"\n", []string{"log"}},
		"several of them":                 {"x\nissuer = http\n" + good + "[log]\nlevel = \"\n[cors\norigins = [\n", []string{"issuer", "log", "cors"}},
		"an include that cannot be read":  {"include = [\"none.toml\"]\n" + good, nil},
		"a variable that sets no key":     {good, nil},
		"a mistake in the part itself":    {good + "[redis]\ntls = true\n", []string{"redis"}},
		"a list that does not end at all": {"trusted_proxies = [\n" + good, []string{"redis", "listen"}},
	} {
		t.Run("S-62 "+name+": the rest can be read", func(t *testing.T) {
			cfg, _, problems := Read(Options{Path: write(t, c.text), Environ: []string{"GRANTOR_LOGS=1"}})
			require.NotEmpty(t, problems)
			for _, part := range c.broken {
				require.NotEmpty(t, cfg.Problems(part), part)
			}
			if !slices.Contains(c.broken, "redis") {
				require.Empty(t, cfg.Problems("redis", "store", "tokens"))
				require.Equal(t, SecretText("redis://r"), cfg.Redis.URL)
				require.Equal(t, "p:", cfg.Redis.Prefix)
				require.Equal(t, 5*time.Minute, cfg.Tokens.AccessTTL)
			}
		})
	}
}

func TestExposedSecrets(t *testing.T) {
	warned := func(text string, mode os.FileMode, environ ...string) string {
		name := write(t, minimal+text)
		require.NoError(t, os.Chmod(name, mode))
		_, warnings, err := Load(Options{Path: name, Environ: environ})
		require.NoError(t, err)
		return strings.Join(warnings, "\n")
	}
	const secret = "[redis]\npassword = \"hunter2\"\n"
	require.Contains(t, warned(secret, 0o644), "redis.password is a secret in a file that everybody on this machine can read")
	require.NotContains(t, warned(secret, 0o644), "hunter2")
	require.Contains(t, warned("redis.url = \"redis://:hunter2@r\"\n", 0o644), "redis.url is a secret")
	require.Empty(t, warned(secret, 0o640))
	require.Empty(t, warned(secret, 0o644, "GRANTOR_REDIS__PASSWORD=x"))
	require.Empty(t, warned("redis.url = \"redis://r\"\n", 0o644))
}

// svidClient is a client that JWT-SVIDs of a subject prove.
func svidClient(subject string) string {
	return "[[trusted_issuers]]\nissuer = \"spiffe://example.org\"\njwks_uri = \"https://bundle.example.org\"\n[[clients]]\nclient_id = \"c\"\n" +
		"token_endpoint_auth_method = \"private_key_jwt\"\nassertion = { issuer = \"spiffe://example.org\", subject = \"" + subject + "\" }\n"
}
