package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/address"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/users"
)

// userLockoutCommands answer whose login is locked, and unlock it. They work for every directory:
// failures are Grantor's own.
func (p Program) userLockoutCommands(f *userFlags) []*cobra.Command {
	unlock := p.userByNameOrID(f, "unlock NAME", "Forget a user's failed logins, or with --address those from one address", p.userUnlock)
	unlock.Flags().StringVar(&f.address, "address", "", "the address whose failed logins are forgotten, instead of NAME")
	return []*cobra.Command{unlock,
		p.userByNameOrID(f, "show NAME", "Show a user: locked until when, failed logins, sessions, scope", p.userShow),
		p.userByNameOrID(f, "hash NAME", "Print the hash that names a user in the audit trail (subject_hash)", p.userHash)}
}

// userByNameOrID makes a command that takes NAME, --sub or both: an application behind [users.http]
// tells nobody whose name it is.
func (p Program) userByNameOrID(f *userFlags, use, short string, run func(*userRun) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: func(c *cobra.Command, args []string) error {
		named := len(args) == 1 || f.sub != ""
		if len(args) > 1 || named == (f.address != "") {
			return usageError{fmt.Errorf("%s takes NAME, --sub ID or both; see --help", c.CommandPath())}
		}
		cfg, err := p.loadPart(config.Options{Path: f.path}, "store", "redis", "limits", "users", "grants", "scopes")
		if err != nil {
			return err
		}
		if cfg.Store == config.StoreMemory {
			return usageError{errors.New(`with store = "memory" users, sessions and failed logins live inside the server's own process, where no command reaches them; use store = "redis"`)}
		}
		return p.withUsers(c, cfg, f, strings.Join(args, ""), run)
	}}
}

// who is the user that a command is about, as far as the directory tells.
type who struct {
	name string      // normalised; "": only the id is known
	sub  string      // "": nobody's name, or the directory cannot be asked by name
	user *users.User // nil: likewise
}

// keys are what the user's failures are counted by.
func (w who) keys() (keys []string) {
	if w.sub != "" {
		keys = append(keys, users.KeyOf(w.sub))
	}
	if w.name != "" {
		keys = append(keys, users.KeyOfName(w.name))
	}
	return keys
}

// who finds the user of NAME and --sub, with the name folded as at a login.
func (u *userRun) who() (w who, err error) {
	if w.sub = u.sub; u.name != "" {
		if w.name, err = users.NormalizeName(u.name); err != nil {
			return w, usageError{err}
		}
	}
	switch {
	case u.dir.Directory == nil:
		return w, nil
	case w.sub != "":
		w.user, err = u.dir.Directory.ByID(u.ctx, w.sub)
	default:
		w.user, err = u.dir.Directory.Find(u.ctx, w.name)
	}
	if errors.Is(err, users.ErrUnknown) {
		w.user, err = nil, nil
	}
	if w.user != nil {
		w.sub = w.user.ID
		if name, wrong := users.NormalizeName(w.user.Username); wrong == nil && w.name == "" {
			w.name = name
		}
	}
	return w, err
}

// lockout reads and forgets failures. It reserves no login.
func (u *userRun) lockout() *lockout.Lockout {
	l := u.cfg.Limits
	return lockout.New(lockout.NewRedis(u.db), l.PasswordFailures, l.PasswordFailuresPerAddress, l.Window)
}

func (p Program) userUnlock(u *userRun) error {
	if u.address != "" {
		return u.unlockAddress()
	}
	w, err := u.who()
	if err != nil {
		return err
	}
	n, err := u.lockout().Unlock(u.ctx, w.keys()...)
	if n > 0 {
		u.unlocked(w, err)
	}
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d failed logins are forgotten", n)
	if n == 0 {
		text = "no failed logins count; nothing was changed"
	}
	if w.sub == "" {
		text += u.nobody(w.name)
	}
	return answer(u.cmd, u.asJSON, map[string]any{"ok": true, "failures_forgotten": n}, text+"\n")
}

// nobody says what it means that a name has no id.
func (u *userRun) nobody(name string) string {
	if u.dir.Directory == nil {
		return fmt.Sprintf("; this directory cannot be asked whose name %q is: give --sub ID as well, as the log line with reason user_locked shows it", name)
	}
	return fmt.Sprintf("; there is no user %q", name)
}

// unlocked writes the event of an unlocked user. A name that is nobody's is not written.
func (u *userRun) unlocked(w who, err error) {
	detail := audit.Unlocked
	if w.sub != "" {
		detail += " " + u.codec.Tag(w.sub).String()
	}
	u.trail.tell(audit.Change(audit.UserChanged, "", detail, err != nil))
}

