package middleware

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens/feed"
)

const api = "https://orders.example.com"

// table is a Verifier of known tokens; "gone" means that it cannot know.
func table(_ context.Context, token string) (*Token, error) {
	good := func(scope string) *Token {
		return &Token{Subject: "m", ClientID: "m", Scope: scopes.MustParse(scope), Audience: []string{api}, ExpiresAt: time.Now().Add(time.Minute)}
	}
	switch token {
	case "read":
		return good("orders:read"), nil
	case "write":
		return good("orders:write"), nil
	case "both":
		return good("orders:read orders:write"), nil
	case "lookalike":
		return good("orders:read-only orders:reader ORDERS:READ"), nil
	case "elsewhere":
		t := good("orders:read")
		t.Audience = []string{"https://invoices.example.com"}
		return t, nil
	case "expired":
		t := good("orders:read")
		t.ExpiresAt = time.Now().Add(-time.Second)
		return t, nil
	case "early":
		t := good("orders:read")
		t.NotBefore = time.Now().Add(2 * time.Minute)
		return t, nil
	case "gone":
		return nil, errors.New("dial tcp: connection refused")
	}
	return nil, ErrInvalidToken
}

// serve puts a guard before routes of Gin and of net/http.
func serve(t *testing.T, cfg Config) *httptest.Server {
	t.Helper()
	gin.SetMode(gin.TestMode)
	if cfg.Verifier == nil {
		cfg.Verifier = VerifierFunc(table)
	}
	if cfg.Audience = api; cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g, err := New(cfg)
	require.NoError(t, err)
	r := gin.New()
	ok := func(c *gin.Context) { c.String(200, TokenFrom(c.Request.Context()).Subject) }
	r.Any("/any", g.Authenticate(), ok)
	r.Any("/read", g.Authenticate(), g.RequireAll("orders:read"), ok)
	r.Any("/write", g.Authenticate(), g.RequireAll("orders:write"), ok)
	r.Any("/all", g.Authenticate(), g.RequireAll("orders:read", "orders:write"), ok)
	r.Any("/either", g.Authenticate(), g.RequireAny("orders:read", "orders:write"), ok)
	r.Any("/aud", g.Authenticate(), g.RequireAudience("https://more.example.com"), ok)
	r.Any("/forgot", g.RequireAll("orders:read"), ok)
	r.Any("/forgot-any", g.RequireAny("orders:read"), ok)
	r.Any("/forgot-aud", g.RequireAudience(api), ok)
	r.Any("/plain/*x", gin.WrapH(g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, TokenFrom(r.Context()).Subject)
	}), "orders:read")))
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return s
}

func do(t *testing.T, method, url, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	res.Body = io.NopCloser(strings.NewReader(string(text)))
	return res
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(text)
}

func challenge(r *http.Response) string { return r.Header.Get("WWW-Authenticate") }

