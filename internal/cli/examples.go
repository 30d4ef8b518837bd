package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// Commands returns the tree of all commands, as --help shows it. docs/reference/cli.md is written
// from it.
func Commands() *cobra.Command {
	root := Program{}.root()
	strictCompletion(root)
	return root
}

// exemplify gives each command its example, where the command does not have one itself.
func exemplify(root *cobra.Command) {
	for path, text := range examples() {
		if c, _, err := root.Find(strings.Fields(path)); err == nil && c.Example == "" {
			c.Example = "  " + strings.ReplaceAll(text, "\n", "\n  ")
		}
	}
}

// examples are by the path of the command.
func examples() map[string]string {
	return map[string]string{
		"serve":                 "grantor serve --config /etc/grantor/config.toml\ngrantor serve --trial --listen 0.0.0.0:8080",
		"config check":          "grantor config check --config /etc/grantor/config.toml",
		"config show":           "grantor config show --config /etc/grantor/config.toml",
		"config init":           "grantor config init --output config.toml",
		"secret new":            "grantor secret new",
		"hash-secret":           "grantor hash-secret --secret-stdin < secret.txt\ngrantor hash-secret --weak",
		"hash-password":         "grantor hash-password",
		"reload":                "grantor reload",
		"health":                "grantor health --ready",
		"doctor":                "grantor doctor --config /etc/grantor/config.toml\ngrantor doctor --json --ca-file /etc/grantor/tls/ca.crt",
		"status":                "grantor status --config /etc/grantor/config.toml",
		"version":               "grantor version",
		"client create":         "grantor client create --name billing --grant-type client_credentials --scope orders:read --default-scope orders:read\ngrantor client create --name \"Orders API\" --resource https://orders.example.com --introspect audience",
		"client list":           "grantor client list",
		"client show":           "grantor client show billing",
		"client update":         "grantor client update billing --scope \"orders:read orders:write\"",
		"client disable":        "grantor client disable billing",
		"client enable":         "grantor client enable billing",
		"client unlock":         "grantor client unlock billing",
		"token explain":         "grantor token explain < token.txt\ngrantor token explain --caller orders-api < token.txt",
		"client delete":         "grantor client delete billing",
		"client rotate-secret":  "grantor client rotate-secret billing --overlap 24h",
		"client secrets":        "grantor client secrets billing",
		"client revoke-secret":  "grantor client revoke-secret billing 3f9c2b71",
		"client revoke-tokens":  "grantor client revoke-tokens billing",
		"client apply":          "grantor client apply --file clients.json",
		"client export":         "grantor client export > clients.json",
		"key create":            "grantor key create partner-shop --name \"Order sync\" --scope orders:read --expires 180d\ngrantor key create cron-export --name export --scope orders:read --expires 90d --allowed-network 203.0.113.0/24",
		"key list":              "grantor key list partner-shop",
		"key show":              "grantor key show partner-shop 2bZ8kQ0xqk7rW1vYp3nT5u",
		"key revoke":            "grantor key revoke partner-shop 2bZ8kQ0xqk7rW1vYp3nT5u\ngrantor key revoke partner-shop --all",
		"user add":              "grantor user add ada --scope orders:read",
		"user update":           "grantor user update ada --scope \"orders:read orders:write\"\ngrantor user update ada --username ada.lovelace",
		"user list":             "grantor user list",
		"user show":             "grantor user show ada",
		"user unlock":           "grantor user unlock ada\ngrantor user unlock --address 203.0.113.7",
		"user hash":             "grantor user hash ada",
		"user set-password":     "grantor user set-password ada",
		"user disable":          "grantor user disable ada",
		"user enable":           "grantor user enable ada",
		"user delete":           "grantor user delete ada",
		"user sessions":         "grantor user sessions ada\ngrantor user sessions --sub u-1 --json",
		"user logout":           "grantor user logout ada --all",
		"token issue":           "grantor token issue --issuer https://auth.example.com --scope orders:read",
		"token introspect":      "grantor token introspect --issuer https://auth.example.com < token.txt",
		"token revoke":          "grantor token revoke --issuer https://auth.example.com < token.txt\ngrantor token revoke --as-operator < token.txt",
		"keys list":             "grantor keys list",
		"keys rotate":           "grantor keys rotate\ngrantor keys rotate --compromised",
		"feed enable":           "grantor feed enable",
		"console":               "grantor console --config /etc/grantor/config.toml",
		"completion bash":       "grantor completion bash > /etc/bash_completion.d/grantor",
		"completion zsh":        "grantor completion zsh > \"${fpath[1]}/_grantor\"",
		"completion fish":       "grantor completion fish > ~/.config/fish/completions/grantor.fish",
		"completion powershell": "grantor completion powershell > grantor.ps1",

		"import django-oauth-toolkit":   "grantor import django-oauth-toolkit apps.json --scope \"orders:read orders:write\" --default-scope orders:read\ngrantor import django-oauth-toolkit apps.json --scope \"orders:read orders:write\" --default-scope orders:read --apply",
		"import hydra":                  "grantor import hydra hydra_client.json --leave-out-scope photos",
		"import keycloak":               "grantor import keycloak realm.json --apply",
		"import rest-framework-api-key": "grantor import rest-framework-api-key keys.json --scope orders:read --apply",
	}
}
