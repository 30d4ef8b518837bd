package reference

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Command is what writes the pages.
const Command = "go run ./test/reference/write"

// Folder is where the pages are, below the repository.
const Folder = "docs/reference"

// block is a part of a page that is written from the code. What stands around it, people write.
var block = regexp.MustCompile(`(?s)(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end of generated -->)`)

// Pages returns the pages as they should be, by name. The error lists what the code has and
// nobody has explained.
func Pages(root string) (map[string]string, error) {
	s, err := Load(root)
	if err != nil {
		return nil, err
	}
	blocks, complaints, err := s.blocks()
	if err != nil {
		return nil, err
	}
	pages, used := map[string]string{}, map[string]bool{}
	names, err := filepath.Glob(filepath.Join(root, Folder, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		page, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		pages[filepath.Base(name)] = block.ReplaceAllStringFunc(string(page), func(found string) string {
			m := block.FindStringSubmatch(found)
			if _, ok := blocks[m[2]]; !ok {
				complaints = append(complaints, filepath.Base(name)+": nothing writes "+m[2])
			}
			used[m[2]] = true
			return m[1] + "\n" + strings.TrimSpace(blocks[m[2]]) + "\n\n" + m[3]
		})
	}
	for name := range blocks {
		if !used[name] {
			complaints = append(complaints, "no page of "+Folder+" has <!-- generated: "+name+" -->")
		}
	}
	if len(complaints) > 0 {
		return pages, errors.New(strings.Join(complaints, "\n"))
	}
	return pages, nil
}

// blocks writes every generated part, and lists what is not explained.
func (s *Source) blocks() (blocks map[string]string, complaints []string, err error) {
	f := s.emitted()
	blocks = map[string]string{"error-codes": errorCodes(), "reasons": f.reasonTables()}
	complaints = f.complaints()
	public, err := readDescription(s.Root, "server/openapi_public.json")
	if err != nil {
		return nil, nil, err
	}
	admin, err := readDescription(s.Root, "server/openapi.json")
	if err != nil {
		return nil, nil, err
	}
	blocks["endpoint-list"], blocks["endpoints"] = public.overview(), public.endpoints()
	blocks["client-authentication"], blocks["claims"] = public.authentication(), public.claims()
	blocks["admin-endpoints"] = admin.adminOverview()
	keys, missing, err := s.configTables(admin)
	if err != nil {
		return nil, nil, err
	}
	metrics, unknown := s.metricTables()
	logs, unheard := s.logTables()
	events, eventMembers, untold := s.trailTables()
	blocks["metrics"], blocks["logs"], blocks["events"], blocks["event-members"] = metrics, logs, events, eventMembers
	list, sections, bare := commandSections()
	blocks["command-list"], blocks["commands"] = list, sections
	complaints = slices.Concat(complaints, unknown, unheard, untold, bare)
	blocks["config-keys"], complaints = keys, append(complaints, missing...)
	return blocks, complaints, nil
}

// table writes a table of Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(&b, "| %s ", strings.ReplaceAll(strings.ReplaceAll(c, "|", `\|`), "\n", " "))
		}
		b.WriteString("|\n")
	}
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// quoted is a text as code.
func quoted(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// anchor is what a row is linked to by: docs/reference/http.md#reason-wrong_secret.
func anchor(kind, name string) string { return fmt.Sprintf(`<a id="%s-%s"></a>`, kind, name) }

func errorCodes() string {
	var rows [][]string
	for _, c := range codes() {
		rows = append(rows, []string{anchor("error", c.name) + quoted(c.name), c.status, c.cause, c.cure})
	}
	return table([]string{"`error`", "status", "cause", "what to do"}, rows)
}

func (f *found) reasonTables() string {
	var b strings.Builder
	for _, g := range reasonGroups() {
		fmt.Fprintf(&b, "### %s\n\n", g.title)
		if g.intro != "" {
			fmt.Fprintf(&b, "%s\n\n", g.intro)
		}
		var rows [][]string
		for _, r := range g.reasons {
			answer := f.answerOf(r.name)
			if answer == "" {
				answer = r.answer
			}
			rows = append(rows, []string{anchor("reason", r.name) + quoted(r.name), answer, r.cause, r.cure})
		}
		b.WriteString(table([]string{"`reason`", "answer", "cause", "what to do"}, rows) + "\n")
	}
	return b.String()
}
