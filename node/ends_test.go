package node

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/clientcert/certtest"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// scraped returns the value of a series, and whether it is there.
func scraped(t *testing.T, n *Node, series string) (value float64, there bool) {
	t.Helper()
	w := httptest.NewRecorder()
	n.resources.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(w.Body.String())
	if m == nil {
		return 0, false
	}
	value, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	return value, true
}

func requireAt(t *testing.T, n *Node, series string, at time.Time) {
	t.Helper()
	value, there := scraped(t, n, series)
	require.True(t, there, series)
	require.InDelta(t, at.Unix(), value, 0, series)
}

const notAfter = "grantor_certificate_not_after_timestamp_seconds"

// written puts PEM into a new file.
func written(t *testing.T, pem ...[]byte) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "certificates.pem")
	require.NoError(t, os.WriteFile(name, bytes.Join(pem, nil), 0o600))
	return name
}

func opened(t *testing.T, toml string) *Node {
	t.Helper()
	n, err := Open(t.Context(), text(t, toml), quiet())
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

func TestEnds(t *testing.T) {
	ca, soon := certtest.NewCA(t), time.Now().Add(36*time.Hour).Truncate(time.Second)
	until := func(at time.Time) tls.Certificate {
		return ca.Issue(t, func(c *x509.Certificate) { c.NotAfter = at })
	}
	pair := until(soon)
	cert, key := certtest.Files(t, pair)
	files := func(cert string) string {
		return fmt.Sprintf("tls.mode = \"files\"\ntls.cert_file = %q\ntls.key_file = %q\n", cert, key)
	}
	t.Run("S-32 the first certificate of the chain, and of the authorities", func(t *testing.T) {
		chain := written(t, certtest.PEM(pair), certtest.PEM(until(soon.Add(-day))))
		authorities := written(t, certtest.PEM(until(soon.Add(2*day))), certtest.PEM(until(soon.Add(day))), ca.Under(t, "none").PEM()[:40])
		n := opened(t, textOf(files(chain)+fmt.Sprintf("tls.client_ca_file = %q\n", authorities)))
		requireAt(t, n, notAfter+`{use="server"}`, soon.Add(-day))
		requireAt(t, n, notAfter+`{use="client_ca"}`, soon.Add(day))
	})
	t.Run("S-32 a renewed certificate is told when it is in force", func(t *testing.T) {
		n := opened(t, textOf(files(cert)))
		requireAt(t, n, notAfter+`{use="server"}`, soon)
		newCert, newKey := certtest.Files(t, until(soon.Add(90*day)))
		require.NoError(t, os.Rename(newCert, cert))
		require.NoError(t, os.Rename(newKey, key))
		requireAt(t, n, notAfter+`{use="server"}`, soon)
		require.NoError(t, n.Reload(t.Context(), parsed(t, files(cert))))
		requireAt(t, n, notAfter+`{use="server"}`, soon.Add(90*day))
		_, there := scraped(t, n, notAfter+`{use="client_ca"}`)
		require.False(t, there, "nothing is told of what is not there")
	})
	t.Run("S-32 signing keys", func(t *testing.T) {
		n := opened(t, textOf("tokens.access_token_format = \"jwt\"\nkeys.rotate_every = \"240h\"\n"))
		began, there := scraped(t, n, `grantor_signing_key_not_before_timestamp_seconds{alg="ES256"}`)
		require.True(t, there)
		ends, there := scraped(t, n, `grantor_signing_key_not_after_timestamp_seconds{alg="ES256"}`)
		require.True(t, there)
		require.InDelta(t, 240*3600, ends-began, 1)
		value, _ := scraped(t, n, "grantor_signing_key_rotation_seconds")
		require.InDelta(t, 240*3600, value, 0)
	})
}

// ending is a client of config.toml whose secret ends then.
func ending(id string, at time.Time) string {
	return fmt.Sprintf("[[clients]]\nclient_id = %q\ngrant_types = [\"client_credentials\"]\nscope = \"orders:read\"\nsecrets = [{ hash = %q, expires_at = %s }]\n",
		id, clients.HashSecret(id+" secret of the test, long enough"), at.UTC().Format(time.RFC3339))
}

func TestSecretEnds(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	const next = "grantor_client_secret_not_after_timestamp_seconds"
	counts := func(n *Node) (out [4]float64) {
		for i, within := range []string{"0d", "7d", "14d", "30d"} {
			out[i], _ = scraped(t, n, `grantor_client_secrets_expiring{within="`+within+`"}`)
		}
		return out
	}
	is := func(n *Node, want ...float64) {
		require.Eventually(t, func() bool { return counts(n) == [4]float64(want) }, 5*time.Second, 5*time.Millisecond, "%v", want)
	}
	t.Run("S-32 no secret ends", func(t *testing.T) {
		n := opened(t, textOf(""))
		is(n, 0, 0, 0, 0)
		_, there := scraped(t, n, next)
		require.False(t, there)
	})
	t.Run("S-32 secrets of config.toml", func(t *testing.T) {
		n := opened(t, textOf("")+ending("a", now.Add(5*day))+ending("b", now.Add(10*day))+ending("c", now.Add(20*day))+
			ending("d", now.Add(40*day))+ending("e", now.Add(-day)))
		is(n, 1, 2, 3, 4)
		requireAt(t, n, next, now.Add(5*day))
	})
	t.Run("S-32 secrets of config.toml and of Redis", func(t *testing.T) {
		url := redistest.Start(t).URL
		db, err := redisdb.Open(redisdb.Config{URL: url, Prefix: "grantor:"})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		for id, end := range map[string]time.Time{"r": now.Add(3 * day), "s": now.Add(-day), "t": {}} {
			hash := clients.HashSecret(id + " secret of the test, long enough")
			require.NoError(t, clients.NewRedis(db).Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: id, Scope: "orders:read",
				Grants: []string{"client_credentials"}, Secrets: []clients.Secret{{Hash: hash, ExpiresAt: end}}}}))
		}
		n := opened(t, strings.Replace(textOf(""), `store = "memory"`, fmt.Sprintf("redis.url = %q", url), 1)+ending("a", now.Add(5*day)))
		is(n, 1, 3, 3, 3)
		requireAt(t, n, next, now.Add(3*day))
	})
}
