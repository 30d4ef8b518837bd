package liveverifier_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/grantortest"
)

// driver checks a token for each line, and says its verdict and whether it was in memory.
const driver = `
import os, sys, verifier
v = verifier.Verifier(os.environ["ISSUER"], os.environ["ID"], os.environ["SECRET"])
for line in sys.stdin:
    asked, post = [], verifier.Verifier._post
    v._post = lambda endpoint, *a, **form: (asked.append(endpoint), post(v, endpoint, *a, **form))[1]
    try:
        verdict = "good" if v.check(line.strip()) else "refused"
    except (OSError, ValueError):
        verdict = "unknown"
    print(verdict, "asked" if "introspection_endpoint" in asked else "remembered", flush=True)
`

// python is verifier.py in a process of its own.
type python struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, srv *grantortest.Server) *python {
	t.Helper()
	return startWith(t, srv.Issuer, srv.API.ID, srv.API.Secret)
}

func startWith(t *testing.T, issuer, id, secret string) *python {
	t.Helper()
	program, err := exec.LookPath("python3")
	if err != nil {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_PYTHON"), "there is no python3 on PATH")
		t.Skip("there is no python3 on PATH")
	}
	c := exec.CommandContext(t.Context(), program, "-c", driver) // #nosec G204 -- ours
	c.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "ISSUER="+issuer, "ID="+id, "SECRET="+secret)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	return &python{t, in, bufio.NewScanner(out)}
}

// check returns what verifier.py says of a token.
func (p *python) check(token string) string {
	p.t.Helper()
	_, err := io.WriteString(p.in, token+"\n")
	require.NoError(p.t, err)
	require.True(p.t, p.out.Scan(), "verifier.py ended")
	return p.out.Text()
}

// until checks a token until the verdict comes.
func (p *python) until(token, verdict string) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := p.check(token)
		if got == verdict {
			return
		}
		require.True(p.t, time.Now().Before(deadline), "%s, not %s", got, verdict)
	}
}

// TestVerifier holds the verifier of the guide against the real server.
func TestVerifier(t *testing.T) {
	lease := 300 * time.Millisecond
	srv := grantortest.New(t, grantortest.Options{Configure: func(c *config.Config) { c.Feed.Lease = lease }})
	machine, user, other := srv.Token("orders:read"), srv.UserToken("u-1", "orders:read"), srv.JWT("orders:read")
	p := start(t, srv)
	for _, token := range []string{machine, user, other} {
		p.until(token, "good remembered")
	}
	for _, token := range []string{machine, user} {
		srv.Revoke(token)
		time.Sleep(lease)
		require.Equal(t, "refused asked", p.check(token))
	}
	p.until(other, "good remembered")
	srv.Fail(503)
	p.until(other, "unknown asked")
	srv.Recover()
	p.until(other, "good remembered")
	require.Equal(t, "refused asked", p.check("gat_x"))
}

// broken is a server whose first poll breaks off, and that answers each token as the token says.
type broken struct {
	url   string
	polls atomic.Int32
}

func (b *broken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	live := fmt.Sprintf(`{"active":true,"token_type":"Bearer","sub":"m","sub_type":"client","iss":%q,"jti":"j","rev":["r"],`+
		`"iat":%d,"exp":%d,"position":"1-1.x"}`, b.url, time.Now().Unix(), time.Now().Unix()+600)
	switch token := r.FormValue("token"); {
	case r.URL.Path == "/.well-known/oauth-authorization-server":
		fmt.Fprintf(w, `{"introspection_endpoint":"%[1]s/introspect","revocation_feed_endpoint":"%[1]s/feed"}`, b.url)
	case r.URL.Path == "/feed" && b.polls.Add(1) == 1, token == "cut":
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"active":`))
	case r.URL.Path == "/feed":
		time.Sleep(20 * time.Millisecond)
		fmt.Fprintf(w, `{"echo":%q,"position":"1-1.x","lease":1,"complete":true}`, r.FormValue("echo"))
	case token == "grt":
		fmt.Fprint(w, `{"active":true,"token_type":"refresh_token","sub":"u","client_id":"app"}`)
	case token == "moved":
		http.Redirect(w, r, b.url+"/elsewhere", http.StatusFound)
	default:
		fmt.Fprint(w, live)
	}
}

// TestVerifierOfABrokenServer: its thread outlives an answer that breaks off, and no refresh token
// (RFC 6749 §1.5) and no answer from elsewhere is taken.
func TestVerifierOfABrokenServer(t *testing.T) {
	b := &broken{}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	b.url = srv.URL
	p := startWith(t, srv.URL, "api", "secret")
	p.until("gat", "good remembered")
	require.Equal(t, "unknown asked", p.check("cut"))
	require.Equal(t, "refused asked", p.check("grt"))
	require.Equal(t, "unknown asked", p.check("moved"))
}
