package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// system is a Debian in a folder, with nothing but what every Debian has.
type system string

// newSystem makes a system with debootstrap, which the test may change. A machine on which that is
// not possible skips, unless GRANTOR_TEST_REQUIRE_CHROOT is set.
func newSystem(t *testing.T) system {
	t.Helper()
	missing := ""
	switch _, err := exec.LookPath("debootstrap"); {
	case os.Geteuid() != 0:
		missing = "chroot needs root"
	case err != nil:
		missing = "debootstrap is not on PATH"
	case exec.Command("chroot", "/", "true").Run() != nil:
		missing = "chroot is not allowed here"
	}
	if missing != "" {
		require.Empty(t, os.Getenv("GRANTOR_TEST_REQUIRE_CHROOT"), missing)
		t.Skip(missing)
	}
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	out, err := exec.Command("debootstrap", "--variant=minbase", "--exclude=tzdata", "bookworm", base, mirror(t)).CombinedOutput()
	require.NoError(t, err, last(string(out), 2000))
	return system(base)
}

// mirror is where this machine has its packages from.
func mirror(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("/etc/apt/sources.list.d/*")
	require.NoError(t, err)
	for _, name := range append(names, "/etc/apt/sources.list") {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(m[1], "security") {
				return m[1]
			}
		}
	}
	return "http://deb.debian.org/debian"
}

func last(text string, n int) string { return text[max(0, len(text)-n):] }

// run runs a program in the system, as root, and returns what it printed.
func (s system) run(args ...string) (string, error) {
	c := exec.Command("chroot", append([]string{string(s)}, args...)...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (s system) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.run(args...)
	t.Logf("# %s\n%s", strings.Join(args, " "), out)
	require.NoError(t, err, out)
	return out
}

// asGrantor runs grantor as the user of the unit.
func (s system) asGrantor(args ...string) (string, error) {
	return s.run(append([]string{"setpriv", "--reuid", "grantor", "--regid", "grantor", "--clear-groups", "grantor"}, args...)...)
}

// take copies a file of this machine into the system, and returns its name there.
func (s system) take(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	to := "/root/" + filepath.Base(name)
	require.NoError(t, os.WriteFile(string(s)+to, text, 0o600))
	return to
}

// pretendSystemd has the scripts of packages find systemd, with the service active. What they ask
// of it is in /root/systemctl.
func (s system) pretendSystemd(t *testing.T) {
	t.Helper()
	require.NoError(t, os.MkdirAll(string(s)+"/run/systemd/system", 0o755))
	require.NoError(t, os.WriteFile(string(s)+"/usr/bin/systemctl", []byte("#!/bin/sh\necho \"$*\" >>/root/systemctl\n"), 0o755))
}

// rights are the rights of the installed files, as stat prints them.
func rights() map[string]string {
	return map[string]string{
		"/etc/grantor":                            "root:grantor 750",
		"/etc/grantor/config.toml":                "root:grantor 640",
		"/etc/grantor/conf.d":                     "root:grantor 750",
		"/etc/grantor/tls":                        "root:grantor 750",
		"/etc/grantor/secrets":                    "root:root 700",
		"/usr/bin/grantor":                        "root:root 755",
		"/usr/lib/systemd/system/grantor.service": "root:root 644",
		"/usr/share/man/man1/grantor-serve.1.gz":  "root:root 644",
		"/usr/share/man/man1":                     "root:root 755",
	}
}

func (s system) checkRights(t *testing.T) {
	t.Helper()
	for name, want := range rights() {
		out, err := s.run("stat", "-c", "%U:%G %a", name)
		require.NoError(t, err, out)
		require.Equal(t, want, out, name)
	}
}
