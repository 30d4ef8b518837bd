package integration_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const djangoPage = "../docs/guides/api-django.md"

// pagePart is a part of a page in its order: commands with their output, or an edit of a file.
type pagePart struct {
	console string
	file    string // below the example
	code    string
}

// pageParts returns what the page's first chapter has the reader do.
func pageParts(t *testing.T) (parts []pagePart) {
	t.Helper()
	text, err := os.ReadFile(djangoPage)
	require.NoError(t, err)
	_, chapter, ok := strings.Cut(string(text), "## From startproject")
	require.True(t, ok)
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	find := regexp.MustCompile("(?s)<!-- played by TestDjangoPage -->\n```console\n(.*?)```|<!-- code: examples/django-api/(\\S+) -->\n```python\n(.*?)```")
	for _, m := range find.FindAllStringSubmatch(chapter, -1) {
		parts = append(parts, pagePart{m[1], m[2], m[3]})
	}
	require.Equal(t, strings.Count(chapter, "\n```")/2, len(parts), "every block of the chapter is played")
	return parts
}

// playedCommand is a command of a page and what must stand below it.
type playedCommand struct{ text, want string }

// pageScript writes the script that does all of the parts, and returns its commands.
func pageScript(parts []pagePart, here *strings.Replacer) (script string, commands []playedCommand) {
	var out strings.Builder
	out.WriteString("set -u\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n")
	for _, p := range parts {
		if p.file != "" {
			arrow := ">"
			if strings.HasSuffix(p.file, "settings.py") {
				arrow = ">>"
			}
			out.WriteString("cat " + arrow + " " + p.file + " <<'END OF EDIT'\n" + here.Replace(p.code) + "END OF EDIT\n")
			continue
		}
		for line := range strings.Lines(p.console) {
			text, isCommand := strings.CutPrefix(line, "$ ")
			if !isCommand {
				commands[len(commands)-1].want += line
				continue
			}
			commands = append(commands, playedCommand{text: strings.TrimSpace(text)})
			out.WriteString(here.Replace(strings.TrimSpace(text)) + "\necho; echo '--8<--'\n")
		}
	}
	return out.String(), commands
}

// TestDjangoPage plays docs/guides/api-django.md as printed, in an empty folder.
func TestDjangoPage(t *testing.T) {
	bin := kit(t, "newest")
	grantor, err := withSQLite()
	require.NoError(t, err)
	parts := pageParts(t)
	var edits []string
	for _, p := range parts {
		if p.file != "" {
			edits = append(edits, p.file)
		}
	}
	require.LessOrEqual(t, len(edits), 6, "edits from startproject to a protected view")

	folder, programs := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(grantor, programs+"/grantor"))
	api := freeAddr(t)
	here := strings.NewReplacer("http://127.0.0.1:8080", "http://"+freeAddr(t), "http://127.0.0.1:8000", "http://"+api,
		"runserver >", "runserver --noreload "+api+" >")
	script, commands := pageScript(parts, here)
	c := exec.CommandContext(t.Context(), "bash", "-c", script)
	c.Dir = folder
	c.Env = []string{"PATH=" + programs + ":" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1"}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.WaitDelay = 10 * time.Second
	require.NoError(t, c.Run(), out.String())
	checkPlayed(t, commands, out.String(), here)

	t.Run("the edits are all that differs from startproject", func(t *testing.T) {
		fresh := t.TempDir()
		said, err := exec.CommandContext(t.Context(), bin+"/django-admin", "startproject", "mysite", fresh).CombinedOutput()
		require.NoError(t, err, string(said))
		require.ElementsMatch(t, edits, changedFiles(t, fresh, filepath.Join(folder, "mysite")))
	})
}

// changedFiles lists the Python files of a folder that are not the same in another.
func changedFiles(t *testing.T, before, after string) (changed []string) {
	t.Helper()
	key := regexp.MustCompile(`SECRET_KEY = .*`)
	require.NoError(t, filepath.WalkDir(after, func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".py" {
			return err
		}
		short, _ := filepath.Rel(after, name)
		now, err := os.ReadFile(name)
		old, _ := os.ReadFile(filepath.Join(before, short))
		if !bytes.Equal(key.ReplaceAll(now, nil), key.ReplaceAll(old, nil)) {
			changed = append(changed, short)
		}
		return err
	}))
	return changed
}

// djangoExample is a copy of examples/django-api with what is made beside it.
type djangoExample struct {
	t       *testing.T
	bin     string
	folder  string
	environ []string
	issuer  string
	api     string
}

