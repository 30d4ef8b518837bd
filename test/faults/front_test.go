package faults_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

const form = "application/x-www-form-urlencoded"

// tell sends a body as it stands with headers, and reads the answer; redirects are not followed.
func tell(t *testing.T, where, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, where, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", form)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	begun := time.Now()
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{status: res.StatusCode, header: res.Header, body: string(text), took: time.Since(begun)}
}

func (d *deployment) machineForm(more string) string {
	return "grant_type=client_credentials&client_id=machine-0&client_secret=" + url.QueryEscape(d.secret) + more
}

func TestSpoofedHeaders(t *testing.T) {
	t.Run("S-18 V-29 what a stranger says of where a request comes from is not believed", func(t *testing.T) {
		names := []string{"X-Forwarded-For: %s", "X-Real-IP: %s", "Forwarded: for=%s", "X-Client-IP: %s", "CF-Connecting-IP: %s", "True-Client-IP: %s", "X-Appengine-Remote-Addr: %s",
			"X-Original-Forwarded-For: %s", "X-Cluster-Client-IP: %s", "Fastly-Client-IP: %s"}
		believed := 0
		for _, name := range names {
			d := deploy(t, inMemory+"limits.client_failures = 3\n")
			n := d.serve(t)
			for i := range 3 {
				a := tell(t, n.URL+"/oauth2/token", "grant_type=client_credentials&client_id=machine-0&client_secret=wrong", fmt.Sprintf(name, fmt.Sprintf("192.0.2.%d", i+1)))
				require.Equal(t, 401, a.status, a.body)
			}
			a := tell(t, n.URL+"/oauth2/token", "grant_type=client_credentials&client_id=machine-0&client_secret=wrong", fmt.Sprintf(name, "192.0.2.99"))
			believed += btoi(a.status != 429)
			require.Equal(t, 429, a.status, name)
			n.kill()
		}
		d := deploy(t, inMemory)
		n := d.serve(t)
		certificates := []string{"X-Client-Cert: x", "X-SSL-Client-Verify: SUCCESS", "X-SSL-Client-S-DN: CN=machine-0", "X-Forwarded-Client-Cert: Subject=\"CN=machine-0\"", "X-Forwarded-User: machine-0", "X-Remote-User: machine-0"}
		for _, h := range certificates {
			a := tell(t, n.URL+"/oauth2/token", "grant_type=client_credentials&client_id=machine-0", h)
			believed += btoi(a.status == 200)
			require.Equal(t, 401, a.status, h)
		}
		line := fmt.Sprintf("%d headers spoofed, %d of an address and %d of a certificate or user: %d believed", len(names)+len(certificates), len(names), len(certificates), believed)
		figure(t, "S-18", line, "ignored from untrusted peers")
		figure(t, "V-29", fmt.Sprintf("3 wrong secrets from 3 addresses by %d spoofed headers, then one from a fourth: 429 each time", len(names)), "limited all the same")
	})
	t.Run("V-30 X-Forwarded-Prefix, or another path, makes no redirect", func(t *testing.T) {
		d := deploy(t, inMemory)
		n := d.serve(t)
		tried, redirects := 0, 0
		for _, path := range []string{"/oauth2/token/", "/OAUTH2/token", "//oauth2/token", "/oauth2//token", "/oauth2/./token", "/oauth2/introspect/"} {
			for _, h := range []string{"X-Forwarded-Prefix: //evil.example", "X-Forwarded-Prefix: /x", "X-Forwarded-Host: evil.example", "X-Original-URL: /oauth2/token"} {
				a := tell(t, n.URL+path, d.machineForm(""), h)
				tried++
				redirects += btoi(a.status/100 == 3 || a.header.Get("Location") != "")
				require.Equal(t, 404, a.status, "%s %s", path, h)
			}
		}
		figure(t, "V-30", fmt.Sprintf("%d requests beside the path, with X-Forwarded-Prefix and its like: %d redirects", tried, redirects), "no redirect at all")
		require.Zero(t, redirects)
	})
}

