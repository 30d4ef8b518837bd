package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// house is what was measured. Tests, test data and folders that only test and measure are left out.
type house struct {
	top                                              int
	packages                                         map[string][]*file // by folder
	files, functions                                 []length
	code, comments, wideCode, wideComments, exported int
	types                                            map[string][]string // the folders that declare a type of this name
}

type length struct {
	name  string
	lines int
}

// file is one file of a package, with the names that it declares at its top and those that it uses.
type file struct {
	name           string
	declares, uses map[string]bool
}

// left are folders that a user's program never runs.
var left = []string{"bench", "conformance", "faults", "tools", "test", "integration_test", "examples", "python", "testdata", ".git", "bin"}

func survey(root string) (*house, error) {
	h := &house{packages: map[string][]*file{}, types: map[string][]string{}}
	var err error
	if h.top, err = topFolders(root); err != nil {
		return nil, err
	}
	return h, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && slices.Contains(left, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return h.read(root, path)
	})
}

func (h *house) read(root, path string) error {
	text, err := os.ReadFile(path) // #nosec G304 -- the caller's own folder
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.ParseComments)
	if err != nil {
		return err
	}
	name, _ := filepath.Rel(root, path)
	h.lines(name, string(text))
	h.declarations(set, tree, name)
	return nil
}

// lines counts a file's lines by kind.
func (h *house) lines(name, text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")
		wide := utf8.RuneCountInString(line) > 100
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "":
		case strings.HasPrefix(trimmed, "//"):
			h.comments++
			if wide {
				h.wideComments++
			}
		default:
			h.code++
			if wide {
				h.wideCode++
			}
		}
	}
	h.files = append(h.files, length{name, n})
}

func (h *house) declarations(set *token.FileSet, tree *ast.File, name string) {
	folder := filepath.Dir(name)
	f := &file{name: name, declares: map[string]bool{}, uses: map[string]bool{}}
	h.packages[folder] = append(h.packages[folder], f)
	public := !strings.Contains(folder+"/", "internal/") && tree.Name.Name != "main"
	declare := func(n string) {
		f.declares[n] = true
		if public && ast.IsExported(n) {
			h.exported++
		}
	}
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			h.functions = append(h.functions, length{name + ":" + d.Name.Name, set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1})
			if d.Recv == nil {
				declare(d.Name.Name)
			} else if public && ast.IsExported(d.Name.Name) {
				h.exported++
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				h.spec(s, folder, declare)
			}
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !f.declares[id.Name] {
			f.uses[id.Name] = true
		}
		return true
	})
}

func (h *house) spec(s ast.Spec, folder string, declare func(string)) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		declare(s.Name.Name)
		key := strings.ToLower(s.Name.Name)
		if !slices.Contains(h.types[key], folder) {
			h.types[key] = append(h.types[key], folder)
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			declare(n.Name)
		}
	}
}

// doubles are type names that more than one package declares. Config, Error, Store and Redis are said with their package.
func (h *house) doubles() (list []string) {
	said := []string{"config", "error", "store", "redis", "memory", "server", "options"}
	for name, folders := range h.types {
		if len(folders) > 1 && !slices.Contains(said, name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// arrows counts uses from one file of a package to another, and those that are part of a circle.
func (h *house) arrows() (uses, circular int) {
	for _, files := range h.packages {
		to := map[*file][]*file{}
		for _, a := range files {
			for _, b := range files {
				if a != b && a.needs(b) {
					to[a] = append(to[a], b)
				}
			}
		}
		for a, list := range to {
			for _, b := range list {
				uses++
				if reaches(to, b, a, map[*file]bool{}) {
					circular++
				}
			}
		}
	}
	return uses, circular
}

func (f *file) needs(other *file) bool {
	for name := range other.declares {
		if f.uses[name] {
			return true
		}
	}
	return false
}

func reaches(to map[*file][]*file, from, goal *file, seen map[*file]bool) bool {
	if from == goal {
		return true
	}
	seen[from] = true
	for _, next := range to[from] {
		if !seen[next] && reaches(to, next, goal, seen) {
			return true
		}
	}
	return false
}
