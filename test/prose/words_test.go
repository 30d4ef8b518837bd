package prose

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// banned are words of which the glossary has others (docs/README.md). A pattern that also hits
// right uses is not here.
var banned = []struct{ pattern, say string }{
	{`log-ins?`, `"login" (noun), "log in" (verb)`},
	{`log-outs?`, `"logout" (noun), "log out" (verb)`},
	{`famil(?:y|ies)`, `"session"`},
	{`die|dies|died|dying|dead`, `"expire", "end" or "is revoked"`},
	{`lives|lived`, `"expires after", "has been active"`},
	{`stands?|stood`, `"is", "remains" or "is in force"`},
	{`thefts?`, `"reuse"`},
	{`sealed|box`, `"retry response", "encrypted"`},
	{`news`, `"revocation feed", "client change stream"`},
	{`guesses|guessing`, `"failed login", "rate limit", "lockout"`},
	{`sheds?`, `"overload shedding"`},
	{`cannot know`, `"not confirmed"`},
	{`machine text`, `"client"`},
	{`strangers`, `"callers who proved nothing"`},
}

// patterns returns the banned words as one pattern each, of whole words in either case.
func patterns() (list []*regexp.Regexp) {
	for _, b := range banned {
		list = append(list, regexp.MustCompile(`(?i)(?:^|[^\pL-])(`+b.pattern+`)(?:[^\pL-]|$)`))
	}
	return list
}

// TestWords: one word for each thing, in documents, in the comments of config.toml, in the OpenAPI
// documents, in alerts, and in the command line's help.
func TestWords(t *testing.T) {
	for _, name := range files(t, ".md") {
		if !generated(name) {
			checkWords(t, name, proseLines(read(t, name)))
		}
	}
	var comments []line
	for i, l := range strings.Split(read(t, "config.toml"), "\n") {
		if _, c, ok := strings.Cut(l, "#"); ok {
			comments = append(comments, line{i + 1, c})
		}
	}
	checkWords(t, "config.toml", comments)
	for _, name := range []string{"server/openapi.json", "server/openapi_public.json", "internal/testserver/openapi.json", "deploy/prometheus/alerts.yml", "docker-compose.yml"} {
		checkWords(t, name, numbered(read(t, name)))
	}
	for command, text := range helpTexts(t) {
		checkWords(t, command+" --help", numbered(text))
	}
}

func numbered(text string) (lines []line) {
	for i, l := range strings.Split(text, "\n") {
		lines = append(lines, line{i + 1, l})
	}
	return lines
}

func checkWords(t *testing.T, name string, lines []line) {
	t.Helper()
	for _, complaint := range bannedWords(lines) {
		t.Errorf("%s:%s", name, complaint)
	}
}

func bannedWords(lines []line) (all []string) {
	list := patterns()
	for _, l := range lines {
		for i, p := range list {
			for _, m := range p.FindAllStringSubmatch(l.text, -1) {
				all = append(all, fmt.Sprintf("%d: %q: say %s", l.number, m[1], banned[i].say))
			}
		}
	}
	return all
}

func TestBannedWords(t *testing.T) {
	found := func(text string) []string { return bannedWords(proseLines(text)) }
	require.Equal(t, []string{`2: "Dead": say "expire", "end" or "is revoked"`}, found("Well.\nDead tokens."))
	require.Len(t, found("log-ins (stands) a family"), 3)
	require.Empty(t, found("It understands the deadline, and a login is `dead` in ```code```. A family-friendly newsroom."))
}
