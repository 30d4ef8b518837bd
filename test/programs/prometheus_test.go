package programs

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/middleware"
)

// startPrometheus runs Prometheus, which scrapes an API with a client's secret, and returns where
// it listens.
func startPrometheus(t *testing.T, s *server, api, secret string) string {
	t.Helper()
	prometheus := program(t, "prometheus")
	addr, folder := freeAddress(t), t.TempDir()
	require.NoError(t, os.WriteFile(folder+"/grantor-secret", []byte(secret+"\n"), 0o600))
	configured(t, folder, []string{"prometheus.yml"}, "https://auth.example.com", s.issuer, "orders.example.com:443", api, "scheme: https", "scheme: http",
		"/etc/prometheus", folder, `scopes: ["metrics:read"]`, `scopes: ["metrics:read"]`+"\n      tls_config: { ca_file: "+s.folder+"/ca.pem }",
		"job_name: orders-api", "job_name: orders-api\n    scrape_interval: 200ms\n    scrape_timeout: 200ms")
	c := exec.Command(prometheus, "--config.file", filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path", folder+"/data", "--web.listen-address", addr)
	start(t, c, func() bool {
		res, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return "http://" + addr
}

// value returns what a query of one series finds; "": nothing yet.
func value(t *testing.T, prometheus, query string) string {
	t.Helper()
	res, err := http.Get(prometheus + "/api/v1/query?query=" + url.QueryEscape(query))
	require.NoError(t, err)
	defer res.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value []any } `json:"result"`
		} `json:"data"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	if len(answer.Data.Result) == 0 || len(answer.Data.Result[0].Value) < 2 {
		return ""
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	return text
}

func TestPrometheus(t *testing.T) {
	program(t, "prometheus")
	s := serve(t)
	verifier, err := middleware.NewIntrospection(middleware.IntrospectionConfig{URL: s.issuer + "/oauth2/introspect", ClientID: "orders-api",
		ClientSecret: secret("orders"), Transport: s.client.Transport})
	require.NoError(t, err)
	guard, err := middleware.New(middleware.Config{Verifier: verifier, Audience: "https://orders.example.com"})
	require.NoError(t, err)
	api := httptest.NewServer(guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("orders_open 42\n"))
	}), "metrics:read"))
	defer api.Close()
	host := strings.TrimPrefix(api.URL, "http://")
	t.Run("CC-01 Prometheus scrapes with a token of its own", func(t *testing.T) {
		p := startPrometheus(t, s, host, secret("prometheus"))
		require.Eventually(t, func() bool { return value(t, p, "orders_open") == "42" }, patience, 100*time.Millisecond)
		require.Equal(t, "1", value(t, p, "up"))
	})
	t.Run("CA-08 with a wrong secret it scrapes nothing", func(t *testing.T) {
		p := startPrometheus(t, s, host, "wrong")
		require.Eventually(t, func() bool { return value(t, p, "up") == "0" }, patience, 100*time.Millisecond)
		require.Empty(t, value(t, p, "orders_open"))
		res, err := http.Get(p + "/api/v1/targets")
		require.NoError(t, err)
		defer res.Body.Close()
		said, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Contains(t, string(said), `invalid_client`, "as the page says")
	})
}