func (u *userRun) unlockAddress() error {
	a, ok := address.ParseHop(u.address)
	if !ok {
		return usageError{fmt.Errorf("--address must be an address such as 203.0.113.7, not %q", u.address)}
	}
	network := address.Counted(a, u.cfg.Limits.IPv6Prefix)
	n, err := u.lockout().UnlockAddress(u.ctx, network)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d failed logins from %s are forgotten", n, network)
	if n == 0 {
		text = fmt.Sprintf("no failed logins from %s count; nothing was changed", network)
	} else {
		u.trail.tell(audit.Change(audit.UserChanged, "", audit.Unlocked+" address "+network, false))
	}
	return answer(u.cmd, u.asJSON, map[string]any{"ok": true, "network": network, "failures_forgotten": n}, text+"\n")
}

func (p Program) userHash(u *userRun) error {
	id, err := u.subject()
	if err != nil {
		return err
	}
	hash := u.codec.Tag(id).String()
	return answer(u.cmd, u.asJSON, map[string]string{"sub": id, "subject_hash": hash}, hash+"\n")
}

// shownUser is a user with what an operator asks about them.
type shownUser struct {
	Username    string                `json:"username,omitempty"`
	Sub         string                `json:"sub,omitempty"`
	SubjectHash string                `json:"subject_hash,omitempty"`
	Source      string                `json:"source"`
	Scope       *string               `json:"scope,omitempty"` // absent: the directory does not tell
	OwnScope    bool                  `json:"own_scope"`       // false: scope is [users] scope
	Disabled    *bool                 `json:"disabled,omitempty"`
	Sessions    *int                  `json:"sessions,omitempty"`
	Locked      bool                  `json:"locked"` // somewhere
	Failures    []lockout.ShownBudget `json:"failures"`
}

func (p Program) userShow(u *userRun) error {
	w, err := u.who()
	if err != nil {
		return err
	}
	budgets, err := u.lockout().Budgets(u.ctx, w.keys()...)
	if err != nil {
		return err
	}
	if w.sub == "" && u.dir.Directory != nil && len(budgets) == 0 {
		return fmt.Errorf("there is no user %q", w.name)
	}
	s := shownUser{Username: w.name, Sub: w.sub, Source: u.cfg.Users.Source, Failures: []lockout.ShownBudget{}}
	for _, b := range budgets {
		s.Failures = append(s.Failures, lockout.Show(b))
		s.Locked = s.Locked || b.Locked > 0
	}
	u.describe(&s, w.user)
	if w.sub != "" {
		tag := u.codec.Tag(w.sub)
		s.SubjectHash = tag.String()
		found, err := u.tokens.Sessions(u.ctx, tag)
		if err != nil {
			return err
		}
		s.Sessions = new(len(found))
	}
	text := s.text()
	if w.sub == "" {
		text += strings.TrimPrefix(u.nobody(w.name), "; ") + "\n"
	}
	return answer(u.cmd, u.asJSON, s, text)
}

// describe adds what the directory tells of a user.
func (u *userRun) describe(s *shownUser, found *users.User) {
	if found == nil {
		return
	}
	if found.Username != "" {
		s.Username = found.Username
	}
	s.Disabled, s.OwnScope = &found.Disabled, found.Scope != nil
	s.Scope = new(found.Rules(u.cfg.UserScope()).String())
}

func (s *shownUser) text() string {
	t := newTable()
	for _, line := range [][2]string{{"name", s.Username}, {"sub", s.Sub}, {"subject_hash", s.SubjectHash}, {"source", s.Source}} {
		if line[1] != "" {
			t.row(line[0], line[1])
		}
	}
	if s.Scope != nil {
		t.row("scope", *s.Scope)
	}
	if s.Disabled != nil {
		t.row("state", map[bool]string{false: "enabled", true: "disabled"}[*s.Disabled])
	}
	if s.Sessions != nil {
		t.row("sessions", strconv.Itoa(*s.Sessions))
	}
	t.row("locked", map[bool]string{false: "no", true: "yes"}[s.Locked])
	for _, b := range s.Failures {
		t.row("failures", budgetText(b))
	}
	return t.String()
}

func budgetText(b lockout.ShownBudget) string {
	from := "new addresses"
	if b.Network != "" {
		from = b.Network
	}
	text := fmt.Sprintf("%d of %d from %s", b.Failures, b.Limit, from)
	if b.LockedUntil != nil {
		text += ", locked until " + b.LockedUntil.Format(time.DateTime) + " UTC"
	}
	return text
}
