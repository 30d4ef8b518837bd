package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatDidNotRun tells, once in a run of all packages, how many tests lack a program. go test
// hides what a package that passes prints, so the line goes where go test itself writes its errors;
// a machine on which that cannot be opened is told by "make test".
func TestWhatDidNotRun(t *testing.T) {
	var lacking []string
	count := needing(t)
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if !installed(name) {
			lacking = append(lacking, fmt.Sprintf("%d for want of %s", count[name], name))
		}
	}
	if len(lacking) == 0 {
		return
	}
	line := "grantor: tests that did not run: " + strings.Join(lacking, ", ") + "\n"
	t.Log(line)
	if f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", os.Getppid()), os.O_WRONLY|os.O_APPEND, 0); err == nil {
		if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() { // in a file go test would write over it
			_, _ = f.WriteString(line)
		}
		_ = f.Close()
	}
}

// installed says whether a program is where the tests look for it.
func installed(name string) bool {
	if _, err := exec.LookPath(name); err == nil {
		return true
	}
	for _, place := range []string{"/usr/sbin/", "/usr/lib/postgresql/*/bin/"} {
		if found, _ := filepath.Glob(place + name); len(found) > 0 {
			return true
		}
	}
	return false
}

// needing counts the tests that start a program, by themselves or through helpers of their package.
func needing(t *testing.T) map[string]int {
	t.Helper()
	count := map[string]int{}
	folders := map[string]map[string]*ast.FuncDecl{}
	require.NoError(t, filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/bench/") || strings.Contains(name, "/tools/") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(name)
		if folders[dir] == nil {
			folders[dir] = map[string]*ast.FuncDecl{}
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
				folders[dir][f.Name.Name] = f
			}
		}
		return nil
	}))
	for _, funcs := range folders {
		for name, f := range funcs {
			if !strings.HasPrefix(name, "Test") || name == "TestMain" {
				continue
			}
			found := map[string]bool{}
			programsOf(f, funcs, found, map[string]bool{})
			for p := range found {
				count[p]++
			}
		}
	}
	return count
}

// programsOf finds what a function looks for on PATH. Package redistest looks for redis-server.
func programsOf(f *ast.FuncDecl, funcs map[string]*ast.FuncDecl, found, seen map[string]bool) {
	if seen[f.Name.Name] {
		return
	}
	seen[f.Name.Name] = true
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			s, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				break
			}
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "redistest" {
				found["redis-server"] = true
			}
			if text, ok := firstText(n); ok && s.Sel.Name == "LookPath" && !strings.Contains(text, "/") {
				found[text] = true
			}
		case *ast.Ident:
			if helper := funcs[n.Name]; helper != nil && !strings.HasPrefix(n.Name, "Test") {
				programsOf(helper, funcs, found, seen)
			}
		}
		return true
	})
}

func firstText(c *ast.CallExpr) (string, bool) {
	if len(c.Args) == 0 {
		return "", false
	}
	lit, ok := c.Args[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	return strings.Trim(lit.Value, "\"`"), true
}

func TestNeeding(t *testing.T) {
	count := needing(t)
	require.Greater(t, count["redis-server"], 80)
	require.Positive(t, count["promtool"])
}
