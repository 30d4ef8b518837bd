package contest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/grantor-auth/grantor/test/bench/rivals"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// hydra is Ory Hydra by the go command from the module that bench/rivals/hydra pins (--rivals).
type hydra struct{ bin string }

const hydraPackage = "github.com/ory/hydra/v2"

// hydras differ by how client secrets are hashed, which each issue and each revocation pays for: by
// Hydra's default, PBKDF2 with 25,000 iterations, and by the least that it takes.
func hydras() []*Contestant {
	var h hydra
	return []*Contestant{
		h.contestant("hydra", "Ory Hydra + PostgreSQL, default hasher"),
		h.contestant("hydra-cheap", "Ory Hydra + PostgreSQL, cheapest hasher", "OAUTH2_HASHERS_ALGORITHM=pbkdf2", "OAUTH2_HASHERS_PBKDF2_ITERATIONS=1"),
	}
}

// contestant has no password grant, so there is nothing to refresh; and it introspects at its admin
// address, where nobody is authenticated, so that wrk, which asks one address, cannot mix.
func (h *hydra) contestant(name, title string, env ...string) *Contestant {
	return &Contestant{Name: name, Title: title, SQL: true, Admin: true, Cannot: []string{"refresh", "mixed"},
		paths:   paths{"/oauth2/token", "/admin/oauth2/introspect", "/oauth2/revoke"},
		Prepare: h.build,
		furnish: func(ctx context.Context, p place) error { return h.furnish(ctx, p, env) },
		start:   func(_ *Env, p place) (*stack.Process, error) { return h.serve(p, env) }}
}

func (h *hydra) build(ctx context.Context, e *Env) error {
	if h.bin != "" {
		return nil
	}
	if _, err := stack.PostgresProgram("initdb"); err != nil {
		return fmt.Errorf("%w: PostgreSQL is not installed", ErrSkip)
	}
	e.Say("building Ory Hydra: minutes at the first time")
	bin, err := e.buildIn(ctx, filepath.Join(e.Root, "test", "bench", "rivals", "hydra"), "hydra", hydraPackage)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSkip, err)
	}
	h.bin = bin
	return nil
}

// HydraVersion is the command that says which version is built; Hydra itself knows only if it is
// told at link time.
func HydraVersion(e *Env) []string {
	return []string{"go", "list", "-C", filepath.Join(e.Root, "test", "bench", "rivals", "hydra"), "-m", hydraPackage}
}

// furnish makes the tables, and the clients by a server that serves nothing else, so that the
// measured one starts with both.
func (h *hydra) furnish(ctx context.Context, p place, env []string) error {
	c := exec.CommandContext(ctx, h.bin, "migrate", "sql", "up", "--read-from-env", "--yes")
	c.Dir, c.Env = p.dir, append(os.Environ(), h.env(p, env)...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("hydra migrate sql: %w: %s", err, lastLine(out))
	}
	s, err := h.serve(p, env)
	if err != nil {
		return err
	}
	defer s.Stop()
	err = s.Await(ctx, 20*time.Second, func() error { return hydraClient(ctx, p.admin, rivals.MachineID, rivals.MachineSecret) })
	if err != nil {
		return err
	}
	return hydraClient(ctx, p.admin, rivals.APIID, rivals.APISecret)
}

// serve runs it over plain HTTP, which takes --dev.
func (h *hydra) serve(p place, env []string) (*stack.Process, error) {
	return stack.Start(p.dir, filepath.Join(p.dir, "log"), h.env(p, env), h.bin, "serve", "all", "--dev")
}

// env configures it: connections as its own quickstart for PostgreSQL has them, nothing reported to
// its makers.
func (h *hydra) env(p place, more []string) []string {
	host, public, _ := net.SplitHostPort(p.listen)
	_, admin, _ := net.SplitHostPort(p.admin)
	return append([]string{
		"DSN=" + p.sql + "&max_conns=20&max_idle_conns=4",
		"SERVE_PUBLIC_HOST=" + host, "SERVE_PUBLIC_PORT=" + public,
		"SERVE_ADMIN_HOST=" + host, "SERVE_ADMIN_PORT=" + admin,
		"URLS_SELF_ISSUER=http://" + p.listen,
		"SECRETS_SYSTEM=benchmark-secret-of-no-value",
		"STRATEGIES_ACCESS_TOKEN=opaque", "TTL_ACCESS_TOKEN=15m",
		"LOG_LEVEL=error", "SQA_OPT_OUT=true",
	}, more...)
}

func hydraClient(ctx context.Context, admin, id, secret string) error {
	body, err := json.Marshal(map[string]any{"client_id": id, "client_secret": secret, "grant_types": []string{"client_credentials"},
		"scope": rivals.Scope, "token_endpoint_auth_method": "client_secret_basic"})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+admin+"/admin/clients", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("hydra's admin API: %s: %s", answer.Status, text)
	}
	return nil
}
