package cli

import (
	"context"
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
	status, err := probe(c.Context(), cfg, cfg.Listen, path)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answers %d %s", path, status, http.StatusText(status))
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), "ok")
	return err
}

// probe asks a listener of this machine, and returns the status of its answer.
func probe(ctx context.Context, cfg *config.Config, listen, path string) (int, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return 0, err
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
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
