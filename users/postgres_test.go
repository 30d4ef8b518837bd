package users_test

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/postgrestest"
	"github.com/grantor-auth/grantor/users"
	"github.com/grantor-auth/grantor/users/database"
)

func openPostgres(t *testing.T, statements ...string) *sql.DB {
	t.Helper()
	db, err := database.Open(users.Postgres, postgrestest.Start(t).DSN)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
	return db
}

// line carries connections to a socket, and can stop to carry the server's words.
type line struct {
	addr    string
	stopped atomic.Bool
}

func newLine(t *testing.T, socket string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	way := &line{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go way.carry(c, socket)
		}
	}()
	return way
}

func (l *line) carry(c net.Conn, socket string) {
	defer c.Close()
	s, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, c); _ = s.Close() }()
	for buf := make([]byte, 4096); ; {
		n, err := s.Read(buf)
		if err != nil {
			return
		}
		if l.stopped.Load() {
			continue
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// gives demands that a directory at the end of the line gives a silent server up.
func (l *line) gives(t *testing.T, dir *users.SQL) {
	t.Helper()
	_, err := dir.Find(t.Context(), "ada")
	require.NoError(t, err)
	l.stopped.Store(true)
	done := make(chan error, 1)
	go func() { _, err := dir.ByID(t.Context(), "1"); done <- err }()
	select {
	case err := <-done:
		require.ErrorIs(t, err, users.ErrUnavailable)
	case <-time.After(30 * time.Second):
		t.Fatal("the question is not over")
	}
	l.stopped.Store(false)
	require.Eventually(t, func() bool { _, err := dir.Find(t.Context(), "ada"); return err == nil }, 20*time.Second, 20*time.Millisecond)
}

func TestPostgresHangs(t *testing.T) {
	l := newLine(t, postgrestest.Start(t).Socket)
	host, port, err := net.SplitHostPort(l.addr)
	require.NoError(t, err)
	db, err := database.Open(users.Postgres, fmt.Sprintf("host=%s port=%s user=postgres database=postgres sslmode=disable", host, port))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	const q = "SELECT 1 AS id, 'ada' AS username, '' AS password WHERE $1::text <> ''"
	dir, err := users.NewSQL(db, users.SQLConfig{Dialect: users.Postgres, Query: q, Recheck: q, Timeout: 200 * time.Millisecond})
	require.NoError(t, err)
	t.Run("ER-06 S-20 a server that stops in the midst of a question is given up, and serves again when it goes on", func(t *testing.T) { l.gives(t, dir) })
}
