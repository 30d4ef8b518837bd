package server

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/lockout"
)

func TestTokenRequest(t *testing.T) {
	f := start(t)
	t.Run("TE-02 §3.2 only POST; 405 says which method", func(t *testing.T) {
		for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
			r := f.call(t, method, tokP+"?"+ask, "", authorization(app))
			refused(t, r, http.StatusMethodNotAllowed, codeInvalidRequest)
			require.Equal(t, "POST", r.header.Get("Allow"))
		}
	})
	t.Run("TE-03 §3.2 parameters never come from the query", func(t *testing.T) {
		refused(t, f.post(t, tokP+"?"+ask, app, ""), 400, codeInvalidRequest)
	})
	t.Run("SB-09 RFC 9700 §4.2 no answer of an endpoint with tokens may be a referrer", func(t *testing.T) {
		for _, path := range []string{tokP, intP, revP} {
			require.Equal(t, "no-referrer", f.post(t, path, app, "token=x").header.Get("Referrer-Policy"), path)
		}
	})
	t.Run("TE-04 §4.4.2 only application/x-www-form-urlencoded", func(t *testing.T) {
		r := f.call(t, "POST", tokP, `{"grant_type":"client_credentials"}`, authorization(app), "Content-Type: application/json")
		refused(t, r, 400, codeInvalidRequest)
		require.Equal(t, "the body must be application/x-www-form-urlencoded, not application/json (RFC 6749 section 4.4.2)", r.text("error_description"))
		multipart := "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--b--\r\n"
		refused(t, f.call(t, "POST", tokP, multipart, authorization(app), "Content-Type: multipart/form-data; boundary=b"), 400, codeInvalidRequest)
		refused(t, f.call(t, "POST", tokP, ask, authorization(app)), 400, codeInvalidRequest)
		refused(t, f.call(t, "POST", tokP, ask, authorization(app), formHeader, formHeader), 400, codeInvalidRequest)
	})
	t.Run("TE-05 RFC 9110 §8.3 media-type parameters are tolerated", func(t *testing.T) {
		r := f.call(t, "POST", tokP, ask, authorization(app), "Content-Type: Application/X-WWW-Form-Urlencoded; charset=UTF-8")
		require.Equal(t, 200, r.status, r.body)
	})
	t.Run("TE-06 §3.2 a parameter without a value counts as omitted", func(t *testing.T) {
		require.Equal(t, "orders:read", f.post(t, tokP, app, ask+"&scope=").text("scope"))
		refused(t, f.post(t, tokP, app, "grant_type="), 400, codeInvalidRequest)
	})
	t.Run("TE-07 §3.2 unknown parameters are ignored", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, app, ask+"&x_unknown=1").status)
	})
	t.Run("TE-08 §3.2 no parameter may occur twice", func(t *testing.T) {
		for _, body := range []string{ask + "&" + ask, ask + "&scope=plain&scope=plain", ask + "&x=1&x=2", ask + "&password=a&password=a", ask + "&scope=&scope="} {
			refused(t, f.post(t, tokP, app, body), 400, codeInvalidRequest)
		}
		require.Equal(t, 200, f.post(t, tokP+"?scope=nonsense", app, ask).status, "one in the query is ignored")
	})
	t.Run("TE-09 §5.2 S-46 a malformed body is an error, not a body with fewer parameters", func(t *testing.T) {
		for _, body := range []string{ask + "&scope=%zz", ask + "&a;b=1", ask + "&%", ask + "&scope=%"} {
			refused(t, f.post(t, tokP, app, body), 400, codeInvalidRequest)
		}
	})
	t.Run("TE-10 TE-12 a body of 3 MB is refused and harms nobody", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask+"&x="+strings.Repeat("a", 3<<20)), http.StatusRequestEntityTooLarge, codeInvalidRequest)
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
	})
	t.Run("TE-10 sixty thousand parameters are refused", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask+strings.Repeat("&", 60_000)), 400, codeInvalidRequest)
	})
	t.Run("TE-10 S-42 an encoded body is refused, not inflated", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask, "Content-Encoding: gzip"), 400, codeInvalidRequest)
	})
	t.Run("TE-11 a header of 100 kB is refused with 431", func(t *testing.T) {
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, f.post(t, tokP, app, ask, "X-Long: "+strings.Repeat("a", 100<<10)).status)
	})
	t.Run("TE-13 RFC 9700 §2.6 OPTIONS is refused politely and no CORS header is sent", func(t *testing.T) {
		r := f.call(t, "OPTIONS", tokP, "", "Origin: https://evil.example", "Access-Control-Request-Method: POST")
		require.Equal(t, http.StatusMethodNotAllowed, r.status)
		require.Empty(t, r.header.Values("Access-Control-Allow-Origin"))
	})
	t.Run("TE-14 RFC 6749 App. B values are UTF-8 without NUL", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask+"&username=%ff"), 400, codeInvalidRequest)
		refused(t, f.post(t, tokP, app, ask+"&username=a%00b"), 400, codeInvalidRequest)
	})
	t.Run("TE-15 V-30 RFC 9700 §4.12 no redirect repeats the POST", func(t *testing.T) {
		for _, path := range []string{tokP + "/", "/OAUTH2/token", "//oauth2/token"} {
			r := f.post(t, path, app, ask, "X-Forwarded-Prefix: //evil.example")
			refused(t, r, http.StatusNotFound, codeInvalidRequest)
			require.Empty(t, r.header.Get("Location"))
		}
	})
}

