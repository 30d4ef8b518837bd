package integration_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// TestGuideUsers follows docs/guides/users.md.
func TestGuideUsers(t *testing.T) {
	needs(t, "curl", "")
	guide{
		page:     "users.md",
		here:     []string{"127.0.0.1:8080", freeAddr(t)},
		programs: map[string]string{"grantor": built(t, module)},
	}.follow(t)
}

// framework is a table of users as a web framework makes it, with ada, who may log in.
type framework struct {
	t          *testing.T
	name       string // of the files in examples/users-sql
	db         *sql.DB
	dsn        string // of the role that the page's statements make
	pageDSN    string
	login      string // as ada types it
	hash       func(password string) string
	setHash    string // the statement, with one parameter
	deactivate string
	hidden     string // a question that the role may not ask
}

func bcryptOf(prefix string) func(string) string {
	return func(password string) string {
		hash, _ := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		return prefix + strings.TrimPrefix(string(hash), "$2a$")
	}
}

func (f framework) exec(statements ...string) {
	f.t.Helper()
	for _, s := range statements {
		_, err := f.db.ExecContext(f.t.Context(), s)
		require.NoError(f.t, err, s)
	}
}

func (f framework) file(extension string) string {
	f.t.Helper()
	text, err := os.ReadFile("../examples/users-sql/" + f.name + extension)
	require.NoError(f.t, err)
	return string(text)
}

// play grants what the page grants, and logs ada in with what the page configures.
func (f framework) play() {
	t := f.t
	_, err := f.db.ExecContext(t.Context(), f.setHash, f.hash(adaPassword))
	require.NoError(t, err)
	f.exec(strings.Split(strings.TrimSuffix(strings.TrimSpace(f.file(".sql")), ";"), ";\n")...)
	directory := f.file(".toml")
	require.Contains(t, directory, f.pageDSN)
	d := withUsers(t, memoryStore, strings.Replace(directory, f.pageDSN, f.dsn, 1))
	d.must(t, "", "config", "check")
	p := d.serve(t)
	r := login(t, p, f.login, adaPassword)
	require.Equal(t, 200, r.status, "%s %s", r.body, p.Log)
	require.Equal(t, "7", d.introspect(t, p, r.text("access_token")).json["sub"])
	require.Equal(t, 400, login(t, p, f.login, "wrong").status)
	r = refresh(t, p, "app", r.text("refresh_token"))
	require.Equal(t, 200, r.status, r.body)

	_, err = f.db.ExecContext(t.Context(), f.setHash, f.hash("another password"))
	require.NoError(t, err)
	require.Equal(t, 400, refresh(t, p, "app", r.text("refresh_token")).status, "another password ends the session")
	r = login(t, p, f.login, "another password")
	require.Equal(t, 200, r.status, r.body)
	f.exec(f.deactivate)
	require.Equal(t, 400, refresh(t, p, "app", r.text("refresh_token")).status, "a user who is deactivated")
	require.Equal(t, 400, login(t, p, f.login, "another password").status)

	role, err := database.Open(map[bool]users.Dialect{true: users.MySQL, false: users.Postgres}[f.name == "laravel"], f.dsn)
	require.NoError(t, err)
	defer role.Close()
	_, err = role.ExecContext(t.Context(), f.hidden)
	require.ErrorContains(t, err, "denied", "the role sees no other column")
	_, grant, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(f.file(".sql")), ";"), "GRANT")
	f.exec("REVOKE" + strings.Replace(grant, " TO ", " FROM ", 1))
	out, code := d.command(t, "", "serve", "--listen", "127.0.0.1:0")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "denied")
}

