package gate

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/gate/" + name)
	require.NoError(t, err)
	return string(text)
}

// TestRecipes: what cannot be run here is at least YAML, and every recipe names all that a client
// could pretend.
func TestRecipes(t *testing.T) {
	for _, name := range []string{"traefik/dynamic.yml", "envoy/envoy.yaml"} {
		var any map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(deployed(t, name)), &any), name)
	}
	headers := []string{HeaderSubject, HeaderSubjectType, HeaderClientID, HeaderScope, HeaderSession, HeaderExpires, HeaderClaims, HeaderIdentity}
	for _, name := range []string{"nginx/grantor-headers.conf", "nginx/grantor.conf", "caddy/Caddyfile", "envoy/envoy.yaml"} {
		text := strings.ToLower(strings.ReplaceAll(deployed(t, name), "_", "-"))
		for _, h := range headers {
			require.Contains(t, text, strings.ToLower(h), name)
		}
	}
	for name, pattern := range map[string]string{"haproxy/haproxy.cfg": `^grantor[-_]`, "haproxy/grantor.lua": `^grantor[-_]`, "apache/grantor.lua": `^grantor[-_]`, "traefik/dynamic.yml": `^Grantor[-_]`} {
		require.Contains(t, deployed(t, name), pattern)
	}
	t.Run("MT-08 a recipe that tells certificates takes away what clients say of theirs", func(t *testing.T) {
		for name, wants := range map[string][]string{
			"nginx/grantor.conf":         {"proxy_set_header X-Client-Cert $ssl_client_escaped_cert;"},
			"nginx/grantor-headers.conf": {`X-Client-Cert        "";`, `Client-Cert          "";`},
			"haproxy/haproxy.cfg":        {`del-header ^(x[-_])?client[-_]cert -m reg`},
			"haproxy/grantor.lua":        {`^client[-_]cert`, "ssl_c_der"},
			"apache/grantor.lua":         {`^client[-_]cert`, "SSL_CLIENT_CERT"},
			"caddy/Caddyfile":            {"header_up X-Client-Cert {http.request.tls.client.certificate_der_base64}", "request_header -X-Client-Cert"},
			"envoy/envoy.yaml":           {"forward_client_cert_details: SANITIZE_SET"},
		} {
			for _, want := range wants {
				require.Contains(t, deployed(t, name), want, name)
			}
		}
	})
	t.Run("every demand of a recipe can be read", func(t *testing.T) {
		found := 0
		for _, name := range []string{"nginx/orders.conf", "haproxy/haproxy.cfg", "apache/orders.conf", "caddy/Caddyfile", "traefik/dynamic.yml"} {
			for _, demand := range regexp.MustCompile(`scope=[^\s"]+`).FindAllString(deployed(t, name), -1) {
				_, err := parseDemand(demand)
				require.NoError(t, err, "%s: %s", name, demand)
				found++
			}
		}
		require.Greater(t, found, 12)
	})
}
