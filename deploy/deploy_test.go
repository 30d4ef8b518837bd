// Package deploy_test holds what is deployed to what the program does.
package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

func TestPrometheus(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_PROMTOOL"), "promtool is not on PATH")
		t.Skip("promtool is not on PATH")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}, {"check", "config", "prometheus.yml"}} {
		c := exec.Command(tool, args...)
		c.Dir = "prometheus"
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
	}
}

func TestDashboard(t *testing.T) {
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "grafana/grantor.json")), &d))
	seen := map[int]bool{}
	for _, p := range d.Panels {
		require.False(t, seen[p.ID], p.Title)
		seen[p.ID] = true
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.Regexp(t, `grantor_|process_|go_`, target.Expr)
		}
	}
}

// TestMTLSRecipes: every recipe takes away what a client sends under the name of the header. nginx
// and HAProxy are played by TestMTLSBehindProxies.
func TestMTLSRecipes(t *testing.T) {
	var envoy map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "mtls/envoy.yaml")), &envoy))
	for name, strips := range map[string]string{"envoy.yaml": "SANITIZE_SET", "nginx.conf": "proxy_set_header X-Client-Cert", "haproxy.cfg": "del-header ^client-cert"} {
		require.Contains(t, read(t, "mtls/"+name), strips, name)
	}
}

// TestRunbooks: every alert has a section of the runbooks under its name, and names it; no section
// is about an alert that is not there.
func TestRunbooks(t *testing.T) {
	const page, root = "docs/operate/runbooks.md", "https://github.com/grantor-auth/grantor/blob/main/"
	var alerts, sections []string
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)\n(?: {8}.*\n)*? {8}annotations: .*runbook_url: "([^"]+)"`).FindAllStringSubmatch(read(t, "prometheus/alerts.yml"), -1) {
		alerts = append(alerts, m[1])
		require.Equal(t, root+page+"#"+strings.ToLower(m[1]), m[2])
	}
	for _, m := range regexp.MustCompile(`(?m)^### (Grantor\w+)$`).FindAllStringSubmatch(read(t, "../"+page), -1) {
		sections = append(sections, m[1])
	}
	require.Len(t, alerts, strings.Count(read(t, "prometheus/alerts.yml"), "- alert:"))
	require.ElementsMatch(t, alerts, sections)
}

// TestKubernetes: deploy/helm/test writes the manifest, and holds the chart to the API's types.
func TestKubernetes(t *testing.T) {
	d := yaml.NewDecoder(mustOpen(t, "kubernetes/grantor.yaml"))
	kinds := map[string]bool{}
	for {
		var doc struct {
			Kind string
			Data map[string]string
			Spec struct {
				Template struct {
					Spec struct {
						SecurityContext map[string]any `yaml:"securityContext"`
						Containers      []struct {
							SecurityContext map[string]any `yaml:"securityContext"`
							ReadinessProbe  map[string]any `yaml:"readinessProbe"`
							Resources       map[string]any
						}
					}
				}
			}
		}
		if d.Decode(&doc) != nil {
			break
		}
		kinds[doc.Kind] = true
		switch doc.Kind {
		case "Deployment":
			pod := doc.Spec.Template.Spec
			require.Equal(t, true, pod.SecurityContext["runAsNonRoot"])
			for _, c := range pod.Containers {
				require.Equal(t, true, c.SecurityContext["readOnlyRootFilesystem"])
				require.Equal(t, false, c.SecurityContext["allowPrivilegeEscalation"])
				require.NotEmpty(t, c.ReadinessProbe)
				require.NotEmpty(t, c.Resources)
			}
		case "ConfigMap":
			if text, ok := doc.Data["config.toml"]; ok {
				checkConfig(t, text)
			}
		}
	}
	require.Equal(t, map[string]bool{"ServiceAccount": true, "ConfigMap": true, "Deployment": true, "Service": true, "NetworkPolicy": true, "PodDisruptionBudget": true}, kinds)
}

