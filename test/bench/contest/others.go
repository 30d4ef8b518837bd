package contest

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/grantor-auth/grantor/test/bench/rivals"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// oidcProvider is node's oidc-provider with its usual Redis adapter, installed by npm (--rivals).
// It has no password grant, so there is nothing to refresh.
func oidcProvider() *Contestant {
	var home string
	return &Contestant{Name: "oidc-provider", Title: "node oidc-provider + Redis", Redis: true, Cannot: []string{"refresh"},
		paths: paths{"/token", "/token/introspection", "/token/revocation"},
		Prepare: func(ctx context.Context, e *Env) error {
			home = filepath.Join(e.Dir, "node")
			return npmInstall(ctx, home)
		},
		start: func(_ *Env, p place) (*stack.Process, error) {
			_, port, _ := net.SplitHostPort(p.listen)
			return stack.Start(home, filepath.Join(p.dir, "log"), []string{"NODE_ENV=production", "PORT=" + port, "REDIS_URL=redis://" + p.redis},
				"node", "server.js")
		}}
}

func npmInstall(ctx context.Context, to string) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("%w: npm is not installed", ErrSkip)
	}
	files, err := fs.Sub(rivals.Node, "node")
	if err != nil {
		return err
	}
	if err := os.CopyFS(to, files); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "npm", "install", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts")
	c.Dir = to
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: npm install: %s", ErrSkip, lastLine(out))
	}
	return nil
}
