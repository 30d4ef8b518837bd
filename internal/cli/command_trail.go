package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb"
)

// commandTrail is where a command tells what it changed. It opens with the first event: one that is
// refused leaves nothing. What is wrong with the trail is a warning, for the change was made.
type commandTrail struct {
	p     Program
	cfg   *config.Config
	db    *redisdb.DB
	trail *audit.Trail // nil: not open
	close func() error
	lost  error // why events are missing; told by flush
}

// commandTrail returns nil where a command writes no events: there is no trail, or it stands where
// the command's own answer does.
func (p Program) commandTrail(cfg *config.Config, db *redisdb.DB) *commandTrail {
	out, broken := cfg.Audit.Output, len(cfg.Problems("audit")) > 0
	if (out == "" || out == "stdout") && !broken {
		return nil
	}
	return &commandTrail{p: p, cfg: cfg, db: db}
}

// tell writes the event of a change that was made.
func (t *commandTrail) tell(e audit.Event) {
	t.queue(e)
	t.flush()
}

// queue is tell for one of many; flush must follow.
func (t *commandTrail) queue(e audit.Event) {
	if t == nil || t.lost != nil {
		return
	}
	if t.trail == nil {
		if t.lost = t.open(); t.lost != nil {
			return
		}
	}
	e.Actor = commandActor()
	t.trail.Record(context.Background(), e)
}

func (t *commandTrail) open() error {
	if wrong := t.cfg.Problems("audit"); len(wrong) > 0 {
		return fmt.Errorf("%s", wrong[0])
	}
	sink, err := parts.Trail(t.cfg.Audit, t.db, t.p.Stdout, audit.JoinFile)
	if err != nil {
		return err
	}
	var full error
	count := func(_ string, dropped bool) {
		if dropped {
			full = audit.ErrFull // or what Err tells
		}
	}
	t.trail = audit.New(sink.Sink, slog.New(slog.DiscardHandler), count)
	t.close = func() error {
		sink.Close()
		if err := sink.Err(); err != nil {
			return err
		}
		return full
	}
	return nil
}

// flush writes what is queued, before the command's answer: whoever reads that may end the command.
func (t *commandTrail) flush() {
	if t == nil {
		return
	}
	if t.trail != nil {
		t.lost, t.trail = t.close(), nil
	}
	if t.lost != nil {
		fmt.Fprintln(t.p.Stderr, "grantor: warning: "+shown("the audit trail may lack the event of what was done: "+t.lost.Error()))
		t.lost = nil
	}
}

// commandActor says who ran a command.
func commandActor() string {
	const actor = "command line"
	if who := systemUser(); who != "" {
		return actor + " (" + who + ")"
	}
	return actor
}

// systemUser is the user that the system knows by the id of this process; "": it knows none. The
// environment is not asked, for anybody can set it.
func systemUser() string {
	id := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil { // Windows has no such number
		id = u.Uid
	}
	if u, err := user.LookupId(id); err == nil && isWord(u.Username) {
		return u.Username
	}
	if id == "-1" || !isWord(id) {
		return ""
	}
	return "uid " + id
}

// isWord says that a name cannot be taken for more than a name.
func isWord(name string) bool {
	const others = `._-@\`
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(others, r)
	})
}