// newDjangoExample copies the example. Its settings' issuer becomes a free address.
func newDjangoExample(t *testing.T, settings string, environ ...string) *djangoExample {
	t.Helper()
	e := &djangoExample{t: t, bin: kit(t, "newest"), folder: t.TempDir(), issuer: "http://" + freeAddr(t)}
	require.NoError(t, os.CopyFS(e.folder, os.DirFS("../examples/django-api")))
	for _, name := range []string{"settings.py", "simplejwt.py"} {
		path := filepath.Join(e.folder, "mysite", name)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(text, []byte("http://127.0.0.1:8080"), []byte(e.issuer)), 0o600))
	}
	e.environ = append([]string{"PATH=" + e.bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1",
		"DJANGO_SETTINGS_MODULE=mysite." + settings, "ISSUER=" + e.issuer}, environ...)
	return e
}

// python runs a program of the virtual environment in the example.
func (e *djangoExample) python(args ...string) string {
	e.t.Helper()
	c := exec.CommandContext(e.t.Context(), e.bin+"/python", args...)
	c.Dir, c.Env = e.folder, e.environ
	out, err := c.CombinedOutput()
	require.NoError(e.t, err, string(out))
	return string(out)
}

// serve makes the configuration and the users, and starts Grantor and gunicorn.
func (e *djangoExample) serve(options ...string) {
	e.t.Helper()
	e.python(append([]string{"manage.py", "grantor_config", "--issuer", e.issuer, "--output", "config.toml", "--secrets-dir", "secrets"}, options...)...)
	e.python("manage.py", "migrate", "--verbosity", "0")
	e.environ = append(e.environ, "DJANGO_SUPERUSER_PASSWORD="+adaPassword)
	e.python("manage.py", "createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com")
	grantor, err := withSQLite()
	require.NoError(e.t, err)
	run(e.t, grantor, nil, "serve", "--config", filepath.Join(e.folder, "config.toml"))
	address := freeAddr(e.t)
	e.api = "http://" + address
	e.gunicorn(address)
}

func (e *djangoExample) gunicorn(address string) {
	e.t.Helper()
	c := exec.Command(e.bin+"/gunicorn", "--preload", "--workers", "2", "--threads", "4", "--bind", address, "mysite.wsgi")
	c.Dir, c.Env = e.folder, e.environ
	log, err := os.Create(filepath.Join(e.folder, "gunicorn.log"))
	require.NoError(e.t, err)
	defer log.Close()
	c.Stderr = log
	require.NoError(e.t, c.Start())
	e.t.Cleanup(func() {
		_ = c.Process.Signal(termination)
		_ = c.Wait()
		if text, err := os.ReadFile(log.Name()); e.t.Failed() && err == nil {
			e.t.Logf("%s", text)
		}
	})
	require.Eventually(e.t, func() bool {
		res, err := http.Get(e.api + "/protected/")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusUnauthorized
	}, 30*time.Second, 50*time.Millisecond, log.Name())
}

// login gets tokens of ada.
func (e *djangoExample) login(password, scope string) reply {
	e.t.Helper()
	body := form("grant_type", "password", "client_id", "mysite-app", "username", "ada", "password", password)
	if scope != "" {
		body.Set("scope", scope)
	}
	return post(e.t, e.issuer+"/oauth2/token", "", "", body)
}

// form makes a form of names and values in turn.
func form(pairs ...string) url.Values {
	values := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		values.Set(pair[0], pair[1])
	}
	return values
}

// ask sends a request to the API and returns status, challenge and body.
func (e *djangoExample) ask(method, path, token string) (status int, challenge, body string) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.api+path, nil)
	require.NoError(e.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(e.t, err)
	defer res.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(res.Body)
	require.NoError(e.t, err)
	return res.StatusCode, res.Header.Get("WWW-Authenticate"), text.String()
}

func (e *djangoExample) secret(name string) string {
	e.t.Helper()
	text, err := os.ReadFile(filepath.Join(e.folder, "secrets", name))
	require.NoError(e.t, err)
	return strings.TrimSpace(string(text))
}

