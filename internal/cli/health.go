package cli

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/config"
)

// healthCommand asks this machine's server for a sign of life, for images without a shell.
func (p Program) healthCommand() *cobra.Command {
	var path, listen string
	var ready bool
	c := &cobra.Command{Use: "health", Short: "Ask the server of this configuration whether it serves; exit 0 or 1", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			needs := []string{"tls.mode"}
			if listen == "" {
				needs = append(needs, "listen")
			}
			cfg, err := p.loadPart(config.Options{Path: path, Listen: listen}, needs...)
			if err != nil {
				return err
			}
			where := "/healthz"
			if ready {
				where = "/readyz"
			}
			return ask(c, cfg, where)
		}}
	c.Flags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().StringVar(&listen, "listen", "", "where it listens, if not where the configuration says")
	c.Flags().BoolVar(&ready, "ready", false, "ask whether it can answer, store included")
	return c
}

func ask(c *cobra.Command, cfg *config.Config, path string) error {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return err
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if cfg.TLS.Mode == "files" {
		scheme = "https://"
	}
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		// The certificate names the issuer, not this address, and nothing secret is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- see above
	}}
	req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, scheme+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, res.Status)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), "ok")
	return err
}