func TestClientAuthentication(t *testing.T) {
	f := start(t)
	t.Run("CA-01 §2.3.1 both halves of Basic are form-decoded", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, "a%3Ab+c:x%2B%26%3D%25y", ask).status)
		require.Equal(t, 200, f.post(t, tokP, "app:app%2Dsecret", ask).status)
	})
	t.Run("CA-02 §2.3.1 id and secret in the body", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, "", ask+"&client_id=app&client_secret=app-secret").status)
	})
	t.Run("CA-03 RFC 9110 §11.1 the scheme's name is case insensitive", func(t *testing.T) {
		h := strings.Replace(authorization(app), "Basic", "bAsIc", 1)
		require.Equal(t, 200, f.post(t, tokP, "", ask, h).status)
	})
	t.Run("CA-04 §2.3 one method a request", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask+"&client_secret=app-secret"), 400, codeInvalidRequest)
		refused(t, f.post(t, tokP, app, ask, authorization(app)), 400, codeInvalidRequest)
	})
	t.Run("CA-05 §2.3.1 credentials never come from the URI", func(t *testing.T) {
		refused(t, f.post(t, tokP+"?client_id=app&client_secret=app-secret", "", ask), 401, codeInvalidClient)
	})
	t.Run("CA-07 RFC 7591 §2 the registered method is the only one", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, "basic-only:s", ask).status)
		refused(t, f.post(t, tokP, "", ask+"&client_id=basic-only&client_secret=s"), 401, codeInvalidClient)
	})
	t.Run("CA-08 §5.2 failed authentication is 401 invalid_client", func(t *testing.T) {
		refused(t, f.post(t, tokP, "app:wrong", ask), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "nobody:wrong", ask), 401, codeInvalidClient)
	})
	t.Run("CA-09 §5.2 with a challenge of the scheme", func(t *testing.T) {
		require.Regexp(t, `^Basic realm="[^"]+"`, f.post(t, tokP, "app:wrong", ask).header.Get("WWW-Authenticate"))
	})
	t.Run("CA-10 S-05 unknown, wrong, expired and disabled look the same", func(t *testing.T) {
		want := f.post(t, tokP, "app:wrong", ask)
		for _, basic := range []string{"nobody:s", "disabled:s", "disabled:wrong", "expiring:old", "public:s"} {
			got := f.post(t, tokP, basic, ask)
			require.Equal(t, want.status, got.status)
			require.Equal(t, want.body, got.body, basic)
			for _, h := range []string{"Date", "X-Request-Id"} {
				got.header.Del(h)
				want.header.Del(h)
			}
			require.Equal(t, want.header, got.header, basic)
		}
	})
	t.Run("CA-11 §5.2 no authentication at all", func(t *testing.T) {
		refused(t, f.post(t, tokP, "", ask), 401, codeInvalidClient)
	})
	t.Run("CA-12 §2.2 an id alone never authenticates a confidential client, nor does an empty secret", func(t *testing.T) {
		refused(t, f.post(t, tokP, "", ask+"&client_id=app"), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "", ask+"&client_id=app&client_secret="), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "app:", ask), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "", ask+"&client_secret=app-secret"), 401, codeInvalidClient)
	})
	t.Run("CA-13 §3.2.1 client_id beside Basic must be the same", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, app, ask+"&client_id=app").status)
		refused(t, f.post(t, tokP, app, ask+"&client_id=nodefault"), 400, codeInvalidRequest)
	})
	t.Run("CA-14 §5.2 a malformed Authorization header is refused, never 5xx", func(t *testing.T) {
		b64 := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
		for _, h := range []string{"Basic", "Basic ", "Basic !!!!", b64("app"), b64("app:%zz"), b64("%zz:x"), b64("app:a\x00b"), b64("a\xff:b"),
			"Bearer x", "Digest username=\"app\"", b64(""), b64(":"), "Basic a b", ""} {
			refused(t, f.post(t, tokP, "", ask, "Authorization: "+h), 401, codeInvalidClient)
		}
	})
	t.Run("CA-15 RFC 6819 §5.1.4.1 no stored value is the secret", func(t *testing.T) {
		for _, c := range f.clients {
			for _, s := range c.Secrets {
				require.NotContains(t, s.Hash.String(), "secret")
				require.Regexp(t, "^sha256:[0-9a-f]{64}$", s.Hash.String())
			}
		}
	})
	t.Run("CA-17 RFC 9700 §2.5 two secrets are valid side by side, and an expired one is refused", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, "app:app-secret", ask).status)
		require.Equal(t, 200, f.post(t, tokP, "app:app-second", ask).status)
		require.Equal(t, 200, f.post(t, tokP, "expiring:new", ask).status)
		refused(t, f.post(t, tokP, "expiring:old", ask), 401, codeInvalidClient)
	})
	t.Run("S-67 the demo client works for a loopback peer and Host without forwarding headers only", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, "demo:demo", ask).status)
		refused(t, f.post(t, tokP, "demo:demo", ask, "Host: auth.example.com"), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "demo:demo", ask, "X-Forwarded-For: 10.0.0.1"), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, "demo:demo", ask, "Forwarded: for=10.0.0.1"), 401, codeInvalidClient)
	})
	t.Run("the log says the true reason and no secret", func(t *testing.T) {
		f.post(t, tokP, "nobody:hunter2-hunter2", ask)
		f.post(t, tokP, "disabled:s", ask)
		f.post(t, tokP, "expiring:old", ask)
		for _, reason := range []string{"unknown_client", "wrong_secret", "client_disabled", "secret_expired", "demo_client_off_loopback"} {
			require.Contains(t, f.log.String(), `"reason":"`+reason+`"`)
		}
		require.NotContains(t, f.log.String(), "hunter2")
		require.NotContains(t, f.log.String(), "app-secret")
	})
}

