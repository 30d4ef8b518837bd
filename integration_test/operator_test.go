package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// operated is a deployment with the operator's listeners.
func operated(t *testing.T, s *redistest.Server, more string) deployment {
	t.Helper()
	return withUsers(t, redisStore(s)+"audit.output = \"stdout\"\nadmin.listen = \"127.0.0.1:0\"\nmetrics.listen = \"127.0.0.1:0\"\nlimits.client_failures = -1\n"+more, redisUsers)
}

// where finds an operator's listener in what a process said.
func (p *process) where(name string) string {
	p.t.Helper()
	find := regexp.MustCompile(`(?m)^` + name + ` on (\S+)$`)
	var m []string
	require.Eventually(p.t, func() bool { m = find.FindStringSubmatch(p.Out.String()); return m != nil }, 5*time.Second, time.Millisecond)
	return "http://" + m[1]
}

// scrape returns the metrics of a process.
func (p *process) scrape() string {
	p.t.Helper()
	res, err := http.Get(p.where("Metrics") + "/metrics")
	require.NoError(p.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	seen.text(string(text))
	return string(text)
}

// ask calls the admin listener.
func (p *process) ask(token, method, path string, body any) reply {
	p.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(p.t, err)
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.where("The admin API")+path, in)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	r := reply{status: res.StatusCode, header: res.Header, body: string(text)}
	_ = json.Unmarshal(text, &r.json)
	return r
}

// client registers one by the command line and returns its secret.
func (d deployment) client(t *testing.T, id, scope string, more ...string) string {
	t.Helper()
	var made struct {
		Secret string `json:"client_secret"`
	}
	c := exec.Command(built(t, module), append([]string{"client", "create", "--json", "--id", id, "--grant-type", "client_credentials", "--scope", scope, "--config", d.config}, more...)...)
	out, err := c.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &made))
	return made.Secret
}

func credentials(scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
}

// within demands that something holds within a second, with room for a busy machine.
func within(t *testing.T, what func() bool) {
	t.Helper()
	begun := time.Now()
	require.Eventually(t, what, 5*time.Second, 20*time.Millisecond)
	t.Logf("after %s", time.Since(begun).Round(time.Millisecond))
}

func TestRegistryOnTwoNodes(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "")
	line := newLine(t, s.Addr)
	a := d.serve(t)
	b := run(t, built(t, module), []string{"GRANTOR_REDIS__URL=redis://" + line.addr}, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
	asks := func(p *process, secret string) reply {
		return post(t, p.URL+"/oauth2/token", "job", secret, credentials("orders:read"))
	}
	secret := d.client(t, "job", "orders:read")
	var token string
	within(t, func() bool { r := asks(b, secret); token = r.text("access_token"); return r.status == 200 })
	require.Equal(t, 200, asks(a, secret).status)

	d.must(t, "", "client", "disable", "job", "--yes")
	for _, p := range []*process{a, b} {
		within(t, func() bool { return asks(p, secret).status == 401 })
		require.Equal(t, dead, d.introspect(t, p, token).body, "IN-24 the active token of a disabled client")
	}
	d.must(t, "", "client", "enable", "job")
	within(t, func() bool { return asks(b, secret).status == 200 })
	require.Equal(t, dead, d.introspect(t, b, token).body, "V-34 enabling revives nothing")
	token = asks(b, secret).text("access_token")

	t.Run("RT-18 IN-24 a scope that is taken away leaves active tokens", func(t *testing.T) {
		d.must(t, "", "client", "update", "job", "--scope", "")
		within(t, func() bool { return d.introspect(t, b, token).body == dead })
		d.must(t, "", "client", "update", "job", "--scope", "orders:read")
		within(t, func() bool { return d.introspect(t, b, token).json["active"] == true })
	})
	t.Run("IN-24 the same after the feed was cut for ten seconds: 503 meanwhile, and no guess", func(t *testing.T) {
		line.cut.Store(true)
		line.drop()
		require.NotEqual(t, 503, asks(a, secret).status)
		d.must(t, "", "client", "disable", "job", "--yes")
		cut := time.Now()
		for time.Since(cut) < 10*time.Second {
			r := asks(b, secret)
			require.True(t, r.status == 503 || r.status == 401, "%d %s", r.status, r.body)
			require.NotEqual(t, true, d.introspect(t, b, token).json["active"])
			time.Sleep(100 * time.Millisecond)
		}
		line.cut.Store(false)
		within(t, func() bool { return asks(b, secret).status == 401 && d.introspect(t, b, token).body == dead })
	})
	t.Run("a client of config.toml can be disabled at run time too", func(t *testing.T) {
		d.must(t, "", "client", "disable", "machine", "--yes")
		for _, p := range []*process{a, b} {
			within(t, func() bool {
				return post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status == 401
			})
		}
		d.must(t, "", "client", "enable", "machine")
		within(t, func() bool {
			return post(t, a.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status == 200
		})
		old := d.token(t, a)
		d.must(t, "", "client", "revoke-tokens", "machine", "--yes")
		within(t, func() bool { return d.introspect(t, b, old).body == dead })
	})
}

// line is a TCP line that can be cut.
type line struct {
	addr  string
	cut   atomic.Bool
	mu    sync.Mutex
	conns []net.Conn
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &line{addr: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close(); p.drop() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if p.cut.Load() {
				_ = c.Close()
				continue
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, s)
			p.mu.Unlock()
			go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
			go func() { _, _ = io.Copy(c, s); _ = c.Close() }()
		}
	}()
	return p
}