// TestGuideUsersSQL runs the queries and the rights of docs/guides/users.md on the schemas that the
// frameworks make.
func TestGuideUsersSQL(t *testing.T) {
	postgres := func(t *testing.T, schema string) (db *sql.DB, dsn string) {
		s := postgrestest.Start(t)
		db, err := database.Open(users.Postgres, s.DSN)
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		framework{t: t, db: db}.exec(schema)
		return db, strings.Replace(s.DSN, "user=postgres", "user=grantor", 1)
	}
	t.Run("Django", func(t *testing.T) {
		db, dsn := postgres(t, `CREATE TABLE auth_user (id integer PRIMARY KEY, password varchar(128) NOT NULL, last_login timestamptz,
			is_superuser boolean NOT NULL, username varchar(150) NOT NULL UNIQUE, first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL,
			email varchar(254) NOT NULL, is_staff boolean NOT NULL, is_active boolean NOT NULL, date_joined timestamptz NOT NULL);
			INSERT INTO auth_user VALUES (7, '', NULL, false, 'ada', '', '', 'ada@example.com', false, true, now())`)
		framework{t: t, name: "django", db: db, dsn: dsn, pageDSN: "host=db.internal user=grantor dbname=mysite sslmode=verify-full",
			login: "ada", hash: func(p string) string {
				h, _ := users.Hash(p)
				return strings.Replace(h, "$argon2id", "argon2$argon2id", 1)
			},
			setHash: "UPDATE auth_user SET password = $1", deactivate: "UPDATE auth_user SET is_active = false",
			hidden: "SELECT email FROM auth_user"}.play()
	})
	t.Run("Rails with devise", func(t *testing.T) {
		db, dsn := postgres(t, `CREATE TABLE users (id bigint PRIMARY KEY, email varchar DEFAULT '' NOT NULL, encrypted_password varchar DEFAULT '' NOT NULL,
			reset_password_token varchar, confirmed_at timestamp, locked_at timestamp, created_at timestamp NOT NULL, updated_at timestamp NOT NULL);
			CREATE UNIQUE INDEX index_users_on_email ON users (email);
			INSERT INTO users VALUES (7, 'ada@example.com', '', NULL, now(), NULL, now(), now()), (8, 'new@example.com', '', NULL, NULL, NULL, now(), now())`)
		framework{t: t, name: "rails", db: db, dsn: dsn, pageDSN: "host=db.internal user=grantor dbname=shop sslmode=verify-full",
			login: "Ada@Example.com", hash: bcryptOf("$2a$"), setHash: "UPDATE users SET encrypted_password = $1",
			deactivate: "UPDATE users SET locked_at = now() WHERE id = 7", hidden: "SELECT reset_password_token FROM users"}.play()
	})
	t.Run("Laravel", func(t *testing.T) {
		socket := startGrantingMariaDB(t)
		db, err := database.Open(users.MySQL, "root@unix("+socket+")/shop")
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		require.Eventually(t, func() bool { return db.PingContext(t.Context()) == nil }, 20*time.Second, 50*time.Millisecond)
		f := framework{t: t, name: "laravel", db: db, dsn: "grantor@unix(" + socket + ")/shop", pageDSN: "grantor@tcp(db.internal:3306)/shop?tls=true",
			login: "Ada@Example.com", hash: bcryptOf("$2y$"), setHash: "UPDATE users SET password = ?",
			deactivate: "UPDATE users SET email_verified_at = NULL", hidden: "SELECT remember_token FROM users"}
		f.exec(`CREATE TABLE users (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(255) NOT NULL, email varchar(255) NOT NULL UNIQUE,
			email_verified_at timestamp NULL, password varchar(255) NOT NULL, remember_token varchar(100), created_at timestamp NULL, updated_at timestamp NULL)`,
			"INSERT INTO users VALUES (7, 'Ada', 'ada@example.com', now(), '', NULL, now(), now())")
		f.play()
	})
}

// startGrantingMariaDB starts a MariaDB server that holds users to their rights, with an empty
// database shop, and returns its socket. MariaDB's own installer needs a basedir that
// distributions do not agree on, so the test does what the installer does.
func startGrantingMariaDB(t *testing.T) (socket string) {
	t.Helper()
	path := "/usr/sbin/mariadbd"
	tables, err := os.ReadFile("/usr/share/mysql/mysql_system_tables.sql")
	if _, absent := os.Stat(path); absent != nil || err != nil {
		require.NotEqual(t, "1", os.Getenv("GRANTOR_TEST_REQUIRE_MARIADB"), "MariaDB is not installed")
		t.Skip("MariaDB is not installed")
	}
	me, err := user.Current()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "grantor-my") // the path of t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	common := []string{"--no-defaults", "--user=" + me.Username, "--datadir=" + dir}
	install := exec.Command(path, append(common, "--bootstrap")...)
	install.Stdin = strings.NewReader("CREATE DATABASE mysql;\nUSE mysql;\n" + string(tables) +
		"\nINSERT INTO global_priv VALUES ('localhost', 'root', '{\"access\":18446744073709551615}');\n" +
		"CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n")
	out, err := install.CombinedOutput()
	require.NoError(t, err, string(out))
	server := exec.Command(path, append(common, "--socket="+dir+"/s", "--skip-networking", "--innodb-flush-log-at-trx-commit=0")...)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return dir + "/s"
}

