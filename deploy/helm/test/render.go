// Command test writes deploy/kubernetes/grantor.yaml, which is what the chart renders with the
// values beside it. Its tests render the chart with many values.
//
//	go run -C deploy/helm/test .
package main

import (
	"fmt"
	"log"
	"os"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

const (
	chartFolder = "../grantor"
	plainFolder = "../../kubernetes/"
)

func main() {
	log.SetFlags(0)
	text, err := plain()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(plainFolder+"grantor.yaml", []byte(text), 0o644); err != nil { // #nosec G306 -- a page of the repository
		log.Fatal(err)
	}
}

// plain is the manifest for those who do not use Helm.
func plain() (string, error) {
	values, err := os.ReadFile(plainFolder + "values.yaml")
	if err != nil {
		return "", err
	}
	documents, err := render(string(values), nil)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`# Written from the chart in deploy/helm by "go run -C deploy/helm/test .": change the chart, or values.yaml beside this file.
# Before "kubectl apply -f grantor.yaml": a Redis with appendonly yes and noeviction runs; the issuer below is yours;
#   kubectl create secret generic grantor --from-literal=redis-url=redis://:…@redis:6379 --from-literal=keys="$(openssl rand -base64 32)"
`)
	for _, d := range documents {
		if d.hook {
			continue
		}
		for line := range strings.Lines("---\n" + d.text + "\n") {
			if !strings.Contains(line, "helm.sh/chart:") && !strings.Contains(line, "app.kubernetes.io/managed-by:") {
				b.WriteString(strings.TrimRight(line, " \n") + "\n")
			}
		}
	}
	return b.String(), nil
}

// document is an object that the chart renders.
type document struct {
	text, version, kind, name string
	hook                      bool
}

// render renders the chart as Helm does for the release "grantor" in the namespace "default".
// values are YAML. cluster answers "lookup"; nil: there is no cluster.
func render(values string, cluster engine.ClientProvider) ([]document, error) {
	files, err := renderFiles(values, cluster)
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range files {
		if path.Ext(name) == ".yaml" {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return order(a) - order(b) })
	var list []document
	for _, name := range names {
		for text := range strings.SplitSeq("\n"+files[name], "\n---\n") {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			d, err := newDocument(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			list = append(list, d)
		}
	}
	return list, nil
}

// order puts first what others name.
func order(file string) int {
	return slices.Index([]string{"serviceaccount.yaml", "secret.yaml", "configmap.yaml", "deployment.yaml", "service.yaml", "networkpolicy.yaml",
		"poddisruptionbudget.yaml", "horizontalpodautoscaler.yaml", "ingress.yaml", "servicemonitor.yaml", "ready.yaml"}, path.Base(file))
}

func renderFiles(values string, cluster engine.ClientProvider) (map[string]string, error) {
	chart, err := loader.LoadDir(chartFolder)
	if err != nil {
		return nil, err
	}
	given := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(values), &given); err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(chart, given, common.ReleaseOptions{Name: "grantor", Namespace: "default", Revision: 1, IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	if cluster != nil {
		return engine.RenderWithClientProvider(chart, all, cluster)
	}
	return engine.Render(chart, all)
}

func newDocument(text string) (document, error) {
	var head struct {
		APIVersion, Kind string
		Metadata         struct {
			Name        string
			Annotations map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		return document{}, fmt.Errorf("%w in\n%s", err, text)
	}
	_, hook := head.Metadata.Annotations["helm.sh/hook"]
	return document{text: text, version: head.APIVersion, kind: head.Kind, name: head.Metadata.Name, hook: hook}, nil
}
