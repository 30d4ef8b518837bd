package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// feedCommand enables the revocation feed after an upgrade.
func (p Program) feedCommand() *cobra.Command {
	var path string
	var asJSON, yes bool
	enable := &cobra.Command{Use: "enable", Short: "Let verifiers follow: no node serves that is older than the feed", Args: noArguments,
		Long: "Nodes of a version before the revocation feed revoke tokens without telling the feed. After an upgrade\n" +
			"the feed answers 503 until this command says that no such node serves any more. A Redis that was empty\n" +
			"at the first start needs no command.",
		RunE: func(c *cobra.Command, _ []string) error { return p.enableFeed(c, path, asJSON, yes) }}
	enable.Flags().BoolVar(&yes, "yes", false, "do not ask")
	g := group("feed", "Manage the revocation feed", enable)
	g.PersistentFlags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g.PersistentFlags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return g
}

func (p Program) enableFeed(c *cobra.Command, path string, asJSON, yes bool) error {
	cfg, err := p.loadPart(config.Options{Path: path}, "store", "redis")
	if err != nil {
		return err
	}
	if cfg.Store == config.StoreMemory {
		return usageError{errors.New(`with store = "memory" the revocation feed is always enabled; this command is for store = "redis"`)}
	}
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	stream := feed.NewRedis(db)
	already, err := stream.Enabled(c.Context())
	if err != nil {
		return err
	}
	if already {
		return settled(c, asJSON, nil, "the revocation feed was enabled before; nothing was changed")
	}
	if err := p.sure(c, yes, "let verifiers trust the revocation feed: no node of a version before it may serve any more"); err != nil {
		return err
	}
	// What nodes of an earlier version ended is not in the stream, and nobody can tell what it was.
	if err = stream.Append(c.Context(), feed.End{Names: []string{feed.Nameless}}); err != nil {
		return err
	}
	if err = stream.Enable(c.Context()); wasMade(err) {
		p.commandTrail(cfg, db).tell(audit.Change(audit.FeedEnabled, "", "", err != nil))
	}
	err = settled(c, asJSON, err, "the revocation feed is enabled: verifiers that follow are answered from now on")
	if errors.Is(err, clients.ErrNotConfirmed) {
		return notConfirmed(err)
	}
	return err
}