func TestClientFailuresAreLimited(t *testing.T) {
	f := start(t, func(c *Config) {
		c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 20, time.Minute)
		c.TrustedProxies = []string{"127.0.0.1", "::1"}
	})
	t.Run("CA-16 S-10 after 20 failures wrong secrets are 429 with Retry-After; from another address 401", func(t *testing.T) {
		for range 20 {
			refused(t, f.post(t, tokP, "app:wrong", ask), 401, codeInvalidClient)
		}
		r := f.post(t, tokP, "app:wrong", ask)
		refused(t, r, http.StatusTooManyRequests, codeInvalidClient)
		require.NotEmpty(t, r.header.Get("Retry-After"))
		refused(t, f.post(t, tokP, "app:wrong", ask, "X-Forwarded-For: 192.0.2.7"), 401, codeInvalidClient)
	})
	t.Run("S-15 a right secret always passes: one stale pod, or a neighbour behind the same NAT, locks nobody out", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
		require.Equal(t, 200, f.post(t, tokP, "app:app-second", ask).status)
		require.Equal(t, 200, f.post(t, intP, "gateway:rs", "token=x").status)
		refused(t, f.post(t, tokP, "app:wrong", ask), http.StatusTooManyRequests, codeInvalidClient)
	})
	t.Run("S-01 S-03 an unknown id is limited as a wrong secret is", func(t *testing.T) {
		for _, basic := range []string{"nobody:x", "app:wrong"} {
			from := "X-Forwarded-For: 198.51.100.1"
			if basic == "app:wrong" {
				from = "X-Forwarded-For: 198.51.100.2"
			}
			for range 20 {
				refused(t, f.post(t, tokP, basic, ask, from), 401, codeInvalidClient)
			}
			refused(t, f.post(t, tokP, basic, ask, from), http.StatusTooManyRequests, codeInvalidClient)
		}
	})
}

