package doctor_test

import (
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/doctor"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// planted is a fault that a test plants in a sound deployment that nobody serves.
type planted struct {
	id    string
	level doctor.Level
	text  string // a part of what the finding says
	plant func(t *testing.T, d *deployment)
	also  []string // further findings that are not ok, beside those of unserved
}

// TestPlanted: each fault is found by its id and level, and nothing else is.
func TestPlanted(t *testing.T) {
	srv := startRedis(t)
	for name, all := range map[string]map[string]planted{"configuration": configFaults(), "certificates": certificateFaults(), "access": accessFaults()} {
		for what, p := range all {
			t.Run(name+": "+what, func(t *testing.T) {
				d := sound(t, srv.URL)
				p.plant(t, d)
				r := d.run()
				require.ElementsMatch(t, append(append(unserved(), p.also...), string(p.level)+" "+p.id), notable(r), "%v", r.Findings)
				requireFound(t, r, p.id, p.level, p.text)
				require.Equal(t, r.Faults > 0, !r.OK)
			})
		}
	}
}

// requireFound looks for a finding of a check, of a level, with a part of its text and a cure.
func requireFound(t *testing.T, r doctor.Report, id string, level doctor.Level, text string) {
	t.Helper()
	for _, f := range of(r, id) {
		if f.Level == level && strings.Contains(f.Text, text) {
			require.True(t, f.Cure != "" || level == doctor.Unknown || level == doctor.OK, "it says what to do")
			return
		}
	}
	require.Fail(t, "not found", "%s %s %q in %v", level, id, text, of(r, id))
}

func configFaults() map[string]planted {
	set := func(old, text string) func(*testing.T, *deployment) {
		return func(_ *testing.T, d *deployment) { d.set(old, text) }
	}
	wrong := []string{"unknown config.warnings", "unknown config.advice", "unknown nodes.configuration"}
	return map[string]planted{
		"a key that does not exist": {"config.file", doctor.Fault, "retry_windoww", set("# more tokens", `retry_windoww = "5s"`), wrong},
		"a value that cannot be":    {"config.file", doctor.Fault, "window", set(`window = "15m"`, `window = "0s"`), wrong},
		"a syntax error":            {"config.file", doctor.Fault, "config.toml:", set("# more limits", "client_failures = = 3"), wrong},
		"no limit of guesses":       {"config.warnings", doctor.Warning, "client_failures is off", set("# more limits", "client_failures = -1"), nil},
		"an app whose refresh tokens need no key": {"config.advice", doctor.Warning, "need no key", func(_ *testing.T, d *deployment) {
			d.withUsers()
			d.set("dpop_bound_access_tokens = true\n", "")
		}, []string{"warning config.warnings"}},
		"not_before is ahead": {"tokens.not_before", doctor.Fault, "ahead", func(_ *testing.T, d *deployment) {
			d.set("# more tokens", "not_before = "+time.Now().Add(30*time.Second).UTC().Format(time.RFC3339))
		}, nil},
		"not_before is far ahead": {"tokens.not_before", doctor.Fault, "ahead", func(_ *testing.T, d *deployment) {
			d.set("# more tokens", "not_before = "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}, wrong},
		"few descriptors": {"limits.descriptors", doctor.Warning, "1024 files", func(_ *testing.T, d *deployment) {
			d.o.Descriptors = func() (uint64, bool) { return 1024, true }
		}, nil},
	}
}

func certificateFaults() map[string]planted {
	certificate := func(edit func(*x509.Certificate)) func(*testing.T, *deployment) {
		return func(_ *testing.T, d *deployment) { d.certificate(edit) }
	}
	unread := []string{"unknown tls.name", "unknown tls.chain", "unknown tls.expiry"}
	authorities := func(edit func(*x509.Certificate)) func(*testing.T, *deployment) {
		return func(t *testing.T, d *deployment) {
			d.set("# more tls", fmt.Sprintf("client_ca_file = %q", newAuthority(t, edit).file))
		}
	}
	return map[string]planted{
		"the key of another certificate": {"tls.certificate", doctor.Fault, "private key does not match", func(_ *testing.T, d *deployment) {
			_, key := d.ca.pair(nil)
			d.set(d.value("key_file"), key)
		}, nil},
		"a file that is not there": {"tls.certificate", doctor.Fault, "no such file", func(_ *testing.T, d *deployment) {
			d.set(d.value("cert_file"), "/nowhere/tls.crt")
		}, unread},
		"another name": {"tls.name", doctor.Fault, "issuer is https://localhost", certificate(func(c *x509.Certificate) { c.DNSNames = []string{"auth.example.com"} }), nil},
		"another name of mtls_url": {"tls.name", doctor.Fault, "mtls_url is https://mtls.example.com", func(_ *testing.T, d *deployment) {
			d.set("# more tls", "mtls_listen = \"127.0.0.1:0\"\nmtls_url = \"https://mtls.example.com\"")
			d.o.Timeout = 30 * time.Second
		}, []string{"fault issuer.mtls"}},
		"not for servers": {"tls.chain", doctor.Fault, "lacks serverAuth", certificate(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), nil},
		"another authority behind it": {"tls.chain", doctor.Fault, "certificate 2 in cert_file did not sign", func(t *testing.T, d *deployment) {
			other, _ := newAuthority(t, nil).sign(template("another"))
			d.certificate(nil, other)
		}, nil},
		"no intermediate": {"tls.chain", doctor.Warning, "intermediate certificate seems to be missing", certificate(func(c *x509.Certificate) {
			c.IssuingCertificateURL = []string{"http://ca.example.com/intermediate.crt"}
		}), nil},
		"it has ended": {"tls.expiry", doctor.Fault, "ended at", certificate(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), nil},
		"it ends soon": {"tls.expiry", doctor.Warning, "in 19 days", certificate(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(20*24*time.Hour - time.Minute)
		}), nil},
		"it has not begun": {"tls.expiry", doctor.Fault, "begins at", certificate(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), nil},
		"client_ca_file is not there": {"tls.client_ca", doctor.Fault, "no such file", func(_ *testing.T, d *deployment) {
			d.set("# more tls", `client_ca_file = "/nowhere/ca.pem"`)
		}, nil},
		"an authority of clients has ended": {"tls.client_ca", doctor.Fault, "ended at", authorities(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		}), nil},
		"an authority of clients ends soon": {"tls.client_ca", doctor.Warning, "ends at", authorities(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(24 * time.Hour)
		}), nil},
	}
}

