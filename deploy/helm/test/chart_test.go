package main

import (
	"context"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

func TestSets(t *testing.T) {
	for name, values := range sets() {
		t.Run(name, func(t *testing.T) {
			documents, err := render(values, nil)
			require.NoError(t, err)
			o := decode(t, documents)
			checkPod(t, o)
			checkServices(t, o)
			checkNetwork(t, o)
			checkScale(t, o)
			checkConfig(t, o)
			checkLint(t, values)
		})
	}
}

// checkLint is "helm lint": the form of the chart, and versions of the API that are deprecated.
func checkLint(t *testing.T, values string) {
	t.Helper()
	given := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(values), &given))
	for _, m := range lint.RunAll(chartFolder, given, "default").Messages {
		require.Equal(t, support.InfoSev, m.Severity, m.Error())
	}
}

func TestMistakes(t *testing.T) {
	for values, want := range mistakes() {
		_, err := render(values, nil)
		require.ErrorContains(t, err, want, values)
	}
}

// checkPod: no privileges, probes that the listener answers, and time to drain.
func checkPod(t *testing.T, o objects) {
	t.Helper()
	pod := o.deployment.Spec.Template.Spec
	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.Equal(t, core.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	require.Equal(t, int64(65532), *pod.SecurityContext.FSGroup, "so that the image's user reads the files")
	require.NotNil(t, pod.AutomountServiceAccountToken)
	require.Equal(t, strings.Contains(o.account.String(), "iam.example.com"), *pod.AutomountServiceAccountToken, "no token unless serviceAccount.mountToken")
	require.False(t, *pod.EnableServiceLinks)
	require.Len(t, pod.Containers, 1)
	for _, c := range append(pod.Containers, o.test.Spec.Containers...) {
		require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
		require.False(t, *c.SecurityContext.Privileged)
		require.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
		require.NotEmpty(t, c.Resources.Requests)
		require.NotEmpty(t, c.Resources.Limits)
	}
	c := pod.Containers[0]
	scheme := core.URISchemeHTTP
	if c.Ports[0].ContainerPort == 8443 {
		scheme = core.URISchemeHTTPS
	}
	for path, probe := range map[string]*core.Probe{"/healthz ": c.StartupProbe, "/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		require.Equal(t, strings.TrimSpace(path), probe.HTTPGet.Path)
		require.Equal(t, scheme, probe.HTTPGet.Scheme)
		require.Equal(t, "http", probe.HTTPGet.Port.StrVal)
	}
	cfg := loaded(t, o)
	drain := cfg.Server.ShutdownDelay + cfg.Server.ShutdownTimeout
	require.Greater(t, float64(*pod.TerminationGracePeriodSeconds), drain.Seconds(), "SIGKILL comes after the drain")
	checkMounts(t, pod)
}

// checkMounts: each mount has its volume, each volume its mount, and no two mounts are one folder.
func checkMounts(t *testing.T, pod core.PodSpec) {
	t.Helper()
	volumes, paths := map[string]bool{}, map[string]bool{}
	for _, v := range pod.Volumes {
		require.False(t, volumes[v.Name], v.Name)
		volumes[v.Name] = true
	}
	for _, m := range pod.Containers[0].VolumeMounts {
		require.True(t, volumes[m.Name], m.Name)
		require.False(t, paths[m.MountPath], m.MountPath)
		require.Empty(t, m.SubPath, "a mount with subPath never changes")
		paths[m.MountPath] = true
		delete(volumes, m.Name)
	}
	require.Empty(t, volumes, "these volumes are not mounted")
}

// checkServices: the public Service leads to the public port alone, and every Service to a port
// and to pods that exist.
func checkServices(t *testing.T, o objects) {
	t.Helper()
	ports := map[string]bool{}
	for _, p := range o.deployment.Spec.Template.Spec.Containers[0].Ports {
		ports[p.Name] = true
	}
	for name, s := range o.services {
		require.Len(t, s.Spec.Ports, 1, name)
		target := s.Spec.Ports[0].TargetPort.StrVal
		require.True(t, ports[target], "%s leads to the port %s", name, target)
		require.Subset(t, o.deployment.Spec.Template.Labels, s.Spec.Selector, name)
		require.NotSubset(t, o.test.Labels, s.Spec.Selector, "the pod of helm test gets no request")
		switch {
		case strings.HasSuffix(name, "-admin"), strings.HasSuffix(name, "-metrics"):
			require.Equal(t, strings.SplitAfter(name, "-")[strings.Count(name, "-")], target)
			require.NotEqual(t, core.ServiceTypeLoadBalancer, s.Spec.Type)
		default:
			require.Equal(t, "http", target)
		}
	}
	require.Equal(t, ports["admin"], len(o.services) > 2 || (len(o.services) == 2 && !ports["metrics"]))
	if o.ingress != nil {
		for _, rule := range o.ingress.Spec.Rules {
			backend := rule.HTTP.Paths[0].Backend.Service
			require.Equal(t, o.services[backend.Name].Spec.Ports[0].Name, backend.Port.Name)
			require.Contains(t, loaded(t, o).Issuer, "https://"+rule.Host)
		}
	}
	if o.monitor != nil {
		for name, s := range o.services {
			require.Equal(t, strings.HasSuffix(name, "-metrics"), isSubset(o.monitor.Spec.Selector.MatchLabels, s.Labels), name)
		}
	}
}

func isSubset(small, large map[string]string) bool {
	for k, v := range small {
		if large[k] != v {
			return false
		}
	}
	return true
}

// checkNetwork: every port has a rule, and the operator's port is not open to everybody.
func checkNetwork(t *testing.T, o objects) {
	t.Helper()
	if o.network == nil {
		return
	}
	require.True(t, isSubset(o.network.Spec.PodSelector.MatchLabels, o.deployment.Spec.Template.Labels))
	var ruled []string
	for _, rule := range o.network.Spec.Ingress {
		name := rule.Ports[0].Port.StrVal
		ruled = append(ruled, name)
		require.True(t, name == "http" || len(rule.From) > 0, "%s is open to everybody", name)
		if name == "http" && len(rule.From) > 0 {
			last := rule.From[len(rule.From)-1]
			require.True(t, isSubset(last.PodSelector.MatchLabels, o.test.Labels), "the pod of helm test may ask")
		}
	}
	for _, p := range o.deployment.Spec.Template.Spec.Containers[0].Ports {
		require.Contains(t, ruled, p.Name)
	}
}

// checkScale: the autoscaler and the Deployment do not both say how many; a single pod may move.
func checkScale(t *testing.T, o objects) {
	t.Helper()
	pods := int32(0)
	switch {
	case o.scaler != nil:
		require.Nil(t, o.deployment.Spec.Replicas)
		require.Equal(t, o.deployment.Name, o.scaler.Spec.ScaleTargetRef.Name)
		pods = *o.scaler.Spec.MinReplicas
	default:
		pods = *o.deployment.Spec.Replicas
	}
	if o.budget != nil {
		require.Greater(t, pods, int32(1))
		require.Equal(t, o.deployment.Spec.Selector, o.budget.Spec.Selector)
	}
	require.Equal(t, 0, o.deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
}

// TestKeysAreKept: an upgrade finds the Secret that the installation made, and renders its key
// again. With another key no signing key in Redis can be read.
func TestKeysAreKept(t *testing.T) {
	values := sets()["the two values without a default"]
	key := func(cluster *fakeCluster) string {
		documents, err := render(values, cluster)
		require.NoError(t, err)
		secret := decode(t, documents).secrets["grantor"]
		require.Equal(t, "keep", secret.Annotations["helm.sh/resource-policy"])
		require.GreaterOrEqual(t, len(secret.Data["keys"]), 32)
		return string(secret.Data["keys"])
	}
	first := key(&fakeCluster{})
	require.NotEqual(t, first, key(&fakeCluster{}), "keys are random")
	require.Equal(t, first, key(&fakeCluster{keys: first}))
}

// fakeCluster answers lookups of the Secret.
type fakeCluster struct {
	dynamic.NamespaceableResourceInterface

	keys string
}

func (c *fakeCluster) GetClientFor(string, string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return c, true, nil
}

func (c *fakeCluster) Namespace(string) dynamic.ResourceInterface { return c }

func (c *fakeCluster) Get(_ context.Context, name string, _ meta.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	if c.keys == "" || name != "grantor" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	return &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"keys": base64.StdEncoding.EncodeToString([]byte(c.keys))}}}, nil
}

