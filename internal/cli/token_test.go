package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/stretchr/testify/require"
)

const goodAnswer = `{"access_token":"gat_1","token_type":"Bearer","expires_in":900,"scope":"orders:read"}`

// stranger is an authorization server that is not ours: it notes what it was asked and answers what
// it is told to.
type stranger struct {
	*httptest.Server
	path     string // of its issuer
	metadata map[string]any
	status   int
	answer   string
	header   http.Header
	asked    []*http.Request // of its endpoints, bodies in PostForm
}

func newStranger(t *testing.T, start func(http.Handler) *httptest.Server) *stranger {
	t.Helper()
	s := &stranger{status: 200, answer: goodAnswer, header: http.Header{}}
	s.Server = start(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	s.metadata = map[string]any{"issuer": s.URL}
	for name, path := range map[string]string{"token_endpoint": "/t", "introspection_endpoint": "/i", "revocation_endpoint": "/r"} {
		s.metadata[name] = s.URL + path
	}
	return s
}

func (s *stranger) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/.well-known/oauth-authorization-server"+s.path {
		_ = json.NewEncoder(w).Encode(s.metadata)
		return
	}
	_ = r.ParseForm()
	s.asked = append(s.asked, r)
	for name := range s.header {
		w.Header().Set(name, s.header.Get(name))
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.answer)
}

// last is the last request of an endpoint.
func (s *stranger) last(t *testing.T) *http.Request {
	t.Helper()
	require.NotEmpty(t, s.asked)
	return s.asked[len(s.asked)-1]
}

func plain(t *testing.T) *stranger { return newStranger(t, httptest.NewServer) }

// command runs a token command against the stranger as the client "c" with the secret "s-e-c".
func (s *stranger) command(stdin string, args ...string) (code int, stdout, stderr string) {
	return asClient("c", "s-e-c", stdin, append(args, "--issuer", s.URL+s.path)...)
}

func asClient(id, secret, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = Main(Program{Args: append([]string{"token"}, args...), Environ: []string{"GRANTOR_CLIENT_ID=" + id, "GRANTOR_CLIENT_SECRET=" + secret},
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &err})
	return code, out.String(), err.String()
}

func TestTokenAuthenticatesTheClient(t *testing.T) {
	const id, secret = "a:b c+d", "p%: +&="
	t.Run("§2.3.1 basic: each half is form-encoded, the body has neither", func(t *testing.T) {
		s := plain(t)
		code, _, stderr := asClient(id, secret, "", "issue", "--issuer", s.URL)
		require.Zero(t, code, stderr)
		user, password, ok := s.last(t).BasicAuth()
		require.True(t, ok)
		require.Equal(t, url.QueryEscape(id), user)
		require.Equal(t, url.QueryEscape(secret), password)
		require.Equal(t, url.Values{"grant_type": {"client_credentials"}}, s.last(t).PostForm)
	})
	t.Run("§2.3.1 post: both in the body, no header", func(t *testing.T) {
		s := plain(t)
		code, _, stderr := asClient(id, secret, "", "issue", "--issuer", s.URL, "--auth-method", "post")
		require.Zero(t, code, stderr)
		require.Empty(t, s.last(t).Header.Get("Authorization"))
		require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}, s.last(t).PostForm)
	})
	t.Run("§3.2.1 none: a public client names itself and sends no secret", func(t *testing.T) {
		s := plain(t)
		code, _, stderr := asClient(id, "", "rt\n", "issue", "--issuer", s.URL, "--auth-method", "none", "--grant", "refresh_token")
		require.Zero(t, code, stderr)
		require.Empty(t, s.last(t).Header.Get("Authorization"))
		require.Equal(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rt"}, "client_id": {id}}, s.last(t).PostForm)
	})
}

