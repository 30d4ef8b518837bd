package integration_test

import (
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestRunbooks plays the commands of docs/operate/runbooks.md.
func TestRunbooks(t *testing.T) {
	page, err := os.ReadFile("../docs/operate/runbooks.md")
	require.NoError(t, err)
	s := redistest.Start(t)
	d := withUsers(t, redisStore(s), configUsers())
	d.client(t, "billing-job", "orders:read")
	d.must(t, "", "client", "create", "--id", "orders-api", "--resource", "https://orders.example.com", "--introspect", "audience")
	p := d.serve(t)
	count := 0
	for _, block := range regexp.MustCompile("(?s)```console\\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "  # ") // why, for the reader
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ grantor ")
			if !ok { // another program's
				continue
			}
			command, fromFile := strings.CutSuffix(command, " < token.txt")
			stdin := ""
			if fromFile {
				r := post(t, p.URL+"/oauth2/token", "machine", d.machine, url.Values{"grant_type": {"client_credentials"}})
				require.Equal(t, 200, r.status, r.body)
				stdin = r.text("access_token")
			}
			lock := slices.Contains([]string{"user list --locked", "user unlock ada"}, command)
			for range map[bool]int{true: 5}[lock] {
				login(t, p, "ada", "wrong")
			}
			out := playedOnCall(t, d, p, stdin, strings.Fields(command))
			if lock {
				require.Regexp(t, `u-1|failed logins are forgotten`, out, command)
			}
			count++
		}
	}
	require.GreaterOrEqual(t, count, 16)
}

// playedOnCall runs a command of the page. The node of the test listens where a port was free.
func playedOnCall(t *testing.T, d deployment, p *process, stdin string, args []string) string {
	t.Helper()
	switch args[0] {
	case "health":
		args = append(args, "--listen", strings.TrimPrefix(p.URL, "http://"))
	case "reload", "version": // these read no configuration
		if args[0] == "reload" {
			args = append(args, "--pid", strconv.Itoa(p.Cmd.Process.Pid))
		}
		out, err := exec.Command(built(t, module), args...).CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
		return string(out)
	}
	return d.must(t, stdin, args...)
}
