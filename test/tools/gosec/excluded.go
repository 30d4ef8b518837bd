package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/securego/gosec/v2/issue"
)

// exclusion lets rules go for files, with the reason. What concerns one line alone says it
// there, in a comment of its own: #nosec G000 -- reason.
type exclusion struct {
	under, reason string // under: how the files' path begins; "": all
	rules         []string
}

func exclusions() []exclusion {
	return []exclusion{
		{"", "files are named by the operator, in flags and config.toml; no request names one", []string{"G304"}},
		{"test/bench/", "measures on a developer's machine, with secrets of no value",
			[]string{"G101", "G114", "G204", "G301", "G306", "G404", "G702", "G703"}},
		{"test/reference/", "what the reference says of names with token, key and secret in them", []string{"G101"}},
		{"claims/reserved.go", "names of claims and who gives them a meaning", []string{"G101"}},
		{"internal/cli/api_key.go", "a help text", []string{"G101"}},
		{"internal/cli/examples.go", "help texts, with secrets of no value", []string{"G101"}},
		{"examples/machine/go/", "the URL of an API, which its caller names in the call", []string{"G704"}},
		{"internal/cli/testdata/hydra/", "writes a dump for tests, with secrets of no value", []string{"G101"}},
		{"test/release/assets/", "writes what a release packs, where its caller says", []string{"G703"}},
		{"test/faults/table/", "writes a page of the documentation, from the file that its caller names", []string{"G703"}},
		{"internal/redisdb/redistest/", "starts redis-server for tests", []string{"G204"}},
		{"internal/postgrestest/", "starts PostgreSQL for tests, as a user whose ids are no negative numbers", []string{"G115", "G204"}},
		{"internal/processtest/", "builds and starts programs of this module for tests", []string{"G204"}},
		{"internal/redisdb/script.go", "Redis names scripts by SHA-1", []string{"G401", "G505"}},
		{"server/steps.go", "names a request in the log: no secret", []string{"G404"}},
		{"examples/mcp-server/", "an agent that reads the file its user names", []string{"G703"}},
		{"server/token_exchange.go", "names of kinds of tokens", []string{"G101"}},
		{"server/paths.go", "paths that have token in their names", []string{"G101"}},
		{"tokens/record.go", "the reader bounds each number", []string{"G115"}},
		{"tokens/record_reader.go", "it bounds each number", []string{"G115"}},
		{"tokens/session_record.go", "parsing bounds each number", []string{"G115"}},
		{"tokens/storetest/", "counts to a few dozen, in tests", []string{"G115"}},
		{"tokens/text.go", "a CRC takes the low byte", []string{"G115"}},
	}
}

// unexcused returns the findings that no exclusion covers.
func unexcused(found []*issue.Issue) ([]*issue.Issue, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	list := exclusions()
	return slices.DeleteFunc(found, func(i *issue.Issue) bool {
		file, err := filepath.Rel(here, i.File)
		return err == nil && slices.ContainsFunc(list, func(e exclusion) bool {
			return strings.HasPrefix(filepath.ToSlash(file), e.under) && slices.Contains(e.rules, i.RuleID)
		})
	}), nil
}
