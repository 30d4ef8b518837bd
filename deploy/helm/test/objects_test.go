package main

import (
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// objects are what the chart rendered, by their kind.
type objects struct {
	kinds       []string
	maps        map[string]core.ConfigMap
	secrets     map[string]core.Secret
	services    map[string]core.Service
	deployment  *apps.Deployment
	account     *core.ServiceAccount
	budget      *policy.PodDisruptionBudget
	scaler      *autoscaling.HorizontalPodAutoscaler
	network     *networking.NetworkPolicy
	ingress     *networking.Ingress
	monitor     *monitoring.ServiceMonitor
	test        *core.Pod
	deploymentY string
}

// decode reads every document into the type of the API. A field that the type does not have, or
// that comes twice, or in another case, fails.
func decode(t *testing.T, documents []document) (o objects) {
	t.Helper()
	o = objects{maps: map[string]core.ConfigMap{}, secrets: map[string]core.Secret{}, services: map[string]core.Service{}}
	for _, d := range documents {
		o.kinds = append(o.kinds, d.kind)
		switch d.version + " " + d.kind {
		case "v1 ConfigMap":
			o.maps[d.name] = *strict(t, d, &core.ConfigMap{})
		case "v1 Secret":
			o.secrets[d.name] = *strict(t, d, &core.Secret{})
		case "v1 Service":
			o.services[d.name] = *strict(t, d, &core.Service{})
		case "v1 ServiceAccount":
			o.account = strict(t, d, &core.ServiceAccount{})
		case "v1 Pod":
			o.test = strict(t, d, &core.Pod{})
		case "apps/v1 Deployment":
			o.deployment, o.deploymentY = strict(t, d, &apps.Deployment{}), d.text
		case "policy/v1 PodDisruptionBudget":
			o.budget = strict(t, d, &policy.PodDisruptionBudget{})
		case "autoscaling/v2 HorizontalPodAutoscaler":
			o.scaler = strict(t, d, &autoscaling.HorizontalPodAutoscaler{})
		case "networking.k8s.io/v1 NetworkPolicy":
			o.network = strict(t, d, &networking.NetworkPolicy{})
		case "networking.k8s.io/v1 Ingress":
			o.ingress = strict(t, d, &networking.Ingress{})
		case "monitoring.coreos.com/v1 ServiceMonitor":
			o.monitor = strict(t, d, &monitoring.ServiceMonitor{})
		default:
			t.Fatalf("the chart renders a %s of %s, which this test does not know", d.kind, d.version)
		}
	}
	return o
}

func strict[T any](t *testing.T, d document, into *T) *T {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict([]byte(d.text))
	require.NoError(t, err, d.text)
	wrong, err := json.UnmarshalStrict(text, into)
	require.NoError(t, err, "%s %s: %s", d.kind, d.name, d.text)
	require.Empty(t, wrong, "%s %s: %s", d.kind, d.name, d.text)
	return into
}

func TestStrict(t *testing.T) {
	for _, text := range []string{"spec: { nonsense: 1 }", "spec: { Replicas: 1 }", "spec: { replicas: two }", "spec: { replicas: 1 }\nspec: {}"} {
		into := &apps.Deployment{}
		j, err := yaml.YAMLToJSONStrict([]byte(text))
		if err == nil {
			var wrong []error
			wrong, err = json.UnmarshalStrict(j, into)
			require.True(t, err != nil || len(wrong) > 0, text)
		}
	}
}
