package console

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// install copies what runs in Node to a folder of the test, so that nothing is installed among the
// sources.
func install(t *testing.T) string {
	t.Helper()
	for program, variable := range map[string]string{"npm": "GRANTOR_TEST_REQUIRE_NODE", "chromium": "GRANTOR_TEST_REQUIRE_CHROMIUM"} {
		if _, err := exec.LookPath(program); err != nil {
			require.Empty(t, os.Getenv(variable), program+" is not on PATH")
			t.Skip(program + " is not on PATH")
		}
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "browse.mjs"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
	}
	c := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund")
	c.Dir = folder
	out, err := c.CombinedOutput()
	if err != nil && os.Getenv("GRANTOR_TEST_REQUIRE_NODE") == "" {
		t.Skip("npm ci: " + err.Error())
	}
	require.NoError(t, err, string(out))
	return folder
}

// clientsWanted is how many clients a measurement has.
func clientsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("GRANTOR_TEST_CLIENTS")); err == nil && n > 0 {
		return n
	}
	return 20_000
}