func TestTokenIssue(t *testing.T) {
	t.Run("§5.1 the access token alone, or with --json the whole answer", func(t *testing.T) {
		s := plain(t)
		code, out, stderr := s.command("", "issue")
		require.Zero(t, code, stderr)
		require.Equal(t, "gat_1\n", out)
		require.Empty(t, stderr)
		_, out, _ = s.command("", "issue", "--json")
		require.JSONEq(t, goodAnswer, out)
	})
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  url.Values
	}{
		"§4.4.2 RFC 8707 §2 scope and resource": {"", []string{"--scope", "a b", "--resource", "https://x"},
			url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}, "resource": {"https://x"}}},
		"§4.3.2 password, from standard input": {"pass word \n", []string{"--grant", "password", "--username", "ada", "--password-stdin"},
			url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {"pass word "}}},
		"§6 refresh token, from standard input": {"grt_1\r\n", []string{"--grant", "refresh_token"},
			url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"grt_1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := plain(t)
			code, _, stderr := s.command(c.stdin, append([]string{"issue"}, c.args...)...)
			require.Zero(t, code, stderr)
			require.Equal(t, c.want, s.last(t).PostForm)
			require.Equal(t, "application/x-www-form-urlencoded", s.last(t).Header.Get("Content-Type"))
		})
	}
	for name, answer := range map[string]string{
		"§5.1 no access_token":            `{"token_type":"Bearer"}`,
		"App. A.12 not printable":         `{"access_token":"a\u001b[2Jb"}`,
		"§5.1 no JSON":                    `<html>`,
		"§5.1 another type":               `{"access_token":7}`,
		"§5.1 a list":                     `[]`,
		"an answer longer than is looked": `{"access_token":"` + strings.Repeat("a", maxTokenAnswer) + `"}`,
	} {
		t.Run(name+" is a failure, and nothing is on stdout", func(t *testing.T) {
			s := plain(t)
			s.answer = answer
			code, out, stderr := s.command("", "issue")
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.NotContains(t, stderr, "\x1b")
		})
	}
}

func TestTokenRefusals(t *testing.T) {
	t.Run("§5.2 the server's words on stderr, exit 1, no secret", func(t *testing.T) {
		s := plain(t)
		s.status, s.answer = 400, `{"error":"invalid_grant","error_description":"no such luck"}`
		for _, args := range [][]string{{"issue", "--grant", "password", "--username", "ada"}, {"introspect"}, {"revoke"}} {
			code, out, stderr := s.command("pass-word\n", args...)
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Contains(t, stderr, "invalid_grant: no such luck")
			require.Equal(t, 1, strings.Count(stderr, "\n"), "in one line")
			require.NotContains(t, stderr, "pass-word")
			require.NotContains(t, stderr, "s-e-c")
		}
	})
	for answer, want := range map[string]string{
		`{"error":"invalid_scope"}`:                                     "grantor: invalid_scope (status 400)\n",
		`{"error":"invalid_scope","error_description":"a\u001b[2J\nb"}`: "grantor: invalid_scope: a\\x1b[2J\\nb (status 400)\n",
		`{}`: "grantor: the server answers 400 without an error of RFC 6749 §5.2\n",
	} {
		t.Run("§5.2 told on one line: "+answer, func(t *testing.T) {
			s := plain(t)
			s.status, s.answer = 400, answer
			code, _, stderr := s.command("", "issue")
			require.Equal(t, 1, code)
			require.Equal(t, want, stderr)
		})
	}
	for _, status := range []int{302, 307, 308} {
		t.Run(fmt.Sprintf("RFC 9700 §4.12 a redirect is not followed: %d", status), func(t *testing.T) {
			s, thief := plain(t), plain(t)
			s.status, s.answer = status, ""
			s.header.Set("Location", thief.URL+"/t")
			code, out, _ := s.command("", "issue")
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Empty(t, thief.asked)
		})
	}
	t.Run("a server that is away: exit 1", func(t *testing.T) {
		s := plain(t)
		s.Close()
		code, out, stderr := s.command("", "issue")
		require.Equal(t, 1, code)
		require.Empty(t, out)
		require.NotEmpty(t, stderr)
	})
	t.Run("a server that does not answer: 10 seconds", func(t *testing.T) {
		h, err := parts.HTTPClient("", 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, h.Timeout)
	})
}