func (p *line) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func TestSecretRotatedUnderLoad(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "")
	p := d.serve(t)
	first := d.client(t, "job", "orders:read")
	within(t, func() bool { return post(t, p.URL+"/oauth2/token", "job", first, clientCredentials).status != 401 })
	var second atomic.Pointer[string]
	var begun, failed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range 16 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				secret := first
				if fresh := second.Load(); fresh != nil && (n+i)%2 == 0 {
					secret = *fresh
				}
				begun.Add(1)
				if r, err := tryPost(t.Context(), p.URL+"/oauth2/token", "job", secret, credentials("orders:read")); err != nil || r.status != 200 {
					failed.Add(1)
				}
			}
		})
	}
	within(t, func() bool { return begun.Load() >= 100 })
	out := d.must(t, "", "client", "rotate-secret", "job", "--overlap", "6s", "--json")
	rotated := time.Now()
	var made struct {
		Secret string `json:"client_secret"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &made), out)
	within(t, func() bool {
		return post(t, p.URL+"/oauth2/token", "job", made.Secret, credentials("orders:read")).status == 200
	})
	second.Store(&made.Secret)
	time.Sleep(time.Until(rotated.Add(3 * time.Second))) // half of the overlap, under load
	close(stop)
	load.Wait()
	t.Logf("%d requests with both secrets, %d failed", begun.Load(), failed.Load())
	require.Zero(t, failed.Load(), "CA-17 S-63 0 failed requests while two secrets are valid")
	require.Eventually(t, func() bool {
		return post(t, p.URL+"/oauth2/token", "job", first, credentials("orders:read")).status == 401
	}, 15*time.Second, 100*time.Millisecond, "the old secret dies at its time")
	require.GreaterOrEqual(t, time.Since(rotated), 5*time.Second, "and not before")
	require.Equal(t, 200, post(t, p.URL+"/oauth2/token", "job", made.Secret, credentials("orders:read")).status)
	require.Contains(t, d.must(t, "", "client", "secrets", "job"), "UTC")
}

func TestRegistration(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "")
	p := d.serve(t)
	secret := d.client(t, "registrar", "grantor:clients orders:read")
	var token string
	within(t, func() bool {
		r := post(t, p.URL+"/oauth2/token", "registrar", secret, credentials("grantor:clients"))
		token = r.text("access_token")
		return token != ""
	})
	t.Run("RFC 7591 §3, RFC 7592 §2: registered, read, replaced, deleted", func(t *testing.T) {
		made := p.ask(token, "POST", "/oauth2/register", map[string]any{"client_name": "x", "scope": "orders:read", "unknown": 1})
		require.Equal(t, 201, made.status, made.body)
		id, own := made.text("client_id"), made.text("registration_access_token")
		require.EqualValues(t, 0, made.json["client_secret_expires_at"])
		r := post(t, p.URL+"/oauth2/token", id, made.text("client_secret"), credentials("orders:read"))
		require.Equal(t, 200, r.status, r.body)
		path := strings.TrimPrefix(made.text("registration_client_uri"), p.where("The admin API"))
		read := p.ask(own, "GET", path, nil)
		require.Equal(t, 200, read.status, read.body)
		require.Equal(t, "x", read.json["client_name"])
		require.Equal(t, 401, p.ask(token, "GET", path, nil).status, "§2 the initial token opens no registration")
		put := p.ask(own, "PUT", path, map[string]any{"client_id": id, "client_name": "y", "scope": "orders:read"})
		require.Equal(t, 200, put.status, put.body)
		require.Equal(t, "y", put.json["client_name"])
		require.Equal(t, 400, p.ask(own, "PUT", path, map[string]any{"client_id": "other"}).status)
		require.Equal(t, 204, p.ask(own, "DELETE", path, nil).status)
		require.Equal(t, 401, p.ask(own, "GET", path, nil).status)
		within(t, func() bool { return d.introspect(t, p, r.text("access_token")).body == dead })
	})
	t.Run("what a holder of grantor:clients cannot reach", func(t *testing.T) {
		made := p.ask(token, "POST", "/oauth2/register", map[string]any{"scope": "orders:read"})
		require.Equal(t, 201, made.status, made.body)
		id, own := made.text("client_id"), made.text("registration_access_token")
		for name, body := range map[string]map[string]any{
			"grantor:admin":                      {"scope": "grantor:admin"},
			"grantor:clients again":              {"scope": "orders:read grantor:clients"},
			"everything by wildcard":             {"scope": "grantor:*"},
			"a wildcard":                         {"scope": "orders:*"},
			"a scope beyond its own":             {"scope": "orders:write"},
			"a scope that does not exist":        {"scope": "nothing"},
			"introspect":                         {"introspect": "any"},
			"introspect by audience":             {"introspect": "audience", "resource": "https://orders.example.com"},
			"another's audience":                 {"audience": []string{"https://orders.example.com"}},
			"to be a resource":                   {"resource": "https://orders.example.com"},
			"networks":                           {"allowed_networks": []string{"10.0.0.0/8"}},
			"a limit of its own":                 {"requests_per_second": -1},
			"a burst of its own":                 {"requests_burst": 1000},
			"the password grant":                 {"grant_types": []string{"password"}},
			"the password grant among others":    {"grant_types": []string{"client_credentials", "password", "refresh_token"}},
			"no authentication":                  {"token_endpoint_auth_method": "none"},
			"a default scope over Grantor":       {"default_scope": "grantor:admin"},
			"secrets of its own choice":          {"secrets": []any{}},
			"a software statement":               {"software_statement": "x.y.z"},
			"a list as a scope":                  {"scope": []string{"orders:read"}},
			"a name with a line break":           {"client_name": "a\nb"},
			"a client_uri that is no https URL":  {"client_uri": "javascript:alert(1)"},
			"a name larger than names may be":    {"client_name": strings.Repeat("x", 5000)},
			"a scope with a character too many":  {"scope": "orders:read\u0000"},
			"a scope implied by another's scope": {"scope": "orders:write orders:read"},
		} {
			t.Run(name, func(t *testing.T) {
				r := p.ask(token, "POST", "/oauth2/register", body)
				require.Equal(t, 400, r.status, r.body)
				require.Equal(t, "invalid_client_metadata", r.json["error"], r.body)
				body["client_id"] = id
				r = p.ask(own, "PUT", "/oauth2/register/"+id, body)
				require.Equal(t, 400, r.status, r.body)
			})
		}
		for name, r := range map[string]reply{
			"the admin API with grantor:clients":       p.ask(token, "GET", "/admin/v1/clients", nil),
			"the admin API with a registration token":  p.ask(own, "GET", "/admin/v1/clients", nil),
			"another's registration":                   p.ask(own, "GET", "/oauth2/register/registrar", nil),
			"a client of config.toml":                  p.ask(own, "DELETE", "/oauth2/register/machine", nil),
			"registration with an ordinary token":      p.ask(d.token(t, p), "POST", "/oauth2/register", map[string]any{"scope": "orders:read"}),
			"registration with a registration token":   p.ask(own, "POST", "/oauth2/register", map[string]any{"scope": "orders:read"}),
			"registration without a token that exists": p.ask("x", "POST", "/oauth2/register", map[string]any{}),
		} {
			require.Contains(t, []int{401, 403}, r.status, "%s: %s", name, r.body)
		}
		got := post(t, p.URL+"/oauth2/token", id, made.text("client_secret"), credentials("grantor:admin"))
		require.Equal(t, "invalid_scope", got.json["error"])
	})
}

func TestOperatorsSurface(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "metrics.pprof = true\n")
	p := d.serve(t)
	get := func(where string) int {
		res, err := http.Get(where)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	t.Run("S-66 nothing of the operator's is on the public listener", func(t *testing.T) {
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/admin/v1/clients", "/admin/v1/openapi.json", "/oauth2/register"} {
			require.Equal(t, 404, get(p.URL+path), path)
		}
		require.Equal(t, 200, get(p.where("Metrics")+"/metrics"))
		require.Equal(t, 200, get(p.where("Metrics")+"/debug/pprof/cmdline"))
		require.Equal(t, 404, get(p.where("The admin API")+"/metrics"))
		for _, l := range []string{p.URL, p.where("Metrics"), p.where("The admin API")} {
			require.Equal(t, 200, get(l+"/healthz"))
			require.Equal(t, 200, get(l+"/readyz"))
		}
	})
	t.Run("S-20 every background task is listed and runs", func(t *testing.T) {
		var tasks []string
		for _, m := range regexp.MustCompile(`(?m)^grantor_background_task_up\{task="([^"]+)"\} 1$`).FindAllStringSubmatch(p.scrape(), -1) {
			tasks = append(tasks, m[1])
		}
		require.Equal(t, []string{"API keys: last use", "audit trail", "client change stream", "client epochs", "client epochs: lifetime", "client secrets: expiry", "client secrets: last use",
			"configuration", "configuration: what is served", "list of nodes", "pending revocations", "pulse", "redis clock", "redis policy", "request rates", "revocation feed", "scopes that no client sees", "server key"}, tasks, "a new task is added to this list, and nothing else")
	})
	t.Run("S-32 the series of every alert are there before anything happens", func(t *testing.T) {
		alerts, err := os.ReadFile("../deploy/prometheus/alerts.yml")
		require.NoError(t, err)
		scraped := operated(t, s, "redis.prefix = \"fresh:\"\n").serve(t).scrape()
		found := 0
		for _, m := range regexp.MustCompile(`(grantor_[a-z_]+)(?:\{([a-z]+)=(~?)"([^"]+)"\})?`).FindAllStringSubmatch(string(alerts), -1) {
			if strings.HasPrefix(m[1], "grantor_certificate_") || strings.HasPrefix(m[1], "grantor_signing_key_") {
				continue // where there is a certificate, or a key: TestEnds of package node
			}
			line := `(?m)^` + m[1]
			if m[2] != "" {
				value := m[4]
				if m[3] == "" {
					value = regexp.QuoteMeta(value)
				}
				line += `\{(?:[a-z]+="[^"]*",)*` + m[2] + `="(?:` + value + `)"[,}]`
			}
			require.Regexp(t, line, scraped, m[0])
			found++
		}
		require.Greater(t, found, 15)
	})
	t.Run("S-32 300 hostile requests add fewer than 60 series", func(t *testing.T) {
		series := func() int { return len(regexp.MustCompile(`(?m)^[a-z]`).FindAllString(p.scrape(), -1)) }
		d.token(t, p)
		before := series()
		for i := range 300 {
			odd := fmt.Sprintf("x%d\"}\n", i)
			switch i % 5 {
			case 0:
				post(t, p.URL+"/oauth2/token", odd, odd, url.Values{"grant_type": {odd}})
			case 1:
				post(t, p.URL+"/oauth2/token", "machine", d.machine, credentials(odd))
			case 2:
				get(p.URL + "/" + url.PathEscape(odd))
			case 3:
				post(t, p.URL+"/oauth2/introspect", "api", d.api, url.Values{"token": {odd}})
			case 4:
				login(t, p, odd, odd)
			}
		}
		added := series() - before
		t.Logf("%d new series", added)
		require.Less(t, added, 60)
	})
	t.Run("promtool check metrics is content", func(t *testing.T) {
		tool, err := exec.LookPath("promtool")
		if err != nil {
			require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_PROMTOOL"), "promtool is not on PATH")
			t.Skip("promtool is not on PATH")
		}
		c := exec.Command(tool, "check", "metrics")
		c.Stdin = strings.NewReader(p.scrape())
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
	})
	t.Run("S-33 the audit trail: issued, refused, revoked, reuse, lock-out, registry, reload: one event each", func(t *testing.T) {
		d.must(t, adaPassword+"\n", "user", "add", "ada", "--password-stdin", "--scope", "orders:read")
		events := func() string { return p.Out.String() }
		has := func(parts ...string) func() bool {
			return func() bool {
				for line := range strings.Lines(events()) {
					all := true
					for _, part := range parts {
						all = all && strings.Contains(line, part)
					}
					if all {
						return json.Valid([]byte(line))
					}
				}
				return false
			}
		}
		token := d.token(t, p)
		within(t, has(`"event":"token_issued"`, `"client_id":"machine"`, `"grant_type":"client_credentials"`, `"request_id"`))
		post(t, p.URL+"/oauth2/token", "machine", "wrong", clientCredentials)
		within(t, has(`"event":"token_refused"`, `"client_id":"machine"`, `"reason":"wrong_secret"`))
		post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {token}})
		within(t, has(`"event":"token_revoked"`, `"actor":"machine"`))
		first := login(t, p, "ada", adaPassword)
		second := refresh(t, p, "app", first.text("refresh_token"))
		refresh(t, p, "app", second.text("refresh_token"))
		require.Equal(t, 400, refresh(t, p, "app", first.text("refresh_token")).status)
		within(t, has(`"event":"reuse_detected"`, `"client_id":"app"`, `"subject_hash"`, `"session"`))
		require.Contains(t, p.scrape(), `grantor_refreshes_total{result="reuse"} 1`)
		for range 6 {
			login(t, p, "ada", "wrong")
		}
		within(t, has(`"event":"user_locked_out"`, `"reason":"user_locked"`))
		require.Regexp(t, `grantor_login_failures_total\{reason="wrong_password"\} \d+`, p.scrape(), "S-12 failures of all users are metered")
		require.NoError(t, exec.Command(built(t, module), "reload", "--pid", fmt.Sprint(p.Cmd.Process.Pid)).Run())
		within(t, has(`"event":"config_reloaded"`))
		require.NotContains(t, events(), "u-", "a user's id is not in the trail")
	})
}

