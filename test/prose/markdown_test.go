package prose

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	comment   = regexp.MustCompile(`(?s)<!--.*?-->`)
	codeSpan  = regexp.MustCompile("`[^`\n]+`")
	image     = regexp.MustCompile(`!\[[^\]]*\]\([^)\s]*\)`)
	link      = regexp.MustCompile(`\[([^\]]*)\]\([^)\s]*\)`)
	tag       = regexp.MustCompile(`</?[a-z][^>]*>`)
	listItem  = regexp.MustCompile(`^\s*(?:[-*+]|[0-9]+\.)\s+`)
	sentences = regexp.MustCompile(`[.!?][)"'*_”]*\s+`)
)

// line is a line of a page outside its blocks of code.
type line struct {
	number int
	text   string
}

// proseLines returns the lines of a page without blocks of code and comments. Code within a line is
// the one word "code", a link is its text.
func proseLines(text string) (lines []line) {
	text = comment.ReplaceAllStringFunc(text, func(c string) string { return strings.Repeat("\n", strings.Count(c, "\n")) })
	inCode := false
	for i, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			inCode = !inCode
			l = ""
		}
		if inCode {
			continue
		}
		l = image.ReplaceAllString(codeSpan.ReplaceAllString(l, "code"), "")
		lines = append(lines, line{i + 1, tag.ReplaceAllString(link.ReplaceAllString(l, "$1"), "")})
	}
	return lines
}

// sentence is a sentence of a page, with the line in which its paragraph begins.
type sentence struct {
	number int
	text   string
}

func (s sentence) words() int { return countWords(s.text) }

// countWords counts what has a letter or a digit, between blanks.
func countWords(text string) (n int) {
	for word := range strings.FieldsSeq(text) {
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}

// pageSentences returns the sentences of a page that stand outside tables and headings.
func pageSentences(text string) (found []sentence) {
	paragraph, begins := "", 0
	flush := func() {
		for _, s := range split(paragraph) {
			found = append(found, sentence{begins, s})
		}
		paragraph = ""
	}
	for _, l := range proseLines(text) {
		trimmed := strings.TrimSpace(l.text)
		if trimmed == "" || strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "#") || listItem.MatchString(l.text) {
			flush()
		}
		indentedCode := paragraph == "" && strings.HasPrefix(l.text, "    ")
		if trimmed == "" || strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "#") || indentedCode {
			continue
		}
		if paragraph == "" {
			begins = l.number
		}
		paragraph += " " + listItem.ReplaceAllString(l.text, "")
	}
	flush()
	return found
}

// split divides a paragraph where a sentence ends and the next begins with a capital, a digit or a
// mark. "e.g. x" goes on.
func split(paragraph string) (found []string) {
	rest := strings.TrimSpace(paragraph)
	begin := 0
	for _, end := range sentences.FindAllStringIndex(rest, -1) {
		if next := []rune(rest[end[1]:]); len(next) > 0 && unicode.IsLower(next[0]) && !strings.HasPrefix(rest[end[1]:], "code") {
			continue
		}
		found = append(found, strings.TrimSpace(rest[begin:end[1]]))
		begin = end[1]
	}
	if last := strings.TrimSpace(rest[begin:]); last != "" {
		found = append(found, last)
	}
	return found
}

// TestPageSentences: what counts as a sentence.
func TestPageSentences(t *testing.T) {
	page := "# A heading\n\nOne is here. `Two` is (here). e.g. three\ngoes on!\n\n| a | table. With dots. |\n|---|---|\n\n- An item\n  goes on\n" +
		"- [a link](x.svg) and ![an image](y.svg)\n\n```sh\nno sentence. At all.\n```\n<!-- a\ncomment. -->\nLast: RFC 6749 §5.2\n"
	var got []string
	for _, s := range pageSentences(page) {
		got = append(got, s.text)
	}
	require.Equal(t, []string{"One is here.", "code is (here). e.g. three goes on!", "An item   goes on", "a link and", "Last: RFC 6749 §5.2"}, got)
	require.Equal(t, 4, pageSentences("Tokens → `a b c` = two words.")[0].words())
	require.Equal(t, 18, pageSentences(page)[4].number)
}
