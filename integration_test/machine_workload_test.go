package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// platform signs tokens of its workloads, as Kubernetes and GitHub Actions do.
type platform struct {
	*httptest.Server
	t      *testing.T
	signer jose.Signer
	caFile string
}

func startPlatform(t *testing.T, subject string) *platform {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p := &platform{t: t}
	p.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "p"))
	require.NoError(t, err)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "p", Algorithm: "ES256", Use: "sig"}}}
	answers := http.NewServeMux()
	answers.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
	})
	answers.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(set) })
	answers.HandleFunc("GET /openid/v1/jwks", func(w http.ResponseWriter, r *http.Request) { // Kubernetes shows its keys to its own
		if r.Header.Get("Authorization") != "Bearer of Grantor's pod" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	answers.HandleFunc("GET /request", func(w http.ResponseWriter, r *http.Request) { // GitHub's, for one job
		if r.Header.Get("Authorization") != "Bearer of the job" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"value": p.token(subject, r.URL.Query().Get("audience"))})
	})
	p.Server = httptest.NewTLSServer(answers)
	t.Cleanup(p.Close)
	p.caFile = filepath.Join(t.TempDir(), "ca.crt")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}
	require.NoError(t, os.WriteFile(p.caFile, pem.EncodeToMemory(block), 0o600))
	return p
}

func (p *platform) token(subject, audience string) string {
	claims, err := json.Marshal(map[string]any{"iss": p.URL, "sub": subject, "aud": []string{audience},
		"iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()})
	require.NoError(p.t, err)
	jws, err := p.signer.Sign(claims)
	require.NoError(p.t, err)
	text, err := jws.CompactSerialize()
	require.NoError(p.t, err)
	return text
}

// serveMachine starts Grantor with a part of a configuration that the page shows. Both find this
// machine's addresses in place of the page's.
func serveMachine(t *testing.T, part string, here ...string) (p *process, edit *strings.Replacer) {
	t.Helper()
	address := freeAddr(t)
	edit = strings.NewReplacer(append(here, "https://auth.example.com", "http://"+address)...)
	text, err := os.ReadFile("../examples/machine/" + part)
	require.NoError(t, err)
	base := "issuer = \"https://auth.example.com\"\nstore = \"memory\"\n[scopes]\n\"orders:read\" = {}\n"
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(edit.Replace(base+string(text))), 0o600))
	return run(t, built(t, module), nil, "serve", "--config", file, "--listen", address), edit
}

// TestMachineWorkloads plays what docs/guides/machine.md says for platforms, with a platform that
// answers as the real one does.
func TestMachineWorkloads(t *testing.T) {
	needs(t, "curl", "")
	t.Run("Kubernetes", func(t *testing.T) {
		const subject = "system:serviceaccount:shop:billing"
		k := startPlatform(t, subject)
		own := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(own, []byte("of Grantor's pod"), 0o600))
		mounted := filepath.Join(t.TempDir(), "token")
		p, edit := serveMachine(t, "kubernetes.toml", "https://kubernetes.default.svc.cluster.local", k.URL,
			"https://kubernetes.default.svc/", k.URL+"/", "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", k.caFile,
			"/var/run/secrets/kubernetes.io/serviceaccount/token", own, "/var/run/secrets/grantor/token", mounted)
		var job struct {
			Metadata struct{ Namespace string }
			Spec     struct {
				Template struct {
					Spec struct {
						ServiceAccountName string `yaml:"serviceAccountName"`
						Containers         []struct {
							Env           []struct{ Name, Value string }
							Command, Args []string
						}
						Volumes []struct {
							Projected struct {
								Sources []struct {
									ServiceAccountToken struct{ Audience string } `yaml:"serviceAccountToken"`
								}
							}
						}
					}
				}
			}
		}
		readYAML(t, "kubernetes.yaml", edit, &job)
		pod := job.Spec.Template.Spec
		require.Equal(t, subject, "system:serviceaccount:"+job.Metadata.Namespace+":"+pod.ServiceAccountName)
		audience := pod.Volumes[0].Projected.Sources[0].ServiceAccountToken.Audience
		c := pod.Containers[0]
		ask := func(token string) string {
			require.NoError(t, os.WriteFile(mounted, []byte(token), 0o600))
			return inFolder(t, t.TempDir(), []string{c.Env[0].Name + "=" + c.Env[0].Value}, "sh", "-c", strings.ReplaceAll(c.Args[0], "--fail-with-body", ""))
		}
		require.Equal(t, []string{"sh", "-c"}, c.Command)
		require.Contains(t, ask(k.token(subject, audience)), `"access_token":"gat_`, p.Log)
		for reason, token := range map[string]string{
			"wrong_subject":  k.token("system:serviceaccount:shop:other", audience),
			"wrong_audience": k.token(subject, "https://other.example.com"),
			"wrong_issuer":   startPlatform(t, subject).token(subject, audience),
		} {
			require.Contains(t, ask(token), "invalid_client")
			within(t, func() bool { return strings.Contains(p.Log.String(), `"reason":"`+reason+`"`) })
		}
	})
	t.Run("GitHub Actions", func(t *testing.T) {
		needs(t, "jq", "")
		const subject = "repo:example/shop:ref:refs/heads/main"
		g := startPlatform(t, subject)
		p, edit := serveMachine(t, "github.toml", `issuer = "https://token.actions.githubusercontent.com"`+"\n",
			`issuer = "`+g.URL+"\"\nca_file = \""+g.caFile+"\"\n", "https://token.actions.githubusercontent.com", g.URL)
		var workflow struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Env   map[string]string
				Steps []struct{ Shell, Run string }
			}
		}
		readYAML(t, "github.yml", edit, &workflow)
		require.Equal(t, "write", workflow.Permissions["id-token"])
		job := workflow.Jobs["report"]
		dir := t.TempDir()
		environ := []string{"ISSUER=" + job.Env["ISSUER"], "GITHUB_ENV=" + dir + "/env", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=of the job",
			"ACTIONS_ID_TOKEN_REQUEST_URL=" + g.URL + "/request?api-version=2.0", "CURL_CA_BUNDLE=" + g.caFile}
		require.Equal(t, "bash", job.Steps[0].Shell)
		said := inFolder(t, dir, environ, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", job.Steps[0].Run)
		text, err := os.ReadFile(dir + "/env")
		require.NoError(t, err, p.Log)
		token, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "TOKEN=gat_")
		require.True(t, ok, string(text))
		require.Equal(t, "::add-mask::gat_"+token, strings.TrimSpace(said), "GitHub keeps a masked text out of the job's log")
	})
}

// readYAML reads a file of examples/machine, which the page shows.
func readYAML(t *testing.T, name string, edit *strings.Replacer, into any) {
	t.Helper()
	text, err := os.ReadFile("../examples/machine/" + name)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal([]byte(edit.Replace(string(text))), into))
}
