// Package compose_test reads docker-compose.yml as Docker Compose does: with its schema, its
// variables and its rules of what must be defined.
package compose_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

// load reads files as one project, with the services of every profile.
func load(t *testing.T, variables []string, files ...string) (*types.Project, error) {
	t.Helper()
	o, err := cli.NewProjectOptions(files, cli.WithName("grantor"), cli.WithWorkingDirectory(root), cli.WithEnv(variables),
		cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	require.NoError(t, err)
	return o.LoadProject(t.Context())
}

func TestCompose(t *testing.T) {
	p, err := load(t, nil, filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"redis", "grantor-1", "grantor-2", "proxy", "prometheus", "grafana"}, p.ServiceNames())
	for name, s := range p.Services {
		require.NotNil(t, s.HealthCheck, name)
		require.NotEmpty(t, s.HealthCheck.Test, name)
		require.Equal(t, types.RestartPolicyUnlessStopped, s.Restart, name)
		require.NotContains(t, s.Image, ":latest", "%s: a version is said", name)
		for on, d := range s.DependsOn {
			require.Equal(t, types.ServiceConditionHealthy, d.Condition, "%s waits for %s", name, on)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				require.True(t, v.ReadOnly, "%s: %s", name, v.Source)
				_, err := os.Stat(v.Source)
				require.NoError(t, err, "%s: Docker makes a folder of what is not there", name)
			}
		}
		for _, port := range s.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "%s: what is published goes around the firewall", name)
		}
	}
	require.True(t, bool(p.Networks["store"].Internal))
}

func TestComposeVariables(t *testing.T) {
	p, err := load(t, []string{"GRANTOR_VERSION=0.9.0", "GRANTOR_REVISION=3a9f654", "GRANTOR_PORT=18080", "GRANTOR_ISSUER=https://auth.test"}, filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	for _, name := range []string{"grantor-1", "grantor-2"} {
		s := p.Services[name]
		require.Equal(t, "grantor:0.9.0", s.Image)
		require.Equal(t, "0.9.0", *s.Build.Args["VERSION"])
		require.Equal(t, "3a9f654", *s.Build.Args["REVISION"])
		require.Equal(t, "https://auth.test", *s.Environment["GRANTOR_ISSUER"])
	}
	require.Equal(t, "18080", p.Services["proxy"].Ports[0].Published)
}

// TestOverrides: what is added to docker-compose.yml changes what it names, and nothing else.
func TestOverrides(t *testing.T) {
	base := filepath.Join(root, "docker-compose.yml")
	p, err := load(t, []string{"GRANTOR_DEMO=/demo.toml"}, base, filepath.Join(root, "deploy/containers/compose.yml"))
	require.NoError(t, err)
	for _, name := range []string{"grantor-1", "grantor-2"} {
		require.Len(t, p.Services[name].Volumes, 1, "another file, and none beside it")
		require.Equal(t, "/demo.toml", p.Services[name].Volumes[0].Source)
	}
	plain, err := load(t, nil, base)
	require.NoError(t, err)
	require.Equal(t, plain.Networks["front"].Ipam.Config, p.Networks["front"].Ipam.Config)
}

// TestSecrets: with secrets.yml every node reads its secrets from files, and no variable has one.
func TestSecrets(t *testing.T) {
	base := filepath.Join(root, "docker-compose.yml")
	p, err := load(t, []string{"GRANTOR_SECRETS=/secrets"}, base, filepath.Join(root, "deploy/compose/secrets.yml"))
	require.NoError(t, err)
	for _, name := range []string{"grantor-1", "grantor-2"} {
		s := p.Services[name]
		given := map[string]bool{}
		for _, secret := range s.Secrets {
			given["/run/secrets/"+secret.Source] = true
		}
		for key, value := range s.Environment {
			require.NotRegexp(t, `(PASSWORD|SECRET|KEY)$`, key)
			require.True(t, !strings.HasSuffix(key, "_FILE") || given[*value], "%s: %s is no secret of the service", name, *value)
		}
		require.Len(t, given, 2)
	}
	plain, err := load(t, nil, base)
	require.NoError(t, err)
	without := slices.DeleteFunc(slices.Clone(p.Services["redis"].Command), func(arg string) bool { return arg == "--aclfile" || arg == "/run/secrets/redis-acl" })
	require.Equal(t, plain.Services["redis"].Command, types.ShellCommand(without), "otherwise the same Redis")
}

func TestComposeRefuses(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	for old, says := range map[string]string{
		"    healthcheck:\n=    helthcheck:\n":                                               "helthcheck",
		"networks: [store, front, observe]=networks: [stor, front]":                          "stor",
		`volumes: ["redis:/data"]=volumes: ["rdis:/data"]`:                                   "rdis",
		"    redis: { condition: service_healthy }=    rdis: { condition: service_healthy }": "rdis",
		"condition: service_healthy=condition: healthy":                                      "condition",
	} {
		before, after, _ := strings.Cut(old, "=")
		require.Contains(t, string(text), before)
		name := filepath.Join(t.TempDir(), "docker-compose.yml")
		require.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(text), before, after, 1)), 0o600))
		_, err := load(t, nil, name)
		require.ErrorContains(t, err, says, after)
	}
}