func accessFaults() map[string]planted {
	set := func(old, text string) func(*testing.T, *deployment) {
		return func(_ *testing.T, d *deployment) { d.set(old, text) }
	}
	users := func(edit func(d *deployment)) func(*testing.T, *deployment) {
		return func(_ *testing.T, d *deployment) { d.withUsers(); edit(d) }
	}
	secret := func(ends time.Duration) func(*testing.T, *deployment) {
		return func(_ *testing.T, d *deployment) {
			hash := strings.Repeat("1", 64)
			d.set(`{ hash = "sha256:`+hash+`" }`, fmt.Sprintf(`{ hash = "sha256:%s", expires_at = %s }`, hash, time.Now().Add(ends).UTC().Format(time.RFC3339)))
		}
	}
	warned := []string{"warning config.warnings"}
	return map[string]planted{
		"RFC 7662 §4 a scope that nobody reads": {"scopes.readable", doctor.Warning, `"orders:read", "orders:write"`, set("introspect = \"audience\"\nsecrets", "introspect = \"own\"\nsecrets"),
			[]string{"warning config.warnings", "warning clients.idle"}},
		"a scope that no client may have": {"scopes.granted", doctor.Warning, `"orders:write"`, set("orders:read orders:write\"", "orders:read\""), nil},
		"every client is disabled": {"clients.grants", doctor.Warning, "every client is disabled", func(_ *testing.T, d *deployment) {
			d.text = strings.ReplaceAll(d.text, "\nsecrets = ", "\ndisabled = true\nsecrets = ")
		}, []string{"warning scopes.granted"}},
		"no client has a grant": {"clients.grants", doctor.Warning, "none has a grant type", set("grant_types = [\"client_credentials\"]\n", ""), nil},
		"a client that can do nothing": {"clients.idle", doctor.Warning, `"ghost"`, set("# more clients", "[[clients]]\nclient_id = \"ghost\"\n"+
			"secrets = [{ hash = \"sha256:"+strings.Repeat("3", 64)+"\" }]"), nil},
		"a secret that has ended": {"clients.secrets", doctor.Warning, `has ended: "job"`, secret(-time.Minute), nil},
		"a secret that ends soon": {"clients.secrets", doctor.Warning, `ends within 14 days: "job"`, secret(time.Hour), nil},
		"no client of the password grant": {"users.login", doctor.Fault, "no client has the grant type password", users(func(d *deployment) {
			d.set(`grant_types = ["password", "refresh_token"]`, "disabled = true\ngrant_types = [\"password\", \"refresh_token\"]")
		}), []string{"warning config.warnings", "unknown users.scope"}},
		"users without the password grant": {"users.login", doctor.Warning, "the password grant is off", users(func(d *deployment) {
			d.set("[grants]\npassword = true\n", "")
		}), []string{"warning config.warnings", "unknown users.scope", "warning clients.idle"}},
		"a user without a scope": {"users.scope", doctor.Warning, `no scope, and every login of theirs is refused: "u-1"`, users(func(d *deployment) {
			d.set("scope = \"orders:read\"\n# more users", "# more users")
		}), append(warned, "warning config.warnings")},
		"a user whose scope no app may have": {"users.scope", doctor.Warning, `a scope of these users: "u-1"`, users(func(d *deployment) {
			d.set("scope = \"orders:read\"\n# more users", "scope = \"orders:write\"\n# more users")
		}), warned},
		"a database of users that does not answer": {"users.directory", doctor.Fault, "cannot be asked", func(t *testing.T, d *deployment) {
			d.withUsers()
			head, _, _ := strings.Cut(d.text, "[[users.config]]")
			port := redistest.FreePort(t)
			d.text = strings.Replace(head, `source = "config"`, `source = "sql"`, 1) + fmt.Sprintf("[users.sql]\ndriver = \"postgres\"\ndsn = \"postgres://g:a-password@%s/app?sslmode=disable\"\n"+
				"query = \"SELECT id, username, password FROM u WHERE username = $1\"\nrecheck = \"SELECT id, username, password FROM u WHERE id = $1\"\n", net.JoinHostPort("127.0.0.1", port))
		}, []string{"warning config.warnings", "unknown users.scope"}},
	}
}
