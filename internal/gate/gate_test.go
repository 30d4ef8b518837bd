package gate

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

const orders = "https://orders.example.com"

// tokens are what the issuer of these tests knows; "away" is a token about which it does not
// answer.
func tokens(_ context.Context, text string) (*middleware.Token, error) {
	switch text {
	case "machine":
		return &middleware.Token{Subject: "m", SubjectType: "client", ClientID: "m", Scope: scopes.MustParse("orders:read"), Audience: []string{orders},
			ExpiresAt: time.Now().Add(time.Hour)}, nil
	case "odd":
		return &middleware.Token{Subject: "é\r\nX: 1 %41+/\x00", ClientID: "a b", Scope: scopes.MustParse("orders:read orders:write"), Audience: []string{orders}}, nil
	case "user":
		return &middleware.Token{Subject: "u-1", SubjectType: "user", ClientID: "app", Scope: scopes.MustParse("orders:read"), Audience: []string{orders}, Session: "s 1"}, nil
	case "claims":
		return &middleware.Token{Subject: "m", SubjectType: "client", ClientID: "m", Scope: scopes.MustParse("orders:read"), Audience: []string{orders},
			Claims: map[string]any{"tenant_id": "t-7", "role": "é\r\nX: <1>", "limits": map[string]any{"seats": 3.0}, "hidden": true}}, nil
	case "wide":
		return &middleware.Token{Subject: "m", ClientID: "m", Scope: scopes.MustParse("orders:read"), Audience: []string{orders}, Claims: map[string]any{"tenant_id": strings.Repeat("x", 2100)}}, nil
	case "away":
		return nil, errors.New("the issuer is away")
	}
	return nil, middleware.ErrInvalidToken
}

func newGate(t *testing.T, change func(*Config)) (*Gate, *strings.Builder) {
	t.Helper()
	log := &strings.Builder{}
	cfg := Config{Verifier: middleware.VerifierFunc(tokens), Log: slog.New(slog.NewTextHandler(log, nil)), Metrics: NewMetrics("test")}
	if change != nil {
		change(&cfg)
	}
	g, err := New(cfg)
	require.NoError(t, err)
	return g, log
}