func TestReflection(t *testing.T) {
	t.Run("S-45 CR LF and quotes come back in no header and no error_description", func(t *testing.T) {
		d := deploy(t, inMemory+"limits.client_failures = -1\n")
		n := d.serve(t)
		class := regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]*$`)
		texts := []string{"hostile\r\nX-Evil: 1", "hostile\"", "hostile\\", "hostile\x01", "hostile\x7f", "hostile é", "hostile<script>", "hostile\", error=\"x"}
		tried, reflected := 0, 0
		for _, text := range texts {
			for _, field := range []string{"client_id", "client_secret", "grant_type", "scope", "username", "refresh_token", "token"} {
				for _, f := range forms(d, field, text) {
					a := tell(t, n.URL+f.path, f.form.Encode())
					tried++
					require.Less(t, a.status, 500)
					require.Empty(t, a.header.Get("X-Evil"))
					for _, values := range a.header {
						reflected += strings.Count(strings.Join(values, " "), "hostile")
					}
					reflected += strings.Count(a.body, "hostile")
					if m := regexp.MustCompile(`"error_description":"((?:[^"\\]|\\.)*)"`).FindStringSubmatch(a.body); m != nil {
						require.Regexp(t, class, m[1], field)
					}
				}
			}
		}
		figure(t, "S-45", fmt.Sprintf("%d requests with %d hostile texts: %d reflected, every error_description of the character class", tried, len(texts), reflected), "character class holds, nothing reflected")
		require.Zero(t, reflected)
	})
}