func TestTokenDiscovery(t *testing.T) {
	t.Run("RFC 8414 §3.1 an issuer with a path", func(t *testing.T) {
		s := plain(t)
		s.path = "/tenant/1"
		s.metadata["issuer"] = s.URL + s.path
		code, out, stderr := s.command("", "issue")
		require.Zero(t, code, stderr)
		require.Equal(t, "gat_1\n", out)
	})
	const calls, none, endpoint = "calls itself", "no server metadata", "no usable endpoint"
	for name, c := range map[string]struct {
		change func(*stranger)
		why    string
	}{
		"RFC 8414 §3.3 another issuer":           {func(s *stranger) { s.metadata["issuer"] = s.URL + "/" }, calls},
		"RFC 8414 §3.3 no issuer":                {func(s *stranger) { delete(s.metadata, "issuer") }, calls},
		"RFC 8414 §3.2 no JSON object":           {func(s *stranger) { s.metadata["issuer"] = 7 }, none},
		"RFC 8414 §2 no endpoint for this":       {func(s *stranger) { delete(s.metadata, "token_endpoint") }, endpoint},
		"§3.2 an endpoint in clear off loopback": {func(s *stranger) { s.metadata["token_endpoint"] = "http://auth.example.com/t" }, endpoint},
		"an endpoint with a password in its URL": {func(s *stranger) { s.metadata["token_endpoint"] = strings.Replace(s.URL, "//", "//u:p@", 1) + "/t" }, endpoint},
	} {
		t.Run(name+": exit 1, and the secret goes nowhere", func(t *testing.T) {
			s := plain(t)
			c.change(s)
			code, out, stderr := s.command("", "issue")
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Contains(t, stderr, c.why)
			require.Empty(t, s.asked)
		})
	}
}

func TestTokenIntrospect(t *testing.T) {
	ask := func(t *testing.T, answer string, args ...string) (int, string, *stranger) {
		s := plain(t)
		s.answer = answer
		code, out, _ := s.command("gat_1\n", append([]string{"introspect"}, args...)...)
		require.Equal(t, url.Values{"token": {"gat_1"}, "allowed_networks": {"true"}}, s.last(t).PostForm)
		require.Equal(t, "/i", s.last(t).URL.Path)
		return code, out, s
	}
	const alive = `{"active":true,"exp":1800000000,"scope":"a b","aud":["x","y"]}`
	t.Run("RFC 7662 §2.2 active: exit 0, what is said of it", func(t *testing.T) {
		code, out, _ := ask(t, alive)
		require.Zero(t, code)
		require.Equal(t, "active      true\naud         [\"x\",\"y\"]\nexp         1800000000\nscope       a b\n", out)
		_, out, _ = ask(t, alive, "--json")
		require.JSONEq(t, alive, out)
	})
	for _, answer := range []string{`{"active":false}`, `{}`, `{"active":"true"}`, `{"active":1}`} {
		t.Run("RFC 7662 §2.2 exit 1 for "+answer, func(t *testing.T) {
			code, out, _ := ask(t, answer, "--json")
			require.Equal(t, 1, code)
			require.JSONEq(t, answer, out)
		})
	}
	t.Run("a name that moves the cursor is quoted", func(t *testing.T) {
		_, out, _ := ask(t, `{"active":true,"username":"a\u001b[2Jb","x\ny":{"z":"\u0007"}}`)
		require.NotContains(t, out, "\x1b")
		require.NotContains(t, out, "\a")
		require.Equal(t, 3, strings.Count(out, "\n"))
	})
}

func TestTokenRevoke(t *testing.T) {
	for _, body := range []string{"", "{}", "OK", "<html>"} {
		t.Run("RFC 7009 §2.2 200 is success, whatever the body says: "+body, func(t *testing.T) {
			s := plain(t)
			s.answer = body
			code, _, stderr := s.command("gat_1\n", "revoke")
			require.Zero(t, code, stderr)
			require.Equal(t, "/r", s.last(t).URL.Path)
			require.Equal(t, url.Values{"token": {"gat_1"}}, s.last(t).PostForm)
		})
	}
	t.Run("RFC 7009 §2.2.1 503: the token still exists, exit 1", func(t *testing.T) {
		s := plain(t)
		s.status, s.answer = 503, `{"error":"temporarily_unavailable"}`
		code, out, stderr := s.command("gat_1\n", "revoke")
		require.Equal(t, 1, code)
		require.Empty(t, out)
		require.Contains(t, stderr, "temporarily_unavailable")
	})
}

