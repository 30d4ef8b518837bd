package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const tree = "../../.."

// TestPackages plays the life of both packages in a Debian of its own.
func TestPackages(t *testing.T) {
	s := newSystem(t)
	debs, rpms := build(t, "0.9.0", "0.9.1")
	t.Run("deb", func(t *testing.T) { playDeb(t, s, debs) })
	s.must(t, "rm", "-rf", "/etc/grantor")
	s.must(t, "userdel", "grantor")
	t.Run("rpm", func(t *testing.T) { playRPM(t, s, rpms) })
}

// build builds the program for two versions, writes what comes beside it, and packs both. Without
// the flags of a release, for CI has the packages compiled like this.
func build(t *testing.T, versions ...string) (debs, rpms []string) {
	t.Helper()
	out := t.TempDir()
	for _, version := range versions {
		b := Build{Root: tree, Binary: filepath.Join(out, "grantor-"+version), Version: version, Arch: runtime.GOARCH, Output: out}
		goRun(t, tree, "build", "-tags=sqlite", "-ldflags", "-X main.version="+version+" -X main.revision=0123abcd", "-o", b.Binary, ".")
		goRun(t, "..", "run", "./assets", "-version", version, "-time", "1796000000", "-output", "../../bin/release")
		deb, err := Pack(b, "deb")
		require.NoError(t, err)
		rpm, err := Pack(b, "rpm")
		require.NoError(t, err)
		debs, rpms = append(debs, deb), append(rpms, rpm)
	}
	return debs, rpms
}

func goRun(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command("go", args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
}

// playDeb installs, checks, upgrades, removes and purges.
func playDeb(t *testing.T, s system, debs []string) {
	t.Helper()
	first, second := s.take(t, debs[0]), s.take(t, debs[1])
	t.Run("it installs, and says what to do", func(t *testing.T) {
		said := s.must(t, "dpkg", "--install", first)
		require.Contains(t, said, "systemctl enable --now grantor")
		require.Equal(t, "grantor 0.9.0 0123abcd "+runtime.Version(), s.must(t, "grantor", "version"))
		require.Contains(t, s.must(t, "getent", "passwd", "grantor"), "/usr/sbin/nologin")
		s.checkRights(t)
	})
	t.Run("the unit's user reads the configuration, which is sound, and others do not", func(t *testing.T) {
		out, err := s.asGrantor("config", "check", "--config", "/etc/grantor/config.toml")
		t.Log(out)
		require.NoError(t, err, out)
		out, err = s.run("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "cat", "/etc/grantor/config.toml")
		require.Error(t, err, out)
	})
	t.Run("an upgrade keeps the configuration, and its rights", func(t *testing.T) {
		s.must(t, "sed", "-i", "s|https://auth.example.com|https://id.example.org|", "/etc/grantor/config.toml")
		require.NoError(t, os.WriteFile(string(s)+"/etc/grantor/conf.d/mine.toml", []byte("[scopes]\n\"a:b\" = { description = \"A\" }\n"), 0o640))
		s.must(t, "chgrp", "grantor", "/etc/grantor/conf.d/mine.toml")
		said := s.must(t, "dpkg", "--install", second)
		require.NotContains(t, said, "enable --now", "that is for the first time")
		require.Equal(t, "grantor 0.9.1 0123abcd "+runtime.Version(), s.must(t, "grantor", "version"))
		require.Contains(t, s.must(t, "cat", "/etc/grantor/config.toml"), "https://id.example.org")
		s.checkRights(t)
		out, err := s.asGrantor("config", "show", "--config", "/etc/grantor/config.toml")
		require.NoError(t, err, out)
		require.Contains(t, out, "a:b")
	})
	t.Run("an upgrade restarts the service, but not with a configuration that the new version refuses", func(t *testing.T) {
		s.pretendSystemd(t)
		require.NotContains(t, s.must(t, "dpkg", "--install", second), "mistakes for this version")
		require.Contains(t, s.must(t, "cat", "/root/systemctl"), "restart grantor.service")
		s.must(t, "rm", "/root/systemctl")
		require.NoError(t, os.WriteFile(string(s)+"/etc/grantor/conf.d/mine.toml", []byte("nonsense = 1\n"), 0o640))
		require.Contains(t, s.must(t, "dpkg", "--install", second), "the earlier version goes on serving")
		require.NotContains(t, s.must(t, "cat", "/root/systemctl"), "restart")
	})
	t.Run("removed, the configuration stays, and the service ends", func(t *testing.T) {
		s.must(t, "dpkg", "--remove", "grantor")
		require.NoFileExists(t, string(s)+"/usr/bin/grantor")
		require.FileExists(t, string(s)+"/etc/grantor/config.toml")
		require.Contains(t, s.must(t, "cat", "/root/systemctl"), "--quiet disable --now grantor.service")
	})
	t.Run("purged, nothing of the package is left but what you made, and the user", func(t *testing.T) {
		require.NoError(t, os.MkdirAll(string(s)+"/var/log/grantor", 0o750))
		s.must(t, "dpkg", "--purge", "grantor")
		require.NoFileExists(t, string(s)+"/etc/grantor/config.toml")
		require.NoDirExists(t, string(s)+"/var/log/grantor")
		require.FileExists(t, string(s)+"/etc/grantor/conf.d/mine.toml")
		left, err := s.run("find", "/usr", "/etc", "-name", "*grantor*")
		require.NoError(t, err)
		require.Equal(t, "/etc/grantor", left)
		s.must(t, "getent", "passwd", "grantor")
	})
}

// playRPM reads the package with rpm, and installs, upgrades and removes it in the folder.
func playRPM(t *testing.T, s system, rpms []string) {
	t.Helper()
	if _, err := exec.LookPath("rpm"); err != nil {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_RPM"), "rpm is not on PATH")
		t.Skip("rpm is not on PATH")
	}
	rpm := func(args ...string) string {
		out, err := exec.Command("rpm", args...).CombinedOutput()
		t.Logf("# rpm %s\n%s", strings.Join(args, " "), out)
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.Contains(t, rpm("--checksig", "--nosignature", rpms[0]), "digests OK")
	require.Equal(t, "grantor 0.9.0-1 Apache-2.0", rpm("--query", "--package", "--queryformat", "%{name} %{version}-%{release} %{license}", rpms[0]))
	require.Equal(t, "/etc/grantor/config.toml\n", rpm("--query", "--package", "--configfiles", rpms[0]))
	require.Contains(t, rpm("--query", "--package", "--requires", rpms[0]), "shadow-utils")
	root := "--root=" + string(s)
	rpm(root, "--initdb")
	rpm(root, "--install", "--nodeps", rpms[0]) // the folder's programs are Debian's
	require.Equal(t, "grantor 0.9.0 0123abcd "+runtime.Version(), s.must(t, "grantor", "version"))
	s.checkRights(t)
	out, err := s.asGrantor("config", "check", "--config", "/etc/grantor/config.toml")
	require.NoError(t, err, out)
	s.must(t, "sed", "-i", "s|https://auth.example.com|https://id.example.org|", "/etc/grantor/config.toml")
	rpm(root, "--upgrade", "--nodeps", rpms[1])
	require.Equal(t, "grantor 0.9.1 0123abcd "+runtime.Version(), s.must(t, "grantor", "version"))
	require.Contains(t, s.must(t, "cat", "/etc/grantor/config.toml"), "https://id.example.org")
	s.checkRights(t)
	rpm(root, "--erase", "grantor")
	require.NoFileExists(t, string(s)+"/usr/bin/grantor")
	require.FileExists(t, string(s)+"/etc/grantor/config.toml.rpmsave")
}