const appSecret = "a secret of thirty-two bytes or more"

// TestGuideUsersHTTP holds the applications of docs/guides/users.md to the contract of
// [users.http].
func TestGuideUsersHTTP(t *testing.T) {
	for name, c := range map[string]struct{ program, required, file string }{
		"Python": {"python3", "GRANTOR_TEST_REQUIRE_PYTHON", "app.py"},
		"Node":   {"node", "GRANTOR_TEST_REQUIRE_NODE", "app.mjs"},
		"Go":     {},
	} {
		t.Run(name, func(t *testing.T) {
			command := []string{"", absolute(t, "../examples/users-http/"+c.file)}
			if c.program == "" {
				command = []string{built(t, module+"/examples/users-http")}
			} else {
				command[0] = program(t, c.program, c.required)
			}
			playApplication(t, command)
		})
	}
}

func playApplication(t *testing.T, command []string) {
	addr := freeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	url := "http://" + addr + "/grantor"
	stop := startApplication(t, port, adaPassword, command)
	d := withUsers(t, memoryStore, "[users]\nsource = \"http\"\n[users.http]\nurl = \""+url+"\"\nsecret = \""+appSecret+"\"\n")
	p := d.serve(t)
	r := login(t, p, "Ada", adaPassword)
	require.Equal(t, 200, r.status, "%s %s", r.body, p.Log)
	about := d.introspect(t, p, r.text("access_token"))
	require.Equal(t, "u-1", about.json["sub"])
	require.Equal(t, "orders:read", about.json["scope"])
	require.Equal(t, 400, login(t, p, "ada", "wrong").status)
	require.Equal(t, 400, login(t, p, "bob", adaPassword).status)
	r = refresh(t, p, "app", r.text("refresh_token"))
	require.Equal(t, 200, r.status, r.body)
	t.Run("only who signs now is answered, and a 401 names the user", func(t *testing.T) { asksApplication(t, url) })
	stop()
	require.Equal(t, 503, refresh(t, p, "app", r.text("refresh_token")).status, "the application is away: neither yes nor no")
	startApplication(t, port, "another password", command)
	require.Equal(t, 400, refresh(t, p, "app", r.text("refresh_token")).status, "another credential ends the session")
}

func asksApplication(t *testing.T, url string) {
	const body = `{"username":"ada","password":"wrong"}`
	ask := func(signature string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Grantor-Signature", signature)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		var text bytes.Buffer
		_, err = text.ReadFrom(res.Body)
		require.NoError(t, err)
		return res.StatusCode, text.String()
	}
	sign := func(at time.Time, secret string) string {
		stamp := strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(stamp + "." + body))
		return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	status, said := ask(sign(time.Now(), appSecret))
	require.Equal(t, 401, status)
	require.JSONEq(t, `{"sub":"u-1"}`, said)
	now := sign(time.Now(), appSecret)
	for name, signature := range map[string]string{
		"none": "", "another secret": sign(time.Now(), appSecret+"!"), "ten minutes old": sign(time.Now().Add(-10*time.Minute), appSecret),
		"cut": now[:len(now)-2], "no number": "t=x,v1=" + strings.Repeat("0", 64), "no form": ",,,", "only a time": now[:12],
	} {
		status, said := ask(signature)
		require.Equal(t, 403, status, name)
		require.NotContains(t, said, "u-1")
	}
}

// startApplication starts an application and waits until it answers.
func startApplication(t *testing.T, port, password string, command []string) (stop func()) {
	t.Helper()
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir = t.TempDir()
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PORT=" + port, "SECRET=" + appSecret, "PASSWORD=" + password}
	require.NoError(t, c.Start())
	stop = func() { _ = c.Process.Kill(); _ = c.Wait() }
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		res, err := http.Post("http://127.0.0.1:"+port+"/grantor", "application/json", strings.NewReader("{}"))
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusForbidden
	}, 20*time.Second, 20*time.Millisecond)
	return stop
}