// TestRestarts: pods restart for what only a start reads, and reload the rest.
func TestRestarts(t *testing.T) {
	sum := func(more string) string {
		documents, err := render(sets()["the two values without a default"]+more, nil)
		require.NoError(t, err)
		return decode(t, documents).deployment.Spec.Template.Annotations["checksum/config"]
	}
	require.Equal(t, sum("config: '# one'"), sum("config: '# two'"))
	require.NotEqual(t, sum(""), sum("admin: { enabled: true }"))
}

func TestPlainManifest(t *testing.T) {
	want, err := plain()
	require.NoError(t, err)
	is, err := os.ReadFile(plainFolder + "grantor.yaml")
	require.NoError(t, err)
	require.Equal(t, want, string(is), "deploy/kubernetes/grantor.yaml is not what the chart renders: go run -C deploy/helm/test .")
}

func TestNotes(t *testing.T) {
	notes, err := renderFiles(sets()["the two values without a default"], nil)
	require.NoError(t, err)
	require.Contains(t, notes["grantor/templates/NOTES.txt"], "No scope is configured yet")
	require.Contains(t, notes["grantor/templates/NOTES.txt"], "trustedProxies is empty")
	notes, err = renderFiles(sets()["everything on"], nil)
	require.NoError(t, err)
	require.NotContains(t, notes["grantor/templates/NOTES.txt"], "No scope is configured yet")
}
