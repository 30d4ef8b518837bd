// Command table writes docs/evidence/faults.md from the figures of the fault suite.
//
//	GRANTOR_TEST_FIGURES=$PWD/bin/figures go test ./test/faults
//	go run ./test/faults/table bin/figures > docs/evidence/faults.md
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const head = `# Faults

What became of Grantor while everything behind it broke, and the number that passes. Written by ` + "`go run ./test/faults/table`" + ` from the
figures of runs of the tests (` + "`GRANTOR_TEST_FIGURES=… go test ./test/faults`" + `); do not edit. ` + "`GRANTOR_TEST_FAULTS=long`" + ` repeats each fault
more often. Figures are of the machine that ran them, which others kept busy meanwhile.

In the ledger, "wrong" is an answer about another token, or none of the two that introspection has. "Lost" is what was answered 200 and
undone later: a revoked token that is active again, a session whose latest refresh token is refused, an issued token that
nobody revoked and that is inactive.

Live verifiers (docs/explain/live.md) check tokens in memory while tokens end in every way. A check passed too late when it began later than the
lease, one second, after the end was answered 200, and the token passed.

| row | figure | number that passes |
|---|---|---|
`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: table FIGURES")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = write(os.Stdout, string(text))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

// write sorts the lines by row, and keeps the order of a run within each.
func write(w io.Writer, text string) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		if strings.Count(line, " | ") != 2 {
			return fmt.Errorf("line %d is not \"row | figure | number that passes\": %q", i+1, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(row(a), row(b)) })
	_, err := fmt.Fprint(w, head)
	for _, line := range lines {
		if err == nil {
			_, err = fmt.Fprintf(w, "| %s |\n", line)
		}
	}
	return err
}

func row(line string) string { id, _, _ := strings.Cut(line, " | "); return id }