func check(g *Gate, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

const machine = "Authorization: Bearer machine"

func TestChecks(t *testing.T) {
	g, _ := newGate(t, func(c *Config) { c.Realm = "orders" })
	for name, c := range map[string]struct {
		target    string
		header    string
		status    int
		challenge string
	}{
		"every scope":                              {"/verify?scope=orders:read&audience=" + orders, machine, 200, ""},
		"one of any":                               {"/verify?any=orders:write+orders:read", machine, 200, ""},
		"spaces as %20":                            {"/verify?any=orders:write%20orders:read", machine, 200, ""},
		"the audience alone":                       {"/verify?audience=" + url.QueryEscape(orders), machine, 200, ""},
		"in the path, the rest is the client's":    {"/verify/scope=orders:read&audience=https:%2F%2Forders.example.com/orders?scope=x&y", machine, 200, ""},
		"in the path, at its end":                  {"/verify/scope=orders:read", machine, 200, ""},
		"§3 no token":                              {"/verify?scope=orders:read", "", 401, `Bearer realm="orders", scope="orders:read"`},
		"§3.1 a token that is not good":            {"/verify?scope=orders:read", "Authorization: Bearer x", 401, `Bearer realm="orders", error="invalid_token", error_description="the token is unknown, expired or revoked", scope="orders:read"`},
		"§3.1 a missing scope":                     {"/verify?scope=orders:read+orders:write", machine, 403, `Bearer realm="orders", error="insufficient_scope", error_description="the token has not the scope that this needs", scope="orders:read orders:write"`},
		"§3.1 none of any":                         {"/verify?scope=orders:read&any=a+b", machine, 403, `Bearer realm="orders", error="insufficient_scope", error_description="the token has not the scope that this needs", scope="a b orders:read"`},
		"RFC 9068 §4 another audience":             {"/verify?scope=orders:read&audience=https://other.example.com", machine, 401, `Bearer realm="orders", error="invalid_token", error_description="the token is meant for another resource", scope="orders:read"`},
		"RFC 9728 §5.1 where the metadata is":      {"/verify?scope=orders:read&resource=https://orders.example.com/v1", "", 401, `Bearer realm="orders", scope="orders:read", resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource/v1"`},
		"RFC 9068 §4 another resource":             {"/verify?resource=https://other.example.com", machine, 401, `Bearer realm="orders", error="invalid_token", error_description="the token is meant for another resource", resource_metadata="https://other.example.com/.well-known/oauth-protected-resource"`},
		"the resource":                             {"/verify?scope=orders:read&resource=https://orders.example.com", machine, 200, ""},
		"§3.1 a token that cannot be one":          {"/verify?scope=orders:read", "Authorization: Bearer a b", 400, `Bearer realm="orders", error="invalid_request", error_description="the Authorization header must be: Bearer, one space, the token (RFC 6750 2.1)"`},
		"the issuer does not answer":               {"/verify?scope=orders:read", "Authorization: Bearer away", 503, ""},
		"the path's demand is not read from query": {"/verify/scope=orders:write/?scope=orders:read", machine, 403, `Bearer realm="orders", error="insufficient_scope", error_description="the token has not the scope that this needs", scope="orders:write"`},
	} {
		t.Run("RFC 6750 "+name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "DELETE", "PURGE"} {
				var headers []string
				if c.header != "" {
					headers = append(headers, c.header)
				}
				w := check(g, method, c.target, headers...)
				require.Equal(t, c.status, w.Code, w.Body.String())
				require.Equal(t, c.challenge, w.Header().Get("WWW-Authenticate"))
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
				require.Equal(t, c.status == 503, w.Header().Get("Retry-After") != "")
				require.Equal(t, c.status == 200, w.Header()[HeaderSubject] != nil, "only an allowed request has a subject")
			}
		})
	}
	t.Run("RFC 6750 §2 two Authorization headers are refused, and no other source is read", func(t *testing.T) {
		require.Equal(t, 400, check(g, "GET", "/verify?scope=orders:read", machine, machine).Code)
		require.Equal(t, 401, check(g, "GET", "/verify?scope=orders:read", "Proxy-Authorization: Bearer machine", "X-Forwarded-Authorization: Bearer machine", "Cookie: access_token=machine").Code)
		require.Equal(t, 500, check(g, "GET", "/verify?scope=orders:read&access_token=machine").Code)
		require.Equal(t, 400, check(g, "GET", "/verify/scope=orders:read/x?access_token=machine", machine).Code, "the client sends the token in two ways")
	})
}

func TestMistakesOfProxies(t *testing.T) {
	g, log := newGate(t, nil)
	for target, says := range map[string]string{
		"/verify":                                   "it is empty",
		"/verify?":                                  "it is empty",
		"/verify/":                                  "it is empty",
		"/verify//orders?scope=orders:read":         "it is empty",
		"/verify?scope=":                            "scope is empty",
		"/verify?scope":                             "scope is empty",
		"/verify?scop=orders:read":                  "the parameter scop is unknown; there are scope, any, audience and resource",
		"/verify?Scope=orders:read":                 "the parameter Scope is unknown",
		"/verify?gat_0123456789=x":                  "a parameter is unknown",
		"/verify?scope=orders:read&scope=a":         "scope comes twice",
		"/verify?scope=orders:read&any=a&any=a":     "any comes twice",
		"/verify?scope=orders:read&&any=a":          "an empty part",
		"/verify?scope=orders:read&":                "an empty part",
		"/verify?scope=orders:read;any=a":           "semicolon",
		"/verify?scope=orders:read++a":              "exactly one space",
		"/verify?scope=+":                           "exactly one space",
		"/verify?scope=%22":                         "0x22",
		"/verify?scope=%zz":                         "an escape that is none",
		"/verify?scope=orders:read&audience=orders": "absolute URI",
		"/verify?scope=orders:read&audience=":       "audience is empty",
		"/verify?audience=https://a&audience=b":     "audience comes twice",
		"/verify?$grantor_demand":                   "a parameter is unknown",
	} {
		t.Run(target, func(t *testing.T) {
			log.Reset()
			for range 3 { // a good token opens nothing, nor a preflight
				w := check(g, "GET", target, machine)
				require.Equal(t, 500, w.Code)
				require.Contains(t, w.Body.String(), "the demand of the proxy's configuration is wrong: ")
				require.Contains(t, w.Body.String(), says)
				require.Empty(t, w.Header()[HeaderSubject])
			}
			require.LessOrEqual(t, strings.Count(log.String(), "level=ERROR"), 1, "once for each demand")
		})
	}
	t.Run("a path that is none of the gate's says what there is", func(t *testing.T) {
		for _, target := range []string{"/", "/verifyx?scope=a", "/VERIFY?scope=a", "/jwks", "/verify%2Fscope=a"} {
			w := check(g, "GET", target, machine)
			require.NotEqual(t, 200, w.Code, target)
		}
	})
	t.Run("however many demands there are, few are remembered", func(t *testing.T) {
		for range 3 * maxRoutes {
			check(g, "GET", "/verify?scope="+strings.Repeat("a", 1+time.Now().Nanosecond()%200)+url.QueryEscape(time.Now().Format("150405.000000000")))
		}
		require.LessOrEqual(t, g.routes.count, maxRoutes)
		require.Equal(t, 200, check(g, "GET", "/verify?any=orders:read+late", machine).Code)
	})
}

