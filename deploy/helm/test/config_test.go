package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"

	"github.com/grantor-auth/grantor/config"
)

// checkConfig has Grantor's own package read what the pod reads.
func checkConfig(t *testing.T, o objects) {
	t.Helper()
	cfg := loaded(t, o)
	require.Equal(t, config.StoreRedis, cfg.Store)
	ports := map[string]int32{}
	for _, p := range o.deployment.Spec.Template.Spec.Containers[0].Ports {
		ports[p.Name] = p.ContainerPort
	}
	for name, listen := range map[string]string{"http": cfg.Listen, "metrics": cfg.Metrics.Listen, "admin": cfg.Admin.Listen} {
		want := ""
		if port, ok := ports[name]; ok {
			want = ":" + strconv.Itoa(int(port))
		}
		require.Equal(t, want, listen, name)
	}
}

// TestTestPod plays what the pod of "helm test" runs, against a Service that is ready or not.
func TestTestPod(t *testing.T) {
	grantor := filepath.Join(t.TempDir(), "grantor")
	out, err := exec.Command("go", "build", "-C", "../../..", "-o", grantor, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	documents, err := render(sets()["the two values without a default"], nil)
	require.NoError(t, err)
	o := decode(t, documents)
	require.Equal(t, o.test.Spec.Volumes[0].ConfigMap.Name, o.deployment.Spec.Template.Spec.Volumes[0].ConfigMap.Name)
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(o.maps["grantor"].Data["config.toml"]), 0o600))
	for status, ok := range map[int]bool{http.StatusOK: true, http.StatusServiceUnavailable: false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "/readyz", r.URL.Path)
			w.WriteHeader(status)
		}))
		args := strings.Join(o.test.Spec.Containers[0].Args, " ")
		args = strings.NewReplacer("/etc/grantor/config.toml", file, "grantor:80", s.Listener.Addr().String()).Replace(args)
		out, err := exec.Command(grantor, strings.Fields(args)...).CombinedOutput()
		require.Equal(t, ok, err == nil, string(out))
		s.Close()
	}
}

// loaded writes the pod's files into a folder, and reads the configuration there.
func loaded(t *testing.T, o objects) *config.Config {
	t.Helper()
	dir := t.TempDir()
	pod := o.deployment.Spec.Template.Spec
	for _, m := range pod.Containers[0].VolumeMounts {
		for _, v := range pod.Volumes {
			if v.Name == m.Name {
				write(t, filepath.Join(dir, m.MountPath), files(t, o, v))
			}
		}
	}
	main := filepath.Join(dir, "etc/grantor/config.toml")
	text, err := os.ReadFile(main)
	require.NoError(t, err)
	moved := strings.NewReplacer(`"/etc/`, `"`+dir+`/etc/`, `"/run/`, `"`+dir+`/run/`).Replace(string(text))
	require.NoError(t, os.WriteFile(main, []byte(moved), 0o600))
	cfg, warnings, err := config.Load(config.Options{Path: main})
	require.NoError(t, err, moved)
	for _, w := range warnings {
		require.NotContains(t, w, "everybody", moved)
	}
	return cfg
}

// files are what a volume holds. What the chart does not make is made up.
func files(t *testing.T, o objects, v core.Volume) map[string]string {
	t.Helper()
	list := map[string]string{}
	switch {
	case v.ConfigMap != nil && o.maps[v.ConfigMap.Name].Name != "":
		return o.maps[v.ConfigMap.Name].Data
	case v.Secret != nil && o.secrets[v.Secret.SecretName].Name != "":
		s := o.secrets[v.Secret.SecretName]
		for key, value := range s.Data {
			list[key] = string(value)
		}
		for key, value := range s.StringData {
			list[key] = value
		}
		if len(v.Secret.Items) == 0 {
			return list
		}
		require.Len(t, v.Secret.Items, len(list), "each key of the chart's Secret is a file")
	case v.Secret != nil && v.Name == "tls":
		return map[string]string{"tls.crt": "", "tls.key": ""}
	case v.Secret != nil && v.Name == "redis-ca":
		return map[string]string{"ca.crt": ""}
	case v.Secret != nil && len(v.Secret.Items) > 0:
		for _, i := range v.Secret.Items {
			list[i.Key] = map[string]string{"redis-url": "redis://redis:6379", "keys": strings.Repeat("k", 40)}[i.Path] + " "
		}
	}
	require.NotContains(t, []string{"config", "config-values"}, v.Name, "the chart makes no object for this volume")
	if v.Secret != nil && len(v.Secret.Items) > 0 {
		chosen := map[string]string{}
		for _, i := range v.Secret.Items {
			require.NotEmpty(t, list[i.Key], "%s has no %s", v.Secret.SecretName, i.Key)
			chosen[i.Path] = strings.TrimSuffix(list[i.Key], " ") + map[bool]string{true: "secret"}[strings.HasSuffix(i.Path, "password")]
		}
		return chosen
	}
	return list
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}
