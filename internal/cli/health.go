package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
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
			where := "/healthz"
			if ready {
				where = "/readyz"
			}
			cfg, err := p.loadPart(config.Options{Path: path, Listen: listen}, needs...)
			var at []netip.AddrPort
			if listen == "" && (err != nil || !cfg.Whole()) {
				at = listeners()
			}
			switch {
			case len(at) > 0:
				p.warnUnread(err)
				err = askAll(c.Context(), at, where)
			case err == nil:
				err = ask(c.Context(), cfg, where)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "ok")
			return err
		}}
	c.Flags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().StringVar(&listen, "listen", "", "where it listens, if not where the configuration says")
	c.Flags().BoolVar(&ready, "ready", false, "ask whether it can answer, store included")
	return c
}

// warnUnread says whom the command asks when the file does not tell where the server listens. A
// running server goes on with the configuration that it has.
func (p Program) warnUnread(err error) {
	if err != nil { // else loadPart said that the file is broken
		first, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(p.Stderr, "grantor: warning: the configuration is broken, so the running server is asked where its process listens; \"grantor config check\" tells all. First: %s\n", first)
	}
}

// statusError is an answer that is not 200.
type statusError struct {
	path string
	code int
}

func (e statusError) Error() string {
	return fmt.Sprintf("%s answers %d %s", e.path, e.code, http.StatusText(e.code))
}

func ask(ctx context.Context, cfg *config.Config, path string) error {
	status, err := probe(ctx, cfg, cfg.Listen, path)
	return well(path, status, err)
}

func well(path string, status int, err error) error {
	if err == nil && status != http.StatusOK {
		return statusError{path, status}
	}
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
	return get(ctx, scheme+net.JoinHostPort(host, port)+path)
}

// get returns the status of an answer.
func get(ctx context.Context, url string) (int, error) {
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		// The certificate names the issuer, not this address, and nothing secret is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- see above
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