func TestBearer(t *testing.T) {
	s := serve(t, Config{Realm: "orders"})
	get := func(path string, headers ...string) *http.Response { return do(t, "GET", s.URL+path, "", headers...) }
	with := func(path, token string) *http.Response { return get(path, "Authorization: Bearer "+token) }
	for _, path := range []string{"/read", "/plain/x"} {
		t.Run("BR-01 RFC 6750 §2.1 Authorization: Bearer "+path, func(t *testing.T) {
			require.Equal(t, 200, with(path, "read").StatusCode)
		})
		t.Run("BR-02 RFC 9110 §11.1 the scheme is case insensitive "+path, func(t *testing.T) {
			require.Equal(t, 200, get(path, "Authorization: bEaReR read").StatusCode)
		})
		t.Run("BR-03 BR-04 RFC 6750 §3.1 no credentials: 401, a challenge without an error "+path, func(t *testing.T) {
			r := get(path)
			require.Equal(t, 401, r.StatusCode)
			require.Equal(t, `Bearer realm="orders"`, challenge(r))
		})
		t.Run("BR-05 RFC 6750 §3.1 not good: 401 invalid_token "+path, func(t *testing.T) {
			for _, token := range []string{"unknown", "expired", "early"} {
				r := with(path, token)
				require.Equal(t, 401, r.StatusCode, token)
				require.Contains(t, challenge(r), `error="invalid_token"`)
				require.Contains(t, r.Header.Get("Cache-Control"), "no-store")
			}
		})
		t.Run("BR-09 BR-10 RFC 6750 §3.1 scope missing: 403 insufficient_scope that names it "+path, func(t *testing.T) {
			r := with(path, "write")
			require.Equal(t, 403, r.StatusCode)
			require.Contains(t, challenge(r), `error="insufficient_scope"`)
			require.Contains(t, challenge(r), `scope="orders:read"`)
		})
		t.Run("BR-19 RFC 7662 §4 a verifier that cannot know: 503, neither 401 nor 200 "+path, func(t *testing.T) {
			r := with(path, "gone")
			require.Equal(t, 503, r.StatusCode)
			require.Regexp(t, "^[1-4]$", r.Header.Get("Retry-After"))
			require.Empty(t, challenge(r))
		})
		t.Run("BR-21 RFC 6750 §5.3 answers to token-bearing requests are private "+path, func(t *testing.T) {
			require.Equal(t, "private", with(path, "read").Header.Get("Cache-Control"))
		})
	}
	t.Run("BR-06 RFC 9110 §11.6.1 the challenge is well formed, no parameter twice", func(t *testing.T) {
		form := regexp.MustCompile(`^Bearer [a-z_]+="[^"\\]*"(, [a-z_]+="[^"\\]*")*$`)
		bare := serve(t, Config{})
		for _, r := range []*http.Response{get("/read"), with("/read", "x"), with("/read", "write"), do(t, "GET", bare.URL+"/read", ""), get("/read", "Authorization: Bearer")} {
			require.Regexp(t, form, challenge(r))
			names := regexp.MustCompile(`([a-z_]+)=`).FindAllString(challenge(r), -1)
			seen := map[string]bool{}
			for _, n := range names {
				require.False(t, seen[n], n)
				seen[n] = true
			}
		}
	})
	t.Run("BR-07 S-45 RFC 6750 §3 nothing of the request is reflected", func(t *testing.T) {
		class := regexp.MustCompile(`^[\x20-\x7e]*$`)
		for _, token := range []string{"hostile%0d%0aX:y", `hos"tile`, "hostile é", strings.Repeat("hostile", 2000)} {
			r := with("/read", token)
			require.Contains(t, []int{400, 401}, r.StatusCode)
			require.Regexp(t, class, challenge(r))
			require.NotContains(t, challenge(r), "hostile")
		}
		_, err := New(Config{Verifier: VerifierFunc(table), Realm: "a\"b"})
		require.Error(t, err)
	})
	for name, c := range map[string]struct{ header, path, want string }{
		"another scheme":       {"Authorization: Basic YTpi", "/read", "another scheme than Bearer; send the header Authorization: Bearer"},
		"Django's scheme":      {"Authorization: Token read", "/plain/x", "another scheme than Bearer"},
		"no header":            {"X: y", "/read", "no access token came; send the header Authorization: Bearer"},
		"a token in the query": {"X: y", "/read?access_token=read", "in the query is not read"},
	} {
		t.Run("BR-08 RFC 6750 §3.1 "+name+" counts as no credentials: no error in the challenge, and the body says that Bearer is wanted", func(t *testing.T) {
			r := get(c.path, c.header)
			require.Equal(t, 401, r.StatusCode)
			require.Equal(t, `Bearer realm="orders"`, challenge(r))
			body := bodyOf(t, r)
			require.Contains(t, body, c.want)
			require.NotContains(t, body, `"error":`)
			require.Regexp(t, `^[\x20-\x7e]+$`, body)
		})
	}
	t.Run("BR-11 RFC 9700 §4.3.2 no token in the query", func(t *testing.T) {
		require.Equal(t, 401, get("/read?access_token=read").StatusCode)
	})
	t.Run("BR-12 RFC 6750 §2 more than one way: 400 invalid_request", func(t *testing.T) {
		r := get("/read?access_token=read", "Authorization: Bearer read")
		require.Equal(t, 400, r.StatusCode)
		require.Contains(t, challenge(r), `error="invalid_request"`)
	})
	t.Run("BR-13 RFC 9110 §5.3 two Authorization headers: 400", func(t *testing.T) {
		require.Equal(t, 400, get("/read", "Authorization: Bearer read", "Authorization: Bearer read").StatusCode)
	})
	t.Run("BR-14 RFC 6750 §3.1 a malformed header: 400 invalid_request", func(t *testing.T) {
		for _, h := range []string{"Bearer", "Bearer ", "Bearer a b", `Bearer "read"`, "Bearer é", "Bearer =", "Bearer a=b"} {
			require.Equal(t, 400, get("/read", "Authorization: "+h).StatusCode, h)
		}
	})
	t.Run("BR-14 a token that is longer than 16 kB: 400, with the reason", func(t *testing.T) {
		require.Equal(t, 401, with("/read", strings.Repeat("a", MaxTokenBytes)).StatusCode)
		r := with("/read", strings.Repeat("a", MaxTokenBytes+1))
		require.Equal(t, 400, r.StatusCode)
		require.Contains(t, bodyOf(t, r), "longer than 16 kB")
	})
	t.Run("BR-17 RFC 6750 §2.2 a form token only where switched on, for the one media type, never for GET", func(t *testing.T) {
		const form = "Content-Type: application/x-www-form-urlencoded"
		require.Equal(t, 401, do(t, "POST", s.URL+"/read", "access_token=read", form).StatusCode)
		on := serve(t, Config{FormBody: true})
		require.Equal(t, 200, do(t, "POST", on.URL+"/read", "access_token=read", form).StatusCode)
		require.Equal(t, 401, do(t, "GET", on.URL+"/read", "access_token=read", form).StatusCode)
		require.Equal(t, 401, do(t, "POST", on.URL+"/read", "access_token=read", "Content-Type: text/plain").StatusCode)
		require.Equal(t, 400, do(t, "POST", on.URL+"/read", "access_token=read", form, "Authorization: Bearer read").StatusCode)
		require.Equal(t, 400, do(t, "POST", on.URL+"/read", "access_token=read&access_token=read", form).StatusCode)
	})
	t.Run("BR-20 S-48 RFC 9068 §4 a token for another audience: 401 invalid_token", func(t *testing.T) {
		r := with("/read", "elsewhere")
		require.Equal(t, 401, r.StatusCode)
		require.Contains(t, challenge(r), `error="invalid_token"`)
		require.Equal(t, 401, with("/aud", "read").StatusCode)
	})
	t.Run("BR-22 SC-07 RFC 6750 §3 all-of and any-of, exact match", func(t *testing.T) {
		require.Equal(t, 403, with("/all", "read").StatusCode)
		require.Equal(t, 200, with("/all", "both").StatusCode)
		require.Equal(t, 200, with("/either", "write").StatusCode)
		require.Equal(t, 403, with("/either", "lookalike").StatusCode)
		require.Equal(t, 403, with("/read", "lookalike").StatusCode)
	})
	t.Run("a catalogue lets a wider scope satisfy what it implies", func(t *testing.T) {
		cat, err := scopes.NewCatalogue(map[string]scopes.Scope{"orders:read": {}, "orders:write": {Implies: []string{"orders:read"}}})
		require.NoError(t, err)
		wide := serve(t, Config{Catalogue: cat})
		require.Equal(t, 200, do(t, "GET", wide.URL+"/read", "", "Authorization: Bearer write").StatusCode)
		require.Equal(t, 403, do(t, "GET", wide.URL+"/write", "", "Authorization: Bearer read").StatusCode)
	})
	for path, token := range map[string]string{"/forgot": "read", "/forgot-any": "read", "/forgot-aud": "read"} {
		t.Run("who forgets Authenticate fails closed and loudly: 500, and a log line that says what to do "+path, func(t *testing.T) {
			var log strings.Builder
			s := serve(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
			r := do(t, "GET", s.URL+path, "", "Authorization: Bearer "+token)
			require.Equal(t, 500, r.StatusCode)
			require.Empty(t, challenge(r), "no token would help")
			require.Contains(t, bodyOf(t, r), `"error":"server_error"`)
			s.Close()
			require.Contains(t, log.String(), "level=ERROR")
			require.Contains(t, log.String(), "route="+path)
			require.Contains(t, log.String(), "put guard.Authenticate() before")
		})
	}
	t.Run("a requirement of nothing, or of no scope, is a mistake of the program", func(t *testing.T) {
		g, err := New(Config{Verifier: VerifierFunc(table)})
		require.NoError(t, err)
		require.Panics(t, func() { g.RequireAll() })
		require.Panics(t, func() { g.RequireAny("a\"b") })
	})
}

// authorizationServer answers introspection as it is told.
type authorizationServer struct {
	*httptest.Server
	asked  atomic.Int32
	status int
	media  string
	body   func(token string) string
}

func newAuthorizationServer(t *testing.T) *authorizationServer {
	a := &authorizationServer{status: 200, media: "application/json", body: func(token string) string {
		if strings.HasPrefix(token, "good") {
			return `{"active":true,"scope":"orders:read","client_id":"m","sub":"m","token_type":"Bearer","aud":"` + api + `","exp":4000000000}`
		}
		return `{"active":false}`
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"issuer":"`+a.URL+`","introspection_endpoint":"`+a.URL+`/introspect"}`)
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		id, secret, _ := r.BasicAuth()
		if id != "orders%2Fapi" || secret != "s%2B%26cret" || r.FormValue("token_type_hint") != "access_token" {
			w.WriteHeader(401)
			return
		}
		w.Header().Set("Content-Type", a.media)
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body(r.FormValue("token")))
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *authorizationServer) verifier(t *testing.T, change ...func(*IntrospectionConfig)) *Introspection {
	t.Helper()
	cfg := IntrospectionConfig{Issuer: a.URL, ClientID: "orders/api", ClientSecret: "s+&cret"}
	for _, c := range change {
		c(&cfg)
	}
	v, err := NewIntrospection(cfg)
	require.NoError(t, err)
	return v
}

// TestTokenIsOfOneRequest: a handler that changes the token of its request changes no other's, also
// where the verifier remembers tokens.
func TestTokenIsOfOneRequest(t *testing.T) {
	remembered, err := table(t.Context(), "read")
	require.NoError(t, err)
	g, err := New(Config{Audience: api, Verifier: VerifierFunc(func(context.Context, string) (*Token, error) { return remembered, nil })})
	require.NoError(t, err)
	steal := func(ctx context.Context) {
		mine := TokenFrom(ctx)
		mine.Subject, mine.Scope, mine.Audience[0] = "root", scopes.MustParse("orders:write"), "https://elsewhere.example.com"
	}
	router := gin.New()
	router.GET("/gin", g.Authenticate(), func(c *gin.Context) { steal(c.Request.Context()) })
	router.GET("/http", gin.WrapH(g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { steal(r.Context()) }))))
	router.GET("/write", g.Authenticate(), g.RequireAll("orders:write"), func(*gin.Context) {})
	for path, status := range map[string]int{"/gin": 200, "/http": 200, "/write": 403} {
		for range 2 {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer read")
			w := httptest.NewRecorder()
			router.ServeHTTP(w, r)
			require.Equal(t, status, w.Code, path)
			require.Equal(t, "m", remembered.Subject)
			require.Equal(t, []string{api}, remembered.Audience)
		}
	}
}

func TestIntrospection(t *testing.T) {
	t.Run("RFC 7662 §2.2 an active token comes with what it says; MD-03 the endpoint is discovered", func(t *testing.T) {
		a := newAuthorizationServer(t)
		tok, err := a.verifier(t).Verify(t.Context(), "good")
		require.NoError(t, err)
		require.Equal(t, "orders:read", tok.Scope.String())
		require.Equal(t, []string{api}, tok.Audience)
		require.Equal(t, int64(4000000000), tok.ExpiresAt.Unix())
	})
	t.Run("BR-05 an inactive one is ErrInvalidToken", func(t *testing.T) {
		_, err := newAuthorizationServer(t).verifier(t).Verify(t.Context(), "bad")
		require.ErrorIs(t, err, ErrInvalidToken)
	})
	t.Run("BR-15 V-28 RFC 6749 §1.5 what is no Bearer token is refused though active", func(t *testing.T) {
		a := newAuthorizationServer(t)
		a.body = func(string) string { return `{"active":true,"token_type":"refresh_token","scope":"orders:read"}` }
		_, err := a.verifier(t).Verify(t.Context(), "good")
		require.ErrorIs(t, err, ErrInvalidToken)
	})
	t.Run("BR-05 an active answer whose exp is past is refused by the guard", func(t *testing.T) {
		a := newAuthorizationServer(t)
		a.body = func(string) string {
			return `{"active":true,"scope":"orders:read","aud":"` + api + `","exp":1}`
		}
		s := serve(t, Config{Verifier: a.verifier(t)})
		require.Equal(t, 401, do(t, "GET", s.URL+"/read", "", "Authorization: Bearer good").StatusCode)
	})
	for name, broken := range map[string]func(*authorizationServer){
		"503":                        func(a *authorizationServer) { a.status = 503 },
		"500":                        func(a *authorizationServer) { a.status = 500 },
		"a redirect":                 func(a *authorizationServer) { a.status = 302 },
		"our own credentials wrong":  func(a *authorizationServer) { a.status = 401 },
		"not JSON":                   func(a *authorizationServer) { a.media = "text/html" },
		"no active":                  func(a *authorizationServer) { a.body = func(string) string { return `{}` } },
		"active that is no boolean":  func(a *authorizationServer) { a.body = func(string) string { return `{"active":"true"}` } },
		"half an answer":             func(a *authorizationServer) { a.body = func(string) string { return `{"active":tr` } },
		"a scope that is none":       func(a *authorizationServer) { a.body = func(string) string { return `{"active":true,"scope":"a\"b"}` } },
		"a server that is not there": func(a *authorizationServer) { a.Close() },
	} {
		t.Run("BR-19 RFC 7662 §4 "+name+" is an error, never a yes or a no", func(t *testing.T) {
			a := newAuthorizationServer(t)
			v := a.verifier(t)
			_, err := v.Verify(t.Context(), "good")
			require.NoError(t, err)
			broken(a)
			_, err = v.Verify(t.Context(), "good-secret-token")
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrInvalidToken)
			require.NotContains(t, err.Error(), "good-secret-token")
			s := serve(t, Config{Verifier: v})
			require.Equal(t, 503, do(t, "GET", s.URL+"/read", "", "Authorization: Bearer good").StatusCode)
		})
	}
	t.Run("MD-03 RFC 8414 §3.3 metadata of another issuer is refused", func(t *testing.T) {
		a := newAuthorizationServer(t)
		_, err := a.verifier(t, func(c *IntrospectionConfig) { c.Issuer = strings.Replace(a.URL, "127.0.0.1", "localhost", 1) }).Verify(t.Context(), "good")
		require.ErrorContains(t, err, "the metadata names the issuer")
	})
	t.Run("RFC 7662 §4 https off loopback, credentials required", func(t *testing.T) {
		for _, cfg := range []IntrospectionConfig{
			{Issuer: "http://auth.example.com", ClientID: "a", ClientSecret: "b"}, {Issuer: "auth.example.com", ClientID: "a", ClientSecret: "b"},
			{ClientID: "a", ClientSecret: "b"}, {Issuer: "https://a", URL: "https://b", ClientID: "a", ClientSecret: "b"}, {Issuer: "https://a", ClientID: "a"},
		} {
			_, err := NewIntrospection(cfg)
			require.Error(t, err)
		}
	})
	t.Run("BR-16 without a cache every request asks", func(t *testing.T) {
		a := newAuthorizationServer(t)
		v := a.verifier(t)
		for range 3 {
			_, err := v.Verify(t.Context(), "good")
			require.NoError(t, err)
		}
		require.EqualValues(t, 3, a.asked.Load())
	})
}

func TestCache(t *testing.T) {
	cached := func(c *IntrospectionConfig) { c.CacheTTL = time.Minute }
	t.Run("BR-18 V-25 one token on route read, then write: 200, then 403, in both orders", func(t *testing.T) {
		for _, order := range [][]string{{"/read", "/write"}, {"/write", "/read"}} {
			a := newAuthorizationServer(t)
			s := serve(t, Config{Verifier: a.verifier(t, cached)})
			for _, path := range order {
				want := map[string]int{"/read": 200, "/write": 403}[path]
				require.Equal(t, want, do(t, "GET", s.URL+path, "", "Authorization: Bearer good").StatusCode)
			}
			require.EqualValues(t, 1, a.asked.Load())
		}
	})
	t.Run("BR-18 V-25 the key holds source, client and token", func(t *testing.T) {
		c := newCache(time.Minute, 0)
		keys := map[cacheKey]bool{}
		for _, k := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"x", "b", "c"}, {"a", "x", "c"}, {"a", "b", "x"}} {
			keys[c.key(k[0], k[1], k[2])] = true
		}
		require.Len(t, keys, 6)
	})
	t.Run("BR-18 a no and an error are not kept", func(t *testing.T) {
		a := newAuthorizationServer(t)
		v := a.verifier(t, cached)
		for range 2 {
			_, err := v.Verify(t.Context(), "bad")
			require.ErrorIs(t, err, ErrInvalidToken)
		}
		require.EqualValues(t, 2, a.asked.Load())
	})
	t.Run("BR-18 BR-16 never beyond exp nor beyond the cache's time; without exp not at all", func(t *testing.T) {
		c, now := newCache(time.Minute, 0), time.Now()
		k := c.key("", "", "t")
		c.put(k, &Token{ExpiresAt: now.Add(10 * time.Second)}, now)
		require.NotNil(t, c.get(k, now.Add(9*time.Second)))
		require.Nil(t, c.get(k, now.Add(10*time.Second)))
		c.put(k, &Token{ExpiresAt: now.Add(time.Hour)}, now)
		require.Nil(t, c.get(k, now.Add(time.Minute)))
		c.put(k, &Token{}, now)
		require.Nil(t, c.get(k, now))
	})
	t.Run("the cache is bounded", func(t *testing.T) {
		c, now := newCache(time.Minute, 100), time.Now()
		for i := range 10_000 {
			c.put(c.key("", "", string(rune(i))), &Token{ExpiresAt: now.Add(time.Hour)}, now)
		}
		require.Len(t, c.entries.shards[0].entries, 100)
	})
}

func TestImports(t *testing.T) {
	deps := func(pkg string) string {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		require.NoError(t, err)
		return string(out)
	}
	t.Run("middleware links neither Redis nor go-oauth2", func(t *testing.T) {
		got := deps("github.com/grantor-auth/grantor/middleware")
		require.NotContains(t, got, "redis")
		require.NotContains(t, got, "oauth2")
	})
	t.Run("scopes links the standard library alone", func(t *testing.T) {
		for line := range strings.Lines(deps("github.com/grantor-auth/grantor/scopes")) {
			first, _, _ := strings.Cut(line, "/")
			if strings.Contains(first, ".") {
				require.Equal(t, "github.com/grantor-auth/grantor/scopes", strings.TrimSpace(line))
			}
		}
	})
}

// FuzzParseAuthorization: accepted is what the grammar of RFC 6750 §2.1 accepts, and nothing else.
func FuzzParseAuthorization(f *testing.F) {
	f.Add("Bearer abc")
	f.Add("bearer  x=")
	f.Add("dpop x")
	grammar := regexp.MustCompile(`^([Bb][Ee][Aa][Rr][Ee][Rr]|[Dd][Pp][Oo][Pp]) +([A-Za-z0-9._~+/-]+=*) *$`)
	f.Fuzz(func(t *testing.T, value string) {
		cred, ok, refused := parseAuthorization(value)
		m := grammar.FindStringSubmatch(value)
		require.Equal(t, m != nil && len(m[2]) <= MaxTokenBytes, ok && refused == nil)
		if ok && refused == nil {
			require.Equal(t, credentials{m[2], strings.EqualFold(m[1], "DPoP")}, cred)
		} else {
			require.Empty(t, cred.token)
		}
	})
}

// TestFeedNames: what the package repeats of tokens/feed, which it cannot import, since that links
// Redis.
func TestFeedNames(t *testing.T) {
	require.Equal(t, feed.Retention, retention)
	require.Equal(t, feed.OtherRules, otherRules)
	require.Equal(t, feed.Nameless, nameless)
}