func mustOpen(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// checkConfig has the program check a configuration; its secret files are put where the test can
// write.
func checkConfig(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/redis-url", []byte("redis://127.0.0.1:6379"), 0o600))
	require.NoError(t, os.WriteFile(dir+"/keys", []byte("0123456789abcdefghijklmnopqrstuvwxyz"), 0o600))
	text = regexp.MustCompile(`/run/secrets/grantor`).ReplaceAllString(text, dir)
	require.NoError(t, os.WriteFile(dir+"/config.toml", []byte(text), 0o600))
	out, err := exec.Command("go", "run", "..", "config", "check", "--config", dir+"/config.toml").CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestMetricNames: dashboard and alerts ask for nothing that the program does not count.
func TestMetricNames(t *testing.T) {
	name := regexp.MustCompile(`grantor_[a-z_]+`)
	known := map[string]bool{}
	for _, file := range []string{"../internal/metrics/metrics.go", "../node/metrics.go", "../node/feed.go", "../node/ends.go"} {
		for _, n := range name.FindAllString(read(t, file), -1) {
			known[n] = true
		}
	}
	require.Greater(t, len(known), 20)
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	for _, file := range []string{"grafana/grantor.json", "prometheus/alerts.yml", "../docs/operate/runbooks.md", "../docs/operate/redis.md", "../docs/operate/deploy.md"} {
		for _, n := range name.FindAllString(read(t, file), -1) {
			require.True(t, known[n] || known[suffix.ReplaceAllString(n, "")], "%s: %s is no metric", file, n)
		}
	}
}

func TestSystemd(t *testing.T) {
	unit := read(t, "systemd/grantor.service")
	t.Run("S-43 the unit keeps the queue of connections as long as the system has it", func(t *testing.T) {
		require.NotRegexp(t, `(?m)^ProcSubset=pid`, unit, "Go reads net.core.somaxconn in /proc/sys")
	})
	t.Run("S-62 the unit's user is one whom files can belong to, and has a folder for the trail", func(t *testing.T) {
		require.NotRegexp(t, `(?m)^DynamicUser=`, unit)
		for _, line := range []string{"User=grantor", "Group=grantor", "LogsDirectory=grantor", "UMask=0027", "Restart=always", "Type=notify", "WatchdogSec=30s", "ExecReload=/bin/kill -HUP $MAINPID"} {
			require.Contains(t, unit, "\n"+line+"\n")
		}
		require.Contains(t, unit, "useradd --system")
		require.Contains(t, unit, "-m 0640 -o root -g grantor tls.crt tls.key /etc/grantor/tls/")
	})
	t.Run("what the gate's unit calls is a call", func(t *testing.T) {
		call := regexp.MustCompile(`(?s)ExecStart=/usr/local/bin/grantor (.*?[^\\])\n`).FindStringSubmatch(read(t, "gate/grantor-gate.service"))
		require.NotNil(t, call)
		args := strings.Fields(strings.NewReplacer("\\\n", "", "%d/secret", t.TempDir()+"/none").Replace(call[1]))
		out, err := exec.Command("go", append([]string{"run", ".."}, args...)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "--client-secret-file: open", "nothing but the secret is missing")
	})
	t.Run("systemd-analyze is content", func(t *testing.T) {
		tool, err := exec.LookPath("systemd-analyze")
		if err != nil {
			t.Skip("systemd-analyze is not on PATH")
		}
		for _, source := range []string{"systemd/grantor.service", "gate/grantor-gate.service"} {
			name := filepath.Join(t.TempDir(), filepath.Base(source))
			text := regexp.MustCompile(`/usr/local/bin/grantor`).ReplaceAllString(read(t, source), "/bin/true")
			require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
			out, err := exec.Command(tool, "verify", "--man=no", name).CombinedOutput()
			require.NoError(t, err, string(out))
			require.NotContains(t, string(out), filepath.Base(source)+":", string(out))
		}
	})
}

// TestComposeNames: every command for compose that is printed names a service that exists.
func TestComposeNames(t *testing.T) {
	var compose struct{ Services map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../docker-compose.yml")), &compose))
	said := 0
	for _, file := range []string{"../docker-compose.yml", "compose/config.toml", "compose/haproxy.cfg", "../README.md", "../docs/operate/runbooks.md", "../docs/operate/deploy.md", "../docs/operate/redis.md", "../docs/operate/backup.md"} {
		for _, m := range regexp.MustCompile(`docker compose (?:run|exec|restart|logs|kill|up -d --no-deps)((?: -[-a-z]+)*) ([a-z0-9-]+)`).FindAllStringSubmatch(read(t, file), -1) {
			require.Contains(t, compose.Services, m[2], "%s: %s", file, m[0])
			said++
		}
	}
	require.GreaterOrEqual(t, said, 3)
}
