package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// keysCommand shows and rotates the signing keys of JWT access tokens. All nodes follow within
// seconds.
func (p Program) keysCommand() *cobra.Command {
	var path string
	var asJSON, yes, compromised bool
	list := &cobra.Command{Use: "list", Short: "List the signing keys: which is next, signs now, or is still published", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withKeys(path, func(k *keys.Config, _ *feed.Redis, _ *commandTrail) error {
				found, err := keys.List(c.Context(), k.Store)
				if err != nil {
					return err
				}
				return answer(c, asJSON, found, keyTable(found))
			})
		}}
	rotate := &cobra.Command{Use: "rotate", Short: "Sign with the next key as soon as every verifier can know it", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			what := "put new signing keys in the place of the present ones"
			if compromised {
				what = "withdraw the present signing keys at once: every JWT that they signed ends"
			}
			if err := p.sure(c, yes, what); err != nil {
				return err
			}
			return p.withKeys(path, func(k *keys.Config, stream *feed.Redis, trail *commandTrail) error {
				changed, err := parts.RotateKeys(c.Context(), *k, stream, compromised)
				if changed && wasMade(err) {
					trail.tell(audit.Change(audit.KeysRotated, "", audit.RotationAsked(compromised), err != nil))
				}
				err = settled(c, asJSON, err, "the keys are rotated; nodes follow within seconds")
				if errors.Is(err, clients.ErrNotConfirmed) {
					return notConfirmed(err)
				}
				return err
			})
		}}
	rotate.Flags().BoolVar(&compromised, "compromised", false, "the private keys are known to others: refuse them at once")
	rotate.Flags().BoolVar(&yes, "yes", false, "do not ask")
	g := group("keys", "Manage the signing keys of JWT access tokens", list, rotate)
	g.PersistentFlags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	g.PersistentFlags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return g
}

func (p Program) withKeys(path string, run func(*keys.Config, *feed.Redis, *commandTrail) error) error {
	cfg, err := p.loadPart(config.Options{Path: path}, "store", "redis", "keys", "tokens.signing_alg")
	if err != nil {
		return err
	}
	if cfg.Store == config.StoreMemory {
		return usageError{errors.New(`with store = "memory" the keys live inside the server's own process, where no command reaches them; use store = "redis"`)}
	}
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	k, err := parts.Keys(cfg, db)
	if err != nil {
		return err
	}
	if k == nil {
		return usageError{errors.New("there are no signing keys without [keys] encryption_key")}
	}
	return run(k, feed.NewRedis(db), p.commandTrail(cfg, db))
}

func keyTable(list []keys.Info) string {
	text := newTable("KEY", "ALG", "STATE", "CREATED", "SIGNS FROM", "UNTIL", "PUBLISHED UNTIL")
	for _, k := range list {
		text.row(k.KeyID, string(k.Algorithm), string(k.State), at(k.CreatedAt), at(k.UseFrom), at(k.UseUntil), at(k.PublishedUntil))
	}
	return text.String()
}

func at(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return moment(*t, "-")
}
