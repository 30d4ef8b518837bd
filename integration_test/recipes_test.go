package integration_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/dpop/dpoptest"
	"github.com/grantor-auth/grantor/internal/processtest"
)

// testServer is "grantor serve --trial --test".
type testServer struct {
	*process
	about struct {
		Issuer string
		API    struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
	}
}

func startTestServer(t *testing.T) *testServer {
	t.Helper()
	s := &testServer{process: run(t, built(t, module), nil, "serve", "--trial", "--test", "--listen", "127.0.0.1:0")}
	s.do(t, "GET", "", nil, &s.about)
	seen.secret(s.about.API.Secret)
	return s
}

// do asks an endpoint below /test, with more headers, such as "DPoP: …".
func (s *testServer) do(t *testing.T, method, path string, body, into any, headers ...string) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/test"+path, bytes.NewReader(text))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode, string(answer))
	if into != nil {
		require.NoError(t, json.Unmarshal(answer, into))
	}
}

func (s *testServer) token(t *testing.T, want members, headers ...string) string {
	t.Helper()
	var issued struct {
		Token string `json:"access_token"`
	}
	s.do(t, "POST", "/tokens", want, &issued, headers...)
	return issued.Token
}

const recipeAudience = "https://orders.example.com"

// exampleAPI is an API of examples/: GET /orders needs orders:read, POST /orders orders:write.
type exampleAPI struct {
	t   *testing.T
	srv *testServer
	url string
	jwt bool // it verifies JWTs alone
}

// startRecipe starts an API in its folder and waits until it answers.
func startRecipe(t *testing.T, dir string, jwt bool, environ []string, command ...string) exampleAPI {
	t.Helper()
	r := exampleAPI{t: t, srv: startTestServer(t), jwt: jwt}
	addr := freeAddress(t)
	_, port, _ := strings.Cut(addr, ":")
	r.url = "http://" + addr + "/orders"
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir, c.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "PORT=" + port,
		"ISSUER=" + r.srv.about.Issuer, "AUDIENCE=" + recipeAudience,
		"GRANTOR_CLIENT_ID=" + r.srv.about.API.ID, "GRANTOR_CLIENT_SECRET=" + r.srv.about.API.Secret}, environ...)
	var said processtest.Text
	c.Stdout, c.Stderr = &said, &said
	require.NoError(t, c.Start())
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if res, err := http.Get(r.url); err == nil {
			_ = res.Body.Close()
			t.Logf("answers after %s", time.Since(begun).Round(time.Millisecond))
			return r
		}
		select {
		case <-ended:
			t.Fatalf("the API ended: %s", said.String())
		default:
			require.Less(t, time.Since(begun), 2*time.Minute, "the API does not answer")
		}
	}
}

// token returns an access token in the format that the API takes.
func (r exampleAPI) token(scope string, more members, headers ...string) string {
	r.t.Helper()
	want := members{"scope": scope, "aud": []string{recipeAudience}}
	if r.jwt {
		want["format"] = "jwt"
	}
	for name, value := range more {
		want[name] = value
	}
	return r.srv.token(r.t, want, headers...)
}

func (r exampleAPI) ask(method, token string) (status int, challenge, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url, nil)
	require.NoError(r.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return res.StatusCode, res.Header.Get("WWW-Authenticate"), string(text)
}

