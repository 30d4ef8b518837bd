package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/importer"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
)

// importFlags are shared by the commands below.
type importFlags struct {
	path                string
	asJSON, apply       bool
	existing            string
	scope, defaultScope string
	leaveOut            []string
}

// What becomes of a client whose id another client has.
const (
	existingRefuse  = "refuse"
	existingKeep    = "keep"
	existingReplace = "replace"
)

// importRun is what a command gets.
type importRun struct {
	*importFlags
	ctx     context.Context
	cmd     *cobra.Command
	cfg     *config.Config
	manager *clients.Manager
	keys    *apikeys.Manager
	trail   *commandTrail
}

const importLong = `Import clients and API keys of another token server.

Without --apply the command prints what would become of each entry, and changes nothing. With --apply it
writes all clients of the file in one step, or none. A second run finds them unchanged.

Clients keep their ids and their secrets, also where the file has only a hash of another program.
Tokens, sessions and consents are not imported.`

// importCommand moves clients of other servers here.
func (p Program) importCommand() *cobra.Command {
	f := &importFlags{}
	var commands []*cobra.Command
	for _, source := range importer.Sources() {
		c := &cobra.Command{Use: source.Name + " FILE", Short: source.Short, RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes FILE, or - for standard input; see --help", c.CommandPath())}
			}
			return p.importFrom(c, f, source, args[0])
		}}
		c.ValidArgsFunction = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault) // a file
		if source.ScopeNeeded {
			c.Flags().StringVar(&f.scope, "scope", "", "the scopes that each client or key gets: the source does not keep them (required)")
		}
		if source.Name == "django-oauth-toolkit" {
			c.Flags().StringVar(&f.defaultScope, "default-scope", "", "what each client gets when it asks for no scope")
		}
		if !source.ScopeNeeded {
			c.Flags().StringSliceVar(&f.leaveOut, "leave-out-scope", nil, "a scope that no client gets; may be repeated")
		}
		commands = append(commands, c)
	}
	g := group("import", "Import clients and API keys of another token server", commands...)
	g.Long = importLong
	g.PersistentFlags().StringVar(&f.path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g.PersistentFlags().BoolVar(&f.asJSON, "json", false, "answer in JSON")
	g.PersistentFlags().BoolVar(&f.apply, "apply", false, "write it; without this flag nothing changes")
	g.PersistentFlags().StringVar(&f.existing, "existing", existingRefuse, "where another client has the id: refuse the whole file, keep that client, or replace it")
	return g
}

func (f *importFlags) check(source importer.Source) error {
	switch {
	case !slices.Contains([]string{existingRefuse, existingKeep, existingReplace}, f.existing):
		return usageError{fmt.Errorf("--existing is refuse, keep or replace, and not %q", f.existing)}
	case source.ScopeNeeded && strings.TrimSpace(f.scope) == "":
		return usageError{fmt.Errorf("say --scope: %s keeps no scopes with its clients", source.Name)}
	}
	return nil
}

func (p Program) importFrom(c *cobra.Command, f *importFlags, source importer.Source, file string) error {
	if err := f.check(source); err != nil {
		return err
	}
	cfg, err := p.loadPart(config.Options{Path: f.path}, "store", "redis", "keys", "scopes", "tokens", "trusted_issuers", "grants", "clients")
	if err != nil {
		return err
	}
	if cfg.Store == config.StoreMemory {
		return usageError{errors.New(`with store = "memory" there is no registry of clients: write the clients in config.toml, or use store = "redis"`)}
	}
	text, err := p.importText(file)
	if err != nil {
		return usageError{err}
	}
	items, err := source.Read(text, importer.Options{Scope: f.scope, DefaultScope: f.defaultScope, LeaveOut: f.leaveOut, Catalogue: cfg.Catalogue(), Now: time.Now()})
	if err != nil {
		return usageError{fmt.Errorf("nothing was imported: %w", err)}
	}
	return p.withImport(c, f, cfg, items)
}

// maxImportBytes bounds a file.
const maxImportBytes = 256 << 20

func (p Program) importText(file string) ([]byte, error) {
	in := p.Stdin
	if file != "-" {
		f, err := os.Open(file) // #nosec G304 -- the operator's
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it was read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxImportBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxImportBytes {
		return nil, fmt.Errorf("%s has more than %d MiB: export clients alone, without users", file, maxImportBytes>>20)
	}
	if text, err = config.WithoutBOM(text); err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	return text, nil
}

func (p Program) newImportRun(c *cobra.Command, f *importFlags, cfg *config.Config, db *redisdb.DB) (*importRun, error) {
	if _, err := db.Time(c.Context()); err != nil { // the clock of every lifetime
		return nil, err
	}
	store := tokens.NewRedis(db)
	key, err := tokens.ClaimServerKey(c.Context(), store, tokens.KeyWait)
	if err != nil {
		return nil, err
	}
	r := &importRun{importFlags: f, ctx: c.Context(), cmd: c, cfg: cfg, manager: parts.Manager(cfg, clients.NewRedis(db), store), trail: p.commandTrail(cfg, db)}
	r.manager.WeakSecrets = true
	r.keys = apikeys.New(r.manager, store, tokens.NewCodec(key))
	return r, nil
}

func (p Program) withImport(c *cobra.Command, f *importFlags, cfg *config.Config, items []importer.Item) error {
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	r, err := p.newImportRun(c, f, cfg, db)
	if err != nil {
		return err
	}
	defer r.trail.flush()
	plan, err := r.plan(items)
	if err != nil {
		return err
	}
	if !f.apply {
		return errors.Join(answer(c, f.asJSON, plan.shown(false), plan.text(false)), plan.conflict(f.existing))
	}
	if err := plan.conflict(f.existing); err != nil {
		return err
	}
	err = r.write(plan)
	if !wasMade(err) {
		return fmt.Errorf("nothing was imported: %w", err)
	}
	if err != nil {
		err = notConfirmed(err)
	}
	return errors.Join(answer(c, f.asJSON, plan.shown(true), plan.text(true)), err)
}