// countedLimit is a limit that remembers what it was asked to count.
type countedLimit struct {
	FailureLimit
	subjects map[string]int
}

func (c *countedLimit) Failed(ctx context.Context, subject string) error {
	c.subjects[subject]++
	return c.FailureLimit.Failed(ctx, subject)
}

func TestUnknownClientsAreLimited(t *testing.T) {
	limit := &countedLimit{lockout.NewRateLimit(lockout.NewMemory(), "client", 20, time.Minute), map[string]int{}}
	f := start(t, func(c *Config) { c.ClientFailures = limit })
	t.Run("S-54 3,000 random ids of one address: 429 after a bound, and few counters", func(t *testing.T) {
		passed := 0
		for i := range 3000 {
			r := f.post(t, tokP, fmt.Sprintf("id-%d:x", i), ask)
			if r.status == 401 {
				passed++
				continue
			}
			require.Equal(t, http.StatusTooManyRequests, r.status)
		}
		require.LessOrEqual(t, passed, 20*lockout.ClientCounters)
		require.LessOrEqual(t, len(limit.subjects), lockout.ClientCounters)
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
	})
}

func TestPublicClientsHaveNoSecret(t *testing.T) {
	f := start(t, func(c *Config) {
		c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 20, time.Minute)
		c.TrustedProxies = []string{"127.0.0.1", "::1"}
		c.RequestsPerSecond = 5
	})
	authenticated := func(r reply) { // the grant is not this client's, which is asked after who it is
		t.Helper()
		refused(t, r, 400, codeUnauthorizedClient)
	}
	t.Run("§2.3.1 an empty secret in the Authorization header is none", func(t *testing.T) {
		authenticated(f.post(t, tokP, "public:", ask))
		authenticated(f.post(t, tokP, "public:", ask+"&client_id=public"))
		authenticated(f.post(t, tokP, "", ask+"&client_id=public"))
		refused(t, f.post(t, tokP, "app:", ask), 401, codeInvalidClient)
		refused(t, f.post(t, tokP, ":", ask), 401, codeInvalidClient)
	})
	t.Run("S-15 a client without a secret has no failures to count", func(t *testing.T) {
		from := "X-Forwarded-For: 192.0.2.50"
		for range 30 {
			refused(t, f.post(t, tokP, "public:guess", ask, from), 401, codeInvalidClient)
		}
		authenticated(f.post(t, tokP, "", ask+"&client_id=public", from))
	})
	t.Run("S-15 requests_per_second of a public client counts at each address: a stranger shuts it for nobody else", func(t *testing.T) {
		limited := false
		for range 50 {
			limited = limited || f.post(t, tokP, "", ask+"&client_id=public", "X-Forwarded-For: 2001:db8:0:1::"+fmt.Sprint(len(f.log.String())%9999)).status == 429
		}
		require.True(t, limited, "one /64 is one address")
		authenticated(f.post(t, tokP, "", ask+"&client_id=public", "X-Forwarded-For: 2001:db8:0:2::1"))
	})
}

