package prose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
)

// TestConfigKeys: every key of the configuration is explained.
func TestConfigKeys(t *testing.T) {
	keys := map[string]bool{}
	configKeys(reflect.TypeFor[config.Config](), keys)
	requireNamed(t, keys, 100, page(t, "config"))
}

// TestErrorCodesAndReasons: every error code and reason that is a constant has its row.
func TestErrorCodesAndReasons(t *testing.T) {
	names := map[string]bool{}
	for _, folder := range []string{"server/", "clients/", "users/", "tokens/", "internal/assertions/"} {
		eachFile(t, folder, func(file *ast.File) {
			for _, d := range file.Decls {
				reasonsOf(d, names)
			}
		})
	}
	require.True(t, names["wrong_secret"] && names["invalid_target"] && names["refresh_token_reused"])
	delete(names, "late") // what package tokens tells itself
	requireNamed(t, names, 40, page(t, "http"))
}

// TestMetrics: every metric is explained.
func TestMetrics(t *testing.T) {
	names, metric := map[string]bool{}, regexp.MustCompile(`^grantor_[a-z0-9_]*[a-z0-9]$`)
	eachFile(t, "", func(file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && metric.MatchString(text) {
					names[text] = true
				}
			}
			return true
		})
	})
	requireNamed(t, names, 50, page(t, "metrics-audit-logs"))
}

// TestCommands: every command is explained.
func TestCommands(t *testing.T) {
	names := map[string]bool{}
	for command := range helpTexts(t) {
		names[command] = true
	}
	requireNamed(t, names, 40, page(t, "cli"))
}

// page returns the text of a page of the reference.
func page(t *testing.T, name string) string {
	t.Helper()
	return read(t, "docs/reference/"+name+".md")
}

// requireNamed demands that a text has each of the names as a word.
func requireNamed(t *testing.T, names map[string]bool, atLeast int, text string) {
	t.Helper()
	require.GreaterOrEqual(t, len(names), atLeast)
	var missing []string
	for name := range names {
		if !hasWord(text, name) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "names without a document")
}

// hasWord says whether a text has a name with no letter, digit or hyphen on either side.
func hasWord(text, name string) bool {
	inName := func(r rune) bool { return r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	text = " " + text + " "
	for from := 0; ; {
		at := strings.Index(text[from:], name)
		if at < 0 {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(name):])
		if !inName(before) && !inName(after) {
			return true
		}
		from = at + 1
	}
}

func TestHasWord(t *testing.T) {
	require.True(t, hasWord("keys, keys_file, `key`", "key"))
	require.False(t, hasWord("keys, key_file, my-key", "key"))
	require.True(t, hasWord("grantor client show", "grantor client show"))
	require.False(t, hasWord("xkeykey", "key"))
}

// configKeys collects the last part of each key below a type.
func configKeys(of reflect.Type, keys map[string]bool) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		configKeys(of.Elem(), keys)
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(of) {
			name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
			if name == "" {
				name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
			}
			if !f.IsExported() || f.Anonymous || name == "" || name == "-" {
				continue
			}
			if !keys[name] {
				keys[name] = true
				configKeys(f.Type, keys)
			}
		}
	}
}

// reasonsOf collects the constants of a declaration that are error codes or reasons: by their type,
// or by how they are named.
func reasonsOf(d ast.Decl, names map[string]bool) {
	declared, ok := d.(*ast.GenDecl)
	if !ok || declared.Tok != token.CONST {
		return
	}
	for _, spec := range declared.Specs {
		s := spec.(*ast.ValueSpec)
		for i, value := range s.Values {
			lit, ok := value.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				continue
			}
			name, typed := s.Names[i].Name, typeOf(s.Type)
			if strings.HasSuffix(typed, "Reason") || strings.HasPrefix(name, "code") || strings.HasPrefix(name, "reason") {
				text, _ := strconv.Unquote(lit.Value)
				names[text] = true
			}
		}
	}
}

func typeOf(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.SelectorExpr:
		return t.Sel.Name
	}
	return ""
}

// eachFile parses the files of the product below a folder, without tests and what only tests use.
func eachFile(t *testing.T, folder string, visit func(*ast.File)) {
	t.Helper()
	for _, name := range files(t, ".go") {
		used := !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "test/") && !strings.HasPrefix(name, "examples/")
		if used && strings.HasPrefix(name, folder) {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			visit(file)
		}
	}
}