// play asks what every API must answer.
func (r exampleAPI) play(t *testing.T) {
	r.t = t
	status := func(method, token string) int { code, _, _ := r.ask(method, token); return code }
	t.Run("RFC 6750 §3 no token", func(t *testing.T) {
		code, challenge, _ := r.ask("GET", "")
		require.Equal(t, 401, code)
		require.True(t, strings.HasPrefix(challenge, "Bearer"), challenge)
		require.NotContains(t, challenge, "error=", "§3.1 who sent no token is told no error")
	})
	t.Run("RFC 6750 §3.1 a token that is none", func(t *testing.T) {
		for _, text := range []string{"gat_nonsense", "eyJhbGciOiJub25lIn0.e30.", "x"} {
			code, challenge, _ := r.ask("GET", text)
			require.Equal(t, 401, code, text)
			require.Contains(t, challenge, `error="invalid_token"`)
		}
	})
	t.Run("RFC 6750 §3.1 the scope decides", func(t *testing.T) {
		code, _, body := r.ask("GET", r.token("orders:read", nil))
		require.Equal(t, 200, code, body)
		require.Contains(t, body, "apples")
		code, challenge, _ := r.ask("GET", r.token("orders:write", nil))
		require.Equal(t, 403, code)
		require.Contains(t, challenge, `error="insufficient_scope"`)
		require.Equal(t, 403, status("POST", r.token("orders:read", nil)))
		code, _, body = r.ask("POST", r.token("orders:read orders:write", nil))
		require.Less(t, code, 300, body)
	})
	t.Run("the API sees which user asks", func(t *testing.T) {
		_, _, body := r.ask("GET", r.token("orders:read", members{"sub": "u-1"}))
		require.Contains(t, body, `"u-1"`)
	})
	t.Run("DP-05 RFC 9449 §7.2 a bound token that is sent as a bearer token", func(t *testing.T) {
		k := dpoptest.New(t)
		bound := r.token("orders:read", nil, "DPoP: "+k.Proof("POST", r.srv.about.Issuer+"/oauth2/token"))
		code, challenge, _ := r.ask("GET", bound)
		require.Equal(t, 401, code)
		require.Contains(t, challenge, `error="invalid_token"`)
		proven, err := http.NewRequestWithContext(t.Context(), "GET", r.url, nil)
		require.NoError(t, err)
		proven.Header.Set("Authorization", "DPoP "+bound)
		proven.Header.Set("DPoP", k.Proof("GET", recipeAudience+"/orders", dpoptest.With(bound)))
		res, err := http.DefaultClient.Do(proven)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, []int{400, 401}, res.StatusCode, "an API that checks no proofs takes none; Express's verifier of JWTs calls any other scheme malformed")
	})
	if r.jwt {
		r.playJWT(t)
		return
	}
	t.Run("a token that was revoked or has expired is refused at once", func(t *testing.T) {
		for _, end := range []string{"/revoke", "/expire"} {
			token := r.token("orders:read", nil)
			require.Equal(t, 200, status("GET", token))
			r.srv.do(t, "POST", end, members{"token": token}, nil)
			require.Equal(t, 401, status("GET", token))
		}
	})
	t.Run("while Grantor fails, nobody is told that the token is wrong", func(t *testing.T) {
		token := r.token("orders:read", nil)
		for _, failure := range []int{500, 503, 429} {
			r.srv.do(t, "POST", "/fail", members{"status": failure}, nil)
			require.Equal(t, 503, status("GET", token), failure)
		}
		r.srv.do(t, "DELETE", "/fail", nil, nil)
		require.Equal(t, 200, status("GET", token))
	})
}

// playJWT asks what an API must answer that verifies JWTs.
func (r exampleAPI) playJWT(t *testing.T) {
	status := func(token string) int { code, _, _ := r.ask("GET", token); return code }
	good := r.token("orders:read", nil)
	t.Run("RFC 9068 §4 a JWT of another audience, and one whose signature was changed", func(t *testing.T) {
		require.Equal(t, 401, status(r.token("orders:read", members{"aud": []string{"https://other.example.com"}, "client_id": "other"})))
		head, signature := good[:strings.LastIndex(good, ".")+1], []byte(good[strings.LastIndex(good, ".")+1:])
		signature[0] ^= 1 // still base64url, or no base64url at all
		require.Equal(t, 401, status(head+string(signature)))
	})
	t.Run("RFC 9068 §4 a JWT that has expired", func(t *testing.T) {
		token := r.token("orders:read", members{"expires_in": 1, "client_id": "short"})
		require.Eventually(t, func() bool { return status(token) == 401 }, 90*time.Second, 500*time.Millisecond)
	})
	t.Run("while Grantor is away, the keys are known", func(t *testing.T) {
		r.srv.do(t, "POST", "/fail", members{"status": 503}, nil)
		require.Equal(t, 200, status(good))
		r.srv.do(t, "DELETE", "/fail", nil, nil)
	})
}

// refusesRefreshToken: RFC 7662 §2.2 active is said of refresh tokens too. Grantor shows one to its
// own client alone, and an API may be such a client. The API runs with the words of such an answer.
func refusesRefreshToken(t *testing.T, dir string, environ []string, command ...string) {
	t.Run("RFC 6749 §1.5 a refresh token is no access token", func(t *testing.T) {
		said := members{"active": true, "token_type": "refresh_token", "scope": "orders:read", "sub": "u-1", "client_id": "app",
			"exp": time.Now().Add(time.Hour).Unix(), "aud": []string{recipeAudience}}
		issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(said)
		}))
		t.Cleanup(issuer.Close)
		r := startRecipe(t, dir, false, append([]string{"ISSUER=" + issuer.URL}, environ...), command...)
		code, challenge, _ := r.ask("GET", "grt_of_a_user")
		require.Equal(t, 401, code)
		require.Contains(t, challenge, `error="invalid_token"`)
		said["token_type"] = "Bearer"
		code, _, _ = r.ask("GET", "gat_of_a_user")
		require.Equal(t, 200, code)
		said["cnf"] = members{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}
		code, challenge, _ = r.ask("GET", "gat_of_a_machine")
		require.Equal(t, 401, code, "MT-05 RFC 8705 §3 a token that is bound to a certificate")
		require.Contains(t, challenge, `error="invalid_token"`)
	})
}

