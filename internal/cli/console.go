package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/console"
	"github.com/grantor-auth/grantor/internal/parts"
)

// consoleCommand prints a link that logs an operator's browser in to the console.
func (p Program) consoleCommand() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{Use: "console", Short: "Print a link that logs a browser in to the console, once, within a minute", Args: noArguments,
		Long: "Print a link to the console of the admin listener. The link logs one browser in, once, within a minute, on any\n" +
			"node of the deployment. What is done there is in the audit trail as done by \"console\" and the user who ran\n" +
			"this command. The link is a secret until it was used: do not send it to anybody.",
		RunE: func(c *cobra.Command, _ []string) error { return p.consoleLink(c, path, asJSON) }}
	c.Flags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return c
}

func (p Program) consoleLink(c *cobra.Command, path string, asJSON bool) error {
	cfg, err := p.loadPart(config.Options{Path: path}, "store", "redis", "admin", "tls")
	if err != nil {
		return err
	}
	switch {
	case cfg.Store == config.StoreMemory:
		return usageError{errors.New(`with store = "memory" there is no admin listener, and so no console; use store = "redis"`)}
	case !cfg.Admin.Console.Enabled:
		return usageError{errors.New("the console is not enabled: set [admin.console] enabled = true, and restart the server")}
	}
	db, err := parts.Redis(cfg.Redis, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer db.Close()
	code, err := console.NewStore(db).NewLink(c.Context(), cmp.Or(systemUser(), "command line"))
	if err != nil {
		return err
	}
	link := consoleURL(cfg) + "/console/login#" + code
	fmt.Fprintln(p.Stderr, "Open this link within a minute. It works once.")
	shown := struct {
		URL     string `json:"url"`
		Expires string `json:"expires_in"`
	}{link, console.LinkTTL.Round(time.Second).String()}
	return answer(c, asJSON, shown, link+"\n")
}

// consoleURL is how a browser reaches the admin listener: [admin] url, else its address.
func consoleURL(cfg *config.Config) string {
	if cfg.Admin.URL != "" {
		return strings.TrimSuffix(cfg.Admin.URL, "/")
	}
	scheme := "http"
	if cfg.TLS.Mode == "files" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(cfg.Admin.Listen)
	if host == "" {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
