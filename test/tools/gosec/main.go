// Command gosec runs gosec's rules over packages: `bin/gosec ./...`, in the module's root. It is
// gosec's own command without its links to the services that would write patches, which take
// minutes to build.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/issue"
	"github.com/securego/gosec/v2/rules"
)

func main() {
	tags := flag.String("tags", "", "build tags, with commas")
	flag.Parse()
	found, err := scan(strings.Split(*tags, ","), flag.Args())
	if err == nil {
		found, err = unexcused(found)
	}
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range found {
		fmt.Printf("%s:%s: %s (%s, severity %s, confidence %s)\n", i.FileLocation(), i.Col, i.What, i.RuleID, i.Severity, i.Confidence)
	}
	if len(found) > 0 {
		fmt.Printf("gosec: %d findings; mend them, or say why not: // #nosec G000 -- reason, or test/tools/gosec/excluded.go\n", len(found))
		os.Exit(1)
	}
}

// scan returns what the rules find in the packages of the patterns, in the order of the files.
func scan(tags, patterns []string) ([]*issue.Issue, error) {
	a := gosec.NewAnalyzer(config(), false, false, false, runtime.GOMAXPROCS(0), log.New(io.Discard, "", 0))
	a.LoadRules(rules.Generate(false).RulesInfo())
	a.LoadAnalyzers(analyzers.Generate(false).AnalyzersInfo())
	dirs, err := packages(patterns)
	if err != nil {
		return nil, err
	}
	if err := a.Process(tags, dirs...); err != nil {
		return nil, err
	}
	found, m, broken := a.Report()
	if len(broken) > 0 {
		return nil, fmt.Errorf("gosec cannot read all: %v", broken)
	}
	fmt.Printf("gosec: %d files, %d lines, %d times #nosec, %d exclusions\n", m.NumFiles, m.NumLines, m.NumNosec, len(exclusions()))
	slices.SortFunc(found, func(x, y *issue.Issue) int { return cmp.Compare(x.FileLocation(), y.FileLocation()) })
	return found, nil
}

// config asks every #nosec for a rule and a reason.
func config() gosec.Config {
	c := gosec.NewConfig()
	c.SetGlobal(gosec.NoSecRequireRules, "true")
	c.SetGlobal(gosec.NoSecRequireJustification, "true")
	return c
}

// packages lists the directories of the patterns' packages, without the tools' own module.
func packages(patterns []string) (dirs []string, err error) {
	for _, p := range patterns {
		more, err := gosec.PackagePaths(p, gosec.ExcludedDirsRegExp([]string{"tools", "node_modules"}))
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, more...)
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("no packages in %q", patterns)
	}
	return dirs, nil
}
