package prose

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	target  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	anchor  = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	heading = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	cited   = regexp.MustCompile(`\b((?:docs|python|test|deploy|examples)/[A-Za-z0-9_./-]*\.md)(#[A-Za-z0-9_-]+)?`)
)

// TestLinks: a link of a document leads to a file that is there, and to a heading in it.
func TestLinks(t *testing.T) {
	pages := files(t, ".md")
	require.Greater(t, len(pages), 20)
	for _, name := range pages {
		for _, l := range proseLinks(read(t, name)) {
			if complaint := deadLink(t, name, l.text); complaint != "" {
				t.Errorf("%s:%d: %s", name, l.number, complaint)
			}
		}
	}
}

// TestCitedPages: a page that code, configuration or an alert names is there, with the heading.
func TestCitedPages(t *testing.T) {
	found := 0
	for _, name := range append(files(t, ".go", ".toml", ".yml", ".yaml", ".service", ".py", ".json", ".sh", "Makefile"), ".ci/run") {
		if strings.HasPrefix(name, "test/prose/") {
			continue
		}
		for i, l := range strings.Split(read(t, name), "\n") {
			for _, m := range cited.FindAllStringSubmatch(l, -1) {
				found++
				if complaint := deadLink(t, "README.md", m[1]+m[2]); complaint != "" {
					t.Errorf("%s:%d: %s", name, i+1, complaint)
				}
			}
		}
	}
	require.Greater(t, found, 50)
}

// proseLinks returns the targets of a page's links within the repository, with their lines.
func proseLinks(text string) (links []line) {
	inCode := false
	for i, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			inCode = !inCode
		}
		if inCode {
			continue
		}
		for _, m := range target.FindAllStringSubmatch(codeSpan.ReplaceAllString(l, "code"), -1) {
			if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
				links = append(links, line{i + 1, m[1]})
			}
		}
	}
	return links
}

// deadLink says what is wrong with a link of a page, "" when it leads somewhere.
func deadLink(t *testing.T, page, to string) string {
	t.Helper()
	file, fragment, _ := strings.Cut(to, "#")
	name := page
	if file != "" {
		name = path.Join(path.Dir(page), file)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
		return to + ": there is no file " + name
	}
	if fragment != "" && strings.HasSuffix(name, ".md") && !anchors(read(t, name))[fragment] {
		return to + ": " + name + " has no heading with the anchor #" + fragment
	}
	return ""
}

// anchors returns the fragments that GitHub gives to a page's headings, and those that the page
// names itself.
func anchors(text string) map[string]bool {
	all, seen := map[string]bool{}, map[string]int{}
	inCode := false
	for l := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			inCode = !inCode
		}
		if inCode {
			continue
		}
		for _, m := range anchor.FindAllStringSubmatch(l, -1) {
			all[m[1]] = true
		}
		m := heading.FindStringSubmatch(strings.TrimRight(l, "\n"))
		if m == nil {
			continue
		}
		name := slug(m[1])
		if n := seen[name]; n > 0 {
			all[name+"-"+strconv.Itoa(n)] = true
		} else {
			all[name] = true
		}
		seen[name]++
	}
	return all
}

// slug is the fragment of a heading at GitHub: lower case, blanks are hyphens, marks are gone.
func slug(text string) string {
	text = tag.ReplaceAllString(link.ReplaceAllString(text, "$1"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

// TestAnchors: GitHub's rules for the fragments of headings.
func TestAnchors(t *testing.T) {
	got := anchors("# What `[feed] lease` is: 503, not 500\n## Go: net/http\n## Go: net/http\n```\n# no heading\n```\n<a id=\"S-01\"></a>\n")
	for _, want := range []string{"what-feed-lease-is-503-not-500", "go-nethttp", "go-nethttp-1", "S-01"} {
		require.True(t, got[want], want)
	}
	require.Len(t, got, 4)
	require.Contains(t, deadLink(t, "docs/README.md", "faults.md"), "there is no file docs/faults.md")
	require.Contains(t, deadLink(t, "docs/README.md", "../README.md#nowhere"), "no heading")
	require.Empty(t, deadLink(t, "docs/README.md", "#glossary"))
}
