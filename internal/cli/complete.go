package cli

import (
	"context"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// Bounds of what a press of the tab key costs.
const (
	completeLimit = time.Second
	completeMost  = 100
	completePages = 20 // of a thousand clients
)

// lookup finds the values of an argument that may stand behind earlier ones. What went wrong gives
// no values: an error would stand in the middle of what somebody types.
type lookup struct {
	ctx    context.Context
	cfg    *config.Config
	db     *redisdb.DB // nil: there is no Redis
	args   []string    // before
	prefix string
	found  []string
}

// completeValues lets the shell complete what a configuration and its Redis know: client ids,
// users, scopes, ids of keys and secrets; and the file of --config.
func (p Program) completeValues(c *cobra.Command) {
	for _, sub := range c.Commands() {
		p.completeValues(sub)
	}
	if c.Flag("config") != nil {
		_ = c.RegisterFlagCompletionFunc("config", cobra.FixedCompletions([]string{"toml"}, cobra.ShellCompDirectiveFilterFileExt))
	}
	for flag, find := range map[string]func(*lookup){
		"scope": (*lookup).scopes, "default-scope": (*lookup).scopes, "exchange-scope": (*lookup).scopes,
		"exchange-subject-client": (*lookup).clients, "exchange-actor": (*lookup).clients,
	} {
		if f := c.Flags().Lookup(flag); f != nil && f.Value.Type() != "bool" {
			_ = c.RegisterFlagCompletionFunc(flag, p.completing(find))
		}
	}
	if c.HasSubCommands() || c.ValidArgsFunction != nil {
		return
	}
	words := strings.Fields(c.Use)[1:]
	c.ValidArgsFunction = p.completing(func(l *lookup) { l.argument(c.Name(), words) })
}

// argument finds the values of the word of a command's use that comes next.
func (l *lookup) argument(command string, words []string) {
	if len(l.args) >= len(words) {
		return
	}
	switch word := words[len(l.args)]; {
	case word == "NAME" && command != "add":
		l.users()
	case word == "CLIENT", word == "ID" && len(l.args) == 0:
		l.clients()
	case word == "ID":
		l.apiKeys()
	case word == "SECRET-ID":
		l.secrets()
	}
}

// completing looks values up, for no longer than completeLimit.
func (p Program) completing(find func(*lookup)) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completeLimit)
		defer cancel()
		found := make(chan []string, 1)
		go func() { found <- p.look(ctx, c, args, prefix, find) }()
		select {
		case list := <-found:
			return list, cobra.ShellCompDirectiveNoFileComp
		case <-ctx.Done():
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

func (p Program) look(ctx context.Context, c *cobra.Command, args []string, prefix string, find func(*lookup)) []string {
	p.Stderr = io.Discard // warnings about the configuration
	path := ""
	if f := c.Flag("config"); f != nil {
		path = f.Value.String()
	}
	cfg, err := p.loadPart(config.Options{Path: path}, "store", "redis")
	if err != nil {
		return nil
	}
	l := &lookup{ctx: ctx, cfg: cfg, args: args, prefix: prefix}
	if cfg.Store == config.StoreRedis {
		if l.db, err = parts.Redis(cfg.Redis, slog.New(slog.DiscardHandler)); err != nil {
			return nil
		}
		defer l.db.Close()
	}
	find(l)
	slices.Sort(l.found)
	return slices.Compact(l.found)
}

// plainWord is what every shell takes as it is. Others may have chosen a name, and a completion
// with "$(…)" in it is evaluated by some shells.
func plainWord(text string) bool {
	plain, _ := regexp.MatchString(`^[A-Za-z0-9][A-Za-z0-9._:@/+-]*$`, text)
	return plain
}

// offer adds a value if it fits, and says whether more are wanted.
func (l *lookup) offer(text string) (more bool) {
	if strings.HasPrefix(text, l.prefix) && plainWord(text) {
		l.found = append(l.found, text)
	}
	return len(l.found) < completeMost
}

func (l *lookup) scopes() {
	if l.cfg.Catalogue() == nil {
		return
	}
	for name := range strings.FieldsSeq(l.cfg.Catalogue().Names().String()) {
		if !l.offer(name) {
			return
		}
	}
}

func (l *lookup) clients() {
	for _, c := range l.cfg.Registrations() {
		if !l.offer(c.ID) {
			return
		}
	}
	if l.db == nil {
		return
	}
	registered, cursor := clients.NewRedis(l.db), ""
	for range completePages {
		page, next, err := registered.List(l.ctx, cursor, 1000)
		if err != nil {
			return
		}
		for _, s := range page {
			if !l.offer(s.ID) {
				return
			}
		}
		if cursor = next; next == "" {
			return
		}
	}
}

func (l *lookup) secrets() {
	var list []clients.Secret
	for _, c := range l.cfg.Registrations() {
		if c.ID == l.args[0] {
			list = c.Secrets
		}
	}
	if l.db != nil && list == nil {
		if s, err := clients.NewRedis(l.db).Load(l.ctx, l.args[0]); err == nil {
			list = s.Secrets
		}
	}
	for _, s := range list {
		l.offer(s.ID())
	}
}

func (l *lookup) apiKeys() {
	if l.db == nil {
		return
	}
	list, err := tokens.NewRedis(l.db).APIKeys().List(l.ctx, l.args[0])
	if err != nil {
		return
	}
	for _, k := range list {
		if !l.offer(k.ID().String()) {
			return
		}
	}
}

func (l *lookup) users() {
	switch {
	case l.cfg.Users.Source == "config":
		for _, u := range l.cfg.Users.Config {
			if !l.offer(u.Username) {
				return
			}
		}
	case l.cfg.Users.Source == "redis" && l.db != nil:
		for u, err := range users.NewRedis(l.db).List(l.ctx) {
			if err != nil || !l.offer(u.Username) {
				return
			}
		}
	}
}
