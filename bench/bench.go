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

	"github.com/grantor-auth/grantor/bench/contest"
	"github.com/grantor-auth/grantor/bench/report"
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
	b := &bench{options: o, env: &contest.Env{Root: root, Dir: dir, Self: self, Bin: o.binary, Profile: o.profile}}
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
		r.Contestants = append(r.Contestants, report.Named{Name: c.Name, Title: c.Title})
	}
	for _, c := range b.cases {
		r.Cases = append(r.Cases, report.Named{Name: c.name, Title: c.title})
	}
	r.Versions = map[string]string{"go": runtime.Version()}
	for name, call := range map[string][]string{"redis": {"redis-server", "--version"}, "wrk": {"wrk", "--version"}, "node": {"node", "--version"},
		"grantor": {"git", "-C", b.env.Root, "rev-parse", "--short", "HEAD"}} {
		out, _ := exec.CommandContext(ctx, call[0], call[1:]...).Output() // wrk says it with status 1
		if line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); line != "" {
			r.Versions[name] = line
		}
	}
}

// write prints the table and leaves table, raw figures and charts behind.
func (b *bench) write() error {
	table := b.run.Markdown()
	fmt.Print(table)
	if b.out == "" {
		return nil
	}
	raw, err := json.MarshalIndent(b.run, "", " ")
	if err != nil {
		return err
	}
	errs := []error{os.MkdirAll(b.out, 0o755)}
	keep := func(name, text string) {
		errs = append(errs, os.WriteFile(filepath.Join(b.out, name), []byte(text), 0o644)) //nolint:gosec // results are for everybody
	}
	keep("table.md", table)
	keep("raw.json", string(raw)+"\n")
	for _, c := range b.connections {
		if len(b.run.Where(contest.Ceiling, "issue", c))+len(b.run.Where(contest.Ceiling, "introspect", c)) > 0 {
			keep(fmt.Sprintf("chart-%d.svg", c), b.run.Chart(c))
		}
	}
	return errors.Join(errs...)
}