func TestHeaders(t *testing.T) {
	g, _ := newGate(t, nil)
	t.Run("what a token says", func(t *testing.T) {
		h := check(g, "GET", "/verify?scope=orders:read", machine).Header()
		require.Equal(t, []string{"m"}, h[HeaderSubject])
		require.Equal(t, []string{"client"}, h[HeaderSubjectType])
		require.Equal(t, []string{"m"}, h[HeaderClientID])
		require.Equal(t, []string{"orders:read"}, h[HeaderScope])
		require.Regexp(t, `^\d{10}$`, h.Get(HeaderExpires))
		require.Equal(t, []string{""}, h[HeaderSession], "an empty header replaces what a client sent")
		require.Equal(t, []string{""}, h[HeaderIdentity], "a proxy that copies it has something to write")
	})
	t.Run("a user's session", func(t *testing.T) {
		h := check(g, "GET", "/verify?scope=orders:read", "Authorization: Bearer user").Header()
		require.Equal(t, []string{"s%201"}, h[HeaderSession])
		require.Equal(t, []string{"user"}, h[HeaderSubjectType])
	})
	t.Run("RFC 9110 §5.5 what cannot stand in a header is percent-encoded, and comes back", func(t *testing.T) {
		h := check(g, "GET", "/verify?scope=orders:read", "Authorization: Bearer odd").Header()
		require.Equal(t, "%C3%A9%0D%0AX:%201%20%2541+/%00", h.Get(HeaderSubject))
		require.Equal(t, "a%20b", h.Get(HeaderClientID))
		require.Equal(t, "orders:read orders:write", h.Get(HeaderScope))
		require.Empty(t, h.Get(HeaderExpires), "not said")
		back, err := url.PathUnescape(h.Get(HeaderSubject))
		require.NoError(t, err)
		require.Equal(t, "é\r\nX: 1 %41+/\x00", back)
	})
}

// FuzzEncode: every text is a header value, and comes back.
func FuzzEncode(f *testing.F) {
	for _, text := range []string{"", "u-1", "é", "%", "%41", "a b", "\x00\r\n", "\xff", "a+b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value := encode(text)
		for i := range len(value) {
			require.True(t, value[i] > ' ' && value[i] <= '~')
		}
		back, err := url.PathUnescape(value)
		require.NoError(t, err)
		require.Equal(t, text, back)
	})
}

// FuzzDemand: no text is read as a weaker demand than the words it holds.
func FuzzDemand(f *testing.F) {
	for _, text := range []string{"", "scope=a", "scope=a+b&any=c&audience=https://a", "scope=", "any=%20", "audience=x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDemand(text)
		if err != nil {
			return
		}
		require.Positive(t, len(d.AllOf)+len(d.AnyOf)+len(d.Audience), "an empty demand")
		values, err := url.ParseQuery(text)
		require.NoError(t, err)
		require.Equal(t, scopes.MustParse(values.Get("scope")), scopes.MustParse(strings.Join(d.AllOf, " ")))
		require.Equal(t, scopes.MustParse(values.Get("any")), scopes.MustParse(strings.Join(d.AnyOf, " ")))
		require.Equal(t, values.Get("audience"), d.Audience)
	})
}