func TestForwardedHeadersAreNotBelieved(t *testing.T) {
	f := start(t, func(c *Config) {
		c.ClientFailures = lockout.NewRateLimit(lockout.NewMemory(), "client", 3, time.Minute)
	})
	t.Run("S-18 V-29 X-Forwarded-For of a stranger does not make a new address", func(t *testing.T) {
		for i := range 3 {
			f.post(t, tokP, "app:wrong", ask, "X-Forwarded-For: 192.0.2."+string(rune('1'+i)))
		}
		require.Equal(t, http.StatusTooManyRequests, f.post(t, tokP, "app:wrong", ask, "X-Forwarded-For: 192.0.2.99").status)
		require.Equal(t, 1, strings.Count(f.log.String(), "X-Forwarded-For ignored"), "and its sender is warned of once")
	})
}

func TestClientCredentials(t *testing.T) {
	f := start(t)
	t.Run("CC-01 §4.4.2 the request of the RFC", func(t *testing.T) {
		require.Equal(t, 200, f.post(t, tokP, app, "grant_type=client_credentials").status)
	})
	t.Run("CC-02 §4.4 confidential clients only", func(t *testing.T) {
		refused(t, f.post(t, tokP, "", ask+"&client_id=public"), 400, codeUnauthorizedClient)
	})
	t.Run("CC-03 §4.4.3 no refresh token", func(t *testing.T) {
		require.NotContains(t, f.post(t, tokP, app, ask).json, "refresh_token")
	})
	t.Run("CC-04 ER-04 §5.2 only clients that were given this grant", func(t *testing.T) {
		refused(t, f.post(t, tokP, "grantless:s", ask), 400, codeUnauthorizedClient)
	})
	t.Run("CC-05 SB-07 RFC 9700 §4.15 the subject says that it is a client", func(t *testing.T) {
		r := f.inspect(t, f.issue(t, ""))
		require.Equal(t, "client", r.text("sub_type"))
		require.Equal(t, "app", r.text("sub"))
		require.NotContains(t, r.json, "username")
	})
}