// TestDjangoExample runs examples/django-api as in production: gunicorn with workers that are
// forked, Redis, and sessions that end as soon as a user changes.
func TestDjangoExample(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) []string{
		"SQLite":     func(*testing.T) []string { return nil },
		"PostgreSQL": func(t *testing.T) []string { return []string{"PGHOST=" + postgrestest.Start(t).Folder} },
	} {
		t.Run(name, func(t *testing.T) {
			redis := redistest.Start(t)
			admin := freeAddr(t)
			e := newDjangoExample(t, "production", append(database(t), "SECRET_KEY=of a test", "ADMIN_URL=http://"+admin)...)
			e.serve("--redis-url", "redis://"+redis.Addr, "--admin", "--admin-listen", admin)
			e.checkLogin()
			e.checkSessions()
		})
	}
	t.Run("its own tests, without a server", func(t *testing.T) {
		e := newDjangoExample(t, "settings")
		require.Contains(t, e.python("-m", "pytest", "-q", "-p", "no:cacheprovider"), "3 passed")
	})
}

// checkLogin: the Django user, the scope and the machine.
func (e *djangoExample) checkLogin() {
	t := e.t
	said := e.login(adaPassword, "api:read")
	require.Equal(t, 200, said.status, said.body)
	status, _, body := e.ask("GET", "/protected/", said.text("access_token"))
	require.Equal(t, 200, status, body)
	require.JSONEq(t, `{"message": "Hello, ada!"}`, body)
	status, challenge, body := e.ask("POST", "/change/", said.text("access_token"))
	require.Equal(t, 403, status, body)
	require.Equal(t, `Bearer realm="api", error="insufficient_scope", error_description="the token has not the scope that this needs", scope="api:write"`, challenge)

	machine := post(t, e.issuer+"/oauth2/token", "mysite-machine", e.secret("mysite-machine"), form("grant_type", "client_credentials", "scope", "api:write"))
	require.Equal(t, 200, machine.status, machine.body)
	status, _, body = e.ask("POST", "/change/", machine.text("access_token"))
	require.Equal(t, 200, status, body)
	require.JSONEq(t, `{"changed by": "mysite-machine", "client": "mysite-machine"}`, body)
}

// checkSessions: log out everywhere, a changed password, a user who is deactivated. None of these
// waits for a refresh.
func (e *djangoExample) checkSessions() {
	t := e.t
	password := adaPassword
	for _, change := range []struct{ name, do, password string }{
		{"log out everywhere", "from django_grantor.sessions import end_sessions; end_sessions('1')", adaPassword},
		{"a changed password", "u.set_password('another good password'); u.save()", "another good password"},
		{"a user who is deactivated", "u.is_active = False; u.save()", ""},
	} {
		phone, tablet := e.login(password, ""), e.login(password, "")
		for _, device := range []reply{phone, tablet} {
			status, _, body := e.ask("GET", "/protected/", device.text("access_token"))
			require.Equal(t, 200, status, body)
		}
		e.python("manage.py", "shell", "-c", "from django.contrib.auth.models import User; u = User.objects.get(username='ada'); "+change.do)
		for _, device := range []reply{phone, tablet} {
			within(t, func() bool {
				status, _, _ := e.ask("GET", "/protected/", device.text("access_token"))
				return status == 401
			})
			again := post(t, e.issuer+"/oauth2/token", "", "", form("grant_type", "refresh_token", "client_id", "mysite-app", "refresh_token", device.text("refresh_token")))
			require.Equal(t, 400, again.status, change.name)
		}
		if change.password != password {
			require.Equal(t, 400, e.login(password, "").status, change.name)
		}
		if password = change.password; password != "" {
			require.Equal(t, 200, e.login(password, "").status, change.name)
		}
	}
}

// TestDjangoSimpleJWT has simplejwt itself verify Grantor's JWTs, with the settings that the page
// shows.
func TestDjangoSimpleJWT(t *testing.T) {
	e := newDjangoExample(t, "simplejwt")
	e.serve("--jwt")
	said := e.login(adaPassword, "")
	require.Equal(t, 200, said.status, said.body)
	token := said.text("access_token")
	require.Equal(t, 2, strings.Count(token, "."), "a JWT")
	status, _, body := e.ask("GET", "/protected/", token)
	require.Equal(t, 200, status, body)
	require.JSONEq(t, `{"message": "Hello, ada!"}`, body)
	machine := post(t, e.issuer+"/oauth2/token", "mysite-machine", e.secret("mysite-machine"), clientCredentials)
	forged := slices.Concat([]byte(token[:len(token)-6]), []byte("AAAAAA"))
	for name, other := range map[string]string{"a machine": machine.text("access_token"), "a forged token": string(forged)} {
		status, _, body = e.ask("GET", "/protected/", other)
		require.Equal(t, 401, status, "%s: %s", name, body)
	}
}