// npmFolder returns a copy of a folder of examples/ with what its package-lock.json names.
func npmFolder(t *testing.T, folder string) string {
	t.Helper()
	program(t, "node", "GRANTOR_TEST_REQUIRE_NODE")
	program(t, "npm", "GRANTOR_TEST_REQUIRE_NODE")
	return prepared(t, folder, "GRANTOR_TEST_REQUIRE_NODE", "npm", "ci", "--silent", "--no-audit", "--no-fund")
}

// pythonFolder returns a copy of a folder of examples/, and a Python that has what its
// requirements.txt names.
func pythonFolder(t *testing.T, folder string) (dir, python string) {
	t.Helper()
	onlyOnce(t)
	system := program(t, "python3", "GRANTOR_TEST_REQUIRE_PYTHON")
	begun := time.Now()
	python = venv(t, system, "-r", absolute(t, "../examples/"+folder+"/requirements.txt")) + "/python"
	t.Logf("installed in %s", time.Since(begun).Round(time.Second))
	dir = t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../examples/"+folder)))
	return dir, python
}

// onlyOnce skips a recipe in the run with net/http alone: what recipes show does not depend on who
// reads requests, and what they install takes minutes.
func onlyOnce(t *testing.T) {
	t.Helper()
	if os.Getenv("GRANTOR_TEST_HTTP1") != "" {
		t.Skip("recipes are played in the other run")
	}
}

// prepared runs what installs a folder's dependencies in a copy of it. Without a registry the test
// is skipped, unless a variable requires it.
func prepared(t *testing.T, folder, required string, command ...string) string {
	t.Helper()
	onlyOnce(t)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../examples/"+folder)))
	begun := time.Now()
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir, c.Env = dir, os.Environ()
	out, err := c.CombinedOutput()
	if err != nil && os.Getenv(required) == "" {
		t.Skipf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	require.NoError(t, err, string(out))
	t.Logf("installed in %s", time.Since(begun).Round(time.Second))
	return dir
}

func TestRecipeExpress(t *testing.T) {
	dir := npmFolder(t, "express")
	t.Run("opaque", func(t *testing.T) { startRecipe(t, dir, false, nil, "node", "app.mjs").play(t) })
	t.Run("JWT", func(t *testing.T) { startRecipe(t, dir, true, nil, "node", "jwt.mjs").play(t) })
	refusesRefreshToken(t, dir, nil, "node", "app.mjs")
}

func TestRecipeFastAPI(t *testing.T) {
	dir, python := pythonFolder(t, "fastapi")
	t.Run("opaque", func(t *testing.T) { startRecipe(t, dir, false, nil, python, "app.py").play(t) })
	t.Run("JWT", func(t *testing.T) { startRecipe(t, dir, true, []string{"TOKENS=jwt"}, python, "app.py").play(t) })
	refusesRefreshToken(t, dir, nil, python, "app.py")
}

func TestRecipeFlask(t *testing.T) {
	dir, python := pythonFolder(t, "flask")
	t.Run("opaque", func(t *testing.T) { startRecipe(t, dir, false, nil, python, "app.py").play(t) })
	t.Run("JWT", func(t *testing.T) { startRecipe(t, dir, true, []string{"TOKENS=jwt"}, python, "app.py").play(t) })
	refusesRefreshToken(t, dir, nil, python, "app.py")
}

func TestRecipeSpringBoot(t *testing.T) {
	program(t, "java", "GRANTOR_TEST_REQUIRE_JAVA")
	program(t, "mvn", "GRANTOR_TEST_REQUIRE_JAVA")
	dir := prepared(t, "spring-boot", "GRANTOR_TEST_REQUIRE_JAVA", "mvn", "-q", "-B", "-DskipTests", "package")
	for _, profile := range []string{"opaque", "jwt"} {
		t.Run(profile, func(t *testing.T) {
			startRecipe(t, dir, profile == "jwt", nil, "java", "-XX:TieredStopAtLevel=1", "-jar", "target/orders.jar", "--spring.profiles.active="+profile).play(t)
		})
	}
	refusesRefreshToken(t, dir, nil, "java", "-XX:TieredStopAtLevel=1", "-jar", "target/orders.jar", "--spring.profiles.active=opaque")
}