func TestPreflight(t *testing.T) {
	browser := []string{"Origin: https://app.example.com", "Access-Control-Request-Method: POST"}
	ask := func(source, method string, headers ...string) int {
		g, _ := newGate(t, func(c *Config) { c.Preflight = source })
		return check(g, method, "/verify?scope=orders:read", append(headers, browser...)...).Code
	}
	t.Run("Fetch §3.2.2 a preflight passes where the gate is told to let it pass", func(t *testing.T) {
		require.Equal(t, 401, ask(PreflightNever, "OPTIONS", "X-Forwarded-Method: OPTIONS"))
		require.Equal(t, 200, ask(PreflightByMethod, "OPTIONS"))
		require.Equal(t, 200, ask("X-Forwarded-Method", "GET", "X-Forwarded-Method: OPTIONS"))
		require.Equal(t, 200, ask("X-Original-Method", "GET", "X-Original-Method: OPTIONS"))
	})
	t.Run("a header that the proxy does not set is not believed", func(t *testing.T) {
		require.Equal(t, 401, ask(PreflightByMethod, "GET", "X-Forwarded-Method: OPTIONS"))
		require.Equal(t, 401, ask("X-Original-Method", "GET", "X-Original-Method: GET", "X-Forwarded-Method: OPTIONS"))
		require.Equal(t, 500, ask("X-Original-Method", "GET", "X-Forwarded-Method: OPTIONS"), "the proxy must say the method")
		require.Equal(t, 500, ask("X-Original-Method", "GET", "X-Original-Method: GET", "X-Original-Method: OPTIONS"))
	})
	t.Run("what is no preflight needs a token", func(t *testing.T) {
		browser = nil
		require.Equal(t, 401, ask(PreflightByMethod, "OPTIONS"))
		require.Equal(t, 401, ask(PreflightByMethod, "OPTIONS", "Origin: a"))
		require.Equal(t, 401, ask(PreflightByMethod, "OPTIONS", "Origin: a", "Access-Control-Request-Method: GET", "Authorization: Bearer x"))
	})
	t.Run("a preflight says nothing of anybody, and opens no wrong demand", func(t *testing.T) {
		g, _ := newGate(t, func(c *Config) { c.Preflight = PreflightByMethod })
		preflight := []string{"Origin: a", "Access-Control-Request-Method: GET"}
		w := check(g, "OPTIONS", "/verify?scope=orders:read", preflight...)
		require.Equal(t, []string{""}, w.Header()[HeaderSubject])
		require.Equal(t, 500, check(g, "OPTIONS", "/verify?scop=orders:read", preflight...).Code)
	})
	_, err := New(Config{Verifier: middleware.VerifierFunc(tokens), Preflight: "X-Method"})
	require.ErrorContains(t, err, "X-Forwarded-Method")
}

func TestHealth(t *testing.T) {
	down := errors.New("the issuer is away")
	asked := 0
	g, _ := newGate(t, func(c *Config) { c.Ready = func(context.Context) error { asked++; return down } })
	require.Equal(t, 200, check(g, "GET", "/healthz").Code)
	for range 5 {
		require.Equal(t, 503, check(g, "GET", "/readyz").Code)
	}
	require.Equal(t, 1, asked, "the issuer is asked once a second")
	require.Equal(t, 405, check(g, "POST", "/healthz").Code)
	ready, _ := newGate(t, func(c *Config) { c.Ready = Reaches(c.Verifier) })
	require.Equal(t, 200, check(ready, "GET", "/readyz").Code)
	ready.Drain()
	require.Equal(t, 503, check(ready, "GET", "/readyz").Code)
	require.Equal(t, 200, check(ready, "GET", "/verify?scope=orders:read", machine).Code, "checks go on while the gate drains")
}

func TestMetrics(t *testing.T) {
	g, _ := newGate(t, nil)
	for _, h := range []string{machine, "Authorization: Bearer x", "Authorization: Bearer away"} {
		check(g, "GET", "/verify?scope=orders:read", h)
	}
	check(g, "GET", "/verify?nope=1")
	w := httptest.NewRecorder()
	g.cfg.Metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{`grantor_gate_checks_total{code="200"} 1`, `{code="401"} 1`, `{code="503"} 1`, `{code="500"} 1`, `{code="403"} 0`, "grantor_gate_check_duration_seconds_count 4"} {
		require.Contains(t, w.Body.String(), line)
	}
}
