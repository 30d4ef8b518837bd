package faults_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oldestCompatible is the oldest commit whose records in Redis are those of today; beforeToday
// knows everything that this version keeps there: clients, signing keys, counters.
const (
	oldestCompatible = "49c1ccf"
	beforeToday      = "8a17644"
)

// olderRevisions are the versions to stand beside this one. GRANTOR_TEST_OLD_REV names another.
func olderRevisions() []string {
	if rev := os.Getenv("GRANTOR_TEST_OLD_REV"); rev != "" {
		return []string{rev}
	}
	return []string{oldestCompatible, beforeToday}[:choose(1, 2)]
}

// olderProgram builds a version out of the repository's history. Without the history, or the
// modules that it needs, the test is skipped, unless GRANTOR_TEST_REQUIRE_HISTORY=1: then modules
// are fetched too.
func olderProgram(t *testing.T, rev string) string {
	t.Helper()
	required := os.Getenv("GRANTOR_TEST_REQUIRE_HISTORY") == "1"
	give := t.Skipf
	if required {
		give = t.Fatalf
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree.tar")
	if out, err := exec.Command("git", "-C", "../..", "archive", "--output", tree, rev).CombinedOutput(); err != nil { // #nosec G204 -- the tester's own word
		give("version %s cannot be had from the history of this tree: %v: %s", rev, err, out)
	}
	source := filepath.Join(dir, "source")
	require.NoError(t, os.Mkdir(source, 0o750))
	out, err := exec.Command("tar", "-x", "-f", tree, "-C", source).CombinedOutput()
	require.NoError(t, err, string(out))
	name := filepath.Join(dir, "grantor")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", name, ".")
	build.Dir, build.Env = source, append(os.Environ(), "GOWORK=off")
	if !required {
		build.Env = append(build.Env, "GOPROXY=off")
	}
	begun := time.Now()
	if out, err := build.CombinedOutput(); err != nil {
		give("version %s cannot be built: %v: %s", rev, err, out)
	}
	t.Logf("version %s was built in %s", rev, seconds(time.Since(begun)))
	return name
}

// forOlder is the same deployment in words that the older version knows too.
func (d *deployment) forOlder(t *testing.T) *deployment {
	t.Helper()
	b, err := os.ReadFile(d.config)
	require.NoError(t, err)
	other := *d
	other.config = filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(other.config, []byte(strings.Replace(string(b), "[audit]\noutput = \"\"\n", "", 1)), 0o600))
	return &other
}
