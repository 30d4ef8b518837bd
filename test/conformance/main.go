// Command conformance writes the table that says which row of which rule is proved by which test.
// It reads a run of the tests (go test -json), so the table cannot claim what did not pass.
//
//	go test -json ./... > run.json
//	go run ./test/conformance -from run.json > docs/evidence/conformance.md
//	go run ./test/conformance -print run.json      # the run as go test would have printed it
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

//go:embed rows.tsv
var rowsText string

// row is one thing to prove.
type row struct{ id, tier, group, force, requirement, source string }

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	from := flag.String("from", "", "a file of go test -json: write the table")
	show := flag.String("print", "", "a file of go test -json: print what failed and a line a package")
	flag.Parse()
	name := *from + *show
	f, err := os.Open(name)
	if err == nil {
		var events []event
		if events, err = read(f); err == nil && *show != "" {
			printRun(os.Stdout, events)
		} else if err == nil {
			found := results(events)
			if ids := strangers(rows(), found); len(events) == 0 || len(ids) > 0 {
				err = fmt.Errorf("%d events, and tests name rows that do not exist: %v", len(events), ids)
			} else {
				table(os.Stdout, rows(), found)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func read(r io.Reader) (events []event, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil { // build errors come as plain lines
			events = append(events, e)
		}
	}
	return events, lines.Err()
}

func rows() (list []row) {
	for line := range strings.Lines(rowsText) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		list = append(list, row{f[0], f[1], f[2], f[3], f[4], f[5]})
	}
	return list
}

var idPattern = regexp.MustCompile(`\b(?:[A-Z]{2}|[SV])-\d+\b`)

// results maps a row's id to its tests, each with what became of it.
func results(events []event) map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, e := range events {
		if e.Test == "" || (e.Action != "pass" && e.Action != "fail" && e.Action != "skip") {
			continue
		}
		// The whole name: a slash in a subtest's own name, as in application/json, looks like
		// another level.
		for _, id := range idPattern.FindAllString(strings.ReplaceAll(e.Test, "_", " "), -1) {
			if found[id] == nil {
				found[id] = map[string]string{}
			}
			pkg := e.Package[strings.LastIndexByte(e.Package, '/')+1:]
			found[id][pkg+" "+e.Test[:strings.IndexAny(e.Test+"/", "/")]] = worse(found[id][pkg+" "+e.Test[:strings.IndexAny(e.Test+"/", "/")]], e.Action)
		}
	}
	return found
}

// worse keeps the worst of a row's results in one test.
func worse(a, b string) string {
	order := []string{"", "pass", "skip", "fail"}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

func table(w io.Writer, list []row, found map[string]map[string]string) {
	fmt.Fprint(w, "# Conformance\n\nWritten by `make conformance` from a run of the tests; do not edit. A row without a test is not claimed.\n\n")
	fmt.Fprint(w, "| group | rows | proved |\n|---|---|---|\n")
	var groups []string
	count, proved := map[string]int{}, map[string]int{}
	for _, r := range list {
		if !slices.Contains(groups, r.group) {
			groups = append(groups, r.group)
		}
		count[r.group]++
		if verdict(found[r.id]) == "pass" {
			proved[r.group]++
		}
	}
	for _, g := range groups {
		fmt.Fprintf(w, "| %s | %d | %d |\n", g, count[g], proved[g])
	}
	for _, g := range groups {
		fmt.Fprintf(w, "\n## %s\n\n| row | rule | requirement | test | result |\n|---|---|---|---|---|\n", g)
		for _, r := range list {
			if r.group == g {
				fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", r.id, cell(r.source), cell(r.requirement), tests(found[r.id]), verdict(found[r.id]))
			}
		}
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

func tests(found map[string]string) string {
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, "`"+name+"`")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// verdict is pass only if every test of a row passed.
func verdict(found map[string]string) string {
	if len(found) == 0 {
		return "—"
	}
	worst := ""
	for _, result := range found {
		worst = worse(worst, result)
	}
	return worst
}

// printRun prints what failed, and the closing line of each package as go test does. A test that
// began and did not end (a panic, a time-out, os.Exit) has failed, and a package that failed
// without a test is one failure.
func printRun(w io.Writer, events []event) {
	output, state := map[string][]string{}, map[string]string{}
	wrong := map[string]int{} // package → failed tests
	passed, skipped, why := 0, 0, map[string]int{}
	for _, e := range events {
		key := e.Package + "\x00" + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			if e.Action == "build-output" {
				fmt.Fprint(w, e.Output)
			}
		case "run":
			state[key] = e.Action
		case "pass", "skip", "fail":
			state[key] = e.Action
			if e.Test == "" {
				closePackage(w, e, output, state, wrong)
				continue
			}
			switch e.Action {
			case "pass":
				passed++
			case "skip":
				skipped++
				why[reason(output[key])]++
				fmt.Fprint(w, strings.Join(output[key], ""))
			case "fail":
				wrong[e.Package]++
				fmt.Fprint(w, strings.Join(output[key], ""))
			}
		}
	}
	failed := 0
	for _, n := range wrong {
		failed += n
	}
	for _, r := range slices.Sorted(maps.Keys(why)) {
		fmt.Fprintf(w, "did not run, %d: %s\n", why[r], r)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
}

// reason is why a test says that it did not run: what t.Skip printed behind file and line.
func reason(output []string) string {
	said := regexp.MustCompile(`^\s+\w+\.go:\d+: (.+)\n`)
	for _, line := range slices.Backward(output) {
		if m := said.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return "it does not say why"
}

// closePackage prints the end of a package.
func closePackage(w io.Writer, e event, output map[string][]string, state map[string]string, wrong map[string]int) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(w, "ok  \t%s\t%.3fs\n", e.Package, e.Elapsed)
	case "fail":
		for _, key := range slices.Sorted(maps.Keys(state)) {
			if state[key] == "run" && strings.HasPrefix(key, e.Package+"\x00") {
				wrong[e.Package]++
				fmt.Fprint(w, strings.Join(output[key], ""))
			}
		}
		wrong[e.Package] = max(wrong[e.Package], 1)
		fmt.Fprint(w, strings.Join(output[e.Package+"\x00"], ""))
	}
}

// strangers are ids in test names that are no row: mistyped, they would prove nothing.
func strangers(list []row, found map[string]map[string]string) (ids []string) {
	for id := range found {
		if !slices.ContainsFunc(list, func(r row) bool { return r.id == id }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
