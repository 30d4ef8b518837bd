package integration_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

const kitFolder = "../python/django-grantor"

// pythons returns the interpreters of this machine from Python 3.9 on, the oldest version first.
var pythons = sync.OnceValue(func() (found []string) {
	home, _ := os.UserHomeDir()
	places, _ := filepath.Glob(filepath.Join(home, ".pyenv/versions/3.*/bin/python3"))
	places = append(places, "/usr/bin/python3")
	if path, err := exec.LookPath("python3"); err == nil {
		places = append(places, path)
	}
	versions := map[string]int{}
	for _, p := range places {
		out, err := exec.Command(p, "-c", "import sys, ensurepip, ssl; print(sys.version_info[1])").Output()
		minor := 0
		if _, scanErr := fmt.Sscan(string(out), &minor); err != nil || scanErr != nil || minor < 9 {
			continue
		}
		versions[p] = minor
		found = append(found, p)
	}
	slices.SortStableFunc(found, func(a, b string) int { return versions[a] - versions[b] })
	return found
})

// venv returns the folder of programs of a virtual environment that has what the arguments of pip
// install name. It is made once; GRANTOR_TEST_VENVS names a folder that keeps it for other runs.
func venv(t *testing.T, python string, install ...string) string {
	t.Helper()
	root := os.Getenv("GRANTOR_TEST_VENVS")
	if root == "" {
		root = filepath.Join(buildDir, "venvs")
	}
	text := python
	for _, arg := range install {
		content, _ := os.ReadFile(arg)
		text += "\n" + arg + string(content)
	}
	sum := sha256.Sum256([]byte(text))
	dir := filepath.Join(root, hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir + "/complete"); err == nil {
		return dir + "/bin"
	}
	for _, c := range []*exec.Cmd{
		exec.Command(python, "-m", "venv", "--clear", dir),
		exec.Command(dir+"/bin/pip", append([]string{"install", "--quiet", "--disable-pip-version-check"}, install...)...),
	} {
		out, err := c.CombinedOutput()
		if err != nil && os.Getenv("GRANTOR_TEST_REQUIRE_PYTHON") == "" {
			t.Skipf("%s: %v: %s", c, err, out)
		}
		require.NoError(t, err, "%s: %s", c, out)
	}
	require.NoError(t, os.WriteFile(dir+"/complete", nil, 0o600))
	return dir + "/bin"
}

// kit returns the folder of programs of a virtual environment that has the kit, built and installed
// as users get it, with the "oldest" or the "newest" releases that it supports.
func kit(t *testing.T, releases string) string {
	t.Helper()
	bin := venv(t, interpreter(t, releases == "newest"), "-r", kitFolder+"/tests/requirements/"+releases+".txt")
	installed.Lock()
	defer installed.Unlock()
	if installed.in[bin] {
		return bin
	}
	c := exec.Command(bin+"/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation",
		"--force-reinstall", kitFolder)
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	installed.in[bin] = true
	return bin
}

var installed = struct {
	sync.Mutex
	in map[string]bool
}{in: map[string]bool{}}

// interpreter returns the oldest or newest Python of this machine.
func interpreter(t *testing.T, newest bool) string {
	t.Helper()
	found := pythons()
	if len(found) == 0 {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_PYTHON"), "no Python 3.9 or newer with venv")
		t.Skip("no Python 3.9 or newer with venv")
	}
	if newest {
		return found[len(found)-1]
	}
	return found[0]
}

// withSQLite compiles Grantor as the image is, with the driver of SQLite.
var withSQLite = sync.OnceValues(func() (string, error) {
	name := filepath.Join(buildDir, "grantor-sqlite")
	out, err := exec.Command("go", "build", "-tags", "sqlite", "-o", name, module).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return name, err
})

// pytest runs tests of the kit in a virtual environment.
func pytest(t *testing.T, bin string, environ []string, args ...string) {
	t.Helper()
	grantor, err := withSQLite()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), bin+"/python", append([]string{"-m", "pytest", "-q", "-p", "no:cacheprovider"}, args...)...)
	c.Dir = kitFolder
	c.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GRANTOR_BINARY=" + grantor, "PYTHONDONTWRITEBYTECODE=1",
		"KIT_TEST_DIR=" + t.TempDir(), "GRANTOR_TEST_HTTP1=" + os.Getenv("GRANTOR_TEST_HTTP1")}, environ...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	summary := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(summary[len(summary)-1])
}

// TestDjangoKit runs the tests of python/django-grantor on the real server, with the oldest and the
// newest releases that it supports.
func TestDjangoKit(t *testing.T) {
	redistest.Need(t)
	for _, name := range []string{"oldest", "newest"} {
		t.Run("its own tests with the "+name+" Python, Django and DRF", func(t *testing.T) {
			pytest(t, kit(t, name), nil)
		})
	}
	t.Run("types, style and the package itself", func(t *testing.T) {
		bin := kit(t, "newest")
		for _, args := range [][]string{
			{"ruff", "check", "--no-cache"}, {"ruff", "format", "--check", "--no-cache"},
			{"mypy", "--cache-dir", t.TempDir()}, {"python", "-m", "django", "makemigrations", "--check", "--dry-run"},
		} {
			c := exec.CommandContext(t.Context(), bin+"/"+args[0], args[1:]...)
			c.Dir = kitFolder
			c.Env = append(os.Environ(), "PYTHONPATH=tests", "PYTHONDONTWRITEBYTECODE=1", "DJANGO_SETTINGS_MODULE=project.settings")
			out, err := c.CombinedOutput()
			require.NoError(t, err, string(out))
		}
	})
	databases := []string{"tests/test_grantor_config.py", "tests/test_sessions.py"}
	t.Run("the queries and the queue on PostgreSQL", func(t *testing.T) {
		server := postgrestest.Start(t)
		pytest(t, kit(t, "newest"), []string{"KIT_TEST_POSTGRES=" + server.Folder}, databases...)
	})
	t.Run("the queries and the queue on MariaDB", func(t *testing.T) {
		socket := startMariaDB(t)
		pytest(t, kit(t, "newest"), []string{"KIT_TEST_MARIADB=" + socket}, databases...)
	})
}

// startMariaDB starts a MariaDB server on a socket in a folder of its own, and returns the socket.
func startMariaDB(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("mariadbd")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mariadbd")
	}
	if err != nil {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_MARIADB"), "MariaDB is not installed")
		t.Skip("MariaDB is not installed")
	}
	me, err := user.Current()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "grantor-my") // the path of t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server := exec.Command(path, "--no-defaults", "--user="+me.Username, "--datadir="+dir, "--socket="+dir+"/s", "--skip-grant-tables",
		"--skip-networking", "--innodb-flush-log-at-trx-commit=0")
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	db, err := database.Open(users.MySQL, "root@unix("+dir+"/s)/")
	require.NoError(t, err)
	defer db.Close()
	require.Eventually(t, func() bool { return db.PingContext(t.Context()) == nil }, 20*time.Second, 50*time.Millisecond)
	return dir + "/s"
}
