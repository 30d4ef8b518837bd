package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/grantor-auth/grantor/test/bench/contest"
	"github.com/grantor-auth/grantor/test/bench/report"
	"github.com/grantor-auth/grantor/test/bench/stack"
)

// bench is one call of the benchmark.
type bench struct {
	options
	env    *contest.Env
	run    report.Run
	filler string // see fillGrantor
}

// newBench prepares the contestants; those that cannot take part are left out, and it is said why.
func newBench(ctx context.Context, o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "grantor-bench")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs(o.root)
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, env: &contest.Env{Root: root, Dir: dir, Self: self, Bin: o.binary, Profile: o.profile, Say: say}}
	var able []*contest.Contestant
	for _, c := range o.contestants {
		err := c.Prepare(ctx, b.env)
		switch {
		case errors.Is(err, contest.ErrSkip):
			say("%s is %s", c.Name, err)
			b.run.LeftOut = append(b.run.LeftOut, report.Named{Name: c.Name, Title: strings.TrimPrefix(err.Error(), "left out: ")})
		case err != nil:
			b.close()
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		default:
			able = append(able, c)
		}
	}
	b.contestants = able
	b.describe(ctx)
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.env.Dir) }

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// describe writes down what is measured and with what.
func (b *bench) describe(ctx context.Context) {
	r := &b.run
	r.Machine, r.Rounds, r.Seconds, r.Connections = b.machine, b.options.rounds, b.duration.Seconds(), b.connections
	r.Generator = "wrk, one thread"
	if !b.wrk {
		r.Generator = "goroutines of the benchmark"
	}
	r.Ceiling, r.Product = contest.Ceiling, contest.Product
	for _, c := range b.contestants {
		r.Contestants = append(r.Contestants, report.Named{Name: c.Name, Title: c.Title, Against: c.Against, Before: c.Before})
	}
	for _, c := range b.cases {
		named := report.Named{Name: c.name, Title: c.title}
		if contest.IsBound(c.name) {
			named.Against = strings.TrimSuffix(c.name, contest.Bound)
		}
		r.Cases = append(r.Cases, named)
	}
	postgres, _ := stack.PostgresProgram("postgres")
	r.Versions = map[string]string{"go": runtime.Version()}
	for name, call := range map[string][]string{"redis": {"redis-server", "--version"}, "wrk": {"wrk", "--version"}, "node": {"node", "--version"},
		"postgres": {postgres, "--version"}, "hydra": contest.HydraVersion(b.env),
		"grantor": {"git", "-C", b.env.Root, "rev-parse", "--short", "HEAD"}} {
		out, _ := exec.CommandContext(ctx, call[0], call[1:]...).Output() // wrk says it with status 1
		if line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); line != "" {
			r.Versions[name] = line
		}
	}
}

// write prints the table and leaves table, raw figures and charts behind.
func (b *bench) write() error {
	if b.out == "" {
		fmt.Print(b.run.Markdown())
		return nil
	}
	raw, err := json.MarshalIndent(b.run, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(b.out, 0o755), keep(b.out, "raw.json", string(raw)+"\n"), present(b.out, &b.run))
}

// redraw makes table and charts of what was measured before.
func redraw(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "raw.json"))
	if err != nil {
		return err
	}
	var run report.Run
	if err := json.Unmarshal(raw, &run); err != nil {
		return err
	}
	return present(dir, &run)
}

func present(dir string, run *report.Run) error {
	table := run.Markdown()
	fmt.Print(table)
	errs := []error{keep(dir, "table.md", table)}
	for _, c := range run.Connections {
		if len(run.Where(run.Ceiling, "issue", c))+len(run.Where(run.Ceiling, "introspect", c)) > 0 {
			errs = append(errs, keep(dir, fmt.Sprintf("chart-%d.svg", c), run.Chart(c)))
		}
	}
	return errors.Join(errs...)
}

func keep(dir, name, text string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) //nolint:gosec // results are for everybody
}