func TestReload(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "")
	p := d.serve(t)
	good, err := os.ReadFile(d.config)
	require.NoError(t, err)
	broken := func() int { return strings.Count(p.Log.String(), "the configuration is invalid") }
	for i, c := range []struct{ name, text string }{
		{"broken", "nonsense = 1\n" + string(good)},
		{"empty", ""},
		{"half-written", string(good[:len(good)/2])},
	} {
		t.Run("S-62 a "+c.name+" file: the old configuration goes on, logged once, and a metric", func(t *testing.T) {
			require.NoError(t, os.WriteFile(d.config, []byte(c.text), 0o600))
			within(t, func() bool { return strings.Contains(p.scrape(), "grantor_config_reload_success 0") })
			within(t, func() bool { return broken() == i+1 })
			require.Equal(t, 200, post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status)
			require.NoError(t, p.Cmd.Process.Signal(hangup))
			require.Never(t, func() bool { return broken() != i+1 }, 500*time.Millisecond, 50*time.Millisecond, "logged once")
			require.NoError(t, os.WriteFile(d.config, good, 0o600))
			within(t, func() bool { return strings.Contains(p.scrape(), "grantor_config_reload_success 1") })
		})
	}
	t.Run("a changed file is in force without a restart, and what needs one says so", func(t *testing.T) {
		changed := strings.Replace(string(good), "client_id = \"machine\"", "client_id = \"machine\"\ndisabled = true", 1)
		changed = strings.Replace(changed, "store =", "issuer = \"http://127.0.0.1:1\"\nstore =", 1)
		require.NoError(t, os.WriteFile(d.config, []byte(changed), 0o600))
		within(t, func() bool {
			return post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status == 401
		})
		p.Logs(t, "these keys take effect at the next start")
		require.NoError(t, os.WriteFile(d.config, good, 0o600))
		within(t, func() bool {
			return post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status == 200
		})
	})
}

