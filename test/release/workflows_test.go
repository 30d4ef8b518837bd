// Package release_test holds what makes a release to its tools: the workflows to actionlint, and
// .goreleaser.yaml to GoReleaser's own types.
package release_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/require"
)

const root = "../../"

func TestWorkflows(t *testing.T) {
	names, err := filepath.Glob(root + ".github/workflows/*.yml")
	require.NoError(t, err)
	require.Len(t, names, 3)
	t.Run("actionlint is content", func(t *testing.T) { require.Empty(t, lint(t, names...)) })
	t.Run("actionlint sees mistakes", func(t *testing.T) {
		bad := filepath.Join(t.TempDir(), "bad.yml")
		require.NoError(t, os.WriteFile(bad, []byte("on: push\njobs: { a: { runs-on: ubuntu-24.04, needs: b, steps: [{ run: 'echo ${{ github.nonsense }}' }] } }\n"), 0o600))
		said := lint(t, bad)
		require.Contains(t, said, `property "nonsense" is not defined`)
		require.Contains(t, said, `needs job "b" which does not exist`)
	})
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		t.Run(filepath.Base(name)+" pins every action by its commit", func(t *testing.T) {
			for _, m := range regexp.MustCompile(`uses: (\S+)(.*)`).FindAllStringSubmatch(string(text), -1) {
				if !strings.HasPrefix(m[1], "./") {
					require.Regexp(t, `^[\w./-]+@[0-9a-f]{40}$`, m[1])
					require.Regexp(t, `^ # v\d+\.\d+\.\d+$`, m[2], m[1])
				}
			}
		})
		t.Run(filepath.Base(name)+" gives no right that a job does not name", func(t *testing.T) {
			require.Contains(t, string(text), "\npermissions: {}\n")
			require.Equal(t, strings.Count(string(text), "\n    permissions:"), len(regexp.MustCompile(`(?m)^  [a-z]+:$`).FindAllString(jobs(string(text)), -1)))
			require.NotContains(t, string(text), "pull_request_target")
			require.Equal(t, strings.Count(string(text), "actions/checkout@"), strings.Count(string(text), "persist-credentials: false"))
		})
	}
}

func jobs(text string) string {
	_, list, _ := strings.Cut(text, "\njobs:\n")
	return "\n" + list
}

func lint(t *testing.T, names ...string) string {
	t.Helper()
	var said bytes.Buffer
	l, err := actionlint.NewLinter(&said, &actionlint.LinterOptions{})
	require.NoError(t, err)
	_, err = l.LintFiles(names, nil)
	require.NoError(t, err)
	return said.String()
}

func TestGoReleaser(t *testing.T) {
	project, err := config.Load(root + ".goreleaser.yaml")
	require.NoError(t, err, "goreleaser reads this file strictly")
	build := project.Builds[0]
	t.Run("the systems are those that CI compiles for", func(t *testing.T) {
		run, err := os.ReadFile(root + ".ci/run")
		require.NoError(t, err)
		require.Contains(t, string(run), "{"+strings.Join(build.Goos, ",")+"}/{"+strings.Join(build.Goarch, ",")+"}")
	})
	t.Run("the linker sets variables that exist", func(t *testing.T) {
		main, err := os.ReadFile(root + "main.go")
		require.NoError(t, err)
		require.Contains(t, string(main), "\nvar version, revision string\n")
		set := regexp.MustCompile(`-X (main\.\w+)=`).FindAllStringSubmatch(strings.Join(build.Ldflags, " "), -1)
		require.Len(t, set, 2)
		require.Equal(t, []string{"main.version", "main.revision"}, []string{set[0][1], set[1][1]})
		docker, err := os.ReadFile(root + "Dockerfile")
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`-X (main\.\w+)=`).FindAllStringSubmatch(string(docker), -1) {
			require.Contains(t, []string{"main.version", "main.revision"}, m[1])
		}
	})
	t.Run("every file that it names is in the tree, or is written before", func(t *testing.T) {
		var sources []string
		for _, f := range project.Archives[0].Files {
			sources = append(sources, f.Source)
		}
		for _, c := range project.NFPMs[0].Contents {
			sources = append(sources, c.Source)
		}
		s := project.NFPMs[0].Scripts
		sources = append(sources, s.PreInstall, s.PostInstall, s.PreRemove, s.PostRemove)
		for _, name := range slices.Compact(sources) {
			if name != "" && !strings.HasPrefix(name, "bin/release/") {
				require.FileExists(t, root+name)
			}
		}
	})
}
