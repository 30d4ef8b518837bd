package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/test/bench/contest"
	"github.com/grantor-auth/grantor/test/bench/load"
)

// options is what the command line says.
type options struct {
	rounds      int
	cases       []caseOf
	connections []int
	duration    time.Duration
	warmup      time.Duration
	contestants []*contest.Contestant
	out         string
	root        string
	binary      string
	machine     string
	grow        int
	wrk         bool
	profile     string
	draw        bool
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 3, "rounds, in each of which every contestant has its turn")
	f.DurationVar(&o.duration, "duration", 5*time.Second, "of one measurement, in whole seconds")
	f.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "before each measurement; every answer of it is verified")
	cases := f.String("cases", "", "comma-separated: "+strings.Join(caseNames(), ", ")+" (default: all)")
	connections := f.String("connections", "1,16,64,256", "comma-separated numbers of connections")
	names := f.String("contestants", "", "comma-separated: "+strings.Join(contestantNames(), ", ")+" (default: all but --rivals)")
	others := f.Bool("rivals", false, "also those that are installed from package registries: "+strings.Join(installed, ", "))
	secured := f.Bool("tls", false, "also those behind TLS: "+strings.Join(behindTLS, ", "))
	gates := f.Bool("gate", false, "also those that check tokens for an API, which play check alone: gate, nginx-gate, …")
	apis := f.Bool("routes", false, "also APIs of one route, open and protected, which play route alone: route-open, route-live, …")
	bound := f.Bool("bound", false, "also the cases of tokens that are bound to a key: issue-bound, introspect-bound, refresh-bound")
	before := f.String("before", "", "a revision of the history: Grantor of then takes part, with --tls behind TLS too")
	f.StringVar(&o.out, "out", "results", "directory for table.md, raw.json and chart.svg; \"\": the table is only printed")
	f.StringVar(&o.root, "root", "", "the repository that Grantor is built from (default: the one above)")
	f.StringVar(&o.binary, "grantor", "", "a grantor binary, instead of building one")
	f.StringVar(&o.machine, "machine", fmt.Sprintf("%d cores, client included", runtime.NumCPU()), "said of the machine in the results")
	f.IntVar(&o.grow, "grow", 0, "also measure introspect and issue at 1,000, 100,000, 1,000,000 … up to so many live tokens")
	versus := f.String("versus", "", "another grantor binary to compare with, and variables for it: \"GOGC=400 /tmp/grantor\"")
	f.StringVar(&o.profile, "profile", "", "directory for CPU and allocation profiles of Grantor, which are part of what is measured then")
	f.BoolVar(&o.draw, "draw", false, "measure nothing: table and charts anew from raw.json in --out")
	f.BoolVar(&o.wrk, "wrk", load.HasWrk(), "load by wrk; else by goroutines of this program")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.contestants = slices.DeleteFunc(contest.All(), func(c *contest.Contestant) bool {
		return *names == "" && (slices.Contains(installed, c.Name) && !*others || c.TLS && !*secured ||
			c.Plays() == contest.CaseCheck && !*gates || c.Plays() == contest.CaseRoute && !*apis)
	})
	var err1, err2, err3 error
	o.contestants, err1 = pick(o.contestants, *names, func(c *contest.Contestant) string { return c.Name })
	if *versus != "" {
		o.contestants = append(o.contestants, contest.Versus(*versus))
	}
	if *before != "" {
		o.contestants = append(o.contestants, slices.DeleteFunc(contest.Earlier(*before), func(c *contest.Contestant) bool { return c.TLS && !*secured })...)
	}
	o.cases, err2 = pick(allCases(), *cases, func(c caseOf) string { return c.name })
	if *cases == "" {
		o.cases = slices.DeleteFunc(o.cases, func(c caseOf) bool { // the ceiling alone would play it, or nobody
			return c.name == contest.CaseCheck && !*gates || c.name == contest.CaseRoute && !*apis || contest.IsBound(c.name) && !*bound
		})
	}
	o.connections, err3 = numbers(*connections)
	return o, errors.Join(err1, err2, err3, o.check(f.NArg()))
}

// installed are the contestants from package registries.
var installed = []string{"oidc-provider", "hydra", "hydra-cheap"}

// behindTLS are the contestants that serve HTTPS.
var behindTLS = []string{contest.CeilingTLS, contest.ProductTLS}

func (o *options) check(rest int) error {
	switch {
	case rest > 0:
		return errors.New("it takes flags alone")
	case o.rounds < 0 || o.duration < time.Second:
		return errors.New("--rounds must not be negative, --duration a second at least")
	case o.duration > longestBound && slices.ContainsFunc(o.cases, func(c caseOf) bool { return contest.IsBound(c.name) }):
		return fmt.Errorf("--duration is at most %s with cases of bound tokens: their proofs are made before", longestBound)
	}
	if o.root == "" {
		o.root = "../.."
	}
	_, err := os.Stat(o.root + "/config.toml")
	if err != nil {
		return fmt.Errorf("--root: no repository of Grantor at %s; run it by go run -C test/bench . from the repository", o.root)
	}
	if o.profile == "" {
		return nil
	}
	if o.profile, err = filepath.Abs(o.profile); err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	return os.MkdirAll(o.profile, 0o755) // #nosec G301 -- results are for everybody
}

// pick returns those of all that a comma-separated list names, in the order of all; an empty list
// names all.
func pick[T any](all []T, list string, name func(T) string) (picked []T, err error) {
	if list == "" {
		return all, nil
	}
	wanted := strings.Split(list, ",")
	for _, one := range all {
		if i := slices.Index(wanted, name(one)); i >= 0 {
			picked, wanted = append(picked, one), slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("there is no %q", strings.Join(wanted, ","))
	}
	return picked, nil
}

func numbers(list string) (found []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 256 {
			return nil, fmt.Errorf("--connections: %q is not a number from 1 to 256", text)
		}
		found = append(found, n)
	}
	return found, nil
}

func caseNames() (names []string) {
	for _, c := range allCases() {
		names = append(names, c.name)
	}
	return names
}

func contestantNames() (names []string) {
	for _, c := range contest.All() {
		names = append(names, c.Name)
	}
	return names
}
