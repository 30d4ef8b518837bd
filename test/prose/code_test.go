package prose

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

const (
	maxLogWords       = 10
	maxCommentColumns = 100
	minTextWords      = 3 // shorter texts of the code are names and parts of formats
)

// TestCode: the code's texts use the words of the glossary, log messages are short, and comments
// fit beside each other on a screen.
func TestCode(t *testing.T) {
	for _, name := range files(t, ".go") {
		for _, complaint := range complaintsOfCode(t, name, read(t, name)) {
			t.Errorf("%s:%s", name, complaint)
		}
	}
}

func complaintsOfCode(t *testing.T, name, code string) (all []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, code, parser.ParseComments)
	require.NoError(t, err)
	lineOf := func(n ast.Node) int { return set.Position(n.Pos()).Line }
	for _, group := range file.Comments {
		for _, c := range group.List {
			if wide(c.Text) && set.Position(c.Pos()).Column == 1+indentOf(code, lineOf(c)) {
				all = append(all, fmt.Sprintf("%d: a comment of more than %d columns", lineOf(c), maxCommentColumns))
			}
		}
	}
	if strings.HasSuffix(filepath.Base(name), "_test.go") {
		return all
	}
	var texts []line
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if message := messageOf(n); countWords(message) > maxLogWords {
				all = append(all, fmt.Sprintf("%d: a message of more than %d words: %s", lineOf(n), maxLogWords, message))
			}
		case *ast.BasicLit:
			if text := textOf(n); countWords(text) >= minTextWords {
				texts = append(texts, line{lineOf(n), text})
			}
		}
		return true
	})
	return append(all, bannedWords(texts)...)
}

// wide says of a comment's line whether it is too long. Directives and indented examples may be.
func wide(comment string) bool {
	for _, mark := range []string{"//\t", "//go:", "//nolint", "// #nosec", "//lint:"} {
		if strings.HasPrefix(comment, mark) {
			return false
		}
	}
	for l := range strings.SplitSeq(comment, "\n") {
		if utf8.RuneCountInString(l) > maxCommentColumns {
			return true
		}
	}
	return false
}

func indentOf(code string, number int) int {
	l := strings.Split(code, "\n")[number-1]
	return len(l) - len(strings.TrimLeft(l, "\t "))
}

// messageOf returns the message of a call that logs, "" of other calls.
func messageOf(call *ast.CallExpr) string {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	switch strings.TrimSuffix(selector.Sel.Name, "Context") {
	case "Debug", "Info", "Warn", "Error":
		for _, arg := range call.Args {
			if text, ok := arg.(*ast.BasicLit); ok {
				return textOf(text)
			}
		}
	}
	return ""
}

func textOf(literal *ast.BasicLit) string {
	if literal.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return text
}

func TestComplaintsOfCode(t *testing.T) {
	found := func(name, body string) []string { return complaintsOfCode(t, name, "package p\n"+body) }
	long := strings.Repeat("word ", 11)
	require.Len(t, found("a.go", "func f() { log.WarnContext(x, `"+long+"`, `error`, err) }"), 1)
	require.Len(t, found("a.go", "var err = errors.New(`the session is dead`)\n// "+strings.Repeat("x", 98)), 2)
	require.Empty(t, found("a_test.go", "var err = errors.New(`the session is dead`)"))
	require.Empty(t, found("a.go", "func f() { log.Warn(`ten words`, `error`, `"+long+"`); dead(`dead`) } // "+strings.Repeat("x", 98)+"\n//\t"+strings.Repeat("x", 99)))
}
