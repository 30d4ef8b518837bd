package programs

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startDovecot runs Dovecot's IMAP server and returns its address. change replaces texts of its
// configuration.
func startDovecot(t *testing.T, s *server, change ...string) (addr string) {
	t.Helper()
	dovecot := program(t, "dovecot")
	if os.Getuid() != 0 { // it changes to users of its own
		require.NotEqual(t, "1", os.Getenv("GRANTOR_TEST_REQUIRE_PROGRAMS"), "Dovecot needs root")
		t.Skip("Dovecot needs root")
	}
	addr = freeAddress(t)
	folder := sharedFolder(t)
	configured(t, folder, []string{"dovecot/dovecot.conf", "dovecot/token.conf.ext", "dovecot/password.conf.ext"},
		append(change, "https://auth.example.com", s.issuer, "/etc/ssl/certs/ca-certificates.crt", s.folder+"/ca.pem", "SECRET", secret("dovecot"),
			"/etc/dovecot", folder, "uid=vmail gid=vmail", "uid=nobody gid=nogroup", "/var/mail", folder+"/mail")...)
	file := filepath.Join(folder, "dovecot.conf")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(folder+"/mail", 0o755))
	require.NoError(t, os.Chown(folder+"/mail", 65534, 65534)) // nobody
	text = append(text, strings.NewReplacer("DIR", folder, "PORT", port(addr)).Replace(`
base_dir = DIR/run
state_dir = DIR/run
instance_name = grantor-test
log_path = /dev/stderr
auth_verbose = yes
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:DIR/mail/%n
service imap-login {
  inet_listener imap {
    port = PORT
  }
  inet_listener imaps {
    port = 0
  }
}
`)...)
	require.NoError(t, os.WriteFile(file, text, 0o644)) // its own users read it
	start(t, exec.Command(dovecot, "-F", "-c", file), func() bool { return listens(addr) })
	return addr
}

// logIn sends one command that logs in (RFC 3501 §6.2) and says whether it did.
func logIn(t *testing.T, addr, command string) bool {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	lines := bufio.NewReader(c)
	greeting, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, greeting, "* OK")
	fmt.Fprintf(c, "a %s\r\n", command)
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, line)
		switch {
		case strings.HasPrefix(line, "+ "): // why it refuses (RFC 7628 §3.2.3): the client has to acknowledge
			fmt.Fprint(c, "AQ==\r\n")
		case strings.HasPrefix(line, "a OK"):
			return true
		case strings.HasPrefix(line, "a "):
			return false
		}
	}
}

// withToken is the command of RFC 7628 for a token.
func withToken(user, token string) string {
	return "AUTHENTICATE OAUTHBEARER " + base64.StdEncoding.EncodeToString([]byte("n,a="+user+",\x01auth=Bearer "+token+"\x01\x01"))
}

func TestDovecot(t *testing.T) {
	s := serve(t)
	addr := startDovecot(t, s)
	ada := url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {password}}
	t.Run("PW-01 Dovecot logs in by the password grant", func(t *testing.T) {
		require.True(t, logIn(t, addr, `LOGIN ada "`+password+`"`))
		require.False(t, logIn(t, addr, `LOGIN ada "another password"`))
		require.False(t, logIn(t, addr, `LOGIN bob "`+password+`"`))
	})
	t.Run("IN-01 Dovecot takes a user's token by introspection, and no longer when it is revoked", func(t *testing.T) {
		token := s.token(t, "dovecot", ada)
		require.True(t, logIn(t, addr, withToken("ada", token)))
		require.False(t, logIn(t, addr, withToken("bob", token)), "it is Ada's")
		require.False(t, logIn(t, addr, withToken("ada", token[:len(token)-4]+"AAAA")))
		s.post(t, "/oauth2/revoke", "dovecot", url.Values{"token": {token}})
		require.False(t, logIn(t, addr, withToken("ada", token)))
	})
	t.Run("IN-23 it takes no token for another API", func(t *testing.T) {
		require.False(t, logIn(t, addr, withToken("ada", s.token(t, "prometheus", machine("metrics:read")))))
	})
	t.Run("CA-04 RFC 6749 §2.3 credentials in the URL too are one method too many", func(t *testing.T) {
		token := s.token(t, "dovecot", ada)
		twice := startDovecot(t, s, "introspection_url = https://", "introspection_url = https://dovecot:"+secret("dovecot")+"@",
			"auth.example.com", "localhost:"+port(s.issuer))
		require.False(t, logIn(t, twice, withToken("ada", token)))
		require.True(t, logIn(t, addr, withToken("ada", token)), "without them it is good")
	})
}
