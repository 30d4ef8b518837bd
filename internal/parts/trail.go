package parts

import (
	"fmt"
	"io"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb"
)

// TrailSink is where [audit] output says that events go.
type TrailSink struct {
	*audit.Sink              // nil: nowhere
	Reopen      func() error // goes on with the file that has the name now
	Close       func()       // writes what is queued, and closes the file
}

// Trail opens where [audit] output says that events go: Redis, stdout, or a file by open.
func Trail(cfg config.Audit, db *redisdb.DB, stdout io.Writer, open func(string) (*audit.File, error)) (TrailSink, error) {
	t := TrailSink{Reopen: func() error { return nil }, Close: func() {}}
	switch cfg.Output {
	case "":
		return t, nil
	case "redis":
		t.Sink = audit.NewRedis(db)
		t.Close = t.Sink.Close
		return t, nil
	case "stdout":
		t.Sink = audit.NewWriter(stdout)
		t.Close = t.Sink.Close
		return t, nil
	}
	f, err := open(cfg.Output)
	if err != nil {
		return t, ConfigError{fmt.Errorf("audit.output: %w", err)}
	}
	t.Sink = audit.NewWriter(f)
	t.Reopen, t.Close = f.Reopen, func() { t.Sink.Close(); _ = f.Close() }
	return t, nil
}
