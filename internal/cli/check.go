package cli

import (
	"fmt"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
)

// load reads the configuration that flag, variable or folder name, and refuses what no server could
// be made of.
func (p Program) load(o config.Options) (*config.Config, []string, error) {
	cfg, warnings, problems := config.Read(p.options(o))
	if problems = append(problems, parts.Check(cfg)...); len(problems) > 0 {
		return nil, nil, problems
	}
	return cfg, warnings, nil
}

// loadToStart is load for a start, and for the check before one.
func (p Program) loadToStart(o config.Options) (*config.Config, []string, error) {
	cfg, warnings, err := p.load(o)
	if err != nil {
		return nil, nil, err
	}
	if wrong := parts.CheckExpiry(cfg.TLS); wrong != nil {
		return nil, nil, config.Errors{cfg.Mistake(wrong.Error(), "tls.cert_file")}
	}
	return cfg, warnings, nil
}

// loadPart reads what a command needs: the keys and tables named. It says on standard error when
// another part is broken, and goes on.
func (p Program) loadPart(o config.Options, needs ...string) (*config.Config, error) {
	cfg, _, problems := config.Read(p.options(o))
	if wrong := cfg.Problems(needs...); len(wrong) > 0 {
		return nil, wrong
	}
	if len(problems) > 0 {
		fmt.Fprintf(p.Stderr, "grantor: warning: the configuration is broken, but not where this command needs it; \"grantor config check\" tells all. First: %s\n", problems[0])
	}
	return cfg, nil
}

func (p Program) options(o config.Options) config.Options {
	o.Path, o.Environ = p.configPath(o.Path), p.Environ
	if o.Trial {
		o.BuiltIn = p.Shipped
	}
	return o
}
