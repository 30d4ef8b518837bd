package database

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"time"

	"github.com/lib/pq"
)

func openPostgres(dsn string) (*sql.DB, error) {
	cfg, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, errors.New(`dsn is no PostgreSQL connection string, as in "postgres://user:password@host:5432/database?sslmode=verify-full"`)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectLimit
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "grantor"
	}
	c, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, errors.New("dsn names a certificate or another file that cannot be read, or settings that do not go together")
	}
	c.Dialer(impatient{})
	return sql.OpenDB(c), nil
}

// answerLimit is how long a server may be silent in the midst of a question.
const answerLimit = 3 * time.Second

// impatient dials connections that give up on a silent server. Without it a question to a server
// that has stopped is never over: when its context ends lib/pq asks the server, by another
// connection, to stop, and goes on reading.
type impatient struct{ net.Dialer }

// DialTimeout implements pq.Dialer.
func (d impatient) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// Dial implements pq.Dialer.
func (d impatient) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext implements pq.DialerContext.
func (d impatient) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return impatientConn{c}, nil
}

// impatientConn bounds each read and write. lib/pq reads only where it awaits an answer, so an idle
// connection stays.
type impatientConn struct{ net.Conn }

func (c impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