func TestTraces(t *testing.T) {
	var mu sync.Mutex
	var got []byte
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, body...)
	}))
	defer collector.Close()
	d := deploy(t, redisStore(redistest.Start(t)))
	p := run(t, built(t, module), []string{"GRANTOR_TRACING__OTLP_ENDPOINT=" + collector.URL + "/v1/traces"}, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/oauth2/token?password=in-the-query-string", strings.NewReader("grant_type=client_credentials"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.SetBasicAuth("machine", d.machine)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode, string(answer))
	require.Zero(t, p.stop(termination))
	mu.Lock()
	defer mu.Unlock()
	seen.text(string(got))
	require.Contains(t, string(got), "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c", "the trace that came in goes on")
	require.Contains(t, string(got), "POST /oauth2/token")
	require.Contains(t, string(got), "store issue")
	require.NotContains(t, string(got), "in-the-query-string")
	require.NotContains(t, string(got), d.machine)
}

func TestRestore(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	d := deploy(t, redisStore(s))
	p := d.serve(t)
	revoked, kept := d.token(t, p), d.token(t, p)
	require.NoError(t, s.Client().Save(t.Context()).Err())
	dump, err := os.ReadFile(s.Dir + "/dump.rdb")
	require.NoError(t, err)
	require.Equal(t, 200, post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {revoked}}).status)
	require.Equal(t, dead, d.introspect(t, p, revoked).body)
	require.Zero(t, p.stop(termination))
	require.NoError(t, s.Client().Save(t.Context()).Err())
	s.Stop()
	require.NoError(t, os.WriteFile(s.Dir+"/dump.rdb", dump, 0o600))
	s.Restart()

	p = d.serve(t)
	require.Equal(t, true, d.introspect(t, p, revoked).json["active"], "why not_before exists: a backup knows nothing of what was revoked after it")
	require.Zero(t, p.stop(termination))
	now := time.Now().Add(time.Second).UTC().Truncate(time.Second)
	p = run(t, built(t, module), []string{"GRANTOR_TOKENS__NOT_BEFORE=" + now.Format(time.RFC3339)}, "serve", "--config", d.config, "--listen", "127.0.0.1:0")
	require.Equal(t, dead, d.introspect(t, p, revoked).body, "V-07 nothing that was revoked comes back")
	require.Equal(t, dead, d.introspect(t, p, kept).body)
	within(t, func() bool { return d.introspect(t, p, d.token(t, p)).json["active"] == true })
}
