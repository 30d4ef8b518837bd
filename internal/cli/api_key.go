package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/tokens"
)

// apiKeyFlags are shared by the commands below.
type apiKeyFlags struct {
	path             string
	asJSON, yes, all bool
	ask              apikeys.Ask
}

// apiKeyRun is what a command gets: the keys, and whose they are.
type apiKeyRun struct {
	*apiKeyFlags
	ctx    context.Context
	cmd    *cobra.Command
	client string
	keys   *apikeys.Manager
	trail  *commandTrail
}

const apiKeyLong = `Manage the API keys of clients.

An API key (gak_…) is for a caller that cannot ask for a token: a webhook, a curl in a cron job, a
partner who can set one header. It is an access token of the client that expires when you say, or never.
The server keeps only the hash of the key. It refuses a key at once when the key is revoked, or when
the client is disabled, deleted or narrowed.`

// apiKeyCommand manages API keys.
func (p Program) apiKeyCommand() *cobra.Command {
	f := &apiKeyFlags{}
	create := p.apiKeyCommandOf(f, "create CLIENT", "Make an API key of a client; it is shown once", p.apiKeyCreate)
	s := create.Flags()
	s.StringVar(&f.ask.Name, "name", "", "who will hold the key, for people")
	s.StringVar(&f.ask.Scope, "scope", "", "the scopes of the key, each by its name and within the client's scope")
	s.Var(durationFlag{(*clients.Duration)(&f.ask.TTL)}, "expires", "after how long the key expires, such as 180d")
	s.BoolVar(&f.ask.NoExpiry, "no-expiry", false, "the key has no end: it works until somebody revokes it")
	s.StringSliceVar(&f.ask.Networks, "allowed-network", nil, "an address or network from which alone the key may be used, such as 203.0.113.0/24; may be repeated")
	revoke := p.apiKeyCommandOf(f, "revoke CLIENT ID", "End an API key at once; --all: every key of the client", p.apiKeyRevoke)
	revoke.Flags().BoolVar(&f.all, "all", false, "end every API key of the client")
	g := group("key", "Manage API keys", create, revoke,
		p.apiKeyCommandOf(f, "list CLIENT", "List the API keys of a client", p.apiKeyList),
		p.apiKeyCommandOf(f, "show CLIENT ID", "Show an API key, without its text", p.apiKeyShow))
	g.Long = apiKeyLong
	g.PersistentFlags().StringVar(&f.path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g.PersistentFlags().BoolVar(&f.asJSON, "json", false, "answer in JSON")
	g.PersistentFlags().BoolVar(&f.yes, "yes", false, "do not ask")
	return g
}

func (p Program) apiKeyCommandOf(f *apiKeyFlags, use, short string, run func(*apiKeyRun, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: func(c *cobra.Command, args []string) error {
		wanted := strings.Count(use, " ")
		if f.all {
			wanted, use = 1, "revoke CLIENT"
		}
		if len(args) != wanted {
			return usageError{fmt.Errorf("%s takes %s; see --help", c.CommandPath(), arguments(use))}
		}
		needs := []string{"store", "redis", "keys", "scopes", "tokens", "trusted_issuers", "grants"}
		cfg, err := p.loadPart(config.Options{Path: f.path}, needs...)
		if err != nil {
			return err
		}
		if cfg.Store == config.StoreMemory {
			return usageError{errors.New(`with store = "memory" there are no API keys: they must outlive the server's process; use store = "redis"`)}
		}
		return p.withAPIKeys(c, cfg, f, args, run)
	}}
}

func (p Program) withAPIKeys(c *cobra.Command, cfg *config.Config, f *apiKeyFlags, args []string, run func(*apiKeyRun, []string) error) error {
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Time(c.Context()); err != nil { // the clock of every lifetime
		return err
	}
	store := tokens.NewRedis(db)
	key, err := tokens.ClaimServerKey(c.Context(), store, tokens.KeyWait)
	if err != nil {
		return err
	}
	manager := parts.Manager(cfg, clients.NewRedis(db), store)
	r := &apiKeyRun{apiKeyFlags: f, ctx: c.Context(), cmd: c, client: args[0],
		keys: apikeys.New(manager, store, tokens.NewCodec(key)), trail: p.commandTrail(cfg, db)}
	defer r.trail.flush()
	err = run(r, args)
	if _, asked := errors.AsType[*apikeys.AskError](err); asked {
		return usageError{err}
	}
	return plainer(r.client, err)
}

// madeAPIKey is the answer of create: the one time that a key is seen.
type madeAPIKey struct {
	ClientID string `json:"client_id"`
	*apikeys.Key
	Text      string `json:"api_key"`
	Confirmed *bool  `json:"confirmed,omitempty"` // false: see the error
}

func (m madeAPIKey) text() string {
	text := "client_id  " + m.ClientID + "\nkey_id     " + m.ID + "\nexpires    " + moment(m.ExpiresAt, "never") + "\n"
	return text + "api_key    " + m.Text + "\n"
}

func (p Program) apiKeyCreate(r *apiKeyRun, _ []string) error {
	r.ask.Creator = commandActor()
	text, k, err := r.keys.Create(r.ctx, r.client, r.ask)
	if k == nil {
		return err
	}
	made := madeAPIKey{ClientID: r.client, Key: k, Text: text}
	if wasMade(err) {
		r.tell(audit.KeyCreated, k, err)
	} else {
		err = fmt.Errorf("it is not known whether this was done: \"grantor key list %s\" says whether the key that is shown here is stored: %w", r.client, err)
	}
	if err != nil {
		made.Confirmed = new(false)
	}
	if r.ask.NoExpiry {
		fmt.Fprintln(r.cmd.ErrOrStderr(), "warning: this key has no end: whoever finds it can use it until somebody revokes it")
	}
	if len(k.Audience) == 0 {
		fmt.Fprintln(r.cmd.ErrOrStderr(), `warning: no API is named in this key (aud): only clients with introspect = "any" see it`)
	}
	return errors.Join(answer(r.cmd, r.asJSON, made, made.text()), err)
}

func (p Program) apiKeyList(r *apiKeyRun, _ []string) error {
	list, err := r.keys.List(r.ctx, r.client)
	if err != nil {
		return err
	}
	text := newTable("KEY", "NAME", "SCOPE", "CREATED", "BY", "LAST USED", "ENDS", "STATE")
	for _, k := range list {
		state := "active"
		if !k.Active {
			state = "ended"
		}
		text.row(k.ID, k.Name, k.Scope, moment(k.CreatedAt, ""), k.Creator, moment(k.LastUsed, "never"), moment(k.ExpiresAt, "never"), state)
	}
	return answer(r.cmd, r.asJSON, list, text.String())
}

func (p Program) apiKeyShow(r *apiKeyRun, args []string) error {
	k, err := r.keys.Get(r.ctx, r.client, args[1])
	if err != nil {
		return err
	}
	return answer(r.cmd, true, k, "")
}

func (p Program) apiKeyRevoke(r *apiKeyRun, args []string) error {
	if r.all {
		return p.apiKeyRevokeAll(r)
	}
	if err := p.sure(r.cmd, r.yes, "end this API key at once"); err != nil {
		return err
	}
	k, err := r.keys.Revoke(r.ctx, r.client, args[1])
	if k != nil && wasMade(err) {
		r.tell(audit.KeyRevoked, k, err)
	}
	return settled(r.cmd, r.asJSON, err, "the API key has ended")
}

func (p Program) apiKeyRevokeAll(r *apiKeyRun) error {
	if err := p.sure(r.cmd, r.yes, "end every API key of the client at once"); err != nil {
		return err
	}
	ended, err := r.keys.RevokeAll(r.ctx, r.client)
	for _, k := range ended {
		r.tell(audit.KeyRevoked, k, err)
	}
	return settled(r.cmd, r.asJSON, err, fmt.Sprintf("%d API keys have ended", len(ended)))
}

// tell writes the event of a key that was made or revoked.
func (r *apiKeyRun) tell(event string, k *apikeys.Key, err error) {
	e := audit.Change(event, r.client, k.Name, err != nil)
	e.Token, e.Scope = k.ID, k.Scope
	r.trail.tell(e)
}
