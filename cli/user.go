package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

func (p Program) hashPasswordCommand() *cobra.Command {
	var stdin, asJSON bool
	c := &cobra.Command{Use: "hash-password", Short: "Print the argon2id hash of a password that is typed or piped", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			hash, err := p.newPassword(c, stdin)
			if err != nil {
				return err
			}
			return answer(c, asJSON, map[string]string{"password_hash": hash}, hash+"\n")
		}}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read it from standard input")
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

// newPassword reads a password and returns its hash.
func (p Program) newPassword(c *cobra.Command, stdin bool) (string, error) {
	password, err := p.readSecret(c, "password: ", stdin)
	if err != nil {
		return "", err
	}
	if err := users.CheckPassword(password); err != nil {
		return "", usageError{err}
	}
	if len([]rune(password)) < 8 {
		return "", usageError{errors.New("a password has 8 characters at least (OWASP ASVS 6.2.1); 15 are better")}
	}
	return users.Hash(password)
}

// userFlags are shared by the commands below.
type userFlags struct {
	path, sub     string
	asJSON, yes   bool
	all           bool
	session       string
	id, scope     string
	passwordStdin bool
}

// userCommand manages the Redis directory, and the sessions of the users of every directory.
func (p Program) userCommand() *cobra.Command {
	f := &userFlags{}
	g := group("user", "Manage users and their sessions",
		p.userCommandOf(f, "add NAME", "Add a user to the Redis directory", p.userAdd),
		p.userCommandOf(f, "list", "List the users of the Redis directory", p.userList),
		p.userCommandOf(f, "set-password NAME", "Give a user a new password; ends all sessions", p.userSetPassword),
		p.userCommandOf(f, "disable NAME", "Disable a user; ends all sessions", p.userDisable),
		p.userCommandOf(f, "enable NAME", "Enable a user again", p.userEnable),
		p.userCommandOf(f, "delete NAME", "Delete a user; ends all sessions", p.userDelete),
		p.userCommandOf(f, "sessions NAME", "List a user's devices: client, created, last used, coarse address", p.userSessions),
		p.userCommandOf(f, "logout NAME", "End one session of a user, or all", p.userLogout))
	g.PersistentFlags().StringVar(&f.path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g.PersistentFlags().StringVar(&f.sub, "sub", "", "the user's immutable id, instead of NAME")
	g.PersistentFlags().BoolVar(&f.asJSON, "json", false, "answer in JSON")
	g.PersistentFlags().BoolVar(&f.yes, "yes", false, "do not ask")
	for _, c := range g.Commands() {
		switch c.Name() {
		case "add":
			c.Flags().StringVar(&f.id, "id", "", "the immutable id (default: a random one)")
			c.Flags().StringVar(&f.scope, "scope", "", "the most that the user's tokens may carry (default: [users] scope)")
			c.Flags().BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from standard input")
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
	dir    *directory
	redis  *users.Redis // nil: another directory
	tokens tokens.Store
	codec  *tokens.Codec
}

func (p Program) userCommandOf(f *userFlags, use, short string, run func(*userRun) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: func(c *cobra.Command, args []string) error {
		wanted := strings.Contains(use, "NAME")
		if len(args) > 1 || len(args) == 1 && (!wanted || f.sub != "") || wanted && len(args) == 0 && f.sub == "" {
			return usageError{fmt.Errorf("%s takes one NAME, or --sub ID; see --help", c.CommandPath())}
		}
		cfg, _, err := p.load(config.Options{Path: f.path})
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
	db, err := openRedis(cfg.Redis)
	if err != nil {
		return err
	}
	defer db.Close()
	dir, err := openDirectory(c.Context(), cfg, db, cfg.People())
	if err != nil {
		return err
	}
	defer dir.close()
	store := tokens.NewRedis(db)
	key, err := store.ServerKey(c.Context())
	if err != nil {
		return err
	}
	u := &userRun{userFlags: f, ctx: c.Context(), cmd: c, name: name, dir: dir, tokens: store, codec: tokens.NewCodec(key)}
	if cfg.Users.Source == "redis" {
		u.redis = users.NewRedis(db)
		u.dir.find = u.redis
	}
	return run(u)
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
	if u.dir.find == nil {
		return "", usageError{errors.New("this directory cannot be asked by name: use --sub ID")}
	}
	name, err := users.NormalizeName(u.name)
	if err != nil {
		return "", usageError{err}
	}
	found, err := u.dir.find.Find(u.ctx, name)
	if errors.Is(err, users.ErrUnknown) {
		return "", fmt.Errorf("there is no user %q", name)
	}
	if err != nil {
		return "", err
	}
	return found.ID, nil
}

// endAll ends everything of a user: what a changed password, disabling and deleting are followed by.
func (u *userRun) endAll(id string) error { return u.tokens.EndUser(u.ctx, u.codec.Tag(id)) }

// sure asks before something is destroyed; without a terminal it wants --yes.
func (p Program) sure(u *userRun, what string) error {
	if u.yes {
		return nil
	}
	f, ok := p.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usageError{fmt.Errorf("this will %s; say --yes", what)}
	}
	fmt.Fprintf(u.cmd.ErrOrStderr(), "This will %s. Go on? [y/N] ", what)
	line, _ := bufio.NewReader(f).ReadString('\n')
	if !strings.HasPrefix(strings.ToLower(line), "y") {
		return errors.New("nothing was done")
	}
	return nil
}

func (u *userRun) done(text string) error {
	return answer(u.cmd, u.asJSON, map[string]bool{"ok": true}, text+"\n")
}

func (p Program) userAdd(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	n := users.NewUser{ID: u.id, Username: u.name}
	if u.scope != "" {
		rules, err := scopes.ParseRules(u.scope)
		if err != nil {
			return usageError{err}
		}
		n.Scope = &rules
	}
	var err error
	if n.PasswordHash, err = p.newPassword(u.cmd, u.passwordStdin); err != nil {
		return err
	}
	added, err := u.redis.Add(u.ctx, n)
	if err != nil {
		return err
	}
	return answer(u.cmd, u.asJSON, map[string]string{"sub": added.ID, "username": added.Username}, added.ID+"\n")
}

// listed is a user in an answer.
type listed struct {
	Sub      string `json:"sub"`
	Username string `json:"username"`
	Scope    string `json:"scope,omitempty"`
	Disabled bool   `json:"disabled"`
}

func (p Program) userList(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	list := []listed{}
	for found, err := range u.redis.List(u.ctx) {
		if err != nil {
			return err
		}
		l := listed{Sub: found.ID, Username: found.Username, Disabled: found.Disabled}
		if found.Scope != nil {
			l.Scope = found.Scope.String()
		}
		list = append(list, l)
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	for _, l := range list {
		state := ""
		if l.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Username, l.Sub, l.Scope, state)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return answer(u.cmd, u.asJSON, list, text.String())
}

// changed runs a change of a user that ends all of their sessions.
func (u *userRun) changed(change func(id string) error, what string) error {
	if err := u.managed(); err != nil {
		return err
	}
	id, err := u.subject()
	if err != nil {
		return err
	}
	if err := change(id); err != nil {
		return err
	}
	if err := u.endAll(id); err != nil {
		return fmt.Errorf("the user is changed, but the sessions may live on: run \"grantor user logout --sub %s --all\": %w", id, err)
	}
	return u.done(what + "; every session has ended")
}

func (p Program) userSetPassword(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	hash, err := p.newPassword(u.cmd, u.passwordStdin)
	if err != nil {
		return err
	}
	return u.changed(func(id string) error { return u.redis.SetPassword(u.ctx, id, hash) }, "the password is set")
}

func (p Program) userDisable(u *userRun) error {
	if err := p.sure(u, "disable the user and end every session"); err != nil {
		return err
	}
	return u.changed(func(id string) error { return u.redis.Disable(u.ctx, id) }, "disabled")
}

func (p Program) userDelete(u *userRun) error {
	if err := p.sure(u, "delete the user and end every session"); err != nil {
		return err
	}
	return u.changed(func(id string) error { return u.redis.Delete(u.ctx, id) }, "deleted")
}

func (p Program) userEnable(u *userRun) error {
	if err := u.managed(); err != nil {
		return err
	}
	id, err := u.subject()
	if err != nil {
		return err
	}
	if err := u.redis.Enable(u.ctx, id); err != nil {
		return err
	}
	return u.done("enabled")
}

// session is a family in an answer.
type session struct {
	Session  string    `json:"session"`
	ClientID string    `json:"client_id"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Expires  time.Time `json:"expires"`
	Address  string    `json:"address"`
	Scope    string    `json:"scope"`
}

func (p Program) userSessions(u *userRun) error {
	id, err := u.subject()
	if err != nil {
		return err
	}
	found, err := u.tokens.Families(u.ctx, u.codec.Tag(id))
	if err != nil {
		return err
	}
	list := []session{}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tCLIENT\tCREATED\tLAST USED\tADDRESS")
	for _, f := range found {
		list = append(list, session{f.ID.String(), f.ClientID, f.Created.UTC(), f.LastUsed.UTC(), f.Expires.UTC(), f.Address, f.Scope})
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.ID, f.ClientID, f.Created.UTC().Format(time.DateTime), f.LastUsed.UTC().Format(time.DateTime), f.Address)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return answer(u.cmd, u.asJSON, list, text.String())
}

func (p Program) userLogout(u *userRun) error {
	if u.all == (u.session != "") {
		return usageError{errors.New("say --session ID or --all")}
	}
	id, err := u.subject()
	if err != nil {
		return err
	}
	if u.all {
		if err := p.sure(u, "end every session of the user"); err != nil {
			return err
		}
		if err := u.endAll(id); err != nil {
			return err
		}
		return u.done("every session has ended")
	}
	family, ok := tokens.ParseFamilyID(u.session)
	if !ok {
		return usageError{errors.New("this is no session id; \"grantor user sessions\" lists them")}
	}
	ended, err := u.tokens.EndFamily(u.ctx, u.codec.Tag(id), family)
	if err != nil {
		return err
	}
	if !ended {
		return errors.New("the user has no such session")
	}
	return u.done("the session has ended")
}
