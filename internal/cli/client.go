package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
)

// clientFlags are shared by the commands below.
type clientFlags struct {
	path        string
	asJSON, yes bool
	file        string        // apply
	overlap     time.Duration // rotate-secret
	now, force  bool
	newID       string // create
	edit        clientEdit
	secret      secretFlags
}

// secretFlags say where a secret comes from; without any a fresh one is made.
type secretFlags struct {
	file, hash string
	stdin      bool
}

// clientRun is what a command gets: the registry, and whom it is about.
type clientRun struct {
	*clientFlags
	ctx     context.Context
	cmd     *cobra.Command
	id      string
	cfg     *config.Config
	db      *redisdb.DB
	manager *clients.Manager
	trail   *commandTrail
}

// clientCommand manages the registry in Redis, and what of config.toml's clients can be changed at
// run time.
func (p Program) clientCommand() *cobra.Command {
	f := &clientFlags{}
	create := p.clientCommandOf(f, "create", "Register a client; its secret is shown once", p.clientCreate)
	update := p.clientCommandOf(f, "update ID", "Change a client", p.clientUpdate)
	rotate := p.clientCommandOf(f, "rotate-secret ID", "Give a client another secret", p.clientRotate)
	apply := p.clientCommandOf(f, "apply", "Create or change clients as a JSON file says; says what changed", p.clientApply)
	for _, c := range []*cobra.Command{create, update} {
		f.edit.flags(c)
		oneOfMembers(c)
	}
	create.Flags().StringVar(&f.newID, "id", "", "the client id (default: a random one)")
	for _, c := range []*cobra.Command{create, rotate} {
		c.Flags().StringVar(&f.secret.file, "secret-file", "", "read the secret from a file (default: make a fresh one)")
		c.Flags().StringVar(&f.secret.hash, "secret-hash", "", "the hash of a secret that is known elsewhere (sha256:…)")
		c.Flags().BoolVar(&f.secret.stdin, "secret-stdin", false, "read the secret from standard input")
	}
	rotate.Flags().Var(durationFlag{(*clients.Duration)(&f.overlap)}, "overlap", "how long the old secret is valid beside the new one, such as 24h")
	rotate.Flags().BoolVar(&f.now, "now", false, "the old secret ends at once")
	rotate.Flags().BoolVar(&f.force, "force", false, "where two secrets are in use, end the one that was not used for longer at once")
	apply.Flags().StringVarP(&f.file, "file", "f", "", "the file, - for standard input: a registration, a list of them, or what export wrote")
	g := group("client", "Manage clients", create, update, rotate, apply,
		p.clientCommandOf(f, "list", "List all clients, those of config.toml too", p.clientList),
		p.clientCommandOf(f, "show ID", "Show a client", p.clientShow),
		p.clientCommandOf(f, "disable ID", "Refuse a client from now on, and end its tokens", p.clientDisable),
		p.clientCommandOf(f, "enable ID", "Accept a client again", p.clientEnable),
		p.clientCommandOf(f, "unlock ID", "Forget from where wrong credentials of a client came", p.clientUnlock),
		p.clientCommandOf(f, "delete ID", "Remove a client and end its tokens", p.clientDelete),
		p.clientCommandOf(f, "secrets ID", "List the secrets and registered keys of a client: id, created, last used, end", p.clientSecrets),
		p.clientCommandOf(f, "revoke-secret ID SECRET-ID", "Remove one secret of a client", p.clientRevokeSecret),
		p.clientCommandOf(f, "revoke-tokens ID", "End every token of a client, and the sessions made through it", p.clientRevokeTokens),
		p.clientCommandOf(f, "export", "Write the clients of the registry as JSON: hashes, no secrets", p.clientExport))
	g.PersistentFlags().StringVar(&f.path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g.PersistentFlags().BoolVar(&f.asJSON, "json", false, "answer in JSON")
	g.PersistentFlags().BoolVar(&f.yes, "yes", false, "do not ask")
	return g
}

// durationFlag is a flag that takes 24h and 30d.
type durationFlag struct{ v *clients.Duration }

func (d durationFlag) String() string {
	if d.v == nil || *d.v == 0 {
		return ""
	}
	return d.v.String()
}

func (d durationFlag) Set(text string) error { return d.v.UnmarshalText([]byte(text)) }

func (durationFlag) Type() string { return "duration" }

// clientCommandOf makes a command of its use: the words in capitals are its arguments.
func (p Program) clientCommandOf(f *clientFlags, use, short string, run func(*clientRun, []string) error) *cobra.Command {
	wanted := strings.Count(use, " ")
	return &cobra.Command{Use: use, Short: short, RunE: func(c *cobra.Command, args []string) error {
		if len(args) != wanted {
			return usageError{fmt.Errorf("%s takes %s; see --help", c.CommandPath(), arguments(use))}
		}
		needs := []string{"store", "redis", "keys", "limits.client_failures", "limits.window"}
		if slices.Contains([]string{"create", "update", "apply"}, c.Name()) { // they hold registrations against the rest
			needs = append(needs, "scopes", "tokens", "trusted_issuers", "grants")
		}
		cfg, err := p.loadPart(config.Options{Path: f.path}, needs...)
		if err != nil {
			return err
		}
		if cfg.Store == config.StoreMemory {
			return usageError{errors.New(`with store = "memory" there is no registry of clients: write the client in config.toml, or use store = "redis"`)}
		}
		return p.withClients(c, cfg, f, args, run)
	}}
}

func arguments(use string) string {
	if _, names, ok := strings.Cut(use, " "); ok {
		return names
	}
	return "no argument"
}

func (p Program) withClients(c *cobra.Command, cfg *config.Config, f *clientFlags, args []string, run func(*clientRun, []string) error) error {
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	store := tokens.NewRedis(db)
	r := &clientRun{clientFlags: f, ctx: c.Context(), cmd: c, cfg: cfg, db: db, manager: parts.Manager(cfg, clients.NewRedis(db), store), trail: p.commandTrail(cfg, db)}
	r.manager.WeakSecrets = true // of what export wrote, and what hash-secret prints
	apikeys.GoWithClients(r.manager, store)
	defer r.trail.flush()
	if len(args) > 0 {
		r.id = args[0]
	}
	return plainer(r.id, run(r, args))
}

// plainer says of an error what the caller can do.
func plainer(id string, err error) error {
	_, field := errors.AsType[*clients.FieldError](err)
	_, inUse := errors.AsType[*clients.InUseError](err)
	switch {
	case errors.Is(err, clients.ErrNotConfirmed):
		return notConfirmed(err)
	case inUse:
		return fmt.Errorf("%w: wait until the older one ends, end the one that nobody needs with \"grantor client revoke-secret %s SECRET-ID\", or insist with --force", err, id)
	case errors.Is(err, clients.ErrUnknown):
		return fmt.Errorf("there is no client %q", id)
	case field, errors.Is(err, clients.ErrReadOnly), errors.Is(err, clients.ErrExists):
		return usageError{err}
	}
	return err
}

// done says that a change was made, to the trail too, also when it could not be confirmed; then it
// returns that as the error.
func (r *clientRun) done(err error, detail, text string) error {
	if wasMade(err) {
		r.trail.tell(registryChange(r.id, detail, err))
	}
	return settled(r.cmd, r.asJSON, err, text)
}

// wasMade says of the error of a change whether the change was made.
func wasMade(err error) bool { return err == nil || errors.Is(err, clients.ErrNotConfirmed) }

// registryChange is the event of a change of a client that was made.
func registryChange(id, detail string, err error) audit.Event {
	return audit.Change(audit.ClientChanged, id, detail, err != nil)
}

// settled is the answer to a change: nothing where it was not made, and what is not confirmed as an
// error beside it.
func settled(c *cobra.Command, asJSON bool, err error, text string) error {
	if !wasMade(err) {
		return err
	}
	v := map[string]bool{"ok": true}
	if err != nil {
		v["confirmed"] = false
	}
	return errors.Join(answer(c, asJSON, v, text+"\n"), err)
}

// notConfirmed says what such an error means to the one who asked.
func notConfirmed(err error) error {
	return fmt.Errorf("this was done, but too few replicas have confirmed it, so a failover may undo it; it is safe to repeat the command: %w", err)
}

func (p Program) clientList(r *clientRun, _ []string) error {
	list := []*clients.Described{}
	for cursor := ""; ; {
		page, next, err := r.manager.List(r.ctx, cursor, 1000)
		if err != nil {
			return err
		}
		list = append(list, page...)
		if cursor = next; next == "" {
			break
		}
	}
	slices.SortFunc(list, func(a, b *clients.Described) int { return strings.Compare(a.ID, b.ID) })
	list = slices.CompactFunc(list, func(a, b *clients.Described) bool { return a.ID == b.ID })
	text := newTable("CLIENT", "NAME", "GRANTS", "SCOPE", "SOURCE", "STATE", "LAST USED")
	for _, d := range list {
		state := "enabled"
		if d.Disabled {
			state = "disabled"
		}
		text.row(d.ID, d.Name, strings.Join(d.Grants, " "), d.Scope, d.Source, state, moment(d.LastUsed, "never"))
	}
	return answer(r.cmd, r.asJSON, list, text.String())
}

func (p Program) clientDisable(r *clientRun, _ []string) error {
	if err := p.sure(r.cmd, r.yes, "refuse the client and end its tokens for ever"); err != nil {
		return err
	}
	return r.done(r.manager.SetDisabled(r.ctx, r.id, true), audit.Disabled, "the client is disabled")
}

func (p Program) clientEnable(r *clientRun, _ []string) error {
	return r.done(r.manager.SetDisabled(r.ctx, r.id, false), audit.Enabled, "the client is enabled; its earlier tokens stay ended")
}

func (p Program) clientDelete(r *clientRun, _ []string) error {
	if err := p.sure(r.cmd, r.yes, "remove the client and end its tokens"); err != nil {
		return err
	}
	return r.done(r.manager.Delete(r.ctx, r.id), audit.Deleted, "the client is gone")
}

func (p Program) clientRevokeTokens(r *clientRun, _ []string) error {
	if err := p.sure(r.cmd, r.yes, "end every token of the client, and every session made through it"); err != nil {
		return err
	}
	return r.done(r.manager.RevokeTokens(r.ctx, r.id), audit.TokensRevoked, "every token of the client has ended")
}
