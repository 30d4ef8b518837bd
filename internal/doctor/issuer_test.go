package doctor_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/doctor"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// at serves the issuer's URL in the place of a node. edit changes its certificate; plain: it has
// none.
func (d *deployment) at(h http.Handler, plain bool, edit func(*x509.Certificate)) {
	d.t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(d.t, err)
	d.set(d.issuer(), "https://localhost:"+port)
	if plain {
		s.Start()
	} else {
		s.TLS = d.ca.tls(edit)
		s.StartTLS()
	}
	d.t.Cleanup(s.Close)
}

// metadata answers with what the configuration serves, changed by edit, and a key set of those
// names.
func (d *deployment) metadata(edit func(map[string]any), kids ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/jwks" {
			list := []map[string]string{}
			for _, kid := range kids {
				list = append(list, map[string]string{"kid": kid})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": list})
			return
		}
		cfg, _, _ := d.read()
		m, err := parts.Serves(cfg).Places()
		if err == nil && edit != nil {
			edit(m)
		}
		if err == nil {
			err = json.NewEncoder(w).Encode(m)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

func answers(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

// TestPlantedAtIssuer: each fault between clients and Grantor is found by its id and level, and
// nothing else is.
func TestPlantedAtIssuer(t *testing.T) {
	srv := startRedis(t)
	behind := []string{"unknown issuer.metadata", "unknown keys.published"}
	for name, c := range map[string]struct {
		id    string
		level doctor.Level
		text  string
		plant func(t *testing.T, d *deployment)
		also  []string
	}{
		"nobody listens although a node serves": {"issuer.reachable", doctor.Fault, "although 1 nodes serve", func(t *testing.T, d *deployment) {
			enableFeed(t, d, srv)
			signingKeys(t, d, srv, 0)
			present(t, d, srv, presence.Node{})
		}, behind},
		"a name that does not exist": {"issuer.reachable", doctor.Fault, "cannot be looked up", func(_ *testing.T, d *deployment) {
			d.set(d.issuer(), "https://auth.invalid")
		}, append([]string{"fault tls.name"}, behind...)},
		"RFC 9525 the certificate there has another name": {"issuer.reachable", doctor.Fault, "certificate is valid for auth.example.com", func(_ *testing.T, d *deployment) {
			d.at(d.metadata(nil), false, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"auth.example.com"}, nil })
		}, behind},
		"the certificate there has ended": {"issuer.reachable", doctor.Fault, "has expired", func(_ *testing.T, d *deployment) {
			d.at(d.metadata(nil), false, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		}, behind},
		"an authority that nobody trusts": {"issuer.reachable", doctor.Fault, "unknown authority", func(t *testing.T, d *deployment) {
			d.at(d.metadata(nil), false, nil)
			d.o.CAFile = newAuthority(t, nil).file
		}, behind},
		"no TLS there":      {"issuer.reachable", doctor.Fault, "does not speak TLS", func(_ *testing.T, d *deployment) { d.at(d.metadata(nil), true, nil) }, behind},
		"another program":   {"issuer.reachable", doctor.Fault, "answers 404", func(_ *testing.T, d *deployment) { d.at(http.NotFoundHandler(), false, nil) }, behind},
		"a page of HTML":    {"issuer.reachable", doctor.Fault, "not the metadata", func(_ *testing.T, d *deployment) { d.at(answers(200, "<html>"), false, nil) }, behind},
		"a redirect":        {"issuer.reachable", doctor.Fault, "answers 302", func(_ *testing.T, d *deployment) { d.at(http.RedirectHandler("/login", 302), false, nil) }, behind},
		"a proxy before us": {"issuer.reachable", doctor.Warning, "answers 502, and no node serves", func(_ *testing.T, d *deployment) { d.at(answers(502, ""), false, nil) }, behind},
		"a proxy that finds no node": {"issuer.reachable", doctor.Fault, "answers 502, although nodes serve", func(t *testing.T, d *deployment) {
			d.at(answers(502, ""), false, nil)
			enableFeed(t, d, srv)
			signingKeys(t, d, srv, 0)
			present(t, d, srv, presence.Node{})
		}, behind},
		"--ca-file is no PEM": {"issuer.reachable", doctor.Fault, "holds no PEM certificate", func(_ *testing.T, d *deployment) {
			d.o.CAFile = d.value("key_file")
		}, behind},
		"RFC 8414 §3.3 another issuer": {"issuer.metadata", doctor.Fault, `issuer in the metadata is "https://other.example.com"`, func(_ *testing.T, d *deployment) {
			d.at(d.metadata(func(m map[string]any) { m["issuer"] = "https://other.example.com" }), false, nil)
		}, nil},
		"another token endpoint": {"issuer.metadata", doctor.Fault, "token_endpoint in the metadata is", func(_ *testing.T, d *deployment) {
			d.at(d.metadata(func(m map[string]any) { m["token_endpoint"] = "http://10.0.0.1:8080/oauth2/token" }), false, nil)
		}, nil},
		"an endpoint that this configuration has not": {"issuer.metadata", doctor.Fault, "sessions_endpoint in the metadata is", func(_ *testing.T, d *deployment) {
			d.at(d.metadata(func(m map[string]any) { m["sessions_endpoint"] = "https://localhost/oauth2/sessions" }), false, nil)
		}, nil},
		"RFC 7517 a key that signs is not served": {"keys.published", doctor.Fault, "signs, and the key set that clients get lacks it", func(t *testing.T, d *deployment) {
			d.at(d.metadata(nil), false, nil)
			signingKeys(t, d, srv, 0)
		}, []string{"warning keys.published"}},
		"RFC 7517 the key that signs next is not served": {"keys.published", doctor.Warning, "signs next, and the key set that clients get lacks it", func(t *testing.T, d *deployment) {
			signing := signingKeys(t, d, srv, 0)
			d.at(d.metadata(nil, signing), false, nil)
		}, nil},
		"RFC 8705 §5 mtls_url is not passed on": {"issuer.mtls", doctor.Fault, "answers 404", func(_ *testing.T, d *deployment) {
			d.at(d.metadata(nil), false, nil)
			other := httptest.NewUnstartedServer(http.NotFoundHandler())
			other.TLS = d.ca.tls(nil)
			other.StartTLS()
			d.t.Cleanup(other.Close)
			d.set("# more tls", fmt.Sprintf("mtls_listen = \"127.0.0.1:0\"\nmtls_url = %q", strings.Replace(other.URL, "127.0.0.1", "localhost", 1)))
		}, nil},
		"mtls_url is not served yet": {"issuer.mtls", doctor.Warning, "not served yet", func(t *testing.T, d *deployment) {
			d.at(d.metadata(nil), false, nil)
			d.set("# more tls", fmt.Sprintf("mtls_listen = \"127.0.0.1:0\"\nmtls_url = \"https://localhost:%s\"", redistest.FreePort(t)))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := sound(t, srv.URL)
			c.plant(t, d)
			r := d.run()
			require.ElementsMatch(t, append(c.also, string(c.level)+" "+c.id), notable(r), "%v", r.Findings)
			requireFound(t, r, c.id, c.level, c.text)
		})
	}
	t.Run("of a long answer little is quoted, and none of its secrets", func(t *testing.T) {
		d := sound(t, srv.URL)
		d.at(d.metadata(func(m map[string]any) {
			m["issuer"] = "\x1b[31m\u202e" + strings.Repeat("x", 1<<19)
			m["other_endpoint"] = strings.Repeat("x", 196) + "gcs_4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8"
		}), false, nil)
		found := of(d.run(), "issuer.metadata")
		require.Len(t, found, 2)
		for _, f := range found {
			require.Less(t, len(f.Text), 500, f.Text[:100])
			require.NotContains(t, f.Text, "4oPq")
			require.NotContains(t, f.Text, "\x1b")
		}
	})
	t.Run("an issuer that hangs is bounded", func(t *testing.T) {
		d, ended := sound(t, srv.URL), make(chan struct{})
		d.at(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }), false, nil)
		t.Cleanup(func() { close(ended) })
		d.o.Timeout = 2 * time.Second
		begun := time.Now()
		r := d.run()
		require.Less(t, time.Since(begun), 3*time.Second)
		requireFound(t, r, "issuer.reachable", doctor.Fault, "in time")
	})
	t.Run("a certificate that is asked for at mtls_url", func(t *testing.T) {
		d := sound(t, srv.URL)
		d.at(d.metadata(nil), false, nil)
		other := httptest.NewUnstartedServer(http.NotFoundHandler())
		other.TLS = d.ca.tls(nil)
		other.TLS.ClientAuth = tls.RequireAnyClientCert
		other.StartTLS()
		t.Cleanup(other.Close)
		d.set("# more tls", fmt.Sprintf("mtls_listen = \"127.0.0.1:0\"\nmtls_url = %q", strings.Replace(other.URL, "127.0.0.1", "localhost", 1)))
		requireFound(t, d.run(), "issuer.mtls", doctor.OK, "asks for a certificate")
	})
}
