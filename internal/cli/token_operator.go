package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/server"
	"github.com/grantor-auth/grantor/tokens"
)

// operatorFlags are those of token commands that ask the store, as the operator.
type operatorFlags struct {
	path, caller string
	asOperator   bool
}

// explainCommand says what a token is, and why it is not active.
func (p Program) explainCommand(f *tokenFlags, o *operatorFlags) *cobra.Command {
	c := &cobra.Command{Use: "explain", Short: "Say what the token on standard input is, and why it is not active: exit 0 active, 1 not", Args: noArguments,
		Long: "Say what the token on standard input is: its kind, whether this deployment made it, its state, client, user,\n" +
			"session, scope and end, and why it is not active. It reads the store that the configuration names, and\n" +
			"prints nothing of the token. --caller ID says what the client of this id sees when it introspects.",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.asOperator(c, f, o, func(s *server.Server, _ *commandTrail) error { return p.tokenExplain(c, s, f, o) })
		}}
	c.Flags().StringVar(&o.path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().StringVar(&o.caller, "caller", "", "the client that introspects the token: says why it is not active for this one")
	return c
}

// asOperator runs a command on a server over the store that the configuration names. It serves
// nobody.
func (p Program) asOperator(c *cobra.Command, f *tokenFlags, o *operatorFlags, run func(*server.Server, *commandTrail) error) error {
	if f.issuer != "" {
		return usageError{fmt.Errorf("%s asks the store that --config names, and takes no --issuer", c.CommandPath())}
	}
	cfg, err := p.loadPart(config.Options{Path: o.path}, "store", "redis", "keys", "scopes", "tokens", "issuer", "trusted_issuers", "grants")
	if err != nil {
		return err
	}
	if cfg.Store == config.StoreMemory {
		return usageError{errors.New(`with store = "memory" tokens live inside the server's own process, where no command reaches them; use store = "redis"`)}
	}
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := p.operatorServer(c.Context(), cfg, db)
	if err != nil {
		return err
	}
	err = run(s, p.commandTrail(cfg, db))
	if errors.Is(err, clients.ErrNotConfirmed) {
		err = notConfirmed(err)
	}
	return err
}

func (p Program) operatorServer(ctx context.Context, cfg *config.Config, db *redisdb.DB) (*server.Server, error) {
	store := tokens.NewRedis(db)
	sc := server.Config{Issuer: cfg.Issuer, Clients: managedRegistry{parts.Manager(cfg, clients.NewRedis(db), store)},
		Catalogue: cfg.Catalogue(), Store: store, AccessTTL: cfg.Tokens.AccessTTL, NotBefore: cfg.Tokens.NotBefore,
		RefreshTTL: cfg.Tokens.RefreshTTL, RefreshMaxTTL: cfg.Tokens.RefreshMaxTTL, MaxSessionTTL: cfg.LongestSession(),
		Log: slog.New(slog.DiscardHandler)}
	var err error
	if sc.Assertions, err = parts.KnownIssuers(cfg); err != nil {
		return nil, err
	}
	ring, err := operatorKeys(ctx, cfg, db)
	if err != nil {
		return nil, err
	}
	if ring != nil {
		sc.Keys = ring
	}
	return server.New(ctx, sc)
}

// operatorKeys opens the signing keys; nil: there are none, and this command makes none.
func operatorKeys(ctx context.Context, cfg *config.Config, db *redisdb.DB) (*keys.Ring, error) {
	k, err := parts.Keys(cfg, db)
	if err != nil || k == nil {
		return nil, err
	}
	if found, err := keys.List(ctx, k.Store); err != nil || len(found) == 0 {
		return nil, err
	}
	return keys.Open(ctx, *k)
}

// managedRegistry asks the store at each question, as one command needs it.
type managedRegistry struct{ *clients.Manager }

// Get implements clients.Registry.
func (r managedRegistry) Get(ctx context.Context, id string) (*clients.Client, error) {
	return r.Client(ctx, id)
}

func (p Program) tokenExplain(c *cobra.Command, s *server.Server, f *tokenFlags, o *operatorFlags) error {
	text, err := p.readToken(c)
	if err != nil {
		return err
	}
	e, err := s.Explain(c.Context(), text, o.caller)
	if errors.Is(err, clients.ErrUnknown) {
		return usageError{fmt.Errorf("--caller: there is no client %q", o.caller)}
	}
	if err != nil {
		return err
	}
	if err := answer(c, f.asJSON, e, explained(e)); err != nil {
		return err
	}
	if !e.Active {
		return errQuiet
	}
	return nil
}

// explained is an explanation as text.
func explained(e *server.Explanation) string {
	t := newTable()
	row := func(name, value string) {
		if value != "" {
			t.row(name, value)
		}
	}
	row("kind", strings.TrimSpace(strings.ReplaceAll(e.Kind, "_", " ")+" "+e.Format))
	row("checksum", e.Checksum)
	if e.Ours != nil {
		row("made here", map[bool]string{true: "yes", false: "no"}[*e.Ours])
	}
	row("active", map[bool]string{true: "yes", false: "no"}[e.Active])
	row("reason", string(e.Reason))
	row("client", e.ClientID)
	if e.SubType == "user" {
		row("user", e.Sub)
	}
	row("user name", e.Username)
	row("subject hash", e.SubjectHash)
	row("session", e.Session)
	row("scope", e.Scope)
	row("audience", strings.Join(e.Audience, " "))
	row("jti", e.JTI)
	if e.Bound != nil {
		row("bound to key", e.Bound.KeyThumbprint)
		row("bound to certificate", e.Bound.CertificateThumbprint)
	}
	row("issued", stamp(e.IssuedAt))
	row("ends", stamp(e.ExpiresAt))
	text := t.String()
	if e.Meaning != "" {
		text += string(e.Reason) + ": " + e.Meaning + "\n"
	}
	return text
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.DateTime) + " UTC"
}

// tokenRevokeAny ends a token of any client, or with a refresh token its session.
func (p Program) tokenRevokeAny(c *cobra.Command, s *server.Server, trail *commandTrail, asJSON bool) error {
	text, err := p.readToken(c)
	if err != nil {
		return err
	}
	v, err := s.RevokeAsOperator(c.Context(), text)
	if v != nil && v.Ended {
		trail.tell(v.Event(err != nil))
	}
	switch {
	case !wasMade(err):
		return err
	case !v.Ours && v.Kind == server.KindSecret:
		return errors.New("this is a client secret and no token; \"grantor client rotate-secret ID --now\" ends it")
	case !v.Ours && v.Kind == server.KindRegistration:
		return errors.New("this is a registration access token; \"grantor client delete ID\" ends it with its client")
	case !v.Ours:
		return errors.New("this server did not make the token, or it was changed or cut: nothing was done; \"grantor token explain\" says more")
	}
	said := "the token was not active any more; nothing was left to end"
	switch {
	case v.Ended && v.Session != "":
		said = "the session has ended, with all its tokens"
	case v.Ended:
		said = "the token has ended"
	}
	return errors.Join(answer(c, asJSON, v, said+"\n"), err)
}
