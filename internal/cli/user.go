package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// userFlags are shared by the commands below.
type userFlags struct {
	path, sub     string
	address       string // unlock
	locked        bool   // list
	asJSON, yes   bool
	all           bool
	session       string
	id, scope     string
	username      string // update
	defaultScope  bool   // update
	passwordStdin bool
	claims        claimChange
}

// userCommand manages the Redis directory, and the sessions of the users of every directory.
func (p Program) userCommand() *cobra.Command {
	f := &userFlags{}
	g := group("user", "Manage users and their sessions",
		p.userCommandOf(f, "add NAME", "Add a user to the Redis directory", p.userAdd),
		p.userCommandOf(f, "list", "List the users of the Redis directory", p.userList),
		p.userCommandOf(f, "update NAME", "Change a user's scope, claims or login name; sessions go on", p.userUpdate),
		p.userCommandOf(f, "set-password NAME", "Give a user a new password; ends all sessions, and a lock", p.userSetPassword),
		p.userCommandOf(f, "disable NAME", "Disable a user; ends all sessions", p.userDisable),
		p.userCommandOf(f, "enable NAME", "Enable a user again", p.userEnable),
		p.userCommandOf(f, "delete NAME", "Delete a user; ends all sessions", p.userDelete),
		p.userCommandOf(f, "sessions NAME", "List a user's devices: client, name, created, last used, coarse address", p.userSessions),
		p.userCommandOf(f, "logout NAME", "End one session of a user, or all", p.userLogout))
	g.AddCommand(p.userLockoutCommands(f)...)
	g.PersistentFlags().StringVar(&f.path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g.PersistentFlags().StringVar(&f.sub, "sub", "", "the user's immutable id, instead of NAME")
	g.PersistentFlags().BoolVar(&f.asJSON, "json", false, "answer in JSON")
	g.PersistentFlags().BoolVar(&f.yes, "yes", false, "do not ask")
	for _, c := range g.Commands() {
		switch c.Name() {
		case "add":
			f.claims.flag(c.Flags())
			c.Flags().StringVar(&f.id, "id", "", "the immutable id (default: a random one)")
			c.Flags().StringVar(&f.scope, "scope", "", "the most that the user's tokens may carry, of [scopes] (default: [users] scope)")
			c.Flags().BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from standard input")
		case "update":
			f.claims.flag(c.Flags())
			c.Flags().StringVar(&f.scope, "scope", "", "the most that the user's tokens may carry from the next refresh on, of [scopes]; \"\": nothing")
			c.Flags().BoolVar(&f.defaultScope, "default-scope", false, "take the user's own scope away: [users] scope counts")
			c.Flags().StringVar(&f.username, "username", "", "the new login name; the sub stays")
		case "list":
			c.Flags().BoolVar(&f.locked, "locked", false, "list who is locked because of failed logins, of every directory")
		case "set-password":
			c.Flags().BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from standard input")
		case "logout":
			c.Flags().BoolVar(&f.all, "all", false, "end everything of the user")
			c.Flags().StringVar(&f.session, "session", "", "the session to end, as \"sessions\" shows it")
		}
	}
	return g
}

// userRun is what a command gets: where users and tokens live, and whom it is about.
type userRun struct {
	*userFlags
	ctx    context.Context
	cmd    *cobra.Command
	name   string
	dir    *parts.UserSource
	redis  *users.Redis // nil: another directory
	db     *redisdb.DB
	tokens tokens.Store
	codec  *tokens.Codec
	cfg    *config.Config
	trail  *commandTrail
}

func (p Program) userCommandOf(f *userFlags, use, short string, run func(*userRun) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: func(c *cobra.Command, args []string) error {
		wanted := strings.Contains(use, "NAME")
		if len(args) > 1 || len(args) == 1 && (!wanted || f.sub != "") || wanted && len(args) == 0 && f.sub == "" {
			return usageError{fmt.Errorf("%s takes one NAME, or --sub ID; see --help", c.CommandPath())}
		}
		needs := []string{"store", "redis"}
		if f.locked {
			needs = append(needs, "limits")
		}
		if f.sub == "" || c.Name() == "add" || c.Name() == "update" { // who is known by name, the directory knows
			needs = append(needs, "users", "grants", "scopes")
		}
		cfg, err := p.loadPart(config.Options{Path: f.path}, needs...)
		if err != nil {
			return err
		}
		if cfg.Store == config.StoreMemory {
			return usageError{errors.New(`with store = "memory" users and sessions live inside the server's own process, where no command reaches them; use store = "redis"`)}
		}
		return p.withUsers(c, cfg, f, strings.Join(args, ""), run)
	}}
}

