//go:build unix

package faults_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

// people is a directory outside of Grantor that can be made to accept every question and answer
// none.
type people struct {
	config     string // [users]
	hang, wake func()
}

// TestDirectoryHangs refreshes by thousands while the directory accepts and never answers.
func TestDirectoryHangs(t *testing.T) {
	for name, start := range map[string]func(*testing.T) people{"[users.http]": hangingApplication, "[users.sql]": hangingPostgres} {
		t.Run("S-20 a directory that hangs, "+name+": no session is lost, and machines go on", func(t *testing.T) {
			p := start(t)
			d := deploy(t, single(redistest.Start(t).Addr)).outside(t, p.config)
			n, c, ctx := d.serve(t), newCaller(d), context.Background()
			current := make([]string, d.users)
			for i := range current {
				a := c.login(ctx, n, fmt.Sprintf("user-%d", i))
				require.Equal(t, 200, a.status, a.body)
				current[i] = a.Refresh
			}
			length := time.Duration(choose(4, 120)) * time.Second
			p.hang()
			asked, refused := beside(t, n, d, length, func(until time.Time) { crowd(t, n, d, current, until) })
			p.wake()
			back, lost := time.Now(), 0
			for _, token := range current {
				var a answer
				require.Eventually(t, func() bool { a = c.refresh(ctx, n, token); return a.status != 503 }, 30*time.Second, 50*time.Millisecond)
				if a.status != 200 {
					lost++
				}
			}
			took := time.Since(back)
			require.Equal(t, 200, c.login(ctx, n, "user-0").status)
			figure(t, "S-20", fmt.Sprintf("a directory (%s) that accepts and never answers for %s, 2,000 refreshes at once of %d sessions: sessions lost: %d; %d requests of machines beside them, %d × 503; all refreshed within %s after it answered",
				name, length, len(current), lost, asked, refused, seconds(took)), "sessions lost: 0; machines: 0 × 503")
			require.Zero(t, lost)
			require.Zero(t, refused)
			require.Positive(t, asked)
		})
	}
}

// outside is the same deployment with a directory of another's.
func (d *deployment) outside(t *testing.T, config string) *deployment {
	t.Helper()
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	before, _, _ := strings.Cut(string(text), "[[users.config]]")
	require.NoError(t, os.WriteFile(d.config, []byte(before+config), 0o600))
	return d
}

// crowd refreshes by 2,000 at once, each again after a second, as Retry-After says. None may be
// told anything but 503.
func crowd(t *testing.T, n *node, d *deployment, current []string, until time.Time) {
	t.Helper()
	c := newCaller(d)
	c.http.Transport.(*http.Transport).MaxIdleConnsPerHost = 2000
	var other atomic.Int64
	var all sync.WaitGroup
	for i := range 2000 {
		all.Go(func() {
			for time.Now().Before(until) {
				a := c.refresh(context.Background(), n, current[i%len(current)])
				if a.status != 503 || a.header.Get("Retry-After") == "" {
					other.Add(1)
				}
				time.Sleep(time.Second)
			}
		})
	}
	all.Wait()
	require.Zero(t, other.Load(), "answers other than 503 with Retry-After")
}

// beside asks as machines, one request after the other, while something goes on. refused counts who
// found no place; that this machine stood still for so long that the node must first confirm what
// it knows is no matter of directories.
func beside(t *testing.T, n *node, d *deployment, length time.Duration, what func(until time.Time)) (asked, refused int64) {
	t.Helper()
	var count, bad atomic.Int64
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 4 {
		c := newCaller(d)
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				count.Add(1)
				if a := c.issue(context.Background(), n, d.machines[i%len(d.machines)]); a.status != 200 {
					t.Log(a.status, a.body, a.err)
					if !strings.Contains(a.body, "cannot confirm") {
						bad.Add(1)
					}
				}
			}
		})
	}
	what(time.Now().Add(length))
	close(done)
	all.Wait()
	return count.Load(), bad.Load()
}

func hangingApplication(t *testing.T) people {
	t.Helper()
	var gate atomic.Pointer[chan struct{}]
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Username, Password, Sub string }
		_ = json.NewDecoder(r.Body).Decode(&q)
		if g := gate.Load(); g != nil {
			select {
			case <-*g:
			case <-r.Context().Done():
			}
			return
		}
		if q.Sub == "" && q.Password == password {
			q.Sub = q.Username
		}
		_, _ = io.WriteString(w, fmt.Sprintf(`{"sub":%q,"scope":"orders:read"}`, q.Sub))
	}))
	t.Cleanup(app.Close)
	wake := func() {
		if g := gate.Swap(nil); g != nil {
			close(*g)
		}
	}
	t.Cleanup(wake)
	return people{"[users]\nsource = \"http\"\n[users.http]\nurl = \"" + app.URL + "\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n",
		func() { g := make(chan struct{}); gate.Store(&g) }, wake}
}

func hangingPostgres(t *testing.T) people {
	t.Helper()
	server := postgrestest.Start(t)
	p := newProxy(t, server.Socket)
	db, err := database.Open(users.Postgres, server.DSN)
	require.NoError(t, err)
	defer db.Close()
	fill(t, db)
	const columns = "SELECT id, username, password, scope FROM people WHERE "
	return people{fmt.Sprintf("[users]\nsource = \"sql\"\n[users.sql]\ndriver = \"postgres\"\ndsn = %q\nquery = \"%susername = $1\"\nrecheck = \"%sid = $1\"\n", "postgres://postgres@"+p.Addr+"/postgres?sslmode=disable", columns, columns),
		func() { p.swallow.Store(true) }, func() { p.swallow.Store(false); p.cut() }}
}

func fill(t *testing.T, db *sql.DB) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE people (id text, username text, password text, scope text)")
	require.NoError(t, err)
	for i := range 32 {
		_, err = db.ExecContext(t.Context(), "INSERT INTO people VALUES ($1, $1, $2, 'orders:read')", fmt.Sprintf("user-%d", i), string(hash))
		require.NoError(t, err)
	}
}