func TestTokenWrongCalls(t *testing.T) {
	s := plain(t)
	for name, args := range map[string][]string{
		"no issuer":                      {"issue"},
		"§3.2 in clear off loopback":     {"issue", "--issuer", "http://auth.example.com"},
		"no URL":                         {"issue", "--issuer", "auth.example.com"},
		"RFC 8414 §2 a query":            {"issue", "--issuer", s.URL + "?a=b"},
		"RFC 8414 §2 a fragment":         {"issue", "--issuer", s.URL + "#a"},
		"a password in the URL":          {"issue", "--issuer", "https://u:p@auth.example.com"},
		"an unknown method":              {"issue", "--issuer", s.URL, "--auth-method", "digest"},
		"an unknown grant":               {"issue", "--issuer", s.URL, "--grant", "implicit"},
		"a login without a name":         {"issue", "--issuer", s.URL, "--grant", "password"},
		"a name without a login":         {"issue", "--issuer", s.URL, "--username", "ada"},
		"no password":                    {"issue", "--issuer", s.URL, "--grant", "password", "--username", "ada", "--password-stdin"},
		"no token":                       {"introspect", "--issuer", s.URL},
		"a token as an argument":         {"introspect", "--issuer", s.URL, "gat_1"},
		"a token to revoke, as argument": {"revoke", "--issuer", s.URL, "gat_1"},
		"a file that is not there":       {"issue", "--issuer", s.URL, "--ca-file", "/nowhere.pem"},
		"a file without certificates":    {"issue", "--issuer", s.URL, "--ca-file", "token_test.go"},
		"no command":                     {},
	} {
		t.Run(name+": exit 2", func(t *testing.T) {
			code, out, stderr := asClient("c", "s-e-c", "", args...)
			require.Equal(t, 2, code, stderr)
			require.Empty(t, out)
			require.True(t, strings.HasPrefix(stderr, "grantor: "), stderr)
		})
	}
	t.Run("no client: exit 2", func(t *testing.T) {
		code, _, stderr := asClient("", "s-e-c", "", "issue", "--issuer", s.URL)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "GRANTOR_CLIENT_ID")
		code, _, stderr = asClient("c", "", "", "issue", "--issuer", s.URL)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "GRANTOR_CLIENT_SECRET")
	})
	require.Empty(t, s.asked, "none of these asks a server")
}

func TestTokenOverTLS(t *testing.T) {
	s := newStranger(t, func(h http.Handler) *httptest.Server {
		u := httptest.NewUnstartedServer(h)
		u.Config.ErrorLog = log.New(io.Discard, "", 0)
		u.StartTLS()
		return u
	})
	trust := func(der []byte) string {
		file := filepath.Join(t.TempDir(), "ca.pem")
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
		return file
	}
	code, out, stderr := s.command("", "issue", "--ca-file", trust(s.Certificate().Raw))
	require.Zero(t, code, stderr)
	require.Equal(t, "gat_1\n", out)
	for name, args := range map[string][]string{"the system's": {"issue"}, "others": {"issue", "--ca-file", trust(otherAuthority(t))}} {
		t.Run("TE-01 a certificate of an authority that is not trusted is refused: "+name, func(t *testing.T) {
			code, out, stderr := s.command("", args...)
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Contains(t, stderr, "certificate")
			require.Len(t, s.asked, 1)
		})
	}
}

// otherAuthority is the certificate of an authority that signed nothing, in DER.
func otherAuthority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	require.NoError(t, err)
	return der
}

func TestTokenCompletion(t *testing.T) {
	for flag, want := range map[string]string{"--grant": "client_credentials\npassword\nrefresh_token\n:4\n", "--auth-method": "basic\npost\nnone\n:4\n"} {
		code, out, _ := run("", "__complete", "token", "issue", flag, "")
		require.Zero(t, code)
		require.Equal(t, want, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, out, stderr := run("", "completion", shell)
		require.Zero(t, code, stderr)
		require.Contains(t, out, "grantor")
		require.Empty(t, stderr)
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "x"}} {
		code, out, _ := run("", args...)
		require.Equal(t, 2, code, args)
		require.Empty(t, out)
	}
}