func TestTokenAnswer(t *testing.T) {
	f := start(t)
	r := f.post(t, tokP, app, ask)
	t.Run("TR-01 §5.1 200 application/json", func(t *testing.T) {
		require.Equal(t, 200, r.status)
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
	})
	t.Run("TR-02 §5.1 no-store", func(t *testing.T) {
		require.Equal(t, "no-store", r.header.Get("Cache-Control"))
		require.Equal(t, "no-cache", r.header.Get("Pragma"))
	})
	t.Run("TR-03 §5.1 access_token and token_type", func(t *testing.T) {
		require.NotEmpty(t, r.text("access_token"))
		require.Equal(t, "Bearer", r.text("token_type"))
	})
	t.Run("TR-04 §5.1 expires_in is a whole number and the real life", func(t *testing.T) {
		require.Contains(t, r.body, `"expires_in":900`)
		exp := f.inspect(t, r.text("access_token")).json["exp"].(float64)
		require.InDelta(t, float64(time.Now().Unix()+900), exp, 2)
	})
	t.Run("TR-05 §3.3 scope is said", func(t *testing.T) {
		require.Equal(t, "orders:read", r.text("scope"))
	})
	t.Run("TR-06 RFC 6750 §2.1 the token is a b64token", func(t *testing.T) {
		require.Regexp(t, regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`), r.text("access_token"))
	})
	t.Run("TR-07 §10.10 64 tokens at once are 64 different", func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				token := f.post(t, tokP, app, ask).text("access_token")
				mu.Lock()
				defer mu.Unlock()
				seen[token] = true
			})
		}
		wg.Wait()
		require.Len(t, seen, 64)
		require.NotContains(t, seen, "")
	})
	t.Run("TR-08 §5.1 few members and no null", func(t *testing.T) {
		require.Len(t, r.json, 4)
		require.NotContains(t, r.body, "null")
	})
	t.Run("every answer carries X-Request-Id", func(t *testing.T) {
		require.NotEmpty(t, r.header.Get("X-Request-Id"))
		require.NotEmpty(t, f.call(t, "GET", "/nope", "").header.Get("X-Request-Id"))
	})
}

func TestTokenErrors(t *testing.T) {
	f := start(t)
	t.Run("ER-01 §5.2 a missing required parameter is invalid_request", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ""), 400, codeInvalidRequest)
	})
	t.Run("ER-02 §5.2 an unknown grant is unsupported_grant_type; names are case sensitive", func(t *testing.T) {
		for _, g := range []string{"urn:example:x", "Client_Credentials", "authorization_code", "implicit", "password", "refresh_token", "__implicit"} {
			refused(t, f.post(t, tokP, app, "grant_type="+g), 400, codeUnsupportedGrantType)
		}
	})
	t.Run("ER-05 §5.2 a bad scope is 400 invalid_scope", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask+"&scope=nope"), 400, codeInvalidScope)
	})
	t.Run("ER-06 S-20 a store that does not answer is 503 with Retry-After", func(t *testing.T) {
		f.store.broken = errStoreGone
		defer func() { f.store.broken = nil }()
		r := f.post(t, tokP, app, ask)
		refused(t, r, 503, codeUnavailable)
		require.Regexp(t, "^[1-4]$", r.header.Get("Retry-After"))
		require.NotContains(t, r.body, errStoreGone.Error())
	})
	t.Run("ER-07 §5.2 descriptions keep to the RFC's characters", func(t *testing.T) {
		class := regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)
		for _, body := range []string{ask + "&scope=%22%5c", "grant_type=%22%0d%0aX: y", ask + "&scope=é", "x=%zz", ask + "&resource=%22"} {
			r := f.post(t, tokP, app, body)
			require.Equal(t, 400, r.status)
			require.Regexp(t, class, r.text("error_description"))
		}
		require.Regexp(t, class, describable("\"\\\x00é§ ünïcode\n"))
	})
	t.Run("ER-08 ER-09 §5.2 errors are application/json and no-store", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, "grant_type=x"), 400, codeUnsupportedGrantType)
	})
	t.Run("ER-10 unknown paths and panics answer JSON without a trace", func(t *testing.T) {
		refused(t, f.call(t, "GET", "/nope", ""), 404, codeInvalidRequest)
		f.server.public.GET("/panic", f.server.do("none", func(*exchange) error { panic("secret-in-panic") }))
		r := f.call(t, "GET", "/panic", "")
		refused(t, r, 500, codeServerError)
		require.NotContains(t, r.body, "secret-in-panic")
		require.NotContains(t, f.log.String(), "secret-in-panic")
		require.Contains(t, f.log.String(), "panic")
	})
}

func TestScope(t *testing.T) {
	f := start(t)
	scope := func(s string) reply { return f.post(t, tokP, app, ask+"&scope="+s) }
	t.Run("SC-01 §3.3 the grammar", func(t *testing.T) {
		for _, s := range []string{"a%22b", "a%5Cb", "plain%09other", "plain%0Aother", "%C3%A9", "plain++other", "+plain", "plain+"} {
			refused(t, scope(s), 400, codeInvalidScope)
		}
	})
	t.Run("SC-02 §3.3 what was granted is said when it differs", func(t *testing.T) {
		require.Equal(t, "orders:read orders:write", scope("orders:write").text("scope"))
	})
	t.Run("SC-03 §3.3 no scope asked: the default, or invalid_scope", func(t *testing.T) {
		require.Equal(t, "orders:read", f.post(t, tokP, app, ask).text("scope"))
		refused(t, f.post(t, tokP, "nodefault:s", ask), 400, codeInvalidScope)
	})
	t.Run("SC-04 §3.3 an unknown scope is refused", func(t *testing.T) {
		refused(t, scope("plain+unknown"), 400, codeInvalidScope)
		refused(t, scope("orders:*"), 400, codeInvalidScope)
	})
	t.Run("SC-05 a scope that the client was not given is never granted", func(t *testing.T) {
		refused(t, scope("other"), 400, codeInvalidScope)
		refused(t, scope("plain+grantor:admin"), 400, codeInvalidScope)
	})
	t.Run("SC-06 §3.3 order is meaningless and duplicates collapse", func(t *testing.T) {
		want := scope("orders:read+plain").text("scope")
		require.Equal(t, "orders:read plain", want)
		require.Equal(t, want, scope("plain+orders:read").text("scope"))
		require.Equal(t, want, scope("plain+plain+orders:read").text("scope"))
	})
	t.Run("SC-07 §3.3 case sensitive, whole tokens", func(t *testing.T) {
		for _, s := range []string{"ORDERS:READ", "orders:rea", "orders:read-only", "orders"} {
			refused(t, scope(s), 400, codeInvalidScope)
		}
	})
	t.Run("SC-08 S-47 fifty thousand tokens are refused", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask+"&scope="+strings.Repeat("a+", 20_000)+"a"), 400, codeInvalidScope)
		refused(t, f.post(t, tokP, app, ask+"&scope="+strings.Repeat("a+", 50_000)+"a"), 413, codeInvalidRequest)
	})
}

func TestResource(t *testing.T) {
	f := start(t)
	both := ask + "&scope=orders:read+invoices:read+plain"
	t.Run("RI-01 RFC 8707 §2 an absolute URI without a fragment, or invalid_target", func(t *testing.T) {
		for _, r := range []string{"foo", "https://orders.example.com%23x", "%20", "/x"} {
			refused(t, f.post(t, tokP, app, both+"&resource="+r), 400, codeInvalidTarget)
		}
	})
	t.Run("RI-02 RFC 8707 §2 an unknown one is invalid_target", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, both+"&resource=https://unknown.example"), 400, codeInvalidTarget)
	})
	t.Run("RI-03 RFC 8707 §2 several", func(t *testing.T) {
		r := f.post(t, tokP, app, both+"&resource="+ordersResource+"&resource="+invoicesResource)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, []any{invoicesResource, ordersResource}, f.inspect(t, r.text("access_token")).json["aud"])
	})
	t.Run("RI-04 RI-06 SB-01 RFC 8707 §2.2 audience and scopes are cut to the resource", func(t *testing.T) {
		r := f.post(t, tokP, app, both+"&resource="+ordersResource)
		require.Equal(t, "orders:read", r.text("scope"), r.body)
		require.Equal(t, []any{ordersResource}, f.inspect(t, r.text("access_token")).json["aud"])
	})
}

func TestEngineFailsClosed(t *testing.T) {
	f := start(t)
	t.Run("CA-06 V-04 without an authenticated client every step and every library call refuses", func(t *testing.T) {
		x := &exchange{Context: t.Context()}
		req, err := http.NewRequestWithContext(x, "POST", "/", nil)
		require.NoError(t, err)
		_, _, err = authenticatedClient(req)
		require.Error(t, err)
		_, err = clientStore{}.GetByID(x, "app")
		require.Error(t, err)
		require.False(t, libraryClient{x}.VerifyPassword("app-secret"))
		_, _, err = generator{f.server}.Token(x, nil, false)
		require.Error(t, err)
		require.Error(t, tokenStore{f.server}.Create(x, nil))
		require.Error(t, confidentialOnly(x))
		x.form = map[string][]string{"grant_type": {"client_credentials"}}
		require.Error(t, f.server.grantAllowed(x))
	})
}