func (p Program) withUsers(c *cobra.Command, cfg *config.Config, f *userFlags, name string, run func(*userRun) error) error {
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	dir, err := parts.Users(c.Context(), cfg, db, users.NewSlots(0))
	if err != nil && f.sub == "" {
		return err
	}
	if err != nil {
		dir = &parts.UserSource{Close: func() {}} // who is known by id needs no directory
	}
	defer dir.Close()
	store := tokens.NewRedis(db)
	key, err := tokens.ClaimServerKey(c.Context(), store, tokens.KeyWait)
	if err != nil {
		return err
	}
	u := &userRun{userFlags: f, ctx: c.Context(), cmd: c, name: name, dir: dir, db: db, tokens: store, codec: tokens.NewCodec(key), cfg: cfg, trail: p.commandTrail(cfg, db)}
	if cfg.Users.Source == "redis" {
		u.redis = users.NewRedis(db)
		u.dir.Directory = u.redis
	}
	err = run(u)
	if errors.Is(err, users.ErrNotConfirmed) {
		err = notConfirmed(err)
	}
	return err
}

// managed refuses commands that change users of a directory that is not ours.
func (u *userRun) managed() error {
	if u.redis == nil {
		return usageError{errors.New(`users are managed here only with [users] source = "redis"; elsewhere the directory's owner does it`)}
	}
	return nil
}

// subject returns the id of the user that the command is about.
func (u *userRun) subject() (string, error) {
	if u.sub != "" {
		return u.sub, nil
	}
	if u.dir.Directory == nil {
		return "", usageError{errors.New("this directory cannot be asked by name: use --sub ID")}
	}
	name, err := users.NormalizeName(u.name)
	if err != nil {
		return "", usageError{err}
	}
	found, err := u.dir.Directory.Find(u.ctx, name)
	if errors.Is(err, users.ErrUnknown) {
		return "", fmt.Errorf("there is no user %q", name)
	}
	if err != nil {
		return "", err
	}
	return found.ID, nil
}

// endAll ends everything of a user: what a changed password, disabling and deleting are followed
// by.
func (u *userRun) endAll(id string) error { return u.tokens.EndUser(u.ctx, u.codec.Tag(id)) }

// sure asks before something is destroyed; without a terminal it wants --yes.
func (p Program) sure(c *cobra.Command, yes bool, what string) error {
	if yes {
		return nil
	}
	f, ok := p.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usageError{fmt.Errorf("this will %s; say --yes", what)}
	}
	fmt.Fprintf(c.ErrOrStderr(), "This will %s. Go on? [y/N] ", what)
	line, _ := bufio.NewReader(f).ReadString('\n')
	if !strings.HasPrefix(strings.ToLower(line), "y") {
		return errors.New("nothing was done")
	}
	return nil
}

// done says that a change of a user was made, to the trail too, also when it could not be
// confirmed.
func (u *userRun) done(id string, err error, detail, text string) error {
	if wasMade(err) {
		u.tell(id, detail, err)
	}
	return settled(u.cmd, u.asJSON, err, text)
}

// tell writes the event of a change of a user that was made; err is why it may not last.
func (u *userRun) tell(id, detail string, err error) {
	u.trail.tell(audit.Change(audit.UserChanged, "", detail+" "+u.codec.Tag(id).String(), err != nil))
}
