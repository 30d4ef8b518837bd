package integration_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const consoleName = "grantor-admin.example.com"

// oauth2Proxy answers nginx as oauth2-proxy does with --set-xauthrequest: 202 with the operator's
// name, or 401. Who is logged in is the cookie "operator".
func oauth2Proxy(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := r.Cookie("operator")
		switch {
		case r.URL.Path == "/oauth2/sign_in":
			_, _ = io.WriteString(w, "sign in")
		case err != nil:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("X-Auth-Request-Email", who.Value+"@example.com")
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// consoleProxy starts nginx with the recipe of deploy/console, and returns a transport that finds
// the console's name there.
func consoleProxy(t *testing.T, node string) http.RoundTripper {
	t.Helper()
	ca, roots, addr, dir := certtest.NewCA(t), x509.NewCertPool(), freeAddress(t), t.TempDir()
	roots.AppendCertsFromPEM(ca.PEM())
	cert, key := certtest.Files(t, ca.Issue(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{consoleName}, []net.IP{net.IPv4(127, 0, 0, 1)}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}))
	recipe, err := os.ReadFile("../deploy/console/nginx.conf")
	require.NoError(t, err)
	server := strings.NewReplacer("127.0.0.1:8443", addr, "127.0.0.1:4180", oauth2Proxy(t), "http://127.0.0.1:8090;", node+"; proxy_bind 127.0.0.2;",
		"/etc/nginx/tls/tls.crt", cert, "/etc/nginx/tls/tls.key", key).Replace(string(recipe))
	startTLSProxy(t, roots, addr, "nginx", "-p", dir, "-c", nginxMain(t, dir, server))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// operatorsBrowser asks the console through its proxy.
type operatorsBrowser struct {
	*testing.T
	http.Client
}

func (b *operatorsBrowser) ask(method, target string, form url.Values, header http.Header) (*http.Response, string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, target, strings.NewReader(form.Encode()))
	require.NoError(b, err)
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, values := range header {
		r.Header[name] = values
	}
	res, err := b.Do(r)
	require.NoError(b, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b, err)
	return res, string(text)
}

func TestConsoleBehindProxy(t *testing.T) {
	d := operated(t, redistest.Start(t), fmt.Sprintf("trusted_proxies = [\"127.0.0.2\"]\nadmin.url = \"https://%s\"\n"+
		"admin.console = { enabled = true, user_header = \"X-Forwarded-User\", proxies = [\"127.0.0.2\"] }\n", consoleName))
	p := d.serve(t)
	node, base := p.where("The admin API"), "https://"+consoleName
	transport := consoleProxy(t, node)
	loggedInAs := func(t *testing.T, who string) *operatorsBrowser {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		where, err := url.Parse(base)
		require.NoError(t, err)
		if who != "" {
			jar.SetCookies(where, []*http.Cookie{{Name: "operator", Value: who, Path: "/", Secure: true}})
		}
		return &operatorsBrowser{t, http.Client{Transport: transport, Jar: jar}}
	}

	t.Run("S-94 whom the proxy logged in is in, over TLS with a cookie of this host alone", func(t *testing.T) {
		res, page := loggedInAs(t, "ada").ask(http.MethodGet, base+"/console/clients", nil, nil)
		require.Equal(t, http.StatusOK, res.StatusCode, page)
		cookie := res.Header.Get("Set-Cookie")
		require.Regexp(t, `^__Host-grantor-console=[^;]+; Path=/; HttpOnly; Secure; SameSite=Strict$`, cookie)
		login := regexp.MustCompile(`"event":"console_login".*"actor":"console \(ada@example.com\)"`)
		require.Eventually(t, func() bool { return login.MatchString(p.Out.String()) }, 5*time.Second, time.Millisecond, login)
	})
	t.Run("S-94 nobody is in whom the proxy does not know", func(t *testing.T) {
		_, page := loggedInAs(t, "").ask(http.MethodGet, base+"/console/clients", nil, http.Header{"X-Forwarded-User": {"root"}})
		require.Equal(t, "sign in", page)
	})
	t.Run("S-94 what a browser says of itself does not pass the proxy", func(t *testing.T) {
		b := loggedInAs(t, "grace")
		forged := http.Header{"X-Forwarded-User": {"root", "admin"}, "X-Auth-Request-Email": {"root@example.com"}}
		res, page := b.ask(http.MethodGet, base+"/console/token", nil, forged)
		require.Equal(t, http.StatusOK, res.StatusCode, page)
		require.Contains(t, page, "grace@example.com")
		require.NotContains(t, page, "root")
	})
	t.Run("S-91 forms count from the console's own pages alone", func(t *testing.T) {
		b := loggedInAs(t, "ada")
		_, page := b.ask(http.MethodGet, base+"/console/token", nil, nil)
		form := url.Values{"csrf": {regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)[1]}, "token": {"nothing"}}
		res, page := b.ask(http.MethodPost, base+"/console/token", form, http.Header{"Origin": {base}})
		require.Equal(t, http.StatusOK, res.StatusCode, page)
		for _, origin := range []string{"http://" + consoleName, "https://evil.example.com", "null"} {
			res, _ = b.ask(http.MethodPost, base+"/console/token", form, http.Header{"Origin": {origin}})
			require.Equal(t, http.StatusForbidden, res.StatusCode, origin)
		}
	})
	t.Run("S-94 past the proxy the header opens nothing", func(t *testing.T) {
		b := &operatorsBrowser{t, http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
		res, _ := b.ask(http.MethodGet, node+"/console/clients", nil, http.Header{"X-Forwarded-User": {"root"}})
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	})
	t.Run("S-66 the admin API is not behind the operators' proxy", func(t *testing.T) {
		res, _ := loggedInAs(t, "ada").ask(http.MethodGet, base+"/admin/v1/clients", nil, nil)
		require.Equal(t, http.StatusNotFound, res.StatusCode)
	})
}
