package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/tokens"
)

func (p Program) configCommand() *cobra.Command {
	return group("config", "Check, show or begin a configuration", p.configCheck(), p.configShow(), p.configInit())
}

func (p Program) configCheck() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{Use: "check", Short: "Tell every mistake of the configuration, with its place", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, warnings, err := p.loadToStart(config.Options{Path: path})
			problems, isConfig := errors.AsType[config.Errors](err)
			if err != nil && !isConfig {
				return err
			}
			if err == nil && cfg.Store == config.StoreRedis { // which is not asked here
				for _, u := range cfg.Unseen() {
					warnings = append(warnings, fmt.Sprintf("scope %q: no client of config.toml can introspect its tokens; a registered client must (client create --introspect …)", u.Name))
				}
			}
			if err == nil {
				warnings = append(warnings, cfg.Advice()...)
			}
			for _, w := range warnings {
				fmt.Fprintln(c.ErrOrStderr(), "warning: "+shown(w))
			}
			if problems != nil {
				if asJSON {
					if err := answer(c, true, map[string]any{"ok": false, "problems": problems}, ""); err != nil {
						return err
					}
					return usageError{errQuiet}
				}
				return problems
			}
			return answer(c, asJSON, map[string]any{"ok": true, "warnings": warnings}, p.configPath(path)+" is sound\n")
		}}
	c.Flags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

func (p Program) configShow() *cobra.Command {
	var path string
	c := &cobra.Command{Use: "show", Short: "Show what is in force after file and environment, secrets masked", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := p.load(config.Options{Path: path})
			if err != nil {
				return err
			}
			return answer(c, false, nil, cfg.Show())
		}}
	c.Flags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	return c
}

func (p Program) configInit() *cobra.Command {
	var output string
	c := &cobra.Command{Use: "init", Short: "Write a configuration to start from in production, with fresh secrets", Args: noArguments,
		Long: "Writes a configuration for production to stdout or to a new file. The secrets of its two clients are made now and\n" +
			"printed once, on stderr: the file holds their hashes only.",
		RunE: func(c *cobra.Command, _ []string) error {
			machine, api := tokens.NewSecret(), tokens.NewSecret()
			text := strings.NewReplacer("MACHINE_HASH", clients.HashSecret(machine).String(), "API_HASH", clients.HashSecret(api).String()).Replace(starter)
			if err := writeNew(c, output, text); err != nil {
				return err
			}
			if output != "" {
				fmt.Fprintf(c.ErrOrStderr(), "%s can be read by all, since it holds hashes alone: let password_file and the like name files for secrets, or change its mode.\n", output)
			}
			_, err := fmt.Fprintf(c.ErrOrStderr(), "The secrets, shown this once:\n  billing-job  %s\n  orders-api   %s\n", machine, api)
			return err
		}}
	c.Flags().StringVar(&output, "output", "", "a file that does not exist yet (default: stdout)")
	return c
}

// writeNew writes to a file that must not exist, or to stdout.
func writeNew(c *cobra.Command, name, text string) error {
	if name == "" {
		_, err := fmt.Fprint(c.OutOrStdout(), text)
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) // #nosec G302 -- it holds hashes, and the server is another user than who writes it
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s exists and is left as it is; name another file", name)}
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

const starter = `# Grantor, to start from. The source tree's config.toml explains every key; "grantor config check" tells every mistake.

issuer = "https://auth.example.com"  # how clients reach this server: no slash at the end
listen = ":8443"
store = "redis"

[tls]
mode = "files"                       # or "proxy", when TLS ends in front of us
cert_file = "/etc/grantor/tls/tls.crt"
key_file = "/etc/grantor/tls/tls.key"

[redis]
url = "redis://127.0.0.1:6379"       # appendonly yes, maxmemory-policy noeviction
# password_file = "/run/secrets/redis"

[scopes]
"orders:read"  = { description = "Read orders", resource = "https://orders.example.com" }
"orders:write" = { description = "Create and change orders", resource = "https://orders.example.com", implies = ["orders:read"] }

[[clients]]                          # a machine
client_id = "billing-job"
grant_types = ["client_credentials"]
scope = "orders:read orders:write"
default_scope = "orders:read"
secrets = [{ hash = "MACHINE_HASH" }]

[[clients]]                          # an API that asks whether tokens are good
client_id = "orders-api"
resource = "https://orders.example.com"
introspect = "audience"
secrets = [{ hash = "API_HASH" }]
`