func TestParameters(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	d := deploy(t, inMemory, fmt.Sprintf(`[scopes."orders:write"]
resource = "https://orders.example.com"
[[clients]]
client_id = "wide-app"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:read orders:write"
default_scope = "orders:read"
[[users.config]]
id = "u-wide"
username = "wide"
password_hash = %q
scope = "orders:read orders:write"
`, hash))
	n := d.serve(t)
	t.Run("S-46 a parameter twice, or in the query, is 400", func(t *testing.T) {
		good := d.machineForm("")
		bodies := map[string][2]string{
			"grant_type":    {"", good + "&grant_type=client_credentials"},
			"scope":         {"", good + "&scope=orders:read&scope=orders:read"},
			"empty scope":   {"", good + "&scope=&scope=orders:read"},
			"client_id":     {"", good + "&client_id=machine-1"},
			"client_secret": {"", good + "&client_secret=x"},
			"escaped":       {"", good + "&grant%5Ftype=password"},
			"unknown":       {"", good + "&x=1&x=2"},
			"semicolon":     {"", good + ";scope=orders:read"},
			"query alone":   {"?grant_type=client_credentials", strings.TrimPrefix(good, "grant_type=client_credentials&")},
		}
		for name, b := range bodies {
			require.Equal(t, 400, tell(t, n.URL+"/oauth2/token"+b[0], b[1]).status, name)
		}
		a := tell(t, n.URL+"/oauth2/token?scope=nonsense&client_id=other", good)
		require.Equal(t, 200, a.status, "TE-08 one in the query and one in the body: the query is ignored")
		figure(t, "S-46", fmt.Sprintf("%d forms with a parameter twice or only in the query: %d × 400; one more in the query: ignored", len(bodies), len(bodies)), "400")
	})
	t.Run("S-47 no scope is injected, and fifty thousand are refused at once", func(t *testing.T) {
		c := newCaller(d)
		user := c.post(t.Context(), n.URL+"/oauth2/token", "", "", url.Values{"grant_type": {"password"}, "client_id": {"wide-app"}, "username": {"wide"}, "password": {password}, "scope": {"orders:read"}})
		require.Equal(t, 200, user.status, user.body) // of two scopes that app and user may have, one
		refresh := func(scope string) answer {
			return tell(t, n.URL+"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"wide-app"}, "refresh_token": {user.Refresh}, "scope": {scope}}.Encode())
		}
		scopes := []string{"ORDERS:READ", "orders:rea", "orders:read-only", "orders", "orders:*", "*", "orders:read\norders:write", "orders:read\torders:read", "orders:read\x00", "orders:\"read\"", "orders:read,orders:write",
			"orders:write", "grantor:admin", "grantor:clients", strings.Repeat("a ", 25_000)}
		granted := 0
		for _, s := range scopes {
			a := tell(t, n.URL+"/oauth2/token", d.machineForm("&scope="+url.QueryEscape(s)))
			b := refresh(s)
			granted += btoi(a.status == 200) + btoi(b.status == 200)
			require.Equal(t, [2]int{400, 400}, [2]int{a.status, b.status}, "%.40q", s)
		}
		fastest := time.Hour
		for range 5 { // the best of a few: others use this machine too
			a := tell(t, n.URL+"/oauth2/token", d.machineForm("&scope="+strings.Repeat("a+", 25_000)))
			require.Equal(t, 400, a.status)
			fastest = min(fastest, a.took)
		}
		require.Equal(t, 200, refresh("orders:read").status, "RT-05 the refusals burnt nothing")
		figure(t, "S-47", fmt.Sprintf("%d hostile scopes at issue and at refresh: %d granted, 400 each; 25,000 scopes in 50 kB refused in %d ms", len(scopes), granted, fastest.Milliseconds()), "400; < 100 ms")
		require.Less(t, fastest, 100*time.Millisecond)
	})
}

func TestSubstitution(t *testing.T) {
	other := tokens.NewSecret()
	d := deploy(t, inMemory+"limits.requests_per_second = 50\n", fmt.Sprintf(`[[clients]]
client_id = "other-api"
resource = "https://invoices.example.com"
introspect = "audience"
secrets = [{ hash = %q }]
`, clients.HashSecret(other).String()))
	n, c := d.serve(t), newCaller(d)
	ctx := t.Context()
	machine, user := c.issue(ctx, n, "machine-0"), c.login(ctx, n, "user-0")
	require.Equal(t, [2]int{200, 200}, [2]int{machine.status, user.status})
	by := func(id, secret, token string) answer {
		return c.post(ctx, n.URL+"/oauth2/introspect", id, secret, url.Values{"token": {token}})
	}
	const inactive = `{"active":false}`
	t.Run("S-48 one kind of token is not taken for another, nor at another audience", func(t *testing.T) {
		require.Equal(t, "invalid_grant", c.refresh(ctx, n, user.Access).Code, "RT-09 access as refresh")
		require.Equal(t, "invalid_grant", c.refresh(ctx, n, machine.Access).Code)
		require.Equal(t, inactive, c.introspect(ctx, n, user.Refresh).body, "BR-15 refresh as access")
		require.Equal(t, inactive, by("other-api", other, user.Access).body, "IN-23 another audience")
		require.Equal(t, inactive, by("other-api", other, machine.Access).body)
		for _, text := range []string{"gat_" + user.Refresh[4:], "grt_" + user.Access[4:], d.secret, "eyJhbGciOiJub25lIn0.e30."} {
			require.Equal(t, inactive, c.introspect(ctx, n, text).body)
			require.Equal(t, "invalid_grant", c.refresh(ctx, n, text).Code)
		}
		require.True(t, c.introspect(ctx, n, user.Access).Active)
		figure(t, "S-48", "13 substitutions (access as refresh, refresh as access, exchanged prefixes, a secret, an unsigned JWT, another audience): 0 taken", "refused")
	})
	t.Run("S-54 strangers revoke nothing and see nothing, and who scans is 429", func(t *testing.T) {
		for _, id := range []string{"machine-1", "machine-3", "app"} {
			require.Equal(t, 200, c.revoke(ctx, n, id, machine.Access).status, "RV-08")
		}
		require.Equal(t, 200, c.revoke(ctx, n, "machine-1", user.Refresh).status)
		require.Equal(t, inactive, by("machine-1", d.secret, machine.Access).body, "IN-18")
		require.Equal(t, 401, c.post(ctx, n.URL+"/oauth2/introspect", "", "", url.Values{"client_id": {"app"}, "token": {machine.Access}}).status, "IN-19")
		require.True(t, c.introspect(ctx, n, machine.Access).Active)
		require.True(t, c.introspect(ctx, n, user.Access).Active)
		answered, limited, begun := 0, 0, time.Now()
		for range 400 {
			switch a := by("other-api", other, "gat_x"); a.status {
			case 200:
				answered++
			case 429:
				require.Equal(t, "1", a.header.Get("Retry-After"))
				limited++
			default:
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		took := time.Since(begun)
		require.LessOrEqual(t, answered, 50+int(took.Seconds()*50)+1, "the set rate, and the burst of a second")
		require.True(t, c.introspect(ctx, n, machine.Access).Active, "another caller is not held up")
		figure(t, "S-54", fmt.Sprintf("6 requests of strangers: no effect; 400 introspections of unknown tokens in %s by one caller at requests_per_second = 50: %d answered, %d × 429 with Retry-After", seconds(took), answered, limited),
			"no effect; 429 at the set rate")
		if took < 5*time.Second {
			require.Positive(t, limited)
		}
	})
}

func TestSampleConfiguration(t *testing.T) {
	t.Run("S-67 the shipped configuration and its secrets serve nobody off loopback", func(t *testing.T) {
		name, err := program()
		require.NoError(t, err)
		tried := 0
		for _, args := range [][]string{{"--listen", "0.0.0.0:0"}, {"--listen", ":0"}, {"--listen", "[::]:0"}} {
			for _, environ := range [][]string{nil, {"GRANTOR_TLS__MODE=proxy"}, {"GRANTOR_TLS__MODE=proxy", "GRANTOR_ISSUER=https://auth.example.com", "GRANTOR_STORE=redis", "GRANTOR_REDIS__URL=redis://127.0.0.1:1"}} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // one that serves is ended
				defer cancel()
				c := exec.CommandContext(ctx, name, append([]string{"serve", "--config", "../../config.toml"}, args...)...) // #nosec G204 -- a program that this test built
				c.Env = environ
				out, err := c.CombinedOutput()
				require.Error(t, err)
				require.Equal(t, 2, c.ProcessState.ExitCode(), string(out))
				require.Contains(t, string(out), "has the published demo secret")
				tried++
			}
		}
		n := (&deployment{config: "../../config.toml"}).absolute(t).serve(t)
		var secret string
		require.Eventually(t, func() bool {
			secret = regexp.MustCompile(`demo-machine:(gcs_[0-9A-Za-z]+)`).FindString(n.Out.String())
			return secret != ""
		}, 10*time.Second, 5*time.Millisecond)
		body := "grant_type=client_credentials&client_id=demo-machine&client_secret=" + strings.TrimPrefix(secret, "demo-machine:")
		require.Equal(t, 200, tell(t, n.URL+"/oauth2/token", body).status)
		headers := []string{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1", "X-Forwarded-Host: auth.example.com", "Via: 1.1 front"}
		for _, h := range headers {
			require.Equal(t, 401, tell(t, n.URL+"/oauth2/token", body, h).status, h)
		}
		figure(t, "S-67", fmt.Sprintf("the shipped configuration off loopback, %d ways: exit status 2, names the demo secret; on loopback through a proxy, %d ways: 401", tried, len(headers)), "refuses")
	})
}

// absolute is a deployment whose file is found from everywhere.
func (d *deployment) absolute(t *testing.T) *deployment {
	t.Helper()
	wd, err := os.Getwd()
	require.NoError(t, err)
	d.config = wd + "/" + d.config
	return d
}
